"""Similarities of samples: against the plain functions, repeats, what is refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nescio.consistency.answers import Sorting, answers_of
from nescio.consistency.bit_parallel import coded, common_lengths, edit_distances
from nescio.consistency.similarity import (
    SIMILARITIES,
    Similarities,
    cosine_similarities,
    similarities_from,
    similarities_of,
    similarities_of_all,
)
from nescio.errors import InvalidInput, NotEnoughData
from nescio.strings import (
    common_length,
    edit_distance,
    edit_similarity,
    jaccard,
    normalised,
    rouge_l,
)

TEXTS = st.lists(
    st.one_of(
        st.text("ab ,X", max_size=8),
        st.text(max_size=12),
        st.sampled_from(["東京 x", ""]),
    ),
    min_size=2,
    max_size=7,
)
PLAIN = {
    "exact": lambda one, other: float(normalised(one) == normalised(other)),
    "jaccard": jaccard,
    "rouge_l": lambda one, other: rouge_l(one, other).f,
    "edit": lambda one, other: edit_similarity(normalised(one), normalised(other)),
}


def by_hand(name: str, texts: list[str]) -> np.ndarray:
    """Of every two samples by the plain function; an empty one is like nothing."""
    found = np.eye(len(texts))
    for i, one in enumerate(texts):
        for j, other in enumerate(texts):
            if i != j:
                valid = one.strip() and other.strip()
                found[i, j] = PLAIN[name](one, other) if valid else 0.0
    return found


@pytest.mark.parametrize("name", SIMILARITIES)
@given(TEXTS)
@settings(deadline=None, max_examples=30)
def test_every_similarity_is_that_of_its_plain_function(
    name: str, texts: list[str]
) -> None:
    found = similarities_of(texts, by=name)
    np.testing.assert_allclose(found.full, by_hand(name, texts), atol=1e-9)
    assert found.counts.sum() == len(texts)
    # Sorted in another way, whose keys are not the texts, nothing else is compared.
    other = similarities_of(
        answers_of(texts, Sorting(recipe={"answer": "all"})), by=name
    )
    np.testing.assert_allclose(other.full, found.full, atol=1e-12)


@given(st.lists(TEXTS, min_size=1, max_size=5))
@settings(deadline=None, max_examples=40)
def test_many_questions_at_once_are_each_by_itself(questions: list[list[str]]) -> None:
    answers = [answers_of(texts) for texts in questions]
    for name in SIMILARITIES:
        together = similarities_of_all(answers, by=name)
        for one, found in zip(answers, together, strict=True):
            np.testing.assert_array_equal(
                found.full, similarities_of(one, by=name).full
            )


@given(
    st.lists(
        st.one_of(st.text("ab", max_size=70), st.text("abcdefgh", max_size=12)),
        min_size=2,
        max_size=6,
    )
)
@settings(deadline=None, max_examples=30)
def test_bits_of_an_array_count_what_bits_of_an_integer_count(texts: list[str]) -> None:
    one, other = np.triu_indices(len(texts), 1)
    pairs = [(texts[a], texts[b]) for a, b in zip(one, other, strict=True)]
    given_ = coded([texts])
    assert common_lengths(given_, one, other).tolist() == [
        common_length(a, b) for a, b in pairs
    ]
    assert edit_distances(given_, one, other).tolist() == [
        edit_distance(a, b) for a, b in pairs
    ]


@pytest.mark.parametrize("lengths", [(63, 64), (64, 64), (64, 65), (65, 66), (3, 2100)])
def test_sequences_at_the_edges_of_a_word_are_counted_right(
    lengths: tuple[int, int],
) -> None:
    rng = np.random.default_rng(5)
    texts = ["".join(rng.choice(list("abc"), size)) for size in lengths]
    one, other = np.array([0, 1]), np.array([1, 0])
    found = coded([texts])
    assert set(common_lengths(found, one, other).tolist()) == {common_length(*texts)}
    assert set(edit_distances(found, one, other).tolist()) == {edit_distance(*texts)}


def test_only_members_of_one_group_share_their_numbering() -> None:
    found = coded([["ab", "ba"], ["xy", "xz", "y"]])
    pairs = np.array([0, 2, 2]), np.array([1, 3, 4])
    assert common_lengths(found, *pairs).tolist() == [1, 1, 1]
    assert edit_distances(found, *pairs).tolist() == [2, 1, 1]


def test_repeats_are_one_item_and_asked_for_once() -> None:
    asked = []

    def same_length(one: str, other: str) -> float:
        asked.append((one, other))
        return float(len(one) == len(other))

    found = similarities_of(["aa", "b", "aa", "cc", "aa"], by=same_length)
    assert asked == [("aa", "b"), ("aa", "cc"), ("b", "cc")]
    assert found.counts.tolist() == [3, 1, 1]
    assert found.full[0].tolist() == [1.0, 0.0, 1.0, 1.0, 1.0]
    assert "same_length" in found.recipe["similarity"]


def test_samples_without_an_answer_are_like_nothing_but_themselves() -> None:
    for by in (*SIMILARITIES, lambda *_: 1.0):
        found = similarities_of(["", "a", " ", "a"], by=by)
        expected = np.eye(4)
        expected[1, 3] = expected[3, 1] = 1.0
        np.testing.assert_array_equal(found.full, expected)
        assert found.invalid == 2
    none = Sorting(extract=lambda _: None, recipe={"answer": "never"})
    found = similarities_of(answers_of(["a", "a"], none))
    np.testing.assert_array_equal(found.full, np.eye(2))
    given_ = similarities_from(answers_of(["", "a"]), np.ones((2, 2)), name="judge")
    np.testing.assert_array_equal(given_.full, np.eye(2))


def test_cosines_are_moved_into_zero_and_one() -> None:
    vectors = np.array([[1.0, 0.0], [0.0, 3.0], [-2.0, 0.0], [1e-200, 0.0]])
    found = cosine_similarities(["a", "b", "c", "d"], vectors)
    np.testing.assert_allclose(found.full[0], [1.0, 0.5, 0.0, 1.0])
    assert np.linalg.eigvalsh(found.full).min() > -1e-12
    with pytest.raises(InvalidInput, match="embedding of sample 1 is zero"):
        cosine_similarities(["a", "b"], np.array([[1.0], [0.0]]))
    with pytest.raises(InvalidInput, match="sample 0 is zero or not finite"):
        cosine_similarities(["a", "b"], np.array([[np.nan], [1.0]]))


def test_what_is_no_similarity_is_refused() -> None:
    with pytest.raises(InvalidInput, match="unknown similarity 'bleu'"):
        similarities_of(["a", "b"], by="bleu")
    with pytest.raises(InvalidInput, match=r"a similarity is 1\.5"):
        similarities_of(["a", "b"], by=lambda *_: 1.5)
    with pytest.raises(InvalidInput, match="a similarity is nan"):
        similarities_of(["a", "b"], by=lambda *_: np.nan)
    with pytest.raises(NotEnoughData, match="q7 has one sample"):
        similarities_of(answers_of(["a"], id="q7"))
    with pytest.raises(InvalidInput, match="for 2 samples"):
        similarities_from(["a", "b"], np.eye(3), name="mine")
    for wrong, message in (
        ([[1.0, 0.2], [0.4, 1.0]], "depends on their order"),
        ([[1.0, 2.0], [2.0, 1.0]], r"in \[0, 1\]"),
        ([[1.0, np.nan], [np.nan, 1.0]], r"in \[0, 1\]"),
        ([[0.5, 0.2], [0.2, 1.0]], "diagonal"),
    ):
        with pytest.raises(InvalidInput, match=message):
            similarities_from(["a", "b"], np.array(wrong), name="mine")
    with pytest.raises(InvalidInput, match="counts are not those"):
        Similarities(np.eye(2), np.array([1, 2]), np.array([0, 1]))


class Lengths:
    """A similarity of many texts at a time, which counts how it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, one: str, other: str) -> float:
        raise AssertionError(f"asked two by two: {one}, {other}")

    def matrix(self, texts: Sequence[str]) -> np.ndarray:
        self.asked.append(tuple(texts))
        sizes = np.array([len(text) for text in texts])
        return 1.0 / (1.0 + np.abs(sizes[:, None] - sizes))


def test_what_compares_many_at_a_time_is_asked_once_a_question():
    alike = Lengths()
    questions = [answers_of(["a", "bb", "a", ""]), answers_of(["c", "c"])]
    first, second = similarities_of_all(questions, by=alike)
    assert alike.asked == [("a", "bb")]
    assert first.full[0].tolist() == [1.0, 0.5, 1.0, 0.0]
    assert second.full.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    alike.matrix = lambda texts: np.full((len(texts), len(texts)), 2.0)
    with pytest.raises(InvalidInput, match=r"in \[0, 1\]"):
        similarities_of_all(questions, by=alike)
