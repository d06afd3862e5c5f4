"""Traces in Parquet: one row a trace, list columns, written by row group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nescio.errors import InvalidInput, SchemaError
from nescio.trace.layout import ENCODINGS, schema_of, size_of, table_of, trace_of
from nescio.trace.trace import SCHEMA_VERSION, Trace

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TraceWriter", "read_traces", "write_traces"]

_METADATA_KEY = b"nescio.schema"
_LARGE = 2**27  # elements of one column in a row group, some GB of memory
_REPEATING = ("origin", "segment.list.element", "role.list.element")


class TraceWriter:
    """Appends traces to a Parquet file, a row group at a time.

    A context manager; what was flushed is on disk even if a later trace fails. The
    file only becomes readable when the writer is closed.

    Args:
        path: the file, replaced if it exists.
        group: how many traces make a row group, or fewer if they are very long.

    Example:
        >>> import nescio, tempfile, pathlib
        >>> trace = nescio.score(nescio.load("table:coin"), "HT")
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "t.parquet"
        >>> with TraceWriter(path) as writer:
        ...     writer.write(trace)
        >>> next(read_traces(path)) == trace
        True
    """

    def __init__(self, path: str | Path, *, group: int = 64) -> None:
        import pyarrow.parquet as pq

        self._group = group
        self._traces: list[Trace] = []
        self._size = 0
        version = str(SCHEMA_VERSION).encode()
        self._schema = schema_of(SCHEMA_VERSION).with_metadata({_METADATA_KEY: version})
        packing: dict[str, Any] = {
            "compression": "zstd",
            "write_page_checksum": True,
            "use_dictionary": list(_REPEATING),
            "column_encoding": dict(ENCODINGS),
        }
        self._file = pq.ParquetWriter(path, self._schema, **packing)

    def write(self, trace: Trace) -> None:
        """Take one trace; flushes a full row group."""
        size = size_of(trace)
        if self._traces and self._size + size > _LARGE:
            self._flush()
        self._traces.append(trace)
        self._size += size
        if len(self._traces) >= self._group:
            self._flush()

    def close(self) -> None:
        """Write what is left and the footer."""
        try:
            self._flush()
        finally:
            self._file.close()

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _flush(self) -> None:
        if self._traces:
            traces, self._traces, self._size = self._traces, [], 0
            self._file.write_table(table_of(traces, self._schema))


def write_traces(path: str | Path, traces: Iterable[Trace]) -> None:
    """Write traces to one Parquet file; see `TraceWriter`."""
    with TraceWriter(path) as writer:
        for trace in traces:
            writer.write(trace)


def read_traces(path: str | Path) -> Iterator[Trace]:
    """The traces of a Parquet file, one at a time, of this or an earlier schema.

    Raises:
        SchemaError: not a Parquet file or one that was never closed, not one of
            traces, damaged, or of a newer schema.
        InvalidInput: there is no such file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = Path(path).name
    if not Path(path).is_file():
        raise InvalidInput(f"{path}: there is no such file")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            version, read = _schema_version(file.schema_arrow, name), 0
            for batch in file.iter_batches(batch_size=16):
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                for row in range(len(batch)):
                    fields = {key: column[row] for key, column in columns.items()}
                    yield trace_of(fields, version, name)
                read += len(batch)
            if read != file.metadata.num_rows:
                raise SchemaError(
                    f"{name}: damaged: {read} of {file.metadata.num_rows} traces are "
                    "there"
                )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise SchemaError(
            f"{name}: not a Parquet file, damaged, or its writer was never closed: "
            f"{error}"
        ) from error


def _schema_version(schema: pa.Schema, name: str) -> int:
    text = (schema.metadata or {}).get(_METADATA_KEY)
    if text is None or not text.isdigit() or int(text) < 1:
        raise SchemaError(f"{name}: a Parquet file, but not one of nescio's traces")
    if int(text) > SCHEMA_VERSION:
        raise SchemaError(
            f"{name}: schema {int(text)} is newer than {SCHEMA_VERSION}; "
            "read it with a newer nescio"
        )
    wanted = schema_of(int(text))
    for field in wanted:
        found = schema.get_all_field_indices(field.name)
        if len(found) != 1 or not schema.field(found[0]).type.equals(field.type):
            raise SchemaError(
                f"{name}: says it holds traces of schema {int(text)}, but its column "
                f"{field.name!r} is not there or is no {field.type}"
            )
    return int(text)
