"""What an alarm saw of an answer, for its page: words, and a chart with the band."""

from __future__ import annotations

import math

import numpy as np

from nescio.drift.watched import Watched
from nescio.plot import Band, Marker, Series, line_chart
from nescio.plot.colours import LIGHT
from nescio.report.estimates_html import safe
from nescio.trace import Trace
from nescio.units import convert_factor

__all__ = ["alarm_note", "watched_chart"]


def alarm_note(seen: Watched | None) -> str:
    """A paragraph: what set the alarm off and where, or that nothing did."""
    if seen is None:
        return ""
    if seen.alert is None:
        return f'<p class="alarm-note">no alarm: {safe(seen.claim)}</p>'
    where = f"alarm at token {seen.alert.index} of the answer"
    return (
        f'<p class="alarm-note off"><b>{where}</b>: {safe(seen.alert.reason)}<br>'
        f"{safe(seen.claim)}</p>"
    )


def watched_chart(
    trace: Trace, seen: Watched, *, unit: str, width: float | int, height: float | int
) -> str | None:
    """The watched number along the answer, the healthy band, and the alarm.

    Args:
        trace: the answer.
        seen: what its alarm saw of it.
        unit: ``"bits"`` or ``"nats"``.
        width, height: in pixels.

    Returns:
        SVG; None where no number was watched that can be drawn.
    """
    places = np.flatnonzero(np.isfinite(seen.values))
    if not len(places):
        return None
    factor = convert_factor("nats", to=unit)
    name = {"entropy": "entropy as watched", "evidence": "evidence"}[seen.quantity]
    colour, style = LIGHT["entropy"], "mean entropy"
    line = Series(name, seen.values[places] * factor, places, colour, 2.0, style)
    low = -math.inf if seen.low is None else seen.low * factor
    high = math.inf if seen.high is None else seen.high * factor
    words = "where healthy answers stay"
    if seen.quantity == "evidence":
        words = "below the alarm"
    marks = []
    if seen.token is not None and seen.alert is not None:
        marks = [Marker(seen.token, f"alarm: {seen.alert.channel.replace('_', ' ')}")]
    what = trace.origin.symbol
    labels = {
        "entropy": f"{unit} per {what}, weighted mean",
        "evidence": f"log evidence, {unit}",
    }
    return line_chart(
        [line],
        x_label=what,
        y_label=labels[seen.quantity],
        width=width,
        height=height,
        band=Band(words, low, high),
        markers=marks,
    )
