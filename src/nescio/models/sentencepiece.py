"""Unigram models of SentencePiece: how a text is brought into form and split.

The file is read as it is (a protocol buffer), without SentencePiece's library. A text
is normalised by the file's own character map, spaces become ``▁``, one of them is put
in front, and the split of the highest sum of scores is taken.

Source: Kudo and Richardson (2018), SentencePiece; Kudo (2018), Subword Regularization.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from nescio.errors import CapabilityError, SchemaError, UnknownModel

__all__ = ["SPACE", "CharacterMap", "SentencePiece", "read_sentencepiece"]

SPACE = "▁"
"""What stands for a space, and in front of every text."""

_NORMAL, _UNKNOWN, _CONTROL = 1, 2, 3
_KINDS = (_NORMAL, _UNKNOWN, _CONTROL)
_UNIGRAM = 1
_UNKNOWN_PENALTY = 10.0
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5


@dataclass(frozen=True, eq=False)
class CharacterMap:
    """What stretches of text are replaced by: a double-array trie over UTF-8.

    Args:
        units: the trie, one word of 32 bits a node.
        texts: the replacements, each ended by a zero byte.
    """

    units: tuple[int, ...] = ()
    texts: bytes = b""

    def normalised(self, text: str) -> str:
        """The text with every longest known stretch replaced, from the left."""
        raw, out, place = text.encode("utf-8", "replace"), [], 0
        while place < len(raw):
            width, replacement = self._longest(raw, place)
            if not width:
                width = _character(raw[place])
                replacement = raw[place : place + width]
            out.append(replacement)
            place += width
        return b"".join(out).decode("utf-8", "replace")

    def _longest(self, raw: bytes, begin: int) -> tuple[int, bytes]:
        if not self.units:
            return 0, b""
        width, found, node = 0, 0, _offset(self.units[0])
        for place in range(begin, len(raw)):
            byte = raw[place]
            node ^= byte
            if byte == 0 or not 0 <= node < len(self.units):
                break
            unit = self.units[node]
            if unit & 0x800000FF != byte:
                break
            node ^= _offset(unit)
            if unit >> 8 & 1 and 0 <= node < len(self.units):
                width, found = place + 1 - begin, self.units[node] & 0x7FFFFFFF
        if not width:
            return 0, b""
        end = self.texts.find(b"\0", found)
        if found >= len(self.texts) or end < 0:
            raise SchemaError(
                f"the character map points to byte {found}, beyond its end"
            )
        return width, self.texts[found:end]


@dataclass(frozen=True, eq=False)
class SentencePiece:
    """Pieces with scores, and how a text is brought into form.

    Args:
        pieces: what each id spells, ``▁`` for a space; control pieces by their names.
        scores: log-probability of each piece.
        end: id of the piece that ends a sentence.
        unknown: id of the piece for characters that no piece has.
        characters: how a text is normalised.
        digest: SHA-256 of the file.
    """

    pieces: tuple[str, ...] = field(repr=False)
    scores: tuple[float, ...] = field(repr=False)
    end: int
    unknown: int
    characters: CharacterMap = field(repr=False)
    digest: str

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """The id of every piece that is text."""
        control = (self.end, self.unknown)
        found = {p: i for i, p in enumerate(self.pieces) if i not in control}
        if len(found) + len(control) != len(self.pieces):
            raise SchemaError("two pieces are spelled alike")
        return found

    @cached_property
    def _widest(self) -> int:
        return max(map(len, self.ids))

    @cached_property
    def _unknown_score(self) -> float:
        return min(self.scores[i] for i in self.ids.values()) - _UNKNOWN_PENALTY

    def normalised(self, text: str) -> str:
        """The text as it is split: mapped, without spaces too many, ``▁`` in front.

        Empty if nothing but spaces is left.
        """
        words = self.characters.normalised(text).split(" ")
        kept = [word for word in words if word]
        return "".join(SPACE + word for word in kept)

    def encode(self, text: str) -> list[int]:
        """Ids of a text; a run of characters that no piece has is one unknown."""
        found = self.split(self.normalised(text))
        return [
            token
            for place, token in enumerate(found)
            if token != self.unknown or place == 0 or found[place - 1] != token
        ]

    def split(self, text: str) -> list[int]:
        """The split of the highest score, of a text that is in form already.

        A character that no piece has is one unknown; of equal splits the one whose
        last piece is shortest is taken.
        """
        best = [0.0] + [-math.inf] * len(text)
        last = [(0, 0)] * (len(text) + 1)
        for begin in range(len(text)):
            lone = True
            for end in range(begin + 1, min(len(text), begin + self._widest) + 1):
                token = self.ids.get(text[begin:end])
                if token is None:
                    continue
                lone = lone and end != begin + 1
                score = best[begin] + self.scores[token]
                if score > best[end]:
                    best[end], last[end] = score, (begin, token)
            if lone and best[begin] + self._unknown_score > best[begin + 1]:
                best[begin + 1] = best[begin] + self._unknown_score
                last[begin + 1] = begin, self.unknown
        return _backwards(last)


def read_sentencepiece(path: str | Path) -> SentencePiece:
    """A unigram model from SentencePiece's own file.

    Raises:
        UnknownModel: there is no such file.
        SchemaError: it is not such a file; says what is wrong with it.
        CapabilityError: another kind of model, or one that puts no space in front.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise UnknownModel(f"{path} cannot be read: {error.strerror}") from error
    try:
        return _parsed(raw)
    except CapabilityError as error:
        raise CapabilityError(f"{path}: {error}") from None
    except (struct.error, ValueError, IndexError, TypeError) as error:
        raise SchemaError(f"{path} is no SentencePiece model: {error}") from None


