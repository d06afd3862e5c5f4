"""Colours of a comparison: ochre where the second model does worse, blue where better.

Both run from paper, so that they differ in hue and, from each other's end, are told
apart with any colour vision; text on them keeps a contrast of 4.5 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from nescio.palette import PAPER
from nescio.plot import Scale, tick_labels, ticks
from nescio.plot.colours import GRID, INK_HEX, LEVELS, level_shade
from nescio.plot.svg import SANS, document, element, escape

__all__ = ["blue", "compare_rules", "full_scale", "legend_bar", "step"]

_BLUE = (PAPER, (228, 237, 242), (192, 214, 227), (149, 184, 206), (104, 152, 184))
_BLUE_DARK = ((23, 26, 28), (27, 40, 50), (31, 55, 72), (36, 73, 98), (40, 91, 124))
_WIDTH, _HEIGHT, _MARGIN, _BAR = 300, 34, 14, 12
_BY = ("kl", "difference", "delta")


def blue(level: int, *, dark: bool = False) -> str:
    """The colour of a step from 0, paper, to `LEVELS`.

    Example:
        >>> blue(0), blue(48)
        ('#fcfbf8', '#6898b8')
    """
    stops = _BLUE_DARK if dark else _BLUE
    place = level / LEVELS * (len(stops) - 1)
    below = min(int(place), len(stops) - 2)
    mixed = (
        round(a + (place - below) * (b - a))
        for a, b in zip(stops[below], stops[below + 1], strict=True)
    )
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def full_scale(values: Float[np.ndarray, " n"]) -> float:
    """Where shades end: 1, 2 or 5 times a power of ten, for 99 of 100 values.

    Example:
        >>> full_scale(np.array([0.3, -0.1, 0.0, np.inf]))
        0.5
    """
    sizes = np.abs(values[np.isfinite(values)])
    largest = float(np.quantile(sizes, 0.99)) if len(sizes) else 0.0
    if largest <= 1e-12:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    return next(k * power for k in (1.0, 2.0, 5.0, 10.0, 20.0) if largest <= k * power)


def step(value: float | int, top: float) -> int | None:
    """The step of shade of a size, 0 to `LEVELS`; below 0 for a negative one.

    Example:
        >>> step(0.25, 1.0), step(-9.0, 1.0), step(math.nan, 1.0)
        (12, -48, None)
    """
    if math.isnan(value):
        return None
    return round(min(max(value / top, -1.0), 1.0) * LEVELS)


def compare_rules() -> str:
    """The style rules of a comparison, beside those of every page of ours."""
    return "\n".join(
        (_colours(), *map(_switched, _BY), *map(_shades, range(LEVELS + 1)))
    )


def _colours() -> str:
    days = "".join(f"--n{k}:{blue(k)};" for k in range(LEVELS + 1))
    nights = "".join(f"--n{k}:{blue(k, dark=True)};" for k in range(LEVELS + 1))
    return (
        f":root{{{days}}}\n@media screen and (prefers-color-scheme:dark)"
        f"{{:root{{{nights}}}}}\n.by{{display:none}}\n"
        ".scale-bar .tick{stroke:var(--ink)}\n"
        ".percentiles{margin:14px 0 0;border-collapse:collapse}\n"
        ".percentiles th,.percentiles td{padding:3px 28px 3px 0;text-align:left;"
        "font-weight:400;font-variant-numeric:tabular-nums;"
        "border-top:1px solid var(--grid)}\n"
        ".percentiles thead th{border:0;font-size:12.5px;color:var(--muted)}\n"
        "details.more{margin-top:18px}\ndetails.more>summary{cursor:pointer}\n"
        ".facts dd b{font-weight:600}\n"
        "@media (min-width:641px){.estimates code{white-space:nowrap}}"
    )


def _switched(by: str) -> str:
    return (
        f"#by-{by}:checked~* .by.{by}{{display:block}}\n"
        f"#by-{by}:checked~* label[for=by-{by}]"
        "{background:var(--ink);color:var(--paper)}\n"
        f"#by-{by}:focus-visible~* label[for=by-{by}]"
        "{outline:2px solid var(--entropy);outline-offset:-4px}"
    )


def _shades(level: int) -> str:
    worse = ",".join(f"#by-{by}:checked~* .{by}{level}" for by in _BY)
    better = ",".join(f"#by-{by}:checked~* .{by}-{level}" for by in _BY[1:])
    return (
        f"{worse}{{background:var(--k{level})}}{better}{{background:var(--n{level})}}"
        f".n{level}{{fill:var(--n{level})}}"
    )


def legend_bar(top: float, unit: str, *, signs: Sequence[int]) -> str:
    """A bar of the shades with numbers below; what lies beyond has the last shade.

    Args:
        top: where shades end.
        unit: behind the bar.
        signs: ``(1,)`` for sizes, ``(-1, 1)`` for blue on the left, ochre on the right,
            ``(1, -1)`` for the reverse: which colour stands for positive numbers.
    """
    low = -top if len(signs) == 2 else 0.0
    across = Scale(low, top, start=_MARGIN, end=_WIDTH - 5 * _MARGIN)
    values = ticks(low, top, count=4)
    names = list(tick_labels(values))
    marks = "".join(_tick(across(v), n) for v, n in zip(values, names, strict=True))
    label = f"shades from {low:g} to {top:g} {unit}"
    named = element(
        "text", escape(unit), x=across.end + 8, y=10, fill=INK_HEX, class_="ink"
    )
    return document(
        element("g", _cells(across, signs), shape_rendering="crispEdges")
        + marks
        + named,
        width=_WIDTH,
        height=_HEIGHT,
        label=label,
        class_="scale-bar",
        font_family=SANS,
        font_size=11,
    )


def _cells(across: Scale, signs: Sequence[int]) -> str:
    steps = range(-LEVELS if len(signs) == 2 else 0, LEVELS + 1, 2)
    width = (across.end - across.start) / (len(steps) - 1)
    cells = ""
    for place, level in enumerate(steps):
        ochre = level * signs[-1] >= 0
        shade = level_shade(abs(level)).css.removeprefix("background:")
        cells += element(
            "rect",
            x=across.start + (place - 0.5) * width,
            y=0,
            width=width + 0.3,
            height=_BAR,
            fill=shade if ochre else blue(abs(level)),
            class_=f"{'k' if ochre else 'n'}{abs(level)}",
        )
    size = {"width": across.end - across.start + width, "height": _BAR - 1}
    edge = {"x": across.start - width / 2, "y": 0.5, **size}
    return cells + element("rect", fill="none", stroke=GRID, class_="grid", **edge)


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
