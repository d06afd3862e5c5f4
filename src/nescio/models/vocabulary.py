"""The bytes of every token id: what makes different vocabularies comparable."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int, UInt8

from nescio.errors import InvalidInput

__all__ = ["Vocabulary"]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What every id spells, which ids are control tokens, which end a text.

    Args:
        buffer: the bytes of all tokens, one after the other.
        offsets: token i spells buffer[offsets[i] : offsets[i + 1]], [size + 1].
        control: ids that are no text: they spell nothing and are never read from
            text, [size].
        end: ids that end a generation.
        labels: how control tokens are called, by id.

    Raises:
        InvalidInput: a control token that spells something, an end id out of range.

    Example:
        >>> v = Vocabulary.of([b"a", b"b", b"ab", b""], control={3: "<end>"}, end=[3])
        >>> v.spell([2, 0]), v.size
        (b'aba', 4)
    """

    buffer: bytes
    offsets: Int[np.ndarray, " size_and_end"]
    control: Bool[np.ndarray, " size"]
    end: tuple[int, ...]
    labels: Mapping[int, str]

    def __post_init__(self) -> None:
        if len(self.offsets) != self.size + 1 or self.offsets[-1] != len(self.buffer):
            raise InvalidInput(
                f"{len(self.offsets)} offsets do not divide {len(self.buffer)} bytes "
                f"into {self.size} tokens"
            )
        spelling = np.flatnonzero(self.control & (np.diff(self.offsets) > 0))
        if len(spelling):
            raise InvalidInput(
                f"control token {spelling[0]} spells {self.token(int(spelling[0]))!r}"
            )
        for token in self.end:
            if not 0 <= token < self.size:
                raise InvalidInput(
                    f"end token {token} is outside the vocabulary of {self.size}"
                )

    @staticmethod
    def of(
        tokens: Sequence[bytes],
        *,
        control: Mapping[int, str] | None = None,
        end: Iterable[int] = (),
    ) -> Vocabulary:
        """A vocabulary from what each id spells."""
        labels = dict(control or {})
        mask = np.zeros(len(tokens), dtype=np.bool_)
        mask[list(labels)] = True
        widths = [len(token) for token in tokens]
        offsets = np.concatenate([[0], np.cumsum(widths, dtype=np.int64)])
        return Vocabulary(
            b"".join(tokens), offsets.astype(np.int64), mask, tuple(end), labels
        )

    @property
    def size(self) -> int:
        """How many ids there are."""
        return len(self.control)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that decides what ids mean."""
        digest = hashlib.sha256(self.offsets.tobytes())
        digest.update(self.buffer)
        digest.update(self.control.tobytes())
        digest.update(repr(sorted(self.end)).encode())
        return digest.hexdigest()

    def token(self, token_id: int | np.integer) -> bytes:
        """The bytes one id spells; empty for control tokens."""
        return self.buffer[self.offsets[token_id] : self.offsets[token_id + 1]]

    def spell(self, token_ids: Iterable[int | np.integer]) -> bytes:
        """The bytes a sequence of ids spells."""
        ids = np.fromiter(token_ids, dtype=np.int64)
        widths = self.offsets[ids + 1] - self.offsets[ids]
        ends = np.cumsum(widths)
        total = int(ends[-1]) if len(ids) else 0
        places = np.repeat(self.offsets[ids] - ends + widths, widths)
        return self._bytes[places + np.arange(total)].tobytes()

    @cached_property
    def _bytes(self) -> UInt8[np.ndarray, " buffer"]:
        return np.frombuffer(self.buffer, dtype=np.uint8)

    def label(self, token_id: int) -> str | None:
        """How a control token is called; None for a token that is text."""
        return self.labels.get(token_id)

    def edges(
        self, token_ids: Sequence[int] | Int[np.ndarray, " n"]
    ) -> Int[np.ndarray, " n_and_end"]:
        """Where each token of a sequence begins in the text it spells, and the end."""
        ids = np.asarray(token_ids, dtype=np.int64)
        widths = self.offsets[ids + 1] - self.offsets[ids]
        return np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)

    @cached_property
    def ids_by_bytes(self) -> Mapping[bytes, tuple[int, ...]]:
        """All ids that spell the same bytes; control tokens are left out."""
        found: dict[bytes, list[int]] = {}
        for token_id in np.flatnonzero(~self.control).tolist():
            found.setdefault(self.token(token_id), []).append(token_id)
        return {spelled: tuple(ids) for spelled, ids in found.items()}
