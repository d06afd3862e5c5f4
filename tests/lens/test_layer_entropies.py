"""The lens on texts and answers: beside scipy, in any tiles, batches and windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nescio
from nescio.decoding import Window
from nescio.errors import (
    CapabilityError,
    ContextOverflow,
    InvalidInput,
    InvalidText,
    SchemaError,
)
from nescio.kernel import Sampling
from nescio.lens import (
    LayerReading,
    generated_layer_entropies,
    layer_entropies,
    layer_entropies_of_texts,
)
from nescio.lens.generating import stream_layers
from tests.lens.reading_texts import TEXTS, handmade, model_of, readings_of

NUMBERS = ("entropy", "surprisal", "kl_to_last", "top_logp")
SOME = ("llama", "gemma2", "granite", "opt, projected before the head")


def alike(found: LayerReading, expected: LayerReading, *, atol: float = 2e-4) -> None:
    for name in NUMBERS:
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol=1e-4, atol=atol
        )
    same = found.top_ids == expected.top_ids
    assert same.mean() > 0.99  # a near-tie may round the other way


def by_hand(model: Any, ids: np.ndarray) -> np.ndarray:
    """Log-probabilities of every layer from transformers' own hidden states."""
    with torch.inference_mode():
        output = model.network(
            input_ids=torch.as_tensor(ids)[None].long(),
            use_cache=False,
            output_hidden_states=True,
        )
        states = [model.layers.normed(s[0]) for s in output.hidden_states[:-1]]
        rows = [model.head(state.numpy()) for state in states]
        rows.append(output.logits[0].numpy())
    return scipy.special.log_softmax(np.stack(rows).astype(np.float64), axis=-1)


@pytest.mark.parametrize("name", SOME)
def test_every_number_equals_scipys_on_transformers_hidden_states(name: str) -> None:
    model, found = model_of(name), readings_of(name)[0]
    ids = np.concatenate([model.start, found.trace.token_ids])
    logp = by_hand(model, ids)[:, :-1]
    p = np.exp(logp)
    expected = scipy.stats.entropy(p, axis=-1)
    np.testing.assert_allclose(found.entropy, expected, rtol=1e-4, atol=2e-4)
    last = np.broadcast_to(p[-1], p.shape)
    kl = scipy.stats.entropy(last, p, axis=-1)
    np.testing.assert_allclose(found.kl_to_last, kl, rtol=1e-3, atol=5e-4)
    tokens = np.arange(p.shape[1])
    target = logp[:, tokens, ids[1:]]
    np.testing.assert_allclose(found.surprisal, -target, rtol=1e-4, atol=2e-4)
    assert (found.top_ids == p.argmax(axis=-1)).mean() > 0.99
    np.testing.assert_allclose(found.top_logp, logp.max(axis=-1), rtol=1e-4, atol=2e-4)
    rank = 1 + (logp > target[..., None]).sum(axis=-1)
    assert (found.rank == rank).mean() > 0.99


@pytest.mark.parametrize("name", SOME)
def test_the_last_layer_says_what_scoring_says(name: str) -> None:
    model, found = model_of(name), readings_of(name)[2]
    trace = nescio.score(model, TEXTS[2])
    np.testing.assert_allclose(found.trace.logp, trace.logp, rtol=0, atol=2e-4)
    np.testing.assert_allclose(found.entropy[-1], trace.entropy, rtol=0, atol=2e-4)
    np.testing.assert_array_equal(found.trace.context_used, trace.context_used)
    np.testing.assert_array_equal(found.trace.offsets, trace.offsets)
    assert found.trace.origin.conditioned_on == trace.origin.conditioned_on
    assert not found.kl_to_last[-1].any()
    assert found.trace.text == TEXTS[2]


@pytest.mark.parametrize("name", SOME)
def test_a_batch_of_texts_equals_each_alone(name: str) -> None:
    for text, together in zip(TEXTS, readings_of(name), strict=True):
        alike(layer_entropies(model_of(name), text), together)


@pytest.mark.parametrize("tile", [1, 3, 16, 1000])
def test_tiles_of_any_size_give_the_same_numbers(tile: int) -> None:
    found = layer_entropies(model_of("gemma2"), TEXTS[0], tile=tile)
    alike(found, readings_of("gemma2")[0], atol=1e-5)


def test_the_logits_of_all_layers_are_never_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, seen = model_of("llama"), []
    head = type(model).head

    def watched(self: Any, rows: np.ndarray) -> np.ndarray:
        seen.append(len(rows))
        return head(self, rows)

    monkeypatch.setattr(type(model), "head", watched)
    found = layer_entropies(model, TEXTS[0], tile=16)
    tokens = found.entropy.shape[1]
    assert max(seen) == 16
    assert sum(seen) == tokens * found.layers


@settings(max_examples=15)
@given(st.text(min_size=1, max_size=24))
def test_any_text_has_entropies_within_bounds_and_no_nan(text: str) -> None:
    model = model_of("llama")
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError:
        with pytest.raises(InvalidText, match="lone surrogate"):
            layer_entropies(model, text)
        return
    found = layer_entropies(model, raw)
    assert found.trace.buffer == raw
    assert found.entropy.shape == (4, len(raw))
    assert (found.entropy >= 0).all()
    assert (found.entropy <= np.log(model.vocabulary.size) + 1e-5).all()
    assert (found.kl_to_last >= 0).all()
    assert ((found.settled >= 0) & (found.settled < 4)).all()


