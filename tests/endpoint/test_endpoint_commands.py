"""The command line with a server: budgets, hostile texts, going on after a stop."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from nescio.cli.main import run as run_nescio
from tests.endpoint.scripted import Handler, Server, completion, token
from tests.endpoint.test_streams import piece, streaming

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e"


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    exit_code: int
    stdout: str
    output: str


def run(*words: object) -> Said:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run_nescio([str(word) for word in words])
    return Said(code, out.getvalue(), out.getvalue() + err.getvalue())


def prompts(folder: Path, count: int = 3) -> Path:
    path = folder / "prompts.jsonl"
    rows = (json.dumps({"id": f"q{i}", "prompt": f"p{i}"}) for i in range(count))
    path.write_text("\n".join(rows) + "\n")
    return path


def seeds_asked(server: Server) -> list[int]:
    """The seeds of what was asked beside the probe."""
    return [
        b["seed"] for b in server.seen.bodies if str(b.get("prompt")).startswith("p")
    ]


def test_info_prints_what_a_server_can_do(server):
    shown = run("models", "info", f"{server.url}#tiny")
    assert shown.exit_code == 0
    assert "prompt_logprobs" in shown.output
    listed = json.loads(run("models", "info", server.url, "--json").stdout)
    assert listed["items"][0]["vocabulary_size"] == 10


def test_trace_gives_bounds_and_escapes_what_a_server_says(server, tmp_path):
    ok = streaming(piece(top=0), piece(top=0, finish="length"))
    hostile = streaming(piece(HOSTILE, top=4, finish="length"))

    def says(handler: Handler, body) -> bool:
        return (hostile if body.get("prompt") == "x" else ok)(handler, body)

    server.misbehaviour = says
    page = tmp_path / "page.html"
    shown = run("trace", "--generate", "x", "-m", f"{server.url}#tiny", "--html", page)
    assert shown.exit_code == 0, shown.output
    assert "\x1b[31m" not in shown.output
    assert "\u202e" not in shown.output
    assert "<script>alert(1)" not in page.read_text("utf-8")


def test_trace_in_json_has_low_and_high_and_no_entropy(server):
    shown = run(
        "trace", "--generate", "x", "-m", f"{server.url}#tiny", "--max-tokens", 4,
        "--json",
    )  # fmt: skip
    found = json.loads(shown.stdout)
    assert found["estimates"]["entropy_rate"]["kind"] == "bound"
    last = found["items"][-1]
    assert last["entropy_bits"] is None
    assert last["entropy_low_bits"] < last["entropy_high_bits"]


def test_a_stream_that_breaks_off_is_written_as_far_as_it_came(server, tmp_path):
    ok = streaming(piece(top=0), piece(top=0, finish="length"))
    cut = streaming(piece(), piece(), broken=True)

    def breaks(handler: Handler, body) -> bool:
        probing = body.get("prompt") != "x"
        return (ok if probing else cut)(handler, body)

    server.misbehaviour = breaks
    out = tmp_path / "trace.parquet"
    shown = run("trace", "--generate", "x", "-m", f"{server.url}#tiny", "--out", out)
    assert shown.exit_code == 2
    assert "what came is kept" in shown.output
    from nescio.trace import read_traces

    (trace,) = read_traces(out)
    assert (trace.completion, trace.stop) == (" a a", "error")


def test_a_text_is_not_scored_by_a_server_that_cannot(server):
    shown = run("trace", "A text.", "-m", f"{server.url}#tiny")
    assert shown.exit_code == 2
    assert "does not give the log-probabilities of a prompt" in shown.output


def test_limits_are_for_servers_only():
    shown = run("trace", "H", "-m", "table:coin", "--max-requests", 3)
    assert shown.exit_code == 2
    assert "go with a server" in shown.output


def test_samples_of_a_server_have_bounds_in_their_lines(server, tmp_path):
    shown = run(
        "sample", prompts(tmp_path), "-n", 2, "-m", f"{server.url}#tiny",
        "--max-tokens", 4, "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    found = json.loads(shown.stdout)
    answer = found["items"][2]["samples"][1]
    assert answer["entropy"] is None
    assert 0 < answer["entropy_low"] <= answer["entropy_high"]
    assert found["counts"] == {"prompts": 3, "answers": 6, "tokens": 24}


def test_a_budget_stops_the_work_and_the_same_command_goes_on(server, tmp_path):
    probe = json.loads(run("models", "info", server.url, "--json").stdout)
    spent = probe["items"][0]["requests"]
    words = (
        "sample", prompts(tmp_path), "-n", 4, "-m", f"{server.url}#tiny",
        "--max-tokens", 4, "--out", tmp_path / "out",
    )  # fmt: skip
    first = run(*words, "--max-requests", spent + 5)
    assert first.exit_code == 2
    assert "5 answers are done and kept" in " ".join(first.output.split())
    assert len(seeds_asked(server)) == 5
    assert run(*words).exit_code == 0
    asked = seeds_asked(server)
    assert len(asked) == len(set(asked)) == 12


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_draws_no_kept_sample_again(server, tmp_path, how):
    def slow(_handler: Handler, body) -> bool:
        time.sleep(0.15 if str(body.get("prompt")).startswith("p") else 0)
        return False

    server.misbehaviour = slow
    out, asked = tmp_path / "out", prompts(tmp_path)
    words = [
        sys.executable, "-m", "nescio", "sample", str(asked), "-n", "8", "-m",
        f"{server.url}#tiny,concurrency=2", "--max-tokens", "4", "--out", str(out),
    ]  # fmt: skip
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ
    )
    deadline = time.monotonic() + 60
    journal = out / "answers.jsonl"
    while time.monotonic() < deadline and process.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") >= 3:
            break
        time.sleep(0.02)
    process.send_signal(how)
    said, _ = process.communicate(timeout=30)
    assert process.returncode != 0, said
    kept = [json.loads(line) for line in journal.read_bytes().splitlines()]
    before = seeds_asked(server)
    assert 3 <= len(kept) < 24
    server.misbehaviour = None
    assert run(*words[3:]).exit_code == 0
    again = seeds_asked(server)[len(before) :]
    assert len(again) == 24 - len(kept)
    # What was under way at the end was asked and never kept: two at most.
    assert len(set(before) & set(again)) == len(before) - len(kept) <= 2


def test_hostile_samples_are_written_as_data(server, tmp_path):
    def says(handler: Handler, body) -> bool:
        if not str(body.get("prompt")).startswith("p"):
            return False
        listed = {"content": [token(HOSTILE, top=4)]}
        handler.say(completion(body, text=HOSTILE, logprobs=listed))
        return True

    server.misbehaviour = says
    shown = run(
        "sample", prompts(tmp_path, 1), "-n", 1, "-m", f"{server.url}#tiny",
        "--max-tokens", 4, "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert "\x1b" not in shown.stdout
    assert json.loads(shown.stdout)["items"][0]["samples"][0]["text"] == HOSTILE


def test_the_texts_alone_can_be_taken(server, tmp_path):
    out = tmp_path / "out"
    words = ("sample", prompts(tmp_path, 1), "-n", 1, "-m", f"{server.url}#tiny",
             "--max-tokens", 4, "--out", out)  # fmt: skip
    found = json.loads(run(*words, "--top", 0, "--json").stdout)
    (answer,) = found["items"][0]["samples"]
    assert answer["text"] == " a a a a"
    assert answer["logprob"] is None
    other = run(*words, "--top", 5)
    assert other.exit_code == 2  # bounds of another width are another job
