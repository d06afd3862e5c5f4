"""Pages of consistency: their own numbers, safe, bounded, for pointer and keyboard."""

from __future__ import annotations

import base64
import html
import json
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from nescio.consistency.adaptive import AdaptiveRule, adaptive_answers
from nescio.consistency.answers import Sorting, answers_of
from nescio.consistency.dataset import leaders_of
from nescio.consistency.divergence import Divergence, Parting
from nescio.consistency.similarity import similarities_from, similarities_of
from nescio.errors import InvalidInput
from nescio.evaluation.consistency_found import QuestionFound, QuestionsFound
from nescio.report.calibration_html import percent
from nescio.report.consistency_heat import MOST_ROWS, heat_rows
from nescio.report.consistency_map import LARGEST_DATA, sorted_places
from nescio.report.consistency_page import question_page, questions_page
from nescio.report.consistency_sets import LISTED
from nescio.report.consistency_texts import called, worded
from nescio.report.numbers import interval_text, value_text
from nescio.strings import normalised
from tests.report.handmade_consistency import SIMILAR, made, many, question
from tests.report.test_calibration_page import Tables
from tests.report.test_trace_page import HOSTILE, Page

TEXTS = (
    *["Paris is the capital"] * 8,
    *["the capital is Lyon"] * 4,
    "Rome is",
    "Nice it is",
    "",
    "",
)
FORBIDDEN = "\x1b\x00\x07\u202e\u2066\u200f\x9b\u2028\u2029\ud800"


@pytest.fixture(scope="module")
def one() -> QuestionFound:
    return question(TEXTS, gold="paris is the capital", id="capital")


@pytest.fixture(scope="module")
def source(one: QuestionFound) -> str:
    return question_page(one, source="answers.jsonl", notes=["a remark"])


@pytest.fixture(scope="module")
def all_of_them() -> QuestionsFound:
    return many(details={"sum-3": question(TEXTS, id="sum-3")})


@pytest.fixture(scope="module")
def whole(all_of_them: QuestionsFound) -> str:
    return questions_page(all_of_them, source="answers.jsonl", notes=["a remark"])


def listed(source: str) -> dict:
    """The data of the list of questions."""
    island = re.search(r'id="questions-data">(.*?)</script>', source, re.DOTALL)
    return json.loads(island[1])


def heat_of(source: str) -> dict:
    section = source[source.index('data-prefix="s"') :]
    return json.loads(re.search(r"application/json\">(.*?)</script>", section)[1])


def without_scripts(source: str) -> str:
    return re.sub(r"<(style|script)[ >].*?</\1>", "", source, flags=re.DOTALL)


@pytest.mark.parametrize("kind", ["source", "whole"])
def test_a_page_is_one_well_formed_document_without_anything_from_elsewhere(
    kind, request
):
    source = request.getfixturevalue(kind)
    page = Page(source)
    assert page.open == []
    counts = Counter(tag for tag, _ in page.elements)
    assert counts["html"] == counts["head"] == counts["body"] == counts["main"] == 1
    assert not counts.keys() & {"link", "img", "iframe", "object", "base", "form", "a"}
    assert "default-src 'none'" in source
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", source)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|innerHTML", source)
    assert not any(
        name.startswith("on") for _, names in page.elements for name in names
    )


@pytest.mark.parametrize("kind", ["source", "whole"])
def test_ids_are_unique_and_labels_have_their_button(kind, request):
    source = request.getfixturevalue(kind)
    named = Counter(re.findall(r' id="([^"]*)"', source))
    assert max(named.values()) == 1
    labels = re.findall(r' for="([^"]*)"', source)
    assert labels
    assert set(labels) <= set(named)


@pytest.mark.parametrize("kind", ["source", "whole"])
def test_strips_and_rows_of_each_figure_correspond(kind, request):
    figures = re.findall(
        r'<figure class="turns">.*?</figure>', request.getfixturevalue(kind), re.DOTALL
    )
    assert len(figures) == (1 if kind == "source" else 4)
    for figure in figures:
        rows = Tables(figure).tables[0][1:]
        pictures = figure.split("<svg xmlns")[1:]
        assert pictures
        for picture in pictures:
            hits = [int(k) for k in re.findall(r'data-row="(\d+)"', picture)]
            assert hits == list(range(len(rows)))


def test_the_same_findings_give_the_same_bytes(one, source, all_of_them, whole):
    assert question_page(one, source="answers.jsonl", notes=["a remark"]) == source
    again = questions_page(all_of_them, source="answers.jsonl", notes=["a remark"])
    assert again == whole


