"""Lines are where their numbers say, and nothing but our markup is in the picture."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nescio.errors import InvalidInput
from nescio.plot import Band, Marker, Series, line_chart

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script>\x00\x1b[31m\u202e\ufffe\"' &amp; <b"


def chart(*series: Series, **options: object) -> ET.Element:
    given = {"x_label": "token", "y_label": "bits", "width": 400, "height": 240}
    return ET.fromstring(line_chart(series, **given | options))


def of(*values: float, **fields: object) -> Series:
    return Series("entropy", np.array(values, dtype=np.float64), **fields)


def paths(root: ET.Element, name: str) -> list[str]:
    found = root.iter(f"{SVG}path")
    return [p.attrib["d"] for p in found if name in p.get("class", "").split()]


def points(path: str) -> list[list[tuple[float, float]]]:
    """The runs of a line's path."""
    runs = []
    for run in path.split("M")[1:]:
        numbers = [float(number) for number in run.removesuffix("h0").split()]
        runs.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return runs


def plot(root: ET.Element) -> tuple[float, float, float, float]:
    left, top, right, bottom = map(float, root.attrib["data-plot"].split())
    return left, top, right, bottom


def test_a_known_value_is_at_its_known_pixel():
    root = chart(of(0.0, 5.0, 10.0))
    left, top, right, bottom = plot(root)
    assert root.attrib["data-y"] == "0 10"
    assert root.attrib["data-x"] == "0 2"
    middle = ((left + right) / 2, (top + bottom) / 2)
    (run,) = points(*paths(root, "line"))
    assert run[0] == pytest.approx((left, bottom), abs=0.01)
    assert run[1] == pytest.approx(middle, abs=0.01)
    assert run[2] == pytest.approx((right, top), abs=0.01)


def test_given_positions_are_kept():
    root = chart(of(1.0, 1.0, 1.0, x=np.array([10, 11, 20])))
    left, _, right, _ = plot(root)
    (run,) = points(*paths(root, "line"))
    assert run[1][0] == pytest.approx(left + 0.1 * (right - left), abs=0.01)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((3.0, 4.0), (0, 4)),
        ((-3.0, -1.0), (-3, 0)),
        ((-1.0, 1.0), (-1, 1)),
        ((0.0, 0.0), (-0.5, 0.5)),
        ((7.0, 9.3), (0, 10)),
    ],
)
def test_the_axis_holds_zero_and_every_value(values, expected):
    low, high = map(float, chart(of(*values)).attrib["data-y"].split())
    assert low <= min(*values, 0)
    assert high >= max(*values, 0)
    assert (low, high) == pytest.approx(expected)


def test_tick_labels_stand_beside_their_values():
    root = chart(of(0.0, 5.0, 10.0))
    _, top, _, bottom = plot(root)
    labels = [t for t in root.iter(f"{SVG}text") if t.get("text-anchor") == "end"]
    for label in labels:
        y = bottom - float(label.text) / 10 * (bottom - top)
        assert float(label.attrib["y"]) == pytest.approx(y + 4, abs=0.02)
    assert labels[0].text == "0"
    assert labels[-1].text == "10"


def test_an_absent_value_breaks_the_line():
    nan = np.nan
    runs = points(*paths(chart(of(1.0, 2.0, nan, 3.0, nan, nan, 4.0, 5.0)), "line"))
    assert [len(run) for run in runs] == [2, 1, 2]


def test_a_single_value_is_a_dot():
    root = chart(of(3.0))
    (path,) = paths(root, "line")
    assert path.endswith("h0")
    line = next(p for p in root.iter(f"{SVG}path") if p.get("d") == path)
    assert line.attrib["stroke-linecap"] == "round"


