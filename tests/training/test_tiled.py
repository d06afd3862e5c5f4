"""Tiled losses: the plain forms' values and gradients, without [rows, vocab]."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from nescio.errors import InvalidDistribution, InvalidInput
from nescio.training import (
    Distillation,
    HiddenRows,
    Tiling,
    distillation_loss,
    exact_kl,
    generalised_jsd,
    project,
    tiled_distillation_loss,
    tiled_divergence,
    tiled_exact_kl,
    tiled_token_logp,
    token_logp,
)

SMALL = Tiling(rows=3, vocabulary=4)
VOCAB = 11
OPTIONS = {
    "plain": {},
    "bias": {"bias": torch.linspace(-1, 1, VOCAB, dtype=torch.float64)},
    "scale": {"scale": 0.5},
    "soft-cap": {"soft_cap": 1.5},
    "all": {
        "bias": torch.linspace(-1, 1, VOCAB, dtype=torch.float64),
        "scale": 2.0,
        "soft_cap": 2.5,
        "vocabulary": torch.arange(VOCAB) % 5 != 4,
    },
}


def made(
    seed: int, *, rows: tuple[int, ...] = (7,), width: int = 5, **options: object
) -> HiddenRows:
    source = torch.Generator().manual_seed(seed)
    hidden = torch.randn(*rows, width, generator=source, dtype=torch.float64)
    weight = torch.randn(VOCAB, width, generator=source, dtype=torch.float64)
    return HiddenRows(hidden, weight, **options)


def asking(rows: HiddenRows) -> tuple[HiddenRows, list[torch.Tensor]]:
    """The same with gradients asked of everything, and the leaves."""
    leaves = {
        name: given.detach().clone().requires_grad_()
        for name in ("hidden", "weight", "bias")
        if (given := getattr(rows, name)) is not None
    }
    return replace(rows, **leaves), list(leaves.values())


def value_and_gradients(
    loss: Callable[[HiddenRows], torch.Tensor], rows: HiddenRows
) -> list[torch.Tensor]:
    found, leaves = asking(rows)
    value = loss(found)
    weights = torch.linspace(0.5, 2, value.numel(), dtype=value.dtype)
    (value.reshape(-1) * weights).sum().backward()
    return [value.detach(), *(g for leaf in leaves if (g := leaf.grad) is not None)]


def assert_equal(
    one: list[torch.Tensor], other: list[torch.Tensor], tolerance: float = 1e-10
) -> None:
    assert len(one) == len(other)
    for ours, plain in zip(one, other, strict=True):
        assert ours.shape == plain.shape
        assert float((ours.double() - plain.double()).abs().max()) <= tolerance


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_tiled_token_logp_is_the_plain_one(options: dict, temperature: float) -> None:
    rows, targets = made(0, **options), torch.tensor([0, 1, 2, 3, 5, 6, 10])
    tiled = value_and_gradients(
        lambda r: tiled_token_logp(r, targets, temperature=temperature, tiling=SMALL),
        rows,
    )
    plain = value_and_gradients(
        lambda r: token_logp(project(r), targets, temperature=temperature), rows
    )
    assert_equal(tiled, plain)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("beta", [0, 0.1, 0.5, 0.9, 1])
def test_tiled_divergence_is_the_plain_one(options: dict, beta: float) -> None:
    student, teacher = made(0, **options), made(1, width=3, **options)
    tiled = value_and_gradients(
        lambda r: tiled_divergence(
            r, teacher, beta=beta, temperature=1.7, tiling=SMALL
        ),
        student,
    )
    plain = value_and_gradients(
        lambda r: generalised_jsd(
            project(r), project(teacher), beta=beta, temperature=1.7
        ),
        student,
    )
    assert_equal(tiled, plain)


@pytest.mark.parametrize("direction", ["reverse", "forward"])
def test_tiled_exact_kl_is_the_plain_one(direction: str) -> None:
    policy, reference = made(0, **OPTIONS["all"]), made(1, **OPTIONS["all"])
    tiled = value_and_gradients(
        lambda r: tiled_exact_kl(r, reference, direction=direction, tiling=SMALL),
        policy,
    )
    plain = value_and_gradients(
        lambda r: exact_kl(project(r), project(reference), direction=direction), policy
    )
    assert_equal(tiled, plain)


@pytest.mark.parametrize("alpha", [0, 0.3, 1])
@pytest.mark.parametrize("beta", [0, 0.4, 1])
@pytest.mark.parametrize("options", ["plain", "all"])
def test_tiled_distillation_is_the_plain_one(
    alpha: float, beta: float, options: str
) -> None:
    student = made(0, rows=(2, 4), **OPTIONS[options])
    teacher = made(1, rows=(2, 4), width=3, **OPTIONS[options])
    targets = torch.tensor([[0, 1, 2, -100], [3, 5, 6, 10]])
    mask = targets >= 0
    how = Distillation(temperature=3, alpha=alpha, beta=beta)
    tiled = value_and_gradients(
        lambda r: tiled_distillation_loss(
            r, teacher, targets, how=how, mask=mask, tiling=SMALL
        ),
        student,
    )
    plain = value_and_gradients(
        lambda r: distillation_loss(
            project(r), project(teacher), targets, how=how, mask=mask
        ),
        student,
    )
    assert_equal(tiled, plain)


@settings(max_examples=12)
@given(
    st.integers(1, 9), st.integers(1, 13), st.floats(0, 1), st.integers(0, 2**31 - 1)
)
def test_no_tiling_changes_value_or_gradient(
    rows: int, vocabulary: int, beta: float, seed: int
) -> None:
    student, teacher = made(seed, **OPTIONS["all"]), made(seed + 1, **OPTIONS["all"])
    beta = 0.0 if beta < 1e-6 else 1.0 if beta > 1 - 1e-6 else beta
    one, whole = (
        value_and_gradients(
            lambda r, by=tiling: tiled_divergence(r, teacher, beta=beta, tiling=by),
            student,
        )
        for tiling in (Tiling(rows, vocabulary), Tiling(100, 100))
    )
    assert_equal(one, whole)


def test_torch_finds_the_gradients_right() -> None:
    student, leaves = asking(made(0, rows=(2,), bias=torch.zeros(VOCAB).double()))
    teacher = made(1, rows=(2,))
    targets = torch.tensor([1, 10])

    def loss(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor):
        rows = HiddenRows(hidden, weight, bias, 0.8, 2.0)
        how = Distillation(2.0, 0.6, 0.3)
        return tiled_distillation_loss(rows, teacher, targets, how=how, tiling=SMALL)

    assert torch.autograd.gradcheck(loss, leaves, fast_mode=True)
    assert len(student.weight) == VOCAB


def test_rows_outside_the_mask_touch_nothing_though_they_be_nan() -> None:
    mask = torch.tensor([True, False, True, True, False, True, True])
    clean, teacher = made(0), made(1)
    dirty = replace(clean, hidden=clean.hidden.masked_fill(~mask[:, None], math.nan))
    plain = value_and_gradients(
        lambda r: tiled_divergence(r, clean, mask=mask, tiling=SMALL), teacher
    )
    found = value_and_gradients(
        lambda r: tiled_divergence(r, dirty, mask=mask, tiling=SMALL), teacher
    )
    assert_equal(found, plain)
    assert found[0][~mask].tolist() == [0, 0]
    assert found[1][~mask].abs().max() == 0
    targets = torch.where(mask, 3, -100)
    logp = tiled_token_logp(dirty, targets, mask=mask)
    assert logp[~mask].tolist() == [0, 0]
    assert bool((logp[mask] < 0).all())


@pytest.mark.parametrize("beta", [0, 0.5, 1])
def test_a_masked_vocabulary_has_finite_losses_and_gradients(beta: float) -> None:
    # The first tile holds no token at all, and a bias excludes one more.
    allowed = torch.arange(VOCAB) >= 5
    bias = torch.zeros(VOCAB, dtype=torch.float64)
    bias[7] = -math.inf
    student = made(0, vocabulary=allowed, bias=bias)
    teacher = made(1, vocabulary=allowed, bias=bias)
    how = Distillation(2, 0.5, beta)
    targets = torch.full((7,), 8)
    found = value_and_gradients(
        lambda r: tiled_distillation_loss(r, teacher, targets, how=how, tiling=SMALL),
        student,
    )
    plain = value_and_gradients(
        lambda r: distillation_loss(project(r), project(teacher), targets, how=how),
        student,
    )
    assert all(bool(part.isfinite().all()) for part in found)
    assert bool((found[2][:5] == 0).all())
    assert bool((found[2][7] == 0).all())
    assert_equal(found, plain)


@pytest.mark.parametrize("cap", [None, 2.0])
def test_a_bias_of_minus_infinity_excludes_a_token_whatever_caps_logits(cap) -> None:
    allowed = torch.arange(VOCAB) != 7
    none = torch.zeros(VOCAB, dtype=torch.float64)
    targets = torch.full((7,), 8)
    found = [
        value_and_gradients(
            lambda r: tiled_token_logp(r, targets, tiling=SMALL), made(0, **options)
        )
        for options in (
            {"bias": none.masked_fill(~allowed, -math.inf), "soft_cap": cap},
            {"bias": none, "vocabulary": allowed, "soft_cap": cap},
        )
    ]
    assert_equal(*found)
    assert bool((found[0][2][7] == 0).all())


def test_huge_logits_stay_finite() -> None:
    student, teacher = made(0, scale=3000.0), made(1, scale=3000.0)
    for beta in (0, 0.5, 1):
        found = value_and_gradients(
            lambda r, b=beta: tiled_divergence(r, teacher, beta=b, tiling=SMALL),
            student,
        )
        assert all(bool(part.isfinite().all()) for part in found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_narrow_floats_are_reckoned_in_float32(dtype: torch.dtype) -> None:
    student, teacher = made(0), made(1)
    narrow = [
        replace(one, hidden=one.hidden.to(dtype), weight=one.weight.to(dtype))
        for one in (student, teacher)
    ]
    wide = [
        replace(one, hidden=one.hidden.double(), weight=one.weight.double())
        for one in narrow
    ]
    for beta in (0, 0.5, 1):
        ours, exact = (
            value_and_gradients(
                lambda r, t=pair[1], b=beta: tiled_divergence(
                    r, t, beta=b, tiling=SMALL
                ),
                pair[0],
            )
            for pair in (narrow, wide)
        )
        assert ours[0].dtype == torch.float32
        assert ours[1].dtype == ours[2].dtype == dtype
        assert_equal(ours[:1], exact[:1], 5e-6)
        # The gradients are right to the last digit that their own width has.
        places = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
        for part, other in zip(ours[1:], exact[1:], strict=True):
            assert torch.allclose(part.double(), other, rtol=places[dtype], atol=1e-5)


def test_autocast_does_not_narrow_the_tiles() -> None:
    rows, targets = made(0), torch.arange(7)
    rows = replace(rows, hidden=rows.hidden.float(), weight=rows.weight.float())
    plain = value_and_gradients(lambda r: tiled_token_logp(r, targets), rows)
    with torch.autocast("cpu", torch.bfloat16):
        within = value_and_gradients(lambda r: tiled_token_logp(r, targets), rows)
    assert_equal(within, plain, 0.0)


class Largest(TorchDispatchMode):
    """The most numbers that any operation gave back."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for part in found if isinstance(found, tuple | list) else (found,):
            if isinstance(part, torch.Tensor):
                self.numbers = max(self.numbers, part.numel())
        return found


