"""Talking to a server: retries, deadlines, a budget; the key is never shown."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nescio.errors import EndpointError, MissingDependency, ResponseError
from nescio.models.endpoint_address import Address, Key
from nescio.models.endpoint_budget import Budget, Spending
from nescio.responses.parsing import json_object
from nescio.visible import visible

__all__ = ["CHAT", "COMPLETIONS", "MODELS", "Connection", "Refused"]

CHAT, COMPLETIONS, MODELS = "/chat/completions", "/completions", "/models"

_LARGEST = 2**29  # bytes of one response
_TIMED_OUT = 408
_AGAIN = (_TIMED_OUT, 409, 429)
_SERVER_ERRORS = 500
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0  # seconds between attempts
_SHOWN = 300  # characters of what a server says


class Refused(EndpointError):
    """The server answered, and will answer the same again.

    Args:
        status: of HTTP.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _Temporary(Exception):
    """An attempt failed in a way that another may not; ``wait`` is what it asked."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass(frozen=True, eq=False)
class Connection:
    """A server, and how it is talked to. Used on one event loop.

    Args:
        address: where it is, deadlines and retries.
        key: sent with every request.
        budget: of everything that is sent.
    """

    address: Address
    key: Key
    budget: Budget = field(default_factory=Budget)

    async def post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        tokens: int,
        retries: int | None = None,
    ) -> Mapping[str, Any]:
        """The JSON object that answers a request.

        Args:
            path: behind the URL.
            body: of the request, JSON values.
            tokens: the most it may generate; the budget is asked for that many.
            retries: instead of the address's.

        Raises:
            Refused: the server says no.
            EndpointError: it cannot be reached, or keeps failing.
            ResponseError: what it says is not JSON, each time.
            BudgetExhausted: nothing more may be sent.
        """

        async def once(spending: Spending) -> Mapping[str, Any]:
            async with self._opened(path, body, spending) as response:
                raw = await _read(response.iter_bytes())
            self.check_silent(raw)
            try:
                found = json_object(raw, f"the answer of {self.address.url}{path}")
            except ResponseError as error:
                raise _Temporary(str(error)) from error
            spending.settled(_generated(found, tokens))
            return found

        return await self._repeated(
            once, tokens, self.address.retries if retries is None else retries
        )

    async def events(
        self, path: str, body: Mapping[str, Any], *, tokens: int
    ) -> AsyncIterator[Mapping[str, Any]]:
        """The objects of a stream, as they come.

        A stream that has begun is not repeated.

        Raises:
            EndpointError: it breaks off; as `post`.
        """
        count: int | None = 0
        with self.budget.attempt(tokens) as spending:
            try:
                async with self._opened(path, body, spending) as response:
                    async for data in _lines(response.iter_bytes()):
                        if data.strip() == b"[DONE]":
                            # The end token, or a stop text, is not among them.
                            if count is not None and not body.get("stop"):
                                spending.settled(min(tokens, count + 1))
                            return
                        self.check_silent(data)
                        event = json_object(data, "an event of the stream")
                        more = _listed(event)
                        count = None if count is None or more is None else count + more
                        yield event
            except _Temporary as error:
                raise EndpointError(self.key.hidden(str(error))) from error
        raise EndpointError(
            f"{self.address.url}: the stream ended before the answer did; what came "
            "is kept"
        )

    async def close(self) -> None:
        """Give up every connection; nothing can be asked any more."""
        await self._http.aclose()

    async def get(self, url: str) -> Mapping[str, Any] | None:
        """The JSON object at a URL; None if there is none.

        Raises:
            EndpointError: the server cannot be reached, or refuses the key.
        """

        async def once(spending: Spending) -> Mapping[str, Any] | None:
            spending.settled(0)
            http = self._http  # imports the library, which takes longer than asking
            try:
                async with asyncio.timeout(self.address.timeout):
                    async with http.stream(
                        "GET", url, headers=self._authorization
                    ) as response:
                        if response.status_code in (401, 403):
                            raise Refused(
                                self._no_entry(response), response.status_code
                            )
                        if response.status_code in _AGAIN:
                            raise _Temporary(f"{url}: status {response.status_code}")
                        if response.status_code != 200:
                            return None
                        raw = await _read(response.aiter_bytes())
            except TimeoutError as error:
                raise _Temporary(self._too_late(url)) from error
            except _http_error() as error:
                raise _Temporary(f"{url}: {_reason(error)}") from error
            self.check_silent(raw)
            try:
                return json_object(raw, url)
            except ResponseError:
                return None  # another program answers there

        return await self._repeated(once, 0, min(2, self.address.retries))

    async def _repeated(
        self, once: Callable[[Spending], Any], tokens: int, retries: int
    ) -> Any:
        for attempt in range(retries + 1):
            try:
                with self.budget.attempt(tokens) as spending:
                    return await once(spending)
            except _Temporary as failure:
                if attempt == retries:
                    raise EndpointError(
                        self.key.hidden(visible(str(failure)))
                        + f" (tried {attempt + 1} times)"
                    ) from failure
                await asyncio.sleep(_pause(attempt, failure.wait))
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def _opened(
        self, path: str, body: Mapping[str, Any], spending: Spending
    ) -> AsyncIterator[Any]:
        """A response whose body is yet to be read, within the deadline."""
        openai = _openai()
        resource = self._client.completions
        if path == CHAT:
            resource = self._client.chat.completions
        create: Any = resource.with_streaming_response.create
        named = {k: body[k] for k in ("model", "prompt", "messages") if k in body}
        others = {k: v for k, v in body.items() if k not in named}
        without_key = {} if self.key.value else {"Authorization": openai.Omit()}
        refusal: Exception | None = None
        try:
            async with asyncio.timeout(self.address.timeout):
                async with create(
                    **named, extra_body=others, extra_headers=without_key
                ) as response:
                    yield response
        except openai.APIStatusError as error:
            if error.status_code < _SERVER_ERRORS and error.status_code != _TIMED_OUT:
                spending.settled(0)
            refusal = self._of_status(error)
        except (openai.APIConnectionError, _http_error()) as error:
            where = f"{self.address.url}{path}"
            raise _Temporary(f"{where}: {_reason(error)}") from error
        except TimeoutError as error:
            raise _Temporary(self._too_late(f"{self.address.url}{path}")) from error
        if refusal is not None:
            raise refusal  # here, where it does not refer to what holds the key

    def _too_late(self, url: str) -> str:
        return (
            f"{url}: no whole answer within {self.address.timeout:g} s (allow more: "
            "timeout=SECONDS)"
        )

    def _of_status(self, error: Any) -> Exception:
        status = error.status_code
        said = _words(error.body if error.body is not None else error.message)
        shown = visible(self.key.hidden(said)[:_SHOWN])
        message = f"{self.address.url} refuses (status {status}): {shown}"
        if status in (401, 403):
            return Refused(self._no_entry(error.response), status)
        if status in _AGAIN or status >= _SERVER_ERRORS:
            return _Temporary(message, _asked_to_wait(error.response.headers))
        return Refused(message, status)

    def _no_entry(self, response: Any) -> str:
        sent = f"the key in {self.key.variable}" if self.key.value else "no key"
        return (
            f"{self.address.url} refuses {sent} (status {response.status_code}); set "
            "NESCIO_API_KEY, or name the variable that holds the key with key=VARIABLE"
        )

    def check_silent(self, raw: bytes) -> None:
        """Refuse what repeats the key: it would be stored with the answer.

        Raises:
            ResponseError: it does.
        """
        if self.key.inside(raw):
            raise ResponseError(
                f"{self.address.url} repeats the key of {self.key.variable} in its "
                "answer; nothing of the answer is kept"
            )

    @property
    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key.value}"} if self.key.value else {}

    @cached_property
    def _http(self) -> Any:
        openai = _openai()
        # A redirection could lead the key and the prompts elsewhere.
        return openai.DefaultAsyncHttpxClient(
            follow_redirects=False,
            timeout=self.address.timeout,
            # A proxy would be sent what is not to leave this machine unencrypted.
            trust_env=not self.address.is_here,
        )

    @cached_property
    def _client(self) -> Any:
        client = _openai().AsyncOpenAI(
            base_url=self.address.url,
            api_key=self.key.value or "none",
            max_retries=0,
            http_client=self._http,
        )
        # Meant for OpenAI, and taken from the environment whatever the host is.
        client.organization = client.project = None
        return client


def _openai() -> Any:
    """The client library.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        import openai
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "endpoints need the openai client: pip install openai"
        ) from error
    return openai


