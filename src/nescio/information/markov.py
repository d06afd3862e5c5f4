"""A Markov chain by its transition table: where it spends its time, how unsure it is.

Row i of the table, [..., K, K], is the distribution of the next state after state i.
Logarithms throughout: chances of e^-800 count as what they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidDistribution, InvalidInput
from nescio.information.distributions import (
    Numbers,
    distributions_of,
    expectation,
    not_negative,
    summed,
)

__all__ = ["MARKOV_MEASURES", "markov_entropy_rate", "stationary_distribution"]

_SHOWN = 8  # states of a class in a message


def markov_entropy_rate(
    logp: Numbers | None = None, *, p: Numbers | None = None
) -> Float[np.ndarray, "*rows"]:
    """Entropy rate Σ_i π_i H(row i) of a stationary chain: nats for each next state.

    Args:
        logp: log-probabilities of the next state in nats, [..., K, K]; -inf: never.
        p: probabilities instead.

    Returns:
        Nats a step, [...], between 0 (each state has one successor) and log K.

    Raises:
        InvalidDistribution: as `entropy`; a reducible chain, in which some states are
            never reached from others: its classes are named.
        InvalidInput: as `entropy`; a table that is not square.

    Example:
        >>> flips = [[0.9, 0.1], [0.1, 0.9]]                 # stays nine times in ten
        >>> round(float(markov_entropy_rate(p=flips) / np.log(2)), 4)      # bits
        0.469

    Source: Shannon (1948), section 7; Cover & Thomas (2006), theorem 4.2.4.
    """
    table = _transitions(logp, p)
    share = stationary_distribution(table)
    each = not_negative(summed(-expectation(np.exp(table), table)))
    return not_negative(summed(share * each))


def stationary_distribution(
    logp: Numbers | None = None, *, p: Numbers | None = None
) -> Float[np.ndarray, "*rows states"]:
    """The long-run share π of each state: the distribution with π P = π.

    States are taken out one by one without any subtraction (Grassmann, Taksar &
    Heyman), so that each share is right relative to itself, however small. The work
    grows with K³: 300 states take part of a second, 1,000 some ten.

    Args:
        logp, p: as for `markov_entropy_rate`.

    Returns:
        Probabilities, [..., K].

    Raises:
        InvalidDistribution, InvalidInput: as `markov_entropy_rate`.

    Example:
        >>> stationary_distribution(p=[[0.5, 0.5], [1.0, 0.0]]).round(4).tolist()
        [0.6667, 0.3333]

    Source: Grassmann, Taksar & Heyman (1985), Operations Research 33.
    """
    table = _transitions(logp, p)
    flat = table.reshape(-1, *table.shape[-2:])
    shares = [_stationary(rows) for rows in flat]
    return np.array(shares).reshape(table.shape[:-1])


MARKOV_MEASURES: Mapping[str, Callable[..., np.ndarray]] = {
    "markov_entropy_rate": markov_entropy_rate,
    "stationary_distribution": stationary_distribution,
}
"""The family."""


def _transitions(
    logp: Numbers | None, p: Numbers | None
) -> Float[np.ndarray, "*rows states states"]:
    table = distributions_of(logp, p)
    if table.ndim < 2 or table.shape[-1] != table.shape[-2]:
        raise InvalidInput(
            f"a table of shape {table.shape} has no row for each state: transitions "
            "are [..., K, K], row i the distribution of what follows state i"
        )
    return table


def _stationary(table: np.ndarray) -> Float[np.ndarray, " states"]:
    _check_irreducible(table)
    moves = table.copy()
    size = len(moves)
    for last in range(size - 1, 0, -1):
        into, leaving = moves[:last, last], moves[last, :last]
        into -= np.logaddexp.reduce(leaving)
        moves[:last, :last] = np.logaddexp(
            moves[:last, :last], into[:, None] + leaving[None, :]
        )
    shares = np.zeros(size)
    for state in range(1, size):
        shares[state] = np.logaddexp.reduce(shares[:state] + moves[:state, state])
    return np.exp(shares - np.logaddexp.reduce(shares))


def _check_irreducible(table: np.ndarray) -> None:
    """Refuse a chain that cannot go from every state to every other."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    possible = csr_array(table > -math.inf)
    number, owner = connected_components(possible, connection="strong")
    if number == 1:
        return
    classes = [np.flatnonzero(owner == index) for index in range(number)]
    outside = [
        members
        for members in classes
        if not (
            table[np.ix_(members, np.setdiff1d(range(len(table)), members))] > -math.inf
        ).any()
    ]
    said = "; ".join(_named(members) for members in outside[:_SHOWN])
    raise InvalidDistribution(
        f"the chain is reducible: its {len(table)} states fall into {number} classes, "
        f"and once in one of these it never leaves: {said}. Where it starts, or how "
        "long it takes, decides; measure such a class by itself"
    )


def _named(members: np.ndarray) -> str:
    shown = ", ".join(map(str, members[:_SHOWN].tolist()))
    more = len(members) - _SHOWN
    states = "state" if len(members) == 1 else "states"
    return f"{states} {shown}{f' and {more} more' if more > 0 else ''}"
