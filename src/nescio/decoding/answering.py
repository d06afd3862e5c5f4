"""Answers of models that draw by themselves: endpoints, and what they reveal."""

from __future__ import annotations

import codecs
import math
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from nescio.decoding.answers import Draw, random_source
from nescio.decoding.rules import Decoding
from nescio.decoding.watching import Alert, TokenStatistics, Watch, Watcher
from nescio.errors import CapabilityError, InvalidText, NescioError
from nescio.models.protocol import Answering, Drawing, Question
from nescio.responses import Response, Source, trace_of
from nescio.trace import Prompt, Sample, Trace
from nescio.trace.trace import SEGMENTS

__all__ = ["AnsweredToken", "AnsweredStream", "answered", "drawing_of", "scored_text"]

_SEEDS = 2**31  # what servers take: 32 bits with a sign


@dataclass(frozen=True, eq=False)
class AnsweredToken:
    """One token of an answer as it came.

    Args:
        index: its place in the answer, from 0.
        token_id: or None where the source gives none.
        buffer: the bytes it spells.
        label: None; what a control token is called, no source says.
        logp: its log-probability under the model, nats; NaN where it is not revealed.
        entropy: None: no source gives it.
        entropy_low, entropy_high: what it lies between, nats; the second is +inf where
            nothing bounds it; None where nothing is revealed.
        stop: why the answer ends here, or None.
        text: the characters that are whole with this token; may be empty.
        alert: why the alarm went off with this token, which is then the last.
    """

    index: int
    token_id: int | None
    buffer: bytes
    label: str | None
    logp: float
    entropy: float | None
    entropy_low: float | None
    entropy_high: float | None
    stop: str | None
    text: str = ""
    alert: Alert | None = None


class AnsweredStream:
    """The tokens of one answer of an endpoint as they come; iterate over it.

    ``trace`` may be read at any time; before the end its ``stop`` is ``"cancelled"``,
    and ``"error"`` after the stream broke off. Where nothing but text is revealed,
    there is no trace, and each event is a piece of text.
    """

    def __init__(
        self,
        model: Answering,
        prompt: Prompt,
        decoding: Decoding,
        *,
        draw: Draw,
        chat: bool | None,
        alarm: Watcher | None = None,
    ) -> None:
        self._prompt, self._decoding, self._draw = prompt, decoding, draw
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self.watch: Watch | None = None
        question = _question(prompt, draw, chat)
        self._source, self._pieces = model.streamed(question, drawing_of(decoding))
        self._answer = Response("", None, "cancelled")
        if alarm is not None:
            settings = _settings(self._source, decoding, draw)
            origin = self._source.origin
            self.watch = alarm.start(replace(origin, decoding=settings, seed=draw.seed))

    def __iter__(self) -> Iterator[AnsweredToken]:
        count = 0
        try:
            for piece in self._pieces:
                events = list(_events(piece, self._source, count))
                self._answer = _joined(self._answer, piece)
                for event in events:
                    count += 1
                    alert = None if self.watch is None else _alert(self.watch, event)
                    last = event.stop is not None or alert is not None
                    text = self._text.decode(event.buffer, final=last)
                    yield replace(event, text=text, alert=alert)
                    if alert is not None:
                        self._answer = replace(self._answer, stop="alarm")
                        self._let_go()
                        return
            if self._answer.stop == "cancelled":  # it ended; why, nobody says
                self._answer = replace(self._answer, stop=None)
        except NescioError:
            self._answer = replace(self._answer, stop="error")
            raise

    def _let_go(self) -> None:
        """Ask for nothing more; a stream that is open is closed."""
        pieces, self._pieces = self._pieces, iter(())
        if isinstance(pieces, Generator):
            pieces.close()

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._answer.text

    @property
    def trace(self) -> Trace:
        """Everything so far.

        Raises:
            ResponseError: the source reveals no log-probabilities.
        """
        return _trace(
            self._answer,
            self._prompt,
            self._source,
            decoding=self._decoding,
            draw=self._draw,
        )


def drawing_of(decoding: Decoding) -> Drawing:
    """How a source that draws by itself is to draw.

    Raises:
        CapabilityError: statistics of whole predictions are wanted.
    """
    if decoding.detail.renyi or decoding.detail.renyi_processed:
        raise CapabilityError(
            "Rényi sums need whole predictions; an endpoint gives the most probable "
            "tokens only. Use a local model"
        )
    return Drawing(
        decoding.max_tokens, decoding.sampling, decoding.stop, decoding.detail.top
    )


def answered(
    model: Answering,
    asked: Iterable[tuple[int, Prompt, tuple[Draw, ...]]],
    *,
    decoding: Decoding,
    chat: bool | None,
) -> Iterator[tuple[int, Sample]]:
    """Answers to many prompts, several requests under way, as they come.

    Args:
        model: Answering.
        asked: the number of each prompt, the prompt, and the draws wanted of it.
        decoding: how to draw.
        chat: whether the chat template is used; None: if there is one.

    Yields:
        The number of the prompt, and an answer to it.
    """
    drawing = drawing_of(decoding)
    under_way: dict[int, tuple[Prompt, Draw]] = {}

    def questions() -> Iterator[Question]:
        place = 0
        for number, prompt, draws in asked:
            for draw in draws:
                question = _question(prompt, draw, chat)
                try:
                    model.check(question, drawing)
                except NescioError as error:
                    raise type(error)(f"prompt {number}: {error}") from error
                under_way[place] = (prompt, draw)
                place += 1
                yield question

    for place, answer, source in model.answers(questions(), drawing):
        prompt, draw = under_way.pop(place)
        trace = None
        if _is_revealed(answer):
            trace = _trace(answer, prompt, source, decoding=decoding, draw=draw)
        yield draw.prompt, _sample(answer, trace, source, draw)


