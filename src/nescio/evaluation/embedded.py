"""How alike two texts are by their vectors, as a similarity like any other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidInput
from nescio.models.embedding import Embeds

__all__ = ["EmbeddedSimilarity"]


class EmbeddedSimilarity:
    """(1 + cos)/2 of the vectors of two texts, in [0, 1]; a text has one vector.

    Args:
        encoder: what turns texts into vectors.

    Example:
        >>> class Letters:
        ...     name, settings = "letters", {}
        ...     def vectors(self, texts):
        ...         return np.array([["a" in t, "b" in t] for t in texts], dtype=float)
        >>> alike = EmbeddedSimilarity(Letters())
        >>> alike.__qualname__, alike("a", "b"), alike("a", "aa")
        ('embedding letters', 0.5, 1.0)
    """

    def __init__(self, encoder: Embeds) -> None:
        self.encoder = encoder
        self.__qualname__ = f"embedding {encoder.name}"
        self._known: dict[str, np.ndarray] = {}

    def prepare(self, texts: Sequence[str]) -> None:
        """Read many texts at a time, which is faster than two by two.

        Raises:
            InvalidInput: a vector that is zero or not finite.
        """
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if not new:
            return
        vectors = self.encoder.vectors(new).astype(np.float64)
        sizes = np.linalg.norm(vectors, axis=1)
        wrong = np.flatnonzero(~(np.isfinite(sizes) & (sizes > 0.0)))
        if len(wrong):
            raise InvalidInput(
                f"the embedding of {new[int(wrong[0])]!r:.60} is zero or not finite: "
                "it has no direction"
            )
        self._known.update(zip(new, vectors / sizes[:, None], strict=True))

    def matrix(self, texts: Sequence[str]) -> Float[np.ndarray, "n n"]:
        """How alike every two of some texts are; they are read together.

        Raises:
            InvalidInput: as `prepare`.
        """
        self.prepare(texts)
        vectors = np.stack([self._known[text] for text in texts])
        found = np.clip((1.0 + vectors @ vectors.T) / 2.0, 0.0, 1.0)
        np.fill_diagonal(found, 1.0)
        return found

    def __call__(self, one: str, other: str) -> float:
        """How alike the two are."""
        if one == other:
            return 1.0
        self.prepare([one, other])
        cosine = float(self._known[one] @ self._known[other])
        return min(1.0, max(0.0, (1.0 + cosine) / 2.0))
