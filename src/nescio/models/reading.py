"""What every engine refuses to read, and rows of a head that are no token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Int

from nescio.errors import ContextOverflow, InvalidInput

if TYPE_CHECKING:
    from nescio.models.protocol import Context
    from nescio.models.vocabulary import Vocabulary

__all__ = ["check_runs", "padded_rows"]


def check_runs(
    model: Any,
    contexts: Sequence[Context],
    tokens: Sequence[Int[np.ndarray, " _"]],
) -> None:
    """Refuse runs that cannot be read into these contexts.

    Raises:
        InvalidInput: not one run each, an empty one, or an id beyond the vocabulary.
        ContextOverflow: more tokens than the model can see.
    """
    if not tokens or len(contexts) != len(tokens):
        raise InvalidInput(
            f"{len(tokens)} token runs for {len(contexts)} contexts: "
            "one each, and at least one"
        )
    if not all(map(len, tokens)):
        raise InvalidInput("an empty token run; read at least one token")
    together, size = np.concatenate(tokens), model.vocabulary.size
    low, high = int(together.min()), int(together.max())
    if low < 0 or high >= size:
        raise InvalidInput(
            f"token ids {low}…{high} are outside the vocabulary of {size}"
        )
    longest = max(
        context.length + len(run) for context, run in zip(contexts, tokens, strict=True)
    )
    if model.context_length is not None and longest > model.context_length:
        raise ContextOverflow(
            f"{longest} tokens are more than the {model.context_length} that "
            f"{model.name} can see"
        )


def padded_rows(vocabulary: Vocabulary) -> Bool[np.ndarray, " vocab"]:
    """Rows of the head that are no token; they are given probability 0."""
    labels = vocabulary.labels
    names = (labels.get(token) == f"<pad:{token}>" for token in range(vocabulary.size))
    return np.fromiter(names, dtype=np.bool_, count=vocabulary.size)
