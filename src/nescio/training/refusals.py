"""What losses refuse before they reckon, and the precision they reckon in.

Every check looks at values, so on an accelerator it waits for them: a loss that is
wrong costs more than the wait.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from nescio.errors import InvalidDistribution, InvalidInput

__all__ = [
    "check_fraction",
    "check_matching",
    "check_positive",
    "check_rows",
    "check_shapes",
    "check_targets",
    "kept_tokens",
    "other_vocabulary",
    "place",
    "sampled_logp",
    "widened",
]

_FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
_ABOVE_ZERO = 1e-3  # what rounding of narrow floats may add to a log-probability of 0


def widened(name: str, values: Shaped[Tensor, "..."]) -> Float[Tensor, "..."]:
    """float64 as it is, narrower floats as float32.

    Raises:
        InvalidInput: no floating-point numbers, or no numbers at all.
    """
    if values.dtype not in _FLOATS:
        raise InvalidInput(
            f"{name} holds {values.dtype}: give float64, float32, bfloat16 or float16"
        )
    if values.numel() == 0:
        raise InvalidInput(f"{name} has shape {tuple(values.shape)}: nothing is in it")
    return values if values.dtype == torch.float64 else values.float()


def check_matching(
    one: tuple[str, Shaped[Tensor, "..."]], other: tuple[str, Shaped[Tensor, "..."]]
) -> None:
    """Refuse rows over different vocabularies, and rows of different numbers."""
    (name, first), (other_name, second) = one, other
    if first.dim() < 1 or second.dim() < 1:
        raise InvalidInput(f"{name} and {other_name} need an axis over the vocabulary")
    if first.shape[-1] != second.shape[-1]:
        raise InvalidInput(other_vocabulary(one, other))
    if first.shape != second.shape:
        raise InvalidInput(
            f"{name} has shape {tuple(first.shape)}, {other_name} "
            f"{tuple(second.shape)}: give both for the same tokens"
        )


def other_vocabulary(
    one: tuple[str, Shaped[Tensor, "..."]], other: tuple[str, Shaped[Tensor, "..."]]
) -> str:
    """What is said where two models do not share a vocabulary."""
    (name, first), (other_name, second) = one, other
    return (
        f"{name} is over {first.shape[-1]} tokens, {other_name} over "
        f"{second.shape[-1]}: distributions over different vocabularies have no "
        "divergence token by token. Compare them byte by byte, through the byte view: "
        "next_byte_logp makes rows over bytes of either, at the offsets that align "
        "finds. Rows that merely pad the vocabulary can be cut off"
    )


def check_rows(name: str, logp: Float[Tensor, "*rows vocab"]) -> None:
    """Refuse rows whose log-softmax is no distribution: it is NaN throughout."""
    broken = logp[..., 0].isnan()
    if bool(broken.any()):
        raise InvalidDistribution(
            f"{name}: row {place(broken)} holds NaN or +inf, or -inf alone: there is "
            "no distribution in it"
        )


def check_shapes(
    logp: Shaped[Tensor, "..."],
    other: Shaped[Tensor, "..."],
    name: str = "reference",
) -> None:
    """Refuse numbers of other tokens."""
    if logp.shape != other.shape:
        raise InvalidInput(
            f"logp has shape {tuple(logp.shape)}, {name} {tuple(other.shape)}: give "
            "both for the same tokens"
        )


def check_targets(
    targets: Shaped[Tensor, "..."], rows: tuple[int, ...], vocabulary: int
) -> None:
    """Refuse tokens of another shape, kind or vocabulary."""
    if targets.dtype not in (torch.int64, torch.int32, torch.int16, torch.uint8):
        raise InvalidInput(f"targets hold {targets.dtype}: give token ids, integers")
    if tuple(targets.shape) != rows:
        raise InvalidInput(
            f"targets have shape {tuple(targets.shape)}, the rows {rows}: give one "
            "token a row"
        )
    outside = (targets < 0) | (targets >= vocabulary)
    if bool(outside.any()):
        raise InvalidInput(
            f"target {place(outside)} is {int(targets[outside][0])}, not one of the "
            f"{vocabulary} tokens; leave rows without a target out with mask="
        )


def kept_tokens(
    mask: Shaped[Tensor, "..."] | None, like: Shaped[Tensor, "..."]
) -> Bool[Tensor, "..."]:
    """Which tokens count, as booleans: all of them without a mask.

    Raises:
        InvalidInput: another shape, numbers that are neither 0 nor 1, a row along the
            last axis (a completion) or, of one axis, nothing at all that counts.
    """
    if mask is None:
        return torch.ones(like.shape, dtype=torch.bool, device=like.device)
    if mask.shape != like.shape:
        raise InvalidInput(
            f"mask has shape {tuple(mask.shape)}, what it covers "
            f"{tuple(like.shape)}: give one truth a token"
        )
    if mask.dtype.is_floating_point or mask.dtype.is_complex:
        raise InvalidInput(f"mask holds {mask.dtype}: give booleans, or 0 and 1")
    kept = mask.bool()
    if mask.dtype != torch.bool and bool((mask != kept).any()):
        odd = mask[mask != kept][0]
        raise InvalidInput(f"mask holds {int(odd)}: give booleans, or 0 and 1")
    empty = ~kept.any(-1)
    if bool(empty.any()):
        which = f"completion {place(empty)}" if kept.dim() > 1 else "mask"
        raise InvalidInput(
            f"{which} is empty: no token of it counts; leave empty completions out"
        )
    return kept


def sampled_logp(
    name: str, logp: Shaped[Tensor, "..."], kept: Bool[Tensor, "..."] | None = None
) -> Float[Tensor, "..."]:
    """Log-probabilities of tokens that were drawn; 0 where the mask leaves them out.

    Raises:
        InvalidInput: no floats, or numbers above 0.
        InvalidDistribution: NaN, or a token of probability 0.
    """
    found = widened(name, logp)
    if kept is not None:
        found = found.masked_fill(~kept, 0.0)
    unusable = ~found.isfinite()
    if bool(unusable.any()):
        value = float(found.detach()[unusable][0])
        why = "the token is impossible there, so the divergence is infinite"
        raise InvalidDistribution(
            f"{name}: token {place(unusable)} has log-probability {value}"
            + (f": {why}" if value == -math.inf else "")
            + "; leave such tokens out with mask="
        )
    above = found > _ABOVE_ZERO
    if bool(above.any()):
        raise InvalidInput(
            f"{name}: token {place(above)} has {float(found.detach()[above][0]):.4g}, "
            "above 0: give log-probabilities, not logits or losses"
        )
    return found


def check_positive(name: str, number: float | int, *, zero: bool = False) -> float:
    """A number above 0 (or 0 itself, if that may be)."""
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        allowed = "at least 0" if zero else "above 0"
        raise InvalidInput(f"{name} is {number}: give a finite number {allowed}")
    return float(number)


def check_fraction(name: str, number: float | int) -> float:
    """A number from 0 to 1."""
    if not 0.0 <= number <= 1.0:
        raise InvalidInput(f"{name} is {number}: give a number from 0 to 1")
    return float(number)


def place(bad: Bool[Tensor, "..."]) -> str:
    """Where the first truth stands, as one writes an index."""
    if bad.dim() == 0:
        return "0"
    return ", ".join(str(int(axis)) for axis in bad.nonzero()[0])
