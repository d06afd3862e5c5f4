"""Consistency of 10,000 questions of 20 samples: nescio beside two peers.

    python benchmarks/consistency.py            # 10,000 questions; peers on fewer
    python benchmarks/consistency.py --quick    # a few, nothing written

Prints a table for each measure and writes results/benchmark_consistency.json. README.md
beside this file says how to read it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
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

OURS = "nescio"
PEERS = ("lm-polygraph", "rouge-score", "uqlm")
SEED = 20_261_122


def tables(arguments: argparse.Namespace) -> dict[str, list[Method]]:
    """Everything that is measured, by table; nescio stands first in each."""
    samples = {"samples": arguments.samples, "seed": SEED}
    whole = samples | {"questions": arguments.questions}
    distinct = whole | {"distinct": True}
    few = samples | {"questions": arguments.peer_questions}
    lexical = {"measure": "lexical_similarity", "similarity": "rouge_l"}
    theirs = {"module": "lexical_similarity", "estimator": "LexicalSimilarity"}
    return {
        f"every model-free measure, {arguments.questions} questions": [
            Method(OURS, "nescio all", whole),
            Method("nescio, no two samples the same", "nescio all", distinct),
        ],
        f"sorting into sets, {arguments.questions} questions": [
            Method(OURS, "nescio sorting", whole),
            Method("nescio, no two samples the same", "nescio sorting", distinct),
        ],
        f"lexical similarity, ROUGE-L, {arguments.peer_questions} questions": [
            Method(OURS, "nescio pairs", few | lexical),
            Method("lm-polygraph", "lm-polygraph", few | theirs),
            Method(
                "lm-polygraph, no stemmer",
                "lm-polygraph",
                few | theirs | {"stemmer": False},
            ),
        ],
        **{
            f"{title}, Jaccard, {arguments.peer_questions} questions": [
                Method(OURS, "nescio pairs", few | ours | {"similarity": "jaccard"}),
                Method("lm-polygraph", "lm-polygraph", few | other),
                Method(
                    "lm-polygraph, texts normalised",
                    "lm-polygraph",
                    few | other | {"normalised": True},
                ),
            ]
            for title, ours, other in _jaccard()
        },
        f"exact match with the first sample, {arguments.questions} questions": [
            Method(OURS, "nescio match", whole),
            Method("uqlm", "uqlm", whole),
        ],
    }


def _jaccard() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Measures that both have with the words in common: title, our task, theirs."""
    named = (
        ("EigV", "eigenvalue_uncertainty", "eig_val_laplacian", "EigValLaplacian"),
        ("Deg", "degree_uncertainty", "deg_mat", "DegMat"),
        ("Ecc", "eccentricity", "eccentricity", "Eccentricity"),
    )
    options = {"similarity_score": "Jaccard_score"}
    return [
        (
            title,
            {"measure": measure},
            {"module": module, "estimator": estimator, "options": options},
        )
        for title, measure, module, estimator in named
    ]


def compare(found: Sequence[Measured]) -> dict[str, dict[str, Any]]:
    """What is written of every method: its answer, seconds, ratio, memory."""
    ours = [one for one in found if one.method.label == OURS]
    return {
        one.method.label: {
            **one.answer,
            "seconds": one.seconds,
            "seconds_over_ours": {
                mine.method.label: asdict(ratio(mine.seconds, one.seconds))
                for mine in ours
            },
            **one.facts,
        }
        for one in found
    }


def show(title: str, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Print one table."""
    heads = {"value": 9, "sets": 3, "measures": 0}
    shown = [name for name in heads if any(name in e for e in entries.values())]
    head = [title, *shown, "seconds", "GiB", "times ours"]
    rows = []
    for label, entry in entries.items():
        ratios = [
            f"{r['value']:.2f} ({r['low']:.2f}–{r['high']:.2f})"
            for r in entry["seconds_over_ours"].values()
        ]
        rows.append(
            [
                label,
                *(_number(entry.get(name), heads[name]) for name in shown),
                f"{median(entry['seconds']):.3f}",
                gibibytes(entry["peak_bytes"]),
                *(ratios or [""]),
            ]
        )
    print("\n" + table(head, rows))


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=20, help="of each question")
    parser.add_argument(
        "--peer-questions", type=int, default=300, help="for measures of pairs"
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of each method")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--quick", action="store_true", help="few questions, one round, nothing written"
    )
    found = parser.parse_args(words)
    if found.quick:
        found.questions, found.peer_questions, found.rounds = 200, 20, 1
    return found


def peers() -> dict[str, str]:
    """The versions of the peers that are installed."""
    installed = {}
    for name in PEERS:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def main() -> None:
    arguments = arguments_of()
    print(
        f"{arguments.samples} samples a question; {arguments.threads} threads, "
        f"{arguments.rounds} rounds"
    )
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
            "consistency",
            found,
            questions=arguments.questions,
            peer_questions=arguments.peer_questions,
            samples=arguments.samples,
            seed=SEED,
            threads=arguments.threads,
            rounds=arguments.rounds,
            peers=peers(),
        )


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        from consistency_methods import prepare

        serve(sys.argv[2], prepare)
    else:
        main()
