"""``nescio compare``: two models on the same text, in one pass."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from nescio.cli import drawing_options as drawing
from nescio.cli.asking import asked_text
from nescio.cli.loading import loaded
from nescio.cli.options import (
    AcceptLicense,
    AsJson,
    Unit,
    UnitChoice,
    check_writable,
    console,
    print_json,
    progress,
    write_atomically,
)
from nescio.errors import CapabilityError, InvalidInput
from nescio.units import convert_factor
from nescio.visible import visible

if TYPE_CHECKING:
    from nescio.comparison import Compared, Comparison, Stretches
    from nescio.outcome import Estimate

__all__ = ["compare"]

Models = Annotated[
    list[str],
    typer.Option(
        "--model",
        "-m",
        help="Given twice: the reference, then the other model. A catalogue name, "
        "hf:DIRECTORY-OR-ID, table:FILE, ensemble:A+B or bytes:A, with options: "
        "smollm2,precision=bf16.",
    ),
]
Engines = Annotated[
    list[str] | None,
    typer.Option(
        "--engine",
        help="The backend: openvino, transformers or table; twice for one each.",
    ),
]
Level = Annotated[float, typer.Option(help="The coverage intervals aim at.")]


def compare(
    model: Models,
    text: Annotated[str | None, typer.Argument(help="The text; - reads it.")] = None,
    file: drawing.File = None,
    engine: Engines = None,
    accept_license: AcceptLicense = False,
    window: drawing.WindowSize = None,
    stride: drawing.Stride = None,
    windowing: drawing.Windowing = True,
    level: Level = 0.95,
    seed: Annotated[int, typer.Option(help="Of resampling.")] = 0,
    unit: UnitChoice = Unit.bits,
    as_json: AsJson = False,
    html: Annotated[Path | None, typer.Option(help="Write one HTML page.")] = None,
) -> None:
    """Compare two models on one text: how far apart, where, and how surely.

    Models with one vocabulary (precisions or quantisations of one model) are compared
    token by token: perplexity ratio, KL divergence, change of probability, agreement.
    Others are compared by bytes, between the edges that both cuts of the text share.
    The text is TEXT, --file, or standard input.

    Example: nescio compare -m smollm2,precision=f32 -m smollm2,precision=bf16 --file F
    """
    from nescio.comparison import compare as compared
    from nescio.uncertainty.interval import check_request

    if text is not None and file is not None:
        raise InvalidInput("give one of TEXT and --file")
    if text is None and file is None and sys.stdin.isatty():
        raise InvalidInput("nothing to compare on: give TEXT or --file")
    check_writable(html, source=file)
    check_request(level, 2000, seed)
    names, engines = _two(model, engine)
    laid = drawing.window(window, stride, windowing)
    given = asked_text(text, file)
    models = [
        loaded(name, engine=chosen, accept_license=accept_license)
        for name, chosen in zip(names, engines, strict=True)
    ]
    with progress("comparing") as report:
        found = compared(
            models[0],
            models[1],
            given,
            window=laid,
            level=level,
            seed=seed,
            progress=report,
        )
    if html is not None:
        _write_page(html, found, models, unit)
    _show(found, unit, as_json=as_json)
    if html is not None and not as_json:
        console(stderr=True).print(visible(f"written: {html}"))


def _two(
    models: list[str], engines: list[str] | None
) -> tuple[list[str], list[str | None]]:
    """Two specifications of local models, and an engine or None for each."""
    from nescio.specification import parse_specification

    if len(models) != 2:
        raise InvalidInput(
            f"{len(models)} model given: name two, --model A --model B"
            if len(models) == 1
            else f"{len(models)} models given: two are compared"
        )
    for name in models:
        if parse_specification(name).kind == "endpoint":
            raise CapabilityError(
                f"comparing models needs the logits of every token, which a server "
                f"does not give: {name}; name a local model"
            )
    asked: list[str | None] = list(engines or [None])
    if len(asked) > 2:
        raise InvalidInput(f"{len(asked)} engines for two models: one for both, or two")
    return models, asked * 2 if len(asked) == 1 else asked


def _write_page(path: Path, found: Comparison, models: list[Any], unit: Unit) -> None:
    from nescio.report.compare_page import comparison_page

    spelled = models[0].vocabulary if found.same_vocabulary else None
    page = comparison_page(found, unit=unit.value, vocabulary=spelled)
    write_atomically(path, lambda p: p.write_text(page, encoding="utf-8"))


def _show(found: Comparison, unit: Unit, *, as_json: bool) -> None:
    from nescio.report import estimates_json, summary_table
    from nescio.report.compare_numbers import headline, in_unit

    estimates = in_unit(found.estimates, unit.value)
    if as_json:
        items = _items(found.texts[0], unit.value)
        origins = {
            "reference": found.reference.to_dict(),
            "other": found.other.to_dict(),
        }
        print_json(estimates_json(estimates, found.counts, items) | origins)
        return
    out = console()
    for side, origin in (("reference", found.reference), ("other", found.other)):
        line = f"{side}: {origin.model} ({origin.engine}, {origin.precision})"
        out.print(visible(line))
    out.print(_what(found))
    out.print(summary_table(headline(estimates)))
    _show_percentiles(estimates, unit.value, f"of the {found.reference.symbol}s")


def _what(found: Comparison) -> str:
    counts = found.counts
    if not found.same_vocabulary:
        return (
            f"{counts['scored_stretches']:,} stretches between edges that both "
            f"vocabularies share, {counts['scored_bytes']:,} bytes; differences are "
            "other minus reference"
        )
    what = f"{found.reference.symbol}s"
    infinite = counts["infinite_kl"]
    beside = f", infinite KL divergence at {infinite:,}" if infinite else ""
    return (
        f"{counts['scored_tokens']:,} {what}{beside}; ratios are other over reference, "
        "differences other minus reference, kl_divergence KL(reference || other)"
    )


def _show_percentiles(estimates: Mapping[str, Estimate], unit: str, what: str) -> None:
    from rich.table import Table

    from nescio.report.compare_numbers import percentile_cells

    rows = percentile_cells(estimates)
    if not rows:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="")
    for head in (what, f"kl_divergence, {unit}", "delta_p"):
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def _items(text: Compared | Stretches, unit: str) -> list[dict[str, Any]]:
    """One object a token, or a stretch; None where it was not scored."""
    factor = convert_factor("nats", to=unit)
    columns = _columns(text)
    offsets = text.offsets.tolist()
    spelled = (text.buffer[a:b] for a, b in pairwise(offsets))
    rows = zip(*(values.tolist() for values, _ in columns.values()), strict=True)
    suffix = {name: f"_{unit}" if nats else "" for name, (_, nats) in columns.items()}
    return [
        {
            "text": _decoded(raw),
            "bytes": raw.hex(),
            **{
                f"{name}{suffix[name]}": _scaled(value, factor if suffix[name] else 1.0)
                for name, value in zip(columns, row, strict=True)
            },
        }
        for raw, row in zip(spelled, rows, strict=True)
    ]


def _columns(text: Compared | Stretches) -> dict[str, tuple[np.ndarray, bool]]:
    """The columns of the items, and whether each is information in nats."""
    from nescio.comparison import Compared

    if not isinstance(text, Compared):
        return {
            "surprisal_reference": (text.surprisal_reference, True),
            "surprisal_other": (text.surprisal_other, True),
            "surprisal_difference": (text.difference, True),
        }
    return {
        "token_id": (text.token_ids, False),
        "surprisal_reference": (0.0 - text.logp_reference, True),
        "surprisal_other": (0.0 - text.logp_other, True),
        "surprisal_difference": (text.difference, True),
        "kl_divergence": (text.kl_forward, True),
        "reverse_kl_divergence": (text.kl_backward, True),
        "js_divergence": (text.js, True),
        "delta_p": (text.delta_p, False),
        "same_top": (_where_scored(text, text.same_top), False),
        "context_used": (text.context_used, False),
    }


def _where_scored(text: Compared, values: np.ndarray) -> np.ndarray:
    """Truth values, None where there is none."""
    found = values.astype(np.object_)
    found[~text.scored] = None
    return found


def _scaled(value: Any, factor: float) -> Any:
    return value * factor if isinstance(value, float) else value


def _decoded(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
