"""How a trace lies in Parquet: flat lists of numbers, texts and bytes, by name.

Schema 2 keeps every array in a list column of its own type. Schema 1 kept candidates,
Rényi sums and further columns as JSON; it is still read.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nescio.errors import InvalidInput, SchemaError
from nescio.trace.encoding import ARRAYS, from_dict
from nescio.trace.trace import SCHEMA_VERSION, Candidates, Column, Origin, Trace

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ENCODINGS", "schema_of", "size_of", "table_of", "trace_of"]

MOST_ELEMENTS = 2**31 - 1
"""Of a list column or of a column's bytes in one table: Arrow counts in int32."""

_LISTS: Mapping[str, type[np.generic]] = {
    **ARRAYS,
    "renyi": np.float32,
    "renyi_orders": np.float64,
    "column_values": np.float32,
    "candidate_offsets": np.int64,
    "candidate_ids": np.int32,
    "candidate_logp": np.float32,
    "candidate_byte_offsets": np.int64,
}
_BINARIES = ("buffer", "candidate_buffer")
_TEXTS = ("stop", "origin", "labels", "column_names", "candidate_labels")
_JSON_OF_SCHEMA_1 = (
    "origin",
    "labels",
    "renyi",
    "renyi_orders",
    "columns",
    "candidates",
)
_RISING = ("offsets", "context_used", "candidate_offsets", "candidate_byte_offsets")
ENCODINGS: Mapping[str, str] = {
    f"{name}.list.element": "DELTA_BINARY_PACKED" for name in _RISING
} | {
    f"{name}.list.element": "BYTE_STREAM_SPLIT"
    for name, dtype in _LISTS.items()
    if dtype is np.float32
}
"""How Parquet packs some columns: differences of what rises, floats byte by byte."""


def schema_of(version: int) -> pa.Schema:
    """The columns of a schema, 1 or 2."""
    import pyarrow as pa

    lists, texts, binaries = _LISTS, _TEXTS, _BINARIES
    if version == 1:
        lists, texts, binaries = ARRAYS, (*_JSON_OF_SCHEMA_1, "stop"), ("buffer",)
    return pa.schema(
        [
            ("schema_version", pa.int32()),
            *((name, pa.binary()) for name in binaries),
            *((name, pa.string()) for name in texts),
            *(
                (name, pa.list_(pa.from_numpy_dtype(np.dtype(dtype))))
                for name, dtype in lists.items()
            ),
        ]
    )


def size_of(trace: Trace) -> int:
    """How many elements or bytes its longest column has."""
    candidates, n = trace.candidates, len(trace)
    sizes = [n + 1, len(trace.buffer), n * len(trace.renyi_orders)]
    sizes.append(n * len(trace.columns))
    if candidates is not None:
        sizes += [len(candidates.byte_offsets), len(candidates.buffer)]
    return max(sizes)


