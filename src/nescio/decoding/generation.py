"""Generation: tokens as they are drawn, each with what the model thought of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.decoding.prompting import Opening, opening
from nescio.decoding.recording import Detail, Measures, candidates_of, labels_of
from nescio.errors import InvalidInput
from nescio.kernel import RowStatistics, Sampling, draw, row_statistics
from nescio.models.protocol import Model, Stepping, Tokenized, require
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Prompt, Sample, Samples, Trace
from nescio.trace.trace import SEGMENTS, Stop

__all__ = ["Decoding", "Stream", "TokenEvent", "generate", "sample", "stream"]

Asked = Prompt | str | Sequence[Any]


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen and when to stop.

    Args:
        max_tokens: the longest answer, in tokens.
        sampling: temperature and truncations; temperature 0 is greedy.
        stop: texts that end an answer once it holds one; they stay in the trace.
        detail: what the trace keeps of each prediction.

    Raises:
        InvalidInput: ``max_tokens`` below 1, or an empty stop text.
    """

    max_tokens: int = 256
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    detail: Detail = field(default_factory=Detail)

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise InvalidInput(f"max_tokens is {self.max_tokens}; at least 1 is needed")
        if isinstance(self.stop, str):
            raise InvalidInput(
                f"stop is one text, {self.stop!r}; give a tuple of texts"
            )
        for text in self.stop:
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise InvalidInput(f"the stop text {text!r} has no UTF-8 bytes")
        if "" in self.stop:
            raise InvalidInput("an empty stop text would end every answer at once")


@dataclass(frozen=True, eq=False)
class TokenEvent:
    """One token, just drawn.

    Args:
        index: its place in the answer, from 0.
        token_id: what was drawn.
        buffer: the bytes it spells; may be half a character.
        label: how a control token is called; None for text.
        logp: its log-probability under the model, nats.
        logp_processed: the same under the distribution it was drawn from.
        entropy, varentropy: of the model's prediction, nats and nats^2.
        rank: 1 + how many tokens were strictly more probable.
        context_used: how many tokens the prediction saw.
        stop: why the answer ends here, or None.
        statistics, row: everything the kernel found, and this token's row in it.
    """

    index: int
    token_id: int
    buffer: bytes
    label: str | None
    logp: float
    logp_processed: float
    entropy: float
    varentropy: float
    rank: int
    context_used: int
    stop: Stop | None
    statistics: RowStatistics
    row: int


class Stream:
    """The tokens of one answer as they are drawn; iterate over it.

    ``trace`` may be read at any time: before the end it holds what there is so far,
    with ``stop`` = ``"cancelled"``.
    """

    def __init__(
        self, model: Any, asked: Opening, decoding: Decoding, seed: int
    ) -> None:
        self._model, self._asked, self._decoding = model, asked, decoding
        self._seed = seed
        self._events: list[TokenEvent] = []
        self._source = _decoded(model, asked.token_ids, decoding, seeds=[_seed(seed)])

    def __iter__(self) -> Iterator[TokenEvent]:
        for _, event in self._source:
            self._events.append(event)
            yield event

    @property
    def trace(self) -> Trace:
        """Everything so far."""
        return _trace(
            self._model,
            self._asked,
            self._events,
            decoding=self._decoding,
            seed=(self._seed, 0),
        )


def stream(
    model: Model,
    prompt: Asked,
    *,
    decoding: Decoding | None = None,
    seed: int = 0,
    chat: bool | None = None,
) -> Stream:
    """Draw an answer token by token.

    Args:
        model: a model that is Tokenized and Stepping.
        prompt: a text, messages, or a Prompt.
        decoding: how to draw and when to stop; None draws from the model itself.
        seed: of the draw.
        chat: whether a text goes through the chat template; None: if there is one.
            The trace says which.

    Raises:
        CapabilityError: the model cannot step, or has no chat template.
        ContextOverflow: the prompt fills the context.

    Example:
        >>> import nescio
        >>> model = nescio.load("table:coin")
        >>> [e.buffer for e in nescio.stream(model, "H", decoding=Decoding(3), seed=1)]
        [b'T', b'H', b'T']
    """
    require(model, Tokenized, Stepping, purpose="generating a text")
    asked = opening(model, prompt, chat=chat)
    return Stream(model, asked, decoding or Decoding(), seed)


