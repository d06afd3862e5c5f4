"""What is printed and written of a trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nescio.cli.options import Quantity, Unit, console, print_json, write_atomically
from nescio.trace.trace import SEGMENTS
from nescio.units import convert_factor
from nescio.visible import visible

if TYPE_CHECKING:
    from nescio.decoding import Stream
    from nescio.outcome import Estimate
    from nescio.trace import Trace

__all__ = ["Shown", "paint", "paint_stream", "show", "summed_up"]


@dataclass(frozen=True)
class Shown:
    """What is printed and written of a trace."""

    unit: Unit = Unit.bits
    by: Quantity = Quantity.surprisal
    as_json: bool = False
    out: Path | None = None
    html: Path | None = None
    svg: Path | None = None
    seed: int = 0


def show(found: Trace, shown: Shown) -> None:
    """Print the summary of a trace, or its JSON, and write its files."""
    from nescio.report import estimates_json, summary_table, trace_page, trace_picture
    from nescio.trace import write_traces

    estimates = summed_up(found, shown.unit, seed=shown.seed)
    if shown.html is not None:
        page = trace_page(found, estimates, unit=shown.unit.value)
        write_atomically(shown.html, lambda p: p.write_text(page, encoding="utf-8"))
    if shown.svg is not None:
        by, unit = shown.by.value, shown.unit.value
        picture = trace_picture(found, by=by, unit=unit)
        write_atomically(shown.svg, lambda p: p.write_text(picture, encoding="utf-8"))
    if shown.out is not None:
        write_atomically(shown.out, lambda p: write_traces(p, [found]))
    if shown.as_json:
        print_json(
            estimates_json(estimates, _counts(found), _items(found, shown.unit.value))
            | {"origin": found.origin.to_dict(), "stop": found.stop}
        )
        return
    console().print(summary_table(estimates))
    for path in (shown.html, shown.svg, shown.out):
        if path is not None:
            console(stderr=True).print(visible(f"written: {path}"))


def summed_up(found: Trace, unit: Unit, *, seed: int = 0) -> Mapping[str, Estimate]:
    """Every likelihood measure of a trace, in the unit asked for."""
    from nescio.information import summary

    return {
        name: estimate.to(unit.value) if _is_information(estimate) else estimate
        for name, estimate in summary([found], seed=seed).items()
    }


def paint(found: Trace, shown: Shown) -> None:
    """Print a text shaded token by token."""
    from nescio.report import Painter

    painter = Painter(console(), shown.unit.value, by=shown.by.value)
    entropy = found.entropy_low if found.entropy is None else found.entropy
    measured = found.surprisal if shown.by is Quantity.surprisal else entropy
    for token in range(len(found)):
        value = None if measured is None else float(measured[token])
        label = found.labels.get(token)
        painter.token(found.token_bytes(token), value, label=label)
    painter.close()
    painter.legend()


def paint_stream(tokens: Stream, shown: Shown) -> Trace:
    """Print an answer shaded token by token as it is drawn, and its entropy rate."""
    from nescio.report import Painter, running

    painter = Painter(console(), shown.unit.value, by=shown.by.value)
    total, count = 0.0, 0
    for event in tokens:
        total, count = total + event.entropy, count + 1
        value = -event.logp if shown.by is Quantity.surprisal else event.entropy
        painter.token(event.buffer, value, label=event.label)
    painter.close()
    painter.legend()
    mean = total / count if count else None
    console().print(running(mean, tokens=count, unit=shown.unit.value))
    return tokens.trace


def _is_information(estimate: Estimate) -> bool:
    return "nats" in estimate.unit or "bits" in estimate.unit


def _counts(found: Trace) -> dict[str, int]:
    scored = found.scored
    return {
        "tokens": len(found),
        "scored_tokens": int(scored.sum()),
        "bytes": len(found.buffer),
        "scored_bytes": int(found.byte_counts[scored].sum()),
        "characters": len(found.text),
    }


def _items(found: Trace, unit: str) -> list[dict[str, Any]]:
    """One object a token; ``text`` is None where the bytes are half a character."""
    factor = convert_factor("nats", to=unit)
    n = len(found)
    nothing: list[Any] = [None] * n
    ids = nothing if found.token_ids is None else found.token_ids.tolist()
    ranks = nothing if found.rank is None else found.rank.tolist()
    surprisal = (found.surprisal.astype(float) * factor).tolist()
    entropy = nothing
    if found.entropy is not None:
        entropy = (found.entropy.astype(float) * factor).tolist()
    rows = zip(ids, found.segment.tolist(), surprisal, entropy, ranks, strict=True)
    return [
        {
            "text": _decoded(found.token_bytes(token)),
            "bytes": found.token_bytes(token).hex(),
            "label": found.labels.get(token),
            "token_id": token_id,
            "segment": SEGMENTS[segment],
            f"surprisal_{unit}": surprise,
            f"entropy_{unit}": unsure,
            "rank": rank or None,
            "context_used": int(found.context_used[token]),
        }
        for token, (token_id, segment, surprise, unsure, rank) in enumerate(rows)
    ]


def _decoded(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
