"""The measures of arrays against hand numbers and other libraries; what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from sklearn.metrics import log_loss, mutual_info_score

import nescio
from nescio.errors import InvalidDistribution, InvalidInput
from nescio.information import (
    binary_log_loss,
    categorical_log_loss,
    conditional_entropy,
    cross_entropy,
    die_maximum_likelihood,
    entropy,
    jeffreys_divergence,
    jensen_shannon_distance,
    jensen_shannon_divergence,
    kl_divergence,
    log_likelihood,
    markov_entropy_rate,
    mutual_information,
    renyi_entropy,
    sequence_perplexity,
    stationary_distribution,
    surprisal,
    varentropy,
)
from tests.information.simplices import normal

BIT = math.log(2.0)
LOG = math.log
INF = math.inf
CLOSE = {"rel": 1e-9, "abs": 1e-12}


def rows(seed: int, *shape: int) -> np.ndarray:
    """Random distributions along the last axis, some outcomes impossible."""
    rng = np.random.default_rng(seed)
    drawn = rng.gamma(0.3, size=shape) * (rng.random(shape) < 0.9) + 1e-30
    drawn[drawn < 1e-20] = 0.0
    drawn[..., 0] += 0.01
    return drawn / drawn.sum(axis=-1, keepdims=True)


# --- worked numbers -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "bits"),
    [
        ([0.9, 0.1], 0.46899559358928117),
        ([0.5, 0.25, 0.25], 1.5),
        ([0.125] * 8, 3.0),
        ([0, 1, 0], 0.0),
    ],
)
def test_entropies_by_hand(p, bits) -> None:
    assert entropy(p=p) / BIT == pytest.approx(bits, abs=1e-15)


def test_divergences_of_a_coin_by_hand() -> None:
    fair, loaded = [0.5, 0.5], [0.9, 0.1]
    forward = 0.5 * LOG(5 / 9) + 0.5 * LOG(5)
    backward = 0.9 * LOG(9 / 5) + 0.1 * LOG(1 / 5)
    assert kl_divergence(p=fair, q=loaded) == pytest.approx(forward)
    assert kl_divergence(p=loaded, q=fair) == pytest.approx(backward)
    assert jeffreys_divergence(p=fair, q=loaded) == pytest.approx(forward + backward)
    assert cross_entropy(p=fair, q=loaded) == pytest.approx(-0.5 * LOG(0.09))
    middle = 0.5 * (0.7 * -LOG(0.7) + 0.3 * -LOG(0.3)) * 2
    expected = middle - (entropy(p=fair) + entropy(p=loaded)) / 2
    assert jensen_shannon_divergence(p=fair, q=loaded) == pytest.approx(expected)


def test_perplexity_is_a_geometric_mean_and_no_sum() -> None:
    assert sequence_perplexity(p=[0.8] * 7) == pytest.approx(1.25)
    assert sequence_perplexity(p=[0.2]) == pytest.approx(5.0)
    assert sequence_perplexity(p=[0.8, 0.2]) == pytest.approx(math.sqrt(1.25 * 5))
    assert sequence_perplexity(p=[0.5, 0.0]) == INF
    assert surprisal(p=0.5) == BIT


def test_the_binary_loss_of_the_four_questions() -> None:
    expected = -(LOG(0.7) + LOG(0.8) + LOG(0.9) + LOG(0.9)) / 4
    found = binary_log_loss([1, 0, 0, 1], p=[0.7, 0.2, 0.1, 0.9])
    assert found == pytest.approx(expected) == pytest.approx(0.1976, abs=5e-5)
    with pytest.raises(InvalidDistribution, match=r"sums to 1\.9"):
        categorical_log_loss([0], p=[[0.7, 0.2, 0.1, 0.9]])


def test_a_die_by_hand() -> None:
    die = die_maximum_likelihood([3, 5, 2, 4, 4, 2])
    assert die.probabilities.tolist() == [0.15, 0.25, 0.1, 0.2, 0.2, 0.1]
    expected = sum(n * LOG(n / 20) for n in (3, 5, 2, 4, 4, 2))
    assert die.log_likelihood == pytest.approx(expected)
    assert die.multiplier == 20.0
    assert die.gradient.tolist() == [20.0] * 6
    assert die.hessian_diagonal == pytest.approx([-400 / n for n in (3, 5, 2, 4, 4, 2)])


# --- other libraries ------------------------------------------------------------------


def test_entropies_are_those_of_scipy_and_torch() -> None:
    p = rows(1, 40, 30)
    assert entropy(p=p) == pytest.approx(stats.entropy(p, axis=1), **CLOSE)
    assert entropy(p=p) == pytest.approx(special.entr(p).sum(axis=1), **CLOSE)
    by_torch = torch.distributions.Categorical(probs=torch.tensor(p + 1e-30)).entropy()
    assert entropy(p=p) == pytest.approx(by_torch.numpy(), **CLOSE)


def test_divergences_are_those_of_scipy_and_torch() -> None:
    p, q = rows(2, 40, 30), rows(3, 40, 30)
    expected = special.rel_entr(p, q).sum(axis=1)
    assert np.isinf(expected).any()
    assert np.isinf(kl_divergence(p=p, q=q)).tolist() == np.isinf(expected).tolist()
    q = (q + 1e-6) / (q + 1e-6).sum(axis=1, keepdims=True)
    expected = special.rel_entr(p, q).sum(axis=1)
    assert kl_divergence(p=p, q=q) == pytest.approx(expected, **CLOSE)
    by_torch = torch.nn.functional.kl_div(
        torch.tensor(np.log(q)), torch.tensor(p), reduction="none"
    )
    assert kl_divergence(p=p, q=q) == pytest.approx(by_torch.sum(1).numpy(), **CLOSE)
    losses = torch.nn.functional.cross_entropy(
        torch.tensor(np.log(q)), torch.tensor(p), reduction="none"
    )
    assert cross_entropy(p=p, q=q) == pytest.approx(losses.numpy(), **CLOSE)


def test_the_distance_is_that_of_scipy() -> None:
    from scipy.spatial.distance import jensenshannon

    p, q = rows(4, 40, 30), rows(5, 40, 30)
    found = jensen_shannon_distance(p=p, q=q)
    assert found == pytest.approx(jensenshannon(p, q, axis=1), **CLOSE)


def test_mutual_information_is_that_of_scikit_learn() -> None:
    counts = np.random.default_rng(6).integers(0, 9, (7, 5))
    found = mutual_information(p=counts / counts.sum())
    expected = mutual_info_score(None, None, contingency=counts)
    assert found == pytest.approx(expected, **CLOSE)


def test_log_losses_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(7)
    p, labels = rng.random(50), rng.integers(0, 2, 50)
    expected = log_loss(labels, p)
    assert binary_log_loss(labels, p=p) == pytest.approx(expected, **CLOSE)
    many, classes = rng.dirichlet(np.ones(5), size=50), rng.integers(0, 5, 50)
    expected = log_loss(classes, many, labels=range(5))
    assert categorical_log_loss(classes, p=many) == pytest.approx(expected, **CLOSE)


def test_the_likelihood_is_that_of_scipy_less_the_orders() -> None:
    counts, p = np.array([3, 5, 2]), [0.2, 0.5, 0.3]
    orders = special.gammaln(11) - special.gammaln(counts + 1).sum()
    expected = stats.multinomial.logpmf(counts, 10, p) - orders
    assert log_likelihood(counts, p=p) == pytest.approx(expected, **CLOSE)


def test_the_curvature_is_the_largest_eigenvalue_along_the_simplex() -> None:
    for counts in ([3, 5, 2, 4, 4, 2], [1, 1, 1], [0, 3, 9], [1, 10**6], [2, 7, 10**5]):
        size = len(counts)
        tangent = np.linalg.svd(np.ones((1, size)))[2][1:]
        die = die_maximum_likelihood(counts)
        hessian = tangent @ np.diag(die.hessian_diagonal) @ tangent.T
        largest = np.linalg.eigvalsh(hessian).max()
        assert die.curvature == pytest.approx(largest, rel=1e-6)
        assert die.negative_definite
    assert not die_maximum_likelihood([0, 0, 3]).negative_definite
    assert die_maximum_likelihood([4]).curvature == -INF


def test_the_rate_of_a_chain_is_that_of_a_table() -> None:
    table = nescio.load("table:topics")
    _, share = table.stationary()
    _, moves = table._chain()
    assert len(moves) > 2
    assert stationary_distribution(p=moves) == pytest.approx(share, **CLOSE)
    assert markov_entropy_rate(p=moves) == pytest.approx(table.entropy_rate(), **CLOSE)


# --- extremes -------------------------------------------------------------------------


def test_what_is_too_small_for_a_number_still_counts() -> None:
    tiny = -800.0  # exp of it is 0 in double precision
    assert kl_divergence([0.0, tiny], [0.0, -INF]) == INF
    assert kl_divergence([0.0, tiny], [0.0, tiny]) == 0.0
    assert cross_entropy([LOG(0.5)] * 2, [0.0, tiny]) == pytest.approx(400.0)
    assert renyi_entropy([0.0, tiny], order=0) == pytest.approx(BIT)
    expected = math.log1p(math.exp(0.01 * tiny)) / 0.99
    assert renyi_entropy([0.0, tiny], order=0.01) == pytest.approx(expected, rel=1e-12)
    far = [[-INF, 0.0, -INF], [tiny, -INF, 0.0], [0.0, -INF, -INF]]
    assert stationary_distribution(far) == pytest.approx([1 / 3] * 3)
    lone = [[0.0, tiny], [tiny - LOG(3), 0.0]]
    assert stationary_distribution(lone) == pytest.approx([0.25, 0.75])


def test_divergences_of_near_equals_keep_their_digits() -> None:
    p, d = np.array([0.3, 0.7]), 1e-6
    q = p + np.array([d, -d])
    expected = (d**2 / 8) * (1 / 0.3 + 1 / 0.7)
    found = jensen_shannon_divergence(p=p, q=q)
    assert found == pytest.approx(expected, rel=1e-4)
    assert jensen_shannon_distance(p=p, q=p) == 0.0


def test_single_precision_is_normalised_again() -> None:
    logits = np.random.default_rng(8).normal(size=(3, 50_000)).astype(np.float32)
    logp = torch.log_softmax(torch.tensor(logits), dim=-1)
    exact = torch.log_softmax(torch.tensor(logits).double(), dim=-1)
    assert entropy(logp) == pytest.approx(entropy(exact), rel=1e-6)
    assert entropy(logp).dtype == np.float64
    assert (kl_divergence(logp, exact) < 1e-9).all()


def test_what_turns_into_an_array_is_taken() -> None:
    for p in ((0.9, 0.1), [0.9, 0.1], np.array([0.9, 0.1]), torch.tensor([0.9, 0.1])):
        assert entropy(p=p) / BIT == pytest.approx(0.469, abs=1e-5)
    assert entropy(p=np.ma.array([0.5, 0.5])) == pytest.approx(BIT)
    assert entropy(p=[1, 0]) == 0.0


# --- refusals -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"p": [0.5, 0.4]}, r"p sums to 0\.9, 0\.1 below 1"),
        ({"p": [[0.5, 0.5], [0.5, 0.7]]}, r"p\[1\] sums to 1\.2, 0\.2 above 1"),
        ({"p": [0.5, 0.5 + 1e-8]}, "1e-08 above 1"),
        ({"p": [3, 5, 2]}, "sums to 10, 9 above 1; counts.*entropy_from_counts"),
        ({"p": [60.0, 39.5, 0.5]}, "percentages"),
        ({"p": [[0.2, 0.9], [0.8, 0.1]]}, "another axis sums to 1"),
        ({"p": [1.5, 2.5]}, "logits"),
        ({"p": [-0.1, 1.1]}, r"p\[0\] is -0\.1: a probability is at least 0"),
        ({"p": [LOG(0.5), LOG(0.5)]}, "look like log-probabilities: pass them as logp"),
        ({"p": [math.nan, 1.0]}, r"p\[0\] is nan"),
        ({"p": [[1.0, 0.0], [INF, 0.0]]}, r"p\[1, 0\] is inf"),
        ({"p": [0.0, 0.0]}, "sums to 0"),
        ({"logp": [0.9, 0.1]}, r"exp\(logp\) sums to 3\.56.*pass them as p=".lower()),
        ({"logp": [2.0, 1000.0]}, "logits"),
        ({"logp": [-1.0, -1.0]}, r"to base 2\? Multiply them by log\(2\)"),
        ({"logp": [math.log10(0.9), -1.0]}, "to base 10"),
        ({"logp": [math.nan, 0.0]}, r"logp\[0\] is nan"),
        ({"logp": [INF, 0.0]}, r"logp\[0\] is inf"),
        ({"logp": [-INF, -INF]}, "every outcome is impossible"),
    ],
)
def test_what_is_no_distribution_is_refused_with_what_it_may_be(given, message) -> None:
    with pytest.raises(InvalidDistribution, match=f"(?i){message}"):
        entropy(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "exactly one of logp .* neither"),
        ({"p": [1.0], "logp": [0.0]}, "exactly one of logp .* both"),
        ({"p": 1.0}, "outcomes along its last axis"),
        ({"p": []}, "outcomes along its last axis"),
        ({"p": "half"}, "of str"),
        ({"p": [[0.5, 0.5], [1.0]]}, "no array of numbers"),
        ({"p": [0.5 + 0j, 0.5]}, "of complex128"),
        ({"p": np.ma.array([0.5, 0.5], mask=[True, False])}, "masked"),
        ({"p": torch.tensor([0.5, 0.5], requires_grad=True)}, "no array of numbers"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(given, message) -> None:
    with pytest.raises(InvalidInput, match=message):
        entropy(**given)


def test_pairs_that_do_not_go_together_are_refused() -> None:
    for measure in (cross_entropy, kl_divergence, jensen_shannon_divergence):
        with pytest.raises(InvalidInput, match="p has 2 outcomes and q 3"):
            measure(p=[0.5, 0.5], q=[0.5, 0.25, 0.25])
        with pytest.raises(InvalidInput, match="leading axes"):
            measure(p=np.full((2, 2), 0.5), q=np.full((3, 2), 0.5))
        with pytest.raises(InvalidDistribution, match=r"q sums to 0\.9"):
            measure(p=[0.5, 0.5], q=[0.5, 0.4])
        with pytest.raises(InvalidInput, match="exactly one of logq"):
            measure(p=[0.5, 0.5])


def test_tables_that_are_none_are_refused() -> None:
    for measure in (conditional_entropy, mutual_information):
        with pytest.raises(InvalidInput, match="last 2 axes"):
            measure(p=[0.5, 0.5])
        with pytest.raises(
            InvalidDistribution, match="sums to 2, 1 above 1; all rows together"
        ):
            measure(p=[[0.5, 0.5], [0.5, 0.5]])


def test_chains_without_a_single_long_run_are_refused_by_name() -> None:
    split = [[0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 1, 0], [0.1, 0, 0, 0.9]]
    for measure in (markov_entropy_rate, stationary_distribution):
        with pytest.raises(InvalidDistribution, match="reducible") as refused:
            measure(p=split)
        assert "3 classes" in str(refused.value)
        assert "states 0, 1; state 2." in str(refused.value)
        with pytest.raises(InvalidInput, match="row for each state"):
            measure(p=[[0.5, 0.5]])


@pytest.mark.parametrize("order", [-0.5, math.nan])
def test_an_order_that_is_none_is_refused(order) -> None:
    with pytest.raises(InvalidInput, match="at least 0"):
        renyi_entropy(p=[0.5, 0.5], order=order)


def test_what_came_has_probabilities_up_to_one() -> None:
    with pytest.raises(InvalidDistribution, match="pass probabilities as p="):
        sequence_perplexity([0.5, 0.25])
    with pytest.raises(InvalidDistribution, match="pass log-probabilities as logp"):
        sequence_perplexity(p=[-0.5])
    with pytest.raises(InvalidInput, match="at least one came"):
        sequence_perplexity(p=[])
    with pytest.raises(InvalidInput, match="exactly one"):
        surprisal()


def test_labels_and_counts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidInput, match="0 or 1"):
        binary_log_loss([2, 0], p=[0.5, 0.5])
    with pytest.raises(InvalidInput, match="whole"):
        binary_log_loss([0.5], p=[0.5])
    with pytest.raises(InvalidInput, match="one probability for each label"):
        binary_log_loss([0], p=[0.5, 0.5])
    with pytest.raises(InvalidDistribution, match=r"in \[0, 1\]"):
        binary_log_loss([0], p=[1.5])
    with pytest.raises(InvalidInput, match="classes 0 to 1"):
        categorical_log_loss([2], p=[[0.5, 0.5]])
    with pytest.raises(InvalidInput, match="one distribution"):
        categorical_log_loss([0, 1], p=[[0.5, 0.5]])
    with pytest.raises(InvalidInput, match="one number for each outcome"):
        log_likelihood([1, 2], p=[0.5, 0.25, 0.25])
    with pytest.raises(InvalidInput, match="one row"):
        die_maximum_likelihood([[1, 2]])


def test_variance_of_a_coin_and_of_large_numbers_of_outcomes() -> None:
    assert varentropy(p=[0.9, 0.1]) == pytest.approx(0.09 * LOG(9) ** 2)
    flat = normal(np.ones(100_000))
    assert varentropy(p=flat) < 1e-20
    assert entropy(p=flat) == pytest.approx(LOG(100_000), rel=1e-12)
