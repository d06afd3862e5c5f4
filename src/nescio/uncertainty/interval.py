"""Two limits, and how they were found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidInput

__all__ = ["Interval", "check_finite", "check_request"]

_RESAMPLES_PER_TAIL = 5


@dataclass(frozen=True)
class Interval:
    """An interval that aims at covering the truth with probability ``level``.

    Args:
        low, high: its limits, in the unit of the data.
        level: in (0, 1).
        n: how many rows, pairs or tokens were resampled.
        n_clusters: how many clusters they form, or None if they stand alone.
        settings: all that another person needs to get the same limits; JSON values.

    Raises:
        InvalidInput: a limit that is not finite, or limits in the wrong order.

    Example:
        >>> Interval(0.25, 0.75, 0.95, 10).width
        0.5
    """

    low: float
    high: float
    level: float
    n: int
    n_clusters: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise InvalidInput(f"limits {self.low} and {self.high} are not finite")
        if self.low > self.high:
            raise InvalidInput(f"low {self.low} is above high {self.high}")

    @property
    def width(self) -> float:
        """How far the limits lie apart."""
        return self.high - self.low


def check_request(level: float, resamples: int, seed: int = 0) -> None:
    """Refuse a level that is none, too few resamples to see its tails, a bad seed.

    Raises:
        InvalidInput: naming the least number of resamples.
    """
    if seed < 0:
        raise InvalidInput(f"seed is {seed}: a seed is at least 0")
    if not 0.0 < level < 1.0:
        raise InvalidInput(f"level {level} is not between 0 and 1, such as 0.95")
    least = math.ceil(round(2 * _RESAMPLES_PER_TAIL / (1.0 - level), 9))
    if resamples < least:
        raise InvalidInput(
            f"{resamples} resamples do not show the tails of a {level:.10g} interval: "
            f"at least {least}, better 2000"
        )


def check_finite(name: str, numbers: Float[np.ndarray, "..."]) -> None:
    """Refuse NaN and infinities, naming the first.

    Raises:
        InvalidInput: with its place and value.
    """
    bad = np.argwhere(~np.isfinite(numbers))
    if len(bad):
        place = tuple(bad[0].tolist())
        where = place[0] if len(place) == 1 else place
        raise InvalidInput(
            f"{name}[{where}] is {numbers[place]}: resampling needs finite numbers "
            f"({len(bad)} are not); leave such rows out and say so"
        )
