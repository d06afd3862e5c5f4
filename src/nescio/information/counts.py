"""Entropy of a source of which only counts are known: estimators, and what they miss.

The entropy of observed shares (plug-in) is too low on average, by about (K - 1)/(2n)
for K outcomes in n draws: rare ones are not seen yet. The others correct for it, each
with an assumption of its own:

- Miller–Madow adds (seen - 1)/(2n): good once nearly all outcomes were seen;
- shrinkage draws the shares towards equal ones by the amount that is least wrong in
  the mean square: few draws of many outcomes, all listed;
- Chao–Shen asks how much probability was never seen (Good–Turing) and weighs each
  outcome by its chance to be seen: many rare outcomes, not all listed.

Counts are along the last axis, [..., K]; results are nats, [...]. A listed outcome with
a count of 0 matters to shrinkage alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import InvalidInput
from nescio.information.distributions import Numbers, not_negative, numbers_of, summed

__all__ = [
    "ENTROPY_ESTIMATORS",
    "chao_shen_entropy",
    "counts_of",
    "miller_madow_entropy",
    "plug_in_entropy",
    "shrinkage_entropy",
    "shrunken_shares",
]

_MOST = 2**53  # counts above are not exact in double precision


def plug_in_entropy(counts: Numbers) -> Float[np.ndarray, "*rows"]:
    """The entropy of the observed shares; too low, by some (K - 1)/(2n) nats.

    Args:
        counts: how often each outcome was seen, [..., K]; whole numbers.

    Returns:
        Nats, [...], between 0 and the log of the number of outcomes seen.

    Raises:
        InvalidInput: counts that are negative, not whole, or all 0.

    Example:
        >>> round(float(plug_in_entropy([5, 3, 2])), 4)
        1.0297

    Source: Shannon (1948), section 6, of the shares; Basharin (1959) for its bias.
    """
    tallies = counts_of(counts)
    total = tallies.sum(axis=-1)
    shares = tallies / total[..., None]
    logs = np.log(shares, out=np.zeros_like(shares), where=tallies > 0)
    return not_negative(summed(-shares * logs))


def miller_madow_entropy(counts: Numbers) -> Float[np.ndarray, "*rows"]:
    """The plug-in entropy plus (seen - 1)/(2n), its bias to first order.

    Args:
        counts: as for `plug_in_entropy`.

    Returns:
        Nats, [...], at least the plug-in; it may be above log K.

    Raises:
        InvalidInput: as `plug_in_entropy`.

    Example:
        >>> round(float(miller_madow_entropy([5, 3, 2])), 4)      # 1.0297 + 2/20
        1.1297

    Source: Miller (1955), Note on the Bias of Information Estimates.
    """
    tallies = counts_of(counts)
    seen = np.count_nonzero(tallies, axis=-1)
    bias = (seen - 1) / (2.0 * tallies.sum(axis=-1))
    return np.asarray(plug_in_entropy(tallies) + bias)


def shrinkage_entropy(counts: Numbers) -> Float[np.ndarray, "*rows"]:
    """The entropy of shares drawn towards 1/K, as far as lowers their squared error.

    The James–Stein estimator: the amount is estimated from the counts themselves. List
    every outcome that can come, also those that were not seen.

    Args:
        counts: as for `plug_in_entropy`.

    Returns:
        Nats, [...], between 0 and log K.

    Raises:
        InvalidInput: as `plug_in_entropy`.

    Example:
        >>> round(float(shrinkage_entropy([5, 3, 2])), 4)
        1.0986
        >>> round(float(shrinkage_entropy([50, 30, 20])), 4)
        1.047

    Source: Hausser & Strimmer (2009), equations 4-6.
    """
    shares = shrunken_shares(counts_of(counts))
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0.0)
    return not_negative(summed(-shares * logs))


def chao_shen_entropy(counts: Numbers) -> Float[np.ndarray, "*rows"]:
    """Shares scaled to what was probably covered, each over its chance to be seen.

    The covered part is 1 - f₁/n (Good–Turing), f₁ being how many outcomes were seen
    once; where all were, f₁ = n - 1 is taken.

    Args:
        counts: as for `plug_in_entropy`.

    Returns:
        Nats, [...], at least 0; it has no upper limit.

    Raises:
        InvalidInput: as `plug_in_entropy`.

    Example:
        >>> round(float(chao_shen_entropy([5, 3, 2])), 4)
        1.0792
        >>> round(float(chao_shen_entropy([4, 2, 3, 2, 4, 2, 1, 1])), 4)
        2.2011

    Source: Chao & Shen (2003), equation 8.
    """
    tallies = counts_of(counts)
    total = tallies.sum(axis=-1, keepdims=True)
    once = np.count_nonzero(tallies == 1, axis=-1, keepdims=True)
    once = np.where(once == total, total - 1, once)
    shares = (1.0 - once / total) * tallies / total
    possible = shares > 0.0
    logs = np.log(shares, out=np.zeros_like(shares), where=possible)
    missed = np.log1p(-shares, out=np.zeros_like(shares), where=possible & (shares < 1))
    seen = np.where(shares < 1.0, -np.expm1(total * missed), 1.0)
    terms = np.divide(-shares * logs, seen, out=np.zeros_like(shares), where=possible)
    return not_negative(summed(terms))


ENTROPY_ESTIMATORS: Mapping[str, Callable[[Numbers], np.ndarray]] = {
    "plug_in": plug_in_entropy,
    "miller_madow": miller_madow_entropy,
    "shrinkage": shrinkage_entropy,
    "chao_shen": chao_shen_entropy,
}
"""The family: what ``entropy_from_counts(estimator=...)`` chooses from."""


def shrunken_shares(
    counts: Int[np.ndarray, "*rows outcomes"],
) -> Float[np.ndarray, "*rows outcomes"]:
    """Observed shares drawn towards equal ones: λ/K + (1 - λ) share.

    λ = (1 - Σ share²) / ((n - 1) Σ (1/K - share)²), at most 1.
    """
    total = counts.sum(axis=-1, keepdims=True)
    shares = counts / total
    target = 1.0 / counts.shape[-1]
    noise = 1.0 - (shares**2).sum(axis=-1, keepdims=True)
    apart = (total - 1) * ((target - shares) ** 2).sum(axis=-1, keepdims=True)
    weight = np.divide(noise, apart, out=np.ones_like(noise), where=apart > noise)
    return weight * target + (1.0 - weight) * shares


def counts_of(counts: Numbers) -> Int[np.ndarray, "*rows outcomes"]:
    """Whole counts, at least one of them above 0 in each row.

    Raises:
        InvalidInput: negative, not whole, too large to be exact, or all 0.
    """
    array = numbers_of(counts, "counts")
    if array.ndim < 1 or array.shape[-1] == 0:
        raise InvalidInput(
            f"counts of shape {array.shape}: the last axis holds one for each outcome"
        )
    wrong = ~((array >= 0) & (array <= _MOST))
    if array.dtype.kind == "f":
        wrong |= array != np.rint(array)
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0].tolist())
        raise InvalidInput(
            f"counts[{', '.join(map(str, place))}] is {array[place]:.6g}: a count is a "
            "whole number, at least 0; give counts, not shares"
        )
    tallies = array.astype(np.int64)
    if not tallies.any(axis=-1).all():
        raise InvalidInput("counts are all 0: nothing was drawn")
    return tallies
