"""Ask a question many times: the answer, and how far the samples agree on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nescio.consistency.adaptive import StoppingPoint
from nescio.consistency.adaptive_sampling import AdaptiveDraws
from nescio.consistency.answers import Answers, answers_of
from nescio.decoding import Decoding, Draws
from nescio.decoding.generation import Asked
from nescio.errors import InvalidInput
from nescio.evaluation.asking_notes import asking_notes, wording_notes
from nescio.evaluation.asking_rules import (
    HowRead,
    check_asking,
    check_gold,
    gold_same,
    prompts_of,
)
from nescio.evaluation.choosing import Chosen, chosen_answer, said_in
from nescio.evaluation.consistency_found import AnswerSet, QuestionFound
from nescio.evaluation.consistency_survey import survey_question
from nescio.evaluation.drawn_answers import Drawing, OnSample, drawn_answers
from nescio.evaluation.model_judging import JudgedBy, Verdict, judged_by
from nescio.evaluation.wordings import Wordings, wordings_found
from nescio.models.protocol import Tokenized
from nescio.outcome import Estimate
from nescio.trace import Prompt, Sample, Samples

__all__ = ["HowRead", "QuestionAsked", "ask", "read_samples", "sized", "together"]

N = 20
"""How many times a question is asked unless said."""


@dataclass(frozen=True, eq=False, repr=False)
class QuestionAsked:
    """A question, what was answered, and what that is worth.

    Args:
        prompt: the question.
        samples: all answers, in the order of the draws.
        found: all that is known of them.
        chosen: the answer that is given; None: no sample has a valid one.
        wordings: agreement within and across wordings; None: there is one only.
        said: the answer in every sample, else its whole text.
        verdicts: what a judge said of pairs of answers.
        settings: all that decides the samples and the sets, as JSON values.
    """

    prompt: Prompt
    samples: Samples
    found: QuestionFound
    chosen: Chosen | None
    said: tuple[str, ...]
    wordings: Wordings | None = None
    verdicts: tuple[Verdict, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def answer(self) -> str | None:
        """The answer that is given; None where no sample has a valid one."""
        return None if self.chosen is None else self.chosen.text

    @property
    def is_probability(self) -> bool:
        """Whether `confidence` is a probability that the answer is right."""
        return self.found.probability is not None and self._leads

    @property
    def confidence(self) -> Estimate:
        """How sure, with an interval, by its own name.

        The calibrator's ``probability_right`` where there is one and the answer is the
        most frequent; else ``agreement``, or for another answer the share of its set:
        how far the samples agree, which is no probability of being right.
        """
        probability = self.found.probability
        if probability is not None and self._leads:
            return probability
        if self._leads:
            return self.found.estimates["agreement"]
        return self.of_chosen.share

    @property
    def of_chosen(self) -> AnswerSet:
        """The set of the answer that is given.

        Raises:
            InvalidInput: there is none.
        """
        for one in self.found.sets:
            if self.chosen is not None and one.label == self.chosen.label:
                return one
        raise InvalidInput("no sample has a valid answer")

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be known to read all this."""
        return self.found.notes

    @property
    def _leads(self) -> bool:
        return self.chosen is None or self.chosen.label == self.found.answers.leader

    def __repr__(self) -> str:
        said = "no valid answer" if self.answer is None else repr(self.answer)
        return f"QuestionAsked({said}, {self.confidence}, {len(self.samples)} samples)"


def ask(  # noqa: PLR0913 - what is asked, how it is drawn, read, kept and told
    model: Any,
    prompt: Asked,
    *,
    draws: int | Draws | AdaptiveDraws = N,
    wordings: Sequence[str] = (),
    read: HowRead | None = None,
    decoding: Decoding | None = None,
    chat: bool | None = None,
    gold: Sequence[str] = (),
    journal: str | Path | None = None,
    on_sample: OnSample | None = None,
) -> QuestionAsked:
    """Ask a question many times, and see what the answers agree on.

    The samples of ``draws=n`` are those of `nescio.sample` with the same n and seed.
    How far they agree is no probability of being right: that takes a calibrator, which
    was fitted to questions with known answers.

    Args:
        model: Tokenized and Stepping, or an endpoint.
        prompt: a text or messages.
        draws: how many answers to each wording, with which seed, or
            `nescio.AdaptiveDraws`: as many as it takes until one leads by enough.
        wordings: texts with ``{question}`` in them, each of which is asked as often;
            none: the question as it stands.
        read: what is made of the samples.
        decoding: how each answer is drawn; None: from the model itself, 256 tokens at
            most.
        chat: whether prompts go through the chat template; None: if there is one.
        gold: the right answers, where they are known.
        journal: a file that keeps each answer as soon as it has ended; the same call
            goes on after those it holds.
        on_sample: called with the number of the wording and each answer as it ends.

    Raises:
        InvalidInput: nothing asked; one answer, which agrees with nothing; wordings
            without ``{question}`` or equal ones; a rule for several wordings; a
            calibrator of other samples or sets; a temperature of 0; a journal of
            another question.
        CapabilityError: a model that lacks what is needed.
        EndpointError: a server that fails; the journal has what had come.

    Example:
        >>> import nescio
        >>> found = ask(nescio.load("table:coin"), "H", draws=5,
        ...             decoding=nescio.Decoding(1))
        >>> found.answer, found.confidence.name, found.confidence.value
        ('T', 'agreement', 0.8)

    Source: Wang et al. (2023), self-consistency; Lyu et al. (2024).
    """
    how = read or HowRead()
    asked = Prompt.of(prompt)
    prompts = prompts_of(asked, wordings)
    drawing = Drawing(_draws(draws), decoding or Decoding(), chat)
    check_asking(asked, wordings, drawing, how)
    check_gold(gold)
    drawn = drawn_answers(
        model,
        prompts,
        drawing,
        sorting=how.sorting,
        journal=journal,
        on_sample=on_sample,
    )
    samples, owner = together(asked, drawn.answers, wordings)
    stop = None if drawn.stops is None else drawn.stops[0]
    told = read_samples(samples, sized(how, model), gold=gold, stop=stop)
    settings = {
        "model": model.origin.to_dict(),
        **drawing.settings,
        "wordings": list(wordings),
        "sorting": dict(told.found.answers.recipe),
        "choose": how.choose,
    }
    if len(prompts) > 1:
        told = _with_wordings(told, owner, wordings, how)
    return replace(told, settings=settings)


