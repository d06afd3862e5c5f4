"""Deadlines of streams; models that are closed, forked or left in the middle."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

import nescio
from nescio.errors import EndpointError
from tests.endpoint.scripted import Handler, Server
from tests.endpoint.test_hostile_server import FOUR, connected
from tests.endpoint.test_streams import piece, streaming


def slow(handler: Handler, _body: object) -> bool:
    handler.server.finish.wait(30)
    return True


def streams(server: Server, **options: object):
    server.misbehaviour = streaming(piece(top=0), piece(top=0, finish="length"))
    return connected(server, **options)


@pytest.mark.parametrize("drip", [b": still here\n\n", b""], ids=["drips", "silent"])
def test_a_stream_that_does_not_go_on_is_left_after_the_timeout(
    server: Server, drip: bytes
) -> None:
    def stalls(handler: Handler, _body: object) -> bool:
        handler.begin_stream()
        handler.event(piece())
        while not handler.server.finish.wait(0.1):
            handler.wfile.write(drip)
            handler.wfile.flush()
        return True

    model = streams(server, timeout=2, retries=0)
    server.misbehaviour = stalls
    stream, begin = nescio.stream(model, "x", decoding=FOUR), time.monotonic()
    with pytest.raises(EndpointError):
        list(stream)
    assert time.monotonic() - begin < 20
    assert stream.trace.completion == " a"
    assert stream.trace.stop == "error"


def test_a_closed_model_says_so(server: Server) -> None:
    model = streams(server)
    model.close()
    model.close()
    with pytest.raises(EndpointError, match="closed"):
        nescio.sample(model, "x", n=1, decoding=FOUR)
    with pytest.raises(EndpointError, match="closed"):
        list(nescio.stream(model, "x", decoding=FOUR))


def test_a_model_that_is_closed_while_answers_are_under_way_ends_them(
    server: Server,
) -> None:
    model = connected(server)
    server.misbehaviour = slow
    closing = threading.Timer(0.5, model.close)
    closing.start()
    begin = time.monotonic()
    with pytest.raises(EndpointError, match="closed"):
        nescio.sample(model, "x", n=2, decoding=FOUR)
    closing.join()
    assert time.monotonic() - begin < 15


def _in_a_child(model: object, answers: object) -> None:
    try:
        nescio.sample(model, "x", n=1, decoding=FOUR)
    except EndpointError as error:
        answers.put(str(error))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_is_told_that_the_model_is_not_there(server: Server) -> None:
    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    child = fork.Process(target=_in_a_child, args=(connected(server), answers))
    child.start()
    child.join(20)
    if child.is_alive():
        child.kill()
        child.join()
        pytest.fail("the child hangs")
    assert "another process" in answers.get()
    answers.close()


def test_what_was_under_way_when_a_prompt_was_refused_is_given(server: Server) -> None:
    def prompts() -> Iterator[object]:
        yield "one"
        yield "two"
        yield [{"role": "user", "content": "there is no chat API"}]

    def tarries(_handler: Handler, _body: object) -> bool:
        time.sleep(0.3)
        return False

    model, came = connected(server), []
    server.misbehaviour = tarries
    with pytest.raises(nescio.NescioError, match=r"prompt 2.*no chat API"):
        came.extend(
            nescio.sample_stream(model, prompts(), nescio.Draws(1), decoding=FOUR)
        )
    assert sorted(number for number, _ in came) == [0, 1]


LEFT = """
import nescio, sys
model = nescio.load(sys.argv[1])
stream = nescio.stream(model, "x", decoding=nescio.Decoding(4))
events = iter(stream)
next(events)
print("left", flush=True)
"""


def test_a_program_may_end_in_the_middle_of_a_stream(server: Server) -> None:
    def begins(handler: Handler, body: dict[str, object]) -> bool:
        if not body.get("stream"):
            return False
        handler.begin_stream()
        handler.event(piece())
        handler.event(piece())
        if body.get("logprobs"):
            handler.server.finish.wait(30)
        else:
            handler.event(b"[DONE]")
        return True

    server.misbehaviour = begins
    done = subprocess.run(
        [sys.executable, "-c", LEFT, f"{server.url}#tiny,timeout=60"],
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert done.stdout == "left\n"
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_server_that_is_silent_from_the_beginning_is_left_with_words(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "do_GET", lambda handler: slow(handler, None))
    with pytest.raises(EndpointError, match="no whole answer within 1 s"):
        connected(server, timeout=1, retries=0)
