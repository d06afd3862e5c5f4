"""A text that several models wrote, as one HTML file: who pulled where, and how far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from nescio.ensemble.telling import Telling
from nescio.errors import InvalidInput
from nescio.outcome import Estimate
from nescio.outcome.estimate import nescio_version
from nescio.plot import Series, line_chart, running_mean
from nescio.plot.colours import INK_HEX
from nescio.report.compare_style import legend_bar
from nescio.report.ensemble_numbers import pulled_by, pulled_shares
from nescio.report.ensemble_strip import pull_strip, weight_strip
from nescio.report.ensemble_style import ensemble_rules, look_of, member_line
from nescio.report.ensemble_terminal import PULLED_NATS
from nescio.report.ensemble_text import member_data, member_marks
from nescio.report.estimates_html import estimates_table, recipes, safe
from nescio.report.style import script, style_sheet
from nescio.report.trace_data import json_island
from nescio.report.trace_page import POLICY, STOPS
from nescio.trace import Trace, units
from nescio.units import INFORMATION_UNITS, convert_factor

__all__ = ["ensemble_page"]

_WINDOWS = (8, 16, 32, 64, 128, 256, 512)
_TOP = {"bits": 12.0, "nats": 8.0}


def ensemble_page(
    found: Telling,
    estimates: Mapping[str, Estimate],
    *,
    names: Sequence[str],
    unit: str = "bits",
    others: Sequence[str] = (),
) -> str:
    """A complete HTML document: the text marked by who pulled, and by how far apart.

    Everything is inside the file; its policy forbids any request. Text and names are
    escaped, and controls are shown. Members are marked by colour and line together.

    Args:
        found: one answer; with what members said of each byte its card shows that.
        estimates: name to estimate, shown in this order and in their own units.
        names: of the members.
        unit: of information, ``"bits"`` or ``"nats"``.
        others: further answers, as plain text below.

    Raises:
        InvalidInput: another unit, or a trace that has nothing of members.

    Example:
        >>> import nescio
        >>> from nescio.ensemble.telling import retold
        >>> both = nescio.load("ensemble:table:coin+table:coin")
        >>> told = retold(both, "H", b"TH", stop="length")
        >>> ensemble_page(told, {}, names=["a", "b"]).startswith("<!doctype html>")
        True
    """
    if unit not in INFORMATION_UNITS:
        raise InvalidInput(f"unit is {unit!r}: choose one of {INFORMATION_UNITS}")
    trace = found.trace
    if "branches" not in trace.columns:
        raise InvalidInput("this trace has nothing of members: make one with retold")
    spans, several = units(trace), len(names) > 1
    several_names = f"{', '.join(names[:-1])} and {names[-1]}"
    name = f"What {several_names if several else names[0]} wrote"
    marks = member_marks(trace, spans, top=_full_scale(trace))
    summary = estimates_table(estimates) if estimates else ""
    return f"""<!doctype html>
<html lang="en">
{_head(name)}
<body>
<header>
<h1>{safe(name)}</h1>
{_facts(trace)}
</header>
{summary}
<main>
{_switch(several)}
<section class="reading">
{_toolbar(found, names, unit)}
<div id="text" tabindex="0" role="group" aria-label="the text, byte by byte; \
arrow keys move" dir="auto" translate="no">{marks}{_stop(trace)}</div>
{_key(trace, marks)}
{_strips(trace, names)}
{_others(others)}
</section>
<aside>
{_chart(trace, names, unit)}
<div id="card" aria-live="polite"><p class="hint">Point at a character or at the \
chart, or use the arrow keys in the text, to see what each member expected there.</p>\
</div>
</aside>
</main>
<footer>
{recipes(estimates)}
{_origin(trace)}
<p>Made by nescio {safe(nescio_version())}</p>
</footer>
<script type="application/json" id="trace-data">\
{json_island(member_data(found, spans, unit=unit))}</script>
<script>
{script("page.js")}
</script>
</body>
</html>
"""


def _head(name: str) -> str:
    return f"""<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{safe(name)}</title>
