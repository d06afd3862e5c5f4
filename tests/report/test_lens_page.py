"""The page of a lens: its own numbers, nothing that acts, pointer and keyboard."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.cells import cell_len

from nescio.errors import InvalidInput
from nescio.lens import LayerReading, layer_curves, lens_summary
from nescio.plot.layer_map import STRIP, layer_map, shade_levels
from nescio.report.lens_page import lens_page
from nescio.report.lens_text import lens_lines
from tests.lens.reading_texts import handmade, readings_of
from tests.report.test_trace_page import HOSTILE, VOID, Page

FEW = {"resamples": 400}


class Lens(Page):
    """The page's elements, and its data."""

    @property
    def data(self) -> dict:
        found = re.search(
            r'<script type="application/json" id="lens-data">(.*?)</script>',
            self.source,
            re.DOTALL,
        )
        assert found is not None
        return json.loads(found[1])

    def __init__(self, source: str) -> None:
        self.source = source
        super().__init__(source)


@pytest.fixture(scope="module")
def reading() -> LayerReading:
    return readings_of("gemma2")[2]


@pytest.fixture(scope="module")
def source(reading: LayerReading) -> str:
    readings = readings_of("gemma2")
    curves = layer_curves(
        readings, measures=["layer_entropy", "kl_to_last_layer"], **FEW
    )
    return lens_page(reading, lens_summary(readings, **FEW), curves)


def test_every_element_is_closed_and_nothing_is_fetched(source: str) -> None:
    page = Lens(source)
    assert page.open == []
    assert VOID
    names = {name for name, _ in page.elements}
    assert not names & {"img", "link", "iframe", "object", "embed", "base", "form"}
    assert not [
        v
        for v in page.values
        if re.match(r"\s*(https?:|//|javascript:)", v)
        and v != "http://www.w3.org/2000/svg"
    ]
    assert "default-src 'none'" in source
    assert source.count("<script") == 2


def test_the_data_are_the_readings_own(source: str, reading: LayerReading) -> None:
    data = Lens(source).data
    nats = 100 / np.log(2)
    np.testing.assert_array_equal(data["entropy"], np.rint(reading.entropy * nats))
    np.testing.assert_array_equal(data["kl"], np.rint(reading.kl_to_last * nats))
    np.testing.assert_array_equal(data["rank"], reading.rank)
    np.testing.assert_array_equal(data["settled"], reading.settled)
    for layer in range(reading.layers):
        for column in range(len(reading.tokens)):
            shown = data["strings"][data["top"][layer][column]]
            assert shown == (reading.top_text(layer, column) or "∅")
    assert data["text"] == [reading.trace.token_text(t) for t in reading.tokens]
    assert np.array(data["share"]).max() <= 10_000


def test_each_strip_has_a_cell_for_each_layer_and_token(
    source: str, reading: LayerReading
) -> None:
    strips = re.findall(r'data-first="(\d+)" data-plot="([^"]+)"', source)
    tokens = len(reading.tokens)
    assert [int(first) for first, _ in strips] == list(range(0, tokens, STRIP))
    wide = [int(plot.split()[4]) for _, plot in strips]
    assert sum(wide) == tokens
    assert {int(plot.split()[5]) for _, plot in strips} == {reading.layers}
    for name in ("entropy", "kl"):
        groups = re.findall(rf'<g class="cells {name}">(.*?)</g>', source)
        covered = [int(n) for group in groups for n in re.findall(r"h(\d+)", group)]
        assert sum(covered) == tokens * reading.layers


def test_cells_are_shaded_by_their_values() -> None:
    levels = shade_levels(np.log([[1.0, 2.0, 2.0], [4096.0, 1e9, 4.0]]))
    assert levels.tolist() == [[0, 4, 4], [48, 48, 8]]
    svg = layer_map(
        {"entropy": levels},
        settled=np.array([0, 1, 1]),
        labels=["a", "b", "c"],
        first=0,
    )
    # The last layer is the upper row: two full cells, then one of 2 bits.
    assert 'd="M0 .5h2"' in svg
    assert re.search(r'd="M0 .5h2"[^>]*class="c48"', svg)
    assert re.search(r'd="M2 .5h1"[^>]*class="c8"', svg)
    assert re.search(r'd="M1 1.5h2"[^>]*class="c4"', svg)


def test_the_line_stands_where_tokens_settle() -> None:
    grid = np.zeros((4, 2), dtype=np.int64)
    svg = layer_map(
        {"entropy": grid}, settled=np.array([0, 3]), labels=["a", "b"], first=0
    )
    plot = re.search(r'data-plot="([^"]+)"', svg)
    left, top, cell, height, *_ = map(float, plot[1].split())
    line = re.search(r'd="(M[^"]+)"[^>]*class="settled"', svg)
    numbers = [float(n) for n in re.findall(r"-?\d+\.?\d*", line[1])]
    assert numbers[:2] == [left, top + 4 * height]
    assert numbers[3:5] == [left + cell, top + height]


