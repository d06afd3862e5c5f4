"""The colours of pages and pictures by day and by night, all readable on paper."""

from __future__ import annotations

import math

from nescio.palette import FULL_SCALE_NATS, INK, PAPER, Shade, shade

__all__ = [
    "ALARM",
    "BAND",
    "BAND_EDGE",
    "DARK",
    "GRID",
    "INK_HEX",
    "LEVELS",
    "LIGHT",
    "LINES",
    "MUTED",
    "PAPER_HEX",
    "dark_shade",
    "level",
    "level_shade",
]


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


PAPER_HEX, INK_HEX = _hex(PAPER), _hex(INK)
MUTED, GRID, ALARM = "#5a646b", "#e4e0d6", "#a8322a"
BAND, BAND_EDGE = "#dfe8ec", "#7f9dac"
LINES = ("#1f5f86", "#9a4f14", "#4a6b3a", "#6b4a86")
"""Lines tell apart by lightness as well as by hue: blue, ochre, green, violet."""

LIGHT = {
    "paper": PAPER_HEX,
    "ink": INK_HEX,
    "muted": MUTED,
    "grid": GRID,
    "surprisal": LINES[1],
    "entropy": LINES[0],
    "surprisal-raw": "#dfb58c",
    "entropy-raw": "#a3c0d1",
    "band": BAND,
    "band-edge": BAND_EDGE,
    "alarm": ALARM,
    "raised": "#ffffff",
}
DARK = {
    "paper": "#171a1c",
    "ink": "#e6e2d9",
    "muted": "#a0a6a8",
    "grid": "#33383b",
    "surprisal": "#e0a267",
    "entropy": "#7fb4d3",
    "surprisal-raw": "#6d4c2e",
    "entropy-raw": "#35566a",
    "band": "#26343c",
    "band-edge": "#5c7987",
    "alarm": "#f08a80",
    "raised": "#1f2326",
}

LEVELS = 48
"""How many steps of shade a page has: a quarter of a bit each."""
_DARK_STOPS = ((23, 26, 28), (52, 42, 32), (82, 57, 32), (116, 70, 30), (146, 80, 28))


def level(nats: float | None) -> int | None:
    """The step of shade of a value, 0 to `LEVELS`; None where it is absent.

    Example:
        >>> level(0.0), level(math.log(2)), level(math.inf), level(None)
        (0, 4, 48, None)
    """
    if nats is None or math.isnan(nats):
        return None
    return round(min(max(nats / FULL_SCALE_NATS, 0.0), 1.0) * LEVELS)


def level_shade(step: int) -> Shade:
    """The colour of a step on paper, for dark text."""
    return shade(step / LEVELS * FULL_SCALE_NATS)


def dark_shade(step: int) -> Shade:
    """The colour of a step by night, for light text: the same order, the same hue."""
    position = step / LEVELS * (len(_DARK_STOPS) - 1)
    below = min(int(position), len(_DARK_STOPS) - 2)
    share = position - below
    pairs = zip(_DARK_STOPS[below], _DARK_STOPS[below + 1], strict=True)
    return Shade(*(round(a + share * (b - a)) for a, b in pairs))
