"""Information: how much a text surprises a model, and how far that may be off."""

from __future__ import annotations

from nescio.information.bounds import (
    entropy_bounds,
    ragged_entropy_bounds,
    single_precision_bounds,
)
from nescio.information.likelihood import (
    LIKELIHOOD_MEASURES,
    bits_per_byte,
    bits_per_character,
    bits_per_token,
    entropy_rate,
    perplexity,
    summary,
    total_surprisal,
)
from nescio.information.paired import bits_per_byte_difference

__all__ = [
    "LIKELIHOOD_MEASURES",
    "bits_per_byte",
    "bits_per_byte_difference",
    "bits_per_character",
    "bits_per_token",
    "entropy_bounds",
    "entropy_rate",
    "perplexity",
    "ragged_entropy_bounds",
    "single_precision_bounds",
    "summary",
    "total_surprisal",
]
