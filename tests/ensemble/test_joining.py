"""An ensemble is what enumeration of its members says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nescio.ensemble.branches import END
from nescio.ensemble.byte_view import START, ByteView
from nescio.ensemble.joining import Ensemble, EnsembleContext
from nescio.ensemble.rules import RULES
from nescio.errors import (
    CapabilityError,
    InvalidDistribution,
    InvalidInput,
    InvalidText,
)
from nescio.models.table import Table, read_table
from nescio.models.vocabulary import Vocabulary
from tests.ensemble.tables import ended, prefix, random_table

ALL = (*RULES, "posterior", "power:-1", "power:2")


def read(model: Ensemble, text: bytes) -> tuple[EnsembleContext, np.ndarray]:
    run = np.array([START, *text])
    (context,), logp = model.extend([model.open()], [run])
    return context, logp[0]


@pytest.mark.parametrize("seed", range(0, 40, 2))
def test_the_posterior_is_the_mixture_of_what_members_write(seed: int) -> None:
    one, other = random_table(seed), random_table(seed + 1)
    both = Ensemble((one, other), rule="posterior", weights=(0.3, 0.7))

    def mixture(text: bytes) -> float:
        return 0.3 * prefix(one, text) + 0.7 * prefix(other, text)

    for length in range(4):
        for text in itertools.product(b"ab", repeat=length):
            spelled = bytes(text)
            if mixture(spelled) == 0.0:
                continue
            _, logp = read(both, spelled)
            for byte in b"ab":
                exact = mixture(spelled + bytes([byte])) / mixture(spelled)
                assert np.exp(logp[byte]) == pytest.approx(exact, rel=1e-12)
            stop = 0.3 * ended(one, spelled) + 0.7 * ended(other, spelled)
            expected = stop / mixture(spelled)
            assert np.exp(logp[END]) == pytest.approx(expected, rel=1e-12)


def test_the_mean_is_another_thing_than_the_posterior() -> None:
    members = (random_table(2), random_table(3))
    _, mean = read(Ensemble(members, rule="mean"), b"ab")
    _, posterior = read(Ensemble(members, rule="posterior"), b"ab")
    assert np.abs(np.exp(mean) - np.exp(posterior)).max() > 1e-3


@pytest.mark.parametrize("rule", ALL)
def test_a_model_with_itself_is_itself(rule: str) -> None:
    table = random_table(4)
    view = ByteView(table)
    twice = Ensemble((table, table), rule=rule, weights=(1, 3))
    for text in (b"", b"a", b"ab", b"aba"):
        if prefix(table, text) == 0.0:
            continue
        run = np.array([START, *text])
        alone = view.extend([view.open()], [run])[1][0]
        context, logp = read(twice, text)
        np.testing.assert_allclose(np.exp(logp), np.exp(alone), atol=1e-12)
        assert np.exp(logp).sum() == pytest.approx(1.0)
        assert context.disagreement == pytest.approx(0.0, abs=1e-12)


class _NeverRun(Table):
    def extend(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise AssertionError("a member of weight 0 was run")


def test_a_member_of_weight_nothing_is_never_run() -> None:
    table = random_table(4)
    silent = _NeverRun(table.name, table.vocabulary, table.rows, table.digest)
    both = Ensemble((table, silent), weights=(1.0, 0.0))
    _, logp = read(both, b"a")
    view = ByteView(table)
    alone = view.extend([view.open()], [np.array([START, 97])])[1][0]
    np.testing.assert_allclose(logp, alone, atol=1e-12)


def only(letters: str) -> Table:
    """A model that writes these letters alone, or ends."""
    tokens = [letter.encode() for letter in letters]
    vocabulary = Vocabulary.of(
        [*tokens, b"", b""],
        control={len(tokens): "<end>", len(tokens) + 1: "<start>"},
        end=[len(tokens)],
    )
    row = np.append(np.full(len(tokens) + 1, -np.log(len(tokens) + 1)), -np.inf)
    return Table(f"table:{letters}", vocabulary, {(): row}, letters)


def test_a_member_that_cannot_write_the_text_leaves() -> None:
    both = Ensemble((only("ab"), only("bc")), rule="mean", weights=(0.5, 0.5))
    context, logp = read(both, b"bc")
    assert context.members[0] is None
    assert context.weights.tolist() == [0.0, 1.0]
    np.testing.assert_allclose(
        np.exp(logp[[97, 98, 99, END]]), [0, 1 / 3, 1 / 3, 1 / 3]
    )
    with pytest.raises(InvalidText, match="none of table:ab, table:bc can write"):
        both.extend([context], [np.array([97])])


def test_members_that_cannot_meet_are_refused_by_the_product() -> None:
    tokens = {"a": 0.0, "b": 0.0}
    tables = []
    for letter in tokens:
        vocabulary = Vocabulary.of([letter.encode(), b""], control={1: "<start>"})
        row = np.array([0.0, -np.inf])
        tables.append(Table(f"table:{letter}", vocabulary, {(): row}, letter))
    with pytest.raises(InvalidDistribution, match="no symbol in common"):
        read(Ensemble(tables, rule="product"), b"")


def test_many_at_once_are_each_by_itself_and_rewound() -> None:
    both = Ensemble((only("ab"), only("bc"), random_table(4)), rule="mean")
    texts = [b"", b"b", b"ba", b"bc"]
    runs = [np.array([START, *text]) for text in texts]
    contexts, rows = both.extend([both.open()] * 4, runs)
    for text, row in zip(texts, rows, strict=True):
        np.testing.assert_array_equal(row, read(both, text)[1])
    back = contexts[2].rewind(2)
    np.testing.assert_array_equal(back.joined, contexts[1].joined)
    assert contexts[2].rewind(0).length == 0
    with pytest.raises(InvalidInput, match="cannot be rewound to 9"):
        back.rewind(9)


def test_it_is_scored_and_drawn_from_like_any_other_model() -> None:
    import nescio

    both = Ensemble((read_table("topics"), read_table("topics")), rule="product")
    text = read_table("topics").vocabulary.spell([0, 1, 0]).decode()
    found = nescio.score(both, text)
    alone = nescio.score(ByteView(read_table("topics")), text)
    np.testing.assert_allclose(found.logp, alone.logp, rtol=1e-6)
    answers = nescio.sample(both, text, n=3, seed=1, chat=False).texts
    again = nescio.sample(both, text, n=3, seed=1, chat=False).texts
    assert answers == again
    own = "ensemble:table:topics+table:topics,rule=product,prune=0.0"
    assert found.origin.model == own


def test_what_is_no_ensemble_is_refused() -> None:
    table = read_table("coin")
    for given, words in (
        ({"members": ()}, "at least one member"),
        ({"members": (table,), "rule": "median"}, "rule is 'median'"),
        ({"members": (table,), "rule": "power:much"}, "power:A has a number"),
        ({"members": (table,), "weights": (1, 2)}, "2 weights for 1"),
        ({"members": (table,), "weights": (0,)}, "each is at least 0"),
        ({"members": (table,), "weights": (-1,)}, "each is at least 0"),
        ({"members": (table,), "weights": (float("nan"),)}, "each is at least 0"),
    ):
        with pytest.raises(InvalidInput, match=words):
            Ensemble(**given)
    with pytest.raises(CapabilityError, match="needs a model"):
        Ensemble(("smollm2",))
