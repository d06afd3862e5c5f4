"""All that is known of questions from their samples: for the command and its page.

Samples come sorted into sets (`nescio.consistency.answers.answers_of`); from there on
everything that they allow is measured, with intervals: over redraws of the samples for
one question, over questions for a set of them. Where the right answers are known, each
measure is judged by how well it tells right leading answers from wrong ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from nescio.consistency.adaptive import (
    AdaptiveAnswers,
    adaptive_answers,
    stopping_point,
)
from nescio.consistency.answers import Answers
from nescio.consistency.dataset import (
    Leaders,
    Same,
    leaders_of,
    means_over_questions,
)
from nescio.consistency.divergence import divergence
from nescio.consistency.similarity import (
    SIMILARITIES,
    Similarities,
    Similarity,
    similarities_of_all,
)
from nescio.errors import InvalidInput, NotEnoughData
from nescio.evaluation.agreement_probability import AgreementCalibrator
from nescio.evaluation.consistency_asked import Asked, Gold, similarity_name
from nescio.evaluation.consistency_estimates import question_estimates
from nescio.evaluation.consistency_found import QuestionFound, QuestionsFound
from nescio.evaluation.consistency_judged import (
    Rows,
    Steps,
    doubtful,
    grouped,
    judged_by_gold,
)
from nescio.evaluation.consistency_measures import (
    Alike,
    chosen_measures,
    columns_of,
    kind_of_measure,
    needed_similarities,
)
from nescio.evaluation.consistency_notes import notes_of
from nescio.evaluation.consistency_sets import (
    Sorted,
    answer_sets,
    right_sets,
    same_as_gold,
    shortened,
    sorted_sets,
)
from nescio.outcome import Estimate
from nescio.trace import Samples

__all__ = ["Asked", "Gold", "survey_question", "survey_questions"]

Progress = Callable[[int, int], None]
_MANY = 200  # samples, above which redraws are no more than the level needs
_AT_ONCE = 500  # questions that are compared at a time, so that progress is seen


def survey_question(
    answers: Answers,
    asked: Asked | None = None,
    *,
    traces: Samples | None = None,
    calibrator: AgreementCalibrator | None = None,
    gold: Sequence[str] = (),
    same: Same | None = None,
) -> QuestionFound:
    """Everything that the samples of one question say.

    Args:
        answers: at least 2 samples, sorted into sets.
        asked: how; None: as `Asked` has it.
        traces: the same samples with their traces, for measures of tokens and for where
            they part; None: there are none.
        calibrator: for the probability that the leading answer is right.
        gold: the answers that are right; empty: not known.
        same: whether an answer (the key of its set) is the same as a gold one; None:
            normalised texts are compared.

    Raises:
        NotEnoughData: one sample.
        InvalidInput: traces of other samples; a calibrator that was fitted to samples
            of another number, or sorted another way; a measure that was asked for by
            name and that these samples do not allow.

    Example:
        >>> from nescio.consistency.answers import answers_of
        >>> samples = answers_of(["12", "12", "13", "12", ""])
        >>> how = Asked(measures=("agreement",))
        >>> found = survey_question(samples, how, gold=["12"])
        >>> found.right, [(one.label, one.votes, one.right) for one in found.sets]
        (True, [(0, 3, True), (1, 1, False), (-1, 1, False)])
    """
    how = asked or Asked()
    if len(answers) < 2:
        name = answers.id or "the question"
        raise NotEnoughData(
            f"{name} has one sample, which agrees with nothing: draw at least 2"
        )
    if traces is not None and traces.texts != answers.texts:
        raise InvalidInput("the traces are those of other samples than the answers")
    there = None if traces is None or _lacking(traces) else traces
    found = sorted_sets([answers], how)[0]
    names = chosen_measures([answers], how, traces=there is not None)
    return _question(
        found,
        _Known(how, names, calibrator, same),
        traces=there,
        gold=(gold,) if isinstance(gold, str) else tuple(gold),
    )


def survey_questions(
    questions: Sequence[Answers],
    asked: Asked | None = None,
    *,
    gold: Gold | Mapping[str, Sequence[str]] | None = None,
    traces: Mapping[str, Samples] | None = None,
    calibrator: AgreementCalibrator | None = None,
    progress: Progress | None = None,
) -> QuestionsFound:
    """Everything that the samples of a set of questions say, judged by gold if known.

    Args:
        questions: each with an id and at least 2 samples, sorted into sets.
        asked: how; None: as `Asked` has it.
        gold: by id the right answers of every question; None: not known.
        traces: by id the same samples with their traces.
        calibrator: for the probability that each leading answer is right.
        progress: is told how many of how many steps are done.

    Raises:
        NotEnoughData: a question with one sample; names it.
        InvalidInput: no questions, ids that are missing or there twice, gold that is
            missing for some; as `survey_question`.

    Example:
        >>> from nescio.consistency.answers import answers_of
        >>> asked = [answers_of(["a"] * k + ["b"] * (6 - k), id=f"{k} of 6")
        ...          for k in range(7)]
        >>> found = survey_questions(asked, Asked(measures=("agreement",), details=0))
        >>> round(found.means["agreement"].value, 3), found.leaders.keys[0]
        (0.786, 'b')
    """
    how = asked or Asked()
    _check_samples(questions)
    sets = sorted_sets(questions, how)
    joined = [one.answers for one in sets]
    leaders = leaders_of(joined)
    rows, same = _verdicts(sets, leaders, gold, how)
    everywhere = _everywhere(questions, traces)
    names = chosen_measures(joined, how, traces=everywhere is not None)
    compared = needed_similarities(names, how)
    steps = Steps(len(compared) * -(-len(joined) // _AT_ONCE) + 2, progress)
    alike = _alike(joined, compared, how, steps=steps)
    columns, notes = columns_of(joined, names, how, alike=alike, traces=everywhere)
    steps.done()
    if how.reference not in columns:
        raise InvalidInput(
            f"the reference {how.reference!r:.60} is none of the measures taken: "
            f"{', '.join(columns)}"
        )
    found = QuestionsFound(
        tuple(joined),
        columns,
        _means(joined, columns, how),
        leaders,
        reference=how.reference,
        notes=(*notes_of(joined, leaders, how), *notes),
        adaptive=_adaptive(joined, how),
        groups=grouped(joined, columns, None, how),
    )
    steps.done()
    if calibrator is not None:
        found = replace(found, probabilities=calibrator.probabilities(joined)[0])
    if rows is not None:
        found = judged_by_gold(found, rows, steps)
    known = _Known(how, names, calibrator, same)
    return _detailed(found, sets, known, traces=everywhere, gold=_tuples(gold))


@dataclass(frozen=True)
class _Known:
    """What is the same for every question that is found in full."""

    asked: Asked
    names: Sequence[str]
    calibrator: AgreementCalibrator | None
    same: Same | None


def _question(
    found: Sorted, known: _Known, *, traces: Samples | None, gold: tuple[str, ...]
) -> QuestionFound:
    how, answers = known.asked, found.answers
    shown = [similarity_name(by) for by in how.similarities]
    names = dict.fromkeys([*shown, *needed_similarities(known.names, how)])
    compared = _alike([answers], tuple(names), how)
    alike = {name: one[0] for name, one in compared.items()}
    estimates, notes = question_estimates(
        answers, known.names, how, alike=alike, traces=traces
    )
    right = None
    if gold:
        same = same_as_gold(known.same, [found.before])
        right = right_sets(found, gold, same)
    leader, calibrator = answers.leader, known.calibrator
    probability = None if calibrator is None else calibrator.probability(answers)
    short = shortened(answers).texts
    limits = how.limits if len(answers) <= _MANY else how.fewest
    return QuestionFound(
        answers,
        estimates,
        answer_sets(answers, how, alike[shown[0]], right),
        {name: alike[name] for name in names},
        found.triples,
        divergence(short if traces is None else traces, **limits),
        probability,
        gold,
        None if right is None else leader is not None and bool(right[leader]),
        None if how.rule is None else stopping_point(answers.labels, how.rule),
        (*notes_of([answers], leaders_of([answers]), how), *notes),
    )


def _alike(
    questions: Sequence[Answers],
    names: Sequence[str],
    asked: Asked,
    *,
    steps: Steps | None = None,
) -> Alike:
    """The similarities of every question, by name."""
    functions: dict[str, str | Similarity] = {name: name for name in SIMILARITIES}
    functions |= {similarity_name(by): by for by in asked.similarities}
    found: dict[str, list[Similarities]] = {}
    for name in names:
        if name not in functions:
            raise InvalidInput(f"similarity {name!r:.60} was not asked for")
        found[name] = []
        for begin in range(0, len(questions), _AT_ONCE):
            part = [shortened(one) for one in questions[begin : begin + _AT_ONCE]]
            found[name] += similarities_of_all(part, by=functions[name])
            if steps is not None:
                steps.done()
    return found


def _means(
    questions: Sequence[Answers],
    columns: Mapping[str, Float[np.ndarray, " _"]],
    asked: Asked,
) -> dict[str, Estimate]:
    found = means_over_questions(
        questions, columns, cluster=asked.clusters, **asked.limits
    )
    return {
        name: replace(one, unit=kind_of_measure(name).unit)
        for name, one in found.items()
    }


def _adaptive(questions: Sequence[Answers], asked: Asked) -> AdaptiveAnswers | None:
    if asked.rule is None:
        return None
    cluster = asked.clusters_of(questions)
    return adaptive_answers(questions, asked.rule, cluster=cluster, **asked.limits)


def _detailed(
    found: QuestionsFound,
    sets: Sequence[Sorted],
    known: _Known,
    *,
    traces: Mapping[str, Samples] | None,
    gold: Mapping[str, Sequence[str]],
) -> QuestionsFound:
    """The same with some questions in full."""
    places = {one.answers.id: place for place, one in enumerate(sets)}
    names = doubtful(found, known.asked)
    unknown = [name for name in names if name not in places]
    if unknown:
        raise InvalidInput(f"there is no question {unknown[0]!r:.60}")
    details = {
        name: _question(
            sets[places[name]],
            known,
            traces=None if traces is None else traces[name],
            gold=tuple(gold.get(name, ())),
        )
        for name in names
    }
    return replace(found, details=details)


def _verdicts(
    sets: Sequence[Sorted],
    leaders: Leaders,
    gold: Gold | Mapping[str, Sequence[str]] | None,
    asked: Asked,
) -> tuple[Rows | None, Same | None]:
    """Which sets are right, and what says so; nothing where there is no gold."""
    if gold is None:
        return None, None
    answers = _tuples(gold)
    missing = [one.answers.id for one in sets if not answers.get(one.answers.id)]
    if missing:
        raise InvalidInput(
            f"gold is missing for {len(missing)} of {len(sets)} questions, first "
            f"{missing[0]!r:.60}: give it for every question, or for none"
        )
    given = gold.same if isinstance(gold, Gold) else None
    same = same_as_gold(given, [one.before for one in sets])
    rights = tuple(right_sets(one, answers[one.answers.id], same) for one in sets)
    return Rows(tuple(sets), rights, leaders, asked), same


def _tuples(
    gold: Gold | Mapping[str, Sequence[str]] | None,
) -> dict[str, tuple[str, ...]]:
    """By id all right answers; one that is no list is the only one."""
    if gold is None:
        return {}
    given = gold.answers if isinstance(gold, Gold) else gold
    return {
        name: (one,) if isinstance(one, str) else tuple(one)
        for name, one in given.items()
    }


def _check_samples(questions: Sequence[Answers]) -> None:
    if not questions:
        raise InvalidInput("no questions: there is nothing to measure")
    for place, answers in enumerate(questions):
        name = answers.id or f"question {place}"
        if not answers.id:
            raise InvalidInput(f"{name} has no id; give each its own")
        if len(answers) < 2:
            raise NotEnoughData(
                f"{name} has one sample, which agrees with nothing: draw at least 2"
            )


def _everywhere(
    questions: Sequence[Answers], traces: Mapping[str, Samples] | None
) -> Mapping[str, Samples] | None:
    """The traces, if every sample of every question has one."""
    if traces is None:
        return None
    for answers in questions:
        samples = traces.get(answers.id)
        if samples is None or _lacking(samples):
            return None
        if samples.texts != answers.texts:
            raise InvalidInput(
                f"the traces of {answers.id!r:.60} are those of other samples"
            )
    return traces


def _lacking(samples: Samples) -> bool:
    return any(sample.trace is None for sample in samples.answers)
