"""The share of texts whose kind is told, alone or less another, with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from nescio.outcome import Estimate, Recipe
from nescio.uncertainty import (
    MINIMUM_UNITS,
    Interval,
    paired_share_interval,
    share_interval,
    wilson_interval,
)

__all__ = ["Judged", "recall_told", "share_told"]

_SOURCES = (
    "Ali et al. (2025), Entropy-Lens",
    "Cover & Hart (1967), nearest neighbour pattern classification",
    "Ojala & Garriga (2010), permutation tests for classifier performance",
)
_POPULATION = "new texts of these kinds in these shares, judged by these classifiers"


@dataclass(frozen=True, eq=False)
class Judged:
    """Which texts belong together, what limits are asked for, and the recipe."""

    groups: Int[np.ndarray, " texts"] | None
    limits: Mapping[str, Any]
    settings: Mapping[str, Any]

    @property
    def units(self) -> int | None:
        """How many groups there are."""
        return None if self.groups is None else len(np.unique(self.groups))


def share_told(
    name: str,
    values: Float[np.ndarray, " texts"],
    *,
    judged: Judged,
    paired: bool = False,
    chance: tuple[float | None, float | None] = (None, None),
) -> Estimate:
    """The mean of hits (0 or 1), or of hits less hits (-1, 0 or 1).

    Args:
        name: of the measure.
        values: one a text.
        judged: groups, limits, recipe.
        paired: whether they are differences.
        chance: null level and p-value.
    """
    found, population = _interval(values, judged, paired=paired), _POPULATION
    if isinstance(found, str):
        population, found = f"{population}; no interval: {found}", None
    settings = dict(judged.settings) | dict(found.settings if found else {})
    return Estimate(
        name,
        float(values.mean()),
        "1",
        len(values),
        "confidence",
        population,
        Recipe(name, settings, _SOURCES),
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        level=None if found is None else found.level,
        n_clusters=judged.units,
        null_level=chance[0],
        p_value=chance[1],
    )


def _interval(
    values: Float[np.ndarray, " texts"], judged: Judged, *, paired: bool
) -> Interval | str:
    units = len(values) if judged.units is None else judged.units
    if units < MINIMUM_UNITS:
        return f"{units} independent texts are too few: at least {MINIMUM_UNITS}"
    interval = paired_share_interval if paired else share_interval
    return interval(values, clusters=judged.groups, level=judged.limits["level"])


def recall_told(
    kind: str, hits: Bool[np.ndarray, " texts"], grouped: bool, *, level: float
) -> Estimate:
    """The share of one kind that is told; groups get no interval here."""
    share = float(hits.mean())
    recipe = Recipe("recall", {"kind": kind}, _SOURCES)
    population = f"new texts of the kind {kind!r}"
    if grouped:
        population += "; no interval: texts come in groups"
        return Estimate(
            "recall", share, "1", len(hits), "confidence", population, recipe
        )
    found = wilson_interval(int(hits.sum()), len(hits), level=level)
    return Estimate(
        "recall",
        share,
        "1",
        len(hits),
        "confidence",
        population,
        Recipe("recall", {"kind": kind} | dict(found.settings), _SOURCES),
        found.low,
        found.high,
        found.level,
    )
