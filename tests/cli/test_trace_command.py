"""``nescio trace`` as a person uses it, and as a person misuses it."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nescio.cli.main import run
from nescio.trace import read_traces

TEXT = "abababcdefabcdabab" * 8
MODEL = ["--model", "table:topics"]


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """What the command prints with --json: exactly one object."""
    assert run(["trace", *arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    return json.loads(out, parse_constant=pytest.fail)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a person reads: one line on standard error, exit code 2."""
    assert run(["trace", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_the_json_holds_the_tables_own_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = as_json(capsys, "abc", *MODEL)
    bits = [-math.log2(p) for p in (0.25, 0.931, 0.005)]
    assert [i["surprisal_bits"] for i in found["items"]] == pytest.approx(
        bits, rel=1e-6
    )
    rate = found["estimates"]["bits_per_byte"]
    assert rate["value"] == pytest.approx(sum(bits) / 3, rel=1e-6)
    assert rate["unit"] == "bits/byte"
    assert found["counts"]["bytes"] == 3
    assert found["origin"]["model"] == "table:topics"


def test_nats_are_bits_times_log_two(capsys: pytest.CaptureFixture[str]) -> None:
    nats = as_json(capsys, TEXT, *MODEL, "--unit", "nats")["estimates"]
    bits = as_json(capsys, TEXT, *MODEL)["estimates"]
    for name in ("bits_per_byte", "bits_per_token", "entropy_rate"):
        for field in ("value", "low", "high"):
            expected = bits[name][field] * math.log(2)
            assert nats[name][field] == pytest.approx(expected)
    assert nats["perplexity"] == bits["perplexity"]


def test_a_long_text_has_an_interval_that_says_what_it_is_about(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rate = as_json(capsys, TEXT, *MODEL)["estimates"]["bits_per_token"]
    assert rate["low"] < rate["value"] < rate["high"]
    assert rate["kind"] == "confidence"
    assert "source" in rate["population"]


def test_text_comes_from_an_argument_a_file_or_standard_input(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "text.txt"
    path.write_text("abcd", encoding="utf-8")
    typed = as_json(capsys, "abcd", *MODEL)
    assert as_json(capsys, "--file", str(path), *MODEL) == typed
    command = [sys.executable, "-m", "nescio", "trace", *MODEL, "--json"]
    for arguments in ([], ["-"]):
        piped = subprocess.run(
            [*command, *arguments], input=b"abcd", capture_output=True, check=True
        )
        assert json.loads(piped.stdout) == typed


def test_an_answer_is_drawn_with_its_seed(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--generate", "ab", "--model", "table:pieces", "--max-tokens", "40")
    one = as_json(capsys, *options, "--seed", "4")
    assert one == as_json(capsys, *options, "--seed", "4")
    assert one != as_json(capsys, *options, "--seed", "5")
    assert one["stop"] in ("eos", "length")
    assert one["items"][0]["segment"] == "prompt"
    assert one["items"][0]["surprisal_bits"] is None


def test_the_terminal_shows_the_text_and_the_summary(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["trace", TEXT, *MODEL]) == 0
    out, _ = capsys.readouterr()
    assert TEXT in out.replace("\n", "")
    for name in ("bits_per_byte", "perplexity", "entropy_rate"):
        assert name in out
    assert "\x1b" not in out


def test_an_answer_is_painted_and_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--generate", "ab", "--model", "table:pieces", "--max-tokens", "60"]
    assert run(["trace", *options, "--stop", "zzz"]) == 0
    assert "entropy" in capsys.readouterr().out


def test_files_are_written_and_hold_the_trace(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out, html, svg = (tmp_path / f"t.{ending}" for ending in ("parquet", "html", "svg"))
    files = ("--out", str(out), "--html", str(html), "--svg", str(svg))
    found = as_json(capsys, "abc", *MODEL, *files)
    (trace,) = read_traces(out)
    assert trace.text == "abc"
    assert html.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert svg.read_text(encoding="utf-8").startswith("<svg")
    written = sorted(p.name for p in tmp_path.iterdir())
    assert written == ["t.html", "t.parquet", "t.svg"]
    assert found["counts"]["tokens"] == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["", *MODEL], "empty"),
        (["abc", "--model", "no-such-model"], "no-such-model"),
        (["abc", "--model", "table:none.json"], "neither a file"),
        (["abc", "--file", "x", *MODEL], "give one of"),
        (["--file", "no-such-file", *MODEL], "No such file"),
        (["xyz", *MODEL], "cannot write"),
        (["abc", "--window", "1", *MODEL], "predicts nothing"),
        (["abc", "--stop", "b", *MODEL], "goes with --generate"),
        (["abc", "--chat", *MODEL], "goes with --generate"),
        (["--generate", "a", "--given", "b", *MODEL], "goes with TEXT"),
        (["--generate", "a", "--chat", *MODEL], "no chat template"),
        (["--generate", "a", "--temperature", "-1", *MODEL], "temperature"),
        (["--generate", "a", "--temperature", "nan", *MODEL], "temperature"),
        (["--generate", "a", "--top-p", "0", *MODEL], "top_p"),
        (["--generate", "a", "--max-tokens", "0", *MODEL], "max_tokens"),
        (["abc", "--system", "x", *MODEL], "--system goes with"),
        (["abc", "--engine", "warp", *MODEL], "unknown engine"),
        (["abc", "--html", "/no/such/folder/x.html", *MODEL], "no directory"),
        (["abc", "--model", "smollm2,precision=f8"], "unknown precision"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    err = refused(capsys, *arguments)
    assert err.startswith("nescio: ")
    assert words in err
    assert err.count("\n") == 1


def test_unknown_options_are_the_users_mistake(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["trace", "abc", "--no-such-option"]) == 2
    assert "no-such-option" in capsys.readouterr().err


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"abc\x80", b"\xed\xa0\x80"])
def test_bytes_that_are_not_utf8_are_refused_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, raw: bytes
) -> None:
    path, html = tmp_path / "bad.txt", tmp_path / "bad.html"
    path.write_bytes(raw)
    err = refused(capsys, "--file", str(path), *MODEL, "--html", str(html))
    assert "UTF-8 at byte" in err
    assert [p.name for p in tmp_path.iterdir()] == ["bad.txt"]


def test_hostile_file_names_never_reach_the_terminal_raw(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "\x1b" not in refused(capsys, "--file", "\x1b]52;c;x\x07", *MODEL)


def test_messages_that_are_none_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "messages.json"
    for content in ("{", "[]", '"text"', '[{"role": "x"}]', "[3]"):
        path.write_text(content, encoding="utf-8")
        assert run(["trace", "--messages", str(path), *MODEL]) == 2
        assert capsys.readouterr().err.startswith("nescio: ")


def test_control_c_ends_cleanly_and_writes_nothing(tmp_path: Path) -> None:
    out, html = tmp_path / "t.parquet", tmp_path / "t.html"
    command = [sys.executable, "-m", "nescio", "trace", "--model", "table:topics"]
    drawn = ["--generate", "ab", "--max-tokens", "10000000"]
    running = subprocess.Popen(
        [*command, *drawn, "--out", str(out), "--html", str(html)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert running.stdout is not None
    running.stdout.read(1)
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert b"interrupted" in err
    assert b"Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m nescio trace {TEXT * 50} --model table:topics"
    run = subprocess.run(
        ["bash", "-c", f"{command} | head -c 10"], capture_output=True, check=True
    )
    assert b"Traceback" not in run.stderr


def test_a_file_is_never_overwritten_by_its_own_trace_or_by_another_output(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "text.txt"
    path.write_text("abc", encoding="utf-8")
    err = refused(capsys, "--file", str(path), "--html", str(path), *MODEL)
    assert "named twice" in err
    assert path.read_text(encoding="utf-8") == "abc"
    same = str(tmp_path / "x")
    assert "named twice" in refused(
        capsys, "abc", "--html", same, "--out", same, *MODEL
    )


def test_devices_and_pipes_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in ("/dev/null", str(tmp_path / "pipe")):
        assert "no file one can write" in refused(capsys, "abc", "--out", place, *MODEL)
    assert not Path("/dev/null").is_file()


def test_a_link_stays_a_link_and_a_file_keeps_its_permissions(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    real, link = tmp_path / "real.html", tmp_path / "link.html"
    real.write_text("old", encoding="utf-8")
    real.chmod(0o600)
    link.symlink_to(real)
    as_json(capsys, "abc", *MODEL, "--html", str(link))
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert real.stat().st_mode & 0o777 == 0o600


def test_hostile_output_names_are_shown_and_not_obeyed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["trace", "abc", *MODEL, "--html", f"{tmp_path}/x\x1b[31m.html"]) == 0
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err


def test_names_no_file_can_have_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    refused(capsys, "abc", "--model", "table:" + "x" * 300)
    refused(capsys, "abc", *MODEL, "--html", str(tmp_path / ("x" * 300)))
    refused(capsys, "abc", "--model", "table:coin\udcff.json")
