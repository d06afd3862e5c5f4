"""Servers of the tests, on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.endpoint.scripted import Server


@pytest.fixture
def server() -> Iterator[Server]:
    """A scripted server; nothing of it outlives the test."""
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    made.end()
    thread.join()


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests send no key but those they set."""
    for name in ("NESCIO_API_KEY", "OPENAI_API_KEY", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
