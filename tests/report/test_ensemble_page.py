"""The page of an ensemble: complete, safe, readable by day, night and keyboard."""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

import nescio
from nescio.decoding.joined import Together
from nescio.ensemble.telling import Telling, retold, together_estimates
from nescio.errors import InvalidInput
from nescio.outcome import Estimate, Recipe
from nescio.palette import INK
from nescio.plot.colours import DARK, LEVELS
from nescio.report.ensemble_numbers import pulled_by, pulled_shares
from nescio.report.ensemble_page import ensemble_page
from nescio.report.ensemble_style import _TINTS_BY_NIGHT, TINTS, look_of
from nescio.report.ensemble_terminal import PULLED_NATS, Puller
from nescio.trace import Column, Origin, Trace
from nescio.trace.symbols import BYTES_DIGEST
from tests.report.test_trace_page import HOSTILE, Page

NAMES = ("one", "other")


@pytest.fixture(scope="module")
def told() -> Telling:
    both = nescio.load("ensemble:table:pieces+table:topics,weights=.6+.4")
    return retold(both, "ab", b"abab", stop="eos")


def handmade(text: bytes) -> Telling:
    """One byte a token; the first is a prompt; disagreement and weights by number."""
    n = len(text)
    scored = np.arange(n) > 0
    steps = np.where(scored, np.arange(n) % 7 / 10, np.nan)
    columns = {
        "branches": (scored + 1.0, "1"),
        "doubt": (steps, "1"),
        "missing": (steps / 10, "1"),
        "disagreement": (steps, "nats"),
        "nearest": (1.0 + np.arange(n) % 2, "1"),
        "same_top": (np.ones(n), "1"),
        "weight[1]": (np.full(n, 0.5), "1"),
        "logp[1]": (-steps, "nats"),
        "weight[2]": (np.full(n, 0.5), "1"),
        "logp[2]": (np.where(np.arange(n) == 3, -np.inf, -2 * steps), "nats"),
    }
    trace = Trace(
        buffer=text,
        offsets=np.arange(n + 1),
        token_ids=np.frombuffer(text, np.uint8).astype(np.int32),
        segment=scored.astype(np.int8),
        scored=scored,
        context_used=np.arange(n),
        logp=-steps,
        origin=Origin("ensemble:a+b", "m", BYTES_DIGEST, "by hand", "f64"),
        entropy=steps,
        columns={
            name: Column(np.where(scored, values, np.nan), unit)
            for name, (values, unit) in columns.items()
        },
        stop="length",
    )
    return Telling(trace)


def test_the_page_is_one_well_formed_document_without_anything_from_elsewhere(
    told: Telling,
) -> None:
    source = ensemble_page(told, together_estimates([told.trace]), names=NAMES)
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
    pages = []
    for words in (HOSTILE, tuple("word" for _ in HOSTILE)):
        found = handmade("".join(words).encode())
        origin = replace(
            found.trace.origin,
            engine=words[0],
            decoding={words[1]: words[2], "rule": words[3], "kind": words[4]},
        )
        found = Telling(replace(found.trace, origin=origin))
        recipe = Recipe(words[0], {words[1]: words[2]}, (words[3],))
        one = Estimate(words[0], 1.0, words[4], 9, "exact", words[1], recipe)
        page = ensemble_page(found, {words[0]: one}, names=words[:2], others=words)
        pages.append(Page(page))
    hostile, benign = pages
    kinds = [Counter(tag for tag, _ in page.elements) for page in pages]
    for tag in kinds[0].keys() | kinds[1].keys():
        if tag not in {"li", "ul", "mark", "rect"}:  # the texts differ in length
            assert kinds[0][tag] == kinds[1][tag], tag
    everything = hostile.text + "".join(hostile.values)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", everything)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f]", everything)
    assert benign.open == []


def test_a_mark_says_who_pulled_how_far_they_are_apart_and_the_surprisal() -> None:
    found = handmade("abc雨d".encode())
    page = Page(ensemble_page(found, {}, names=NAMES))
    classes = [set(names.split()) for names, _ in page.marks]
    assert [text for _, text in page.marks] == ["a", "b", "c", "雨", "d"]
    assert classes[0] == {"u"}
    assert "p2" in classes[1]  # byte 1, disagreement .1 nats, nearest 2
    # Of the three bytes of 雨 the last, byte 5, has most: .5 of log 2 nats, nearest 2.
    assert {"p2", f"d{round(0.5 / math.log(2) * LEVELS)}"} <= classes[3]
    assert pulled_by(found.trace).tolist() == [-1, 1, 0, 1, 0, 1, 0]
    assert pulled_shares([found.trace], 2) == [0.5, 0.5]


