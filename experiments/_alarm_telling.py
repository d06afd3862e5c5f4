"""Shares, delays and rates of alarms, with what chance alone would make of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

LEVEL = 0.95
First = int | None
"""The token that set an alarm off, from 0; None: none did."""


def clopper_pearson(hits: int, count: int) -> dict[str, float | int | None]:
    """A share with its exact interval."""
    from scipy.special import betaincinv

    tail = (1.0 - LEVEL) / 2.0
    low = betaincinv(hits, count - hits + 1, tail) if hits else 0.0
    high = betaincinv(hits + 1, count - hits, 1.0 - tail) if hits < count else 1.0
    value = hits / count if count else None
    limits = (float(low), float(high)) if count else (None, None)
    return {"value": value, "low": limits[0], "high": limits[1], "of": count}


def delays(found: Sequence[First], onset: int) -> dict[str, Any]:
    """Tokens from the onset to the alarm that half and nine tenths take; None: never.

    Streams without an alarm count as later than all others. The interval is that of
    order statistics.
    """
    values = sorted(math.inf if at is None else at - onset + 1.0 for at in found)
    return {
        name: _quantile(values, share)
        for name, share in (("median", 0.5), ("nine tenths", 0.9))
        if values
    }


def _quantile(values: list[float], share: float) -> dict[str, float | None]:
    from scipy.stats import binom

    count, tail = len(values), (1.0 - LEVEL) / 2.0
    middle = max(0, math.ceil(share * count) - 1)
    low, high = (int(binom.ppf(q, count, share)) for q in (tail, 1.0 - tail))
    places = {"value": middle, "low": low - 1, "high": high}
    told = {
        name: values[place] if 0 <= place < count else math.inf
        for name, place in places.items()
    }
    if places["low"] < 0:
        told["low"] = 1.0
    return {name: None if at == math.inf else at for name, at in told.items()}


def detection(found: Sequence[First], onset: int, last: int) -> dict[str, Any]:
    """Of the streams not ended before the onset: how many alarms, and how soon.

    ``by`` is the share found within so many tokens of the onset.
    """
    early = sum(at is not None and at < onset for at in found)
    rest = [at for at in found if at is None or at >= onset]
    steps = range(8, last - onset + 1, 8)
    by = [
        clopper_pearson(
            sum(at is not None and at < onset + step for at in rest), len(rest)
        )
        for step in steps
    ]
    return {
        "before the change": clopper_pearson(early, len(found)),
        "found": clopper_pearson(sum(at is not None for at in rest), len(rest)),
        "delay": delays(rest, onset),
        "by": {"tokens": list(steps)}
        | {name: [one[name] for one in by] for name in ("value", "low", "high")},
    }


def expected_count(runs: int, rank: int, fresh: int) -> dict[str, Any]:
    """How many of so many fresh healthy answers a threshold of that rank lets off.

    The answers are dealt at random, so their number is beta-binomial whatever the
    answers are, as long as no maxima tie.
    """
    from scipy.stats import betabinom

    law = betabinom(fresh, runs + 1 - rank, rank)
    tail = (1.0 - LEVEL) / 2.0
    low, high = (float(law.ppf(q)) for q in (tail, 1.0 - tail))
    return {
        "mean": float(law.mean()) / fresh,
        "low": low / fresh,
        "high": high / fresh,
        "of": fresh,
    }


def chance_of(hits: int, runs: int, rank: int, fresh: int) -> float:
    """The probability of at least so many false alarms if the guarantee holds."""
    from scipy.stats import betabinom

    return float(betabinom(fresh, runs + 1 - rank, rank).sf(hits - 1))


def dealt_again(
    largest: np.ndarray, runs: int, rate: float, *, times: int, seed: int
) -> dict[str, Any]:
    """The realised rate where the same answers are dealt anew, so many times."""
    from nescio.drift.alarm import conformal_threshold

    rng = np.random.default_rng(seed)
    rates = []
    for _ in range(times):
        mixed = rng.permutation(largest)
        threshold = conformal_threshold(mixed[:runs], rate)
        rates.append(float((mixed[runs:] > threshold).mean()))
    low, high = np.quantile(rates, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    spread = float(np.std(rates) / math.sqrt(times))
    return {
        "mean": float(np.mean(rates)),
        "standard_error": spread,
        "low": float(low),
        "high": float(high),
        "times": times,
    }
