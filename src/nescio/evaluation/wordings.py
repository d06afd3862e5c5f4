"""One question in several wordings: do answers agree within a wording, and across?

A model that is drawn to one answer whatever is asked agrees with itself under every
wording and is no more often right for it. So two agreements are told apart: how often
two answers to the *same* wording are the same, and how often answers to *two* wordings
are. Where the wording decides nothing both estimate one number; where it does, the
second is lower. Neither is a probability of being right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.consistency.agreement import agreement
from nescio.consistency.answers import INVALID, Answers
from nescio.errors import InvalidInput
from nescio.outcome import Estimate, Recipe
from nescio.trace import Message, Prompt
from nescio.uncertainty.interval import check_request

__all__ = [
    "FIELD",
    "Wording",
    "Wordings",
    "pair_agreements",
    "worded",
    "wordings_found",
]

FIELD = "{question}"
"""What stands for the question in a wording."""

_PERMUTATIONS = 2000
_CELLS = 2**21  # of votes held at once
_SOURCES = (
    "Hoeffding (1948), a class of statistics with asymptotically normal distribution",
    "Rubin (1981), The Bayesian Bootstrap",
)
_SHARES = (
    "percentiles over shares that the votes of each wording allow (Dirichlet), with "
    "and without weight 1 for answers that were not seen"
)


@dataclass(frozen=True)
class Wording:
    """One wording, and what was answered to it.

    Args:
        text: the wording, with ``{question}`` in it.
        samples: how many answers.
        leader: the key of its leading answer; None: none is valid.
        agreement: of its own answers; None: there is one only.
    """

    text: str
    samples: int
    leader: str | None
    agreement: Estimate | None


@dataclass(frozen=True)
class Wordings:
    """Agreement within and across wordings.

    Args:
        wordings: each by itself.
        leaders: how many have the leading answer of all samples for their own.
        within: the probability that two answers to one wording, drawn anew, are the
            same, averaged over wordings; None: a wording has one answer only.
        across: the same of answers to two different wordings.
        difference: the first less the second, 0 where the wording decides nothing;
            with the probability of such a one there (samples dealt to the wordings
            anew, at random); None where ``within`` is.
    """

    wordings: tuple[Wording, ...]
    leaders: int
    within: Estimate | None
    across: Estimate
    difference: Estimate | None

    @property
    def estimates(self) -> dict[str, Estimate]:
        """Those there are, by name."""
        found = (self.within, self.across, self.difference)
        return {one.name: one for one in found if one is not None}


def worded(question: Prompt | str, wording: str) -> Prompt:
    """The question in another wording.

    Args:
        question: a text, or messages, of which the last one of the user's is worded
            anew.
        wording: a text with ``{question}`` in it.

    Raises:
        InvalidInput: a wording without the placeholder, or nothing to put into it.

    Example:
        >>> worded("7 + 5 = ?", "Be brief. {question}").text
        'Be brief. 7 + 5 = ?'
    """
    if FIELD not in wording:
        raise InvalidInput(
            f"the wording {wording!r:.80} has no {FIELD} in it: the question would not "
            "be asked"
        )
    prompt = Prompt.of(question)
    if prompt.text is not None:
        return Prompt(text=wording.replace(FIELD, prompt.text))
    turns = list(prompt.messages)
    asked = [place for place, turn in enumerate(turns) if turn.role == "user"]
    if not asked:
        raise InvalidInput("wordings need a text, or a message of the user")
    said = wording.replace(FIELD, turns[asked[-1]].content)
    turns[asked[-1]] = Message("user", said)
    return Prompt(messages=tuple(turns))


def wordings_found(
    answers: Answers,
    owner: Sequence[int],
    texts: Sequence[str],
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Wordings:
    """Agreement of one question's samples within and across its wordings.

    An answer without a valid text agrees with no other.

    Args:
        answers: all samples, sorted into sets together.
        owner: the number of the wording each came from.
        texts: the wordings, at least two, each with an answer.
        level, resamples, seed: of the intervals and the permutations.

    Raises:
        InvalidInput: one wording, one without an answer, owners of other samples.

    Example:
        >>> from nescio.consistency.answers import answers_of
        >>> found = wordings_found(answers_of(["a"] * 4 + ["b"] * 4), [0] * 4 + [1] * 4,
        ...                        ["{question}", "Say: {question}"])
        >>> found.within.value, found.across.value, found.difference.p_value < 0.05
        (1.0, 0.0, True)
    """
    check_request(level, resamples, seed)
    place = np.asarray(owner, dtype=np.int64)
    counts = _counts(answers, place, len(texts))
    each = tuple(
        _wording(_part(answers, place == number), text, level, resamples, seed=seed)
        for number, text in enumerate(texts)
    )
    lead = None if answers.leader is None else answers.keys[answers.leader]
    leaders = sum(one.leader == lead for one in each if one.leader is not None)
    settings = {
        **answers.recipe,
        "wordings": len(texts),
        "samples": len(answers),
        "sets": len(answers.keys),
        "resamples": resamples,
        "seed": seed,
    }
    how = _How(settings, level, resamples, seed)
    across = _estimate("agreement_across_wordings", counts, _across, how)
    if counts.sum(axis=1).min() < 2:
        return Wordings(each, leaders, None, across, None)
    within = _estimate("agreement_within_wordings", counts, _within, how)
    apart = _estimate("agreement_within_less_across", counts, _apart, how)
    tested = _tested(apart, counts, seed)
    return Wordings(each, leaders, within, across, tested)


def pair_agreements(
    answers: Answers, owner: Sequence[int], wordings: int
) -> tuple[float, float]:
    """The share of equal pairs within wordings and across them, without intervals.

    The first is NaN where a wording has one answer only.

    Raises:
        InvalidInput: as `wordings_found`.

    Example:
        >>> from nescio.consistency.answers import answers_of
        >>> pair_agreements(answers_of(["a", "a", "a", "b"]), [0, 0, 1, 1], 2)
        (0.5, 0.5)
    """
    place = np.asarray(owner, dtype=np.int64)
    counts = _counts(answers, place, wordings)[None].astype(np.float64)
    alone = counts.sum(axis=2).min() < 2
    within = float("nan") if alone else float(_within(counts)[0])
    return within, float(_across(counts)[0])


@dataclass(frozen=True)
class _How:
    settings: dict[str, Any]
    level: float
    resamples: int
    seed: int


def _counts(
    answers: Answers, owner: Int[np.ndarray, " n"], wordings: int
) -> Int[np.ndarray, "wordings sets_invalid"]:
    """How often each wording has each set; the last column are invalid ones."""
    if wordings < 2:
        raise InvalidInput(f"{wordings} wordings: agreement across them needs two")
    if owner.shape != (len(answers),) or owner.min() < 0 or owner.max() >= wordings:
        raise InvalidInput(
            f"owners are the number of a wording, below {wordings}, for each of the "
            f"{len(answers)} samples"
        )
    counts = np.zeros((wordings, len(answers.keys) + 1), dtype=np.int64)
    np.add.at(counts, (owner, answers.labels), 1)  # INVALID is -1: the last column
    empty = np.flatnonzero(counts.sum(axis=1) == 0)
    if len(empty):
        raise InvalidInput(f"wording {empty[0]} has no answers")
    return counts


def _part(answers: Answers, mine: np.ndarray) -> Answers:
    texts = tuple(answers.texts[row] for row in np.flatnonzero(mine).tolist())
    return Answers(texts, answers.labels[mine], answers.keys, answers.recipe)


def _wording(
    answers: Answers, text: str, level: float, resamples: int, *, seed: int
) -> Wording:
    valid = answers.labels[answers.labels != INVALID].tolist()
    votes = answers.votes
    lead = None if not valid else max(valid, key=lambda label: int(votes[label]))
    own = None
    if len(answers) > 1:
        own = agreement(answers, level=level, resamples=resamples, seed=seed)
    key = None if lead is None else answers.keys[lead]
    return Wording(text, len(answers), key, own)


def _within(counts: Float[np.ndarray, "_ _ _"]) -> Float[np.ndarray, " _"]:
    """The share of pairs of a wording's answers that are the same; unbiased."""
    n = counts.sum(axis=2)
    same = (counts[..., :-1] * (counts[..., :-1] - 1.0)).sum(axis=2)
    return (same / (n * (n - 1.0))).mean(axis=1)


