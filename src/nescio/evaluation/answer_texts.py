"""Hidden states of whole texts, for heads that read more than the answer's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from nescio.errors import InvalidInput

__all__ = ["TextStates"]


@dataclass(frozen=True, eq=False)
class TextStates:
    """The hidden states of texts, one after the other, and which of them answer.

    Args:
        states: of every token that was kept, [tokens, width].
        offsets: where each text begins, and the end, [texts + 1].
        rows: which state is each answer's own, [n].
        before: how many tokens before an answer were kept at most; None: all.

    Raises:
        InvalidInput: offsets that do not cover the states in order, a text without a
            state, a row outside, a state that is not finite, a ``before`` below 0.

    Example:
        >>> states = np.zeros((5, 2), dtype=np.float32)
        >>> two = TextStates(states, np.array([0, 2, 5]), np.array([1, 4]))
        >>> two.text.tolist(), two.place.tolist()
        ([0, 1], [1, 2])
    """

    states: Float32[np.ndarray, "tokens width"]
    offsets: Int64[np.ndarray, " ends"]
    rows: Int64[np.ndarray, " n"]
    before: int | None = None

    def __post_init__(self) -> None:
        ends, tokens = self.offsets, len(self.states)
        if (
            len(ends) < 2
            or ends[0] != 0
            or ends[-1] != tokens
            or (ends[1:] <= ends[:-1]).any()
        ):
            raise InvalidInput(
                f"offsets of {len(ends) - 1} texts do not cover {tokens} states in "
                "order: begin with 0, end with their number, and let each text have one"
            )
        outside = (self.rows < 0) | (self.rows >= tokens)
        if outside.any():
            raise InvalidInput(
                f"row {self.rows[outside][0]} is not one of the {tokens} states"
            )
        odd = np.flatnonzero(~np.isfinite(self.states).all(axis=1))
        if len(odd):
            raise InvalidInput(
                f"state {odd[0]} of the texts holds NaN or infinity: read it again in "
                "a wider precision"
            )
        if self.before is not None and self.before < 0:
            raise InvalidInput(f"before is {self.before}: at least 0, or None for all")
        for name in ("states", "offsets", "rows"):
            frozen = np.array(getattr(self, name))
            frozen.setflags(write=False)
            object.__setattr__(self, name, frozen)

    @property
    def text(self) -> Int64[np.ndarray, " n"]:
        """The text that each answer stands in."""
        return np.searchsorted(self.offsets, self.rows, side="right") - 1

    @property
    def place(self) -> Int64[np.ndarray, " n"]:
        """How many states of its text stand before each answer's own."""
        return self.rows - self.offsets[self.text]
