"""The table of a comparison: every number an `Estimate` that says which way it goes.

The reference P is the first model, the other Q. Ratios are Q over P and differences Q
minus P, so that a worse Q has a ratio above 1 and a mean change of probability below
0; ``kl_divergence`` is KL(P || Q). These are the quantities of llama.cpp's perplexity
tool, with P as its base.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.comparison.intervals import (
    Asked,
    Limits,
    Texts,
    correlation_limits,
    mean_limits,
    quantile,
    quantile_limits,
    share_limits,
)
from nescio.comparison.texts import Compared, Side, Stretches
from nescio.errors import NotEnoughData
from nescio.information import bits_per_byte, bits_per_byte_difference, perplexity
from nescio.outcome import Estimate, Recipe
from nescio.trace import Origin
from nescio.trace.symbols import unit_per

__all__ = ["PERCENTILES", "stretch_estimates", "token_estimates"]

PERCENTILES = (0.1, 1, 5, 10, 90, 95, 99, 99.9)
"""Of the table, beside the median; of a divergence those from 1 on."""

_FEW_BLOCKS = 30
_DIRECTION = (
    "P is the reference, Q the other model: ratios Q over P, differences Q minus P, "
    "kl_divergence KL(P || Q), reverse_kl_divergence KL(Q || P)"
)
_LLAMA = "llama.cpp, tools/perplexity: the table of --kl-divergence"
_KULLBACK = "Kullback & Leibler (1951), On information and sufficiency"
_LIN = "Lin (1991), Divergence measures based on the Shannon entropy"
_JELINEK = "Jelinek, Mercer, Bahl & Baker (1977), perplexity"
_BLOCKS = (
    "Politis & Romano (1994), the stationary bootstrap",
    "Götze & Künsch (1996), studentised block bootstrap",
)
_DOCUMENTS = ("Efron (1979), bootstrap", "Hesterberg (2015), expanded percentiles")
_WOODRUFF = ("Woodruff (1952), confidence intervals for medians and other quantiles",)
_WILSON = ("Wilson (1927), score interval", "Kish (1965), design effects")
_FISHER = ("Fisher (1915), the z of a correlation",)


@dataclass(frozen=True)
class _Named:
    """What an estimate is called, its unit, its definition's source, and its column."""

    name: str
    unit: str
    sources: tuple[str, ...] = (_LLAMA,)
    column: str = ""


@dataclass(frozen=True)
class _Table:
    """The texts of which numbers are made, and the interval asked for."""

    texts: Sequence[Compared]
    asked: Asked

    def column(self, name: str) -> list[Float[np.ndarray, "_"]]:
        """One quantity of the scored tokens, text by text; texts without any left out.

        Float64: shares are of ones and zeros.
        """
        columns = (
            getattr(text, name)[text.scored].astype(np.float64) for text in self.texts
        )
        return [column for column in columns if len(column)]

    def mean(
        self,
        named: _Named,
        values: Texts,
        *,
        bounds: tuple[float, float] = (-math.inf, math.inf),
        through: Callable[[float], float] = float,
    ) -> Estimate | None:
        """The mean, or a rising function of it; None where it is undefined."""
        if any(np.isnan(part).any() for part in values):
            return None
        every = np.concatenate(values)
        if np.isposinf(every).any() and np.isneginf(every).any():
            return None
        infinite = int(np.isinf(every).sum())
        if infinite:
            reason = f"{infinite} of {len(every)} tokens are infinite"
            return self.estimate(named, through(float(every.sum())), reason)
        value = math.fsum(every.tolist()) / len(every)
        found = self.limits(lambda: mean_limits(values, self.asked))
        if isinstance(found, Limits):
            low, high = (
                through(min(max(limit, bounds[0]), bounds[1]))
                for limit in (found.low, found.high)
                if limit is not None
            )
            found = replace(found, low=low, high=high)
        several = len(values) > 1
        return self.estimate(
            named, through(value), found, _DOCUMENTS if several else _BLOCKS
        )

    def limits(self, find: Callable[[], Limits]) -> Limits | str:
        """The limits, or why there are none."""
        try:
            return find()
        except NotEnoughData as reason:
            return str(reason)

    def estimate(
        self,
        named: _Named,
        value: float,
        found: Limits | str | None,
        sources: tuple[str, ...] = (),
    ) -> Estimate:
        """With its limits, why there are none, or None: exact for the text."""
        counted = [text for text in self.texts if text.scored.any()]
        several = len(counted) > 1
        population = (
            "documents like these"
            if several
            else "text from the source of this one, if it is stationary"
        )
        settings = _settings(counted)
        fields: dict[str, Any] = {"n_clusters": len(counted) if several else None}
        if found is None:
            population = f"these {len(counted)} texts" if several else "this text"
        elif isinstance(found, str):
            population = f"{population}; no interval: {found}"
        else:
            fields |= {"low": found.low, "high": found.high, "level": self.asked.level}
            settings |= dict(found.settings)
            blocks = float(found.settings.get("blocks", math.inf))
            if blocks < _FEW_BLOCKS:
                population += (
                    f"; it holds about {blocks:.0f} nearly independent stretches only, "
                    "so the interval may be too short"
                )
        return Estimate(
            named.name,
            value,
            named.unit,
            sum(int(text.scored.sum()) for text in counted),
            "exact" if found is None else "confidence",
            population,
            Recipe(
                "compare",
                settings,
                (*named.sources, *(sources if isinstance(found, Limits) else ())),
            ),
            **fields,
        )


