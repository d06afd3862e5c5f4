"""``nescio import`` as a person uses it, and the files that it writes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from nescio.cli.main import run
from nescio.errors import InvalidInput
from nescio.imports import OutcomesFrom, import_file, write_imported
from nescio.outcome import load_outcomes, read_predictions
from nescio.trace import Samples, read_traces
from tests.imports.making import (
    answered,
    chat,
    completion,
    evaluated,
    question,
    request,
    rolled,
    write_lines,
    write_log,
)

SEQUENCE = OutcomesFrom(confidence="sequence_probability")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    samples = [
        evaluated(f"q{i}", e, "x", "CI"[i % 2]) for i in range(6) for e in (1, 2)
    ]
    return write_log(tmp_path / "log.eval", samples)


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(["import", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_the_text_says_what_was_found_and_what_was_assumed(
    capsys: pytest.CaptureFixture[str], log: Path
) -> None:
    shown = told(capsys, log)
    assert "inspect: 6 items, 12 answers, 12 traces" in shown
    for word in ("bits_per_token", "entropy_rate", "accuracy", "note: no outcomes"):
        assert word in shown


def test_the_json_is_one_object_with_every_answer(
    capsys: pytest.CaptureFixture[str], log: Path
) -> None:
    printed = told(capsys, log, "--json", "--vocabulary-size", 50)
    assert printed.count("\n") == 1
    found = json.loads(printed, parse_constant=pytest.fail)
    assert list(found)[:4] == ["estimates", "counts", "items", "groups"]
    assert found["counts"]["items"] == 6
    assert found["counts"]["verdicts"] == 12
    assert found["estimates"]["accuracy"]["value"] == pytest.approx(0.5)
    assert found["estimates"]["bits_per_token"]["value"] == pytest.approx(1.0, abs=1e-6)
    entropy = found["estimates"]["entropy_rate"]
    assert entropy["value"] is None
    assert 0 <= entropy["low"] < entropy["high"] <= math.log2(50)
    first = found["items"][0]
    assert first["id"] == "q0"
    assert [answer["draw"] for answer in first["answers"]] == [0, 1]
    assert first["verdicts"][1] == {"draw": 1, "name": "match", "correct": True}
    assert found["skipped"] == []


def test_the_unit_may_be_nats(capsys: pytest.CaptureFixture[str], log: Path) -> None:
    found = json.loads(told(capsys, log, "--json", "--unit", "nats"))
    estimate = found["estimates"]["bits_per_token"]
    assert estimate["unit"] == "nats/token"
    assert estimate["value"] == pytest.approx(math.log(2), abs=1e-6)


def test_files_are_written_that_nescio_reads_again(
    capsys: pytest.CaptureFixture[str], log: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    told(capsys, log, "--out", out, "--confidence", "sequence_probability")
    found = import_file(log, outcomes=SEQUENCE)
    names = {path.name for path in out.iterdir()}
    assert names == {
        "samples.jsonl",
        "traces.parquet",
        "outcomes.parquet",
        "import.json",
    }
    assert Samples.read(out / "samples.jsonl") == tuple(s for _, s in found.samples)
    assert tuple(read_traces(out / "traces.parquet")) == found.traces
    assert load_outcomes(out / "outcomes.parquet") == found.outcomes
    described = json.loads((out / "import.json").read_text(encoding="utf-8"))
    assert described["format"] == "inspect"
    assert described["counts"]["traces"] == 12
    assert len(described["marks"]) == 12


def test_predictions_are_written_where_there_are_some(tmp_path: Path) -> None:
    rows = [question(0, [-1.0, "-inf"], "0", acc=1.0), rolled(1, "ab", "-inf")]
    found = import_file(write_lines(tmp_path / "s.jsonl", *rows))
    out = tmp_path / "out"
    names = write_imported(out, found)
    assert names == ("outcomes.parquet", "predictions.parquet", "import.json")
    assert read_predictions(out / "predictions.parquet") == found.predictions
    described = json.loads((out / "import.json").read_text(encoding="utf-8"))
    assert [one["logp"] for one in described["scored"]] == [-1.0] + ["-Infinity"] * 2


def test_a_directory_that_holds_something_is_left_alone(
    capsys: pytest.CaptureFixture[str], log: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    told(capsys, log, "--out", out)  # empty: taken
    before = sorted(path.name for path in tmp_path.iterdir())
    assert run(["import", str(log), "--out", str(out)]) == 2
    assert "no empty directory: name a new one" in capsys.readouterr().err
    assert run(["import", str(log), "--out", str(log)]) == 2
    assert run(["import", str(log), "--out", str(tmp_path / "no" / "out")]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_write_that_fails_leaves_nothing(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nescio.imports.writing.write_traces", full)
    with pytest.raises(InvalidInput, match="No space left"):
        write_imported(tmp_path / "out", import_file(log))
    assert [path.name for path in tmp_path.iterdir()] == ["log.eval"]


def test_requests_and_formats_reach_the_reader(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output = write_lines(
        tmp_path / "o.jsonl",
        answered("a", completion(model="one")),
        answered("b", completion(model="two\x1b[31m")),
        answered("c", {}, status=500),
    )
    bodies = [request(name, {"prompt": "7 + 5 ="}) for name in "abc"]
    asked = write_lines(tmp_path / "i.jsonl", *bodies)
    shown = told(capsys, output, "--requests", asked, "--format", "openai-batch")
    assert "model one" in shown
    assert "model two␛[31m" in shown
    assert "skipped: line 3: the request failed with status 500" in shown
    assert "unknown" not in shown.split("skipped")[0].replace("note", "")


def test_normalise_and_correct_reach_the_outcomes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = (" Österreich", " Rom")
    row = question(0, [-5.5, -3.0], "0", options=options, acc=0.0, acc_bytes=1.0)
    path = write_lines(tmp_path / "s.jsonl", row)
    shown = told(capsys, path, "--normalise", "bytes")
    assert "per byte" in shown
    assert "scorer acc_bytes,none" in shown


def test_mistakes_are_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "s.jsonl", chat("a"))
    for arguments in (
        [tmp_path / "none"],
        [tmp_path],
        [path, "--format", "csv"],
        [path, "--vocabulary-size", "0"],
        [path, "--correct", "match"],
        [path, "--requests", path],
        [path, "--normalise", "bytes"],
    ):
        assert run(["import", *map(str, arguments)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("nescio: ")
        assert err.count("\n") == 1
