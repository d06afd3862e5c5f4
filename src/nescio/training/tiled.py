"""The same losses from hidden rows and heads: [rows, vocab] is never held, not once.

256 rows of a vocabulary of 262,144 are 256 MiB of float32, and a plain loss holds them
several times: logits, log-probabilities, probabilities, products, gradients, of two
models. Here logits exist a tile at a time (`Tiling`), are summed up as they come, and
are made again in the backward pass. That costs one product of hidden rows and head
more for each model (three for mixtures), and memory no longer grows with rows times
vocabulary. float32 and narrower are reckoned in float32, also under ``autocast``.

Every plain loss has its tiled form:

=============================================== ===================================
`nescio.training.token_logp`, and with it k1,   `tiled_token_logp`
k2, k3, sequence penalties and the whole DPO
family
`nescio.training.exact_kl`                      `tiled_exact_kl`
`nescio.training.forward_kl`, ``reverse_kl``,   `tiled_divergence`
``generalised_jsd``
`nescio.training.distillation_loss`             `tiled_distillation_loss`
`nescio.training.next_byte_logp`, and with it   `nescio.training.tiled_next_byte_logp`
distillation over another vocabulary
=============================================== ===================================

In a plain loop, with a network of transformers::

    hidden = network.model(ids).last_hidden_state[:, :-1]     # normed
    rows = HiddenRows(hidden, network.lm_head.weight, soft_cap=cap)
    logp = tiled_token_logp(rows, ids[:, 1:], mask=mask[:, 1:])
    loss = preference_loss(PreferenceBatch(...))              # of answer_logp(logp)

In a trainer of TRL a subclass overrides ``compute_loss`` (``_compute_loss``) and calls
the network's body, as above, instead of the whole network.

Differentiable once, by the student's or policy's hidden rows, weight and bias; a
teacher or reference is a constant, whether or not it asks for a gradient.

Source: Milakov & Gimelshein (2018), Online normalizer calculation for softmax;
Wijmans et al. (2025), Cut Your Losses in Large-Vocabulary Language Models.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from nescio.errors import InvalidDistribution, InvalidInput
from nescio.training.distillation import Distillation, needed_targets
from nescio.training.divergences import impossible_target
from nescio.training.policy import divergence_of
from nescio.training.refusals import (
    check_fraction,
    check_positive,
    check_targets,
    kept_tokens,
    other_vocabulary,
    place,
)
from nescio.training.tiled_divergence import Divergence, Pair
from nescio.training.tiled_logp import TokenLogp
from nescio.training.tiles import (
    HeadOf,
    HiddenRows,
    Tiling,
    head_of,
    project,
    reckoned_in,
)

__all__ = [
    "HiddenRows",
    "Tiling",
    "project",
    "tiled_distillation_loss",
    "tiled_divergence",
    "tiled_exact_kl",
    "tiled_token_logp",
]


def tiled_token_logp(
    rows: HiddenRows,
    targets: Shaped[Tensor, "..."],
    *,
    temperature: float | int = 1.0,
    mask: Shaped[Tensor, "..."] | None = None,
    tiling: Tiling | None = None,
) -> Float[Tensor, "..."]:
    """The log-probability of one token a row: `nescio.training.token_logp`, by tiles.

    Args:
        rows: hidden rows, [..., width], and their head.
        targets: token ids, [...]; anything (such as -100) where the mask is False.
        temperature: that the tokens were drawn at; after scale and soft-cap.
        mask: booleans, [...]: True where a token counts; other rows are not computed.
        tiling: how large a tile is.

    Returns:
        Nats, [...], at most 0; exactly 0, without a gradient, outside the mask.

    Raises:
        InvalidInput: shapes that disagree, ids outside the vocabulary, empty rows.
        InvalidDistribution: a row without a distribution, or a target that has
            probability 0.

    Example:
        >>> rows = HiddenRows(torch.tensor([[2.0, 0.0]]), torch.eye(2))
        >>> round(tiled_token_logp(rows, torch.tensor([0])).item(), 4)
        -0.1269
    """
    check_positive("temperature", temperature)
    shape = tuple(rows.hidden.shape[:-1])
    if tuple(targets.shape) != shape:
        check_targets(targets, shape, len(rows.weight))
    kept = kept_tokens(mask, targets)
    chosen = targets[kept]
    check_targets(chosen, tuple(chosen.shape), len(rows.weight))
    head = head_of(rows, kept, reckoned_in(rows))
    _check_possible(head, chosen)
    found = TokenLogp.apply(
        head.hidden,
        head.weight,
        head.bias,
        head,
        chosen.long(),
        float(temperature),
        tiling or Tiling(),
    )
    return _spread(found, kept)


def tiled_divergence(
    student: HiddenRows,
    teacher: HiddenRows,
    *,
    beta: float | int = 0.0,
    temperature: float | int = 1.0,
    mask: Shaped[Tensor, "..."] | None = None,
    tiling: Tiling | None = None,
) -> Float[Tensor, "..."]:
    """`nescio.training.generalised_jsd` of each row, by tiles.

    Args:
        student, teacher: hidden rows and heads over one vocabulary; their widths may
            differ. The teacher is a constant.
        beta: 0 (default) the forward KL(teacher‖student), 1 the reverse KL, between
            them the generalised Jensen–Shannon divergence.
        temperature: that divides the logits of both.
        mask: booleans, [...]: True where a row counts; others are not computed.
        tiling: how large a tile is.

    Returns:
        Nats, [...], at least 0; exactly 0, without a gradient, outside the mask.

    Raises:
        InvalidInput: shapes or masks that disagree, another vocabulary.
        InvalidDistribution: a row without a distribution, an infinite divergence.

    Example:
        >>> student = HiddenRows(torch.tensor([[0.0, 0.0]]), torch.eye(2))
        >>> teacher = HiddenRows(torch.tensor([[2.0]]), torch.tensor([[1.0], [0.0]]))
        >>> round(tiled_divergence(student, teacher).item(), 4)
        0.3278
    """
    how = Distillation(temperature, 1.0, beta)
    kept = kept_tokens(mask, student.hidden[..., 0])
    values, _ = _apply((student, teacher), kept, how, targets=None, tiling=tiling)
    return _spread(values, kept)


def tiled_exact_kl(
    policy: HiddenRows,
    reference: HiddenRows,
    *,
    direction: str = "reverse",
    temperature: float | int = 1.0,
    mask: Shaped[Tensor, "..."] | None = None,
    tiling: Tiling | None = None,
) -> Float[Tensor, "..."]:
    """`nescio.training.exact_kl` of each row, by tiles.

    Args:
        policy, reference: hidden rows and heads over one vocabulary; the reference is
            a constant.
        direction: ``"reverse"``, KL(policy‖reference), or ``"forward"``.
        temperature, mask, tiling: as for `tiled_divergence`.

    Returns:
        Nats, [...], at least 0; exactly 0, without a gradient, outside the mask.

    Raises:
        InvalidInput, InvalidDistribution: as `tiled_divergence`; a direction that is
            none.

    Example:
        >>> policy = HiddenRows(torch.tensor([[0.0, 0.0]]), torch.eye(2))
        >>> reference = HiddenRows(torch.tensor([[2.0, 0.0]]), torch.eye(2))
        >>> round(tiled_exact_kl(policy, reference).item(), 4)
        0.4338
    """
    divergence_of(direction)
    how = {"temperature": temperature, "mask": mask, "tiling": tiling}
    return tiled_divergence(policy, reference, beta=int(direction == "reverse"), **how)


def tiled_distillation_loss(
    student: HiddenRows,
    teacher: HiddenRows,
    targets: Shaped[Tensor, "..."] | None = None,
    *,
    how: Distillation | None = None,
    mask: Shaped[Tensor, "..."] | None = None,
    tiling: Tiling | None = None,
) -> Float[Tensor, ""]:
    """`nescio.training.distillation_loss` by tiles, soft and hard part in one pass.

    Args:
        student, teacher: hidden rows and heads over one vocabulary; their widths may
            differ. The teacher is a constant.
        targets: token ids, [...]; needed unless alpha is 1.
        how: temperature, weight of the teacher and divergence.
        mask: booleans, [...]: True where a row counts; others are not computed.
        tiling: how large a tile is.

    Returns:
        Nats a row.

    Raises:
        InvalidInput, InvalidDistribution: as `nescio.training.distillation_loss`.

    Example:
        >>> student = HiddenRows(torch.tensor([[0.0, 0.0]]), torch.eye(2))
        >>> teacher = HiddenRows(torch.tensor([[2.0, 0.0]]), torch.eye(2))
        >>> how = Distillation(temperature=1, alpha=0.5)
        >>> loss = tiled_distillation_loss(student, teacher, torch.tensor([0]), how=how)
        >>> round(loss.item(), 4)
        0.5105
    """
    how = how or Distillation()
    kept = kept_tokens(mask, student.hidden[..., 0])
    chosen = None if how.alpha == 1 else needed_targets(targets, kept)
    if how.alpha == 0 and targets is not None:
        options = {"mask": mask, "tiling": tiling}
        return -tiled_token_logp(student, targets, **options).sum() / kept.sum()
    values, logp = _apply((student, teacher), kept, how, targets=chosen, tiling=tiling)
    loss = how.alpha * how.temperature**2 * values.mean()
    return loss if chosen is None else loss - (1 - how.alpha) * logp.mean()


def _apply(
    models: tuple[HiddenRows, HiddenRows],
    kept: Tensor,
    how: Distillation,
    *,
    targets: Tensor | None,
    tiling: Tiling | None,
) -> tuple[Tensor, Tensor]:
    student, teacher = models
    one, other = ("student", student.weight[:, 0]), ("teacher", teacher.weight[:, 0])
    if len(student.weight) != len(teacher.weight):
        raise InvalidInput(other_vocabulary(one, other))
    shapes = [tuple(model.hidden.shape[:-1]) for model in models]
    if shapes[0] != shapes[1]:
        raise InvalidInput(
            f"student has rows {shapes[0]}, teacher {shapes[1]}: give both for the "
            "same tokens"
        )
    dtype = torch.promote_types(reckoned_in(student), reckoned_in(teacher))
    ours = head_of(student, kept, dtype)
    theirs = head_of(teacher, kept, dtype)
    _check_support(ours, theirs, check_fraction("beta", how.beta))
    if targets is not None:
        check_targets(targets, tuple(targets.shape), len(student.weight))
        _check_possible(ours, targets)
        targets = targets.long()
    pair = Pair(
        ours,
        theirs,
        float(how.beta),
        float(how.temperature),
        targets,
        tiling or Tiling(),
    )
    return Divergence.apply(ours.hidden, ours.weight, ours.bias, pair)


def _check_possible(head: HeadOf, targets: Tensor) -> None:
    if head.allowed is not None:
        impossible = ~head.allowed[targets.long()]
        if bool(impossible.any()):
            raise InvalidDistribution(impossible_target(impossible, targets))


def _check_support(ours: HeadOf, theirs: HeadOf, beta: float) -> None:
    """An infinite KL is refused: one allows a token that the other excludes."""
    if 0 < beta < 1:
        return
    allows, other = (ours, theirs) if beta == 1 else (theirs, ours)
    names = ("student", "teacher") if beta == 1 else ("teacher", "student")
    if other.allowed is None:
        return
    infinite = ~other.allowed
    if allows.allowed is not None:
        infinite = infinite & allows.allowed
    if bool(infinite.any()):
        raise InvalidDistribution(
            f"the {names[1]} excludes token {place(infinite)}, which the {names[0]} "
            "allows: the divergence is infinite; exclude it for both with vocabulary=, "
            "or take a beta between 0 and 1"
        )


def _spread(values: Tensor, kept: Tensor) -> Tensor:
    """Values of the rows that count, at their places; 0 elsewhere."""
    found = values.new_zeros(kept.shape)
    return found.masked_scatter(kept, values)
