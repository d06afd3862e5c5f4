"""An estimate says its number, its interval and how to get it again."""

import json
import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nescio.errors import InvalidInput, SchemaError
from nescio.outcome import Estimate, Recipe

RECIPE = Recipe(
    "bits_per_byte",
    {"seed": 3, "model": "coin"},
    ("Shannon (1948)", "Politis & Romano (1994)"),
    "0.1.0",
)


def estimate(**changes):
    fields = {
        "name": "bits_per_byte",
        "value": 1.5,
        "unit": "bits/byte",
        "n": 900,
        "kind": "confidence",
        "population": "documents like these",
        "recipe": RECIPE,
        "low": 1.25,
        "high": 1.875,
        "level": 0.95,
    }
    return Estimate(**(fields | changes))


EXACT = {"kind": "exact", "low": None, "high": None, "level": None}
BOUND = {"kind": "bound", "value": None, "level": None}


def test_nats_and_back_are_the_same_number():
    bits = estimate(null_level=0.5)
    nats = bits.to("nats")
    assert nats.unit == "nats/byte"
    assert nats.value == pytest.approx(1.5 * math.log(2), rel=1e-15)
    assert nats.low == pytest.approx(1.25 * math.log(2), rel=1e-15)
    assert nats.null_level == pytest.approx(0.5 * math.log(2), rel=1e-15)
    assert nats.to("bits").value == pytest.approx(1.5, rel=1e-15)
    assert estimate(unit="nats^2", value=1.0, low=1.0, high=1.0).to(
        "bits"
    ).value == pytest.approx(1 / math.log(2) ** 2)


@pytest.mark.parametrize("unit", ["bytes", "dits", ""])
def test_a_unit_that_is_no_information_is_refused(unit):
    with pytest.raises(InvalidInput, match="unit of information"):
        estimate().to(unit)


def test_a_pure_number_has_no_bits():
    with pytest.raises(InvalidInput, match="is not information"):
        estimate(unit="1").to("bits")


def test_a_bound_of_one_side_is_read_in_another_unit():
    bound = estimate(**BOUND, high=None).to("nats")
    assert (bound.value, bound.high) == (None, None)
    assert bound.low == pytest.approx(1.25 * math.log(2))


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        (
            {},
            "bits_per_byte 1.50 bits/byte [1.25, 1.88] (95 % for documents like these)",
        ),
        (EXACT, "bits_per_byte 1.5000 bits/byte (exact for documents like these)"),
        (
            BOUND,
            "bits_per_byte [1.25, 1.88] bits/byte (certain for documents like these)",
        ),
        ({**BOUND, "low": 1.259, "high": 1.781}, "[1.25, 1.79] bits/byte"),
        ({**BOUND, "high": None}, "bits_per_byte at least 1.2500 bits/byte (certain"),
        ({**BOUND, "high": math.inf}, "bits_per_byte at least 1.2500 bits/byte"),
        ({**BOUND, "low": None}, "bits_per_byte at most 1.8750 bits/byte (certain"),
        ({**BOUND, "level": 0.9}, "[1.25, 1.88] bits/byte (90 % for documents like"),
        ({**BOUND, "low": 0.1 * 3, "high": 0.1 * 7}, "[0.30, 0.70] bits/byte"),
        ({**BOUND, "high": 1e30}, "[1, 1000000000000000000000000000000] bits/byte (c"),
        ({"unit": "1", "low": 1.4999, "high": 1.5001}, "1.50000 [1.49990, 1.50010]"),
        ({"low": None, "high": None}, "1.5000 bits/byte (no interval: documents"),
        ({"value": math.inf, "high": math.inf}, "∞ bits/byte [1.2500, ∞]"),
        ({"value": -math.inf, "low": -math.inf}, "-∞ bits/byte [-∞, 1.8750]"),
        ({"high": None}, "[1.2500, ∞]"),
    ],
)
def test_a_line_says_it_all(changes, shown):
    assert shown in str(estimate(**changes)).replace(" in [", " [")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": math.nan}, "value is NaN"),
        ({"low": math.nan}, "low is NaN"),
        ({"high": math.nan}, "high is NaN"),
        ({"null_level": math.nan}, "null_level is NaN"),
        ({"p_value": math.nan}, "p_value is NaN"),
        ({"level": math.nan}, "level is NaN"),
        ({"low": 2.0}, r"low 2\.0 is above high"),
        ({"level": None}, "states its level"),
        ({"level": 95.0}, "not between 0 and 1"),
        ({"level": 0.0}, "not between 0 and 1"),
        ({"low": None, "high": None, "level": 1.0}, "not between 0 and 1"),
        ({"value": None}, "only a bound has no value"),
        ({**EXACT, "value": None}, "only a bound has no value"),
        ({**EXACT, "low": 1.0}, "an exact number has no interval"),
        ({**BOUND, "value": 1.5}, "a bound has limits and no value"),
        ({**BOUND, "low": None, "high": None}, "a bound has limits and no value"),
        ({"n": -1}, "n is -1, below 0"),
        ({"n_clusters": -2}, "n_clusters is -2, below 0"),
        ({"p_value": 1.5}, "not in"),
    ],
)
def test_an_estimate_that_cannot_be_is_refused(changes, message):
    with pytest.raises(InvalidInput, match=message):
        estimate(**changes)


