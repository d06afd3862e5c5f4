"""A model behind HTTP: an OpenAI-compatible server, believed as far as it was probed.

What it draws comes with what it reveals: the text, perhaps log-probabilities, perhaps
those of the k most probable tokens. Entropies are then intervals. What it does not
reveal is refused by name; nothing is made up.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from nescio.errors import CapabilityError, ContextOverflow, ResponseError
from nescio.kernel import Sampling
from nescio.models.endpoint_address import Address, key_of
from nescio.models.endpoint_budget import Budget
from nescio.models.endpoint_connection import CHAT, COMPLETIONS, Connection, Refused
from nescio.models.endpoint_loop import Loop
from nescio.models.endpoint_probe import probe
from nescio.models.endpoint_report import CapabilityReport
from nescio.models.endpoint_request import checked, request_body, route
from nescio.models.protocol import Drawing, Question
from nescio.responses import (
    Response,
    Revealed,
    Source,
    is_last,
    read_body,
    read_chunk,
    read_completion,
)
from nescio.responses.revealed import spelled
from nescio.trace import Origin, Prompt

__all__ = ["Endpoint", "connect"]

_BAD_REQUEST = 400
_LONGEST_KEY = 8192


@dataclass(frozen=True, eq=False)
class Endpoint:
    """A model that answers over HTTP. Use ``load``.

    Args:
        name: its URL and model.
        origin: engine, precision and fingerprint, as the server says them.
        report: what it was found to do.
        connection: how it is talked to; counts what was spent.
        loop: what requests run on.
    """

    name: str
    origin: Origin
    report: CapabilityReport
    connection: Connection = field(repr=False)
    loop: Loop = field(repr=False)

    @property
    def answers_at_once(self) -> int:
        """How many requests are under way at most."""
        return self.connection.address.concurrency

    @property
    def budget(self) -> Budget:
        """The requests and generated tokens used so far, and the limits."""
        return self.connection.budget

    def check(self, question: Question, drawing: Drawing) -> None:
        """Refuse a question or a way of drawing before anything is sent.

        Raises:
            CapabilityError: naming what the server lacks.
        """
        checked(self.report, self._route(question), drawing)

    def answers(
        self, questions: Iterable[Question], drawing: Drawing
    ) -> Iterator[tuple[int, Response, Source]]:
        """Answers as they come: which question, the answer, where it comes from.

        Raises:
            CapabilityError: as `check`.
            EndpointError: a request failed for good; what was under way came before.
            ResponseError: an answer that cannot be, or is not what was asked for.
            BudgetExhausted: nothing more may be asked.
        """
        asked = (
            partial(self._answer, number, question, drawing)
            for number, question in enumerate(questions)
        )
        work: Iterable[Callable[[], Coroutine[Any, Any, tuple[int, Response, Source]]]]
        work = asked
        yield from self.loop.gather(work, limit=self.answers_at_once)

    async def _answer(
        self, number: int, question: Question, drawing: Drawing
    ) -> tuple[int, Response, Source]:
        path = self._route(question)
        able = checked(self.report, path, drawing)
        body = request_body(
            self.report, path, question.prompt, able, seed=question.seed
        )
        try:
            found = await self.connection.post(path, body, tokens=able.max_tokens)
        except Refused as error:
            raise _overflow(error) from error
        answers = read_body(found, stop=able.stop)
        if len(answers) != 1:
            raise ResponseError(
                f"{self.name} gave {len(answers)} answers where one was asked for"
            )
        return number, _checked_answer(answers[0], able), self._source(path, able)

    def streamed(
        self, question: Question, drawing: Drawing
    ) -> tuple[Source, Iterator[Response]]:
        """One answer piece by piece, and where it comes from.

        Raises:
            CapabilityError: as `check`, or the server does not stream.
            EndpointError: the stream breaks off, after what came before.
        """
        path = self._route(question)
        able = checked(self.report, path, drawing)
        if not self.report.streams:
            raise CapabilityError(f"{self.name} does not send its answers as a stream")
        body = request_body(
            self.report, path, question.prompt, able, seed=question.seed, stream=True
        )
        pieces = self._pieces(path, body, able)
        return self._source(path, able), self.loop.iterate(pieces)

    async def _pieces(
        self, path: str, body: dict[str, Any], drawing: Drawing
    ) -> AsyncGenerator[Response, None]:
        ended, count, text = False, 0, ""
        events = self.connection.events(path, body, tokens=drawing.max_tokens)
        async for event in events:
            piece = read_chunk(event, stop=drawing.stop)
            if piece is None:
                continue
            count += len(piece.tokens or ())
            if count > drawing.max_tokens:
                raise _too_long(count, drawing)
            text = text[-_LONGEST_KEY:] + piece.text
            self.connection.check_silent(text.encode("utf-8"))
            ended = ended or is_last(event)
            yield piece
        if not ended:
            raise ResponseError(
                f"{self.name}: the stream ended without saying why; the answer may be "
                "cut off, and what came is kept"
            )

    def scored(self, text: str, top: int) -> tuple[Response, Source]:
        """A text with the log-probabilities of its own tokens, as ``prompt_tokens``.

        Raises:
            CapabilityError: the server does not give them.
            ResponseError: what it gives belongs to another text.
        """
        report = self.report
        if report.prompt_logprobs is None:
            raise CapabilityError(
                f"{self.name} does not give the log-probabilities of a prompt (neither "
                "echo nor prompt_logprobs was obeyed), so it cannot score a text that "
                "is already there; score it with a local model, or with a server that "
                "gives them (vLLM does)"
            )
        echo = report.prompt_logprobs == "echo"
        # echo gives no log-probabilities where no candidates are asked for.
        wanted = max(top, 1) if echo else top
        able = Drawing(1, Sampling(), top=min(wanted, report.completion_logprobs))
        body = request_body(report, COMPLETIONS, Prompt(text=text), able)
        body |= {"echo": True} if echo else {"prompt_logprobs": able.top}
        try:
            found = self.loop.run(self.connection.post(COMPLETIONS, body, tokens=1))
        except Refused as error:
            raise _overflow(error) from error
        answer = read_completion(found, echoed=text if echo else None)[0]
        tokens = _of_text(answer.prompt_tokens or (), text)
        return replace(answer, prompt_tokens=tokens), self._source(COMPLETIONS, able)

    def _route(self, question: Question) -> str:
        return route(self.report, question.prompt, chat=question.chat)

    def _source(self, path: str, drawing: Drawing) -> Source:
        report = self.report
        settings = {
            "api": path,
            "chat": path == CHAT,
            "vocabulary_size": report.vocabulary_size,
            "rounding": report.rounding,
            "rounding_measured": report.rounding_measured,
            "candidates_asked": drawing.top,
            "before_sampling": report.before_sampling,
        }
        return Source(
            replace(self.origin, decoding=settings),
            report.vocabulary_size,
            report.rounding,
            drawing.top,
        )

    def close(self) -> None:
        """Give up the connections; they also end with the last use of the model."""
        self.loop.end(self.connection.close)
        self.loop.join()

    @property
    def cost(self) -> str:
        """What was spent so far, in words."""
        return f"{self.budget.requests} requests, {self.budget.tokens} tokens generated"


def connect(address: Address) -> Endpoint:
    """The model at an address, after finding out what its server does.

    Raises:
        UnknownModel: it serves no such model.
        InvalidInput: there is no key where one is named.
        EndpointError: the server cannot be reached, or answers nothing.
    """
    limits = Budget(address.max_requests, address.max_tokens_total)
    connection = Connection(address, key_of(address), limits)
    loop = Loop()
    try:
        report = loop.run(probe(connection))
    except BaseException:
        loop.end(connection.close)
        raise
    name = replace(address, model=report.model).specification
    digest = f"as reported: {report.fingerprint or 'nothing'}"
    origin = Origin(
        name, digest, "as served", f"endpoint {report.server}", report.precision
    )
    model = Endpoint(name, origin, report, connection, loop)
    weakref.finalize(model, loop.end, connection.close)
    return model


def _checked_answer(answer: Response, drawing: Drawing) -> Response:
    """The answer, if it is what was asked for; an empty one has no tokens to show."""
    count = answer.token_count or 0
    if max(count, len(answer.tokens or ())) > drawing.max_tokens:
        raise _too_long(max(count, len(answer.tokens or ())), drawing)
    cut = drawing.stop and answer.stop in (None, "stop_string")
    if cut and answer.text and answer.tokens is None:
        return answer  # llama.cpp took its tokens away, all of them, with the stop text
    if drawing.top and answer.tokens is None and answer.text:
        raise ResponseError(
            "the server gave no log-probabilities though it did when it was probed; "
            "ask for none (--top 0) to take its texts alone"
        )
    if drawing.top and not answer.tokens and answer.text:
        raise ResponseError(
            f"the server gave {len(answer.text)} characters and the log-probabilities "
            "of no token"
        )
    if drawing.top and answer.tokens is None:
        return replace(answer, tokens=())
    return answer


def _too_long(count: int, drawing: Drawing) -> ResponseError:
    return ResponseError(
        f"the server generated {count} tokens where at most {drawing.max_tokens} were "
        "asked for; it does not obey limits, so nothing of it is counted on"
    )


def _of_text(tokens: tuple[Revealed, ...], text: str) -> tuple[Revealed, ...]:
    """The tokens of a text; a first one without a prediction may be missing."""
    raw, found = text.encode("utf-8"), spelled(tokens)
    if all(token.logp is None for token in tokens):
        raise ResponseError(
            "the server gave no log-probabilities of the text that was to be scored"
        )
    if found != raw and raw.endswith(found):
        return (Revealed(raw[: len(raw) - len(found)], None), *tokens)
    if found != raw:
        raise ResponseError(
            f"the server scored {found[:60]!r} where {raw[:60]!r} was to be scored"
        )
    return tokens


def _overflow(error: Refused) -> Exception:
    """A refusal because of the context, by its own name."""
    said = str(error).lower()
    if error.status == _BAD_REQUEST and "context" in said:
        return ContextOverflow(f"{error}; shorten the prompt or ask for fewer tokens")
    return error