def _across(counts: Float[np.ndarray, "_ _ _"]) -> Float[np.ndarray, " _"]:
    """The share of pairs of two wordings' answers that are the same; unbiased."""
    n, wordings = counts.sum(axis=2, keepdims=True), counts.shape[1]
    shares = counts[..., :-1] / n
    both = shares.sum(axis=1)
    pairs = (both**2).sum(axis=1) - (shares**2).sum(axis=(1, 2))
    return pairs / (wordings * (wordings - 1.0))


def _apart(counts: Float[np.ndarray, "_ _ _"]) -> Float[np.ndarray, " _"]:
    return _within(counts) - _across(counts)


def _estimate(name: str, counts: np.ndarray, measure: Any, how: _How) -> Estimate:
    value = float(measure(counts[None].astype(np.float64))[0])
    low, high = _limits(counts, measure, how)
    return Estimate(
        name,
        value,
        "1",
        int(counts.sum()),
        "confidence",
        f"redraws from this model with these {len(counts)} wordings",
        Recipe(name, {**how.settings, "interval": _SHARES}, _SOURCES),
        low=min(low, value),
        high=max(high, value),
        level=how.level,
    )


def _limits(counts: np.ndarray, measure: Any, how: _How) -> tuple[float, float]:
    tails = [(1.0 - how.level) / 2.0, (1.0 + how.level) / 2.0]
    found = [
        np.quantile(measure(_redrawn(counts, how, unseen)), tails)
        for unseen in (False, True)
    ]
    lowest = -1.0 if measure is _apart else 0.0
    return (
        float(np.clip(np.min(found), lowest, 1.0)),
        float(np.clip(np.max(found), lowest, 1.0)),
    )


