"""The tables of docs/learned-calibrators.md, from the result of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- measured -->", "<!-- end of measured -->"
COLUMNS = (
    "none",
    "temperature",
    "THERMOMETER",
    "adaptive, published",
    "adaptive, plain",
    "adaptive block, published",
    "adaptive block, plain",
    "temperature of the task",
)
Lines = Mapping[tuple[str, str], Mapping[str, Any]]


def into_page(result: Mapping[str, Any], page: Path) -> None:
    """Put the tables between the two marks of the page."""
    text = page.read_text("utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n{tables(result)}\n{END}{after}", "utf-8")


def tables(result: Mapping[str, Any]) -> str:
    """Two tables a model and way of asking."""
    parts = []
    for title, one in result.items():
        lines = {(row["task"], row["calibrator"]): row for row in one["lines"]}
        questions = [row["accuracy"]["n"] for row in one["tasks"].values()]
        parts += [
            f"### {title}",
            f"{min(questions)} to {max(questions)} questions a task.",
            _losses(one, lines),
            _errors(one, lines),
        ]
    return "\n\n".join(parts)


def _losses(one: Mapping[str, Any], lines: Lines) -> str:
    """Log loss at the temperature of the training tasks, and what the others change."""
    names = [name for name in COLUMNS if name != "temperature"]
    rows = []
    for task, told in one["tasks"].items():
        own = lines[task, "temperature"]["estimates"]["log_loss"]["value"]
        cells = [
            _cell(lines[task, name]["differences"]["temperature"].get("log_loss"))
            for name in names
        ]
        rows.append([task, f"{told['accuracy']['value']:.2f}", f"{own:.3f}", *cells])
    means = {
        row["calibrator"]: row["estimate"]
        for row in one["means over tasks"]
        if (row["less"], row["measure"]) == ("temperature", "log_loss")
    }
    rows.append(["**mean of tasks**", "", "", *(_cell(means.get(n)) for n in names)])
    head = ["log loss, nats", "accuracy", "temperature", *(f"{n}, less" for n in names)]
    return _table(head, rows)


def _errors(one: Mapping[str, Any], lines: Lines) -> str:
    """Calibration errors, each with its null level."""
    rows = []
    for task in one["tasks"]:
        errors = [
            lines[task, name]["estimates"]["expected_calibration_error"]
            for name in COLUMNS
        ]
        cells = [f"{e['value']:.3f} ({e['null_level']:.3f})" for e in errors]
        rows.append([task, *cells])
    return _table(["ECE (null level)", *COLUMNS], rows)


def _cell(estimate: Mapping[str, Any] | None) -> str:
    if estimate is None:
        return "infinite"
    if estimate["low"] is None:
        return f"{estimate['value']:+.3f}"
    limits = f"{estimate['low']:+.3f}, {estimate['high']:+.3f}"
    return f"{estimate['value']:+.3f} [{limits}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    marks = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, marks, *rows])
