"""Prints what policy.py, preference.py and distillation.py found as Markdown tables.

python experiments/_losses_tables.py [FOLDER]       # results/ unless named
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from _calibration_telling import PROJECT

Cell = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def estimate(one: Mapping[str, Any]) -> str:
    """A value with its limits, three digits of the value's size."""
    size = max(abs(one[key]) for key in ("value", "low", "high"))
    digits = 1 if size >= 30 else 2 if size >= 3 else 3 if size >= 0.1 else 4
    value, low, high = (f"{one[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})".replace("-", "−")


def table(
    rows: Mapping[str, Mapping[str, Any]], head: str, columns: Mapping[str, Cell]
) -> str:
    """A row an arm, a column a measure."""
    lines = [
        f"| {head} | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name, row in rows.items():
        cells = [estimate(cell(row)) for cell in columns.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def at(*keys: str) -> Cell:
    """Follows keys into a row."""

    def found(row: Mapping[str, Any]) -> Mapping[str, Any]:
        for key in keys:
            row = row[key]
        return row

    return found


def policy(result: Mapping[str, Any]) -> Sequence[str]:
    ends = {"share of e": at("end", "reward"), "KL": at("end", "kl")}
    estimates = {name: at("end", name) for name in ("kl", "k1", "k2", "k3")}
    drawn = [f"- {name}: `{one['texts'][0]!r}`" for name, one in result.items()]
    return (
        table(result, "penalty", ends),
        table(result, "penalty", estimates),
        "\n".join(drawn),
    )


def preference(result: Mapping[str, Any]) -> Sequence[str]:
    names = {
        "gap, nats": "mean_gap",
        "share of gaps above 0": "reward_accuracy",
        "log π/ref, chosen": "chosen_logp",
        "log π/ref, rejected": "rejected_logp",
    }
    judged = {
        "bits per byte": "bits_per_byte",
        "ECE": "expected_calibration_error",
        "accuracy": "accuracy",
        "mean confidence": "mean_confidence",
    }
    changes = {
        f"change of {title}": at("change", name) for title, name in judged.items()
    }
    return (
        table(result, "β", {title: at("after", name) for title, name in names.items()}),
        table(
            result, "β", {title: at("after", name) for title, name in judged.items()}
        ),
        table(result, "β", changes),
    )


def distillation(result: Mapping[str, Any]) -> Sequence[str]:
    names = {
        "KL from the teacher": "kl_from_teacher",
        "KL from smollm2": "kl_from_smollm2",
        "bits per byte": "bits_per_byte",
    }
    arms = result["arms"]
    less = {title: at("less hard labels", name) for title, name in names.items()}
    rest = {name: one for name, one in result.items() if name != "arms"}
    return (
        table(arms, "T", {title: at("after", name) for title, name in names.items()}),
        "Less hard labels, seed by seed:",
        table(arms, "T", less),
        json.dumps(rest),
    )


def main() -> None:
    """Print what is there."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "results"
    for told in (policy, preference, distillation):
        path = folder / f"{told.__name__}_runs.json"
        if path.is_file():
            result = json.loads(path.read_text("utf-8"))["result"]
            print(f"## {path.name}", *told(result), sep="\n\n", end="\n\n")


if __name__ == "__main__":
    main()
