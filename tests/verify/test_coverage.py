"""How often intervals hold the truth, on sources whose entropy rate is known exactly.

Every source is a table: its entropy rate is a sum, its texts are drawn from its
stationary distribution, and the surprisal of a token is its own log-probability. The
methods were chosen on other seeds; here they are only counted.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nescio.errors import NotEnoughData
from nescio.models.table import Table, read_table
from nescio.uncertainty import (
    automatic_block_length,
    bootstrap_blocks,
    bootstrap_rows,
    ratio_of_means,
    wilson_interval,
)
from nescio.uncertainty.blocks import resampled_sums
from tests.results import write_result

TEXTS, MAIN_TEXTS, RESAMPLES, SEED = 500, 2000, 999, 20_240_731
LENGTHS = (250, 1000, 4000)
LETTERS = "abcdefghijklmnop"
MAIN = "topics, stay .98 (bundled table)"
FOUND: dict[str, Any] = {}
RECIPE = {
    "texts": f"{TEXTS}, of the bundled table {MAIN_TEXTS}",
    "resamples": RESAMPLES,
    "seed": SEED,
    "level": 0.95,
    "estimator": "mean surprisal of a text under its own source, nats a token",
    "truth": "exact entropy rate of the table",
    "iid": "mean +- 1.96 s / sqrt(n)",
    "percentile": "percentiles of the stationary bootstrap, automatic block length",
    "studentised": "nescio.uncertainty.bootstrap_blocks: studentised stationary "
    "bootstrap, lugsail standard error, automatic block length in [n/200, n/10]",
    "documents": "nescio.uncertainty.bootstrap_rows of (nats, tokens) sums, expanded "
    "percentiles; lengths log-normal (median 150, sigma 1), 95 % asked",
    "note": "a first count of 500 texts of the bundled table gave .904 (10 refused), "
    ".974 and .962; as 3,000 more of 1,000 tokens gave .964 it is counted on 2,000",
    "refused": "texts for which the method gave no interval; not in the coverage",
}


def topics(stay: list[float], letters: list[int], order: float) -> list[list[float]]:
    """Groups of letters that rarely change; the first cycles in order, mostly."""
    edges = np.cumsum([0, *letters])
    rows = np.zeros((edges[-1], edges[-1]))
    for own, (begin, end) in enumerate(pairwise(edges)):
        leave = (1 - stay[own]) / (len(letters) - 1)
        for letter in range(begin, end):
            for other, width in enumerate(letters):
                share = stay[own] if other == own else leave
                rows[letter, edges[other] : edges[other + 1]] = share / width
            if own == 0:
                rows[letter, begin:end] *= 1 - order
                follower = begin + (letter - begin + 1) % letters[0]
                rows[letter, follower] += stay[own] * order
    return rows.tolist()


def plain(letters: int, seed: int, concentration: float) -> list[list[float]]:
    """Any chain: rows drawn from a Dirichlet distribution."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(letters, concentration), letters).tolist()


def alternating() -> list[list[float]]:
    """A hard letter after every easy one: surprisal that swings to and fro."""
    rows = np.full((6, 6), 0.01)
    rows[0], rows[0, 0], rows[1:, 0] = 0.19, 0.05, 0.95
    return rows.tolist()


SOURCES = {
    "independent letters": [[w / 3.0199 for w in (1, 0.75, 0.6, 0.4, 0.2, 0.0699)]] * 6,
    "plain chain": plain(8, 7, 0.4),
    "another plain chain": plain(12, 101, 0.15),
    "alternating": alternating(),
    "topics, stay .85": topics([0.85, 0.85], [2, 4], 0.95),
    "topics, stay .95": topics([0.95, 0.95], [2, 4], 0.95),
    MAIN: None,
    "topics, stay .99": topics([0.99, 0.99], [2, 4], 0.95),
    "three topics, stay .96": topics([0.96, 0.96, 0.96], [2, 4, 8], 0.5),
    "rare topic, 10 % of the text in runs of 22": topics([0.995, 0.955], [2, 4], 0.95),
}
# What was settled before counting: on the bundled table the interval covers 93 to 97 %
# of the texts of 1,000 and of 4,000 tokens. Elsewhere chance alone moves one of a dozen
# rates out of that, so there 92 to 98.5 % is asked, from this many tokens on.
PROMISED = {
    "independent letters": 1000,
    "plain chain": 1000,
    "another plain chain": 1000,
    "topics, stay .85": 1000,
    "topics, stay .95": 1000,
    "three topics, stay .96": 4000,
}


def as_table(rows: list[list[float]] | None, folder: Path) -> Table:
    """The table of a chain of order one that begins with any letter alike."""
    if rows is None:
        return read_table("topics")
    letters = list(LETTERS[: len(rows)])
    first = {"after": [], "p": [1 / len(rows)] * len(rows)}
    table = {
        "tokens": letters,
        "rows": [first]
        + [{"after": [a], "p": p} for a, p in zip(letters, rows, strict=True)],
    }
    path = folder / "source.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    return read_table(path)


