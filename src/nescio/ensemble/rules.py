"""Rules that join the members' next-symbol distributions into one.

Each takes log-probabilities [..., members, symbols] and weights [..., members] that sum
to 1, and gives normalised log-probabilities [..., symbols]. Weights of 0 count as
absent. `RULES` names those that need nothing else; a power mean (`power_mean`) is named
by its exponent, and `contrasted` by its three parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidDistribution, InvalidInput

__all__ = [
    "RULES",
    "Rule",
    "arithmetic_mean",
    "contrasted",
    "disagreement",
    "geometric_mean",
    "largest",
    "least",
    "power_mean",
    "rule_named",
    "surest",
]

Logs = Float[np.ndarray, "*rows members symbols"]
Weights = Float[np.ndarray, "*rows members"]
Joined = Float[np.ndarray, "*rows symbols"]
Rule = Callable[[Logs, Weights], Joined]


def arithmetic_mean(logp: Logs, weights: Weights) -> Joined:
    """Σ w_i p_i: a mixture at every symbol. A symbol one member allows is allowed.

    Example:
        >>> logs = np.log([[0.9, 0.1], [0.5, 0.5]])
        >>> np.exp(arithmetic_mean(logs, np.array([0.5, 0.5]))).round(2).tolist()
        [0.7, 0.3]
    """
    with np.errstate(divide="ignore"):
        logw = np.log(weights)[..., None]
    return _normalised(_log_sum(logp + logw, axis=-2))


def geometric_mean(logp: Logs, weights: Weights) -> Joined:
    """Π p_i^w_i, normalised: a symbol that one member forbids is forbidden.

    Raises:
        InvalidDistribution: the members allow no symbol in common.

    Example:
        >>> logs = np.log([[0.8, 0.2], [0.5, 0.5]])
        >>> np.exp(geometric_mean(logs, np.array([0.5, 0.5]))).round(4).tolist()
        [0.6667, 0.3333]
    """
    heavy = weights[..., None] > 0.0
    summed = np.where(heavy, logp, 0.0) * np.where(heavy, weights[..., None], 0.0)
    return _normalised(summed.sum(axis=-2))


def least(logp: Logs, weights: Weights) -> Joined:
    """The smallest probability any member gives, normalised.

    Raises:
        InvalidDistribution: the members allow no symbol in common.
    """
    return _normalised(np.where(weights[..., None] > 0.0, logp, np.inf).min(axis=-2))


def largest(logp: Logs, weights: Weights) -> Joined:
    """The largest probability any member gives, normalised."""
    return _normalised(np.where(weights[..., None] > 0.0, logp, -np.inf).max(axis=-2))


def surest(logp: Logs, weights: Weights) -> Joined:
    """The distribution of the member whose entropy is least; of equal ones the first.

    Example:
        >>> logs = np.log([[0.6, 0.4], [0.1, 0.9]])
        >>> np.exp(surest(logs, np.array([0.5, 0.5]))).round(2).tolist()
        [0.1, 0.9]
    """
    nats = np.where(weights > 0.0, _entropy(logp), np.inf)
    chosen = nats.argmin(axis=-1)[..., None, None]
    return _normalised(np.take_along_axis(logp, chosen, axis=-2)[..., 0, :])


def power_mean(exponent: float | int) -> Rule:
    """The rule (Σ w_i p_i^a)^(1/a), normalised; 1 is the arithmetic mean.

    a = 0 is the geometric mean, a → ∞ the largest and a → -∞ the least.

    Raises:
        InvalidInput: an exponent that is no number.

    Example:
        >>> logs, half = np.log([[0.9, 0.1], [0.5, 0.5]]), np.array([0.5, 0.5])
        >>> bool(np.allclose(power_mean(1)(logs, half), arithmetic_mean(logs, half)))
        True
    """
    a = float(exponent)
    if math.isnan(a):
        raise InvalidInput("the exponent of a power mean is NaN: give a number")
    if a == 0.0:
        return geometric_mean
    if math.isinf(a):
        return largest if a > 0 else least

    def rule(logp: Logs, weights: Weights) -> Joined:
        heavy = weights[..., None] > 0.0
        with np.errstate(divide="ignore"):
            logw = np.log(weights)[..., None]
        raised = np.where(heavy, a * np.where(heavy, logp, 0.0) + logw, -np.inf)
        return _normalised(_log_sum(raised, axis=-2) / a)

    return rule


def contrasted(
    base: Float[np.ndarray, "*rows symbols"],
    expert: Float[np.ndarray, "*rows symbols"],
    anti: Float[np.ndarray, "*rows symbols"],
    *,
    strength: float | int = 1.0,
    floor: float = 1e-6,
) -> Joined:
    """base · (expert / anti)^strength, normalised: what the expert changed, on a base.

    Args:
        base, expert, anti: log-probabilities; what the base forbids stays forbidden.
        strength: 0 leaves the base as it is.
        floor: probabilities of expert and anti are taken to be at least this, so that
            a symbol the anti-expert forbids does not take everything.

    Raises:
        InvalidInput: a floor outside (0, 1].

    Source: Liu et al. (2021), DExperts; Liu et al. (2024), proxy-tuning.
    """
    if not 0.0 < floor <= 1.0:
        raise InvalidInput(f"floor is {floor}: a probability above 0")
    low = math.log(floor)
    change = np.maximum(expert, low) - np.maximum(anti, low)
    return _normalised(base + strength * change)


def disagreement(logp: Logs, weights: Weights) -> Float[np.ndarray, "*rows"]:
    """Weighted Jensen-Shannon divergence of the members, nats, from 0 to H(weights).

    Example:
        >>> with np.errstate(divide="ignore"):
        ...     apart = np.log([[1.0, 0.0], [0.0, 1.0]])
        >>> bool(np.isclose(disagreement(apart, np.array([0.5, 0.5])), np.log(2)))
        True

    Source: Lin (1991).
    """
    own = (weights * _entropy(logp)).sum(axis=-1)
    nats = _entropy(arithmetic_mean(logp, weights)) - own
    return np.asarray(np.maximum(0.0, nats))


RULES: Mapping[str, Rule] = {
    "mean": arithmetic_mean,
    "product": geometric_mean,
    "min": least,
    "max": largest,
    "switch": surest,
}
"""The rules that need distributions and weights alone, by name."""

_POWER = "power:"


def rule_named(name: str) -> Rule:
    """The rule of a name: one of `RULES`, ``posterior``, or ``power:A``.

    ``posterior`` joins as ``mean`` does; its weights are what is different.

    Raises:
        InvalidInput: no rule of that name; lists them.

    Example:
        >>> rule_named("posterior") is arithmetic_mean
        True
    """
    if name == "posterior":
        return RULES["mean"]
    if name in RULES:
        return RULES[name]
    if name.startswith(_POWER):
        try:
            return power_mean(float(name.removeprefix(_POWER)))
        except ValueError as error:
            raise InvalidInput(f"rule is {name!r}: power:A has a number A") from error
    known = (*RULES, "posterior", "power:A")
    raise InvalidInput(f"rule is {name!r}: choose one of {known}")


def _entropy(logp: Float[np.ndarray, "*rows symbols"]) -> Float[np.ndarray, "*rows"]:
    nats = -(np.exp(logp) * np.where(logp > -np.inf, logp, 0.0)).sum(axis=-1)
    return np.asarray(nats)


def _log_sum(logs: np.ndarray, *, axis: int) -> np.ndarray:
    top = logs.max(axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        summed = np.log(np.exp(logs - top).sum(axis=axis))
        return np.asarray(summed + top.squeeze(axis))


def _normalised(logs: Float[np.ndarray, "*rows symbols"]) -> Joined:
    total = _log_sum(logs, axis=-1)
    if not np.isfinite(total).all():
        raise InvalidDistribution(
            "the members allow no symbol in common here: this rule cannot join them; "
            "use mean or posterior"
        )
    return logs - total[..., None]
