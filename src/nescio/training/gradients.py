"""Gradients of hidden rows and of a head, gathered tile by tile."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nescio.training.tiles import HeadOf, Tile

__all__ = ["HeadGradients"]


class HeadGradients:
    """What is asked for of hidden, weight and bias, in the width they have.

    Sums run in the width that is reckoned in: of the hidden rows as a whole, of the
    head for the tokens of one tile.
    """

    def __init__(self, head: HeadOf, asked: Sequence[bool]) -> None:
        self._head = head
        bias = head.bias if asked[2] else None
        self._asked = (asked[0], asked[1], bias is not None)
        self._hidden = torch.zeros_like(head.hidden, dtype=head.dtype)
        self._weight = torch.empty_like(head.weight) if asked[1] else None
        self._bias = None if bias is None else torch.empty_like(bias)
        self._tile: Tensor | None = None
        self._tile_bias: Tensor | None = None

    def add(self, rows: slice, tile: Tile, gradient: Tensor, hidden: Tensor) -> None:
        """A tile's gradient of hidden·weightᵀ + bias, [rows, tokens]."""
        if self._asked[0]:
            self._hidden[rows].addmm_(gradient, tile.weight)
        if self._asked[1]:
            if self._tile is None:
                self._tile = gradient.T @ hidden
            else:
                self._tile.addmm_(gradient.T, hidden)
        if self._asked[2]:
            part = gradient.sum(0)
            self._tile_bias = (
                part if self._tile_bias is None else self._tile_bias.add_(part)
            )

    def end_tile(self, tokens: slice) -> None:
        """All rows of these tokens were added."""
        if self._weight is not None and self._tile is not None:
            self._weight[tokens] = self._tile
        if self._bias is not None and self._tile_bias is not None:
            self._bias[tokens] = self._tile_bias
        self._tile = self._tile_bias = None

    def found(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """The gradients of hidden, weight and bias."""
        hidden = self._hidden.to(self._head.hidden.dtype) if self._asked[0] else None
        return hidden, self._weight, self._bias
