"""Directories in Hugging Face's layout: what is loaded from them, and what is not."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

import nescio
from nescio.errors import InvalidInput, ModelError
from nescio.kernel import log_softmax
from tests.models.tiny import VOCABULARY, tiny_tokenizer

TEXT = "Hello, wörld and all who sail in her."
START, END = VOCABULARY - 2, VOCABULARY - 1
PADDED = 3
EVIL = """
from pathlib import Path
Path(__file__).with_name("executed").touch()
"""


def saved(directory: Path, *, vocabulary: int = VOCABULARY, seed: int = 7) -> Path:
    """A random llama and its tokenizer, as ``save_pretrained`` writes them."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=96,
        initializer_range=0.2,
        bos_token_id=START,
        eos_token_id=END,
        pad_token_id=END,
    )
    LlamaForCausalLM(config).save_pretrained(directory)
    tiny_tokenizer().save_pretrained(directory)
    return directory


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """One such directory."""
    return saved(tmp_path / "tiny")


def load(directory: Path, options: str = "") -> Any:
    return nescio.load(f"hf:{directory}{options}", engine="transformers")


def refused(directory: Path) -> str:
    """Loading is refused by name; with what words."""
    with pytest.raises(ModelError) as caught:
        load(directory)
    return str(caught.value)


def change_config(directory: Path, **changes: Any) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def plain(network: Any, ids: np.ndarray) -> np.ndarray:
    """transformers' own log-probabilities after each token, [tokens, vocabulary]."""
    with torch.inference_mode():
        logits = network(input_ids=torch.as_tensor(ids)[None].long()).logits[0]
    return torch.log_softmax(logits.double(), dim=-1).numpy()


def plain_logp(directory: Path, trace: Any, dtype: torch.dtype) -> np.ndarray:
    """What transformers alone makes of a scored text in some precision."""
    network = AutoModelForCausalLM.from_pretrained(directory, dtype=dtype)
    ids = np.concatenate([[START], trace.token_ids])
    return plain(network, ids)[np.arange(len(ids) - 1), ids[1:]]


def test_a_directory_is_loaded_as_transformers_loads_it(directory: Path) -> None:
    model = load(directory)
    trace = nescio.score(model, TEXT)
    expected = plain_logp(directory, trace, torch.float32)
    np.testing.assert_allclose(trace.logp, expected, rtol=0, atol=1e-4)
    assert model.origin.precision == trace.origin.precision == "f32"
    assert model.context_length == 96
    assert not model.network.training


def test_the_start_is_the_tokenizers_own_and_the_end_too(directory: Path) -> None:
    model = load(directory)
    assert model.start == (START,)
    assert model.vocabulary.end == (END,)
    assert nescio.score(model, TEXT).origin.conditioned_on == "<s>"


def test_the_generation_config_adds_ends(directory: Path) -> None:
    path = directory / "generation_config.json"
    fields = json.loads(path.read_text()) | {"eos_token_id": [END, 10]}
    path.write_text(json.dumps(fields))
    assert load(directory).vocabulary.end == (10, END)


def test_without_a_start_token_the_end_token_stands_in(directory: Path) -> None:
    path = directory / "tokenizer_config.json"
    fields = json.loads(path.read_text())
    del fields["bos_token"]
    path.write_text(json.dumps(fields))
    assert load(directory).start == (END,)


def test_the_start_can_be_chosen(directory: Path) -> None:
    model = load(directory, ",start=</s>")
    assert model.start == (END,)
    assert nescio.score(model, TEXT).origin.conditioned_on == "</s>"
    own, other = nescio.score(load(directory), TEXT), nescio.score(model, TEXT)
    assert np.abs(own.logp - other.logp).max() > 0.01


def test_start_none_leaves_the_first_token_unscored(directory: Path) -> None:
    model = load(directory, ",start=none")
    assert model.start == ()
    trace = nescio.score(model, TEXT)
    assert trace.scored.tolist() == [False] + [True] * (len(trace) - 1)
    assert trace.origin.conditioned_on is None


@pytest.mark.parametrize("start", ["<bos>", "a"])
def test_a_start_that_is_no_control_token_is_refused(
    directory: Path, start: str
) -> None:
    with pytest.raises(InvalidInput, match=f"'{start}' is not a control token"):
        load(directory, f",start={start}")


def test_bf16_is_really_computed_in_bf16(directory: Path) -> None:
    exact, model = load(directory), load(directory, ",precision=bf16")
    assert {weights.dtype for weights in exact.network.parameters()} == {torch.float32}
    assert {weights.dtype for weights in model.network.parameters()} == {torch.bfloat16}
    assert model.origin.precision == "bf16"
    trace, reference = nescio.score(model, TEXT), nescio.score(exact, TEXT)
    assert trace.origin.precision == "bf16"
    apart = np.abs(trace.logp - reference.logp)
    assert 1e-3 < apart.max() < 0.2
    expected = plain_logp(directory, trace, torch.bfloat16)
    np.testing.assert_allclose(trace.logp, expected, rtol=0, atol=1e-3)


