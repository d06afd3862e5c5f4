"""EntCE: is a model as unsure of its own text as it is surprised by people's?

The entropy gap is the mean entropy of the model's predictions along its own
continuations, less its mean log loss on people's continuations of the same prompts. A
model that *is* the source has gap 0 at every step. Above 0 the model grows less and
less sure of what it wrote itself, as pure sampling usually does; below 0 it has fallen
into a loop, as greedy and truncated decoding do.

At each step only prompts count whose two continuations both go on, so that each step
compares the same prompts. Prompts are resampled, own and human text together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.drift.continuations import Continuations
from nescio.drift.curves import (
    DriftCurve,
    Limits,
    Named,
    resampled_curve,
    resampled_number,
)
from nescio.drift.steps import Series, series_of, stretches
from nescio.errors import InvalidInput
from nescio.outcome import Estimate
from nescio.uncertainty import Statistic

__all__ = ["EntropyGap", "entropy_gap", "entropy_gap_change"]

_SOURCES = (
    "Braverman et al. (2020), calibration, entropy rates and memory of language models",
    "Cao, Valiant & Liang (2025), entropy calibration of language models",
)
_POPULATION = "prompts like these"
_PER = 100.0  # steps that a slope speaks of
_OWN, _OWN_BYTES, _HUMAN, _HUMAN_BYTES, _COUNT = range(5)
_CURVES: Mapping[str, tuple[int, ...]] = {
    "entropy_gap_by_step": (_OWN, _HUMAN),
    "own_entropy_by_step": (_OWN,),
    "human_log_loss_by_step": (_HUMAN,),
}


@dataclass(frozen=True)
class _How:
    """The unit of a number, what its recipe says, and how its limits are made."""

    limits: Limits
    settings: Mapping[str, Any]
    unit: str = "nats/token"


@dataclass(frozen=True, eq=False)
class EntropyGap:
    """The entropy gap of a model and a decoding, over all steps and by step.

    Args:
        estimates: by name. ``entropy_gap`` (nats/token) and ``entropy_gap_per_byte``
            over all steps; ``entropy_gap_slope``, ``own_entropy_slope`` and
            ``human_log_loss_slope`` in nats/token per 100 tokens;
            ``own_entropy_rate`` and ``human_log_loss``, whose difference the gap is;
            their exponentials ``own_entropy_rate_exponential`` and
            ``human_perplexity``, which the literature sets side by side.
        curves: ``entropy_gap_by_step``, ``own_entropy_by_step`` and
            ``human_log_loss_by_step``, nats/token.
    """

    estimates: Mapping[str, Estimate]
    curves: Mapping[str, DriftCurve]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "estimates": {n: one.to_dict() for n, one in self.estimates.items()},
            "curves": {n: one.to_dict() for n, one in self.curves.items()},
        }


def entropy_gap(
    texts: Continuations, *, width: int = 1, limits: Limits | None = None
) -> EntropyGap:
    """The entropy gap (EntCE) with its slope, by token, by byte and by step.

    The entropies are those of the model's own predictions also where the decoding was
    another one (colder, truncated, greedy): the recipe's ``plain_sampling`` says so.

    Args:
        texts: own and human continuations of the same prompts.
        width: how many steps each place of a curve takes together, at least 1.
        limits: level, seed, resamples, and the band of curves: ``"pointwise"`` holds
            each place by itself (the default), ``"simultaneous"`` all of it.

    Raises:
        InvalidInput: no entropies, or a token of a human text that was impossible.

    Example:
        >>> import nescio
        >>> from nescio.drift.protocol import ContinuationPlan, continue_documents
        >>> texts = {str(n): "HTTHTHHT" for n in range(5)}
        >>> found = continue_documents(nescio.load("table:coin"), texts,
        ...                            plan=ContinuationPlan(2, 6))
        >>> round(entropy_gap(found).estimates["entropy_gap"].value, 6)
        0.0

    Source: Braverman et al. (2020); Cao, Valiant & Liang (2025).
    """
    how = limits or Limits()
    pairs = _pairs(texts)
    parts, place = stretches(pairs, width)
    settings = texts.settings | {"width": width}
    curves = {
        name: _curve(name, parts, place, columns=columns, settings=settings, how=how)
        for name, columns in _CURVES.items()
    }
    return EntropyGap(_estimates(texts, pairs, how), curves)


def entropy_gap_change(
    before: Continuations, after: Continuations, *, limits: Limits | None = None
) -> dict[str, Estimate]:
    """How the entropy gap differs between two models or decodings on the same prompts.

    Prompts are resampled together, so what they share does not count.

    Args:
        before, after: of the same documents, in the same order.
        limits: level, seed and resamples.

    Returns:
        ``entropy_gap_before``, ``entropy_gap_after`` and ``entropy_gap_change``
        (after - before), nats/token.

    Raises:
        InvalidInput: other documents, and as `entropy_gap`.

    Example:
        >>> import nescio
        >>> from nescio.drift.protocol import ContinuationPlan, continue_documents
        >>> texts = {str(n): "HTTHTHHT" for n in range(5)}
        >>> found = continue_documents(nescio.load("table:coin"), texts,
        ...                            plan=ContinuationPlan(2, 6))
        >>> entropy_gap_change(found, found)["entropy_gap_change"].value
        0.0
    """
    if before.names != after.names:
        raise InvalidInput(
            f"{len(before)} and {len(after)} continuations of different documents "
            "cannot be compared; run both on the same ones"
        )
    columns = np.concatenate(
        [
            _totals(_pairs(texts))[:, [_OWN, _HUMAN, _COUNT]]
            for texts in (before, after)
        ],
        axis=1,
    )
    each: dict[str, Statistic] = {
        "entropy_gap_before": lambda m: (m[:, 0] - m[:, 1]) / m[:, 2],
        "entropy_gap_after": lambda m: (m[:, 3] - m[:, 4]) / m[:, 5],
        "entropy_gap_change": lambda m: (
            (m[:, 3] - m[:, 4]) / m[:, 5] - (m[:, 0] - m[:, 1]) / m[:, 2]
        ),
    }
    how = _How(limits or Limits(), {"before": before.settings, "after": after.settings})
    return {
        name: _estimate(name, columns, statistic, how=how)
        for name, statistic in each.items()
    }


def _pairs(texts: Continuations) -> list[tuple[Series, Series]]:
    """Own entropies and human log losses, prompt by prompt."""
    found = []
    for name, own, human in zip(texts.names, texts.own, texts.human, strict=True):
        try:
            found.append((series_of(own, "entropy"), series_of(human, "surprisal")))
        except InvalidInput as error:
            raise InvalidInput(f"{name!r}: {error}") from error
    return found


def _curve(
    name: str,
    parts: np.ndarray,
    place: np.ndarray,
    *,
    columns: tuple[int, ...],
    settings: Mapping[str, Any],
    how: Limits,
) -> DriftCurve:
    """One column over the count, or the difference of two."""

    def statistic(means: np.ndarray) -> np.ndarray:
        above = means[..., 0, :]
        if len(columns) == 2:
            above = above - means[..., 1, :]
        return above / means[..., -1, :]

    named = Named(name, "nats/token", _POPULATION, settings=settings, sources=_SOURCES)
    chosen = parts[:, [*columns, _COUNT]]
    return resampled_curve(chosen, statistic, place, named=named, limits=how)


def _totals(
    pairs: list[tuple[Series, Series]],
) -> Float[np.ndarray, "prompts five"]:
    """Sums over the steps at which both continuations go on."""
    longest = max(min(len(own), len(human)) for own, human in pairs)
    return stretches(pairs, longest)[0][:, :, 0]


def _estimates(
    texts: Continuations, pairs: list[tuple[Series, Series]], limits: Limits
) -> dict[str, Estimate]:
    totals, how = _totals(pairs), _How(limits, texts.settings)
    rates: dict[str, Statistic] = {
        "entropy_gap": lambda m: (m[:, _OWN] - m[:, _HUMAN]) / m[:, _COUNT],
        "own_entropy_rate": lambda m: m[:, _OWN] / m[:, _COUNT],
        "human_log_loss": lambda m: m[:, _HUMAN] / m[:, _COUNT],
    }
    found = {
        name: _estimate(name, totals, statistic, how=how)
        for name, statistic in rates.items()
    }
    if (totals[:, [_OWN_BYTES, _HUMAN_BYTES]].sum(axis=0) > 0).all():
        found["entropy_gap_per_byte"] = _estimate(
            "entropy_gap_per_byte",
            totals,
            lambda m: m[:, _OWN] / m[:, _OWN_BYTES] - m[:, _HUMAN] / m[:, _HUMAN_BYTES],
            how=replace(how, unit="nats/byte"),
        )
    for name, rate in (
        ("own_entropy_rate_exponential", "own_entropy_rate"),
        ("human_perplexity", "human_log_loss"),
    ):
        found[name] = _exponential(name, found[rate])
    return found | _slopes(pairs, how)


def _slopes(pairs: list[tuple[Series, Series]], how: _How) -> dict[str, Estimate]:
    """Least-squares slopes over all tokens of all prompts, from moments by prompt."""
    if max(min(len(own), len(human)) for own, human in pairs) < 2:
        return {}
    moments = np.array([_moments(own, human) for own, human in pairs])
    signs = {
        "entropy_gap_slope": (1.0, -1.0),
        "own_entropy_slope": (1.0, 0.0),
        "human_log_loss_slope": (0.0, 1.0),
    }
    fitted = replace(
        how,
        unit=f"{how.unit} per 100 tokens",
        settings=dict(how.settings) | {"slope": "least squares over tokens"},
    )
    return {
        name: _estimate(name, moments, partial(_slope, weights=weights), how=fitted)
        for name, weights in signs.items()
    }


def _moments(own: Series, human: Series) -> list[float]:
    """n, Σt, Σt², then Σy and Σty of either series; t in hundreds of steps."""
    n = min(len(own), len(human))
    step = np.arange(1, n + 1) / _PER
    sums = [float(n), step.sum(), step @ step]
    for series in (own, human):
        values = series.values[:n]
        sums += [values.sum(), step @ values]
    return [float(one) for one in sums]


def _slope(m: np.ndarray, weights: tuple[float, float]) -> np.ndarray:
    count, first, second = m[:, 0], m[:, 1], m[:, 2]
    total = weights[0] * m[:, 3] + weights[1] * m[:, 5]
    crossed = weights[0] * m[:, 4] + weights[1] * m[:, 6]
    with np.errstate(divide="ignore", invalid="ignore"):
        return (crossed - first * total / count) / (second - first**2 / count)


def _estimate(
    name: str, columns: np.ndarray, statistic: Statistic, *, how: _How
) -> Estimate:
    named = Named(
        name, how.unit, _POPULATION, settings=dict(how.settings), sources=_SOURCES
    )
    return resampled_number(columns, statistic, named=named, limits=how.limits)


def _exponential(name: str, rate: Estimate) -> Estimate:
    ends = [
        None if x is None else math.exp(x) for x in (rate.value, rate.low, rate.high)
    ]
    return replace(
        rate,
        name=name,
        unit="1",
        value=ends[0],
        low=ends[1],
        high=ends[2],
        recipe=replace(rate.recipe, estimator=name),
    )
