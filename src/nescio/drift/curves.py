"""Curves over steps, and single numbers: documents resampled whole.

A *pointwise* band holds the curve's true value at each place by itself with the
probability asked for; at some of many places it will miss. A *simultaneous* band holds
the whole curve at once: it is the value plus and minus so many standard errors, as many
as the largest deviation of a resampled curve, anywhere along it, seldom passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from nescio.errors import InvalidInput, NotEnoughData
from nescio.outcome import Estimate, Recipe
from nescio.uncertainty import (
    MINIMUM_UNITS,
    Statistic,
    bootstrap_rows,
    resampled_means,
)
from nescio.uncertainty.interval import check_request
from nescio.uncertainty.resampling import expanded_tail

__all__ = [
    "Band",
    "DriftCurve",
    "Limits",
    "Named",
    "resampled_curve",
    "resampled_number",
]

Band = Literal["pointwise", "simultaneous"]
AtPlaces = Callable[[np.ndarray], np.ndarray]
"""Means of the parts, [..., parts, places], to one value a place, [..., places]."""

_RESAMPLED = ("Efron (1979), bootstrap", "Hesterberg (2015), expanded percentiles")
_SIMULTANEOUS = "Montiel Olea & Plagborg-Møller (2019), simultaneous bands"


@dataclass(frozen=True)
class Limits:
    """How intervals and bands are made.

    Args:
        level: the coverage aimed at, in (0, 1).
        seed, resamples: of the bootstrap.
        band: of curves: ``"pointwise"`` or ``"simultaneous"``.

    Raises:
        InvalidInput: a level that is none, too few resamples for it, another band.

    Example:
        >>> Limits(band="simultaneous").level
        0.95
    """

    level: float = 0.95
    seed: int = 0
    resamples: int = 2000
    band: Band = "pointwise"

    def __post_init__(self) -> None:
        check_request(self.level, self.resamples, self.seed)
        if self.band not in get_args(Band):
            raise InvalidInput(f"band is {self.band!r}: one of {get_args(Band)}")

    @property
    def options(self) -> dict[str, Any]:
        """What the functions of the bootstrap take."""
        return {"level": self.level, "resamples": self.resamples, "seed": self.seed}


@dataclass(frozen=True)
class Named:
    """What a number or curve is called and where it comes from.

    Args:
        name: the public function.
        unit: of its values.
        population: what its interval or band generalises to.
        along: what a curve's places count, e.g. ``"token"``.
        settings, sources: for the recipe.
    """

    name: str
    unit: str
    population: str
    along: str = "token"
    settings: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class DriftCurve:
    """A number at each of some places, with a band.

    Args:
        name: the public function it comes from.
        unit: of its values.
        along: what ``place`` counts.
        place: where, rising, [n]: the middle of a stretch of steps, or a lag.
        value: the number, [n].
        low, high: the band, [n], or None where there is none.
        documents: how many documents count at each place, [n].
        level: the coverage the band aims at, or None.
        band: of what, see the module.
        population: what the band generalises to; says why there is none.
        recipe: how to get the same curve.
    """

    name: str
    unit: str
    along: str
    place: Float[np.ndarray, " n"]
    value: Float[np.ndarray, " n"]
    low: Float[np.ndarray, " n"] | None
    high: Float[np.ndarray, " n"] | None
    documents: Int[np.ndarray, " n"]
    level: float | None
    band: Band
    population: str
    recipe: Recipe

    def __len__(self) -> int:
        return len(self.place)

    def estimate(self, index: int | np.integer) -> Estimate:
        """The number at one place, as an estimate with its limits there.

        Raises:
            InvalidInput: no such place.
        """
        if not 0 <= index < len(self):
            raise InvalidInput(f"place {index} of a curve with {len(self)} places")
        settings = dict(self.recipe.settings) | {self.along: float(self.place[index])}
        low, high = (
            None if end is None else float(end[index]) for end in (self.low, self.high)
        )
        return Estimate(
            self.name,
            self.value[index],
            self.unit,
            int(self.documents[index]),
            "confidence",
            self.population,
            Recipe(self.recipe.estimator, settings, self.recipe.sources),
            low,
            high,
            self.level,
            n_clusters=int(self.documents[index]),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        arrays = ("place", "value", "low", "high", "documents")
        columns = {name: getattr(self, name) for name in arrays}
        return {
            "name": self.name,
            "unit": self.unit,
            "along": self.along,
            **{k: None if v is None else v.tolist() for k, v in columns.items()},
            "level": self.level,
            "band": self.band,
            "population": self.population,
            "recipe": self.recipe.to_dict(),
        }


def resampled_curve(
    parts: Float[np.ndarray, "documents parts places"],
    statistic: AtPlaces,
    place: Float[np.ndarray, " places"],
    *,
    named: Named,
    limits: Limits,
) -> DriftCurve:
    """A function of means over documents at each place, with its band.

    The curve ends before the first place at which fewer than 5 documents count, or
    some resample has none: there nothing shows how documents differ. The last part
    says by being above 0 which documents count where.

    Args:
        parts: what each document adds at each place; the last part is a count.
        statistic: column means to values; not finite where a count is 0.
        place: where.
        named: what it is called.
        limits: level, seed, resamples and band.

    Raises:
        NotEnoughData: no document counts at the first place.
    """
    bare = _without_band(parts, statistic, place, named=named, band=limits.band)
    kept = _kept(bare.documents >= MINIMUM_UNITS)
    values = np.empty((0, 0))
    if kept:
        values = _resamples(parts[:, :, :kept], statistic, limits)
        kept = _kept(np.asarray(np.isfinite(values).all(axis=0)))
    if kept == 0:
        few = f"{int(bare.documents[0])} documents are too few to show how they differ"
        reason = f"no band: {few}, at least {MINIMUM_UNITS}"
        return replace(bare, population=f"{named.population}; {reason}")
    value = bare.value[:kept]
    low, high = _limits(values[:, :kept], value, limits, len(parts))
    settings: dict[str, Any] = {"band": limits.band, "resampled": "documents"}
    settings |= {"resamples": limits.resamples, "seed": limits.seed}
    if kept < len(place):
        settings["ends_before"] = float(place[kept])
    sources = _RESAMPLED
    if limits.band == "simultaneous":
        sources = (*sources, _SIMULTANEOUS)
    return replace(
        bare,
        place=bare.place[:kept],
        value=value,
        low=low,
        high=high,
        documents=bare.documents[:kept],
        level=limits.level,
        recipe=replace(
            bare.recipe,
            settings=dict(named.settings) | settings,
            sources=(*named.sources, *sources),
        ),
    )


def resampled_number(
    columns: Float[np.ndarray, "documents columns"],
    statistic: Statistic,
    *,
    named: Named,
    limits: Limits,
) -> Estimate:
    """A function of means over documents, with its interval where there can be one.

    Args:
        columns: what each document adds.
        statistic: column means [resamples, columns] to values [resamples].
        named: what it is called.
        limits: level, seed and resamples.

    Raises:
        NotEnoughData: the documents do not determine it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(columns.mean(axis=0, keepdims=True))[0])
    if not math.isfinite(value):
        raise NotEnoughData(f"{named.name}: {len(columns)} texts do not determine it")
    bare = Estimate(
        named.name,
        value,
        named.unit,
        len(columns),
        "confidence",
        named.population,
        Recipe(named.name, dict(named.settings), named.sources),
        n_clusters=len(columns),
    )
    reason = f"{len(columns)} texts, at least {MINIMUM_UNITS} are needed"
    if len(columns) >= MINIMUM_UNITS:
        try:
            found = bootstrap_rows(columns, statistic, **limits.options)
        except NotEnoughData as error:
            reason = str(error)
        else:
            settings = dict(named.settings) | dict(found.settings)
            recipe = Recipe(named.name, settings, (*named.sources, *_RESAMPLED))
            return replace(
                bare, low=found.low, high=found.high, level=limits.level, recipe=recipe
            )
    return replace(bare, population=f"{named.population}; no interval: {reason}")


