"""Scoring documents: nescio with all its statistics beside what others use.

    python benchmarks/corpus_scoring.py            # both models, f32 and bf16
    python benchmarks/corpus_scoring.py --quick    # smollm2, a few documents

Prints a table for each model and precision and writes
results/benchmark_corpus_scoring.json. README.md beside this file says how to read it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from documents import corpus
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

STARTS = {"smollm2": "<|endoftext|>", "gemma3-270m": "<bos>"}
BATCHES = (1, 4)
PRECISIONS = ("f32", "bf16")
AGREE = 1e-3  # relative, in f32


def methods(arguments: argparse.Namespace, model: str, precision: str) -> list[Method]:
    """Everything that is measured for a model at a precision."""
    common = {
        "model": model,
        "precision": precision,
        "start": STARTS[model],
        "batches": tuple(arguments.batches),
        "quick": arguments.quick,
    }
    peer = [Method("lm-eval", "lm_eval", common | {"softmax": "float32"})]
    if precision == "bf16":
        default = common | {"softmax": None}
        peer.append(Method("lm-eval, softmax in bf16", "lm_eval", default))
    peer += [
        Method("minicons", "minicons", common),
        Method("transformers loop", "plain", common),
        Method("the same, all statistics", "plain", common | {"statistics": True}),
    ]
    if arguments.compiled:
        compiled = common | {"compiled": True, "batches": (1,)}
        peer.append(Method("transformers, compiled", "plain", compiled))
    for engine in engines():
        with_engine = common | {"engine": engine}
        peer.append(Method(f"engine {engine} alone", "engine", with_engine))
        peer.append(Method(ours(engine), "nescio", with_engine))
    return peer


def engines() -> list[str]:
    """The engines that run models of the catalogue."""
    from nescio.specification import ENGINES

    return [engine for engine in ENGINES if engine in ("openvino", "transformers")]


def ours(engine: str) -> str:
    """The row of nescio on an engine."""
    return f"nescio on {engine}"


def compare(
    found: Sequence[Measured], reference: Sequence[float] | None
) -> dict[str, dict[str, Any]]:
    """What is written of every method: speed, ratios, memory, agreement.

    ``reference`` holds the total log-probability of every document in f32; None takes
    those of the plain loop among the methods.
    """
    ours_found = [one for one in found if one.method.name == "nescio"]
    if reference is None:
        reference = totals_of_loop(found)
    entries = {}
    for one in found:
        totals = one.answer["totals"]
        entries[one.method.label] = {
            "tokens": one.answer["tokens"],
            "seconds": one.seconds,
            "tokens_per_second": one.answer["tokens"] / median(one.seconds),
            "speed_of_ours": {
                mine.method.label: asdict(ratio(mine.seconds, one.seconds))
                for mine in ours_found
            },
            "total_logp": None if totals is None else sum(totals),
            **_differences(totals, reference),
            **one.facts,
        }
    return entries


def totals_of_loop(found: Sequence[Measured]) -> list[float] | None:
    """The documents' totals by the plain loop, if it ran."""
    for one in found:
        if one.method.label == "transformers loop":
            return one.answer["totals"]
    return None


def _differences(
    totals: Sequence[float] | None, reference: Sequence[float] | None
) -> dict[str, float | None]:
    """Relative to f32: of the sum over documents, and of the worst document."""
    if totals is None or reference is None:
        return {"difference": None, "worst_document": None}
    worst = max(abs(a - b) / abs(b) for a, b in zip(totals, reference, strict=True))
    whole = abs(sum(totals) - sum(reference)) / abs(sum(reference))
    return {"difference": whole, "worst_document": worst}


def show(title: str, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Print one table."""
    mine = [label for label in entries if label.startswith("nescio on ")]
    engines_shown = [label.removeprefix("nescio on ") for label in mine]
    head = [title, "batch", "tok/s", "GiB", "differs", "worst", *engines_shown]
    rows = []
    for label, entry in entries.items():
        ratios = entry["speed_of_ours"]
        rows.append(
            [
                label,
                str(entry.get("batch", "")),
                f"{entry['tokens_per_second']:.0f}",
                gibibytes(entry["peak_bytes"]),
                _scientific(entry["difference"]),
                _scientific(entry["worst_document"]),
                *(_short(ratios[name]) for name in mine),
            ]
        )
    print("\n" + table(head, rows))


def _short(found: Mapping[str, float]) -> str:
    return f"{found['value']:.2f} ({found['low']:.2f}–{found['high']:.2f})"


def _scientific(value: float | None) -> str:
    return "" if value is None else f"{value:.0e}"


def disagreements(entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """In words, which methods scored something else in f32."""
    counts = {label: entry["tokens"] for label, entry in entries.items()}
    said = []
    if len(set(counts.values())) > 1:
        said.append(f"not the same number of tokens: {counts}")
    for label, entry in entries.items():
        if (entry["worst_document"] or 0.0) >= AGREE:
            said.append(
                f"{label} differs by {entry['worst_document']:.1e} on a document: "
                "look at its document start, first token and windows"
            )
    return said


def measure(
    arguments: argparse.Namespace,
) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """What is found so far, after each model and precision, which is also shown."""
    found: dict[str, Any] = {}
    warnings: list[str] = []
    for model in arguments.models:
        reference = None
        for precision in arguments.precisions:
            measured, left_out = side_by_side(
                __file__,
                methods(arguments, model, precision),
                rounds=arguments.rounds,
                threads=arguments.threads,
            )
            title = f"{model}, {precision}"
            if not measured:
                print(f"\n{title}: nothing could run")
            else:
                entries = compare(measured, reference)
                show(title, entries)
                found[title] = {"methods": entries, "left_out": left_out}
                if precision == "f32":
                    reference = totals_of_loop(measured)
                    warnings += [f"{title}: {w}" for w in disagreements(entries)]
            for label, reason in left_out.items():
                print(f"  left out: {label}: {reason}")
            yield found, warnings


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=STARTS, default=list(STARTS))
    parser.add_argument(
        "--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS
    )
    parser.add_argument("--rounds", type=int, default=2, help="runs of each method")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--batches",
        nargs="+",
        type=int,
        default=BATCHES,
        help="batch sizes of the peers; the fastest is measured",
    )
    parser.add_argument(
        "--compiled", action="store_true", help="torch.compile too; minutes longer"
    )
    parser.add_argument(
        "--quick", action="store_true", help="smollm2, five documents, one round"
    )
    found = parser.parse_args(words)
    if found.quick:
        found.models, found.rounds = ["smollm2"], 1
    return found


def main() -> None:
    arguments = arguments_of()
    texts = corpus(quick=arguments.quick)
    print(
        f"{len(texts.documents)} documents from {texts.source}, "
        f"{arguments.threads} threads, {arguments.rounds} rounds"
    )
    warnings: list[str] = []
    for found, warnings in measure(arguments):
        if arguments.quick:
            continue
        write_result(
            "corpus_scoring",
            found,
            documents={
                "source": texts.source,
                "count": len(texts.documents),
                "bytes": sum(len(text.encode("utf-8")) for text in texts.documents),
                "sha256": texts.digest,
            },
            threads=arguments.threads,
            rounds=arguments.rounds,
            starts=STARTS,
            batches_tried=list(arguments.batches),
            warnings=warnings,
        )
    for warning in warnings:
        print(f"! {warning}")


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        from scoring_methods import prepare

        serve(sys.argv[2], prepare)
    else:
        main()
