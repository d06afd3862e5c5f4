"""What the layers of smollm2 and gemma3-270m would say, and what their entropies tell.

On articles of wikitext-2's test set and stretches of Shakespeare: entropy, KL to the
last layer and the share of settled top tokens by layer, with intervals by document.
Then whether the profile of entropies over layers tells apart

- right from wrong answers (sums, capitals), drawn greedily with the lens on;
- prose, plays, program code and word problems, given as texts;
- the kinds of questions answered (sums, capitals, yes-or-no, word problems),

by nearest neighbours, cross-validated, beside a dummy, beside shuffled kinds, and
beside the same classifier on the last layer alone (which needs no lens). Writes
``results/lens_runs.json`` and, of the curves, ``docs/lens-layers.svg``.

    python experiments/lens.py [--quick] [--model NAME] [--work DIR] [--out FILE]
        [--figure FILE]

What is finished is kept in the folder (``build/lens`` unless named): the same command
goes on where it was stopped. The reference data are beside the checkout
(``shared/data``) or where ``NESCIO_DATA`` says.
"""

from __future__ import annotations

import argparse
import math
import os
from functools import partial
from pathlib import Path
from typing import Any

from _calibration_telling import PROJECT, SEED, all_told, told, write
from _lens_tasks import (
    FULL,
    QUICK,
    Size,
    answered,
    documents,
    kinds_of_questions,
    kinds_of_texts,
)
from _losses_figures import Line, panels_figure
from _parts import Parts

import nescio
from nescio.lens import (
    LAYER_MEASURES,
    accuracy_gain,
    classify_signatures,
    layer_curves,
    layer_entropies_of_texts,
    lens_summary,
    signatures,
)
from nescio.lens.classification import Neighbours

MODELS = ("smollm2", "gemma3-270m")
RESULT, FIGURE = "lens_runs.json", "lens-layers.svg"
WINDOWS = 1
NORMALISED = "vocabulary"
TITLES = {
    "layer_entropy": "entropy, bits/token",
    "kl_to_last_layer": "KL to the last, bits/token, from 2 on",
    "settled_share": "share of settled top tokens",
}


def classified(
    readings: list[Any], kinds: list[str], groups: list[str] | None, size: Size
) -> dict[str, Any]:
    """All layers, and the last one alone, which any trace has."""
    counts = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    units = {
        kind: len(
            {
                g
                for g, k in zip(groups or range(len(kinds)), kinds, strict=True)
                if k == kind
            }
        )
        for kind in counts
    }
    folds = min(5, *units.values())
    if len(counts) < 2 or folds < 2:
        return {"left out": f"too few of a kind: {counts}"}
    how = Neighbours(
        folds=folds, standardised=True, permutations=size.permutations, seed=SEED
    )
    profiles = signatures(readings, windows=WINDOWS, normalised=NORMALISED)
    found: dict[str, Any] = {"kinds": counts}
    told_by = {"all layers": profiles, "the last layer alone": profiles[:, :, -1:]}
    results: dict[str, Any] = {}
    for name, some in told_by.items():
        results[name] = result = classify_signatures(
            some, kinds, groups=groups, how=how, described=NORMALISED
        )
        print(
            f"    {name}: {result.accuracy}; dummy {result.dummy_accuracy.value:.3f};"
            f" p {result.accuracy.p_value:.3f}",
            flush=True,
        )
        found[name] = all_told(result.estimates)
    gain = accuracy_gain(*results.values())
    print(f"    all layers less the last: {gain}", flush=True)
    found["all layers less the last"] = told(gain)
    return found


