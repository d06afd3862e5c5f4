"""A server on loopback that behaves until it is told to misbehave.

It is no stand-in for a real one (`test_real_server.py` talks to that): it is for what
no honest server can be made to do.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ROW = {" a": 0.5, " b": 0.2, " c": 0.1, " d": 0.1, " e": 0.1}
"""The prediction at every position; the vocabulary has ten tokens."""
VOCABULARY = 10
Misbehaviour = Callable[["Handler", Mapping[str, Any]], bool]


@dataclass
class Seen:
    """What the server was asked."""

    bodies: list[Mapping[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    requests: int = 0


class Server(ThreadingHTTPServer):
    """A server with one model, ``tiny``; ``misbehaviour`` answers first if set."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen = Seen()
        self.misbehaviour: Misbehaviour | None = None
        self.chat = False
        self.meta: Mapping[str, Any] = {}
        self.models: list[Any] = []
        self.lock = threading.Lock()
        self.finish = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def end(self) -> None:
        """Let go of every client and end."""
        self.finish.set()
        for model in self.models:
            model.close()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients hang up in these tests; that is not worth a word."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self._note()
        if self.path == "/v1/models":
            meta = {"n_vocab": VOCABULARY, "n_ctx": 64, "ftype": "exact"}
            meta |= self.server.meta
            self.say({"data": [{"id": "tiny", "meta": meta}]})
        else:
            self.say({"error": {"message": "nothing here"}}, status=404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.seen.bodies.append(body)
        self._note()
        if self.server.misbehaviour is not None and self.server.misbehaviour(
            self, body
        ):
            return
        if self.path == "/v1/completions":
            self.say(completion(body))
        elif self.path == "/v1/chat/completions" and self.server.chat:
            self.say(chat(body))
        else:
            self.say({"error": {"message": "nothing here"}}, status=404)

    def _note(self) -> None:
        with self.server.lock:
            self.server.seen.requests += 1
            named = {name.lower(): value for name, value in self.headers.items()}
            self.server.seen.headers.append(named)

    def say(
        self,
        answer: object,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """A JSON answer, or bytes as they are."""
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(raw)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def event(self, answer: object) -> None:
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.wfile.write(b"data: " + raw + b"\n\n")
        self.wfile.flush()


def token(text: str = " a", top: int = 5, **changed: Any) -> dict[str, Any]:
    """One token with its candidates."""
    others = [
        {"token": name, "bytes": list(name.encode()), "logprob": math.log(p)}
        for name, p in list(ROW.items())[:top]
    ]
    found = {
        "token": text,
        "bytes": list(text.encode()),
        "logprob": math.log(ROW.get(text, 0.1)),
        "top_logprobs": others,
    }
    return found | changed


def completion(body: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """What the completions API answers: always the same token."""
    count, top = body["max_tokens"], body.get("logprobs") or 0
    choice = {
        "index": 0,
        "text": " a" * count,
        "finish_reason": "length",
        "logprobs": {"content": [token(top=top)] * count} if top else None,
    }
    return {
        "object": "text_completion",
        "choices": [choice | changed],
        "usage": {"prompt_tokens": 9, "completion_tokens": count},
    }


def chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the chat API answers."""
    top = body.get("top_logprobs") or 0
    found = completion({"max_tokens": body["max_tokens"], "logprobs": top})
    choice = found["choices"][0]
    choice["message"] = {"role": "assistant", "content": choice.pop("text")}
    return found
