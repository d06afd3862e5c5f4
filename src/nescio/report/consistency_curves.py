"""Curves of a set of questions: coverage, the number of samples, votes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from nescio.calibration.risk_coverage import RiskCoverage
from nescio.evaluation.consistency_found import QuestionsFound, RiskBand
from nescio.evaluation.sample_curve import CurvePoint
from nescio.outcome import Estimate
from nescio.plot.colours import LINES, MUTED
from nescio.plot.curve import Curve, curve_chart
from nescio.plot.panel import Axis, log_axis, straight_axis
from nescio.plot.scale import tick_labels, ticks
from nescio.report.calibration_html import Figure, Table, figure_html, percent
from nescio.report.consistency_judged import by_ranking, cell
from nescio.report.consistency_texts import called

__all__ = ["coverage_figure", "curve_figures", "samples_figure", "votes_figure"]

_LINES = (
    (LINES[0], "entropy", False),
    (LINES[1], "surprisal", False),
    (LINES[2], "third", False),
    (LINES[3], "fourth", False),
    (LINES[0], "entropy", True),
    (LINES[1], "surprisal", True),
)
_SIZE = (540, 340)
_POINTS = 100
_SHOWN = 0.2  # of all questions, from which on the whole band is to be seen


def curve_figures(found: QuestionsFound) -> str:
    """All figures that there are data for."""
    figures = []
    if any(one.coverage is not None for one in found.measures.values()):
        figures.append(coverage_figure(found))
    if found.curve:
        figures.append(samples_figure(found.curve))
    if found.votes:
        figures.append(votes_figure(found))
    return "".join(figure_html(one) for one in figures)


def coverage_figure(found: QuestionsFound) -> Figure:
    """The share right of the questions a measure is surest of, several measures."""
    named = by_ranking(found.measures, reference=found.reference)
    covered: dict[str, RiskCoverage] = {}
    for name in named:
        curve = found.measures[name].coverage
        if curve is not None:
            covered[name] = curve
    shown = dict(list(covered.items())[: len(_LINES)])
    answered = _answered(next(iter(shown.values())))
    columns = {name: _accuracy(curve, answered) for name, curve in shown.items()}
    bands = {
        name: _band(curve, found.measures[name].band, answered)
        for name, curve in shown.items()
    }
    curves = []
    for name, look in zip(shown, _LINES, strict=False):
        first = name == next(iter(shown))  # six bands at once would hide each other
        low, high = bands[name] if first else (None, None)
        words = called(name, 40) + (" (band: interval)" if low is not None else "")
        curves.append(Curve(words, answered, columns[name], low, high, *look))
    lowest = min(float(column.min()) for column in columns.values())
    band = curves[0].low
    if band is not None:  # but for the left end, where few questions say nothing
        lowest = min(lowest, float(band[answered >= _SHOWN].min(initial=1.0)))
    caption = (
        "Of the questions answered, the share that is right, if only the surest are "
        "answered, by each measure; at the right end all are. A measure that knows "
        "what is right begins high. At the left the curves rest on few questions"
        f"{_intervals(found, shown)}{_areas(found, list(shown))}"
    )
    left = len(covered) - len(shown)
    if left > 0:
        caption += (
            f" Shown are the reference and the {len(shown) - 1} others with the "
            f"highest AUROC; {left:,} more are in the table above."
        )
    picture = curve_chart(
        curves,
        x=straight_axis("share of questions answered, the surest first", 0, 1),
        y=straight_axis("share right", max(0.0, lowest - 0.02), 1.0, enclosing=True),
        size=_SIZE,
    )
    heads = ("answered", *(called(name, 40) for name in shown))
    rows = [
        (percent(share), *(_shares(columns[name], bands[name], k) for name in shown))
        for k, share in enumerate(answered.tolist())
    ]
    title = "What if it answered only when sure?"
    return Figure(title, caption, picture, Table(heads, rows), "share")


def samples_figure(points: Sequence[CurvePoint]) -> Figure:
    """Accuracy and confidence, then calibration measures, by the number of samples."""
    drawn = [
        _by_samples(
            points, {"accuracy": "accuracy", "mean_confidence": "mean confidence"}
        ),
        _by_samples(
            points,
            {
                "expected_calibration_error": "calibration error",
                "null": "the same if calibrated",
                "brier_score": "Brier score",
            },
        ),
        _by_samples(points, {"auroc": "AUROC"}),
    ]
    names = dict.fromkeys(name for point in points for name in point.estimates)
    rows = [
        (f"{point.samples:,}", *(cell(point.estimates.get(name)) for name in names))
        for point in points
    ]
    return Figure(
        "How many samples are enough?",
        "Each number of samples was taken from those there are, several times over; "
        "the bands are intervals over questions. Where mean confidence lies above "
        "accuracy, the answers are overconfident; with few samples agreement is too "
        "high.",
        "".join(drawn),
        Table(("samples", *(called(name) for name in names)), rows),
        "number of samples",
    )


def votes_figure(found: QuestionsFound) -> Figure:
    """How often the leading answer is right, by how many samples gave it."""
    rows, most = found.votes, max(map(len, found.questions))
    votes = np.array([one.votes for one in rows], dtype=np.float64)
    limits = [(one.accuracy.low, one.accuracy.high) for one in rows]
    curves = [
        Curve(
            "share right (band: interval)",
            votes,
            _column(one.accuracy.value for one in rows),
            _column(low for low, _ in limits),
            _column(high for _, high in limits),
            dots=True,
        ),
        Curve(
            "if agreement were a probability",
            np.array([0.0, float(most)]),
            np.array([0.0, 1.0]),
            colour=MUTED,
            style="quiet",
            dashed=True,
        ),
    ]
    marks = ticks(0.0, float(most), count=6, whole=True)
    picture = curve_chart(
        curves,
        x=Axis("votes for the leading answer", 0.0, most, marks, tick_labels(marks)),
        y=straight_axis("share right", 0.0, 1.0),
        size=_SIZE,
    )
    return Figure(
        "Right as often as agreed on?",
        "How often the leading answer is right, by how many samples gave it. Below "
        "the dashed line the samples agree more often than they are right.",
        picture,
        Table(
            ("votes", "questions", "share right"),
            [
                (f"{one.votes:,}", f"{one.questions:,}", cell(one.accuracy))
                for one in rows
            ],
        ),
        "number of votes",
    )


def _answered(curve: RiskCoverage) -> np.ndarray:
    """At most so many shares of all questions, spread evenly, the whole included."""
    count = len(curve.coverage)
    wanted = min(count, _POINTS)
    places = (np.arange(1, wanted + 1) * count) // wanted - 1
    return curve.coverage[places].astype(np.float64)


def _accuracy(curve: RiskCoverage, answered: np.ndarray) -> np.ndarray:
    """Of a curve, perhaps over fewer questions, the share right at these shares."""
    return 1.0 - curve.risk[_held(curve, answered)].astype(np.float64)


def _held(curve: RiskCoverage, answered: np.ndarray) -> np.ndarray:
    places = np.searchsorted(curve.coverage, answered - 1e-12)
    return np.minimum(places, len(curve.risk) - 1)


_Limits = tuple[np.ndarray, np.ndarray] | tuple[None, None]


def _band(curve: RiskCoverage, band: RiskBand | None, answered: np.ndarray) -> _Limits:
    """Limits of the share right at these shares; none where there are none."""
    if band is None:
        return None, None
    places = _held(curve, answered)
    return 1.0 - band.high[places], 1.0 - band.low[places]


def _shares(column: np.ndarray, band: _Limits, place: int) -> str:
    low, high = band
    if low is None or high is None:
        return percent(column[place])
    limits = f"{percent(low[place])} to {percent(high[place])}"
    return f"{percent(column[place])} ({limits})"


def _intervals(found: QuestionsFound, names: Iterable[str]) -> str:
    """Of which curves there are intervals, and what kind."""
    level = next((b.level for n in names if (b := found.measures[n].band)), None)
    if level is None:
        return ". They have no interval themselves"
    return (
        f". The band is the {100 * level:g} % interval of the first curve at each "
        "place, over questions; the table has the others'"
    )


def _areas(found: QuestionsFound, names: Sequence[str]) -> str:
    told = []
    for name in names:
        area = found.measures[name].estimates.get("area_under_risk_coverage")
        if area is not None and area.value is not None:
            told.append(f"{called(name, 40)} {cell(area)}")
    return f"; the area over each one has: {'; '.join(told)}." if told else "."


def _by_samples(points: Sequence[CurvePoint], names: Mapping[str, str]) -> str:
    """A chart of some estimates; empty if none of them is there."""
    sizes = np.array([point.samples for point in points], dtype=np.float64)
    curves = []
    for (name, words), look in zip(names.items(), _LINES, strict=False):
        found = [_found(point, name) for point in points]
        if any(math.isfinite(value) for value, _, _ in found):
            value, low, high = (_column(part) for part in zip(*found, strict=True))
            banded = f"{words}" if name == "null" else f"{words} (band: interval)"
            style = (MUTED, "quiet", True) if name == "null" else look
            curves.append(Curve(banded, sizes, value, low, high, *style, dots=True))
    if not curves:
        return ""
    least, most = float(sizes.min()), float(sizes.max())
    named = tuple(dict.fromkeys(sizes.tolist()))
    across = log_axis(
        "samples of each question",
        least * 0.93,
        max(most, least + 1) * 1.07,
        ticks=named,
    )
    return curve_chart(
        curves, x=across, y=_upward(curves, list(names.values())), size=(540, 250)
    )


def _found(point: CurvePoint, name: str) -> tuple[float, float, float]:
    """Value and limits; NaN where there is none."""
    nothing = math.nan
    if name == "null":
        error = point.estimates.get("expected_calibration_error")
        null = None if error is None else error.null_level
        return (nothing if null is None else null), nothing, nothing
    one = point.estimates.get(name)
    if one is None or one.value is None:
        return nothing, nothing, nothing
    return one.value, *_limits(one)


def _limits(one: Estimate) -> tuple[float, float]:
    value = math.nan if one.value is None else one.value
    low = value if one.low is None else one.low
    return low, value if one.high is None else one.high


def _upward(curves: Sequence[Curve], names: Sequence[str]) -> Axis:
    """Around what is drawn: differences by the number of samples are small."""
    columns = [c for one in curves for c in (one.y, one.low, one.high) if c is not None]
    values = np.concatenate(columns)
    held = values[np.isfinite(values)]
    low, high = float(held.min()), float(held.max())
    label = names[0] if len(names) == 1 else "share or error"
    return straight_axis(label, low, max(high, low + 0.02), count=4, enclosing=True)


def _column(values: Iterable[float | None]) -> np.ndarray:
    given = [math.nan if value is None else float(value) for value in values]
    return np.array(given, dtype=np.float64)
