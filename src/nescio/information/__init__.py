"""Information: how much a text surprises a model, and how far that may be off."""

from __future__ import annotations

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

__all__ = [
    "LIKELIHOOD_MEASURES",
    "bits_per_byte",
    "bits_per_character",
    "bits_per_token",
    "entropy_rate",
    "perplexity",
    "summary",
    "total_surprisal",
]
