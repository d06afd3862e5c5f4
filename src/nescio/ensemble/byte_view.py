"""Any model with tokens as a model of bytes, exactly: 256 bytes and the end.

The probability of a text is the sum over all ways to spell it in tokens, and what comes
next is asked of all of them at once (:mod:`nescio.ensemble.branches`). Read so, models
with different vocabularies speak of the same things.

Control tokens that do not end a text spell nothing. Their probability is left out and
the rest of each prediction scaled to 1: this is the model that writes no such tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from nescio.ensemble.branches import (
    END,
    SYMBOLS,
    Boundary,
    Branch,
    Candidate,
    masses,
    narrowed,
)
from nescio.ensemble.lexicon import Lexicon, lexicon_of
from nescio.errors import CapabilityError, InvalidInput, InvalidText
from nescio.models.protocol import LogitBlock, Model, Stepping, Tokenized, require
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin

__all__ = ["START", "ByteContext", "ByteView", "Spelling", "byte_vocabulary"]

START = SYMBOLS
"""The symbol that stands before every text and is never predicted."""

Spelling = Literal["all", "canonical"]
"""All token sequences of a text, or only the tokenizer's own at every token's end."""


def byte_vocabulary() -> Vocabulary:
    """256 bytes, ``<end>`` (256) and ``<start>`` (257).

    Example:
        >>> byte_vocabulary().spell([104, 105]), byte_vocabulary().end
        (b'hi', (256,))
    """
    tokens = [bytes([byte]) for byte in range(256)] + [b"", b""]
    return Vocabulary.of(tokens, control={END: "<end>", START: "<start>"}, end=[END])


@dataclass(frozen=True, eq=False)
class _Read:
    """A context of the model with the tokens it has read."""

    context: Any
    tokens: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ByteContext:
    """Bytes that were read, and every way the model may have written them.

    Args:
        view: whose context it is.
        symbols: what was read, ``<start>`` included.
        branches: the spellings that were kept.
        log_lost: log of the probability that was not followed, nats; -inf: none.
    """

    view: ByteView
    symbols: tuple[int, ...] = ()
    branches: tuple[Branch, ...] = ()
    log_lost: float = -math.inf

    @property
    def length(self) -> int:
        """How many symbols were read."""
        return len(self.symbols)

    @cached_property
    def log_masses(self) -> Float[np.ndarray, " symbols"]:
        """Log-probability of the text with each symbol after it, kept ones, [257]."""
        if not self.branches:
            return np.full(SYMBOLS, -np.inf)
        scale = max(branch.log_weight for branch in self.branches)
        found = masses(self.branches, self.view.lexicon, scale=scale)
        with np.errstate(divide="ignore"):
            return np.log(found) + scale

    @cached_property
    def log_kept(self) -> float:
        """Log-probability that a text begins so, by the spellings kept, nats."""
        if self.symbols and self.symbols[-1] == END:
            return self.branches[0].log_weight
        return _log_sum(self.log_masses)

    @property
    def bounds(self) -> tuple[float, float]:
        """What the log-probability that a text begins so lies between, nats."""
        return self.log_kept, float(np.logaddexp(self.log_kept, self.log_lost))

    @property
    def doubt(self) -> float:
        """The largest total variation of the next symbol's distribution, in [0, 1]."""
        lost = math.exp(self.log_lost - self.bounds[1])
        return min(1.0, lost)

    def rewind(self, length: int) -> ByteContext:
        """The context as it was after its first ``length`` symbols, read again.

        Raises:
            InvalidInput: more than were read.
        """
        if not 0 <= length <= self.length:
            raise InvalidInput(
                f"a context of {self.length} symbols cannot be rewound to {length}"
            )
        if length == 0:
            return self.view.open()
        run = np.array(self.symbols[:length], dtype=np.int64)
        return self.view.extend([self.view.open()], [run])[0][0]


