"""The compiled kernel: whether it can answer, on which path, and how it is called.

Three variants of one source are compiled: for any processor, for AVX2 and for AVX-512;
the fastest that the processor can run answers. The environment variable
``NESCIO_KERNEL`` chooses another, or ``numpy``; ``NESCIO_THREADS`` (else
``OMP_NUM_THREADS``, else the processors that this process may use) bounds the threads.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import numpy as np
from jaxtyping import Float, Float64, Int32, Int64, Shaped

from nescio.errors import InvalidInput
from nescio.kernel.results import PairStatistics, RowStatistics
from nescio.kernel.sampling import Sampling
from nescio.kernel.tiles import check_rows

__all__ = [
    "available_paths",
    "chosen_path",
    "draw",
    "kernel_path",
    "log_softmax",
    "pair_statistics",
    "process",
    "reads",
    "row_statistics",
    "thread_count",
]


def _compiled() -> ModuleType | None:
    """The compiled module; None if there is none, or one of long ago."""
    try:  # by name: an import statement would count as one of the whole package
        module = importlib.import_module("nescio._native")
    except ImportError:
        return None
    return module if hasattr(module, "paths") else None


_TWIN = "numpy"
_native = _compiled()
_ELEMENTS = {"d": 0, "f": 1, "e": 2, "H": 3}  # by dtype.char, as in kernel.hpp
_PATHS: tuple[str, ...] = () if _native is None else tuple(_native.paths())
_EVERYTHING = Sampling()
_NO_INTEGERS = np.empty(0, np.int64)


def available_paths() -> tuple[str, ...]:
    """What ``NESCIO_KERNEL`` may name on this machine, the fastest first.

    Example:
        >>> available_paths()[-1]
        'numpy'
    """
    return (*_PATHS, _TWIN)


def chosen_path() -> str:
    """The path that answers now: the one asked for, else the fastest.

    Raises:
        InvalidInput: ``NESCIO_KERNEL`` names a path that is not available.

    Example:
        >>> chosen_path() in available_paths()
        True
    """
    asked = os.environ.get("NESCIO_KERNEL")
    if not asked:
        return _PATHS[0] if _PATHS else _TWIN
    if asked not in _PATHS and asked != _TWIN:
        raise InvalidInput(
            f"NESCIO_KERNEL is {asked!r}, which is not available here: give one of "
            f"{', '.join(available_paths())}, or leave it unset"
        )
    return asked


def kernel_path() -> str:
    """Which implementation answers: ``"native avx2 (gcc 12.2.0)"``, ``"numpy"``.

    Raises:
        InvalidInput: ``NESCIO_KERNEL`` names a path that is not available.

    Example:
        >>> kernel_path().split()[0] in ("native", "numpy")
        True
    """
    path = chosen_path()
    if _native is None or path == _TWIN:
        return _TWIN
    compiler = _native.build_info().split(",")[0]
    return f"native {path} ({compiler})"


def thread_count() -> int:
    """How many threads a call may use, at least 1; small work takes fewer.

    Raises:
        InvalidInput: ``NESCIO_THREADS`` is not a positive whole number.

    Example:
        >>> thread_count() >= 1
        True
    """
    asked = os.environ.get("NESCIO_THREADS")
    if asked:
        if not (asked.isdecimal() and int(asked) > 0):
            raise InvalidInput(
                f"NESCIO_THREADS is {asked!r}: give a positive whole number, "
                "or leave it unset"
            )
        return min(int(asked), 1024)
    usual = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if usual.isdecimal() and int(usual) > 0:
        return min(int(usual), 1024)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def reads(*arrays: Shaped[np.ndarray, "_ _"]) -> bool:
    """Whether the compiled kernel answers for these rows.

    It does unless it was not compiled, ``NESCIO_KERNEL`` says otherwise, or the bytes
    of a number stand in the order of another processor.

    Example:
        >>> reads(np.zeros((1, 2)).astype(np.dtype(float).newbyteorder()))
        False
    """
    return chosen_path() != _TWIN and all(rows.dtype.isnative for rows in arrays)


def row_statistics(
    rows: Shaped[np.ndarray, "rows vocab"],
    wanted: Int64[np.ndarray, " rows"] | None,
    *,
    top: int,
    renyi: tuple[float | int, ...],
    dtype: str | None,
) -> RowStatistics:
    """As `nescio.kernel.row_statistics`, of rows and targets that were checked."""
    count, vocab = rows.shape
    kept = min(top, vocab)
    moments = np.empty((4, count))
    rank = _NO_INTEGERS if wanted is None else np.empty(count, np.int64)
    ids, best = np.empty((count, kept), np.int32), np.empty((count, kept))
    powers = np.empty((count, len(renyi)))
    refused = _module().row_statistics(
        chosen_path(),
        rows,
        _ELEMENTS[rows.dtype.char],
        _NO_INTEGERS if wanted is None else wanted,
        1.0 - np.array(renyi, np.float64),
        moments,
        rank,
        ids,
        best,
        powers,
        thread_count(),
    )
    _refuse((rows, dtype), first=refused)
    return RowStatistics(
        logsumexp=moments[0],
        entropy=moments[1],
        varentropy=moments[2],
        logp=None if wanted is None else moments[3],
        rank=None if wanted is None else rank,
        top_ids=ids,
        top_logp=best,
        log_renyi=powers if renyi else None,
    )


def pair_statistics(
    p_rows: Shaped[np.ndarray, "rows vocab"],
    q_rows: Shaped[np.ndarray, "rows vocab"],
    wanted: Int64[np.ndarray, " rows"] | None,
    *,
    p_dtype: str | None,
    q_dtype: str | None,
) -> PairStatistics:
    """As `nescio.kernel.pair_statistics`, of rows and targets that were checked."""
    count = len(p_rows)
    numbers, same_top = np.empty((4, count)), np.empty(count, np.bool_)
    refused = _module().pair_statistics(
        chosen_path(),
        p_rows,
        _ELEMENTS[p_rows.dtype.char],
        q_rows,
        _ELEMENTS[q_rows.dtype.char],
        _NO_INTEGERS if wanted is None else wanted,
        numbers,
        same_top,
        thread_count(),
    )
    _refuse((p_rows, p_dtype), (q_rows, q_dtype), first=refused)
    return PairStatistics(
        kl_forward=numbers[0],
        kl_backward=numbers[1],
        js=numbers[2],
        same_top=same_top,
        delta_p=None if wanted is None else numbers[3],
    )


def draw(
    rows: Shaped[np.ndarray, "rows vocab"],
    sampling: Sampling,
    uniforms: Float[np.ndarray, "rows levels"],
    *,
    renyi: tuple[float | int, ...],
    dtype: str | None,
) -> tuple[
    Int32[np.ndarray, " rows"],
    Float64[np.ndarray, " rows"],
    Float64[np.ndarray, "rows orders"],
]:
    """As `nescio.kernel.draw_with_sums`, of rows and uniforms that were checked."""
    ids, logp = np.empty(len(rows), np.int32), np.empty(len(rows))
    powers = np.empty((len(rows), len(renyi)))
    refused = _module().draw(
        chosen_path(),
        rows,
        _ELEMENTS[rows.dtype.char],
        _settings(sampling, rows.shape[1]),
        np.ascontiguousarray(uniforms, np.float64),
        uniforms.shape[1],
        1.0 - np.array(renyi, np.float64),
        ids,
        logp,
        powers,
        thread_count(),
    )
    _refuse((rows, dtype), first=refused)
    return ids, logp, powers


def process(
    rows: Shaped[np.ndarray, "rows vocab"], sampling: Sampling, *, dtype: str | None
) -> Float64[np.ndarray, "rows vocab"]:
    """As `nescio.kernel.process`, of rows that were checked."""
    logp = np.empty(rows.shape)
    refused = _module().process(
        chosen_path(),
        rows,
        _ELEMENTS[rows.dtype.char],
        _settings(sampling, rows.shape[1]),
        logp,
        thread_count(),
    )
    _refuse((rows, dtype), first=refused)
    return logp


def log_softmax(
    rows: Shaped[np.ndarray, "rows vocab"], *, dtype: str | None
) -> Float64[np.ndarray, "rows vocab"]:
    """As `nescio.kernel.log_softmax`, of rows that were checked."""
    return process(rows, _EVERYTHING, dtype=dtype)


def _module() -> ModuleType:
    assert _native is not None, "`reads` is asked first"
    return _native


def _settings(sampling: Sampling, vocab: int) -> Float64[np.ndarray, "5"]:
    """The numbers in the order of `Sampling`; what is off as calls.hpp has it."""
    found = (
        sampling.temperature,
        min(sampling.top_k or 0, vocab),
        1.0 if sampling.top_p is None else sampling.top_p,
        0.0 if sampling.min_p is None else sampling.min_p,
        1.0 if sampling.typical_p is None else sampling.typical_p,
    )
    return np.array(found, np.float64)


def _refuse(*sides: tuple[np.ndarray, str | None], first: int) -> None:
    """Says what is wrong with the first refused row, in the twin's words and order."""
    if first < 0:
        return
    for rows, dtype in sides:
        check_rows(rows, dtype, around=first)
    raise AssertionError(f"row {first} was refused and nothing is wrong with it")
