"""The shapes of the losses on pairs, and the divergences they rest on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nescio.errors import InvalidInput

__all__ = ["PREFERENCE_DIVERGENCES", "PREFERENCE_LOSSES", "PreferenceForm"]


@dataclass(frozen=True)
class PreferenceForm:
    """Which loss of the family: its shape, its divergence and their parameters.

    Args:
        loss: one of `PREFERENCE_LOSSES`.
        divergence: one of `PREFERENCE_DIVERGENCES`.
        alpha: of the divergence ``"alpha"``, from 0 to 1: 0 is the reverse KL, 1 the
            forward KL.
        label_smoothing: ε of the sigmoid, at least 0 and below ½: the probability
            that a pair is labelled the wrong way round.

    Raises:
        InvalidInput: an unknown name, a number out of range, or a parameter that the
            loss or divergence does not have.

    Example:
        >>> PreferenceForm("hinge", label_smoothing=0.1)
        Traceback (most recent call last):
        nescio.errors.InvalidInput: label_smoothing is 0.1: the loss hinge has none
    """

    loss: str = "sigmoid"
    divergence: str = "reverse_kl"
    alpha: float | int | None = None
    label_smoothing: float | int = 0.0

    def __post_init__(self) -> None:
        for name, known in (
            ("loss", PREFERENCE_LOSSES),
            ("divergence", PREFERENCE_DIVERGENCES),
        ):
            if getattr(self, name) not in known:
                raise InvalidInput(
                    f"unknown {name} {getattr(self, name)!r}: one of {tuple(known)}"
                )
        smoothing, alpha = self.label_smoothing, self.alpha
        if not 0.0 <= smoothing < 0.5:
            raise InvalidInput(
                f"label_smoothing is {smoothing}: give at least 0 and below 0.5; above "
                "it the pairs are labelled the wrong way round"
            )
        if smoothing and self.loss != "sigmoid":
            raise InvalidInput(
                f"label_smoothing is {smoothing}: the loss {self.loss} has none"
            )
        if (alpha is not None) != (self.divergence == "alpha"):
            raise InvalidInput(
                f"alpha is {alpha} and the divergence {self.divergence}: alpha= goes "
                "with the divergence 'alpha', and only with it"
            )
        if alpha is not None and not 0.0 <= alpha <= 1.0:
            raise InvalidInput(f"alpha is {alpha}: give a number from 0 to 1")


def _reverse_kl(log_u: Tensor, _alpha: float) -> Tensor:
    return log_u


def _forward_kl(log_u: Tensor, _alpha: float) -> Tensor:
    return -torch.expm1(-log_u)


def _jensen_shannon(log_u: Tensor, _alpha: float) -> Tensor:
    return math.log(2.0) + functional.logsigmoid(log_u)


def _alpha(log_u: Tensor, alpha: float) -> Tensor:
    return log_u if alpha == 0 else -torch.expm1(-alpha * log_u) / alpha


PREFERENCE_DIVERGENCES: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "reverse_kl": _reverse_kl,
    "forward_kl": _forward_kl,
    "jensen_shannon": _jensen_shannon,
    "alpha": _alpha,
}
"""f'(u) by name, less its value at u = 1, of log u and alpha: log u; 1 - 1/u;
log(2u/(1+u)); (1 - u^-α)/α."""


def _sigmoid(gap: Tensor, beta: float, smoothing: float) -> Tensor:
    right = functional.logsigmoid(beta * gap)
    if not smoothing:
        return -right
    return -(1 - smoothing) * right - smoothing * functional.logsigmoid(-beta * gap)


def _hinge(gap: Tensor, beta: float, _smoothing: float) -> Tensor:
    return torch.relu(1 - beta * gap)


def _ipo(gap: Tensor, beta: float, _smoothing: float) -> Tensor:
    if beta == 0:
        raise InvalidInput(
            "beta is 0: the target margin 1/(2β) of the loss ipo is infinite there; "
            "give a beta above 0"
        )
    return (gap - 1 / (2 * beta)).square()


PREFERENCE_LOSSES: Mapping[str, Callable[[Tensor, float, float], Tensor]] = {
    "sigmoid": _sigmoid,
    "hinge": _hinge,
    "ipo": _ipo,
}
"""The loss of a pair by name, of its gap, beta and label smoothing."""
