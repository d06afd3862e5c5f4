"""Every text is spelled exactly, whatever a tokenizer would do to it, or refused."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from nescio.errors import CapabilityError, InvalidText, MissingDependency, SchemaError
from nescio.models.tokenizer import Tokenizer, read_tokenizer, tokenizer_of
from tests.models.backends import (
    CORPUS,
    FAMILIES,
    TEXTS,
    built,
    byte_level,
    check_spells,
    fast,
    sentencepiece,
    unigram,
)


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    return {name: built(make()) for name, make in FAMILIES.items()}


# Refusals


@pytest.mark.parametrize(
    "backend",
    [
        sentencepiece(prefix=True),
        byte_level(pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True)),
        unigram("always"),
        unigram("first"),
    ],
    ids=["prepend", "byte_level", "always", "first"],
)
def test_a_tokenizer_that_puts_a_space_before_every_text_is_refused(backend: Backend):
    with pytest.raises(CapabilityError, match="puts a space before every text"):
        built(backend)


def test_a_tokenizer_that_is_not_fast_is_refused():
    with pytest.raises(CapabilityError, match="object is not a fast tokenizer"):
        tokenizer_of(object(), 3)


def test_bytes_that_are_not_utf8_are_refused_with_their_place(tokenizers: Any):
    for text, place in ((b"ab\xff", 2), (b"\xed\xa0\x80", 0), ("é".encode()[:1], 0)):
        with pytest.raises(InvalidText, match=f"byte {place} "):
            tokenizers["byte_level"].encode(text)


def test_a_character_that_cannot_be_written_is_refused_with_its_name_and_place():
    tokenizer = built(sentencepiece(byte_fallback=False))
    with pytest.raises(InvalidText, match=r"'語' \(U\+8A9E\) at byte 5 .* 0xe8"):
        tokenizer.encode("té a語é".encode())
    with pytest.raises(InvalidText, match=r"'▁' \(U\+2581\) at byte 1 "):
        tokenizer.encode("t▁".encode())


def test_an_unwritable_character_after_a_foreign_one_keeps_its_place():
    pieces = {"A": 0, "a": 1, "b": 2}
    backend = Backend(models.BPE(pieces, [], unk_token=None))
    backend.normalizer = normalizers.Lowercase()
    backend.decoder = decoders.ByteLevel()
    tokenizer = built(backend)
    assert tokenizer.encode(b"aAb").tolist() == [1, 0, 2]
    with pytest.raises(InvalidText, match=r"'B' \(U\+0042\) at byte 3 "):
        tokenizer.encode(b"aAbB")


# Exact encoding


@pytest.mark.parametrize("family", FAMILIES)
@given(text=TEXTS)
def test_any_text_is_spelled_exactly_without_control_tokens(
    tokenizers: Any, family: str, text: str
):
    check_spells(tokenizers[family], text)


@given(text=st.text(alphabet="abcdefghijklmnopqrstuvwxyz</>. \u2581é", max_size=30))
def test_a_unigram_model_spells_exactly_or_refuses(text: str):
    tokenizer = built(unigram())
    if "é" in text or "▁" in text:
        with pytest.raises(InvalidText, match="cannot write"):
            tokenizer.encode(text.encode())
    else:
        check_spells(tokenizer, text)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_ordinary_text_is_split_as_the_plain_tokenizer_splits_it(
    tokenizers: Any, family: str
):
    plain = fast(FAMILIES[family]())
    # Nothing that a normaliser would change: lower case, composed characters.
    lower = [text.lower() for text in CORPUS]
    for text in (*lower, "  two  spaces\n\n<tool> 日本 \t", "", "x"):
        expected = plain(text, add_special_tokens=False)["input_ids"]
        assert check_spells(tokenizers[family], text).tolist() == expected


def test_no_text_gives_no_ids(tokenizers: Any):
    assert tokenizers["byte_level"].encode(b"").tolist() == []


def test_a_control_token_spelled_out_is_text_but_other_added_tokens_stay_whole(
    tokenizers: Any,
):
    tokenizer = tokenizers["byte_level"]
    ids = check_spells(tokenizer, "a<|end|><tool>")
    pieces = [tokenizer.vocabulary.token(token) for token in ids]
    assert pieces[-1] == b"<tool>"
    plain = fast(byte_level())("a<|end|>", split_special_tokens=True)["input_ids"]
    assert ids[:-1].tolist() == plain
    assert 1 < len(plain) < len("a<|end|>")


@pytest.mark.parametrize("ignore_merges", [True, False])
def test_a_control_token_that_the_merges_reach_is_not_read_from_text(
    ignore_merges: bool,
):
    pieces = {"<": 0, "e": 1, ">": 2, "<e": 3, "<e>": 4}
    merges = [("<", "e"), ("<e", ">")]
    backend = Backend(models.BPE(pieces, merges, ignore_merges=ignore_merges))
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<e>"])
    assert built(backend).encode(b"<e><e").tolist() == [0, 1, 2, 3]


def test_an_end_token_that_is_not_flagged_is_not_read_from_text():
    backend = byte_level()
    tokenizer = built(backend, end=[backend.token_to_id("<tool>")])
    check_spells(tokenizer, "x <tool> y")


def test_a_literal_space_mark_is_written_in_bytes_and_its_neighbours_as_ever(
    tokenizers: Any,
):
    tokenizer = tokenizers["sentencepiece"]
    ids = check_spells(tokenizer, "the▁ the▁")
    mark = [
        tokenizer.vocabulary.ids_by_bytes[b][0] for b in (b"\xe2", b"\x96", b"\x81")
    ]
    first, second = tokenizer.encode(b"the"), tokenizer.encode(b" the")
    assert ids.tolist() == [*first, *mark, *second, *mark]
    assert len(second) == 1


def test_a_normaliser_changes_only_how_the_characters_concerned_are_written(
    tokenizers: Any,
):
    text = "the cat e\u0301 the cat"
    ids = check_spells(tokenizers["composing"], text)
    pieces = [tokenizers["composing"].vocabulary.token(token) for token in ids]
    before = tokenizers["byte_level"].encode(b"the cat").tolist()
    after = tokenizers["byte_level"].encode(b" the cat").tolist()
    assert ids[: len(before)].tolist() == before
    assert ids[-len(after) :].tolist() == after
    assert b"e" in b"".join(pieces[len(before) : -len(after)])


def test_random_splitting_meant_for_training_is_switched_off():
    backend = byte_level()
    expected = built(backend).encode(CORPUS[0].encode()).tolist()
    backend.model.dropout = 0.5
    tokenizer = built(backend)
    for _ in range(5):
        assert tokenizer.encode(CORPUS[0].encode()).tolist() == expected


def test_truncation_padding_and_added_ends_of_the_original_do_not_reach_the_text():
    backend = byte_level()
    expected = built(backend)
    backend.enable_truncation(2)
    backend.enable_padding(length=50, pad_id=1, pad_token="<|end|>")
    backend.post_processor = processors.TemplateProcessing(
        single="<|start|> $A <|end|>", special_tokens=[("<|start|>", 0), ("<|end|>", 1)]
    )
    tokenizer = built(backend)
    text = CORPUS[0].encode()
    assert tokenizer.encode(text).tolist() == expected.encode(text).tolist()
    assert tokenizer.digest == expected.digest


def test_the_original_tokenizer_stays_as_it_is():
    plain = fast(byte_level())
    before = plain("<|end|>")["input_ids"]
    tokenizer_of(plain, 500)
    assert plain("<|end|>")["input_ids"] == before == [1]


def test_threads_encode_the_same_while_the_original_is_used_otherwise():
    plain = fast(byte_level())
    tokenizer = tokenizer_of(plain, 500)
    text = "<|end|> the cat " * 50
    expected = tokenizer.encode(text.encode()).tolist()
    found: list[list[int]] = []

    def encode() -> None:
        found.extend(tokenizer.encode(text.encode()).tolist() for _ in range(50))

    threads = [threading.Thread(target=encode) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        plain(text, split_special_tokens=False, truncation=True, max_length=3)
    for thread in threads:
        thread.join()
    assert found == [expected] * 200


# What a tokenizer is, and where it is read from


def test_the_digest_says_how_text_is_split_and_what_ids_mean():
    backend = byte_level()
    size = backend.get_vocab_size()
    digests = {built(backend).digest, built(byte_level()).digest}
    assert len(digests) == 1
    digests.add(built(backend, size=size + 1).digest)
    digests.add(built(backend, end=[1]).digest)
    undivided = byte_level(pre_tokenizer=pre_tokenizers.ByteLevel(False))
    digests.add(built(undivided).digest)
    digests.add(built(byte_level(normalizer=normalizers.NFC())).digest)
    assert len(digests) == 5


def test_another_set_of_end_tokens_gives_another_digest():
    tokenizer = built(byte_level())
    ended = replace(tokenizer, vocabulary=replace(tokenizer.vocabulary, end=(1,)))
    assert ended.digest != tokenizer.digest
    assert ended.digest == built(byte_level(), end=[1]).digest


def saved(directory: Path, **files: dict) -> Path:
    fast(byte_level(), eos_token="<|end|>").save_pretrained(directory)
    for name, fields in files.items():
        (directory / f"{name}.json").write_text(json.dumps(fields), "utf-8")
    return directory


def test_a_directory_gives_the_tokenizer_that_was_saved(tmp_path: Path):
    tokenizer = read_tokenizer(saved(tmp_path))
    expected = tokenizer_of(
        fast(byte_level(), eos_token="<|end|>"), byte_level().get_vocab_size()
    )
    assert tokenizer.digest == expected.digest
    assert tokenizer.vocabulary.end == (1,)
    assert tokenizer.has_template is False


def test_a_file_written_in_another_way_is_the_same_tokenizer(tmp_path: Path):
    path = saved(tmp_path) / "tokenizer.json"
    before = read_tokenizer(tmp_path).digest
    fields = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(dict(reversed(fields.items()))), "utf-8")
    assert read_tokenizer(tmp_path).digest == before


def test_the_configuration_gives_the_rows_and_the_end_tokens(tmp_path: Path):
    directory = saved(
        tmp_path,
        config={"model_type": "llama", "vocab_size": 512, "eos_token_id": 1},
        generation_config={"eos_token_id": [1, 2]},
    )
    vocabulary = read_tokenizer(directory).vocabulary
    assert (vocabulary.size, vocabulary.end) == (512, (1, 2))


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependency, match=r"transformers: pip install"):
        read_tokenizer(tmp_path)


def test_a_directory_without_a_readable_tokenizer_is_refused(tmp_path: Path):
    with pytest.raises(SchemaError, match=r"no tokenizer\.json"):
        read_tokenizer(tmp_path)
    saved(tmp_path)
    (tmp_path / "generation_config.json").write_text("{", "utf-8")
    with pytest.raises(SchemaError, match=r"generation_config\.json is not JSON"):
        read_tokenizer(tmp_path)
    (tmp_path / "generation_config.json").write_text("[]", "utf-8")
    with pytest.raises(SchemaError, match="not a JSON object"):
        read_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}", "utf-8")
    with pytest.raises(SchemaError, match="unreadable tokenizer"):
        read_tokenizer(tmp_path)
