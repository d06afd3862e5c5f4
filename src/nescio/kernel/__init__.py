"""From logits to numbers: row statistics, pair statistics and the sampler.

Arrays in, arrays out, float64, nats; memory that does not grow with the rows. The
compiled kernel answers (`native`), or its NumPy twin (`twin_rows` and the others).
"""

from __future__ import annotations

from nescio.kernel.native import kernel_path
from nescio.kernel.pairs import PairStatistics, pair_statistics
from nescio.kernel.rows import RowStatistics, log_softmax, row_statistics
from nescio.kernel.sampler import LEVELS, Sampling, draw, draw_with_sums, process

__all__ = [
    "LEVELS",
    "PairStatistics",
    "RowStatistics",
    "Sampling",
    "draw",
    "draw_with_sums",
    "kernel_path",
    "log_softmax",
    "pair_statistics",
    "process",
    "row_statistics",
]
