"""The output of OpenAI's Batch API, joined with the requests where those are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nescio.errors import NescioError, SchemaError
from nescio.imports.answering import Asked, Place, Reading, answers_in
from nescio.imports.entries import Entries, entries_of
from nescio.imports.fields import conversation, item_id, settings_in
from nescio.imports.imported import Fact, Note, Skipped
from nescio.trace import Prompt

__all__ = ["asked_in", "read_batch", "read_requests"]

_OK = 200


def read_batch(
    entries: Entries, reading: Reading, requests: Path | None = None
) -> Iterator[Fact]:
    """The answers of a batch, an item a ``custom_id``.

    Raises:
        SchemaError: the requests cannot be read.
    """
    asked = None if requests is None else read_requests(requests)
    seen: dict[str, str] = {}
    for where, entry in entries:
        if isinstance(entry, str):
            yield Skipped(where, entry)
            continue
        try:
            item = item_id(entry.get("custom_id"))
            if item in seen:
                raise SchemaError(f"{item!r} was answered before, on {seen[item]}")
            seen[item] = where
            place = Place(item, f"{where} ({item})")
            yield from answers_in(_body(entry), place, _asked(asked, item), reading)
        except NescioError as error:
            yield Skipped(where, str(error))
    yield from _left_over(asked, seen)


def _asked(asked: Mapping[str, Asked] | None, item: str) -> Asked:
    if asked is None:
        return Asked()
    if item not in asked:
        raise SchemaError(f"{item!r} is not among the requests")
    return asked[item]


def _left_over(
    asked: Mapping[str, Asked] | None, seen: Mapping[str, str]
) -> Iterator[Fact]:
    if asked is None:
        yield Note(
            "prompts and settings are unknown: a batch's output does not hold them; "
            "name the file of requests (requests=)"
        )
    for item in asked or ():
        if item not in seen:
            yield Skipped(f"the request {item!r}", "it has no answer in this file")


def _body(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The body of a response that succeeded.

    Raises:
        SchemaError: it did not, or there is none.
    """
    if entry.get("error") is not None:
        raise SchemaError(f"the request failed: {entry['error']!r:.300}")
    response = entry.get("response")
    if not isinstance(response, Mapping):
        if "url" in entry and "body" in entry:
            raise SchemaError(
                "a request and no response: this is the input of a batch; read the "
                "output, and name this file as the requests (requests=)"
            )
        raise SchemaError(f"its response is {response!r:.60}, no object")
    status, body = response.get("status_code"), response.get("body")
    if status != _OK:
        raise SchemaError(
            f"the request failed with status {status!r:.20}: {body!r:.300}"
        )
    if not isinstance(body, Mapping):
        raise SchemaError(f"the body of its response is {body!r:.60}, no object")
    return body


def read_requests(path: Path) -> dict[str, Asked]:
    """What was asked, by ``custom_id``.

    Raises:
        SchemaError: a line that is no request, or an id that comes twice; names it.
    """
    found: dict[str, Asked] = {}
    for where, entry in entries_of(path):
        try:
            if isinstance(entry, str):
                raise SchemaError(entry)
            item = item_id(entry.get("custom_id"))
            if item in found:
                raise SchemaError(f"{item!r} is asked twice")
            found[item] = asked_in(entry.get("body"))
        except NescioError as error:
            raise SchemaError(f"{path.name}, {where}: {error}") from error
    return found


def asked_in(body: Any) -> Asked:
    """What a request body asks.

    Raises:
        SchemaError: no object; neither messages nor one prompt.
    """
    if not isinstance(body, Mapping):
        raise SchemaError(f"the body of a request is {body!r:.60}, no object")
    settings = settings_in(body)
    if "messages" in body:
        return Asked(conversation(body["messages"]), settings)
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise SchemaError(
            f"it has neither messages nor a prompt of one text: {prompt!r:.60}; write "
            "one request a prompt"
        )
    return Asked(Prompt(text=prompt), settings, body.get("echo") is True)
