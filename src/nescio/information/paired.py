"""Two readings of the same tokens: how far their likelihoods lie apart.

For engines, precisions or quantisations of one model, which cut the text alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.errors import InvalidInput
from nescio.information.pooling import (
    How,
    Traces,
    as_texts,
    counted_texts,
    interval_of_ratio,
    population_of_the_interval,
    settings_of,
)
from nescio.outcome import Estimate, Recipe
from nescio.trace import Trace

__all__ = ["bits_per_byte_difference"]

_SEGMENTS = ("completion",)
_SHANNON = "Shannon (1948), A Mathematical Theory of Communication, sections 6-7"


def bits_per_byte_difference(
    traces: Traces,
    reference: Traces,
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
) -> Estimate:
    """Bits per byte of one reading of some texts minus those of another.

    The two are paired token by token, so what makes a text hard cancels: the interval
    is that of the differences, mostly far narrower than either reading's own. Texts
    are resampled as for `bits_per_byte`: blocks of one text, or whole documents.

    Args:
        traces: one trace or several, by one engine or precision.
        reference: the same texts, cut into the same tokens, read otherwise.
        level: the coverage the interval aims at, in (0, 1).
        seed, resamples: of the bootstrap.

    Returns:
        Bits/byte, any sign; below 0 if ``traces`` found the texts more likely.

    Raises:
        InvalidInput: other texts, tokens or scored tokens; a token that one reading
            holds impossible.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:coin"), "HTTHTTTH")
        >>> bits_per_byte_difference(trace, trace).value
        0.0
    """
    ones, others = as_texts(traces), as_texts(reference)
    _check_same(ones, others)
    counted = counted_texts(ones, _SEGMENTS)
    masks = {id(trace): mask for trace, mask in counted}
    parts = [
        np.stack([_bits_apart(one, other), one.byte_counts], axis=1)[masks[id(one)]]
        for one, other in zip(ones, others, strict=True)
        if id(one) in masks
    ]
    tokens = np.concatenate(parts)
    divisor = math.fsum(tokens[:, 1])
    if divisor == 0.0:
        raise InvalidInput("the scored tokens spell no bytes: nothing to divide by")
    settings = settings_of(counted, ones, _SEGMENTS) | {
        "reference": settings_of(counted_texts(others, _SEGMENTS), others, _SEGMENTS)
    }
    found = interval_of_ratio(parts, How(level, seed, resamples, _SEGMENTS))
    several = len(parts) > 1
    population = population_of_the_interval(found, several=several)
    measured: dict[str, Any] = {"n_clusters": len(parts) if several else None}
    if not isinstance(found, str):
        settings |= dict(found.settings)
        measured |= {"low": found.low, "high": found.high, "level": found.level}
    return Estimate(
        "bits_per_byte_difference",
        math.fsum(tokens[:, 0]) / divisor,
        "bits/byte",
        len(tokens),
        "confidence",
        population,
        Recipe("bits_per_byte_difference", settings, (_SHANNON,)),
        **measured,
    )


def _check_same(ones: Sequence[Trace], others: Sequence[Trace]) -> None:
    if len(ones) != len(others):
        raise InvalidInput(
            f"{len(ones)} traces beside {len(others)}: give the same texts in the same "
            "order"
        )
    for number, (one, other) in enumerate(zip(ones, others, strict=True)):
        for what, same in (
            ("text", one.buffer == other.buffer),
            ("tokens", np.array_equal(one.offsets, other.offsets)),
            ("scored tokens", np.array_equal(one.scored, other.scored)),
            ("segments", np.array_equal(one.segment, other.segment)),
        ):
            if not same:
                raise InvalidInput(
                    f"the two readings of text {number} differ in their {what}: only "
                    "readings of the same tokens are paired"
                )


def _bits_apart(one: Trace, other: Trace) -> Float[np.ndarray, " n"]:
    for trace in (one, other):
        if np.isneginf(trace.logp).any():
            place = int(np.flatnonzero(np.isneginf(trace.logp))[0])
            raise InvalidInput(
                f"token {place} is impossible under {trace.origin.model} "
                f"({trace.origin.engine}): a difference of infinities is no number"
            )
    return (other.logp.astype(np.float64) - one.logp) / math.log(2.0)
