"""Answers that come token by token, and streams that break off."""

from __future__ import annotations

import pytest

import nescio
from nescio.errors import CapabilityError, EndpointError, ResponseError
from tests.endpoint.scripted import Handler, Server, token

FOUR = nescio.Decoding(4)


def streaming(*events: object, broken: bool = False):
    """A misbehaviour: a stream asked for consists of these events."""

    def misbehave(handler: Handler, body) -> bool:
        if not body.get("stream"):
            return False
        handler.begin_stream()
        for event in events:
            handler.event(event)
        if not broken:
            handler.event(b"[DONE]")
        return True

    return misbehave


def piece(text: str = " a", *, top: int = 5, finish: str | None = None, **changed):
    choice = {"index": 0, "text": text, "finish_reason": finish}
    listed = {"content": [token(text, top=top)]} if top else None
    return {"choices": [choice | {"logprobs": listed} | changed]}


def connected(server: Server, misbehaviour=None, timeout: int = 5):
    server.misbehaviour = streaming(piece(top=0), piece(top=0, finish="length"))
    model = nescio.load(f"{server.url}#tiny,timeout={timeout},retries=0")
    server.models.append(model)
    server.misbehaviour = misbehaviour
    return model


def test_a_stream_gives_bounds_token_by_token_and_a_trace_of_them_all(server):
    model = connected(server, streaming(piece(), piece(), piece(finish="length")))
    stream = nescio.stream(model, "x", decoding=FOUR)
    events = list(stream)
    assert [e.buffer for e in events] == [b" a"] * 3
    assert [e.stop for e in events] == [None, None, "length"]
    trace = stream.trace
    low = [e.entropy_low for e in events]
    assert low == pytest.approx(list(trace.entropy_low[trace.scored]))
    assert trace.stop == "length"
    assert trace.completion == " a a a"


def test_the_trace_before_the_end_says_cancelled(server):
    model = connected(server, streaming(piece(), piece(), piece(finish="length")))
    stream = nescio.stream(model, "x", decoding=FOUR)
    next(iter(stream))
    assert stream.trace.stop == "cancelled"
    assert stream.trace.completion == " a"


def test_a_stream_that_breaks_off_leaves_what_came_and_says_so(server):
    model = connected(server, streaming(piece(), piece(), broken=True))
    stream, came = nescio.stream(model, "x", decoding=FOUR), []
    with pytest.raises(EndpointError, match="what came is kept"):
        came.extend(stream)
    assert stream.trace.completion == " a a"
    assert stream.trace.stop == "error"


def test_a_stream_that_ends_without_a_reason_is_not_believed_to_be_whole(server):
    model = connected(server, streaming(piece(), piece()))
    stream = nescio.stream(model, "x", decoding=FOUR)
    with pytest.raises(ResponseError, match="without saying why"):
        list(stream)
    assert stream.trace.stop == "error"


def test_a_stream_that_does_not_end_is_left(server):
    model = connected(server, streaming(*[piece()] * 500, broken=True))
    came = []
    with pytest.raises(ResponseError, match="5 tokens where at most 4"):
        came.extend(nescio.stream(model, "x", decoding=FOUR))
    assert len(came) == 4


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (b"{", "is not JSON"),
        (b"[]", "not an object"),
        ({"error": {"message": "cuda \x1b[31m"}}, "broke off"),
        (piece(logprobs={"content": [token(logprob=3.0)]}), "log-probability 3.0"),
        ({"choices": [{"index": 0, "text": 3}]}, "should be a text"),
    ],
    ids=["cut", "array", "error", "impossible", "no text"],
)
def test_nonsense_in_a_stream_ends_it_and_what_came_is_kept(server, event, words):
    model = connected(server, streaming(piece(), event))
    stream = nescio.stream(model, "x", decoding=FOUR)
    with pytest.raises(EndpointError, match=words):
        list(stream)
    assert stream.trace.completion == " a"


def test_a_line_of_ten_megabytes_is_read(server):
    long = "x" * 10_000_000
    listed = {"content": [token(long, top=4)]}
    long_event = piece(long, logprobs=listed, finish="stop")
    model = connected(server, streaming(long_event), timeout=60)
    stream = nescio.stream(model, "x", decoding=FOUR)
    assert sum(len(event.buffer) for event in stream) == 10_000_000


def test_without_log_probabilities_there_is_text_and_no_trace(server):
    model = connected(server, streaming(piece(top=0), piece(top=0, finish="stop")))
    none = nescio.Decoding(4, detail=nescio.Detail(0))
    stream = nescio.stream(model, "x", decoding=none)
    assert b"".join(event.buffer for event in stream) == b" a a"
    with pytest.raises(ResponseError, match="no log-probabilities"):
        _ = stream.trace


def test_a_stream_left_early_lets_the_server_go(server):
    model = connected(server, streaming(*[piece()] * 3, broken=True))
    for _ in nescio.stream(model, "x", decoding=FOUR):
        break
    server.misbehaviour = None
    assert nescio.sample(model, "x", n=1, decoding=FOUR).texts == (" a a a a",)


def test_a_server_that_does_not_stream_is_refused_by_name(server):
    model = nescio.load(f"{server.url}#tiny,timeout=5,retries=0")
    server.models.append(model)
    with pytest.raises(CapabilityError, match="does not send its answers as a stream"):
        nescio.stream(model, "x", decoding=FOUR)
