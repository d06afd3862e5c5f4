"""A model that stands before another one and answers for it.

For what looks on while a model works, or remembers what it said: `Delegating` hands
every question through, and a subclass takes those of which it has something to say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int

from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin, Prompt

__all__ = ["Delegating"]


class Delegating:
    """All but the steps of ``model``: Tokenized and Templated as that one is.

    Args:
        model: Tokenized; whether it has a template it need not say.

    Example:
        >>> import nescio
        >>> class Watched(Delegating):
        ...     def __init__(self, model):
        ...         self.model = model
        >>> watched = Watched(nescio.load("table:coin"))
        >>> watched.name, watched.encode(b"HT").tolist(), watched.has_template
        ('table:coin', [0, 1], False)
    """

    model: Any

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    @property
    def origin(self) -> Origin:
        """The model's."""
        return self.model.origin

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's."""
        return self.model.vocabulary

    @property
    def context_length(self) -> int | None:
        """The model's."""
        return self.model.context_length

    @property
    def start(self) -> tuple[int, ...]:
        """The model's."""
        return self.model.start

    @property
    def has_template(self) -> bool:
        """Whether the model has a chat template."""
        return bool(getattr(self.model, "has_template", False))

    def render(self, prompt: Prompt) -> Any:
        """As the model does."""
        return self.model.render(prompt)

    def encode(self, text: bytes) -> Int[np.ndarray, " n"]:
        """As the model does."""
        return self.model.encode(text)

    def open(self) -> Any:
        """The model's context before anything was read."""
        return self.model.open()
