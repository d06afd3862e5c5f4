"""``nescio consistency`` misused: hostile texts, broken files, what cannot be asked."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from nescio.cli.main import run

FEW = ["--resamples", "200"]
LINE = '{"id": "q", "samples": ["a", {"text": "b", "KEY": VALUE}]}'


def write_lines(path: Path, rows: list[Any]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a person reads: one line on standard error, exit code 2."""
    assert run(["consistency", *map(str, arguments), *FEW]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("nescio: ")
    assert err.count("\n") == 1
    return err


def question(*samples: Any, id: str = "q", **more: Any) -> dict[str, Any]:
    return {"id": id, "samples": list(samples), **more}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([question("a")], "q has one sample"),
        ([question()], "is empty"),
        ([question("a", "b"), question("a", "c")], "the id 'q' stands there twice"),
        ([question("a", "b"), {"id": "r"}], "line 2: 'samples' is missing"),
        (
            [question("a", "b"), {"id": "r", "text": "a"}],
            "line 2: 'samples' is missing",
        ),
        ([question("a", "b"), "[1, 2]"], "line 2: not an object but list"),
        ([question("a", "b"), "{"], "line 2: not JSON"),
        ([question("a", None)], "sample 1 is None"),
        ([question("a", 12)], "sample 1 is 12"),
        ([question("a", {"logprob": -1})], "sample 1: its text is None"),
        ([{"id": "q", "samples": "a"}], "'samples' is 'a'"),
        ([{"id": ["q"], "samples": ["a", "b"]}], "id is ['q']"),
        ([{"id": "", "samples": ["a", "b"]}], "id is ''"),
        ([question("a", "b", gold={"x": 1})], "gold is {'x': 1}"),
        (
            [question("a", "b", id="1", gold="a"), question("a", "b", id="2")],
            "gold is missing for 1 of 2 questions, first '2'",
        ),
        ([question("a", "b", gold="")], "no gold answer, or an empty one"),
        ([{"question": "what?", "answer": "that"}], "has the fields ['answer'"),
        (["NaN"], "not an object"),
        (['{"id": "q", "samples": ["a", "b"], "samples": ["c"]}'], "stands twice"),
    ],
)
def test_rows_that_are_no_samples_are_refused_with_their_place(
    capsys, tmp_path, rows, words
):
    path = write_lines(tmp_path / "bad.jsonl", rows)
    assert words in refused(capsys, path)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("NaN", "nan"),
        ("Infinity", "inf"),
        ("-Infinity", "-inf"),
        ("1" + "0" * 400, "not finite"),
        ("-1" + "0" * 400, "not finite"),
        ("0.5", "not a log-probability"),
        ('"-1"', "no number"),
        ("true", "no number"),
    ],
)
def test_a_logprob_that_is_none_is_refused(capsys, tmp_path, number, words):
    line = LINE.replace("KEY", "logprob").replace("VALUE", number)
    err = refused(capsys, write_lines(tmp_path / "bad.jsonl", [line]))
    assert words in err
    assert "line 1" in err


@pytest.mark.parametrize("tokens", ["-1", "1.5", '"3"', "true", "1" + "0" * 30])
def test_a_number_of_tokens_that_is_none_is_refused(capsys, tmp_path, tokens):
    line = LINE.replace("KEY", "tokens").replace("VALUE", tokens)
    err = refused(capsys, write_lines(tmp_path / "bad.jsonl", [line]))
    assert "tokens" in err


