"""What the layers of one text or several say, as estimates.

Several texts are pooled over their tokens, and whole texts are resampled; of one text
blocks of tokens are, as for :func:`nescio.entropy_rate`. The last layer is the model:
its mean entropy is the entropy rate, its mean surprisal the bits per token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nescio.errors import InvalidInput
from nescio.information.pooling import How, Rate, pooled_rate
from nescio.lens.reading import LayerReading
from nescio.outcome import Estimate, Recipe
from nescio.trace import Trace
from nescio.trace.trace import SEGMENTS

__all__ = [
    "LAYER_MEASURES",
    "LayerMeasure",
    "Readings",
    "commitment_depth",
    "commitment_layer",
    "layer_curves",
    "lens_summary",
]

Readings = LayerReading | Sequence[LayerReading]
"""One text, or several that are pooled."""

_LENS = (
    "nostalgebraist (2020), interpreting GPT: the logit lens",
    "Belrose et al. (2023), Eliciting latent predictions with the tuned lens",
    "Ali et al. (2025), Entropy-Lens",
)


@dataclass(frozen=True)
class LayerMeasure:
    """A mean over tokens that each layer has.

    Args:
        unit: of it.
        of: a reading's numbers, [layers, tokens].
        meaning: one sentence for people.
    """

    unit: str
    of: Callable[[LayerReading], np.ndarray]
    meaning: str


def _settled(reading: LayerReading) -> np.ndarray:
    return np.arange(reading.layers)[:, None] >= reading.settled


LAYER_MEASURES: Mapping[str, LayerMeasure] = {
    "layer_entropy": LayerMeasure(
        "nats/token", lambda r: r.entropy, "how unsure the layer is, on average"
    ),
    "kl_to_last_layer": LayerMeasure(
        "nats/token",
        lambda r: r.kl_to_last,
        "how far the layer's prediction lies from the model's, KL(last || layer)",
    ),
    "layer_surprisal": LayerMeasure(
        "nats/token", lambda r: r.surprisal, "how surprised the layer is at the text"
    ),
    "settled_share": LayerMeasure(
        "1", _settled, "share of tokens whose top candidate no longer changes"
    ),
}
"""The family: what commands, JSON and pages list, one estimate a layer."""


def layer_curves(
    readings: Readings,
    *,
    measures: Sequence[str] = tuple(LAYER_MEASURES),
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
) -> dict[str, tuple[Estimate, ...]]:
    """The mean over tokens of each measure at each layer, with its interval.

    The intervals of one curve are drawn layer by layer: each holds its own layer's
    mean at ``level``, not the whole curve.

    Args:
        readings: of one text or several, all of one model.
        measures: some of `LAYER_MEASURES`.
        level, seed, resamples: of the intervals.

    Returns:
        Name to estimates, from the embedding to the last layer.

    Raises:
        InvalidInput: no readings, readings of several models, an unknown measure.
    """
    texts, how = _as_readings(readings), How(level, seed, resamples, SEGMENTS)
    unknown = sorted(set(measures) - set(LAYER_MEASURES))
    if unknown:
        raise InvalidInput(f"no measure {unknown[0]!r}: one of {tuple(LAYER_MEASURES)}")
    found: dict[str, tuple[Estimate, ...]] = {}
    for name in measures:
        measure = LAYER_MEASURES[name]
        columns = [measure.of(text) for text in texts]
        found[name] = tuple(
            _mean(
                _Asked(name, measure.unit, {"layer": layer}),
                texts,
                [c[layer] for c in columns],
                how,
            )
            for layer in range(texts[0].layers)
        )
    return found


def commitment_layer(
    readings: Readings,
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
) -> Estimate:
    """The layer from which on the top candidate no longer changes, mean over tokens.

    0: the embedding already names the model's own top token, and every layer after it
    does; the number of blocks: only the last layer does.

    Args:
        readings, level, seed, resamples: as `layer_curves`.

    Raises:
        InvalidInput: as `layer_curves`.
    """
    texts = _as_readings(readings)
    asked = _Asked("commitment_layer", "layers", {})
    values = [text.settled for text in texts]
    return _mean(asked, texts, values, How(level, seed, resamples, SEGMENTS))


def commitment_depth(
    readings: Readings,
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
) -> Estimate:
    """`commitment_layer` over the number of blocks: 0 the embedding, 1 the last layer.

    Comparable between models of different depth.

    Args:
        readings, level, seed, resamples: as `layer_curves`.

    Raises:
        InvalidInput: as `layer_curves`.
    """
    texts = _as_readings(readings)
    asked = _Asked("commitment_depth", "1", {})
    values = [text.settled / (text.layers - 1) for text in texts]
    return _mean(asked, texts, values, How(level, seed, resamples, SEGMENTS))


def lens_summary(
    readings: Readings,
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
) -> dict[str, Estimate]:
    """The few numbers that sum a lens up, by name.

    Args:
        readings, level, seed, resamples: as `layer_curves`.

    Returns:
        ``commitment_layer``, ``commitment_depth``, and the mean entropy of the last
        layer as ``entropy_rate``, nats a token.

    Raises:
        InvalidInput: as `layer_curves`.
    """
    texts = _as_readings(readings)
    how = {"level": level, "seed": seed, "resamples": resamples}
    last = _mean(
        _Asked("entropy_rate", "nats/token", {"layer": texts[0].layers - 1}),
        texts,
        [text.entropy[-1] for text in texts],
        How(level, seed, resamples, SEGMENTS),
    )
    return {
        "commitment_layer": commitment_layer(texts, **how),
        "commitment_depth": commitment_depth(texts, **how),
        "entropy_rate": last,
    }


@dataclass(frozen=True)
class _Asked:
    """What is averaged, in which unit, and what its recipe says more."""

    name: str
    unit: str
    settings: Mapping[str, Any]


def _as_readings(readings: Readings) -> tuple[LayerReading, ...]:
    texts = (readings,) if isinstance(readings, LayerReading) else tuple(readings)
    if not texts:
        raise InvalidInput("no readings: there is nothing to measure")
    counts = sorted({text.layers for text in texts})
    if len(counts) > 1:
        raise InvalidInput(
            f"the readings have {counts} layers: they are of several models; measure "
            "those of each by themselves"
        )
    return texts


def _mean(
    asked: _Asked,
    texts: Sequence[LayerReading],
    values: Sequence[np.ndarray],
    how: How,
) -> Estimate:
    """The mean over all tokens, pooled and resampled as every rate is."""
    by_trace = {
        id(text.trace): _on_trace(text, column)
        for text, column in zip(texts, values, strict=True)
    }

    def above(trace: Trace) -> np.ndarray:
        return by_trace[id(trace)]

    def below(trace: Trace) -> np.ndarray:
        return np.ones(len(trace))

    rate = Rate(asked.name, asked.unit, above, below, _LENS)
    estimate = pooled_rate(rate, [text.trace for text in texts], how)
    lens = {
        "lens": "residual stream, then what stands before the head, then the head",
        **{key: value for key, value in texts[0].settings.items() if key in _SHOWN},
    }
    settings = {**estimate.recipe.settings, **lens, **asked.settings}
    return replace(
        estimate, recipe=Recipe(asked.name, settings, estimate.recipe.sources)
    )


_SHOWN = ("architecture", "before_head", "layers")


def _on_trace(text: LayerReading, column: np.ndarray) -> np.ndarray:
    values = np.full(len(text.trace), np.nan)
    values[text.tokens] = column
    return values
