"""Row statistics against float64 NumPy and SciPy written out, and against laws."""

import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax as scipy_log_softmax
from scipy.special import logsumexp as scipy_logsumexp

from nescio.errors import InvalidDistribution, InvalidInput
from nescio.kernel import log_softmax, row_statistics
from nescio.kernel.tiles import as_rows, as_targets

SIZES = (1, 2, 50, 700, 4111, 20_011)
MIB = 2**20


def masked(rng, rows, vocab):
    logits = rng.normal(size=(rows, vocab)) * 3
    logits[rng.random(logits.shape) < 0.4] = -np.inf
    logits[np.arange(rows), rng.integers(0, vocab, rows)] = 1.0
    return logits


def leading_block(rng, rows, vocab):
    logits = rng.normal(size=(rows, vocab))
    logits[:, : vocab // 2] = -np.inf
    return logits


def one_hot(rng, rows, vocab):
    logits = np.zeros((rows, vocab))
    logits[np.arange(rows), rng.integers(0, vocab, rows)] = 1e4
    return logits


def one_finite(rng, rows, vocab):
    logits = np.full((rows, vocab), -np.inf)
    logits[np.arange(rows), rng.integers(0, vocab, rows)] = -7.0
    return logits


KINDS = {
    "random": lambda rng, rows, vocab: rng.normal(size=(rows, vocab)) * 3,
    "constant": lambda _rng, rows, vocab: np.full((rows, vocab), 2.5),
    "one hot": one_hot,
    "one finite": one_finite,
    "masked": masked,
    "leading -inf": leading_block,
    "huge": lambda rng, rows, vocab: rng.uniform(-1e4, 1e4, (rows, vocab)),
    "huge and close": lambda rng, rows, vocab: 1e4 + rng.normal(size=(rows, vocab)),
    "ties": lambda rng, rows, vocab: rng.integers(0, 5, (rows, vocab)) * 1.0,
    "far below": lambda rng, rows, vocab: -1e4 - rng.exponential(5, (rows, vocab)),
}


def expected(logits, targets, orders=()):
    """The definitions, one after another, in float64."""
    logits = logits.astype(np.float64)
    logp = scipy_log_softmax(logits, axis=1)
    p = np.exp(logp)
    possible = p > 0
    surprisal = np.where(possible, -logp, 0.0)
    entropy = (p * surprisal).sum(axis=1)
    deviation = np.where(possible, surprisal - entropy[:, None], 0.0)
    at = np.arange(len(logits)), targets
    with np.errstate(invalid="ignore"):  # 0 * -inf, which is then left out
        powers = [
            scipy_logsumexp(
                np.where(logp > -np.inf, (1 - order) * logp, -np.inf), axis=1
            )
            for order in orders
        ]
    return {
        "logsumexp": scipy_logsumexp(logits, axis=1),
        "entropy": entropy,
        "varentropy": (p * deviation**2).sum(axis=1),
        "logp": logp[at],
        "rank": (logits > logits[at][:, None]).sum(axis=1) + 1,
        "log_renyi": np.array(powers).T,
    }


def best_first(row, top):
    return np.argsort(-row, kind="stable")[:top].tolist()


def close(found, wanted, tolerance=1e-6):
    both_impossible = (found == -np.inf) & (wanted == -np.inf)
    with np.errstate(invalid="ignore"):
        gap = np.where(both_impossible, 0.0, np.abs(found - wanted))
    assert np.all(gap <= tolerance * np.maximum(1.0, np.abs(wanted)))


def check(found, logits, targets, top):
    wanted = expected(logits, targets)
    close(found.logsumexp, wanted["logsumexp"])
    close(found.entropy, wanted["entropy"])
    close(found.logp, wanted["logp"])
    spread = np.abs(found.varentropy - wanted["varentropy"])
    assert np.all(spread <= 1e-5 * np.maximum(1.0, wanted["entropy"] ** 2))
    np.testing.assert_array_equal(found.rank, wanted["rank"])
    ids = np.array([best_first(row, top) for row in logits])
    np.testing.assert_array_equal(found.top_ids, ids)
    logp = scipy_log_softmax(logits.astype(np.float64), axis=1)
    close(found.top_logp, np.take_along_axis(logp, ids, axis=1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("vocab", SIZES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_statistic_agrees_with_the_definitions(kind, vocab, dtype):
    rng = np.random.default_rng(vocab)
    logits = KINDS[kind](rng, 6, vocab).astype(dtype)
    targets = rng.integers(0, vocab, 6)
    check(row_statistics(logits, targets, top=20), logits, targets, 20)


@pytest.mark.parametrize("kind", ["random", "masked", "ties", "huge"])
def test_half_precision_is_read_exactly(kind):
    rng = np.random.default_rng(1)
    logits = KINDS[kind](rng, 5, 9000).astype(np.float16)
    targets = rng.integers(0, 9000, 5)
    check(row_statistics(logits, targets, top=20), logits, targets, 20)


@pytest.mark.parametrize("kind", ["random", "masked", "ties", "huge"])
def test_bfloat16_bit_patterns_are_read_exactly(kind):
    rng = np.random.default_rng(2)
    tensor = torch.from_numpy(KINDS[kind](rng, 5, 9000)).to(torch.bfloat16)
    bits, values = tensor.view(torch.uint16).numpy(), tensor.double().numpy()
    targets = rng.integers(0, 9000, 5)
    found = row_statistics(bits, targets, top=20, dtype="bfloat16")
    check(found, values, targets, 20)


def test_a_vocabulary_of_262144_is_measured_like_a_small_one():
    rng = np.random.default_rng(3)
    logits = (rng.normal(size=(2, 262_144)) * 3).astype(np.float32)
    logits[1, [5, 260_000, 17]] = 40.0  # ties at the top, far apart
    targets = np.array([262_143, 17])
    check(row_statistics(logits, targets, top=20), logits, targets, 20)


@pytest.mark.parametrize(
    "view",
    [
        lambda whole: whole[::-1],
        lambda whole: whole[:, ::3],
        lambda whole: whole[1::2, 5:],
        np.asfortranarray,
        lambda whole: np.broadcast_to(whole[2], whole.shape),
        lambda whole: whole.astype(">f4"),
    ],
    ids=["reversed", "every third", "part", "by column", "repeated", "big-endian"],
)
def test_strides_and_byte_order_do_not_matter(view):
    rng = np.random.default_rng(4)
    logits = view((rng.normal(size=(7, 12_001)) * 3).astype(np.float32))
    targets = rng.integers(0, logits.shape[1], len(logits))
    check(row_statistics(logits, targets, top=9), logits, targets, 9)


@pytest.mark.parametrize("top", [1, 2, 7, 50, 51, 700, 10**6])
@pytest.mark.parametrize("vocab", [1, 50, 700, 9001, 30_011])
def test_the_top_k_is_the_head_of_the_stable_sort(top, vocab):
    rng = np.random.default_rng(top)
    few_values = rng.integers(0, 30, (3, vocab)) * 0.5
    few_values[1] = rng.normal(size=vocab)
    found = row_statistics(few_values, top=top)
    assert found.top_ids.shape == (3, min(top, vocab))
    assert found.top_ids.tolist() == [best_first(row, top) for row in few_values]


def test_the_top_k_of_a_constant_row_are_the_lowest_ids():
    found = row_statistics(np.zeros((2, 50_000), np.float32), top=20)
    assert found.top_ids.tolist() == [list(range(20))] * 2


def test_impossible_tokens_fill_the_top_k_last_and_by_id():
    logits = np.full((1, 9000), -np.inf)
    logits[0, [8000, 4]] = [1.0, 0.0]
    found = row_statistics(logits, top=4)
    assert found.top_ids.tolist() == [[8000, 4, 0, 1]]
    assert found.top_logp[0, 2:].tolist() == [-np.inf, -np.inf]


def test_a_fair_coin_has_one_bit_and_no_varentropy():
    found = row_statistics(np.zeros((1, 2)), np.array([1]))
    assert found.entropy[0] == pytest.approx(math.log(2), abs=1e-15)
    assert found.varentropy[0] == 0.0
    assert found.logp[0] == pytest.approx(-math.log(2), abs=1e-15)
    assert found.rank[0] == 1


def test_a_biased_coin_has_the_entropy_and_varentropy_of_the_closed_form():
    found = row_statistics(np.log([[0.9, 0.1]]))
    assert found.entropy[0] / math.log(2) == pytest.approx(0.4689955935892812)
    assert found.varentropy[0] == pytest.approx(0.9 * 0.1 * math.log(9) ** 2)


@pytest.mark.parametrize("kind", ["constant", "one finite", "one hot"])
@pytest.mark.parametrize("vocab", [1, 3, 20_011])
def test_varentropy_is_exactly_zero_for_uniform_and_certain_rows(kind, vocab):
    logits = KINDS[kind](np.random.default_rng(0), 3, vocab).astype(np.float32)
    assert row_statistics(logits).varentropy.tolist() == [0.0] * 3


def test_a_tiny_varentropy_keeps_its_digits():
    # p = (1 - e, e): varentropy = e (1 - e) L^2 with L = log((1 - e) / e).
    gap = 60.0
    rare = 1.0 / (1.0 + math.exp(gap))
    found = row_statistics(np.array([[gap, 0.0]]))
    assert found.varentropy[0] == pytest.approx(rare * gap**2, rel=1e-9)


def test_a_nearly_certain_target_keeps_its_digits_far_from_zero():
    found = row_statistics(np.array([[1e4 + 20.0, 1e4]]), np.array([0]))
    assert found.logp[0] == pytest.approx(-math.log1p(math.exp(-20.0)), rel=1e-6)


def test_an_impossible_target_has_logp_minus_infinity_and_the_last_rank():
    logits = np.array([[-np.inf, 2.0, 1.0, -np.inf]])
    found = row_statistics(logits, np.array([3]))
    assert found.logp[0] == -np.inf
    assert found.rank[0] == 3


def test_renyi_sums_agree_with_the_hand_computed_e_process_factors():
    found = row_statistics(np.log([[0.9, 0.1]]), renyi=(0.5, -1))
    half, minus = found.log_renyi[0]
    surprisal = -np.log([0.9, 0.1])
    np.testing.assert_allclose(0.5 * surprisal - half, [-0.182322, 0.916291], atol=1e-6)
    np.testing.assert_allclose(-surprisal - minus, [0.093090, -2.104134], atol=1e-6)


@pytest.mark.parametrize("kind", ["random", "masked", "leading -inf", "one hot"])
def test_renyi_sums_of_any_order_agree_with_the_definition(kind):
    orders = (-2.5, -1, 0, 0.25, 1, 1.5, 3)
    logits = KINDS[kind](np.random.default_rng(5), 4, 9000)
    found = row_statistics(logits, renyi=orders)
    wanted = expected(logits, np.zeros(4, int), orders)["log_renyi"]
    np.testing.assert_allclose(found.log_renyi, wanted, rtol=1e-9, atol=1e-9)


def test_renyi_order_one_counts_the_possible_tokens():
    logits = np.array([[0.0, -np.inf, -700.0, -2000.0]])
    assert row_statistics(logits, renyi=(1,)).log_renyi[0, 0] == pytest.approx(
        math.log(3)
    )


def test_no_rows_give_empty_arrays():
    found = row_statistics(np.zeros((0, 7)), np.zeros(0, int), top=3, renyi=(0.5,))
    assert found.entropy.shape == (0,)
    assert found.rank.shape == (0,)
    assert found.top_ids.shape == (0, 3)
    assert found.log_renyi.shape == (0, 1)
    assert log_softmax(np.zeros((0, 7))).shape == (0, 7)


def test_nothing_is_returned_for_what_was_not_asked():
    found = row_statistics(np.zeros((2, 3)))
    assert found.logp is None
    assert found.rank is None
    assert found.log_renyi is None
    assert found.top_ids.shape == (2, 0)


@pytest.mark.parametrize("vocab", [5, 700, 20_011])
def test_a_row_gives_the_same_bits_whatever_stands_beside_it(vocab):
    rng = np.random.default_rng(6)
    logits = (rng.normal(size=(11, vocab)) * 3).astype(np.float32)
    targets = rng.integers(0, vocab, 11)
    together = row_statistics(logits, targets, top=5, renyi=(0.5,))
    for row in range(11):
        part = slice(row, row + 1)
        alone = row_statistics(logits[part], targets[part], top=5, renyi=(0.5,))
        for name in ("logsumexp", "entropy", "varentropy", "logp", "log_renyi"):
            assert getattr(alone, name)[0].tobytes() == (
                getattr(together, name)[row].tobytes()
            )


def test_the_input_is_left_as_it_was():
    logits = KINDS["masked"](np.random.default_rng(7), 3, 9000)
    before = logits.copy()
    row_statistics(logits, np.zeros(3, int), top=5, renyi=(0.5,))
    log_softmax(logits)
    np.testing.assert_array_equal(logits, before)


def test_a_caller_who_raises_on_every_floating_point_flag_is_not_disturbed():
    logits = np.array([[1e4, -1e4, -np.inf, 0.0], [1.7e308, -1.7e308, 0.0, 1e-300]])
    with np.errstate(all="raise"):
        found = row_statistics(logits, np.array([2, 0]), top=2, renyi=(0.5, 1.5))
        log_softmax(logits)
    assert found.entropy.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("vocab", [1, 50, 20_011])
def test_log_softmax_agrees_with_scipy(kind, vocab):
    logits = KINDS[kind](np.random.default_rng(8), 5, vocab)
    wanted = scipy_log_softmax(logits, axis=1)
    np.testing.assert_allclose(log_softmax(logits), wanted, rtol=1e-12, atol=1e-12)


def test_log_softmax_reads_bfloat16():
    tensor = torch.tensor([[0.5, -1.25, float("-inf")]], dtype=torch.bfloat16)
    found = log_softmax(tensor.view(torch.uint16).numpy(), dtype="bfloat16")
    wanted = torch.log_softmax(tensor.double(), 1).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-14)


def spoiled(value, dtype=np.float32):
    logits = np.zeros((40, 9000), dtype)
    logits[33, 17] = value
    return logits


@pytest.mark.parametrize("measure", [row_statistics, log_softmax])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, r"\+inf")])
def test_nan_and_infinity_are_refused_by_row_and_column(measure, dtype, value, name):
    with pytest.raises(InvalidDistribution, match=f"row 33 .* {name} in column 17"):
        measure(spoiled(value, dtype))


