"""Ask many questions many times each: what the samples say, judged by gold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.consistency.adaptive import StoppingPoint
from nescio.consistency.adaptive_sampling import AdaptiveDraws
from nescio.consistency.adaptive_saved import saved_share
from nescio.consistency.answers import Answers, answers_of
from nescio.errors import InvalidInput, SchemaError
from nescio.evaluation.asking import sized, together
from nescio.evaluation.asking_rules import (
    HowRead,
    check_asking,
    gold_same,
    prompts_of,
)
from nescio.evaluation.choosing import said_in
from nescio.evaluation.consistency_asked import Gold
from nescio.evaluation.consistency_found import QuestionsFound
from nescio.evaluation.consistency_survey import survey_questions
from nescio.evaluation.drawn_answers import Drawing, OnSample, drawn_answers
from nescio.evaluation.model_judging import JudgedBy, Verdict, judged_by
from nescio.evaluation.wordings import pair_agreements
from nescio.outcome import Estimate, Recipe
from nescio.trace import Prompt, Samples
from nescio.uncertainty import MINIMUM_UNITS, bootstrap_rows

__all__ = ["QuestionsAsked", "ask_all"]

_BOOTSTRAP = ("Efron (1979), bootstrap", "Hesterberg (2015), expanded percentiles")


@dataclass(frozen=True, eq=False, repr=False)
class QuestionsAsked:
    """Questions, what was answered, and what that is worth.

    Args:
        samples: by the id of the question, in the order of the draws.
        found: all that is known of them, also where a rule stopped.
        wordings: mean agreement within and across wordings, and the difference, with
            intervals over questions; empty: there is one wording.
        verdicts: by id what a judge said of pairs of answers.
        settings: all that decides the samples and the sets, as JSON values.
    """

    samples: Mapping[str, Samples]
    found: QuestionsFound
    wordings: Mapping[str, Estimate]
    verdicts: Mapping[str, tuple[Verdict, ...]]
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"QuestionsAsked({len(self.samples)} questions)"


def ask_all(  # noqa: PLR0913 - what is asked, how it is drawn, read, kept and told
    model: Any,
    questions: Mapping[str, Prompt | str],
    drawing: Drawing,
    *,
    wordings: Sequence[str] = (),
    read: HowRead | None = None,
    gold: Mapping[str, Sequence[str]] | None = None,
    journal: str | Path | None = None,
    on_sample: OnSample | None = None,
) -> QuestionsAsked:
    """Ask each of some questions many times, all in one moving batch.

    Args:
        model: Tokenized and Stepping, or an endpoint.
        questions: by id.
        drawing: how answers are drawn, and how many to each wording.
        wordings, read, journal: as for `nescio.evaluation.asking.ask`.
        gold: by id the right answers of every question; None: not known.
        on_sample: called with the number of the question's wording, counted through
            all questions, and each answer as it ends.

    Raises:
        InvalidInput: no questions; as `ask`, with the id; gold missing for some.

    Example:
        >>> import nescio
        >>> from nescio.decoding import Draws
        >>> found = ask_all(nescio.load("table:coin"), {"one": "H", "two": "T"},
        ...                 Drawing(Draws(4), nescio.Decoding(1)))
        >>> {name: samples.texts for name, samples in found.samples.items()}
        {'one': ('T', 'T', 'T', 'H'), 'two': ('H', 'T', 'H', 'H')}
    """
    how = read or HowRead()
    asked = {name: Prompt.of(prompt) for name, prompt in questions.items()}
    if not asked:
        raise InvalidInput("no questions: there is nothing to ask")
    prompts = _prompts(asked, wordings, drawing, how)
    drawn = drawn_answers(
        model,
        prompts,
        drawing,
        sorting=how.sorting,
        journal=journal,
        on_sample=on_sample,
    )
    each = len(wordings) or 1
    samples, owners = {}, []
    for place, (name, prompt) in enumerate(asked.items()):
        mine = drawn.answers[place * each : (place + 1) * each]
        samples[name], owner = together(prompt, mine, wordings)
        owners.append(owner)
    answers = [answers_of(samples[name], how.sorting, id=name) for name in asked]
    judged = {one.id: _judged(one, how) for one in answers}
    found = survey_questions(
        answers,
        replace(sized(how, model).survey, join=lambda one: judged[one.id].answers),
        gold=None if gold is None else _gold(gold, how),
        traces=samples,
        calibrator=how.calibrator,
    )
    settings = {
        "model": model.origin.to_dict(),
        **drawing.settings,
        "wordings": list(wordings),
        "sorting": dict(found.questions[0].recipe),
    }
    between = _between(found.questions, owners, each, how) if each > 1 else {}
    stops = dict(zip(asked, drawn.stops or (), strict=False))
    told = _told(found, stops, drawing, [one.log for one in judged.values()])
    details = {
        name: replace(one, said=said_in(one.answers, how.sorting))
        for name, one in told.details.items()
    }
    told = replace(told, details=details)
    verdicts = {name: one.log for name, one in judged.items() if one.log}
    return QuestionsAsked(samples, told, between, verdicts, settings)


def _prompts(
    asked: Mapping[str, Prompt],
    wordings: Sequence[str],
    drawing: Drawing,
    how: HowRead,
) -> list[Prompt]:
    """Every wording of every question, those of a question side by side."""
    found: list[Prompt] = []
    for name, prompt in asked.items():
        try:
            check_asking(prompt, wordings, drawing, how)
            found += prompts_of(prompt, wordings)
        except SchemaError:
            raise
        except InvalidInput as error:
            raise type(error)(f"{name:.80}: {error}") from error
    return found


def _judged(answers: Answers, how: HowRead) -> JudgedBy:
    if how.judge is None:
        return JudgedBy(answers)
    return judged_by(how.judge, answers, said=said_in(answers, how.sorting))


def _told(
    found: QuestionsFound,
    stops: Mapping[str, StoppingPoint],
    drawing: Drawing,
    logs: Sequence[Sequence[Verdict]],
) -> QuestionsFound:
    """With where a rule stopped, and what has to be known of a judge's verdicts."""
    log = tuple(verdict for one in logs for verdict in one)
    notes = JudgedBy(found.questions[0], log).notes
    found = replace(found, notes=tuple(dict.fromkeys((*found.notes, *notes))))
    if not isinstance(drawing.draws, AdaptiveDraws):
        return found
    rule = drawing.draws.rule
    used = np.array([stops[one.id].used for one in found.questions], dtype=np.int64)
    allowed = np.full(len(used), rule.most, dtype=np.int64)
    saved = saved_share(used, allowed, settings=rule.settings)
    details = {
        name: replace(one, stop=stops[name]) for name, one in found.details.items()
    }
    return replace(found, stops=stops, saved=saved, details=details)


