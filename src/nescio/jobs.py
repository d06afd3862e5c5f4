"""The directory of a job: one process works in it, its files are whole or absent."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nescio.errors import InvalidInput

__all__ = [
    "JOB_FILE",
    "check_empty",
    "check_same",
    "held",
    "remove_partial",
    "unwritable",
    "write_file",
    "written",
]

JOB_FILE = "job.json"
"""What is asked stands there; a directory with it has begun."""
_LOCK = ".lock"


@contextmanager
def held(directory: Path, *, parents: bool = False) -> Iterator[None]:
    """Work in a directory alone, made if it is not there; leave no empty one behind.

    Args:
        directory: of the job.
        parents: whether the directories above it are made too.

    Raises:
        InvalidInput: no directory one can write to, or another process is at work.
    """
    from filelock import FileLock, Timeout

    made = _made(directory, parents=parents)
    lock = FileLock(directory / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InvalidInput(
            f"{directory}: another process is at work on this job; wait for it, or "
            "name another directory"
        ) from error
    except OSError as error:
        raise _no_directory(directory, error) from error
    try:
        yield
    finally:
        begun = (directory / JOB_FILE).exists()
        if not begun:
            (directory / _LOCK).unlink(missing_ok=True)
        lock.release()
        if made and not begun:
            with contextlib.suppress(OSError):  # not empty: somebody else's by now
                directory.rmdir()


def _made(directory: Path, *, parents: bool) -> bool:
    if directory.exists() and not directory.is_dir():
        raise InvalidInput(f"{directory} is a file; name a directory")
    try:
        directory.mkdir(parents=parents)
    except FileExistsError:
        return False
    except OSError as error:
        raise _no_directory(directory, error) from error
    return True


def check_same(
    directory: Path, there: Mapping[str, Any], now: Mapping[str, Any]
) -> None:
    """Refuse to go on with another job, saying what differs.

    Raises:
        InvalidInput: naming each setting, as it is there and as it is now.
    """
    one, other = _flat(there), _flat(now)
    differing = [
        f"{name} is {one.get(name)!r} there and {other.get(name)!r} now"
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    ]
    if differing:
        raise InvalidInput(
            f"{directory} holds another job: {'; '.join(differing[:6])}. Ask for the "
            "same again, or name another directory"
        )


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            found |= _flat(inner, f"{prefix}{key}.")
        else:
            found[prefix + key] = inner
    return found


def check_empty(directory: Path, *, empty: tuple[str, ...] = ()) -> None:
    """Refuse a directory with anything but what a job leaves that has not begun.

    Args:
        directory: of the job.
        empty: folders that may be there if nothing is in them.

    Raises:
        InvalidInput: naming one of the files that are there.
    """
    foreign = sorted(
        path.name
        for path in directory.iterdir()
        if path.name not in (_LOCK, f".{JOB_FILE}.part")
        and not (path.name in empty and path.is_dir() and not any(path.iterdir()))
    )
    if foreign:
        raise InvalidInput(
            f"{directory} is not empty ({foreign[0]!r} is there) and holds no job of "
            "nescio; name a new directory"
        )


def remove_partial(directory: Path) -> None:
    """Remove the files that a process which was killed had not finished."""
    for path in directory.glob(".*.part"):
        path.unlink(missing_ok=True)


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Where to write a file that then appears as a whole, on the disk, or not at all.

    Raises:
        InvalidInput: it cannot be written; what was there stays.
    """
    partial = path.with_name(f".{path.name}.part")
    try:
        try:
            yield partial
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
            _settle(path.parent)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def write_file(path: Path, content: bytes | memoryview) -> None:
    """Write a file as a whole or not at all, and see it on the disk.

    Raises:
        InvalidInput: it cannot be written; what was there stays.
    """
    with written(path) as partial:
        partial.write_bytes(content)


def _settle(directory: Path) -> None:
    """See a new name on the disk too, where a directory can be opened for that."""
    if os.name == "nt":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unwritable(path: Path, error: OSError) -> InvalidInput:
    """The refusal of a job that cannot write."""
    return InvalidInput(
        f"{path} cannot be written: {error.strerror}; what was finished is kept, and "
        "the same command goes on from there"
    )


def _no_directory(directory: Path, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"{directory} cannot be written: {error.strerror}; name a directory one can "
        "write to, in one that is there"
    )
