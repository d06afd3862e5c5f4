"""``nescio consistency``: how sure a model is, from samples that are there."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nescio.cli.consistency_reading import read_samples
from nescio.cli.consistency_rows import Fields
from nescio.cli.consistency_running import Work, fitted, read_calibrator, surveyed
from nescio.cli.options import (
    AsJson,
    Unit,
    UnitChoice,
    check_writable,
    console,
    print_json,
    write_atomically,
)
from nescio.errors import InvalidInput
from nescio.visible import visible

if TYPE_CHECKING:
    from nescio.cli.consistency_running import Found

__all__ = ["consistency"]


class ConventionName(StrEnum):
    """What becomes of samples without a valid answer."""

    safe = "safe"
    paper = "paper"


class LinkName(StrEnum):
    """How pairs become sets."""

    connected_components = "connected_components"
    complete_link = "complete_link"


SamplesFile = Annotated[
    Path,
    typer.Argument(
        metavar="SAMPLES",
        help="JSON lines, CSV or Parquet with a question or a sample a row; the "
        "directory of nescio sample; what lm-eval, Inspect or an OpenAI batch stored.",
    ),
]
IdField = Annotated[
    str | None,
    typer.Option("--id", metavar="FIELD", help="It names a question; default: id."),
]
SamplesField = Annotated[
    str | None,
    typer.Option(
        "--samples", metavar="FIELD", help="The list of samples; default: samples."
    ),
]
TextField = Annotated[
    str | None,
    typer.Option(
        "--text", metavar="FIELD", help="The text, where each row is one sample."
    ),
]
ColumnNames = Annotated[
    str | None,
    typer.Option(
        "--columns", metavar="A,B,C", help="Columns each of which is one sample."
    ),
]
PromptField = Annotated[
    str | None,
    typer.Option("--prompt", metavar="FIELD", help="What was asked; default: prompt."),
]
GoldField = Annotated[
    str | None,
    typer.Option(
        "--gold", metavar="FIELD", help="The right answer or answers; default: gold."
    ),
]
NoGold = Annotated[bool, typer.Option("--no-gold", help="Leave gold answers aside.")]
GroupField = Annotated[
    str | None, typer.Option("--group", metavar="FIELD", help="Shown group by group.")
]
ClusterField = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="FIELD",
        help="Questions of one value were drawn together; resampled as a whole.",
    ),
]
Extract = Annotated[
    str | None,
    typer.Option(
        "--extract",
        metavar="SPEC",
        help="Where the answer stands in a sample: last-number, choice:ABCD, "
        "'after:#### > first-number | last-number' …; default: the whole text.",
    ),
]
SameAs = Annotated[
    str | None,
    typer.Option(
        "--same",
        metavar="SPEC",
        help="When two answers are the same: normalised (default), exact, number, "
        "date, boolean, choice, with settings: number:places=2; or judge:MODEL, which "
        "asks a model.",
    ),
]
SimilarityName = Annotated[
    list[str] | None,
    typer.Option(
        "--similarity",
        metavar="NAME",
        help="rouge_l (default), jaccard, edit, exact or embedding[:DIRECTORY]; may be "
        "repeated: measures are taken with each.",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(help="Answers that are this similar are one set, in (0, 1]."),
]
LinkChoice = Annotated[LinkName, typer.Option(help="How similar pairs become sets.")]
ConventionChoice = Annotated[
    ConventionName,
    typer.Option(
        help="Samples without a valid answer: votes of their own (safe), or none."
    ),
]
CalibratorFile = Annotated[
    Path | None,
    typer.Option(
        "--calibrator",
        metavar="FILE",
        help="Turn agreement into a probability by what --save-calibrator wrote.",
    ),
]
SaveCalibrator = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Fit that probability to these questions; needs gold."
    ),
]
MeasureNames = Annotated[
    list[str] | None,
    typer.Option(
        "--measure",
        metavar="NAME",
        help="Only this measure; may be repeated. Others are compared with the first.",
    ),
]
QuestionId = Annotated[
    str | None, typer.Option("--question", metavar="ID", help="One question in full.")
]
Adaptive = Annotated[
    float | None,
    typer.Option(
        metavar="CONFIDENCE",
        help="What stopping at this confidence in the lead would have saved, such as "
        "0.95.",
    ),
]
MbrLoss = Annotated[
    str | None,
    typer.Option(
        "--mbr",
        metavar="LOSS",
        help="The answers of least expected loss: zero_one, edit or ngram.",
    ),
]
VocabularySize = Annotated[
    int | None,
    typer.Option(help="Of the model: bounds self-certainty where there are traces."),
]
Level = Annotated[float, typer.Option(help="The coverage intervals aim at.")]
Resamples = Annotated[int, typer.Option(help="Of the intervals.")]
Seed = Annotated[int, typer.Option(help="Of resampling.")]
Html = Annotated[Path | None, typer.Option(help="Write one HTML page.")]


def consistency(
    samples: SamplesFile,
    id_field: IdField = None,
    samples_field: SamplesField = None,
    text: TextField = None,
    columns: ColumnNames = None,
    prompt: PromptField = None,
    gold: GoldField = None,
    no_gold: NoGold = False,
    group: GroupField = None,
    cluster: ClusterField = None,
    extract: Extract = None,
    same: SameAs = None,
    similarity: SimilarityName = None,
    threshold: Threshold = None,
    link: LinkChoice = LinkName.connected_components,
    convention: ConventionChoice = ConventionName.safe,
    measure: MeasureNames = None,
    calibrator: CalibratorFile = None,
    save_calibrator: SaveCalibrator = None,
    question: QuestionId = None,
    adaptive: Adaptive = None,
    mbr: MbrLoss = None,
    vocabulary_size: VocabularySize = None,
    level: Level = 0.95,
    resamples: Resamples = 1000,
    seed: Seed = 0,
    unit: UnitChoice = Unit.bits,
    as_json: AsJson = False,
    html: Html = None,
) -> None:
    """How sure, from samples alone: how far the answers to a question agree.

    Samples are sorted into sets of the same answer; every measure that they allow is
    taken, with intervals. With gold answers each measure is judged: how well it
    tells right answers from wrong ones, and whether it may be read as a probability.

    Example: nescio consistency answers.jsonl --extract last-number --same number
    """
    check_writable(html, save_calibrator, source=samples if samples.is_file() else None)
    _check(gold if no_gold else None, question if save_calibrator else None)
    wide = tuple(name.strip() for name in columns.split(",")) if columns else ()
    right = "" if no_gold else gold
    asked = (id_field, samples_field, text, prompt, right, group, cluster)
    sets = (extract, same, tuple(similarity or ("rouge_l",)), threshold)
    how = (link.value, convention.value, tuple(measure) if measure else None)
    more = (question, adaptive, mbr, vocabulary_size)
    work = Work(*sets, *how, *more, (level, resamples, seed), html is not None)
    known = None if calibrator is None else read_calibrator(calibrator)
    work.check()
    found = surveyed(read_samples(samples, Fields(*asked, wide)), work, known)
    if save_calibrator is not None:
        _save(save_calibrator, fitted(found, work))
    _written(found, html, unit.value)
    if as_json:
        from nescio.cli.consistency_telling import told

        print_json(told(found, unit.value))
        return
    _show(found, unit.value)
    for path in (html, save_calibrator):
        if path is not None:
            console(stderr=True).print(visible(f"written: {path}"))


def _check(gold: str | None, question: str | None) -> None:
    """Refuse what excludes another option."""
    if gold is not None:
        raise InvalidInput("--gold and --no-gold exclude each other")
    if question is not None:
        raise InvalidInput("--save-calibrator is fitted to all questions, not to one")


def _save(path: Path, fields: dict[str, Any]) -> None:
    import json

    text = json.dumps(fields, allow_nan=False) + "\n"
    write_atomically(path, lambda p: p.write_text(text, encoding="ascii"))


def _written(found: Found, html: Path | None, unit: str) -> None:
    """Write the page of one question or of all."""
    if html is None:
        return
    from nescio.report.consistency_page import question_page, questions_page

    about = {"source": found.source, "notes": found.notes, "unit": unit}
    if found.one is not None:
        page = question_page(found.one, **about)
    elif found.all is not None:
        page = questions_page(found.all, **about)
    else:
        return
    write_atomically(html, lambda p: p.write_text(page, encoding="utf-8"))


def _show(found: Found, unit: str) -> None:
    from nescio.cli.consistency_showing import (
        risk_lines,
        show_question,
        show_questions,
    )

    if found.one is not None:
        show_question(found.one, unit=unit, notes=found.notes)
    elif found.all is not None:
        show_questions(found.all, source=found.source, unit=unit, notes=found.notes)
    if found.risk is not None:
        for line in risk_lines(found.risk):
            console().print(visible(line), soft_wrap=True)
