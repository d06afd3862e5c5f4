"""``nescio ensemble``: models with different vocabularies write one answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nescio.cli import drawing_options as drawing
from nescio.cli import ensemble_options as options
from nescio.cli.asking import asked_prompt
from nescio.cli.ensemble_options import Decode
from nescio.cli.ensemble_running import (
    Run,
    answers,
    member_names,
    specification_of,
    streamed,
    weighted,
    with_members,
)
from nescio.cli.ensemble_showing import ShownEnsemble, paint_answers, paint_live, show
from nescio.cli.loading import loaded
from nescio.cli.options import (
    AcceptLicense,
    AsJson,
    EngineName,
    Unit,
    UnitChoice,
    check_writable,
    progress,
)
from nescio.errors import InvalidInput, InvalidText

if TYPE_CHECKING:
    from nescio.ensemble.telling import Telling
    from nescio.trace import Prompt

__all__ = ["ensemble"]

_PROMPT_WEIGHTS = "prompt"


def ensemble(
    model: options.Members,
    prompt: options.Asked = None,
    messages: drawing.Messages = None,
    system: drawing.System = None,
    chat: drawing.Chat = None,
    weights: options.Weights = None,
    rule: options.Rule = None,
    decode: options.Method = Decode.sample,
    n: options.Count = 1,
    width: options.Width = None,
    max_bytes: options.MaxBytes = None,
    temperature: drawing.Temperature = None,
    top_p: drawing.TopP = None,
    top_k: drawing.TopK = None,
    min_p: drawing.MinP = None,
    stop: drawing.Stop = None,
    seed: drawing.Seed = 0,
    prune: options.Prune = None,
    spelling: options.Spelling = None,
    engine: EngineName = None,
    accept_license: AcceptLicense = False,
    unit: UnitChoice = Unit.bits,
    as_json: AsJson = False,
    out: options.Out = None,
    html: options.Html = None,
) -> None:
    """Let several models write one answer, joined at every byte: who pulled where.

    Vocabularies may differ; each model reads the prompt in its own tokens, through its
    own chat template if it has one. Given one --model, that model is read byte by byte.
    What is marked in the answer lies nearer to one member than to the others.

    Example: nescio ensemble -m smollm2 -m gemma3-270m --rule product "The sea is"
    """
    check_writable(out, html)
    cut = {"top_p": top_p, "top_k": top_k, "min_p": min_p}
    longest = 256 if max_bytes is None else max_bytes
    decoding = drawing.decoding(longest, temperature, **cut, stop=stop)
    _check(decode, rule, width)
    asked = _asked(prompt, messages, system)
    run = Run(asked, decode, decoding, n, 4 if width is None else width, seed, chat)
    by_prompt = weights == _PROMPT_WEIGHTS
    chosen = {
        "rule": rule,
        "weights": None if by_prompt or weights is None else weights,
        "prune": None if prune is None else f"{prune:g}",
        "spelling": spelling,
    }
    named = specification_of(model, chosen)
    joined = loaded(named, engine=engine, accept_license=accept_license)
    if by_prompt:
        joined = weighted(joined, run)
    shown = ShownEnsemble(unit.value, as_json, out, html, seed, member_names(joined))
    found = _found(joined, run, shown)
    if html is not None:
        found[0] = with_members(joined, run, found[0])
    show(found, joined, shown)


def _check(decode: Decode, rule: str | None, width: int | None) -> None:
    if rule is not None and decode is Decode.abe:
        raise InvalidInput(
            "--rule does not go with --decode abe, which joins whole tokens' scores by "
            "the weights"
        )
    if width is not None and decode not in (Decode.beam, Decode.abe):
        raise InvalidInput("--width goes with --decode beam or abe")


def _asked(prompt: str | None, messages: Path | None, system: str | None) -> Prompt:
    if prompt == "-" or (prompt is None and messages is None):
        if sys.stdin.isatty():
            raise InvalidInput("nothing to answer: give PROMPT or --messages")
        raw = sys.stdin.buffer.read()
        try:
            prompt = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidText(
                f"the prompt is not UTF-8 at byte {error.start}; convert it first"
            ) from error
    if prompt is not None and messages is not None:
        raise InvalidInput("give one of PROMPT and --messages")
    asked = asked_prompt(prompt, messages, system)
    if asked is None:
        raise InvalidInput("nothing to answer: give PROMPT or --messages")
    return asked


def _found(model: Any, run: Run, shown: ShownEnsemble) -> list[Telling]:
    """The answers; one alone is shown as it comes."""
    from nescio.ensemble.telling import Telling

    if not run.live:
        with progress("answering", of="answers") as report:
            found = answers(model, run, report)
        if not found:
            raise InvalidInput("no answer was found: every one was empty")
        if not shown.as_json:
            paint_answers(found, shown)
        return found
    tokens: Any = streamed(model, run)
    if shown.as_json:
        said = [(event.together, event.row) for event in tokens]
    else:
        said = paint_live(tokens, shown)
    return [Telling(tokens.trace, tuple(said))]
