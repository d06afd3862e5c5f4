"""Shares over clusters and weights: for fewer rows, by hand, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student

from nescio.errors import InvalidInput, NotEnoughData
from nescio.uncertainty import (
    paired_share_interval,
    paired_shares_interval,
    share_interval,
    wilson_interval,
)
from nescio.uncertainty.paired_shares import paired_shares_limits
from nescio.uncertainty.wilson import wilson_limits


def limits(found: Any) -> tuple[float, float]:
    return found.low, found.high


@given(st.integers(0, 40), st.sampled_from([0.8, 0.95]))
def test_plain_rows_are_counted(k: int, level: float) -> None:
    hits = np.array([1.0] * k + [0.0] * (40 - k))
    found = share_interval(hits, level=level)
    assert limits(found) == pytest.approx(limits(wilson_interval(k, 40, level=level)))
    assert "effective_rows" not in found.settings


@given(st.integers(0, 20), st.integers(0, 20))
def test_plain_gaps_are_counted(won: int, lost: int) -> None:
    gaps = np.array([1.0] * won + [-1.0] * lost + [0.0] * (45 - won - lost))
    found = paired_share_interval(gaps)
    assert limits(found) == pytest.approx(
        limits(paired_shares_interval(won, lost, 45)), abs=1e-9
    )


def test_the_effective_number_of_rows_by_hand() -> None:
    """Three clusters of sizes 2, 1, 1; the mean is .5, and so is each row's half."""
    hits = np.array([1.0, 1.0, 0.0, 0.0])
    found = share_interval(hits, clusters=["a", "a", "b", "c"])
    spread = ((2 * 0.5 / 4) ** 2 + 2 * (0.5 / 4) ** 2) * 3 / 2
    widening = norm.ppf(0.975) / student.ppf(0.975, 2)
    n = 0.25 / spread * widening**2
    assert found.settings["effective_rows"] == pytest.approx(n)
    assert limits(found) == pytest.approx(wilson_limits(0.5, n))
    assert (found.n, found.n_clusters) == (4, 3)


def test_weights_by_hand_and_rows_of_no_weight_count_for_nothing() -> None:
    hits = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    weights = np.array([2.0, 1.0, 1.0, 1.0, 0.0])
    found = share_interval(hits, weights=weights)
    share = 0.8
    moved = weights / 5 * (hits - share)
    widening = norm.ppf(0.975) / student.ppf(0.975, 3)
    n = share * 0.2 / ((moved @ moved) * 4 / 3) * widening**2
    assert found.settings["effective_rows"] == pytest.approx(min(n, 4.0))
    without = share_interval(hits[:4], weights=weights[:4])
    assert limits(found) == pytest.approx(limits(without))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_where_all_are_alike_each_cluster_counts_for_one(value: float) -> None:
    rows, clusters = np.full(30, value), np.arange(30) // 3
    found = share_interval(rows, clusters=clusters)
    assert limits(found) == pytest.approx(wilson_limits(value, 10.0))
    gaps = paired_share_interval(rows, clusters=clusters)
    assert limits(gaps) == pytest.approx(paired_shares_limits(value, 0.0, 10.0))
    uneven = share_interval(rows, weights=np.repeat([1.0, 3.0], 15))
    kish = (15 + 45) ** 2 / (15 + 9 * 15)
    assert limits(uneven) == pytest.approx(wilson_limits(value, kish))


def test_more_alike_within_clusters_is_less_known() -> None:
    rng = np.random.default_rng(0)
    alone = (rng.random(200) < 0.8).astype(float)
    together = np.repeat((rng.random(40) < 0.8).astype(float), 5)
    clusters = np.arange(200) // 5
    one, other = (share_interval(rows, clusters=clusters) for rows in (alone, together))
    assert one.width < 0.7 * other.width


@pytest.mark.parametrize(
    ("given_rows", "says"),
    [
        ({"hits": np.array([0.0, 0.5])}, "row 1 is 0.5"),
        ({"hits": np.array([0.0, np.nan])}, "row 1 is nan"),
        ({"hits": np.array([1.0, -1.0])}, "row 1 is -1.0"),
        ({"hits": np.ones(2), "clusters": ["a"]}, "1 clusters are named for 2"),
        ({"hits": np.ones(2), "weights": np.ones(3)}, "3 weights are given for 2"),
        ({"hits": np.ones(2), "weights": np.array([1.0, -1.0])}, "not negative"),
        ({"hits": np.ones(2), "weights": np.array([1.0, np.inf])}, "finite"),
        ({"hits": np.ones(2), "level": 1.5}, "not between 0 and 1"),
    ],
)
def test_rows_that_cannot_be_are_refused(given_rows: Any, says: str) -> None:
    hits = given_rows.pop("hits")
    with pytest.raises(InvalidInput, match=says):
        share_interval(hits, **given_rows)


def test_what_tells_nothing_is_refused() -> None:
    with pytest.raises(NotEnoughData, match="no rows"):
        share_interval(np.array([]))
    with pytest.raises(NotEnoughData, match="one cluster"):
        share_interval(np.ones(4), clusters=["a"] * 4)
    with pytest.raises(NotEnoughData, match="weight 0"):
        paired_share_interval(np.ones(4), weights=np.zeros(4))


def test_one_wrong_row_of_millions_is_no_rounding() -> None:
    hits = np.ones(3_000_000)
    hits[17] = 0.0
    found = share_interval(hits, clusters=np.arange(3_000_000) // 3)
    assert found.settings["effective_rows"] == pytest.approx(3_000_000, rel=1e-5)
