"""``nescio ask`` as a person uses it, and as a person misuses it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nescio
from nescio.cli.main import run
from nescio.consistency.adaptive import AdaptiveRule, stopping_point
from nescio.consistency.answers import Answers, Sorting, answers_of
from nescio.evaluation.agreement_probability import fit_calibrator
from nescio.evaluation.meter import Meter

FEW = ["--resamples", "200"]
COIN = ["--model", "table:coin", "--max-tokens", "1", *FEW]
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e"
ONE = nescio.Decoding(1)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary files of the command are those of the test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def as_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """What the command prints with --json: exactly one object."""
    assert run(["ask", *map(str, arguments), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    return json.loads(out, parse_constant=pytest.fail)


def shown(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(["ask", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a person reads: one line on standard error, exit code 2."""
    assert run(["ask", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return " ".join(err.split())


def table(folder: Path, tokens: list[str], p: list[float], name: str = "t") -> str:
    path = folder / f"{name}.json"
    rows = [{"after": [], "p": p}]
    path.write_text(json.dumps({"tokens": tokens, "rows": rows}))
    return f"table:{path}"


def questions(folder: Path) -> Path:
    path = folder / "questions.jsonl"
    rows = [
        {"id": f"q{place}", "question": text, "right": right}
        for place, (text, right) in enumerate(
            [("H", "T"), ("T", "T"), ("HH", "H"), ("HT", "T")]
        )
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_samples_are_those_of_sample_and_agreement_is_theirs(capsys):
    found = as_json(capsys, "H", *COIN, "-n", 12, "--seed", 5)
    samples = nescio.sample(nescio.load("table:coin"), "H", n=12, seed=5, decoding=ONE)
    assert [item["text"] for item in found["items"]] == list(samples.texts)
    assert [item["draw"] for item in found["items"]] == list(range(12))
    expected = nescio.agreement(samples, seed=5, resamples=200)
    assert found["confidence"]["low"] == expected.low
    assert found["estimates"]["agreement"]["value"] == expected.value
    assert found["confidence"]["name"] == "agreement"
    assert found["confidence_is_probability"] is False
    assert found["text"] in ("H", "T")
    assert found["prompt"] == "H"
    assert found["counts"]["samples"] == 12
    assert {name: one["counts"]["votes"] for name, one in found["groups"].items()} == {
        "0": samples.texts.count(samples.texts[0]),
        "1": 12 - samples.texts.count(samples.texts[0]),
    }


def test_twenty_times_unless_it_is_said(capsys):
    assert as_json(capsys, "H", *COIN)["counts"]["samples"] == 20


def test_adaptive_is_the_rule_on_the_whole_run(capsys):
    found = as_json(capsys, "H", *COIN, "--adaptive", "--lead", 0.9, "--seed", 2)
    whole = nescio.sample(nescio.load("table:coin"), "H", n=40, seed=2, decoding=ONE)
    stop = stopping_point(answers_of(whole).labels, AdaptiveRule(0.9))
    assert found["stop"]["used"] == stop.used == len(found["items"])
    assert found["stop"]["reason"] == stop.reason
    said = shown(capsys, "H", *COIN, "--adaptive", "--lead", 0.9, "--seed", 2)
    assert f"stopped after {stop.used} samples" in said


def test_the_text_says_answer_agreement_sets_and_what_it_is_not(capsys, tmp_path):
    model = table(tmp_path, ["a", "b", "?"], [0.7, 0.3, 0.0])
    said = shown(
        capsys, "?", "-m", model, *FEW, "--max-tokens", 1, "-n", 20, "--seed", 1
    )
    lines = said.splitlines()
    assert lines[0] == "answer: a"
    assert lines[2].startswith("agreement: ")
    assert lines[2].endswith("of 20 samples say this")
    assert "interval" in said
    assert "agreement is no probability of being right" in said
    assert "token 1, of 20 that got there" in said


def test_every_measure_is_printed_where_it_is_asked_for(capsys):
    assert "eccentricity" not in shown(capsys, "H", *COIN, "-n", 4)
    assert "eccentricity" in shown(capsys, "H", *COIN, "-n", 4, "--measures")


def test_counts_come_on_standard_error_line_by_line_and_not_with_quiet(capsys):
    assert run(["ask", "H", *COIN, "-n", "20"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("2 of 20: ")
    assert lines[-1].startswith("20 of 20: ")
    assert run(["ask", "H", *COIN, "-n", "20", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_an_extraction_and_an_equivalence_sort_the_answers(capsys, tmp_path):
    model = table(tmp_path, ["so 12.", "so 12.0", "?"], [0.5, 0.5, 0.0])
    found = as_json(
        capsys, "?", "-m", model, *FEW, "--max-tokens", 1, "-n", 8,
        "--extract", "last-number", "--same", "number", "--gold", "twelve",
    )  # fmt: skip
    assert found["counts"]["sets"] == 1
    assert found["text"] in ("12", "12.0")
    assert found["right"] is True
    assert found["settings"]["sorting"]["answer"] == "last-number"


def test_an_extraction_that_finds_nothing_is_never_certain(capsys):
    found = as_json(capsys, "H", *COIN, "-n", 6, "--extract", "last-number")
    assert found["text"] is None
    assert found["confidence"]["value"] == 0.0
    assert found["counts"]["invalid"] == 6
    said = shown(capsys, "H", *COIN, "-n", 6, "--extract", "last-number")
    assert said.startswith("answer: none")
    assert "nothing is sure" in said


def test_wordings_are_told_apart(capsys, tmp_path):
    lines = tmp_path / "wordings.txt"
    lines.write_text("T{question}\n\n{question}T\n")
    found = as_json(
        capsys, "H", *COIN, "-n", 5, "--variant", "{question}", "--prompts", lines
    )
    assert found["counts"]["samples"] == 15
    assert [one["wording"] for one in found["wordings"]] == [
        "{question}", "T{question}", "{question}T",
    ]  # fmt: skip
    assert {item["wording"] for item in found["items"]} == {
        one["wording"] for one in found["wordings"]
    }
    for name in ("within_wordings", "across_wordings", "within_less_across"):
        assert f"agreement_{name}" in found["estimates"]
    said = shown(capsys, "H", *COIN, "-n", 5, "--variant", "{question}",
                 "--variant", "T{question}")  # fmt: skip
    assert "two answers to one wording are the same: " in said
    assert "across wordings is no confidence" in said


def test_the_chosen_answer_may_be_that_of_least_expected_loss(capsys, tmp_path):
    model = table(
        tmp_path, ["no", "yes it is", "yes it was", "?"], [0.4, 0.3, 0.3, 0.0]
    )
    words = ("?", "-m", model, *FEW, "--max-tokens", 1, "-n", 40, "--seed", 1)
    most = as_json(capsys, *words)
    least = as_json(capsys, *words, "--choose", "mbr:edit")
    assert most["text"] == "no"
    assert least["text"].startswith("yes")
    assert least["chosen"]["expected_loss"]["value"] < 0.5
    assert least["confidence"]["value"] < most["confidence"]["value"]
    assert "expected loss" in shown(capsys, *words, "--choose", "mbr:edit")


def test_a_calibrator_gives_a_probability_and_one_of_other_settings_is_refused(
    capsys, tmp_path
):
    path = tmp_path / "calibrator.json"
    path.write_text(json.dumps(calibrator(10)))
    found = as_json(capsys, "H", *COIN, "-n", 10, "--calibrator", path)
    assert found["confidence_is_probability"] is True
    assert found["confidence"]["name"] == "probability_right"
    told = {"name": "probability_right", **found["estimates"]["probability_right"]}
    assert found["confidence"] == told
    said = shown(capsys, "H", *COIN, "-n", 10, "--calibrator", path)
    assert "probability of being right: " in said
    assert "no probability" not in said
    words = refused(capsys, "H", *COIN, "-n", 11, "--calibrator", path)
    assert "11 samples, not 10" in words
    words = refused(
        capsys, "H", *COIN, "-n", 10, "--calibrator", path, "--same", "number"
    )
    assert "sorted by" in words
    path.write_text("{}")
    assert "calibrator.json" in refused(capsys, "H", *COIN, "--calibrator", path)


def calibrator(samples: int) -> dict[str, Any]:
    def of(votes: int, place: int) -> Answers:
        others = [f"y{i}" for i in range(samples - votes)]
        return answers_of(["x"] * votes + others, Sorting(), id=f"{votes}.{place}")

    asked = [of(votes, i) for votes in range(1, samples + 1) for i in range(10)]
    meter = Meter.of(asked)
    rng = np.random.default_rng(0)
    right = (rng.random(len(asked)) < meter.confidences(asked)).tolist()
    outcomes = meter.outcomes(asked, right)
    return fit_calibrator(meter, outcomes, recalibrator="histogram").to_dict()


def test_the_model_itself_may_judge(capsys, tmp_path):
    tokens = ["six", "half a dozen", " yes", " no", *map(chr, range(32, 127)), "\n"]
    rows = [
        {"after": [], "p": [0.5, 0.5, *[0.0] * (len(tokens) - 2)]},
        {"after": [":"], "p": [0.0, 0.0, 0.8, 0.2, *[0.0] * (len(tokens) - 4)]},
    ]
    path = tmp_path / "judge.json"
    path.write_text(json.dumps({"tokens": tokens, "rows": rows}))
    words = ("How many?", "-m", f"table:{path}", *FEW, "--max-tokens", 1, "-n", 8)
    assert as_json(capsys, *words)["counts"]["sets"] == 2
    for judge in ("judge", f"judge:table:{path}"):
        found = as_json(capsys, *words, "--same", judge)
        assert found["counts"]["sets"] == 1
        assert [one["probability"] for one in found["verdicts"]] == pytest.approx(
            [0.8, 0.8]
        )
        assert found["settings"]["sorting"]["equivalence"] == "judge"


def test_answers_may_be_joined_by_how_alike_they_are(capsys, tmp_path):
    model = table(tmp_path, ["colour", "color", "hue", "?"], [0.4, 0.4, 0.2, 0.0])
    words = (
        "?",
        "-m",
        model,
        *FEW,
        "--max-tokens",
        1,
        "-n",
        20,
        "--similarity",
        "edit",
    )
    assert as_json(capsys, *words)["counts"]["sets"] == 3
    found = as_json(capsys, *words, "--threshold", 0.8, "--similarity", "jaccard")
    assert found["counts"]["sets"] == 2
    assert list(found["similarities"])[:2] == ["edit", "jaccard"]


def test_the_page_is_written_and_hostile_texts_are_harmless(capsys, tmp_path):
    model = table(tmp_path, [HOSTILE, "fine", "?"], [0.6, 0.4, 0.0])
    page = tmp_path / "page.html"
    said = shown(
        capsys, "?", "-m", model, *FEW, "--max-tokens", 1, "-n", 10, "--html", page,
        "--variant", "{question}", "--variant", "{question}?",
    )  # fmt: skip
    assert "\x1b" not in said
    assert "\u202e" not in said
    content = page.read_text("utf-8")
    assert "<script>alert(1)" not in content
    assert "&lt;script&gt;alert(1)" in content
    assert "two answers to two wordings are the same" in content


def test_every_question_of_a_file_is_asked(capsys, tmp_path):
    path = questions(tmp_path)
    found = as_json(
        capsys, "--file", path, "--gold", "right", *COIN, "-n", 8, "--seed", 1
    )
    assert found["counts"]["questions"] == 4
    assert [item["id"] for item in found["items"]] == ["q0", "q1", "q2", "q3"]
    prompts = ["H", "T", "HH", "HT"]
    drawn: dict[tuple[int, int], str] = {
        (place, one.draw): one.text
        for place, one in nescio.sample_stream(
            nescio.load("table:coin"), prompts, nescio.Draws(8, 1), decoding=ONE
        )
    }
    for place, item in enumerate(found["items"]):
        assert item["texts"] == [drawn[place, draw] for draw in range(8)]
        votes = item["texts"].count(item["answer"].upper())
        assert votes == item["votes"]
    assert "accuracy" in found["estimates"]
    said = shown(capsys, "--file", path, *COIN, "-n", 4)
    assert "4 questions, 4 samples each" in said


def test_a_file_of_questions_in_several_wordings_and_by_a_rule(capsys, tmp_path):
    path, page = questions(tmp_path), tmp_path / "page.html"
    found = as_json(
        capsys, "--file", path, *COIN, "-n", 4, "--variant", "{question}",
        "--variant", "T{question}", "--html", page,
    )  # fmt: skip
    assert "agreement_across_wordings" in found["estimates"]
    assert page.read_text("utf-8").startswith("<!doctype html>")
    found = as_json(capsys, "--file", path, *COIN, "-n", 10, "--adaptive")
    assert all(
        found["stops"][item["id"]]["used"] == len(item["texts"])
        for item in found["items"]
    )


def test_what_was_drawn_is_kept_and_the_same_command_ends_the_same(capsys, tmp_path):
    kept = tmp_path / "kept.jsonl"
    words = ("H", *COIN, "-n", 9, "--out", kept)
    first = as_json(capsys, *words)
    lines = kept.read_bytes().splitlines(keepends=True)
    assert len(lines) == 10
    kept.write_bytes(b"".join(lines[:4]) + lines[4][:20])
    assert as_json(capsys, *words) == first
    assert sorted(kept.read_bytes().splitlines()) == sorted(
        b"".join(lines).splitlines()
    )
    assert "another model" in refused(capsys, "T", *COIN, "--out", kept)


def test_nothing_is_left_where_all_went_well(capsys, elsewhere):
    shown(capsys, "H", *COIN, "-n", 3)
    assert list(elsewhere.iterdir()) == []


def test_ctrl_c_keeps_what_was_drawn_and_says_how_to_go_on(
    capsys, monkeypatch, elsewhere
):
    from nescio.cli import ask_live

    whole = as_json(capsys, "H", *COIN, "-n", 9)
    add = ask_live.Count.add

    def struck(self: Any, sample: Any) -> None:
        add(self, sample)
        if self.drawn == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(ask_live.Count, "add", struck)
    assert run(["ask", "H", *COIN, "-n", "9"]) == 130
    said = " ".join(capsys.readouterr().err.split())
    assert "4 answers are done and kept in" in said
    (left,) = elsewhere.iterdir()
    assert f"--out {left}" in said
    monkeypatch.undo()
    assert as_json(capsys, "H", *COIN, "-n", 9, "--out", left) == whole


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["H", "-n", "1"], "agrees with nothing"),
        (["H", "-n", "0"], "at least one sample"),
        (["H", "-n", "100000000000"], "at most 10,000 times"),
        (["--file", "."], "is a directory"),
        (["", "-n", "3"], "the question is empty"),
        ([" \n"], "the question is empty"),
        ([], "nothing to ask"),
        (["H", "--lead", "0.9"], "--lead goes with --adaptive"),
        (["H", "--adaptive", "--lead", "1"], "confidence is 1"),
        (["H", "--variant", "Say it."], "no {question}"),
        (["H", "--adaptive", "--variant", "{question}", "--variant", "{question}?"],
         "would stop by itself"),
        (["H", "--temperature", "0"], "every draw is the same answer"),
        (["H", "--extract", "middle"], "no extraction step 'middle'"),
        (["H", "--same", "alike"], "no equivalence 'alike'"),
        (["H", "--same", "near:absolute=1"], "no equivalence"),
        (["H", "--similarity", "cosine"], "unknown similarity 'cosine'"),
        (["H", "--similarity", "edit", "--similarity", "edit"], "named twice"),
        (["H", "--threshold", "2"], "threshold is 2"),
        (["H", "--level", "95"], "level"),
        (["H", "--calibrator", "nowhere.json"], "nowhere.json"),
        (["H", "--prompts", "nowhere.txt"], "nowhere.txt"),
        (["H", "--file", "nowhere.jsonl"], "not both"),
        (["--file", "nowhere.jsonl"], "no such file"),
        (["H", "--id", "x"], "go with --file"),
        (["H", "--html", "/nowhere/page.html"], "/nowhere"),
        (["H", "--max-requests", "3"], "go with a server"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_before_anything_is_drawn(capsys, arguments, words):
    assert words in refused(capsys, *arguments, *COIN)


def test_an_unknown_model_is_refused(capsys):
    assert "no model is called" in refused(capsys, "H", "-m", "gpt-99")


def test_bad_rows_of_a_file_are_named(capsys, tmp_path):
    path = tmp_path / "bad.jsonl"
    for row, words in (
        ('{"question": 3}', "line 1"),
        ("[]", "line 1"),
        ('{"id": 1, "question": "H"}\n{"id": 1, "question": "T"}', "stands twice"),
    ):
        path.write_text(row + "\n")
        assert words in refused(capsys, "--file", path, *COIN)
    path.write_text("")
    assert "no questions" in refused(capsys, "--file", path, *COIN)
    path.write_text('{"id": null, "question": "H"}\n')
    assert "'id' is None" in refused(capsys, "--file", path, *COIN)


def test_a_parquet_file_of_questions_has_its_own_ids(capsys, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "questions.parquet"
    pq.write_table(pa.table({"id": ["x", "y"], "question": ["H", "T"]}), path)
    found = as_json(capsys, "--file", path, *COIN, "-n", 3)
    assert [item["id"] for item in found["items"]] == ["x", "y"]
    pq.write_table(pa.table({"question": ["H", "T"]}), path)
    found = as_json(capsys, "--file", path, *COIN, "-n", 3)
    assert [item["id"] for item in found["items"]] == ["row 1", "row 2"]


def test_a_question_may_come_from_standard_input_and_from_messages(capsys, tmp_path):
    read = subprocess.run(
        [sys.executable, "-m", "nescio", "ask", "-", *COIN, "-n", "3", "--json"],
        input=b"H",
        capture_output=True,
        check=True,
    )
    assert json.loads(read.stdout)["prompt"] == "H"
    path = tmp_path / "messages.json"
    path.write_text(json.dumps([{"role": "user", "content": "H"}]))
    said = refused(capsys, "--messages", path, *COIN)
    assert "no chat template" in said
    assert "not both" in refused(capsys, "H", "--messages", path, *COIN)


def test_a_token_of_white_space_is_not_the_end(capsys, tmp_path):
    model = table(tmp_path, ["a", "\n", "?"], [0.5, 0.5, 0.0])
    words = ("?", "-m", model, *FEW, "--max-tokens", 3, "-n", 12)
    for more in ((), ("--measures",)):
        said = shown(capsys, *words, *more)
        parted = next(line for line in said.splitlines() if "token 1" in line)
        assert "'␊'" in parted
        assert "'a'" in parted
        assert "end" not in parted
