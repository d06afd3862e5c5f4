"""The JSON objects of a file, one at a time: JSON lines, one document, or a zip."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from nescio.errors import InvalidInput, SchemaError
from nescio.imports.zipped import is_zip, zip_members

__all__ = ["Entries", "Entry", "entries_of", "json_value"]

Entry = tuple[str, Mapping[str, Any] | str]
"""Where an object stands, and the object, or what is wrong with it."""
Entries = Iterator[Entry]

_LONGEST_LINE = 2**28
_LARGEST_DOCUMENT = 2**30


def entries_of(path: Path) -> Entries:
    """The objects of a file, good and bad.

    Raises:
        InvalidInput: no such file, a directory, or something that is no file.
        SchemaError: an empty file, a damaged zip, or nothing that could be JSON.
    """
    _check_file(path)
    try:
        if is_zip(path):
            for name, raw in zip_members(path):
                yield name, raw if isinstance(raw, str) else _object(raw)
        elif _begins_with_whole_object(path):
            yield from _lines(path)
        else:
            yield from _document(path)
    except OSError as error:
        raise SchemaError(f"it cannot be read: {error.strerror or error}") from error


def json_value(raw: bytes) -> Any:
    """A JSON value. NaN and infinities pass: some programs write them.

    Raises:
        SchemaError: not UTF-8, not JSON, or nested too deeply.
    """
    try:
        return json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise SchemaError(
            f"not valid UTF-8 at byte {error.start} (0x{raw[error.start]:02x})"
        ) from error
    except json.JSONDecodeError as error:
        raise SchemaError(f"not JSON: {error.msg} at character {error.pos}") from error
    except ValueError as error:
        raise SchemaError(f"not JSON that can be read: {error}") from error
    except RecursionError as error:
        raise SchemaError("JSON that is nested too deeply") from error


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InvalidInput(f"{path} is a directory; name a file in it")
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise SchemaError("the file is empty")


def _object(raw: bytes) -> Mapping[str, Any] | str:
    try:
        value = json_value(raw)
    except SchemaError as error:
        return str(error)
    return value if isinstance(value, dict) else f"not an object but {_kind(value)}"


def _kind(value: Any) -> str:
    return {list: "an array", str: "a text", type(None): "null"}.get(
        type(value), "a number or a truth value"
    )


def _begins_with_whole_object(path: Path) -> bool:
    """Whether the first line that is not blank is an object for itself."""
    for _, line in _raw_lines(path):
        return line is not None and isinstance(_object(line), dict)
    return True


def _lines(path: Path) -> Entries:
    for number, line in _raw_lines(path):
        if line is None:
            reason = f"longer than {_LONGEST_LINE:,} bytes: it is not read"
            yield f"line {number}", reason
        else:
            yield f"line {number}", _object(line)


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """Lines that are not blank; None for one that is too long."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_LONGEST_LINE):
            number += 1
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
                _skip_line(file)
                yield number, None
            elif line.strip():
                yield number, line


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(_LONGEST_LINE)) and not rest.endswith(b"\n"):
        pass


def _document(path: Path) -> Entries:
    """A file that is one JSON value, over several lines or an array."""
    size = path.stat().st_size
    if size > _LARGEST_DOCUMENT:
        raise SchemaError(
            f"it is one JSON value of {size:,} bytes or begins with a line "
            "that is no JSON object; write one object a line (jq -c '.[]')"
        )
    try:
        value = json_value(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except SchemaError as error:
        bad = list(_lines(path))
        if any(isinstance(found, dict) for _, found in bad):
            yield from bad
            return
        raise SchemaError(f"{bad[0][0]}: {error}") from error
    if isinstance(value, dict):
        yield "the file", value
        return
    if not isinstance(value, list):
        raise SchemaError(f"it is no object and no array but {_kind(value)}")
    for number, one in enumerate(value, start=1):
        known = isinstance(one, dict)
        yield f"entry {number}", one if known else f"not an object but {_kind(one)}"
