"""Every way that servers write answers with log-probabilities, read by hand."""

from __future__ import annotations

import math

import pytest

from nescio.errors import ResponseError
from nescio.responses import (
    Candidate,
    Revealed,
    read_body,
    read_chunk,
    read_completion,
)
from nescio.responses.parsing import json_object
from nescio.responses.tokens import listed_tokens, named_tokens, vllm_prompt_tokens


def chat(content: object = "Hi", **choice: object) -> dict:
    message = {"role": "assistant", "content": content}
    found = {"index": 0, "message": message, "finish_reason": "stop", **choice}
    return {"object": "chat.completion", "choices": [found]}


def listed(token: str, logprob: float, *others: tuple[str, float], **fields) -> dict:
    top = [{"token": t, "bytes": list(t.encode()), "logprob": x} for t, x in others]
    own = {"token": token, "bytes": list(token.encode()), "logprob": logprob}
    return own | {"top_logprobs": top} | fields


def test_chat_lists_an_object_a_token():
    content = [listed("H", -0.5, ("H", -0.5), ("J", -1.5)), listed("i", -0.1)]
    (answer,) = read_body(chat(logprobs={"content": content}))
    assert answer.text == "Hi"
    assert answer.stop == "eos"
    assert answer.tokens == (
        Revealed(b"H", -0.5, (Candidate(b"H", -0.5), Candidate(b"J", -1.5))),
        Revealed(b"i", -0.1),
    )


def test_the_older_api_has_three_arrays_side_by_side():
    logprobs = {
        "tokens": ["H", "i"],
        "token_logprobs": [None, -0.1],
        "top_logprobs": [None, {"e": -3.0, "i": -0.1}],
        "text_offset": [0, 1],
    }
    tokens = named_tokens(logprobs)
    assert tokens[0] == Revealed(b"H", None)
    assert tokens[1].candidates == (Candidate(b"i", -0.1), Candidate(b"e", -3.0))


def test_llama_cpp_has_a_shape_of_its_own():
    body = {
        "content": " the",
        "stop_type": "limit",
        "tokens_predicted": 1,
        "completion_probabilities": [listed(" the", -2.5, (" a", -1.0), id=260)],
    }
    (answer,) = read_body(body)
    assert answer.tokens[0].token_id == 260
    assert (answer.text, answer.stop, answer.token_count) == (" the", "length", 1)


def test_answers_come_in_the_order_of_their_indices():
    first, second = chat("one")["choices"][0], chat("two")["choices"][0]
    body = {"choices": [second | {"index": 1}, first]}
    assert [answer.text for answer in read_body(body)] == ["one", "two"]


def test_a_repeated_prompt_is_told_from_the_answer_by_its_bytes():
    content = [listed("é", -1.0), listed(" b", -2.0), listed(" c", -3.0)]
    body = {
        "choices": [{"index": 0, "text": "é b c", "logprobs": {"content": content}}]
    }
    (answer,) = read_completion(body, echoed="é b")
    assert answer.text == " c"
    assert answer.tokens is not None
    assert answer.prompt_tokens is not None
    assert [token.buffer for token in answer.tokens] == [b" c"]
    assert [token.logp for token in answer.prompt_tokens] == [-1.0, -2.0]


def test_a_prompt_that_ends_inside_a_token_is_refused():
    content = [listed("ab", -1.0), listed("c", -2.0)]
    body = {"choices": [{"index": 0, "text": "abc", "logprobs": {"content": content}}]}
    with pytest.raises(ResponseError, match="ends where the prompt does"):
        read_completion(body, echoed="a")


def test_a_prompt_that_was_not_repeated_is_noticed():
    body = {"choices": [{"index": 0, "text": "b", "finish_reason": "length"}]}
    with pytest.raises(ResponseError, match="did not"):
        read_completion(body, echoed="a")


def test_vllm_scores_a_prompt_with_its_own_token_first():
    entries = [
        None,
        {
            "11": {"logprob": -4.0, "rank": 9, "decoded_token": " sea"},
            "7": {"logprob": -0.5, "rank": 1, "decoded_token": " sky"},
        },
    ]
    (token,) = vllm_prompt_tokens(entries)
    assert (token.buffer, token.logp, token.token_id) == (b" sea", -4.0, 11)
    assert [c.logp for c in token.candidates] == [-0.5, -4.0]


@pytest.mark.parametrize(
    ("written", "spelled", "number"),
    [
        ("bytes:\\xe3\\x81", b"\xe3\x81", None),
        ("token_id:42", b"", 42),
        ("bytes:", b"bytes:", None),
        ("token_id:", b"token_id:", None),
    ],
)
def test_tokens_that_are_no_text_are_written_in_other_ways(written, spelled, number):
    (token,) = named_tokens({"tokens": [written], "token_logprobs": [-1.0]})
    assert (token.buffer, token.token_id) == (spelled, number)


@pytest.mark.parametrize(
    ("choice", "stop", "found"),
    [
        ({"finish_reason": "stop"}, (), "eos"),
        ({"finish_reason": "stop"}, ("i",), "stop_string"),
        ({"finish_reason": "stop", "stop_reason": "x"}, (), "stop_string"),
        ({"finish_reason": "stop", "stop_reason": 2}, (), "eos"),
        ({"finish_reason": "length"}, ("i",), "length"),
        ({"finish_reason": "content_filter"}, (), "error"),
        ({"finish_reason": None}, (), None),
    ],
)
def test_why_an_answer_ended_is_told_apart(choice, stop, found):
    (answer,) = read_body(chat(**choice), stop=stop)
    assert answer.stop == found


