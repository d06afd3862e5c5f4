"""How far a server is believed: what its probe shows, what it counts, what it hides."""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import nescio
from nescio.errors import BudgetExhausted, EndpointError, ResponseError
from tests.endpoint.scripted import Handler, Server, chat, completion, token
from tests.endpoint.test_hostile_server import FOUR, KEY, answering, connected, drawn
from tests.endpoint.test_streams import piece, streaming


def hot(body: Mapping[str, Any]) -> bool:
    """Whether a request is for an answer that is drawn hot from all tokens."""
    whole = body["top_p"] == 1.0 and not body["top_k"] and not body["min_p"]
    return body["temperature"] > 1.0 and whole


class TestTheProbe:
    @pytest.mark.parametrize("text", [None, ""], ids=["always the same", "nothing"])
    def test_sees_no_truncation_obeyed_where_all_answers_are_the_same(
        self, server: Server, text: str | None
    ) -> None:
        if text is not None:
            nothing = {"text": "", "finish_reason": "stop", "logprobs": None}
            server.misbehaviour = answering(lambda body: completion(body, **nothing))
        assert connected(server).report.honours == ()

    def test_sees_truncations_obeyed_that_make_a_hot_answer_the_greedy_one(
        self, server: Server
    ) -> None:
        def obeys(handler: Handler, body: Mapping[str, Any]) -> bool:
            if hot(body) and not body.get("logprobs"):
                handler.say(completion(body, text=" b" * body["max_tokens"]))
                return True
            return False

        server.misbehaviour = obeys
        assert connected(server).report.honours == ("top_k", "top_p", "min_p")

    def test_takes_a_failure_for_a_refusal_where_it_asks_for_many_candidates(
        self, server: Server
    ) -> None:
        def fails(handler: Handler, body: Mapping[str, Any]) -> bool:
            if (body.get("logprobs") or 0) > 5:
                handler.say({}, status=500, headers={"Retry-After": "0"})
                return True
            return False

        server.misbehaviour = fails
        assert connected(server).report.completion_logprobs == 5

    def test_goes_on_where_one_api_answers_nonsense(self, server: Server) -> None:
        def no_content(handler: Handler, body: Mapping[str, Any]) -> bool:
            if "messages" not in body:
                return False
            found = chat(body)
            found["choices"][0]["message"]["content"] = None
            handler.say(found)
            return True

        server.misbehaviour = no_content
        report = connected(server).report
        assert (report.completions, report.chat) == (True, False)

    def test_goes_on_where_several_answers_come_as_one_number(
        self, server: Server
    ) -> None:
        def same_index(handler: Handler, body: Mapping[str, Any]) -> bool:
            if body.get("n") != 2:
                return False
            handler.say({"choices": completion(body)["choices"] * 2})
            return True

        server.misbehaviour = same_index
        assert connected(server).report.several is False

    def test_says_that_the_budget_is_used_up_at_its_last_request_too(
        self, server: Server
    ) -> None:
        whole = connected(server).budget.requests
        with pytest.raises(BudgetExhausted):
            connected(server, max_requests=whole - 1)

    @pytest.mark.parametrize(("places", "rounding"), [(2, 5e-3), (3, 5e-4), (6, 2e-4)])
    def test_sees_log_probabilities_that_are_printed_coarsely(
        self, server: Server, places: int, rounding: float
    ) -> None:
        def coarse(handler: Handler, body: Mapping[str, Any]) -> bool:
            if not body.get("logprobs"):
                return False
            found = token(top=body["logprobs"])
            for each in (found, *found["top_logprobs"]):
                each["logprob"] = round(each["logprob"], places)
            listed = {"content": [found] * body["max_tokens"]}
            handler.say(completion(body, logprobs=listed))
            return True

        server.misbehaviour = coarse
        assert connected(server).report.rounding == pytest.approx(rounding)

    def test_keeps_what_the_server_says_of_the_weights(self, server: Server) -> None:
        one = connected(server).origin.model_digest
        server.meta = {"n_params": 134515008, "size": 91_000_000}
        other = connected(server).origin.model_digest
        assert one != other
        assert "size 91000000" in other


