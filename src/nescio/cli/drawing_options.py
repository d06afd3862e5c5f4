"""The options of texts and answers, and what they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nescio.decoding import Decoding, Detail, Window

File = Annotated[Path | None, typer.Option(help="Read the text from a file.")]
Generate = Annotated[
    str | None, typer.Option(metavar="PROMPT", help="Draw an answer and trace it.")
]
Messages = Annotated[
    Path | None, typer.Option(help="Draw an answer to a JSON list of messages.")
]
System = Annotated[str | None, typer.Option(help="A system message before the prompt.")]
Chat = Annotated[
    bool | None,
    typer.Option(
        "--chat/--raw", help="Use the chat template; default: if there is one."
    ),
]
Given = Annotated[
    str | None, typer.Option(help="Text before the text, read but not scored.")
]
MaxTokens = Annotated[
    int | None, typer.Option(help="The longest answer; default: 128.")
]
Temperature = Annotated[
    float | None, typer.Option(help="0 is greedy; default: 1, the model itself.")
]
TopP = Annotated[float | None, typer.Option(help="Nucleus sampling.")]
TopK = Annotated[int | None, typer.Option(help="Top-k sampling.")]
MinP = Annotated[float | None, typer.Option(help="Min-p sampling.")]
Top = Annotated[
    int | None,
    typer.Option(help="Candidates kept of each prediction; default: 10."),
]
Stop = Annotated[
    list[str] | None, typer.Option(help="End an answer that holds this text.")
]
Seed = Annotated[int, typer.Option(help="Of the draw and of resampling.")]
WindowSize = Annotated[
    int | None, typer.Option(help="Tokens a window holds; default: the context.")
]
Stride = Annotated[
    int | None, typer.Option(help="How far windows move; default: half of one.")
]
Windowing = Annotated[
    bool, typer.Option(help="Let a window slide over a text that is too long.")
]


def decoding(
    max_tokens: int | None,
    temperature: float | None,
    *,
    top_p: float | None,
    top_k: int | None,
    min_p: float | None,
    stop: list[str] | None,
    top: int | None = None,
) -> Decoding:
    """How an answer is drawn."""
    from nescio.decoding import Decoding
    from nescio.kernel import Sampling

    sampling = Sampling(
        temperature=1.0 if temperature is None else temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
    )
    longest = 128 if max_tokens is None else max_tokens
    return Decoding(longest, sampling, tuple(stop or ()), detail(top))


def detail(top: int | None) -> Detail:
    """What is kept of each prediction."""
    from nescio.decoding import Detail

    return Detail() if top is None else Detail(top)


def window(size: int | None, stride: int | None, sliding: bool) -> Window:
    """How a long text is laid."""
    from nescio.decoding import Window

    return Window(size, stride, sliding)
