"""What the kernel's functions return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

__all__ = ["PairStatistics", "RowStatistics"]


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
        log_renyi: log sum p^(1-order) over the possible tokens, one column an order; of
            float64 logits in double precision, of others within 1e-6.
    """

    logsumexp: Float64[np.ndarray, " rows"]
    entropy: Float64[np.ndarray, " rows"]
    varentropy: Float64[np.ndarray, " rows"]
    logp: Float64[np.ndarray, " rows"] | None
    rank: Int64[np.ndarray, " rows"] | None
    top_ids: Int32[np.ndarray, "rows top"]
    top_logp: Float64[np.ndarray, "rows top"]
    log_renyi: Float64[np.ndarray, "rows orders"] | None


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
