"""The text of a trace as shaded HTML: one element for what cannot be split."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from nescio.drift.watched import Watched
from nescio.plot.colours import level
from nescio.trace import Span, Trace
from nescio.trace.trace import ROLES, SEGMENTS
from nescio.visible import visible_bytes

__all__ = [
    "heat_map",
    "is_control",
    "part_of",
    "running_texts",
    "shown_text",
    "unit_entropy",
]

_KEPT_SPACE = re.compile(r"(?<=\s) ")


def heat_map(trace: Trace, units: Sequence[Span], seen: Watched | None = None) -> str:
    """Each unit as a ``mark`` inside the stretch of the conversation it belongs to.

    A mark's classes: ``s0`` to ``s48`` its shade by surprisal, ``e0`` to ``e48`` by
    entropy, ``u`` unscored, ``c`` a control token; and where an alarm has ``seen`` the
    answer, ``r`` repeated, ``off`` what set it off.
    """
    runs = groupby(
        zip(units, running_texts(trace, units), strict=True),
        key=lambda pair: part_of(trace, pair[0].first),
    )
    return "".join(
        f'<span class="run {part.split()[0]}" data-part="{part}">'
        f"{''.join(_mark(trace, unit, text, seen) for unit, text in run)}</span>"
        for part, run in runs
    )


def running_texts(trace: Trace, units: Sequence[Span]) -> Iterator[str]:
    """What units look like in running text, where a line may end at a space.

    The browser drops that space; one that follows white space must not be dropped.
    """
    before = "\n"
    for unit in units:
        text = shown_text(trace, unit)
        yield _KEPT_SPACE.sub("\u00a0", before + text)[1:]
        before = text[-1]


def part_of(trace: Trace, token: int) -> str:
    """Which part of the conversation a token is: ``prompt``, ``prompt by user``."""
    segment = SEGMENTS[int(trace.segment[token])]
    role = 0 if trace.role is None else int(trace.role[token])
    return f"{segment} by {ROLES[role]}" if role else segment


def shown_text(trace: Trace, unit: Span) -> str:
    """What a unit looks like: controls made visible, ``↵`` before a line break."""
    if is_control(trace, unit):
        tokens = range(unit.first, unit.last)
        return "".join(map(trace.token_text, tokens)) or "∅"
    raw = trace.buffer[unit.start : unit.end]
    return "↵\n".join(map(visible_bytes, raw.split(b"\n")))


def is_control(trace: Trace, unit: Span) -> bool:
    """Whether a unit is shown by a label, not by what it spells."""
    if unit.start == unit.end:
        return True
    return any(token in trace.labels for token in range(unit.first, unit.last))


def unit_entropy(trace: Trace, unit: Span) -> float | None:
    """The mean over the unit's tokens, of lower bounds where there is no better."""
    values = trace.entropy if trace.entropy is not None else trace.entropy_low
    if values is None or unit.surprisal is None:
        return None
    return float(values[unit.first : unit.last].astype(np.float64).mean())


def _mark(trace: Trace, unit: Span, text: str, seen: Watched | None) -> str:
    entropy = level(unit_entropy(trace, unit))
    surprisal = level(unit.surprisal)
    classes = ["u" if surprisal is None else f"s{surprisal}"]
    if entropy is not None:
        classes.append(f"e{entropy}")
    if is_control(trace, unit):
        classes.append("c")
    if seen is not None and seen.repeats[unit.first : unit.last].any():
        classes.append("r")
    if seen is not None and seen.token in range(unit.first, unit.last):
        classes.append("off")
    escaped = html.escape(text, quote=False)
    return f'<mark class="{" ".join(classes)}">{escaped}</mark>'
