"""The page of a comparison: complete, safe, readable by day, night and keyboard."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nescio
from nescio.comparison import Compared, Comparison, Stretches, compare
from nescio.errors import InvalidInput
from nescio.models.vocabulary import Vocabulary
from nescio.outcome import Estimate, Recipe
from nescio.palette import INK
from nescio.plot.colours import DARK, LEVELS
from nescio.report.compare_numbers import headline, percentile_cells
from nescio.report.compare_page import comparison_page
from nescio.report.compare_style import blue, full_scale, legend_bar, step
from nescio.trace import Origin
from tests.comparison.making import ONE, STRICT, TWO, make_table
from tests.report.test_trace_page import HOSTILE, Page
from tests.traces import make_trace

TEXT = "abacabbcaabcbabaacab" * 12
ORIGIN = Origin("model", "sha256:m", "sha256:t", "by hand", "f64")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("tables")
    one, other = (make_table(folder, n, r) for n, r in (("one", ONE), ("two", TWO)))
    return compare(one, other, TEXT)


def compared(pieces: list[bytes], **fields: Any) -> Compared:
    """Tokens by hand with random numbers; the first is not scored."""
    rng, n = np.random.default_rng(0), len(pieces)
    scored = np.arange(n) > 0
    columns = np.where(scored, rng.gamma(1.0, 1.0, (5, n)), np.nan)
    given = {
        "buffer": b"".join(pieces),
        "offsets": np.cumsum([0, *map(len, pieces)]),
        "token_ids": np.arange(n),
        "scored": scored,
        "context_used": np.arange(n),
        "logp_reference": -columns[0],
        "logp_other": -columns[1],
        "kl_forward": columns[2],
        "kl_backward": columns[3],
        "js": np.minimum(columns[4], 0.5),
        "same_top": scored,
        "first_ids": np.stack([np.arange(n), np.arange(n)[::-1]]),
        "first_logp": np.where(scored, -0.5, np.nan) * np.ones((2, 1)),
        "reference": ORIGIN,
        "other": ORIGIN,
    }
    return Compared(**given | fields)


def marks_of(source: str) -> list[tuple[str, str]]:
    return Page(source).marks


def test_the_page_is_one_well_formed_document_without_anything_from_elsewhere(
    found: Comparison,
) -> None:
    source = comparison_page(found)
    page = Page(source)
    assert page.open == []
    counts = Counter(tag for tag, _ in page.elements)
    assert counts["html"] == counts["head"] == counts["body"] == counts["main"] == 1
    assert counts["script"] == 2
    assert not counts.keys() & {"link", "img", "iframe", "object", "base", "form", "a"}
    names = {name for _, attributes in page.elements for name in attributes}
    assert not names & {"src", "href", "action", "srcset", "style"}
    assert not [name for name in names if name.startswith("on")]
    assert "url(" not in source
    assert "@import" not in source
    addresses = set(re.findall(r"https?://[^\"'\s)]+", source))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert any("default-src 'none'" in value for value in page.values)


def test_hostile_text_and_names_leave_the_elements_as_they_are() -> None:
    raw = [text.encode() for text in HOSTILE]
    pages = []
    for words in (HOSTILE, tuple("word" for _ in HOSTILE)):
        origin = replace(
            ORIGIN, model=words[0], engine=words[1], decoding={words[2]: words[3]}
        )
        text = compared(
            [word.encode() for word in words], reference=origin, other=origin
        )
        recipe = Recipe(words[0], {words[1]: words[2]}, (words[3],))
        one = Estimate(words[0], 1.0, words[4], 9, "exact", words[1], recipe)
        vocabulary = Vocabulary.of([word.encode() for word in words])
        pages.append(
            Page(
                comparison_page(
                    Comparison((text,), {words[0]: one}),
                    title="".join(words),
                    vocabulary=vocabulary,
                )
            )
        )
    hostile, benign = pages
    kinds = [Counter(tag for tag, _ in page.elements) for page in pages]
    for tag in kinds[0].keys() | kinds[1].keys():
        if tag not in {"li", "ul"}:  # the key explains codes and line breaks
            assert kinds[0][tag] == kinds[1][tag], tag
    everything = hostile.text + "".join(hostile.values)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", everything)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f]", everything)
    assert hostile.data["candidates"][1][4] == f"A first: {hostile.marks[1][1]}"
    assert len(raw) == len(hostile.marks) == len(benign.marks)


def test_every_token_is_a_mark_with_a_shade_for_each_quantity() -> None:
    text = compared(
        [b"a", b"b", b"c", b"d"],
        kl_forward=np.array([np.nan, 0.0, 0.5, np.inf]),
        logp_reference=np.array([np.nan, -1.0, -1.0, -2.0]),
        logp_other=np.array([np.nan, -2.0, -1.0, -1.0]),
    )
    source = comparison_page(Comparison((text,), {}), unit="nats")
    classes = [set(names.split()) for names, _ in marks_of(source)]
    assert classes[0] == {"u"}
    # Δp is e^-2 - e^-1 = -.2325 of a scale to .5: ochre, as is more surprise.
    assert classes[1] == {"kl0", f"difference{LEVELS}", "delta22"}
    assert classes[2] == {f"kl{LEVELS}", "difference0", "delta0"}
    assert {f"kl{LEVELS}", f"difference-{LEVELS}"} <= classes[3]
    assert any(name.startswith("delta-") for name in classes[3])
    assert "∞" in json.dumps(Page(source).data, ensure_ascii=False)


def test_every_shade_in_use_has_a_rule_and_the_switch_needs_no_script(
    found: Comparison,
) -> None:
    source = comparison_page(found)
    for names, _ in marks_of(source):
        for name in names.split():
            assert f"#by-{re.sub('[-0-9]', '', name)}:checked~* .{name}" in source
    for by in ("kl", "difference", "delta"):
        assert f'id="by-{by}"' in source
        assert f'label for="by-{by}"' in source
    assert source.count(" checked") == 1
    assert 'tabindex="0"' in source
    assert "prefers-color-scheme:dark" in source


def test_the_card_has_both_probabilities_and_the_divergence(found: Comparison) -> None:
    table = nescio.load("table:coin").vocabulary
    data = Page(comparison_page(found)).data
    assert data["noun"] == "token"
    assert data["probability"][0] == "A 0.5, B 0.4"
    measures = {one["name"]: one["values"] for one in data["measures"]}
    assert measures["surprisal, A"][0] == "1"
    assert measures["KL(A‖B)"][0] == "0.0365"
    assert measures["B minus A"][0] == "0.322"
    assert data["candidates"][0] == [
        "A: this token",
        5000,
        "B: this token",
        4000,
        "A first: id 0",
        5000,
        "B first: id 0",
        4000,
    ]
    spelled = compared([b"H", b"T"], first_ids=np.array([[0, 1], [1, 2]]))
    page = comparison_page(Comparison((spelled,), {}), vocabulary=table)
    assert Page(page).data["candidates"][1][4::2] == ["A first: T", "B first: <start>"]


def test_the_unit_is_the_readers(found: Comparison) -> None:
    bits, nats = (Page(comparison_page(found, unit=u)) for u in ("bits", "nats"))
    one, other = (page.data["measures"][1]["values"][0] for page in (bits, nats))
    assert float(one) * math.log(2) == pytest.approx(float(other), rel=1e-2)
    assert "nats/token" in nats.text
    with pytest.raises(InvalidInput, match="unit is 'bytes'"):
        comparison_page(found, unit="bytes")


def test_stretches_of_different_vocabularies_say_how_each_model_cut_them() -> None:
    one = make_trace(["ab", "c", "de\n", "f"], [-1.0, -2.0, -3.0, -4.0])
    other = make_trace(["a", "bc", "d", "e\nf"], [-0.5, -0.25, -0.125, -1.0])
    page = Page(comparison_page(Comparison((Stretches.of(one, other),), {})))
    assert [text for _, text in page.marks] == ["abc", "de↵\nf"]
    assert page.data["noun"] == "stretch"
    values = {one["name"]: one["values"] for one in page.data["measures"]}
    assert values["cut by A"] == ["ab|c", "de␊|f"]
    assert values["cut by B"] == ["a|bc", "d|e␊f"]
    assert all(names.startswith("difference-") for names, _ in page.marks)
    assert "Percentiles" not in page.text


def test_infinities_and_models_that_agree_are_drawn(tmp_path: Path) -> None:
    one, strict = (
        make_table(tmp_path, n, r) for n, r in (("one", ONE), ("no", STRICT))
    )
    for pair in ((one, strict), (strict, strict), (one, one)):
        page = Page(comparison_page(compare(*pair, TEXT)))
        assert page.open == []
        assert "nan" not in page.text.split('"use strict"')[0].lower()
    found = compare(one, strict, TEXT)
    assert f"at {found.counts['infinite_kl']} tokens" in comparison_page(found)


def test_several_texts_have_no_page() -> None:
    coin = nescio.load("table:coin")
    with pytest.raises(InvalidInput, match="shows one text, not 2"):
        comparison_page(compare(coin, coin, ["HT", "TH"]))


def test_percentiles_stand_in_a_table_of_their_own(found: Comparison) -> None:
    rows = percentile_cells(found.estimates)
    labels = [row[0] for row in rows]
    assert labels[0] == "least"
    assert labels[5] == "median"
    assert labels[-1] == "most"
    assert rows[0][1] == ""
    assert "(this text)" in rows[-1][1]
    assert re.fullmatch(r"\S+ \[\S+, \S+\]", rows[5][1])
    assert not [name for name in headline(found.estimates) if "percentile" in name]
    assert percentile_cells({}) == []


def test_scales_end_at_round_numbers_and_shades_are_signed() -> None:
    for largest, top in ((0.9, 1.0), (1.1, 2.0), (3e-4, 5e-4), (70.0, 100.0)):
        assert full_scale(np.array([largest])) == pytest.approx(top)
    assert full_scale(np.array([0.0, np.nan])) == 1.0
    assert step(math.inf, 1.0) == LEVELS
    assert step(-math.inf, 1.0) == -LEVELS
    bar = legend_bar(0.02, "bits", signs=(-1, 1))
    assert "shades from -0.02 to 0.02 bits" in bar
    assert bar.index('"n48"') < bar.index('"k48"')
    turned = legend_bar(0.02, "", signs=(1, -1))
    assert turned.index('"k48"') < turned.index('"n48"')


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    ]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("dark", [False, True])
def test_text_on_every_blue_keeps_its_contrast(dark: bool) -> None:
    ink = DARK["ink"] if dark else "#{:02x}{:02x}{:02x}".format(*INK)
    for level in range(LEVELS + 1):
        pair = sorted((luminance(ink), luminance(blue(level, dark=dark))))
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5
