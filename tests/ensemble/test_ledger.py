"""What is not followed is accounted for: bounds that hold, whatever is pruned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nescio.ensemble.branches import END
from nescio.ensemble.byte_view import START, ByteContext, ByteView
from nescio.ensemble.joining import Ensemble
from nescio.errors import InvalidInput, InvalidText
from nescio.models.table import Table
from nescio.models.vocabulary import Vocabulary
from tests.ensemble.tables import ended, prefix, random_table

SHARES = (0.0, 1e-4, 1e-3, 1e-2, 0.03, 0.1)


def walked(view: ByteView, text: bytes) -> Iterator[ByteContext]:
    """The contexts along a text, as far as the view can write it."""
    context = view.open()
    for symbol in (START, *text):
        try:
            (context,), _ = view.extend([context], [np.array([symbol])])
        except InvalidText:
            return
        yield context


def check(table: Table, view: ByteView, text: bytes) -> list[ByteContext]:
    """The bounds hold the enumerated probability after every byte."""
    found = list(walked(view, text))
    for context in found:
        exact = prefix(table, text[: context.length - 1])
        low, high = np.exp(context.bounds)
        assert low <= exact * (1 + 1e-12)
        assert exact <= high * (1 + 1e-12)
        after = [prefix(table, text[: context.length - 1] + bytes([b])) for b in b"ab"]
        apart = np.array(after) / exact - np.exp(context.logp[list(b"ab")])
        distance = np.abs(apart).sum() / 2
        assert np.exp(context.logp).sum() == pytest.approx(1.0, rel=1e-12)
        assert distance <= context.doubt + 1e-12
        assert 0.0 <= context.missing <= 1.0
    return found


@pytest.mark.parametrize("share", SHARES)
def test_the_bounds_hold_what_enumeration_says(share: float) -> None:
    lost = 0
    for seed in range(25):
        table = random_table(seed, order=1 + seed % 2)
        found = check(table, ByteView(table, prune=share), b"abba")
        lost += sum(context.log_lost > -np.inf for context in found)
    assert (lost == 0) == (share == 0.0) or share == 1e-4


@pytest.mark.parametrize("most", [1, 2])
def test_the_bounds_hold_where_only_a_few_spellings_go_on(most: int) -> None:
    lost = 0
    for seed in range(25):
        table = random_table(seed)
        found = check(table, ByteView(table, most=most), b"abab")
        lost += sum(context.log_lost > -np.inf for context in found)
    assert lost > 0


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    share=st.floats(0.0, 0.1),
    text=st.lists(st.sampled_from(b"ab"), max_size=5).map(bytes),
)
def test_no_model_share_or_text_breaks_the_bounds(
    seed: int, share: float, text: bytes
) -> None:
    table = random_table(seed)
    check(table, ByteView(table, prune=share), text)


def test_what_is_missing_is_near_what_the_bounds_leave_open() -> None:
    found, true = [], []
    for seed in range(40):
        table = random_table(seed)
        for context in list(walked(ByteView(table, prune=0.05), b"abab"))[3:4]:
            text = bytes(s for s in context.symbols if s != START)
            exact = prefix(table, text)
            found.append(context.missing)
            true.append(1 - float(np.exp(context.log_kept)) / exact)
    assert np.mean(true) > 0.01
    assert np.mean(found) == pytest.approx(np.mean(true), abs=0.01)


def digits(space: float, *, rare: float | None = None) -> Table:
    """Words in one token; a digit only behind a space of its own, which is rare.

    Of the two words the second may be rarer.
    """
    tokens = [b" the", b" a", b" ", b"1", b"2", b"21"]
    vocabulary = Vocabulary.of(
        [*tokens, b"", b""], control={6: "<end>", 7: "<start>"}, end=[6]
    )
    word = (1 - space) / 2 - 0.05
    with np.errstate(divide="ignore"):
        other = word if rare is None else rare
        base = np.log([2 * word - other, other, space, 0.0, 0.0, 0.0, 0.1, 0.0])
        behind = np.log([0.0, 0.0, 0.0, 0.3, 0.3, 0.3, 0.1, 0.0])
    return Table("table:digits", vocabulary, {(): base, (2,): behind}, "digits")


def test_what_only_a_pruned_spelling_can_write_is_written_by_it() -> None:
    table = digits(0.02)
    near = list(walked(ByteView(table, prune=0.1), b" the 2 a"))
    assert len(near) == 9
    set_aside, revived = near[5], near[6]
    assert set_aside.log_masses[ord("2")] == -np.inf
    # No digit begins a word: one symbol of all, behind either space that waits.
    expected = 2 * 0.01 * 0.02 / 0.9 / 257
    assert np.exp(set_aside.logp[ord("2")]) == pytest.approx(expected, rel=0.2)
    exact = prefix(table, b" the 2")
    assert np.exp(revived.log_kept) == pytest.approx(exact, rel=1e-12)
    assert np.exp(near[-1].log_kept) == pytest.approx(prefix(table, b" the 2 a"))
    said = [one.logp[byte] for one, byte in zip(near[:-1], b" the 2 a", strict=True)]
    assert near[-1].log_said == pytest.approx(sum(said))
    for context in near:
        low, high = np.exp(context.bounds)
        exact = prefix(table, context.text)
        assert low <= exact * (1 + 1e-12)
        assert exact <= high * (1 + 1e-12)


def test_a_text_may_end_behind_a_pruned_spelling() -> None:
    table = digits(0.02)
    view = ByteView(table, prune=0.1)
    end = np.array([START, *b" the ", END])
    (context,), _ = view.extend([view.open()], [end])
    assert np.exp(context.log_kept) == pytest.approx(ended(table, b" the "), rel=1e-12)
    *_, before = walked(view, b" the ")
    told = before.log_said + float(before.logp[END])
    assert context.log_said == pytest.approx(told, rel=1e-12)


def test_a_rewind_remembers_what_was_set_aside() -> None:
    view = ByteView(digits(0.02), prune=0.1)
    *_, space, digit, last = walked(view, b" the 2 ")
    back = last.rewind(space.length)
    np.testing.assert_array_equal(back.logp, space.logp)
    assert len(back.waiting) == len(space.waiting) > 0
    (again,), _ = view.extend([back], [np.array([ord("2")])])
    assert again.log_kept == pytest.approx(digit.log_kept, abs=1e-12)
    within = last.rewind(digit.length)
    np.testing.assert_allclose(within.logp, digit.logp, atol=1e-12)
    assert within.log_masses[ord("1")] > -np.inf


def test_what_no_spelling_writes_is_still_refused() -> None:
    view = ByteView(digits(0.02), prune=0.1)
    *_, space = walked(view, b" the ")
    with pytest.raises(InvalidText, match="byte 0x7a no probability"):
        view.extend([space], [np.array([ord("z")])])


def test_members_with_pruned_views_forbid_each_other_nothing() -> None:
    both = Ensemble((digits(0.02), digits(0.02)), rule="product", prune=0.1)
    run = np.array([START, *b" the "])
    (context,), logp = both.extend([both.open()], [run])
    assert logp[0, ord("2")] > -np.inf
    (longer,), _ = both.extend([context], [np.array([ord("2")])])
    assert all(longer.members)


def test_a_member_that_turns_out_unable_to_write_leaves() -> None:
    other = ByteView(random_table(4))
    both = Ensemble((ByteView(digits(0.02), prune=0.1), other), rule="mean")
    (context,), _ = both.extend([both.open()], [np.array([START])])
    expecting = context.members[0].logp.copy()
    expecting[ord("a")] = -1.0
    stuck = replace(context.members[0], waiting=())
    vars(stuck)["logp"] = expecting
    context = both.joined(context.symbols, (stuck, context.members[1]))
    (longer,), _ = both.extend([context], [np.array([ord("a")])])
    assert longer.members[0] is None


def test_a_limit_of_spellings_is_at_least_one() -> None:
    with pytest.raises(InvalidInput, match="most is 0"):
        ByteView(random_table(1), most=0)


def test_what_is_lost_becomes_less_where_what_waited_is_followed() -> None:
    less = 0
    for seed in range(25):
        table = random_table(seed, order=1 + seed % 2)
        found = check(table, ByteView(table, prune=0.2), b"abbaab")
        less += sum(a.log_lost > b.log_lost for a, b in pairwise(found))
    assert less > 0


def test_what_waits_is_asked_with_others_and_leaves_the_ledger() -> None:
    """A space waits before each word, and is asked in the same pass as the word."""
    table, rows = digits(0.05, rare=0.02), list[int]()

    class Counted:
        def __getattr__(self, name: str) -> Any:
            return getattr(table, name)

        def extend(self, contexts: Any, tokens: Any) -> Any:
            rows.append(len(tokens))
            return table.extend(contexts, tokens)

        open = table.open

    view = ByteView(Counted(), prune=0.1)
    _, space, word, *_, digit = walked(view, b" a 2")
    # The start; a word and a space before it; the space before a digit, and the digit.
    assert rows == [1, 2, 1, 1]
    assert np.exp(space.log_lost) == pytest.approx(0.05)
    assert (len(space.waiting), word.waiting, word.log_lost) == (1, (), -np.inf)
    assert np.exp(word.log_kept) == pytest.approx(prefix(table, b" a"), rel=1e-12)
    assert np.exp(digit.log_kept) == pytest.approx(prefix(table, b" a 2"), rel=1e-12)


def test_what_is_forgotten_stays_in_the_ledger() -> None:
    forgotten = 0
    for seed in range(12):
        table = random_table(seed)
        found = check(table, ByteView(table, prune=0.3), b"abbaababba")
        forgotten += sum(context.log_gone > -np.inf for context in found)
    assert forgotten > 0


def dense(seed: int) -> Table:
    """Every token may follow every other, single letters and long words."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(6, 13, size=3)
    words = [rng.choice([97, 98], size=n).astype(np.uint8).tobytes() for n in lengths]
    tokens = [b"a", b"b", *words, b"", b""]
    size = len(tokens)
    vocabulary = Vocabulary.of(
        tokens, control={size - 2: "<end>", size - 1: "<start>"}, end=[size - 2]
    )
    rows = {}
    for context in [(), *((token,) for token in range(size - 2))]:
        p = rng.dirichlet([0.02, 0.02, *[1.0] * (size - 4), 0.3]) + 1e-6
        with np.errstate(divide="ignore"):
            rows[context] = np.append(np.log(p / p.sum()), -np.inf)
    return Table(f"table:dense-{seed}", vocabulary, rows, f"{seed}")


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    share=st.sampled_from([0.01, 0.1, 0.5]),
    words=st.lists(st.tuples(st.integers(0, 2), st.integers(3, 13)), max_size=2),
    rest=st.lists(st.sampled_from(b"ab"), max_size=3).map(bytes),
)
def test_a_text_that_some_spelling_writes_is_never_refused(
    seed: int, share: float, words: list[tuple[int, int]], rest: bytes
) -> None:
    """Also where it leaves a long word at its end, long after all others were aside."""
    table = dense(seed)
    text = b"".join(table.vocabulary.token(2 + n)[:cut] for n, cut in words) + rest
    found = check(table, ByteView(table, prune=share), text)
    assert len(found) == 1 + len(text)


