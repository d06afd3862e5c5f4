"""Questions with their samples, surveyed by hand, for the pages of consistency."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from nescio.calibration.error import expected_calibration_error
from nescio.calibration.measuring import How
from nescio.calibration.ranking import auroc
from nescio.calibration.reliability import reliability_diagram
from nescio.calibration.risk_coverage import risk_coverage_curve
from nescio.calibration.scoring import brier_score
from nescio.calibration.selective import area_under_risk_coverage
from nescio.consistency.agreement import agreement, consistency_entropy
from nescio.consistency.answers import INVALID, Answers, answers_of
from nescio.consistency.clusters import Triples
from nescio.consistency.dataset import (
    confidences_of,
    leaders_of,
    means_over_questions,
    uncertainties_of,
)
from nescio.consistency.divergence import Divergence, Parting
from nescio.consistency.similarity import similarities_of
from nescio.consistency.uncertainties import number_of_sets
from nescio.evaluation.agreement_judging import Judged
from nescio.evaluation.consistency_found import (
    AnswerSet,
    MeasureFound,
    QuestionFound,
    QuestionsFound,
)
from nescio.evaluation.sample_curve import accuracy_by_votes, sample_curve
from nescio.outcome import Estimate, Outcomes, Recipe

FEW = {"resamples": 200}


def made(name: str, value: float | None, **fields: object) -> Estimate:
    """An estimate with an interval, unless other fields are given."""
    given = {
        "unit": "1",
        "n": 20,
        "kind": "confidence",
        "population": "another set of as many samples",
        "recipe": Recipe(name, {"seed": 0}, ("Efron (1979), bootstrap",)),
    }
    if value is not None and "low" not in fields:
        given |= {"low": value - 0.1, "high": value + 0.1, "level": 0.95}
    return Estimate(name, value, **given | fields)


def sets_of(answers: Answers, gold: str | None = None) -> tuple[AnswerSet, ...]:
    """Most votes first, the samples without an answer last."""
    labels, votes = answers.labels.tolist(), answers.votes.tolist()
    order = sorted(range(len(votes)), key=lambda k: (-votes[k], k))
    order += [INVALID] * (answers.invalid > 0)
    found = []
    for label in order:
        count = labels.count(label)
        share = count / len(answers)
        limits = {"low": max(0.0, share - 0.2), "high": min(1.0, share + 0.2)}
        right = None
        if gold is not None:
            right = label != INVALID and answers.keys[label] == gold
        estimate = made("share", share, **limits, level=0.95)
        found.append(AnswerSet(label, count, estimate, labels.index(label), right))
    return tuple(found)


def parted(texts: Sequence[str], model: bool = True) -> Divergence:
    """A path with as many steps as the first text has words."""
    words, steps, left = texts[0].split(), [], len(texts)
    for k, word in enumerate(words):
        value = [0.0, 0.9, 0.2][k % 3] if left > 1 else 0.0
        limits = {"low": None, "high": None}
        if value > 0.0:
            limits = {"low": value - 0.15, "high": value + 0.3, "level": 0.95}
        estimate = made("entropy", value, unit="nats", **limits)
        branches = {word: left} if value == 0.0 else {word: left - 1, "<b>": 1}
        own = 0.1 * k if model and k % 4 else None
        steps.append(Parting(word, left, branches, estimate, own))
        left = max(1, left - (value > 0.0))
    return Divergence("word", tuple(steps), len(words))


def question(
    texts: Sequence[str], *, gold: str | None = None, id: str = "", **fields: object
) -> QuestionFound:
    """A question found by hand; ``fields`` replace what is made here."""
    answers = answers_of(texts, id=id)
    estimates = {}
    if len(texts) > 1:
        for measure in (agreement, consistency_entropy, number_of_sets):
            one = measure(answers, **FEW)
            estimates[one.name] = one
    alike = {}
    if len(texts) > 1:
        alike = {name: similarities_of(answers, by=name) for name in SIMILAR}
    sets = sets_of(answers, gold)
    given = {
        "answers": answers,
        "estimates": estimates,
        "sets": sets,
        "similarities": alike,
        "divergence": parted(texts) if texts[0].split() else None,
        "gold": () if gold is None else (gold,),
        "right": None if gold is None else sets[0].right,
        "triples": Triples(2, 40, 1140),
    }
    return QuestionFound(**given | fields)


SIMILAR = ("rouge_l", "jaccard", "exact")


def many(
    count: int = 60, n: int = 12, *, gold: bool = True, seed: int = 0, **fields: object
) -> QuestionsFound:
    """Questions of which the easier have more samples that say what is right."""
    rng = np.random.default_rng(seed)
    questions = []
    for k in range(count):
        ease = rng.beta(1.4, 1.1)
        texts = [
            "12" if rng.random() < ease else str(13 + int(rng.geometric(0.5)))
            for _ in range(n)
        ]
        texts = [text if rng.random() > 0.04 else "" for text in texts]
        questions.append(answers_of(texts, id=f"sum-{k}"))
    columns = {**confidences_of(questions), **uncertainties_of(questions)}
    leaders = leaders_of(questions)
    given: dict[str, object] = {
        "questions": tuple(questions),
        "columns": columns,
        "means": means_over_questions(questions, columns, **FEW),
        "leaders": leaders,
    }
    if gold:
        right = np.array([key == "12" for key in leaders.keys])
        given |= _judged(questions, columns, right)
    return QuestionsFound(**given | fields)


def _judged(
    questions: Sequence[Answers], columns: dict[str, np.ndarray], right: np.ndarray
) -> dict[str, object]:
    measures = {name: _measure(name, columns[name], right) for name in columns}
    rows = Outcomes(columns["agreement"], right)
    sides = [_calibration(rows), _calibration(rows)]
    change = {name: made(f"{name}_difference", -0.01, p_value=0.2) for name in sides[0]}
    gold = ["12"] * len(questions)
    return {
        "right": right,
        "accuracy": made("accuracy", float(right.mean())),
        "measures": measures,
        "calibrated": Judged(sides[0], sides[1], change),
        "curve": sample_curve(questions, gold, subsamples=2, how=How(resamples=200)),
        "votes": accuracy_by_votes(questions, gold),
    }


def _calibration(rows: Outcomes) -> dict[str, Estimate]:
    return {
        "expected_calibration_error": expected_calibration_error(rows, **FEW),
        "brier_score": brier_score(rows, **FEW),
    }


def _measure(name: str, column: np.ndarray, right: np.ndarray) -> MeasureFound:
    confidence = column.max() <= 1.0 and name in confidence_names()
    ranked = column if confidence else -column
    scaled = (ranked - ranked.min()) / max(float(np.ptp(ranked)), 1e-9)
    rows = Outcomes(column if confidence else scaled, right)
    estimates = {
        "auroc": auroc(rows),
        "area_under_risk_coverage": area_under_risk_coverage(rows, **FEW),
    }
    if confidence:
        estimates |= _calibration(rows)
    diagram = partial(reliability_diagram, rows, bins=10, **FEW)
    return MeasureFound(
        "confidence" if confidence else "uncertainty",
        estimates,
        None if name == "agreement" else made("auroc_difference", 0.02, p_value=0.3),
        diagram() if confidence else None,
        risk_coverage_curve(rows),
    )


def confidence_names() -> frozenset[str]:
    """Those whose numbers are in [0, 1] and rise with confidence."""
    return frozenset(confidences_of([answers_of(["a", "a"])]))
