"""The layer lens as one HTML file: what each layer would have said, token by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nescio.errors import InvalidInput
from nescio.lens import LayerReading
from nescio.lens.measures import LAYER_MEASURES
from nescio.outcome import Estimate
from nescio.outcome.estimate import nescio_version
from nescio.palette import FULL_SCALE_NATS
from nescio.plot.colours import LEVELS
from nescio.plot.layer_map import (
    KL_SCALE_NATS,
    STRIP,
    layer_map,
    layer_scale,
    shade_levels,
    strip_width,
)
from nescio.report.calibration_html import figure_html
from nescio.report.estimates_html import estimates_table, recipes, safe
from nescio.report.lens_data import curve_figure, lens_data
from nescio.report.style import script, style_sheet
from nescio.report.trace_data import json_island
from nescio.report.trace_page import POLICY, STOPS
from nescio.units import INFORMATION_UNITS, unit_in

__all__ = ["MOST_TOKENS", "lens_page"]

_LARGER = 1.25  # than the map's own pixels, where there is room
MOST_TOKENS = 600
"""So many tokens a page shows, unless told; each costs some kilobytes."""


def lens_page(
    reading: LayerReading,
    estimates: Mapping[str, Estimate],
    curves: Mapping[str, Sequence[Estimate]] | None = None,
    *,
    unit: str = "bits",
    title: str | None = None,
    most: int = MOST_TOKENS,
) -> str:
    """A complete HTML document: layers by tokens, curves by layer, the numbers.

    Everything is inside the file; its policy forbids any request. Text, labels and
    names are escaped, and controls and direction marks are shown, not obeyed. The map
    can be read by pointing and by keyboard; it shows entropy or KL to the last layer.

    Args:
        reading: of one text or one answer.
        estimates: name to estimate, shown in this order and in their own units.
        curves: as `nescio.lens.layer_curves` gives them; None for no charts.
        unit: of information, ``"bits"`` or ``"nats"``.
        title: of the page; None names the model.
        most: so many tokens are shown at most, the first ones; the page says so.

    Raises:
        InvalidInput: another unit, fewer than 1 token to show.
    """
    if unit not in INFORMATION_UNITS:
        raise InvalidInput(f"unit is {unit!r}: choose one of {INFORMATION_UNITS}")
    if most < 1:
        raise InvalidInput(f"most is {most}: at least 1 token is shown")
    origin = reading.trace.origin
    name = (
        title if title is not None else f"What each layer of {origin.model} would say"
    )
    shown = min(most, len(reading.tokens))
    data = json_island(lens_data(reading, unit=unit, tokens=shown))
    figures = "".join(
        figure_html(curve_figure(key, LAYER_MEASURES[key].meaning, _in(row, unit)))
        for key, row in (curves or {}).items()
    )
    told = {key: _converted(one, unit) for key, one in estimates.items()}
    return f"""<!doctype html>
<html lang="en">
{_head(name)}<body>
<header>
<h1>{safe(name)}</h1>
{_facts(reading)}
</header>
{estimates_table(told) if told else ""}
<main>
<input type="radio" name="by" id="by-entropy" checked aria-label="shade by entropy">
<input type="radio" name="by" id="by-kl" aria-label="shade by KL to the last layer">
<section>
{_toolbar(unit)}
<div id="map" tabindex="0" role="group" aria-label="layers by tokens; arrow keys \
move" translate="no">{_strips(reading, shown)}</div>
{_key(reading, shown)}
</section>
<aside>
<div id="card" aria-live="polite"><p class="hint">Point at a cell, or use the arrow \
keys in the map, to see what each layer would have said there.</p></div>
</aside>
</main>
<div class="charts"><main class="figures">{figures}</main></div>
<footer>
<details><summary>Recipes</summary>{recipes(told)}</details>
{_settings(reading)}
<p>Made by nescio {safe(nescio_version())}</p>
</footer>
<script type="application/json" id="lens-data">{data}</script>
<script>
{script("lens.js")}
{script("calibration.js")}
</script>
</body>
</html>
"""


def _head(title: str) -> str:
    return f"""<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{safe(title)}</title>
