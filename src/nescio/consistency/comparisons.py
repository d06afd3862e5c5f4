"""The similarities that need no model: how alike texts are, many questions at a time.

Each takes the different normalised texts of some questions, and gives the matrix of
each question; only texts of one question are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from nescio.consistency.bit_parallel import coded, common_lengths, edit_distances
from nescio.strings import words_of

__all__ = ["SIMILARITIES"]

_PAIRS = 2**17  # compared at a time
_Matrices = list[np.ndarray]
_Groups = Sequence[Sequence[str]]


def _exact(groups: _Groups) -> _Matrices:
    return [np.eye(len(texts)) for texts in groups]


def _jaccard(groups: _Groups) -> _Matrices:
    return [_shares([_words(text) for text in texts]) for texts in groups]


def _shares(texts: Sequence[tuple[str, ...]]) -> Float[np.ndarray, "items items"]:
    """Of the words of every two texts, how many both have."""
    number: dict[str, int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for row, words in enumerate(texts):
        found = [number.setdefault(word, len(number)) for word in set(words)]
        rows += [row] * len(found)
        columns += found
    has = np.zeros((len(texts), len(number)), dtype=np.float32)
    has[rows, columns] = 1.0
    both = (has @ has.T).astype(np.float64)
    sizes = np.diagonal(both)
    either = sizes[:, None] + sizes - both
    return np.divide(both, either, out=np.ones_like(both), where=either > 0.0)


def _rouge_l(groups: _Groups) -> _Matrices:
    """2 common / (length + length): the balanced F of `nescio.strings.rouge_l`."""
    found: _Matrices = []
    for part in _parts(groups):
        texts = coded([[_words(text) for text in texts] for texts in part])
        one, other = _pairs(part)
        common = common_lengths(texts, one, other)
        total = texts.lengths[one] + texts.lengths[other]
        values = np.divide(2.0 * common, total, out=np.ones(len(one)), where=total > 0)
        found += _squares(part, values)
    return found


def _edit(groups: _Groups) -> _Matrices:
    """1 - distance / longer length, of characters."""
    found: _Matrices = []
    for part in _parts(groups):
        texts = coded(part)
        one, other = _pairs(part)
        distance = edit_distances(texts, one, other)
        longer = np.maximum(texts.lengths[one], texts.lengths[other])
        apart = np.divide(distance, longer, out=np.zeros(len(one)), where=longer > 0)
        found += _squares(part, 1.0 - apart)
    return found


SIMILARITIES: Mapping[str, Callable[[_Groups], _Matrices]] = {
    "exact": _exact,
    "jaccard": _jaccard,
    "rouge_l": _rouge_l,
    "edit": _edit,
}
"""From the different normalised texts of each question to the matrix of each.

``exact``: 1 for the same set of `Answers`, else 0. ``jaccard``: the share of common
words. ``rouge_l``: the balanced F of the longest common subsequence of words.
``edit``: 1 - edit distance / longer length, of characters.
``exact`` and ``jaccard`` are positive semi-definite; the other two need not be.
"""


def _parts(groups: _Groups) -> Iterator[_Groups]:
    """Groups in portions of about so many pairs."""
    begin, pairs = 0, 0
    for end, texts in enumerate(groups, start=1):
        pairs += len(texts) ** 2 // 2
        if pairs >= _PAIRS or end == len(groups):
            yield groups[begin:end]
            begin, pairs = end, 0


def _pairs(
    groups: _Groups,
) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """The two members of every pair within a group, counted over all groups."""
    ones, others, base = [], [], 0
    for texts in groups:
        one, other = _triangle(len(texts))
        ones.append(one + base)
        others.append(other + base)
        base += len(texts)
    return np.concatenate(ones), np.concatenate(others)


@lru_cache(maxsize=64)
def _triangle(size: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(size, 1)


def _squares(groups: _Groups, values: Float[np.ndarray, " pairs"]) -> _Matrices:
    found, begin = [], 0
    for texts in groups:
        one, other = _triangle(len(texts))
        matrix = np.eye(len(texts))
        matrix[one, other] = matrix[other, one] = values[begin : begin + len(one)]
        begin += len(one)
        found.append(matrix)
    return found


def _words(text: str) -> tuple[str, ...]:
    """The words of a text that is normalised."""
    return tuple(text.split()) if text.isascii() else words_of(text)
