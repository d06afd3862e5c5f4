"""An interval for the difference of two proportions that were counted on one sample."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np

from nescio.errors import InvalidInput
from nescio.uncertainty.interval import Interval

__all__ = ["paired_shares_interval", "paired_shares_limits"]


def paired_shares_interval(
    first_only: int | np.integer,
    second_only: int | np.integer,
    n: int | np.integer,
    *,
    level: float = 0.95,
) -> Interval:
    """Tango's score interval for how much more often the first holds than the second.

    Two classifiers judge the same items, or a text is right before and after: only
    items where they differ speak of the difference. Where none does, resampling gives
    an interval of no width; this one then reaches z² / (n + z²) to both sides.

    Args:
        first_only, second_only: on how many items only the one holds.
        n: independent items, at least 1.
        level: the coverage aimed at, in (0, 1).

    Returns:
        Limits in [-1, 1] around (``first_only`` - ``second_only``) / ``n``.

    Raises:
        InvalidInput: no items, counts out of range, or a level that is none.

    Example:
        >>> interval = paired_shares_interval(40, 20, 160)
        >>> round(interval.low, 4), round(interval.high, 4)
        (0.0309, 0.2181)

    Source: Tango (1998).
    """
    first, second, n = int(first_only), int(second_only), int(n)
    if n < 1 or min(first, second) < 0 or first + second > n:
        raise InvalidInput(
            f"{first} and {second} items of {n} differ: give counts of at least 0, "
            "together n at most, n >= 1"
        )
    if not 0.0 < level < 1.0:
        raise InvalidInput(f"level {level} is not between 0 and 1, such as 0.95")
    low, high = paired_shares_limits(first / n, second / n, n, level=level)
    return Interval(low, high, level, n, settings={"interval": "Tango score, paired"})


def paired_shares_limits(
    first: float, second: float, n: float | int, *, level: float = 0.95
) -> tuple[float, float]:
    """The same limits for shares of ``n`` items that may be no whole number.

    Weights and clusters leave an effective number of items.

    Example:
        >>> low, high = paired_shares_limits(0.25, 0.125, 160.0)
        >>> round(low, 4), round(high, 4)
        (0.0309, 0.2181)
    """
    z = NormalDist().inv_cdf((1.0 + level) / 2.0)
    n = float(n)
    return _lower(first, second, n, z), -_lower(second, first, n, z)


def _lower(first: float, second: float, n: float, z: float) -> float:
    """The least difference at which so large a one is no further than z away."""
    from scipy.optimize import brentq

    spread = z * z / n
    if first == second == 0.0:
        return -spread / (1.0 + spread)
    if first == 1.0:
        return (1.0 - spread) / (1.0 + spread)
    if second == 1.0:
        return -1.0

    def excess(difference: float) -> float:
        beyond = first - second - difference
        return beyond - math.sqrt(spread * _variance(first, second, difference))

    found: Any = brentq(excess, -1.0, first - second, xtol=1e-14)
    return float(found)


def _variance(first: float, second: float, difference: float) -> float:
    """Of one item's difference, its likeliest where the mean is ``difference``."""
    slope = (2.0 - first + second) * difference - first - second
    constant = second * difference * (1.0 - difference)
    root = math.sqrt(max(0.0, slope * slope + 8.0 * constant))
    least = (root - slope) / 4.0
    return max(0.0, 2.0 * least + difference * (1.0 - difference))
