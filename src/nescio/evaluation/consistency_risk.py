"""Answers of least expected loss for many questions, beside the most frequent ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nescio.calibration.means import accuracy
from nescio.calibration.paired import paired_difference
from nescio.consistency.answers import INVALID, Answers
from nescio.consistency.minimum_bayes_risk import LeastRisk, minimum_bayes_risk
from nescio.errors import InvalidInput
from nescio.evaluation.consistency_asked import Asked, Gold
from nescio.evaluation.consistency_sets import same_as_gold
from nescio.outcome import Estimate, Outcomes

__all__ = ["LeastRisks", "least_risks"]


@dataclass(frozen=True, eq=False)
class LeastRisks:
    """The answer of least expected loss of each question.

    Args:
        loss: that was minimised; the guarantee is for it and for no other.
        found: of each question; None: no sample has a valid answer.
        labels: the set that each answer is in; -1: there is none.
        accuracy: of these answers; None: no gold.
        difference: of that accuracy to that of the most frequent answers, paired;
            None: no gold.
    """

    loss: str
    found: tuple[LeastRisk | None, ...]
    labels: tuple[int, ...]
    accuracy: Estimate | None = None
    difference: Estimate | None = None


def least_risks(
    questions: Sequence[Answers],
    loss: str,
    asked: Asked,
    *,
    gold: Gold | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LeastRisks:
    """The answer of least expected loss of each question, and how often it is right.

    Args:
        questions: each with at least 2 samples.
        loss: a name of `nescio.consistency.losses.LOSSES`.
        asked: level, resamples and seed.
        gold: of every question; None: not known.
        progress: is told how many questions are done.

    Raises:
        NotEnoughData, InvalidInput: as `minimum_bayes_risk`.

    Example:
        >>> from nescio.consistency.answers import answers_of
        >>> samples = answers_of(["no"] * 4 + ["yes it is"] * 3 + ["yes it was"] * 3)
        >>> least_risks([samples], "edit", Asked()).found[0].text
        'yes it is'
    """
    # Of several the interval of each is not shown: as few resamples as will do.
    limits = asked.fewest if len(questions) > 1 else asked.limits
    found: list[LeastRisk | None] = []
    for done, answers in enumerate(questions, start=1):
        valid = answers.leader is not None
        found.append(
            minimum_bayes_risk(answers, loss=loss, **limits) if valid else None
        )
        if progress is not None:
            progress(done, len(questions))
    labels = tuple(
        INVALID if one is None else int(answers.labels[answers.texts.index(one.text)])
        for one, answers in zip(found, questions, strict=True)
    )
    made = LeastRisks(loss, tuple(found), labels)
    return made if gold is None else _judged(made, questions, gold, asked)


def _judged(
    made: LeastRisks, questions: Sequence[Answers], gold: Gold, asked: Asked
) -> LeastRisks:
    same = same_as_gold(gold.same, questions)

    def right(label: int | None, answers: Answers) -> bool:
        if label is None or label == INVALID:
            return False
        if not gold.answers.get(answers.id):
            raise InvalidInput(f"{answers.id!r:.60} has no gold answer")
        key = answers.keys[label]
        return any(bool(same(key, one)) for one in gold.answers[answers.id])

    chosen = [right(label, a) for label, a in zip(made.labels, questions, strict=True)]
    leading = [right(answers.leader, answers) for answers in questions]
    outcomes, usual = (_outcomes(side, questions, asked) for side in (chosen, leading))
    return LeastRisks(
        made.loss,
        made.found,
        made.labels,
        accuracy(outcomes, **asked.limits),
        paired_difference("accuracy", outcomes, usual, **asked.limits),
    )


def _outcomes(
    right: Sequence[bool], questions: Sequence[Answers], asked: Asked
) -> Outcomes:
    """Rows without a confidence of their own: only their verdicts count."""
    return Outcomes.of(
        np.full(len(right), 0.5),
        list(right),
        ids=[answers.id for answers in questions],
        cluster=asked.clusters_of(questions),
    )
