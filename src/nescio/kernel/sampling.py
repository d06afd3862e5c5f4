"""How a token is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nescio.errors import InvalidInput

__all__ = ["Sampling"]


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn; the default draws from the model as it is.

    Attributes:
        temperature: logits are divided by it; 0 is greedy, equal logits by lower id.
        top_k: keeps exactly the k most probable tokens, equal ones by lower id.
        top_p: keeps the fewest most probable tokens whose mass reaches it, in (0, 1].
        min_p: keeps tokens with p >= min_p * max p, in [0, 1].
        typical_p: keeps the fewest tokens of surprisal nearest the entropy whose mass
            reaches it, in (0, 1].

    Raises:
        InvalidInput: a value out of its range.

    Example:
        >>> Sampling(temperature=0.7, top_p=0.9).top_p
        0.9

    Source: top-p, Holtzman et al. (2020); typical, Meister et al. (2023); min-p,
    Nguyen et al. (2024).
    """

    temperature: float | int = 1.0
    top_k: int | None = None
    top_p: float | int | None = None
    min_p: float | int | None = None
    typical_p: float | int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise InvalidInput(
                f"temperature is {self.temperature}: give a finite number, 0 for greedy"
            )
        if self.top_k is not None and self.top_k < 1:
            raise InvalidInput(f"top_k is {self.top_k}: give at least 1, or None")
        for name, value in (("top_p", self.top_p), ("typical_p", self.typical_p)):
            if value is not None and not 0 < value <= 1:
                raise InvalidInput(f"{name} is {value}: give a mass in (0, 1], or None")
        if self.min_p is not None and not 0 <= self.min_p <= 1:
            raise InvalidInput(
                f"min_p is {self.min_p}: give a share of the largest probability "
                "in [0, 1], or None"
            )
