"""Answers in the shapes of the OpenAI API, as vLLM and llama.cpp give them too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, Literal

from nescio.errors import ResponseError
from nescio.responses.parsing import array_in, object_in, text_in, utf8
from nescio.responses.revealed import Response, Revealed, spelled
from nescio.responses.tokens import listed_tokens, named_tokens, vllm_prompt_tokens
from nescio.trace.trace import Stop

__all__ = [
    "is_last",
    "read_body",
    "read_chat",
    "read_chunk",
    "read_completion",
    "read_llama",
    "shape_of",
]

Shape = Literal["chat", "completion", "llama"]
_STOPS: Mapping[str, Stop] = {
    "stop": "eos",
    "eos": "eos",
    "length": "length",
    "limit": "length",
    "word": "stop_string",
    "content_filter": "error",
}


def shape_of(body: Mapping[str, Any]) -> Shape:
    """Which of the three shapes a body has.

    Raises:
        ResponseError: none of them, or an error message.
    """
    if "error" in body and body["error"] is not None:
        raise ResponseError(
            f"the server answered with an error: {body['error']!r:.300}"
        )
    if isinstance(choices := body.get("choices"), list) and choices:
        first = choices[0]
        if isinstance(first, Mapping) and "message" in first:
            return "chat"
        if isinstance(first, Mapping) and "text" in first:
            return "completion"
    if "content" in body and ("completion_probabilities" in body or "stop" in body):
        return "llama"
    raise ResponseError(
        f"no answer in a shape of the OpenAI API; its fields are {sorted(body)!r:.200}"
    )


def read_body(
    body: Mapping[str, Any], *, stop: Sequence[str] = ()
) -> tuple[Response, ...]:
    """All answers of a body of any known shape, by their index.

    Args:
        body: what the server said.
        stop: the stop texts that were asked for; they tell the two kinds of "stop"
            apart.

    Raises:
        ResponseError: it is no such body, or says what cannot be.

    Example:
        >>> body = {"choices": [{"index": 0, "text": " 12", "finish_reason": "stop"}]}
        >>> read_body(body)[0].text, read_body(body)[0].stop
        (' 12', 'eos')
    """
    readers = {"chat": read_chat, "completion": read_completion, "llama": read_llama}
    return readers[shape_of(body)](body, stop=stop)


def read_chat(
    body: Mapping[str, Any], *, stop: Sequence[str] = ()
) -> tuple[Response, ...]:
    """The answers of ``/v1/chat/completions``.

    Raises:
        ResponseError: as `read_body`; an answer without text (a call of a tool).
    """
    found = {}
    for number, choice in _choices(body):
        text = text_in(object_in(choice, "message"), "content")
        found[number] = _response(choice, text, _tokens(choice), stop)
    return _whole(body, found)


def read_completion(
    body: Mapping[str, Any], *, stop: Sequence[str] = (), echoed: str | None = None
) -> tuple[Response, ...]:
    """The answers of ``/v1/completions``.

    Args:
        body, stop: as `read_body`.
        echoed: the prompt, if the server was asked to repeat it with its tokens.

    Raises:
        ResponseError: as `read_body`; the answer does not begin with ``echoed``.
    """
    found = {}
    for number, choice in _choices(body):
        text, tokens = text_in(choice, "text"), _tokens(choice)
        if echoed is None:
            found[number] = _response(choice, text, tokens, stop)
        else:
            found[number] = _after(_response(choice, text, tokens, stop), echoed)
    return _whole(body, found)


def read_llama(
    body: Mapping[str, Any], *, stop: Sequence[str] = ()
) -> tuple[Response, ...]:
    """The answer of llama.cpp's own ``/completion``.

    Raises:
        ResponseError: as `read_body`; probabilities after sampling.
    """
    text = text_in(body, "content")
    listed = body.get("completion_probabilities")
    tokens = None if listed is None else listed_tokens(_array(listed))
    ended = body.get("stop_type")
    choice = {"finish_reason": None if ended == "none" else ended}
    count = body.get("tokens_predicted")
    response = _response(choice, text, tokens, stop)
    if type(count) is int and count >= 0:
        response = replace(response, token_count=count)
    return (response,)


def read_chunk(
    event: Mapping[str, Any], *, stop: Sequence[str] = ()
) -> Response | None:
    """What one event of a stream adds to an answer; None: nothing.

    Raises:
        ResponseError: it says that something failed, or what cannot be.
    """
    if event.get("error") is not None:
        raise ResponseError(f"the stream broke off: {event['error']!r:.300}")
    choices = event.get("choices")
    if not isinstance(choices, list) or not choices:
        return None
    ((_, choice), *_) = _choices(event)
    if "delta" in choice:
        content = object_in(choice, "delta").get("content")
    else:
        content = choice.get("text")
    text = text_in({"content": content or ""}, "content")
    return _response(choice, text, _tokens(choice), stop)


def is_last(event: Mapping[str, Any]) -> bool:
    """Whether an event of a stream says that the answer has ended."""
    return bool(event.get("choices")) and any(
        choice.get("finish_reason") is not None for _, choice in _choices(event)
    )


def _choices(body: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    found = []
    for place, choice in enumerate(array_in(body, "choices")):
        if not isinstance(choice, Mapping):
            raise ResponseError(f"a choice should be an object; got {choice!r:.60}")
        number = choice.get("index", place)
        if type(number) is not int or number in [known for known, _ in found]:
            raise ResponseError(f"choice {place} has index {number!r:.40}")
        found.append((number, choice))
    return sorted(found, key=lambda item: item[0])


def _whole(
    body: Mapping[str, Any], found: Mapping[int, Response]
) -> tuple[Response, ...]:
    """All answers, with what the body says of them together."""
    if not found:
        raise ResponseError("the response holds no answer (choices is empty)")
    answers = tuple(found.values())
    prompt = body.get("prompt_logprobs")
    if prompt is None and len(answers) == 1:
        prompt = body["choices"][0].get("prompt_logprobs")
    if prompt is not None:
        scored = vllm_prompt_tokens(_array(prompt))
        answers = tuple(replace(answer, prompt_tokens=scored) for answer in answers)
    return _counted(answers, body.get("usage"))


def _counted(answers: tuple[Response, ...], usage: Any) -> tuple[Response, ...]:
    """The answers with how many tokens the server says there are."""
    if not isinstance(usage, Mapping):
        return answers
    read, made = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(read) is int and 0 <= read < 2**31:
        answers = tuple(replace(a, prompt_token_count=read) for a in answers)
    if type(made) is int and made >= 0 and len(answers) == 1:
        answers = (replace(answers[0], token_count=made),)
    return answers


def _tokens(choice: Mapping[str, Any]) -> tuple[Revealed, ...] | None:
    logprobs = choice.get("logprobs")
    if logprobs is None:
        return None
    if not isinstance(logprobs, Mapping):
        raise ResponseError(f"logprobs should be an object; got {logprobs!r:.60}")
    if logprobs.get("content") is not None:
        return listed_tokens(array_in(logprobs, "content"))
    if logprobs.get("tokens") is not None:
        return named_tokens(logprobs)
    return None


def _response(
    choice: Mapping[str, Any],
    text: str,
    tokens: tuple[Revealed, ...] | None,
    stop: Sequence[str],
) -> Response:
    reason = choice.get("finish_reason")
    if reason is not None and (not isinstance(reason, str) or reason not in _STOPS):
        raise ResponseError(
            f"the answer ended by {reason!r:.60}: only texts can be measured"
        )
    ended = None if reason is None else _STOPS[reason]
    if reason == "stop":
        ended = _which_stop(choice, text, tokens, stop)
    if stop and reason in ("stop", "word"):
        tokens = _with_hidden(text, tokens)
    return Response(text, tokens, ended, None, None if tokens is None else len(tokens))


def _which_stop(
    choice: Mapping[str, Any],
    text: str,
    tokens: tuple[Revealed, ...] | None,
    stop: Sequence[str],
) -> Stop | None:
    """Whether "stop" means the end token or a stop text; None: it cannot be told.

    vLLM says it by ``stop_reason``. llama.cpp cuts the stop text off the text and off
    the tokens, and says nothing.
    """
    if isinstance(choice.get("stop_reason"), str):
        return "stop_string"
    if _holds(utf8(text) if tokens is None else spelled(tokens), stop):
        return "stop_string"
    return None if stop and "stop_reason" not in choice else "eos"


def _with_hidden(
    text: str, tokens: tuple[Revealed, ...] | None
) -> tuple[Revealed, ...] | None:
    """The tokens, and as one unrevealed piece what the source took away with the stop.

    llama.cpp takes away as many tokens as it would spell the stop text with, however
    many it was generated with; part of the text before it then has none.
    """
    raw, known = utf8(text), spelled(tokens or ())
    if tokens is not None and len(known) < len(raw) and raw.startswith(known):
        return (*tokens, Revealed(raw[len(known) :], None))
    return tokens


def _holds(text: bytes, stop: Sequence[str]) -> bool:
    return any(each.encode("utf-8") in text for each in stop)


def _after(response: Response, echoed: str) -> Response:
    """The answer behind a repeated prompt, and the tokens of that prompt.

    Raises:
        ResponseError: the prompt is not there, or a token stands across its end.
    """
    if not response.text.startswith(echoed):
        raise ResponseError("the server was asked to repeat the prompt and did not")
    if response.tokens is None:
        return Response(response.text[len(echoed) :], None, response.stop)
    ends = list(accumulate(len(token.buffer) for token in response.tokens))
    length = len(utf8(echoed))
    if length not in ends:
        raise ResponseError("no token of the server ends where the prompt does")
    place = ends.index(length) + 1
    prompt, answer = response.tokens[:place], response.tokens[place:]
    return Response(
        response.text[len(echoed) :], answer, response.stop, prompt, len(answer)
    )


def _array(value: Any) -> list[Any]:
    return array_in({"array": value}, "array")
