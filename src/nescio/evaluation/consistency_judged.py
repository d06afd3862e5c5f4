"""How well each measure tells right leading answers from wrong ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from nescio.calibration.error import expected_calibration_error
from nescio.calibration.means import accuracy, mean_confidence
from nescio.calibration.measuring import How
from nescio.calibration.paired import paired_difference
from nescio.calibration.ranking import auroc
from nescio.calibration.reliability import reliability_diagram
from nescio.calibration.scoring import brier_score, log_loss
from nescio.calibration.selective import area_under_risk_coverage
from nescio.consistency.agreement import CONFIDENCES
from nescio.consistency.answers import INVALID, Answers
from nescio.consistency.dataset import Leaders, means_over_questions
from nescio.errors import InvalidInput
from nescio.evaluation.agreement_judging import cross_judged
from nescio.evaluation.consistency_asked import Asked
from nescio.evaluation.consistency_coverage import (
    coverage_band,
    coverage_of,
    redrawn_rows,
)
from nescio.evaluation.consistency_found import MeasureFound, QuestionsFound
from nescio.evaluation.consistency_measures import kind_of_measure
from nescio.evaluation.consistency_sets import Sorted, gold_keys
from nescio.evaluation.meter import Meter
from nescio.evaluation.sample_curve import accuracy_by_votes, sample_curve
from nescio.outcome import Estimate, Outcomes

__all__ = ["PROBABILITIES", "Rows", "Steps", "doubtful", "grouped", "judged_by_gold"]

PROBABILITIES = (*CONFIDENCES, "lexical_similarity", "semantic_density")
"""Measures in [0, 1] that may be read as a probability, and are judged as one."""
_SAME = 12  # digits in which two numbers of a measure are equal
_SUBSETS = 20_000  # of samples, all questions together, at each size of the curve


class Steps:
    """Counts what is done, for whoever wants to know."""

    def __init__(
        self, total: int, progress: Callable[[int, int], None] | None = None
    ) -> None:
        self.total, self.progress, self.count = total, progress, 0

    def more(self, steps: int) -> None:
        """There is more to do than was known."""
        self.total += steps

    def done(self) -> None:
        """One step more."""
        self.count += 1
        if self.progress is not None:
            self.progress(self.count, self.total)


@dataclass(frozen=True, eq=False)
class Rows:
    """Questions with their verdicts.

    Args:
        sets: the samples of each.
        rights: which of its sets are right.
        leaders: the leading answer of each.
        asked: how.
    """

    sets: tuple[Sorted, ...]
    rights: tuple[Bool[np.ndarray, " _"], ...]
    leaders: Leaders
    asked: Asked

    @property
    def right(self) -> Bool[np.ndarray, " questions"]:
        """Whether the leading answer of each is right; one that lacks is wrong."""
        return np.array(
            [
                label != INVALID and bool(right[label])
                for label, right in zip(
                    self.leaders.labels.tolist(), self.rights, strict=True
                )
            ],
            dtype=np.bool_,
        )

    def outcomes(self, confidence: Float[np.ndarray, " questions"]) -> Outcomes:
        """A confidence for each question beside its verdict."""
        questions = [one.answers for one in self.sets]
        return Outcomes.of(
            confidence,
            self.right,
            ids=[one.id for one in questions],
            cluster=self.asked.clusters_of(questions),
        )


def judged_by_gold(found: QuestionsFound, rows: Rows, steps: Steps) -> QuestionsFound:
    """The same with all that gold tells.

    Args:
        found: measured.
        rows: its questions with their verdicts.
        steps: is told of each measure.
    """
    steps.more(len(found.columns) + 3)
    asked, right = rows.asked, rows.right
    notes = list(found.notes)
    reference = rows.outcomes(
        _sureness(found.columns[found.reference], found.reference)
    )
    if right.all() or not right.any():
        which = "right" if right.all() else "wrong"
        notes.append(
            f"all {len(right):,} leading answers are {which}: nothing tells whether a "
            "measure ranks them, so there is no AUROC and no calibrator"
        )
    measures, redrawn = {}, redrawn_rows(reference, How(**asked.limits))
    for name, column in found.columns.items():
        other = None if name == found.reference else reference
        measures[name] = _measure(name, column, rows, reference=other, redrawn=redrawn)
        steps.done()
    several = sum(int(one.sum() > 1) for one in rows.rights)
    if several:
        notes.append(
            f"in {several:,} questions more than one set is right; the curve against "
            "the number of samples counts one of them"
        )
    calibrated, why = _calibrated(found, rows)
    steps.done()
    curve, votes, lacking = _curves(found, rows)
    steps.done()
    groups = grouped(found.questions, found.columns, rows, asked)
    steps.done()
    return replace(
        found,
        right=right,
        accuracy=accuracy(reference, **asked.limits),
        measures=measures,
        calibrated=calibrated,
        curve=curve,
        votes=votes,
        groups=groups,
        notes=tuple(dict.fromkeys([*notes, *why, *lacking])),
    )


def grouped(
    questions: Sequence[Answers],
    columns: Mapping[str, Float[np.ndarray, " _"]],
    rows: Rows | None,
    asked: Asked,
) -> dict[str, dict[str, Estimate]]:
    """Of each group the mean of the reference and, with gold, the accuracy."""
    if asked.groups is None:
        return {}
    places: dict[str, list[int]] = {}
    for place, answers in enumerate(questions):
        places.setdefault(asked.groups[answers.id], []).append(place)
    found = {}
    for name, members in sorted(places.items()):
        part = [questions[place] for place in members]
        column = {asked.reference: columns[asked.reference][members]}
        found[name] = means_over_questions(
            part, column, cluster=asked.clusters, **asked.limits
        )
        if rows is not None:
            right = rows.right[members]
            found[name]["accuracy"] = accuracy(
                Outcomes.of(
                    np.full(len(right), 0.5),
                    right,
                    cluster=asked.clusters_of(part),
                ),
                **asked.limits,
            )
    return found


def doubtful(found: QuestionsFound, asked: Asked) -> tuple[str, ...]:
    """The questions that are found in full: those asked for, or the doubtful ones.

    With gold half of them are those that are surest and yet wrong.
    """
    ids = [answers.id for answers in found.questions]
    if not isinstance(asked.details, int):
        return tuple(dict.fromkeys(asked.details))
    sure = _sureness(found.columns[found.reference], found.reference)
    least = np.argsort(sure, kind="stable")
    picked: list[int] = []
    if found.right is not None:
        wrong = np.flatnonzero(~found.right)
        surest = wrong[np.argsort(-sure[wrong], kind="stable")]
        picked = surest[: asked.details // 2].tolist()
    for place in least.tolist():
        if len(picked) >= asked.details:
            break
        if place not in picked:
            picked.append(place)
    return tuple(ids[place] for place in picked)


def _sureness(column: Float[np.ndarray, " n"], name: str) -> Float[np.ndarray, " n"]:
    """Ranks from 0 to 1 in the order of falling doubt, equal where the numbers are.

    Measures that may be read as probabilities stay as they are.
    """
    if name.partition("@")[0] in PROBABILITIES:
        return np.clip(column, 0.0, 1.0)
    sign = 1.0 if kind_of_measure(name).rises_with == "confidence" else -1.0
    scale = float(np.abs(column).max(initial=0.0)) or 1.0
    rounded = np.round(sign * column / scale, _SAME) + 0.0
    values, rank = np.unique(rounded, return_inverse=True)
    return rank / max(1, len(values) - 1)


def _measure(
    name: str,
    column: Float[np.ndarray, " n"],
    rows: Rows,
    *,
    reference: Outcomes | None,
    redrawn: Float[np.ndarray, "resamples n"] | None,
) -> MeasureFound:
    how = rows.asked.limits
    outcomes = rows.outcomes(_sureness(column, name))
    ranks = 0 < int(outcomes.correct.sum()) < len(outcomes)
    estimates: dict[str, Estimate] = {}
    if ranks:
        estimates["auroc"] = auroc(outcomes, **how)
    estimates["area_under_risk_coverage"] = area_under_risk_coverage(outcomes, **how)
    diagram = None
    if name.partition("@")[0] in PROBABILITIES:
        for measure in (
            expected_calibration_error,
            brier_score,
            log_loss,
            mean_confidence,
        ):
            estimates[measure.__name__] = measure(outcomes, **how)
        diagram = reliability_diagram(outcomes, **how)
    difference = None
    if ranks and reference is not None:
        difference = paired_difference("auroc", outcomes, reference, **how)
    coverage = coverage_of(outcomes, column)
    return MeasureFound(
        kind_of_measure(name).rises_with,
        estimates,
        difference,
        diagram,
        coverage,
        coverage_band(coverage, outcomes, redrawn, how=How(**how)),
    )


def _calibrated(found: QuestionsFound, rows: Rows) -> tuple[Any, list[str]]:
    """The reference measure before and after a calibrator, cross-validated."""
    asked, right = rows.asked, rows.right
    if right.all() or not right.any():
        return None, []  # said already
    try:
        meter = Meter.of(found.questions, found.reference, asked.convention)
        outcomes = rows.outcomes(meter.confidences(found.questions))
        judged = cross_judged(
            meter,
            outcomes,
            recalibrator=asked.recalibrator,
            **asked.limits,
        )
    except InvalidInput as error:
        return None, [f"no calibrator: {error}"]
    return judged, []


def _curves(found: QuestionsFound, rows: Rows) -> tuple[tuple, tuple, list[str]]:
    """Accuracy by the number of samples, and by votes."""
    asked = rows.asked
    labels = enumerate(rows.leaders.labels.tolist())
    leaders = {place: label for place, label in labels if label != INVALID}
    keys = gold_keys(rows.sets, rows.rights, leaders)
    measure = found.reference if found.reference in CONFIDENCES else "agreement"
    subsets = max(1, min(10, _SUBSETS // len(keys)))
    cluster = asked.clusters_of(found.questions)
    try:
        curve = sample_curve(
            found.questions,
            keys,
            measure=measure,
            subsamples=subsets,
            cluster=cluster,
            how=How(**asked.limits),
        )
        votes = accuracy_by_votes(
            found.questions, keys, cluster=cluster, level=asked.level
        )
    except InvalidInput as error:
        return (), (), [f"no curve against the number of samples: {error}"]
    return curve, votes, []
