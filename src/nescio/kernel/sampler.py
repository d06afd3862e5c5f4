"""The sampler: from a row of logits to the distribution drawn from, and a draw.

Steps are applied in the order of Hugging Face transformers' warpers: temperature,
top-k, top-p, min-p, typical. Each sees what the one before has left, renormalised,
and leaves at least one token.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int32, UInt16

from nescio.errors import InvalidInput
from nescio.kernel.tiles import as_rows, checked_peaks, shifted, tiles
from nescio.kernel.top import top_ids

__all__ = ["Sampling", "draw", "process"]

_FIRST_GUESS = 256
_GROWTH = 8
_CELL = 256
_CEILING = 1e300  # stands for +inf where 0 * inf has to be 0


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn; the default draws from the model as it is.

    Attributes:
        temperature: logits are divided by it; 0 is greedy, equal logits by lower id.
        top_k: keeps exactly the k most probable tokens, equal ones by lower id.
        top_p: keeps the fewest most probable tokens whose mass reaches it, in (0, 1].
        min_p: keeps tokens with p >= min_p * max p, in [0, 1].
        typical_p: keeps the fewest tokens of surprisal nearest the entropy whose mass
            reaches it, in (0, 1].

    Raises:
        InvalidInput: a value out of its range.

    Example:
        >>> Sampling(temperature=0.7, top_p=0.9).top_p
        0.9

    Source: top-p, Holtzman et al. (2020); typical, Meister et al. (2023); min-p,
    Nguyen et al. (2024).
    """

    temperature: float | int = 1.0
    top_k: int | None = None
    top_p: float | int | None = None
    min_p: float | int | None = None
    typical_p: float | int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise InvalidInput(
                f"temperature is {self.temperature}: give a finite number, 0 for greedy"
            )
        if self.top_k is not None and self.top_k < 1:
            raise InvalidInput(f"top_k is {self.top_k}: give at least 1, or None")
        for name, value in (("top_p", self.top_p), ("typical_p", self.typical_p)):
            if value is not None and not 0 < value <= 1:
                raise InvalidInput(f"{name} is {value}: give a mass in (0, 1], or None")
        if self.min_p is not None and not 0 <= self.min_p <= 1:
            raise InvalidInput(
                f"min_p is {self.min_p}: give a share of the largest probability "
                "in [0, 1], or None"
            )


def process(
    logits: Float[np.ndarray, "rows vocab"] | UInt16[np.ndarray, "rows vocab"],
    sampling: Sampling,
    *,
    dtype: str | None = None,
) -> Float64[np.ndarray, "rows vocab"]:
    """Normalised log-probabilities of the distribution actually drawn from, in nats.

    Args:
        logits: rows as in `nescio.kernel.row_statistics`.
        sampling: the steps, applied in the order temperature, top-k, top-p, min-p,
            typical.
        dtype: ``"bfloat16"`` if ``logits`` are uint16 bit patterns of that type.

    Raises:
        InvalidDistribution: NaN, +inf or a row of nothing but -inf.
        InvalidInput: a wrong shape or type.

    Example:
        >>> logits = np.log([[0.5, 0.3, 0.2]])
        >>> np.exp(process(logits, Sampling(top_k=2)))
        array([[0.625, 0.375, 0.   ]])
    """
    rows = as_rows(logits, dtype)
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
    logits: Float[np.ndarray, "rows vocab"] | UInt16[np.ndarray, "rows vocab"],
    sampling: Sampling,
    uniforms: Float[np.ndarray, " rows"],
    *,
    dtype: str | None = None,
) -> tuple[Int32[np.ndarray, " rows"], Float64[np.ndarray, " rows"]]:
    """One token a row, and its log-probability under `process`.

    The token is the inverse of the distribution function over ascending ids at the
    row's own uniform number: what stands in the other rows changes nothing, and a
    token of probability 0 is never drawn.

    Args:
        logits: rows as in `nescio.kernel.row_statistics`.
        sampling: the steps, in the order of `process`.
        uniforms: one number in [0, 1) a row.
        dtype: ``"bfloat16"`` if ``logits`` are uint16 bit patterns of that type.

    Returns:
        The ids, and their log-probabilities in nats, at most 0.

    Raises:
        InvalidDistribution: NaN, +inf or a row of nothing but -inf.
        InvalidInput: a wrong shape or type, a uniform outside [0, 1).

    Example:
        >>> logits = np.log([[0.5, 0.3, 0.2]])
        >>> ids, logp = draw(logits, Sampling(), np.array([0.75]))
        >>> int(ids[0]), round(float(np.exp(logp[0])), 6)
        (1, 0.3)
    """
    rows = as_rows(logits, dtype)
    _check_uniforms(uniforms, len(rows))
    drawn, logp = np.empty(len(rows), np.int32), np.empty(len(rows))
    for where, tile in tiles(rows, dtype):
        peaks = checked_peaks(tile, tile, first=where.start)
        for index, row in enumerate(tile):
            at = where.start + index
            ids, score = _survivors(row, peaks[index], sampling)
            place, total = _invert(_weights(score), float(uniforms[at]))
            drawn[at] = place if ids is None else ids[place]
            logp[at] = min(score[place] - math.log(total), 0.0)
    return drawn, logp


def _check_uniforms(uniforms: np.ndarray, rows: int) -> None:
    if uniforms.shape != (rows,):
        raise InvalidInput(
            f"uniforms have shape {uniforms.shape}: give one number for each of the "
            f"{rows} rows"
        )
    outside = np.flatnonzero(~((uniforms >= 0) & (uniforms < 1)))
    if outside.size:
        row = int(outside[0])
        raise InvalidInput(
            f"the uniform number of row {row} is {uniforms[row]}: give one in [0, 1)"
        )


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


def _invert(weight: np.ndarray, uniform: float) -> tuple[int, float]:
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
    return cell * _CELL + min(place, last), total
