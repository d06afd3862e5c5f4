"""Axes: where ticks stand, how they are labelled, which pixel a value falls on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidInput

__all__ = ["Scale", "enclosing_ticks", "tick_labels", "ticks"]

_NICE = ((1.0, 2.0**0.5), (2.0, 10.0**0.5), (5.0, 50.0**0.5), (10.0, math.inf))
"""Steps, and up to which rough step each is the nearest by ratio."""
_SMALLEST = 1e-300


@dataclass(frozen=True)
class Scale:
    """A straight map from values, low to high, to pixels, start to end.

    Raises:
        InvalidInput: limits that are not finite or do not rise.

    Example:
        >>> Scale(0.0, 8.0, start=100.0, end=20.0)(2.0)
        80.0
    """

    low: float | int
    high: float | int
    start: float | int
    end: float | int

    def __post_init__(self) -> None:
        _check_range(self.low, self.high)
        if self.high - self.low < _SMALLEST:
            raise InvalidInput(
                f"a scale from {self.low} to {self.high} is too short to show anything"
            )

    def __call__(self, value: float | int) -> float:
        """The pixel of a value; values outside go to the nearer end."""
        return float(self.pixels(np.array([value], dtype=np.float64))[0])

    def pixels(self, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The pixels of many values; NaN stays NaN, infinities go to the ends."""
        held = np.clip(values.astype(np.float64), self.low, self.high)
        share = (held - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def ticks(
    low: float | int, high: float | int, *, count: int = 5, whole: bool = False
) -> tuple[float, ...]:
    """Round numbers between ``low`` and ``high``: steps of 1, 2 or 5 times 10^k.

    A range of no length has one tick, itself.

    Args:
        low, high: the range; both ends count.
        count: about how many: between 0.6 and 1.6 times as many steps.
        whole: whether only whole numbers make sense (tokens).

    Raises:
        InvalidInput: a range that is not finite or falls, or no tick wanted.

    Example:
        >>> ticks(0.0, 9.3)
        (0.0, 2.0, 4.0, 6.0, 8.0)
        >>> ticks(3, 5, whole=True)
        (3.0, 4.0, 5.0)
    """
    _check_range(low, high)
    if count < 1:
        raise InvalidInput(f"count is {count}: an axis has at least one tick")
    if high - low < _SMALLEST:
        return (float(low),)
    step = _step(float(high) - float(low), count)
    if whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(_multiple(index, step) for index in range(first, last + 1))


def enclosing_ticks(
    low: float | int, high: float | int, *, count: int = 5
) -> tuple[float, ...]:
    """Ticks of which the first and the last enclose the range: an axis' both ends.

    A range of no length is widened.

    Raises:
        InvalidInput: a range that is not finite or falls.

    Example:
        >>> enclosing_ticks(0.0, 9.3)
        (0.0, 2.0, 4.0, 6.0, 8.0, 10.0)
    """
    _check_range(low, high)
    low, high = float(low), float(high)
    largest = max(abs(low), abs(high))
    if high - low <= max(largest * 1e-9, _SMALLEST):
        margin = largest / 2 if largest > _SMALLEST else 0.5
        low, high = low - margin, high + margin
    step = _step(high - low, count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(_multiple(index, step) for index in range(first, last + 1))


def tick_labels(values: Sequence[float]) -> tuple[str, ...]:
    """The ticks as text, all with the same decimals: as many as tell them apart.

    Example:
        >>> tick_labels((0.0, 0.5, 1.0)), tick_labels((0.0, 5000.0))
        (('0.0', '0.5', '1.0'), ('0', '5,000'))
    """
    largest = max(abs(value) for value in values)
    alone = 1e-6 * largest or 1.0  # one tick is written out
    step = min((b - a for a, b in pairwise(values)), default=alone)
    if largest >= 1e7 or (step < 1e-4 and len(values) > 1):
        return tuple(f"{value:.6g}".replace("-", "−") for value in values)
    decimals = next(d for d in range(9) if _all_round(values, d, step) or d == 8)
    return tuple(f"{value:,.{decimals}f}".replace("-", "−") for value in values)


def _all_round(values: Sequence[float], decimals: int, step: float) -> bool:
    return all(abs(round(v, decimals) - v) <= 1e-3 * step for v in values)


def _step(span: float, count: int) -> float:
    rough = span / count
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return magnitude * next(n for n, end in _NICE if rough / magnitude <= end)


def _multiple(index: int, step: float) -> float:
    """index * step without the last digit's noise: .3, not .30000000000000004."""
    return float(f"{index * step:.12g}")


def _check_range(low: float | int, high: float | int) -> None:
    if not math.isfinite(high - low):
        raise InvalidInput(f"a scale from {low} to {high} is not finite")
    if low > high:
        raise InvalidInput(f"a scale from {low} to {high} falls; give the lower first")
