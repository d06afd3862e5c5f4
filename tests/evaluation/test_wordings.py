"""Agreement within and across wordings: by hand, by brute force, and its laws."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nescio.consistency.answers import INVALID, Answers, answers_of
from nescio.errors import InvalidInput
from nescio.evaluation.wordings import pair_agreements, worded, wordings_found
from tests.consistency.numbers import number

TWO = ["{question}", "Say: {question}"]
SAMPLES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["a", "b", "c", ""])), max_size=12
)


def by_hand(answers: Answers, owner: list[int], wordings: int) -> tuple[float, float]:
    """Every pair, one by one."""
    labels = answers.labels.tolist()
    within: list[list[bool]] = [[] for _ in range(wordings)]
    across: dict[tuple[int, int], list[bool]] = {
        pair: [] for pair in combinations(range(wordings), 2)
    }
    for one, other in combinations(range(len(labels)), 2):
        same = labels[one] == labels[other] != INVALID
        if owner[one] == owner[other]:
            within[owner[one]].append(same)
        else:
            pair = (min(owner[one], owner[other]), max(owner[one], owner[other]))
            across[pair].append(same)
    return (
        float(np.mean([np.mean(one) for one in within])),
        float(np.mean([np.mean(one) for one in across.values()])),
    )


@settings(max_examples=25)
@given(SAMPLES)
def test_both_are_the_shares_of_equal_pairs(drawn):
    samples = drawn + [(w, text) for w in range(3) for text in ("a", "b")]
    owner = [one for one, _ in samples]
    answers = answers_of([text for _, text in samples])
    expected = by_hand(answers, owner, 3)
    assert pair_agreements(answers, owner, 3) == pytest.approx(expected)
    texts = ["{question}", "1 {question}", "2 {question}"]
    found = wordings_found(answers, owner, texts, resamples=200)
    assert found.within is not None
    assert found.difference is not None
    for estimate, value in zip((found.within, found.across), expected, strict=True):
        assert estimate.value == pytest.approx(value)
        assert 0.0 <= number(estimate.low) <= value + 1e-12
        assert value - 1e-12 <= number(estimate.high) <= 1.0
    assert number(found.difference.value) == pytest.approx(expected[0] - expected[1])


def test_wordings_that_agree_with_themselves_alone_by_hand():
    answers = answers_of(["a"] * 4 + ["b"] * 4)
    found = wordings_found(answers, [0] * 4 + [1] * 4, TWO)
    assert found.within is not None
    assert found.difference is not None
    assert (found.within.value, found.across.value) == (1.0, 0.0)
    assert found.difference.value == 1.0
    # 2 of the 70 ways to deal four and four are as far apart
    assert number(found.difference.p_value) == pytest.approx(2 / 70, abs=0.015)
    assert number(found.difference.null_level) == pytest.approx(0.0, abs=0.02)
    assert number(found.within.low) < 0.9  # four of four is not always
    assert found.leaders == 1
    assert [one.leader for one in found.wordings] == ["a", "b"]


def test_the_p_value_is_the_share_of_all_deals_that_are_as_far_apart():
    texts, owner = ["a", "a", "b", "a", "b", "b"], [0, 0, 0, 1, 1, 1]
    answers = answers_of(texts)
    here = by_hand(answers, owner, 2)
    reached = []
    for dealt in set(permutations(owner)):
        within, across = by_hand(answers, list(dealt), 2)
        reached.append(within - across >= here[0] - here[1] - 1e-12)
    found = wordings_found(answers, owner, TWO)
    assert found.difference is not None
    assert number(found.difference.p_value) == pytest.approx(np.mean(reached), abs=0.04)


def test_an_invalid_answer_agrees_with_no_other():
    answers = answers_of(["", "", "", ""])
    found = wordings_found(answers, [0, 0, 1, 1], TWO, resamples=200)
    assert found.within is not None
    assert (found.within.value, found.across.value) == (0.0, 0.0)
    assert [one.leader for one in found.wordings] == [None, None]
    assert found.leaders == 0


def test_one_answer_a_wording_has_no_agreement_within():
    found = wordings_found(
        answers_of(["a", "a", "b"]), [0, 1, 2], ["1{question}", *TWO]
    )
    assert (found.within, found.difference) == (None, None)
    assert found.across.value == pytest.approx(1 / 3)
    assert all(one.agreement is None for one in found.wordings)
    assert list(found.estimates) == ["agreement_across_wordings"]


@given(SAMPLES, st.randoms())
def test_no_order_of_the_samples_matters(drawn, random):
    samples = drawn + [(w, text) for w in range(3) for text in ("a", "b")]
    shuffled = random.sample(samples, len(samples))
    values = [
        pair_agreements(answers_of([t for _, t in these]), [w for w, _ in these], 3)
        for these in (samples, shuffled)
    ]
    assert values[0] == pytest.approx(values[1])


def test_intervals_hold_the_true_agreement_about_as_often_as_they_say():
    rng = np.random.default_rng(4)
    shares = np.array([[0.7, 0.2, 0.1], [0.4, 0.5, 0.1]])
    truth = {
        "within": float((shares**2).sum(axis=1).mean()),
        "across": float((shares[0] * shares[1]).sum()),
    }
    truth["difference"] = truth["within"] - truth["across"]
    held = dict.fromkeys(truth, 0)
    runs = 60
    for run in range(runs):
        texts = [
            "abc"[label] for row in shares for label in rng.choice(3, size=20, p=row)
        ]
        found = wordings_found(
            answers_of(texts), [0] * 20 + [1] * 20, TWO, resamples=200, seed=run
        )
        for name, value in truth.items():
            one = getattr(found, name)
            held[name] += number(one.low) <= value <= number(one.high)
    for count in held.values():
        assert 0.88 <= count / runs <= 1.0


@pytest.mark.parametrize(
    ("owner", "texts", "words"),
    [
        ([0, 0], ["{question}"], "needs two"),
        ([0, 0], TWO, "wording 1 has no answers"),
        ([0], TWO, "for each of the 2 samples"),
        ([0, 2], TWO, "below 2"),
    ],
)
def test_owners_that_cannot_be_are_refused(owner, texts, words):
    with pytest.raises(InvalidInput, match=words):
        wordings_found(answers_of(["a", "b"]), owner, texts)


def test_a_wording_without_the_placeholder_is_refused():
    with pytest.raises(InvalidInput, match=r"no \{question\}"):
        worded("What?", "Answer in one word.")
    assert worded("a {question}", "{question}{question}").text == (
        "a {question}a {question}"
    )