def test_nan_is_refused_when_the_top_k_is_asked():
    with pytest.raises(InvalidDistribution, match=r"row 33 .* NaN in column 17"):
        row_statistics(spoiled(np.nan), top=20)


def test_nan_in_the_last_column_is_refused_beside_minus_infinity():
    logits = np.full((1, 9001), -np.inf)
    logits[0, 9000] = np.nan
    with pytest.raises(InvalidDistribution, match="column 9000"):
        row_statistics(logits, top=1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_last_columns_are_checked_when_groups_of_columns_leave_a_rest(value):
    logits = np.zeros((1, 9001))
    logits[0, 9000] = value
    with pytest.raises(InvalidDistribution, match="column 9000"):
        row_statistics(logits, top=20)


def test_the_largest_logit_may_stand_in_the_last_column():
    logits = np.zeros((1, 9001))
    logits[0, 9000] = 1e4
    found = row_statistics(logits, top=2)
    assert found.top_ids.tolist() == [[9000, 0]]
    assert found.logsumexp[0] == 1e4


@pytest.mark.parametrize("measure", [row_statistics, log_softmax])
def test_a_row_of_nothing_but_minus_infinity_is_refused(measure):
    logits = np.zeros((5, 6))
    logits[3] = -np.inf
    with pytest.raises(InvalidDistribution, match=r"row 3 .* all of its 6 columns"):
        measure(logits)


@pytest.mark.parametrize("target", [-1, 7, 2**40])
def test_a_target_outside_the_vocabulary_is_refused(target):
    with pytest.raises(InvalidInput, match=rf"target {target} in row 1 .* from 0 to 6"):
        row_statistics(np.zeros((2, 7)), np.array([3, target]))


def test_an_empty_vocabulary_is_refused():
    with pytest.raises(InvalidInput, match="empty vocabulary"):
        row_statistics(np.zeros((2, 0)))


def test_a_negative_top_is_refused():
    with pytest.raises(InvalidInput, match="top is -1"):
        row_statistics(np.zeros((2, 3)), top=-1)


@pytest.mark.parametrize("order", [math.nan, math.inf, -math.inf])
def test_a_renyi_order_that_is_not_finite_is_refused(order):
    with pytest.raises(InvalidInput, match="not finite"):
        row_statistics(np.zeros((2, 3)), renyi=(0.5, order))


@pytest.mark.parametrize(
    ("logits", "dtype", "message"),
    [
        (np.zeros(3), None, "two axes"),
        (np.zeros((1, 2, 3)), None, "two axes"),
        (np.zeros((2, 3), int), None, "logits are int64"),
        (np.zeros((2, 3), np.uint16), None, "with dtype='bfloat16'"),
        (np.zeros((2, 3), np.longdouble), None, "give float64"),
        (np.zeros((2, 3), complex), None, "give float64"),
        (np.zeros((2, 3), np.float32), "bfloat16", "the logits are float32"),
        (np.zeros((2, 3)), "bf16", "dtype='bf16' is unknown"),
    ],
)
def test_logits_of_another_shape_or_type_are_refused(logits, dtype, message):
    with pytest.raises(InvalidInput, match=message):
        as_rows(logits, dtype)


def test_a_number_of_targets_other_than_the_rows_is_refused():
    with pytest.raises(InvalidInput, match="each of the 2 rows"):
        as_targets(np.array([1, 1, 1]), (2, 7))


def scratch(measure):
    """The most memory held at once beyond the result, and nothing of the input."""
    tracemalloc.start()
    try:
        result = measure()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    arrays = [array for array in vars(result).values() if array is not None]
    return peak - sum(array.nbytes for array in arrays)


def many_rows(rows, vocab):
    """Distinct rows that share their memory."""
    line = np.random.default_rng(9).normal(size=64 * rows + vocab)
    windows = np.lib.stride_tricks.sliding_window_view(line.astype(np.float32), vocab)
    return windows[: 64 * rows : 64]


def test_scratch_stays_below_eight_mebibytes_and_does_not_grow_with_the_rows():
    def measured(rows):
        logits, targets = many_rows(rows, 8192), np.zeros(rows, int)
        return scratch(lambda: row_statistics(logits, targets, top=20))

    few, many = measured(64), measured(1024)
    assert many < 8 * MIB
    assert many - few < MIB / 16


def test_scratch_for_half_precision_of_a_large_vocabulary_is_a_few_rows():
    logits = np.zeros((12, 262_144), np.float16)
    logits[:, ::7] = 1.0
    assert scratch(lambda: row_statistics(logits, top=20)) < 16 * MIB


rows_of_logits = st.integers(1, 40).flatmap(
    lambda vocab: st.lists(
        st.one_of(st.floats(-60, 60, width=32), st.just(-math.inf)),
        min_size=vocab,
        max_size=vocab,
    )
)
possible_rows = rows_of_logits.filter(lambda row: max(row) > -math.inf)


@settings(max_examples=50)
@given(row=possible_rows)
def test_entropy_lies_between_zero_and_the_log_of_the_vocabulary(row):
    found = row_statistics(np.array([row]))
    assert 0.0 <= found.entropy[0] <= math.log(len(row))
    assert found.varentropy[0] >= 0.0


@settings(max_examples=50)
@given(row=possible_rows, shift=st.floats(-1e4, 1e4))
def test_adding_a_constant_changes_the_logsumexp_alone(row, shift):
    logits = np.array([row])
    before = row_statistics(logits, np.array([0]), top=len(row), renyi=(0.5,))
    after = row_statistics(logits + shift, np.array([0]), top=len(row), renyi=(0.5,))
    assert after.logsumexp[0] == pytest.approx(before.logsumexp[0] + shift, abs=1e-9)
    assert after.entropy[0] == pytest.approx(before.entropy[0], abs=1e-9)
    assert after.varentropy[0] == pytest.approx(before.varentropy[0], abs=1e-8)
    np.testing.assert_allclose(after.top_logp, before.top_logp, atol=1e-9)
    np.testing.assert_allclose(after.log_renyi, before.log_renyi, atol=1e-9)


@settings(max_examples=50)
@given(row=possible_rows, data=st.data())
def test_permuting_the_vocabulary_permutes_the_ids_alone(row, data):
    order = np.array(data.draw(st.permutations(range(len(row)))))
    logits = np.array([row])
    target = data.draw(st.integers(0, len(row) - 1))
    before = row_statistics(logits, order[[target]], top=3)
    after = row_statistics(logits[:, order], np.array([target]), top=3)
    assert after.rank[0] == before.rank[0]
    assert after.logp[0] == pytest.approx(before.logp[0], abs=1e-12)
    assert after.entropy[0] == pytest.approx(before.entropy[0], abs=1e-12)
    np.testing.assert_allclose(after.top_logp, before.top_logp, atol=1e-12)
    np.testing.assert_array_equal(
        logits[0, order[after.top_ids[0]]], logits[0, before.top_ids[0]]
    )


@settings(max_examples=50)
@given(row=possible_rows)
def test_surprisal_averages_to_the_entropy_and_varies_by_the_varentropy(row):
    found = row_statistics(np.array([row]), top=len(row))
    logp = found.top_logp[0][found.top_logp[0] > -math.inf]
    p = np.exp(logp)
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    assert -(p @ logp) == pytest.approx(found.entropy[0], abs=1e-12)
    spread = p @ (logp + found.entropy[0]) ** 2
    assert spread == pytest.approx(found.varentropy[0], rel=1e-9, abs=1e-12)


@settings(max_examples=50)
@given(row=possible_rows, orders=st.tuples(st.floats(-3, 1), st.floats(-3, 1)))
def test_renyi_sums_are_convex_in_the_order_and_zero_at_order_zero(row, orders):
    low, high = orders
    found = row_statistics(np.array([row]), renyi=(low, (low + high) / 2, high, 0))
    first, middle, last, zero = found.log_renyi[0]
    assert middle <= (first + last) / 2 + 1e-9
    assert zero == pytest.approx(0.0, abs=1e-12)
