"""Long lines made short without losing what one sees: extremes by pixel column."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import InvalidInput

__all__ = ["columns_of", "extremes", "running_mean"]


def running_mean(
    values: Float[np.ndarray, " n"], *, window: int
) -> Float[np.ndarray, " n"]:
    """The mean of the last ``window`` values, for the eye; fewer at the beginning.

    NaN marks an absent value: it stays absent and counts for nothing. An infinite
    value makes every window that holds it infinite.

    Raises:
        InvalidInput: a window below 1.

    Example:
        >>> running_mean(np.array([2.0, 4.0, np.nan, 8.0]), window=2).tolist()
        [2.0, 3.0, nan, 8.0]
    """
    if window < 1:
        raise InvalidInput(f"window is {window}: a mean is over at least 1 value")
    finite = np.isfinite(values)
    total = _window_sums(np.where(finite, values, 0.0), window)
    count = _window_sums(finite.astype(np.float64), window)
    infinite = _window_sums(np.where(np.isinf(values), np.sign(values), 0.0), window)
    mean = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
    mean = np.where(infinite == 0, mean, np.copysign(np.inf, infinite))
    return np.where(np.isnan(values), np.nan, mean)


def columns_of(x: Float[np.ndarray, " n"], *, columns: int) -> Int[np.ndarray, " n"]:
    """Which of ``columns`` equal stretches each rising x falls into, [n]."""
    span = x[-1] - x[0]
    if span <= 0:
        return np.zeros(len(x), dtype=np.int64)
    return np.minimum(((x - x[0]) / span * columns).astype(np.int64), columns - 1)


def extremes(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], *, columns: int
) -> list[list[int]]:
    """Which points to draw, as unbroken runs of indices.

    Up to two points a column are all kept; beyond that each column keeps its lowest
    and its highest. NaN breaks the line: it is in no run, and no run passes it.

    Args:
        x: rising positions.
        y: values, NaN where absent.
        columns: how many can be told apart, e.g. the width in pixels.

    Example:
        >>> extremes(np.arange(4.0), np.array([1, 2, np.nan, 3.0]), columns=9)
        [[0, 1], [3]]
    """
    absent = np.isnan(y)
    if len(y) <= 2 * columns:
        pieces = np.split(np.arange(len(y)), np.flatnonzero(absent))
        kept = ([int(i) for i in piece if not absent[i]] for piece in pieces)
        return [run for run in kept if run]
    edges = np.searchsorted(columns_of(x, columns=columns), np.arange(columns + 1))
    runs: list[list[int]] = [[]]
    for start, end in pairwise(edges.tolist()):
        part, gaps = y[start:end], absent[start:end]
        if start == end:
            continue
        if not gaps.all():
            ends = {start + int(np.nanargmin(part)), start + int(np.nanargmax(part))}
            runs[-1].extend(sorted(ends))
        if gaps.any():
            runs.append([])
    return [run for run in runs if run]


def _window_sums(values: Float[np.ndarray, " n"], window: int) -> np.ndarray:
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    starts = np.maximum(np.arange(1, len(sums)) - window, 0)
    return sums[1:] - sums[starts]
