"""What an alarm saw of an answer that is there: for pictures and pages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from nescio.decoding.watching import Alert
from nescio.drift.alarm_files import Alarm
from nescio.drift.channels import repeated_tokens, tokens_of
from nescio.drift.conformal_alarm import ConformalAlarm, ConformalWatch
from nescio.drift.martingale import MartingaleWatch
from nescio.trace import Trace
from nescio.trace.trace import SEGMENTS

__all__ = ["Watched", "watched"]


@dataclass(frozen=True, eq=False)
class Watched:
    """An answer as its alarm saw it, a number a token of the trace.

    Args:
        quantity: ``entropy``, the weighted mean that is watched, or ``evidence``, the
            logarithm of a martingale; nats either way.
        values: of it, [n]; NaN where nothing is watched.
        low, high: where healthy answers stay, nats; None: open.
        repeats: tokens of a run that stood in the window before, [n].
        alert: what set the alarm off, or None.
        token: which token of the trace that was, or None.
        claim: what may be said of the answer, in words.
    """

    quantity: Literal["entropy", "evidence"]
    values: Float[np.ndarray, " n"]
    low: float | None
    high: float | None
    repeats: Bool[np.ndarray, " n"]
    alert: Alert | None
    token: int | None
    claim: str


def watched(trace: Trace, alarm: Alarm) -> Watched:
    """An answer once more under the eyes of an alarm.

    Args:
        trace: of an answer that the alarm is made for.
        alarm: either kind.

    Raises:
        InvalidInput: as `nescio.drift.alarm_files.alert_of`.

    Example:
        >>> import nescio
        >>> from nescio.drift.martingale import ORDERS, MartingaleAlarm
        >>> detail = nescio.Detail(renyi=ORDERS)
        >>> trace = nescio.score(nescio.load("table:coin"), "HTHH", detail=detail)
        >>> seen = watched(trace, MartingaleAlarm(0.05))
        >>> seen.quantity, seen.alert, round(seen.high, 3)
        ('evidence', None, 2.996)
    """
    watch = alarm.start(trace.origin)
    mine = trace.scored & (trace.segment == SEGMENTS.index("completion"))
    values = np.full(len(trace), np.nan)
    token = None
    tokens = tokens_of(trace, orders=alarm.renyi_orders)
    for place, one in zip(np.flatnonzero(mine).tolist(), tokens, strict=True):
        if watch.update(one) is not None:
            token = place
        seen = _seen(watch)
        values[place] = np.nan if seen is None else seen
    conformal = isinstance(alarm, ConformalAlarm)
    low, high = alarm.band if conformal else (None, -math.log(alarm.alarm_rate))
    return Watched(
        quantity="entropy" if conformal else "evidence",
        values=values,
        low=low,
        high=high,
        repeats=repeated_tokens(trace, alarm.plan if conformal else None),
        alert=watch.alert,
        token=token,
        claim=watch.claim,
    )


def _seen(watch: ConformalWatch | MartingaleWatch) -> float | None:
    """What is watched after a token; None past the horizon or where it is not."""
    if isinstance(watch, MartingaleWatch):
        return watch.log_evidence
    return watch.smoothed_entropy if watch.within_horizon else None
