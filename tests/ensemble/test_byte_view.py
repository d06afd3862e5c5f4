"""The view of a model as bytes is exact: brute force over every spelling says so."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nescio.ensemble.branches import END
from nescio.ensemble.byte_view import START, ByteContext, ByteView
from nescio.errors import CapabilityError, InvalidInput, InvalidText
from nescio.models.table import Table, read_table
from nescio.models.vocabulary import Vocabulary
from tests.ensemble.tables import ended, prefix, random_table


def letters(table: Table) -> list[int]:
    return sorted(
        {
            byte
            for token in range(table.vocabulary.size - 1)
            for byte in table.vocabulary.token(token)
        }
    )


def read(view: ByteView, text: bytes) -> tuple[ByteContext, np.ndarray]:
    run = np.array([START, *text])
    (context,), logp = view.extend([view.open()], [run])
    return context, logp[0]


@pytest.mark.parametrize("seed", range(120))
def test_every_prefix_has_the_probability_of_all_its_spellings(seed: int) -> None:
    table = random_table(seed, controls=seed % 3, order=1 + seed % 2)
    view = ByteView(table)
    alphabet = letters(table)[:3]
    for length in range(4):
        for text in itertools.product(alphabet, repeat=length):
            spelled = bytes(text)
            exact = prefix(table, spelled)
            if exact == 0.0:
                with pytest.raises(InvalidText, match="no probability"):
                    read(view, spelled)
                continue
            context, logp = read(view, spelled)
            assert np.exp(context.log_kept) == pytest.approx(exact, rel=1e-12)
            assert context.log_lost == -np.inf
            expected = np.zeros(258)
            for byte in letters(table):
                expected[byte] = prefix(table, spelled + bytes([byte])) / exact
            expected[END] = ended(table, spelled) / exact
            np.testing.assert_allclose(np.exp(logp), expected, rtol=1e-12, atol=1e-15)
            assert np.exp(logp).sum() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_the_end_has_the_probability_of_the_text_and_no_more(seed: int) -> None:
    table = random_table(seed)
    view = ByteView(table)
    for text in (b"", b"a", b"ab", b"ba", b"aab"):
        if ended(table, text) == 0.0:
            continue
        run = np.array([START, *text, END])
        (context,), logp = view.extend([view.open()], [run])
        assert np.exp(context.log_kept) == pytest.approx(ended(table, text), rel=1e-12)
        assert logp[0, END] == 0.0
        with pytest.raises(InvalidInput, match="has ended"):
            view.extend([context], [np.array([97])])


@pytest.mark.parametrize("prune", [1e-6, 0.001, 0.01, 0.1])
@pytest.mark.parametrize("seed", range(12))
def test_the_ledger_holds_whatever_is_not_followed(seed: int, prune: float) -> None:
    table = random_table(seed, order=2)
    exact, pruned = ByteView(table), ByteView(table, prune=prune)
    rng = np.random.default_rng(seed)
    true, _ = read(exact, b"")
    near, _ = read(pruned, b"")
    lost = []
    for _ in range(12):
        logp = true.log_masses[:END] - true.log_kept
        p = np.exp(logp)
        if p.sum() == 0.0:
            break
        byte = int(rng.choice(END, p=p / p.sum()))
        if near.log_masses[byte] == -np.inf:
            break
        (true,), row = exact.extend([true], [np.array([byte])])
        (near,), near_row = pruned.extend([near], [np.array([byte])])
        low, high = near.bounds
        assert low - 1e-12 <= true.log_kept <= high + 1e-12
        distance = 0.5 * np.abs(np.exp(row) - np.exp(near_row)).sum()
        assert distance <= near.doubt + 1e-12
        lost.append(near.log_gone)
    assert lost == sorted(lost)


def test_something_is_lost_where_something_is_pruned() -> None:
    lost = []
    for seed in range(8):
        view = ByteView(random_table(seed), prune=0.2)
        context, _ = read(view, b"")
        for _ in range(4):
            byte = int(context.log_masses[:END].argmax())
            (context,), _ = view.extend([context], [np.array([byte])])
        lost.append(context.log_lost)
    assert max(lost) > -np.inf


def test_many_contexts_at_once_are_each_by_itself() -> None:
    table = random_table(5)
    view = ByteView(table)
    texts = [b"", b"a", b"ab", b"abba", b"b"]
    texts = [text for text in texts if prefix(table, text) > 0]
    runs = [np.array([START, *text]) for text in texts]
    contexts, rows = view.extend([view.open()] * len(runs), runs)
    for text, context, row in zip(texts, contexts, rows, strict=True):
        alone, logp = read(view, text)
        assert context.log_kept == alone.log_kept
        np.testing.assert_array_equal(row, logp)


def test_a_context_can_be_forked_and_rewound() -> None:
    table = random_table(5)
    view = ByteView(table)
    context, logp = read(view, b"a")
    view.extend([context], [np.array([98])])
    longer, _ = view.extend([context], [np.array([97])])
    back = longer[0].rewind(2)
    np.testing.assert_array_equal(back.log_masses - back.log_kept, logp[:257])
    assert back.symbols == (START, 97)
    with pytest.raises(InvalidInput, match="cannot be rewound to 4"):
        longer[0].rewind(4)


def test_a_token_that_is_spelled_by_two_ids_counts_twice() -> None:
    vocabulary = Vocabulary.of(
        [b"a", b"a", b"", b""], control={2: "<end>", 3: "<start>"}, end=[2]
    )
    with np.errstate(divide="ignore"):
        row = np.log([0.3, 0.2, 0.5, 0.0])
        after = np.log([0.0, 0.0, 1.0, 0.0])
    table = Table("table:twice", vocabulary, {(): row, (0,): row, (1,): after}, "x")
    context, logp = read(ByteView(table), b"a")
    assert np.exp(context.log_kept) == pytest.approx(0.5)
    assert np.exp(logp[END]) == pytest.approx((0.3 * 0.5 + 0.2 * 1.0) / 0.5)


def test_only_the_tokenizers_own_spelling_counts_if_asked() -> None:
    vocabulary = Vocabulary.of(
        [b"a", b"aa", b"", b""], control={2: "<end>", 3: "<start>"}, end=[2]
    )
    with np.errstate(divide="ignore"):
        row = np.log([0.5, 0.25, 0.25, 0.0])
    table = Table("table:own", vocabulary, {(): row}, "x")
    run = np.array([START, 97, 97, END])
    (every,), _ = ByteView(table).extend([ByteView(table).open()], [run])
    own = ByteView(table, spelling="canonical")
    (one,), _ = own.extend([own.open()], [run])
    assert np.exp(every.log_kept) == pytest.approx((0.25 + 0.25) * 0.25)
    assert np.exp(one.log_kept) == pytest.approx(0.25 * 0.25)


def test_it_is_a_model_that_is_scored_and_drawn_from_like_any_other() -> None:
    import nescio

    table = read_table("topics")
    view = ByteView(table)
    text = table.vocabulary.spell([0, 1, 0])
    trace = nescio.score(view, text.decode())
    logp = float(np.nansum(trace.logp[trace.scored]))
    assert logp == pytest.approx(np.log(prefix(table, text)), rel=1e-5)
    answer = nescio.generate(view, text.decode(), seed=3, chat=False)
    assert answer.origin.model == "bytes:table:topics,prune=0.0"


def test_what_it_cannot_do_is_refused() -> None:
    table = read_table("coin")
    with pytest.raises(InvalidInput, match="prune is 1"):
        ByteView(table, prune=1)
    with pytest.raises(CapabilityError, match="needs a model"):
        ByteView("smollm2")
    view = ByteView(table)
    with pytest.raises(InvalidInput, match="begins with <start>"):
        view.extend([view.open()], [np.array([72])])
    with pytest.raises(InvalidInput, match="symbol 300 is no byte"):
        view.extend([view.open()], [np.array([START, 300])])
    with pytest.raises(InvalidInput, match="at least one symbol"):
        view.extend([view.open()], [np.array([], dtype=int)])
    with pytest.raises(InvalidText, match="byte 0x58 no probability after b'H'"):
        view.extend([view.open()], [np.array([START, 72, 88])])
