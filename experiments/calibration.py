"""Are smollm2 and gemma3-270m as often right as they are sure, and can it be mended?

Next tokens of wikitext-2's test set and of Shakespeare, and four tasks that both models
get right now and then; before and after recalibration, in and out of domain. One half
of the documents and questions is for fitting and for choosing how many examples a
prompt shows; all that is told is of the other half. Writes
``results/calibration_runs.json``.

    python experiments/calibration.py [--quick] [--model NAME] [--out FILE]

The reference data are beside the checkout (``shared/data``) or where ``NESCIO_DATA``
says.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from _calibration_tasks import tasks_run
from _calibration_telling import PROJECT, SEED, Size, write
from _calibration_tokens import TEMPERATURES, WINDOW, tokens_run
from _precision import usual_precision

import nescio
from nescio import Outcomes

MODELS = ("smollm2", "gemma3-270m")
PRECISION = usual_precision()
RESULT = "calibration_runs.json"
FULL = Size(characters=5000, documents=60, questions=400, trial=60)
QUICK = Size(characters=1200, documents=12, questions=40, trial=20)


def run(
    names: tuple[str, ...], size: Size, keep: Callable[..., None]
) -> dict[str, Any]:
    """Everything, model by model."""
    result = {}
    for name in names:
        print(name, flush=True)
        model = nescio.load(f"{name},precision={PRECISION}")
        begin = time.perf_counter()
        one: dict[str, Any] = {"origin": model.origin.to_dict()}
        one["tasks"] = tasks_run(model, size, partial(keep, name))
        middle = time.perf_counter()
        one["next tokens"] = tokens_run(model, size, partial(keep, name))
        one["seconds"] = {
            "tasks": round(middle - begin, 1),
            "next tokens": round(time.perf_counter() - middle, 1),
        }
        print(f"  {one['seconds']}", flush=True)
        result[name] = one
    return result


def main() -> None:
    """Read the options, run, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--out", type=Path, default=PROJECT / "results" / RESULT)
    parser.add_argument("--outcomes", type=Path, help="a folder for all outcomes")
    given = parser.parse_args()
    size = QUICK if given.quick else FULL

    def keep(model: str, what: str, outcomes: Outcomes) -> None:
        if given.outcomes is not None:
            given.outcomes.mkdir(parents=True, exist_ok=True)
            file = f"{model}, {what}.parquet".replace(", ", "-").replace(" ", "_")
            nescio.write_outcomes(given.outcomes / file, outcomes)

    found = run(tuple(given.model or MODELS), size, keep)
    write(
        given.out,
        found,
        precision=PRECISION,
        window=[WINDOW.size, WINDOW.stride],
        temperatures=TEMPERATURES,
        seed=SEED,
        size=vars(size),
        threads=os.environ.get("OMP_NUM_THREADS", "as the machine has"),
    )


if __name__ == "__main__":
    main()
