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
from itertools import islice
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from nescio.ensemble.branches import END, SYMBOLS, Candidate, Wanted
from nescio.ensemble.byte_context import ByteContext
from nescio.ensemble.catching_up import caught_up, with_late
from nescio.ensemble.lexicon import Lexicon, known_lexicon
from nescio.ensemble.naming import name_of
from nescio.ensemble.prompts import Asked, PromptRead, begun
from nescio.ensemble.reading import blocks, read_runs
from nescio.ensemble.reviving import (
    Waiting,
    expected_after,
    may_matter,
    needs_more,
    outweighed,
)
from nescio.ensemble.stepping import Past, followed, grown, impossible
from nescio.errors import CapabilityError, InvalidInput, InvalidText
from nescio.models.protocol import LogitBlock, Model, Stepping, Tokenized, require
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin

__all__ = [
    "START",
    "USUAL_PRUNE",
    "ByteContext",
    "ByteView",
    "Spelling",
    "byte_vocabulary",
]

START = SYMBOLS
"""The symbol that stands before every text and is never predicted."""

USUAL_PRUNE = 1e-2
"""What commands prune: spellings below this share of the text are not followed."""

Spelling = Literal["all", "canonical"]
"""All token sequences of a text, or only the tokenizer's own at every token's end.

Of the latter the next byte's distribution is normalised at every byte, and what turns
out to be another spelling is dropped: bytes' log-probabilities do not add up to
``log_kept``.
"""


def byte_vocabulary() -> Vocabulary:
    """256 bytes, ``<end>`` (256) and ``<start>`` (257).

    Example:
        >>> byte_vocabulary().spell([104, 105]), byte_vocabulary().end
        (b'hi', (256,))
    """
    tokens = [bytes([byte]) for byte in range(256)] + [b"", b""]
    return Vocabulary.of(tokens, control={END: "<end>", START: "<start>"}, end=[END])


