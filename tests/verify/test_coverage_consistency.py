"""What numbers from few samples are worth: bias, coverage, the error of stopping early.

Sources are distributions over answers that are known, so every truth is a sum or a long
simulation. The quick tests are part of the suite; the long ones repeat them on more
sets of samples and write ``results/coverage_consistency.json``.

Intervals are "over redraws": they are to hold the mean of the measure over sets of as
many samples from the same source. That mean is not the measure of the source itself:
agreement of few samples is too high, their entropy too low, and no such interval says
so. Both are beside each other here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb, log
from typing import Any

import numpy as np
import pytest

from nescio.consistency.adaptive import AdaptiveRule, adaptive_answers
from nescio.consistency.adaptive_error import stated_error
from nescio.consistency.agreement import (
    agreement,
    consistency_entropy,
    consistency_entropy_by_samples,
    first_second_distance,
    of_votes,
)
from nescio.consistency.answers import Answers, answers_of
from nescio.consistency.semantic_entropy import semantic_entropies, semantic_entropy
from nescio.consistency.uncertainties import UNCERTAINTIES
from nescio.consistency.votes import tally
from nescio.outcome import Estimate
from nescio.uncertainty import wilson_interval
from tests.consistency.numbers import number
from tests.results import write_result

SOURCES: dict[str, np.ndarray] = {
    "two, even": np.array([0.5, 0.5]),
    "two, nearly sure": np.array([0.95, 0.05]),
    "three": np.array([0.7, 0.2, 0.1]),
    "four": np.array([0.4, 0.3, 0.2, 0.1]),
    "fifty": (1 / np.arange(1, 51)) / (1 / np.arange(1, 51)).sum(),
}
EVEN = {"hundred, even": np.full(100, 0.01)}
SIZES = (5, 10, 20, 40)
MEASURES: dict[str, Callable[..., Estimate]] = {
    "agreement": agreement,
    "first_second_distance": first_second_distance,
    "consistency_entropy": consistency_entropy,
    "consistency_entropy_by_samples": consistency_entropy_by_samples,
    "semantic_entropy_discrete": semantic_entropy,
}
ENTROPIES = ("discrete", "miller_madow", "chao_shen")
LONG_SETS, LONG_DRAWS = 100, 20_000
FOUND: dict[str, Any] = {}


def sets_of(shares: np.ndarray, n: int, sets: int, seed: int) -> list[Answers]:
    """Sets of n samples each, in random order."""
    rng = np.random.default_rng([seed, n, len(shares)])
    drawn = rng.choice(len(shares), size=(sets, n), p=shares)
    return [answers_of(list(map(str, row))) for row in drawn.tolist()]


def mean_of_redraws(name: str, questions: Sequence[Answers]) -> float:
    if name.startswith("semantic_entropy"):
        return float(semantic_entropies(questions).mean())
    return float(of_votes(name, tally(questions)).mean())


def bias_of_agreement(shares: np.ndarray, n: int, draws: int) -> float:
    rng = np.random.default_rng([7, n])
    return float(rng.multinomial(n, shares, draws).max(axis=1).mean() / n - shares[0])


def bias_of_two(share: float, n: int) -> float:
    """Exactly: the mean of max(k, n - k) / n over binomial k, less the larger share."""
    mean = sum(
        comb(n, k) * share**k * (1 - share) ** (n - k) * max(k, n - k)
        for k in range(n + 1)
    )
    return mean / n - max(share, 1 - share)


@pytest.mark.parametrize("share", [0.5, 0.7, 0.95])
@pytest.mark.parametrize("n", SIZES)
def test_the_bias_of_agreement_of_two_answers_is_the_binomial_sum(
    share: float, n: int
) -> None:
    seen = bias_of_agreement(np.array([share, 1 - share]), n, 40_000)
    assert seen == pytest.approx(bias_of_two(share, n), abs=4 * 0.5 / 200 / n**0.5)


def test_twenty_samples_of_two_even_answers_agree_by_nine_hundredths_too_much() -> None:
    assert bias_of_two(0.5, 20) == pytest.approx(comb(20, 10) / 2**21)
    assert bias_of_two(0.5, 20) == pytest.approx(0.0881, abs=1e-4)


@pytest.mark.parametrize("source", SOURCES)
def test_agreement_is_too_high_and_less_so_with_more_samples(source: str) -> None:
    bias = [bias_of_agreement(SOURCES[source], n, 20_000) for n in SIZES]
    if source == "two, nearly sure":
        assert max(map(abs, bias)) < 0.005  # the leader is nearly always the same
        return
    assert all(b > 0 for b in bias)
    assert bias == sorted(bias, reverse=True)


def coverage_of(source: str, n: int, sets: int, resamples: int) -> dict[str, Any]:
    """How often limits hold the mean over redraws, and where that mean lies."""
    shares = {**SOURCES, **EVEN}[source]
    many = sets_of(shares, n, 1500, seed=11)
    truth = {name: mean_of_redraws(name, many) for name in MEASURES}
    held, wide = dict.fromkeys(MEASURES, 0), dict.fromkeys(MEASURES, 0.0)
    for seed, answers in enumerate(sets_of(shares, n, sets, seed=13)):
        for name, measure in MEASURES.items():
            found = measure(answers, resamples=resamples, seed=seed)
            low, high = number(found.low), number(found.high)
            held[name] += low - 1e-9 <= truth[name] <= high + 1e-9
            wide[name] += (high - low) / sets
    return {
        name: {
            "mean over redraws": truth[name],
            "held": held[name] / sets,
            "mean width": wide[name],
        }
        for name in MEASURES
    }


@pytest.mark.parametrize("source", ["three", "four", "fifty", "hundred, even"])
def test_intervals_over_redraws_hold_the_mean_over_redraws(source: str) -> None:
    """Of fifty and a hundred answers most are not seen, which the limits allow for."""
    found = coverage_of(source, 20, sets=40, resamples=200)
    for name, one in found.items():
        if name == "consistency_entropy" and source == "hundred, even":
            continue  # 1 - H / log K is 0 wherever all answers differ
        assert one["held"] >= 0.8, name
        assert one["mean width"] > 0.05, name


@pytest.mark.verify
@pytest.mark.parametrize("source", [*SOURCES, *EVEN])
@pytest.mark.parametrize("n", SIZES)
def test_intervals_over_redraws_hold_it_in_many_sets(source: str, n: int) -> None:
    found = coverage_of(source, n, sets=LONG_SETS, resamples=200)
    FOUND.setdefault("coverage", {}).setdefault(source, {})[str(n)] = found
    for name, one in found.items():
        if name != "consistency_entropy" or source not in EVEN:
            assert one["held"] >= 0.85, (name, one)


def entropies_of(source: str, n: int, sets: int) -> dict[str, dict[str, float]]:
    """Bias and root mean square error of each estimate of the source's entropy."""
    shares = SOURCES[source]
    truth = float(-(shares * np.log(shares)).sum())
    questions = sets_of(shares, n, sets, seed=17)
    found = {}
    for name in ENTROPIES:
        measure = UNCERTAINTIES[f"semantic_entropy_{name}"]
        gap = measure.of_questions(questions, "safe") - truth
        found[name] = {
            "bias": float(gap.mean()),
            "root mean square error": float(np.sqrt((gap**2).mean())),
        }
    return found