<style>
{style_sheet()}
{ensemble_rules()}
</style>
</head>"""


def _facts(trace: Trace) -> str:
    origin = trace.origin
    how = origin.decoding
    answered = int((trace.segment == 1).sum())
    facts = [
        ("rule", how.get("rule")),
        ("answer by", how.get("kind")),
        ("engine", origin.engine),
        ("precision", origin.precision),
        ("prompt through chat templates", "yes" if how.get("chat") else "no"),
        ("bytes answered", f"{answered - (trace.stop == 'eos'):,}"),
        ("end", None if trace.stop is None else STOPS[trace.stop]),
    ]
    listed = "".join(
        f"<div><dt>{key}</dt><dd>{safe(str(value))}</dd></div>"
        for key, value in facts
        if value is not None
    )
    return f'<dl class="facts">{listed}</dl>'


def _switch(several: bool) -> str:
    """Which quantity shades the text; works without scripts."""
    if not several:
        return '<input type="radio" name="by" id="by-surprisal" checked hidden>'
    return (
        '<input type="radio" name="by" id="by-pull" checked '
        'aria-label="mark who pulled">'
        '<input type="radio" name="by" id="by-js" aria-label="shade by disagreement">'
        '<input type="radio" name="by" id="by-surprisal" '
        'aria-label="shade by surprisal">'
    )


def _toolbar(found: Telling, names: Sequence[str], unit: str) -> str:
    trace, factor = found.trace, convert_factor("nats", to=unit)
    surprisal = (
        f'<div class="by surprisal">{legend_bar(_TOP[unit], unit, signs=(1,))}</div>'
    )
    caption = "<b>surprisal</b>: how unexpected each character was"
    captions = f'<p class="caption by surprisal">{caption}</p>'
    if len(names) < 2:
        return f'<div class="toolbar">{surprisal}</div>{captions}'
    labels = "".join(
        f'<label for="by-{by}">{label}</label>'
        for by, label in (
            ("pull", "who pulled"),
            ("js", "disagreement"),
            ("surprisal", "surprisal"),
        )
    )
    bar = legend_bar(float(f"{_full_scale(trace) * factor:.3g}"), unit, signs=(1,))
    least = f"{PULLED_NATS * factor:.2g} {unit}"
    captions += (
        '<p class="caption by pull">marked: to whom the common prediction is nearest, '
        f"where members disagree by {least} or more</p>"
        '<p class="caption by js"><b>disagreement</b>: Jensen–Shannon divergence of '
        "what the members expected</p>"
    )
    return (
        f'<div class="toolbar"><div class="switch">{labels}</div>'
        f'<div class="by js">{bar}</div>{surprisal}</div>{captions}'
        f"{_members(trace, names)}"
    )


def _members(trace: Trace, names: Sequence[str]) -> str:
    shares = pulled_shares([trace], len(names))
    weights = trace.origin.decoding.get("weights") or []
    listed = "".join(
        f'<li><b class="p{look_of(number)}">{number + 1}</b>{safe(name)} '
        f"<small>{_weight(weights, number)}pulled {share:.0%} of the bytes</small></li>"
        for number, (name, share) in enumerate(zip(names, shares, strict=True))
    )
    return f'<ul class="members">{listed}</ul>'


def _weight(weights: Sequence[float | int], number: int) -> str:
    if number >= len(weights):
        return ""
    return f"weight {weights[number]:.3g}, "


def _full_scale(trace: Trace) -> float:
    """Where shades of disagreement end: what is possible with these weights."""
    weights = [w for w in trace.origin.decoding.get("weights") or () if w > 0.0]
    nats = -math.fsum(w * math.log(w) for w in weights)
    return nats if nats > 0.0 else math.log(2.0)


def _stop(trace: Trace) -> str:
    if trace.stop is None:
        return ""
    return f'<span class="stop">{STOPS[trace.stop]}</span>'


def _key(trace: Trace, marks: str) -> str:
    """What the text's other looks mean, as far as they occur."""
    meanings = [
        (bool((trace.segment == 0).any()), '<i class="dotted">dotted</i>: prompt'),
        (any(trace.labels), '<i class="boxed">boxed</i>: control token'),
        ("↵" in marks, "↵: line break"),
        ("⟨" in marks, "⟨e6⟩: a byte or character that cannot be shown, by its code"),
    ]
    listed = "".join(f"<li>{meaning}</li>" for there, meaning in meanings if there)
    return f'<ul class="key">{listed}</ul>' if listed else ""


