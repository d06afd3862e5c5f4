"""From a model to traces and samples: scoring a text, generating one."""

from nescio.decoding.generation import (
    Decoding,
    Stream,
    TokenEvent,
    generate,
    sample,
    stream,
)
from nescio.decoding.recording import Detail
from nescio.decoding.scoring import score, score_texts
from nescio.decoding.windows import Window

__all__ = [
    "Decoding",
    "Detail",
    "Stream",
    "TokenEvent",
    "Window",
    "generate",
    "sample",
    "score",
    "score_texts",
    "stream",
]