def long_words(length: int, rare: float) -> Table:
    """A word of one letter, a rare one that differs at its end, and single letters."""
    words = [b"a" * length, b"a" * (length - 1) + b"bb"]
    vocabulary = Vocabulary.of(
        [b"a", b"b", *words, b"", b""], control={4: "<end>", 5: "<start>"}, end=[4]
    )
    usual = [0.001, 0.001, 0.9, rare, 0.098 - rare, 0.0]
    behind = [0.997, 0.001, 0.0005, rare, 0.0015 - rare, 0.0]  # letters follow letters
    contexts = [(), *((token,) for token in range(4))]
    with np.errstate(divide="ignore"):
        rows = {one: np.log(behind if one == (0,) else usual) for one in contexts}
    return Table("table:long", vocabulary, rows, "long")


@pytest.mark.parametrize("length", [8, 16, 24])
@pytest.mark.parametrize("rare", [0.0, 1e-12])
def test_what_leaves_a_long_word_is_not_thought_less_of_for_its_length(
    length: int, rare: float
) -> None:
    """One letter waits since the word began, a share of 1/900."""
    table = long_words(length, rare)
    text = b"a" * (length - 1) + b"b"
    found = check(table, ByteView(table, prune=0.01), text)
    assert len(found) == 1 + len(text)
    *_, before, left = found
    assert len(before.waiting) == 1
    expected = np.log(0.01 / 900 / 257)
    assert before.logp[ord("b")] == pytest.approx(expected, abs=0.1)
    assert np.exp(left.log_kept) == pytest.approx(prefix(table, text), rel=0.01)


