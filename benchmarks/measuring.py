"""Measuring side by side: a process for each method, their runs taken in turns.

Every method loads its model in a process of its own and then waits. A round runs each
of them once, in an order that changes from round to round, so that what disturbs the
machine disturbs all; ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, TextIO

RESULTS = Path(__file__).resolve().parents[1] / "results"
WORKER = "--worker"
SETTLE = 0.2  # seconds between runs: idle threads stop spinning
PEERS = ("lm-eval", "minicons", "numba")
LIBRARIES = ("nescio", "numpy", "torch", "transformers", "openvino", *PEERS)


@dataclass(frozen=True)
class Prepared:
    """A method whose model is loaded.

    ``warm`` runs once before anything is measured, may try settings, and returns what
    it settled on; ``run`` does the work once and returns what it found.
    """

    run: Callable[[], dict[str, Any]]
    warm: Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Method:
    """A row of a table: what it is called, who does it, and with what."""

    label: str
    name: str
    task: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Measured:
    """What came of a method: seconds of each round, its last answer, memory."""

    method: Method
    seconds: list[float]
    answer: dict[str, Any]
    facts: dict[str, Any]


class Unavailable(Exception):
    """A method that cannot run here; the message says why."""


class Worker:
    """A process that has prepared one method and runs it when told to."""

    def __init__(self, script: str, method: Method, threads: int) -> None:
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        task = json.dumps({"name": method.name, "threads": threads, **method.task})
        self._process = subprocess.Popen(
            [sys.executable, script, WORKER, task],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env=os.environ | _environment(threads),
        )
        try:
            self.facts = self._answer()
        except BaseException:
            self.close()
            raise

    def run(self) -> tuple[float, dict[str, Any]]:
        """One run: its seconds and its answer."""
        answer = self._ask("run")
        return answer["seconds"], answer["answer"]

    def memory(self) -> dict[str, int | None]:
        """Bytes of memory of the process at its peak."""
        return self._ask("memory")

    def close(self) -> None:
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _ask(self, question: str) -> dict[str, Any]:
        if self._process.stdin is None:
            raise AssertionError("a worker has a standard input")
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise AssertionError("a worker has a standard output")
        line = self._process.stdout.readline()
        if not line:
            raise Unavailable(self._reason())
        answer = json.loads(line)
        if "unavailable" in answer:
            raise Unavailable(answer["unavailable"])
        return answer

    def _reason(self) -> str:
        code = self._process.wait()
        self._log.seek(0)
        said = [line for line in self._log.read().splitlines() if line.strip()]
        last = said[-1].strip() if said else ""
        return f"its process ended with code {code}: {last or 'it said nothing'}"


def _environment(threads: int) -> dict[str, str]:
    limits = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    return dict.fromkeys(limits, str(threads)) | {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHONIOENCODING": "utf-8",
    }


def serve(task: str, prepare: Callable[[dict[str, Any]], Prepared]) -> None:
    """Be a worker: prepare a method, then answer until standard input ends.

    Libraries may print what they like: standard output becomes standard error, and
    answers go out by a copy of the original.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        wanted = json.loads(task)
        try:
            prepared = prepare(wanted)
            loading = resident("VmHWM")
            facts = prepared.warm()
        except ModuleNotFoundError as error:
            reason = f"{error.name} is not installed; `make bench` installs it"
            _say(out, {"unavailable": reason})
            return
        except Unavailable as error:
            _say(out, {"unavailable": str(error)})
            return
        gc.collect()
        trials_apart = _forget_peak()
        _say(out, facts)
        for line in sys.stdin:
            if line.strip() == "run":
                begin = time.perf_counter()
                answer = prepared.run()
                seconds = time.perf_counter() - begin
                _say(out, {"seconds": seconds, "answer": answer})
            else:
                peaks = [n for n in (loading, resident("VmHWM")) if n is not None]
                peak = max(peaks, default=None)
                _say(out, {"peak_bytes": peak, "peak_without_trials": trials_apart})


def _say(out: TextIO, answer: dict[str, Any]) -> None:
    out.write(json.dumps(answer) + "\n")
    out.flush()


