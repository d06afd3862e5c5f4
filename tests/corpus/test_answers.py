"""Answers to a file of prompts: kept one by one, none drawn twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import nescio
from nescio import Decoding
from nescio.cli.main import run
from nescio.corpus import CorpusFields
from nescio.corpus.answers import AnswersAsked, run_answers
from nescio.errors import InvalidInput, NescioError, SchemaError

FIELDS = CorpusFields("prompt", "name", ("lang",))
ASKED = AnswersAsked("table:pieces", 4, 7, FIELDS, Decoding(12))


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """Four prompts, one of them empty text beside the others."""
    path = tmp_path / "q.jsonl"
    texts = ["ab", "bb", "baab", "b"]
    rows = [
        {"prompt": text, "name": f"q{i}", "lang": "x" if i % 2 else "y"}
        for i, text in enumerate(texts)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def load() -> Any:
    return nescio.load("table:pieces")


def never() -> Any:
    raise AssertionError("the model was loaded without need")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_the_answers_are_those_of_sample_stream(prompts: Path, tmp_path: Path) -> None:
    found = rows(run_answers(prompts, ASKED, load, out=tmp_path / "o"))
    assert [row["id"] for row in found] == ["q0", "q1", "q2", "q3"]
    assert [row["groups"] for row in found] == [{"lang": x} for x in "yxyx"]
    stream = nescio.sample_stream(
        load(),
        [row["prompt"] for row in found],
        nescio.Draws(4, seed=7),
        decoding=Decoding(12),
    )
    for number, answer in stream:
        row = found[number]["samples"][answer.draw]
        assert row["draw"] == answer.draw
        assert row["text"] == answer.text
        assert row["tokens"] == answer.token_count
        assert row["stop"] == answer.trace.stop
        assert row["logprob"] == pytest.approx(answer.total_logp)
        mine = answer.trace.entropy[answer.trace.scored]
        assert row["entropy"] == pytest.approx(mine.mean())


@pytest.mark.parametrize("kept", range(0, 17, 3))
@pytest.mark.parametrize("cut", [b"", b'{"prompt": 0, "dr'])
def test_a_resumed_run_draws_only_what_is_missing(
    prompts: Path, tmp_path: Path, kept: int, cut: bytes
) -> None:
    out = tmp_path / "o"
    whole = run_answers(prompts, ASKED, load, out=out).read_bytes()
    journal = out / "answers.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:kept]) + cut)
    (out / "samples.jsonl").unlink()
    other = replace(ASKED, decoding=Decoding(12, batch=3))
    again = run_answers(prompts, other, load, out=out)
    assert again.read_bytes() == whole
    assert journal.read_bytes().splitlines(keepends=True)[:kept] == lines[:kept]
    assert sorted(journal.read_bytes().splitlines()) == sorted(
        line.rstrip() for line in lines
    )


def test_a_finished_job_needs_no_model_and_changes_nothing(
    prompts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "o"
    path = run_answers(prompts, ASKED, load, out=out)
    before = path.stat().st_mtime_ns
    run_answers(prompts, ASKED, never, out=out)
    assert path.stat().st_mtime_ns == before


def test_more_answers_are_added_to_those_there(prompts: Path, tmp_path: Path) -> None:
    few = rows(run_answers(prompts, ASKED, load, out=tmp_path / "o"))
    many = rows(run_answers(prompts, replace(ASKED, n=9), load, out=tmp_path / "o"))
    for one, other in zip(few, many, strict=True):
        assert len(other["samples"]) == 9
        assert other["samples"][:4] == one["samples"]
    again = rows(run_answers(prompts, ASKED, never, out=tmp_path / "o"))
    assert again == few


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 8}, "asked.seed is 7 there and 8 now"),
        ({"decoding": Decoding(13)}, "max_tokens is 12 there and 13 now"),
        ({"model": "table:coin"}, "model is 'table:pieces' there"),
        ({"chat": False}, "chat is None there and False now"),
    ],
)
def test_another_job_in_the_same_place_is_refused(
    prompts: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    run_answers(prompts, ASKED, load, out=tmp_path / "o")
    with pytest.raises(InvalidInput, match=message):
        run_answers(prompts, replace(ASKED, **change), never, out=tmp_path / "o")


def test_other_prompts_are_refused(prompts: Path, tmp_path: Path) -> None:
    run_answers(prompts, ASKED, load, out=tmp_path / "o")
    prompts.write_text(prompts.read_text().replace("baab", "bbab"))
    with pytest.raises(InvalidInput, match="another job: source is"):
        run_answers(prompts, ASKED, never, out=tmp_path / "o")


def answer_line(**changed: Any) -> bytes:
    """A line of the journal that is right but for what is changed."""
    right = {"prompt": 0, "draw": 99, "text": "", "logprob": -1.0, "tokens": 1}
    right |= {"stop": "eos", "entropy": 0.5}
    return json.dumps(right | changed).encode() + b"\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"not json\n", "line 3 is no answer"),
        (b"{}\n", "line 3 is no answer: its fields"),
        (b"[]\n", "line 3 is no answer"),
        (b"[" * 100_000 + b"\n", "line 3 is no answer"),
        (b"7\n", "line 3 is no answer"),
        (answer_line(prompt=4), "line 3: there is no prompt 4; there are 4"),
        (answer_line(prompt=-1), "line 3: there is no prompt -1"),
        (answer_line(draw=-1), "draw is -1"),
        (answer_line(draw=1.0), "draw is 1.0, no int"),
        (answer_line(draw=True), "draw is True, no int"),
        (answer_line(text=None), "text is None, no str"),
        (answer_line(logprob=float("nan")), "NaN is no number"),
        (answer_line(entropy=float("inf")), "Infinity is no number"),
        (None, "line 3: answer .* is there twice"),
    ],
)
def test_a_damaged_journal_is_refused_by_line(
    prompts: Path, tmp_path: Path, line: bytes | None, message: str
) -> None:
    out = tmp_path / "o"
    run_answers(prompts, ASKED, load, out=out)
    journal = out / "answers.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:2], line or lines[0], *lines[3:]]))
    with pytest.raises(SchemaError, match=message):
        run_answers(prompts, ASKED, load, out=out)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"prompt": "ab"}\n{"prompt": 3}', "line 2: the field 'prompt' is a number"),
        ('{"prompt": "ab"}\n{"no": "b"}', "line 2: there is no field 'prompt'"),
        ("", "holds no prompts"),
    ],
)
def test_a_bad_prompt_is_refused_before_a_model_is_loaded(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    asked = replace(ASKED, fields=CorpusFields("prompt"))
    with pytest.raises(NescioError, match=message):
        run_answers(path, asked, never, out=tmp_path / "o")
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("name", ["thesis.txt", ".film.part"])
def test_a_directory_of_something_else_is_refused(
    prompts: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / name).write_text("mine")
    with pytest.raises(InvalidInput, match=f"{name!r} is there"):
        run_answers(prompts, ASKED, never, out=tmp_path / "o")
    assert [path.name for path in (tmp_path / "o").iterdir()] == [name]


@pytest.mark.parametrize(
    ("prompt", "chat", "message"),
    [
        ("xyz", None, r"q\.jsonl, line 3: this table cannot write"),
        ("ab", True, "has no chat template"),
    ],
)
def test_what_the_model_cannot_take_is_refused_before_anything_is_drawn(
    prompts: Path, tmp_path: Path, prompt: str, chat: bool | None, message: str
) -> None:
    prompts.write_text(prompts.read_text().replace("baab", prompt))
    asked = replace(ASKED, chat=chat, decoding=Decoding(12, batch=1))
    with pytest.raises(NescioError, match=message):
        run_answers(prompts, asked, load, out=tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_no_answer_to_prompts_that_changed_meanwhile_is_kept(
    prompts: Path, tmp_path: Path
) -> None:
    whole = run_answers(prompts, ASKED, load, out=tmp_path / "whole").read_bytes()
    before, asked = prompts.read_text(), replace(ASKED, decoding=Decoding(12, batch=1))

    def change(done: int, total: int) -> None:  # noqa: ARG001
        if done == 2:
            prompts.write_text(before.replace("baab", "bbbb"))

    with pytest.raises(SchemaError, match="was changed while it was read"):
        run_answers(prompts, asked, load, out=tmp_path / "o", report=change)
    assert len(rows(tmp_path / "o" / "answers.jsonl")) == 2
    prompts.write_text(before)
    again = run_answers(prompts, ASKED, load, out=tmp_path / "o")
    assert again.read_bytes() == whole


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (0, "nothing is kept"),
        (1, "1 answer is done and kept in"),
        (5, "5 answers are done and kept in"),
    ],
)
def test_ctrl_c_says_how_many_answers_are_kept(
    limit: int,
    words: str,
    prompts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stopped(*arguments: Any, report: Any, **options: Any) -> Path:
        def press(done: int, total: int) -> None:
            report(done, total)
            if done == limit:
                raise KeyboardInterrupt

        return run_answers(*arguments, report=press, **options)

    monkeypatch.setattr("nescio.corpus.answers.run_answers", stopped)
    command = ["sample", str(prompts), "-m", "table:pieces", "-n", "3"]
    command += ["--out", str(tmp_path / "o")]
    assert run(command) == 130
    assert words in capsys.readouterr().err
    if limit:
        assert len(rows(tmp_path / "o" / "answers.jsonl")) == limit


def test_the_command_writes_and_prints_them(
    prompts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sample", str(prompts), "-m", "table:pieces", "-n", "3", "--id", "name"]
    command += ["--out", str(tmp_path / "o"), "--max-tokens", "5", "--json"]
    assert run(command) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["counts"]["prompts"] == 4
    assert said["counts"]["answers"] == 12
    assert said["items"] == rows(tmp_path / "o" / "samples.jsonl")
    found = [len(item["samples"]) for item in said["items"]]
    assert found == [3] * 4


def killed_at(command: list[str], seconds: float) -> int:
    """Run a command and kill it after a while; how it ended."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        return process.wait()


