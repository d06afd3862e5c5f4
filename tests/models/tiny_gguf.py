"""Tiny random models as real GGUF files, with the weights they hold by another way."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import dequantize, quantize

from nescio.models.installing import Entry, cache_directory
from nescio.models.pieces import BYTE_ALPHABET

WIDTH, INNER, HEADS, KEY_HEADS, HEAD, LAYERS = 64, 96, 4, 2, 16, 2
CONTEXT = 128
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
USER_DEFINED = "<think>"
MERGES = ("1 2", "Ġ t", "h e", "Ġt he", "Ġ 1", "3 4")
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}"
MARK = "\u2581"
F32, Q4_1, Q8_0 = (
    GGMLQuantizationType.F32,
    GGMLQuantizationType.Q4_1,
    GGMLQuantizationType.Q8_0,
)


STAGES = (
    "checking tiny.gguf",
    "reading the tokenizer",
    "reading the weights",
    "writing the weights",
    "checking what was written",
    "putting it in place",
)
"""What is reported while such a file is installed."""


def models() -> Path:
    return cache_directory() / "models"


def visible_in(folder: Path) -> set[str]:
    """What lies in a folder, but for the locks."""
    return {path.name for path in folder.glob("*") if path.suffix != ".lock"} | {
        path.name for path in folder.glob(".*.partial-*")
    }


@dataclass
class TinyFile:
    """A file, what its tokens are, and the weights transformers should see."""

    path: Path
    tokens: list[str]
    types: list[int]
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def entry(self, **changes: Any) -> Entry:
        """A catalogue entry for the file."""
        facts: dict[str, Any] = {
            "name": "tiny",
            "title": "Tiny-0.1M",
            "description": "a random model",
            "licence": "Apache-2.0",
            "open_licence": True,
            "terms": "https://example.org/terms",
            "parameters": 100_000,
            "vocabulary": len(self.tokens),
            "packages": (),
            "sha256": self.sha256,
            "size": self.path.stat().st_size,
            "start": "<|endoftext|>",
            "end": ("<|im_end|>",),
            "chat": True,
        }
        return Entry(**facts | changes)


def write_llama(
    path: Path,
    *,
    rule: str = "smollm",
    extra: dict[str, np.ndarray] | None = None,
    spoil: float | None = None,
) -> TinyFile:
    """A llama with byte-level BPE, weights in three formats, queries interleaved."""
    merged = [merge.replace(" ", "") for merge in MERGES]
    tokens = [*CONTROL, USER_DEFINED, *sorted(BYTE_ALPHABET), *merged]
    types = [TokenType.CONTROL] * 3 + [TokenType.USER_DEFINED]
    types += [TokenType.NORMAL] * (len(tokens) - len(types))
    made = TinyFile(path, tokens, [int(kind) for kind in types])
    writer = GGUFWriter(path, "llama")
    writer.add_name("Tiny")
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(HEAD)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(rule)
    writer.add_token_merges(list(MERGES))
    writer.add_chat_template(TEMPLATE)
    _write_common(writer, made, start=1, end=2, unknown=0, padding=2)
    random = np.random.default_rng(11)
    plan = _llama_plan(len(tokens))
    for name, (shape, kind, theirs) in plan.items():
        values = random.normal(size=shape).astype(np.float32)
        if spoil is not None and name == "output_norm.weight":
            values[3] = spoil
        made.weights[theirs] = _write_tensor(writer, name, values, kind)
    for name, values in (extra or {}).items():
        writer.add_tensor(name, values)
    _write_out(writer)
    for name, heads in (("q", HEADS), ("k", KEY_HEADS)):
        for layer in range(LAYERS):
            theirs = f"model.layers.{layer}.self_attn.{name}_proj.weight"
            made.weights[theirs] = _halves(made.weights[theirs], heads)
    return made


def write_gemma(path: Path) -> TinyFile:
    """A gemma3 with a SentencePiece vocabulary: runs of spaces, bytes, norms + 1."""
    control = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    whole = ["[multimodal]", "\n", "\n\n"]
    runs = [" " * length for length in range(2, 6)]
    single = [f"<0x{byte:02X}>" for byte in range(256)]
    words = [MARK, *"abcdefghijklmnopqrstuvwxyz0123456789<>", "he", f"{MARK}he", "12"]
    made = TinyFile(
        path,
        [*control, *whole, *runs, *single, *words],
        [*[3] * 5, *[4] * (3 + len(runs)), *[6] * 256, *[1] * len(words)],
    )
    writer = GGUFWriter(path, "gemma3")
    writer.add_name("Tiny")
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_sliding_window(16)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_scores([-float(place) for place in range(len(made.tokens))])
    _write_common(writer, made, start=2, end=1, unknown=3, padding=0)
    random = np.random.default_rng(12)
    for name, (shape, kind, theirs) in _gemma_plan(len(made.tokens)).items():
        values = random.normal(size=shape).astype(np.float32)
        stored = _write_tensor(writer, name, values, kind)
        made.weights[theirs] = stored - 1 if name.endswith("norm.weight") else stored
    _write_out(writer)
    return made


def _write_common(
    writer: GGUFWriter,
    made: TinyFile,
    *,
    start: int,
    end: int,
    unknown: int,
    padding: int,
) -> None:
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_token_list(made.tokens)
    writer.add_token_types(made.types)
    writer.add_bos_token_id(start)
    writer.add_eos_token_id(end)
    writer.add_unk_token_id(unknown)
    writer.add_pad_token_id(padding)
    writer.add_add_bos_token(start == 2)
    writer.add_add_space_prefix(False)


Plan = dict[str, tuple[tuple[int, ...], GGMLQuantizationType, str]]


def _shared_plan(vocabulary: int) -> Plan:
    plan: Plan = {
        "token_embd.weight": ((vocabulary, WIDTH), Q8_0, "model.embed_tokens.weight"),
        "output_norm.weight": ((WIDTH,), F32, "model.norm.weight"),
    }
    matrices = {
        "attn_q": ((HEADS * HEAD, WIDTH), Q4_1, "self_attn.q_proj"),
        "attn_k": ((KEY_HEADS * HEAD, WIDTH), Q4_1, "self_attn.k_proj"),
        "attn_v": ((KEY_HEADS * HEAD, WIDTH), Q8_0, "self_attn.v_proj"),
        "attn_output": ((WIDTH, HEADS * HEAD), Q4_1, "self_attn.o_proj"),
        "ffn_gate": ((INNER, WIDTH), Q4_1, "mlp.gate_proj"),
        "ffn_up": ((INNER, WIDTH), Q8_0, "mlp.up_proj"),
        "ffn_down": ((WIDTH, INNER), F32, "mlp.down_proj"),
        "attn_norm": ((WIDTH,), F32, "input_layernorm"),
    }
    return plan | _by_layer(matrices)


def _llama_plan(vocabulary: int) -> Plan:
    norms = {"ffn_norm": ((WIDTH,), F32, "post_attention_layernorm")}
    return _shared_plan(vocabulary) | _by_layer(norms)


def _gemma_plan(vocabulary: int) -> Plan:
    norms = {
        "attn_q_norm": ((HEAD,), F32, "self_attn.q_norm"),
        "attn_k_norm": ((HEAD,), F32, "self_attn.k_norm"),
        "post_attention_norm": ((WIDTH,), F32, "post_attention_layernorm"),
        "ffn_norm": ((WIDTH,), F32, "pre_feedforward_layernorm"),
        "post_ffw_norm": ((WIDTH,), F32, "post_feedforward_layernorm"),
    }
    return _shared_plan(vocabulary) | _by_layer(norms)


def _by_layer(parts: dict[str, tuple[tuple[int, ...], Any, str]]) -> Plan:
    return {
        f"blk.{layer}.{name}.weight": (
            shape,
            kind,
            f"model.layers.{layer}.{theirs}.weight",
        )
        for layer in range(LAYERS)
        for name, (shape, kind, theirs) in parts.items()
    }


def _write_tensor(
    writer: GGUFWriter, name: str, values: np.ndarray, kind: GGMLQuantizationType
) -> np.ndarray:
    """Write a tensor; what it holds then, in float32."""
    packed = quantize(values, kind)
    writer.add_tensor(name, packed, raw_dtype=kind)
    return dequantize(packed, kind)


def _halves(stored: np.ndarray, heads: int) -> np.ndarray:
    """From llama.cpp's interleaved rotary pairs to transformers' two halves."""
    theirs = np.empty_like(stored)
    for head in range(heads):
        for pair in range(HEAD // 2):
            for half in range(2):
                row = head * HEAD + 2 * pair + half
                theirs[head * HEAD + half * (HEAD // 2) + pair] = stored[row]
    return theirs


def _write_out(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
