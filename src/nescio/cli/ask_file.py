"""``nescio ask --file``: many questions, many times each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nescio.cli.options import console, print_json, progress, write_atomically
from nescio.errors import InvalidInput, SchemaError
from nescio.visible import visible

if TYPE_CHECKING:
    from nescio.cli.ask import Run
    from nescio.cli.ask_options import Rows
    from nescio.evaluation.asking_many import QuestionsAsked
    from nescio.outcome import Estimate

_DETAILS = 6  # questions that the page shows in full

__all__ = ["ask_file", "read_asked"]


def ask_file(file: Path, rows: Rows, wordings: tuple[str, ...], run: Run) -> None:
    """Ask every question of a file; print, and write, what is known of all of them."""
    from nescio.cli.consistency_showing import show_questions

    shown = run.shown
    found = _asked(file, rows, wordings, run)
    if shown.html is not None:
        from nescio.report.consistency_page import questions_page

        page = questions_page(
            found.found, source=file.name, notes=_notes(found), unit=shown.unit
        )
        write_atomically(shown.html, lambda p: p.write_text(page, encoding="utf-8"))
    if shown.as_json:
        print_json(_told(found, shown.unit))
        return
    show_questions(found.found, source=file.name, unit=shown.unit, notes=_notes(found))
    if shown.html is not None:
        console(stderr=True).print(visible(f"written: {shown.html}"))


def read_asked(
    file: Path, rows: Rows
) -> tuple[dict[str, str], dict[str, tuple[str, ...]] | None]:
    """The questions by id, and the right answers by id if a field of them is named.

    Raises:
        SchemaError: a row without a question, a right answer, or with another's id.
        InvalidInput: no such file, nothing in it, or several fields of gold.
    """
    from nescio.evaluation.task_reading import QuestionFields, read_questions

    if not rows.gold:
        return _without_gold(file, rows), None
    first, *more = rows.gold
    if more:
        raise InvalidInput("with --file, --gold names one field")
    fields = QuestionFields(rows.field, first, rows.id_field)
    if rows.id_field is None and _has_ids(file):
        fields = replace(fields, id="id")
    questions, _ = read_questions(file, fields)
    return (
        {one.id: one.text for one in questions},
        {one.id: one.gold for one in questions},
    )


def _without_gold(file: Path, rows: Rows) -> dict[str, str]:
    from nescio.corpus.rows import format_of, rows_of

    if file.is_dir():
        raise InvalidInput(f"{file} is a directory; name a file of questions")
    format_of(file)
    if not file.is_file():
        raise InvalidInput(f"{file}: there is no such file")
    name = rows.id_field or ("id" if _has_ids(file) else None)
    names = [rows.field] if name is None else [rows.field, name]
    found: dict[str, str] = {}
    for place, row in rows_of(file, names):
        where = f"{file.name}, {place}"
        if isinstance(row, str):
            raise SchemaError(f"{where}: {row}")
        text = row.get(rows.field)
        if not isinstance(text, str) or not text.strip():
            raise SchemaError(f"{where}: {rows.field!r} is no question: {text!r:.40}")
        key = place if name is None else _key(row, name, where)
        if key in found:
            raise SchemaError(f"{where}: the id {key!r:.80} stands twice")
        found[key] = text
    if not found:
        raise InvalidInput(f"{file.name} holds no questions")
    return found


def _key(row: Mapping[str, Any], name: str, where: str) -> str:
    from nescio.cli.consistency_rows import field_of, name_of

    try:
        return name_of(field_of(row, name), repr(name)).strip()
    except SchemaError as error:
        raise SchemaError(f"{where}: {error}") from error


def _has_ids(path: Path) -> bool:
    """Whether every row has an ``id``."""
    from nescio.corpus.rows import rows_of

    if not path.is_file():
        return False
    try:
        rows = [row for _, row in rows_of(path, ["id"])]
    except SchemaError:
        return False
    return bool(rows) and all(not isinstance(row, str) and "id" in row for row in rows)


def _asked(
    file: Path, rows: Rows, wordings: tuple[str, ...], run: Run
) -> QuestionsAsked:
    from nescio.cli.ask import kept_answers
    from nescio.evaluation.asking_many import ask_all
    from nescio.evaluation.asking_rules import check_asking
    from nescio.trace import Prompt

    drawing, shown, rules = run.drawing, run.shown, run.rules
    if rules.choose != "majority":
        raise InvalidInput("--choose goes with one QUESTION")
    questions, gold = read_asked(file, rows)
    every = replace(rules, limits=replace(rules.limits, measures=None))
    read = every.read(details=0 if shown.html is None else _DETAILS)
    first = Prompt(text=next(iter(questions.values())))
    check_asking(first, wordings, drawing, read)
    model = run.wanted.load()
    read = rules.with_models(read, model)
    total = drawing.most * max(1, len(wordings)) * len(questions)
    with (
        kept_answers(shown.out) as kept,
        progress("asking", of="answers at most") as show,
    ):

        def tell(_number: int, _sample: Any) -> None:
            show(kept.answers, total)

        return ask_all(
            model,
            questions,
            drawing,
            wordings=wordings,
            read=read,
            gold=gold,
            journal=kept.path,
            on_sample=kept.counted(tell),
        )


def _notes(found: QuestionsAsked) -> list[str]:
    notes = []
    stops, saved = found.found.stops, found.found.saved
    if saved is not None:
        used = sum(stop.used for stop in stops.values())
        notes.append(
            f"drawn by a rule: {used:,} samples of {len(stops):,} questions; saved of "
            f"those allowed: {_limits(saved)}"
        )
    for name, estimate in found.wordings.items():
        notes.append(f"{name.replace('_', ' ')}: {_limits(estimate)}")
    if found.wordings:
        notes.append(
            "agreement across wordings is no confidence where the model leans to one "
            "answer whatever is asked"
        )
    return notes


def _limits(estimate: Estimate) -> str:
    value = f"{estimate.value or 0.0:.3f}"
    if estimate.low is None or estimate.high is None:
        return f"{value} ({estimate.population})"
    return f"{value} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _told(found: QuestionsAsked, unit: str) -> dict[str, Any]:
    """The object of ``nescio consistency``, with the samples of each question."""
    from nescio.cli.consistency_telling import questions_told
    from nescio.report import estimates_json

    whole = questions_told(found.found, unit)
    whole["items"] = [
        item | {"texts": list(found.samples[item["id"]].texts)}
        for item in whole["items"]
    ]
    whole["estimates"] |= estimates_json(found.wordings, {})["estimates"]
    beside = {
        "verdicts": {
            name: [vars(verdict) for verdict in log]
            for name, log in found.verdicts.items()
        },
        "notes": [*_notes(found), *found.found.notes],
        "settings": found.settings,
    }
    return whole | estimates_json({}, {}, groups=beside)["groups"]
