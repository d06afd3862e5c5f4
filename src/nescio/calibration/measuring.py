"""From a number over outcomes to an Estimate: interval, population, recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidInput, NotEnoughData
from nescio.outcome import Estimate, Outcomes, Recipe
from nescio.uncertainty import (
    MINIMUM_UNITS,
    Interval,
    basic_limits,
    bootstrap_weights,
    percentile_limits,
    resampled_means,
)
from nescio.uncertainty.interval import check_request
from nescio.uncertainty.resampling import LARGE, MOST_GROUPS

__all__ = [
    "How",
    "Measured",
    "estimated",
    "interval_of_means",
    "interval_of_rows",
    "limits_of",
    "population_of",
    "refuse_weights",
    "units_of",
]

_BOOTSTRAP = ("Efron (1979), bootstrap", "Hesterberg (2015), expanded percentiles")
_EFFECTIVE = (
    "Korn & Graubard (1998), confidence intervals for proportions from surveys",
    "Dean & Pagano (2015), Wilson's interval for an effective number of rows",
)
_LIMITS = {
    "reflected": ("Davison & Hinkley (1997), section 5.2, basic bootstrap limits",),
    "Hall": ("Hall (1992), On the Removal of Skewness by Transformation",),
    "Wilson": ("Wilson (1927), Probable Inference",),
    "Tango": ("Tango (1998), equivalence test and confidence interval",),
}
"""Whose limits they are, by a word of what the interval is called."""
_NOTHING = 1e-13  # of the number's scale: rounding, no width


@dataclass(frozen=True)
class How:
    """How an interval is found: its level, the bootstrap's resamples and seed.

    Raises:
        InvalidInput: a level that is none, too few resamples for it, a negative seed.
    """

    level: float = 0.95
    resamples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        check_request(self.level, self.resamples, self.seed)


@dataclass(frozen=True)
class Measured:
    """A number over outcomes before it has an interval.

    Args:
        name: the public function.
        value: the number.
        settings: all that decides it: bins, convention, scale; JSON values.
        sources: of the definition.
        unit: ``"1"``, ``"nats"`` …
        least, most: the limits of its range, to which an interval is cut.
    """

    name: str
    value: float
    settings: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    unit: str = "1"
    least: float = 0.0
    most: float = math.inf


def estimated(
    measured: Measured,
    outcomes: Outcomes,
    found: Interval | str,
    *,
    null_level: float | None = None,
    p_value: float | None = None,
) -> Estimate:
    """The Estimate of what was measured; ``found`` may say why there is no interval.

    Args:
        measured: the number.
        outcomes: what it was measured on.
        found: the interval, or words why there is none.
        null_level, p_value: for measures of something wrong.
    """
    clusters = None if outcomes.cluster is None else len(set(outcomes.cluster))
    estimate = Estimate(
        measured.name,
        measured.value,
        measured.unit,
        len(outcomes),
        "confidence",
        population_of(outcomes),
        Recipe(measured.name, measured.settings, measured.sources),
        n_clusters=clusters,
        null_level=null_level,
        p_value=p_value,
    )
    if isinstance(found, str):
        return replace(
            estimate, population=f"{estimate.population}; no interval: {found}"
        )
    if found.width <= _NOTHING * max(1.0, abs(measured.value)):
        return estimated(
            measured,
            outcomes,
            "no row moves it, so nothing shows how far it may be off",
            null_level=null_level,
            p_value=p_value,
        )
    settings = {**measured.settings, **found.settings}
    sources = measured.sources
    if "resamples" in found.settings:
        sources = (*sources, *_BOOTSTRAP)
    if "effective_rows" in found.settings:
        sources = (*sources, *_EFFECTIVE)
    words = str(found.settings.get("interval"))
    for word, source in _LIMITS.items():
        sources = (*sources, *source) if word in words else sources
    return replace(
        estimate,
        low=min(max(measured.least, found.low), measured.most),
        high=max(min(measured.most, found.high), measured.least),
        level=found.level,
        recipe=Recipe(measured.name, settings, sources),
    )


def interval_of_means(
    columns: Float[np.ndarray, "rows columns"],
    statistic: Callable[[np.ndarray], np.ndarray],
    outcomes: Outcomes,
    how: How,
    *,
    reflected_at: float | None = None,
) -> Interval | str:
    """An interval for a function of column means, or why there is none.

    Clusters are resampled where the outcomes name them, else rows. Row weights have to
    be in the columns already (a weighted mean is a ratio of two column means).

    Args:
        columns: one row an outcome.
        statistic: column means [resamples, columns] to values [resamples].
        outcomes: for their clusters.
        how: level, resamples, seed.
        reflected_at: the estimate, for basic limits; None for percentiles.
    """
    units = units_of(outcomes)
    if units < MINIMUM_UNITS:
        return _too_few(outcomes, units)
    try:
        means = resampled_means(
            columns,
            clusters=outcomes.cluster,
            resamples=how.resamples,
            seed=how.seed,
        )
    except NotEnoughData as error:
        return str(error)
    values = np.asarray(statistic(means), dtype=np.float64)
    return limits_of(values, outcomes, how, reflected_at=reflected_at)


def interval_of_rows(
    statistic: Callable[[np.ndarray], np.ndarray], outcomes: Outcomes, how: How
) -> Interval | str:
    """The same for any statistic of weighted rows: counts [resamples, n] to values.

    Its time grows with resamples times rows; use it where no column means will do.
    """
    units = units_of(outcomes)
    if units < MINIMUM_UNITS:
        return _too_few(outcomes, units)
    try:
        return bootstrap_weights(
            len(outcomes),
            statistic,
            clusters=outcomes.cluster,
            level=how.level,
            resamples=how.resamples,
            seed=how.seed,
        )
    except NotEnoughData as error:
        return str(error)


def units_of(outcomes: Outcomes) -> int:
    """How many independent units there are: clusters if named, else rows."""
    return len(outcomes) if outcomes.cluster is None else len(set(outcomes.cluster))


def population_of(outcomes: Outcomes) -> str:
    """What an interval over these outcomes speaks about."""
    if outcomes.cluster is None:
        return "answers like these, drawn independently"
    return "clusters of answers like these"


def refuse_weights(outcomes: Outcomes, measure: str) -> None:
    """Refuse weighted outcomes for a measure that has no weighted form.

    Raises:
        InvalidInput: there are weights.
    """
    if outcomes.weight is not None:
        raise InvalidInput(
            f"{measure} has no form for weighted rows: leave the weights out"
        )


def limits_of(
    values: Float[np.ndarray, " resamples"],
    outcomes: Outcomes,
    how: How,
    *,
    reflected_at: float | None = None,
) -> Interval | str:
    """An interval from a measure's values on resamples of the outcomes' units.

    For several measures of the same resamples; else `interval_of_means` or
    `interval_of_rows` is shorter.
    """
    lost = len(values) - int(np.isfinite(values).sum())
    if lost:
        return f"not finite on {lost} of {len(values)} resamples"
    units, limits = units_of(outcomes), "expanded percentiles of the bootstrap"
    if reflected_at is None:
        low, high = percentile_limits(values, level=how.level, units=units)
    else:
        low, high = basic_limits(values, reflected_at, level=how.level, units=units)
        limits += ", reflected"
    settings = {
        "interval": limits,
        "resampled": _resampled(outcomes),
        "resamples": how.resamples,
        "seed": how.seed,
    }
    clusters = None if outcomes.cluster is None else units
    return Interval(low, high, how.level, len(outcomes), clusters, settings)


def _resampled(outcomes: Outcomes) -> str:
    if outcomes.cluster is not None:
        return "clusters"
    if len(outcomes) > LARGE:
        return f"rows, dealt at random into {MOST_GROUPS} groups"
    return "rows"


def _too_few(outcomes: Outcomes, units: int) -> str:
    what = "rows" if outcomes.cluster is None else "clusters"
    return f"{units} {what}, fewer than {MINIMUM_UNITS}"
