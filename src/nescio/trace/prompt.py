"""Prompts: a text, a conversation, or a source with the beginning of its target."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from nescio.errors import InvalidInput, InvalidText, SchemaError
from nescio.visible import visible

__all__ = ["Message", "Prompt", "Role"]

Role = Literal["system", "user", "assistant", "tool"]
_LINE_END = "\n"


@dataclass(frozen=True)
class Message:
    """One turn of a conversation.

    Raises:
        InvalidInput: a role that no chat template knows.
    """

    role: Role
    content: str

    def __post_init__(self) -> None:
        if self.role not in get_args(Role):
            raise InvalidInput(f"unknown role {self.role!r}: one of {get_args(Role)}")


@dataclass(frozen=True)
class Prompt:
    """What a model is asked: exactly one of text, messages, or source.

    Args:
        text: continued as it stands.
        messages: a conversation, put through the model's chat template.
        source: for translation models, with ``target_prefix`` already decided.

    Raises:
        InvalidInput: none of them, or more than one.
        InvalidText: a lone surrogate, which has no UTF-8 bytes.

    Example:
        >>> Prompt(text="7 + 5 =").kind
        'text'
        >>> Prompt.of([{"role": "user", "content": "Hello"}]).messages[0].role
        'user'
    """

    text: str | None = None
    messages: tuple[Message, ...] = ()
    source: str | None = None
    target_prefix: str = ""

    def __post_init__(self) -> None:
        given = [self.text is not None, bool(self.messages), self.source is not None]
        if sum(given) != 1:
            raise InvalidInput(
                "a prompt is exactly one of text, messages and source; "
                f"{sum(given)} were given"
            )
        if self.target_prefix and self.source is None:
            raise InvalidInput("target_prefix goes with source only")
        _check_encodable(self)

    @staticmethod
    def of(prompt: Prompt | str | Sequence[Any]) -> Prompt:
        """A prompt from what people write: a text or a list of messages."""
        if isinstance(prompt, Prompt):
            return prompt
        if isinstance(prompt, str):
            return Prompt(text=prompt)
        return Prompt(messages=tuple(_message(message) for message in prompt))

    @property
    def kind(self) -> Literal["text", "messages", "source"]:
        """Which of the three this prompt is."""
        if self.text is not None:
            return "text"
        return "messages" if self.messages else "source"

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        if self.text is not None:
            return {"text": self.text}
        if self.source is not None:
            return {"source": self.source, "target_prefix": self.target_prefix}
        return {
            "messages": [{"role": m.role, "content": m.content} for m in self.messages]
        }

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> Prompt:
        """The prompt that `to_dict` wrote.

        Raises:
            SchemaError: a field is not what it should be.
            InvalidInput: as the class.
        """
        try:
            text, source = fields.get("text"), fields.get("source")
            target_prefix = fields.get("target_prefix", "")
            given = [cell for cell in (text, source) if cell is not None]
            for cell in (*given, target_prefix):
                if not isinstance(cell, str):
                    raise TypeError(f"{cell!r:.40} is no text")
            messages = tuple(_message(m) for m in fields.get("messages", ()))
            return Prompt(text, messages, source, target_prefix)
        except (AttributeError, TypeError) as error:
            raise SchemaError(f"not a prompt written by nescio: {error}") from error

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(visible(label))}</th>"
            f"<td style='text-align:left;white-space:pre-wrap'>"
            f"{html.escape(visible(text, keep=_LINE_END))}</td></tr>"
            for label, text in _parts(self)
        )
        return f"<table>{rows}</table>"


def _parts(prompt: Prompt) -> list[tuple[str, str]]:
    """What a prompt consists of, each part with what it is."""
    if prompt.text is not None:
        return [("text", prompt.text)]
    if prompt.source is None:
        return [(message.role, message.content) for message in prompt.messages]
    parts = [("source", prompt.source)]
    return [*parts, ("target", prompt.target_prefix)] if prompt.target_prefix else parts


def _message(message: Any) -> Message:
    if isinstance(message, Message):
        return message
    try:
        role, content = message["role"], message["content"]
    except (KeyError, TypeError) as error:
        raise InvalidInput(
            f"a message has 'role' and 'content'; got {message!r}"
        ) from error
    if not isinstance(content, str):
        raise InvalidInput(f"a message's content is text; got {content!r}")
    return Message(role, content)


def _check_encodable(prompt: Prompt) -> None:
    texts = [prompt.text, prompt.source, prompt.target_prefix]
    texts += [message.content for message in prompt.messages]
    for text in texts:
        try:
            (text or "").encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidText(
                f"the prompt holds a lone surrogate at character {error.start}: "
                "it has no UTF-8 bytes; remove it"
            ) from error