def read_samples(
    samples: Samples,
    read: HowRead | None = None,
    *,
    gold: Sequence[str] = (),
    stop: StoppingPoint | None = None,
) -> QuestionAsked:
    """What samples that are there agree on; nothing is drawn.

    Args:
        samples: of one question, at least 2.
        read: what is made of them.
        gold: the right answers, where they are known.
        stop: where a rule stopped them; None: none did.

    Raises:
        NotEnoughData: one sample.
        InvalidInput: a calibrator of other samples or sets.

    Example:
        >>> from nescio.trace import Samples
        >>> found = read_samples(Samples.of("7 + 5 =", ["12", "12.", "13"]))
        >>> found.answer, round(found.confidence.value, 2)
        ('12', 0.67)
    """
    how = read or HowRead()
    answers = answers_of(samples, how.sorting)
    if not answers.question:
        answers = replace(answers, question=_question_text(samples.prompt))
    judged = JudgedBy(answers)
    if how.judge is not None:
        judged = judged_by(how.judge, answers, said=said_in(answers, how.sorting))
    found = _surveyed(judged, answers, samples, how, gold=gold)
    limits = {"level": how.survey.level, "seed": how.survey.seed}
    chosen = chosen_answer(found.answers, how.choose, sorting=how.sorting, **limits)
    cut = sum(sample.stop == "length" for sample in samples.answers)
    own = asking_notes(found, chosen, how.sorting, cut=cut)
    notes = dict.fromkeys((*found.notes, *judged.notes, *own))
    said = said_in(found.answers, how.sorting)
    told = replace(found, stop=stop, notes=tuple(notes), said=said)
    return QuestionAsked(
        samples.prompt, samples, told, chosen, said, verdicts=judged.log
    )


def _draws(draws: int | Draws | AdaptiveDraws) -> Draws | AdaptiveDraws:
    return Draws(draws) if isinstance(draws, int) else draws


def sized(how: HowRead, model: Any) -> HowRead:
    """With the size of the model's vocabulary, where it is known."""
    if how.survey.vocabulary_size is not None or not isinstance(model, Tokenized):
        return how
    return replace(
        how, survey=replace(how.survey, vocabulary_size=model.vocabulary.size)
    )


def together(
    prompt: Prompt, answers: Sequence[Sequence[Sample]], wordings: Sequence[str]
) -> tuple[Samples, list[int]]:
    """All answers draw by draw, and which wording each is of."""
    placed = [(number, answer) for number, of in enumerate(answers) for answer in of]
    placed.sort(key=lambda one: (one[1].draw, one[0]))
    named = tuple(
        replace(answer, variant=wordings[number]) if wordings else answer
        for number, answer in placed
    )
    return Samples(prompt, named), [number for number, _ in placed]


def _surveyed(
    judged: JudgedBy,
    answers: Answers,
    samples: Samples,
    how: HowRead,
    *,
    gold: Sequence[str],
) -> QuestionFound:
    return survey_question(
        answers,
        replace(how.survey, join=lambda _: judged.answers),
        traces=samples,
        calibrator=how.calibrator,
        gold=gold,
        same=how.same or gold_same(how.sorting),
    )


def _with_wordings(
    told: QuestionAsked, owner: Sequence[int], wordings: Sequence[str], how: HowRead
) -> QuestionAsked:
    found = wordings_found(
        told.found.answers,
        owner,
        wordings,
        level=how.survey.level,
        seed=how.survey.seed,
    )
    notes = (*told.found.notes, *wording_notes(found))
    return replace(told, wordings=found, found=replace(told.found, notes=notes))


def _question_text(prompt: Prompt) -> str:
    """What was asked: a text, or what the user said last."""
    if prompt.text is not None:
        return prompt.text
    said = [turn.content for turn in prompt.messages if turn.role == "user"]
    return said[-1] if said else prompt.source or ""
