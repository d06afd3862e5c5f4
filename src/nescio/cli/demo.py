"""``nescio demo``: a real passage and a live answer, traced."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from nescio.cli.options import (
    ModelName,
    Unit,
    check_writable,
    console,
    progress,
    write_atomically,
)
from nescio.cli.showing import Shown, paint, paint_stream, summed_up

__all__ = ["demo"]

_QUESTION = "Why is the sky blue? Answer in two sentences."


def demo(
    model: ModelName = "smollm2",
    html: Annotated[Path, typer.Option(help="The page to write.")] = Path("demo.html"),
) -> None:
    """Trace the last paragraph of Darwin's Origin of Species and a live answer."""
    from nescio.decoding import Decoding, score, stream
    from nescio.report import summary_table, trace_page
    from nescio.specification import load

    check_writable(html)
    out, shown = console(), Shown()
    loaded = load(model)
    passage = resources.files("nescio.cli").joinpath("passage.txt").read_bytes().strip()
    with progress("scoring") as report:
        scored = score(loaded, passage, progress=report)
    paint(scored, shown)
    scored_summary = summed_up(scored, Unit.bits)
    out.print(summary_table(scored_summary))
    out.print(f"\n{_QUESTION}\n")
    tokens = stream(loaded, _QUESTION, decoding=Decoding(max_tokens=80), seed=0)
    drawn = paint_stream(tokens, shown)
    out.print(summary_table(summed_up(drawn, Unit.bits)))
    page = trace_page(scored, scored_summary, unit="bits")
    write_atomically(html, lambda path: path.write_text(page, encoding="utf-8"))
    console(stderr=True).print(f"written: {html}")
