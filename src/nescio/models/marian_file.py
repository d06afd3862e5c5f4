"""Marian's binary model files: arrays by name, read without running anything.

A file is a count, a header a tensor (lengths of its name, its shape and its data, and
its type), the names, the shapes, padding, and the data. Eight-bit tensors
(``intgemm8``) are whole numbers and, behind them, what they were multiplied with; they
are divided by it again, which is exact but for the rounding of a float32. Matrices are
stored with their columns as rows, the embedding as it is.

Source: Junczys-Dowmunt et al. (2018), Marian: Fast Neural Machine Translation in C++.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from nescio.errors import SchemaError, UnknownModel
from nescio.visible import visible

__all__ = ["EMBEDDING", "MarianFile", "read_marian_file"]

EMBEDDING = "Wemb"
"""The embedding of both languages and the head."""

_CONFIGURATION = "special:model.yml"
_VERSION, _MOST_TENSORS, _LONGEST_NAME, _MOST_AXES = 1, 10_000, 1_000, 4
_FLOAT32, _INT8, _INTGEMM8 = 0x404, 0x101, 0x4101
_WIDTHS = {_FLOAT32: 4, _INT8: 1, _INTGEMM8: 1}


@dataclass(frozen=True)
class _Header:
    name: str
    kind: int
    shape: tuple[int, ...]
    length: int

    @property
    def count(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class MarianFile:
    """What a model file holds.

    Args:
        arrays: by name, float32; matrices stand as they are multiplied with.
        configuration: of the network, key by key, as it is written.
    """

    arrays: Mapping[str, Float[np.ndarray, "..."]] = field(repr=False)
    configuration: Mapping[str, str]


def read_marian_file(path: str | Path) -> MarianFile:
    """The arrays and the configuration of a model in Marian's binary format.

    Raises:
        UnknownModel: there is no such file.
        SchemaError: it is not such a file, is cut off, or has a tensor whose type or
            size is not what it says; says which.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise UnknownModel(f"{path} cannot be read: {error.strerror}") from error
    try:
        headers, place = _headers(raw)
        arrays, configuration = {}, ""
        for header, data in _data(raw, headers, place):
            if header.name == _CONFIGURATION:
                configuration = data.rstrip(b"\0").decode("utf-8")
            elif header.count > 1 or header.kind == _FLOAT32:
                arrays[header.name] = _array(header, data)
    except (struct.error, UnicodeDecodeError) as error:
        raise SchemaError(
            f"{path} is no Marian model, or is cut off: {error}"
        ) from None
    except SchemaError as error:
        raise SchemaError(f"{path} is no Marian model: {error}") from None
    return MarianFile(arrays, _settings(configuration))


def _headers(raw: bytes) -> tuple[list[_Header], int]:
    """What stands in front of the data, and where these begin."""
    version, count = struct.unpack_from("<QQ", raw, 0)
    if version != _VERSION:
        raise SchemaError(f"it begins with {version}, the format's version {_VERSION}")
    if not 0 < count <= _MOST_TENSORS:
        raise SchemaError(f"{count} tensors; at most {_MOST_TENSORS} are read")
    place, kinds = 16, []
    for _ in range(count):
        kinds.append(struct.unpack_from("<4Q", raw, place))
        place += 32
    names, shapes = [], []
    for width, *_ in kinds:
        if not 0 < width <= _LONGEST_NAME or place + width > len(raw):
            raise SchemaError(f"a name of {width} bytes")
        names.append(raw[place : place + width].rstrip(b"\0").decode("utf-8"))
        place += width
    for _, _, axes, _ in kinds:
        if not 0 < axes <= _MOST_AXES:
            raise SchemaError(f"a tensor with {axes} axes")
        shapes.append(struct.unpack_from(f"<{axes}i", raw, place))
        place += 4 * axes
    (padding,) = struct.unpack_from("<Q", raw, place)
    if len(set(names)) != len(names):
        raise SchemaError("two tensors have one name")
    found = [
        _Header(name, kind, shape, length)
        for name, (_, kind, _, length), shape in zip(names, kinds, shapes, strict=True)
    ]
    return found, place + 8 + padding


def _data(
    raw: bytes, headers: list[_Header], place: int
) -> Iterator[tuple[_Header, bytes]]:
    for header in headers:
        name = visible(header.name)
        if header.kind not in _WIDTHS:
            raise SchemaError(
                f"{name} has the type {header.kind:#x}, which is not read"
            )
        if min(header.shape) < 1:
            raise SchemaError(f"{name} has the shape {header.shape}")
        needed = header.count * _WIDTHS[header.kind]
        needed += 4 if header.kind == _INTGEMM8 else 0
        if header.length < needed or place + header.length > len(raw):
            raise SchemaError(
                f"{name} of shape {header.shape} needs {needed} bytes; it has "
                f"{max(0, min(header.length, len(raw) - place))}"
            )
        yield header, raw[place : place + header.length]
        place += header.length


def _array(header: _Header, data: bytes) -> Float[np.ndarray, "..."]:
    if header.kind == _FLOAT32:
        found = np.frombuffer(data, "<f4", header.count).astype(np.float32)
        found = found.reshape(header.shape)
    else:
        found = _divided(header, data)
    if not np.isfinite(found).all():
        raise SchemaError(f"{visible(header.name)} has numbers that are not finite")
    return found


def _divided(header: _Header, data: bytes) -> Float[np.ndarray, "..."]:
    whole = np.frombuffer(data, np.int8, header.count).astype(np.float32)
    if header.kind == _INTGEMM8:
        (multiplier,) = struct.unpack_from("<f", data, header.count)
        if not (math.isfinite(multiplier) and multiplier > 0.0):
            raise SchemaError(
                f"{visible(header.name)} was multiplied with {multiplier}"
            )
        whole /= np.float32(multiplier)
    if header.name == EMBEDDING or len(header.shape) != 2:
        return whole.reshape(header.shape)
    return np.ascontiguousarray(whole.reshape(header.shape[::-1]).T)


def _settings(text: str) -> dict[str, str]:
    """The top level of a plain YAML file: what stands behind each key."""
    pairs = (line.partition(":") for line in text.splitlines() if line[:1].strip())
    return {
        key.strip(): value.strip().strip('"') for key, colon, value in pairs if colon
    }
