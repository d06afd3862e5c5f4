"""Consistency as one HTML file: of one question, and of a set of questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nescio.errors import InvalidInput
from nescio.evaluation.consistency_found import QuestionFound, QuestionsFound
from nescio.outcome import Estimate
from nescio.outcome.estimate import nescio_version
from nescio.plot.cells import RANKS, RANKS_BY_NIGHT, step_colours
from nescio.report.consistency_curves import curve_figures
from nescio.report.consistency_judged import (
    calibrated_section,
    means_section,
    measures_section,
    reliability_section,
    shown_estimates,
)
from nescio.report.consistency_map import map_section
from nescio.report.consistency_question import (
    headline,
    question_estimates,
    question_facts,
    question_parts,
    remarks,
)
from nescio.report.consistency_questions import (
    adaptive_section,
    details_section,
    groups_section,
    questions_facts,
    verdict,
)
from nescio.report.consistency_texts import short
from nescio.report.estimates_html import recipes, safe
from nescio.report.style import script, style_sheet
from nescio.report.trace_page import POLICY
from nescio.units import INFORMATION_UNITS

__all__ = ["question_page", "questions_page"]


def question_page(
    found: QuestionFound,
    *,
    source: str,
    notes: Sequence[str] = (),
    unit: str = "bits",
    title: str | None = None,
    stops: Sequence[str | None] = (),
) -> str:
    """A complete HTML document about the samples of one question.

    Everything is inside the file; its policy forbids any request. Texts are escaped,
    controls and direction marks in them are shown, not obeyed, and long ones are cut,
    with their length said. Every picture can be read by pointing and by keyboard.

    Args:
        found: the question.
        source: where its samples are from, in words.
        notes: what has to be known to read the numbers, after those of ``found``.
        unit: of information, ``"bits"`` or ``"nats"``.
        title: of the page; None names the source.
        stops: why each sample ended, as `nescio.trace.Sample.stop`; empty: not known.

    Raises:
        InvalidInput: another unit.

    Example:
        >>> from nescio.consistency.agreement import agreement
        >>> from nescio.consistency.answers import answers_of
        >>> from nescio.evaluation.consistency_found import AnswerSet, QuestionFound
        >>> answers = answers_of(["12", "12", "12"])
        >>> sure = agreement(answers)
        >>> found = QuestionFound(answers, {"agreement": sure},
        ...                       (AnswerSet(0, 3, sure, 0),), {})
        >>> question_page(found, source="three samples").startswith("<!doctype html>")
        True
    """
    _check(unit)
    name = title or f"How far do the samples of {short(source)} agree?"
    estimates = question_estimates(found, unit)
    top = question_facts(found, source) + remarks((*found.notes, *notes))
    body = f"""<header>
<h1>{safe(short(name))}</h1>
{headline(found)}
{top}
</header>
<main class="stack">
{question_parts(found, prefix="s", unit=unit, stops=stops)}
</main>
{_footer(estimates)}"""
    return _document(name, body)


def questions_page(
    found: QuestionsFound,
    *,
    source: str,
    notes: Sequence[str] = (),
    unit: str = "bits",
    title: str | None = None,
) -> str:
    """A complete HTML document about the samples of a set of questions.

    Safe and readable as `question_page`. Without gold it has no figure that needs it.

    Args:
        found: the questions.
        source, notes, unit, title: as for `question_page`.

    Raises:
        InvalidInput: another unit.
    """
    _check(unit)
    name = title or f"How far do the samples of {short(source)} agree?"
    estimates = shown_estimates(found, unit)
    body = f"""<header>
<h1>{safe(short(name))}</h1>
{questions_facts(found, source)}
{verdict(found)}
{remarks((*found.notes, *notes))}
</header>
<main class="stack">
{map_section(found)}
{measures_section(found, unit)}
{reliability_section(found)}
<div class="figures">{curve_figures(found)}</div>
{adaptive_section(found)}
{calibrated_section(found, unit)}
{groups_section(found)}
{means_section(found, unit)}
{details_section(found, unit)}
</main>
{_footer(estimates)}"""
    return _document(name, body)


def _check(unit: str) -> None:
    if unit not in INFORMATION_UNITS:
        raise InvalidInput(f"unit is {unit!r}: choose one of {INFORMATION_UNITS}")


def _document(name: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{safe(short(name))}</title>
<style>
{style_sheet()}
{script("calibration.css")}
{_colours()}
{script("consistency.css")}
</style>
</head>
<body>
{body}
<script>
{script("calibration.js")}
</script>
<script>
{script("consistency.js")}
</script>
</body>
</html>
"""


def _colours() -> str:
    """The colours of ranks and of similarities by day and by night."""
    day, night = (
        "".join(f"--r{k}:{colour};" for k, colour in enumerate(ranks))
        + "".join(f"--h{k}:{colour};" for k, colour in enumerate(shades))
        for ranks, shades in (
            (RANKS, step_colours(night=False)),
            (RANKS_BY_NIGHT, step_colours(night=True)),
        )
    )
    return (
        f":root{{{day}}}\n@media screen and (prefers-color-scheme:dark)"
        f"{{:root{{{night}}}}}"
    )


def _footer(estimates: Mapping[str, Estimate]) -> str:
    """Recipes, each with its sources, and all sources together."""
    cited = dict.fromkeys(
        line for one in estimates.values() for line in one.cite().splitlines()
    )
    sources = "".join(f"<li>{safe(short(line, 300))}</li>" for line in cited)
    return f"""<footer>
<details><summary>Recipes</summary>{recipes(estimates)}</details>
<details><summary>Sources</summary><ul>{sources}</ul></details>
<p>Made by nescio {safe(nescio_version())}</p>
</footer>"""
