"""Servers that lie, break off, stall, flood or answer nonsense."""

from __future__ import annotations

import gzip
import json
import math
import time

import numpy as np
import pytest

import nescio
from nescio.errors import (
    BudgetExhausted,
    CapabilityError,
    ContextOverflow,
    EndpointError,
    ResponseError,
    UnknownModel,
)
from nescio.models import endpoint_connection
from tests.endpoint.scripted import Handler, Server, completion, token

FOUR = nescio.Decoding(4)
KEY = "sk-never-to-be-seen-0123456789"


def connected(server: Server, **options: object):
    given = {"timeout": 20, "retries": 1} | options
    words = "".join(f",{name}={value}" for name, value in given.items())
    model = nescio.load(f"{server.url}#tiny{words}")
    server.models.append(model)
    return model


def answering(answer: object, **how: object):
    """A misbehaviour: every request gets this answer."""

    def misbehave(handler: Handler, body) -> bool:
        handler.say(answer(body) if callable(answer) else answer, **how)
        return True

    return misbehave


def drawn(server: Server, misbehaviour, *, n: int = 1, decoding=FOUR, **options):
    """What sampling gives after the server began to misbehave."""
    model = connected(server, **options)
    server.misbehaviour = misbehaviour
    return nescio.sample(model, "x", n=n, decoding=decoding)


def test_a_server_that_behaves_gives_bounds_around_the_entropy_of_its_row(server):
    trace = nescio.sample(connected(server), "x", n=1, decoding=FOUR).answers[0].trace
    whole = -sum(p * math.log(p) for p in (0.5, 0.2, 0.1, 0.1, 0.1))
    low, high = trace.entropy_low[trace.scored], trace.entropy_high[trace.scored]
    assert np.all(low <= whole + 1e-6)
    assert np.all(high >= whole - 1e-6)
    assert trace.logp[trace.scored] == pytest.approx([math.log(0.5)] * 4, abs=1e-6)
    assert trace.completion == " a a a a"


BAD = {
    "a log-probability above 0": (
        lambda b: completion(b, logprobs={"content": [token(logprob=0.7)] * 4}),
        "log-probability 0.7",
    ),
    "masses above 1": (
        lambda b: completion(
            b,
            logprobs={
                "content": [
                    token(
                        top_logprobs=[
                            {"token": t, "bytes": [ord(t)], "logprob": -0.2}
                            for t in "pq"
                        ]
                    )
                ]
                * 4
            },
        ),
        "predictions",
    ),
    "tokens without bytes": (
        lambda b: completion(
            b,
            text="\ufffd" * 4,
            logprobs={"content": [token("\ufffd", bytes=None)] * 4},
        ),
        "which bytes",
    ),
    "bytes that are none": (
        lambda b: completion(b, logprobs={"content": [token(bytes=[900])] * 4}),
        "no bytes",
    ),
    "arrays of different lengths": (
        lambda b: completion(
            b, logprobs={"tokens": [" a"] * 4, "token_logprobs": [-1.0] * 3}
        ),
        "do not belong together",
    ),
    "log-probabilities of another text": (
        lambda b: completion(b, text=" b b b b"),
        "another text",
    ),
    "no log-probabilities at all": (
        lambda b: completion(b, logprobs=None),
        "no log-probabilities",
    ),
    "log-probabilities of no token": (
        lambda b: completion(b, logprobs={"content": []}),
        "of no token",
    ),
    "more tokens than allowed": (
        lambda b: completion(b | {"max_tokens": 9}),
        "9 tokens where at most 4",
    ),
    "a lone surrogate": (lambda b: completion(b, text="\ud800"), "lone surrogate"),
    "no answer": ({"choices": []}, "no answer in a shape"),
    "two answers": (
        lambda b: {
            "choices": [completion(b)["choices"][0], {"index": 1, "text": "again"}]
        },
        "2 answers where one",
    ),
    "the same answer twice": (
        lambda b: {"choices": completion(b)["choices"] * 2},
        "has index 0",
    ),
    "a call of a tool": (
        lambda b: completion(b, finish_reason="tool_calls"),
        "ended by 'tool_calls'",
    ),
    "text that is a number": (lambda b: completion(b, text=7), "should be a text"),
    "an error with status 200": ({"error": {"message": "out of memory"}}, "memory"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_answer_that_cannot_be_is_refused_at_once(server, case):
    answer, words = BAD[case]
    with pytest.raises(ResponseError, match=words):
        drawn(server, answering(answer))


@pytest.mark.parametrize(
    "raw",
    [
        b'{"choices": [{"index": 0, "text": " a", "x": NaN}]}',
        b"",
        b"\xff\xfe{}",
        b"[1, 2]",
        b"[" * 100_000,
        b'{"choices": [{"index": 0, "te',
        b"<html>gateway \x1b[31m</html>",
    ],
    ids=["NaN", "empty", "not UTF-8", "an array", "nested", "cut off", "HTML"],
)
def test_what_is_not_json_is_asked_again_and_then_refused_in_words(server, raw):
    with pytest.raises(EndpointError, match=r"is not .*tried 2 times") as caught:
        drawn(server, answering(raw))
    assert "\x1b" not in str(caught.value)


def test_a_body_shorter_than_announced_is_asked_again(server):
    turns = []

    def cut(handler: Handler, body) -> bool:
        turns.append(body)
        if len(turns) > 1:
            return False
        raw = json.dumps(completion(body)).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(raw) + 100))
        handler.end_headers()
        handler.wfile.write(raw[:50])
        handler.close_connection = True
        return True

    assert drawn(server, cut).texts == (" a a a a",)
    assert len(turns) == 2


