"""Drawing no more samples than a rule asks for, many questions at a time.

Draw d of prompt p has its own random numbers, and where to stop is decided in the order
of the draws: what comes out depends neither on how many are drawn at a time nor on the
order in which they end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nescio.consistency.adaptive import (
    AdaptiveRule,
    StoppingPoint,
    fewest_more,
    stopping_point,
)
from nescio.consistency.adaptive_saved import saved_share
from nescio.consistency.answers import Answers, Sorting, answers_of
from nescio.decoding import Decoding, Draws, sample_stream
from nescio.decoding.generation import Asked
from nescio.errors import InvalidInput, NescioError
from nescio.models.protocol import Model
from nescio.outcome import Estimate
from nescio.trace import Prompt, Sample, Samples

__all__ = [
    "AdaptiveDraws",
    "AdaptiveSamples",
    "Drawn",
    "adaptive_stream",
    "sample_adaptively",
]

Drawn = list[tuple[int, Sample]]
"""The number of a prompt, and an answer to it; as `sample_stream` gives them."""


@dataclass(frozen=True, eq=False)
class AdaptiveSamples:
    """The samples of some prompts up to where the rule stopped.

    Args:
        rule: when to stop.
        samples: of each prompt, in the order of the draws, those the rule took.
        answers: the same, sorted into sets.
        stops: where it stopped at each, and who leads.
        drawn: how many answers were there at the end, of all prompts; more than those
            taken if more were drawn at a time than was needed.
        saved: the share of the samples allowed that the rule did not take, with an
            interval over prompts.
    """

    rule: AdaptiveRule
    samples: tuple[Samples, ...]
    answers: tuple[Answers, ...]
    stops: tuple[StoppingPoint, ...]
    drawn: int
    saved: Estimate


@dataclass(frozen=True)
class AdaptiveDraws:
    """Which answers are to be drawn, and when to stop.

    Args:
        rule: when to stop.
        sorting: what an answer is and when two are the same; None: as `answers_of`.
        seed: of all draws together; draw d of prompt p is that of `sample_stream`.
        at_least: draws of a prompt in one round, if so many are allowed.

    Raises:
        InvalidInput: a negative seed, ``at_least`` below 1.
    """

    rule: AdaptiveRule = field(default_factory=AdaptiveRule)
    sorting: Sorting | None = None
    seed: int = 0
    at_least: int = 1

    def __post_init__(self) -> None:
        Draws(self.rule.most, self.seed)
        if self.at_least < 1:
            raise InvalidInput(
                f"at_least is {self.at_least}: a round has at least 1 draw"
            )


def sample_adaptively(
    model: Model,
    prompts: Sequence[Asked],
    draws: AdaptiveDraws | None = None,
    *,
    decoding: Decoding | None = None,
    chat: bool | None = None,
    drawn: Drawn | None = None,
) -> AdaptiveSamples:
    """Draw answers to each prompt until its leading answer leads by enough.

    In rounds: every prompt that has not stopped gets the fewest draws after which it
    might, all prompts in one batch, and the draws of one prompt share its reading. So
    no draw is wasted; ``at_least`` makes rounds larger and fewer where that is faster
    (a prompt is read once a round), and what comes out is the same.

    If anything breaks off (a server, a budget, Ctrl-C), ``drawn`` holds all answers
    that came until then. Called again with it and the same options, sampling goes on
    from there and ends as if nothing had happened.

    Args:
        model: as for `nescio.sample`; no probabilities are needed.
        prompts: texts, messages or Prompts.
        draws: the rule, what an answer is, the seed.
        decoding: how to draw, and how many answers step together.
        chat: as for `nescio.sample`.
        drawn: what was drawn before; not drawn again. Each new answer is appended.

    Raises:
        InvalidInput: no prompts, one text instead of several; answers drawn before
            that are of no such prompt, stand twice, or come from another seed.

    Example:
        >>> import nescio
        >>> found = sample_adaptively(nescio.load("table:coin"), ["H", "T"],
        ...                           AdaptiveDraws(AdaptiveRule(most=20)),
        ...                           decoding=nescio.Decoding(1))
        >>> [stop.used for stop in found.stops], found.drawn
        ([20, 12], 32)

    Source: Aggarwal et al. (2023), Let's Sample Step by Step: Adaptive-Consistency.
    """
    how, kept = draws or AdaptiveDraws(), [] if drawn is None else drawn
    stream = adaptive_stream(
        model, prompts, how, decoding=decoding, chat=chat, drawn=tuple(kept)
    )
    try:
        for one in stream:
            kept.append(one)  # at once: what comes is kept whatever happens next
    except NescioError as error:
        error.add_note(f"{len(kept)} answers were drawn until then")
        raise
    by_prompt = _sorted_in(kept, len(prompts), how.seed)
    return _found(prompts, by_prompt, how)


def adaptive_stream(
    model: Model,
    prompts: Sequence[Asked],
    draws: AdaptiveDraws | None = None,
    *,
    decoding: Decoding | None = None,
    chat: bool | None = None,
    drawn: Sequence[tuple[int, Sample]] = (),
) -> Iterator[tuple[int, Sample]]:
    """The answers of `sample_adaptively`, each as soon as it has ended.

    Args:
        model, prompts, draws, decoding, chat: as for `sample_adaptively`.
        drawn: what was drawn before; not drawn again, and not given again.

    Yields:
        The number of the prompt, and an answer to it. The order is that of ending.

    Raises:
        InvalidInput: as `sample_adaptively`.

    Example:
        >>> import nescio
        >>> stream = adaptive_stream(nescio.load("table:coin"), ["H"],
        ...                          decoding=nescio.Decoding(1))
        >>> [answer.text for _, answer in stream][:4]
        ['T', 'T', 'T', 'H']
    """
    if isinstance(prompts, str) or not len(prompts):
        raise InvalidInput("prompts are a list of prompts, at least one")
    how = draws or AdaptiveDraws()
    by_prompt = _sorted_in(drawn, len(prompts), how.seed)
    options = {"decoding": decoding, "chat": chat}
    return _streamed(model, prompts, how, by_prompt, options=options)


def _streamed(
    model: Model,
    prompts: Sequence[Asked],
    how: AdaptiveDraws,
    by_prompt: Sequence[dict[int, Sample]],
    *,
    options: Mapping[str, Any],
) -> Iterator[tuple[int, Sample]]:
    while wanted := _wanted(by_prompt, how):
        draws = _draws(wanted, len(prompts), how.seed)
        for number, answer in sample_stream(model, prompts, draws, **options):
            by_prompt[number][answer.draw] = answer
            yield number, answer
        _check_drawn(wanted, by_prompt)


def _sorted_in(
    drawn: Sequence[tuple[int, Sample]], prompts: int, seed: int
) -> list[dict[int, Sample]]:
    """By prompt and draw what was drawn before."""
    found: list[dict[int, Sample]] = [{} for _ in range(prompts)]
    for number, answer in drawn:
        if not 0 <= number < prompts:
            raise InvalidInput(
                f"an answer drawn before is of prompt {number}; there are {prompts}"
            )
        if answer.draw in found[number]:
            raise InvalidInput(
                f"draw {answer.draw} of prompt {number} was drawn before twice"
            )
        origin = None if answer.trace is None else answer.trace.origin
        if origin is not None and origin.seed not in (None, seed):
            raise InvalidInput(
                f"draw {answer.draw} of prompt {number} comes from the seed "
                f"{origin.seed}, not {seed}: samples of two seeds do not go together"
            )
        found[number][answer.draw] = answer
    return found


def _wanted(
    by_prompt: Sequence[Mapping[int, Sample]], how: AdaptiveDraws
) -> dict[int, tuple[int, ...]]:
    """The draws of the next round, of each prompt that has not stopped."""
    found: dict[int, tuple[int, ...]] = {}
    for number, answers in enumerate(by_prompt):
        there = _in_order(answers, how.rule.most)
        more = fewest_more(_labels(there, how), how.rule)
        if more:
            end = min(len(there) + max(more, how.at_least), how.rule.most)
            missing = (draw for draw in range(len(there), end) if draw not in answers)
            found[number] = tuple(missing)
    return found


def _labels(answers: Sequence[Sample], how: AdaptiveDraws) -> list[int]:
    if not answers:
        return []
    texts = [answer.text for answer in answers]
    return answers_of(texts, how.sorting).labels.tolist()


def _draws(wanted: Mapping[int, Sequence[int]], prompts: int, seed: int) -> Draws:
    """The draws wanted and no others: all others count as done."""
    most = max(max(numbers) for numbers in wanted.values()) + 1
    done = {
        (prompt, draw)
        for prompt in range(prompts)
        for draw in range(most)
        if draw not in wanted.get(prompt, ())
    }
    return Draws(most, seed, done)


def _in_order(answers: Mapping[int, Sample], most: int) -> list[Sample]:
    """Draw 0, 1, 2, ... up to the first that is not there."""
    found = []
    while len(found) < most and len(found) in answers:
        found.append(answers[len(found)])
    return found


def _check_drawn(
    wanted: Mapping[int, Sequence[int]], by_prompt: Sequence[Mapping[int, Sample]]
) -> None:
    """Refuse a source that ended without all that was asked of it.

    Raises:
        InvalidInput: naming the first answer that is not there.
    """
    for prompt, draws in wanted.items():
        for draw in draws:
            if draw not in by_prompt[prompt]:
                raise InvalidInput(f"draw {draw} of prompt {prompt} never came")


def _found(
    prompts: Sequence[Asked],
    by_prompt: Sequence[Mapping[int, Sample]],
    how: AdaptiveDraws,
) -> AdaptiveSamples:
    samples, stops, rule = [], [], how.rule
    for prompt, of_prompt in zip(prompts, by_prompt, strict=True):
        there = _in_order(of_prompt, rule.most)
        stop = stopping_point(_labels(there, how), rule)
        samples.append(Samples(Prompt.of(prompt), tuple(there[: stop.used])))
        stops.append(stop)
    used = np.array([stop.used for stop in stops], dtype=np.int64)
    return AdaptiveSamples(
        rule,
        tuple(samples),
        tuple(answers_of(taken, how.sorting) for taken in samples),
        tuple(stops),
        sum(map(len, by_prompt)),
        saved_share(
            used,
            np.full(len(used), rule.most, dtype=np.int64),
            settings=rule.settings,
        ),
    )
