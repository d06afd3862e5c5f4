"""Logits a tile at a time: from hidden rows and a head, never the whole [rows, vocab].

A tile is some rows by some tokens. What is kept of a row is a running logsumexp and
sums under it; a tile is made once more for the backward pass and thrown away again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from nescio.errors import InvalidDistribution, InvalidInput
from nescio.training.divergences import vocabulary_mask
from nescio.training.refusals import check_positive, place, widened

__all__ = [
    "HeadOf",
    "HiddenRows",
    "Running",
    "Tiling",
    "blocks",
    "head_of",
    "project",
    "reckoned_in",
]


@dataclass(frozen=True)
class Tiling:
    """How large a tile is; neither value nor gradient depends on it.

    Args:
        rows, vocabulary: rows and tokens of a tile, at least 1. A few tiles of floats
            are held at once: 4 MiB each as given here.

    Raises:
        InvalidInput: a number below 1.

    Example:
        >>> Tiling(rows=0)
        Traceback (most recent call last):
        nescio.errors.InvalidInput: rows is 0: a tile has at least 1
    """

    rows: int = 256
    vocabulary: int = 4096

    def __post_init__(self) -> None:
        for name in ("rows", "vocabulary"):
            if getattr(self, name) < 1:
                raise InvalidInput(
                    f"{name} is {getattr(self, name)}: a tile has at least 1"
                )


@dataclass(frozen=True, eq=False)
class HiddenRows:
    """Hidden rows and the head that makes logits of them.

    logits = cap·tanh((hidden·weightᵀ + bias)·scale / cap), without what is not given:
    as architectures with a logit scale or a final soft-cap have it.

    Args:
        hidden: final, normed hidden rows, [..., width].
        weight: of the head, [vocab, width].
        bias: of the head, [vocab]; -inf excludes a token.
        scale: what logits are multiplied by, before the soft-cap.
        soft_cap: above 0; None for none.
        vocabulary: booleans, [vocab]: True where a token may come at all, as against
            rows that pad the head.

    Raises:
        InvalidInput: shapes that disagree, no floats, a scale or cap that is none, a
            vocabulary without a token.

    Example:
        >>> rows = HiddenRows(torch.ones(2, 3), torch.eye(4, 3), soft_cap=30.0)
        >>> tuple(project(rows).shape)
        (2, 4)
    """

    hidden: Shaped[Tensor, "..."]
    weight: Shaped[Tensor, "..."]
    bias: Shaped[Tensor, "..."] | None = None
    scale: float | int = 1.0
    soft_cap: float | int | None = None
    vocabulary: Shaped[Tensor, "..."] | None = None

    def __post_init__(self) -> None:
        for name in ("hidden", "weight", "bias"):
            if (given := getattr(self, name)) is not None:
                widened(name, given[:1])
        hidden, weight = tuple(self.hidden.shape), tuple(self.weight.shape)
        if len(weight) != 2 or len(hidden) < 2 or hidden[-1] != weight[1]:
            raise InvalidInput(
                f"hidden has shape {hidden}, weight {weight}: give [..., width] and "
                "[vocab, width]"
            )
        if self.bias is not None and tuple(self.bias.shape) != weight[:1]:
            raise InvalidInput(
                f"bias has shape {tuple(self.bias.shape)}: give [{weight[0]}]"
            )
        if not math.isfinite(self.scale) or self.scale == 0:
            raise InvalidInput(f"scale is {self.scale}: give a finite number but 0")
        if self.soft_cap is not None:
            check_positive("soft_cap", self.soft_cap)
        if self.vocabulary is not None:
            vocabulary_mask(self.vocabulary, weight[0])
            if not bool(self.vocabulary.any()):
                raise InvalidInput("vocabulary allows no token at all")


def project(rows: HiddenRows) -> Float[Tensor, "*rows vocab"]:
    """All logits at once, [..., vocab]: the plain form, to compare with or when small.

    Returns:
        float32 or float64; -inf for tokens that ``vocabulary`` excludes.

    Example:
        >>> project(HiddenRows(torch.ones(1, 2), torch.eye(2), scale=3)).tolist()
        [[3.0, 3.0]]
    """
    logits = _wide(rows.hidden) @ _wide(rows.weight).T
    if rows.bias is not None:
        logits = logits + rows.bias
    logits = logits * rows.scale
    if rows.soft_cap is not None:
        logits = rows.soft_cap * torch.tanh(logits / rows.soft_cap)
    if rows.vocabulary is not None:
        logits = logits.masked_fill(~rows.vocabulary, -math.inf)
    return logits


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


@dataclass(frozen=True, eq=False)
class HeadOf:
    """A head within a backward-capable function: the tensors, and what is fixed.

    ``dtype`` is what is reckoned in.
    """

    hidden: Tensor
    weight: Tensor
    bias: Tensor | None
    scale: float
    soft_cap: float | None
    allowed: Tensor | None
    dtype: torch.dtype

    def tile(self, tokens: slice) -> Tile:
        """The head's part for some tokens, widened once for all rows."""
        bias = None if self.bias is None else self.bias[tokens].to(self.dtype)
        excluded = None if self.allowed is None else ~self.allowed[tokens]
        return Tile(self, self.weight[tokens].to(self.dtype), bias, excluded)


