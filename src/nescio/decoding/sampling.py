"""Sampling many: several answers to each of some prompts, in one moving batch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from nescio.decoding.answering import answered
from nescio.decoding.answers import Draw, Row, answer_trace, random_source
from nescio.decoding.batch import Request, drawn_tokens
from nescio.decoding.generation import Asked
from nescio.decoding.prompting import Opening, opening
from nescio.decoding.rules import Decoding
from nescio.errors import InvalidInput, NescioError
from nescio.models.protocol import Answering, Model, Stepping, Tokenized, require
from nescio.trace import Prompt, Sample, Samples

__all__ = ["Draws", "sample", "sample_stream"]


@dataclass(frozen=True)
class Draws:
    """Which answers to each prompt are to be drawn.

    Args:
        n: how many to each prompt.
        seed: of all draws together; a draw's random numbers come from it, the number
            of its prompt and its own number, and from nothing else.
        done: (prompt number, draw) of answers that are there already and are not
            drawn again.

    Raises:
        InvalidInput: ``n`` below 1, a negative seed.
    """

    n: int
    seed: int = 0
    done: Collection[tuple[int, int]] = ()

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InvalidInput(f"n is {self.n}: at least one sample is needed")
        random_source(Draw(self.seed))

    def missing(self, prompt: int) -> tuple[Draw, ...]:
        """The draws of a prompt that are not done."""
        return tuple(
            Draw(self.seed, prompt, number)
            for number in range(self.n)
            if (prompt, number) not in self.done
        )


def sample(
    model: Model,
    prompt: Asked,
    *,
    n: int,
    decoding: Decoding | None = None,
    seed: int = 0,
    chat: bool | None = None,
) -> Samples:
    """Draw n answers to one prompt; they share its reading and step as one batch.

    Each draw has its own random numbers, so draw i depends on neither n nor the
    batch, up to the rounding of the engine: a batch may round a near-tie the other
    way.

    Args:
        model: a model that is Tokenized and Stepping, or an endpoint.
        prompt: a text, messages, or a Prompt.
        n: how many answers.
        decoding: how to draw and when to stop.
        seed: of all draws together.
        chat: as `stream`.

    Raises:
        InvalidInput: n below 1, a negative seed.

    Example:
        >>> import nescio
        >>> samples = nescio.sample(nescio.load("table:coin"), "H", n=3,
        ...                         decoding=nescio.Decoding(2))
        >>> [s.token_count for s in samples.answers]
        [2, 2, 2]
    """
    draws = Draws(n, seed)
    drawn = sample_stream(model, [prompt], draws, decoding=decoding, chat=chat)
    answers = sorted((answer for _, answer in drawn), key=lambda answer: answer.draw)
    return Samples(Prompt.of(prompt), tuple(answers))


def sample_stream(
    model: Model,
    prompts: Iterable[Asked],
    draws: Draws,
    *,
    decoding: Decoding | None = None,
    chat: bool | None = None,
) -> Iterator[tuple[int, Sample]]:
    """Draw several answers to each prompt and give each as soon as it has ended.

    Answers to different prompts step together: one that ends leaves the batch, and
    others join. Prompts are read one by one as there is room, so they may be many.
    The first prompt's draws are those of `sample` with the same seed.

    Args:
        model: a model that is Tokenized and Stepping, or an endpoint.
        prompts: texts, messages or Prompts.
        draws: how many answers to each, the seed, and which are there already.
        decoding: how to draw and when to stop, and how many step together.
        chat: as `stream`.

    Yields:
        The number of the prompt, and an answer to it. The order is that of ending.

    Raises:
        InvalidInput: one text instead of several; what is wrong with a prompt, with
            its number, when it is read.

    Example:
        >>> import nescio
        >>> answers = sample_stream(nescio.load("table:coin"), ["H", "T"],
        ...                         nescio.Draws(2, done={(0, 0)}),
        ...                         decoding=nescio.Decoding(1))
        >>> [(number, answer.draw) for number, answer in answers]
        [(0, 1), (1, 0), (1, 1)]
    """
    if isinstance(prompts, str):
        raise InvalidInput("prompts is one text; give a list, or use sample")
    if isinstance(model, Answering):
        asked = _numbered(prompts, draws)
        return answered(model, asked, decoding=decoding or Decoding(), chat=chat)
    require(model, Tokenized, Stepping, purpose="sampling answers")
    return _sampled(model, prompts, draws, chat=chat, decoding=decoding or Decoding())


@dataclass(frozen=True)
class _Pending:
    """An answer on its way: what it answers, which draw it is, its tokens so far."""

    asked: Opening
    draw: Draw
    rows: list[Row] = field(default_factory=list)


def _sampled(
    model: Any,
    prompts: Iterable[Asked],
    draws: Draws,
    *,
    chat: bool | None,
    decoding: Decoding,
) -> Iterator[tuple[int, Sample]]:
    pending: dict[int, _Pending] = {}
    asked = _asked(model, prompts, draws, chat)
    requests = _requests(asked, pending)
    for step in drawn_tokens(model, requests, decoding):
        for row, (number, stop) in enumerate(
            zip(step.requests, step.stops, strict=True)
        ):
            pending[number].rows.append((step, row))
            if stop is not None:
                answer = pending.pop(number)
                yield answer.draw.prompt, _sample(model, answer, decoding)


def _asked(
    model: Any, prompts: Iterable[Asked], draws: Draws, chat: bool | None
) -> Iterator[tuple[Opening, tuple[Draw, ...]]]:
    """Each prompt that has draws missing, read by the tokenizer when it is needed."""
    for number, prompt in enumerate(prompts):
        missing = draws.missing(number)
        if not missing:
            continue
        try:
            asked = opening(model, prompt, chat=chat)
        except NescioError as error:
            raise type(error)(f"prompt {number}: {error}") from error
        yield asked, missing


def _numbered(
    prompts: Iterable[Asked], draws: Draws
) -> Iterator[tuple[int, Prompt, tuple[Draw, ...]]]:
    """Each prompt that has draws missing, with its number."""
    for number, prompt in enumerate(prompts):
        if missing := draws.missing(number):
            yield number, Prompt.of(prompt), missing


def _requests(
    asked: Iterable[tuple[Opening, tuple[Draw, ...]]], pending: dict[int, _Pending]
) -> Iterator[Request]:
    """What is to be drawn, noted in ``pending`` as it is handed out."""
    numbers = count()
    for prompt, draws in asked:
        for draw in draws:
            pending[next(numbers)] = _Pending(prompt, draw)
            yield Request(prompt.token_ids, random_source(draw), prompt.context)


def _sample(model: Model, answer: _Pending, decoding: Decoding) -> Sample:
    trace = answer_trace(
        model, answer.asked, answer.rows, decoding=decoding, draw=answer.draw
    )
    logp = trace.logp[trace.scored].astype(np.float64)
    return Sample(
        trace.completion,
        model.name,
        draw=answer.draw.number,
        trace=trace,
        total_logp=float(logp.sum()),
        token_count=len(logp),
    )
