"""Signatures, and whether they tell kinds apart: beside a dummy and beside chance."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nescio.errors import InvalidInput, NotEnoughData
from nescio.lens import accuracy_gain, classify_signatures, signature, signatures
from nescio.lens.classification import Neighbours
from nescio.uncertainty import paired_shares_interval, wilson_interval
from tests.lens.reading_texts import handmade, readings_of

FEW = Neighbours(permutations=30, resamples=400)


def told_apart(n: int, gap: float, seed: int = 0) -> tuple[Any, list[str]]:
    """Profiles of two kinds, ``gap`` standard deviations apart in each number."""
    rng = np.random.default_rng(seed)
    kinds = ["verse" if number % 2 else "prose" for number in range(n)]
    shift = np.array([gap * (kind == "verse") for kind in kinds])
    return rng.normal(0.0, 1.0, (n, 2, 3)) + shift[:, None, None], kinds


def test_a_signature_is_the_mean_of_each_window_by_hand() -> None:
    found = handmade([[0] * 4] * 2, [[1.0, 3.0, 5.0, 7.0], [0.0, 0.0, 2.0, 2.0]])
    assert signature(found).tolist() == [[4.0, 1.0]]
    assert signature(found, windows=2).tolist() == [[2.0, 0.0], [6.0, 2.0]]
    assert signature(found, windows=3).tolist() == [[2.0, 0.0], [5.0, 2.0], [7.0, 2.0]]
    share = signature(found, normalised="vocabulary")
    np.testing.assert_allclose(share, np.array([[4.0, 1.0]]) / math.log(2))


def test_a_signature_over_the_vocabulary_lies_between_0_and_1() -> None:
    found = signatures(readings_of("llama"), windows=2, normalised="vocabulary")
    assert found.shape == (5, 2, 4)
    assert ((found >= 0) & (found <= 1 + 1e-6)).all()


def test_signatures_that_cannot_be_are_refused() -> None:
    one = handmade([[0, 1]] * 2, [[0.5, 0.5]] * 2)
    with pytest.raises(NotEnoughData, match="2 tokens cannot be cut into 3"):
        signature(one, windows=3)
    with pytest.raises(InvalidInput, match="windows is 0"):
        signature(one, windows=0)
    with pytest.raises(InvalidInput, match="'max'"):
        signature(one, normalised="max")
    with pytest.raises(InvalidInput, match=r"have \[2, 4\] layers"):
        signatures([one, readings_of("llama")[0]])
    with pytest.raises(InvalidInput, match="no readings"):
        signatures([])


@pytest.mark.parametrize("standardised", [False, True])
def test_the_accuracy_is_scikit_learns(standardised: bool) -> None:
    profiles, kinds = told_apart(60, 0.8)
    profiles[:, 0, 0] *= 50.0
    how = replace(FEW, k=3, folds=4, seed=5, standardised=standardised)
    found: Any = classify_signatures(profiles, kinds, how=how)
    nearest = KNeighborsClassifier(3)
    model = make_pipeline(StandardScaler(), nearest) if standardised else nearest
    folds = StratifiedKFold(4, shuffle=True, random_state=5)
    scores = cross_val_score(model, profiles.reshape(60, -1), np.array(kinds), cv=folds)
    assert found.accuracy.value == pytest.approx(scores.mean())
    assert found.accuracy.recipe.settings["standardised"] is standardised
    assert found.labels == tuple(kinds)


def test_kinds_far_apart_are_told_and_chance_is_not() -> None:
    profiles, kinds = told_apart(50, 6.0)
    found: Any = classify_signatures(profiles, kinds, how=FEW)
    assert found.accuracy.value == 1.0
    assert found.accuracy.p_value == pytest.approx(1 / 31)
    assert 0.35 < found.accuracy.null_level < 0.65
    assert found.accuracy_gain.low > 0.3
    assert found.dummy_accuracy.value == 0.5
    assert found.predicted == tuple(kinds)
    assert {one.value for one in found.recall.values()} == {1.0}
    assert "accuracy" in found.estimates


def test_the_p_value_of_nothing_is_rarely_small() -> None:
    small = 0
    for seed in range(20):
        profiles, kinds = told_apart(20, 0.0, seed)
        how = replace(FEW, permutations=9, k=3, folds=3, seed=seed)
        found: Any = classify_signatures(profiles, kinds, how=how)
        small += found.accuracy.p_value <= 0.2
    assert small <= 4 + 3 * math.sqrt(20 * 0.2 * 0.8)


def test_uneven_kinds_are_judged_beside_always_saying_the_commonest() -> None:
    profiles, _ = told_apart(50, 0.0)
    kinds = ["common"] * 40 + ["rare"] * 10
    found: Any = classify_signatures(profiles, kinds, how=FEW)
    assert found.dummy_accuracy.value == 0.8
    gain = found.accuracy.value - 0.8
    assert found.accuracy_gain.value == pytest.approx(gain)
    assert found.accuracy_gain.low < 0.05


def test_texts_of_one_group_never_teach_about_each_other() -> None:
    """Copies of a text in one group: without groups the copy tells the kind."""
    rng = np.random.default_rng(1)
    base = rng.normal(0, 1, (20, 1, 4))
    profiles = np.repeat(base, 4, axis=0)
    groups = np.repeat(np.arange(20), 4).tolist()
    kinds = np.repeat(rng.permutation(["a", "b"] * 10), 4).tolist()
    how = replace(FEW, k=1)
    leaked: Any = classify_signatures(profiles, kinds, how=how)
    assert leaked.accuracy.value > 0.95
    found: Any = classify_signatures(profiles, kinds, groups=groups, how=how)
    assert found.accuracy.value < 0.85
    assert found.accuracy.p_value > 0.05
    assert found.accuracy.n_clusters == 20
    assert found.accuracy.recipe.settings["folds_by"] == "groups"


def test_groups_of_mixed_kinds_are_shuffled_within() -> None:
    rng = np.random.default_rng(2)
    kinds = ["right", "wrong"] * 20
    groups = np.repeat(np.arange(10), 4).tolist()
    sure = np.array([3.0 * (kind == "wrong") for kind in kinds])
    profiles = rng.normal(0, 1, (40, 1, 2)) + sure[:, None, None]
    found: Any = classify_signatures(profiles, kinds, groups=groups, how=FEW)
    assert found.accuracy.value > 0.8
    assert found.accuracy.p_value < 0.1


@settings(max_examples=8)
@given(st.permutations(list(range(24))))
def test_the_order_of_numbers_in_a_profile_does_not_matter(order: list[int]) -> None:
    profiles, kinds = told_apart(20, 1.0)
    wide = np.concatenate([profiles.reshape(20, 1, 6)] * 4, axis=2)
    how = replace(FEW, permutations=1, k=3, folds=3)
    first = classify_signatures(wide, kinds, how=how)
    second = classify_signatures(wide[:, :, order], kinds, how=how)
    assert first.accuracy.value == second.accuracy.value


def test_what_cannot_be_told_apart_is_refused() -> None:
    profiles, kinds = told_apart(20, 1.0)
    with pytest.raises(InvalidInput, match="20 profiles, 19 kinds"):
        classify_signatures(profiles, kinds[:-1], how=FEW)
    with pytest.raises(InvalidInput, match="one kind"):
        classify_signatures(profiles, ["a"] * 20, how=FEW)
    with pytest.raises(NotEnoughData, match="3 independent texts of kind 'b'"):
        classify_signatures(profiles, ["a"] * 17 + ["b"] * 3, how=FEW)
    with pytest.raises(NotEnoughData, match="17 neighbours of 16"):
        classify_signatures(profiles, kinds, how=replace(FEW, k=17))
    with pytest.raises(InvalidInput, match="20 profiles, 20 kinds, 3 groups"):
        classify_signatures(profiles, kinds, groups=[1, 2, 3], how=FEW)
    profiles[3, 0, 0] = np.inf
    with pytest.raises(InvalidInput, match="not finite"):
        classify_signatures(profiles, kinds, how=FEW)
    with pytest.raises(InvalidInput, match="folds is 1"):
        Neighbours(folds=1)


def judged_texts(predicted: list[str], labels: list[str], groups: Any = None) -> Any:
    """A classification whose hits are known; its other numbers are of no matter."""
    one: Any = classify_signatures(*told_apart(20, 1.0), how=FEW)
    told = {"predicted": tuple(predicted), "labels": tuple(labels), "groups": groups}
    return replace(one, **told)


def test_the_gain_over_another_classifier_counts_the_texts_that_differ() -> None:
    labels = ["a"] * 40
    one = judged_texts(["a"] * 30 + ["b"] * 10, labels)
    other = judged_texts(["b"] * 8 + ["a"] * 24 + ["b"] * 8, labels)
    gain: Any = accuracy_gain(one, other)
    interval = paired_shares_interval(8, 2, 40)
    assert gain.value == pytest.approx(6 / 40)
    assert (gain.low, gain.high) == (interval.low, interval.high)
    assert gain.recipe.settings["interval"] == "Tango score, paired"
    assert gain.recipe.settings["other"]["k"] == 5
    back: Any = accuracy_gain(other, one)
    assert (back.value, back.low) == (pytest.approx(-gain.value), -interval.high)


@pytest.mark.parametrize("grouped", [False, True])
def test_two_classifiers_that_agree_are_still_not_surely_alike(grouped: bool) -> None:
    """No text is judged otherwise: resampling would say 0 [0, 0]."""
    groups = tuple(np.repeat(np.arange(10), 2).tolist()) if grouped else None
    one = judged_texts(["a"] * 15 + ["b"] * 5, ["a"] * 20, groups)
    gain = accuracy_gain(one, one)
    interval = paired_shares_interval(0, 0, 10 if grouped else 20)
    assert gain.value == 0.0
    assert (gain.low, gain.high) == pytest.approx((interval.low, interval.high))
    assert gain.n_clusters == (10 if grouped else None)


def test_groups_that_are_all_told_leave_room_below_one() -> None:
    profiles, kinds = told_apart(40, 9.0)
    groups = [number // 4 * 2 + number % 2 for number in range(40)]
    found: Any = classify_signatures(profiles, kinds, groups=groups, how=FEW)
    assert found.accuracy.value == found.accuracy.high == 1.0
    assert found.accuracy.low == wilson_interval(20, 20).low
    assert found.accuracy_gain.low < found.accuracy_gain.high


def test_a_gain_on_groups_counts_groups_that_are_alike_within_once() -> None:
    groups = tuple(np.repeat(np.arange(10), 4).tolist())
    labels = ["a"] * 40
    one = judged_texts(["a"] * 40, labels, groups)
    other = judged_texts(["b"] * 12 + ["a"] * 28, labels, groups)
    gain: Any = accuracy_gain(one, other)
    assert gain.value == pytest.approx(0.3)
    assert gain.recipe.settings["effective_rows"] < 10
    alone = paired_shares_interval(12, 0, 40)
    assert gain.high - gain.low > 1.3 * (alone.high - alone.low)


def test_classifiers_of_other_texts_are_not_compared() -> None:
    one = judged_texts(["a", "b"], ["a", "b"])
    with pytest.raises(InvalidInput, match="2 and 3 texts"):
        accuracy_gain(one, judged_texts(["a", "b", "b"], ["a", "b", "b"]))
    with pytest.raises(InvalidInput, match="other kinds or groups"):
        accuracy_gain(one, judged_texts(["a", "b"], ["a", "b"], (0, 1)))


def test_a_gain_on_very_few_texts_has_no_interval() -> None:
    one = judged_texts(["a", "b", "a"], ["a", "b", "a"])
    gain = accuracy_gain(one, judged_texts(["b", "b", "a"], ["a", "b", "a"]))
    assert (gain.low, gain.high) == (None, None)
    assert "3 independent texts are too few" in gain.population
