"""The first look at a corpus, before any long work: is it sound, and how large?"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nescio.corpus.documents import CorpusFields, Document
from nescio.corpus.source import Source, documents_of
from nescio.errors import InvalidInput, SchemaError

__all__ = ["Plan", "ShardSize", "survey"]

_MOST_GROUPS = 1000
_STEP = 1000  # documents between two reports


@dataclass(frozen=True)
class ShardSize:
    """Where one shard ends and the next begins; a crash costs one shard at most.

    Args:
        bytes: of text in a shard; a longer document is a shard of its own.
        documents: at most, in a shard.

    Raises:
        InvalidInput: below 1.
    """

    bytes: int = 1_000_000
    documents: int = 4096

    def __post_init__(self) -> None:
        if self.bytes < 1 or self.documents < 1:
            raise InvalidInput(
                f"a shard of {self.bytes} bytes and {self.documents} documents holds "
                "nothing; give at least 1 of both"
            )


@dataclass(frozen=True)
class Plan:
    """What the first look found, and how the documents are divided.

    Args:
        documents: how many there are, good and bad.
        refused: how many of them are bad.
        repeated: numbers of documents whose id an earlier one has.
        starts: the number of the first document of each shard.
        bytes: of text in each shard.
    """

    documents: int
    refused: int
    repeated: tuple[int, ...]
    starts: tuple[int, ...]
    bytes: tuple[int, ...]

    @property
    def shards(self) -> int:
        """How many there are."""
        return len(self.starts)

    def documents_in(self, shard: int) -> range:
        """The numbers of the documents of a shard."""
        ends = (*self.starts[1:], self.documents)
        return range(self.starts[shard], ends[shard])

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        lists = ("repeated", "starts", "bytes")
        return vars(self) | {name: list(getattr(self, name)) for name in lists}

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> Plan:
        """The plan that `to_dict` wrote."""
        return Plan(
            fields["documents"],
            fields["refused"],
            tuple(fields["repeated"]),
            tuple(fields["starts"]),
            tuple(fields["bytes"]),
        )


@dataclass
class _Shards:
    """Shards as they fill."""

    size: ShardSize
    starts: list[int] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)

    def take(self, document: Document) -> None:
        length = len(document.text)
        full = not self.starts or (
            document.number - self.starts[-1] >= self.size.documents
            or (self.bytes[-1] and self.bytes[-1] + length > self.size.bytes)
        )
        if full:
            self.starts.append(document.number)
            self.bytes.append(0)
        self.bytes[-1] += length


def survey(
    source: Source,
    fields: CorpusFields,
    *,
    size: ShardSize,
    skip_bad: bool,
    report: Callable[[int, int], None] | None = None,
) -> Plan:
    """Read everything once; refuse the first bad document, or count them.

    Memory is 24 bytes a document with an id, and nothing for its text.

    Args:
        source: the documents.
        fields: which fields are read.
        size: of a shard.
        skip_bad: count bad documents instead of refusing the first.
        report: called now and then with (documents, bytes) so far.

    Raises:
        SchemaError: a bad document, by place, field and value; two documents of one
            id; nothing that could be scored.
        InvalidInput: a group field with very many values.
    """
    shards, ids, first = _Shards(size), _Ids(), None
    groups: list[set[str | None]] = [set() for _ in fields.groups]
    count = refused = read = 0
    for document in documents_of(source, fields):
        count += 1
        if document.problem is not None:
            refused, first = refused + 1, first or document
            if not skip_bad:
                raise _bad(source, document)
        shards.take(document)
        ids.take(document)
        _take_groups(groups, document, fields)
        read += len(document.text)
        if report is not None and count % _STEP == 0:
            report(count, read)
    repeated = ids.repeated()
    if repeated and not skip_bad:
        raise _bad(source, _repeated(source, fields, repeated[0]))
    _check_some(source, count, refused + len(repeated), first)
    return Plan(
        count,
        refused + len(repeated),
        tuple(repeated),
        tuple(shards.starts),
        tuple(shards.bytes),
    )


def _bad(source: Source, document: Document) -> SchemaError:
    return SchemaError(
        f"{source.name}, {document.place}: {document.problem}. Mend it, or leave bad "
        "documents out (--skip-bad, skip_bad=True); they are then recorded and counted"
    )


def _check_some(
    source: Source, count: int, refused: int, first: Document | None
) -> None:
    if count == 0:
        raise SchemaError(f"{source.name} holds no documents")
    if refused == count and first is not None:
        raise SchemaError(
            f"{source.name}: none of {count} documents can be scored; "
            f"{first.place}: {first.problem}"
        )


def _take_groups(
    groups: list[set[str | None]], document: Document, fields: CorpusFields
) -> None:
    for values, value, name in zip(groups, document.groups, fields.groups, strict=True):
        values.add(value)
        if len(values) > _MOST_GROUPS:
            raise InvalidInput(
                f"the group {name!r} has more than {_MOST_GROUPS} values by "
                f"{document.place}; group by a field with few values"
            )


@dataclass
class _Ids:
    """Which ids were seen, 24 bytes each: 128 bits of a hash, and whose it is."""

    hashes: bytearray = field(default_factory=bytearray)
    numbers: array[int] = field(default_factory=lambda: array("q"))

    def take(self, document: Document) -> None:
        if document.id is None or document.problem is not None:
            return
        raw = document.id.encode("utf-8")
        self.hashes += hashlib.blake2b(raw, digest_size=16).digest()
        self.numbers.append(document.number)

    def repeated(self) -> list[int]:
        """The documents whose id an earlier one has."""
        if not self.numbers:
            return []
        high, low = np.frombuffer(bytes(self.hashes), dtype=np.uint64).reshape(-1, 2).T
        order = np.lexsort((low, high))  # stable: earlier documents first
        again = (np.diff(high[order]) == 0) & (np.diff(low[order]) == 0)
        numbers = np.frombuffer(self.numbers, dtype=np.int64)
        return sorted(numbers[order[1:][again]].tolist())


def _repeated(source: Source, fields: CorpusFields, number: int) -> Document:
    """The document of that number, with the place of the one that has its id."""
    seen: Iterable[Document] = documents_of(source, fields)
    places: dict[str, str] = {}
    for document in seen:
        if document.number == number:
            place = places.get(document.id or "", "an earlier place")
            return document.refused(f"the id {document.id!r} is that of {place} too")
        if document.id is not None and document.problem is None:
            places.setdefault(document.id, document.place)
    raise SchemaError(f"{source.name} was changed while it was read")
