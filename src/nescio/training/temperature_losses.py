"""Losses of calibrators that learn a temperature from hidden states.

The model is frozen; what is learned is β = 1/T, by which its logits are multiplied.

**THERMOMETER** has one β for a task, the mean over a batch of its questions, and is
trained by the log loss at that β and a Gamma prior on T, so that T stays above 0.

**Adaptive temperature** has a β for every row (a token, or a question). A row whose
most probable answer is right gives its cross-entropy, a wrong one the cross-entropy to
the uniform distribution. With N rows, R of them right and W wrong, two weightings are
about, and they are different losses:

============= ==================================== ===================================
``weighting`` loss                                 at α = ½
============= ==================================== ===================================
``published`` w · mean over the right rows          w = W/N: the rarer kind dominates,
              + (1 - w) · mean over the wrong ones, and all right or all wrong has no
              w = (1-α)W / ((1-α)W + αR)            gradient
``plain``     (1-α) · sum over the right rows / N   every row counts alike
              + α · sum over the wrong ones / N
============= ==================================== ===================================

**Neither is a proper loss.** Of a source that is calibrated already (β = 1 is the
truth, and the log loss finds it) over ten answers, with independent normal logits, they
are least at other β:

======== ================ =============
accuracy ``published``    ``plain``
======== ================ =============
.25      2.6              .67
.54      .50              .59
.82      .06              .42
======== ================ =============

Source: Shen et al. (2024), Thermometer; Xie et al. (2024), Adaptive Temperature
Scaling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from nescio.errors import InvalidDistribution, InvalidInput
from nescio.training.refusals import (
    check_fraction,
    check_positive,
    check_rows,
    check_targets,
    place,
    widened,
)

__all__ = [
    "WEIGHTINGS",
    "AnswerLosses",
    "GammaPrior",
    "adaptive_temperature_loss",
    "answer_losses",
    "cooled_logp",
    "thermometer_loss",
    "weighted_answer_loss",
]

WEIGHTINGS = ("published", "plain")
"""How right and wrong rows are weighed against each other."""


@dataclass(frozen=True)
class GammaPrior:
    """-log Gamma(T; shape, scale), and how much of it is added to the log loss.

    Args:
        weight: at least 0.
        shape, scale: above 0. Those given have the mode (shape - 1)·scale = 1.

    Raises:
        InvalidInput: other numbers.

    Example:
        >>> prior = GammaPrior()
        >>> round(float(prior.penalty(torch.tensor(1.0))), 4)
        1.8846
    """

    weight: float | int = 0.01
    shape: float | int = 1.25
    scale: float | int = 4.0

    def __post_init__(self) -> None:
        check_positive("weight", self.weight, zero=True)
        check_positive("shape", self.shape)
        check_positive("scale", self.scale)

    def penalty(self, temperature: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """-log of the density, nats: not yet multiplied by the weight.

        T/scale - (shape - 1) log T + shape log scale + log Γ(shape).
        """
        constant = self.shape * math.log(self.scale) + math.lgamma(self.shape)
        growing = temperature / self.scale
        return growing - (self.shape - 1) * temperature.log() + constant


def cooled_logp(
    logits: Shaped[Tensor, "..."], inverse: Float[Tensor, "..."]
) -> Float[Tensor, "rows answers"]:
    """log softmax(β · logits), rows of any widths padded with -inf.

    Args:
        logits: [rows, answers]; -inf marks an impossible answer, at every β.
        inverse: β = 1/T, one number or [rows]; at least 0.

    Raises:
        InvalidInput: shapes that disagree, no floats, a β below 0 or not finite.
        InvalidDistribution: a row with NaN or +inf, or without a possible answer.

    Example:
        >>> rows = torch.tensor([[1.0, 0.0, -torch.inf]])
        >>> cooled_logp(rows, torch.tensor(0.0)).exp().tolist()
        [[0.5, 0.5, 0.0]]
    """
    found = widened("logits", logits)
    if found.dim() != 2:
        raise InvalidInput(f"logits have shape {tuple(found.shape)}: [rows, answers]")
    if inverse.dim() > 1 or (inverse.dim() == 1 and len(inverse) != len(found)):
        raise InvalidInput(
            f"inverse has shape {tuple(inverse.shape)} for {len(found)} rows: give one "
            "number, or one a row"
        )
    if not bool((inverse.isfinite() & (inverse >= 0)).all()):
        raise InvalidInput(
            "inverse holds a number below 0 or none: β = 1/T is at least 0"
        )
    check_rows("logits", torch.log_softmax(found, dim=-1))
    impossible = found == -math.inf
    scale = inverse if inverse.dim() == 0 else inverse[:, None]
    # Less the largest: what β makes too large for a number is then -inf, not NaN.
    most = found.detach().amax(dim=-1, keepdim=True)
    cooled = (found - most).masked_fill(impossible, 0.0) * scale
    return torch.log_softmax(cooled.masked_fill(impossible, -math.inf), dim=-1)


def thermometer_loss(
    logits: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    inverse: Float[Tensor, "..."],
    *,
    prior: GammaPrior | None = None,
) -> Float[Tensor, ""]:
    """The log loss of one task at the mean β of its rows, and the prior of 1/β.

    Args:
        logits: [rows, answers], of one task.
        targets: the right answers, [rows].
        inverse: what the head says of each row, [rows], above 0; their mean is used.
        prior: of T; None: `GammaPrior`'s own.

    Returns:
        Nats.

    Raises:
        InvalidInput, InvalidDistribution: as `cooled_logp`; a mean β of 0; a target
            that is impossible.

    Example:
        >>> logits, targets = torch.tensor([[1.0, 0.0]] * 2), torch.tensor([0, 1])
        >>> beta = torch.tensor([0.5, 1.5])
        >>> round(thermometer_loss(logits, targets, beta).item(), 4)
        0.8321
    """
    if inverse.dim() != 1:
        raise InvalidInput(f"inverse has shape {tuple(inverse.shape)}: give one a row")
    prior = prior or GammaPrior()
    mean = inverse.mean()
    if not bool(mean > 0):
        raise InvalidInput(f"the mean of inverse is {mean.item()}: T has to be finite")
    logp = cooled_logp(logits, mean)
    loss = _cross_entropy(logp, targets).mean()
    return loss + prior.weight * prior.penalty(1.0 / mean)


@dataclass(frozen=True, eq=False)
class AnswerLosses:
    """What the adaptive loss is made of, row by row.

    Args:
        cross_entropy: -log p of the right answer, nats, [rows].
        uniform: the cross-entropy to the uniform distribution over the row's possible
            answers, nats, [rows].
        right: whether the most probable answer (the first of several) is the right
            one, [rows].
    """

    cross_entropy: Float[Tensor, " rows"]
    uniform: Float[Tensor, " rows"]
    right: Bool[Tensor, " rows"]


def answer_losses(
    logits: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    inverse: Float[Tensor, "..."],
) -> AnswerLosses:
    """Both losses of every row at its own β; see `adaptive_temperature_loss`.

    Example:
        >>> logits, targets = torch.tensor([[1.0, 0.0]] * 2), torch.tensor([0, 1])
        >>> found = answer_losses(logits, targets, torch.tensor([1.0, 1.0]))
        >>> found.right.tolist(), [round(x, 4) for x in found.uniform.tolist()]
        ([True, False], [0.8133, 0.8133])
    """
    logp = cooled_logp(logits, inverse)
    possible = logits != -math.inf
    total = logp.masked_fill(~possible, 0.0).sum(-1)
    right = logits.argmax(-1) == targets
    return AnswerLosses(_cross_entropy(logp, targets), -total / possible.sum(-1), right)


def weighted_answer_loss(
    losses: AnswerLosses,
    *,
    alpha: float | int = 0.5,
    weighting: str = "published",
) -> Float[Tensor, ""]:
    """Right and wrong rows weighed against each other, as the module says.

    Args:
        losses: of every row.
        alpha: the weight of wrong rows, 0 to 1.
        weighting: of `WEIGHTINGS`.

    Raises:
        InvalidInput: an alpha outside [0, 1], an unknown weighting.

    Example:
        >>> one, two = torch.tensor([0.2, 9.0]), torch.tensor([9.0, 1.0])
        >>> losses = AnswerLosses(one, two, torch.tensor([True, False]))
        >>> round(weighted_answer_loss(losses).item(), 4)
        0.6
        >>> round(weighted_answer_loss(losses, weighting="plain").item(), 4)
        0.3
    """
    alpha = check_fraction("alpha", alpha)
    if weighting not in WEIGHTINGS:
        raise InvalidInput(f"weighting {weighting!r:.60}: one of {WEIGHTINGS}")
    right, rows = losses.right, len(losses.right)
    hard = losses.cross_entropy.masked_fill(~right, 0.0).sum()
    soft = losses.uniform.masked_fill(right, 0.0).sum()
    if weighting == "plain":
        return ((1 - alpha) * hard + alpha * soft) / rows
    many = int(right.sum())
    heavy, light = (1 - alpha) * (rows - many), alpha * many
    if many in (0, rows) or heavy + light == 0:
        return (hard + soft) * 0.0
    return (hard / many * heavy + soft / (rows - many) * light) / (heavy + light)


def adaptive_temperature_loss(
    logits: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    inverse: Float[Tensor, "..."],
    *,
    alpha: float | int = 0.5,
    weighting: str = "published",
) -> Float[Tensor, ""]:
    """Cross-entropy of right rows, cross-entropy to uniform of wrong ones.

    Args:
        logits: [rows, answers]; -inf marks an impossible answer.
        targets: the right answers, [rows].
        inverse: β of each row, [rows].
        alpha: the weight of wrong rows, 0 to 1.
        weighting: ``"published"`` or ``"plain"``; see the module.

    Returns:
        Nats. Not a proper loss: see the module.

    Raises:
        InvalidInput, InvalidDistribution: as `cooled_logp`; a target that is
            impossible, an unknown weighting.

    Example:
        >>> logits, targets = torch.tensor([[1.0, 0.0]] * 2), torch.tensor([0, 1])
        >>> beta = torch.tensor([1.0, 1.0])
        >>> round(adaptive_temperature_loss(logits, targets, beta).item(), 4)
        0.5633
        >>> adaptive_temperature_loss(logits, torch.tensor([0, 0]), beta).item()
        0.0

    Source: Xie et al. (2024), section 3.2.
    """
    losses = answer_losses(logits, targets, inverse)
    return weighted_answer_loss(losses, alpha=alpha, weighting=weighting)


def _cross_entropy(
    logp: Float[Tensor, "rows answers"], targets: Shaped[Tensor, "..."]
) -> Float[Tensor, " rows"]:
    check_targets(targets, (len(logp),), logp.shape[-1])
    chosen = logp.gather(-1, targets.long()[:, None])[:, 0]
    impossible = chosen == -math.inf
    if bool(impossible.any()):
        raise InvalidDistribution(
            f"the right answer of row {place(impossible)} has logit -inf: no "
            "temperature makes it possible; leave such rows out"
        )
    return -chosen
