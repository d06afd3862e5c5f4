"""From what stood in a file, one fact after another, to what was imported."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from nescio.errors import InvalidInput
from nescio.imports.imported import (
    Answers,
    Choice,
    Fact,
    Imported,
    Mark,
    Note,
    OutcomesFrom,
    Scored,
    Skipped,
)
from nescio.outcome import Outcomes, Predictions
from nescio.trace import Prompt, Sample, Samples

__all__ = ["assembled"]

_Fact = TypeVar("_Fact")
_RAW = ("llama.cpp",)  # its server gives the model's own, or says post_sampling_probs
_TEMPERED = (
    "whether log-probabilities are the model's own, or those after temperature and "
    "the like, is not stored; they are taken as the model's own"
)
_FIRST_BEST = (
    "confidence is the softmax over the {what} of the options; correct is whether the "
    "highest is a right one, the first of several equal ones"
)
_WHAT = {
    "none": "log-likelihoods",
    "bytes": "log-likelihoods per byte (white space before an option not counted)",
}
_NO_CONFIDENCE = (
    "no outcomes: the file says which answers are right, and no confidence; the "
    "probability of the whole answer is one, if asked for "
    "(confidence='sequence_probability'), where log-probabilities are stored"
)
_GIVEN = (
    "no outcomes: the log-likelihoods are those of given texts, and of the model's own "
    "answers none is stored"
)
_SEQUENCE = (
    "confidence is exp of the log-probability of the whole answer, the end token "
    "included where it is stored; correct is what {name} says"
)


def assembled(
    facts: Iterable[Fact], format_name: str, chosen: OutcomesFrom
) -> Imported:
    """What a reader found, put together by item."""
    found = list(facts)
    by_item = _by_item(_only(found, Answers))
    marks, choices = _only(found, Mark), _only(found, Choice)
    notes = [note.text for note in _only(found, Note)]
    samples = tuple((item, _samples(item, parts)) for item, parts in by_item.items())
    for item, parts in by_item.items():
        if len({prompt for prompt, _ in parts if prompt is not None}) > 1:
            notes.append(
                f"{item}: what the model saw differs from answer to answer; the prompt "
                "given is the first, answers to another one say which variant"
            )
    outcomes, why = _outcomes(samples, marks, choices, chosen)
    imported = Imported(
        format_name,
        samples,
        outcomes,
        tuple((one.where, one.reason) for one in _only(found, Skipped)),
        (),
        _predictions(choices),
        tuple(_only(found, Scored)),
        tuple(marks),
        tuple(item for item, parts in by_item.items() if not _prompts(parts)),
    )
    if imported.traces and format_name not in _RAW:
        notes.append(_TEMPERED)
    return replace(imported, notes=(*notes, *why))


Part = tuple[Prompt | None, tuple[Sample, ...]]


def _only(facts: Iterable[Fact], kind: type[_Fact]) -> list[_Fact]:
    return [fact for fact in facts if isinstance(fact, kind)]


def _by_item(answers: Iterable[Answers]) -> dict[str, list[Part]]:
    found: dict[str, list[Part]] = {}
    for one in answers:
        found.setdefault(one.item, []).append((one.prompt, one.answers))
    return found


def _prompts(parts: Sequence[Part]) -> list[Prompt]:
    """The different prompts of an item, in order."""
    return list(dict.fromkeys(prompt for prompt, _ in parts if prompt is not None))


def _samples(item: str, parts: Sequence[Part]) -> Samples:
    prompts = _prompts(parts)
    answers = [
        replace(answer, variant=_variant(prompt, prompts))
        for prompt, several in parts
        for answer in several
    ]
    known = prompts[0] if prompts else Prompt(text=f"[the prompt of {item} is unknown]")
    return Samples(known, tuple(answers))


def _variant(prompt: Prompt | None, prompts: Sequence[Prompt]) -> str:
    """Which wording was answered; nothing is said where there is one only."""
    if prompt is None:
        return "unknown prompt" if prompts else ""
    return "" if len(prompts) == 1 else f"prompt {prompts.index(prompt) + 1}"


def _predictions(choices: Sequence[Choice]) -> Predictions | None:
    """The scores of all options, where each question has one right option."""
    if not choices or any(len(choice.labels) != 1 for choice in choices):
        return None
    rows = [choice.scores for choice in choices]
    return Predictions.of(rows, [choice.labels[0] for choice in choices], "logit")


def _outcomes(
    samples: Sequence[tuple[str, Samples]],
    marks: Sequence[Mark],
    choices: Sequence[Choice],
    chosen: OutcomesFrom,
) -> tuple[Outcomes | None, list[str]]:
    """Outcomes, and how they came about or why there are none."""
    if choices:
        notes = [_FIRST_BEST.format(what=_WHAT[chosen.normalise])]
        if _predictions(choices) is None:
            notes.append("no predictions: some question has not one right option alone")
        return _of_choices(choices), notes
    if not marks:
        _check_named(chosen.correct, [])
        return None, ["no outcomes: the file does not say which answers are right"]
    names = list(dict.fromkeys(mark.name for mark in marks))
    _check_named(chosen.correct, names)
    if not samples:
        return None, [_GIVEN]
    if chosen.confidence is None:
        return None, [_NO_CONFIDENCE]
    if chosen.correct is None and len(names) > 1:
        return None, [f"no outcomes: say which of {names} is meant (correct=)"]
    return _of_sequences(samples, marks, chosen.correct or names[0])


def _check_named(name: str | None, names: Sequence[str]) -> None:
    if name is not None and name not in names:
        known = ", ".join(map(repr, names)) or "none"
        raise InvalidInput(
            f"the file has no metric or scorer {name!r} that says what is right; it "
            f"has: {known}"
        )


def _of_choices(choices: Sequence[Choice]) -> Outcomes:
    confidence = []
    for choice in choices:
        scores = np.array(choice.scores)
        confidence.append(1.0 / float(np.exp(scores - scores.max()).sum()))
    correct = [choice.correct for choice in choices]
    return Outcomes.of(confidence, correct, ids=[choice.item for choice in choices])


@dataclass
class _Rows:
    """The columns of outcomes."""

    confidence: list[float] = field(default_factory=list)
    correct: list[bool] = field(default_factory=list)
    items: list[str] = field(default_factory=list)


def _of_sequences(
    samples: Sequence[tuple[str, Samples]], marks: Sequence[Mark], name: str
) -> tuple[Outcomes | None, list[str]]:
    known = {(m.item, m.draw): m.correct for m in marks if m.name == name}
    rows, without = _Rows(), 0
    for item, several in samples:
        for answer in several.answers:
            verdict = known.get((item, answer.draw))
            if verdict is None:
                continue
            if answer.total_logp is None:
                without += 1
                continue
            rows.confidence.append(min(1.0, math.exp(answer.total_logp)))
            rows.correct.append(verdict)
            rows.items.append(item)
    notes = [f"{without} answers with a verdict have no confidence"] if without else []
    if not rows.items:
        reason = "no answer has both a verdict and log-probabilities"
        return None, [*notes, f"no outcomes: {reason}"]
    several_draws = len(set(rows.items)) < len(rows.items)
    outcomes = Outcomes.of(
        rows.confidence,
        rows.correct,
        ids=rows.items,
        cluster=rows.items if several_draws else None,
    )
    return outcomes, [*notes, _SEQUENCE.format(name=name)]
