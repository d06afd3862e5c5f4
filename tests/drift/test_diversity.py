"""Diversity by hand and against NLTK's BLEU, and what every measure has in common."""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nescio
from nescio.decoding import Decoding
from nescio.decoding.beam import Beam, beam_search
from nescio.drift.diversity import Cut, answer_set, diversity
from nescio.drift.diversity_measures import (
    DIVERSITY_MEASURES,
    AnswerSet,
    compression_ratio,
    distinct_n,
    ngram_entropy,
    pairwise_edit_distance,
    self_bleu,
    set_entropy,
    set_vendi_score,
)
from nescio.errors import InvalidInput, NotEnoughData
from nescio.trace import Sample, Samples
from nescio.trace.prompt import Prompt

SETS = [
    [
        "the cat sat on the mat today",
        "the cat sat on a mat",
        "a dog sat on the mat by the door",
    ],
    [
        "one two three four five",
        "six seven eight nine ten",
        "one two three six seven",
    ],
    ["a a a b", "a b a b a b", "b"],
]
NLTK_SELF_BLEU = {  # sentence_bleu of NLTK 3.10.4, SmoothingFunction().method1
    1: [0.7900970829000459, 0.6666666666666666, 0.4409947982490547],
    2: [0.6669453931341907, 0.5766585757688143, 0.2436910215778194],
    4: [0.5124795108116019, 0.2379689613274035, 0.07802433388854102],
}
WHOLE = Cut(truncate=False)


def of(*texts: str) -> AnswerSet:
    return answer_set(list(texts), WHOLE)


@pytest.mark.parametrize("n", NLTK_SELF_BLEU)
def test_self_bleu_is_that_of_nltk(n: int) -> None:
    found = [self_bleu(of(*texts), n) for texts in SETS]
    assert found == pytest.approx(NLTK_SELF_BLEU[n], abs=1e-12)


def test_numbers_by_hand() -> None:
    answers = of("a b a", "a b c")
    assert distinct_n(answers, 1) == pytest.approx(3 / 6)
    assert distinct_n(answers, 2) == pytest.approx(3 / 4)  # ab, ba, ab, bc
    shares = np.array([0.5, 0.25, 0.25])
    expected = -(shares * np.log(shares)).sum()
    assert ngram_entropy(answers, 2) == pytest.approx(expected)
    assert pairwise_edit_distance(answers) == pytest.approx(1 / 3)
    three = of("a b", "a c", "x y z")
    assert pairwise_edit_distance(three) == pytest.approx((0.5 + 1 + 1) / 3)
    raw = b"a b a\na b c"
    ratio = len(raw) / len(zlib.compress(raw, 9))
    assert compression_ratio(answers) == pytest.approx(ratio)


def test_the_vendi_score_by_hand() -> None:
    """Cosine ½ of two answers: eigenvalues ¾ and ¼."""
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    half = of("a b", "b c")
    assert set_vendi_score(half, 1) == pytest.approx(math.exp(entropy))
    third = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    assert set_vendi_score(half, 1, "jaccard") == pytest.approx(math.exp(third))
    assert set_vendi_score(of("a", "b", "c"), 1) == pytest.approx(3.0)
    assert set_vendi_score(of("a b", "a b"), 2) == pytest.approx(1.0)
    assert set_vendi_score(of("a", "b"), 2) == pytest.approx(1.0)  # no 2-gram: alike


def test_the_vendi_score_is_that_of_consistency() -> None:
    samples = ["12"] * 7 + ["13"] * 2 + ["7"]
    expected = nescio.vendi_score(samples).value
    assert set_vendi_score(of(*samples), 1, "jaccard") == pytest.approx(expected)


def test_the_entropy_of_a_set_is_of_its_different_answers() -> None:
    logs = tuple(math.log(p) for p in (0.2, 0.1, 0.2, 0.1))
    found = set_entropy(AnswerSet(((),) * 4, keys=("a", "b", "a", "c"), logp=logs))
    shares = np.array([0.5, 0.25, 0.25])
    assert found == pytest.approx(-(shares * np.log(shares)).sum())
    one = AnswerSet(((),) * 2, keys=("a", "a"), logp=(-1000.0, -1000.0))
    assert set_entropy(one) == 0.0
    never = AnswerSet(((),) * 2, keys=("a", "b"), logp=(-math.inf, -math.inf))
    assert set_entropy(never) is None
    half = AnswerSet(((),) * 2, keys=("a", "b"), logp=(-math.inf, -1.0))
    assert set_entropy(half) == 0.0


@given(
    st.lists(
        st.lists(st.sampled_from("abcd"), min_size=0, max_size=8).map(" ".join),
        min_size=2,
        max_size=6,
    ),
    st.integers(1, 3),
    st.sampled_from(["cosine", "jaccard"]),
)
def test_measures_stay_in_their_ranges_whatever_the_order(
    texts: list[str], n: int, kernel: str
) -> None:
    answers, turned = of(*texts), of(*reversed(texts))
    most = {
        "distinct_n": 1.0,
        "self_bleu": 1.0,
        "pairwise_edit_distance": 1.0,
        "set_vendi_score": len(texts),
        "ngram_entropy": math.log(8 * len(texts)),
        "compression_ratio": 1000.0,
    }
    for name, limit in most.items():
        value = DIVERSITY_MEASURES[name].of_set(answers, n, kernel)
        if value is None:
            continue
        assert 0.0 <= value <= limit + 1e-9
        again = DIVERSITY_MEASURES[name].of_set(turned, n, kernel)
        if name != "compression_ratio":
            assert again == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("name", sorted(DIVERSITY_MEASURES))
