"""Layers found by following tensors: each equals what transformers itself keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf

import nescio
from nescio.errors import CapabilityError, ContextOverflow, InvalidInput
from nescio.models import transformers as engine
from nescio.models.layered import Layers, check_layers, found_layers
from nescio.models.protocol import Layered
from tests.models.lens_models import NETWORKS, tiny
from tests.models.test_architectures import HEADS, IDS, built

TEXT = "Not all those who wander are lost: 問い"
TAILS = {
    "gpt2": ["transformer.ln_f"],
    "gpt_neox": ["gpt_neox.final_layer_norm"],
    "bloom": ["transformer.ln_f"],
    "phi": ["model.final_layernorm"],
    "opt": ["model.decoder.final_layer_norm"],
    "opt, normed after each block": [],
    "opt, projected before the head": [
        "model.decoder.final_layer_norm",
        "model.decoder.project_out",
    ],
}


@pytest.fixture(scope="module", params=list(NETWORKS))
def model(request: pytest.FixtureRequest) -> Any:
    """One architecture after the other."""
    return tiny(request.param)


def ids_of(model: Any, text: str = TEXT) -> np.ndarray:
    return np.concatenate([model.start, model.encode(text.encode())]).astype(np.int32)


def plain(model: Any, ids: np.ndarray) -> Any:
    """transformers' own output, its hidden states included: one pass, no cache."""
    with torch.inference_mode():
        tokens = torch.as_tensor(ids)[None].long()
        return model.network(
            input_ids=tokens, use_cache=False, output_hidden_states=True
        )


def rows_of(model: Any, ids: np.ndarray, *, rows: int = 128) -> np.ndarray:
    blocks = list(model.layer_blocks([ids], skip=[0], rows=rows))
    assert all(len(block.position) <= rows for block in blocks)
    positions = np.concatenate([block.position for block in blocks])
    np.testing.assert_array_equal(positions, np.arange(len(ids) - 1))
    return np.concatenate([block.rows for block in blocks], axis=1)


def test_the_last_layer_through_the_head_is_the_models_own_logits(model: Any) -> None:
    ids = ids_of(model)
    found = model.head(rows_of(model, ids)[-1])
    own = plain(model, ids).logits[0, :-1].numpy()
    np.testing.assert_allclose(found, own, rtol=0, atol=1e-4)


def test_every_layer_equals_the_hidden_states_transformers_keeps(model: Any) -> None:
    ids = ids_of(model)
    output, layers = plain(model, ids), model.layers
    # The last one that transformers keeps is the norm's already, but for those that
    # project afterwards; the blocks' own outputs are the ones before it.
    kept = [state[0, :-1] for state in output.hidden_states]
    assert model.layer_count() == len(kept) == 4
    found = rows_of(model, ids)
    with torch.inference_mode():
        for layer, state in enumerate(kept[:-1]):
            expected = layers.normed(state).numpy()
            np.testing.assert_allclose(found[layer], expected, rtol=1e-4, atol=1e-4)


def test_what_stands_before_the_head_is_found_whatever_its_name(model: Any) -> None:
    name = model.name
    assert list(model.layers.names) == TAILS.get(name, ["model.norm"])
    settings = model.layer_settings()
    assert settings["architecture"] == type(model.network).__name__
    assert len(model.layers.blocks) == 3


def test_a_batch_gives_each_text_what_it_has_alone(model: Any) -> None:
    texts = [ids_of(model), ids_of(model, "a much shorter one")]
    alone = [rows_of(model, ids) for ids in texts]
    blocks = list(model.layer_blocks(texts, skip=[0, 5], rows=7))
    for number, first in ((0, 0), (1, 5)):
        found = np.concatenate([b.rows[:, b.sequence == number] for b in blocks], 1)
        np.testing.assert_allclose(
            found, alone[number][:, first:], rtol=1e-3, atol=2e-4
        )


