"""Logits as tiles: what is accepted, in which pieces it is read, what is refused.

A tile is a few whole rows in float32 or float64. It is read in blocks of at most
``WIDTH`` columns, so that the float64 scratch of every statistic stays in cache and
its size does not depend on how many rows there are. The cut depends on the
vocabulary alone, so a row gives the same bits whatever rows stand beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int, Integer

from nescio.errors import InvalidDistribution, InvalidInput

__all__ = [
    "WIDTH",
    "NormalisedTile",
    "as_rows",
    "as_targets",
    "check_orders",
    "check_rows",
    "checked_peaks",
    "column_blocks",
    "log_sums",
    "normalised",
    "shifted",
    "tiles",
]

WIDTH = 8192
"""Columns of a block; below 10,000 a BLAS dot product stays on one thread."""

_ROWS = 4
_BFLOAT16 = "bfloat16"


def as_rows(logits: np.ndarray, dtype: str | None = None) -> np.ndarray:
    """The logits, once it is certain that they can be read as rows.

    Args:
        logits: [rows, vocab] of a floating type up to float64, or bfloat16 bit
            patterns as uint16.
        dtype: ``"bfloat16"`` for bit patterns, else None.

    Raises:
        InvalidInput: not two-dimensional, no columns, or another element type.

    Example:
        >>> as_rows(np.zeros((2, 3), np.float16)).shape
        (2, 3)
    """
    if logits.ndim != 2:
        raise InvalidInput(
            f"logits have shape {logits.shape}: give two axes, [rows, vocabulary]"
        )
    if logits.shape[1] == 0:
        raise InvalidInput(
            f"logits have shape {logits.shape}, an empty vocabulary: "
            "give at least one column"
        )
    _check_element_type(logits.dtype, dtype)
    return logits


def _check_element_type(found: np.dtype, declared: str | None) -> None:
    if declared not in (None, _BFLOAT16):
        raise InvalidInput(
            f"dtype={declared!r} is unknown: give 'bfloat16' for uint16 bit patterns, "
            "or nothing for a floating array"
        )
    if declared == _BFLOAT16 and found != np.uint16:
        raise InvalidInput(
            f"dtype='bfloat16' is for uint16 bit patterns, the logits are {found}: "
            "leave dtype out or view the bits as uint16"
        )
    if declared is None and (found.kind != "f" or found.itemsize > 8):
        raise InvalidInput(
            f"logits are {found}: give float64, float32 or float16, "
            "or uint16 bit patterns with dtype='bfloat16'"
        )


def as_targets(
    targets: Integer[np.ndarray, " rows"] | None, shape: tuple[int, ...]
) -> Int[np.ndarray, " rows"] | None:
    """The target ids as int64, once each is known to lie in the vocabulary.

    Raises:
        InvalidInput: not whole numbers, another number of rows, or an id outside
            [0, vocab).

    Example:
        >>> as_targets(np.array([0, 2], np.uint8), (2, 3))
        array([0, 2])
    """
    if targets is None:
        return None
    rows, vocab = shape
    if targets.dtype.kind not in "iu" or targets.shape != (rows,):
        raise InvalidInput(
            f"targets are {targets.dtype} of shape {targets.shape}: "
            f"give one whole number for each of the {rows} rows"
        )
    outside = (targets < 0) | (targets >= vocab)
    if outside.any():
        row = int(outside.argmax())
        raise InvalidInput(
            f"target {int(targets[row])} in row {row} is outside the vocabulary: "
            f"give an id from 0 to {vocab - 1}"
        )
    return targets.astype(np.int64)


def check_orders(renyi: tuple[float | int, ...]) -> None:
    """Refuses orders of Rényi sums that are none.

    Raises:
        InvalidInput: an order that is not finite.
    """
    for order in renyi:
        if not math.isfinite(order):
            raise InvalidInput(f"Renyi order {order} is not finite: give real numbers")


def tiles(
    rows: np.ndarray, dtype: str | None = None
) -> Iterator[tuple[slice, Float[np.ndarray, "tile vocab"]]]:
    """Where each tile stands, and its rows in float32 or float64.

    Example:
        >>> [where for where, _ in tiles(np.zeros((9, 8192)))]
        [slice(0, 4, None), slice(4, 8, None), slice(8, 9, None)]
    """
    height = _height(rows)
    for start in range(0, len(rows), height):
        where = slice(start, min(start + height, len(rows)))
        yield where, _readable(rows[where], dtype)


def _height(rows: np.ndarray) -> int:
    return max(_ROWS, _ROWS * WIDTH // rows.shape[1])


def check_rows(rows: np.ndarray, dtype: str | None, *, around: int) -> None:
    """Refuses what is wrong in the tile that row ``around`` is part of.

    Raises:
        InvalidDistribution: as by `checked_peaks`.

    Example:
        >>> check_rows(np.zeros((9, 2)), None, around=8)
    """
    height = _height(rows)
    start = around // height * height
    tile = _readable(rows[start : start + height], dtype)
    checked_peaks(tile, tile, first=start)


def _readable(tile: np.ndarray, dtype: str | None) -> np.ndarray:
    if dtype == _BFLOAT16:  # a bfloat16 is the upper half of a float32
        bits = tile.astype(np.uint32)
        bits <<= 16
        return bits.view(np.float32)
    if tile.dtype == np.float32 or tile.dtype == np.float64:
        return tile
    return tile.astype(np.float64 if tile.dtype.itemsize == 8 else np.float32)


def column_blocks(vocab: int) -> Iterator[slice]:
    """The columns of one block after another.

    Example:
        >>> list(column_blocks(10_000))
        [slice(0, 8192, None), slice(8192, 10000, None)]
    """
    for start in range(0, vocab, WIDTH):
        yield slice(start, min(start + WIDTH, vocab))


def checked_peaks(
    tile: Float[np.ndarray, "tile vocab"],
    pool: Float[np.ndarray, "tile pool"],
    *,
    first: int,
) -> Float64[np.ndarray, " tile"]:
    """The largest logit of each row, in float64.

    Args:
        tile: the rows.
        pool: numbers with the same row maxima: the tile or its group maxima.
        first: the tile's first row within the caller's array, for the message.

    Raises:
        InvalidDistribution: a row holds NaN or +inf, or nothing but -inf.

    Example:
        >>> tile = np.array([[0.0, 3.0]])
        >>> checked_peaks(tile, tile, first=0)
        array([3.])
    """
    peaks = pool.max(axis=1).astype(np.float64)  # NaN and +inf survive a maximum
    wrong = np.flatnonzero(~np.isfinite(peaks))
    if wrong.size:
        raise InvalidDistribution(_reason(tile[wrong[0]], first + int(wrong[0])))
    return peaks


def _reason(row: np.ndarray, index: int) -> str:
    bad = np.flatnonzero(np.isnan(row) | (row == np.inf))
    if bad.size == 0:
        return (
            f"row {index} of the logits is -inf in all of its {row.size} columns: "
            "leave at least one token possible"
        )
    column = int(bad[0])
    name = "NaN" if np.isnan(row[column]) else "+inf"
    return (
        f"row {index} of the logits holds {name} in column {column}: logits are "
        "finite or -inf; look for an overflow in the model's arithmetic"
    )


def shifted(
    block: Float[np.ndarray, "tile width"],
    peaks: Float64[np.ndarray, " tile"],
    *,
    out: Float64[np.ndarray, "tile width"] | None = None,
) -> Float64[np.ndarray, "tile width"]:
    """Logits minus the row's largest, in float64: at most 0, exactly 0 at the peak.

    Example:
        >>> shifted(np.array([[1.0, -np.inf]]), np.array([1.0]))
        array([[  0., -inf]])
    """
    out = np.empty(block.shape) if out is None else out
    np.copyto(out, block)
    with np.errstate(over="ignore"):  # -1.7e308 - 1e308 is -inf: probability 0
        return np.subtract(out, peaks[:, None], out=out)


def log_sums(
    tile: Float[np.ndarray, "tile vocab"], peaks: Float64[np.ndarray, " tile"]
) -> Float64[np.ndarray, " tile"]:
    """Log sum exp(x - max), in nats, between 0 and log(vocab).

    Example:
        >>> log_sums(np.zeros((1, 2)), np.zeros(1)).round(4)
        array([0.6931])
    """
    rows, vocab = tile.shape
    scratch = np.empty((rows, min(vocab, WIDTH)))
    total = np.zeros(rows)
    for columns in column_blocks(vocab):
        block = tile[:, columns]
        work = shifted(block, peaks, out=scratch[:, : block.shape[1]])
        with np.errstate(under="ignore"):
            total += np.exp(work, out=work).sum(axis=1)
    return np.log(total)


@dataclass(frozen=True)
class NormalisedTile:
    """A tile with what normalises its rows: each row's maximum and log sum."""

    rows: Float[np.ndarray, "tile vocab"]
    peaks: Float64[np.ndarray, " tile"]
    log_sum: Float64[np.ndarray, " tile"]

    def logp(
        self,
        columns: slice,
        *,
        out: Float64[np.ndarray, "tile width"] | None = None,
    ) -> Float64[np.ndarray, "tile width"]:
        """Log-probabilities of a block of columns: (x - max) - log sum exp(x - max).

        Never x - logsumexp, which loses every digit of a logp near 0.
        """
        return self._normalised(self.rows[:, columns], out)

    def logp_at(
        self, ids: Integer[np.ndarray, "tile chosen"]
    ) -> Float64[np.ndarray, "tile chosen"]:
        """Log-probabilities of chosen tokens of each row.

        Example:
            >>> tile = NormalisedTile(np.zeros((1, 2)), np.zeros(1), np.log([2.0]))
            >>> np.exp(tile.logp_at(np.array([[1]])))
            array([[0.5]])
        """
        return self._normalised(np.take_along_axis(self.rows, ids, axis=1), None)

    def _normalised(self, block: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        work = shifted(block, self.peaks, out=out)
        return np.subtract(work, self.log_sum[:, None], out=work)


def normalised(tile: Float[np.ndarray, "tile vocab"], *, first: int) -> NormalisedTile:
    """The tile with its maxima and log sums, refused as by `checked_peaks`.

    Example:
        >>> np.exp(normalised(np.zeros((1, 2)), first=0).log_sum)
        array([2.])
    """
    peaks = checked_peaks(tile, tile, first=first)
    return NormalisedTile(tile, peaks, log_sums(tile, peaks))
