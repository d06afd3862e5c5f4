"""Stopping early: when, at what stated risk, and with what result while sampling."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nescio.consistency.adaptive import (
    AdaptiveRule,
    adaptive_answers,
    fewest_more,
    lead_confidence,
    stopping_point,
)
from nescio.consistency.adaptive_error import stated_error
from nescio.consistency.adaptive_sampling import (
    AdaptiveDraws,
    adaptive_stream,
    sample_adaptively,
)
from nescio.consistency.adaptive_saved import saved_share
from nescio.consistency.answers import Sorting, answers_of
from nescio.decoding import Decoding, sample
from nescio.errors import EndpointError, InvalidInput
from nescio.models.table import read_table
from nescio.outcome import Estimate
from nescio.responses import Response, Source
from nescio.trace import Origin, Sample
from tests.consistency.numbers import number

ONE = Decoding(max_tokens=1)
GRID = [0.5, 0.505, 0.51, 0.52, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9, 0.97, 1.0]


@pytest.fixture
def letters(tmp_path):
    """A model of three answers, one of them usual."""
    table = {
        "tokens": ["a", "b", "c"],
        "rows": [
            {"after": [], "p": [0.6, 0.25, 0.15]},
            {"after": ["c"], "p": [0.1, 0.1, 0.8]},
        ],
    }
    path = tmp_path / "letters.json"
    path.write_text(json.dumps(table))
    return read_table(str(path))


def leader_of(labels: Iterable[int]) -> int | None:
    """Written anew: the most frequent, the first of equal ones, none of nothing."""
    votes = Counter(label for label in labels if label >= 0)
    return max(votes, key=votes.__getitem__, default=None)


@pytest.mark.parametrize(
    ("first", "second", "confidence"),
    [(3, 0, 0.9375), (4, 0, 0.96875), (0, 0, 0.5), (1, 0, 0.75), (6, 1, 247 / 256)],
)
def test_the_golden_confidences_of_a_lead(first, second, confidence):
    assert lead_confidence(first, second) == confidence


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_confidence_of_a_lead_is_the_incomplete_beta_function(first, second):
    from scipy.special import betainc

    expected = 1.0 - betainc(first + 1, second + 1, 0.5)
    assert lead_confidence(first, second) == pytest.approx(expected, abs=1e-12)


def test_negative_votes_are_refused():
    with pytest.raises(InvalidInput, match="-1"):
        lead_confidence(-1, 0)


@pytest.mark.parametrize(
    ("labels", "used", "leader", "reason"),
    [
        ([0, 0, 0, 0, 0], 4, 0, "lead"),
        ([0, 1, 1, 1, 1, 1, 1, 0], 7, 1, "lead"),
        ([0, 0, 0], 3, 0, "ended"),
        ([0, 1] * 20 + [1] * 9, 40, 0, "most"),
        ([-1] * 50, 40, None, "most"),
        ([-1, 0, 0, 0, 0, 0, 0], 7, 0, "lead"),
    ],
)
def test_it_stops_where_the_lead_suffices(labels, used, leader, reason):
    found = stopping_point(labels, AdaptiveRule())
    assert (found.used, found.leader, found.reason) == (used, leader, reason)


def test_never_before_the_least_number_of_samples():
    assert stopping_point([0] * 40, AdaptiveRule(least=11)).used == 11


def test_three_to_nothing_suffices_at_exactly_its_own_confidence():
    assert stopping_point([0] * 9, AdaptiveRule(confidence=0.9375)).used == 3
    assert stopping_point([0] * 9, AdaptiveRule(confidence=0.9376)).used == 4


@pytest.mark.parametrize(
    "options",
    [
        {"confidence": 0.5},
        {"confidence": 1.0},
        {"confidence": float("nan")},
        {"most": 1},
        {"most": 1001},
        {"least": 1},
        {"least": 41},
    ],
)
def test_rules_that_are_none_are_refused(options):
    with pytest.raises(InvalidInput):
        AdaptiveRule(**options)


def test_nothing_to_stop_is_refused():
    with pytest.raises(InvalidInput, match="no samples"):
        stopping_point([], AdaptiveRule())
    with pytest.raises(InvalidInput, match="no questions"):
        adaptive_answers([], AdaptiveRule())


@given(st.lists(st.integers(-1, 3), max_size=14), st.booleans())
def test_no_rule_stops_before_the_fewest_further_samples(labels, certain):
    rule = AdaptiveRule(most=14, certain=certain, confidence=0.8)
    more = fewest_more(labels, rule)
    if more == 0:
        assert stopping_point(labels, rule).reason != "ended"
        return
    for further in range(1, more):
        for label in {*labels, 4} - {-1}:
            longer = labels + [label] * further
            assert stopping_point(longer, rule).reason == "ended"
    best = [stopping_point([*labels, *[x] * more], rule) for x in {*labels, 4}]
    assert any(found.reason != "ended" for found in best)


@given(st.lists(st.integers(-1, 2), min_size=9, max_size=9))
def test_the_certain_rule_never_stops_at_another_leader(labels):
    rule = AdaptiveRule(most=9, certain=True)
    assert stopping_point(labels, rule).leader == leader_of(labels)


@pytest.mark.parametrize("share", GRID)
def test_at_95_percent_of_40_the_error_is_at_most_51_in_1000(share):
    found = stated_error(AdaptiveRule(), [share, 1 - share])
    assert found.error.kind == "exact"
    assert 0.0 <= number(found.error.value) <= 0.051
    assert found.used.sum() == pytest.approx(1.0, abs=1e-12)
    assert found.samples.value == pytest.approx(found.used @ np.arange(41))


def test_the_error_is_largest_where_both_answers_are_as_probable():
    errors = [stated_error(AdaptiveRule(), [p, 1 - p]).error.value for p in GRID]
    assert errors[0] == pytest.approx(0.0508, abs=5e-5)
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("share", GRID)
def test_the_certain_rule_has_no_error(share):
    rule = AdaptiveRule(certain=True)
    found = stated_error(rule, [share, 1 - share])
    assert found.error.value == 0.0
    assert number(found.samples.value) >= 21.0
    assert found.mode_error.value == pytest.approx(
        found.all_mode_error.value, abs=1e-12
    )


def test_the_certain_rule_has_no_error_for_three_answers_either():
    found = stated_error(AdaptiveRule(certain=True), [0.4, 0.35, 0.25], runs=2000)
    assert (found.error.value, found.error.kind) == (0.0, "exact")


def test_no_number_of_samples_controls_the_error_against_the_mode_near_a_tie():
    found = stated_error(AdaptiveRule(), [0.55, 0.45])
    tied_is_wrong = (
        number(found.all_mode_error.value) + number(found.all_tied.value) / 2
    )
    assert tied_is_wrong == pytest.approx(0.3156, abs=5e-5)  # P(Bin(40, .55) <= 20)
    assert found.all_mode_error.value == pytest.approx(0.2643, abs=5e-5)
    assert number(found.mode_error.value) > number(found.all_mode_error.value)
    assert number(found.error.value) < 0.05


@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize("shares", [[0.6, 0.4], [0.8, 0.2], [0.5, 0.5]])
def test_the_exact_error_is_that_of_all_sequences(shares, certain):
    rule = AdaptiveRule(confidence=0.85, most=9, certain=certain)
    error = mode = all_mode = used = 0.0
    modes = {label for label, share in enumerate(shares) if share == max(shares)}
    for labels in product((0, 1), repeat=9):
        mass = float(np.prod([shares[label] for label in labels]))
        stop, last = stopping_point(labels, rule), leader_of(labels)
        error += mass * (stop.leader != last)
        mode += mass * (stop.leader not in modes)
        all_mode += mass * (last not in modes)
        used += mass * stop.used
    found = stated_error(rule, shares)
    assert found.error.value == pytest.approx(error, abs=1e-12)
    assert found.mode_error.value == pytest.approx(mode, abs=1e-12)
    assert found.all_mode_error.value == pytest.approx(all_mode, abs=1e-12)
    assert found.samples.value == pytest.approx(used, abs=1e-12)


@pytest.mark.parametrize("certain", [False, True])
def test_the_simulated_error_of_three_answers_is_near_that_of_all_sequences(certain):
    rule = AdaptiveRule(confidence=0.8, most=7, least=3, certain=certain)
    shares = [0.45, 0.35, 0.2]
    truth = np.zeros(3)
    for labels in product((0, 1, 2), repeat=7):
        mass = float(np.prod([shares[label] for label in labels]))
        stop, last = stopping_point(labels, rule), leader_of(labels)
        truth += mass * np.array([stop.leader != last, stop.leader != 0, stop.used])
    found = stated_error(rule, shares, runs=20_000, level=0.999)
    simulated = (found.error, found.mode_error, found.samples)
    for estimate, value in zip(simulated, truth, strict=True):
        exact = estimate.kind == "exact"
        low = number(estimate.value if exact else estimate.low)
        high = number(estimate.value if exact else estimate.high)
        assert low - 1e-12 <= value <= high + 1e-12


@pytest.mark.parametrize("shares", [[], [0.5, 0.4], [1.2, -0.2], [float("nan")]])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(InvalidInput, match="sum to 1"):
        stated_error(AdaptiveRule(), shares)


def test_samples_that_are_there_are_stopped_and_counted():
    questions = [
        answers_of(["a"] * 10),
        answers_of(["a", "a", "a", "a", *["b"] * 6]),
        answers_of(["a", "b"] * 5),
        answers_of([""] * 10),
    ] * 5
    found = adaptive_answers(questions, AdaptiveRule(most=10))
    assert found.used.tolist() == [4, 4, 10, 10] * 5
    assert found.leaders[:4] == ("a", "a", "a", None)
    assert found.saved.value == 0.3
    assert found.changed.value == 0.25
    assert (
        number(found.saved.low) < number(found.saved.value) < number(found.saved.high)
    )
    assert number(found.changed.low) < 0.25 < number(found.changed.high)


def test_samples_after_the_most_are_as_if_not_drawn():
    long = answers_of(["a", "b"] * 3 + ["b"] * 30)
    found = adaptive_answers([long], AdaptiveRule(most=6))
    assert (found.used.tolist(), found.leaders) == ([6], ("a",))
    assert (found.saved.value, found.saved.low) == (0.0, None)


def test_a_share_of_everything_is_never_above_one():
    used = np.full(30, 2, dtype=np.int64)
    found = saved_share(used, np.full(30, 40, dtype=np.int64), settings={})
    assert (found.low, found.value, found.high) == (0.95, 0.95, 0.95)


def test_questions_that_were_drawn_together_count_as_one():
    rng = np.random.default_rng(0)
    sure = rng.random(12) < 0.5
    texts = [["a"] * 10 if one else list("abcdefghij") for one in np.repeat(sure, 8)]
    questions = [answers_of(row) for row in texts]
    cluster = [f"c{k // 8}" for k in range(len(questions))]
    rule = AdaptiveRule(most=10)
    alone = adaptive_answers(questions, rule)
    together = adaptive_answers(questions, rule, cluster=cluster)
    assert together.saved.value == alone.saved.value
    assert width(together.saved) > 2 * width(alone.saved)
    assert (together.saved.n_clusters, together.changed.n_clusters) == (12, 12)
    assert number(together.changed.high) == pytest.approx(0.2425, abs=1e-4)
    assert number(alone.changed.high) == pytest.approx(0.0385, abs=1e-4)
    few = adaptive_answers(questions[:32], rule, cluster=cluster[:32]).saved
    assert (few.low, few.high) == (None, None)
    with pytest.raises(InvalidInput, match="2 clusters for 96 questions"):
        adaptive_answers(questions, rule, cluster=["x", "y"])


def width(estimate: Estimate) -> float:
    return number(estimate.high) - number(estimate.low)


def taken(found) -> list[tuple[tuple[str, ...], tuple[int, ...]]]:
    return [
        (one.texts, tuple(sample.draw for sample in one.answers))
        for one in found.samples
    ]


def test_what_comes_out_does_not_depend_on_how_many_are_drawn_at_a_time(letters):
    prompts = ["a", "c", "b", "cc"]
    rule = AdaptiveRule(most=25)
    alone = sample_adaptively(letters, prompts, AdaptiveDraws(rule), decoding=ONE)
    assert alone.drawn == sum(stop.used for stop in alone.stops)  # none in vain
    for at_least in (2, 7, 25):
        for batch in (1, 5):
            together = sample_adaptively(
                letters,
                prompts,
                AdaptiveDraws(rule, at_least=at_least),
                decoding=Decoding(max_tokens=1, batch=batch),
            )
            assert taken(together) == taken(alone)
            assert together.stops == alone.stops
            assert together.saved.value == alone.saved.value
    assert together.drawn == 100


def test_the_draws_are_the_first_ones_of_plain_sampling(letters):
    found = sample_adaptively(letters, ["a"], decoding=ONE)
    all_of_them = sample(letters, "a", n=40, decoding=ONE)
    used = found.stops[0].used
    assert found.samples[0].texts == all_of_them.texts[:used]
    labels = answers_of(all_of_them).labels
    assert stopping_point(labels, AdaptiveRule()) == found.stops[0]


class Breaking:
    """A model that breaks off after some calls, and counts them."""

    def __init__(self, model: Any, calls: int = 10**9) -> None:
        self._model, self.calls, self.prefills = model, calls, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def extend(self, contexts: Any, tokens: Any) -> Any:
        self.calls -= 1
        if self.calls < 0:
            raise EndpointError("the connection was lost")
        self.prefills += sum(context.length == 0 for context in contexts)
        return self._model.extend(contexts, tokens)


@pytest.mark.parametrize("calls", [0, 1, 3, 7, 12])
def test_what_was_drawn_before_a_failure_is_kept_and_not_drawn_again(letters, calls):
    prompts, two = ["a", "c", "b", "cc"], Decoding(max_tokens=2, batch=3)
    draws = AdaptiveDraws(AdaptiveRule(most=15), seed=3)
    whole = sample_adaptively(letters, prompts, draws, decoding=two)
    drawn: list[tuple[int, Sample]] = []
    with pytest.raises(EndpointError, match="lost") as caught:
        sample_adaptively(
            Breaking(letters, calls), prompts, draws, decoding=two, drawn=drawn
        )
    assert f"{len(drawn)} answers were drawn" in caught.value.__notes__[0]
    kept = len(drawn)
    again = list(
        adaptive_stream(letters, prompts, draws, decoding=two, drawn=tuple(drawn))
    )
    assert kept + len(again) == whole.drawn
    found = sample_adaptively(letters, prompts, draws, decoding=two, drawn=drawn)
    assert taken(found) == taken(whole)


def test_a_prompt_is_read_once_a_round_whatever_is_drawn_of_it(letters):
    model = Breaking(letters)
    rule = AdaptiveRule(most=24)
    found = sample_adaptively(
        model, ["a", "c"], AdaptiveDraws(rule, at_least=24), decoding=ONE
    )
    assert (found.drawn, model.prefills) == (48, 2)


def test_draws_that_are_there_are_sorted_by_their_number(letters):
    found = sample_adaptively(letters, ["a"], decoding=ONE)
    drawn = [(0, one) for one in reversed(found.samples[0].answers)]
    again = sample_adaptively(Breaking(letters, 0), ["a"], decoding=ONE, drawn=drawn)
    assert taken(again) == taken(found)


def test_draws_that_cannot_be_its_own_are_refused(letters):
    def with_drawn(*drawn: tuple[int, Sample]) -> None:
        sample_adaptively(letters, ["a"], decoding=ONE, drawn=list(drawn))

    with pytest.raises(InvalidInput, match="of prompt 1"):
        with_drawn((1, Sample("a")))
    with pytest.raises(InvalidInput, match="twice"):
        with_drawn((0, Sample("a")), (0, Sample("b")))
    other = sample(letters, "a", n=2, seed=5, decoding=ONE).answers[0]
    with pytest.raises(InvalidInput, match="seed 5, not 0"):
        with_drawn((0, other))
    with pytest.raises(InvalidInput, match="list of prompts"):
        sample_adaptively(letters, "a")
    with pytest.raises(InvalidInput, match="at least 1 draw"):
        AdaptiveDraws(at_least=0)
    with pytest.raises(InvalidInput, match="seed"):
        AdaptiveDraws(seed=-1)


class Server:
    """Answers text alone, each question's by its seed, in an order of its own."""

    name, digest, answers_at_once = "server", "0", 4

    def __init__(self, allowed: int = 10**9) -> None:
        self.allowed = allowed

    def check(self, question: Any, drawing: Any) -> None: ...

    def answers(
        self, questions: Iterable[Any], _: Any
    ) -> Iterator[tuple[int, Response, Source]]:
        source = Source(Origin("server", "0", "0", "endpoint", "unknown"))
        for place, question in reversed(list(enumerate(questions))):
            if self.allowed == 0:
                raise EndpointError("no more requests are allowed")
            self.allowed -= 1
            yield place, Response(f"It is {question.seed % 3 // 2}."), source

    def streamed(self, question: Any, drawing: Any) -> Any: ...

    def scored(self, text: str, top: int) -> Any: ...

    @property
    def origin(self) -> Origin:
        return Origin("server", "0", "0", "endpoint", "unknown")

    @property
    def recipe(self) -> dict[str, Any]:
        return {}


def test_a_source_of_text_alone_is_sampled_and_its_limit_kept():
    prompts = [f"question {number}" for number in range(5)]
    sorting = Sorting(extract=lambda text: text.split()[-1], recipe={"answer": "last"})
    draws = AdaptiveDraws(AdaptiveRule(most=20), sorting)
    whole = sample_adaptively(Server(), prompts, draws)
    drawn: list[tuple[int, Sample]] = []
    with pytest.raises(EndpointError, match="no more requests"):
        sample_adaptively(Server(17), prompts, draws, drawn=drawn)
    assert len(drawn) == 17
    rest = Server(whole.drawn - 17)
    assert taken(sample_adaptively(rest, prompts, draws, drawn=drawn)) == taken(whole)
    assert rest.allowed == 0
    for answers, stop in zip(whole.answers, whole.stops, strict=True):
        assert answers.recipe == {"answer": "last"}
        assert answers.leader == stop.leader
        assert answers.total_logp is None
