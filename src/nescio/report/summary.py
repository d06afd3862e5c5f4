"""Results as one JSON object, strict: any JSON reader can read it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nescio.errors import InvalidInput
from nescio.outcome import Estimate

__all__ = ["estimates_json"]


def estimates_json(
    estimates: Mapping[str, Estimate],
    counts: Mapping[str, Any],
    items: Iterable[Any] = (),
    groups: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The object that ``--json`` prints: estimates, counts, items, groups.

    Args:
        estimates: public function's name to estimate.
        counts: how many tokens, bytes, items.
        items: one value an item; estimates, arrays and mappings in any depth.
        groups: name to values of the same sort.

    Returns:
        JSON values only. NaN (absent) becomes None, infinities the strings
        ``"Infinity"`` and ``"-Infinity"``.

    Raises:
        InvalidInput: a value that JSON cannot hold; says where it stands.

    Example:
        >>> estimates_json({}, {"tokens": np.int64(3)}, [np.array([1.0, np.nan])])
        {'estimates': {}, 'counts': {'tokens': 3}, 'items': [[1.0, None]], 'groups': {}}
    """
    return {
        "estimates": _plain(estimates, "estimates"),
        "counts": _plain(counts, "counts"),
        "items": _plain(list(items), "items"),
        "groups": _plain(groups or {}, "groups"),
    }


def _plain(value: Any, place: str) -> Any:
    if isinstance(value, Estimate):
        return _plain(value.to_dict(), place)
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist(), place)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return {
            _key(key, place): _plain(item, f"{place}.{key}")
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item, f"{place}[{i}]") for i, item in enumerate(value)]
    raise InvalidInput(
        f"{place} is {value!r}, which JSON cannot hold; give numbers, texts, lists, "
        "mappings or estimates"
    )


def _number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _key(key: Any, place: str) -> str:
    if not isinstance(key, str):
        raise InvalidInput(f"{place} has the key {key!r}; JSON's keys are texts")
    return key
