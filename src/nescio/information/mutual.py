"""What two things tell about one another, from the table of both together.

The joint distribution spans the last two axes, [..., X, Y], and sums to 1 over both.
Everything is in nats; leading axes stay. It is given as log-probabilities or with
``p=``, see :mod:`nescio.information.distributions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from nescio.information.distributions import (
    Numbers,
    distributions_of,
    expectation,
    not_negative,
    summed,
)

__all__ = ["MUTUAL_MEASURES", "conditional_entropy", "mutual_information"]


def conditional_entropy(
    logp: Numbers | None = None, *, p: Numbers | None = None
) -> Float[np.ndarray, "*rows"]:
    """Conditional entropy H(Y|X) = H(X, Y) - H(X): how unsure Y is once X is known.

    X is the last axis but one (the rows), Y the last (the columns). For H(X|Y) swap
    the two axes.

    Args:
        logp: log-probabilities of both together in nats, [..., X, Y]; -inf: impossible.
        p: probabilities instead.

    Returns:
        Nats, [...], between 0 (X settles Y) and H(Y) (X tells nothing).

    Raises:
        InvalidDistribution: NaN, +inf, a negative probability, or a table that does not
            sum to 1; the message says by how much.
        InvalidInput: both or none given, fewer than two axes.

    Example:
        >>> weather = [[0.25, 0.25],      # X = 0: Y is a fair coin
        ...            [0.0, 0.5]]        # X = 1: Y is certain
        >>> round(float(conditional_entropy(p=weather) / np.log(2)), 12)      # bits
        0.5

    Source: Shannon (1948), section 6.
    """
    joint = distributions_of(logp, p, axes=2)
    given = np.where(np.isneginf(joint), 0.0, joint) - _sum_over(joint, -1)
    return not_negative(summed(-expectation(np.exp(joint), given), axes=2))


def mutual_information(
    logp: Numbers | None = None, *, p: Numbers | None = None
) -> Float[np.ndarray, "*rows"]:
    """Mutual information I(X; Y) = KL(p(x, y) ‖ p(x) p(y)).

    It is what knowing one tells of the other.

    I = H(X) + H(Y) - H(X, Y) = H(Y) - H(Y|X), the same in both directions.

    Args:
        logp, p: as for `conditional_entropy`.

    Returns:
        Nats, [...], between 0 (independent) and the smaller of H(X) and H(Y).

    Raises:
        InvalidDistribution, InvalidInput: as `conditional_entropy`.

    Example:
        >>> copy = [[0.5, 0.0], [0.0, 0.5]]                 # Y repeats X
        >>> float(mutual_information(p=copy) / np.log(2))   # one bit
        1.0
        >>> float(mutual_information(p=[[0.25, 0.25], [0.25, 0.25]]))
        0.0

    Source: Shannon (1948), section 12; Cover & Thomas (2006), section 2.3.
    """
    joint = distributions_of(logp, p, axes=2)
    ratio = (
        np.where(np.isneginf(joint), 0.0, joint)
        - _sum_over(joint, -1)
        - _sum_over(joint, -2)
    )
    return not_negative(summed(expectation(np.exp(joint), ratio), axes=2))


MUTUAL_MEASURES: Mapping[str, Callable[..., np.ndarray]] = {
    "conditional_entropy": conditional_entropy,
    "mutual_information": mutual_information,
}
"""The family."""


def _sum_over(joint: np.ndarray, axis: int) -> np.ndarray:
    """The logarithm of a margin; 0 where it is empty, as nothing there counts."""
    highest = joint.max(axis=axis, keepdims=True)
    finite = np.where(np.isneginf(highest), 0.0, highest)
    total = np.exp(joint - finite).sum(axis=axis, keepdims=True)
    return finite + np.log(total, out=np.zeros_like(total), where=total > 0.0)
