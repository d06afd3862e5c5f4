"""How well a model predicts texts: bits per byte, perplexity, entropy rate.

Every measure takes one trace or several. Several are pooled: the sum of what is counted
over the sum of what it is divided by, never a mean of per-text figures. Only scored
tokens of the chosen segments count, above and below the line: the bytes of a first
token that nothing predicted are left out with its bits.

What the interval speaks of:

- one text: the source of this text, as if it were stationary. Its tokens depend on one
  another, so blocks of them are resampled, see :mod:`nescio.uncertainty.blocks`.
  Below 100 tokens there is no interval. Below some 1,000 tokens of a source that
  changes its topic, coverage falls short: no text shows what it never met.
- several texts: documents like these. Whole documents are resampled, 5 at least.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidInput
from nescio.information.pooling import (
    How,
    Rate,
    Traces,
    characters,
    counted_texts,
    pooled_bounds,
    pooled_rate,
    population_of,
    settings_of,
)
from nescio.outcome import Estimate, Recipe
from nescio.trace import Trace
from nescio.trace.symbols import PER_TOKEN

__all__ = [
    "LIKELIHOOD_MEASURES",
    "bits_per_byte",
    "bits_per_character",
    "bits_per_token",
    "entropy_rate",
    "perplexity",
    "summary",
    "total_surprisal",
]

_SHANNON = "Shannon (1948), A Mathematical Theory of Communication, sections 6-7"
_JELINEK = "Jelinek, Mercer, Bahl & Baker (1977), perplexity"
_BRAVERMAN = "Braverman et al. (2020), section 3, the entropy rate of a model"


def _nats(trace: Trace) -> Float[np.ndarray, " n"]:
    return trace.surprisal.astype(np.float64)


def _bits(trace: Trace) -> Float[np.ndarray, " n"]:
    return _nats(trace) / math.log(2.0)


def _ones(trace: Trace) -> Float[np.ndarray, " n"]:
    return np.ones(len(trace))


def _bytes(trace: Trace) -> Float[np.ndarray, " n"]:
    return trace.byte_counts.astype(np.float64)


def _entropy(trace: Trace, *, end: str) -> Float[np.ndarray, " n"]:
    """Entropies in bits, or one end of what is known of them."""
    known = trace.entropy if trace.entropy is not None else getattr(trace, end)
    if known is None:
        raise InvalidInput(
            "a trace has neither entropies nor bounds of them; score it with a model "
            "that gives its predictions"
        )
    return known.astype(np.float64) / math.log(2.0)


def _low(trace: Trace) -> Float[np.ndarray, " n"]:
    return _entropy(trace, end="entropy_low")


def _high(trace: Trace) -> Float[np.ndarray, " n"]:
    return _entropy(trace, end="entropy_high")


_BITS_PER_BYTE = Rate("bits_per_byte", "bits/byte", _bits, _bytes, (_SHANNON,))
_BITS_PER_CHARACTER = Rate(
    "bits_per_character", "bits/character", _bits, characters, (_SHANNON,)
)
_BITS_PER_TOKEN = Rate("bits_per_token", "bits/token", _bits, _ones, (_SHANNON,))
_PERPLEXITY = Rate("perplexity", "1", _nats, _ones, (_JELINEK, _SHANNON))
_ENTROPY_RATE, _ENTROPY_RATE_HIGH = (
    Rate("entropy_rate", "bits/token", end, _ones, (_SHANNON, _BRAVERMAN))
    for end in (_low, _high)
)


def bits_per_byte(
    traces: Traces,
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
    segments: tuple[str, ...] = ("completion",),
) -> Estimate:
    """Total surprisal over UTF-8 bytes: the rate to compare models by.

    Unlike figures per token it does not depend on how a vocabulary cuts the text. The
    end token of a generated answer counts with its surprisal, though it spells nothing.

    Args:
        traces: one trace or several, all of one model at one precision.
        level: the coverage the interval aims at, in (0, 1).
        seed, resamples: of the bootstrap.
        segments: which of ``prompt``, ``completion``, ``template`` count.

    Returns:
        Bits/byte, at least 0; +inf, without interval, if a token was impossible.

    Raises:
        InvalidInput: nothing that counts is scored, or it spells no bytes; traces of
            several models; an unknown segment.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:coin"), "HTTHTTTH")
        >>> round(bits_per_byte(trace).value, 6)
        1.0

    Source: Shannon (1948), sections 6-7.
    """
    return pooled_rate(_BITS_PER_BYTE, traces, How(level, seed, resamples, segments))


def bits_per_character(
    traces: Traces,
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
    segments: tuple[str, ...] = ("completion",),
) -> Estimate:
    """Total surprisal over characters (Unicode code points).

    Each byte of an m-byte character counts 1/m: a character that is cut off, or of
    which only a part is scored, counts by the part that is there. A byte that belongs
    to no character counts as one.

    Args:
        traces, level, seed, resamples, segments: as for `bits_per_byte`.

    Raises:
        InvalidInput: as `bits_per_byte`.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:pieces"), "éa")
        >>> round(bits_per_character(trace).value, 4)
        2.5294
    """
    how = How(level, seed, resamples, segments)
    return pooled_rate(_BITS_PER_CHARACTER, traces, how)


def bits_per_token(
    traces: Traces,
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
    segments: tuple[str, ...] = ("completion",),
) -> Estimate:
    """Mean surprisal of a token; not comparable across vocabularies.

    Args:
        traces, level, seed, resamples, segments: as for `bits_per_byte`.

    Raises:
        InvalidInput: as `bits_per_byte`.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:coin"), "HTTHTTTH")
        >>> round(bits_per_token(trace).value, 6)
        1.0
    """
    return pooled_rate(_BITS_PER_TOKEN, traces, How(level, seed, resamples, segments))


def perplexity(
    traces: Traces,
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
    segments: tuple[str, ...] = ("completion",),
) -> Estimate:
    """exp(mean surprisal of a token): the geometric mean of 1/q, at least 1.

    The interval is exp of that of the mean. Several texts are pooled over all their
    tokens; their perplexities are not averaged. Not comparable across vocabularies.

    Args:
        traces, level, seed, resamples, segments: as for `bits_per_byte`.

    Raises:
        InvalidInput: as `bits_per_byte`.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:coin"), "HTTHTTTH")
        >>> round(perplexity(trace).value, 6)
        2.0

    Source: Jelinek, Mercer, Bahl & Baker (1977).
    """
    mean = pooled_rate(_PERPLEXITY, traces, How(level, seed, resamples, segments))
    value, low, high = map(_exponential, (mean.value, mean.low, mean.high))
    return replace(mean, value=value, low=low, high=high)


def entropy_rate(
    traces: Traces,
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
    segments: tuple[str, ...] = ("completion",),
) -> Estimate:
    """Mean entropy of the model's predictions: how unsure it was, token by token.

    Where only bounds of the entropies are known (a source that gives the top k alone,
    see `entropy_bounds`) the result is a bound without a value. With an interval, it
    holds the rate of the source at this level (the interval's lower limit of the mean
    lower bound, and its upper limit of the mean upper one), and this text's own mean
    for certain; ``recipe.settings`` has the certain limits. Without one, ``level`` is
    None and the limits are the certain ones. ``high`` is None where an entropy has no
    upper bound.

    Args:
        traces, level, seed, resamples, segments: as for `bits_per_byte`.

    Raises:
        InvalidInput: as `bits_per_byte`, or a trace has neither entropies nor
            bounds of them.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:coin"), "HTTHTTTH")
        >>> round(entropy_rate(trace).value, 6)
        1.0

    Source: Shannon (1948), section 7; Braverman et al. (2020), section 3; for bounds
    Imbens & Manski (2004).
    """
    how = How(level, seed, resamples, segments)
    counted = counted_texts(traces, segments)
    if all(trace.entropy is not None for trace, _ in counted):
        return pooled_rate(_ENTROPY_RATE, traces, how)
    return pooled_bounds(_ENTROPY_RATE, _ENTROPY_RATE_HIGH, traces, how)


def total_surprisal(
    traces: Traces, *, segments: tuple[str, ...] = ("completion",)
) -> Estimate:
    """The bits it takes to write down the text with this model; exact for the text.

    Args:
        traces, segments: as for `bits_per_byte`.

    Raises:
        InvalidInput: as `bits_per_byte`.

    Example:
        >>> import nescio
        >>> print(total_surprisal(nescio.score(nescio.load("table:coin"), "HTTH")))
        total_surprisal 4.0000 bits (exact for this text)
    """
    counted = counted_texts(traces, segments)
    bits = [x for trace, mask in counted for x in _bits(trace)[mask].tolist()]
    return Estimate(
        "total_surprisal",
        math.fsum(bits),
        "bits",
        len(bits),
        "exact",
        population_of(counted),
        Recipe("total_surprisal", settings_of(counted, traces, segments), (_SHANNON,)),
    )


LIKELIHOOD_MEASURES: Mapping[str, Callable[..., Estimate]] = {
    "bits_per_byte": bits_per_byte,
    "bits_per_character": bits_per_character,
    "bits_per_token": bits_per_token,
    "perplexity": perplexity,
    "entropy_rate": entropy_rate,
    "total_surprisal": total_surprisal,
}
"""The family: what the command, JSON and the documentation list."""


def summary(
    traces: Traces,
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
    segments: tuple[str, ...] = ("completion",),
) -> dict[str, Estimate]:
    """Every measure of the family that these traces allow, by name.

    ``entropy_rate`` is missing where a trace has no entropies and no bounds of them,
    the rates per byte and per character where the text spells nothing. Where a token is
    a byte (a model read byte by byte), ``entropy_rate`` is per byte, and what else is
    per token is missing.

    Args:
        traces, level, seed, resamples, segments: as for `bits_per_byte`.

    Raises:
        InvalidInput: as `bits_per_byte`.

    Example:
        >>> import nescio
        >>> list(summary(nescio.score(nescio.load("table:coin"), "HT")))[:2]
        ['bits_per_byte', 'bits_per_character']
    """
    counted = counted_texts(traces, segments)
    by_bytes = counted[0][0].origin.symbol == "byte"
    left_out: set[str] = set(PER_TOKEN if by_bytes else ())
    if not all(_has_entropy(trace) for trace, _ in counted):
        left_out.add("entropy_rate")
    if not any(trace.byte_counts[mask].any() for trace, mask in counted):
        left_out |= {"bits_per_byte", "bits_per_character"}
    chosen = {"level": level, "seed": seed, "resamples": resamples}
    return {
        name: measure(
            traces, segments=segments, **({} if name == "total_surprisal" else chosen)
        )
        for name, measure in LIKELIHOOD_MEASURES.items()
        if name not in left_out
    }


def _has_entropy(trace: Trace) -> bool:
    return trace.entropy is not None or trace.entropy_low is not None


def _exponential(nats: float | None) -> float | None:
    with np.errstate(over="ignore"):
        return None if nats is None else float(np.exp(nats))
