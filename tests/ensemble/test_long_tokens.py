"""A text that leaves a long token is written by what waited, and well accounted for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nescio.ensemble.byte_view import START, ByteView
from nescio.errors import ContextOverflow
from nescio.models.table import Table
from nescio.models.vocabulary import Vocabulary
from tests.ensemble.tables import prefix, random_table
from tests.ensemble.test_ledger import check, long_words, walked


def many_lengths(longest: int) -> Table:
    """One long word of one letter; shorter ones of every length are rare, and a b."""
    tokens = [b"b", *(b"a" * n for n in range(1, longest + 1)), b"a" * (2 * longest)]
    size = len(tokens)
    vocabulary = Vocabulary.of(
        [*tokens, b"", b""],
        control={size: "<end>", size + 1: "<start>"},
        end=[size],
    )
    p = np.array([*[1e-4] * (size - 1), 0.0, 1e-4, 0.0])
    p[size - 1] = 1 - p.sum()
    with np.errstate(divide="ignore"):
        return Table("table:lengths", vocabulary, {(): np.log(p)}, "lengths")


def test_what_is_missing_after_a_long_token_is_near_what_is_missing() -> None:
    """Of 37 tokens that end while nothing lives 5 are given up, not the likeliest."""
    table = many_lengths(9)
    text = b"a" * 9 + b"baa"
    found = check(table, ByteView(table, prune=0.01), text)
    assert len(found) == 1 + len(text)
    left = found[10]
    assert left.log_gone > -np.inf
    for context in found[10:]:
        exact = prefix(table, text[: context.length - 1])
        true = 1 - np.exp(context.log_kept) / exact
        assert true < 0.02
        assert context.missing == pytest.approx(true, abs=0.02)


def test_what_waited_behind_what_waited_is_never_more_than_all() -> None:
    """Beside the few spellings followed it may be heavier than they are."""
    late = 0
    for seed in range(20):
        table = random_table(seed)
        for context in check(table, ByteView(table, most=1), b"abbaabab"):
            assert context.missing < 1.0
            assert all(one.log_share <= 0.0 for one in context.waiting)
            late += sum(one.log_share > np.log(0.5) for one in context.waiting)
    assert late > 0


def doubled() -> Table:
    """Forty rare tokens "a" beside a usual one, before "c" and one long word."""
    tokens = [b"a", b"b", b"c", b"b" * 20, *[b"a"] * 40]
    size = len(tokens)
    vocabulary = Vocabulary.of(
        [*tokens, b"", b""],
        control={size: "<end>", size + 1: "<start>"},
        end=[size],
    )
    base = np.array([0.79, 1e-6, 1e-6, 1e-6, *[0.005] * 40, 0.0, 0.0])
    then = np.array([1e-9, 1e-9, 1.0, 1e-9, *[1e-9] * 40, 0.0, 0.0])
    word = np.array([1e-9, 1e-9, 1e-9, 1.0, *[1e-9] * 40, 0.0, 0.0])
    with np.errstate(divide="ignore"):
        rows = {
            after: np.log(row / row.sum())
            for after, row in (((), base), ((0,), then), ((2,), word))
        }
    return Table("table:doubled", vocabulary, rows, "doubled")


@pytest.mark.parametrize("length", [3, 4, 5, 9, 19])
def test_heavier_spellings_of_before_crowd_out_none_that_can_leave(length: int) -> None:
    """Forty that ended before the word are soon forgotten; one behind it must stay."""
    table = doubled()
    text = b"ac" + b"b" * length + b"c"
    found = list(walked(ByteView(table, prune=0.01), text))
    assert len(found) == 1 + len(text)
    for context in found[3:-1]:
        assert len(context.waiting) <= 32
        assert any(one.age < context.length - 3 for one in context.waiting)


def limited(table: Table, length: int) -> Any:
    """The table, as a model that sees only so many tokens."""

    class Limited:
        context_length = length
        open, extend = table.open, table.extend

        def __getattr__(self, name: str) -> Any:
            return getattr(table, name)

    return Limited()


def test_where_what_waits_has_no_room_the_context_is_full() -> None:
    """Behind the long word there are eight letters, of which two have room."""
    table = long_words(8, 0.0)
    text = [START, *b"aaaaaaab"]
    view = ByteView(limited(table, 3), prune=0.01)
    (context,), _ = view.extend([view.open()], [np.array(text[:-1])])
    with pytest.raises(ContextOverflow, match="has 3 tokens"):
        view.read([context], text[-1:])
    roomy = ByteView(limited(table, 9), prune=0.01)
    (longer,), _ = roomy.extend([roomy.open()], [np.array(text)])
    assert longer.log_kept == pytest.approx(np.log(prefix(table, b"a" * 7 + b"b")))


def test_where_anything_goes_on_what_has_no_room_is_lost() -> None:
    """Beside another long word that goes on, the letters are in the ledger."""
    table = long_words(8, 1e-12)
    view = ByteView(limited(table, 2), prune=0.01)
    *_, context = walked(view, b"aaaaaaab")
    assert context.length == 9
    assert np.exp(context.log_kept) == pytest.approx(1e-12)
    assert not context.waiting
    low, high = np.exp(context.bounds)
    assert low <= prefix(table, b"aaaaaaab") <= high
