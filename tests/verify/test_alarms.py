"""Alarm B over many simulated runs, and its power: ``results/alarms.json``."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nescio.drift.martingale import ORDERS
from nescio.kernel import Sampling
from nescio.uncertainty import wilson_interval
from tests.drift.simulated import VOCABULARY, peaks, source
from tests.results import write_result

RUNS, TOKENS, RATES = 1000, 1000, (0.01, 0.05, 0.1)
HONEST = {
    "model": Sampling(),
    "temperature 0.8": Sampling(temperature=0.8),
    "temperature 1.2, top-p 0.9": Sampling(temperature=1.2, top_p=0.9),
    "top-k 5": Sampling(top_k=5),
}
OTHERS = {
    "greedy": Sampling(temperature=0),
    "temperature 1.2": Sampling(temperature=1.2),
    "temperature 0.8": Sampling(temperature=0.8),
    "top-p 0.9": Sampling(top_p=0.9),
}


def share(found: np.ndarray, rate: float) -> dict[str, float | int]:
    fired = int(np.count_nonzero(found >= -math.log(rate)))
    interval = wilson_interval(fired, len(found))
    return {
        "share": fired / len(found),
        "low": interval.low,
        "high": interval.high,
        "runs": len(found),
    }


@pytest.mark.verify
def test_rates_and_power_of_the_martingale_alarm() -> None:
    false_alarms: dict[str, dict[str, dict[str, float | int]]] = {}
    for name, sampling in HONEST.items():
        found = peaks(sampling, runs=RUNS, tokens=TOKENS, seed=11)
        false_alarms[name] = {str(rate): share(found, rate) for rate in RATES}
        for rate in RATES:
            most = rate + 3 * math.sqrt(rate * (1 - rate) / RUNS)
            assert false_alarms[name][str(rate)]["share"] <= most
    power = {}
    for name, sampling in OTHERS.items():
        found = peaks(sampling, said=Sampling(), runs=200, tokens=TOKENS, seed=12)
        power[name] = share(found, 0.05)
        assert power[name]["share"] >= 0.9
    foreign = peaks(Sampling(), runs=200, tokens=TOKENS, seed=13, other=source(2))
    power["another source"] = share(foreign, 0.05)
    assert power["another source"]["share"] == 1.0
    write_result(
        "alarms",
        {"false_alarms": false_alarms, "power_at_0.05": power},
        source="a random Markov source, tests/drift/simulated.py",
        vocabulary=VOCABULARY,
        tokens=TOKENS,
        orders=list(ORDERS),
    )
