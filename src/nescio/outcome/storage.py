"""Outcomes and predictions in Parquet, read back as exactly what was written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np

from nescio.errors import InvalidInput, SchemaError
from nescio.outcome.outcomes import Outcomes
from nescio.outcome.predictions import Predictions, Scale

__all__ = ["load_outcomes", "read_predictions", "write_outcomes", "write_predictions"]

_SCHEMA_VERSION = 1
_SCHEMA_KEY = b"nescio.schema"
_SCALE_KEY = b"nescio.scale"
_TEXTS = ("ids", "groups", "cluster")


def write_outcomes(path: str | Path, outcomes: Outcomes) -> None:
    """Write outcomes to a Parquet file, one row an answer, replacing the file.

    The columns are ``confidence``, ``correct`` and those of ``ids``, ``groups``,
    ``cluster`` and ``weight`` that are there, so `read_outcomes` reads it too.

    Raises:
        OSError: the file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "answers.parquet"
        >>> write_outcomes(path, Outcomes.of([0.9, 0.6], [1, 0]))
        >>> load_outcomes(path)
        Outcomes(n=2, accuracy=0.5000, mean confidence=0.7500)
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = _outcome_types()
    columns = {name: getattr(outcomes, name) for name in types}
    present = {name: cells for name, cells in columns.items() if cells is not None}
    schema = pa.schema(
        [(name, types[name]) for name in present],
        metadata={_SCHEMA_KEY: f"outcomes/{_SCHEMA_VERSION}".encode()},
    )
    table = pa.table(present, schema=schema)
    pq.write_table(table, path, write_page_checksum=True)


def load_outcomes(path: str | Path) -> Outcomes:
    """The outcomes that `write_outcomes` wrote; for other files see `read_outcomes`.

    Raises:
        SchemaError: not a Parquet file, not one of outcomes, damaged, or of a newer
            schema.
        InvalidInput: there is no such file.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "answers.parquet"
        >>> outcomes = Outcomes.of([0.9, 0.6], [1, 0], groups=["law", "art"])
        >>> write_outcomes(path, outcomes)
        >>> load_outcomes(path) == outcomes
        True
    """
    with _opened(path, "outcomes") as file:
        types = _outcome_types()
        required = [name for name in types if name in ("confidence", "correct")]
        names = file.schema_arrow.names
        _check_columns(file.schema_arrow, required, {n: (types[n],) for n in types})
        table = file.read()
        for name in names:
            _check_whole(table[name], name)
        columns: dict[str, Any] = {
            name: tuple(table[name].to_pylist())
            if name in _TEXTS
            else table[name].to_numpy()
            for name in names
        }
        return Outcomes(**columns)


