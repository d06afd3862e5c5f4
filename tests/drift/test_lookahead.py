"""Look-ahead recalibration: closed forms, the first-order condition, restriction."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

import nescio
from nescio.drift.curves import Limits
from nescio.drift.exact import exact_entropy_gap, look_ahead_table
from nescio.drift.lookahead import (
    LookAhead,
    cross_entropy_change,
    fit_look_ahead,
    read_look_ahead,
    write_look_ahead,
)
from nescio.drift.lookahead_model import looking_ahead
from nescio.drift.lookahead_rows import (
    LookAheadRows,
    Reading,
    look_ahead,
    look_ahead_rows,
    tilted,
)
from nescio.errors import CapabilityError, InvalidInput, NotEnoughData, SchemaError
from tests.drift.tables import ends, entropy_of, make_table, random_table, texts_of

# After A nothing is left to be unsure of, after B all of a bit.
FORK = make_table("AB", {(): [0.5, 0.5], (0,): [1.0, 0.0], (1,): [0.5, 0.5]})


@pytest.mark.parametrize(
    ("texts", "a", "loss"),
    [
        (["A"] * 8 + ["B"] * 2, 2.0, 0.500402),
        (["A"] * 3 + ["B"] * 7, -1.222392, 0.610864),
    ],
)
def test_of_two_tokens_the_parameter_is_the_log_odds(
    texts: list[str], a: float, loss: float
) -> None:
    fitted = fit_look_ahead(
        look_ahead_rows(FORK, texts, reading=Reading(tokens=1, every=1))
    )
    share = texts.count("A") / len(texts)
    assert fitted.a == pytest.approx(math.log2(share / (1 - share)), abs=1e-12)
    assert fitted.a == pytest.approx(a, abs=1e-6)
    assert fitted.cross_entropy_before == pytest.approx(math.log(2), abs=1e-12)
    assert fitted.cross_entropy_after == pytest.approx(loss, abs=1e-6)
    assert fitted.cross_entropy_after == pytest.approx(
        entropy_of(np.array([share, 1 - share])), abs=1e-12
    )
    assert fitted.converged


def any_rows(seed: int, *, n: int = 40, candidates: int = 4) -> LookAheadRows:
    """Predictions at random; the last column is what the candidates leave."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(candidates + 1), n)
    ahead = rng.exponential(2.0, (n, candidates))
    rest = (p[:, :-1] * ahead).sum(axis=1) / p[:, :-1].sum(axis=1)
    came = rng.integers(0, candidates + 1, n)
    everything = np.concatenate([ahead, rest[:, None]], axis=1)
    row = np.arange(n)
    return LookAheadRows(
        np.log(p[:, :-1]),
        ahead,
        np.log(p[:, -1]),
        rest,
        np.log(p[row, came]),
        everything[row, came],
        row % 8,
    )


def loss_at(rows: LookAheadRows, a: float) -> tuple[float, float]:
    """The mean loss and its derivative, written out with probabilities."""
    p = np.exp(np.concatenate([rows.logp, rows.rest_logp[:, None]], axis=1))
    ahead = np.concatenate([rows.entropy, rows.rest_entropy[:, None]], axis=1)
    weight = p * np.exp(-a * ahead)
    norm = weight.sum(axis=1)
    losses = np.log(norm) - rows.target_logp + a * rows.target_entropy
    under = (weight * ahead).sum(axis=1) / norm
    return float(losses.mean()), float((rows.target_entropy - under).mean())


@given(st.integers(0, 10_000))
@settings(max_examples=60)
def test_at_the_fitted_parameter_the_loss_is_least_and_the_condition_holds(
    seed: int,
) -> None:
    rows = any_rows(seed)
    fitted = fit_look_ahead(rows)
    least, condition = loss_at(rows, fitted.a)
    assert fitted.converged
    assert condition == pytest.approx(0.0, abs=1e-10)
    assert fitted.condition == pytest.approx(condition, abs=1e-12)
    assert fitted.cross_entropy_after == pytest.approx(least, abs=1e-12)
    assert fitted.cross_entropy_after <= fitted.cross_entropy_before
    for beside in (fitted.a - 0.01, fitted.a + 0.01, 0.0, 1.0, -1.0):
        assert loss_at(rows, beside)[0] >= least - 1e-12


