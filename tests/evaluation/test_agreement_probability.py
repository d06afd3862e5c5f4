"""From agreement to a probability: what is fitted, what is refused, what it helps."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import numpy as np
import pytest

from nescio.calibration import beta, venn_abers
from nescio.consistency.agreement import CONFIDENCES
from nescio.consistency.answers import Answers, Sorting, answers_of
from nescio.errors import InvalidInput, NotEnoughData, SchemaError
from nescio.evaluation.agreement_judging import cross_judged, judged
from nescio.evaluation.agreement_probability import (
    RECALIBRATORS,
    AgreementCalibrator,
    fit_calibrator,
    from_dict,
)
from nescio.evaluation.meter import Meter, right_leaders
from nescio.outcome import Outcomes
from tests.consistency.numbers import number

SAMPLES = 10
QUICK = {"level": 0.5, "resamples": 20}


def asked(n: int, seed: int = 0) -> tuple[list[Answers], list[bool]]:
    """Questions whose leading answer is right with the square of its share."""
    rng = np.random.default_rng(seed)
    questions, correct = [], []
    for row in range(n):
        votes = int(rng.integers(6, SAMPLES + 1))
        texts = ["a"] * votes + ["b"] * (SAMPLES - votes)
        questions.append(answers_of(rng.permutation(texts).tolist(), id=str(row)))
        correct.append(bool(rng.random() < (votes / SAMPLES) ** 2))
    return questions, correct


@pytest.fixture(scope="module")
def fitted() -> AgreementCalibrator:
    questions, correct = asked(1500)
    meter = Meter.of(questions)
    rows = meter.outcomes(questions, correct)
    return fit_calibrator(meter, rows, recalibrator="isotonic")


def test_the_probability_is_how_often_such_an_answer_is_right(fitted):
    for votes in range(6, SAMPLES + 1):
        found = fitted.probability(answers_of(["a"] * votes + ["b"] * (10 - votes)))
        assert found.value == pytest.approx((votes / SAMPLES) ** 2, abs=0.08)
        assert found.low <= found.value <= found.high
        assert found.high - found.low < 0.2
        assert found.low - 0.03 < (votes / SAMPLES) ** 2 < found.high + 0.03


@pytest.mark.parametrize("name", RECALIBRATORS)
def test_full_agreement_is_certain_with_no_recalibrator(name):
    questions, correct = asked(120, seed=3)
    correct = [
        one or len(answers.keys) == 1
        for one, answers in zip(correct, questions, strict=True)
    ]
    meter = Meter.of(questions)
    rows = meter.outcomes(questions, correct)
    found = fit_calibrator(meter, rows, recalibrator=name, **QUICK).probability(
        answers_of(["a"] * SAMPLES)
    )
    assert 0.7 < number(found.value) < 1.0
    assert found.recipe.settings["recalibrator"] == name


@pytest.mark.parametrize("measure", CONFIDENCES)
def test_every_measure_of_votes_can_be_turned_into_a_probability(measure):
    questions, correct = asked(80)
    meter = Meter.of(questions, measure)
    found = fit_calibrator(
        meter, meter.outcomes(questions, correct), recalibrator="platt", **QUICK
    )
    value, low, high = found.probabilities(questions)
    assert (low <= value).all()
    assert (value <= high).all()
    assert found.probability(questions[0]).value == value[0]


def test_the_beta_curve_is_that_of_its_own_fit():
    questions, correct = asked(200)
    meter = Meter.of(questions)
    rows = meter.outcomes(questions, correct)
    found = fit_calibrator(meter, rows, **QUICK)
    alone = beta.fit(rows, clip=0.05)
    assert found.recalibrator == alone
    assert found.apply(rows) == alone.apply(rows)


def test_a_question_without_a_valid_answer_is_never_right(fitted):
    found = fitted.probability(answers_of([""] * SAMPLES))
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_venn_abers_gives_both_probabilities_and_an_interval_around_them():
    questions, correct = asked(100)
    meter = Meter.of(questions)
    rows = meter.outcomes(questions, correct)
    found = fit_calibrator(meter, rows, recalibrator="venn_abers")
    estimate = found.probability(questions[0])
    p0, p1 = venn_abers.fit(rows).probabilities(rows)
    settings = estimate.recipe.settings
    assert (settings["p0"], settings["p1"]) == (p0[0], p1[0])
    assert estimate.low <= p0[0] < estimate.value < p1[0] <= estimate.high


def test_another_number_of_samples_and_another_sorting_are_refused(fitted):
    with pytest.raises(InvalidInput, match="has 9 samples, not 10"):
        fitted.probability(answers_of(["a"] * 9))
    other = Sorting(recipe={"answer": "last number"})
    with pytest.raises(InvalidInput, match="last number"):
        fitted.probability(answers_of(["a"] * 10, other, id="q7"))
    with pytest.raises(InvalidInput, match="q7 has 9 samples"):
        Meter.of([answers_of(["a"] * 10), answers_of(["a"] * 9, id="q7")])


def test_fits_that_tell_nothing_are_refused():
    questions, correct = asked(40)
    meter = Meter.of(questions)
    for which, all_of_them in (("right", [True] * 40), ("wrong", [False] * 40)):
        rows = meter.outcomes(questions, all_of_them)
        with pytest.raises(
            NotEnoughData, match=f"all 40 answers of the fit are {which}"
        ):
            fit_calibrator(meter, rows)
    few = meter.outcomes(questions[:2], [True, False])
    with pytest.raises(NotEnoughData, match="2 questions"):
        fit_calibrator(meter, few)
    rows = meter.outcomes(questions, correct)
    with pytest.raises(InvalidInput, match="'best' is none of beta"):
        fit_calibrator(meter, rows, recalibrator="best")
    with pytest.raises(InvalidInput, match="resamples"):
        fit_calibrator(meter, rows, resamples=20)


def test_meters_and_outcomes_that_are_none_are_refused():
    with pytest.raises(InvalidInput, match="'surety' is none of agreement"):
        Meter("surety", 10)
    with pytest.raises(InvalidInput, match="1 samples"):
        Meter("agreement", 1)
    with pytest.raises(InvalidInput, match="no questions"):
        Meter.of([])
    twice = [answers_of(["a", "b"], id="q")] * 2
    with pytest.raises(InvalidInput, match="'q' stands twice"):
        Meter.of(twice).outcomes(twice, [1, 0])


def test_gold_is_read_as_answers_are():
    lower = Sorting(key=str.lower, recipe={"equivalence": "lower case"})
    questions = [answers_of(["A", "a", "b"], lower), answers_of([" ", "", "a"], lower)]
    assert right_leaders(questions, ["a", "A"], lower) == [True, True]
    assert right_leaders([answers_of(["", ""])], ["a"]) == [False]
    with pytest.raises(InvalidInput, match="no gold"):
        right_leaders(questions, ["a", " "], lower)
    with pytest.raises(InvalidInput, match="1 gold answers for 2"):
        right_leaders(questions, ["a"], lower)
    with pytest.raises(InvalidInput, match="was sorted by"):
        right_leaders(questions, ["a", "a"])


@pytest.mark.parametrize("name", RECALIBRATORS)
def test_it_is_saved_and_read_to_the_last_bit(name):
    questions, correct = asked(60)
    meter = Meter.of(questions)
    rows = meter.outcomes(questions, correct)
    found = fit_calibrator(meter, rows, recalibrator=name, **QUICK)
    again = from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.to_dict() == found.to_dict()
    assert again.probability(questions[0]) == found.probability(questions[0])


def damaged(fields: dict, *path: str, to: object) -> dict:
    changed = copy.deepcopy(fields)
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = to
    return changed


def test_files_that_are_no_calibrators_are_refused(fitted):
    fields = fitted.to_dict()
    for bad in (
        [],
        {},
        {**fields, "more": 1},
        damaged(fields, "version", to=2),
        damaged(fields, "calibrator", to="temperature"),
        damaged(fields, "recalibrator", to=[]),
        damaged(fields, "recalibrator", "recalibrator", to="dirichlet"),
        damaged(fields, "band", "low", to=[0.5]),
        damaged(fields, "band", "low", to=[2.0] * len(fields["band"]["low"])),
        damaged(fields, "band", "confidence", to=fields["band"]["confidence"][::-1]),
        damaged(fields, "band", "level", to="high"),
        damaged(fields, "meter", "measure", to="surety"),
        damaged(fields, "meter", "samples", to="many"),
        damaged(fields, "questions", to="many"),
    ):
        with pytest.raises(SchemaError):
            from_dict(bad)


def test_the_interval_is_over_questions_and_narrows_with_more():
    def width(n: int) -> float:
        questions, correct = asked(n)
        meter = Meter.of(questions)
        rows = meter.outcomes(questions, correct)
        found = fit_calibrator(meter, rows, recalibrator="isotonic")
        estimate = found.probability(answers_of(["a"] * 8 + ["b"] * 2))
        return number(estimate.high) - number(estimate.low)

    assert width(1600) < 0.5 * width(100)


def test_clusters_are_resampled_whole():
    questions, correct = asked(30)
    meter = Meter.of(questions)
    rows = meter.outcomes(questions, correct)
    repeated = Outcomes.of(
        np.tile(rows.confidence, 20),
        np.tile(rows.correct, 20),
        cluster=[str(row) for row in range(30)] * 20,
    )
    alone, whole = (
        fit_calibrator(meter, one, recalibrator="isotonic").band
        for one in (replace(repeated, cluster=None), repeated)
    )
    assert (whole.units, alone.units) == (30, 600)
    assert (whole.high - whole.low).mean() > 2 * (alone.high - alone.low).mean()


def test_it_helps_on_questions_it_was_not_fitted_on(fitted):
    questions, correct = asked(800, seed=9)
    rows = fitted.meter.outcomes(questions, correct)
    found = judged(fitted, rows, resamples=400)
    error = found.differences["expected_calibration_error"]
    assert number(error.high) < 0.0
    assert number(found.differences["brier_score"].high) < 0.0
    assert number(found.before["expected_calibration_error"].null_level) > 0.0
    assert number(found.after["auroc"].value) <= number(found.before["auroc"].value)
    after = number(found.after["brier_score"].value) - number(
        found.before["brier_score"].value
    )
    assert found.differences["brier_score"].value == pytest.approx(after)


def test_cross_validation_shows_the_same_without_other_questions():
    questions, correct = asked(600, seed=5)
    meter = Meter.of(questions)
    found = cross_judged(
        meter, meter.outcomes(questions, correct), recalibrator="isotonic"
    )
    assert number(found.differences["brier_score"].high) < 0.0
    assert set(found.after) == set(found.before) == set(found.differences)


def test_the_intervals_of_cross_validation_are_of_the_resamples_asked_for():
    questions, correct = asked(60)
    meter = Meter.of(questions)
    rows = meter.outcomes(questions, correct)
    found = cross_judged(meter, rows, resamples=300)
    error = found.after["expected_calibration_error"]
    assert error.recipe.settings["resamples"] == 300


def test_all_right_questions_have_no_auroc(fitted):
    questions, _ = asked(20)
    found = judged(fitted, fitted.meter.outcomes(questions, [True] * 20), resamples=200)
    assert "auroc" not in found.before
    assert "auroc" not in found.differences


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("band", "units"), float("inf")),
        (("band", "units"), 0),
        (("band", "seed"), None),
        (("band", "level"), "0.95"),
        (("questions",), float("inf")),
        (("questions",), -5),
        (("meter", "samples"), 10.0),
        (("meter", "samples"), True),
        (("meter", "sorting"), [1]),
        (("meter", "measure"), {}),
    ],
)
def test_a_file_that_is_no_calibrator_is_refused_and_never_crashes(fitted, path, value):
    fields = json.loads(json.dumps(fitted.to_dict()))
    *above, last = path
    place = fields
    for name in above:
        place = place[name]
    place[last] = value
    with pytest.raises(SchemaError):
        from_dict(fields)
