"""The layer lens: a text read, and an answer drawn, with every layer's entropy.

    python benchmarks/lens.py            # both models
    python benchmarks/lens.py --quick    # smollm2, few tokens

Beside nescio stands what one usually writes: ``output_hidden_states``, then norm and
head layer by layer over all positions at once. When drawing, once with the whole
context run again for each token, as tools that trace a forward pass do, and once with
the network's cache. *Alone* is nescio on the same engine without a lens. All compute
entropy, KL to the last layer, the target's surprisal and rank and the top token.
Prints a table for each model and task and writes results/benchmark_lens.json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from measuring import (
    WORKER,
    Measured,
    Method,
    gibibytes,
    median,
    ratio,
    serve,
    side_by_side,
    table,
    write_result,
)

MODELS = ("smollm2", "gemma3-270m")
OURS = "nescio"
TASKS = {
    "reads": {
        OURS: "nescio reads",
        "hidden states, all positions": "usual reads",
        "nnterp": "nnterp reads",
        "alone, no lens": "alone reads",
    },
    "draws": {
        OURS: "nescio draws",
        "hidden states, run again": "again draws",
        "hidden states, with cache": "usual draws",
        "alone, no lens": "alone draws",
    },
}


def methods(arguments: argparse.Namespace, model: str, task: str) -> list[Method]:
    """Everything that is measured for a model and a task."""
    tokens = arguments.tokens if task == "reads" else arguments.drawn
    given = {"model": model, "tokens": tokens}
    return [Method(label, name, given) for label, name in TASKS[task].items()]


def compare(found: Sequence[Measured]) -> dict[str, dict[str, Any]]:
    """Seconds, ratios within a round, memory, and what each computed."""
    (mine,) = [one for one in found if one.method.label == OURS]
    return {
        one.method.label: {
            "seconds": one.seconds,
            "tokens_per_second": one.answer["tokens"] / median(one.seconds),
            "speed_of_ours": asdict(ratio(mine.seconds, one.seconds)),
            **one.answer,
            **one.facts,
        }
        for one in found
    }


def show(title: str, entries: dict[str, dict[str, Any]]) -> None:
    """Print one table."""
    head = [title, "tok/s", "GiB", "entropy", "KL", "nescio is × as fast"]
    rows = []
    for label, entry in entries.items():
        speed = entry["speed_of_ours"]
        rows.append(
            [
                label,
                f"{entry['tokens_per_second']:.1f}",
                gibibytes(entry["peak_bytes"]),
                _number(entry.get("entropy")),
                _number(entry.get("kl")),
                f"{speed['value']:.2f} ({speed['low']:.2f}–{speed['high']:.2f})",
            ]
        )
    print("\n" + table(head, rows))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--tokens", type=int, default=96, help="of the text read")
    parser.add_argument("--drawn", type=int, default=16, help="tokens drawn")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each method")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--quick", action="store_true", help="smollm2, few tokens, one round"
    )
    found = parser.parse_args(words)
    if found.quick:
        found.models, found.rounds = ["smollm2"], 1
        found.tokens, found.drawn = 64, 8
    return found


def main() -> None:
    """Read the options, run, show, write."""
    arguments = arguments_of()
    found: dict[str, Any] = {}
    for model in arguments.models:
        for task in TASKS:
            measured, left_out = side_by_side(
                __file__,
                methods(arguments, model, task),
                rounds=arguments.rounds,
                threads=arguments.threads,
            )
            entries = compare(measured)
            show(f"{model} {task}", entries)
            found[f"{model} {task}"] = {"methods": entries, "left_out": left_out}
            for label, reason in left_out.items():
                print(f"  left out: {model}, {label}: {reason}")
    if not arguments.quick:
        write_result(
            "lens",
            found,
            tokens=arguments.tokens,
            drawn=arguments.drawn,
            threads=arguments.threads,
            rounds=arguments.rounds,
            precision="f32",
        )


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        from lens_methods import prepare

        serve(sys.argv[2], prepare)
    else:
        main()
