"""Files that the real programs wrote, against what these programs said themselves."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nescio
from nescio.imports import OutcomesFrom, estimates_of, import_file, zipped
from nescio.models.transformers import TransformersModel
from nescio.trace import Prompt
from tests.imports.making import FILES, answered, request, write_lines

V = 49152
SEQUENCE = OutcomesFrom(confidence="sequence_probability", correct="includes")
FORMATS = {
    "inspect_capitals.eval": "inspect",
    "llama_native.jsonl": "llama.cpp",
    "llama_openai_shaped.jsonl": "llama.cpp",
    "lm_eval_answers.jsonl": "lm-eval",
    "lm_eval_capitals.jsonl": "lm-eval",
    "lm_eval_ends.jsonl": "lm-eval",
    "lm_eval_lines.jsonl": "lm-eval",
    "lm_eval_sums.jsonl": "lm-eval",
    "openai_batch_output.jsonl": "openai-batch",
    "vllm.jsonl": "vllm",
}


def logged(name: str) -> list[dict[str, Any]]:
    lines = (FILES / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(("name", "format_name"), FORMATS.items())
def test_the_format_of_every_file_is_recognised(name: str, format_name: str) -> None:
    assert import_file(FILES / name).format == format_name


def test_every_real_file_is_tested_and_small() -> None:
    others = {"README.md", "openai_batch_requests.jsonl"}
    assert {path.name for path in FILES.iterdir()} == set(FORMATS) | others
    assert max(path.stat().st_size for path in FILES.iterdir()) <= 60_000


@pytest.mark.parametrize(
    ("name", "normalise", "accuracy"),
    [
        ("lm_eval_capitals.jsonl", "none", 0.8),
        ("lm_eval_capitals.jsonl", "bytes", 0.7),
        ("lm_eval_sums.jsonl", "none", 0.3),
    ],
)
def test_accuracies_of_choices_are_those_that_lm_eval_reported(
    name: str, normalise: Any, accuracy: float
) -> None:
    found = import_file(FILES / name, outcomes=OutcomesFrom(normalise=normalise))
    assert found.skipped == ()
    assert found.outcomes.correct.mean() == pytest.approx(accuracy)
    assert found.predictions.outcomes().correct.mean() == pytest.approx(accuracy)
    assert len(found.outcomes) == 10


@pytest.mark.parametrize(
    ("name", "metric", "value"),
    [
        ("lm_eval_capitals.jsonl", "acc_norm,none", 0.7),
        ("lm_eval_capitals.jsonl", "acc_bytes,none", 0.7),
        ("lm_eval_sums.jsonl", "acc_mutual_info,none", 0.2),
        ("lm_eval_answers.jsonl", "exact_match,first", 0.0),
        ("lm_eval_answers.jsonl", "exact_match,word", 0.5),
    ],
)
def test_verdicts_sum_up_to_what_lm_eval_reported(
    name: str, metric: str, value: float
) -> None:
    _, groups = estimates_of(import_file(FILES / name))
    assert groups["scorer"][metric]["accuracy"].value == pytest.approx(value)


def test_bits_per_byte_of_documents_are_those_that_lm_eval_reported() -> None:
    whole, _ = estimates_of(import_file(FILES / "lm_eval_lines.jsonl"))
    assert whole["bits_per_byte"].value == pytest.approx(2.1751651385854336, rel=1e-12)


def test_the_perplexity_of_endings_is_that_which_lm_eval_reported() -> None:
    found = import_file(FILES / "lm_eval_ends.jsonl")
    mean = math.fsum(one.logp for one in found.scored) / len(found.scored)
    assert math.exp(-mean) == pytest.approx(6.721124765650529, rel=1e-12)
    whole, _ = estimates_of(found)
    assert whole["accuracy"].value == pytest.approx(4 / 6)
    assert [m.correct for m in found.marks] == [one.greedy for one in found.scored]
    assert found.outcomes is None
    assert any("given texts" in note for note in found.notes)


def test_three_answers_of_lm_eval_to_each_question_are_draws() -> None:
    found = import_file(FILES / "lm_eval_answers.jsonl")
    rows = logged("lm_eval_answers.jsonl")
    assert len(rows) == 2 * len(found.samples) == 20
    for row, (item, samples) in zip(rows[:10], found.samples, strict=True):
        assert item == str(row["doc_id"])
        assert list(samples.texts) == row["resps"][0]
        assert samples.prompt == Prompt(text=row["arguments"]["gen_args_0"]["arg_0"])


@pytest.mark.parametrize("scorer", ["includes", "match"])
def test_accuracies_are_those_that_inspect_reported(scorer: str) -> None:
    path = FILES / "inspect_capitals.eval"
    (_, raw), *_ = zipped.zip_members(path)
    told = {one["name"]: one for one in json.loads(raw)["results"]["scores"]}
    _, groups = estimates_of(import_file(path))
    accuracy = groups["scorer"][scorer]["accuracy"]
    assert accuracy.value == told[scorer]["metrics"]["accuracy"]["value"]
    assert (accuracy.n, accuracy.n_clusters) == (10, 5)


def test_inspect_packs_by_zstandard_and_its_log_is_read_in_full() -> None:
    path = FILES / "inspect_capitals.eval"
    with zipfile.ZipFile(path) as archive:
        assert {info.compress_type for info in archive.infolist()} == {93}
    found = import_file(path, vocabulary_size=V, outcomes=SEQUENCE)
    assert found.skipped == ()
    assert [item for item, _ in found.samples] == [
        "austria",
        "iceland",
        "france",
        "japan",
        "peru",
    ]
    assert len(found.traces) == 10
    for _, samples in found.samples:
        assert [m.role for m in samples.prompt.messages] == ["system", "user"]
        for answer in samples.answers:
            assert answer.trace.completion == answer.text
            scored = answer.trace.logp[answer.trace.scored].astype(float)
            assert answer.total_logp == pytest.approx(scored.sum(), abs=1e-4)
    confidences = [math.exp(a.total_logp) for _, s in found.samples for a in s.answers]
    assert found.outcomes.confidence.tolist() == pytest.approx(confidences)
    assert found.outcomes.cluster == found.outcomes.ids


def test_answers_of_llama_to_a_prompt_beyond_ascii_are_read() -> None:
    found = import_file(FILES / "llama_native.jsonl", vocabulary_size=V)
    _, samples = found.samples[0]
    assert samples.prompt == Prompt(text="Grüße aus 東京:")
    (trace,) = found.traces
    assert trace.buffer.decode("utf-8").startswith("Grüße aus 東京:")
    body = logged("llama_native.jsonl")[0]
    told = [token["logprob"] for token in body["completion_probabilities"]]
    np.testing.assert_allclose(trace.logp[trace.scored], told, rtol=1e-6)
    np.testing.assert_array_equal(
        trace.candidates.ids[:5],
        [one["id"] for one in body["completion_probabilities"][0]["top_logprobs"]],
    )


def test_what_llama_says_after_sampling_is_refused_by_name() -> None:
    found = import_file(FILES / "llama_native.jsonl")
    assert found.samples[1][1].texts == (" a sacred place, a place",)
    assert found.samples[1][1].answers[0].trace is None
    ((where, why),) = found.skipped
    assert where == "line 2, log-probabilities"
    assert "after sampling" in why


def test_a_batch_gives_each_request_its_answers() -> None:
    requests = FILES / "openai_batch_requests.jsonl"
    found = import_file(
        FILES / "openai_batch_output.jsonl", requests=requests, vocabulary_size=V
    )
    asked = {one["custom_id"]: one["body"] for one in logged(requests.name)}
    assert [item for item, _ in found.samples] == list(asked)
    assert [len(s) for _, s in found.samples] == [b.get("n", 1) for b in asked.values()]
    texts = dict(found.samples)
    assert "Österreich? 🙂" in texts["österreich"].prompt.messages[1].content
    assert texts["plain"].answers[0].trace is None
    assert found.skipped[0][0] == "line 6"
    assert "batch_expired" in found.skipped[0][1]
    bare = import_file(FILES / "llama_openai_shaped.jsonl", vocabulary_size=V)
    assert [s.texts for _, s in bare.samples] == [s.texts for _, s in found.samples]
    totals = [[a.total_logp for a in s.answers] for _, s in found.samples]
    assert [[a.total_logp for a in s.answers] for _, s in bare.samples] == totals


def test_every_interval_of_a_real_file_is_one() -> None:
    for name in FORMATS:
        for trace in import_file(FILES / name, vocabulary_size=V).traces:
            low = trace.entropy_low[trace.scored]
            high = trace.entropy_high[trace.scored]
            assert (low >= 0).all()
            assert (low <= high).all()
            assert (high <= math.log(V) * 1.001).all()


def test_vllm_lists_the_token_as_the_last_candidate_and_is_not_believed(
    tmp_path: Path,
) -> None:
    body = logged("vllm.jsonl")[2]
    first = body["choices"][0]["logprobs"]["content"][0]
    listed = sorted((one["logprob"] for one in first["top_logprobs"]), reverse=True)
    assert first["logprob"] == listed[-1] < listed[-2] - 3  # five were asked for
    known = np.exp(listed)  # others may be as probable as the fourth
    times, rest = divmod(1.0 - known.sum(), known[3])
    atoms = [*known, *[known[3]] * int(times), rest]
    low = -math.fsum(p * math.log(p) for p in atoms)
    messages = [{"role": "user", "content": "x"}]
    asked = request("a", {"messages": messages, "logprobs": True, "top_logprobs": 5})
    output = write_lines(tmp_path / "out.jsonl", answered("a", body))
    requests = write_lines(tmp_path / "in.jsonl", asked)
    for found in (
        import_file(FILES / "vllm.jsonl", vocabulary_size=V, rounding=0.0),
        import_file(output, requests=requests, vocabulary_size=V, rounding=0.0),
    ):
        trace = next(t for t in found.traces if t.completion.startswith("See you"))
        assert trace.entropy_low[trace.scored][0] == pytest.approx(low, rel=1e-5)


@pytest.fixture(scope="module")
def reference() -> TransformersModel:
    model = nescio.load("smollm2,start=none", engine="transformers")
    assert isinstance(model, TransformersModel)
    return model


@pytest.mark.local_model
def test_prompts_that_vllm_scored_agree_with_the_model_in_process(
    reference: TransformersModel,
) -> None:
    found = import_file(FILES / "vllm.jsonl", vocabulary_size=V, rounding=1e-5)
    scored = found.traces[2]
    text = "The kettle was still warm when she came back."
    own = nescio.score(reference, text)
    assert text.endswith(scored.text)
    np.testing.assert_array_equal(scored.token_ids, own.token_ids[1:])
    np.testing.assert_allclose(scored.logp, own.logp[1:], atol=1e-4)
    assert (scored.entropy_low <= own.entropy[1:]).all()
    assert (own.entropy[1:] <= scored.entropy_high).all()
    assert (own.rank[1:] > 3).any()
    assert scored.rank is None  # beyond the three listed, who knows how many there are


@pytest.mark.local_model
def test_answers_that_vllm_drew_agree_with_the_model_in_process(
    reference: TransformersModel,
) -> None:
    found = import_file(FILES / "vllm.jsonl", vocabulary_size=V, rounding=1e-5)
    for answer in found.samples[0][1].answers:
        trace = answer.trace
        own = nescio.score(reference, "The capital of France is" + answer.text)
        mine = slice(len(own) - len(trace), None)
        np.testing.assert_allclose(trace.logp, own.logp[mine], atol=1e-4)
        assert (trace.entropy_low <= own.entropy[mine]).all()
        assert (own.entropy[mine] <= trace.entropy_high).all()


@pytest.mark.local_model
def test_options_that_lm_eval_scored_agree_with_the_model_in_process(
    reference: TransformersModel,
) -> None:
    for one in import_file(FILES / "lm_eval_capitals.jsonl").scored[:6]:
        assert one.context is not None
        own = nescio.score(reference, one.context + one.text)
        mine = own.offsets[:-1] >= len(one.context.encode())
        assert own.logp[mine].sum() == pytest.approx(one.logp, abs=1e-3)
        assert (own.rank[mine] == 1).all() == one.greedy
