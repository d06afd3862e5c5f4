"""One sentence for each number, for a reader who meets it for the first time."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["MEANINGS"]

MEANINGS: Mapping[str, str] = {
    "accuracy": "share of answers that are right",
    "agreement": "share of the answers that say what most of them say",
    "auroc": "how well confidence ranks right answers above wrong ones; ½ is chance",
    "bits_per_byte": "surprise per byte of text; comparable between any two models",
    "bits_per_character": "surprise per character of text; comparable between models",
    "bits_per_token": "surprise per token; only comparable within one vocabulary",
    "brier_score": "mean squared distance between confidence and what happened",
    "consistency_entropy": "how much the answers agree, over all of them; 1 is fully",
    "entropy_rate": "how unsure the model was before each token, on average",
    "expected_calibration_error": "mean gap between confidence and share right",
    "first_second_distance": "how far the commonest answer leads the second",
    "log_loss": "surprise at what turned out to be right, on average",
    "maximum_calibration_error": "largest gap between confidence and share right",
    "perplexity": "as unsure as if this many tokens were equally likely each time",
    "smooth_calibration_error": "gap between confidence and share right, without bins",
    "total_surprisal": "surprise at the whole text, all tokens together",
}
"""Public function to meaning. A measure that is not here is shown without one."""
