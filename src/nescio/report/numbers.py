"""Estimates in words: value, interval, kind and population, the same everywhere."""

from __future__ import annotations

import math

from nescio.outcome import Estimate
from nescio.outcome.outward import outward

__all__ = ["interval_text", "kind_explained", "kind_text", "unit_text", "value_text"]

_EXPLAINED = {
    "exact": "computed for this very text, nothing estimated",
    "confidence": "such intervals hold the true value that often",
    "bound": "certain: the number lies between these limits",
    "uncertain bound": "such limits hold the true value at least that often; what is "
    "not known of each item keeps them apart, however many there are",
    "prediction": "the next one falls inside that often",
}


def value_text(estimate: Estimate) -> str:
    """The value without its unit, as many digits as its interval allows; or a dash.

    Example:
        >>> from nescio.outcome import Recipe
        >>> value_text(Estimate("perplexity", 4.2137, "1", 9, "confidence",
        ...                     "its source", Recipe("perplexity"), 3.98, 4.47, 0.95))
        '4.21'
    """
    if estimate.value is None:
        return "–"
    return _shown(estimate.value, _decimals(estimate))


def interval_text(estimate: Estimate) -> str:
    """The limits, or a dash where there are none; an open side is infinite.

    Those of a bound are rounded outwards.
    """
    low, high = estimate.low, estimate.high
    if estimate.kind == "exact" or (low is None and high is None):
        return "–"
    decimals = _decimals(estimate)
    low = -math.inf if low is None else low
    high = math.inf if high is None else high
    if estimate.kind != "bound":
        return f"{_shown(low, decimals)} to {_shown(high, decimals)}"
    limits = (outward(low, decimals, up=False), outward(high, decimals, up=True))
    return " to ".join(limits).replace("-", "−")


def unit_text(estimate: Estimate) -> str:
    """The unit; empty for a pure number."""
    return "" if estimate.unit == "1" else estimate.unit


def kind_text(estimate: Estimate) -> str:
    """What sort of interval it is, with its level: ``95 % confidence``."""
    if estimate.kind == "exact" or (estimate.kind, estimate.level) == ("bound", None):
        return estimate.kind
    if estimate.low is None and estimate.high is None:
        return "no interval"
    return f"{100 * (estimate.level or 0.0):g} % {estimate.kind}"


def kind_explained(estimate: Estimate) -> str:
    """The same for a reader who has never seen an interval."""
    if kind_text(estimate) == "no interval":
        return "how far it may be off is not known"
    if estimate.kind == "bound" and estimate.level is not None:
        return _EXPLAINED["uncertain bound"]
    return _EXPLAINED[estimate.kind]


def _decimals(estimate: Estimate) -> int:
    limits = [
        x for x in (estimate.low, estimate.high) if x is not None and math.isfinite(x)
    ]
    if len(limits) == 2 and limits[1] > limits[0]:
        by_width = 1 - math.floor(math.log10(limits[1] - limits[0]))
        return min(6, max(0, by_width, _least_decimals(estimate.value)))
    numbers = limits if estimate.value is None else [estimate.value]
    largest = max((abs(x) for x in numbers if math.isfinite(x)), default=0.0)
    return 4 if largest < 1 else max(0, 4 - math.floor(math.log10(largest)))


def _least_decimals(value: float | None) -> int:
    """Two digits of the value itself, which is exact whatever its interval."""
    if not value or not math.isfinite(value):
        return 0
    return 1 - math.floor(math.log10(abs(value)))


def _shown(number: float, decimals: int) -> str:
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    return f"{number:.{decimals}f}".replace("-", "−")
