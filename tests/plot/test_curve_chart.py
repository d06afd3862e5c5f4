"""Curves are where their numbers say, on straight and on logarithmic axes."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pytest

from nescio.errors import InvalidInput
from nescio.plot.curve import Curve, Place, curve_chart
from nescio.plot.key import DASHES, Entry, key, key_rows
from nescio.plot.panel import Axis, log_axis, straight_axis
from nescio.plot.svg import text_width

X = np.array([0.5, 1.0, 2.0])


def chart(*curves: Curve, **options: object) -> ET.Element:
    given = {"x": log_axis("T", 0.5, 2.0), "y": "loss", "size": (400, 260)}
    return ET.fromstring(curve_chart(curves, **given | options))


def named(root: ET.Element, name: str) -> list[ET.Element]:
    return [e for e in root.iter() if name in e.get("class", "").split()]


def plot(root: ET.Element) -> tuple[float, float, float, float]:
    left, top, right, bottom = map(float, root.attrib["data-plot"].split())
    return left, top, right, bottom


def line(root: ET.Element) -> list[tuple[float, float]]:
    path = next(
        e for e in named(root, "line") if "sample" not in e.attrib["class"].split()
    ).attrib["d"]
    numbers = [float(n) for n in path.removeprefix("M").split()]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_equal_ratios_are_equally_long_on_a_logarithmic_axis():
    root = chart(Curve("loss", X, np.array([0.0, 1.0, 2.0])))
    left, top, right, bottom = plot(root)
    points = line(root)
    assert points[0] == pytest.approx((left, bottom), abs=0.02)
    assert points[1][0] == pytest.approx((left + right) / 2, abs=0.02)
    assert points[2] == pytest.approx((right, top), abs=0.02)


def test_a_logarithmic_axis_is_named_at_round_numbers_inside_it():
    assert log_axis("bins", 5, 100).names == ("5", "10", "20", "50", "100")
    assert log_axis("T", 1, 9, ticks=(0.5, 3.0)).names == ("3",)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.0, 1.0, "above 0"), (2.0, 1.0, "does not rise"), (1.0, np.inf, "not finite")],
)
def test_an_axis_that_cannot_be_is_refused(low, high, said):
    with pytest.raises(InvalidInput, match=said):
        log_axis("T", low, high)


def test_an_axis_names_each_tick():
    with pytest.raises(InvalidInput, match="2 ticks, 1 names"):
        Axis("T", 0.0, 1.0, (0.0, 1.0), ("0",))


def test_places_carry_their_words_and_their_limits():
    place = Place(1.0, "least loss", 0.7, 1.4)
    root = chart(Curve("loss", X, X), places=[place])
    left, _, right, _ = plot(root)
    (foot,) = named(root, "limits")
    start = float(foot.attrib["d"].split()[0].removeprefix("M"))
    expected = left + np.log(0.7 / 0.5) / np.log(4) * (right - left)
    assert start == pytest.approx(expected, abs=0.02)
    assert [e.text for e in named(root, "words")] == ["least loss"]
    assert named(chart(Curve("loss", X, X), places=[Place(1.0, "a")]), "limits") == []


def test_words_at_the_right_edge_stay_inside():
    root = chart(Curve("loss", X, X), places=[Place(2.0, "a rather long remark")])
    (words,) = named(root, "words")
    assert words.attrib["text-anchor"] == "end"


def test_each_x_has_a_strip_and_together_they_cover_the_panel():
    root = chart(Curve("loss", X, X))
    left, _, right, _ = plot(root)
    hits = named(root, "hit")
    assert [hit.attrib["data-row"] for hit in hits] == ["0", "1", "2"]
    widths = [float(hit.attrib["width"]) for hit in hits]
    shares = [width / (right - left) for width in widths]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=1e-3)


def test_nan_breaks_a_curve_and_what_lies_beyond_is_cut_off_not_bent():
    axis = straight_axis("loss", 0, 1)
    root = chart(Curve("loss", X, np.array([0.5, np.nan, 9.0])), y=axis)
    _, top, _, bottom = plot(root)
    path = next(
        e.attrib["d"]
        for e in named(root, "line")
        if "sample" not in e.attrib["class"].split()
    )
    assert path.count("M") == 2
    last = float(path.split()[-1].removesuffix("h0"))
    assert last == pytest.approx(bottom - 9 * (bottom - top), abs=0.5)
    inner = next(e for e in root.iter() if e.get("overflow") == "hidden")
    assert float(inner.attrib["height"]) == pytest.approx(bottom - top)


def test_infinite_values_do_not_reach_the_file():
    root = chart(Curve("loss", X, np.array([np.inf, 1.0, 0.5])))
    assert not any("inf" in value for e in root.iter() for value in e.attrib.values())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"y": np.ones(2)}, "3 x for 2 values"),
        ({"x": X[::-1]}, "do not fall"),
        ({"x": np.array([0.5, np.nan, 2.0])}, "are finite"),
        ({"low": X}, "give both or none"),
    ],
)
def test_a_curve_that_is_none_is_refused(fields, said):
    with pytest.raises(InvalidInput, match=said):
        Curve(**{"name": "loss", "x": X, "y": X} | fields)


def test_nothing_to_draw_a_place_nowhere_and_a_tiny_chart_are_refused():
    with pytest.raises(InvalidInput, match="nothing to draw"):
        chart(Curve("loss", X, np.full(3, np.nan)))
    with pytest.raises(InvalidInput, match="not all finite"):
        chart(Curve("loss", X, X), places=[Place(np.inf, "far")])
    with pytest.raises(InvalidInput, match="too small to read"):
        chart(Curve("loss", X, X), size=(100, 100))


def test_the_key_breaks_into_rows_and_knows_its_looks():
    entries = [Entry(f"a name of some length {k}", "dashes", "#000") for k in range(4)]
    assert key_rows(entries, 1000) == 1
    assert key_rows(entries, 200) == 4
    assert key_rows([], 200) == 0
    assert key(entries, 200).count("<text") == 4
    with pytest.raises(InvalidInput, match="look is 'star'"):
        Entry("a", "star", "#000")


def test_the_key_leaves_room_for_faces_wider_than_the_estimate() -> None:
    """DejaVu Sans writes this name some 98 pixels wide at size 12."""
    name, wide = "phrase repeated", 98
    entries = [Entry("x", "line", "#000"), Entry(name, "line", "#000")]
    before = 4 + 2 * 28 + 18 + text_width("x", size=12)
    assert text_width(name, size=12) < wide
    assert key_rows(entries, before + wide - 1) == 2
    assert key_rows(entries, before + wide + 4) == 1


def test_dashes_differ_by_name_in_the_chart_as_in_its_key():
    looks = [False, True, *DASHES]
    root = chart(
        *(Curve(str(look), X, X + n, dashed=look) for n, look in enumerate(looks))
    )
    drawn = [e for e in named(root, "line") if "sample" not in e.get("class", "")]
    sample = [e for e in named(root, "line") if "sample" in e.get("class", "")]
    patterns = [e.get("stroke-dasharray") for e in reversed(drawn)]
    assert patterns == [None, DASHES["dashes"], *DASHES.values()]
    assert patterns == [e.get("stroke-dasharray") for e in sample]
    assert len(set(DASHES.values())) == len(DASHES)
    assert all(e.get("stroke-linecap") == "butt" for e in drawn[:-1])


def test_unknown_dashes_are_refused():
    with pytest.raises(InvalidInput, match="'wavy': one of"):
        Curve("a", X, X, dashed="wavy")
