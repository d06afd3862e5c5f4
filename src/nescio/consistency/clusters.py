"""Sets of the same answer from pairs: when no key says which answers are the same.

A similarity with a threshold, or a judge (:mod:`nescio.consistency.judging`), says of
two answers whether they are the same, which need not be transitive. Two ways to sets,
each sample in one:

- `connected_components`: whatever is linked, if by a chain, is one set. A single wrong
  pair joins two sets.
- `complete_link`: all of a set are the same pair by pair. The most similar sets are
  joined first.

How far they can differ, `non_transitive_triples` says; it is 0 where both agree with
every pair. Two answers are the same only if both directions say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import comb
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from nescio.consistency.answers import INVALID, Answers
from nescio.errors import InvalidInput

__all__ = [
    "Similarity",
    "Triples",
    "answers_with_sets",
    "complete_link",
    "connected_components",
    "non_transitive_triples",
]

Similarity = Bool[np.ndarray, "_ _"] | Float[np.ndarray, "_ _"]
"""Whether two answers are the same, or how similar they are, a row an answer."""


@dataclass(frozen=True)
class Triples:
    """How often "a is as b, b is as c" did not make "a is as c".

    Args:
        broken: triples of which two pairs are the same and the third is not.
        linked: triples of which at least two pairs are the same.
        total: all triples.
    """

    broken: int
    linked: int
    total: int

    @property
    def share(self) -> float:
        """Of all triples; 0 where there is none."""
        return self.broken / self.total if self.total else 0.0

    @property
    def share_of_linked(self) -> float:
        """Of those that put transitivity to the test; 0 where there is none."""
        return self.broken / self.linked if self.linked else 0.0


def connected_components(
    similarity: Similarity, *, threshold: float | int | None = None
) -> Int[np.ndarray, " n"]:
    """Sets as connected components: linked by a chain of pairs that are the same.

    The sets do not depend on the order of the rows; there are no ties to break.

    Args:
        similarity: whether two are the same, or how similar they are, [n, n].
        threshold: from which similarity two are the same; None for a bool matrix.

    Returns:
        The set of each, [n], numbered from 0 in the order of first appearance.

    Raises:
        InvalidInput: no square matrix, NaN, a threshold missing or one too many.

    Example:
        >>> chain = np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.8], [0.1, 0.8, 1.0]])
        >>> connected_components(chain, threshold=0.7).tolist()
        [0, 0, 0]
    """
    from scipy.sparse.csgraph import connected_components as components

    same = _similar(similarity, threshold) >= _least(threshold)
    return _by_appearance(components(same, directed=False)[1])


def complete_link(
    similarity: Similarity,
    *,
    threshold: float | int | None = None,
    texts: Sequence[str] | None = None,
    votes: Sequence[int] | Int[np.ndarray, " n"] | None = None,
) -> Int[np.ndarray, " n"]:
    """Sets within which every pair is the same, the most similar joined first.

    Two sets are as similar as their least similar pair. Of equally similar pairs of
    sets the one with most samples is joined, then the one with the first text in the
    order of code points, then that whose other set has. Equal texts are one from the
    start. So the order of the rows does not matter, as long as there are texts.

    Args:
        similarity, threshold: as for `connected_components`.
        texts: what the rows are, to break ties; None: the row that comes first wins,
            and another order may give other sets.
        votes: how many samples each row stands for; None: one.

    Returns:
        The set of each, [n], numbered from 0 in the order of first appearance.

    Raises:
        InvalidInput: as `connected_components`; texts or votes of other rows.

    Example:
        >>> chain = np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.8], [0.1, 0.8, 1.0]])
        >>> complete_link(chain, threshold=0.7).tolist()
        [0, 0, 1]

    Source: Sørensen (1948), complete linkage.
    """
    near = _similar(similarity, threshold)
    for name, column in (("texts", texts), ("votes", votes)):
        if column is not None and len(column) != len(near):
            raise InvalidInput(f"{len(column)} {name} for {len(near)} rows")
    place = np.arange(len(near))
    if texts is not None:
        place = np.unique(np.array(texts, dtype=object), return_inverse=True)[1]
    size = np.bincount(place, None if votes is None else np.array(votes, np.float64))
    near = _of_different(near, place)
    least = _least(threshold)
    sets = np.arange(len(near))
    whole = connected_components(near, threshold=least)
    for component in range(int(whole.max()) + 1):
        rows = np.flatnonzero(whole == component)
        if len(rows) > 1:
            sets[rows] = rows[_linked(near[np.ix_(rows, rows)], least, size[rows])]
    return _by_appearance(sets[place])


def non_transitive_triples(
    similarity: Similarity, *, threshold: float | int | None = None
) -> Triples:
    """How many triples have two pairs that are the same and a third that is not.

    Exact: pairs of neighbours are counted less those that are neighbours themselves.

    Args:
        similarity, threshold: as for `connected_components`.

    Raises:
        InvalidInput: as `connected_components`.

    Example:
        >>> chain = np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.8], [0.1, 0.8, 1.0]])
        >>> non_transitive_triples(chain, threshold=0.7).share
        1.0
    """
    same = _similar(similarity, threshold) >= _least(threshold)
    linked = same.astype(np.float64)
    np.fill_diagonal(linked, 0.0)
    degree = linked.sum(axis=1)
    forks = round(float((degree * (degree - 1.0)).sum()) / 2.0)
    triangles = round(float(((linked @ linked) * linked).sum()) / 6.0)
    broken = forks - 3 * triangles
    return Triples(broken, broken + triangles, comb(len(same), 3))


def answers_with_sets(
    answers: Answers,
    labels: Sequence[int] | Int[np.ndarray, " n"],
    *,
    recipe: Mapping[str, Any] | None = None,
) -> Answers:
    """The same samples sorted into other sets, each a union of those there were.

    Args:
        answers: of one question.
        labels: the set of each sample, [n], in any numbers from 0; -1 for samples
            without a valid answer.
        recipe: how they were found; None: that of the answers, ``regrouped``.

    Returns:
        Answers with sets numbered by first appearance. The key of a set is that of its
        most frequent answer; of equally frequent ones the first that appeared.

    Raises:
        InvalidInput: labels of other samples; a sample that is valid in one and not in
            the other; an answer in two sets.

    Example:
        >>> from nescio.consistency.answers import answers_of
        >>> found = answers_with_sets(answers_of(["6", "six", "9"]), [4, 4, 2])
        >>> found.labels.tolist(), found.keys
        ([0, 0, 1], ('6', '9'))
    """
    given = np.array(labels, dtype=np.int64)
    if given.shape != answers.labels.shape:
        raise InvalidInput(f"{len(given)} labels for {len(answers)} samples")
    wrong = np.flatnonzero((given < 0) != (answers.labels == INVALID))
    if len(wrong) or given.min() < INVALID:
        place = int(wrong[0]) if len(wrong) else int(given.argmin())
        raise InvalidInput(
            f"sample {place} has label {given[place]}, and its answer is "
            f"{'not ' if answers.labels[place] == INVALID else ''}valid: -1 marks "
            "samples without a valid answer, and no others"
        )
    valid = given >= 0
    new = np.full(len(given), INVALID)
    new[valid] = _by_appearance(given[valid])
    pairs = sorted(
        set(zip(answers.labels[valid].tolist(), new[valid].tolist(), strict=True))
    )
    for (old, _), (again, _) in pairwise(pairs):
        if old == again:
            raise InvalidInput(
                f"answer {answers.keys[old]!r:.60} is in two sets; sort the samples by "
                "what is the same beyond doubt first"
            )
    keys: dict[int, int] = {}
    for old, into in pairs:
        best = keys.setdefault(into, old)
        if answers.votes[old] > answers.votes[best]:
            keys[into] = old
    how = {**answers.recipe, "regrouped": True} if recipe is None else dict(recipe)
    return Answers(
        answers.texts,
        new,
        tuple(answers.keys[keys[number]] for number in range(len(keys))),
        how,
        answers.question,
        answers.id,
        answers.total_logp,
        answers.token_count,
    )


def _similar(
    similarity: np.ndarray, threshold: float | int | None
) -> Float[np.ndarray, "n n"]:
    """The lesser similarity of the two directions; of each to itself: infinite."""
    if similarity.ndim != 2 or similarity.shape[0] != similarity.shape[1]:
        raise InvalidInput(
            f"a similarity of shape {similarity.shape}: give one row and column each"
        )
    if not len(similarity):
        raise InvalidInput("no answers: there is nothing to sort into sets")
    if (similarity.dtype == np.bool_) != (threshold is None):
        raise InvalidInput(
            f"threshold {threshold}: a matrix of true and false has none, "
            "one of similarities needs it"
        )
    numbers = similarity.astype(np.float64)
    if np.isnan(numbers).any():
        place = tuple(np.argwhere(np.isnan(numbers))[0].tolist())
        raise InvalidInput(f"similarity{list(place)} is NaN")
    if threshold is not None and not np.isfinite(threshold):
        raise InvalidInput(f"threshold {threshold} is not finite")
    numbers = np.minimum(numbers, numbers.T)
    np.fill_diagonal(numbers, np.inf)
    return numbers


def _least(threshold: float | int | None) -> float:
    return 1.0 if threshold is None else float(threshold)


def _by_appearance(labels: np.ndarray) -> Int[np.ndarray, " n"]:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[inverse]


def _of_different(
    near: Float[np.ndarray, "n n"], place: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "m m"]:
    """The least similarity of rows at two places; places are sorted and all there."""
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(int(place.max()) + 1))
    rows = np.minimum.reduceat(near[np.ix_(order, order)], starts, axis=0)
    different = np.minimum.reduceat(rows, starts, axis=1)
    np.fill_diagonal(different, np.inf)
    return different


def _linked(
    similar: Float[np.ndarray, "m m"], least: float, votes: np.ndarray
) -> Int[np.ndarray, " m"]:
    """The first row of the set of each row, joined as long as the threshold allows.

    Rows are in the order that breaks ties; a set stands where its first row stood.
    Each row keeps its best partner: the nearest, of equally near ones that with most
    votes, of those the first. Only rows whose partner was joined look for another.
    """
    near, size = similar.copy(), votes.astype(np.float64)
    np.fill_diagonal(near, -np.inf)
    sets, rows = np.arange(len(near)), np.arange(len(near))
    mate = np.array([_partner(row, size) for row in near], dtype=np.int64)
    best = near[rows, mate]
    while (nearest := best.max()) >= least:
        keep = int(np.where(best == nearest, size + size[mate], -np.inf).argmax())
        gone = int(mate[keep])
        keep, gone = min(keep, gone), max(keep, gone)
        near[keep] = near[:, keep] = np.minimum(near[keep], near[gone])
        near[gone] = near[:, gone] = near[keep, keep] = -np.inf
        size[keep] += size[gone]
        sets[sets == gone] = keep
        best[gone] = -np.inf
        mate[gone] = gone
        # As near as before and with more votes now: the set that grew may win.
        tied = (near[keep] == best) & (mate != keep) & (rows != gone)
        better = (size[keep] > size[mate]) | (
            (size[keep] == size[mate]) & (keep < mate)
        )
        mate[tied & better] = keep
        stale = (mate == gone) | ((mate == keep) & (near[keep] < best))
        stale[[keep, gone]] = True, False
        for row in np.flatnonzero(stale).tolist():
            mate[row] = _partner(near[row], size)
            best[row] = near[row, mate[row]]
    return sets


def _partner(near: Float[np.ndarray, " m"], size: Float[np.ndarray, " m"]) -> int:
    """The nearest; of equally near ones that with most votes, of those the first."""
    return int(np.where(near == near.max(), size, -np.inf).argmax())
