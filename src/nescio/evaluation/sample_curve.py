"""How many samples are enough, and does what agreement says carry over?

- `sample_curve`: accuracy and calibration measures against the number of samples, from
  questions that were sampled more often, by leaving samples out.
- `accuracy_by_votes`: how often the leading answer is right by how many gave it.
- `agreement_domains` and `agreement_transfer`: a calibrator fitted on one task, or one
  prompt, judged on each of the others.

Agreement across prompts of a biased model is no confidence: here that is a calibration
error that no number of prompts takes away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Int

from nescio.calibration.error import expected_calibration_error
from nescio.calibration.means import accuracy, mean_confidence
from nescio.calibration.measuring import How
from nescio.calibration.ranking import auroc
from nescio.calibration.scoring import brier_score
from nescio.consistency.agreement import CONFIDENCES, of_votes
from nescio.consistency.answers import INVALID, Answers
from nescio.consistency.votes import Votes
from nescio.errors import InvalidInput
from nescio.evaluation.agreement_probability import kind_of
from nescio.evaluation.parts import part_of
from nescio.evaluation.transfer import Domain, Transferred, transfer
from nescio.outcome import Estimate, Outcomes, Recipe
from nescio.uncertainty import wilson_interval
from nescio.uncertainty.wilson import wilson_limits

__all__ = [
    "CurvePoint",
    "VoteAccuracy",
    "accuracy_by_votes",
    "agreement_domains",
    "agreement_transfer",
    "sample_curve",
]

_LYU = ("Lyu et al. (2024), Calibrating Large Language Models with Sample Consistency",)
_WANG = ("Wang et al. (2023), Self-Consistency Improves Chain of Thought Reasoning",)


@dataclass(frozen=True)
class CurvePoint:
    """The measures at one number of samples.

    Args:
        samples: of each question.
        subsamples: how many subsets of each question were looked at.
        estimates: ``accuracy`` of the leading answer, ``mean_confidence``,
            ``brier_score``, ``expected_calibration_error``, and ``auroc`` unless all
            are right or all wrong; over questions.
    """

    samples: int
    subsamples: int
    estimates: Mapping[str, Estimate]


@dataclass(frozen=True)
class VoteAccuracy:
    """Questions whose leading answer has as many votes.

    Args:
        votes: for the leading answer.
        questions: how many there are.
        accuracy: the share whose leading answer is right, with Wilson's interval.
    """

    votes: int
    questions: int
    accuracy: Estimate


def sample_curve(  # noqa: PLR0913 - questions, subsets of them, and intervals
    questions: Sequence[Answers],
    gold: Sequence[str],
    *,
    sizes: Sequence[int] | None = None,
    measure: str = "agreement",
    subsamples: int = 10,
    cluster: Sequence[str] | None = None,
    how: How | None = None,
) -> tuple[CurvePoint, ...]:
    """Accuracy and calibration against the number of samples.

    For each size, so many samples of every question are drawn without replacement,
    several times over, in a random order; all subsets together are the rows, those of a
    question one cluster. Of tied answers that which comes first in the subset leads.
    An invalid sample is a vote of its own.

    Args:
        questions: sampled equally often, sorted the same way.
        gold: the canonical form of each question's right answer, as in `Answers.keys`.
        sizes: numbers of samples, from 2 on; None: 2, 3, 5, 10, 20, 40, ... and all.
        measure: the confidence, a name of `CONFIDENCES`.
        subsamples: of each question and size; at the full size there is but one.
        cluster: of each question, what was drawn together; None: independent.
        how: level, resamples and seed of the intervals and the subsets.

    Raises:
        InvalidInput: no questions, different numbers of samples, sizes that are not
            between 2 and that, an unknown measure, gold or clusters for other
            questions.

    Example:
        >>> from nescio.consistency.answers import answers_of
        >>> asked = [answers_of(["a"] * k + ["b"] * (6 - k)) for k in range(7)] * 5
        >>> for point in sample_curve(asked, ["a"] * 35, sizes=[2, 6]):
        ...     print(point.samples, round(point.estimates["accuracy"].value, 2))
        2 0.52
        6 0.57

    Source: Wang et al. (2023), figure 2; Lyu et al. (2024), figure 4.
    """
    how = how or How()
    n = _samples_of(questions, gold, cluster)
    if measure not in CONFIDENCES:
        raise InvalidInput(f"measure {measure!r}: one of {', '.join(CONFIDENCES)}")
    wanted = _default_sizes(n) if sizes is None else sorted(set(sizes))
    if not wanted or wanted[0] < 2 or wanted[-1] > n:
        raise InvalidInput(
            f"sizes are {list(wanted)}: numbers from 2 to {n}, the samples"
        )
    if subsamples < 1:
        raise InvalidInput(f"subsamples is {subsamples}: at least 1 of each question")
    labels = np.stack([answers.labels for answers in questions])
    right = np.array(
        [_place(answers, key) for answers, key in zip(questions, gold, strict=True)]
    )
    rng, points = np.random.default_rng(how.seed), []
    shuffled = _shuffled(labels, subsamples, rng)
    for size in wanted:
        rows = labels[None] if size == n else shuffled
        outcomes = _outcomes(rows[:, :, :size], right, measure, cluster)
        settings = {
            "measure": measure,
            "samples": size,
            "of": n,
            "subsets": len(rows),
            "subset_seed": how.seed,
        }
        points.append(CurvePoint(size, len(rows), _measures(outcomes, how, settings)))
    return tuple(points)


def accuracy_by_votes(
    questions: Sequence[Answers],
    gold: Sequence[str],
    *,
    cluster: Sequence[str] | None = None,
    level: float = 0.95,
) -> tuple[VoteAccuracy, ...]:
    """How often the leading answer is right, by how many samples gave it.

    Args:
        questions: sampled equally often; without a valid answer they have 0 votes.
        gold: the canonical form of each question's right answer, as in `Answers.keys`.
        cluster: of each question, what was drawn together: a share then rests on as
            many questions as there are clusters; None: independent.
        level: of the intervals.

    Raises:
        InvalidInput: no questions, different numbers of samples, gold or clusters for
            others.

    Example:
        >>> from nescio.consistency.answers import answers_of
        >>> asked = [answers_of(["a", "a", "b"]), answers_of(["b", "b", "b"])]
        >>> rows = accuracy_by_votes(asked, ["b", "b"])
        >>> [(row.votes, row.accuracy.value) for row in rows]
        [(2, 0.0), (3, 1.0)]

    Source: Wang et al. (2023), section 3.
    """
    n = _samples_of(questions, gold, cluster)
    found: dict[int, list[tuple[bool, str]]] = {}
    for place, (answers, key) in enumerate(zip(questions, gold, strict=True)):
        leader = answers.leader
        votes = 0 if leader is None else int(answers.votes[leader])
        right = leader is not None and answers.keys[leader] == key
        name = str(place) if cluster is None else cluster[place]
        found.setdefault(votes, []).append((right, name))
    rows = []
    for votes, members in sorted(found.items()):
        rights, names = zip(*members, strict=True)
        limits = wilson_interval(sum(rights), len(rights), level=level)
        share, units = sum(rights) / len(rights), len(set(names))
        ends = wilson_limits(share, units, level=level)
        settings = {"votes": votes, "samples": n, **limits.settings}
        estimate = Estimate(
            "accuracy",
            share,
            "1",
            len(rights),
            "confidence",
            f"questions like these whose leading answer has {votes} of {n} votes",
            Recipe("accuracy_by_votes", settings, _WANG),
            *ends,
            level,
            n_clusters=None if cluster is None else units,
        )
        rows.append(VoteAccuracy(votes, len(rights), estimate))
    return tuple(rows)


def agreement_domains(
    outcomes: Mapping[str, Outcomes], *, seed: int = 0
) -> tuple[Domain, ...]:
    """A half of each task or prompt to fit on, and one to judge on.

    The halves are dealt by question: one that several prompts ask is on the same side
    of all of them, so nothing is judged on a question it was fitted on.

    Args:
        outcomes: by task or prompt, with ids; what has one id is one question.
        seed: of the deal.

    Raises:
        InvalidInput: none, outcomes without ids, or fewer than 2 questions in one half.

    Example:
        >>> one = Outcomes.of([0.5] * 8, [1, 0] * 4, ids=range(8))
        >>> (domain,) = agreement_domains({"sums": one})
        >>> len(domain.fit), len(domain.judge)
        (4, 4)
    """
    if not outcomes:
        raise InvalidInput("no outcomes: give them by task or prompt")
    names: dict[str, None] = {}
    for task, rows in outcomes.items():
        if rows.ids is None:
            raise InvalidInput(f"the outcomes of {task} have no ids to tell questions")
        names |= dict.fromkeys(rows.ids)
    order = np.random.default_rng(seed).permutation(len(names))
    half = dict(zip(names, (order * 2 < len(names)).tolist(), strict=True))
    domains = []
    for task, rows in outcomes.items():
        first = np.array([half[name] for name in rows.ids or ()])
        parts = [np.flatnonzero(side) for side in (first, ~first)]
        if min(map(len, parts)) < 2:
            raise InvalidInput(f"{task} has too few questions to deal into halves")
        domains.append(Domain(task, *(part_of(rows, part) for part in parts)))
    return tuple(domains)


def agreement_transfer(
    outcomes: Mapping[str, Outcomes],
    *,
    samples: int,
    recalibrators: Sequence[str] = ("beta", "isotonic"),
    how: How | None = None,
) -> tuple[Transferred, ...]:
    """Agreement turned into a probability on each task or prompt, judged on every one.

    Args:
        outcomes: by task or prompt: `Meter.outcomes`, with ids.
        samples: of each question.
        recalibrators: names of `RECALIBRATORS`.
        how: level, resamples and seed of the intervals and the deal.

    Raises:
        InvalidInput: as `agreement_domains` and `nescio.evaluation.transfer.transfer`.

    Example:
        >>> rows = Outcomes.of([0.5, 1.0] * 40, [1, 0, 0, 1] * 20, ids=range(80))
        >>> found = agreement_transfer({"a": rows}, samples=4, recalibrators=["beta"])
        >>> [(row.recalibrator, row.fitted_on, row.judged_on) for row in found]
        [('none', None, 'a'), ('beta', 'a', 'a')]
    """
    how = how or How()
    fits = {}
    for name in recalibrators:
        kind = kind_of(name)
        fits[name] = partial(kind.module.fit, **kind.options(samples))
    return transfer(
        agreement_domains(outcomes, seed=how.seed),
        fits,
        level=how.level,
        resamples=how.resamples,
        seed=how.seed,
    )


def _samples_of(
    questions: Sequence[Answers], gold: Sequence[str], cluster: Sequence[str] | None
) -> int:
    if not questions:
        raise InvalidInput("no questions: there is nothing to measure")
    if len(gold) != len(questions):
        raise InvalidInput(f"{len(gold)} gold answers for {len(questions)} questions")
    if cluster is not None and len(cluster) != len(questions):
        raise InvalidInput(f"{len(cluster)} clusters for {len(questions)} questions")
    sizes = {len(answers) for answers in questions}
    if len(sizes) > 1:
        raise InvalidInput(
            f"questions have {min(sizes)} to {max(sizes)} samples; give equally many"
        )
    return sizes.pop()


def _default_sizes(n: int) -> list[int]:
    steps = [2, 3, 5]
    while steps[-1] < n:
        steps.append(2 * steps[-1])
    return sorted({size for size in steps if size < n} | {max(n, 2)})


def _place(answers: Answers, key: str) -> int:
    """Which set is right; one that no sample is in, if none."""
    return answers.keys.index(key) if key in answers.keys else len(answers.keys) + 1


def _shuffled(
    labels: Int[np.ndarray, "questions n"], subsamples: int, rng: np.random.Generator
) -> Int[np.ndarray, "subsets questions n"]:
    order = rng.random((subsamples, *labels.shape)).argsort(axis=2)
    return np.take_along_axis(np.broadcast_to(labels, order.shape), order, axis=2)


def _outcomes(
    labels: Int[np.ndarray, "subsets questions size"],
    right: Int[np.ndarray, " questions"],
    measure: str,
    cluster: Sequence[str] | None,
) -> Outcomes:
    """Every subset of every question a row, those of a question in one cluster."""
    subsets, questions, size = labels.shape
    rows = labels.reshape(-1, size)
    votes, leader = _counted(rows)
    owner = np.tile(np.arange(questions), subsets)
    correct: Bool[np.ndarray, " rows"] = ~votes.void & (leader == right[owner])
    names = None if subsets == 1 else tuple(map(str, owner.tolist()))
    if cluster is not None:
        names = tuple(cluster) * subsets
    return Outcomes(of_votes(measure, votes), correct, cluster=names)


def _counted(
    rows: Int[np.ndarray, "rows size"],
) -> tuple[Votes, Int[np.ndarray, " rows"]]:
    """The votes of each row, invalid samples one each, and who leads it."""
    count, size = rows.shape
    sets = int(rows.max()) + 1 if rows.size else 0
    width, place = max(sets, 1), np.arange(count)
    counts = np.zeros((count, width + size), dtype=np.int64)
    came = np.full((count, width), size, dtype=np.int64)
    for step in range(size - 1, -1, -1):
        label = rows[:, step]
        valid = label != INVALID
        counts[place, np.where(valid, label, width + step)] += 1
        came[place[valid], label[valid]] = step
    leader = (counts[:, :width] * (size + 1) - came).argmax(axis=1)
    void = (rows == INVALID).all(axis=1)
    most = -np.sort(-counts, axis=1)[:, :size]
    return Votes(most, np.full(count, size), void), leader


def _measures(
    outcomes: Outcomes, how: How, settings: Mapping[str, object]
) -> dict[str, Estimate]:
    limits = {"level": how.level, "resamples": how.resamples, "seed": how.seed}
    found = {
        "accuracy": accuracy(outcomes, **limits),
        "mean_confidence": mean_confidence(outcomes, **limits),
        "brier_score": brier_score(outcomes, **limits),
        "expected_calibration_error": expected_calibration_error(outcomes, **limits),
    }
    if 0 < outcomes.correct.sum() < len(outcomes):
        found["auroc"] = auroc(outcomes, **limits)
    for name, one in found.items():
        recipe = one.recipe
        marked = {**recipe.settings, "sample_curve": dict(settings)}
        sources = (*recipe.sources, *_LYU)
        found[name] = replace(
            one, recipe=Recipe(recipe.estimator, marked, sources, recipe.version)
        )
    return found
