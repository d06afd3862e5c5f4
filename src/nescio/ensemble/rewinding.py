"""A context of bytes as it was before, without reading the whole text again.

What ended where is remembered; the model reads again, in one pass, the last token of
each branch that was alive, behind what the contexts of today still hold of its tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nescio.ensemble.branches import END, Branch, Candidate, Spelled, Wanted
from nescio.ensemble.lexicon import Lexicon
from nescio.ensemble.reviving import Waiting
from nescio.ensemble.stepping import Past, grown

__all__ = ["rewound"]


def rewound(context: Any, length: int) -> Any:
    """The context after its first ``length`` symbols, at least 1."""
    view, past = context.view, context.past
    for _ in range(context.length - length):
        past = past.before
    symbols = context.symbols[:length]
    text = [*context.prompt.again, *(s for s in symbols[1:] if s != END)]
    alive = list(_alive(past, text, view.lexicon))
    held = _held(context)
    wanted = [_wanted(context, candidate, held) for candidate, _, _ in alive]
    branches = []
    for (_, span, depth), branch in zip(alive, grown(view, wanted), strict=True):
        narrow = _narrowed(branch, span, depth=depth, lexicon=view.lexicon)
        if narrow.sums.any() or not depth:
            branches.append(narrow)
    return replace(
        context,
        symbols=symbols,
        branches=tuple(branches),
        past=past,
        waiting=tuple(_waiting(context, past, held)),
        **past.numbers,
    )


def _alive(
    past: Past, text: list[int], lexicon: Lexicon
) -> Iterator[tuple[Candidate, tuple[int, int], int]]:
    """Whose next token has begun so: candidate, range, bytes of it; oldest first."""
    node: Past | None = past
    found = []
    for back in range(lexicon.longest + 1):
        if node is None:
            break
        for candidate, before in reversed(node.born):
            depth = back + before
            begin, end = lexicon.span(text[len(text) - depth :])
            if begin < end:
                found.append((candidate, (begin, end), depth))
        node = node.before
    yield from reversed(found)


_Held = Mapping[int, tuple[Any, int]]
"""Contexts that are left, by what they have read last, and how much that is."""


def _held(context: Any) -> _Held:
    start = context.prompt.token_ids
    held: dict[int, tuple[Any, int]] = {}
    for branch in context.branches:
        tokens = branch.tokens
        while tokens is not None and id(tokens) not in held:
            held[id(tokens)] = branch.context, len(start) + tokens.length
            tokens = tokens.before
    return held


def _wanted(context: Any, candidate: Candidate, held: _Held) -> Wanted:
    """What has to be read again for a branch, from the nearest context that is left."""
    tokens, run = candidate.tokens, list[int]()
    while tokens is not None and (not run or id(tokens) not in held):
        run.append(tokens.token)
        tokens = tokens.before
    start = context.prompt.token_ids
    source, read = _source(context, tokens, held)
    if not run:
        run, read = [int(start[-1])], len(start) - 1
    return Wanted(candidate, source.rewind(read), np.array(run[::-1]))


def _source(context: Any, tokens: Spelled | None, held: _Held) -> tuple[Any, int]:
    """A context that begins with some tokens, and how many the model had read then."""
    if tokens is None:
        return context.branches[0].context, len(context.prompt.token_ids)
    return held[id(tokens)]


def _waiting(context: Any, past: Past, held: _Held) -> Iterator[Waiting]:
    """What was set aside then."""
    for candidate, age, log_share, counted in past.aside:
        yield Waiting(_wanted(context, candidate, held), age, log_share, counted)


def _narrowed(
    branch: Branch, span: tuple[int, int], *, depth: int, lexicon: Lexicon
) -> Branch:
    """A branch at a boundary after some bytes of its next token."""
    if not depth:
        return branch
    begin, end = span
    steps, p = lexicon.steps(begin, end, depth), branch.p[begin:end].copy()
    sums = np.add.reduceat(p.astype(np.float64, copy=False), steps.starts)
    return replace(
        branch, begin=begin, end=end, depth=depth, p=p, steps=steps, sums=sums, stop=0.0
    )
