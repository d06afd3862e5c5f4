"""What a model cannot write: an escape makes of it one that can write anything.

A vocabulary without single bytes has characters it can never write. Such a member of an
ensemble leaves at the first one, for good, unless one of two policies is chosen: it
comes back (:mod:`nescio.ensemble.rejoining`), or it escapes.

`Escaping` gives a stated share of the probability to the bytes that the model gives
none, in equal parts. A character that was escaped is then as if it were not there: the
model goes on behind what it had written before it. That is a distribution over texts,
and a model like any other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.ensemble.branches import END, SYMBOLS
from nescio.ensemble.byte_view import START, ByteContext, ByteView, byte_vocabulary
from nescio.ensemble.reading import blocks, read_runs
from nescio.errors import InvalidInput, InvalidText
from nescio.models.protocol import LogitBlock
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin

__all__ = ["BEHIND", "Escaping", "EscapingContext", "rows_of"]

BEHIND = range(0x80, 0xC0)
"""Bytes that only come within a character."""


@dataclass(frozen=True, eq=False)
class EscapingContext:
    """Bytes that were read, some of them by escape.

    Args:
        view: the model as bytes.
        mass: of the escape.
        symbols: what was read, ``<start>`` included.
        member: what the model has read of it.
        anchor: the same at the beginning of the present character.
        character: how many bytes of the present character were read.
        missing: how many bytes are missing of a character that is escaped.
        escaped: how many bytes were escaped.
    """

    view: ByteView = field(repr=False)
    mass: float
    symbols: tuple[int, ...] = ()
    member: ByteContext | None = field(default=None, repr=False)
    anchor: ByteContext | None = field(default=None, repr=False)
    character: tuple[int, ...] = ()
    missing: int = 0
    escaped: int = 0

    @property
    def length(self) -> int:
        """How many symbols were read."""
        return len(self.symbols)

    @cached_property
    def row(self) -> Float[np.ndarray, " symbols"]:
        """Log-probabilities of what comes next, [257]."""
        row = np.full(SYMBOLS, -np.inf)
        if self.missing:
            row[BEHIND] = -math.log(len(BEHIND))
            return row
        if self.member is None:
            return row
        if self.symbols[-1] == END:
            row[END] = 0.0
            return row
        own = self.member.logp
        strange = np.flatnonzero(own[:END] == -np.inf)
        if not len(strange):
            return own
        row[:] = own + math.log1p(-self.mass)
        row[strange] = math.log(self.mass / len(strange))
        return row

    def rewind(self, length: int) -> EscapingContext:
        """The context as it was after its first ``length`` symbols, read again.

        Raises:
            InvalidInput: more than were read.
        """
        if not 0 <= length <= self.length:
            raise InvalidInput(
                f"a context of {self.length} symbols cannot be rewound to {length}"
            )
        (found,) = (
            read_runs(
                [EscapingContext(self.view, self.mass)],
                [np.array(self.symbols[:length])],
                _escaping_read,
            )
            if length
            else (EscapingContext(self.view, self.mass),)
        )
        return found


@dataclass(frozen=True, eq=False)
class Escaping:
    """A model that can write any byte: what it cannot write itself by escape.

    Where the model allows all bytes it is left alone; elsewhere its probabilities are
    scaled by 1 - mass, and the mass is divided among the bytes it does not allow.
    Within an escaped character of several bytes those that may stand there are equally
    likely.

    Args:
        model: that can step and whose vocabulary is known.
        mass: the share that goes to bytes it cannot write, in (0, 1).
        prune: as `ByteView`.

    Raises:
        InvalidInput: a mass outside (0, 1).
        CapabilityError: as `ByteView`.

    Example:
        >>> from nescio.models.table import read_table
        >>> coin = Escaping(read_table("coin"), mass=0.1)
        >>> (context,), logp = coin.extend([coin.open()], [np.array([START])])
        >>> p = np.exp(logp[0])
        >>> float(p[ord("H")].round(3)), float((254 * p[ord("x")]).round(3))
        (0.45, 0.1)
        >>> (context,), _ = coin.extend([context], [coin.encode("Hé".encode())])
        >>> context.escaped, float(np.exp(context.row[ord("H")]).round(3))
        (2, 0.45)
    """

    model: Any
    mass: float = 1e-4
    prune: float | int = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.mass < 1.0:
            raise InvalidInput(f"mass is {self.mass}: a share in (0, 1)")
        _ = self.view

    @cached_property
    def view(self) -> ByteView:
        """The model as bytes."""
        return ByteView(self.model, prune=self.prune)

    @property
    def name(self) -> str:
        """That of the model, with the escape."""
        return f"{self.model.name},escape={self.mass:g}"

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Bytes, end and start."""
        return byte_vocabulary()

    @property
    def context_length(self) -> int | None:
        """That of the view, in bytes."""
        return self.view.context_length

    @property
    def start(self) -> tuple[int, ...]:
        """The one ``<start>`` symbol."""
        return (START,)

    @cached_property
    def origin(self) -> Origin:
        """That of the view, with the policy."""
        origin = self.view.origin
        how = {**origin.decoding, "unwritable": "escape", "escape_mass": self.mass}
        return replace(origin, model=self.name, decoding=how)

    def encode(self, text: bytes) -> Int[np.ndarray, " n"]:
        """The bytes themselves."""
        return self.view.encode(text)

    def open(self) -> EscapingContext:
        """The context before anything was read."""
        return EscapingContext(self.view, self.mass)

    def extend(
        self,
        contexts: Sequence[EscapingContext],
        tokens: Sequence[Int[np.ndarray, " _"]],
    ) -> tuple[tuple[EscapingContext, ...], Float[np.ndarray, "contexts symbols"]]:
        """Read symbols into each context; log-probabilities of what comes next.

        Raises:
            InvalidInput: as `ByteView.extend`.
            InvalidText: an escaped character that is no UTF-8.
        """
        now = read_runs(contexts, tokens, _escaping_read)
        return tuple(now), rows_of([context.row for context in now])

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
            read=_escaping_read,
            told=lambda contexts: rows_of([context.row for context in contexts]),
        )


