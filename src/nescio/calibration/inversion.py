"""Limits for errors by bin, by asking which truths the value found could come from.

A sum of absolute gaps is above the truth by an amount that depends on the truth: noise
adds much where gaps are small and nothing where they are large. A bootstrap adds that
noise a second time, so its percentiles lie too high, and reflected ones do not come
down to 0 for a calibrated source. Here truths are tried one after the other: the gaps
found, shrunk to 0 or enlarged, by steps of their standard error (soft thresholding)
and in proportion. To each the deviations of a bootstrap are added, as wide as the
noise would be under it where that is known. The lower limit is the least error of a
truth that gives the value found, or more, often enough; the upper limit the greatest of
one that gives so little. "No gaps" is among them, so the lower limit is 0 where nothing
is shown.

How often such limits hold the truth is counted in
``tests/verify/test_coverage_calibration.py``; see also `error`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float

__all__ = [
    "INVERSION",
    "INVERTED",
    "GapStatistic",
    "Noise",
    "inverted_limits",
    "value_at",
]

GapStatistic = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Gaps [draws, bins] and shares, [bins] or [draws, bins], to values [draws]."""

Noise = Callable[[np.ndarray], np.ndarray]
"""From true gaps, [bins], to the standard errors gaps have under them, [bins]."""

INVERSION = (
    "Carpenter (1999), test inversion bootstrap",
    "Donoho & Johnstone (1994), soft thresholding",
)

INVERTED = "test inversion over shrunk gaps, for the error in these bins"
"""How such an interval is called in a recipe."""

_ROUNDING = 1e-12
_UP = np.geomspace(0.02, 6.0, 24)
_STEPS = np.concatenate([-_UP[::-1], [0.0], _UP, [np.inf]])
_SCALES = np.concatenate([1.0 + _UP[::-1], [1.0], 1.0 - np.geomspace(0.02, 1.0, 18)])


def inverted_limits(
    statistic: GapStatistic,
    found: tuple[Float[np.ndarray, " bins"], Float[np.ndarray, " bins"]],
    resampled: tuple[
        Float[np.ndarray, "resamples bins"], Float[np.ndarray, "resamples bins"]
    ],
    tail: float,
    *,
    thresholded: bool = True,
    noise: Noise | None = None,
) -> tuple[float, float]:
    """The least and greatest error that the value found does not refute.

    Args:
        statistic: the error, of gaps and shares.
        found: gaps and shares as they are.
        resampled: deviations of the gaps, and shares, on resamples.
        tail: the probability allowed beyond either limit.
        thresholded: whether soft thresholding is tried, beside proportions.
        noise: how wide the deviations are under a tried truth; None: as resampled.
    """
    gap, share = found
    off, shares = resampled
    value, error = value_at(statistic, gap, share), off.std(axis=0)
    standard = off / np.where(error > 0, error, 1.0)
    lower: list[float] = []
    upper: list[float] = []
    families = [_scaled(gap)]
    if thresholded:
        families.append(_thresholded(gap, error))
    for family in families:
        truths, above, below = [], [], []
        for truth in family:
            wide = off if noise is None else standard * noise(truth)
            drawn = statistic(truth + wide, shares)
            truths.append(value_at(statistic, truth, share))
            above.append(float((drawn >= value - _ROUNDING).mean()))
            below.append(float((drawn <= value + _ROUNDING).mean()))
        lower += _kept(np.array(truths), np.array(above), tail)
        upper += _kept(np.array(truths), np.array(below), tail)
    low = min(lower, default=value)
    return low, max(low, max(upper, default=value))


def value_at(
    statistic: GapStatistic,
    gap: Float[np.ndarray, " bins"],
    share: Float[np.ndarray, " bins"],
) -> float:
    """The statistic of gaps and shares that are there once."""
    return float(statistic(gap[None, :], share)[0])


def _thresholded(gap: np.ndarray, error: np.ndarray) -> Iterator[np.ndarray]:
    """Gaps with some standard errors taken off, none beyond 0, or added."""
    for step in _STEPS:
        less = np.full(len(gap), np.inf) if np.isinf(step) else step * error
        yield np.sign(gap) * np.maximum(0.0, np.abs(gap) - less)


def _scaled(gap: np.ndarray) -> Iterator[np.ndarray]:
    for scale in _SCALES:
        yield scale * gap


def _kept(truths: np.ndarray, chance: np.ndarray, tail: float) -> list[float]:
    """The truths that are kept, and where between two of them keeping ends."""
    kept = chance >= tail
    ends = np.flatnonzero(kept[1:] != kept[:-1])
    share = (tail - chance[ends]) / (chance[ends + 1] - chance[ends])
    between = truths[ends] + share * (truths[ends + 1] - truths[ends])
    return [*truths[kept].tolist(), *between.tolist()]
