"""Spellings that waited, followed from where they were set aside to the present."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from nescio.ensemble.branches import END, Branch, Candidate, narrowed
from nescio.ensemble.reviving import (
    Waiting,
    aged,
    log_sum,
    set_aside,
    since_boundary,
    urgent,
)
from nescio.ensemble.stepping import (
    fits,
    given_up,
    grown,
    no_room,
    spelled_rightly,
)

__all__ = ["caught_up", "with_late"]

_ROUNDS, _MANY_ROUNDS = 4, 32
"""How often what waits is asked at one place, each time for tokens behind the last; and
where it may be heavier than all else. Where nothing else is left of the text, as often
as it takes.
"""


def caught_up(context: Any, *, heavier: Callable[[Any], bool]) -> Any:
    """The context with all that waits, as long as this may be ``heavier``.

    And with those that only wait since what they go on from had waited.
    """
    for number in count():
        most = len(context.waiting) > 0 and heavier(context)
        late = context.waiting if most else urgent(context)
        rounds = _MANY_ROUNDS if most else _ROUNDS
        if not late or (number >= rounds and context.branches):
            break
        fresh = grown(context.view, [one.wanted for one in late])
        context = with_late(context, late, fresh)
    return context


def with_late(context: Any, late: Sequence[Waiting], branches: Sequence[Branch]) -> Any:
    """The context with some of those that wait there.

    Args:
        context: that they wait at.
        late: they.
        branches: what the model says after each, in the same order.

    Raises:
        ContextOverflow: no spelling is left for which the model has room.
    """
    found, ended = _spelled_since(context, late, branches)
    now = replace(context, branches=(*context.branches, *found))
    total = now.log_kept + context.prompt.log_weight
    here = {id(one) for one in late}
    kept = [one for one in context.waiting if id(one) not in here]
    fresh, lost = list[Waiting](), list[Waiting]()
    for token, age in ended:
        with_it = float(np.logaddexp(total, token.log_weight))
        (one,) = set_aside([token], age=age, total=with_it)
        (fresh if fits(context, token) else lost).append(one)
    since = since_boundary(now.branches)
    waiting, gone = aged(kept, fresh, bytes_more=0, since=since)
    if lost and not now.branches and not waiting:
        raise no_room(context)
    total = log_sum([total, *(one.log_thought for one in (*fresh, *lost))])
    now = replace(now, waiting=waiting)
    now = given_up(now, [_as_thought(one, total) for one in (*gone, *lost)])
    born = tuple((branch.candidate, branch.depth) for branch in found)
    past = context.past
    return replace(now, past=past.of(now, past.before, (*past.born, *born)))


def _as_thought(one: Waiting, total: float) -> Waiting:
    """With no larger a share than what is thought to be left of it by now has."""
    return replace(one, log_share=min(one.log_share, one.log_thought - total))


def _spelled_since(
    context: Any, late: Sequence[Waiting], branches: Sequence[Branch]
) -> tuple[list[Branch], list[tuple[Candidate, int]]]:
    """What the bytes since left of them; and tokens that ended, how many bytes ago."""
    view, found = context.view, list[Branch]()
    ended: list[tuple[Candidate, int]] = []
    for one, branch in zip(late, branches, strict=True):
        alive: tuple[Branch, ...] = (branch,)
        for back, byte in enumerate(_last(context, one.age)):
            alive, here = narrowed(alive, view.lexicon, byte)
            here = spelled_rightly(context, here)
            ended += ((candidate, one.age - back - 1) for candidate in here)
        found += alive
    return found, ended


def _last(context: Any, count: int) -> list[int]:
    """The last bytes read, those of a prompt that were opened again included."""
    if not count:
        return []
    read = [symbol for symbol in context.symbols[-count:] if symbol < END]
    again = context.prompt.again
    return [*again[len(again) - (count - len(read)) :], *read]
