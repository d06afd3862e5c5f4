"""The sampler: from a row of logits to the distribution drawn from, and a draw.

Steps are applied in the order of Hugging Face transformers' warpers: temperature,
top-k, top-p, min-p, typical. Each sees what the one before has left, renormalised,
and leaves at least one token.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int32, UInt16

from nescio.errors import InvalidInput
from nescio.kernel import native, twin_sampler
from nescio.kernel.sampling import Sampling
from nescio.kernel.tiles import as_rows, check_orders

__all__ = ["LEVELS", "Sampling", "draw", "draw_with_sums", "process"]

LEVELS = 3
"""Uniform numbers a row that go down the tree of blocks, strips and tokens."""


def process(
    logits: Float[np.ndarray, "rows vocab"] | UInt16[np.ndarray, "rows vocab"],
    sampling: Sampling,
    *,
    dtype: str | None = None,
) -> Float64[np.ndarray, "rows vocab"]:
    """Normalised log-probabilities of the distribution actually drawn from, in nats.

    Args:
        logits: rows as in `nescio.kernel.row_statistics`.
        sampling: the steps, applied in the order temperature, top-k, top-p, min-p,
            typical.
        dtype: ``"bfloat16"`` if ``logits`` are uint16 bit patterns of that type.

    Raises:
        InvalidDistribution: NaN, +inf or a row of nothing but -inf.
        InvalidInput: a wrong shape or type.

    Example:
        >>> logits = np.log([[0.5, 0.3, 0.2]])
        >>> np.exp(process(logits, Sampling(top_k=2)))
        array([[0.625, 0.375, 0.   ]])
    """
    rows = as_rows(logits, dtype)
    kernel = native if native.reads(rows) else twin_sampler
    return kernel.process(rows, sampling, dtype=dtype)


def draw(
    logits: Float[np.ndarray, "rows vocab"] | UInt16[np.ndarray, "rows vocab"],
    sampling: Sampling,
    uniforms: Float[np.ndarray, " rows"] | Float[np.ndarray, "rows levels"],
    *,
    dtype: str | None = None,
) -> tuple[Int32[np.ndarray, " rows"], Float64[np.ndarray, " rows"]]:
    """One token a row, and its log-probability under `process`.

    With one uniform number a row the token is the inverse of the distribution function
    over ascending ids at it. With three the third chooses a block of 1,024 ids by its
    probability, the second a strip of 32 in that, the first a token of the strip. The
    distribution is the same; but where an engine's rounding shifts a function over
    tens of thousands of ids, some boundary is often shifted across the number, and
    over a few alternatives seldom. What stands in the other rows changes nothing, and
    a token of probability 0 is never drawn.

    Args:
        logits: rows as in `nescio.kernel.row_statistics`.
        sampling: the steps, in the order of `process`.
        uniforms: numbers in [0, 1), one a row, or three, [rows, 3].
        dtype: ``"bfloat16"`` if ``logits`` are uint16 bit patterns of that type.

    Returns:
        The ids, and their log-probabilities in nats, at most 0.

    Raises:
        InvalidDistribution: NaN, +inf or a row of nothing but -inf.
        InvalidInput: a wrong shape or type, a uniform outside [0, 1).

    Example:
        >>> logits = np.log([[0.5, 0.3, 0.2]])
        >>> ids, logp = draw(logits, Sampling(), np.array([0.75]))
        >>> int(ids[0]), round(float(np.exp(logp[0])), 6)
        (1, 0.3)
    """
    return draw_with_sums(logits, sampling, uniforms, dtype=dtype)[:2]


def draw_with_sums(
    logits: Float[np.ndarray, "rows vocab"] | UInt16[np.ndarray, "rows vocab"],
    sampling: Sampling,
    uniforms: Float[np.ndarray, " rows"] | Float[np.ndarray, "rows levels"],
    *,
    renyi: tuple[float | int, ...] = (),
    dtype: str | None = None,
) -> tuple[
    Int32[np.ndarray, " rows"],
    Float64[np.ndarray, " rows"],
    Float64[np.ndarray, "rows orders"],
]:
    """As `draw`, with Rényi sums of the distribution that is drawn from.

    Args:
        logits, sampling, uniforms, dtype: as for `draw`.
        renyi: finite orders l for log sum q^(1-l), q being what `process` gives.

    Returns:
        The ids, their log-probabilities, and the sums, a column an order; nats.

    Raises:
        InvalidDistribution: as `draw`.
        InvalidInput: as `draw`; an order that is not finite.

    Example:
        >>> logits = np.log([[0.4, 0.4, 0.2]])
        >>> fair = Sampling(top_k=2)
        >>> _, _, sums = draw_with_sums(logits, fair, np.array([0.75]), renyi=(-1,))
        >>> np.exp(sums).round(6).tolist()      # 1/4 + 1/4
        [[0.5]]

    Source: Renyi (1961).
    """
    rows = as_rows(logits, dtype)
    _check_uniforms(uniforms, len(rows))
    check_orders(renyi)
    kernel = native if native.reads(rows) else twin_sampler
    levels = uniforms[:, None] if uniforms.ndim == 1 else uniforms
    return kernel.draw(rows, sampling, levels, renyi=renyi, dtype=dtype)


def _check_uniforms(uniforms: np.ndarray, rows: int) -> None:
    if uniforms.shape not in ((rows,), (rows, LEVELS)):
        raise InvalidInput(
            f"uniforms have shape {uniforms.shape}: give one number for each of the "
            f"{rows} rows, or {LEVELS}"
        )
    inside = (uniforms >= 0) & (uniforms < 1)
    if not inside.all():
        place = tuple(np.argwhere(~inside)[0].tolist())
        raise InvalidInput(
            f"the uniform number of row {place[0]} is {uniforms[place]}: give one in "
            "[0, 1)"
        )
