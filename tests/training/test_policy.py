"""The KL penalty: what each estimate estimates, and what it trains."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nescio
from nescio.errors import InvalidDistribution, InvalidInput
from nescio.training import (
    KL_ESTIMATORS,
    exact_kl,
    exact_kl_loss,
    k1,
    k2,
    k3,
    kl_loss,
    log_ratio_to_go,
    mean_kl,
    reward_kl_loss,
    sampled_kl,
    sequence_kl_loss,
    sequence_log_ratio,
    token_logp,
)

LOGITS = torch.tensor([0.3, -1.2, 0.8, 0.1, -0.4], dtype=torch.float64)
REFERENCE = torch.tensor([1.1, 0.2, -0.9, 0.0, -0.3], dtype=torch.float64)


def kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """By hand, of log-probabilities."""
    return (p.exp() * (p - q)).sum(-1)


def on_policy_gradient(loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]):
    """The expected gradient by the logits, over every token the policy may draw."""
    logits = LOGITS.clone().requires_grad_()
    logp, reference = logits.log_softmax(-1), REFERENCE.log_softmax(-1)
    expected = (logp.exp().detach() * loss(logp, reference)).sum()
    return torch.autograd.grad(expected, logits)[0]


def exact_gradient(direction: str) -> torch.Tensor:
    """Autograd of the KL written out."""
    logits = LOGITS.clone().requires_grad_()
    p, q = logits.log_softmax(-1), REFERENCE.log_softmax(-1)
    value = kl(p, q) if direction == "reverse" else kl(q, p)
    return torch.autograd.grad(value, logits)[0]


P, Q = LOGITS.log_softmax(-1), REFERENCE.log_softmax(-1)
REVERSE = P.exp() * (P - Q - kl(P, Q))
FORWARD = P.exp() - Q.exp()


def test_the_gradients_written_down_are_autograds() -> None:
    assert torch.allclose(exact_gradient("reverse"), REVERSE, rtol=0, atol=1e-14)
    assert torch.allclose(exact_gradient("forward"), FORWARD, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [(k1, torch.zeros(5).double()), (k2, REVERSE), (k3, FORWARD)],
    ids=["k1 trains nothing", "k2 the reverse KL", "k3 the forward KL"],
)
def test_expected_gradients_of_the_losses(
    estimator: Callable, expected: torch.Tensor
) -> None:
    found = on_policy_gradient(estimator)
    assert torch.allclose(found, expected, rtol=0, atol=1e-14)


def test_k1_in_the_reward_has_the_gradient_of_the_reverse_kl() -> None:
    def loss(logp: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        each = zip(logp[:, None, None], reference[:, None, None], strict=True)
        return torch.stack([reward_kl_loss(*one) for one in each])

    found = on_policy_gradient(loss)
    assert torch.allclose(found, REVERSE, rtol=0, atol=1e-14)


@pytest.mark.parametrize("direction", ["reverse", "forward"])
def test_the_exact_kl_is_the_one_of_arrays_and_has_its_own_gradient(
    direction: str,
) -> None:
    logits = LOGITS.clone().requires_grad_()
    found = exact_kl(logits, REFERENCE, direction=direction)
    pair = (P.numpy(), Q.numpy())
    arrays = nescio.kl_divergence(*(pair if direction == "reverse" else pair[::-1]))
    assert found.item() == pytest.approx(float(arrays), abs=1e-14)
    gradient = torch.autograd.grad(found, logits)[0]
    assert torch.allclose(gradient, exact_gradient(direction), rtol=0, atol=1e-14)


def test_k1_and_k3_are_unbiased_and_k2_is_not() -> None:
    exact, p = float(kl(P, Q)), P.exp()
    assert float((p * k1(P, Q)).sum()) == pytest.approx(exact, abs=1e-14)
    assert float((p * k3(P, Q)).sum()) == pytest.approx(exact, abs=1e-14)
    assert abs(float((p * k2(P, Q)).sum()) - exact) > 0.05


def test_k3_is_low_by_the_mass_of_the_reference_outside_the_policy() -> None:
    drawn = torch.tensor([True, False, True, True, False])
    p = LOGITS.masked_fill(~drawn, -math.inf).log_softmax(-1)
    mean = float((p[drawn].exp() * k3(p[drawn], Q[drawn])).sum())
    exact = float((p[drawn].exp() * (p - Q)[drawn]).sum())
    outside = float(Q[~drawn].exp().sum())
    assert mean == pytest.approx(exact - outside, abs=1e-14)
    assert outside > 0.1


def test_monte_carlo_means_find_the_exact_kl() -> None:
    n, exact = 40_000, float(exact_kl(LOGITS, REFERENCE))
    source = torch.Generator().manual_seed(3)
    drawn = torch.multinomial(P.exp(), n, replacement=True, generator=source)
    logp = token_logp(LOGITS.expand(n, 5), drawn)
    reference = token_logp(REFERENCE.expand(n, 5), drawn)
    for name, biased in (("k1", False), ("k2", True), ("k3", False)):
        values = sampled_kl(logp, reference, estimator=name)
        error = abs(float(values.mean()) - exact) / float(values.std() / math.sqrt(n))
        assert (error > 10) == biased, name
        assert biased or error < 3.5


@given(st.floats(-20, 0), st.floats(-20, 0))
def test_k2_and_k3_are_never_negative_and_k3_is_right(ours: float, ref: float) -> None:
    logp, reference = (torch.tensor([x], dtype=torch.float64) for x in (ours, ref))
    assert float(k2(logp, reference)) >= 0
    gap = np.longdouble(reference.item()) - np.longdouble(logp.item())
    exact = float(gap**2 / 2 if abs(gap) < 1e-6 else np.expm1(gap) - gap)
    found = float(k3(logp, reference))
    assert found >= 0
    assert found == pytest.approx(exact, rel=1e-5 if abs(gap) < 1e-5 else 1e-9)


def test_estimates_pass_gradcheck_near_and_far() -> None:
    reference = torch.tensor([-2.0, -2.0, -2.0, -1.0], dtype=torch.float64)
    logp = torch.tensor([-2.0, -2.001, -2.5, -9.0], dtype=torch.float64)
    for estimator in KL_ESTIMATORS.values():
        assert torch.autograd.gradcheck(
            lambda x, use=estimator: use(x, reference), logp.requires_grad_()
        )


# A policy of two tokens, each one of three: every sequence can be written down.
FIRST = torch.tensor([0.4, -0.3, 0.9], dtype=torch.float64)
SECOND = torch.tensor(
    [[0.1, 0.5, -1.0], [1.2, -0.2, 0.3], [-0.4, 0.0, 0.8]], dtype=torch.float64
)
SEQUENCES = torch.tensor(list(product(range(3), repeat=2)))


class Enumerated:
    """The nine sequences under the policy and its reference."""

    def __init__(self) -> None:
        self.first = FIRST.clone().requires_grad_()
        self.second = SECOND.clone().requires_grad_()
        self.logp = self._tokens(self.first, self.second)
        frozen = (FIRST.flip(0) * 0.7, SECOND.flip(1) + 0.3 * SECOND)
        self.reference = self._tokens(*frozen)
        self.weights = self.logp.sum(1).exp().detach()
        rows = torch.stack([self.first.expand(9, 3), self.second[SEQUENCES[:, 0]]], 1)
        fixed = torch.stack([frozen[0].expand(9, 3), frozen[1][SEQUENCES[:, 0]]], 1)
        self.token_kl = exact_kl(rows, fixed)
        self.sequence_kl = kl(self.logp.sum(1), self.reference.sum(1))
        self.forward_kl = kl(self.reference.sum(1), self.logp.sum(1))

    def _tokens(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        rows = torch.stack([first.expand(9, 3), second[SEQUENCES[:, 0]]], 1)
        return rows.log_softmax(-1).gather(2, SEQUENCES[..., None])[..., 0]

    def expected(self, loss: Callable[..., torch.Tensor], *more: str) -> torch.Tensor:
        """The mean of a loss over what the policy draws, sequence by sequence."""
        given = [getattr(self, name) for name in ("logp", *more)]
        each = [loss(*(one[n : n + 1] for one in given)) for n in range(9)]
        return (self.weights * torch.stack(each)).sum()

    def gradients(self, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = torch.autograd.grad(
            value, (self.first, self.second), retain_graph=True, materialize_grads=True
        )
        return found[0], found[1]


@pytest.fixture
def enumerated() -> Enumerated:
    return Enumerated()


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool(torch.allclose(one, other, rtol=0, atol=1e-13))


def test_sequence_k2_trains_the_sequence_kl(enumerated: Enumerated) -> None:
    found = enumerated.gradients(enumerated.expected(sequence_kl_loss, "reference"))
    exact = enumerated.gradients(enumerated.sequence_kl)
    assert same(found[0], exact[0])
    assert same(found[1], exact[1])


def test_sequence_k1_trains_nothing_and_k3_the_forward_kl(
    enumerated: Enumerated,
) -> None:
    for estimator, value in (("k1", None), ("k3", enumerated.forward_kl)):

        def loss(logp: torch.Tensor, ref: torch.Tensor) -> torch.Tensor:
            return sequence_kl_loss(logp, ref, estimator=estimator)  # noqa: B023

        found = enumerated.gradients(enumerated.expected(loss, "reference"))
        exact = (
            (0 * FIRST, 0 * SECOND) if value is None else enumerated.gradients(value)
        )
        assert same(found[0], exact[0])
        assert same(found[1], exact[1])


@pytest.mark.parametrize("estimator", ["k2", "exact"])
def test_token_losses_are_right_for_the_last_token_only(
    enumerated: Enumerated, estimator: str
) -> None:
    if estimator == "exact":
        value = (enumerated.weights * enumerated.token_kl.sum(1)).sum()
    else:
        value = enumerated.expected(
            lambda logp, ref: kl_loss(logp, ref, over="sequence"), "reference"
        )
    found = enumerated.gradients(value)
    exact = enumerated.gradients(enumerated.sequence_kl)
    assert not torch.allclose(found[0], exact[0], rtol=0, atol=1e-2)
    assert same(found[1], exact[1])


@pytest.mark.parametrize("credit", ["to_go", "sequence"])
def test_k1_in_the_reward_trains_the_sequence_kl(
    enumerated: Enumerated, credit: str
) -> None:
    value = enumerated.expected(
        lambda logp, ref: reward_kl_loss(logp, ref, credit=credit), "reference"
    )
    assert same(value, enumerated.sequence_kl)
    found = enumerated.gradients(value)
    exact = enumerated.gradients(enumerated.sequence_kl)
    assert same(found[0], exact[0])
    assert same(found[1], exact[1])


def test_the_exact_kl_to_go_trains_the_sequence_kl(enumerated: Enumerated) -> None:
    value = enumerated.expected(exact_kl_loss, "token_kl")
    assert same(value, enumerated.sequence_kl)
    found = enumerated.gradients(value)
    exact = enumerated.gradients(enumerated.sequence_kl)
    assert same(found[0], exact[0])
    assert same(found[1], exact[1])


def test_a_token_is_charged_with_the_exact_kls_after_it_only() -> None:
    logp = torch.tensor([[-1.0, -2.0, -3.0]], requires_grad=True)
    token_kl = torch.tensor([[0.5, 0.25, 8.0]], requires_grad=True)
    mask = torch.tensor([[True, True, False]])
    exact_kl_loss(logp, token_kl, mask=mask).backward()
    assert logp.grad is not None
    assert token_kl.grad is not None
    assert logp.grad.tolist() == [[0.25, 0.0, 0.0]]
    assert token_kl.grad.tolist() == [[1.0, 1.0, 0.0]]


def test_the_log_ratio_to_go_sums_from_each_token_on() -> None:
    logp = torch.tensor([[-1.0, -2.0, -3.0, -9.0]], requires_grad=True)
    reference = torch.tensor([[-1.5, -1.0, -3.25, -1.0]])
    mask = torch.tensor([[1, 1, 1, 0]])
    to_go = log_ratio_to_go(logp, reference, mask=mask)
    assert to_go.tolist() == [[-0.25, -0.75, 0.25, 0.0]]
    assert sequence_log_ratio(logp, reference, mask=mask).tolist() == [-0.25]
    reward_kl_loss(logp, reference, mask=mask).backward()
    assert logp.grad is not None
    assert logp.grad.tolist() == [[-0.25, -0.75, 0.25, 0.0]]


@settings(max_examples=25)
@given(st.integers(0, 2**31 - 1), st.sampled_from(["k1", "k2", "k3"]))
def test_what_stands_outside_the_mask_touches_nothing(seed: int, name: str) -> None:
    source = torch.Generator().manual_seed(seed)
    logp = -torch.rand(3, 4, generator=source, dtype=torch.float64) * 5
    reference = -torch.rand(3, 4, generator=source, dtype=torch.float64) * 5
    mask = torch.rand(3, 4, generator=source) < 0.5
    mask[:, 0] = True
    dirty = logp.masked_fill(~mask, math.nan).requires_grad_()
    clean = logp.clone().requires_grad_()
    fixed = reference.masked_fill(~mask, -math.inf)
    for over in ("token", "sequence"):
        one = kl_loss(dirty, fixed, estimator=name, mask=mask, over=over)
        other = kl_loss(clean, reference, estimator=name, mask=mask.int(), over=over)
        values = KL_ESTIMATORS[name](logp, reference)[mask]
        mean = values.sum() / (mask.sum() if over == "token" else 3)
        assert one.item() == pytest.approx(mean.item(), abs=1e-12)
        gradients = [
            torch.autograd.grad(loss, x)[0]
            for loss, x in ((one, dirty), (other, clean))
        ]
        assert torch.equal(*gradients)
        assert bool((gradients[0][~mask] == 0).all())


def test_the_reference_is_a_constant() -> None:
    logp = torch.tensor([-1.0], requires_grad=True)
    reference = torch.tensor([-2.0], requires_grad=True)
    for estimator in KL_ESTIMATORS:
        kl_loss(logp, reference, estimator=estimator).backward()
    assert reference.grad is None
    assert logp.grad is not None


def test_narrow_floats_are_reckoned_in_float32() -> None:
    logp, reference = torch.tensor([-1.0]).bfloat16(), torch.tensor([-2.0]).half()
    for estimator in KL_ESTIMATORS.values():
        assert estimator(logp, reference).dtype == torch.float32
    assert exact_kl(LOGITS.bfloat16(), REFERENCE.bfloat16()).dtype == torch.float32


def test_a_mean_kl_has_an_interval_over_sequences() -> None:
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.normal(0.3, 0.1, (40, 1)) + np.zeros((40, 6)))
    found = mean_kl(values, estimator="k1")
    assert found.value == pytest.approx(float(values.mean()))
    assert (found.n, found.n_clusters, found.unit) == (240, 40, "nats/token")
    # Tokens of a sequence are alike here: 40 sequences, not 240 tokens, are free.
    width = 2 * 1.96 * float(values[:, 0].std()) / math.sqrt(40)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(width, rel=0.25)
    assert found.recipe.settings["kl"] == "k1"


def test_a_mean_kl_is_per_token_or_per_sequence() -> None:
    values = torch.tensor([[1.0, 2.0], [4.0, math.nan]] * 3)
    mask = torch.tensor([[True, True], [True, False]] * 3)
    per_token = mean_kl(values, estimator="k3", mask=mask)
    whole = mean_kl(values, estimator="k3", mask=mask, per="sequence")
    assert per_token.value == pytest.approx(7 / 3)
    assert whole.value == pytest.approx(3.5)
    assert whole.unit == "nats/sequence"
    assert whole.to("bits").value == pytest.approx(3.5 / math.log(2))


def test_a_mean_kl_of_few_sequences_has_no_interval() -> None:
    found = mean_kl(torch.ones(4, 2), estimator="k3")
    assert (found.value, found.low, found.high) == (1.0, None, None)
    assert "no interval: 4 are too few" in found.population


def refused(
    call: Callable[[], object], message: str, kind: type = InvalidInput
) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_what_cannot_be_reckoned_is_refused() -> None:
    logp = torch.tensor([[-1.0, -2.0]])
    refused(lambda: k1(logp, logp[0]), r"\(1, 2\).*\(2,\)")
    refused(lambda: sampled_kl(logp, logp.T), r"\(1, 2\).*\(2, 1\)")
    refused(lambda: k1(-logp, logp), "logits or losses")
    refused(lambda: k1(logp.long(), logp), "int64")
    refused(lambda: kl_loss(logp, logp, estimator="k4"), "unknown estimator 'k4'")
    refused(lambda: kl_loss(logp, logp, over="batch"), "'token' or 'sequence'")
    refused(lambda: kl_loss(logp, logp, mask=torch.ones(2).bool()), "mask has shape")
    refused(lambda: kl_loss(logp, logp, mask=torch.ones(1, 2)), "float32")
    refused(lambda: kl_loss(logp, logp, mask=torch.tensor([[1, 2]])), "mask holds 2")
    empty = torch.tensor([[True, False], [False, False]])
    both = logp.expand(2, 2)
    refused(lambda: kl_loss(both, both, mask=empty), "completion 1 is empty")
    refused(lambda: sequence_kl_loss(both, both, mask=empty), "completion 1 is empty")
    refused(lambda: reward_kl_loss(both, both, credit="first"), "credit 'first'")
    refused(lambda: exact_kl_loss(logp, -torch.ones(1, 2)), "-1.0: no finite KL")
    refused(lambda: exact_kl(LOGITS, REFERENCE, direction="up"), "direction 'up'")
    refused(lambda: exact_kl(LOGITS, REFERENCE[:4]), "4.*byte by byte")
    refused(lambda: exact_kl(LOGITS, REFERENCE, temperature=0), "temperature is 0")
    refused(lambda: k3(torch.tensor([-100.0]), torch.tensor([-0.5])), "too much for k3")
    refused(lambda: mean_kl(logp[0], estimator="k1"), "sequences, tokens")
    refused(lambda: mean_kl(logp / 0, estimator="k1"), "no number")


def test_numbers_that_are_none_are_refused_with_their_place() -> None:
    good, bad = torch.tensor([[-1.0, -2.0]]), torch.tensor([[-1.0, math.nan]])
    refused(lambda: k2(bad, good), "logp: token 0, 1.*nan", InvalidDistribution)
    never = torch.tensor([[-math.inf, -1.0]])
    refused(lambda: k3(good, never), "reference: token 0, 0.*infinite")
    rows = torch.stack([LOGITS, LOGITS / 0])
    refused(lambda: exact_kl(rows, rows), "row 1 holds NaN", InvalidDistribution)
