"""The numbers of a trace as JSON for the page's script: columns, rounded once."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nescio.plot.colours import LEVELS
from nescio.trace import Candidates, Span, Trace
from nescio.units import convert_factor, unit_in
from nescio.visible import visible

__all__ = ["CANDIDATES", "json_island", "page_data"]

CANDIDATES = 10
"""How many candidates of a position a page shows."""
_MEASURES = (
    ("surprisal", "surprisal", "nats"),
    ("surprisal_drawn", "surprisal as drawn", "nats"),
    ("entropy", "entropy", "nats"),
    ("varentropy", "varentropy", "nats^2"),
)
"""Quantity, how it is called on the page, unit inside."""


def json_island(value: Any) -> str:
    r"""JSON that may stand inside a script element: nothing in it can end that.

    Example:
        >>> json_island({"a": "</script>"})
        '{"a":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def page_data(trace: Trace, units: Sequence[Span], *, unit: str) -> dict[str, Any]:
    """Everything the card of a token shows, one list per quantity.

    Numbers have the decimals that are shown. null is absent, and infinities are the
    strings ``"∞"`` and ``"−∞"``; an entropy that is known by its bounds is a string
    of both. Candidates are a list of text, hundredths of a per
    cent, text, ...; ``chosen`` says which of them the token is, -1: none.
    """
    tokens = range(len(trace))
    return {
        "unit": unit,
        "noun": trace.origin.symbol,
        "levels": LEVELS,
        "units": [span.last - span.first for span in units],
        "text": [trace.token_text(token) or "∅" for token in tokens],
        "id": None if trace.token_ids is None else trace.token_ids.tolist(),
        "context": _where_scored(trace, trace.context_used),
        "rank": _where_scored(trace, trace.rank),
        "probability": _probabilities(trace),
        "measures": _measures(trace, unit),
        "candidates": _candidates(trace),
        "chosen": _chosen(trace),
    }


def _measures(trace: Trace, unit: str) -> list[dict[str, Any]]:
    """Name, unit, decimals (null: as many as there are) and values of each.

    Where a token was drawn from the model itself, that surprisal stands there once.
    """
    arrays = {name: getattr(trace, name, None) for name, _, _ in _MEASURES}
    drawn = trace.logp_processed
    if drawn is not None and not np.array_equal(drawn, trace.logp, equal_nan=True):
        arrays["surprisal_drawn"] = -drawn
    measures: list[dict[str, Any]] = [
        {
            "name": label,
            "unit": unit_in(inside, to=unit).replace("^2", "²"),
            "decimals": 3,
            "values": _written(array * convert_factor(inside, to=unit), ".3f"),
        }
        for name, label, inside in _MEASURES
        if (array := arrays[name]) is not None
    ]
    bounds = _between(trace, unit)
    if bounds is not None:
        before = sum(measure["name"] != "varentropy" for measure in measures)
        entropy = {"name": "entropy", "unit": unit, "decimals": None, "values": bounds}
        measures.insert(before, entropy)
    columns = [
        {
            "name": visible(name),
            "unit": "" if column.unit == "1" else visible(column.unit),
            "decimals": None,
            "values": _written(column.values, ".4g"),
        }
        for name, column in trace.columns.items()
    ]
    return measures + columns


def _between(trace: Trace, unit: str) -> list[str | None] | None:
    """``"1.221–3.486"`` or ``"≥ 1.221"``, never rounded inwards by more than 1e-6."""
    if trace.entropy_low is None or trace.entropy_high is None:
        return None
    factor = 1e3 * convert_factor("nats", to=unit)
    low = np.floor(trace.entropy_low.astype(np.float64) * factor + 1e-3)
    high = np.ceil(trace.entropy_high.astype(np.float64) * factor - 1e-3)
    pairs = zip(low.tolist(), high.tolist(), strict=True)
    return [_span(below, above) for below, above in pairs]


def _span(low: float, high: float) -> str | None:
    """Of thousandths."""
    if math.isnan(low):
        return None
    below = f"{max(low, 0.0) / 1e3:.3f}"
    if math.isinf(high):
        return f"≥ {below}"
    return below if high <= low else f"{below}–{max(high, 0.0) / 1e3:.3f}"


def _written(values: np.ndarray, style: str) -> list[float | str | None]:
    return [_number(value, style) for value in values.astype(np.float64).tolist()]


def _number(value: float, style: str) -> float | str | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return float(format(value, style)) + 0.0


def _where_scored(trace: Trace, values: np.ndarray | None) -> list[int | None] | None:
    if values is None:
        return None
    pairs = zip(values.tolist(), trace.scored.tolist(), strict=True)
    return [value if scored else None for value, scored in pairs]


def _probabilities(trace: Trace) -> list[float | None]:
    """To three digits; a log-probability above 0 by rounding is 1."""
    return [
        None if math.isnan(logp) else float(f"{math.exp(min(logp, 0.0)):.3g}")
        for logp in trace.logp.astype(np.float64).tolist()
    ]


def _candidates(trace: Trace) -> list[list[str | int | None]] | None:
    candidates = trace.candidates
    if candidates is None:
        return None
    return [
        [
            item
            for shown, logp in candidates.at(token)[:CANDIDATES]
            for item in (shown or "∅", _share(logp))
        ]
        for token in range(len(trace))
    ]


def _share(logp: float) -> int | None:
    return None if math.isnan(logp) else round(1e4 * math.exp(min(logp, 0.0)))


def _chosen(trace: Trace) -> list[int] | None:
    """Which of the shown candidates the token is: by id, or else by its bytes."""
    candidates = trace.candidates
    if candidates is None:
        return None
    return [_place_of(trace, candidates, token) for token in range(len(trace))]


def _place_of(trace: Trace, candidates: Candidates, token: int) -> int:
    start, end = (int(edge) for edge in candidates.offsets[token : token + 2])
    places = range(start, min(end, start + CANDIDATES))
    if candidates.ids is not None and trace.token_ids is not None:
        wanted = int(trace.token_ids[token])
        same = (j for j in places if candidates.ids[j] == wanted)
    else:
        raw, edges = trace.token_bytes(token), candidates.byte_offsets
        spelled = (candidates.buffer[edges[j] : edges[j + 1]] for j in places)
        same = (
            j for j, text in zip(places, spelled, strict=True) if raw and text == raw
        )
    return next((j - start for j in same), -1)
