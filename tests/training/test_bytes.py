"""Rows over the next byte and spans of bytes: students of another vocabulary."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nescio.errors import InvalidDistribution, InvalidInput
from nescio.training import (
    Alignment,
    ByteSymbols,
    Distillation,
    HiddenRows,
    Tiling,
    align,
    distillation_loss,
    exact_kl,
    forward_kl,
    generalised_jsd,
    k2,
    next_byte_logp,
    project,
    reverse_kl,
    span_logp,
    span_loss,
    span_losses,
    tiled_next_byte_logp,
)
from tests.training.test_tiled import Largest

TOKENS = [b"a", b"ab", b"b", b"", b"\xff", b"", b"ba", b"a"]
SYMBOLS = ByteSymbols.of(TOKENS, end=[5])
POSSIBLE = [97, 98, 255, 256]


def logits(seed: int, *shape: int) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.float64) * 3


def by_hand(row: torch.Tensor) -> list[float]:
    """Masses of a, b, 0xff and the end, control token 3 left out."""
    p = row.exp()
    p[3] = 0.0
    p = p / p.sum()
    sums = [p[0] + p[1] + p[7], p[2] + p[6], p[4], p[5]]
    return [float(one) for one in sums]


def test_the_next_byte_is_the_sum_over_the_tokens_that_begin_with_it() -> None:
    rows = logits(0, 3, 8)
    found = next_byte_logp(rows, SYMBOLS)
    assert found.shape == (3, 257)
    for row, one in zip(rows, found, strict=True):
        assert one[POSSIBLE].exp().tolist() == pytest.approx(by_hand(row), abs=1e-14)
    others = torch.ones(257).bool()
    others[POSSIBLE] = False
    assert bool((found[:, others] == -math.inf).all())


def test_rows_far_from_0_keep_small_symbols() -> None:
    row = torch.tensor([[-3000.0, 0, -2000, 0, 1000, -5000, -2000, -3000]]).double()
    found = next_byte_logp(row, SYMBOLS)
    expected = [-1000.0, -3000 + math.log(2), 0.0, -6000.0]
    assert found[0, POSSIBLE].tolist() == pytest.approx(expected)


def test_the_gradient_is_the_one_written_down() -> None:
    row = logits(1, 1, 8).requires_grad_()
    upstream = torch.zeros(1, 257, dtype=torch.float64)
    upstream[0, POSSIBLE] = torch.tensor([0.5, -1.0, 2.0, 0.25]).double()
    found = next_byte_logp(row, SYMBOLS)
    (gradient,) = torch.autograd.grad(found, row, upstream)
    allowed = SYMBOLS.first >= 0
    p = row.detach().masked_fill(~allowed, -math.inf).softmax(-1)
    expected = -p * upstream.sum()
    for symbol in POSSIBLE:
        here = SYMBOLS.first == symbol
        expected[0, here] += upstream[0, symbol] * p[0, here] / p[0, here].sum()
    assert torch.allclose(gradient, expected, rtol=0, atol=1e-14)
    assert gradient[0, 3] == 0


def test_torch_finds_the_gradients_right_with_impossible_tokens() -> None:
    taught = next_byte_logp(logits(3, 2, 8), SYMBOLS)
    taught[:, 255] = -math.inf  # neither model can write it

    def loss(free: torch.Tensor) -> torch.Tensor:
        rows = free.clone()
        rows[:, 4] = -math.inf
        return reverse_kl(next_byte_logp(rows, SYMBOLS), taught).sum()

    assert torch.autograd.gradcheck(loss, logits(2, 2, 8).requires_grad_())


def test_masked_tokens_have_finite_losses_and_gradients() -> None:
    rows = logits(0, 2, 8)
    rows[:, [0, 4]] = -math.inf
    rows.requires_grad_()
    taught = next_byte_logp(rows.detach().flip(0), SYMBOLS)
    for divergence in (forward_kl, reverse_kl, generalised_jsd):
        loss = divergence(next_byte_logp(rows, SYMBOLS), taught).sum()
        (gradient,) = torch.autograd.grad(loss, rows)
        assert bool(loss.isfinite())
        assert bool(gradient.isfinite().all())
        assert bool((gradient[:, [0, 3, 4]] == 0).all())


@settings(max_examples=25)
@given(st.integers(0, 2**31 - 1))
def test_bytes_never_tell_models_further_apart_than_tokens(seed: int) -> None:
    # Of one vocabulary without control tokens: a sum over tokens loses, never adds.
    one, other = logits(seed, 4, 6), logits(seed + 1, 4, 6)
    symbols = ByteSymbols.of([b"a", b"ab", b"b", b"c", b"ba", b"a"])
    coarse = [next_byte_logp(rows, symbols) for rows in (one, other)]
    for divergence in (forward_kl, reverse_kl, generalised_jsd):
        assert bool((divergence(*coarse) <= divergence(one, other) + 1e-12).all())


def test_a_student_of_bytes_is_compared_as_it_is() -> None:
    symbols = ByteSymbols.of([bytes([b]) for b in range(256)] + [b""], end=[256])
    rows = logits(0, 3, 257)
    found = next_byte_logp(rows, symbols)
    assert torch.allclose(found, rows.log_softmax(-1), rtol=0, atol=1e-13)


def test_a_student_learns_from_a_teacher_of_another_vocabulary() -> None:
    theirs = ByteSymbols.of([b"b", b"a", b"\xff", b""], end=[3])
    taught = next_byte_logp(logits(4, 5, 4), theirs)
    rows = logits(5, 5, 8).requires_grad_()
    following = torch.tensor([97, 98, 255, 97, 98])
    how = Distillation(temperature=1, alpha=0.5)
    optimiser = torch.optim.Adam([rows], lr=0.1)
    gap = [float(forward_kl(next_byte_logp(rows.detach(), SYMBOLS), taught).mean())]
    for _ in range(60):
        optimiser.zero_grad()
        ours = next_byte_logp(rows, SYMBOLS)
        distillation_loss(ours, taught, following, how=how).backward()
        optimiser.step()
    gap += [float(forward_kl(next_byte_logp(rows.detach(), SYMBOLS), taught).mean())]
    assert gap[1] < gap[0] / 4


VOCAB, WIDTH = 8, 3
OPTIONS = {
    "plain": {},
    "bias and cap": {
        "bias": torch.linspace(-1, 1, VOCAB, dtype=torch.float64),
        "scale": 2.0,
        "soft_cap": 2.5,
    },
    "masked": {
        "bias": torch.tensor([0, 0.5, -math.inf, 0, 1, 0, 0, -1]).double(),
        "vocabulary": torch.arange(VOCAB) != 4,
    },
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_tiled_rows_are_the_plain_ones(options: dict) -> None:
    taught = next_byte_logp(logits(9, 5, VOCAB), SYMBOLS)

    def found(tiled: bool) -> list[torch.Tensor]:
        hidden = logits(6, 5, WIDTH).requires_grad_()
        weight = logits(7, VOCAB, WIDTH).requires_grad_()
        bias = options.get("bias")
        leaves = [hidden, weight]
        given = dict(options)
        if bias is not None:
            given["bias"] = bias.clone().requires_grad_()
            leaves.append(given["bias"])
        rows = HiddenRows(hidden, weight, **given)
        tiling = Tiling(rows=2, vocabulary=3)
        logp = (
            tiled_next_byte_logp(rows, SYMBOLS, tiling=tiling)
            if tiled
            else next_byte_logp(project(rows), SYMBOLS)
        )
        loss = generalised_jsd(logp, taught, beta=0.4).sum()
        return [logp, loss, *torch.autograd.grad(loss, leaves)]

    for ours, plain in zip(found(tiled=True), found(tiled=False), strict=True):
        assert torch.allclose(ours, plain, rtol=0, atol=1e-12)


def test_torch_finds_the_tiled_gradients_right() -> None:
    def loss(hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        rows = HiddenRows(hidden, weight, soft_cap=4.0)
        tiling = Tiling(rows=1, vocabulary=3)
        return tiled_next_byte_logp(rows, SYMBOLS, tiling=tiling)[..., POSSIBLE]

    given = [logits(8, 1, 2, WIDTH) / 3, logits(9, VOCAB, WIDTH) / 3]
    assert torch.autograd.gradcheck(loss, [one.requires_grad_() for one in given])


def test_the_logits_are_never_held() -> None:
    rows, vocab, width = 16, 4096, 2
    symbols = ByteSymbols(torch.arange(vocab) % 257)
    hidden, weight = logits(0, rows, width).requires_grad_(), logits(1, vocab, width)
    with Largest() as seen:
        found = tiled_next_byte_logp(
            HiddenRows(hidden, weight), symbols, tiling=Tiling(8, 512)
        )
        found.exp().square().sum().backward()
    assert seen.numbers <= vocab * width < rows * vocab


def test_spans_end_where_both_tokenizers_do() -> None:
    #           0   1   2   3   4   5   6   7
    student = torch.tensor([0, 2, 3, 5, 6, 7])
    teacher = torch.tensor([0, 1, 3, 6, 7])
    found = align(student, teacher)
    assert found.boundaries.tolist() == [0, 3, 6, 7]
    assert found.student.tolist() == [0, 0, 1, 1, 2]
    assert found.teacher.tolist() == [0, 0, 1, 2]
    assert found.lengths.tolist() == [3, 3, 1]
    assert (found.student_rows.tolist(), found.teacher_rows.tolist()) == (
        [0, 2, 4],
        [0, 2, 3],
    )
    later = align(student + 10, teacher + 10)
    assert later.boundaries.tolist() == [10, 13, 16, 17]
    assert len(align(torch.tensor([0, 7]), teacher)) == 1


@settings(max_examples=30)
@given(
    st.sets(st.integers(1, 29)), st.sets(st.integers(1, 29)), st.integers(0, 2**31 - 1)
)
def test_every_token_lies_in_its_span_and_sums_are_kept(
    ours: set[int], theirs: set[int], seed: int
) -> None:
    edges = [torch.tensor(sorted({0, 30} | cuts)) for cuts in (ours, theirs)]
    found = align(*edges)
    for begins, spans in zip(edges, (found.student, found.teacher), strict=True):
        low, high = found.boundaries[spans], found.boundaries[spans + 1]
        assert bool(((low <= begins[:-1]) & (begins[1:] <= high)).all())
        logp = -logits(seed, len(spans)).abs()
        sums = span_logp(logp, spans)
        assert float(sums.sum()) == pytest.approx(float(logp.sum()))
        first = logp[spans == 0].sum()
        assert float(sums[0]) == pytest.approx(float(first))


def spans_of(*lengths: int) -> Alignment:
    edges = torch.tensor([0, *lengths]).cumsum(0)
    return align(edges, edges)


def test_the_binary_loss_is_the_kl_of_a_coin() -> None:
    student, teacher = torch.tensor([0.3, 0.9]).log(), torch.tensor([0.6, 0.2]).log()
    found = span_losses(student, teacher, spans_of(1, 2))
    for p, q, one in zip((0.6, 0.2), (0.3, 0.9), found, strict=True):
        coin = forward_kl(
            torch.tensor([[q, 1 - q]]).log(), torch.tensor([[p, 1 - p]]).log()
        )
        assert one.item() == pytest.approx(coin.item(), rel=1e-5)


@settings(max_examples=40)
@given(st.floats(-40, -1e-9), st.floats(-40, -1e-9))
def test_the_binary_loss_and_its_gradient_keep_their_digits(
    ours: float, theirs: float
) -> None:
    student = torch.tensor([ours], dtype=torch.float64, requires_grad=True)
    teacher = torch.tensor([theirs], dtype=torch.float64)
    value = span_losses(student, teacher, spans_of(1)).sum()
    (gradient,) = torch.autograd.grad(value, student)
    p, rest_p, rest_q = math.exp(theirs), -math.expm1(theirs), -math.expm1(ours)
    gap = math.log(rest_p) - math.log(rest_q)
    exact = p * (theirs - ours) + rest_p * gap
    assert value.item() >= 0
    assert value.item() == pytest.approx(exact, rel=1e-6, abs=1e-14)
    slope = (math.exp(ours) - p) / rest_q
    assert gradient.item() == pytest.approx(slope, rel=1e-9, abs=1e-12)


def test_one_outcome_tells_less_than_the_whole_distribution() -> None:
    student, teacher = logits(0, 50, 6), logits(1, 50, 6)
    whole = exact_kl(student, teacher, direction="forward")
    ours, theirs = (x.log_softmax(-1)[:, 2] for x in (student, teacher))
    found = span_losses(ours, theirs, spans_of(*[1] * 50))
    assert bool((found <= whole + 1e-12).all())
    assert found.mean() > whole.mean() / 20


def test_the_squared_loss_is_k2_of_spans() -> None:
    aligned = align(torch.tensor([0, 1, 3, 6]), torch.tensor([0, 3, 4, 6]))
    student, teacher = torch.tensor([-1.0, -2, -3]), torch.tensor([-2.5, -1, -1])
    found = span_losses(student, teacher, aligned, loss="squared")
    sums = torch.tensor([-3.0, -3.0]), torch.tensor([-2.5, -2.0])
    assert found.tolist() == k2(*sums).tolist() == [0.125, 0.5]
    mask = torch.tensor([False, True])
    mean = span_loss(student, teacher, aligned, loss="squared", mask=mask)
    assert mean.item() == 0.5


def test_certain_spans_stay_finite() -> None:
    student = torch.tensor([0.0, 0.0, -0.5, -1e-12], requires_grad=True)
    teacher = torch.tensor([0.0, -0.5, 0.0, 0.0])
    found = span_losses(student, teacher, spans_of(1, 1, 1, 1))
    found.sum().backward()
    assert bool(found.isfinite().all())
    assert student.grad is not None
    assert bool(student.grad.isfinite().all())
    assert found[0].item() == pytest.approx(0, abs=1e-6)
    assert found[1].item() > 5
    assert found[2].item() == pytest.approx(0.5)


def test_the_teacher_is_a_constant() -> None:
    student = torch.tensor([-1.0, -2.0], requires_grad=True)
    teacher = torch.tensor([-1.5, -2.5], requires_grad=True)
    for loss in ("binary", "squared"):
        span_loss(student, teacher, spans_of(1, 1), loss=loss).backward()
    assert teacher.grad is None
    assert student.grad is not None


def test_span_losses_pass_gradcheck_near_and_far() -> None:
    student = torch.tensor([-1e-3, -0.6, -0.8, -30.0], dtype=torch.float64)
    teacher = torch.tensor([-1.0, -0.1, -5.0, -2.0], dtype=torch.float64)
    for loss in ("binary", "squared"):
        assert torch.autograd.gradcheck(
            lambda x, name=loss: span_losses(
                x, teacher, spans_of(1, 1, 1, 1), loss=name
            ),
            student.clone().requires_grad_(),
        )


def refused(
    call: Callable[[], object], message: str, kind: type = InvalidInput
) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_what_cannot_be_reckoned_is_refused() -> None:
    row, edges = logits(0, 2, 8), torch.tensor([0, 2, 5])
    refused(lambda: next_byte_logp(row[:, :7], SYMBOLS), r"\(2, 7\).*8 ids")
    refused(lambda: next_byte_logp(row.long(), SYMBOLS), "int64")
    refused(lambda: next_byte_logp(row / 0, SYMBOLS), "NaN", InvalidDistribution)
    silent = row.clone()
    silent[:, [0, 1, 2, 4, 5, 6, 7]] = -math.inf
    refused(lambda: next_byte_logp(silent, SYMBOLS), "-inf alone", InvalidDistribution)
    refused(lambda: ByteSymbols.of([b"", b""]), "no id")
    refused(lambda: ByteSymbols.of([b"a"], end=[1]), "end 1 is none of the 1")
    refused(lambda: ByteSymbols.of([b"a", b"b"], size=1), "size is 1")
    refused(lambda: ByteSymbols(torch.tensor([300])), "300")
    rows = HiddenRows(torch.ones(2, 3), torch.ones(7, 3))
    refused(lambda: tiled_next_byte_logp(rows, SYMBOLS), "7 rows.*8 ids")
    refused(lambda: forward_kl(row, row[:, :5]), "byte view: next_byte_logp")
    refused(lambda: align(edges, torch.tensor([0, 2, 4])), "bytes 0 to 5.*0 to 4")
    refused(lambda: align(edges, torch.tensor([0])), r"teacher.*shape \(1,\)")
    refused(lambda: align(torch.tensor([0, 2, 2, 5]), edges), "token 1 .*nothing")
    two = torch.tensor([-1.0, -2.0])
    aligned = spans_of(2, 3)
    refused(lambda: span_loss(two[:1], two, aligned), r"\(1,\).*\(2,\)")
    refused(lambda: span_loss(-two, two, aligned), "logits or losses")
    refused(lambda: span_loss(two, two, aligned, loss="cubed"), "loss 'cubed'")
    mask = torch.tensor([True])
    refused(lambda: span_loss(two, two, aligned, mask=mask), "mask has shape")
    refused(lambda: span_loss(two, two, aligned, mask=mask.expand(2) ^ True), "empty")
    never = torch.tensor([-1.0, -math.inf])
    refused(lambda: span_loss(two, never, aligned), "infinite", InvalidDistribution)
