"""Learned weights are the best there are: grids, slopes and bounds say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nescio.ensemble.branches import END
from nescio.ensemble.byte_view import START, ByteView
from nescio.ensemble.joining import Ensemble
from nescio.ensemble.member_scores import (
    MemberScores,
    load_scores,
    member_scores,
    rule_logp,
    save_scores,
)
from nescio.ensemble.mixing import ProductLoss, climbed, least_loss
from nescio.ensemble.weighting import LEARNED, fit_weights, prompt_weights
from nescio.errors import InvalidInput, InvalidText, SchemaError
from nescio.models.table import read_table
from tests.ensemble.tables import random_table


def drawn(
    seed: int, *, members: int = 2, documents: int = 12, length: int = 25
) -> MemberScores:
    """Bytes that a mixture of the members writes, or something near it."""
    rng = np.random.default_rng(seed)
    rows = documents * length
    logp = np.full((rows, members, 257), -np.inf)
    p = rng.dirichlet(np.full(6, 0.7), size=(rows, members)) * 0.99 + 0.01 / 6
    logp[:, :, 97:103] = np.log(p)
    weights = rng.dirichlet(np.full(members, 2.0))
    truth = np.einsum("m,tms->ts", weights, p)
    seen = np.array([97 + rng.choice(6, p=row / row.sum()) for row in truth])
    owner = np.repeat(np.arange(documents), length)
    return MemberScores(logp, seen, owner, np.zeros((documents, members)))


TEXTS = [b"ab", b"b", b"aab", b"aba"]


@pytest.mark.parametrize("rule", ["mean", "posterior", "product", "min", "power:0.5"])
def test_a_rule_on_stored_scores_is_the_ensemble(rule: str) -> None:
    members = (random_table(14), random_table(15))
    views = [ByteView(table) for table in members]
    scores = member_scores(views, TEXTS, ended=True)
    found = rule_logp(scores, rule, (1, 3))
    ensemble = Ensemble(members, rule=rule, weights=(1, 3))
    expected = []
    for text in TEXTS:
        (context,), _ = ensemble.extend([ensemble.open()], [np.array([START])])
        for symbol in [*text, END]:
            expected.append(context.joined[symbol])
            (context,), _ = ensemble.extend([context], [np.array([symbol])])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert scores.bits_per_byte == pytest.approx(-scores.own.mean(axis=0) / np.log(2))
    assert scores.document.tolist() == [0] * 3 + [1] * 2 + [2] * 4 + [3] * 4


def test_a_prompt_is_left_out_but_counts_for_the_posterior() -> None:
    views = [ByteView(random_table(seed)) for seed in (14, 15)]
    scores = member_scores(views, TEXTS)
    whole = rule_logp(scores, "posterior", (1, 3))
    rest = scores.behind(1)
    lead = scores.own[scores.starts][[0, 2, 3]]
    part = rule_logp(rest, "posterior", (1, 3), lead=lead)
    np.testing.assert_allclose(part, whole[[1, 4, 5, 7, 8]])
    assert rest.document.tolist() == [0, 1, 1, 2, 2]
    assert rest.symbols.tolist() == [*b"b", *b"ab", *b"ba"]


def test_scores_are_stored_as_they_are(tmp_path: Path) -> None:
    scores = member_scores([ByteView(read_table("coin"))], [b"HT", b"T"])
    save_scores(tmp_path / "one.npz", scores)
    back = load_scores(tmp_path / "one.npz")
    np.testing.assert_array_equal(back.logp, scores.logp)
    np.testing.assert_array_equal(back.missing, scores.missing)
    assert [path.name for path in tmp_path.iterdir()] == ["one.npz"]
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    with pytest.raises(SchemaError, match="holds no scores"):
        load_scores(tmp_path / "bad.npz")


@given(st.integers(0, 10_000), st.integers(2, 4))
@settings(deadline=None, max_examples=25)
def test_every_iteration_of_em_raises_the_likelihood(seed: int, members: int) -> None:
    scores = drawn(seed, members=members, documents=4, length=10)
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 4, len(scores.symbols)).astype(np.float64)
    start = rng.dirichlet(np.ones(members)) + 1e-3
    weights, history, gap = climbed(scores.own, counts, start)
    assert (np.diff(history) >= -1e-12).all()
    assert weights.sum() == pytest.approx(1.0)
    p = np.exp(scores.own)
    slopes = (counts / counts.sum()) @ (p / (p @ weights)[:, None])
    assert slopes.max() <= 1.0 + 1e-6  # no member deserves more
    assert (slopes[weights > 1e-3] > 1.0 - 1e-4).all()  # nor one that is there less
    others = rng.dirichlet(np.ones(members), 200)
    best = (np.log(p @ others.T) * counts[:, None]).sum(axis=0).max() / counts.sum()
    assert best <= history[-1] + gap + 1e-12


@pytest.mark.parametrize("rule", LEARNED)
def test_no_weights_of_a_grid_are_better(rule: str) -> None:
    scores = drawn(5)
    found = fit_weights(scores, rule)
    assert found.converged
    for weight in np.linspace(0.0, 1.0, 21):
        logp = rule_logp(scores, rule, (weight, 1.0 - weight))
        assert -logp.mean() / np.log(2) >= found.after - 1e-7
    assert found.after <= found.before
    assert found.power == pytest.approx(1.0)
    for limits, weight in zip(found.limits, found.weights, strict=True):
        assert limits.low is not None
        assert limits.high is not None
        assert limits.low <= weight <= limits.high
        assert 0.01 < limits.high - limits.low < 1.0


def test_a_free_power_is_the_best_of_all_powers() -> None:
    scores = drawn(6)
    sharp = MemberScores(
        (2.0 * scores.logp)
        - np.logaddexp.reduce(2.0 * scores.logp, axis=2, keepdims=True),
        scores.symbols,
        scores.document,
        scores.missing,
    )
    found = fit_weights(sharp, "product", tempered=True)
    bound = fit_weights(sharp, "product")
    assert found.converged
    assert found.power < 0.9  # the members are twice too sharp
    assert found.after < bound.after
    loss = ProductLoss(sharp)
    for first in np.linspace(0.0, 1.2, 7):
        for second in np.linspace(0.0, 1.2, 7):
            value = loss.of(np.array([first, second])) / np.log(2)
            assert value >= found.after - 1e-9
    with pytest.raises(InvalidInput, match="mean has no power"):
        fit_weights(scores, "mean", tempered=True)


def test_slopes_and_bends_of_the_loss_are_its_derivatives() -> None:
    loss, at, width = ProductLoss(drawn(7, members=3)), np.array([0.5, 0.2, 0.4]), 1e-5
    first, second = loss.slopes(at)
    for member in range(3):
        away = width * np.eye(3)[member]
        up, down = loss.of(at + away), loss.of(at - away)
        slope = float(first[:, member].mean())
        assert (up - down) / (2 * width) == pytest.approx(slope, abs=1e-8)
        up_slopes, down_slopes = loss.slopes(at + away)[0], loss.slopes(at - away)[0]
        bend = (up_slopes - down_slopes).mean(axis=0) / (2 * width)
        np.testing.assert_allclose(bend, second.mean(axis=0)[member], atol=1e-7)


def test_a_member_of_no_use_gets_no_weight() -> None:
    scores = drawn(8)
    noise = np.full_like(scores.logp[:, :1], -np.log(257))
    logp = np.concatenate([scores.logp, noise], axis=1)
    poor = MemberScores(logp, scores.symbols, scores.document, np.zeros((12, 3)))
    found = fit_weights(poor, "mean")
    assert found.weights[2] < 0.01
    assert found.converged
    loss = ProductLoss(poor)
    weights, _, gap = least_loss(loss, np.full(3, 1 / 3), free=False)
    slope = loss.slopes(weights)[0].mean(axis=0)
    assert slope @ weights - slope.min() == pytest.approx(gap, abs=1e-12)
    assert gap < 1e-9


def test_the_posterior_is_learned_from_whole_texts() -> None:
    scores = drawn(9, documents=40, length=4)
    found = fit_weights(scores, "posterior")
    text = scores.by_document(scores.own)
    grid = np.linspace(0.001, 0.999, 999)
    mixed = np.logaddexp(
        text[:, :1] + np.log(grid), text[:, 1:] + np.log(1.0 - grid)
    ).sum(axis=0)
    assert found.weights[0] == pytest.approx(grid[mixed.argmax()], abs=2e-3)
    assert abs(found.weights[0] - fit_weights(scores, "mean").weights[0]) > 1e-3


def test_what_is_saved_is_measured_on_texts_that_were_left_out() -> None:
    scores = drawn(11, documents=30)
    useless = scores.logp.copy()
    useless[:, 1, 97:103] = np.log(np.array([0.95, 0.01, 0.01, 0.01, 0.01, 0.01]))
    clear = MemberScores(useless, scores.symbols, scores.document, scores.missing)
    found = fit_weights(clear, "mean")
    assert found.saved is not None
    assert found.saved.low is not None
    assert found.saved.low > 0.0
    assert found.saved.value is not None
    assert found.saved.value == pytest.approx(found.before - found.after, abs=0.02)
    assert found.saved.value < found.before - found.after  # left out: no better than in
    assert fit_weights(drawn(1, documents=3)).saved is None


def test_weights_from_a_prompt_count_bytes() -> None:
    assert prompt_weights([1.0, 1.0]) == (0.5, 0.5)
    weights = prompt_weights([1.0, 2.0, float("inf")], temperature=0.5)
    assert weights[2] == 0.0
    assert weights[0] / weights[1] == pytest.approx(np.exp(2.0))
    for bits, temperature, message in (
        ([], 1, "one a member"),
        ([-1.0], 1, "one a member"),
        ([1.0], 0, "temperature is 0"),
        ([float("inf")], 1, "no member can write"),
    ):
        with pytest.raises(InvalidInput, match=message):
            prompt_weights(bits, temperature=temperature)


def test_what_cannot_be_learned_is_refused() -> None:
    scores = drawn(3)
    with pytest.raises(InvalidInput, match="'min' are not learned"):
        fit_weights(scores, "min")
    impossible = scores.logp.copy()
    impossible[7, 1, scores.symbols[7]] = -np.inf
    one = MemberScores(impossible, scores.symbols, scores.document, scores.missing)
    with pytest.raises(InvalidText, match="at 7 is impossible for some member"):
        fit_weights(one, "product")
    assert fit_weights(one, "mean").converged
    impossible = impossible.copy()
    impossible[7, 0, scores.symbols[7]] = -np.inf
    one = MemberScores(impossible, scores.symbols, scores.document, scores.missing)
    with pytest.raises(InvalidText, match="impossible for every member"):
        fit_weights(one, "mean")
    with pytest.raises(InvalidInput, match=r"weights .* for 2 members"):
        rule_logp(scores, "mean", (1.0,))
    with pytest.raises(InvalidInput, match="no text is empty"):
        member_scores([ByteView(read_table("coin"))], [b""])
