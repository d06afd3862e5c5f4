"""What stopping early saved, and what it changed, over a set of questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.outcome import Estimate, Recipe
from nescio.uncertainty import (
    MINIMUM_UNITS,
    Interval,
    bootstrap_clusters,
    bootstrap_rows,
    ratio_of_means,
    wilson_interval,
)
from nescio.uncertainty.wilson import wilson_limits

__all__ = ["changed_share", "saved_share"]

_SOURCES = ("Aggarwal et al. (2023), Let's Sample Step by Step: Adaptive-Consistency",)


def saved_share(  # noqa: PLR0913 - counts, what made them, and the interval
    used: Int[np.ndarray, " questions"],
    allowed: Int[np.ndarray, " questions"],
    *,
    settings: Mapping[str, Any],
    cluster: Sequence[str] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """The share of the samples allowed that were not drawn, over all questions.

    Args:
        used: samples that were drawn of each question.
        allowed: that would have been drawn without stopping.
        settings: of the rule that stopped.
        cluster: of each question, what was drawn together; None: independent.
        level, resamples, seed: of the interval, over questions or clusters of them.

    Example:
        >>> found = saved_share(np.array([4, 10]), np.array([10, 10]), settings={})
        >>> found.value
        0.3
    """
    columns = np.stack([allowed - used, allowed], axis=1).astype(np.float64)
    facts = {**settings, "samples": int(used.sum()), "of": int(allowed.sum())}
    units = len(used) if cluster is None else len(set(cluster))
    estimate: dict[str, Any] = {
        "name": "samples_saved",
        "value": float(columns[:, 0].sum() / columns[:, 1].sum()),
        "unit": "1",
        "n": len(used),
        "kind": "confidence",
        "n_clusters": None if cluster is None else units,
    }
    if units < MINIMUM_UNITS:
        what = "questions" if cluster is None else "clusters of questions"
        words = f"these {what}; fewer than {MINIMUM_UNITS}, so no interval"
        recipe = Recipe("samples_saved", facts, _SOURCES)
        return Estimate(**estimate, population=words, recipe=recipe)
    limits: dict[str, Any] = {"level": level, "resamples": resamples, "seed": seed}
    found = _interval(columns, cluster, limits)
    return Estimate(
        **estimate,
        population="questions like these",
        recipe=Recipe("samples_saved", {**facts, **found.settings}, _SOURCES),
        low=max(0.0, found.low),
        high=min(1.0, found.high),
        level=level,
    )


def changed_share(
    others: int,
    n: int,
    *,
    settings: Mapping[str, Any],
    cluster: Sequence[str] | None = None,
    level: float = 0.95,
) -> Estimate:
    """The share of questions whose leader is another, with Wilson's interval.

    Args:
        others: how many they are.
        n: of all questions.
        settings: of the rule that stopped.
        cluster: of each question, what was drawn together: the interval is then that
            of as many questions as there are clusters; None: independent.
        level: of the interval.

    Example:
        >>> round(changed_share(0, 40, settings={}).high, 3)
        0.088
    """
    found = wilson_interval(others, n, level=level)
    low, high, units = found.low, found.high, None
    if cluster is not None:
        units = len(set(cluster))
        low, high = wilson_limits(others / n, units, level=level)
    return Estimate(
        "leader_changed",
        others / n,
        "1",
        n,
        "confidence",
        "questions like these",
        Recipe("leader_changed", {**settings, **found.settings}, _SOURCES),
        low=low,
        high=high,
        level=level,
        n_clusters=units,
    )


def _interval(
    columns: Float[np.ndarray, "questions both"],
    cluster: Sequence[str] | None,
    limits: Mapping[str, Any],
) -> Interval:
    if cluster is None:
        return bootstrap_rows(columns, ratio_of_means, **limits)
    return bootstrap_clusters(columns, ratio_of_means, clusters=cluster, **limits)