def curves_of(model: Any, size: Size) -> dict[str, Any]:
    """Every measure by layer in each collection."""
    found: dict[str, Any] = {}
    for name, texts in documents(size).items():
        readings = layer_entropies_of_texts(model, list(texts.values()))
        curves = layer_curves(readings, seed=SEED)
        found[name] = {
            "documents": len(readings),
            "tokens": sum(len(one.tokens) for one in readings),
            "estimates": all_told(lens_summary(readings, seed=SEED)),
            "layers": {
                measure: [
                    {key: value for key, value in told(one).items() if key != "recipe"}
                    for one in row
                ]
                for measure, row in curves.items()
            },
            "recipe": told(curves["layer_entropy"][0])["recipe"],
        }
        depth = found[name]["estimates"]["commitment_depth"]
        print(f"  {name}: settles at {depth['value']:.3f} of the depth", flush=True)
    return found


def answers_told_apart(model: Any, task: str, size: Size) -> dict[str, Any]:
    """Right answers from wrong ones."""
    readings, right = answered(model, task, size)
    kinds = ["right" if one else "wrong" for one in right]
    return classified(readings, kinds, None, size)


def texts_told_apart(model: Any, size: Size) -> dict[str, Any]:
    """Prose, plays, code and word problems, whole documents held out."""
    texts, kinds, groups = kinds_of_texts(size)
    readings = list(layer_entropies_of_texts(model, texts))
    return classified(readings, kinds, groups, size)


def questions_told_apart(model: Any, size: Size) -> dict[str, Any]:
    """Answers to four kinds of questions."""
    readings, kinds = kinds_of_questions(model, size)
    return classified(readings, kinds, None, size)


def run(name: str, size: Size, work: Path) -> dict[str, Any]:
    """One model, part by part."""
    print(name, flush=True)
    model = nescio.load(name, engine="transformers", accept_license=True)
    origin = model.origin.to_dict()
    settings = vars(size) | {"origin": origin, "windows": WINDOWS, "seed": SEED}
    parts = Parts(work, name, settings | {"normalised": NORMALISED})
    makes: dict[str, Any] = {
        f"right or wrong, {task}": partial(answers_told_apart, model, task, size)
        for task in ("arithmetic", "capitals")
    }
    makes["kinds of texts"] = partial(texts_told_apart, model, size)
    makes["kinds of questions"] = partial(questions_told_apart, model, size)
    return {
        "origin": origin,
        "by layer": parts.made("by layer", partial(curves_of, model, size)),
        "told apart": {part: parts.made(part, make) for part, make in makes.items()},
    }


def draw(found: dict[str, Any], path: Path) -> None:
    """Each measure by depth, a line a model, in the first collection."""
    panels: dict[str, list[Line]] = {}
    for measure, title in TITLES.items():
        factor = 1.0 if LAYER_MEASURES[measure].unit == "1" else 1 / math.log(2.0)
        for name, one in found.items():
            rows = next(iter(one["by layer"].values()))["layers"][measure]
            ends = (
                [row[end] * factor for row in rows] for end in ("value", "low", "high")
            )
            depth = [layer / (len(rows) - 1) for layer in range(len(rows))]
            begin = 2 if measure == "kl_to_last_layer" else 0  # far from all the others
            shown = [values[begin:] for values in (depth, *ends)]
            panels.setdefault(title, []).append(Line(name, *shown))
    panels_figure(panels, ["depth: 0 embedding, 1 last layer"] * len(panels), path)


def main() -> None:
    """Read the options, run, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--work", type=Path, default=PROJECT / "build" / "lens")
    parser.add_argument("--out", type=Path, help=f"results/{RESULT}")
    parser.add_argument("--figure", type=Path, help=f"docs/{FIGURE}")
    given = parser.parse_args()
    size = QUICK if given.quick else FULL
    results, docs = PROJECT / "results", PROJECT / "docs"
    if given.quick:
        results = docs = given.work / "quick"
    found = {name: run(name, size, given.work) for name in given.model or MODELS}
    write(
        given.out or results / RESULT,
        found,
        precision="f32",
        engine="transformers",
        windows=WINDOWS,
        normalised=NORMALISED,
        seed=SEED,
        size=vars(size),
        threads=os.environ.get("OMP_NUM_THREADS", "as the machine has"),
    )
    draw(found, given.figure or docs / FIGURE)


if __name__ == "__main__":
    main()
