"""A text that several models wrote, as marked HTML, and the numbers behind it."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from nescio.decoding.joined import Together
from nescio.ensemble.telling import Telling
from nescio.plot.colours import level
from nescio.report.ensemble_numbers import pulled_by
from nescio.report.ensemble_style import look_of, step
from nescio.report.trace_data import page_data
from nescio.report.trace_text import is_control, part_of, running_texts
from nescio.trace import Span, Trace
from nescio.units import convert_factor
from nescio.visible import visible_bytes

__all__ = ["member_data", "member_marks"]

_SHOWN = 4
"""How many symbols of each member's prediction a card has."""
_END = 256


def member_marks(trace: Trace, spans: Sequence[Span], *, top: float | int) -> str:
    """Each character as a ``mark`` inside the stretch of the text it belongs to.

    A mark's classes: ``p1`` to ``p4`` who pulled, ``d0`` to ``d48`` how far members
    disagree, ``s0`` to ``s48`` surprisal, ``u`` unscored, ``c`` a control token.

    Args:
        trace: with its columns.
        spans: its characters.
        top: the disagreement where shades end, nats.
    """
    who = pulled_by(trace)
    texts = running_texts(trace, spans)
    runs = groupby(
        zip(spans, texts, strict=True), key=lambda pair: part_of(trace, pair[0].first)
    )
    return "".join(
        f'<span class="run {part.split()[0]}" data-part="{part}">'
        f"{''.join(_mark(trace, span, text, who=who, top=top) for span, text in run)}"
        "</span>"
        for part, run in runs
    )


def _mark(
    trace: Trace, span: Span, text: str, *, who: np.ndarray, top: float | int
) -> str:
    places = slice(span.first, span.last)
    classes = []
    apart = trace.columns.get("disagreement")
    if span.surprisal is None:
        classes.append("u")
    else:
        classes.append(f"s{level(span.surprisal)}")
        widest = 0
        if apart is not None:
            values = apart.values[places]
            widest = int(np.nan_to_num(values, nan=-1.0).argmax())
            shade = step(float(values[widest]), top)
            classes += [] if shade is None else [f"d{shade}"]
        member = int(who[span.first + widest])
        classes += [] if member < 0 else [f"p{look_of(member)}"]
    if is_control(trace, span):
        classes.append("c")
    escaped = html.escape(text, quote=False)
    return f'<mark class="{" ".join(classes)}">{escaped}</mark>'


def member_data(found: Telling, spans: Sequence[Span], *, unit: str) -> dict[str, Any]:
    """What the card of a byte shows: beside its own numbers those of every member."""
    trace = found.trace
    data = page_data(trace, spans, unit=unit)
    told = [*([None] * (len(trace) - len(found.said))), *found.said]
    members = sum(name.startswith("weight[") for name in trace.columns)
    own = [one for one in data["measures"] if one["name"] not in trace.columns]
    data["measures"] = own + _measures(trace, members, unit)
    data["candidates"] = [_firsts(one) or _own(data, i) for i, one in enumerate(told)]
    data["chosen"] = [-1] * len(trace)
    return data


def _measures(trace: Trace, members: int, unit: str) -> list[dict[str, Any]]:
    factor = convert_factor("nats", to=unit)
    columns = trace.columns

    def one(name: str, column: str, scale: float = 1.0, what: str = "") -> Any:
        values = [_shown(v * scale) for v in columns[column].values.tolist()]
        return {"name": name, "unit": what, "decimals": None, "values": values}

    rows = []
    if members:
        rows.append(one("disagreement", "disagreement", factor, unit))
    for number in range(1, members + 1):
        rows.append(one(f"surprisal of {number}", f"logp[{number}]", -factor, unit))
        rows.append(one(f"weight of {number}", f"weight[{number}]"))
    rows.append(one("spellings followed", "branches"))
    rows.append(one("spellings lost, about", "missing"))
    return rows


def _shown(value: float) -> str | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value + 0.0:.3g}".replace("-", "−")


def _firsts(told: tuple[Together, int] | None) -> list[str | int]:
    """What each member expected most: the symbol, and its probability in hundredths."""
    if told is None:
        return []
    said, row = told
    members = said.top_ids.shape[1]
    flat: list[str | int] = []
    for member in range(members):
        name = f"{member + 1}: " if members > 1 else ""
        pairs = zip(
            said.top_ids[row, member].tolist(),
            said.top_logp[row, member].tolist(),
            strict=True,
        )
        for symbol, logp in list(pairs)[:_SHOWN]:
            if logp > -math.inf:
                flat += [
                    f"{name}{_spelled(symbol)}",
                    round(1e4 * math.exp(min(logp, 0))),
                ]
    return flat


def _own(data: dict[str, Any], token: int) -> list[str | int]:
    candidates = data["candidates"]
    return candidates[token] if candidates else []


def _spelled(symbol: int) -> str:
    return "end" if symbol == _END else visible_bytes(bytes([symbol]))
