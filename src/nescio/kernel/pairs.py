"""Pair statistics: how two models' next-token distributions differ, row by row."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Integer, UInt16

from nescio.errors import InvalidInput
from nescio.kernel import native, twin_pairs
from nescio.kernel.results import PairStatistics
from nescio.kernel.tiles import as_rows, as_targets

__all__ = ["PairStatistics", "pair_statistics"]


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
    kernel = native if native.reads(p_rows, q_rows) else twin_pairs
    return kernel.pair_statistics(
        p_rows, q_rows, wanted, p_dtype=p_dtype, q_dtype=q_dtype
    )
