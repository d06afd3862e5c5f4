"""The figure of learned_calibrators.py: log losses less that of one temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_STYLE = {
    "svg.hashsalt": "nescio",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_LOOKS = {
    "none": ("#666666", "o"),
    "THERMOMETER": ("#1f5f86", "s"),
    "adaptive, published": ("#9a4f14", "D"),
    "adaptive, plain": ("#4a6b3a", "^"),
    "adaptive block, published": ("#d08a3c", "d"),
    "adaptive block, plain": ("#8fae6b", "v"),
    "temperature of the task": ("#6b4a86", "x"),
}
_STEP = 0.12


def differences_figure(
    panels: Mapping[str, Sequence[Mapping[str, Any]]], path: Path
) -> None:
    """Every calibrator on every unseen task, with intervals; left of 0 is better.

    Args:
        panels: title to lines of the result.
        path: an SVG file.
    """
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    with mpl.rc_context(_STYLE):
        tasks = list(dict.fromkeys(r["task"] for rows in panels.values() for r in rows))
        figure, axes = plt.subplots(
            1,
            len(panels),
            figsize=(2.6 * len(panels) + 1.6, 0.74 * len(tasks) + 1.6),
            sharey=True,
            squeeze=False,
        )
        for place, (title, rows) in zip(axes[0], panels.items(), strict=True):
            _panel(place, rows, tasks)
            place.set_title(title)
        axes[0][0].set_yticks(range(len(tasks)), tasks)
        axes[0][0].invert_yaxis()
        figure.supxlabel("log loss less that of the training tasks' temperature, nats")
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper center", ncols=3, frameon=False)
        figure.tight_layout(rect=(0, 0, 1, 0.92))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None})
        plt.close(figure)


def _panel(place: Any, rows: Sequence[Mapping[str, Any]], tasks: list[str]) -> None:
    place.axvline(0.0, color="#999999", linewidth=0.8)
    for number, (name, (colour, mark)) in enumerate(_LOOKS.items()):
        own = [
            (tasks.index(row["task"]), row["differences"]["temperature"]["log_loss"])
            for row in rows
            if row["calibrator"] == name
            and "log_loss" in row["differences"].get("temperature", {})
        ]
        if not own:
            continue
        heights = [
            place_of + (number - (len(_LOOKS) - 1) / 2) * _STEP for place_of, _ in own
        ]
        place.plot(
            [one["value"] for _, one in own],
            heights,
            mark,
            color=colour,
            markersize=4,
            label=name,
        )
        for height, (_, one) in zip(heights, own, strict=True):
            if one["low"] is not None:
                place.hlines(height, one["low"], one["high"], color=colour)
