"""What a set of questions comes to, in words, and some of them in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nescio.consistency.answers import INVALID
from nescio.evaluation.consistency_found import QuestionFound, QuestionsFound
from nescio.outcome import Estimate
from nescio.report.calibration_html import Table, number_text, table_html
from nescio.report.consistency_judged import cell
from nescio.report.consistency_question import (
    facts,
    headline,
    question_parts,
    remarks,
    sorting_facts,
)
from nescio.report.consistency_texts import answer_of, called, short, worded
from nescio.report.estimates_html import safe

__all__ = [
    "adaptive_section",
    "details_section",
    "groups_section",
    "questions_facts",
    "verdict",
]

_GROUPS = 200
_LARGEST = 3_000_000  # characters of details in full


def questions_facts(found: QuestionsFound, source: str) -> str:
    """How many questions and samples, and how they were sorted."""
    sizes = [len(answers) for answers in found.questions]
    least, most = min(sizes), max(sizes)
    each = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    void = sum(answers.invalid == len(answers) for answers in found.questions)
    pairs = [
        ("samples from", short(source)),
        ("questions", f"{len(sizes):,}"),
        ("samples of each", each),
        ("questions without a valid answer", f"{void:,}"),
        ("tied for the lead", f"{int((found.leaders.tied > 1).sum()):,}"),
    ]
    return facts(pairs + sorting_facts(found.questions[0].recipe))


def verdict(found: QuestionsFound) -> str:
    """In a few sentences: how often right, how sure, and what that is worth."""
    said = []
    if found.accuracy is not None:
        said.append(f"Of the leading answers {worded(found.accuracy)} are right.")
    mean = found.means.get(found.reference)
    if mean is not None:
        said.append(f"The mean {called(found.reference)} is {worded(mean)}.")
    if found.right is None:
        said.append(
            "No gold is known, so how far agreement can be trusted is not known "
            "either: samples of a biased model agree on what is wrong."
        )
    measure = found.measures.get(found.reference)
    if measure is not None:
        said += _trusted(measure.estimates)
    words = " ".join(said)
    return f'<p class="verdict">{safe(words)}</p>' if words else ""


def details_section(found: QuestionsFound, unit: str) -> str:
    """Some questions as on a page of their own, folded."""
    drawn, size, left = [], 0, 0
    for number, one in enumerate(found.details.values()):
        part = _detail(one, number, unit)
        if size + len(part) > _LARGEST:
            left += 1
            continue
        size += len(part)
        drawn.append(part)
    if not drawn:
        return ""
    out = f"<p>{left:,} more are left out to keep the file small.</p>" if left else ""
    return (
        '<section class="part in-full"><h2>Some questions in full</h2>'
        f"{''.join(drawn)}{out}</section>"
    )


def adaptive_section(found: QuestionsFound) -> str:
    """What stopping early would have saved, and what it would have changed."""
    one = found.adaptive
    if one is None:
        return ""
    rule = one.rule
    until = (
        "as soon as the answers that are left cannot change the leader"
        if rule.certain
        else "as soon as the leading answer is the more frequent of the first two with "
        f"the posterior probability {rule.confidence:g}"
    )
    stated = f"Stopping {until}, after {rule.least:,} to {rule.most:,} samples."
    saved, changed = (safe(worded(part)) for part in (one.saved, one.changed))
    return f"""<section class="part">
<h2>Would fewer samples do?</h2>
<p>{safe(stated)}</p>
<p class="said-so">It would have saved <b>{saved}</b> of the samples, and given \
another leading answer for <b>{changed}</b> of the questions.</p>
</section>"""


def groups_section(found: QuestionsFound) -> str:
    """A row for each group of questions; empty without groups."""
    if not found.groups:
        return ""
    shown = dict(list(found.groups.items())[:_GROUPS])
    names = list(dict.fromkeys(name for one in shown.values() for name in one))
    rows = [
        (short(group, 80) or "(empty)", _questions(one), *_cells(one, names))
        for group, one in shown.items()
    ]
    left = len(found.groups) - len(shown)
    more = f" {left:,} more are not shown." if left else ""
    heads = ("group", "questions", *(called(name) for name in names))
    return f"""<section class="part">
<h2>Is it so for every group?</h2>
<p>Means over the questions of each group, in brackets the intervals.{more}</p>
{table_html(Table(heads, rows, named=True))}
</section>"""


def _cells(group: Mapping[str, Estimate], names: Sequence[str]) -> list[str]:
    return [cell(group.get(name)) for name in names]


def _questions(group: Mapping[str, Estimate]) -> str:
    return f"{max((one.n for one in group.values()), default=0):,}"


def _trusted(estimates: Mapping[str, Estimate]) -> list[str]:
    said = []
    error = estimates.get("expected_calibration_error")
    if error is not None and error.value is not None:
        said.append(f"Read as a probability, its calibration error is {worded(error)}")
        if error.null_level is not None:
            null = number_text(error.null_level, 3)
            said[-1] += f"; {null} is what chance would leave a calibrated one"
        said[-1] += "."
    ranks = estimates.get("auroc")
    if ranks is not None and ranks.value is not None:
        said.append(
            f"It ranks right above wrong answers with AUROC {worded(ranks)}; "
            "½ is chance."
        )
    return said


def _detail(one: QuestionFound, number: int, unit: str) -> str:
    answers = one.answers
    first = one.sets[0] if one.sets else None
    said = "no valid answer"
    if first is not None and first.label != INVALID:
        said = (
            f"{short(answer_of(one, first), 60)}, {first.votes:,} of {len(answers):,}"
        )
    name = short(answers.id, 60) or f"question {number + 1}"
    return f"""<details class="detail" id="detail-{number}">
<summary><b>{safe(name)}</b> {safe(said)}</summary>
{headline(one)}{remarks(one.notes)}
{question_parts(one, prefix=f"d{number}s", unit=unit)}
</details>"""
