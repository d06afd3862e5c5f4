"""Spellings that were set aside and turn out to matter are followed after all.

A spelling that is pruned leaves bytes that only it can write without any probability.
So it is remembered for a while with its weight, and until the model is asked, every
symbol is thought equally likely behind it: no byte is said to be impossible that may
only wait for it. When a text goes on with a byte that the spellings kept hardly write,
so that those set aside may well weigh more, they are run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nescio.ensemble.branches import END, SYMBOLS, Candidate, Wanted
from nescio.errors import ContextOverflow, InvalidText

__all__ = [
    "LOG_EVEN",
    "Waiting",
    "aged",
    "needs_more",
    "with_revived",
]

LOG_EVEN = -math.log(SYMBOLS)
"""Log-probability of a symbol where all are equally likely."""

_LOG_LIKELY = -math.log(8.0)
"""What a spelling is taken to keep of its weight at each byte at most, on the whole."""

_REMEMBERED_BYTES, _REMEMBERED = 4, 32
"""For how many bytes a spelling is remembered, and how many of them, the likeliest."""


@dataclass(frozen=True, eq=False)
class Waiting:
    """A spelling that was set aside.

    Args:
        wanted: its tokens and what the model has to read for them.
        age: how many bytes ago they ended.
    """

    wanted: Wanted
    age: int


def aged(waiting: Sequence[Waiting], fresh: Sequence[Candidate]) -> tuple[Waiting, ...]:
    """What is remembered after one byte more, and those that were set aside with it."""
    older = [
        Waiting(one.wanted, one.age + 1)
        for one in waiting
        if one.age < _REMEMBERED_BYTES
    ]
    found = [*older, *map(_fresh, fresh)]
    if len(found) > _REMEMBERED:
        found.sort(key=lambda one: -one.wanted.candidate.log_weight)
    return tuple(found[:_REMEMBERED])


def _fresh(candidate: Candidate) -> Waiting:
    whole = Wanted.of(candidate)
    return Waiting(replace(whole, candidate=replace(candidate, context=None)), 0)


def needs_more(context: Any, symbol: int) -> bool:
    """Whether those set aside may be likelier to write a symbol than the others."""
    if not context.waiting or not 0 <= symbol <= END:
        return False
    if symbol != END and symbol not in context.view.lexicon.letters:
        return False
    return bool(context.log_masses[symbol] < _reach(context, [context.waiting]))


def with_revived(main: Any, before: Any, symbol: int) -> Any:
    """A context after a symbol, joined by what was set aside before it.

    Args:
        main: what the spellings kept became; it may have no branches.
        before: the context that the symbol was read into.
        symbol: the symbol.
    """
    groups, grown = _groups(before), []
    mass = float(before.log_masses[symbol])
    while groups and mass <= _reach(before, groups):
        sub = _read(before, groups.pop(0), symbol)
        if sub is not None:
            grown.append(sub)
            mass = float(np.logaddexp(mass, sub.log_kept))
    if not grown:
        return main
    if symbol == END:
        ends = [one.branches[0] for one in (main, *grown) if one.branches]
        weights = [end.log_weight for end in ends]
        whole = replace(ends[0], log_weight=float(np.logaddexp.reduce(weights)))
        return replace(main, branches=(whole,), waiting=(), log_waiting=-math.inf)
    fresh = tuple(branch for sub in grown for branch in sub.branches)
    born = tuple((branch.candidate, branch.depth) for branch in fresh)
    older = [Waiting(one.wanted, one.age + 1) for group in groups for one in group]
    waiting = [one for sub in grown for one in sub.waiting]
    waits = [main.log_fresh, _weight(before, groups) + LOG_EVEN]
    longer = replace(
        main,
        branches=(*main.branches, *fresh),
        waiting=(*(one for one in main.waiting if one.age == 0), *older, *waiting),
        log_waiting=float(
            np.logaddexp.reduce([*waits, *(sub.log_waiting for sub in grown)])
        ),
    )
    past = main.past
    born = (*past.born, *born)
    return replace(longer, past=past.of(longer, past.before, born))


def _groups(context: Any) -> list[list[Waiting]]:
    """Those set aside at the same place, what is thought to weigh most first."""
    ages = {one.age for one in context.waiting}
    found = [[one for one in context.waiting if one.age == age] for age in ages]
    return sorted(found, key=lambda group: -_reach(context, [group]))


def _reach(context: Any, groups: Sequence[Sequence[Waiting]]) -> float:
    """What they may well weigh here, log."""
    return _weight(context, groups, rate=_LOG_LIKELY)


def _weight(
    context: Any, groups: Sequence[Sequence[Waiting]], *, rate: float = LOG_EVEN
) -> float:
    """What they weigh here if every byte since left so much of them, log."""
    logs = [
        one.wanted.candidate.log_weight + one.age * rate
        for group in groups
        for one in group
    ]
    if not logs:
        return -math.inf
    return float(np.logaddexp.reduce(logs)) - context.prompt.log_weight


def _read(context: Any, group: Sequence[Waiting], symbol: int) -> Any:
    """Spellings set aside, with what came since; None: they cannot write it."""
    view, age = context.view, group[0].age
    since = context.text[len(context.text) - age :]
    sub = view.set_aside([one.wanted for one in group], context.prompt)
    try:
        for one in (*since, symbol):
            (sub,) = view.read([sub], [one])
    except (InvalidText, ContextOverflow):
        return None
    return sub
