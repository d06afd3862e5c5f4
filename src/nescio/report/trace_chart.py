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
_WINDOWS = (4, 8, 16, 32, 64, 128, 256, 512)
_TOP = {"bits": 12.0, "nats": 8.0}
"""Beyond the end of the shades single tokens are cut off and marked: a few of them
would press everything else flat."""


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
        SVG; None where no token was scored. Single tokens above 12 bits or 8 nats are
        cut off, marked, and the axis says so. Entropies known by their bounds only are
        a band: the mean of the bounds bounds the mean.
    """
    scored = np.flatnonzero(trace.scored)
    if not len(scored):
        return None
    shown = slice(int(scored[0]), int(scored[-1]) + 1)
    factor = convert_factor("nats", to=unit)
    window = max(w for w in _WINDOWS if w <= max(4, len(scored) // 24))
    positions = np.arange(shown.start, shown.stop)
    thin, bold, cut = [], [], False
    for name in ("surprisal", "entropy"):
        values = getattr(trace, name)
        if values is None:
            continue
        values = values[shown].astype(np.float64) * factor
        if name in raw:
            label = "" if thin else "each token"
            colour = LIGHT[f"{name}-raw"]
            held = np.where(values > _TOP[unit], np.inf, values)
            cut = cut or bool(np.isinf(held).any())
            thin.append(Series(label, held, positions, colour, 1.0, f"raw {name}"))
        means = running_mean(values, window=window)
        label = f"{name}, mean of {window}"
        bold.append(Series(label, means, positions, LIGHT[name], 2.0, f"mean {name}"))
    return line_chart(
        thin + bold,
        x_label="token",
        y_label=f"{unit} per token" + (f", ▲ above {_TOP[unit]:.0f}" if cut else ""),
        width=width,
        height=height,
        band=_entropy_band(trace, shown, factor=factor, window=window),
    )


def _entropy_band(
    trace: Trace, shown: slice, *, factor: float, window: int
) -> Band | None:
    if trace.entropy_low is None or trace.entropy_high is None:
        return None
    low, high = (
        running_mean(bound[shown].astype(np.float64) * factor, window=window)
        for bound in (trace.entropy_low, trace.entropy_high)
    )
    positions = np.arange(shown.start, shown.stop)
    name = f"entropy bounds, mean of {window}"
    return Band(name, low, high, positions, style="entropy")
