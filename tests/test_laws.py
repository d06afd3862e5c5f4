"""Every public measure obeys the laws it declares, and every one declares some."""

from __future__ import annotations

import inspect
import math
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings

import nescio.information as information
from nescio.information import entropy, kl_divergence
from tests.information.simplices import Case, cases, large_case
from tests.laws import (
    LAWS,
    NO_MEASURES,
    adds_up_for_independent_ones,
    concave,
    no_detour_is_shorter,
)

LARGE = large_case()
DRAWING = (Phase.explicit, Phase.reuse, Phase.generate)  # a case has little to shrink


def test_every_public_measure_declares_its_laws() -> None:
    functions = {
        name
        for name in information.__all__
        if inspect.isfunction(getattr(information, name))
    }
    assert functions - set(LAWS) - set(NO_MEASURES) == set()
    assert (set(LAWS) | set(NO_MEASURES)) - functions == set()
    assert all(LAWS.values())


def test_every_function_of_a_family_is_public() -> None:
    families = [
        getattr(information, name) for name in information.__all__ if name.isupper()
    ]
    members = {function.__name__ for family in families for function in family.values()}
    assert len(families) > 5
    assert members <= set(information.__all__)


@pytest.mark.parametrize("name", LAWS)
@settings(max_examples=15, phases=DRAWING)
@given(case=cases())
def test_a_measure_obeys_its_laws(name: str, case: Case) -> None:
    for law in LAWS[name]:
        law(getattr(information, name), case)


@pytest.mark.parametrize("name", LAWS)
def test_its_laws_hold_for_a_hundred_thousand_outcomes(name: str) -> None:
    for law in LAWS[name]:
        law(getattr(information, name), LARGE)


def test_a_hundred_thousand_outcomes_take_milliseconds() -> None:
    shortest = math.inf
    for _ in range(5):
        begin = time.perf_counter()
        kl_divergence(p=LARGE.p, q=LARGE.q)
        shortest = min(shortest, time.perf_counter() - begin)
    assert shortest < 0.1


def test_laws_that_do_not_hold_are_noticed() -> None:
    uneven = replace(LARGE, p=np.array([0.9, 0.1]), q=np.array([0.1, 0.9]))
    with pytest.raises(AssertionError):
        concave(lambda **given: -entropy(**given), uneven)
    with pytest.raises(AssertionError):
        no_detour_is_shorter(kl_divergence, replace(uneven, r=np.array([0.01, 0.99])))
    with pytest.raises(AssertionError):
        adds_up_for_independent_ones(lambda *a, **k: entropy(*a, **k) ** 2, uneven)
