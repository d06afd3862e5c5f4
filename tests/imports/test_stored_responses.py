"""Responses as they came, and OpenAI batches: prompts, bounds, settings, refusals."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from nescio.errors import InvalidInput, SchemaError
from nescio.imports import OutcomesFrom, import_file
from nescio.trace import Prompt
from tests.imports.making import answered, chat, completion, request, write_lines


def test_entropies_are_the_bounds_that_two_candidates_of_ten_allow(
    tmp_path: Path,
) -> None:
    path = write_lines(tmp_path / "one.jsonl", completion())
    found = import_file(path, vocabulary_size=10, rounding=0.0)
    (trace,) = found.traces
    mine = trace.scored
    np.testing.assert_allclose(trace.entropy_low[mine], [1.220607], atol=1e-6)
    np.testing.assert_allclose(trace.entropy_high[mine], [1.653485], atol=1e-6)
    assert found.samples[0][1].answers[0].total_logp == pytest.approx(math.log(0.5))


def test_without_the_size_of_the_vocabulary_entropies_have_no_upper_bound(
    tmp_path: Path,
) -> None:
    path = write_lines(tmp_path / "one.jsonl", completion())
    (trace,) = import_file(path, rounding=0.0).traces
    assert np.isposinf(trace.entropy_high[trace.scored]).all()
    np.testing.assert_allclose(trace.entropy_low[trace.scored], [1.220607], atol=1e-6)


def test_printed_probabilities_are_not_trusted_to_the_last_digit(
    tmp_path: Path,
) -> None:
    path = write_lines(tmp_path / "one.jsonl", completion())
    (sure,) = import_file(path, vocabulary_size=10, rounding=0.0).traces
    (unsure,) = import_file(path, vocabulary_size=10).traces
    assert unsure.entropy_low[-1] < sure.entropy_low[-1]
    assert unsure.entropy_high[-1] > sure.entropy_high[-1]


def test_a_prompt_that_is_not_stored_is_said_to_be_unknown(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "one.jsonl", completion(id="a"))
    found = import_file(path)
    assert found.without_prompt == ("a",)
    assert found.samples[0][1].prompt == Prompt(text="[the prompt of a is unknown]")
    assert found.traces[0].text == " 12"  # the stand-in is in no trace


def test_requests_give_a_batch_its_prompts_and_settings(tmp_path: Path) -> None:
    output = write_lines(
        tmp_path / "out.jsonl",
        answered("b", chat("Paris", "Lyon")),
        answered("a", completion()),
    )
    asked = write_lines(
        tmp_path / "in.jsonl",
        request("a", {"prompt": "7 + 5 =", "temperature": 0.5, "seed": 3}),
        request("b", {"messages": [{"role": "user", "content": "Capital?"}]}),
    )
    found = import_file(output, requests=asked)
    assert found.format == "openai-batch"
    (first, capital), (second, total) = found.samples
    assert (first, second) == ("b", "a")
    assert capital.prompt == Prompt.of([{"role": "user", "content": "Capital?"}])
    assert capital.texts == ("Paris", "Lyon")
    assert [answer.draw for answer in capital.answers] == [0, 1]
    assert total.prompt == Prompt(text="7 + 5 =")
    assert found.traces[0].text == "7 + 5 = 12"
    assert found.traces[0].origin.decoding["temperature"] == 0.5
    assert found.traces[0].origin.seed == 3
    assert found.without_prompt == ()
    assert found.skipped == ()


def test_without_requests_a_batch_says_what_is_missing(tmp_path: Path) -> None:
    output = write_lines(tmp_path / "out.jsonl", answered("a", chat("Paris")))
    found = import_file(output)
    assert found.without_prompt == ("a",)
    assert any("requests" in note for note in found.notes)


def test_failed_and_expired_requests_are_named_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    expired = {"custom_id": "late", "response": None, "error": {"code": "expired"}}
    output = write_lines(
        tmp_path / "out.jsonl",
        answered("good", chat("Paris")),
        expired,
        answered("bad", {"error": {"message": "no such model"}}, status=404),
        answered("good", chat("Lyon")),
    )
    asked = write_lines(
        tmp_path / "in.jsonl",
        *(request(n, {"prompt": "x"}) for n in ("good", "late", "bad", "never")),
    )
    found = import_file(output, requests=asked)
    reasons = dict(found.skipped)
    assert found.samples[0][1].texts == ("Paris",)
    assert "expired" in reasons["line 2"]
    assert "404" in reasons["line 3"]
    assert "no such model" in reasons["line 3"]
    assert "answered before, on line 1" in reasons["line 4"]
    assert "no answer" in reasons["the request 'never'"]


def test_the_input_of_a_batch_is_not_mistaken_for_its_output(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "in.jsonl", request("a", {"prompt": "x"}))
    with pytest.raises(SchemaError, match="input of a batch"):
        import_file(path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([request("a", {"prompt": "x"})] * 2, "line 2: 'a' is asked twice"),
        ([{"custom_id": "a"}], "line 1: the body of a request is None"),
        ([request("a", {"prompt": ["x", "y"]})], "one request a prompt"),
        ([request("a", {"messages": []})], "line 1: messages are"),
        (["{"], "line 1: not JSON"),
    ],
)
def test_requests_that_cannot_be_read_are_refused_by_line(
    tmp_path: Path, lines: list, message: str
) -> None:
    output = write_lines(tmp_path / "out.jsonl", answered("a", chat("Paris")))
    asked = write_lines(tmp_path / "in.jsonl", *lines)
    with pytest.raises(SchemaError, match=message):
        import_file(output, requests=asked)


def test_a_repeated_prompt_is_taken_off_and_scored(tmp_path: Path) -> None:
    logprobs = {
        "tokens": ["7", " +", " 12"],
        "token_logprobs": [None, -1.0, -0.5],
        "top_logprobs": [None, {" +": -1.0}, {" 12": -0.5}],
    }
    body = completion()
    body["choices"][0] |= {"text": "7 + 12", "logprobs": logprobs}
    output = write_lines(tmp_path / "out.jsonl", answered("a", body))
    settings = {"prompt": "7 +", "echo": True, "logprobs": 1}
    asked = write_lines(tmp_path / "in.jsonl", request("a", settings))
    found = import_file(output, requests=asked)
    assert found.samples[0][1].texts == (" 12",)
    np.testing.assert_array_equal(found.traces[0].scored, [False, True, True])
    np.testing.assert_array_equal(found.traces[0].segment, [0, 0, 1])


def test_prompts_that_vllm_scored_become_traces(tmp_path: Path) -> None:
    scored = [
        None,
        {"7": {"logprob": -2.0, "rank": 9, "decoded_token": " sea"}},
        {"8": {"logprob": -1.0, "rank": 1, "decoded_token": " is"}},
    ]
    body = chat(" blue", prompt_logprobs=scored)
    found = import_file(write_lines(tmp_path / "v.jsonl", body))
    assert found.format == "vllm"
    (trace,) = found.traces
    assert trace.text == " sea is"
    np.testing.assert_allclose(trace.logp, [-2.0, -1.0])
    assert found.samples[0][1].texts == (" blue",)
    assert found.samples[0][1].answers[0].total_logp is None


def test_llama_says_prompt_and_settings_itself(tmp_path: Path) -> None:
    listed = {"token": " blue", "bytes": list(b" blue"), "logprob": -0.5, "id": 4}
    body = {
        "content": " blue",
        "completion_probabilities": [listed | {"top_logprobs": [listed]}],
        "prompt": "The sea is",
        "generation_settings": {"temperature": 0.5, "n_probs": 1, "seed": 4294967295},
        "stop_type": "limit",
        "model": "toy",
    }
    found = import_file(write_lines(tmp_path / "l.jsonl", body))
    assert found.format == "llama.cpp"
    ((item, samples),) = found.samples
    assert item == "line 1"
    assert samples.prompt == Prompt(text="The sea is")
    assert samples.answers[0].trace.stop == "length"
    assert samples.answers[0].trace.origin.decoding["n_probs"] == 1
    assert not any("temperature" in note for note in found.notes)


def test_probabilities_after_sampling_are_refused_and_the_text_is_kept(
    tmp_path: Path,
) -> None:
    told = {"id": 1, "token": " b", "bytes": [32, 98], "prob": 1.0, "top_probs": []}
    old = {"content": " b", "completion_probabilities": [told], "stop": True}
    listed = {"id": 1, "token": " b", "bytes": [32, 98], "logprob": 0.0}
    new = old | {
        "completion_probabilities": [listed],
        "generation_settings": {"post_sampling_probs": True},
    }
    found = import_file(write_lines(tmp_path / "l.jsonl", old, new))
    assert [samples.texts for _, samples in found.samples] == [(" b",), (" b",)]
    assert found.traces == ()
    assert [where for where, _ in found.skipped] == [
        "line 1, log-probabilities",
        "line 2, log-probabilities",
    ]
    assert all("after sampling" in why for _, why in found.skipped)


def test_log_probabilities_of_another_text_are_refused_and_the_text_is_kept(
    tmp_path: Path,
) -> None:
    body = completion()
    body["choices"][0]["text"] = " twelve"
    found = import_file(write_lines(tmp_path / "one.jsonl", body))
    assert found.samples[0][1].texts == (" twelve",)
    assert found.traces == ()
    ((where, why),) = found.skipped
    assert where == "line 1, answer 0, log-probabilities"
    assert "another text" in why


def test_one_body_over_many_lines_and_an_array_of_bodies_are_read(
    tmp_path: Path,
) -> None:
    one, several = tmp_path / "one.json", tmp_path / "several.json"
    one.write_text(json.dumps(chat("a", id="x"), indent=1), encoding="utf-8")
    two = [chat("a", id="x"), chat("b", id="y"), 3]
    several.write_text("\ufeff" + json.dumps(two), encoding="utf-8")
    assert [item for item, _ in import_file(one).samples] == ["x"]
    found = import_file(several)
    assert [item for item, _ in found.samples] == ["x", "y"]
    assert found.skipped == (
        ("entry 3", "not an object but a number or a truth value"),
    )


def test_a_format_can_be_named_and_has_to_fit(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "one.jsonl", chat("a"))
    assert import_file(path, format="vllm").format == "vllm"
    with pytest.raises(SchemaError, match=r"one\.jsonl: nothing .* as lm-eval"):
        import_file(path, format="lm-eval")
    with pytest.raises(InvalidInput, match="unknown format 'csv'"):
        import_file(path, format="csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocabulary_size": 0}, "1 token at least"),
        ({"rounding": math.nan}, "rounding is nan"),
        ({"outcomes": OutcomesFrom(normalise="bytes")}, "nothing to normalise"),
        ({"outcomes": OutcomesFrom(correct="acc")}, "no metric or scorer 'acc'"),
        ({"requests": Path("x.jsonl")}, "go with OpenAI batches only"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, options: dict, message: str
) -> None:
    path = write_lines(tmp_path / "one.jsonl", chat("a"))
    with pytest.raises(InvalidInput, match=message):
        import_file(path, **options)


def test_answers_without_a_verdict_are_no_outcomes(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "one.jsonl", completion())
    wanted = OutcomesFrom(confidence="sequence_probability")
    found = import_file(path, outcomes=wanted)
    assert found.outcomes is None
    assert any("which answers are right" in note for note in found.notes)
