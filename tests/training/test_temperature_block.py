"""The block over a text: another way of writing it, causality, padding, gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from nescio.errors import InvalidInput
from nescio.training.temperature_block import block_inverse, block_parameters
from nescio.training.temperature_heads import adaptive_inverse

DOUBLE = torch.float64
WIDTH, HIDDEN, HEADS = 5, 12, 3


def made(seed: int = 0, *, started: bool = True) -> dict[str, torch.Tensor]:
    """A block; ``started``: what it adds is no longer 0."""
    head = block_parameters(WIDTH, HIDDEN, heads=HEADS, seed=seed)
    draw = torch.Generator().manual_seed(seed + 1)
    for name in ("joined", "narrow", "narrow_bias") if started else ():
        head[name] = 0.3 * torch.randn(head[name].shape, generator=draw)
    return {name: one.to(DOUBLE) for name, one in head.items()}


def states_of(*lengths: int, seed: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    states = torch.randn(sum(lengths), WIDTH, generator=draw, dtype=DOUBLE)
    return states, torch.tensor([0, *lengths]).cumsum(0)


def every(head: dict, states: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    return block_inverse(head, states, offsets, rows=torch.arange(len(states)))


def by_torch(head: dict, text: torch.Tensor) -> torch.Tensor:
    """One text through torch's own attention and norm, places as complex numbers."""
    x = functional.linear(text, head["enter"], head["enter_bias"])
    normed = functional.rms_norm(x, (HIDDEN,), eps=1e-6)
    size = HIDDEN // HEADS
    half = size // 2
    speeds = torch.tensor([10_000 ** (-n / half) for n in range(half)], dtype=DOUBLE)
    angles = torch.arange(len(text))[:, None] * speeds
    turn = torch.polar(torch.ones_like(angles), angles)

    def of(name: str, *, turned: bool) -> torch.Tensor:
        heads = functional.linear(normed, head[name].reshape(HIDDEN, HIDDEN))
        heads = heads.reshape(len(text), HEADS, size).transpose(0, 1)
        if not turned:
            return heads
        pairs = torch.complex(heads[..., :half], heads[..., half:]) * turn
        return torch.cat([pairs.real, pairs.imag], -1)

    read = functional.scaled_dot_product_attention(
        of("query", turned=True),
        of("key", turned=True),
        of("value", turned=False),
        is_causal=True,
    )
    read = read.transpose(0, 1).reshape(len(text), HIDDEN)
    x = x + functional.linear(read, head["joined"].reshape(HIDDEN, HIDDEN))
    normed = functional.rms_norm(x, (HIDDEN,), eps=1e-6)
    wide = functional.linear(normed, head["wide"], head["wide_bias"]).relu()
    x = x + functional.linear(wide, head["narrow"], head["narrow_bias"])
    return (x @ head["last"] + head["last_bias"]).exp().clamp(max=10.0)


def test_a_block_is_what_torch_s_own_parts_make_of_each_text() -> None:
    head, (states, offsets) = made(), states_of(4, 1, 7)
    found = every(head, states, offsets)
    texts = states.split(offsets.diff().tolist())
    expected = torch.cat([by_torch(head, text) for text in texts])
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    assert found.std() > 0.1


def test_a_later_state_changes_nothing_earlier() -> None:
    head, (states, offsets) = made(), states_of(6, 5)
    found = every(head, states, offsets)
    for place in range(len(states)):
        other = states.clone()
        other[place] += 3.0
        changed = every(head, other, offsets) != found
        end = 6 if place < 6 else 11
        # What comes before, and the other text, to the last bit; itself and what
        # comes after it in its text, every one.
        assert not changed[:place].any()
        assert not changed[end:].any()
        assert changed[place:end].all()


