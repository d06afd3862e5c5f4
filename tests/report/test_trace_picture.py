"""The picture is valid SVG, holds the whole text, and fits its width."""

import math
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from nescio.errors import InvalidInput
from nescio.palette import shade
from nescio.report.trace_picture import trace_picture
from tests.report.handmade import ORIGIN, handmade, pieces_of

SVG = "{http://www.w3.org/2000/svg}"
TEXT = (
    "The rain had not stopped for three days, and the river took the fields.\n\n"
    "雨は三日間降り続き、川は静かに畑を飲み込んでいった。🌧️ Nobody spoke about it."
)


def words(root: ET.Element) -> str:
    spelled = [t.text for t in root.iter(f"{SVG}text") if "textLength" in t.attrib]
    return "".join(spelled).replace("\u00a0", " ")


def squeezed(text: str) -> str:
    return re.sub(r"[\s↵]", "", text)


@pytest.mark.parametrize("width", [320, 500, 760, 1200])
def test_the_picture_holds_every_character_and_stays_inside_its_width(width):
    root = ET.fromstring(trace_picture(handmade(pieces_of(TEXT)), width=width))
    assert squeezed(words(root)) == squeezed(TEXT)
    assert float(root.attrib["width"]) == width
    for text in root.iter(f"{SVG}text"):
        if "textLength" in text.attrib:
            end = float(text.attrib["x"]) + float(text.attrib["textLength"])
            assert end <= width - 28 + 0.01


@pytest.mark.parametrize("by", ["surprisal", "entropy"])
def test_a_shade_is_as_wide_as_its_word_and_of_its_value(by):
    trace = handmade([b"one", b" two"])
    root = ET.fromstring(trace_picture(trace, by=by))
    (group,) = [g for g in root.iter(f"{SVG}g") if g.get("class") == "shades"]
    texts = [t for t in root.iter(f"{SVG}text") if "textLength" in t.attrib]
    for rect, text, value in zip(group, texts, getattr(trace, by), strict=True):
        assert rect.attrib["fill"] == shade(value).css.removeprefix("background:")
        assert rect.attrib["width"] == text.attrib["textLength"]
        assert rect.attrib["x"] == text.attrib["x"]


def test_the_picture_can_be_shaded_by_entropy_and_its_chart_follows():
    trace = handmade(pieces_of(TEXT))
    by_entropy = trace_picture(trace, by="entropy", unit="nats")
    assert 'class="line raw entropy"' in by_entropy
    assert 'class="line raw surprisal"' not in by_entropy
    assert "entropy,\u00a0nats\u00a0per\u00a0token" in by_entropy


def test_a_picture_by_lower_bounds_says_so_and_has_the_band():
    trace = handmade(pieces_of(TEXT), entropy=None, varentropy=None)
    low = np.full(len(trace), 0.5, np.float32)
    bounded = replace(trace, entropy_low=low, entropy_high=low + 2)
    picture = trace_picture(bounded, by="entropy")
    assert "entropy\u00a0at\u00a0least,\u00a0bits\u00a0per\u00a0token" in picture
    assert 'class="band entropy"' in picture
    assert "at\u00a0least" not in trace_picture(bounded)


def test_control_tokens_are_boxed_and_unscored_ones_have_no_shade():
    labels = {0: "<|user|>", 2: "<|end|>"}
    trace = handmade([b"", b"Hi", b"", b" you"], unscored=(0, 1), labels=labels)
    root = ET.fromstring(trace_picture(trace))
    (group,) = [g for g in root.iter(f"{SVG}g") if g.get("class") == "shades"]
    assert len(group) == 1
    boxes = [r.get("fill") for r in root.iter(f"{SVG}rect") if r.get("stroke")]
    assert boxes[-2] == "none"
    assert boxes[-1] == shade(trace.surprisal[2]).css.removeprefix("background:")
    assert {"<|user|>", "<|end|>"} <= {t.text for t in root.iter(f"{SVG}text")}


def test_hostile_text_is_text():
    raw = b"</text><script>alert(1)</script>\x00\x1b[31m"
    origin = replace(ORIGIN, model='"><script>\u202e')
    trace = handmade([raw, "\ufffe\uffff".encode()], origin=origin)
    root = ET.fromstring(trace_picture(trace))
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags == {"svg", "title", "g", "rect", "text", "path"}
    assert words(root) == "</text><script>alert(1)</script>␀␛[31m⟨fffe⟩⟨ffff⟩"


def test_a_long_text_is_cut_and_says_by_how_much():
    trace = handmade([b"line\n"] * 75)
    root = ET.fromstring(trace_picture(trace))
    assert words(root).count("line") == 60
    assert "… and 15 more" in "".join(root.itertext()).replace("\u00a0", " ")


def test_a_trace_with_nothing_scored_is_a_picture_without_a_chart():
    picture = trace_picture(handmade([b"a", b"b"], unscored=(0, 1)))
    assert "data-plot" not in picture
    assert words(ET.fromstring(picture)) == "ab"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "bytes"}, "'bytes'"),
        ({"width": 200}, "width is 200"),
        ({"width": math.nan}, "width is nan"),
        ({"by": "entropy"}, "no entropies"),
    ],
)
def test_a_picture_that_cannot_be_made_is_refused(options, message):
    trace = replace(handmade([b"a"]), entropy=None)
    with pytest.raises(InvalidInput, match=message):
        trace_picture(trace, **options)


def test_tokens_beyond_the_top_of_the_chart_are_marked_and_the_axis_says_so():
    trace = handmade([b"a"] * 40)
    logp = np.full(40, -1.0, np.float32)
    flat = trace_picture(replace(trace, logp=logp))
    logp[20] = -13 * math.log(2)
    cut = trace_picture(replace(trace, logp=logp.copy()))
    assert "▲ above 12" not in flat
    assert "▲ above 12" in cut
    assert 'class="infinite raw surprisal"' in cut
