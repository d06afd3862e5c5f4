"""Nats, bits and bytes: one place where a quantity changes its unit.

Inside, every information quantity is in nats. A unit is text such as ``"nats"``,
``"bits/byte"`` or ``"nats^2"``: a product of factors over a product of factors, in
which only nats and bits convert into one another.
"""

from __future__ import annotations

import math
import re

from nescio.errors import InvalidInput

__all__ = ["INFORMATION_UNITS", "NATS_PER", "convert_factor", "unit_in"]

NATS_PER = {"nats": 1.0, "bits": math.log(2.0)}
"""How many nats one of the unit holds."""

INFORMATION_UNITS = tuple(NATS_PER)

_FACTOR = re.compile(r"(nats|bits)(?:\^(\d+))?")


def convert_factor(unit: str, *, to: str) -> float:
    """The number a value in ``unit`` is multiplied by to be read in ``to``.

    Args:
        unit: the present unit, e.g. ``"nats/token"`` or ``"nats^2"``.
        to: ``"nats"`` or ``"bits"``.

    Raises:
        InvalidInput: ``to`` is no unit of information, or ``unit`` holds none.

    Example:
        >>> round(convert_factor("nats/byte", to="bits"), 4)
        1.4427
        >>> round(convert_factor("nats^2", to="bits"), 4)   # a variance
        2.0814
    """
    match = _information_factor(unit, to)
    power = int(match.group(2) or 1)
    return float((NATS_PER[match.group(1)] / NATS_PER[to]) ** power)


def unit_in(unit: str, *, to: str) -> str:
    """The name of ``unit`` once its nats or bits are read in ``to``.

    Example:
        >>> unit_in("nats/byte", to="bits")
        'bits/byte'
    """
    match = _information_factor(unit, to)
    power = f"^{match.group(2)}" if match.group(2) else ""
    return f"{unit[: match.start()]}{to}{power}{unit[match.end() :]}"


def _information_factor(unit: str, to: str) -> re.Match[str]:
    if to not in NATS_PER:
        raise InvalidInput(
            f"unknown unit of information {to!r}: choose one of {INFORMATION_UNITS}"
        )
    match = _FACTOR.search(unit)
    if match is None:
        raise InvalidInput(
            f"a quantity in {unit!r} is not information and cannot be read in {to}"
        )
    return match
