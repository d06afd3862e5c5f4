"""A comparison as one HTML file: where two models differ, by how much, how surely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nescio.comparison import Compared, Comparison, Stretches
from nescio.errors import InvalidInput
from nescio.models.vocabulary import Vocabulary
from nescio.outcome.estimate import nescio_version
from nescio.plot import Series, line_chart, running_mean
from nescio.plot.colours import LIGHT
from nescio.report.compare_numbers import headline, in_unit, percentile_cells
from nescio.report.compare_style import compare_rules, legend_bar
from nescio.report.compare_text import (
    Shading,
    compare_data,
    compare_marks,
    shadings,
)
from nescio.report.estimates_html import estimates_table, recipes, safe
from nescio.report.style import script, style_sheet
from nescio.report.trace_data import json_island
from nescio.report.trace_page import POLICY
from nescio.trace import Origin, units
from nescio.units import INFORMATION_UNITS, convert_factor

__all__ = ["comparison_page"]

_WINDOWS = (8, 16, 32, 64, 128, 256, 512)


def comparison_page(
    comparison: Comparison,
    *,
    unit: str = "bits",
    title: str | None = None,
    vocabulary: Vocabulary | None = None,
) -> str:
    """A complete HTML document: the text shaded by where the models differ.

    The reference is A, the other model B. Everything is inside the file; its policy
    forbids any request. Text and names are escaped, and controls are shown.

    Args:
        comparison: of one text.
        unit: of information, ``"bits"`` or ``"nats"``.
        title: of the page; None names the models.
        vocabulary: of both models, to spell what either expected first; None shows
            ids.

    Raises:
        InvalidInput: another unit, or a comparison over several texts.

    Example:
        >>> import nescio
        >>> from nescio.comparison import compare
        >>> coin = nescio.load("table:coin")
        >>> comparison_page(compare(coin, coin, "HTHH")).startswith("<!doctype html>")
        True
    """
    if unit not in INFORMATION_UNITS:
        raise InvalidInput(f"unit is {unit!r}: choose one of {INFORMATION_UNITS}")
    if len(comparison.texts) != 1:
        raise InvalidInput(
            f"a page shows one text, not {len(comparison.texts)}: compare them apart"
        )
    (text,) = comparison.texts
    trace = text.trace("reference")
    spans, shown = units(trace), shadings(text, unit=unit)
    estimates = in_unit(comparison.estimates, unit)
    beside = f"{comparison.other.model} beside {comparison.reference.model}"
    name = beside if title is None else title
    marks = compare_marks(trace, shown, spans)
    data = compare_data(text, spans, unit=unit, vocabulary=vocabulary)
    what = data["noun"]
    return f"""<!doctype html>
