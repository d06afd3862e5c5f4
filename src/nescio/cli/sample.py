"""``nescio sample``: many answers to every prompt of a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nescio.cli import drawing_options as drawing
from nescio.cli.loading import interrupts, loaded
from nescio.cli.options import (
    AcceptLicense,
    AsJson,
    EngineName,
    MaxRequests,
    MaxTokensTotal,
    ModelName,
    console,
    limited,
    print_json,
    progress,
)
from nescio.cli.score import Stopped
from nescio.errors import EndpointError
from nescio.visible import visible

if TYPE_CHECKING:
    from nescio.corpus.answers import AnswersAsked

__all__ = ["sample"]


def sample(
    prompts: Annotated[
        Path, typer.Argument(metavar="PROMPTS", help="A .jsonl, .csv or .parquet file.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The directory of results, one a job.")
    ],
    n: Annotated[int, typer.Option("-n", help="Answers to each prompt.")] = 20,
    field: Annotated[
        str, typer.Option(help="The field that holds the prompt.")
    ] = "prompt",
    id_field: Annotated[
        str | None, typer.Option("--id", metavar="FIELD", help="It names a prompt.")
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", help="Copied to the results; may be repeated."),
    ] = None,
    chat: drawing.Chat = None,
    max_tokens: drawing.MaxTokens = None,
    temperature: drawing.Temperature = None,
    top_p: drawing.TopP = None,
    top_k: drawing.TopK = None,
    min_p: drawing.MinP = None,
    stop: drawing.Stop = None,
    top: drawing.Top = None,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    batch: Annotated[
        int, typer.Option(help="Answers drawn side by side; decides speed and memory.")
    ] = 32,
    model: ModelName = "smollm2",
    engine: EngineName = None,
    accept_license: AcceptLicense = False,
    max_requests: MaxRequests = None,
    max_tokens_total: MaxTokensTotal = None,
    as_json: AsJson = False,
) -> None:
    """Draw n answers to every prompt, each with its log-probability and entropy.

    Answers are kept in DIR one by one as they end. After Ctrl-C or a crash the same
    command goes on and draws none of them again; neither that nor --batch changes an
    answer. samples.jsonl has one line a prompt: id, prompt, samples.

    Example: nescio sample questions.jsonl --field question -n 20 --out answers
    """
    from dataclasses import replace

    from nescio.corpus import CorpusFields
    from nescio.corpus.answers import AnswersAsked

    cut = {"top_p": top_p, "top_k": top_k, "min_p": min_p}
    chosen = drawing.decoding(max_tokens, temperature, **cut, stop=stop, top=top)
    decoding = replace(chosen, batch=batch)
    fields = CorpusFields(field, id_field, tuple(group or ()))
    asked = AnswersAsked(model, n, seed, fields, decoding, chat, engine)

    named = limited(model, max_requests, max_tokens_total)
    path = _run(
        prompts,
        asked,
        lambda: loaded(named, engine=engine, accept_license=accept_license),
        out,
    )
    if as_json:
        print_json(_summed_up(path))
        return
    console(stderr=True).print(visible(f"written: {path}"))


def _run(
    prompts: Path, asked: AnswersAsked, load: Callable[[], Any], out: Path
) -> Path:
    from nescio.corpus.answers import run_answers

    kept = 0
    with interrupts() as pressed, progress("sampling", of="answers") as show:

        def report(done: int, total: int) -> None:
            nonlocal kept
            kept = done
            if pressed.is_set():
                raise KeyboardInterrupt
            show(done, total)

        try:
            return run_answers(prompts, asked, load, out=out, report=report)
        except KeyboardInterrupt as error:
            raise Stopped(_how_to_go_on(out, kept)) from error
        except EndpointError as error:
            if not kept:
                raise
            raise EndpointError(f"{error}; {_how_to_go_on(out, kept)}") from error


def _how_to_go_on(out: Path, kept: int) -> str:
    if not kept:
        return "stopped before an answer had ended; nothing is kept"
    answers = "answer is" if kept == 1 else "answers are"
    return (
        f"stopped: {kept:,} {answers} done and kept in {out}; the same command goes on "
        "from there"
    )


def _summed_up(path: Path) -> dict[str, Any]:
    import json

    items = [json.loads(line) for line in path.read_bytes().splitlines()]
    answers = [answer for item in items for answer in item["samples"]]
    counts = {
        "prompts": len(items),
        "answers": len(answers),
        "tokens": sum(answer["tokens"] or 0 for answer in answers),
    }
    return {"estimates": {}, "counts": counts, "items": items}
