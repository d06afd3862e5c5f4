"""What ``nescio ensemble`` prints and writes of the answers."""

from __future__ import annotations

import codecs
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nescio.cli.options import console, print_json, write_atomically
from nescio.units import convert_factor
from nescio.visible import visible

if TYPE_CHECKING:
    from nescio.ensemble.telling import Telling
    from nescio.outcome import Estimate
    from nescio.report.ensemble_terminal import Puller
    from nescio.trace import Trace

__all__ = ["ShownEnsemble", "paint_answers", "paint_live", "show", "whole_text"]


@dataclass(frozen=True)
class ShownEnsemble:
    """What is printed and written."""

    unit: str
    as_json: bool
    out: Path | None
    html: Path | None
    seed: int
    members: list[str] = field(default_factory=list)


def whole_text(trace: Trace) -> str:
    """The answer in whole characters: a last one that was cut off is left out."""
    raw = b"".join(map(trace.token_bytes, _answer(trace)))
    return codecs.getincrementaldecoder("utf-8")("replace").decode(raw)


def paint_live(tokens: Any, shown: ShownEnsemble) -> list[tuple[Any, int]]:
    """Print an answer as it comes, and keep what members said of each byte."""
    puller, said = _puller(shown), []
    try:
        for event in tokens:
            told, row = event.together, event.row
            said.append((told, row))
            apart = float(told.disagreement[row])
            puller.byte(event.buffer, apart, int(told.nearest[row]))
    finally:
        puller.close()
    return said


def paint_answers(found: Sequence[Telling], shown: ShownEnsemble) -> None:
    """Print answers that are there, numbered if they are several."""
    for number, one in enumerate(found, start=1):
        if len(found) > 1:
            console().print(f"— {number} —")
        if not whole_text(one.trace):
            console().print("(empty)")
        _paint_answer(one, shown)


def _paint_answer(found: Telling, shown: ShownEnsemble) -> None:
    puller, trace = _puller(shown), found.trace
    columns = trace.columns
    for place in _answer(trace).tolist():
        raw = trace.token_bytes(place)
        if "disagreement" not in columns:
            puller.byte(raw)
            continue
        apart = float(columns["disagreement"].values[place])
        puller.byte(raw, apart, int(columns["nearest"].values[place]) - 1)
    puller.close()


def _puller(shown: ShownEnsemble) -> Puller:
    from nescio.report.ensemble_terminal import Puller

    return Puller(console(), shown.members)


def show(found: Sequence[Telling], model: Any, shown: ShownEnsemble) -> None:
    """Print the summary or the JSON object, and write the files."""
    from nescio.ensemble.telling import together_estimates
    from nescio.report import summary_table
    from nescio.report.ensemble_page import ensemble_page
    from nescio.trace import write_traces

    traces = [one.trace for one in found]
    estimates = {
        name: estimate.to(shown.unit) if "bits" in estimate.unit else estimate
        for name, estimate in together_estimates(traces, seed=shown.seed).items()
    }
    if shown.out is not None:
        write_atomically(shown.out, lambda path: write_traces(path, traces))
    if shown.html is not None:
        others = [whole_text(trace) for trace in traces[1:]]
        page = ensemble_page(
            found[0], estimates, unit=shown.unit, names=shown.members, others=others
        )
        write_atomically(
            shown.html, lambda path: path.write_text(page, encoding="utf-8")
        )
    if shown.as_json:
        print_json(_told(traces, estimates, model, shown))
        return
    _legend(shown)
    _say_members(traces, model)
    console().print(summary_table(estimates))
    for path in (shown.html, shown.out):
        if path is not None:
            console(stderr=True).print(visible(f"written: {path}"))


def _legend(shown: ShownEnsemble) -> None:
    _puller(shown).legend()


def _say_members(traces: Sequence[Trace], model: Any) -> None:
    """A line a member: its number, weight, and how often it pulled."""
    from nescio.report.ensemble_numbers import pulled_shares

    views = getattr(model, "members", (model,))
    pulled = pulled_shares(traces, len(views))
    for number, view in enumerate(views):
        line = f"{number + 1}: {view.model.name}"
        if len(views) > 1:
            line += f", weight {model.weights[number]:.3g}"
            line += f", pulled {pulled[number]:.0%} of the bytes"
        console().print(visible(line))


def _told(
    traces: Sequence[Trace],
    estimates: dict[str, Estimate],
    model: Any,
    shown: ShownEnsemble,
) -> dict[str, Any]:
    from nescio.report import estimates_json
    from nescio.report.ensemble_numbers import pulled_shares

    views = getattr(model, "members", (model,))
    weights = getattr(model, "weights", (1.0,))
    pulled = pulled_shares(traces, len(views))
    members = [
        {"model": view.model.name, "weight": weight, "pulled_share": share}
        for view, weight, share in zip(views, weights, pulled, strict=True)
    ]
    counts = {
        "answers": len(traces),
        "members": len(views),
        "bytes": sum(sum(len(t.token_bytes(p)) for p in _answer(t)) for t in traces),
    }
    items = [_item(trace, shown.unit) for trace in traces]
    return estimates_json(estimates, counts, items) | {
        "text": whole_text(traces[0]),
        "members": members,
        "origin": traces[0].origin.to_dict(),
    }


def _item(trace: Trace, unit: str) -> dict[str, Any]:
    """One answer with everything that is known of each of its bytes, in columns."""
    places = _answer(trace)
    factor = convert_factor("nats", to=unit)
    columns = {
        _called(name, column.unit, unit): _numbers(
            column.values[places].astype(np.float64)
            * (factor * (-1.0 if name.startswith("logp") else 1.0) if nats else 1.0)
        )
        for name, column in trace.columns.items()
        for nats in (column.unit == "nats",)
    }
    surprisal = trace.surprisal[places].astype(np.float64)
    return {
        "text": whole_text(trace),
        "stop": trace.stop,
        f"total_surprisal_{unit}": math.fsum(surprisal.tolist()) * factor,
        "bytes": [trace.token_bytes(place).hex() for place in places],
        f"surprisal_{unit}": _numbers(surprisal * factor),
        **columns,
    }


def _called(name: str, own: str, unit: str) -> str:
    """``logp[1]`` in nats becomes ``surprisal_bits[1]``."""
    if own != "nats":
        return name
    stem, bracket, number = name.replace("logp", "surprisal").partition("[")
    return f"{stem}_{unit}{bracket}{number}"


def _numbers(values: np.ndarray) -> list[float | str | None]:
    found: list[float | str | None] = []
    for value in values.tolist():
        if math.isinf(value):
            found.append("Infinity" if value > 0 else "-Infinity")
        else:
            found.append(None if math.isnan(value) else value + 0.0)
    return found


def _answer(trace: Trace) -> np.ndarray:
    """The places of the answer's symbols, its end included."""
    from nescio.trace.trace import SEGMENTS

    return np.flatnonzero(trace.segment == SEGMENTS.index("completion"))
