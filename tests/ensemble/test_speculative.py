"""Speculative decoding gives every text the probability that the ensemble gives it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import chisquare

from nescio import Sampling
from nescio.ensemble.branches import END
from nescio.ensemble.byte_view import START, ByteView
from nescio.ensemble.foresight import Foresight
from nescio.ensemble.joining import Ensemble
from nescio.ensemble.speculative import Drafting, Random, speculate
from nescio.errors import InvalidInput, NotEnoughData
from nescio.models.table import Table, read_table
from nescio.models.vocabulary import Vocabulary
from tests.ensemble.tables import random_table


class Scripted:
    """Takes the choices it was given, then always the first possible one."""

    def __init__(self, choices: tuple[int, ...]) -> None:
        self.choices, self.made, self.p = choices, [], 1.0
        self.open: list[tuple[int, ...]] = []

    def pick(self, p: np.ndarray) -> int:
        assert p.sum() == pytest.approx(1.0)
        possible = np.flatnonzero(p).tolist()
        if len(self.made) < len(self.choices):
            chosen = self.choices[len(self.made)]
        else:
            chosen, *others = possible
            self.open += [(*self.made, other) for other in others]
        self.made.append(chosen)
        self.p *= float(p[chosen])
        return chosen


def all_outcomes(run: Callable[[Scripted], bytes]) -> dict[bytes, float]:
    """Every text a decoder can write, with the sum of all ways it comes to it."""
    found: dict[bytes, float] = {}
    pending: list[tuple[int, ...]] = [()]
    while pending:
        chance = Scripted(pending.pop())
        text = run(chance)
        found[text] = found.get(text, 0.0) + chance.p
        pending += chance.open
    return found


def exact(ensemble: Ensemble, length: int) -> dict[bytes, float]:
    """The probability of every text that ends, or goes on behind some bytes."""
    found: dict[bytes, float] = {}
    (root,), _ = ensemble.extend([ensemble.open()], [np.array([START])])
    pending = [(b"", 1.0, root)]
    while pending:
        text, p, context = pending.pop()
        row = np.exp(context.joined)
        for symbol in np.flatnonzero(row).tolist():
            q = p * float(row[symbol])
            if symbol == END or len(text) + 1 == length:
                name = text + b"." if symbol == END else text + bytes([symbol])
                found[name] = found.get(name, 0.0) + q
                continue
            (longer,), _ = ensemble.extend([context], [np.array([symbol])])
            pending.append((text + bytes([symbol]), q, longer))
    return found


def narrow(seed: int) -> Table:
    """A table of two letters, so that everything can be enumerated."""
    rng = np.random.default_rng(seed)
    tokens = [b"a", b"b", b"ab", b"", b""]
    vocabulary = Vocabulary.of(tokens, control={3: "<end>", 4: "<start>"}, end=[3])
    rows = {
        after: np.append(np.log(rng.dirichlet(np.full(4, 0.7))), -np.inf)
        for after in [(), (0,), (1,), (2,)]
    }
    return Table(f"table:{seed}", vocabulary, rows, str(seed))


@pytest.mark.parametrize(
    ("rule", "ahead", "length"),
    [
        ("mean", 1, 2),
        ("product", 3, 2),
        pytest.param("mean", 4, 3, marks=pytest.mark.verify),
        pytest.param("posterior", 2, 3, marks=pytest.mark.verify),
    ],
)
def test_it_is_plain_decoding_in_distribution(
    rule: str, ahead: int, length: int
) -> None:
    ensemble = Ensemble((narrow(1), narrow(2)), rule=rule, weights=(0.3, 0.7))
    drafting = Drafting(ahead % 2, ahead=ahead, max_bytes=length)

    def run(chance: Scripted) -> bytes:
        answer = speculate(ensemble, drafting=drafting, chance=chance)
        return answer.buffer + (b"." if answer.stop == "eos" else b"")

    found, expected = all_outcomes(run), exact(ensemble, length)
    assert sum(found.values()) == pytest.approx(1.0, rel=1e-12)
    for text, p in expected.items():
        assert found.get(text, 0.0) == pytest.approx(p, rel=1e-10), text
    assert set(found) <= set(expected)


def test_a_drafter_that_cannot_write_the_text_drafts_no_more() -> None:
    vocabulary = Vocabulary.of([b"a", b"", b""], control={1: "", 2: ""}, end=[1])
    row = np.array([np.log(0.5), np.log(0.5), -np.inf])
    only_a = Table("table:a", vocabulary, {(): row}, "")
    ensemble = Ensemble((only_a, narrow(1)))
    drafting = Drafting(0, ahead=2, max_bytes=2)

    def run(chance: Scripted) -> bytes:
        answer = speculate(ensemble, drafting=drafting, chance=chance)
        return answer.buffer + (b"." if answer.stop == "eos" else b"")

    found, expected = all_outcomes(run), exact(ensemble, 2)
    for text, p in expected.items():
        assert found[text] == pytest.approx(p, rel=1e-10), text


@pytest.mark.verify
def test_many_draws_are_as_the_ensemble_says() -> None:
    ensemble = Ensemble((random_table(3), random_table(8)), rule="mean")
    expected = exact(ensemble, 3)
    texts = Counter[bytes]()
    for seed in range(500):
        answer = speculate(ensemble, drafting=Drafting(0, 2, 3), seed=seed)
        texts[answer.buffer + (b"." if answer.stop == "eos" else b"")] += 1
    common = [text for text, p in expected.items() if p * 500 >= 5]
    rest = 500 - sum(texts[text] for text in common)
    counts = [*(texts[text] for text in common), rest]
    shares = [expected[text] for text in common]
    shares.append(1.0 - sum(shares))
    assert len(common) > 5
    assert chisquare(counts, np.array(shares) * 500).pvalue > 0.01


def test_greedy_speculation_is_greedy_decoding() -> None:
    ensemble = Ensemble((random_table(5), random_table(6)), rule="product")
    greedy = Sampling(temperature=0)
    plain = speculate(ensemble, drafting=Drafting(0, 0, 8, greedy))
    fast = speculate(ensemble, drafting=Drafting(1, 3, 8, greedy), seed=7)
    assert fast.buffer == plain.buffer
    assert fast.stop == plain.stop
    assert plain.drafted == 0
    with pytest.raises(NotEnoughData, match="nothing was drafted"):
        _ = plain.acceptance_rate


def words() -> Table:
    """Whole words of four letters, and each letter, one as probable as the other."""
    rng = np.random.default_rng(0)
    tokens = [b" cat", b" dog", b" owl", b"a", b"c", b"d", b"g", b"l", b"o", b"t", b"w"]
    control = {len(tokens): "<end>", len(tokens) + 1: "<start>"}
    vocabulary = Vocabulary.of([*tokens, b"", b""], control=control, end=[len(tokens)])
    rows = {}
    for after in [(), (0,), (1,), (2,)]:
        p = np.append(rng.dirichlet([9.0, 9.0, 9.0]), np.full(9, 1e-9))
        with np.errstate(divide="ignore"):
            rows[after] = np.log(np.append(p / p.sum(), 0.0))
    return Table("table:words", vocabulary, rows, "")


def test_reading_ahead_saves_passes_and_says_the_same() -> None:
    table = words()
    slow = Foresight(table)
    views = [ByteView(model, prune=0.01) for model in (table, slow)]
    text = b" cat dog dog owl"
    slow.expect(text)
    run = np.array([START, *text])
    rows = [view.extend([view.open()], [run])[1][0] for view in views]
    np.testing.assert_array_equal(rows[0], rows[1])
    assert slow.passes.calls == 2  # the start; the four words
    assert slow.passes.asked == 5
    assert slow.passes.remembered == 3
    assert slow.passes.tokens == 1 + 1 + 2 + 3 + 4
    other = Foresight(table)
    other.expect(b" dog dog dog")
    view = ByteView(other, prune=0.01)
    np.testing.assert_array_equal(view.extend([view.open()], [run])[1][0], rows[0])
    assert other.passes.calls == 5


def test_a_slower_member_is_asked_in_fewer_passes() -> None:
    table = words()
    ensemble = Ensemble((table, table), prune=0.01)
    plain = speculate(ensemble, drafting=Drafting(0, 0, 64), seed=3)
    fast = speculate(ensemble, drafting=Drafting(0, 12, 64), seed=3)
    assert fast.kept == fast.drafted  # a model with itself keeps everything
    assert fast.passes[1].calls < 0.6 * plain.passes[1].calls
    assert fast.passes[0].calls <= plain.passes[0].calls + fast.rounds
    rate = fast.acceptance_rate
    assert rate.value == pytest.approx(1.0)
    assert rate.recipe.settings["kept"] == fast.kept
    assert len(fast.logp) == len(fast.buffer)


def test_the_acceptance_rate_is_the_overlap_and_has_an_interval() -> None:
    ensemble = Ensemble((read_table("topics"), read_table("topics")))
    other = Ensemble((narrow(1), narrow(2)))
    answers = [
        speculate(other, drafting=Drafting(0, 3, 40), seed=seed) for seed in range(8)
    ]
    kept = sum(answer.kept for answer in answers)
    judged = np.concatenate([answer.overlap for answer in answers])
    spread = np.sqrt(len(judged) * judged.mean() * (1 - judged.mean()))
    assert abs(kept - judged.sum()) < 4 * spread
    long = speculate(ensemble, drafting=Drafting(0, 4, 130), seed=1).acceptance_rate
    assert long.low is not None
    assert long.low <= 1.0 <= (long.high or 0.0)
    short = speculate(ensemble, drafting=Drafting(0, 4, 20), seed=1).acceptance_rate
    assert short.low is None
    assert "no_interval" in short.recipe.settings


def test_what_is_no_drafting_is_refused() -> None:
    both = Ensemble((read_table("coin"), read_table("coin")))
    with pytest.raises(InvalidInput, match="member 2 of 2 is to draft"):
        speculate(both, drafting=Drafting(2))
    with pytest.raises(InvalidInput, match="max_bytes is 0"):
        Drafting(max_bytes=0)
    with pytest.raises(InvalidInput, match="numbers from 0 on"):
        Drafting(ahead=-1)
    with pytest.raises(InvalidInput, match="seed is -1"):
        Random(-1)
