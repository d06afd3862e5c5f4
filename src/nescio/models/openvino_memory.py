"""Key-value memory in blocks: contexts share what they have in common.

A context is a list of blocks and a length. Tokens are written behind the last one, in
place, where nobody wrote before; where somebody did (a fork, a rewind), the last block
is copied as far as it is shared. So contexts are values, a fork costs at most one
block, and a block is free again as soon as no context holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int

from nescio.errors import InvalidInput
from nescio.models.openvino_runtime import LayerShape, openvino

__all__ = ["Block", "Memory", "PagedContext"]

_FIRST_BLOCKS = 32
_TYPES = {"f32": np.float32, "bf16": np.uint16}
"""NumPy has no bfloat16: its bits are kept as integers, and only ever copied."""


class Block:
    """One block of the memory; back among the free ones when nobody holds it.

    Args:
        index: its place in the memory.
        free: the places that are free.
    """

    __slots__ = ("_free", "filled", "index")

    def __init__(self, index: int, free: list[int]) -> None:
        self.index, self._free = index, free
        self.filled = 0

    def __del__(self) -> None:
        self._free.append(self.index)


@dataclass(frozen=True, eq=False)
class PagedContext:
    """Tokens read so far: the first ``length`` places of some blocks.

    Args:
        length: how many tokens were read.
        blocks: where their keys and values are.
        indices: the places of these blocks.
        memory: whose blocks they are; None before anything was read.
    """

    length: int = 0
    blocks: tuple[Block, ...] = ()
    indices: Int[np.ndarray, " blocks"] = field(
        default_factory=lambda: np.zeros(0, dtype=np.int32)
    )
    memory: Memory | None = field(default=None, repr=False)

    def rewind(self, length: int) -> PagedContext:
        """The context as it was after its first ``length`` tokens."""
        if not 0 <= length <= self.length:
            raise InvalidInput(
                f"a context of {self.length} tokens cannot be rewound to {length}"
            )
        if self.memory is None or length == 0:
            return PagedContext()
        held = -(-length // self.memory.block_size)
        return PagedContext(
            length, self.blocks[:held], self.indices[:held], self.memory
        )


class Memory:
    """The keys and values of every layer, [blocks, heads, block size, width] each.

    Args:
        layers: the shape of each.
        block_size: how many tokens a block holds.
        kind: f32 or bf16.
    """

    def __init__(
        self, layers: Sequence[LayerShape], *, block_size: int, kind: str
    ) -> None:
        self.block_size = block_size
        self._shapes = [(s.heads, block_size, s.key) for s in layers]
        self._shapes += [(s.heads, block_size, s.value) for s in layers]
        self._names = [f"key_cache.{n}" for n in range(len(layers))]
        self._names += [f"value_cache.{n}" for n in range(len(layers))]
        self._kind = kind
        self._allocate(_FIRST_BLOCKS)

    @property
    def blocks_held(self) -> int:
        """How many blocks are in use."""
        return self.capacity - len(self._free)

    def reserve(self, context: PagedContext, count: int) -> PagedContext:
        """The context with room for ``count`` more tokens, which it counts as read.

        Nothing of the given context, nor of any other, will be overwritten.
        """
        blocks, indices = context.blocks, context.indices
        used = context.length % self.block_size
        if used and blocks[-1].filled != used:
            copy = self._copied(blocks[-1], used)
            blocks = (*blocks[:-1], copy)
            indices = indices.copy()
            indices[-1] = copy.index
        length = context.length + count
        missing = -(-length // self.block_size) - len(blocks)
        if missing > 0:
            fresh = [self._taken() for _ in range(missing)]
            if blocks:
                blocks[-1].filled = self.block_size
            for block in fresh[:-1]:
                block.filled = self.block_size
            blocks = (*blocks, *fresh)
            indices = np.append(indices, [b.index for b in fresh]).astype(np.int32)
        blocks[-1].filled = length - (len(blocks) - 1) * self.block_size
        return PagedContext(length, blocks, indices, self)

    def bind(self, request: Any) -> None:
        """Show a request where the memory is, if it has moved since."""
        if self._bound is not request:
            for name, tensor in zip(self._names, self._tensors, strict=True):
                request.set_tensor(name, tensor)
            self._bound = request

    def settle(self, needed: int) -> None:
        """Give back what an earlier, larger task needed, once nothing is in use."""
        blocks = max(_FIRST_BLOCKS, -(-needed // self.block_size))
        if self.blocks_held == 0 and self.capacity > 4 * blocks:
            self._allocate(blocks)

    def _allocate(self, capacity: int) -> None:
        ov, kept = openvino(), getattr(self, "_arrays", None)
        grown = [np.zeros((capacity, *s), _TYPES[self._kind]) for s in self._shapes]
        first = 0
        if kept is not None and (first := self.capacity) < capacity:
            for new, old in zip(grown, kept, strict=True):
                new[:first] = old
            self._free.extend(range(capacity - 1, first - 1, -1))
        else:
            self._free = list(range(capacity - 1, -1, -1))
        kind = getattr(ov.Type, self._kind)
        self.capacity, self._arrays, self._bound = capacity, grown, None
        self._tensors = [ov.Tensor(a, ov.Shape(a.shape), kind) for a in grown]

    def _taken(self) -> Block:
        if not self._free:
            self._allocate(2 * self.capacity)
        return Block(self._free.pop(), self._free)

    def _copied(self, block: Block, used: int) -> Block:
        copy = self._taken()
        for array in self._arrays:
            array[copy.index, :, :used] = array[block.index, :, :used]
        copy.filled = used
        return copy
