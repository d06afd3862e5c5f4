"""The stationary bootstrap of one series: what it assumes, and whether it covers."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from nescio.errors import InvalidInput, NotEnoughData
from nescio.uncertainty import (
    automatic_block_length,
    bootstrap_blocks,
    long_run_variance,
)
from nescio.uncertainty.blocks import resampled_sums


def autoregressive(persistence, n, *, seed, texts=1):
    """Series [texts, n] with x[t] = persistence x[t-1] + noise, settled in."""
    noise = np.random.default_rng(seed).standard_normal((texts, n + 500))
    return lfilter([1.0], [1.0, -persistence], noise, axis=1)[:, 500:]


def as_published(persistence, n, seed):
    """One such series from normal numbers drawn one after the other."""
    noise = np.random.default_rng(seed).standard_normal(n + 500)
    return lfilter([1.0], [1.0, -persistence], noise)[500:]


@pytest.mark.parametrize(
    ("persistence", "n", "other"),
    [(0.95, 1000, 40.604513272246535), (0.0, 500, 2.1146394877914103)],
)
def test_the_block_length_is_that_of_an_independent_library(persistence, n, other):
    # optimal_block_length of arch 8.0.0, "stationary".
    series = as_published(persistence, n, 42)
    assert automatic_block_length(series) == pytest.approx(other, rel=1e-9)


@pytest.mark.parametrize(
    ("persistence", "n", "other"),
    [
        (0.7, 1000, 15.867945995809608),
        (-0.5, 1000, 8.725307767290989),
        (0.9, 4000, 73.16794154325133),
        (0.3, 200, 3.1792069895196717),
    ],
)
def test_it_is_near_where_that_library_looks_one_lag_further(persistence, n, other):
    series = as_published(persistence, n, 42)
    assert automatic_block_length(series) == pytest.approx(other, rel=0.15)


@pytest.mark.parametrize("persistence", [0.3, 0.6, 0.8, -0.6])
def test_the_block_length_nears_the_formula_for_an_autoregression(persistence):
    # Politis & White (2004), section 3.2: G/g = 2 rho / (1 - rho^2).
    n = 200_000
    series = autoregressive(persistence, n, seed=1)[0]
    exact = np.cbrt(n * (2 * persistence / (1 - persistence**2)) ** 2)
    assert automatic_block_length(series) == pytest.approx(exact, rel=0.15)


def test_the_block_length_of_noise_is_short_and_of_a_constant_is_one():
    assert automatic_block_length(np.full(300, 0.1)) == 1.0
    noise = np.random.default_rng(0).normal(size=2000)
    assert automatic_block_length(noise) < 5


@pytest.mark.parametrize("block_length", [1.0, 1.5, 4.0, 20.0])
def test_the_long_run_variance_is_that_of_the_circle_walked_in_random_steps(
    block_length,
):
    # Positions I, I+1, ... jump with probability 1/b: pairs k apart share a walk with
    # probability (1-1/b)^k and are independent else.
    series = np.random.default_rng(3).exponential(size=12)
    centred, n = series - series.mean(), 12
    circular = [float(centred @ np.roll(centred, -k)) / n for k in range(n)]
    stays = 1 - 1 / block_length
    exact = circular[0] + 2 / n * sum(
        (n - k) * stays**k * circular[k] for k in range(1, n)
    )
    found = long_run_variance(series, block_length=block_length)
    assert found == pytest.approx(exact, rel=1e-12)


def test_resamples_vary_as_the_long_run_variance_says():
    series = autoregressive(0.8, 300, seed=4)[0]
    parts = resampled_sums(
        series[None],
        block_length=25.0,
        resamples=40_000,
        rng=np.random.default_rng(5),
    )
    means = np.concatenate([sums[0].sum(axis=1) / 300 for sums, _ in parts])
    exact = long_run_variance(series, block_length=25.0)
    assert len(means) == 40_000
    assert 300 * means.var() == pytest.approx(exact, rel=0.03)
    assert means.mean() == pytest.approx(series.mean(), abs=0.01)


@pytest.mark.parametrize("block_length", [1, 1.3, 7.0, 30.0])
def test_a_resample_has_the_length_of_the_series_in_blocks_of_that_length(block_length):
    counting = np.ones((1, 200))
    for sums, blocks in resampled_sums(
        counting,
        block_length=block_length,
        resamples=3000,
        rng=np.random.default_rng(6),
    ):
        assert (sums[0].sum(axis=1) == 200).all()
        assert ((sums[0] > 0).sum(axis=1) == blocks).all()
        # n trials of a new block, the first certain.
        expected = 1 + 199 / block_length
        assert blocks.mean() == pytest.approx(expected, rel=0.03)


def test_blocks_cover_the_mean_of_a_persistent_series_where_rows_do_not():
    texts = autoregressive(0.8, 500, seed=7, texts=300)
    covered = naive = 0
    for seed, series in enumerate(texts):
        interval = bootstrap_blocks(series, resamples=400, seed=seed)
        covered += interval.low <= 0.0 <= interval.high
        half = 1.96 * series.std(ddof=1) / math.sqrt(500)
        naive += abs(series.mean()) <= half
    # 95 % +- four standard errors; independent rows would cover 53 %.
    assert 0.90 <= covered / 300 <= 0.995
    assert naive / 300 < 0.65


def test_an_interval_of_independent_values_is_hardly_wider_than_it_need_be():
    noise = np.random.default_rng(8).normal(size=2000)
    half = 1.96 * noise.std(ddof=1) / math.sqrt(2000)
    assert 0.85 * half < bootstrap_blocks(noise).width / 2 < 1.25 * half


def test_a_right_skewed_series_reaches_further_up_than_down():
    skewed = np.random.default_rng(9).exponential(size=300) ** 3
    interval = bootstrap_blocks(skewed)
    mean = skewed.mean()
    assert interval.high - mean > 1.2 * (mean - interval.low)


def test_a_ratio_of_one_everywhere_is_the_mean():
    series = autoregressive(0.5, 400, seed=10)[0] + 5
    plain = bootstrap_blocks(series, seed=2)
    ratio = bootstrap_blocks(series, np.ones(400), seed=2)
    assert plain == ratio


def test_a_ratio_known_exactly_has_no_width():
    below = np.random.default_rng(11).integers(1, 9, 300).astype(float)
    interval = bootstrap_blocks(2.5 * below, below)
    assert interval.low == interval.high == pytest.approx(2.5)


def test_numerator_and_denominator_are_drawn_together():
    # Bits follow bytes closely: their ratio is surer than bits alone over a fixed mean.
    rng = np.random.default_rng(12)
    below = rng.integers(1, 12, 600).astype(float)
    above = 2 * below + rng.normal(size=600) * 0.1
    together = bootstrap_blocks(above, below)
    apart = bootstrap_blocks(above / below.mean())
    assert together.width < apart.width / 10
    assert together.low < 2.0 < together.high


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-50, 50))
def test_an_interval_follows_its_series(seed, factor, shift):
    series = autoregressive(0.6, 150, seed=seed)[0]
    plain = bootstrap_blocks(series, resamples=200)
    moved = bootstrap_blocks(series * factor + shift, resamples=200)
    expected = (plain.low * factor + shift, plain.high * factor + shift)
    assert (moved.low, moved.high) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert plain.low <= series.mean() <= plain.high


def test_a_higher_level_is_wider_and_a_seed_repeats_it():
    series = autoregressive(0.5, 500, seed=13)[0]
    narrow, wide = (bootstrap_blocks(series, level=level) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert bootstrap_blocks(series, seed=4) == bootstrap_blocks(series, seed=4)
    assert bootstrap_blocks(series, seed=4) != bootstrap_blocks(series, seed=5)


def test_the_block_length_is_stated_and_can_be_given():
    series = autoregressive(0.9, 2000, seed=14)[0]
    chosen = bootstrap_blocks(series).settings
    assert chosen["block_length"] == pytest.approx(
        automatic_block_length(series), abs=0.01
    )
    assert chosen["blocks"] == pytest.approx(2000 / chosen["block_length"], abs=0.1)
    assert bootstrap_blocks(series, block_length=50).settings["blocks"] == 40.0


def test_blocks_of_an_independent_series_are_lengthened_to_two_hundred_blocks():
    noise = np.random.default_rng(15).normal(size=20_000)
    assert bootstrap_blocks(noise).settings["block_length"] == 100.0


def test_blocks_of_a_very_persistent_series_are_shortened_to_ten_blocks():
    ramp = np.arange(150.0)
    assert automatic_block_length(ramp) > 15
    assert bootstrap_blocks(ramp).settings["blocks"] == 10.0


def test_a_constant_series_is_known_exactly():
    halves = np.full(500, -np.log(0.5), dtype=np.float32)
    interval = bootstrap_blocks(halves)
    assert interval.low == interval.high == pytest.approx(np.log(2), abs=1e-7)


def test_memory_does_not_grow_with_the_resamples():
    series = np.random.default_rng(17).normal(size=5000)

    def peak(resamples):
        tracemalloc.start()
        bootstrap_blocks(series, resamples=resamples)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(6000) < 1.1 * peak(2000)


@pytest.mark.parametrize("n", [0, 1, 99])
def test_a_short_series_has_no_interval(n):
    with pytest.raises(NotEnoughData, match=f"{n} tokens are too few"):
        bootstrap_blocks(np.ones(n))


def test_a_series_with_one_event_has_no_interval():
    event = np.zeros(400)
    event[100] = 1.0
    with pytest.raises(NotEnoughData, match="blocks of 2 hardly vary"):
        bootstrap_blocks(event)


def test_numbers_that_are_not_finite_are_refused():
    series = np.zeros(200)
    series[7] = np.inf
    with pytest.raises(InvalidInput, match=r"numerator\[7\] is inf"):
        bootstrap_blocks(series)
    with pytest.raises(InvalidInput, match=r"series\[7\]"):
        automatic_block_length(series)


@pytest.mark.parametrize(
    ("below", "message"),
    [
        (np.ones(199), "numerator has 200 rows, denominator 199"),
        (np.zeros(200), "above 0 once"),
        (np.r_[-1.0, np.ones(199)], "at least 0 everywhere"),
        (np.r_[np.nan, np.ones(199)], r"denominator\[0\] is nan"),
    ],
)
def test_a_denominator_that_cannot_be_is_refused(below, message):
    with pytest.raises(InvalidInput, match=message):
        bootstrap_blocks(np.arange(200.0), below)


def test_a_denominator_that_is_nearly_always_zero_is_too_little():
    below = np.zeros(200)
    below[3] = 1.0
    with pytest.raises(NotEnoughData, match="denominator of 0"):
        bootstrap_blocks(np.arange(200.0), below)


@pytest.mark.parametrize("length", [0, 0.5, 101, math.inf])
def test_a_block_length_that_cannot_be_is_refused(length):
    with pytest.raises(InvalidInput, match="block length"):
        bootstrap_blocks(np.arange(200.0), block_length=length)


def test_nine_numbers_have_no_block_length():
    with pytest.raises(InvalidInput, match="series of 9"):
        automatic_block_length(np.ones(9))
    with pytest.raises(InvalidInput, match=r"block length 0\.9"):
        long_run_variance(np.ones(9), block_length=0.9)