def test_newton_finds_far_optima_too() -> None:
    share, ahead = 1.0 - 1e-4, 1e-3
    rows = LookAheadRows(
        np.log([[0.5, 0.5]] * 2),
        np.array([[0.0, ahead]] * 2),
        np.full(2, -np.inf),
        np.zeros(2),
        np.log([0.5, 0.5]),
        np.array([0.0, ahead]),
        np.arange(2),
        np.array([share, 1.0 - share]),
    )
    fitted = fit_look_ahead(rows)
    assert fitted.a == pytest.approx(math.log(share / (1 - share)) / ahead, rel=1e-9)
    assert fitted.iterations < 60


@given(st.integers(0, 10_000))
@settings(max_examples=15)
def test_on_a_known_source_the_condition_is_that_of_the_paper(seed: int) -> None:
    """E_{w≤t~P} H(Q(.|w≤t)) = E_{w<t~P} E_{w_t~Q_a} H(Q(.|w≤t)), all tokens."""
    source = random_table(seed, tokens="abc", order=2)
    model = random_table(seed + 1, tokens="abc", order=2)
    rows, steps = _population(model, source, 3), 3
    fitted = fit_look_ahead(rows)
    after = look_ahead_table(model, fitted.a)
    left = right = loss = 0.0
    for step in range(steps):
        for before, mass in source.enumerate(step):
            p, tilt = (np.exp(t.row(before)[:3]) for t in (source, after))
            ahead = [entropy_of(np.exp(model.row((*before, w)))) for w in range(3)]
            left += mass * float(p @ ahead)
            right += mass * float(tilt @ ahead)
            loss -= mass * float(p @ np.log(tilt))
    assert left == pytest.approx(right, abs=1e-9)
    assert fitted.cross_entropy_after == pytest.approx(loss / steps, abs=1e-9)


def _population(model, source, steps: int) -> LookAheadRows:
    """Every prefix of the source with every next token, weighted by its probability."""
    columns = []
    for step in range(steps):
        for before, mass in source.enumerate(step):
            logp = model.row(before)[:3]
            ahead = np.array(
                [entropy_of(np.exp(model.row((*before, w)))) for w in range(3)]
            )
            for token, p in enumerate(np.exp(source.row(before)[:3])):
                columns.append((logp, ahead, token, mass * p))
    logp = np.array([c[0] for c in columns])
    ahead = np.array([c[1] for c in columns])
    came = np.array([c[2] for c in columns])
    row = np.arange(len(columns))
    return LookAheadRows(
        logp,
        ahead,
        np.full(len(row), -np.inf),
        np.zeros(len(row)),
        logp[row, came],
        ahead[row, came],
        row,
        np.array([c[3] for c in columns]),
    )


def test_cross_entropy_and_entropy_rate_are_not_made_equal() -> None:
    """The gap may grow: the fit says nothing of the model's own text."""
    grew = 0
    for seed in range(20):
        source = random_table(seed, tokens="abc", order=2)
        model = random_table(seed + 1000, tokens="abc", order=2)
        fitted = fit_look_ahead(_population(model, source, 3))
        gaps = [
            abs(exact_entropy_gap(table, source, 3).mean())
            for table in (model, look_ahead_table(model, fitted.a))
        ]
        grew += gaps[1] > gaps[0]
    assert 2 <= grew <= 18


@pytest.fixture(scope="module")
def topics():
    return nescio.load("table:topics")


@pytest.fixture(scope="module")
def texts():
    source = random_table(6, tokens="abcdef", order=1)
    return list(texts_of(source, texts=12, length=20).values())


@pytest.mark.parametrize("candidates", [None, 2, 3, 6])
def test_what_is_fitted_is_what_the_model_then_does(texts, candidates) -> None:
    """Scoring the text of the fit with the model that looks ahead gives its loss."""
    base, reading = random_table(5, tokens="abcdef"), Reading(candidates)
    fitted = fit_look_ahead(look_ahead_rows(base, texts, reading=reading))
    assert abs(fitted.a) > 0.05
    model = looking_ahead(base, fitted, batch=7)
    traces = nescio.score_texts(model, texts)
    loss = np.concatenate([trace.surprisal for trace in traces]).mean(dtype=np.float64)
    assert loss == pytest.approx(fitted.cross_entropy_after, abs=1e-6)
    assert fitted.cross_entropy_after < fitted.cross_entropy_before


