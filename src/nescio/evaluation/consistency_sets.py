"""The sets of a question as a person sees them: joined, represented, right or wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from nescio.consistency.answers import INVALID, Answers, Sorting
from nescio.consistency.clusters import (
    Triples,
    answers_with_sets,
    complete_link,
    connected_components,
    non_transitive_triples,
)
from nescio.consistency.dataset import Same
from nescio.consistency.redraws import over_redraws, redrawn_limits, settings_of
from nescio.consistency.similarity import Similarities, similarities_of_all
from nescio.errors import InvalidInput
from nescio.evaluation.consistency_asked import Asked, similarity_name
from nescio.evaluation.consistency_found import AnswerSet
from nescio.outcome import Estimate, Recipe
from nescio.strings import normalised

__all__ = [
    "LONGEST",
    "Sorted",
    "answer_sets",
    "right_sets",
    "same_as_gold",
    "shortened",
    "sorted_sets",
]

LONGEST = 10_000
"""Characters of a sample that are compared; of longer ones the beginning is."""


@dataclass(frozen=True, eq=False)
class Sorted:
    """The samples of a question in the sets that are surveyed.

    Args:
        answers: in these sets.
        before: as they were given; the same where nothing was joined.
        triples: of the answers that were joined; None: nothing was.
    """

    answers: Answers
    before: Answers
    triples: Triples | None = None


def shortened(answers: Answers) -> Answers:
    """The same samples with no text, and no key, above `LONGEST` characters.

    Example:
        >>> from nescio.consistency.answers import answers_of
        >>> len(shortened(answers_of(["a" * 20_000, "b"])).texts[0])
        10000
    """
    if max(map(len, answers.texts)) <= LONGEST:
        return answers
    texts = tuple(text[:LONGEST] for text in answers.texts)
    return replace(answers, texts=texts, keys=tuple(k[:LONGEST] for k in answers.keys))


def sorted_sets(questions: Sequence[Answers], asked: Asked) -> list[Sorted]:
    """The sets of each question, those joined whose answers are similar enough.

    Compared are the answers (the keys of the sets), so what was the same before stays
    together.

    Raises:
        InvalidInput: sets that were joined are of other samples.
    """
    given = [Sorted(_as_joined(one, asked), one) for one in questions]
    if asked.threshold is None:
        return given
    there = [one.answers for one in given if one.answers.keys]
    keys = [shortened(_of_keys(answers)) for answers in there]
    compared = iter(similarities_of_all(keys, by=asked.similarities[0]))
    return [
        _joined(one, next(compared).matrix, asked) if one.answers.keys else one
        for one in given
    ]


def _as_joined(answers: Answers, asked: Asked) -> Answers:
    if asked.join is None:
        return answers
    joined = asked.join(answers)
    if joined.texts != answers.texts:
        raise InvalidInput("the sets that were joined are those of other samples")
    return joined


def _of_keys(answers: Answers) -> Answers:
    """The different answers of a question as its samples; one alone stands twice."""
    keys = answers.keys if len(answers.keys) > 1 else answers.keys * 2
    labels = np.minimum(np.arange(len(keys)), len(answers.keys) - 1)
    return Answers(keys, labels, answers.keys, Sorting().recipe, id=answers.id)


def _joined(
    given: Sorted, near: Float[np.ndarray, "sets sets"], asked: Asked
) -> Sorted:
    answers, least = given.answers, asked.threshold
    if asked.link == "complete_link":
        sets = complete_link(
            near, threshold=least, texts=answers.keys, votes=answers.votes
        )
    else:
        sets = connected_components(near, threshold=least)
    labels = np.where(answers.labels == INVALID, INVALID, sets[answers.labels])
    recipe = {
        **answers.recipe,
        "joined": {
            "similarity": similarity_name(asked.similarities[0]),
            "threshold": float(least or 0.0),
            "link": asked.link,
        },
    }
    triples = non_transitive_triples(near, threshold=least)
    joined = answers_with_sets(answers, labels, recipe=recipe)
    return Sorted(joined, given.before, triples)


def same_as_gold(same: Same | None, questions: Sequence[Answers]) -> Same:
    """What says whether an answer is a gold one.

    Raises:
        InvalidInput: none was given, and some answers are no normalised texts.
    """
    if same is not None:
        return same
    other = [q for q in questions if dict(q.recipe) != dict(Sorting().recipe)]
    if other:
        raise InvalidInput(
            f"answers sorted by {dict(other[0].recipe)} are compared with gold by the "
            "same equivalence: give it as same"
        )
    return _same_text


def _same_text(key: str, gold: str) -> bool:
    return key == normalised(gold)


def right_sets(
    found: Sorted, gold: Sequence[str], same: Same
) -> Bool[np.ndarray, " sets"]:
    """Which sets hold a gold answer.

    Args:
        found: of one question.
        gold: its right answers; empty ones are refused.
        same: whether an answer is the same as a gold one.

    Raises:
        InvalidInput: no gold answer, or an empty one.
    """
    name = found.answers.id or "the question"
    if not gold or not all(one.strip() for one in gold):
        raise InvalidInput(f"{name} has no gold answer, or an empty one")
    right = np.zeros(len(found.answers.keys), dtype=np.bool_)
    labels, before = found.answers.labels, found.before
    for old, key in enumerate(before.keys):
        if any(bool(same(key, one)) for one in gold):
            right[labels[before.labels == old]] = True
    return right


def answer_sets(
    answers: Answers,
    asked: Asked,
    alike: Similarities | None,
    right: Bool[np.ndarray, " sets"] | None,
) -> tuple[AnswerSet, ...]:
    """The sets of a question, most votes first, the samples without an answer last.

    Args:
        answers: of one question.
        asked: convention, level, resamples and seed.
        alike: its samples two by two, for who represents a set; None: the first does.
        right: which sets are right; None: no gold.
    """
    shares = _Shares(answers, asked)
    order = sorted(range(len(answers.keys)), key=lambda k: (-answers.votes[k], k))
    sets = [
        AnswerSet(
            label,
            int(answers.votes[label]),
            shares.of(int(answers.votes[label])),
            _representative(answers, label, alike),
            None if right is None else bool(right[label]),
        )
        for label in order
    ]
    if answers.invalid:
        first = int(np.flatnonzero(answers.labels == INVALID)[0])
        verdict = None if right is None else False
        share = shares.of(answers.invalid)
        sets.append(AnswerSet(INVALID, answers.invalid, share, first, verdict))
    return tuple(sets)


def _representative(answers: Answers, label: int, alike: Similarities | None) -> int:
    members = np.flatnonzero(answers.labels == label)
    if alike is None or len(members) < 3:
        return int(members[0])
    items = alike.item[members]
    near = alike.matrix[np.ix_(items, items)].sum(axis=1)
    return int(members[near.round(9).argmax()])


class _Shares:
    """Shares of all samples with intervals; equal votes are drawn once."""

    def __init__(self, answers: Answers, asked: Asked) -> None:
        self.answers, self.asked = answers, asked
        self.known: dict[int, Estimate] = {}

    def of(self, votes: int) -> Estimate:
        """The share of a set with so many votes."""
        if votes not in self.known:
            self.known[votes] = self._estimate(votes)
        return self.known[votes]

    def _estimate(self, votes: int) -> Estimate:
        answers, asked = self.answers, self.asked
        settings = settings_of(
            answers, asked.convention, resamples=asked.resamples, seed=asked.seed
        )
        estimate = Estimate(
            "answer_share",
            votes / len(answers),
            "1",
            len(answers),
            "confidence",
            "",
            Recipe("answer_share", settings),
        )
        counts = np.array([votes, len(answers) - votes], dtype=np.int64)
        limits: Callable[[], tuple[float, float]] = lambda: redrawn_limits(  # noqa: E731
            _first_share, counts, **asked.limits
        )
        return over_redraws(estimate, answers, limits, level=asked.level)


def _first_share(
    drawn: Int[np.ndarray, "draws columns"],
) -> Float[np.ndarray, " draws"]:
    return drawn[:, 0] / drawn.sum(axis=1)


def gold_keys(
    found: Sequence[Sorted], rights: Sequence[np.ndarray], leaders: Mapping[int, int]
) -> list[str]:
    """Of each question the key of a right set: the leader, or that with most votes.

    A text that is no key where no set is right.

    Args:
        found: the questions.
        rights: which sets of each are right.
        leaders: the leading set by the place of the question; absent: none.
    """
    keys = []
    for place, (one, right) in enumerate(zip(found, rights, strict=True)):
        among = np.flatnonzero(right)
        if not len(among):
            keys.append(_no_key(one.answers.keys))
            continue
        leader = leaders.get(place, INVALID)
        best = leader if leader in among else among[one.answers.votes[among].argmax()]
        keys.append(one.answers.keys[int(best)])
    return keys


def _no_key(keys: Sequence[str]) -> str:
    found = "no right answer among the samples"
    while found in keys:
        found += "."
    return found
