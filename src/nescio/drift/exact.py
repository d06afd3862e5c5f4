"""Closed forms on enumerable tables: what every estimate of this folder should find.

A `Table` is a source one can enumerate: its texts' probabilities are known, and so are
its entropy and its loss at each step, the memory of its long run, and its look-ahead
recalibration, all in float64 and nats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidInput, NotEnoughData
from nescio.kernel import log_softmax, row_statistics
from nescio.models.table import Table

__all__ = [
    "exact_entropy_by_step",
    "exact_entropy_gap",
    "exact_log_loss_by_step",
    "exact_memory",
    "look_ahead_table",
]

_MOST_STATES = 20_000


def exact_entropy_by_step(
    table: Table, steps: int, *, given: Sequence[int] = ()
) -> Float[np.ndarray, " steps"]:
    """The mean entropy of the prediction at each step of the table's own texts.

    Of the texts that still go on at that step.

    Args:
        table: the source.
        steps: how many, at least 1.
        given: token ids that stand before.

    Returns:
        Nats/token, [steps].

    Raises:
        InvalidInput: steps below 1.
        NotEnoughData: every text has ended before.

    Example:
        >>> import nescio
        >>> (exact_entropy_by_step(nescio.load("table:coin"), 2) / np.log(2)).tolist()
        [1.0, 1.0]
    """
    return _by_step(table, steps, given, _own_entropy(table), reach=table.order)


def exact_log_loss_by_step(
    table: Table, source: Table, steps: int, *, given: Sequence[int] = ()
) -> Float[np.ndarray, " steps"]:
    """The mean log loss of a table at each step of the texts of another source.

    Args:
        table: the model.
        source: what writes, of the same vocabulary.
        steps, given: as `exact_entropy_by_step`.

    Returns:
        Nats/token, [steps]; +inf where the source writes what the table forbids.

    Raises:
        InvalidInput: another vocabulary, steps below 1.

    Example:
        >>> import nescio
        >>> coin = nescio.load("table:coin")
        >>> (exact_log_loss_by_step(coin, coin, 2) / np.log(2)).tolist()
        [1.0, 1.0]
    """
    _check_vocabulary(table, source)

    def loss(tokens: tuple[int, ...]) -> float:
        p = np.exp(source.row(tokens))
        written = p > 0.0
        return float(-(p[written] * table.row(tokens)[written]).sum())

    reach = max(table.order, source.order)
    return _by_step(source, steps, given, loss, reach=reach)


def exact_entropy_gap(
    table: Table, source: Table, steps: int, *, given: Sequence[int] = ()
) -> Float[np.ndarray, " steps"]:
    """EntCE at each step: own entropy less log loss on the source's text, nats/token.

    Args:
        table, source, steps, given: as `exact_log_loss_by_step`.

    Raises:
        InvalidInput, NotEnoughData: as `exact_log_loss_by_step`.

    Example:
        >>> import nescio
        >>> coin = nescio.load("table:coin")
        >>> exact_entropy_gap(coin, coin, 2).tolist()
        [0.0, 0.0]
    """
    own = exact_entropy_by_step(table, steps, given=given)
    return own - exact_log_loss_by_step(table, source, steps, given=given)


def exact_memory(
    table: Table, tokens_back: Sequence[int]
) -> Float[np.ndarray, " lags"]:
    """I_τ = H(next | last τ tokens) - H(next | all) of the table's long run, nats.

    Args:
        table: a source that cannot end and has one long run.
        tokens_back: the τ, at least 0 each.

    Returns:
        [lags], at least 0, non-increasing in τ, and 0 from the table's order on.

    Raises:
        InvalidInput: a τ below 0.
        InvalidDistribution: as `Table.stationary`.

    Example:
        >>> import nescio
        >>> exact_memory(nescio.load("table:topics"), [0, 1, 2]).round(4).tolist()
        [0.8375, 0.0, 0.0]

    Source: Braverman et al. (2020), section 6; Shannon (1948), section 7.
    """
    if not tokens_back or min(tokens_back) < 0:
        raise InvalidInput(
            f"tokens_back is {list(tokens_back)}: some numbers from 0 on"
        )
    states, share = table.stationary()
    rows = np.exp(np.stack([table.row(state) for state in states]))
    joint = share[:, None] * rows
    whole = float(share @ _entropies(rows))
    order = len(states[0])
    found = []
    for lag in tokens_back:
        seen = [state[order - min(lag, order) :] for state in states]
        owner = {tokens: place for place, tokens in enumerate(dict.fromkeys(seen))}
        known = np.zeros((len(owner), rows.shape[1]))
        np.add.at(known, [owner[tokens] for tokens in seen], joint)
        mass = known.sum(axis=1)
        inside = mass > 0.0
        entropies = _entropies(known[inside] / mass[inside, None])
        found.append(max(0.0, float(mass[inside] @ entropies) - whole))
    return np.array(found)


def look_ahead_table(table: Table, a: float | int) -> Table:
    """The table with each prediction tilted by what it leads to, all tokens counted.

    Q_a(w | before) is proportional to Q(w | before) exp(-a H(Q(. | before, w))); after
    a token that ends the text nothing is left to be unsure of.

    Args:
        table: the model Q.
        a: the parameter, 1/nats.

    Raises:
        InvalidInput: a that is not finite, or more than 20,000 contexts.

    Example:
        >>> import nescio
        >>> coin = nescio.load("table:coin")          # looks the same on both sides
        >>> np.exp(look_ahead_table(coin, 3.0).row([0])[:2]).round(6).tolist()
        [0.5, 0.5]

    Source: Braverman et al. (2020), section 4.
    """
    if not np.isfinite(a):
        raise InvalidInput(f"a is {a}: a finite number is needed")
    written = [
        token
        for token in range(table.vocabulary.size)
        if token not in table.start and token not in table.vocabulary.end
    ]
    if sum(len(written) ** n for n in range(table.order + 1)) > _MOST_STATES:
        raise InvalidInput(
            f"{table.name} has more than {_MOST_STATES} contexts of {table.order} "
            "tokens; take a smaller table"
        )
    ends = set(table.vocabulary.end)
    rows = {
        context: _tilted(table, context, float(a), ends)
        for length in range(table.order + 1)
        for context in product(written, repeat=length)
    }
    digest = hashlib.sha256(f"{table.digest} look-ahead {a!r}".encode()).hexdigest()
    return replace(
        table, name=f"{table.name} with look-ahead {a:g}", rows=rows, digest=digest
    )


def _tilted(
    table: Table, context: tuple[int, ...], a: float, ends: set[int]
) -> Float[np.ndarray, " vocab"]:
    logp = table.row(context).copy()
    possible = np.flatnonzero(logp > -np.inf)
    for token in possible.tolist():
        if token not in ends:
            after = table.row((*context, token))
            logp[token] -= a * float(row_statistics(after[None]).entropy[0])
    return log_softmax(logp[None])[0]


def _own_entropy(table: Table) -> Callable[[tuple[int, ...]], float]:
    def entropy(tokens: tuple[int, ...]) -> float:
        return float(row_statistics(table.row(tokens)[None]).entropy[0])

    return entropy


def _entropies(p: Float[np.ndarray, "rows vocab"]) -> Float[np.ndarray, " rows"]:
    with np.errstate(divide="ignore"):
        return row_statistics(np.log(p)).entropy


def _check_vocabulary(table: Table, source: Table) -> None:
    if table.vocabulary.digest != source.vocabulary.digest:
        raise InvalidInput(
            f"{table.name} and {source.name} have different vocabularies: a text of "
            "one is none of the other; give tables with the same tokens"
        )


def _by_step(
    source: Table,
    steps: int,
    given: Sequence[int],
    number: Callable[[tuple[int, ...]], float],
    *,
    reach: int,
) -> Float[np.ndarray, " steps"]:
    """The mean of a function of the last ``reach`` tokens over texts that go on."""
    if steps < 1:
        raise InvalidInput(f"{steps} steps; at least 1")
    ends = set(source.vocabulary.end)
    law = {tuple(given)[max(0, len(given) - reach) :]: 1.0}
    known: dict[tuple[int, ...], float] = {}
    found = np.empty(steps)
    for step in range(steps):
        mass = sum(law.values())
        if mass <= 0.0:
            raise NotEnoughData(f"every text has ended before step {step + 1}")
        for state in law:
            if state not in known:
                known[state] = number(state)
        found[step] = sum(p * known[state] for state, p in law.items()) / mass
        law = _stepped(source, law, ends, reach)
    return found


def _stepped(
    source: Table, law: dict[tuple[int, ...], float], ends: set[int], reach: int
) -> dict[tuple[int, ...], float]:
    following: dict[tuple[int, ...], float] = {}
    for state, mass in law.items():
        p = np.exp(source.row(state))
        for token in np.flatnonzero(p > 0.0).tolist():
            if token not in ends:
                after = (*state, token)[max(0, len(state) + 1 - reach) :]
                following[after] = following.get(after, 0.0) + mass * float(p[token])
    return following
