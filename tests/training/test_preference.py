"""The DPO family: closed forms, laws, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nescio.errors import InvalidDistribution, InvalidInput
from nescio.training import (
    PREFERENCE_DIVERGENCES,
    PREFERENCE_LOSSES,
    PreferenceBatch,
    PreferenceForm,
    answer_logp,
    mean_reward_margin,
    preference_gaps,
    preference_loss,
    preference_losses,
    reward_accuracy,
    reward_margins,
)

logps = st.lists(st.floats(-30, 0), min_size=4, max_size=4)


def batch_of(numbers: list[float], dtype: torch.dtype = torch.float64):
    return PreferenceBatch(*(torch.tensor([x], dtype=dtype) for x in numbers))


def form_of(loss: str, divergence: str) -> PreferenceForm:
    alpha = 0.4 if divergence == "alpha" else None
    return PreferenceForm(loss, divergence, alpha)


def test_dpo_is_its_formula_by_hand() -> None:
    batch = batch_of([-3.0, -5.0, -4.0, -4.5])  # gap 1.0 - -0.5 = 1.5
    assert preference_gaps(batch).item() == pytest.approx(1.5)
    found = preference_loss(batch, beta=0.2).item()
    assert found == pytest.approx(math.log1p(math.exp(-0.3)))
    smooth = PreferenceForm(label_smoothing=0.1)
    found = preference_loss(batch, beta=0.2, form=smooth).item()
    expected = 0.9 * math.log1p(math.exp(-0.3)) + 0.1 * math.log1p(math.exp(0.3))
    assert found == pytest.approx(expected)
    found = preference_loss(batch, beta=0.2, form=PreferenceForm("hinge")).item()
    assert found == pytest.approx(0.7)
    found = preference_loss(batch, beta=0.2, form=PreferenceForm("ipo")).item()
    assert found == pytest.approx(1.0)  # (1.5 - 2.5)^2


@given(logps)
def test_at_beta_0_the_sigmoid_is_log_2_and_the_hinge_1(numbers: list[float]) -> None:
    batch = batch_of(numbers)
    for loss, expected in (("sigmoid", math.log(2)), ("hinge", 1.0)):
        form = PreferenceForm(loss)
        found = preference_loss(batch, beta=0, form=form).item()
        assert found == pytest.approx(expected, abs=1e-15)


def test_ipo_diverges_at_beta_0_and_is_refused_there() -> None:
    x = torch.tensor([-4.0], dtype=torch.float64)
    same = PreferenceBatch(x, x - 1, x, x - 1)
    for beta in (1.0, 0.1, 1e-4):
        found = preference_loss(same, beta=beta, form=PreferenceForm("ipo")).item()
        assert found == pytest.approx(1 / (4 * beta**2))
    with pytest.raises(InvalidInput, match=r"beta is 0.*infinite"):
        preference_loss(same, beta=0, form=PreferenceForm("ipo"))


@pytest.mark.parametrize("divergence", PREFERENCE_DIVERGENCES)
@given(numbers=logps)
def test_swapping_the_answers_turns_the_gap_round(
    divergence: str, numbers: list[float]
) -> None:
    form = form_of("sigmoid", divergence)
    batch = batch_of([x / 3 for x in numbers])
    gap, turned = (
        preference_gaps(one, form=form).item() for one in (batch, batch.swapped())
    )
    assert gap == -turned
    loss, other = (
        preference_loss(one, beta=0.3, form=form).item()
        for one in (batch, batch.swapped())
    )
    # log σ(x) - log σ(-x) = x
    assert loss - other == pytest.approx(-0.3 * gap, abs=1e-9 * (1 + abs(gap)))


@pytest.mark.parametrize("divergence", PREFERENCE_DIVERGENCES)
def test_scores_are_the_derivatives_of_their_divergence(divergence: str) -> None:
    alpha = 0.4
    convex: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "reverse_kl": lambda u: u * u.log(),
        "forward_kl": lambda u: -u.log(),
        "jensen_shannon": lambda u: u * u.log() - (u + 1) * ((u + 1) / 2).log(),
        "alpha": lambda u: (
            (u ** (1 - alpha) - (1 - alpha) * u - alpha) / (alpha * (alpha - 1))
        ),
    }
    for log_u in (-2.0, -0.1, 0.0, 0.7, 3.0):
        u = torch.tensor(math.exp(log_u), dtype=torch.float64, requires_grad=True)
        one = torch.ones((), dtype=torch.float64, requires_grad=True)
        slopes = [torch.autograd.grad(convex[divergence](x), x)[0] for x in (u, one)]
        score = PREFERENCE_DIVERGENCES[divergence](u.detach().log(), alpha)
        assert float(score) == pytest.approx(float(slopes[0] - slopes[1]), abs=1e-12)


def test_alpha_goes_from_the_reverse_to_the_forward_kl() -> None:
    batch = batch_of([-3.0, -5.0, -4.0, -4.5])
    for alpha, name in ((0, "reverse_kl"), (1, "forward_kl")):
        ends = PreferenceForm(divergence="alpha", alpha=alpha)
        expected = preference_gaps(batch, form=PreferenceForm(divergence=name))
        assert torch.equal(preference_gaps(batch, form=ends), expected)
    near = PreferenceForm(divergence="alpha", alpha=1e-9)
    assert preference_gaps(batch, form=near).item() == pytest.approx(1.5, abs=1e-8)


@pytest.mark.parametrize("loss", PREFERENCE_LOSSES)
@pytest.mark.parametrize("divergence", PREFERENCE_DIVERGENCES)
def test_torch_finds_the_gradients_right(loss: str, divergence: str) -> None:
    form = form_of(loss, divergence)
    if loss == "sigmoid":
        form = replace(form, label_smoothing=0.2)
    source = torch.Generator().manual_seed(0)
    sides = [-1 - torch.rand(4, generator=source).double() for _ in range(4)]

    def total(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
        batch = PreferenceBatch(chosen, rejected, *sides[2:])
        return preference_loss(batch, beta=0.3, form=form)

    leaves = [side.requires_grad_() for side in sides[:2]]
    assert torch.autograd.gradcheck(total, leaves)


def test_the_gradient_of_dpo_is_the_one_written_down() -> None:
    chosen = torch.tensor([-3.0], dtype=torch.float64, requires_grad=True)
    rejected = torch.tensor([-5.0], dtype=torch.float64, requires_grad=True)
    reference = torch.tensor([-4.0], dtype=torch.float64, requires_grad=True)
    batch = PreferenceBatch(chosen, rejected, reference, reference)
    preference_loss(batch, beta=0.5).backward()
    expected = -0.5 / (1 + math.exp(0.5 * 2))
    assert chosen.grad.item() == pytest.approx(expected)
    assert rejected.grad.item() == pytest.approx(-expected)
    assert reference.grad is None


@settings(max_examples=30)
@given(logps, st.floats(0.01, 5))
def test_a_larger_gap_is_never_a_larger_loss_without_a_target(
    numbers: list[float], beta: float
) -> None:
    batch = batch_of(numbers)
    better = replace(batch, rejected=batch.rejected - 1)
    for loss in ("sigmoid", "hinge"):
        form = PreferenceForm(loss)
        before, after = (
            preference_loss(one, beta=beta, form=form).item() for one in (batch, better)
        )
        assert 0 <= after <= before


def test_answers_are_sums_or_means_over_their_tokens() -> None:
    logp = torch.tensor([[-1.0, -2.0, -6.0], [-3.0, math.nan, math.nan]])
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    assert answer_logp(logp, mask).tolist() == [-9.0, -3.0]
    assert answer_logp(logp, mask, over_tokens="mean").tolist() == [-3.0, -3.0]


def test_margins_and_accuracy_are_estimates() -> None:
    x = torch.full((8,), -4.0)
    moves = torch.tensor([1.0, 2.0, 0.5, -1.0, 0.0, 3.0, 1.0, 1.5])
    batch = PreferenceBatch(x, x - moves, x, x, "mean")
    assert reward_margins(batch, beta=0.5).tolist() == (moves / 2).tolist()
    margin = mean_reward_margin(batch, beta=0.5)
    assert margin.value == pytest.approx(0.5)
    assert margin.low is not None
    assert margin.high is not None
    assert margin.low < 0.5 < margin.high
    accuracy = reward_accuracy(batch)
    assert accuracy.value == pytest.approx(6 / 8)
    assert accuracy.null_level == 0.5
    assert (accuracy.recipe.settings["ties"], accuracy.n) == (1, 8)
    assert accuracy.low == pytest.approx(0.4093, abs=1e-4)  # Wilson, 6 of 8
    assert accuracy.recipe.settings["over_tokens"] == "mean"
    few = mean_reward_margin(PreferenceBatch(x[:2], x[:2], x[:2], x[:2]))
    assert (few.value, few.low) == (0.0, None)


def refused(
    call: Callable[[], object], message: str, kind: type = InvalidInput
) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_what_cannot_be_reckoned_is_refused() -> None:
    x = torch.tensor([-4.0, -5.0])
    batch = PreferenceBatch(x, x, x, x)
    refused(lambda: PreferenceBatch(x, x[:1], x, x), r"rejected has shape \(1,\)")
    refused(lambda: PreferenceBatch(x[0], x, x, x), "one a pair")
    refused(lambda: PreferenceBatch(x, x, x, -x), "reference_rejected.*above 0")
    refused(lambda: PreferenceBatch(x, x, x, x.long()), "int64")
    refused(lambda: PreferenceBatch(x, x, x, x, "average"), "'sum' or 'mean'")
    refused(lambda: PreferenceBatch(x / 0, x, x, x), "chosen", InvalidDistribution)
    refused(lambda: PreferenceForm("dpo"), "unknown loss 'dpo'")
    refused(lambda: PreferenceForm(divergence="tv"), "unknown divergence 'tv'")
    refused(lambda: PreferenceForm(alpha=0.5), "only with it")
    refused(lambda: PreferenceForm(divergence="alpha"), "alpha is None")
    refused(lambda: PreferenceForm(divergence="alpha", alpha=2), "from 0 to 1")
    refused(lambda: PreferenceForm(label_smoothing=0.5), "below 0.5")
    refused(lambda: PreferenceForm("ipo", label_smoothing=0.1), "has none")
    refused(lambda: preference_losses(batch, beta=-1), "beta is -1")
    refused(lambda: reward_margins(batch, beta=math.nan), "beta is nan")
    far = replace(batch, chosen=x - 200)
    form = PreferenceForm(divergence="forward_kl")
    refused(lambda: preference_loss(far, form=form), "-200, too far.*forward_kl")
    empty = torch.tensor([[True], [False]])
    refused(lambda: answer_logp(x[:, None], empty), "completion 1 is empty")
    refused(lambda: answer_logp(x[:, None], over_tokens="max"), "'sum' or 'mean'")
