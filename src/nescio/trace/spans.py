"""Surprisal by word, character or pattern: sums over whole tokens, nothing split."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nescio.errors import InvalidInput
from nescio.trace.trace import Trace

__all__ = ["Span", "spans", "units"]

_Run = tuple[int, int, tuple[int, int] | None]
"""First token, last token excluded, and the bytes that matched."""
_PATTERNS = {"word": r"\s*\S+|\s+", "char": r"(?s:.)"}


@dataclass(frozen=True)
class Span:
    """A stretch of text that is a union of whole tokens.

    Args:
        text: what it spells.
        start, end: its bytes.
        first, last: its tokens, last excluded.
        surprisal: the sum over its tokens in nats; None where one is unscored.
        widened: whether it is longer than what matched, because a token straddles
            the match's edge. No token is ever split: the spans' sums stay exact.
    """

    text: str
    start: int
    end: int
    first: int
    last: int
    surprisal: float | None
    widened: bool


def spans(trace: Trace, *, by: str = "word") -> tuple[Span, ...]:
    """The surprisal of each word, character, or match of a regular expression.

    A match is widened to whole tokens, and matches that share a token become one
    span. A word takes the white space before it, as tokens do. Text that no match
    touches belongs to no span.

    Args:
        trace: a trace with scored tokens.
        by: ``"word"``, ``"char"``, or a regular expression over the text.

    Raises:
        InvalidInput: not a regular expression, or one that matches emptiness.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:coin"), "HTTH")
        >>> [(s.text, round(s.surprisal, 3)) for s in spans(trace, by="HT|H")]
        [('HT', 1.386), ('H', 0.693)]

    Source: words by their first token's space, as in Oh & Schuler (2024).
    """
    matches = list(_byte_matches(trace, _compiled(by)))
    # A bare word that matches nothing was more likely meant as a unit: "sentence".
    if not matches and by.isalpha() and len(by) > 3 and by not in _PATTERNS:
        raise InvalidInput(
            f"by={by!r} is neither 'word' nor 'char', and as a regular expression it "
            "matches nothing in this text"
        )
    return _summed(trace, list(_merged(trace, matches)))


def units(trace: Trace) -> tuple[Span, ...]:
    """The smallest spans that hold whole characters and whole tokens: what one shows.

    Tokens that spell nothing (control tokens) are units of their own, but for those
    that stand inside a character.
    """
    starts = _character_starts(trace.buffer)
    inside = (int(o) for o in trace.offsets[1:-1])
    whole = (token for token, edge in enumerate(inside, start=1) if edge in starts)
    edges = [0, *whole, len(trace)]
    bounds = [(a, b) for a, b in pairwise(edges) if b > a]
    return _summed(trace, [(a, b, None) for a, b in bounds])


def _compiled(by: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(_PATTERNS.get(by, by))
    except re.error as error:
        raise InvalidInput(
            f"by={by!r} is neither 'word' nor 'char' nor a regular expression: {error}"
        ) from error
    if pattern.match("") is not None:
        raise InvalidInput(f"by={by!r} matches the empty text; make it match something")
    return pattern


def _byte_matches(trace: Trace, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    text = trace.buffer.decode("utf-8", errors="surrogateescape")
    widths = [len(c.encode("utf-8", errors="surrogateescape")) for c in text]
    edges = np.concatenate([[0], np.cumsum(widths, dtype=np.int64)])
    for match in pattern.finditer(text):
        if match.end() > match.start():
            yield int(edges[match.start()]), int(edges[match.end()])


def _merged(trace: Trace, matches: list[tuple[int, int]]) -> Iterator[_Run]:
    ends, starts = trace.offsets[1:], trace.offsets[:-1]
    run: tuple[int, int, int, int] | None = None
    for low, high in matches:
        first = int(np.searchsorted(ends, low, side="right"))
        last = int(np.searchsorted(starts, high, side="left"))
        if run is not None and first < run[1]:
            run = (run[0], last, run[2], high)
            continue
        if run is not None:
            yield run[0], run[1], (run[2], run[3])
        run = (first, last, low, high)
    if run is not None:
        yield run[0], run[1], (run[2], run[3])


def _summed(trace: Trace, runs: Sequence[_Run]) -> tuple[Span, ...]:
    surprisal = trace.surprisal.astype(np.float64)
    return tuple(_span(trace, surprisal, run) for run in runs)


def _span(trace: Trace, surprisal: np.ndarray, run: _Run) -> Span:
    first, last, matched = run
    start, end = int(trace.offsets[first]), int(trace.offsets[last])
    known = bool(trace.scored[first:last].all())
    return Span(
        trace.buffer[start:end].decode("utf-8", errors="replace"),
        start,
        end,
        first,
        last,
        float(surprisal[first:last].sum()) if known else None,
        matched is not None and matched != (start, end),
    )


def _character_starts(raw: bytes) -> frozenset[int]:
    text = raw.decode("utf-8", errors="surrogateescape")
    widths = (len(c.encode("utf-8", errors="surrogateescape")) for c in text)
    starts, position = [0], 0
    for width in widths:
        position += width
        starts.append(position)
    return frozenset(starts)
