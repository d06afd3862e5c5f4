"""Do THERMOMETER and adaptive temperature beat one temperature on an unseen task?

Nine tasks with options are put to smollm2 and gemma3-270m, by the options' texts (or
by their letters). Hidden states and answers are read once. Then every task is held out:
both calibrators (adaptive temperature with a head of one layer, and with a block over
the text) are trained on the tasks of the other families, without a look at the one held
out, and judged on it, beside no calibration, one temperature of the same
training tasks, and a temperature of the task itself, cross-validated, which needs its
labels. Told are calibration error (with its null level), log loss and Brier score,
differences on the same questions, and their means over tasks. Writes
``results/learned_calibrators.json``, ``docs/learned-calibrators.svg`` and the tables of
``docs/learned-calibrators.md``.

    python experiments/learned_calibrators.py [--quick] [--model NAME] [--by letter]

What was read, fitted and judged is kept in ``--work``; a run that was stopped goes on.
The reference data are beside the checkout (``shared/data``) or where ``NESCIO_DATA``
says.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from _calibration_telling import PROJECT, SEED, all_told, told, write
from _learned_figure import differences_figure
from _learned_table import into_page
from _learned_tasks import FAMILIES, FULL, QUICK, Size, tasks
from _precision import usual_precision

import nescio
from nescio.calibration.means import accuracy, mean_confidence
from nescio.calibration.measuring import How
from nescio.evaluation import adaptive_temperature, thermometer
from nescio.evaluation.answer_state_reading import answer_states
from nescio.evaluation.answer_states import AnswerStates
from nescio.evaluation.journal import digest_of
from nescio.evaluation.learned_temperature import LearnedTemperature, Learning
from nescio.evaluation.learned_temperature_files import (
    read_learned_temperature,
    write_learned_temperature,
)
from nescio.evaluation.unseen_tasks import (
    FitTasks,
    OnUnseenTask,
    mean_over_tasks,
    unseen_tasks,
)

MODELS = ("smollm2", "gemma3-270m")
WAYS = ("text", "letter")
PRECISION = usual_precision()
BEFORE = 63  # states kept before the answer's own: the question, and what leads to it
RESULT, FIGURE = "learned_calibrators.json", "learned-calibrators.svg"
PAGE = "learned-calibrators.md"
MEASURES = ("log_loss", "brier_score", "expected_calibration_error")


def calibrators(
    size: Size, work: Path, fitted: list[LearnedTemperature]
) -> dict[str, FitTasks]:
    """What is trained; every fit is kept in ``work``, and added to ``fitted``."""
    learning = Learning(steps=size.steps, seed=SEED)
    one_layer = Learning(head="linear", steps=size.steps, seed=SEED)
    block = Learning(
        "transformer", hidden=64, steps=size.block_steps, batch=32, seed=SEED
    )
    fits: dict[str, Any] = {"THERMOMETER": partial(thermometer.fit, learning=learning)}
    for name, head in (("adaptive", one_layer), ("adaptive block", block)):
        for weighting in ("published", "plain"):
            fits[f"{name}, {weighting}"] = partial(
                adaptive_temperature.fit, weighting=weighting, learning=head
            )

    def kept(name: str, others: Sequence[AnswerStates]) -> LearnedTemperature:
        key = digest_of({"name": name, "size": vars(size)} | asked(others))
        path = work / "fits" / f"{key}.safetensors"
        if not path.is_file():
            begin = time.perf_counter()
            write_learned_temperature(path, fits[name](others))
            seconds = time.perf_counter() - begin
            print(f"    {name}, {len(others)} tasks: {seconds:.0f} s", flush=True)
        fitted.append(read_learned_temperature(path))
        return fitted[-1]

    return {name: partial(kept, name) for name in fits}


def asked(states: Sequence[AnswerStates]) -> dict[str, Any]:
    """All that decides what these states are, and the form of what is kept."""
    found = [[one.task, dict(one.origin), dict(one.settings)] for one in states]
    return {"asked": found, "before": BEFORE, "format": 2}


def read(name: str, by: Any, size: Size, work: Path) -> list[AnswerStates]:
    """Hidden states and answers of every task."""
    model = nescio.load(
        f"{name},precision={PRECISION}", engine="transformers", accept_license=True
    )
    found = []
    for task in tasks(size):
        begin = time.perf_counter()
        states = answer_states(
            model, task, by=by, chat=False, before=BEFORE, cache=work / "states"
        )
        right = states.outcomes().correct.mean()
        seconds = time.perf_counter() - begin
        print(
            f"  {task.name}: {len(states)} questions, accuracy {right:.3f}, "
            f"{seconds:.0f} s",
            flush=True,
        )
        found.append(states)
    return found


def judged(states: Sequence[AnswerStates], size: Size, work: Path) -> dict[str, Any]:
    """Every task held out once, and the means over tasks."""
    how = How(resamples=size.resamples, seed=SEED)
    fitted: list[LearnedTemperature] = []
    lines = unseen_tasks(
        states,
        calibrators(size, work, fitted),
        families=FAMILIES,
        how=how,
        progress=lambda task: print(f"    judged on {task}", flush=True),
    )
    limits = {"resamples": size.resamples, "seed": SEED}
    return {
        "tasks": {
            one.task: {
                "family": FAMILIES[one.task],
                "recipe": dict(one.settings),
                "accuracy": told(accuracy(one.outcomes(), **limits)),
                "mean_confidence": told(mean_confidence(one.outcomes(), **limits)),
            }
            for one in states
        },
        "lines": [line_told(line) for line in lines],
        "means over tasks": means(lines),
        "fits": [
            {"kind": one.kind, "settings": dict(one.settings)} | one.report.to_dict()
            for one in fitted
        ],
    }


def line_told(line: OnUnseenTask) -> dict[str, Any]:
    return {
        "task": line.task,
        "family": line.family,
        "calibrator": line.calibrator,
        "fitted_on": list(line.fitted_on),
        "mean_inverse_temperature": line.mean_inverse_temperature,
        "estimates": all_told(line.estimates),
        "differences": {to: all_told(one) for to, one in line.differences.items()},
    }


def means(lines: Sequence[OnUnseenTask]) -> list[dict[str, Any]]:
    """Differences averaged over tasks, families resampled."""
    names = dict.fromkeys(line.calibrator for line in lines if line.differences)
    found = []
    for name in names:
        for baseline in ("none", "temperature"):
            if baseline == name:
                continue
            for measure in MEASURES:
                estimate = mean_over_tasks(
                    lines, name, baseline=baseline, measure=measure, seed=SEED
                )
                row = {"calibrator": name, "less": baseline, "measure": measure}
                found.append(row | {"estimate": told(estimate)})
                if (baseline, measure) == ("temperature", "log_loss"):
                    print(f"  {name} less {baseline}: {estimate}", flush=True)
    return found


def run(name: str, by: str, size: Size, work: Path) -> dict[str, Any]:
    """One model, asked in one way; taken from ``work`` if it is there."""
    print(f"{name}, by {by}", flush=True)
    begin = time.perf_counter()
    states = read(name, by, size, work)
    key = digest_of({"size": vars(size)} | asked(states))
    part = work / f"{name}-{by}-{key[:16]}.json"
    if part.is_file():
        return json.loads(part.read_text("utf-8"))
    found = judged(states, size, work) | {"origin": dict(states[0].origin)}
    found["seconds"] = round(time.perf_counter() - begin, 1)
    text = json.dumps(found, ensure_ascii=False, allow_nan=False)
    beside = part.with_suffix(".part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(part)
    print(f"  {found['seconds']} s", flush=True)
    return found


def panels(result: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What the figure shows: lines with a difference to the pooled temperature."""
    return {
        name: [line for line in one["lines"] if "temperature" in line["differences"]]
        for name, one in result.items()
    }


def main() -> None:
    """Read the options, run, write, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--by", action="append", choices=WAYS, help="default: text")
    parser.add_argument("--work", type=Path, default=PROJECT / "build" / "learned")
    parser.add_argument("--out", type=Path, help=f"results/{RESULT}")
    parser.add_argument("--figure", type=Path, help=f"docs/{FIGURE}")
    given = parser.parse_args()
    size = QUICK if given.quick else FULL
    results, docs = PROJECT / "results", PROJECT / "docs"
    if given.quick:
        results = docs = given.work / "quick"
    result = {
        f"{name}, by {by}": run(name, by, size, given.work)
        for by in given.by or WAYS[:1]
        for name in given.model or MODELS
    }
    write(
        given.out or results / RESULT,
        result,
        precision=PRECISION,
        engine="transformers",
        families=FAMILIES,
        seed=SEED,
        size=vars(size),
        libraries={name: version(name) for name in ("torch", "transformers")},
        threads=os.environ.get("OMP_NUM_THREADS", "as the machine has"),
    )
    differences_figure(panels(result), given.figure or docs / FIGURE)
    if not given.quick and given.out is None:
        into_page(result, docs / PAGE)


if __name__ == "__main__":
    main()
