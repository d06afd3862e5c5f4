"""Many answers at once: one ragged batch that rows leave and new ones join."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.decoding.joined import Together, expected_after, tells_more, together
from nescio.decoding.rules import Decoding, Endings
from nescio.kernel import (
    LEVELS,
    RowStatistics,
    draw_with_sums,
    row_statistics,
)
from nescio.trace.trace import Stop

__all__ = ["Drawn", "PromptRead", "Request", "drawn_tokens", "read_prompt"]

_LEVELS_KEY = (0, 0, 0)  # spawn keys of answers are shorter
_SHARED_LEAST = 16  # tokens: fewer are read again as fast as they are found
_JOIN_SHARE = 4  # new answers join when a quarter of the batch is free


@dataclass(frozen=True, eq=False)
class Request:
    """One answer to be drawn.

    Args:
        prompt: what is read before it. Requests with the very same array share its
            reading if they follow each other.
        seed: where its random numbers come from; nothing else decides them.
        context: of a model that reads prompts itself, at the end of this one.
    """

    prompt: Int[np.ndarray, " n"]
    seed: np.random.SeedSequence
    context: Any = None


@dataclass(frozen=True, eq=False)
class Drawn:
    """The tokens of one step, a row an answer.

    Args:
        requests: the number of the request each row answers, in the order asked.
        token_ids: what was drawn.
        logp_processed: its log-probability under what it was drawn from, nats.
        statistics: what the kernel found of the model's own predictions.
        context_used: how many tokens each prediction saw.
        stops: why the answer ends here, or None.
        log_renyi: log sum q^(1-l) of what was drawn from, a column an order asked for.
        together: what the members of an ensemble said; None for a model alone.
    """

    requests: tuple[int, ...]
    token_ids: Int[np.ndarray, " rows"]
    logp_processed: Float[np.ndarray, " rows"]
    statistics: RowStatistics
    context_used: Int[np.ndarray, " rows"]
    stops: tuple[Stop | None, ...]
    log_renyi: Float[np.ndarray, "rows orders"] | None = None
    together: Together | None = None


@dataclass(eq=False)
class _Answer:
    """An answer on its way: its context, its random numbers, its last bytes."""

    request: int
    context: Any
    random: np.random.Generator
    levels: np.random.Generator
    last: int = -1
    tail: bytes = b""
    tokens: int = 0
    before: int = 0

    @staticmethod
    def begun(request: int, read: PromptRead, seed: np.random.SeedSequence) -> _Answer:
        """An answer without tokens, its random numbers from two streams of a seed."""
        own = np.random.SeedSequence(
            seed.entropy, spawn_key=(*seed.spawn_key, *_LEVELS_KEY)
        )
        random = np.random.default_rng
        return _Answer(
            request, read.context, random(seed), random(own), before=read.before
        )

    def uniforms(self) -> list[float]:
        """The numbers of the next draw."""
        return [self.random.random(), *self.levels.random(LEVELS - 1).tolist()]


@dataclass(frozen=True, eq=False)
class PromptRead:
    """A prompt that was read, with the prediction that follows it.

    Args:
        prompt: its tokens.
        context: at its end.
        logits: what comes next.
        before: how many of its tokens the context does not count.
    """

    prompt: Int[np.ndarray, " n"]
    context: Any
    logits: Float[np.ndarray, "1 vocab"]
    before: int = 0


def drawn_tokens(
    model: Any, requests: Iterable[Request], decoding: Decoding
) -> Iterator[Drawn]:
    """Draw answers token by token, at most ``decoding.batch`` of them side by side.

    An answer that ends leaves the batch; when a quarter of it is free the next ones
    join. Each has its own random numbers, so what is drawn depends on neither, up to
    the rounding of the engine: a batch may round a near-tie the other way. The numbers
    go down a tree of few alternatives, see `nescio.kernel.sampler.draw`, so that this
    is rare.

    Args:
        model: Tokenized and Stepping.
        requests: what to answer, in this order; read as there is room.
        decoding: how to draw and when to stop.
    """
    endings = Endings.of(
        decoding,
        vocabulary_size=model.vocabulary.size,
        end=model.vocabulary.end,
        context_length=model.context_length,
    )
    drawn = partial(_drawn, model=model, decoding=decoding, endings=endings)
    waiting, read, tells = enumerate(requests), None, False
    going: list[_Answer] = []
    while True:
        if going:
            runs = [np.array([answer.last], dtype=np.int32) for answer in going]
            contexts, logits = model.extend([a.context for a in going], runs)
            for answer, context in zip(going, contexts, strict=True):
                answer.context = context
            going, step = drawn(going, logits, tells=tells)
            yield step
        free = decoding.batch - len(going)
        has_room = free * _JOIN_SHARE >= decoding.batch
        joining = list(islice(waiting, free)) if has_room else []
        for _, same in groupby(joining, key=lambda item: id(item[1].prompt)):
            group = list(same)
            prompt = group[0][1].prompt
            if read is None or read.prompt is not prompt:
                read = read_prompt(model, prompt, group[0][1].context, last=read)
                tells = tells_more(read.context)  # as all contexts of one model
            rows = np.broadcast_to(read.logits, (len(group), read.logits.shape[1]))
            joined = [
                _Answer.begun(number, read, request.seed) for number, request in group
            ]
            joined, step = drawn(joined, rows, tells=tells)
            going += joined
            yield step
        if not going and not joining:
            return


def read_prompt(
    model: Any,
    prompt: Int[np.ndarray, " n"],
    context: Any,
    *,
    last: PromptRead | None = None,
) -> PromptRead:
    """A prompt read to its end; a model that reads prompts itself has the context.

    Questions of a task begin alike, with the same examples: what a prompt shares with
    the ``last`` one is not read again.
    """
    if context is not None:
        logits = expected_after(context)[None]
        return PromptRead(prompt, context, logits, len(prompt) - context.length)
    begun, shared = model.open(), 0
    if last is not None and not last.before:
        shared = _shared(last.prompt, prompt)
        begun = last.context.rewind(shared) if shared else begun
    (context,), logits = model.extend([begun], [prompt[shared:]])
    return PromptRead(prompt, context, logits.copy())  # an engine may reuse its buffer


def _shared(last: Int[np.ndarray, " m"], prompt: Int[np.ndarray, " n"]) -> int:
    """With how many of the same tokens both begin, the prompt's last left out."""
    count = min(len(last), len(prompt) - 1)
    apart = np.flatnonzero(last[:count] != prompt[:count])
    shared = int(apart[0]) if len(apart) else count
    return shared if shared >= _SHARED_LEAST else 0


