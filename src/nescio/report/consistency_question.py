"""One question on a page: the answer, how sure, and everything that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nescio.consistency.answers import INVALID
from nescio.evaluation.consistency_found import QuestionFound
from nescio.outcome import Estimate
from nescio.report.calibration_html import percent
from nescio.report.compare_numbers import in_unit
from nescio.report.consistency_divergence import divergence_section
from nescio.report.consistency_heat import heat_section
from nescio.report.consistency_sets import samples_section, sets_section
from nescio.report.consistency_texts import answer_of, quoted, short, worded
from nescio.report.estimates_html import estimates_table, safe

__all__ = [
    "facts",
    "headline",
    "question_estimates",
    "question_facts",
    "question_parts",
    "remarks",
    "sorting_facts",
]

_QUESTION, _ANSWER, _GOLD = 2_000, 600, 5
_REASONS = {
    "lead": "the lead sufficed",
    "most": "no more were allowed",
    "ended": "no more were there, though the rule would have gone on",
}


def headline(found: QuestionFound) -> str:
    """Question, answer, and how sure: in two sentences."""
    question = found.answers.question
    asked = quoted(question, _QUESTION, style="question") if question else ""
    return f"""<div class="headline">{asked}
{_answer(found)}
<p class="verdict">{_confidence(found)}</p>{_right(found)}{_stopped(found)}</div>"""


def question_parts(
    found: QuestionFound, *, prefix: str, unit: str, stops: Sequence[str | None] = ()
) -> str:
    """All sections about one question below its headline.

    Args:
        found: the question.
        prefix: of ids, other for every question on a page.
        unit: of information, ``"bits"`` or ``"nats"``.
        stops: why each sample ended; empty: not known.
    """
    parted = ""
    if found.divergence is not None:
        parted = divergence_section(found.divergence, unit=unit)
    estimates = question_estimates(found, unit)
    measures = ""
    if estimates:
        measures = (
            '<section class="part"><h2>All measures</h2>'
            f"{estimates_table(estimates)}</section>"
        )
    return (
        sets_section(found)
        + heat_section(found, prefix=prefix)
        + parted
        + measures
        + samples_section(found, prefix=prefix, unit=unit, stops=stops)
    )


def question_estimates(found: QuestionFound, unit: str) -> Mapping[str, Estimate]:
    """The calibrated probability first, if there is one, then every measure."""
    first = {} if found.probability is None else {"probability": found.probability}
    return in_unit({**first, **found.estimates}, unit)


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """A list of what is what; values are text."""
    listed = "".join(
        f"<div><dt>{safe(key)}</dt><dd>{safe(value)}</dd></div>" for key, value in pairs
    )
    return f'<dl class="facts">{listed}</dl>'


def remarks(notes: Sequence[str]) -> str:
    """What has to be known to read the numbers."""
    listed = "".join(f"<li>{safe(short(note, 600))}</li>" for note in notes[:50])
    return f'<ul class="notes">{listed}</ul>' if listed else ""


def question_facts(found: QuestionFound, source: str) -> str:
    """Where the samples come from, how many there are, and how they were sorted."""
    answers = found.answers
    pairs = [("samples from", short(source))]
    if answers.id:
        pairs.append(("question", short(answers.id)))
    pairs += [("samples", f"{len(answers):,}"), ("different answers", _sets(found))]
    pairs.append(("without a valid answer", f"{answers.invalid:,}"))
    pairs += sorting_facts(answers.recipe)
    if found.triples is not None:
        pairs.append(("not transitive", _triples(found)))
    return facts(pairs)


def sorting_facts(recipe: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What counted as an answer, and when two were the same, in words.

    Example:
        >>> sorting_facts({"equivalence": {"equivalence": "number", "units": "ignore"}})
        [('equivalence', 'number, units: ignore')]
    """
    facts_told = []
    for key in ("answer", "equivalence"):
        value = recipe.get(key)
        if isinstance(value, Mapping):
            rest = {k: v for k, v in value.items() if k != key and v is not None}
            words = [str(value[key])] if key in value else []
            value = ", ".join(words + [f"{k}: {v}" for k, v in rest.items()])
        if value is not None:
            facts_told.append((key, short(str(value))))
    return facts_told


def _sets(found: QuestionFound) -> str:
    return f"{sum(one.label != INVALID for one in found.sets):,}"


def _triples(found: QuestionFound) -> str:
    triples = found.triples
    if triples is None:
        return ""
    return (
        f"{percent(triples.share)} of all triples, {triples.broken:,} of "
        f"{triples.linked:,} that put it to the test"
    )


def _answer(found: QuestionFound) -> str:
    first = found.sets[0] if found.sets else None
    if first is None or first.label == INVALID:
        return '<p class="none">No sample has a valid answer.</p>'
    return quoted(answer_of(found, first), _ANSWER, style="leading")


def _confidence(found: QuestionFound) -> str:
    """Whether the number is a probability of being right, or only agreement."""
    agreement = found.estimates.get("agreement")
    votes = "" if agreement is None else f"Agreement {safe(worded(agreement))}"
    said = _votes(found)
    if found.probability is not None:
        chance = safe(worded(found.probability))
        return (
            f"Right with the calibrated probability <b>{chance}</b>. "
            f"{said}{votes and ' ' + votes + '.'}"
        )
    if not votes:
        return said
    return (
        f"{said} <b>{votes}</b>: how far the samples agree, <em>not</em> a calibrated "
        "probability that the answer is right."
    )


def _votes(found: QuestionFound) -> str:
    """How many samples say it, and who else leads."""
    count = len(found.answers)
    valid = [one for one in found.sets if one.label != INVALID]
    if not valid:
        return f"None of {count:,} samples has a valid answer, so nothing is known."
    first = valid[0].votes
    tied = sum(one.votes == first for one in valid)
    words = f"{first:,} of {count:,} samples say this"
    if tied > 1:
        words += (
            f"; {tied - 1:,} other answer{'s have' if tied > 2 else ' has'} as many"
        )
    return f"{words}."


def _right(found: QuestionFound) -> str:
    if not found.gold and found.right is None:
        return ""
    if found.right is None:
        said = "Gold is known, but not whether this answer agrees with it:"
    else:
        said = "✓ Right. Gold:" if found.right else "✗ Wrong. Gold:"
    gold = " or ".join(quoted(one, 200) for one in found.gold[:_GOLD])
    more = len(found.gold) - _GOLD
    others = f" or {more:,} others" if more > 0 else ""
    return f'<p class="judged">{said} {gold or "not given here"}{others}</p>'


def _stopped(found: QuestionFound) -> str:
    stop = found.stop
    if stop is None:
        return ""
    reason = _REASONS.get(stop.reason, stop.reason)
    return (
        f"<p>Adaptive sampling stopped after {stop.used:,} samples: {safe(reason)}. "
        "That the leading answer is the more frequent of the first two has the "
        f"posterior probability {stop.lead_confidence:.3f} there (uniform prior, "
        "exact).</p>"
    )
