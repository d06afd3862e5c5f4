"""Curves over a straight or logarithmic x, with bands and the places of their minima.

`line_chart` is for what runs along a text; this is for what a number does as something
is turned: bins, a temperature, the share of questions that are answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidInput
from nescio.plot.colours import LINES
from nescio.plot.key import DASHES, ROW, Entry, key, key_rows
from nescio.plot.panel import (
    SIZE,
    Axis,
    Panel,
    axis_drawn,
    clipped,
    left_margin,
    straight_axis,
)
from nescio.plot.svg import SANS, document, element, escape, number, text_width

__all__ = ["Curve", "Place", "curve_chart"]

_BELOW, _RIGHT, _SMALLEST = 44, 16, (200, 160)
_LINE = {"fill": "none", "stroke_linejoin": "round", "stroke_linecap": "round"}


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve, and a band around it where how far it may be off is known.

    Args:
        name: for the key.
        x: where, rising.
        y: its values; NaN breaks the curve, what lies beyond the axis is cut off.
        low, high: the limits of the band, or None.
        colour: an SVG colour.
        style: class names, for pages that restyle it.
        dashed: whether it is drawn in dashes, to be told apart without colour; or in
            which, by a name of `DASHES`.
        dots: whether each value has a dot.

    Raises:
        InvalidInput: x that is not finite or falls, lengths that disagree, one limit,
            unknown dashes.
    """

    name: str
    x: Float[np.ndarray, " n"]
    y: Float[np.ndarray, " also_n"]
    low: Float[np.ndarray, " lows"] | None = None
    high: Float[np.ndarray, " highs"] | None = None
    colour: str = LINES[0]
    style: str = "entropy"
    dashed: bool | str = False
    dots: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.dashed, bool) and self.dashed not in DASHES:
            raise InvalidInput(
                f"{self.name!r} is drawn in {self.dashed!r}: one of {list(DASHES)}"
            )
        if (self.low is None) != (self.high is None):
            raise InvalidInput(f"{self.name!r} has one limit; give both or none")
        for column in (self.y, self.low, self.high):
            if column is not None and len(column) != len(self.x):
                raise InvalidInput(
                    f"{self.name!r} has {len(self.x)} x for {len(column)} values"
                )
        if not np.isfinite(self.x).all() or (np.diff(self.x) < 0).any():
            raise InvalidInput(f"the x of {self.name!r} are finite and do not fall")


@dataclass(frozen=True)
class Place:
    """A place on x that was found, with its limits: a line up, a bar at its foot.

    Args:
        x: where; finite.
        label: a few words at its top.
        low, high: limits, or None for both.
        row: at which height the words stand, 0 the highest.
        colour, style, dashed: as of a curve.
    """

    x: float | int
    label: str
    low: float | int | None = None
    high: float | int | None = None
    row: int = 0
    colour: str = LINES[0]
    style: str = "entropy"
    dashed: bool = False


def curve_chart(
    curves: Sequence[Curve],
    *,
    x: Axis,
    y: str | Axis,
    size: tuple[float | int, float | int],
    places: Sequence[Place] = (),
    described: str | None = None,
) -> str:
    """An SVG document: curves in a panel with a key above.

    Each x of the first curve has an invisible strip, class ``hit``, that a script or a
    pointer finds; ``data-row`` counts them from 0.

    Args:
        curves: at least one with a finite value.
        x: the axis along the bottom.
        y: the axis up the left, or its label: it then holds 0 and all values.
        size: width and height in pixels, at least 200 by 160.
        places: drawn above all curves.
        described: for screen readers; None: ``y by x``.

    Raises:
        InvalidInput: nothing to draw, a place that is not finite, too small a chart.

    Example:
        >>> from nescio.plot.panel import straight_axis
        >>> error = Curve("error", np.array([1.0, 2.0]), np.array([0.5, 0.1]))
        >>> svg = curve_chart([error], x=straight_axis("bins", 1, 2), y="error",
        ...                   size=(300, 200))
        >>> svg.count('class="hit"')
        2
    """
    _check(curves, places, size)
    up = y if isinstance(y, Axis) else _fitting(y, curves, size[1])
    entries = _entries(curves)
    width, height = size
    panel = Panel(
        x,
        up,
        left=left_margin(up),
        top=17 + ROW * (key_rows(entries, width) + 1),
        right=width - _RIGHT,
        bottom=height - _BELOW,
    )
    drawn = "".join(_band(panel, one) for one in curves)
    drawn += "".join(_curve(panel, one) for one in reversed(curves))
    return document(
        axis_drawn(panel)
        + clipped(panel, drawn + "".join(_foot(panel, one) for one in places))
        + "".join(_words(panel, one, _on_the_left(one, places)) for one in places)
        + _hits(panel, curves[0].x)
        + key(entries, width),
        width=width,
        height=height,
        label=f"{up.label} by {x.label}" if described is None else described,
        class_="chart",
        font_family=SANS,
        font_size=SIZE,
        **panel.data,
    )


def _check(
    curves: Sequence[Curve],
    places: Sequence[Place],
    size: tuple[float | int, float | int],
) -> None:
    if not any(np.isfinite(one.y).any() for one in curves):
        raise InvalidInput("no curve with a finite number: there is nothing to draw")
    for place in places:
        given = (place.x, place.low, place.high)
        if not all(np.isfinite(one) for one in given if one is not None):
            raise InvalidInput(f"place {place.label!r} is at {given}, not all finite")
    if size[0] < _SMALLEST[0] or size[1] < _SMALLEST[1]:
        raise InvalidInput(
            f"a chart of {size[0]:g} by {size[1]:g} pixels is too small to read: at "
            f"least {_SMALLEST[0]} by {_SMALLEST[1]}"
        )


