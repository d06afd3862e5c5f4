"""What a person asks for: a text to score, or a prompt to answer."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nescio.errors import InvalidInput, InvalidText

if TYPE_CHECKING:
    from nescio.trace import Prompt

__all__ = ["asked_prompt", "asked_text"]


def asked_text(text: str | None, file: Path | None) -> bytes:
    """The text to score: typed, from a file, or from standard input.

    Raises:
        InvalidInput: no such file, or nothing given.
        InvalidText: it is empty.
    """
    if file is not None:
        found = _read(file)
    elif text is not None and text != "-":
        found = text.encode("utf-8", errors="surrogateescape")
    elif text is None and sys.stdin.isatty():
        raise InvalidInput("nothing to trace: give TEXT, --file, or --generate PROMPT")
    else:
        found = sys.stdin.buffer.read()
    if not found:
        raise InvalidText("the text is empty: there is nothing to trace")
    return found


def asked_prompt(
    generate: str | None, messages: Path | None, system: str | None
) -> Prompt | None:
    """The prompt to answer, or None if none was given.

    Raises:
        InvalidInput: a system message without a prompt, messages that are not a list
            of messages.
    """
    from nescio.trace import Message, Prompt

    if system is not None and generate is None:
        raise InvalidInput("--system goes with --generate")
    if generate is not None:
        if system is None:
            return Prompt(text=generate)
        return Prompt(messages=(Message("system", system), Message("user", generate)))
    return None if messages is None else Prompt.of(_read_messages(messages))


def _read_messages(path: Path) -> list[Any]:
    try:
        fields = json.loads(_read(path).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path}: not JSON: {error}") from error
    if not isinstance(fields, list) or not fields:
        raise InvalidInput(
            f"{path}: a list of messages with role and content is needed"
        )
    return fields


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from error
