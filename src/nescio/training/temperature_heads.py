"""Heads that read a temperature off hidden states: parameters by name, and β of rows.

``thermometer``
    Three branches Linear(width, hidden) – ReLU – Linear(hidden, 1), their three numbers
    together, Linear(3, 1), softplus: β = 1/T above 0.
``adaptive``
    Linear(width, 1), or Linear(width, hidden) – ReLU – Linear(hidden, 1); β is the
    exponential, and no more than ``most``. (A whole transformer block over the text:
    :mod:`nescio.training.temperature_block`.)

Parameters begin as those of ``torch.nn.Linear`` do: uniform within ±1/√(inputs).

Source: Shen et al. (2024), Thermometer; Xie et al. (2024), Adaptive Temperature
Scaling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from nescio.errors import InvalidInput
from nescio.training.refusals import check_positive

__all__ = [
    "Parameters",
    "adaptive_inverse",
    "adaptive_parameters",
    "thermometer_inverse",
    "thermometer_parameters",
    "uniform",
]

Parameters = Mapping[str, Tensor]
"""Tensors by name."""
_BRANCHES = 3


def thermometer_parameters(
    width: int, hidden: int, *, seed: int = 0
) -> dict[str, Tensor]:
    """Three branches at their start.

    Args:
        width: of the hidden states.
        hidden: of each branch.
        seed: of the draw.

    Raises:
        InvalidInput: a width below 1.

    Example:
        >>> found = thermometer_parameters(4, 8)
        >>> {name: tuple(one.shape) for name, one in found.items()}["inner"]
        (3, 8, 4)
    """
    _check_sizes(width, hidden)
    draw = torch.Generator().manual_seed(seed)
    return {
        "inner": uniform((_BRANCHES, hidden, width), width, draw),
        "inner_bias": uniform((_BRANCHES, hidden), width, draw),
        "outer": uniform((_BRANCHES, hidden), hidden, draw),
        "outer_bias": uniform((_BRANCHES,), hidden, draw),
        "last": uniform((_BRANCHES,), _BRANCHES, draw),
        "last_bias": uniform((), _BRANCHES, draw),
    }


def thermometer_inverse(
    parameters: Parameters, states: Float[Tensor, "rows width"]
) -> Float[Tensor, " rows"]:
    """β of each row, above 0.

    Example:
        >>> states = torch.zeros(2, 4)
        >>> thermometer_inverse(thermometer_parameters(4, 8), states).shape
        torch.Size([2])
    """
    inner = torch.einsum("bhw,rw->rbh", parameters["inner"], states)
    inner = torch.relu(inner + parameters["inner_bias"])
    branches = (inner * parameters["outer"]).sum(-1) + parameters["outer_bias"]
    raw = branches @ parameters["last"] + parameters["last_bias"]
    return torch.nn.functional.softplus(raw)


def adaptive_parameters(
    width: int, hidden: int | None = None, *, seed: int = 0
) -> dict[str, Tensor]:
    """A head of one layer, or of two, at its start.

    Args:
        width: of the hidden states.
        hidden: of the layer between; None: there is none.
        seed: of the draw.

    Raises:
        InvalidInput: a width below 1.

    Example:
        >>> sorted(adaptive_parameters(4))
        ['last', 'last_bias']
    """
    _check_sizes(width, 1 if hidden is None else hidden)
    draw = torch.Generator().manual_seed(seed)
    if hidden is None:
        return {"last": uniform((width,), width, draw)} | {
            "last_bias": uniform((), width, draw)
        }
    return {
        "inner": uniform((hidden, width), width, draw),
        "inner_bias": uniform((hidden,), width, draw),
        "last": uniform((hidden,), hidden, draw),
        "last_bias": uniform((), hidden, draw),
    }


def adaptive_inverse(
    parameters: Parameters,
    states: Float[Tensor, "rows width"],
    *,
    most: float | int = 10.0,
) -> Float[Tensor, " rows"]:
    """β of each row: the exponential of what the head says, at most ``most``.

    At ``most`` and beyond there is no gradient.

    Example:
        >>> head = {"last": torch.tensor([1.0]), "last_bias": torch.tensor(0.0)}
        >>> adaptive_inverse(head, torch.tensor([[0.0], [9.0]]), most=1).tolist()
        [1.0, 1.0]
    """
    check_positive("most", most)
    if "inner" in parameters:
        states = torch.relu(states @ parameters["inner"].T + parameters["inner_bias"])
    raw = states @ parameters["last"] + parameters["last_bias"]
    return raw.clamp(max=math.log(most)).exp()  # clamped after, its gradient is NaN


def uniform(shape: tuple[int, ...], inputs: int, draw: torch.Generator) -> Tensor:
    """As of ``torch.nn.Linear`` with so many inputs."""
    bound = 1.0 / math.sqrt(inputs)
    return (torch.rand(shape, generator=draw) * 2.0 - 1.0) * bound


def _check_sizes(width: int, hidden: int) -> None:
    if width < 1 or hidden < 1:
        raise InvalidInput(f"a head of width {width} and {hidden}: at least 1 each")
