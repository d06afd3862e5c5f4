"""The amplification bound: how far entropy rate and cross-entropy can be apart."""

from __future__ import annotations

import math

from nescio.errors import InvalidInput
from nescio.outcome import Estimate, Recipe

__all__ = ["amplification_bound"]

_SOURCES = (
    "Braverman et al. (2020), section 4, amplification of errors over texts",
    "Pinsker (1964), total variation and divergence",
)


def amplification_bound(
    epsilon: float, *, steps: int, vocabulary_size: int
) -> Estimate:
    """How far entropy rate and cross-entropy can be apart, given a premise.

    The premise: over texts of ``steps`` tokens KL(P || Q) ≤ epsilon · steps nats. Then
    for Q mixed with the uniform distribution on texts, (1 - epsilon) Q + epsilon U, it
    holds that |CE - EntRate| ≤ √((εT - log(1 - ε)) / 2) · (log M + log(1/ε) / T). The
    root bounds a total variation and is never counted above 1. Without the premise
    nothing follows, and the premise cannot be seen from the model alone.

    Args:
        epsilon: ε in (0, 1), nats/token.
        steps: T, at least 1.
        vocabulary_size: M, at least 2.

    Returns:
        A bound of CE - EntRate from both sides, nats/token.

    Raises:
        InvalidInput: a number out of range.

    Example:
        >>> found = amplification_bound(1e-6, steps=100, vocabulary_size=50_000)
        >>> round(found.high, 4)
        0.0779

    Source: Braverman et al. (2020), section 4; Pinsker (1964).
    """
    if not 0.0 < epsilon < 1.0:
        raise InvalidInput(f"epsilon is {epsilon}: a number between 0 and 1")
    if steps < 1 or vocabulary_size < 2:
        raise InvalidInput(
            f"{steps} steps over {vocabulary_size} tokens: at least 1 and 2"
        )
    variation = math.sqrt((epsilon * steps - math.log1p(-epsilon)) / 2.0)
    widest = math.log(vocabulary_size) + math.log(1.0 / epsilon) / steps
    bound = min(1.0, variation) * widest
    settings = {
        "epsilon": float(epsilon),
        "steps": int(steps),
        "vocabulary_size": int(vocabulary_size),
        "premise": "KL(P || Q) <= epsilon * steps nats over texts of these steps",
        "of": "(1 - epsilon) Q + epsilon uniform, on whole texts",
    }
    return Estimate(
        "amplification_bound",
        None,
        "nats/token",
        int(steps),
        "bound",
        f"texts of {steps} tokens, if KL(P || Q) is at most {epsilon * steps:.6g} nats "
        "over them, and the model is mixed with the uniform one",
        Recipe("amplification_bound", settings, _SOURCES),
        -bound,
        bound,
    )