def test_a_storm_of_429_ends_in_an_error_that_says_how_often_it_was_tried(server):
    before = []

    def storm(handler: Handler, body) -> bool:
        before.append(body)
        handler.say(
            {"error": {"message": "slow \x1b[2Jdown"}},
            status=429,
            headers={"Retry-After": "0"},
        )
        return True

    with pytest.raises(EndpointError, match=r"status 429.*tried 4 times") as caught:
        drawn(server, storm, retries=3)
    assert len(before) == 4
    assert "\x1b" not in str(caught.value)


def test_a_storm_that_passes_costs_requests_and_loses_nothing(server):
    turns = []

    def passing(handler: Handler, body) -> bool:
        turns.append(body)
        if len(turns) > 3:
            return False
        handler.say({}, status=503, headers={"Retry-After": "0"})
        return True

    assert len(drawn(server, passing, n=5, retries=5)) == 5
    assert len(turns) == 8


def test_a_server_that_says_nothing_is_left_after_the_timeout(server):
    def silent(handler: Handler, _body) -> bool:
        handler.server.finish.wait(30)
        return True

    begin = time.monotonic()
    with pytest.raises(EndpointError, match="no whole answer within 1 s"):
        drawn(server, silent, timeout=1, retries=0)
    assert time.monotonic() - begin < 15


def test_a_server_that_drips_is_left_after_the_timeout_too(server):
    def drip(handler: Handler, _body) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not handler.server.finish.wait(0.1):
            handler.wfile.write(b" ")
        return True

    begin = time.monotonic()
    with pytest.raises(EndpointError, match="no whole answer within 1 s"):
        drawn(server, drip, timeout=1, retries=0)
    assert time.monotonic() - begin < 15


def test_a_flood_is_not_read_to_its_end(server, monkeypatch):
    monkeypatch.setattr(endpoint_connection, "_LARGEST", 2**20)
    bomb = gzip.compress(b" " * 2**24)
    with pytest.raises(ResponseError, match="more than 1,048,576 bytes"):
        drawn(server, answering(bomb, headers={"Content-Encoding": "gzip"}))


