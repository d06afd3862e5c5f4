"""The numbers of a comparison as people read them: a short table and percentiles."""

from __future__ import annotations

import math
from collections.abc import Mapping

from nescio.outcome import Estimate
from nescio.units import NATS_PER

__all__ = ["PERCENTILE_ROWS", "headline", "in_unit", "percentile_cells"]

_PLACES = (
    ("minimum", "least"),
    ("percentile_0_1", "0.1 %"),
    ("percentile_1", "1 %"),
    ("percentile_5", "5 %"),
    ("percentile_10", "10 %"),
    ("median", "median"),
    ("percentile_90", "90 %"),
    ("percentile_95", "95 %"),
    ("percentile_99", "99 %"),
    ("percentile_99_9", "99.9 %"),
    ("maximum", "most"),
)
PERCENTILE_ROWS = ("kl_divergence", "delta_p")
"""The quantities whose distribution is shown."""
_SPREAD = frozenset(
    f"{name}_{place}" for name in PERCENTILE_ROWS for place, _ in _PLACES
)


def in_unit(estimates: Mapping[str, Estimate], unit: str) -> dict[str, Estimate]:
    """All of them with information in ``"bits"`` or ``"nats"``."""
    return {
        name: one.to(unit) if any(u in one.unit for u in NATS_PER) else one
        for name, one in estimates.items()
    }


def headline(estimates: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """What comes first: all but the percentiles and ends of a distribution."""
    return {name: one for name, one in estimates.items() if name not in _SPREAD}


def percentile_cells(estimates: Mapping[str, Estimate]) -> list[tuple[str, ...]]:
    """Rows of label, KL divergence and change of probability, with their intervals.

    Empty where a comparison has none (different vocabularies).
    """
    rows = []
    for place, label in _PLACES:
        found = [estimates.get(f"{name}_{place}") for name in PERCENTILE_ROWS]
        if any(found):
            rows.append((label, *map(_cell, found)))
    return rows


def _cell(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return ""
    value = _short(estimate.value)
    if estimate.kind == "exact":
        return f"{value} (this text)"
    if estimate.low is None and estimate.high is None:
        return f"{value} (no interval)"
    low = -math.inf if estimate.low is None else estimate.low
    high = math.inf if estimate.high is None else estimate.high
    return f"{value} [{_short(low)}, {_short(high)}]"


def _short(number: float) -> str:
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    return f"{number + 0.0:.3g}".replace("-", "−")
