"""Rates of a corpus: pooled by hand, with intervals by document."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nescio
from nescio.corpus import CorpusFields, CorpusSettings, Resampling, score_corpus
from nescio.corpus.estimates import Units, estimates_of
from nescio.errors import InvalidInput
from nescio.information import LIKELIHOOD_MEASURES
from tests.corpus.making import rows

FIELDS = CorpusFields(id="id", groups=("language",), cluster="meta.source")


def summary(model: Any, documents: Any, out: Path, **options: Any) -> Any:
    return score_corpus(model, documents, out=out, **options).summary()


def test_the_rates_by_hand(tmp_path: Path) -> None:
    found = summary(nescio.load("table:topics"), ["ab", "c"], tmp_path / "out")
    first = -math.log2(0.25) - math.log2(0.931)
    second = -math.log2(0.125)
    rates = found.whole.estimates
    assert rates["bits_per_byte"].value == pytest.approx((first + second) / 3, rel=1e-6)
    assert rates["perplexity"].value == pytest.approx(
        2 ** ((first + second) / 3), rel=1e-6
    )
    start = -(2 * 0.25 * math.log2(0.25) + 4 * 0.125 * math.log2(0.125))
    orderly = [0.049, 0.931, 0.005, 0.005, 0.005, 0.005]
    after = -sum(p * math.log2(p) for p in orderly)
    assert rates["entropy_rate"].value == pytest.approx(
        (2 * start + after) / 3, rel=1e-6
    )
    assert rates["surprisal_minus_entropy"].value == pytest.approx(
        rates["bits_per_token"].value - rates["entropy_rate"].value
    )
    assert found.whole.counts["scored_tokens"] == 3


def test_the_estimates_are_those_of_the_pooled_traces(tmp_path: Path) -> None:
    model, texts = nescio.load("table:topics"), [row["text"] for row in rows(30)]
    found = summary(model, texts, tmp_path / "out").whole.estimates
    traces = nescio.score_texts(model, texts)
    for name in ("bits_per_byte", "bits_per_character", "perplexity", "entropy_rate"):
        expected = LIKELIHOOD_MEASURES[name](traces)
        assert found[name].value == pytest.approx(expected.value, rel=1e-9)
        assert found[name].low == pytest.approx(expected.low, rel=1e-9)
        assert found[name].high == pytest.approx(expected.high, rel=1e-9)
        assert found[name].n_clusters == expected.n_clusters == 30
        assert found[name].n == expected.n
        assert (found[name].unit, found[name].kind) == (expected.unit, expected.kind)
        assert found[name].population == expected.population


def test_a_group_is_a_corpus_of_its_own(tmp_path: Path) -> None:
    model, documents = nescio.load("table:topics"), rows(30)
    fields = CorpusFields(groups=("language",))
    groups = summary(model, documents, tmp_path / "all", fields=fields).groups
    assert list(groups["language"]) == ["de", "en", "fr"]
    for language, found in groups["language"].items():
        own = [row for row in documents if row["language"] == language]
        alone = summary(model, own, tmp_path / language).whole
        for name, estimate in alone.estimates.items():
            mine = found.estimates[name]
            assert (mine.value, mine.low, mine.high) == (
                estimate.value,
                estimate.low,
                estimate.high,
            )
        assert found.counts == alone.counts


def test_clusters_are_resampled_whole(tmp_path: Path) -> None:
    model, documents = nescio.load("table:topics"), rows(70)
    found = summary(model, documents, tmp_path / "out", fields=FIELDS).whole
    rate = found.estimates["bits_per_byte"]
    assert rate.n_clusters == 7
    assert "clusters of documents (meta.source)" in rate.population
    joined = [
        "".join(r["text"] for r in documents if r["meta"]["source"] == f"s{source}")
        for source in range(7)
    ]
    assert sum(map(len, joined)) == found.counts["bytes"]
    plain = summary(model, documents, tmp_path / "plain").whole
    assert rate.value == pytest.approx(plain.estimates["bits_per_byte"].value)
    assert rate.low != plain.estimates["bits_per_byte"].low


def test_few_clusters_have_no_interval_and_say_so(tmp_path: Path) -> None:
    found = summary(
        nescio.load("table:topics"), rows(1), tmp_path / "out", fields=FIELDS
    )
    population = found.whole.estimates["perplexity"].population
    assert "1 cluster (meta.source) cannot show how clusters (meta" in population


@pytest.mark.parametrize("count", [1, 4])
def test_few_documents_have_no_interval_and_say_so(tmp_path: Path, count: int) -> None:
    texts = [row["text"] for row in rows(count)]
    found = summary(nescio.load("table:topics"), texts, tmp_path / "out")
    for estimate in found.whole.estimates.values():
        assert estimate.low is None
        assert "no interval" in estimate.population
        assert f"{count} document" in estimate.population
        assert "at least 5" in estimate.population


def test_an_impossible_token_makes_the_rate_infinite_without_interval(
    tmp_path: Path,
) -> None:
    table = tmp_path / "never.json"
    table.write_text('{"tokens": ["a", "b"], "rows": [{"after": [], "p": [1.0, 0.0]}]}')
    model = nescio.load(f"table:{table}")
    found = summary(model, ["a"] * 6 + ["b"], tmp_path / "out")
    rate = found.whole.estimates["bits_per_byte"]
    assert rate.value == math.inf
    assert rate.low is None
    assert "impossible" in rate.population
    assert found.whole.estimates["entropy_rate"].value == 0.0
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))


def test_the_summary_file_is_the_summary(tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = summary(nescio.load("table:topics"), rows(12), out, fields=FIELDS)
    raw = json.loads((out / "summary.json").read_text(), parse_constant=pytest.fail)
    assert raw == found.to_dict()
    assert list(raw) == ["estimates", "counts", "items", "groups", "origin", "source"]
    whole = raw["estimates"]["bits_per_byte"]["recipe"]
    assert whole["settings"]["resampled"] == "clusters (meta.source)"
    recipe = raw["groups"]["language"]["en"]["estimates"]["bits_per_byte"]["recipe"]
    assert recipe["settings"]["group"] == {"language": "en"}
    assert recipe["settings"]["source"]["sha256"] == raw["source"]["sha256"]


def test_the_level_and_the_seed_are_the_callers(tmp_path: Path) -> None:
    model = nescio.load("table:topics")
    corpus = score_corpus(model, rows(30), out=tmp_path / "out")
    wide, narrow = corpus.summary(level=0.99), corpus.summary(level=0.5)
    one, other = (s.whole.estimates["bits_per_byte"] for s in (wide, narrow))
    limits = [one.low, other.low, other.high, one.high]
    assert limits == sorted(limits)
    assert len(set(limits)) == 4
    assert corpus.summary(seed=1).whole.estimates["bits_per_byte"] != one
    with pytest.raises(InvalidInput, match="level"):
        corpus.summary(level=1.0)


def test_many_documents_dealt_into_hands_give_the_same_interval() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 200, 25_000).astype(float)
    surprisal = tokens * rng.gamma(4.0, 0.5, len(tokens))
    order = np.argsort(surprisal / tokens)  # the easy ones first

    def units(chosen: np.ndarray) -> Units:
        columns = {
            "total_surprisal": surprisal[chosen],
            "total_entropy": tokens[chosen],
            "scored_tokens": tokens[chosen],
            "scored_bytes": tokens[chosen],
            "scored_characters": tokens[chosen],
        }
        return Units(columns, len(chosen))

    rate = estimates_of(units(order), Resampling())["bits_per_token"]
    sums = np.stack([surprisal / math.log(2), tokens], axis=1)[order]
    plain = nescio.bootstrap_rows(sums, lambda means: means[:, 0] / means[:, 1])
    assert "dealt into" in rate.recipe.settings["resampled"]
    assert rate.n_clusters == 25_000
    assert rate.low == pytest.approx(plain.low, abs=0.08 * plain.width)
    assert rate.high == pytest.approx(plain.high, abs=0.08 * plain.width)


def test_documents_without_a_scored_token_are_counted_apart(tmp_path: Path) -> None:
    settings = CorpusSettings(skip_bad=True)
    found = summary(
        nescio.load("table:topics"),
        [{"text": "ab", "g": "x"}, {"text": "??", "g": "y"}],
        tmp_path / "out",
        fields=CorpusFields(groups=("g",)),
        settings=settings,
    )
    assert found.groups["g"]["y"].estimates == {}
    assert found.groups["g"]["y"].counts["refused_documents"] == 1
    assert found.whole.counts["scored_tokens"] == 2
