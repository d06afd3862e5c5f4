"""Smooth calibration error against its integral, its laws, and its own null."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from nescio.calibration.sharing import shared_chance
from nescio.calibration.smooth import (
    smooth_calibration_error as _smooth_calibration_error,
)
from nescio.calibration.smooth import (
    smooth_reliability as _smooth_reliability,
)
from nescio.errors import InvalidInput
from nescio.outcome import Outcomes

# Limits and levels are read without asking whether they are there.
smooth_calibration_error: Any = _smooth_calibration_error
smooth_reliability: Any = _smooth_reliability

QUICK = {"level": 0.5, "resamples": 40}


def error_at(width, confidence, residual, weight, points=4001):
    """The integral of |smoothed residual|, image by image, row by row."""
    t = (np.arange(points) + 0.5) / points
    smooth = np.zeros(points)
    for c, r, w in zip(confidence, residual, weight, strict=True):
        for turn in range(-4, 5):
            for image in (2 * turn + c, 2 * turn - c):
                smooth += w * r * np.exp(-0.5 * ((t - image) / width) ** 2)
    smooth /= width * math.sqrt(2 * math.pi) * np.sum(weight)
    return np.abs(smooth).mean()


def by_brute_force(outcomes):
    c = outcomes.confidence
    weight = np.ones(len(c)) if outcomes.weight is None else outcomes.weight
    parts = (c, outcomes.correct - c, weight)
    return brentq(lambda width: error_at(width, *parts) - width, 5e-3, 2.0, xtol=1e-10)


def calibrated(rng, n):
    confidence = rng.uniform(size=n)
    return Outcomes(confidence, rng.uniform(size=n) < confidence)


@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_fixed_point_of_the_integral(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 30))
    confidence = rng.uniform(size=n).round(int(rng.integers(1, 6)))
    confidence[rng.uniform(size=n) < 0.2] = 1.0
    confidence[rng.uniform(size=n) < 0.1] = 0.0
    data = Outcomes.of(
        confidence,
        rng.uniform(size=n) < 0.5,
        weight=rng.exponential(size=n) if seed % 2 else None,
    )
    found = smooth_calibration_error(data, **QUICK)
    bound = found.recipe.settings["error_of_grid_at_most"]
    assert bound < 2e-3 * found.value
    assert found.value == pytest.approx(by_brute_force(data), abs=bound + 2e-6)


def test_two_rows_by_hand():
    """Residuals -a and +a far apart never meet: the error is their mean size, if the
    kernel of that width keeps them apart."""
    data = Outcomes.of([0.02, 0.98], [0, 1])
    assert smooth_calibration_error(data, **QUICK).value == pytest.approx(
        0.02, abs=1e-9
    )
    near = Outcomes.of([0.5, 0.5], [0, 1])
    assert smooth_calibration_error(near, **QUICK).value == 0.0


@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40),
    st.booleans(),
)
@settings(max_examples=40)
def test_residuals_of_one_sign_give_their_mean_exactly(confidence, right):
    data = Outcomes.of(confidence, [right] * len(confidence))
    expected = abs(float(np.mean(right - np.asarray(confidence))))
    found = smooth_calibration_error(data, **QUICK)
    assert found.value == pytest.approx(expected, abs=1e-12)


def test_confidences_of_exactly_one_and_zero_count_fully():
    assert smooth_calibration_error(
        Outcomes.of([1.0] * 8, [0] * 8), **QUICK
    ).value == pytest.approx(1.0, abs=1e-12)
    assert smooth_calibration_error(
        Outcomes.of([0.0] * 8, [1] * 8), **QUICK
    ).value == pytest.approx(1.0, abs=1e-12)


def test_neither_the_order_of_rows_nor_repeating_them_changes_it():
    rng = np.random.default_rng(3)
    data = Outcomes.of(rng.choice([0.3, 0.7, 0.9, 1.0], 60), rng.uniform(size=60) < 0.6)
    value = smooth_calibration_error(data, **QUICK).value
    for order in (rng.permutation(60), np.repeat(np.arange(60), 3)):
        again = Outcomes(data.confidence[order], data.correct[order])
        assert smooth_calibration_error(again, **QUICK).value == pytest.approx(
            value, abs=1e-11
        )


def test_a_weight_of_two_is_the_row_twice():
    confidence, right = [0.2, 0.6, 0.9, 0.4], [1, 0, 0, 1]
    twice = Outcomes.of([*confidence, 0.9], [*right, 0])
    weighted = Outcomes.of(confidence, right, weight=[1, 1, 2, 1])
    assert smooth_calibration_error(weighted, **QUICK).value == pytest.approx(
        smooth_calibration_error(twice, **QUICK).value, abs=1e-11
    )


def test_certain_and_right_is_calibrated():
    found = smooth_calibration_error(Outcomes.of([1.0] * 20, [1] * 20), **QUICK)
    assert (found.value, found.null_level, found.p_value) == (0.0, 0.0, 1.0)
    assert (found.low, found.high) == (None, None)


def test_tiny_residuals_are_within_the_stated_error():
    data = Outcomes.of([1e-6, 1 - 1e-6], [0, 1])
    found = smooth_calibration_error(data, **QUICK)
    bound = found.recipe.settings["error_of_grid_at_most"]
    assert bound < 1e-4
    assert found.value == pytest.approx(1e-6, abs=bound)


def test_one_row_has_a_value_and_no_interval():
    found = smooth_calibration_error(Outcomes.of([0.25], [1]), **QUICK)
    assert found.value == pytest.approx(0.75)
    assert found.low is None
    assert "1 rows, fewer than 5" in found.population
    assert 0.0 < found.p_value <= 1.0


def test_the_recipe_says_what_decides_the_number():
    rng = np.random.default_rng(0)
    found = smooth_calibration_error(calibrated(rng, 50), resamples=300, seed=7)
    assert {
        "kernel",
        "width",
        "grid",
        "null",
        "null_draws",
        "seed",
        "resamples",
    } <= set(found.recipe.settings)
    assert found.recipe.settings["seed"] == 7
    assert "Błasiok" in found.cite()
    again = smooth_calibration_error(
        calibrated(np.random.default_rng(0), 50), resamples=300, seed=7
    )
    assert again == found


def test_the_null_level_is_what_calibrated_sources_score():
    rng = np.random.default_rng(1)
    values, levels = [], []
    for _ in range(40):
        found = smooth_calibration_error(calibrated(rng, 150), **QUICK)
        values.append(found.value)
        levels.append(found.null_level)
    error = np.std(values) / math.sqrt(len(values))
    assert np.mean(levels) == pytest.approx(np.mean(values), abs=4 * error)


@pytest.mark.parametrize("saturated", [False, True])
def test_p_values_of_calibrated_sources_are_uniform(saturated):
    rng = np.random.default_rng(5)
    p_values = []
    for _ in range(50):
        n = 60
        confidence = (
            rng.choice([0.6, 0.9, 0.99], n) if saturated else rng.uniform(size=n)
        )
        data = Outcomes(confidence, rng.uniform(size=n) < confidence)
        found = smooth_calibration_error(data, level=0.5, resamples=39)
        p_values.append(found.p_value)
    for level in (0.05, 0.25, 0.5, 0.75):
        share = np.mean(np.array(p_values) <= level)
        assert abs(share - level) < 4 * math.sqrt(level * (1 - level) / 50)


def test_overconfidence_is_found_and_its_size_is_in_the_interval():
    rng = np.random.default_rng(2)
    confidence = rng.uniform(0.3, 1.0, 2000)
    data = Outcomes(confidence, rng.uniform(size=2000) < confidence - 0.15)
    found = smooth_calibration_error(data, resamples=400)
    assert found.p_value < 0.01
    assert found.low < 0.15 < found.high
    assert found.low > 0.1 > found.null_level


def test_the_interval_of_a_calibrated_source_holds_zero():
    rng = np.random.default_rng(8)
    found = smooth_calibration_error(calibrated(rng, 300), resamples=400)
    assert found.p_value > 0.05
    assert found.low == 0.0


def test_many_rows_are_drawn_by_part_as_they_would_be_one_by_one():
    rng = np.random.default_rng(4)
    n = 20_000
    confidence = rng.beta(4, 1, n)
    drawn = [
        smooth_calibration_error(
            Outcomes(confidence, rng.uniform(size=n) < confidence), **QUICK
        )
        for _ in range(10)
    ]
    values = [found.value for found in drawn]
    error = np.std(values) / math.sqrt(len(values))
    levels = np.mean([found.null_level for found in drawn])
    assert levels == pytest.approx(np.mean(values), abs=4 * error)
    assert all(found.low == 0.0 for found in drawn if found.p_value > 0.5)


def test_repeated_rows_of_a_document_are_not_taken_for_evidence():
    rng = np.random.default_rng(6)
    confidence = rng.uniform(size=40)
    right = rng.uniform(size=40) < confidence
    names = np.repeat(np.arange(40), 10).tolist()
    ten = {"confidence": np.repeat(confidence, 10), "correct": np.repeat(right, 10)}
    documents = Outcomes.of(**ten, cluster=names)
    options = {"resamples": 1000}
    once = smooth_calibration_error(Outcomes(confidence, right), **options)
    found = smooth_calibration_error(documents, **options)
    alone = smooth_calibration_error(Outcomes.of(**ten), **options)
    assert found.value == pytest.approx(once.value, abs=1e-9)
    assert found.null_level == pytest.approx(once.null_level, rel=0.2)
    assert alone.null_level < 0.6 * once.null_level
    assert found.n_clusters == 40


def test_documents_of_independent_rows_share_no_luck():
    rng = np.random.default_rng(7)
    confidence = rng.uniform(size=4000)
    names = np.repeat(np.arange(200), 20).tolist()
    right = rng.uniform(size=4000) < confidence
    assert shared_chance(Outcomes.of(confidence, right, cluster=names)) < 0.3
    over = rng.uniform(size=4000) < confidence - 0.1
    assert shared_chance(Outcomes.of(confidence, over, cluster=names)) < 0.35


def test_clusters_that_are_all_right_refute_nothing():
    data = Outcomes.of([0.99] * 20, [1] * 20, cluster=list(range(20)))
    found = smooth_calibration_error(data, resamples=400)
    assert found.p_value > 0.7
    assert found.low == 0.0


def test_few_clusters_have_neither_interval_nor_null():
    data = Outcomes.of([0.5] * 8, [1, 0] * 4, cluster=list("aabbccdd"))
    found = smooth_calibration_error(data, **QUICK)
    assert (found.low, found.null_level, found.p_value) == (None, None, None)
    assert found.recipe.settings["null"] == "none: 4 clusters, fewer than 5"


def test_the_curve_of_what_is_right_as_often_as_it_says_is_the_diagonal():
    confidence = np.repeat([0.2, 0.5, 0.8], 10)
    right = np.concatenate([np.arange(10) < k for k in (2, 5, 8)])
    curve = smooth_reliability(Outcomes(confidence, right), points=400, **QUICK)
    assert np.allclose(curve.accuracy, curve.confidence, atol=1e-12)
    over = smooth_reliability(Outcomes(confidence, right & False), **QUICK)
    assert (over.accuracy < over.confidence).all()


def test_the_density_of_the_curve_is_one_and_its_band_holds_the_diagonal():
    rng = np.random.default_rng(9)
    curve = smooth_reliability(calibrated(rng, 2000), level=0.95, resamples=400)
    assert curve.density.mean() == pytest.approx(1.0, abs=1e-9)
    assert (curve.null_low < curve.confidence).mean() > 0.97
    assert (curve.null_high > curve.confidence).mean() > 0.97
    inside = (curve.null_low <= curve.accuracy) & (curve.accuracy <= curve.null_high)
    assert inside.mean() > 0.7
    assert (curve.null_high - curve.null_low).max() < 0.4


def test_the_curve_ends_where_there_are_no_rows():
    curve = smooth_reliability(Outcomes.of([0.9, 0.95] * 20, [1, 1] * 20), **QUICK)
    assert curve.confidence.min() > 0.5
    few = Outcomes.of([0.5] * 4, [1, 0] * 2, cluster=list("aabb"))
    assert smooth_reliability(few, **QUICK).null_low is None


def test_a_curve_needs_points():
    with pytest.raises(InvalidInput, match="7 points are no curve"):
        smooth_reliability(Outcomes.of([0.5], [1]), points=7, **QUICK)


@pytest.mark.parametrize("luck", [0.0, 0.6, 1.0])
def test_p_values_of_calibrated_documents_are_not_too_small(luck):
    """Rows of a document share their luck a little, much, or wholly."""
    rng = np.random.default_rng(11)
    names = np.repeat(np.arange(30), 6).tolist()
    p_values = []
    for _ in range(40):
        confidence = rng.uniform(0.3, 1.0, 180)
        joint = np.repeat(rng.uniform(size=30), 6)
        own = rng.uniform(size=180)
        uniform = np.where(rng.uniform(size=180) < luck, joint, own)
        data = Outcomes.of(confidence, uniform < confidence, cluster=names)
        found = smooth_calibration_error(data, level=0.5, resamples=39)
        p_values.append(found.p_value)
    for level in (0.05, 0.25, 0.5):
        share = np.mean(np.array(p_values) <= level)
        assert share < level + 4 * math.sqrt(level * (1 - level) / 40)
    assert np.mean(np.array(p_values) <= 0.5) > 0.3
