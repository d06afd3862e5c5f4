"""What is kept of a text that two models read: tokens of both, or shared stretches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from nescio.trace import Origin, Trace
from nescio.trace.trace import SEGMENTS

__all__ = ["Compared", "Side", "Stretches"]

Side = Literal["reference", "other"]
"""Which of the two models."""

_COMPLETION = SEGMENTS.index("completion")


@dataclass(frozen=True, eq=False)
class Compared:
    """A text that two models of one vocabulary read, token by token.

    Numbers are float64, nats, and NaN where a token is not scored. A divergence is
    +inf where one model forbids what the other allows.

    Args:
        buffer: the text in UTF-8.
        offsets: token i is buffer[offsets[i] : offsets[i + 1]], [n + 1].
        token_ids: the same for both models, [n].
        scored: whether both models predicted the token, [n].
        context_used: how many tokens the predictions could see, [n].
        logp_reference, logp_other: log-probability of the token, [n].
        kl_forward: KL(reference || other) of the predictions, [n].
        kl_backward: KL(other || reference), [n].
        js: their Jensen-Shannon divergence, between 0 and log 2, [n].
        same_top: whether the most probable token agrees, [n].
        first_ids: the most probable token under either model, -1 where unscored,
            [2, n]: reference, other.
        first_logp: its log-probability under that model, [2, n].
        reference, other: where the numbers come from.
    """

    buffer: bytes
    offsets: Int[np.ndarray, " n_and_end"]
    token_ids: Int[np.ndarray, " n"]
    scored: Bool[np.ndarray, " n"]
    context_used: Int[np.ndarray, " n"]
    logp_reference: Float[np.ndarray, " n"]
    logp_other: Float[np.ndarray, " n"]
    kl_forward: Float[np.ndarray, " n"]
    kl_backward: Float[np.ndarray, " n"]
    js: Float[np.ndarray, " n"]
    same_top: Bool[np.ndarray, " n"]
    first_ids: Int[np.ndarray, "two n"]
    first_logp: Float[np.ndarray, "two n"]
    reference: Origin
    other: Origin

    def __len__(self) -> int:
        return len(self.scored)

    @cached_property
    def delta_p(self) -> Float[np.ndarray, " n"]:
        """p(token) under the other model minus under the reference, in [-1, 1]."""
        with np.errstate(under="ignore"):
            return np.exp(self.logp_other) - np.exp(self.logp_reference)

    @cached_property
    def difference(self) -> Float[np.ndarray, " n"]:
        """Surprisal under the other model minus under the reference, nats.

        NaN also where both hold the token impossible.
        """
        return _apart(-self.logp_reference, -self.logp_other)

    def trace(self, side: Side) -> Trace:
        """One model's reading as a trace of its own, without entropies."""
        chosen = side == "reference"
        return Trace(
            buffer=self.buffer,
            offsets=self.offsets,
            token_ids=self.token_ids,
            segment=np.full(len(self), _COMPLETION, dtype=np.int8),
            scored=self.scored,
            context_used=self.context_used,
            logp=self.logp_reference if chosen else self.logp_other,
            origin=self.reference if chosen else self.other,
        )


@dataclass(frozen=True, eq=False)
class Stretches:
    """A text that two vocabularies cut differently, by the edges both cuts share.

    Between two such edges stand whole tokens of either model: sums over them are
    exact, nothing is spread over bytes.

    Args:
        buffer: the text in UTF-8.
        offsets: the shared edges, [n + 1].
        scored: whether every token in the stretch was scored by its model, [n].
        surprisal_reference, surprisal_other: sums in nats, NaN where not scored, [n].
        traces: what the reference and the other model think of their own tokens.
    """

    buffer: bytes
    offsets: Int[np.ndarray, " n_and_end"]
    scored: Bool[np.ndarray, " n"]
    surprisal_reference: Float[np.ndarray, " n"]
    surprisal_other: Float[np.ndarray, " n"]
    traces: tuple[Trace, Trace]

    def __len__(self) -> int:
        return len(self.scored)

    @property
    def reference(self) -> Origin:
        """Where the reference's numbers come from."""
        return self.traces[0].origin

    @property
    def other(self) -> Origin:
        """Where the other model's numbers come from."""
        return self.traces[1].origin

    @cached_property
    def difference(self) -> Float[np.ndarray, " n"]:
        """Surprisal under the other model minus under the reference, nats.

        NaN also where both hold the stretch impossible.
        """
        return _apart(self.surprisal_reference, self.surprisal_other)

    def trace(self, side: Side) -> Trace:
        """One model's reading with the stretches as its tokens."""
        chosen = side == "reference"
        surprisal = self.surprisal_reference if chosen else self.surprisal_other
        return Trace(
            buffer=self.buffer,
            offsets=self.offsets,
            token_ids=None,
            segment=np.full(len(self), _COMPLETION, dtype=np.int8),
            scored=self.scored,
            context_used=np.zeros(len(self), dtype=np.int32),
            logp=-surprisal,
            origin=self.reference if chosen else self.other,
        )

    @staticmethod
    def of(reference: Trace, other: Trace) -> Stretches:
        """The stretches of two readings of one text.

        Example:
            >>> import nescio
            >>> trace = nescio.score(nescio.load("table:pieces"), "abé")
            >>> len(Stretches.of(trace, trace)), len(trace)
            (2, 2)
        """
        edges = np.intersect1d(reference.offsets, other.offsets)
        sums, scored = [], np.ones(len(edges) - 1, dtype=np.bool_)
        for trace in (reference, other):
            starts = np.searchsorted(trace.offsets[:-1], edges[:-1])
            scored &= np.logical_and.reduceat(trace.scored, starts)
            sums.append(np.add.reduceat(trace.surprisal.astype(np.float64), starts))
        for surprisal in sums:
            surprisal[~scored] = math.nan
        return Stretches(
            reference.buffer, edges, scored, sums[0], sums[1], (reference, other)
        )


def _apart(
    reference: Float[np.ndarray, " n"], other: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    with np.errstate(invalid="ignore"):
        return other - reference
