"""Which laws each public measure obeys; `test_laws.py` holds every measure to them.

A law is a function of the measure and a case of random distributions. A measure whose
name is not here fails the tests: declare its range, what must not change it, how it
adds up, whether it bends, and what ties it to the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

import nescio.information as information
from nescio.information import (
    categorical_log_loss,
    conditional_entropy,
    cross_entropy,
    entropy,
    entropy_bounds,
    kl_divergence,
    log_likelihood,
    mutual_information,
    plug_in_entropy,
    sequence_perplexity,
    surprisal,
    varentropy,
)
from tests.information.simplices import Case
from tests.traces import make_trace

Measure = Callable[..., Any]
Law = Callable[[Measure, Case], None]

NO_MEASURES = {"summary": "all measures of a text at once, each under its own name"}
"""Public functions without laws of their own, and why."""

CLOSE = 1e-9
_LOG_2 = math.log(2.0)


def same(found: Any, expected: Any, room: float = CLOSE) -> None:
    """Equal to within rounding, infinities included."""
    found, expected = np.asarray(found), np.asarray(expected)
    scale = np.maximum(1.0, np.abs(np.where(np.isfinite(expected), expected, 1.0)))
    with np.errstate(invalid="ignore"):
        near = np.abs(found - expected) <= room * scale
    assert (near | (found == expected)).all(), (found, expected)


def at_most(found: Any, limit: Any, room: float = CLOSE) -> None:
    scale = np.maximum(1.0, np.abs(np.where(np.isfinite(limit), limit, 1.0)))
    assert (np.asarray(found) <= np.asarray(limit) + room * scale).all(), (found, limit)


def logs(p: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(p))


def both(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Logarithms of the independent product of two, which may be below 1e-308."""
    return np.add.outer(logs(p), logs(q)).reshape(-1)


def mixed(p: np.ndarray, q: np.ndarray, weight: float) -> np.ndarray:
    mixture = weight * p + (1.0 - weight) * q
    return mixture / mixture.sum()


def small(case: Case) -> bool:
    """Whether products of its distributions stay small."""
    return len(case.p) <= 10


# --- of one distribution --------------------------------------------------------------


def from_zero_to_log_size(measure: Measure, case: Case) -> None:
    found = measure(p=case.p)
    assert found >= 0.0
    at_most(found, math.log(len(case.p)))


def not_below_zero(measure: Measure, case: Case) -> None:
    assert measure(p=case.p) >= 0.0


def same_in_logarithms(measure: Measure, case: Case) -> None:
    same(measure(logs(case.p)), measure(p=case.p))


def same_in_any_order(measure: Measure, case: Case) -> None:
    same(measure(p=case.p[case.order]), measure(p=case.p))


def same_with_impossible_outcomes(measure: Measure, case: Case) -> None:
    same(measure(p=np.append(case.p, [0.0, 0.0])), measure(p=case.p))


def same_row_by_row(measure: Measure, case: Case) -> None:
    rows = np.stack([case.p, case.q, case.r])
    found = measure(p=rows)
    assert found.shape == (3,)
    same(found, [measure(p=row) for row in rows])


def adds_up_for_independent_ones(measure: Measure, case: Case) -> None:
    if small(case):
        found = measure(both(case.p, case.other))
        same(found, measure(p=case.p) + measure(p=case.other))


def concave(measure: Measure, case: Case) -> None:
    mean = case.weight * measure(p=case.p) + (1 - case.weight) * measure(p=case.q)
    at_most(mean, measure(p=mixed(case.p, case.q, case.weight)))


def zero_when_certain(measure: Measure, case: Case) -> None:
    assert (measure(p=np.eye(min(len(case.p), 50))) == 0.0).all()


def log_size_when_uniform(measure: Measure, case: Case) -> None:
    size = len(case.p)
    same(measure(p=np.full(size, 1.0 / size)), math.log(size))


def zero_when_uniform(measure: Measure, case: Case) -> None:
    size = len(case.p)
    assert measure(p=np.full(size, 1.0 / size)) < 1e-20


def splits_into_groups(measure: Measure, case: Case) -> None:
    """H(whole) = H(groups) + Σ share · H(within the group)."""
    share = case.joint.sum(axis=1)
    held = share > 1e-290
    within = case.joint[held] / share[held, None]
    whole = measure(p=case.joint.reshape(-1))
    same(whole, measure(p=share) + share[held] @ measure(p=within))


