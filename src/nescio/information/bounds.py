"""Entropy from the most probable tokens alone: two ends that hold it, never a point.

A source lists the k most probable of V tokens, with mass m and entropy sum
H_k = -sum p log p. What it does not list holds 1 - m in V - k atoms, none above the
smallest that is listed, c. The whole entropy is H_k plus that of the rest, which is

- largest if the rest is spread evenly: (1 - m) log((V - k) / (1 - m)). Without V it has
  no largest value;
- least if the rest is packed as tightly as c allows, j = floor((1 - m) / c) atoms of c
  and one of r = 1 - m - jc: -jc log c - r log r. Every other way to share it out is
  majorised by this one, and entropy is Schur-concave.

Both ends are attained. A token that was drawn without being listed is one more known
atom, but no cap: tokens may lie between it and c.

Rounding. With ``rounding`` = d each probability that was reported, listed or drawn, is
within a factor of 1 + d of the true one: its logarithm is off by d at most, and so is
the sum. The rest is then taken as 1 - m - d below (at least 0) and 1 - m + d above (at
most what the others can hold), and both ends are moved outwards by d (1 + H_k).
That is enough though atoms, rest and cap are off at once. With each atom p moved by
t p, |t| <= d, its own term moves by t p (-log p - 1) and the rest by -t p. The rest was
taken further out than it can be, which hurts only where its entropy falls, by at most 1
a unit. A larger cap takes off at most d (1 - m) and scales the rest by 1 - d. Together
this is at most d (1 + H_k) to first order; no exception was found up to d = 0.2.
Numbers given in single precision count as rounded by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from nescio.errors import InvalidDistribution, InvalidInput

__all__ = ["entropy_bounds", "ragged_entropy_bounds", "single_precision_bounds"]

_Gather = Callable[[np.ufunc, np.ndarray], np.ndarray]
"""A ufunc and a number for each listed atom to one number a row; 0 for an empty row."""
_EPSILON = float(np.finfo(np.float64).eps)
_LEAST = -745.0  # of a log-probability whose probability is not 0 as a number


def entropy_bounds(
    logp: Float[np.ndarray, "*rows k"],
    *,
    drawn: Float[np.ndarray, "*rows"] | float | int | None = None,
    vocabulary_size: int | None = None,
    rounding: float | int = 0.0,
) -> tuple[Float[np.ndarray, "*rows"], Float[np.ndarray, "*rows"]]:
    """The least and the largest entropy of distributions with these top probabilities.

    Args:
        logp: log-probabilities of the most probable tokens of each row, in any order;
            NaN: not given, -inf: impossible. A row may have none.
        drawn: log-probability of one more token of each row, which is not among them
            and therefore no more probable than any of them; NaN: none. A number for a
            single row.
        vocabulary_size: how many tokens there are, V; None: not known.
        rounding: by which factor, less 1, a reported probability may be off: 1e-3
            covers one that is off by a thousandth of itself.

    Returns:
        Both ends in nats, between 0 and log V. Without ``vocabulary_size`` the upper
        end is +inf wherever anything may be left to unlisted tokens.

    Raises:
        InvalidDistribution: a probability above 1, listed ones that sum to more than 1,
            or that cannot be the most probable ones, because what is left does not fit
            into the others.
        InvalidInput: more tokens than the vocabulary has; a rounding outside [0, 1).

    Example:
        >>> low, high = entropy_bounds(np.log([0.5, 0.2]), vocabulary_size=10)
        >>> round(float(low), 6), round(float(high), 6)
        (1.220607, 1.653485)

    Source: Shannon (1948), section 6, for the largest; Marshall, Olkin & Arnold (2011),
    Inequalities: Theory of Majorization, chapter 3, Schur-concavity, for the least.
    """
    shape, width = logp.shape[:-1], logp.shape[-1]
    flat = logp.reshape(math.prod(shape), width)
    further = None if drawn is None else _numbers(drawn)
    if further is not None and further.shape != shape:
        raise InvalidInput(
            f"drawn has the shape {further.shape} for rows of shape {shape}; give one "
            "number a row, NaN for none"
        )
    low, high = _ends(
        flat,
        None if further is None else further.reshape(len(flat)),
        _Asked(vocabulary_size, float(rounding), shape),
        lambda ufunc, array: ufunc.reduce(array, axis=-1, initial=0),
    )
    return low.reshape(shape), high.reshape(shape)


def ragged_entropy_bounds(
    offsets: Int[np.ndarray, " n_and_end"],
    logp: Float[np.ndarray, " total"],
    *,
    drawn: Float[np.ndarray, " n"] | None = None,
    vocabulary_size: int | None = None,
    rounding: float | int = 0.0,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """`entropy_bounds` of rows of different lengths that lie one after the other.

    Args:
        offsets: row i is logp[offsets[i] : offsets[i + 1]], [n + 1].
        logp, drawn, vocabulary_size, rounding: as for `entropy_bounds`.

    Raises:
        InvalidDistribution, InvalidInput: as `entropy_bounds`; offsets that fall or do
            not end where ``logp`` does.

    Example:
        >>> low, high = ragged_entropy_bounds(
        ...     np.array([0, 2, 2]), np.log([0.5, 0.5]), vocabulary_size=4)
        >>> low.round(4).tolist(), high.round(4).tolist()
        ([0.6931, 0.0], [0.6931, 1.3863])
    """
    n = len(offsets) - 1
    spanned = n >= 0 and offsets[0] == 0 and offsets[-1] == len(logp)
    if not spanned or (np.diff(offsets) < 0).any():
        raise InvalidInput(
            f"offsets have to rise from 0 to {len(logp)}, where the log-probabilities "
            f"end; they are {offsets.tolist()!r:.60}"
        )
    if drawn is not None and len(drawn) != n:
        raise InvalidInput(f"drawn has {len(drawn)} numbers for {n} rows")
    filled = np.diff(offsets) > 0
    starts = offsets[:-1][filled]

    def gather(ufunc: np.ufunc, array: np.ndarray) -> np.ndarray:
        found = np.zeros(n, dtype=array.dtype)
        if len(starts):
            found[filled] = ufunc.reduceat(array, starts)
        return found

    return _ends(logp, drawn, _Asked(vocabulary_size, float(rounding), (n,)), gather)


def single_precision_bounds(
    low: Float[np.ndarray, "*rows"], high: Float[np.ndarray, "*rows"]
) -> tuple[Float32[np.ndarray, "*rows"], Float32[np.ndarray, "*rows"]]:
    """Both ends in single precision, as a trace keeps them: rounded outwards.

    Example:
        >>> low, high = single_precision_bounds(np.array([0.1]), np.array([0.1]))
        >>> float(low[0]) < 0.1 < float(high[0])
        True
    """
    below, above = low.astype(np.float32), high.astype(np.float32)
    nothing, endless = np.float32(0.0), np.float32(np.inf)
    below = np.where(below > low, np.nextafter(below, nothing), below)
    above = np.where(above < high, np.nextafter(above, endless), above)
    return below, above


@dataclass(frozen=True)
class _Asked:
    """What holds for all rows, and their shape for messages."""

    vocabulary_size: int | None
    rounding: float
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        size = self.vocabulary_size
        if size is not None and size < 1:
            raise InvalidInput(f"vocabulary_size is {size}: there is at least 1 token")
        if not 0.0 <= self.rounding < 1.0:
            raise InvalidInput(
                f"rounding is {self.rounding}: it is a share, at least 0 and below 1"
            )

    def refuse(self, wrong: Bool[np.ndarray, " n"], say: Callable[[int], str]) -> None:
        """Raise for the first row that is wrong, by its place."""
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InvalidDistribution(f"{self.name(row)} {say(row)}")

    def name(self, row: int) -> str:
        """How a row is called in messages."""
        place = [int(index) for index in np.unravel_index(row, self.shape)]
        if len(place) < 2:
            return f"row {place[0]}" if place else "the row"
        return f"row {tuple(place)}"


@dataclass(frozen=True, eq=False)
class _Known:
    """What is known of each row, [n].

    Args:
        count, mass, entropy: of the known atoms: how many, sum p, -sum p log p.
        least: the smallest listed log-probability, 0 where nothing is listed.
        off: by which factor, less 1, a probability may be off.
    """

    count: Int[np.ndarray, " n"]
    mass: Float[np.ndarray, " n"]
    entropy: Float[np.ndarray, " n"]
    least: Float[np.ndarray, " n"]
    off: Float[np.ndarray, " n"]

    @property
    def noise(self) -> Float[np.ndarray, " n"]:
        """By how much the mass may be off by computing alone."""
        return _EPSILON * (16.0 + self.count) * (1.0 + self.entropy)


def _ends(
    logp: np.ndarray, drawn: np.ndarray | None, asked: _Asked, gather: _Gather
) -> tuple[np.ndarray, np.ndarray]:
    known = _listed(logp, asked, gather)
    if drawn is not None:
        known = _with_drawn(known, drawn, asked)
    size = asked.vocabulary_size
    if size is not None and len(known.count) and known.count.max() > size:
        row = int(known.count.argmax())
        raise InvalidInput(
            f"{asked.name(row)} has {known.count[row]} tokens, more than the "
            f"vocabulary_size of {size}"
        )
    many = math.inf if size is None else float(size)
    unknown = many - known.count
    smallest, largest = _remainders(known, unknown, asked)
    wide = known.off * (1.0 + known.entropy)
    low = known.entropy + _packed(smallest, np.exp(known.least)) - wide
    high = known.entropy + _spread(largest, unknown) + wide
    if size is not None:
        high = np.minimum(high, math.log(size))
    high = np.maximum(high, 0.0)
    return np.clip(low, 0.0, high), high


def _listed(logp: np.ndarray, asked: _Asked, gather: _Gather) -> _Known:
    given = ~np.isnan(logp)
    values = np.where(given, logp, -np.inf).astype(np.float64)
    coarse = _coarseness(logp)
    highest = gather(np.maximum, np.where(given, values, 0.0))
    _check_below_one(highest, coarse, asked)
    values = np.minimum(values, 0.0)
    mass = np.exp(values)
    off = gather(np.maximum, _storage_rounding(values, mass, coarse))
    known = _Known(
        gather(np.add, given.astype(np.int64)),
        gather(np.add, mass),
        gather(np.add, _weighted(values, mass)),
        gather(np.minimum, np.where(given, values, 0.0)),
        asked.rounding + off,
    )
    _check_mass(known, asked)
    return known


def _with_drawn(known: _Known, drawn: np.ndarray, asked: _Asked) -> _Known:
    """One more known atom a row, where there is one; it caps nothing."""
    there = ~np.isnan(drawn)
    values = np.where(there, drawn, -np.inf).astype(np.float64)
    coarse = _coarseness(drawn)
    _check_below_one(values, coarse, asked)
    values = np.minimum(values, 0.0)
    mass = np.exp(values)
    off = np.maximum(
        known.off, asked.rounding + _storage_rounding(values, mass, coarse)
    )
    noise = 16.0 * _EPSILON * (1.0 - np.maximum(known.least, _LEAST))
    limit = known.least + 2.0 * np.log1p(off) + noise
    asked.refuse(
        (mass > 0.0) & (values > limit),
        lambda row: (
            f"has a drawn token of probability {mass[row]:.6g}, above the smallest "
            f"listed one, {math.exp(known.least[row]):.6g}: the listed tokens are not "
            "the most probable ones"
        ),
    )
    both = replace(
        known,
        count=known.count + there,
        mass=known.mass + mass,
        entropy=known.entropy + _weighted(values, mass),
        off=off,
    )
    _check_mass(both, asked)
    return both


def _remainders(
    known: _Known, unknown: np.ndarray, asked: _Asked
) -> tuple[np.ndarray, np.ndarray]:
    """The least and the most that the unlisted tokens may hold together."""
    cap = np.exp(known.least) * (1.0 + known.off)
    left = 1.0 - known.mass
    left = np.where(np.abs(left) <= known.noise, 0.0, left)
    room = np.multiply(unknown, cap, out=np.zeros_like(cap), where=cap > 0.0)
    smallest = np.maximum(left - known.off, 0.0)
    asked.refuse(
        smallest > room * (1.0 + 64.0 * _EPSILON) + known.noise,
        lambda row: (
            f"leaves {left[row]:.6g} of the probability to {unknown[row]:.0f} unlisted "
            f"tokens, of which none can be above the smallest listed one, "
            f"{math.exp(known.least[row]):.6g}: these are not the most probable tokens "
            "of such a vocabulary, or they are rounded by more than "
            f"{known.off[row]:.2g}"
        ),
    )
    largest = np.clip(left + known.off, 0.0, room)
    return np.minimum(smallest, largest), largest


def _packed(remainder: np.ndarray, cap: np.ndarray) -> np.ndarray:
    """The entropy of a remainder in as many atoms of the cap as there can be."""
    possible = cap > 0.0
    over = np.fmod(remainder, cap, out=np.zeros_like(cap), where=possible)
    each = -np.log(cap, out=np.zeros_like(cap), where=possible)
    return (remainder - over) * each + _terms(over)


def _spread(remainder: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """The entropy of a remainder that is spread evenly."""
    each = np.log(np.maximum(unknown, 1.0))
    there = remainder > 0.0
    evenly = np.multiply(remainder, each, out=np.zeros_like(each), where=there)
    return evenly + _terms(remainder)


def _terms(p: np.ndarray) -> np.ndarray:
    """-p log p, and 0 for 0."""
    return -p * np.log(p, out=np.zeros_like(p), where=p > 0.0)


def _numbers(drawn: np.ndarray | float | int) -> np.ndarray:
    return drawn if isinstance(drawn, np.ndarray) else np.array(drawn, np.float64)


def _coarseness(logp: np.ndarray) -> float:
    """The rounding of the numbers' type, 0 for double precision."""
    epsilon = float(np.finfo(logp.dtype).eps)
    return epsilon if epsilon > _EPSILON else 0.0


