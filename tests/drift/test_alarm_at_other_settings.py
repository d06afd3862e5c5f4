"""An alarm is for one way of decoding, whichever: cooler, cut off, or greedy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nescio
from nescio import Decoding, Sampling
from nescio.drift.alarm import fit
from nescio.drift.alarm_files import alert_of, read_alarm, write_alarm
from nescio.drift.channels import tokens_of
from nescio.drift.martingale import MartingaleAlarm
from nescio.errors import InvalidInput
from tests.drift.tables import random_table

MODEL = random_table(3, tokens="abcdefghijkl")
TOKENS, RATE = 40, 0.1
COOL = Sampling(temperature=0.7, top_p=0.9)


def answers(sampling: Sampling, n: int, seed: int) -> list[nescio.Trace]:
    how = Decoding(TOKENS, sampling)
    drawn = nescio.sample(MODEL, "a", n=n, decoding=how, seed=seed)
    return [sample.trace for sample in drawn.answers if sample.trace is not None]


@pytest.mark.parametrize("sampling", [COOL, Sampling(top_k=2)], ids=["cool", "top 2"])
def test_an_alarm_holds_its_rate_at_the_settings_it_was_fitted_on(sampling, tmp_path):
    alarm = fit(answers(sampling, 160, 1), horizon=TOKENS, alarm_rate=RATE)
    write_alarm(tmp_path / "a.json", alarm)
    read = read_alarm(tmp_path / "a.json")
    fresh = answers(sampling, 150, 2)
    off = [alert_of(trace, read) is not None for trace in fresh]
    # Beta-binomial of 128 fitted and 150 fresh: a standard deviation of .036.
    assert np.mean(off) <= RATE + 0.11


def test_it_says_the_same_while_an_answer_is_drawn_as_afterwards():
    alarm = fit(answers(COOL, 60, 1), horizon=TOKENS, alarm_rate=0.5)
    how, found = Decoding(TOKENS, COOL), []
    for seed in range(8):
        stream = nescio.stream(MODEL, "a", decoding=how, seed=seed, alarm=alarm)
        found.append([event.alert for event in stream][-1])
        whole = nescio.generate(MODEL, "a", decoding=how, seed=seed)
        assert found[-1] == alert_of(whole, alarm)
    assert None in found
    assert any(found)


def test_it_refuses_other_settings_and_says_which():
    alarm = fit(answers(COOL, 60, 1), horizon=TOKENS, alarm_rate=RATE)
    for other in (Sampling(), Sampling(temperature=0.7), Sampling(0.7, top_p=0.8)):
        with pytest.raises(InvalidInput, match=r"sampling .*0\.7.*0\.9.*not"):
            nescio.stream(MODEL, "a", decoding=Decoding(TOKENS, other), alarm=alarm)


def test_answers_that_grow_less_sure_set_it_off():
    alarm = fit(answers(COOL, 120, 1), horizon=TOKENS, alarm_rate=RATE)
    for trace in answers(COOL, 20, 3):
        watch = alarm.start(trace.origin)
        alerts = [
            watch.update(
                replace(token, entropy=(token.entropy or 0.0) + 2.0 * (place >= 10))
            )
            for place, token in enumerate(tokens_of(trace))
        ]
        assert any(alerts)


def test_evidence_is_against_what_was_drawn_from_at_these_settings_too():
    offs = 0
    for seed in range(60):
        stream = nescio.stream(
            MODEL,
            "a",
            decoding=Decoding(TOKENS, COOL),
            seed=seed,
            alarm=MartingaleAlarm(0.1),
        )
        offs += [event.alert for event in stream][-1] is not None
    assert offs <= 60 * 0.1 + 3 * np.sqrt(60 * 0.09)
