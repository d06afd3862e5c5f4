"""Log loss and the Brier score: numbers by hand, an independent library, laws."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from nescio.calibration import scoring
from nescio.calibration.measuring import How
from nescio.calibration.scoring import log_losses, squared_errors
from nescio.errors import InvalidInput
from nescio.outcome import Outcomes, Predictions

# An estimate may lack a value or limits; here they are read as numbers.
SCORES: Any = scoring.SCORES
brier_score: Any = scoring.brier_score
log_loss: Any = scoring.log_loss

QUICK = {"resamples": 200}
LEAST = {"level": 0.5, "resamples": 20}


@st.composite
def answers(draw, least=1, most=25, weighted=True):
    """The columns of outcomes that tie and saturate, as those of language models do.

    Outcomes are made of them by `made`, in the test: the annotations that tests check
    draw random numbers, which strategies may not.
    """
    n = draw(st.integers(least, most))
    grid = st.sampled_from([0.0, 0.2, 0.5, 0.5, 0.9, 1.0, 1.0])
    confidence = draw(st.lists(grid, min_size=n, max_size=n))
    correct = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    weight = None
    if weighted and draw(st.booleans()):
        whole = st.integers(1, 4)
        weight = np.array(draw(st.lists(whole, min_size=n, max_size=n)), np.float64)
    return np.array(confidence), np.array(correct), weight


def made(columns):
    """The outcomes of drawn columns."""
    confidence, correct, weight = columns
    return Outcomes(confidence, correct, weight=weight)


def random_rows(seed=0, n=400, classes=5):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(classes), n), rng.integers(0, classes, n)


def test_scores_by_hand():
    two = Outcomes.of([0.9, 0.6], [1, 0])
    assert brier_score(two).value == pytest.approx((0.01 + 0.36) / 2, abs=1e-15)
    expected = -(math.log(0.9) + math.log(0.4)) / 2
    assert log_loss(two).value == pytest.approx(expected, abs=1e-15)
    assert (log_loss(two).unit, brier_score(two).unit) == ("nats", "1")


def test_four_binary_rows_have_the_textbook_log_loss():
    found = log_loss(Outcomes.of([0.7, 0.2, 0.1, 0.9], [1, 0, 0, 1])).value
    assert found == pytest.approx(0.1976, abs=5e-5)


def test_binary_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    confidence, correct = rng.uniform(size=500), rng.uniform(size=500) < 0.6
    weight = rng.exponential(size=500)
    for given_weight in (None, weight):
        o = Outcomes.of(confidence, correct, weight=given_weight)
        brier = brier_score_loss(correct, confidence, sample_weight=given_weight)
        assert brier_score(o, **QUICK).value == pytest.approx(brier, abs=1e-12)
        nll = sklearn_log_loss(correct, confidence, sample_weight=given_weight)
        assert log_loss(o, **QUICK).value == pytest.approx(nll, abs=1e-12)


def test_multiclass_scores_are_those_of_scikit_learn():
    p, labels = random_rows()
    p /= p.sum(axis=1, keepdims=True)
    rows = Predictions.of(p, labels, "probability")
    nll = sklearn_log_loss(labels, p, labels=range(5))
    assert log_loss(rows, **QUICK).value == pytest.approx(nll, abs=1e-12)
    summed = brier_score_loss(labels, p, labels=range(5), scale_by_half=False)
    assert brier_score(rows, **QUICK).value == pytest.approx(summed, abs=1e-12)
    mean = brier_score(rows, convention="mean", **QUICK)
    assert mean.value == pytest.approx(summed / 5, abs=1e-12)
    assert mean.recipe.settings["convention"] == "mean"


def test_every_scale_of_the_same_distributions_scores_alike():
    p, labels = random_rows(seed=2, n=60)
    shifts = np.random.default_rng(3).normal(size=(60, 1)) * 300
    forms = [(p, "probability"), (np.log(p), "log-probability")]
    forms.append((np.log(p) + shifts, "logit"))
    rows = [Predictions.of(scores, labels, scale) for scores, scale in forms]
    for score in (log_losses, squared_errors):
        first = score(rows[0])
        for other in rows[1:]:
            assert score(other) == pytest.approx(first, abs=1e-11)


def test_two_answers_sum_to_twice_the_binary_score_and_average_to_it():
    confidence, correct = np.array([0.9, 0.6, 1.0]), np.array([1, 0, 1])
    both = np.stack([1 - confidence, confidence], axis=1)
    rows = Predictions.of(both, correct, "probability")
    binary = brier_score(Outcomes.of(confidence, correct)).value
    assert brier_score(rows).value == pytest.approx(2 * binary, abs=1e-15)
    mean = brier_score(rows, convention="mean").value
    assert mean == pytest.approx(binary, abs=1e-15)


def test_ragged_rows_are_each_divided_by_their_own_number_of_answers():
    rows = Predictions.of(
        [[0.5, 0.5], [0.0, 0.0, 1.0, 0.0], [1.0]], [0, 1, 0], "probability"
    )
    assert squared_errors(rows).tolist() == pytest.approx([0.5, 2.0, 0.0])
    by_row = squared_errors(rows, convention="mean").tolist()
    assert by_row == pytest.approx([0.25, 0.5, 0.0])


def test_rows_read_some_at_a_time_are_the_rows_read_at_once(monkeypatch):
    p, labels = random_rows(seed=4, n=50)
    rows = Predictions.of(p, labels, "probability")
    whole = log_losses(rows), squared_errors(rows)
    for size in (1, 7, 10, 11):
        monkeypatch.setattr("nescio.calibration.scoring._AT_ONCE", size)
        assert log_losses(rows).tolist() == whole[0].tolist()
        assert squared_errors(rows).tolist() == whole[1].tolist()


def test_a_certain_answer_that_was_wrong_costs_infinity_and_says_so():
    found = log_loss(Outcomes.of([1.0, 0.0, 0.7, 0.0] * 3, [0, 0, 1, 1] * 3))
    assert found.value == math.inf
    assert (found.low, found.high) == (None, None)
    assert found.recipe.settings["infinite_rows"] == 6
    assert "infinite on 6 of 12 rows" in found.population
    impossible = Predictions.of([[0.0, -math.inf]], [1], "logit")
    assert log_loss(impossible).value == math.inf
    assert brier_score(impossible).value == 2.0


def test_certain_answers_that_were_right_cost_nothing():
    found = log_loss(Outcomes.of([1.0, 0.0] * 5, [1, 0] * 5))
    assert (found.value, found.low, found.high) == (0.0, None, None)
    assert "no row moves it" in found.population
    assert math.copysign(1.0, found.value) == 1.0


def test_confidence_within_rounding_of_one_is_not_clipped_unless_asked():
    nearly = Outcomes.of([1.0 - 2.0**-53, 0.5], [0, 1])
    expected = (53 * math.log(2) + math.log(2)) / 2
    assert log_loss(nearly).value == pytest.approx(expected, rel=1e-14)
    assert log_loss(nearly).recipe.settings["clip"] is None
    clipped = log_loss(Outcomes.of([1.0, 0.5], [0, 1]), clip=1e-6)
    assert clipped.value == pytest.approx((-math.log(1e-6) + math.log(2)) / 2)
    assert clipped.recipe.settings["clip"] == 1e-6
    sure = log_losses(Outcomes.of([1.0], [1]), clip=0.25)
    assert sure[0] == pytest.approx(-math.log(0.75))


def test_a_clip_that_is_none_is_refused():
    for clip in (0.0, 0.5, -1.0, math.nan):
        with pytest.raises(InvalidInput, match="clip"):
            log_loss(Outcomes.of([0.5], [1]), clip=clip)


def test_rows_of_weight_zero_cost_nothing_not_even_an_infinity():
    found = log_loss(Outcomes.of([1.0, 0.5], [0, 1], weight=[0, 3]))
    assert found.value == pytest.approx(math.log(2))
    assert found.recipe.settings["infinite_rows"] == 0


def test_conventions_of_the_other_kind_of_data_are_refused():
    with pytest.raises(InvalidInput, match="'sum' is not for Outcomes"):
        brier_score(Outcomes.of([0.5], [1]), convention="sum")
    rows = Predictions.of([[0.5, 0.5]], [1], "probability")
    with pytest.raises(InvalidInput, match="'binary' is not for Predictions"):
        brier_score(rows, convention="binary")
    with pytest.raises(InvalidInput, match="carry their own clusters"):
        log_loss(Outcomes.of([0.5], [1]), cluster=["a"])


def test_one_row_has_a_value_and_no_interval():
    for score in SCORES.values():
        found = score(Outcomes.of([0.8], [1]))
        assert (found.n, found.low) == (1, None)
        assert "1 rows, fewer than 5" in found.population


def test_copies_in_one_cluster_are_no_evidence():
    rng = np.random.default_rng(5)
    confidence, correct = rng.uniform(size=40), rng.uniform(size=40) < 0.5
    copied = Outcomes.of(
        np.repeat(confidence, 5),
        np.repeat(correct, 5),
        cluster=[f"{row:02}" for row in range(40) for _ in range(5)],
    )
    alone = brier_score(Outcomes.of(confidence, correct))
    together = brier_score(copied)
    limits = pytest.approx((alone.low, alone.high), abs=1e-12)
    assert (together.low, together.high) == limits
    assert (together.n, together.n_clusters) == (200, 40)


def test_predictions_take_their_clusters_beside_them():
    p, labels = random_rows(seed=6, n=60)
    rows = Predictions.of(p, labels, "probability")
    found = log_loss(rows, cluster=np.arange(60) // 3, **QUICK)
    assert (found.n, found.n_clusters) == (60, 20)
    assert found.population == "clusters of answers like these"
    with pytest.raises(InvalidInput, match="cluster has 2 rows"):
        log_loss(rows, cluster=["a", "b"])


@settings(max_examples=30)
@given(answers(weighted=False), st.integers(2, 4), st.randoms(use_true_random=False))
def test_order_and_copies_change_no_score(outcomes, times, random):
    outcomes = made(outcomes)
    order = list(range(len(outcomes)))
    random.shuffle(order)
    for losses in (log_losses, squared_errors):
        rows = losses(outcomes)
        copied = np.repeat(order, times)
        shuffled = Outcomes(outcomes.confidence[copied], outcomes.correct[copied])
        assert losses(shuffled).mean() == pytest.approx(rows.mean(), rel=1e-12)


@settings(max_examples=30)
@given(answers())
def test_whole_weights_are_repeated_rows(outcomes):
    outcomes = made(outcomes)
    weight = np.ones(len(outcomes)) if outcomes.weight is None else outcomes.weight
    rows = np.repeat(np.arange(len(outcomes)), weight.astype(int))
    repeated = Outcomes(outcomes.confidence[rows], outcomes.correct[rows])
    for score in SCORES.values():
        expected = score(repeated, **LEAST).value
        assert score(outcomes, **LEAST).value == pytest.approx(expected, rel=1e-12)


@settings(max_examples=30)
@given(answers())
def test_a_score_lies_in_its_range_and_its_interval_around_it(outcomes):
    outcomes = made(outcomes)
    brier, nll = brier_score(outcomes, **LEAST), log_loss(outcomes, **LEAST)
    assert 0.0 <= brier.value <= 1.0
    assert nll.value >= 0.0
    for found in (brier, nll):
        if found.low is not None:
            assert 0.0 <= found.low <= found.high


def test_saying_the_truth_is_best_on_average():
    truth = 0.7
    for losses in (log_losses, squared_errors):

        def expected(said, losses=losses):
            right = losses(Outcomes.of([said], [1]))[0]
            wrong = losses(Outcomes.of([said], [0]))[0]
            return truth * right + (1 - truth) * wrong

        others = [expected(said) for said in (0.5, 0.69, 0.71, 0.9)]
        assert min(others) > expected(truth)


def test_the_settings_of_the_interval_are_checked():
    for score in SCORES.values():
        with pytest.raises(InvalidInput, match="resamples"):
            score(Outcomes.of([0.5] * 9, [1] * 9), resamples=10)
    assert How(0.9).resamples == 2000


@pytest.mark.reference_data
def test_a_published_network_has_its_published_scores(reference_data):
    folder = reference_data / "verified_calibration"
    with np.load(next(folder.glob("*.npz"))) as file:
        p, labels = file["probs"], file["labels"]
    rows = Predictions.of(p, labels.astype(np.int64), "probability")
    assert log_loss(rows, **QUICK).value == pytest.approx(0.25706, abs=5e-6)
    # Published as a mean over classes; it is the sum.
    assert brier_score(rows, **QUICK).value == pytest.approx(0.10545, abs=5e-6)


@pytest.mark.reference_data
def test_a_language_model_on_many_subjects_has_its_known_log_loss(reference_data):
    rows, labels = [], []
    for path in sorted((reference_data / "conformal_llm_mmlu").glob("*.npz")):
        with np.load(path) as file:
            for name in file.files:
                if name.endswith("__scores"):
                    rows.append(file[name].astype(np.float64).mean(axis=0))
                    labels.append(file[name.replace("__scores", "__targets")])
    found = np.concatenate(rows)
    found /= found.sum(axis=1, keepdims=True)
    predictions = Predictions.of(
        found, np.concatenate(labels).astype(np.int64), "probability"
    )
    assert len(predictions) == 2886
    assert log_loss(predictions, **QUICK).value == pytest.approx(1.2498, abs=5e-5)


@pytest.mark.parametrize("clusters", [None, 40])
def test_intervals_of_scores_hold_the_truth(clusters):
    # Calibrated and uniform: E p (1 - p) = 1/6 and 1/2 nats. In clusters of three the
    # truth is shared. A small check beside the long one in tests/verify.
    rng, sets = np.random.default_rng(20_241), 200
    held = {"brier_score": 0, "log_loss": 0}
    for number in range(sets):
        owner = np.arange(120) // (1 if clusters is None else 3)
        truth = rng.uniform(size=120)[owner]
        o = Outcomes.of(
            truth,
            rng.uniform(size=120) < truth,
            cluster=None if clusters is None else owner.tolist(),
        )
        for name, expected in (("brier_score", 1 / 6), ("log_loss", 1 / 2)):
            found = SCORES[name](o, resamples=200, seed=number)
            held[name] += found.low <= expected <= found.high
    for count in held.values():
        assert 0.91 <= count / sets <= 0.985


def test_limits_move_towards_the_long_tail_of_the_losses() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1.0, 300)
    outcomes = Outcomes.of(confidence, rng.uniform(size=300) < confidence)
    found = log_loss(outcomes)
    skewness = found.recipe.settings["skewness"]
    assert skewness > 0.5
    assert found.high - found.value > 1.05 * (found.value - found.low)
    assert "Hall (1992)" in found.cite()


def test_without_skewness_the_limits_are_students_own() -> None:
    """Half the squared errors are .04 and half .36, so their third moment is 0."""
    outcomes = Outcomes.of([0.8, 0.4] * 10, [1] * 20)
    found = brier_score(outcomes)
    step = 2.093024 * 0.16 / np.sqrt(19)  # the 97.5 % quantile at 19 degrees
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.2 - step, 0.2 + step), abs=1e-6)
