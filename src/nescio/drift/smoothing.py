"""A rate along a series: of all so far, of the last few, or ever less of the past."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidInput

__all__ = ["running_rate", "smoothed_rate", "windowed_rate"]


def running_rate(
    values: Float[np.ndarray, " n"], sizes: Float[np.ndarray, " also_n"] | None = None
) -> Float[np.ndarray, " n"]:
    """The rate of everything up to each token: sum over sum.

    Args:
        values: of each token, nats.
        sizes: what is divided by, e.g. bytes; None: tokens.

    Returns:
        Nats a token or byte, [n].

    Raises:
        InvalidInput: numbers that are not finite, sizes for other tokens or below 0,
            or none before some token.

    Example:
        >>> running_rate(np.array([3.0, 1.0, 2.0])).tolist()
        [3.0, 2.0, 2.0]
    """
    above, below = _checked(values, sizes)
    return _divided(above.cumsum(), below.cumsum(), "up to it")


def windowed_rate(
    values: Float[np.ndarray, " n"],
    sizes: Float[np.ndarray, " also_n"] | None = None,
    *,
    window: int,
) -> Float[np.ndarray, " n"]:
    """The rate of the last ``window`` tokens at each token; at first of fewer.

    Args:
        values, sizes: as for `running_rate`.
        window: how many tokens, at least 1.

    Raises:
        InvalidInput: as `running_rate`; a window below 1.

    Example:
        >>> windowed_rate(np.array([3.0, 1.0, 2.0]), window=2).tolist()
        [3.0, 2.0, 1.5]
    """
    if window < 1:
        raise InvalidInput(f"a window of {window} tokens; at least 1")
    above, below = _checked(values, sizes)
    return _divided(_last(above, window), _last(below, window), "in its window")


def smoothed_rate(
    values: Float[np.ndarray, " n"],
    sizes: Float[np.ndarray, " also_n"] | None = None,
    *,
    half_life: float | int,
) -> Float[np.ndarray, " n"]:
    """The rate with weights that halve every ``half_life`` tokens back.

    The weights are divided by their sum, so the first values are not drawn to 0.

    Args:
        values, sizes: as for `running_rate`.
        half_life: in tokens, above 0.

    Raises:
        InvalidInput: as `running_rate`; a half-life that is not above 0.

    Example:
        >>> smoothed_rate(np.array([3.0, 0.0]), half_life=1).tolist()
        [3.0, 1.0]
    """
    if not 0.0 < half_life < math.inf:
        raise InvalidInput(f"a half-life of {half_life} tokens; above 0 and finite")
    above, below = _checked(values, sizes)
    keeps = 0.5 ** (1.0 / half_life)
    return _divided(_decayed(above, keeps), _decayed(below, keeps), "near it")


def _checked(
    values: np.ndarray, sizes: np.ndarray | None
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    above = values.astype(np.float64)
    below = np.ones(len(above)) if sizes is None else sizes.astype(np.float64)
    if len(below) != len(above):
        raise InvalidInput(f"{len(below)} sizes for {len(above)} values")
    if not len(above):
        raise InvalidInput("no tokens: there is no rate")
    if not (np.isfinite(above).all() and np.isfinite(below).all()):
        place = int(np.flatnonzero(~(np.isfinite(above) & np.isfinite(below)))[0])
        raise InvalidInput(
            f"token {place} has the value {above[place]} and the size {below[place]}: "
            "finite numbers are needed"
        )
    if below.min() < 0:
        raise InvalidInput(f"a size of {below.min()}: at least 0")
    return above, below


def _divided(above: np.ndarray, below: np.ndarray, where: str) -> np.ndarray:
    nothing = np.flatnonzero(~(below > 0.0))
    if len(nothing):
        raise InvalidInput(
            f"at token {nothing[0]} everything {where} spells nothing, so there is no "
            "rate by byte; take tokens, or a longer window"
        )
    return above / below


def _last(column: np.ndarray, window: int) -> np.ndarray:
    """Sums of the last ``window`` entries, at first of fewer."""
    padded = np.concatenate([np.zeros(min(window, len(column)) - 1), column])
    views = np.lib.stride_tricks.sliding_window_view(padded, min(window, len(column)))
    return views.sum(axis=1)


def _decayed(column: np.ndarray, keeps: float) -> np.ndarray:
    found, total = np.empty(len(column)), 0.0
    for place, value in enumerate(column.tolist()):
        total = keeps * total + value
        found[place] = total
    return found
