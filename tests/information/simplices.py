"""Random distributions for laws: flat, steep, one-hot, with zeros and 1e-300."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

MOST = 6  # outcomes of a drawn case
WEIGHTS = st.one_of(
    st.sampled_from([0.0, 0.0, 1.0, 1.0, 2.0, 1e-3, 1e-9, 1e-300]),
    st.floats(0.0, 1.0),
)


@dataclass(frozen=True)
class Case:
    """Three distributions over the same outcomes, and what laws combine them with.

    Args:
        p, q, r: [K]; zeros, 1e-300 and one-hot among them.
        other, other_q: two over other outcomes, [L].
        joint: both together, [K, L].
        transitions: a Markov chain over K states, all moves possible.
        channel: what becomes of each of K outcomes, [K, M].
        weight: of a mixture.
        counts, more_counts: of K outcomes, some 0.
        seed: of whatever else is drawn.
    """

    p: np.ndarray
    q: np.ndarray
    r: np.ndarray
    other: np.ndarray
    other_q: np.ndarray
    joint: np.ndarray
    transitions: np.ndarray
    channel: np.ndarray
    weight: float
    counts: np.ndarray
    more_counts: np.ndarray
    seed: int

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    @property
    def order(self) -> np.ndarray:
        """The outcomes in another order."""
        return self.rng.permutation(len(self.p))


def normal(given) -> np.ndarray:
    """Weights over their sum; the last outcome is certain if there are none."""
    found = np.array(given, dtype=np.float64)
    if found.sum() <= 0.0:
        found.reshape(-1)[-1] = 1.0
    # Twice, as sums of denormal numbers are rounded.
    found = found / found.sum()
    return found / found.sum()


@st.composite
def simplices(draw, size: int) -> np.ndarray:
    if draw(st.integers(0, 7)) == 0:
        return np.eye(size)[draw(st.integers(0, size - 1))]
    return normal(draw(st.lists(WEIGHTS, min_size=size, max_size=size)))


@st.composite
def cases(draw) -> Case:
    """p, q and r are drawn one by one, so that they shrink; the rest from a seed."""
    size, others = draw(st.integers(1, MOST)), draw(st.integers(1, 4))
    seed = draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    joint = weights(rng, size * others).reshape(size, others)
    moves = rng.gamma(rng.choice([0.05, 1.0]), size=(size, size)) + 1e-9
    channel = rng.gamma(0.3, size=(size, 3)) + 1e-12
    counts, more = rng.integers(0, 1 + rng.choice([1, 3, 30]), (2, size))
    counts[0] += not counts.any()
    more[-1] += not more.any()
    return Case(
        *(draw(simplices(size)) for _ in range(3)),
        normal(weights(rng, others)),
        normal(weights(rng, others)),
        normal(joint),
        moves / moves.sum(axis=1, keepdims=True),
        channel / channel.sum(axis=1, keepdims=True),
        draw(st.integers(0, 64)) / 64.0,
        counts,
        more,
        seed,
    )


def weights(rng: np.random.Generator, size: int) -> np.ndarray:
    """Random weights, a good part of them 0, equal or very small."""
    fixed = rng.choice([0.0, 0.0, 1.0, 1.0, 2.0, 1e-3, 1e-9, 1e-300], size=size)
    return np.where(rng.random(size) < 0.5, fixed, rng.random(size))


def large_case(size: int = 100_000) -> Case:
    """One case of very many outcomes, which is not drawn but always the same."""
    rng = np.random.default_rng(5)
    p, q, r = (normal(rng.gamma(shape, size=size)) for shape in (0.3, 1.0, 0.1))
    p[:1000] = 0.0
    p[1000] = 1e-300
    channel = rng.gamma(0.3, size=(size, 3)) + 1e-12
    moves = rng.gamma(1.0, size=(40, 40)) + 1e-9
    return Case(
        normal(p),
        q,
        normal(r),
        normal([0.5, 0.0, 3.0]),
        normal([0.2, 1.0, 1e-300]),
        normal(rng.gamma(0.1, size=(size // 10, 10))),
        moves / moves.sum(axis=1, keepdims=True),
        channel / channel.sum(axis=1, keepdims=True),
        0.3,
        rng.poisson(1.0, size=size),
        rng.poisson(0.1, size=size),
        7,
    )
