"""Accuracy among the questions a measure is surest of, and how far that may be off."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from nescio.calibration.influence import cluster_of_rows
from nescio.calibration.measuring import How
from nescio.calibration.risk_coverage import RiskCoverage, risk_coverage_curve
from nescio.evaluation.consistency_found import RiskBand
from nescio.outcome import Outcomes
from nescio.uncertainty import MINIMUM_UNITS
from nescio.uncertainty.resampling import drawn_counts, expanded_tail
from nescio.uncertainty.wilson import wilson_limits

__all__ = ["coverage_band", "coverage_of", "redrawn_rows"]

_POINTS = 100  # of a risk-coverage curve
_CELLS = 2**24  # of counts that are held, 128 MiB


def coverage_of(outcomes: Outcomes, column: Float[np.ndarray, " n"]) -> RiskCoverage:
    """The risk-coverage curve at no more than 100 points, the last among them.

    Args:
        outcomes: of each question, ranked by how sure.
        column: the measure's own numbers, which ``confidence`` of the curve are.

    Example:
        >>> rows = Outcomes.of([0.9, 0.6, 0.3], [1, 0, 1])
        >>> coverage_of(rows, np.array([3.0, 2.0, 1.0])).confidence.tolist()
        [3.0, 2.0, 1.0]
    """
    curve = risk_coverage_curve(outcomes)
    order = np.argsort(-outcomes.confidence, kind="stable")
    n = len(column)
    kept = np.unique(np.ceil(np.linspace(0, n, min(n, _POINTS) + 1)[1:]).astype(int))
    kept -= 1
    return RiskCoverage(
        curve.coverage[kept],
        curve.risk[kept],
        column[order][kept].astype(np.float64),
        curve.attainable[kept],
    )


def redrawn_rows(
    outcomes: Outcomes, how: How
) -> Float[np.ndarray, "resamples n"] | None:
    """How often each row is in each resample of the rows, or of their clusters.

    No more resamples than the level needs: all measures are taken on each.

    Returns:
        [resamples, n]; None where units are too few, or rows too many to be held.
    """
    owner, units = cluster_of_rows(outcomes)
    resamples = min(how.resamples, math.ceil(round(10.0 / (1.0 - how.level), 9)))
    if units < MINIMUM_UNITS or resamples * len(outcomes) > _CELLS:
        return None
    rng = np.random.default_rng(how.seed)
    (drawn,) = drawn_counts(rng, units, resamples, chunk=resamples)
    return drawn[:, owner].astype(np.float64)


def coverage_band(
    curve: RiskCoverage,
    outcomes: Outcomes,
    redrawn: Float[np.ndarray, "resamples n"] | None,
    *,
    how: How,
) -> RiskBand:
    """Limits of the risk at each coverage of a curve, point by point.

    Percentiles over resampled questions: which questions are the surest ones varies
    with them. Where nearly all, or none, of them are wrong, resamples show too little:
    the limits hold Wilson's as well, for as many questions as are answered (with
    clusters: for their share of the clusters), and the risk itself.

    Args:
        curve: of `coverage_of`.
        outcomes: it is of.
        redrawn: of `redrawn_rows`; None: Wilson's limits alone.
        how: level and seed of the limits.

    Example:
        >>> rows = Outcomes.of(np.linspace(0, 1, 40), [1] * 40)
        >>> how, curve = How(), coverage_of(rows, rows.confidence)
        >>> band = coverage_band(curve, rows, redrawn_rows(rows, how), how=how)
        >>> round(float(band.high[-1]), 3), round(float(band.high[0]), 2)
        (0.088, 0.79)

    Source: El-Yaniv & Wiener (2010) for the curve; Efron (1979); Wilson (1927).
    """
    units = cluster_of_rows(outcomes)[1]
    ends = np.array(
        [
            wilson_limits(float(risk), float(share) * units, level=how.level)
            for risk, share in zip(curve.risk, curve.coverage, strict=True)
        ]
    )
    low, high = ends.T
    if redrawn is not None:
        risks = _risks(curve, outcomes, redrawn)
        tail = expanded_tail(how.level, units)
        found = np.quantile(risks, [tail, 1.0 - tail], axis=0)
        low, high = np.minimum(low, found[0]), np.maximum(high, found[1])
    low, high = np.minimum(low, curve.risk), np.maximum(high, curve.risk)
    return RiskBand(np.maximum(low, 0.0), np.minimum(high, 1.0), how.level)


def _risks(
    curve: RiskCoverage,
    outcomes: Outcomes,
    redrawn: Float[np.ndarray, "resamples n"],
) -> Float[np.ndarray, "resamples points"]:
    """The risk of each resample at the same coverages, expected over ties."""
    order = np.argsort(-outcomes.confidence, kind="stable")
    ranked = outcomes.confidence[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    counts = redrawn[:, order]
    wrong = np.cumsum(counts * ~outcomes.correct[order], axis=1)[:, ends]
    seen = np.cumsum(counts, axis=1)[:, ends]
    risks = np.empty((len(redrawn), len(curve.coverage)))
    for row, (rows, errors) in enumerate(zip(seen, wrong, strict=True)):
        answered = curve.coverage * rows[-1]
        # Within ties the errors come evenly: a straight line between their ends.
        errors_there = np.interp(answered, np.append(0.0, rows), np.append(0.0, errors))
        risks[row] = errors_there / answered
    return np.clip(risks, 0.0, 1.0)
