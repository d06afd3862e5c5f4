"""What stands before the weights of a GGUF file, read in a fraction of a second.

The format is described in ggml's documentation: a magic number, metadata as typed
key-value pairs, a table of tensors, and the values, all little-endian.
"""

from __future__ import annotations

import mmap
import shutil
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nescio.errors import ConversionFailed

__all__ = ["GGUFHeader", "read_header", "write_without_vocabulary"]

_VERSIONS = (2, 3)
_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?"}
_FORMATS |= {10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True)
class GGUFHeader:
    """What stands before the weights of a GGUF file.

    Args:
        fields: the metadata.
        spans: the bytes each field is written in, as (begin, end).
        table: the bytes that list the tensors.
        tensors: how many there are.
        data: where their values begin.
    """

    fields: Mapping[str, Any]
    spans: Mapping[str, tuple[int, int]]
    table: tuple[int, int]
    tensors: int
    data: int

    @property
    def tokens(self) -> Sequence[str]:
        """The vocabulary, as the file spells it."""
        return self.fields["tokenizer.ggml.tokens"]


def read_header(gguf: Path) -> GGUFHeader:
    """Read what stands before the weights.

    Raises:
        ConversionFailed: not a GGUF file, or one of another version.
    """
    try:
        with (
            gguf.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return _header(content)
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise ConversionFailed(f"{gguf.name} is not a GGUF file: {error}") from error


def _header(content: mmap.mmap) -> GGUFHeader:
    magic, version, tensors, count = struct.unpack_from("<4sIQQ", content, 0)
    if magic != b"GGUF" or version not in _VERSIONS:
        raise ValueError(f"it begins with {magic!r}, version {version}")
    fields, spans, place = dict[str, Any](), dict[str, tuple[int, int]](), 24
    for _ in range(count):
        begin = place
        key, place = _value(content, place, _STRING)
        (kind,) = struct.unpack_from("<I", content, place)
        fields[key], place = _value(content, place + 4, kind)
        spans[key] = begin, place
    table = place
    for _ in range(tensors):
        _, place = _value(content, place, _STRING)
        (dimensions,) = struct.unpack_from("<I", content, place)
        place += 4 + 8 * dimensions + 4 + 8
    alignment = fields.get("general.alignment", 32)
    data = -(-place // alignment) * alignment
    return GGUFHeader(fields, spans, (table, place), tensors, data)


def _value(content: mmap.mmap, place: int, kind: int) -> tuple[Any, int]:
    """A metadata value, and where the next thing begins."""
    if kind == _STRING:
        (length,) = struct.unpack_from("<Q", content, place)
        end = place + 8 + length
        return content[place + 8 : end].decode("utf-8"), end
    if kind == _ARRAY:
        inner, count = struct.unpack_from("<IQ", content, place)
        place += 12
        if inner in _FORMATS:
            values = struct.unpack_from(f"<{count}{_FORMATS[inner]}", content, place)
            return values, place + struct.calcsize(f"<{count}{_FORMATS[inner]}")
        items = []
        for _ in range(count):
            item, place = _value(content, place, inner)
            items.append(item)
        return tuple(items), place
    form = f"<{_FORMATS[kind]}"
    return struct.unpack_from(form, content, place)[0], place + struct.calcsize(form)


def write_without_vocabulary(gguf: Path, header: GGUFHeader, target: Path) -> None:
    """The same file without its long lists: parsing them takes transformers a minute.

    Only the tokenizer's arrays go; they say nothing about the weights.
    """
    kept = [
        span
        for key, span in header.spans.items()
        if not (key.startswith("tokenizer.") and isinstance(header.fields[key], tuple))
    ]
    with gguf.open("rb") as old, target.open("wb") as new:
        version = old.read(8)
        new.write(version + struct.pack("<QQ", header.tensors, len(kept)))
        for begin, end in [*kept, header.table]:
            old.seek(begin)
            new.write(old.read(end - begin))
        alignment = header.fields.get("general.alignment", 32)
        new.write(bytes(-new.tell() % alignment))
        old.seek(header.data)
        shutil.copyfileobj(old, new, 1 << 20)