<style>
{style_sheet()}
{script("calibration.css")}
{script("lens.css")}
{_shades()}
</style>
</head>
"""


def _shades() -> str:
    steps = range(LEVELS + 1)
    return "".join(
        f".layers .c{step},.layers-key .c{step}{{stroke:var(--k{step})}}"
        for step in steps
    )


def _in(row: Sequence[Estimate], unit: str) -> list[Estimate]:
    return [_converted(one, unit) for one in row]


def _converted(estimate: Estimate, unit: str) -> Estimate:
    """In the unit asked for, if it is a quantity of information."""
    try:
        unit_in(estimate.unit, to=unit)
    except InvalidInput:
        return estimate
    return estimate.to(unit)


def _facts(reading: LayerReading) -> str:
    trace, settings = reading.trace, reading.settings
    origin = trace.origin
    before = origin.conditioned_on
    ends = settings.get("before_head") or ["nothing"]
    facts = [
        ("model", origin.model),
        ("architecture", str(settings.get("architecture", "–"))),
        ("blocks", f"{reading.layers - 1}"),
        ("between the last block and the head", ", ".join(map(str, ends))),
        ("precision", origin.precision),
        ("conditioned on", "nothing" if before is None else before),
        ("tokens", f"{len(reading.tokens):,}"),
    ]
    if trace.stop is not None:
        facts.append(("end", STOPS[trace.stop]))
    listed = "".join(
        f"<div><dt>{key}</dt><dd>{safe(value)}</dd></div>" for key, value in facts
    )
    return f'<dl class="facts">{listed}</dl>'


def _toolbar(unit: str) -> str:
    return (
        '<div class="toolbar"><div class="switch">'
        '<label for="by-entropy">entropy</label>'
        '<label for="by-kl">KL to the last layer</label></div>'
        f"{layer_scale(FULL_SCALE_NATS, unit=unit, name='entropy')}"
        f"{layer_scale(KL_SCALE_NATS, unit=unit, name='kl')}</div>"
        '<p class="caption entropy"><b>entropy</b>: how unsure the model would be if '
        "it ended after this layer</p>"
        '<p class="caption kl"><b>KL to the last layer</b>: how far that prediction '
        "lies from the model's own; 0 in the last layer</p>"
    )


def _strips(reading: LayerReading, shown: int) -> str:
    levels = {
        "entropy": shade_levels(reading.entropy),
        "kl": shade_levels(reading.kl_to_last, top=KL_SCALE_NATS),
    }
    labels = [
        reading.trace.token_text(token) or "∅" for token in reading.tokens[:shown]
    ]
    strips = []
    for first in range(0, shown, STRIP):
        part = slice(first, min(first + STRIP, shown))
        drawn = layer_map(
            {name: grid[:, part] for name, grid in levels.items()},
            settled=reading.settled[part],
            labels=labels[part],
            first=first,
        )
        wide = _LARGER * strip_width(part.stop - first)
        strips.append(f'<figure style="width:{wide:.0f}px">{drawn}</figure>')
    return "".join(strips)


def _key(reading: LayerReading, shown: int) -> str:
    left_out = len(reading.tokens) - shown
    lines = [
        '<i class="line"></i>from here upwards the top candidate is the model’s own',
        "the numbers on the left are layers: 0 the embedding, the highest the model",
    ]
    if left_out:
        lines.append(f"the first {shown:,} tokens; {left_out:,} more are not shown")
    listed = "".join(f"<li>{line}</li>" for line in lines)
    return f'<ul class="key">{listed}</ul>'


def _settings(reading: LayerReading) -> str:
    fields = reading.trace.origin.to_dict()
    decoding = fields.pop("decoding")
    facts = {**fields, **{f"decoding: {key}": value for key, value in decoding.items()}}
    listed = "".join(
        f"<dt>{safe(key.replace('_', ' '))}</dt><dd>{safe(str(value))}</dd>"
        for key, value in facts.items()
        if value is not None
    )
    return (
        f"<details><summary>Where this comes from</summary><dl>{listed}</dl></details>"
    )
