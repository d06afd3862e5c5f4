"""Shards: the documents of one stretch of the corpus in one Parquet file.

One row a document, good or bad, in order. Where tokens are kept, the columns of
:mod:`nescio.trace.storage` stand beside, so that `nescio.read_traces` reads a shard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nescio.corpus.documents import Document
from nescio.corpus.job import (
    Job,
    shard_path,
)
from nescio.corpus.sums import Sums, sums_of
from nescio.errors import SchemaError
from nescio.jobs import (
    write_file,
)
from nescio.trace import Origin, Trace
from nescio.trace.layout import ENCODINGS, schema_of, table_of
from nescio.trace.trace import SCHEMA_VERSION

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["GROUP", "Scored", "finished_shards", "read_sums", "write_shard"]

GROUP = "group:"
"""Stands before a group's field in the name of its column."""

_JOB_KEY, _TRACE_KEY = b"nescio.job", b"nescio.schema"
_REPEATING = ["origin", "segment.list.element", "role.list.element"]
_LABELS = ("id", "cluster", "problem")


@dataclass(frozen=True, eq=False)
class Scored:
    """A document and its trace, or None where there is a problem."""

    document: Document
    trace: Trace | None


def write_shard(directory: Path, job: Job, shard: int, found: Sequence[Scored]) -> None:
    """Write one shard as a whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = _document_table(job, found)
    metadata = {_JOB_KEY: job.digest.encode("ascii")}
    packing: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}
    if job.asked["keep"] != "summary":
        metadata[_TRACE_KEY] = str(SCHEMA_VERSION).encode("ascii")
        packing |= {"column_encoding": dict(ENCODINGS), "use_dictionary": _REPEATING}
        traces = _trace_table(job, found)
        for name, column in zip(traces.schema.names, traces.columns, strict=True):
            table = table.append_column(name, column)
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(metadata), sink, **packing)
    write_file(shard_path(directory, shard), memoryview(sink.getvalue()))


def finished_shards(directory: Path, job: Job) -> list[bool]:
    """Which shards are there, whole and of this job.

    Raises:
        SchemaError: a file that is damaged or of another job.
    """
    return [
        shard_path(directory, shard).exists() and _check(directory, job, shard)
        for shard in range(job.plan.shards)
    ]


def _check(directory: Path, job: Job, shard: int) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = shard_path(directory, shard)
    try:
        found = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error
    mine = (found.metadata or {}).get(_JOB_KEY) == job.digest.encode("ascii")
    if not mine or found.num_rows != len(job.plan.documents_in(shard)):
        raise SchemaError(
            f"{path} is not of this job. Delete it, and it is scored again"
        )
    return True


def read_sums(directory: Path, job: Job) -> Iterator[pa.Table]:
    """The documents of each shard with their sums, without tokens.

    Raises:
        SchemaError: a shard is damaged; its pages carry checksums.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = document_schema(job)
    for shard in range(job.plan.shards):
        path = shard_path(directory, shard)
        try:
            table = pq.read_table(
                path, columns=schema.names, page_checksum_verification=True
            )
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, error) from error
        if not table.schema.equals(schema):
            raise _damaged(path, "its columns are not those of a shard")
        if table["document"].to_pylist() != list(job.plan.documents_in(shard)):
            raise _damaged(path, "its documents are not those of this shard")
        yield table.replace_schema_metadata(None)


def _damaged(path: Path, reason: object) -> SchemaError:
    return SchemaError(
        f"{path} is damaged: {reason}. Delete it, and it is scored again"
    )


def document_schema(job: Job) -> pa.Schema:
    """The columns that describe a document, in their order."""
    import pyarrow as pa

    groups = [GROUP + name for name in job.asked["fields"]["groups"]]
    kinds = {"int": pa.int64(), "float": pa.float64()}
    return pa.schema(
        [
            ("document", pa.int64()),
            *((name, pa.string()) for name in (*_LABELS, *groups)),
            *((column.name, kinds[str(column.type)]) for column in fields(Sums)),
        ]
    )


def _document_table(job: Job, found: Sequence[Scored]) -> pa.Table:
    import pyarrow as pa

    documents = [one.document for one in found]
    sums = [None if one.trace is None else sums_of(one.trace) for one in found]
    columns = {
        "document": [document.number for document in documents],
        "id": [document.id for document in documents],
        "cluster": [document.cluster for document in documents],
        "problem": [d.problem and f"{d.place}: {d.problem}" for d in documents],
    }
    for place, name in enumerate(job.asked["fields"]["groups"]):
        columns[GROUP + name] = [document.groups[place] for document in documents]
    for column in fields(Sums):
        columns[column.name] = [s and getattr(s, column.name) for s in sums]
    return pa.table(columns, schema=document_schema(job))


def _trace_table(job: Job, found: Sequence[Scored]) -> pa.Table:
    """As a file of traces has it; a bad document is a trace without tokens."""
    traces = [_empty(job.origin) if s.trace is None else s.trace for s in found]
    if job.asked["keep"] == "tokens":
        traces = [replace(trace, candidates=None) for trace in traces]
    return table_of(traces, schema_of(SCHEMA_VERSION))


def _empty(origin: Origin) -> Trace:
    """A text of no tokens."""
    nothing = np.empty(0, np.float32)
    return Trace(
        buffer=b"",
        offsets=np.zeros(1, np.int64),
        token_ids=np.empty(0, np.int32),
        segment=np.empty(0, np.int8),
        scored=np.empty(0, np.bool_),
        context_used=np.empty(0, np.int32),
        logp=nothing,
        origin=origin,
        entropy=nothing,
        varentropy=nothing,
        rank=np.empty(0, np.int32),
    )
