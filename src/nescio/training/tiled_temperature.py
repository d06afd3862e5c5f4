"""The losses of an adaptive temperature from hidden rows and a head, by tiles.

The model is frozen, so that only β = 1/T has a gradient, and that of a row is a mean
under softmax(β · logits). One pass over the vocabulary finds values and gradients;
logits are made once, a tile at a time, and [rows, vocab] is never held.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.autograd.function import once_differentiable

from nescio.errors import InvalidDistribution, InvalidInput
from nescio.training.refusals import check_targets, place
from nescio.training.temperature_losses import AnswerLosses
from nescio.training.tiled_logp import take_targets
from nescio.training.tiles import HeadOf, HiddenRows, Running, Tiling, blocks

__all__ = ["tiled_answer_losses"]


def tiled_answer_losses(
    rows: HiddenRows,
    targets: Shaped[Tensor, "..."],
    inverse: Float[Tensor, "..."],
    *,
    tiling: Tiling | None = None,
) -> AnswerLosses:
    """`nescio.training.temperature_losses.answer_losses`, by tiles.

    Differentiable by β alone; hidden rows and head are constants. The mean of its
    ``cross_entropy`` is the log loss, for a temperature that is fitted properly.

    Args:
        rows: hidden rows, [rows, width], and their head.
        targets: the right tokens, [rows].
        inverse: β = 1/T of each row, [rows], at least 0.
        tiling: how large a tile is.

    Raises:
        InvalidInput: shapes that disagree, ids outside the vocabulary, a β below 0 or
            not finite.
        InvalidDistribution: a row without a distribution, or a target that is
            impossible.

    Example:
        >>> rows = HiddenRows(torch.tensor([[1.0, 0.0]] * 2), torch.eye(2))
        >>> beta = torch.tensor([1.0, 1.0])
        >>> found = tiled_answer_losses(rows, torch.tensor([0, 1]), beta)
        >>> [round(x, 4) for x in found.cross_entropy.tolist()], found.right.tolist()
        ([0.3133, 1.3133], [True, False])
    """
    head = _head(rows)
    count = len(head.hidden)
    check_targets(targets, (count,), len(rows.weight))
    if tuple(inverse.shape) != (count,):
        raise InvalidInput(
            f"inverse has shape {tuple(inverse.shape)} for {count} rows: one a row"
        )
    if not bool((inverse.isfinite() & (inverse >= 0)).all()):
        raise InvalidInput("inverse holds a number below 0 or none: β is at least 0")
    wanted = targets.long()
    if head.allowed is not None and not bool(head.allowed[wanted].all()):
        raise InvalidDistribution(
            f"the right token of row {place(~head.allowed[wanted])} is excluded: no "
            "temperature makes it possible; leave such rows out"
        )
    found = _Cooled.apply(inverse, head, wanted, tiling or Tiling())
    logsumexp, chosen, mean, right = found
    return AnswerLosses(logsumexp - inverse * chosen, logsumexp - inverse * mean, right)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What one pass over the vocabulary finds of every row."""

    running: Running
    chosen: Tensor
    mean: Tensor
    first: Tensor


class _Cooled(torch.autograd.Function):
    """β → log Σ exp(β · logits), [rows], and what of a row does not depend on β."""

    @staticmethod
    def forward(  # noqa: PLR0917  autograd sees tensors only as arguments
        ctx: Any, inverse: Tensor, head: HeadOf, targets: Tensor, tiling: Tiling
    ) -> tuple[Tensor, ...]:
        """One pass; the mean logit under softmax(β · logits) is kept."""
        with torch.autocast(head.hidden.device.type, enabled=False):
            seen = _seen(head, targets, inverse.detach().to(head.dtype), tiling)
        seen.running.check("logits")
        ctx.save_for_backward(seen.running.mean())
        right = seen.first == targets
        ctx.mark_non_differentiable(seen.chosen, seen.mean, right)
        total = seen.running.top + seen.running.total.log()
        return total, seen.chosen, seen.mean, right

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, upstream: Tensor, *_others: Tensor
    ) -> tuple[Tensor | None, ...]:
        """upstream · the mean logit."""
        (mean,) = ctx.saved_tensors
        return upstream * mean, None, None, None


def _seen(head: HeadOf, targets: Tensor, inverse: Tensor, tiling: Tiling) -> _Seen:
    count, size = len(head.hidden), len(head.weight)
    like = head.hidden.new_empty(0, dtype=head.dtype)
    running, chosen = Running(count, like), like.new_zeros(count)
    total, top = like.new_zeros(count), like.new_full((count,), -math.inf)
    first = targets.new_zeros(count)
    for tokens in blocks(size, tiling.vocabulary):
        tile = head.tile(tokens)
        for rows in blocks(count, tiling.rows):
            logits = tile.logits(head.hidden[rows].to(head.dtype))
            take_targets(chosen[rows], logits, targets[rows], tokens)
            possible = logits
            if tile.excluded is not None:
                possible = logits.masked_fill(tile.excluded, 0.0)
            total[rows] += possible.sum(1)
            cooled = tile.exclude(logits * inverse[rows, None])
            best, place_of = tile.exclude(logits.clone()).max(1)
            higher = best > top[rows]
            first[rows] = torch.where(higher, place_of + tokens.start, first[rows])
            top[rows] = torch.maximum(top[rows], best)
            running.add(rows, cooled, possible.clone())
    allowed = size if head.allowed is None else int(head.allowed.sum())
    return _Seen(running, chosen, total / allowed, first)


def _head(rows: HiddenRows) -> HeadOf:
    """Constants; -inf in a bias made part of the vocabulary."""
    if rows.hidden.dim() != 2:
        raise InvalidInput(
            f"hidden has shape {tuple(rows.hidden.shape)}: give [rows, width]"
        )
    allowed, bias = rows.vocabulary, rows.bias
    if bias is not None and bool((excluded := bias == -math.inf).any()):
        allowed = ~excluded if allowed is None else allowed & ~excluded
        bias = bias.detach().masked_fill(excluded, 0.0)
        if not bool(allowed.any()):
            raise InvalidDistribution("bias and vocabulary allow no token at all")
    both = torch.promote_types(rows.hidden.dtype, rows.weight.dtype)
    return HeadOf(
        rows.hidden.detach(),
        rows.weight.detach(),
        None if bias is None else bias.detach(),
        float(rows.scale),
        None if rows.soft_cap is None else float(rows.soft_cap),
        allowed,
        both if both == torch.float64 else torch.float32,
    )
