"""How far apart two distributions over the same outcomes are.

Everything is in nats, along the last axis; leading axes broadcast. Each of the two is
given as log-probabilities or, with ``p=`` and ``q=``, as probabilities; they may be
mixed. See :mod:`nescio.information.distributions`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from nescio.information.distributions import (
    Numbers,
    expectation,
    not_negative,
    pairs_of,
    summed,
)

__all__ = [
    "DIVERGENCES",
    "cross_entropy",
    "jeffreys_divergence",
    "jensen_shannon_distance",
    "jensen_shannon_divergence",
    "kl_divergence",
]

_LOG_2 = math.log(2.0)


def cross_entropy(
    logp: Numbers | None = None,
    logq: Numbers | None = None,
    *,
    p: Numbers | None = None,
    q: Numbers | None = None,
) -> Float[np.ndarray, "*rows"]:
    """Cross-entropy H(p, q) = -Σ p log q: the mean surprisal of q where p draws.

    H(p, q) = H(p) + KL(p‖q), so it is least, H(p), where q is p. With a one-hot p on
    outcome y it is -log q_y, the loss a language model is trained with.

    Args:
        logp, logq: log-probabilities in nats, [..., K]; -inf: impossible.
        p, q: probabilities instead of either.

    Returns:
        Nats, [...], at least H(p); +inf where q excludes what p allows.

    Raises:
        InvalidDistribution: NaN, +inf, a negative probability, or rows that do not sum
            to 1; the message says by how much, and what was probably meant.
        InvalidInput: both or none of a pair, no array of numbers, different numbers of
            outcomes, leading axes that do not broadcast.

    Example:
        >>> round(float(cross_entropy(p=[0.5, 0.5], q=[0.9, 0.1])), 4)
        1.204
        >>> loss = cross_entropy(p=[0, 1, 0], q=[0.25, 0.5, 0.25])     # one-hot
        >>> bool(loss == -np.log(0.5))
        True
        >>> float(cross_entropy(p=[0.5, 0.5], q=[1.0, 0.0]))
        inf

    Source: Cover & Thomas (2006), Elements of Information Theory, section 5.4.
    """
    first, second = pairs_of((logp, p), (logq, q))
    mean = summed(-expectation(np.exp(first), _finite(second)))
    return _infinite_where_excluded(not_negative(mean), first, second)


def kl_divergence(
    logp: Numbers | None = None,
    logq: Numbers | None = None,
    *,
    p: Numbers | None = None,
    q: Numbers | None = None,
) -> Float[np.ndarray, "*rows"]:
    """Kullback–Leibler divergence KL(p‖q) = Σ p log(p/q): what q costs beyond p.

    Not symmetric, and no distance. **+inf** wherever q gives 0 to an outcome that p
    gives more than 0, however little; not the other way round.

    Args:
        logp, logq, p, q: as for `cross_entropy`.

    Returns:
        Nats, [...], at least 0, and 0 only where q is p.

    Raises:
        InvalidDistribution, InvalidInput: as `cross_entropy`.

    Example:
        >>> fair, loaded = [0.5, 0.5], [0.9, 0.1]
        >>> round(float(kl_divergence(p=fair, q=loaded)), 4)
        0.5108
        >>> round(float(kl_divergence(p=loaded, q=fair)), 4)           # asymmetric
        0.3681
        >>> float(kl_divergence(p=loaded, q=loaded))
        0.0
        >>> float(kl_divergence(p=fair, q=[1, 0])), round(
        ...     float(kl_divergence(p=[1, 0], q=fair)), 4)
        (inf, 0.6931)

    Source: Kullback & Leibler (1951).
    """
    first, second = pairs_of((logp, p), (logq, q))
    return _kl(first, second)


def jeffreys_divergence(
    logp: Numbers | None = None,
    logq: Numbers | None = None,
    *,
    p: Numbers | None = None,
    q: Numbers | None = None,
) -> Float[np.ndarray, "*rows"]:
    """Jeffreys divergence KL(p‖q) + KL(q‖p) = Σ (p - q) log(p/q): both ways together.

    Args:
        logp, logq, p, q: as for `cross_entropy`.

    Returns:
        Nats, [...], at least 0; +inf unless the same outcomes are possible.

    Raises:
        InvalidDistribution, InvalidInput: as `cross_entropy`.

    Example:
        >>> round(float(jeffreys_divergence(p=[0.9, 0.1], q=[0.5, 0.5])), 4)
        0.8789

    Source: Jeffreys (1946), An Invariant Form for the Prior Probability.
    """
    first, second = pairs_of((logp, p), (logq, q))
    return np.asarray(_kl(first, second) + _kl(second, first))


def jensen_shannon_divergence(
    logp: Numbers | None = None,
    logq: Numbers | None = None,
    *,
    p: Numbers | None = None,
    q: Numbers | None = None,
) -> Float[np.ndarray, "*rows"]:
    """Jensen–Shannon divergence: the mean of KL(p‖m) and KL(q‖m), m = (p + q)/2.

    It is what one draw tells, on average, about which of the two it came from, when
    both are equally likely to be asked.

    Args:
        logp, logq, p, q: as for `cross_entropy`.

    Returns:
        Nats, [...], between 0 (equal) and log 2 (no outcome in common). Never infinite.

    Raises:
        InvalidDistribution, InvalidInput: as `cross_entropy`.

    Example:
        >>> round(float(jensen_shannon_divergence(p=[0.9, 0.1], q=[0.5, 0.5])), 4)
        0.1017
        >>> float(jensen_shannon_divergence(p=[1, 0], q=[0, 1]) / np.log(2))
        1.0

    Source: Lin (1991), Divergence Measures Based on the Shannon Entropy.
    """
    first, second = pairs_of((logp, p), (logq, q))
    halves = summed(_against_mean(first, second) + _against_mean(second, first)) / 2.0
    return np.asarray(np.minimum(not_negative(halves), _LOG_2))


def jensen_shannon_distance(
    logp: Numbers | None = None,
    logq: Numbers | None = None,
    *,
    p: Numbers | None = None,
    q: Numbers | None = None,
) -> Float[np.ndarray, "*rows"]:
    """The square root of `jensen_shannon_divergence`: a metric.

    It is symmetric, 0 for equal distributions only, and no detour is shorter.

    Args:
        logp, logq, p, q: as for `cross_entropy`.

    Returns:
        The root of nats, [...], between 0 and √(log 2) = 0.8326.

    Raises:
        InvalidDistribution, InvalidInput: as `cross_entropy`.

    Example:
        >>> round(float(jensen_shannon_distance(p=[1, 0], q=[0, 1])), 4)
        0.8326

    Source: Endres & Schindelin (2003), A New Metric for Probability Distributions.
    """
    return np.asarray(np.sqrt(jensen_shannon_divergence(logp, logq, p=p, q=q)))


DIVERGENCES: Mapping[str, Callable[..., np.ndarray]] = {
    "cross_entropy": cross_entropy,
    "kl_divergence": kl_divergence,
    "jeffreys_divergence": jeffreys_divergence,
    "jensen_shannon_divergence": jensen_shannon_divergence,
    "jensen_shannon_distance": jensen_shannon_distance,
}
"""The family."""


def _kl(first: np.ndarray, second: np.ndarray) -> Float[np.ndarray, "*rows"]:
    ratio = _finite(first) - _finite(second)
    mean = summed(expectation(np.exp(first), ratio))
    return _infinite_where_excluded(not_negative(mean), first, second)


def _finite(logp: np.ndarray) -> np.ndarray:
    return np.where(np.isneginf(logp), 0.0, logp)


def _infinite_where_excluded(
    nats: np.ndarray, first: np.ndarray, second: np.ndarray
) -> Float[np.ndarray, "*rows"]:
    """+inf for rows whose second excludes what the first allows, however unlikely."""
    excluded = np.isneginf(second) & (first > -math.inf)
    return np.where(excluded.any(axis=-1), math.inf, nats)


def _against_mean(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """p log(p/m), elementwise; exactly 0 where p is q, and precise near there."""
    possible = first > -math.inf
    apart = np.subtract(second, first, out=np.zeros_like(first), where=possible)
    near = np.abs(apart) < 1.0
    close = np.log1p(np.expm1(np.where(near, apart, 0.0)) / 2.0)
    return -np.exp(first) * np.where(near, close, np.logaddexp(0.0, apart) - _LOG_2)