def test_a_precision_that_does_not_exist_is_refused(directory: Path) -> None:
    with pytest.raises(InvalidInput, match="unknown precision 'f8'"):
        load(directory, ",precision=f8")


def test_the_digest_is_that_of_the_weights(tmp_path: Path) -> None:
    one, same = (saved(tmp_path / name, seed=7) for name in ("one", "same"))
    other = saved(tmp_path / "other", seed=8)
    digests = [load(path).origin.model_digest for path in (one, same, other)]
    assert digests[0] == digests[1] != digests[2]
    assert len(digests[0]) == 64
    weights = load_file(one / "model.safetensors")
    weights["model.norm.weight"][0] += 1e-3
    save_file(weights, one / "model.safetensors", {"format": "pt"})
    assert load(one).origin.model_digest != digests[0]
    change_config(same, rms_norm_eps=1e-5)
    assert load(same).origin.model_digest != digests[1]


def test_a_missing_tensor_is_refused(directory: Path) -> None:
    """Else transformers makes it up at random."""
    path = directory / "model.safetensors"
    weights = load_file(path)
    name = "model.layers.1.mlp.down_proj.weight"
    del weights[name]
    save_file(weights, path, {"format": "pt"})
    assert name in refused(directory)


@pytest.mark.parametrize("left", [-500, 4, 0])
def test_cut_weights_are_refused(directory: Path, left: int) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:left])
    assert str(directory) in refused(directory)


def test_weights_of_another_shape_are_refused(directory: Path) -> None:
    change_config(directory, intermediate_size=40)
    assert str(directory) in refused(directory)


def test_weights_that_are_a_pickle_are_refused(directory: Path) -> None:
    path = directory / "model.safetensors"
    torch.save(load_file(path), directory / "pytorch_model.bin")
    path.unlink()
    assert "safetensors" in refused(directory)


def test_a_directory_without_a_tokenizer_is_refused(directory: Path) -> None:
    for path in directory.glob("*token*"):
        path.unlink()
    refused(directory)


@pytest.mark.parametrize("config", [None, "{", "[]", '{"model_type": "foobar"}'])
def test_a_configuration_that_says_nothing_is_refused(
    directory: Path, config: str | None
) -> None:
    path = directory / "config.json"
    path.unlink() if config is None else path.write_text(config)
    refused(directory)


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "nowhere" in refused(tmp_path / "nowhere")


@pytest.mark.parametrize("model_type", ["llama", "evil"])
def test_code_that_comes_with_the_weights_is_never_run(
    directory: Path, model_type: str
) -> None:
    (directory / "evil.py").write_text(EVIL)
    places = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    change_config(directory, auto_map=places, model_type=model_type)
    path = directory / "tokenizer_config.json"
    fields = json.loads(path.read_text())
    fields["auto_map"] = {"AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"]}
    path.write_text(json.dumps(fields))
    if model_type == "evil":
        refused(directory)
    else:
        assert type(load(directory).network) is LlamaForCausalLM
    assert not (directory / "executed").exists()
    runpy.run_path(str(directory / "evil.py"))
    assert (directory / "executed").exists(), "the trap itself does not work"


@pytest.fixture
def padded(tmp_path: Path) -> Any:
    """A model whose head has three rows that are no token."""
    return load(saved(tmp_path / "padded", vocabulary=VOCABULARY + PADDED))


def test_rows_of_the_head_that_are_no_token_have_probability_zero(padded: Any) -> None:
    assert padded.vocabulary.size == VOCABULARY + PADDED
    ids = np.array([START, *padded.encode(TEXT.encode())], dtype=np.int32)
    blocks = padded.logit_blocks([ids], skip=[0], rows=7)
    scored = np.concatenate([block.logits.copy() for block in blocks])
    _, stepped = padded.extend([padded.open()], [ids])
    for logits in (scored, stepped):
        assert np.isneginf(logits[:, VOCABULARY:]).all()
        assert np.isfinite(logits[:, :VOCABULARY]).all()
    rows = plain(padded.network, ids)
    real = log_softmax(rows[:, :VOCABULARY])
    assert np.abs(real - rows[:, :VOCABULARY]).max() > 1e-3
    found = log_softmax(np.concatenate([scored, stepped]))[:, :VOCABULARY]
    np.testing.assert_allclose(found, real, rtol=0, atol=2e-4)
    trace = nescio.score(padded, TEXT)
    entropy = -(np.exp(real) * real).sum(axis=1)[:-1]
    np.testing.assert_allclose(trace.entropy, entropy, rtol=0, atol=2e-4)


def test_a_padded_head_is_said_in_the_origin(padded: Any, directory: Path) -> None:
    plain_engine = load(directory).origin.engine
    engine = nescio.score(padded, TEXT).origin.engine
    assert engine == padded.origin.engine
    assert engine.startswith(plain_engine)
    assert f"{PADDED} padded rows" in engine
    assert "padded" not in plain_engine