@dataclass(frozen=True, eq=False)
class ByteView:
    """A model of bytes from a model of tokens.

    Args:
        model: that can step and whose vocabulary is known.
        prune: spellings that a token's end would give less than this share of the
            text's probability are not followed; 0: all are.
        spelling: ``all`` or ``canonical``.

    Raises:
        CapabilityError: the model cannot step, or nothing stands before its texts.
        InvalidInput: a share outside [0, 1), an unknown spelling.

    Example:
        >>> from nescio.models.table import read_table
        >>> view = ByteView(read_table("coin"))
        >>> (context,), logp = view.extend([view.open()], [np.array([START])])
        >>> [chr(b) for b in np.flatnonzero(logp[0] > -np.inf)]
        ['H', 'T']

    Source: Vieira et al. (2024), From Language Models over Tokens to Language Models
    over Characters; Phan et al. (2024), exact byte-level probabilities.
    """

    model: Any
    prune: float | int = 0.0
    spelling: Spelling = "all"

    def __post_init__(self) -> None:
        require(self.model, Model, Stepping, Tokenized, purpose="a view as bytes")
        if not 0.0 <= self.prune < 1.0:
            raise InvalidInput(f"prune is {self.prune}: a share in [0, 1)")
        if self.spelling not in get_args(Spelling):
            raise InvalidInput(
                f"spelling is {self.spelling!r}: choose one of {get_args(Spelling)}"
            )
        if not self.model.start:
            raise CapabilityError(
                f"{self.model.name} has no document start, so nothing predicts the "
                "first byte of a text; choose another model"
            )

    @property
    def name(self) -> str:
        """That of the model, as bytes."""
        return f"bytes:{self.model.name}"

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Bytes, end and start."""
        return byte_vocabulary()

    @cached_property
    def lexicon(self) -> Lexicon:
        """The model's text tokens, sorted."""
        return lexicon_of(self.model.vocabulary)

    @property
    def context_length(self) -> int | None:
        """In bytes, each of which may be a token; None: no limit."""
        limit, start = self.model.context_length, len(self.model.start)
        return None if limit is None else limit - start

    @property
    def start(self) -> tuple[int, ...]:
        """The one ``<start>`` symbol."""
        return (START,)

    @cached_property
    def origin(self) -> Origin:
        """That of the model, with how its spellings are followed."""
        origin = self.model.origin
        how = {"symbols": "bytes", "prune": self.prune, "spelling": self.spelling}
        return replace(
            origin,
            model=self.name,
            tokenizer_digest=self.vocabulary.digest,
            decoding={**origin.decoding, **how},
        )

    def encode(self, text: bytes) -> Int[np.ndarray, " n"]:
        """The bytes themselves."""
        return np.frombuffer(text, dtype=np.uint8).astype(np.int64)

    def open(self) -> ByteContext:
        """The context before anything was read."""
        return ByteContext(self)

    def extend(
        self,
        contexts: Sequence[ByteContext],
        tokens: Sequence[Int[np.ndarray, " _"]],
    ) -> tuple[tuple[ByteContext, ...], Float[np.ndarray, "contexts symbols"]]:
        """Read symbols into each context; log-probabilities of what comes next.

        Returns:
            The contexts and [contexts, 258]; ``<start>`` is -inf. After an end nothing
            follows, and the row is the end's again.

        Raises:
            InvalidInput: no symbol to read, one that is none, or after an end.
            InvalidText: bytes the model gives no probability at all.
        """
        runs = [[int(symbol) for symbol in run] for run in tokens]
        now = list(contexts)
        if len(runs) != len(now):
            raise InvalidInput(f"{len(runs)} runs of symbols for {len(now)} contexts")
        for run in runs:
            if not run:
                raise InvalidInput("each context reads at least one symbol")
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
            read = self._read(
                [now[i] for i in owners], [int(sequences[i][position]) for i in owners]
            )
            for i, context in zip(owners, read, strict=True):
                now[i] = context
            told = [i for i in owners if position >= skip[i]]
            for begin in range(0, len(told), rows):
                part = told[begin : begin + rows]
                yield LogitBlock(
                    np.array(part),
                    np.full(len(part), position),
                    _rows([now[i] for i in part]),
                )

    def _read(
        self, contexts: Sequence[ByteContext], symbols: Sequence[int]
    ) -> list[ByteContext]:
        """One symbol into each context, with one pass of the model for all."""
        pending = [
            self._step(context, symbol)
            for context, symbol in zip(contexts, symbols, strict=True)
        ]
        asked = [(c.context, c.token) for _, ended in pending for c in ended]
        boundaries = iter(self._asked(asked))
        found = []
        for context, ended in pending:
            fresh = []
            for candidate in ended:
                read, p, stop = next(boundaries)
                boundary = Boundary(read, candidate.log_weight, p, stop)
                fresh.append(Branch.at(boundary))
            found.append(replace(context, branches=(*context.branches, *fresh)))
        return found

    def _step(
        self, context: ByteContext, symbol: int
    ) -> tuple[ByteContext, tuple[Candidate, ...]]:
        if context.symbols and context.symbols[-1] == END:
            raise InvalidInput("the text has ended: nothing can be read after its end")
        read = (*context.symbols, symbol)
        if symbol == START and not context.symbols:
            root = Candidate(_Read(None, ()), -1, 0.0)
            return replace(context, symbols=read), (root,)
        if not context.symbols:
            raise InvalidInput("a text begins with <start>: read that symbol first")
        if not 0 <= symbol <= END:
            raise InvalidInput(f"symbol {symbol} is no byte and no end")
        if context.log_masses[symbol] == -math.inf:
            raise InvalidText(_impossible(context, symbol))
        if symbol == END:
            weight = float(context.log_masses[END])
            nothing = replace(context.branches[0], log_weight=weight)
            return replace(context, symbols=read, branches=(nothing,)), ()
        kept, ended = narrowed(context.branches, self.lexicon, symbol)
        if self.spelling == "canonical":
            ended = tuple(c for c in ended if self._is_canonical(c))
        total = float(context.log_masses[symbol])
        ended, lost = self._pruned(ended, total, alone=not kept)
        lost = float(np.logaddexp(context.log_lost, lost))
        return ByteContext(self, read, kept, lost), ended

    def _pruned(
        self, ended: tuple[Candidate, ...], total: float, *, alone: bool
    ) -> tuple[tuple[Candidate, ...], float]:
        """The tokens worth a pass, and the log-probability of the others."""
        if self.prune == 0.0 or not ended:
            return ended, -math.inf
        least = total + math.log(self.prune)
        worth = tuple(c for c in ended if c.log_weight >= least)
        if not worth and alone:
            worth = (max(ended, key=lambda c: c.log_weight),)
        left = [c.log_weight for c in ended if c not in worth]
        return worth, _log_sum(np.array(left))

    def _is_canonical(self, candidate: Candidate) -> bool:
        tokens = (*candidate.context.tokens, candidate.token)
        spelled = self.model.vocabulary.spell(tokens)
        try:
            own = self.model.encode(spelled)
        except InvalidText:  # half a character: the next token decides
            return True
        return tuple(own.tolist()) == tokens

    def _asked(
        self, asked: Sequence[tuple[_Read, int]]
    ) -> list[tuple[_Read, Float[np.ndarray, " tokens"], float]]:
        """What the model says after each of some tokens, in one pass."""
        if not asked:
            return []
        fresh = self.model.open()
        start = np.array(self.model.start, dtype=np.int64)
        before = [fresh if token < 0 else read.context for read, token in asked]
        runs = [start if token < 0 else np.array([token]) for _, token in asked]
        contexts, logits = self.model.extend(before, runs)
        found = []
        for (read, token), context, row in zip(asked, contexts, logits, strict=True):
            tokens = read.tokens if token < 0 else (*read.tokens, token)
            p, stop = self._shares(row)
            found.append((_Read(context, tokens), p, stop))
        return found

    def _shares(
        self, logits: Float[np.ndarray, " vocab"]
    ) -> tuple[Float[np.ndarray, " tokens"], float]:
        """Probabilities of the text tokens and of the end, which sum to 1."""
        ends = logits[list(self.model.vocabulary.end)].astype(np.float64)
        text = logits[self.lexicon.ids].astype(np.float64)
        top = max(text.max(), ends.max(initial=-np.inf))
        if not np.isfinite(top):
            raise InvalidInput(
                f"{self.model.name} gives no token any probability: its largest logit "
                f"is {top}"
            )
        p, stop = np.exp(text - top), float(np.exp(ends - top).sum())
        total = p.sum() + stop
        return p / total, stop / total


def _rows(contexts: Sequence[ByteContext]) -> Float[np.ndarray, "contexts symbols"]:
    rows = np.full((len(contexts), SYMBOLS + 1), -np.inf)
    for row, context in zip(rows, contexts, strict=True):
        if context.symbols[-1] == END:
            row[END] = 0.0
            continue
        row[:SYMBOLS] = context.log_masses - context.log_kept
    return rows


def _log_sum(logs: Float[np.ndarray, " _"]) -> float:
    top = logs.max(initial=-np.inf)
    if top == -np.inf:
        return -math.inf
    return float(top + np.log(np.exp(logs - top).sum()))


def _impossible(context: ByteContext, symbol: int) -> str:
    name = context.view.model.name
    what = "the end" if symbol == END else f"byte 0x{symbol:02x}"
    read = bytes(s for s in context.symbols[-20:] if s < END)
    return f"{name} gives {what} no probability after {read!r}: it cannot write that"