def _gold(gold: Mapping[str, Sequence[str]], how: HowRead) -> Gold:
    answers = {name: tuple(one) for name, one in gold.items()}
    return Gold(answers, how.same or gold_same(how.sorting))


def _between(
    questions: Sequence[Answers],
    owners: Sequence[Sequence[int]],
    wordings: int,
    how: HowRead,
) -> dict[str, Estimate]:
    """Means over questions of agreement within and across wordings."""
    rows = np.array(
        [
            pair_agreements(answers, owner, wordings)
            for answers, owner in zip(questions, owners, strict=True)
        ]
    )
    names = ("agreement_within_wordings", "agreement_across_wordings")
    columns: dict[str, np.ndarray] = dict(zip(names, rows.T, strict=True))
    if np.isnan(rows).any():  # one answer to a wording agrees with nothing
        del columns[names[0]]
    else:
        columns["agreement_within_less_across"] = rows[:, 0] - rows[:, 1]
    return {name: _mean(name, column, how) for name, column in columns.items()}


def _mean(name: str, values: Float[np.ndarray, " _"], how: HowRead) -> Estimate:
    level, seed = how.survey.level, how.survey.seed
    estimate = Estimate(
        name,
        float(values.mean()),
        "1",
        len(values),
        "confidence",
        "questions like these, with these wordings",
        Recipe(name, {"over": "mean over questions"}, _BOOTSTRAP),
    )
    if len(values) < MINIMUM_UNITS:
        words = f"{estimate.population}; no interval below {MINIMUM_UNITS} questions"
        return replace(estimate, population=words)
    found = bootstrap_rows(values[:, None], level=level, seed=seed)
    settings = {**estimate.recipe.settings, **found.settings}
    return replace(
        estimate,
        low=found.low,
        high=found.high,
        level=level,
        recipe=Recipe(name, settings, _BOOTSTRAP),
    )
