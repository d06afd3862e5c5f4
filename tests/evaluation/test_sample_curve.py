"""Curves over the number of samples, accuracy by votes, and what carries over."""

from __future__ import annotations

import csv
from itertools import permutations

import numpy as np
import pytest

from nescio.calibration.error import expected_calibration_error
from nescio.calibration.measuring import How
from nescio.consistency.agreement import of_votes
from nescio.consistency.answers import answers_of
from nescio.consistency.votes import tally
from nescio.errors import InvalidInput
from nescio.evaluation.meter import Meter, right_leaders
from nescio.evaluation.sample_curve import (
    accuracy_by_votes,
    agreement_domains,
    agreement_transfer,
    sample_curve,
)
from nescio.outcome import Outcomes
from nescio.uncertainty import wilson_interval
from tests.consistency.numbers import number, numbers

QUICK = How(0.9, 200)


def drawn(n: int, samples: int, seed: int = 0) -> list:
    """Questions of three answers, "a" the usual one with a share of its own."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        share = rng.uniform(0.2, 0.95)
        p = [share, (1 - share) * 0.7, (1 - share) * 0.3]
        found.append(answers_of(rng.choice(list("abc"), samples, p=p).tolist()))
    return found


def test_at_the_full_size_it_is_the_measures_of_the_questions_themselves():
    questions = [*drawn(40, 8), answers_of([""] * 8), answers_of(["", "a"] * 4)]
    gold = ["a"] * len(questions)
    (point,) = sample_curve(questions, gold, sizes=[8], how=QUICK)
    confidence = of_votes("agreement", tally(questions))
    rows = Outcomes.of(confidence, right_leaders(questions, gold))
    expected = expected_calibration_error(rows, level=0.9, resamples=200)
    found = point.estimates["expected_calibration_error"]
    assert (found.value, found.low, found.high) == (
        expected.value,
        expected.low,
        expected.high,
    )
    assert point.estimates["accuracy"].value == rows.correct.mean()
    assert point.estimates["mean_confidence"].value == confidence.mean()
    assert point.subsamples == 1


def test_smaller_sizes_approach_the_mean_over_all_subsets():
    questions = [answers_of(texts) for texts in (["a", "b", "b", "a", ""], ["a"] * 5)]
    questions, gold = questions * 3, ["b", "a"] * 3
    right, sure = [], []
    for answers in questions[:2]:
        for texts in permutations(answers.texts, 3):
            part = answers_of(list(texts))
            key = gold[0] if answers is questions[0] else gold[1]
            right.append(right_leaders([part], [key])[0])
            sure.append(of_votes("agreement", tally([part]))[0])
    (point,) = sample_curve(questions, gold, sizes=[3], subsamples=3000, how=QUICK)
    assert point.estimates["accuracy"].value == pytest.approx(np.mean(right), abs=0.01)
    found = point.estimates["mean_confidence"].value
    assert found == pytest.approx(np.mean(sure), abs=0.01)


def test_more_samples_are_more_often_right_and_agree_less():
    questions = drawn(150, 20)
    points = sample_curve(questions, ["a"] * 150, how=QUICK)
    assert [point.samples for point in points] == [2, 3, 5, 10, 20]
    accuracy = numbers(point.estimates["accuracy"].value for point in points)
    sure = numbers(point.estimates["mean_confidence"].value for point in points)
    assert accuracy[-1] > accuracy[0] + 0.03
    assert sure == sorted(sure, reverse=True)  # the largest share is biased upwards
    for point in points[:-1]:
        assert point.estimates["accuracy"].n_clusters == 150
        assert number(point.estimates["auroc"].low) > 0.5


def test_the_interval_is_over_questions_not_over_subsets():
    questions, gold = drawn(60, 10), ["a"] * 60
    (few,) = sample_curve(questions, gold, sizes=[5], subsamples=5, how=QUICK)
    (many,) = sample_curve(questions, gold, sizes=[5], subsamples=40, how=QUICK)
    widths = [
        number(point.estimates["accuracy"].high)
        - number(point.estimates["accuracy"].low)
        for point in (few, many)
    ]
    assert widths[1] > 0.6 * widths[0]


def test_requests_that_make_no_curve_are_refused():
    questions = drawn(4, 6)
    with pytest.raises(InvalidInput, match="from 2 to 6"):
        sample_curve(questions, ["a"] * 4, sizes=[1, 3])
    with pytest.raises(InvalidInput, match="from 2 to 6"):
        sample_curve(questions, ["a"] * 4, sizes=[7])
    with pytest.raises(InvalidInput, match="'surety'"):
        sample_curve(questions, ["a"] * 4, measure="surety")
    with pytest.raises(InvalidInput, match="3 gold"):
        sample_curve(questions, ["a"] * 3)
    with pytest.raises(InvalidInput, match="6 to 7 samples"):
        sample_curve([*questions, *drawn(1, 7)], ["a"] * 5)
    with pytest.raises(InvalidInput, match="at least 1"):
        sample_curve(questions, ["a"] * 4, subsamples=0)
    with pytest.raises(InvalidInput, match="no questions"):
        accuracy_by_votes([], [])


def test_accuracy_by_votes_by_hand():
    questions = [
        answers_of(["a", "a", "b"]),
        answers_of(["b", "b", "a"]),
        answers_of(["a", "a", "a"]),
        answers_of(["", "", ""]),
    ]
    found = accuracy_by_votes(questions, ["a"] * 4)
    assert [(row.votes, row.questions) for row in found] == [(0, 1), (2, 2), (3, 1)]
    assert [row.accuracy.value for row in found] == [0.0, 0.5, 1.0]
    assert number(found[1].accuracy.low) < 0.5 < number(found[1].accuracy.high)


def test_no_question_is_on_both_sides_of_a_fit_whoever_asks_it():
    rows = Outcomes.of([0.5, 0.9] * 10, [1, 0] * 10, ids=range(20))
    other = Outcomes.of([0.5, 0.9] * 10, [1, 1] * 10, ids=range(5, 25))
    domains = agreement_domains({"one": rows, "two": other})
    fitted = {name for domain in domains for name in domain.fit.ids or ()}
    judged = {name for domain in domains for name in domain.judge.ids or ()}
    assert not fitted & judged
    assert fitted | judged == set(map(str, range(25)))
    with pytest.raises(InvalidInput, match="no ids"):
        agreement_domains({"one": Outcomes.of([0.5], [1])})
    with pytest.raises(InvalidInput, match="too few"):
        agreement_domains({"one": Outcomes.of([0.5], [1], ids=["a"])})
    with pytest.raises(InvalidInput, match="no outcomes"):
        agreement_domains({})


def biased(n: int, seed: int) -> Outcomes:
    """Ten prompts to a model drawn to one option: full agreement, two in five right."""
    rng = np.random.default_rng(seed)
    questions = [answers_of(["a"] * 9 + [rng.choice(list("ab"))]) for _ in range(n)]
    return named(questions, (rng.random(n) < 0.4).tolist(), f"b{seed}")


def honest(n: int, seed: int) -> Outcomes:
    rng = np.random.default_rng(seed)
    votes = rng.integers(5, 11, n)
    questions = [answers_of(["a"] * v + ["b"] * (10 - v)) for v in votes.tolist()]
    return named(questions, (rng.random(n) < votes / 10).tolist(), f"h{seed}")


def named(questions: list, correct: list[bool], name: str) -> Outcomes:
    rows = Meter.of(questions).outcomes(questions, correct)
    ids = tuple(f"{name} {row}" for row in range(len(rows)))
    return Outcomes.of(rows.confidence, rows.correct, ids=ids)


def test_agreement_across_prompts_of_a_biased_model_does_not_carry_over():
    tasks = {"honest": honest(600, 1), "biased": biased(600, 2)}
    rows = agreement_transfer(
        tasks, samples=10, recalibrators=["isotonic"], how=How(resamples=400)
    )
    error = {
        (row.fitted_on, row.judged_on): row.estimates["expected_calibration_error"]
        for row in rows
    }
    assert number(error[None, "biased"].value) > 0.5
    assert (
        number(error["honest", "biased"].low) > 0.3
    )  # calibrated elsewhere: no confidence
    assert number(error["biased", "biased"].value) < 0.1  # on its own kind it is
    assert number(error["honest", "honest"].value) < 0.1


@pytest.mark.reference_data
def test_ten_prompts_of_a_biased_model_agree_and_are_wrong(reference_data):
    file = reference_data / "conformal_llm_mmlu" / "llama13b_mmlu16_10prompts.npz"
    questions, gold, subject = [], [], []
    with np.load(file) as table:
        for name in sorted(key for key in table.files if key.endswith("__scores")):
            said = table[name].argmax(axis=2).T  # [questions, prompts]
            targets = table[name.replace("__scores", "__targets")]
            for row, right in zip(said.tolist(), targets.tolist(), strict=True):
                questions.append(answers_of(["ABCD"[option] for option in row]))
                gold.append("abcd"[int(right)])
                subject.append(name)
    (point,) = sample_curve(questions, gold, sizes=[10], how=How(resamples=400))
    found = point.estimates
    assert len(questions) == 2886
    assert found["mean_confidence"].value == pytest.approx(0.836, abs=5e-4)
    assert found["accuracy"].value == pytest.approx(0.410, abs=2e-3)
    assert found["expected_calibration_error"].value == pytest.approx(0.426, abs=2e-3)
    assert number(found["expected_calibration_error"].low) > 0.4


@pytest.mark.reference_data
def test_ten_weaker_models_as_samples_are_right_by_their_votes(reference_data):
    file = reference_data / "zeroeval" / "gsm8k_answers_by_model.csv"
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    models = [name for name in rows[0] if name not in ("id", "gold")]
    right = {m: sum(row[m] == row["gold"] for row in rows) for m in models}
    weaker = sorted(models, key=right.__getitem__)[:10]
    questions = [answers_of([row[model] for model in weaker]) for row in rows]
    gold = [answers_of([row["gold"]]).keys[0] for row in rows]
    found = {row.votes: row for row in accuracy_by_votes(questions, gold)}
    accuracy = {votes: number(row.accuracy.value) for votes, row in found.items()}
    assert len(questions) == 1319
    assert (found[9].questions, found[10].questions) == (279, 161)
    assert (accuracy[9], accuracy[10]) == (1.0, 1.0)
    assert accuracy[2] == pytest.approx(15 / 38)
    assert accuracy[2] < accuracy[4] < accuracy[6] < accuracy[8] < accuracy[10]


@pytest.mark.reference_data
def test_four_systems_are_right_by_their_top_votes(reference_data):
    file = reference_data / "openai_gsm" / "gsm8k_4solutions.csv"
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    columns = [name for name in rows[0] if name.endswith("_answer")]
    questions, gold = [], []
    for row in rows:
        answers = answers_of([row[name] for name in columns])
        questions.append(answers)
        said = [
            key
            for name, label in zip(columns, answers.labels, strict=True)
            for key in [answers.keys[label] if label >= 0 else None]
            if row[name.replace("_answer", "_correct")] == "1"
        ]
        gold.append(said[0] if said and said[0] is not None else "no right one")
    found = {
        row.votes: row.accuracy.value for row in accuracy_by_votes(questions, gold)
    }
    assert len(rows) == 1319
    assert found == pytest.approx({1: 0.014, 2: 0.512, 3: 0.837, 4: 0.957}, abs=5e-4)


def test_questions_that_were_drawn_together_are_one_unit_of_every_interval():
    questions = [one for one in drawn(20, 6) for _ in range(6)]
    gold, cluster = ["a"] * 120, [f"c{k // 6}" for k in range(120)]
    for size in ([3], [6]):
        (alone,) = sample_curve(questions, gold, sizes=size, how=QUICK)
        (both,) = sample_curve(questions, gold, sizes=size, cluster=cluster, how=QUICK)
        assert both.estimates["accuracy"].n_clusters == 20
        assert both.estimates["accuracy"].value == alone.estimates["accuracy"].value
        widths = [
            number(one.estimates["accuracy"].high)
            - number(one.estimates["accuracy"].low)
            for one in (alone, both)
        ]
        assert widths[1] > 1.7 * widths[0]
    rows = accuracy_by_votes(questions, gold, cluster=cluster)
    plain = accuracy_by_votes(questions, gold)
    for row, free in zip(rows, plain, strict=True):
        assert row.accuracy.n_clusters == row.questions // 6
        few = wilson_interval(
            round(number(row.accuracy.value) * row.questions / 6), row.questions // 6
        )
        assert number(row.accuracy.low) == pytest.approx(few.low)
        assert number(free.accuracy.low) > few.low or row.accuracy.value == 0
    with pytest.raises(InvalidInput, match="1 clusters for 120"):
        sample_curve(questions, gold, cluster=["x"])
