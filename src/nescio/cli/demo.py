"""``nescio demo``: a real passage and a live answer, traced."""

from __future__ import annotations

from functools import partial
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from nescio.cli.loading import loaded
from nescio.cli.options import (
    ModelName,
    Unit,
    check_writable,
    console,
    progress,
    write_atomically,
)
from nescio.cli.showing import Shown, paint, paint_stream, summed_up
from nescio.visible import visible

__all__ = ["demo"]

_QUESTION = "Why is the sky blue?"


def demo(
    model: ModelName = "smollm2",
    html: Annotated[Path, typer.Option(help="The page to write.")] = Path("demo.html"),
) -> None:
    """Trace the last paragraph of Darwin's Origin of Species and a live answer."""
    from nescio.decoding import Decoding, score, stream
    from nescio.kernel import Sampling
    from nescio.report import summary_table, trace_page

    check_writable(html)
    out, shown = console(), Shown()
    reader = loaded(model)
    passage = resources.files("nescio.cli").joinpath("passage.txt").read_bytes().strip()
    with progress("scoring") as report:
        scored = score(reader, passage, progress=report)
    paint(scored, shown)
    out.print(summary_table(summed_up(scored, Unit.bits)))
    out.print(f"\n{_QUESTION}\n")
    decoding = Decoding(max_tokens=120, sampling=Sampling(temperature=0.6))
    tokens = stream(reader, _QUESTION, decoding=decoding, seed=0)
    drawn = paint_stream(tokens, shown)
    out.print(summary_table(summed_up(drawn, Unit.bits)))
    answer = html.with_name(f"{html.stem}-answer{html.suffix}")
    pages = (
        (html, scored, "The last paragraph of the Origin of Species"),
        (answer, drawn, f"An answer: {_QUESTION}"),
    )
    links = {title: path.name for path, _, title in pages}
    for path, trace, title in pages:
        page = trace_page(trace, summed_up(trace, Unit.bits), title=title, links=links)
        write_atomically(path, partial(Path.write_text, data=page, encoding="utf-8"))
        console(stderr=True).print(visible(f"written: {path}"))