class TestTheCount:
    @pytest.mark.parametrize(
        "usage",
        [{}, {"completion_tokens": 0}, {"completion_tokens": -9}, "many"],
        ids=["none", "zero", "negative", "no object"],
    )
    @pytest.mark.parametrize("top", [0, 5])
    def test_of_tokens_is_kept_though_the_server_understates_it(
        self, server: Server, usage: object, top: int
    ) -> None:
        def understates(handler: Handler, body: Mapping[str, Any]) -> bool:
            handler.say(completion(body) | {"usage": usage})
            return True

        model = connected(server)
        before, server.misbehaviour = model.budget.tokens, understates
        decoding = nescio.Decoding(4, detail=nescio.Detail(top))
        nescio.sample(model, "x", n=3, decoding=decoding)
        assert model.budget.tokens - before == 12

    def test_of_tokens_does_not_grow_by_refused_requests(self, server: Server) -> None:
        model = connected(server, retries=3)
        server.misbehaviour = answering({}, status=429, headers={"Retry-After": "0"})
        before = model.budget.tokens
        with pytest.raises(EndpointError, match="429"):
            nescio.sample(model, "x", n=1, decoding=FOUR)
        assert model.budget.tokens == before

    def test_of_tokens_is_that_of_a_stream_once_it_has_ended(
        self, server: Server
    ) -> None:
        server.misbehaviour = streaming(piece(top=0), piece(top=0, finish="length"))
        model = connected(server)
        before = model.budget.tokens
        server.misbehaviour = streaming(piece(), piece(finish="stop"))
        list(nescio.stream(model, "x", decoding=nescio.Decoding(50)))
        assert model.budget.tokens - before == 3

    def test_of_a_prompt_that_cannot_be_is_no_crash(self, server: Server) -> None:
        usage = {"prompt_tokens": 10**30, "completion_tokens": 4}
        found = drawn(server, answering(lambda b: completion(b) | {"usage": usage}))
        assert found.answers[0].trace.context_used.max() == 3


class TestTheKey:
    @pytest.mark.parametrize("status", [400, 401, 429, 500])
    def test_is_in_no_traceback(self, server, monkeypatch, status) -> None:
        monkeypatch.setenv("NESCIO_API_KEY", KEY)
        said = {"error": {"message": "x" * 280 + f"the key {KEY} is bad"}}
        with pytest.raises(EndpointError) as caught:
            drawn(server, answering(said, status=status, headers={"Retry-After": "0"}))
        shown = "".join(traceback.format_exception(caught.value))
        assert f"status {status}" in shown
        assert KEY[:12] not in shown

    def test_is_not_sent_to_a_proxy_unencrypted(self, server, monkeypatch) -> None:
        proxy = "http://127.0.0.1:9"
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("NESCIO_API_KEY", KEY)
        assert drawn(server, None).texts == (" a a a a",)

    def test_is_refused_where_json_spells_it_differently(
        self, server, monkeypatch
    ) -> None:
        monkeypatch.setenv("NESCIO_API_KEY", "sk-with/slash/0123456789")
        escaped = b'{"choices": [{"text": "sk-with\\/slash\\/0123456789"}]}'
        with pytest.raises(ResponseError, match="repeats the key"):
            drawn(server, answering(escaped))

    def test_is_refused_where_a_stream_gives_it_in_parts(
        self, server, monkeypatch
    ) -> None:
        monkeypatch.setenv("NESCIO_API_KEY", KEY)
        server.misbehaviour = streaming(piece(top=0), piece(top=0, finish="length"))
        model = connected(server)
        halves = piece(KEY[:15], top=4), piece(KEY[15:], top=4, finish="stop")
        server.misbehaviour = streaming(*halves)
        stream = nescio.stream(model, "x", decoding=FOUR)
        with pytest.raises(ResponseError, match="repeats the key"):
            list(stream)
        assert KEY not in stream.text