def test_infinite_values_are_clipped_and_marked_and_stretch_no_axis():
    root = chart(of(1.0, np.inf, 2.0, -np.inf))
    left, top, right, bottom = plot(root)
    assert root.attrib["data-y"] == "0 2"
    (run,) = points(*paths(root, "line"))
    assert [y for _, y in run] == pytest.approx(
        [(top + bottom) / 2, top, top, bottom], abs=0.01
    )
    (marks,) = paths(root, "infinite")
    starts = re.findall(r"M([\d.]+) ([\d.]+)", marks)
    third = round(left + (right - left) / 3)
    assert [float(x) for x, _ in starts] == pytest.approx([third, round(right)])


def test_only_infinite_values_still_make_a_chart():
    root = chart(of(np.inf, np.inf))
    assert len(paths(root, "infinite")) == 1


def test_a_long_line_stays_short_and_keeps_its_highest_and_lowest():
    rng = np.random.default_rng(5)
    values = rng.gamma(2.0, 1.0, 50_000)
    values[31_415] = 40.0
    text = line_chart(
        [Series("entropy", values)], x_label="", y_label="", width=500, height=240
    )
    assert len(text) < 20_000
    root = ET.fromstring(text)
    left, top, right, _ = plot(root)
    (run,) = points(*paths(root, "line"))
    peak = min(run, key=lambda point: point[1])
    assert peak[1] == pytest.approx(top, abs=0.01)
    assert peak[0] == pytest.approx(left + 31_415 / 49_999 * (right - left), abs=1)


def test_a_band_of_two_numbers_is_a_rectangle_over_all_tokens():
    root = chart(of(0.0, 10.0), band=Band("healthy", 2.0, 4.0))
    left, top, right, bottom = plot(root)
    (area,) = paths(root, "band")
    corners = [float(number) for number in re.findall(r"[\d.]+", area)]
    low, high = (bottom - share * (bottom - top) for share in (0.2, 0.4))
    expected = [left, low, right, low, right, high, left, high]
    assert corners == pytest.approx(expected, abs=0.01)
    assert len(paths(root, "band-edge")) == 2


def test_a_band_of_arrays_has_the_gaps_of_either_limit():
    nan = np.nan
    low = np.array([0.0, 1.0, nan, 1.0, 1.0, 1.0])
    high = np.array([2.0, 2.0, 2.0, 2.0, 2.0, np.inf])
    root = chart(of(0.0, 1, 2, 3, 4, 5), band=Band("bounds", low, high))
    (area,) = paths(root, "band")
    assert area.count("M") == area.count("z") == 2


def test_an_infinite_limit_reaches_the_edge_of_the_chart_and_leaves_the_band_open():
    low, high = np.array([1.0, 1.0, 1.0]), np.array([2.0, np.inf, 2.0])
    root = chart(of(0.0, 4.0, 4.0), band=Band("bounds", low, high))
    _, top, _, bottom = plot(root)
    (area,) = paths(root, "band")
    heights = [float(number) for number in re.findall(r"[\d.]+", area)][1::2]
    level = bottom - (bottom - top) / 2
    assert heights[3:] == pytest.approx([level, top, level], abs=0.01)
    assert [len(points(edge)) for edge in paths(root, "band-edge")] == [1, 2]


def test_a_band_at_a_single_place_can_be_seen():
    nan = np.nan
    low, high = np.array([nan, 1.0, nan]), np.array([nan, 3.0, nan])
    root = chart(of(0.0, 1.0, 2.0), band=Band("bounds", low, high))
    left, _, right, _ = plot(root)
    (area,) = paths(root, "band")
    across = [float(number) for number in re.findall(r"[\d.]+", area)][::2]
    middle = (left + right) / 2
    assert across == pytest.approx([middle - 1, middle + 1, middle + 1, middle - 1])


def test_a_long_band_encloses_both_of_its_limits():
    rng = np.random.default_rng(1)
    low = rng.random(20_000)
    root = chart(of(*low), band=Band("bounds", low, low + 3.0))
    (area,) = paths(root, "band")
    numbers = [float(number) for number in re.findall(r"[\d.]+", area)]
    _, top, _, bottom = plot(root)
    highest = float(root.attrib["data-y"].split()[1])
    assert max(numbers[1::2]) <= bottom
    pixel = (bottom - top) / highest
    assert min(numbers[1::2]) == pytest.approx(
        bottom - (low.max() + 3) * pixel, abs=0.01
    )
    assert len(area) < 20_000


