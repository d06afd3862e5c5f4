"""What is printed and written of a trace."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from nescio.cli.options import Quantity, Unit, console, print_json, write_atomically
from nescio.trace.trace import SEGMENTS
from nescio.units import convert_factor
from nescio.visible import visible

if TYPE_CHECKING:
    from nescio.drift.watched import Watched
    from nescio.outcome import Estimate
    from nescio.report import Painter
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


@runtime_checkable
class DrawnToken(Protocol):
    """What is painted of a token as it comes: the events of every stream have it."""

    @property
    def buffer(self) -> bytes:
        """What it spells."""
        ...

    @property
    def label(self) -> str | None:
        """How a control token is called."""
        ...

    @property
    def logp(self) -> float:
        """In nats; NaN where it is not revealed."""
        ...

    @property
    def entropy(self) -> float | None:
        """Of the prediction, nats; None where it is not known."""
        ...

    @property
    def entropy_low(self) -> float | None:
        """Its lower bound; None where it is known or nothing is."""
        ...

    @property
    def entropy_high(self) -> float | None:
        """Its upper bound, +inf where there is none."""
        ...


class DrawnTokens(Protocol):
    """An answer token by token, with its trace so far."""

    def __iter__(self) -> Iterator[DrawnToken]: ...

    @property
    def trace(self) -> Trace:
        """Everything so far."""
        ...


def show(
    found: Trace,
    shown: Shown,
    *,
    more: Mapping[str, Any] | None = None,
    watched: Watched | None = None,
) -> None:
    """Print the summary of a trace, or its JSON, and write its files.

    Args:
        found: the trace.
        shown: how.
        more: further fields of the JSON object.
        watched: what an alarm saw of it, for the page.
    """
    from nescio.report import estimates_json, summary_table, trace_page, trace_picture
    from nescio.trace import write_traces

    estimates = summed_up(found, shown.unit, seed=shown.seed)
    if shown.out is not None:
        write_atomically(shown.out, lambda p: write_traces(p, [found]))
    if shown.html is not None:
        page = trace_page(found, estimates, unit=shown.unit.value, watched=watched)
        write_atomically(shown.html, lambda p: p.write_text(page, encoding="utf-8"))
    if shown.svg is not None:
        by, unit = shown.by.value, shown.unit.value
        picture = trace_picture(found, by=by, unit=unit)
        write_atomically(shown.svg, lambda p: p.write_text(picture, encoding="utf-8"))
    if shown.as_json:
        print_json(
            estimates_json(estimates, _counts(found), _items(found, shown.unit.value))
            | {"origin": found.origin.to_dict(), "stop": found.stop}
            | dict(more or {})
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
    _legend(painter, shown, known=entropy is not None, least=found.entropy is None)


def paint_stream(tokens: Any, shown: Shown) -> Trace:
    """Print an answer shaded token by token as it is drawn, and its entropy rate.

    Args:
        tokens: `DrawnTokens`. By entropy, tokens whose entropy is known by its bounds
            are shaded by the lower one.
        shown: how.
    """
    from nescio.report import Painter, running

    drawn: DrawnTokens = tokens
    painter = Painter(console(), shown.unit.value, by=shown.by.value)
    known: list[tuple[float, float]] = []
    bounded = False
    try:
        for event in drawn:
            bounds = _bounds(event)
            if bounds is not None:
                known.append(bounds)
                bounded = bounded or event.entropy is None
            unsure = None if bounds is None else bounds[0]
            value = -event.logp if shown.by is Quantity.surprisal else unsure
            painter.token(event.buffer, value, label=event.label)
    finally:
        painter.close()
    _legend(painter, shown, known=bool(known), least=bounded)
    found = drawn.trace
    mean, high = _means(known) if known else (None, None)
    status = running(
        mean,
        high=high if bounded else None,
        tokens=len(known),
        unit=shown.unit.value,
        symbol=found.origin.symbol,
    )
    console().print(status)
    return found


def _legend(painter: Painter, shown: Shown, *, known: bool, least: bool) -> None:
    """What the shades mean, or why there are none."""
    if shown.by is Quantity.entropy and not known:
        console().print("not shaded: nothing is known of the entropies")
        return
    painter.legend(least=least)


def _bounds(event: DrawnToken) -> tuple[float, float] | None:
    """Both ends of a prediction's entropy in nats, as far as anything is known."""
    if event.entropy is not None:
        return event.entropy, event.entropy
    if event.entropy_low is None:
        return None
    high = event.entropy_high
    return event.entropy_low, math.inf if high is None else high


def _means(known: list[tuple[float, float]]) -> tuple[float, float]:
    low, high = (math.fsum(ends) / len(known) for ends in zip(*known, strict=True))
    return low, high


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
    bounds = _entropy_bounds(found, unit)
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
            **{name: values[token] for name, values in bounds.items()},
            "rank": rank or None,
            "context_used": int(found.context_used[token]),
        }
        for token, (token_id, segment, surprise, unsure, rank) in enumerate(rows)
    ]


def _entropy_bounds(found: Trace, unit: str) -> dict[str, list[float | None]]:
    """Both bounds by name, where a trace has them; an upper one may be None: open."""
    factor = convert_factor("nats", to=unit)
    ends = (("low", found.entropy_low), ("high", found.entropy_high))
    return {
        f"entropy_{name}_{unit}": [
            nats * factor if math.isfinite(nats) else None
            for nats in end.astype(np.float64).tolist()
        ]
        for name, end in ends
        if end is not None
    }


def _decoded(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
