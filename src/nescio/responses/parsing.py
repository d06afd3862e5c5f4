"""JSON from elsewhere, believed only as far as it was looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nescio.errors import ResponseError

__all__ = ["array_in", "json_object", "number_in", "object_in", "text_in", "utf8"]

_SHOWN = 80


def json_object(raw: bytes | str, where: str) -> Mapping[str, Any]:
    """A JSON object.

    Raises:
        ResponseError: not JSON, not an object, NaN or Infinity, nested without end.
    """
    try:
        found = json.loads(raw, parse_constant=_no_number)
    except (RecursionError, ValueError) as error:
        shown = raw[:_SHOWN]
        raise ResponseError(f"{where} is not JSON: {error}; got {shown!r}") from error
    if not isinstance(found, Mapping):
        raise ResponseError(f"{where} is not an object; got {_short(found)}")
    return found


def object_in(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object of that name.

    Raises:
        ResponseError: it is missing, or something else.
    """
    found = fields.get(name)
    if not isinstance(found, Mapping):
        raise ResponseError(f"{name} should be an object; got {_short(found)}")
    return found


def array_in(fields: Mapping[str, Any], name: str) -> list[Any]:
    """The array of that name.

    Raises:
        ResponseError: it is missing, or something else.
    """
    found = fields.get(name)
    if not isinstance(found, list):
        raise ResponseError(f"{name} should be an array; got {_short(found)}")
    return found


def text_in(fields: Mapping[str, Any], name: str) -> str:
    """The text of that name, which has UTF-8 bytes.

    Raises:
        ResponseError: it is missing, something else, or holds a lone surrogate.
    """
    found = fields.get(name)
    if not isinstance(found, str):
        raise ResponseError(f"{name} should be a text; got {_short(found)}")
    utf8(found)
    return found


def utf8(text: str) -> bytes:
    """The bytes of a text.

    Raises:
        ResponseError: it holds a lone surrogate.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ResponseError(
            f"{_short(text)} holds a lone surrogate at character {error.start}: it has "
            "no UTF-8 bytes"
        ) from error


def number_in(fields: Mapping[str, Any], name: str) -> float:
    """The number of that name.

    Raises:
        ResponseError: it is missing, or something else.
    """
    found = fields.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ResponseError(f"{name} should be a number; got {_short(found)}")
    try:
        return float(found)
    except OverflowError as error:
        raise ResponseError(f"{name} is too large a number") from error


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