def _drawn(
    answers: Sequence[_Answer],
    logits: Float[np.ndarray, "rows vocab"],
    *,
    model: Any,
    decoding: Decoding,
    endings: Endings,
    tells: bool,
) -> tuple[list[_Answer], Drawn]:
    """One token for each answer; those that go on, and what was drawn."""
    detail = decoding.detail
    uniforms = np.array([answer.uniforms() for answer in answers])
    ids, processed, sums = draw_with_sums(
        logits, decoding.sampling, uniforms, renyi=detail.renyi_processed
    )
    found = row_statistics(logits, ids, top=detail.top, renyi=detail.renyi)
    for answer, token in zip(answers, ids.tolist(), strict=True):
        answer.last, answer.tokens = token, answer.tokens + 1
        if endings.stop:
            kept = answer.tail[max(0, len(answer.tail) - endings.reach) :]
            answer.tail = kept + model.vocabulary.token(token)
    used = [answer.context.length + answer.before for answer in answers]
    context_used = np.array(used, dtype=np.int64)
    contexts = [answer.context for answer in answers]
    told = together(contexts, logits, ids) if tells else None
    stops = endings.of_tokens(
        ids,
        [answer.tail for answer in answers],
        np.array([answer.tokens for answer in answers], dtype=np.int64),
        context_used if told is None else told.tokens_used,
    )
    step = Drawn(
        tuple(answer.request for answer in answers),
        ids,
        processed,
        found,
        context_used,
        stops,
        sums if detail.renyi_processed else None,
        told,
    )
    return [a for a, stop in zip(answers, stops, strict=True) if stop is None], step
