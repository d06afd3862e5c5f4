"""Tables by hand and at random, and the texts they write."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from nescio.drift.curves import DriftCurve
from nescio.models.table import Table
from nescio.models.vocabulary import Vocabulary
from nescio.outcome import Estimate


def make_table(
    tokens: Sequence[str],
    rows: Mapping[tuple[int, ...], Sequence[float]],
    *,
    ends: bool = False,
    name: str = "table:handmade",
) -> Table:
    """A table of these tokens; with ``ends`` the last one ends the text."""
    spelled = [token.encode("utf-8") for token in tokens]
    control = {len(tokens): "<start>"}
    if ends:
        spelled[-1], control[len(tokens) - 1] = b"", tokens[-1]
    end = [len(tokens) - 1] if ends else []
    vocabulary = Vocabulary.of([*spelled, b""], control=control, end=end)
    with np.errstate(divide="ignore"):
        logp = {
            after: np.append(np.log(np.asarray(p, dtype=np.float64)), -np.inf)
            for after, p in rows.items()
        }
    content = repr(sorted((after, tuple(p)) for after, p in rows.items()))
    digest = hashlib.sha256(content.encode("ascii")).hexdigest()
    return Table(name, vocabulary, logp, digest)


def random_table(seed: int, *, tokens: str = "ab", order: int = 1) -> Table:
    """All rows up to an order drawn at random."""
    rng = np.random.default_rng(seed)
    size = len(tokens)
    rows = {
        after: rng.dirichlet(np.ones(size)).tolist()
        for length in range(order + 1)
        for after in product(range(size), repeat=length)
    }
    return make_table(tokens, rows, name=f"table:random{seed}-{order}")


def stationary_table(seed: int, *, tokens: str = "ab") -> Table:
    """An order-2 table whose texts begin as its long run goes on."""
    plain = random_table(seed, tokens=tokens, order=2)
    states, share = plain.stationary()
    size = len(tokens)
    joint = np.zeros((size, size))
    for (one, other), mass in zip(states, share, strict=True):
        joint[one, other] = mass
    rows = {(): joint.sum(axis=1).tolist()}
    for one in range(size):
        rows[(one,)] = (joint[one] / joint[one].sum()).tolist()
        for other in range(size):
            rows[(one, other)] = np.exp(plain.row((one, other))[:size]).tolist()
    return make_table(tokens, rows, name=f"table:stationary{seed}")


def texts_of(table: Table, *, texts: int, length: int, seed: int = 0) -> dict[str, str]:
    """Texts of the stationary source by name."""
    drawn = table.simulate(np.random.default_rng(seed), texts=texts, length=length)
    return {
        str(number): table.vocabulary.spell(ids).decode("utf-8")
        for number, ids in enumerate(drawn.tolist())
    }


def ends(found: Estimate | DriftCurve) -> tuple[Any, Any, Any]:
    """Low, value and high, which have to be there."""
    numbers = (found.low, found.value, found.high)
    assert all(number is not None for number in numbers)
    return numbers


def entropy_of(p: np.ndarray) -> float:
    """In nats, written out."""
    inside = p[p > 0.0]
    return float(-(inside * np.log(inside)).sum())
