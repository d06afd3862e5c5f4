"""Measures of the samples' own probabilities: by hand, laws, what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, log
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nescio.consistency.answers import Answers, answers_of
from nescio.consistency.likelihood_measures import LIKELIHOOD_MEASURES
from nescio.consistency.likelihood_weighted import (
    answer_log_probability,
    answer_perplexity,
    cocoa,
    length_normalised_predictive_entropy,
    of_likelihoods,
    predictive_entropy,
    semantic_density,
    sentence_sar,
)
from nescio.consistency.similarity import similarities_from, similarities_of
from nescio.errors import InvalidInput, NotEnoughData
from nescio.outcome import Estimate
from nescio.trace import Prompt, Sample, Samples

MANY = (
    predictive_entropy,
    length_normalised_predictive_entropy,
    cocoa,
    semantic_density,
    sentence_sar,
)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a b", "a", "c", "b c a", ""]),
        st.floats(-30, 0),
        st.integers(1, 9),
    ),
    min_size=2,
    max_size=8,
)


def drawn(*rows: tuple[str, float | None, int | None], id: str = "") -> Answers:
    return answers_of(samples(*rows), id=id)


def samples(*rows: tuple[str, float | None, int | None]) -> Samples:
    return Samples(
        Prompt("q"),
        tuple(
            Sample(text, draw=place, total_logp=logp, token_count=tokens)
            for place, (text, logp, tokens) in enumerate(rows)
        ),
    )


def low_value_high(estimate: Estimate) -> tuple[Any, Any, Any]:
    return estimate.low, estimate.value, estimate.high


THREE = drawn(("a b", log(0.5), 2), ("a c", log(0.25), 2), ("d", log(0.25), 1))


def test_one_answer_has_its_log_probability_and_perplexity() -> None:
    assert answer_log_probability(THREE).value == pytest.approx(log(0.5))
    assert answer_log_probability(THREE, sample=2).value == pytest.approx(log(0.25))
    assert answer_perplexity(THREE).value == pytest.approx(2**0.5)
    assert answer_perplexity(THREE, sample=1).value == pytest.approx(2.0)
    alone = drawn(("x", -3.0, 3))
    assert answer_perplexity(alone).value == pytest.approx(exp(1))
    assert answer_perplexity(alone).kind == "exact"


def test_predictive_entropy_is_the_mean_surprisal_and_repeats_count() -> None:
    assert predictive_entropy(THREE).value == pytest.approx(5 / 3 * log(2))
    value = length_normalised_predictive_entropy(THREE).value
    assert value == pytest.approx(log(2) * (0.5 + 1 + 2) / 3)
    twice = drawn(*[("a", log(0.75), 1)] * 3, ("b", log(0.25), 1))
    expected = -0.75 * log(0.75) - 0.25 * log(0.25)
    assert predictive_entropy(twice).value == pytest.approx(expected)


def test_predictive_entropy_covers_that_of_the_distribution_drawn_from() -> None:
    p = np.array([0.5, 0.3, 0.15, 0.05])
    truth, rng, held = float(-(p * np.log(p)).sum()), np.random.default_rng(2), 0
    for seed in range(60):
        rows = [("abcd"[k], float(np.log(p[k])), 1) for k in rng.choice(4, 20, p=p)]
        found = predictive_entropy(drawn(*rows), resamples=400, seed=seed)
        low, _, high = low_value_high(found)
        held += low <= truth <= high
    assert held >= 52


def test_cocoa_is_surprisal_times_distance() -> None:
    # Of "a b": ROUGE-L 1/2 with "a c", 0 with "d".
    assert cocoa(THREE).value == pytest.approx(log(2) * (0.5 + 1.0) / 2)
    assert cocoa(THREE, per_token=True).value == pytest.approx(log(2) / 2 * 0.75)
    assert cocoa(THREE, sample=2).value == pytest.approx(log(4) * 1.0)
    assert cocoa(THREE, sample=1).recipe.settings["variant"] == "CoCoA MSP"
    assert cocoa(drawn(("a", -2.0, 1), ("a", -2.0, 1))).value == 0.0
    assert cocoa(drawn(("a", 0.0, 1), ("b", -9.0, 1))).value == 0.0


def test_semantic_density_weighs_different_texts_by_their_probability_per_token() -> (
    None
):
    # Weights sqrt(1/2), sqrt(1/4), 1/4; nearness to the first 1, 1/2, 0.
    weights = np.array([0.5**0.5, 0.5, 0.25])
    expected = weights @ [1.0, 0.5, 0.0] / weights.sum()
    assert semantic_density(THREE).value == pytest.approx(expected)
    rows = [("a b", log(0.5), 2), ("a c", log(0.25), 2), ("d", log(0.25), 1)]
    repeated = drawn(*rows, rows[1], rows[1])
    assert semantic_density(repeated).value == pytest.approx(expected)
    assert semantic_density(drawn(("a", -2.0, 1), ("a", -3.0, 1))).value == 1.0


def test_sentence_sar_lends_a_sample_what_is_like_it() -> None:
    p, near = np.array([0.5, 0.25, 0.25]), np.array([[0, 0.5, 0], [0.5, 0, 0], [0] * 3])
    for temperature in (1e-3, 1.0):
        expected = -np.log(p + near @ p / temperature).mean()
        found = sentence_sar(THREE, temperature=temperature).value
        assert found == pytest.approx(expected)
    apart = drawn(("a", -1.0, 1), ("b", -2.0, 1))
    assert sentence_sar(apart).value == pytest.approx(1.5)
    deep = drawn(("a", -5000.0, 9), ("b", -6000.0, 9))
    assert sentence_sar(deep).value == pytest.approx(5500.0)


@given(ROWS, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=25)
def test_ranges_hold_and_the_order_does_not_matter(
    rows: Sequence[tuple[str, float, int]], shuffler: object
) -> None:
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    for name, measure in LIKELIHOOD_MEASURES.items():
        first, second = (of_likelihoods(name, [drawn(*r)])[0] for r in (rows, shuffled))
        assert first == pytest.approx(second, rel=1e-9, abs=1e-9), name
        if measure.unit == "1" and measure.rises_with == "confidence":
            assert 0.0 <= first <= 1.0
        elif name == "answer_log_probability":
            assert first <= 0.0
        elif name != "sentence_sar":
            assert first >= 0.0


def test_the_family_at_once_is_each_function_by_itself() -> None:
    other = drawn(("x", -1.0, 2), ("y", -3.0, 1), ("x", -1.0, 2))
    for measure in (*MANY, answer_log_probability, answer_perplexity):
        together = of_likelihoods(measure.__name__, [THREE, other])
        alone = [measure(THREE).value, measure(other).value]
        np.testing.assert_allclose(together, alone)
    value = of_likelihoods("cocoa_per_token", [THREE])[0]
    assert value == pytest.approx(cocoa(THREE, per_token=True).value)


def test_every_interval_holds_its_value_and_few_samples_have_none() -> None:
    rng = np.random.default_rng(0)
    rows = [
        (str(rng.choice(list("abc"))), -float(rng.exponential()), 2) for _ in "x" * 9
    ]
    for measure in MANY:
        low, value, high = low_value_high(measure(drawn(*rows)))
        assert low <= value <= high
        assert low < high
        assert measure(THREE).low is None
        assert "no interval below 5 samples" in measure(THREE).population
    many = drawn(*[(str(i), -1.0, 1) for i in range(101)])
    assert "no interval above 100" in sentence_sar(many).population


def test_the_most_probable_sample_is_taken_and_of_equal_ones_the_first_by_name() -> (
    None
):
    tied = [("b", -1.0, 1), ("a", -1.0, 4), ("c", -2.0, 1)]
    for rows in (tied, tied[::-1]):
        assert answer_perplexity(drawn(*rows)).value == pytest.approx(exp(0.25))


def test_similarities_of_ones_own_are_used() -> None:
    judge = similarities_from(THREE, np.ones((3, 3)), name="judge")
    assert cocoa(THREE, similarity=judge).value == 0.0
    assert cocoa(THREE, similarity=judge).recipe.settings["similarity"] == "judge"
    with pytest.raises(InvalidInput, match="similarities of 2 for 3 samples"):
        cocoa(THREE, similarity=similarities_of(["a", "b"]))


def test_samples_without_probabilities_are_refused_by_name() -> None:
    lacking = samples(("a", -1.0, 1), ("b", None, 1), ("c", -2.0, None))
    for measure in MANY:
        with pytest.raises(
            InvalidInput, match=rf"{measure.__name__}.*sample 1 \(draw 1\)"
        ):
            measure(lacking)
        with pytest.raises(InvalidInput, match=r"q3: .*not all have a total_logp"):
            measure(answers_of(["a", "b"], id="q3"))
        with pytest.raises(NotEnoughData, match="at least 2 samples, not 1"):
            measure(drawn(("a", -1.0, 1)))
        with pytest.raises(InvalidInput, match="sample 1 has the log-probability -inf"):
            measure(drawn(("a", -1.0, 1), ("b", -np.inf, 1)))
    uncounted = samples(("a", -1.0, 1), ("c", -2.0, None))
    with pytest.raises(InvalidInput, match=r"sample 1 \(draw 1\) has no token_count"):
        answer_perplexity(uncounted)
    with pytest.raises(InvalidInput, match="sample 0 has no tokens"):
        semantic_density(drawn(("", -1.0, 0), ("c", -2.0, 1)))
    with pytest.raises(InvalidInput, match="there is no sample 3"):
        cocoa(THREE, sample=3)
    with pytest.raises(InvalidInput, match="temperature is 0"):
        sentence_sar(THREE, temperature=0)
    with pytest.raises(InvalidInput, match="unknown measure 'perplexity'"):
        of_likelihoods("perplexity", [THREE])


def test_a_perplexity_above_all_numbers_is_refused_and_no_number():
    with pytest.raises(InvalidInput, match="above all numbers"):
        answer_perplexity(drawn(("a", -1000.0, 1), ("b", -2000.0, 1)))


@pytest.mark.parametrize("logp", [0.5, np.inf, -np.inf, np.nan, -1e300])
def test_what_no_text_can_have_is_no_log_probability(logp):
    answers = answers_of(["a", "b"])
    given = replace(answers, total_logp=np.array([-1.0, logp]))
    with pytest.raises(InvalidInput, match="sample 1 has the log-probability"):
        predictive_entropy(given)
    rounded = replace(answers, total_logp=np.array([-1.0, 1e-6]))
    assert predictive_entropy(rounded).value == 0.5