def variance_of_surprisal(measure: Measure, case: Case) -> None:
    held = case.p > 0.0
    nats = -np.log(case.p[held])
    mean = case.p[held] @ nats
    same(measure(p=case.p), case.p[held] @ nats**2 - mean**2, 1e-8)


def of_every_order(*laws: Law) -> tuple[Law, ...]:
    """The laws at each order, as one that names them."""

    def at_each_order(measure: Measure, case: Case) -> None:
        for order in (0, 0.3, 0.95, 1, 1.0001, 2, 30, math.inf):
            for law in laws:
                law(lambda *a, order=order, **k: measure(*a, order=order, **k), case)

    return (at_each_order,)


def falls_as_the_order_rises(measure: Measure, case: Case) -> None:
    orders = (0, 1e-9, 0.3, 0.89, 0.91, 0.999999, 1, 1 + 1e-9, 1.2, 2, 7, 1e3, 1e9)
    found = [float(measure(p=case.p, order=order)) for order in (*orders, math.inf)]
    at_most(found[1:], found[:-1])


def limits_of_the_order(measure: Measure, case: Case) -> None:
    possible = np.count_nonzero(case.p)
    same(measure(p=case.p, order=0), math.log(possible))
    same(measure(p=case.p, order=1), entropy(p=case.p))
    same(measure(p=case.p, order=math.inf), -math.log(case.p.max()))
    same(measure(p=case.p, order=2), -math.log((case.p**2).sum()))
    for near in (1 - 1e-12, 1 + 1e-12):
        same(measure(p=case.p, order=near), entropy(p=case.p))
    slope = varentropy(p=case.p) / -2.0  # at order 1
    rise = measure(p=case.p, order=1 + 1e-6) - measure(p=case.p, order=1 - 1e-6)
    same(rise / 2e-6, slope, 1e-6)


def concave_up_to_order_one(measure: Measure, case: Case) -> None:
    for order in (0, 0.5, 1):
        concave(lambda *a, order=order, **k: measure(*a, order=order, **k), case)


# --- of two distributions -------------------------------------------------------------


def pair_not_below_zero(measure: Measure, case: Case) -> None:
    assert measure(p=case.p, q=case.q) >= 0.0


def pair_at_most(limit: float) -> Law:
    def at_most_its_limit(measure: Measure, case: Case) -> None:
        at_most(measure(p=case.p, q=case.q), limit, 0.0)
        same(measure(p=[1, 0, 0], q=[0, 0.5, 0.5]), limit)

    return at_most_its_limit


def pair_zero_for_itself_alone(measure: Measure, case: Case) -> None:
    assert measure(p=case.p, q=case.p) == 0.0
    if np.abs(case.p - case.q).max() > 1e-3:
        assert measure(p=case.p, q=case.q) > 0.0


def pair_same_in_logarithms(measure: Measure, case: Case) -> None:
    expected = measure(p=case.p, q=case.q)
    same(measure(logs(case.p), logs(case.q)), expected)
    same(measure(logs(case.p), q=case.q), expected)


def pair_same_in_any_order(measure: Measure, case: Case) -> None:
    order = case.order
    same(measure(p=case.p[order], q=case.q[order]), measure(p=case.p, q=case.q))


def pair_same_with_impossible_outcomes(measure: Measure, case: Case) -> None:
    wider = (np.append(x, 0.0) for x in (case.p, case.q))
    same(measure(**dict(zip("pq", wider, strict=True))), measure(p=case.p, q=case.q))


def pair_same_row_by_row(measure: Measure, case: Case) -> None:
    rows = np.stack([case.p, case.q, case.r])
    found = measure(p=rows[:, None], q=rows[None])
    assert found.shape == (3, 3)
    same(found, [[measure(p=one, q=two) for two in rows] for one in rows])


def symmetric(measure: Measure, case: Case) -> None:
    same(measure(p=case.p, q=case.q), measure(p=case.q, q=case.p))


def pair_adds_up_for_independent_ones(measure: Measure, case: Case) -> None:
    if small(case):
        found = measure(both(case.p, case.other), both(case.q, case.other_q))
        parts = (measure(p=case.p, q=case.q), measure(p=case.other, q=case.other_q))
        same(found, sum(parts))


def jointly_convex(measure: Measure, case: Case) -> None:
    w = case.weight
    mean = w * measure(p=case.p, q=case.q) if w else 0.0
    mean += (1 - w) * measure(p=case.q, q=case.r) if w < 1 else 0.0
    at_most(measure(p=mixed(case.p, case.q, w), q=mixed(case.q, case.r, w)), mean, 1e-8)


