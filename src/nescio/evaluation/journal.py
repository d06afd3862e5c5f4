"""A file that keeps results one by one, so that a run that is killed goes on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nescio.errors import InvalidInput, SchemaError

__all__ = ["Journal", "digest_of"]


def digest_of(value: Any) -> str:
    """SHA-256 of JSON values, written in one way.

    Example:
        >>> digest_of({"b": 1, "a": 2}) == digest_of({"a": 2, "b": 1})
        True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


@dataclass(frozen=True)
class Journal:
    """JSON lines: first what was asked, then ``[number, result]`` as they come.

    Args:
        path: the file; made when it is first written to.
        heading: what was asked; the file of another question is refused.
    """

    path: Path
    heading: Mapping[str, Any]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Read and write alone: two runs would each draw what the other draws.

        Raises:
            InvalidInput: another run is at work on the file, or nothing can be written
                beside it.
        """
        from filelock import FileLock, Timeout

        real = self.path.resolve()
        if not real.parent.is_dir():  # which a lock would make
            raise InvalidInput(
                f"{self.path} cannot be written: {real.parent} is no directory"
            )
        lock = FileLock(real.with_name(f".{real.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            if not Path(lock.lock_file).exists():  # a place that takes no files
                raise InvalidInput(
                    f"{self.path} cannot be written: {real.parent} takes no files"
                ) from error
            raise InvalidInput(
                f"another run is at work on {self.path}: wait for it, or name another "
                "file"
            ) from error
        except OSError as error:
            raise self._unusable("written", error) from error
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # while it is held: nobody else's
                Path(lock.lock_file).unlink()
            lock.release()

    def read(self) -> dict[int, Any]:
        """The results there are; a last line that was not finished is cut off.

        Raises:
            InvalidInput: the file keeps something else that was asked.
            SchemaError: a line that is no result; names it.
        """
        try:
            raw = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise self._unusable("read", error) from error
        whole = raw[: raw.rfind(b"\n") + 1]
        if len(whole) < len(raw):
            try:
                os.truncate(self.path, len(whole))  # what is whole is never rewritten
            except OSError as error:
                raise self._unusable("written", error) from error
        lines = whole.splitlines()
        if not lines:
            return {}
        if self._parsed(lines[0], 1) != json.loads(self._line(dict(self.heading))):
            raise InvalidInput(
                f"{self.path} keeps the results of another model, other prompts or "
                "other settings; name another file"
            )
        found: dict[int, Any] = {}
        for place, line in enumerate(lines[1:], start=2):
            entry = self._parsed(line, place)
            pair = isinstance(entry, list) and len(entry) == 2
            if not pair or type(entry[0]) is not int or entry[0] < 0:
                raise SchemaError(f"{self.path}, line {place}: no [number, result]")
            if entry[0] in found:
                raise SchemaError(
                    f"{self.path}, line {place}: result {entry[0]} is there twice"
                )
            found[entry[0]] = entry[1]
        return found

    def append(self, number: int, result: Any) -> None:
        """Keep one more result.

        Raises:
            InvalidInput: the file cannot be written.
        """
        try:
            with self.path.open("ab") as file:
                heading = b"" if file.tell() else self._line(dict(self.heading))
                file.write(heading + self._line([number, result]))
        except OSError as error:
            raise self._unusable("written", error) from error

    def _parsed(self, line: bytes, place: int) -> Any:
        try:
            return json.loads(line)
        except (RecursionError, ValueError) as error:
            raise SchemaError(f"{self.path}, line {place}: {error}") from error

    def _unusable(self, what: str, error: OSError) -> InvalidInput:
        return InvalidInput(f"{self.path} cannot be {what}: {error.strerror}")

    @staticmethod
    def _line(value: Any) -> bytes:
        return json.dumps(value, allow_nan=False).encode("ascii") + b"\n"
