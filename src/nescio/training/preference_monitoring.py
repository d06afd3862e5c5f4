"""How far a policy has learnt its pairs: mean margin and accuracy, with intervals."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nescio.outcome import Estimate, Recipe
from nescio.training.monitoring import (
    interval_of_means,
    limits_of,
    population_text,
    settings_of,
)
from nescio.training.preference import (
    PreferenceBatch,
    preference_gaps,
    reward_margins,
)
from nescio.training.preference_forms import PreferenceForm
from nescio.uncertainty import wilson_interval

__all__ = ["mean_reward_margin", "reward_accuracy"]

_SOURCES = ("Rafailov et al. (2023), Direct Preference Optimization",)
_PAIRS = "pairs like these"


def mean_reward_margin(
    batch: PreferenceBatch,
    *,
    beta: float | int = 0.1,
    form: PreferenceForm | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The mean of `nescio.training.reward_margins`, pairs resampled.

    0 where the policy is the reference. Pairs are taken as independent: several of one
    prompt are fewer than they look.

    Args:
        batch, beta, form: as for `nescio.training.preference_losses`.
        level: the coverage the interval aims at, in (0, 1).
        seed: of the resampling.

    Returns:
        In units of reward (β times nats, for the reverse KL); 5 pairs have an interval.

    Raises:
        InvalidInput: as `nescio.training.reward_margins`.

    Example:
        >>> x = torch.full([6], -4.0)
        >>> batch = PreferenceBatch(x, x - 1, x, x)
        >>> round(mean_reward_margin(batch, beta=0.5).value, 4)
        0.5
    """
    margins = _numbers(reward_margins(batch, beta=beta, form=form))
    columns = np.stack([margins, np.ones_like(margins)], 1)
    interval = interval_of_means(columns, level=level, seed=seed)
    settings = _settings(batch, form) | {"beta": float(beta)}
    return Estimate(
        "mean_reward_margin",
        float(margins.mean()),
        "1",
        len(margins),
        "confidence",
        population_text(_PAIRS, interval),
        Recipe("mean_reward_margin", settings | settings_of(interval), _SOURCES),
        **limits_of(interval),
    )


def reward_accuracy(
    batch: PreferenceBatch,
    *,
    form: PreferenceForm | None = None,
    level: float = 0.95,
) -> Estimate:
    """The share of pairs whose gap is above 0: the policy moved the right way.

    A tie is not above 0: where the policy is the reference all pairs tie and the
    accuracy is 0; the recipe counts the ties. A policy that moved at random gets ½.

    Args:
        batch, form: as for `nescio.training.preference_gaps`.
        level: the coverage Wilson's interval aims at, in (0, 1).

    Raises:
        InvalidInput: as `nescio.training.preference_gaps`.

    Example:
        >>> x = torch.tensor([-4.0, -4.0])
        >>> reward_accuracy(PreferenceBatch(x, x + torch.tensor([-1, 1]), x, x)).value
        0.5
    """
    gaps = _numbers(preference_gaps(batch, form=form))
    right, ties = int((gaps > 0).sum()), int((gaps == 0).sum())
    interval = wilson_interval(right, len(gaps), level=level)
    settings = _settings(batch, form) | {"ties": ties, **interval.settings}
    return Estimate(
        "reward_accuracy",
        right / len(gaps),
        "1",
        len(gaps),
        "confidence",
        _PAIRS,
        Recipe("reward_accuracy", settings, _SOURCES),
        null_level=0.5,
        **limits_of(interval),
    )


def _numbers(values: Tensor) -> np.ndarray:
    return values.detach().to("cpu", torch.float64).numpy()


def _settings(batch: PreferenceBatch, form: PreferenceForm | None) -> dict[str, object]:
    form = form or PreferenceForm()
    alpha = {} if form.alpha is None else {"alpha": float(form.alpha)}
    return {
        "divergence": form.divergence,
        "over_tokens": batch.over_tokens,
        **alpha,
    }