def processing_brings_them_closer(measure: Measure, case: Case) -> None:
    one, two = (x @ case.channel for x in (case.p, case.q))
    found = measure(p=one / one.sum(), q=two / two.sum())
    at_most(found, measure(p=case.p, q=case.q))


def no_detour_is_shorter(measure: Measure, case: Case) -> None:
    direct = measure(p=case.p, q=case.r)
    at_most(direct, measure(p=case.p, q=case.q) + measure(p=case.q, q=case.r), 1e-8)


def entropy_and_divergence_together(measure: Measure, case: Case) -> None:
    found = measure(p=case.p, q=case.q)
    same(found, entropy(p=case.p) + kl_divergence(p=case.p, q=case.q))
    at_most(entropy(p=case.p), found)
    same(measure(p=case.p, q=case.p), entropy(p=case.p))


def linear_in_the_first(measure: Measure, case: Case) -> None:
    w = case.weight
    parts = (
        w * measure(p=case.p, q=case.r) if w else 0.0,
        (1 - w) * measure(p=case.q, q=case.r) if w < 1 else 0.0,
    )
    # What a mixture gives less than 1e-300 is 0 as a number, hence possible no more.
    if 1e-5 < w < 1 - 1e-5:
        same(measure(p=mixed(case.p, case.q, w), q=case.r), sum(parts), 1e-8)


def log_loss_of_a_one_hot_first(measure: Measure, case: Case) -> None:
    q = case.q[:50] / max(case.q[:50].sum(), 1e-300)
    if case.q[:50].sum() > 0.0:
        same(measure(p=np.eye(len(q)), q=q), -logs(q))


def infinite_where_the_second_excludes(measure: Measure, case: Case) -> None:
    excluded = ((case.q == 0.0) & (case.p > 0.0)).any()
    assert np.isinf(measure(p=case.p, q=case.q)) == excluded
    assert np.isinf(measure([-800.0, 0.0], [-math.inf, 0.0]))


def both_ways_together(measure: Measure, case: Case) -> None:
    ways = kl_divergence(p=case.p, q=case.q) + kl_divergence(p=case.q, q=case.p)
    same(measure(p=case.p, q=case.q), ways)


def mean_divergence_from_the_middle(measure: Measure, case: Case) -> None:
    middle = mixed(case.p, case.q, 0.5)
    ways = kl_divergence(p=case.p, q=middle) + kl_divergence(p=case.q, q=middle)
    same(measure(p=case.p, q=case.q), ways / 2.0)


def root_of_the_divergence(measure: Measure, case: Case) -> None:
    squared = information.jensen_shannon_divergence(p=case.p, q=case.q)
    same(measure(p=case.p, q=case.q) ** 2, squared)


# --- of two things together -----------------------------------------------------------


def joint_within_range(measure: Measure, case: Case) -> None:
    rows, columns = (case.joint.sum(axis=axis) for axis in (1, 0))
    found = measure(p=case.joint)
    assert found >= 0.0
    at_most(found, entropy(p=columns))
    if measure is mutual_information:
        at_most(found, entropy(p=rows))


def joint_same_in_any_order(measure: Measure, case: Case) -> None:
    same(
        measure(p=case.joint[case.rng.permutation(len(case.joint))]),
        measure(p=case.joint),
    )
    same(measure(p=case.joint[:, ::-1]), measure(p=case.joint))


def joint_same_with_impossible_outcomes(measure: Measure, case: Case) -> None:
    same(measure(p=np.pad(case.joint, (1, 2))), measure(p=case.joint))


def joint_same_in_logarithms(measure: Measure, case: Case) -> None:
    tables = np.stack([case.joint, case.joint[::-1]])
    same(measure(logs(tables)), [measure(p=table) for table in tables])


def chain_rule(measure: Measure, case: Case) -> None:
    rows, columns = (entropy(p=case.joint.sum(axis=axis)) for axis in (1, 0))
    whole, found = entropy(p=case.joint.reshape(-1)), measure(p=case.joint)
    expected = {
        conditional_entropy: whole - rows,
        mutual_information: rows + columns - whole,
    }
    same(found, expected[measure])


def nothing_told_by_independent_ones(measure: Measure, case: Case) -> None:
    if small(case):
        table = np.outer(case.p, case.other)
        expected = 0.0 if measure is mutual_information else entropy(p=case.other)
        same(measure(p=table), expected)


