"""Generation: tokens as they are drawn, each with what the model thought of it."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nescio.decoding.answering import AnsweredStream, answered
from nescio.decoding.answers import Draw, Row, answer_trace, random_source
from nescio.decoding.batch import Drawn, Request, drawn_tokens
from nescio.decoding.joined import Together
from nescio.decoding.prompting import Opening, opening
from nescio.decoding.rules import Decoding
from nescio.decoding.watching import Alert, TokenStatistics, Watch, Watcher
from nescio.errors import ResponseError
from nescio.kernel import RowStatistics
from nescio.models.protocol import Answering, Model, Stepping, Tokenized, require
from nescio.trace import Prompt, Trace
from nescio.trace.trace import Stop

__all__ = ["Asked", "Stream", "TokenEvent", "generate", "stream"]

Asked = Prompt | str | Sequence[Any]


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
        entropy_low, entropy_high: None: the entropy is known.
        text: the characters that are whole with this token; may be empty.
        entropy_rate: mean entropy of the answer so far, nats a token.
        alert: why the alarm went off with this token, which is then the last.
        together: what the members of an ensemble said, in ``row``; None for a model
            alone.
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
    entropy_low: None = None
    entropy_high: None = None
    text: str = ""
    entropy_rate: float = 0.0
    alert: Alert | None = None
    together: Together | None = None


class Stream:
    """The tokens of one answer as they are drawn; iterate over it.

    ``trace`` may be read at any time: before the end it holds what there is so far,
    with ``stop`` = ``"cancelled"``. ``watch`` is what the alarm knows of the answer,
    None without an alarm.
    """

    def __init__(
        self,
        model: Any,
        asked: Opening,
        decoding: Decoding,
        *,
        seed: int,
        alarm: Watcher | None = None,
    ) -> None:
        self._model, self._asked, self._decoding = model, asked, decoding
        self._draw = Draw(seed)
        self._rows: list[Row] = []
        self._entropy = 0.0
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self.watch: Watch | None = None
        if alarm is not None:
            self._decoding = _watched(decoding, alarm)
            self.watch = alarm.start(self.trace.origin)
        request = Request(asked.token_ids, random_source(self._draw), asked.context)
        self._source = drawn_tokens(model, [request], self._decoding)

    def __iter__(self) -> Iterator[TokenEvent]:
        for drawn in self._source:
            alert = self._alert(drawn)
            shown = drawn if alert is None else replace(drawn, stops=("alarm",))
            self._rows.append((shown, 0))
            yield self._event(shown, alert)
            if alert is not None:
                self._source = iter(())  # nothing more is drawn
                return

    def _alert(self, drawn: Drawn) -> Alert | None:
        if self.watch is None:
            return None
        found = drawn.statistics
        sums = () if drawn.log_renyi is None else tuple(drawn.log_renyi[0].tolist())
        token = TokenStatistics(
            int(drawn.token_ids[0]),
            _logp(found, 0),
            float(found.entropy[0]),
            float(drawn.logp_processed[0]),
            sums,
        )
        return self.watch.update(token)

    def _event(self, drawn: Drawn, alert: Alert | None) -> TokenEvent:
        index, vocabulary = len(self._rows) - 1, self._model.vocabulary
        found, token = drawn.statistics, int(drawn.token_ids[0])
        if found.logp is None or found.rank is None:
            raise AssertionError("row statistics of drawn tokens have targets")
        buffer, stop = vocabulary.token(token), drawn.stops[0]
        entropy = float(found.entropy[0])
        self._entropy += entropy
        return TokenEvent(
            index,
            token,
            buffer,
            vocabulary.label(token),
            float(found.logp[0]),
            float(drawn.logp_processed[0]),
            entropy,
            float(found.varentropy[0]),
            int(found.rank[0]),
            int(drawn.context_used[0]),
            stop,
            found,
            0,
            text=self._text.decode(buffer, final=stop is not None),
            entropy_rate=self._entropy / (index + 1),
            alert=alert,
            together=drawn.together,
        )

    @property
    def trace(self) -> Trace:
        """Everything so far."""
        return answer_trace(
            self._model,
            self._asked,
            self._rows,
            decoding=self._decoding,
            draw=self._draw,
        )


def stream(
    model: Model,
    prompt: Asked,
    *,
    decoding: Decoding | None = None,
    seed: int = 0,
    chat: bool | None = None,
    alarm: Watcher | None = None,
) -> Stream | AnsweredStream:
    """Draw an answer token by token.

    Args:
        model: a model that is Tokenized and Stepping, or an endpoint that streams.
        prompt: a text, messages, or a Prompt.
        decoding: how to draw and when to stop; None draws from the model itself.
        seed: of the draw.
        chat: whether a text goes through the chat template; None: if there is one.
            The trace says which.
        alarm: watches the answer and ends it with ``stop`` = ``"alarm"`` when it
            goes off; the last event's ``alert`` says why.

    Raises:
        InvalidInput: the alarm is not made for such answers.
        CapabilityError: the model cannot step, or has no chat template.
        ContextOverflow: the prompt fills the context.
        EndpointError: a server cannot be reached; while iterating: it breaks off.

    Example:
        >>> import nescio
        >>> model = nescio.load("table:coin")
        >>> [e.buffer for e in nescio.stream(model, "H", decoding=Decoding(3), seed=1)]
        [b'T', b'H', b'T']
    """
    chosen = decoding or Decoding()
    if isinstance(model, Answering):
        return AnsweredStream(
            model,
            Prompt.of(prompt),
            chosen if alarm is None else _watched(chosen, alarm),
            draw=Draw(seed),
            chat=chat,
            alarm=alarm,
        )
    require(model, Tokenized, Stepping, purpose="generating a text")
    asked = opening(model, prompt, chat=chat)
    return Stream(model, asked, chosen, seed=seed, alarm=alarm)


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
    if isinstance(model, Answering):
        return _answered(
            model, Prompt.of(prompt), decoding or Decoding(), draw=Draw(seed), chat=chat
        )
    tokens = stream(model, prompt, decoding=decoding, seed=seed, chat=chat)
    for _ in tokens:
        pass
    return tokens.trace


def _answered(
    model: Answering,
    prompt: Prompt,
    decoding: Decoding,
    *,
    draw: Draw,
    chat: bool | None,
) -> Trace:
    """The trace of one whole answer; unlike a stream it is asked for again if need be.

    Raises:
        ResponseError: the source reveals no log-probabilities.
    """
    asked = [(draw.prompt, prompt, (draw,))]
    ((_, sample),) = answered(model, asked, decoding=decoding, chat=chat)
    if sample.trace is None:
        raise ResponseError(
            f"{sample.model} gives no log-probabilities, so there is no trace of its "
            "answer; nescio.sample gives its text"
        )
    return sample.trace


def _watched(decoding: Decoding, alarm: Watcher) -> Decoding:
    """The same decoding, with the Rényi sums that an alarm needs."""
    orders = alarm.renyi_orders
    if not orders:
        return decoding
    kept = replace(decoding.detail, renyi_processed=orders)
    return replace(decoding, detail=kept)


def _logp(found: RowStatistics, row: int) -> float:
    if found.logp is None:
        raise AssertionError("row statistics of drawn tokens have targets")
    return float(found.logp[row])
