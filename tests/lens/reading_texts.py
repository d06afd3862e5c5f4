"""Readings of tiny random networks, and readings made by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

import nescio
from nescio.lens import LayerReading, layer_entropies_of_texts
from tests.models.lens_models import tiny

__all__ = ["TEXTS", "handmade", "model_of", "readings_of"]

TEXTS = (
    "The quick brown fox jumps over the lazy dog, and the dog does not mind at all.",
    "Short.",
    "七転び八起き: fall seven times, stand up eight.",
    "In the beginning there was nothing; then somebody began to count it.",
    "No man is an island, entire of itself.",
)


@cache
def model_of(name: str) -> Any:
    return tiny(name)


@cache
def readings_of(name: str) -> tuple[LayerReading, ...]:
    return layer_entropies_of_texts(model_of(name), list(TEXTS))


def handmade(top_ids: list[list[int]], entropy: list[list[float]]) -> LayerReading:
    """Layers of a text of the coin, as they would be if some network had them."""
    tops, unsure = np.array(top_ids, np.int32), np.array(entropy, np.float32)
    trace = nescio.score(nescio.load("table:coin"), "HT" * (tops.shape[1] // 2))
    trace = replace(trace, entropy=unsure[-1], candidates=None)
    return LayerReading(
        trace,
        unsure,
        np.full(tops.shape, 1.0, np.float32),
        np.zeros(tops.shape, np.float32),
        np.ones(tops.shape, np.int32),
        tops,
        np.full(tops.shape, -0.5, np.float32),
        {0: b"H", 1: b"T", 2: b""},
        {2: "<s>"},
        2,
        {"architecture": "Handmade", "before_head": ["norm"], "layers": len(tops)},
    )
