"""Rényi sums of what is drawn from, in the same call as the draw."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nescio.errors import InvalidInput
from nescio.kernel import (
    LEVELS,
    Sampling,
    draw,
    draw_with_sums,
    process,
    row_statistics,
)

SETTINGS = [
    Sampling(),
    Sampling(temperature=0.6),
    Sampling(temperature=0),
    Sampling(top_k=40),
    Sampling(top_p=0.9),
    Sampling(temperature=1.5, min_p=0.02),
    Sampling(typical_p=0.3),
    Sampling(temperature=1e-7),
    Sampling(temperature=1e7),
]
LADDERS = [  # of powers 1 - l: whole multiples of a twentieth, of .1, of a third, of 1
    (-1.0, -0.5, -0.25, -0.1, 0.1, 0.25, 0.5),
    (0.9, -0.3, 0.5),
    (1 / 3, -1 / 3),
    (-6, -2, 0),
]
APART = [
    (0.1234567, -2.0, 0.5),
    (1, 1.5, 3),
    (0.3, 1.0, -0.7, 2.5),
    (0.9999, -30.0),
    tuple(np.linspace(-1.0, 0.9, 40)),
]


def by_definition(logp: np.ndarray, orders: tuple[float, ...]) -> np.ndarray:
    found = []
    for row in logp:
        q = row[row > -np.inf].astype(np.longdouble)
        powers = [(1 - np.longdouble(order)) * q for order in orders]
        found.append([float(np.logaddexp.reduce(power)) for power in powers])
    return np.array(found)


@pytest.mark.parametrize("sampling", SETTINGS, ids=str)
@pytest.mark.parametrize("orders", [*LADDERS, *APART], ids=lambda o: str(o)[:20])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sums_are_those_of_what_is_drawn_from(sampling, orders, dtype):
    rng = np.random.default_rng(7)
    logits = (rng.normal(size=(3, 1500)) * 4).astype(dtype)
    logits[1, ::3] = -np.inf
    logits[2] = 0
    ids, logp, sums = draw_with_sums(
        logits, sampling, rng.random((3, LEVELS)), renyi=orders
    )
    drawn_from = process(logits, sampling)
    assert sums.shape == (3, len(orders))
    wanted = by_definition(drawn_from, orders)
    within = 2e-13 if dtype == np.float64 else 1e-6
    np.testing.assert_allclose(sums, wanted, rtol=within, atol=within)
    assert (drawn_from[np.arange(3), ids] > -np.inf).all()
    np.testing.assert_allclose(logp, drawn_from[np.arange(3), ids], atol=1e-6)


@pytest.mark.parametrize("sampling", SETTINGS, ids=str)
def test_asking_for_sums_changes_nothing_else(sampling):
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(5, 3000)).astype(np.float32) * 3
    uniforms = rng.random((5, LEVELS))
    ids, logp, _ = draw_with_sums(logits, sampling, uniforms, renyi=LADDERS[0])
    alone = draw(logits, sampling, uniforms)
    assert np.array_equal(ids, alone[0])
    assert logp.tobytes() == alone[1].tobytes()
    targets = np.arange(5)
    with_sums = row_statistics(logits, targets, top=5, renyi=LADDERS[0])
    without = row_statistics(logits, targets, top=5)
    for name in ("logsumexp", "entropy", "varentropy", "logp", "rank", "top_logp"):
        one, other = getattr(with_sums, name), getattr(without, name)
        assert one.tobytes() == other.tobytes(), name


def test_of_the_model_itself_they_are_its_row_statistics_to_the_last_bit(path):
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(4, 2049)).astype(np.float32) * 3
    uniforms = rng.random((4, LEVELS))
    for orders in (*LADDERS, *APART):
        sums = draw_with_sums(logits, Sampling(), uniforms, renyi=orders)[2]
        found = row_statistics(logits, renyi=orders).log_renyi
        if path == "numpy":  # which reads a tile of rows in blocks of its own
            np.testing.assert_allclose(sums, found, rtol=1e-12, atol=1e-12)
        else:
            assert sums.tobytes() == found.tobytes()


def test_very_unlike_logits_leave_no_trace_of_underflow():
    logits = np.array([[0.0, -800.0, -3000.0, -1e9, -1e30, -np.inf]])
    sums = draw_with_sums(
        logits, Sampling(), np.zeros((1, LEVELS)), renyi=(0.5, 0.9, -1)
    )[2]
    assert sums[0].tolist() == [0.0, 0.0, 0.0]  # e^-80 beside 1
    half = np.array([[0.0, -1500.0]])
    (found,) = draw_with_sums(
        half, Sampling(temperature=100), np.zeros((1, LEVELS)), renyi=(0.75,)
    )[2]
    wanted = math.log1p(math.exp(-15 / 4)) - math.log1p(math.exp(-15)) / 4
    assert found[0] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("vocabulary", [100, 49_152, 262_144])
def test_single_precision_does_not_add_up_over_a_vocabulary(vocabulary):
    rng = np.random.default_rng(3)
    for spread in (0.5, 3.0, 8.0):
        row = (rng.normal(size=(1, vocabulary)) * spread).astype(np.float32)
        found = row_statistics(row, renyi=LADDERS[0]).log_renyi
        wanted = row_statistics(row.astype(np.float64), renyi=LADDERS[0]).log_renyi
        np.testing.assert_allclose(found, wanted, rtol=0, atol=5e-7)


def test_an_order_that_is_none_is_refused():
    with pytest.raises(InvalidInput, match="not finite"):
        draw_with_sums(
            np.zeros((1, 3)), Sampling(), np.zeros((1, LEVELS)), renyi=(math.nan,)
        )
