"""Does calibrated agreement beat what the greedy answer itself says of its worth?

smollm2 and gemma3-270m answer every question of several tasks greedily and in 20
samples at temperature 1. How sure the samples are (the share of the leading answer, or
of the greedy one) is compared with the probability of the greedy answer: which ranks
right above wrong better, and which is the better probability once both are calibrated
by cross-validation. Also: the vote against the greedy answer, fewer samples, stopping
early. Of tasks that a model gets right less than 20 % or more than 80 % of the time, on
questions apart, only that is told. Writes ``results/consistency_runs.json`` and
``docs/consistency-runs.svg``.

    python experiments/consistency.py [--quick] [--model NAME] [--task NAME]
        [--samples FOLDER] [--only-sample] [--out FILE] [--figure FILE]

Every reply is kept in the folder as soon as it has ended (``build/consistency_runs``
unless named), and the same command goes on from there. The reference data are beside
the checkout (``shared/data``) or where ``NESCIO_DATA`` says.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

from _calibration_telling import PROJECT, SEED, write
from _consistency_sampling import Asked, Sampler, candidates
from _precision import usual_precision

import nescio

MODELS = ("smollm2", "gemma3-270m")
PRECISION = usual_precision()
SAMPLES, QUESTIONS, TRIED = 20, 240, 40
QUICK_SAMPLES, QUICK_QUESTIONS, QUICK_TRIED = 6, 40, 10


def say(text: str) -> None:
    print(text, flush=True)


def asked_all(
    samplers: tuple[Sampler, ...], names: tuple[str, ...] | None, *, quick: bool
) -> dict[str, dict[str, Asked]]:
    """Every task asked of every model, by model and task."""
    found: dict[str, dict[str, Asked]] = {one.name: {} for one in samplers}
    tried = QUICK_TRIED if quick else TRIED
    tasks = candidates(QUICK_QUESTIONS if quick else QUESTIONS)
    for name, candidate in tasks.items():
        if names is not None and name not in names:
            continue
        for sampler in samplers:
            begin = time.perf_counter()
            one = sampler.asked(name, candidate, tried=tried)
            found[sampler.name][name] = one
            took = time.perf_counter() - begin
            greedy = one.greedy
            right = None if greedy is None else greedy.outcomes().correct.mean()
            say(
                f"{sampler.name}, {name}: tried {one.trials}, greedy {right}, "
                f"{took:.0f} s"
            )
    return found


def main() -> None:
    """Read the options, run, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--task", action="append", help="of the tasks, this one")
    parser.add_argument(
        "--samples", type=Path, default=PROJECT / "build" / "consistency_runs"
    )
    parser.add_argument("--only-sample", action="store_true")
    parser.add_argument(
        "--out", type=Path, default=PROJECT / "results" / "consistency_runs.json"
    )
    parser.add_argument(
        "--figure", type=Path, default=PROJECT / "docs" / "consistency-runs.svg"
    )
    given = parser.parse_args()
    n = QUICK_SAMPLES if given.quick else SAMPLES
    samplers = tuple(
        Sampler(
            name, nescio.load(f"{name},precision={PRECISION}"), n, given.samples, say
        )
        for name in given.model or MODELS
    )
    names = None if given.task is None else tuple(given.task)
    found = asked_all(samplers, names, quick=given.quick)
    if given.only_sample:
        return
    from _consistency_analysis import panels_of, told_of
    from _consistency_figures import differences_figure

    result: dict[str, Any] = {
        one.name: {
            "origin": one.model.origin.to_dict(),
            "tasks": told_of(found[one.name], say),
        }
        for one in samplers
    }
    write(
        given.out,
        result,
        precision=PRECISION,
        samples=n,
        seed=SEED,
        threads=os.environ.get("OMP_NUM_THREADS", "as the machine has"),
    )
    differences_figure(panels_of(result), given.figure)


if __name__ == "__main__":
    main()