@pytest.mark.verify
def test_twenty_kills_draw_no_answer_twice_and_change_none(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    lines = [json.dumps({"prompt": "ab" * (1 + i % 3)}) for i in range(150)]
    path.write_text("\n".join(lines))
    command = [sys.executable, "-m", "nescio", "sample", str(path), "-n", "20"]
    command += ["-m", "table:pieces", "--max-tokens", "40", "--out"]
    begin = time.monotonic()
    assert killed_at([*command, str(tmp_path / "whole")], 600) == 0
    alone = time.monotonic() - begin
    chance, kills, whole = random.Random(3), 0, 0
    while kills < 20:
        ended = killed_at([*command, str(tmp_path / "cut")], chance.uniform(0.2, alone))
        if ended == 0:
            (tmp_path / "cut").rename(tmp_path / f"done{whole}")
            whole += 1
        kills += ended != 0
    assert killed_at([*command, str(tmp_path / "cut")], 600) == 0
    for folder in [tmp_path / "cut", *tmp_path.glob("done*")]:
        found = (folder / "samples.jsonl").read_bytes()
        assert found == (tmp_path / "whole" / "samples.jsonl").read_bytes()
        drawn = [(r["prompt"], r["draw"]) for r in rows(folder / "answers.jsonl")]
        assert len(drawn) == len(set(drawn)) == 3000
