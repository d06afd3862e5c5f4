"""What the run of consistency.py says: agreement beside the greedy answer's own worth.

Three confidences are compared on the same questions:

- ``agreement``: the share of the leading answer, as confidence in that answer;
- ``share of the greedy answer``: of the samples, as confidence in the greedy answer;
- the probability of the greedy answer, three ways: ``sequence`` (its tokens until the
  answer is settled), ``closed_sequence`` (the whole reply and its end), ``token_mean``
  (the geometric mean over the tokens of ``sequence``).

``sequence`` was named beforehand as what the question is about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from _consistency_measures import calibrated, compared

from nescio import Estimate, Outcomes
from nescio.consistency.answers import Answers, Sorting, answers_of
from nescio.evaluation import Task
from nescio.evaluation.generated import Generated, outcomes_of
from nescio.evaluation.replies import Reply
from nescio.trace import Prompt, Sample, Samples

OF_GREEDY = ("sequence", "closed_sequence", "token_mean")
MAIN = OF_GREEDY[0]
CLIP = 1e-4
"""How near 0 and 1 the probability of an answer is moved before its calibration."""


@dataclass(frozen=True, eq=False)
class Compared:
    """A task's questions with all that is compared; rows are questions.

    Args:
        questions: the samples of each.
        gold: the key of the right answer.
        own: agreement, and whether the leading answer is right.
        share: that of the greedy answer in the samples, and whether it is right.
        greedy: its probability by name, and whether it is right.
        same: whether the leading answer is the greedy one.
    """

    questions: list[Answers]
    gold: list[str]
    own: Outcomes
    share: Outcomes
    greedy: Mapping[str, Outcomes]
    same: np.ndarray


def compared_of(
    task: Task, greedy: Generated, samples: Sequence[Sequence[Reply]]
) -> Compared:
    """The confidences of a task's questions."""
    sorting = sorting_of(task)
    questions = [
        answers_of(_samples(replies), sorting, id=question.id)
        for question, replies in zip(task.questions, samples, strict=True)
    ]
    keys = [sorting.key(gold) for q in task.questions for gold in q.gold[:1]]
    leaders = [None if q.leader is None else q.keys[q.leader] for q in questions]
    said = [
        None if one.answer is None else sorting.key(one.answer)
        for one in greedy.answers
    ]
    own = outcomes_of(
        task.questions,
        [share_of(q, key) for q, key in zip(questions, leaders, strict=True)],
        [one == key for one, key in zip(leaders, keys, strict=True)],
    )
    right = [one.correct for one in greedy.answers]
    share = outcomes_of(
        task.questions,
        [share_of(q, key) for q, key in zip(questions, said, strict=True)],
        right,
    )
    return Compared(
        questions,
        keys,
        own,
        share,
        {name: greedy.outcomes(name) for name in OF_GREEDY},
        np.array(
            [a is not None and a == b for a, b in zip(leaders, said, strict=True)]
        ),
    )


def sorting_of(task: Task) -> Sorting:
    same = task.equivalence
    if not hasattr(same, "key"):
        raise TypeError("samples are sorted by an equivalence, which has a key")
    recipe = {**task.extraction.recipe(), **same.recipe()}
    return Sorting(task.extraction, same.key, recipe)


def _samples(replies: Sequence[Reply]) -> Samples:
    return Samples(
        Prompt(text=""),
        tuple(
            Sample(
                reply.text,
                draw=draw,
                total_logp=min(sum(reply.logp) + (reply.closing or 0.0), 0.0),
                token_count=max(len(reply.logp), 1),
            )
            for draw, reply in enumerate(replies)
        ),
    )


def share_of(answers: Answers, key: str | None) -> float:
    if key is None or key not in answers.keys:
        return 0.0
    return int(answers.votes[answers.keys.index(key)]) / len(answers)


def comparisons(one: Compared) -> Iterator[tuple[str, str, dict[str, Estimate]]]:
    """Agreement less the greedy answer's probability: on whose answers, which one."""
    clip = 0.5 / len(one.questions[0])
    votes = {"each on its own answer": one.own, "both on the greedy answer": one.share}
    for judged_on, rows in votes.items():
        after = calibrated(rows, clip)
        for name, other in one.greedy.items():
            fitted = calibrated(other, CLIP)
            yield (
                judged_on,
                name,
                {
                    **compared(rows, other, "auroc"),
                    **{
                        f"{measure}, calibrated": found
                        for measure, found in compared(
                            after, fitted, "brier_score", "log_loss"
                        ).items()
                    },
                },
            )
    after = calibrated(one.share, clip)
    fitted = calibrated(one.greedy[MAIN], CLIP)
    mean = replace(fitted, confidence=(after.confidence + fitted.confidence) / 2)
    found = compared(mean, fitted, "brier_score", "log_loss")
    yield (
        "the mean of both calibrated, less the greedy one calibrated",
        MAIN,
        {f"{measure}, calibrated": value for measure, value in found.items()},
    )