def test_neither_company_nor_order_nor_padding_changes_a_text() -> None:
    head, (states, offsets) = made(), states_of(3, 9, 1, 5)
    found = every(head, states, offsets).split(offsets.diff().tolist())
    texts = states.split(offsets.diff().tolist())
    for number, text in enumerate(texts):
        alone = every(head, text, torch.tensor([0, len(text)]))
        assert torch.allclose(alone, found[number], rtol=0, atol=1e-14)
    turned = torch.cat(texts[::-1])
    offsets = torch.tensor([0, *(len(t) for t in texts[::-1])]).cumsum(0)
    back = every(head, turned, offsets).split(offsets.diff().tolist())
    for one, other in zip(found, back[::-1], strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-14)
    some = block_inverse(head, turned, offsets, rows=torch.tensor([17, 0, 0]))
    assert torch.equal(some, torch.cat(back)[[17, 0, 0]])


def test_places_count_as_distances() -> None:
    head, (states, _) = made(), states_of(3)
    same = states[:1].expand(2, -1)
    one, other = torch.cat([states, same[:1]]), torch.cat([states[[1, 0, 2]], same[:1]])
    ends = torch.tensor([0, 4])
    # Which state stood where matters …
    assert every(head, one, ends)[3] != every(head, other, ends)[3]
    # … and not where the text began: before equal states a place of weight 0 or none.
    head["key"] = head["query"] * 0
    even = [every(head, x, ends)[3] for x in (one, other)]
    assert even[0].item() == pytest.approx(even[1].item(), abs=1e-14)


def test_before_the_first_step_it_is_a_head_of_one_layer() -> None:
    head, (states, offsets) = made(started=False), states_of(4, 3)
    last = head["last"] @ head["enter"]
    bias = head["last"] @ head["enter_bias"] + head["last_bias"]
    expected = adaptive_inverse({"last": last, "last_bias": bias}, states)
    assert torch.allclose(every(head, states, offsets), expected, rtol=0, atol=1e-14)


def test_gradients_are_right_and_finite_beyond_the_limit() -> None:
    head, (states, offsets) = made(), states_of(3, 2)
    rows = torch.tensor([1, 2, 4])
    names = list(head)
    leaves = tuple(head[name].clone().requires_grad_() for name in names)

    def loss(*values: torch.Tensor) -> torch.Tensor:
        given = dict(zip(names, values, strict=True))
        return block_inverse(given, states, offsets, rows=rows)

    assert torch.autograd.gradcheck(loss, leaves, fast_mode=True)
    far = {
        name: leaf.detach().clone() for name, leaf in zip(names, leaves, strict=True)
    }
    far["last"] *= 1e6
    for one in far.values():
        one.requires_grad_()
    found = block_inverse(far, states, offsets, rows=rows)
    found.sum().backward()
    assert found.max().item() == pytest.approx(10.0)
    assert all(bool(one.grad.isfinite().all()) for one in far.values())


def test_the_same_seed_gives_the_same_block() -> None:
    one, same, other = (block_parameters(4, 8, heads=2, seed=s) for s in (3, 3, 4))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["query"], other["query"])
    assert one["enter"].abs().max() <= 1 / 2  # 1/√4, as torch.nn.Linear begins


def test_what_is_no_block_is_refused() -> None:
    head, (states, offsets) = made(), states_of(3, 2)
    zero = torch.tensor([0])
    wrong = [
        lambda: block_parameters(0, 8),
        lambda: block_parameters(4, 6, heads=2),
        lambda: block_parameters(4, 8, heads=0),
        lambda: block_inverse(head, states, offsets, rows=zero, most=math.inf),
        lambda: block_inverse(head, states, offsets, rows=zero + 5),
        lambda: block_inverse(head, states, offsets, rows=zero - 1),
        lambda: block_inverse(head, states, offsets[:2], rows=zero),
        lambda: block_inverse(head, states, offsets[1:], rows=zero),
        lambda: block_inverse(head, states, offsets[[0, 0, 2]], rows=zero),
    ]
    for call in wrong:
        with pytest.raises(InvalidInput):
            call()
