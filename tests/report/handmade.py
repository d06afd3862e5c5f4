"""Traces made by hand: any text, cut anywhere, with seeded random numbers."""

from __future__ import annotations

import re

import numpy as np

from nescio.trace import Candidates, Origin, Trace

ORIGIN = Origin(
    "smollm2",
    "sha256:0d1e",
    "sha256:77aa",
    "transformers 5.23",
    "f32",
    conditioned_on="<|endoftext|>",
    decoding={"temperature": 1.0, "max_tokens": 256},
    seed=7,
)
WORDS = (b" the", b" of", b" a", b"\n", b" rain", "雨".encode(), b".", b" was", b" it")


def pieces_of(text: str) -> list[bytes]:
    """Words with the space before them; other letters byte by byte now and then."""
    raw = text.encode()
    return re.findall(
        rb" ?[A-Za-z]+|[\xc0-\xff][\x80-\xbf]|[\x80-\xbf]+|.", raw, re.DOTALL
    )


def handmade(
    pieces: list[bytes],
    *,
    seed: int = 0,
    candidate_bytes: tuple[bytes, ...] = WORDS,
    unscored: tuple[int, ...] = (),
    **fields: object,
) -> Trace:
    """A trace of these tokens; numbers are random, the same for the same seed."""
    rng = np.random.default_rng(seed)
    n = len(pieces)
    scored = np.ones(n, dtype=np.bool_)
    scored[list(unscored)] = False
    given = {
        "token_ids": rng.integers(0, 49_152, n).astype(np.int32),
        "segment": np.full(n, 1, np.int8),
        "context_used": np.arange(1, n + 1, dtype=np.int32),
        "origin": ORIGIN,
        "candidates": top_candidates(n, candidate_bytes, rng),
        **numbers(scored, rng),
        **fields,
    }
    offsets = np.cumsum([0, *map(len, pieces)]).astype(np.int64)
    return Trace(buffer=b"".join(pieces), offsets=offsets, scored=scored, **given)


def numbers(scored: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Surprisal, entropy, varentropy and rank that go together loosely."""
    n = len(scored)
    entropy = rng.gamma(1.6, 0.9, n) * (1 + 0.5 * np.sin(np.arange(n) / 25))
    surprisal = entropy * rng.gamma(1.0, 1.0, n)
    absent = np.where(scored, 1.0, np.nan)
    return {
        "logp": (-surprisal * absent).astype(np.float32),
        "entropy": (entropy * absent).astype(np.float32),
        "varentropy": (entropy * absent * 0.7).astype(np.float32),
        "rank": np.where(scored, np.exp(np.minimum(surprisal, 9.0)), 0).astype("i4"),
    }


def top_candidates(
    n: int, texts: tuple[bytes, ...], rng: np.random.Generator
) -> Candidates:
    """As many candidates a token as there are texts, their mass below 1."""
    width = len(texts)
    mass = np.sort(rng.dirichlet(np.full(width + 1, 0.4), n)[:, :width])[:, ::-1]
    order = np.stack([rng.permutation(width) for _ in range(n)]) if n else []
    drawn = [texts[i] for row in order for i in row]
    return Candidates(
        offsets=np.arange(n + 1, dtype=np.int64) * width,
        ids=None,
        logp=np.log(mass.ravel() + 1e-9).astype(np.float32),
        buffer=b"".join(drawn),
        byte_offsets=np.cumsum([0, *map(len, drawn)]).astype(np.int64),
    )
