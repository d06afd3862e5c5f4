"""Distillation and the divergences under it: closed forms, ends, masked tokens."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

import nescio
from nescio.errors import InvalidDistribution, InvalidInput
from nescio.training import (
    Distillation,
    distillation_loss,
    forward_kl,
    generalised_jsd,
    log_probabilities,
    reverse_kl,
    token_logp,
)

DIVERGENCES = {
    "forward": forward_kl,
    "reverse": reverse_kl,
    "mixture": lambda s, t, **how: generalised_jsd(s, t, beta=0.3, **how),
}


def logits(seed: int, *shape: int) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.float64) * 2


def test_a_coin_has_the_divergences_of_the_formulas() -> None:
    student, teacher = torch.zeros(1, 2), torch.tensor([[0.9, 0.1]]).log()
    assert forward_kl(student, teacher).item() == pytest.approx(0.3681, abs=1e-4)
    assert reverse_kl(student, teacher).item() == pytest.approx(0.5108, abs=1e-4)
    jsd = generalised_jsd(student, teacher)
    assert jsd.item() == pytest.approx(0.1017, abs=1e-4)


@settings(max_examples=30)
@given(st.integers(0, 2**31 - 1), st.floats(0.3, 4))
def test_rows_are_those_of_arrays(seed: int, temperature: float) -> None:
    student, teacher = logits(seed, 3, 6), logits(seed + 1, 3, 6)
    how = {"temperature": temperature}
    s, t = (log_probabilities(x, **how).numpy() for x in (student, teacher))
    for found, expected in (
        (forward_kl(student, teacher, **how), nescio.kl_divergence(t, s)),
        (reverse_kl(student, teacher, **how), nescio.kl_divergence(s, t)),
        (
            generalised_jsd(student, teacher, **how),
            nescio.jensen_shannon_divergence(s, t),
        ),
    ):
        assert found.numpy() == pytest.approx(expected, abs=1e-12)


@settings(max_examples=30)
@given(st.integers(0, 2**31 - 1), st.floats(0.001, 0.999))
def test_a_mixture_is_at_least_0_bounded_and_turned_round_by_swapping(
    seed: int, beta: float
) -> None:
    student, teacher = logits(seed, 2, 5) * 10, logits(seed + 1, 2, 5) * 10
    found = generalised_jsd(student, teacher, beta=beta)
    swapped = generalised_jsd(teacher, student, beta=1 - beta)
    bound = -beta * math.log(beta) - (1 - beta) * math.log(1 - beta)
    assert bool((found >= 0).all())
    assert bool((found <= bound + 1e-12).all())
    assert found.tolist() == pytest.approx(swapped.tolist(), abs=1e-12)
    assert generalised_jsd(student, student, beta=beta).abs().max() < 1e-13


def test_the_ends_of_the_mixture_are_the_kls_it_tends_to() -> None:
    student, teacher = logits(0, 4, 6), logits(1, 4, 6)
    ends = generalised_jsd(student, teacher, beta=0)
    assert torch.equal(ends, forward_kl(student, teacher))
    near = generalised_jsd(student, teacher, beta=1e-7)
    assert near.max() < 1e-5
    assert near / 1e-7 == pytest.approx(ends, rel=1e-4)
    ends = generalised_jsd(student, teacher, beta=1)
    assert torch.equal(ends, reverse_kl(student, teacher))
    near = generalised_jsd(student, teacher, beta=1 - 1e-7)
    assert near / 1e-7 == pytest.approx(ends, rel=1e-4)


def test_gradients_are_those_written_down() -> None:
    student, teacher = logits(0, 1, 6).requires_grad_(), logits(1, 1, 6)
    s = (student.detach() / 2).log_softmax(-1)
    t = (teacher / 2).log_softmax(-1)
    m = (0.3 * t.exp() + 0.7 * s.exp()).log()

    def centred(log_ratio: torch.Tensor) -> torch.Tensor:
        return s.exp() * (log_ratio - (s.exp() * log_ratio).sum(-1, keepdim=True))

    for name, expected in (
        ("forward", s.exp() - t.exp()),
        ("reverse", centred(s - t)),
        ("mixture", 0.7 * centred(s - m)),
    ):
        value = DIVERGENCES[name](student, teacher, temperature=2).sum()
        found = torch.autograd.grad(value, student)[0]
        assert torch.allclose(found, expected / 2, rtol=0, atol=1e-13), name


@pytest.mark.parametrize("name", DIVERGENCES)
def test_torch_finds_the_gradients_right(name: str) -> None:
    student, teacher = logits(0, 2, 4).requires_grad_(), logits(1, 2, 4)
    teacher[:, 3] = student.data[:, 3] = -math.inf

    def loss(part: torch.Tensor) -> torch.Tensor:
        whole = torch.cat([part, teacher[:, 3:]], 1)
        return DIVERGENCES[name](whole, teacher).sum()

    part = student.detach()[:, :3].clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, part)


def test_the_loss_is_its_two_parts() -> None:
    student, teacher = logits(0, 5, 6), logits(1, 5, 6)
    targets = torch.tensor([0, 1, 2, 3, 5])
    how = Distillation(temperature=3, alpha=0.7)
    soft = functional.kl_div(
        (student / 3).log_softmax(-1),
        (teacher / 3).log_softmax(-1),
        log_target=True,
        reduction="batchmean",
    )
    hard = functional.cross_entropy(student, targets)
    found = distillation_loss(student, teacher, targets, how=how)
    assert found.item() == pytest.approx((0.7 * 9 * soft + 0.3 * hard).item())
    only = distillation_loss(student, teacher, how=Distillation(3, 1))
    assert only.item() == pytest.approx(9 * soft.item())
    only = distillation_loss(student, teacher, targets, how=Distillation(3, 0))
    assert only.item() == pytest.approx(hard.item())


def test_t_squared_keeps_the_gradient_as_the_temperature_grows() -> None:
    student, teacher = logits(0, 1, 6).requires_grad_(), logits(1, 1, 6)
    loss = distillation_loss(student, teacher, how=Distillation(1e4, 1))
    found = torch.autograd.grad(loss, student)[0]
    gap = (student - teacher).detach()
    assert torch.allclose(found, (gap - gap.mean()) / 6, atol=1e-3)


def test_rows_outside_the_mask_touch_nothing() -> None:
    student, teacher = logits(0, 2, 3, 6), logits(1, 2, 3, 6)
    targets = torch.tensor([[0, -100, 2], [3, 4, -100]])
    mask = targets >= 0
    dirty = student.masked_fill(~mask[..., None], math.nan).requires_grad_()
    loss = distillation_loss(dirty, teacher, targets, mask=mask)
    gradient = torch.autograd.grad(loss, dirty)[0]
    expected = distillation_loss(student[mask], teacher[mask], targets[mask])
    assert loss.item() == pytest.approx(expected.item())
    assert bool(gradient.isfinite().all())
    assert bool((gradient[~mask] == 0).all())


def masked_pair() -> tuple[torch.Tensor, torch.Tensor]:
    student, teacher = logits(0, 3, 6), logits(1, 3, 6)
    student[:, 4:] = teacher[:, 4:] = -math.inf
    return student.requires_grad_(), teacher


@pytest.mark.parametrize("name", DIVERGENCES)
def test_masked_tokens_have_finite_losses_and_gradients(name: str) -> None:
    student, teacher = masked_pair()
    value = DIVERGENCES[name](student, teacher).sum()
    gradient = torch.autograd.grad(value, student)[0]
    short = student.detach()[:, :4].clone().requires_grad_()
    expected = DIVERGENCES[name](short, teacher[:, :4]).sum()
    assert value.item() == pytest.approx(expected.item())
    assert bool((gradient[:, 4:] == 0).all())
    plain = torch.autograd.grad(expected, short)[0]
    assert torch.allclose(gradient[:, :4], plain, rtol=0, atol=1e-14)
    # A boolean vocabulary says the same of finite logits.
    whole = student.detach().nan_to_num(neginf=7.0).requires_grad_()
    allowed = torch.arange(6) < 4
    found = DIVERGENCES[name](whole, teacher, vocabulary=allowed).sum()
    assert found.item() == pytest.approx(value.item())
    assert torch.equal(torch.autograd.grad(found, whole)[0], gradient)


def test_where_and_entr_would_have_given_nan_gradients() -> None:
    student, _ = masked_pair()
    logp = student.log_softmax(-1)
    by_where = torch.where(logp.exp() > 0, logp.exp() * logp, 0.0).sum()
    by_entr = torch.special.entr(logp.exp()).sum()
    for value in (by_where, by_entr):
        assert bool(value.isfinite())
        gradient = torch.autograd.grad(value, student, retain_graph=True)[0]
        assert bool(gradient.isnan().any())


def test_a_token_that_only_the_student_excludes_is_infinite_and_refused() -> None:
    student, teacher = logits(0, 2, 4), logits(1, 2, 4)
    student[1, 2] = -math.inf
    message = "the student excludes token 1, 2"
    with pytest.raises(InvalidDistribution, match=message):
        forward_kl(student, teacher)
    with pytest.raises(InvalidDistribution, match="the teacher excludes"):
        reverse_kl(teacher, student)
    assert bool(reverse_kl(student, teacher).isfinite().all())
    leaf = student.clone().requires_grad_()
    value = generalised_jsd(leaf, teacher).sum()
    assert bool(torch.autograd.grad(value, leaf)[0].isfinite().all())


def refused(
    call: Callable[[], object], message: str, kind: type = InvalidInput
) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_what_cannot_be_reckoned_is_refused() -> None:
    x, targets = logits(0, 3, 6), torch.arange(3)
    refused(lambda: forward_kl(x, x[:, :5]), "6 tokens.*5.*byte by byte")
    refused(lambda: forward_kl(x, x[:2]), r"\(3, 6\).*\(2, 6\)")
    refused(lambda: forward_kl(x.long(), x), "int64")
    refused(lambda: forward_kl(x, x, temperature=math.nan), "temperature is nan")
    refused(lambda: generalised_jsd(x, x, beta=-0.1), "beta is -0.1")
    refused(lambda: forward_kl(x, x, vocabulary=torch.ones(6)), "6 booleans")
    nothing = torch.zeros(6).bool()
    refused(lambda: forward_kl(x, x, vocabulary=nothing), "-inf alone")
    refused(lambda: distillation_loss(x, x), "give targets")
    refused(lambda: distillation_loss(x, x, targets[:2]), r"targets.*\(2,\)")
    refused(lambda: distillation_loss(x, x, targets + 9), "is 9, not one of the 6")
    refused(lambda: distillation_loss(x, x, targets.float()), "integers")
    refused(lambda: distillation_loss(x[0], x[0], targets), "vocab")
    empty = torch.tensor([[True, True, True], [False, False, False]])
    pair = x.expand(2, 3, 6)
    refused(lambda: distillation_loss(pair, pair, mask=empty), "completion 1 is empty")
    refused(lambda: Distillation(alpha=1.1), "alpha is 1.1")
    refused(lambda: Distillation(temperature=-2), "temperature is -2")
    refused(lambda: token_logp(x, targets[:2]), r"\(2,\).*\(3,\)")
    refused(lambda: token_logp(x, targets, temperature=0), "temperature is 0")
    refused(lambda: token_logp(x[:0], targets[:0]), "nothing is in it|empty")
    broken = x.clone()
    broken[1, 2] = math.nan
    refused(lambda: forward_kl(x, broken), "teacher: row 1", InvalidDistribution)
    broken[1, 2] = math.inf
    refused(lambda: token_logp(broken, targets), "row 1", InvalidDistribution)


def test_only_the_package_itself_imports_torch() -> None:
    code = (
        "import nescio, sys; assert 'torch' not in sys.modules;"
        "import nescio.training; print('torch' in sys.modules)"
    )
    run = [sys.executable, "-c", code]
    found = subprocess.run(run, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "True"


def test_without_torch_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "try:\n    import nescio.training\n"
        "except ImportError as error:\n    print(type(error).__name__, error)"
    )
    run = [sys.executable, "-c", code]
    found = subprocess.run(run, capture_output=True, text=True, check=True)
    assert found.stdout.startswith("MissingDependency nescio.training needs torch")
