"""Our own drawing: functions from arrays to SVG text. Nothing is computed here."""

from nescio.plot.lines import Band, Marker, Series, line_chart
from nescio.plot.scale import Scale, tick_labels, ticks
from nescio.plot.scale_bar import scale_bar
from nescio.plot.thinning import running_mean

__all__ = [
    "Band",
    "Marker",
    "Scale",
    "Series",
    "line_chart",
    "running_mean",
    "scale_bar",
    "tick_labels",
    "ticks",
]
