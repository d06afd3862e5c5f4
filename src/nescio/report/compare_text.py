"""A compared text as shaded HTML, and the numbers behind each mark."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.comparison import Compared, Stretches
from nescio.models.vocabulary import Vocabulary
from nescio.report.compare_style import full_scale, step
from nescio.report.trace_text import is_control, running_texts
from nescio.trace import Span, Trace
from nescio.units import convert_factor
from nescio.visible import visible_bytes

__all__ = ["Shading", "compare_data", "compare_marks", "shadings"]

_NO_TOKEN = -1


@dataclass(frozen=True, eq=False)
class Shading:
    """A quantity that shades the text.

    Args:
        by: its class name: ``kl``, ``difference`` or ``delta``.
        name: how it is called.
        meaning: in a sentence.
        values: of every token or stretch, in the page's unit; NaN where not scored.
        unit: of the values.
        top: where shades end.
        ochre: the sign of values that are ochre; the others are blue.
    """

    by: str
    name: str
    meaning: str
    values: Float[np.ndarray, " n"]
    unit: str
    top: float
    ochre: int


def shadings(text: Compared | Stretches, *, unit: str) -> tuple[Shading, ...]:
    """What a text can be shaded by: its stretches by their surprisal alone."""
    factor = convert_factor("nats", to=unit)
    apart = text.difference * factor
    what = "token" if isinstance(text, Compared) else "stretch"
    difference = Shading(
        "difference",
        "surprisal, B minus A",
        f"ochre: B finds the {what} less likely than A does; blue: more likely",
        apart,
        unit,
        full_scale(apart),
        1,
    )
    if isinstance(text, Stretches):
        return (difference,)
    kl = text.kl_forward * factor
    delta = np.where(text.scored, text.delta_p, math.nan)
    return (
        Shading(
            "kl",
            "KL(A‖B)",
            "how far B's prediction lies from A's, whatever token came",
            kl,
            unit,
            full_scale(kl),
            1,
        ),
        difference,
        Shading(
            "delta",
            "Δp, B minus A",
            "ochre: B gives the token less probability than A does; blue: more",
            delta,
            "",
            full_scale(delta),
            -1,
        ),
    )


def compare_marks(trace: Trace, shown: Sequence[Shading], spans: Sequence[Span]) -> str:
    """Each smallest piece of text as a ``mark``, with a class for each shading."""
    texts = running_texts(trace, spans)
    marks = "".join(
        _mark(trace, span, text, shown) for span, text in zip(spans, texts, strict=True)
    )
    return f'<span class="run completion" data-part="text">{marks}</span>'


def _mark(trace: Trace, span: Span, text: str, shown: Sequence[Shading]) -> str:
    classes = []
    for shading in shown:
        values = shading.values[span.first : span.last]
        level = step(_largest(values) * shading.ochre, shading.top)
        if level is not None:
            classes.append(f"{shading.by}{level}")
    if not trace.scored[span.first : span.last].all():
        classes.append("u")
    if is_control(trace, span):
        classes.append("c")
    escaped = html.escape(text, quote=False)
    return f'<mark class="{" ".join(classes)}">{escaped}</mark>'


def _largest(values: Float[np.ndarray, " n"]) -> float:
    """Of the tokens of one character, the value that is furthest from 0."""
    known = values[~np.isnan(values)]
    return float(known[np.abs(known).argmax()]) if len(known) else math.nan


def compare_data(
    text: Compared | Stretches,
    spans: Sequence[Span],
    *,
    unit: str,
    vocabulary: Vocabulary | None = None,
) -> dict[str, Any]:
    """What the card of a token or stretch shows, for the script of our pages."""
    trace = text.trace("reference")
    n = len(trace)
    common = {
        "unit": unit,
        "units": [span.last - span.first for span in spans],
        "text": [trace.token_text(token) or "∅" for token in range(n)],
        "rank": None,
    }
    if isinstance(text, Stretches):
        return common | _stretch_data(text, unit)
    return common | _token_data(text, unit, vocabulary)


def _token_data(
    text: Compared, unit: str, vocabulary: Vocabulary | None
) -> dict[str, Any]:
    factor = convert_factor("nats", to=unit)
    pairs = (np.exp(text.logp_reference), np.exp(text.logp_other))
    scored = text.scored.tolist()
    seen = zip(text.context_used.tolist(), scored, strict=True)
    return {
        "noun": text.reference.symbol,
        "id": text.token_ids.tolist(),
        "context": [count if there else None for count, there in seen],
        "probability": _arrows(*pairs),
        "measures": [
            _measure("B minus A", text.difference * factor, unit),
            _measure("surprisal, A", -text.logp_reference * factor, unit),
            _measure("surprisal, B", -text.logp_other * factor, unit),
            _measure("KL(A‖B)", text.kl_forward * factor, unit),
            _measure("KL(B‖A)", text.kl_backward * factor, unit),
            _measure("JS", text.js * factor, unit),
        ],
        "candidates": _firsts(text, pairs, vocabulary),
        "chosen": [_NO_TOKEN] * len(text),
    }


def _stretch_data(text: Stretches, unit: str) -> dict[str, Any]:
    factor = convert_factor("nats", to=unit)
    a, b = text.surprisal_reference, text.surprisal_other
    return {
        "noun": "stretch",
        "id": None,
        "context": [None] * len(text),
        "probability": _arrows(np.exp(-a), np.exp(-b)),
        "measures": [
            _measure("B minus A", text.difference * factor, unit),
            _measure("surprisal, A", a * factor, unit),
            _measure("surprisal, B", b * factor, unit),
            *(
                {"name": name, "unit": "", "decimals": None, "values": _cuts(text, t)}
                for name, t in zip(("cut by A", "cut by B"), text.traces, strict=True)
            ),
        ],
        "candidates": None,
        "chosen": None,
    }


def _measure(name: str, values: np.ndarray, unit: str) -> dict[str, Any]:
    written = [_number(value) for value in values.tolist()]
    return {"name": name, "unit": unit, "decimals": None, "values": written}


def _number(value: float) -> str | None:
    """Three digits, as text; None where absent."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value + 0.0:.3g}".replace("-", "−")


