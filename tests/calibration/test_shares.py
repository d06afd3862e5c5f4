"""Shares of answers: score intervals, whose width does not end at the last error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, norm
from scipy.stats import t as student

from nescio.calibration.means import accuracy, mean_confidence
from nescio.calibration.measuring import How
from nescio.calibration.paired import paired_difference
from nescio.calibration.shares import paired_share_interval, share_interval
from nescio.errors import InvalidInput
from nescio.outcome import Outcomes
from nescio.uncertainty import wilson_interval
from nescio.uncertainty.paired_shares import paired_shares_limits
from nescio.uncertainty.wilson import wilson_limits

HOW = How()


def right(k: int, n: int, **rows: Any) -> Outcomes:
    return Outcomes.of([0.5] * n, [1] * k + [0] * (n - k), **rows)


@pytest.mark.parametrize("k", [0, 1, 25, 39, 40])
def test_the_interval_of_an_accuracy_is_wilsons(k: int) -> None:
    found: Any = accuracy(right(k, 40))
    limits = wilson_interval(k, 40)
    assert (found.low, found.high) == (limits.low, limits.high)
    assert found.low < found.high
    assert any("Wilson" in source for source in found.recipe.sources)


def test_forty_right_answers_leave_room_for_a_wrong_one() -> None:
    """Resampling says 1 [1, 1]; the truth may be .95, which gives this often."""
    found: Any = accuracy(right(40, 40))
    assert found.high == 1.0
    assert binom.pmf(40, 40, found.low) == pytest.approx(0.025, abs=0.01)


def test_clusters_that_are_all_alike_within_count_for_one_row_each() -> None:
    names = [str(row // 4) for row in range(80)]
    found: Any = accuracy(right(64, 80, cluster=names))
    share, units = 0.8, 20
    # Of 20 clusters as of 20 rows; the variance is estimated with 19 degrees.
    widening = norm.ppf(0.975) / student.ppf(0.975, 19)
    n = (units - 1) * widening**2
    assert (found.low, found.high) == pytest.approx(wilson_limits(share, n))
    assert found.recipe.settings["effective_rows"] == pytest.approx(n)
    assert found.n_clusters == 20
    every: Any = accuracy(right(80, 80, cluster=names))
    assert every.recipe.settings["effective_rows"] == pytest.approx(20)


def test_clusters_that_vary_less_than_rows_are_no_more_than_the_rows() -> None:
    pairs = [str(row // 2) for row in range(40)]
    half = Outcomes.of([0.5] * 40, [1, 0] * 20, cluster=pairs)
    found: Any = accuracy(half)
    assert found.recipe.settings["effective_rows"] == pytest.approx(20)
    nearly = Outcomes.of([0.5] * 40, [1, 0] * 19 + [1, 1], cluster=pairs)
    assert accuracy(nearly).recipe.settings["effective_rows"] == 40.0


def test_weights_leave_fewer_rows() -> None:
    weights = np.linspace(0.2, 3.0, 60)
    answers = Outcomes.of([0.5] * 60, [1, 0] * 30, weight=weights)
    found: Any = accuracy(answers)
    alike: Any = accuracy(right(60, 60, weight=weights))
    kish = weights.sum() ** 2 / (weights**2).sum()
    assert alike.recipe.settings["effective_rows"] == pytest.approx(kish)
    assert found.recipe.settings["effective_rows"] < 60
    assert found.value == pytest.approx(weights[::2].sum() / weights.sum())
    same: Any = accuracy(right(60, 60, weight=[2.0] * 60))
    assert same.recipe.settings["effective_rows"] == pytest.approx(60)


def drawn(kind: str, share: float, units: int, rng: np.random.Generator) -> Outcomes:
    """Answers of which a share is right: alone, weighted, or in clusters alike."""
    if kind == "alone":
        return Outcomes.of([0.5] * units, rng.random(units) < share)
    if kind == "weighted":
        hits, weights = rng.random(units) < share, rng.uniform(0.2, 3.0, units)
        return Outcomes.of([0.5] * units, hits, weight=weights)
    sizes = rng.integers(1, 8, units)
    own = rng.beta(3 * share, 3 * (1 - share), units)
    hits = rng.random(sizes.sum()) < np.repeat(own, sizes)
    names = np.repeat(np.arange(units), sizes).astype(str).tolist()
    return Outcomes.of([0.5] * len(hits), hits, cluster=names)


@pytest.mark.parametrize("kind", ["alone", "weighted", "in clusters"])
@pytest.mark.parametrize(("share", "units"), [(0.9, 12), (0.97, 40), (0.6, 30)])
def test_shares_near_one_are_covered_as_often_as_said(
    kind: str, share: float, units: int
) -> None:
    """Percentiles of the bootstrap covered .9 of 12 rows in 72 %, .97 of 40 in 70 %."""
    rng, covered, runs = np.random.default_rng(3), 0, 300
    for _ in range(runs):
        rows = drawn(kind, share, units, rng)
        found: Any = share_interval(rows.correct.astype(float), rows, HOW)
        covered += found.low <= share <= found.high
    assert covered / runs > 0.95 - 3 * np.sqrt(0.95 * 0.05 / runs)


@pytest.mark.parametrize("kind", ["alone", "weighted", "in clusters"])
def test_differences_of_shares_are_covered_as_often_as_said(kind: str) -> None:
    """Student's t after Hall's transformation covered the first in 88 %."""
    rng, covered, runs, share = np.random.default_rng(4), 0, 300, 0.95
    truth = 0.06 * (2 * share - 1)
    for _ in range(runs):
        rows = drawn(kind, share, 40, rng)
        other = np.where(rng.random(len(rows)) < 0.06, ~rows.correct, rows.correct)
        gaps = rows.correct.astype(float) - other
        found: Any = paired_share_interval(gaps, rows, HOW)
        covered += found.low <= truth <= found.high
    assert covered / runs > 0.95 - 3 * np.sqrt(0.95 * 0.05 / runs)


def test_a_difference_over_clusters_is_tangos_for_fewer_rows() -> None:
    names = [str(row // 4) for row in range(80)]
    first = right(64, 80, cluster=names)
    second = right(48, 80, cluster=names)
    found: Any = paired_difference("accuracy", first, second)
    n = 19 * (norm.ppf(0.975) / student.ppf(0.975, 19)) ** 2
    assert found.recipe.settings["effective_rows"] == pytest.approx(n)
    limits = paired_shares_limits(0.2, 0.0, n)
    assert (found.low, found.high) == pytest.approx(limits)


def test_few_units_have_no_interval() -> None:
    four: Any = accuracy(right(3, 4))
    assert (four.low, four.high) == (None, None)
    clusters: Any = accuracy(right(30, 40, cluster=[str(r // 10) for r in range(40)]))
    assert clusters.low is None
    assert "4 clusters, fewer than 5" in clusters.population


def test_one_confidence_everywhere_has_no_interval_of_no_width() -> None:
    found: Any = mean_confidence(Outcomes.of([0.9] * 20, [1] * 20))
    assert (found.value, found.low) == (pytest.approx(0.9), None)
    assert "no row moves it" in found.population


def test_a_level_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="level 95"):
        accuracy(right(3, 40), level=95.0)
