"""Rates of many documents from their sums, with intervals by document.

The same ratios as :mod:`nescio.information`: sums over sums, never means of rates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from nescio.errors import NotEnoughData
from nescio.outcome import Estimate, Recipe
from nescio.trace.symbols import PER_TOKEN, Symbol, symbol_of, unit_per
from nescio.uncertainty import MINIMUM_UNITS, Interval, bootstrap_rows, ratio_of_means

__all__ = ["CORPUS_MEASURES", "Interval", "Resampling", "Units", "estimates_of"]

_SHANNON = "Shannon (1948), A Mathematical Theory of Communication, sections 6-7"
_JELINEK = "Jelinek, Mercer, Bahl & Baker (1977), perplexity"
_BRAVERMAN = "Braverman et al. (2020), section 3, the entropy rate of a model"
_RESAMPLED = ("Efron (1979), bootstrap", "Hesterberg (2015), expanded percentiles")
_BITS = 1.0 / math.log(2.0)
_MANY, _HANDS = 20_000, 4_000


@dataclass(frozen=True)
class Resampling:
    """How intervals are made."""

    level: float = 0.95
    seed: int = 0
    resamples: int = 2000


@dataclass(frozen=True, eq=False)
class Units:
    """The sums of each independent unit: a document, or a cluster of them.

    Args:
        columns: name of a sum to its value in each unit.
        documents: how many documents the units hold.
        by: the field that names clusters; None where units are documents.
        settings: what the recipe says of documents and model.
    """

    columns: Mapping[str, Float[np.ndarray, " _"]]
    documents: int
    by: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns["scored_tokens"])

    def clustered(self, codes: Integer[np.ndarray, " documents"], by: str) -> Units:
        """The sums of documents added up to those of their clusters."""
        _, owner = np.unique(codes, return_inverse=True)
        columns = {
            name: np.bincount(owner, weights=values)
            for name, values in self.columns.items()
        }
        return Units(columns, self.documents, by, self.settings)


@dataclass(frozen=True)
class _Measure:
    unit: str
    above: Callable[[Mapping[str, np.ndarray]], np.ndarray]
    below: str
    sources: tuple[str, ...]
    exponential: bool = False
    signed: bool = False


def _surprisal(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    return columns["total_surprisal"] * _BITS


def _gap(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    return (columns["total_surprisal"] - columns["total_entropy"]) * _BITS


CORPUS_MEASURES: Mapping[str, _Measure] = {
    "bits_per_byte": _Measure("bits/byte", _surprisal, "scored_bytes", (_SHANNON,)),
    "bits_per_character": _Measure(
        "bits/character", _surprisal, "scored_characters", (_SHANNON,)
    ),
    "bits_per_token": _Measure("bits/token", _surprisal, "scored_tokens", (_SHANNON,)),
    "perplexity": _Measure(
        "1",
        lambda columns: columns["total_surprisal"],
        "scored_tokens",
        (_JELINEK, _SHANNON),
        exponential=True,
    ),
    "entropy_rate": _Measure(
        "bits/token",
        lambda columns: columns["total_entropy"] * _BITS,
        "scored_tokens",
        (_SHANNON, _BRAVERMAN),
    ),
    "surprisal_minus_entropy": _Measure(
        "bits/token", _gap, "scored_tokens", (_BRAVERMAN,), signed=True
    ),
}
"""The rates of a corpus: those of `nescio.information`, and how far surprise exceeds
what the model expected (0 for a model that is as sure as it should be)."""


def estimates_of(units: Units, how: Resampling) -> dict[str, Estimate]:
    """Every rate of some documents; empty where no token of them was scored.

    Where a token is a byte, what is per token alone is left out.
    """
    by_bytes = _symbol(units) == "byte"
    if not units.columns["scored_tokens"].sum():
        return {}
    return {
        name: _estimate(name, measure, units, how)
        for name, measure in CORPUS_MEASURES.items()
        if units.columns[measure.below].sum() and not (by_bytes and name in PER_TOKEN)
    }


def _symbol(units: Units) -> Symbol:
    return symbol_of(units.settings.get("tokenizer_digest"))


def _estimate(name: str, measure: _Measure, units: Units, how: Resampling) -> Estimate:
    pairs = np.stack([measure.above(units.columns), units.columns[measure.below]], 1)
    value = math.fsum(pairs[:, 0]) / math.fsum(pairs[:, 1])
    found = _interval(pairs, units, how)
    like = "documents" if units.by is None else f"clusters of documents ({units.by})"
    population, settings, sources = f"{like} like these", {}, measure.sources
    low = high = level = None
    if isinstance(found, str):
        population += f"; no interval: {found}"
    else:
        low, high = (found.low if measure.signed else max(0.0, found.low)), found.high
        level, settings, sources = found.level, found.settings, sources + _RESAMPLED
    if measure.exponential:
        value, low, high = map(_exponential, (value, low, high))
    return Estimate(
        name,
        value,
        unit_per(measure.unit, _symbol(units)),
        int(units.columns["scored_tokens"].sum()),
        "confidence",
        population,
        Recipe(name, {**units.settings, **settings}, sources),
        low,
        high,
        level,
        n_clusters=len(units),
    )


def _interval(pairs: np.ndarray, units: Units, how: Resampling) -> Interval | str:
    """The interval, or why there is none."""
    by = "" if units.by is None else f" ({units.by})"
    kind = "cluster" if by else "document"
    what = f"{kind}s{by}"
    if not np.isfinite(pairs).all():
        return "a token was impossible under the model"
    if len(pairs) < MINIMUM_UNITS:
        few = f"{len(pairs)} {kind if len(pairs) == 1 else kind + 's'}{by}"
        return f"{few} cannot show how {what} differ: at least {MINIMUM_UNITS}"
    options = {"level": how.level, "resamples": how.resamples, "seed": how.seed}
    resampled = what
    if len(pairs) > _MANY:
        pairs, resampled = _dealt(pairs, how.seed), f"{what} dealt into {_HANDS} hands"
    try:
        found = bootstrap_rows(pairs, ratio_of_means, **options)
    except NotEnoughData as reason:
        return str(reason)
    settings = {**found.settings, "resampled": resampled}
    return Interval(found.low, found.high, found.level, found.n, settings=settings)


def _dealt(pairs: np.ndarray, seed: int) -> np.ndarray:
    """Many units dealt at random into fewer hands, whose sums vary as theirs do.

    Sums of independent units are independent, so resampling hands gives the same
    interval as resampling units, at a fraction of the work.
    """
    owner = np.random.default_rng(seed).permutation(len(pairs)) % _HANDS
    return np.stack([np.bincount(owner, weights=column) for column in pairs.T], axis=1)


def _exponential(nats: float | None) -> float | None:
    with np.errstate(over="ignore"):
        return None if nats is None else float(np.exp(nats))
