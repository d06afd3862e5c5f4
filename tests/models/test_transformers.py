"""The reference engine beside plain transformers, and what it refuses."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nescio
from nescio.errors import (
    CapabilityError,
    ContextOverflow,
    InvalidDistribution,
    WrongHash,
)
from nescio.models import transformers as engine
from nescio.models.cache import Store
from tests.models.tiny import VOCABULARY, tiny_model


@pytest.fixture(params=["llama", "gemma3"])
def model(request: pytest.FixtureRequest) -> Any:
    """Two architectures: full attention, and a sliding window of 8 tokens."""
    return tiny_model(request.param)


def plain(model: Any, ids: np.ndarray) -> np.ndarray:
    """transformers' own log-probabilities, one forward pass, no cache, no tiles."""
    with torch.inference_mode():
        logits = model.network(input_ids=torch.as_tensor(ids)[None].long()).logits
    return torch.log_softmax(logits[0].double(), dim=-1).numpy()


def test_scores_equal_plain_transformers(model: Any) -> None:
    trace = nescio.score(model, "To be, or not to be: 問い")
    ids = np.concatenate([model.start, trace.token_ids])
    rows = plain(model, ids)[:-1]
    expected = rows[np.arange(len(rows)), ids[1:]]
    np.testing.assert_allclose(trace.logp, expected, atol=1e-4)
    entropy = -(np.exp(rows) * rows).sum(axis=1)
    np.testing.assert_allclose(trace.entropy, entropy, atol=1e-4)


def test_a_long_text_read_in_chunks_equals_one_pass(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "All that is gold does not glitter, not all those who wander."
    whole = nescio.score(model, text)
    monkeypatch.setattr(engine, "_CHUNK_COLUMNS", 7)
    np.testing.assert_allclose(nescio.score(model, text).logp, whole.logp, atol=1e-4)


def test_a_step_that_was_interrupted_does_not_spoil_the_context(model: Any) -> None:
    ids = np.concatenate([model.start, model.encode(b"interrupted")])
    (context,), _ = model.extend([model.open()], [ids[:6]])
    store: Store = context.store
    layer = store.cache.layers[0]
    layer.keys = torch.cat([layer.keys, torch.full_like(layer.keys[:, :, :1], 9.0)], 2)
    layer.values = torch.cat([layer.values, layer.values[:, :, :1]], 2)
    _, logits = model.extend([context], [ids[6:]])
    expected = plain(model, ids)[-1]
    found = torch.log_softmax(torch.as_tensor(logits[0]).double(), -1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_more_tokens_than_the_context_are_refused(model: Any) -> None:
    with pytest.raises(ContextOverflow, match="97 tokens are more than the 96"):
        model.extend([model.open()], [np.zeros(97, dtype=np.int32)])


@pytest.mark.parametrize("run", [[], [-1], [VOCABULARY]])
def test_token_runs_that_cannot_be_read_are_refused(run: list[int]) -> None:
    model = tiny_model("llama")
    with pytest.raises(nescio.NescioError, match=r"empty token run|outside the vocab"):
        model.extend([model.open()], [np.array(run, dtype=np.int32)])


def test_nan_weights_give_a_refusal_and_no_number() -> None:
    model = tiny_model("llama")
    with torch.no_grad():
        model.network.model.norm.weight[3] = float("nan")
    with pytest.raises(InvalidDistribution, match="row 0"):
        nescio.score(model, "anything")


def test_a_head_that_does_something_unknown_is_refused() -> None:
    model = tiny_model("llama")
    network = model.network
    own = network.forward

    def scaled(*args: Any, **kwargs: Any) -> Any:
        output = own(*args, **kwargs)
        output.logits = output.logits * 2
        return output

    network.forward = scaled
    with pytest.raises(CapabilityError, match="head is tiled"):
        replace(model, network=network).self_test()


@pytest.mark.local_model
def test_one_damaged_byte_of_the_weights_is_refused_at_loading(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from nescio.models import catalogue

    home = catalogue.installed_directory("smollm2")
    assert home is not None, "run: nescio models get smollm2"
    copied = tmp_path / "models" / "smollm2"
    shutil.copytree(home, copied)
    with (copied / "model.safetensors").open("r+b") as file:
        file.seek(300_000_000)
        byte = file.read(1)
        file.seek(300_000_000)
        file.write(bytes([byte[0] ^ 1]))
    monkeypatch.setenv("NESCIO_CACHE", str(tmp_path))
    with pytest.raises(WrongHash, match="is damaged"):
        nescio.load("smollm2")


def test_a_row_of_nothing_but_minus_infinity_is_refused_and_gives_no_number() -> None:
    model = tiny_model("llama")
    head = model.network.get_output_embeddings()
    head.register_forward_hook(lambda _module, _inputs, rows: rows.fill_(-np.inf))
    with pytest.raises(InvalidDistribution, match="row 0"):
        nescio.score(model, "anything")
    with pytest.raises(InvalidDistribution, match="row 0"):
        nescio.generate(model, "anything")


def test_rotations_that_change_with_length_limit_the_context_to_where_they_do() -> None:
    model = tiny_model("llama")
    assert model.context_length == 96
    model.network.config.rope_parameters = {
        "rope_type": "longrope",
        "original_max_position_embeddings": 40,
    }
    assert model.context_length == 40
    with pytest.raises(ContextOverflow, match="41 tokens are more than the 40"):
        model.extend([model.open()], [np.zeros(41, dtype=np.int32)])
