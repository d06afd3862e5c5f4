"""What agreement-based search is asked for, where it begins, and what it finds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidInput

__all__ = ["Agreed", "Agreement", "Opened"]

_SUMS = ("mean", "sum")


@dataclass(frozen=True)
class Agreement:
    """How texts are searched that the members agree on.

    Args:
        width: how many hypotheses go on, and how many finished ones end the search.
        weights: of the members, at least 0; None: equal. They are scaled to sum to 1,
            and a member of weight 0 is never run.
        max_tokens: the most tokens any member may write.
        scored: how hypotheses that go on are compared. ``mean``, as published: Σ w ·
            log-probability / (own tokens before the step + 1), also of those that
            wait; ``sum``: Σ w · log-probability.
        ranked: how finished ones are; ``sum``, as published, or ``mean``.
        early: whether hypotheses are given up that cannot come before the best finished
            one any more, as published; then the list may be shorter than ``width``. Has
            no effect on the ranking ``mean``, which may still rise.

    Raises:
        InvalidInput: a width or length below 1, weights or options that are none.

    Example:
        >>> Agreement(3, weights=(1, 3)).width
        3
    """

    width: int = 5
    weights: tuple[float | int, ...] | None = None
    max_tokens: int = 256
    scored: str = "mean"
    ranked: str = "sum"
    early: bool = True

    def __post_init__(self) -> None:
        for name in ("width", "max_tokens"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}: at least 1")
        for name in ("scored", "ranked"):
            if getattr(self, name) not in _SUMS:
                raise InvalidInput(
                    f"{name} is {getattr(self, name)!r}: choose one of {_SUMS}"
                )
        given = self.weights
        if given is None:
            return
        if not all(math.isfinite(w) and w >= 0 for w in given) or sum(given) == 0:
            raise InvalidInput(
                f"weights {given}: each is at least 0, and not all of them are"
            )

    def shares(self, members: int) -> tuple[float, ...]:
        """Weights that sum to 1.

        Raises:
            InvalidInput: weights for another number of members.
        """
        given = (1.0,) * members if self.weights is None else self.weights
        if len(given) != members or not members:
            raise InvalidInput(f"{len(given)} weights for {members} members")
        return tuple(float(weight) / sum(given) for weight in given)


@dataclass(frozen=True, eq=False)
class Opened:
    """Where a member begins.

    Args:
        context: what it has read: its prompt, its source text.
        logits: what comes next, [vocab].
        written: the beginning of the answer that the context holds already. Members may
            have different ones (a space that one prompt ends with), if each of them
            begins the longest.
    """

    context: Any
    logits: Float[np.ndarray, " vocab"]
    written: bytes = b""


@dataclass(frozen=True, eq=False)
class Agreed:
    """A finished hypothesis.

    Args:
        members: the numbers of the models that wrote it, those of some weight; all
            that follows is in their order.
        texts: what each has written; the same for all if it ended.
        tokens: of each, the end token included.
        logp: log-probability of each one's tokens, nats.
        score: by which it was chosen last.
        total: Σ w · logp, nats.
        stalled: for each step which of them waited.
        stop: ``eos``, or ``length`` where one of them had no room for more.
    """

    members: tuple[int, ...]
    texts: tuple[bytes, ...]
    tokens: tuple[tuple[int, ...], ...]
    logp: tuple[float, ...]
    score: float
    total: float
    stalled: tuple[tuple[bool, ...], ...]
    stop: Literal["eos", "length"]

    @property
    def buffer(self) -> bytes:
        """What the longest member has written."""
        return max(self.texts, key=len)

    @property
    def text(self) -> str:
        """The same as text; what is no UTF-8 becomes a replacement character."""
        return self.buffer.decode("utf-8", "replace")
