"""What counts as a distribution: given how, refused when, and named what instead.

A distribution lies along the last axis, as log-probabilities ``logp`` in nats or as
probabilities ``p``; exactly one of them. What is off by rounding alone is normalised
again: 1e-9 in double precision, a few units of rounding in a coarser one. Anything
beyond is refused, with the sum and what the numbers probably are.

Arrays, nested lists and whatever offers ``__array__`` (a torch tensor on the CPU that
needs no gradient) are taken; the result is a NumPy array in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from nescio.errors import InvalidDistribution, InvalidInput

__all__ = [
    "Numbers",
    "distributions_of",
    "expectation",
    "not_negative",
    "numbers_of",
    "pairs_of",
    "summed",
]


@runtime_checkable
class _SupportsArray(Protocol):
    def __array__(self) -> np.ndarray: ...


Numbers = _SupportsArray | Sequence[Any] | float | int
"""An array, nested lists of numbers, or a tensor that turns into an array."""

_ROOM = 1e-9  # what numbers typed with ten digits may miss 1 by
_UNITS = 4.0  # of rounding of a coarser type, for each nat of -log p


def distributions_of(
    logp: Numbers | None, p: Numbers | None, *, axes: int = 1, name: str = "p"
) -> Float[np.ndarray, "*rows"]:
    """Normalised log-probabilities of what was given, float64, of the same shape.

    Args:
        logp, p: exactly one of them.
        axes: how many of the last axes one distribution spans.
        name: of ``p`` in messages; ``logp`` is then ``"log" + name``.

    Raises:
        InvalidDistribution: a number that is none, or rows that do not sum to 1.
        InvalidInput: both or none given, or no array of numbers.

    Example:
        >>> np.exp(distributions_of(None, [0.5, 0.5])).tolist()
        [0.5, 0.5]
        >>> distributions_of(None, [0.5, 0.4])
        Traceback (most recent call last):
        nescio.errors.InvalidDistribution: p sums to 0.9, 0.1 below 1; ...
    """
    given, label, is_log = _exactly_one(logp, p, name)
    array = numbers_of(given, label)
    if array.ndim < axes or 0 in array.shape[array.ndim - axes :]:
        raise InvalidInput(
            f"{label} has the shape {array.shape}: a distribution has outcomes along "
            f"its last {'axis' if axes == 1 else f'{axes} axes'}"
        )
    values = array.astype(np.float64)
    _check_numbers(values, label, is_log=is_log)
    if not is_log:
        with np.errstate(divide="ignore"):
            values = np.log(values)
    p_given = _exponential(values)
    along = tuple(range(-axes, 0))
    total = p_given.sum(axis=along, keepdims=True)
    spread = -expectation(p_given, values).sum(axis=along, keepdims=True)
    room = max(_ROOM, _UNITS * _epsilon(array)) * (1.0 + np.maximum(spread, 0.0))
    wrong = np.abs(total - 1.0) > room
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0].tolist())[: array.ndim - axes]
        raise InvalidDistribution(_unnormalised(array, place, label, is_log=is_log))
    return values - np.log(total)


def pairs_of(
    first: tuple[Numbers | None, Numbers | None],
    second: tuple[Numbers | None, Numbers | None],
) -> tuple[Float[np.ndarray, "*rows vocab"], Float[np.ndarray, "*rows vocab"]]:
    """Two distributions over the same outcomes, leading axes broadcast.

    Raises:
        InvalidDistribution, InvalidInput: as `distributions_of`; different numbers of
            outcomes, or leading axes that do not broadcast.
    """
    logp = distributions_of(*first)
    logq = distributions_of(*second, name="q")
    if logp.shape[-1] != logq.shape[-1]:
        raise InvalidInput(
            f"p has {logp.shape[-1]} outcomes and q {logq.shape[-1]}: give both over "
            "the same outcomes, with 0 where one of them lacks an outcome"
        )
    try:
        one, other = np.broadcast_arrays(logp, logq)
    except ValueError as error:
        raise InvalidInput(
            f"p of shape {logp.shape} and q of shape {logq.shape} do not go together: "
            "their leading axes have to broadcast"
        ) from error
    return one, other


def numbers_of(given: Numbers, label: str) -> np.ndarray:
    """The array of what was given: numbers, none of them masked.

    Raises:
        InvalidInput: text, objects, complex numbers, rows of unequal lengths, a tensor
            that does not turn into an array.
    """
    if np.ma.is_masked(given):
        raise InvalidInput(f"{label} has masked numbers: fill them or leave them out")
    try:
        array = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InvalidInput(f"{label} is no array of numbers: {error}") from error
    if array.dtype.kind not in "iuf":
        raise InvalidInput(
            f"{label} is no array of real numbers but of {array.dtype.name}"
        )
    return array


def expectation(
    p: Float[np.ndarray, "*rows"], values: Float[np.ndarray, "*rows"]
) -> Float[np.ndarray, "*rows"]:
    """p times values, and 0 wherever p is 0, whatever the value."""
    return np.multiply(p, values, out=np.zeros_like(p), where=p > 0.0)


def summed(terms: Float[np.ndarray, "..."], axes: int = 1) -> Float[np.ndarray, "..."]:
    """The sum over the last axes, an array also where nothing is left."""
    return np.asarray(terms.sum(axis=tuple(range(-axes, 0))))


def not_negative(
    nats: Float[np.ndarray, "*rows"] | np.floating,
) -> Float[np.ndarray, "*rows"]:
    """The same, as an array, with what rounding left below 0 put to 0."""
    return np.asarray(np.maximum(nats, 0.0) + 0.0)


def _exactly_one(
    logp: Numbers | None, p: Numbers | None, name: str
) -> tuple[Numbers, str, bool]:
    if logp is not None and p is None:
        return logp, f"log{name}", True
    if p is not None and logp is None:
        return p, name, False
    found = "neither was" if p is None else "both were"
    raise InvalidInput(
        f"give exactly one of log{name} (log-probabilities in nats) and {name}= "
        f"(probabilities); {found} given"
    )


def _epsilon(array: np.ndarray) -> float:
    return float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0.0


def _exponential(values: np.ndarray) -> np.ndarray:
    """exp, without overflow where logits were given."""
    return np.exp(np.minimum(values, 700.0))


def _check_numbers(values: np.ndarray, label: str, *, is_log: bool) -> None:
    """Refuse NaN, +inf and negative probabilities by their place."""
    _refuse(values, np.isnan(values), label, "no probability")
    _refuse(values, np.isposinf(values), label, "no probability")
    if is_log:
        return
    hint = "a probability is at least 0"
    sums = _exponential(values).sum(axis=-1)
    if (values <= 0.0).all() and np.allclose(sums, 1.0, atol=1e-3):
        hint += f"; these look like log-probabilities: pass them as log{label}"
    elif (values < 0.0).any():
        hint += f"; for logits pass log{label}=nescio.log_softmax(logits)"
    _refuse(values, values < 0.0, label, hint)


def _refuse(
    values: np.ndarray, wrong: Bool[np.ndarray, "..."], label: str, why: str
) -> None:
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0].tolist())
        shown = ", ".join(map(str, place))
        raise InvalidDistribution(f"{label}[{shown}] is {values[place]:.6g}: {why}")


def _unnormalised(
    array: np.ndarray, place: tuple[int, ...], label: str, *, is_log: bool
) -> str:
    """Which row sums to what, and what the numbers probably are."""
    row = array[place].astype(np.float64)
    where = f"{label}[{', '.join(map(str, place))}]" if place else label
    total = float((_exponential(row) if is_log else row).sum())
    off = f"{abs(total - 1.0):.3g} {'above' if total > 1.0 else 'below'} 1"
    if row.ndim > 1:
        hint = "all rows together sum to 1, each weighted by how often it comes"
    else:
        hint = _probably(array, row, label, is_log=is_log)
    return f"{f'exp({where})' if is_log else where} sums to {total:.9g}, {off}; {hint}"


def _probably(array: np.ndarray, row: np.ndarray, label: str, *, is_log: bool) -> str:
    """What was probably meant by numbers that are no distribution."""
    if _sums_along_another_axis(array, is_log=is_log):
        return "another axis sums to 1: the distribution goes along the last one"
    if not is_log:
        if abs(row.sum() - 100.0) < 1e-6:
            return "percentages? Divide them by 100"
        if row.sum() > 1.5 and np.array_equal(row, np.rint(row)):
            return "counts? Divide them by their sum, or use entropy_from_counts"
        return f"divide by the sum, or pass logits as log{label}=nescio.log_softmax(…)"
    if np.isneginf(row).all():
        return "every outcome is impossible"
    if (row >= 0.0).all() and abs(row.sum() - 1.0) < 1e-3:
        return f"probabilities? Pass them as {label.removeprefix('log')}="
    for base, factor in (("2", math.log(2.0)), ("10", math.log(10.0))):
        if abs(_exponential(row * factor).sum() - 1.0) < 1e-6:
            return f"log-probabilities to base {base}? Multiply them by log({base})"
    return "logits? Pass nescio.log_softmax(logits)"


def _sums_along_another_axis(array: np.ndarray, *, is_log: bool) -> bool:
    values = array.astype(np.float64)
    values = _exponential(values) if is_log else values
    others = [values.sum(axis=axis) for axis in range(values.ndim - 1)]
    return any(np.allclose(sums, 1.0, atol=1e-6) for sums in others)
