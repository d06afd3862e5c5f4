"""Traps of vocabularies, each by its name: what a view as bytes must not fall for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models

from nescio.ensemble import lexicon as lexicons
from nescio.ensemble.branches import END, shares_of
from nescio.ensemble.byte_view import START, ByteContext, ByteView
from nescio.ensemble.lexicon import lexicon_of
from nescio.errors import InvalidInput, InvalidText
from nescio.models.pieces import vocabulary_of
from nescio.models.table import Table
from nescio.models.vocabulary import Vocabulary
from tests.ensemble.tables import ended, prefix, random_table


def read(view: ByteView, text: bytes) -> ByteContext:
    (context,), _ = view.extend([view.open()], [np.array([START, *text])])
    return context


def said(view: ByteView, text: bytes) -> float:
    return float(np.exp(read(view, text).log_kept))


def table_of(backend: Any, shares: Mapping[str, float]) -> Table:
    """A model without memory over the pieces of a backend, an end and a start."""
    pieces = backend.get_vocab()
    inner = vocabulary_of(backend, len(pieces))
    size = inner.size
    tokens = [inner.token(token) for token in range(size)]
    vocabulary = Vocabulary.of(
        [*tokens, b"", b""], control={size: "<end>", size + 1: "<start>"}, end=[size]
    )
    p = np.zeros(size + 2)
    p[size] = 1.0 - sum(shares.values())
    for piece, share in shares.items():
        p[pieces[piece]] = share
    with np.errstate(divide="ignore"):
        return Table("table:pieces", vocabulary, {(): np.log(p)}, "pieces")


def sentencepiece(*pieces: str) -> Any:
    known = {piece: number for number, piece in enumerate(pieces)}
    backend = Tokenizer(models.BPE(known, []))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence(steps)
    return backend


def test_a_mark_of_a_space_is_a_space_and_a_byte_piece_a_byte() -> None:
    backend = sentencepiece("a", "▁a", "▁", "<0xE2>", "<0x96>", "<0x81>", "<0x20>")
    shares = {"a": 0.2, "▁a": 0.2, "▁": 0.1, "<0x20>": 0.1}
    shares |= {"<0xE2>": 0.1, "<0x96>": 0.1, "<0x81>": 0.1}
    view = ByteView(table_of(backend, shares))
    assert said(view, b" ") == pytest.approx(0.4)
    assert said(view, b" a") == pytest.approx(0.2 + 0.2 * 0.4 - 0.2 * 0.2 + 0.2 * 0.0)
    assert said(view, "▁".encode()) == pytest.approx(0.1**3)


def test_a_letter_that_looks_like_a_byte_level_space_is_not_one() -> None:
    backend = Tokenizer(models.BPE({"Ġ": 0, "Ä": 1, "ł": 2, "ĠÄ": 3}, []))
    backend.decoder = decoders.ByteLevel()
    shares = {"Ġ": 0.4, "Ä": 0.2, "ł": 0.1, "ĠÄ": 0.1}
    view = ByteView(table_of(backend, shares))
    assert said(view, b" ") == pytest.approx(0.5)
    assert said(view, "Ġ".encode()) == pytest.approx(0.2 * 0.1)


def test_a_character_cut_across_tokens_has_all_its_spellings() -> None:
    tokens = [b"\xe7", b"\x8c", b"\xab", b"\xe7\x8c", b"\x8c\xab", "猫".encode()]
    vocabulary = Vocabulary.of(
        [*tokens, b"", b""], control={6: "<end>", 7: "<start>"}, end=[6]
    )
    p = np.array([0.2, 0.1, 0.1, 0.15, 0.15, 0.2, 0.1, 0.0])
    with np.errstate(divide="ignore"):
        table = Table("table:cat", vocabulary, {(): np.log(p)}, "cat")
    expected = 0.2 + 0.15 * 0.1 + 0.2 * 0.15 + 0.2 * 0.1 * 0.1
    assert said(ByteView(table), "猫".encode()) == pytest.approx(expected, rel=1e-12)
    assert read(ByteView(table), b"\xe7\x8c").log_masses[0xAB] > -np.inf


def test_padded_rows_and_control_tokens_take_no_part() -> None:
    tokens = [b"a", b"", b"", b"", b""]
    labels = {1: "<end>", 2: "<unused>", 3: "<pad:3>", 4: "<start>"}
    vocabulary = Vocabulary.of(tokens, control=labels, end=[1])
    with np.errstate(divide="ignore"):
        row = np.log([0.2, 0.1, 0.3, 0.4, 0.0])
    view = ByteView(Table("table:padded", vocabulary, {(): row}, "padded"))
    context = read(view, b"")
    assert np.exp(context.log_kept) == pytest.approx(1.0)
    assert np.exp(context.log_masses[ord("a")]) == pytest.approx(2 / 3)
    assert np.exp(context.log_masses[END]) == pytest.approx(1 / 3)


def test_all_tokens_that_end_a_text_are_one_end() -> None:
    vocabulary = Vocabulary.of(
        [b"a", b"", b"", b""],
        control={1: "<end>", 2: "<turn>", 3: "<start>"},
        end=[1, 2],
    )
    with np.errstate(divide="ignore"):
        row = np.log([0.5, 0.2, 0.3, 0.0])
    view = ByteView(Table("table:ends", vocabulary, {(): row}, "ends"))
    assert np.exp(read(view, b"a").log_masses[END]) == pytest.approx(0.25)


def test_a_text_never_spells_a_control_token() -> None:
    vocabulary = Vocabulary.of(
        [b"a", b"", b""], control={1: "<end>", 2: "<start>"}, end=[1]
    )
    with np.errstate(divide="ignore"):
        row = np.log([0.5, 0.5, 0.0])
    view = ByteView(Table("table:end", vocabulary, {(): row}, "end"))
    with pytest.raises(InvalidText, match="byte 0x3c no probability"):
        read(view, b"<end>")


def test_a_vocabulary_that_spells_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no token"):
        lexicon_of(Vocabulary.of([b"", b""], control={0: "<a>", 1: "<b>"}))


@dataclass(frozen=True, eq=False)
class Single(Table):
    """A table as an engine gives it: logits in float32, and not normalised."""

    shift: float = 0.0

    def extend(self, contexts: Any, tokens: Any) -> Any:
        longer, logits = super().extend(contexts, tokens)
        return longer, (logits + self.shift).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shift", [0.0, 30.0, -400.0])
def test_logits_in_float32_lose_no_more_than_their_own_digits(
    seed: int, shift: float
) -> None:
    table = random_table(seed)
    single = Single(table.name, table.vocabulary, table.rows, table.digest, shift)
    view, parts = ByteView(single), 0.0
    context = read(view, b"")
    for byte in b"abab":
        if context.log_masses[byte] == -np.inf:
            break
        parts += context.log_masses[byte] - context.log_kept
        (context,), _ = view.extend([context], [np.array([byte])])
        exact = prefix(table, bytes(s for s in context.symbols if s != START))
        assert np.exp(context.log_kept) == pytest.approx(exact, rel=2e-4)
        assert context.log_kept == pytest.approx(parts, abs=1e-12)


def test_a_token_far_below_the_others_is_not_lost_in_float32() -> None:
    lexicon = lexicon_of(Vocabulary.of([b"a", b"b", b""], control={2: "<end>"}))
    logits = np.array([0.0, -150.0, -np.inf], dtype=np.float32)
    shares = shares_of(logits, lexicon, np.array([2]))
    assert np.log(shares.sums) == pytest.approx([0.0, -150.0])
    for row in ([np.nan, 0.0, 0.0], [0.0, 0.0, np.nan], [-np.inf] * 3, [np.inf, 0, 0]):
        with pytest.raises(InvalidInput, match="no token has any probability"):
            shares_of(np.array(row, dtype=np.float32), lexicon, np.array([2]))


def test_what_is_known_of_a_vocabulary_does_not_grow_without_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lexicons, "_KEPT", 1)
    table = random_table(4)
    view = ByteView(table)
    object.__setattr__(view, "lexicon", lexicon_of(table.vocabulary))
    for text in (b"abab", b"baba"):
        assert said(view, text) == pytest.approx(prefix(table, text), rel=1e-12)
    assert len(view.lexicon._known) <= 1


@pytest.mark.parametrize("seed", range(6))
def test_a_rewind_is_the_text_read_anew(seed: int) -> None:
    table = random_table(seed, order=2)
    for given in ({}, {"prune": 0.05}, {"spelling": "canonical"}):
        view = ByteView(table, **given)
        try:
            long = read(view, b"abbab")
        except InvalidText:
            continue
        if ended(table, b"abbab") > 0.0 and long.log_masses[END] > -np.inf:
            (long,), _ = view.extend([long], [np.array([END])])
        for length in range(1, long.length + 1):
            back = long.rewind(length)
            anew = read(view, b"abbab"[: length - 1]) if length <= 6 else long
            check_same(back, anew)
            if 1 < length < 6:
                (on,), _ = view.extend([back], [np.array([b"abbab"[length - 1]])])
                check_same(on, read(view, b"abbab"[:length]))
                check_same(on.rewind(length), anew)


def check_same(one: ByteContext, other: ByteContext) -> None:
    np.testing.assert_array_equal(one.logp, other.logp)
    assert len(one.waiting) == len(other.waiting)
    assert one.symbols == other.symbols
    assert one.log_kept == other.log_kept
    assert one.log_lost == other.log_lost
    assert one.log_followed == other.log_followed
    assert len(one.branches) == len(other.branches)


def test_a_rewind_asks_the_model_once_and_for_few_tokens() -> None:
    asked: list[Sequence[int]] = []

    class Listening(Table):
        def extend(self, contexts: Any, tokens: Any) -> Any:
            asked.append([len(run) for run in tokens])
            return super().extend(contexts, tokens)

    vocabulary = Vocabulary.of(
        [b"a", b"ab", b"b", b"", b""], control={3: "<end>", 4: "<start>"}, end=[3]
    )
    with np.errstate(divide="ignore"):
        row = np.log([0.3, 0.3, 0.2, 0.2, 0.0])
    view = ByteView(Listening("table:heard", vocabulary, {(): row}, "x"), prune=0.05)
    long = read(view, b"ab" * 30)
    asked.clear()
    long.rewind(40)
    assert len(asked) == 1
    assert sum(asked[0]) <= 3 * len(asked[0])


def test_a_prompt_can_be_rewound_to_and_no_further_than_before_it() -> None:
    view = ByteView(random_table(5), prune=0.01)
    context = view.begin("abba")
    (longer,), _ = view.extend([context], [np.array([97, 98])])
    check_same(longer.rewind(1), context)
    assert longer.rewind(0).symbols == ()


def test_before_anything_is_read_nothing_is_predicted() -> None:
    assert (ByteView(random_table(4)).open().logp == -np.inf).all()


def test_only_its_own_spelling_is_one_sequence_however_long() -> None:
    vocabulary = Vocabulary.of(
        [b"a", b"aa", b"b", b"", b""], control={3: "<end>", 4: "<start>"}, end=[3]
    )
    with np.errstate(divide="ignore"):
        row = np.log([0.3, 0.3, 0.2, 0.2, 0.0])
    view = ByteView(
        Table("table:own", vocabulary, {(): row}, "x"), spelling="canonical"
    )
    text = b"aab" * 40
    context = read(view, text)
    exact = 80 * np.log(1.0) + 40 * (np.log(0.3) + np.log(0.2))
    assert len([b for b in context.branches if b.depth == 0]) == 1
    assert context.log_kept == pytest.approx(exact, rel=1e-12)
