"""The KL's estimates and losses on a real model's own logits, 49,152 tokens wide."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import nescio
from nescio.training import (
    HiddenRows,
    exact_kl,
    k1,
    k2,
    k3,
    sampled_kl,
    tiled_exact_kl,
    tiled_token_logp,
    token_logp,
)

pytestmark = pytest.mark.local_model

TEXT = "The tide table by the door said nothing about the storm."


@pytest.fixture(scope="module")
def real() -> dict[str, Any]:
    """The policy is the model; its reference is without the last three blocks."""
    model: Any = nescio.load("smollm2,precision=f32", engine="transformers")
    ids = np.concatenate([np.array(model.start, np.int32), model.encode(TEXT.encode())])
    (block,) = model.layer_blocks([ids], skip=[0], rows=len(ids))
    weight = model.network.get_output_embeddings().weight.detach()
    rows = [torch.tensor(block.rows[layer]) for layer in (-1, -4)]
    return {
        "weight": weight,
        "hidden": rows,
        "targets": torch.tensor(ids[1:].astype(np.int64)),
        "logits": [torch.tensor(model.head(one.numpy())).double() for one in rows],
    }


@pytest.fixture
def pair(real: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Log-probabilities of five rows, in float64."""
    policy, reference = (one[-5:].log_softmax(-1) for one in real["logits"])
    assert policy.shape == (5, 49_152)
    return policy, reference


def autograd(logits: Tensor, value: Any) -> Tensor:
    leaf = logits.clone().requires_grad_()
    return torch.autograd.grad(value(leaf.log_softmax(-1)).sum(), leaf)[0]


def test_means_over_every_token_are_the_exact_kl(pair: tuple[Tensor, Tensor]) -> None:
    p, q = pair
    exact = nescio.kl_divergence(p.numpy(), q.numpy())
    assert (exact > 0.1).all()
    assert exact_kl(p, q).numpy() == pytest.approx(exact, rel=1e-12)
    for estimate in (k1, k3):
        assert (p.exp() * estimate(p, q)).sum(-1).numpy() == pytest.approx(
            exact, rel=1e-10
        )
    assert ((p.exp() * k2(p, q)).sum(-1).numpy() > 1.02 * exact).any()


def test_means_over_draws_find_the_exact_kl(pair: tuple[Tensor, Tensor]) -> None:
    p, q = pair
    n, exact = 4000, exact_kl(p, q)
    source = torch.Generator().manual_seed(11)
    drawn = torch.multinomial(p.exp(), n, replacement=True, generator=source)
    for name in ("k1", "k3"):
        values = sampled_kl(p.gather(1, drawn), q.gather(1, drawn), estimator=name)
        error = values.std(1) / math.sqrt(n)
        # Of ten, the largest of |z| is above 3.9 once in a thousand times.
        assert bool(((values.mean(1) - exact).abs() < 3.9 * error).all()), name
        assert bool((error < 0.2 * exact).all())


def test_expected_gradients_are_autograds_of_the_exact_kl(
    pair: tuple[Tensor, Tensor],
) -> None:
    p, q = pair
    reverse = autograd(p, lambda x: (x.exp() * (x - q)).sum(-1))
    forward = autograd(p, lambda x: (q.exp() * (q - x)).sum(-1))
    for estimate, expected in ((k1, 0 * reverse), (k2, reverse), (k3, forward)):
        found = autograd(p, lambda x, k=estimate: (p.exp() * k(x, q)).sum(-1))
        assert torch.allclose(found, expected, rtol=0, atol=1e-12), estimate
        in_reward = autograd(p, lambda x, k=estimate: (p.exp() * k(p, q) * x).sum(-1))
        whole = autograd(p, lambda x, k=estimate: (x.exp() * k(x, q)).sum(-1))
        assert torch.allclose(found + in_reward, whole, rtol=0, atol=1e-12)
        if estimate is not k2:
            assert torch.allclose(whole, reverse, rtol=0, atol=1e-12)
    for direction, expected in (("reverse", reverse), ("forward", forward)):
        leaf = p.clone().requires_grad_()
        exact_kl(leaf, q, direction=direction).sum().backward()
        assert torch.allclose(leaf.grad, expected, rtol=0, atol=1e-12)
    assert reverse.abs().max() > 1e-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tiles_give_what_the_logits_give(
    real: dict[str, Any], pair: tuple[Tensor, Tensor], dtype: torch.dtype
) -> None:
    weight = real["weight"].to(dtype)
    ours, theirs = (one[-5:].to(dtype) for one in real["hidden"])
    leaf = ours.clone().requires_grad_()
    rows, reference = HiddenRows(leaf, weight), HiddenRows(theirs, weight)
    targets = real["targets"][-5:]
    wide = weight.double()
    double = ours.double().requires_grad_()
    for direction in ("reverse", "forward"):
        leaf.grad = double.grad = None
        found = tiled_exact_kl(rows, reference, direction=direction)
        found.sum().backward()
        logits = double @ wide.T, theirs.double() @ wide.T
        exact = exact_kl(*logits, direction=direction)
        exact.sum().backward()
        assert found.dtype == torch.float32
        assert found.detach().numpy() == pytest.approx(exact.detach().numpy(), rel=2e-4)
        least = 3e-2 if dtype == torch.bfloat16 else 1e-3
        gap = (leaf.grad.double() - double.grad).norm() / double.grad.norm()
        assert float(gap) < least
    logp = tiled_token_logp(rows, targets)
    expected = token_logp(double.detach() @ wide.T, targets)
    assert logp.detach().numpy() == pytest.approx(expected.numpy(), abs=1e-4)
    if dtype == torch.float32:
        own = pair[0][torch.arange(5), targets]
        assert logp.detach().numpy() == pytest.approx(own.numpy(), abs=1e-3)