def test_an_answer_of_ten_megabytes_is_an_answer(server):
    long = "x" * 10_000_000
    one = {"content": [token(long, top=4)]}
    found = drawn(server, answering(lambda b: completion(b, text=long, logprobs=one)))
    assert len(found.texts[0]) == 10_000_000
    assert found.answers[0].trace.completion == long


def test_a_redirection_is_not_followed(server):
    reached = server.seen.requests
    to = {"Location": server.url + "/stolen"}
    with pytest.raises(EndpointError, match="status 307"):
        drawn(server, answering({}, status=307, headers=to))
    assert not any("stolen" in str(body) for body in server.seen.bodies)
    assert server.seen.requests > reached


def test_a_refusal_because_of_the_context_has_its_own_name(server):
    said = {"error": {"message": "the request exceeds the available context size"}}
    with pytest.raises(ContextOverflow, match="shorten the prompt"):
        drawn(server, answering(said, status=400))


class TestTheKey:
    def test_is_sent_and_shows_nowhere(self, server, monkeypatch, tmp_path):
        monkeypatch.setenv("NESCIO_API_KEY", KEY)
        model = connected(server)
        samples = nescio.sample(model, "x", n=2, decoding=FOUR)
        samples.write(tmp_path / "samples.jsonl")
        assert {h.get("authorization") for h in server.seen.headers} == {
            f"Bearer {KEY}"
        }
        trace = samples.answers[0].trace
        said = [repr(model), repr(model.connection), str(model.report.to_dict())]
        said += [str(trace.origin.to_dict()), (tmp_path / "samples.jsonl").read_text()]
        assert not any(KEY in text for text in said)

    def test_is_not_sent_where_none_is_set(self, server):
        connected(server)
        assert not any("authorization" in h for h in server.seen.headers)

    def test_of_openai_goes_to_openai_only(self, server, monkeypatch):
        for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
            monkeypatch.setenv(name, KEY)
        connected(server)
        assert not any(KEY in str(h) for h in server.seen.headers)

    def test_does_not_leave_this_machine_unencrypted(self, monkeypatch):
        monkeypatch.setenv("NESCIO_API_KEY", KEY)
        with pytest.raises(nescio.NescioError, match="unencrypted") as caught:
            nescio.load("http://192.0.2.1/v1#m")
        assert KEY not in str(caught.value)

    def test_repeated_in_an_answer_makes_the_answer_refused(self, server, monkeypatch):
        monkeypatch.setenv("NESCIO_API_KEY", KEY)
        with pytest.raises(ResponseError, match="repeats the key") as caught:
            drawn(server, answering(lambda b: completion(b, text=KEY)))
        assert KEY not in str(caught.value)

    @pytest.mark.parametrize("status", [400, 401, 500])
    def test_repeated_in_a_refusal_is_hidden(self, server, monkeypatch, status):
        monkeypatch.setenv("NESCIO_API_KEY", KEY)
        said = {"error": {"message": f"the key {KEY} is bad"}}
        with pytest.raises(EndpointError, match=f"status {status}") as caught:
            drawn(server, answering(said, status=status))
        assert KEY not in str(caught.value)

    def test_named_by_a_variable_that_is_not_there_is_refused(self, server):
        with pytest.raises(nescio.NescioError, match="NO_SUCH_KEY"):
            connected(server, key="NO_SUCH_KEY")


