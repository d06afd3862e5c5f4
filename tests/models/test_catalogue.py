"""What the catalogue knows, finds, checks and removes."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest
from safetensors import safe_open
from tokenizers import Tokenizer

from nescio.errors import (
    InvalidInput,
    ModelError,
    SchemaError,
    UnknownModel,
    WrongHash,
)
from nescio.models import catalogue, installing
from nescio.models.catalogue import (
    CATALOGUE,
    cache_directory,
    get,
    info,
    installed_directory,
    manifest,
    remove,
    verify,
)
from nescio.models.installing import Entry, install
from nescio.models.openvino_cache import place_of
from tests.models.tiny_gguf import (
    STAGES,
    TinyFile,
    models,
    visible_in,
    write_llama,
)


@pytest.fixture(autouse=True)
def _own_cache(request, tmp_path, monkeypatch) -> None:
    if "local_model" not in request.keywords:
        monkeypatch.setenv("NESCIO_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyFile:
    return write_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture(scope="module")
def whole_cache(tiny, tmp_path_factory) -> Path:
    """A cache with the tiny model in it; tests copy it."""
    folder = tmp_path_factory.mktemp("whole") / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NESCIO_CACHE", str(folder))
        install(tiny.entry(), from_file=tiny.path)
    return folder


@pytest.fixture
def listed(tiny, monkeypatch) -> Entry:
    """The tiny model, in the catalogue."""
    entry = tiny.entry()
    monkeypatch.setattr(catalogue, "CATALOGUE", {"tiny": entry, **CATALOGUE})
    return entry


@pytest.fixture
def directory(listed, whole_cache) -> Path:
    """The tiny model, installed."""
    shutil.copytree(whole_cache, cache_directory())
    return models() / listed.name


# --- names and places -------------------------------------------------------------


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
def test_an_entry_of_the_catalogue_is_complete(entry):
    assert CATALOGUE[entry.name] is entry
    assert re.fullmatch("[0-9a-f]{64}", entry.sha256)
    assert re.fullmatch("[a-z0-9-]+", entry.name)
    assert entry.terms.startswith("https://")
    assert entry.packages
    assert entry.start
    assert entry.end
    # Four to eight bits a weight, and the vocabulary.
    assert 0.5 < entry.size / entry.parameters < 1.1


def test_the_four_parts_of_gemma_are_joined_in_order():
    parts = CATALOGUE["gemma3-270m"].packages
    assert [part.member[-6:] for part in parts] == [f"part0{n}" for n in range(4)]
    assert [part.project[-5:] for part in parts] == [f"part{n}" for n in range(1, 5)]


@pytest.mark.parametrize("call", [get, info, installed_directory, remove, verify])
def test_an_unknown_name_is_refused_with_the_nearest_and_all_known(call):
    with pytest.raises(
        UnknownModel, match=r"'smolm2'; did you mean smollm2\? .*gemma3-270m, smollm2"
    ):
        call("smolm2")


@pytest.mark.parametrize("name", ["", "../x", "gpt-5", "\x1b[31m"])
def test_a_name_near_nothing_is_refused_without_a_guess(name):
    with pytest.raises(UnknownModel, match=re.escape(repr(name))) as refused:
        get(name)
    assert "did you mean" not in str(refused.value)


def test_the_cache_is_where_the_environment_says_else_the_platforms(
    tmp_path, monkeypatch
):
    assert cache_directory() == tmp_path / "cache"
    for unset in ("", None):
        if unset is None:
            monkeypatch.delenv("NESCIO_CACHE")
        else:
            monkeypatch.setenv("NESCIO_CACHE", unset)
        assert cache_directory() == Path(platformdirs.user_cache_dir("nescio"))
    monkeypatch.setenv("NESCIO_CACHE", "~/models of mine")
    assert cache_directory() == Path.home() / "models of mine"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NESCIO_CACHE", "here")
    assert cache_directory() == tmp_path / "here"


def test_looking_for_a_model_loads_no_heavy_library_and_writes_nothing():
    code = (
        "import sys\n"
        "from nescio.models import catalogue\n"
        "found = [catalogue.info(name)['installed'] for name in catalogue.CATALOGUE]\n"
        "heavy = {'torch', 'transformers', 'gguf', 'safetensors', 'rich', 'pyarrow'}\n"
        "print(found, heavy & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout == "[False, False, False, False] set()\n"
    assert not cache_directory().exists()


# --- installing -------------------------------------------------------------------


def test_a_model_is_installed_from_a_file_and_found_afterwards(tiny, listed):
    told = []
    assert installed_directory("tiny") is None
    place = get(
        "tiny", from_file=str(tiny.path), report=lambda stage, _: told.append(stage)
    )
    assert told == list(STAGES)
    assert place == models() / "tiny" == installed_directory("tiny")
    assert visible_in(models()) == {"tiny"}
    assert tiny.sha256 == listed.sha256  # the user's file is as it was
    told.clear()
    assert get("tiny", report=lambda stage, _: told.append(stage)) == place
    assert not told


def test_the_manifest_tells_what_is_installed(tiny, directory):
    found = manifest(directory)
    assert (found.name, found.start, found.end) == (
        "tiny",
        "<|endoftext|>",
        ("<|im_end|>",),
    )
    assert found.chat
    assert found.gguf_sha256 == tiny.sha256
    assert re.fullmatch("[0-9a-f]{64}", found.digest)
    assert set(found.versions) >= {"nescio", "torch", "transformers"}
    assert verify("tiny") == found


def test_the_digest_is_of_weights_and_tokenizer_and_comes_out_again(
    tiny, directory, tmp_path, monkeypatch
):
    monkeypatch.setenv("NESCIO_CACHE", str(tmp_path / "another"))
    again = manifest(get("tiny", from_file=tiny.path))
    assert again == manifest(directory)
    monkeypatch.setenv("NESCIO_CACHE", str(tmp_path / "third"))
    other = write_llama(tmp_path / "other.gguf", rule="gpt-2")
    changed = manifest(install(other.entry(), from_file=other.path))
    weights, tokenizer = "model.safetensors", "tokenizer.json"
    assert changed.files[weights] == again.files[weights]
    assert changed.files[tokenizer] != again.files[tokenizer]
    assert changed.digest != again.digest


def test_info_tells_the_same_with_and_without_the_model(listed, directory):
    there = info("tiny")
    assert there["installed"] is True
    assert there["directory"] == str(directory)
    assert there["installed_size"] == sum(p.stat().st_size for p in directory.iterdir())
    assert there["digest"] == manifest(directory).digest
    assert there["licence"] == listed.licence
    remove("tiny")
    gone = info("tiny")
    changed = {"installed", "directory", "installed_size", "digest", "versions"}
    assert {key for key in gone if gone[key] != there[key]} == changed
    assert gone["installed"] is False
    json.dumps([there, gone])


def test_the_wrong_file_is_refused_and_nothing_is_kept(listed, tmp_path):
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(b"GGUF, but another")
    with pytest.raises(WrongHash, match=f"wrong.gguf.*{listed.sha256}"):
        get("tiny", from_file=wrong)
    assert not visible_in(models())
    with pytest.raises(InvalidInput, match=r"none\.gguf cannot be read: No such file"):
        get("tiny", from_file=tmp_path / "none.gguf")
    assert not visible_in(models())


# --- removing and damage ----------------------------------------------------------


def test_removing_frees_what_was_there_and_only_that(directory):
    size = info("tiny")["installed_size"]
    (models() / "neighbour").mkdir()
    assert remove("tiny") == size
    assert visible_in(models()) == {"neighbour"}
    assert remove("tiny") == 0
    assert not directory.exists()


def test_removing_takes_the_exports_of_these_weights_along(directory):
    place = place_of(manifest(directory).digest, "x").directory
    other = place_of("of something else", "x").directory
    for folder in (place, other):
        folder.mkdir(parents=True)
        (folder / "graph.bin").write_bytes(b"x" * 500)
    size = info("tiny")["installed_size"]
    assert remove("tiny") == size + 500
    assert not place.exists()
    assert other.exists()


def test_a_model_whose_manifest_is_damaged_can_be_removed(directory):
    (directory / "nescio.json").write_text("{")
    assert remove("tiny") > 0
    assert not directory.exists()


def test_a_model_that_lies_elsewhere_behind_a_link_is_only_unlinked(
    directory, tmp_path
):
    elsewhere = directory.rename(tmp_path / "elsewhere")
    directory.symlink_to(elsewhere)
    assert installed_directory("tiny") == directory
    remove("tiny")
    assert not visible_in(models())
    assert (elsewhere / "model.safetensors").exists()


def test_removing_where_there_is_no_cache_makes_none(listed):
    assert remove(listed.name) == 0
    assert not cache_directory().exists()


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_changed_byte_is_found_by_verify(directory, name):
    content = bytearray((directory / name).read_bytes())
    content[len(content) // 2] ^= 1
    (directory / name).write_bytes(content)
    assert installed_directory("tiny") == directory  # only verify reads the files
    with pytest.raises(WrongHash, match=f"{name} is damaged"):
        verify("tiny")


def test_verify_refuses_a_model_that_is_not_installed(listed):
    with pytest.raises(ModelError, match="run: nescio models get tiny"):
        verify(listed.name)


@pytest.mark.parametrize("damage", ["cut", "missing", "manifest", "another"])
def test_what_is_not_whole_is_not_installed_and_made_anew(tiny, directory, damage):
    if damage == "cut":
        os.truncate(directory / "model.safetensors", 1000)
    elif damage == "missing":
        (directory / "tokenizer.json").unlink()
    elif damage == "manifest":
        (directory / "nescio.json").write_text("{")
    else:  # made from the file of an older catalogue
        path = directory / "nescio.json"
        path.write_text(path.read_text().replace(tiny.sha256, "0" * 64))
    assert installed_directory("tiny") is None
    assert info("tiny")["installed"] is False
    assert get("tiny", from_file=tiny.path) == directory
    verify("tiny")
    assert visible_in(models()) == {"tiny"}


def test_a_model_whose_ends_the_catalogue_has_changed_is_made_anew(tiny, directory):
    changed = tiny.entry(end=("<|im_end|>", "<|im_start|>"))
    assert installing.installed(changed) is None
    assert install(changed, from_file=tiny.path) == directory
    assert manifest(directory).end == changed.end


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{\n  "schema"', '[\n  "schema"'),
        ('"schema": 1', '"schema": 2'),
        ('"digest"', '"digests"'),
        ('"start": "<|endoftext|>"', '"start": null'),
        ('"files": {', '"files": 3, "other": {'),
        ('"size": ', '"size": "x", "sizes": '),
    ],
)
def test_a_damaged_manifest_is_refused_by_name(directory, old, new):
    path = directory / "nescio.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(SchemaError, match=r"nescio\.json"):
        manifest(directory)


def test_a_directory_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(SchemaError, match=r"nescio\.json.*No such file"):
        manifest(tmp_path)


def test_removing_sweeps_away_what_a_killed_process_left(listed):
    dead = models() / f".{listed.name}.partial-1-abcd"
    dead.mkdir(parents=True)
    (dead / "model.gguf").write_bytes(bytes(1000))
    assert remove(listed.name) == 1000
    assert not visible_in(models())


# --- the real ones ----------------------------------------------------------------


@pytest.mark.local_model
def test_the_installed_smollm2_is_what_the_catalogue_says():
    entry = CATALOGUE["smollm2"]
    place = installed_directory("smollm2")
    assert place is not None
    found = verify("smollm2")
    assert found.gguf_sha256 == entry.sha256
    settings = json.loads((place / "config.json").read_text())
    assert settings["architectures"] == ["LlamaForCausalLM"]
    assert settings["vocab_size"] == entry.vocabulary
    assert "quantization_config" not in settings
    with safe_open(place / "model.safetensors", "np") as file:
        tensors = {name: file.get_slice(name) for name in file.offset_keys()}
        kinds = {tensor.get_dtype() for tensor in tensors.values()}
        shapes = {name: tensors[name].get_shape() for name in tensors}
    assert kinds == {"F32"}
    assert shapes["model.embed_tokens.weight"] == [entry.vocabulary, 576]
    backend = Tokenizer.from_file(str(place / "tokenizer.json"))
    assert backend.encode("1234").tokens == ["1", "2", "3", "4"]
    assert backend.encode("a<|im_end|>").tokens == ["a", "<|im_end|>"]
    assert [backend.token_to_id(t) for t in (entry.start, *entry.end)] == [0, 2, 0]
    assert (place / "chat_template.jinja").is_file()


@pytest.mark.verify
@pytest.mark.parametrize(
    ("name", "digest"),
    [
        (
            "smollm2",
            "60a76355301c8bf7c06ff2fa635e1bdb9bd3b0b9cb68f0c372b0068739639a0e",
        ),
        (
            "gemma3-270m",
            "a7763c18e43484ea7443e1e1d57cfd0a95254abe19774f5d45cc775bcc75dd06",
        ),
    ],
)
def test_a_model_fetched_today_has_the_digest_it_had(name, digest):
    place = get(name, accept_license=True)
    assert manifest(place).digest == digest
    verify(name)