def test_where_they_agree_nobody_has_pulled() -> None:
    found = handmade(b"ab")
    columns = dict(found.trace.columns)
    little = np.array([np.nan, PULLED_NATS * 0.99])
    columns["disagreement"] = Column(little, "nats")
    trace = replace(found.trace, columns=columns)
    assert pulled_by(trace).tolist() == [-1, -1]
    page = Page(ensemble_page(Telling(trace), {}, names=NAMES))
    assert not re.search(r"\bp\d", page.marks[1][0])


def test_every_look_in_use_has_a_rule_and_the_switch_needs_no_script(
    told: Telling,
) -> None:
    source = ensemble_page(told, {}, names=NAMES)
    by = {"p": "pull", "d": "js", "s": "surprisal"}
    for names, _ in Page(source).marks:
        for name in names.split():
            if name not in {"u", "c"}:
                assert f"#by-{by[name[0]]}:checked~* .{name}" in source
    for name in by.values():
        assert f'id="by-{name}"' in source
        assert f'label for="by-{name}"' in source
    assert source.count(" checked") == 1
    assert 'tabindex="0"' in source
    assert "prefers-color-scheme:dark" in source


def test_the_card_has_every_members_numbers_and_what_it_expected(
    told: Telling,
) -> None:
    data = Page(ensemble_page(told, {}, names=NAMES)).data
    assert data["noun"] == "byte"
    names = [one["name"] for one in data["measures"]]
    assert {"disagreement", "surprisal of 1", "weight of 2"} <= set(names)
    first = data["candidates"][2]  # after the prompt: what both expected
    assert {str(entry)[:2] for entry in first[::2]} == {"1:", "2:"}
    assert all(0 <= share <= 10_000 for share in first[1::2])
    step, row = told.said[0]
    assert isinstance(step, Together)
    expected = math.exp(float(step.top_logp[row, 0, 0]))
    assert first[1] == round(1e4 * expected)


def test_one_model_has_neither_strips_nor_a_switch() -> None:
    view = nescio.load("bytes:table:pieces")
    source = ensemble_page(retold(view, "ab", b"ab", stop="length"), {}, names=["x"])
    assert "who pulled" not in source
    assert Page(source).open == []


def test_what_cannot_be_shown_is_refused(told: Telling) -> None:
    with pytest.raises(InvalidInput, match="unit is 'bytes'"):
        ensemble_page(told, {}, names=NAMES, unit="bytes")
    trace = nescio.score(nescio.load("table:coin"), "HT")
    with pytest.raises(InvalidInput, match="nothing of members"):
        ensemble_page(Telling(trace), {}, names=NAMES)


def _luminance(colour: str | tuple[int, ...]) -> float:
    if isinstance(colour, str):
        colour = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_is_readable_on_every_members_colour_and_marks_differ() -> None:
    for tints, ink in ((TINTS, INK), (_TINTS_BY_NIGHT, DARK["ink"])):
        for tint in tints:
            light, dark = sorted((_luminance(tint), _luminance(ink)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5
    assert [look_of(member) for member in range(6)] == [1, 2, 3, 4, 1, 2]


def test_the_terminal_marks_whole_characters_and_shows_what_is_hostile() -> None:
    written = io.StringIO()
    console = Console(
        file=written,
        force_terminal=True,
        color_system="truecolor",
        width=80,
        _environ={"TERM": "xterm-256color"},
    )
    puller = Puller(console, NAMES)
    for byte in "a雨\x1b[31m".encode():
        puller.byte(bytes([byte]), 1.0, 1)
    puller.byte(b"b", 0.0, 0)
    puller.byte("é".encode()[:1], 1.0, 0)
    puller.close()
    puller.legend()
    out = written.getvalue()
    assert "雨" in out
    assert "␛" in out
    assert "\x1b[31m" not in out
    assert "\ufffd" not in out
    assert puller.pulled == [0, 7]
    assert "they agree" in out
    assert all(name in out for name in NAMES)


def test_lanes_are_drawn_where_a_member_pulled() -> None:
    from nescio.report.ensemble_strip import pull_strip, weight_strip

    svg = pull_strip(np.array([0, 0, -1, 1]), 2)
    assert svg.count('class="t1"') == svg.count('class="t2"') == 1
    weights = weight_strip([np.array([0.5, 0.5, 1.0]), np.array([0.5, 0.5, 0.0])])
    assert weights.count("<rect") == 4
    edges = [float(x) for x in re.findall(r'rect x="([\d.]+)"', weights)]
    assert all(a <= b for a, b in pairwise(edges))
