"""A trace as one HTML file that needs nothing else: no network, no server."""

from __future__ import annotations

from collections.abc import Mapping

from nescio.drift.watched import Watched
from nescio.errors import InvalidInput
from nescio.outcome import Estimate
from nescio.outcome.estimate import nescio_version
from nescio.plot import scale_bar
from nescio.report.estimates_html import estimates_table, recipes, safe
from nescio.report.style import script, style_sheet
from nescio.report.trace_chart import has_entropy, trace_chart
from nescio.report.trace_data import json_island, page_data
from nescio.report.trace_text import heat_map
from nescio.report.trace_watched import alarm_note, watched_chart
from nescio.trace import Trace, units
from nescio.units import INFORMATION_UNITS

__all__ = ["trace_page"]

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)
STOPS = {
    "eos": "the model ended its text",
    "length": "stopped at the longest length asked for",
    "stop_string": "stopped at a stop text",
    "alarm": "stopped by an alarm",
    "cancelled": "cancelled",
    "error": "ended by an error",
}


def trace_page(
    trace: Trace,
    estimates: Mapping[str, Estimate],
    *,
    unit: str = "bits",
    title: str | None = None,
    links: Mapping[str, str] | None = None,
    watched: Watched | None = None,
) -> str:
    """A complete HTML document: the text shaded by surprise, its numbers, a chart.

    Everything is inside the file; its policy forbids any request. Text, labels and
    names are escaped, and controls and direction marks are shown, not obeyed.

    Args:
        trace: one generation or scored text.
        estimates: name to estimate, shown in this order and in their own units.
        unit: of the numbers per token, ``"bits"`` or ``"nats"``.
        title: of the page; None names the model.
        links: title to address of pages that belong with this one.
        watched: what an alarm saw of it: the healthy band, the alarm, repetitions.

    Raises:
        InvalidInput: another unit.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:coin"), "HTHH")
        >>> page = trace_page(trace, {"perplexity": nescio.perplexity(trace)})
        >>> page.startswith("<!doctype html>")
        True
    """
    if unit not in INFORMATION_UNITS:
        raise InvalidInput(f"unit is {unit!r}: choose one of {INFORMATION_UNITS}")
    shown = units(trace)
    name = title if title is not None else f"What {trace.origin.model} expected"
    summary = estimates_table(estimates) if estimates else ""
    text, what = heat_map(trace, shown, watched), trace.origin.symbol
    data = json_island(page_data(trace, shown, unit=unit))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{safe(name)}</title>
<style>
{style_sheet()}
</style>
</head>
<body>
<header>
<h1>{safe(name)}</h1>
{_facts(trace)}{_navigation(links or {}, name)}
</header>
{summary}
<main>
{_switch(trace)}
<section class="reading">
{_toolbar(trace, unit)}{alarm_note(watched)}
<div id="text" tabindex="0" role="group" aria-label="the text, {what} by {what}; \
arrow keys move" dir="auto" translate="no">{text}{_stop(trace)}</div>
{_key(trace, text, watched)}
</section>
<aside>
{_figure(trace, unit, watched)}
<div id="card" aria-live="polite"><p class="hint">Point at a {what} or at the chart, \
or use the arrow keys in the text, to see what the model expected there.</p></div>
</aside>
</main>
<footer>
{recipes(estimates)}
{_origin(trace)}
<p>Made by nescio {safe(nescio_version())}</p>
</footer>
<script type="application/json" id="trace-data">{data}</script>
<script>
{script("page.js")}
</script>
</body>
</html>
"""


def _navigation(links: Mapping[str, str], here: str) -> str:
    others = (
        f"<b>{safe(title)}</b>"
        if title == here
        else f'<a href="{safe(address)}">{safe(title)}</a>'
        for title, address in links.items()
    )
    return f"<nav>{' · '.join(others)}</nav>" if links else ""


def _facts(trace: Trace) -> str:
    origin = trace.origin
    scored = int(trace.scored.sum())
    tokens = f"{len(trace):,}"
    if scored < len(trace):
        tokens += f", {scored:,} scored"
    before = origin.conditioned_on
    facts = [
        ("model", origin.model),
        ("engine", origin.engine),
        ("precision", origin.precision),
        ("conditioned on", "nothing" if before is None else before),
        *([("tokens", tokens)] if origin.symbol == "token" else []),
        ("bytes", f"{len(trace.buffer):,}"),
    ]
    if trace.stop is not None:
        facts.append(("end", STOPS[trace.stop]))
    listed = "".join(
        f"<div><dt>{key}</dt><dd>{safe(value)}</dd></div>" for key, value in facts
    )
    return f'<dl class="facts">{listed}</dl>'


def _switch(trace: Trace) -> str:
    """Which quantity shades the text; works without scripts."""
    if not has_entropy(trace):
        return '<input type="radio" name="by" id="by-surprisal" checked hidden>'
    return (
        '<input type="radio" name="by" id="by-surprisal" checked '
        'aria-label="shade by surprisal">'
        '<input type="radio" name="by" id="by-entropy" '
        'aria-label="shade by entropy">'
    )


def _toolbar(trace: Trace, unit: str) -> str:
    what = trace.origin.symbol
    labels, captions = "", f"<b>surprisal</b>: how unexpected each {what} was"
    captions = f'<p class="caption surprisal">{captions}</p>'
    if has_entropy(trace):
        least = ""
        if trace.entropy is None:
            least = ", at the least: only its bounds are known, the band in the chart"
        labels = (
            '<div class="switch"><label for="by-surprisal">surprisal</label>'
            '<label for="by-entropy">entropy</label></div>'
        )
        captions += (
            '<p class="caption entropy"><b>entropy</b>: how unsure the model was '
            f"before each {what}{least}</p>"
        )
    return (
        f'<div class="toolbar">{labels}{scale_bar(unit=unit, width=280)}</div>'
        f"{captions}"
    )


def _stop(trace: Trace) -> str:
    if trace.stop is None:
        return ""
    return f'<span class="stop">{STOPS[trace.stop]}</span>'


def _key(trace: Trace, text: str, watched: Watched | None) -> str:
    """What the text's other looks mean, as far as they occur."""
    control = any(trace.labels) or bool((trace.byte_counts == 0).any())
    repeats = watched is not None and bool(watched.repeats.any())
    off = watched is not None and watched.token is not None
    meanings = [
        (off, '<i class="off">framed</i>: set the alarm off'),
        (repeats, '<i class="again">underlined</i>: came just so not long before'),
        (not trace.scored.all(), '<i class="grey">grey</i>: not scored'),
        (bool((trace.segment == 0).any()), '<i class="dotted">dotted</i>: prompt'),
        (control, '<i class="boxed">boxed</i>: control token'),
        ("↵" in text, "↵: line break"),
        ("⟨" in text, "⟨e6⟩: a byte or character that cannot be shown, by its code"),
    ]
    listed = "".join(f"<li>{meaning}</li>" for there, meaning in meanings if there)
    return f'<ul class="key">{listed}</ul>' if listed else ""


def _figure(trace: Trace, unit: str, watched: Watched | None) -> str:
    charts = [trace_chart(trace, unit=unit, width=420, height=300)]
    if watched is not None:
        charts.append(watched_chart(trace, watched, unit=unit, width=420, height=220))
    return "".join(f"<figure>{chart}</figure>" for chart in charts if chart)


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
        f"<details><summary>Where this trace comes from</summary><dl>{listed}</dl>"
        "</details>"
    )
