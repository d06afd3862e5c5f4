"""Small corpora for the tests, drawn from a table whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import nescio

__all__ = ["bytes_in", "rows", "write_jsonl"]


def rows(count: int, *, longest: int = 60, seed: int = 0) -> list[dict[str, Any]]:
    """Documents of ``table:topics`` of unequal length, with ids and groups."""
    model, rng = nescio.load("table:topics"), np.random.default_rng(seed)
    texts = model.simulate(rng, texts=count, length=longest)
    lengths = rng.integers(1, longest + 1, count)
    return [
        {
            "id": f"d{number}",
            "text": model.vocabulary.spell(ids[:length]).decode(),
            "language": ("en", "de", "fr")[number % 3],
            "meta": {"source": f"s{number % 7}"},
        }
        for number, (ids, length) in enumerate(zip(texts, lengths, strict=True))
    ]


def write_jsonl(path: Path, objects: Iterable[Mapping[str, Any]]) -> Path:
    """One object a line."""
    lines = "".join(json.dumps(one) + "\n" for one in objects)
    path.write_text(lines, encoding="utf-8")
    return path


def bytes_in(directory: Path) -> dict[str, bytes]:
    """Every result file of a job: name to content."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