@dataclass(frozen=True, eq=False)
class Tile:
    """Some tokens of a head."""

    head: HeadOf
    weight: Tensor
    bias: Tensor | None
    excluded: Tensor | None

    def logits(self, hidden: Tensor) -> Tensor:
        """[rows, tokens], a buffer of its own, excluded tokens not yet taken out."""
        found = hidden @ self.weight.T
        if self.bias is not None:
            found += self.bias
        if self.head.scale != 1.0:
            found *= self.head.scale
        if (cap := self.head.soft_cap) is not None:
            found.div_(cap).tanh_().mul_(cap)
        return found

    def exclude(self, logits: Tensor) -> Tensor:
        """The same buffer with -inf where a token may not come."""
        if self.excluded is not None:
            logits.masked_fill_(self.excluded, -math.inf)
        return logits

    def back(self, gradient: Tensor, logits: Tensor) -> Tensor:
        """The gradient of hidden·weightᵀ + bias from that of the logits, in place.

        ``logits`` are those before exclusion, and are used up.
        """
        if (cap := self.head.soft_cap) is not None:
            slope = logits.div_(cap).square_().neg_().add_(1.0)
            gradient.mul_(slope)
        if self.excluded is not None:
            gradient.masked_fill_(self.excluded, 0.0)
        return gradient.mul_(self.head.scale) if self.head.scale != 1.0 else gradient


def head_of(
    rows: HiddenRows,
    kept: Shaped[Tensor, "..."],
    dtype: torch.dtype,
    *,
    also: Shaped[Tensor, "..."] | None = None,
) -> HeadOf:
    """The rows that count, and -inf in a bias made part of the vocabulary.

    ``also``: booleans, [vocab]: what is further asked of a token that may come.
    """
    allowed, bias = rows.vocabulary, rows.bias
    if also is not None:
        allowed = also if allowed is None else allowed & also
    if bias is not None and bool((excluded := bias == -math.inf).any()):
        allowed = ~excluded if allowed is None else allowed & ~excluded
        bias = bias.masked_fill(excluded, 0.0)
    if allowed is not None and not bool(allowed.any()):
        raise InvalidDistribution("bias and vocabulary allow no token at all")
    cap = None if rows.soft_cap is None else float(rows.soft_cap)
    hidden = rows.hidden[kept]
    return HeadOf(hidden, rows.weight, bias, float(rows.scale), cap, allowed, dtype)


def reckoned_in(rows: HiddenRows) -> torch.dtype:
    """float64 if the rows or the head are, else float32."""
    both = torch.promote_types(rows.hidden.dtype, rows.weight.dtype)
    return both if both == torch.float64 else torch.float32


class Running:
    """A logsumexp of every row that grows by tiles, and a sum under its weights."""

    def __init__(self, rows: int, like: Tensor) -> None:
        self.top = like.new_full((rows,), -math.inf)
        self.total = like.new_zeros(rows)
        self.sum = like.new_zeros(rows)

    def add(self, where: slice, logits: Tensor, values: Tensor | None = None) -> None:
        """A tile more; ``values`` [rows, tokens] is used up."""
        top = torch.maximum(self.top[where], logits.amax(1))
        shift = top.masked_fill(top == -math.inf, 0.0)
        shrunk = (self.top[where] - shift).exp()
        weights = (logits - shift[:, None]).exp_()
        self.total[where] = self.total[where] * shrunk + weights.sum(1)
        if values is not None:
            values.mul_(weights).masked_fill_(weights == 0, 0.0)
            self.sum[where] = self.sum[where] * shrunk + values.sum(1)
        self.top[where] = top

    def logp(self, where: slice, logits: Tensor) -> Tensor:
        """log-probabilities of a tile in a new buffer; (x - max) - log Σ, in order."""
        top, total = self.top[where], self.total[where]
        return (logits - top[:, None]).sub_(total.log()[:, None])

    def mean(self) -> Tensor:
        """The mean of the values under the softmax."""
        return self.sum / self.total

    def check(self, name: str) -> None:
        """Refuse rows that are no distribution."""
        broken = ~self.top.isfinite() | ~self.total.isfinite()
        if bool(broken.any()):
            raise InvalidDistribution(
                f"{name}: row {place(broken)} of those that count holds NaN or +inf, "
                "or -inf alone: there is no distribution in it"
            )


def blocks(total: int, size: int) -> Iterator[slice]:
    """Slices of at most ``size``."""
    for begin in range(0, total, size):
        yield slice(begin, min(begin + size, total))
