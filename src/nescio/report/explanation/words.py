"""What an explanation is, how it is printed, and how its numbers are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.outcome import Estimate, Recipe
from nescio.units import NATS_PER

__all__ = [
    "Explanation",
    "Numbers",
    "Scale",
    "explanation_text",
    "first_of",
    "paired",
    "shown",
    "sum_of",
    "sum_text",
]

Numbers = Sequence[float] | Sequence[int]
"""What a person typed."""

_MOST = 10  # terms that are written out


@dataclass(frozen=True)
class Explanation:
    """What a measure says, how it is computed, and what it comes to.

    Args:
        estimate: the number, exact.
        meaning: what it says, in a sentence.
        formula: in symbols.
        steps: the same with the numbers in it, line by line.
        notes: what to compare it with, and slips that are easily made.
    """

    estimate: Estimate
    meaning: str
    formula: str
    steps: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON values: one estimate, and the words as an item."""
        words = {
            "name": self.estimate.name,
            "meaning": self.meaning,
            "formula": self.formula,
            "steps": list(self.steps),
            "notes": list(self.notes),
        }
        return {
            "estimates": {self.estimate.name: self.estimate.to_dict()},
            "items": [words],
        }


def explanation_text(explanation: Explanation) -> str:
    """The explanation for a terminal; every line stands by itself.

    Example:
        >>> from nescio.report.explanation import explain_entropy
        >>> print(explanation_text(explain_entropy([0.5, 0.5], unit="bits")))
        entropy: how unsure a distribution leaves you, its mean surprisal
        <BLANKLINE>
          H(p) = -Σ p log₂ p
        <BLANKLINE>
          -0.5 · log₂ 0.5 = 0.5 · 1.0000 = 0.5000
          -0.5 · log₂ 0.5 = 0.5 · 1.0000 = 0.5000
          H(p) = 0.5000 + 0.5000 = 1.0000 bits
        <BLANKLINE>
        At most log₂ 2 = 1.0000 bits, where all are equally likely.
        As unsure as a fair choice among 2^1.0000 = 2.000 outcomes.
    """
    name = explanation.estimate.name.replace("_", " ")
    parts = [
        [f"{name}: {explanation.meaning}"],
        [f"  {explanation.formula}"],
        [f"  {step}" for step in explanation.steps],
        list(explanation.notes),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


@dataclass(frozen=True)
class Scale:
    """The unit people read."""

    unit: str

    @property
    def nats(self) -> float:
        """How many nats one holds."""
        return NATS_PER[self.unit]

    @property
    def log(self) -> str:
        """The logarithm that gives it, as it is written."""
        return "log₂" if self.unit == "bits" else "ln"

    @property
    def base(self) -> str:
        """The base of that logarithm."""
        return "2" if self.unit == "bits" else "e"

    def of(self, nats: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Nats in this unit."""
        return nats / self.nats

    def exact(
        self,
        name: str,
        nats: float,
        *,
        n: int,
        given: dict[str, Any],
        source: str,
    ) -> Estimate:
        """The number for these numbers, nothing estimated."""
        recipe = Recipe(name, given, (source,))
        made = Estimate(name, nats, "nats", n, "exact", "these numbers", recipe)
        return made.to(self.unit)


def paired(ones: np.ndarray, others: np.ndarray) -> list[tuple[float, float]]:
    """Numbers of two rows, two by two."""
    return list(zip(ones.tolist(), others.tolist(), strict=True))


def first_of(lines: Sequence[str]) -> list[str]:
    """The lines, or the first of them and how many more there are."""
    if len(lines) <= _MOST:
        return list(lines)
    return [*lines[: _MOST - 1], f"… and {len(lines) - _MOST + 1} more"]


def sum_text(terms: Sequence[float]) -> str:
    """Numbers as a sum; the middle of a long one is left out."""
    return sum_of(["0" if term == 0.0 else shown(term) for term in terms])


def sum_of(terms: Sequence[str]) -> str:
    """The same of terms that are written already."""
    if len(terms) > _MOST:
        terms = [*terms[:3], "…", terms[-1]]
    return " + ".join(terms).replace(" + -", " - ")


def shown(number: float) -> str:
    """Four decimals, or the sign of infinity."""
    if math.isinf(number):
        return "∞" if number > 0 else "-∞"
    return f"{number:.4f}"
