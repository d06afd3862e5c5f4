"""The object of --json is strict JSON with all there is."""

import json
import math

import numpy as np
import pytest

from nescio.errors import InvalidInput
from nescio.outcome import Estimate, Recipe
from nescio.report.glossary import MEANINGS
from nescio.report.summary import estimates_json


def bound() -> Estimate:
    recipe = Recipe("entropy_rate", {"reported": math.nan, "top": math.inf})
    return Estimate(
        "entropy_rate", None, "nats/token", 5, "bound", "this text", recipe,
        low=1.5, high=math.inf,
    )  # fmt: skip


def test_the_object_is_strict_json_and_the_estimates_read_back():
    result = estimates_json(
        {"entropy_rate": bound()},
        {"tokens": 5, "bytes": np.int64(20)},
        items=[{"surprisal": np.array([1.0, np.nan, np.inf]), "id": 7}],
        groups={"maths": {"entropy_rate": bound()}},
    )

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    read = json.loads(json.dumps(result, allow_nan=False), parse_constant=refuse)
    assert read == result
    assert list(read) == ["estimates", "counts", "items", "groups"]
    assert read["counts"] == {"tokens": 5, "bytes": 20}
    assert read["items"] == [{"surprisal": [1.0, None, "Infinity"], "id": 7}]
    settings = read["estimates"]["entropy_rate"]["recipe"]["settings"]
    assert settings == {"reported": None, "top": "Infinity"}
    fields = read["groups"]["maths"]["entropy_rate"]
    back = Estimate.from_dict("entropy_rate", fields)
    assert (back.low, back.high, back.value) == (1.5, math.inf, None)


def test_an_object_without_items_and_groups_has_them_empty():
    assert estimates_json({}, {}) == {
        "estimates": {},
        "counts": {},
        "items": [],
        "groups": {},
    }


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([{"a": [1, object()]}], r"items\[0\]\.a\[1\] is <object"),
        ([b"raw"], r"items\[0\] is b'raw'"),
        ([{1: "a"}], r"items\[0\] has the key 1"),
        ([1j], "items"),
    ],
)
def test_what_json_cannot_hold_is_refused_by_its_place(items, message):
    with pytest.raises(InvalidInput, match=message):
        estimates_json({}, {}, items)


def test_meanings_are_one_short_line_each():
    assert all(name.isidentifier() for name in MEANINGS)
    assert all(20 < len(text) < 80 for text in MEANINGS.values())
    assert not [text for text in MEANINGS.values() if text.endswith(".")]