def test_rounding_above_0_is_0_and_more_is_refused():
    assert Candidate(b"a", 4e-4).logp == 0.0
    with pytest.raises(ResponseError, match=r"0\.01"):
        Candidate(b"a", 0.01)
    with pytest.raises(ResponseError, match="nan"):
        Candidate(b"a", math.nan)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": []},
        {"choices": [3]},
        {"choices": "x"},
        chat(None),
        chat(3),
        chat(logprobs=3),
        chat(logprobs={"content": 3}),
        chat(logprobs={"content": [3]}),
        chat(logprobs={"content": [{}]}),
        chat(logprobs={"content": [listed("H", True)]}),
        chat(logprobs={"content": [listed("H", -1.0, top_logprobs=3)]}),
        chat(logprobs={"content": [listed("H", -1.0, bytes="H")]}),
        chat(logprobs={"content": [listed("H", 10**400)]}),
        chat(logprobs={"tokens": [3], "token_logprobs": [-1.0]}),
        chat(logprobs={"tokens": ["a"], "token_logprobs": ["b"]}),
        chat(logprobs={"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": [3]}),
        chat(index="0"),
        {"content": 3, "stop": True},
        {"content": "x", "stop": True, "completion_probabilities": [{"prob": 0.5}]},
        {"error": {"message": "no"}},
    ],
    ids=lambda body: str(body)[-40:],
)
def test_nonsense_is_refused_and_never_crashes(body):
    with pytest.raises(ResponseError):
        read_body(body)


def test_probabilities_after_sampling_are_refused_by_name():
    body = {
        "content": "x",
        "stop": True,
        "completion_probabilities": [{"token": "x", "prob": 0.5, "top_probs": []}],
    }
    with pytest.raises(ResponseError, match="after sampling"):
        read_body(body)


def test_vllm_prompts_of_nonsense_are_refused():
    for entries in ([3], [{}], [{"x": {}}], [{"1": {"logprob": -1.0}}]):
        with pytest.raises(ResponseError):
            vllm_prompt_tokens(entries)


def test_chunks_of_a_stream_add_up():
    first = {"choices": [{"index": 0, "delta": {"role": "assistant"}}]}
    content = {"content": [listed("H", -0.5)]}
    choice = {"index": 0, "delta": {"content": "H"}, "logprobs": content}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    assert read_chunk(first).text == ""
    assert read_chunk({"choices": [choice]}).tokens[0].logp == -0.5
    assert read_chunk(last).stop == "length"
    assert read_chunk({"choices": [], "usage": {}}) is None


def test_json_without_numbers_that_are_none_is_read():
    assert json_object(b'{"a": 1e-3}', "it") == {"a": 0.001}
    for raw in (b'{"a": NaN}', b'{"a": -Infinity}', b"[]", b"{", b"\xff", b"[" * 10**5):
        with pytest.raises(ResponseError, match=r"^it is"):
            json_object(raw, "it")


def test_listed_tokens_sort_candidates_that_come_in_another_order():
    (token,) = listed_tokens([listed("b", -2.0, ("b", -2.0), ("a", -0.3))])
    assert [c.buffer for c in token.candidates] == [b"a", b"b"]


def test_a_number_is_no_array_of_bytes():
    entry = {"token": "a", "bytes": 4, "logprob": -1.0}
    with pytest.raises(ResponseError, match="no bytes"):
        listed_tokens([entry])


def stopped(text: str, pieces: list[str] | None, **more: object) -> dict[str, object]:
    listed = [
        {"token": p, "bytes": list(p.encode()), "logprob": -1} for p in pieces or ()
    ]
    logprobs = None if pieces is None else {"content": listed}
    choice = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": logprobs}
    return {"choices": [choice | more]}


def test_a_stop_that_nobody_explains_is_unknown_where_a_stop_text_was_asked_for():
    """llama.cpp cuts the stop text off both, and calls it "stop" as the end token."""
    cut = stopped(" Paris", [" Paris"])
    assert read_body(cut, stop=(".",))[0].stop is None
    assert read_body(cut)[0].stop == "eos"
    assert (
        read_body(stopped(" a", [" a"], stop_reason=None), stop=(".",))[0].stop == "eos"
    )
    said = stopped(" a", [" a"], stop_reason=".")
    assert read_body(said, stop=(".",))[0].stop == "stop_string"


def test_tokens_that_were_taken_away_with_a_stop_text_are_not_revealed():
    """llama.cpp: " Phoen" + "icians" with the stop text "s"."""
    (answer,) = read_body(stopped(" Phoenician", [" Phoen"]), stop=("s",))
    assert answer.tokens is not None
    assert [token.buffer for token in answer.tokens] == [b" Phoen", b"ician"]
    assert answer.tokens[1].logp is None
    (without,) = read_body(stopped(" Phoenician", [" Phoen"]))
    assert without.token_count == 1


@pytest.mark.parametrize("count", [-1, 2**31, 10**40])
def test_a_prompt_of_impossible_length_has_an_unknown_one(count):
    body = stopped(" a", [" a"]) | {"usage": {"prompt_tokens": count}}
    assert read_body(body)[0].prompt_token_count is None
