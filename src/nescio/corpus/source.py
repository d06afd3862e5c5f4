"""Where documents come from: a file, or a list of them in memory."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from nescio.corpus.documents import CorpusFields, Document, document_of
from nescio.corpus.rows import Row, format_of, rows_of
from nescio.errors import InvalidInput, SchemaError

__all__ = ["FileSource", "MemorySource", "Source", "documents_of", "source_of"]


@runtime_checkable
class Source(Protocol):
    """Rows that can be read again and again, and stay the same."""

    @property
    def name(self) -> str:
        """How it is called in messages."""
        ...

    @property
    def format(self) -> str:
        """Of the file, or ``"memory"``."""
        ...

    def digest(self, fields: CorpusFields) -> str:
        """SHA-256 of what is read."""
        ...

    def rows(self, fields: CorpusFields) -> Iterator[Row]:
        """Every row in order."""
        ...

    def check_unchanged(self) -> None:
        """Refuse to go on if it is not what it was."""
        ...


def source_of(given: str | Path | Sequence[str | Mapping[str, Any]]) -> Source:
    """The source that a path or a list of documents is.

    Raises:
        InvalidInput: no such file, or no regular one.
        SchemaError: of no known format.
    """
    if not isinstance(given, str | Path):
        return MemorySource(given)
    path = Path(given)
    format_of(path)
    try:
        found = path.stat()
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise InvalidInput(f"{path} is no file: documents are read more than once")
    return FileSource(path, (found.st_size, found.st_mtime_ns, found.st_ino))


def documents_of(source: Source, fields: CorpusFields) -> Iterator[Document]:
    """The documents of a source, good and bad, numbered from 0."""
    for number, (place, row) in enumerate(source.rows(fields)):
        yield document_of(number, place, row, fields)


@dataclass(frozen=True)
class FileSource:
    """A file, which has to stay as it was when it was first looked at."""

    path: Path
    seen: tuple[int, int, int]

    @property
    def name(self) -> str:
        """The file's name without its directory."""
        return self.path.name

    @property
    def format(self) -> str:
        """By its ending."""
        return format_of(self.path)

    def digest(self, fields: CorpusFields) -> str:  # noqa: ARG002
        """SHA-256 of the file as it lies there."""
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InvalidInput(f"{self.path}: {error.strerror}") from error

    def rows(self, fields: CorpusFields) -> Iterator[Row]:
        """Every row in order."""
        return rows_of(self.path, fields.names)

    def check_unchanged(self) -> None:
        """Refuse to go on if the file was written to meanwhile.

        Raises:
            SchemaError: it was, or is gone.
        """
        try:
            found = self.path.stat()
            now = (found.st_size, found.st_mtime_ns, found.st_ino)
        except OSError:
            now = None
        if now != self.seen:
            raise SchemaError(
                f"{self.path} was changed while it was read; what was scored stays as "
                "it is, and belongs to the file as it was"
            )


@dataclass(frozen=True)
class MemorySource:
    """Documents in a list: texts, or mappings with fields."""

    items: Sequence[str | Mapping[str, Any]]

    @property
    def name(self) -> str:
        """There is no file to name."""
        return "the documents"

    @property
    def format(self) -> str:
        """There is none."""
        return "memory"

    def digest(self, fields: CorpusFields) -> str:
        """SHA-256 of the fields that are read."""
        found = hashlib.sha256()
        for one in documents_of(self, fields):
            cells = [one.text.hex(), one.id, one.groups, one.cluster, one.problem]
            found.update(json.dumps(cells).encode("ascii") + b"\n")
        return found.hexdigest()

    def rows(self, fields: CorpusFields) -> Iterator[Row]:
        """Every document in order; a bare text is its text field."""
        for number, item in enumerate(self.items, start=1):
            row = {fields.text: item} if isinstance(item, str) else item
            known = isinstance(row, Mapping)
            said = row if known else f"{type(item).__name__}, no text and no fields"
            yield f"document {number}", said

    def check_unchanged(self) -> None:
        """A list is the caller's to keep."""
