"""Entropy from counts: hand numbers, exact biases, and how often intervals cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from nescio.errors import InvalidInput
from nescio.information import (
    ENTROPY_ESTIMATORS,
    chao_shen_entropy,
    entropy,
    entropy_from_counts,
    miller_madow_entropy,
    plug_in_entropy,
    shrinkage_entropy,
)

LOG = math.log
COIN = np.array([0.3, 0.7])
UNEVEN = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
ZIPF = 1.0 / np.arange(1, 101) / (1.0 / np.arange(1, 101)).sum()


def expected_plug_in(p: np.ndarray, n: int) -> float:
    """The exact mean of the plug-in estimate: each count alone is binomial."""
    times = np.arange(n + 1)
    share = times / n
    terms = -share * np.log(share, out=np.zeros_like(share), where=times > 0)
    return sum(float(stats.binom.pmf(times, n, each) @ terms) for each in p)


def expected_miller_madow(p: np.ndarray, n: int) -> float:
    seen = (1.0 - (1.0 - p) ** n).sum()
    return expected_plug_in(p, n) + (seen - 1.0) / (2.0 * n)


def mean_error(estimator, p: np.ndarray, n: int, texts: int = 2000) -> float:
    drawn = np.random.default_rng(n).multinomial(n, p, size=texts)
    return float(estimator(drawn).mean() - entropy(p=p))


def test_the_estimators_by_hand() -> None:
    counts = [5, 3, 2]
    plain = -(0.5 * LOG(0.5) + 0.3 * LOG(0.3) + 0.2 * LOG(0.2))
    assert plug_in_entropy(counts) == pytest.approx(plain)
    assert miller_madow_entropy(counts) == pytest.approx(plain + 2 / 20)
    # λ = .62 / (9 · .14/3) is above 1: equal shares.
    assert shrinkage_entropy(counts) == pytest.approx(LOG(3))
    weight = 0.62 / (99 * 0.14 / 3)
    shrunk = weight / 3 + (1 - weight) * np.array([0.5, 0.3, 0.2])
    expected = -(shrunk * np.log(shrunk)).sum()
    assert shrinkage_entropy([50, 30, 20]) == pytest.approx(expected)
    assert chao_shen_entropy([2, 1, 1]) == pytest.approx(chao_shen_by_hand([2, 1, 1]))


def chao_shen_by_hand(counts: list[int]) -> float:
    n, once = sum(counts), counts.count(1)
    total = 0.0
    for count in counts:
        share = (1 - once / n) * count / n
        total -= share * LOG(share) / (1 - (1 - share) ** n)
    return total


def test_the_estimators_as_another_library_has_them() -> None:
    # infomeasure 0.6.3, on the eight outcomes that were seen.
    counts = [4, 2, 3, 2, 4, 2, 1, 1]
    assert plug_in_entropy(counts) == pytest.approx(1.9683824087283812, rel=1e-12)
    assert miller_madow_entropy(counts) == pytest.approx(2.152592935044171, rel=1e-12)
    assert chao_shen_entropy(counts) == pytest.approx(2.201137101279585, rel=1e-12)
    assert shrinkage_entropy(counts) == pytest.approx(2.0794415416798357, rel=1e-12)


def test_where_every_draw_is_new_one_is_taken_as_seen_before() -> None:
    share = (1 / 5) / 5
    expected = -5 * share * LOG(share) / (1 - (1 - share) ** 5)
    assert chao_shen_entropy([1] * 5) == pytest.approx(expected)
    assert chao_shen_entropy([1]) == 0.0


@pytest.mark.parametrize("p", [COIN, UNEVEN], ids=["coin", "die"])
def test_the_bias_of_the_plug_in_falls_with_n(p) -> None:
    truth, half = entropy(p=p), (len(p) - 1) / 2.0
    off = [n * (truth - expected_plug_in(p, n)) for n in (200, 800, 3200)]
    assert off[-1] == pytest.approx(half, rel=0.01)
    assert abs(off[2] - half) < abs(off[1] - half) / 3 < abs(off[0] - half) / 9


@pytest.mark.parametrize("p", [COIN, UNEVEN], ids=["coin", "die"])
def test_the_bias_of_miller_madow_falls_with_the_square_of_n(p) -> None:
    # Harris (1975): the next term is (1 - Σ 1/p) / (12 n²).
    truth, constant = entropy(p=p), (1.0 - (1.0 / p).sum()) / 12.0
    off = [n**2 * (expected_miller_madow(p, n) - truth) for n in (400, 1600)]
    assert off[-1] == pytest.approx(constant, rel=0.05)
    assert off[0] == pytest.approx(constant, rel=0.2)


def test_the_means_above_are_those_of_the_functions() -> None:
    for estimator, expected in (
        (plug_in_entropy, expected_plug_in),
        (miller_madow_entropy, expected_miller_madow),
    ):
        found = mean_error(estimator, UNEVEN, 50, texts=20_000) + entropy(p=UNEVEN)
        assert found == pytest.approx(expected(UNEVEN, 50), abs=0.003)


@pytest.mark.parametrize("name", ["shrinkage", "chao_shen"])
def test_the_bias_of_the_others_falls_as_that_of_the_plug_in_in_the_end(name) -> None:
    # As 1/n or faster; Chao–Shen is the plug-in once no outcome is new.
    estimator = ENTROPY_ESTIMATORS[name]
    few, many = (mean_error(estimator, ZIPF, n) for n in (4_000, 32_000))
    assert abs(many) < abs(few) / 5
    if name == "chao_shen":
        assert 32_000 * many == pytest.approx(-99 / 2, rel=0.25)


def test_what_was_never_seen_costs_chao_shen_least() -> None:
    """A thousand equally likely outcomes, three hundred draws."""
    p = np.full(1000, 1e-3)
    off = {
        name: mean_error(estimator, p, 300, texts=100)
        for name, estimator in ENTROPY_ESTIMATORS.items()
        if name != "shrinkage"  # which knows how many there are
    }
    assert off["plug_in"] < off["miller_madow"] < -0.5
    assert abs(off["chao_shen"]) < 0.25


# --- intervals ------------------------------------------------------------------------


def coverage(p: np.ndarray, n: int, texts: int, **how) -> float:
    rng, truth, held = np.random.default_rng(n + len(p)), float(entropy(p=p)), 0
    for counts in rng.multinomial(n, p, size=texts):
        found = entropy_from_counts(counts, **how)
        low, high = found.low, found.high
        held += low is not None and high is not None and low <= truth <= high
    return held / texts


@pytest.mark.parametrize("estimator", ["plug_in", "miller_madow"])
def test_intervals_of_well_seen_sources_cover(estimator) -> None:
    found = coverage(UNEVEN, 300, 300, estimator=estimator)
    assert 0.91 <= found <= 0.985
    assert coverage(UNEVEN, 300, 300, estimator=estimator, level=0.5) < 0.6


@pytest.mark.verify
@pytest.mark.parametrize(
    ("p", "n", "least"),
    [
        (COIN, 50, 0.88),
        (COIN, 500, 0.92),
        (UNEVEN, 100, 0.91),
        (UNEVEN, 1000, 0.92),
        (np.full(6, 1 / 6), 100, 0.95),
        (ZIPF, 1000, 0.91),
        (ZIPF, 5000, 0.91),
    ],
)
def test_intervals_cover_what_nearly_all_of_was_seen(p, n, least) -> None:
    for estimator in ("plug_in", "miller_madow"):
        assert least <= coverage(p, n, 1000, estimator=estimator)
    how = {"estimator": "chao_shen", "resamples": 200}
    assert least - 0.04 <= coverage(p, n, 300, **how)


@pytest.mark.verify
def test_intervals_of_chao_shen_cover_where_much_was_not_seen() -> None:
    how = {"estimator": "chao_shen", "resamples": 200}
    assert coverage(np.full(50, 0.02), 50, 300, **how) >= 0.9
    assert coverage(ZIPF, 100, 300, **how) >= 0.75
    assert coverage(ZIPF, 100, 300, estimator="miller_madow") < 0.6


@pytest.mark.verify
def test_intervals_of_shrinkage_cover_sources_that_are_nearly_even() -> None:
    how = {"estimator": "shrinkage", "resamples": 200}
    assert coverage(np.full(50, 0.02), 50, 300, **how) >= 0.9
    assert coverage(np.full(50, 0.02), 300, 300, **how) >= 0.9


def test_the_estimate_says_how_it_came_about() -> None:
    found = entropy_from_counts([50, 30, 20, 0], estimator="chao_shen", seed=3)
    assert found.unit == "nats"
    assert found.n == 100
    assert found.recipe.settings == {
        "estimator": "chao_shen",
        "outcomes": 4,
        "seen": 3,
        "seen_once": 0,
        "interval": "normal, standard deviation of the parametric bootstrap",
        "resamples": 1000,
        "seed": 3,
    }
    assert "Chao & Shen (2003)" in found.cite()
    again = entropy_from_counts([50, 30, 20, 0], estimator="chao_shen", seed=3)
    assert again == found


def test_what_was_probably_never_seen_is_said() -> None:
    assert "33 % of its probability" in entropy_from_counts([2, 2, 1, 1]).population
    assert "never seen" not in entropy_from_counts([20, 19, 1]).population


@pytest.mark.parametrize(
    ("counts", "why"), [([1, 0], "1 draw is too few"), ([9], "all of one outcome")]
)
def test_draws_that_do_not_differ_give_no_interval(counts, why) -> None:
    for estimator in ENTROPY_ESTIMATORS:
        found = entropy_from_counts(counts, estimator=estimator)
        assert (found.low, found.high) == (None, None)
        assert why in found.population


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([0.5, 0.5], r"counts\[0\] is 0\.5: a count is a whole number"),
        ([3, -1], r"counts\[1\] is -1"),
        ([3, math.nan], r"counts\[1\] is nan"),
        ([0, 0], "all 0"),
        ([], "last axis"),
        ([[1, 2], [0, 0]], "all 0"),
        ([2.0**60, 1.0], "whole number"),
    ],
)
def test_what_are_no_counts_is_refused(counts, message) -> None:
    for estimator in ENTROPY_ESTIMATORS.values():
        with pytest.raises(InvalidInput, match=message):
            estimator(counts)


def test_requests_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidInput, match="'nsb': choose plug_in"):
        entropy_from_counts([1, 2], estimator="nsb")
    with pytest.raises(InvalidInput, match="one row"):
        entropy_from_counts([[1, 2], [3, 4]])
    with pytest.raises(InvalidInput, match="level"):
        entropy_from_counts([1, 2], level=1.5)
    with pytest.raises(InvalidInput, match="at least 2"):
        entropy_from_counts([1, 2], resamples=1)


def test_a_hundred_thousand_counts_are_quick() -> None:
    counts = np.random.default_rng(1).poisson(0.5, size=100_000)
    for estimator in ENTROPY_ESTIMATORS.values():
        assert 8.0 < estimator(counts) < 13.0