def test_the_headline_says_that_agreement_is_no_probability(one, source):
    top = source[: source.index("<main")]
    assert "Paris is the capital" in top
    assert "8 of 16 samples say this" in top
    assert worded(one.estimates["agreement"]) in top
    assert "<em>not</em> a calibrated probability" in top
    assert "✓ Right. Gold:" in top


def test_the_headline_has_the_calibrated_probability_where_there_is_one():
    chance = made("probability", 0.72)
    found = question(TEXTS, probability=chance)
    top = question_page(found, source="x").split("<main")[0]
    assert f"Right with the calibrated probability <b>{worded(chance)}" in top
    assert "<em>not</em>" not in top
    assert "Recipe of <code>probability</code>" in question_page(found, source="x")


def test_samples_without_a_valid_answer_are_never_sure():
    found = question([""] * 6)
    top = question_page(found, source="x").split("<main")[0]
    assert "No sample has a valid answer." in top
    assert "so nothing is known" in top
    assert "Agreement 0 " in top or "Agreement 0.0" in top


def test_a_tie_for_the_lead_is_said():
    found = question(["a", "b", "a", "b", "c"])
    assert "1 other answer has as many" in question_page(found, source="x")
    found = question(["a", "b", "c"])
    assert "2 other answers have as many" in question_page(found, source="x")


def test_one_sample_has_a_page_without_a_map():
    source = question_page(question(["Paris"]), source="x")
    assert Page(source).open == []
    assert 'class="part heat"' not in source
    assert "1 of 1 samples say this" in source


def test_every_set_is_a_bar_with_its_share_and_interval(one, source):
    section = source[source.index('<ol class="sets">') : source.index("data-prefix")]
    items = section.split("<li ")[1:]
    assert len(items) == len(one.sets) == 5
    for item, found in zip(items, one.sets, strict=True):
        assert worded(found.share) in item
        assert f"{found.votes} of 16" in item
        wide = float(re.search(r'class="bar"[^>]*width="([\d.]+)"', item)[1])
        assert wide == pytest.approx(400 * found.share.value, abs=0.01)
        low, high = re.search(r'd="M([\d.]+) 9H([\d.]+)', item).groups()
        assert float(low) == pytest.approx(400 * found.share.low, abs=0.01)
        assert float(high) == pytest.approx(400 * found.share.high, abs=0.01)
    assert "✓ the right answer" in items[0]
    assert "✗ not the right answer" in items[1]
    assert 'class="invalid"' in items[4]
    assert "no valid answer" in items[4]


def test_every_measure_stands_in_the_table_with_its_interval_and_recipe(one, source):
    for name, estimate in one.estimates.items():
        assert f"Recipe of <code>{name}</code>" in source
        row = re.search(rf'<th scope="row"><code>{name}</code>.*?</tr>', source)[0]
        assert value_text(estimate) in row
        assert interval_text(estimate) in row
    for line in {s for one in one.estimates.values() for s in one.recipe.sources}:
        assert html.escape(line) in source


def test_the_map_holds_the_similarity_of_every_two_samples_by_set(one, source):
    data = heat_of(source)
    assert data["names"] == list(SIMILAR)
    assert sorted(data["samples"]) == list(range(len(TEXTS)))
    labels = one.answers.labels[data["samples"]]
    assert labels.tolist() == [0] * 8 + [1] * 4 + [2, 3, -1, -1]
    assert data["sets"] == ["set 1"] * 8 + ["set 2"] * 4 + [
        "set 3",
        "set 4",
        "no answer",
        "no answer",
    ]
    for name, text in zip(data["names"], data["values"], strict=True):
        full = similarities_of(one.answers, by=name).full
        place = np.ix_(data["samples"], data["samples"])
        expected = np.rint(100 * full[place][np.triu_indices(len(TEXTS))])
        assert list(base64.b64decode(text)) == expected.astype(int).tolist()


def test_the_map_has_an_outline_for_each_set_and_a_switch_for_each_similarity(source):
    assert source.count('class="set"') == 5
    for number in range(len(SIMILAR)):
        assert source.count(f'class="cells by{number}"') == 1
        assert f'<label for="sby-{number}">{SIMILAR[number]}</label>' in source


def test_two_hundred_samples_have_a_row_for_each_different_text():
    texts = [f"answer {k % 30} said {k % 60}" for k in range(200)]
    found = question(texts)
    rows = heat_rows(found)
    assert len(rows.samples) == rows.texts == 60
    assert sum(rows.counts) == 200
    assert "200 samples are 60 different texts" in question_page(found, source="x")


