"""Entropy-Lens signatures: a text as a profile of entropies, windows by layers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidInput, NotEnoughData
from nescio.lens.reading import LayerReading

__all__ = ["NORMALISATIONS", "signature", "signatures"]

NORMALISATIONS = ("nats", "vocabulary")
"""As they are; or over log(vocabulary), between 0 and 1."""


def signature(
    reading: LayerReading, *, windows: int = 1, normalised: str = "nats"
) -> Float[np.ndarray, "windows layers"]:
    """The mean entropy of each layer in each window of a text.

    Windows are consecutive and of nearly equal length, the longer ones first.

    Args:
        reading: of one text.
        windows: how many; 1: the profile of the whole.
        normalised: ``nats``, or ``vocabulary``: over log of how many tokens can be
            predicted, which models of different vocabularies share.

    Raises:
        InvalidInput: no window, another normalisation.
        NotEnoughData: fewer tokens than windows.

    Source: Ali et al. (2025), Entropy-Lens, section 3.
    """
    if windows < 1:
        raise InvalidInput(f"windows is {windows}: at least 1 is needed")
    if normalised not in NORMALISATIONS:
        raise InvalidInput(f"normalised is {normalised!r}: one of {NORMALISATIONS}")
    tokens = reading.entropy.shape[1]
    if tokens < windows:
        raise NotEnoughData(
            f"{tokens} tokens cannot be cut into {windows} windows: take fewer windows "
            "or longer texts"
        )
    scale = 1.0 if normalised == "nats" else math.log(reading.possible)
    parts = np.array_split(reading.entropy.astype(np.float64), windows, axis=1)
    return np.stack([part.mean(axis=1) for part in parts]) / scale


def signatures(
    readings: Sequence[LayerReading], *, windows: int = 1, normalised: str = "nats"
) -> Float[np.ndarray, "texts windows layers"]:
    """The signatures of several texts.

    Args:
        readings: of one model, or of models with as many layers.
        windows, normalised: as `signature`.

    Raises:
        InvalidInput: none, or different numbers of layers; and as `signature`.
    """
    if not readings:
        raise InvalidInput("no readings: there is nothing to compare")
    counts = sorted({reading.layers for reading in readings})
    if len(counts) > 1:
        raise InvalidInput(
            f"the readings have {counts} layers: profiles of different depth cannot "
            "be compared layer by layer"
        )
    return np.stack(
        [signature(one, windows=windows, normalised=normalised) for one in readings]
    )