def test_the_logits_are_never_held() -> None:
    source = torch.Generator().manual_seed(0)
    rows, vocab, width = 32, 64, 4
    student, teacher = (
        HiddenRows(
            torch.randn(rows, width, generator=source),
            torch.randn(vocab, width, generator=source),
        )
        for _ in range(2)
    )
    targets = torch.randint(vocab, (rows,), generator=source)
    tiling = Tiling(8, 32)
    losses = [
        lambda r: tiled_token_logp(r, targets, tiling=tiling),
        lambda r: tiled_distillation_loss(r, teacher, targets, tiling=tiling),
        lambda r: tiled_divergence(r, teacher, beta=0.5, tiling=tiling),
    ]
    for loss in losses:
        with Largest() as seen:
            value_and_gradients(loss, student)
        assert seen.numbers == vocab * width  # a gradient of the head; not rows * vocab
    with Largest() as seen:
        project(student)
    assert seen.numbers == rows * vocab


def test_only_the_gradients_that_are_asked_for_are_made() -> None:
    rows = made(0)
    hidden = rows.hidden.clone().requires_grad_()
    loss = tiled_divergence(replace(rows, hidden=hidden), made(1)).sum()
    loss.backward()
    assert rows.weight.grad is None
    assert bool((hidden.grad.abs() > 0).any())
    assert not tiled_divergence(made(0), made(1)).requires_grad


