"""Several models with different vocabularies as one model of bytes.

Every member is read through its view as bytes (:mod:`nescio.ensemble.byte_view`), and a
rule joins what they say of the next byte. The ensemble is a model like any other: it is
scored, traced, drawn from and compared as they are.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.ensemble.branches import END, SYMBOLS
from nescio.ensemble.byte_view import START, ByteContext, ByteView, byte_vocabulary
from nescio.ensemble.rules import RULES, disagreement, power_mean
from nescio.errors import InvalidInput, InvalidText
from nescio.models.protocol import LogitBlock
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin

__all__ = ["Ensemble", "EnsembleContext"]

_POWER = "power:"


@dataclass(frozen=True, eq=False)
class EnsembleContext:
    """What every member has read; None for one that cannot write it and has left.

    Args:
        members: their contexts.
        symbols: what was read.
        logp: of the next symbol by each member, [members, 257]; -inf for one that left.
        weights: of the members here, [members].
        joined: what the ensemble says, [257].
    """

    members: tuple[ByteContext | None, ...]
    symbols: tuple[int, ...]
    logp: Float[np.ndarray, "members symbols"]
    weights: Float[np.ndarray, " members"]
    joined: Float[np.ndarray, " symbols"]
    _owner: Ensemble

    @property
    def length(self) -> int:
        """How many symbols were read."""
        return len(self.symbols)

    @property
    def disagreement(self) -> float:
        """Jensen-Shannon divergence of the members that are left, nats."""
        here = self.weights > 0.0
        return float(disagreement(self.logp[here], self.weights[here]))

    def rewind(self, length: int) -> EnsembleContext:
        """The context as it was after its first ``length`` symbols, read again.

        Raises:
            InvalidInput: more than were read.
        """
        if not 0 <= length <= self.length:
            raise InvalidInput(
                f"a context of {self.length} symbols cannot be rewound to {length}"
            )
        fresh = self._owner.open()
        if length == 0:
            return fresh
        run = np.array(self.symbols[:length], dtype=np.int64)
        return self._owner.extend([fresh], [run])[0][0]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Models joined at every byte.

    Args:
        members: views as bytes, or models to be viewed so.
        rule: ``mean``, ``posterior`` (the weights times what each member gave the text
            so far: the mixture of what they would write), ``product``, ``min``,
            ``max``, ``switch``, or ``power:A`` with an exponent A.
        weights: of the members, at least 0; None: equal. They are scaled to sum to 1,
            and a member of weight 0 is never run.
        prune: of the views that are made here.

    Raises:
        InvalidInput: no members, an unknown rule, weights that do not fit.
        CapabilityError: as `ByteView`.

    Example:
        >>> from nescio.models.table import read_table
        >>> coin = read_table("coin")
        >>> both = Ensemble((coin, coin), rule="product")
        >>> _, logp = both.extend([both.open()], [np.array([START])])
        >>> round(float(np.exp(logp[0, ord("H")])), 6)
        0.5
    """

    members: Sequence[Any]
    rule: str = "mean"
    weights: Sequence[float | int] | None = None
    prune: float | int = 0.0

    def __post_init__(self) -> None:
        count = len(self.members)
        if not count:
            raise InvalidInput("an ensemble has at least one member")
        given = [1.0] * count if self.weights is None else list(self.weights)
        if len(given) != count:
            raise InvalidInput(f"{len(given)} weights for {count} members")
        if not all(math.isfinite(w) and w >= 0.0 for w in given) or sum(given) == 0.0:
            raise InvalidInput(
                f"weights {given}: each is at least 0, and not all of them are"
            )
        _rule_of(self.rule)
        kept = [i for i, weight in enumerate(given) if weight > 0.0]
        views = tuple(self._view(self.members[i]) for i in kept)
        shares = tuple(given[i] / sum(given) for i in kept)
        object.__setattr__(self, "members", views)
        object.__setattr__(self, "weights", shares)

    def _view(self, member: Any) -> ByteView:
        if isinstance(member, ByteView):
            return member
        return ByteView(member, prune=self.prune)

    @property
    def name(self) -> str:
        """Members and rule, as a specification."""
        names = "+".join(view.model.name for view in self.members)
        return f"ensemble:{names},rule={self.rule}"

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Bytes, end and start."""
        return byte_vocabulary()

    @property
    def context_length(self) -> int | None:
        """That of the member that sees least, in bytes."""
        limits = [view.context_length for view in self.members]
        known = [limit for limit in limits if limit is not None]
        return min(known, default=None)

    @property
    def start(self) -> tuple[int, ...]:
        """The one ``<start>`` symbol."""
        return (START,)

    @cached_property
    def origin(self) -> Origin:
        """Digests of all members, their weights, the rule."""
        origins = [view.origin for view in self.members]
        digest = hashlib.sha256()
        for one in origins:
            digest.update(f"{one.model_digest} {one.tokenizer_digest} ".encode())
        how = {
            "rule": self.rule,
            "weights": list(self.weights or ()),
            "members": [one.to_dict() for one in origins],
        }
        return Origin(
            self.name,
            digest.hexdigest(),
            self.vocabulary.digest,
            ", ".join(dict.fromkeys(one.engine for one in origins)),
            ", ".join(dict.fromkeys(one.precision for one in origins)),
            decoding=how,
        )

    def encode(self, text: bytes) -> Int[np.ndarray, " n"]:
        """The bytes themselves."""
        return np.frombuffer(text, dtype=np.uint8).astype(np.int64)

    def open(self) -> EnsembleContext:
        """The context before anything was read."""
        count = len(self.members)
        nothing = np.full((count, SYMBOLS), -np.inf)
        return EnsembleContext(
            tuple(view.open() for view in self.members),
            (),
            nothing,
            np.array(self.weights),
            nothing[0],
            self,
        )

    def extend(
        self,
        contexts: Sequence[EnsembleContext],
        tokens: Sequence[Int[np.ndarray, " _"]],
    ) -> tuple[tuple[EnsembleContext, ...], Float[np.ndarray, "contexts symbols"]]:
        """Read symbols into each context; log-probabilities of what comes next.

        Returns:
            The contexts and [contexts, 258]; ``<start>`` is -inf.

        Raises:
            InvalidInput: as `ByteView.extend`.
            InvalidText: bytes that no member can write.
            InvalidDistribution: the members allow no symbol in common.
        """
        runs = [[int(symbol) for symbol in run] for run in tokens]
        if not all(runs) or len(runs) != len(contexts):
            raise InvalidInput("each context reads at least one symbol")
        now = list(contexts)
        for step in range(max(map(len, runs), default=0)):
            places = [place for place, run in enumerate(runs) if step < len(run)]
            read = self._read([now[p] for p in places], [runs[p][step] for p in places])
            for place, context in zip(places, read, strict=True):
                now[place] = context
        return tuple(now), _rows(now)

    def logit_blocks(
        self,
        sequences: Sequence[Int[np.ndarray, " _"]],
        *,
        skip: Sequence[int],
        rows: int = 128,
    ) -> Iterator[LogitBlock]:
        """Log-probabilities after each position, the sequences side by side."""
        now = [self.open() for _ in sequences]
        for position in range(max(map(len, sequences), default=1) - 1):
            owners = [i for i, run in enumerate(sequences) if position < len(run) - 1]
            symbols = [int(sequences[i][position]) for i in owners]
            read = self._read([now[i] for i in owners], symbols)
            for i, context in zip(owners, read, strict=True):
                now[i] = context
            told = [i for i in owners if position >= skip[i]]
            for begin in range(0, len(told), rows):
                part = told[begin : begin + rows]
                place = np.full(len(part), position)
                logits = _rows([now[i] for i in part])
                yield LogitBlock(np.array(part), place, logits)

    def _read(
        self, contexts: Sequence[EnsembleContext], symbols: Sequence[int]
    ) -> list[EnsembleContext]:
        """One symbol into each context, with one pass of each member for all."""
        columns: list[list[ByteContext | None]] = [[] for _ in contexts]
        for number, view in enumerate(self.members):
            able = [
                place
                for place, (context, symbol) in enumerate(
                    zip(contexts, symbols, strict=True)
                )
                if _can_read(context.members[number], symbol)
            ]
            before = [_there(contexts[place].members[number]) for place in able]
            runs = [np.array([symbols[place]]) for place in able]
            after = iter(view.extend(before, runs)[0] if able else ())
            for place in range(len(contexts)):
                columns[place].append(next(after) if place in able else None)
        return [
            self._joined(context, symbol, tuple(members))
            for context, symbol, members in zip(contexts, symbols, columns, strict=True)
        ]

    def _joined(
        self,
        context: EnsembleContext,
        symbol: int,
        members: tuple[ByteContext | None, ...],
    ) -> EnsembleContext:
        if not any(members):
            names = ", ".join(view.model.name for view in self.members)
            raise InvalidText(
                f"none of {names} can write symbol {symbol} after "
                f"{bytes(s for s in context.symbols[-20:] if s < END)!r}"
            )
        symbols = (*context.symbols, symbol)
        logp = np.full((len(members), SYMBOLS), -np.inf)
        for row, member in zip(logp, members, strict=True):
            if member is not None:
                row[:] = _next_of(member)
        weights = self._weights(members)
        here = weights > 0.0
        joined = _rule_of(self.rule)(logp[here], weights[here])
        return EnsembleContext(members, symbols, logp, weights, joined, self)

    def _weights(
        self, members: tuple[ByteContext | None, ...]
    ) -> Float[np.ndarray, " members"]:
        """Of the members that are left; by the posterior rule, of what they gave."""
        there = np.array([member is not None for member in members])
        logs = np.log(np.array(self.weights))
        if self.rule == "posterior":
            logs = logs + [0.0 if m is None else m.log_kept for m in members]
        logs[~there] = -np.inf
        shares = np.exp(logs - logs.max())
        return shares / shares.sum()


def _can_read(member: ByteContext | None, symbol: int) -> bool:
    if member is None:
        return False
    if not member.symbols or not 0 <= symbol <= END or member.symbols[-1] == END:
        return True  # the view says what is wrong with it
    return bool(member.log_masses[symbol] > -np.inf)


def _there(member: ByteContext | None) -> ByteContext:
    if member is None:  # pragma: no cover
        raise AssertionError("a member that left is never asked")
    return member


def _next_of(member: ByteContext) -> Float[np.ndarray, " symbols"]:
    if member.symbols[-1] == END:
        row = np.full(SYMBOLS, -np.inf)
        row[END] = 0.0
        return row
    return member.log_masses - member.log_kept


def _rule_of(name: str) -> Any:
    if name == "posterior":
        return RULES["mean"]
    if name in RULES:
        return RULES[name]
    if name.startswith(_POWER):
        try:
            return power_mean(float(name.removeprefix(_POWER)))
        except ValueError as error:
            raise InvalidInput(f"rule is {name!r}: power:A has a number A") from error
    known = (*RULES, "posterior", "power:A")
    raise InvalidInput(f"rule is {name!r}: choose one of {known}")


def _rows(
    contexts: Sequence[EnsembleContext],
) -> Float[np.ndarray, "contexts symbols"]:
    rows = np.full((len(contexts), SYMBOLS + 1), -np.inf)
    for row, context in zip(rows, contexts, strict=True):
        row[:SYMBOLS] = context.joined
    return rows
