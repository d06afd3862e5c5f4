"""Only the tokenizer's own spelling, where how it splits depends on what follows."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from nescio.ensemble.branches import END, Candidate, Spelled
from nescio.ensemble.byte_view import START, ByteView
from nescio.ensemble.canonical import that_may_be_canonical
from nescio.errors import InvalidText
from nescio.models.table import Table
from nescio.models.vocabulary import Vocabulary

PIECES = ["Ċ", "Ġ", "a", ".", "ĊĊ", "Ġa", "aa", "ĠĠ", ".Ċ"]
MERGES = [("Ċ", "Ċ"), ("Ġ", "a"), ("a", "a"), ("Ġ", "Ġ"), (".", "Ċ")]
SPELLED = [p.replace("Ċ", "\n").replace("Ġ", " ").encode() for p in PIECES]
LETTERS = "\n a."
BACKEND = Tokenizer(models.BPE({p: i for i, p in enumerate(PIECES)}, MERGES))
BACKEND.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)


class Splitting(Table):
    """A table with the tokenizer of GPT-2's kind: white space looks ahead."""

    def encode(self, text: bytes) -> Any:
        ids = np.array(BACKEND.encode(text.decode()).ids, dtype=np.int32)
        if self.vocabulary.spell(ids) != text:
            raise InvalidText("another letter")
        return ids


def splitting(seed: int) -> Splitting:
    size = len(SPELLED)
    vocabulary = Vocabulary.of(
        [*SPELLED, b"", b""], control={size: "<end>", size + 1: "<start>"}, end=[size]
    )
    rng = np.random.default_rng(seed)
    rows = {}
    for context in [(), *((token,) for token in range(size))]:
        with np.errstate(divide="ignore"):
            rows[context] = np.log([*rng.dirichlet(np.full(size + 1, 0.7)), 0.0])
    return Splitting("table:splitting", vocabulary, rows, f"{seed}")


def logp_of(table: Table, tokens: list[int]) -> float:
    end = table.vocabulary.end[0]
    whole = [*tokens, end]
    return float(sum(table.row(whole[:i])[t] for i, t in enumerate(whole)))


def read(view: ByteView, symbols: list[int]) -> Any:
    (context,), _ = view.extend([view.open()], [np.array([START, *symbols])])
    return context


TEXTS = ["".join(t) for n in range(6) for t in product(LETTERS, repeat=n)]


@pytest.mark.parametrize("seed", range(3))
def test_every_whole_text_has_the_probability_of_its_own_spelling(seed: int) -> None:
    table = splitting(seed)
    view = ByteView(table, spelling="canonical")
    for text in TEXTS[seed::5]:
        own = table.encode(text.encode()).tolist()
        context = read(view, [*text.encode(), END])
        assert context.log_kept == pytest.approx(logp_of(table, own), rel=1e-12), text


def test_what_follows_decides_how_line_breaks_were_spelled() -> None:
    table = splitting(0)
    view = ByteView(table, spelling="canonical")

    def alive(text: bytes) -> set[tuple[bytes, ...]]:
        found = set()
        for branch in read(view, list(text)).branches:
            if branch.depth == 0:
                ids = []
                tokens = branch.tokens
                while tokens is not None:
                    ids.insert(0, table.vocabulary.token(tokens.token))
                    tokens = tokens.before
                found.add(tuple(ids))
        return found

    assert alive(b"a\n\n") == {(b"a", b"\n", b"\n"), (b"a", b"\n\n")}
    assert alive(b"a\n\na") == {(b"a", b"\n", b"\n", b"a")}
    assert alive(b"a\n\n\n") == {
        (b"a", b"\n\n", b"\n"),
    }


def test_a_text_ends_only_in_the_spelling_of_the_whole_text() -> None:
    table = splitting(1)
    context = read(ByteView(table, spelling="canonical"), list(b"a\n\n"))
    own = table.encode(b"a\n\n").tolist()
    assert [table.vocabulary.token(t) for t in own] == [b"a", b"\n\n"]
    assert context.log_masses[END] == pytest.approx(logp_of(table, own), rel=1e-12)
    again = context.rewind(2)
    (again,), _ = again.view.extend([again], [np.array([10, 10])])
    assert again.log_masses[END] == pytest.approx(context.log_masses[END], rel=1e-12)


def test_the_prompt_belongs_to_what_is_spelled() -> None:
    table = splitting(2)
    spelled = Spelled.of(Spelled.of(None, 2), 3)
    candidates = (Candidate(None, spelled, 0.0),)
    nothing, letter = np.array([10]), np.array([10, 2])
    found = that_may_be_canonical(table, candidates, prompt=nothing)
    assert found == candidates
    assert not that_may_be_canonical(table, candidates, prompt=letter)  # a a . is aa .
