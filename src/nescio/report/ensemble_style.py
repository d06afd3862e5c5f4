"""Colours of members: hue and line together, so that no eye needs the hue alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nescio.plot.colours import LEVELS
from nescio.report.style import script

__all__ = [
    "LINES_BY_NIGHT",
    "TINTS",
    "ensemble_rules",
    "look_of",
    "member_line",
    "step",
]

TINTS = ("#b9d6e8", "#f3c88f", "#c3dbb0", "#dcc6ee")
"""Blue, ochre, green, violet behind dark text."""
_TINTS_BY_NIGHT = ("#1f4b66", "#6b4212", "#38552a", "#55396e")
_LINES = ("#1f5f86", "#9a4f14", "#4a6b3a", "#6b4a86")
LINES_BY_NIGHT = ("#7fb4d3", "#e0a267", "#a3c48e", "#c3a3e0")
_MARKS = ("solid", "double", "dashed", "dotted")
_WIDTHS = (2, 1, 2, 2)


def look_of(member: int) -> int:
    """Which of the looks a member has, from 1; the fifth looks like the first."""
    return member % len(TINTS) + 1


def member_line(member: int) -> str:
    """The colour of a member's line by day."""
    return _LINES[member % len(_LINES)]


def step(value: float | int, top: float | int) -> int | None:
    """The step of shade of a disagreement, 0 to `LEVELS`; None where there is none.

    Example:
        >>> step(0.5, 1.0), step(2.0, 1.0), step(math.nan, 1.0)
        (24, 48, None)
    """
    if math.isnan(value):
        return None
    return round(min(max(value / top, 0.0), 1.0) * LEVELS)


def ensemble_rules() -> str:
    """The style rules of an ensemble's page, beside those of every page of ours."""
    night = _variables(_TINTS_BY_NIGHT, LINES_BY_NIGHT)
    return "\n".join(
        (
            f":root{{{_variables(TINTS, _LINES)}}}",
            f"@media screen and (prefers-color-scheme:dark){{:root{{{night}}}}}",
            *map(_member, range(1, len(TINTS) + 1)),
            *(
                f"#by-js:checked~* .d{k}{{background:var(--k{k})}}"
                for k in range(LEVELS + 1)
            ),
            script("ensemble.css"),
        )
    )


def _variables(tints: Sequence[str], lines: Sequence[str]) -> str:
    return "".join(
        f"--tint{number}:{tint};--line{number}:{line};"
        for number, (tint, line) in enumerate(zip(tints, lines, strict=True), start=1)
    )


def _member(number: int) -> str:
    mark = f"underline {_MARKS[number - 1]} var(--line{number})"
    look = (
        f"background:var(--tint{number});text-decoration:{mark};"
        f"text-decoration-thickness:{_WIDTHS[number - 1]}px;text-underline-offset:4px"
    )
    return (
        f"#by-pull:checked~* .p{number},.members .p{number}{{{look}}}\n"
        f".strip .t{number}{{fill:var(--tint{number})}}"
        f".chart .l{number}{{stroke:var(--line{number})}}"
        f".chart .infinite.l{number}{{stroke:none;fill:var(--line{number})}}"
    )
