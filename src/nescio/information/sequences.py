"""What probabilities given to things that came, one after another, amount to.

Here the numbers are the probabilities of *what happened*, one for each token, label or
throw, and need not sum to 1. For a scored text there are `perplexity` and its kin in
:mod:`nescio.information.likelihood`, which know its bytes and give an interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidDistribution, InvalidInput
from nescio.information.distributions import Numbers, numbers_of

__all__ = ["SEQUENCE_MEASURES", "sequence_perplexity", "surprisal"]


def surprisal(
    logp: Numbers | None = None, *, p: Numbers | None = None
) -> Float[np.ndarray, "*any"]:
    """Surprisal -log p of each outcome by itself: what its coming tells.

    Args:
        logp: log-probabilities of what happened, in nats, of any shape.
        p: probabilities instead.

    Returns:
        Nats, of the same shape, at least 0; +inf for what was held impossible.

    Raises:
        InvalidDistribution: NaN, or a probability outside [0, 1].
        InvalidInput: both or none of ``logp`` and ``p``, or no array of numbers.

    Example:
        >>> float(surprisal(p=0.5) / np.log(2))      # one bit
        1.0

    Source: Shannon (1948); Samson (1953) for the name.
    """
    return np.asarray(-_logarithms(logp, p) + 0.0)


def sequence_perplexity(
    logp: Numbers | None = None, *, p: Numbers | None = None
) -> Float[np.ndarray, "*rows"]:
    """exp(mean surprisal) along the last axis: the geometric mean of 1/p.

    Neither a sum nor an arithmetic mean of 1/p, and several texts are not averaged but
    put one after the other.

    Args:
        logp, p: as for `surprisal`, [..., n], n at least 1.

    Returns:
        [...], at least 1: as unsure as a fair choice among so many, each time. +inf
        where something held impossible came.

    Raises:
        InvalidDistribution, InvalidInput: as `surprisal`; nothing to average.

    Example:
        >>> [round(float(sequence_perplexity(p=[q, q, q])), 4) for q in (0.8, 0.2)]
        [1.25, 5.0]
        >>> round(float(sequence_perplexity(p=[0.8, 0.2])), 4)   # geometric: √(1.25·5)
        2.5

    Source: Jelinek, Mercer, Bahl & Baker (1977).
    """
    nats = surprisal(logp, p=p)
    if nats.ndim < 1 or nats.shape[-1] == 0:
        raise InvalidInput(
            f"probabilities of shape {nats.shape}: the last axis holds one for each "
            "thing that came, and at least one came"
        )
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(nats.mean(axis=-1)))


SEQUENCE_MEASURES: Mapping[str, Callable[..., np.ndarray]] = {
    "surprisal": surprisal,
    "sequence_perplexity": sequence_perplexity,
}
"""The family."""


def _logarithms(logp: Numbers | None, p: Numbers | None) -> Float[np.ndarray, "*any"]:
    if (logp is None) == (p is None):
        raise InvalidInput(
            "give exactly one of logp (log-probabilities in nats) and p= "
            "(probabilities)"
        )
    label, given = ("logp", logp) if logp is not None else ("p", p)
    values = numbers_of(given if given is not None else 0.0, label).astype(np.float64)
    low, high = (-math.inf, 0.0) if label == "logp" else (0.0, 1.0)
    wrong = ~((values >= low) & (values <= high))
    if wrong.any():
        hint = (
            "log-probabilities are at most 0; pass probabilities as p="
            if label == "logp"
            else "probabilities are in [0, 1]; pass log-probabilities as logp"
        )
        raise InvalidDistribution(f"{label} holds {values[wrong][0]:.6g}: {hint}")
    if label == "logp":
        return values
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(values))
