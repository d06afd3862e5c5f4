"""Closed forms on tables, against enumeration and against one another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nescio
from nescio.drift.exact import (
    exact_entropy_by_step,
    exact_entropy_gap,
    exact_log_loss_by_step,
    exact_memory,
    look_ahead_table,
)
from nescio.errors import InvalidDistribution, InvalidInput, NotEnoughData
from tests.drift.tables import entropy_of, make_table, random_table, stationary_table

seeds = st.integers(0, 10_000)


def by_enumeration(table, steps, number):
    """The mean of a function of what was read, over texts that go on, step by step."""
    ends = set(table.vocabulary.end)
    found = []
    for step in range(steps):
        going = [
            (tokens, p)
            for tokens, p in table.enumerate(step)
            if len(tokens) == step and not ends & set(tokens)
        ]
        mass = sum(p for _, p in going)
        found.append(sum(p * number(tokens) for tokens, p in going) / mass)
    return found


def test_entropy_by_step_is_what_enumeration_finds_also_where_texts_end() -> None:
    table = nescio.load("table:pieces")
    expected = by_enumeration(
        table, 4, lambda tokens: entropy_of(np.exp(table.row(tokens)))
    )
    np.testing.assert_allclose(exact_entropy_by_step(table, 4), expected, atol=1e-12)


@given(seeds)
@settings(max_examples=20)
def test_entropies_of_the_steps_add_up_to_that_of_whole_texts(seed: int) -> None:
    table = random_table(seed, tokens="abc", order=2)
    whole = entropy_of(np.array([p for _, p in table.enumerate(4)]))
    assert exact_entropy_by_step(table, 4).sum() == pytest.approx(whole, abs=1e-12)


def test_what_stands_before_decides_where_the_steps_begin() -> None:
    table = random_table(5, tokens="abc", order=2)
    (first,) = exact_entropy_by_step(table, 1, given=(2, 0, 1))
    assert first == pytest.approx(entropy_of(np.exp(table.row((0, 1)))))


@given(seeds)
@settings(max_examples=20)
def test_log_loss_on_another_source_is_what_enumeration_finds(seed: int) -> None:
    model = random_table(seed, tokens="ab", order=1)
    source = random_table(seed + 1, tokens="ab", order=2)

    def loss(tokens):
        return float(-(np.exp(source.row(tokens)[:2]) @ model.row(tokens)[:2]))

    expected = by_enumeration(source, 5, loss)
    found = exact_log_loss_by_step(model, source, 5)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert (found >= exact_entropy_by_step(source, 5) - 1e-12).all()


def test_a_model_that_is_the_source_has_no_entropy_gap() -> None:
    table = random_table(3, tokens="abc", order=2)
    np.testing.assert_allclose(exact_entropy_gap(table, table, 30), 0.0, atol=1e-12)


def test_what_the_model_forbids_costs_without_end() -> None:
    model = make_table("ab", {(): [1.0, 0.0]})
    source = make_table("ab", {(): [0.5, 0.5]})
    assert np.isposinf(exact_log_loss_by_step(model, source, 2)).all()


def test_memory_of_a_chain_is_its_marginal_entropy_less_its_rate_then_nothing() -> None:
    a, b = 0.1, 0.4
    table = make_table("ab", {(): [0.8, 0.2], (0,): [1 - a, a], (1,): [b, 1 - b]})
    marginal = entropy_of(np.array([b, a]) / (a + b))
    found = exact_memory(table, [0, 1, 2, 7])
    assert found[0] == pytest.approx(marginal - table.entropy_rate(), abs=1e-12)
    assert found[1:].max() <= 1e-12


@given(seeds)
@settings(max_examples=20)
def test_memory_never_rises_and_is_the_fall_of_block_entropies(seed: int) -> None:
    table = stationary_table(seed)
    found = exact_memory(table, [0, 1, 2, 3])
    block = [entropy_of(np.array([p for _, p in table.enumerate(n)])) for n in range(4)]
    expected = np.diff(block) - table.entropy_rate()  # H(next | last τ) less the rate
    np.testing.assert_allclose(found[:3], expected, atol=1e-9)
    assert (np.diff(found) <= 1e-12).all()
    assert found[3] <= 1e-12


@given(seeds, st.floats(-3, 3))
@settings(max_examples=20)
def test_a_table_that_looks_ahead_has_the_rows_of_the_definition(
    seed: int, a: float
) -> None:
    table = random_table(seed, tokens="abc", order=2)
    found = look_ahead_table(table, a)
    for before in [(), (1,), (0, 2), (1, 1, 0)]:
        ahead = np.array(
            [entropy_of(np.exp(table.row((*before, token)))) for token in range(3)]
        )
        weight = np.exp(table.row(before)[:3] - a * ahead)
        np.testing.assert_allclose(
            np.exp(found.row(before)[:3]), weight / weight.sum(), atol=1e-12
        )


def test_after_an_end_nothing_is_left_to_be_unsure_of() -> None:
    table = make_table("abe", {(): [0.3, 0.3, 0.4]}, ends=True)
    ahead = entropy_of(np.array([0.3, 0.3, 0.4]))
    weight = np.array([0.3, 0.3, 0.4]) * np.exp([-2 * ahead, -2 * ahead, 0.0])
    found = np.exp(look_ahead_table(table, 2.0).row(())[:3])
    np.testing.assert_allclose(found, weight / weight.sum(), atol=1e-12)


def test_tables_of_other_tokens_are_no_source_of_each_other() -> None:
    with pytest.raises(InvalidInput, match="different vocabularies"):
        exact_entropy_gap(random_table(0), random_table(0, tokens="xy"), 3)


def test_what_cannot_be_is_refused() -> None:
    table = random_table(0)
    with pytest.raises(InvalidInput, match="0 steps"):
        exact_entropy_by_step(table, 0)
    with pytest.raises(InvalidInput, match="from 0 on"):
        exact_memory(table, [-1])
    with pytest.raises(InvalidInput, match="finite"):
        look_ahead_table(table, np.inf)
    with pytest.raises(InvalidDistribution, match="can end"):
        exact_memory(nescio.load("table:pieces"), [1])
    ending = make_table("ae", {(): [0.0, 1.0]}, ends=True)
    with pytest.raises(NotEnoughData, match="before step 2"):
        exact_entropy_by_step(ending, 2)
    letters = [chr(ord("a") + n) for n in range(26)]
    uniform = (np.ones(26) / 26).tolist()
    large = make_table(letters, {(): uniform, (0, 0, 0, 0): uniform})
    with pytest.raises(InvalidInput, match="contexts"):
        look_ahead_table(large, 1.0)
