"""Graph measures: closed forms on blocks, brute force on whole matrices, laws."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nescio.consistency.answers import answers_of
from nescio.consistency.graph import (
    GRAPH_MEASURES,
    degree_uncertainty,
    eccentricity,
    eigenvalue_uncertainty,
    kernel_language_entropy,
    of_graph,
    vendi_score,
)
from nescio.consistency.lexical import LEXICAL_MEASURES
from nescio.consistency.similarity import (
    Similarities,
    similarities_from,
    similarities_of,
    similarities_of_all,
)
from nescio.errors import InvalidInput, NotEnoughData

ONE = {
    "eigenvalue_uncertainty": eigenvalue_uncertainty,
    "degree_uncertainty": degree_uncertainty,
    "eccentricity": eccentricity,
    "kernel_language_entropy": kernel_language_entropy,
    "vendi_score": vendi_score,
}
BLOCKS = st.lists(st.integers(1, 6), min_size=1, max_size=5).filter(
    lambda sizes: sum(sizes) > 1
)
WORDS = st.lists(st.sampled_from(["a b c", "a b", "b a", "c d a", "e", ""]), min_size=2)


def sampled(sizes: Sequence[int]) -> list[str]:
    return [f"w{place}" for place, size in enumerate(sizes) for _ in range(size)]


def naive(name: str, whole: np.ndarray, time: float = 0.3) -> float:
    """The definition on the whole [n, n] matrix, every sample a row."""
    size = len(whole)
    degrees = whole.sum(axis=1)
    laplacian = np.eye(size) - whole / np.sqrt(np.outer(degrees, degrees))
    values, vectors = np.linalg.eigh(laplacian)
    if name == "eigenvalue_uncertainty":
        return float(np.maximum(0.0, 1.0 - values).sum())
    if name == "degree_uncertainty":
        return float(1.0 - whole.mean())
    if name == "eccentricity":
        places = vectors[:, values < 0.9 - 1e-9]
        return float(np.linalg.norm(places - places.mean(axis=0)))
    if name == "vendi_score":
        return exp(shannon(np.linalg.eigvalsh(whole / size)))
    plain = np.diag(degrees) - whole
    low, base = np.linalg.eigh(plain)
    kernel = (base * np.exp(-time * low)) @ base.T
    ends = np.sqrt(np.diagonal(kernel))
    return shannon(np.linalg.eigvalsh(kernel / np.outer(ends, ends) / size))


def shannon(shares: np.ndarray) -> float:
    kept = shares[shares > 1e-15]
    return float(-(kept * np.log(kept)).sum())


def test_the_golden_numbers_of_seven_two_and_one() -> None:
    samples = sampled([7, 2, 1])
    assert eigenvalue_uncertainty(samples).value == pytest.approx(3.0)
    assert degree_uncertainty(samples).value == pytest.approx(0.46)
    assert vendi_score(samples).value == pytest.approx(2.229592, abs=5e-7)
    assert vendi_score(samples).value == pytest.approx(exp(0.801819), abs=5e-6)
    assert eccentricity(samples).value == pytest.approx(sqrt(2.0))


@given(BLOCKS)
@settings(deadline=None)
def test_blocks_of_any_sizes_have_their_closed_forms(sizes: list[int]) -> None:
    found = similarities_of(sampled(sizes), by="exact")
    n, shares = sum(sizes), np.array(sizes) / sum(sizes)
    value = {name: of_graph(name, [found])[0] for name in GRAPH_MEASURES}
    assert value["eigenvalue_uncertainty"] == pytest.approx(len(sizes))
    assert value["degree_uncertainty"] == pytest.approx(1 - (shares**2).sum())
    assert value["eccentricity"] == pytest.approx(sqrt(len(sizes) - 1), abs=1e-6)
    assert value["vendi_score"] == pytest.approx(exp(shannon(shares)))
    entropy = 0.0
    for m in sizes:  # within a block the heat kernel has one value 1, the rest e^-tm
        cold = exp(-0.3 * m)
        weight = 1.0 / (n * (cold + (1.0 - cold) / m))
        entropy -= weight * log(weight)
        entropy -= (m - 1) * cold * weight * log(cold * weight)
    assert value["kernel_language_entropy"] == pytest.approx(entropy)


def test_heat_leaves_doubt_even_where_all_answers_are_the_same() -> None:
    at: dict[int, Any] = {
        n: kernel_language_entropy(["a"] * n).value for n in (2, 5, 20, 80)
    }
    assert at[20] == pytest.approx(0.315889, abs=1e-6)
    assert 0.0 < at[80] < at[20] < at[5]
    long = kernel_language_entropy(["a"] * 20, time=100).value
    assert long == pytest.approx(0.0, abs=1e-9)
    assert kernel_language_entropy(["a", "b", "c"]).value == pytest.approx(log(3))


@pytest.mark.parametrize("by", ["exact", "jaccard", "rouge_l", "edit"])
@given(WORDS)
@settings(deadline=None, max_examples=50)
def test_different_samples_with_their_counts_give_what_the_whole_matrix_gives(
    by: str, texts: list[str]
) -> None:
    found = similarities_of(texts, by=by)
    for name in GRAPH_MEASURES:
        if name == "vendi_score" and by in ("rouge_l", "edit"):
            continue
        value = of_graph(name, [found])[0]
        assert value == pytest.approx(naive(name, found.full), abs=1e-6), name


@given(st.integers(2, 8), st.integers(0, 10**6))
@settings(deadline=None)
def test_any_kernel_keeps_the_ranges_and_the_identity_of_the_degrees(
    n: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    vectors = np.abs(rng.normal(size=(n, 3)))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    kernel = np.clip(vectors @ vectors.T, 0.0, 1.0)
    found = similarities_from(sampled([1] * n), kernel, name="random")
    value = {name: of_graph(name, [found])[0] for name in GRAPH_MEASURES}
    assert value["eigenvalue_uncertainty"] == pytest.approx(
        (1.0 / found.full.sum(axis=1)).sum(), abs=1e-5
    )
    assert 1.0 <= value["eigenvalue_uncertainty"] <= n
    assert 0.0 <= value["degree_uncertainty"] <= 1.0 - 1.0 / n
    assert 0.0 <= value["eccentricity"] <= sqrt(n - 1.0)
    assert 0.0 < value["kernel_language_entropy"] <= log(n)
    assert 1.0 <= value["vendi_score"] <= n
    for name, number in value.items():
        assert number == pytest.approx(naive(name, found.full), abs=1e-5)


def no_kernel() -> Similarities:
    """A path: each end is like the middle, and they are unlike each other."""
    path = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    return similarities_from(["a", "b", "c"], path, name="path")


def test_without_a_kernel_the_sum_of_eigenvalues_is_above_that_of_the_degrees() -> None:
    value = of_graph("eigenvalue_uncertainty", [no_kernel()])[0]
    # 1 - λ: 1, 1/2, -1/6
    assert value == pytest.approx(1.5)
    assert value > 1 / 2 + 1 / 3 + 1 / 2


def test_vendi_refuses_what_is_no_kernel() -> None:
    with pytest.raises(InvalidInput, match=r"eigenvalue -0\.138 n are no positive"):
        vendi_score(no_kernel())
    words = ["ab", "b", "ba", "a", "aab", "bb"]
    assert np.linalg.eigvalsh(similarities_of(words, by="edit").full).min() < -0.01
    with pytest.raises(InvalidInput, match="use exact, jaccard or a cosine"):
        vendi_score(words, similarity="edit")


def test_eigenvalues_that_tie_do_not_make_the_eccentricity_hang_on_a_basis() -> None:
    sizes = [3, 3, 3, 3]
    found = similarities_of(sampled(sizes), by="exact")
    assert of_graph("eccentricity", [found])[0] == pytest.approx(sqrt(3))
    # An eigenvalue of 0.9 up to rounding is not counted: 1 - λ = (1 - s)/(1 + s) = .1.
    for s, expected in ((9 / 11, 0.0), (9 / 11 - 1e-6, 1.0)):
        pair = np.array([[1.0, s], [s, 1.0]])
        two = similarities_from(["a", "b"], pair, name="two")
        assert of_graph("eccentricity", [two])[0] == pytest.approx(expected, abs=1e-6)


@given(WORDS, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=30)
def test_the_order_of_the_samples_does_not_matter(
    texts: list[str], shuffler: object
) -> None:
    shuffled = list(texts)
    shuffler.shuffle(shuffled)
    for name in GRAPH_MEASURES:
        by = "jaccard" if name == "vendi_score" else "rouge_l"
        first, second = (
            of_graph(name, [similarities_of(given_, by=by)])[0]
            for given_ in (texts, shuffled)
        )
        assert first == pytest.approx(second, abs=1e-7)


def test_neither_do_the_limits_hang_on_the_order() -> None:
    texts = ["a b c", "a b", "a b c", "d", "a b c", "a b"]
    for name, measure in ONE.items():
        first, second = measure(texts), measure(texts[::-1])
        assert first.low == pytest.approx(second.low, abs=1e-7), name
        assert first.high == pytest.approx(second.high, abs=1e-7), name


@given(st.lists(WORDS, min_size=1, max_size=6))
@settings(deadline=None, max_examples=30)
def test_many_at_once_are_each_by_itself(questions: list[list[str]]) -> None:
    found = similarities_of_all([answers_of(q) for q in questions], by="jaccard")
    for name in GRAPH_MEASURES:
        together = of_graph(name, found)
        alone = [of_graph(name, [one])[0] for one in found]
        np.testing.assert_allclose(together, alone, atol=1e-7)


def test_samples_that_all_say_nothing_are_never_certain() -> None:
    for name, measure in ONE.items():
        estimate = measure(["", " ", "", ""])
        most = {
            "eigenvalue_uncertainty": 4.0,
            "degree_uncertainty": 0.75,
            "eccentricity": sqrt(3),
            "kernel_language_entropy": log(4),
            "vendi_score": 4.0,
        }[name]
        assert estimate.value == pytest.approx(most)
        assert (estimate.low, estimate.high) == (None, None)
        assert "no sample has a valid answer" in estimate.population


def test_one_sample_unknown_names_and_times_that_are_none_are_refused() -> None:
    for measure in ONE.values():
        with pytest.raises(NotEnoughData, match="one sample"):
            measure(["a"])
    with pytest.raises(InvalidInput, match="unknown measure 'eigv'"):
        of_graph("eigv", [no_kernel()])
    with pytest.raises(InvalidInput, match="no questions"):
        of_graph("vendi_score", [])
    for time in (0, -1.0, np.inf):
        with pytest.raises(InvalidInput, match="time is"):
            kernel_language_entropy(["a", "b"], time=time)


def test_too_many_different_samples_have_no_interval_and_it_is_said() -> None:
    estimate = eigenvalue_uncertainty([str(i) for i in range(101)])
    assert estimate.value == pytest.approx(101.0)
    assert estimate.low is None
    assert "more than 100 different samples" in estimate.population


@pytest.mark.parametrize("shares", [[0.9, 0.1], [0.4, 0.3, 0.2, 0.1]])
def test_intervals_over_redraws_cover_the_mean_of_redraws(shares: list[float]) -> None:
    texts = ["one two three", "one two", "three four", "five"]
    rng, n, sets = np.random.default_rng(11), 12, 30
    names = ["eigenvalue_uncertainty", "degree_uncertainty", "vendi_score"]

    def drawn(times: int) -> list[list[str]]:
        rows = rng.multinomial(n, shares, times)
        return [
            [
                text
                for text, count in zip(texts, row, strict=False)
                for _ in range(count)
            ]
            for row in rows
        ]

    many = similarities_of_all([answers_of(q) for q in drawn(1500)], by="jaccard")
    truth = {name: of_graph(name, many).mean() for name in names}
    held = dict.fromkeys(names, 0)
    for seed, question in enumerate(drawn(sets)):
        found = similarities_of(question, by="jaccard")
        for name in names:
            estimate = ONE[name](found, resamples=200, seed=seed)
            held[name] += estimate.low - 1e-9 <= truth[name] <= estimate.high + 1e-9
    assert min(held.values()) / sets > 0.87, held


def test_the_recipe_says_how_the_interval_was_found():
    for measure in (degree_uncertainty, kernel_language_entropy):
        recipe = measure(["a", "b", "a"], resamples=200).recipe
        assert "Good and Turing" in recipe.settings["interval"]
        assert recipe.settings["redraws"] == 8
        assert any("Good (1953)" in line for line in recipe.sources)
    assert recipe.settings["time"] == 0.3


@pytest.mark.parametrize("name", [*GRAPH_MEASURES, *LEXICAL_MEASURES])
@pytest.mark.parametrize("alone", [0, 1, 5])
@pytest.mark.parametrize("texts", [["a b", "a c", "a b", "d"], ["a"] * 4, ["a", "b"]])
def test_samples_that_are_like_nothing_count_as_rows_of_their_own(name, alone, texts):
    measure = {**GRAPH_MEASURES, **LEXICAL_MEASURES}[name].of
    found = similarities_of(texts, by="jaccard")
    items, counts = len(found.matrix), found.counts.astype(np.float64)
    whole = np.eye(items + alone)
    whole[:items, :items] = found.matrix
    rows = np.append(counts, np.ones(alone))
    counted = measure(found.matrix[None], counts[None], np.array([float(alone)]))
    written = measure(whole[None], rows[None], np.zeros(1))
    assert counted == pytest.approx(written, abs=1e-9)
    if alone > 1:  # nothing else was drawn
        only = measure(found.matrix[None], 0 * counts[None], np.array([float(alone)]))
        apart = measure(np.eye(alone)[None], np.ones((1, alone)), np.zeros(1))
        assert only == pytest.approx(apart, abs=1e-9)
