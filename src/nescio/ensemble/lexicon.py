"""A vocabulary sorted by its bytes: what may come next after some bytes of a token.

Tokens that begin with the same bytes stand next to each other, those that are exactly
these bytes first. So the tokens a text may still become are one range, a further byte
narrows it, and the mass of every next byte is a sum over a part of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Int, UInt8

from nescio.errors import InvalidInput
from nescio.models.vocabulary import Vocabulary

__all__ = ["Child", "Lexicon", "Steps", "known_lexicon", "lexicon_of"]

_KEPT = 20_000
"""How many divisions are kept: what a long text visits, and no more."""


@dataclass(frozen=True)
class Child:
    """The tokens that go on with one byte.

    Args:
        begin, end: their range among the sorted tokens.
        longer: where those that go on after the byte begin; before it stand those that
            end with it, several where several ids spell the same.
    """

    begin: int
    longer: int
    end: int


@dataclass(frozen=True, eq=False)
class Steps:
    """How a range of tokens divides by the next byte.

    Args:
        starts: where each part begins, counted from the range's begin, [parts].
        symbols: its byte, ascending, [parts].
        children: the part of each byte.
    """

    starts: Int[np.ndarray, " parts"]
    symbols: UInt8[np.ndarray, " parts"]
    children: Mapping[int, Child]


@dataclass(frozen=True, eq=False)
class Lexicon:
    """The text tokens of a vocabulary, sorted by their bytes.

    Args:
        ids: of the tokens in sorted order, [tokens].
        lengths: how many bytes each has, [tokens].
        buffer, offsets: the bytes of the sorted tokens, one after the other.
    """

    ids: Int[np.ndarray, " tokens"]
    lengths: Int[np.ndarray, " tokens"]
    buffer: UInt8[np.ndarray, " bytes"]
    offsets: Int[np.ndarray, " tokens"]
    _known: dict[tuple[int, int, int], Steps] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def longest(self) -> int:
        """How many bytes the longest token has."""
        return int(self.lengths.max())

    @cached_property
    def letters(self) -> frozenset[int]:
        """The bytes that stand in any token."""
        return frozenset(np.unique(self.buffer).tolist())

    def steps(self, begin: int, end: int, depth: int) -> Steps:
        """How tokens [begin, end), all longer than ``depth`` bytes, divide there."""
        key = (begin, end, depth)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            found = self._known[key] = self._divided(begin, end, depth)
        return found

    def root(self) -> Steps:
        """How all tokens divide by their first byte."""
        return self.steps(0, len(self), 0)

    def span(self, spelled: Sequence[int]) -> tuple[int, int]:
        """The tokens that begin with these bytes and go on; begin = end: none."""
        begin, end = 0, len(self)
        for depth, symbol in enumerate(spelled):
            child = self.steps(begin, end, depth).children.get(symbol)
            if child is None or child.longer == child.end:
                return 0, 0
            begin, end = child.longer, child.end
        return begin, end

    def _divided(self, begin: int, end: int, depth: int) -> Steps:
        column = self.buffer[self.offsets[begin:end] + depth]
        starts = np.flatnonzero(np.diff(column, prepend=column[:1] ^ 1))
        ends = np.append(starts[1:], end - begin)
        exact = np.add.reduceat(self.lengths[begin:end] == depth + 1, starts, dtype=int)
        children = {
            int(symbol): Child(
                begin + int(first), begin + int(first + here), begin + int(last)
            )
            for symbol, first, here, last in zip(
                column[starts], starts, exact, ends, strict=True
            )
        }
        return Steps(starts, column[starts], children)


def lexicon_of(vocabulary: Vocabulary) -> Lexicon:
    """The text tokens of a vocabulary; those that spell nothing are left out.

    Raises:
        InvalidInput: no token spells anything.

    Example:
        >>> words = lexicon_of(Vocabulary.of([b"ab", b"a", b"b", b"a"]))
        >>> words.ids.tolist(), sorted(words.steps(0, 4, 0).children)
        ([1, 3, 0, 2], [97, 98])
        >>> words.steps(0, 4, 0).children[97]      # a, a end here, ab goes on
        Child(begin=0, longer=2, end=3)
    """
    widths = np.diff(vocabulary.offsets)
    text = np.flatnonzero(~vocabulary.control & (widths > 0))
    if not len(text):
        raise InvalidInput("no token of the vocabulary spells anything")
    order = sorted(text.tolist(), key=lambda token: (vocabulary.token(token), token))
    ids = np.array(order, dtype=np.int64)
    lengths = widths[ids]
    return Lexicon(
        ids,
        lengths,
        np.frombuffer(b"".join(map(vocabulary.token, order)), dtype=np.uint8),
        np.cumsum(lengths) - lengths,
    )


@lru_cache(maxsize=4)
def known_lexicon(vocabulary: Vocabulary) -> Lexicon:
    """The lexicon of a vocabulary; of the last few it is made once."""
    return lexicon_of(vocabulary)
