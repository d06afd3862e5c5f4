"""How a model of bytes reads runs of symbols and whole sequences, symbol by symbol.

The view of one model and the ensemble of several differ in what one symbol does to a
context; what stands around that is the same, and is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import InvalidInput
from nescio.models.protocol import LogitBlock
from nescio.models.reading import check_blocks

__all__ = ["Read", "Rows", "blocks", "read_runs"]

Read = Callable[[Sequence[Any], Sequence[int]], list[Any]]
"""One symbol into each context, all in one pass."""
Rows = Callable[[Sequence[Any]], Float[np.ndarray, "contexts symbols"]]
"""What comes next in each context, log-probabilities."""


def read_runs(
    contexts: Sequence[Any], runs: Sequence[Int[np.ndarray, " _"]], read: Read
) -> list[Any]:
    """The contexts with a run of symbols read into each, those of a place together.

    Raises:
        InvalidInput: not one run a context, or an empty one.
    """
    if len(runs) != len(contexts):
        raise InvalidInput(f"{len(runs)} runs of symbols for {len(contexts)} contexts")
    if not all(map(len, runs)):
        raise InvalidInput("each context reads at least one symbol")
    now = list(contexts)
    for step in range(max(map(len, runs), default=0)):
        places = [place for place, run in enumerate(runs) if step < len(run)]
        symbols = [int(runs[place][step]) for place in places]
        longer = read([now[place] for place in places], symbols)
        for place, context in zip(places, longer, strict=True):
            now[place] = context
    return now


def blocks(
    opened: Any,
    sequences: Sequence[Int[np.ndarray, " _"]],
    *,
    skip: Sequence[int],
    rows: int,
    read: Read,
    told: Rows,
) -> Iterator[LogitBlock]:
    """Log-probabilities after each position, the sequences side by side.

    Args:
        opened: the context before anything was read.
        sequences, skip, rows: as in `nescio.models.protocol.Scoring.logit_blocks`.
        read: one symbol into each of some contexts.
        told: what they say of the next.
    """
    check_blocks(sequences, skip, rows)
    now = [opened] * len(sequences)
    for position in range(max(map(len, sequences), default=1) - 1):
        owners = [i for i, run in enumerate(sequences) if position < len(run) - 1]
        symbols = [int(sequences[i][position]) for i in owners]
        for i, context in zip(
            owners, read([now[i] for i in owners], symbols), strict=True
        ):
            now[i] = context
        wanted = [i for i in owners if position >= skip[i]]
        for begin in range(0, len(wanted), rows):
            part = wanted[begin : begin + rows]
            where = np.full(len(part), position)
            yield LogitBlock(np.array(part), where, told([now[i] for i in part]))