def _strips(trace: Trace, names: Sequence[str]) -> str:
    if len(names) < 2 or not trace.scored.any():
        return ""
    scored = trace.scored
    weights = [
        trace.columns[f"weight[{number + 1}]"].values[scored].astype(np.float64)
        for number in range(len(names))
    ]
    pulled = pull_strip(pulled_by(trace)[scored], len(names))
    return (
        f'<figure class="strip"><figcaption>who pulled</figcaption>{pulled}</figure>'
        '<figure class="strip"><figcaption>weights</figcaption>'
        f"{weight_strip(weights)}</figure>"
    )


def _others(others: Sequence[str]) -> str:
    if not others:
        return ""
    listed = "".join(f"<li>{safe(text)}</li>" for text in others)
    word = "answer" if len(others) == 1 else "answers"
    return (
        f"<details><summary>{len(others)} more {word}</summary>"
        f'<ol class="others" start="2">{listed}</ol></details>'
    )


def _chart(trace: Trace, names: Sequence[str], unit: str) -> str:
    """Running means of what each member would have needed, and all of them together."""
    scored = np.flatnonzero(trace.scored)
    if not len(scored):
        return ""
    where = slice(int(scored[0]), int(scored[-1]) + 1)
    factor = convert_factor("nats", to=unit)
    window = max(w for w in _WINDOWS if w <= max(8, len(scored) // 12))
    lines = [
        (f"{number + 1}", -trace.columns[f"logp[{number + 1}]"].values, number)
        for number in range(len(names))
        if f"logp[{number + 1}]" in trace.columns
    ]
    positions = np.arange(where.start, where.stop)
    series = [
        Series(
            f"{digit}, mean of {window}",
            _held(running_mean(_of(values, where, factor), window=window), unit),
            positions,
            member_line(number),
            2.0,
            f"l{look_of(number)}",
        )
        for digit, values, number in lines
        if not np.isnan(values[where]).all()
    ]
    both = running_mean(_of(trace.surprisal, where, factor), window=window)
    label = "together" if series else "surprisal"
    series.append(
        Series(
            f"{label}, mean of {window}",
            _held(both, unit),
            positions,
            INK_HEX,
            1.5,
            "together",
        )
    )
    chart = line_chart(
        series,
        x_label="byte",
        y_label=f"{unit} per byte, ▲ above {_TOP[unit]:.0f}",
        width=420,
        height=300,
    )
    return f"<figure>{chart}</figure>"


def _of(values: np.ndarray, where: slice, factor: float) -> np.ndarray:
    return values[where].astype(np.float64) * factor


def _held(values: np.ndarray, unit: str) -> np.ndarray:
    return np.where(values > _TOP[unit], np.inf, values)


def _origin(trace: Trace) -> str:
    fields = trace.origin.to_dict()
    decoding = fields.pop("decoding")
    facts = {**fields, **{f"decoding: {key}": value for key, value in decoding.items()}}
    listed = "".join(
        f"<dt>{safe(key.replace('_', ' '))}</dt><dd>{safe(str(value))}</dd>"
        for key, value in facts.items()
        if value is not None
    )
    return (
        f"<details><summary>Where this text comes from</summary><dl>{listed}</dl>"
        "</details>"
    )
