"""Limits in few digits that are still limits: rounded away from what they enclose."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

__all__ = ["outward"]

_ALL_DIGITS = Context(prec=400)  # of the largest float, and then some


def outward(number: float | int, decimals: int, *, up: bool) -> str:
    """A limit with this many decimals, not on the inner side of its first 12 digits.

    Args:
        number: the limit; infinite ones are ``"∞"`` and ``"-∞"``.
        decimals: at least 0.
        up: whether it is an upper limit.

    Example:
        >>> outward(1.653485, 2, up=True), outward(0.29, 2, up=False)
        ('1.66', '0.29')
    """
    if math.isinf(number):
        return "∞" if number > 0 else "-∞"
    rounding = ROUND_CEILING if up else ROUND_FLOOR
    written = Decimal(f"{number:.12g}")  # without the last digits' noise
    rounded = written.quantize(Decimal(1).scaleb(-decimals), rounding, _ALL_DIGITS)
    return f"{abs(rounded) if rounded.is_zero() else rounded:f}"
