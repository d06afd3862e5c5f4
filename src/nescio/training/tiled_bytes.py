"""Rows over the next byte by tiles: from hidden rows and a head, without the logits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from nescio.errors import InvalidInput
from nescio.training.byte_symbols import NEXT_SYMBOLS, ByteSymbols
from nescio.training.divergences import log_probabilities
from nescio.training.gradients import HeadGradients
from nescio.training.tiles import (
    HeadOf,
    HiddenRows,
    Tiling,
    blocks,
    head_of,
    reckoned_in,
)

__all__ = ["tiled_next_byte_logp"]


def tiled_next_byte_logp(
    rows: HiddenRows, symbols: ByteSymbols, *, tiling: Tiling | None = None
) -> Float[Tensor, "*rows symbols"]:
    """`nescio.training.next_byte_logp` by tiles of the vocabulary.

    Args:
        rows: hidden rows where a token has ended, [..., width], and their head.
        symbols: what each id begins with, [vocab].
        tiling: how large a tile is.

    Returns:
        Nats, [..., 257], at most 0, -inf where no token begins so.

    Raises:
        InvalidInput, InvalidDistribution: as `nescio.training.next_byte_logp`.

    Example:
        >>> symbols = ByteSymbols.of([b"ab", b"a", b"b"])
        >>> rows = HiddenRows(torch.zeros(1, 2), torch.ones(3, 2))
        >>> row = tiled_next_byte_logp(rows, symbols)
        >>> [round(p, 4) for p in row[0, [97, 98]].exp().tolist()]
        [0.6667, 0.3333]
    """
    if len(symbols.first) != len(rows.weight):
        raise InvalidInput(
            f"weight has {len(rows.weight)} rows, symbols are of "
            f"{len(symbols.first)} ids: give the symbols of this head"
        )
    where, spelled = symbols.on(rows.weight.device)
    shape = rows.hidden.shape[:-1]
    every = torch.ones(shape, dtype=torch.bool, device=rows.hidden.device)
    head = head_of(rows, every, reckoned_in(rows), also=spelled)
    work = _Work(head, where, tiling or Tiling())
    found = _SymbolSums.apply(head.hidden, head.weight, head.bias, work)
    return log_probabilities(found.reshape(*shape, NEXT_SYMBOLS))


@dataclass(frozen=True, eq=False)
class _Work:
    head: HeadOf
    where: Tensor
    tiling: Tiling


class _SymbolSums(torch.autograd.Function):
    """hidden, weight, bias → logsumexp of the logits of each symbol, [rows, 257]."""

    @staticmethod
    def forward(  # noqa: PLR0917  autograd sees tensors only as arguments
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, work: _Work
    ) -> Tensor:
        """Once over the vocabulary; 257 numbers a row are kept."""
        del weight, bias  # those of the head
        with torch.autocast(hidden.device.type, enabled=False):
            sums = _forward(work)
        head = work.head
        ctx.save_for_backward(head.hidden, head.weight, head.bias)
        ctx.work = (work, sums)
        return sums.clone()

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, upstream: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        """Upstream of its symbol times p(token | symbol), a tile at a time."""
        work, sums = ctx.work
        ctx.saved_tensors  # noqa: B018  refuses what was changed in place since
        head = work.head
        sums = sums.masked_fill(sums == -math.inf, 0.0)
        grads = HeadGradients(head, ctx.needs_input_grad)
        with torch.autocast(head.hidden.device.type, enabled=False):
            for tokens in blocks(len(head.weight), work.tiling.vocabulary):
                tile = head.tile(tokens)
                for rows in blocks(len(head.hidden), work.tiling.rows):
                    hidden = head.hidden[rows].to(head.dtype)
                    logits = tile.logits(hidden)
                    where = work.where[tokens].expand_as(logits)
                    share = tile.exclude(logits.clone())
                    share = share.sub_(sums[rows].gather(1, where)).exp_()
                    gradient = share.mul_(upstream[rows].gather(1, where))
                    grads.add(rows, tile, tile.back(gradient, logits), hidden)
                grads.end_tile(tokens)
        return (*grads.found(), None)


def _forward(work: _Work) -> Tensor:
    head = work.head
    shape = (len(head.hidden), NEXT_SYMBOLS)
    top = head.hidden.new_full(shape, -math.inf, dtype=head.dtype)
    total = torch.zeros_like(top)
    for tokens in blocks(len(head.weight), work.tiling.vocabulary):
        tile = head.tile(tokens)
        for rows in blocks(len(head.hidden), work.tiling.rows):
            logits = tile.exclude(tile.logits(head.hidden[rows].to(head.dtype)))
            where = work.where[tokens].expand_as(logits)
            higher = top[rows].scatter_reduce(1, where, logits, "amax")
            shift = higher.masked_fill(higher == -math.inf, 0.0)
            weights = logits.sub_(shift.gather(1, where)).exp_()
            shrunk = total[rows] * (top[rows] - shift).exp_()
            total[rows] = shrunk.scatter_add_(1, where, weights)
            top[rows] = higher
    nothing = total == 0
    logs = total.masked_fill(nothing, 1.0).log_() + top.masked_fill(nothing, 0.0)
    return logs.masked_fill_(nothing, -math.inf)
