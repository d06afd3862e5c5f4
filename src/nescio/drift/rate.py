"""The entropy rate along texts: running, windowed, smoothed, by token and by byte.

The rate of whole texts with its interval is `nescio.information.entropy_rate`, of one
trace or of several (documents are then resampled); here are the same rate by byte, its
exponential to stand beside the perplexity, and how both move along a text.

Of which distribution? A trace keeps the entropy of the model's *own* predictions,
whatever the text was drawn with. Only under plain sampling (temperature 1, nothing cut
off) is it the entropy of what was drawn from, and only then is its mean the entropy
rate of the text's source.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from nescio.drift.curves import DriftCurve, Limits, Named, resampled_curve
from nescio.drift.smoothing import running_rate, smoothed_rate, windowed_rate
from nescio.drift.steps import Along, series_of, stretches
from nescio.errors import InvalidInput
from nescio.information.pooling import (
    How,
    Rate,
    Traces,
    as_texts,
    counted_texts,
    pooled_rate,
    population_of,
    settings_of,
)
from nescio.outcome import Estimate, Recipe
from nescio.trace import Trace

__all__ = [
    "RateCurves",
    "along_steps",
    "entropy_rate_exponential",
    "entropy_rate_per_byte",
    "rate_curves",
    "surprise_score",
]

Per = Literal["token", "byte"]
_SHANNON = "Shannon (1948), A Mathematical Theory of Communication, section 7"
_BRAVERMAN = "Braverman et al. (2020), section 3, the entropy rate of a model"
_HALL = "Hall & Heyde (1980), Martingale Limit Theory, section 3.2"
_SIGNS: tuple[tuple[Along, float], ...] = (("surprisal", 1.0), ("entropy", -1.0))
_BITS = 1.0 / math.log(2.0)


def _entropy(trace: Trace) -> Float[np.ndarray, " n"]:
    return series_of(trace, "entropy", every=True).values


def _entropy_bits(trace: Trace) -> Float[np.ndarray, " n"]:
    return _entropy(trace) * _BITS


def _ones(trace: Trace) -> Float[np.ndarray, " n"]:
    return np.ones(len(trace))


def _bytes(trace: Trace) -> Float[np.ndarray, " n"]:
    return trace.byte_counts.astype(np.float64)


_PER_BYTE = Rate(
    "entropy_rate_per_byte",
    "bits/byte",
    _entropy_bits,
    _bytes,
    (_SHANNON, _BRAVERMAN),
)
_EXPONENTIAL = Rate(
    "entropy_rate_exponential", "1", _entropy, _ones, (_SHANNON, _BRAVERMAN)
)


def entropy_rate_per_byte(
    traces: Traces,
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
    segments: tuple[str, ...] = ("completion",),
) -> Estimate:
    """Total entropy of the predictions over UTF-8 bytes: comparable between models.

    Args:
        traces: one trace or several, all of one model; several are documents, which
            are resampled whole, 5 at least.
        level: the coverage the interval aims at, in (0, 1).
        seed, resamples: of the bootstrap.
        segments: which of ``prompt``, ``completion``, ``template`` count.

    Returns:
        Bits/byte, at least 0.

    Raises:
        InvalidInput: nothing that counts is scored, or it spells no bytes; a trace
            without entropies; traces of several models.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:coin"), "HTTHTTTH")
        >>> round(entropy_rate_per_byte(trace).value, 6)
        1.0

    Source: Shannon (1948), section 7; Braverman et al. (2020), section 3.
    """
    return pooled_rate(_PER_BYTE, traces, How(level, seed, resamples, segments))


def entropy_rate_exponential(
    traces: Traces,
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
    segments: tuple[str, ...] = ("completion",),
) -> Estimate:
    """exp(entropy rate): what the perplexity would be if the model were right.

    On the model's own text it stands beside its perplexity on people's text: larger
    means that the model is less sure of its own text than it is right about theirs.

    Args:
        traces, level, seed, resamples, segments: as for `entropy_rate_per_byte`.

    Returns:
        A pure number, at least 1. Not comparable across vocabularies.

    Raises:
        InvalidInput: as `entropy_rate_per_byte`.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:coin"), "HTTHTTTH")
        >>> round(entropy_rate_exponential(trace).value, 6)
        2.0

    Source: Braverman et al. (2020), table 1.
    """
    rate = pooled_rate(_EXPONENTIAL, traces, How(level, seed, resamples, segments))
    ends = [None if x is None else math.exp(x) for x in (rate.low, rate.high)]
    value = math.exp(rate.value or 0.0)
    return replace(rate, value=value, low=ends[0], high=ends[1])


@dataclass(frozen=True, eq=False)
class RateCurves:
    """A rate along one text; exact for it, without interval.

    Args:
        unit: ``"nats/token"`` or ``"nats/byte"``.
        token: the place of each token in its trace, [n].
        bytes_read: bytes of the counted tokens up to and with each, [n].
        running, windowed, smoothed: the rates at each, [n].
    """

    unit: str
    token: Int[np.ndarray, " n"]
    bytes_read: Float[np.ndarray, " n"]
    running: Float[np.ndarray, " n"]
    windowed: Float[np.ndarray, " n"]
    smoothed: Float[np.ndarray, " n"]


def rate_curves(
    trace: Trace,
    *,
    of: Along = "entropy",
    per: Per = "token",
    window: int = 64,
    half_life: float | int = 32,
    segments: tuple[str, ...] = ("completion",),
) -> RateCurves:
    """How a rate moves along one text.

    Args:
        trace: of a scored or generated text.
        of: ``"entropy"`` of the predictions or ``"surprisal"`` of the tokens.
        per: ``"token"`` or ``"byte"``.
        window: tokens, as `windowed_rate`.
        half_life: tokens, as `smoothed_rate`.
        segments: which tokens count.

    Raises:
        InvalidInput: nothing that counts is scored, no entropies, or, per byte,
            tokens that spell nothing fill a window.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:coin"), "HTTH")
        >>> rate_curves(trace).running.round(4).tolist()
        [0.6931, 0.6931, 0.6931, 0.6931]
    """
    if per not in get_args(Per):
        raise InvalidInput(f"per is {per!r}: one of {get_args(Per)}")
    found = series_of(trace, of, segments=segments)
    sizes = found.sizes if per == "byte" else None
    return RateCurves(
        f"nats/{per}",
        found.token,
        found.sizes.cumsum(),
        running_rate(found.values, sizes),
        windowed_rate(found.values, sizes, window=window),
        smoothed_rate(found.values, sizes, half_life=half_life),
    )


def along_steps(
    traces: Sequence[Trace],
    *,
    of: Along = "entropy",
    width: int = 1,
    limits: Limits | None = None,
    segments: tuple[str, ...] = ("completion",),
) -> DriftCurve:
    """The mean over documents at each step, with a band by resampling documents.

    A document that has ended no longer counts; the curve says how many still do, and
    ends where fewer than 5 are left.

    Args:
        traces: documents, all of one model.
        of: ``"entropy"`` or ``"surprisal"``.
        width: how many steps are taken together, at least 1.
        limits: level, seed, resamples, and whether the band is pointwise (the
            default) or simultaneous.
        segments: which tokens count; the first that does is step 1.

    Returns:
        Nats/token at the middle of each stretch of steps.

    Raises:
        InvalidInput: as `entropy_rate_per_byte`; a token that was impossible.

    Example:
        >>> import nescio
        >>> traces = nescio.score_texts(nescio.load("table:coin"), ["HT"] * 5)
        >>> along_steps(traces).value.round(4).tolist()
        [0.6931, 0.6931]
    """
    counted = counted_texts(traces, segments)
    found = [series_of(trace, of, segments=segments) for trace, _ in counted]
    parts, place = stretches([(one,) for one in found], width)
    named = Named(
        f"{of}_by_step",
        "nats/token",
        "documents like these",
        "token",
        settings_of(counted, as_texts(traces), segments) | {"width": width},
        (_SHANNON, _BRAVERMAN),
    )
    return resampled_curve(
        parts[:, [0, -1]],
        lambda means: means[..., 0, :] / means[..., 1, :],
        place,
        named=named,
        limits=limits or Limits(),
    )


def surprise_score(
    traces: Traces, *, segments: tuple[str, ...] = ("completion",)
) -> Estimate:
    """(Σ surprisal - Σ entropy) / √Σ varentropy: 0 ± 1 if the model drew the text.

    Under plain sampling from the model each surprisal has the entropy as its mean and
    the varentropy as its variance, given what came before; of long texts the score is
    therefore nearly standard normal, and so the p-value is (two-sided) a rough one.
    People's text is usually above it, greedy text far below.

    Args:
        traces: one or several.
        segments: which tokens count.

    Returns:
        A pure number, exact for these texts, with its level 0 under the null.

    Raises:
        InvalidInput: no entropies or varentropies, or predictions that leave nothing
            to chance.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:topics"), "abababab")
        >>> round(surprise_score(trace).value, 2)
        -0.82

    Source: a martingale's central limit theorem, Hall & Heyde (1980), section 3.2.
    """
    counted = counted_texts(traces, segments)
    gap, spread, tokens = 0.0, 0.0, 0
    for trace, mask in counted:
        if trace.varentropy is None:
            raise InvalidInput(
                "a trace has no varentropies; score it with a model that gives its "
                "predictions"
            )
        for of, sign in _SIGNS:
            gap += sign * math.fsum(series_of(trace, of, segments=segments).values)
        spread += math.fsum(trace.varentropy[mask].astype(np.float64))
        tokens += int(mask.sum())
    if not spread > 0.0:
        raise InvalidInput(
            "every prediction was certain or uniform: surprisal cannot differ from "
            "entropy by chance, so there is no score"
        )
    score = gap / math.sqrt(spread)
    settings = settings_of(counted, as_texts(traces), segments)
    return Estimate(
        "surprise_score",
        score,
        "1",
        tokens,
        "exact",
        population_of(counted),
        Recipe("surprise_score", settings, (_HALL,)),
        null_level=0.0,
        p_value=math.erfc(abs(score) / math.sqrt(2.0)),
    )
