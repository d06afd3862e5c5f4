"""What the layers of smollm2 and gemma3-270m would say, and what their entropies tell.

On articles of wikitext-2's test set and stretches of Shakespeare: entropy, KL to the
last layer and the share of settled top tokens by layer, with intervals by document.
Then whether the profile of entropies over layers tells apart

- right from wrong answers (sums, capitals), drawn greedily with the lens on;
- prose, plays, program code and word problems, given as texts;
- the kinds of questions answered (sums, capitals, yes-or-no, word problems),

by nearest neighbours, cross-validated, beside a dummy, beside shuffled kinds, and
beside the same classifier on the last layer alone (which needs no lens). Writes
``results/lens.json`` and, of the curves, ``results/lens_NAME.svg``.

    python experiments/lens.py [--quick] [--model NAME] [--out FILE]

The reference data are beside the checkout (``shared/data``) or where ``NESCIO_DATA``
says.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
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

import nescio
from nescio.lens import (
    LAYER_MEASURES,
    classify_signatures,
    layer_curves,
    layer_entropies_of_texts,
    lens_summary,
    signatures,
)
from nescio.lens.classification import Neighbours
from nescio.plot.colours import LINES
from nescio.plot.curve import Curve, curve_chart
from nescio.plot.panel import straight_axis

MODELS = ("smollm2", "gemma3-270m")
RESULT = "lens.json"
WINDOWS = 1
NORMALISED = "vocabulary"
TITLES = {
    "layer_entropy": "entropy, bits/token",
    "kl_to_last_layer": "KL to the last layer, bits/token",
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
    for name, some in told_by.items():
        result = classify_signatures(
            some, kinds, groups=groups, how=how, described=NORMALISED
        )
        print(
            f"    {name}: {result.accuracy}; dummy {result.dummy_accuracy.value:.3f};"
            f" p {result.accuracy.p_value:.3f}",
            flush=True,
        )
        found[name] = all_told(result.estimates)
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


def run(name: str, size: Size) -> dict[str, Any]:
    """One model."""
    print(name, flush=True)
    model = nescio.load(name, engine="transformers", accept_license=True)
    begin = time.perf_counter()
    found: dict[str, Any] = {"origin": model.origin.to_dict()}
    found["by layer"] = curves_of(model, size)
    found["told apart"] = apart = {}
    for task in ("arithmetic", "capitals"):
        print(f"  right or wrong: {task}", flush=True)
        readings, right = answered(model, task, size)
        kinds = ["right" if one else "wrong" for one in right]
        apart[f"right or wrong, {task}"] = classified(readings, kinds, None, size)
    print("  kinds of texts", flush=True)
    texts, kinds, groups = kinds_of_texts(size)
    readings = list(layer_entropies_of_texts(model, texts))
    apart["kinds of texts"] = classified(readings, kinds, groups, size)
    print("  kinds of questions", flush=True)
    readings, kinds = kinds_of_questions(model, size)
    apart["kinds of questions"] = classified(readings, kinds, None, size)
    found["seconds"] = round(time.perf_counter() - begin, 1)
    return found


def draw(found: dict[str, Any], folder: Path) -> None:
    """Each measure by depth, a curve a model, in the first collection."""
    for measure, title in TITLES.items():
        curves = []
        for number, (name, one) in enumerate(found.items()):
            collection = next(iter(one["by layer"].values()))
            rows = collection["layers"][measure]
            factor = 1.0 if LAYER_MEASURES[measure].unit == "1" else 1 / np.log(2.0)
            ends = [
                np.array([row[end] for row in rows], dtype=np.float64) * factor
                for end in ("value", "low", "high")
            ]
            depth = np.linspace(0.0, 1.0, len(rows))
            curves.append(
                Curve(name, depth, *ends, colour=LINES[number], dashed=number > 0)
            )
        svg = curve_chart(
            curves,
            x=straight_axis("depth: 0 the embedding, 1 the last layer", 0, 1),
            y=title,
            size=(560, 320),
        )
        (folder / f"lens_{measure}.svg").write_text(svg + "\n", encoding="utf-8")


def main() -> None:
    """Read the options, run, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--out", type=Path, default=PROJECT / "results" / RESULT)
    given = parser.parse_args()
    size = QUICK if given.quick else FULL
    found = {name: run(name, size) for name in given.model or MODELS}
    draw(found, given.out.parent)
    write(
        given.out,
        found,
        precision="f32",
        engine="transformers",
        windows=WINDOWS,
        normalised=NORMALISED,
        seed=SEED,
        size=vars(size),
        threads=os.environ.get("OMP_NUM_THREADS", "as the machine has"),
    )


if __name__ == "__main__":
    main()
