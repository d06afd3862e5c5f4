"""The log-probability of one token a row, by tiles."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nescio.training.gradients import HeadGradients
from nescio.training.tiles import HeadOf, Running, Tiling, blocks

__all__ = ["TokenLogp"]


class TokenLogp(torch.autograd.Function):
    """hidden, weight, bias → log softmax(logits / T) of the target, [rows]."""

    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917  autograd sees tensors only as arguments
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        head: HeadOf,
        targets: Tensor,
        temperature: float,
        tiling: Tiling,
    ) -> Tensor:
        """Once over the vocabulary; two numbers a row are kept."""
        del weight, bias  # those of the head
        with torch.autocast(hidden.device.type, enabled=False):
            running, chosen = _forward(head, targets, temperature, tiling)
        ctx.save_for_backward(head.hidden, head.weight, head.bias)
        ctx.work = (head, targets, temperature, tiling, running)
        return (chosen - running.top).sub_(running.total.log())

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, upstream: Tensor
    ) -> tuple[Tensor | None, ...]:
        """upstream · (one-hot - p), a tile at a time."""
        head, targets, temperature, tiling, running = ctx.work
        ctx.saved_tensors  # noqa: B018  refuses what was changed in place since
        grads = HeadGradients(head, ctx.needs_input_grad)
        with torch.autocast(head.hidden.device.type, enabled=False):
            for tokens in blocks(len(head.weight), tiling.vocabulary):
                tile = head.tile(tokens)
                for rows in blocks(len(head.hidden), tiling.rows):
                    hidden = head.hidden[rows].to(head.dtype)
                    logits = tile.logits(hidden)
                    scaled = tile.exclude(logits / temperature)
                    gradient = running.logp(rows, scaled).exp_().neg_()
                    add_targets(gradient, targets[rows], tokens)
                    gradient *= (upstream[rows] / temperature)[:, None]
                    grads.add(rows, tile, tile.back(gradient, logits), hidden)
                grads.end_tile(tokens)
        return (*grads.found(), None, None, None, None)


def _forward(
    head: HeadOf, targets: Tensor, temperature: float, tiling: Tiling
) -> tuple[Running, Tensor]:
    like = head.hidden.new_empty(0, dtype=head.dtype)
    running = Running(len(head.hidden), like)
    chosen = like.new_zeros(len(head.hidden))
    for tokens in blocks(len(head.weight), tiling.vocabulary):
        tile = head.tile(tokens)
        for rows in blocks(len(head.hidden), tiling.rows):
            logits = tile.logits(head.hidden[rows].to(head.dtype))
            logits = tile.exclude(logits.div_(temperature))
            running.add(rows, logits)
            take_targets(chosen[rows], logits, targets[rows], tokens)
    running.check("logits")
    return running, chosen


def take_targets(
    chosen: Tensor, logits: Tensor, targets: Tensor, tokens: slice
) -> None:
    """Write down the logits of the targets that lie in this tile."""
    here = (targets >= tokens.start) & (targets < tokens.stop)
    which = here.nonzero()[:, 0]
    chosen[which] = logits[which, targets[which] - tokens.start]


def add_targets(gradient: Tensor, targets: Tensor, tokens: slice) -> None:
    """Add 1 at the targets that lie in this tile."""
    here = (targets >= tokens.start) & (targets < tokens.stop)
    which = here.nonzero()[:, 0]
    gradient[which, targets[which] - tokens.start] += 1.0
