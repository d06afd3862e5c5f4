"""Everything can be read: contrast of at least 4.5 to 1 (WCAG 2.2), day and night."""

import math
import re

import numpy as np
import pytest

from nescio.palette import FULL_SCALE_NATS, INK, PAPER, shade
from nescio.plot import scale_bar
from nescio.plot.colours import DARK, LEVELS, LIGHT, dark_shade, level, level_shade


def luminance(colour: tuple[int, int, int]) -> float:
    """Relative luminance of sRGB, WCAG 2.2."""
    channels = [c / 255 for c in colour]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    ]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def parsed(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def rgb(colour: object) -> tuple[int, int, int]:
    return (colour.red, colour.green, colour.blue)


def test_the_contrast_of_black_on_white_is_twenty_one():
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)


@pytest.mark.parametrize("value", np.linspace(0, FULL_SCALE_NATS, 200))
def test_text_can_be_read_on_every_shade(value):
    assert contrast(INK, rgb(shade(value))) >= 4.5


@pytest.mark.parametrize("step", range(LEVELS + 1))
def test_text_can_be_read_on_every_step_by_day_and_by_night(step):
    assert contrast(INK, rgb(level_shade(step))) >= 4.5
    assert contrast(parsed(DARK["ink"]), rgb(dark_shade(step))) >= 4.5


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["day", "night"])
@pytest.mark.parametrize("name", ["ink", "muted", "alarm", "surprisal", "entropy"])
def test_words_and_lines_can_be_seen_on_paper(colours, name):
    assert contrast(parsed(colours[name]), parsed(colours["paper"])) >= 4.5
    assert contrast(parsed(colours[name]), parsed(colours["raised"])) >= 4.5


@pytest.mark.parametrize("ramp", [level_shade, dark_shade], ids=["day", "night"])
def test_more_is_always_further_from_paper(ramp):
    lightness = [luminance(rgb(ramp(step))) for step in range(LEVELS + 1)]
    moves = np.diff(lightness)
    assert (moves < 0).all() or (moves > 0).all()


def test_no_surprise_is_paper_by_day_and_by_night():
    assert rgb(level_shade(0)) == PAPER == parsed(LIGHT["paper"])
    assert rgb(dark_shade(0)) == parsed(DARK["paper"])


def test_a_step_is_a_quarter_of_a_bit():
    steps = [level(bits * math.log(2)) for bits in (0, 0.25, 1, 6, 12, 40)]
    assert steps == [0, 1, 4, 24, 48, 48]
    assert level(math.inf) == 48
    assert level(math.nan) is level(None) is None


@pytest.mark.parametrize(("unit", "last"), [("bits", "12+"), ("nats", "8")])
def test_the_scale_has_numbers_where_its_colours_are(unit, last):
    bar = scale_bar(unit=unit, width=520)
    labels = re.findall(r'<text x="([\d.]+)" y="28"[^>]*>([\d+]+)</text>', bar)
    assert labels[0][1] == "0"
    assert labels[-1][1] == last
    cells = re.findall(
        r'<rect x="([\d.]+)" y="0" width="([\d.]+)".*?fill="(#\w+)"', bar
    )
    factor = math.log(2) if unit == "bits" else 1.0
    for x, label in labels:
        under = [f for left, w, f in cells if float(left) <= float(x) < sum_of(left, w)]
        value = float(label.rstrip("+")) * factor
        wanted = level_shade(level(value)).css.removeprefix("background:")
        assert wanted in under


def sum_of(left: str, width: str) -> float:
    return float(left) + float(width)
