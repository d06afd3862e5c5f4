"""Draws that go down a tree: the same distribution, hardly moved by rounding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nescio.errors import InvalidInput
from nescio.kernel import LEVELS, Sampling, draw, process

BLOCK, STRIP = 1024, 32
LAST = 1.0 - 2.0**-53
SETTINGS = [
    Sampling(),
    Sampling(temperature=0.6),
    Sampling(top_k=40),
    Sampling(top_p=0.9),
    Sampling(min_p=0.02),
    Sampling(typical_p=0.8),
    Sampling(temperature=1e-7),
    Sampling(temperature=1.5, top_k=300, top_p=0.95),
]


def by_hand(p: np.ndarray, uniforms: np.ndarray) -> int:
    """The tree, level by level, from probabilities."""
    begin, end = 0, len(p)
    for width, uniform in zip((BLOCK, STRIP, 1), uniforms[::-1], strict=True):
        edges = list(range(begin, end, width))
        masses = np.array([p[e : min(e + width, end)].sum() for e in edges])
        place = np.searchsorted(np.cumsum(masses), uniform * masses.sum(), "right")
        place = min(int(place), int(np.flatnonzero(masses)[-1]))
        begin, end = edges[place], min(edges[place] + width, end)
    return begin


@pytest.mark.parametrize("sampling", SETTINGS, ids=str)
@pytest.mark.parametrize("vocab", [1, 33, 1500, 3000])
def test_a_draw_is_that_of_the_tree_by_hand(sampling, vocab):
    rng = np.random.default_rng(vocab)
    logits = rng.normal(size=(40, vocab)) * 2
    uniforms = rng.random((40, LEVELS))
    ids, logp = draw(logits, sampling, uniforms)
    wanted = process(logits, sampling)
    assert ids.tolist() == [
        by_hand(np.exp(row), u) for row, u in zip(wanted, uniforms, strict=True)
    ]
    np.testing.assert_allclose(logp, wanted[np.arange(40), ids], rtol=1e-9, atol=1e-12)


def test_within_one_strip_it_is_the_inverse_at_the_first_number():
    rng = np.random.default_rng(1)
    logits, uniforms = rng.normal(size=(200, STRIP)), rng.random((200, LEVELS))
    np.testing.assert_array_equal(
        draw(logits, Sampling(), uniforms)[0],
        draw(logits, Sampling(), uniforms[:, 0])[0],
    )


@pytest.mark.parametrize("sampling", SETTINGS[:6], ids=str)
def test_tokens_come_up_as_often_as_they_are_probable(sampling):
    rng = np.random.default_rng(2)
    row, count = rng.normal(size=1500) * 3, 6_000
    logits = np.broadcast_to(row, (count, len(row)))
    ids, _ = draw(logits, sampling, rng.random((count, LEVELS)))
    expected = np.exp(process(row[None], sampling)[0]) * count
    found = np.bincount(ids, minlength=len(row))
    likely = expected > 5
    chi_square = ((found - expected)[likely] ** 2 / expected[likely]).sum()
    freedom = int(likely.sum())
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom)
    assert not found[expected == 0].any()


@pytest.mark.parametrize("uniform", [0.0, 5e-324, 0.5, LAST])
@pytest.mark.parametrize("possible", [[0], [2999], [31, 32], [1023, 1024], [0, 2999]])
def test_impossible_tokens_are_never_drawn(uniform, possible):
    logits = np.full((1, 3000), -np.inf)
    logits[0, possible] = 3.0
    ids, _ = draw(logits, Sampling(), np.full((1, LEVELS), uniform))
    assert ids[0] == (possible[-1] if uniform >= 0.5 else possible[0])


def test_rounding_of_the_logits_moves_far_fewer_draws_than_one_number_does():
    rng = np.random.default_rng(3)
    logits = (rng.normal(size=(60, 40_000)) * 2.5).astype(np.float32)
    moved = logits + rng.normal(size=logits.shape).astype(np.float32) * 2e-5
    one = tree = 0
    for _ in range(10):
        uniforms = rng.random((60, LEVELS))
        first = uniforms[:, 0].copy()
        one += int(
            (
                draw(logits, Sampling(), first)[0] != draw(moved, Sampling(), first)[0]
            ).sum()
        )
        tree += int(
            (
                draw(logits, Sampling(), uniforms)[0]
                != draw(moved, Sampling(), uniforms)[0]
            ).sum()
        )
    assert one >= 3
    assert tree <= 1


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    vocab=st.integers(1, 2200),
    scale=st.sampled_from([0.0, 3.0, 300.0]),
    uniforms=st.lists(st.floats(0, LAST), min_size=LEVELS, max_size=LEVELS),
)
def test_whatever_the_numbers_a_possible_token_is_drawn(seed, vocab, scale, uniforms):
    logits = np.random.default_rng(seed).normal(size=(1, vocab)) * scale
    ids, logp = draw(logits, Sampling(), np.array([uniforms]))
    assert 0 <= ids[0] < vocab
    assert logp[0] > -np.inf


@pytest.mark.parametrize("shape", [(2, 2), (2, 4), (2, 0)])
def test_other_shapes_of_numbers_are_refused(shape):
    with pytest.raises(InvalidInput, match="uniforms have shape"):
        draw(np.zeros((2, 5)), Sampling(), np.zeros(shape))
