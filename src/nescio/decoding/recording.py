"""Row statistics kept token by token until they become a trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from nescio.errors import InvalidInput
from nescio.kernel import RowStatistics
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Candidates, Column

__all__ = ["Detail", "Measures", "candidates_of", "labels_of", "renyi_column"]


@dataclass(frozen=True)
class Detail:
    """How much of each prediction a trace keeps.

    Args:
        top: how many of the most probable candidates.
        renyi: orders l of log sum p^(1-l), of the model's own prediction.
        renyi_processed: likewise, of what a token is drawn from; a column each.

    Raises:
        InvalidInput: a negative ``top``.
    """

    top: int = 10
    renyi: tuple[float, ...] = ()
    renyi_processed: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.top < 0:
            raise InvalidInput(f"top is {self.top}: 0 for none, or a positive number")


def renyi_column(order: float | int) -> str:
    """The trace column of log sum q^(1-order), q being what was drawn from.

    Example:
        >>> renyi_column(-0.5)
        'log_renyi_processed[-0.5]'
    """
    return f"log_renyi_processed[{float(order)!r}]"


@dataclass(eq=False)
class Measures:
    """The numbers of n tokens, NaN until they are measured; filled block by block."""

    logp: Float[np.ndarray, " n"]
    entropy: Float[np.ndarray, " n"]
    varentropy: Float[np.ndarray, " n"]
    rank: Int[np.ndarray, " n"]
    context_used: Int[np.ndarray, " n"]
    renyi: Float[np.ndarray, "n orders"]
    top_ids: Int[np.ndarray, "n top"]
    top_logp: Float[np.ndarray, "n top"]
    told: dict[str, tuple[Float[np.ndarray, " n"], str]] = field(default_factory=dict)

    @staticmethod
    def blank(tokens: int, detail: Detail, *, vocabulary_size: int) -> Measures:
        """Room for ``tokens`` tokens, nothing measured yet."""
        absent = np.full((3, tokens), np.nan, dtype=np.float32)
        top = min(detail.top, vocabulary_size)
        return Measures(
            absent[0],
            absent[1],
            absent[2],
            np.zeros(tokens, dtype=np.int32),
            np.zeros(tokens, dtype=np.int32),
            np.full((tokens, len(detail.renyi)), np.nan, dtype=np.float32),
            np.zeros((tokens, top), dtype=np.int32),
            np.full((tokens, top), -np.inf, dtype=np.float32),
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
        self.top_ids[tokens] = statistics.top_ids[rows]
        self.top_logp[tokens] = statistics.top_logp[rows]

    def put_columns(
        self,
        tokens: Int[np.ndarray, " rows"],
        told: Mapping[str, tuple[Float[np.ndarray, " _"], str]],
        rows: Int[np.ndarray, " rows"],
    ) -> None:
        """Take ``rows`` of further columns, with their units, as of ``tokens``."""
        for name, (values, unit) in told.items():
            if name not in self.told:
                absent = np.full(len(self.logp), np.nan, dtype=np.float32)
                self.told[name] = (absent, unit)
            self.told[name][0][tokens] = values[rows]

    @property
    def columns(self) -> dict[str, Column]:
        """The further columns that were told."""
        return {
            name: Column(values, unit) for name, (values, unit) in self.told.items()
        }

    @property
    def scored(self) -> Bool[np.ndarray, " n"]:
        """Which tokens have been measured."""
        return ~np.isnan(self.entropy)


def candidates_of(measures: Measures, vocabulary: Vocabulary) -> Candidates:
    """The top candidates of every token that are possible, with what they spell."""
    possible = measures.top_logp > -np.inf
    ids = measures.top_ids[possible]
    counts = np.cumsum(possible.sum(axis=1), dtype=np.int64)
    return Candidates(
        np.concatenate([np.zeros(1, dtype=np.int64), counts]),
        ids,
        measures.top_logp[possible],
        vocabulary.spell(ids),
        vocabulary.edges(ids),
        labels_of(ids, vocabulary),
    )


def labels_of(ids: Int[np.ndarray, " n"], vocabulary: Vocabulary) -> Mapping[int, str]:
    """How the control tokens of a sequence are called, by position."""
    places = np.flatnonzero(vocabulary.control[ids] & (ids >= 0))
    return {place: vocabulary.labels[int(ids[place])] for place in places.tolist()}
