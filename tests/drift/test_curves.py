"""Bands of curves: what they cover, and where a curve ends."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from nescio.drift.curves import Limits, Named, resampled_curve
from nescio.errors import InvalidInput, NotEnoughData
from tests.drift.tables import ends

NAMED = Named("measured", "nats/token", "documents like these")


def curve(values: np.ndarray, counts: np.ndarray | None = None, **limits):
    """The mean of values [documents, places]."""
    there = np.ones(values.shape) if counts is None else counts
    return resampled_curve(
        np.stack([values * there, there], axis=1),
        lambda means: means[..., 0, :] / means[..., 1, :],
        np.arange(1.0, values.shape[1] + 1),
        named=NAMED,
        limits=Limits(**limits),
    )


def test_a_simultaneous_band_holds_the_whole_curve_and_a_pointwise_one_does_not() -> (
    None
):
    rng = np.random.default_rng(0)
    truth = np.linspace(1.0, 2.0, 20)
    inside = {"pointwise": 0, "simultaneous": 0}
    for seed in range(100):
        values = truth + rng.normal(size=(40, 20))
        for band in inside:
            found = curve(values, band=band, resamples=300, seed=seed)
            low, _, high = ends(found)
            inside[band] += ((low <= truth) & (truth <= high)).all()
    assert 88 <= inside["simultaneous"] <= 99
    assert inside["pointwise"] < 70


def test_each_place_of_a_pointwise_band_is_the_interval_of_its_mean() -> None:
    from nescio.uncertainty import bootstrap_rows

    values = np.random.default_rng(1).exponential(size=(30, 3))
    found = curve(values, resamples=4000)
    for place in range(3):
        alone = bootstrap_rows(values[:, [place]], resamples=4000)
        assert found.low[place] == pytest.approx(alone.low, abs=0.03)
        assert found.high[place] == pytest.approx(alone.high, abs=0.03)
    np.testing.assert_allclose(found.value, values.mean(axis=0))


def test_a_curve_ends_where_fewer_than_five_documents_are_left() -> None:
    counts = np.ones((8, 4))
    counts[:4, 2] = 0.0
    found = curve(np.ones((8, 4)), counts)
    assert found.place.tolist() == [1.0, 2.0]
    assert found.recipe.settings["ends_before"] == 3.0
    assert found.documents.tolist() == [8, 8]
    assert found.low.tolist() == found.high.tolist() == [1.0, 1.0]


def test_a_constant_curve_has_a_simultaneous_band_of_no_width() -> None:
    found = curve(np.full((6, 3), 2.0), band="simultaneous")
    assert found.low.tolist() == found.high.tolist() == [2.0] * 3


def test_few_documents_give_a_curve_without_a_band_that_says_why() -> None:
    found = curve(np.ones((4, 2)))
    assert found.low is found.high is found.level is None
    assert "4 documents are too few" in found.population
    assert found.estimate(1).value == 1.0
    assert "no band" in str(found.estimate(1))


def test_a_place_read_as_an_estimate_has_its_limits_and_its_place() -> None:
    found = curve(np.random.default_rng(0).normal(size=(10, 3)))
    one = found.estimate(2)
    assert (one.low, one.value, one.high) == (
        found.low[2],
        found.value[2],
        found.high[2],
    )
    assert one.recipe.settings["token"] == 3.0
    assert found.to_dict()["documents"] == [10, 10, 10]
    with pytest.raises(InvalidInput, match="place 3"):
        found.estimate(3)


def test_what_is_no_band_and_no_document_is_refused() -> None:
    with pytest.raises((InvalidInput, TypeCheckError)):
        Limits(band="wide")
    with pytest.raises(InvalidInput, match="level"):
        Limits(level=1.0)
    with pytest.raises(NotEnoughData, match="no document"):
        curve(np.ones((6, 2)), np.zeros((6, 2)))
