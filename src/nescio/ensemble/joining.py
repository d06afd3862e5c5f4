"""Several models with different vocabularies as one model of bytes.

Every member is read through its view as bytes (:mod:`nescio.ensemble.byte_view`), and a
rule joins what they say of the next byte. The ensemble is a model like any other: it is
scored, traced, drawn from and compared as they are.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.ensemble.branches import END, SYMBOLS
from nescio.ensemble.byte_view import START, ByteContext, ByteView, byte_vocabulary
from nescio.ensemble.naming import name_of
from nescio.ensemble.prompts import Asked
from nescio.ensemble.reading import blocks, read_runs
from nescio.ensemble.rules import disagreement, rule_named
from nescio.errors import InvalidInput, InvalidText
from nescio.models.protocol import LogitBlock
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin

__all__ = ["Ensemble", "EnsembleContext"]


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
    _owner: Ensemble = field(repr=False)
    _last: tuple[ByteContext | None, ...] = field(default=(), repr=False)

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
        """The context as it was after its first ``length`` symbols.

        A member that has left since is back. After a prompt the first symbol is the
        prompt's end; 0 is before it.

        Raises:
            InvalidInput: more than were read.
        """
        if not 0 <= length <= self.length:
            raise InvalidInput(
                f"a context of {self.length} symbols cannot be rewound to {length}"
            )
        if length in (0, self.length):
            return self if length else self._owner.open()
        last = _last(self)
        there = [m is not None and m.length >= length for m in last]
        members = tuple(
            m.rewind(length) if m is not None and here else None
            for m, here in zip(last, there, strict=True)
        )
        return self._owner.joined(self.symbols[:length], members, last)


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
        prune: of the views that are made here, as `ByteView`; for real models
            `nescio.ensemble.byte_view.USUAL_PRUNE`.

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
        rule_named(self.rule)
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
        return name_of(self)

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

    def begin(
        self, text: Asked, *, chat: bool | None = None, system: str | None = None
    ) -> EnsembleContext:
        """The context at the end of a prompt that every member reads in its own way.

        Each through its own chat template, if it has one (`ByteView.begin`), and from
        there on they continue in the same bytes. The posterior rule's weights count
        what members gave these, not the prompt. A member that cannot write the prompt
        has left.

        Args:
            text: bytes, which may end within a character; a string; messages.
            chat: through the chat templates or not; None: where there is one.
            system: a system message before a text; all members need a template.

        Raises:
            CapabilityError: a chat, and a member without a template.
            ContextOverflow: no room for a member to go on.
            InvalidText: no UTF-8, or a prompt that no member can write.

        Example:
            >>> from nescio.models.table import read_table
            >>> both = Ensemble((read_table("coin"), read_table("coin")))
            >>> context = both.begin("HTTH")
            >>> context.symbols == (START,), round(float(np.exp(context.joined[72])), 6)
            (True, 0.5)
        """
        members: list[ByteContext | None] = []
        refused: InvalidText | None = None
        for view in self.members:
            try:
                members.append(view.begin(text, chat=chat, system=system))
            except InvalidText as error:
                members.append(None)
                refused = error
        if refused is not None and not any(members):
            raise refused
        return self.joined((START,), tuple(members), tuple(members))

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
        now = read_runs(contexts, tokens, self._read)
        return tuple(now), _rows(now)

    def logit_blocks(
        self,
        sequences: Sequence[Int[np.ndarray, " _"]],
        *,
        skip: Sequence[int],
        rows: int = 128,
    ) -> Iterator[LogitBlock]:
        """Log-probabilities after each position, the sequences side by side."""
        return blocks(
            self.open(), sequences, skip=skip, rows=rows, read=self._read, told=_rows
        )

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
            read = _read_or_left(view, before, [symbols[place] for place in able])
            after = dict(zip(able, read, strict=True))
            for place, column in enumerate(columns):
                column.append(after.get(place))
        found = []
        for context, symbol, column in zip(contexts, symbols, columns, strict=True):
            if not any(column):
                raise InvalidText(self._unwritable(context, symbol))
            last = [now or old for now, old in zip(column, _last(context), strict=True)]
            read = (*context.symbols, symbol)
            found.append(self.joined(read, tuple(column), tuple(last)))
        return found

    def _unwritable(self, context: EnsembleContext, symbol: int) -> str:
        names = ", ".join(view.model.name for view in self.members)
        read = bytes(s for s in context.symbols[-20:] if s < END)
        return f"none of {names} can write symbol {symbol} after {read!r}"

    def joined(
        self,
        symbols: tuple[int, ...],
        members: tuple[ByteContext | None, ...],
        last: tuple[ByteContext | None, ...] = (),
    ) -> EnsembleContext:
        """What the ensemble says where its members stand, one of them at least.

        Args:
            symbols: what they have read, ``<start>`` included.
            members: their contexts; None for one that has left.
            last: where those that left stood before; for a rewind.

        Raises:
            InvalidDistribution: the members allow no symbol in common.
        """
        logp = np.full((len(members), SYMBOLS), -np.inf)
        for row, member in zip(logp, members, strict=True):
            if member is not None:
                row[:] = member.logp
        weights = self._weights(members)
        here = weights > 0.0
        joined = rule_named(self.rule)(logp[here], weights[here])
        return EnsembleContext(
            members, symbols, logp, weights, joined, self, last or members
        )

    def _weights(
        self, members: tuple[ByteContext | None, ...]
    ) -> Float[np.ndarray, " members"]:
        """Of the members that are left; by the posterior rule, of what they gave."""
        there = np.array([member is not None for member in members])
        logs = np.log(np.array(self.weights))
        if self.rule == "posterior":
            logs = logs + [0.0 if m is None else m.log_said for m in members]
        logs[~there] = -np.inf
        shares = np.exp(logs - logs.max())
        return shares / shares.sum()


def _can_read(member: ByteContext | None, symbol: int) -> bool:
    if member is None:
        return False
    if not member.symbols or not 0 <= symbol <= END or member.symbols[-1] == END:
        return True  # the view says what is wrong with it
    return bool(member.logp[symbol] > -np.inf)


def _read_or_left(
    view: ByteView, before: Sequence[ByteContext], symbols: Sequence[int]
) -> list[ByteContext | None]:
    """One symbol into each; None where it turns out that it cannot be written."""
    try:
        return [*view.read(before, symbols)]
    except InvalidText:
        if len(before) == 1:
            return [None]
    parts = zip(before, symbols, strict=True)
    return [one for part in parts for one in _read_or_left(view, [part[0]], [part[1]])]


def _last(context: EnsembleContext) -> tuple[ByteContext | None, ...]:
    return context._last or context.members


def _there(member: ByteContext | None) -> ByteContext:
    if member is None:  # pragma: no cover
        raise AssertionError("a member that left is never asked")
    return member


def _rows(
    contexts: Sequence[EnsembleContext],
) -> Float[np.ndarray, "contexts symbols"]:
    rows = np.full((len(contexts), SYMBOLS + 1), -np.inf)
    for row, context in zip(rows, contexts, strict=True):
        row[:SYMBOLS] = context.joined
    return rows
