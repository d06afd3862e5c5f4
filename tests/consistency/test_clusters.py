"""Sets from pairs: components, complete link, triples, and sets put back on samples."""

from __future__ import annotations

import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nescio.consistency.agreement import agreement
from nescio.consistency.answers import INVALID, answers_of
from nescio.consistency.clusters import (
    answers_with_sets,
    complete_link,
    connected_components,
    non_transitive_triples,
)
from nescio.errors import InvalidInput

CHAIN = np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.8], [0.1, 0.8, 1.0]])


@st.composite
def similarities(draw: st.DrawFn) -> tuple[np.ndarray, list[str], list[int]]:
    """A symmetric similarity of few values (many ties), with texts and votes."""
    n = draw(st.integers(1, 8))
    seed = draw(st.integers(0, 2**32 - 1))
    levels = draw(st.integers(1, 4))
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.integers(0, levels + 1, (n, n)) / levels, 1)
    matrix = upper + upper.T + np.eye(n)
    texts = [chr(97 + int(k)) for k in rng.permutation(n)]
    return matrix, texts, rng.integers(1, 4, n).tolist()


def partition(labels: np.ndarray, names: list[str]) -> set[frozenset[str]]:
    return {
        frozenset(name for name, x in zip(names, labels, strict=True) if x == label)
        for label in set(labels.tolist())
    }


def test_a_chain_is_one_component_and_two_complete_sets() -> None:
    assert connected_components(CHAIN, threshold=0.7).tolist() == [0, 0, 0]
    assert complete_link(CHAIN, threshold=0.7).tolist() == [0, 0, 1]
    assert complete_link(CHAIN, threshold=0.85).tolist() == [0, 0, 1]
    assert complete_link(CHAIN, threshold=0.95).tolist() == [0, 1, 2]
    assert complete_link(CHAIN, threshold=0.1).tolist() == [0, 0, 0]


def test_the_threshold_itself_is_similar_enough() -> None:
    pair = np.array([[1.0, 0.5], [0.5, 1.0]])
    assert connected_components(pair, threshold=0.5).tolist() == [0, 0]
    assert connected_components(pair, threshold=0.5000001).tolist() == [0, 1]


def test_blocks_are_found_whatever_way() -> None:
    block = np.kron(np.eye(3), np.ones((2, 2))).astype(np.bool_)
    for labels in (connected_components(block), complete_link(block)):
        assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert non_transitive_triples(block).broken == 0


def test_two_are_the_same_only_if_both_directions_say_so() -> None:
    one_way = np.array([[True, True], [False, True]])
    assert connected_components(one_way).tolist() == [0, 1]
    assert complete_link(one_way).tolist() == [0, 1]


def test_nobody_is_unlike_himself() -> None:
    nothing = np.zeros((3, 3), dtype=np.bool_)
    assert connected_components(nothing).tolist() == [0, 1, 2]
    assert complete_link(np.zeros((1, 1)), threshold=0.9).tolist() == [0]


def test_ties_go_by_votes_and_then_by_text() -> None:
    path = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=np.bool_)
    texts = ["c", "b", "a"]
    assert complete_link(path, texts=texts, votes=[3, 1, 2]).tolist() == [0, 0, 1]
    assert complete_link(path, texts=texts, votes=[2, 1, 3]).tolist() == [0, 1, 1]
    assert complete_link(path, texts=texts).tolist() == [0, 1, 1]  # a with b, not c
    assert complete_link(path).tolist() == [0, 0, 1]  # no texts: the first row


