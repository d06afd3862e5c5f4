"""A real server: llama.cpp with SmolLM2 on loopback."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import nescio
from nescio.errors import CapabilityError, ContextOverflow, UnknownModel
from nescio.information import entropy_bounds
from nescio.models.protocol import Drawing, Question
from nescio.trace import Prompt
from tests.endpoint.test_endpoint_commands import run

pytestmark = pytest.mark.real_server

SIZE = 49_152
PROMPT = "The strangest thing about the sea at night is that"


@pytest.fixture(scope="module")
def url(project: Path) -> Iterator[str]:
    """The address of the server, which ends with the tests."""
    model = project / "build" / "smollm2.gguf"
    if not model.is_file():
        pytest.fail("build/smollm2.gguf is not there: make model-file")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.endpoint.llama_server", str(model)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=project,
        text=True,
    ) as process:
        try:
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), process.poll()
            yield address + "/v1"
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="module")
def model(url: str) -> Iterator[nescio.models.endpoint.Endpoint]:
    found = nescio.load(url)
    yield found
    found.close()


def test_the_probe_finds_what_this_server_does_and_does_not(model):
    report = model.report
    assert report.server.startswith("llama.cpp")
    assert report.completions
    assert report.chat
    assert report.completion_logprobs == report.vocabulary_size == SIZE
    assert report.before_sampling is True
    assert report.prompt_logprobs is None
    assert report.honours == ("top_k", "top_p", "min_p")
    assert report.several
    assert report.streams
    assert report.context_length == 512
    assert report.rounding_measured
    assert 0 < report.rounding < 1e-3


def test_bounds_from_the_top_contain_the_entropy_of_the_whole_row_everywhere(model):
    question = Question(Prompt(text=PROMPT), seed=5, chat=False)
    drawing = Drawing(6, nescio.Sampling(), top=SIZE)
    ((_, answer, source),) = model.answers([question], drawing)
    assert len(answer.tokens) == 6
    for token in answer.tokens:
        row = np.array([c.logp for c in token.candidates])
        assert len(row) == SIZE
        p = np.exp(row)
        whole = -math.fsum(p * row)
        for k in (5, 20, 100, 1000):
            drawn = token.logp if token.logp < row[k - 1] else math.nan
            low, high = entropy_bounds(
                row[None, :k],
                drawn=np.array([drawn]),
                vocabulary_size=SIZE,
                rounding=source.rounding,
            )
            assert low[0] <= whole <= high[0]
        assert high[0] - low[0] < 1.0


def test_fewer_candidates_give_wider_bounds_around_the_same_row(model):
    widths = {}
    for top in (5, 50, 500):
        decoding = nescio.Decoding(4, detail=nescio.Detail(top))
        trace = nescio.generate(model, PROMPT, decoding=decoding, seed=3, chat=False)
        scored = trace.scored
        low, high = trace.entropy_low[scored], trace.entropy_high[scored]
        widths[top] = float((high - low).mean())
    assert widths[5] > widths[50] > widths[500] > 0


def test_the_model_is_the_same_as_the_one_in_process(model):
    inside = nescio.load("smollm2")
    decoding = nescio.Decoding(16, detail=nescio.Detail(20))
    served = nescio.generate(model, PROMPT, decoding=decoding, seed=1, chat=False)
    own = nescio.score(inside, served.completion, given=PROMPT)
    bounds = served.scored
    low = served.entropy_low[bounds].mean(dtype=np.float64)
    high = served.entropy_high[bounds].mean(dtype=np.float64)
    entropies = own.entropy[own.scored].mean(dtype=np.float64)
    assert low - 0.05 < entropies < high + 0.05
    served_bits = -served.logp[bounds].sum(dtype=np.float64)
    assert served_bits == pytest.approx(-own.logp[own.scored].sum(), rel=0.03)


def test_scoring_a_text_is_refused_with_what_is_missing(model):
    with pytest.raises(CapabilityError, match="log-probabilities of a prompt"):
        nescio.score(model, "A text that is already there.")


def test_samples_are_the_same_for_the_same_seed_and_differ_between_draws(model):
    decoding = nescio.Decoding(12)
    first = nescio.sample(model, "Name a colour.", n=6, decoding=decoding, seed=4)
    again = nescio.sample(model, "Name a colour.", n=3, decoding=decoding, seed=4)
    assert again.texts == first.texts[:3]
    assert len(set(first.texts)) > 1
    logp = np.array([s.total_logp for s in first.answers], dtype=np.float64)
    assert np.all(logp < 0)


def test_a_stream_spells_what_it_traces_also_in_other_scripts(model):
    decoding = nescio.Decoding(24)
    stream = nescio.stream(model, "Say: 世界 🦊 é", decoding=decoding, seed=3)
    events = list(stream)
    trace = stream.trace
    assert b"".join(event.buffer for event in events).startswith(
        trace.completion.rstrip("\N{REPLACEMENT CHARACTER}").encode()
    )
    low = np.array([e.entropy_low for e in events], dtype=np.float64)
    high = np.array([e.entropy_high for e in events], dtype=np.float64)
    assert np.all(low >= 0)
    assert np.all(low <= high)
    assert trace.stop in ("eos", "length")


def test_a_stop_text_ends_an_answer_by_its_name(model):
    decoding = nescio.Decoding(40, stop=(" the",))
    found = nescio.sample(
        model, PROMPT, n=4, decoding=decoding, seed=0, chat=False
    ).answers
    # llama.cpp says "stop", and shows neither the stop text nor the end token.
    stopped = [sample for sample in found if sample.stop in (None, "stop_string")]
    assert stopped
    assert not any(" the" in sample.text for sample in stopped)


def test_greedy_answers_and_truncations_are_what_was_asked_for(model):
    greedy = nescio.Decoding(8, nescio.Sampling(temperature=0.0))
    one = nescio.sample(model, PROMPT, n=2, decoding=greedy, chat=False)
    assert one.texts[0] == one.texts[1]
    assert set(one.answers[0].trace.rank[1:]) == {1}
    few = nescio.Decoding(8, nescio.Sampling(top_k=2), detail=nescio.Detail(5))
    two = nescio.sample(model, PROMPT, n=3, decoding=few, chat=False)
    assert {r for s in two.answers for r in s.trace.rank[1:].tolist()} <= {1, 2}


def test_a_prompt_that_is_too_long_is_refused_by_its_name(model):
    with pytest.raises(ContextOverflow, match="shorten"):
        nescio.sample(model, "word " * 2000, n=1, chat=False)


def test_a_model_that_is_not_there_is_refused_with_what_is(url):
    with pytest.raises(UnknownModel, match="it serves"):
        nescio.load(url + "#gpt-5")


def test_the_commands_work_on_it(url, tmp_path):
    page, out = tmp_path / "answer.html", tmp_path / "trace.parquet"
    shown = run(
        "trace", "--generate", "Name a colour.", "-m", url, "--max-tokens", 12,
        "--html", page, "--out", out,
    )  # fmt: skip
    assert shown.exit_code == 0, shown.output
    assert "entropy_rate" in shown.output
    assert "<svg" in page.read_text("utf-8")
    found = json.loads(
        run(
            "trace", "--generate", "A colour:", "-m", url, "--max-tokens", 8, "--json"
        ).stdout
    )
    assert found["estimates"]["entropy_rate"]["kind"] == "bound"


def test_an_interrupted_job_draws_no_kept_sample_again(url, model, tmp_path):
    asked = tmp_path / "p.jsonl"
    asked.write_text('{"prompt": "Name a colour."}\n{"prompt": "Name a fruit."}\n')
    words = ["sample", asked, "-n", 6, "-m", url, "--max-tokens", 8, "--raw",
             "--out", tmp_path / "out"]  # fmt: skip
    stopped = run(*words, "--max-requests", model.report.requests + 5)
    assert stopped.exit_code == 2
    journal = tmp_path / "out" / "answers.jsonl"
    kept = journal.read_bytes()
    assert kept.count(b"\n") == 5
    assert run(*words).exit_code == 0
    assert journal.read_bytes().startswith(kept)
    lines = [json.loads(line) for line in journal.read_bytes().splitlines()]
    assert len({(a["prompt"], a["draw"]) for a in lines}) == len(lines) == 12
