"""A thinned line looks like the whole one, and a running mean is a mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nescio.errors import InvalidInput
from nescio.plot import running_mean
from nescio.plot.thinning import extremes

values = st.lists(
    st.one_of(st.floats(0, 1e6), st.just(float("nan"))), min_size=1, max_size=80
).map(lambda items: np.array(items, dtype=np.float64))


@given(values, st.integers(1, 90))
def test_a_running_mean_is_the_mean_of_the_last_values_that_are_there(y, window):
    mean = running_mean(y, window=window)
    for i, value in enumerate(y):
        part = y[max(0, i + 1 - window) : i + 1]
        if np.isnan(value):
            assert np.isnan(mean[i])
        else:
            assert mean[i] == pytest.approx(np.nanmean(part), rel=1e-6, abs=1e-6)


def test_an_infinite_value_makes_its_windows_infinite_and_no_others():
    y = np.array([1.0, np.inf, 1.0, 3.0, -np.inf])
    assert running_mean(y, window=2).tolist() == [1, np.inf, np.inf, 2, -np.inf]


def test_a_window_of_nothing_is_refused():
    with pytest.raises(InvalidInput, match="window is 0"):
        running_mean(np.ones(3), window=0)


@given(values)
def test_a_short_line_keeps_every_value(y):
    runs = extremes(np.arange(len(y), dtype=np.float64), y, columns=200)
    kept = [index for run in runs for index in run]
    assert kept == np.flatnonzero(~np.isnan(y)).tolist()
    assert all(np.diff(run).tolist() == [1] * (len(run) - 1) for run in runs)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0, 0.9))
def test_a_long_line_keeps_each_column_s_lowest_and_highest(seed, columns, absent):
    rng = np.random.default_rng(seed)
    n = 1000
    y = np.where(rng.random(n) < absent, np.nan, rng.normal(size=n))
    runs = extremes(np.arange(n, dtype=np.float64), y, columns=columns)
    kept = [index for run in runs for index in run]
    assert kept == sorted(set(kept))
    assert len(kept) <= 2 * columns
    edges = np.searchsorted(np.arange(n) / (n - 1) * columns, np.arange(columns))
    for part in np.split(np.arange(n), edges[1:]):
        there = part[~np.isnan(y[part])]
        if len(there):
            assert there[y[there].argmin()] in kept
            assert there[y[there].argmax()] in kept


def test_no_run_passes_a_gap_of_a_long_line():
    y = np.ones(10_000)
    y[4_000:4_500] = np.nan
    runs = extremes(np.arange(10_000.0), y, columns=100)
    assert len(runs) == 2
    assert runs[0][-1] < 4_000
    assert runs[1][0] >= 4_500


def test_positions_that_are_all_the_same_are_one_column():
    runs = extremes(np.zeros(100), np.arange(100.0), columns=10)
    assert runs == [[0, 99]]
