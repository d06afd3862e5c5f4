"""The cells of one step of agreement-based beam search, best first.

A cell is one token for every member that runs. Where some member is ahead of others
these run and it does not; where all are level all run. Of the grid of all cells those
are given whose members' texts all begin the longest of them, in the order of their
scores and without visiting the others: whichever member is the longest, the rest have
to take tokens that its text begins with, and these are few.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count, product
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from nescio.ensemble.lexicon import Lexicon, known_lexicon

__all__ = ["Cell", "Footing", "Member", "cells"]

_FIRST = 64  # tokens that are sorted at first
_GROWTH = 8
_Tokens = tuple[tuple[int, ...], ...]  # for each member those it may take


@dataclass(frozen=True, eq=False)
class Member:
    """A model, its vocabulary sorted, and what its part of a sum counts."""

    model: Any
    weight: float

    @cached_property
    def lexicon(self) -> Lexicon:
        """Its text tokens, sorted."""
        return known_lexicon(self.model.vocabulary)

    @cached_property
    def allowed(self) -> Bool[np.ndarray, " vocab"]:
        """Text tokens and ends: what a text is written with."""
        mask = np.zeros(self.model.vocabulary.size, dtype=np.bool_)
        mask[self.lexicon.ids] = True
        mask[list(self.model.vocabulary.end)] = True
        return mask

    def beginning(self, text: bytes, *, below: int) -> tuple[int, ...]:
        """Tokens that the text begins with, of fewer than ``below`` bytes."""
        known = self.model.vocabulary.ids_by_bytes
        longest = min(below - 1, len(text), self.lexicon.longest)
        return tuple(
            token
            for cut in range(1, longest + 1)
            for token in known.get(text[:cut], ())
        )


@dataclass(frozen=True, eq=False)
class Footing:
    """Where one member of a hypothesis stands.

    Args:
        member: whose.
        behind: the bytes that the longest member has and it has not.
        logp: of every token that may come next, [vocab], -inf for those that may not;
            None for a member that does not run.
        total: log-probability of what it has written, nats.
        share: what a nat of it counts in the score of a cell.
    """

    member: Member
    behind: bytes
    logp: Float[np.ndarray, " vocab"] | None
    total: float
    share: float


@dataclass(frozen=True)
class Cell:
    """One token for every member that runs, None for the others.

    Args:
        tokens: of the members.
        score: by which cells are chosen.
        total: the weighted sum of the members' log-probabilities, nats.
        ended: whether these are end tokens, of all members.
    """

    tokens: tuple[int | None, ...]
    score: float
    total: float
    ended: bool


def cells(footings: Sequence[Footing], *, least: float = -np.inf) -> Iterator[Cell]:
    """All cells in which the members agree, best first.

    Args:
        footings: of the members, at least one of which runs.
        least: cells with a smaller total are left out.
    """
    grid = _Grid(tuple(footings), least)
    numbers = count()  # of equal scores what was found first comes first
    waiting: list[tuple[float, int, Any]] = [
        (-cell.score, next(numbers), cell) for cell in grid.level()
    ]
    for place in grid.running:
        for bound, token in (stream := grid.stream(place)):
            waiting.append((-bound, next(numbers), (place, token, stream)))
            break
    heapq.heapify(waiting)
    while waiting:
        _, _, found = heapq.heappop(waiting)
        if isinstance(found, Cell):
            yield found
            continue
        place, token, stream = found
        for cell in grid.led(place, token):
            heapq.heappush(waiting, (-cell.score, next(numbers), cell))
        for bound, following in stream:
            heapq.heappush(waiting, (-bound, next(numbers), (place, following, stream)))
            break


@dataclass(frozen=True, eq=False)
class _Grid:
    """The grid of one hypothesis.

    Args:
        footings: of the members.
        least: the smallest total of a cell that counts.
    """

    footings: tuple[Footing, ...]
    least: float

    @cached_property
    def running(self) -> tuple[int, ...]:
        """The members that take a token."""
        return tuple(i for i, f in enumerate(self.footings) if f.logp is not None)

    @cached_property
    def _score(self) -> float:
        return sum(f.share * f.total for f in self.footings)

    @cached_property
    def _total(self) -> float:
        return sum(f.member.weight * f.total for f in self.footings)

    def level(self) -> Iterator[Cell]:
        """Cells after which no member is longer than the longest was."""
        if not any(footing.behind for footing in self.footings):
            ends = [f.member.model.vocabulary.end for f in self.footings]
            yield from self._cells(tuple(map(tuple, ends)), ended=True)
            return
        tokens = [
            f.member.beginning(f.behind, below=len(f.behind) + 1)
            for f in (self.footings[place] for place in self.running)
        ]
        yield from self._cells(tuple(tokens), ended=False)

    def led(self, place: int, token: int) -> Iterator[Cell]:
        """Cells in which this member takes this token and is the longest.

        Of several that are then equally long it is the first one.
        """
        leader = self.footings[place]
        spelled = leader.member.model.vocabulary.token(token)
        further = spelled[len(leader.behind) :]
        tokens = []
        for other in self.running:
            footing = self.footings[other]
            text = footing.behind + further
            below = len(text) + (other > place)
            own = footing.member.beginning(text, below=below)
            tokens.append((token,) if other == place else own)
        yield from self._cells(tuple(tokens), ended=False)

    def stream(self, place: int) -> Iterator[tuple[float, int]]:
        """Tokens that make this member the longest, with what a cell scores at most."""
        leader = self.footings[place]
        lexicon = leader.member.lexicon
        begin, end = lexicon.span(leader.behind)
        if begin == end or leader.logp is None:
            return
        ids = lexicon.ids[begin:end]
        logp = leader.logp[ids].astype(np.float64)
        following = lexicon.buffer[lexicon.offsets[begin:end] + len(leader.behind)]
        bound = self._score + leader.share * logp
        total = self._total + leader.member.weight * logp
        for other in self.running:
            if other == place:
                continue
            best = self._best[other]
            bound += self.footings[other].share * best[following]
            total += self.footings[other].member.weight * best[following]
        bound[total < self.least - _slack(self.least)] = -np.inf
        for index in _descending(bound):
            yield float(bound[index]), int(ids[index])

    @cached_property
    def _best(self) -> dict[int, Float[np.ndarray, " bytes"]]:
        """For each member the best token that agrees with each next byte, [256]."""
        return {place: _best_of(self.footings[place]) for place in self.running}

    def _cells(self, tokens: _Tokens, *, ended: bool) -> Iterator[Cell]:
        """All combinations of what each running member may take."""
        options = [
            [
                (token, float(row[token]))
                for token in own
                if (row := self._row(place))[token] > -np.inf
            ]
            for place, own in zip(self.running, tokens, strict=True)
        ]
        for chosen in product(*options):
            score, total = self._score, self._total
            taken: list[int | None] = [None] * len(self.footings)
            for place, (token, logp) in zip(self.running, chosen, strict=True):
                taken[place] = token
                score += self.footings[place].share * logp
                total += self.footings[place].member.weight * logp
            if total >= self.least:
                yield Cell(tuple(taken), score, total, ended)

    def _row(self, place: int) -> Float[np.ndarray, " vocab"]:
        row = self.footings[place].logp
        if row is None:  # pragma: no cover
            raise AssertionError("a member that does not run is not asked")
        return row


def _best_of(footing: Footing) -> Float[np.ndarray, " bytes"]:
    member, row = footing.member, footing.logp
    if row is None:  # pragma: no cover
        raise AssertionError("a member that does not run is not asked")
    best = np.full(256, -np.inf)
    if footing.behind:
        begin, end = member.lexicon.span(footing.behind)
        here = member.beginning(footing.behind, below=len(footing.behind) + 1)
        found = [row[token] for token in here]
        best[:] = row[member.lexicon.ids[begin:end]].max(initial=-np.inf)
        best[:] = max(best[0], max(found, default=-np.inf))
        return best
    steps = member.lexicon.root()
    best[steps.symbols] = np.maximum.reduceat(row[member.lexicon.ids], steps.starts)
    return best


def _slack(least: float) -> float:
    """A total that rounding alone put below the least still counts in a bound."""
    return 0.0 if least == -np.inf else 1e-9 * (1.0 + abs(least))


def _descending(values: Float[np.ndarray, " n"]) -> Iterator[int]:
    """Where the values stand, the largest first, sorted as far as they are asked."""
    left, size = np.flatnonzero(values > -np.inf), _FIRST
    while len(left):
        if len(left) > size:
            parted = np.argpartition(-values[left], size)
            top, left = left[parted[:size]], left[parted[size:]]
        else:
            top, left = left, left[:0]
        yield from top[np.argsort(-values[top], kind="stable")].tolist()
        size *= _GROWTH
