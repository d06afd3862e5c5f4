"""Alarm A: goes off when an answer is unlike healthy ones, at a rate that is known.

Take N healthy answers of one model with one way of decoding to prompts of one kind, and
for each the largest value that a running statistic takes within the horizon T. The
threshold is the ceil((N + 1)(1 - rate))-th smallest of them, and the alarm goes off
where the statistic is above it. A new healthy answer to such a prompt then sets it off
with probability at most ``rate``, whatever the statistic and however its tokens hang
together, since its maximum is as likely as the others to be the largest.

Nothing inside the statistic may be fitted on the same N answers: centres and scales
come from others (``reference``). Nothing is said past T, nor of other prompts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from nescio.drift.channels import (
    ChannelPlan,
    Standard,
    run_statistics,
    standards_of,
)
from nescio.drift.conformal_alarm import ConformalAlarm, Rule
from nescio.drift.settings import settings_of_all
from nescio.errors import InvalidInput, NotEnoughData
from nescio.outcome import Recipe
from nescio.trace import Trace
from nescio.trace.trace import SEGMENTS

__all__ = ["AlarmPlan", "Combine", "conformal_threshold", "fit", "runs_needed"]

Combine = Literal["maximum", "split"]
"""``maximum``: one threshold for the largest of the channels, each centred and scaled
by its maxima on the reference runs. ``split``: one threshold a channel, the rate shared
equally among them, which takes that many times as many runs."""

_SOURCES = (
    "Vovk, Gammerman & Shafer (2005), conformal prediction",
    "Vovk (2012), the distribution of the realised rate",
)
_LEAST_REFERENCE = 5
_REFERENCE_SHARE = 5


@dataclass(frozen=True)
class AlarmPlan:
    """How an alarm is fitted.

    Args:
        channels: which are watched, and how they run.
        combine: see `Combine`.
        seed: of the draw of reference runs where none are given.

    Raises:
        InvalidInput: an unknown way to combine, a negative seed.
    """

    channels: ChannelPlan = field(default_factory=ChannelPlan)
    combine: Combine = "maximum"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.combine not in get_args(Combine):
            raise InvalidInput(
                f"combine is {self.combine!r}; one of {list(get_args(Combine))}"
            )
        if self.seed < 0:
            raise InvalidInput(f"seed is {self.seed}: a seed is at least 0")


def conformal_threshold(
    maxima: Float[np.ndarray, " runs"], alarm_rate: float | int | Fraction
) -> float:
    """The ceil((N + 1)(1 - rate))-th smallest of N maxima; +inf where there is none.

    The rate is read as the decimal number it is written as.

    Raises:
        InvalidInput: a rate outside (0, 1), a maximum that is NaN.

    Example:
        >>> conformal_threshold(np.arange(1.0, 20.0), 0.05)
        19.0
        >>> conformal_threshold(np.arange(1.0, 19.0), 0.05)     # 18: it never fires
        inf

    Source: Vovk, Gammerman & Shafer (2005).
    """
    if np.isnan(maxima).any():
        raise InvalidInput("a maximum is NaN: every run needs one")
    rank = _rank(len(maxima), _fraction(alarm_rate))
    return float(np.sort(maxima)[rank - 1]) if rank <= len(maxima) else math.inf


def runs_needed(
    alarm_rate: float | int, *, channels: int = 1, combine: Combine = "maximum"
) -> int:
    """How many healthy runs a threshold needs at least, reference runs not counted.

    Example:
        >>> runs_needed(0.05), runs_needed(0.05, channels=4, combine="split")
        (19, 79)
        >>> runs_needed(0.01, channels=4, combine="split")
        399
    """
    share = channels if combine == "split" else 1
    return math.ceil(share / _fraction(alarm_rate)) - 1


def fit(
    traces: Sequence[Trace],
    *,
    horizon: int,
    alarm_rate: float | int = 0.05,
    population: str = "prompts like those it was fitted on",
    reference: Sequence[Trace] | None = None,
    plan: AlarmPlan | None = None,
) -> ConformalAlarm:
    """An alarm that at most a share ``alarm_rate`` of new healthy answers set off.

    Args:
        traces: healthy answers, one a prompt, all of one model and one way of
            decoding, each ended by itself or at least ``horizon`` tokens long.
        horizon: T, the tokens of an answer that are watched.
        alarm_rate: of healthy answers, in (0, 1).
        population: in words, which prompts they are answers to.
        reference: other healthy answers, which centre and scale the channels; None
            draws a fifth of ``traces`` for it, at least 5, and leaves them out of
            the rest.
        plan: the channels, and how they are combined.

    Raises:
        NotEnoughData: too few answers for the rate; says how many are needed.
        InvalidInput: answers of several models or settings, one that was cut before
            the horizon, a rate outside (0, 1), an impossible token.

    Example:
        >>> import nescio
        >>> model, how = nescio.load("table:topics"), nescio.Decoding(30)
        >>> drawn = nescio.sample(model, "a", n=25, decoding=how)
        >>> runs = [answer.trace for answer in drawn.answers]
        >>> alarm = fit(runs, horizon=30, population="texts of the table")
        >>> alarm.runs, alarm.start(runs[0].origin).alert
        (20, None)

    Source: Vovk, Gammerman & Shafer (2005).
    """
    how = plan or AlarmPlan()
    if horizon < 1:
        raise InvalidInput(f"horizon is {horizon}: at least 1 token is watched")
    rate = _fraction(alarm_rate)
    settings = settings_of_all([*traces, *(reference or ())])
    rest, scaling = _parted(traces, reference, how.seed)
    _check_runs(len(rest), alarm_rate, how, drawn=0 if reference else len(scaling))
    for number, trace in enumerate([*traces, *(reference or ())]):
        _check_whole(trace, number, horizon)
    standards = standards_of(scaling, how.channels, horizon=horizon)
    usual = _maxima(scaling, how.channels, standards, horizon)
    maxima = _maxima(rest, how.channels, standards, horizon)
    rules = _rules(how, standards, usual=usual, maxima=maxima, rate=rate)
    share = rate / len(rules) if how.combine == "split" else rate
    recipe = Recipe(
        "alarm.fit", {"seed": how.seed, "reference": len(scaling)}, _SOURCES
    )
    return ConformalAlarm(
        rules=rules,
        plan=how.channels,
        combine=how.combine,
        alarm_rate=float(alarm_rate),
        horizon=horizon,
        runs=len(rest),
        rank=_rank(len(rest), share),
        population=population,
        settings=settings,
        recipe=recipe,
    )


def _rules(
    how: AlarmPlan,
    standards: dict[str, Standard],
    *,
    usual: Float[np.ndarray, "reference channels"],
    maxima: Float[np.ndarray, "runs channels"],
    rate: Fraction,
) -> tuple[Rule, ...]:
    count = len(how.channels.names)
    if how.combine == "split":
        middle, spread = np.zeros(count), np.ones(count)
        limits = [conformal_threshold(column, rate / count) for column in maxima.T]
    else:
        middle, spread = usual.mean(axis=0), usual.std(axis=0)
        spread[spread == 0] = 1.0
        largest = ((maxima - middle) / spread).max(axis=1)
        limits = [conformal_threshold(largest, rate)] * count
    return tuple(
        Rule(name, standards[name], float(middle[i]), float(spread[i]), limits[i])
        for i, name in enumerate(how.channels.names)
    )


def _maxima(
    traces: Sequence[Trace],
    plan: ChannelPlan,
    standards: dict[str, Standard],
    horizon: int,
) -> Float[np.ndarray, "runs channels"]:
    found = [
        run_statistics(trace, plan, standards, horizon=horizon).max(axis=0)
        for trace in traces
    ]
    table = np.array(found).reshape(len(traces), len(plan.names))
    if not np.isfinite(table).all():
        row = int(np.argwhere(~np.isfinite(table))[0, 0])
        raise InvalidInput(
            f"run {row} has a token that is impossible under the model: leave it out"
        )
    return table


def _parted(
    traces: Sequence[Trace], reference: Sequence[Trace] | None, seed: int
) -> tuple[list[Trace], list[Trace]]:
    """Runs that set the threshold, and others that centre and scale."""
    if reference is not None:
        if len(reference) < _LEAST_REFERENCE:
            raise NotEnoughData(
                f"{len(reference)} reference runs: at least {_LEAST_REFERENCE} are "
                "needed to centre and scale the channels"
            )
        return list(traces), list(reference)
    count = max(_LEAST_REFERENCE, len(traces) // _REFERENCE_SHARE)
    order = np.random.default_rng(seed).permutation(len(traces)).tolist()
    scaling, rest = sorted(order[:count]), sorted(order[count:])
    return [traces[i] for i in rest], [traces[i] for i in scaling]


def _check_runs(
    found: int, alarm_rate: float | int, how: AlarmPlan, *, drawn: int
) -> None:
    channels = len(how.channels.names)
    needed = runs_needed(alarm_rate, channels=channels, combine=how.combine)
    if found >= needed:
        return
    beside, total = "", needed
    if drawn:
        while total - max(_LEAST_REFERENCE, total // _REFERENCE_SHARE) < needed:
            total += 1
        beside = f" beside {drawn} for centres and scales: {total} in all"
    raise NotEnoughData(
        f"{found} healthy runs set no threshold for an alarm rate of {alarm_rate:g}: "
        f"{needed} are needed{beside}"
    )


def _check_whole(trace: Trace, number: int, horizon: int) -> None:
    mine = trace.scored & (trace.segment == SEGMENTS.index("completion"))
    if trace.stop in ("eos", "stop_string", None) or int(mine.sum()) >= horizon:
        return
    raise InvalidInput(
        f"trace {number} was cut after {int(mine.sum())} tokens (stop: {trace.stop}), "
        f"before the horizon of {horizon}; generate {horizon} tokens or lower the "
        "horizon"
    )


def _fraction(alarm_rate: float | int | Fraction) -> Fraction:
    """The rate as the decimal number it is written as."""
    if not 0 < alarm_rate < 1:
        raise InvalidInput(f"alarm_rate is {alarm_rate}: give a share in (0, 1)")
    if isinstance(alarm_rate, Fraction):
        return alarm_rate
    return Fraction(repr(float(alarm_rate)))


def _rank(runs: int, rate: Fraction) -> int:
    return math.ceil((runs + 1) * (1 - rate))