def test_samples_without_an_answer_are_rows_of_their_own():
    found = question([f"answer {k % 30}" for k in range(150)] + [""] * 9)
    rows = heat_rows(found)
    assert rows.texts == 39
    assert rows.counts[-9:] == (1,) * 9
    assert rows.sets[-1] == (30, 9)


def test_still_more_texts_are_thinned_evenly_and_said_so():
    sorting = Sorting(extract=lambda text: text.split()[0])
    texts = [f"{'ab'[k % 3 == 2]} {k}" for k in range(600)] + ["c 1"]
    answers = answers_of(texts, sorting)
    found = question(["a", "b"])
    alike = {"exact": similarities_of(answers, by="exact")}
    sets = question(["a"] * 400 + ["b"] * 200 + ["c"], divergence=None).sets
    found = QuestionFound(answers, {}, sets, alike)
    rows = heat_rows(found)
    assert len(rows.samples) <= MOST_ROWS
    kept = [count for _, count in rows.sets]
    assert kept == [pytest.approx(80, abs=1), pytest.approx(40, abs=1), 1]
    left = 601 - len(rows.samples)
    assert f"{left:,} of them are left out" in question_page(found, source="x")


def test_every_sample_is_listed_with_set_log_probability_and_end():
    answers = answers_of(TEXTS)
    logp = -np.arange(1.0, len(TEXTS) + 1.0)
    told = type(answers)(
        answers.texts,
        answers.labels,
        answers.keys,
        answers.recipe,
        total_logp=logp,
        token_count=np.arange(len(TEXTS)),
    )
    found = question(TEXTS, answers=told)
    stops = ["eos", "length", None, "<b>", *[None] * 12]
    source = question_page(found, source="x", unit="nats", stops=stops)
    items = dict(re.findall(r'<li id="s(\d+)"[^>]*><div>(.*?)</div>', source))
    assert len(items) == len(TEXTS)
    assert items["0"] == (
        "<b>#1</b> · set 1 · log-probability −1.00 nats · 0 tokens · "
        "the model ended its text"
    )
    assert items["3"].endswith("&lt;b&gt;")
    assert "log-probability −1.44 bits" in question_page(found, source="x")


def test_the_divergence_has_both_entropies_step_by_step(one, source):
    figure = re.search(r'<figure class="turns">.*?</figure>', source, re.DOTALL)[0]
    heads, *rows = Tables(figure).tables[0]
    assert heads[1] == "word most say"
    assert [row[1] for row in rows] == ["“Paris”", "“is”", "“the”", "“capital”"]
    bits = one.divergence.steps[1].entropy.to("bits")
    assert rows[1][4] == value_text(bits)
    assert rows[1][5] == interval_text(bits)
    assert rows[1][6] == "0.144"
    assert rows[0][6] == "–"
    assert figure.count("stroke-dasharray") >= 1
    assert '<mark class="step" style="background:var(--k' in source


def test_a_divergence_without_traces_says_so():
    steps = tuple(
        Parting(step.text, step.samples, step.branches, step.entropy)
        for step in question(TEXTS).divergence.steps
    )
    found = question(TEXTS, divergence=Divergence("word", steps, 900))
    source = question_page(found, source="x")
    assert "entropy is not known: no sample has a trace" in source
    assert "Of 900 steps the first 4 are shown" in source


def hostile_page() -> str:
    texts = [*HOSTILE, *HOSTILE[:4], "lone \ud800 half", " "]
    answers = answers_of(texts, id=HOSTILE[0])
    told = type(answers)(
        answers.texts, answers.labels, answers.keys, {"answer": HOSTILE[1]}, HOSTILE[0]
    )
    alike = {
        name: similarities_from(answers, np.eye(len(texts)), name="x")
        for name in HOSTILE[:4]
    }
    steps = tuple(
        Parting(text, 9, {text: 5, HOSTILE[0]: 4}, made("entropy", 0.5, unit="nats"))
        for text in HOSTILE
    )
    found = question(
        texts,
        answers=told,
        similarities=alike,
        divergence=Divergence("character", steps, 11),
        right=False,
        notes=HOSTILE,
    )
    found = replace(found, gold=HOSTILE)
    return question_page(
        found, source=HOSTILE[0], notes=HOSTILE, title=HOSTILE[1], stops=HOSTILE
    )