def test_with_all_tokens_it_is_the_exact_table_step_by_step(topics, texts) -> None:
    fitted = fit_look_ahead(look_ahead_rows(topics, texts))
    model, table = looking_ahead(topics, fitted), look_ahead_table(topics, fitted.a)
    contexts = [model.open()] * 3
    for run in ([0, 1], [2], [5, 5, 3]):
        contexts, rows = model.extend(contexts, [np.array(run)] * 3)
        expected = table.row(contexts[0].tokens)[:6]
        np.testing.assert_allclose(rows[:, :6], [expected] * 3, atol=1e-12)
    for one, other in zip(
        nescio.score_texts(model, texts[:3], detail=nescio.Detail(top=0)),
        nescio.score_texts(table, texts[:3], detail=nescio.Detail(top=0)),
        strict=True,
    ):
        np.testing.assert_allclose(one.logp, other.logp, atol=1e-6)
        np.testing.assert_allclose(one.entropy, other.entropy, atol=1e-6)
    draws = [
        nescio.generate(m, "a", decoding=nescio.Decoding(30), seed=3).text
        for m in (model, table)
    ]
    assert draws[0] == draws[1]


def test_other_tokens_than_the_candidates_have_their_mean_look_ahead(topics) -> None:
    context, logits = topics.extend([topics.open()], [np.array([2])])
    found = look_ahead(topics, context, logits, candidates=3)
    p = np.exp(topics.row((2,))[:6])
    order = np.argsort(-p, kind="stable")[:3]
    ahead = np.array([entropy_of(np.exp(topics.row((w,)))) for w in range(6)])
    assert found.ids[0].tolist() == order.tolist()
    np.testing.assert_allclose(found.entropy[0], ahead[order], atol=1e-12)
    mean = p[order] @ ahead[order] / p[order].sum()
    assert found.rest[0] == pytest.approx(mean, abs=1e-12)
    given_to = np.where(np.isin(np.arange(6), order), ahead, mean)
    weight = p * np.exp(-1.7 * given_to)
    np.testing.assert_allclose(
        np.exp(tilted(logits, found, 1.7)[0, :6]), weight / weight.sum(), atol=1e-12
    )


def test_an_end_is_looked_at_as_certain_and_is_no_fork() -> None:
    model = nescio.load("table:pieces")
    context, logits = model.extend([model.open()], [np.array([0])])
    found = look_ahead(model, context, logits, candidates=None)
    end = found.ids[0].tolist().index(model.vocabulary.end[0])
    start = found.ids[0].tolist().index(model.start[0])
    assert found.entropy[0, end] == found.entropy[0, start] == 0.0
    rest = [column for column in range(8) if column not in (end, start)]
    assert (found.entropy[0, rest] > 0.5).all()


def test_predictions_may_be_taken_every_few_tokens(topics) -> None:
    every = look_ahead_rows(topics, ["abcdefab", "cdab"], reading=Reading(every=1))
    third = look_ahead_rows(topics, ["abcdefab", "cdab"], reading=Reading(every=3))
    chosen = np.array([0, 3, 6, 8, 11])
    assert third.document.tolist() == [0, 0, 0, 1, 1]
    np.testing.assert_array_equal(third.entropy, every.entropy[chosen])
    np.testing.assert_array_equal(third.target_logp, every.target_logp[chosen])
    short = look_ahead_rows(topics, ["abcdefab"], reading=Reading(tokens=4))
    assert len(short) == 4


def test_the_change_of_the_loss_is_measured_by_document(topics, texts) -> None:
    rows = look_ahead_rows(topics, texts)
    fitted = fit_look_ahead(rows)
    found = cross_entropy_change(fitted, rows, limits=Limits(0.9, 1, 500))
    assert found["cross_entropy_before"].value == pytest.approx(
        fitted.cross_entropy_before
    )
    change = found["cross_entropy_change"]
    assert change.value == pytest.approx(
        fitted.cross_entropy_after - fitted.cross_entropy_before
    )
    low, value, high = ends(change)
    assert low < value < high
    assert (change.n_clusters, change.level, change.unit) == (12, 0.9, "nats/token")
    few = look_ahead_rows(topics, texts[:3])
    assert cross_entropy_change(fitted, few)["cross_entropy_change"].low is None
    with pytest.raises(InvalidInput, match="candidates"):
        cross_entropy_change(fitted, look_ahead_rows(topics, texts, reading=Reading(3)))


