"""What a model's tokens are: pieces of text of its own, or the bytes of all texts.

A model that is read byte by byte has a vocabulary that every other such model has, so
a rate per token is one per byte there, and is called so.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["BYTES_DIGEST", "PER_TOKEN", "Symbol", "symbol_of", "unit_per"]

Symbol = Literal["token", "byte"]
BYTES_DIGEST = "168c0e0366d47eae70f6b85d8e71f0f144605523756f2f0de0260fbd0a6bbf09"
"""Of the vocabulary that is 256 bytes, an end and a start."""
PER_TOKEN = frozenset({"bits_per_token", "perplexity"})
"""Measures that say nothing beside bits per byte where a token is a byte."""


def symbol_of(tokenizer_digest: str | None) -> Symbol:
    """What a token is, by the digest of the vocabulary.

    Example:
        >>> symbol_of(BYTES_DIGEST), symbol_of("another")
        ('byte', 'token')
    """
    return "byte" if tokenizer_digest == BYTES_DIGEST else "token"


def unit_per(unit: str, symbol: Symbol) -> str:
    """A unit per token as it is called where tokens are something else.

    Example:
        >>> unit_per("bits/token", "byte"), unit_per("nats", "byte")
        ('bits/byte', 'nats')
    """
    return unit.replace("/token", f"/{symbol}")
