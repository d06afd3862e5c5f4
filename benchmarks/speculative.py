"""Bytes a second of an ensemble, plain and with one member drafting for the other.

smollm2 drafts for gemma3-270m; the ensemble is their mean and their product. Each round
draws one answer a setting, in turns; every setting gives the same distribution, and
another text. Also told: how many passes each member needed a byte, and how many drafted
bytes were kept.

    python benchmarks/speculative.py            # drafts of 4, 8 and 16 bytes
    python benchmarks/speculative.py --quick    # few bytes, one round

Prints a table and writes results/benchmark_speculative.json.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from measuring import (
    note,
    precision_of,
    ratio,
    table,
    with_precision,
    write_result,
)

PROMPT = "The history of the city begins in the year"
MEMBERS = ("smollm2", "gemma3-270m")
RULES = ("mean", "product")
AHEAD = (0, 4, 8, 16)


def measured(
    arguments: argparse.Namespace, rule: str, views: Sequence[Any]
) -> dict[str, Any]:
    """Seconds a byte and passes a byte for each length of draft."""
    from nescio.ensemble.joining import Ensemble
    from nescio.ensemble.speculative import Drafting, speculate

    ensemble = Ensemble(views, rule=rule)
    seconds: dict[int, list[float]] = {ahead: [] for ahead in AHEAD}
    told: dict[int, dict[str, Any]] = {}
    speculate(ensemble, PROMPT, drafting=Drafting(0, 4, 8), chat=False)  # warm
    for number in range(arguments.rounds):
        for ahead in AHEAD:
            note(f"{rule}: round {number + 1} of {arguments.rounds}, ahead {ahead}")
            drafting = Drafting(0, ahead, arguments.bytes)
            begin = time.perf_counter()
            found = speculate(
                ensemble, PROMPT, drafting=drafting, seed=number, chat=False
            )
            count = max(1, len(found.logp))
            seconds[ahead].append((time.perf_counter() - begin) / count)
            sums = told.setdefault(ahead, {"bytes": 0, "judged": 0, "overlap": 0.0})
            sums["bytes"] += count
            sums["judged"] += len(found.overlap)
            sums["overlap"] += float(found.overlap.sum())
            for name, passes in zip(MEMBERS, found.passes, strict=True):
                own = sums.setdefault(name, dict.fromkeys(asdict(passes), 0))
                for key, value in asdict(passes).items():
                    own[key] += value
    return {
        str(ahead): {
            "seconds_per_byte": seconds[ahead],
            "speed_of_plain": asdict(ratio(seconds[ahead], seconds[0])),
            **told[ahead],
        }
        for ahead in AHEAD
    }


def show(rule: str, found: dict[str, Any]) -> None:
    """Print one table."""
    rows = []
    for ahead, one in found.items():
        speed, kept = one["speed_of_plain"], "–"
        if one["judged"]:
            kept = f"{one['overlap'] / one['judged']:.2f}"
        calls = [f"{one[name]['calls'] / one['bytes']:.2f}" for name in MEMBERS]
        each = sorted(one["seconds_per_byte"])[len(one["seconds_per_byte"]) // 2]
        times = f"{speed['value']:.2f} ({speed['low']:.2f}–{speed['high']:.2f})"
        rows.append([f"ahead {ahead}", f"{1 / each:.1f}", times, kept, *calls])
    head = [rule, "bytes/s", "of plain", "kept"]
    print(table([*head, *(f"{name} passes/byte" for name in MEMBERS)], rows), "\n")


def main() -> None:
    """Read the options, run, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="few bytes, one round")
    parser.add_argument("--bytes", type=int, help="of each answer")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--prune", type=float, default=0.01)
    with_precision(parser)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    arguments.bytes = arguments.bytes or (24 if arguments.quick else 160)
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 5)
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    import nescio
    from nescio.ensemble.byte_view import ByteView

    precision = precision_of(arguments.precision)
    views = [
        ByteView(nescio.load(f"{name},precision={precision}"), prune=arguments.prune)
        for name in MEMBERS
    ]
    found = {}
    for rule in RULES:
        found[rule] = measured(arguments, rule, views)
        show(rule, found[rule])
    if not arguments.quick:
        write_result(
            "speculative",
            found,
            drafter=MEMBERS[0],
            prompt=PROMPT,
            bytes=arguments.bytes,
            rounds=arguments.rounds,
            prune=arguments.prune,
            threads=arguments.threads,
            precision=precision,
        )


if __name__ == "__main__":
    main()