def hostile_questions() -> str:
    names = (*HOSTILE, "lone \ud800 half")
    questions = [
        answers_of([*names[k:], *names[:k]] * 2, id=f"{k}{name}")
        for k, name in enumerate(names)
    ]
    few = many(len(names), 4)
    detail = question([*names, "a"], estimates={}, similarities={})
    measures = dict(zip(HOSTILE, few.measures.values(), strict=False))
    found = many(
        len(names),
        4,
        questions=tuple(questions),
        leaders=leaders_of(questions),
        measures=measures,
        columns={HOSTILE[0]: np.linspace(0, 1, len(names))},
        reference=HOSTILE[0],
        notes=HOSTILE,
        details={
            name: replace(detail, answers=replace(detail.answers, id=name))
            for name in names
        },
        groups={name: {name: made(name, 0.5)} for name in names},
    )
    return questions_page(found, source=HOSTILE[0], notes=HOSTILE, title=HOSTILE[1])


@pytest.fixture(scope="module")
def hostile_one() -> str:
    return hostile_page()


@pytest.fixture(scope="module")
def hostile_whole() -> str:
    return hostile_questions()


@pytest.mark.parametrize("kind", ["hostile_one", "hostile_whole"])
def test_hostile_texts_are_shown_and_not_obeyed(kind, request):
    source = request.getfixturevalue(kind)
    page = Page(source)
    assert page.open == []
    counts = Counter(tag for tag, _ in page.elements)
    assert counts["script"] == 3  # the data and two of ours
    assert not counts.keys() & {"img", "iframe", "b2", "a"}
    assert not any(
        name.startswith("on") for _, names in page.elements for name in names
    )
    assert counts["style"] == 1
    for character in FORBIDDEN:
        assert character not in source
    assert "⟨202e⟩gnp.exe" in source
    assert "⟨d800⟩" in source
    assert source.encode("utf-8")


def test_what_stands_in_the_data_comes_out_as_it_went_in(hostile_whole):
    data = listed(hostile_whole)
    assert f"0{HOSTILE[0]}" in {row[1] for row in data["rows"]}
    assert any(HOSTILE[1] in text for row in data["rows"] for text in row[4])


def test_a_huge_answer_is_cut_and_its_length_said():
    huge = "<a>" + "x\x00" * 5_000_000
    answers = answers_of([huge, huge, "b"], Sorting(key=lambda text: text[:1]))
    found = question(
        ["a", "a", "b"],
        answers=answers,
        similarities={"one": similarities_from(answers, np.eye(3), name="one")},
    )
    source = question_page(found, source="x")
    assert "(cut: 10,000,003 characters in all)" in source
    assert len(source.encode()) < 500_000
    assert Page(source).open == []


def test_ten_thousand_samples_are_listed_as_far_as_it_goes():
    texts = [f"{k % 2} {'word <&> ' * 50}" for k in range(10_000)]
    answers = answers_of(texts, Sorting(extract=lambda text: text[0]))
    sets = question(["0"] * 5000 + ["1"] * 5000, similarities={}).sets
    found = QuestionFound(answers, {}, sets, {})
    source = question_page(found, source="x")
    assert source.count('<li id="s') == LISTED
    assert "9,000 of 10,000 samples are left out" in source
    assert len(source.encode()) < 1_500_000


def test_a_set_too_many_is_counted():
    found = question([f"answer {k}" for k in range(75)], divergence=None)
    source = question_page(found, source="x")
    assert "15 smaller sets with 15 samples are not shown here" in source


def test_the_map_of_questions_is_sorted_and_marks_what_is_wrong(all_of_them, whole):
    rows = listed(whole)["rows"]
    order = [row[0] for row in rows]
    assert order == sorted_places(all_of_them)
    falling = all_of_them.columns["agreement"][order]
    assert (np.diff(falling) <= 0).all()
    for row in rows:
        answers = all_of_them.questions[row[0]]
        assert row[1] == answers.id
        assert sum(row[3]) + row[6][1] + row[7] == len(answers)
        assert row[3] == sorted(row[3], reverse=True)
        assert row[8] == int(all_of_them.right[row[0]])
        assert normalised(row[4][0]) == all_of_them.leaders.keys[row[0]]
        assert set(row[5]) == {""}
    picture = re.search(r"<svg [^>]*class=\"votes\".*?</svg>", whole, re.DOTALL)[0]
    marks = re.search(r'<path d="([^"]*)"[^>]*class="wrong"', picture)[1]
    wrong = [k for k, place in enumerate(order) if not all_of_them.right[place]]
    assert [int(k) for k in re.findall(r" (\d+)\.5h", marks)] == wrong
    led = sum(
        int(n)
        for n in re.findall(
            r"h(\d+)", re.search(r'<path d="([^"]*)" stroke="#1f5f86"', picture)[1]
        )
    )
    assert led == int(all_of_them.leaders.votes.sum())


