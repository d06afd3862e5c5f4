"""Row statistics in NumPy: the compiled kernel's oracle, and its stand-in.

A row [vocab] is read once into small blocks; what leaves is a handful of float64
numbers. Summations are in float64 whatever the input.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from nescio.kernel.results import RowStatistics
from nescio.kernel.tiles import (
    WIDTH,
    NormalisedTile,
    checked_peaks,
    column_blocks,
    normalised,
    shifted,
    tiles,
)
from nescio.kernel.top import group_maxima, top_ids

__all__ = ["log_softmax", "row_statistics"]

_FLOOR = -1e300  # stands for -inf where 0 * -inf has to be 0


def row_statistics(
    rows: Shaped[np.ndarray, "rows vocab"],
    wanted: Int64[np.ndarray, " rows"] | None,
    *,
    top: int,
    renyi: tuple[float | int, ...],
    dtype: str | None,
) -> RowStatistics:
    """As `nescio.kernel.row_statistics`, of rows and targets that were checked."""
    count, vocab = rows.shape
    kept = min(top, vocab)
    logsumexp, entropy, varentropy, logp = np.empty((4, count))
    rank = np.empty(count, np.int64)
    ids, best = np.empty((count, kept), np.int32), np.empty((count, kept))
    powers = np.empty((count, len(renyi)))
    for where, tile in tiles(rows, dtype):
        pool = group_maxima(tile, kept) if kept else tile
        peaks = checked_peaks(tile, pool, first=where.start)
        log_sum, entropy[where], varentropy[where] = _moments(tile, peaks)
        logsumexp[where] = peaks + log_sum
        here = NormalisedTile(tile, peaks, log_sum)
        if wanted is not None:
            chosen = wanted[where, None]
            logp[where], rank[where] = here.logp_at(chosen)[:, 0], _ranks(tile, chosen)
        if kept:
            ids[where] = top_ids(tile, kept, pool=pool)
            best[where] = here.logp_at(ids[where])
        for column, order in enumerate(renyi):
            powers[where, column] = _log_power_sums(here, 1.0 - order)
    return RowStatistics(
        logsumexp=logsumexp,
        entropy=entropy,
        varentropy=varentropy,
        logp=None if wanted is None else logp,
        rank=None if wanted is None else rank,
        top_ids=ids,
        top_logp=best,
        log_renyi=powers if renyi else None,
    )


def _moments(
    tile: np.ndarray, peaks: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log sum exp(d), entropy and varentropy, where d = logits - peak.

    The variance is E[d^2] - E[d]^2. That is safe here and only because one d is 0:
    the variance is at least p(peak) E[d]^2 >= E[d]^2 / vocab, so cancellation costs
    no more than a factor of vocab of float64's precision, and equal logits give 0.
    """
    rows, vocab = tile.shape
    scratch = np.empty((2, rows, min(vocab, WIDTH)))
    zeroth, first, second = np.zeros((3, rows))
    for columns in column_blocks(vocab):
        block = tile[:, columns]
        d, weight = scratch[:, :, : block.shape[1]]
        shifted(block, peaks, out=d)
        with np.errstate(invalid="ignore", under="ignore"):
            np.exp(d, out=weight)
            zeroth += weight.sum(axis=1)
            part = np.vecdot(weight, d)
            if np.isnan(part).any():  # 0 * -inf
                np.maximum(d, _FLOOR, out=d)
                part = np.vecdot(weight, d)
            first += part
            np.multiply(weight, d, out=weight)
            second += np.vecdot(weight, d)
    with np.errstate(under="ignore"):
        log_sum, mean = np.log(zeroth), first / zeroth
        varentropy = np.maximum(second / zeroth - mean * mean, 0.0)
    return log_sum, np.minimum(log_sum - mean, math.log(vocab)), varentropy


def _ranks(tile: np.ndarray, ids: np.ndarray) -> np.ndarray:
    larger = tile > np.take_along_axis(tile, ids, axis=1)
    return np.array([1 + np.count_nonzero(row) for row in larger])


def _log_power_sums(tile: NormalisedTile, power: float) -> np.ndarray:
    """Log sum p^power over the possible tokens, whatever the power's sign."""
    total = np.full(len(tile.rows), -np.inf)
    for columns in column_blocks(tile.rows.shape[1]):
        logp = tile.logp(columns)
        with np.errstate(all="ignore"):
            exponent = np.where(logp == -np.inf, -np.inf, power * logp)
            best = exponent.max(axis=1)
            base = np.where(best == -np.inf, 0.0, best)
            part = np.log(np.exp(exponent - base[:, None]).sum(axis=1))
            total = np.logaddexp(total, base + part)
    return total


def log_softmax(
    rows: Shaped[np.ndarray, "rows vocab"], *, dtype: str | None
) -> Float64[np.ndarray, "rows vocab"]:
    """As `nescio.kernel.log_softmax`, of rows that were checked."""
    result = np.empty(rows.shape)
    for where, tile in tiles(rows, dtype):
        whole = normalised(tile, first=where.start)
        for columns in column_blocks(rows.shape[1]):
            result[where, columns] = whole.logp(columns)
    return result