@dataclass(frozen=True, eq=False)
class ByteView:
    """A model of bytes from a model of tokens.

    Args:
        model: that can step and whose vocabulary is known.
        prune: spellings that a token's end would give less than this share of the
            text's probability are not followed; 0: all are. Their number then grows
            exponentially with the text: for real models take `USUAL_PRUNE`.
        spelling: ``all`` or ``canonical``.
        reopen: how many of a text prompt's last tokens `begin` opens again.
        most: how many spellings at most go on from one byte, the likeliest; None: no
            limit.

    Raises:
        CapabilityError: the model cannot step, or nothing stands before its texts.
        InvalidInput: a share outside [0, 1), an unknown spelling, a negative count.

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
    reopen: int = 2
    most: int | None = None

    def __post_init__(self) -> None:
        require(self.model, Model, Stepping, Tokenized, purpose="a view as bytes")
        if not 0.0 <= self.prune < 1.0:
            raise InvalidInput(f"prune is {self.prune}: a share in [0, 1)")
        if self.spelling not in get_args(Spelling):
            raise InvalidInput(
                f"spelling is {self.spelling!r}: choose one of {get_args(Spelling)}"
            )
        if self.reopen < 0:
            raise InvalidInput(
                f"reopen is {self.reopen}: a number of tokens, 0 or more"
            )
        if self.most is not None and self.most < 1:
            raise InvalidInput(f"most is {self.most}: at least 1, or None for all")
        if not self.model.start:
            raise CapabilityError(
                f"{self.model.name} has no document start, so nothing predicts the "
                "first byte of a text; choose another model"
            )

    @property
    def name(self) -> str:
        """That of the model, as bytes, with how: a specification."""
        return name_of(self)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Bytes, end and start."""
        return byte_vocabulary()

    @cached_property
    def lexicon(self) -> Lexicon:
        """The model's text tokens, sorted."""
        return known_lexicon(self.model.vocabulary)

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
        how = {
            "symbols": "bytes",
            "prune": self.prune,
            "spelling": self.spelling,
            "reopened_tokens": self.reopen,
            "spellings_a_byte": self.most,
        }
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

    def begin(
        self, text: Asked, *, chat: bool | None = None, system: str | None = None
    ) -> ByteContext:
        """The context at the end of a prompt, read in one pass and a few bytes more.

        All but the last ``reopen`` tokens of the tokenizer's own spelling are read as
        they are; the bytes of the last ones in every spelling, so that a word the
        prompt breaks off in may go on. (Where the model cannot go on so, all tokens are
        opened again.) A chat is read as the template writes it, to its
        end. Control tokens that the text spells stay text. What follows is counted
        from here: ``symbols`` is ``<start>``, ``log_kept`` is 0.

        Args:
            text: bytes, which may end within a character; a string; messages.
            chat: through the chat template or not; None: if there is one.
            system: a system message before a text; needs the chat template.

        Raises:
            CapabilityError: a chat without a template.
            ContextOverflow: no room to go on.
            InvalidText: no UTF-8, or a character the model cannot write.

        Example:
            >>> from nescio.models.table import read_table
            >>> view = ByteView(read_table("coin"))
            >>> context = view.begin("HTTH")
            >>> context.symbols == (START,), context.prompt.reopened
            (True, 2)
        """
        return begun(self, text, chat=chat, system=system)

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
            ContextOverflow: the likeliest spelling fills what the model can see.
        """
        now = read_runs(contexts, tokens, self.read)
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
            self.open(), sequences, skip=skip, rows=rows, read=self.read, told=_rows
        )

    def rooted(self, read: PromptRead) -> ByteContext:
        """The context after a document start or a prompt's tokens."""
        root = Candidate(None, None, 0.0)
        wanted = Wanted(root, self.model.open(), read.token_ids)
        context = ByteContext(self, (START,), tuple(grown(self, [wanted])), prompt=read)
        return replace(context, past=Past.of(context, None, [(root, 0)]))

    def read(
        self, contexts: Sequence[ByteContext], symbols: Sequence[int]
    ) -> list[ByteContext]:
        """One symbol into each context, with one pass of the model for all."""
        befores = [
            _to_its_end(context) if symbol == END else context
            for context, symbol in zip(contexts, symbols, strict=True)
        ]
        begins = [
            symbol == START and not context.symbols
            for context, symbol in zip(befores, symbols, strict=True)
        ]
        start = PromptRead(np.array(self.model.start, dtype=np.int64))
        root = self.rooted(start) if any(begins) else None
        pending = [
            (root, ()) if root is not None and first else followed(context, symbol)
            for first, context, symbol in zip(begins, befores, symbols, strict=True)
        ]
        late = [
            _latecomers(now, ended, before, symbol)
            for (now, ended), before, symbol in zip(
                pending, befores, symbols, strict=True
            )
        ]
        asked = [
            one
            for (_, ended), joining in zip(pending, late, strict=True)
            for one in (*map(Wanted.of, ended), *(w.wanted for w in joining))
        ]
        fresh = iter(grown(self, asked))
        found = []
        for (context, ended), joining, told, before, symbol in zip(
            pending, late, contexts, befores, symbols, strict=True
        ):
            now = context
            if told is not before:  # what was predicted, before what waited was asked
                now = replace(now, log_said=told.log_said + float(told.logp[symbol]))
            if ended:
                branches = (*now.branches, *islice(fresh, len(ended)))
                now = replace(now, branches=branches)
            if joining:
                now = with_late(now, joining, [*islice(fresh, len(joining))])
            if symbol != END:
                now = _caught_up(now, before)
            if not now.branches:
                gone = replace(before, log_gone=now.log_gone)
                raise InvalidText(impossible(gone, symbol))
            found.append(now)
        return found


def _to_its_end(context: ByteContext) -> ByteContext:
    """With what waits, where a text is likelier to end by that than by the others."""
    found = caught_up(context, heavier=lambda one: needs_more(one, END))
    return replace(found, past=context.past)  # a rewind finds it as it was


def _caught_up(now: ByteContext, before: ByteContext) -> ByteContext:
    """With what waits, where it may weigh more than what is followed."""
    if not now.waiting:
        return now
    expected = expected_after(before) if before.branches else -math.inf
    return caught_up(now, heavier=lambda one: outweighed(one, expected))


def _latecomers(
    now: ByteContext, ended: Sequence[Candidate], before: ByteContext, symbol: int
) -> tuple[Waiting, ...]:
    """Who of those that waited is asked after a symbol, with those that it ended."""
    if not now.waiting or symbol == END or not (ended or needs_more(before, symbol)):
        return ()
    base = now.prompt.log_weight if now.prompt else 0.0
    total = float(before.log_masses[symbol]) + base
    if now.view.most is not None:  # those beyond it are asked only where they must
        return now.waiting if needs_more(before, symbol) else ()
    return may_matter(now, total)


def _rows(contexts: Sequence[ByteContext]) -> Float[np.ndarray, "contexts symbols"]:
    rows = np.full((len(contexts), SYMBOLS + 1), -np.inf)
    for row, context in zip(rows, contexts, strict=True):
        row[:SYMBOLS] = context.logp
    return rows