def _redrawn(
    counts: Int[np.ndarray, "wordings sets_invalid"], how: _How, unseen: bool
) -> Float[np.ndarray, "resamples wordings sets_invalid"]:
    """Votes whose share of equal pairs is on average that of the votes given.

    Shares s ~ Dirichlet(v) have E s² = v(v + 1)/n(n + 1). The pairs of m s, that is
    (m sum s² - sum s)/(m - 1), are on average sum v(v - 1)/n(n - 1) for m = (n + 1)/2.
    """
    rng = np.random.default_rng(how.seed)
    found = np.empty((how.resamples, *counts.shape))
    for number, votes in enumerate(counts):
        n = int(votes.sum())
        weights = np.maximum(votes, 1e-9).astype(np.float64)
        weights = np.append(weights, 1.0 if unseen else 1e-9)
        shares = rng.dirichlet(weights, how.resamples)
        shares[:, -2] += shares[:, -1]  # what was not seen agrees with nothing either
        found[:, number] = shares[:, :-1] * (n + 1.0) / 2.0
    return found


def _dealt(
    counts: Int[np.ndarray, "wordings sets_invalid"], rng: np.random.Generator
) -> Float[np.ndarray, " permutations"]:
    """The difference where samples are dealt to the wordings at random."""
    wordings, sets = counts.shape
    labels = np.repeat(np.tile(np.arange(sets), wordings), counts.ravel())
    owner = np.repeat(np.arange(wordings), counts.sum(axis=1))
    at_once = max(1, _CELLS // max(len(labels), counts.size))
    found = []
    for begin in range(0, _PERMUTATIONS, at_once):
        many = min(at_once, _PERMUTATIONS - begin)
        dealt = rng.permuted(np.tile(owner, (many, 1)), axis=1)
        cells = (np.arange(many)[:, None] * wordings + dealt) * sets + labels
        votes = np.bincount(cells.ravel(), minlength=many * counts.size)
        found.append(_apart(votes.reshape(many, wordings, sets).astype(np.float64)))
    return np.concatenate(found)


def _tested(apart: Estimate, counts: np.ndarray, seed: int) -> Estimate:
    """With the probability of such a difference where the wording decides nothing."""
    values = _dealt(counts, np.random.default_rng(seed))
    reached = int((values >= (apart.value or 0.0) - 1e-12).sum())
    recipe = apart.recipe
    settings = {**recipe.settings, "permutations": _PERMUTATIONS}
    return replace(
        apart,
        null_level=float(values.mean()),
        p_value=(reached + 1) / (_PERMUTATIONS + 1),
        recipe=replace(recipe, settings=settings),
    )
