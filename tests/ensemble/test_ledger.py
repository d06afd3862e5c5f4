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
    expected = 0.01 * 0.02 / 0.9 / 257  # no digit begins a word: one symbol of all
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
