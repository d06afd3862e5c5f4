"""Rules are what their formulas say, and one model with itself is itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nescio.ensemble.rules import (
    RULES,
    contrasted,
    disagreement,
    geometric_mean,
    power_mean,
)
from nescio.errors import InvalidDistribution, InvalidInput

P = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]])
W = np.array([0.25, 0.75])
EXPECTED = {
    "mean": W @ P,
    "product": np.prod(P ** W[:, None], axis=0),
    "min": P.min(axis=0),
    "max": P.max(axis=0),
    "switch": P[0],
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_its_formula(name: str) -> None:
    expected = EXPECTED[name] / EXPECTED[name].sum()
    np.testing.assert_allclose(np.exp(RULES[name](np.log(P), W)), expected, rtol=1e-12)


def test_power_means_run_from_the_least_to_the_largest() -> None:
    for exponent in (-3.0, -0.5, 0.5, 2.0):
        raised = (W @ P**exponent) ** (1 / exponent)
        found = np.exp(power_mean(exponent)(np.log(P), W))
        np.testing.assert_allclose(found, raised / raised.sum(), rtol=1e-12)
    for exponent, name in ((0, "product"), (np.inf, "max"), (-np.inf, "min")):
        found = power_mean(exponent)(np.log(P), W)
        np.testing.assert_array_equal(found, RULES[name](np.log(P), W))
    near = power_mean(1e-6)(np.log(P), W)
    np.testing.assert_allclose(near, geometric_mean(np.log(P), W), atol=1e-5)
    with pytest.raises(InvalidInput, match="NaN"):
        power_mean(float("nan"))


@given(
    st.lists(st.floats(0.0, 1.0), min_size=3, max_size=6).filter(
        lambda x: sum(x) > 0.1
    ),
    st.lists(st.floats(0.01, 1.0), min_size=2, max_size=3),
)
def test_a_model_with_itself_is_itself(p: list[float], w: list[float]) -> None:
    with np.errstate(divide="ignore"):
        logs = np.tile(np.log(np.array(p) / sum(p)), (len(w), 1))
    weights = np.array(w) / sum(w)
    for rule in (*RULES.values(), power_mean(-2.0), power_mean(3.0)):
        np.testing.assert_allclose(
            np.exp(rule(logs, weights)), np.exp(logs[0]), atol=1e-12
        )
    assert disagreement(logs, weights) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_a_weight_of_nothing_is_no_member(name: str) -> None:
    with np.errstate(divide="ignore"):
        logs = np.log(np.array([[0.5, 0.5, 0.0], [0.0, 0.1, 0.9]]))
    found = RULES[name](logs, np.array([1.0, 0.0]))
    np.testing.assert_allclose(np.exp(found), [0.5, 0.5, 0.0], atol=1e-15)


def test_members_that_allow_nothing_in_common_cannot_be_multiplied() -> None:
    with np.errstate(divide="ignore"):
        logs = np.log(np.eye(2))
    half = np.array([0.5, 0.5])
    for name in ("product", "min"):
        with pytest.raises(InvalidDistribution, match="no symbol in common"):
            RULES[name](logs, half)
    np.testing.assert_allclose(np.exp(RULES["mean"](logs, half)), half)
    assert disagreement(logs, half) == pytest.approx(np.log(2))


def test_a_contrast_of_nothing_is_the_base() -> None:
    base, expert, anti = np.log(P[0]), np.log(P[1]), np.log(P[0])
    np.testing.assert_allclose(contrasted(base, expert, anti, strength=0), base)
    np.testing.assert_allclose(contrasted(base, expert, anti), np.log(P[1]), rtol=1e-9)
    with np.errstate(divide="ignore"):
        nothing = np.log(np.array([0.5, 0.5, 0.0]))
    found = np.exp(contrasted(base, nothing, np.log(P[0]), floor=0.01))
    raw = P[0] * np.array([0.5, 0.5, 0.01]) / P[0]
    np.testing.assert_allclose(found, raw / raw.sum())
    with pytest.raises(InvalidInput, match="floor is 0"):
        contrasted(base, expert, anti, floor=0.0)
