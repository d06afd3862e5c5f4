"""What is known of questions from their samples: what a page and the command show.

Drawing computes nothing: whatever is shown stands here. `QuestionFound` is of one
question, `QuestionsFound` of many; they are made in
:mod:`nescio.evaluation.consistency_survey`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from nescio.calibration.reliability import ReliabilityDiagram
from nescio.calibration.risk_coverage import RiskCoverage
from nescio.consistency.adaptive import AdaptiveAnswers, StoppingPoint
from nescio.consistency.answers import Answers
from nescio.consistency.clusters import Triples
from nescio.consistency.dataset import Leaders
from nescio.consistency.divergence import Divergence
from nescio.consistency.similarity import Similarities
from nescio.evaluation.agreement_judging import Judged
from nescio.evaluation.sample_curve import CurvePoint, VoteAccuracy
from nescio.outcome import Estimate

__all__ = ["AnswerSet", "MeasureFound", "QuestionFound", "QuestionsFound", "RiskBand"]


@dataclass(frozen=True)
class AnswerSet:
    """One set of equal answers.

    Args:
        label: its number in `Answers.labels`; -1: the samples without a valid answer.
        votes: how many samples are in it.
        share: of all samples, with an interval over redraws.
        representative: the place of the sample that stands for it: the one most like
            the others of the set, of equal ones the first drawn.
        right: whether it is the gold answer; None: no gold.
    """

    label: int
    votes: int
    share: Estimate
    representative: int
    right: bool | None = None


@dataclass(frozen=True, eq=False)
class QuestionFound:
    """All that is known of one question.

    Args:
        answers: its samples, sorted into sets.
        estimates: of every measure that its samples allow, by name.
        sets: most votes first, the samples without a valid answer last.
        similarities: of its samples two by two, by the name of the similarity; the
            first one is shown first.
        triples: how far its sets are not transitive; None: sorted by a key, which is.
        divergence: where its samples part.
        probability: that the leading answer is right, by a calibrator; None: none was
            given.
        gold: the right answers; empty: not known.
        right: whether the leading answer is right; None: no gold.
        stop: where adaptive sampling stopped; None: a fixed number was drawn.
        notes: what has to be known to read all this.
        said: the answer in every sample as it stands there; empty: not known.
    """

    answers: Answers
    estimates: Mapping[str, Estimate]
    sets: tuple[AnswerSet, ...]
    similarities: Mapping[str, Similarities]
    triples: Triples | None = None
    divergence: Divergence | None = None
    probability: Estimate | None = None
    gold: tuple[str, ...] = ()
    right: bool | None = None
    stop: StoppingPoint | None = None
    notes: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class RiskBand:
    """How far a risk-coverage curve may be off, point by point.

    Args:
        low, high: limits of the risk at each of its points.
        level: the coverage aimed at.
    """

    low: Float[np.ndarray, " points"]
    high: Float[np.ndarray, " points"]
    level: float


@dataclass(frozen=True, eq=False)
class MeasureFound:
    """How well one measure tells right leading answers from wrong ones.

    Args:
        rises_with: ``"confidence"`` or ``"uncertainty"``.
        estimates: ``auroc`` for every measure (uncertainties turned round); for
            confidences also ``expected_calibration_error``, ``brier_score``,
            ``log_loss`` and others; ``area_under_risk_coverage``.
        difference: of its AUROC to that of the reference measure, paired on the same
            questions, with the p-value; None for the reference itself.
        diagram: reliability, with intervals and null band; None for an uncertainty.
        coverage: accuracy among the questions it is surest of.
        band: limits of that, over questions.
    """

    rises_with: str
    estimates: Mapping[str, Estimate]
    difference: Estimate | None = None
    diagram: ReliabilityDiagram | None = None
    coverage: RiskCoverage | None = None
    band: RiskBand | None = None


@dataclass(frozen=True, eq=False)
class QuestionsFound:
    """All that is known of a set of questions.

    Args:
        questions: their samples, sorted into sets.
        columns: every measure for every question, by name, each [questions].
        means: of the columns, with intervals over questions.
        leaders: the leading answer of each.
        right: whether it is right, [questions]; None: no gold.
        accuracy: of the leading answers; None: no gold.
        reference: the measure others are compared with, ``agreement`` unless asked.
        measures: how each tells right from wrong; empty: no gold.
        calibrated: of the reference measure before and after a calibrator,
            cross-validated; None: no gold or too few questions.
        probabilities: by a calibrator that was given, [questions]; None: none was.
        curve: accuracy and calibration by the number of samples; empty: no gold.
        votes: accuracy by how many samples gave the leading answer; empty: no gold.
        details: some questions in full, by id, for the page.
        notes: what has to be known to read all this.
        adaptive: what adaptive sampling would have saved; None: not asked for.
        stops: by id where a rule stopped when they were drawn; empty: none did.
        saved: the share of the samples allowed that it did not draw; None: none did.
        groups: by the name of a group the mean of the reference measure and, with
            gold, ``accuracy``; empty: there are no groups.
    """

    questions: tuple[Answers, ...]
    columns: Mapping[str, Float[np.ndarray, " _"]]
    means: Mapping[str, Estimate]
    leaders: Leaders
    right: Bool[np.ndarray, " _"] | None = None
    accuracy: Estimate | None = None
    reference: str = "agreement"
    measures: Mapping[str, MeasureFound] = field(default_factory=dict)
    calibrated: Judged | None = None
    probabilities: Float[np.ndarray, " _"] | None = None
    curve: tuple[CurvePoint, ...] = ()
    votes: tuple[VoteAccuracy, ...] = ()
    details: Mapping[str, QuestionFound] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    adaptive: AdaptiveAnswers | None = None
    stops: Mapping[str, StoppingPoint] = field(default_factory=dict)
    saved: Estimate | None = None
    groups: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
