"""EntCE: by hand, and against its closed form on tables."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import nescio
from nescio.drift.continuations import Continuations
from nescio.drift.curves import Limits
from nescio.drift.entropy_gap import entropy_gap, entropy_gap_change
from nescio.drift.exact import exact_entropy_by_step, exact_log_loss_by_step
from nescio.drift.protocol import ContinuationPlan, continue_documents
from nescio.errors import InvalidInput
from tests.drift.tables import ends, make_table, random_table, texts_of
from tests.traces import ORIGIN, make_trace

OWN = replace(ORIGIN, decoding={"kind": "generate", "sampling": {"temperature": 1.0}})
HUMAN = replace(ORIGIN, decoding={"kind": "score"})


def by_hand(pairs, tokens="abcdefgh") -> Continuations:
    """Continuations with these own entropies and human surprisals."""
    own, human = [], []
    for entropies, surprisals in pairs:
        own.append(
            make_trace(tokens[: len(entropies)], -1.0, entropy=entropies, origin=OWN)
        )
        human.append(
            make_trace(tokens[: len(surprisals)], [-s for s in surprisals],
                       entropy=0.5, origin=HUMAN)
        )  # fmt: skip
    return Continuations(tuple(map(str, range(len(own)))), tuple(own), tuple(human))


def test_the_gap_is_mean_entropy_less_mean_log_loss() -> None:
    found = entropy_gap(by_hand([([3.0, 1.0], [1.0, 2.0]), ([2.0, 2.0], [1.0, 1.0])]))
    estimates = found.estimates
    assert estimates["own_entropy_rate"].value == 2.0
    assert estimates["human_log_loss"].value == 1.25
    assert estimates["entropy_gap"].value == 0.75
    assert estimates["entropy_gap"].unit == "nats/token"
    assert estimates["own_entropy_rate_exponential"].value == pytest.approx(math.e**2)
    assert estimates["human_perplexity"].value == pytest.approx(math.exp(1.25))
    curve = found.curves["entropy_gap_by_step"]
    assert curve.value.tolist() == [1.5, 0.0]
    assert found.curves["own_entropy_by_step"].value.tolist() == [2.5, 1.5]
    assert found.curves["human_log_loss_by_step"].value.tolist() == [1.0, 1.5]
    assert "no interval: 2 texts" in estimates["entropy_gap"].population


def test_by_byte_each_side_is_divided_by_its_own_bytes() -> None:
    own = make_trace(["é", "é"], -1.0, entropy=3.0, origin=OWN)
    human = make_trace(["a", "b"], -1.0, entropy=1.0, origin=HUMAN)
    found = entropy_gap(Continuations(("a",), (own,), (human,)))
    assert found.estimates["entropy_gap"].value == 2.0
    assert found.estimates["entropy_gap_per_byte"].value == pytest.approx(6 / 4 - 2 / 2)
    assert found.estimates["entropy_gap_per_byte"].unit == "nats/byte"


def test_only_steps_count_at_which_both_go_on() -> None:
    found = entropy_gap(by_hand([([1.0, 1.0], [0.0, 0.0, 9.0]), ([5.0], [2.0, 9.0])]))
    assert found.estimates["entropy_gap"].value == pytest.approx(5 / 3)
    assert found.curves["entropy_gap_by_step"].value.tolist() == [2.0, 1.0]
    assert found.curves["entropy_gap_by_step"].documents.tolist() == [2, 1]


def test_a_straight_line_has_its_slope_exactly_and_surely() -> None:
    steps = np.arange(8)
    pairs = [
        ((1.0 + 0.25 * steps + level).tolist(), (2.0 - 0.125 * steps).tolist())
        for level in range(6)
    ]
    found = entropy_gap(by_hand(pairs)).estimates
    assert found["own_entropy_slope"].value == pytest.approx(25.0, rel=1e-6)
    assert found["human_log_loss_slope"].value == pytest.approx(-12.5, rel=1e-6)
    gap = found["entropy_gap_slope"]
    assert gap.value == pytest.approx(37.5, rel=1e-6)
    assert (gap.low, gap.high) == pytest.approx((37.5, 37.5), rel=1e-6)
    assert gap.unit == "nats/token per 100 tokens"
    assert gap.to("bits").value == pytest.approx(37.5 / math.log(2))


def test_the_slope_is_that_of_least_squares_over_all_tokens() -> None:
    rng = np.random.default_rng(0)
    pairs = [
        (rng.exponential(size=n).tolist(), rng.exponential(size=8).tolist())
        for n in (8, 3, 5, 8, 2, 8)
    ]
    step = np.concatenate([np.arange(1, len(own) + 1) for own, _ in pairs])
    gap = np.concatenate([np.subtract(own, human[: len(own)]) for own, human in pairs])
    expected = 100 * np.polyfit(step, gap, 1)[0]
    found = entropy_gap(by_hand(pairs)).estimates["entropy_gap_slope"]
    assert found.value == pytest.approx(expected, rel=1e-5)
    low, value, high = ends(found)
    assert low < value < high


@pytest.fixture(scope="module")
def tables():
    return random_table(11, tokens="abc"), random_table(2, tokens="abc")


@pytest.fixture(scope="module")
def drawn(tables):
    model, source = tables
    texts = texts_of(source, texts=200, length=25, seed=3)
    plan = ContinuationPlan(1, 24, seed=5, batch=100)
    return continue_documents(model, texts, plan=plan)


def exact_means(tables, drawn):
    """Own entropy and human log loss by step, over the prompts there are."""
    model, source = tables
    first = np.array([int(trace.token_ids[0]) for trace in drawn.own])
    share = np.bincount(first, minlength=3) / len(first)
    own, human = np.zeros(24), np.zeros(24)
    for token in range(3):
        own += share[token] * exact_entropy_by_step(model, 24, given=(token,))
        human += share[token] * exact_log_loss_by_step(
            model, source, 24, given=(token,)
        )
    return own, human


def test_every_curve_holds_its_closed_form(tables, drawn) -> None:
    own, human = exact_means(tables, drawn)
    assert np.abs(own - human).mean() > 0.1  # there is something to see
    found = entropy_gap(drawn, limits=Limits(0.999, 0, 20_000, "simultaneous")).curves
    for name, truth in (
        ("own_entropy_by_step", own),
        ("human_log_loss_by_step", human),
        ("entropy_gap_by_step", own - human),
    ):
        curve = found[name]
        low, _, high = ends(curve)
        assert (low - 1e-6 <= truth).all()
        assert (truth <= high + 1e-6).all()
        assert (high - low).max() < 1.5
        assert curve.band == "simultaneous"


def test_the_whole_gap_holds_its_closed_form(tables, drawn) -> None:
    own, human = exact_means(tables, drawn)
    found = entropy_gap(drawn, limits=Limits(level=0.99)).estimates["entropy_gap"]
    low, _, high = ends(found)
    assert low < (own - human).mean() < high
    assert high - low < 0.2
    assert found.n_clusters == 200
    assert found.recipe.settings["plain_sampling"]


@pytest.mark.verify
def test_intervals_cover_the_closed_form_as_often_as_they_say(tables) -> None:
    model, source = tables
    share, inside = source.stationary()[1], 0
    truth = sum(
        share[token]
        * (
            exact_entropy_by_step(model, 8, given=(token,)).mean()
            - exact_log_loss_by_step(model, source, 8, given=(token,)).mean()
        )
        for token in range(3)
    )
    for seed in range(60):
        texts = texts_of(source, texts=30, length=9, seed=seed)
        plan = ContinuationPlan(1, 8, seed=seed, batch=30)
        found = continue_documents(model, texts, plan=plan)
        one = entropy_gap(found, limits=Limits(resamples=400)).estimates["entropy_gap"]
        low, _, high = ends(one)
        inside += low <= truth <= high
    assert inside >= 52  # 57 expected; 51 or fewer once in 100


def test_a_model_on_its_own_source_has_no_gap() -> None:
    source = random_table(4, tokens="abc", order=1)
    texts = texts_of(source, texts=100, length=21)
    plan = ContinuationPlan(1, 20, batch=100)
    found = entropy_gap(
        continue_documents(source, texts, plan=plan), limits=Limits(level=0.99)
    ).estimates
    for name in ("entropy_gap", "entropy_gap_per_byte", "entropy_gap_slope"):
        low, _, high = ends(found[name])
        assert low < 0.0 < high


def test_greedy_text_is_surer_than_people_are_predictable() -> None:
    third = [1 / 3, 1 / 3, 1 / 3]
    begins = [0.625, 0.1875, 0.1875]
    rows = {(): begins, (0,): [0.8, 0.1, 0.1], (1,): third, (2,): third}
    model = make_table("abc", rows)  # once at a, greedy text stays there
    texts = texts_of(model, texts=40, length=40)
    greedy = ContinuationPlan(1, 39, nescio.Sampling(temperature=0), batch=40)
    found = entropy_gap(continue_documents(model, texts, plan=greedy))
    assert ends(found.estimates["entropy_gap"])[2] < -0.1
    assert not found.estimates["entropy_gap"].recipe.settings["plain_sampling"]


def test_a_change_of_nothing_is_nothing_and_of_something_is_paired(
    tables, drawn
) -> None:
    nothing = entropy_gap_change(drawn, drawn)["entropy_gap_change"]
    assert (nothing.low, nothing.value, nothing.high) == (0.0, 0.0, 0.0)
    texts = texts_of(tables[1], texts=200, length=25, seed=3)
    cold = ContinuationPlan(1, 24, nescio.Sampling(temperature=0.3), seed=5, batch=100)
    other = continue_documents(tables[0], texts, plan=cold)
    found = entropy_gap_change(drawn, other)
    gaps = [
        ends(entropy_gap(one).estimates["entropy_gap"])[1] for one in (drawn, other)
    ]
    assert found["entropy_gap_before"].value == pytest.approx(gaps[0])
    assert found["entropy_gap_after"].value == pytest.approx(gaps[1])
    change = found["entropy_gap_change"]
    assert change.value == pytest.approx(gaps[1] - gaps[0])
    low, value, high = ends(change)
    assert low < value < high
    with pytest.raises(InvalidInput, match="different documents"):
        entropy_gap_change(drawn, replace(drawn, names=tuple(reversed(drawn.names))))


def test_impossible_human_text_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match=r"'0': token 1, .*impossible"):
        entropy_gap(by_hand([([1.0, 1.0], [1.0, math.inf])]))


def test_everything_can_be_written_as_json(drawn) -> None:
    import json

    found = entropy_gap(drawn, width=8).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False))["curves"][
        "entropy_gap_by_step"
    ]["place"] == [4.5, 12.5, 20.5]
