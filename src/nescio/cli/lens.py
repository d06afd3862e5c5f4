"""``nescio lens``: what a model would predict after each of its layers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nescio.cli import drawing_options as drawing
from nescio.cli.asking import asked_prompt, asked_text
from nescio.cli.loading import loaded
from nescio.cli.options import (
    AcceptLicense,
    AsJson,
    ModelName,
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
    from nescio.lens import LayerReading
    from nescio.outcome import Estimate

__all__ = ["lens"]


class By(StrEnum):
    """What the picture shows."""

    entropy = "entropy"
    kl = "kl"


def lens(
    text: Annotated[str | None, typer.Argument(help="The text; - reads it.")] = None,
    file: drawing.File = None,
    generate: drawing.Generate = None,
    messages: drawing.Messages = None,
    system: drawing.System = None,
    chat: drawing.Chat = None,
    max_tokens: drawing.MaxTokens = None,
    temperature: drawing.Temperature = None,
    top_p: drawing.TopP = None,
    top_k: drawing.TopK = None,
    min_p: drawing.MinP = None,
    stop: drawing.Stop = None,
    seed: drawing.Seed = 0,
    window: drawing.WindowSize = None,
    stride: drawing.Stride = None,
    windowing: drawing.Windowing = True,
    model: ModelName = "smollm2",
    accept_license: AcceptLicense = False,
    by: Annotated[By, typer.Option(help="What the picture shows.")] = By.entropy,
    unit: UnitChoice = Unit.bits,
    as_json: AsJson = False,
    html: Annotated[Path | None, typer.Option(help="Write one HTML page.")] = None,
) -> None:
    """Read each layer of a model as if it ended there: entropy, top token, KL.

    The text is TEXT, --file, standard input, or an answer to --generate PROMPT. Runs
    on the transformers engine, the only one that shows its layers.
    """
    if sum(x is not None for x in (text, file, generate, messages)) > 1:
        raise InvalidInput("give one of TEXT, --file, --generate and --messages")
    check_writable(html, source=file)
    prompt = asked_prompt(generate, messages, system)
    if prompt is None:
        ways = (max_tokens, temperature, top_p, top_k, min_p, stop, chat)
        if any(way is not None and way is not False for way in ways):
            raise InvalidInput(
                "--chat, --max-tokens, --temperature, --top-p, --top-k, --min-p and "
                "--stop go with --generate only"
            )
        laid = _window(window, stride, windowing)
        given = asked_text(text, file)
        found = _scored(_loaded(model, accept_license), given, laid)
    else:
        if window is not None or stride is not None or not windowing:
            raise InvalidInput(
                "--window, --stride and --no-windowing go with TEXT only"
            )
        cut = {"top_p": top_p, "top_k": top_k, "min_p": min_p}
        decoding = drawing.decoding(max_tokens, temperature, **cut, stop=stop, top=0)
        model_ = _loaded(model, accept_license)
        found = _generated(model_, prompt, decoding, seed=seed, chat=chat)
    _show(found, unit, by=by, as_json=as_json, html=html, seed=seed)


_LACKING = {
    "endpoint": "a server does not show",
    "table": "a table does not have",
    "ensemble": "several models do not share",
    "bytes": "a model read byte by byte does not show",
}


def _loaded(name: str, accept_license: bool) -> Any:
    """The model on the engine that shows its layers.

    Raises:
        CapabilityError: a server, a table or several models, which have none.
    """
    from nescio.specification import parse_specification

    kind = parse_specification(name).kind
    if kind in _LACKING:
        what = _LACKING[kind]
        raise CapabilityError(
            f"the layer lens needs the layers of a network, which {what}: {name}; name "
            "a local model"
        )
    return loaded(name, engine="transformers", accept_license=accept_license)


def _window(size: int | None, stride: int | None, sliding: bool) -> Any:
    if size is None and stride is None and sliding:
        return None
    return drawing.window(size, stride, sliding)


def _scored(model: Any, text: bytes, window: Any) -> LayerReading:
    from nescio.lens import layer_entropies

    with progress("reading the layers") as report:
        return layer_entropies(model, text, window=window, progress=report)


def _generated(
    model: Any, prompt: Any, decoding: Any, *, seed: int, chat: bool | None
) -> LayerReading:
    from nescio.lens.generating import stream_layers

    tokens = stream_layers(model, prompt, decoding=decoding, seed=seed, chat=chat)
    with progress("drawing") as report:
        for event in tokens:
            report(event.index + 1, decoding.max_tokens)
    return tokens.reading


def _show(
    found: LayerReading,
    unit: Unit,
    *,
    by: By,
    as_json: bool,
    html: Path | None,
    seed: int,
) -> None:
    from nescio.lens import layer_curves, lens_summary
    from nescio.report import summary_table

    estimates = {k: _in(v, unit) for k, v in lens_summary(found, seed=seed).items()}
    curves = layer_curves(found, seed=seed, resamples=1000) if as_json or html else {}
    if html is not None:
        from nescio.report.lens_page import lens_page

        page = lens_page(found, estimates, curves, unit=unit.value)
        write_atomically(html, lambda path: path.write_text(page, encoding="utf-8"))
    if as_json:
        print_json(_as_json(found, estimates, curves, unit))
        return
    from nescio.report.lens_text import lens_lines

    screen = console()
    for line in lens_lines(found, width=screen.width, unit=unit.value, by=by.value):
        screen.print(line, soft_wrap=True)
    screen.print(summary_table(estimates))
    if html is not None:
        console(stderr=True).print(visible(f"written: {html}"))


def _as_json(
    found: LayerReading,
    estimates: dict[str, Estimate],
    curves: dict[str, tuple[Estimate, ...]],
    unit: Unit,
) -> dict[str, Any]:
    from nescio.report import estimates_json

    trace = found.trace
    counts = {
        "tokens": len(trace),
        "scored_tokens": len(found.tokens),
        "layers": found.layers,
    }
    by_layer = {name: [_in(one, unit) for one in row] for name, row in curves.items()}
    shown = estimates_json(estimates, counts, _items(found, unit), {"layers": by_layer})
    origin, settings = trace.origin.to_dict(), dict(found.settings)
    return shown | {"origin": origin, "lens": settings, "stop": trace.stop}


def _items(found: LayerReading, unit: Unit) -> list[dict[str, Any]]:
    """One object a token: lists hold a value a layer, from the embedding up."""
    factor = convert_factor("nats", to=unit.value)
    named = {
        f"entropy_{unit.value}": found.entropy * factor,
        f"kl_to_last_{unit.value}": found.kl_to_last * factor,
        f"surprisal_{unit.value}": found.surprisal * factor,
        "rank": found.rank,
        "top_ids": found.top_ids,
    }
    trace = found.trace
    ids = trace.token_ids
    return [
        {
            "text": trace.token_text(token),
            "bytes": trace.token_bytes(token).hex(),
            "token": token,
            "token_id": None if ids is None else int(ids[token]),
            "settled": int(found.settled[column]),
            "top_texts": [
                found.top_text(layer, column) for layer in range(found.layers)
            ],
            **{name: values[:, column] for name, values in named.items()},
        }
        for column, token in enumerate(found.tokens.tolist())
    ]


def _in(estimate: Estimate, unit: Unit) -> Estimate:
    """In the unit asked for, if it is a quantity of information."""
    is_information = "nats" in estimate.unit or "bits" in estimate.unit
    return estimate.to(unit.value) if is_information else estimate
