"""Redraws: another set of as many samples from the same model, many times over.

Shares of the answers are drawn from what the votes allow (a Dirichlet distribution with
the votes as weights), the measure's mean over redraws from those shares is taken, and
its percentiles are limits. That is done with the answers that were seen alone, and with
a weight for others, each of which is its own answer: 1, and what makes their share that
of the answers seen once, which is Good and Turing's estimate of it. The limits hold all
of these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.consistency.answers import Answers
from nescio.consistency.votes import Convention
from nescio.outcome import Estimate

__all__ = [
    "HOW",
    "REDRAWS",
    "SOURCES",
    "OfDraws",
    "over_redraws",
    "redrawn_limits",
    "settings_of",
]

REDRAWS = 8
"""From the same shares."""
HOW = (
    "percentiles of the measure's mean over redraws from shares that the votes allow "
    "(Dirichlet), unseen answers weighing nothing, 1, and by Good and Turing"
)
"""What a recipe says of the interval."""
SOURCES = (
    "Rubin (1981), The Bayesian Bootstrap",
    "Good (1953), The Population Frequencies of Species",
)
"""Of the interval."""

OfDraws = Callable[[Int[np.ndarray, "_ _"]], Float[np.ndarray, " _"]]
"""From redraws [draws, answers + 1] to numbers [draws].

A row says how often each answer was drawn; its last column counts draws of answers that
were not seen, each of which is an answer of its own.
"""

_CELLS = 2**20  # of redraws held at once, 8 MiB
_NEVER = 1e-9  # a weight that draws nothing: the same steps, without unseen answers


def settings_of(
    answers: Answers, convention: Convention, *, resamples: int, seed: int
) -> dict[str, Any]:
    """What a recipe says of one question's samples and of the draws."""
    return {
        "convention": convention,
        **answers.recipe,
        "samples": len(answers),
        "sets": len(answers.keys),
        "invalid": answers.invalid,
        "resamples": resamples,
        "seed": seed,
    }


def over_redraws(
    estimate: Estimate,
    answers: Answers,
    limits: Callable[[], tuple[float, float]],
    *,
    level: float,
) -> Estimate:
    """The estimate with its limits, or without where no sample is valid.

    Args:
        estimate: a number of one question, without an interval; its recipe has the
            seed and resamples.
        answers: the samples of the question.
        limits: finds them.
        level: the coverage they aim at.
    """
    redraws = f"redraws of {len(answers)} samples from this model"
    if answers.invalid == len(answers):
        words = f"{redraws}; no interval: no sample has a valid answer"
        return replace(estimate, population=words)
    low, high = limits()
    recipe = estimate.recipe
    settings = {**recipe.settings, "interval": HOW, "redraws": REDRAWS}
    value = low if estimate.value is None else estimate.value
    return replace(
        estimate,
        population=redraws,
        recipe=replace(recipe, settings=settings, sources=(*recipe.sources, *SOURCES)),
        low=min(low, value),
        high=max(high, value),
        level=level,
    )


def redrawn_limits(
    measure: OfDraws,
    counts: Int[np.ndarray, " answers"],
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Limits for a measure's mean over redraws of as many samples.

    Args:
        measure: of redraws.
        counts: how often each answer was drawn, in an order that does not hang on the
            order of the samples.
        level: the coverage aimed at, in (0, 1).
        resamples: of the shares.
        seed: of the draws.

    Example:
        >>> low, high = redrawn_limits(
        ...     lambda drawn: drawn[:, 0] / drawn.sum(axis=1), np.array([15, 5]))
        >>> round(low, 1), round(high, 1)
        (0.5, 0.9)

    Source: Rubin (1981), The Bayesian Bootstrap; Good (1953), for the unseen.
    """
    tails = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    limits = [
        np.quantile(
            _means(measure, counts, resamples=resamples, seed=seed, unseen=unseen),
            tails,
        )
        for unseen in dict.fromkeys((_NEVER, 1.0, _turing(counts)))
    ]
    return float(np.min(limits)), float(np.max(limits))


def _turing(counts: Int[np.ndarray, " answers"]) -> float:
    """The weight at which unseen answers have the share of those seen once, or 1."""
    once, size = int(np.count_nonzero(counts == 1)), int(counts.sum())
    return max(1.0, once * size / max(1, size - once))


def _means(
    measure: OfDraws,
    counts: Int[np.ndarray, " answers"],
    *,
    resamples: int,
    seed: int,
    unseen: float,
) -> Float[np.ndarray, " resamples"]:
    rng = np.random.default_rng(seed)
    size = int(counts.sum())
    weights = np.append(np.maximum(counts, _NEVER), unseen)
    shares = rng.dirichlet(weights, resamples)
    chunk = max(1, _CELLS // (REDRAWS * (len(weights) + size)))
    means = []
    for begin in range(0, resamples, chunk):
        again = np.repeat(shares[begin : begin + chunk], REDRAWS, axis=0)
        values = measure(rng.multinomial(size, again))
        means.append(values.reshape(-1, REDRAWS).mean(axis=1))
    return np.concatenate(means)
