"""Maps of cells: runs of equal cells as one stroke, so that thousands stay small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from nescio.errors import InvalidInput
from nescio.palette import FULL_SCALE_NATS, shade
from nescio.plot.colours import GRID, INK_HEX, MUTED
from nescio.plot.svg import SANS, document, element, escape

__all__ = [
    "NOTHING",
    "RANKS",
    "RANKS_BY_NIGHT",
    "STEPS",
    "level_of_share",
    "runs",
    "similarity_map",
    "similarity_scale",
    "step_colours",
    "vote_map",
]

NOTHING = -1
"""A cell that is not drawn."""
RANKS = ("#1f5f86", "#5c8fae", "#a3c0d1", "#d3e0e6", "#bdb7a8")
"""The leading set, the second, the third, all others, samples without an answer."""
RANKS_BY_NIGHT = ("#7fb4d3", "#50809b", "#35566a", "#26343c", "#5f5b52")
STEPS = 24
"""How many steps of shade a similarity has; the lowest is paper."""
_NIGHT = np.array(
    [(23, 26, 28), (62, 47, 34), (112, 78, 46), (172, 118, 66), (240, 184, 122)],
    dtype=np.float64,
)
_SIDE, _LEFT, _TOP = 560, 40, 6


def runs(
    cells: Int[np.ndarray, "rows columns"],
) -> Mapping[int, str]:
    """For each value the path of its runs along the rows; a cell is 1 by 1.

    Example:
        >>> runs(np.array([[3, 3, 1], [3, 1, 1]]))
        {1: 'M2 .5h1M1 1.5h2', 3: 'M0 .5h2M0 1.5h1'}
    """
    begins = np.ones(cells.shape, dtype=np.bool_)
    begins[:, 1:] = cells[:, 1:] != cells[:, :-1]
    places = np.flatnonzero(begins)
    long = np.diff(np.append(places, cells.size))
    value = cells.ravel()[places]
    row, column = np.divmod(places, cells.shape[1])
    found: dict[int, list[str]] = {int(v): [] for v in np.unique(value)}
    for v, r, c, n in zip(
        value.tolist(), row.tolist(), column.tolist(), long.tolist(), strict=True
    ):
        found[v].append(f"M{c} {r or ''}.5h{n}")
    return {v: "".join(path) for v, path in found.items() if v != NOTHING}


def level_of_share(
    shares: Float[np.ndarray, "rows columns"],
) -> Int[np.ndarray, "rows columns"]:
    """The step of shade of numbers from 0 to 1: 0 (paper) to `STEPS`."""
    return np.rint(np.clip(shares, 0.0, 1.0) * STEPS).astype(np.int64)


def step_colours(*, night: bool) -> tuple[str, ...]:
    """The colour of each step, 0 to `STEPS`: further from the paper for more."""
    if not night:
        top = FULL_SCALE_NATS / STEPS
        shades = (shade(k * top).css for k in range(STEPS + 1))
        return tuple(css.removeprefix("background:") for css in shades)
    place = np.linspace(0.0, len(_NIGHT) - 1.0, STEPS + 1)
    stops = np.arange(len(_NIGHT))
    mixed = np.stack([np.interp(place, stops, channel) for channel in _NIGHT.T], axis=1)
    return tuple(
        "#{:02x}{:02x}{:02x}".format(*row) for row in np.rint(mixed).astype(int)
    )


def similarity_map(
    matrices: Sequence[Float[np.ndarray, "_ _"]],
    *,
    sets: Sequence[tuple[str, int]],
    label: str,
) -> str:
    """An SVG document: how alike every two of some rows are, sets outlined.

    Each matrix is a group of class ``by0``, ``by1``, ...; a page shows one of them.
    ``data-plot`` says where the cells begin (left, top) and how wide a cell is.

    Args:
        matrices: similarities in [0, 1] of the same rows, [rows, rows] each.
        sets: name and number of rows of each set, in the order of the rows.
        label: for screen readers.

    Raises:
        InvalidInput: no matrix, one of another size, sets of other rows.

    Example:
        >>> svg = similarity_map([np.eye(3)], sets=[("1", 2), ("2", 1)], label="alike")
        >>> svg.count('class="set"')
        2
    """
    size = sum(rows for _, rows in sets)
    if not matrices or any(one.shape != (size, size) for one in matrices):
        raise InvalidInput(
            f"matrices of {[one.shape for one in matrices]} for sets of {size} rows"
        )
    cell = _SIDE / size
    drawn = "".join(
        element("g", _shades(runs(level_of_share(one))), class_=f"cells by{number}")
        for number, one in enumerate(matrices)
    )
    moved = f"translate({_LEFT} {_TOP}) scale({cell:.6g})"
    grid = element("g", drawn, transform=moved, shape_rendering="crispEdges")
    return document(
        grid + _outlines(sets, cell),
        width=_LEFT + _SIDE + 6,
        height=_TOP + _SIDE + 6,
        label=label,
        class_="chart map",
        font_family=SANS,
        font_size=12,
        data_plot=f"{_LEFT} {_TOP} {cell:.6g}",
    )


def similarity_scale() -> str:
    """The key of the shades: from 0 to 1."""
    levels = level_of_share(np.linspace(0.0, 1.0, STEPS + 1)[None])
    shades = element(
        "g",
        _shades(runs(levels)),
        transform="translate(1 1) scale(7.2 12)",
        shape_rendering="crispEdges",
    )
    width = 7.2 * levels.shape[1]
    place = {"x": 0.5, "y": 0.5, "width": width + 1, "height": 13}
    frame = element("rect", fill="none", stroke=MUTED, class_="quiet", **place)
    words = (
        element("text", "0: nothing alike", x=0, y=28, fill=INK_HEX, class_="ink"),
        element(
            "text",
            "1: the same",
            x=width + 1,
            y=28,
            text_anchor="end",
            fill=INK_HEX,
            class_="ink",
        ),
    )
    return document(
        shades + frame + "".join(words),
        width=width + 2,
        height=32,
        label="shades from 0, nothing alike, to 1, the same",
        class_="scale-bar",
        font_family=SANS,
        font_size=11,
    )


def vote_map(
    ranks: Int[np.ndarray, "questions samples"],
    *,
    wrong: Bool[np.ndarray, " questions"] | None = None,
    label: str,
) -> str:
    """An SVG document: a row a question, a cell a sample, coloured by its set's rank.

    It has no proportions of its own: a page gives it width and height. The cells are
    1 by 1; beyond them, where gold is known, a column marks the wrong leaders.

    Args:
        ranks: of the set of each sample, rising along a row: places in `RANKS`;
            `NOTHING` behind the last sample.
        wrong: whether the leading answer is wrong; None: not known.
        label: for screen readers.

    Raises:
        InvalidInput: no rows, or a rank that is none.

    Example:
        >>> ranks = np.array([[0, 0, 4], [0, 1, 2]])
        >>> vote_map(ranks, label="votes").count("<path")
        4
    """
    rows, samples = ranks.shape
    if not ranks.size or ranks.min() < NOTHING or ranks.max() >= len(RANKS):
        raise InvalidInput(f"ranks of shape {ranks.shape}: from 0 to {len(RANKS) - 1}")
    drawn = "".join(
        element(
            "path",
            d=path,
            stroke=RANKS[rank],
            fill="none",
            style=f"stroke:var(--r{rank},{RANKS[rank]})",
        )
        for rank, path in runs(ranks).items()
    )
    wide = float(samples)
    if wrong is not None:
        gap, column = samples / 40, samples / 14
        wide += gap + column
        path = "".join(
            f"M{samples + gap:.3f} {row}.5h{column:.3f}"
            for row in np.flatnonzero(wrong).tolist()
        )
        drawn += element("path", d=path, stroke="#9a4f14", fill="none", class_="wrong")
    return element(
        "svg",
        element("title", escape(label)) + drawn,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {wide:.4g} {rows}",
        preserveAspectRatio="none",
        role="img",
        class_="votes",
        data_rows=str(rows),
    )


def _shades(paths: Mapping[int, str]) -> str:
    colours = step_colours(night=False)
    return "".join(
        element(
            "path",
            d=path,
            stroke=colours[level],
            fill="none",
            style=f"stroke:var(--h{level},{colours[level]})",
        )
        for level, path in paths.items()
    )


def _outlines(sets: Sequence[tuple[str, int]], cell: float) -> str:
    """A frame around all, one around each set on the diagonal, and the sets' names."""
    drawn = [_frame(0.0, _SIDE, colour=GRID, style="grid")]
    begin, lowest = 0, -99.0
    for name, rows in sets:
        side, offset = rows * cell, begin * cell
        drawn.append(_frame(offset, side, colour=INK_HEX, style="set"))
        middle = _TOP + offset + side / 2 + 4
        if middle >= lowest + 13:
            words = {"x": _LEFT - 8, "y": middle, "text_anchor": "end"}
            named = element("text", escape(name), fill=MUTED, class_="muted", **words)
            drawn.append(named)
            lowest = middle
        begin += rows
    return "".join(drawn)


def _frame(offset: float, side: float | int, *, colour: str, style: str) -> str:
    return element(
        "rect",
        x=_LEFT + offset,
        y=_TOP + offset,
        width=side,
        height=side,
        fill="none",
        stroke=colour,
        stroke_width=1.5 if style == "set" else 1,
        class_=style,
    )
