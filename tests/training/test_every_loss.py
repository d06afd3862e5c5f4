"""What every loss has to stand: gradcheck, other vocabularies, odd numbers, shapes."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import nescio.training as training
from nescio.errors import InvalidDistribution, InvalidInput, NescioError
from nescio.training import (
    KL_ESTIMATORS,
    Distillation,
    HiddenRows,
    PreferenceBatch,
    PreferenceForm,
    Tiling,
    exact_kl,
    kl_loss,
    preference_loss,
    sampled_kl,
    tiled_divergence,
)
from nescio.training.temperature_losses import cooled_logp

DOUBLE, INF = torch.float64, math.inf
ROWS, VOCAB, WIDTH = 4, 6, 3
TARGETS = torch.tensor([0, 5, 2, 2])
TILES = Tiling(rows=3, vocabulary=4)
HOW = Distillation(temperature=1.5, alpha=0.6, beta=0.3)


def made(*shape: int, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=DOUBLE)


def logp_of(x: Tensor) -> Tensor:
    """Log-probabilities of two answers of two tokens."""
    return (x.log_softmax(-1) - 0.1)[:, :2].reshape(4, 2)[:2]


def hidden_rows(x: Tensor, seed: int = 1, vocab: int = VOCAB) -> HiddenRows:
    return HiddenRows(x[:, :WIDTH], made(vocab, WIDTH, seed=seed), soft_cap=3.0)


X, Y = made(ROWS, VOCAB), made(ROWS, VOCAB, seed=2)
SPANS = training.align(torch.tensor([0, 1, 3]), torch.tensor([0, 1, 3]))

# Of logits [rows, vocab]; what is differentiated by is always these.
LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "token_logp": lambda x: training.token_logp(x, TARGETS, temperature=0.7),
    "forward_kl": lambda x: training.forward_kl(x, Y),
    "reverse_kl": lambda x: training.reverse_kl(x, Y),
    "generalised_jsd": lambda x: training.generalised_jsd(x, Y, beta=0.3),
    "exact_kl": lambda x: exact_kl(x, Y, temperature=0.7),
    "k1": lambda x: training.k1(logp_of(x), logp_of(Y)),
    "k2": lambda x: training.k2(logp_of(x), logp_of(Y)),
    "k3": lambda x: training.k3(logp_of(x), logp_of(Y)),
    "sampled_kl": lambda x: sampled_kl(logp_of(x), logp_of(Y), estimator="k3"),
    "kl_loss": lambda x: kl_loss(logp_of(x), logp_of(Y), over="sequence"),
    "sequence_kl_loss": lambda x: training.sequence_kl_loss(logp_of(x), logp_of(Y)),
    "distillation_loss": lambda x: training.distillation_loss(x, Y, TARGETS, how=HOW),
    "preference_losses": lambda x: training.preference_losses(pairs(x), beta=0.4),
    "preference_loss": lambda x: preference_loss(
        pairs(x), form=PreferenceForm(divergence="jensen_shannon")
    ),
    "span_losses": lambda x: training.span_losses(logp_of(x)[1], logp_of(Y)[1], SPANS),
    "span_loss": lambda x: training.span_loss(logp_of(x)[1], logp_of(Y)[1], SPANS),
    "tiled_token_logp": lambda x: training.tiled_token_logp(
        hidden_rows(x), TARGETS, tiling=TILES
    ),
    "tiled_divergence": lambda x: tiled_divergence(
        hidden_rows(x), hidden_rows(Y, 5), beta=0.3, tiling=TILES
    ),
    "tiled_exact_kl": lambda x: training.tiled_exact_kl(
        hidden_rows(x), hidden_rows(Y, 5), tiling=TILES
    ),
    "tiled_distillation_loss": lambda x: training.tiled_distillation_loss(
        hidden_rows(x), hidden_rows(Y, 5), TARGETS, how=HOW, tiling=TILES
    ),
    "thermometer_loss": lambda x: training.thermometer_loss(Y, TARGETS, x[:, 0].exp()),
    "adaptive_temperature_loss": lambda x: training.adaptive_temperature_loss(
        Y, TARGETS, x[:, 0].exp()
    ),
    "tiled_answer_losses": lambda x: (
        training.tiled_answer_losses(
            hidden_rows(Y), TARGETS, x[:, 0].exp(), tiling=TILES
        ).cross_entropy
    ),
}
# Their value and their gradient are of different things, as their docstrings say.
SURROGATES = {"reward_kl_loss", "exact_kl_loss"}
# Not of logits, but of the β that calibrators learn.
OF_BETA = {"thermometer_loss", "adaptive_temperature_loss", "tiled_answer_losses"}
# Made of the others, or checked where they are tested.
PARTS = {"answer_losses", "weighted_answer_loss"}


def pairs(x: Tensor) -> PreferenceBatch:
    ours, theirs = x.log_softmax(-1)[:, :2].T, Y.log_softmax(-1)[:, :2].T
    return PreferenceBatch(*ours, *theirs)


def test_no_loss_is_left_out() -> None:
    named = {
        name
        for name in training.__all__
        if name.endswith(("_loss", "_losses", "_kl", "_jsd", "_divergence"))
        and name != "mean_kl"
    }
    assert named <= set(LOSSES) | SURROGATES | PARTS


@pytest.mark.parametrize("name", LOSSES)
def test_torch_finds_the_gradient_of_every_loss_right(name: str) -> None:
    x = X.clone().requires_grad_()
    assert torch.autograd.gradcheck(LOSSES[name], x)
    # Nor does it matter how the numbers lie in memory.
    turned = X.T.contiguous().T.clone(memory_format=torch.preserve_format)
    assert not turned.is_contiguous()
    assert torch.allclose(LOSSES[name](turned), LOSSES[name](X), rtol=0, atol=1e-13)


P, Q = X[0].log_softmax(-1), Y[0].log_softmax(-1)


def gradient(value: Callable[[Tensor], Tensor]) -> Tensor:
    leaf = X[0].clone().requires_grad_()
    return torch.autograd.grad(value(leaf.log_softmax(-1)), leaf)[0]


@pytest.mark.parametrize("name", KL_ESTIMATORS)
def test_value_and_loss_together_are_the_gradient_of_the_mean(name: str) -> None:
    # ∇ Σ p·k = Σ p·k·∇log p (k in the reward) + Σ p·∇k (k as a loss). The reference's
    # mass is all within the policy's, so for k1 and k3 the mean is the exact KL.
    estimate = KL_ESTIMATORS[name]
    loss = gradient(lambda p: (P.exp() * estimate(p, Q)).sum())
    reward = gradient(lambda p: (P.exp() * estimate(P, Q) * p).sum())
    whole = gradient(lambda p: (p.exp() * estimate(p, Q)).sum())
    reverse = gradient(lambda p: (p.exp() * (p - Q)).sum())
    forward = gradient(lambda p: (Q.exp() * (Q - p)).sum())
    same = {"rtol": 0, "atol": 1e-14}
    assert torch.allclose(reward + loss, whole, **same)
    expected = {
        "k1": (0 * reverse, reverse),
        "k2": (reverse, whole - reverse),
        "k3": (forward, reverse - forward),
    }[name]
    assert torch.allclose(loss, expected[0], **same)
    assert torch.allclose(reward, expected[1], **same)
    assert torch.allclose(whole, reverse, **same) is (name != "k2")


def test_a_reference_over_another_vocabulary_is_sent_to_the_byte_view() -> None:
    fewer, other = Y[:, :4], hidden_rows(Y, 5, vocab=4)
    for call in (
        lambda: training.forward_kl(X, fewer),
        lambda: training.reverse_kl(X, fewer),
        lambda: training.generalised_jsd(fewer, X),
        lambda: exact_kl(X, fewer),
        lambda: training.distillation_loss(X, fewer, TARGETS),
        lambda: tiled_divergence(hidden_rows(X), other),
        lambda: training.tiled_exact_kl(other, hidden_rows(X)),
        lambda: training.tiled_distillation_loss(hidden_rows(X), other, TARGETS),
    ):
        with pytest.raises(InvalidInput, match="byte by byte, through the byte view"):
            call()


def test_a_reference_is_a_constant_in_plain_forms_too() -> None:
    for name in ("forward_kl", "reverse_kl", "generalised_jsd", "exact_kl"):
        reference = Y.clone().requires_grad_()
        found = getattr(training, name)(X.clone().requires_grad_(), reference)
        found.sum().backward()
        assert reference.grad is None, name
    shared = X.clone().requires_grad_()
    exact_kl(shared, 0.5 * shared).sum().backward()
    expected = X.clone().requires_grad_()
    exact_kl(expected, 0.5 * X).sum().backward()
    assert torch.equal(shared.grad, expected.grad)


@pytest.mark.parametrize("number", [math.nan, INF, -INF])
@pytest.mark.parametrize("name", LOSSES)
def test_a_row_without_a_distribution_is_refused(name: str, number: float) -> None:
    if number == -INF and name in OF_BETA:
        pytest.skip("its exponential, a β of 0, is none too few")
    broken = X.clone()
    broken[1] = number
    with pytest.raises(NescioError):
        LOSSES[name](broken)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_finite_for_large_logits_and_narrow_floats(name: str) -> None:
    large = X * (20.0 if name in {*OF_BETA, "k3", "sampled_kl"} else 300.0)
    for x in (large, X.float(), X.half(), X.bfloat16()):
        leaf = x.clone().requires_grad_()
        found = LOSSES[name](leaf)
        found.sum().backward()
        assert found.dtype in (torch.float32, DOUBLE)
        assert bool(found.isfinite().all())
        assert bool(leaf.grad.isfinite().all())


def test_what_is_too_large_for_a_number_is_refused_or_has_its_limit() -> None:
    low = torch.tensor([-1e20])
    for estimator in ("k2", "k3"):
        with pytest.raises(InvalidInput, match=f"too much for {estimator}"):
            KL_ESTIMATORS[estimator](low, torch.tensor([-1.0]))
    x = torch.tensor([-1e30])
    batch = PreferenceBatch(x, x / 1e30, x / 1e30, x / 1e30)
    with pytest.raises(InvalidInput, match="pair 0: the gap is -1e"):
        preference_loss(batch, form=PreferenceForm("ipo"))
    with pytest.raises(InvalidInput, match=r"give \[\.\.\., tokens\]"):
        kl_loss(low[0], low[0], over="sequence")
    # An endless β leaves the best answer alone: no NaN from ∞ - ∞.
    rows = torch.tensor([[10.0, 0.0, -INF], [-10.0, -10.0, -INF]])
    for beta in (torch.tensor(3e38), torch.tensor([3e38, 3e38])):
        found = cooled_logp(rows, beta).exp()
        assert found.tolist() == [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]
    one = torch.tensor([3e38], requires_grad=True)
    training.answer_losses(
        rows[:1], torch.tensor([0]), one
    ).cross_entropy.sum().backward()
    assert one.grad.item() == 0.0


@pytest.mark.parametrize("shape", [(0, 2), (2, 0), (0, 0)])
def test_batches_of_nothing_are_refused(shape: tuple[int, int]) -> None:
    none = torch.zeros(shape)
    for call in (
        lambda m: training.answer_logp(none, m),
        lambda m: sampled_kl(none, none, mask=m),
        lambda m: kl_loss(none, none, mask=m),
        lambda m: training.sequence_kl_loss(none, none, mask=m),
        lambda m: training.reward_kl_loss(none, none, mask=m),
        lambda m: training.exact_kl_loss(none, none, mask=m),
        lambda m: training.token_logp(torch.zeros(*shape, VOCAB), none.long(), mask=m),
        lambda m: training.distillation_loss(
            torch.zeros(*shape, VOCAB), torch.zeros(*shape, VOCAB), none.long(), mask=m
        ),
    ):
        for mask in (None, none.bool()):
            with pytest.raises(InvalidInput, match=r"nothing is in it|empty"):
                call(mask)


def test_one_row_of_one_token_is_enough() -> None:
    one = X[:1]
    assert exact_kl(one, Y[:1]).shape == (1,)
    certain = exact_kl(one[:, :1], Y[:1, :1])
    assert certain.tolist() == [0.0]
    rows = HiddenRows(one[:, :WIDTH], made(1, WIDTH, seed=1))
    other = HiddenRows(Y[:1, :WIDTH], made(1, WIDTH, seed=5))
    for beta in (0, 0.5, 1):
        assert tiled_divergence(rows, other, beta=beta).tolist() == [0.0]
    with pytest.raises(InvalidDistribution):
        exact_kl(one * INF, Y[:1])


@pytest.mark.parametrize("tokens", [1, 5, 6, 7, 10**9])
def test_a_tile_may_be_larger_than_the_vocabulary(tokens: int) -> None:
    tiling = Tiling(rows=10**9 if tokens == 7 else 1, vocabulary=tokens)
    for beta in (0, 0.5, 1):
        leaf = X.clone().requires_grad_()
        found = tiled_divergence(
            hidden_rows(leaf), hidden_rows(Y, 5), beta=beta, tiling=tiling
        )
        found.sum().backward()
        plain = X.clone().requires_grad_()
        logits = [training.project(hidden_rows(x, s)) for x, s in ((plain, 1), (Y, 5))]
        expected = training.generalised_jsd(*logits, beta=beta)
        expected.sum().backward()
        assert torch.allclose(found, expected, rtol=0, atol=1e-12)
        assert torch.allclose(leaf.grad, plain.grad, rtol=0, atol=1e-12)
