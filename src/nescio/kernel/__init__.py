"""From logits to numbers: row statistics, pair statistics and the sampler.

Arrays in, arrays out, float64, nats; memory that does not grow with the rows.
"""

from __future__ import annotations

from nescio.kernel.pairs import PairStatistics, pair_statistics
from nescio.kernel.rows import RowStatistics, log_softmax, row_statistics
from nescio.kernel.sampler import Sampling, draw, process

__all__ = [
    "PairStatistics",
    "RowStatistics",
    "Sampling",
    "draw",
    "kernel_path",
    "log_softmax",
    "pair_statistics",
    "process",
    "row_statistics",
]


def kernel_path() -> str:
    """Which implementation answers: ``"numpy"``.

    Example:
        >>> kernel_path()
        'numpy'
    """
    return "numpy"
