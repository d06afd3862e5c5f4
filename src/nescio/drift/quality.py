"""Probability and quality: is what a model finds typical also what people like?

A string y has the information I(y) = -log p(y); the model's strings have H of it on
average. People tend to like strings whose information is near H, neither the most
probable nor the least: ε(y) = |I(y) - H|. H is estimated from the model's own samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.drift.settings import is_plain
from nescio.errors import InvalidInput, NotEnoughData
from nescio.outcome import Estimate, Recipe
from nescio.trace import Sample, Samples
from nescio.uncertainty import MINIMUM_UNITS, bootstrap_rows, bootstrap_weights

__all__ = ["Typicality", "probability_quality", "string_entropy", "typicality"]

_PARADOX = "Meister, Wiher, Pimentel & Cotterell (2022), probability-quality paradox"
_LOCAL = "Meister, Pimentel, Wiher & Cotterell (2023), locally typical sampling"
_SPEARMAN = "Spearman (1904)"


@dataclass(frozen=True)
class Typicality:
    """How typical one answer is of what the model writes; nats, 0 is most typical.

    Args:
        information: I(y) = -log p(y) of the whole answer.
        entropy: H, the mean information of the model's own answers to this prompt.
        gap: |I(y) - H|.
        token_gap: mean |surprisal - entropy| of its tokens; None without a trace.
    """

    information: float
    entropy: float
    gap: float
    token_gap: float | None


def string_entropy(
    own: Samples, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Estimate:
    """H: the entropy of the model's answers to a prompt, from its own samples.

    The mean of -log p over answers drawn from the model as it is; unbiased.

    Args:
        own: answers drawn at temperature 1 without truncation, with ``total_logp``.
        level, resamples, seed: of the interval over draws; none below 5 of them.

    Returns:
        Nats an answer.

    Raises:
        InvalidInput: an answer without its log-probability, or drawn otherwise.

    Example:
        >>> import nescio
        >>> own = nescio.sample(nescio.load("table:coin"), "H", n=5,
        ...                     decoding=nescio.Decoding(3))
        >>> float(round(string_entropy(own).value / np.log(2), 6))
        3.0

    Source: Meister et al. (2022), section 3.
    """
    _check_own(own)
    information = _information(own)
    low = high = None
    population = f"draws of the model; no interval below {MINIMUM_UNITS} of them"
    if len(own) >= MINIMUM_UNITS:
        found = bootstrap_rows(
            information[:, None], level=level, resamples=resamples, seed=seed
        )
        low, high, population = found.low, found.high, "draws of the model"
    settings = {"interval": "bootstrap over draws", "resamples": resamples}
    return Estimate(
        "string_entropy",
        float(information.mean()),
        "nats",
        len(own),
        "confidence",
        population,
        Recipe("string_entropy", settings | {"seed": seed}, (_PARADOX,)),
        low,
        high,
        None if low is None else level,
    )


def typicality(
    answers: Samples, *, own: Samples | None = None
) -> tuple[Typicality, ...]:
    """How typical each answer is.

    Args:
        answers: with ``total_logp``; with traces for the typicality of tokens.
        own: the model's own answers to the same prompt, which give H; None: the
            answers themselves are, and each is held against the others.

    Raises:
        InvalidInput: an answer without its log-probability, or own answers that were
            not drawn from the model as it is.
        NotEnoughData: a single answer that is to be held against the others.

    Example:
        >>> import nescio
        >>> own = nescio.sample(nescio.load("table:coin"), "H", n=5,
        ...                     decoding=nescio.Decoding(3))
        >>> round(typicality(own)[0].gap, 6)
        0.0

    Source: Meister et al. (2022), equation 5; Meister et al. (2023) for tokens.
    """
    _check_own(answers if own is None else own)
    information = _information(answers)
    if own is not None:
        entropies = np.full(len(information), _information(own).mean())
    elif len(information) < 2:
        raise NotEnoughData("one answer has no others to be typical of: draw more")
    else:
        others = len(information) - 1
        entropies = (information.sum() - information) / others
    return tuple(
        Typicality(float(i), float(h), abs(float(i) - float(h)), _token_gap(answer))
        for i, h, answer in zip(information, entropies, answers.answers, strict=True)
    )


def probability_quality(
    questions: Sequence[Samples],
    *,
    ratings: Sequence[Sequence[float | int]] | None = None,
    own: Sequence[Samples] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """How far answers are from typical, and whether ratings follow it.

    Args:
        questions: answers to each, as for `typicality`.
        ratings: of each answer, larger is better.
        own: the model's own answers to each question, or None.
        level, resamples, seed: of intervals over questions, or over answers if there
            is one question; none below 5.

    Returns:
        ``typicality_gap`` in nats an answer and, with traces, ``token_typicality_gap``
        in nats a token; with ratings Spearman's correlation of the rating with -gap
        and with log p, over all answers (``rating_by_typicality``,
        ``rating_by_probability``) and as the mean within questions (``…_within``).

    Raises:
        InvalidInput: as `typicality`; ratings for other answers, or not finite.
        NotEnoughData: ratings that are all the same; as `typicality`.

    Source: Meister et al. (2022); Spearman (1904).
    """
    if isinstance(questions, Samples) or not questions:
        raise InvalidInput("give a list of the answers to each question, at least one")
    if own is not None and len(own) != len(questions):
        raise InvalidInput(f"own answers to {len(own)} of {len(questions)} questions")
    found = [
        typicality(answers, own=None if own is None else own[number])
        for number, answers in enumerate(questions)
    ]
    owner = np.repeat(np.arange(len(found)), [len(one) for one in found])
    flat = [one for group in found for one in group]
    how = _How(owner, level, resamples, seed)
    gaps = np.array([one.gap for one in flat])
    result = {"typicality_gap": _mean("typicality_gap", gaps, "nats", how)}
    of_tokens = [one.token_gap for one in flat if one.token_gap is not None]
    if len(of_tokens) == len(flat):
        name = "token_typicality_gap"
        result[name] = _mean(name, np.array(of_tokens), "nats/token", how)
    if ratings is None:
        return result
    rated = _ratings(ratings, found)
    measures = {
        "rating_by_typicality": -gaps,
        "rating_by_probability": -np.array([one.information for one in flat]),
    }
    for name, values in measures.items():
        result[name] = _correlation(name, values, rated, how)
        if (within := _within(f"{name}_within", values, rated, how)) is not None:
            result[within.name] = within
    return result


@dataclass(frozen=True, eq=False)
class _How:
    """The question of each answer, and how intervals are found."""

    owner: np.ndarray
    level: float
    resamples: int
    seed: int

    @property
    def clusters(self) -> np.ndarray | None:
        return self.owner if self.owner[-1] else None

    @property
    def units(self) -> int:
        return int(self.owner[-1]) + 1 if self.owner[-1] else len(self.owner)

    def estimate(
        self, name: str, value: float, unit: str, statistic: Any, *, sources: Any
    ) -> Estimate:
        """The value, with an interval if there are units enough and it has one."""
        limits: tuple[float | None, float | None] = (None, None)
        kind = "questions" if self.clusters is not None else "answers to this question"
        why = f"{kind} like these"
        if self.units < MINIMUM_UNITS:
            why += f"; no interval below {MINIMUM_UNITS} of them"
        else:
            try:
                found = bootstrap_weights(
                    len(self.owner),
                    statistic,
                    clusters=self.clusters,
                    level=self.level,
                    resamples=self.resamples,
                    seed=self.seed,
                )
                limits = (found.low, found.high)
            except NotEnoughData:
                why += "; no interval: some resamples have no such number"
        settings = {
            "interval": f"bootstrap over {kind}",
            "resamples": self.resamples,
            "seed": self.seed,
            "entropy": "mean information of the other answers, or of own ones",
        }
        return Estimate(
            name,
            value,
            unit,
            len(self.owner),
            "confidence",
            why,
            Recipe("probability_quality", settings, sources),
            limits[0],
            limits[1],
            None if limits[0] is None else self.level,
            None if self.clusters is None else self.units,
        )


def _mean(name: str, values: np.ndarray, unit: str, how: _How) -> Estimate:
    def statistic(counts: np.ndarray) -> np.ndarray:
        return counts @ values / counts.sum(axis=1)

    sources = (_LOCAL if "token" in name else _PARADOX,)
    return how.estimate(name, float(values.mean()), unit, statistic, sources=sources)


def _correlation(
    name: str, values: np.ndarray, rated: np.ndarray, how: _How
) -> Estimate:
    def statistic(counts: np.ndarray) -> np.ndarray:
        return _spearman(values, rated, counts)

    value = float(_spearman(values, rated, np.ones((1, len(values))))[0])
    if np.isnan(value):
        raise NotEnoughData(f"{name}: all ratings, or all answers, are the same")
    return how.estimate(name, value, "1", statistic, sources=(_PARADOX, _SPEARMAN))


def _within(
    name: str, values: np.ndarray, rated: np.ndarray, how: _How
) -> Estimate | None:
    """The mean over questions, of those that have a correlation; None if none has."""
    if how.clusters is None:
        return None
    single = []
    for number in range(how.units):
        mine = how.owner == number
        one = _spearman(values[mine], rated[mine], np.ones((1, int(mine.sum()))))
        single.append(float(one[0]))
    kept = np.array([value for value in single if not np.isnan(value)])
    if not len(kept):
        return None
    alone = _How(np.arange(len(kept)), how.level, how.resamples, how.seed)
    return _mean(name, kept, "1", alone) if len(kept) > 1 else None


def _spearman(
    one: Float[np.ndarray, " n"],
    other: Float[np.ndarray, " n"],
    counts: Float[np.ndarray, "resamples n"] | Any,
) -> Float[np.ndarray, " resamples"]:
    """Spearman's correlation with every row so many times; NaN where nothing varies."""
    weights = np.asarray(counts, dtype=np.float64)
    total = weights.sum(axis=1, keepdims=True)
    first, second = (_mid_ranks(values, weights) for values in (one, other))
    first = first - (weights * first).sum(axis=1, keepdims=True) / total
    second = second - (weights * second).sum(axis=1, keepdims=True) / total
    both = (weights * first * second).sum(axis=1)
    alone = (weights * first**2).sum(axis=1) * (weights * second**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = both / np.sqrt(alone)
    flat = alone <= 1e-12 * total[:, 0] ** 6
    return np.where(flat, np.nan, np.clip(found, -1.0, 1.0))


def _mid_ranks(
    values: np.ndarray, weights: Float[np.ndarray, "resamples n"]
) -> Float[np.ndarray, "resamples n"]:
    """The rank of every row among so many copies of each, equal ones in the middle."""
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.add.reduceat(weights[:, order], starts, axis=1)
    return (np.cumsum(sizes, axis=1) - sizes / 2.0)[:, group]


def _information(samples: Samples) -> Float[np.ndarray, " answers"]:
    found = []
    for place, answer in enumerate(samples.answers):
        if answer.total_logp is None or answer.total_logp == -np.inf:
            raise InvalidInput(
                f"answer {place} has the log-probability {answer.total_logp}: draw "
                "answers with nescio.sample, or score them"
            )
        found.append(-answer.total_logp)
    return np.array(found, dtype=np.float64)


def _token_gap(answer: Sample) -> float | None:
    trace = answer.trace
    if trace is None or trace.entropy is None or not trace.scored.any():
        return None
    apart = np.abs(trace.surprisal.astype(np.float64) - trace.entropy)
    return float(apart[trace.scored].mean())


def _check_own(own: Samples) -> None:
    for place, answer in enumerate(own.answers):
        if answer.trace is None or not answer.trace.origin.decoding:
            continue  # nobody knows how it was drawn
        settings: Mapping[str, Any] = answer.trace.origin.decoding
        if settings.get("kind") != "generate" or not is_plain(answer.trace.origin):
            how = settings.get("sampling", settings.get("kind"))
            raise InvalidInput(
                f"answer {place} was made with {how}: H is the mean over answers drawn "
                "from the model as it is (temperature 1, nothing cut); give those as "
                "own"
            )


def _ratings(
    ratings: Sequence[Sequence[float | int]],
    found: Sequence[Sequence[Typicality]],
) -> Float[np.ndarray, " answers"]:
    sizes = [len(group) for group in ratings]
    if sizes != [len(group) for group in found]:
        raise InvalidInput(
            f"ratings for {sizes} answers of {[len(group) for group in found]}"
        )
    flat = np.array([r for group in ratings for r in group], dtype=np.float64)
    if not np.isfinite(flat).all():
        raise InvalidInput("a rating is not finite: leave its answer out")
    return flat
