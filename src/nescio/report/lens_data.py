"""The numbers of a lens for its page: columns for the script, a figure a curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.lens import LayerReading
from nescio.outcome import Estimate
from nescio.plot.colours import LINES
from nescio.plot.curve import Curve, curve_chart
from nescio.plot.panel import straight_axis
from nescio.report.calibration_html import Figure, Table, number_text
from nescio.units import convert_factor

__all__ = ["curve_figure", "lens_data"]

_TITLES = {
    "layer_entropy": "How unsure is each layer?",
    "kl_to_last_layer": "How far is each layer from the model’s answer?",
    "layer_surprisal": "How surprised is each layer at the text?",
    "settled_share": "For how many tokens is the answer there?",
}


def lens_data(reading: LayerReading, *, unit: str, tokens: int) -> dict[str, Any]:
    """Everything the card of a cell shows, a list a layer; the first tokens only.

    Information is in hundredths of the unit, shares in hundredths of a per cent, null
    is infinite. Each top candidate is a place in ``strings``.
    """
    part = slice(0, tokens)
    factor = 100.0 * convert_factor("nats", to=unit)
    ids, place = np.unique(reading.top_ids[:, part], return_inverse=True)
    of_id = {
        int(token): reading.top_text(layer, column)
        for layer in range(reading.layers)
        for column, token in enumerate(reading.top_ids[layer, part].tolist())
    }
    share = np.rint(1e4 * np.exp(np.minimum(reading.top_logp[:, part], 0.0)))
    return {
        "unit": unit,
        "layers": reading.layers,
        "text": [reading.trace.token_text(t) or "∅" for t in reading.tokens[part]],
        "place": reading.tokens[part].tolist(),
        "entropy": _whole(reading.entropy[:, part] * factor),
        "kl": _whole(reading.kl_to_last[:, part] * factor),
        "surprisal": _whole(reading.surprisal[:, part] * factor),
        "rank": reading.rank[:, part].tolist(),
        "settled": reading.settled[part].tolist(),
        "strings": [of_id[token] or "∅" for token in ids.tolist()],
        "top": place.reshape(reading.layers, -1).tolist(),
        "share": share.astype(np.int64).tolist(),
    }


def curve_figure(name: str, meaning: str, row: Sequence[Estimate]) -> Figure:
    """A measure by layer with its intervals, and a table of both."""
    values = np.array([_number(one.value) for one in row])
    low = np.array([_number(one.low) for one in row])
    high = np.array([_number(one.high) for one in row])
    known = bool(np.isfinite(low).all() and np.isfinite(high).all())
    unit = "" if row[0].unit == "1" else f", {row[0].unit}"
    curve = Curve(
        name.replace("_", " "),
        np.arange(len(row), dtype=np.float64),
        values,
        low if known else None,
        high if known else None,
        colour=LINES[0],
        dots=True,
    )
    svg = curve_chart(
        [curve],
        x=straight_axis("layer", 0, max(1, len(row) - 1)),
        y=f"{name.replace('_', ' ')}{unit}",
        size=(520, 300),
        described=f"{name.replace('_', ' ')} by layer",
    )
    rows = [
        (str(layer), number_text(value), number_text(below), number_text(above))
        for layer, (value, below, above) in enumerate(
            zip(values.tolist(), low.tolist(), high.tolist(), strict=True)
        )
    ]
    told = f" The band is the interval of each layer for {row[0].population}."
    if not known:
        told = f" {row[0].population[:1].upper()}{row[0].population[1:]}."
    table = Table(("layer", f"mean{unit}", "low", "high"), rows)
    sentence = f"{meaning[:1].upper()}{meaning[1:]}.{told}"
    return Figure(_TITLES.get(name, name), sentence, svg, table, "layer")


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _whole(values: Float[np.ndarray, "layers tokens"]) -> list[list[int | None]]:
    return [
        [round(value) if math.isfinite(value) else None for value in row]
        for row in values.tolist()
    ]
