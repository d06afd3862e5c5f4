"""Samples from whatever file a person has: ours, a table, another program's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nescio.cli.consistency_rows import (
    Fields,
    ReadQuestion,
    field_of,
    name_of,
    nested_question,
    question_of,
    sample_of,
    wide_question,
)
from nescio.errors import InvalidInput, NescioError, SchemaError

if TYPE_CHECKING:
    from nescio.trace import Sample

__all__ = ["Given", "read_samples"]

_JOB, _SAMPLES = "job.json", "samples.jsonl"
_TABLES = (".jsonl", ".ndjson", ".csv", ".parquet", ".gz")
_ID = ("id", "prompt_id", "question_id")
_Report = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Given:
    """What was read.

    Args:
        questions: in the order of the file.
        source: what it is, in words.
        notes: what was assumed or skipped.
    """

    questions: tuple[ReadQuestion, ...]
    source: str
    notes: tuple[str, ...] = ()

    @property
    def gold(self) -> dict[str, tuple[str, ...]] | None:
        """The right answers by id; None where no question has any.

        Raises:
            InvalidInput: some questions have gold and some have none.
        """
        known = {one.id: one.gold for one in self.questions if one.gold}
        lacking = [one.id for one in self.questions if not one.gold]
        if not known:
            return None
        if lacking:
            raise InvalidInput(
                f"gold is missing for {len(lacking):,} of {len(self.questions):,} "
                f"questions, first {lacking[0]!r:.60}: give it for all, or leave it "
                "aside with --no-gold"
            )
        return known


def read_samples(path: Path, fields: Fields | None = None) -> Given:
    """The questions of a file or of a directory that ``nescio sample`` filled.

    Args:
        path: JSON lines, CSV or Parquet with a question or a sample a row; samples as
            `Samples.write` writes them; what another program stored.
        fields: which field is what.

    Raises:
        InvalidInput: no such file, or nothing in it.
        SchemaError: a row that is none of samples, with its place; an id that stands
            there twice; a file of another kind.
    """
    asked = fields or Fields()
    file = _file(path)
    if not _is_table(file):
        return _imported(file, asked)
    layout, names = _layout(file, asked)
    if layout is _imported or layout is _written:
        return layout(file, asked)
    questions = tuple(_of_rows(file, names, layout, asked))
    if not questions:
        raise InvalidInput(f"{file.name} holds no samples: there is nothing to measure")
    return Given(_once(questions, file), file.name)


def _file(path: Path) -> Path:
    """The file to read; of a directory the samples that a finished job left in it."""
    if path.is_dir():
        found = path / _SAMPLES
        if found.is_file():
            return found
        if (path / _JOB).is_file():
            raise InvalidInput(
                f"{path} holds a job that is not finished: the same nescio sample "
                "command goes on with it"
            )
        raise InvalidInput(f"{path} is a directory without {_SAMPLES}; name a file")
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise SchemaError(f"{path.name} is empty: there are no samples in it")
    return path


def _is_table(file: Path) -> bool:
    return file.suffix.lower() in _TABLES


_Layout = Callable[..., Any]


def _layout(file: Path, fields: Fields) -> tuple[_Layout, Sequence[str]]:
    """How the rows of a file are to be read, by what was named and its first row."""
    first = _first_row(file)
    names = [name for name in first if name] if _is_parquet(file) else []
    if fields.columns:
        return wide_question, names
    if fields.text is not None:
        return _long, names
    if fields.samples is not None or "samples" in first:
        return nested_question, names
    if isinstance(first.get("answers"), list) and "prompt" in first:
        return _written, names
    if _is_foreign(first):
        return _imported, names
    if "text" in first:
        return _long, names
    raise SchemaError(
        f"{file.name} has the fields {sorted(first)!r:.200}: name the list of samples "
        "with --samples, the text of a sample a row with --text, or the columns that "
        "are samples with --columns"
    )


def _is_parquet(file: Path) -> bool:
    return file.suffix.lower() == ".parquet"


def _first_row(file: Path) -> Mapping[str, Any]:
    from nescio.corpus.rows import rows_of

    if _is_parquet(file):
        return dict.fromkeys(_parquet_columns(file))
    for place, row in rows_of(file, ()):
        if isinstance(row, str):
            raise SchemaError(f"{file.name}, {place}: {row}")
        return row
    raise InvalidInput(f"{file.name} holds no samples: there is nothing to measure")


def _parquet_columns(file: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(file).names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SchemaError(f"{file.name}: not a Parquet file: {error}") from error


def _is_foreign(row: Mapping[str, Any]) -> bool:
    from nescio.imports.reading import format_of_entry

    return format_of_entry(row) is not None


def _of_rows(
    file: Path, names: Sequence[str], layout: _Layout, fields: Fields
) -> Iterator[ReadQuestion]:
    from nescio.corpus.rows import rows_of

    asked = fields if layout is not _long else _of_samples(file, fields)
    wanted = names if _is_parquet(file) else _in_header(file, asked)
    rows = rows_of(file, wanted)
    if layout is _long:
        yield from _long(rows, file, asked)
        return
    for place, row in rows:
        with _at(file, place):
            yield layout(_sound(row), fields, place)


def _in_header(file: Path, fields: Fields) -> Sequence[str]:
    """The columns that a table of cells has to have; JSON is looked at row by row."""
    plain = file.with_suffix("") if file.suffix.lower() == ".gz" else file
    return fields.named if plain.suffix.lower() == ".csv" else ()


def _sound(row: Mapping[str, Any] | str) -> Mapping[str, Any]:
    if isinstance(row, str):
        raise SchemaError(row)
    return row


@contextmanager
def _at(file: Path, place: str) -> Iterator[None]:
    """Say of a refusal in which file and row it is."""
    try:
        yield
    except NescioError as error:
        raise SchemaError(f"{file.name}, {place}: {error}") from error


def _of_samples(file: Path, fields: Fields) -> Fields:
    """The fields of a file with a sample a row: it has to say whose each is."""
    first = _first_row(file)
    names = (fields.id,) if fields.id is not None else (*_ID, "prompt")
    found = next((name for name in names if field_of(first, name) is not None), None)
    if _is_parquet(file) and found is None:
        found = next((name for name in names if name in first), None)
    if found is None:
        raise SchemaError(
            f"{file.name} has a sample a row and no field {names[0]!r} that says of "
            f"which question; name it with --id; it has {sorted(first)!r:.200}"
        )
    return replace(fields, id=found, text=fields.text or "text")


def _long(
    rows: Iterator[tuple[str, Any]], file: Path, fields: Fields
) -> Iterator[ReadQuestion]:
    """Questions from rows of one sample each, put together by id."""
    samples: dict[str, list[Sample]] = {}
    heads: dict[str, ReadQuestion] = {}
    for place, row in rows:
        with _at(file, place):
            value = _sound(row)
            name = name_of(field_of(value, fields.id or "id"), fields.id or "id")
            drawn = samples.setdefault(name, [])
            text = field_of(value, fields.text or "text")
            fact = {**value, "text": text} if isinstance(text, str) else text
            drawn.append(sample_of(fact, len(drawn)))
            head = question_of(drawn[-1:], value, fields, place)
            known = heads.setdefault(name, head)
            for what in ("gold", "group", "cluster"):
                one, other = getattr(known, what), getattr(head, what)
                if one != other:
                    raise SchemaError(
                        f"{what} of {name!r:.60} is {other!r:.60} here and "
                        f"{one!r:.60} before"
                    )
    for name, head in heads.items():
        answers = tuple(samples[name])
        yield replace(head, samples=replace(head.samples, answers=answers))


def _once(questions: Sequence[ReadQuestion], file: Path) -> tuple[ReadQuestion, ...]:
    seen: set[str] = set()
    for one in questions:
        if one.id in seen:
            raise SchemaError(
                f"{file.name}: the id {one.id!r:.80} stands there twice; put the "
                "samples of one question together, or give a sample a row (--text)"
            )
        seen.add(one.id)
    return tuple(questions)


def _written(file: Path, fields: Fields) -> Given:
    """Samples that nescio wrote; their place is their id."""
    from nescio.trace import Samples

    _refuse_named(file, fields, "samples of nescio")
    found = tuple(
        ReadQuestion(f"line {place}", samples)
        for place, samples in enumerate(Samples.read(file), start=1)
    )
    return Given(found, f"samples of {file.name}")


def _imported(file: Path, fields: Fields) -> Given:
    """What another program stored: the items with several answers."""
    from nescio.imports import import_file

    try:
        found = import_file(file)
    except SchemaError as error:
        raise SchemaError(
            f"{error}; samples are JSON lines, CSV or Parquet, see nescio consistency "
            "--help"
        ) from error
    _refuse_named(file, fields, f"what {found.format} stored")
    notes = list(found.notes)
    several = [(item, one) for item, one in found.samples if len(one) > 1]
    alone = len(found.samples) - len(several)
    if not several:
        raise InvalidInput(
            f"{file.name} ({found.format}) has no item with several answers: "
            f"{len(found.samples):,} items, one answer each at most"
        )
    if alone:
        notes.append(f"{alone:,} items with one answer each are left out")
    if found.skipped:
        where, why = found.skipped[0]
        notes.append(f"skipped {len(found.skipped):,}, first {where}: {why}")
    questions = tuple(ReadQuestion(item, one) for item, one in several)
    return Given(questions, f"{file.name} ({found.format})", tuple(notes))


def _refuse_named(file: Path, fields: Fields, what: str) -> None:
    if fields.named:
        raise InvalidInput(
            f"{file.name} holds {what}, whose fields are known: leave out "
            f"{', '.join(fields.named)}"
        )
