"""``nescio models`` as people and programs see it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nescio.cli import main
from nescio.models import catalogue
from nescio.models.catalogue import CATALOGUE, cache_directory
from nescio.models.installing import install
from tests.models.tiny_gguf import TinyFile, write_llama


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyFile:
    return write_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture(autouse=True)
def _own_catalogue(tiny, tmp_path, monkeypatch) -> None:
    """A cache of its own, and the tiny model beside the real entries."""
    monkeypatch.setenv("NESCIO_CACHE", str(tmp_path / "cache"))
    entries = {
        "tiny": tiny.entry(),
        "closed": tiny.entry(name="closed", open_licence=False, licence="Some Terms"),
    }
    monkeypatch.setattr(catalogue, "CATALOGUE", {**CATALOGUE, **entries})


@pytest.fixture
def run(capsys):
    """Run the program; what it exits with, says and complains."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main(["models", *arguments])
        said = capsys.readouterr()
        return int(exited.value.code or 0), said.out, said.err

    return run


@pytest.fixture(scope="module")
def whole_cache(tiny, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NESCIO_CACHE", str(folder))
        install(tiny.entry(), from_file=tiny.path)
    return folder


@pytest.fixture
def directory(whole_cache) -> Path:
    shutil.copytree(whole_cache, cache_directory())
    return cache_directory() / "models" / "tiny"


def items(text: str) -> list[dict]:
    """The one JSON object on one line of output."""
    assert text.count("\n") == 1
    found = json.loads(text)
    assert list(found) == ["items"]
    return found["items"]


def test_the_list_has_every_model_with_its_licence_and_size(run, directory):
    code, out, err = run("list")
    assert (code, err) == (0, "")
    rows = {line.split()[1]: line for line in out.splitlines() if line[:1] == "│"}
    assert rows.keys() >= {"smollm2", "gemma3-270m", "tiny", "closed"}
    assert "…" not in out
    for words in ("135 M", "49,152", "Apache-2.0", "no", "98 MB"):
        assert words in rows["smollm2"]
    assert "yes" in rows["tiny"]
    assert directory.is_dir()


def test_the_list_as_json_is_what_info_says_of_each(run):
    code, out, err = run("list", "--json")
    assert (code, err) == (0, "")
    listed = items(out)
    assert [item["name"] for item in listed] == list(catalogue.CATALOGUE)
    assert listed == [catalogue.info(name) for name in catalogue.CATALOGUE]
    assert not cache_directory().exists()


def test_get_prints_the_licence_and_where_the_model_lies(run, tiny):
    code, out, err = run("get", "tiny", "--from-file", str(tiny.path))
    place = str(cache_directory() / "models" / "tiny")
    assert code == 0
    assert out.splitlines() == [
        "Tiny-0.1M, Apache-2.0 (https://example.org/terms)",
        place,
    ]
    assert err.splitlines()[:2] == [
        "nescio: checking tiny.gguf",
        "nescio: reading the tokenizer",
    ]
    # The second time there is nothing to do, and nothing to say about it.
    assert run("get", "tiny") == (0, out, "")


def test_get_as_json_prints_one_object_even_while_it_works(run, tiny):
    code, out, err = run("get", "tiny", "--from-file", str(tiny.path), "--json")
    assert code == 0
    (found,) = items(out)
    assert found == catalogue.info("tiny")
    assert found["installed"] is True
    assert err


def test_terms_are_asked_for_by_name_and_can_be_accepted(run, tiny):
    code, out, err = run("get", "closed", "--from-file", str(tiny.path))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "Some Terms, https://example.org/terms" in err
    assert "--accept-license" in err
    code, out, _ = run(
        "get", "closed", "--from-file", str(tiny.path), "--accept-license"
    )
    assert code == 0
    assert "Some Terms" in out


@pytest.mark.parametrize("command", ["get", "info", "remove"])
def test_an_unknown_name_is_one_line_and_exit_code_two(run, command):
    code, out, err = run(command, "smolm2")
    assert (code, out) == (2, "")
    assert err.startswith("nescio: no model is called 'smolm2'; did you mean smollm2?")
    assert err.count("\n") == 1


def test_ctrl_c_during_get_exits_with_130_and_leaves_nothing(run, tiny, monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nescio.models.conversion.read_header", interrupt)
    code, out, err = run("get", "tiny", "--from-file", str(tiny.path))
    assert (code, out) == (130, "")
    assert "Traceback" not in err
    kept = [p.name for p in (cache_directory() / "models").iterdir()]
    assert [name for name in kept if not name.endswith(".lock")] == []


def test_info_tells_a_person_what_is_known(run, tiny, directory):
    code, out, err = run("info", "tiny")
    assert (code, err) == (0, "")
    told = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert told.keys() == catalogue.info("tiny").keys()
    assert told["directory"] == str(directory)
    assert told["installed"] == "yes"
    assert told["start"] == "<|endoftext|>"
    assert told["vocabulary"] == str(len(tiny.tokens))
    _, out, _ = run("info", "smollm2")
    told = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert told["installed"] == "no"
    assert told["directory"] == "-"
    assert told["size"] == "98 MB"


def test_info_with_verify_reads_the_files_again(run, directory):
    code, out, _ = run("info", "tiny", "--verify", "--json")
    assert code == 0
    assert items(out)[0]["verified"] is True
    (directory / "config.json").write_bytes(
        (directory / "config.json").read_bytes().replace(b"true", b"null")
    )
    code, out, err = run("info", "tiny", "--verify", "--json")
    assert (code, out) == (2, "")
    assert "config.json is damaged" in err


def test_verify_of_a_model_that_is_not_there_is_refused(run):
    code, out, err = run("info", "tiny", "--verify")
    assert (code, out) == (2, "")
    assert "nescio models get tiny" in err


def test_remove_tells_what_is_free_again(run, directory):
    size = catalogue.info("tiny")["installed_size"]
    code, out, err = run("remove", "tiny", "--json")
    assert (code, err) == (0, "")
    assert items(out) == [{"name": "tiny", "freed": size}]
    assert not directory.exists()
    assert run("remove", "tiny") == (0, "tiny was not installed\n", "")


def test_the_program_runs_where_standard_output_is_a_pipe():
    run = subprocess.run(
        [sys.executable, "-m", "nescio", "models", "list", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [item["name"] for item in items(run.stdout)] == list(CATALOGUE)
    assert run.stderr == ""


SWALLOWS_AN_INTERRUPT = """
import os, signal, time
from contextlib import suppress
from nescio.cli.loading import fetching

try:
    with fetching() as report:
        report("before", None)
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        print("after")
        report("after", None)
        print("too far")
except KeyboardInterrupt:
    print("interrupted")
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""


def test_an_interrupt_that_was_swallowed_ends_the_work_at_the_next_stage() -> None:
    # In a process of its own: native libraries exchange the stack that signals run on,
    # and after some exports to OpenVINO a signal ends a process that runs the tests.
    command = [sys.executable, "-c", SWALLOWS_AN_INTERRUPT]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["after", "interrupted"]
