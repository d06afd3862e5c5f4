"""One sentence for each number, for a reader who meets it for the first time."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["MEANINGS"]

MEANINGS: Mapping[str, str] = {
    "accuracy": "share of answers that are right",
    "agreement": "share of the answers that say what most of them say",
    "auroc": "how well confidence ranks right answers above wrong ones; ½ is chance",
    "bits_per_byte": "surprise per byte of text; comparable between any two models",
    "bits_per_byte_difference": "how much more surprise per byte the other has",
    "bits_per_byte_other": "bits per byte of the other model",
    "bits_per_byte_reference": "bits per byte of the reference",
    "bits_per_character": "surprise per character of text; comparable between models",
    "bits_per_token": "surprise per token; only comparable within one vocabulary",
    "brier_score": "mean squared distance between confidence and what happened",
    "consistency_entropy": "how much the answers agree, over all of them; 1 is fully",
    "delta_p_mean": "how much more probability the other gives the token",
    "delta_p_rms": "how far that probability changes, either way",
    "entropy_rate": "how unsure the model was before each token, on average",
    "expected_calibration_error": "mean gap between confidence and share right",
    "first_second_distance": "how far the commonest answer leads the second",
    "js_divergence_mean": "distance of the two predictions, the same both ways",
    "kl_divergence_mean": "how far the other's predictions lie from the reference",
    "log_loss": "surprise at what turned out to be right, on average",
    "log_perplexity_ratio": "how much more surprise per token the other model has",
    "logp_correlation": "how alike the two models find tokens likely and unlikely",
    "maximum_calibration_error": "largest gap between confidence and share right",
    "perplexity": "as unsure as if this many tokens were equally likely each time",
    "perplexity_other": "perplexity of the other model",
    "perplexity_ratio": "the other model's perplexity over the reference's; 1 is equal",
    "perplexity_reference": "perplexity of the reference",
    "reverse_kl_divergence_mean": "how far the reference lies from the other",
    "same_top_share": "share of tokens for which both expect the same token first",
    "smooth_calibration_error": "gap between confidence and share right, without bins",
    "total_surprisal": "surprise at the whole text, all tokens together",
}
"""Public function to meaning. A measure that is not here is shown without one."""
