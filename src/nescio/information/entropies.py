"""How unsure one distribution is: entropy, its order-α kin, and its spread.

Everything is in nats, along the last axis; leading axes stay. Distributions are given
as log-probabilities or with ``p=``, see :mod:`nescio.information.distributions`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidInput
from nescio.information.distributions import (
    Numbers,
    distributions_of,
    expectation,
    not_negative,
    summed,
)

__all__ = [
    "ENTROPIES",
    "entropy",
    "renyi_entropy",
    "varentropy",
]

_NEAR_ONE = 0.1


def entropy(
    logp: Numbers | None = None, *, p: Numbers | None = None
) -> Float[np.ndarray, "*rows"]:
    """Shannon entropy H(p) = -Σ p log p, with 0 log 0 = 0: the mean surprisal.

    Args:
        logp: log-probabilities in nats, [..., K]; -inf marks an impossible outcome.
        p: probabilities instead, [..., K].

    Returns:
        Nats, [...], between 0 (certain) and log K (all K equally likely).

    Raises:
        InvalidDistribution: NaN, +inf, a negative probability, or rows that do not sum
            to 1; the message says by how much, and what was probably meant.
        InvalidInput: both or none of ``logp`` and ``p``, or no array of numbers.

    Example:
        >>> bit = np.log(2)
        >>> round(float(entropy(p=[0.9, 0.1]) / bit), 4)
        0.469
        >>> float(entropy(p=[0.5, 0.25, 0.25]) / bit)
        1.5
        >>> round(float(entropy(np.full(8, -np.log(8))) / bit), 12)   # uniform: log K
        3.0
        >>> entropy([3.0, 1.0])
        Traceback (most recent call last):
        nescio.errors.InvalidDistribution: exp(logp) sums to 22.8..., 21.8 above 1; ...

    Source: Shannon (1948), section 6.
    """
    known = distributions_of(logp, p)
    return not_negative(summed(-expectation(np.exp(known), known)))


def varentropy(
    logp: Numbers | None = None, *, p: Numbers | None = None
) -> Float[np.ndarray, "*rows"]:
    """Variance of the surprisal, Var[-log p(X)] with X drawn from p.

    Args:
        logp, p: as for `entropy`.

    Returns:
        Nats², [...], at least 0; bits² are this over (log 2)². 0 for a uniform
        distribution, whatever its support, and for a certain one.

    Raises:
        InvalidDistribution, InvalidInput: as `entropy`.

    Example:
        >>> round(float(varentropy(p=[0.9, 0.1])), 4)    # .09 (log 9)²
        0.4345
        >>> float(varentropy(p=[1.0, 0.0]))
        0.0

    Source: Kontoyiannis & Verdú (2014), Optimal Lossless Data Compression, section II.
    """
    known = distributions_of(logp, p)
    mass = np.exp(known)
    mean = summed(-expectation(mass, known))[..., None]
    return summed(expectation(mass, (known + mean) ** 2))


def renyi_entropy(
    logp: Numbers | None = None, *, p: Numbers | None = None, order: float | int
) -> Float[np.ndarray, "*rows"]:
    """Rényi entropy of an order α: log(Σ p^α) / (1 - α).

    The limits are taken where the formula has none: order 0 is log of the number of
    possible outcomes (Hartley), 1 is `entropy`, ``math.inf`` is -log max p
    (min-entropy). Order 2 is -log of the probability that two draws agree.

    Args:
        logp, p: as for `entropy`.
        order: α, at least 0; ``math.inf`` is one.

    Returns:
        Nats, [...], between 0 and log K; it falls as the order rises.

    Raises:
        InvalidDistribution, InvalidInput: as `entropy`; an order below 0 or NaN.

    Example:
        >>> coin = {"p": [0.75, 0.25]}
        >>> [round(float(renyi_entropy(**coin, order=a)), 4) for a in (0, 1, 2, np.inf)]
        [0.6931, 0.5623, 0.47, 0.2877]

    Source: Rényi (1961), On Measures of Entropy and Information.
    """
    if not order >= 0:
        raise InvalidInput(f"order is {order}: it is at least 0; inf is one")
    known = distributions_of(logp, p)
    possible = known > -math.inf
    if order == 0:
        return np.asarray(np.log(np.count_nonzero(possible, axis=-1)))
    highest = known.max(axis=-1, keepdims=True)
    if math.isinf(order):
        return not_negative(-highest[..., 0])
    if order == 1:
        return entropy(known)
    apart = float(order) - 1.0
    if abs(apart) < _NEAR_ONE:
        # Σ p^α = 1 + Σ p (p^(α-1) - 1), without the loss of log(1 + little).
        more = np.expm1(apart * np.where(possible, known, 0.0))
        return not_negative(np.log1p(summed(np.exp(known) * more)) / -apart)
    # Relative to the largest, so that nothing overflows at large orders.
    powers = np.exp(order * (known - highest))
    return not_negative((np.log(summed(powers)) + order * highest[..., 0]) / -apart)


ENTROPIES: Mapping[str, Callable[..., np.ndarray]] = {
    "entropy": entropy,
    "varentropy": varentropy,
    "renyi_entropy": renyi_entropy,
}
"""The family."""
