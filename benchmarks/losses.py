"""One gradient of each loss: by tiles, and as one usually writes it with torch.

    python benchmarks/losses.py            # 256 rows, 262,144 tokens, width 640
    python benchmarks/losses.py --quick    # a small one

Hidden rows and head get gradients; a teacher's (reference's) do not. Each loss is
measured in its two forms, each in a process of its own, in turns. Memory is the peak of
the process beyond what it held before: inputs are not in it, the gradient of the head
(as large as the head) is. Prints a table and writes results/benchmark_losses.json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from measuring import (
    WORKER,
    Measured,
    Method,
    median,
    ratio,
    serve,
    side_by_side,
    table,
    write_result,
)

FORMS = ("plain", "tiled")
NAMES = (
    "penalty k2",
    "penalty k3",
    "penalty exact",
    "DPO",
    "distillation",
    "Jensen–Shannon",
    "next byte",
)


def compare(found: Sequence[Measured]) -> dict[str, Any]:
    """Seconds and memory of both forms of a loss, and their ratios."""
    forms = {one.method.task["form"]: one for one in found}
    entry: dict[str, Any] = {}
    for form, one in forms.items():
        before, peak = one.facts["before_bytes"], one.facts["peak_bytes"]
        entry[form] = {
            "seconds": one.seconds,
            "median_seconds": median(one.seconds),
            "extra_bytes": None if None in (before, peak) else peak - before,
            **one.answer,
        }
    if set(forms) == set(FORMS):
        plain, tiled = (forms[form] for form in FORMS)
        entry["time_of_tiled_over_plain"] = asdict(ratio(plain.seconds, tiled.seconds))
        extra = [entry[form]["extra_bytes"] for form in FORMS]
        if None not in extra:
            entry["memory_of_tiled_over_plain"] = extra[1] / extra[0]
    return entry


def show(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Print one table."""
    head = ["loss", "plain MiB", "tiled MiB", "ratio", "plain s", "tiled s", "ratio"]
    rows = []
    for name, entry in found.items():
        if set(FORMS) <= set(entry):
            time = entry["time_of_tiled_over_plain"]
            rows.append(
                [
                    name,
                    *(_mebibytes(entry[form]["extra_bytes"]) for form in FORMS),
                    f"{entry.get('memory_of_tiled_over_plain', float('nan')):.2f}",
                    *(f"{entry[form]['median_seconds']:.2f}" for form in FORMS),
                    f"{time['value']:.2f} ({time['low']:.2f}–{time['high']:.2f})",
                ]
            )
    print("\n" + table(head, rows))


def _mebibytes(count: int | None) -> str:
    return "–" if count is None else f"{count / 2**20:.0f}"


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--losses", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--vocab", type=int, default=262_144)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each form")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--quick", action="store_true", help="small, one round, no file"
    )
    found = parser.parse_args(words)
    if found.quick:
        found.rows, found.vocab, found.width, found.rounds = 64, 16_384, 64, 1
    return found


def main() -> None:
    arguments = arguments_of()
    found: dict[str, Any] = {}
    size = {name: getattr(arguments, name) for name in ("rows", "vocab", "width")}
    for name in arguments.losses:
        methods = [
            Method(f"{name}, {form}", form, {"loss": name, "form": form, **size})
            for form in FORMS
        ]
        measured, left_out = side_by_side(
            __file__, methods, rounds=arguments.rounds, threads=arguments.threads
        )
        found[name] = compare(measured)
        for label, reason in left_out.items():
            print(f"  left out: {label}: {reason}")
    show(found)
    if arguments.quick:
        return
    path = write_result(
        "losses",
        found,
        **size,
        element="float32",
        threads=arguments.threads,
        rounds=arguments.rounds,
        memory="peak of the process beyond what it held before the first run",
    )
    print(f"\n{path}")


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == WORKER:
        from losses_methods import prepare

        serve(sys.argv[2], prepare)
    else:
        main()
