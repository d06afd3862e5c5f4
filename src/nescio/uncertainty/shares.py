"""A share of rows, or one share less another, where rows come in clusters or weigh.

Such rows say less (seldom more) than as many independent ones: the score interval is
taken for the number of independent rows that would know the share as well. Resampling
is no help here: where all 40 answers are right it gives an interval of no width, and
where 39 are one that is too short.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from nescio.errors import InvalidInput, NotEnoughData
from nescio.uncertainty.interval import Interval
from nescio.uncertainty.paired_shares import paired_shares_limits
from nescio.uncertainty.resampling import owners
from nescio.uncertainty.wilson import wilson_limits

__all__ = ["paired_share_interval", "share_interval"]

_NOTHING = 1e-20  # of what one differing row would give: rounding


def share_interval(
    hits: Float[np.ndarray, " n"],
    *,
    clusters: Sequence[Any] | np.ndarray | None = None,
    weights: Float[np.ndarray, " weights"] | None = None,
    level: float = 0.95,
) -> Interval:
    """Wilson's interval for the share of rows that are 1.

    Args:
        hits: 0 or 1 a row.
        clusters: what was drawn together, or None for independent rows.
        weights: of rows, not negative, or None for 1 each.
        level: the coverage aimed at, in (0, 1).

    Raises:
        InvalidInput: other values, or clusters or weights for other rows.
        NotEnoughData: no rows, one cluster only, or no weight.

    Example:
        >>> hits = np.array([1.0] * 38 + [0.0] * 2)
        >>> found = share_interval(hits, clusters=np.arange(40) // 2)
        >>> round(found.low, 4), round(found.high, 4)
        (0.7392, 0.9922)

    Source: Wilson (1927); Korn & Graubard (1998) and Dean & Pagano (2015) for the
    effective number of rows.
    """
    rows = _rows(hits, (0.0, 1.0), clusters, weights)
    share = rows.mean(hits)

    def limits(n: float) -> tuple[float, float]:
        return wilson_limits(share, n, level=level)

    return _scored("Wilson score", rows, share * (1.0 - share), limits, level=level)


def paired_share_interval(
    gaps: Float[np.ndarray, " n"],
    *,
    clusters: Sequence[Any] | np.ndarray | None = None,
    weights: Float[np.ndarray, " weights"] | None = None,
    level: float = 0.95,
) -> Interval:
    """Tango's interval for the mean of hits less hits.

    Args:
        gaps: -1, 0 or 1 a row.
        clusters, weights, level: as `share_interval` has them.

    Raises:
        InvalidInput: other values, or clusters or weights for other rows.
        NotEnoughData: no rows, one cluster only, or no weight.

    Example:
        >>> gaps = np.array([1.0] * 40 + [-1.0] * 20 + [0.0] * 100)
        >>> found = paired_share_interval(gaps)
        >>> round(found.low, 4), round(found.high, 4)
        (0.0309, 0.2181)

    Source: Tango (1998); Korn & Graubard (1998) for the effective number of rows.
    """
    rows = _rows(gaps, (-1.0, 0.0, 1.0), clusters, weights)
    won, lost = (rows.mean((gaps == side).astype(float)) for side in (1.0, -1.0))

    def limits(n: float) -> tuple[float, float]:
        return paired_shares_limits(won, lost, n, level=level)

    variance = won + lost - (won - lost) ** 2
    return _scored("Tango score, paired", rows, variance, limits, level=level)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Values, the part of all weight each row has, and the cluster it is of."""

    values: Float[np.ndarray, " n"]
    shares: Float[np.ndarray, " n"]
    owner: Integer[np.ndarray, " n"] | None
    weighted: bool

    def mean(self, values: Float[np.ndarray, " n"]) -> float:
        """Exactly 1 where all that weighs anything is."""
        if not self.weighted:
            return float(values.mean())
        if (values[self.shares > 0.0] == 1.0).all():
            return 1.0
        return float(self.shares @ values)


def _rows(
    values: Float[np.ndarray, " n"],
    allowed: tuple[float, ...],
    clusters: Sequence[Any] | np.ndarray | None,
    weights: Float[np.ndarray, " weights"] | None,
) -> _Rows:
    strange = np.flatnonzero(~np.isin(values, allowed))
    if len(strange):
        raise InvalidInput(
            f"row {strange[0]} is {values[strange[0]]}: one of {allowed} is needed"
        )
    if not len(values):
        raise NotEnoughData("there are no rows to have a share of")
    owner = None if clusters is None else owners(clusters, len(values))[0]
    if weights is None:
        parts = np.full(len(values), 1.0 / len(values))
        return _Rows(values, parts, owner, weighted=False)
    if len(weights) != len(values):
        raise InvalidInput(f"{len(weights)} weights are given for {len(values)} rows")
    if not (np.isfinite(weights).all() and (weights >= 0.0).all()):
        raise InvalidInput("weights are finite and not negative")
    if not weights.any():
        raise NotEnoughData("all rows have weight 0")
    return _Rows(values, weights / weights.sum(), owner, weighted=True)


def _scored(
    words: str,
    rows: _Rows,
    variance: float,
    limits: Callable[[float], tuple[float, float]],
    *,
    level: float,
) -> Interval:
    if not 0.0 < level < 1.0:
        raise InvalidInput(f"level {level} is not between 0 and 1, such as 0.95")
    settings: dict[str, str | float] = {"interval": words}
    n = float(len(rows.values))
    if rows.weighted or rows.owner is not None:
        n = settings["effective_rows"] = _effective_number(rows, variance, level)
    units = None if rows.owner is None else int(rows.owner.max()) + 1
    return Interval(*limits(n), level, len(rows.values), units, settings)


def _effective_number(rows: _Rows, variance: float, level: float) -> float:
    """How many independent rows of one weight would know the mean as well.

    Student's t widens it for few clusters. Where no row, or no cluster, differs from
    another, each cluster counts for one row: they may well be alike within.
    """
    from scipy.special import stdtrit

    owner = np.arange(len(rows.values)) if rows.owner is None else rows.owner
    weight = np.bincount(owner, rows.shares)
    units = int((weight > 0.0).sum())
    centred = rows.shares * (rows.values - rows.mean(rows.values))
    moved = np.bincount(owner, centred)
    spread = float(moved @ moved) * units / max(1, units - 1)
    alike = float(weight @ weight)
    if spread <= _NOTHING * alike or variance <= 0.0 or units < 2:
        return 1.0 / alike
    tail = (1.0 + level) / 2.0
    widening = NormalDist().inv_cdf(tail) / float(stdtrit(units - 1, tail))
    return min(variance / spread * widening**2, float((rows.shares > 0.0).sum()))
