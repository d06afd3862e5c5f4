"""Models read as bytes, one and several, beside the tokens they are made of.

    python benchmarks/ensemble.py            # both models, both engines, the peer
    python benchmarks/ensemble.py --quick    # a few bytes, nothing written

The *floor* is every model reading its own tokens of the same text and nothing else:
the share of the floor is how near reading all spellings byte by byte comes to it.
Prints a table for each job and writes results/benchmark_ensemble.json; bits a byte are
∞ (null) where a byte of the text was given no probability.
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
    gibibytes,
    median,
    precision_of,
    ratio,
    serve,
    side_by_side,
    table,
    with_precision,
    write_result,
)

MODELS = ("smollm2", "gemma3-270m")
PEERS = "smollm2"
FLOOR = "floor"
HEADS = {
    "bits_per_byte": 3,
    "passes_per_byte": 3,
    "contexts_per_byte": 3,
    "spellings_alive": 1,
    "milliseconds": 3,
}
USUAL, FINE = 1e-2, 1e-3
START = "<|endoftext|>"  # of a document of smollm2, which the peer is read with


def tables(arguments: argparse.Namespace) -> dict[str, list[Method]]:
    """Everything that is measured, by table; the floor stands first where one is."""
    found: dict[str, list[Method]] = {}
    precision = precision_of(arguments.precision)
    fast = {"engine": "openvino", "precision": precision, "bytes": arguments.bytes}
    for name in arguments.models:
        one = fast | {"models": [name]}
        found[f"{name} as bytes, openvino {precision}"] = [
            Method(FLOOR, "floor", one),
            *_views(one),
        ]
    if len(arguments.models) > 1:
        both = fast | {"models": list(arguments.models), "prune": USUAL}
        found[f"both, openvino {precision}"] = [
            Method(FLOOR, "floor", both),
            *(
                Method(rule, "ensemble", both | {"rule": rule})
                for rule in ("mean", "posterior", "product")
            ),
        ]
    slow = {"engine": "transformers", "precision": "f32", "bytes": arguments.peer_bytes}
    slow |= {"models": [PEERS], "spelling": "all"}
    found[f"{PEERS} as bytes, torch f32"] = [
        Method(FLOOR, "floor", slow),
        Method("nescio, prune 0.01", "view", slow | {"prune": USUAL}),
        Method("nescio, prune 0.001", "view", slow | {"prune": FINE}),
        *(
            Method(
                f"genlm-bytes, beam {beam}, prune {prune:g}",
                "genlm-bytes",
                slow | {"beam": beam, "prune": prune, "start": START},
            )
            for beam, prune in ((5, 0.05), (20, USUAL), (20, FINE))
        ),
    ]
    found["a row of logits to the next byte"] = [
        Method(name, "marginals", {"models": [name]}) for name in arguments.models
    ]
    return found


def _views(task: Mapping[str, Any]) -> list[Method]:
    every = {**task, "spelling": "all"}
    own = {**task, "spelling": "canonical", "prune": USUAL}
    return [
        *(
            Method(f"all spellings, prune {prune:g}", "view", every | {"prune": prune})
            for prune in (0.1, USUAL, FINE)
        ),
        Method("its own spelling", "view", own),
    ]


def compare(found: Sequence[Measured]) -> dict[str, dict[str, Any]]:
    """What is written of every method: its answer, seconds, share of the floor."""
    floors = [one for one in found if one.method.label == FLOOR]
    return {
        one.method.label: {
            **one.answer,
            "seconds": one.seconds,
            "share_of_floor": [
                asdict(ratio(one.seconds, least.seconds)) for least in floors
            ],
            **one.facts,
        }
        for one in found
    }


def _told(value: float | None, name: str) -> str:
    """A number of a table; None: a byte was given no probability."""
    return "∞" if value is None else f"{value:.{HEADS[name]}f}"


def show(title: str, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Print one table."""
    shown = [name for name in HEADS if any(name in e for e in entries.values())]
    head = [title, *(name.replace("_", " ") for name in shown)]
    head += ["seconds", "GiB", "of the floor"]
    rows = []
    for label, entry in entries.items():
        numbers = [_told(entry[name], name) if name in entry else "" for name in shown]
        shares = [
            f"{r['value']:.0%} ({r['low']:.0%}–{r['high']:.0%})"
            for r in entry["share_of_floor"]
        ]
        seconds, memory = median(entry["seconds"]), gibibytes(entry["peak_bytes"])
        rows.append([label, *numbers, f"{seconds:.2f}", memory, *(shares or [""])])
    print("\n" + table(head, rows))


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--bytes", type=int, default=600, help="of the text")
    parser.add_argument("--peer-bytes", type=int, default=200, help="beside the peer")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each method")
    parser.add_argument("--threads", type=int, default=2)
    with_precision(parser)
    parser.add_argument(
        "--quick", action="store_true", help="few bytes, one round, nothing written"
    )
    found = parser.parse_args(words)
    if found.quick:
        found.models, found.rounds = ["smollm2"], 1
        found.bytes, found.peer_bytes = 40, 20
    return found


def main() -> None:
    arguments = arguments_of()
    print(f"{arguments.threads} threads, {arguments.rounds} rounds")
    found: dict[str, Any] = {}
    for title, methods in tables(arguments).items():
        measured, left_out = side_by_side(
            __file__, methods, rounds=arguments.rounds, threads=arguments.threads
        )
        if measured:
            entries = compare(measured)
            show(title, entries)
            found[title] = {"methods": entries, "left_out": left_out}
        for label, reason in left_out.items():
            print(f"  left out: {title}, {label}: {reason}")
    if not arguments.quick:
        write_result(
            "ensemble",
            found,
            models=arguments.models,
            bytes=arguments.bytes,
            peer_bytes=arguments.peer_bytes,
            threads=arguments.threads,
            rounds=arguments.rounds,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        from ensemble_methods import prepare

        serve(sys.argv[2], prepare)
    else:
        main()
