"""``nescio ask`` of a server: half-way deaths, budgets, hostile texts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.endpoint.scripted import Handler, Server, completion, token
from tests.endpoint.test_endpoint_commands import HOSTILE, run

QUESTION = "how many?"


def mine(server: Server) -> list[int]:
    """The seeds of what was asked beside the probe."""
    return [b["seed"] for b in server.seen.bodies if b.get("prompt") == QUESTION]


def says(*, dies_after: int | None = None) -> Any:
    """A server whose answers go by the seed, and which dies after some of them."""
    given: list[int] = []

    def misbehaves(handler: Handler, body: Any) -> bool:
        if body.get("prompt") != QUESTION:
            return False
        if dies_after is not None and len(given) >= dies_after:
            handler.say({"error": {"message": "down"}}, status=401)
            return True
        given.append(body["seed"])
        text = f"It is {body['seed'] % 3 // 2}."
        listed = {"content": [token(text, top=4)]}
        handler.say(completion(body, text=text, logprobs=listed))
        return True

    return misbehaves


def words_of(server: Server, *more: object) -> tuple[object, ...]:
    model = f"{server.url}#tiny"
    return ("ask", QUESTION, "-m", model, "--max-tokens", 4, "-n", 12, "--extract",
            "last-number", *more)  # fmt: skip


def test_a_server_that_dies_half_way_loses_nothing(server, tmp_path):
    out = tmp_path / "kept.jsonl"
    server.misbehaviour = says()
    whole = run(*words_of(server, "--json"))
    assert whole.exit_code == 0, whole.output
    before = len(mine(server))
    server.misbehaviour = says(dies_after=5)
    broken = run(*words_of(server, "--out", out))
    assert broken.exit_code == 2
    said = " ".join(broken.output.split())
    assert "answers are done and kept in" in said
    kept = out.read_bytes().count(b"\n") - 1
    assert 1 <= kept <= 5
    asked = len(mine(server))
    server.misbehaviour = says()
    again = run(*words_of(server, "--out", out, "--json"))
    assert again.exit_code == 0
    assert json.loads(again.stdout)["items"] == json.loads(whole.stdout)["items"]
    assert again.stdout == whole.stdout
    assert len(mine(server)) - asked == 12 - kept
    assert before == 12


def test_without_a_file_to_keep_them_the_answers_are_kept_all_the_same(
    server, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server.misbehaviour = says(dies_after=5)
    broken = run(*words_of(server))
    (left,) = tmp_path.glob("nescio-ask-*.jsonl")
    assert f"--out {left}" in " ".join(broken.output.split())
    server.misbehaviour = says()
    assert run(*words_of(server, "--out", left)).exit_code == 0


def test_a_server_that_is_down_from_the_start_leaves_nothing(
    server, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server.misbehaviour = says(dies_after=0)
    broken = run(*words_of(server))
    assert broken.exit_code == 2
    assert "kept" not in broken.output
    assert list(tmp_path.iterdir()) == []


def test_a_budget_stops_and_the_same_command_goes_on(server, tmp_path):
    out = tmp_path / "kept.jsonl"
    probe = json.loads(run("models", "info", server.url, "--json").stdout)
    spent = probe["items"][0]["requests"]
    server.misbehaviour = says()
    first = run(*words_of(server, "--out", out), "--max-requests", spent + 7)
    assert first.exit_code == 2
    assert "7 answers are done and kept" in " ".join(first.output.split())
    assert run(*words_of(server, "--out", out)).exit_code == 0
    asked = mine(server)
    assert len(asked) == len(set(asked)) == 12


def test_stopping_early_asks_no_more_than_the_rule_wants(server):
    server.misbehaviour = says()
    shown = run(*words_of(server, "--adaptive", "--json"))
    found = json.loads(shown.stdout)
    assert len(found["items"]) == found["stop"]["used"] == len(mine(server))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_run_draws_no_kept_answer_again(server, tmp_path, how):
    answer = says()

    def slow(handler: Handler, body: Any) -> bool:
        time.sleep(0.15 if body.get("prompt") == QUESTION else 0)
        return answer(handler, body)

    server.misbehaviour = slow
    out = tmp_path / "kept.jsonl"
    words = [str(word) for word in words_of(server, "--out", out, "--json")]
    process = subprocess.Popen(
        [sys.executable, "-m", "nescio", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if out.exists() and out.read_bytes().count(b"\n") >= 3:
            break
        time.sleep(0.02)
    process.send_signal(how)
    process.communicate(timeout=30)
    assert process.returncode != 0
    kept = out.read_bytes().count(b"\n") - 1
    before = len(mine(server))
    assert 2 <= kept < 12
    server.misbehaviour = says()
    again = run(*words)
    assert again.exit_code == 0
    assert len(mine(server)) - before == 12 - kept
    assert run(*words[:-3], "--json").stdout == again.stdout


def test_a_server_judges_nothing_but_another_model_may(server):
    server.misbehaviour = says()
    shown = run(*words_of(server, "--same", "judge"))
    assert shown.exit_code == 2
    assert "judging answers needs a model" in shown.output


def test_hostile_answers_are_shown_and_not_obeyed(server, tmp_path: Path):
    def hostile(handler: Handler, body: Any) -> bool:
        if body.get("prompt") != QUESTION:
            return False
        listed = {"content": [token(HOSTILE, top=4)]}
        handler.say(completion(body, text=HOSTILE, logprobs=listed))
        return True

    server.misbehaviour = hostile
    page = tmp_path / "page.html"
    model = f"{server.url}#tiny"
    shown = run("ask", QUESTION, "-m", model, "-n", 3, "--html", page)
    assert shown.exit_code == 0, shown.output
    assert "\x1b" not in shown.output
    assert "\u202e" not in shown.output
    assert "<script>alert(1)" not in page.read_text("utf-8")
