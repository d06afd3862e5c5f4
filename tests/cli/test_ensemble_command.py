"""``nescio ensemble`` as a person uses it, and as a person misuses it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nescio.cli.ensemble_showing import whole_text
from nescio.cli.main import run
from nescio.trace import read_traces

TWO = ("-m", "table:pieces", "-m", "table:pieces")


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """What the command prints with --json: exactly one object."""
    assert run(["ensemble", *arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    return json.loads(out, parse_constant=pytest.fail)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a person reads: one line on standard error, exit code 2."""
    assert run(["ensemble", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_the_json_holds_the_answer_and_what_members_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ("ab", *TWO, "--seed", "0", "--max-bytes", "30", "--weights", "3+1")
    found = as_json(capsys, *options)
    assert found == as_json(capsys, *options)
    (item,) = found["items"]
    assert found["text"] == item["text"]
    spelled = bytes.fromhex("".join(item["bytes"]))
    assert item["text"]
    assert spelled.decode(errors="replace").startswith(item["text"])
    assert [one["weight"] for one in found["members"]] == [0.75, 0.25]
    assert found["counts"]["bytes"] == len(spelled)
    assert item["surprisal_bits"] == pytest.approx(item["surprisal_bits[1]"], rel=1e-5)
    assert item["disagreement_bits"] == pytest.approx([0.0] * len(item["bytes"]))
    assert {"bits_per_byte", "mean_disagreement"} <= set(found["estimates"])
    assert found["origin"]["decoding"]["rule"] == "mean"


def test_one_model_is_read_byte_by_byte(capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, "ab", "-m", "table:pieces", "--max-bytes", "9")
    assert found["origin"]["model"].startswith("bytes:table:pieces")
    assert "mean_disagreement" not in found["estimates"]
    assert found["members"][0]["weight"] == 1.0


@pytest.mark.parametrize("decode", ["greedy", "beam", "abe", "speculative"])
def test_every_decoder_answers(decode: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, "ab", *TWO, "--decode", decode, "--max-bytes", "12")
    (item,) = found["items"]
    assert len(bytes.fromhex("".join(item["bytes"]))) <= 12
    assert item["stop"] in ("eos", "length")
    assert len(item["nearest"]) == len(item["bytes"])


def test_several_answers_come_in_their_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ("ab", *TWO, "--seed", "0", "--max-bytes", "8")
    found = as_json(capsys, *options, "-n", "3")
    assert found["counts"]["answers"] == len(found["items"]) == 3
    assert found["items"][0]["bytes"] == as_json(capsys, *options)["items"][0]["bytes"]
    assert run(["ensemble", *options, "-n", "3"]) == 0
    assert "— 3 —" in capsys.readouterr().out


def test_the_terminal_shows_the_answer_the_members_and_the_summary(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ("ab", *TWO, "--seed", "0", "--max-bytes", "30")
    text = as_json(capsys, *options)["text"]
    assert run(["ensemble", *options]) == 0
    out, _ = capsys.readouterr()
    assert out.startswith(text)
    for words in (
        "1: table:pieces, weight 0.5",
        "mean_disagreement",
        "agreement_share",
    ):
        assert words in out
    assert "\x1b" not in out


def test_files_are_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out, html = tmp_path / "t.parquet", tmp_path / "t.html"
    files = ("--out", str(out), "--html", str(html))
    found = as_json(capsys, "ab", *TWO, "--max-bytes", "9", "-n", "2", *files)
    traces = list(read_traces(out))
    assert [whole_text(trace) for trace in traces] == [
        item["text"] for item in found["items"]
    ]
    assert html.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_half_a_character_is_never_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "rain.json"
    table = {
        "tokens": ["雨", {"control": "<end>"}],
        "end": ["<end>"],
        "rows": [{"after": [], "p": [1.0, 0.0]}],
    }
    path.write_text(json.dumps(table), encoding="utf-8")
    options = ("-m", f"table:{path}", "雨", "--max-bytes", "7")
    found = as_json(capsys, *options)
    assert found["text"] == "雨雨"
    assert len(found["items"][0]["bytes"]) == 7
    assert run(["ensemble", *options]) == 0
    out, _ = capsys.readouterr()
    assert out.startswith("雨雨\n")


def test_weights_come_from_the_prompt(
    capsys: pytest.CaptureFixture[str],
) -> None:
    models = ("-m", "table:pieces", "-m", "table:topics")
    found = as_json(capsys, "abab", *models, "--weights", "prompt", "--max-bytes", "3")
    weights = [one["weight"] for one in found["members"]]
    assert sum(weights) == pytest.approx(1.0)
    assert weights[1] > weights[0]  # topics expects abab: less than a bit a byte


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ab", *TWO, "--rule", "median"], "rule is 'median'"),
        (["ab", *TWO, "--weights", "0+0"], "not all of them"),
        (["ab", *TWO, "--weights", "1"], "1 weights for 2"),
        (["ab", "-m", "table:pieces", "--rule", "mean"], "--rule join several"),
        (["ab", "-m", "ensemble:table:pieces+table:coin", "--rule", "min"], "itself"),
        (["ab", "-m", "table:pieces", "-m", "no-such"], "no-such"),
        (["ab", "-m", "table:pieces", "-m", "http://h/v1#x"], "is a server"),
        (["ab", *TWO, "--decode", "greedy", "--temperature", "2"], "draws nothing"),
        (["ab", *TWO, "--decode", "greedy", "-n", "2"], "finds one answer"),
        (["ab", *TWO, "--decode", "abe", "--rule", "min"], "does not go with"),
        (["ab", "-m", "table:pieces", "--decode", "abe"], "joins several"),
        (["ab", *TWO, "--width", "3"], "--width goes with"),
        (["ab", *TWO, "-n", "0"], "at least one answer"),
        (["ab", *TWO, "--max-bytes", "0"], "at least 1"),
        (["ab", *TWO, "--chat"], "no chat template"),
        (["xyz", *TWO], "cannot write"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in refused(capsys, *arguments)


@pytest.mark.parametrize("command", ["trace", "compare", "ask"])
def test_other_commands_take_an_ensemble_and_say_nothing_of_tokens(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = "ensemble:table:pieces+table:topics,rule=mean"
    arguments = {
        "trace": ["trace", "abab", "-m", model],
        "compare": ["compare", "abab", "-m", model, "-m", "bytes:table:pieces"],
        "ask": ["ask", "ab", "-m", model, "-n", "2", "--max-tokens", "4"],
    }[command]
    assert run(arguments) == 0
    out, _ = capsys.readouterr()
    assert "perplexity" not in out
    assert "/token" not in out


def test_control_c_ends_cleanly() -> None:
    table = [*("-m", "table:topics") * 2, "--max-bytes", "1000000"]
    running = subprocess.Popen(
        [sys.executable, "-u", "-m", "nescio", "ensemble", "ab", *table],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert running.stdout is not None
    first = running.stdout.read(20)
    time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert len(first) == 20
    assert running.returncode == 130
    assert b"Traceback" not in err
