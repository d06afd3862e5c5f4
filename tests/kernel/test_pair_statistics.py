"""Pair statistics against SciPy's own relative entropies, and against laws."""

import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, rel_entr

from nescio.errors import InvalidDistribution, InvalidInput
from nescio.kernel import pair_statistics, row_statistics

MIB = 2**20


def expected(p_logits, q_logits):
    p = np.exp(log_softmax(p_logits.astype(np.float64), axis=1))
    q = np.exp(log_softmax(q_logits.astype(np.float64), axis=1))
    middle = (p + q) / 2
    js = (rel_entr(p, middle) + rel_entr(q, middle)).sum(axis=1) / 2
    return rel_entr(p, q).sum(axis=1), rel_entr(q, p).sum(axis=1), js, p, q


@pytest.mark.parametrize("vocab", [1, 2, 50, 8193, 20_011])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("distance", [0.01, 1.0, 8.0])
def test_every_pair_statistic_agrees_with_scipy(vocab, dtype, distance):
    rng = np.random.default_rng(vocab)
    p_logits = (rng.normal(size=(6, vocab)) * 3).astype(dtype)
    q_logits = p_logits + (rng.normal(size=(6, vocab)) * distance).astype(dtype)
    targets = rng.integers(0, vocab, 6)
    found = pair_statistics(p_logits, q_logits, targets)
    forward, backward, js, p, q = expected(p_logits, q_logits)
    np.testing.assert_allclose(found.kl_forward, forward, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.kl_backward, backward, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.js, js, rtol=1e-9, atol=1e-12)
    same = p_logits.argmax(axis=1) == q_logits.argmax(axis=1)
    np.testing.assert_array_equal(found.same_top, same)
    at = np.arange(6), targets
    np.testing.assert_allclose(found.delta_p, p[at] - q[at], atol=1e-14)


def test_two_coins_give_the_numbers_computed_by_hand():
    found = pair_statistics(np.log([[0.5, 0.5]]), np.log([[0.25, 0.75]]), np.array([0]))
    assert found.kl_forward[0] == pytest.approx(0.5 * math.log(4 / 3), abs=1e-15)
    assert found.kl_backward[0] == pytest.approx(
        0.25 * math.log(0.5) + 0.75 * math.log(1.5), abs=1e-15
    )
    assert found.delta_p[0] == pytest.approx(0.25, abs=1e-15)


def test_disjoint_supports_give_infinite_kl_and_js_of_log_two():
    p = np.array([[0.0, 1.0, -np.inf, -np.inf]])
    q = np.array([[-np.inf, -np.inf, 2.0, 5.0]])
    found = pair_statistics(p, q)
    assert found.kl_forward[0] == np.inf
    assert found.kl_backward[0] == np.inf
    assert found.js[0] == math.log(2)
    assert not found.same_top[0]


def test_only_the_side_that_allows_more_has_an_infinite_kl():
    narrow = np.array([[0.0, 0.0, -np.inf]])
    wide = np.array([[0.0, 0.0, 0.0]])
    found = pair_statistics(narrow, wide, np.array([2]))
    assert found.kl_forward[0] == pytest.approx(math.log(1.5), abs=1e-15)
    assert found.kl_backward[0] == np.inf
    assert found.delta_p[0] == pytest.approx(-1 / 3, abs=1e-15)


def test_tokens_forbidden_by_both_change_nothing():
    rng = np.random.default_rng(0)
    p, q = rng.normal(size=(2, 3, 9000))
    wide = np.full((2, 3, 18_000), -np.inf)
    wide[:, :, ::2] = p, q
    plain, masked = pair_statistics(p, q), pair_statistics(*wide)
    for name in ("kl_forward", "kl_backward", "js"):
        np.testing.assert_allclose(
            getattr(masked, name), getattr(plain, name), rtol=1e-12
        )


def test_support_is_read_off_the_logits_even_where_p_is_too_small_for_a_float():
    p = np.array([[0.0, -2000.0, -3000.0]])
    q = np.array([[0.0, -1000.0, -np.inf]])
    found = pair_statistics(p, q)
    assert found.kl_forward[0] == np.inf
    assert found.kl_backward[0] == 0.0


def test_finite_but_huge_masks_give_a_finite_kl():
    lowest = float(np.finfo(np.float32).min)
    found = pair_statistics(
        np.array([[0.0, 0.0]], np.float32), np.array([[0.0, lowest]], np.float32)
    )
    assert found.kl_forward[0] == pytest.approx(-lowest / 2)
    assert found.kl_backward[0] == pytest.approx(math.log(2))


def test_a_divergence_far_below_single_precision_keeps_its_digits():
    # KL and JS of p and p + e on logits are e^2 Var / 2 and e^2 Var / 8 to order e^3.
    rng = np.random.default_rng(1)
    p = rng.normal(size=(1, 50_000))
    step = rng.normal(size=(1, 50_000))
    weight = np.exp(log_softmax(p, axis=1))
    variance = (weight * step**2).sum() - (weight * step).sum() ** 2
    found = pair_statistics(p, p + 1e-6 * step)
    assert found.kl_forward[0] == pytest.approx(variance * 1e-12 / 2, rel=1e-2)
    assert found.js[0] == pytest.approx(variance * 1e-12 / 8, rel=1e-4)


