"""Sums over the tokens of one text or several, and the interval of their ratio."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from nescio.errors import InvalidInput, NotEnoughData
from nescio.outcome import Estimate, Recipe
from nescio.trace import Trace
from nescio.trace.symbols import unit_per
from nescio.trace.trace import SEGMENTS
from nescio.uncertainty import (
    MINIMUM_UNITS,
    Interval,
    bootstrap_blocks,
    bootstrap_rows,
    ratio_of_means,
)

__all__ = [
    "How",
    "Rate",
    "Traces",
    "as_texts",
    "characters",
    "counted_texts",
    "interval_of_ratio",
    "pooled_bounds",
    "pooled_rate",
    "population_of",
    "population_of_the_interval",
    "settings_of",
]

Traces = Trace | Sequence[Trace]
"""One text, or several that are pooled."""
Counted = Sequence[tuple[Trace, Bool[np.ndarray, "_"]]]
"""Traces with the mask of their tokens that count."""

_BLOCKS = (
    "Politis & Romano (1994), the stationary bootstrap",
    "Politis & White (2004); Patton, Politis & White (2009), block length",
    "Vats & Flegal (2022), lugsail lag windows",
    "Götze & Künsch (1996), studentised block bootstrap",
)
_PARTIAL = ("Imbens & Manski (2004), parameters that are known by limits only",)
_DOCUMENTS = ("Efron (1979), bootstrap", "Hesterberg (2015), expanded percentiles")
_SOURCE = "text from the source of this one, if it is stationary"
_LIKE_THESE = "documents like these"
_FEW_BLOCKS = 30
_SHARED = (
    "model",
    "model_digest",
    "tokenizer_digest",
    "template_digest",
    "engine",
    "precision",
    "conditioned_on",
)
_ROUNDING = 1e-6  # of a character: sums of thirds that are whole again


@dataclass(frozen=True)
class How:
    """What the caller chose: the interval, and which segments count."""

    level: float
    seed: int
    resamples: int
    segments: tuple[str, ...]


@dataclass(frozen=True)
class Rate:
    """A measure that divides one sum over tokens by another.

    Args:
        name: the public function.
        unit: of the ratio.
        above, below: what each token of a trace adds to either sum, [n].
        sources: of the definition.
    """

    name: str
    unit: str
    above: Callable[[Trace], np.ndarray]
    below: Callable[[Trace], np.ndarray]
    sources: tuple[str, ...]


def pooled_rate(rate: Rate, traces: Traces, how: How) -> Estimate:
    """The ratio of the sums over all tokens that count, with its interval.

    Raises:
        InvalidInput: nothing that counts was scored, or the sum below is 0; traces of
            several models; an unknown segment.
    """
    counted = counted_texts(traces, how.segments)
    parts = [
        np.stack([rate.above(trace)[mask], rate.below(trace)[mask]], axis=1)
        for trace, mask in counted
    ]
    tokens = np.concatenate(parts)
    total, divisor = math.fsum(tokens[:, 0]), math.fsum(tokens[:, 1])
    if divisor == 0.0:
        raise InvalidInput(
            f"{rate.name}: the {len(tokens)} tokens that count spell nothing (control "
            "tokens only), so there is nothing to divide by; use bits_per_token"
        )
    symbol = counted[0][0].origin.symbol
    found = interval_of_ratio(parts, how)
    if isinstance(found, str):
        found = found.replace("token", symbol)
    several = len(counted) > 1
    settings = settings_of(counted, traces, how.segments)
    estimate = Estimate(
        rate.name,
        total / divisor,
        unit_per(rate.unit, symbol),
        len(tokens),
        "confidence",
        population_of_the_interval(found, several=several),
        Recipe(rate.name, settings, rate.sources),
        n_clusters=len(counted) if several else None,
    )
    if isinstance(found, str):
        return estimate
    sources = (*rate.sources, *(_DOCUMENTS if several else _BLOCKS))
    return replace(
        estimate,
        low=max(0.0, found.low),
        high=found.high,
        level=found.level,
        recipe=Recipe(rate.name, settings | dict(found.settings), sources),
    )


def pooled_bounds(low: Rate, high: Rate, traces: Traces, how: How) -> Estimate:
    """Limits of a ratio of which each token's share is known by its limits only.

    Where the texts allow no interval for what they come from, the limits are certain
    for these texts. Else ``low`` is the lower limit of the lower ends' interval and
    ``high`` the upper limit of the upper ends': whatever the ratio of the source is, it
    lies between those two ratios, so each limit misses it at most half as often as
    its interval may. They are outside the certain ones, which the recipe has.

    Raises:
        InvalidInput: as `pooled_rate`.
    """
    below, above = (pooled_rate(end, traces, how) for end in (low, high))
    counted = counted_texts(traces, how.segments)
    settings = settings_of(counted, traces, how.segments)
    open_above = above.value is None or math.isinf(above.value)
    certain = Estimate(
        low.name,
        None,
        below.unit,
        below.n,
        "bound",
        population_of(counted),
        Recipe(low.name, settings, low.sources),
        below.value,
        None if open_above else above.value,
    )
    ends = (below,) if open_above else (below, above)
    if any(end.level is None for end in ends):
        return certain
    return _bounds_of_the_source(certain, ends)


def _bounds_of_the_source(certain: Estimate, ends: Sequence[Estimate]) -> Estimate:
    """Around the certain limits those of the source, from the intervals of the ends."""
    below, above, texts = ends[0], ends[-1], certain.recipe.settings
    own = [
        {key: x for key, x in end.recipe.settings.items() if key not in texts}
        for end in ends
    ]
    settings = dict(texts) | {
        "limits": "low: lower limit of the interval of the lower ends; high: upper "
        "limit of that of the upper ends",
        "intervals": dict(zip(("lower_ends", "upper_ends"), own, strict=False)),
        f"certain_{certain.unit}": [certain.low, certain.high],
    }
    warned = max((end.population for end in ends), key=len)
    sources = (*below.recipe.sources, *_PARTIAL)
    return replace(
        certain,
        low=min(_there(below.low), _there(certain.low)),
        high=None if len(ends) == 1 else max(_there(above.high), _there(certain.high)),
        level=below.level,
        population=f"{warned}; certain for {certain.population}",
        n_clusters=below.n_clusters,
        recipe=Recipe(certain.name, settings, sources),
    )


def _there(limit: float | None) -> float:
    if limit is None:
        raise AssertionError("an estimate with a level has both limits")
    return limit


def counted_texts(traces: Traces, segments: tuple[str, ...]) -> Counted:
    """The traces with tokens that count, and which these are: scored, of a segment.

    Raises:
        InvalidInput: none has any; traces of several models; an unknown segment.
    """
    given = as_texts(traces)
    if not segments or set(segments) - set(SEGMENTS):
        raise InvalidInput(f"segments {segments!r}: choose some of {SEGMENTS}")
    for name in _SHARED:
        values = {getattr(trace.origin, name) for trace in given}
        if len(values) > 1:
            raise InvalidInput(
                f"the traces differ in {name}: {sorted(map(str, values))}; measure "
                "those of each model by themselves"
            )
    numbers = [SEGMENTS.index(segment) for segment in segments]
    masks = [trace.scored & np.isin(trace.segment, numbers) for trace in given]
    counted = [(t, m) for t, m in zip(given, masks, strict=True) if m.any()]
    if not counted:
        raise InvalidInput(
            f"no token of segment {' or '.join(segments)} was scored "
            f"({len(given)} traces): there is nothing to sum"
        )
    return counted


def as_texts(traces: Traces) -> tuple[Trace, ...]:
    """One or several traces as a tuple.

    Raises:
        InvalidInput: none at all.
    """
    given = (traces,) if isinstance(traces, Trace) else tuple(traces)
    if not given:
        raise InvalidInput("no traces: there is nothing to measure")
    return given


def settings_of(
    counted: Counted, traces: Traces, segments: tuple[str, ...]
) -> dict[str, Any]:
    """What the recipe says of the texts: their origin, and what was counted."""
    origins = [trace.origin for trace, _ in counted]
    settings = {name: getattr(origins[0], name) for name in _SHARED}
    for name, values in (
        ("decoding", [dict(origin.decoding) for origin in origins]),
        ("generation_seed", [origin.seed for origin in origins]),
    ):
        same = all(value == values[0] for value in values)
        settings[name] = values[0] if same else "differs from text to text"
    return settings | {
        "segments": list(segments),
        "texts": len(counted),
        "texts_without_scored_tokens": len(as_texts(traces)) - len(counted),
        "bytes": sum(int(trace.byte_counts[mask].sum()) for trace, mask in counted),
    }


def population_of(counted: Counted) -> str:
    """What an exact number speaks of."""
    return "this text" if len(counted) == 1 else f"these {len(counted)} texts"


def characters(trace: Trace) -> Float[np.ndarray, " n"]:
    """How many characters each token spells, parts of characters included, [n].

    Each byte of an m-byte character counts 1/m, also where the character is cut off;
    a byte that belongs to no character counts 1.
    """
    text = trace.buffer.decode("utf-8", errors="surrogateescape")
    codes = np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), np.uint32)
    escaped = (codes >= 0xDC80) & (codes <= 0xDCFF)
    widths = 1 + (codes >= 0x80) + (codes >= 0x800).astype(int) + (codes >= 0x10000)
    widths[escaped] = 1
    shares = np.repeat(1.0 / widths, widths)
    if escaped.any():
        _share_out_cut_characters(trace.buffer, shares, np.repeat(escaped, widths))
    edges = np.concatenate([[0.0], shares.cumsum()])[trace.offsets]
    whole = np.rint(edges)
    return np.diff(np.where(np.abs(edges - whole) < _ROUNDING, whole, edges))


def _share_out_cut_characters(
    raw: bytes, shares: np.ndarray, escaped: np.ndarray
) -> None:
    """Give the bytes of a character that is not complete their share of it."""
    left, share = 0, 1.0
    for place in np.flatnonzero(escaped).tolist():
        byte = raw[place]
        if byte >= 0xC0:  # a first byte says how many there should be
            width = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            left, share = width - 1, 1.0 / width
            shares[place] = share
        elif left and escaped[place - 1]:
            left, shares[place] = left - 1, share


def interval_of_ratio(parts: Sequence[np.ndarray], how: How) -> Interval | str:
    """The interval of a ratio of sums over tokens, or why there is none.

    Args:
        parts: what each token of a text adds to the sums above and below, [n, 2].
        how: the level, seed and resamples.
    """
    if any(np.isinf(part).any() for part in parts):
        return "a token was impossible under the model"
    options = {"level": how.level, "resamples": how.resamples, "seed": how.seed}
    documents = np.stack([part.sum(axis=0) for part in parts])
    try:
        if len(documents) == 1:
            return bootstrap_blocks(parts[0][:, 0], parts[0][:, 1], **options)
        if len(documents) < MINIMUM_UNITS:
            return (
                f"{len(documents)} documents are too few to show how documents "
                f"differ: at least {MINIMUM_UNITS}"
            )
        return bootstrap_rows(documents, ratio_of_means, **options)
    except NotEnoughData as reason:
        return str(reason)


def population_of_the_interval(found: Interval | str, *, several: bool) -> str:
    """What an interval speaks of, and why it is not there or may be too short."""
    population = _LIKE_THESE if several else _SOURCE
    if isinstance(found, str):
        return f"{population}; no interval: {found}"
    blocks = float(found.settings.get("blocks", math.inf))
    if blocks < _FEW_BLOCKS:
        return (
            f"{population}; it holds about {blocks:.0f} nearly independent stretches "
            "only, so the interval may be too short"
        )
    return population
