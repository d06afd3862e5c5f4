"""Small tokenizers of every family, trained here: what the big ones do, in little."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from nescio.models import tokenizer as ours

CORPUS = [
    "The cat sat on the mat and the dog sat on the log, then the cat sat there.",
    "the user said hello world, the system said: 12 + 30 = 42 and that is that",
    "What is the answer? The answer is that there is no answer in the end.\n" * 3,
    "le café est là où le café était, déjà vu",
]
SPECIAL = ["<|start|>", "<|end|>", "<unused0>"]
TEXT_TOKENS = ["<tool>", "\n\n"]
SPACE = "▁"


def byte_level(**parts: Any) -> Tokenizer:
    """A byte-level BPE that splits digits; ``parts`` are set on it afterwards."""
    backend = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    pieces = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([digits, pieces])
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=SPECIAL,
    )
    backend.train_from_iterator(CORPUS, trainer)
    backend.add_tokens([AddedToken(token, normalized=False) for token in TEXT_TOKENS])
    for name, part in parts.items():
        setattr(backend, name, part)
    return backend


def sentencepiece(*, byte_fallback: bool = True, prefix: bool = False) -> Tokenizer:
    """A BPE of the kind Gemma has: marks for spaces, bytes for what is unknown."""
    replaced = normalizers.Replace(" ", SPACE)
    trained = Tokenizer(models.BPE())
    trained.normalizer = replaced
    trainer = trainers.BpeTrainer(vocab_size=300, show_progress=False)
    trained.train_from_iterator(CORPUS, trainer)
    model = json.loads(trained.to_str())["model"]
    fallback = [f"<0x{byte:02X}>" for byte in range(256)] if byte_fallback else []
    pieces = ["<unk>", *SPECIAL, *TEXT_TOKENS, *fallback, SPACE, *model["vocab"]]
    numbered = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    backend = Tokenizer(
        models.BPE(
            numbered,
            [tuple(merge) for merge in model["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=byte_fallback,
        )
    )
    first = [normalizers.Prepend(SPACE)] if prefix else []
    backend.normalizer = normalizers.Sequence([*first, replaced])
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    strip = [decoders.Strip(" ", 1, 0)] if prefix else []
    backend.decoder = decoders.Sequence([*steps, *strip])
    backend.add_special_tokens([*SPECIAL, "<unk>"])
    backend.add_tokens([AddedToken(token, normalized=False) for token in TEXT_TOKENS])
    return backend


def unigram(scheme: str = "never") -> Tokenizer:
    """A unigram model without bytes, whose end token is a piece like any other."""
    pieces = [("<unk>", 0.0), ("</s>", 0.0), (SPACE, -2.0), ("▁the", -3.0)]
    pieces += [(letter, -5.0) for letter in "abcdefghijklmnopqrstuvwxyz</>."]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    backend.decoder = decoders.Metaspace(prepend_scheme=scheme, split=False)
    backend.add_special_tokens(["</s>", "<unk>"])
    return backend


def fast(backend: Tokenizer, **settings: Any) -> PreTrainedTokenizerFast:
    """The object that transformers makes of a backend."""
    return PreTrainedTokenizerFast(tokenizer_object=backend, **settings)


FAMILIES: dict[str, Callable[[], Tokenizer]] = {
    "byte_level": byte_level,
    "sentencepiece": sentencepiece,
    "composing": lambda: byte_level(normalizer=normalizers.NFC()),
    "compatible": lambda: byte_level(normalizer=normalizers.NFKC()),
    "lowercase": lambda: byte_level(normalizer=normalizers.Lowercase()),
}
TRAPS = [
    *SPECIAL,
    *TEXT_TOKENS,
    *("<unk>", "</s>", "<eos>", "<bos>", "<|im_start|>", "<|im_end|>"),
    *("<start_of_turn>", "[multimodal]", "<0x0A>", "<0xE2>", "▁", "▁▁", "▁the", "Ġ"),
    *(" ", "  ", "\n", "\r\n", "\t", "\x00", "\x7f", "\ufeff", "\u2028", "\u200d"),
    *("e\u0301", "\u0301", "\u0327\u0301", "\u0344", "\u212b", "ﬁ", "①"),
    *("\u1100\u1161\u11a8", "각"),
    *("👩‍👩‍👧‍👦", "🇯🇵", "日本語", "नमस्ते", "สวัสดี", "مرحبا", "שָׁלוֹם", "ß", "İ", "𝔘"),
    *("the", " the", "The cat", "1234", "]", "^", "-", "\\", "\ue000", "\U0010ffff"),
]
TEXTS = st.one_of(
    st.text(max_size=40),
    st.lists(st.one_of(st.sampled_from(TRAPS), st.text(max_size=3)), max_size=12).map(
        "".join
    ),
)


def built(backend: Tokenizer, **arguments: Any) -> ours.Tokenizer:
    known = backend.get_vocab_size(with_added_tokens=True)
    return ours.tokenizer_of(fast(backend), arguments.pop("size", known), **arguments)


def check_spells(tokenizer: ours.Tokenizer, text: str) -> np.ndarray:
    ids = tokenizer.encode(text.encode())
    assert tokenizer.vocabulary.spell(ids) == text.encode()
    assert not tokenizer.vocabulary.control[ids].any()
    assert ids.dtype == np.int32
    return ids


def check_every_id(tokenizer: ours.Tokenizer, backend: Tokenizer) -> None:
    vocabulary = tokenizer.vocabulary
    (anchor,) = tokenizer.encode(b"a").tolist()
    texts = backend.decode_batch(
        [[anchor, token] for token in range(vocabulary.size)],
        skip_special_tokens=False,
    )
    for token, text in enumerate(texts):
        spelled = vocabulary.token(token)
        if vocabulary.control[token]:
            assert spelled == b"", token
            assert text[1:] == vocabulary.label(token), token
            continue
        assert spelled, token
        assert token in vocabulary.ids_by_bytes[spelled], token
        try:
            assert spelled.decode() == text[1:], token
        except UnicodeDecodeError:
            assert "\ufffd" in text, token