def test_an_absent_line_and_an_absent_band_leave_the_others_as_they_are():
    nan = np.full(3, np.nan)
    root = chart(of(1.0, 2.0, 3.0), Series("gone", nan), band=Band("no", nan, nan))
    assert len(paths(root, "line")) == 1
    assert not paths(root, "band")
    assert not paths(root, "band-edge")


def test_a_marker_stands_at_its_token_and_says_why():
    root = chart(of(*range(11)), markers=[Marker(4, "alarm at 4")])
    left, _, right, _ = plot(root)
    (path,) = paths(root, "marker")
    x = float(re.match(r"M([\d.]+)", path)[1])
    assert x == pytest.approx(left + 0.4 * (right - left), abs=0.01)
    assert "alarm at 4" in "".join(root.itertext())


def test_a_marker_beyond_the_data_widens_the_axis():
    assert chart(of(1.0, 2.0), markers=[Marker(9, "end")]).attrib["data-x"] == "0 9"


def test_the_legend_names_every_line_and_wraps_in_a_narrow_chart():
    names = ["entropy of each token", "mean of the last sixty-four", "surprisal"]
    lines = [Series(name, np.ones(3)) for name in names]
    wide, narrow = (chart(*lines, width=width) for width in (800, 240))
    for root in (wide, narrow):
        assert set(names) <= {text.text for text in root.iter(f"{SVG}text")}
    assert plot(narrow)[1] > plot(wide)[1]


def test_axes_say_what_they_show():
    texts = {text.text for text in chart(of(1.0, 2.0)).iter(f"{SVG}text")}
    assert {"token", "bits"} <= texts


@given(
    st.lists(st.floats(width=32), min_size=1, max_size=40),
    st.text(max_size=20),
    st.sampled_from(["", HOSTILE]),
)
def test_any_numbers_and_any_words_make_valid_xml(values, words, hostile):
    y = np.array(values, dtype=np.float64)
    label = words + hostile
    if np.isnan(y).all():
        y[0] = 1.0
    root = chart(
        Series(label, y, style=label),
        x_label=label,
        y_label=label,
        markers=[Marker(0, label)],
        band=Band(label, 0.0, 1.0),
    )
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "g", "path", "text"}


def test_hostile_words_are_shown_as_words():
    root = chart(Series(HOSTILE, np.ones(2)))
    (name,) = [t.text for t in root.iter(f"{SVG}text") if "script" in (t.text or "")]
    assert name == ("</text><script>alert(1)</script>␀␛[31m⟨202e⟩⟨fffe⟩\"' &amp; <b")


@pytest.mark.parametrize(
    ("series", "options", "message"),
    [
        ([], {}, "nothing to draw"),
        ([of()], {}, "nothing to draw"),
        ([of(np.nan, np.nan)], {}, "nothing to draw"),
        ([of(1.0, x=np.array([1, 2]))], {}, "2 x for 1 values"),
        ([of(1.0, 2.0, x=np.array([2, 1]))], {}, "may not fall"),
        ([of(1.0, 2.0, x=np.array([0.0, np.inf]))], {}, "finite"),
        ([of(1.0)], {"markers": [Marker(np.nan, "here")]}, "marker 'here'"),
        ([of(1.0)], {"width": 100}, "100 by 240 pixels is too small"),
        ([of(1.0)], {"height": 60}, "too small"),
        ([of(1e308, -1e308)], {}, "not finite"),
        (
            [of(1.0)],
            {"band": Band("b", np.zeros(2), np.ones(3))},
            "2 lower and 3 upper",
        ),
        ([of(1.0)], {"band": Band("b", np.nan, 1.0)}, "limits of band 'b'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(series, options, message):
    with pytest.raises(InvalidInput, match=message):
        chart(*series, **options)
