"""Layers by tokens as shaded cells, in strips of a few tokens that fit any screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import InvalidInput
from nescio.palette import FULL_SCALE_NATS
from nescio.plot.colours import GRID, INK_HEX, LEVELS, MUTED, level_shade
from nescio.plot.scale import tick_labels, ticks
from nescio.plot.svg import SANS, document, element, escape, text_width
from nescio.units import convert_factor

__all__ = [
    "KL_SCALE_NATS",
    "STRIP",
    "layer_map",
    "layer_scale",
    "shade_levels",
    "strip_width",
]

STRIP = 28
"""Tokens side by side."""
KL_SCALE_NATS = 2.0 * FULL_SCALE_NATS
"""Early layers lie far from the last: their scale ends at 24 bits."""
_CELL, _LEFT, _TOP, _RIGHT = 16, 34, 8, 6
_BAR = 230
_TALL = 260  # what the layers of a strip share
_LABEL, _SIZE = 84, 11
_STEP = 2  # of `LEVELS`: a half bit, so that runs are longer


def strip_width(tokens: int) -> int:
    """The pixels of a map of so many tokens."""
    return _LEFT + tokens * _CELL + _RIGHT


def shade_levels(
    nats: Float[np.ndarray, "layers tokens"], *, top: float = FULL_SCALE_NATS
) -> Int[np.ndarray, "layers tokens"]:
    """The step of shade of each value, 0 (nothing) to `LEVELS` (``top`` and more).

    Example:
        >>> shade_levels(np.log([[1.0, 2.0], [1e9, 1.5]]))
        array([[ 0,  4],
               [48,  2]])
    """
    share = np.clip(nats / top, 0.0, 1.0)
    return (np.rint(share * (LEVELS // _STEP)) * _STEP).astype(np.int64)


def layer_map(
    levels: Mapping[str, Int[np.ndarray, "layers tokens"]],
    *,
    settled: Int[np.ndarray, " tokens"],
    labels: Sequence[str],
    first: int,
) -> str:
    """An SVG document: the tokens across, the layers upwards, darker is more.

    Each quantity is a group of class ``cells`` and its name; a page shows one of
    them. A line marks the layer from which on the top candidate no longer changes.
    ``data-plot`` says left, top, width and height of a cell, and how many there are.

    Args:
        levels: by name, steps of shade; layer 0 is drawn lowest.
        settled: the layer each token's line is at.
        labels: what stands below each token.
        first: the number of the first token, for the page's script.

    Raises:
        InvalidInput: nothing to draw, more than `STRIP` tokens, other lengths.

    Example:
        >>> svg = layer_map({"entropy": np.array([[8], [2]])}, settled=np.array([1]),
        ...                 labels=["a"], first=0)
        >>> svg.count("<path")     # two shades, the line
        3
    """
    shapes = {grid.shape for grid in levels.values()}
    if len(shapes) != 1 or not all(grid.size for grid in levels.values()):
        raise InvalidInput(f"cells of shapes {sorted(shapes)}: one, and not empty")
    ((layers, tokens),) = shapes
    if tokens > STRIP or {len(settled), len(labels)} != {tokens}:
        raise InvalidInput(
            f"{tokens} tokens with {len(labels)} labels and {len(settled)} lines: one "
            f"each, at most {STRIP}"
        )
    height = min(14.0, max(4.0, _TALL / layers))
    drawn = "".join(_cells(name, grid) for name, grid in levels.items())
    bottom = _TOP + layers * height
    longest = max(text_width(label.strip() or "␣", size=_SIZE) for label in labels)
    below = min(_LABEL, longest + 14.0)
    moved = f"translate({_LEFT} {_TOP}) scale({_CELL} {height:.6g})"
    return document(
        element("g", drawn, transform=moved, shape_rendering="crispEdges")
        + _frame(tokens, bottom)
        + _settled(settled, layers, height)
        + _layer_names(layers, height)
        + "".join(_name(label, at, bottom) for at, label in enumerate(labels)),
        width=strip_width(tokens),
        height=bottom + below,
        label=f"{layers} layers of {tokens} tokens, from token {first}",
        class_="chart layers",
        font_family=SANS,
        font_size=_SIZE,
        data_first=str(first),
        data_plot=f"{_LEFT} {_TOP} {_CELL} {height:.6g} {tokens} {layers}",
    )


def layer_scale(top: float, *, unit: str = "bits", name: str = "") -> str:
    """The key of the shades: from 0 to ``top`` nats and more.

    Args:
        top: in nats.
        unit: of the numbers, ``"bits"`` or ``"nats"``.
        name: a class of the picture, for pages that show one of several.

    Raises:
        InvalidInput: another unit.

    Example:
        >>> "bits, 24 or more at the end" in layer_scale(KL_SCALE_NATS)
        True
    """
    most = top * convert_factor("nats", to=unit)
    steps = np.arange(0, LEVELS + 1, _STEP)
    moved = f"translate(10 0) scale({_BAR / len(steps):.6g} 12)"
    shades = element("g", _cells("key", steps[None]), transform=moved)
    place = {"x": 10, "y": 0.5, "width": _BAR, "height": 11}
    frame = element("rect", fill="none", stroke=GRID, class_="grid", **place)
    marks = [value for value in ticks(0.0, most, count=6) if value <= most]
    drawn = "".join(
        element(
            "text",
            escape(text),
            x=10 + _BAR * (0.5 + value / most * (len(steps) - 1)) / len(steps),
            y=27,
            text_anchor="middle",
            fill=INK_HEX,
            class_="ink",
        )
        for value, text in zip(marks, tick_labels(marks), strict=True)
    )
    told = element(
        "text",
        f"{unit}, {most:.3g} or more at the end",
        x=_BAR + 18,
        y=10,
        fill=INK_HEX,
        class_="ink",
    )
    return document(
        shades + frame + drawn + told,
        width=_BAR + 170,
        height=32,
        label=f"shades from 0 to {most:.1f} {unit} and more",
        class_=f"scale-bar layers-key {name}".strip(),
        font_family=SANS,
        font_size=_SIZE,
    )


def _cells(name: str, grid: Int[np.ndarray, "layers tokens"]) -> str:
    """Runs of equal cells as strokes of height 1, the last layer at the top."""
    upward = grid[::-1]
    paths: dict[int, list[str]] = {}
    for row, steps in enumerate(upward.tolist()):
        begin = 0
        for column in range(1, len(steps) + 1):
            if column == len(steps) or steps[column] != steps[begin]:
                run = f"M{begin} {row or ''}.5h{column - begin}"
                paths.setdefault(steps[begin], []).append(run)
                begin = column
    drawn = "".join(
        element(
            "path",
            d="".join(path),
            fill="none",
            stroke=level_shade(step).css.removeprefix("background:"),
            class_=f"c{step}",
        )
        for step, path in sorted(paths.items())
    )
    return element("g", drawn, class_=f"cells {name}")


def _frame(tokens: int, bottom: float) -> str:
    place = {"x": _LEFT, "y": _TOP, "width": tokens * _CELL, "height": bottom - _TOP}
    return element("rect", fill="none", stroke=GRID, class_="grid", **place)


def _settled(settled: Int[np.ndarray, " tokens"], layers: int, height: float) -> str:
    """A step for each token, at the lower edge of the layer it settles at."""
    path = []
    for column, layer in enumerate(settled.tolist()):
        y = _TOP + (layers - layer) * height
        path.append(f"{'H' if column else 'M'}{_LEFT + column * _CELL}")
        path.append(f"{'V' if column else ' '}{y:.2f}")
        path.append(f"h{_CELL}")
    return element(
        "path",
        d="".join(path),
        fill="none",
        stroke=INK_HEX,
        stroke_width=1.5,
        class_="settled",
    )


def _layer_names(layers: int, height: float) -> str:
    """The first and the last layer, and some between, at the left."""
    every = max(1, -(-layers * 20 // round(layers * height * 1.2)))
    every = next((n for n in (1, 2, 5, 10, 20, 50) if n >= every), 100)
    last = layers - 1
    shown = {n for n in range(0, layers, every) if last - n >= every or n == last}
    return "".join(
        element(
            "text",
            str(layer),
            x=_LEFT - 6,
            y=_TOP + (layers - layer - 0.5) * height + 4,
            text_anchor="end",
            fill=MUTED,
            class_="muted",
        )
        for layer in sorted(shown | {0, last})
    )


def _name(label: str, column: int, bottom: float) -> str:
    """A token's text, upright along its column, cut where it would not fit."""
    shown = label if label.strip() else "␣" * len(label)
    if text_width(shown, size=_SIZE) > _LABEL - 12:
        while text_width(f"{shown}…", size=_SIZE) > _LABEL - 12:
            shown = shown[:-1]
        shown += "…"
    x = _LEFT + (column + 0.5) * _CELL + 4
    return element(
        "text",
        escape(shown.strip()),
        transform=f"translate({x:.2f} {bottom + 6:.2f}) rotate(-90)",
        text_anchor="end",
        fill=INK_HEX,
        class_="ink",
    )
