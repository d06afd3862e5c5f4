"""The sampler in NumPy: the compiled kernel's oracle, and its stand-in."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float64, Int32, Shaped

from nescio.kernel.sampling import Sampling
from nescio.kernel.tiles import checked_peaks, shifted, tiles
from nescio.kernel.top import top_ids
from nescio.kernel.twin_rows import row_statistics

__all__ = ["draw", "process"]

_FIRST_GUESS = 256
_GROWTH = 8
_CELL = 256
_BLOCK, _STRIP = 1024, 32  # ids
_CEILING = 1e300  # stands for +inf where 0 * inf has to be 0


def process(
    rows: Shaped[np.ndarray, "rows vocab"], sampling: Sampling, *, dtype: str | None
) -> Float64[np.ndarray, "rows vocab"]:
    """As `nescio.kernel.process`, of rows that were checked."""
    result = np.full(rows.shape, -np.inf)
    for where, tile in tiles(rows, dtype):
        peaks = checked_peaks(tile, tile, first=where.start)
        for index, row in enumerate(tile):
            ids, score = _survivors(row, peaks[index], sampling)
            place = slice(None) if ids is None else ids
            logp = score - math.log(_weights(score).sum())
            result[where.start + index, place] = np.minimum(logp, 0.0)
    return result


def draw(
    rows: Shaped[np.ndarray, "rows vocab"],
    sampling: Sampling,
    uniforms: Float[np.ndarray, "rows levels"],
    *,
    renyi: tuple[float | int, ...],
    dtype: str | None,
) -> tuple[
    Int32[np.ndarray, " rows"],
    Float64[np.ndarray, " rows"],
    Float64[np.ndarray, "rows orders"],
]:
    """As `nescio.kernel.draw_with_sums`, of rows and uniforms that were checked."""
    drawn, logp = np.empty(len(rows), np.int32), np.empty(len(rows))
    powers = np.empty((len(rows), len(renyi)))
    for where, tile in tiles(rows, dtype):
        peaks = checked_peaks(tile, tile, first=where.start)
        for index, row in enumerate(tile):
            at = where.start + index
            ids, score = _survivors(row, peaks[index], sampling)
            weight = _weights(score)
            if uniforms.shape[1] == 1:
                place = _invert(weight, float(uniforms[at, 0]))
            else:
                place = _descend(weight, ids, uniforms[at])
            drawn[at] = place if ids is None else ids[place]
            logp[at] = min(score[place] - math.log(weight.sum()), 0.0)
            if renyi:
                left = row_statistics(score[None], None, top=0, renyi=renyi, dtype=None)
                powers[at] = left.log_renyi
    return drawn, logp, powers


def _survivors(
    row: np.ndarray, peak: float, sampling: Sampling
) -> tuple[np.ndarray | None, np.ndarray]:
    """Ascending ids that remain (None: all) and their scores, log p up to a constant.

    The largest score is 0 unless typical sampling has dropped it.
    """
    if sampling.temperature == 0:
        return np.array([row.argmax()]), np.zeros(1)
    score = shifted(row[None], np.array([peak]))[0]
    if sampling.temperature != 1:
        with np.errstate(over="ignore", under="ignore"):  # -inf: as at temperature 0
            score /= sampling.temperature
    ids = None
    for value, cut in _cuts(sampling):
        kept = np.sort(cut(score, value))
        ids, score = (kept if ids is None else ids[kept]), score[kept]
    return ids, score


_Cut = Callable[[np.ndarray, float | int], np.ndarray]


def _cuts(sampling: Sampling) -> list[tuple[float | int, _Cut]]:
    """The truncations that do something, in their order."""
    steps: list[tuple[float | int | None, float | int, _Cut]] = [
        (sampling.top_k, math.inf, _top_k),
        (sampling.top_p, 1, _top_p),
        (sampling.min_p, 0, _min_p),
        (sampling.typical_p, 1, _typical),
    ]
    return [(value, cut) for value, idle, cut in steps if value not in (None, idle)]


def _top_k(score: np.ndarray, count: float | int) -> np.ndarray:
    return top_ids(score[None], min(int(count), score.size))[0]


def _top_p(score: np.ndarray, mass: float | int) -> np.ndarray:
    return _fewest(score, _weights(score), mass)


def _min_p(score: np.ndarray, share: float | int) -> np.ndarray:
    return np.flatnonzero(_weights(score) >= share)  # the largest weight is 1


def _typical(score: np.ndarray, mass: float | int) -> np.ndarray:
    weight = _weights(score)
    surprisal = math.log(weight.sum()) - score
    with np.errstate(under="ignore"):
        entropy = np.dot(weight, np.minimum(surprisal, _CEILING)) / weight.sum()
    return _fewest(-np.abs(surprisal - entropy), weight, mass)


def _fewest(key: np.ndarray, weight: np.ndarray, mass: float | int) -> np.ndarray:
    """The shortest prefix, largest key first, with that share of the weight.

    Equal keys stand by lower position. The prefix is looked for among ever more of
    the largest, since it is mostly short and sorting a vocabulary is slow.
    """
    needed = mass * weight.sum()
    size = _FIRST_GUESS
    while True:
        order = top_ids(key[None], min(size, key.size))[0]
        reached = np.cumsum(weight[order])
        if reached[-1] >= needed or order.size == key.size:
            return order[: int(np.searchsorted(reached, needed)) + 1]
        size *= _GROWTH


def _weights(score: np.ndarray) -> np.ndarray:
    with np.errstate(under="ignore"):
        return np.exp(score)


def _descend(
    weight: np.ndarray, ids: np.ndarray | None, uniforms: Float[np.ndarray, " levels"]
) -> int:
    """A place by its block, its strip in that, and itself in that, by a number each."""
    numbers = np.arange(weight.size) if ids is None else ids
    begin, end = 0, weight.size
    for width, uniform in zip((_BLOCK, _STRIP, 1), uniforms[::-1], strict=True):
        groups = numbers[begin:end] // width
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        group = _invert(np.add.reduceat(weight[begin:end], starts), float(uniform))
        edges = [*starts.tolist(), end - begin]
        begin, end = begin + edges[group], begin + edges[group + 1]
    return begin


def _invert(weight: np.ndarray, uniform: float) -> int:
    """The first place where the running sum exceeds ``uniform`` times the total.

    The sum runs over cells of the row, then within one cell: a running sum over a
    whole vocabulary is slow. A product with u < 1 is less than the total also after
    rounding, so the cell exists and its weight is positive.
    """
    cells = np.zeros((-(-weight.size // _CELL), _CELL))
    cells.ravel()[: weight.size] = weight
    edges = np.cumsum(cells.sum(axis=1))
    total = float(edges[-1])
    aim = uniform * total
    cell = int(np.searchsorted(edges, aim, side="right"))
    before = float(edges[cell - 1]) if cell else 0.0
    inside = np.cumsum(cells[cell])
    place = int(np.searchsorted(inside, aim - before, side="right"))
    last = int(np.flatnonzero(cells[cell])[-1])  # rounding must not run off the end
    return cell * _CELL + min(place, last)
