"""``nescio trace``: the surprisal and entropy of every token of a text."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from nescio.cli import drawing_options as drawing
from nescio.cli.asking import asked_prompt, asked_text
from nescio.cli.loading import loaded
from nescio.cli.options import (
    AcceptLicense,
    AsJson,
    EngineName,
    MaxRequests,
    MaxTokensTotal,
    ModelName,
    Quantity,
    Unit,
    UnitChoice,
    check_writable,
    limited,
    progress,
)
from nescio.cli.showing import Shown, paint, paint_stream, show
from nescio.cli.watching import (
    AlarmFile,
    alarm_from,
    alarm_json,
    say_alarm,
    seen_by,
)
from nescio.errors import EndpointError, InvalidInput

__all__ = ["trace"]

_DRAWING = "--chat, --max-tokens, --temperature, --top-p, --top-k, --min-p or --stop"
_LAYING = "--given, --window, --stride or --no-windowing"


def trace(
    text: Annotated[str | None, typer.Argument(help="The text; - reads it.")] = None,
    file: drawing.File = None,
    generate: drawing.Generate = None,
    messages: drawing.Messages = None,
    system: drawing.System = None,
    chat: drawing.Chat = None,
    given: drawing.Given = None,
    max_tokens: drawing.MaxTokens = None,
    temperature: drawing.Temperature = None,
    top_p: drawing.TopP = None,
    top_k: drawing.TopK = None,
    min_p: drawing.MinP = None,
    stop: drawing.Stop = None,
    top: drawing.Top = None,
    seed: drawing.Seed = 0,
    alarm: AlarmFile = None,
    window: drawing.WindowSize = None,
    stride: drawing.Stride = None,
    windowing: drawing.Windowing = True,
    model: ModelName = "smollm2",
    engine: EngineName = None,
    accept_license: AcceptLicense = False,
    max_requests: MaxRequests = None,
    max_tokens_total: MaxTokensTotal = None,
    by: Annotated[Quantity, typer.Option(help="Shade by.")] = Quantity.surprisal,
    unit: UnitChoice = Unit.bits,
    as_json: AsJson = False,
    out: Annotated[Path | None, typer.Option(help="Write the trace (Parquet).")] = None,
    html: Annotated[Path | None, typer.Option(help="Write one HTML page.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Write a picture.")] = None,
) -> None:
    """Trace a text, or an answer as it is drawn: surprisal and entropy of each token.

    The text is TEXT, --file, standard input, or an answer to --generate PROMPT.
    """
    if sum(x is not None for x in (text, file, generate, messages)) > 1:
        raise InvalidInput("give one of TEXT, --file, --generate and --messages")
    check_writable(out, html, svg, source=file)
    shown = Shown(unit, by, as_json, out, html, svg, seed)
    named = limited(model, max_requests, max_tokens_total)
    reader = partial(loaded, named, engine=engine, accept_license=accept_license)
    prompt = asked_prompt(generate, messages, system)
    watcher, more = alarm_from(alarm), {}
    if prompt is None:
        _refuse("--alarm", alarm is not None, "--generate")
        ways = (chat, max_tokens, temperature, top_p, top_k, min_p, stop)
        drawn = any(way is not None and way is not False for way in ways)
        _refuse(_DRAWING, drawn, "--generate")
        asked = asked_text(text, file)
        usual = window is None and stride is None and windowing
        laid = None if usual else drawing.window(window, stride, windowing)
        found = _score(reader(), asked, given=given, window=laid, top=top)
        if not as_json:
            paint(found, shown)
    else:
        laying = given is not None or window is not None or stride is not None
        _refuse(_LAYING, laying or not windowing, "TEXT")
        cut = {"top_p": top_p, "top_k": top_k, "min_p": min_p}
        decoding = drawing.decoding(max_tokens, temperature, **cut, stop=stop, top=top)
        watched = {"chat": chat, "alarm": watcher}
        found, more = _generate(reader(), prompt, decoding, watched, shown=shown)
    show(found, shown, more=more, watched=seen_by(watcher, found, html))


def _refuse(options: str, given: bool, owner: str) -> None:
    if given:
        raise InvalidInput(f"{options} goes with {owner} only")


def _score(
    model: Any, text: bytes, *, given: str | None, window: Any, top: int | None
) -> Any:
    from nescio.decoding import score

    kept = drawing.detail(top)
    with progress("scoring") as report:
        return score(
            model, text, given=given, window=window, detail=kept, progress=report
        )


def _generate(
    model: Any,
    prompt: Any,
    decoding: Any,
    watched: dict[str, Any],
    *,
    shown: Shown,
) -> tuple[Any, dict[str, Any]]:
    """The trace of an answer, and what its alarm says."""
    from nescio.decoding import generate, stream

    chat, alarm = watched["chat"], watched["alarm"]
    if shown.as_json and alarm is None:
        how = {"decoding": decoding, "seed": shown.seed, "chat": chat}
        return generate(model, prompt, **how), {}
    tokens = stream(
        model, prompt, decoding=decoding, seed=shown.seed, chat=chat, alarm=alarm
    )
    if shown.as_json:
        for _ in tokens:
            pass
        return tokens.trace, alarm_json(tokens)
    try:
        found = paint_stream(tokens, shown)
        say_alarm(tokens, alarm, shown.unit)
        return found, {}
    except EndpointError:
        if kept := _kept(tokens):
            show(kept, shown)
        raise


def _kept(tokens: Any) -> Any:
    """What came of an answer before its stream broke off, if that can be measured."""
    try:
        found = tokens.trace
    except EndpointError:
        return None
    return found if found.scored.any() else None
