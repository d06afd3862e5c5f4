"""From a model to traces and samples: scoring a text, generating one."""

from nescio.decoding.generation import Stream, TokenEvent, generate, stream
from nescio.decoding.recording import Detail
from nescio.decoding.rules import Decoding
from nescio.decoding.sampling import Draws, sample, sample_stream
from nescio.decoding.scoring import score, score_texts
from nescio.decoding.watching import Alert, TokenStatistics, Watch, Watcher
from nescio.decoding.windows import Window

__all__ = [
    "Alert",
    "Decoding",
    "Detail",
    "Draws",
    "Stream",
    "TokenEvent",
    "TokenStatistics",
    "Watch",
    "Watcher",
    "Window",
    "generate",
    "sample",
    "sample_stream",
    "score",
    "score_texts",
    "stream",
]
