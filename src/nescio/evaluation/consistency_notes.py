"""What has to be known to read the numbers of samples."""

from __future__ import annotations

from collections.abc import Sequence

from nescio.consistency.answers import Answers
from nescio.consistency.dataset import Leaders, void_of
from nescio.evaluation.consistency_asked import Asked
from nescio.evaluation.consistency_sets import LONGEST

__all__ = ["notes_of"]


def notes_of(
    questions: Sequence[Answers], leaders: Leaders, asked: Asked
) -> tuple[str, ...]:
    """What has to be known to read the numbers: what is invalid, tied or too long.

    Args:
        questions: one, or a set of them.
        leaders: of the same.
        asked: the convention.
    """
    alone = len(questions) == 1
    void = int(void_of(questions).sum())
    invalid = sum(one.invalid for one in questions)
    samples = sum(map(len, questions))
    long = sum(len(text) > LONGEST for one in questions for text in one.texts)
    tied = int((leaders.tied > 1).sum())
    partly = asked.convention == "paper"
    notes = {
        f"{invalid:,} of {samples:,} samples have no valid answer; "
        + ("they leave the votes (paper)" if partly else "each is a vote of its own"): (
            invalid
        ),
        (
            "no sample has a valid answer"
            if alone
            else f"{void:,} of {len(questions):,} questions have no valid answer at all"
        )
        + (", which the paper's convention takes for certain" if partly else ""): void,
        (
            "the lead is tied: of tied answers that which came first leads"
            if alone
            else f"in {tied:,} of {len(questions):,} questions the lead is tied; that "
            "answer leads which came first"
        ): tied,
        f"{long:,} samples have more than {LONGEST:,} characters; their beginnings are "
        "compared": long,
    }
    return tuple(text for text, count in notes.items() if count)