<html lang="en">
{_head(name)}
<body>
<header>
<h1>{safe(name)}</h1>
{_facts(comparison)}
</header>
{estimates_table(headline(estimates))}
{_percentiles(percentile_cells(estimates), unit, comparison.reference.symbol)}
<main>
{_switch(shown)}
<section class="reading">
{_toolbar(shown)}
<div id="text" tabindex="0" role="group" aria-label="the text, {what} by {what}; \
arrow keys move" dir="auto" translate="no">{marks}</div>
{_key(text, marks)}
</section>
<aside>
<figure>{_chart(text, unit)}</figure>
<div id="card" aria-live="polite"><p class="hint">Point at a {what} or at the chart, \
or use the arrow keys in the text, to see what both models made of it.</p></div>
</aside>
</main>
<footer>
<details><summary>Recipes</summary>{recipes(estimates)}</details>
{_origin("A, the reference", comparison.reference)}
{_origin("B", comparison.other)}
<p>Made by nescio {safe(nescio_version())}</p>
</footer>
<script type="application/json" id="trace-data">{json_island(data)}</script>
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
{compare_rules()}
</style>
</head>"""


def _facts(comparison: Comparison) -> str:
    counts = comparison.counts
    facts = [
        ("A, the reference", _described(comparison.reference)),
        ("B", _described(comparison.other)),
    ]
    if comparison.same_vocabulary:
        tokens = f"{counts['tokens']:,}, {counts['scored_tokens']:,} scored by both"
        facts.append((f"{comparison.reference.symbol}s", tokens))
        infinite = counts["infinite_kl"]
        if infinite:
            where = f"at {infinite:,} {comparison.reference.symbol}s"
            facts.append(("infinite KL(A‖B)", where))
    else:
        cut = f"{counts['tokens_reference']:,} by A, {counts['tokens_other']:,} by B"
        facts.append(("tokens", cut))
        facts.append(("stretches between shared edges", f"{counts['stretches']:,}"))
    facts.append(("bytes", f"{counts['bytes']:,}, {counts['scored_bytes']:,} scored"))
    listed = "".join(
        f"<div><dt>{safe(key)}</dt><dd>{safe(value)}</dd></div>" for key, value in facts
    )
    return f'<dl class="facts">{listed}</dl>'


def _described(origin: Origin) -> str:
    return f"{origin.model} ({origin.engine}, {origin.precision})"


def _percentiles(rows: Sequence[tuple[str, ...]], unit: str, symbol: str) -> str:
    if not rows:
        return ""
    heads = (f"of the {symbol}s", f"KL(A‖B), {unit}", "Δp, B minus A")
    head = "".join(f'<th scope="col">{safe(title)}</th>' for title in heads)
    body = "".join(
        f'<tr><th scope="row">{safe(label)}</th>'
        f"{''.join(f'<td>{safe(cell)}</td>' for cell in cells)}</tr>"
        for label, *cells in rows
    )
    return (
        '<details class="more"><summary>Percentiles</summary>'
        f'<table class="percentiles"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></details>"
    )


def _switch(shown: Sequence[Shading]) -> str:
    """Which quantity shades the text; works without scripts."""
    hidden = " hidden" if len(shown) == 1 else ""
    return "".join(
        f'<input type="radio" name="by" id="by-{one.by}"{" checked" * (not number)}'
        f'{hidden} aria-label="shade by {safe(one.name)}">'
        for number, one in enumerate(shown)
    )


def _toolbar(shown: Sequence[Shading]) -> str:
    labels = "".join(
        f'<label for="by-{one.by}">{safe(one.name)}</label>' for one in shown
    )
    switch = f'<div class="switch">{labels}</div>' if len(shown) > 1 else ""
    bars = "".join(f'<div class="by {one.by}">{_bar(one)}</div>' for one in shown)
    captions = "".join(
        f'<p class="caption by {one.by}"><b>{safe(one.name)}</b>: '
        f"{safe(one.meaning)}</p>"
        for one in shown
    )
    return f'<div class="toolbar">{switch}{bars}</div>{captions}'


def _bar(one: Shading) -> str:
    signs = (1,) if one.by == "kl" else (-one.ochre, one.ochre)
    return legend_bar(one.top, one.unit, signs=signs)


def _key(text: Compared | Stretches, marks: str) -> str:
    """What the text's other looks mean, as far as they occur."""
    meanings = [
        (not text.scored.all(), '<i class="grey">grey</i>: not scored by both'),
        ("↵" in marks, "↵: line break"),
        ("⟨" in marks, "⟨e6⟩: a byte or character that cannot be shown, by its code"),
    ]
    listed = "".join(f"<li>{meaning}</li>" for there, meaning in meanings if there)
    return f'<ul class="key">{listed}</ul>' if listed else ""


def _chart(text: Compared | Stretches, unit: str) -> str:
    """Running means of the difference of surprisal, and of the divergence."""
    factor = convert_factor("nats", to=unit)
    scored = np.flatnonzero(text.scored)
    where = slice(int(scored[0]), int(scored[-1]) + 1)
    window = max(w for w in _WINDOWS if w <= max(8, len(scored) // 12))
    what = text.reference.symbol if isinstance(text, Compared) else "stretch"
    lines = [(f"B minus A, mean of {window}", text.difference, "surprisal")]
    if isinstance(text, Compared):
        lines.append((f"KL(A‖B), mean of {window}", text.kl_forward, "entropy"))
    series = [
        Series(
            name,
            running_mean(values[where] * factor, window=window),
            np.arange(where.start, where.stop),
            LIGHT[style],
            2.0,
            f"mean {style}",
        )
        for name, values, style in lines
        if not np.isnan(values[where]).all()
    ]
    if not series:
        return ""
    return line_chart(
        series,
        x_label=what,
        y_label=f"{unit} per {what}",
        width=420,
        height=300,
    )


def _origin(name: str, origin: Origin) -> str:
    fields = origin.to_dict()
    decoding = fields.pop("decoding")
    facts = {**fields, **{f"decoding: {key}": value for key, value in decoding.items()}}
    listed = "".join(
        f"<dt>{safe(key.replace('_', ' '))}</dt><dd>{safe(str(value))}</dd>"
        for key, value in facts.items()
        if value is not None
    )
    return (
        f"<details><summary>Where the numbers of {safe(name)} come from</summary>"
        f"<dl>{listed}</dl></details>"
    )
