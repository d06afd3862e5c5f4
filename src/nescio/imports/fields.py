"""Fields of objects from elsewhere: ids, texts, conversations, settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from reprlib import repr as short
from typing import Any, get_args

from nescio.errors import SchemaError
from nescio.responses.parsing import utf8
from nescio.trace import Message, Prompt
from nescio.trace.prompt import Role

__all__ = ["conversation", "item_id", "settings_in", "text_of", "whole_number"]

_LONGEST_ID = 1000
_ROLES: Mapping[str, Role] = {"developer": "system", "function": "tool"}
_SETTINGS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "typical_p",
    "max_tokens",
    "max_completion_tokens",
    "max_gen_toks",
    "n_predict",
    "frequency_penalty",
    "presence_penalty",
    "repeat_penalty",
    "do_sample",
    "stop",
    "until",
    "n",
    "num_choices",
    "seed",
    "logprobs",
    "top_logprobs",
    "n_probs",
    "prompt_logprobs",
    "echo",
)


def item_id(value: Any) -> str:
    """The name of an item.

    Raises:
        SchemaError: no text and no whole number, empty, or very long.
        ResponseError: a lone surrogate.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID:
        raise SchemaError(f"its id is {short(value)}, no short text and no number")
    utf8(value)
    return value


def whole_number(value: Any, what: str) -> int:
    """A whole number from 0 on.

    Raises:
        SchemaError: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SchemaError(f"{what} is {short(value)}, no whole number")
    return value


def text_of(content: Any, attachments: Mapping[str, Any] | None = None) -> str:
    """The text of a message: a text, or parts of which each is one.

    What a model only thought (parts of ``reasoning``) is no part of its text.

    Raises:
        SchemaError: nothing that is text; a part that is an image, a sound, a file.
        ResponseError: a lone surrogate.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        found = _attached(content, attachments or {})
        utf8(found)
        return found
    if not isinstance(content, list):
        raise SchemaError(f"the content of a message is {short(content)}, no text")
    return "".join(
        text_of(_part(part), attachments)
        for part in content
        if not (isinstance(part, Mapping) and part.get("type") == "reasoning")
    )


def _part(part: Any) -> Any:
    if not isinstance(part, Mapping):
        raise SchemaError(f"a part of a message is {short(part)}, no object")
    if part.get("type") not in ("text", "input_text", "output_text"):
        raise SchemaError(
            f"a part of a message is {short(part.get('type'))}: only texts are read"
        )
    if not isinstance(part.get("text"), str):
        raise SchemaError(f"a part of a message has the text {short(part.get('text'))}")
    return part["text"]


def _attached(text: str, attachments: Mapping[str, Any]) -> str:
    scheme, _, name = text.partition("://")
    if scheme != "attachment" or len(text) > _LONGEST_ID:
        return text
    found = attachments.get(name)
    if not isinstance(found, str):
        raise SchemaError(f"{short(text)} is not among the attachments")
    return found


def conversation(messages: Any, attachments: Mapping[str, Any] | None = None) -> Prompt:
    """A prompt of messages.

    Raises:
        SchemaError: no messages, one that is no text, or a role that no template knows.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        raise SchemaError(f"messages are {short(messages)}, no array of them")
    found = []
    for message in messages:
        if not isinstance(message, Mapping):
            raise SchemaError(f"a message is {short(message)}, no object")
        text = text_of(message.get("content"), attachments)
        found.append(Message(_role(message.get("role")), text))
    return Prompt(messages=tuple(found))


def _role(given: Any) -> Role:
    for role in get_args(Role):
        if given == role:
            return role
    if isinstance(given, str) and given in _ROLES:
        return _ROLES[given]
    raise SchemaError(f"the role of a message is {short(given)}, none that is known")


def settings_in(fields: Any) -> dict[str, Any]:
    """Settings of the generation that are worth keeping, as plain JSON values."""
    if not isinstance(fields, Mapping):
        return {}
    return {
        name: fields[name]
        for name in _SETTINGS
        if fields.get(name) is not None and _plain(fields[name])
    }


def _plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(isinstance(one, str) for one in value)
    return isinstance(value, bool | int | str)