def token_estimates(texts: Sequence[Compared], asked: Asked) -> dict[str, Estimate]:
    """Of two models with one vocabulary: all of the table.

    What is undefined (a ratio of two infinite perplexities, the correlation of
    something that does not vary) is left out, and so are perplexities where a token is
    a byte.
    """
    table = _Table(texts, asked)
    found = {
        **_own(texts, asked, perplexity, "perplexity"),
        **_ratio(table),
        **_correlation(table),
        **_bits(texts, asked),
    }
    found |= _distribution(
        table,
        "kl_divergence",
        "kl_forward",
        units=("nats/token", "nats"),
        sources=(_KULLBACK, _LLAMA),
    )
    for name, column, sources in (
        ("reverse_kl_divergence_mean", "kl_backward", (_KULLBACK,)),
        ("js_divergence_mean", "js", (_LIN,)),
    ):
        named = _Named(name, "nats/token", sources)
        found |= _there(table.mean(named, table.column(column), bounds=(0.0, math.inf)))
    found |= _distribution(
        table, "delta_p", "delta_p", units=("1", "1"), sources=(_LLAMA,)
    )
    squares = [part**2 for part in table.column("delta_p")]
    found |= _there(
        table.mean(
            _Named("delta_p_rms", "1"), squares, bounds=(0.0, 1.0), through=math.sqrt
        )
    )
    same = table.column("same_top")
    limits = table.limits(lambda: share_limits(same, asked))
    value = math.fsum(x for part in same for x in part.tolist()) / sum(map(len, same))
    share = table.estimate(_Named("same_top_share", "1"), value, limits, _WILSON)
    return _named_by_symbol(found | {"same_top_share": share}, texts[0].reference)


def _named_by_symbol(
    found: Mapping[str, Estimate], origin: Origin
) -> dict[str, Estimate]:
    """Per byte what is called per token, where a token is a byte."""
    if origin.symbol == "token":
        return dict(found)
    return {
        name: replace(estimate, unit=unit_per(estimate.unit, origin.symbol))
        for name, estimate in found.items()
        if "perplexity" not in name
    }


def stretch_estimates(texts: Sequence[Stretches], asked: Asked) -> dict[str, Estimate]:
    """Of two models that cut text differently: what can be told by bytes."""
    return _bits(texts, asked)


def _ratio(table: _Table) -> dict[str, Estimate]:
    """Q's perplexity over P's, and its logarithm: the mean of paired differences."""
    apart = table.column("difference")
    return {
        **_there(
            table.mean(
                _Named("perplexity_ratio", "1", (_LLAMA, _JELINEK)),
                apart,
                through=_exponential,
            )
        ),
        **_there(
            table.mean(
                _Named("log_perplexity_ratio", "nats/token", (_LLAMA, _JELINEK)), apart
            )
        ),
    }


