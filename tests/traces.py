"""Traces by hand: tokens, their log-probabilities, and whatever else a test needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nescio.trace import Candidates, Origin, Trace

ORIGIN = Origin("handmade", "sha256:m", "sha256:t", "by hand", "f64")


def make_trace(
    tokens: Sequence[bytes | str],
    logp: Sequence[float] | float,
    *,
    unscored: Sequence[int] = (),
    segment: Sequence[int] | int = 1,
    **fields: Any,
) -> Trace:
    """A trace of these tokens; ``logp`` is one number or one a token, in nats.

    Numbers of ``unscored`` tokens become NaN (rank 0), also in ``entropy`` and its
    like, which are given one a token or once for all.
    """
    pieces = [t.encode("utf-8") if isinstance(t, str) else t for t in tokens]
    n = len(pieces)
    scored = np.ones(n, dtype=np.bool_)
    scored[list(unscored)] = False

    def numbers(given: Sequence[float] | float) -> np.ndarray:
        column = np.broadcast_to(np.asarray(given, dtype=np.float32), n).copy()
        column[~scored] = np.nan
        return column

    for name in ("entropy", "entropy_low", "entropy_high", "varentropy"):
        if name in fields:
            fields[name] = numbers(fields[name])
    given = {
        "token_ids": np.arange(n, dtype=np.int32),
        "context_used": np.arange(n, dtype=np.int32),
        "origin": ORIGIN,
        **fields,
    }
    return Trace(
        buffer=b"".join(pieces),
        offsets=np.cumsum([0, *map(len, pieces)], dtype=np.int64),
        segment=np.broadcast_to(np.asarray(segment, dtype=np.int8), n).copy(),
        scored=scored,
        logp=numbers(logp),
        **given,
    )


def make_candidates(rows: Sequence[Sequence[tuple[bytes, float]]]) -> Candidates:
    """Candidates as lists of (bytes, log-probability), one list a token."""
    flat = [candidate for row in rows for candidate in row]
    return Candidates(
        offsets=np.cumsum([0, *map(len, rows)], dtype=np.int64),
        ids=np.arange(len(flat), dtype=np.int32),
        logp=np.array([logp for _, logp in flat], dtype=np.float32),
        buffer=b"".join(spelled for spelled, _ in flat),
        byte_offsets=np.cumsum([0, *(len(s) for s, _ in flat)], dtype=np.int64),
    )
