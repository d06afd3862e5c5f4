"""Pair statistics: how two models' next-token distributions differ, row by row."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer, UInt16

from nescio.errors import InvalidInput
from nescio.kernel.tiles import (
    WIDTH,
    NormalisedTile,
    as_rows,
    as_targets,
    column_blocks,
    normalised,
    tiles,
)

__all__ = ["PairStatistics", "pair_statistics"]

_FLOOR = -1e300  # stands for -inf where 0 * -inf has to be 0
_SMALLEST = float(np.finfo(np.float64).tiny)
_ALMOST_ONE = 1.0 - 2.0**-53


@dataclass(frozen=True)
class PairStatistics:
    """What `pair_statistics` finds, one entry a row; nats.

    Attributes:
        kl_forward: KL(p || q), at least 0, +inf where q forbids what p allows.
        kl_backward: KL(q || p), likewise.
        js: the Jensen-Shannon divergence, between 0 and log 2.
        same_top: whether the most probable token (of equal ones the lower id) agrees.
        delta_p: p(target) - q(target), between -1 and 1.
    """

    kl_forward: Float64[np.ndarray, " rows"]
    kl_backward: Float64[np.ndarray, " rows"]
    js: Float64[np.ndarray, " rows"]
    same_top: Bool[np.ndarray, " rows"]
    delta_p: Float64[np.ndarray, " rows"] | None


def pair_statistics(
    p_logits: Float[np.ndarray, "rows vocab"] | UInt16[np.ndarray, "rows vocab"],
    q_logits: Float[np.ndarray, "same_rows same_vocab"]
    | UInt16[np.ndarray, "same_rows same_vocab"],
    targets: Integer[np.ndarray, " rows"] | None = None,
    *,
    p_dtype: str | None = None,
    q_dtype: str | None = None,
) -> PairStatistics:
    """KL both ways, Jensen-Shannon, agreement of the top token and of the target.

    Supports are read off the logits: a token is impossible where its logit is -inf,
    not where its probability is too small for a float64. Memory beyond the result
    does not grow with the number of rows.

    Args:
        p_logits: one model's rows; types as in `nescio.kernel.row_statistics`.
        q_logits: the other's, of the same shape; the element type may differ.
        targets: one token id a row, or None for no ``delta_p``.
        p_dtype: ``"bfloat16"`` if ``p_logits`` are uint16 bit patterns of that type.
        q_dtype: the same for ``q_logits``.

    Raises:
        InvalidDistribution: NaN, +inf or a row of nothing but -inf.
        InvalidInput: shapes that differ, a wrong type, a target outside the
            vocabulary.

    Example:
        >>> p, q = np.log([[0.5, 0.5]]), np.log([[0.25, 0.75]])
        >>> round(float(pair_statistics(p, q).kl_forward[0]), 6)
        0.143841

    Source: Kullback & Leibler (1951); Lin (1991).
    """
    p_rows, q_rows = as_rows(p_logits, p_dtype), as_rows(q_logits, q_dtype)
    if p_rows.shape != q_rows.shape:
        raise InvalidInput(
            f"the two models' logits have shapes {p_rows.shape} and {q_rows.shape}: "
            "give the same positions over the same vocabulary"
        )
    wanted = as_targets(targets, p_rows.shape)
    count = len(p_rows)
    kl_forward, kl_backward, js, delta_p = np.empty((4, count))
    same_top = np.empty(count, np.bool_)
    pairs = zip(tiles(p_rows, p_dtype), tiles(q_rows, q_dtype), strict=True)
    for (where, p_tile), (_, q_tile) in pairs:
        p = normalised(p_tile, first=where.start)
        q = normalised(q_tile, first=where.start)
        kl_forward[where], kl_backward[where], js[where] = _divergences(p, q)
        same_top[where] = p_tile.argmax(axis=1) == q_tile.argmax(axis=1)
        if wanted is not None:
            chosen = wanted[where]
            delta_p[where] = _probability(p, chosen) - _probability(q, chosen)
    return PairStatistics(
        kl_forward=kl_forward,
        kl_backward=kl_backward,
        js=js,
        same_top=same_top,
        delta_p=None if wanted is None else delta_p,
    )


def _probability(side: NormalisedTile, targets: np.ndarray) -> np.ndarray:
    with np.errstate(under="ignore"):
        return np.exp(side.logp_at(targets[:, None])[:, 0])


def _divergences(
    p_side: NormalisedTile, q_side: NormalisedTile
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows, vocab = p_side.rows.shape
    scratch = np.empty((4, rows, min(vocab, WIDTH)))
    forward, backward, js = np.zeros((3, rows))
    p_alone, q_alone = np.zeros((2, rows), np.bool_)
    for columns in column_blocks(vocab):
        p_logp, q_logp, p, q = scratch[:, :, : columns.stop - columns.start]
        p_side.logp(columns, out=p_logp)
        q_side.logp(columns, out=q_logp)
        p_off, q_off = p_logp == -np.inf, q_logp == -np.inf
        p_alone |= (q_off & ~p_off).any(axis=1)
        q_alone |= (p_off & ~q_off).any(axis=1)
        with np.errstate(under="ignore"):
            np.exp(p_logp, out=p)
            np.exp(q_logp, out=q)
            np.maximum(p_logp, _FLOOR, out=p_logp)
            np.maximum(q_logp, _FLOOR, out=q_logp)
            gap = np.subtract(p_logp, q_logp, out=p_logp)
            forward += np.vecdot(p, gap)
            backward -= np.vecdot(q, gap)
            js += _js_parts(p, q, (p_logp, q_logp))
    forward, backward = np.maximum(forward, 0.0), np.maximum(backward, 0.0)
    forward[p_alone], backward[q_alone] = np.inf, np.inf
    return forward, backward, np.clip(js, 0.0, math.log(2.0))


def _js_parts(
    p: np.ndarray, q: np.ndarray, scratch: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Sums of m/2 [(1+u) log(1+u) + (1-u) log(1-u)], m = (p+q)/2, u = (p-q)/(p+q).

    Each term is at least 0 and exactly 0 for p = q, so that small divergences keep
    their digits. Overwrites everything it is given.
    """
    both, work = scratch
    np.add(p, q, out=both)
    u = np.subtract(p, q, out=p)
    u /= np.maximum(both, _SMALLEST, out=work)  # 0/0: u stays 0
    parts = _entropic(both, u, q, work)
    parts += _entropic(both, np.negative(u, out=u), q, work)
    return parts / 4.0


def _entropic(
    weight: np.ndarray, u: np.ndarray, one: np.ndarray, other: np.ndarray
) -> np.ndarray:
    """Sums of weight (1+u) log(1+u), which is 0 at u = -1."""
    np.log1p(np.maximum(u, -_ALMOST_ONE, out=one), out=one)
    one *= np.add(u, 1.0, out=other)
    return np.vecdot(weight, one)
