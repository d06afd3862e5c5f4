"""Ticks are round numbers inside the axis, and their labels say what they are."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from nescio.errors import InvalidInput
from nescio.plot import Scale, tick_labels, ticks
from nescio.plot.scale import enclosing_ticks

finite = st.floats(-1e12, 1e12, allow_nan=False)


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0, 10, 5, (0, 2, 4, 6, 8, 10)),
        (0, 12, 5, (0, 2, 4, 6, 8, 10, 12)),
        (0, 1, 5, (0, 0.2, 0.4, 0.6, 0.8, 1)),
        (-1, 1, 4, (-1, -0.5, 0, 0.5, 1)),
        (3, 97, 5, (20, 40, 60, 80)),
        (0, 5999, 6, (0, 1000, 2000, 3000, 4000, 5000)),
        (0.00012, 0.00031, 2, (0.0002, 0.0003)),
        (7, 7, 5, (7,)),
    ],
)
def test_ticks_are_the_round_numbers_one_would_write(low, high, count, expected):
    assert ticks(low, high, count=count) == expected


@given(finite, finite, st.integers(1, 20))
def test_ticks_are_inside_evenly_apart_and_about_as_many_as_asked(one, other, count):
    low, high = sorted((one, other))
    assume(high - low > 1e-6 * max(abs(low), abs(high), 1e-6))
    marks = ticks(low, high, count=count)
    margin = 1e-6 * (high - low)
    assert len(marks) <= 1.6 * count + 1
    assert all(low - margin <= mark <= high + margin for mark in marks)
    steps = np.diff(marks)
    assert np.allclose(steps, steps[:1], rtol=1e-4)
    for step in steps[:1]:
        leading = step / 10.0 ** math.floor(math.log10(step) + 1e-4)
        assert min(abs(leading - nice) for nice in (1, 2, 5)) < 1e-3 * leading


def test_counted_things_have_no_ticks_between_them():
    assert ticks(0, 2, count=8, whole=True) == (0, 1, 2)


@given(finite, finite, st.integers(1, 20))
def test_the_ends_of_an_axis_are_ticks_that_enclose_its_data(one, other, count):
    low, high = sorted((one, other))
    marks = enclosing_ticks(low, high, count=count)
    margin = 1e-6 * (marks[-1] - marks[0])
    assert marks[0] <= low + margin
    assert high - margin <= marks[-1]
    assert 2 <= len(marks) <= 1.6 * count + 3
    assert (np.diff(marks) > 0).all()


def test_a_value_that_never_changes_gets_an_axis_around_it():
    assert enclosing_ticks(0.0, 0.0, count=2) == (-0.5, 0.0, 0.5)
    assert enclosing_ticks(8.0, 8.0, count=4)[0] < 8 < enclosing_ticks(8.0, 8.0)[-1]
    assert enclosing_ticks(0.0, 1e-308) == enclosing_ticks(0.0, 0.0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.0, 2.0), ("0", "2")),
        ((0.0, 0.25, 0.5), ("0.00", "0.25", "0.50")),
        ((-0.5, 0.0, 0.5), ("−0.5", "0.0", "0.5")),
        ((0.0, 10_000.0), ("0", "10,000")),
        ((0.0, 2e9), ("0", "2e+09")),
        ((1e-6, 2e-6), ("1e−06", "2e−06")),
        ((7.0,), ("7",)),
        ((0.125,), ("0.125",)),
        ((0.5, 1.5), ("0.5", "1.5")),
        ((-2e9, 0.0), ("−2e+09", "0")),
    ],
)
def test_labels_have_the_decimals_their_steps_need(values, expected):
    assert tick_labels(values) == expected


@example(-400.75, 0.3125, 2)  # one tick alone
@given(st.floats(-1e3, 1e3), st.floats(0.01, 1e3), st.integers(2, 9))
def test_a_label_read_back_is_its_tick(low, span, count):
    marks = ticks(low, low + span, count=count)
    for mark, label in zip(marks, tick_labels(marks), strict=True):
        number = float(label.replace(",", "").replace("−", "-"))
        assert number == pytest.approx(mark, abs=1e-9 + 1e-3 * span)


def test_a_scale_maps_its_ends_to_its_ends_and_its_middle_to_the_middle():
    scale = Scale(0, 8, start=100, end=20)
    assert [scale(0), scale(4), scale(8)] == [100, 60, 20]
    assert [scale(-math.inf), scale(9), scale(math.inf)] == [100, 20, 20]
    assert math.isnan(scale(math.nan))


@pytest.mark.parametrize(
    "limits", [(0, math.inf), (math.nan, 1), (-1e308, 1e308), (2, 1)]
)
@pytest.mark.parametrize(
    "drawn",
    [ticks, enclosing_ticks, lambda low, high: Scale(low, high, start=0, end=1)],
)
def test_an_axis_that_cannot_be_drawn_is_refused(limits, drawn):
    with pytest.raises(InvalidInput, match="a scale from"):
        drawn(*limits)


@pytest.mark.parametrize("high", [3.0, math.nextafter(0, 1)])
def test_a_scale_of_no_length_is_refused(high):
    with pytest.raises(InvalidInput, match="too short"):
        Scale(3.0 if high == 3 else 0.0, high, start=0, end=1)


def test_an_axis_without_ticks_is_refused():
    with pytest.raises(InvalidInput, match="at least one tick"):
        ticks(0, 1, count=0)
