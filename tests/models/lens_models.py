"""Tiny random networks of many architectures, for the layer lens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as hf

from nescio.models.transformers import TransformersModel
from tests.models.test_architectures import (
    ARCHITECTURES,
    GROUPED,
    HEADS,
    IDS,
    SHAPE,
    WINDOW,
    built,
)

__all__ = ["NETWORKS", "tiny"]

_OPT = {"ffn_dim": 48, "max_position_embeddings": 96}
_GEMMA3 = {"sliding_window": 8, "sliding_window_pattern": 2}

NETWORKS: dict[str, Callable[[], Any]] = ARCHITECTURES | {
    "llama": lambda: hf.LlamaForCausalLM(
        hf.LlamaConfig(**SHAPE, **GROUPED, tie_word_embeddings=True)
    ),
    "gemma3": lambda: hf.Gemma3ForCausalLM(
        hf.Gemma3TextConfig(**SHAPE, **GROUPED, **_GEMMA3, final_logit_softcapping=3.0)
    ),
    "qwen3": lambda: hf.Qwen3ForCausalLM(hf.Qwen3Config(**SHAPE, **GROUPED)),
    "phi": lambda: hf.PhiForCausalLM(hf.PhiConfig(**SHAPE)),
    "opt, normed after each block": lambda: hf.OPTForCausalLM(
        hf.OPTConfig(
            **IDS, **HEADS, **_OPT, word_embed_proj_dim=32, do_layer_norm_before=False
        )
    ),
    "opt, projected before the head": lambda: hf.OPTForCausalLM(
        hf.OPTConfig(**IDS, **HEADS, **_OPT, word_embed_proj_dim=16)
    ),
    "mixtral": lambda: hf.MixtralForCausalLM(
        hf.MixtralConfig(**SHAPE, **WINDOW, num_key_value_heads=2, num_local_experts=4)
    ),
}


def tiny(name: str) -> TransformersModel:
    """One of them; its weights are wide enough that each part matters.

    Those of the norms too: a norm of ones would change nothing when applied twice.
    """
    model = built(name, NETWORKS[name])
    with torch.no_grad():
        for weights in model.network.parameters():
            if weights.dim() == 1:
                weights.add_(torch.randn_like(weights), alpha=0.4)
    return model
