"""Losses and heads of learned temperatures: numbers by hand, gradients, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize import minimize_scalar

from nescio.errors import InvalidDistribution, InvalidInput
from nescio.training import HiddenRows, Tiling, project
from nescio.training.temperature_heads import (
    adaptive_inverse,
    adaptive_parameters,
    thermometer_inverse,
    thermometer_parameters,
)
from nescio.training.temperature_losses import (
    GammaPrior,
    adaptive_temperature_loss,
    answer_losses,
    cooled_logp,
    thermometer_loss,
)
from nescio.training.tiled_temperature import tiled_answer_losses

DOUBLE = torch.float64


def rows_of(count: int, answers: int, *, seed: int = 0, spread: float = 2.0) -> tuple:
    """Logits of a source that is calibrated, and answers drawn from it."""
    draw = np.random.default_rng(seed)
    logits = spread * draw.standard_normal((count, answers))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = (chances.cumsum(1) < draw.random((count, 1))).sum(1)
    return torch.tensor(logits), torch.tensor(targets)


@pytest.mark.parametrize(("shape", "scale"), [(1.25, 4.0), (2.0, 0.5), (1, 1)])
def test_the_penalty_is_minus_the_log_density_of_a_gamma(shape, scale) -> None:
    temperatures = torch.tensor([0.01, 0.5, 1.0, 3.0, 40.0], dtype=DOUBLE)
    found = GammaPrior(0.01, shape, scale).penalty(temperatures)
    expected = -stats.gamma(shape, scale=scale).logpdf(temperatures.numpy())
    assert found.numpy() == pytest.approx(expected)


def test_the_published_prior_is_least_at_a_temperature_of_one() -> None:
    temperature = torch.tensor(1.0, dtype=DOUBLE, requires_grad=True)
    GammaPrior().penalty(temperature).backward()
    assert temperature.grad.item() == pytest.approx(0.0, abs=1e-12)


def test_a_task_is_scaled_by_the_mean_of_its_rows() -> None:
    logits = torch.tensor([[1.0, 0.0], [2.0, 0.0]], dtype=DOUBLE)
    targets, inverse = torch.tensor([0, 1]), torch.tensor([0.2, 0.8], dtype=DOUBLE)
    log_loss = (math.log1p(math.exp(-0.5)) + math.log1p(math.exp(1.0))) / 2
    prior = GammaPrior(0.3, 2.0, 1.0)  # density T exp(-T), at T = 2
    expected = log_loss + 0.3 * (2.0 - math.log(2.0))
    found = thermometer_loss(logits, targets, inverse, prior=prior)
    assert found.item() == pytest.approx(expected)


def test_weights_of_right_and_wrong_rows_by_hand() -> None:
    # Three rows right, one wrong, all with logits (log 3, 0) and β = 1.
    logits = torch.tensor([[math.log(3.0), 0.0]] * 4, dtype=DOUBLE)
    targets, beta = torch.tensor([0, 0, 0, 1]), torch.ones(4, dtype=DOUBLE)
    right, wrong = math.log(4 / 3), (math.log(4 / 3) + math.log(4.0)) / 2
    cases = {
        ("published", 0.5): right / 4 + 3 * wrong / 4,
        ("published", 0.2): (0.8 * right + 0.2 * 3 * wrong) / (0.8 + 0.6),
        ("plain", 0.5): 0.5 * 0.75 * right + 0.5 * 0.25 * wrong,
        ("plain", 0.2): 0.8 * 0.75 * right + 0.2 * 0.25 * wrong,
    }
    for (weighting, alpha), expected in cases.items():
        found = adaptive_temperature_loss(
            logits, targets, beta, alpha=alpha, weighting=weighting
        )
        assert found.item() == pytest.approx(expected), (weighting, alpha)


@pytest.mark.parametrize("targets", [[0, 0], [1, 1]])
def test_the_published_loss_of_all_right_or_all_wrong_rows_has_no_gradient(
    targets,
) -> None:
    logits = torch.tensor([[1.0, 0.0], [2.0, 0.0]], dtype=DOUBLE)
    for weighting, moves in (("published", False), ("plain", True)):
        beta = torch.ones(2, dtype=DOUBLE, requires_grad=True)
        adaptive_temperature_loss(
            logits, torch.tensor(targets), beta, weighting=weighting
        ).backward()
        assert bool(beta.grad.abs().max() > 0) is moves, weighting


def test_impossible_answers_stay_so_and_are_left_out_of_the_uniform_distribution() -> (
    None
):
    logits = torch.tensor([[1.0, -math.inf, 0.0]], dtype=DOUBLE)
    inverse = torch.tensor([0.5], dtype=DOUBLE, requires_grad=True)
    assert cooled_logp(logits, inverse).exp()[0, 1].item() == 0.0
    short = answer_losses(logits[:, [0, 2]], torch.tensor([1]), inverse)
    found = answer_losses(logits, torch.tensor([2]), inverse)
    assert found.uniform.item() == pytest.approx(short.uniform.item())
    found.uniform.sum().backward()
    assert math.isfinite(inverse.grad.item())
    with pytest.raises(InvalidDistribution, match=r"row 0 has logit -inf"):
        answer_losses(logits, torch.tensor([1]), inverse)


def test_gradients_are_those_of_the_values() -> None:
    logits, targets = rows_of(4, 3)
    logits[0, 2], targets[0] = -math.inf, 0
    beta = torch.linspace(0.3, 2.0, 4, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda b: thermometer_loss(logits, targets, b), beta
    )
    for weighting in ("published", "plain"):
        assert torch.autograd.gradcheck(
            lambda b, w=weighting: adaptive_temperature_loss(
                logits, targets, b, alpha=0.3, weighting=w
            ),
            beta,
        )


@pytest.mark.parametrize("hidden", [None, 4])
def test_heads_have_gradients_and_stay_within_their_limits(hidden) -> None:
    states = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    head = {n: p.double() for n, p in adaptive_parameters(3, hidden).items()}
    for one in head.values():
        one.requires_grad_()
    names, states = list(head), states.double()

    def inverse(*values: torch.Tensor) -> torch.Tensor:
        return adaptive_inverse(dict(zip(names, values, strict=True)), states)

    assert torch.autograd.gradcheck(inverse, tuple(head.values()))
    # Far beyond the limit the exponential is infinite; its gradient is 0, not NaN.
    far = adaptive_inverse(head, states * 1e6)
    far.sum().backward()
    assert far.max().item() == pytest.approx(10.0)
    assert all(bool(one.grad.isfinite().all()) for one in head.values())


def test_a_thermometer_is_three_networks_and_a_last_layer() -> None:
    head = thermometer_parameters(4, 6, seed=3)
    states = torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
    branches = []
    for number in range(3):
        network = torch.nn.Sequential(
            torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 1)
        )
        with torch.no_grad():
            network[0].weight.copy_(head["inner"][number])
            network[0].bias.copy_(head["inner_bias"][number])
            network[2].weight.copy_(head["outer"][number][None])
            network[2].bias.copy_(head["outer_bias"][number][None])
        branches.append(network(states))
    last = torch.cat(branches, 1) @ head["last"] + head["last_bias"]
    expected = torch.nn.functional.softplus(last)
    assert torch.allclose(thermometer_inverse(head, states), expected, atol=1e-6)
    assert bool((expected > 0).all())
    assert head["inner"].abs().max() <= 1 / 2  # 1/√4, as torch.nn.Linear begins
    assert head["last"].abs().max() <= 1 / math.sqrt(3)


def best_inverse(logits: torch.Tensor, targets: torch.Tensor, weighting: str) -> float:
    """The one β at which a loss is least."""

    def loss(beta: float) -> float:
        inverse = torch.full((len(logits),), beta, dtype=DOUBLE)
        if weighting == "log loss":
            return answer_losses(logits, targets, inverse).cross_entropy.mean().item()
        return adaptive_temperature_loss(
            logits, targets, inverse, weighting=weighting
        ).item()

    return minimize_scalar(loss, bounds=(1e-3, 10.0), method="bounded").x


@pytest.mark.parametrize(
    ("spread", "accuracy", "published", "plain"),
    [(0.7, 0.25, 2.6, 0.67), (2.0, 0.54, 0.50, 0.59), (6.0, 0.82, 0.06, 0.42)],
)
def test_neither_adaptive_loss_is_proper(spread, accuracy, published, plain) -> None:
    # A calibrated source: β = 1 is the truth, and the log loss finds it.
    logits, targets = rows_of(20_000, 10, seed=1, spread=spread)
    right = (logits.argmax(1) == targets).double().mean().item()
    assert right == pytest.approx(accuracy, abs=0.01)
    assert best_inverse(logits, targets, "log loss") == pytest.approx(1.0, abs=0.02)
    found = best_inverse(logits, targets, "published")
    assert found == pytest.approx(published, rel=0.06, abs=0.01)
    assert best_inverse(logits, targets, "plain") == pytest.approx(plain, abs=0.02)


def test_tiled_losses_are_the_plain_ones_with_their_gradients() -> None:
    draw = torch.Generator().manual_seed(4)
    hidden = torch.randn(7, 5, generator=draw, dtype=DOUBLE)
    weight = torch.randn(11, 5, generator=draw, dtype=DOUBLE)
    targets = torch.tensor([0, 3, 10, 5, 2, 8, 1])
    allowed = torch.arange(11) % 5 != 4
    bias = torch.linspace(-1, 1, 11, dtype=DOUBLE)
    for options in (
        {},
        {"bias": bias, "scale": 2.0, "soft_cap": 2.5, "vocabulary": allowed},
        {"bias": bias.masked_fill(~allowed, -math.inf)},
    ):
        rows = HiddenRows(hidden, weight, **options)
        found = []
        for tiled in (False, True):
            beta = torch.linspace(0.0, 3.0, 7, dtype=DOUBLE, requires_grad=True)
            if tiled:
                tiling = Tiling(rows=3, vocabulary=4)
                losses = tiled_answer_losses(rows, targets, beta, tiling=tiling)
            else:
                logits = project(rows)
                losses = answer_losses(logits, targets, beta)
            weights = torch.arange(1, 8, dtype=DOUBLE)
            total = (losses.cross_entropy * weights).sum()
            (total + (losses.uniform * weights.flip(0)).sum()).backward()
            found.append((losses, beta.grad))
        (plain, slope), (tiles, other) = found
        assert torch.allclose(plain.cross_entropy, tiles.cross_entropy, atol=1e-10)
        assert torch.allclose(plain.uniform, tiles.uniform, atol=1e-10)
        assert torch.equal(plain.right, tiles.right)
        assert torch.allclose(slope, other, atol=1e-10)


def test_of_tied_answers_the_first_is_the_most_probable_in_tiles_too() -> None:
    logits = torch.tensor([[0.0, 1, 0, 1, 1, 0], [0, 0, 0, 0, 0, 2]], dtype=DOUBLE)
    rows = HiddenRows(logits, torch.eye(6, dtype=DOUBLE))
    first, ones = logits.argmax(-1), torch.ones(2, dtype=DOUBLE)
    for width in (1, 2, 3, 6):
        tiling = Tiling(rows=1, vocabulary=width)
        found = tiled_answer_losses(rows, first, ones, tiling=tiling)
        assert found.right.tolist() == [True, True]


def test_what_cannot_be_reckoned_is_refused() -> None:
    logits, targets = rows_of(4, 3)
    ones = torch.ones(4, dtype=DOUBLE)
    wrong = [
        (InvalidInput, lambda: cooled_logp(logits, ones[:2])),
        (InvalidInput, lambda: cooled_logp(logits, -ones)),
        (InvalidInput, lambda: cooled_logp(logits, ones * math.nan)),
        (InvalidInput, lambda: cooled_logp(logits[0], ones)),
        (InvalidDistribution, lambda: cooled_logp(logits * math.nan, ones)),
        (InvalidInput, lambda: thermometer_loss(logits, targets, ones * 0)),
        (InvalidInput, lambda: thermometer_loss(logits, targets, ones[0])),
        (InvalidInput, lambda: answer_losses(logits, targets + 3, ones)),
        (
            InvalidInput,
            lambda: adaptive_temperature_loss(logits, targets, ones, weighting="even"),
        ),
        (
            InvalidInput,
            lambda: adaptive_temperature_loss(logits, targets, ones, alpha=1.5),
        ),
        (InvalidInput, lambda: GammaPrior(shape=0.0)),
        (InvalidInput, lambda: thermometer_parameters(0, 3)),
    ]
    rows = HiddenRows(logits, torch.eye(3, dtype=DOUBLE))
    wrong += [
        (InvalidInput, lambda: tiled_answer_losses(rows, targets, ones[:2])),
        (InvalidInput, lambda: tiled_answer_losses(rows, targets, -ones)),
        (InvalidInput, lambda: tiled_answer_losses(rows, targets + 3, ones)),
    ]
    for kind, call in wrong:
        with pytest.raises(kind):
            call()