def _fitting(label: str, curves: Sequence[Curve], height: float | int) -> Axis:
    """An axis that holds 0 and every finite value."""
    columns = [c for one in curves for c in (one.y, one.low, one.high) if c is not None]
    values = np.concatenate([*columns, np.zeros(1)])
    held = values[np.isfinite(values)]
    low, high = float(held.min()), float(held.max())
    count = max(2, int((height - _BELOW - 3 * ROW) / 42))
    return straight_axis(label, low, high, count=count, enclosing=True)


def _entries(curves: Sequence[Curve]) -> list[Entry]:
    return [
        Entry(
            one.name,
            _look(one),
            one.colour,
            f"line {one.style}".strip(),
        )
        for one in curves
        if one.name
    ]


def _look(one: Curve) -> str:
    if isinstance(one.dashed, bool):
        return "dashes" if one.dashed else "line"
    return one.dashed


def _band(panel: Panel, one: Curve) -> str:
    if one.low is None or one.high is None:
        return ""
    x, low, high = panel.across(one.x), panel.up(one.low), panel.up(one.high)
    path = "".join(
        f"M{_points(x[run], low[run])} L{_points(x[run][::-1], high[run][::-1])}z"
        for run in _runs(~(np.isnan(low) | np.isnan(high)))
    )
    style = f"around {one.style}".strip()
    return element("path", d=path, fill=one.colour, fill_opacity=0.16, class_=style)


def _curve(panel: Panel, one: Curve) -> str:
    x, y = panel.across(one.x), panel.up(one.y)
    runs = _runs(~np.isnan(y))
    path = "".join(
        f"M{_points(x[run], y[run])}" + ("h0" if len(run) == 1 else "") for run in runs
    )
    pattern, line = DASHES.get(_look(one)), dict(_LINE)
    if pattern:  # round ends would fill the gaps
        line |= {"stroke_linecap": "butt", "stroke_dasharray": pattern}
    drawn = element(
        "path",
        d=path,
        stroke=one.colour,
        stroke_width=2,
        class_=f"line {one.style}".strip(),
        **line,
    )
    if not one.dots:
        return drawn
    held = np.flatnonzero(~np.isnan(y))
    return drawn + "".join(
        element("circle", cx=x[i], cy=y[i], r=3, fill=one.colour, class_=one.style)
        for i in held
    )


def _runs(there: np.ndarray) -> list[np.ndarray]:
    """Unbroken runs of indices at which something is there."""
    pieces = np.split(np.arange(len(there)), np.flatnonzero(~there))
    kept = (piece[there[piece]] for piece in pieces)
    return [run for run in kept if len(run)]


def _points(x: np.ndarray, y: np.ndarray) -> str:
    return " ".join(f"{number(a)} {number(b)}" for a, b in zip(x, y, strict=True))


def _foot(panel: Panel, place: Place) -> str:
    """A line up from the axis, and a thick bar for its limits at the foot."""
    given = [place.x, place.low, place.high]
    x, low, high = panel.across(
        np.array([place.x if one is None else one for one in given], np.float64)
    ).tolist()
    top = panel.top + 17 * (place.row + 1)
    dashes = {"stroke_dasharray": "5 3"} if place.dashed else {}
    line = element(
        "path",
        d=f"M{number(x)} {number(panel.bottom)}V{number(top)}",
        fill="none",
        stroke=place.colour,
        stroke_width=1.5,
        class_=f"place {place.style}".strip(),
        **dashes,
    )
    if place.low is None:
        return line
    y = panel.bottom - 5 - 8 * place.row
    bar = f"M{number(low)} {number(y)}H{number(high)}M{number(low)} {number(y - 4)}v8"
    return line + element(
        "path",
        d=f"{bar}M{number(high)} {number(y - 4)}v8",
        fill="none",
        stroke=place.colour,
        stroke_width=3,
        class_=f"limits {place.style}".strip(),
    )


def _on_the_left(place: Place, places: Sequence[Place]) -> bool:
    """Of two places the lower has its words on the left: no line runs through them."""
    return len(places) > 1 and place.x < max(one.x for one in places)


def _words(panel: Panel, place: Place, left: bool) -> str:
    x = float(panel.across(np.array([place.x], np.float64))[0])
    x = min(max(x, panel.left), panel.right)
    wide = text_width(place.label, size=SIZE)
    beyond = x + 6 + wide > panel.right
    ends = x - 6 - wide >= panel.left if left else beyond
    return element(
        "text",
        escape(place.label),
        x=max(x - 6, panel.left + wide) if ends else x + 6,
        y=panel.top + 17 * place.row + 12,
        text_anchor="end" if ends else "start",
        fill=place.colour,
        font_weight=600,
        class_=f"words {place.style}".strip(),
    )


def _hits(panel: Panel, x: np.ndarray) -> str:
    """A strip for each x that reaches halfway to its neighbours."""
    places = np.clip(panel.across(x), panel.left, panel.right)
    edges = np.concatenate(
        [[panel.left], (places[1:] + places[:-1]) / 2, [panel.right]]
    )
    return "".join(
        element(
            "rect",
            x=start,
            y=panel.top,
            width=max(end - start, 0.01),
            height=panel.bottom - panel.top,
            fill="none",
            pointer_events="all",
            class_="hit",
            data_row=str(row),
        )
        for row, (start, end) in enumerate(pairwise(edges.tolist()))
    )