def everything_told_by_a_copy(measure: Measure, case: Case) -> None:
    if small(case):
        expected = entropy(p=case.p) if measure is mutual_information else 0.0
        same(measure(p=np.diag(case.p)), expected)


def told_alike_both_ways(measure: Measure, case: Case) -> None:
    same(measure(p=case.joint.T), measure(p=case.joint))


def processing_tells_no_more(measure: Measure, case: Case) -> None:
    """Of Y, what is made of X by a channel tells at most as much as X."""
    made = case.channel[: len(case.joint)].T @ case.joint
    made = made / made.sum()
    tables = made, case.joint
    found, limit = (measure(p=table) for table in tables)
    if measure is conditional_entropy:
        found, limit = limit, found
    at_most(found, limit)


# --- of chains ------------------------------------------------------------------------


def chain_within_range(measure: Measure, case: Case) -> None:
    found = measure(p=case.transitions)
    assert (found >= 0.0).all()
    if measure is information.markov_entropy_rate:
        at_most(found, math.log(len(case.transitions)))


def chain_same_in_any_order(measure: Measure, case: Case) -> None:
    order = case.rng.permutation(len(case.transitions))
    found = measure(p=case.transitions[np.ix_(order, order)])
    expected = measure(p=case.transitions)
    same(found, expected[order] if found.ndim else expected)


def chain_same_in_logarithms(measure: Measure, case: Case) -> None:
    chains = np.stack([case.transitions, case.transitions[::-1, ::-1]])
    same(measure(logs(chains)), [measure(p=chain) for chain in chains])


def longer_texts_add_the_rate(measure: Measure, case: Case) -> None:
    """H(X₁X₂) - H(X₁) of the stationary chain is its rate, and at most H(X₁)."""
    share = information.stationary_distribution(p=case.transitions)
    table = share[:, None] * case.transitions
    found = measure(p=case.transitions)
    same(found, conditional_entropy(p=table / table.sum()))
    at_most(found, entropy(p=share))


def equal_rows_are_independent_draws(measure: Measure, case: Case) -> None:
    row = case.transitions[0]
    chain = np.tile(row, (len(row), 1))
    expected = entropy(p=row) if measure is information.markov_entropy_rate else row
    same(measure(p=chain), expected)


def a_cycle_is_certain_and_even(measure: Measure, case: Case) -> None:
    size = len(case.transitions)
    found = measure(p=np.roll(np.eye(size), 1, axis=1))
    even = np.full(size, 1.0 / size)
    same(found, 0.0 if measure is information.markov_entropy_rate else even)


def stays_as_it_is(measure: Measure, case: Case) -> None:
    share = measure(p=case.transitions)
    same(share @ case.transitions, share, 1e-14)
    same(share.sum(), 1.0, 1e-14)


# --- of what came ---------------------------------------------------------------------


def surprisals_add_up(measure: Measure, case: Case) -> None:
    w = case.p.max()
    same(measure(p=0.5 * w), measure(p=0.5) + measure(p=w))
    assert measure(p=1.0) == 0.0
    assert np.isposinf(measure(p=0.0))
    assert measure(p=w) >= 0.0
    assert measure(p=1e-300) == -math.log(1e-300)


def surprisal_falls_with_probability(measure: Measure, case: Case) -> None:
    rising = np.sort(case.p)
    found = measure(p=rising)
    assert found.shape == rising.shape
    assert (found[1:] <= found[:-1]).all()
    same(measure(logs(rising)), found)


def sequence_at_least_one(measure: Measure, case: Case) -> None:
    assert measure(p=case.p) >= 1.0


def sequence_geometric_mean(measure: Measure, case: Case) -> None:
    p = np.maximum(case.p, 1e-3)
    same(
        measure(p=p),
        np.prod((1 / p) ** (1.0 / len(p))) if len(p) < 100 else measure(p=p),
    )
    same(measure(p=np.full(5, p[0])), 1.0 / p[0])
    same(measure(logs(p)), np.exp(surprisal(p=p).mean()))


def sequence_same_in_any_order(measure: Measure, case: Case) -> None:
    same(measure(p=case.p[case.order]), measure(p=case.p))
    rows = np.stack([case.p, case.p])
    same(measure(p=rows), [measure(p=case.p)] * 2)


