"""Two models on the same text: how far apart, where, and how sure that is.

The first model is the reference: everything is said of the other against it.
"""

from __future__ import annotations

from nescio.comparison.comparing import Comparison, compare
from nescio.comparison.texts import Compared, Side, Stretches

__all__ = ["Compared", "Comparison", "Side", "Stretches", "compare"]
