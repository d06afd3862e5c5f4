"""The corpus job killed at random, and its memory over much text."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nescio.corpus import read_corpus
from tests.corpus.making import bytes_in, rows, write_jsonl
from tests.results import write_result

KILLS = 20
SMALL, LARGE = 1_000_000, 10_000_000
COMMAND = [sys.executable, "-m", "nescio", "score"]
FOUND: dict[str, float] = {}


def started(source: Path, out: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [*COMMAND, str(source), "--model", "table:topics", "--out", str(out)]
    return subprocess.Popen(
        [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.mark.verify
def test_twenty_kills_at_random_moments_cost_a_shard_each_and_change_nothing(
    tmp_path: Path,
) -> None:
    source = write_jsonl(tmp_path / "docs.jsonl", rows(600, longest=600))
    options = ["--keep", "tokens", "--shard-bytes", "2000", "--id", "id"]
    begun = time.monotonic()
    assert started(source, tmp_path / "whole", *options).wait(300) == 0
    duration = time.monotonic() - begun
    rng, out, finished = random.Random(0), tmp_path / "out", 0
    kept: dict[str, bytes] = {}
    for _ in range(KILLS):
        process = started(source, out, *options)
        time.sleep(rng.uniform(0.1, max(1.0, duration / 3)))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        finished += process.returncode == 0
        now = bytes_in(out) if out.exists() else {}
        shards = {name: raw for name, raw in now.items() if name.endswith(".parquet")}
        assert kept.items() <= shards.items()
        kept = shards
    assert started(source, out, *options).wait(300) == 0
    assert bytes_in(out) == bytes_in(tmp_path / "whole")
    job = json.loads((out / "job.json").read_text())
    FOUND["kills"] = KILLS - finished
    FOUND["shards"] = len(job["plan"]["starts"])
    assert read_corpus(out).documents().num_rows == 600


def text(path: Path, *, total: int, each: int) -> Path:
    rng = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(total // each):
            words = "".join(rng.choices("abcdef", k=each))
            file.write(json.dumps({"id": number, "text": words}) + "\n")
    return path


def peak_megabytes(source: Path, out: Path, *options: str) -> float:
    """The largest memory of a process of its own."""
    probe = (
        "import resource, subprocess, sys;"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [*COMMAND, str(source), "--model", "table:topics", "--out", str(out)]
    run = subprocess.run(
        [sys.executable, "-c", probe, *command, *options],
        capture_output=True,
        check=True,
    )
    unit = 1 if sys.platform == "darwin" else 1024
    return int(run.stdout) * unit / 2**20


@pytest.mark.verify
@pytest.mark.parametrize("keep", ["summary", "tokens"])
def test_ten_times_the_text_takes_no_more_memory(tmp_path: Path, keep: str) -> None:
    peaks = []
    for total in (SMALL, LARGE):
        source = text(tmp_path / f"{total}.jsonl", total=total, each=20_000)
        out = tmp_path / f"{total}"
        peaks.append(peak_megabytes(source, out, "--keep", keep))
    FOUND[f"{keep}: peak MiB, {SMALL} bytes"] = round(peaks[0], 1)
    FOUND[f"{keep}: peak MiB, {LARGE} bytes"] = round(peaks[1], 1)
    write_result("corpus_job", FOUND, model="table:topics", keep=keep)
    assert peaks[1] < 1.25 * peaks[0] + 10


@pytest.mark.verify
def test_one_document_of_ten_megabytes_needs_no_object_a_token(tmp_path: Path) -> None:
    small = text(tmp_path / "small.jsonl", total=SMALL, each=SMALL)
    large = text(tmp_path / "large.jsonl", total=LARGE, each=LARGE)
    first = peak_megabytes(small, tmp_path / "small")
    second = peak_megabytes(large, tmp_path / "large")
    per_token = (second - first) * 2**20 / (LARGE - SMALL)
    FOUND["one document: bytes of memory a token"] = round(per_token, 1)
    write_result("corpus_job", FOUND, model="table:topics")
    assert per_token < 120
