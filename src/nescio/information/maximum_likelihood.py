"""Likelihood: how probable a model makes what was seen, and what makes it most so."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidDistribution, InvalidInput
from nescio.information.counts import counts_of
from nescio.information.distributions import (
    Numbers,
    distributions_of,
    expectation,
    numbers_of,
    summed,
)

__all__ = [
    "LOG_LOSSES",
    "MaximumLikelihood",
    "binary_log_loss",
    "categorical_log_loss",
    "die_maximum_likelihood",
    "log_likelihood",
]


def log_likelihood(
    counts: Numbers, logp: Numbers | None = None, *, p: Numbers | None = None
) -> Float[np.ndarray, "*rows"]:
    """log L = Σ n_k log y_k: how probable the throws are, in the order they came.

    Args:
        counts: how often each outcome came, n_k, [..., K]; whole numbers.
        logp: log-probabilities y of the model in nats, [..., K].
        p: probabilities instead.

    Returns:
        Nats, [...], at most 0; -inf where something came that the model excludes. One
        throw, counted one-hot, gives minus the cross-entropy.

    Raises:
        InvalidDistribution, InvalidInput: as `entropy`; counts that are no counts, or
            of another number of outcomes.

    Example:
        >>> round(float(log_likelihood([3, 5, 2], p=[0.3, 0.5, 0.2])), 4)
        -10.2965
        >>> bool(log_likelihood([0, 1, 0], p=[0.2, 0.5, 0.3]) == np.log(0.5))
        True

    Source: Fisher (1922), On the Mathematical Foundations of Theoretical Statistics.
    """
    tallies = counts_of(counts)
    known = distributions_of(logp, p)
    try:
        if tallies.shape[-1] != known.shape[-1]:
            raise ValueError
        times, logs = np.broadcast_arrays(tallies, known)
    except ValueError as error:
        raise InvalidInput(
            f"counts of shape {tallies.shape} and a model of shape {known.shape} do "
            "not go together: both have one number for each outcome"
        ) from error
    return summed(expectation(times.astype(np.float64), logs))


@dataclass(frozen=True, eq=False)
class MaximumLikelihood:
    """The shares that make counts most probable, and why there are no better ones.

    Maximise Σ n_k log y_k subject to Σ y_k = 1. With the Lagrange multiplier λ,

        L(y, λ) = Σ n_k log y_k - λ (Σ y_k - 1),   ∂L/∂y_k = n_k/y_k - λ = 0,

    so y_k = n_k/λ, and as they sum to 1, λ = n: y_k = n_k/n.

    Args:
        counts: n_k, [K].
        probabilities: y_k = n_k/n, [K].
        log_likelihood: Σ n_k log y_k there, nats: -n times the entropy of y.
        multiplier: λ = n.
        gradient: n_k/y_k, [K]: λ wherever n_k > 0, so that moving along the simplex
            gains nothing to first order; 0 where n_k = 0, below λ: taking from the
            others for such an outcome only loses.
        hessian_diagonal: -n_k/y_k² = -n²/n_k, [K], 0 where n_k = 0; the Hessian has
            nothing else.
        curvature: the largest eigenvalue of the Hessian **along the simplex** (on
            directions that sum to 0); below 0 if it is negative definite there, so
            always where all counts are above 0. -inf for one outcome, which leaves no
            direction.
    """

    counts: Float[np.ndarray, " outcomes"]
    probabilities: Float[np.ndarray, " outcomes"]
    log_likelihood: float
    multiplier: float
    gradient: Float[np.ndarray, " outcomes"]
    hessian_diagonal: Float[np.ndarray, " outcomes"]
    curvature: float

    @property
    def interior(self) -> bool:
        """Whether all counts are above 0: no share is at the edge, 0."""
        return bool((self.counts > 0).all())

    @property
    def negative_definite(self) -> bool:
        """Whether the likelihood falls in every direction along the simplex."""
        return self.curvature < 0.0


def die_maximum_likelihood(counts: Numbers) -> MaximumLikelihood:
    """The die that makes these throws most probable: y_k = n_k/n, with the proof.

    Args:
        counts: how often each of the K sides came, [K]; whole numbers.

    Returns:
        The shares, the likelihood, and the conditions of a constrained maximum.

    Raises:
        InvalidInput: counts that are negative, not whole, all 0, or no single row.

    Example:
        >>> die = die_maximum_likelihood([3, 5, 2, 4, 4, 2])
        >>> die.probabilities.tolist(), die.multiplier
        ([0.15, 0.25, 0.1, 0.2, 0.2, 0.1], 20.0)
        >>> round(die.log_likelihood, 4), die.negative_definite
        (-34.7087, True)
        >>> fair = log_likelihood([3, 5, 2, 4, 4, 2], p=[1 / 6] * 6)
        >>> round(float(fair), 4)                                  # no other is above
        -35.8352

    Source: Fisher (1922); Boyd & Vandenberghe (2004), Convex Optimization, section 5.5.
    """
    tallies = counts_of(counts)
    if tallies.ndim != 1:
        raise InvalidInput(
            f"counts of shape {tallies.shape}: give those of one die in one row, [K]"
        )
    times = tallies.astype(np.float64)
    total = float(times.sum())
    came = times > 0.0
    steep = np.divide(-(total**2), times, out=np.zeros_like(times), where=came)
    return MaximumLikelihood(
        times,
        times / total,
        float(log_likelihood(tallies, p=times / total)),
        total,
        np.where(came, total, 0.0),
        steep,
        _curvature(steep),
    )


def binary_log_loss(labels: Numbers, *, p: Numbers) -> Float[np.ndarray, "*rows"]:
    """Mean of -log p where the label is 1 and -log(1 - p) where it is 0.

    Each p is the probability of a yes to a question of its own: n binary terms, not one
    distribution over n classes, and they need not sum to 1.

    Args:
        labels: 0 or 1, [..., n], n at least 1.
        p: the probability given to 1, [..., n].

    Returns:
        Nats, [...], at least 0; +inf where a certainty was wrong.

    Raises:
        InvalidDistribution: NaN, or a probability outside [0, 1].
        InvalidInput: labels that are not 0 or 1, shapes that differ, nothing at all.

    Example:
        >>> round(float(binary_log_loss([1, 0, 0, 1], p=[0.7, 0.2, 0.1, 0.9])), 4)
        0.1976

    Source: Good (1952), Rational Decisions, section 8.
    """
    yes, given = _labels(labels), numbers_of(p, "p").astype(np.float64)
    if yes.shape != given.shape or yes.ndim < 1 or yes.shape[-1] == 0:
        raise InvalidInput(
            f"labels of shape {yes.shape} and p of shape {given.shape}: give one "
            "probability for each label, and at least one"
        )
    if not np.isin(yes, (0, 1)).all():
        raise InvalidInput("labels are 0 or 1; for more classes categorical_log_loss")
    wrong = ~((given >= 0.0) & (given <= 1.0))
    if wrong.any():
        raise InvalidDistribution(
            f"p holds {given[wrong][0]:.6g}: a probability is in [0, 1]"
        )
    with np.errstate(divide="ignore"):
        terms = np.where(yes == 1, np.log(given), np.log1p(-given))
    return np.asarray(-terms.mean(axis=-1) + 0.0)


def categorical_log_loss(
    labels: Numbers, logp: Numbers | None = None, *, p: Numbers | None = None
) -> Float[np.ndarray, "*rows"]:
    """Mean of -log p[label]: the cross-entropy of one-hot labels, averaged.

    Args:
        labels: the class of each item, 0 to K - 1, [..., n], n at least 1.
        logp: log-probabilities in nats, [..., n, K]: a distribution for each item.
        p: probabilities instead.

    Returns:
        Nats, [...], at least 0; +inf where the class that came was held impossible.

    Raises:
        InvalidDistribution: as `entropy`.
        InvalidInput: as `entropy`; labels that are no classes, shapes that differ.

    Example:
        >>> given = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]
        >>> round(float(categorical_log_loss([0, 1], p=given)), 4)
        0.2899

        Two classes give the binary loss; four binary questions are no four classes:

        >>> yes = np.array([0.7, 0.2, 0.1, 0.9])
        >>> both = np.stack([1 - yes, yes], axis=-1)
        >>> round(float(categorical_log_loss([1, 0, 0, 1], p=both)), 4)
        0.1976
        >>> categorical_log_loss([0], p=[yes])
        Traceback (most recent call last):
        nescio.errors.InvalidDistribution: p[0] sums to 1.9, 0.9 above 1; ...

    Source: Good (1952), Rational Decisions, section 8.
    """
    known, classes = distributions_of(logp, p), _labels(labels)
    if known.shape[:-1] != classes.shape or classes.ndim < 1 or 0 in classes.shape[-1:]:
        raise InvalidInput(
            f"labels of shape {classes.shape} and distributions of shape {known.shape} "
            "do not go together: one distribution, along the last axis, for each label"
        )
    size = known.shape[-1]
    if ((classes < 0) | (classes >= size)).any():
        raise InvalidInput(f"labels are classes 0 to {size - 1}, counted from 0")
    chosen = np.take_along_axis(known, classes[..., None], axis=-1)[..., 0]
    return np.asarray(-chosen.mean(axis=-1) + 0.0)


LOG_LOSSES: Mapping[str, Callable[..., np.ndarray]] = {
    "log_likelihood": log_likelihood,
    "binary_log_loss": binary_log_loss,
    "categorical_log_loss": categorical_log_loss,
}
"""The family."""


def _labels(labels: Numbers) -> np.ndarray:
    given = numbers_of(labels, "labels")
    whole = np.rint(given)
    if not np.array_equal(whole, given) or (np.abs(whole) > 2**31).any():
        raise InvalidInput("labels are whole numbers")
    return whole.astype(np.int64)


def _curvature(diagonal: Float[np.ndarray, " outcomes"]) -> float:
    """The largest eigenvalue of a diagonal matrix on directions that sum to 0.

    It lies between the two largest entries d₁ ≥ d₂ and is where Σ 1/(d_k - μ) = 0,
    which rises with μ from -∞ at d₂ to +∞ at d₁.
    """
    if len(diagonal) < 2:
        return -math.inf
    falling = np.sort(diagonal)[::-1]
    high, low = float(falling[0]), float(falling[1])
    for _ in range(200):
        middle = (low + high) / 2.0
        if not low < middle < high:
            break
        if (1.0 / (falling - middle)).sum() > 0.0:
            high = middle
        else:
            low = middle
    return high
