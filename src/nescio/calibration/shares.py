"""Intervals for a share of answers, and for how much one share exceeds another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.calibration.measuring import How, units_of
from nescio.outcome import Outcomes
from nescio.uncertainty import MINIMUM_UNITS, Interval, shares

__all__ = ["paired_share_interval", "share_interval"]


def _of_outcomes(
    interval: Callable[..., Interval],
    rows: Float[np.ndarray, " n"],
    outcomes: Outcomes,
    how: How,
) -> Interval | str:
    """Of rows, by the clusters and weights of outcomes, or why there is none."""
    units = units_of(outcomes)
    if units < MINIMUM_UNITS:
        what = "rows" if outcomes.cluster is None else "clusters"
        return f"{units} {what}, fewer than {MINIMUM_UNITS}"
    given: dict[str, Any] = {"clusters": outcomes.cluster, "weights": outcomes.weight}
    return interval(rows, **given, level=how.level)


share_interval = partial(_of_outcomes, shares.share_interval)
"""Wilson's, for rows that are 0 or 1."""
paired_share_interval = partial(_of_outcomes, shares.paired_share_interval)
"""Tango's, for rows that are -1, 0 or 1: hits less hits."""