def test_stepping_gives_the_rows_that_reading_gives(model: Any) -> None:
    ids = ids_of(model)
    expected, context = rows_of(model, ids), model.open()
    (context,), logits, rows = model.extend_layers([context], [ids[:9]])
    found, places = [rows[:, 0]], [8]
    for place in range(9, 14):
        (context,), logits, rows = model.extend_layers(
            [context], [ids[place : place + 1]]
        )
        found.append(rows[:, 0])
        places.append(place)
        np.testing.assert_allclose(model.head(rows[-1]), logits, rtol=0, atol=1e-4)
    np.testing.assert_allclose(
        np.stack(found, axis=1), expected[:, places], rtol=1e-3, atol=2e-4
    )


def test_ragged_contexts_step_together() -> None:
    model = tiny("gemma3")
    ids = ids_of(model)
    runs = [ids[:5], ids[:12]]
    _, _, together = model.extend_layers([model.open()] * 2, runs)
    for row, run in enumerate(runs):
        _, _, alone = model.extend_layers([model.open()], [run])
        np.testing.assert_allclose(together[:, row], alone[:, 0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_a_text_read_in_chunks_equals_one_pass(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(name)
    ids = ids_of(model)
    whole = rows_of(model, ids)
    _, _, last = model.extend_layers([model.open()], [ids])
    monkeypatch.setattr(engine, "_CHUNK_COLUMNS", 7)
    np.testing.assert_allclose(rows_of(model, ids), whole, rtol=1e-3, atol=1e-4)
    _, _, pieced = model.extend_layers([model.open()], [ids])
    np.testing.assert_allclose(pieced, last, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 5, 128])
def test_blocks_of_any_size_hold_the_same_rows(rows: int) -> None:
    model = tiny("gemma2")
    ids = ids_of(model)
    expected = rows_of(model, ids, rows=64)
    np.testing.assert_allclose(
        rows_of(model, ids, rows=rows), expected, rtol=1e-5, atol=1e-5
    )


def test_no_hook_stays_behind() -> None:
    model = tiny("llama")
    rows_of(model, ids_of(model))
    blocks = model.layer_blocks([ids_of(model)], skip=[0], rows=2)
    next(blocks)  # left in the middle
    model.extend_layers([model.open()], [ids_of(model)])
    for module in model.network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_two_readings_may_run_side_by_side() -> None:
    model = tiny("llama")
    ids = ids_of(model)
    expected = rows_of(model, ids)
    pair = [model.layer_blocks([ids], skip=[0], rows=3) for _ in range(2)]
    found: list[list[np.ndarray]] = [[], []]
    for first, second in zip(*pair, strict=True):
        found[0].append(first.rows)
        found[1].append(second.rows)
    for parts in found:
        np.testing.assert_allclose(
            np.concatenate(parts, axis=1), expected, rtol=1e-5, atol=1e-5
        )


def test_norming_twice_is_seen_and_refused() -> None:
    """The last hidden state of transformers is normed already; a second norm is the
    classic mistake, and it changes the answer."""
    model = tiny("gpt2")
    ids = ids_of(model)
    normed = plain(model, ids).hidden_states[-1][0, :-1]
    with torch.inference_mode():
        twice = model.layers.normed(normed).numpy()
    own = plain(model, ids).logits[0, :-1].numpy()
    assert np.abs(model.head(normed.numpy()) - own).max() < 1e-4
    assert np.abs(model.head(twice) - own).max() > 0.1
    once = model.layers
    model.__dict__["layers"] = Layers(
        once.architecture, once.blocks, once.tail * 2, once.names * 2
    )
    with pytest.raises(CapabilityError, match="GPT2LMHeadModel has no layer lens"):
        check_layers(model)
    model.__dict__["layers"] = once
    check_layers(model)


def test_padded_rows_of_the_head_are_impossible_in_every_layer() -> None:
    from nescio.models.tokenizer import tokenizer_of
    from nescio.models.transformers import TransformersModel
    from nescio.trace import Origin
    from tests.models.tiny import VOCABULARY, tiny_tokenizer

    torch.manual_seed(3)
    wide = VOCABULARY + 6
    config = hf.LlamaConfig(
        **{**IDS, "vocab_size": wide}, **HEADS, intermediate_size=48
    )
    tokenizer = tokenizer_of(tiny_tokenizer(), wide)
    origin = Origin("padded", "random", tokenizer.digest, "transformers", "f32")
    network = hf.LlamaForCausalLM(config).eval()
    model = TransformersModel("padded", origin, tokenizer, (VOCABULARY - 2,), network)
    assert model.padded.sum() == 6
    rows = rows_of(model, ids_of(model))
    for layer in rows:
        assert np.isneginf(model.head(layer)[:, model.padded]).all()


def test_half_precision_is_read_too() -> None:
    from dataclasses import replace

    model = tiny("llama")
    half = replace(
        model,
        network=model.network.to(torch.bfloat16),
        origin=replace(model.origin, precision="bf16"),
    )
    ids = ids_of(half)
    own = plain(half, ids).logits[0, :-1].float().numpy()
    found = half.head(rows_of(half, ids)[-1])
    assert np.abs(found - own).max() < 0.25
    assert np.abs(found - own).mean() < 0.02


class Scaled(hf.LlamaForCausalLM):
    """Something between the norm and the head that is no module."""

    def forward(self, input_ids: Any = None, **kwargs: Any) -> Any:
        hidden = self.model(input_ids=input_ids, **kwargs)[0]
        return hf.modeling_outputs.CausalLMOutputWithPast(
            logits=self.lm_head(hidden * 0.5)
        )


class Late(hf.LlamaForCausalLM):
    """Something behind the head that nobody knows of."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = super().forward(*args, **kwargs)
        output.logits = output.logits + 0.01 * output.logits.abs()
        return output


class Twice(hf.LlamaForCausalLM):
    """Every block runs twice."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        layers = self.model.layers
        self.model.layers = torch.nn.ModuleList([layers[0], layers[0], layers[1]])


def shaped(kind: Any) -> Any:
    return kind(hf.LlamaConfig(**IDS, **HEADS, intermediate_size=48))


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Scaled, "no chain of modules leads from a block to its head"),
        (Late, "off its own logits"),
        (Twice, "a block runs more than once"),
    ],
)
def test_an_unsupported_head_or_body_is_refused_by_name(kind: Any, why: str) -> None:
    model = built(kind.__name__, lambda: shaped(kind))
    with pytest.raises(CapabilityError, match=f"{kind.__name__}.*{why}"):
        model.layer_count()
    with pytest.raises(CapabilityError, match=why):
        found_layers(model)


