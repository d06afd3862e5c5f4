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

__all__ = ["check_blocks", "check_runs", "padded_rows"]


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
    if together.dtype.kind not in "iu":
        raise InvalidInput(f"token ids are {together.dtype}: whole numbers are needed")
    kind = type(model.open())
    for context in contexts:
        if not isinstance(context, kind):
            raise InvalidInput(
                f"a {type(context).__name__} is no context of {model.name}: read the "
                "tokens anew with this model"
            )
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


def check_blocks(
    sequences: Sequence[Int[np.ndarray, " _"]], skip: Sequence[int], rows: int
) -> None:
    """Refuse what cannot be cut into blocks of logits.

    Raises:
        InvalidInput: ``rows`` below 1, or not one ``skip`` of 0 or more a sequence.
    """
    if rows < 1:
        raise InvalidInput(f"rows is {rows}: a block has at least 1")
    if len(skip) != len(sequences) or any(first < 0 for first in skip):
        raise InvalidInput(
            f"skip is {list(skip)[:8]} for {len(sequences)} sequences: one number "
            "of 0 or more each"
        )


def padded_rows(vocabulary: Vocabulary) -> Bool[np.ndarray, " vocab"]:
    """Rows of the head that are no token; they are given probability 0."""
    labels = vocabulary.labels
    names = (labels.get(token) == f"<pad:{token}>" for token in range(vocabulary.size))
    return np.fromiter(names, dtype=np.bool_, count=vocabulary.size)
