"""What a Marian model's target pieces spell, the space before every text left away.

SentencePiece puts ``▁`` before a text and takes one space away when it joins pieces
again. So at the start of a text a piece spells something else than within it: there
``▁the`` is ``the``. Every piece with ``▁`` in front therefore has a twin that can only
come first, and is spelled without it. A lone ``▁`` first spells nothing by itself: each
piece that may follow it has a twin too, which stands for both.

Left out, and its probability with it, is a lone ``▁`` first with a further ``▁`` behind
it: a text that begins with a space, which SentencePiece never makes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import InvalidText
from nescio.models.sentencepiece import SPACE, SentencePiece
from nescio.models.vocabulary import Vocabulary
from nescio.visible import visible

__all__ = ["START", "TargetPieces", "target_pieces"]

START = -1
"""What the network reads before a text; not a piece."""


@dataclass(frozen=True, eq=False)
class TargetPieces:
    """Pieces, the start, and twins: how they are spelled and what the network reads.

    Args:
        source: the pieces themselves, which come first.
        vocabulary: of pieces, ``<start>``, the twins of pieces with ``▁`` in front,
            and the twins of a lone ``▁`` with each piece that may follow it.
        first: what the network reads of each id, [size]; START for the start.
        second: what it reads after that, [size]; START: nothing.
    """

    source: SentencePiece = field(repr=False)
    vocabulary: Vocabulary = field(repr=False)
    first: Int[np.ndarray, " size"] = field(repr=False)
    second: Int[np.ndarray, " size"] = field(repr=False)

    @property
    def start(self) -> int:
        """The id of ``<start>``."""
        return len(self.source.pieces)

    @property
    def space(self) -> int:
        """The id of a lone ``▁``."""
        return self.source.ids[SPACE]

    def encode(self, text: bytes) -> Int[np.ndarray, " n"]:
        """Ids that spell exactly this text, as SentencePiece would split it.

        Raises:
            InvalidText: not UTF-8, a character without a piece, or a space in front.
        """
        try:
            decoded = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidText(f"byte {error.start} of the text is not UTF-8") from error
        if not decoded:
            return np.empty(0, dtype=np.int32)
        if decoded[0] == " ":
            raise InvalidText(
                "the text begins with a space, which this model never writes"
            )
        for place, character in enumerate(decoded):
            if character == SPACE or character not in self._writable:
                raise InvalidText(
                    f"this vocabulary cannot write {visible(character)!r} "
                    f"(U+{ord(character):04X}), character {place} of the text"
                )
        ids = self.source.split(SPACE + decoded.replace(" ", SPACE))
        pair = (ids[0], ids[1] if ids[0] == self.space else START)
        rest = ids[1:] if pair[1] == START else ids[2:]
        return np.array([self._twins[pair], *rest], dtype=np.int32)

    @cached_property
    def _writable(self) -> frozenset[str]:
        ids = self.source.ids
        letters = {letter for letter in ids if len(letter) == 1}
        return frozenset(letters - {SPACE} | {" "})

    @cached_property
    def _twins(self) -> dict[tuple[int, int], int]:
        begin = self.start + 1
        both = zip(self.first[begin:], self.second[begin:], strict=True)
        return {(int(a), int(b)): begin + n for n, (a, b) in enumerate(both)}

    def first_row(
        self,
        logits: Float[np.ndarray, " pieces"],
        behind_space: Float[np.ndarray, " pieces"],
    ) -> Float[np.ndarray, " size"]:
        """Logits of what may come first.

        Args:
            logits: of every piece at the start.
            behind_space: of every piece after a lone ``▁``.
        """
        row = np.full(self.vocabulary.size, -np.inf, dtype=logits.dtype)
        lone, paired = self._lone, self.second != START
        row[lone] = logits[self.first[lone]]
        level = logits[self.space] - _log_sum(behind_space, without=self.source.unknown)
        row[paired] = behind_space[self.second[paired]] + level
        row[self.source.unknown] = -np.inf
        return row

    @cached_property
    def _lone(self) -> np.ndarray:
        """Ids that may come first and are one piece."""
        begins = np.array([piece.startswith(SPACE) for piece in self.source.pieces])
        lone = self.second == START
        lone[: self.start] &= ~begins
        lone[self.start] = False
        return lone

    def later_rows(
        self, logits: Float[np.ndarray, "rows pieces"]
    ) -> Float[np.ndarray, "rows size"]:
        """Logits of what may come later: pieces, and no twin."""
        rows = np.full((len(logits), self.vocabulary.size), -np.inf, dtype=logits.dtype)
        rows[:, : self.start] = logits
        rows[:, self.source.unknown] = -np.inf
        return rows


def target_pieces(source: SentencePiece) -> TargetPieces:
    """The target side of a vocabulary.

    Example:
        >>> from nescio.models.sentencepiece import CharacterMap
        >>> pieces = ("</s>", "<unk>", "▁", "a", "▁a")
        >>> scores = (0.0, 0.0, -3.0, -2.0, -1.0)
        >>> tiny = SentencePiece(pieces, scores, 0, 1, CharacterMap(), "")
        >>> target = target_pieces(tiny)
        >>> [target.vocabulary.token(i) for i in range(9)]
        [b'', b'', b' ', b'a', b' a', b'', b'a', b'', b'a']
        >>> target.encode(b"a a").tolist()              # the twin of ▁a, and ▁a
        [6, 4]
    """
    control = {source.end: source.pieces[source.end]}
    control[source.unknown] = source.pieces[source.unknown]
    spelled = [
        b"" if token in control else piece.replace(SPACE, " ").encode()
        for token, piece in enumerate(source.pieces)
    ]
    size, space = len(spelled), source.ids[SPACE]
    leading = [t for t, p in enumerate(source.pieces) if p.startswith(SPACE)]
    whole = [token for token in leading if token != space]
    silent = {*leading, source.unknown}
    behind = [token for token in range(size) if token not in silent]
    tokens = [*spelled, b"", *(spelled[t][1:] for t in whole)]
    tokens += [spelled[token] for token in behind]
    last = size + 1 + len(whole) + behind.index(source.end)
    labels = {**control, size: "<start>", last: f"{SPACE}{source.pieces[source.end]}"}
    first = [*range(size), START, *whole, *([space] * len(behind))]
    second = [START] * (size + 1 + len(whole)) + behind
    return TargetPieces(
        source,
        Vocabulary.of(tokens, control=labels, end=[source.end, last]),
        np.array(first),
        np.array(second),
    )


def _log_sum(logits: Float[np.ndarray, " pieces"], *, without: int) -> float:
    kept = np.delete(logits, without)
    top = kept.max()
    return float(top + np.log(np.exp(kept - top).sum()))
