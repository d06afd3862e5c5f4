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
from nescio.corpus.sums import sums_of
from nescio.errors import InvalidInput
from nescio.information import LIKELIHOOD_MEASURES
from nescio.uncertainty import bootstrap_rows, ratio_of_means
from tests.corpus.making import rows
from tests.traces import make_trace

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


@pytest.mark.parametrize(
    ("unscored", "counted"),
    [
        ([], (4, 7, 6.0, 2, 3)),
        ([0], (3, 6, 5.0, 1, 2)),
        ([0, 1], (2, 4, 3.0, 1, 1)),
        ([1], (3, 5, 4.0, 2, 2)),
        ([0, 3], (2, 5, 4.0, 0, 1)),
        ([0, 1, 2, 3], (0, 0, 0.0, 0, 0)),
    ],
)
def test_unscored_tokens_add_to_no_sum(
    unscored: list[int], counted: tuple[float, ...]
) -> None:
    rank = np.array([1, 10, 11, 1], dtype=np.int32)
    rank[unscored] = 0
    given = {"unscored": unscored, "rank": rank, "entropy": 0.5, "varentropy": 0.25}
    found = sums_of(make_trace(["a", "bc", "éx", "d"], -2.0, **given))
    n = 4 - len(unscored)
    assert (found.tokens, found.bytes, found.scored_tokens) == (4, 7, n)
    assert (
        found.scored_tokens,
        found.scored_bytes,
        found.scored_characters,
        found.top_1,
        found.top_10,
    ) == counted
    sums = found.total_surprisal, found.total_entropy, found.total_varentropy
    assert sums == (2.0 * n, 0.5 * n, 0.25 * n)


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


def test_the_interval_by_cluster_is_that_of_the_clusters_sums(tmp_path: Path) -> None:
    """Of a group too, which some clusters have no document of."""
    documents = [
        {**row, "language": "x" if number % 7 in (0, 2, 3, 5, 6) else "y"}
        for number, row in enumerate(rows(70))
    ]
    model = nescio.load("table:topics")
    corpus = score_corpus(model, documents, out=tmp_path / "out", fields=FIELDS)
    found, table = corpus.summary(seed=4), corpus.documents().to_pylist()
    for group, parts in [
        (found.whole, ["s0", "s1", "s2", "s3", "s4", "s5", "s6"]),
        (found.groups["language"]["x"], ["s0", "s2", "s3", "s5", "s6"]),
    ]:
        sums = np.zeros((len(parts), 2))
        for row in table:
            if row["cluster"] in parts:
                sums[parts.index(row["cluster"])] += (
                    row["total_surprisal"] / math.log(2),
                    row["scored_bytes"],
                )
        expected = bootstrap_rows(
            sums, ratio_of_means, level=0.95, resamples=2000, seed=4
        )
        rate = group.estimates["bits_per_byte"]
        assert rate.n_clusters == len(parts)
        assert rate.value == pytest.approx(sums[:, 0].sum() / sums[:, 1].sum())
        assert (rate.low, rate.high) == pytest.approx((expected.low, expected.high))


def test_documents_without_numbers_are_no_units(tmp_path: Path) -> None:
    texts = [row["text"] for row in rows(12)]
    model, skip = nescio.load("table:topics"), CorpusSettings(skip_bad=True)
    plain = summary(model, texts, tmp_path / "plain").whole
    found = summary(
        model, [*texts[:5], "", *texts[5:], "x"], tmp_path / "out", settings=skip
    ).whole
    assert found.counts["refused_documents"] == 2
    for name, estimate in found.estimates.items():
        assert estimate.n_clusters == 12
        assert (estimate.low, estimate.high) == (
            plain.estimates[name].low,
            plain.estimates[name].high,
        )


def test_groups_are_named_rightly_in_whatever_order_they_come(tmp_path: Path) -> None:
    documents = [{"text": "ab" * n, "g": g} for n, g in enumerate("cabdcab", start=1)]
    fields = CorpusFields(groups=("g",))
    found = summary(
        nescio.load("table:topics"), documents, tmp_path / "out", fields=fields
    )
    bytes_of = {g: one.counts["bytes"] for g, one in found.groups["g"].items()}
    assert bytes_of == {"a": 2 * (2 + 6), "b": 2 * (3 + 7), "c": 2 * (1 + 5), "d": 8}


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
