"""An ensemble whose members come back after what they cannot write.

A member that cannot write a character is silent from there on, and is heard again from
the next space, behind what it had written before the character. Meanwhile its weight is
what it was: under the posterior rule the bytes it was silent at count for it as for the
ensemble (the rule for experts that sleep).

Source: Freund et al. (1997), Using and Combining Predictors That Specialize.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from nescio.ensemble.branches import END, SYMBOLS
from nescio.ensemble.byte_view import START, ByteContext
from nescio.ensemble.joining import Ensemble, EnsembleContext
from nescio.ensemble.reading import blocks, read_runs
from nescio.ensemble.rules import rule_named
from nescio.ensemble.unwritable import BEHIND, rows_of
from nescio.errors import InvalidInput, InvalidText
from nescio.models.protocol import LogitBlock
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin

__all__ = ["Rejoining", "RejoiningContext"]

_SPACES = b" \t\n\r"


@dataclass(frozen=True, eq=False)
class RejoiningContext:
    """What an ensemble has read, with the members that are silent for a while.

    Args:
        inner: the ensemble, silent members left out.
        anchors: each member at the beginning of the present character.
        waiting: of the silent ones where they were when they fell silent.
        credit: log-probability that those who were heard gave what each was silent
            at, nats.
        character: the ensemble before each byte of the present character.
    """

    inner: EnsembleContext
    anchors: tuple[ByteContext | None, ...] = field(repr=False)
    waiting: tuple[ByteContext | None, ...] = field(repr=False)
    credit: tuple[float, ...]
    character: tuple[EnsembleContext, ...] = field(repr=False)
    _owner: Rejoining = field(repr=False)

    @property
    def length(self) -> int:
        """How many symbols were read."""
        return self.inner.length

    @property
    def silent(self) -> tuple[bool, ...]:
        """Which members are silent."""
        return tuple(one is not None for one in self.waiting)

    @property
    def symbols(self) -> tuple[int, ...]:
        """What was read, ``<start>`` included."""
        return self.inner.symbols

    @property
    def joined(self) -> Float[np.ndarray, " symbols"]:
        """What the ensemble says of the next symbol, [257]."""
        return self.inner.joined

    def rewind(self, length: int) -> RejoiningContext:
        """The context as it was after its first ``length`` symbols, read again.

        Raises:
            InvalidInput: more than were read.
        """
        if not 0 <= length <= self.length:
            raise InvalidInput(
                f"a context of {self.length} symbols cannot be rewound to {length}"
            )
        fresh = self._owner.open()
        if not length:
            return fresh
        run = np.array(self.symbols[:length])
        return self._owner.extend([fresh], [run])[0][0]


@dataclass(frozen=True, eq=False)
class Rejoining:
    """An ensemble whose members come back after what they cannot write.

    Args:
        ensemble: of two members or more.

    Example:
        >>> from nescio.models.table import read_table
        >>> from nescio.models.vocabulary import Vocabulary
        >>> from nescio.models.table import Table
        >>> letters = Vocabulary.of([b"a", b" ", b"b", b""], control={3: "<start>"})
        >>> def model(*p):
        ...     with np.errstate(divide="ignore"):
        ...         return Table("two", letters, {(): np.log([*p, 0.0])}, "")
        >>> both = Rejoining(Ensemble((model(.5, .3, .2), model(.7, .3, 0))))
        >>> (context,), _ = both.extend([both.open()], [np.array([START, *b"ab"])])
        >>> context.silent
        (False, True)
        >>> (context,), _ = both.extend([context], [np.array([*b" "])])
        >>> context.silent, float(np.exp(context.joined[ord("a")]).round(3))
        ((False, False), 0.6)
    """

    ensemble: Ensemble

    @property
    def name(self) -> str:
        """That of the ensemble, with the policy."""
        return f"{self.ensemble.name},unwritable=suspend"

    @property
    def vocabulary(self) -> Vocabulary:
        """Bytes, end and start."""
        return self.ensemble.vocabulary

    @property
    def context_length(self) -> int | None:
        """That of the ensemble."""
        return self.ensemble.context_length

    @property
    def start(self) -> tuple[int, ...]:
        """The one ``<start>`` symbol."""
        return self.ensemble.start

    @cached_property
    def origin(self) -> Origin:
        """That of the ensemble, with the policy."""
        origin = self.ensemble.origin
        how = {**origin.decoding, "unwritable": "suspend"}
        return replace(origin, model=self.name, decoding=how)

    def encode(self, text: bytes) -> Int[np.ndarray, " n"]:
        """The bytes themselves."""
        return self.ensemble.encode(text)

    def open(self) -> RejoiningContext:
        """The context before anything was read."""
        return self.over(self.ensemble.open())

    def over(self, context: EnsembleContext) -> RejoiningContext:
        """A context of the ensemble, from where its silent members may come back."""
        nobody = (None,) * len(context.members)
        nothing = (0.0,) * len(context.members)
        return RejoiningContext(context, context.members, nobody, nothing, (), self)

    def extend(
        self,
        contexts: Sequence[RejoiningContext],
        tokens: Sequence[Int[np.ndarray, " _"]],
    ) -> tuple[tuple[RejoiningContext, ...], Float[np.ndarray, "contexts symbols"]]:
        """Read symbols into each context; log-probabilities of what comes next.

        Raises:
            InvalidInput, InvalidText, InvalidDistribution: as `Ensemble.extend`.
        """
        now = read_runs(contexts, tokens, self._read)
        return tuple(now), rows_of([context.joined for context in now])

    def logit_blocks(
        self,
        sequences: Sequence[Int[np.ndarray, " _"]],
        *,
        skip: Sequence[int],
        rows: int = 128,
    ) -> Iterator[LogitBlock]:
        """Log-probabilities after each position, the sequences side by side."""
        return blocks(
            self.open(),
            sequences,
            skip=skip,
            rows=rows,
            read=self._read,
            told=lambda contexts: rows_of([context.joined for context in contexts]),
        )

    @property
    def _counts(self) -> bool:
        """Whether what a member gave the text is part of its weight."""
        return self.ensemble.rule == "posterior"

    def _read(
        self, contexts: Sequence[RejoiningContext], symbols: Sequence[int]
    ) -> list[RejoiningContext]:
        inner, _ = self.ensemble.extend(
            [context.inner for context in contexts],
            [np.array([symbol]) for symbol in symbols],
        )
        return [
            self._after(before, symbol, now)
            for before, symbol, now in zip(contexts, symbols, inner, strict=True)
        ]

    def _after(
        self, before: RejoiningContext, symbol: int, inner: EnsembleContext
    ) -> RejoiningContext:
        """Who falls silent with a symbol, and who is heard again."""
        if symbol in (START, END):
            return self._told(replace(before, inner=inner, anchors=inner.members))
        within = symbol in BEHIND
        anchors = before.anchors if within else before.inner.members
        character = (*(before.character if within else ()), before.inner)
        members, waiting = list(inner.members), list(before.waiting)
        credit = list(before.credit)
        heard = np.array([member is not None for member in inner.members])
        for place, view in enumerate(self.ensemble.members):
            rest = waiting[place]
            back = _heard(view, rest, symbol)
            if back is not None:
                members[place], waiting[place] = back, None
            elif rest is not None:
                credit[place] += _gain(before.inner, symbol, heard)
            elif members[place] is None and before.inner.members[place] is not None:
                waiting[place] = anchors[place] or before.inner.members[place]
                symbols = inner.symbols[-len(character) :]
                credit[place] += sum(map(_gain, character, symbols, repeat(heard)))
        joined = replace(inner, members=tuple(members))
        now = (anchors, tuple(waiting), tuple(credit), character)
        return self._told(RejoiningContext(joined, *now, self))

    def _told(self, context: RejoiningContext) -> RejoiningContext:
        """What the ensemble says with the members that are heard."""
        inner = context.inner
        if inner.symbols[-1] == END:
            return context
        logp = np.full((len(inner.members), SYMBOLS), -np.inf)
        logw = np.log(np.array(self.ensemble.weights))
        for place, member in enumerate(inner.members):
            if member is None:
                logw[place] = -np.inf
                continue
            logp[place] = member.logp
            if self._counts:
                logw[place] += member.log_said + context.credit[place]
        weights = np.exp(logw - logw.max())
        weights /= weights.sum()
        here = weights > 0.0
        joined = rule_named(self.ensemble.rule)(logp[here], weights[here])
        told = replace(inner, logp=logp, weights=weights, joined=joined)
        return replace(context, inner=told)


def _gain(
    context: EnsembleContext, symbol: int, heard: Bool[np.ndarray, " members"]
) -> float:
    """Log-probability of a symbol by those who are heard, as a mixture."""
    weights = context.weights[heard]
    p = float(weights @ np.exp(context.logp[heard, symbol]))
    total = float(weights.sum())
    return math.log(p / total) if p > 0.0 and total > 0.0 else 0.0


def _heard(view: Any, member: ByteContext | None, symbol: int) -> ByteContext | None:
    """A silent member behind a space that it can read; else None."""
    if member is None or symbol not in _SPACES or member.logp[symbol] == -np.inf:
        return None
    try:
        (found,) = view.read([member], [symbol])
    except InvalidText:  # what was set aside does not write it either
        return None
    return found