def surprisals(source: Table, *, texts: int, length: int, seed: int) -> np.ndarray:
    """-log P(token | token before) of stationary texts, nats, [texts, length]."""
    rng = np.random.default_rng(seed)
    ids = source.simulate(rng, texts=texts, length=length + 1)
    order = np.stack([source.row((letter,)) for letter in range(ids.max() + 1)])
    return -order[ids[:, :-1], ids[:, 1:]]


def percentile_limits(series: np.ndarray, seed: int) -> tuple[float, float]:
    """The plain percentile interval of the stationary bootstrap."""
    parts = resampled_sums(
        series[None],
        block_length=automatic_block_length(series),
        resamples=RESAMPLES,
        rng=np.random.default_rng(seed),
    )
    means = np.concatenate([sums[0].sum(axis=1) / len(series) for sums, _ in parts])
    low, high = np.quantile(means, [0.025, 0.975]).tolist()
    return low, high


def limits_of(series: np.ndarray, seed: int) -> dict[str, tuple[float, float] | None]:
    """The limits of each method, None where it refuses."""
    half = 1.96 * series.std(ddof=1) / math.sqrt(len(series))
    limits: dict[str, tuple[float, float] | None] = {
        "iid": (series.mean() - half, series.mean() + half),
        "percentile": percentile_limits(series, seed),
    }
    try:
        found = bootstrap_blocks(series, resamples=RESAMPLES, seed=seed)
        limits["studentised"] = (found.low, found.high)
    except NotEnoughData:
        limits["studentised"] = None
    return limits


def rate(covered: int, refused: int, widths: list[float]) -> dict[str, Any]:
    """Coverage of those that gave an interval, with its own interval."""
    own = wilson_interval(covered, len(widths))
    return {
        "coverage": round(covered / len(widths), 4),
        "low": round(own.low, 4),
        "high": round(own.high, 4),
        "refused": refused,
        "median width": float(f"{np.median(widths):.4g}"),
    }


def study(source: Table, length: int, *, texts: int, seed: int) -> dict[str, Any]:
    """Coverage of every method on texts of one length."""
    truth = source.entropy_rate()
    covered, refused = Counter[str](), Counter[str]()
    widths: dict[str, list[float]] = {}
    for number, series in enumerate(
        surprisals(source, texts=texts, length=length, seed=seed)
    ):
        for method, limits in limits_of(series, number).items():
            if limits is None:
                refused[method] += 1
                continue
            covered[method] += limits[0] <= truth <= limits[1]
            widths.setdefault(method, []).append(limits[1] - limits[0])
    return {m: rate(covered[m], refused[m], widths[m]) for m in widths}


@pytest.mark.verify
@pytest.mark.parametrize("name", list(SOURCES))
def test_the_block_interval_holds_the_exact_entropy_rate(name, tmp_path):
    source = as_table(SOURCES[name], tmp_path)
    seeds = np.random.SeedSequence([SEED, list(SOURCES).index(name)])
    lengths = zip(LENGTHS, seeds.generate_state(len(LENGTHS)), strict=True)
    texts = MAIN_TEXTS if name == MAIN else TEXTS
    found = {
        str(n): study(source, n, texts=texts, seed=int(seed)) for n, seed in lengths
    }
    FOUND[name] = {
        "entropy rate, nats/token": round(source.entropy_rate(), 6),
        "texts": texts,
    } | found
    write_result("coverage_entropy_rate", FOUND, **RECIPE)
    for n in LENGTHS:
        coverage = found[str(n)]["studentised"]["coverage"]
        if n >= PROMISED.get(name, math.inf):
            assert 0.92 <= coverage <= 0.985
        if name == MAIN and n >= 1000:
            assert 0.93 <= coverage <= 0.97
    if name.startswith(("topics", "three", "rare")):
        assert found["4000"]["iid"]["coverage"] < 0.85
        assert found["4000"]["studentised"]["coverage"] > 0.9


@pytest.mark.verify
def test_the_interval_by_document_holds_the_entropy_rate(tmp_path):
    source = as_table(SOURCES["topics, stay .95"], tmp_path)
    truth, rng = source.entropy_rate(), np.random.default_rng(SEED)
    found: dict[str, Any] = {}
    for documents in (5, 10, 20, 50):
        covered, widths = 0, []
        lengths = np.exp(rng.normal(np.log(150), 1.0, (TEXTS, documents)))
        lengths = np.clip(lengths.astype(int), 10, 3000)
        for number in range(TEXTS):
            nats = surprisals(
                source,
                texts=documents,
                length=int(lengths[number].max()),
                seed=int(rng.integers(2**32)),
            )
            sums = [row[:n].sum() for row, n in zip(nats, lengths[number], strict=True)]
            columns = np.stack([np.array(sums), lengths[number].astype(float)], axis=1)
            interval = bootstrap_rows(
                columns, ratio_of_means, resamples=RESAMPLES, seed=number
            )
            covered += interval.low <= truth <= interval.high
            widths.append(interval.width)
        found[str(documents)] = {"by document": rate(covered, 0, widths)}
    FOUND["documents of topics, stay .95"] = found
    write_result("coverage_entropy_rate", FOUND, **RECIPE)
    assert found["50"]["by document"]["coverage"] > 0.9
    assert found["5"]["by document"]["coverage"] > 0.8