def _arrows(
    one: Float[np.ndarray, " n"], other: Float[np.ndarray, " n"]
) -> list[str | None]:
    pairs = zip(one.tolist(), other.tolist(), strict=True)
    return [None if math.isnan(a) else f"A {a:.3g}, B {b:.3g}" for a, b in pairs]


def _firsts(
    text: Compared,
    pairs: tuple[np.ndarray, np.ndarray],
    vocabulary: Vocabulary | None,
) -> list[list[str | int]]:
    """For each token its share under both models, and the first choice of each."""
    rows = []
    for token in range(len(text)):
        if not text.scored[token]:
            rows.append([])
            continue
        row: list[str | int] = []
        for side, name in enumerate("AB"):
            row += [f"{name}: this token", _hundredths(float(pairs[side][token]))]
        for side, name in enumerate("AB"):
            first = int(text.first_ids[side, token])
            share = math.exp(float(text.first_logp[side, token]))
            row += [f"{name} first: {_spelled(first, vocabulary)}", _hundredths(share)]
        rows.append(row)
    return rows


def _hundredths(share: float) -> int:
    return round(1e4 * min(share, 1.0))


def _spelled(token: int, vocabulary: Vocabulary | None) -> str:
    if vocabulary is None:
        return f"id {token}"
    label = vocabulary.label(token)
    return visible_bytes((label or "").encode() or vocabulary.token(token))


def _cuts(text: Stretches, trace: Trace) -> list[str]:
    """The tokens inside each stretch, with bars between them."""
    firsts = np.searchsorted(trace.offsets[:-1], text.offsets[:-1])
    ends = np.append(firsts[1:], len(trace))
    return [
        "|".join(map(trace.token_text, range(first, end)))
        for first, end in zip(firsts.tolist(), ends.tolist(), strict=True)
    ]
