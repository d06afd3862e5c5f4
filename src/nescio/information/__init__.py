"""Information: how much a text surprises a model, and how far that may be off.

Of arrays: entropies, divergences, mutual information, likelihood, in nats. Of counts:
estimators of an entropy. Of scored texts: bits per byte and its kin, with intervals.
"""

from __future__ import annotations

from nescio.information.bounds import (
    entropy_bounds,
    ragged_entropy_bounds,
    single_precision_bounds,
)
from nescio.information.counted import entropy_from_counts
from nescio.information.counts import (
    ENTROPY_ESTIMATORS,
    chao_shen_entropy,
    miller_madow_entropy,
    plug_in_entropy,
    shrinkage_entropy,
)
from nescio.information.divergences import (
    DIVERGENCES,
    cross_entropy,
    jeffreys_divergence,
    jensen_shannon_distance,
    jensen_shannon_divergence,
    kl_divergence,
)
from nescio.information.entropies import ENTROPIES, entropy, renyi_entropy, varentropy
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
from nescio.information.markov import (
    MARKOV_MEASURES,
    markov_entropy_rate,
    stationary_distribution,
)
from nescio.information.maximum_likelihood import (
    LOG_LOSSES,
    MaximumLikelihood,
    binary_log_loss,
    categorical_log_loss,
    die_maximum_likelihood,
    log_likelihood,
)
from nescio.information.mutual import (
    MUTUAL_MEASURES,
    conditional_entropy,
    mutual_information,
)
from nescio.information.paired import bits_per_byte_difference
from nescio.information.sequences import (
    SEQUENCE_MEASURES,
    sequence_perplexity,
    surprisal,
)

__all__ = [
    "DIVERGENCES",
    "ENTROPIES",
    "ENTROPY_ESTIMATORS",
    "LIKELIHOOD_MEASURES",
    "LOG_LOSSES",
    "MARKOV_MEASURES",
    "MUTUAL_MEASURES",
    "MaximumLikelihood",
    "SEQUENCE_MEASURES",
    "binary_log_loss",
    "bits_per_byte",
    "bits_per_byte_difference",
    "bits_per_character",
    "bits_per_token",
    "categorical_log_loss",
    "chao_shen_entropy",
    "conditional_entropy",
    "cross_entropy",
    "die_maximum_likelihood",
    "entropy",
    "entropy_bounds",
    "entropy_from_counts",
    "entropy_rate",
    "jeffreys_divergence",
    "jensen_shannon_distance",
    "jensen_shannon_divergence",
    "kl_divergence",
    "log_likelihood",
    "markov_entropy_rate",
    "miller_madow_entropy",
    "mutual_information",
    "perplexity",
    "plug_in_entropy",
    "ragged_entropy_bounds",
    "renyi_entropy",
    "sequence_perplexity",
    "shrinkage_entropy",
    "single_precision_bounds",
    "stationary_distribution",
    "summary",
    "surprisal",
    "total_surprisal",
    "varentropy",
]
