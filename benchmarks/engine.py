"""Stepping and reading: nescio on OpenVINO, OpenVINO alone, and transformers.

    python benchmarks/engine.py            # both models, f32 and bf16
    python benchmarks/engine.py --quick    # smollm2 in f32

*Alone* is what is left without nescio: both compiled parts called one after the other,
with tables made beforehand. *Stepping* is the same through nescio, which adds contexts
that fork and rewind; *sampling* draws every token from the whole distribution and keeps
every statistic and 20 candidates of it. All are measured in turns, in one process;
ratios are taken within a round. Prints a table for each model and precision and writes
results/benchmark_engine.json.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from statistics import median
from typing import Any

import numpy as np
from measuring import Ratio, ratio, table, write_result
from sampling_methods import endless

import nescio
from nescio.decoding.batch import Request, drawn_tokens
from nescio.models.openvino_runtime import Compiled, openvino

BATCHES = (1, 4, 16, 32)
CONTEXT, PROMPT = 64, 512
ROUNDS, SECONDS = 5, 0.5
TOP = 20
PAIRS = (
    ("openvino", "alone"),
    ("sampling", "alone"),
    ("openvino", "transformers"),
)
TYPES = {"f32": np.float32, "bf16": np.uint16}

Step = Callable[[], object]


def engine_alone(compiled: Compiled, *, rows: int, length: int, steps: int) -> Step:
    """One step of ``rows`` sequences on the bare engine, up to ``steps`` times.

    Args:
        compiled: both parts of a model.
        rows: how many sequences step together.
        length: how many tokens each has before the first step; what they are does not
            matter, so nothing is read.
        steps: after how many steps the sequences begin again.
    """
    ov = openvino()
    body = compiled.body.create_infer_request()
    head = compiled.head.create_infer_request()
    blocks = -(-(length + steps) // compiled.block_size)
    kind = getattr(ov.Type, compiled.memory)
    kept = []
    for name, width in (("key", "key"), ("value", "value")):
        for number, layer in enumerate(compiled.layers):
            shape = (
                rows * blocks,
                layer.heads,
                compiled.block_size,
                getattr(layer, width),
            )
            array = np.zeros(shape, TYPES[compiled.memory])
            kept.append(ov.Tensor(array, ov.Shape(shape), kind))
            body.set_tensor(f"{name}_cache.{number}", kept[-1])
    past = np.full(rows, length, dtype=np.int32)
    positions = np.full((1, rows), length, dtype=np.int64)
    longest = np.array(length + 1, dtype=np.int32)
    given = {
        "input_ids": np.arange(100, 100 + rows, dtype=np.int64)[None],
        "position_ids": positions,
        "past_lens": past,
        "subsequence_begins": np.arange(rows + 1, dtype=np.int32),
        "block_indices": np.arange(rows * blocks, dtype=np.int32),
        "block_indices_begins": np.arange(rows + 1, dtype=np.int32) * np.int32(blocks),
        "max_context_len": longest,
    }
    for name, array in given.items():
        kept.append(ov.Tensor(array, shared_memory=True))
        body.set_tensor(name, kept[-1])
    head.set_input_tensor(body.get_output_tensor(0))

    def step() -> Any:
        if past[0] == length + steps - 1:
            past[:], positions[:], longest[...] = length, length, length + 1
        body.infer()
        head.set_input_tensor(body.get_output_tensor(0))
        head.infer()
        past[:] += 1
        positions[:] += 1
        longest[...] += 1
        return kept

    return step


def stepping(model: Any, *, rows: int, length: int, steps: int) -> Step:
    """The same through nescio, on any engine."""
    ids = np.arange(100, 100 + length, dtype=np.int32)
    opened, _ = model.extend([model.open()] * rows, [ids] * rows)
    contexts, taken = opened, 0
    runs = [np.array([100 + row]) for row in range(rows)]

    def step() -> None:
        nonlocal contexts, taken
        if taken == steps - 1:
            contexts, taken = opened, 0
        contexts, _ = model.extend(contexts, runs)
        taken += 1

    return step


def sampling(model: Any, *, rows: int, length: int, steps: int) -> Step:
    """The same again, and every token drawn and measured, as ``sample`` does it."""
    ids = np.arange(100, 100 + length, dtype=np.int32)
    decoding = nescio.Decoding(steps, detail=nescio.Detail(top=TOP), batch=rows)
    asked = [Request(ids, np.random.SeedSequence(row)) for row in range(rows)]
    drawn = iter(())

    def step() -> None:
        nonlocal drawn
        if next(drawn, None) is None:
            drawn = drawn_tokens(model, asked, decoding)
            next(drawn)

    return step


def reading(model: Any, length: int) -> Step:
    """A prompt read at once."""
    ids = np.arange(100, 100 + length, dtype=np.int32)
    return lambda: model.extend([model.open()], [ids])


def rates(steps: dict[str, Step], tokens: int) -> dict[str, list[float]]:
    """Tokens a second of each, round by round: the median step of each round."""
    for step in steps.values():
        step()
    found: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(ROUNDS):
        names = list(steps)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            seconds: list[float] = []
            end = time.perf_counter() + SECONDS
            while time.perf_counter() < end or len(seconds) < 3:
                begin = time.perf_counter()
                steps[name]()
                seconds.append(time.perf_counter() - begin)
            found[name].append(tokens / median(seconds))
    return found


def measured(name: str, precision: str) -> dict[str, Any]:
    """Every batch of a model at a precision; the prompt at last."""
    fast = nescio.load(f"{name},precision={precision}", engine="openvino")
    slow = nescio.load(f"{name},precision={precision}", engine="transformers")
    found: dict[str, Any] = {"engine": fast.origin.engine}
    shape = {"length": CONTEXT, "steps": 64}
    for rows in BATCHES:
        alone = engine_alone(fast.network.compiled, rows=rows, **shape)  # pyright: ignore[reportAttributeAccessIssue]
        found[f"step, batch {rows}"] = rates(
            {
                "alone": alone,
                "openvino": stepping(fast, rows=rows, **shape),
                "sampling": sampling(endless(fast), rows=rows, **shape),
                "transformers": stepping(slow, rows=rows, **shape),
            },
            rows,
        )
    found[f"read {PROMPT} tokens"] = rates(
        {
            "openvino": reading(fast, PROMPT),
            "transformers": reading(slow, PROMPT),
        },
        PROMPT,
    )
    return found


def compared(found: dict[str, list[float]], one: str, other: str) -> Ratio | None:
    """How many times as fast as ``other`` one is."""
    if one not in found or other not in found:
        return None
    ours, theirs = ([1 / rate for rate in found[n]] for n in (one, other))
    return ratio(ours, theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smollm2 in f32 only")
    quick = parser.parse_args().quick
    results: dict[str, Any] = {}
    for name in ("smollm2",) if quick else ("smollm2", "gemma3-270m"):
        for precision in ("f32",) if quick else ("f32", "bf16"):
            found = measured(name, precision)
            engine, rows = found.pop("engine"), []
            for task, each in found.items():
                ratios = {pair: compared(each, *pair) for pair in PAIRS}
                rates_shown = [
                    f"{median(each[n]):.0f}" if n in each else "–"
                    for n in ("alone", "openvino", "sampling", "transformers")
                ]
                shown = [str(r) if r else "–" for r in ratios.values()]
                rows.append([task, *rates_shown, *shown])
                found[task] = {"tokens_per_second": each} | {
                    f"{one}_over_{other}": asdict(r)
                    for (one, other), r in ratios.items()
                    if r
                }
            head = ["tokens/s", "alone", "stepping", "sampling", "transformers"]
            head += ["stepping ÷ alone", "sampling ÷ alone", "stepping ÷ torch"]
            print(f"\n{name}, {precision}: {engine}\n{table(head, rows)}")
            results[f"{name},precision={precision}"] = {"engine": engine} | found
    path = write_result(
        "engine",
        results,
        context=CONTEXT,
        prompt=PROMPT,
        rounds=ROUNDS,
        threads=os.environ.get("OMP_NUM_THREADS", "as the machine has"),
    )
    print(f"\n{path}")


if __name__ == "__main__":
    main()
