"""The figures and the command line of the three experiments on losses."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _calibration_telling import PROJECT

_STYLE = {
    "svg.hashsalt": "nescio",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
COLOURS = ("#666666", "#1f5f86", "#9a4f14", "#4a6b3a", "#6b4a86", "#a8322a", "#7f9dac")
MARKS = "osD^vPX"


@dataclass(frozen=True)
class Options:
    """What an experiment on losses is told."""

    quick: bool
    work: Path
    out: Path
    figure: Path


def options(described: str | None, name: str) -> Options:
    """The command line; a quick run writes beside its work, not into results."""
    parser = argparse.ArgumentParser(description=(described or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a few steps only")
    parser.add_argument(
        "--work",
        type=Path,
        default=PROJECT / "build" / "losses",
        help="what is finished",
    )
    parser.add_argument("--out", type=Path, help=f"results/{name}_runs.json")
    parser.add_argument("--figure", type=Path, help=f"docs/losses-{name}.svg")
    given = parser.parse_args()
    out, figure = PROJECT / "results", PROJECT / "docs"
    if given.quick:
        out = figure = given.work
    return Options(
        given.quick,
        given.work,
        given.out or out / f"{name}_runs.json",
        given.figure or figure / f"losses-{name}.svg",
    )


@dataclass(frozen=True)
class Line:
    """Values with their limits; one alone is a mark."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float | None]
    high: Sequence[float | None]


def panels_figure(
    panels: Mapping[str, Sequence[Line]],
    along: Sequence[str],
    path: Path,
    *,
    logarithmic: Sequence[str] = (),
) -> None:
    """Panels side by side with one key; lines of a name look alike in all.

    Args:
        panels: title to its lines.
        along: what stands below each panel.
        path: an SVG file.
        logarithmic: titles of panels where what stands below is.
    """
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    names = list(
        dict.fromkeys(line.name for lines in panels.values() for line in lines)
    )
    looks = {
        name: {"color": COLOURS[n % len(COLOURS)], "marker": MARKS[n % len(MARKS)]}
        for n, name in enumerate(names)
    }
    with mpl.rc_context(_STYLE):
        figure, axes = plt.subplots(
            1, len(panels), figsize=(3.2 * len(panels), 3.4), squeeze=False
        )
        for place, below, (title, lines) in zip(
            axes[0], along, panels.items(), strict=True
        ):
            for line in lines:
                _line(place, line, looks[line.name])
            place.set_title(title)
            place.set_xlabel(below)
            if title in logarithmic:
                place.set_xscale("log")
                ticks = lines[0].x
                if len(ticks) > 1:
                    place.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
                    place.minorticks_off()
        handles = [
            mpl.lines.Line2D([], [], label=name, markersize=4, **looks[name])
            for name in names
        ]
        figure.legend(
            handles=handles, loc="upper center", ncols=min(6, len(names)), frameon=False
        )
        figure.tight_layout(rect=(0, 0, 1, 0.9))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None})
        plt.close(figure)


def _line(place: Any, line: Line, look: Mapping[str, Any]) -> None:
    colour, limited = look["color"], None not in (*line.low, *line.high)
    if len(line.x) == 1:
        if limited:
            place.vlines(line.x, line.low, line.high, color=colour)
        place.scatter(
            line.x, line.y, s=26, color=colour, marker=look["marker"], zorder=3
        )
        return
    many = len(line.x) > 20
    place.plot(
        line.x,
        line.y,
        color=colour,
        linewidth=1.2,
        marker=look["marker"],
        markersize=4,
        markevery=max(1, len(line.x) // 6) if many else 1,
    )
    if limited:
        place.fill_between(
            line.x, line.low, line.high, color=colour, alpha=0.15, linewidth=0
        )