def test_a_sample_that_says_more_than_its_answer_stands_below_it():
    sorting = Sorting(extract=lambda text: text.split()[-1])
    asked = [
        answers_of(["It <is> Paris", "paris", "Rome."], sorting, id="a"),
        answers_of([" Nice.", "nice", "So Rome"], sorting, id="b"),
    ]
    rows = listed(
        questions_page(
            QuestionsFound(
                tuple(asked),
                {"agreement": np.array([2 / 3] * 2)},
                {},
                leaders_of(asked),
            ),
            source="x",
        )
    )["rows"]
    assert rows[0][4] == ["paris", "Rome."]
    assert rows[0][5] == ["It <is> Paris", ""]
    assert rows[1][4] == ["Nice.", "rome"]
    assert rows[1][5] == ["", "So Rome"]


def test_a_detail_is_reached_from_its_row(all_of_them, whole):
    linked = {row[1]: row[11] for row in listed(whole)["rows"]}
    assert linked["sum-3"] == 0
    assert {value for name, value in linked.items() if name != "sum-3"} == {None}
    assert 'id="detail-0"' in whole
    assert list(all_of_them.details) == ["sum-3"]


def test_measures_stand_by_their_ranking_with_intervals(all_of_them, whole):
    start = whole.index("Which measure knows")
    heads, *rows = Tables(whole[start:]).tables[0]
    assert heads[:5] == ["measure", "is a", "AUROC", "less that of agreement", "p"]
    assert rows[0][0] == "agreement"
    assert len(rows) == len(all_of_them.measures)
    named = {called(name): one for name, one in all_of_them.measures.items()}
    ranked = [named[row[0]].estimates["auroc"].value for row in rows]
    assert ranked[1:] == sorted(ranked[1:], reverse=True)
    for row in rows:
        measure = named[row[0]]
        auroc = measure.estimates["auroc"]
        assert row[1] == measure.rises_with
        assert row[2] == f"{value_text(auroc)} ({interval_text(auroc)})"
        error = measure.estimates.get("expected_calibration_error")
        if error is None:
            assert row[5:9] == ["–"] * 4
        else:
            assert row[5] == f"{value_text(error)} ({interval_text(error)})"
            assert float(row[6]) == pytest.approx(error.null_level, rel=1e-2)
    assert rows[0][3] == "–"
    assert rows[1][4] == "0.3"


def test_each_confidence_has_its_diagram_and_no_uncertainty_has_one(all_of_them, whole):
    section = whole[whole.index("Right as often as sure?") :]
    section = section[: section.index("</section>")]
    kinds = [one.rises_with for one in all_of_them.measures.values()]
    assert section.count('class="chart small"') == kinds.count("confidence")
    assert section.count("if calibrated") == kinds.count("confidence")
    assert 'class="band"' in section


def test_the_coverage_curve_is_one_less_the_risk(all_of_them, whole):
    start = whole.index("What if it answered only when sure?")
    heads, *rows = Tables(whole[start:]).tables[0]
    assert heads[1] == "agreement"
    risk = all_of_them.measures["agreement"].coverage.risk
    assert [row[1] for row in rows] == [percent(float(1 - value)) for value in risk]
    area = all_of_them.measures["agreement"].estimates["area_under_risk_coverage"]
    assert f"agreement {value_text(area)} ({interval_text(area)})" in whole


def test_the_curve_by_samples_has_every_estimate_with_its_interval(all_of_them, whole):
    start = whole.index("How many samples are enough?")
    heads, *rows = Tables(whole[start:]).tables[0]
    assert [int(row[0]) for row in rows] == [p.samples for p in all_of_them.curve]
    for row, point in zip(rows, all_of_them.curve, strict=True):
        accuracy = point.estimates["accuracy"]
        expected = f"{value_text(accuracy)} ({interval_text(accuracy)})"
        assert row[heads.index("accuracy")] == expected


