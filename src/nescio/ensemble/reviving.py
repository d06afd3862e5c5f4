"""Spellings that were set aside, and are followed later after all.

A spelling that is too small to be worth a pass of the model of its own waits with its
weight; until the model is asked, every symbol is thought equally likely behind it: no
byte is said to be impossible that may only wait for it. When the model is asked for
others in any case, those that may still matter are asked with them, in the same pass.
And when a text goes on with a byte that the spellings kept hardly write, so that those
set aside may well weigh more, they are asked at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.ensemble.branches import END, SYMBOLS, Candidate, Wanted

__all__ = [
    "LOG_EVEN",
    "Waiting",
    "aged",
    "log_rest",
    "log_sum",
    "may_matter",
    "needs_more",
    "outweighed",
    "set_aside",
    "thought_of_waiting",
    "urgent",
    "weight_of",
]

LOG_EVEN = -math.log(SYMBOLS)
"""Log-probability of a symbol where all are equally likely."""

_EVEN_SHARE = 0.01
"""Of what is thought to wait, how much may go on with any symbol alike."""

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
        log_share: log of its share of the text's probability then.
    """

    wanted: Wanted
    age: int
    log_share: float

    @property
    def log_weight(self) -> float:
        """Log-probability of its tokens, nats."""
        return self.wanted.candidate.log_weight


def set_aside(
    candidates: Sequence[Candidate], *, age: int, total: float
) -> tuple[Waiting, ...]:
    """Tokens that ended some bytes ago, to wait; ``total`` is the text's, log."""
    return tuple(_waiting(one, age, total) for one in candidates)


def _waiting(candidate: Candidate, age: int, total: float) -> Waiting:
    whole = Wanted.of(candidate)
    aside = replace(whole, candidate=replace(candidate, context=None))
    return Waiting(aside, age, candidate.log_weight - total)


def aged(
    waiting: Sequence[Waiting], fresh: Sequence[Waiting], *, bytes_more: int
) -> tuple[tuple[Waiting, ...], tuple[Waiting, ...]]:
    """What is remembered some bytes later, beside what is new; and what is given up."""
    older = [replace(one, age=one.age + bytes_more) for one in waiting]
    gone = [one for one in older if one.age > _REMEMBERED_BYTES]
    found = [*(one for one in older if one.age <= _REMEMBERED_BYTES), *fresh]
    if len(found) > _REMEMBERED:
        found.sort(key=lambda one: -one.log_weight)
    gone += found[_REMEMBERED:]
    return tuple(found[:_REMEMBERED]), tuple(gone)


def needs_more(context: Any, symbol: int) -> bool:
    """Whether those set aside may be likelier to write a symbol than the others."""
    if not context.waiting or not 0 <= symbol <= END:
        return False
    if symbol != END and symbol not in context.view.lexicon.letters:
        return False
    return float(context.log_masses[symbol]) < weight_of(context, rate=_LOG_LIKELY)


def outweighed(context: Any) -> bool:
    """Whether those set aside may weigh more than all that are followed."""
    return bool(context.waiting) and (
        not context.branches or context.log_kept < weight_of(context, rate=_LOG_LIKELY)
    )


def may_matter(context: Any, total: float) -> tuple[Waiting, ...]:
    """Those set aside that may have a share of a text's probability worth following.

    Args:
        context: after the text.
        total: log of its probability, of the spellings kept.
    """
    prune = context.view.prune
    least = total + math.log(prune) if prune else -math.inf
    return tuple(
        one
        for one in context.waiting
        if one.log_weight + one.age * _LOG_LIKELY >= least
    )


def urgent(context: Any) -> tuple[Waiting, ...]:
    """Those that would not have been set aside, had they not followed one that was."""
    view = context.view
    if view.most is not None or not context.waiting:
        return ()
    least = math.log(view.prune) if view.prune else -math.inf
    return tuple(one for one in context.waiting if one.log_share >= least)


def weight_of(context: Any, *, rate: float = LOG_EVEN) -> float:
    """What waits at a context if every byte since left so much of it, log."""
    if not context.waiting:
        return -math.inf
    weights = [one.log_weight + one.age * rate for one in context.waiting]
    return log_sum(weights) - context.prompt.log_weight


def thought_of_waiting(context: Any) -> Float[np.ndarray, " symbols"]:
    """What those set aside are thought to write next, log, before any is asked."""
    logs = np.full(SYMBOLS, weight_of(context) + math.log(_EVEN_SHARE) + LOG_EVEN)
    for one in context.waiting:
        first = one.wanted.candidate.first
        if one.age == 0 and first is not None:
            with np.errstate(divide="ignore"):
                mixed = np.log(first) + math.log1p(-_EVEN_SHARE)
            weight = one.log_weight - context.prompt.log_weight
            logs = np.logaddexp(logs, mixed + weight)
    return logs


def log_sum(logs: Sequence[float]) -> float:
    """Log of a sum of a few numbers."""
    top = max(logs, default=-math.inf)
    if top == -math.inf:
        return top
    return top + math.log(math.fsum(math.exp(one - top) for one in logs))


def log_rest(log_share: float) -> float:
    """Log of what a share leaves."""
    if math.isnan(log_share):  # nothing of nothing
        return 0.0
    return math.log1p(-math.exp(log_share)) if log_share < 0.0 else -math.inf
