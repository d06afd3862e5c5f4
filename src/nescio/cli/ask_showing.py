"""What is printed and written of a question that was asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nescio.cli.options import console, write_atomically
from nescio.visible import visible

if TYPE_CHECKING:
    from nescio.consistency.divergence import Divergence
    from nescio.evaluation.asking import QuestionAsked
    from nescio.evaluation.wordings import Wordings
    from nescio.outcome import Estimate
    from nescio.trace import Sample

__all__ = ["show_asked", "told", "write_page"]

_LONGEST_ANSWER = 2000
_LONGEST_WORDING = 60
_LONGEST_SAID = 100
_MOST_SETS, _MOST_PARTINGS = 12, 3


def show_asked(found: QuestionAsked, unit: str, *, measures: bool = False) -> None:
    """Print the answer, how sure it is, the sets, and what has to be known.

    Args:
        found: what was asked and answered.
        unit: of information, ``bits`` or ``nats``.
        measures: print every measure as well.
    """
    out = console()
    out.print(answer_text(found), soft_wrap=True)
    out.print()
    for line in sure_lines(found):
        out.print(visible(line), soft_wrap=True)
    out.print()
    if measures:
        from nescio.cli.consistency_showing import show_question

        show_question(replace(found.found, notes=()), unit=unit)
    else:
        out.print(_sets_table(found))
        for line in parting_lines(found.found.divergence):
            out.print(visible(line), soft_wrap=True)
    if found.wordings is not None:
        out.print()
        for line in wording_lines(found.wordings):
            out.print(visible(line), soft_wrap=True)
    if found.notes:
        out.print()
    for note in found.notes:
        out.print(visible(f"note: {note}"), soft_wrap=True)


def _sets_table(found: QuestionAsked) -> Any:
    """A row a set: votes, share with interval, what it says, and where it is said."""
    from rich.table import Table
    from rich.text import Text

    from nescio.cli.consistency_showing import briefly

    sets, answers = found.found.sets, found.found.answers
    taken = any(
        said != text.strip()
        for said, text in zip(found.said, answers.texts, strict=True)
    )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="")
    for head in ("votes", "share", "interval"):
        table.add_column(head, justify="right", no_wrap=True)
    right = found.found.right is not None
    for head in (
        *(["right"] if right else []),
        "answer",
        *(["as in"] if taken else []),
    ):
        table.add_column(head, overflow="fold")
    for one in sets[:_MOST_SETS]:
        value, _, limits = _percent(one.share).partition(" [")
        cells = [f"{one.votes}", value, limits.rstrip("]") or "–"]
        if right:
            cells.append("yes" if one.right else "no")
        place = one.representative
        said = briefly(found.said[place], _LONGEST_SAID) or "(empty)"
        none = one.label < 0
        cells.append("(none is valid)" if none and taken else said)
        if taken:
            cells.append(briefly(answers.texts[place], _LONGEST_SAID))
        table.add_row(*map(Text, cells))
    hidden = sets[_MOST_SETS:]
    if hidden:
        votes = sum(one.votes for one in hidden)
        blank = [""] * (3 if right else 2)
        table.add_row(str(votes), *blank, f"in {len(hidden):,} more sets")
    return table


def parting_lines(found: Divergence | None) -> list[str]:
    """Where samples part, in words: what all say first, and the widest partings."""
    from nescio.cli.consistency_showing import briefly, said_next

    parted = [
        (place, step)
        for place, step in enumerate(() if found is None else found.steps)
        if len(step.branches) > 1
    ]
    if found is None or not parted:
        return []
    first = parted[0][0]
    shared = briefly("".join(step.text for step in found.steps[:first]), 60)
    lines = ["", f"all begin with {shared!r}" if shared else "where they part:"]
    widest = sorted(parted, key=lambda one: (-(one[1].entropy.value or 0.0), one[0]))
    for place, step in sorted(widest[:_MOST_PARTINGS], key=lambda one: one[0]):
        ways = [
            f"{count} × {said_next(text)}" if text else f"{count} end"
            for text, count in list(step.branches.items())[:3]
        ]
        more = len(step.branches) - 3
        ways += [f"{more} other{'s' * (more > 1)}"] if more > 0 else []
        lines.append(
            f"  {found.unit} {place + 1}, of {step.samples} that got there: "
            f"{', '.join(ways)}"
        )
    return lines


def write_page(path: Path, found: QuestionAsked, unit: str) -> None:
    """Write the page of a question."""
    from nescio.report.consistency_page import question_page

    page = question_page(
        found.found,
        source=found.settings["model"]["model"],
        notes=[] if found.wordings is None else wording_lines(found.wordings),
        unit=unit,
        stops=[sample.stop for sample in found.samples.answers],
    )
    write_atomically(path, lambda p: p.write_text(page, encoding="utf-8"))


def answer_text(found: QuestionAsked) -> str:
    """The answer as it is printed: made visible, cut where it is very long."""
    if found.answer is None:
        return "answer: none, no sample has a valid one"
    text = visible(found.answer[:_LONGEST_ANSWER], keep="\n")
    rest = len(found.answer) - _LONGEST_ANSWER
    shown = text if rest <= 0 else f"{text}… ({rest:,} more characters)"
    others = 0 if found.chosen is None else found.chosen.tied - 1
    more = "1 other" if others == 1 else f"{others} others"
    name = f"answer, tied with {more}" if others else "answer"
    return f"{name}: {shown}" if "\n" not in shown else f"{name}:\n{shown}"


def sure_lines(found: QuestionAsked) -> list[str]:
    """How sure the answer is, and of what that speaks."""
    from nescio.cli.consistency_showing import briefly

    lines = []
    sure, answers = found.confidence, found.found.answers
    if found.is_probability:
        lines.append(
            f"probability of being right: {_percent(sure)}, as fitted to {sure.n:,} "
            "questions with known answers"
        )
        sure = found.found.estimates["agreement"]
    if found.answer is None:
        return lines
    votes = found.of_chosen.votes
    name = "agreement" if sure.name == "agreement" else "share"
    lines.append(
        f"{name}: {_percent(sure)}; {votes} of {len(answers)} samples say this"
    )
    if found.chosen is not None and found.chosen.expected_loss is not None:
        loss = found.chosen.expected_loss
        lines.append(f"chosen by {found.chosen.way}: expected loss {loss}")
    if found.found.right is not None and found.chosen is not None:
        gold = briefly(" | ".join(found.found.gold), _LONGEST_WORDING)
        verdict = "right" if found.of_chosen.right else "wrong"
        lines.append(f"this is {verdict}; the right answer: {gold}")
    stop = found.found.stop
    if stop is not None:
        why = {
            "lead": f"its lead is sure to {stop.lead_confidence:.1%}",
            "most": "no more were allowed",
            "ended": "no more were there",
        }[stop.reason]
        lines.append(f"stopped after {stop.used} samples: {why}")
    return lines


def wording_lines(found: Wordings) -> list[str]:
    """Agreement of each wording, within and across."""
    lines = [f"{len(found.wordings)} wordings; {found.leaders} lead with this answer"]
    for one in found.wordings:
        own = "" if one.agreement is None else f"agreement {_percent(one.agreement)}, "
        lead = "no valid answer" if one.leader is None else f"leads: {one.leader:.40}"
        short = " ".join(one.text.split())
        cut = short[:_LONGEST_WORDING] + "…" * (len(short) > _LONGEST_WORDING)
        lines.append(f"  {cut}: {own}{lead}")
    named = {
        "agreement_within_wordings": "two answers to one wording are the same",
        "agreement_across_wordings": "two answers to two wordings are the same",
    }
    for name, words in named.items():
        if name in found.estimates:
            lines.append(f"{words}: {_percent(found.estimates[name])}")
    apart = found.difference
    if apart is not None and apart.p_value is not None:
        lines.append(
            f"p = {apart.p_value:.2g} of this difference where wording decides nothing"
        )
    return lines


def told(found: QuestionAsked, unit: str) -> dict[str, Any]:
    """The object that ``--json`` prints.

    That of ``nescio consistency`` for one question; ``text`` is the answer, ``items``
    say of each sample how it was drawn as well.

    Args:
        found: what was asked and answered.
        unit: of information, ``bits`` or ``nats``.
    """
    from nescio.cli.consistency_telling import question_told
    from nescio.report import estimates_json

    one, stop = found.chosen, found.found.stop
    whole = question_told(found.found, unit)
    whole["items"] = [
        item | _drawn(sample)
        for item, sample in zip(whole["items"], found.samples.answers, strict=True)
    ]
    between = {} if found.wordings is None else found.wordings.estimates
    estimates = estimates_json(between, {})["estimates"]
    whole["estimates"] |= estimates
    beside = {
        "text": found.answer,
        "confidence": {"name": found.confidence.name} | found.confidence.to_dict(),
        "confidence_is_probability": found.is_probability,
        "chosen": {
            "way": found.settings["choose"],
            "sample": None if one is None else one.sample,
            "set": None if one is None else one.label,
            "expected_loss": None if one is None else one.expected_loss,
        },
        "stop": None if stop is None else vars(stop),
        "wordings": _wordings_told(found),
        "verdicts": [vars(verdict) for verdict in found.verdicts],
        "notes": list(found.notes),
        "settings": found.settings,
    }
    return whole | estimates_json({}, {}, groups=beside)["groups"]


def _drawn(sample: Sample) -> dict[str, Any]:
    return {
        "draw": sample.draw,
        "wording": sample.variant or None,
        "logprob": sample.total_logp,
        "tokens": sample.token_count,
        "stop": sample.stop,
    }


def _wordings_told(found: QuestionAsked) -> list[dict[str, Any]]:
    if found.wordings is None:
        return []
    return [
        {
            "wording": one.text,
            "samples": one.samples,
            "leader": one.leader,
            "agreement": one.agreement,
        }
        for one in found.wordings.wordings
    ]


def _percent(estimate: Estimate) -> str:
    """A share with its limits: ``75 % [51 % to 91 %]``; or without."""
    value = f"{100 * (estimate.value or 0.0):.0f} %"
    if estimate.low is None or estimate.high is None:
        return f"{value} (no interval)"
    return f"{value} [{100 * estimate.low:.0f} % to {100 * estimate.high:.0f} %]"