def test_a_kind_that_is_unknown_is_refused_in_json():
    fields = estimate().to_dict() | {"kind": "certain"}
    with pytest.raises((SchemaError, InvalidInput), match="kind"):
        Estimate.from_dict("x", fields)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        EXACT,
        BOUND,
        {**BOUND, "high": None},
        {"value": math.inf, "low": None, "high": None, "level": None},
        {"value": -math.inf, "low": -math.inf},
        {"n_clusters": 12, "null_level": 0.03, "p_value": 0.5},
        {"kind": "prediction"},
    ],
)
def test_json_gives_back_the_same_estimate(changes):
    original = estimate(**changes)
    written = json.dumps(original.to_dict(), allow_nan=False)
    assert Estimate.from_dict("bits_per_byte", json.loads(written)) == original


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_any_number_survives_json(one, other):
    low, high = sorted((one, other))
    original = estimate(value=one, low=low, high=high)
    written = json.dumps(original.to_dict(), allow_nan=False)
    assert Estimate.from_dict("bits_per_byte", json.loads(written)) == original


@pytest.mark.parametrize("name", list(estimate().to_dict()))
def test_a_missing_field_is_named(name):
    fields = estimate().to_dict()
    del fields[name]
    with pytest.raises(SchemaError, match=name):
        Estimate.from_dict("bits_per_byte", fields)


@pytest.mark.parametrize(
    ("name", "value"),
    [("value", "much"), ("n", "many"), ("recipe", None), ("p_value", [1])],
)
def test_a_field_that_is_something_else_is_refused(name, value):
    with pytest.raises(SchemaError, match="bits_per_byte"):
        Estimate.from_dict("bits_per_byte", estimate().to_dict() | {name: value})


def test_sources_are_cited_one_a_line():
    assert estimate().cite() == "Shannon (1948)\nPolitis & Romano (1994)"


def test_hostile_text_is_escaped_in_html():
    hostile = "<script>alert(1)</script>"
    shown = estimate(
        name=hostile,
        population=hostile,
        recipe=Recipe(hostile, {hostile: hostile}, (hostile,)),
    )._repr_html_()
    assert "<script>" not in shown
    assert shown.count("&lt;script&gt;") >= 4


def test_estimate_and_recipe_are_frozen():
    with pytest.raises(FrozenInstanceError):
        estimate().value = 2.0
    with pytest.raises(FrozenInstanceError):
        RECIPE.estimator = "other"


def test_a_recipe_keeps_its_own_copy_of_the_settings():
    settings = {"seed": 1}
    recipe = Recipe("x", settings)
    settings["seed"] = 2
    assert recipe.settings == {"seed": 1}
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_numbers_of_numpy_become_plain_ones():
    plain = estimate(value=np.float64(1.5), low=np.float64(1.25))
    assert json.dumps(plain.to_dict()) == json.dumps(estimate().to_dict())
    assert repr(plain) == repr(estimate())