def test_the_last_spelling_is_asked_as_often_as_it_takes() -> None:
    """47 letters, one a pass, where nothing else is left of the text."""
    table, text = long_words(48, 0.0), b"a" * 47 + b"b"
    found = check(table, ByteView(table, prune=0.01), text)
    assert len(found) == 1 + len(text)
    assert np.exp(found[-1].log_kept) == pytest.approx(prefix(table, text), rel=0.01)


def test_what_waits_since_a_prompt_is_not_missing_of_what_follows() -> None:
    view = ByteView(long_words(16, 0.0), prune=0.01, reopen=99)
    context = view.begin("aaaaaaaaaa")
    assert context.prompt is not None
    assert context.prompt.log_lost > -np.inf
    assert context.waiting
    assert context.missing == 0.0
    (longer,) = view.read([context], [ord("a")])
    assert longer.waiting
    assert longer.missing == 0.0
    for back in (longer.rewind(1), longer.rewind(2)):
        assert back.missing == 0.0
        assert [one.counted for one in back.waiting] == [False] * len(back.waiting)


def test_what_was_given_up_is_named_where_nothing_is_left() -> None:
    """Of two tokens "y" only the one behind "x" is ever followed by "z"."""
    vocabulary = Vocabulary.of(
        [b"xx", b"x", b"y", b"y", b"z", b"", b""],
        control={5: "<end>", 6: "<start>"},
        end=[5],
    )
    with np.errstate(divide="ignore"):
        rows = {
            (): np.log([0.999, 0.001, 0, 0, 0, 0, 0]),
            (0,): np.log([0, 0, 1.0, 0, 0, 0, 0]),
            (1,): np.log([0, 0.5, 0, 0.5, 0, 0, 0]),
            (2,): np.log([0, 0, 0.9, 0, 0, 0.1, 0]),
            (3,): np.log([0, 0, 0, 0.5, 0.5, 0, 0]),
            (4,): np.log([0, 0, 0, 0, 0, 1.0, 0]),
        }
    table = Table("table:only-behind", vocabulary, rows, "only-behind")
    assert prefix(table, b"xxyyyyyyz") > 0
    *_, soon = walked(ByteView(table, prune=0.01), b"xxyz")
    assert soon.log_kept == pytest.approx(np.log(prefix(table, b"xxyz")))
    *_, context = walked(ByteView(table, prune=0.01), b"xxyyyyyy")
    assert context.log_gone > -np.inf
    with pytest.raises(InvalidText, match=r"given up; give up less \(prune is 0\.01"):
        context.view.read([context], [ord("z")])