def write_predictions(
    path: str | Path, predictions: Predictions, *, group: int = 1024
) -> None:
    """Write predictions to a Parquet file, one row a distribution.

    The columns are ``scores`` (a list of the scores' own float type) and ``label``;
    the scale is in the file's metadata.

    Args:
        path: the file, replaced if it exists.
        predictions: what to write.
        group: how many rows make a row group, at least 1.

    Raises:
        InvalidInput: no such group size, or scores of a float type without a place in
            Parquet.
        OSError: the file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.parquet"
        >>> rows = Predictions.of([[0.7, 0.3], [0.5, 0.25, 0.25]], [0, 2],
        ...                       "probability")
        >>> write_predictions(path, rows)
        >>> read_predictions(path) == rows
        True
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if group < 1:
        raise InvalidInput(f"a row group has at least 1 row, not {group}")
    list_type = pa.large_list(pa.from_numpy_dtype(predictions.stored_dtype))
    schema = pa.schema(
        [("scores", list_type), ("label", pa.int64())],
        metadata={
            _SCHEMA_KEY: f"predictions/{_SCHEMA_VERSION}".encode(),
            _SCALE_KEY: predictions.scale.encode(),
        },
    )
    with pq.ParquetWriter(path, schema, write_page_checksum=True) as writer:
        for first in range(0, len(predictions), group):
            table = pa.table(_group(predictions, first, group), schema=schema)
            writer.write_table(table, row_group_size=group)


def read_predictions(path: str | Path) -> Predictions:
    """The predictions that `write_predictions` wrote.

    Raises:
        SchemaError: not a Parquet file, not one of predictions, damaged, or of a newer
            schema.
        InvalidInput: there is no such file.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.parquet"
        >>> write_predictions(path, Predictions.of([[2.0, -1.0]], [0], "logit"))
        >>> read_predictions(path)
        Predictions(n=1, scale='logit')
    """
    import pyarrow as pa

    with _opened(path, "predictions") as file:
        floats = (pa.float16(), pa.float32(), pa.float64())
        types = {
            "scores": tuple(pa.large_list(number) for number in floats),
            "label": (pa.int64(),),
        }
        schema = file.schema_arrow
        scale = schema.metadata.get(_SCALE_KEY, b"").decode("utf-8")
        if scale not in get_args(Scale):
            raise SchemaError(f"its scale is {scale!r}, not one of {get_args(Scale)}")
        _check_columns(schema, list(types), types)
        dtype = schema.field("scores").type.value_type.to_pandas_dtype()
        scores, labels = [np.empty(0, dtype)], [np.empty(0, np.int64)]
        widths = [np.zeros(1, np.int64)]
        for number in range(file.num_row_groups):
            for batch in file.read_row_group(number).to_batches():
                rows, label = batch["scores"], batch["label"]
                for name, cells in (("scores", rows), ("label", label)):
                    _check_whole(cells, name)
                values = rows.flatten()
                _check_whole(values, "scores")
                scores.append(values.to_numpy(zero_copy_only=False))
                widths.append(rows.value_lengths().to_numpy())
                labels.append(label.to_numpy())
        return Predictions(
            np.concatenate(scores),
            np.cumsum(np.concatenate(widths)),
            np.concatenate(labels),
            scale,
        )


def _group(predictions: Predictions, first: int, group: int) -> dict[str, Any]:
    import pyarrow as pa

    offsets = predictions.offsets[first : first + group + 1].astype(np.int64)
    scores = predictions.scores[offsets[0] : offsets[-1]]
    rows = pa.LargeListArray.from_arrays(pa.array(offsets - offsets[0]), scores)
    labels = predictions.labels[first : first + group].astype(np.int64)
    return {"scores": rows, "label": pa.array(labels)}


def _outcome_types() -> dict[str, Any]:
    import pyarrow as pa

    return {
        "confidence": pa.float64(),
        "correct": pa.bool_(),
        **dict.fromkeys(_TEXTS, pa.string()),
        "weight": pa.float64(),
    }


@contextmanager
def _opened(path: str | Path, kind: str) -> Iterator[Any]:
    """A Parquet file of one kind; whatever is wrong with it is a `SchemaError`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not Path(path).is_file():
        raise InvalidInput(f"{path}: there is no such file")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check_kind(file.schema_arrow.metadata or {}, kind)
            yield file
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SchemaError(
            f"{Path(path).name}: not {kind} written by nescio, or damaged: {error}"
        ) from error


def _check_kind(metadata: dict[bytes, bytes], kind: str) -> None:
    found, _, version = metadata.get(_SCHEMA_KEY, b"").partition(b"/")
    if found != kind.encode() or not version.isdigit():
        raise SchemaError(f"its schema is {found!r}, not {kind!r}")
    if int(version) > _SCHEMA_VERSION:
        raise SchemaError(
            f"schema {int(version)} is newer than {_SCHEMA_VERSION}; "
            "read it with a newer nescio"
        )


def _check_columns(
    schema: Any, required: list[str], types: dict[str, tuple[Any, ...]]
) -> None:
    names = schema.names
    lacking = [name for name in required if name not in names]
    if lacking or len(set(names)) < len(names) or not set(names) <= set(types):
        raise SchemaError(f"its columns are {names}, not {list(types)}")
    for field in schema:
        if not any(field.type.equals(wanted) for wanted in types[field.name]):
            raise SchemaError(
                f"column {field.name!r} is {field.type}, not {types[field.name][-1]}"
            )


def _check_whole(column: Any, name: str) -> None:
    if column.null_count:
        raise SchemaError(f"column {name!r} lacks {column.null_count} values")
