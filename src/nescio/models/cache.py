"""Key-value memory of many contexts: columns are only ever appended, never changed.

A context is a stretch of columns in one row of a store. Extending exactly the rows of
a store appends to it in place; anything else (a fork, a rewind, a subset) gathers the
stretches into a new store, each row's past ending in the same column. Old contexts
stay valid, because the columns they point to never change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nescio.errors import InvalidInput

if TYPE_CHECKING:
    import torch

__all__ = ["CachedContext", "Store", "aligned"]


@dataclass(eq=False)
class Store:
    """The caches of one batch, layer by layer, and how many columns they have."""

    cache: Any
    rows: int
    columns: int


@dataclass(frozen=True, eq=False)
class CachedContext:
    """Tokens read so far: ``length`` columns of one row of a store from ``begin``."""

    store: Store | None = None
    row: int = 0
    begin: int = 0
    length: int = 0

    def rewind(self, length: int) -> CachedContext:
        """The context as it was after its first ``length`` tokens."""
        if not 0 <= length <= self.length:
            raise InvalidInput(
                f"a context of {self.length} tokens cannot be rewound to {length}"
            )
        return CachedContext(self.store, self.row, self.begin, length)


def aligned(contexts: Sequence[CachedContext]) -> Store | None:
    """A store whose rows are these contexts, each ending in its last column.

    None if nothing was read yet by any of them.
    """
    first = contexts[0].store
    if first is not None and _is_tip(first, contexts):
        return first
    columns = max(context.length for context in contexts)
    return None if columns == 0 else _gathered(contexts, columns)


def _is_tip(store: Store, contexts: Sequence[CachedContext]) -> bool:
    """Whether appending in place is right; an interrupted step left a longer layer."""
    whole = all(layer.keys.shape[2] == store.columns for layer in store.cache.layers)
    return (
        whole
        and len(contexts) == store.rows
        and all(
            context.store is store
            and context.row == row
            and context.begin + context.length == store.columns
            for row, context in enumerate(contexts)
        )
    )


def _gathered(contexts: Sequence[CachedContext], columns: int) -> Store:
    from transformers.cache_utils import DynamicCache

    filled = next(c.store for c in contexts if c.store is not None)
    cache = DynamicCache()
    for number, layer in enumerate(filled.cache.layers):
        keys = _stacked(contexts, columns, number=number, name="keys", like=layer.keys)
        values = _stacked(
            contexts, columns, number=number, name="values", like=layer.values
        )
        cache.update(keys, values, number)
    return Store(cache, len(contexts), columns)


def _stacked(
    contexts: Sequence[CachedContext],
    columns: int,
    *,
    number: int,
    name: str,
    like: torch.Tensor,
) -> torch.Tensor:
    heads, width = like.shape[1], like.shape[3]
    stacked = like.new_zeros((len(contexts), heads, columns, width))
    for row, context in enumerate(contexts):
        if context.store is not None and context.length:
            layer = getattr(context.store.cache.layers[number], name)
            past = layer[context.row, :, context.begin : context.begin + context.length]
            stacked[row, :, columns - context.length :] = past
    return stacked