def test_a_teacher_is_a_constant() -> None:
    teacher, leaves = asking(made(1))
    student, ours = asking(made(0))
    tiled_divergence(student, teacher, beta=0.5).sum().backward()
    assert [leaf.grad for leaf in leaves] == [None, None]
    assert ours[0].grad is not None


def test_what_was_changed_after_the_loss_is_refused_by_torch() -> None:
    hidden = made(0).hidden.clone().requires_grad_()
    weight = made(0).weight.clone()
    loss = tiled_token_logp(HiddenRows(hidden, weight), torch.arange(7)).sum()
    weight += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def refused(
    call: Callable[[], object], message: str, kind: type = InvalidInput
) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_what_cannot_be_reckoned_is_refused() -> None:
    rows, targets = made(0), torch.arange(7)
    other = HiddenRows(rows.hidden, torch.ones(12, 5).double())
    refused(lambda: tiled_divergence(rows, other), "over 12.*byte by byte")
    refused(lambda: tiled_divergence(rows, made(1, rows=(6,))), r"\(7,\).*\(6,\)")
    refused(lambda: tiled_token_logp(rows, targets[:5]), r"\(5,\).*\(7,\)")
    refused(lambda: tiled_token_logp(rows, targets + 5), "is 11, not one of the 11")
    refused(lambda: tiled_token_logp(rows, targets.double()), "integers")
    refused(lambda: tiled_token_logp(rows, targets, temperature=0), "temperature is 0")
    refused(lambda: tiled_divergence(rows, rows, temperature=-1), "temperature is -1")
    refused(lambda: tiled_divergence(rows, rows, beta=1.5), "beta is 1.5")
    refused(lambda: tiled_distillation_loss(rows, rows), "give targets")
    refused(
        lambda: tiled_divergence(rows, rows, mask=torch.zeros(7, dtype=torch.bool)),
        "empty",
    )
    refused(
        lambda: tiled_divergence(rows, rows, mask=torch.ones(6, dtype=torch.bool)),
        r"\(6,\)",
    )
    refused(lambda: HiddenRows(targets, rows.weight), "int64")
    refused(lambda: HiddenRows(rows.hidden, rows.weight.T), "width")
    refused(lambda: replace(rows, soft_cap=0), "soft_cap is 0")
    refused(lambda: replace(rows, scale=math.nan), "scale is nan")
    refused(lambda: replace(rows, bias=torch.ones(3)), "bias has shape")
    refused(lambda: replace(rows, vocabulary=torch.ones(3).bool()), "11 booleans")
    refused(lambda: replace(rows, vocabulary=torch.zeros(11).bool()), "no token at all")


