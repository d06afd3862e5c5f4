"""Wilson's interval against published values, scipy, and its own symmetry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from nescio.errors import InvalidInput
from nescio.uncertainty import wilson_interval

# Newcombe (1998), Statistics in Medicine 17, table I, method 3.
NEWCOMBE = {
    (81, 263): (0.2553, 0.3662),
    (15, 148): (0.0624, 0.1605),
    (0, 20): (0.0, 0.1611),
    (1, 29): (0.0061, 0.1718),
}


@pytest.mark.parametrize(("counts", "limits"), NEWCOMBE.items())
def test_wilson_agrees_with_the_published_table(counts, limits):
    interval = wilson_interval(*counts)
    assert (round(interval.low, 4), round(interval.high, 4)) == limits


def test_eight_of_ten():
    interval = wilson_interval(8, 10)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.4902, 0.9433)


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0.01, 0.999))
def test_wilson_agrees_with_scipy(n, share, level):
    successes = round(share * n)
    ours = wilson_interval(successes, n, level=level)
    theirs = binomtest(successes, n).proportion_ci(level, method="wilson")
    assert ours.low == pytest.approx(theirs.low, abs=1e-12)
    assert ours.high == pytest.approx(theirs.high, abs=1e-12)


@given(st.integers(1, 1000))
def test_no_success_and_nothing_else_are_mirror_images_that_touch_the_ends(n):
    none, all_of_them = wilson_interval(0, n), wilson_interval(n, n)
    assert none.low == 0.0
    assert all_of_them.high == 1.0
    assert none.high == pytest.approx(1.0 - all_of_them.low, abs=1e-12)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_counts_that_cannot_be_are_refused(successes, n):
    with pytest.raises(InvalidInput, match="successes in"):
        wilson_interval(successes, n)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, float("nan")])
def test_a_level_that_is_none_is_refused(level):
    with pytest.raises(InvalidInput, match="not between 0 and 1"):
        wilson_interval(1, 2, level=level)
