"""What is printed of questions and their samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nescio.cli.options import console
from nescio.visible import visible

if TYPE_CHECKING:
    from rich.table import Table

    from nescio.consistency.divergence import Divergence
    from nescio.evaluation.consistency_found import (
        AnswerSet,
        QuestionFound,
        QuestionsFound,
    )
    from nescio.evaluation.consistency_risk import LeastRisks
    from nescio.outcome import Estimate

__all__ = [
    "briefly",
    "question_line",
    "risk_lines",
    "said_next",
    "show_question",
    "show_questions",
]

_LONGEST = 100  # characters of an answer in a table
_LONGEST_QUESTION = 400
_MOST_SETS, _MOST_DOUBTFUL, _MOST_PARTINGS = 20, 10, 5
_MOST_GROUPS = 60


def show_question(
    found: QuestionFound, *, unit: str = "bits", notes: Sequence[str] = ()
) -> None:
    """Print one question: its answer, its sets, every measure, where its samples part.

    Args:
        found: what is known of it.
        unit: of information, ``bits`` or ``nats``.
        notes: further ones, from whoever read the samples.
    """
    from nescio.report.compare_numbers import in_unit

    out = console()
    for line in question_line(found):
        out.print(line, soft_wrap=True)
    out.print()
    out.print(_sets_table(found))
    hidden = len(found.sets) - _MOST_SETS
    if hidden > 0:
        out.print(f"{hidden:,} more sets are not shown")
    out.print()
    out.print(_measures_table(in_unit(found.estimates, unit)))
    parting = None if found.divergence is None else _partings(found.divergence, unit)
    if parting:
        out.print()
        out.print(visible(parting, keep="\n"))
    for note in dict.fromkeys((*notes, *found.notes)):
        out.print(visible(f"note: {note}"))


def question_line(found: QuestionFound) -> list[str]:
    """The question, its leading answer and how sure that is, a line each."""
    answers, lines = found.answers, []
    if answers.id or answers.question:
        asked = briefly(answers.question, _LONGEST_QUESTION)
        name = briefly(answers.id, _LONGEST)
        lines.append(f"{name}: {asked}" if name and asked else name or asked)
    leader = answers.leader
    if leader is None:
        lines.append(f"no answer: none of {len(answers):,} samples has a valid one")
    else:
        first = next(one for one in found.sets if one.label == leader)
        verdict = {None: "", True: ", right", False: ", wrong"}[found.right]
        lines.append(
            f"answer: {_answer(found, first)} ({first.votes:,} of {len(answers):,} "
            f"samples{verdict})"
        )
    if found.probability is not None:
        lines.append(_in_words("probability of being right", found.probability))
    if found.gold:
        lines.append(f"gold: {briefly(' | '.join(found.gold), _LONGEST)}")
    if found.stop is not None:
        lines.append(
            f"adaptive sampling stops after {found.stop.used:,} samples "
            f"({_REASONS[found.stop.reason]})"
        )
    if found.triples is not None and found.triples.broken:
        lines.append(
            f"sets are not transitive: {found.triples.broken:,} of "
            f"{found.triples.linked:,} linked triples"
        )
    return lines


_REASONS = {
    "lead": "the lead suffices",
    "most": "no more are allowed",
    "ended": "there are no more",
}


def show_questions(
    found: QuestionsFound,
    *,
    source: str,
    unit: str = "bits",
    notes: Sequence[str] = (),
) -> None:
    """Print a set of questions: every measure, how well it tells, who is in doubt."""
    out = console()
    samples = sorted({len(answers) for answers in found.questions})
    many = f"{samples[0]:,}" if len(samples) == 1 else f"{samples[0]:,}–{samples[-1]:,}"
    out.print(
        visible(f"{source}: {len(found.questions):,} questions, {many} samples each")
    )
    if found.accuracy is not None:
        out.print(_in_words("right leading answers", found.accuracy))
    out.print()
    out.print(_judged_table(found) if found.measures else _means(found, unit))
    for line in [*_curve_lines(found), *_adaptive_lines(found)]:
        out.print(line)
    if found.groups:
        out.print()
        out.print(_groups_table(found))
    out.print()
    out.print(_doubtful_table(found))
    for note in dict.fromkeys((*notes, *found.notes)):
        out.print(visible(f"note: {note}"))


def briefly(text: str, most: int) -> str:
    r"""A text on one line, made visible and no longer than it may be.

    Example:
        >>> briefly("a\x1b[1m  b" + "c" * 90, 12)
        'a␛[1m bcccc…'
    """
    line = visible(" ".join(text[: 4 * most].split()))
    whole = len(line) <= most and len(text) <= 4 * most
    return line if whole else f"{line[: most - 1]}…"


def said_next(text: str) -> str:
    r"""A token or word in quotes: white space is seen, and is not the end of a sample.

    Example:
        >>> said_next(" 12"), said_next("\n")
        ("' 12'", "'␊'")
    """
    cut = visible(text[:20])
    return f"'{cut}…'" if len(text) > 20 else f"'{cut}'"


def _answer(found: QuestionFound, one: AnswerSet) -> str:
    return briefly(found.answers.texts[one.representative], _LONGEST) or "(empty)"


def _in_words(what: str, estimate: Estimate) -> str:
    from nescio.report.numbers import interval_text, value_text

    limits = interval_text(estimate)
    words = "" if limits == "–" else f" ({limits})"
    return f"{what}: {value_text(estimate)}{words}"


def _sets_table(found: QuestionFound) -> Table:
    from rich.text import Text

    from nescio.report.numbers import interval_text, value_text

    table = _table("votes", "share", "interval")
    if found.right is not None:
        table.add_column("right")
    table.add_column("answer", overflow="fold")
    for one in found.sets[:_MOST_SETS]:
        cells = [f"{one.votes:,}", value_text(one.share), interval_text(one.share)]
        if found.right is not None:
            cells.append("yes" if one.right else "no")
        said = _answer(found, one)
        cells.append(f"no valid answer: {said}" if one.label < 0 else said)
        table.add_row(*map(Text, cells))
    return table


def _measures_table(estimates: Mapping[str, Estimate]) -> Table:
    from rich.text import Text

    from nescio.report.numbers import interval_text

    table = _table("measure", "value", "interval", "larger where")
    for name, estimate in estimates.items():
        cells = [name, _value(estimate), interval_text(estimate), _larger(name)]
        table.add_row(*(Text(visible(cell)) for cell in cells))
    return table


def _value(estimate: Estimate) -> str:
    from nescio.report.numbers import unit_text, value_text

    value, unit = value_text(estimate), unit_text(estimate)
    return f"{value} {unit}" if unit and estimate.value is not None else value


def _larger(name: str) -> str:
    from nescio.evaluation.consistency_measures import kind_of_measure

    sure = kind_of_measure(name).rises_with == "confidence"
    return "sure" if sure else "in doubt"


def _partings(found: Divergence, unit: str) -> str:
    """Where most samples part, in words; empty where they never do."""
    from nescio.units import convert_factor

    factor = convert_factor("nats", to=unit)
    parted = [
        (step.entropy.value or 0.0, place, step)
        for place, step in enumerate(found.steps)
        if len(step.branches) > 1
    ]
    if not parted:
        return ""
    most = sorted(parted, key=lambda one: (-one[0], one[1]))[:_MOST_PARTINGS]
    told = []
    for entropy, place, step in sorted(most, key=lambda one: one[1]):
        ways = ", ".join(
            f"{said_next(text) if text else 'end'} {count:,}"
            for text, count in list(step.branches.items())[:3]
        )
        more = "" if len(step.branches) < 4 else f", {len(step.branches) - 3:,} others"
        told.append(
            f"  {found.unit} {place + 1}: {ways}{more} ({entropy * factor:.2f} {unit})"
        )
    return "\n".join([f"samples part most at, of {found.shown:,} steps:", *told])


def _means(found: QuestionsFound, unit: str) -> Table:
    from nescio.report.compare_numbers import in_unit

    return _measures_table(in_unit(found.means, unit))


def _judged_table(found: QuestionsFound) -> Table:
    """A row a measure, the best ranking first."""
    from rich.text import Text

    from nescio.report.calibration_html import number_text
    from nescio.report.calibration_text import p_text
    from nescio.report.numbers import interval_text, value_text

    table = _table("measure", "AUROC", "interval", "p", "ECE", "null", "Brier")
    table.columns[0].no_wrap = True
    table.padding = (0, 1, 0, 0)
    order = sorted(
        found.measures,
        key=lambda name: -_number(found.measures[name].estimates.get("auroc")),
    )
    for name in order:
        one = found.measures[name]
        area, error = (
            one.estimates.get(which)
            for which in ("auroc", "expected_calibration_error")
        )
        brier = one.estimates.get("brier_score")
        cells = [
            name,
            "–" if area is None else value_text(area),
            "–" if area is None else interval_text(area),
            "" if one.difference is None else p_text(one.difference.p_value),
            "" if error is None else value_text(error),
            "" if error is None else number_text(error.null_level, 3),
            "" if brier is None else value_text(brier),
        ]
        table.add_row(*(Text(visible(cell)) for cell in cells))
    table.caption = Text(
        f"p: of the same AUROC as {found.reference}, on the same questions; null: ECE "
        "of a calibrated model",
        style="",
    )
    table.caption_justify = "left"
    return table


def _number(estimate: Estimate | None) -> float:
    return 0.0 if estimate is None or estimate.value is None else estimate.value


def _curve_lines(found: QuestionsFound) -> list[str]:
    lines = []
    if found.calibrated is not None:
        before, after = found.calibrated.before, found.calibrated.after
        told = [
            f"{name.replace('_', ' ')} {_number(before.get(name)):.3f} → "
            f"{_number(after.get(name)):.3f}"
            for name in ("expected_calibration_error", "brier_score")
        ]
        lines.append(
            f"{found.reference} as a probability, cross-validated: {', '.join(told)}"
        )
    if found.curve:
        steps = ", ".join(
            f"{point.samples} {_number(point.estimates['accuracy']):.3f}"
            for point in found.curve
        )
        lines.append(f"right by the number of samples: {steps}")
    return lines


def _adaptive_lines(found: QuestionsFound) -> list[str]:
    if found.adaptive is None:
        return []
    return [
        _in_words("adaptive sampling would have saved", found.adaptive.saved),
        _in_words("and changed the leading answer of", found.adaptive.changed),
    ]


def _groups_table(found: QuestionsFound) -> Table:
    from rich.text import Text

    from nescio.report.numbers import interval_text, value_text

    names = [found.reference, *(["accuracy"] if found.right is not None else [])]
    heads = [head for name in names for head in (name, "interval")]
    table = _table("group", "questions", *heads)
    for group, estimates in list(found.groups.items())[:_MOST_GROUPS]:
        cells = [briefly(group, 60), f"{estimates[found.reference].n:,}"]
        for name in names:
            cells += [value_text(estimates[name]), interval_text(estimates[name])]
        table.add_row(*map(Text, cells))
    return table


def _doubtful_table(found: QuestionsFound) -> Table:
    """The questions with the least sure answers."""
    import numpy as np
    from rich.text import Text

    from nescio.evaluation.consistency_measures import kind_of_measure

    column = found.columns[found.reference]
    sure = kind_of_measure(found.reference).rises_with == "confidence"
    order = np.argsort(column if sure else -column, kind="stable")
    table = _table("most doubtful", found.reference, "votes")
    if found.right is not None:
        table.add_column("right")
    table.add_column("answer", overflow="fold")
    for place in order[:_MOST_DOUBTFUL].tolist():
        answers = found.questions[place]
        key = found.leaders.keys[place]
        cells = [
            briefly(answers.id, 40),
            f"{column[place]:.3f}",
            f"{int(found.leaders.votes[place]):,} of {len(answers):,}",
        ]
        if found.right is not None:
            cells.append("yes" if found.right[place] else "no")
        cells.append("no valid answer" if key is None else briefly(key, _LONGEST))
        table.add_row(*map(Text, cells))
    return table


def _table(first: str, *heads: str) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="")
    table.add_column(first, overflow="fold")
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def risk_lines(found: LeastRisks) -> list[str]:
    """The answer of least expected loss, or how often such answers are right."""
    if len(found.found) == 1:
        one = found.found[0]
        if one is None:
            return [f"least expected {found.loss} loss: no sample has a valid answer"]
        said = briefly(one.text, _LONGEST)
        loss = _in_words("expected loss", one.expected_loss)
        return [f"least expected {found.loss} loss: {said} ({loss})"]
    if found.accuracy is None or found.difference is None:
        return [f"answers of least expected {found.loss} loss are in --json"]
    return [
        _in_words(f"right answers of least expected {found.loss} loss", found.accuracy),
        _in_words("more than the most frequent ones", found.difference),
    ]
