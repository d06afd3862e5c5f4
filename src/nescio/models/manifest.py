"""``nescio.json``: what is known of an installed model, beside its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nescio.errors import SchemaError
from nescio.models.fetching import sha256_of
from nescio.outcome.estimate import nescio_version

__all__ = [
    "FileFacts",
    "Manifest",
    "bytes_in",
    "manifest",
    "of_files",
    "write_manifest",
]

_SCHEMA = 1
"""Raised when a conversion comes to write something else: models are made anew."""
_NAME = "nescio.json"
_WEIGHTS = ("model.safetensors", "model.bin")
_TOKENIZERS = ("tokenizer.json", "vocabulary.spm")
_TEMPLATE = "chat_template.jinja"
_LIBRARIES = ("gguf", "safetensors", "tokenizers", "torch", "transformers")


@dataclass(frozen=True)
class FileFacts:
    """What a file of an installed model is: its size in bytes and its SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What is known of an installed model, from its ``nescio.json``.

    Args:
        name: the catalogue's.
        gguf_sha256: of the file it was made from; of one kept as it is, its weights'.
        start: the control token that a text is conditioned on.
        end: control tokens that end a text.
        chat: whether it has a chat template.
        digest: SHA-256 over the hashes of its weights and its tokenizer.
        files: every other file in the directory.
        versions: of the libraries that converted it, if any did.
    """

    name: str
    gguf_sha256: str
    start: str
    end: tuple[str, ...]
    chat: bool
    digest: str
    files: Mapping[str, FileFacts]
    versions: Mapping[str, str]


def manifest(directory: Path) -> Manifest:
    """What ``nescio.json`` says of the model in a directory.

    Raises:
        SchemaError: there is no such file, or it is damaged or of another version.
    """
    path = directory / _NAME
    try:
        fields = json.loads(path.read_text("utf-8"))
        schema = fields["schema"]
        found = _read(fields) if schema == _SCHEMA else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SchemaError(
            f"{path} is not a manifest ({type(error).__name__}: {error}); "
            "remove the model and get it again"
        ) from error
    if found is None:
        raise SchemaError(
            f"{path} has schema {schema!r}, not {_SCHEMA}: another version of nescio "
            "wrote it; remove the model and get it again"
        )
    return found


def of_files(
    directory: Path, *, name: str, gguf_sha256: str, start: str, end: tuple[str, ...]
) -> Manifest:
    """The manifest of the files that now lie in a directory."""
    files = {
        path.name: FileFacts(path.stat().st_size, sha256_of(path))
        for path in sorted(directory.iterdir())
    }
    parts = [name for name in (*_WEIGHTS, *_TOKENIZERS) if name in files]
    both = " ".join(files[name].sha256 for name in parts)
    libraries = _LIBRARIES if _WEIGHTS[0] in files else ()
    return Manifest(
        name=name,
        gguf_sha256=gguf_sha256,
        start=start,
        end=end,
        chat=_TEMPLATE in files,
        digest=hashlib.sha256(both.encode()).hexdigest(),
        files=files,
        versions={
            "nescio": nescio_version(),
            **{library: version(library) for library in libraries},
        },
    )


def write_manifest(directory: Path, facts: Manifest) -> None:
    """Write ``nescio.json``."""
    fields = {"schema": _SCHEMA, **asdict(facts)}
    text = json.dumps(fields, indent=2, ensure_ascii=False) + "\n"
    (directory / _NAME).write_text(text, encoding="utf-8")


def bytes_in(directory: Path) -> int:
    """How many bytes the files in a directory take."""
    return sum(
        path.lstat().st_size for path in directory.rglob("*") if not path.is_dir()
    )


def _read(fields: Mapping[str, Any]) -> Manifest:
    return Manifest(
        name=_text(fields["name"]),
        gguf_sha256=_text(fields["gguf_sha256"]),
        start=_text(fields["start"]),
        end=tuple(map(_text, fields["end"])),
        chat=fields["chat"] is True,
        digest=_text(fields["digest"]),
        files={
            _text(name): FileFacts(int(facts["size"]), _text(facts["sha256"]))
            for name, facts in fields["files"].items()
        },
        versions={_text(k): _text(v) for k, v in fields["versions"].items()},
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