def sequence_joins_by_length(measure: Measure, case: Case) -> None:
    p, q = np.maximum(case.p, 1e-3), np.append(np.maximum(case.q, 1e-3), 0.5)
    one, two = measure(p=p), measure(p=q)
    joined = (len(p) * np.log(one) + len(q) * np.log(two)) / (len(p) + len(q))
    same(measure(p=np.append(p, q)), np.exp(joined))


# --- of counts ------------------------------------------------------------------------


def counted_not_below_zero(measure: Measure, case: Case) -> None:
    assert measure(case.counts) >= 0.0


def counted_at_most_log_size(measure: Measure, case: Case) -> None:
    at_most(measure(case.counts), math.log(len(case.counts)))


def counted_same_in_any_order(measure: Measure, case: Case) -> None:
    same(measure(case.counts[case.order]), measure(case.counts))


def counted_same_with_unseen_outcomes(measure: Measure, case: Case) -> None:
    same(measure(np.append(case.counts, 0)), measure(case.counts))


def counted_row_by_row(measure: Measure, case: Case) -> None:
    rows = np.stack([case.counts, case.more_counts])
    same(measure(rows), [measure(row) for row in rows])


def counted_not_below_the_plug_in(measure: Measure, case: Case) -> None:
    at_most(plug_in_entropy(case.counts), measure(case.counts))


def counted_is_the_entropy_of_shares(measure: Measure, case: Case) -> None:
    same(measure(case.counts), entropy(p=case.counts / case.counts.sum()))
    same(measure(3 * case.counts), measure(case.counts))


def counted_nears_the_shares(measure: Measure, case: Case) -> None:
    many = case.counts.astype(np.int64) * 10**9
    same(measure(many), entropy(p=case.counts / case.counts.sum()), 1e-4)


def counted_once_is_certain(measure: Measure, case: Case) -> None:
    assert measure([0, case.counts.max(), 0][1:2]) == 0.0


def counted_gap_is_known(measure: Measure, case: Case) -> None:
    gap = (np.count_nonzero(case.counts) - 1) / (2 * case.counts.sum())
    same(measure(case.counts) - plug_in_entropy(case.counts), gap)


def estimate_of_each_estimator(measure: Measure, case: Case) -> None:
    for name, estimator in information.ENTROPY_ESTIMATORS.items():
        found = measure(case.counts, estimator=name, resamples=5)
        same(found.value, estimator(case.counts))
        assert found.n == case.counts.sum()
        seen = np.count_nonzero(case.counts)
        assert (found.low is None) == (seen == 1)
        if seen > 1:
            assert 0.0 <= found.low <= found.high
            assert name == "plug_in" or found.low <= found.value <= found.high


def estimate_same_in_any_order(measure: Measure, case: Case) -> None:
    one, two = (measure(c) for c in (case.counts, case.counts[case.order]))
    if one.low is not None:
        same([two.low, two.high], [one.low, one.high])


def estimate_narrows_with_more_draws(measure: Measure, case: Case) -> None:
    one, two = (measure(case.counts * times) for times in (1, 4))
    if one.low:
        at_most(two.high - two.low, one.high - one.low)


# --- likelihood -----------------------------------------------------------------------


def likelihood_adds_up_over_throws(measure: Measure, case: Case) -> None:
    one, two = (measure(c, p=case.p) for c in (case.counts, case.more_counts))
    same(measure(case.counts + case.more_counts, p=case.p), one + two)
    assert one <= 0.0


def likelihood_is_cross_entropy(measure: Measure, case: Case) -> None:
    total = case.counts.sum()
    shares = case.counts / total
    found = measure(case.counts, p=case.p)
    same(found, -total * cross_entropy(p=shares, q=case.p))
    at_most(found, -total * entropy(p=shares))
    same(measure(case.counts, logs(case.p)), found)


def likelihood_same_in_any_order(measure: Measure, case: Case) -> None:
    found = measure(case.counts[case.order], p=case.p[case.order])
    same(found, measure(case.counts, p=case.p))


def no_other_die_is_as_likely(measure: Measure, case: Case) -> None:
    best = measure(case.counts)
    at_most(log_likelihood(case.counts, p=case.p), best.log_likelihood)
    nearby = mixed(best.probabilities, case.p, 0.999)
    at_most(log_likelihood(case.counts, p=nearby), best.log_likelihood)
    same(log_likelihood(case.counts, p=best.probabilities), best.log_likelihood)
    same(best.probabilities.sum(), 1.0)


