"""A directory of one run: what was asked, and traces written as whole files or not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nescio.errors import InvalidInput, SchemaError
from nescio.jobs import (
    JOB_FILE,
    check_empty,
    check_same,
    remove_partial,
    write_file,
    written,
)
from nescio.outcome.fields import once
from nescio.trace import Trace, read_traces, write_traces

__all__ = ["begin", "read_chunk", "read_json", "write_chunk", "write_json"]


def begin(directory: Path, asked: Mapping[str, Any]) -> None:
    """Note what is asked, or see that a run that is there was asked the same.

    Raises:
        InvalidInput: the directory holds another run, or something else.
        SchemaError: its ``job.json`` is damaged.
    """
    path = directory / JOB_FILE
    if not path.exists():
        check_empty(directory)
        write_json(path, asked)
        return
    there = read_json(path)
    if not isinstance(there, dict):
        raise SchemaError(f"{path} holds no object")
    check_same(directory, there, json.loads(json.dumps(dict(asked))))
    remove_partial(directory)


def write_json(path: Path, fields: Mapping[str, Any]) -> None:
    """Write JSON as a whole or not at all.

    Raises:
        InvalidInput: it cannot be written.
    """
    text = json.dumps(dict(fields), indent=1, allow_nan=False) + "\n"
    write_file(path, text.encode("ascii"))


def read_json(path: Path) -> Any:
    """JSON values; what is not JSON is refused, and no field may stand twice.

    Raises:
        InvalidInput: there is no such file.
        SchemaError: not JSON.
    """
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file")
    try:
        return json.loads(
            path.read_text(encoding="utf-8"),
            parse_constant=_refuse_constant,
            object_pairs_hook=once,
        )
    except (OSError, RecursionError, ValueError) as error:
        raise SchemaError(f"{path.name}: {error}") from error


def write_chunk(path: Path, traces: Sequence[Trace]) -> None:
    """Write traces as one Parquet file, as a whole or not at all.

    Raises:
        InvalidInput: it cannot be written; what was finished stays.
    """
    with written(path) as partial:
        write_traces(partial, traces)


def read_chunk(path: Path, count: int) -> list[Trace] | None:
    """The traces of a file, or None where it is not there yet.

    Raises:
        SchemaError: damaged, or another number of traces.
    """
    if not path.exists():
        return None
    try:
        found = list(read_traces(path))
    except SchemaError as error:
        raise SchemaError(
            f"{path}: {error}. Delete it, and it is made again"
        ) from error
    if len(found) != count:
        raise SchemaError(
            f"{path} holds {len(found)} traces, not {count}. Delete it, and it is made "
            "again"
        )
    return found


def _refuse_constant(name: str) -> Any:
    raise SchemaError(f"{name} is no JSON number")