def table_of(traces: Sequence[Trace], schema: pa.Schema) -> pa.Table:
    """Traces as a table of schema 2, one row each; NaN becomes null.

    Raises:
        InvalidInput: more than one table holds.
    """
    import pyarrow as pa

    size = sum(map(size_of, traces))
    if size > MOST_ELEMENTS:
        raise InvalidInput(
            f"{len(traces)} traces of up to {size:,} candidates or bytes do not fit "
            "one group of rows; write fewer at a time, or keep fewer candidates"
        )
    rows = [_fields(trace) for trace in traces]
    columns = []
    for field in schema:
        values = [row[field.name] for row in rows]
        if field.name in _LISTS:
            columns.append(_list_column(values, _LISTS[field.name]))
        else:
            columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def trace_of(row: Mapping[str, pa.Scalar], version: int, name: str) -> Trace:
    """The trace of one row.

    Args:
        row: its columns, each a scalar.
        version: the schema they follow.
        name: of the file, for messages.

    Raises:
        SchemaError: what stands there is no trace.
    """
    try:
        return _of_schema_1(row) if version == 1 else _built(row)
    except (
        AttributeError,
        KeyError,
        OverflowError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise SchemaError(f"{name}: {error}") from error


def _fields(trace: Trace) -> dict[str, Any]:
    candidates = trace.candidates
    columns = trace.columns
    fields: dict[str, Any] = {name: getattr(trace, name) for name in ARRAYS}
    fields |= {
        "schema_version": SCHEMA_VERSION,
        "buffer": trace.buffer,
        "stop": trace.stop,
        "origin": json.dumps(trace.origin.to_dict()),
        "labels": _labels_text(trace.labels),
        "renyi": None if trace.renyi is None else trace.renyi.ravel(),
        "renyi_orders": np.array(trace.renyi_orders, dtype=np.float64),
        "column_names": json.dumps([[name, columns[name].unit] for name in columns]),
        "column_values": np.concatenate(
            [np.empty(0, np.float32), *(column.values for column in columns.values())]
        ),
    }
    return fields | {
        "candidate_offsets": None if candidates is None else candidates.offsets,
        "candidate_ids": None if candidates is None else candidates.ids,
        "candidate_logp": None if candidates is None else candidates.logp,
        "candidate_byte_offsets": (
            None if candidates is None else candidates.byte_offsets
        ),
        "candidate_buffer": None if candidates is None else candidates.buffer,
        "candidate_labels": (
            None if candidates is None else _labels_text(candidates.labels)
        ),
    }


def _labels_text(labels: Mapping[int, str]) -> str:
    return json.dumps({str(place): label for place, label in labels.items()})


def _list_column(
    values: Sequence[np.ndarray | None], dtype: type[np.generic]
) -> pa.Array:
    import pyarrow as pa

    absent = np.array([array is None for array in values], dtype=np.bool_)
    found = [np.empty(0, dtype) if array is None else array for array in values]
    edges = np.concatenate([[0], np.cumsum([len(array) for array in found])])
    flat = np.concatenate([np.empty(0, dtype), *found]).astype(dtype, copy=False)
    missing = np.isnan(flat) if np.issubdtype(dtype, np.floating) else None
    return pa.ListArray.from_arrays(
        pa.array(edges.astype(np.int32)),
        pa.array(flat, mask=missing),
        mask=pa.array(absent) if absent.any() else None,
    )


def _built(row: Mapping[str, pa.Scalar]) -> Trace:
    arrays = {name: _numbers(row, name) for name in ARRAYS}
    orders = tuple(_required(row, "renyi_orders").tolist())
    renyi = _numbers(row, "renyi")
    return Trace(
        buffer=_text(row, "buffer"),
        origin=Origin.from_dict(json.loads(_text(row, "origin"))),
        stop=row["stop"].as_py(),
        labels=_labels(row, "labels"),
        renyi_orders=orders,
        renyi=None if renyi is None else renyi.reshape(-1, len(orders)),
        columns=_columns(row),
        candidates=_candidates(row),
        **arrays,  # pyright: ignore[reportArgumentType]
    )


def _columns(row: Mapping[str, pa.Scalar]) -> dict[str, Column]:
    names = json.loads(_text(row, "column_names"))
    values = _required(row, "column_values")
    if not names:
        return {}
    parts = values.reshape(len(names), -1)
    return {
        str(name): Column(part, str(unit))
        for (name, unit), part in zip(names, parts, strict=True)
    }


def _candidates(row: Mapping[str, pa.Scalar]) -> Candidates | None:
    offsets = _numbers(row, "candidate_offsets")
    if offsets is None:
        return None
    return Candidates(
        offsets,
        _numbers(row, "candidate_ids"),
        _required(row, "candidate_logp"),
        _text(row, "candidate_buffer"),
        _required(row, "candidate_byte_offsets"),
        _labels(row, "candidate_labels"),
    )


def _labels(row: Mapping[str, pa.Scalar], name: str) -> dict[int, str]:
    return {int(k): str(v) for k, v in json.loads(_text(row, name)).items()}


def _text(row: Mapping[str, pa.Scalar], name: str) -> Any:
    value = row[name].as_py()
    if value is None:
        raise ValueError(f"{name} is missing")
    return value


def _required(row: Mapping[str, pa.Scalar], name: str) -> np.ndarray:
    found = _numbers(row, name)
    if found is None:
        raise ValueError(f"{name} is missing")
    return found


def _numbers(row: Mapping[str, pa.Scalar], name: str) -> np.ndarray | None:
    """A list column's numbers in this row; null among floats is NaN."""
    values = getattr(row[name], "values", None)
    if values is None:
        return None
    dtype = _LISTS[name]
    if values.null_count and not np.issubdtype(dtype, np.floating):
        raise ValueError(f"{name} has numbers missing")
    return values.to_numpy(zero_copy_only=False).astype(dtype)


def _of_schema_1(row: Mapping[str, pa.Scalar]) -> Trace:
    fields = {name: scalar.as_py() for name, scalar in row.items()}
    fields |= {name: json.loads(fields[name]) for name in _JSON_OF_SCHEMA_1}
    fields["buffer"] = base64.b64encode(fields["buffer"]).decode("ascii")
    return from_dict(fields)
