"""Traces in Parquet: one row a trace, list columns, written by row group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from nescio.errors import InvalidInput, SchemaError
from nescio.trace.encoding import ARRAYS, from_dict, to_dict
from nescio.trace.trace import SCHEMA_VERSION, Trace

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TraceWriter", "read_traces", "write_traces"]

_METADATA_KEY = b"nescio.schema"
_NESTED = ("origin", "labels", "renyi", "renyi_orders", "columns", "candidates")


class TraceWriter:
    """Appends traces to a Parquet file, a row group at a time.

    A context manager; what was flushed is on disk even if a later trace fails. The
    file only becomes readable when the writer is closed.

    Args:
        path: the file, replaced if it exists.
        group: how many traces make a row group.

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
        self._rows: list[dict[str, Any]] = []
        self._schema = _schema()
        self._file = pq.ParquetWriter(path, self._schema)

    def write(self, trace: Trace) -> None:
        """Take one trace; flushes a full row group."""
        self._rows.append(_row(trace))
        if len(self._rows) >= self._group:
            self._flush()

    def close(self) -> None:
        """Write what is left and the footer."""
        self._flush()
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
        import pyarrow as pa

        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, self._schema))
            self._rows = []


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
        with pq.ParquetFile(path) as file:
            _check_schema(file.schema_arrow, name)
            for batch in file.iter_batches(batch_size=16):
                for row in batch.to_pylist():
                    yield _trace(row, name)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise SchemaError(
            f"{name}: not a Parquet file, damaged, or its writer was never closed: "
            f"{error}"
        ) from error


def _check_schema(schema: pa.Schema, name: str) -> None:
    version = (schema.metadata or {}).get(_METADATA_KEY)
    if version is None or not version.isdigit():
        raise SchemaError(f"{name}: a Parquet file, but not one of nescio's traces")
    if int(version) > SCHEMA_VERSION:
        raise SchemaError(
            f"{name}: schema {int(version)} is newer than {SCHEMA_VERSION}; "
            "read it with a newer nescio"
        )


def _schema() -> pa.Schema:
    import pyarrow as pa

    columns: list[tuple[str, Any]] = [("schema_version", pa.int32())]
    columns += [("buffer", pa.binary()), ("stop", pa.string())]
    columns += [
        (name, pa.list_(pa.from_numpy_dtype(np.dtype(dtype))))
        for name, dtype in ARRAYS.items()
    ]
    columns += [(name, pa.string()) for name in _NESTED]
    return pa.schema(columns, metadata={_METADATA_KEY: str(SCHEMA_VERSION).encode()})


def _row(trace: Trace) -> dict[str, Any]:
    import json

    fields = to_dict(trace)
    row: dict[str, Any] = {name: getattr(trace, name) for name in ARRAYS}
    for name, values in row.items():
        if values is not None and values.dtype.kind == "f":
            row[name] = [None if x != x else x for x in values.tolist()]
    row |= {name: json.dumps(fields[name]) for name in _NESTED}
    return row | {
        "buffer": trace.buffer,
        "stop": trace.stop,
        "schema_version": trace.schema_version,
    }


def _trace(row: dict[str, Any], name: str) -> Trace:
    import base64
    import json

    try:
        fields = row | {name: json.loads(row[name]) for name in _NESTED}
        fields["buffer"] = base64.b64encode(row["buffer"]).decode("ascii")
        return from_dict(fields)
    except (KeyError, TypeError, ValueError) as error:
        raise SchemaError(f"{name}: {error}") from error
