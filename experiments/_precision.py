"""The precision that experiments compute in: the fastest that the processor has."""

from __future__ import annotations

from nescio.errors import CapabilityError
from nescio.models.openvino_runtime import check_precision

__all__ = ["usual_precision"]


def usual_precision() -> str:
    """``bf16`` where the processor computes in it, ``f32`` elsewhere.

    It stands in the recipe of every result. (Engines would do bf16 on any processor,
    but where it has to be imitated that is many times slower than f32.)
    """
    try:
        check_precision("bf16")
    except CapabilityError:
        return "f32"
    return "bf16"