def test_rows_that_are_no_distribution_are_refused() -> None:
    rows, targets = made(0), torch.arange(7)
    hidden = rows.hidden.clone()
    hidden[2, 1] = math.nan
    broken = replace(rows, hidden=hidden)
    refused(lambda: tiled_token_logp(broken, targets), "row 2", InvalidDistribution)
    refused(lambda: tiled_divergence(rows, broken), "teacher: row 2")
    refused(lambda: tiled_divergence(broken, rows), "student: row 2")


def test_an_infinite_loss_is_refused() -> None:
    most = torch.arange(VOCAB) != 3
    rows, fewer = made(0), made(1, vocabulary=most)
    refused(lambda: tiled_divergence(fewer, rows), "student excludes token 3")
    refused(lambda: tiled_divergence(rows, fewer, beta=1), "teacher excludes token 3")
    refused(lambda: tiled_token_logp(fewer, torch.full((7,), 3)), "probability 0")
    # The other way round, and between the ends, it is finite and right.
    for student, teacher, beta in (
        (rows, fewer, 0),
        (fewer, rows, 1),
        (rows, fewer, 0.5),
    ):
        found = tiled_divergence(student, teacher, beta=beta, tiling=SMALL)
        plain = generalised_jsd(project(student), project(teacher), beta=beta)
        assert_equal([found], [plain])
