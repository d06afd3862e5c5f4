"""Tango's interval against published values, its definition, and its own coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import multinomial, norm

from nescio.errors import InvalidInput
from nescio.uncertainty import paired_shares_interval

# Fagerland, Lydersen & Laake (2017), chapter 8: Bentur et al., Cavo et al.
PUBLISHED = {(1, 7, 21): (-0.517, -0.026), (6, 16, 161): (-0.1240, -0.0054)}


@pytest.mark.parametrize(("counts", "limits"), PUBLISHED.items())
def test_limits_are_the_published_ones(counts, limits):
    found = paired_shares_interval(*counts)
    digits = 3 if counts[2] == 21 else 4
    assert (round(found.low, digits), round(found.high, digits)) == limits
    assert found.n == counts[2]


def score(first: int, second: int, n: int, difference: float) -> float:
    """How far the counts are from a difference, its likeliest variance searched for."""
    equal = n - first - second

    def cost(rare: float) -> float:
        cells = (rare + difference, rare, 1.0 - 2.0 * rare - difference)
        counts = (first, second, equal)
        terms = [k * math.log(p) for k, p in zip(counts, cells, strict=True) if k]
        return -sum(terms)

    bounds = (max(0.0, -difference), (1.0 - difference) / 2.0)
    bounds = (bounds[0] + 1e-12, bounds[1] - 1e-12)
    rare = minimize_scalar(cost, bounds=bounds, options={"xatol": 1e-13}).x
    variance = 2.0 * rare + difference - difference**2
    return (first - second - n * difference) / math.sqrt(n * variance)


@pytest.mark.parametrize(
    "counts", [(3, 1, 10), (0, 4, 12), (7, 0, 9), (20, 18, 40), (1, 0, 30)]
)
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_both_limits_are_z_away_by_the_likelihood_itself(counts, level):
    found = paired_shares_interval(*counts, level=level)
    z = norm.ppf((1 + level) / 2)
    assert score(*counts, found.low) == pytest.approx(z, abs=1e-4)
    assert score(*counts, found.high) == pytest.approx(-z, abs=1e-4)


def test_where_nothing_differs_and_where_all_do_the_interval_has_a_width():
    z = norm.ppf(0.975)
    none, every = (paired_shares_interval(k, 0, 20) for k in (0, 20))
    assert none.high == -none.low == pytest.approx(z**2 / (20 + z**2))
    assert (every.low, every.high) == (pytest.approx((20 - z**2) / (20 + z**2)), 1.0)
    near = paired_shares_interval(19999, 0, 20000)
    whole = paired_shares_interval(20000, 0, 20000)
    assert near.low == pytest.approx(whole.low, abs=2e-4)


@settings(max_examples=60)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_the_other_way_round_is_the_mirror_image(first, second, equal):
    n = first + second + equal + 1
    one = paired_shares_interval(first, second, n)
    other = paired_shares_interval(second, first, n)
    assert (one.low, one.high) == (-other.high, -other.low)
    assert -1 <= one.low < one.high <= 1
    assert one.low <= (first - second) / n <= one.high


@pytest.mark.parametrize("cells", [(0.1, 0.1), (0.02, 0.02), (0.3, 0.1), (0.05, 0.0)])
def test_it_covers_the_truth_about_as_often_as_it_says(cells):
    """Every outcome of 40 items with its probability: no simulation."""
    n = 40
    truth = multinomial(n, [*cells, 1 - sum(cells)])
    covered = 0.0
    for first in range(n + 1):
        for second in range(n + 1 - first):
            chance = truth.pmf([first, second, n - first - second])
            if chance > 1e-9:
                found = paired_shares_interval(first, second, n)
                covered += chance * (found.low <= cells[0] - cells[1] <= found.high)
    assert 0.93 < covered <= 1.0


@pytest.mark.parametrize("counts", [(0, 0, 0), (-1, 0, 5), (0, -1, 5), (3, 3, 5)])
def test_counts_that_cannot_be_are_refused(counts):
    with pytest.raises(InvalidInput, match="differ"):
        paired_shares_interval(*counts)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, float("nan")])
def test_a_level_that_is_none_is_refused(level):
    with pytest.raises(InvalidInput, match="not between 0 and 1"):
        paired_shares_interval(1, 0, 2, level=level)


def test_counts_of_numpy_are_counts():
    assert paired_shares_interval(np.int64(3), np.int32(1), np.int64(9)).n == 9
