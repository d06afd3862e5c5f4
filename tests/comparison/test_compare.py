"""Two models on one text: exact on tables, against full logits, and at the edges."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import nescio
from nescio import Window
from nescio.comparison import Compared, Comparison, compare
from nescio.comparison.lockstep import Rows, aligned
from nescio.errors import (
    CapabilityError,
    ContextOverflow,
    InvalidInput,
    InvalidText,
)
from nescio.models.protocol import LogitBlock
from tests.comparison.making import (
    ONE,
    STRICT,
    TWO,
    Engine,
    exact_kl_rate,
    make_table,
    row_kl,
    simulated,
)
from tests.models.tiny import tiny_model

TEXT = "abacabbcaabcbabaacab" * 12


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tables")
    return [
        make_table(folder, name, rows)
        for name, rows in (("one", ONE), ("two", TWO), ("strict", STRICT))
    ]


def only(found: Comparison) -> Compared:
    (text,) = found.texts
    assert isinstance(text, Compared)
    return text


def value(found: Comparison, name: str) -> float:
    number = found.estimates[name].value
    assert number is not None
    return number


def test_every_token_has_the_numbers_of_the_two_rows(tables: Any) -> None:
    one, other, _ = tables
    found = only(compare(one, other, TEXT))
    ids = one.encode(TEXT.encode())
    for token in range(len(ids)):
        p, q = one.row(ids[:token].tolist()), other.row(ids[:token].tolist())
        m = np.logaddexp(p, q) - math.log(2)
        js = (row_kl(p, m) + row_kl(q, m)) / 2
        assert found.logp_reference[token] == pytest.approx(p[ids[token]], abs=1e-12)
        assert found.logp_other[token] == pytest.approx(q[ids[token]], abs=1e-12)
        assert found.kl_forward[token] == pytest.approx(row_kl(p, q), abs=1e-12)
        assert found.kl_backward[token] == pytest.approx(row_kl(q, p), abs=1e-12)
        assert found.js[token] == pytest.approx(js, abs=1e-12)
        assert found.same_top[token] == (p.argmax() == q.argmax())
        assert found.first_ids[:, token].tolist() == [p.argmax(), q.argmax()]
        expected = np.exp(q[ids[token]]) - np.exp(p[ids[token]])
        assert found.delta_p[token] == pytest.approx(expected, abs=1e-12)
        assert found.context_used[token] == token + 1


def test_the_table_is_means_and_quantiles_of_the_tokens(tables: Any) -> None:
    one, other, _ = tables
    found = compare(one, other, TEXT)
    text = only(found)
    apart = (text.logp_reference - text.logp_other).mean()
    correlation = np.corrcoef(text.logp_reference, text.logp_other)[0, 1]
    expected = {
        "perplexity_reference": math.exp(-text.logp_reference.mean()),
        "perplexity_other": math.exp(-text.logp_other.mean()),
        "perplexity_ratio": math.exp(apart),
        "log_perplexity_ratio": apart,
        "logp_correlation": correlation,
        "bits_per_byte_difference": apart / math.log(2),
        "kl_divergence_mean": text.kl_forward.mean(),
        "kl_divergence_median": np.median(text.kl_forward),
        "kl_divergence_percentile_90": np.quantile(text.kl_forward, 0.9),
        "kl_divergence_percentile_99_9": np.quantile(text.kl_forward, 0.999),
        "kl_divergence_maximum": text.kl_forward.max(),
        "reverse_kl_divergence_mean": text.kl_backward.mean(),
        "js_divergence_mean": text.js.mean(),
        "delta_p_mean": text.delta_p.mean(),
        "delta_p_rms": math.sqrt((text.delta_p**2).mean()),
        "delta_p_minimum": text.delta_p.min(),
        "delta_p_percentile_1": np.quantile(text.delta_p, 0.01),
        "delta_p_percentile_0_1": np.quantile(text.delta_p, 0.001),
        "same_top_share": text.same_top.mean(),
    }
    for name, number in expected.items():
        assert value(found, name) == pytest.approx(number, rel=1e-6), name
    for name, estimate in found.estimates.items():
        if not name.endswith(("imum",)):
            assert estimate.low is not None, name
            assert estimate.low <= value(found, name), name
            assert estimate.high is None or estimate.high >= value(found, name), name
        assert "P is the reference" in str(estimate.recipe.settings) or name.startswith(
            ("bits", "perplexity_reference", "perplexity_other")
        )


def test_the_mean_divergence_finds_the_exact_rate_of_the_source(tables: Any) -> None:
    one, other, _ = tables
    found = compare(one, other, simulated(one, length=8000, seed=5))
    kl = found.estimates["kl_divergence_mean"]
    exact = exact_kl_rate(one, other)
    assert kl.value == pytest.approx(exact, rel=0.05)
    assert kl.low is not None
    assert kl.high is not None
    assert kl.low < exact < kl.high
    # Under its own source P, the mean of the paired differences is KL(P || Q) too.
    ratio = found.estimates["log_perplexity_ratio"]
    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.low < exact < ratio.high


def test_a_model_with_itself_differs_nowhere(tables: Any) -> None:
    found = compare(tables[0], tables[0], TEXT)
    for name, number in {
        "perplexity_ratio": 1.0,
        "log_perplexity_ratio": 0.0,
        "logp_correlation": 1.0,
        "kl_divergence_mean": 0.0,
        "kl_divergence_maximum": 0.0,
        "reverse_kl_divergence_mean": 0.0,
        "js_divergence_mean": 0.0,
        "delta_p_rms": 0.0,
        "same_top_share": 1.0,
        "bits_per_byte_difference": 0.0,
    }.items():
        assert value(found, name) == pytest.approx(number, abs=1e-12), name
    share = found.estimates["same_top_share"]
    assert share.low is not None
    assert 0.97 < share.low < 1.0  # agreement on 240 tokens is no proof for all


def test_swapping_the_models_swaps_the_directions(tables: Any) -> None:
    forth = compare(tables[0], tables[1], TEXT)
    back = compare(tables[1], tables[0], TEXT)
    for one, other in (
        ("kl_divergence_mean", "reverse_kl_divergence_mean"),
        ("reverse_kl_divergence_mean", "kl_divergence_mean"),
        ("perplexity_reference", "perplexity_other"),
        ("js_divergence_mean", "js_divergence_mean"),
        ("logp_correlation", "logp_correlation"),
        ("delta_p_rms", "delta_p_rms"),
    ):
        assert value(forth, one) == pytest.approx(value(back, other), rel=1e-9)
    assert value(forth, "perplexity_ratio") * value(
        back, "perplexity_ratio"
    ) == pytest.approx(1.0)
    for name in ("log_perplexity_ratio", "delta_p_mean", "bits_per_byte_difference"):
        assert value(forth, name) == pytest.approx(-value(back, name))
    assert value(forth, "delta_p_percentile_5") == pytest.approx(
        -value(back, "delta_p_percentile_95")
    )


@settings(max_examples=25)
@given(some.integers(1, 40), some.integers(1, 40), some.integers(1, 70))
def test_engines_may_cut_their_blocks_where_they_like(
    one: int, other: int, length: int
) -> None:
    table, text = nescio.load("table:topics"), (TEXT * 2)[:length]
    plain = only(compare(table, table, text))
    cut = only(compare(Engine(table, one), Engine(table, other), text))
    np.testing.assert_array_equal(cut.logp_reference, plain.logp_reference)
    np.testing.assert_array_equal(cut.logp_other, plain.logp_other)
    assert cut.scored.all()
    assert not cut.kl_forward.any()


def test_rows_that_are_missing_or_out_of_order_are_refused(tables: Any) -> None:
    sound = tables[0]
    with pytest.raises(CapabilityError, match="engine 8 gave fewer rows"):
        compare(sound, Engine(sound, 8, lost=1), TEXT)
    with pytest.raises(CapabilityError, match="engine 8 gave the logits for token"):
        compare(sound, Engine(sound, 8, order=-1), TEXT)


def test_no_more_than_one_block_of_each_model_is_asked_for_ahead() -> None:
    asked: list[tuple[str, int]] = []

    def blocks(name: str, sizes: list[int]) -> Any:
        first = 0
        for size in sizes:
            asked.append((name, first))
            positions = np.arange(first, first + size)
            yield LogitBlock(np.zeros(size, np.int64), positions, np.zeros((size, 2)))
            first += size

    one = Rows("one", blocks("one", [3, 0, 5, 2]), 0)
    other = Rows("other", blocks("other", [4, 6]), 0)
    counts = []
    for tokens, a, b in aligned(one, other, begin=0, end=10):
        counts.append(len(tokens))
        assert len(a) == len(b) == len(tokens)
        assert all(first <= tokens[0] for _, first in asked)
    assert counts == [3, 1, 4, 2]


def test_texts_longer_than_the_context_are_read_by_the_same_windows(
    tables: Any,
) -> None:
    one, other, _ = tables
    whole = only(compare(one, other, TEXT))
    for contexts in ((16, 50), (50, 16), (None, 16), (16, 16)):
        models = [
            Engine(table, context_length=context)
            for table, context in zip((one, other), contexts, strict=True)
        ]
        found = compare(models[0], models[1], TEXT)
        text = only(found)
        assert text.scored.all()
        assert text.context_used.max() == 15
        assert text.context_used[15:].min() == 8
        # Tables look back one token only: windows change nothing.
        np.testing.assert_allclose(text.kl_forward, whole.kl_forward)
        assert found.reference.decoding["window"] == 16
        assert found.other.decoding["stride"] == 8
    small = Engine(one, context_length=16)
    with pytest.raises(ContextOverflow, match="allow windowing"):
        compare(small, one, TEXT, window=Window(sliding=False))
    with pytest.raises(InvalidInput, match="does not fit the context of 16"):
        compare(one, small, TEXT, window=Window(size=17))


def test_without_a_document_start_the_first_token_drops_out_of_both(
    tables: Any,
) -> None:
    one, other, _ = tables
    whole = compare(one, other, TEXT)
    for models in (
        (Engine(one, start=()), other),
        (one, Engine(other, start=())),
        (Engine(one, start=(), context_length=12), Engine(other, context_length=14)),
    ):
        found = compare(*models, TEXT)
        text = only(found)
        assert text.scored.tolist() == [False] + [True] * (len(TEXT) - 1)
        assert np.isnan(text.kl_forward[0])
        np.testing.assert_allclose(text.kl_forward[1:], only(whole).kl_forward[1:])
        assert found.counts["scored_bytes"] == len(TEXT) - 1
        assert found.estimates["kl_divergence_mean"].n == len(TEXT) - 1
        rate = found.estimates["bits_per_byte_reference"]
        bits = -only(whole).logp_reference[1:].sum() / math.log(2) / (len(TEXT) - 1)
        assert rate.value == pytest.approx(bits, rel=1e-6)
    with pytest.raises(InvalidInput, match="nothing of the text is scored by both"):
        compare(Engine(one, start=()), other, "a")


def test_a_divergence_that_is_infinite_is_counted_and_never_averaged_away(
    tables: Any,
) -> None:
    one, _, strict = tables
    found = compare(one, strict, TEXT)
    text = only(found)
    assert found.counts["infinite_kl"] == np.isposinf(text.kl_forward).sum() > 100
    assert found.counts["infinite_reverse_kl"] == 0
    for name in ("kl_divergence_mean", "kl_divergence_maximum", "perplexity_other"):
        assert value(found, name) == math.inf, name
    mean = found.estimates["kl_divergence_mean"]
    assert mean.low is None
    assert f"{found.counts['infinite_kl']} of 240 tokens are infinite" in str(mean)
    assert math.isfinite(value(found, "reverse_kl_divergence_mean"))
    assert value(found, "perplexity_ratio") == math.inf
    assert value(compare(strict, one, TEXT), "perplexity_ratio") == 0.0
    assert found.counts["impossible_other"] > 0
    assert "logp_correlation" not in found.estimates
    assert "bits_per_byte_difference" not in found.estimates
    both = compare(strict, strict, TEXT)
    assert "perplexity_ratio" not in both.estimates
    assert value(both, "kl_divergence_maximum") == 0.0


def test_a_text_that_is_too_short_has_values_and_says_why_no_interval(
    tables: Any,
) -> None:
    found = compare(tables[0], tables[1], "abca")
    for name, estimate in found.estimates.items():
        if not name.endswith(("imum",)):
            assert estimate.low is None, name
            assert "no interval: 4 tokens are too few" in str(estimate), name
    assert len(compare(tables[0], tables[1], "a").texts) == 1


def test_several_texts_are_resampled_whole(tables: Any) -> None:
    one, other, _ = tables
    texts = [simulated(one, length=60 + 20 * seed, seed=seed) for seed in range(8)]
    found = compare(one, other, texts)
    pooled = np.concatenate([text.kl_forward for text in found.texts])
    assert value(found, "kl_divergence_mean") == pytest.approx(pooled.mean())
    for name in (
        "kl_divergence_mean",
        "kl_divergence_median",
        "logp_correlation",
        "same_top_share",
        "perplexity_ratio",
        "bits_per_byte_difference",
    ):
        estimate = found.estimates[name]
        assert estimate.n_clusters == 8, name
        assert estimate.low is not None, name
        assert estimate.population.startswith("documents like these")
    few = compare(one, other, texts[:3]).estimates["kl_divergence_median"]
    assert few.low is None
    assert "3 documents are too few" in few.population


def test_constant_log_probabilities_have_no_correlation() -> None:
    coin = nescio.load("table:coin")
    found = compare(coin, coin, "HTHT" * 50)
    assert "logp_correlation" not in found.estimates
    assert value(found, "perplexity_ratio") == 1.0


@pytest.mark.parametrize("text", ["", b"", ["ab", ""]], ids=["text", "bytes", "list"])
def test_an_empty_text_is_refused(tables: Any, text: Any) -> None:
    with pytest.raises(InvalidText, match="empty"):
        compare(tables[0], tables[1], text)


@pytest.mark.parametrize("text", [b"ab\xff", "a\ud800"])
def test_bytes_that_are_no_text_are_refused(tables: Any, text: Any) -> None:
    with pytest.raises(InvalidText, match="not valid UTF-8 at byte"):
        compare(tables[0], tables[1], text)


def test_requests_that_make_no_sense_are_refused(tables: Any) -> None:
    one, other, _ = tables
    with pytest.raises(InvalidInput, match="no texts"):
        compare(one, other, [])
    with pytest.raises(InvalidInput, match="level 2"):
        compare(one, other, "ab", level=2.0)
    with pytest.raises(InvalidText, match="cannot write"):
        compare(one, other, "xyz")


def test_a_model_that_gives_no_logits_is_refused_by_name(tables: Any) -> None:
    class Server:
        name = "http://host/v1#model"
        origin = tables[0].origin

    with pytest.raises(CapabilityError, match="http://host/v1#model is not"):
        compare(tables[0], Server(), "ab")


def test_progress_reaches_the_end(tables: Any) -> None:
    seen: list[tuple[int, int]] = []
    compare(
        Engine(tables[0], context_length=40),
        tables[1],
        TEXT,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (len(TEXT), len(TEXT))
    assert seen == sorted(seen)


def test_the_table_agrees_with_full_logits_of_two_networks_of_torch() -> None:
    import torch

    one, other = tiny_model("llama"), tiny_model("gemma3")
    check_against_full_logits(one, other, "Two networks, one thread. " * 3)
    long = only(compare(one, other, "Two networks, one thread. " * 8))
    assert long.scored.all()
    assert long.context_used.max() == 95
    assert not torch.is_inference_mode_enabled()
    with pytest.raises(CapabilityError, match="gave fewer rows"):
        compare(one, Engine(other, lost=1), "Two networks.")
    assert not torch.is_inference_mode_enabled()


@pytest.mark.verify
@pytest.mark.local_model
def test_the_table_of_a_real_model_agrees_with_its_full_logits() -> None:
    one, other = (nescio.load(f"smollm2,precision={p}") for p in ("f32", "bf16"))
    text = (Path(__file__).parents[1] / "texts" / "bank.txt").read_text("utf-8")[:500]
    check_against_full_logits(one, other, text)


def check_against_full_logits(one: Any, other: Any, text: str) -> None:
    """All rows of logits at once, float64, the plain formulas."""
    found = compare(one, other, text)
    ids = one.encode(text.encode())
    whole = np.concatenate([np.array(one.start), ids])
    logp = []
    for model in (one, other):
        blocks = [
            block.logits.astype(np.float64)
            for block in model.logit_blocks([whole], skip=[0], rows=128)
        ]
        logits = np.concatenate(blocks)
        logits -= logits.max(axis=1, keepdims=True)
        logp.append(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
    p, q = np.exp(logp)
    kl = (p * (logp[0] - logp[1])).sum(axis=1)
    rows = np.arange(len(ids))
    delta = q[rows, ids] - p[rows, ids]
    apart = logp[0][rows, ids] - logp[1][rows, ids]
    expected = {
        "kl_divergence_mean": kl.mean(),
        "kl_divergence_median": np.median(kl),
        "kl_divergence_percentile_5": np.quantile(kl, 0.05),
        "kl_divergence_percentile_99": np.quantile(kl, 0.99),
        "kl_divergence_maximum": kl.max(),
        "reverse_kl_divergence_mean": (q * (logp[1] - logp[0])).sum(axis=1).mean(),
        "delta_p_mean": delta.mean(),
        "delta_p_rms": math.sqrt((delta**2).mean()),
        "delta_p_percentile_10": np.quantile(delta, 0.1),
        "log_perplexity_ratio": apart.mean(),
        "perplexity_ratio": math.exp(apart.mean()),
        "same_top_share": (p.argmax(axis=1) == q.argmax(axis=1)).mean(),
        "logp_correlation": np.corrcoef(logp[0][rows, ids], logp[1][rows, ids])[0, 1],
    }
    for name, number in expected.items():
        assert value(found, name) == pytest.approx(number, rel=2e-6, abs=3e-8), name
