"""One line chart for everything that runs along a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import InvalidInput
from nescio.plot.colours import ALARM, BAND, BAND_EDGE, LINES
from nescio.plot.frame import Frame, axes, legend, legend_rows, plan
from nescio.plot.svg import SANS, document, element, escape, number
from nescio.plot.thinning import columns_of, extremes

__all__ = ["Band", "Marker", "Series", "line_chart"]

_LINE = {"fill": "none", "stroke_linejoin": "round", "stroke_linecap": "round"}


@dataclass(frozen=True, eq=False)
class Series:
    """One line.

    Args:
        name: for the legend; empty to leave it out there.
        y: its values; NaN breaks the line, infinities are clipped and marked.
        x: where, rising; None for 0, 1, 2, ...
        colour: an SVG colour, or None for the next of ours.
        width: of the stroke in pixels.
        style: class names, for pages that restyle the line.
    """

    name: str
    y: Float[np.ndarray, " n"]
    x: Float[np.ndarray, " positions"] | Int[np.ndarray, " positions"] | None = None
    colour: str | None = None
    width: float | int = 1.5
    style: str = ""


@dataclass(frozen=True, eq=False)
class Band:
    """A shaded stretch between two limits: numbers, or one pair for each x.

    NaN in either limit leaves a gap; infinite limits reach the chart's edge and have
    no line there: the band is open.
    """

    name: str
    low: float | int | Float[np.ndarray, " lows"]
    high: float | int | Float[np.ndarray, " highs"]
    x: Float[np.ndarray, " positions"] | Int[np.ndarray, " positions"] | None = None
    colour: str = BAND
    style: str = ""


@dataclass(frozen=True)
class Marker:
    """A dashed vertical line at x with a few words, e.g. an alarm."""

    x: float | int
    label: str


def line_chart(  # noqa: PLR0913 - axes are named and sized where the chart is asked for
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    width: float | int,
    height: float | int,
    band: Band | None = None,
    markers: Sequence[Marker] | None = None,
) -> str:
    """An SVG document: lines over axes that hold 0, with ticks, units and a legend.

    Long lines are thinned to the lowest and highest value of each pixel column. The
    root element says where data meets pixels: ``data-plot`` (left, top, right,
    bottom), ``data-x`` and ``data-y`` (lowest and highest value on that axis).

    Args:
        series: at least one line with at least one number that is not NaN. The first
            is drawn first, under the others.
        x_label, y_label: what the axes show, the unit included.
        width, height: in pixels, at least 160 by 120.
        band: drawn below all lines.
        markers: drawn above all lines.

    Raises:
        InvalidInput: nothing to draw, x that is not finite or falls, lengths that
            disagree, or a chart too small to read.

    Example:
        >>> entropy = Series("entropy", np.array([1.0, 2.0, np.nan, 0.5]))
        >>> svg = line_chart([entropy], x_label="token", y_label="bits",
        ...                  width=400, height=200)
        >>> 'data-y="0 2"' in svg
        True
    """
    lines = [_points(one.name, one.x, one.y) for one in series]
    limits = [] if band is None else _limits(band, lines)
    marked = tuple(markers or ())
    _check_drawable(lines, marked)
    entries = _entries(series, band)
    frame = plan(
        (width, height),
        x=_extent([x for x, _ in lines], [marker.x for marker in marked]),
        y=_extent([y for _, y in lines] + [y for _, y in limits], [0.0]),
        whole=all(one.x is None or one.x.dtype.kind == "i" for one in series),
        top_rows=legend_rows(entries, width),
    )
    drawn = [axes(frame, x_label=x_label, y_label=y_label)]
    if band is not None:
        drawn.append(_area(frame, band, limits))
    for index, (one, (x, y)) in enumerate(zip(series, lines, strict=True)):
        drawn.append(_line(frame, one, x, y, colour=_colour(one, index)))
    drawn += [_edge(frame, x, y) for x, y in limits]
    drawn += [_marker(frame, marker) for marker in marked]
    drawn.append(legend(entries, width))
    return document(
        "".join(drawn),
        width=width,
        height=height,
        label=f"{y_label} by {x_label}",
        class_="chart",
        font_family=SANS,
        font_size=12,
        **frame.data,
    )


def _points(
    name: str, x: np.ndarray | None, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    across = np.arange(len(y)) if x is None else x
    if len(across) != len(y):
        raise InvalidInput(f"{name!r} has {len(across)} x for {len(y)} values")
    across = across.astype(np.float64)
    if not np.isfinite(across).all() or (np.diff(across) < 0).any():
        raise InvalidInput(f"the x of {name!r} have to be finite and may not fall")
    return across, y.astype(np.float64)


def _limits(
    band: Band, lines: list[tuple[np.ndarray, np.ndarray]]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The band's lower and upper line."""
    low, high = np.asarray(band.low, np.float64), np.asarray(band.high, np.float64)
    if low.ndim == high.ndim == 0:
        if np.isnan(low) or np.isnan(high):
            raise InvalidInput(f"limits of band {band.name!r} are {low} and {high}")
        every = np.concatenate([np.zeros(0), *(x for x, _ in lines)])
        across = np.array([every.min(), every.max()]) if len(every) else np.zeros(2)
        return [(across, np.full(2, low)), (across, np.full(2, high))]
    if low.ndim == high.ndim and len(low) != len(high):
        raise InvalidInput(
            f"band {band.name!r} has {len(low)} lower and {len(high)} upper limits"
        )
    low, high = np.broadcast_arrays(low, high)
    return [_points(band.name, band.x, low), _points(band.name, band.x, high)]


