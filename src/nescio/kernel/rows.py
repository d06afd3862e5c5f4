"""Row statistics: everything the measures need to know of one row of logits.

A row [vocab] is read once into small blocks; what leaves is a handful of float64
numbers. Summations are in float64 whatever the input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int32, Int64, Integer, UInt16

from nescio.errors import InvalidInput
from nescio.kernel.tiles import (
    WIDTH,
    NormalisedTile,
    as_rows,
    as_targets,
    checked_peaks,
    column_blocks,
    normalised,
    shifted,
    tiles,
)
from nescio.kernel.top import group_maxima, top_ids

__all__ = ["RowStatistics", "log_softmax", "row_statistics"]

_FLOOR = -1e300  # stands for -inf where 0 * -inf has to be 0


@dataclass(frozen=True)
class RowStatistics:
    """What `row_statistics` finds, one entry a row; nats.

    Attributes:
        logsumexp: log sum exp(logits).
        entropy: -sum p log p, between 0 and log(vocab).
        varentropy: the variance of -log p under p, in nats^2, at least 0.
        logp: log-probability of the target, at most 0, -inf if it is impossible.
        rank: 1 + how many logits are strictly larger than the target's.
        top_ids: the most probable ids, most probable first, equal ones by lower id.
        top_logp: their log-probabilities.
        log_renyi: log sum p^(1-order) over the possible tokens, one column an order.
    """

    logsumexp: Float64[np.ndarray, " rows"]
    entropy: Float64[np.ndarray, " rows"]
    varentropy: Float64[np.ndarray, " rows"]
    logp: Float64[np.ndarray, " rows"] | None
    rank: Int64[np.ndarray, " rows"] | None
    top_ids: Int32[np.ndarray, "rows top"]
    top_logp: Float64[np.ndarray, "rows top"]
    log_renyi: Float64[np.ndarray, "rows orders"] | None


def row_statistics(
    logits: Float[np.ndarray, "rows vocab"] | UInt16[np.ndarray, "rows vocab"],
    targets: Integer[np.ndarray, " rows"] | None = None,
    *,
    top: int = 0,
    renyi: tuple[float | int, ...] = (),
    dtype: str | None = None,
) -> RowStatistics:
    """Logsumexp, entropy, varentropy, target, top k and Renyi sums of every row.

    Memory beyond the result does not grow with the number of rows, and a row's
    numbers do not depend on the rows beside it.

    Args:
        logits: unnormalised log-probabilities in nats; float64, float32, float16 or
            bfloat16, any strides; -inf marks an impossible token.
        targets: one token id a row, or None for no ``logp`` and ``rank``.
        top: how many of the most probable tokens to return; at most ``vocab`` are.
        renyi: finite orders l for log sum p^(1-l), the sum over tokens that are
            possible; empty for none. Order 0 gives 0, order 1 log of their number.
        dtype: ``"bfloat16"`` if ``logits`` are uint16 bit patterns of that type.

    Raises:
        InvalidDistribution: NaN, +inf or a row of nothing but -inf; names row and
            column.
        InvalidInput: a wrong shape or type, a target outside the vocabulary, a
            negative ``top``, an order that is not finite.

    Example:
        >>> found = row_statistics(np.log([[0.5, 0.25, 0.25]]), np.array([1]), top=2)
        >>> round(float(found.entropy[0] / np.log(2)), 4)   # bits
        1.5
        >>> found.top_ids.tolist(), found.rank.tolist()
        ([[0, 1]], [2])

    Source: Shannon (1948), section 6; Renyi (1961).
    """
    rows = as_rows(logits, dtype)
    wanted = as_targets(targets, rows.shape)
    _check_request(top, renyi)
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


def _check_request(top: int, renyi: tuple[float | int, ...]) -> None:
    if top < 0:
        raise InvalidInput(f"top is {top}: give 0 for none or a positive number")
    for order in renyi:
        if not math.isfinite(order):
            raise InvalidInput(f"Renyi order {order} is not finite: give real numbers")


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
    logits: Float[np.ndarray, "rows vocab"] | UInt16[np.ndarray, "rows vocab"],
    *,
    dtype: str | None = None,
) -> Float64[np.ndarray, "rows vocab"]:
    """Normalised log-probabilities, in nats, at most 0; -inf stays -inf.

    Args:
        logits: as in `row_statistics`.
        dtype: ``"bfloat16"`` if ``logits`` are uint16 bit patterns of that type.

    Raises:
        InvalidDistribution: NaN, +inf or a row of nothing but -inf.
        InvalidInput: a wrong shape or type.

    Example:
        >>> np.exp(log_softmax(np.array([[0.0, 0.0, -np.inf]])))
        array([[0.5, 0.5, 0. ]])
    """
    rows = as_rows(logits, dtype)
    result = np.empty(rows.shape)
    for where, tile in tiles(rows, dtype):
        whole = normalised(tile, first=where.start)
        for columns in column_blocks(rows.shape[1]):
            result[where, columns] = whole.logp(columns)
    return result
