"""The legend of the shades: which colour means how many bits."""

from __future__ import annotations

from nescio.palette import FULL_SCALE_NATS
from nescio.plot.colours import GRID, INK_HEX, LEVELS, level_shade
from nescio.plot.scale import Scale, tick_labels, ticks
from nescio.plot.svg import SANS, document, element, escape
from nescio.units import convert_factor

__all__ = ["scale_bar"]

_HEIGHT, _MARGIN, _BAR = 34, 10, 12


def scale_bar(*, unit: str = "bits", width: float | int = 300) -> str:
    """A bar of all shades with numbers below; the last one means "or more".

    Args:
        unit: ``"bits"`` or ``"nats"``.
        width: in pixels.

    Raises:
        InvalidInput: another unit.

    Example:
        >>> scale_bar().startswith("<svg")
        True
    """
    top = FULL_SCALE_NATS * convert_factor("nats", to=unit)
    across = Scale(0.0, top, start=_MARGIN, end=width - 4 * _MARGIN)
    values = ticks(0.0, top, count=6)
    names = list(tick_labels(values))
    if values[-1] > top - 1e-9:
        names[-1] += "+"
    unit_name = element(
        "text", escape(unit), x=across.end + 10, y=10, fill=INK_HEX, class_="ink"
    )
    return document(
        element("g", _cells(across) + _outline(across), shape_rendering="crispEdges")
        + "".join(_tick(across(v), n) for v, n in zip(values, names, strict=True))
        + unit_name,
        width=width,
        height=_HEIGHT,
        label=f"shades from 0 to {top:.1f} {unit} and more",
        class_="scale-bar",
        font_family=SANS,
        font_size=11,
    )


def _cells(across: Scale) -> str:
    step = (across.end - across.start) / LEVELS
    return "".join(
        element(
            "rect",
            x=across.start + (index - 0.5) * step,
            y=0,
            width=step + 0.3,
            height=_BAR,
            fill=level_shade(index).css.removeprefix("background:"),
            class_=f"k{index}",
        )
        for index in range(LEVELS + 1)
    )


def _outline(across: Scale) -> str:
    half = (across.end - across.start) / LEVELS / 2
    width = across.end - across.start + 2 * half
    place = {"x": across.start - half, "y": 0.5, "width": width, "height": _BAR - 1}
    return element("rect", fill="none", stroke=GRID, class_="grid", **place)


def _tick(x: float, name: str) -> str:
    mark = element("path", d=f"M{x:.1f} {_BAR}v4", stroke=INK_HEX, class_="tick")
    return mark + element(
        "text",
        escape(name),
        x=x,
        y=28,
        text_anchor="middle",
        fill=INK_HEX,
        class_="ink",
    )
