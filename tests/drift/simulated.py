"""Texts of a random Markov source, many at once, drawn by the project's own sampler."""

from __future__ import annotations

import numpy as np

from nescio.drift.martingale import ORDERS, log_martingale
from nescio.kernel import Sampling, draw, process, row_statistics

VOCABULARY = 24


def source(seed: int) -> np.ndarray:
    """Logits after each token, [vocabulary, vocabulary]; some rows flat, some sharp."""
    rng = np.random.default_rng(seed)
    sharpness = rng.exponential(2.0, (VOCABULARY, 1))
    return rng.normal(size=(VOCABULARY, VOCABULARY)) * sharpness


def peaks(
    drawn_with: Sampling,
    *,
    said: Sampling | None = None,
    runs: int,
    tokens: int,
    seed: int = 0,
    other: np.ndarray | None = None,
) -> np.ndarray:
    """The largest log evidence of each run against being drawn as is said, [runs].

    ``other`` are logits of another source that really writes.
    """
    logits, rng = source(1), np.random.default_rng(seed)
    writing = logits if other is None else other
    rows = process(logits, said or drawn_with)
    sums = row_statistics(rows, renyi=ORDERS).log_renyi
    now = rng.integers(0, VOCABULARY, runs)
    surprisal = np.empty((runs, tokens))
    renyi = np.empty((runs, tokens, len(ORDERS)))
    for place in range(tokens):
        drawn, _ = draw(writing[now], drawn_with, rng.random(runs))
        surprisal[:, place] = -rows[now, drawn]
        renyi[:, place] = sums[now]
        now = drawn
    return np.array(
        [log_martingale(s, r).max() for s, r in zip(surprisal, renyi, strict=True)]
    )
