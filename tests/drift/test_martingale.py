"""Alarm B: exact means, numbers by hand, its rate over simulated runs, its power."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nescio
from nescio.decoding import Decoding, Detail, TokenStatistics, Watcher
from nescio.drift.alarm_files import alarm_share, alert_of, read_alarm, write_alarm
from nescio.drift.channels import tokens_of
from nescio.drift.martingale import (
    ORDERS,
    MartingaleAlarm,
    log_factors,
    log_martingale,
    log_martingale_of,
)
from nescio.errors import CapabilityError, InvalidInput, SchemaError
from nescio.kernel import Sampling, process, row_statistics
from tests.drift.simulated import VOCABULARY, peaks, source

Q = np.array([0.9, 0.1])
PLAIN = Sampling()
SAMPLINGS = [
    PLAIN,
    Sampling(temperature=0.7),
    Sampling(temperature=1.3, top_p=0.9),
    Sampling(top_k=5),
    Sampling(min_p=0.1, temperature=0.8),
]


def by_hand(orders: tuple[float, ...]) -> np.ndarray:
    sums = np.log([[(Q ** (1 - order)).sum() for order in orders]] * 2)
    return log_factors(-np.log(Q), sums, orders)


def test_the_factors_are_those_of_the_definitions() -> None:
    found = by_hand((0.5, -1.0))
    assert found[:, 0] == pytest.approx([-0.182322, 0.916291], abs=1e-6)
    assert found[:, 1] == pytest.approx([0.093090, -2.104134], abs=1e-6)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_mean_of_every_factor_is_one(sampling: Sampling) -> None:
    rows = process(source(3), sampling)
    sums = row_statistics(rows, renyi=ORDERS).log_renyi
    for row, total in zip(rows, sums, strict=True):
        possible = row[row > -np.inf]
        table = np.tile(total, (len(possible), 1))
        factors = np.exp(log_factors(-possible, table))
        means = np.exp(possible) @ factors
        assert np.abs(means - 1.0).max() < 1e-12


@given(
    st.lists(st.floats(0.01, 1.0), min_size=2, max_size=6),
    st.lists(
        st.floats(-3.0, 0.9).filter(lambda x: abs(x) > 1e-3),
        min_size=1,
        max_size=4,
        unique=True,
    ),
)
def test_two_steps_of_the_mixture_have_mean_one(
    weights: list[float], orders: list[float]
) -> None:
    q = np.array(weights) / np.sum(weights)
    sums = np.log([[(q ** (1 - order)).sum() for order in orders]] * 2)
    mean = 0.0
    for first in range(len(q)):
        for second in range(len(q)):
            surprisal = -np.log(q[[first, second]])
            end = log_martingale(surprisal, sums, tuple(orders))[-1]
            mean += q[first] * q[second] * math.exp(end)
    assert mean == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("sampling", [PLAIN, Sampling(temperature=0.8, top_p=0.95)])
def test_honest_texts_set_it_off_no_more_than_the_rate(sampling: Sampling) -> None:
    found = peaks(sampling, runs=1000, tokens=150)
    for rate in (0.01, 0.05, 0.1):
        share = np.mean(found >= -math.log(rate))
        assert share <= rate + 3 * math.sqrt(rate * (1 - rate) / 1000)
    assert np.mean(found >= math.log(2)) > 0.1  # it does move


@pytest.mark.parametrize(
    ("drawn_with", "power"),
    [
        (Sampling(temperature=0), 1.0),
        (Sampling(temperature=1.2), 0.9),
        (Sampling(top_p=0.9), 0.9),
    ],
)
def test_another_way_of_decoding_is_found(drawn_with: Sampling, power: float) -> None:
    found = peaks(drawn_with, said=PLAIN, runs=60, tokens=1000)
    assert np.mean(found >= math.log(20)) >= power


def test_both_signs_are_needed() -> None:
    """λ > 0 alone never finds greedy decoding, λ < 0 alone never a foreign source."""
    rows = process(source(1), PLAIN)
    sums = row_statistics(rows, renyi=(0.5, -0.5)).log_renyi
    greedy = -rows.max(axis=1)
    assert log_martingale(greedy, sums[:, :1], (0.5,)).max() <= 0.0
    assert log_martingale(greedy, sums[:, 1:], (-0.5,))[-1] > 0.0
    foreign = -rows.min(axis=1)
    assert log_martingale(foreign, sums[:, 1:], (-0.5,)).max() < 0.0
    assert log_martingale(foreign, sums[:, :1], (0.5,))[-1] > 0.0


def test_an_impossible_token_is_certain_evidence() -> None:
    surprisal = np.array([0.5, math.inf, 0.5])
    sums = np.tile(np.log([1.3, 0.8]), (3, 1))
    found = log_martingale(surprisal, sums, (0.5, -1.0))
    assert np.isfinite(found[0])
    assert found[1] == found[2] == math.inf
    watch = MartingaleAlarm(0.05, (0.5, -1.0)).start(None)
    totals = tuple(np.log([1.3, 0.8]).tolist())
    assert watch.update(TokenStatistics(0, -math.inf, 1.0, -math.inf, totals))
    assert watch.update(TokenStatistics(0, -1.0, 1.0, -1.0, totals)) is None
    only_less = MartingaleAlarm(0.05, (-1.0,)).start(None)
    assert not only_less.update(
        TokenStatistics(0, -math.inf, 1.0, -math.inf, totals[1:])
    )
    assert only_less.log_evidence == -math.inf


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_watch_says_what_the_martingale_of_its_trace_says(
    sampling: Sampling,
) -> None:
    model = nescio.load("table:topics")
    alarm = MartingaleAlarm(1e-9)
    stream = nescio.stream(
        model, "a", decoding=Decoding(60, sampling), seed=4, alarm=alarm
    )
    alerts = [event.alert for event in stream]
    assert alerts == [None] * 60
    whole = log_martingale_of(stream.trace)
    assert whole[-1] == pytest.approx(stream.watch.log_evidence, abs=1e-4)


def test_sums_are_of_what_was_really_drawn_from() -> None:
    model = nescio.load("table:topics")
    kept = Detail(renyi=ORDERS, renyi_processed=ORDERS)
    decoding = Decoding(40, Sampling(temperature=0.5, top_p=0.9), detail=kept)
    trace = nescio.generate(model, "a", decoding=decoding)
    ids = trace.token_ids.tolist()
    own = np.stack([model.row(ids[:place]) for place in range(1, 41)])
    rows = process(own, decoding.sampling)
    expected = row_statistics(rows, renyi=ORDERS).log_renyi
    found = np.array([t.log_renyi for t in tokens_of(trace, orders=ORDERS)])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(expected - trace.renyi[1:]).max() > 0.1  # the model's own are others


def test_a_scored_text_is_held_against_the_model_itself() -> None:
    model, detail = nescio.load("table:topics"), Detail(renyi=ORDERS)
    alarm = MartingaleAlarm(0.05)
    honest = nescio.generate(model, "a", decoding=Decoding(200), seed=1).completion
    assert alert_of(nescio.score(model, honest, detail=detail), alarm) is None
    foreign = nescio.score(model, "aa" * 40, detail=detail)
    alert = alert_of(foreign, alarm)
    assert alert is not None
    assert alert.channel == "surprisal_up"
    assert alert.statistic >= alert.threshold == -math.log(0.05)
    assert "more surprising" in alert.reason
    greedy = nescio.score(model, "ab" * 100, detail=detail)
    assert alert_of(greedy, alarm).channel == "surprisal_down"
    assert alarm_share([foreign, greedy], alarm).value == 1.0


def test_sums_of_the_model_do_not_serve_for_another_temperature() -> None:
    model = nescio.load("table:topics")
    how = Decoding(20, Sampling(temperature=0.5), detail=Detail(renyi=ORDERS))
    trace = nescio.generate(model, "a", decoding=how)
    with pytest.raises(InvalidInput, match="renyi_processed"):
        alert_of(trace, MartingaleAlarm())
    plain = nescio.generate(
        model, "a", decoding=Decoding(20, detail=Detail(renyi=ORDERS))
    )
    assert len(log_martingale_of(plain)) == 20


def test_a_trace_with_sums_is_kept_with_them(tmp_path) -> None:
    model = nescio.load("table:topics")
    stream = nescio.stream(model, "a", decoding=Decoding(30), alarm=MartingaleAlarm())
    list(stream)
    nescio.write_traces(tmp_path / "t.parquet", [stream.trace])
    (read,) = nescio.read_traces(tmp_path / "t.parquet")
    assert np.array_equal(log_martingale_of(read), log_martingale_of(stream.trace))


def test_an_alarm_is_written_and_read(tmp_path) -> None:
    alarm = MartingaleAlarm(0.01, (0.1, -0.3))
    write_alarm(tmp_path / "b.json", alarm)
    assert read_alarm(tmp_path / "b.json") == alarm
    assert isinstance(alarm, Watcher)
    fields = alarm.to_dict()
    for change in ({"orders": [0.0]}, {"orders": []}, {"alarm_rate": 1.5}):
        with pytest.raises(SchemaError):
            MartingaleAlarm.from_dict(fields | change)


def test_what_cannot_be_is_refused() -> None:
    for orders in ((), (0.0,), (math.inf,), (0.5, 0.5)):
        with pytest.raises(InvalidInput, match="orders are"):
            MartingaleAlarm(0.05, orders)
    with pytest.raises(InvalidInput, match="alarm_rate is 1"):
        MartingaleAlarm(1.0)
    with pytest.raises(InvalidInput, match="not a number"):
        log_factors(np.array([np.nan]), np.zeros((1, 1)), (0.5,))
    watch = MartingaleAlarm().start(None)
    with pytest.raises(InvalidInput, match="0 Rényi sums for the 7"):
        watch.update(TokenStatistics(0, -1.0, 1.0, -1.0))
    with pytest.raises(InvalidInput, match="without its probability"):
        watch.update(TokenStatistics(0, -1.0, 1.0, None, (0.0,) * 7))


def test_the_source_that_is_simulated_is_no_trivial_one() -> None:
    entropy = row_statistics(source(1)).entropy
    assert entropy.min() < 0.5
    assert entropy.max() > 0.8 * math.log(VOCABULARY)


def test_an_endpoint_cannot_give_the_sums() -> None:
    from nescio.decoding.answering import drawing_of

    with pytest.raises(CapabilityError, match="Rényi"):
        drawing_of(Decoding(detail=Detail(renyi_processed=(0.5,))))