def _parsed(raw: bytes) -> SentencePiece:
    pieces, scores, kinds = [], [], []
    characters = CharacterMap()
    for number, value in _fields(raw):
        known = value if number in (1, 2, 3) and isinstance(value, bytes) else b""
        inner = dict(_fields(known))
        if number == 1:
            pieces.append(_text(inner.get(1)))
            scores.append(float(inner.get(2, 0.0)))
            kinds.append(inner.get(3, _NORMAL))
        elif number == 2 and inner.get(3, _UNIGRAM) != _UNIGRAM:
            raise CapabilityError("it is no unigram model, the only kind read here")
        elif number == 3:
            if any(inner.get(flag, 1) != 1 for flag in (3, 4, 5)):
                raise CapabilityError("it treats spaces in another way")
            characters = _character_map(inner.get(2, b""))
    if any(kind not in _KINDS for kind in kinds):
        raise CapabilityError("it has pieces that are bytes or the user's own")
    if kinds.count(_UNKNOWN) != 1 or kinds.count(_CONTROL) != 1:
        raise SchemaError("one piece is to be unknown and one the end of a sentence")
    if not all(map(math.isfinite, scores)) or len(pieces) < 3:
        raise SchemaError(f"{len(pieces)} pieces, or scores that are not finite")
    end, unknown = kinds.index(_CONTROL), kinds.index(_UNKNOWN)
    digest = hashlib.sha256(raw).hexdigest()
    made = SentencePiece(tuple(pieces), tuple(scores), end, unknown, characters, digest)
    if SPACE not in made.ids:
        raise SchemaError(f"no piece is {SPACE}, a space by itself")
    return made


def _fields(raw: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Number and value of each field of a protocol buffer's message."""
    place = 0
    while place < len(raw):
        key, place = _varint(raw, place)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, place = _varint(raw, place)
        elif wire == _BYTES:
            length, place = _varint(raw, place)
            value, place = raw[place : place + length], place + length
            if place > len(raw):
                raise SchemaError("it is cut off, or no SentencePiece model")
        elif wire in (_FLOAT, _DOUBLE):
            form, width = ("<f", 4) if wire == _FLOAT else ("<d", 8)
            (value,) = struct.unpack_from(form, raw, place)
            place += width
        else:
            raise SchemaError(f"a field of wire type {wire}: no SentencePiece model")
        yield number, value


def _varint(raw: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = raw[place + shift // 7]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place + shift // 7 + 1
    raise SchemaError("a number of more than 64 bits: no SentencePiece model")


def _text(value: int | float | bytes | None) -> str:
    if not isinstance(value, bytes) or not value:
        raise SchemaError("a piece without a text")
    return value.decode("utf-8")


def _character_map(raw: int | float | bytes) -> CharacterMap:
    if not isinstance(raw, bytes) or not raw:
        return CharacterMap()
    (size,) = struct.unpack_from("<I", raw, 0)
    if size % 4 or 4 + size > len(raw) or not size:
        raise SchemaError(f"a character map of {size} bytes in {len(raw)}")
    units = struct.unpack_from(f"<{size // 4}I", raw, 4)
    return CharacterMap(units, raw[4 + size :])


def _offset(unit: int) -> int:
    return unit >> 10 << ((unit & 1 << 9) >> 6)


def _character(lead: int) -> int:
    """How many bytes a character has that begins with this one."""
    return 1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


def _backwards(last: list[tuple[int, int]]) -> list[int]:
    found, place = [], len(last) - 1
    while place > 0:
        place, token = last[place]
        found.append(token)
    return found[::-1]
