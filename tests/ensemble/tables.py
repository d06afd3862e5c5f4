"""Tiny random models with random vocabularies, and brute force over their spellings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nescio.models.table import Table
from nescio.models.vocabulary import Vocabulary

ALPHABET = (b"a", b"b", b"\xe7", b"\x8c", b"\x00")


def random_table(seed: int, *, controls: int = 0, order: int = 1) -> Table:
    """Overlapping, duplicate and multi-byte tokens, one or two ends, sparse rows."""
    rng = np.random.default_rng(seed)
    letters = ALPHABET[: int(rng.integers(2, len(ALPHABET) + 1))]
    tokens = list(letters)
    for _ in range(int(rng.integers(2, 7))):
        length = int(rng.integers(1, 4))
        tokens.append(
            b"".join(letters[i] for i in rng.integers(len(letters), size=length))
        )
    ends = int(rng.integers(1, 3))
    names = [f"<end {i}>" for i in range(ends)] + [
        f"<pad {i}>" for i in range(controls)
    ]
    labels = {len(tokens) + i: name for i, name in enumerate(names)}
    start = len(tokens) + len(names)
    labels[start] = "<start>"
    vocabulary = Vocabulary.of(
        tokens + [b""] * (len(names) + 1),
        control=labels,
        end=[len(tokens) + i for i in range(ends)],
    )
    contexts = [(), *((token,) for token in range(len(tokens)))]
    if order > 1:
        contexts += [(a, b) for a in range(len(letters)) for b in range(len(tokens))]
    rows = {}
    for context in contexts:
        p = rng.dirichlet(np.full(start, 0.6))
        p[: len(tokens)][rng.random(len(tokens)) < 0.15] = 0.0
        with np.errstate(divide="ignore"):
            rows[context] = np.append(np.log(p / p.sum()), -np.inf)
    return Table(f"table:random-{seed}", vocabulary, rows, f"{seed}")


def shares(table: Table, tokens: tuple[int, ...]) -> np.ndarray:
    """The next token's probabilities, control tokens that end nothing left out."""
    p = np.exp(table.row(tokens))
    silent = table.vocabulary.control.copy()
    silent[list(table.vocabulary.end)] = False
    p[silent] = 0.0
    return p / p.sum()


def prefix(table: Table, text: bytes) -> float:
    """P(a text begins with these bytes), summed over every spelling."""
    return sum(p for _, p in _covers(table, text))


def ended(table: Table, text: bytes) -> float:
    """P(the text is these bytes and no more)."""
    ends = list(table.vocabulary.end)
    return sum(
        p * float(shares(table, tokens)[ends].sum())
        for tokens, p in _spellings(table, text)
    )


def _spellings(table: Table, text: bytes) -> Iterator[tuple[tuple[int, ...], float]]:
    """All token sequences that spell exactly the text, with their probabilities."""
    pending: list[tuple[tuple[int, ...], float, int]] = [((), 1.0, 0)]
    while pending:
        tokens, p, done = pending.pop()
        if done == len(text):
            yield tokens, p
            continue
        row = shares(table, tokens)
        for token in np.flatnonzero(row).tolist():
            spelled = table.vocabulary.token(token)
            if spelled and text.startswith(spelled, done):
                longer = ((*tokens, token), p * row[token], done + len(spelled))
                pending.append(longer)


def _covers(table: Table, text: bytes) -> Iterator[tuple[tuple[int, ...], float]]:
    """The shortest token sequences that begin with the text, each once."""
    if not text:
        yield (), 1.0
        return
    pending: list[tuple[tuple[int, ...], float, int]] = [((), 1.0, 0)]
    while pending:
        tokens, p, done = pending.pop()
        row = shares(table, tokens)
        for token in np.flatnonzero(row).tolist():
            spelled = table.vocabulary.token(token)
            rest = text[done:]
            if spelled and spelled.startswith(rest):
                yield (*tokens, token), p * row[token]
            elif spelled and rest.startswith(spelled):
                longer = ((*tokens, token), p * row[token], done + len(spelled))
                pending.append(longer)
