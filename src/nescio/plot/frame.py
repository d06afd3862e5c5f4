"""The frame of a chart: margins, grid, ticks, axis names and the legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nescio.errors import InvalidInput
from nescio.plot.colours import GRID, INK_HEX, MUTED
from nescio.plot.scale import Scale, enclosing_ticks, tick_labels, ticks
from nescio.plot.svg import element, escape, number, text_width

__all__ = ["Frame", "axes", "legend", "legend_rows", "plan"]

_ROW, _SIZE, _BELOW, _RIGHT = 19, 12, 42, 14
_SMALLEST_WIDTH, _SMALLEST_HEIGHT = 160, 120


@dataclass(frozen=True)
class Frame:
    """Where data meets pixels; ``y.start`` is the bottom edge, ``y.end`` the top."""

    x: Scale
    y: Scale
    x_ticks: tuple[float, ...]
    y_ticks: tuple[float, ...]

    @property
    def columns(self) -> int:
        """How many pixel columns there are."""
        return max(1, round(self.x.end - self.x.start))

    @property
    def data(self) -> dict[str, str]:
        """The attributes that let a script find a value's pixel."""
        edges = (self.x.start, self.y.end, self.x.end, self.y.start)
        return {
            "data_plot": " ".join(number(edge) for edge in edges),
            "data_x": f"{self.x.low:.12g} {self.x.high:.12g}",
            "data_y": f"{self.y.low:.12g} {self.y.high:.12g}",
        }


def plan(
    size: tuple[float | int, float | int],
    *,
    x: tuple[float, ...],
    y: tuple[float, ...],
    whole: bool,
    top_rows: int,
) -> Frame:
    """Scales and ticks for data of these extents.

    Args:
        size: width and height in pixels.
        x, y: lowest and highest value.
        whole: whether x counts something.
        top_rows: how many rows the legend takes.

    Raises:
        InvalidInput: too small to read, or an extent that is not finite.
    """
    width, height = float(size[0]), float(size[1])
    top = 10 + _ROW * (top_rows + 1)
    least = max(_SMALLEST_HEIGHT, top + _BELOW + 40)
    if not (width >= _SMALLEST_WIDTH and height >= least):
        raise InvalidInput(
            f"a chart of {width:g} by {height:g} pixels is too small to read: "
            f"make it at least {_SMALLEST_WIDTH} by {least}"
        )
    count = max(2, int((height - top - _BELOW) / 42))
    y_ticks = enclosing_ticks(y[0], y[1], count=count)
    left = 14 + max(text_width(label, size=_SIZE) for label in tick_labels(y_ticks))
    if x[0] == x[1]:
        x = (x[0] - 0.5, x[1] + 0.5)
    across = Scale(x[0], x[1], start=left, end=width - _RIGHT)
    marks = max(2, int((across.end - across.start) / 80))
    return Frame(
        across,
        Scale(y_ticks[0], y_ticks[-1], start=height - _BELOW, end=top),
        ticks(x[0], x[1], count=marks, whole=whole),
        y_ticks,
    )


def axes(frame: Frame, *, x_label: str, y_label: str) -> str:
    """Grid lines, tick labels and what the axes show."""
    left, right = frame.x.start, frame.x.end
    parts = []
    for value, label in zip(frame.y_ticks, tick_labels(frame.y_ticks), strict=True):
        y = frame.y(value)
        parts.append(_stroke(f"M{number(left)} {number(y)}H{number(right)}"))
        parts.append(_words(label, left - 7, y + 4, anchor="end"))
    base = frame.y.start
    for value, label in zip(frame.x_ticks, tick_labels(frame.x_ticks), strict=True):
        x = frame.x(value)
        parts.append(_stroke(f"M{number(x)} {number(base)}v5"))
        parts.append(_words(label, x, base + 18, anchor="middle"))
    zero = frame.y(0.0) if frame.y.low <= 0.0 <= frame.y.high else base
    parts.append(
        element(
            "path",
            d=f"M{number(left)} {number(zero)}H{number(right)}",
            stroke=MUTED,
            class_="axis",
        )
    )
    parts.append(_words(x_label, (left + right) / 2, base + 35, anchor="middle"))
    parts.append(_words(y_label, 4, frame.y.end - 10, anchor="start"))
    return element("g", "".join(parts), class_="axes")


def legend_rows(entries: Sequence[tuple[str, ...]], width: float | int) -> int:
    """How many rows the legend takes in a chart of this width."""
    return 1 + _places(entries, width)[-1][1] if entries else 0


def legend(entries: Sequence[tuple[str, ...]], width: float | int) -> str:
    """A swatch and a name for each entry (name, colour, stroke width, class)."""
    drawn = []
    places = _places(entries, width)
    for (name, colour, stroke, style), (x, row) in zip(entries, places, strict=True):
        y = 14 + row * _ROW
        swatch = element(
            "path",
            d=f"M{number(x)} {y - 4}h18",
            stroke=colour,
            stroke_width=stroke,
            class_=f"swatch {style}".strip(),
        )
        text = element("text", escape(name), x=x + 24, y=y, fill=INK_HEX, class_="ink")
        drawn.append(element("g", swatch + text, class_="entry"))
    return element("g", "".join(drawn), class_="legend")


def _places(
    entries: Sequence[tuple[str, ...]], width: float | int
) -> list[tuple[float, int]]:
    places, x, row = [], 4.0, 0
    for name, *_ in entries:
        needed = 24 + text_width(name, size=_SIZE)
        if x > 4.0 and x + needed > width:
            x, row = 4.0, row + 1
        places.append((x, row))
        x += needed + 18
    return places


def _stroke(path: str) -> str:
    return element("path", d=path, stroke=GRID, class_="grid")


def _words(text: str, x: float | int, y: float | int, *, anchor: str) -> str:
    return element(
        "text", escape(text), x=x, y=y, text_anchor=anchor, fill=MUTED, class_="muted"
    )
