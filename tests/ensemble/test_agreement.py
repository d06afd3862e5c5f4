"""Agreement-based search is what the whole grid, cell by cell, says."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

import nescio
from nescio.ensemble import agreement
from nescio.ensemble.agreed import Agreed, Agreement, Opened
from nescio.ensemble.agreement import (
    agreement_beam,
    agreement_search,
    agreement_searches,
)
from nescio.ensemble.grid import cells
from nescio.errors import CapabilityError, InvalidDistribution, InvalidInput
from nescio.models.table import Table, TableContext, read_table
from nescio.models.vocabulary import Vocabulary
from tests.ensemble.tables import random_table, shares


@dataclass(frozen=True)
class State:
    """A hypothesis: its members' tokens, log-probabilities, and who has ended."""

    tokens: tuple[tuple[int, ...], ...]
    logp: tuple[float, ...]
    ended: tuple[bool, ...]


def grid_search(
    tables: Sequence[Table], plan: Agreement
) -> list[tuple[float, tuple[tuple[int, ...], ...]]]:
    """Every cell of the grid beam x V1 x V2 ... of every step, by the definition."""
    weights = plan.shares(len(tables))
    going = [State(((),) * len(tables), (0.0,) * len(tables), (False,) * len(tables))]
    finished: list[tuple[float, tuple[tuple[int, ...], ...]]] = []
    while going and len(finished) < plan.width:
        found = [
            (score(cell, parent, weights, plan), total(cell, weights), cell)
            for parent in going
            for cell in grid(tables, parent)
            if agrees(tables, cell)
        ]
        going = []
        for _, unnormalised, cell in sorted(found, key=lambda one: -one[0]):
            best = max((value for value, _ in finished), default=-np.inf)
            if plan.early and unnormalised < best:
                continue
            long = max(map(len, cell.tokens)) >= plan.max_tokens
            if all(cell.ended) or long:
                finished.append((unnormalised, cell.tokens))
            else:
                going.append(cell)
            if len(going) == plan.width or len(finished) == plan.width:
                break
    return sorted(finished, key=lambda one: one[0], reverse=True)


def grid(tables: Sequence[Table], state: State) -> list[State]:
    texts = [
        t.vocabulary.spell(own) for t, own in zip(tables, state.tokens, strict=True)
    ]
    lengths = [len(text) for text in texts]
    if any(state.ended):
        stalled = list(state.ended)
    elif len(set(lengths)) == 1:
        stalled = [False] * len(tables)
    else:
        stalled = [length == max(lengths) for length in lengths]
    options = []
    for table, own, waits in zip(tables, state.tokens, stalled, strict=True):
        row = shares(table, own)
        taken = [(t, float(np.log(row[t]))) for t in np.flatnonzero(row).tolist()]
        options.append([(None, 0.0)] if waits else taken)
    cells = []
    for cell in itertools.product(*options):
        tokens, ended = [], []
        for member, (token, _) in enumerate(cell):
            own = state.tokens[member]
            tokens.append(own if token is None else (*own, token))
            is_end = token in tables[member].vocabulary.end
            ended.append(state.ended[member] or is_end)
        logp = (a + b for a, (_, b) in zip(state.logp, cell, strict=True))
        cells.append(State(tuple(tokens), tuple(logp), tuple(ended)))
    return cells


def agrees(tables: Sequence[Table], state: State) -> bool:
    texts = [
        t.vocabulary.spell(own) for t, own in zip(tables, state.tokens, strict=True)
    ]
    closed = [text for text, e in zip(texts, state.ended, strict=True) if e]
    if not closed:
        return all(max(texts, key=len).startswith(text) for text in texts)
    here = [text for text, e in zip(texts, state.ended, strict=True) if not e]
    return len(set(closed)) == 1 and all(closed[0].startswith(text) for text in here)


def score(
    cell: State, parent: State, weights: Sequence[float], plan: Agreement
) -> float:
    own = [len(tokens) + 1 for tokens in parent.tokens]
    divided = own if plan.scored == "mean" else [1] * len(own)
    return sum(
        w * logp / n for w, logp, n in zip(weights, cell.logp, divided, strict=True)
    )


def total(cell: State, weights: Sequence[float]) -> float:
    return sum(w * logp for w, logp in zip(weights, cell.logp, strict=True))


def begun(table: Table) -> Opened:
    (context,), logits = table.extend([table.open()], [np.array(table.start)])
    return Opened(context, logits[0])


def search(tables: Sequence[Table], plan: Agreement) -> tuple[Agreed, ...]:
    return agreement_search(tables, [begun(table) for table in tables], plan=plan)


