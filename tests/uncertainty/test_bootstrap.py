"""The bootstrap by rows, clusters and pairs."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from nescio.errors import InvalidInput, NotEnoughData
from nescio.uncertainty import (
    Interval,
    bootstrap_clusters,
    bootstrap_pairs,
    bootstrap_rows,
    bootstrap_weights,
    ratio_of_means,
)


def limits(interval):
    return pytest.approx((interval.low, interval.high), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("n", [8, 30, 200])
def test_the_interval_of_a_mean_is_as_wide_as_students(n):
    # Quantiles of the normal distribution: no noise, no skew.
    rows = np.sqrt(2) * np.linspace(-1, 1, n)
    interval = bootstrap_rows(rows[:, None], resamples=40_000)
    half = student.ppf(0.975, n - 1) * rows.std(ddof=1) / np.sqrt(n)
    assert interval.width / 2 == pytest.approx(half, rel=0.05)


def test_two_rows_give_their_own_range():
    interval = bootstrap_rows(np.array([[1.0], [3.0]]))
    assert (interval.low, interval.high) == (1.0, 3.0)


def test_a_ratio_is_of_sums_and_not_a_mean_of_ratios():
    bits_and_bytes = np.array([[8.0, 1.0], [100.0, 100.0], [99.0, 100.0], [98.0, 99.0]])
    interval = bootstrap_rows(bits_and_bytes, ratio_of_means)
    assert interval.high <= 8.0
    pooled = 305 / 300
    mean_of_ratios = (8 + 1 + 0.99 + 98 / 99) / 4
    assert interval.low < pooled < mean_of_ratios


def test_rows_that_are_each_a_cluster_are_just_rows():
    rows = np.random.default_rng(1).exponential(size=(40, 2))
    by_rows = bootstrap_rows(rows, ratio_of_means, seed=5)
    by_clusters = bootstrap_clusters(
        rows, ratio_of_means, clusters=np.arange(40), seed=5
    )
    assert (by_clusters.low, by_clusters.high) == limits(by_rows)
    assert by_rows.n_clusters is None
    assert (by_clusters.n, by_clusters.n_clusters) == (40, 40)


def test_copies_of_a_row_do_not_count_as_evidence():
    documents = np.random.default_rng(2).normal(size=40)
    copied = np.repeat(documents, 10)[:, None]
    owner = np.repeat(np.arange(40), 10)
    honest = bootstrap_clusters(copied, clusters=owner)
    fooled = bootstrap_rows(copied)
    assert (honest.low, honest.high) == limits(bootstrap_rows(documents[:, None]))
    assert honest.width / fooled.width == pytest.approx(np.sqrt(10), rel=0.1)


def test_ragged_clusters_weigh_by_their_rows():
    rows = np.array([[0.0]] * 9 + [[1.0]])
    interval = bootstrap_clusters(rows, clusters=["big"] * 9 + ["small"])
    assert (interval.low, interval.high) == (0.0, 1.0)
    drawn_both = bootstrap_clusters(
        rows,
        lambda means: np.where(means[:, 0] % 1 > 0, means[:, 0], 0.1),
        clusters=["big"] * 9 + ["small"],
    )
    assert drawn_both.high == drawn_both.low == pytest.approx(0.1)


def test_pairs_see_what_two_separate_intervals_hide():
    rng = np.random.default_rng(3)
    difficulty = rng.normal(size=100) * 10
    first, second = difficulty + 1 + rng.normal(size=100), difficulty
    paired = bootstrap_pairs(first, second)
    alone = bootstrap_rows(first[:, None])
    assert paired.low > 0
    assert paired.width < alone.width / 5
    assert bootstrap_pairs(second, first).high < 0


def test_pairs_of_one_cluster_go_together():
    first, second = np.ones(8), np.zeros(8)
    interval = bootstrap_pairs(first, second, clusters=list("aabbccdd"))
    assert (interval.low, interval.high, interval.n_clusters) == (1.0, 1.0, 4)


@pytest.mark.parametrize("clusters", [None, list("aabbbcdddd")])
def test_weights_give_what_column_means_give(clusters):
    column = np.arange(10.0)

    def mean(counts):
        return counts @ column / counts.sum(axis=1)

    by_weights = bootstrap_weights(10, mean, clusters=clusters, seed=9)
    if clusters is None:
        by_columns = bootstrap_rows(column[:, None], seed=9)
    else:
        by_columns = bootstrap_clusters(column[:, None], clusters=clusters, seed=9)
    assert (by_weights.low, by_weights.high) == limits(by_columns)


@settings(max_examples=30)
@given(
    st.lists(st.floats(-100, 100), min_size=5, max_size=30),
    st.floats(0.01, 50),
    st.floats(-20, 20),
)
def test_an_interval_follows_its_data(values, factor, shift):
    rows = np.array(values)[:, None]
    plain = bootstrap_rows(rows, resamples=200)
    moved = bootstrap_rows(rows * factor + shift, resamples=200)
    expected = (plain.low * factor + shift, plain.high * factor + shift)
    assert (moved.low, moved.high) == pytest.approx(expected, rel=1e-9, abs=1e-7)
    assert min(values) - 1e-9 <= plain.low <= plain.high <= max(values) + 1e-9


def test_constant_data_give_an_interval_of_no_width():
    interval = bootstrap_rows(np.full((20, 1), 0.1))
    assert interval.low == interval.high == pytest.approx(0.1, abs=1e-15)


def test_a_seed_gives_the_same_numbers_and_another_one_others():
    rows = np.random.default_rng(4).normal(size=(30, 1))
    assert bootstrap_rows(rows, seed=1) == bootstrap_rows(rows, seed=1)
    assert bootstrap_rows(rows, seed=1).low != bootstrap_rows(rows, seed=2).low


def test_the_settings_say_how_it_was_done():
    interval = bootstrap_rows(np.arange(6.0)[:, None], resamples=500, seed=3)
    assert interval.settings == {
        "interval": "expanded percentiles of the bootstrap",
        "resampled": "rows",
        "resamples": 500,
        "seed": 3,
    }


def test_memory_does_not_grow_with_the_resamples():
    rows = np.ones((20_000, 1))

    def peak(resamples):
        tracemalloc.start()
        bootstrap_rows(rows, resamples=resamples)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(2000) < 1.2 * peak(400)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_by_place(bad):
    rows = np.zeros((4, 2))
    rows[2, 1] = bad
    with pytest.raises(InvalidInput, match=r"columns\[\(2, 1\)\] is"):
        bootstrap_rows(rows)
    with pytest.raises(InvalidInput, match=r"second\[2\] is"):
        bootstrap_pairs(rows[:, 0], rows[:, 1])


@pytest.mark.parametrize("rows", [0, 1])
def test_one_row_has_no_interval(rows):
    with pytest.raises(NotEnoughData, match="at least 2"):
        bootstrap_rows(np.ones((rows, 1)))


def test_one_cluster_has_no_interval():
    with pytest.raises(NotEnoughData, match="one cluster"):
        bootstrap_clusters(np.ones((5, 1)), clusters=["a"] * 5)


def test_pairs_of_unequal_length_are_refused():
    with pytest.raises(InvalidInput, match="5 and 4 values are no pairs"):
        bootstrap_pairs(np.ones(5), np.ones(4))


def test_a_statistic_that_is_sometimes_not_a_number_is_refused():
    rows = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    with pytest.raises(NotEnoughData, match="not finite on"):
        bootstrap_rows(rows, ratio_of_means)


def test_clusters_of_another_length_are_refused():
    with pytest.raises(InvalidInput, match="3 clusters are named for 2 rows"):
        bootstrap_clusters(np.ones((2, 1)), clusters=list("abc"))


@pytest.mark.parametrize(
    ("level", "resamples", "message"),
    [
        (1.0, 2000, "not between 0 and 1"),
        (95.0, 2000, "not between 0 and 1"),
        (0.95, 199, "at least 200"),
        (0.999, 2000, "at least 10000"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(level, resamples, message):
    with pytest.raises(InvalidInput, match=message):
        bootstrap_rows(np.ones((5, 1)), level=level, resamples=resamples)


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (np.nan, 1.0), (0.0, np.inf)])
def test_limits_that_are_none_make_no_interval(low, high):
    with pytest.raises(InvalidInput, match=r"limits|above"):
        Interval(low, high, 0.95, 10)
