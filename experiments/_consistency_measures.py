"""Every measure that votes and texts allow, judged on questions with gold.

Confidences are judged as they are and after calibration by cross-validation.
Uncertainties have another unit and rise with doubt: they are turned round and brought
into [0, 1] by their least and largest value on these questions, which keeps their
order, so their AUROC is their own, and only their calibrated values are probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from _calibration_telling import LIMITS, SEED, in_table, told

from nescio import Estimate, Outcomes
from nescio.calibration import beta
from nescio.calibration.cross_validation import folds_of
from nescio.calibration.error import expected_calibration_error
from nescio.calibration.means import accuracy, mean_confidence
from nescio.calibration.paired import paired_difference
from nescio.calibration.ranking import auroc
from nescio.calibration.scoring import brier_score, log_loss
from nescio.consistency.agreement import CONFIDENCES
from nescio.consistency.answers import Answers
from nescio.consistency.dataset import confidences_of, outcomes_of, uncertainties_of
from nescio.consistency.graph import GRAPH_MEASURES, of_graph
from nescio.consistency.lexical import LEXICAL_MEASURES, of_words
from nescio.consistency.similarity import similarities_of_all
from nescio.errors import InvalidInput
from nescio.evaluation.parts import part_of

FOLDS = 10
FIRST = "agreement"
"""What every other measure is compared with."""


@dataclass(frozen=True, eq=False)
class Column:
    """A measure of every question, in [0, 1], more where samples agree more.

    Args:
        values: of each question.
        own: whether it is a confidence as it is, so that it can be called calibrated.
        note: what was done to it.
    """

    values: np.ndarray
    own: bool = True
    note: str = ""


def columns_of(
    questions: Sequence[Answers], similarities: Sequence[str] = ("exact", "edit")
) -> tuple[dict[str, Column], dict[str, str]]:
    """Every measure that votes, texts and, where there are any, logp allow.

    Also those that were refused, with the reason.
    """
    refused: dict[str, str] = {}
    found = {name: Column(values) for name, values in confidences_of(questions).items()}
    assert next(iter(found)) == FIRST
    paper = confidences_of(questions, convention="paper")
    for name in CONFIDENCES:
        if not np.array_equal(paper[name], found[name].values):
            found[f"{name}, paper"] = Column(paper[name], note="convention paper")
    for name, values in uncertainties_of(questions).items():
        found[name] = turned(values)
    for by in similarities:
        alike = similarities_of_all(questions, by=by)
        for name in GRAPH_MEASURES:
            try:
                found[f"{name}, {by}"] = turned(of_graph(name, alike))
            except InvalidInput as error:
                refused[f"{name}, {by}"] = str(error)
        for name, measure in LEXICAL_MEASURES.items():
            values = of_words(name, alike)
            up = measure.rises_with == "consistency"
            found[f"{name}, {by}"] = Column(values) if up else turned(values)
    return found, refused


def turned(values: np.ndarray) -> Column:
    """An uncertainty as a number in [0, 1] that falls where it rises."""
    low, high = float(values.min()), float(values.max())
    wide = high - low
    shown = f"1 - (u - {low:.6g}) / {wide:.6g}"
    scaled = 1.0 - (values - low) / wide if wide > 0 else np.ones_like(values)
    return Column(np.clip(scaled, 0.0, 1.0), own=False, note=shown)


def equal(one: str, other: str) -> bool:
    return one == other


def rows_of(
    questions: Sequence[Answers],
    gold: Sequence[str],
    values: np.ndarray,
    *,
    cluster: Sequence[str] | None = None,
) -> Outcomes:
    """The leading answer of each question with a confidence."""
    ids = [answers.id for answers in questions]
    right = dict(zip(ids, gold, strict=True))
    groups = None if cluster is None else dict(zip(ids, cluster, strict=True))
    return outcomes_of(questions, right, same=equal, measure=values, cluster=groups)


def calibrated(outcomes: Outcomes, clip: float, *, seed: int = SEED) -> Outcomes:
    """Each question by beta calibration fitted to the other folds.

    Args:
        outcomes: rows of one cluster are in one fold; the deal is the same for the
            same questions.
        clip: how near 0 and 1 confidences are moved to.
        seed: of the deal.
    """
    fold = folds_of(outcomes, FOLDS, seed)
    confidence = np.empty(len(outcomes))
    for number in range(FOLDS):
        inside = fold == number
        fitted = beta.fit(part_of(outcomes, np.flatnonzero(~inside)), clip=clip)
        part = part_of(outcomes, np.flatnonzero(inside))
        confidence[inside] = fitted.apply(part).confidence
    return replace(outcomes, confidence=confidence)


def cut(answers: Answers, count: int) -> Answers:
    """The first samples; sets are numbered as they appear, so the first sets stay."""
    labels = answers.labels[:count]
    columns = {
        name: None if column is None else column[:count]
        for name in ("total_logp", "token_count")
        for column in [getattr(answers, name)]
    }
    keys = answers.keys[: int(labels.max()) + 1]
    return replace(
        answers, texts=answers.texts[:count], labels=labels, keys=keys, **columns
    )


def judged(outcomes: Outcomes, *, own: bool = True) -> dict[str, Estimate]:
    """AUROC, and where it is a confidence Brier score, log loss and ECE."""
    found = {}
    if 0 < outcomes.correct.sum() < len(outcomes):
        found["auroc"] = auroc(outcomes, **LIMITS)
    if own:
        found["mean_confidence"] = mean_confidence(outcomes, **LIMITS)
        found["brier_score"] = brier_score(outcomes, **LIMITS)
        found["log_loss"] = log_loss(outcomes, **LIMITS)
        found["expected_calibration_error"] = expected_calibration_error(
            outcomes, **LIMITS
        )
    return found


def compared(first: Outcomes, second: Outcomes, *names: str) -> dict[str, Estimate]:
    """First less second on the same questions; two infinite losses have none."""
    found = {}
    for name in names:
        if name == "log_loss" and all(_infinite(one) for one in (first, second)):
            continue
        found[name] = paired_difference(name, first, second, **LIMITS)
    return found


def _infinite(outcomes: Outcomes) -> bool:
    sure = np.where(outcomes.correct, outcomes.confidence, 1.0 - outcomes.confidence)
    return bool((sure <= 0.0).any())


def measured(
    questions: Sequence[Answers],
    gold: Sequence[str],
    columns: Mapping[str, Column],
    *,
    cluster: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Every measure: as it is, calibrated, and less the first of them."""
    clip = 0.5 / min(map(len, questions))
    rows = {
        name: rows_of(questions, gold, column.values, cluster=cluster)
        for name, column in columns.items()
    }
    after = {name: calibrated(one, clip) for name, one in rows.items()}
    table: dict[str, Any] = {"accuracy": told(accuracy(rows[FIRST], **LIMITS))}
    full = list(columns)[:2]  # whose recipes stand for those of the others
    for name, column in columns.items():
        in_json = all_brief if name in full else in_table
        one: dict[str, Any] = {"note": column.note, "own": column.own}
        one["before"] = in_json(judged(rows[name], own=column.own))
        one["calibrated"] = in_json(judged(after[name]))
        one["calibrated less before"] = {}
        if column.own:
            one["calibrated less before"] = in_json(
                compared(after[name], rows[name], "brier_score", "log_loss")
            )
        if name != FIRST:
            names = ("auroc", "brier_score") if column.own else ("auroc",)
            one[f"less {FIRST}"] = in_json(compared(rows[name], rows[FIRST], *names))
            one[f"calibrated less {FIRST} calibrated"] = in_json(
                compared(after[name], after[FIRST], "brier_score", "log_loss")
            )
        table[name] = one
    return table


def all_brief(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    """Estimates with their recipes; sources, which many share, are left out."""
    found = {}
    for name, one in estimates.items():
        fields = told(replace(one, recipe=replace(one.recipe, sources=())))
        found[name] = fields
    return found
