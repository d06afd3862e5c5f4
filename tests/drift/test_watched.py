"""An answer once more under the eyes of its alarm, and how its page shows that."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import nescio
from nescio.decoding import Decoding
from nescio.drift.alarm import AlarmPlan, fit
from nescio.drift.alarm_files import alert_of
from nescio.drift.channels import ChannelPlan, repeated_tokens, run_statistics
from nescio.drift.conformal_alarm import ConformalAlarm
from nescio.drift.martingale import ORDERS, MartingaleAlarm, log_martingale_of
from nescio.drift.watched import Watched, watched
from nescio.errors import InvalidInput
from nescio.report.trace_page import trace_page
from nescio.trace import Trace

HORIZON = 40
MODEL: Any = nescio.load("table:topics")


def answers(**how: Any) -> list[Trace]:
    decoding = Decoding(HORIZON + 5, **how)
    drawn = nescio.sample(MODEL, "a", n=40, decoding=decoding, seed=2)
    return [answer.trace for answer in drawn.answers if answer.trace is not None]


@pytest.fixture(scope="module")
def runs() -> list[Trace]:
    return answers()


@pytest.fixture(scope="module")
def alarm(runs: list[Trace]) -> ConformalAlarm:
    return fit(runs, horizon=HORIZON, alarm_rate=0.4, population="<b>texts</b>")


def test_it_is_the_running_mean_within_the_band_until_the_horizon(
    runs: list[Trace], alarm: ConformalAlarm
) -> None:
    found = watched(runs[0], alarm)
    standards = {rule.channel: rule.standard for rule in alarm.rules}
    means = run_statistics(runs[0], alarm.plan, standards, horizon=HORIZON)[:, 0]
    (up,) = [rule for rule in alarm.rules if rule.channel == "entropy_up"]
    expected = up.standard.centre + up.standard.scale * means
    inside = found.values[1 : HORIZON + 1]
    assert inside == pytest.approx(expected)
    assert np.isnan(found.values[[0, *range(HORIZON + 1, len(found.values))]]).all()
    assert (found.low, found.high) == alarm.band


def test_it_says_what_the_alarm_says(runs: list[Trace], alarm: ConformalAlarm) -> None:
    found = [watched(run, alarm) for run in runs]
    assert [one.alert for one in found] == [alert_of(run, alarm) for run in runs]
    off = [one for one in found if one.alert is not None]
    assert off
    assert len(off) < len(found)
    assert [one.token for one in off] == [one.alert.index + 1 for one in off]
    assert {one.claim for one in found} == {
        f"no claim past the horizon of {HORIZON} tokens"
    }


def test_of_a_martingale_it_is_the_evidence() -> None:
    (run, *_) = answers(detail=nescio.Detail(renyi=ORDERS))
    found = watched(run, MartingaleAlarm(0.05))
    assert found.values[1:] == pytest.approx(log_martingale_of(run))
    assert (found.low, round(found.high, 4)) == (None, 2.9957)


def test_repeated_runs_are_marked_whole_and_only_within_the_window() -> None:
    trace = nescio.score(MODEL, "abcdefabcd")
    assert repeated_tokens(trace).tolist() == [False] * 6 + [True] * 4
    short = ChannelPlan(ngram=2, window=4)
    assert not repeated_tokens(trace, short).any()
    given = nescio.score(MODEL, "abcd", given="abcd")
    assert not repeated_tokens(given).any()  # the prompt is nobody's answer


def test_an_alarm_of_another_model_sees_nothing(alarm: ConformalAlarm) -> None:
    other = nescio.generate(nescio.load("table:coin"), "H", decoding=Decoding(3))
    with pytest.raises(InvalidInput, match="model_digest"):
        watched(other, alarm)


def page(trace: Trace, found: Watched | None) -> str:
    return trace_page(trace, {}, watched=found)


def test_the_page_shows_band_alarm_reason_and_repetitions(
    runs: list[Trace], alarm: ConformalAlarm
) -> None:
    found, run = next(
        (one, run)
        for one, run in ((watched(run, alarm), run) for run in runs)
        if one.alert is not None and one.repeats.any()
    )
    source = page(run, found)
    assert found.alert is not None
    assert f"<b>alarm at token {found.alert.index} of the answer</b>" in source
    assert found.alert.channel.replace("_", " ") in source
    assert source.count('class="marker"') == 1
    assert "where healthy answers stay" in source
    marks = re.findall(r'<mark class="([^"]*)"', source)
    assert [i for i, m in enumerate(marks) if "off" in m.split()] == [found.token]
    repeated = [i for i, m in enumerate(marks) if "r" in m.split()]
    assert repeated == np.flatnonzero(found.repeats).tolist()
    assert "framed" in source


def test_the_page_of_a_healthy_answer_says_so(
    runs: list[Trace], alarm: ConformalAlarm
) -> None:
    quiet = replace(alarm, rules=tuple(replace(r, threshold=9e9) for r in alarm.rules))
    found = watched(runs[0], quiet)
    source = page(runs[0], replace(found, claim="<b>texts</b>"))
    assert "no alarm: &lt;b&gt;texts" in source
    assert 'class="marker"' not in source
    assert "framed" not in source
    assert "where healthy answers stay" not in page(runs[0], None)


def test_an_alarm_without_entropy_has_no_chart(runs: list[Trace]) -> None:
    plan = AlarmPlan(ChannelPlan(("repetition",)))
    found = watched(runs[0], fit(runs, horizon=HORIZON, alarm_rate=0.4, plan=plan))
    assert np.isnan(found.values).all()
    assert "where healthy answers stay" not in page(runs[0], found)