class TestAStopText:
    """As llama.cpp cuts it off: the text, and as many tokens as it thinks fit."""

    DECODING = nescio.Decoding(4, stop=(".",))

    @pytest.mark.parametrize("left", [1, 0])
    def test_that_takes_tokens_with_it_leaves_the_text(
        self, server: Server, left: int
    ) -> None:
        listed = {"content": [token()] * left} if left else None
        cut = {"text": " a b", "finish_reason": "stop", "logprobs": listed}
        found = drawn(
            server,
            answering(lambda body: completion(body, **cut)),
            decoding=self.DECODING,
        )
        assert found.texts == (" a b",)
        assert found.answers[0].trace is None

    def test_that_cannot_be_told_from_the_end_token_is_not_called_one(
        self, server: Server
    ) -> None:
        cut = {
            "text": " a",
            "finish_reason": "stop",
            "logprobs": {"content": [token()]},
        }
        misbehave = answering(lambda body: completion(body, **cut))
        trace = drawn(server, misbehave, decoding=self.DECODING).answers[0].trace
        assert trace.stop is None

    def test_that_ends_a_stream_ends_it(self, server: Server) -> None:
        server.misbehaviour = streaming(piece(top=0), piece(top=0, finish="length"))
        model = connected(server)
        server.misbehaviour = streaming(piece(), piece("", top=0, finish="stop"))
        stream = nescio.stream(model, "x", decoding=self.DECODING)
        assert [event.buffer for event in stream] == [b" a"]
        assert stream.trace.stop is None


def test_a_lone_surrogate_is_refused_before_anything_is_sent(server: Server) -> None:
    model = connected(server)
    before = server.seen.requests
    for ask in (
        lambda: nescio.sample(model, "\ud800", n=1, decoding=FOUR),
        lambda: nescio.stream(model, "\ud800", decoding=FOUR),
        lambda: nescio.sample(
            model, "x", n=1, decoding=nescio.Decoding(4, stop=("\ud800",))
        ),
    ):
        with pytest.raises(nescio.NescioError, match=r"surrogate|no UTF-8 bytes"):
            ask()
    assert server.seen.requests == before


def test_a_text_is_scored_though_no_candidates_are_wanted(server: Server) -> None:
    def scores(handler: Handler, body: Mapping[str, Any]) -> bool:
        if not body.get("echo"):
            return False
        prompt = [
            token(part, top=0) for part in (body["prompt"][:2], body["prompt"][2:])
        ]
        listed = {"content": [*prompt, token()]} if body.get("logprobs") else None
        text = body["prompt"] + (" a" if listed else "")
        handler.say(completion(body, text=text, logprobs=listed))
        return True

    server.misbehaviour = scores
    model = connected(server)
    assert model.report.prompt_logprobs == "echo"
    trace = nescio.score(model, "some text", detail=nescio.Detail(0))
    assert trace.scored.tolist() == [True, True]
    server.misbehaviour = answering(
        lambda b: completion(b, text=b["prompt"] + " a", logprobs=None)
    )
    with pytest.raises(ResponseError, match="no log-probabilities of the text"):
        nescio.score(model, "some text")


def test_masses_above_1_in_a_stream_leave_what_came_before(server: Server) -> None:
    server.misbehaviour = streaming(piece(top=0), piece(top=0, finish="length"))
    model = connected(server)
    sure = [{"token": t, "bytes": [ord(t)], "logprob": -0.2} for t in "pq"]
    bad = piece(logprobs={"content": [token(top_logprobs=sure)]})
    server.misbehaviour = streaming(piece(), bad, piece(finish="length"))
    stream = nescio.stream(model, "x", decoding=FOUR)
    with pytest.raises(ResponseError, match="predictions"):
        list(stream)
    assert stream.trace.completion == " a"
    assert stream.trace.stop == "error"
    assert np.isclose(stream.trace.logp[-1], math.log(0.5))


def test_answers_that_end_at_once_do_not_hide_log_probabilities(server):
    """The end token may be drawn first; such an answer reveals nothing."""
    server.chat = True
    asked = []

    def often_empty(handler: Handler, body) -> bool:
        asked.append(body)
        if len(asked) % 3 == 0 or "messages" not in body:
            return False
        empty = chat(body)
        empty["choices"][0] |= {"logprobs": None, "finish_reason": "stop"}
        empty["choices"][0]["message"]["content"] = ""
        handler.say(empty)
        return True

    server.misbehaviour = often_empty
    assert connected(server).report.chat_logprobs == 5
