"""The largest logits of each row, without sorting the row.

The k-th largest of some group maxima is no larger than the k-th largest logit, so
the logits at or above it hold the top k; they are few and only they are sorted.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int32

__all__ = ["group_maxima", "top_ids"]

_GROUPS = 512
_GROUPS_PER_WANTED = 4
_GROUP_SIZE_WORTH_IT = 8
_SLACK = 64


def group_maxima(
    tile: Float[np.ndarray, "tile vocab"], top: int
) -> Float[np.ndarray, "tile pool"]:
    """Numbers of the row whose ``top`` largest bound its own from below.

    They hold the row's maximum, and NaN if the row does. For a small vocabulary they
    are the row itself.

    Example:
        >>> group_maxima(np.arange(8192.0)[None], 20).shape
        (1, 512)
    """
    vocab = tile.shape[1]
    groups = max(_GROUPS, _GROUPS_PER_WANTED * top)
    size = vocab // groups
    if size < _GROUP_SIZE_WORTH_IT:
        return tile
    whole = groups * size
    pool = tile[:, :whole].reshape(-1, size, groups).max(axis=1)
    if whole < vocab:
        rest = tile[:, whole:]
        np.maximum(pool[:, : vocab - whole], rest, out=pool[:, : vocab - whole])
    return pool


def top_ids(
    tile: Float[np.ndarray, "tile vocab"],
    top: int,
    *,
    pool: Float[np.ndarray, "tile pool"] | None = None,
) -> Int32[np.ndarray, "tile top"]:
    """The ids of the ``top`` largest logits, largest first, equal ones by lower id.

    Args:
        tile: rows without NaN; -inf is the smallest number.
        top: how many, from 1 to the size of the vocabulary.
        pool: the tile's `group_maxima` for at least ``top``, if at hand.

    Example:
        >>> top_ids(np.array([[1.0, 5.0, 5.0, 2.0]]), 3)
        array([[1, 2, 3]], dtype=int32)
    """
    rows, vocab = tile.shape
    pool = group_maxima(tile, top) if pool is None else pool
    floor = np.partition(pool, -top, axis=1)[:, -top, None]
    candidates = tile >= floor
    if np.count_nonzero(candidates) > rows * (_GROUPS_PER_WANTED * top + _SLACK):
        _keep_exactly(top, tile, candidates)
    row, column = np.divmod(np.flatnonzero(candidates), vocab)
    order = np.lexsort((-tile[row, column], row))  # stable, and ids already ascend
    starts = np.searchsorted(row, np.arange(rows))
    return column[order[starts[:, None] + np.arange(top)]].astype(np.int32)


def _keep_exactly(
    top: int,
    tile: Float[np.ndarray, "tile vocab"],
    marks: Bool[np.ndarray, "tile vocab"],
) -> None:
    """Marks ``top`` tokens a row where many tie: the larger, then by lower id."""
    for row, marked in zip(tile, marks, strict=True):
        last = np.partition(row, -top)[-top]
        np.greater(row, last, out=marked)
        missing = top - np.count_nonzero(marked)
        marked[np.flatnonzero(row == last)[:missing]] = True
