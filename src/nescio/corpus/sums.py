"""What the summary needs to know of a document: sums over its scored tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nescio.information.pooling import characters
from nescio.trace import Trace

__all__ = ["Sums", "sums_of"]


@dataclass(frozen=True)
class Sums:
    """Sufficient statistics of one document.

    Args:
        bytes, tokens: of the whole document.
        scored_tokens: those that have numbers; the rest below is over these alone.
        scored_bytes, scored_characters: what they spell, parts of characters
            included.
        total_surprisal, total_entropy: in nats; the first is +inf where a token was
            impossible.
        total_varentropy: in nats^2.
        top_1, top_10: how many tokens had rank 1, and at most 10.
    """

    bytes: int
    tokens: int
    scored_tokens: int
    scored_bytes: int
    scored_characters: float
    total_surprisal: float
    total_entropy: float
    total_varentropy: float
    top_1: int
    top_10: int


def sums_of(trace: Trace) -> Sums:
    """The sums over the scored tokens of a trace.

    Example:
        >>> import nescio
        >>> found = sums_of(nescio.score(nescio.load("table:coin"), "HTTH"))
        >>> found.scored_bytes, round(float(found.total_surprisal / np.log(2)), 6)
        (4, 4.0)
    """
    scored, first = trace.scored, 0
    count = int(np.count_nonzero(scored))
    rank = np.zeros(0, np.int32) if trace.rank is None else trace.rank
    if count < len(trace):
        first = int(np.argmax(scored)) if count else len(trace)
        rank = rank[scored]
    return Sums(
        bytes=len(trace.buffer),
        tokens=len(trace),
        scored_tokens=count,
        scored_bytes=_bytes(trace, first, count),
        scored_characters=_characters(trace, first, count),
        total_surprisal=0.0 - _total(trace.logp, scored),
        total_entropy=_total(trace.entropy, scored),
        total_varentropy=_total(trace.varentropy, scored),
        top_1=int(np.count_nonzero(rank == 1)),
        top_10=int(np.count_nonzero(rank <= 10)),
    )


def _bytes(trace: Trace, first: int, count: int) -> int:
    if count < len(trace) - first:
        return int(trace.byte_counts[trace.scored].sum())
    return len(trace.buffer) - int(trace.offsets[first])


def _characters(trace: Trace, first: int, count: int) -> float:
    """Characters of the scored tokens; cheap where all from ``first`` on are scored.

    A text is whole characters, so those after an edge are all without those before.
    """
    if count < len(trace) - first:
        return float(characters(trace)[trace.scored].sum())
    edge = int(trace.offsets[first])
    raw = np.frombuffer(trace.buffer, dtype=np.uint8)
    begins = (raw & 0xC0) != 0x80
    after = int(np.count_nonzero(begins[edge:]))
    if edge == len(raw) or begins[edge]:
        return float(after)
    cut = edge
    while not begins[cut]:
        cut -= 1
    lead = int(raw[cut])
    width = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    return after + 1.0 - (edge - cut) / width


def _total(numbers: np.ndarray | None, scored: np.ndarray) -> float:
    if numbers is None:
        raise AssertionError("a scored text has entropies and varentropies")
    return float(numbers.sum(dtype=np.float64, where=scored))
