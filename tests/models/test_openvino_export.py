"""Exports to OpenVINO, and what is refused: precision, architecture, numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers as hf

import nescio
from nescio.errors import CapabilityError, NescioError
from nescio.models.openvino_loading import converted
from nescio.models.openvino_runtime import thread_count
from tests.models.tiny import VOCABULARY, needs_bf16, tiny_model, tiny_on_openvino


@pytest.mark.parametrize("precision", ["f32", pytest.param("bf16", marks=needs_bf16)])
def test_the_origin_says_engine_precision_and_cache(precision: str) -> None:
    model = tiny_on_openvino("llama", precision)
    assert model.origin.engine.startswith("openvino ")
    assert model.origin.engine.endswith(f", cache {precision}")
    assert model.origin.precision == precision
    assert nescio.score(model, "text").origin.engine == model.origin.engine


@needs_bf16
def test_what_openvino_compiled_otherwise_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Left alone, OpenVINO computes in bf16; what is read back has to show it."""
    from nescio.models import openvino_runtime as runtime

    whole = runtime._part

    def left_alone(model: Any, **how: Any) -> Any:
        if how["output"] == "logits":
            how["settings"] = how["settings"] | {"INFERENCE_PRECISION_HINT": "bf16"}
        return whole(model, **how)

    monkeypatch.setattr(runtime, "_part", left_alone)
    with pytest.raises(CapabilityError, match=r"arithmetic in f32.*compiled bf16"):
        converted(tiny_model("llama"))


def test_a_memory_in_another_precision_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from nescio.models import openvino_runtime as runtime

    whole = runtime._part

    def left_alone(model: Any, **how: Any) -> Any:
        how["settings"] = how["settings"] | {"KV_CACHE_PRECISION": "u8"}
        return whole(model, **how)

    monkeypatch.setattr(runtime, "_part", left_alone)
    with pytest.raises(CapabilityError, match="a memory in f32"):
        converted(tiny_model("llama"))


def test_a_processor_without_bf16_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from nescio.models import openvino_runtime as runtime

    class Core:
        def get_property(self, *_: object) -> list[str]:
            return ["FP32", "INT8"]

    ov = runtime.openvino()
    monkeypatch.setattr(ov, "Core", Core)
    with pytest.raises(CapabilityError, match=r"does not compute in bfloat16"):
        runtime.check_precision("bf16")
    runtime.check_precision("f32")


def test_nan_weights_are_refused_before_there_is_a_model() -> None:
    model = tiny_model("llama")
    with torch.no_grad():
        model.network.model.norm.weight[3] = float("nan")
    with pytest.raises(NescioError, match=r"NaN|KL nan|row 0"):
        converted(model)


def test_an_export_with_other_numbers_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A window that is one token too long, seen only beyond it."""
    from nescio.models import openvino_export

    whole = openvino_export._paged_attention

    class Longer:
        def __init__(self, context: Any) -> None:
            self.context = context

        def __getattr__(self, name: str) -> Any:
            return getattr(self.context, name)

        def get_values_from_const_input(self, place: int) -> Any:
            found = self.context.get_values_from_const_input(place)
            return found + 1 if place == 11 and found else found

    monkeypatch.setattr(
        openvino_export, "_paged_attention", lambda context: whole(Longer(context))
    )
    with pytest.raises(CapabilityError, match="gives other distributions when"):
        converted(tiny_model("gemma3"))


SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 96,
    "bos_token_id": VOCABULARY - 2,
    "eos_token_id": VOCABULARY - 1,
}
REFUSED = {
    "softcap": lambda: hf.Gemma2ForCausalLM(
        hf.Gemma2Config(**SHAPE, sliding_window=8, query_pre_attn_scalar=8)
    ),
    "does not attend once in each": lambda: hf.BloomForCausalLM(
        hf.BloomConfig(vocab_size=VOCABULARY, hidden_size=32, n_layer=2, n_head=4)
    ),
}


@pytest.mark.parametrize("words", list(REFUSED))
def test_attention_that_cannot_be_paged_is_refused_and_the_network_left_as_it_was(
    words: str,
) -> None:
    network = REFUSED[words]().eval()
    model = replace(tiny_model("llama"), network=network)
    before = network.config._attn_implementation
    with pytest.raises(CapabilityError, match=words):
        converted(model)
    assert network.config._attn_implementation == before
    model.self_test()


@pytest.mark.parametrize(
    "make",
    [
        lambda: hf.Qwen2ForCausalLM(
            hf.Qwen2Config(
                **{k: v for k, v in SHAPE.items() if k != "head_dim"},
                sliding_window=8,
                use_sliding_window=True,
                max_window_layers=1,
            )
        ),
        lambda: hf.GPT2LMHeadModel(
            hf.GPT2Config(
                vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=96
            )
        ),
        pytest.param(
            lambda: hf.CohereForCausalLM(hf.CohereConfig(**SHAPE, logit_scale=0.3)),
            marks=pytest.mark.verify,
        ),
        pytest.param(
            lambda: hf.MistralForCausalLM(hf.MistralConfig(**SHAPE, sliding_window=8)),
            marks=pytest.mark.verify,
        ),
    ],
    ids=["qwen2", "gpt2", "cohere", "mistral"],
)
def test_other_architectures_run_too(make: Any) -> None:
    torch.manual_seed(3)
    network = make().eval()
    with torch.no_grad():
        for weights in network.parameters():
            if weights.dim() > 1:
                weights.normal_(0, 0.25)
    model = converted(replace(tiny_model("llama"), network=network))
    assert len(nescio.score(model, "a text").logp) == 6


@pytest.mark.parametrize(
    ("asked", "threads"), [("1", 1), ("3", 3), ("2,1", 2), ("64", 4)]
)
def test_as_many_threads_as_asked_for_and_no_more_than_cores(
    monkeypatch: pytest.MonkeyPatch, asked: str, threads: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert thread_count() == threads


@pytest.mark.parametrize("asked", ["", "0", "many"])
def test_else_as_many_as_there_are_cores(
    monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert thread_count() >= 1


def test_nothing_is_reported_to_anybody() -> None:
    """OpenVINO would send its import and each conversion over the network."""
    code = (
        "import sys; from nescio.models.openvino_runtime import openvino; "
        "ov = openvino(); assert 'openvino_telemetry' not in sys.modules; "
        "import openvino.tools.ovc.telemetry_utils as used; "
        "print(used.tm.__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "openvino.tools.ovc.telemetry_stub"
    assert done.stderr == ""