def generate(
    model: Model,
    prompt: Asked,
    *,
    decoding: Decoding | None = None,
    seed: int = 0,
    chat: bool | None = None,
) -> Trace:
    """Draw one answer and return its trace; arguments as `stream`.

    Example:
        >>> import nescio
        >>> nescio.generate(nescio.load("table:coin"), "H", decoding=Decoding(4)).stop
        'length'
    """
    tokens = stream(model, prompt, decoding=decoding, seed=seed, chat=chat)
    for _ in tokens:
        pass
    return tokens.trace


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

    Each draw has its own random numbers, so draw i does not depend on n, up to the
    rounding of the engine: a batch may round a near-tie the other way.

    Args:
        model: a model that is Tokenized and Stepping.
        prompt: a text, messages, or a Prompt.
        n: how many answers.
        decoding: how to draw and when to stop.
        seed: of all draws together.
        chat: as `stream`.

    Raises:
        InvalidInput: n below 1.

    Example:
        >>> import nescio
        >>> samples = nescio.sample(nescio.load("table:coin"), "H", n=3,
        ...                         decoding=Decoding(2))
        >>> [s.token_count for s in samples.answers]
        [2, 2, 2]
    """
    require(model, Tokenized, Stepping, purpose="sampling answers")
    if n < 1:
        raise InvalidInput(f"n is {n}: at least one sample is needed")
    asked, decoding = opening(model, prompt, chat=chat), decoding or Decoding()
    drawn: list[list[TokenEvent]] = [[] for _ in range(n)]
    seeds = [_seed(seed, number) for number in range(n)]
    for number, event in _decoded(model, asked.token_ids, decoding, seeds=seeds):
        drawn[number].append(event)
    answers = []
    for number, events in enumerate(drawn):
        trace = _trace(model, asked, events, decoding=decoding, seed=(seed, number))
        answers.append(_sample(model, trace, number))
    return Samples(asked.prompt, tuple(answers))


def _seed(seed: int, number: int = 0) -> np.random.SeedSequence:
    """The random numbers of draw ``number``; draw 0 is what `stream` draws."""
    if seed < 0:
        raise InvalidInput(f"seed is {seed}: a seed is at least 0")
    return np.random.SeedSequence(int(seed), spawn_key=(number,))


def _sample(model: Model, trace: Trace, number: int) -> Sample:
    logp = trace.logp[trace.scored].astype(np.float64)
    return Sample(
        trace.completion,
        model.name,
        draw=number,
        trace=trace,
        total_logp=float(logp.sum()),
        token_count=len(logp),
    )


def _decoded(
    model: Any,
    prompt: Int[np.ndarray, " n"],
    decoding: Decoding,
    *,
    seeds: Sequence[np.random.SeedSequence],
) -> Iterator[tuple[int, TokenEvent]]:
    """Draw every answer one token further, until all have ended."""
    generators = [np.random.default_rng(seed) for seed in seeds]
    (read,), logits = model.extend([model.open()], [prompt])
    contexts, active = [read] * len(seeds), list(range(len(seeds)))
    logits = np.repeat(logits, len(seeds), axis=0)
    tails = [b""] * len(seeds)
    for index in range(decoding.max_tokens):
        uniforms = np.array([generators[number].random() for number in active])
        events = _drawn(
            logits,
            uniforms,
            decoding=decoding,
            vocabulary=model.vocabulary,
            index=index,
        )
        going = []
        for row, number in enumerate(active):
            event = replace(events[row], context_used=contexts[row].length)
            tails[number] += event.buffer
            event = replace(event, stop=_stop(event, tails[number], decoding, model))
            if event.stop is None:
                going.append(row)
            yield number, event
        if not going:
            return
        runs = [np.array([events[row].token_id], dtype=np.int32) for row in going]
        contexts, logits = model.extend([contexts[row] for row in going], runs)
        active = [active[row] for row in going]


def _drawn(
    logits: Float[np.ndarray, "rows vocab"],
    uniforms: Float[np.ndarray, " rows"],
    *,
    decoding: Decoding,
    vocabulary: Vocabulary,
    index: int,
) -> list[TokenEvent]:
    detail = decoding.detail
    ids, processed = draw(logits, decoding.sampling, uniforms)
    found = row_statistics(logits, ids, top=detail.top, renyi=detail.renyi)
    if found.logp is None or found.rank is None:
        raise AssertionError("row statistics of drawn tokens have targets")
    return [
        TokenEvent(
            index,
            int(ids[row]),
            vocabulary.token(ids[row]),
            vocabulary.label(int(ids[row])),
            float(found.logp[row]),
            float(processed[row]),
            float(found.entropy[row]),
            float(found.varentropy[row]),
            int(found.rank[row]),
            0,
            None,
            found,
            row,
        )
        for row in range(len(ids))
    ]


def _stop(
    event: TokenEvent, text: bytes, decoding: Decoding, model: Any
) -> Stop | None:
    if event.token_id in model.vocabulary.end:
        return "eos"
    for stop in decoding.stop:
        wanted = stop.encode("utf-8")
        if wanted in text[-(len(wanted) + len(event.buffer)) :]:
            return "stop_string"
    limit = model.context_length
    full = limit is not None and event.context_used + 1 >= limit
    return "length" if full or event.index + 1 == decoding.max_tokens else None


def _trace(
    model: Any,
    asked: Opening,
    events: Sequence[TokenEvent],
    *,
    decoding: Decoding,
    seed: tuple[int, int],
) -> Trace:
    before, n = len(asked.shown), len(events)
    drawn = np.array([event.token_id for event in events], dtype=np.int32)
    ids = np.concatenate([asked.shown, drawn])
    measures = Measures.blank(before + n, len(decoding.detail.renyi))
    processed = np.full(before + n, np.nan, dtype=np.float32)
    for place, event in enumerate(events, start=before):
        where, row = np.array([place]), np.array([event.row])
        measures.put(where, event.statistics, row, np.array([event.context_used]))
        processed[place] = event.logp_processed
    completion = np.full(n, SEGMENTS.index("completion"), dtype=np.int8)
    settings = asdict(decoding) | {
        "kind": "generate",
        "chat": asked.chat,
        "draw": seed[1],
    }
    return Trace(
        buffer=model.vocabulary.spell(ids),
        offsets=model.vocabulary.edges(ids),
        token_ids=ids,
        segment=np.concatenate([asked.segment, completion]),
        role=np.concatenate([asked.role, np.zeros(n, dtype=np.int8)]),
        scored=measures.scored,
        context_used=measures.context_used,
        logp=measures.logp,
        logp_processed=processed,
        origin=replace(
            model.origin,
            template_digest=asked.template_digest,
            conditioned_on=asked.conditioned_on,
            decoding=settings,
            seed=seed[0],
        ),
        entropy=measures.entropy,
        varentropy=measures.varentropy,
        rank=measures.rank,
        candidates=candidates_of(measures, model.vocabulary),
        renyi=measures.renyi if decoding.detail.renyi else None,
        renyi_orders=decoding.detail.renyi,
        labels=labels_of(ids, model.vocabulary),
        stop=events[-1].stop or "cancelled" if events else "cancelled",
    )
