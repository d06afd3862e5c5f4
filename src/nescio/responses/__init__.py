"""What servers and other programs say of an answer, read into traces and samples."""

from __future__ import annotations

from nescio.responses.openai import (
    is_last,
    read_body,
    read_chat,
    read_chunk,
    read_completion,
    read_llama,
)
from nescio.responses.revealed import Candidate, Response, Revealed
from nescio.responses.traces import Source, trace_of

__all__ = [
    "Candidate",
    "Response",
    "Revealed",
    "Source",
    "is_last",
    "read_body",
    "read_chat",
    "read_chunk",
    "read_completion",
    "read_llama",
    "trace_of",
]