@pytest.mark.parametrize(
    ("members", "width", "seeds"), [(2, 1, 24), (2, 4, 24), (3, 2, 8)]
)
def test_it_finds_what_every_cell_of_the_grid_says(
    members: int, width: int, seeds: int
) -> None:
    plain = ended = 0
    for seed in range(seeds):
        tables = [random_table(100 * i + seed, order=1) for i in range(members)]
        weights = (0.2, 0.8, 0.5)[:members]
        mode = ("mean", "sum")[seed % 2]
        plan = Agreement(width, weights, 5, scored=mode, early=seed % 3 > 0)
        expected = grid_search(tables, plan)
        if not expected:
            with pytest.raises(InvalidDistribution, match="agree on no text"):
                search(tables, plan)
            continue
        found = search(tables, plan)
        assert [one.tokens for one in found] == [tokens for _, tokens in expected]
        for one, (unnormalised, tokens) in zip(found, expected, strict=True):
            assert one.total == pytest.approx(unnormalised, rel=1e-12)
            for table, own, text in zip(tables, tokens, one.texts, strict=True):
                assert table.vocabulary.spell(own) == text
            ended += one.stop == "eos"
            assert one.stop == "length" or len(set(one.texts)) == 1
        plain += 1
    assert plain >= seeds // 2
    assert ended >= 4


@pytest.mark.parametrize("seed", [37, 41, 53])
def test_a_cell_that_cannot_win_is_passed_over_and_the_next_is_not(seed: int) -> None:
    tables = [random_table(seed), random_table(100 + seed)]
    plan = Agreement(4, (0.2, 0.8), 5)
    found = [(one.total, one.tokens) for one in search(tables, plan)]
    assert [tokens for _, tokens in found] == [t for _, t in grid_search(tables, plan)]


def test_once_one_has_finished_the_rest_is_not_passed_over_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    letters = [bytes([a, b]) for a in range(97, 123) for b in range(97, 123)]
    size = len(letters)
    vocabulary = Vocabulary.of(
        [*letters, b"", b""], control={size: "<end>", size + 1: "<start>"}, end=[size]
    )
    with np.errstate(divide="ignore"):
        row = np.log([*np.full(size, 0.4 / size), 0.6, 0.0])
    table = Table("table:ending", vocabulary, {(): row}, "x")
    looked = 0

    def counted(*given, **settings):
        nonlocal looked
        for cell in cells(*given, **settings):
            looked += 1
            yield cell

    monkeypatch.setattr(agreement, "cells", counted)
    found = search([table], Agreement(3, max_tokens=4))
    assert [one.texts for one in found] == [(b"",)]
    assert looked <= 2  # of 677: the end, and the end again


def test_with_itself_it_is_greedy_at_width_1_and_not_beyond() -> None:
    different = 0
    for seed in range(30):
        table = random_table(seed)
        greedy = nescio.generate(
            table,
            "",
            decoding=nescio.Decoding(12, sampling=nescio.Sampling(temperature=0)),
        )
        ids = () if greedy.token_ids is None else tuple(greedy.token_ids.tolist())
        (alone,) = search([table, table], Agreement(1, max_tokens=12))
        assert alone.tokens == (ids, ids)
        best = search([table, table], Agreement(4, max_tokens=12))[0]
        different += best.tokens != alone.tokens
    assert different >= 3


class Counted(Table):
    """A table that notes what it was asked to read, and can forget nothing."""

    asked: list[tuple[int, ...]]

    @staticmethod
    def of(table: Table) -> Counted:
        counted = Counted(table.name, table.vocabulary, table.rows, table.digest)
        object.__setattr__(counted, "asked", [])
        return counted

    def extend(self, contexts, tokens):
        found, logits = Table.extend(self, contexts, tokens)
        self.asked.extend(context.tokens for context in found)
        return found, logits


def test_a_member_that_waits_is_not_run_and_none_reads_anything_twice() -> None:
    waited = 0
    for seed in range(12):
        tables = [Counted.of(random_table(seed)), Counted.of(random_table(100 + seed))]
        try:
            found = search(tables, Agreement(1, max_tokens=6))
        except InvalidDistribution:
            continue
        for member, table in enumerate(tables):
            assert len(set(table.asked)) == len(table.asked)
            steps = len(found[0].stalled)
            waits = sum(stalled[member] for stalled in found[0].stalled)
            waited += waits
            assert len(table.asked) == steps - waits  # the start, and all but the last
    assert waited > 5


def test_hypotheses_that_share_a_reading_ask_for_it_once() -> None:
    for seed in range(10):
        tables = [Counted.of(random_table(seed)), Counted.of(random_table(100 + seed))]
        try:
            search(tables, Agreement(4, max_tokens=6))
        except InvalidDistribution:
            continue
        for table in tables:
            assert len(set(table.asked)) == len(table.asked)


class Forgetful(Table):
    """A table that reads every context again from its beginning."""

    def extend(self, contexts, tokens):
        whole = [
            np.array([*context.tokens, *map(int, run)], dtype=np.int64)
            for context, run in zip(contexts, tokens, strict=True)
        ]
        return Table.extend(self, [TableContext()] * len(whole), whole)