def test_accuracy_by_votes_has_its_questions_and_intervals(all_of_them, whole):
    start = whole.index("Right as often as agreed on?")
    _, *rows = Tables(whole[start:]).tables[0]
    assert [int(row[0]) for row in rows] == [one.votes for one in all_of_them.votes]
    assert sum(int(row[1]) for row in rows) == 60
    first = all_of_them.votes[0].accuracy
    assert rows[0][2] == f"{value_text(first)} ({interval_text(first)})"


def test_before_and_after_calibration_stand_side_by_side(all_of_them, whole):
    start = whole.index("Can it be made a probability?")
    heads, *rows = Tables(whole[start:]).tables[0]
    assert heads == ["measure", "before", "after", "difference", "p"]
    brier = all_of_them.calibrated.before["brier_score"]
    row = next(row for row in rows if row[0] == "brier score")
    assert row[1] == f"{value_text(brier)} ({interval_text(brier)})"
    assert row[4] == "0.2"
    assert rows[1][0] == "expected calibration error, if calibrated"


def test_stopping_early_and_groups_are_told_with_their_intervals():
    few = many(20, 6, gold=False)
    adaptive = adaptive_answers(few.questions, AdaptiveRule(most=6), resamples=200)
    groups = {
        "sums": {"accuracy": made("accuracy", 0.7, n=12)},
        "<b>": {"agreement": made("agreement", 0.4, n=8)},
    }
    source = questions_page(replace(few, adaptive=adaptive, groups=groups), source="x")
    assert f"saved <b>{worded(adaptive.saved)}</b>" in source
    assert f"answer for <b>{worded(adaptive.changed)}</b>" in source
    assert "Recipe of <code>samples saved</code>" in source
    start = source.index("Is it so for every group?")
    heads, *rows = Tables(source[start:]).tables[0]
    assert heads == ["group", "questions", "accuracy", "agreement"]
    assert rows[0] == ["sums", "12", "0.70 (0.60 to 0.80)", "–"]
    assert rows[1] == ["<b>", "8", "–", "0.40 (0.30 to 0.50)"]


def test_without_gold_nothing_needs_it_and_that_is_said():
    source = questions_page(many(20, gold=False), source="x")
    assert Page(source).open == []
    for title in (
        "Which measure",
        "as often as sure",
        "How many samples",
        "made a prob",
    ):
        assert title not in source
    assert "No gold is known" in source
    assert "Means over the questions" in source
    assert {row[8] for row in listed(source)["rows"]} == {None}
    assert 'class="wrong"' not in source


def test_the_verdict_has_accuracy_and_confidence_with_intervals(all_of_them, whole):
    top = html.unescape(whole.split("<main")[0])
    assert f"{worded(all_of_them.accuracy)} are right" in top
    assert worded(all_of_them.means["agreement"]) in top
    measure = all_of_them.measures["agreement"].estimates
    assert worded(measure["expected_calibration_error"]) in top


def test_many_questions_with_long_answers_stay_small_and_say_what_is_cut():
    rng = np.random.default_rng(0)
    sorting = Sorting(extract=lambda text: text[0])
    few = [
        answers_of(
            [f"{digit} " + "<reason> & " * 60 for digit in rng.integers(0, 6, 20)],
            sorting,
        )
        for _ in range(20)
    ]
    questions = [replace(few[k % 20], id=f"q{k}") for k in range(800)]
    found = QuestionsFound(
        tuple(questions),
        {"agreement": np.array([q.votes.max() / 20 for q in questions])},
        {},
        leaders_of(questions),
    )
    source = questions_page(found, source="x")
    assert len(source) < LARGEST_DATA + 300_000
    assert "To keep the file small the list holds" in source
    assert len(listed(source)["rows"]) == 800


@pytest.mark.parametrize("unit", ["bits", "nats"])
def test_information_is_in_the_unit_asked_for(unit, one):
    source = question_page(one, source="x", unit=unit)
    assert f"entropy, {unit}" in source
    other = {"bits": "nats", "nats": "bits"}[unit]
    assert f"<small>{other}</small>" not in without_scripts(source)


def test_another_unit_is_refused(one, all_of_them):
    with pytest.raises(InvalidInput, match="unit is 'trits'"):
        question_page(one, source="x", unit="trits")
    with pytest.raises(InvalidInput, match="unit is 'trits'"):
        questions_page(all_of_them, source="x", unit="trits")


def test_no_page_shows_a_number_that_is_none(source, whole):
    for page in (source, whole, questions_page(many(6, 2), source="x")):
        assert not re.search(r"\bnan\b|\bNaN\b|\binf\b|\bNone\b", without_scripts(page))