def test_different_answers_are_more_diverse_than_the_same(name: str) -> None:
    words = [f"w{i} x{i} y{i} z{i}" for i in range(6)]
    measure = DIVERSITY_MEASURES[name]

    def value(texts: list[str]) -> Any:
        answers = Samples(
            Prompt.of(""), tuple(Sample(t, total_logp=-2.0) for t in texts)
        )
        return measure.of_set(answer_set(answers, WHOLE), 2, "cosine")

    assert measure.side * value(words) > measure.side * value([words[0]] * 6)


def test_answers_are_cut_to_the_shortest_and_behind_their_common_beginning() -> None:
    texts = ["the cat sat here", "the cat ran", "the cat slept all day"]
    assert answer_set(texts, Cut()).sequences[0] == (b"the", b"cat", b"sat")
    suffix = answer_set(texts, Cut(suffix=True))
    assert suffix.sequences == ((b"sat",), (b"ran",), (b"slept",))
    whole = answer_set(texts, Cut(truncate=False, suffix=True))
    assert whole.sequences[2] == (b"slept", b"all", b"day")
    characters = answer_set(["né", "no"], Cut(unit="characters"))
    assert characters.sequences == ((b"n", "é".encode()), (b"n", b"o"))
    same = answer_set(["a b", "a b"], Cut(suffix=True))
    assert same.sequences == ((), ())


def test_tokens_are_those_of_the_model_without_control_tokens() -> None:
    model = nescio.load("table:pieces")
    samples = nescio.sample(model, "a", n=4, decoding=Decoding(6), seed=2)
    found = answer_set(samples, Cut(unit="tokens", truncate=False))
    for sequence, answer in zip(found.sequences, samples.answers, strict=True):
        assert b"".join(sequence).decode("utf-8", "replace") == answer.text
        assert b"" not in sequence
    with pytest.raises(InvalidInput, match="no trace"):
        diversity([["a", "b"]], cut=Cut(unit="tokens"))


def test_means_are_over_prompts_with_an_interval() -> None:
    rng = np.random.default_rng(0)
    sets = [
        [" ".join(rng.choice(list("abcdef"), 8)) for _ in range(4)] for _ in range(12)
    ]
    found: Any = diversity(sets)
    assert set(found) == set(DIVERSITY_MEASURES) - {"set_entropy"}
    for name, estimate in found.items():
        single = [diversity([one], measures=[name])[name] for one in sets]
        assert {one.kind for one in single} == {"exact"}
        mean = np.mean([one.value for one in single])
        assert estimate.value == pytest.approx(mean)
        assert estimate.low < estimate.value < estimate.high
        assert (estimate.n, estimate.level) == (12, 0.95)
        assert estimate.cite()
    few = diversity(sets[:4], measures=["distinct_n"])["distinct_n"]
    assert (few.low, few.high) == (None, None)
    assert "no interval below 5" in few.population


def test_sets_where_nothing_is_defined_are_left_out_and_counted() -> None:
    sets = [["a b", "a c"], ["", "x"], ["x", "y"]]
    found = diversity(sets, measures=["distinct_n"], cut=Cut(n=2))["distinct_n"]
    assert found.value == 1.0
    assert found.n == 1
    assert found.recipe.settings["left_out"] == 2
    with pytest.raises(NotEnoughData, match="long enough"):
        diversity(sets[1:], measures=["distinct_n"])


def test_beams_differ_more_behind_their_common_beginning() -> None:
    model = nescio.load("table:topics")
    found = beam_search(model, "a", beam=Beam(4), decoding=Decoding(10))
    whole: Any = diversity([found], cut=Cut(unit="tokens"))
    behind: Any = diversity([found], cut=Cut(unit="tokens", suffix=True))
    name = "pairwise_edit_distance"
    assert behind[name].value >= whole[name].value
    weights = np.exp([answer.total_logp for answer in found.answers])
    shares = weights / weights.sum()
    expected = -(shares * np.log(shares)).sum()
    assert whole["set_entropy"].value == pytest.approx(expected)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(InvalidInput, match="give a list"):
        diversity([])
    with pytest.raises(NotEnoughData, match="prompt 1 has one answer"):
        diversity([["a", "b"], ["a"]])
    with pytest.raises(InvalidInput, match="unknown"):
        diversity([["a", "b"]], measures=["beauty"])
    with pytest.raises(InvalidInput, match="no log-probability"):
        diversity([["a", "b"]], measures=["set_entropy"])
    with pytest.raises(InvalidInput, match="n of at least 1"):
        Cut(n=0)