def test_many_searches_are_each_by_itself_and_caches_change_nothing() -> None:
    tables = [random_table(1), random_table(101)]
    plain = [Forgetful(t.name, t.vocabulary, t.rows, t.digest) for t in tables]
    plan = Agreement(3, max_tokens=5)
    starts = []
    for text in (b"", b"a", b"ab"):
        run = [np.array([*t.start, *t.encode(text)]) for t in tables]
        read = [t.extend([t.open()], [r]) for t, r in zip(tables, run, strict=True)]
        starts.append([Opened(context, row) for (context,), (row,) in read])
    together = agreement_searches(tables, starts, plan=plan)
    for own, found in zip(starts, together, strict=True):
        for models in (tables, plain):
            alone = agreement_search(models, own, plan=plan)
            assert [a.tokens for a in alone] == [f.tokens for f in found]
            assert [a.total for a in alone] == [f.total for f in found]


def test_a_member_of_no_weight_is_not_run() -> None:
    tables = [random_table(4), random_table(5), random_table(6)]
    silent = Counted.of(tables[1])
    models = [tables[0], silent, tables[2]]
    starts = [begun(table) for table in tables]
    plan = Agreement(2, (1, 0, 3), max_tokens=5)
    found = agreement_search(models, starts, plan=plan)
    assert silent.asked == []
    assert found[0].members == (0, 2)
    alone = search([tables[0], tables[2]], Agreement(2, (1, 3), max_tokens=5))
    assert [one.tokens for one in found] == [one.tokens for one in alone]


def letters(*tokens: bytes, end: float = 0.2) -> Table:
    """Each token is as probable, whatever came before."""
    vocabulary = Vocabulary.of(
        [*tokens, b"", b""],
        control={len(tokens): "<end>", len(tokens) + 1: "<start>"},
        end=[len(tokens)],
    )
    p = np.append(np.full(len(tokens), (1 - end) / len(tokens)), end)
    with np.errstate(divide="ignore"):
        row = np.append(np.log(p), -np.inf)
    return Table("table:letters", vocabulary, {(): row}, "")


def test_one_may_have_begun_the_answer_already() -> None:
    words, bytes_ = letters(b" ab", end=0.6), letters(b"a", b"b", b" ", end=0.6)
    context = words.extend([words.open()], [np.array(words.start)])[0][0]
    ahead = Opened(context, bytes_.row(()), b" ")
    (found,) = agreement_search(
        [words, bytes_], [begun(words), ahead], plan=Agreement(1, max_tokens=4)
    )
    assert found.texts == (b" ab", b" ab")
    assert found.stalled == (
        (False, True),
        (True, False),
        (True, False),
        (False, False),
    )
    assert found.stop == "eos"
    expected = (np.log(0.4) + np.log(0.6), 2 * np.log(0.4 / 3) + np.log(0.6))
    assert found.logp == pytest.approx(expected)
    assert found.text == " ab"
    with pytest.raises(InvalidInput, match="one has to begin the other"):
        agreement_search([words, bytes_], [Opened(context, words.row(()), b"x"), ahead])


def test_members_that_cannot_meet_and_plans_that_are_none_are_refused() -> None:
    with pytest.raises(InvalidDistribution, match="agree on no text"):
        search([letters(b"a", end=1e-9), letters(b"b", end=0.0)], Agreement(2))
    for wrong, message in (
        ({"width": 0}, "width is 0"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"weights": (0, 0)}, "not all of them"),
        ({"weights": (1, -1)}, "at least 0"),
        ({"weights": (1, float("nan"))}, "at least 0"),
        ({"ranked": "best"}, "ranked is 'best'"),
    ):
        with pytest.raises(InvalidInput, match=message):
            Agreement(**wrong)
    coin = read_table("coin")
    with pytest.raises(InvalidInput, match="3 weights for 2 members"):
        agreement_beam([coin, coin], "H", plan=Agreement(weights=(1, 1, 1)))
    with pytest.raises(InvalidInput, match="1 prompts for 2 models"):
        agreement_beam([coin, coin], ["H"])
    with pytest.raises(InvalidInput, match="1 starts for 2 models"):
        agreement_search([coin, coin], [begun(coin)])
    with pytest.raises(CapabilityError, match="agreement-based search"):
        agreement_beam([coin, object()], "H")


def test_each_member_may_have_a_prompt_of_its_own() -> None:
    topics = read_table("topics")
    text = topics.vocabulary.spell([0, 1]).decode()
    same = agreement_beam([topics, topics], text, plan=Agreement(2, max_tokens=3))
    each = agreement_beam(
        [topics, topics], [text, text], plan=Agreement(2, max_tokens=3)
    )
    assert [one.tokens for one in same] == [one.tokens for one in each]
    ranked = [one.total for one in same]
    assert ranked == sorted(ranked, reverse=True)
