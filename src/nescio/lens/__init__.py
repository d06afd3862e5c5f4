"""The layer lens: what a model would predict if it ended after each of its layers."""

from __future__ import annotations

from nescio.lens.classification import (
    Classification,
    accuracy_gain,
    classify_signatures,
)
from nescio.lens.generating import generated_layer_entropies
from nescio.lens.measures import (
    LAYER_MEASURES,
    commitment_depth,
    commitment_layer,
    layer_curves,
    lens_summary,
)
from nescio.lens.reading import LayerReading
from nescio.lens.scoring import layer_entropies, layer_entropies_of_texts
from nescio.lens.signatures import NORMALISATIONS, signature, signatures

__all__ = [
    "LAYER_MEASURES",
    "NORMALISATIONS",
    "Classification",
    "LayerReading",
    "accuracy_gain",
    "classify_signatures",
    "commitment_depth",
    "commitment_layer",
    "generated_layer_entropies",
    "layer_curves",
    "layer_entropies",
    "layer_entropies_of_texts",
    "lens_summary",
    "signature",
    "signatures",
]
