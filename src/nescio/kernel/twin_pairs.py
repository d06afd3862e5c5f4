"""Pair statistics in NumPy: the compiled kernel's oracle, and its stand-in."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Int64, Shaped

from nescio.kernel.results import PairStatistics
from nescio.kernel.tiles import (
    WIDTH,
    NormalisedTile,
    column_blocks,
    normalised,
    tiles,
)

__all__ = ["pair_statistics"]

_FLOOR = -1e300  # stands for -inf where 0 * -inf has to be 0
_SMALLEST = float(np.finfo(np.float64).tiny)
_ALMOST_ONE = 1.0 - 2.0**-53


def pair_statistics(
    p_rows: Shaped[np.ndarray, "rows vocab"],
    q_rows: Shaped[np.ndarray, "rows vocab"],
    wanted: Int64[np.ndarray, " rows"] | None,
    *,
    p_dtype: str | None,
    q_dtype: str | None,
) -> PairStatistics:
    """As `nescio.kernel.pair_statistics`, of rows and targets that were checked."""
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