@given(similarities(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_no_set(
    drawn: tuple[np.ndarray, list[str], list[int]], shuffler: object
) -> None:
    matrix, texts, votes = drawn
    order = list(range(len(texts)))
    shuffler.shuffle(order)
    moved = matrix[np.ix_(order, order)]
    names = [texts[k] for k in order]
    for threshold in (0.3, 0.6, 1.0):
        found = partition(
            complete_link(matrix, threshold=threshold, texts=texts, votes=votes), texts
        )
        again = complete_link(
            moved, threshold=threshold, texts=names, votes=[votes[k] for k in order]
        )
        assert partition(again, names) == found
        whole = partition(connected_components(matrix, threshold=threshold), texts)
        other = partition(connected_components(moved, threshold=threshold), names)
        assert other == whole
        assert all(any(part <= one for one in whole) for part in found)


@given(similarities())
def test_complete_sets_are_cliques_that_no_two_of_can_be_joined(
    drawn: tuple[np.ndarray, list[str], list[int]],
) -> None:
    matrix, texts, votes = drawn
    labels = complete_link(matrix, threshold=0.6, texts=texts, votes=votes)
    rows = [np.flatnonzero(labels == k) for k in range(labels.max() + 1)]
    for one in rows:
        assert matrix[np.ix_(one, one)].min() >= 0.6
    for one, other in combinations(rows, 2):
        assert matrix[np.ix_(one, other)].min() < 0.6


@given(similarities())
def test_complete_link_is_that_of_scipy_where_nothing_is_tied(
    drawn: tuple[np.ndarray, list[str], list[int]],
) -> None:
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    n = len(drawn[1])
    if n < 2:
        return
    rng = np.random.default_rng(n + int(drawn[0].sum() * 7))
    upper = np.triu(rng.random((n, n)), 1)
    matrix = upper + upper.T + np.eye(n)
    far = squareform(1.0 - matrix, checks=False)
    wanted = fcluster(linkage(far, "complete"), 0.5, criterion="distance")
    found = complete_link(matrix, threshold=0.5)
    assert partition(found, drawn[1]) == partition(wanted, drawn[1])


def joined_as_it_is_written(
    near: np.ndarray, votes: list[int], least: float
) -> list[tuple[int, ...]]:
    """The rule of `complete_link` read word by word; rows stand in order of text."""
    sets = [(row,) for row in range(len(near))]

    def rank(pair: tuple[tuple[int, ...], ...]) -> tuple[float, int, int, int]:
        one, other = pair
        alike = min(near[a, b] for a in one for b in other)
        many = sum(votes[row] for row in one + other)
        return (-alike, -many, min(one + other), max(min(one), min(other)))

    while pairs := [p for p in combinations(sets, 2) if -rank(p)[0] >= least]:
        one, other = min(pairs, key=rank)
        sets = [part for part in sets if part not in (one, other)]
        sets.append(tuple(sorted(one + other)))
    return sorted(sets)


@given(similarities(), st.sampled_from([0.2, 0.5, 1.0]))
def test_complete_link_joins_as_it_is_written(
    drawn: tuple[np.ndarray, list[str], list[int]], least: float
) -> None:
    matrix, texts, votes = drawn
    found = complete_link(matrix, threshold=least, texts=texts, votes=votes)
    order = np.argsort(texts)
    wanted = joined_as_it_is_written(
        matrix[np.ix_(order, order)], [votes[k] for k in order], least
    )
    named = {frozenset(texts[order[row]] for row in rows) for rows in wanted}
    assert partition(found, texts) == named


def test_a_thousand_answers_that_are_nearly_all_alike_take_no_minutes() -> None:
    rng = np.random.default_rng(0)
    upper = np.triu(rng.random((1000, 1000)) < 0.98, 1)
    dense = upper | upper.T | np.eye(1000, dtype=np.bool_)
    begin = time.process_time()
    labels = complete_link(dense)
    assert time.process_time() - begin < 3
    some = np.flatnonzero(labels == labels[0])
    assert dense[np.ix_(some, some)].all()


@given(similarities())
def test_equal_texts_are_one_answer_from_the_start(
    drawn: tuple[np.ndarray, list[str], list[int]],
) -> None:
    matrix, texts, votes = drawn
    rows = np.repeat(np.arange(len(texts)), votes)
    names = [texts[row] for row in rows]
    wide = matrix[np.ix_(rows, rows)]
    found = complete_link(wide, threshold=0.6, texts=names)
    by_votes = complete_link(matrix, threshold=0.6, texts=texts, votes=votes)
    assert partition(found, names) == partition(by_votes, texts)


@given(similarities())
def test_triples_are_those_one_counts(
    drawn: tuple[np.ndarray, list[str], list[int]],
) -> None:
    matrix = drawn[0]
    same = matrix >= 0.6
    pairs = [
        int(same[a, b]) + int(same[b, c]) + int(same[a, c])
        for a, b, c in combinations(range(len(matrix)), 3)
    ]
    found = non_transitive_triples(matrix, threshold=0.6)
    assert found.broken == pairs.count(2)
    assert found.linked == pairs.count(2) + pairs.count(3)
    assert found.total == len(pairs)
    assert found.share == (pairs.count(2) / len(pairs) if pairs else 0.0)
    if found.broken == 0:  # then both ways find the same sets
        assert (
            connected_components(matrix, threshold=0.6).tolist()
            == complete_link(matrix, threshold=0.6).tolist()
        )


def test_a_star_of_n_has_as_many_broken_triples_as_pairs_of_rays() -> None:
    star = np.eye(101, dtype=np.bool_)
    star[0] = star[:, 0] = True
    found = non_transitive_triples(star)
    assert (found.broken, found.linked, found.total) == (4950, 4950, 166650)
    assert (found.share, found.share_of_linked) == (4950 / 166650, 1.0)


def test_what_is_no_similarity_is_refused() -> None:
    for way in (connected_components, complete_link, non_transitive_triples):
        with pytest.raises(InvalidInput, match=r"shape \(2, 3\)"):
            way(np.zeros((2, 3)), threshold=0.5)
        with pytest.raises(InvalidInput, match="no answers"):
            way(np.zeros((0, 0)), threshold=0.5)
        with pytest.raises(InvalidInput, match="threshold None"):
            way(np.eye(2))
        with pytest.raises(InvalidInput, match=r"threshold 0\.5"):
            way(np.eye(2, dtype=np.bool_), threshold=0.5)
        with pytest.raises(InvalidInput, match=r"similarity\[0, 1\] is NaN"):
            way(np.array([[1.0, np.nan], [0.3, 1.0]]), threshold=0.5)
        with pytest.raises(InvalidInput, match="threshold -inf is not finite"):
            way(np.eye(2), threshold=-np.inf)
    with pytest.raises(InvalidInput, match="3 texts for 2 rows"):
        complete_link(np.eye(2), threshold=0.5, texts=["a", "b", "c"])
    with pytest.raises(InvalidInput, match="1 votes for 2 rows"):
        complete_link(np.eye(2), threshold=0.5, votes=[1])


def test_other_sets_are_put_on_the_same_samples() -> None:
    answers = answers_of(["six", "6", "", "6", "9"], id="q1")
    found = answers_with_sets(answers, [7, 7, -1, 7, 3], recipe={"equivalence": "mine"})
    assert found.labels.tolist() == [0, 0, INVALID, 0, 1]
    assert found.keys == ("6", "9")  # the key of the most frequent
    assert (found.id, found.texts) == (answers.id, answers.texts)
    assert found.votes.tolist() == [3, 1]
    assert agreement(found).value == pytest.approx(3 / 5)
    assert found.recipe == {"equivalence": "mine"}
    assert answers_with_sets(answers, answers.labels).recipe["regrouped"] is True
    tied = answers_with_sets(answers_of(["b", "a"]), [0, 0])
    assert tied.keys == ("b",)  # the first that appeared


def test_no_sample_and_no_answer_is_in_two_sets() -> None:
    answers = answers_of(["a", "b", "a", ""])
    with pytest.raises(InvalidInput, match="answer 'a' is in two sets"):
        answers_with_sets(answers, [0, 1, 1, -1])
    with pytest.raises(InvalidInput, match=r"sample 3 has label 0.*not valid"):
        answers_with_sets(answers, [0, 1, 0, 0])
    with pytest.raises(InvalidInput, match="sample 1 has label -1"):
        answers_with_sets(answers, [0, -1, 0, -1])
    with pytest.raises(InvalidInput, match="sample 3 has label -2"):
        answers_with_sets(answers, [0, 1, 0, -2])
    with pytest.raises(InvalidInput, match="2 labels for 4 samples"):
        answers_with_sets(answers, [0, 1])
    nothing = answers_with_sets(answers_of(["", ""]), [-1, -1])
    assert (nothing.keys, nothing.invalid) == ((), 2)
