"""A corpus: many documents scored by one model, in shards, resumed after anything."""

from __future__ import annotations

from nescio.corpus.documents import CorpusFields
from nescio.corpus.estimates import CORPUS_MEASURES, Resampling
from nescio.corpus.job import Asked, CorpusSettings
from nescio.corpus.reading import Corpus, CorpusSummary, GroupSummary, read_corpus
from nescio.corpus.scoring import CorpusProgress, run_job, score_corpus
from nescio.corpus.sums import Sums
from nescio.corpus.survey import ShardSize

__all__ = [
    "CORPUS_MEASURES",
    "Asked",
    "Corpus",
    "CorpusFields",
    "CorpusProgress",
    "CorpusSettings",
    "CorpusSummary",
    "GroupSummary",
    "Resampling",
    "ShardSize",
    "Sums",
    "read_corpus",
    "run_job",
    "score_corpus",
]
