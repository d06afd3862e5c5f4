"""Distillation: a student learns a teacher's distributions beside the right tokens.

    α·T²·D(teacher_T, student_T) + (1-α)·CE(student, token)

with both softened by the temperature T, and D the forward KL (the student covers the
teacher), the reverse KL (it seeks the modes) or the generalised Jensen–Shannon
divergence between them. T² keeps the gradient of D of one size as T grows: it is
1/T² of the logits' gap.

In a plain loop::

    with torch.no_grad():
        taught = teacher(ids).logits[:, :-1]
    loss = distillation_loss(student(ids).logits[:, :-1], taught, ids[:, 1:], mask=mask)

TRL's ``GKDTrainer`` has a static method ``generalized_jsd_loss``; a subclass may put
`generalised_jsd` there (its β is the same one, it has no T² and no hard part). Any
trainer derived from transformers' takes a loss in a subclass's ``compute_loss``.

Both have to share a vocabulary. Models of different ones share bytes:
`nescio.training.next_byte_logp` makes rows over the next byte of either, which these
losses take; `nescio.training.span_loss` compares what both think of the same bytes.

Source: Hinton, Vinyals & Dean (2015); Agarwal et al. (2024).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from nescio.errors import InvalidInput
from nescio.training.divergences import generalised_jsd, token_logp
from nescio.training.refusals import (
    check_fraction,
    check_matching,
    check_positive,
    kept_tokens,
)

__all__ = ["Distillation", "distillation_loss"]


@dataclass(frozen=True)
class Distillation:
    """How a student is taught.

    Args:
        temperature: T, above 0, that softens both.
        alpha: the weight of the teacher, from 0 to 1; the hard tokens get the rest.
        beta: which divergence: 0 the forward KL, 1 the reverse KL, between them the
            generalised Jensen–Shannon divergence.

    Raises:
        InvalidInput: a number out of its range.

    Example:
        >>> Distillation(temperature=0)
        Traceback (most recent call last):
        nescio.errors.InvalidInput: temperature is 0: give a finite number above 0
    """

    temperature: float | int = 2.0
    alpha: float | int = 0.5
    beta: float | int = 0.0

    def __post_init__(self) -> None:
        check_positive("temperature", self.temperature)
        check_fraction("alpha", self.alpha)
        check_fraction("beta", self.beta)


def distillation_loss(
    student: Shaped[Tensor, "*rows vocab"],
    teacher: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."] | None = None,
    *,
    how: Distillation | None = None,
    mask: Shaped[Tensor, "..."] | None = None,
    vocabulary: Shaped[Tensor, "..."] | None = None,
) -> Float[Tensor, ""]:
    """α·T²·D(teacher_T, student_T) + (1-α)·CE, averaged over the rows that count.

    `nescio.training.tiled_distillation_loss` is the same from hidden rows, without the
    logits.

    Args:
        student, teacher: logits, [..., vocab], over one vocabulary. The teacher is
            taken as constant, and best made under ``torch.no_grad()``.
        targets: token ids, [...]; needed unless alpha is 1.
        how: temperature, weight of the teacher and divergence.
        mask: booleans, [...]: True where a row counts. What stands outside, NaN even,
            touches neither value nor gradient.
        vocabulary: booleans, [vocab]: True where a token may come.

    Returns:
        Nats a row.

    Raises:
        InvalidInput: shapes or masks that disagree, another vocabulary, an empty
            completion, no targets where they are needed.
        InvalidDistribution: a row without a distribution, an infinite divergence.

    Example:
        >>> student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]])
        >>> how = Distillation(temperature=1, alpha=0.5)
        >>> loss = distillation_loss(student, teacher, torch.tensor([0]), how=how)
        >>> round(loss.item(), 4)                    # (0.3278 + log 2) / 2
        0.5105

    Source: Hinton, Vinyals & Dean (2015), section 2.
    """
    how = how or Distillation()
    check_matching(("student", student), ("teacher", teacher))
    kept = _kept_rows(student, mask)
    values = student.new_zeros((), dtype=torch.float64)
    if how.alpha > 0:
        soft = generalised_jsd(
            student[kept],
            teacher[kept],
            beta=how.beta,
            temperature=how.temperature,
            vocabulary=vocabulary,
        )
        values = how.alpha * how.temperature**2 * soft
    if how.alpha < 1:
        chosen = needed_targets(targets, kept)
        hard = token_logp(student[kept], chosen, vocabulary=vocabulary)
        values = values - (1 - how.alpha) * hard
    return values.mean()


def needed_targets(
    targets: Shaped[Tensor, "..."] | None, kept: Shaped[Tensor, "..."]
) -> Shaped[Tensor, " rows"]:
    """The tokens of the rows that count."""
    if targets is None:
        raise InvalidInput(
            "alpha is below 1, so the right tokens count: give targets, or alpha 1"
        )
    if targets.shape != kept.shape:
        raise InvalidInput(
            f"targets have shape {tuple(targets.shape)}, the rows "
            f"{tuple(kept.shape)}: give one token a row"
        )
    return targets[kept]


def _kept_rows(student: Tensor, mask: Tensor | None) -> Tensor:
    if student.dim() < 2:
        shape = tuple(student.shape)
        raise InvalidInput(f"student has shape {shape}: give [..., vocab]")
    return kept_tokens(mask, student[..., 0])
