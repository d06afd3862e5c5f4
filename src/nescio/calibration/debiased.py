"""Debiased L2 calibration error: squared gaps less what noise adds to them.

The square of a bin's gap exceeds the square of the true gap by the gap's variance, in
expectation. Taking an unbiased estimate of that off gives an unbiased squared error,
which is negative about every second time for a calibrated source. Its root is taken of
what is left above 0, and that floor lifts it: `debiased_squared_calibration_error` has
no floor, and is the one to average or to compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from nescio.calibration.binned import Found, found_in, gap_variances, unvaried
from nescio.calibration.bins import FIFTEEN, Bins, bins_of
from nescio.calibration.inversion import (
    INVERSION,
    INVERTED,
    Noise,
    inverted_limits,
    value_at,
)
from nescio.calibration.measuring import How, Measured, estimated, units_of
from nescio.calibration.null import p_value_of
from nescio.errors import NotEnoughData
from nescio.outcome import Estimate, Outcomes
from nescio.uncertainty import Interval
from nescio.uncertainty.resampling import expanded_tail

__all__ = [
    "DEBIASED",
    "debiased_l2_calibration_error",
    "debiased_squared_calibration_error",
]

_SOURCES = (
    "Ferro & Fricker (2012), bias correction",
    "Kumar, Liang & Ma (2019)",
    *INVERSION,
)


def debiased_l2_calibration_error(
    outcomes: Outcomes,
    *,
    bins: Bins | int = FIFTEEN,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """The root of the debiased squared error, 0 where that is negative.

    Read it beside ``null_level``, which the floor at 0 keeps above 0. The squared value
    stands in the recipe.

    Args:
        outcomes: confidence and correctness; weights and clusters are honoured.
        bins: `EqualWidth`, `EqualMass`, `UniqueValues`, or a number of equal width.
        level: the coverage the interval aims at.
        resamples: of the bootstrap, and draws of the null.
        seed: of both.

    Raises:
        InvalidInput: no such bins, level or number of resamples.
        NotEnoughData: no bin has two rows (two clusters, where they are named).

    Example:
        >>> rows = Outcomes.of([0.9] * 20 + [0.6] * 20, ([1] * 14 + [0] * 6) * 2)
        >>> round(debiased_l2_calibration_error(rows).value, 4)    # plug-in: .1581
        0.1181

    Source: Kumar et al. (2019).
    """
    how = How(level, resamples, seed)
    square = _squared(outcomes, bins_of(bins), how)
    limits = square.limits()
    if not isinstance(limits, str):
        low, high = (float(np.sqrt(max(0.0, x))) for x in (limits.low, limits.high))
        limits = Interval(
            low, high, level, limits.n, limits.n_clusters, limits.settings
        )
    settings = {
        **square.settings,
        "squared": square.value,
        "floor": "0, which biases upward",
    }
    return estimated(
        Measured(
            "debiased_l2_calibration_error",
            float(np.sqrt(max(0.0, square.value))),
            settings,
            _SOURCES,
            most=1.0,
        ),
        outcomes,
        limits,
        null_level=square.null_level(),
        p_value=square.p_value(),
    )


def debiased_squared_calibration_error(
    outcomes: Outcomes,
    *,
    bins: Bins | int = FIFTEEN,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Mean over bins of gap^2 - s^2 / n_b, unbiased and so sometimes below 0.

    s^2 is the sample variance of correct - confidence in the bin, and n_b its rows;
    where confidence is constant that is gap^2 - a (1 - a) / (n_b - 1) with accuracy a.
    Bins of one row are left out and counted, and shares are of the rows that stay. Rows
    that carry weights, or clusters, have the corresponding variance of a weighted mean,
    or of one of cluster sums, taken off.

    The interval is for the squared error of the population in these bins, and is not
    cut at 0 either.

    Args:
        outcomes, bins, level, resamples, seed: as `debiased_l2_calibration_error`.

    Raises:
        InvalidInput, NotEnoughData: as `debiased_l2_calibration_error`.

    Example:
        >>> rows = Outcomes.of([0.9] * 20 + [0.6] * 20, ([1] * 14 + [0] * 6) * 2)
        >>> round(debiased_squared_calibration_error(rows).value, 5)
        0.01395

    Source: Kumar et al. (2019); Ferro & Fricker (2012).
    """
    square = _squared(outcomes, bins_of(bins), How(level, resamples, seed))
    return estimated(
        Measured(
            "debiased_squared_calibration_error",
            square.value,
            square.settings,
            _SOURCES,
            least=-1.0,
            most=1.0,
        ),
        outcomes,
        square.limits(),
        null_level=0.0,
        p_value=square.p_value(),
    )


