"""Counts of the leading answers while samples come: a display, or plain lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nescio.cli.options import console
from nescio.visible import visible

if TYPE_CHECKING:
    from nescio.consistency.answers import Sorting
    from nescio.trace import Sample

__all__ = ["Count", "counting"]

_ROWS = 6
_TRACK = 20
_LONGEST = 400  # characters of an answer that are looked at to show it
_LINES = 10  # of a run that is not shown on a terminal


@dataclass(eq=False)
class Count:
    """The votes so far.

    Args:
        sorting: what an answer is and when two are the same.
        total: how many samples there may be.
        votes: by key, in the order of first appearance.
        shown: of each key the first answer.
    """

    sorting: Sorting
    total: int
    drawn: int = 0
    invalid: int = 0
    votes: dict[str, int] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)

    def add(self, sample: Sample) -> None:
        """One more sample."""
        from nescio.consistency.answers import answers_of
        from nescio.evaluation.choosing import said_in

        self.drawn += 1
        one = answers_of([sample.text], self.sorting)
        if not one.keys:
            self.invalid += 1
            return
        (key,) = one.keys
        self.votes[key] = self.votes.get(key, 0) + 1
        self.shown.setdefault(key, said_in(one, self.sorting)[0])

    @property
    def leading(self) -> list[tuple[str, int]]:
        """Answers and votes, most first; of equal ones that which came first."""
        order = sorted(self.votes, key=lambda key: -self.votes[key])
        return [(self.shown[key], self.votes[key]) for key in order]

    def line(self) -> str:
        """The counts in one line."""
        said = [f"{votes} × {_short(text, 40)}" for text, votes in self.leading[:3]]
        more = len(self.votes) - 3
        others = "other answer" if more == 1 else "other answers"
        said += [f"{more} {others}"] if more > 0 else []
        said += [f"{self.invalid} without an answer"] if self.invalid else []
        return f"{self.drawn} of {self.total}: " + ", ".join(said)


@contextmanager
def counting(
    sorting: Sorting, total: int, *, quiet: bool, at_most: bool = False
) -> Iterator[Callable[[int, Sample], None]]:
    """What is called with each sample; shows the counts on standard error.

    Args:
        sorting: what an answer is.
        total: how many samples there may be.
        quiet: show nothing.
        at_most: whether fewer may suffice.
    """
    count = Count(sorting, total)
    if quiet:
        yield lambda _number, _sample: None
    elif sys.stderr.isatty():
        yield from _shown_live(count, at_most)
    else:
        yield _lines(count)


def _lines(count: Count) -> Callable[[int, Sample], None]:
    step = max(1, -(-count.total // _LINES))
    out = console(stderr=True)

    def tell(_number: int, sample: Sample) -> None:
        count.add(sample)
        if count.drawn % step == 0 or count.drawn == count.total:
            out.print(count.line(), soft_wrap=True)

    return tell


def _shown_live(count: Count, at_most: bool) -> Iterator[Callable[[int, Sample], None]]:
    from rich.live import Live

    with Live(
        _table(count, at_most),
        console=console(stderr=True),
        transient=True,
        refresh_per_second=8,
    ) as live:

        def tell(_number: int, sample: Sample) -> None:
            count.add(sample)
            live.update(_table(count, at_most))

        yield tell


def _table(count: Count, at_most: bool) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right")
    table.add_column()
    table.add_column(no_wrap=True, overflow="ellipsis")
    most = "at most " if at_most else ""
    noun = "answer" if count.drawn == 1 else "answers"
    table.add_row("", "", Text(f"{count.drawn} {noun} of {most}{count.total}"))
    largest = max(count.votes.values(), default=1)
    for text, votes in count.leading[:_ROWS]:
        bar = "█" * max(1, round(_TRACK * votes / largest))
        table.add_row(str(votes), Text(bar), Text(_short(text, _LONGEST)))
    rest = sum(votes for _, votes in count.leading[_ROWS:])
    if rest:
        more = len(count.votes) - _ROWS
        noun = "answer" if more == 1 else "answers"
        table.add_row(str(rest), "", Text(f"in {more} other {noun}"))
    if count.invalid:
        table.add_row(str(count.invalid), "", Text("without a valid answer"))
    return table


def _short(text: str, most: int) -> str:
    cut = " ".join(text[: 2 * most].split())
    whole = len(cut) <= most and len(text) <= 2 * most
    return visible(cut[:most]) + ("" if whole else "…")