def test_blocks_that_do_not_hand_their_stream_on_are_refused() -> None:
    model = tiny("llama")
    block = model.network.model.layers[1]
    block.register_forward_pre_hook(lambda _block, given: (given[0] + 0.0, *given[1:]))
    why = r"layers\.1 is not given what .*layers\.0"
    with pytest.raises(CapabilityError, match=why):
        model.layer_count()


def test_what_cannot_be_read_is_refused_before_anything_runs() -> None:
    model = tiny("llama")
    with pytest.raises(ContextOverflow, match="97 tokens are more than the 96"):
        list(model.layer_blocks([np.zeros(97, dtype=np.int32)], skip=[0]))
    with pytest.raises(InvalidInput, match="rows is 0"):
        list(model.layer_blocks([ids_of(model)], skip=[0], rows=0))


def test_only_engines_that_show_their_layers_are_layered() -> None:
    assert isinstance(tiny("llama"), Layered)
    assert not isinstance(nescio.load("table:coin"), Layered)


def contract(model: Any) -> None:
    ids = ids_of(model, "The capital of France is Paris, and of Italy it is Rome.")
    output = plain(model, ids)
    found = rows_of(model, ids)
    own = output.logits[0, :-1].numpy()
    assert np.abs(model.head(found[-1]) - own).max() < 1e-4
    with torch.inference_mode():
        for layer, state in enumerate(output.hidden_states[:-1]):
            expected = model.layers.normed(state[0, :-1]).numpy()
            np.testing.assert_allclose(found[layer], expected, rtol=1e-3, atol=1e-3)
    assert list(model.layers.names) == ["model.norm"]


@pytest.mark.local_model
def test_smollm2_last_layer_is_its_logits(smollm2_directory: Path) -> None:
    assert smollm2_directory.is_dir()
    contract(nescio.load("smollm2", engine="transformers"))


@pytest.mark.verify
def test_gemma_last_layer_is_its_logits(gemma_directory: Path) -> None:
    assert gemma_directory.is_dir()
    contract(nescio.load("gemma3-270m", engine="transformers"))
