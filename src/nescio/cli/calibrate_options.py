"""What ``nescio calibrate`` may be told about the model it runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from nescio.cli.calibrate_running import AnswerKind, GoldIs, Protocol

__all__ = ["fields_of"]

_option = partial(typer.Option, rich_help_panel="Run a model")

Model = Annotated[
    str | None,
    _option(
        "--model",
        "-m",
        help="Run a model instead of reading FILE: a catalogue name, "
        "hf:DIRECTORY-OR-ID, table:FILE, ensemble:A+B, bytes:A or a server.",
    ),
]
TaskName = Annotated[
    str | None,
    _option(
        "--task",
        metavar="FILE",
        help="Questions with gold (CSV, JSON lines, Parquet), or arithmetic or "
        "capitals.",
    ),
]
TextFile = Annotated[
    Path | None,
    _option("--text", metavar="FILE", help="A text, for next tokens."),
]
ProtocolChoice = Annotated[
    Protocol | None,
    _option(
        help="Of a task: generated (default), multiple-choice by letter, option-text; "
        "of a text: next-token."
    ),
]
Answers = Annotated[
    AnswerKind, _option("--answers", help="What the answers to a task are.")
]
QuestionField = Annotated[
    str | None,
    _option("--question", metavar="COL", help="Of a task; default: question."),
]
GoldField = Annotated[
    str | None,
    _option("--gold", metavar="COL", help="Of a task; default: answer."),
]
OptionFields = Annotated[
    list[str] | None,
    _option(
        "--option",
        metavar="COL",
        help="Of a task: the column of a list of options; or once for each option.",
    ),
]
GoldIsChoice = Annotated[
    GoldIs, _option("--gold-is", help="Of options: their text, letter or number.")
]
Shots = Annotated[int, _option("--shots", help="Questions shown with their answers.")]
Limit = Annotated[
    int | None, _option("--limit", help="Ask so many questions, drawn at random.")
]


def fields_of(
    question: str | None,
    gold: str | None,
    options: list[str] | None,
    gold_is: GoldIs,
) -> dict[str, Any]:
    """The fields of a task that were named, for `nescio.evaluation.QuestionFields`.

    Args:
        question, gold: the columns of the question and of the gold answer.
        options: none, one for a list, or one for each option.
        gold_is: how the gold answer names an option.
    """
    listed: str | tuple[str, ...] | None = None
    if options:
        listed = options[0] if len(options) == 1 else tuple(options)
    given = {
        "question": question,
        "gold": gold,
        "options": listed,
        "gold_is": None if gold_is is GoldIs.text else gold_is.value,
    }
    return {name: value for name, value in given.items() if value is not None}
