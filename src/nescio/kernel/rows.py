"""Row statistics: everything the measures need to know of one row of logits.

The compiled kernel answers where it can (`nescio.kernel.kernel_path` says which), else
its NumPy twin; both are given the same checked rows.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Integer, UInt16

from nescio.errors import InvalidInput
from nescio.kernel import native, twin_rows
from nescio.kernel.results import RowStatistics
from nescio.kernel.tiles import as_rows, as_targets, check_orders

__all__ = ["RowStatistics", "log_softmax", "row_statistics"]


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
    kernel = native if native.reads(rows) else twin_rows
    return kernel.row_statistics(rows, wanted, top=top, renyi=renyi, dtype=dtype)


def _check_request(top: int, renyi: tuple[float | int, ...]) -> None:
    if top < 0:
        raise InvalidInput(f"top is {top}: give 0 for none or a positive number")
    check_orders(renyi)


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
    kernel = native if native.reads(rows) else twin_rows
    return kernel.log_softmax(rows, dtype=dtype)