def _weighted(values: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """-p log p of numbers whose logarithm is at hand."""
    return np.multiply(-values, mass, out=np.zeros_like(mass), where=mass > 0.0)


def _storage_rounding(
    values: np.ndarray, mass: np.ndarray, coarse: float
) -> np.ndarray:
    """By which factor, less 1, storing a log-probability changed the probability."""
    rounded = np.zeros_like(mass)
    if coarse:
        np.multiply(1.0 - values, coarse, out=rounded, where=mass > 0.0)
    return rounded


def _check_below_one(highest: np.ndarray, coarse: float, asked: _Asked) -> None:
    asked.refuse(
        highest > math.log1p(asked.rounding) + coarse + 8.0 * _EPSILON,
        lambda row: (
            f"has a log-probability of {highest[row]:.6g}: it is at most 0, as a "
            f"probability is at most 1, and rounding is {asked.rounding:.2g}"
        ),
    )


def _check_mass(known: _Known, asked: _Asked) -> None:
    asked.refuse(
        known.mass > 1.0 + known.off + known.noise,
        lambda row: (
            f"has probabilities that sum to {known.mass[row]:.9g}, more than 1 by more "
            f"than their rounding of {known.off[row]:.2g}; give log-probabilities in "
            "nats, and each token once"
        ),
    )
