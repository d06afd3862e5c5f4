"""What has to be said beside an answer, for whoever has never seen such a thing."""

from __future__ import annotations

import numpy as np

from nescio.consistency.answers import Sorting
from nescio.evaluation.choosing import Chosen
from nescio.evaluation.consistency_found import QuestionFound
from nescio.evaluation.wordings import Wordings

__all__ = ["NO_PROBABILITY", "asking_notes", "wording_notes"]

NO_PROBABILITY = (
    "agreement is no probability of being right: a model that always errs the same way "
    "agrees fully. A calibrator, fitted to questions with known answers, gives one"
)
_FEW = 10  # samples, below which the interval says little


def asking_notes(
    found: QuestionFound, chosen: Chosen | None, sorting: Sorting, *, cut: int = 0
) -> tuple[str, ...]:
    """Notes on one question's answer.

    Args:
        found: all that is known.
        chosen: the answer that is given; None: there is none.
        sorting: what an answer is.
        cut: how many samples ended by their greatest length.
    """
    answers, notes = found.answers, []
    if cut:
        notes.append(
            f"{cut} of {len(answers)} samples were cut at the greatest length; a "
            "larger one (--max-tokens) lets them end"
        )
    if chosen is None:
        notes.append(
            "nothing is sure: look at the samples, and at what is taken for the answer "
            "(--extract)"
        )
        return tuple(notes)
    if found.probability is not None and chosen.label != answers.leader:
        notes.append(
            "the probability is that of the most frequent answer, which is not the one "
            "that is given"
        )
    alone = len(answers.keys) == len(answers) - answers.invalid
    long = float(np.median([len(text) for text in answers.texts])) > 60
    if alone and len(answers) > 2 and (sorting.extract is None or long):
        notes.append(
            "no two samples have the same answer. Where answers are sentences, say "
            "which part counts (--extract first-line, last-number, choice:ABCD, …) or "
            "let a model compare them (--same judge)"
        )
    if len(answers) < _FEW:
        notes.append(
            f"{len(answers)} samples are few: the most frequent answer's share lies "
            "above its probability on average, the more so the fewer there are"
        )
    if found.probability is None:
        notes.append(NO_PROBABILITY)
    return tuple(notes)


def wording_notes(found: Wordings) -> tuple[str, ...]:
    """Notes on agreement across wordings."""
    notes = []
    apart = found.difference
    if apart is not None and apart.p_value is not None and apart.p_value < 0.05:
        notes.append(
            "the wording decides part of the answer: answers to one wording agree more "
            f"than answers to two (p = {apart.p_value:.2g})"
        )
    notes.append(
        "agreement across wordings is no confidence where the model leans to one "
        "answer whatever is asked: it then agrees with itself and errs"
    )
    return tuple(notes)
