"""Where samples part: the entropy of what they say next, beside the model's own."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import numpy as np

from nescio.consistency.divergence import Divergence, Parting
from nescio.outcome import Estimate
from nescio.plot.colours import LEVELS, LINES
from nescio.plot.curve import Curve, curve_chart
from nescio.plot.panel import Axis, straight_axis
from nescio.plot.scale import tick_labels, ticks
from nescio.report.calibration_html import Figure, Table, figure_html, number_text
from nescio.report.consistency_texts import short
from nescio.report.numbers import interval_text, kind_text, value_text
from nescio.units import convert_factor

__all__ = ["divergence_section"]

_STEPS, _BRANCHES = 200, 5
_SIZE = (620, 270)


def divergence_section(found: Divergence, *, unit: str) -> str:
    """The path most samples go as text, shaded, and both entropies along it.

    Args:
        found: where they part.
        unit: of entropy, ``"bits"`` or ``"nats"``.
    """
    steps = found.steps[:_STEPS]
    if not steps:
        return ""
    more = found.shown - len(steps)
    cut = f" Of {found.shown:,} steps the first {len(steps):,} are shown."
    figure = Figure(
        "Where do they part?",
        "All samples start together; at every step they go on with the "
        f"{found.unit} that most of them say next, and those that say another leave. "
        "High where the samples still together disagree about what comes next."
        + (cut if more > 0 else "")
        + _own_words(steps),
        _chart(steps, unit, found.unit),
        _table(steps, unit, found.unit),
        found.unit,
    )
    drawn = figure_html(figure)
    strip = _strip(steps, found.unit)
    return f'<section class="part parting">{strip}{drawn}</section>'


def _own_words(steps: Sequence[Parting]) -> str:
    if all(step.model_entropy is None for step in steps):
        return " The model's own entropy is not known: no sample has a trace."
    return (
        " The dashed line is the model's own entropy at that place, over its whole "
        "vocabulary; few samples cannot show all of it."
    )


def _chart(steps: Sequence[Parting], unit: str, what: str) -> str:
    factor = convert_factor("nats", to=unit)
    places = np.arange(1.0, len(steps) + 1.0)
    column = _column([step.entropy.value for step in steps], factor)
    curves = [
        Curve(
            "over the samples still together (band: interval)",
            places,
            column,
            _column([_low(step.entropy) for step in steps], factor),
            _column([_high(step.entropy) for step in steps], factor),
            dots=len(steps) <= 60,
        )
    ]
    own = _column([step.model_entropy for step in steps], factor)
    if np.isfinite(own).any():
        curves.append(
            Curve(
                "the model's own",
                places,
                own,
                colour=LINES[1],
                style="surprisal",
                dashed=True,
            )
        )
    if not any(np.isfinite(one.y).any() for one in curves):
        return ""
    marks = ticks(1.0, float(max(len(steps), 2)), count=8, whole=True)
    across = Axis(what, 0.5, len(steps) + 0.5, *_within(marks, len(steps)))
    return curve_chart(
        curves,
        x=across,
        y=_upward(curves, unit),
        size=_SIZE,
        described=_described(unit),
    )


def _upward(curves: Sequence[Curve], unit: str) -> Axis:
    """From 0 to what is drawn, or to a tenth of a unit where all agree."""
    columns = [c for one in curves for c in (one.y, one.high) if c is not None]
    values = np.concatenate(columns)
    most = float(values[np.isfinite(values)].max(initial=0.1))
    return straight_axis(f"entropy, {unit}", 0.0, most, enclosing=True)


def _within(
    marks: tuple[float, ...], count: int
) -> tuple[tuple[float, ...], tuple[str, ...]]:
    kept = tuple(mark for mark in marks if mark <= count)
    return kept, tick_labels(kept)


def _described(unit: str) -> str:
    return f"entropy in {unit} of what the samples say next, step by step"


def _column(values: Sequence[float | None], factor: float) -> np.ndarray:
    given = [math.nan if value is None else value for value in values]
    return np.array(given, dtype=np.float64) * factor


def _low(estimate: Estimate) -> float | None:
    return estimate.value if estimate.low is None else estimate.low


def _high(estimate: Estimate) -> float | None:
    return estimate.value if estimate.high is None else estimate.high


def _strip(steps: Sequence[Parting], unit: str) -> str:
    """The path itself; a step is the darker the less the samples agree on it."""
    most = max(math.log(max(step.samples for step in steps)), 1e-9)
    gap = " " if unit == "word" else ""
    marks = gap.join(_mark(step, most) for step in steps)
    return (
        '<p class="path" dir="auto" tabindex="0" role="group" '
        f'aria-label="what most samples say">{marks}</p>'
        '<p class="caption">The path most samples go. A step is shaded by how much the '
        "samples that were still together disagree about it, up to all differing; a "
        "small number says how many were left.</p>"
    )


def _mark(step: Parting, most: float) -> str:
    value = step.entropy.value or 0.0
    shade = round(min(max(value / most, 0.0), 1.0) * LEVELS)
    left = max(step.branches.values(), default=step.samples)
    count = f"<small>{left:,}</small>" if left < step.samples else ""
    text = html.escape(short(step.text, 60)) if step.text else "<i>end</i>"
    return f'<mark class="step" style="background:var(--k{shade})">{text}</mark>{count}'


def _table(steps: Sequence[Parting], unit: str, what: str) -> Table:
    heads = (
        "step",
        f"{what} most say",
        "samples",
        "what they say",
        f"entropy, {unit}",
        "interval",
        f"the model's own, {unit}",
    )
    factor = convert_factor("nats", to=unit)
    rows = []
    for number, step in enumerate(steps, start=1):
        entropy = step.entropy.to(unit) if step.entropy.unit != "1" else step.entropy
        own = None if step.model_entropy is None else step.model_entropy * factor
        rows.append(
            (
                f"{number}",
                _said(step.text),
                f"{step.samples:,}",
                _branches(step),
                value_text(entropy),
                _limits(entropy),
                number_text(own, 3),
            )
        )
    return Table(heads, rows)


def _limits(estimate: Estimate) -> str:
    limits = interval_text(estimate)
    return kind_text(estimate) if limits == "–" else limits


def _said(text: str) -> str:
    return f"“{short(text, 40)}”" if text else "(end)"


def _branches(step: Parting) -> str:
    listed = list(step.branches.items())
    shown = ", ".join(f"{_said(text)} {n:,}" for text, n in listed[:_BRANCHES])
    left = len(listed) - _BRANCHES
    return f"{shown}, {left:,} more" if left > 0 else shown