def test_a_long_text_slides_and_each_token_is_read_once() -> None:
    model = model_of("llama")
    text = "A text that is longer than the context, " * 6
    found = layer_entropies(model, text)
    trace = nescio.score(model, text)
    assert found.entropy.shape == (4, len(trace))
    np.testing.assert_array_equal(found.trace.context_used, trace.context_used)
    np.testing.assert_allclose(found.entropy[-1], trace.entropy, rtol=0, atol=5e-4)
    window = Window(size=24, stride=8)
    small = layer_entropies(model, text, window=window)
    expected = nescio.score(model, text, window=window)
    np.testing.assert_allclose(
        small.surprisal[-1], expected.surprisal, rtol=1e-4, atol=5e-4
    )
    with pytest.raises(ContextOverflow, match="allow windowing"):
        layer_entropies(model, text, window=Window(sliding=False))


@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt2"])
def test_generating_equals_scoring_the_same_text(name: str) -> None:
    model = model_of(name)
    decoding = nescio.Decoding(30, detail=nescio.Detail(0))
    found = generated_layer_entropies(
        model, "Once upon", decoding=decoding, seed=4, tile=7
    )
    ids = found.trace.token_ids
    whole = np.concatenate([model.start, ids])
    logp = by_hand(model, whole)[:, :-1]
    mine = logp[:, found.tokens]
    expected = scipy.stats.entropy(np.exp(mine), axis=-1)
    np.testing.assert_allclose(found.entropy, expected, rtol=1e-4, atol=5e-4)
    target = mine[:, np.arange(len(found.tokens)), ids[found.tokens]]
    np.testing.assert_allclose(found.surprisal, -target, rtol=1e-4, atol=5e-4)


def test_the_lens_changes_nothing_of_what_is_drawn() -> None:
    model = model_of("llama")
    decoding = nescio.Decoding(
        40, Sampling(temperature=0.9, top_p=0.95), stop=("zz",), detail=nescio.Detail(3)
    )
    found = generated_layer_entropies(model, "Ab", decoding=decoding, seed=11)
    assert found.trace == nescio.generate(model, "Ab", decoding=decoding, seed=11)
    assert found.entropy.shape[1] == int(found.trace.scored.sum())
    np.testing.assert_allclose(
        found.entropy[-1], found.trace.entropy[found.tokens], atol=1e-4
    )


def test_a_token_costs_one_pass_and_the_prompt_is_read_once() -> None:
    model, widths = model_of("llama"), []
    body = model.network.get_decoder()
    handle = body.register_forward_pre_hook(
        lambda _m, _a, named: widths.append(named["input_ids"].shape[1]),
        with_kwargs=True,
    )
    try:
        generated_layer_entropies(
            model, "A prompt of some length", decoding=nescio.Decoding(12), seed=1
        )
    finally:
        handle.remove()
    assert widths[0] == len(model.start) + len("A prompt of some length")
    assert widths[1:] == [1] * (len(widths) - 1)
    assert len(widths) == 12


def test_a_stream_can_be_read_before_its_end() -> None:
    tokens = stream_layers(
        model_of("llama"), "Once", decoding=nescio.Decoding(9), seed=2, tile=4
    )
    with pytest.raises(InvalidInput, match="no token was drawn yet"):
        _ = tokens.reading
    events = iter(tokens)
    for count in (1, 2, 3):
        next(events)
        assert tokens.reading.entropy.shape == (4, count)
    rest = list(events)
    assert tokens.reading.entropy.shape == (4, 3 + len(rest))


def test_an_engine_without_layers_is_refused_by_name() -> None:
    coin = nescio.load("table:coin")
    for ask in (
        lambda: layer_entropies(coin, "HT"),
        lambda: generated_layer_entropies(coin, "HT"),
    ):
        with pytest.raises(CapabilityError, match="needs a model that is Layered"):
            ask()


def test_texts_that_cannot_be_read_are_refused() -> None:
    model = model_of("llama")
    with pytest.raises(InvalidText, match="empty"):
        layer_entropies(model, "")
    with pytest.raises(InvalidText):
        layer_entropies(model, b"\xff\xfe")
    with pytest.raises(InvalidInput, match="one text"):
        layer_entropies_of_texts(model, "ab")
    with pytest.raises(InvalidInput, match="tile is 0"):
        layer_entropies(model, "ab", tile=0)


def test_a_layer_settles_where_its_top_token_no_longer_changes() -> None:
    found = handmade(
        [[0, 1, 1, 0], [0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 0, 0]], [[0.5] * 4] * 4
    )
    assert found.settled.tolist() == [0, 2, 2, 3]
    assert found.top_text(0, 0) == "H"


def test_a_reading_is_frozen_and_checked() -> None:
    found = handmade([[0, 1], [2, 1]], [[0.5, 0.5], [0.25, 0.5]])
    assert found.top_text(1, 0) == "<s>"
    with pytest.raises(ValueError, match="read-only"):
        found.entropy[0, 0] = 1.0
    fields = {name: getattr(found, name) for name in found.__dataclass_fields__}
    wrong = np.full((2, 2), np.nan, np.float32)
    with pytest.raises(SchemaError, match="entropy holds NaN"):
        LayerReading(**fields | {"entropy": wrong})
    wide = {
        name: np.repeat(array, 2, axis=1)
        for name, array in fields.items()
        if isinstance(array, np.ndarray)
    }
    with pytest.raises(SchemaError, match="2 layers of 2 scored"):
        LayerReading(**fields | wide)
    with pytest.raises(SchemaError, match="no bytes"):
        LayerReading(**fields | {"spelled": {0: b"H"}})