def test_of_equal_top_tokens_the_lower_id_counts():
    p = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    q = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert pair_statistics(p, q).same_top.tolist() == [True, False]


def test_the_two_models_may_have_different_precisions():
    rng = np.random.default_rng(2)
    p = rng.normal(size=(3, 700))
    tensor = torch.from_numpy(rng.normal(size=(3, 700))).to(torch.bfloat16)
    found = pair_statistics(p, tensor.view(torch.uint16).numpy(), q_dtype="bfloat16")
    forward, backward, js, _, _ = expected(p, tensor.double().numpy())
    np.testing.assert_allclose(found.kl_forward, forward, rtol=1e-10)
    np.testing.assert_allclose(found.kl_backward, backward, rtol=1e-10)
    np.testing.assert_allclose(found.js, js, rtol=1e-10)


def test_no_rows_and_no_targets_give_empty_arrays_and_nothing():
    found = pair_statistics(np.zeros((0, 5)), np.zeros((0, 5)))
    assert found.kl_forward.shape == (0,)
    assert found.same_top.shape == (0,)
    assert found.delta_p is None


def test_different_vocabularies_are_refused():
    with pytest.raises(InvalidInput, match=r"\(2, 4\) and \(2, 5\)"):
        pair_statistics(np.zeros((2, 4)), np.zeros((2, 5)))


@pytest.mark.parametrize("side", [0, 1])
def test_nan_in_either_model_is_refused_by_row_and_column(side):
    logits = np.zeros((2, 9, 6))
    logits[side, 7, 4] = np.nan
    with pytest.raises(InvalidDistribution, match=r"row 7 .* NaN in column 4"):
        pair_statistics(*logits)


def test_a_target_outside_the_vocabulary_is_refused():
    with pytest.raises(InvalidInput, match="target 5 in row 0"):
        pair_statistics(np.zeros((1, 5)), np.zeros((1, 5)), np.array([5]))


def test_scratch_stays_below_eight_mebibytes_for_four_thousand_rows():
    line = np.random.default_rng(3).normal(size=64 * 4096 + 256)
    logits = np.lib.stride_tricks.sliding_window_view(line, 256)[: 64 * 4096 : 64]
    tracemalloc.start()
    try:
        found = pair_statistics(logits, logits[::-1], np.zeros(4096, int))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - sum(array.nbytes for array in vars(found).values()) < 8 * MIB


def test_a_caller_who_raises_on_every_floating_point_flag_is_not_disturbed():
    p = np.array([[1e4, -1e4, -np.inf, 0.0]])
    q = np.array([[-np.inf, 0.0, -np.inf, 1.0]])
    with np.errstate(all="raise"):
        found = pair_statistics(p, q, np.array([1]))
    assert found.kl_forward[0] == np.inf
    assert found.js[0] == pytest.approx(math.log(2), abs=1e-15)


number = st.one_of(st.floats(-60, 60), st.just(-math.inf))
pairs_of_rows = st.integers(1, 30).flatmap(
    lambda vocab: st.tuples(
        *[st.lists(number, min_size=vocab, max_size=vocab) for _ in range(2)]
    )
)
possible_pairs = pairs_of_rows.filter(
    lambda pair: min(max(row) for row in pair) > -math.inf
)


@settings(max_examples=50)
@given(pair=possible_pairs)
def test_divergences_are_never_negative_and_js_is_at_most_log_two(pair):
    p, q = (np.array([row]) for row in pair)
    found = pair_statistics(p, q, np.array([0]))
    assert found.kl_forward[0] >= 0.0
    assert found.kl_backward[0] >= 0.0
    assert 0.0 <= found.js[0] <= math.log(2)
    assert -1.0 <= found.delta_p[0] <= 1.0


@settings(max_examples=50)
@given(pair=possible_pairs)
def test_exchanging_the_models_exchanges_the_kls_and_keeps_js(pair):
    p, q = (np.array([row]) for row in pair)
    one, other = (
        pair_statistics(p, q, np.array([0])),
        pair_statistics(q, p, np.array([0])),
    )
    assert one.kl_forward[0] == pytest.approx(other.kl_backward[0], abs=1e-12)
    assert one.js[0] == pytest.approx(other.js[0], abs=1e-15)
    assert one.delta_p[0] == -other.delta_p[0]
    assert one.same_top[0] == other.same_top[0]


@settings(max_examples=50)
@given(pair=possible_pairs)
def test_a_model_has_no_divergence_from_itself(pair):
    p = np.array([pair[0]])
    found = pair_statistics(p, p.copy(), np.array([0]))
    assert found.kl_forward[0] == 0.0
    assert found.kl_backward[0] == 0.0
    assert found.js[0] == 0.0
    assert found.delta_p[0] == 0.0
    assert found.same_top[0]


@settings(max_examples=50)
@given(pair=possible_pairs)
def test_kl_to_the_uniform_distribution_is_log_vocabulary_minus_entropy(pair):
    p = np.array([pair[0]])
    found = pair_statistics(p, np.zeros_like(p))
    entropy = row_statistics(p).entropy[0]
    assert found.kl_forward[0] == pytest.approx(
        math.log(p.size) - entropy, rel=1e-10, abs=1e-12
    )
