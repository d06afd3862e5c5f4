"""Traces as JSON values and as columns: one table of fields drives both."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nescio.errors import SchemaError
from nescio.trace.trace import SCHEMA_VERSION, Candidates, Column, Origin, Trace

__all__ = ["ARRAYS", "from_dict", "to_dict"]

ARRAYS: Mapping[str, type[np.generic]] = {
    "offsets": np.int64,
    "token_ids": np.int32,
    "segment": np.int8,
    "role": np.int8,
    "scored": np.bool_,
    "context_used": np.int32,
    "logp": np.float32,
    "logp_processed": np.float32,
    "entropy": np.float32,
    "entropy_low": np.float32,
    "entropy_high": np.float32,
    "varentropy": np.float32,
    "rank": np.int32,
}
"""Per-token fields and how they are stored; all but the first may be absent."""


def to_dict(trace: Trace) -> dict[str, Any]:
    """The trace as JSON values: bytes in base64, NaN as null, infinities as strings."""
    fields: dict[str, Any] = {
        "schema_version": trace.schema_version,
        "buffer": base64.b64encode(trace.buffer).decode("ascii"),
        "origin": trace.origin.to_dict(),
        "stop": trace.stop,
        "labels": {str(token): label for token, label in trace.labels.items()},
        "renyi_orders": list(trace.renyi_orders),
        "renyi": None if trace.renyi is None else [_listed(r) for r in trace.renyi],
        "columns": {
            name: {"values": _listed(column.values), "unit": column.unit}
            for name, column in trace.columns.items()
        },
        "candidates": _candidates_to_dict(trace.candidates),
    }
    for name in ARRAYS:
        array = getattr(trace, name)
        fields[name] = None if array is None else _listed(array)
    return fields


def from_dict(fields: Mapping[str, Any]) -> Trace:
    """The trace that `to_dict` wrote, of this or an earlier schema.

    Raises:
        SchemaError: a field is missing, or the schema is newer than this program.
    """
    try:
        if fields["schema_version"] > SCHEMA_VERSION:
            raise SchemaError(
                f"this trace has schema {fields['schema_version']}, newer than "
                f"{SCHEMA_VERSION}; read it with a newer nescio"
            )
        return _built(fields)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        if isinstance(error, SchemaError):
            raise
        raise SchemaError(f"not a trace written by nescio: {error!r}") from error


def _built(fields: Mapping[str, Any]) -> Trace:
    arrays = {
        name: None if fields[name] is None else _array(fields[name], dtype)
        for name, dtype in ARRAYS.items()
    }
    renyi = fields["renyi"]
    return Trace(
        buffer=base64.b64decode(fields["buffer"], validate=True),
        origin=Origin.from_dict(fields["origin"]),
        stop=fields["stop"],
        labels={int(token): label for token, label in fields["labels"].items()},
        renyi_orders=tuple(fields["renyi_orders"]),
        renyi=None
        if renyi is None
        else _array([number for row in renyi for number in row], np.float32).reshape(
            len(renyi), len(fields["renyi_orders"])
        ),
        columns={
            name: Column(_array(column["values"], np.float32), column["unit"])
            for name, column in fields["columns"].items()
        },
        candidates=_candidates_from_dict(fields["candidates"]),
        **arrays,  # pyright: ignore[reportArgumentType]
    )


def _candidates_to_dict(candidates: Candidates | None) -> dict[str, Any] | None:
    if candidates is None:
        return None
    return {
        "offsets": candidates.offsets.tolist(),
        "ids": None if candidates.ids is None else candidates.ids.tolist(),
        "logp": _listed(candidates.logp),
        "buffer": base64.b64encode(candidates.buffer).decode("ascii"),
        "byte_offsets": candidates.byte_offsets.tolist(),
        "labels": {str(place): label for place, label in candidates.labels.items()},
    }


def _candidates_from_dict(fields: Mapping[str, Any] | None) -> Candidates | None:
    if fields is None:
        return None
    ids = fields["ids"]
    return Candidates(
        _array(fields["offsets"], np.int64),
        None if ids is None else _array(ids, np.int32),
        _array(fields["logp"], np.float32),
        base64.b64decode(fields["buffer"], validate=True),
        _array(fields["byte_offsets"], np.int64),
        {int(place): label for place, label in fields["labels"].items()},
    )


def _listed(array: np.ndarray) -> list[Any]:
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return array.tolist()
    return [_json_float(number) for number in array.tolist()]


def _json_float(number: float) -> float | str | None:
    if math.isnan(number):
        return None
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return number


def _array(values: Any, dtype: type[np.generic]) -> np.ndarray:
    if np.issubdtype(dtype, np.floating):
        return np.array(
            [math.nan if v is None else float(v) for v in values], dtype=dtype
        )
    kinds = {type(value) for value in values}
    if not kinds <= {bool if dtype is np.bool_ else int}:
        raise TypeError(f"{sorted(k.__name__ for k in kinds)} where {dtype} belong")
    return np.array(values, dtype=dtype)