def test_log_probabilities_of_some_samples_only_are_not_used(capsys, tmp_path):
    rows = [question({"text": "a", "logprob": -1.0}, "a", "b")]
    path = write_lines(tmp_path / "some.jsonl", rows)
    assert run(["consistency", str(path), *FEW, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "agreement" in found["estimates"]
    assert "answer_log_probability" not in found["estimates"]


@pytest.mark.parametrize("texts", [["", "  ", "\n\t"], ["\u200b", "\u200b", ""]])
def test_samples_that_say_nothing_are_never_certain(capsys, tmp_path, texts):
    path = write_lines(tmp_path / "void.jsonl", [question(*texts)])
    assert run(["consistency", str(path), *FEW, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["answer"] is None
    assert found["estimates"]["agreement"]["value"] == 0.0
    assert found["estimates"]["semantic_entropy_discrete"]["value"] > 1.5
    assert any("no sample has a valid answer" in note for note in found["notes"])
    assert run(["consistency", str(path), *FEW]) == 0
    assert "no answer: none of 3 samples" in capsys.readouterr().out


def test_nothing_that_a_text_holds_reaches_terminal_or_page(capsys, tmp_path):
    hostile = "<script>alert(1)</script>\x1b[31m\u202eevil\x07\x00"
    rows = [
        question(hostile, hostile, "b", "\ud800", id="<b>\x1b[2J", prompt=hostile),
        question(hostile, "c", "\udfff", id="other", prompt="\ud800", gold=None),
    ]
    path, page = write_lines(tmp_path / "bad.jsonl", rows), tmp_path / "p.html"
    for extra in ([], ["--question", "other"]):
        command = ["consistency", str(path), *FEW, "--html", str(page), *extra]
        assert run(command) == 0
        out, err = capsys.readouterr()
        assert not set("\x1b\u202e\x07\x00\ud800") & set(out + err)
        text = page.read_text("utf-8")
        assert "<script>alert" not in text
        assert not set("\x1b\u202e\x07\x00") & set(text)
    assert run(["consistency", str(path), *FEW, "--json"]) == 0
    told = capsys.readouterr().out
    assert told.isascii()
    assert json.loads(told)["items"][0]["id"] == "<b>\x1b[2J"
    assert run(["consistency", str(path), *FEW, "--json", "--question", "other"]) == 0
    told = capsys.readouterr().out
    assert told.isascii()
    assert json.loads(told)["items"][0]["text"] == hostile


def test_an_answer_of_ten_megabytes_is_harmless(capsys, tmp_path):
    long = "word " * 2_000_000
    path = write_lines(tmp_path / "long.jsonl", [question(long, long + "x", "word")])
    begin = time.perf_counter()
    assert run(["consistency", str(path), *FEW]) == 0
    assert time.perf_counter() - begin < 20
    out = capsys.readouterr().out
    assert len(out) < 10_000
    assert "characters" in out


def test_files_that_are_none_of_samples_are_refused(capsys, tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert "is empty" in refused(capsys, empty)
    blank = tmp_path / "blank.jsonl"
    blank.write_text("\n\n")
    assert "holds no samples" in refused(capsys, blank)
    assert "no such file" in refused(capsys, tmp_path / "absent.jsonl")
    assert "is a directory" in refused(capsys, tmp_path)
    for name in ("a.jsonl", "a.parquet", "a.json", "a.csv", "a.txt"):
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe")
        refused(capsys, tmp_path / name)
    cells = tmp_path / "cells.csv"
    cells.write_text("a,b\n1,2\n")
    assert "--columns" in refused(capsys, cells)
    assert "no column 'c'" in refused(capsys, cells, "--columns", "a,c")


def test_rows_of_one_sample_have_to_say_whose_it_is(capsys, tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [{"said": "a"}, {"said": "b"}])
    assert "name it with --id" in refused(capsys, path, "--text", "said")
    rows = [
        {"id": "q", "text": "a", "gold": "a"},
        {"id": "q", "text": "b", "gold": "b"},
    ]
    other = write_lines(tmp_path / "b.jsonl", rows)
    assert "line 2: gold of 'q'" in refused(capsys, other)
    gap = write_lines(tmp_path / "c.jsonl", [*rows[:1], {"id": "q", "gold": "a"}])
    assert "line 2" in refused(capsys, gap)


def test_what_cannot_be_asked_for_is_refused_before_anything_is_read(capsys, tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [question("a", "b")])
    for words, message in (
        (["--extract", "last-nmber"], "last-nmber"),
        (["--same", "near:absolute=1"], "no equivalence"),
        (["--same", "nmber"], "nmber"),
        (["--similarity", "vibes"], "vibes"),
        (["--threshold", "2"], "threshold"),
        (["--measure", "certainty"], "certainty"),
        (["--adaptive", "0.2"], "confidence is 0.2"),
        (["--mbr", "bleu"], "bleu"),
        (["--level", "2"], "level"),
        (["--question", "nobody"], "nobody"),
        (["--calibrator", str(tmp_path / "none.json")], "none.json"),
        (["--save-calibrator", str(tmp_path / "c.json")], "several questions"),
        (["--html", str(path)], "named twice"),
        (["--id", "name"], "'name' is missing"),
        (["--gold", "answr", "--group", "subject"], "'subject' is missing"),
    ):
        assert message in refused(capsys, path, *words), words


def test_a_calibrator_of_other_samples_is_refused(capsys, tmp_path):
    rows = [
        question(*("a" * (1 + k % 3) + "b" * (3 - k % 3)), id=f"q{k}",
                 gold="a" if k % 4 else "b")
        for k in range(30)
    ]  # fmt: skip
    path, kept = write_lines(tmp_path / "a.jsonl", rows), tmp_path / "c.json"
    command = ["consistency", str(path), *FEW, "--measure", "agreement"]
    assert run([*command, "--save-calibrator", str(kept)]) == 0
    capsys.readouterr()
    other = write_lines(tmp_path / "b.jsonl", [question("a", "b", "a")])
    assert "samples, not 4" in refused(capsys, other, "--calibrator", kept)
    broken = tmp_path / "d.json"
    broken.write_text('{"calibrator": "agreement"}')
    assert "d.json" in refused(capsys, path, "--calibrator", broken)
    broken.write_text("no json")
    assert "no calibrator" in refused(capsys, path, "--calibrator", broken)


def test_an_interrupt_ends_it_cleanly(capsys, tmp_path, monkeypatch):
    from nescio.evaluation import consistency_survey

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(consistency_survey, "survey_questions", interrupted)
    rows = [question("a", "b", id=str(k)) for k in range(3)]
    path, page = write_lines(tmp_path / "many.jsonl", rows), tmp_path / "page.html"
    page.write_text("as it was")
    assert run(["consistency", str(path), "--html", str(page)]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("nescio: interrupted; nothing was written\n")
    assert page.read_text() == "as it was"