@pytest.mark.parametrize("source", SOURCES)
def test_semantic_entropy_of_few_samples_is_too_low_and_corrections_help(
    source: str,
) -> None:
    found = entropies_of(source, 10, sets=600)
    plain = found["discrete"]["bias"]
    assert plain < 0
    assert abs(found["miller_madow"]["bias"]) < abs(plain)
    if source == "fifty":
        assert plain < -log(2)
        assert abs(found["chao_shen"]["bias"]) < abs(found["miller_madow"]["bias"])


def stopped_early(shares: np.ndarray, rule: AdaptiveRule, questions: int) -> Any:
    drawn = sets_of(shares, rule.most, questions, seed=19)
    return adaptive_answers(drawn, rule, resamples=200)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "rule", [AdaptiveRule(most=20), AdaptiveRule(0.8, 10)], ids=str
)
def test_the_stated_error_of_stopping_early_is_seen(
    source: str, rule: AdaptiveRule
) -> None:
    questions = 600
    found = stopped_early(SOURCES[source], rule, questions)
    stated = stated_error(rule, SOURCES[source], runs=4000)
    hits = round(number(found.changed.value) * questions)
    seen = wilson_interval(hits, questions, level=0.9999)
    error = stated.error
    low = number(error.value if error.low is None else error.low)
    high = number(error.value if error.high is None else error.high)
    assert low <= seen.high
    assert high >= seen.low
    mean = float(found.used.mean())
    spread = float(found.used.std()) / questions**0.5
    assert abs(mean - number(stated.samples.value)) < 4.5 * spread + 0.15


@pytest.mark.verify
def test_the_numbers_are_written_down() -> None:
    """Runs last: bias, entropies and stopping beside the coverage found above."""
    FOUND["bias of agreement"] = {
        source: {str(n): bias_of_agreement(shares, n, LONG_DRAWS) for n in SIZES}
        for source, shares in SOURCES.items()
    }
    FOUND["bias of semantic entropy"] = {
        source: {str(n): entropies_of(source, n, sets=4000) for n in SIZES}
        for source in SOURCES
    }
    rule = AdaptiveRule(most=20)
    FOUND["stopping early"] = {}
    for source, shares in SOURCES.items():
        found = stopped_early(shares, rule, 3000)
        stated = stated_error(rule, shares)
        FOUND["stopping early"][source] = {
            "stated": stated.error.to_dict(),
            "seen": found.changed.to_dict(),
            "samples stated": stated.samples.to_dict(),
            "samples seen": float(found.used.mean()),
        }
    if "coverage" in FOUND:  # not where this test is run by itself
        write_result(
            "coverage_consistency",
            FOUND,
            sources={name: shares.tolist() for name, shares in SOURCES.items()},
            sets=LONG_SETS,
            level=0.95,
        )
    biases = FOUND["bias of semantic entropy"]["four"]
    assert biases["5"]["discrete"]["bias"] < biases["40"]["discrete"]["bias"] < 0