@dataclass(frozen=True, eq=False)
class _Square:
    """The debiased square: bins with at least two units, their shares and variances."""

    found: Found
    kept: Bool[np.ndarray, " bins"]
    share: Float[np.ndarray, " kept"]
    gap: Float[np.ndarray, " kept"]
    variance: Float[np.ndarray, " kept"]
    settings: Mapping[str, Any]

    @property
    def value(self) -> float:
        return float(self.share @ (self.gap**2 - self.variance))

    @property
    def plain(self) -> float:
        """The square that is not debiased."""
        return value_at(_mean_square, self.gap, self.share)

    def p_value(self) -> float | None:
        null = self.found.null
        if isinstance(null, str):
            return None
        drawn = _mean_square(null.gap[:, self.kept], self.share)
        return p_value_of(drawn, self.plain)

    def null_level(self) -> float | None:
        """The mean of the floored root under calibration."""
        null = self.found.null
        if isinstance(null, str):
            return None
        squares = null.gap[:, self.kept] ** 2
        drawn = (squares - squares.mean(axis=0)) @ self.share
        return float(np.sqrt(np.maximum(0.0, drawn)).mean())

    def limits(self) -> Interval | str:
        """Limits by test inversion; a source without gaps may lie below 0.

        Where the value found would be ordinary without any gap, that distribution is
        moved until it would not.
        """
        gaps, how = self.found.gaps, self.found.how
        outcomes = self.found.outcomes
        why = unvaried(gaps, outcomes)
        if why:
            return why
        off, shares = gaps.resampled(resamples=how.resamples, seed=how.seed)
        off, shares = off[:, self.kept], shares[:, self.kept]
        shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)
        units = units_of(outcomes)
        tail, plain = expanded_tail(how.level, units), self.plain
        noise = self._noise()
        low, high = inverted_limits(
            _mean_square,
            (self.gap, self.share),
            (off, shares),
            tail,
            thresholded=False,
            noise=noise,
        )
        if noise is not None:
            error = off.std(axis=0)
            off = off / np.where(error > 0, error, 1.0) * noise(np.zeros_like(self.gap))
        drawn = _mean_square(off, shares)
        below, above = np.quantile(drawn, [tail, 1.0 - tail]).tolist()
        low = plain - above if plain < above else low
        high = plain - below if plain < below else high
        settings = {
            "interval": INVERTED,
            "noise": "as resampled" if noise is None else "of the truth tried",
            "resampled": gaps.units,
            "resamples": how.resamples,
            "seed": how.seed,
        }
        clusters = None if outcomes.cluster is None else units
        return Interval(low, high, how.level, len(outcomes), clusters, settings)

    def _noise(self) -> Noise | None:
        """The standard errors of gaps under a truth, for rows that count alike.

        A bin whose gap is large by chance has another accuracy than a calibrated one,
        and the noise of that accuracy, which is not the noise under smaller gaps.
        """
        outcomes, binned = self.found.outcomes, self.found.binned
        if outcomes.cluster is not None or outcomes.weight is not None:
            return None
        place, rows = self.found.gaps.place[self.kept], self.found.gaps.rows[self.kept]
        total = np.bincount(binned.index, outcomes.confidence, minlength=len(binned))
        confidence = total[place] / rows

        def errors(truth: Float[np.ndarray, " _"]) -> Float[np.ndarray, " _"]:
            accuracy = np.clip(confidence - truth, 0.0, 1.0)
            return np.sqrt(accuracy * (1.0 - accuracy) / rows)

        return errors


def _mean_square(gap: np.ndarray, share: np.ndarray) -> np.ndarray:
    return (share * gap**2).sum(axis=-1)


def _squared(outcomes: Outcomes, bins: Bins, how: How) -> _Square:
    found = found_in(outcomes, bins, how)
    gaps = found.gaps
    variance, units = gap_variances(found)
    kept = units > 1
    if not kept.any():
        what = "rows" if outcomes.cluster is None else "clusters"
        raise NotEnoughData(
            f"none of {len(kept)} bins has two {what}: nothing shows the noise of its "
            "gap; use fewer bins"
        )
    settings = {
        **found.settings,
        "bins_left_out": int((~kept).sum()),
        "rows_left_out": int(gaps.rows[~kept].sum()),
    }
    share = gaps.share[kept] / gaps.share[kept].sum()
    return _Square(found, kept, share, gaps.gap[kept], variance[kept], settings)


DEBIASED = {
    "debiased_l2_calibration_error": debiased_l2_calibration_error,
    "debiased_squared_calibration_error": debiased_squared_calibration_error,
}
"""The errors of this file by name."""
