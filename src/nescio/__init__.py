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
    "nescio.comparison": (
        "Compared",
        "Comparison",
        "Stretches",
        "compare",
    ),
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
        "MaximumLikelihood",
        "binary_log_loss",
        "bits_per_byte",
        "bits_per_byte_difference",
        "bits_per_character",
        "bits_per_token",
        "categorical_log_loss",
        "chao_shen_entropy",
        "conditional_entropy",
        "cross_entropy",
        "die_maximum_likelihood",
        "entropy",
        "entropy_bounds",
        "entropy_from_counts",
        "entropy_rate",
        "jeffreys_divergence",
        "jensen_shannon_distance",
        "jensen_shannon_divergence",
        "kl_divergence",
        "log_likelihood",
        "markov_entropy_rate",
        "miller_madow_entropy",
        "mutual_information",
        "perplexity",
        "plug_in_entropy",
        "renyi_entropy",
        "sequence_perplexity",
        "shrinkage_entropy",
        "stationary_distribution",
        "surprisal",
        "total_surprisal",
        "varentropy",
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
    "Compared",
    "Comparison",
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
    "MaximumLikelihood",
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
    "Stretches",
    "TokenEvent",
    "Trace",
    "TraceWriter",
    "Window",
    "__version__",
    "binary_log_loss",
    "bits_per_byte",
    "bits_per_byte_difference",
    "bits_per_character",
    "bits_per_token",
    "bootstrap_blocks",
    "bootstrap_clusters",
    "bootstrap_pairs",
    "bootstrap_rows",
    "categorical_log_loss",
    "chao_shen_entropy",
    "compare",
    "conditional_entropy",
    "cross_entropy",
    "die_maximum_likelihood",
    "entropy",
    "entropy_bounds",
    "entropy_from_counts",
    "entropy_rate",
    "generate",
    "import_file",
    "jeffreys_divergence",
    "jensen_shannon_distance",
    "jensen_shannon_divergence",
    "kl_divergence",
    "load",
    "load_outcomes",
    "log_likelihood",
    "log_softmax",
    "markov_entropy_rate",
    "miller_madow_entropy",
    "mutual_information",
    "pair_statistics",
    "perplexity",
    "plug_in_entropy",
    "read_corpus",
    "read_outcomes",
    "read_predictions",
    "read_traces",
    "renyi_entropy",
    "row_statistics",
    "sample",
    "sample_stream",
    "score",
    "score_corpus",
    "score_texts",
    "sequence_perplexity",
    "shrinkage_entropy",
    "spans",
    "stationary_distribution",
    "stream",
    "surprisal",
    "total_surprisal",
    "varentropy",
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
    from nescio.comparison import Compared as Compared
    from nescio.comparison import Comparison as Comparison
    from nescio.comparison import Stretches as Stretches
    from nescio.comparison import compare as compare
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
    from nescio.information import MaximumLikelihood as MaximumLikelihood
    from nescio.information import binary_log_loss as binary_log_loss
    from nescio.information import bits_per_byte as bits_per_byte
    from nescio.information import bits_per_byte_difference as bits_per_byte_difference
    from nescio.information import bits_per_character as bits_per_character
    from nescio.information import bits_per_token as bits_per_token
    from nescio.information import categorical_log_loss as categorical_log_loss
    from nescio.information import chao_shen_entropy as chao_shen_entropy
    from nescio.information import conditional_entropy as conditional_entropy
    from nescio.information import cross_entropy as cross_entropy
    from nescio.information import die_maximum_likelihood as die_maximum_likelihood
    from nescio.information import entropy as entropy
    from nescio.information import entropy_bounds as entropy_bounds
    from nescio.information import entropy_from_counts as entropy_from_counts
    from nescio.information import entropy_rate as entropy_rate
    from nescio.information import jeffreys_divergence as jeffreys_divergence
    from nescio.information import jensen_shannon_distance as jensen_shannon_distance
    from nescio.information import (
        jensen_shannon_divergence as jensen_shannon_divergence,
    )
    from nescio.information import kl_divergence as kl_divergence
    from nescio.information import log_likelihood as log_likelihood
    from nescio.information import markov_entropy_rate as markov_entropy_rate
    from nescio.information import miller_madow_entropy as miller_madow_entropy
    from nescio.information import mutual_information as mutual_information
    from nescio.information import perplexity as perplexity
    from nescio.information import plug_in_entropy as plug_in_entropy
    from nescio.information import renyi_entropy as renyi_entropy
    from nescio.information import sequence_perplexity as sequence_perplexity
    from nescio.information import shrinkage_entropy as shrinkage_entropy
    from nescio.information import stationary_distribution as stationary_distribution
    from nescio.information import surprisal as surprisal
    from nescio.information import total_surprisal as total_surprisal
    from nescio.information import varentropy as varentropy
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
