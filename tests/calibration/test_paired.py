"""Two sets of outcomes of the same items: the difference, its interval, its test."""

import itertools
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.stats import binom, kstest
from scipy.stats import t as student

from nescio.calibration import paired, ranking, scoring
from nescio.calibration.bins import UniqueValues
from nescio.calibration.measuring import Measured, estimated
from nescio.calibration.ranking import auprc_influence, auroc_influence
from nescio.calibration.risk_coverage import area_influence
from nescio.errors import InvalidInput, NotEnoughData
from nescio.outcome import Outcomes
from nescio.uncertainty import paired_shares_interval
from tests.calibration.test_scoring import answers, made

# An estimate may lack a value or limits; here they are read as numbers.
paired_difference: Any = paired.paired_difference
auprc: Any = ranking.auprc
auroc: Any = ranking.auroc
brier_score: Any = scoring.brier_score
log_loss: Any = scoring.log_loss

QUICK = {"resamples": 400}
LEAST = {"level": 0.5, "resamples": 20}
NAMES = (
    "accuracy",
    "brier_score",
    "log_loss",
    "auroc",
    "auprc",
    "prediction_rejection_ratio",
    "area_under_risk_coverage",
    "excess_area_under_risk_coverage",
)


def two_models(n=200, seed=0, worse=0.3, clusters=None):
    """Two noisy readings of one truth; the second is noisier."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(size=n)
    correct = rng.uniform(size=n) < truth
    owner = None if clusters is None else rng.integers(0, clusters, n).tolist()
    return tuple(
        Outcomes.of(
            np.clip(truth + rng.normal(0, noise, n), 0.001, 0.999),
            correct,
            cluster=owner,
        )
        for noise in (0.1, worse)
    )


def signed_gap(outcomes):
    return float(outcomes.confidence.mean() - outcomes.correct.mean())


def test_the_difference_is_of_the_first_less_the_second():
    first, second = two_models()
    found = paired_difference("brier_score", first, second, **QUICK)
    values = [brier_score(o, **QUICK).value for o in (first, second)]
    assert found.value == pytest.approx(values[0] - values[1], abs=1e-15)
    settings = found.recipe.settings
    assert [settings["first"], settings["second"]] == pytest.approx(values)
    assert settings["measure"] == "brier_score"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("clusters", [None, 40])
def test_turning_the_pair_round_turns_everything_round(name, clusters):
    first, second = two_models(seed=1, clusters=clusters)
    one = paired_difference(name, first, second, **QUICK)
    other = paired_difference(name, second, first, **QUICK)
    assert other.value == pytest.approx(-one.value, abs=1e-12)
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=1e-9)
    assert other.p_value == pytest.approx(one.p_value, abs=1e-9)
    assert one.low < one.high
    assert one.low <= one.value <= one.high
    assert one.n_clusters == (None if clusters is None else len(set(first.cluster)))


@pytest.mark.parametrize(
    "measure", [*(n for n in NAMES if n != "accuracy"), signed_gap]
)
def test_where_no_row_differs_there_is_no_interval_and_none_of_no_width(measure):
    first, _ = two_models(seed=2)
    found = paired_difference(measure, first, first, **QUICK)
    assert (found.value, found.low, found.high, found.p_value) == (0.0, None, None, 1.0)
    assert "no row moves it" in found.population


def test_equal_answers_on_some_items_need_not_be_equal_on_all():
    """0 [0, 0] would say that they are."""
    first, second = two_models(seed=2)
    found = paired_difference("accuracy", first, second, **QUICK)
    limits = paired_shares_interval(0, 0, len(first))
    assert (found.value, found.p_value) == (0.0, 1.0)
    assert (found.low, found.high) == (limits.low, limits.high)


def test_the_interval_of_accuracies_is_tangos():
    first = Outcomes.of([0.5] * 30, [1] * 8 + [0] * 3 + [1] * 19)
    second = Outcomes.of([0.5] * 30, [0] * 8 + [1] * 3 + [1] * 19)
    found = paired_difference("accuracy", first, second)
    limits = paired_shares_interval(8, 3, 30)
    assert (found.low, found.high) == (limits.low, limits.high)
    assert any("Tango" in source for source in found.recipe.sources)


def test_what_pairs_show_two_separate_intervals_hide():
    first, second = two_models(n=400, seed=3, worse=0.25)
    found = paired_difference("brier_score", first, second)
    apart = [brier_score(o) for o in (first, second)]
    assert found.high < 0
    assert found.p_value < 0.01
    assert apart[0].high > apart[1].low


def test_all_swaps_of_few_items_are_counted():
    # Accuracy of six items: four won by the first, two tied; 2 of 16 swaps are as far.
    first = Outcomes.of([0.5] * 6, [1, 1, 1, 1, 1, 0])
    second = Outcomes.of([0.5] * 6, [0, 0, 0, 0, 1, 0])
    found = paired_difference("accuracy", first, second)
    assert found.value == pytest.approx(4 / 6)
    assert found.p_value == pytest.approx(2 / 16)


def test_swaps_of_accuracy_are_the_exact_sign_test():
    rng = np.random.default_rng(4)
    right = rng.uniform(size=(2, 120)) < [[0.75], [0.6]]
    first, second = (Outcomes.of([0.5] * 120, r) for r in right)
    won, lost = (right[0] & ~right[1]).sum(), (right[1] & ~right[0]).sum()
    exact = min(1.0, 2 * binom.cdf(min(won, lost), won + lost, 0.5))
    found = paired_difference("accuracy", first, second, resamples=20_000)
    assert found.p_value == pytest.approx(exact, abs=0.005)


def test_clusters_are_swapped_whole():
    # Three clusters of two items, all won by the first: 2 of 8 swaps are as far.
    first = Outcomes.of([0.5] * 6, [1] * 6, cluster=list("aabbcc"))
    second = Outcomes.of([0.5] * 6, [0] * 6, cluster=list("aabbcc"))
    found = paired_difference("accuracy", first, second)
    assert found.p_value == pytest.approx(2 / 8)
    assert (found.value, found.low) == (1.0, None)


def delong_paired(first, second):
    """Difference and variance from the matrices of all pairs of right and wrong."""
    right, by_right, by_wrong, areas = first.correct, [], [], []
    for o in (first, second):
        above = o.confidence[right][:, None] - o.confidence[~right][None, :]
        kernel = 0.5 + 0.5 * np.sign(above)
        by_right.append(kernel.mean(axis=1))
        by_wrong.append(kernel.mean(axis=0))
        areas.append(kernel.mean())
    contrast = np.array([1.0, -1.0])
    parts = [
        contrast @ np.cov(np.stack(v)) @ contrast / len(v[0])
        for v in (by_right, by_wrong)
    ]
    counts = len(by_right[0]), len(by_wrong[0])
    return areas[0] - areas[1], parts, counts


def test_aurocs_are_compared_by_delongs_test():
    first, second = two_models(n=90, seed=5)
    gap, parts, counts = delong_paired(first, second)
    error = math.sqrt(sum(parts))
    spread = sum(p * p / (k - 1) for p, k in zip(parts, counts, strict=True))
    degrees = sum(parts) ** 2 / spread
    found = paired_difference("auroc", first, second)
    assert found.value == pytest.approx(gap, abs=1e-12)
    assert found.recipe.settings["standard_error"] == pytest.approx(error, rel=1e-10)
    expected = 2 * student.sf(abs(gap) / error, degrees)
    assert found.p_value == pytest.approx(expected, rel=1e-9)
    assert "DeLong" in found.cite()


@pytest.mark.parametrize("name", ["auroc", "auprc", "area_under_risk_coverage"])
def test_the_short_way_is_close_to_resampling_everything(name):
    first, second = two_models(n=250, seed=6)
    influence = {
        "auroc": auroc_influence,
        "auprc": auprc_influence,
        "area_under_risk_coverage": area_influence,
    }[name]
    short = paired_difference(name, first, second)

    def slow(outcomes):
        return influence(outcomes).value

    long = paired_difference(slow, first, second, **QUICK)
    assert long.value == pytest.approx(short.value, abs=1e-12)
    width = short.high - short.low
    assert long.high - long.low == pytest.approx(width, rel=0.15)
    assert long.low == pytest.approx(short.low, abs=0.15 * width)


def test_the_function_itself_is_as_good_as_its_name():
    first, second = two_models(seed=7)
    by_name = paired_difference("brier_score", first, second, **QUICK)
    by_function = paired_difference(brier_score, first, second, **QUICK)
    assert by_function == by_name
    options = partial(auprc, positive="wrong")
    found = paired_difference(options, first, second)
    expected = auprc(first, positive="wrong").value
    assert found.recipe.settings["first"] == pytest.approx(expected)
    assert found.recipe.settings["options"] == {"positive": "wrong"}


def test_any_function_of_outcomes_will_do():
    first, second = two_models(n=120, seed=8, clusters=30)

    def middle(outcomes, *, level=0.95, resamples=2000, seed=0):
        assert resamples < 100, "the interval of each resample is not needed"
        value = float(np.median(outcomes.confidence))
        return estimated(Measured("middle", value), outcomes, f"{level} {seed}")

    for measure in (middle, signed_gap, partial(middle, seed=3)):
        found = paired_difference(measure, first, second, resamples=200)
        assert found.low <= found.value <= found.high
        assert 0 < found.p_value <= 1
        assert found.n_clusters == len(set(first.cluster))
    assert found.recipe.settings["measure"] == "middle"


def test_two_recalibrations_of_the_same_rows_are_compared():
    from nescio.calibration import isotonic

    first, _ = two_models(n=600, seed=9)
    bent = Outcomes(np.sqrt(first.confidence), first.correct)
    mended = isotonic.fit(bent).apply(bent)
    found = paired_difference("brier_score", bent, mended)
    assert found.low > 0
    # Only the order counts, and it is the same but for new ties.
    assert abs(paired_difference("auroc", bent, mended).value) < 0.02


def test_items_that_are_not_the_same_are_refused():
    def o(**columns):
        return Outcomes.of([0.5, 0.6, 0.7], [1, 0, 1], **columns)

    cases = [
        (o(), Outcomes.of([0.5], [1]), "3 and 1 rows"),
        (o(ids="abc"), o(ids="abd"), r"ids\[2\] is 'c' in the first and 'd'"),
        (o(cluster="aab"), o(cluster="abb"), r"cluster\[1\]"),
        (o(cluster="aab"), o(), "only one of the two has clusters"),
        (o(weight=[1, 1, 2]), o(), "different weights"),
    ]
    for first, second, message in cases:
        with pytest.raises(InvalidInput, match=message):
            paired_difference("accuracy", first, second)
    assert paired_difference("accuracy", o(ids="abc"), o()).value == 0.0


def test_measures_that_are_none_are_refused():
    first, second = two_models(n=20, seed=10)
    cases = [
        ("brier", "none of accuracy, log_loss, brier_score"),
        (lambda _: math.nan, "gave nan, which is no number"),
        (lambda _: "high", "gave 'high', which is no number"),
        (lambda _: math.inf, "infinite"),
        (partial(auprc, first), "by name, not by place"),
    ]
    for measure, message in cases:
        with pytest.raises(InvalidInput, match=message):
            paired_difference(measure, first, second, **QUICK)


def test_an_infinite_log_loss_of_one_is_an_infinite_difference():
    good = Outcomes.of([0.9, 0.8, 0.2, 0.7, 0.6], [1, 1, 0, 1, 1])
    bad = Outcomes.of([1.0, 0.8, 0.2, 0.7, 0.6], [0, 1, 0, 1, 1])
    found = paired_difference("log_loss", bad, good)
    assert (found.value, found.low, found.p_value) == (math.inf, None, None)
    assert paired_difference("log_loss", good, bad).value == -math.inf
    with pytest.raises(InvalidInput, match="infinite for both"):
        paired_difference("log_loss", bad, bad)
    clipped = paired_difference(partial(log_loss, clip=1e-3), bad, good)
    assert clipped.recipe.settings["options"] == {"clip": 1e-3}
    assert math.isfinite(clipped.value)


def test_data_of_one_kind_are_refused_where_they_are_to_be_ranked():
    right = Outcomes.of([0.5] * 6, [1] * 6)
    with pytest.raises(NotEnoughData, match="are right"):
        paired_difference("auroc", right, right)
    found = paired_difference(
        lambda o: auroc(o).value,
        *(Outcomes.of(c, [1, 0, 0, 0, 0, 0]) for c in ([0.5] * 6, [0.6] * 6)),
        **QUICK,
    )
    assert (found.low, found.p_value) == (None, None)
    assert "not measurable on a resample" in found.population


def test_few_items_have_a_difference_and_no_interval():
    for measure in ("brier_score", "auroc", signed_gap):
        found = paired_difference(
            measure, *(Outcomes.of(c, [1, 0]) for c in ([0.9, 0.2], [0.6, 0.7]))
        )
        assert found.low is None
        assert "2 rows, fewer than 5" in found.population or "1 right" in (
            found.population
        )


def test_a_difference_that_no_row_moves_has_no_interval():
    right = [1, 1, 1, 0, 0, 0]
    perfect = Outcomes.of([0.9, 0.8, 0.7, 0.3, 0.2, 0.1], right)
    constant = Outcomes.of([0.5] * 6, right)
    found = paired_difference("auroc", perfect, constant)
    assert (found.value, found.low, found.p_value) == (0.5, None, None)


@settings(max_examples=30)
@given(answers(least=5, most=10))
def test_nothing_but_numbers_comes_out(outcomes):
    outcomes = made(outcomes)
    other = Outcomes(
        outcomes.confidence[::-1], outcomes.correct, weight=outcomes.weight
    )
    for name in ("accuracy", "brier_score"):
        found = paired_difference(name, outcomes, other, **LEAST)
        if "no row moves it" in found.population:
            assert (found.low, found.high) == (None, None)
        else:
            assert found.low < found.high
        assert 0 < found.p_value <= 1


def test_options_that_are_objects_are_written_in_words():
    first, second = two_models(n=30, seed=11)

    def measure(outcomes, *, bins):
        return float(len(bins.assign(outcomes)) > 0) + outcomes.confidence.mean()

    found = paired_difference(
        partial(measure, bins=UniqueValues()), first, second, **QUICK
    )
    assert found.recipe.settings["options"] == {"bins": {"bins": "unique values"}}
    assert found.to_dict()["recipe"]["settings"]["measure"] == "measure"


@pytest.mark.parametrize("name", ["brier_score", "auroc"])
def test_p_values_of_equal_models_are_uniform(name):
    rng, found = np.random.default_rng(12), []
    for number in range(150):
        truth = rng.uniform(size=120)
        correct = rng.uniform(size=120) < truth
        pair = (
            Outcomes.of(np.clip(truth + rng.normal(0, 0.2, 120), 0.01, 0.99), correct)
            for _ in range(2)
        )
        one = paired_difference(name, *pair, resamples=200, seed=number)
        found.append(one.p_value)
    assert kstest(found, "uniform").pvalue > 0.005
    assert 0.01 <= np.mean(np.array(found) < 0.05) <= 0.1


def test_a_mixture_of_two_mistakes_does_not_look_like_a_difference():
    # One 20 points over, one 20 points under: the same error, opposite signs.
    rng = np.random.default_rng(13)
    correct = rng.uniform(size=300) < 0.5
    over, under = (Outcomes.of(np.full(300, c), correct) for c in (0.7, 0.3))
    found = paired_difference(lambda o: abs(signed_gap(o)), over, under, **QUICK)
    assert abs(found.value) < 0.1
    assert found.low < 0 < found.high
    assert found.p_value > 0.05


def test_pairs_of_kinds_that_differ_are_compared_too():
    first, _ = two_models(seed=14)
    rng = np.random.default_rng(15)
    other = Outcomes.of(rng.uniform(size=200), rng.uniform(size=200) < 0.5)
    found = paired_difference("auroc", first, other)
    expected = auroc(first).value - auroc(other).value
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert "DeLong" not in found.cite()
    names = [paired_difference(n, first, other, **QUICK).name for n in NAMES]
    assert set(names) == {"paired_difference"}
    assert len(list(itertools.chain(names))) == len(NAMES)
