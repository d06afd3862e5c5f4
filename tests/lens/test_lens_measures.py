"""Estimates by layer: pooled means with intervals; the last layer is the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nescio
from nescio.errors import InvalidInput
from nescio.lens import (
    LAYER_MEASURES,
    commitment_depth,
    commitment_layer,
    layer_curves,
    layer_entropies,
    lens_summary,
)
from tests.lens.reading_texts import TEXTS, handmade, model_of, readings_of

FEW = {"resamples": 400}


def test_a_mean_of_two_tokens_by_hand() -> None:
    found = handmade([[1, 0], [1, 1], [0, 1]], [[1.0, 3.0], [0.5, 0.5], [0.0, 1.0]])
    curves = layer_curves(found, measures=["layer_entropy", "settled_share"], **FEW)
    assert [one.value for one in curves["layer_entropy"]] == [2.0, 0.5, 0.5]
    assert [one.value for one in curves["settled_share"]] == [0.0, 0.5, 1.0]
    assert commitment_layer(found, **FEW).value == 1.5
    assert commitment_depth(found, **FEW).value == 0.75
    for one in curves["layer_entropy"]:
        assert one.low is None
        assert "too few" in one.population


def test_several_texts_are_pooled_over_their_tokens_and_resampled_whole() -> None:
    readings = readings_of("llama")
    curves: Any = layer_curves(readings, **FEW)
    assert set(curves) == set(LAYER_MEASURES)
    together = np.concatenate([r.entropy for r in readings], axis=1).astype(np.float64)
    for layer, one in enumerate(curves["layer_entropy"]):
        assert one.value == pytest.approx(together[layer].mean(), rel=1e-9)
        assert one.low <= one.value <= one.high
        assert (one.n, one.n_clusters) == (together.shape[1], len(TEXTS))
        assert one.unit == "nats/token"
        assert one.recipe.settings["layer"] == layer
        assert one.recipe.settings["architecture"] == "LlamaForCausalLM"
        assert one.recipe.settings["resampled"] == "rows"


def test_the_last_layer_is_the_model_itself() -> None:
    readings = readings_of("gemma2")
    traces = nescio.score_texts(model_of("gemma2"), TEXTS)
    curves, rate = layer_curves(readings, **FEW), nescio.entropy_rate(traces, **FEW)
    last = curves["layer_entropy"][-1].to("bits")
    assert last.value == pytest.approx(rate.value, rel=1e-4)
    assert last.low == pytest.approx(rate.low, rel=1e-4)
    assert last.high == pytest.approx(rate.high, rel=1e-4)
    bits = nescio.bits_per_token(traces, **FEW).value
    assert curves["layer_surprisal"][-1].to("bits").value == pytest.approx(
        bits, rel=1e-4
    )
    assert curves["kl_to_last_layer"][-1].value == 0.0
    assert curves["settled_share"][-1].value == 1.0
    summary = lens_summary(readings, **FEW)
    assert list(summary) == ["commitment_layer", "commitment_depth", "entropy_rate"]
    assert summary["entropy_rate"].to("bits").value == pytest.approx(
        rate.value, rel=1e-4
    )


def test_settled_shares_rise_and_sum_to_the_commitment_layer() -> None:
    readings = readings_of("gpt2")
    curves: Any = layer_curves(readings, **FEW)
    shares = [one.value for one in curves["settled_share"]]
    assert shares == sorted(shares)
    mean = commitment_layer(readings, **FEW).value
    assert sum(1.0 - share for share in shares) == pytest.approx(mean)


def test_one_text_is_resampled_in_blocks() -> None:
    text = "A sentence of some length, said again and again, but not the same. " * 3
    found = layer_entropies(model_of("llama"), text)
    curves = layer_curves(found, measures=["layer_entropy"], **FEW)
    one: Any = curves["layer_entropy"][1]
    assert one.recipe.settings["interval"] == "studentised stationary bootstrap"
    assert one.low < one.value < one.high
    assert one.n_clusters is None


def test_an_answer_counts_its_own_tokens_only() -> None:
    from nescio.lens import generated_layer_entropies

    decoding = nescio.Decoding(20)
    found = generated_layer_entropies(model_of("llama"), "Why", decoding=decoding)
    one = commitment_layer(found, **FEW)
    assert one.n == int(found.trace.scored.sum()) == len(found.settled)


def test_readings_that_cannot_be_pooled_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no readings"):
        layer_curves([])
    with pytest.raises(InvalidInput, match="differ in model"):
        layer_curves([readings_of("llama")[0], readings_of("gemma2")[0]])
    other = handmade([[0, 1], [0, 1]], [[0.5, 0.5]] * 2)
    with pytest.raises(InvalidInput, match=r"have \[2, 4\] layers"):
        commitment_layer([readings_of("llama")[0], other])
    with pytest.raises(InvalidInput, match="no measure 'entropy'"):
        layer_curves(other, measures=["entropy"])