def _without_band(
    parts: np.ndarray,
    statistic: AtPlaces,
    place: np.ndarray,
    *,
    named: Named,
    band: Band,
) -> DriftCurve:
    """The curve up to the first place that no document reaches."""
    documents = (parts[:, -1] > 0.0).sum(axis=0).astype(np.int64)
    kept = _kept(documents > 0)
    if kept == 0:
        raise NotEnoughData(
            f"{named.name}: no document reaches the first place; give longer texts"
        )
    return DriftCurve(
        named.name,
        named.unit,
        named.along,
        place[:kept],
        statistic(parts[:, :, :kept].mean(axis=0)),
        None,
        None,
        documents[:kept],
        None,
        band,
        named.population,
        Recipe(named.name, dict(named.settings), named.sources),
    )


def _resamples(
    parts: np.ndarray, statistic: AtPlaces, limits: Limits
) -> Float[np.ndarray, "resamples places"]:
    """The curve on each resample of the documents; not finite where none counts."""
    drawn = resampled_means(
        parts.reshape(len(parts), -1), resamples=limits.resamples, seed=limits.seed
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return statistic(drawn.reshape(limits.resamples, *parts.shape[1:]))


def _kept(usable: Bool[np.ndarray, " places"]) -> int:
    """How many places there are before the first that is not usable."""
    lost = np.flatnonzero(~usable)
    return int(lost[0]) if len(lost) else len(usable)


def _limits(
    values: Float[np.ndarray, "resamples places"],
    value: Float[np.ndarray, " places"],
    limits: Limits,
    units: int,
) -> tuple[Float[np.ndarray, " places"], Float[np.ndarray, " places"]]:
    tail = expanded_tail(limits.level, units)
    if limits.band == "pointwise":
        low, high = np.quantile(values, [tail, 1.0 - tail], axis=0)
        return low, high
    error = values.std(axis=0, ddof=1)
    distance = np.abs(values - value)
    moves = error > 1e-12 * np.maximum(1.0, np.abs(value))
    relative = np.zeros_like(values)
    np.divide(distance, error, out=relative, where=np.broadcast_to(moves, values.shape))
    most = float(np.quantile(relative.max(axis=1), 1.0 - 2.0 * tail))
    return value - most * error, value + most * error
