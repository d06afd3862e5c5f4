"""Entropy rates along texts: numbers by hand, laws, and documents resampled."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

import nescio
from nescio.drift.curves import Limits
from nescio.drift.rate import (
    along_steps,
    entropy_rate_exponential,
    entropy_rate_per_byte,
    rate_curves,
    surprise_score,
)
from nescio.drift.smoothing import running_rate, smoothed_rate, windowed_rate
from nescio.drift.steps import stretches
from nescio.errors import InvalidInput, NotEnoughData
from tests.drift.tables import ends
from tests.traces import make_trace

numbers = st.lists(st.floats(0, 20), min_size=1, max_size=60).map(np.array)


@given(numbers, st.integers(1, 80))
def test_a_window_takes_the_last_tokens_and_no_others(
    values: np.ndarray, window: int
) -> None:
    found = windowed_rate(values, window=window)
    for place in range(len(values)):
        expected = values[max(0, place - window + 1) : place + 1].mean()
        assert found[place] == pytest.approx(expected, abs=1e-12)


@given(numbers, st.floats(0.5, 50))
def test_smoothing_weighs_the_past_by_halves(values: np.ndarray, half: float) -> None:
    found = smoothed_rate(values, half_life=half)
    for place in range(len(values)):
        weight = 0.5 ** (np.arange(place, -1, -1) / half)
        expected = weight @ values[: place + 1] / weight.sum()
        assert found[place] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(numbers)
def test_a_long_window_and_a_long_half_life_are_the_running_rate(
    values: np.ndarray,
) -> None:
    running = running_rate(values)
    wide = windowed_rate(values, window=len(values))
    np.testing.assert_allclose(wide, running, atol=1e-9)
    slow = smoothed_rate(values, half_life=1e9)
    np.testing.assert_allclose(slow, running, atol=1e-5)
    assert running[-1] == pytest.approx(values.mean())


@given(st.floats(0.01, 9), st.integers(1, 30), st.integers(1, 7))
def test_constant_values_stay_constant_however_they_are_followed(
    value: float, length: int, size: int
) -> None:
    values, sizes = np.full(length, value), np.full(length, float(size))
    for found in (
        running_rate(values, sizes),
        windowed_rate(values, sizes, window=3),
        smoothed_rate(values, sizes, half_life=2),
    ):
        np.testing.assert_allclose(found, value / size, rtol=1e-12)


def test_rates_by_byte_divide_sums_by_sums() -> None:
    trace = make_trace(["é", "a", "bc"], -1.0, entropy=[3.0, 1.0, 2.0])
    found = rate_curves(trace, per="byte", window=2)
    assert found.unit == "nats/byte"
    assert found.bytes_read.tolist() == [2.0, 3.0, 5.0]
    np.testing.assert_allclose(found.running, [3 / 2, 4 / 3, 6 / 5])
    np.testing.assert_allclose(found.windowed, [3 / 2, 4 / 3, 3 / 3])
    whole = entropy_rate_per_byte(trace)
    assert whole.value == pytest.approx(6 / 5 / math.log(2))
    assert whole.unit == "bits/byte"


def test_only_scored_tokens_of_the_segment_count() -> None:
    trace = make_trace(
        "abcd", -1.0, unscored=[1], segment=[0, 1, 1, 1], entropy=[9.0, 9.0, 1.0, 3.0]
    )
    found = rate_curves(trace)
    assert found.token.tolist() == [2, 3]
    assert found.running.tolist() == [1.0, 2.0]
    both = rate_curves(trace, segments=("prompt", "completion"))
    assert both.running.tolist() == pytest.approx([9.0, 5.0, 13 / 3])
    surprise = rate_curves(trace, of="surprisal")
    assert surprise.running.tolist() == [1.0, 1.0]


def test_the_rate_of_several_texts_is_pooled_and_resampled_by_document() -> None:
    traces = [make_trace("ab" * n, -1.0, entropy=float(n)) for n in range(1, 7)]
    by_byte = entropy_rate_per_byte(traces)
    pooled = sum(2 * n * n for n in range(1, 7)) / sum(2 * n for n in range(1, 7))
    assert by_byte.value == pytest.approx(pooled / math.log(2))
    assert by_byte.n_clusters == 6
    low, value, high = ends(by_byte)
    assert low < value < high
    by_token = nescio.entropy_rate(traces)  # one byte a token
    assert (by_token.low, by_token.high) == pytest.approx((by_byte.low, by_byte.high))


def test_the_exponential_stands_beside_the_perplexity() -> None:
    traces = [
        make_trace("ab" * n, -math.log(3.0), entropy=math.log(n)) for n in range(2, 8)
    ]
    found, rate = entropy_rate_exponential(traces), nescio.entropy_rate(traces)
    assert ends(found) == pytest.approx(tuple(2.0**end for end in ends(rate)))
    assert found.unit == nescio.perplexity(traces).unit == "1"
    assert nescio.perplexity(traces).value == pytest.approx(3.0)


def test_means_by_step_count_the_documents_that_go_on() -> None:
    traces = [
        make_trace("abcd"[:n], -1.0, entropy=np.arange(n) + float(n)) for n in
        [4, 4, 4, 4, 4, 2, 2]
    ]  # fmt: skip
    found = along_steps(traces)
    assert found.documents.tolist() == [7, 7, 5, 5]
    assert found.value.tolist() == pytest.approx([24 / 7, 31 / 7, 6.0, 7.0])
    pairs = along_steps(traces, width=2)
    assert pairs.place.tolist() == [1.5, 3.5]
    assert pairs.value.tolist() == pytest.approx([55 / 14, 6.5])
    assert along_steps(traces, width=3).place.tolist() == [2.0]
    assert along_steps(traces, width=9).place.tolist() == [2.5]


def test_steps_may_have_a_band_for_the_whole_curve() -> None:
    rng = np.random.default_rng(0)
    traces = [make_trace("abcd", -1.0, entropy=rng.random(4)) for _ in range(12)]
    narrow, wide = (
        along_steps(traces, limits=Limits(band=band))
        for band in ("pointwise", "simultaneous")
    )
    low, _, high = ends(narrow)
    outer_low, _, outer_high = ends(wide)
    assert (outer_high - outer_low > high - low).all()
    assert narrow.band == "pointwise"
    assert wide.recipe.settings["band"] == "simultaneous"


def test_surprise_under_own_sampling_is_standard_and_under_greedy_is_far_below() -> (
    None
):
    model = nescio.load("table:topics")
    how = nescio.Decoding(80, detail=nescio.Detail(top=0))
    drawn = nescio.sample(model, "a", n=150, decoding=how).answers
    scores = np.array([surprise_score(one.trace).value for one in drawn])
    assert abs(scores.mean()) < 4 / math.sqrt(150)
    assert 0.65 < scores.var() < 1.5
    greedy = nescio.Decoding(120, nescio.Sampling(temperature=0))
    found = surprise_score(nescio.generate(model, "a", decoding=greedy))
    assert found.value is not None
    assert found.p_value is not None
    assert found.value < -2.5
    assert found.p_value < 0.02
    assert found.null_level == 0.0


def test_what_has_no_rate_is_refused() -> None:
    bounds = make_trace("ab", -1.0, entropy_low=0.0, entropy_high=1.0)
    for measure in (rate_curves, entropy_rate_per_byte, entropy_rate_exponential):
        with pytest.raises(InvalidInput, match="no entropies"):
            measure(bounds)
    silent = make_trace(["", "a"], -1.0, entropy=1.0)
    with pytest.raises(InvalidInput, match="spells nothing"):
        rate_curves(silent, per="byte")
    with pytest.raises((InvalidInput, TypeCheckError)):
        rate_curves(silent, per="word")
    with pytest.raises((InvalidInput, TypeCheckError)):
        rate_curves(silent, of="varentropy")
    with pytest.raises(InvalidInput, match="impossible"):
        rate_curves(make_trace("ab", [-1.0, -np.inf]), of="surprisal")
    with pytest.raises(InvalidInput, match="choose some"):
        rate_curves(silent, segments=("answer",))
    with pytest.raises(InvalidInput, match="scored"):
        rate_curves(silent, segments=("template",))
    with pytest.raises(InvalidInput, match="certain or uniform"):
        surprise_score(nescio.score(nescio.load("table:coin"), "HT"))
    with pytest.raises(InvalidInput, match="varentropies"):
        surprise_score(make_trace("ab", -1.0, entropy=1.0))


def test_series_that_are_none_are_refused() -> None:
    ones = np.ones(3)
    with pytest.raises(InvalidInput, match="0 tokens"):
        windowed_rate(ones, window=0)
    for half in (0.0, math.inf, math.nan):
        with pytest.raises(InvalidInput, match="half-life"):
            smoothed_rate(ones, half_life=half)
    with pytest.raises(InvalidInput, match="2 sizes for 3"):
        running_rate(ones, np.ones(2))
    with pytest.raises(InvalidInput, match="no tokens"):
        running_rate(np.ones(0))
    with pytest.raises(InvalidInput, match="finite numbers"):
        running_rate(np.array([1.0, math.nan]))
    with pytest.raises(InvalidInput, match="at least 0"):
        running_rate(ones, -ones)
    with pytest.raises(InvalidInput, match="0 steps"):
        along_steps([make_trace("ab", -1.0, entropy=1.0)], width=0)
    with pytest.raises(NotEnoughData, match="no text has a step"):
        stretches([], 1)
