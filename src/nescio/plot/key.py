"""The key of a chart: what each line, dot, bar and band in it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nescio.errors import InvalidInput
from nescio.plot.colours import INK_HEX
from nescio.plot.svg import element, escape, number, text_width

__all__ = ["DASHES", "LOOKS", "ROW", "Entry", "key", "key_rows"]

ROW = 19
"""The height of a row of the key, pixels."""
_SIZE, _SWATCH, _GAP = 12, 22, 18
_WIDER = 0.15
"""By how much some sans faces are wider than the estimate: room to the right edge."""
DASHES = {
    "dashes": "5 3",
    "dots": "2 3",
    "dash-dot": "9 3 2 3",
    "long dashes": "14 4",
}
"""Lengths of strokes and gaps, by name, each apart from the others without colour."""
LOOKS = ("line", *DASHES, "dot", "area", "bar")


@dataclass(frozen=True)
class Entry:
    """A name and the look of what it names; the look tells apart without colour.

    Args:
        name: as it is written.
        look: one of `LOOKS`.
        colour: an SVG colour.
        style: class names, for pages that restyle it.

    Raises:
        InvalidInput: an unknown look.
    """

    name: str
    look: str
    colour: str
    style: str = ""

    def __post_init__(self) -> None:
        if self.look not in LOOKS:
            raise InvalidInput(f"look is {self.look!r}: one of {LOOKS}")


def key_rows(entries: Sequence[Entry], width: float | int) -> int:
    """How many rows the key takes in a chart of this width."""
    return 1 + _places(entries, width)[-1][1] if entries else 0


def key(entries: Sequence[Entry], width: float | int) -> str:
    """A swatch and a name for each entry, in rows from the top.

    Example:
        >>> "accuracy" in key([Entry("accuracy", "dot", "#1f5f86")], 300)
        True
    """
    drawn = []
    for entry, (x, row) in zip(entries, _places(entries, width), strict=True):
        y = 14 + row * ROW
        text = element(
            "text",
            escape(entry.name),
            x=x + _SWATCH + 6,
            y=y,
            fill=INK_HEX,
            class_="ink",
        )
        drawn.append(element("g", _swatch(entry, x, y - 4) + text, class_="entry"))
    return element("g", "".join(drawn), class_="legend")


def _swatch(entry: Entry, x: float | int, y: float | int) -> str:
    style = f"sample {entry.style}".strip()
    if entry.look == "dot":
        where = {"cx": x + _SWATCH / 2, "cy": y}
        return element("circle", r=4, fill=entry.colour, class_=style, **where)
    if entry.look in ("area", "bar"):
        tall = 12 if entry.look == "area" else 9
        place = {"x": x, "y": y - tall / 2, "width": _SWATCH, "height": tall}
        return element("rect", fill=entry.colour, class_=style, **place)
    pattern = DASHES.get(entry.look)
    dashes = {"stroke_dasharray": pattern} if pattern else {}
    return element(
        "path",
        d=f"M{number(x)} {number(y)}h{_SWATCH}",
        fill="none",
        stroke=entry.colour,
        stroke_width=2,
        class_=style,
        **dashes,
    )


def _places(entries: Sequence[Entry], width: float | int) -> list[tuple[float, int]]:
    places, x, row = [], 4.0, 0
    for entry in entries:
        text = text_width(entry.name, size=_SIZE)
        needed = _SWATCH + 6 + text
        if x > 4.0 and x + needed + _WIDER * text > width:
            x, row = 4.0, row + 1
        places.append((x, row))
        x += needed + _GAP
    return places