class TestTheBudget:
    def test_of_requests_is_never_exceeded_and_what_came_is_given(self, server):
        model = connected(server)
        probed = server.seen.requests
        model = connected(server, max_requests=probed + 3)
        before, came = server.seen.requests, []
        stream = nescio.sample_stream(model, ["x"], nescio.Draws(20), decoding=FOUR)
        with pytest.raises(BudgetExhausted, match="--max-requests"):
            came.extend(stream)
        assert len(came) == 3
        assert server.seen.requests - before == 3

    def test_counts_what_is_repeated(self, server):
        model = connected(server, max_requests=200, retries=5)
        spent = model.budget.requests
        model = connected(server, max_requests=spent + 3, retries=5)
        server.misbehaviour = answering({}, status=500, headers={"Retry-After": "0"})
        before = server.seen.requests
        with pytest.raises(EndpointError):
            nescio.sample(model, "x", n=1, decoding=FOUR)
        assert server.seen.requests - before == 3

    def test_of_tokens_is_never_exceeded_by_answers_under_way(self, server):
        tokens = connected(server).budget.tokens
        model = connected(server, max_tokens_total=tokens + 10, concurrency=8)
        before, came = len(server.seen.bodies), []
        stream = nescio.sample_stream(model, ["x"], nescio.Draws(20), decoding=FOUR)
        with pytest.raises(BudgetExhausted, match="--max-tokens-total"):
            came.extend(stream)
        assert len(came) == 2
        assert len(server.seen.bodies) - before == 2

    def test_too_small_for_the_probe_is_refused(self, server):
        with pytest.raises(BudgetExhausted, match="3 requests"):
            connected(server, max_requests=3)
        assert server.seen.requests == 3


def test_what_was_under_way_when_one_failed_is_not_lost(server):
    turns = []

    def third_fails(handler: Handler, body) -> bool:
        with handler.server.lock:
            turns.append(body)
            number = len(turns)
        if number == 3:
            handler.say({"error": {"message": "no"}}, status=400)
            return True
        time.sleep(0.3)
        return False

    model = connected(server, concurrency=4)
    server.misbehaviour = third_fails
    came = []
    with pytest.raises(EndpointError, match="status 400"):
        came.extend(nescio.sample_stream(model, ["x"], nescio.Draws(12), decoding=FOUR))
    assert len(turns) < 12
    assert len(came) == len(turns) - 1


def test_a_server_without_any_api_is_refused(server):
    server.misbehaviour = answering({"error": {"message": "no"}}, status=404)
    with pytest.raises(EndpointError, match="neither texts nor messages"):
        connected(server)


def test_a_model_that_is_not_served_is_named_with_those_that_are(server):
    with pytest.raises(UnknownModel, match="'other'; it serves tiny"):
        nescio.load(f"{server.url}#other")


def test_nobody_there_is_said_so():
    with pytest.raises(EndpointError, match="tried 2 times"):
        nescio.load("http://127.0.0.1:9/v1#m,retries=1")


def test_a_server_that_does_not_obey_a_truncation_is_refused_by_name(server):
    model = connected(server)
    sampling = nescio.Sampling(temperature=0.5, typical_p=0.5)
    with pytest.raises(CapabilityError, match="typical_p"):
        nescio.sample(model, "x", n=1, decoding=nescio.Decoding(4, sampling))


def test_messages_to_a_server_without_a_chat_api_are_refused(server):
    with pytest.raises(CapabilityError, match="no chat API"):
        nescio.sample(connected(server), [{"role": "user", "content": "x"}], n=1)


def test_renyi_sums_are_refused(server):
    decoding = nescio.Decoding(4, detail=nescio.Detail(renyi=(0.5,)))
    with pytest.raises(CapabilityError, match="whole predictions"):
        nescio.sample(connected(server), "x", n=1, decoding=decoding)


def test_probabilities_after_sampling_are_refused_where_sampling_changes_them(server):
    def after_sampling(handler: Handler, body) -> bool:
        if body["temperature"] == 1.0 and body["top_p"] == 1.0:
            return False
        sure = {"token": " a", "bytes": [32, 97], "logprob": 0.0}
        listed = {"content": [sure | {"top_logprobs": [sure]}] * body["max_tokens"]}
        handler.say(completion(body, logprobs=listed if body.get("logprobs") else None))
        return True

    server.misbehaviour = after_sampling
    model = connected(server)
    assert model.report.before_sampling is False
    assert len(nescio.sample(model, "x", n=1, decoding=FOUR)) == 1
    hot = nescio.Decoding(4, nescio.Sampling(temperature=0.7))
    with pytest.raises(CapabilityError, match="after temperature"):
        nescio.sample(model, "x", n=1, decoding=hot)
