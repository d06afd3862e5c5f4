"""The options of ``nescio ensemble``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Decode"]


class Decode(StrEnum):
    """How the answer is found."""

    sample = "sample"
    greedy = "greedy"
    beam = "beam"
    abe = "abe"
    speculative = "speculative"


Asked = Annotated[
    str | None, typer.Argument(metavar="PROMPT", help="What is asked; - reads it.")
]
Members = Annotated[
    list[str],
    typer.Option(
        "--model",
        "-m",
        help="A member; given once for each: a catalogue name, hf:DIRECTORY-OR-ID or "
        "table:FILE, with options: smollm2,precision=bf16. One alone is read byte by "
        "byte.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="W+W|prompt",
        help="Of the members, such as .7+.3; prompt: by how well each predicts the "
        "prompt; default: equal.",
    ),
]
Rule = Annotated[
    str | None,
    typer.Option(
        metavar="RULE",
        help="How predictions are joined: mean (default), posterior, product, min, "
        "max, switch, power:A.",
    ),
]
Method = Annotated[
    Decode,
    typer.Option(
        help="How the answer is found: sample (default), greedy, beam over bytes, abe "
        "(agreement-based search over tokens), speculative (samples; the first member "
        "drafts)."
    ),
]
MaxBytes = Annotated[int | None, typer.Option(help="The longest answer; default: 256.")]
Count = Annotated[
    int, typer.Option("-n", help="Answers to draw, or the best of a search.")
]
Width = Annotated[
    int | None, typer.Option(help="Of a search: what goes on; default: 4.")
]
Prune = Annotated[
    float | None,
    typer.Option(
        help="Spellings below this share of the text are not followed; default: 0.01."
    ),
]
Spelling = Annotated[
    str | None,
    typer.Option(
        metavar="all|canonical",
        help="All spellings of a text (default), or the tokenizers' own.",
    ),
]
Out = Annotated[Path | None, typer.Option(help="Write the traces (Parquet).")]
Html = Annotated[Path | None, typer.Option(help="Write one HTML page.")]
