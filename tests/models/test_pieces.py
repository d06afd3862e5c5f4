"""Every id spells its bytes; vocabularies whose bytes are not known are refused."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models
from transformers.convert_slow_tokenizer import bytes_to_unicode

from nescio.errors import CapabilityError
from nescio.models.pieces import BYTE_ALPHABET, vocabulary_of
from tests.models.backends import (
    FAMILIES,
    SPECIAL,
    TEXT_TOKENS,
    built,
    byte_level,
    check_every_id,
    sentencepiece,
)


def test_the_byte_alphabet_is_the_one_transformers_uses():
    assert {byte: c for c, byte in BYTE_ALPHABET.items()} == bytes_to_unicode()


def test_a_byte_level_piece_spells_its_bytes_and_an_added_token_itself():
    backend = Backend(models.BPE({"Ġa": 0, "ĊĊ": 1, "ã": 2, "日": 3}, []))
    backend.decoder = decoders.ByteLevel()
    backend.add_tokens(["Ġtext", "é"])
    vocabulary = vocabulary_of(backend, 6)
    spelled = [vocabulary.token(token) for token in range(6)]
    assert spelled[:3] == [b" a", b"\n\n", b"\xe3"]
    assert spelled[3:] == ["日".encode(), "Ġtext".encode(), "é".encode()]


def test_a_sentencepiece_mark_is_a_space_and_a_byte_piece_one_byte():
    backend = sentencepiece()
    vocabulary = vocabulary_of(backend, backend.get_vocab_size())
    spelled = {p: vocabulary.token(token) for p, token in backend.get_vocab().items()}
    assert spelled["▁the"] == b" the"
    assert spelled["▁"] == b" "
    assert (spelled["<0x0A>"], spelled["<0xE2>"]) == (b"\n", b"\xe2")
    assert spelled["<tool>"] == b"<tool>"


def test_a_byte_piece_is_text_where_there_is_no_byte_fallback():
    backend = Backend(models.BPE({"<0x0A>": 0, "▁a": 1}, []))
    backend.decoder = decoders.Replace("▁", " ")
    vocabulary = vocabulary_of(backend, 2)
    assert [vocabulary.token(token) for token in (0, 1)] == [b"<0x0A>", b" a"]


def test_special_tokens_and_unused_rows_are_control_tokens_with_names():
    backend = byte_level()
    size = backend.get_vocab_size()
    vocabulary = vocabulary_of(backend, size + 2, end=[1])
    assert sorted(vocabulary.labels.values()) == sorted(
        [*SPECIAL, f"<pad:{size}>", f"<pad:{size + 1}>"]
    )
    assert vocabulary.control.sum() == len(SPECIAL) + 2
    assert vocabulary.end == (1,)
    for text in TEXT_TOKENS:
        assert vocabulary.token(backend.token_to_id(text)) == text.encode()


def test_an_unused_id_in_the_middle_is_a_control_token_too():
    backend = Backend(models.BPE({"a": 0, "b": 2}, []))
    backend.decoder = decoders.ByteLevel()
    assert vocabulary_of(backend, 3).label(1) == "<pad:1>"


def test_the_unknown_token_and_end_tokens_are_control_tokens_whatever_their_flags():
    backend = Backend(models.BPE({"?": 0, "a": 1, "!": 2}, [], unk_token="?"))
    backend.decoder = decoders.ByteLevel()
    vocabulary = vocabulary_of(backend, 3, end=[2])
    assert vocabulary.labels == {0: "?", 2: "!"}


def test_ids_of_the_same_bytes_are_all_found_by_their_bytes():
    backend = sentencepiece()
    vocabulary = vocabulary_of(backend, backend.get_vocab_size())
    pair = (backend.token_to_id("<0x61>"), backend.token_to_id("a"))
    assert vocabulary.ids_by_bytes[b"a"] == pair


@pytest.mark.parametrize("family", FAMILIES)
def test_every_id_spells_what_the_backend_decodes_after_another_one(family: str):
    backend = FAMILIES[family]()
    tokenizer = built(backend)
    check_every_id(tokenizer, backend)


# Refusals


def test_a_head_smaller_than_the_tokenizer_is_refused():
    backend = byte_level()
    size = backend.get_vocab_size()
    with pytest.raises(
        CapabilityError, match=f"ids up to {size - 1}.* {size - 1} rows"
    ):
        built(backend, size=size - 1)


@pytest.mark.parametrize(
    ("decoder", "named"),
    [
        (decoders.WordPiece(), "WordPiece"),
        (decoders.BPEDecoder(), "BPEDecoder"),
        (decoders.CTC(), "CTC"),
        (decoders.Replace("a", "b"), "replaces"),
        (decoders.Fuse(), "no known decoder"),
        (None, "no known decoder"),
    ],
)
def test_a_family_whose_bytes_are_not_known_is_refused_by_name(
    decoder: Any, named: str
):
    backend = Backend(models.BPE({"a": 0}, []))
    if decoder is not None:
        backend.decoder = decoder
    with pytest.raises(CapabilityError, match=named):
        built(backend)


def test_wordpiece_and_suffixed_pieces_are_refused():
    wordpiece = Backend(models.WordPiece({"[UNK]": 0, "##a": 1}, unk_token="[UNK]"))
    suffixed = Backend(models.BPE({"a</w>": 0}, [], end_of_word_suffix="</w>"))
    for backend, named in ((wordpiece, "##"), (suffixed, "</w>")):
        with pytest.raises(CapabilityError, match=named):
            built(backend)
