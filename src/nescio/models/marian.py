"""Translation models of Marian's small kind: a source is read once, a target written.

A `Translator` holds the weights. ``translate_from(source)`` gives a model of target
texts under that source: it is stepped, scored, drawn from and joined with others as any
model is. Unknown characters are never written, as in Marian's own decoder; what stands
for a space in front of a text is no part of it (:mod:`nescio.models.marian_pieces`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import InvalidInput, InvalidText, SchemaError
from nescio.models.fetching import sha256_of
from nescio.models.layered import wanted_rows
from nescio.models.marian_file import read_marian_file
from nescio.models.marian_network import Memory, Network, network_of
from nescio.models.marian_pieces import START, TargetPieces, target_pieces
from nescio.models.protocol import LogitBlock
from nescio.models.reading import check_blocks, check_runs
from nescio.models.sentencepiece import read_sentencepiece
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin

__all__ = ["MarianContext", "MarianModel", "Source", "Translator", "read_translator"]

WEIGHTS, PIECES = "model.bin", "vocabulary.spm"
"""The files of a directory that `read_translator` reads."""


@dataclass(frozen=True, eq=False)
class Source:
    """A source that was read, and what a translation of it may begin with.

    Args:
        memory: what the encoder made of it.
        network, pieces: of the translator that read it.
    """

    memory: Memory = field(repr=False)
    network: Network = field(repr=False)
    pieces: TargetPieces = field(repr=False)

    @cached_property
    def first_row(self) -> Float[np.ndarray, " vocab"]:
        """Logits of what comes first."""
        run, fresh = np.array([[START, self.pieces.space]]), self.network.fresh(1)
        places = np.array([[0, 1]])
        hidden, _ = self.network.decoded([self.memory], fresh, run, places)
        return self.pieces.first_row(*self.network.head(hidden[0]))


@dataclass(frozen=True, eq=False)
class MarianContext:
    """Target tokens that were read, and what the decoder keeps after each.

    Args:
        source: what is being translated.
        before: the context that was extended; None: nothing was read.
        kept: after each token that was read into it, [tokens, layers, width].
        steps: how many pieces the network has read after each of them, [tokens].
    """

    source: Source = field(repr=False)
    before: MarianContext | None = field(default=None, repr=False)
    kept: Float[np.ndarray, "tokens layers width"] | None = field(
        default=None, repr=False
    )
    steps: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        """How many tokens were read."""
        return self._length

    @cached_property
    def _length(self) -> int:
        return len(self.steps) + (0 if self.before is None else self.before.length)

    def rewind(self, length: int) -> MarianContext:
        """The context as it was after its first ``length`` tokens.

        Raises:
            InvalidInput: more than were read.
        """
        if not 0 <= length <= self.length:
            raise InvalidInput(
                f"a context of {self.length} tokens cannot be rewound to {length}"
            )
        found = self
        while found.before is not None and length <= found.before.length:
            found = found.before
        if length == found.length or found.before is None or found.kept is None:
            return found
        own = length - found.before.length
        return MarianContext(
            found.source, found.before, found.kept[:own], found.steps[:own]
        )


@dataclass(frozen=True, eq=False)
class MarianModel:
    """Target texts under one source. Use `Translator.translate_from`.

    Contexts of other sources of the same translator may be extended with its own, in
    one batch: each goes on with its source.

    Args:
        name: of the translator.
        origin: its digests, with that of the source.
        source: the source, read.
    """

    name: str
    origin: Origin
    source: Source = field(repr=False)

    @property
    def network(self) -> Network:
        """The weights."""
        return self.source.network

    @property
    def pieces(self) -> TargetPieces:
        """How the target is spelled."""
        return self.source.pieces

    @property
    def vocabulary(self) -> Vocabulary:
        """The bytes of every id, twins for the start of a text included."""
        return self.pieces.vocabulary

    @property
    def context_length(self) -> int | None:
        """None: a target may be as long as it wants."""
        return None

    @property
    def start(self) -> tuple[int, ...]:
        """The one ``<start>`` token."""
        return (self.pieces.start,)

    def encode(self, text: bytes) -> Int[np.ndarray, " n"]:
        """Token ids that spell exactly this target text; never a control token.

        Raises:
            InvalidText: as `TargetPieces.encode`.
        """
        return self.pieces.encode(text)

    def open(self) -> MarianContext:
        """The context before anything was read."""
        return MarianContext(self.source)

    def extend(
        self,
        contexts: Sequence[MarianContext],
        tokens: Sequence[Int[np.ndarray, " _"]],
    ) -> tuple[tuple[MarianContext, ...], Float[np.ndarray, "contexts vocab"]]:
        """Read tokens into each context in one batch; logits of what comes next.

        Raises:
            InvalidInput: as every engine; a text that does not begin with ``<start>``,
                or has it within; a context of another translator.
        """
        check_runs(self, contexts, tokens)
        runs = [self._run(c, run) for c, run in zip(contexts, tokens, strict=True)]
        hidden, kept = self._decoded(contexts, [ids for ids, _ in runs])
        longer, last = [], []
        for row, (context, (_, steps)) in enumerate(zip(contexts, runs, strict=True)):
            done = _steps(context)
            there = np.array(steps) - 1
            totals = tuple(done + step for step in steps)
            states = kept[row, there].copy()
            longer.append(MarianContext(context.source, context, states, totals))
            last.append(hidden[row, steps[-1] - 1])
        return tuple(longer), self._rows(
            np.stack(last), [_steps(c) for c in longer], [c.source for c in longer]
        )

    def logit_blocks(
        self,
        sequences: Sequence[Int[np.ndarray, " _"]],
        *,
        skip: Sequence[int],
        rows: int = 128,
    ) -> Iterator[LogitBlock]:
        """Logits after each position from ``skip`` on, but the last, in blocks."""
        check_blocks(sequences, skip, rows)
        contexts = [self.open()] * len(sequences)
        check_runs(self, contexts, sequences)
        runs = [self._run(c, ids) for c, ids in zip(contexts, sequences, strict=True)]
        hidden, _ = self._decoded(contexts, [ids for ids, _ in runs])
        lengths = [len(ids) for ids in sequences]
        wanted = wanted_rows(lengths, skip, 0, max(lengths))
        for begin in range(0, len(wanted), rows):
            where = wanted[begin : begin + rows]
            steps = [runs[owner][1][position] for owner, position in where.tolist()]
            picked = hidden[where[:, 0], np.array(steps) - 1]
            logits = self._rows(picked, steps, [self.source] * len(steps))
            yield LogitBlock(where[:, 0], where[:, 1], logits)

    def _rows(
        self,
        hidden: Float[np.ndarray, "rows width"],
        steps: Sequence[int],
        sources: Sequence[Source],
    ) -> Float[np.ndarray, "rows vocab"]:
        """Logits; after the start alone those of what may come first."""
        found = self.pieces.later_rows(self.network.head(hidden))
        for row, (step, source) in enumerate(zip(steps, sources, strict=True)):
            if step == 1:
                found[row] = source.first_row
        return found

    def _run(
        self, context: MarianContext, tokens: Int[np.ndarray, " _"]
    ) -> tuple[list[int], list[int]]:
        """What the network reads of a run, and how much of it after each token."""
        if context.source.network is not self.network:
            raise InvalidInput(f"a context of another translator than {self.name}")
        starts = np.flatnonzero(np.asarray(tokens) == self.pieces.start).tolist()
        if starts != ([0] if context.length == 0 else []):
            raise InvalidInput("a text begins with <start>, and has it nowhere else")
        ids, steps = [], []
        for token in tokens:
            ids.append(int(self.pieces.first[token]))
            if self.pieces.second[token] != START:
                ids.append(int(self.pieces.second[token]))
            steps.append(len(ids))
        return ids, steps

    def _decoded(
        self, contexts: Sequence[MarianContext], runs: Sequence[list[int]]
    ) -> tuple[np.ndarray, np.ndarray]:
        width = max(map(len, runs))
        ids = np.zeros((len(runs), width), dtype=np.int64)
        for row, run in enumerate(runs):
            ids[row, : len(run)] = run
        kept = self.network.fresh(len(runs))
        for row, context in enumerate(contexts):
            if context.kept is not None:
                kept[row] = context.kept[-1]
        done = np.array([_steps(context) for context in contexts])
        places = done[:, None] + np.arange(width)
        memories = [context.source.memory for context in contexts]
        return self.network.decoded(memories, kept, ids, places)


@dataclass(frozen=True, eq=False)
class Translator:
    """A translation network with its vocabulary. Use `read_translator`.

    Args:
        name: what it was loaded from.
        origin: digests, engine and precision.
        network: the weights.
        pieces: the vocabulary, of both languages.

    """

    name: str
    origin: Origin
    network: Network = field(repr=False)
    pieces: TargetPieces = field(repr=False)

    def encode_source(self, text: str) -> Int[np.ndarray, " n"]:
        """Ids of a source, normalised and split as SentencePiece does, and its end.

        Characters that no piece has become the unknown piece.
        """
        source = self.pieces.source
        return np.array([*source.encode(text), source.end], dtype=np.int64)

    def translate_from(self, source: str) -> MarianModel:
        """The model of translations of one source, which is read at once.

        Args:
            source: one sentence, best; the network has seen nothing longer.

        Raises:
            InvalidText: nothing but spaces.
        """
        ids = self.encode_source(source)
        if len(ids) == 1:
            raise InvalidText(f"the source {source[:20]!r} has nothing to translate")
        digest = hashlib.sha256(ids.tobytes()).hexdigest()
        how = {**self.origin.decoding, "source": digest}
        return MarianModel(
            self.name,
            replace(self.origin, decoding=how),
            Source(self.network.encoded(ids), self.network, self.pieces),
        )


def read_translator(directory: str | Path, *, name: str | None = None) -> Translator:
    """A translator from a folder with ``model.bin`` and ``vocabulary.spm``.

    Args:
        directory: with weights in Marian's binary format and one SentencePiece model
            for both languages.
        name: what it is called; None: as its folder.

    Raises:
        UnknownModel: a file is missing.
        SchemaError: a file is not what it claims to be, or they do not fit together.
        CapabilityError: another architecture, or another kind of vocabulary.
    """
    folder = Path(directory)
    network = network_of(read_marian_file(folder / WEIGHTS))
    pieces = target_pieces(read_sentencepiece(folder / PIECES))
    known = len(pieces.source.pieces)
    if network.vocabulary != known:
        raise SchemaError(
            f"{folder}: the weights are of {network.vocabulary} pieces, the vocabulary "
            f"of {known}"
        )
    called = name or f"marian:{folder.name}"
    digest = f"{pieces.vocabulary.digest} {pieces.source.digest}"
    origin = Origin(
        called,
        sha256_of(folder / WEIGHTS),
        hashlib.sha256(digest.encode()).hexdigest(),
        f"numpy {np.__version__}",
        "f32",
    )
    return Translator(called, origin, network, pieces)


def _steps(context: MarianContext) -> int:
    return context.steps[-1] if context.steps else 0
