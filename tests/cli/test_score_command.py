"""``nescio score`` as a person uses it, and as a person misuses it."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import nescio
from nescio.cli.corpus_showing import Bar
from nescio.cli.main import run
from nescio.corpus import CorpusProgress, read_corpus
from nescio.models.table import read_table
from tests.corpus.making import bytes_in, rows, write_jsonl

MODEL = ["--model", "table:topics"]
COMMAND = [sys.executable, "-m", "nescio", "score"]


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "docs.jsonl", rows(21))


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a person reads: one line on standard error, exit code 2."""
    assert run(["score", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("nescio: ")
    assert err.count("\n") == 1
    return err


def test_the_table_holds_all_documents_and_each_group(
    capsys: pytest.CaptureFixture[str], documents: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ["--id", "id", "--group", "language", *MODEL, "--out", str(out)]
    assert run(["score", str(documents), *options]) == 0
    shown, err = capsys.readouterr()
    assert "21 documents" in shown
    for word in ("bits_per_byte", "perplexity", "documents like these", "language"):
        assert word in shown
    assert [line.split()[:2] for line in shown.splitlines()[-3:]] == [
        ["de", "7"],
        ["en", "7"],
        ["fr", "7"],
    ]
    assert "written: " in err
    assert "summary.json" in err
    assert read_corpus(out).documents().num_rows == 21


def test_the_json_is_the_summary_file_and_nothing_else(
    capsys: pytest.CaptureFixture[str], documents: Path, tmp_path: Path
) -> None:
    command = ["score", str(documents), *MODEL, "--out", str(tmp_path / "out")]
    printed = []
    for _ in range(2):  # the second run finds a finished job
        assert run([*command, "--json"]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert out.count("\n") == 1
        printed.append(json.loads(out, parse_constant=pytest.fail))
    assert printed[0] == printed[1]
    assert printed[0] == json.loads((tmp_path / "out" / "summary.json").read_text())
    model = read_table("topics")
    traces = nescio.score_texts(model, [row["text"] for row in rows(21)])
    expected = nescio.bits_per_byte(traces)
    found = printed[0]["estimates"]["bits_per_byte"]
    assert found["value"] == pytest.approx(expected.value)
    assert found["low"] == pytest.approx(expected.low)
    assert printed[0]["counts"]["documents"] == 21


def test_the_rates_are_written_as_csv(documents: Path, tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    options = ["--group", "language", "--csv", str(path), "--out", str(tmp_path / "o")]
    assert run(["score", str(documents), *MODEL, *options]) == 0
    table = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    keys = [(row["group"], row["group_value"]) for row in table]
    assert set(keys) == {("", ""), *(("language", x) for x in ("de", "en", "fr"))}
    whole = next(row for row in table if row["measure"] == "bits_per_byte")
    assert float(whole["low"]) < float(whole["value"]) < float(whole["high"])
    assert whole["documents"] == whole["resampled"] == "21"


def test_bad_documents_are_refused_or_named_and_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write_jsonl(tmp_path / "docs.jsonl", [{"text": "ab"}, {"text": 7}])
    options = [path, *MODEL, "--out", tmp_path / "out"]
    assert "docs.jsonl, line 2: the field 'text' is a number" in refused(
        capsys, *options
    )
    assert not (tmp_path / "out").exists()
    assert run(["score", *map(str, options), "--skip-bad"]) == 0
    out, _ = capsys.readouterr()
    assert "1 document left out" in out
    assert "left out: line 2: the field 'text' is a number (7)" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "no:model"], "there is no kind 'no'"),
        (["--model", "table:none.json"], "neither a file"),
        (["--field", "body", *MODEL], "there is no field 'body'"),
        (["--field", "", *MODEL], "empty"),
        (["--window", "1", *MODEL], "predicts nothing"),
        (["--shard-bytes", "0", *MODEL], "holds nothing"),
        (["--level", "2", *MODEL], "level"),
        (["--engine", "warp", *MODEL], "unknown engine"),
        (["--csv", "/no/such/folder/x.csv", *MODEL], "no directory"),
        (["--group", "language", "--group", "language", *MODEL], "twice"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(
    capsys: pytest.CaptureFixture[str],
    documents: Path,
    tmp_path: Path,
    arguments: list[str],
    words: str,
) -> None:
    out = tmp_path / "out"
    assert words in refused(capsys, documents, *arguments, "--out", out)
    assert not out.exists()


def test_another_model_in_the_same_directory_is_refused_before_it_is_loaded(
    capsys: pytest.CaptureFixture[str], documents: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run(["score", str(documents), *MODEL, "--out", str(out)]) == 0
    capsys.readouterr()
    err = refused(capsys, documents, "--model", "table:none.json", "--out", out)
    assert "holds another job: model is 'table:topics' there" in err


def test_the_table_of_rates_is_not_the_file_that_is_read(
    capsys: pytest.CaptureFixture[str], documents: Path, tmp_path: Path
) -> None:
    before = documents.read_bytes()
    options = [documents, *MODEL, "--out", tmp_path / "out", "--csv", documents]
    assert "overwritten" in refused(capsys, *options)
    assert documents.read_bytes() == before


def test_hostile_names_reach_no_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    hostile = "a\u202eb\u200b"
    objects = [{"text": "ab", "id": i, "g": hostile} for i in range(3)]
    objects.append({"text": "\x1b[31m", "id": hostile, "g": hostile})
    path = write_jsonl(tmp_path / "docs.jsonl", objects)
    options = ["--id", "id", "--group", "g", *MODEL, "--out", str(tmp_path / "out")]
    assert run(["score", str(path), *options, "--skip-bad"]) == 0
    out, err = capsys.readouterr()
    assert "⟨202e⟩" in out
    for character in ("\x1b", "\u202e", "\u200b"):
        assert character not in out + err
    escape = write_jsonl(tmp_path / "escape.jsonl", [{"\x1b[31m": "ab"}])
    err = refused(capsys, escape, *MODEL, "--out", tmp_path / "two")
    assert "\x1b" not in err


def interrupted(command: list[str], after: Path, number: int) -> subprocess.Popen[str]:
    """The command, sent ``number`` as soon as ``after`` exists."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not after.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    process.send_signal(number)
    return process


def test_ctrl_c_stops_cleanly_and_killed_jobs_go_on_to_the_same_bytes(
    tmp_path: Path,
) -> None:
    path = write_jsonl(tmp_path / "docs.jsonl", rows(60, longest=150))
    options = [str(path), *MODEL, "--shard-bytes", "80", "--keep", "tokens"]
    out, whole = tmp_path / "out", tmp_path / "whole"
    command = [*COMMAND, *options, "--out", str(out)]
    shards = out / "shards"
    stopped = interrupted(command, shards / "00002.parquet", signal.SIGINT)
    _, err = stopped.communicate(timeout=60)
    assert stopped.returncode == 130
    assert "the same command goes on" in err
    assert "nothing was written" not in err
    assert "Traceback" not in err
    for shard in ("00005.parquet", "00008.parquet"):
        killed = interrupted(command, shards / shard, signal.SIGKILL)
        killed.communicate(timeout=60)
        assert killed.returncode == -signal.SIGKILL
    assert run(["score", *options, "--out", str(out), "--json"]) == 0
    assert run(["score", *options, "--out", str(whole), "--json"]) == 0
    assert bytes_in(out) == bytes_in(whole)


def test_the_bar_says_how_fast_and_how_far(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setitem(os.environ, "TTY_COMPATIBLE", "1")
    with Bar() as bar:
        bar.report(CorpusProgress("reading", 10, documents=3))
        bar.report(CorpusProgress("scoring", 500, 1000, 4, 9, 1, 2))
    text = screen.getvalue()
    assert "3 documents" in text
    assert "1/2 shards" in text
    assert "tokens/s" in text
    screen.truncate(0)
    with Bar(quiet=True) as bar:
        bar.report(CorpusProgress("scoring", 500, 1000, 4, 9, 1, 2))
    assert screen.getvalue().strip("\x00") == ""


def test_the_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["score", "--help"]) == 0
    shown: Any = capsys.readouterr().out
    for option in ("--field", "--id", "--group", "--cluster", "--keep", "--skip-bad"):
        assert option in shown


def test_a_table_among_the_files_of_the_job_is_refused(
    capsys: pytest.CaptureFixture[str], documents: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [documents, *MODEL, "--out", out]
    assert run(["score", *map(str, command)]) == 0
    capsys.readouterr()
    before = bytes_in(out)
    for name in ("job.json", "shards/00000.parquet", "new.csv", "../out/x.csv"):
        err = refused(capsys, *command, "--csv", out / name)
        assert "the directory of the job" in err
    assert bytes_in(out) == before


def test_one_is_counted_as_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "a"}, {"text": 3}])
    command = ["score", str(path), *MODEL, "--skip-bad", "--out", str(tmp_path / "o")]
    assert run(command) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "2 documents, 1 byte, 1 token, 1 document left out"
