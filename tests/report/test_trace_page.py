"""A page shows the trace's own numbers, and nothing in a trace can act on it."""

import html
import json
import math
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from nescio.errors import InvalidInput
from nescio.outcome import Estimate, Recipe
from nescio.plot.colours import level
from nescio.report.trace_data import CANDIDATES, json_island
from nescio.report.trace_page import trace_page
from nescio.trace import Column, units
from tests.report.handmade import ORIGIN, WORDS, handmade, pieces_of

LN2 = math.log(2)
TEXT = "The rain was over.\n雨は上がり、 🌧️ nobody had\tnoticed it."
HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "<!--<script>",
    "</style><style>*{display:none}</style>",
    "' onmouseover='alert(1)",
    "&lt;b&gt;&#60;i&#62;",
    "\u202egnp.exe\u2066\u200f",
    "nul\x00bell\x07",
    "\x1b[31mred\x1b]0;title\x07\x1b]8;;http://x\x1b\\",
    "\x9b31m\x85\u2028\u2029",
)
VOID = {"meta", "input", "br", "rect", "path", "img", "link"}


class Page(HTMLParser):
    """Elements with their attributes, and the text inside each kind of element."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.values: list[str] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.marks: list[tuple[str, str]] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.values += [value or "" for _, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "mark":
            self.marks.append((dict(attrs)["class"], ""))

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.values += [value or "" for _, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open:
            return
        self.texts.setdefault(self.open[-1], []).append(data)
        if self.open[-1] == "mark":
            classes, text = self.marks[-1]
            self.marks[-1] = (classes, text + data)

    @property
    def data(self) -> dict:
        return json.loads("".join(self.texts["script"]).split('"use strict";')[0])

    @property
    def text(self) -> str:
        return "".join("".join(parts) for parts in self.texts.values())


def estimate(name: str, value: float | None, **fields: object) -> Estimate:
    given = {
        "unit": "bits/byte",
        "n": 40,
        "kind": "exact",
        "population": "this text under this model",
        "recipe": Recipe(name, {"seed": 0, "convention": "safe"}, ("Shannon (1948)",)),
    }
    return Estimate(name, value, **given | fields)


def page_of(trace: object, **options: object) -> Page:
    return Page(trace_page(trace, {}, **options))


def conversation(**fields: object) -> object:
    pieces = [b"", b"Say", b" it", b"", *pieces_of(TEXT), b""]
    n = len(pieces)
    segment = np.ones(n, np.int8)
    segment[[0, 3]], segment[[1, 2]] = 2, 0
    role = np.zeros(n, np.int8)
    role[[1, 2]], role[4:] = 2, 3
    given = {
        "unscored": (0, 1, 2, 3),
        "segment": segment,
        "role": role,
        "labels": {0: "<|user|>", 3: "<|assistant|>", n - 1: "<|end|>"},
        "stop": "eos",
    }
    return handmade(pieces, **given | fields)


def test_the_page_is_one_well_formed_document_without_anything_from_elsewhere():
    source = trace_page(conversation(), {"perplexity": estimate("perplexity", 4.2)})
    page = Page(source)
    assert source.startswith("<!doctype html>\n")
    assert page.open == []
    counts = Counter(tag for tag, _ in page.elements)
    assert counts["html"] == counts["head"] == counts["body"] == counts["main"] == 1
    assert counts["script"] == 2
    assert counts["style"] == 1
    assert not counts.keys() & {"link", "img", "iframe", "object", "base", "form", "a"}
    names = {name for _, attributes in page.elements for name in attributes}
    assert not names & {"src", "href", "action", "srcset", "style", "xlink:href"}
    assert not [name for name in names if name.startswith("on")]
    assert "url(" not in source
    assert "@import" not in source
    addresses = set(re.findall(r"https?://[^\"'\s)]+", source))
    assert addresses == {"http://www.w3.org/2000/svg"}


def test_the_policy_forbids_every_request():
    (policy,) = [v for v in page_of(conversation()).values if "default-src" in v]
    assert policy.startswith(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    )


def test_hostile_text_and_names_leave_the_elements_of_the_page_as_they_are():
    raw = tuple(text.encode() for text in HOSTILE)
    plain = tuple(b"word %d" % i for i in range(len(raw)))
    labels = dict(enumerate(HOSTILE))
    pages = []
    for texts, words in ((raw, HOSTILE), (plain, ["w"] * len(raw))):
        trace = handmade(
            [b""] * len(raw) + list(texts),
            candidate_bytes=texts,
            labels=labels if texts is raw else dict.fromkeys(labels, "label"),
            origin=replace(
                ORIGIN,
                model=words[0] + words[1],
                engine=words[7],
                precision=words[8],
                conditioned_on=words[9],
                decoding={words[1]: words[0]},
            ),
            columns={words[0]: Column(np.ones(2 * len(raw), np.float32), words[1])},
        )
        measured = {
            words[1]: estimate(
                words[0],
                0.5,
                unit=words[0],
                population=words[1],
                recipe=Recipe(words[0], {words[1]: words[0]}, (words[0], words[9])),
            )
        }
        pages.append(Page(trace_page(trace, measured, title="".join(words))))
    hostile, benign = pages
    unkeyed = [
        Counter(e for e in page.elements if e[0] not in {"li", "ul"}) for page in pages
    ]
    # Line separators inside a source or name add a list item, nothing else.
    assert unkeyed[0] == unkeyed[1]
    assert len(hostile.elements) - len(benign.elements) <= 12
    assert hostile.open == []
    everything = hostile.text + "".join(hostile.values)
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", everything
    )
    assert not re.search("[\u2066-\u2069\u200e\u200f]", everything)


def test_hostile_text_is_shown_to_the_letter():
    source = trace_page(handmade([text.encode() for text in HOSTILE]), {})
    shown = [text for _, text in Page(source).marks]
    assert shown[:3] == list(HOSTILE[:3])
    assert shown[7] == "⟨202e⟩gnp.exe⟨2066⟩⟨200f⟩"
    assert shown[8] == "nul␀bell␇"
    assert shown[9].startswith("␛[31mred␛]0;title␇")
    assert "<img" not in source
    assert source.count("<script") == 2
    assert source.count("</script") == 2


@pytest.mark.parametrize("text", HOSTILE)
def test_json_inside_a_script_cannot_end_it_and_reads_back(text):
    island = json_island({"text": text})
    assert not re.search("[<>&\u2028\u2029]", island)
    assert json.loads(island) == {"text": text}


@pytest.mark.parametrize(("unit", "factor"), [("bits", 1 / LN2), ("nats", 1.0)])
def test_every_number_of_the_card_is_the_trace_s(unit, factor):
    trace = conversation()
    data = page_of(trace, unit=unit).data
    measures = {measure["name"]: measure for measure in data["measures"]}
    assert data["unit"] == unit
    assert measures["surprisal"]["unit"] == unit
    assert measures["varentropy"]["unit"] == f"{unit}²"
    powers = {"surprisal": 1, "entropy": 1, "varentropy": 2}
    assert measures.keys() == powers.keys()
    for token in range(len(trace)):
        there = bool(trace.scored[token])
        for name, power in powers.items():
            shown = measures[name]["values"][token]
            value = float(getattr(trace, name)[token]) * factor**power
            assert (shown is not None) == there
            assert not there or shown == float(f"{value:.3f}")
        rank = int(trace.rank[token])
        assert data["rank"][token] == (rank if there else None)
        context = int(trace.context_used[token])
        assert data["context"][token] == (context if there else None)
        assert data["id"][token] == trace.token_ids[token]
        assert data["text"][token] == trace.token_text(token)
        if there:
            probability = math.exp(float(trace.logp[token]))
            assert data["probability"][token] == float(f"{probability:.3g}")


def test_candidates_are_the_trace_s_in_hundredths_of_a_per_cent_at_most_ten():
    many = tuple(b"word%d" % i for i in range(14))
    trace = handmade([b"word3", b" x", *many], candidate_bytes=many)
    data = page_of(trace).data
    for token in range(len(trace)):
        flat = data["candidates"][token]
        expected = trace.candidates.at(token)[:CANDIDATES]
        assert flat[::2] == [shown for shown, _ in expected]
        assert flat[1::2] == [round(1e4 * math.exp(logp)) for _, logp in expected]
        shown = data["text"][token]
        place = flat[::2].index(shown) if shown in flat[::2] else -1
        assert data["chosen"][token] == place


def test_the_chosen_candidate_is_found_by_id_where_there_are_ids():
    trace = handmade([b"a", b"a"], candidate_bytes=(b"a", b"a", b"b"))
    ids = np.array([1, 2, 3, 1, 2, 3], np.int32)
    with_ids = replace(trace.candidates, ids=ids)
    trace = replace(trace, candidates=with_ids, token_ids=np.array([2, 9], np.int32))
    assert page_of(trace).data["chosen"] == [1, -1]


def test_each_whole_character_is_one_mark_shaded_by_the_sum_of_its_tokens():
    trace = conversation()
    page = page_of(trace)
    shown = units(trace)
    assert len(page.marks) == len(shown)
    assert page.data["units"] == [unit.last - unit.first for unit in shown]
    assert max(page.data["units"]) > 1
    for unit, (classes, text) in zip(shown, page.marks, strict=True):
        found = classes.split()
        if unit.surprisal is None:
            assert found[0] == "u"
            continue
        part = slice(unit.first, unit.last)
        entropy = float(np.mean(trace.entropy[part], dtype=np.float64))
        total = float(np.sum(trace.surprisal[part], dtype=np.float64))
        assert found[:2] == [f"s{level(total)}", f"e{level(entropy)}"]
        if unit.start < unit.end:
            spelled = text.replace("↵\n", "\n").replace("␉", "\t")
            assert spelled.replace("\u00a0", " ") == unit.text


def test_line_breaks_are_shown_and_break():
    page = page_of(handmade([b"a", b"\n\n", b"b\r\n"]))
    assert [text for _, text in page.marks] == ["a", "↵\n↵\n", "b␍↵\n"]


def test_a_space_after_white_space_is_kept_and_others_may_end_a_line():
    page = page_of(handmade([b"if a:", b"\n", b"    b", b"  c", b" d ", b" e"]))
    shown = [text.replace("\u00a0", "_") for _, text in page.marks]
    assert shown == ["if a:", "↵\n", "____b", " _c", " d ", "_e"]


def test_what_a_token_was_drawn_with_is_shown_where_it_differs():
    trace = handmade([b"a", b"b"])
    same = page_of(replace(trace, logp_processed=trace.logp))
    cooler = page_of(replace(trace, logp_processed=trace.logp / 2))
    names = [[m["name"] for m in page.data["measures"]] for page in (same, cooler)]
    assert names[0] == ["surprisal", "entropy", "varentropy"]
    assert names[1] == ["surprisal", "surprisal as drawn", "entropy", "varentropy"]


def test_prompt_template_and_answer_are_told_apart():
    source = trace_page(conversation(), {})
    runs = re.findall(r'<span class="run (\w+)" data-part="([^"]+)">', source)
    assert runs == [
        ("template", "template"),
        ("prompt", "prompt by user"),
        ("template", "template"),
        ("completion", "completion by assistant"),
    ]
    page = Page(source)
    assert [classes for classes, _ in page.marks[:4]] == ["u c", "u", "u", "u c"]
    assert page.marks[0][1] == "<|user|>"
    assert page.marks[-1][1] == "<|end|>"
    assert page.marks[-1][0].split()[-1] == "c"
    assert "the model ended its text" in page.text


def test_the_header_says_what_was_measured_with_what():
    text = page_of(conversation()).text
    trace = conversation()
    for fact in (
        ORIGIN.model,
        ORIGIN.engine,
        ORIGIN.precision,
        "<|endoftext|>",
        f"{len(trace)}, {int(trace.scored.sum())} scored",
        str(len(trace.buffer)),
    ):
        assert fact in text
    unconditioned = replace(ORIGIN, conditioned_on=None)
    assert "nothing" in page_of(handmade([b"a"], origin=unconditioned)).text


def test_the_table_says_value_interval_kind_and_population_of_every_estimate():
    measured = {
        "bits_per_byte": estimate("bits_per_byte", 0.91234),
        "perplexity": estimate(
            "perplexity", 8.7123, unit="1", kind="confidence", population="its source",
            low=7.3, high=10.5, level=0.95,
        ),
        "entropy_rate": estimate("entropy_rate", None, kind="bound", low=1.5),
        "expected_calibration_error": estimate(
            "expected_calibration_error", 0.1, unit="1", kind="confidence",
            null_level=0.0612, p_value=0.003,
            n_clusters=1234,
        ),
    }  # fmt: skip
    source = trace_page(conversation(), measured)
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", source)
    cells = [html.unescape(re.sub(r"<[^>]+>", "|", row)) for row in rows]
    assert len(cells) == 4
    for row, parts in zip(
        cells,
        [
            ("bits_per_byte", "0.9123", "bits/byte", "exact", "this text under"),
            ("perplexity", "8.7", "7.3 to 10.5", "95 % confidence", "its source"),
            ("entropy_rate", "–", "1.5000 to ∞", "bound", "this text under"),
            ("expected_calib", "0.1000", "0.0612 if nothing", "no interval"),
        ],
        strict=True,
    ):
        for part in parts:
            assert part in row
    for kind in ("exact: computed", "95 % confidence: such", "bound: certain"):
        assert kind in html.unescape(re.sub(r"<[^>]+>", "", source))
    for recipe in ("convention", "Shannon (1948)", "p-value", "0.003", "1,234", "0.91"):
        assert recipe in Page(source).text


def test_entropy_bounds_are_a_band_and_an_interval_on_the_card():
    trace = conversation()
    low, high = trace.entropy * 0.5, trace.entropy * 2
    high[-1] = np.inf
    bounded = replace(
        trace, entropy=None, varentropy=None, entropy_low=low, entropy_high=high
    )
    source = trace_page(bounded, {})
    data = Page(source).data
    names = [measure["name"] for measure in data["measures"]]
    assert names == ["surprisal", "entropy"]
    shown = data["measures"][1]
    assert (shown["unit"], shown["decimals"]) == ("bits", None)
    assert shown["values"][0] is None
    for token in np.flatnonzero(bounded.scored)[:-1].tolist():
        below, above = map(float, shown["values"][token].split("–"))
        least, most = (float(end[token]) / LN2 for end in (low, high))
        assert least - 1e-3 - 1e-6 < below <= least + 1e-6
        assert most - 1e-6 <= above < most + 1e-3 + 1e-6
    assert shown["values"][-1].startswith("≥ ")
    assert "open where unbounded" in source
    assert "each token, entropy at least" in source
    assert 'class="line raw entropy"' in source
    assert "at the least: only its bounds are known" in source
    assert 'class="band entropy"' in source
    assert 'class="line mean entropy"' not in source
    unit = units(bounded)[-1]
    assert Page(source).marks[-1][0].split()[1] == f"e{level(float(low[unit.first]))}"


def test_an_entropy_of_which_both_bounds_agree_is_one_number():
    trace = handmade([b"a", b"b"], entropy=None, varentropy=None)
    end = np.array([LN2, 0.0], np.float32)
    page = page_of(replace(trace, entropy_low=end, entropy_high=end))
    assert page.data["measures"][1]["values"] == ["1.000", "0.000"]


def endpoint(**fields: object) -> object:
    """As servers reveal it: no ids, no ranks, bounds, hostile texts, gaps."""
    raw = [b"Prompt", *(text.encode() for text in HOSTILE), b"a", b"\xe9\x9b"]
    n = len(raw)
    bare = handmade(
        raw,
        unscored=(0, 3),
        candidate_bytes=tuple(text.encode() for text in HOSTILE),
        entropy=None,
        varentropy=None,
        rank=None,
        token_ids=None,
    )
    rng = np.random.default_rng(4)
    low = np.where(bare.scored, rng.exponential(size=n), np.nan)
    high = np.where(rng.random(n) < 0.5, np.inf, low + rng.exponential(size=n))
    return replace(
        bare,
        entropy_low=low.astype(np.float32),
        entropy_high=np.where(bare.scored, high, np.nan).astype(np.float32),
        **fields,
    )


@pytest.mark.parametrize("candidates", [True, False])
@pytest.mark.parametrize("unit", ["bits", "nats"])
def test_what_a_server_reveals_is_a_page_and_nothing_in_it_acts(candidates, unit):
    trace = endpoint() if candidates else endpoint(candidates=None)
    measured = {
        "entropy_rate": estimate(
            "entropy_rate", None, kind="bound", low=1.239, unit="bits/token",
            level=0.95, population="its source",
        )
    }  # fmt: skip
    source = trace_page(trace, measured, unit=unit)
    page = Page(source)
    assert page.open == []
    assert source.count("<script") == source.count("</script") == 2
    assert "<img" not in source
    assert page.data["rank"] is None
    assert page.data["id"] is None
    assert (page.data["candidates"] is None) is not candidates
    assert "1.2390 to ∞ bits/token 95 % bound" in re.sub(r"<[^>]+>", "", source)
    assert "95 % bound: such limits hold" in re.sub(r"<[^>]+>", "", source)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page.text)


def test_one_scored_token_alone_has_its_band():
    pieces = [b"a", b"b", b"c"]
    trace = handmade(pieces, unscored=(0, 2), entropy=None, varentropy=None)
    low = np.array([np.nan, 1.0, np.nan], np.float32)
    source = trace_page(replace(trace, entropy_low=low, entropy_high=low + 1), {})
    (band,) = re.findall(r'<path d="([^"]*)"[^>]*class="band entropy"', source)
    assert band.count("M") == band.count("z") == 1


def test_bounds_above_the_end_of_the_shades_leave_the_band_open_and_say_so():
    trace = handmade([b"a"] * 9, entropy=None, varentropy=None)
    low = np.ones(9, np.float32)
    high = np.full(9, 11.0, np.float32)
    source = trace_page(replace(trace, entropy_low=low, entropy_high=high), {})
    assert "open where above 12" in source
    assert "unbounded" not in source
    assert source.count('class="band-edge"') == 1


def test_without_entropies_there_is_nothing_to_switch_to():
    bare = replace(conversation(), entropy=None, varentropy=None)
    source = trace_page(bare, {})
    assert 'id="by-entropy"' not in source
    assert 'id="by-surprisal" checked' in source
    assert not [classes for classes, _ in Page(source).marks if " e" in classes]


def test_impossible_tokens_are_infinite_not_missing():
    trace = handmade([b"a", b"b", b"c", b"d"])
    logp = np.array([-1, -np.inf, -2, 0], np.float32)
    page = page_of(replace(trace, logp=logp))
    assert page.data["measures"][0]["values"][1] == "∞"
    assert page.data["probability"] == [0.368, 0.0, 0.135, 1.0]
    assert page.marks[1][0].split()[0] == "s48"


def test_further_columns_are_on_the_card_with_their_unit():
    values = np.array([0.123456, np.nan, np.inf], np.float32)
    trace = handmade([b"a", b"b", b"c"], columns={"gap": Column(values, "nats")})
    (column,) = [m for m in page_of(trace).data["measures"] if m["name"] == "gap"]
    assert column["values"] == [0.1235, None, "∞"]
    assert column["unit"] == "nats"


@pytest.mark.parametrize("unscored", [(), (0, 1)])
@pytest.mark.parametrize("pieces", [[], [b"a", b"b"]])
def test_a_trace_with_nothing_in_it_is_still_a_page(pieces, unscored):
    unscored = unscored if pieces else ()
    page = page_of(handmade(pieces, unscored=unscored))
    assert page.open == []
    assert len(page.marks) == len(pieces)


def test_a_trace_without_candidates_ids_ranks_or_entropies_is_still_a_page():
    bare = replace(
        conversation(),
        candidates=None, token_ids=None, rank=None, entropy=None, varentropy=None,
        role=None,
    )  # fmt: skip
    data = page_of(bare).data
    assert data["candidates"] is data["id"] is data["rank"] is None


def test_the_size_of_a_page_grows_by_at_most_150_bytes_a_token():
    pieces = pieces_of(
        "The rain had not stopped, 雨は三日間 and the river was up. " * 200
    )
    sizes = {}
    for n in (1000, 2000):
        trace = replace(handmade(pieces[:n]), candidates=None)
        sizes[n] = len(trace_page(trace, {}).encode())
    assert (sizes[2000] - sizes[1000]) / 1000 <= 150
    assert sizes[1000] < 150 * 1000


def test_a_title_is_used_and_another_unit_refused():
    trace = handmade([b"a"], candidate_bytes=WORDS)
    source = trace_page(trace, {}, title="Rain & <river>")
    assert source.count("Rain &amp; &lt;river&gt;") == 2
    with pytest.raises(InvalidInput, match="'bytes'"):
        trace_page(trace, {}, unit="bytes")
