"""How fast the kernel is, as ratios within one run.

Reading is the time of a plain vectorised sum over the same array, which is larger than
the caches, on as many threads. Calls are interleaved, and of several repetitions the
best wall time counts. Peak memory is what Python allocates beyond the result. Writes
``results/benchmark_kernel.json``.

    python benchmarks/kernel.py [gibibytes]
"""

from __future__ import annotations

import math
import os
import platform
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from measuring import write_result
from usual_torch import DRAWS, usual_pairs, usual_rows

from nescio import _native
from nescio.kernel import (
    Sampling,
    draw,
    kernel_path,
    pair_statistics,
    row_statistics,
)
from nescio.kernel.native import available_paths

VOCABULARIES = (49_152, 262_144)
TOP = 20
REPETITIONS = 5
SLOW_ROWS_BYTES = 2**26  # of the array for what is slow
SETTINGS = {
    "temperature 1": Sampling(),
    "temperature .7, top_p .9": Sampling(temperature=0.7, top_p=0.9),
    "top_k 50": Sampling(top_k=50),
    "min_p .05": Sampling(min_p=0.05),
    "typical_p .95": Sampling(typical_p=0.95),
}
ELEMENTS = {"float64": 0, "float32": 1, "float16": 2, "bfloat16": 3}

Call = Callable[[], object]


@dataclass(frozen=True)
class Timed:
    """A call, on which path and threads, and what share of the array it is given."""

    call: Call
    path: str = "numpy"
    threads: int = 1
    share: float = 1.0


