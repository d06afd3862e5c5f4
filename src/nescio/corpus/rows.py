"""Rows of JSON lines, CSV and Parquet, one at a time, files of any size."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nescio.errors import SchemaError
from nescio.outcome.fields import once

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FORMATS", "Row", "format_of", "rows_of"]

Row = tuple[str, Mapping[str, Any] | str]
"""Where a row stands and its fields, or what is wrong with it."""

_LONGEST_CELL = 2**31 - 1
_BATCH = 64  # rows of Parquet that are Python objects at once


def format_of(path: Path) -> str:
    """The format that a file's ending names.

    Raises:
        SchemaError: an ending of no known format, with what to do.

    Example:
        >>> format_of(Path("corpus.jsonl.gz"))
        'jsonl'
    """
    packed = path.suffix.lower() == ".gz"
    ending = (path.with_suffix("") if packed else path).suffix.lower()[1:]
    found = "jsonl" if ending == "ndjson" else ending
    if found in FORMATS and not (packed and found == "parquet"):
        return found
    raise SchemaError(f"{path.name}: {_ADVICE.get(found, _ANY)}")


_ANY = "a corpus is a .jsonl, .jsonl.gz, .csv, .csv.gz or .parquet file"
_ADVICE = {
    "txt": "a .txt file is one text: trace it with nescio trace --file, or make a "
    ".jsonl file with one object a document",
    "json": "give one object a line (.jsonl): jq -c '.[]' file.json > file.jsonl",
    "parquet": "Parquet is compressed inside: unpack the .gz first",
}


def rows_of(path: Path, names: Sequence[str]) -> Iterator[Row]:
    """The rows of a file, with the fields ``names`` at least.

    A row that cannot be read is given as what is wrong with it; a file that cannot
    be read on ends in an exception.

    Raises:
        SchemaError: another format, damaged, or a field that no row can have.
    """
    try:
        yield from FORMATS[format_of(path)](path, names)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise SchemaError(f"{path.name} cannot be read: {reason}") from error


@contextmanager
def _lines(path: Path) -> Iterator[Iterator[bytes]]:
    """The lines of a file or a gzipped one, without a byte order mark."""
    packed = path.suffix.lower() == ".gz"
    with gzip.open(path) if packed else path.open("rb") as file:
        yield _without_mark(file)


def _without_mark(file: Iterable[bytes]) -> Iterator[bytes]:
    for number, line in enumerate(file):
        yield line if number else line.removeprefix(codecs.BOM_UTF8)


def _json_lines(path: Path, names: Sequence[str]) -> Iterator[Row]:  # noqa: ARG001
    with _lines(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield f"line {number}", _json_object(line)


def _json_object(line: bytes) -> Mapping[str, Any] | str:
    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=once)
    except SchemaError as error:
        return f"not JSON that can be read: {error}"
    except UnicodeDecodeError as error:
        return f"not valid UTF-8 at byte {error.start} (0x{line[error.start]:02x})"
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} at character {error.pos}"
    except ValueError as error:
        return f"not JSON that can be read: {error}"
    except RecursionError:
        return "JSON that is nested too deeply"
    if not isinstance(value, dict):
        return f"not an object but {type(value).__name__}"
    return value


def _csv(path: Path, names: Sequence[str]) -> Iterator[Row]:
    with _lines(path) as lines, _long_cells():
        reader = csv.reader(_escaped(lines), strict=True)
        try:
            yield from _csv_rows(reader, names, path)
        except csv.Error as error:
            raise SchemaError(
                f"{path.name}, line {reader.line_num}: not CSV: {error}"
            ) from error


def _csv_rows(reader: Any, names: Sequence[str], path: Path) -> Iterator[Row]:
    header = next(reader, [])
    _check_columns(path, header, [name for name in names if name not in header])
    before = reader.line_num
    for cells in reader:
        place, before = f"line {before + 1}", reader.line_num
        if not cells:
            continue
        if len(cells) != len(header):
            yield place, f"{len(cells)} cells where the header has {len(header)}"
        elif not _is_utf8(cells):
            yield place, "not valid UTF-8"
        else:
            yield place, dict(zip(header, cells, strict=True))


def _escaped(lines: Iterable[bytes]) -> Iterator[str]:
    """Text in which bytes that are not UTF-8 stand as lone surrogates."""
    for line in lines:
        yield line.decode("utf-8", errors="surrogateescape")


def _is_utf8(cells: Sequence[str]) -> bool:
    try:
        "".join(cells).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _long_cells() -> Iterator[None]:
    """Cells of any length, which the csv module refuses until it is told otherwise."""
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _parquet(path: Path, names: Sequence[str]) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            schema = file.schema_arrow
            lacking = [name for name in names if not _has_column(schema, name)]
            _check_columns(path, schema.names, lacking)
            before = 0
            for batch in file.iter_batches(batch_size=_BATCH, columns=list(names)):
                for number, row in enumerate(_batch_rows(batch), start=before + 1):
                    yield f"row {number}", row
                before += batch.num_rows
    except pa.ArrowException as error:
        raise SchemaError(
            f"{path.name}: not a Parquet file, or damaged: {error}"
        ) from error


def _batch_rows(batch: pa.RecordBatch) -> Iterator[Mapping[str, Any] | str]:
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError):
        rows = [_lone_row(batch.slice(row, 1)) for row in range(batch.num_rows)]
    yield from rows


def _lone_row(batch: pa.RecordBatch) -> Mapping[str, Any] | str:
    try:
        return batch.to_pylist()[0]
    except UnicodeDecodeError as error:
        return f"not valid UTF-8 at byte {error.start}"
    except (ValueError, OverflowError) as error:  # a time that Python cannot hold
        return f"a value that cannot be read: {error}"


def _has_column(schema: pa.Schema, name: str) -> bool:
    import pyarrow as pa

    if name in schema.names:
        return True
    parts = name.split(".")
    found: Any = schema
    for part in parts:
        if isinstance(found, pa.Field):
            found = found.type
        if not isinstance(found, pa.Schema | pa.StructType):
            return False
        if found.names.count(part) != 1:
            return False
        found = found.field(part)
    return True


def _check_columns(path: Path, there: Sequence[str], lacking: Sequence[str]) -> None:
    if lacking:
        known = ", ".join(map(repr, there[:12])) or "none"
        raise SchemaError(
            f"{path.name} has no column {lacking[0]!r}; its columns are: {known}"
        )
    twice = {name for name in there if list(there).count(name) > 1}
    if twice:
        raise SchemaError(f"{path.name} has the column {min(twice)!r} twice")


FORMATS: Mapping[str, Callable[[Path, Sequence[str]], Iterator[Row]]] = {
    "jsonl": _json_lines,
    "csv": _csv,
    "parquet": _parquet,
}
"""How each format is read."""