def resident(entry: str) -> int | None:
    """Bytes of this process in memory, now (VmRSS) or at most (VmHWM); None: unknown.

    Both count the pages of mapped weight files.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    for line in status.read_text("utf-8").splitlines():
        if line.startswith(entry + ":"):
            return 1024 * int(line.split()[1])
    return None


def _forget_peak() -> bool:
    """Let the peak begin anew, so that trials do not count; whether that worked."""
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:
        return False
    return True


@contextmanager
def _workers(
    script: str, methods: Sequence[Method], threads: int
) -> Iterator[tuple[list[tuple[Method, Worker]], dict[str, str]]]:
    """The workers of all methods that can run here, and why the others cannot."""
    with ExitStack() as stack:
        ready: list[tuple[Method, Worker]] = []
        left_out: dict[str, str] = {}
        for method in methods:
            note(f"preparing {method.label}")
            try:
                worker = Worker(script, method, threads)
            except Unavailable as error:
                left_out[method.label] = str(error)
                continue
            stack.callback(worker.close)
            ready.append((method, worker))
        yield ready, left_out


def side_by_side(
    script: str, methods: Sequence[Method], *, rounds: int, threads: int
) -> tuple[list[Measured], dict[str, str]]:
    """Run all methods in turns; what came of each, and why some were left out."""
    with _workers(script, methods, threads) as (ready, left_out):
        found = {
            method.label: Measured(method, [], {}, dict(worker.facts))
            for method, worker in ready
        }
        for number in range(rounds):
            shift = number % max(1, len(ready))
            for method, worker in [*ready[shift:], *ready[:shift]]:
                note(f"round {number + 1} of {rounds}: {method.label}")
                time.sleep(SETTLE)
                try:
                    seconds, answer = worker.run()
                except Unavailable as error:
                    left_out[method.label] = str(error)
                    continue
                found[method.label].seconds.append(seconds)
                found[method.label].answer = answer
        for method, worker in ready:
            if method.label not in left_out:
                found[method.label].facts |= worker.memory()
        note("")
    return [m for m in found.values() if m.method.label not in left_out], left_out


def note(text: str) -> None:
    """A line of progress on a terminal, replaced by the next."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text[:78]}")
        sys.stderr.flush()


@dataclass(frozen=True)
class Ratio:
    """A ratio of two methods' speeds: the median over rounds, and its extremes."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f}–{self.high:.2f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """How many times as fast as theirs ours is, from the seconds of each round."""
    found = [b / a for a, b in zip(ours, theirs, strict=True)]
    return Ratio(median(found), min(found), max(found))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = []
    for row in (head, *rows):
        first, *rest = (
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *rest]).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def gibibytes(count: int | None) -> str:
    """Bytes in GiB; a dash where they are not known."""
    return "–" if count is None else f"{count / 2**30:.2f}"


def versions() -> dict[str, str]:
    """The libraries that are installed, by name."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def with_precision(parser: argparse.ArgumentParser) -> None:
    """The option of the precision that fast engines compute in."""
    parser.add_argument(
        "--precision",
        choices=("bf16", "f32"),
        help="of openvino; else bf16 where the processor computes in it, or f32",
    )


def precision_of(given: str | None) -> str:
    """What was asked for, or the fastest that the processor has."""
    from nescio.errors import CapabilityError
    from nescio.models.openvino_runtime import check_precision

    try:
        check_precision("bf16")
    except CapabilityError:
        return given or "f32"
    return given or "bf16"


def write_result(name: str, found: dict[str, Any], **recipe: Any) -> Path:
    """Write ``results/benchmark_NAME.json``: the result and what repeats it."""
    RESULTS.mkdir(exist_ok=True)
    content = {"result": found, "recipe": _whole_recipe(recipe)}
    path = _result_file(name)
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def earlier_result(name: str, **recipe: Any) -> dict[str, Any]:
    """What a run of the same recipe, code, versions and machine wrote; {} if none."""
    path = _result_file(name)
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    same = content["recipe"] == json.loads(json.dumps(_whole_recipe(recipe)))
    return content["result"] if same else {}


def _result_file(name: str) -> Path:
    return RESULTS / f"benchmark_{name}.json"


def _code() -> str:
    """A digest of the code that is measured."""
    found = hashlib.sha256()
    project = RESULTS.parent
    for folder in ("src", "native", "benchmarks"):
        for path in sorted((project / folder).rglob("*.[chp]*")):
            if path.suffix in {".py", ".cpp", ".hpp"}:
                found.update(path.relative_to(project).as_posix().encode() + b"\0")
                found.update(path.read_bytes())
    return found.hexdigest()[:16]


def _whole_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    machine = {
        "code": _code(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }
    return recipe | {"versions": versions()} | machine
