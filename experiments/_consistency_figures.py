"""The figures of the two experiments on agreement."""

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
_BLUE, _OCHRE, _BAND, _GREY = "#0b6aa2", "#b5651d", "#d9d9d9", "#666666"


def reliability_figure(diagrams: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Share right at each value of agreement, beside where it would be if calibrated.

    Args:
        diagrams: by set, as `ReliabilityDiagram.to_dict` gives them.
        path: an SVG file.
    """
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    with mpl.rc_context(_STYLE):
        figure, axes = plt.subplots(
            1, len(diagrams), figsize=(3.1 * len(diagrams), 3.2), sharey=True
        )
        for place, (name, one) in zip(axes, diagrams.items(), strict=True):
            _reliability(place, one)
            place.set_title(name)
            place.set_xlabel("agreement")
        axes[0].set_ylabel("share right")
        _write(figure, path)


def _reliability(place: Any, one: Mapping[str, Any]) -> None:
    across, up = one["confidence"], one["accuracy"]
    place.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, linestyle=":")
    if one["null_low"] is not None:
        place.vlines(
            across, one["null_low"], one["null_high"], color=_BAND, linewidth=7
        )
    place.vlines(across, one["accuracy_low"], one["accuracy_high"], color=_BLUE)
    sizes = [12 + 160 * share for share in one["share"]]
    place.scatter(across, up, s=sizes, color=_BLUE, zorder=3)
    place.set(xlim=(0, 1.03), ylim=(-0.03, 1.03), aspect="equal")


def differences_figure(
    panels: Mapping[str, Sequence[tuple[str, Mapping[str, Any]]]], path: Path
) -> None:
    """Differences with their intervals, one panel a measure, one line a task.

    Args:
        panels: title to rows of a name and an estimate.
        path: an SVG file.
    """
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    with mpl.rc_context(_STYLE):
        rows = max(map(len, panels.values()))
        figure, axes = plt.subplots(
            1,
            len(panels),
            figsize=(3.0 * len(panels) + 1.2, 0.27 * rows + 1.1),
            sharey=True,
            squeeze=False,
        )
        for place, (title, lines) in zip(axes[0], panels.items(), strict=True):
            for height, (_, one) in enumerate(lines):
                apart = (one["low"] > 0) or (one["high"] < 0)
                colour = _OCHRE if apart else _BLUE
                place.hlines(height, one["low"], one["high"], color=colour)
                place.scatter([one["value"]], [height], s=18, color=colour, zorder=3)
            place.axvline(0.0, color=_GREY, linewidth=0.8, linestyle=":")
            place.set_title(title)
            place.set_yticks(range(len(lines)), [name for name, _ in lines])
        axes[0][0].invert_yaxis()
        _write(figure, path)


def _write(figure: Any, path: Path) -> None:
    from matplotlib import pyplot as plt

    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