def test_the_standard_error_is_the_spread_of_fits_to_new_text(topics) -> None:
    source = random_table(6, tokens="abcdef", order=1)
    fits = [
        fit_look_ahead(
            look_ahead_rows(
                topics, list(texts_of(source, texts=20, length=5, seed=s).values())
            )
        )
        for s in range(20, 80)
    ]
    spread = np.std([fit.a for fit in fits], ddof=1)
    said = np.mean([fit.standard_error for fit in fits])
    assert 0.7 < said / spread < 1.4
    one = fits[0].estimate(0.9)
    low, value, high = ends(one)
    assert low < value < high
    assert one.unit == "1/nats"


def test_a_fit_is_saved_and_read_the_same(topics, texts, tmp_path: Path) -> None:
    fitted = fit_look_ahead(look_ahead_rows(topics, texts, reading=Reading(3)))
    write_look_ahead(tmp_path / "a.json", fitted)
    assert read_look_ahead(tmp_path / "a.json") == fitted
    assert fitted.settings["model_digest"] == topics.origin.model_digest
    fields = json.loads((tmp_path / "a.json").read_text())
    for name, value in (
        ("a", "0.5"),
        ("a", True),
        ("standard_error", -1.0),
        ("candidates", 1),
        ("n", 1.5),
        ("converged", 1),
        ("settings", []),
        ("look_ahead", 2),
        ("extra", 0),
    ):
        (tmp_path / "b.json").write_text(json.dumps(fields | {name: value}))
        with pytest.raises(SchemaError, match=name):
            read_look_ahead(tmp_path / "b.json")
    for text in ("[", "[]", json.dumps(fields).replace(str(fields["a"]), "NaN", 1)):
        (tmp_path / "b.json").write_text(text)
        with pytest.raises(SchemaError, match=r"b\.json"):
            read_look_ahead(tmp_path / "b.json")
    with pytest.raises(InvalidInput, match="no such file"):
        read_look_ahead(tmp_path / "c.json")


def test_a_look_ahead_is_for_the_model_it_was_fitted_on(topics, texts) -> None:
    fitted = fit_look_ahead(look_ahead_rows(topics, texts))
    with pytest.raises(InvalidInput, match="model_digest"):
        looking_ahead(random_table(0, tokens="abcdef"), fitted)
    with pytest.raises(CapabilityError, match="Stepping"):
        looking_ahead(object(), fitted)
    with pytest.raises(InvalidInput, match="batch"):
        looking_ahead(topics, fitted, batch=0)
    model = looking_ahead(topics, fitted)
    assert model.origin.model_digest != topics.origin.model_digest
    assert "look-ahead" in model.name


def test_what_cannot_be_fitted_is_refused(topics) -> None:
    coin = nescio.load("table:coin")
    with pytest.raises(InvalidInput, match="equally unsure"):
        fit_look_ahead(look_ahead_rows(coin, ["HTHT"]))
    for texts, word in ((["A"], "least"), (["B"], "largest")):
        with pytest.raises(InvalidInput, match=word):
            fit_look_ahead(look_ahead_rows(FORK, texts, reading=Reading(tokens=1)))
    with pytest.raises(InvalidInput, match="one text"):
        look_ahead_rows(topics, "abc")
    with pytest.raises(InvalidInput, match="document 1: this table cannot write"):
        look_ahead_rows(topics, ["abc", "xyz"])
    with pytest.raises((InvalidInput, TypeCheckError)):
        look_ahead_rows(topics, {"a": 1})
    with pytest.raises(NotEnoughData, match="no token"):
        look_ahead_rows(topics, [""])
    with pytest.raises(InvalidInput, match="impossible"):
        look_ahead_rows(FORK, ["AB"])
    with pytest.raises(InvalidInput, match="at least 2"):
        Reading(1)
    with pytest.raises(InvalidInput, match="every is 0"):
        Reading(every=0)


def test_fitted_numbers_are_frozen(topics, texts) -> None:
    fitted = fit_look_ahead(look_ahead_rows(topics, texts))
    with pytest.raises(AttributeError):
        fitted.a = 0.0
    assert isinstance(LookAhead.from_dict(fitted.to_dict()), LookAhead)
