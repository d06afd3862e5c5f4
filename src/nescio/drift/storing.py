"""A directory of one run: what was asked, and traces written as whole files or not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nescio.errors import InvalidInput, SchemaError
from nescio.outcome.fields import once
from nescio.trace import Trace, read_traces, write_traces

__all__ = [
    "JOB_FILE",
    "begin",
    "held",
    "read_chunk",
    "read_json",
    "write_chunk",
    "write_json",
]

JOB_FILE = "job.json"
_LOCK, _PART = ".lock", ".part"


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Work in a directory alone; made if it is not there.

    Raises:
        InvalidInput: no directory one can write to, or another process is at work.
    """
    from filelock import FileLock, Timeout

    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / _LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InvalidInput(
            f"{directory}: another process is at work on this run; wait for it, or "
            "name another directory"
        ) from error
    except OSError as error:
        raise InvalidInput(
            f"{directory} cannot be written: {error.strerror}; name a directory one "
            "can write to"
        ) from error
    try:
        yield
    finally:
        lock.release()


def begin(directory: Path, asked: Mapping[str, Any]) -> None:
    """Note what is asked, or see that a run that is there was asked the same.

    Raises:
        InvalidInput: the directory holds another run, or something else.
        SchemaError: its ``job.json`` is damaged.
    """
    path = directory / JOB_FILE
    if not path.exists():
        foreign = sorted(p.name for p in directory.iterdir() if p.name[0] != ".")
        if foreign:
            raise InvalidInput(
                f"{directory} is not empty ({foreign[0]!r} is there) and holds no run; "
                "name a new directory"
            )
        write_json(path, asked)
        return
    there = read_json(path)
    now = json.loads(json.dumps(dict(asked)))
    if not isinstance(there, dict):
        raise SchemaError(f"{path} holds no object")
    other = [name for name in {**there, **now} if there.get(name) != now.get(name)]
    if other:
        first = other[0]
        raise InvalidInput(
            f"{directory} holds another run: {', '.join(other)} differ; {first} is "
            f"{there.get(first)!r:.120} there and {now.get(first)!r:.120} now. Ask for "
            "the same again, or name another directory"
        )
    for path in directory.glob(f".*{_PART}"):
        path.unlink(missing_ok=True)


def write_json(path: Path, fields: Mapping[str, Any]) -> None:
    """Write JSON as a whole or not at all.

    Raises:
        InvalidInput: it cannot be written.
    """
    text = json.dumps(dict(fields), indent=1, allow_nan=False) + "\n"
    beside = _beside(path)
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


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
    beside = _beside(path)
    try:
        write_traces(beside, traces)
        beside.replace(path)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written: {error.strerror}; what was finished is kept, "
            "and the same call goes on from there"
        ) from error
    finally:
        beside.unlink(missing_ok=True)


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


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}{_PART}")


def _refuse_constant(name: str) -> Any:
    raise SchemaError(f"{name} is no JSON number")