def _escaping_read(
    contexts: Sequence[EscapingContext], symbols: Sequence[int]
) -> list[EscapingContext]:
    """One symbol into each context; those the model can read itself in one pass."""
    written = [
        place
        for place, (context, symbol) in enumerate(zip(contexts, symbols, strict=True))
        if _writes(context, symbol)
    ]
    after: dict[int, ByteContext | None] = {}
    if written:
        view = contexts[written[0]].view
        before = [
            contexts[place].member or contexts[place].view.open() for place in written
        ]
        read = _read_or_not(view, before, [symbols[place] for place in written])
        after = dict(zip(written, read, strict=True))
    found = []
    for place, (context, symbol) in enumerate(zip(contexts, symbols, strict=True)):
        member = after.get(place)
        if member is None:
            found.append(_escaped(context, symbol))
        else:
            found.append(_written(context, symbol, member))
    return found


def _read_or_not(
    view: ByteView, before: Sequence[ByteContext], symbols: Sequence[int]
) -> list[ByteContext | None]:
    """One symbol into each; None where no spelling that was set aside writes it.

    Raises:
        InvalidText: of what has nothing to do with escapes: an end, no bytes yet.
    """
    try:
        return [*view.read(before, symbols)]
    except InvalidText:
        (first, *_), (symbol, *_) = before, symbols
        if len(before) == 1 and (not first.symbols or symbol not in range(END)):
            raise
        if len(before) == 1:
            return [None]
    parts = zip(before, symbols, strict=True)
    return [one for part in parts for one in _read_or_not(view, [part[0]], [part[1]])]


def _writes(context: EscapingContext, symbol: int) -> bool:
    """Whether the model reads it; what is wrong in itself the view refuses."""
    if context.missing:
        return False
    if context.member is None or not 0 <= symbol < END or context.symbols[-1] == END:
        return True
    return bool(context.member.logp[symbol] > -np.inf)


def _written(
    context: EscapingContext, symbol: int, member: ByteContext
) -> EscapingContext:
    begins = symbol not in BEHIND
    return replace(
        context,
        symbols=(*context.symbols, symbol),
        member=member,
        anchor=context.member if begins and context.member else context.anchor,
        character=(symbol,) if begins else (*context.character, symbol),
    )


def _escaped(context: EscapingContext, symbol: int) -> EscapingContext:
    read = (*context.symbols, symbol)
    if context.missing:
        if symbol not in BEHIND:
            raise InvalidText(
                f"symbol {symbol} stands within an escaped character after "
                f"{bytes(s for s in context.symbols[-8:] if s < END)!r}: no UTF-8"
            )
        missing = context.missing - 1
        return _resumed(replace(context, symbols=read), missing)
    if symbol not in BEHIND:  # a character of its own, or the lead of one
        fresh = replace(context, symbols=read, anchor=context.member, character=())
        return _resumed(fresh, _width(symbol) - 1)
    lead = context.character[0] if context.character else 0
    whole = len(context.character) >= _width(lead)
    if whole:  # a byte that belongs to no character
        return _resumed(replace(context, symbols=read, anchor=context.member), 0)
    missing = _width(lead) - len(context.character) - 1
    return _resumed(replace(context, symbols=read), missing)


def _resumed(context: EscapingContext, missing: int) -> EscapingContext:
    """Within an escaped character, or behind it, where the model was before it."""
    return replace(
        context,
        member=context.anchor,
        character=() if not missing else context.character,
        missing=missing,
        escaped=context.escaped + 1,
    )


def _width(lead: int) -> int:
    """How many bytes the character has that begins so."""
    if lead < 0xC2 or lead > 0xF4:
        return 1
    return 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


def rows_of(
    rows: Sequence[Float[np.ndarray, " _"]],
) -> Float[np.ndarray, "contexts symbols"]:
    """Rows of 257 symbols, and ``<start>``, which never comes."""
    found = np.full((len(rows), SYMBOLS + 1), -np.inf)
    for into, row in zip(found, rows, strict=True):
        into[:SYMBOLS] = row
    return found
