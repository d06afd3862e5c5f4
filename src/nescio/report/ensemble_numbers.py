"""Numbers of a text that several models wrote, as people read them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nescio.report.ensemble_terminal import PULLED_NATS
from nescio.trace import Trace

__all__ = ["pulled_by", "pulled_shares"]


def pulled_by(trace: Trace) -> np.ndarray:
    """The member that pulled each token, from 0; -1: nobody, they agree; [n]."""
    columns = trace.columns
    if "disagreement" not in columns:
        return np.full(len(trace), -1)
    apart = columns["disagreement"].values >= PULLED_NATS
    nearest = np.nan_to_num(columns["nearest"].values, nan=0.0).astype(np.int64) - 1
    return np.where(apart, nearest, -1)


def pulled_shares(traces: Sequence[Trace], members: int) -> list[float]:
    """The share of all scored tokens that each member pulled; what is left nobody did.

    Example:
        >>> import nescio
        >>> coin = nescio.load("ensemble:table:coin+table:coin")
        >>> pulled_shares([nescio.score(coin, "HTHT")], 2)      # they always agree
        [0.0, 0.0]
    """
    who = np.concatenate([pulled_by(trace)[trace.scored] for trace in traces])
    return [float((who == member).mean()) for member in range(members)]
