"""Tiny random transformers with a real tokenizer: every code path, no download."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from nescio.errors import CapabilityError
from nescio.models.openvino import OpenVinoModel
from nescio.models.openvino_loading import converted
from nescio.models.openvino_runtime import check_precision
from nescio.models.tokenizer import tokenizer_of
from nescio.models.transformers import TransformersModel
from nescio.trace import Origin

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
VOCABULARY = len(ALPHABET) + 2


def computes_bf16() -> bool:
    """Whether this processor does; elsewhere the engine refuses (and is tested so)."""
    try:
        check_precision("bf16")
    except CapabilityError:
        return False
    return True


needs_bf16 = pytest.mark.skipif(
    not computes_bf16(), reason="this processor does not compute in bfloat16"
)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level, one id a byte, with a start and an end token."""
    pieces = {piece: number for number, piece in enumerate(ALPHABET)}
    backend = Tokenizer(models.BPE(pieces, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    names = ("<s>", "</s>")
    backend.add_special_tokens([AddedToken(name, special=True) for name in names])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>"
    )


def tiny_model(architecture: str) -> TransformersModel:
    """A random ``llama`` or ``gemma3``, the latter with a window of 8 tokens."""
    torch.manual_seed(7)
    shape = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 96,
        "initializer_range": 0.3,
        "bos_token_id": VOCABULARY - 2,
        "eos_token_id": VOCABULARY - 1,
        "pad_token_id": VOCABULARY - 1,
    }
    if architecture == "gemma3":
        window = {"sliding_window": 8, "sliding_window_pattern": 2}
        network = Gemma3ForCausalLM(Gemma3TextConfig(**shape, **window))
    else:
        network = LlamaForCausalLM(LlamaConfig(**shape))
    tokenizer = tokenizer_of(tiny_tokenizer(), VOCABULARY)
    origin = Origin(architecture, "random", tokenizer.digest, "transformers", "f32")
    model = TransformersModel(
        architecture, origin, tokenizer, (VOCABULARY - 2,), network.eval()
    )
    model.self_test()
    return model


@cache
def tiny_on_openvino(architecture: str, precision: str = "f32") -> OpenVinoModel:
    """The same on OpenVINO; exported and tested once a session."""
    return converted(tiny_model(architecture), precision=precision)
