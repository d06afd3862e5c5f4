"""Alarm A: its threshold by hand, its rate by symmetry, and all that it refuses."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nescio
from nescio.decoding import TokenStatistics, Watcher
from nescio.drift.alarm import AlarmPlan, conformal_threshold, fit, runs_needed
from nescio.drift.alarm_files import (
    alarm_share,
    alert_of,
    read_alarm,
    write_alarm,
)
from nescio.drift.channels import ChannelPlan, run_statistics
from nescio.drift.conformal_alarm import ConformalAlarm
from nescio.errors import InvalidInput, NotEnoughData, SchemaError
from nescio.trace import Origin, Trace
from tests.traces import make_trace

SAMPLING = {"temperature": 1.0, "top_k": None, "top_p": None}
ORIGIN = Origin(
    "handmade",
    "sha256:m",
    "sha256:t",
    "by hand",
    "f64",
    decoding={"kind": "generate", "sampling": SAMPLING, "stop": [], "chat": False},
)
UP = AlarmPlan(ChannelPlan(("entropy_up",), memory=1))
LENGTH = 12


def run(entropy: list[float] | np.ndarray, **fields: object) -> Trace:
    values = np.asarray(entropy, dtype=np.float64)
    given = {"origin": ORIGIN, "stop": "length"} | fields
    return make_trace(["x"] * len(values), -1.0, entropy=values.tolist(), **given)


def runs(count: int, seed: int = 0, **fields: object) -> list[Trace]:
    rng = np.random.default_rng(seed)
    return [run(2.0 + rng.random(LENGTH), **fields) for _ in range(count)]


def test_the_threshold_is_the_kth_smallest_by_hand() -> None:
    maxima = np.array([3.0, 1.0, 2.0, 9.0, 5.0, 4.0, 8.0, 6.0, 7.0])
    assert conformal_threshold(maxima, 0.1) == 9.0  # ceil(10 * .9) = 9
    assert conformal_threshold(maxima, 0.2) == 8.0
    assert conformal_threshold(maxima, 0.5) == 5.0
    assert conformal_threshold(maxima, 0.25) == 8.0  # ceil(7.5)


def test_eighteen_runs_at_five_percent_never_fire() -> None:
    assert conformal_threshold(np.arange(18.0), 0.05) == math.inf
    assert conformal_threshold(np.arange(19.0), 0.05) == 18.0


def test_the_rate_is_the_decimal_number_it_is_written_as() -> None:
    for n in range(1, 400):
        for rate in ("0.01", "0.05", "0.07", "0.1", "0.3"):
            rank = math.ceil((n + 1) * (1 - Fraction(rate)))
            expected = math.inf if rank > n else float(rank)
            found = conformal_threshold(np.arange(1.0, n + 1.0), float(rate))
            assert found == expected


def test_runs_needed_are_those_of_the_definitions() -> None:
    assert runs_needed(0.05) == 19
    assert runs_needed(0.05, channels=4, combine="split") == 79
    assert runs_needed(0.01, channels=4, combine="split") == 399
    assert runs_needed(0.05, channels=4) == 19


@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=60),
    st.sampled_from([0.01, 0.05, 0.1, 0.3]),
)
def test_no_more_than_the_rate_of_exchangeable_runs_fire_with_ties(
    maxima: list[int], rate: float
) -> None:
    """Each run in turn is the new one: the share above is the rate given the values."""
    values = np.array(maxima, dtype=np.float64)
    fired = [
        value > conformal_threshold(np.delete(values, place), rate)
        for place, value in enumerate(values)
    ]
    assert sum(fired) <= rate * len(values) + 1e-9


def test_without_ties_the_rate_is_as_close_as_the_number_of_runs_allows() -> None:
    values = np.random.default_rng(0).random(100)
    for rate in (0.01, 0.05, 0.1):
        fired = [
            value > conformal_threshold(np.delete(values, place), rate)
            for place, value in enumerate(values)
        ]
        assert sum(fired) == round(rate * 100)


def test_a_fit_by_hand() -> None:
    reference = [run([1.0] * LENGTH), run([3.0] * LENGTH)] * 3  # mean 2, deviation 1
    healthy = [run([2.0] * 5 + [2.0 + i] + [2.0] * 6) for i in range(1, 20)]
    plan = replace(UP, combine="split")
    alarm = fit(healthy, horizon=LENGTH, reference=reference, plan=plan)
    (rule,) = alarm.rules
    assert (rule.standard.centre, rule.standard.scale) == (2.0, 1.0)
    assert rule.threshold == 19.0
    assert (alarm.runs, alarm.rank) == (19, 19)
    assert alarm.band == (None, 21.0)
    assert alert_of(run([21.0] * LENGTH), alarm) is None  # equal is not above
    alert = alert_of(run([2.0, 2.0, 21.5]), alarm)
    assert alert is not None
    assert (alert.index, alert.channel) == (2, "entropy_up")
    assert (alert.statistic, alert.threshold) == (19.5, 19.0)
    assert "entropy is higher" in alert.reason


def test_one_maximum_is_scaled_on_the_reference_runs() -> None:
    plan = AlarmPlan(ChannelPlan(("entropy_up", "entropy_down"), memory=1))
    reference = [run([a, b]) for a, b in [(1, 3), (0, 4), (1, 5), (1, 3), (2, 2)]]
    rng = np.random.default_rng(1)
    healthy = [run(rng.normal(2.0, 1.0, 2).clip(0)) for _ in range(19)]
    alarm = fit(healthy, horizon=2, reference=reference, plan=plan)
    standards = {rule.channel: rule.standard for rule in alarm.rules}
    usual = [run_statistics(t, plan.channels, standards).max(axis=0) for t in reference]
    middles = np.mean(usual, axis=0)
    assert [rule.middle for rule in alarm.rules] == pytest.approx(middles.tolist())
    spreads = np.std(usual, axis=0).tolist()
    assert [rule.spread for rule in alarm.rules] == pytest.approx(spreads)
    largest = [
        (
            (run_statistics(t, plan.channels, standards).max(axis=0) - middles)
            / np.std(usual, axis=0)
        ).max()
        for t in healthy
    ]
    assert alarm.rules[0].threshold == alarm.rules[1].threshold
    assert alarm.rules[0].threshold == pytest.approx(max(largest))


def test_reference_runs_drawn_from_the_traces_set_no_threshold() -> None:
    traces = runs(28)
    alarm = fit(traces, horizon=LENGTH, plan=UP)
    assert alarm.runs == 23
    assert alarm.recipe.settings["reference"] == 5
    (rule,) = alarm.rules
    numbers = [float(np.float32(t.entropy).max()) for t in traces]
    highest = rule.standard.centre + rule.standard.scale * (
        rule.middle + rule.spread * rule.threshold
    )
    above = sum(number > highest + 1e-9 for number in numbers)
    assert above <= 5
    again = fit(traces, horizon=LENGTH, plan=replace(UP, seed=1))
    assert again.rules[0].standard != rule.standard


def test_healthy_runs_fire_at_the_rate_and_worse_ones_always() -> None:
    alarm = fit(runs(99, seed=5), reference=runs(20, seed=6), horizon=LENGTH, plan=UP)
    fresh: Any = alarm_share(runs(400, seed=7), alarm)
    rate: Any = alarm.rates()["alarm_rate"]
    assert fresh.low is not None
    assert fresh.high is not None
    assert fresh.low <= rate.high and fresh.high >= rate.low  # noqa: PT018
    assert fresh.null_level == 0.05
    assert alarm_share([run([9.0] * LENGTH)] * 4, alarm).value == 1.0


def test_the_realised_rate_is_a_beta_of_the_rank() -> None:
    """Beta(N + 1 - k, k): the simulated rates of many fits lie in it as they should."""
    rng = np.random.default_rng(0)
    alarm = fit(runs(99, seed=5), reference=runs(20, seed=6), horizon=LENGTH, plan=UP)
    rate: Any = alarm.rates(level=0.9)["alarm_rate"]
    assert rate.value == pytest.approx(0.05)
    assert (alarm.runs, alarm.rank) == (99, 95)
    # Of uniform maxima the rate of a fit is 1 - the 95th smallest of 99.
    realised = 1.0 - np.sort(rng.random((20_000, 99)), axis=1)[:, 94]
    inside = np.mean((realised >= rate.low) & (realised <= rate.high))
    assert inside == pytest.approx(0.9, abs=0.01)
    assert realised.mean() == pytest.approx(rate.value, abs=0.001)


def test_a_split_alarm_says_the_rate_of_each_channel_and_bounds_all() -> None:
    plan = AlarmPlan(ChannelPlan(("entropy_up", "entropy_down"), memory=4), "split")
    alarm = fit(runs(60), reference=runs(9, seed=2), horizon=LENGTH, plan=plan)
    rates: Any = alarm.rates()
    assert set(rates) == {
        "alarm_rate",
        "alarm_rate_entropy_up",
        "alarm_rate_entropy_down",
    }
    assert rates["alarm_rate"].kind == "bound"
    assert rates["alarm_rate"].high > rates["alarm_rate_entropy_up"].high
    assert alarm.rank == math.ceil(61 * (1 - Fraction(1, 40)))


def test_too_few_runs_are_refused_with_the_number_needed() -> None:
    with pytest.raises(NotEnoughData, match=r"18 healthy runs.* 19 are needed"):
        fit(runs(18), reference=runs(5, seed=2), horizon=LENGTH, plan=UP)
    plan = AlarmPlan(combine="split")
    with pytest.raises(NotEnoughData, match="79 are needed"):
        fit(runs(78), reference=runs(5, seed=2), horizon=LENGTH, plan=plan)
    with pytest.raises(NotEnoughData, match=r"19 are needed beside 5.*: 24 in all"):
        fit(runs(23), horizon=LENGTH, plan=UP)
    assert fit(runs(24), horizon=LENGTH, plan=UP).runs == 19
    with pytest.raises(NotEnoughData, match="4 reference runs"):
        fit(runs(30), reference=runs(4), horizon=LENGTH, plan=UP)


@pytest.mark.parametrize("count", range(20, 130))
def test_the_number_said_to_be_needed_is_enough_and_no_fewer_are(count: int) -> None:
    plan = AlarmPlan(ChannelPlan(("entropy_up",)))
    few = [run([2.0, 3.0])] * 3
    with pytest.raises(NotEnoughData) as refused:
        fit(few, horizon=2, alarm_rate=1 / count, plan=plan)
    total = int(str(refused.value).rsplit(": ", 1)[1].split()[0])
    made = [run([2.0, 2.0 + i / total]) for i in range(total)]
    assert fit(made, horizon=2, alarm_rate=1 / count, plan=plan).runs >= count - 1
    with pytest.raises(NotEnoughData):
        fit(made[:-1], horizon=2, alarm_rate=1 / count, plan=plan)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_digest": "sha256:other"}, "model_digest 'sha256:m', not"),
        ({"tokenizer_digest": "sha256:other"}, "tokenizer_digest"),
        ({"precision": "bf16"}, "precision 'f64', not 'bf16'"),
        ({"template_digest": "sha256:c"}, "template_digest None"),
        (
            {"decoding": {**ORIGIN.decoding, "sampling": {"temperature": 0.8}}},
            "sampling",
        ),
        ({"decoding": {**ORIGIN.decoding, "stop": ["\n"]}}, "stop"),
        ({"decoding": {**ORIGIN.decoding, "chat": True}}, "chat False, not True"),
        ({"decoding": {"kind": "score"}}, "kind 'generate', not 'score'"),
    ],
)
def test_another_model_or_other_settings_are_refused(
    change: dict[str, object], said: str
) -> None:
    alarm = fit(runs(24), horizon=LENGTH, plan=UP)
    other = replace(ORIGIN, **change)
    with pytest.raises(InvalidInput, match=said):
        alarm.start(other)
    with pytest.raises(InvalidInput, match=said):
        fit([*runs(24), run([2.0] * LENGTH, origin=other)], horizon=LENGTH, plan=UP)
    with pytest.raises(InvalidInput, match=f"trace 0.*{said}"):
        alarm_share([run([2.0] * LENGTH, origin=other)], alarm)


def test_settings_that_change_no_token_are_not_compared() -> None:
    alarm = fit(runs(24), horizon=LENGTH, plan=UP)
    decoding = {**ORIGIN.decoding, "max_tokens": 7, "draw": 3}
    other = replace(ORIGIN, decoding=decoding, seed=9, engine="another machine")
    assert alarm.start(other).alert is None


def test_an_answer_cut_before_the_horizon_is_refused() -> None:
    for stop in ("length", "cancelled", "error", "alarm"):
        cut = run([2.0] * (LENGTH - 1), stop=stop)
        with pytest.raises(InvalidInput, match=f"trace 24 was cut after 11.*{stop}"):
            fit([*runs(24), cut], horizon=LENGTH, plan=UP)
    for stop in ("eos", "stop_string"):
        ended = run([2.0] * 3, stop=stop)
        assert fit([*runs(24), ended], horizon=LENGTH, plan=UP).runs == 20


def test_past_the_horizon_there_is_no_claim_and_no_alarm() -> None:
    alarm = fit(runs(24), horizon=LENGTH, plan=UP, population="these prompts")
    watch = alarm.start(ORIGIN)
    quiet, loud = TokenStatistics(1, -1.0, 2.5), TokenStatistics(1, -1.0, 99.0)
    for _ in range(LENGTH):
        assert watch.update(quiet) is None
    assert "at most 5 %" in watch.claim
    assert "these prompts" in watch.claim
    assert watch.update(loud) is None
    assert watch.claim == f"no claim past the horizon of {LENGTH} tokens"
    early = alarm.start(ORIGIN)
    assert early.update(loud) is not None
    assert early.update(loud) is None  # once an answer


def test_prompts_from_elsewhere_are_outside_the_guarantee() -> None:
    alarm = fit(runs(24), horizon=LENGTH, plan=UP, population="news")
    watch = alarm.start(ORIGIN, population="poems")
    assert watch.claim.startswith("outside the guarantee: prompts are poems")


def test_only_tokens_up_to_the_horizon_set_the_threshold() -> None:
    late = [run([2.0 + i / 100, 3.0, 50.0]) for i in range(24)]
    alarm = fit(late, horizon=2, plan=UP)
    assert alert_of(run([2.0, 4.0]), alarm) is not None
    assert alert_of(run([2.0, 3.0, 90.0]), alarm) is None


def test_an_alarm_is_written_and_read_to_the_last_bit(tmp_path: Path) -> None:
    plan = AlarmPlan(combine="split")
    alarm = fit(runs(110), horizon=LENGTH, population="Märchen", plan=plan)
    path = tmp_path / "alarm.json"
    write_alarm(path, alarm)
    assert read_alarm(path) == alarm
    assert ConformalAlarm.from_dict(alarm.to_dict()) == alarm
    assert isinstance(alarm, Watcher)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("alarm", "loud", "not one of"),
        ("rank", 10**6, "no such alarm"),
        ("rank", 1.5, "whole number"),
        ("alarm_rate", 2.0, "no such alarm"),
        ("alarm_rate", "x", "number"),
        ("horizon", 0, "no such alarm"),
        ("rules", [], "rules for"),
        ("combine", "other", "rules for"),
        ("population", 3, "text"),
        ("settings", {}, "missing"),
        ("plan", {"names": ["x"], "memory": 1, "ngram": 1, "window": 1}, "channels"),
        ("more", 1, "unknown"),
    ],
)
def test_a_file_that_is_no_alarm_is_refused(
    tmp_path: Path, field: str, value: object, said: str
) -> None:
    fields = fit(runs(24), horizon=LENGTH, plan=UP).to_dict() | {field: value}
    path = tmp_path / "alarm.json"
    path.write_text(json.dumps(fields))
    with pytest.raises(SchemaError, match=said):
        read_alarm(path)


@pytest.mark.parametrize("text", ["", "[]", "3", '{"alarm": NaN}', "{" * 9999, "\xff"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "alarm.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SchemaError):
        read_alarm(path)
    with pytest.raises(InvalidInput, match="no such file"):
        read_alarm(tmp_path / "none.json")


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no traces"):
        fit([], horizon=3)
    with pytest.raises(InvalidInput, match="no traces"):
        alarm_share([], fit(runs(24), horizon=LENGTH, plan=UP))
    with pytest.raises(InvalidInput, match="alarm_rate is 0"):
        fit(runs(24), horizon=LENGTH, alarm_rate=0)
    with pytest.raises(InvalidInput, match="horizon is 0"):
        fit(runs(24), horizon=0)
    with pytest.raises(InvalidInput, match="seed is -1"):
        AlarmPlan(seed=-1)
    with pytest.raises(InvalidInput, match="NaN"):
        conformal_threshold(np.array([1.0, np.nan]), 0.1)
    alarm = fit(runs(24), horizon=LENGTH, plan=UP)
    with pytest.raises(InvalidInput, match="level 1"):
        alarm.rates(level=1.0)
    spoilt = make_trace(["x"] * LENGTH, -math.inf, entropy=1.0, origin=ORIGIN)
    plan = AlarmPlan(ChannelPlan(("surprisal_gap",)))
    with pytest.raises(InvalidInput, match="impossible"):
        fit([spoilt] * 19, reference=runs(5), horizon=LENGTH, plan=plan)


def test_generated_answers_are_watched_as_they_were_fitted() -> None:
    model, how = nescio.load("table:topics"), nescio.Decoding(40)
    drawn = nescio.sample(model, "a", n=30, decoding=how, seed=0)
    healthy = [answer.trace for answer in drawn.answers]
    alarm = fit(healthy, horizon=40)
    for seed in range(3):
        watched = nescio.stream(model, "a", decoding=how, seed=seed, alarm=alarm)
        events = list(watched)
        whole = nescio.generate(model, "a", decoding=how, seed=seed)
        assert events[-1].alert == alert_of(whole, alarm)
