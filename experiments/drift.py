"""What do smollm2 and gemma3-270m grow like as they write on: surer, or less sure?

Articles of wikitext-2 (test and validation) are begun, and both the model and the
article go on for some hundred tokens: at temperature 1, .9 and .8, with top-p, and
greedily. Then how much of the past the model uses, in its own text and in the
articles', and what the look-ahead recalibration, fitted on validation articles, does to
the cross-entropy of test articles and to the entropy gap. Writes
``results/drift_runs.json``.

    python experiments/drift.py [--work DIR] [--quick] [--model NAME] [--articles N]
        [--no-look-ahead] [--look-ahead-articles N] [--out FILE]

``DIR`` keeps what is finished: the same command goes on where it was stopped, and one
with other settings begins anew. What the file holds of a model that is not run now
stays in it. The reference data are beside the checkout (``shared/data``) or where
``NESCIO_DATA`` says.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from _calibration_telling import PROJECT, all_told, data_folder, told, write
from _parts import Parts
from _precision import usual_precision

import nescio
from nescio import Sampling
from nescio.drift.continuations import Continuations
from nescio.drift.curves import DriftCurve, Limits
from nescio.drift.entropy_gap import EntropyGap, entropy_gap, entropy_gap_change
from nescio.drift.lookahead import (
    LookAhead,
    cross_entropy_change,
    fit_look_ahead,
    read_look_ahead,
    write_look_ahead,
)
from nescio.drift.lookahead_model import looking_ahead
from nescio.drift.lookahead_rows import Reading, look_ahead_rows
from nescio.drift.memory import Truncation, context_gain, memory_curve
from nescio.drift.protocol import ContinuationPlan, continue_documents
from nescio.evaluation.articles import wikitext_articles
from nescio.plot.colours import LINES
from nescio.plot.curve import Curve, curve_chart
from nescio.plot.panel import straight_axis

MODELS = ("smollm2", "gemma3-270m")
PRECISION = usual_precision()
RESULT = "drift_runs.json"
SEED = 0
DECODINGS = {
    "temperature 1": Sampling(),
    "temperature 0.9": Sampling(temperature=0.9),
    "temperature 0.8": Sampling(temperature=0.8),
    "top-p 0.9": Sampling(top_p=0.9),
    "greedy": Sampling(temperature=0),
}
TOLD = {name: asdict(one) for name, one in DECODINGS.items()}
CURVES = Limits(seed=SEED, band="simultaneous")


@dataclass(frozen=True)
class Size:
    """How much is run."""

    prompts: int
    prompt_tokens: int
    steps: int
    width: int
    batch: int
    tokens_back: tuple[int, ...]
    texts: int
    positions: int
    fitted: int
    candidates: int
    ahead_prompts: int
    ahead_steps: int


FULL = Size(
    prompts=60,
    prompt_tokens=32,
    steps=512,
    width=32,
    batch=30,
    tokens_back=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    texts=40,
    positions=12,
    fitted=30,
    candidates=16,
    ahead_prompts=24,
    ahead_steps=128,
)
QUICK = Size(
    prompts=6,
    prompt_tokens=16,
    steps=24,
    width=8,
    batch=6,
    tokens_back=(1, 4, 8),
    texts=6,
    positions=3,
    fitted=6,
    candidates=4,
    ahead_prompts=5,
    ahead_steps=8,
)


@dataclass(frozen=True)
class Run:
    """One model, how much of it is run, and where what is finished is kept."""

    model: Any
    size: Size
    parts: Parts


def articles(part: str, count: int) -> dict[str, str]:
    """The first articles of a part of wikitext-2, as they stand there."""
    file = data_folder() / "text" / f"wikitext-2.{part}.txt"
    found = wikitext_articles(file.read_text("utf-8"))
    return {
        f"{part}: {name}": text.strip() for name, text in list(found.items())[:count]
    }


def prompts(size: Size) -> dict[str, str]:
    """Test articles, then validation articles."""
    both = articles("test", size.prompts) | articles("valid", size.prompts)
    # Characters: a token of these vocabularies has fewer than 12, nearly always.
    longest = 12 * (size.prompt_tokens + size.steps)
    return {name: text[:longest] for name, text in list(both.items())[: size.prompts]}


def plan_of(size: Size, sampling: Sampling) -> ContinuationPlan:
    return ContinuationPlan(
        size.prompt_tokens, size.steps, sampling, seed=SEED, batch=size.batch
    )


def continued(run: Run, name: str) -> Continuations:
    """Own and human continuations under one decoding, from the folder if finished."""
    folder = run.parts.folder / name.replace(" ", "_")
    plan = plan_of(run.size, DECODINGS[name])
    shown = Shown(f"  {name}")
    return continue_documents(
        run.model, prompts(run.size), plan=plan, out=folder, progress=shown
    )


class Shown:
    """Progress, a line every quarter of a minute at most."""

    def __init__(self, what: str) -> None:
        self._what, self._last = what, time.perf_counter()

    def __call__(self, done: int, total: int) -> None:
        if time.perf_counter() - self._last > 15.0 and done < total:
            self._last = time.perf_counter()
            print(f"{self._what}: {done} of {total}", flush=True)


def gap_told(found: EntropyGap) -> dict[str, Any]:
    curves = {name: curve_told(one) for name, one in found.curves.items()}
    return {"estimates": all_told(found.estimates), "curves": curves}


def curve_told(curve: DriftCurve) -> dict[str, Any]:
    fields = curve.to_dict()
    fields["recipe"]["settings"].pop("model", None)
    return fields


def gaps_run(run: Run) -> dict[str, Any]:
    """The entropy gap under every decoding, and how each differs from the first."""
    told_here: dict[str, Any] = {}
    plain: Continuations | None = None
    for name in DECODINGS:

        def measured(name: str = name) -> dict[str, Any]:
            nonlocal plain
            texts = continued(run, name)
            first = next(iter(DECODINGS))
            if plain is None:
                plain = texts if name == first else continued(run, first)
            limits = Limits(seed=SEED, band="simultaneous")
            found = gap_told(entropy_gap(texts, width=run.size.width, limits=limits))
            found["less temperature 1"] = all_told(entropy_gap_change(plain, texts))
            found["ended early"] = sum(trace.stop == "eos" for trace in texts.own)
            found["left out"] = dict(texts.left_out)
            return found

        told_here[name] = run.parts.made(f"gap, {name}", measured)
    return told_here


def memory_run(run: Run) -> dict[str, Any]:
    """I_τ from above in own text, and the context gain in the articles."""
    truncation = Truncation(run.size.tokens_back, run.size.positions)
    found: dict[str, Any] = {}
    for name, measure, which in (
        ("memory", memory_curve, "own"),
        ("context gain", context_gain, "human"),
    ):

        def measured(
            name: str = name, measure: Any = measure, which: str = which
        ) -> dict[str, Any]:
            texts = continued(run, "temperature 1")
            traces = getattr(texts, which)[: run.size.texts]
            return curve_told(
                measure(
                    run.model,
                    traces,
                    truncation=truncation,
                    limits=CURVES,
                    **({"less": "surprisal"} if name == "memory" else {}),
                    progress=Shown(f"  {name}"),
                )
            )

        found[name] = run.parts.made(name, measured)
    return found


def look_ahead_run(run: Run) -> dict[str, Any]:
    """The recalibration: its parameter, its loss elsewhere, its entropy gap."""
    size = run.size
    reading = Reading(size.candidates, tokens=2 * size.ahead_steps, every=2)

    def rows_of(part: str) -> Any:
        texts = {
            n: t[: 24 * size.ahead_steps]
            for n, t in articles(part, size.fitted).items()
        }
        return look_ahead_rows(
            run.model, texts, reading=reading, progress=Shown(f"  {part}")
        )

    def fitted() -> LookAhead:
        path = run.parts.folder / "look-ahead.json"
        if not path.is_file():
            write_look_ahead(path, fit_look_ahead(rows_of("valid")))
        return read_look_ahead(path)

    def losses() -> dict[str, Any]:
        changes = cross_entropy_change(fitted(), rows_of("test"))
        return {"fit": fitted().to_dict(), "a": told(fitted().estimate())} | {
            "test": all_told(changes)
        }

    def gaps() -> dict[str, Any]:
        some = dict(list(prompts(size).items())[: size.ahead_prompts])
        plan = ContinuationPlan(
            size.prompt_tokens, size.ahead_steps, seed=SEED, batch=size.ahead_prompts
        )
        both = []
        for name, model in (
            ("plain", run.model),
            ("ahead", looking_ahead(run.model, fitted())),
        ):
            folder = run.parts.folder / f"short_{name}"
            shown = Shown(f"  look-ahead, {name}")
            both.append(
                continue_documents(model, some, plan=plan, out=folder, progress=shown)
            )
        before, after = (entropy_gap(one, width=size.width) for one in both)
        return {
            "before": gap_told(before),
            "after": gap_told(after),
            "change": all_told(entropy_gap_change(both[0], both[1])),
        }

    return {
        "cross-entropy": run.parts.made("look-ahead, cross-entropy", losses),
        "entropy gap": run.parts.made("look-ahead, entropy gap", gaps),
    }


def figures(folder: Path, name: str, one: dict[str, Any]) -> None:
    """The curves of one model as SVG files."""
    folder.mkdir(parents=True, exist_ok=True)
    gaps = {n: found["curves"] for n, found in one["entropy gap"].items()}
    human = gaps["temperature 1"]["human_log_loss_by_step"]
    by_step = {n: curves["own_entropy_by_step"] for n, curves in gaps.items()}
    drawn = {
        "entropy_gap": {n: c["entropy_gap_by_step"] for n, c in gaps.items()},
        "own_entropy": by_step | {"people's, log loss": human},
        "memory": one["memory"],
    }
    for what, curves in drawn.items():
        along = "tokens back" if what == "memory" else "step"
        last = max(curve["place"][-1] for curve in curves.values())
        svg = curve_chart(
            [drawn_curve(n, c, place) for place, (n, c) in enumerate(curves.items())],
            x=straight_axis(along, 0, last),
            y="nats a token",
            size=(760, 360),
        )
        (folder / f"drift_{name}_{what}.svg").write_text(svg, encoding="utf-8")


def drawn_curve(name: str, fields: dict[str, Any], place: int) -> Curve:
    import numpy as np

    columns = [
        None if fields[key] is None else np.array(fields[key], dtype=np.float64)
        for key in ("low", "high")
    ]
    x, y = (np.array(fields[key], dtype=np.float64) for key in ("place", "value"))
    again = place >= len(LINES)
    return Curve(name, x, y, *columns, colour=LINES[place % len(LINES)], dashed=again)


def run_model(
    name: str, size: Size, work: Path, *, look_ahead: bool = True
) -> dict[str, Any]:
    """Everything about one model."""
    model = nescio.load(f"{name},precision={PRECISION}")
    origin = model.origin.to_dict()
    settings = {"origin": origin, "size": asdict(size), "seed": SEED}
    run = Run(model, size, Parts(work, name, settings | {"decodings": TOLD}))
    found = {
        "origin": origin,
        "size": asdict(size),
        "entropy gap": gaps_run(run),
        "memory": memory_run(run),
    }
    return found | ({"look-ahead": look_ahead_run(run)} if look_ahead else {})


def told_before(path: Path) -> dict[str, Any]:
    """What a file says of models, if there is one."""
    if not path.is_file():
        return {}
    return json.loads(path.read_text("utf-8"))["result"]


def main() -> None:
    """Read the options, run, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--work", type=Path, default=PROJECT / "build" / "drift_runs")
    parser.add_argument("--quick", action="store_true", help="a few tokens only")
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--articles", type=int, help="continue so many")
    parser.add_argument("--no-look-ahead", action="store_true")
    parser.add_argument("--look-ahead-articles", type=int, help="fit it on so many")
    parser.add_argument("--out", type=Path, default=PROJECT / "results" / RESULT)
    parser.add_argument("--figures", type=Path, help="a folder for SVG files")
    given = parser.parse_args()
    size = QUICK if given.quick else FULL
    if given.articles is not None:
        size = replace(size, prompts=given.articles)
    if (fewer := given.look_ahead_articles) is not None:
        size = replace(size, fitted=fewer, ahead_prompts=min(fewer, size.ahead_prompts))
    found = told_before(given.out)
    for name in given.model or MODELS:
        print(name, flush=True)
        found[name] = run_model(
            name,
            size,
            given.work,
            look_ahead=not given.no_look_ahead,
        )
        if given.figures is not None:
            figures(given.figures, name, found[name])
    write(
        given.out,
        found,
        precision=PRECISION,
        decodings=TOLD,
        seed=SEED,
        threads=os.environ.get("OMP_NUM_THREADS", "as the machine has"),
    )


if __name__ == "__main__":
    main()
