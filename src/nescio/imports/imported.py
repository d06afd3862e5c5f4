"""What was found in a file that another program wrote."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Literal, get_args

from nescio.errors import InvalidInput
from nescio.outcome import Outcomes, Predictions
from nescio.trace import Prompt, Sample, Samples, Trace

__all__ = [
    "Answers",
    "Choice",
    "Fact",
    "Imported",
    "Mark",
    "Note",
    "OutcomesFrom",
    "Scored",
    "Skipped",
]

Normalise = Literal["none", "bytes"]
ConfidenceFrom = Literal["sequence_probability"]


@dataclass(frozen=True)
class OutcomesFrom:
    """What confidence and correctness are read from, where the file leaves a choice.

    Args:
        normalise: of the options of a multiple choice: ``"none"`` compares their
            log-likelihoods, ``"bytes"`` divides each by the bytes of its option.
        confidence: of a generated answer: None (there is none) or
            ``"sequence_probability"``, exp of the log-probability of the whole answer.
        correct: the metric or scorer that says what is right, where a file has
            several, as `Imported.marks` names it.

    Raises:
        InvalidInput: a word that is none of these.
    """

    normalise: Normalise = "none"
    confidence: ConfidenceFrom | None = None
    correct: str | None = None

    def __post_init__(self) -> None:
        if self.normalise not in get_args(Normalise):
            raise InvalidInput(
                f"normalise is {self.normalise!r}: one of {get_args(Normalise)}"
            )
        known = get_args(ConfidenceFrom)
        if self.confidence is not None and self.confidence not in known:
            raise InvalidInput(f"confidence is {self.confidence!r}: None or {known}")


@dataclass(frozen=True)
class Mark:
    """A verdict that the file holds.

    Args:
        item: what was asked.
        draw: which answer, counted from 0; None: the item as a whole.
        name: the metric or scorer, e.g. ``"acc,none"`` or ``"match"``.
        correct: what it says.
    """

    item: str
    draw: int | None
    name: str
    correct: bool


@dataclass(frozen=True)
class Scored:
    """A given text that a model scored as a whole; nobody drew it.

    Args:
        item: the document or question it belongs to.
        context: what stood before it; None for a document scored from its start.
        text: what was scored.
        logp: its total log-probability, nats.
        greedy: whether each of its tokens was the most probable one; None: unknown.
    """

    item: str
    context: str | None
    text: str
    logp: float
    greedy: bool | None = None


@dataclass(frozen=True)
class Choice:
    """A multiple choice: a score an option, and whether the best one is right.

    Args:
        item: the question.
        scores: log-likelihoods, or those per byte, [options].
        labels: the right options; empty where only ``correct`` is known.
        correct: whether the option of the highest score, the first of several, is.
    """

    item: str
    scores: tuple[float, ...]
    labels: tuple[int, ...]
    correct: bool


@dataclass(frozen=True)
class Answers:
    """Some answers to an item; a file may give the answers to one in parts."""

    item: str
    prompt: Prompt | None
    answers: tuple[Sample, ...]


@dataclass(frozen=True)
class Skipped:
    """Something that was not read, and why."""

    where: str
    reason: str


@dataclass(frozen=True)
class Note:
    """Something that was assumed."""

    text: str


Fact = Answers | Choice | Mark | Note | Scored | Skipped


@dataclass(frozen=True)
class Imported:
    """What a file of another program holds; see `import_file`.

    Args:
        format: how it was read, one of `nescio.imports.FORMATS`.
        samples: item and all answers to it, with a trace each where log-probabilities
            are stored.
        outcomes: confidence and correctness, where the file has both; else None.
        skipped: where and why: everything that was not read.
        notes: what was assumed, and why there are no outcomes.
        predictions: scores of options, where each question has one right option.
        scored: given texts with their log-probability, where only totals are stored.
        marks: every verdict, by metric or scorer.
        without_prompt: the items whose prompt the file does not hold. Their samples
            have a stand-in that says so.
    """

    format: str
    samples: tuple[tuple[str, Samples], ...] = ()
    outcomes: Outcomes | None = None
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    predictions: Predictions | None = None
    scored: tuple[Scored, ...] = ()
    marks: tuple[Mark, ...] = ()
    without_prompt: tuple[str, ...] = field(default=())

    @property
    def traces(self) -> tuple[Trace, ...]:
        """The traces of all answers that have one, in order."""
        answers = (a for _, samples in self.samples for a in samples.answers)
        return tuple(a.trace for a in answers if a.trace is not None)

    def __repr__(self) -> str:
        answers = sum(len(samples) for _, samples in self.samples)
        return (
            f"Imported({self.format!r}, {len(self.samples)} items, {answers} answers, "
            f"{len(self.traces)} traces, {len(self.scored)} scored texts, "
            f"{len(self.skipped)} skipped)"
        )

    def _repr_html_(self) -> str:
        return f"<code>{html.escape(repr(self))}</code>"