def _check_drawable(
    lines: list[tuple[np.ndarray, np.ndarray]], markers: Sequence[Marker]
) -> None:
    if not lines or all(np.isnan(y).all() for _, y in lines):
        raise InvalidInput("no series with a number in it: there is nothing to draw")
    for marker in markers:
        if not np.isfinite(marker.x):
            raise InvalidInput(f"marker {marker.label!r} is at x = {marker.x}")


def _extent(arrays: list[np.ndarray], also: Sequence[float | int]) -> tuple[float, ...]:
    every = np.concatenate([*arrays, np.asarray(also, dtype=np.float64)])
    finite = every[np.isfinite(every)]
    return float(finite.min()), float(finite.max())


def _entries(series: Sequence[Series], band: Band | None) -> list[tuple[str, ...]]:
    """Name, colour, stroke width and class of each entry of the legend."""
    entries = [
        (one.name, _colour(one, index), number(max(one.width, 1.5)), one.style)
        for index, one in enumerate(series)
        if one.name
    ]
    if band is not None and band.name:
        entries.append((band.name, band.colour, "9", band.style))
    return entries


def _colour(one: Series, index: int) -> str:
    return one.colour or LINES[index % len(LINES)]


def _line(
    frame: Frame, one: Series, x: np.ndarray, y: np.ndarray, *, colour: str
) -> str:
    if np.isnan(y).all():
        return ""
    across, up = frame.x.pixels(x), frame.y.pixels(y)
    runs = extremes(across, up, columns=frame.columns)
    path = "".join(_run(across[run], up[run]) for run in runs)
    line = element(
        "path",
        d=path,
        stroke=colour,
        stroke_width=one.width,
        class_=f"line {one.style}".strip(),
        **_LINE,
    )
    return line + _clipped(frame, across, y, colour=colour, style=one.style)


def _run(x: np.ndarray, y: np.ndarray) -> str:
    if len(x) == 1:
        return f"M{number(x[0])} {number(y[0])}h0"
    pairs = (f"{number(a)} {number(b)}" for a, b in zip(x, y, strict=True))
    return f"M{' '.join(pairs)}"


def _clipped(
    frame: Frame, x: np.ndarray, y: np.ndarray, *, colour: str, style: str
) -> str:
    """A triangle at the edge wherever an infinite value was cut off there."""
    marks = ""
    for sign, edge in ((1.0, frame.y.end), (-1.0, frame.y.start)):
        places = np.unique(x[y == sign * np.inf].round())
        marks += "".join(
            f"M{number(place)} {number(edge - 5 * sign)}l-4 {number(7 * sign)}h8z"
            for place in places
        )
    if not marks:
        return ""
    return element("path", d=marks, fill=colour, class_=f"infinite {style}".strip())


def _area(frame: Frame, band: Band, limits: list[tuple[np.ndarray, np.ndarray]]) -> str:
    x = frame.x.pixels(limits[0][0])
    low, high = (frame.y.pixels(y) for _, y in limits)
    absent = np.isnan(low) | np.isnan(high)
    if absent.all():
        return ""
    if len(x) > 2 * frame.columns:
        x, low, high, absent = _columns(frame, x, low, high)
    pieces = np.split(np.arange(len(x)), np.flatnonzero(absent))
    kept = (piece[~absent[piece]] for piece in pieces)
    path = "".join(_outline(x[p], low[p], high[p]) for p in kept if len(p))
    return element(
        "path", d=path, fill=band.colour, class_=f"band {band.style}".strip()
    )


def _outline(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> str:
    """Along the lower limit and back along the upper; a single place is 2 wide."""
    if len(x) == 1:
        x, low, high = x + np.array([-1.0, 1.0]), np.repeat(low, 2), np.repeat(high, 2)
    return f"{_run(x, low)} L{_run(x[::-1], high[::-1])[1:]}z"


def _edge(frame: Frame, x: np.ndarray, y: np.ndarray) -> str:
    """A dashed line at a limit of the band, so that dense lines do not hide it."""
    across = frame.x.pixels(x)
    up = np.where(np.isinf(y), np.nan, frame.y.pixels(y))
    runs = extremes(across, up, columns=frame.columns)
    path = "".join(_run(across[run], up[run]) for run in runs)
    if not path:
        return ""
    edge = {"stroke": BAND_EDGE, "stroke_dasharray": "3 3", "class_": "band-edge"}
    return element("path", d=path, fill="none", **edge)


def _columns(
    frame: Frame, x: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, ...]:
    """The band's outline by pixel column (pixels count downwards)."""
    column = columns_of(x, columns=frame.columns)
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    lows = np.fmax.reduceat(low, starts)
    highs = np.fmin.reduceat(high, starts)
    return x[starts], lows, highs, np.isnan(lows) | np.isnan(highs)


def _marker(frame: Frame, marker: Marker) -> str:
    x = frame.x(marker.x)
    right = x > (frame.x.start + frame.x.end) / 2
    return element(
        "path",
        d=f"M{number(x)} {number(frame.y.start)}V{number(frame.y.end)}",
        stroke=ALARM,
        stroke_width=1.5,
        stroke_dasharray="4 3",
        class_="marker",
    ) + element(
        "text",
        escape(marker.label),
        x=x - 6 if right else x + 6,
        y=frame.y.end + 12,
        text_anchor="end" if right else "start",
        fill=ALARM,
        font_weight="600",
        class_="marker-label",
    )
