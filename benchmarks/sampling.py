"""Drawing 32 answers of 64 tokens: nescio with all its statistics, and generate.

    python benchmarks/sampling.py            # both models, f32 and bf16
    python benchmarks/sampling.py --quick    # smollm2, few tokens

Prints a table for each model and precision and writes results/benchmark_sampling.json.
README.md beside this file says how to read it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from corpus_scoring import PRECISIONS, STARTS, engines, ours
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

PEER = "transformers generate"


def methods(arguments: argparse.Namespace, model: str, precision: str) -> list[Method]:
    """Everything that is measured for a model at a precision."""
    common = {
        "model": model,
        "precision": precision,
        "start": STARTS[model],
        "samples": arguments.samples,
        "tokens": arguments.tokens,
    }
    found = [
        Method(PEER, "generate", common | {"statistics": False}),
        Method("the same, all statistics", "generate", common | {"statistics": True}),
    ]
    for engine in engines():
        with_engine = common | {"engine": engine}
        found.append(Method(alone(engine), "engine", with_engine))
        found.append(Method(ours(engine), "nescio", with_engine))
    return found


def alone(engine: str) -> str:
    """The row of an engine without statistics."""
    return f"engine {engine} alone"


def compare(found: Sequence[Measured]) -> dict[str, dict[str, Any]]:
    """What is written of every method: speed, ratios, memory, mean numbers."""
    ours_found = [one for one in found if one.method.name == "nescio"]
    return {
        one.method.label: {
            "seconds": one.seconds,
            "tokens_per_second": one.answer["tokens"] / median(one.seconds),
            "speed_of_ours": {
                mine.method.label: asdict(ratio(mine.seconds, one.seconds))
                for mine in ours_found
            },
            **one.answer,
            **one.facts,
        }
        for one in found
    }


def show(title: str, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Print one table."""
    mine = [label for label in entries if label.startswith("nescio on ")]
    names = [label.removeprefix("nescio on ") for label in mine]
    head = [title, "tok/s", "GiB", "surprisal", "entropy", *names]
    rows = []
    for label, entry in entries.items():
        ratios = entry["speed_of_ours"]
        rows.append(
            [
                label,
                f"{entry['tokens_per_second']:.0f}",
                gibibytes(entry["peak_bytes"]),
                _number(entry.get("mean_surprisal")),
                _number(entry.get("mean_entropy")),
                *(_short(ratios[name]) for name in mine),
            ]
        )
    print("\n" + table(head, rows))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _short(found: Mapping[str, float]) -> str:
    return f"{found['value']:.2f} ({found['low']:.2f}–{found['high']:.2f})"


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=STARTS, default=list(STARTS))
    parser.add_argument(
        "--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS
    )
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64, help="of each sample")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each method")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--quick", action="store_true", help="smollm2, 16 tokens, one round"
    )
    found = parser.parse_args(words)
    if found.quick:
        found.models, found.tokens, found.rounds = ["smollm2"], 16, 1
    return found


def measure(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What is found so far, after each model and precision, which is also shown."""
    found: dict[str, Any] = {}
    for model in arguments.models:
        for precision in arguments.precisions:
            measured, left_out = side_by_side(
                __file__,
                methods(arguments, model, precision),
                rounds=arguments.rounds,
                threads=arguments.threads,
            )
            title = f"{model}, {precision}"
            if measured:
                entries = compare(measured)
                show(title, entries)
                found[title] = {"methods": entries, "left_out": left_out}
            for label, reason in left_out.items():
                print(f"  left out: {title}, {label}: {reason}")
            yield found


def main() -> None:
    from sampling_methods import PROMPT

    arguments = arguments_of()
    print(
        f"{arguments.samples} samples of {arguments.tokens} tokens, "
        f"{arguments.threads} threads, {arguments.rounds} rounds"
    )
    for found in measure(arguments):
        if arguments.quick:
            continue
        write_result(
            "sampling",
            found,
            prompt=PROMPT,
            samples=arguments.samples,
            tokens=arguments.tokens,
            temperature=1.0,
            threads=arguments.threads,
            rounds=arguments.rounds,
            starts=STARTS,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        from sampling_methods import prepare

        serve(sys.argv[2], prepare)
    else:
        main()
