"""Spellings that were set aside, and are followed later after all.

A spelling that is too small to be worth a pass of the model of its own waits with its
weight; until the model is asked, every symbol is thought equally likely behind it: no
byte is said to be impossible that may only wait for it. When the model is asked for
others in any case, those that may still matter are asked with them, in the same pass.
And when a text goes on with a byte that the spellings kept hardly write, so that those
set aside may well weigh more, they are asked at once. Within a long token that is
followed, all that ended since it began waits: nothing else can write what leaves it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.ensemble.branches import END, SYMBOLS, Branch, Candidate, Wanted

__all__ = [
    "LOG_EVEN",
    "Waiting",
    "aged",
    "expected_after",
    "log_rest",
    "log_sum",
    "may_matter",
    "needs_more",
    "outweighed",
    "set_aside",
    "since_boundary",
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
"""For how many bytes a spelling is remembered at least, and how many of them at most,
the likeliest."""


@dataclass(frozen=True, eq=False)
class Waiting:
    """A spelling that was set aside.

    Args:
        wanted: its tokens and what the model has to read for them.
        age: how many bytes ago they ended.
        log_share: log of its share of the text's probability then.
        counted: whether that share is missing of what is told; not where it was set
            aside within a prompt.
    """

    wanted: Wanted
    age: int
    log_share: float
    counted: bool = True

    @property
    def log_weight(self) -> float:
        """Log-probability of its tokens, nats."""
        return self.wanted.candidate.log_weight

    @property
    def log_thought(self) -> float:
        """Log-probability of what is thought to be left of it by now, nats."""
        return self.log_weight + self.age * _LOG_LIKELY

    @property
    def log_left(self) -> float:
        """Log of the share that is left without it, of what is told."""
        return log_rest(self.log_share) if self.counted else 0.0


def set_aside(
    candidates: Sequence[Candidate], *, age: int, total: float
) -> tuple[Waiting, ...]:
    """Tokens that ended some bytes ago, to wait; ``total`` is the text's, log."""
    return tuple(_waiting(one, age, total) for one in candidates)


def _waiting(candidate: Candidate, age: int, total: float) -> Waiting:
    whole = Wanted.of(candidate)
    aside = replace(whole, candidate=replace(candidate, context=None))
    return Waiting(aside, age, candidate.log_weight - total)


def since_boundary(branches: Sequence[Branch]) -> int | None:
    """How many bytes ago the newest token began that is followed; None: none is."""
    return min((branch.depth for branch in branches), default=None)


def aged(
    waiting: Sequence[Waiting],
    fresh: Sequence[Waiting],
    *,
    bytes_more: int,
    since: int | None,
) -> tuple[tuple[Waiting, ...], tuple[Waiting, ...]]:
    """What is remembered some bytes later, beside what is new; and what is given up.

    Within a long token that is followed, what ended after its beginning stays: should
    the text leave the token, nothing else can write it.

    Args:
        waiting: with their ages before.
        fresh: those that begin to wait.
        bytes_more: how many bytes later.
        since: how many bytes ago the newest token began that is followed; None: none
            is, and all are remembered.
    """
    older = [replace(one, age=one.age + bytes_more) for one in waiting]
    most = math.inf if since is None else max(_REMEMBERED_BYTES, since)
    gone = [one for one in older if one.age > most]
    found = [*(one for one in older if one.age <= most), *fresh]
    if len(found) > _REMEMBERED:
        found = _likeliest_first(found, since)
    gone += found[_REMEMBERED:]
    return tuple(found[:_REMEMBERED]), tuple(gone)


def _likeliest_first(waiting: Sequence[Waiting], since: int | None) -> list[Waiting]:
    """By what is thought to be left; first of all one that outlives its age.

    Heavier ones that ended before the newest token began are forgotten within it, and
    what was not remembered beside them would be missed then.
    """
    lasting = [one for one in waiting if since is None or one.age <= since]
    first = max(lasting, key=lambda one: one.log_thought, default=None)
    return sorted(waiting, key=lambda one: (one is not first, -one.log_thought))


def needs_more(context: Any, symbol: int) -> bool:
    """Whether those set aside may be likelier to write a symbol than the others."""
    if not context.waiting or not 0 <= symbol <= END:
        return False
    if symbol != END and symbol not in context.view.lexicon.letters:
        return False
    weight = max(expected_after(context), weight_of(context, rate=_LOG_LIKELY))
    return float(context.log_masses[symbol]) < weight


def expected_after(context: Any) -> float:
    """What those set aside weigh after a symbol if all are alike to them, log."""
    return log_sum(_expected(context)) + LOG_EVEN


def outweighed(context: Any, expected: float) -> bool:
    """Whether those set aside may weigh more than all that are followed.

    Args:
        context: with them.
        expected: what they were before the last symbol (`expected_after`).
    """
    if not context.waiting or not context.branches:
        return bool(context.waiting)
    weight = max(expected, weight_of(context, rate=_LOG_LIKELY))
    return context.log_kept < weight


def may_matter(context: Any, total: float) -> tuple[Waiting, ...]:
    """Those set aside that may have a share of a text's probability worth following.

    Args:
        context: after the text.
        total: log of its probability, of the spellings kept.
    """
    prune = context.view.prune
    least = total + math.log(prune) if prune else -math.inf
    return tuple(one for one in context.waiting if one.log_thought >= least)


def urgent(context: Any) -> tuple[Waiting, ...]:
    """Those that would not have been set aside, had they not followed one that was."""
    view = context.view
    if view.most is not None or not context.waiting:
        return ()
    least = math.log(view.prune) if view.prune else -math.inf
    return tuple(
        one for one in context.waiting if one.counted and one.log_share >= least
    )


def weight_of(context: Any, *, rate: float) -> float:
    """What waits at a context if every byte since left so much of it, log."""
    if not context.waiting:
        return -math.inf
    weights = [one.log_weight + one.age * rate for one in context.waiting]
    return log_sum(weights) - context.prompt.log_weight


def _expected(context: Any) -> list[float]:
    """What each weighs if it went on like those that are followed, log."""
    base, kept = context.prompt.log_weight, context.log_kept
    return [min(one.log_weight - base, kept + one.log_share) for one in context.waiting]


def thought_of_waiting(context: Any) -> Float[np.ndarray, " symbols"]:
    """What those set aside are thought to write next, log, before any is asked."""
    weights = _expected(context)
    logs = np.full(SYMBOLS, log_sum(weights) + math.log(_EVEN_SHARE) + LOG_EVEN)
    for one, weight in zip(context.waiting, weights, strict=True):
        first = one.wanted.candidate.first
        if one.age == 0 and first is not None:
            with np.errstate(divide="ignore"):
                mixed = np.log(first) + math.log1p(-_EVEN_SHARE)
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
