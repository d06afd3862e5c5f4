"""Losses for torch: the KL penalty of a policy, preference pairs, distillation.

Plain functions of tensors, for a loop of one's own or inside a trainer, and each of
them once more by tiles, from hidden rows and a head (:mod:`nescio.training.tiled`).
Torch is imported with this package, which ``import nescio`` leaves alone.
"""

from __future__ import annotations

from nescio.errors import MissingDependency

try:
    import torch as _torch
except ImportError as error:
    raise MissingDependency(
        "nescio.training needs torch: pip install 'nescio[local]'"
    ) from error

from nescio.training.byte_symbols import (
    END_SYMBOL,
    NEXT_SYMBOLS,
    ByteSymbols,
    next_byte_logp,
)
from nescio.training.distillation import Distillation, distillation_loss
from nescio.training.divergences import (
    forward_kl,
    generalised_jsd,
    log_probabilities,
    reverse_kl,
    token_logp,
)
from nescio.training.monitoring import mean_kl
from nescio.training.policy import (
    KL_ESTIMATORS,
    exact_kl,
    k1,
    k2,
    k3,
    kl_loss,
    sampled_kl,
)
from nescio.training.policy_sequences import (
    exact_kl_loss,
    log_ratio_to_go,
    reward_kl_loss,
    sequence_kl_loss,
    sequence_log_ratio,
)
from nescio.training.preference import (
    PreferenceBatch,
    answer_logp,
    preference_gaps,
    preference_loss,
    preference_losses,
    reward_margins,
)
from nescio.training.preference_forms import (
    PREFERENCE_DIVERGENCES,
    PREFERENCE_LOSSES,
    PreferenceForm,
)
from nescio.training.preference_monitoring import mean_reward_margin, reward_accuracy
from nescio.training.spans import (
    SPAN_LOSSES,
    Alignment,
    align,
    span_logp,
    span_loss,
    span_losses,
)
from nescio.training.temperature_losses import (
    WEIGHTINGS,
    AnswerLosses,
    GammaPrior,
    adaptive_temperature_loss,
    answer_losses,
    thermometer_loss,
    weighted_answer_loss,
)
from nescio.training.tiled import (
    HiddenRows,
    Tiling,
    project,
    tiled_distillation_loss,
    tiled_divergence,
    tiled_exact_kl,
    tiled_token_logp,
)
from nescio.training.tiled_bytes import tiled_next_byte_logp
from nescio.training.tiled_temperature import tiled_answer_losses

del _torch

__all__ = [
    "Alignment",
    "AnswerLosses",
    "ByteSymbols",
    "Distillation",
    "END_SYMBOL",
    "GammaPrior",
    "HiddenRows",
    "KL_ESTIMATORS",
    "NEXT_SYMBOLS",
    "PREFERENCE_DIVERGENCES",
    "PREFERENCE_LOSSES",
    "PreferenceBatch",
    "PreferenceForm",
    "SPAN_LOSSES",
    "Tiling",
    "WEIGHTINGS",
    "adaptive_temperature_loss",
    "align",
    "answer_logp",
    "answer_losses",
    "distillation_loss",
    "exact_kl",
    "exact_kl_loss",
    "forward_kl",
    "generalised_jsd",
    "k1",
    "k2",
    "k3",
    "kl_loss",
    "log_probabilities",
    "log_ratio_to_go",
    "mean_kl",
    "mean_reward_margin",
    "next_byte_logp",
    "preference_gaps",
    "preference_loss",
    "preference_losses",
    "project",
    "reverse_kl",
    "reward_accuracy",
    "reward_kl_loss",
    "reward_margins",
    "sampled_kl",
    "sequence_kl_loss",
    "sequence_log_ratio",
    "span_logp",
    "span_loss",
    "span_losses",
    "thermometer_loss",
    "tiled_answer_losses",
    "tiled_distillation_loss",
    "tiled_divergence",
    "tiled_exact_kl",
    "tiled_next_byte_logp",
    "tiled_token_logp",
    "token_logp",
    "weighted_answer_loss",
]
