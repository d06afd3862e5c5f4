"""How sure is a language model, and is it right to be?

Everything public is here; each name is imported when it is first used, so that
``import nescio`` costs nothing.

Example:
    >>> import nescio
    >>> model = nescio.load("table:coin")
    >>> round(nescio.perplexity(nescio.score(model, "HTTHTH")).value, 4)
    2.0
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "nescio.imports": (
        "Imported",
        "OutcomesFrom",
        "import_file",
    ),
    "nescio.corpus": (
        "Corpus",
        "CorpusFields",
        "CorpusSettings",
        "CorpusSummary",
        "read_corpus",
        "score_corpus",
    ),
    "nescio.decoding": (
        "Decoding",
        "Detail",
        "Draws",
        "Stream",
        "TokenEvent",
        "Window",
        "generate",
        "sample",
        "sample_stream",
        "score",
        "score_texts",
        "stream",
    ),
    "nescio.errors": ("NescioError",),
    "nescio.information": (
        "bits_per_byte",
        "bits_per_byte_difference",
        "bits_per_character",
        "bits_per_token",
        "entropy_bounds",
        "entropy_rate",
        "perplexity",
        "total_surprisal",
    ),
    "nescio.kernel": (
        "PairStatistics",
        "RowStatistics",
        "Sampling",
        "log_softmax",
        "pair_statistics",
        "row_statistics",
    ),
    "nescio.specification": ("load",),
    "nescio.outcome": (
        "Estimate",
        "Outcomes",
        "Predictions",
        "Recipe",
        "load_outcomes",
        "read_outcomes",
        "read_predictions",
        "write_outcomes",
        "write_predictions",
    ),
    "nescio.uncertainty": (
        "Interval",
        "bootstrap_blocks",
        "bootstrap_clusters",
        "bootstrap_pairs",
        "bootstrap_rows",
        "wilson_interval",
    ),
    "nescio.trace": (
        "Message",
        "Prompt",
        "Sample",
        "Samples",
        "Trace",
        "TraceWriter",
        "read_traces",
        "spans",
        "write_traces",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Corpus",
    "CorpusFields",
    "CorpusSettings",
    "CorpusSummary",
    "Decoding",
    "Detail",
    "Draws",
    "Estimate",
    "Imported",
    "Interval",
    "Message",
    "NescioError",
    "Outcomes",
    "OutcomesFrom",
    "PairStatistics",
    "Predictions",
    "Prompt",
    "Recipe",
    "RowStatistics",
    "Sample",
    "Samples",
    "Sampling",
    "Stream",
    "TokenEvent",
    "Trace",
    "TraceWriter",
    "Window",
    "__version__",
    "bits_per_byte",
    "bits_per_byte_difference",
    "bits_per_character",
    "bits_per_token",
    "bootstrap_blocks",
    "bootstrap_clusters",
    "bootstrap_pairs",
    "bootstrap_rows",
    "entropy_bounds",
    "entropy_rate",
    "generate",
    "import_file",
    "load",
    "load_outcomes",
    "log_softmax",
    "pair_statistics",
    "perplexity",
    "read_corpus",
    "read_outcomes",
    "read_predictions",
    "read_traces",
    "row_statistics",
    "sample",
    "sample_stream",
    "score",
    "score_corpus",
    "score_texts",
    "spans",
    "stream",
    "total_surprisal",
    "wilson_interval",
    "write_outcomes",
    "write_predictions",
    "write_traces",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name == "__version__":
        from nescio.outcome.estimate import nescio_version

        return nescio_version()
    if name not in _HOME_OF:
        raise AttributeError(f"module 'nescio' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    __version__: str
    from nescio.corpus import Corpus as Corpus
    from nescio.corpus import CorpusFields as CorpusFields
    from nescio.corpus import CorpusSettings as CorpusSettings
    from nescio.corpus import CorpusSummary as CorpusSummary
    from nescio.corpus import read_corpus as read_corpus
    from nescio.corpus import score_corpus as score_corpus
    from nescio.decoding import Decoding as Decoding
    from nescio.decoding import Detail as Detail
    from nescio.decoding import Draws as Draws
    from nescio.decoding import Stream as Stream
    from nescio.decoding import TokenEvent as TokenEvent
    from nescio.decoding import Window as Window
    from nescio.decoding import generate as generate
    from nescio.decoding import sample as sample
    from nescio.decoding import sample_stream as sample_stream
    from nescio.decoding import score as score
    from nescio.decoding import score_texts as score_texts
    from nescio.decoding import stream as stream
    from nescio.errors import NescioError as NescioError
    from nescio.imports import Imported as Imported
    from nescio.imports import OutcomesFrom as OutcomesFrom
    from nescio.imports import import_file as import_file
    from nescio.information import bits_per_byte as bits_per_byte
    from nescio.information import bits_per_byte_difference as bits_per_byte_difference
    from nescio.information import bits_per_character as bits_per_character
    from nescio.information import bits_per_token as bits_per_token
    from nescio.information import entropy_bounds as entropy_bounds
    from nescio.information import entropy_rate as entropy_rate
    from nescio.information import perplexity as perplexity
    from nescio.information import total_surprisal as total_surprisal
    from nescio.kernel import PairStatistics as PairStatistics
    from nescio.kernel import RowStatistics as RowStatistics
    from nescio.kernel import Sampling as Sampling
    from nescio.kernel import log_softmax as log_softmax
    from nescio.kernel import pair_statistics as pair_statistics
    from nescio.kernel import row_statistics as row_statistics
    from nescio.outcome import Estimate as Estimate
    from nescio.outcome import Outcomes as Outcomes
    from nescio.outcome import Predictions as Predictions
    from nescio.outcome import Recipe as Recipe
    from nescio.outcome import load_outcomes as load_outcomes
    from nescio.outcome import read_outcomes as read_outcomes
    from nescio.outcome import read_predictions as read_predictions
    from nescio.outcome import write_outcomes as write_outcomes
    from nescio.outcome import write_predictions as write_predictions
    from nescio.specification import load as load
    from nescio.trace import Message as Message
    from nescio.trace import Prompt as Prompt
    from nescio.trace import Sample as Sample
    from nescio.trace import Samples as Samples
    from nescio.trace import Trace as Trace
    from nescio.trace import TraceWriter as TraceWriter
    from nescio.trace import read_traces as read_traces
    from nescio.trace import spans as spans
    from nescio.trace import write_traces as write_traces
    from nescio.uncertainty import Interval as Interval
    from nescio.uncertainty import bootstrap_blocks as bootstrap_blocks
    from nescio.uncertainty import bootstrap_clusters as bootstrap_clusters
    from nescio.uncertainty import bootstrap_pairs as bootstrap_pairs
    from nescio.uncertainty import bootstrap_rows as bootstrap_rows
    from nescio.uncertainty import wilson_interval as wilson_interval
