"""Two readings of the same tokens, by hand and against each reading alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nescio import Estimate, bits_per_byte, bits_per_byte_difference
from nescio.errors import InvalidInput
from tests.traces import make_trace

HALF = math.log(0.5)


def pair(n: int, seed: int, *, shift: float = 0.0, noise: float = 0.01) -> Any:
    """A text of n words read twice: the second a little differently."""
    rng = np.random.default_rng(seed)
    words = ["abcdef"[: rng.integers(1, 7)] for _ in range(n)]
    surprisal = rng.exponential(scale=3, size=n) + 1
    other = np.maximum(surprisal + shift + noise * rng.standard_normal(n), 0.01)
    return make_trace(words, -surprisal), make_trace(words, -other)


def limits(estimate: Estimate) -> tuple[float, float, float]:
    """Low, value and high, which have to be there."""
    low, value, high = estimate.low, estimate.value, estimate.high
    assert low is not None
    assert value is not None
    assert high is not None
    return low, value, high


def test_it_is_the_difference_of_the_two_rates_by_hand() -> None:
    one = make_trace(["ab", "c", "d"], [HALF, 3 * HALF, HALF], unscored=[2])
    other = make_trace(["ab", "c", "d"], [2 * HALF, 5 * HALF, HALF], unscored=[2])
    assert bits_per_byte_difference(one, other).value == pytest.approx(-1.0, rel=1e-6)
    assert bits_per_byte_difference(other, one).value == pytest.approx(1.0, rel=1e-6)
    assert bits_per_byte_difference(one, other).n == 2


def test_it_is_the_difference_of_the_two_estimates() -> None:
    one, other = pair(800, 1, shift=0.3)
    found = bits_per_byte_difference(other, one)
    apart = limits(bits_per_byte(other))[1] - limits(bits_per_byte(one))[1]
    assert found.value == pytest.approx(apart, rel=1e-5)
    assert found.unit == "bits/byte"
    assert found.recipe.settings["reference"]["texts"] == 1


def test_pairing_cancels_what_makes_the_text_hard() -> None:
    one, other = pair(800, 2, shift=0.1)
    low, value, high = limits(bits_per_byte_difference(other, one))
    widest = limits(bits_per_byte(one))
    assert high - low < (widest[2] - widest[0]) / 50
    assert low < value < high


def test_the_interval_of_one_text_covers_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(200):
        one, other = pair(300, 100 + seed, shift=0.05, noise=0.4)
        found = bits_per_byte_difference(other, one, resamples=400, seed=seed)
        low, _, high = limits(found)
        hits += low <= 0.05 / math.log(2) / 3.5 <= high
    assert 180 <= hits <= 199


def test_documents_are_resampled_whole() -> None:
    pairs = [pair(50, seed, shift=0.1 * seed) for seed in range(8)]
    ones, others = zip(*pairs, strict=True)
    found = bits_per_byte_difference(others, ones)
    assert found.n_clusters == 8
    low, value, high = limits(found)
    assert low < value < high
    few = bits_per_byte_difference(others[:3], ones[:3])
    assert few.low is None
    assert "3 documents are too few" in few.population


def test_a_short_text_has_a_value_and_says_why_no_interval() -> None:
    one, other = pair(20, 4)
    found = bits_per_byte_difference(one, other)
    assert found.low is None
    assert "no interval" in found.population


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (make_trace(["ax", "c"], -1.0), "differ in their text"),
        (make_trace(["a", "bc"], -1.0), "differ in their tokens"),
        (make_trace(["ab", "c"], -1.0, unscored=[0]), "differ in their scored"),
        (make_trace(["ab", "c"], -1.0, segment=[0, 1]), "differ in their segments"),
        (make_trace(["ab", "c"], [-1.0, -np.inf]), "token 1 is impossible"),
        ([make_trace(["ab", "c"], -1.0)] * 2, "1 traces beside 2"),
    ],
)
def test_readings_that_are_no_pair_are_refused(other: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        bits_per_byte_difference(make_trace(["ab", "c"], -1.0), other)


def test_nothing_but_control_tokens_is_refused() -> None:
    trace = make_trace(["", ""], -1.0)
    with pytest.raises(InvalidInput, match="spell no bytes"):
        bits_per_byte_difference(trace, trace)


def test_a_text_that_stands_twice_is_paired_with_each_of_its_readings() -> None:
    one = make_trace(["ab", "cd"], [HALF, HALF])
    others = [make_trace(["ab", "cd"], [k * HALF, k * HALF]) for k in (2, 4)]
    assert bits_per_byte_difference([one, one], others).value == pytest.approx(-1.0)