def main() -> None:
    size = int(float(sys.argv[1] if len(sys.argv) > 1 else 1) * 2**30)
    found: dict[str, dict[str, float]] = {}
    for vocab in VOCABULARIES:
        for element in ELEMENTS:
            logits = random_logits(size, vocab, element)
            name = f"rows, V {vocab}, {element}"
            found[name] = row_ratios(logits, element)
            show(name, found[name])
        logits = random_logits(size // 2, vocab, "float32")
        for setting, sampling in SETTINGS.items():
            name = f"draw, V {vocab}, {setting}"
            found[name] = draw_ratios(logits, setting, sampling)
            show(name, found[name])
        name = f"pairs, V {vocab}, float32"
        found[name] = pair_ratios(logits)
        show(name, found[name])
    write_result(
        "kernel",
        found,
        path=kernel_path(),
        bytes_of_logits=size,
        bytes_of_logits_of_draws_and_pairs=size // 2,
        top=TOP,
        repetitions=REPETITIONS,
        unit="times the time of reading the array once, on as many threads",
        timing="wall time, best repetition, interleaved",
        processor=processor(),
    )


def random_logits(size: int, vocab: int, element: str) -> np.ndarray:
    width = (
        2 if element in ("float16", "bfloat16") else 8 if element == "float64" else 4
    )
    rows = max(2, size // (vocab * width))
    few = np.random.default_rng(0).normal(size=(min(rows, 64), vocab)) * 2.5
    few = few.astype(np.float32)
    if element == "bfloat16":
        few = (few.view(np.uint32) >> 16).astype(np.uint16)
    else:
        few = few.astype(element)
    return np.resize(few, (rows, vocab))


def row_ratios(logits: np.ndarray, element: str) -> dict[str, float]:
    targets = np.random.default_rng(1).integers(0, logits.shape[1], len(logits))
    dtype = "bfloat16" if element == "bfloat16" else None
    part = slice(0, max(2, SLOW_ROWS_BYTES // logits[0].nbytes))

    def rows(where: slice = slice(None)) -> Call:
        some, ids = logits[where], targets[where]
        return lambda: row_statistics(some, ids, top=TOP, dtype=dtype)

    calls: dict[str, Timed] = {}
    share = len(logits[part]) / len(logits)
    for path in available_paths():
        slow = path in ("numpy", "baseline")
        where = part if slow else slice(None)
        for threads in (1,) if path == "numpy" else (1, 2):
            name = f"{path}, {threads} thread" + "s" * (threads > 1)
            calls[name] = Timed(rows(where), path, threads, share if slow else 1.0)
    tensor = torch.from_numpy(logits[part])
    if element == "bfloat16":
        tensor = tensor.view(torch.bfloat16)
    ids = torch.from_numpy(targets[part])
    for threads in (1, 2):
        name = f"torch, {threads} thread" + "s" * (threads > 1)
        calls[name] = Timed(
            lambda: usual_rows(tensor, ids, TOP), threads=threads, share=share
        )
    compiled = compiled_rows(tensor, ids)
    if compiled is not None:
        calls["torch.compile, 1 thread"] = Timed(compiled, share=share)
    ratios = relative(calls, logits, element)
    ratios["extra MiB"] = extra_memory(rows(part))
    return ratios


def compiled_rows(tensor: torch.Tensor, ids: torch.Tensor) -> Call | None:
    """The usual code after torch.compile, if a compiler for it works here."""
    torch._dynamo.reset()  # or it counts as a change of types
    function = torch.compile(usual_rows)
    try:
        function(tensor, ids, TOP)
    except Exception as problem:  # noqa: BLE001  whatever a missing compiler raises
        print(f"(torch.compile does not work here: {type(problem).__name__})")
        return None
    return lambda: function(tensor, ids, TOP)


def draw_ratios(
    logits: np.ndarray, setting: str, sampling: Sampling
) -> dict[str, float]:
    uniforms = np.random.default_rng(2).random(len(logits))
    part = slice(0, max(2, SLOW_ROWS_BYTES // 4 // logits[0].nbytes))
    share = len(logits[part]) / len(logits)
    tensor = torch.from_numpy(logits[part])
    best = available_paths()[0]
    calls: dict[str, Timed] = {
        best: Timed(lambda: draw(logits, sampling, uniforms), best),
        "numpy": Timed(
            lambda: draw(logits[part], sampling, uniforms[part]), share=share
        ),
        "torch": Timed(lambda: DRAWS[setting](tensor), share=share),
    }
    return relative(calls, logits, "float32")


def pair_ratios(logits: np.ndarray) -> dict[str, float]:
    other = logits[::-1]
    part = slice(0, max(2, SLOW_ROWS_BYTES // 4 // logits[0].nbytes))
    share = len(logits[part]) / len(logits)
    p, q = torch.from_numpy(logits[part]), torch.from_numpy(other[part].copy())
    best = available_paths()[0]
    calls: dict[str, Timed] = {
        best: Timed(lambda: pair_statistics(logits, other), best),
        "numpy": Timed(lambda: pair_statistics(logits[part], other[part]), share=share),
        "torch": Timed(lambda: usual_pairs(p, q), share=share),
    }
    return relative(calls, logits, "float32")


def relative(
    calls: dict[str, Timed], logits: np.ndarray, element: str
) -> dict[str, float]:
    """Each call's time, for the whole array, over the time of reading it."""
    path, code = available_paths()[0], ELEMENTS[element]

    def read(threads: int) -> Call:
        return lambda: _native.read(path, logits, code, threads)

    everything = {
        f"read {threads}": Timed(read(threads), path, threads) for threads in (1, 2)
    } | calls
    best = dict.fromkeys(everything, math.inf)
    for _ in range(REPETITIONS):
        for name, timed in everything.items():
            os.environ["NESCIO_KERNEL"] = timed.path
            os.environ["NESCIO_THREADS"] = str(timed.threads)
            torch.set_num_threads(timed.threads)
            best[name] = min(best[name], seconds(timed.call) / timed.share)
    del os.environ["NESCIO_KERNEL"], os.environ["NESCIO_THREADS"]
    return {
        name: round(best[name] / best[f"read {timed.threads}"], 2)
        for name, timed in calls.items()
    }


def seconds(call: Call) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def extra_memory(call: Call) -> float:
    tracemalloc.start()
    try:
        result = call()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    kept = sum(part.nbytes for part in vars(result).values() if part is not None)
    return round((peak - kept) / 2**20, 2)


def processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def show(name: str, ratios: dict[str, float]) -> None:
    print(f"{name}: times the time of reading it")
    for call, ratio in ratios.items():
        print(f"    {call:24} {ratio:9.2f}")


if __name__ == "__main__":
    main()
