"""Limits of shares, quantiles and correlations, by hand and by law."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from nescio.comparison.intervals import (
    Asked,
    correlation_limits,
    effective_count,
    quantile,
    quantile_limits,
    share_limits,
)
from nescio.errors import NotEnoughData
from nescio.uncertainty import wilson_interval

ASKED = Asked()
NUMBERS = some.lists(some.floats(-1e6, 1e6), min_size=1, max_size=60)


@given(NUMBERS, some.floats(0, 1))
def test_quantiles_are_those_of_numpy(values: list[float], share: float) -> None:
    found = quantile([np.array(values)], share)
    assert found == pytest.approx(np.quantile(values, share), rel=1e-9, abs=1e-6)


def test_quantiles_order_infinities_and_are_never_nan() -> None:
    values = [np.array([1.0, 2.0]), np.array([np.inf, np.inf])]
    assert quantile(values, 0.25) == pytest.approx(1.75)
    assert quantile(values, 0.5) == math.inf
    assert quantile(values, 0.9) == math.inf


def test_values_that_count_fully_have_the_classical_ranks_of_the_median() -> None:
    values = np.arange(1.0, 201.0).reshape(2, 100).T.ravel()  # below, above, below, …
    count = effective_count([(values <= 100).astype(float)], ASKED)
    assert count == 200.0
    limits = quantile_limits([values], 0.5, ASKED)
    # Binomial(200, .5): P(< 86) = .0200 and P(< 87) = .0280; symmetric above.
    assert (limits.low, limits.high) == (86.0, 115.0)


def test_a_tail_the_text_does_not_show_is_open() -> None:
    values = np.random.default_rng(0).permutation(np.arange(1.0, 501.0))
    limits = quantile_limits([values], 0.999, ASKED)
    assert limits.high is None
    assert limits.low is not None
    assert 490 < limits.low < 500
    assert quantile_limits([-values], 0.001, ASKED).low is None


def test_dependence_makes_tokens_count_less() -> None:
    runs = np.repeat(np.random.default_rng(1).random(100) < 0.5, 20).astype(float)
    mixed = np.random.default_rng(2).permutation(runs)
    assert effective_count([runs], ASKED) < 0.2 * effective_count([mixed], ASKED)
    wide, narrow = share_limits([runs], ASKED), share_limits([mixed], ASKED)
    assert wide.low is not None
    assert narrow.low is not None
    assert wide.low < narrow.low


def test_shares_of_tokens_that_count_fully_are_wilsons() -> None:
    ones = np.tile([1.0, 0.0, 0.0, 0.0], 50)  # regular: each counts fully
    limits, plain = share_limits([ones], ASKED), wilson_interval(50, 200)
    assert (limits.low, limits.high) == pytest.approx((plain.low, plain.high))
    every = share_limits([np.ones(200)], ASKED)
    plain = wilson_interval(200, 200)
    assert (every.low, every.high) == pytest.approx((plain.low, 1.0))


def test_a_correlation_of_one_is_one_and_moves_with_the_sign() -> None:
    x = np.random.default_rng(5).standard_normal(300)
    limits = correlation_limits([x], [2 * x + 3], ASKED)
    assert (limits.low, limits.high) == (1.0, 1.0)
    y = 0.5 * x + np.random.default_rng(6).standard_normal(300)
    forth, back = (correlation_limits([x], [sign * y], ASKED) for sign in (1, -1))
    assert forth.low is not None
    assert forth.high is not None
    assert forth.low < np.corrcoef(x, y)[0, 1] < forth.high
    assert back.low == pytest.approx(-forth.high, abs=0.02)


@pytest.mark.parametrize("texts", [[np.arange(99.0)], [np.arange(500.0)] * 4])
def test_too_little_is_refused_with_the_reason(texts: list[np.ndarray]) -> None:
    for limits in (
        lambda: share_limits(texts, ASKED),
        lambda: quantile_limits(texts, 0.5, ASKED),
        lambda: correlation_limits(texts, texts, ASKED),
    ):
        with pytest.raises(NotEnoughData, match="too few"):
            limits()


def test_documents_that_agree_within_count_as_few_tokens_by_hand() -> None:
    texts = [np.full(10, x) for x in (1.0, 1.0, 0.0, 0.0, 0.0)]
    # Share .4; sums of residuals 6, 6, -4, -4, -4: variance 5/4 · 120 / 50² = .06,
    # times (t of 4 degrees / z)² = (2.776445 / 1.959964)²; .4 · .6 over that.
    by_hand = 0.24 / (0.06 * (2.776445 / 1.959964) ** 2)
    assert effective_count(texts, ASKED) == pytest.approx(by_hand, rel=1e-5)
    with pytest.raises(NotEnoughData, match="about 2 independent ones"):
        quantile_limits([text + i / 10 for i, text in enumerate(texts)], 0.5, ASKED)
