"""The amplification bound: its formula, its premise, and that it holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nescio.drift.amplification import amplification_bound
from nescio.errors import InvalidInput


@given(st.integers(0, 10_000), st.floats(0.02, 0.6))
@settings(max_examples=40)
def test_mixed_with_the_uniform_model_the_gap_keeps_within_the_bound(
    seed: int, weight: float
) -> None:
    """Texts of 3 tokens over 2; P near Q, so that the premise holds for some ε."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(8))
    q = (1 - weight) * p + weight * rng.dirichlet(np.ones(8))
    epsilon = float((p * np.log(p / q)).sum()) / 3
    if not 0.0 < epsilon < 1.0:
        return
    mixed = (1 - epsilon) * q + epsilon / 8
    loss, rate = -(p * np.log(mixed)).sum() / 3, -(mixed * np.log(mixed)).sum() / 3
    bound = amplification_bound(epsilon, steps=3, vocabulary_size=2)
    assert bound.low is not None
    assert bound.high is not None
    assert bound.low <= loss - rate <= bound.high
    assert bound.high + bound.low == 0.0


def test_the_bound_is_its_formula_and_states_its_premise() -> None:
    found = amplification_bound(0.01, steps=10, vocabulary_size=100)
    root = math.sqrt((0.1 - math.log(0.99)) / 2)
    assert found.high == pytest.approx(root * (math.log(100) + math.log(100) / 10))
    assert found.kind == "bound"
    assert "KL(P || Q)" in found.population
    wide = amplification_bound(0.9, steps=1000, vocabulary_size=2)
    assert wide.high == pytest.approx(math.log(2) - math.log(0.9) / 1000)


def test_without_the_premise_the_bound_fails() -> None:
    """A model that is surely wrong: its own text is sure, people's is not its own."""
    people = np.array([1 - 7e-9, *[1e-9] * 7])
    model, epsilon = people[::-1], 0.01
    assert float((people * np.log(people / model)).sum()) / 3 > epsilon
    mixed = (1 - epsilon) * model + epsilon / 8
    loss = -(people * np.log(mixed)).sum() / 3
    rate = -(mixed * np.log(mixed)).sum() / 3
    assert loss - rate > amplification_bound(epsilon, steps=3, vocabulary_size=2).high


@pytest.mark.parametrize(
    "wrong",
    [
        {"epsilon": 0.0},
        {"epsilon": 1.0},
        {"epsilon": math.nan},
        {"steps": 0},
        {"vocabulary_size": 1},
    ],
)
def test_numbers_that_bound_nothing_are_refused(wrong) -> None:
    right = {"epsilon": 0.1, "steps": 3, "vocabulary_size": 2}
    with pytest.raises(InvalidInput):
        amplification_bound(**(right | wrong))
