"""Measures of how alike samples are: for many questions, and with an interval for one.

A measure gets the similarities of the different items and how often each was drawn.
That is enough: a sample drawn twice is two equal rows of the whole matrix, whose part
in its spectrum is known. So repeats cost nothing, and a redraw is other counts. The
same holds for samples that are like nothing: they are counted, not rows.

The interval is over redraws (`nescio.consistency.redraws`): another set of as many
samples from the same model, with and without answers that were not seen, each of which
is like nothing but itself. It covers the chance of the draw, not whether the similarity
is a good one, nor whether the model is right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from nescio.consistency.answers import Answers
from nescio.consistency.redraws import HOW, REDRAWS, SOURCES, redrawn_limits
from nescio.consistency.similarity import Similarities, Similarity, similarities_of
from nescio.errors import InvalidInput
from nescio.outcome import Estimate, Recipe
from nescio.trace import Samples
from nescio.uncertainty.interval import check_request

__all__ = [
    "Draws",
    "Given",
    "OfItems",
    "PairMeasure",
    "estimated",
    "measured",
    "measured_by_name",
]

Given = Similarities | Answers | Samples | Sequence[str]
"""One question's samples: compared already, or to be compared."""
OfItems = Callable[
    [
        Float[np.ndarray, "questions items items"],
        Float[np.ndarray, "questions items"],
        Float[np.ndarray, " questions"],
    ],
    Float[np.ndarray, " questions"],
]
"""From similarities of items, how often each was drawn (0: not), and how many samples
there are beside them that are like nothing but themselves, to numbers."""

Draws = tuple[float, int, int]
"""Level, resamples and seed of an interval."""

_HOW = f"{HOW}; those are like nothing"
_CELLS = 2**21  # of matrices held at once, 16 MiB
_MOST_ITEMS = 100  # whose spectra are taken thousands of times


@dataclass(frozen=True)
class PairMeasure:
    """A measure of how alike the samples of a question are.

    Args:
        of: the measure.
        unit: of its numbers.
        rises_with: what it is larger for: ``uncertainty`` or ``consistency``.
        sources: where it comes from.
        spectral: whether it takes eigenvalues, which cost the cube of the items.
    """

    of: OfItems
    unit: str
    rises_with: Literal["uncertainty", "consistency"]
    sources: tuple[str, ...]
    spectral: bool = False


def measured(
    measure: PairMeasure, questions: Sequence[Similarities]
) -> Float[np.ndarray, " questions"]:
    """A measure for many questions; those with equally many items are one batch.

    Raises:
        InvalidInput: no questions, or similarities the measure cannot use.
    """
    if not questions:
        raise InvalidInput("no questions: there is nothing to measure")
    found = np.zeros(len(questions))
    sizes = np.array([len(one.matrix) for one in questions])
    for size in np.unique(sizes).tolist():
        places = np.flatnonzero(sizes == size)
        rows = max(1, _CELLS // size**2)
        for begin in range(0, len(places), rows):
            part = places[begin : begin + rows]
            matrices = np.stack([questions[place].matrix for place in part])
            counts = np.stack([questions[place].counts for place in part])
            none = np.zeros(len(part))
            found[part] = measure.of(matrices, counts.astype(np.float64), none)
    return found


def measured_by_name(
    name: str, family: Mapping[str, PairMeasure], questions: Sequence[Similarities]
) -> Float[np.ndarray, " questions"]:
    """A measure of a family for many questions.

    Raises:
        InvalidInput: no such measure; as `measured`.
    """
    if name not in family:
        raise InvalidInput(f"unknown measure {name!r:.60}: one of {sorted(family)}")
    return measured(family[name], questions)


def estimated(
    measure: tuple[str, PairMeasure],
    samples: Given,
    similarity: str | Similarity,
    *,
    options: Mapping[str, float | int] | None = None,
    settings: Mapping[str, Any] | None = None,
    draws: Draws,
) -> Estimate:
    """A measure of one question with its interval over redraws.

    There is no interval where no sample has a valid answer, nor for a spectral measure
    of more than 100 different items; the estimate's population says so.

    Args:
        measure: the name of the public function, and what it computes.
        samples: of one question; compared already, or to be compared.
        similarity: how they are compared, where they are not yet.
        options: of the measure, which the recipe has too.
        settings: what else changes the number, for the recipe.
        draws: level, resamples and seed of the interval.
    """
    name, how = measure
    if options:
        how = replace(how, of=partial(how.of, **options))
        options = {option: float(value) for option, value in options.items()}
    level, resamples, seed = draws
    check_request(level, resamples, seed)
    found = samples
    if not isinstance(found, Similarities):
        found = similarities_of(found, by=similarity)
    value = float(measured(how, [found])[0])
    stated = {
        **found.recipe,
        **(options or {}),
        **(settings or {}),
        "samples": len(found),
        "items": len(found.matrix),
        "rises_with": how.rises_with,
    }
    population = f"redraws of {len(found)} samples from this model"
    lacking, sources = _without_interval(how, found), how.sources
    limits: dict[str, Any] = {}
    if lacking:
        population += f"; no interval: {lacking}"
    else:
        low, high = _limits(how, found, draws)
        limits = {"low": min(low, value), "high": max(high, value), "level": level}
        stated |= {
            "interval": _HOW,
            "resamples": resamples,
            "redraws": REDRAWS,
            "seed": seed,
        }
        sources = (*sources, *SOURCES)
    recipe = Recipe(name, stated, sources)
    kind, n = "confidence", len(found)
    return Estimate(name, value, how.unit, n, kind, population, recipe, **limits)


def _without_interval(measure: PairMeasure, found: Similarities) -> str:
    if found.invalid == len(found):
        return "no sample has a valid answer"
    if measure.spectral and len(found.matrix) > _MOST_ITEMS:
        return f"more than {_MOST_ITEMS} different samples"
    return ""


def _limits(
    measure: PairMeasure, found: Similarities, draws: Draws
) -> tuple[float, float]:
    level, resamples, seed = draws
    # An order that does not hang on that of the samples: the draws follow it.
    sums = (found.matrix @ found.counts).round(9)
    order = np.lexsort([(found.matrix**2 @ found.counts).round(9), sums, found.counts])
    matrix = found.matrix[np.ix_(order, order)]

    def of_draws(drawn: Int[np.ndarray, "_ _"]) -> Float[np.ndarray, " _"]:
        different, back = np.unique(drawn, axis=0, return_inverse=True)
        counts = different.astype(np.float64)
        rows = max(1, _CELLS // max(1, len(matrix)) ** 2)
        parts = np.split(counts, range(rows, len(counts), rows))
        values = [
            measure.of(
                np.broadcast_to(matrix, (len(part), *matrix.shape)),
                part[:, :-1],
                part[:, -1],
            )
            for part in parts
        ]
        return np.concatenate(values)[back.ravel()]

    return redrawn_limits(
        of_draws, found.counts[order], level=level, resamples=resamples, seed=seed
    )
