"""Exports that are kept: made once, put in their place whole, read only if intact.

An export lies in a folder named after everything it depends on: the weights and their
configuration, this exporter and its tests, OpenVINO and transformers. In it,
``export.json`` says which folder it belongs to, how large its files are and what their
hashes, and has a hash of itself. A damaged, misplaced or outdated export is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nescio.errors import SchemaError
from nescio.models.fetching import Report, sha256_of
from nescio.models.installing import cache_directory
from nescio.models.openvino_export import EXPORTER

__all__ = ["Facts", "Place", "forget", "kept", "place_of"]

_NAME = "export.json"
_SCHEMA = 2
_LIBRARIES = ("nescio", "openvino", "transformers")


@dataclass(frozen=True)
class Facts:
    """What is known of an export besides its files.

    Args:
        network: what transformers calls the architecture.
        rows: how many rows its head has.
        context_length: how many tokens it can see; None: no limit.
        end: tokens that end a text.
        refused: why it could not be exported, in words; None: it could.
    """

    network: str
    rows: int
    context_length: int | None
    end: tuple[int, ...]
    refused: str | None = None


@dataclass(frozen=True)
class Place:
    """Where the export of some weights lies, or would lie."""

    directory: Path

    def facts(self) -> Facts | None:
        """What lies there, every file of it read and compared; None if not intact."""
        try:
            fields = json.loads((self.directory / _NAME).read_text("utf-8"))
            return _checked(fields, self.directory)
        except (OSError, SchemaError, ValueError, KeyError, TypeError, AttributeError):
            return None  # to be made anew

    def put(self, facts: Facts, write: Callable[[Path], Any]) -> None:
        """Let ``write`` fill a folder beside the place; move it there when it is whole.

        Raises:
            OSError, RuntimeError: the disk refuses; nothing is kept.
        """
        partial = _beside(self.directory)
        try:
            partial.mkdir(parents=True)
            write(partial)
            files = {
                path.name: {"size": path.stat().st_size, "sha256": sha256_of(path)}
                for path in sorted(partial.iterdir())
            }
            fields = {
                "schema": _SCHEMA,
                "folder": self.directory.name,
                "facts": asdict(facts),
                "files": files,
            }
            fields["sha256"] = _digest(fields)
            text = json.dumps(fields, indent=2) + "\n"
            (partial / _NAME).write_text(text, encoding="utf-8")
            if self.directory.exists():  # damaged
                self.directory.rename(_beside(self.directory))
            partial.rename(self.directory)
        finally:
            _sweep(self.directory)

    @contextmanager
    def alone(self, report: Report) -> Iterator[None]:
        """One process at a time; the others wait, and find what it made.

        Raises:
            OSError: the cache cannot be written.
        """
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.directory.parent / f".{self.directory.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report("waiting for another process that exports this model", None)
            lock.acquire()
        try:
            _sweep(self.directory)
            yield
        finally:
            lock.release()


def place_of(weights: str, *details: str) -> Place:
    """Where the export of these weights lies.

    Args:
        weights: a digest of the weights and their configuration.
        details: what else the export depends on.
    """
    made_by = [f"exporter {EXPORTER}"]
    made_by += [f"{library} {_version(library)}" for library in _LIBRARIES]
    key = _short("\n".join([weights, *details, *made_by]))
    return Place(_exports() / f"{_short(weights)}-{key}")


def kept() -> list[Path]:
    """The folders of the exports that are kept, intact or not."""
    return sorted(path.parent for path in _exports().glob(f"[!.]*/{_NAME}"))


def forget(weights: str) -> int:
    """Delete every export of these weights; the bytes that freed.

    Raises:
        OSError: the disk refuses.
    """
    freed = 0
    for path in _exports().glob(f"*{_short(weights)}-*"):
        if path.is_dir():
            freed += sum(file.stat().st_size for file in path.iterdir())
            shutil.rmtree(path)
        else:
            path.unlink()
    return freed


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "unknown"


def _exports() -> Path:
    return cache_directory() / "openvino"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _digest(fields: dict[str, Any]) -> str:
    """Of everything a description says but this."""
    said = {name: value for name, value in fields.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _checked(fields: dict[str, Any], directory: Path) -> Facts:
    if fields["schema"] != _SCHEMA:
        raise SchemaError(f"{directory} has schema {fields['schema']}, not {_SCHEMA}")
    if fields["folder"] != directory.name or fields["sha256"] != _digest(fields):
        raise SchemaError(f"{directory / _NAME} is damaged, or of another export")
    for name, known in fields["files"].items():
        path = directory / name
        whole = path.stat().st_size == known["size"]
        if not whole or sha256_of(path) != known["sha256"]:
            raise SchemaError(f"{path} is damaged")
    known = fields["facts"]
    return Facts(**known | {"end": tuple(known["end"])})


def _beside(directory: Path) -> Path:
    name = f".{directory.name}.partial-{os.getpid()}-{secrets.token_hex(4)}"
    return directory.parent / name


def _sweep(directory: Path) -> None:
    """Delete what killed processes left; under the lock nobody else is at work."""
    for leftover in directory.parent.glob(f".{directory.name}.partial-*"):
        shutil.rmtree(leftover, ignore_errors=True)