def test_maps_that_cannot_be_drawn_are_refused() -> None:
    grid = np.zeros((2, 3), dtype=np.int64)
    with pytest.raises(InvalidInput, match="3 tokens with 2 labels"):
        layer_map(
            {"a": grid}, settled=np.zeros(3, np.int64), labels=["a", "b"], first=0
        )
    wide = np.zeros((2, STRIP + 1), dtype=np.int64)
    with pytest.raises(InvalidInput, match="at most"):
        layer_map(
            {"a": wide},
            settled=np.zeros(STRIP + 1, np.int64),
            labels=["a"] * (STRIP + 1),
            first=0,
        )


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_text_changes_nothing_but_text(attack: str) -> None:
    found = handmade([[0, 1], [0, 1]], [[0.5, 0.5]] * 2)
    raw = attack.encode("utf-8", "surrogatepass")
    trace = replace(
        found.trace,
        buffer=raw,
        offsets=np.array([0, 1, len(raw)]),
        origin=replace(found.trace.origin, model=attack, decoding={attack: attack}),
    )
    hurt = replace(
        found,
        trace=trace,
        spelled={0: raw, 1: raw[1:], 2: b""},
        labels={1: attack},
        settings={"architecture": attack, "before_head": [attack], "layers": 2},
    )
    estimates = lens_summary(found, **FEW)
    plain = Lens(lens_page(found, estimates))
    page = Lens(lens_page(hurt, estimates))
    assert [n for n, _ in page.elements if n not in ("dt", "dd")] == [
        n for n, _ in plain.elements if n not in ("dt", "dd")
    ]
    source = page.source
    for character in "\u202e\u2066\x00\x07\x1b\x9b\u2028\u2029":
        assert character not in source
        assert character not in html.unescape(source)
    assert "</script><script>alert" not in source


def test_a_long_text_is_cut_and_the_page_says_so(reading: LayerReading) -> None:
    source = lens_page(reading, {}, most=5)
    assert len(Lens(source).data["text"]) == 5
    left = len(reading.tokens) - 5
    assert f"the first 5 tokens; {left:,} more are not shown" in source
    with pytest.raises(InvalidInput, match="most is 0"):
        lens_page(reading, {}, most=0)
    with pytest.raises(InvalidInput, match="'bytes'"):
        lens_page(reading, {}, unit="bytes")


def test_the_page_can_be_used_without_a_pointer(source: str) -> None:
    assert '<div id="map" tabindex="0" role="group" aria-label=' in source
    for key in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"):
        assert key in source
    assert source.count('type="radio" name="by"') == 2
    assert 'aria-live="polite"' in source


def test_text_lines_fit_the_terminal_and_spell_the_text(reading: LayerReading) -> None:
    for width in (20, 40, 88):
        lines = lens_lines(reading, width=width, bands=100)
        assert max(cell_len(line) for line in lines[:-2]) <= width
        text = "".join(line[8:] for line in lines if line.startswith(" " * 8))
        shown = "".join(reading.trace.token_text(t) for t in reading.tokens)
        assert text.replace(" ", "") == shown.replace(" ", "")
        assert "█ 12 bits and up" in lines[-2]


def test_bars_are_as_high_as_the_entropy() -> None:
    found = handmade(
        [[0, 1, 0, 1], [0, 0, 0, 1]], [[0.0, 99.0, np.log(64), 0.0], [np.log(8)] * 4]
    )
    lines = lens_lines(found, width=40)
    assert lines[0] == "      1 ▂▂▂▂"
    assert lines[1] == "      0  █▄"
    assert lines[2] == "        HTHT"
    assert lines[3] == "settles 0900"
    assert lens_lines(found, width=40, by="kl")[0] == "      1"
    nats = lens_lines(found, width=40, unit="nats")
    assert "█ 8.32 nats and up" in nats[-2]


def test_deep_networks_show_some_layers_and_long_texts_some_bands() -> None:
    deep = handmade([[0] * 30] * 31, [[1.0] * 30] * 31)
    lines = lens_lines(deep, width=20, bands=1)
    names = [int(line[:7]) for line in lines if line[:7].strip().isdigit()]
    assert names[0] == 30
    assert names[-1] == 0
    assert len(names) == 11
    assert "… and 18 more tokens" in lines
    with pytest.raises(InvalidInput, match="width of 10"):
        lens_lines(deep, width=10)
    with pytest.raises(InvalidInput, match="'js'"):
        lens_lines(deep, width=40, by="js")
