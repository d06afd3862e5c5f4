"""Measures of the diversity of one set of answers, each a pure function of it."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from nescio.errors import InvalidInput
from nescio.information.spectra import effective_number
from nescio.strings import edit_similarity, ngrams

__all__ = [
    "DIVERSITY_MEASURES",
    "AnswerSet",
    "DiversityMeasure",
    "Kernel",
    "compression_ratio",
    "distinct_n",
    "ngram_entropy",
    "pairwise_edit_distance",
    "self_bleu",
    "set_entropy",
    "set_vendi_score",
]

Kernel = Literal["cosine", "jaccard"]

_EPSILON = 0.1  # what no match counts as, Chen & Cherry's first smoothing
_LEVEL = 9  # of zlib


@dataclass(frozen=True)
class AnswerSet:
    """The answers to one prompt.

    Args:
        sequences: each as units, in UTF-8.
        joint: what stands between units.
        keys: what tells answers apart: their tokens, or their texts.
        logp: their log-probabilities, nats, or None.
    """

    sequences: tuple[tuple[bytes, ...], ...]
    joint: bytes = b" "
    keys: tuple[object, ...] = ()
    logp: tuple[float, ...] | None = None


def distinct_n(answers: AnswerSet, n: int = 2) -> float | None:
    """Different n-grams of the set as a share of all; 1 where none comes twice.

    Example:
        >>> distinct_n(AnswerSet(((b"a", b"b"), (b"a", b"c"))), 1)
        0.75

    Source: Li et al. (2016).
    """
    counts = _counts(answers, n)
    return len(counts) / counts.total() if counts else None


def ngram_entropy(answers: AnswerSet, n: int = 2) -> float | None:
    """The entropy of the set's n-grams, nats.

    Example:
        >>> round(ngram_entropy(AnswerSet(((b"a", b"b"), (b"a", b"b"))), 1), 6)
        0.693147

    Source: Zhang et al. (2018), Ent-n.
    """
    counts = _counts(answers, n)
    if not counts:
        return None
    shares = np.array(list(counts.values()), dtype=np.float64) / counts.total()
    return max(0.0, float(-(shares * np.log(shares)).sum()))


def self_bleu(answers: AnswerSet, n: int = 4) -> float | None:
    """The mean BLEU of each answer against the others; 1 where all are the same.

    Precisions up to n-grams are weighted alike, clipped by the reference that has most;
    one without a match counts as .1 of one match (Chen & Cherry's first smoothing), and
    an answer without a common word has 0.

    Example:
        >>> self_bleu(AnswerSet(((b"a", b"b"), (b"a", b"b"))), 2)
        1.0

    Source: Zhu et al. (2018); Papineni et al. (2002); Chen & Cherry (2014), method 1.
    """
    if not all(answers.sequences):
        return None
    counted = [
        [Counter(ngrams(sequence, size)) for size in range(1, n + 1)]
        for sequence in answers.sequences
    ]
    lengths = [len(sequence) for sequence in answers.sequences]
    places = range(len(lengths))
    scores = [
        _bleu(
            counted[place],
            [counted[other] for other in places if other != place],
            lengths[place],
            [lengths[other] for other in places if other != place],
        )
        for place in places
    ]
    return float(np.mean(scores))


def pairwise_edit_distance(answers: AnswerSet) -> float | None:
    """Edits between two answers over the longer length, the mean over pairs.

    Example:
        >>> pairwise_edit_distance(AnswerSet(((b"a", b"b"), (b"a", b"c"))))
        0.5

    Source: Levenshtein (1966).
    """
    if not any(answers.sequences):
        return None
    pairs = combinations(answers.sequences, 2)
    return float(np.mean([1.0 - edit_similarity(one, other) for one, other in pairs]))


def compression_ratio(answers: AnswerSet) -> float | None:
    """Bytes of all answers, one a line, over their bytes when compressed by zlib.

    Larger where more repeats, within answers and between them.

    Example:
        >>> same = AnswerSet((tuple(b"%d" % i for i in range(99)),) * 9)
        >>> compression_ratio(same) > 5
        True

    Source: Shaib et al. (2024), compression ratios as a measure of diversity.
    """
    if not any(answers.sequences):
        return None
    whole = b"\n".join(answers.joint.join(units) for units in answers.sequences)
    return len(whole) / len(zlib.compress(whole, _LEVEL))


def set_vendi_score(
    answers: AnswerSet, n: int = 2, kernel: Kernel = "cosine"
) -> float | None:
    """How many different answers there are in effect, by what n-grams they share.

    Both kernels are positive semi-definite with a diagonal of 1; 1 - edit distance is
    not, so it is no choice. Answers too short for an n-gram are alike.

    Args:
        answers: the set.
        n: the length of n-grams.
        kernel: ``cosine`` of their counts, or ``jaccard`` of the sets of them.

    Example:
        >>> three = AnswerSet(((b"a",), (b"b",), (b"a",)))
        >>> round(set_vendi_score(three, 1), 6)        # shares 2/3 and 1/3
        1.889882

    Source: Friedman & Dieng (2023), definition 3.1.
    """
    if not any(answers.sequences):
        return None
    counted = [Counter(ngrams(sequence, n)) for sequence in answers.sequences]
    names = {gram: i for i, gram in enumerate(sorted(set().union(*counted)))}
    table = np.zeros((len(counted), len(names) + 1))
    for row, counts in enumerate(counted):
        for gram, count in counts.items():
            table[row, names[gram]] = count if kernel == "cosine" else 1
        table[row, -1] = not counts
    if kernel == "cosine":
        table /= np.linalg.norm(table, axis=1, keepdims=True)
        alike = table @ table.T
    else:
        common, size = table @ table.T, table.sum(axis=1)
        alike = common / (size[:, None] + size - common)
    return float(effective_number(alike[None], np.ones((1, len(counted))))[0])


def set_entropy(answers: AnswerSet) -> float | None:
    """The entropy of the answers under their probabilities, renormalised; nats.

    An answer that is there twice counts once.

    Raises:
        InvalidInput: an answer without its log-probability.

    Example:
        >>> both = AnswerSet(((), ()), keys=("a", "b"), logp=(-3.0, -3.0))
        >>> round(set_entropy(both), 6)
        0.693147
    """
    if answers.logp is None:
        raise InvalidInput(
            "an answer has no log-probability: give samples of a model that tells it"
        )
    once = dict(zip(answers.keys, answers.logp, strict=True))
    logs = np.array(list(once.values()), dtype=np.float64)
    if logs.max() == -np.inf:
        return None
    weights = np.exp(logs - logs.max())
    shares = weights[weights > 0] / weights.sum()
    return max(0.0, float(-(shares * np.log(shares)).sum()))


@dataclass(frozen=True)
class DiversityMeasure:
    """One of the family.

    Args:
        of_set: from a set, n and a kernel to a number; None: not defined there.
        unit: of the number.
        side: 1 where more means more diverse, -1 where less does.
        sources: as one would cite them.
    """

    of_set: Callable[[AnswerSet, int, Kernel], float | None]
    unit: str
    side: int
    sources: tuple[str, ...]


def _counts(answers: AnswerSet, n: int) -> Counter[tuple[Hashable, ...]]:
    found: Counter[tuple[Hashable, ...]] = Counter()
    for sequence in answers.sequences:
        found.update(ngrams(sequence, n))
    return found


_Grams = list[Counter[tuple[Hashable, ...]]]


def _bleu(
    own: _Grams, others: list[_Grams], length: int, other_lengths: list[int]
) -> float:
    logs = []
    for size, counts in enumerate(own):
        matched = sum(
            min(count, max(other[size][gram] for other in others))
            for gram, count in counts.items()
        )
        if not matched and size == 0:
            return 0.0
        logs.append(math.log((matched or _EPSILON) / max(1, counts.total())))
    nearest = min(other_lengths, key=lambda other: (abs(other - length), other))
    brevity = min(0.0, 1.0 - nearest / length)
    return math.exp(brevity + sum(logs) / len(logs))


DIVERSITY_MEASURES: Mapping[str, DiversityMeasure] = {
    "distinct_n": DiversityMeasure(
        lambda answers, n, _: distinct_n(answers, n), "1", 1, ("Li et al. (2016)",)
    ),
    "ngram_entropy": DiversityMeasure(
        lambda answers, n, _: ngram_entropy(answers, n),
        "nats",
        1,
        ("Zhang et al. (2018)",),
    ),
    "self_bleu": DiversityMeasure(
        lambda answers, n, _: self_bleu(answers, n),
        "1",
        -1,
        ("Zhu et al. (2018)", "Papineni et al. (2002)", "Chen & Cherry (2014)"),
    ),
    "pairwise_edit_distance": DiversityMeasure(
        lambda answers, *_: pairwise_edit_distance(answers),
        "1",
        1,
        ("Levenshtein (1966)",),
    ),
    "compression_ratio": DiversityMeasure(
        lambda answers, *_: compression_ratio(answers),
        "1",
        -1,
        ("Shaib et al. (2024)",),
    ),
    "set_vendi_score": DiversityMeasure(
        set_vendi_score, "1", 1, ("Friedman & Dieng (2023)",)
    ),
    "set_entropy": DiversityMeasure(
        lambda answers, *_: set_entropy(answers), "nats", 1, ("Shannon (1948)",)
    ),
}
"""The family, by name."""
