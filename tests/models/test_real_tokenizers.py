"""The tokenizers of real models: every id, hostile texts, and transformers beside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from transformers import AutoTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from nescio.errors import InvalidText
from nescio.models.tokenizer import Tokenizer, read_tokenizer
from tests.models.backends import CORPUS, TEXTS, check_every_id, check_spells


@pytest.fixture(scope="module")
def smollm2(smollm2_directory: Path) -> Tokenizer:
    return read_tokenizer(smollm2_directory)


@pytest.fixture(scope="module")
def gemma(gemma_directory: Path) -> Tokenizer:
    return read_tokenizer(gemma_directory)


ORDINARY = [
    "It was the best of times, it was the worst of times.",
    "x = 1234 + 56\n\n\tdef f(x):\n        return  x ** 2  # noqa\r\n",
    "Ünïcode, 日本語の文章、한국어, العربية, हिन्दी and 👩‍👩‍👧 emoji",
    "   leading and trailing   ",
]


def plain_ids(directory: Path, text: str) -> list[int]:
    plain = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    return plain(text, add_special_tokens=False)["input_ids"]


@pytest.mark.local_model
def test_every_id_of_smollm2_spells_what_its_piece_says(
    smollm2: Tokenizer, smollm2_directory: Path
):
    fields = json.loads((smollm2_directory / "tokenizer.json").read_text("utf-8"))
    bytes_of = {character: byte for byte, character in bytes_to_unicode().items()}
    special = {added["id"] for added in fields["added_tokens"]}
    vocabulary = smollm2.vocabulary
    assert vocabulary.size == len(fields["model"]["vocab"]) == 49_152
    assert set(np.flatnonzero(vocabulary.control)) == special == set(range(17))
    for piece, token in fields["model"]["vocab"].items():
        if token not in special:
            spelled = bytes(bytes_of[character] for character in piece)
            assert vocabulary.token(token) == spelled
            assert vocabulary.ids_by_bytes[spelled] == (token,)


@pytest.mark.local_model
def test_smollm2_decodes_every_id_to_what_it_spells(smollm2: Tokenizer):
    check_every_id(smollm2, smollm2.backend)


@pytest.mark.local_model
def test_smollm2_splits_ordinary_text_as_transformers_does(
    smollm2: Tokenizer, smollm2_directory: Path
):
    for text in ORDINARY:
        assert check_spells(smollm2, text).tolist() == plain_ids(
            smollm2_directory, text
        )
    assert smollm2.encode(b"Hello world 123").tolist() == [19556, 905, 216, 33, 34, 35]


@pytest.mark.local_model
@given(text=TEXTS)
def test_smollm2_spells_any_text_exactly_or_names_the_byte_it_lacks(
    smollm2: Tokenizer, text: str
):
    lacking = [
        byte
        for byte in text.encode()
        if bytes([byte]) not in smollm2.vocabulary.ids_by_bytes
    ]
    if lacking:
        with pytest.raises(
            InvalidText, match=f"no token for the byte {lacking[0]:#04x}"
        ):
            smollm2.encode(text.encode())
    else:
        check_spells(smollm2, text)


@pytest.mark.local_model
def test_smollm2_lacks_six_control_characters_and_bytes_of_rare_planes(
    smollm2: Tokenizer,
):
    known = smollm2.vocabulary.ids_by_bytes
    lacking = {byte for byte in range(256) if bytes([byte]) not in known}
    never = {0xC0, 0xC1, *range(0xF5, 0x100)}
    assert lacking - never == {0x04, 0x06, 0x13, 0x14, 0x16, 0x1D, 0xF1, 0xF2}


@pytest.mark.local_model
def test_a_megabyte_is_encoded_in_one_go(smollm2: Tokenizer):
    text = (" ".join([*CORPUS, *CORPUS]) + "<|im_end|>\x00").encode() * 1_500
    assert len(text) > 1_000_000
    edges = smollm2.vocabulary.edges(smollm2.encode(text))
    assert edges[-1] == len(text)


@pytest.mark.verify
def test_every_id_of_gemma_spells_what_its_piece_says(
    gemma: Tokenizer, gemma_directory: Path
):
    fields = json.loads((gemma_directory / "tokenizer.json").read_text("utf-8"))
    special = {added["id"] for added in fields["added_tokens"] if added["special"]}
    vocabulary = gemma.vocabulary
    assert vocabulary.size == len(fields["model"]["vocab"]) == 262_144
    assert set(np.flatnonzero(vocabulary.control)) == special
    assert len(special) == 6_249
    for piece, token in fields["model"]["vocab"].items():
        if token in special:
            continue
        spelled = piece.replace("▁", " ").encode()
        if 238 <= token < 494:
            assert piece == f"<0x{token - 238:02X}>"
            spelled = bytes([token - 238])
        assert vocabulary.token(token) == spelled
        assert token in vocabulary.ids_by_bytes[spelled]
    doubled = [ids for ids in vocabulary.ids_by_bytes.values() if len(ids) > 1]
    assert len(doubled) == 110
    assert all(min(abs(i - 365.5) for i in ids) < 128 for ids in doubled)


@pytest.mark.verify
def test_gemma_decodes_every_id_to_what_it_spells(gemma: Tokenizer):
    check_every_id(gemma, gemma.backend)


@pytest.mark.verify
def test_gemma_splits_ordinary_text_as_transformers_does(
    gemma: Tokenizer, gemma_directory: Path
):
    text = "\n".join([*ORDINARY, "[multimodal] <table></table>", " " * 31])
    assert check_spells(gemma, text).tolist() == plain_ids(gemma_directory, text)


@pytest.mark.verify
@settings(max_examples=300)
@given(text=TEXTS)
def test_gemma_spells_any_text_exactly(gemma: Tokenizer, text: str):
    check_spells(gemma, text)
