"""Probability and quality: exact on tables, Spearman against scipy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

import nescio
from nescio.decoding import Decoding
from nescio.decoding.beam import beam_search
from nescio.drift.quality import (
    _spearman,
    probability_quality,
    string_entropy,
    typicality,
)
from nescio.errors import InvalidInput, NotEnoughData
from nescio.kernel import Sampling
from nescio.trace import Sample, Samples
from nescio.trace.prompt import Prompt
from tests.traces import make_trace


def answers(*logp: float | None) -> Samples:
    drawn = (Sample("x", draw=i, total_logp=p) for i, p in enumerate(logp))
    return Samples(Prompt.of("?"), tuple(drawn))


def test_gaps_by_hand() -> None:
    """H of the others: (3 + 8)/2, (1 + 8)/2, (1 + 3)/2."""
    found = typicality(answers(-1.0, -3.0, -8.0))
    assert [one.entropy for one in found] == [5.5, 4.5, 2.0]
    assert [one.gap for one in found] == [4.5, 1.5, 6.0]
    assert {one.token_gap for one in found} == {None}
    beams = typicality(answers(-1.0, -9.0), own=answers(-3.0, -5.0))
    assert [one.gap for one in beams] == [3.0, 5.0]


def test_the_gap_of_tokens_is_the_mean_distance_from_the_entropy() -> None:
    trace = make_trace(["a", "b"], [-1.0, -4.0], entropy=[2.0, 2.0])
    drawn = (Sample("ab", draw=i, trace=trace, total_logp=-5.0) for i in range(2))
    found = typicality(Samples(Prompt.of("?"), tuple(drawn)))
    assert found[0].token_gap == pytest.approx(1.5)
    assert found[0].gap == 0.0


def test_the_entropy_of_strings_is_that_of_the_table() -> None:
    model = nescio.load("table:topics")
    exact = sum(-p * math.log(p) for _, p in model.enumerate(3))
    own = nescio.sample(model, "", n=150, decoding=Decoding(3), seed=5)
    found: Any = string_entropy(own)
    assert found.low <= exact <= found.high
    assert found.high - found.low < 0.8
    assert (found.unit, found.n) == ("nats", 150)
    few = string_entropy(Samples(own.prompt, own.answers[:4]))
    assert few.low is None


def test_leaving_the_answer_out_makes_its_entropy_unbiased() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.exponential(2.0, (300, 4))
    found = [typicality(answers(*(-row).tolist()))[0] for row in drawn]
    others = np.array([one.entropy for one in found])
    assert abs(np.corrcoef(others, drawn[:, 0])[0, 1]) < 0.15
    assert others.mean() == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize("ties", [False, True])
def test_the_correlation_is_that_of_scipy(ties: bool) -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(2, 40))
    if ties:
        one, other = np.round(one), np.round(other)
    whole = _spearman(one, other, np.ones((1, 40)))[0]
    assert whole == pytest.approx(spearmanr(one, other).statistic, abs=1e-12)
    counts = rng.integers(0, 4, (5, 40))
    found = _spearman(one, other, counts)
    for row, value in zip(counts, found, strict=True):
        expected = spearmanr(np.repeat(one, row), np.repeat(other, row)).statistic
        assert value == pytest.approx(expected, abs=1e-12)


def test_ratings_that_follow_typicality_are_found_to() -> None:
    rng = np.random.default_rng(3)
    questions = [answers(*(-rng.exponential(5.0, 6)).tolist()) for _ in range(20)]
    ratings = [[-one.gap for one in typicality(q)] for q in questions]
    found: Any = probability_quality(questions, ratings=ratings)
    typical = found["rating_by_typicality"]
    assert typical.value == pytest.approx(1.0)
    assert found["rating_by_typicality_within"].value == pytest.approx(1.0)
    assert found["rating_by_probability"].value < 0.9
    assert (typical.n, typical.n_clusters) == (120, 20)
    assert found["rating_by_probability"].low < found["rating_by_probability"].high
    gaps = [one.gap for q in questions for one in typicality(q)]
    mean = found["typicality_gap"]
    assert mean.value == pytest.approx(np.mean(gaps))
    assert mean.low < mean.value < mean.high
    assert "token_typicality_gap" not in found


def test_chance_ratings_have_an_interval_about_zero_at_its_level() -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(25):
        questions = [answers(*(-rng.exponential(5.0, 5)).tolist()) for _ in range(20)]
        ratings = rng.normal(size=(20, 5)).tolist()
        found = probability_quality(questions, ratings=ratings, resamples=200)
        one: Any = found["rating_by_typicality"]
        covered += one.low <= 0.0 <= one.high
    assert covered >= 20  # of 24 expected


def test_one_question_is_resampled_by_answers_and_few_have_no_interval() -> None:
    rng = np.random.default_rng(5)
    single = answers(*(-rng.exponential(5.0, 30)).tolist())
    ratings = [rng.normal(size=30).tolist()]
    found = probability_quality([single], ratings=ratings)
    assert found["rating_by_typicality"].low is not None
    assert "rating_by_typicality_within" not in found
    assert "answers to this question" in found["typicality_gap"].population
    two = probability_quality([single, single])
    assert two["typicality_gap"].low is None


def test_traces_give_the_gap_of_tokens() -> None:
    model = nescio.load("table:topics")
    questions = [
        nescio.sample(model, p, n=3, decoding=Decoding(20), seed=1) for p in "abcde"
    ]
    found: Any = probability_quality(questions)["token_typicality_gap"]
    assert found.unit == "nats/token"
    assert 0.0 < found.low < found.high < math.log(6)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(InvalidInput, match="answer 1 has the log-probability None"):
        typicality(answers(-1.0, None))
    with pytest.raises(InvalidInput, match="log-probability -inf"):
        typicality(answers(-math.inf, -1.0))
    with pytest.raises(NotEnoughData, match="one answer"):
        typicality(answers(-1.0))
    with pytest.raises(InvalidInput, match="give a list"):
        probability_quality([])
    with pytest.raises(InvalidInput, match="own answers to 0 of 1"):
        probability_quality([answers(-1.0, -2.0)], own=[])
    two = [answers(-1.0, -2.0)]
    with pytest.raises(InvalidInput, match=r"ratings for \[1\]"):
        probability_quality(two, ratings=[[1.0]])
    with pytest.raises(InvalidInput, match="not finite"):
        probability_quality(two, ratings=[[1.0, math.nan]])
    with pytest.raises(NotEnoughData, match="are the same"):
        probability_quality([answers(-1.0, -2.0, -7.0)], ratings=[[1.0, 1.0, 1.0]])


def test_own_answers_have_to_be_drawn_from_the_model_as_it_is() -> None:
    model = nescio.load("table:topics")
    how = Decoding(5, Sampling(temperature=0.7))
    cold = nescio.sample(model, "a", n=3, decoding=how)
    with pytest.raises(InvalidInput, match=r"temperature.*0\.7"):
        string_entropy(cold)
    own = nescio.sample(model, "a", n=3, decoding=Decoding(5))
    assert len(typicality(cold, own=own)) == 3
    with pytest.raises(InvalidInput, match="made with beam"):
        typicality(beam_search(model, "a", decoding=Decoding(3)))