def _http_error() -> type[Exception]:
    """What the HTTP library under the client raises (httpx, or its successor)."""
    base = _openai().DefaultAsyncHttpxClient.__mro__[1]
    return sys.modules[base.__module__.partition(".")[0]].HTTPError


async def _read(chunks: AsyncIterator[bytes]) -> bytes:
    parts, size = [], 0
    async for chunk in chunks:
        size += len(chunk)
        if size > _LARGEST:
            raise ResponseError(f"the server sent more than {_LARGEST:,} bytes")
        parts.append(chunk)
    return b"".join(parts)


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The data of server-sent events."""
    left, size = [], 0
    async for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        size += len(chunk)
        if size > _LARGEST:
            raise ResponseError(f"the server sent more than {_LARGEST:,} bytes")
        for line in whole:
            text = b"".join([*left, line]).strip()
            left = []
            if text.startswith(b"data:"):
                yield text.removeprefix(b"data:")
        if rest:
            left.append(rest)


def _generated(found: Mapping[str, Any], most: int) -> int:
    """How many tokens a server says it has generated; without a word, the most.

    No fewer than it lists, and none only for an answer without text.
    """
    usage, listed = found.get("usage"), _listed(found)
    count = usage.get("completion_tokens") if isinstance(usage, Mapping) else None
    if type(count) is not int or count < 0 or (count == 0 and listed is None):
        return most
    return max(count, listed or 0)


def _listed(found: Mapping[str, Any]) -> int | None:
    """How many tokens of answers are listed; None: there is text of unlisted ones."""
    choices, count = found.get("choices"), 0
    for choice in choices if isinstance(choices, list) else []:
        if not isinstance(choice, Mapping):
            return None
        logprobs = choice.get("logprobs")
        fields = logprobs if isinstance(logprobs, Mapping) else {}
        tokens = fields.get("content") or fields.get("tokens")
        if isinstance(tokens, list):
            count += len(tokens)
            continue
        inner = choice.get("message") or choice.get("delta")
        within = inner.get("content") if isinstance(inner, Mapping) else None
        if choice.get("text") or within:
            return None
    return count


def _pause(attempt: int, asked: float | None) -> float:
    if asked is not None:
        return min(asked, _LONGEST_WAIT)
    longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0**attempt)
    return longest * random.uniform(0.5, 1.0)


def _asked_to_wait(headers: Any) -> float | None:
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0.0 <= seconds < 1e6 else None


def _words(body: object) -> str:
    """What a server says of its refusal."""
    if isinstance(body, Mapping) and isinstance(body.get("message"), str):
        return str(body["message"])
    return str(body)


def _reason(error: BaseException) -> str:
    """The innermost cause, in a few words."""
    while error.__cause__ is not None:
        error = error.__cause__
    return visible(f"{type(error).__name__} {error}".strip())[:_SHOWN]
