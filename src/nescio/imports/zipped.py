"""Members of a zip file, each no larger than it says and than we allow."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from nescio.errors import SchemaError

__all__ = ["is_zip", "zip_members"]

_MAGIC = b"PK\x03\x04"
_ZSTANDARD = 93  # PKWARE's number; the zipfile of Python knows it from 3.14 on
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_LARGEST_MEMBER = 2**29
_SMALL_TOTAL = 2**30
_MOST_EXPANSION = 500
_ENCRYPTED = 1

_HEADERS = ("header.json", "_journal/start.json")
_SAMPLE = re.compile(r"samples/.+_epoch_\d+\.json", re.DOTALL)
_CHUNKED = re.compile(r"samples/.+_epoch_\d+/sample\.json", re.DOTALL)
_IN_CHUNKS = (
    "a sample stored in chunks, which is not read; rewrite the log with whole samples"
)
_UNREADABLE = (
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def is_zip(path: Path) -> bool:
    """Whether a file begins as a zip does."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def zip_members(path: Path) -> Iterator[tuple[str, bytes | str]]:
    """The header and the samples of an Inspect log: name and bytes, or what is wrong.

    Nothing is extracted to disk. A member that says it is larger than 512 MiB, or is
    larger than it says, is not read; a file that claims to hold 500 times its size, and
    more than 1 GiB, is refused as a whole.

    Raises:
        SchemaError: a damaged zip, a zip bomb, or a zip of something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            header = next((name for name in _HEADERS if name in members), None)
            if header is None:
                raise SchemaError(f"a zip without {_HEADERS[0]}: no log of Inspect")
            samples = [name for name in members if _SAMPLE.fullmatch(name)]
            _check_total(path, [members[name] for name in samples])
            yield header, _member(path, archive, members[header])
            for name in samples:
                yield name, _member(path, archive, members[name])
            for name in members:
                if _CHUNKED.fullmatch(name):
                    yield name, _IN_CHUNKS
    except _UNREADABLE as error:
        if isinstance(error, SchemaError):
            raise
        raise SchemaError(f"it is no zip, or damaged: {error}") from error


def _check_total(path: Path, members: list[zipfile.ZipInfo]) -> None:
    total, size = sum(info.file_size for info in members), path.stat().st_size
    if total > max(_SMALL_TOTAL, _MOST_EXPANSION * size):
        raise SchemaError(
            f"it has {size:,} bytes and says that it holds {total:,}: a zip bomb, or "
            "no log; it is not read"
        )


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes | str:
    """The bytes of a member, or why there are none."""
    if info.file_size > _LARGEST_MEMBER:
        return f"{info.file_size:,} bytes, more than the {_LARGEST_MEMBER:,} allowed"
    if info.flag_bits & _ENCRYPTED:
        return "encrypted: store the log without a password"
    try:
        if info.compress_type == _ZSTANDARD:
            return _zstandard(path, info)
        with archive.open(info) as file:
            raw = file.read(info.file_size + 1)
    except OSError as error:
        return f"damaged: {error}"
    except _UNREADABLE as error:
        return f"damaged: {error}"
    return raw if len(raw) == info.file_size else "not as large as the zip says"


def _zstandard(path: Path, info: zipfile.ZipInfo) -> bytes | str:
    """A member packed by Zstandard, in one frame or several, checked by its CRC."""
    import pyarrow as pa

    with path.open("rb") as file:
        file.seek(info.header_offset)
        magic, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        if magic != _MAGIC:
            return "damaged: no member stands where the zip says"
        file.seek(name + extra, 1)
        packed = file.read(info.compress_size)
    with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
        raw = stream.read(info.file_size + 1)
    if len(raw) != info.file_size or zlib.crc32(raw) != info.CRC:
        return "damaged: not the bytes that the zip says"
    return raw
