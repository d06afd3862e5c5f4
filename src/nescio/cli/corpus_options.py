"""The options of a corpus job."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Kept(StrEnum):
    """What stays of every document."""

    summary = "summary"
    tokens = "tokens"
    candidates = "candidates"


Documents = Annotated[
    Path, typer.Argument(metavar="DOCS", help="A .jsonl, .csv or .parquet file.")
]
Out = Annotated[
    Path, typer.Option(metavar="DIR", help="The directory of results, one a job.")
]
TextField = Annotated[str, typer.Option(help="The field that holds the text.")]
IdField = Annotated[
    str | None, typer.Option("--id", metavar="FIELD", help="It names a document.")
]
Groups = Annotated[
    list[str] | None,
    typer.Option(metavar="FIELD", help="Sum up by its values; may be repeated."),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="FIELD",
        help="Documents of one value were drawn together, say from one source: "
        "intervals resample these.",
    ),
]
Keep = Annotated[
    Kept,
    typer.Option(
        help="Sums of each document (about 100 bytes each), also the text and its "
        "tokens (about 20 bytes a token), or also ten candidates of each token "
        "(about 100)."
    ),
]
SkipBad = Annotated[
    bool,
    typer.Option(
        "--skip-bad",
        help="Record and count documents that cannot be scored; default: refuse "
        "the first one before anything is scored.",
    ),
]
ShardBytes = Annotated[
    int, typer.Option(help="Text in a shard; a crash costs one shard at most.")
]
Level = Annotated[float, typer.Option(help="The level of the intervals.")]
Seed = Annotated[int, typer.Option(help="Of resampling.")]
Csv = Annotated[Path | None, typer.Option(help="Write the table of rates (CSV).")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
