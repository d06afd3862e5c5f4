"""Entropy intervals: hand numbers, every distribution tried, both ends attained."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nescio.errors import InvalidDistribution, InvalidInput
from nescio.information import (
    entropy_bounds,
    ragged_entropy_bounds,
    single_precision_bounds,
)

NAN = math.nan
CLOSE = 1e-11
HALF = math.log(0.5)


def entropy(p: np.ndarray) -> float:
    held = p[p > 0.0]
    return math.fsum((-held * np.log(held)).tolist())


def logs(p) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.asarray(p, dtype=np.float64)))


def ends(p, **options) -> tuple[float, float]:
    low, high = entropy_bounds(logs(p), **options)
    return float(low), float(high)


def every_top(p: np.ndarray, seed: int = 0) -> np.ndarray:
    """Row k holds the log-probabilities of the k most probable, in a random order."""
    falling = np.sort(p)[::-1]
    rows = np.tile(logs(falling), (len(p) + 1, 1))
    rows[np.arange(len(p)) >= np.arange(len(p) + 1)[:, None]] = NAN
    return np.random.default_rng(seed).permuted(rows, axis=1)


def normal(weights) -> np.ndarray:
    weights = np.asarray(weights, dtype=np.float64)
    return weights / weights.sum()


@st.composite
def distributions(draw) -> np.ndarray:
    """Full distributions: flat, steep, near one-hot, tied, with zeros."""
    weight = st.one_of(
        st.sampled_from([0.0, 1.0, 1.0, 2.0, 1e-3, 1e-9, 1e-200, 1e9]),
        st.floats(0.0, 1.0),
    )
    few = st.lists(weight, min_size=1, max_size=8).filter(lambda w: sum(w) > 1e-9)
    if draw(st.booleans()):
        return normal(draw(few))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.integers(1, 300))
    weights = rng.gamma(draw(st.sampled_from([0.02, 0.3, 1.0, 20.0])), size=size)
    if draw(st.booleans()):
        weights = np.round(weights, 1)  # ties and zeros
    weights[0] += draw(st.sampled_from([1e-3, 1.0, 1e6]))
    return normal(weights)


def test_the_oracle_of_the_definition():
    assert ends([0.5, 0.2], vocabulary_size=10) == pytest.approx(
        (1.220607, 1.653485), abs=1e-6
    )


def test_the_oracle_term_by_term():
    known = -0.5 * math.log(0.5) - 0.2 * math.log(0.2)
    low = known - 0.2 * math.log(0.2) - 0.1 * math.log(0.1)
    high = known - 0.3 * math.log(0.3 / 8)
    expected = pytest.approx((low, high), abs=1e-14)
    assert ends([0.5, 0.2], vocabulary_size=10) == expected
    assert ends([NAN, 0.2, NAN, 0.5, NAN], vocabulary_size=10) == expected


@pytest.mark.parametrize(
    ("p", "size", "expected"),
    [
        ([], 8, (0.0, math.log(8))),
        ([], 1, (0.0, 0.0)),
        ([], None, (0.0, math.inf)),
        ([1.0], 5, (0.0, 0.0)),
        ([1.0], None, (0.0, 0.0)),
        ([0.5, 0.5], None, (math.log(2), math.log(2))),
        ([0.5, 0.5, 0.0], None, (math.log(2), math.log(2))),
        ([0.5], 2, (math.log(2), math.log(2))),
        ([0.5], None, (math.log(2), math.inf)),
        ([0.25], 4, (math.log(4), math.log(4))),
        ([0.1] * 10, 10, (math.log(10), math.log(10))),
    ],
)
def test_simple_rows_by_hand(p, size, expected):
    assert ends(p, vocabulary_size=size) == pytest.approx(expected, abs=CLOSE)


@given(distributions())
def test_the_entropy_lies_inside_for_every_k_and_more_atoms_never_widen(p):
    truth = entropy(p)
    for size in (len(p), None):
        low, high = entropy_bounds(every_top(p), vocabulary_size=size)
        assert (low <= truth + CLOSE).all()
        assert (high >= truth - CLOSE).all()
        assert (np.diff(low) >= -CLOSE).all()
        assert (high[1:] <= high[:-1] + CLOSE).all()
    low, high = entropy_bounds(every_top(p), vocabulary_size=len(p))
    assert (low[-1], high[-1]) == pytest.approx((truth, truth), abs=CLOSE)
    assert (low >= 0.0).all()
    assert (high <= math.log(len(p))).all()


@given(distributions(), st.data())
def test_both_ends_are_the_entropies_of_distributions_with_that_top(p, data):
    size = len(p)
    k = data.draw(st.integers(0, size))
    top = np.sort(p)[::-1][:k]
    low, high = ends(top, vocabulary_size=size)
    rest = max(0.0, 1.0 - math.fsum(top.tolist()))
    cap = float(top[-1]) if k else 1.0
    flat = np.full(size - k, rest / max(size - k, 1))
    packed = np.zeros(size - k)
    left = rest
    for place in range(size - k):
        packed[place] = min(cap, left)
        left -= packed[place]
    for others, end in ((flat, high), (packed, low)):
        assert (others <= cap * (1 + 1e-9) + 1e-15).all()
        whole = np.concatenate([top, others])
        assert whole.sum() == pytest.approx(1.0, abs=1e-12)
        assert entropy(whole) == pytest.approx(end, abs=1e-10)


def parts(total: int, most: int, count: int):
    """Every way to write a total as ``count`` falling numbers from 0 to ``most``."""
    if count == 0:
        if total == 0:
            yield ()
        return
    for first in range(min(total, most), -1, -1):
        for others in parts(total - first, first, count - 1):
            yield (first, *others)


@pytest.mark.parametrize("grain", [12, 15])
def test_of_all_distributions_on_a_grid_none_is_outside_and_the_least_is_reached(grain):
    size, found = 5, {}
    for whole in parts(grain, grain, size):
        p = np.array(whole) / grain
        for k in range(size + 1):
            found.setdefault(whole[:k], []).append(entropy(p))
    for top, entropies in found.items():
        low, high = ends(np.array(top) / grain, vocabulary_size=size)
        assert low == pytest.approx(min(entropies), abs=CLOSE)
        assert high >= max(entropies) - CLOSE
        if (grain - sum(top)) % max(size - len(top), 1) == 0:
            assert high == pytest.approx(max(entropies), abs=CLOSE)


@given(distributions(), st.data())
def test_a_drawn_token_tightens_and_never_excludes_the_truth(p, data):
    falling = np.sort(p)[::-1]
    k = data.draw(st.integers(0, len(p) - 1))
    drawn = logs(falling[data.draw(st.integers(k, len(p) - 1))])
    truth = entropy(p)
    for size in (len(p), None):
        top = logs(falling[:k])
        without = entropy_bounds(top, vocabulary_size=size)
        low, high = entropy_bounds(top, drawn=drawn, vocabulary_size=size)
        assert low <= truth + CLOSE
        assert high >= truth - CLOSE
        assert low >= without[0] - CLOSE
        assert high <= without[1] + CLOSE


def test_a_drawn_token_may_be_as_impossible_as_the_listed_ones():
    for least, drawn in ((-math.inf, -math.inf), (-math.inf, -9999.0), (-9999.0, -800)):
        both = entropy_bounds(np.array([0.0, least]), drawn=drawn, vocabulary_size=9)
        assert both == (0.0, 0.0)


def test_a_drawn_token_is_no_cap_for_the_tokens_between():
    low, high = entropy_bounds(logs([0.5]), drawn=math.log(0.01), vocabulary_size=4)
    assert float(low) == pytest.approx(entropy(np.array([0.5, 0.01, 0.49])))
    assert float(high) == pytest.approx(entropy(np.array([0.5, 0.01, 0.245, 0.245])))
    alone = entropy_bounds(np.empty(0), drawn=math.log(0.2), vocabulary_size=9)
    assert float(alone[0]) == pytest.approx(entropy(np.array([0.2, 0.8])))
    assert float(alone[1]) == pytest.approx(entropy(np.array([0.2, *[0.1] * 8])))


@given(distributions(), st.sampled_from([1e-6, 2e-4, 1e-2, 0.2]), st.data())
def test_with_rounding_no_error_it_covers_excludes_the_truth(p, rounding, data):
    """Each atom is moved by its own factor, or all by the same, as far as allowed."""
    seed = data.draw(st.integers(0, 2**32))
    way = data.draw(st.sampled_from(["each", "ends", "up", "down"]))
    rng = np.random.default_rng(seed)
    shift = {
        "each": rng.uniform(-1, 1, len(p)),
        "ends": rng.choice([-1.0, 1.0], len(p)),
        "up": np.ones(len(p)),
        "down": -np.ones(len(p)),
    }[way]
    falling = np.sort(p)[::-1]
    reported = np.minimum(logs(falling) + math.log1p(rounding) * shift, 0.0)
    rows = np.tile(reported, (len(p) + 1, 1))
    rows[np.arange(len(p)) >= np.arange(len(p) + 1)[:, None]] = NAN
    drawn = np.append(reported, NAN)
    truth = entropy(p)
    for size, extra in itertools.product((len(p), None), (None, drawn)):
        low, high = entropy_bounds(
            rows, drawn=extra, vocabulary_size=size, rounding=rounding
        )
        assert (low <= truth + CLOSE).all()
        assert (high >= truth - CLOSE).all()
    exact = entropy_bounds(every_top(p), vocabulary_size=len(p))
    loose = entropy_bounds(every_top(p), vocabulary_size=len(p), rounding=rounding)
    assert (loose[0] <= exact[0] + CLOSE).all()
    assert (loose[1] >= exact[1] - CLOSE).all()


def test_what_the_others_can_hold_is_rounded_too():
    size, off = 10**6, 1e-2
    low, high = ends([1 / size / (1 + off)], vocabulary_size=size, rounding=off)
    assert low < math.log(size) <= high
    assert math.log(size) - low < 20 * off


def test_rounding_is_as_the_definition_has_it():
    off = 2e-4
    top = np.array([0.6, 0.2, 0.1])
    rest = 0.1
    wide = off * (1 + entropy(top))
    low, high = ends(top, vocabulary_size=1000, rounding=off)
    spread = -(rest + off) * math.log((rest + off) / 997)
    assert high == pytest.approx(entropy(top) + spread + wide, abs=CLOSE)
    packed = -(rest - off) * math.log(rest - off)
    assert low == pytest.approx(entropy(top) + packed - wide, abs=CLOSE)
    top, rest = np.array([0.4]), 0.6
    wide = off * (1 + entropy(top))
    low, high = ends(top, vocabulary_size=3, rounding=off)
    over = rest - off - 0.4
    packed = -0.4 * math.log(0.4) - over * math.log(over)
    assert low == pytest.approx(entropy(top) + packed - wide, abs=CLOSE)
    spread = -(rest + off) * math.log((rest + off) / 2)
    assert high == pytest.approx(entropy(top) + spread + wide, abs=CLOSE)
    exact = ends([0.75, 0.25], vocabulary_size=2, rounding=off)
    middle = entropy(np.array([0.75, 0.25]))
    wide = off * (1 + middle)
    assert exact == pytest.approx((middle - wide, middle + wide), abs=CLOSE)


def test_with_rounding_a_complete_row_of_an_unknown_vocabulary_is_unbounded():
    assert ends([0.5, 0.5], rounding=1e-9)[1] == math.inf
    assert ends([0.5, 0.5, 0.0], rounding=1e-9)[1] == pytest.approx(math.log(2))
    assert ends([0.6, 0.4001], rounding=2e-4)[1] == math.inf


def test_the_ends_stay_between_nothing_and_a_flat_row():
    assert ends([1.0], vocabulary_size=2, rounding=0.5)[0] == 0.0
    assert ends([0.5, 0.5], vocabulary_size=2, rounding=0.5)[1] == math.log(2)


def test_single_precision_counts_as_rounded():
    rng = np.random.default_rng(3)
    for concentration in (0.01, 0.3, 5.0):
        p = np.sort(rng.dirichlet(np.full(500, concentration), 50))[:, ::-1]
        truth = [entropy(row) for row in p]
        for k in (0, 1, 5, 100, 499, 500):
            top = logs(p[:, :k]).astype(np.float32)
            low, high = entropy_bounds(top, vocabulary_size=500)
            assert (low <= truth).all()
            assert (high >= truth).all()
            if k == 500:
                assert (high - low < 1e-3).all()
    assert entropy_bounds(logs([0.5, 0.5]).astype(np.float32))[1] == math.inf


def test_rows_of_any_shape_are_taken_row_by_row():
    p = np.array([[[0.5, 0.2], [0.9, 0.05]], [[1.0, NAN], [NAN, NAN]]])
    drawn = logs([[NAN, 0.01], [NAN, 0.3]])
    low, high = entropy_bounds(logs(p), drawn=drawn, vocabulary_size=10)
    assert low.shape == high.shape == (2, 2)
    for place in np.ndindex(2, 2):
        alone = entropy_bounds(
            logs(p)[place], drawn=float(drawn[place]), vocabulary_size=10
        )
        assert (low[place], high[place]) == alone
    none = entropy_bounds(np.empty((0, 4)), vocabulary_size=10)
    assert [len(end) for end in none] == [0, 0]


@given(
    st.lists(st.lists(st.sampled_from([0.2, 0.1, 0.02, NAN, 0.0]), max_size=3)),
    st.sampled_from([None, 50]),
    st.booleans(),
)
def test_ragged_rows_are_the_same_rows(rows, size, with_drawn):
    width = max(map(len, rows), default=0)
    rows = [[1.0, 0.0] if 0.0 in row else [0.2, *row] for row in rows]
    padded = np.full((len(rows), width + 1), NAN)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row
    drawn = logs(np.where(np.arange(len(rows)) % 2, NAN, 0.0)) if with_drawn else None
    options = {"drawn": drawn, "vocabulary_size": size, "rounding": 1e-3}
    dense = entropy_bounds(logs(padded), **options)
    flat = logs(np.array([p for row in rows for p in row], dtype=np.float64))
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    ragged = ragged_entropy_bounds(offsets, flat, **options)
    for one, other in zip(dense, ragged, strict=True):
        assert one.tolist() == pytest.approx(other.tolist(), abs=CLOSE)


def test_ragged_rows_may_be_empty_first_last_and_between():
    offsets = np.array([0, 0, 2, 2, 3, 3])
    low, high = ragged_entropy_bounds(offsets, logs([0.5, 0.5, 1.0]), vocabulary_size=4)
    full, two = math.log(4), math.log(2)
    assert low.tolist() == pytest.approx([0.0, two, 0.0, 0.0, 0.0])
    assert high.tolist() == pytest.approx([full, two, full, 0.0, full])


def test_a_trace_keeps_both_ends_rounded_outwards():
    rng = np.random.default_rng(1)
    exact = rng.exponential(size=1000)
    low, high = single_precision_bounds(exact, exact)
    assert (low <= exact).all()
    assert (high >= exact).all()
    assert (high - low <= 2e-7 * (1 + exact)).all()
    low, high = single_precision_bounds(np.array([0.0]), np.array([np.inf]))
    assert (low[0], high[0]) == (0.0, math.inf)


@pytest.mark.parametrize(
    ("logp", "options", "message"),
    [
        ([[HALF], [0.5]], {}, r"row 1 has a log-probability of 0\.5"),
        ([[math.inf]], {"rounding": 0.1}, r"row 0 has a log-probability of inf"),
        (logs([[0.9, 0.2]]), {}, r"row 0 has probabilities that sum to 1\.1"),
        (logs([[0.5, 0.5], [0.5, 0.51]]), {"rounding": 1e-3}, "row 1 has prob"),
        (logs([[[0.5], [0.9]], [[0.1], [0.2]]]), {"vocabulary_size": 4},
         r"row \(1, 0\) leaves 0\.9 .* 3 unlisted .* 0\.1: these are not"),
        (logs([0.5, 0.0]), {}, r"the row leaves 0\.5 of the probability to inf"),
        (logs([0.5, 0.4]), {"vocabulary_size": 2}, r"leaves 0\.1 .* 0 unlisted"),
        (logs([0.5, 0.4]), {"vocabulary_size": 2, "rounding": 0.05}, "by more than"),
        (logs([[0.3]]), {"drawn": logs([0.4])}, r"drawn token of probability 0\.4"),
        (logs([[0.8]]), {"drawn": logs([0.3])}, r"sum to 1\.1"),
        (logs([[0.8]]), {"drawn": np.array([0.1])}, "at most 0"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_are_refused_by_their_place(logp, options, message):
    with pytest.raises(InvalidDistribution, match=message):
        entropy_bounds(np.asarray(logp), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocabulary_size": 1}, "row 1 has 2 tokens, more than the vocabulary_size"),
        ({"vocabulary_size": 0}, "vocabulary_size is 0"),
        ({"vocabulary_size": -3}, "vocabulary_size is -3"),
        ({"rounding": -1e-9}, "rounding is -1e-09"),
        ({"rounding": 1.0}, "rounding is 1.0"),
        ({"rounding": NAN}, "rounding is nan"),
        ({"rounding": math.inf}, "rounding is inf"),
    ],
)
def test_requests_that_make_no_sense_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        entropy_bounds(logs([[1.0, NAN], [0.5, 0.5]]), **options)


@pytest.mark.parametrize(
    "offsets", [[], [0], [0, 1], [0, 3], [1, 2], [0, 2, 1, 2], [-1, 2]]
)
def test_offsets_that_do_not_hold_the_numbers_are_refused(offsets):
    with pytest.raises(InvalidInput, match="offsets have to rise from 0 to 2"):
        ragged_entropy_bounds(np.array(offsets, dtype=np.int64), logs([0.5, 0.5]))


def test_candidates_just_above_one_by_rounding_are_taken():
    low, high = entropy_bounds(np.array([1e-5]), vocabulary_size=9, rounding=2e-5)
    assert low == 0.0
    assert 0.0 < high < 1e-3