def scored_text(model: Answering, text: str, *, top: int) -> Trace:
    """The trace of a text that is already there, where a source scores it.

    Raises:
        CapabilityError: the source does not.
        InvalidText: it is empty.
    """
    if not text:
        raise InvalidText("the text is empty: there is nothing to score")
    answer, source = model.scored(text, top)
    settings = dict(source.origin.decoding) | {"kind": "score"}
    whole = replace(source, origin=replace(source.origin, decoding=settings))
    return trace_of(Response(text, answer.prompt_tokens), None, whole, hidden=1)


def _is_revealed(answer: Response) -> bool:
    """Whether every token of an answer has a log-probability."""
    return answer.tokens is not None and all(
        token.logp is not None for token in answer.tokens
    )


def _question(prompt: Prompt, draw: Draw, chat: bool | None) -> Question:
    for text in (prompt.text or "", *(m.content for m in prompt.messages or ())):
        _check_text(text)
    (state,) = random_source(draw).generate_state(1, np.uint32).tolist()
    return Question(prompt, state % _SEEDS, chat)


def _check_text(text: str) -> None:
    """Refuse a text that cannot be sent.

    Raises:
        InvalidText: it holds a lone surrogate.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidText(
            f"{text[:40]!r} holds a lone surrogate at character {error.start}: it has "
            "no UTF-8 bytes and cannot be sent"
        ) from error


def _trace(
    answer: Response, prompt: Prompt, source: Source, *, decoding: Decoding, draw: Draw
) -> Trace:
    settings = _settings(source, decoding, draw)
    origin = replace(source.origin, decoding=settings, seed=draw.seed)
    found = trace_of(
        answer,
        prompt,
        replace(source, origin=origin),
        context=answer.prompt_token_count or 0,
    )
    drawn_from = _processed(found, decoding)
    return found if drawn_from is None else replace(found, logp_processed=drawn_from)


def _settings(source: Source, decoding: Decoding, draw: Draw) -> dict[str, Any]:
    return {
        **asdict(decoding),
        **source.origin.decoding,
        "kind": "generate",
        "drawn_by": "the server",
        "prompt_number": draw.prompt,
        "draw": draw.number,
    }


def _alert(watch: Watch, event: AnsweredToken) -> Alert | None:
    """What an alarm says of a token.

    Raises:
        CapabilityError: the source does not reveal what the alarm needs.
    """
    if math.isnan(event.logp):
        raise CapabilityError(
            "an alarm needs log-probabilities, and this source reveals none; use a "
            "local model"
        )
    token = event.buffer if event.token_id is None else event.token_id
    return watch.update(TokenStatistics(token, event.logp, event.entropy_low))


def _processed(found: Trace, decoding: Decoding) -> Any:
    """Under what tokens were drawn from, where that is known without the server."""
    drawn = decoding.sampling
    if drawn.temperature == 0:
        return np.where(found.scored, np.float32(0.0), np.float32(np.nan))
    whole = all(
        value in (None, neutral)
        for value, neutral in (
            (drawn.top_k, None),
            (drawn.top_p, 1),
            (drawn.min_p, 0),
            (drawn.typical_p, 1),
        )
    )
    return found.logp if whole and drawn.temperature == 1 else None


def _sample(
    answer: Response, trace: Trace | None, source: Source, draw: Draw
) -> Sample:
    total = None
    if trace is not None and trace.scored.any():
        mine = trace.scored & (trace.segment == SEGMENTS.index("completion"))
        total = min(0.0, float(trace.logp[mine].astype(np.float64).sum()))
    return Sample(
        answer.text,
        source.origin.model,
        draw=draw.number,
        trace=trace,
        total_logp=total,
        token_count=answer.token_count,
    )


def _joined(one: Response, piece: Response) -> Response:
    tokens = one.tokens
    if piece.tokens is not None:
        tokens = (*(tokens or ()), *piece.tokens)
    return Response(
        one.text + piece.text,
        tokens,
        piece.stop or one.stop,
        None,
        None if tokens is None else len(tokens),
    )


def _events(piece: Response, source: Source, count: int) -> Iterator[AnsweredToken]:
    if piece.tokens is None:
        if piece.text:
            raw = piece.text.encode("utf-8")
            yield AnsweredToken(
                count, None, raw, None, float("nan"), None, None, None, piece.stop
            )
        return
    found = trace_of(replace(piece, text=""), None, source, hidden=len(piece.tokens))
    low, high = found.entropy_low, found.entropy_high
    for place, token in enumerate(piece.tokens):
        last = place == len(piece.tokens) - 1
        yield AnsweredToken(
            count + place,
            token.token_id,
            token.buffer,
            None,
            float("nan") if token.logp is None else token.logp,
            None,
            None if low is None or token.logp is None else float(low[place]),
            None if high is None or token.logp is None else float(high[place]),
            piece.stop if last else None,
        )
