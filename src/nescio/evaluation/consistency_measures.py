"""Every measure that samples allow, of one question as estimates, of many as columns.

What a measure needs (votes alone, log-probabilities, numbers of tokens, traces) decides
whether it is taken; nothing is guessed. `MEASURES` says of each what it needs and what
it rises with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from nescio.consistency.agreement import CONFIDENCES
from nescio.consistency.answers import Answers
from nescio.consistency.dataset import confidences_of, uncertainties_of, void_of
from nescio.consistency.graph import GRAPH_MEASURES
from nescio.consistency.lexical import LEXICAL_MEASURES
from nescio.consistency.likelihood_measures import LIKELIHOOD_MEASURES
from nescio.consistency.likelihoods import likelihoods_of
from nescio.consistency.pairwise import measured
from nescio.consistency.similarity import Similarities
from nescio.consistency.uncertainties import UNCERTAINTIES
from nescio.errors import InvalidInput
from nescio.evaluation.consistency_asked import Asked, similarity_name
from nescio.evaluation.consistency_tokens import token_columns
from nescio.trace import Samples

__all__ = [
    "KERNELS",
    "MEASURES",
    "Alike",
    "MeasureKind",
    "chosen_measures",
    "columns_of",
    "kind_of_measure",
    "needed_similarities",
]

Family = Literal["votes", "sets", "pairs", "likelihoods", "tokens"]
Alike = Mapping[str, Sequence[Similarities]]
"""By the name of the similarity, that of the samples of each question."""

KERNELS = ("exact", "jaccard")
"""Similarities that are surely positive semi-definite, as the Vendi score needs."""


@dataclass(frozen=True)
class MeasureKind:
    """What a measure is.

    Args:
        family: ``votes`` and ``sets`` need nothing but answers, ``pairs`` compare
            texts, ``likelihoods`` need log-probabilities, ``tokens`` traces.
        rises_with: what it is larger for.
        unit: of its numbers.
        needs: columns of `Answers`, or ``traces``.
        compares: whether it needs similarities.
    """

    family: Family
    rises_with: Literal["confidence", "uncertainty"]
    unit: str
    needs: tuple[str, ...] = ()
    compares: bool = False


MEASURES: Mapping[str, MeasureKind] = {
    **{name: MeasureKind("votes", "confidence", "1") for name in CONFIDENCES},
    **{
        name: MeasureKind("sets", "uncertainty", one.unit, one.needs)
        for name, one in UNCERTAINTIES.items()
    },
    **{
        name: MeasureKind(
            "pairs",
            "uncertainty" if one.rises_with == "uncertainty" else "confidence",
            one.unit,
            compares=True,
        )
        for name, one in {**LEXICAL_MEASURES, **GRAPH_MEASURES}.items()
    },
    **{
        name: MeasureKind(
            "likelihoods",
            one.rises_with,
            one.unit,
            ("total_logp", "token_count") if one.tokens else ("total_logp",),
            one.compares,
        )
        for name, one in LIKELIHOOD_MEASURES.items()
    },
    "deep_confidence": MeasureKind("tokens", "confidence", "nats", ("traces",)),
    "self_certainty": MeasureKind(
        "tokens", "confidence", "nats/token", ("traces", "vocabulary_size")
    ),
}
"""By the names of the public functions; `cocoa` and `semantic_entropy` by variant."""


def kind_of_measure(name: str) -> MeasureKind:
    """The kind of a measure; of ``NAME@SIMILARITY`` that of NAME.

    Raises:
        InvalidInput: naming those there are.

    Example:
        >>> kind_of_measure("eccentricity@edit").rises_with
        'uncertainty'
    """
    plain = name.partition("@")[0]
    if plain not in MEASURES:
        raise InvalidInput(
            f"unknown measure {name!r:.60}: one of {', '.join(MEASURES)}"
        )
    return MEASURES[plain]


def chosen_measures(
    questions: Sequence[Answers], asked: Asked, *, traces: bool
) -> tuple[str, ...]:
    """The measures that were asked for, or all that every question allows.

    A measure of pairs stands once for each similarity: plain for the first,
    ``NAME@SIMILARITY`` for further ones.

    Raises:
        InvalidInput: a measure that is none.
    """
    if asked.measures is not None:
        for name in asked.measures:
            kind_of_measure(name)
        return asked.measures
    there = {
        "traces": traces,
        "vocabulary_size": asked.vocabulary_size is not None,
        "total_logp": all(one.total_logp is not None for one in questions),
        "token_count": all(one.token_count is not None for one in questions),
    }
    plain = [
        name
        for name, kind in MEASURES.items()
        if all(there[need] for need in kind.needs)
    ]
    others = [similarity_name(by) for by in asked.similarities[1:]]
    again = [
        f"{name}@{other}"
        for other in others
        for name in plain
        if MEASURES[name].family == "pairs"
        and (name != "vendi_score" or other in KERNELS)
    ]
    return (*plain, *again)


def needed_similarities(names: Sequence[str], asked: Asked) -> tuple[str, ...]:
    """The names of the similarities that measures need, in order; may be none."""
    found = [
        similarity_of_measure(name, asked)
        for name in names
        if kind_of_measure(name).compares
    ]
    return tuple(dict.fromkeys(found))


def similarity_of_measure(name: str, asked: Asked) -> str:
    """The name of the similarity that a measure is taken with.

    The Vendi score needs a kernel: the first similarity asked for that is one, else
    ``jaccard``.
    """
    plain, _, other = name.partition("@")
    if other:
        return other
    names = [similarity_name(by) for by in asked.similarities]
    if plain == "vendi_score":
        return next((one for one in names if one in KERNELS), "jaccard")
    return names[0]


def columns_of(
    questions: Sequence[Answers],
    names: Sequence[str],
    asked: Asked,
    *,
    alike: Alike,
    traces: Mapping[str, Samples] | None = None,
) -> tuple[dict[str, Float[np.ndarray, " _"]], tuple[str, ...]]:
    """Every measure for every question, and why some could not be taken.

    A measure of likelihoods or tokens says nothing of a question without any valid
    answer, whose texts are no answers: it has the least sure number of the column.

    Args:
        questions: each with at least 2 samples.
        names: of `MEASURES`.
        asked: how.
        alike: similarities of each question, for the measures that compare.
        traces: by the id of the question, for measures of tokens.

    Raises:
        InvalidInput, NotEnoughData: as `confidences_of`; and what a measure says that
            was asked for by name.
    """
    votes = [name for name in names if name in CONFIDENCES]
    how = asked.convention
    known: dict[str, np.ndarray] = {}
    if votes:
        known = confidences_of(questions, measures=votes, convention=how)
    found: dict[str, np.ndarray] = {}
    notes: list[str] = []
    void = void_of(questions)
    for name in names:
        if name in known:
            found[name] = known[name]
            continue
        try:
            column = _column(name, questions, asked, alike=alike, traces=traces)
        except InvalidInput as error:
            if asked.measures is not None:
                raise
            notes.append(f"no {name}: {error}")
            continue
        wrong = np.flatnonzero(~np.isfinite(column))
        if len(wrong):
            who = questions[wrong[0]].id or f"question {wrong[0]}"
            notes.append(f"no {name}: it is {column[wrong[0]]} for {who}")
            continue
        if kind_of_measure(name).needs and void.any():
            if void.all():
                notes.append(f"no {name}: no sample has a valid answer")
                continue
            column = _least_sure(column, void, kind_of_measure(name))
        found[name] = column
    return found, tuple(notes)


def _column(
    name: str,
    questions: Sequence[Answers],
    asked: Asked,
    *,
    alike: Alike,
    traces: Mapping[str, Samples] | None,
) -> Float[np.ndarray, " _"]:
    kind, plain = kind_of_measure(name), name.partition("@")[0]
    if kind.family == "sets":
        how = asked.convention
        return uncertainties_of(questions, measures=[name], convention=how)[name]
    if kind.family == "tokens":
        return token_columns(name, questions, traces, asked)
    compared = alike[similarity_of_measure(name, asked)] if kind.compares else None
    if kind.family == "pairs":
        if compared is None:
            raise InvalidInput(f"{name} compares samples, and nothing was compared")
        return measured({**LEXICAL_MEASURES, **GRAPH_MEASURES}[plain], compared)
    return _likelihoods(plain, questions, compared)


def _likelihoods(
    name: str, questions: Sequence[Answers], compared: Sequence[Similarities] | None
) -> Float[np.ndarray, " _"]:
    measure = LIKELIHOOD_MEASURES[name]
    values = []
    for place, answers in enumerate(questions):
        logs = likelihoods_of(answers, needed_by=name, tokens=measure.tokens)[1]
        found = None if compared is None else compared[place]
        values.append(measure.of(logs, found, logs.best))
    return np.array(values, dtype=np.float64)


def _least_sure(
    column: Float[np.ndarray, " _"], void: np.ndarray, kind: MeasureKind
) -> Float[np.ndarray, " _"]:
    valid = column[~void]
    least = valid.min() if kind.rises_with == "confidence" else valid.max()
    return np.where(void, least, column)
