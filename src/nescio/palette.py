"""One scale of colour for every picture: from paper to ochre, safe for all eyes.

The scale varies lightness along a single hue, so it reads the same with any colour
vision and in grey; text on it keeps a contrast of at least 4.5 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["FULL_SCALE_NATS", "INK", "PAPER", "Shade", "shade"]

PAPER = (252, 251, 248)
INK = (28, 36, 41)
_STOPS = np.array(
    [PAPER, (251, 236, 214), (245, 205, 158), (228, 158, 92), (201, 117, 51)],
    dtype=np.float64,
)
FULL_SCALE_NATS = 12.0 * math.log(2.0)
"""Where the scale ends unless told: 12 bits, a surprise of one in 4,096."""


@dataclass(frozen=True)
class Shade:
    """A background colour, with what HTML and a terminal call it."""

    red: int
    green: int
    blue: int

    @property
    def css(self) -> str:
        """The style attribute's text."""
        return f"background:#{self.red:02x}{self.green:02x}{self.blue:02x}"

    @property
    def ansi(self) -> str:
        """The style's name for rich: dark text on this background."""
        ink = f"rgb({INK[0]},{INK[1]},{INK[2]})"
        return f"{ink} on rgb({self.red},{self.green},{self.blue})"


def shade(value: float | np.floating, *, top: float = FULL_SCALE_NATS) -> Shade:
    """The colour of a value between 0 (paper) and ``top`` or more (full ochre).

    NaN, an absent value, is paper.

    Example:
        >>> shade(0.0).css
        'background:#fcfbf8'
        >>> shade(float("inf")) == shade(FULL_SCALE_NATS)
        True
    """
    number = float(value)
    level = 0.0 if math.isnan(number) else min(max(number / top, 0.0), 1.0)
    position = level * (len(_STOPS) - 1)
    below = min(int(position), len(_STOPS) - 2)
    mixed = _STOPS[below] + (position - below) * (_STOPS[below + 1] - _STOPS[below])
    return Shade(*(round(channel) for channel in mixed.tolist()))
