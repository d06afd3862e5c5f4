"""What watching costs: an answer drawn with all statistics and an alarm, and without.

    python benchmarks/watching.py            # both models
    python benchmarks/watching.py --quick    # smollm2, few tokens

*alone* is the engine's own loop: read a token, draw the next with the same sampler,
look at nothing. Beside it `nescio.stream`: every statistic of every token and its
trace, then with each alarm on; and transformers' ``generate``, plain and with nescio's
logits processor and stopping criterion. *outside the engine* is the processor time of
the calling thread that is not the engine's, more than alone, beside the engine's
fastest step of all: other work on the machine hardly moves it. All run in one process,
in turns that change from round to round, and a ratio is taken within a round. Last, how
memory grows while ``generate`` draws 2,000 tokens, watched and not, on a network too
small to matter. Prints tables and writes results/benchmark_watching.json, where what
other runs of the same settings found of other models stays.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from measuring import (
    WORKER,
    Method,
    Unavailable,
    Worker,
    earlier_result,
    precision_of,
    serve,
    table,
    with_precision,
    write_result,
)

MODELS = ("smollm2", "gemma3-270m")
ENGINES = ("openvino", "transformers")
TASKS = {"nescio.stream": "stream", "generate of transformers": "generate"}


def interval(ours: Sequence[float], alone: Sequence[float]) -> dict[str, float]:
    """How much longer ours takes: the ratio of sums less 1, rounds resampled."""
    import numpy as np

    from nescio.uncertainty import bootstrap_rows, ratio_of_means

    columns = np.stack([np.array(ours), np.array(alone)], axis=1)
    value = float(ratio_of_means(columns.mean(axis=0, keepdims=True))[0]) - 1.0
    found = bootstrap_rows(columns, ratio_of_means, level=0.95, resamples=4000, seed=0)
    return {"value": value, "low": found.low - 1.0, "high": found.high - 1.0}


def compared(answer: dict[str, Any]) -> dict[str, Any]:
    """Seconds of every way, and what each costs beside the first."""
    seconds, tokens = answer["seconds"], answer["tokens"]
    first, *others = seconds
    found: dict[str, Any] = {
        name: {
            "seconds": times,
            "milliseconds_per_token": 1e3 * sum(times) / len(times) / tokens,
        }
        for name, times in seconds.items()
    }
    for name in others:
        found[name]["cost"] = interval(seconds[name], seconds[first])
    for name, spent in answer.get("outside", {}).items():
        found[name]["milliseconds_outside"] = 1e3 * sum(spent) / len(spent) / tokens
        if name != first:  # beside the fastest step of all, the hardest comparison
            quick = [answer["fastest_step"] * tokens] * len(spent)
            plain = answer["outside"][first]
            more = [q + a - b for q, a, b in zip(quick, spent, plain, strict=True)]
            found[name]["cost_outside"] = interval(more, quick)
    if "fastest_step" in answer:
        found[first]["milliseconds_of_the_fastest_step"] = 1e3 * answer["fastest_step"]
    return found


def show(title: str, found: dict[str, Any]) -> None:
    """Print one table."""
    rows = []
    for name, one in found.items():
        cost = one.get("cost")
        words = "" if cost is None else _percent(cost)
        beside = one.get("cost_outside")
        own = "" if beside is None else _percent(beside)
        rows.append([name, f"{one['milliseconds_per_token']:.2f}", words, own])
    print("\n" + table([title, "ms/token", "costs", "outside the engine"], rows))


def _percent(cost: dict[str, float]) -> str:
    value, low, high = (100.0 * cost[end] for end in ("value", "low", "high"))
    return f"{value:+.1f} % ({low:+.1f} to {high:+.1f})"


def show_memory(found: dict[str, Any]) -> None:
    """Print how memory grew."""
    rows = [
        [
            name,
            f"{one['resident_bytes_per_token']:.0f}",
            f"{one['python_bytes_per_token']:.0f}",
            f"{one['objects_per_token']:.2f}",
        ]
        for name, one in found.items()
    ]
    head = ["growth a token", "resident bytes", "of Python", "objects"]
    print("\n" + table(head, rows))


def answer_of(method: Method, threads: int) -> dict[str, Any]:
    """What a worker found."""
    worker = Worker(__file__, method, threads)
    try:
        return worker.run()[1]
    finally:
        worker.close()


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--tokens", type=int, default=48, help="of each answer")
    parser.add_argument("--rounds", type=int, default=16, help="runs of each way")
    parser.add_argument(
        "--tasks", nargs="+", choices=list(TASKS.values()), default=list(TASKS.values())
    )
    parser.add_argument("--long", type=int, default=2000, help="tokens, for memory")
    parser.add_argument("--threads", type=int, default=2)
    with_precision(parser)
    parser.add_argument("--quick", action="store_true", help="smollm2, few tokens")
    found = parser.parse_args(words)
    if found.quick:
        found.models, found.tokens, found.rounds, found.long = ["smollm2"], 8, 5, 200
    return found


def main() -> None:
    """Read the options, run, show, write."""
    arguments = arguments_of()
    fast = precision_of(arguments.precision)
    found: dict[str, Any] = {}
    for model in arguments.models:
        for (label, name), engine in zip(TASKS.items(), ENGINES, strict=True):
            if name not in arguments.tasks:
                continue
            precision = fast if engine == "openvino" else "f32"
            task = {
                "model": model,
                "engine": engine,
                "precision": precision,
                "tokens": arguments.tokens,
                "rounds": arguments.rounds,
            }
            title = f"{label}, {model} on {engine} {precision}"
            try:
                answer = answer_of(Method(label, name, task), arguments.threads)
            except Unavailable as error:
                print(f"  left out: {title}: {error}")
                continue
            found[title] = compared(answer)
            show(title, found[title])
    memory = answer_of(
        Method("memory", "memory", {"tokens": arguments.long}), arguments.threads
    )
    show_memory(memory["growth"])
    if not arguments.quick:
        recipe: dict[str, Any] = {
            "tokens": arguments.tokens,
            "rounds": arguments.rounds,
            "threads": arguments.threads,
            "interval": "bootstrap over rounds, 95 %",
        }
        before = earlier_result("watching", **recipe).get("cost", {})
        write_result("watching", {"cost": before | found, "memory": memory}, **recipe)


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        from watching_methods import prepare

        serve(sys.argv[2], prepare)
    else:
        main()
