"""Surprisal and entropy along a trace, as one chart for pages and pictures."""

from __future__ import annotations

from typing import Literal

import numpy as np

from nescio.plot import Band, Series, line_chart, running_mean
from nescio.plot.colours import LIGHT
from nescio.trace import Trace
from nescio.units import convert_factor

__all__ = ["By", "has_entropy", "trace_chart"]

By = Literal["surprisal", "entropy"]
_WINDOWS = (8, 16, 32, 64, 128, 256, 512)
_TOP = {"bits": 12.0, "nats": 8.0}
"""Where lines are cut off and marked, near the end of the shades: a few tokens would
press everything else flat."""


def has_entropy(trace: Trace) -> bool:
    """Whether a trace knows its entropies, or at least their lower bounds."""
    return trace.entropy is not None or trace.entropy_low is not None


def trace_chart(
    trace: Trace,
    *,
    unit: str,
    width: float | int,
    height: float | int,
    raw: tuple[By, ...] = ("surprisal", "entropy"),
) -> str | None:
    """The running means in bold, and single tokens thin behind them.

    Args:
        trace: with its numbers.
        unit: ``"bits"`` or ``"nats"``.
        width, height: in pixels.
        raw: of which quantities single tokens are drawn.

    Returns:
        SVG; None where no token was scored. Values above 12 bits or 8 nats are cut
        off, marked, and the axis says so. Entropies known by their bounds only are
        a band, and their lower bounds stand for single tokens: the mean of the bounds
        bounds the mean. Where the band has no upper edge it is open, and the legend
        says why.
    """
    scored = np.flatnonzero(trace.scored)
    if not len(scored):
        return None
    shown = slice(int(scored[0]), int(scored[-1]) + 1)
    factor = convert_factor("nats", to=unit)
    window = max(w for w in _WINDOWS if w <= max(8, len(scored) // 12))
    positions = np.arange(shown.start, shown.stop)
    thin, bold, cut = [], [], False
    what = trace.origin.symbol
    each = f"each {what}" + ("" if trace.entropy_low is None else ", entropy at least")
    for name in ("surprisal", "entropy"):
        bounded = name == "entropy" and trace.entropy is None
        values = trace.entropy_low if bounded else getattr(trace, name)
        if values is None:
            continue
        values = values[shown].astype(np.float64) * factor
        lines = {"raw": values, "mean": running_mean(values, window=window)}
        held = {k: np.where(v > _TOP[unit], np.inf, v) for k, v in lines.items()}
        if name in raw:
            label = "" if thin else each
            colour, style = LIGHT[f"{name}-raw"], f"raw {name}"
            thin.append(Series(label, held["raw"], positions, colour, 1.0, style))
            cut = cut or bool(np.isinf(held["raw"]).any())
        if bounded:
            continue
        label, style = f"{name}, mean of {window}", f"mean {name}"
        bold.append(Series(label, held["mean"], positions, LIGHT[name], 2.0, style))
        cut = cut or bool(np.isinf(held["mean"]).any())
    return line_chart(
        thin + bold,
        x_label=what,
        y_label=f"{unit} per {what}" + (f", ▲ above {_TOP[unit]:.0f}" if cut else ""),
        width=width,
        height=height,
        band=_entropy_band(trace, shown, unit=unit, window=window),
    )


def _entropy_band(trace: Trace, shown: slice, *, unit: str, window: int) -> Band | None:
    if trace.entropy_low is None or trace.entropy_high is None:
        return None
    factor = convert_factor("nats", to=unit)
    low, high = (
        running_mean(bound[shown].astype(np.float64) * factor, window=window)
        for bound in (trace.entropy_low, trace.entropy_high)
    )
    positions = np.arange(shown.start, shown.stop)
    name = f"entropy between bounds, mean of {window}"
    reasons = {
        "unbounded": bool(np.isposinf(high).any()),
        f"above {_TOP[unit]:.0f}": bool(
            (np.isfinite(high) & (high > _TOP[unit])).any()
        ),
    }
    if any(reasons.values()):
        open_where = " or ".join(why for why, there in reasons.items() if there)
        name += f"; open where {open_where}"
    low, high = (np.where(end > _TOP[unit], np.inf, end) for end in (low, high))
    return Band(name, low, high, positions, style="entropy")
