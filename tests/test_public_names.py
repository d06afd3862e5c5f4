"""The public face: what ``nescio`` offers is what is listed, and all of it works."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import nescio


def test_the_public_names_are_these() -> None:
    assert nescio.__all__ == sorted(nescio.__all__)
    assert set(nescio.__all__) == {
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
    }


@pytest.mark.parametrize("name", nescio.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    found = getattr(nescio, name)
    assert name == "__version__" or (found.__doc__ or "").strip()
    assert name in dir(nescio)


def test_names_for_type_checkers_are_the_names_at_run_time() -> None:
    source = Path(nescio.__file__).read_text(encoding="utf-8")
    one = r"^    from (\S+) import \(?\s*(\w+) as \2\b"  # too long a line is wrapped
    checked = re.findall(one, source, re.MULTILINE)
    assert {name for _, name in checked} == set(nescio.__all__) - {"__version__"}
    for home, name in checked:
        assert getattr(import_module(home), name) is getattr(nescio, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'entrpy'"):
        _ = nescio.entrpy


def test_a_name_stays_a_function_when_its_modules_are_imported_first() -> None:
    code = (
        "import nescio.specification, nescio.decoding, nescio.trace, nescio\n"
        "assert callable(nescio.load) and callable(nescio.score)\n"
        "assert nescio.load('table:coin').name == 'table:coin'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
