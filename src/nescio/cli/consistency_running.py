"""From samples that were read to everything that is known of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nescio.cli.consistency_models import Models, judge_of, judged_sets
from nescio.cli.consistency_reading import Given, ReadQuestion
from nescio.cli.loading import interrupts
from nescio.cli.options import progress
from nescio.errors import InvalidInput, SchemaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nescio.consistency.answers import Answers, Sorting
    from nescio.evaluation.agreement_probability import AgreementCalibrator
    from nescio.evaluation.consistency_found import QuestionFound, QuestionsFound
    from nescio.evaluation.consistency_risk import LeastRisks
    from nescio.evaluation.consistency_survey import Asked
    from nescio.evaluation.model_judging import Verdict

__all__ = ["Found", "Work", "fitted", "read_calibrator", "sorting_of", "surveyed"]

_DETAILS = 6  # questions of a set that the page shows in full


@dataclass(frozen=True)
class Work:
    """What a person asked for.

    Args:
        extract, same: specifications; None: the whole text, normalised.
        similarities: names.
        threshold, link: how answers are joined.
        convention: of samples without a valid answer.
        measures: names; None: all.
        question: the id of one question; None: all.
        adaptive: a confidence; None: not asked for.
        mbr: the name of a loss; None: not asked for.
        vocabulary_size: of the model, or None.
        limits: level, resamples and seed of the intervals.
        page: whether a page is written, which shows some questions in full.
    """

    extract: str | None = None
    same: str | None = None
    similarities: tuple[str, ...] = ("rouge_l",)
    threshold: float | None = None
    link: Literal["connected_components", "complete_link"] = "connected_components"
    convention: Literal["safe", "paper"] = "safe"
    measures: tuple[str, ...] | None = None
    question: str | None = None
    adaptive: float | None = None
    mbr: str | None = None
    vocabulary_size: int | None = None
    limits: tuple[float, int, int] = (0.95, 1000, 0)
    page: bool = False

    def check(self) -> None:
        """Refuse what cannot be, before anything is read.

        Raises:
            InvalidInput: naming it.
        """
        from nescio.cli.ask_options import check_similarities, split_judge
        from nescio.consistency.choices import check_choice
        from nescio.consistency.losses import LOSSES
        from nescio.evaluation.consistency_measures import kind_of_measure

        check_similarities(self.similarities)
        plain, judge = split_judge(self.same)
        if judge == "":
            raise InvalidInput(
                "--same judge:MODEL names the model that judges: samples of a file "
                "come without one"
            )
        sorting_of(self.extract, plain)
        self.asked(())
        if self.mbr is not None:
            check_choice("loss", self.mbr, LOSSES)
        for name in self.measures or ():
            kind_of_measure(name)

    def asked(
        self, questions: Sequence[ReadQuestion], models: Models | None = None
    ) -> Asked:
        """The same for the survey of these questions."""
        from nescio.consistency.adaptive import AdaptiveRule
        from nescio.consistency.similarity import SIMILARITIES
        from nescio.evaluation.consistency_survey import Asked

        plain = tuple(name for name in self.similarities if name in SIMILARITIES)
        most = max([2, *(len(one.samples) for one in questions)])
        rule = None
        if self.adaptive is not None:
            rule = AdaptiveRule(self.adaptive, most=min(most, 1000))
        level, resamples, seed = self.limits
        grouped = any(one.group is not None for one in questions)
        clustered = any(one.cluster is not None for one in questions)
        return Asked(
            self.convention,
            level,
            resamples,
            seed,
            similarities=models.similarities if models else plain or ("exact",),
            threshold=self.threshold,
            link=self.link,
            measures=self.measures,
            reference=self.measures[0] if self.measures else "agreement",
            details=_DETAILS if self.page else 0,
            rule=rule,
            vocabulary_size=self.vocabulary_size,
            clusters={one.id: one.cluster or "" for one in questions}
            if clustered
            else None,
            groups={one.id: one.group or "" for one in questions} if grouped else None,
            join=None if models is None else models.join,
        )


@dataclass(frozen=True, eq=False)
class Found:
    """What is shown: one question, or all.

    Args:
        source: what was read, in words.
        notes: what was assumed when it was read.
        one: a question in full; None: all of them.
        all: all questions; None: one of them.
        risk: answers of least expected loss; None: not asked for.
        verdicts: by id what a judge said of pairs of answers.
        settings: what decides the numbers, as JSON values.
    """

    source: str
    notes: tuple[str, ...]
    one: QuestionFound | None = None
    all: QuestionsFound | None = None
    risk: LeastRisks | None = None
    verdicts: dict[str, tuple[Verdict, ...]] = field(default_factory=dict)
    settings: dict[str, Any] | None = None


def sorting_of(
    extract: str | None, same: str | None
) -> tuple[Sorting, Callable[[str, str], bool]]:
    """How samples are sorted into sets, and when an answer is a gold one.

    A gold answer is read like a sample where the extraction finds something in it, and
    taken as it stands where not.

    Raises:
        InvalidInput: a specification that is none, or one that is no equivalence.
    """
    from nescio.consistency.answers import Sorting
    from nescio.evaluation.equivalence import Near, equivalence
    from nescio.evaluation.extraction import extraction
    from nescio.strings import normalised

    found = None if extract is None else extraction(extract)
    how = None if same is None else equivalence(same)
    if isinstance(how, Near):
        raise InvalidInput(
            "--same near is no equivalence, so no sets follow from it: round the "
            "numbers instead, number:places=2"
        )
    key = normalised if how is None else how.key
    recipe = {
        "answer": "whole text" if found is None else str(found),
        "equivalence": "normalised" if how is None else how.recipe(),
    }

    @lru_cache(maxsize=2**16)
    def gold_key(gold: str) -> str:
        read = None if found is None else found(gold)
        return key(gold if read is None else read)

    sorting = Sorting(found, None if how is None else how.key, recipe)
    return sorting, lambda answer, gold: answer == gold_key(gold)


def surveyed(given: Given, work: Work, calibrator: AgreementCalibrator | None) -> Found:
    """Everything that is known of the questions, or of the one that was asked for.

    Raises:
        InvalidInput: there is no such question; as the survey.
    """
    from nescio.cli.ask_options import similarities, split_judge
    from nescio.consistency.answers import answers_of

    plain, judge = split_judge(work.same)
    sorting, same = sorting_of(work.extract, plain)
    read = _chosen(given, work.question)
    gold = None if work.question is not None else given.gold
    encoders = similarities(work.similarities)
    judging = None if judge is None else judge_of(judge)
    with interrupts() as pressed, progress("measuring", of="steps") as show:

        def report(done: int, total: int) -> None:
            if pressed.is_set():
                raise KeyboardInterrupt
            show(done, total)

        answers = [answers_of(one.samples, sorting, id=one.id) for one in read]
        models = Models(encoders, judged_sets(judging, answers, sorting, report))
        asked = work.asked(read, models)
        found = Found(
            given.source,
            (*given.notes, *models.notes),
            verdicts={name: one.log for name, one in models.judged.items() if one.log},
            settings=_settings(asked, sorting, models),
        )
        how = (asked, calibrator, same, work.mbr)
        if len(read) == 1:
            return _as_said(_one(found, read[0], answers[0], how), sorting)
        every = _all(found, read, answers, how, gold, report)
        return _as_said(every, sorting)


def _as_said(found: Found, sorting: Sorting) -> Found:
    """With the answer in every sample of the questions that are shown in full."""
    from dataclasses import replace

    from nescio.evaluation.choosing import said_in

    if found.one is not None:
        said = said_in(found.one.answers, sorting)
        return replace(found, one=replace(found.one, said=said))
    if found.all is None:
        return found
    details = {
        name: replace(one, said=said_in(one.answers, sorting))
        for name, one in found.all.details.items()
    }
    return replace(found, all=replace(found.all, details=details))


_How = tuple[Any, Any, Callable[[str, str], bool], str | None]


def _one(found: Found, read: ReadQuestion, answers: Answers, how: _How) -> Found:
    from dataclasses import replace

    from nescio.evaluation.consistency_risk import least_risks
    from nescio.evaluation.consistency_survey import survey_question

    asked, calibrator, same, loss = how
    one = survey_question(
        answers,
        asked,
        traces=read.samples,
        calibrator=calibrator,
        gold=read.gold,
        same=same,
    )
    risk = None if loss is None else least_risks([answers], loss, asked)
    return replace(found, one=one, risk=risk)


def _all(
    found: Found,
    read: Sequence[ReadQuestion],
    answers: Sequence[Answers],
    how: _How,
    gold: dict[str, tuple[str, ...]] | None,
    report: Callable[[int, int], None],
) -> Found:
    from dataclasses import replace

    from nescio.evaluation.consistency_risk import least_risks
    from nescio.evaluation.consistency_survey import Gold, survey_questions

    asked, calibrator, same, loss = how
    several = survey_questions(
        answers,
        asked,
        gold=None if gold is None else Gold(gold, same),
        traces={one.id: one.samples for one in read},
        calibrator=calibrator,
        progress=report,
    )
    risk = None
    if loss is not None:
        right = None if gold is None else Gold(gold, same)
        risk = least_risks(answers, loss, asked, gold=right, progress=report)
    return replace(found, all=several, risk=risk)


def _chosen(given: Given, question: str | None) -> Sequence[ReadQuestion]:
    if question is None:
        return given.questions
    found = [one for one in given.questions if one.id == question]
    if not found:
        near = ", ".join(repr(one.id)[:40] for one in given.questions[:5])
        raise InvalidInput(
            f"--question {question!r:.60}: {given.source} has no such id; the first "
            f"are {near}"
        )
    return found


def _settings(asked: Asked, sorting: Sorting, models: Models) -> dict[str, Any]:
    how = sorting.recipe if models.first is None else models.first.answers.recipe
    return {**asked.settings, **how}


def fitted(found: Found, work: Work) -> dict[str, Any]:
    """A calibrator fitted to the questions, as JSON values.

    Raises:
        InvalidInput: no gold, questions of different numbers of samples, too few of
            them, or all of them right or wrong.
    """
    from nescio.evaluation.agreement_probability import fit_calibrator
    from nescio.evaluation.meter import Meter

    several = found.all
    if several is None or several.right is None:
        raise InvalidInput(
            "--save-calibrator needs several questions with gold answers to fit to"
        )
    meter = Meter.of(several.questions, several.reference, work.convention)
    outcomes = meter.outcomes(several.questions, several.right.tolist())
    level, _, seed = work.limits
    return fit_calibrator(meter, outcomes, level=level, seed=seed).to_dict()


def read_calibrator(path: Path) -> AgreementCalibrator:
    """The calibrator that ``--save-calibrator`` wrote.

    Raises:
        InvalidInput: no such file.
        SchemaError: another kind of file.
    """
    from nescio.evaluation.agreement_probability import from_dict

    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    except (RecursionError, ValueError) as error:
        raise SchemaError(f"{path.name} is no calibrator: {error}") from error
    try:
        return from_dict(fields)
    except SchemaError as error:
        raise SchemaError(f"{path.name}: {error}") from error