def optimum_is_stationary_and_curved(measure: Measure, case: Case) -> None:
    best = measure(case.counts)
    came = case.counts > 0
    same(best.gradient[came], best.multiplier)
    assert (best.gradient[~came] < best.multiplier).all()
    assert best.multiplier == case.counts.sum()
    assert best.interior == came.all()
    assert best.negative_definite == ((case.counts == 0).sum() < 2)


def optimum_same_in_any_order(measure: Measure, case: Case) -> None:
    found = measure(case.counts[case.order])
    same(found.probabilities, measure(case.counts).probabilities[case.order])
    same(found.curvature, measure(case.counts).curvature)


def questions(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities of which 1 - p loses nothing."""
    p = np.round(case.p * 2.0**20) / 2.0**20
    return (case.rng.random(len(p)) < 0.5).astype(int), p


def binary_is_two_classes(measure: Measure, case: Case) -> None:
    labels, p = questions(case)
    found = measure(labels, p=p)
    assert found >= 0.0
    two = np.stack([1.0 - p, p], axis=-1)
    same(found, categorical_log_loss(labels, p=two))


def binary_same_if_yes_and_no_swap(measure: Measure, case: Case) -> None:
    labels, p = questions(case)
    same(measure(1 - labels, p=1.0 - p), measure(labels, p=p))


def binary_same_in_any_order(measure: Measure, case: Case) -> None:
    labels, p = questions(case)
    same(measure(labels[case.order], p=p[case.order]), measure(labels, p=p))


def classes(case: Case) -> tuple[np.ndarray, np.ndarray]:
    rows = np.stack([case.p, case.q, case.r])
    return case.rng.integers(0, len(case.p), 3), rows


def categorical_is_cross_entropy_of_one_hot(measure: Measure, case: Case) -> None:
    labels, rows = classes(case)
    one_hot = (np.arange(len(case.p)) == labels[:, None]).astype(float)
    found = measure(labels, p=rows)
    assert found >= 0.0
    same(found, cross_entropy(p=one_hot, q=rows).mean())
    same(measure(labels, logs(rows)), found)


def categorical_same_in_any_order(measure: Measure, case: Case) -> None:
    labels, rows = classes(case)
    same(measure(labels[::-1], p=rows[::-1]), measure(labels, p=rows))


def categorical_same_if_classes_are_relabelled(measure: Measure, case: Case) -> None:
    labels, rows = classes(case)
    to = np.argsort(case.order)
    same(measure(to[labels], p=rows[:, case.order]), measure(labels, p=rows))


# --- of scored texts ------------------------------------------------------------------


def texts(case: Case) -> list[Any]:
    """Three short texts by hand, read by a model with these probabilities."""
    rng, found = case.rng, []
    for _ in range(3):
        size = int(rng.integers(2, 9))
        words = ["abcé"[: rng.integers(1, 5)] for _ in range(size)]
        nats = rng.exponential(size=size) + 0.01
        spread = rng.random(size)
        found.append(make_trace(words, -nats, entropy=spread))
    return found


def text_not_below_zero(measure: Measure, case: Case) -> None:
    assert measure(texts(case)).value >= 0.0


def text_same_in_any_order(measure: Measure, case: Case) -> None:
    same(measure(texts(case)[::-1]).value, measure(texts(case)).value)


def text_same_if_it_stands_twice(measure: Measure, case: Case) -> None:
    once = measure(texts(case)).value
    same(measure(texts(case) * 2, resamples=200).value, once)


def text_adds_up(measure: Measure, case: Case) -> None:
    given = texts(case)
    same(measure(given).value, sum(measure(text).value for text in given), 1e-6)


def text_rate_lies_between_those_of_its_parts(measure: Measure, case: Case) -> None:
    given = texts(case)
    each = [measure(text).value for text in given]
    at_most(min(each), measure(given).value)
    at_most(measure(given).value, max(each))


def text_rate_times_length_is_the_total(measure: Measure, case: Case) -> None:
    given = texts(case)
    raw = b"".join(text.buffer for text in given)
    length = {
        "bits_per_byte": len(raw),
        "bits_per_character": len(raw.decode()),
        "bits_per_token": sum(len(text) for text in given),
    }[measure.__name__]
    same(measure(given).value * length, information.total_surprisal(given).value)


def text_perplexity_is_two_to_the_bits(measure: Measure, case: Case) -> None:
    given = texts(case)
    bits: Any = information.bits_per_token(given).value
    same(measure(given).value, 2.0**bits)
    assert measure(given).value >= 1.0
    nats = np.concatenate([text.surprisal for text in given]).astype(np.float64)
    same(measure(given).value, sequence_perplexity(-nats), 1e-6)


def text_entropy_is_their_mean(measure: Measure, case: Case) -> None:
    given = texts(case)
    nats = np.concatenate([text.entropy for text in given]).astype(np.float64)
    same(measure(given).value, nats.mean() / _LOG_2)


def difference_is_that_of_the_rates(measure: Measure, case: Case) -> None:
    given = texts(case)
    others = [
        make_trace(_pieces(text), 2.0 * text.logp.astype(np.float64)) for text in given
    ]
    apart = np.diff(
        [information.bits_per_byte(x).value or 0.0 for x in (given, others)]
    )
    same(measure(others, given).value, apart[0], 1e-6)
    same(measure(given, others).value, -measure(others, given).value)
    assert measure(given, given).value == 0.0


def _pieces(text: Any) -> list[bytes]:
    return [text.buffer[a:b] for a, b in pairwise(text.offsets.tolist())]


# --- bounds ---------------------------------------------------------------------------


def tops(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Row k lists the k most probable, k from 0 to all; and the whole."""
    p = np.sort(case.p)[::-1][:8]
    p = p / p.sum()
    rows = np.tile(logs(p), (len(p) + 1, 1))
    rows[np.arange(len(p)) >= np.arange(len(p) + 1)[:, None]] = math.nan
    return rows, p


def bounds_hold_the_entropy(measure: Measure, case: Case) -> None:
    rows, p = tops(case)
    low, high = measure(rows, vocabulary_size=len(p))
    at_most(low, entropy(p=p))
    at_most(entropy(p=p), high)
    same([low[-1], high[-1]], [entropy(p=p)] * 2)
    assert (low >= 0.0).all()
    at_most(high, math.log(len(p)))


def bounds_close_as_more_is_listed(measure: Measure, case: Case) -> None:
    rows, p = tops(case)
    low, high = measure(rows, vocabulary_size=len(p))
    at_most(low[:-1], low[1:])
    at_most(high[1:], high[:-1])


def bounds_same_in_any_order(measure: Measure, case: Case) -> None:
    rows, p = tops(case)
    size = {"vocabulary_size": len(p)}
    shuffled = case.rng.permuted(rows, axis=1)
    same(measure(shuffled, **size), measure(rows, **size))


def ragged_bounds_are_those_of_rows(measure: Measure, case: Case) -> None:
    rows, p = tops(case)
    given = ~np.isnan(rows)
    offsets = np.concatenate([[0], given.sum(axis=1).cumsum()])
    found = measure(offsets, rows[given], vocabulary_size=len(p))
    same(found, entropy_bounds(rows, vocabulary_size=len(p)))


def single_precision_encloses(measure: Measure, case: Case) -> None:
    low, high = measure(case.p, case.p)
    assert low.dtype == high.dtype == np.float32
    assert ((low.astype(float) <= case.p) & (case.p <= high.astype(float))).all()
    assert (low >= 0.0).all()


# --- who obeys which ------------------------------------------------------------------

_ONE = (
    same_in_logarithms,
    same_in_any_order,
    same_with_impossible_outcomes,
    same_row_by_row,
    adds_up_for_independent_ones,
    zero_when_certain,
)
_PAIR = (
    pair_not_below_zero,
    pair_same_in_logarithms,
    pair_same_in_any_order,
    pair_same_with_impossible_outcomes,
    pair_same_row_by_row,
)
_DIVERGENCE = (
    *_PAIR,
    pair_zero_for_itself_alone,
    processing_brings_them_closer,
)
_JOINT = (
    joint_within_range,
    joint_same_in_any_order,
    joint_same_with_impossible_outcomes,
    joint_same_in_logarithms,
    chain_rule,
    nothing_told_by_independent_ones,
    everything_told_by_a_copy,
    processing_tells_no_more,
)
_CHAIN = (
    chain_within_range,
    chain_same_in_any_order,
    chain_same_in_logarithms,
    equal_rows_are_independent_draws,
    a_cycle_is_certain_and_even,
)
_COUNTED = (
    counted_not_below_zero,
    counted_same_in_any_order,
    counted_row_by_row,
    counted_nears_the_shares,
    counted_once_is_certain,
)
_TEXT = (text_not_below_zero, text_same_in_any_order)
_RATE = (
    *_TEXT,
    text_same_if_it_stands_twice,
    text_rate_lies_between_those_of_its_parts,
)

LAWS: dict[str, tuple[Law, ...]] = {
    "entropy": (
        *_ONE,
        from_zero_to_log_size,
        log_size_when_uniform,
        concave,
        splits_into_groups,
    ),
    "varentropy": (*_ONE, not_below_zero, zero_when_uniform, variance_of_surprisal),
    "renyi_entropy": (
        *of_every_order(*_ONE, from_zero_to_log_size, log_size_when_uniform),
        falls_as_the_order_rises,
        limits_of_the_order,
        concave_up_to_order_one,
    ),
    "cross_entropy": (
        *_PAIR,
        pair_adds_up_for_independent_ones,
        entropy_and_divergence_together,
        linear_in_the_first,
        log_loss_of_a_one_hot_first,
        infinite_where_the_second_excludes,
    ),
    "kl_divergence": (
        *_DIVERGENCE,
        jointly_convex,
        pair_adds_up_for_independent_ones,
        infinite_where_the_second_excludes,
    ),
    "jeffreys_divergence": (
        *_DIVERGENCE,
        jointly_convex,
        pair_adds_up_for_independent_ones,
        symmetric,
        both_ways_together,
    ),
    "jensen_shannon_divergence": (
        *_DIVERGENCE,
        jointly_convex,
        symmetric,
        pair_at_most(_LOG_2),
        mean_divergence_from_the_middle,
    ),
    "jensen_shannon_distance": (
        *_DIVERGENCE,
        symmetric,
        pair_at_most(math.sqrt(_LOG_2)),
        no_detour_is_shorter,
        root_of_the_divergence,
    ),
    "conditional_entropy": _JOINT,
    "mutual_information": (*_JOINT, told_alike_both_ways),
    "markov_entropy_rate": (*_CHAIN, longer_texts_add_the_rate),
    "stationary_distribution": (*_CHAIN, stays_as_it_is),
    "surprisal": (surprisals_add_up, surprisal_falls_with_probability),
    "sequence_perplexity": (
        sequence_at_least_one,
        sequence_geometric_mean,
        sequence_same_in_any_order,
        sequence_joins_by_length,
    ),
    "plug_in_entropy": (
        *_COUNTED,
        counted_at_most_log_size,
        counted_same_with_unseen_outcomes,
        counted_is_the_entropy_of_shares,
    ),
    "miller_madow_entropy": (
        *_COUNTED,
        counted_same_with_unseen_outcomes,
        counted_not_below_the_plug_in,
        counted_gap_is_known,
    ),
    "shrinkage_entropy": (
        *_COUNTED,
        counted_at_most_log_size,
        counted_not_below_the_plug_in,
    ),
    "chao_shen_entropy": (*_COUNTED, counted_same_with_unseen_outcomes),
    "entropy_from_counts": (
        estimate_of_each_estimator,
        estimate_same_in_any_order,
        estimate_narrows_with_more_draws,
    ),
    "log_likelihood": (
        likelihood_adds_up_over_throws,
        likelihood_is_cross_entropy,
        likelihood_same_in_any_order,
    ),
    "die_maximum_likelihood": (
        no_other_die_is_as_likely,
        optimum_is_stationary_and_curved,
        optimum_same_in_any_order,
    ),
    "binary_log_loss": (
        binary_is_two_classes,
        binary_same_if_yes_and_no_swap,
        binary_same_in_any_order,
    ),
    "categorical_log_loss": (
        categorical_is_cross_entropy_of_one_hot,
        categorical_same_in_any_order,
        categorical_same_if_classes_are_relabelled,
    ),
    "bits_per_byte": (*_RATE, text_rate_times_length_is_the_total),
    "bits_per_character": (*_RATE, text_rate_times_length_is_the_total),
    "bits_per_token": (*_RATE, text_rate_times_length_is_the_total),
    "perplexity": (*_RATE, text_perplexity_is_two_to_the_bits),
    "entropy_rate": (*_RATE, text_entropy_is_their_mean),
    "total_surprisal": (*_TEXT, text_adds_up),
    "bits_per_byte_difference": (difference_is_that_of_the_rates,),
    "entropy_bounds": (
        bounds_hold_the_entropy,
        bounds_close_as_more_is_listed,
        bounds_same_in_any_order,
    ),
    "ragged_entropy_bounds": (ragged_bounds_are_those_of_rows,),
    "single_precision_bounds": (single_precision_encloses,),
}
