"""How a table spells a text: the fewest of its tokens."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from nescio.errors import InvalidText
from nescio.models.vocabulary import Vocabulary

__all__ = ["fewest_tokens"]


def fewest_tokens(text: bytes, vocabulary: Vocabulary) -> Int[np.ndarray, " n"]:
    """The spelling with the fewest tokens, longer tokens first.

    A dynamic programme from the end; where every token is one byte, a look-up.

    Raises:
        InvalidText: a byte that no sequence of tokens spells.

    Example:
        >>> vocabulary = Vocabulary.of([b"a", b"b", b"ab"])
        >>> fewest_tokens(b"aab", vocabulary).tolist()
        [0, 2]
    """
    known = vocabulary.ids_by_bytes
    longest = max((len(token) for token in known), default=0)
    if longest == 1:
        return _byte_by_byte(text, known)
    cost = np.full(len(text) + 1, np.inf)
    cost[len(text)] = 0.0
    choice = np.zeros(len(text), dtype=np.int64)
    for begin in range(len(text) - 1, -1, -1):
        for width in range(min(longest, len(text) - begin), 0, -1):
            if text[begin : begin + width] not in known:
                continue
            if cost[begin + width] + 1 < cost[begin]:
                cost[begin], choice[begin] = cost[begin + width] + 1, width
    ids, begin = [], 0
    while begin < len(text):
        if not choice[begin]:
            raise _unwritable(text, begin)
        ids.append(known[text[begin : begin + int(choice[begin])]][0])
        begin += int(choice[begin])
    return np.array(ids, dtype=np.int32)


def _byte_by_byte(
    text: bytes, known: Mapping[bytes, tuple[int, ...]]
) -> Int[np.ndarray, " n"]:
    """The one spelling there is where every token is one byte."""
    ids = np.full(256, -1, dtype=np.int32)
    for spelled, tokens in known.items():
        ids[spelled[0]] = tokens[0]
    found = ids[np.frombuffer(text, dtype=np.uint8)]
    lacking = np.flatnonzero(found < 0)
    if len(lacking):
        raise _unwritable(text, int(lacking[0]))
    return found


def _unwritable(text: bytes, begin: int) -> InvalidText:
    return InvalidText(
        f"this table cannot write the text from byte {begin} on: "
        f"{text[begin : begin + 8]!r}"
    )
