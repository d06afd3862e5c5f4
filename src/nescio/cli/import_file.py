"""``nescio import``: what another program stored, as samples, traces and outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nescio.cli.options import AsJson, Unit, UnitChoice, console, print_json
from nescio.visible import visible

if TYPE_CHECKING:
    from nescio.imports import Imported
    from nescio.outcome import Estimate

__all__ = ["import_stored"]

_SHOWN = 5


class Normalise(StrEnum):
    """How options of a multiple choice are compared."""

    none = "none"
    bytes = "bytes"


class Confidence(StrEnum):
    """What may stand for the confidence of a generated answer."""

    none = "none"
    sequence_probability = "sequence_probability"


StoredFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="What another program wrote.")
]
FormatName = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="openai-batch, openai-responses, vllm, llama.cpp, lm-eval or inspect; "
        "default: by what the file holds.",
    ),
]
VocabularySize = Annotated[
    int | None,
    typer.Option(
        metavar="V", help="Tokens of the model; else entropies have no upper bound."
    ),
]
Rounding = Annotated[
    float, typer.Option(help="How far printed probabilities may miss their sum.")
]
Requests = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The input of an OpenAI batch: its prompts."),
]
NormaliseChoice = Annotated[
    Normalise, typer.Option(help="lm-eval's options: as they are, or per byte.")
]
ConfidenceChoice = Annotated[
    Confidence, typer.Option(help="Of a generated answer, for outcomes.")
]
Correct = Annotated[
    str | None, typer.Option(metavar="NAME", help="The metric or scorer to believe.")
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="A new directory for samples, traces, outcomes."),
]


def import_stored(
    file: StoredFile,
    file_format: FormatName = None,
    vocabulary_size: VocabularySize = None,
    rounding: Rounding = 2e-4,
    requests: Requests = None,
    normalise: NormaliseChoice = Normalise.none,
    confidence: ConfidenceChoice = Confidence.none,
    correct: Correct = None,
    out: Out = None,
    unit: UnitChoice = Unit.bits,
    as_json: AsJson = False,
) -> None:
    """Read what others stored: OpenAI batches, vLLM, llama.cpp, lm-eval, Inspect.

    Entropies are bounds, for such files hold a few candidates a token. What is not read
    is counted and named. Nothing is made up: an answer has a confidence if the file
    gives one, or if --confidence says what to take.

    Example: nescio import logs/capitals.eval --vocabulary-size 49152 --out capitals
    """
    from nescio.imports import OutcomesFrom, estimates_of, import_file, write_imported
    from nescio.imports.writing import check_directory

    if out is not None:
        check_directory(out)
    believed = None if confidence is Confidence.none else confidence.value
    found = import_file(
        file,
        format=file_format,
        vocabulary_size=vocabulary_size,
        rounding=rounding,
        requests=requests,
        outcomes=OutcomesFrom(normalise.value, believed, correct),
    )
    whole, groups = estimates_of(found)
    told = _told(found, whole, groups, unit.value)
    names = () if out is None else write_imported(out, found, told=told)
    if as_json:
        print_json(told | _beside(found))
        return
    _show(found, told["counts"], _in_unit(whole, unit.value), groups, unit.value)
    if out is not None:
        console(stderr=True).print(visible(f"written: {out} ({', '.join(names)})"))


def _told(
    found: Imported,
    whole: Mapping[str, Estimate],
    groups: Mapping[str, Mapping[str, Mapping[str, Estimate]]],
    unit: str,
) -> dict[str, Any]:
    from nescio.report import estimates_json

    inner = {
        name: {value: _in_unit(estimates, unit) for value, estimates in group.items()}
        for name, group in groups.items()
    }
    return estimates_json(_in_unit(whole, unit), _counts(found), _items(found), inner)


def _beside(found: Imported) -> dict[str, Any]:
    """What the object holds beside estimates, counts, items and groups."""
    return {
        "format": found.format,
        "notes": list(found.notes),
        "skipped": [{"where": where, "reason": why} for where, why in found.skipped],
    }


def _in_unit(estimates: Mapping[str, Estimate], unit: str) -> dict[str, Estimate]:
    return {
        name: one.to(unit) if "nats" in one.unit or "bits" in one.unit else one
        for name, one in estimates.items()
    }


def _counts(found: Imported) -> dict[str, int]:
    answers = [one for _, samples in found.samples for one in samples.answers]
    return {
        "items": len(_ids(found)),
        "answers": len(answers),
        "traces": len(found.traces),
        "tokens": sum(int(trace.scored.sum()) for trace in found.traces),
        "scored_texts": len(found.scored),
        "verdicts": len(found.marks),
        "outcomes": 0 if found.outcomes is None else len(found.outcomes),
        "skipped": len(found.skipped),
        "without_prompt": len(found.without_prompt),
    }


def _ids(found: Imported) -> list[str]:
    """Every item that something is known of, in order."""
    ids = [item for item, _ in found.samples]
    ids += [one.item for one in (*found.scored, *found.marks)]
    return list(dict.fromkeys(ids))


def _items(found: Imported) -> list[dict[str, Any]]:
    """One object an item: its answers, its scored texts, its verdicts."""
    items: dict[str, dict[str, Any]] = {
        item: {"id": item, "answers": [], "scored": [], "verdicts": []}
        for item in _ids(found)
    }
    for item, samples in found.samples:
        for one in samples.answers:
            items[item]["answers"].append(
                {
                    "draw": one.draw,
                    "text": one.text,
                    "tokens": one.token_count,
                    "total_logp": one.total_logp,
                    "has_trace": one.trace is not None,
                }
            )
    for one in found.scored:
        told = {"text": one.text, "total_logp": one.logp, "greedy": one.greedy}
        items[one.item]["scored"].append(told)
    for mark in found.marks:
        told = {"draw": mark.draw, "name": mark.name, "correct": mark.correct}
        items[mark.item]["verdicts"].append(told)
    return list(items.values())


def _show(
    found: Imported,
    counts: Mapping[str, int],
    whole: Mapping[str, Estimate],
    groups: Mapping[str, Mapping[str, Mapping[str, Estimate]]],
    unit: str,
) -> None:
    from nescio.report import summary_table

    out = console()
    counted = [f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items() if n]
    out.print(f"{found.format}: {', '.join(counted)}")
    if whole:
        out.print(summary_table(whole))
    for name, group in groups.items():
        for value, estimates in group.items():
            out.print()
            out.print(visible(f"{name} {value}"))
            out.print(summary_table(_in_unit(estimates, unit)))
    for note in found.notes:
        out.print(visible(f"note: {note}"))
    for where, why in found.skipped[:_SHOWN]:
        out.print(visible(f"skipped: {where}: {why}"))
    hidden = len(found.skipped) - _SHOWN
    if hidden > 0:
        out.print(f"{hidden:,} more were skipped; --json and --out name them all")
