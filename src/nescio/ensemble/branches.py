"""All the ways in which a model may have written some bytes, with their masses.

A branch is a sequence of whole tokens, and how far the next token has been spelled. The
masses of all branches of a text sum to the probability that the model writes something
that begins so. A branch that is too small to be worth a forward pass is not run; its
mass goes to a ledger, so the probability is known to lie between what was kept and
that with what was lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.ensemble.lexicon import Child, Lexicon

__all__ = ["END", "SYMBOLS", "Boundary", "Branch", "Candidate", "masses", "narrowed"]

END = 256
"""The symbol of the end of a text."""
SYMBOLS = 257
"""256 bytes and the end."""


@dataclass(frozen=True, eq=False)
class Boundary:
    """What a model says after whole tokens.

    Args:
        context: what the model has read.
        log_weight: log-probability of its tokens, nats.
        p: probability of each text token, in the order of the lexicon, [tokens].
        end: probability that the text ends here.
    """

    context: Any
    log_weight: float
    p: Float[np.ndarray, " tokens"]
    end: float


@dataclass(frozen=True, eq=False)
class Branch:
    """Whole tokens, and the beginning of a further one.

    Args:
        context, log_weight: of the whole tokens.
        begin, end: the range of tokens that may still come, all longer than depth.
        depth: how many bytes of it were spelled; 0: none, at a boundary.
        p: their probabilities, [tokens].
        stop: probability that the text ends here; 0 unless at a boundary.
    """

    context: Any
    log_weight: float
    begin: int
    end: int
    depth: int
    p: Float[np.ndarray, " tokens"]
    stop: float = 0.0

    @staticmethod
    def at(boundary: Boundary) -> Branch:
        """The branch whose next token has not begun."""
        tokens = len(boundary.p)
        return Branch(
            boundary.context,
            boundary.log_weight,
            0,
            tokens,
            0,
            boundary.p,
            boundary.end,
        )


@dataclass(frozen=True)
class Candidate:
    """A token that ends here, to be read: a boundary once the model was asked.

    Args:
        context: before the token.
        token: its id.
        log_weight: log-probability of all tokens up to and with it.
    """

    context: Any
    token: int
    log_weight: float


def masses(
    branches: tuple[Branch, ...], lexicon: Lexicon, *, scale: float
) -> Float[np.ndarray, " symbols"]:
    """The mass of every symbol that may come next, [257], divided by exp(scale)."""
    found = np.zeros(SYMBOLS)
    for branch in branches:
        weight = np.exp(branch.log_weight - scale)
        steps = lexicon.steps(branch.begin, branch.end, branch.depth)
        found[steps.symbols] += weight * np.add.reduceat(
            branch.p, steps.starts, dtype=np.float64
        )
        found[END] += weight * branch.stop
    return found


def narrowed(
    branches: tuple[Branch, ...], lexicon: Lexicon, symbol: int
) -> tuple[tuple[Branch, ...], tuple[Candidate, ...]]:
    """After one byte more: the branches that go on, and the tokens that end with it."""
    kept: list[Branch] = []
    ended: list[Candidate] = []
    for branch in branches:
        steps = lexicon.steps(branch.begin, branch.end, branch.depth)
        child = steps.children.get(symbol)
        if child is None:
            continue
        ended += _ending(branch, lexicon.ids, child)
        further = branch.p[child.longer - branch.begin : child.end - branch.begin]
        if further.any():
            kept.append(_deeper(branch, child, further))
    return tuple(kept), tuple(ended)


def _ending(
    branch: Branch, ids: Int[np.ndarray, " tokens"], child: Child
) -> Iterator[Candidate]:
    for place in range(child.begin, child.longer):
        p = float(branch.p[place - branch.begin])
        if p > 0.0:
            yield Candidate(
                branch.context, int(ids[place]), branch.log_weight + float(np.log(p))
            )


def _deeper(branch: Branch, child: Child, p: Float[np.ndarray, " _"]) -> Branch:
    own = p if branch.depth else p.copy()  # a slice would keep the whole row
    return Branch(
        branch.context,
        branch.log_weight,
        child.longer,
        child.end,
        branch.depth + 1,
        own,
    )
