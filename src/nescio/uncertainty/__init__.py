"""How far a number may be off: resampling, blocks, and intervals for proportions."""

from __future__ import annotations

from nescio.uncertainty.blocks import (
    automatic_block_length,
    bootstrap_blocks,
    long_run_variance,
)
from nescio.uncertainty.bootstrap import (
    MINIMUM_UNITS,
    Statistic,
    bootstrap_clusters,
    bootstrap_pairs,
    bootstrap_rows,
    bootstrap_weights,
    first_mean,
    ratio_of_means,
)
from nescio.uncertainty.interval import Interval
from nescio.uncertainty.paired_shares import paired_shares_interval
from nescio.uncertainty.resampling import (
    basic_limits,
    percentile_limits,
    resampled_means,
)
from nescio.uncertainty.shares import paired_share_interval, share_interval
from nescio.uncertainty.wilson import wilson_interval

__all__ = [
    "MINIMUM_UNITS",
    "Interval",
    "Statistic",
    "automatic_block_length",
    "basic_limits",
    "bootstrap_blocks",
    "bootstrap_clusters",
    "bootstrap_pairs",
    "bootstrap_rows",
    "bootstrap_weights",
    "first_mean",
    "long_run_variance",
    "paired_share_interval",
    "paired_shares_interval",
    "percentile_limits",
    "ratio_of_means",
    "resampled_means",
    "share_interval",
    "wilson_interval",
]
