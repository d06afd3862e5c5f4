"""A head of one transformer block: a row's temperature from all of its text so far.

Hidden states enter by Linear(width, hidden). One block follows: x + attention(norm x),
then x + Linear(ReLU(Linear(norm x))), four times as wide between. Attention is causal
and of several heads; queries and keys are turned by their place (rotary), so that only
distances count. The norm divides by the root of the mean square. β of a row is the
exponential of a last Linear(hidden, 1), and no more than ``most``.

What the block adds begins at 0: before the first step the head is a head of one layer.

The published head is a block of the base model's own shape; this one is as narrow as
``hidden``, so that a CPU trains it in minutes.

Source: Xie et al. (2024), Adaptive Temperature Scaling; Su et al. (2021), RoFormer;
Zhang & Sennrich (2019), Root Mean Square Layer Normalization.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nescio.errors import InvalidInput
from nescio.training.refusals import check_positive
from nescio.training.temperature_heads import Parameters, uniform

__all__ = ["block_inverse", "block_parameters"]

_WIDER = 4
_TURNS = 10_000.0
_LEAST = 1e-6


def block_parameters(
    width: int, hidden: int, *, heads: int = 4, seed: int = 0
) -> dict[str, Tensor]:
    """A block at its start.

    Args:
        width: of the hidden states.
        hidden: of the block.
        heads: of its attention; ``hidden`` is a multiple of twice as many.
        seed: of the draw.

    Raises:
        InvalidInput: a width below 1, or a block that its heads do not divide.

    Example:
        >>> found = block_parameters(5, 8, heads=2)
        >>> tuple(found["query"].shape), bool(found["joined"].any())
        ((2, 4, 8), False)
    """
    if width < 1 or hidden < 1 or heads < 1 or hidden % (2 * heads):
        raise InvalidInput(
            f"a block of width {hidden} with {heads} heads on states of width {width}: "
            "hidden has to be a multiple of twice the heads, e.g. 64 with 4"
        )
    draw = torch.Generator().manual_seed(seed)
    size, between = hidden // heads, _WIDER * hidden
    return {
        "enter": uniform((hidden, width), width, draw),
        "enter_bias": uniform((hidden,), width, draw),
        "query": uniform((heads, size, hidden), hidden, draw),
        "key": uniform((heads, size, hidden), hidden, draw),
        "value": uniform((heads, size, hidden), hidden, draw),
        "joined": torch.zeros(hidden, heads, size),
        "wide": uniform((between, hidden), hidden, draw),
        "wide_bias": uniform((between,), hidden, draw),
        "narrow": torch.zeros(hidden, between),
        "narrow_bias": torch.zeros(hidden),
        "last": uniform((hidden,), hidden, draw),
        "last_bias": uniform((), hidden, draw),
    }


def block_inverse(
    parameters: Parameters,
    states: Float[Tensor, "tokens width"],
    offsets: Int[Tensor, " ends"],
    *,
    rows: Int[Tensor, " rows"],
    most: float | int = 10.0,
) -> Float[Tensor, " rows"]:
    """β of some tokens, each from the states of its text up to it.

    Args:
        parameters: of `block_parameters`.
        states: of all texts, one after the other.
        offsets: where texts begin, and the end; [texts + 1].
        rows: which of the states are asked for.
        most: what β is clipped at; there and beyond there is no gradient.

    Raises:
        InvalidInput: offsets that do not cover the states in order, rows outside.

    Example:
        >>> head = block_parameters(3, 8, heads=2)
        >>> states, offsets = torch.ones(5, 3), torch.tensor([0, 2, 5])
        >>> block_inverse(head, states, offsets, rows=torch.tensor([1, 4])).shape
        torch.Size([2])
    """
    check_positive("most", most)
    lengths = offsets.diff()
    covered = len(offsets) and int(offsets[0]) == 0 and int(offsets[-1]) == len(states)
    if not covered or not bool((lengths > 0).all()):
        raise InvalidInput(
            f"offsets of {len(lengths)} texts do not cover {len(states)} states in "
            "order: begin with 0, end with their number, and let each text have one"
        )
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(states):
        raise InvalidInput(f"rows reach beyond the {len(states)} states")
    text = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    place = torch.arange(len(states)) - offsets[text]
    x = states @ parameters["enter"].T + parameters["enter_bias"]
    stream = x.new_zeros(len(lengths), int(lengths.max()), x.shape[1])
    stream = stream.index_put((text, place), x)
    read = _attended(parameters, stream)[text[rows], place[rows]]
    x = x[rows] + torch.einsum("nhs,dhs->nd", read, parameters["joined"])
    wide = torch.relu(_normed(x) @ parameters["wide"].T + parameters["wide_bias"])
    x = x + wide @ parameters["narrow"].T + parameters["narrow_bias"]
    raw = x @ parameters["last"] + parameters["last_bias"]
    return raw.clamp(max=math.log(most)).exp()  # clamped after, its gradient is NaN


def _attended(
    parameters: Parameters, stream: Float[Tensor, "texts length hidden"]
) -> Float[Tensor, "texts length heads size"]:
    """What every head reads at every place: of that place and those before.

    Texts are padded on the right, where no place of a text can see.
    """
    normed = _normed(stream)
    query, key, value = (
        torch.einsum("tld,hsd->tlhs", normed, parameters[name])
        for name in ("query", "key", "value")
    )
    query, key = _turned(query), _turned(key)
    length, size = stream.shape[1], query.shape[-1]
    scores = torch.einsum("tqhs,tkhs->thqk", query, key) / math.sqrt(size)
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    weights = scores.masked_fill(later, -math.inf).softmax(-1)
    return torch.einsum("thqk,tkhs->tqhs", weights, value)


def _turned(
    vectors: Float[Tensor, "texts length heads size"],
) -> Float[Tensor, "texts length heads size"]:
    """Pairs of numbers turned by angles that grow with the place."""
    half = vectors.shape[-1] // 2
    speeds = _TURNS ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(vectors.shape[1], dtype=torch.float64)[:, None] * speeds
    cosine, sine = (f(angles)[:, None, :].to(vectors) for f in (torch.cos, torch.sin))
    one, other = vectors[..., :half], vectors[..., half:]
    return torch.cat([one * cosine - other * sine, one * sine + other * cosine], -1)


def _normed(x: Float[Tensor, "*rows hidden"]) -> Float[Tensor, "*rows hidden"]:
    return x * (x.square().mean(-1, keepdim=True) + _LEAST).rsqrt()