def _correlation(table: _Table) -> dict[str, Estimate]:
    ones, others = table.column("logp_reference"), table.column("logp_other")
    x, y = np.concatenate(ones), np.concatenate(others)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return {}
    spread = float(x.std() * y.std())
    scale = float(np.abs(x).max() * np.abs(y).max())
    if len(x) < 2 or spread <= 1e-12 * scale:
        return {}
    value = float(((x - x.mean()) * (y - y.mean())).mean()) / spread
    value = min(max(value, -1.0), 1.0)
    limits = table.limits(lambda: correlation_limits(ones, others, table.asked))
    if (
        isinstance(limits, Limits)
        and limits.low is not None
        and limits.high is not None
    ):
        limits = replace(
            limits, low=min(limits.low, value), high=max(limits.high, value)
        )
    named = _Named("logp_correlation", "1")
    return {named.name: table.estimate(named, value, limits, _FISHER)}


def _distribution(
    table: _Table,
    name: str,
    column: str,
    *,
    units: tuple[str, str],
    sources: tuple[str, ...],
) -> dict[str, Estimate]:
    """Mean, median, percentiles and the ends of a quantity of tokens."""
    values = table.column(column)
    signed = column == "delta_p"
    bounds = (-1.0, 1.0) if signed else (0.0, math.inf)
    mean = _Named(f"{name}_mean", units[0], sources)
    found = _there(table.mean(mean, values, bounds=bounds))
    every = np.concatenate(values)
    if signed:
        least = _Named(f"{name}_minimum", units[1], sources)
        found[least.name] = table.estimate(least, float(every.min()), None)
    for percent in sorted((*(p for p in PERCENTILES if signed or p >= 1), 50)):
        word = f"percentile_{percent:g}".replace(".", "_")
        word = "median" if percent == 50 else word
        named = _Named(f"{name}_{word}", units[1], sources, column)
        found[named.name] = _quantile(table, named, percent / 100, bounds)
    most = _Named(f"{name}_maximum", units[1], sources)
    found[most.name] = table.estimate(most, float(every.max()), None)
    return found


def _quantile(
    table: _Table, named: _Named, share: float, bounds: tuple[float, float]
) -> Estimate:
    """With its limits; an open side ends where the quantity does."""
    values = table.column(named.column)
    found = table.limits(lambda: quantile_limits(values, share, table.asked))
    if isinstance(found, Limits):
        low = bounds[0] if found.low is None else found.low
        ends = math.isfinite(bounds[1]) and found.high is None
        found = replace(found, low=low, high=bounds[1] if ends else found.high)
    return table.estimate(named, quantile(values, share), found, _WOODRUFF)


def _bits(
    texts: Sequence[Compared] | Sequence[Stretches], asked: Asked
) -> dict[str, Estimate]:
    """Bits per byte of each, over the same bytes, and how far they lie apart."""
    found = _own(texts, asked, bits_per_byte, "bits_per_byte")
    readings = [[text.trace(side) for text in texts] for side in ("reference", "other")]
    if any(np.isneginf(trace.logp).any() for side in readings for trace in side):
        return found
    reference, other = readings
    apart = bits_per_byte_difference(other, reference, **asked.options)
    return found | {apart.name: apart}


def _own(
    texts: Sequence[Compared] | Sequence[Stretches],
    asked: Asked,
    measure: Callable[..., Estimate],
    name: str,
) -> dict[str, Estimate]:
    """A measure of each model by itself."""
    sides: tuple[Side, Side] = ("reference", "other")
    return {
        f"{name}_{side}": replace(
            measure([text.trace(side) for text in texts], **asked.options),
            name=f"{name}_{side}",
        )
        for side in sides
    }


def _settings(texts: Sequence[Compared]) -> dict[str, Any]:
    return {
        "direction": _DIRECTION,
        "reference": _origin(texts[0].reference),
        "other": _origin(texts[0].other),
        "texts": len(texts),
        "bytes": sum(int(np.diff(t.offsets)[t.scored].sum()) for t in texts),
    }


def _origin(origin: Any) -> Mapping[str, Any]:
    return {k: v for k, v in origin.to_dict().items() if v is not None}


def _there(estimate: Estimate | None) -> dict[str, Estimate]:
    return {} if estimate is None else {estimate.name: estimate}


def _exponential(nats: float) -> float:
    with np.errstate(over="ignore", under="ignore"):
        return float(np.exp(nats))
