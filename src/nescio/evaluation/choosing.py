"""Which of a question's samples is given as the answer: the majority's, or another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from nescio.consistency.answers import INVALID, Answers, Sorting
from nescio.consistency.choices import check_choice
from nescio.consistency.minimum_bayes_risk import minimum_bayes_risk
from nescio.outcome import Estimate

__all__ = ["WAYS", "Chosen", "chosen_answer", "said_in"]

WAYS: Mapping[str, str | None] = {
    "majority": None,
    "mbr:edit": "edit",
    "mbr:ngram": "ngram",
}
"""How the answer is chosen, and the loss that is least by it on average."""


@dataclass(frozen=True)
class Chosen:
    """The answer that is given.

    Args:
        text: the answer, as the sample has it.
        sample: the place of that sample.
        label: its set, in `Answers.labels`.
        way: a name of `WAYS`.
        expected_loss: of it, under the samples; None: the majority's.
        tied: how many sets have as many votes as this one, itself too.
    """

    text: str
    sample: int
    label: int
    way: str
    expected_loss: Estimate | None = None
    tied: int = 1


def chosen_answer(
    answers: Answers,
    way: str = "majority",
    *,
    sorting: Sorting | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Chosen | None:
    """The answer that is given; None where no sample has a valid one.

    Args:
        answers: of one question, at least 2 where a loss is minimised.
        way: ``majority`` (the most frequent; of tied ones that which came first, as
            its most frequent text has it), or ``mbr:edit`` and ``mbr:ngram``, the one
            whose edit distance, or share of other n-grams, to all samples is least on
            average. Losses are between answers, not whole texts.
        sorting: that the samples were sorted by, for its ``extract``.
        level, seed: of the interval of the expected loss.

    Raises:
        InvalidInput: an unknown way.

    Example:
        >>> from nescio.consistency.answers import answers_of
        >>> found = answers_of(["no", "no", "yes it is", "yes it was", "yes it has"])
        >>> chosen_answer(found).text, chosen_answer(found, "mbr:edit").text
        ('no', 'yes it was')
    """
    check_choice("way to choose", way, WAYS)
    if answers.leader is None:
        return None
    said = said_in(answers, sorting)
    loss = WAYS[way]
    if loss is None:
        place = _representative(answers, answers.leader, said)
        tied = int((answers.votes == answers.votes.max()).sum())
        return Chosen(said[place], place, answers.leader, way, tied=tied)
    texts = _kept_apart(said, answers)
    least = minimum_bayes_risk(
        replace(answers, texts=texts), loss=loss, level=level, seed=seed
    )
    place = next(
        row
        for row, text in enumerate(texts)
        if text == least.text and answers.labels[row] != INVALID
    )
    label = int(answers.labels[place])
    return Chosen(least.text, place, label, way, least.expected_loss)


def said_in(answers: Answers, sorting: Sorting | None = None) -> tuple[str, ...]:
    """The answer in every sample, without white space around it; else its whole text.

    Example:
        >>> from nescio.consistency.answers import answers_of
        >>> first = Sorting(lambda text: text.split()[0], recipe={"answer": "first"})
        >>> said_in(answers_of(["12 it is", "13 ?"], first), first)
        ('12', '13')
    """
    extract = None if sorting is None else sorting.extract
    known: dict[str, str] = {}
    for text in answers.texts:
        if text not in known:
            found = text if extract is None else extract(text)
            known[text] = (text if found is None else found).strip()
    return tuple(known[text] for text in answers.texts)


def _kept_apart(said: tuple[str, ...], answers: Answers) -> tuple[str, ...]:
    """The same, with a whole text without an answer never equal to an answer."""
    void = (answers.labels == INVALID).tolist()
    valid = {text for text, none in zip(said, void, strict=True) if not none}
    return tuple(
        f"{text}\n" if none and text in valid else text
        for text, none in zip(said, void, strict=True)
    )


def _representative(answers: Answers, label: int, said: tuple[str, ...]) -> int:
    """The first sample with the most frequent text of a set."""
    rows = np.flatnonzero(answers.labels == label).tolist()
    counts: dict[str, int] = {}
    for row in rows:
        counts[said[row]] = counts.get(said[row], 0) + 1
    best = max(counts, key=counts.__getitem__)
    return next(row for row in rows if said[row] == best)
