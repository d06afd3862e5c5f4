"""What a run is watched by: means over a batch, with how far they may be off.

A batch is a sample: of prompts, of what the policy drew, of pairs. Tokens of a sequence
depend on one another, so sequences are what is resampled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from nescio.errors import InvalidInput, NotEnoughData
from nescio.outcome import Estimate, Recipe
from nescio.training.refusals import kept_tokens, place, widened
from nescio.uncertainty import (
    MINIMUM_UNITS,
    Interval,
    bootstrap_rows,
    ratio_of_means,
)

__all__ = ["interval_of_means", "mean_kl"]

_SOURCES = ("Schulman (2020), Approximating KL Divergence",)


def mean_kl(
    values: Shaped[Tensor, "..."],
    *,
    estimator: str,
    mask: Shaped[Tensor, "..."] | None = None,
    per: str = "token",
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The mean KL of a policy from its reference over what it drew, with an interval.

    Args:
        values: the KL at every token, nats, [sequences, tokens]: of
            `nescio.training.sampled_kl`, or of `nescio.training.exact_kl` on the rows
            the tokens were drawn from.
        estimator: what made the values, e.g. ``"k3"`` or ``"exact"``; it is written
            into the recipe, because means of different ones are not comparable.
        mask: booleans, [sequences, tokens]: True where a token counts.
        per: ``"token"``: all nats over all tokens; ``"sequence"``: nats a sequence.
        level: the coverage the interval aims at, in (0, 1).
        seed: of the resampling.

    Returns:
        nats/token or nats/sequence; the interval resamples whole sequences and needs 5.
        n counts tokens, n_clusters sequences. k1 and k3 can lie on the wrong side of
        the exact KL by chance; k2 is biased, and so is its interval.

    Raises:
        InvalidInput: shapes that disagree, a sequence without tokens, numbers that
            are not finite.

    Example:
        >>> import torch
        >>> values = torch.tensor([[0.1, 0.3], [0.2, 0.2], [0.0, 0.4]] * 2)
        >>> found = mean_kl(values, estimator="exact")
        >>> round(found.value, 6), found.unit, found.n, found.n_clusters
        (0.2, 'nats/token', 12, 6)

    Source: Schulman (2020), Approximating KL Divergence.
    """
    if values.dim() != 2:
        shape = tuple(values.shape)
        raise InvalidInput(f"values have shape {shape}: give [sequences, tokens]")
    if per not in ("token", "sequence"):
        raise InvalidInput(f"per {per!r}: give 'token' or 'sequence'")
    kept = kept_tokens(mask, values)
    found = widened("values", values.detach()).masked_fill(~kept, 0.0)
    if not bool(found.isfinite().all()):
        odd = ~found.isfinite()
        raise InvalidInput(f"values: {place(odd)} is {float(found[odd][0])}, no number")
    sums = found.double().sum(1).cpu().numpy()
    counts = kept.sum(1).double().cpu().numpy()
    if per == "sequence":
        counts = np.ones_like(counts)
    settings = {"kl": estimator, "per": per, "sequences": len(sums)}
    interval = interval_of_means(np.stack([sums, counts], 1), level=level, seed=seed)
    return Estimate(
        "mean_kl",
        float(sums.sum() / counts.sum()),
        f"nats/{per}",
        int(kept.sum()),
        "confidence",
        population_text("sequences this policy draws for prompts like these", interval),
        Recipe("mean_kl", settings | settings_of(interval), _SOURCES),
        n_clusters=len(sums),
        **limits_of(interval),
    )


def interval_of_means(
    columns: Float[np.ndarray, "units 2"], *, level: float, seed: int
) -> Interval | str:
    """The interval of a ratio of column sums over units, or why there is none."""
    if len(columns) < MINIMUM_UNITS:
        return f"{len(columns)} are too few to show how they differ: {MINIMUM_UNITS}"
    try:
        return bootstrap_rows(columns, ratio_of_means, level=level, seed=seed)
    except NotEnoughData as reason:
        return str(reason)


def population_text(population: str, interval: Interval | str) -> str:
    """What an interval speaks of, and why it is not there."""
    if isinstance(interval, str):
        return f"{population}; no interval: {interval}"
    return population


def limits_of(interval: Interval | str) -> dict[str, Any]:
    """The fields of an estimate that an interval fills."""
    if isinstance(interval, str):
        return {}
    return {"low": interval.low, "high": interval.high, "level": interval.level}


def settings_of(interval: Interval | str) -> dict[str, Any]:
    """How the interval was made."""
    return {} if isinstance(interval, str) else dict(interval.settings)
