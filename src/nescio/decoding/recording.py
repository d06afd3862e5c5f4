"""Row statistics kept token by token until they become a trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from nescio.errors import InvalidInput
from nescio.kernel import RowStatistics
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Candidates

__all__ = ["Detail", "Measures", "candidates_of", "labels_of"]


@dataclass(frozen=True)
class Detail:
    """How much of each prediction a trace keeps.

    Args:
        top: how many of the most probable candidates.
        renyi: orders l of log sum p^(1-l).

    Raises:
        InvalidInput: a negative ``top``.
    """

    top: int = 10
    renyi: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.top < 0:
            raise InvalidInput(f"top is {self.top}: 0 for none, or a positive number")


@dataclass(eq=False)
class Measures:
    """The numbers of n tokens, NaN until they are measured; filled block by block."""

    logp: Float[np.ndarray, " n"]
    entropy: Float[np.ndarray, " n"]
    varentropy: Float[np.ndarray, " n"]
    rank: Int[np.ndarray, " n"]
    context_used: Int[np.ndarray, " n"]
    renyi: Float[np.ndarray, "n orders"]
    top: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @staticmethod
    def blank(tokens: int, orders: int) -> Measures:
        """Room for ``tokens`` tokens, nothing measured yet."""
        absent = np.full((3, tokens), np.nan, dtype=np.float32)
        return Measures(
            absent[0],
            absent[1],
            absent[2],
            np.zeros(tokens, dtype=np.int32),
            np.zeros(tokens, dtype=np.int32),
            np.full((tokens, orders), np.nan, dtype=np.float32),
        )

    def put(
        self,
        tokens: Int[np.ndarray, " rows"],
        statistics: RowStatistics,
        rows: Int[np.ndarray, " rows"],
        context: Int[np.ndarray, " rows"],
    ) -> None:
        """Take ``rows`` of some row statistics as the numbers of ``tokens``."""
        if statistics.logp is None or statistics.rank is None:
            raise AssertionError("row statistics of drawn tokens have targets")
        self.logp[tokens] = statistics.logp[rows]
        self.entropy[tokens] = statistics.entropy[rows]
        self.varentropy[tokens] = statistics.varentropy[rows]
        self.rank[tokens] = statistics.rank[rows]
        self.context_used[tokens] = context
        if statistics.log_renyi is not None:
            self.renyi[tokens] = statistics.log_renyi[rows]
        for token, row in zip(tokens.tolist(), rows.tolist(), strict=True):
            ids, logp = statistics.top_ids[row], statistics.top_logp[row]
            possible = logp > -np.inf
            self.top[token] = (ids[possible], logp[possible].astype(np.float32))

    @property
    def scored(self) -> Bool[np.ndarray, " n"]:
        """Which tokens have been measured."""
        return ~np.isnan(self.entropy)


def candidates_of(measures: Measures, vocabulary: Vocabulary) -> Candidates:
    """The top candidates of every token, with what they spell."""
    n = len(measures.logp)
    nothing = (np.empty(0, np.int32), np.empty(0, np.float32))
    found = [measures.top.get(token, nothing) for token in range(n)]
    ids = np.concatenate([ids for ids, _ in found]) if n else nothing[0]
    logp = np.concatenate([logp for _, logp in found]) if n else nothing[1]
    counts = [len(ids) for ids, _ in found]
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
    return Candidates(
        offsets,
        ids,
        logp,
        vocabulary.spell(ids),
        vocabulary.edges(ids),
        labels_of(ids, vocabulary),
    )


def labels_of(ids: Int[np.ndarray, " n"], vocabulary: Vocabulary) -> Mapping[int, str]:
    """How the control tokens of a sequence are called, by position."""
    places = np.flatnonzero(vocabulary.control[ids] & (ids >= 0))
    return {place: vocabulary.labels[int(ids[place])] for place in places.tolist()}
