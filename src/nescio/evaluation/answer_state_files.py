"""Hidden states and their answers as safetensors files, and what all such files share.

Tensors stand in the file as they are; everything else is one JSON object in its header,
under ``nescio``. A SHA-256 of tensors and fields is checked when a file is read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nescio.errors import InvalidInput, MissingDependency, SchemaError
from nescio.evaluation.answer_states import AnswerStates
from nescio.evaluation.answer_texts import TextStates
from nescio.outcome import Predictions

__all__ = ["read_states", "read_tensors", "write_states", "write_tensors"]

Tensors = Mapping[str, np.ndarray]
_STATES = "answer states"
_FIELDS = ("task", "scale", "origin", "ids", "cluster", "settings", "texts")
_TENSORS = ("states", "scores", "offsets", "labels")
_KINDS = [("f", 2), ("f", 1), ("i", 1), ("i", 1)]
_TEXTS = ("text_states", "text_offsets", "text_rows")
_TEXT_KINDS = [("f", 2), ("i", 1), ("i", 1)]
_SINGLE = np.dtype(np.float32)


def write_states(path: str | Path, states: AnswerStates) -> None:
    """Write hidden states and answers; the file is replaced only when it is whole.

    Raises:
        OSError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> from nescio.trace import Origin
        >>> origin = Origin("made", "digest", "digest", "none", "f32").to_dict()
        >>> rows = Predictions.of([[1.0, 0.0]], [0], "logit")
        >>> states = np.zeros((1, 3), dtype=np.float32)
        >>> one = AnswerStates("sums", rows, states, origin, ids=("a",))
        >>> path = Path(tempfile.mkdtemp()) / "sums.safetensors"
        >>> write_states(path, one)
        >>> read_states(path)
        AnswerStates('sums', n=1, width=3, model='made')
    """
    fields: dict[str, Any] = {
        "task": states.task,
        "scale": states.predictions.scale,
        "origin": dict(states.origin),
        "ids": list(states.ids),
        "cluster": None if states.cluster is None else list(states.cluster),
        "settings": dict(states.settings),
        "texts": None,
    }
    tensors = {
        "states": states.states,
        "scores": states.predictions.scores,
        "offsets": states.predictions.offsets,
        "labels": states.predictions.labels,
    }
    if (texts := states.texts) is not None:
        fields["texts"] = {"before": texts.before}
        parts = (texts.states, texts.offsets, texts.rows)
        tensors |= dict(zip(_TEXTS, parts, strict=True))
    write_tensors(path, _STATES, fields, tensors)


def read_states(path: str | Path) -> AnswerStates:
    """The hidden states and answers that were written, the same to the last bit.

    Raises:
        InvalidInput: there is no such file.
        SchemaError: it is damaged, or something else.
    """
    fields, tensors = read_tensors(path, _STATES, _FIELDS, None)
    named, kept = fields["cluster"], fields["texts"]
    names, expected = (_TENSORS, _KINDS)
    if kept is not None:
        names, expected = names + _TEXTS, expected + _TEXT_KINDS
    kinds = {name: (one.dtype.kind, one.ndim) for name, one in tensors.items()}
    floats = (one.dtype for name, one in tensors.items() if name.endswith("states"))
    if kinds != dict(zip(names, expected, strict=True)) or {*floats} != {_SINGLE}:
        raise SchemaError(f"{Path(path).name}: its tensors are no answer states")
    try:
        texts = None
        if kept is not None:
            parts = [tensors[name] for name in _TEXTS]
            texts = TextStates(*parts, before=kept["before"])
        predictions = Predictions(
            tensors["scores"], tensors["offsets"], tensors["labels"], fields["scale"]
        )
        return AnswerStates(
            fields["task"],
            predictions,
            tensors["states"],
            fields["origin"],
            ids=tuple(fields["ids"]),
            cluster=None if named is None else tuple(named),
            settings=fields["settings"],
            texts=texts,
        )
    except (AttributeError, InvalidInput, KeyError, TypeError) as error:
        raise SchemaError(f"{Path(path).name}: no answer states: {error}") from error


def write_tensors(
    path: str | Path, kind: str, fields: Mapping[str, Any], tensors: Tensors
) -> None:
    """Write tensors and fields, atomically.

    Args:
        path: the file; its folder is made.
        kind: what it holds.
        fields: JSON values.
        tensors: by name.
    """
    save = _safetensors().save
    arrays = {name: np.asarray(one, order="C") for name, one in tensors.items()}
    digest = _digest(kind, fields, arrays)
    told = json.dumps({"kind": kind, "digest": digest, "fields": fields}, **_PLAIN)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(save(arrays, metadata={"nescio": told}))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_tensors(
    path: str | Path, kind: str, fields: Sequence[str], tensors: Sequence[str] | None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The fields and tensors that `write_tensors` wrote.

    Args:
        path: the file.
        kind: what it should hold.
        fields, tensors: what has to be in it, all of it; None: any tensors.

    Raises:
        InvalidInput: there is no such file.
        SchemaError: it is damaged, holds something else, or was changed.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file")
    load, error = _safetensors().load, _error()
    try:
        raw = path.read_bytes()
        arrays = load(raw)
        told = json.loads(json.loads(_header(raw))["__metadata__"]["nescio"])
        found, known = dict(told["fields"]), told["kind"]
        whole = told["digest"] == _digest(known, found, arrays)
    except (error, KeyError, OSError, RecursionError, TypeError, ValueError) as reason:
        raise SchemaError(
            f"{path.name} is damaged or was not written by nescio: {reason!r:.120}"
        ) from reason
    if known != kind:
        raise SchemaError(f"{path.name} holds {known!r:.60}, not {kind}")
    if set(found) != set(fields) or (tensors is not None and set(arrays) != {*tensors}):
        raise SchemaError(f"{path.name}: fields or tensors are missing or unknown")
    if not whole:
        raise SchemaError(f"{path.name} was changed after it was written: remove it")
    return found, arrays


_PLAIN: dict[str, Any] = {"sort_keys": True, "allow_nan": False}


def _header(raw: bytes) -> bytes:
    size = int.from_bytes(raw[:8], "little")
    return raw[8 : 8 + size]


def _digest(kind: str, fields: Mapping[str, Any], arrays: Tensors) -> str:
    found = hashlib.sha256(json.dumps([kind, fields], **_PLAIN).encode("ascii"))
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise MissingDependency(
            "files of hidden states need safetensors: pip install 'nescio[local]'"
        ) from error
    return safetensors.numpy


def _error() -> type[Exception]:
    from safetensors import SafetensorError

    return SafetensorError
