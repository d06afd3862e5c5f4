"""All the ways in which a model may have written some bytes, with their masses.

A branch is a sequence of whole tokens, and how far the next token has been spelled. The
masses of all branches of a text sum to the probability that the model writes something
that begins so. A branch that is too small to be worth a forward pass is not run; its
mass goes to a ledger, so the probability is known to lie between what was kept and
that with what was lost.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.ensemble.lexicon import Child, Lexicon, Steps
from nescio.errors import InvalidInput

__all__ = [
    "END",
    "SYMBOLS",
    "Branch",
    "Candidate",
    "Shares",
    "Spelled",
    "Wanted",
    "masses",
    "narrowed",
    "shares_of",
]

END = 256
"""The symbol of the end of a text."""
SYMBOLS = 257
"""256 bytes and the end."""

_LEAST_EXPONENT = -80.0
"""Below it float32 loses digits, and soon everything."""


@dataclass(frozen=True, eq=False)
class Spelled:
    """Tokens that were read, the last first.

    Args:
        token: the last one.
        before: those before it; None: it is the first after the document start.
        length: how many there are.
    """

    token: int
    before: Spelled | None
    length: int

    @staticmethod
    def of(before: Spelled | None, token: int) -> Spelled:
        """One token more."""
        return Spelled(token, before, 1 + (before.length if before else 0))


@dataclass(frozen=True, eq=False)
class Shares:
    """What a model says after whole tokens, not yet divided by its sum.

    Args:
        p: of each text token, in the order of the lexicon, the largest at most 1.
        sums: of the tokens that begin with each byte, by the lexicon's root, [parts].
        stop: of the end.
        log_total: log of what ``p`` and ``stop`` sum to, nats.
    """

    p: Float[np.ndarray, " tokens"]
    sums: Float[np.ndarray, " parts"]
    stop: float
    log_total: float


@dataclass(frozen=True, eq=False)
class Branch:
    """Whole tokens, and the beginning of a further one.

    Args:
        context: what the model has read.
        tokens: the same, without a document start or a prompt; None: none.
        log_weight: of the tokens, nats, less the log of what shares are divided by.
        begin, end: the range of tokens that may still come, all longer than depth.
        depth: how many bytes of it were spelled; 0: none, at a boundary.
        p: their shares, [tokens].
        steps: how they divide by the next byte.
        sums: of the shares in each part, [parts].
        stop: share of the end; 0 unless at a boundary.
        log_total: log of what shares are divided by.
        first: with what symbol the next token was expected to begin, [257], sums to 1.
    """

    context: Any
    tokens: Spelled | None
    log_weight: float
    begin: int
    end: int
    depth: int
    p: Float[np.ndarray, " tokens"]
    steps: Steps
    sums: Float[np.ndarray, " parts"]
    stop: float
    log_total: float
    first: Float[np.ndarray, " symbols"]

    @property
    def candidate(self) -> Candidate:
        """Its whole tokens, without the memory of a model."""
        return Candidate(None, self.tokens, self.log_weight + self.log_total)

    @staticmethod
    def at(
        candidate: Candidate, context: Any, *, shares: Shares, steps: Steps
    ) -> Branch:
        """The branch whose next token has not begun."""
        return Branch(
            context,
            candidate.tokens,
            candidate.log_weight - shares.log_total,
            0,
            len(shares.p),
            0,
            shares.p,
            steps,
            shares.sums,
            shares.stop,
            shares.log_total,
            _first(shares, steps),
        )


@dataclass(frozen=True, eq=False)
class Candidate:
    """A token that ends here, to be read: a branch once the model was asked.

    Args:
        context: of the model, before the token.
        tokens: all up to and with it; None: the document start or a prompt.
        log_weight: their log-probability, nats.
        first: with what symbol it was itself expected to begin, [257]; the nearest
            thing to what follows it that is known without a pass. None: not known.
    """

    context: Any
    tokens: Spelled | None
    log_weight: float
    first: Float[np.ndarray, " symbols"] | None = None


@dataclass(frozen=True, eq=False)
class Wanted:
    """A branch to be made: what the model has to read for it, after what.

    Args:
        candidate: its tokens and their probability.
        context: of the model.
        run: what it reads.
    """

    candidate: Candidate
    context: Any
    run: Int[np.ndarray, " n"]

    @staticmethod
    def of(candidate: Candidate) -> Wanted:
        """The token that a candidate ends with, after those before it."""
        tokens = candidate.tokens
        if tokens is None:
            raise InvalidInput("a candidate without tokens has nothing to read")
        return Wanted(candidate, candidate.context, np.array([tokens.token]))


def shares_of(
    logits: Float[np.ndarray, " vocab"], lexicon: Lexicon, end: Int[np.ndarray, " ends"]
) -> Shares:
    """Shares of the text tokens and of the end.

    Float32 logits give float32 shares, where none of them would vanish; all sums are
    taken in float64, so that parts add up to the whole to 15 digits.

    Raises:
        InvalidInput: no text token and no end has any probability, or one is NaN.
    """
    text = logits.take(lexicon.ids, mode="clip")
    ends = logits[end].astype(np.float64)
    top = max(float(text.max()), float(ends.max(initial=-np.inf)))
    stop = float(np.exp(ends - top).sum()) if math.isfinite(top) else math.nan
    if math.isnan(stop):
        raise InvalidInput(f"no token has any probability: the largest logit is {top}")
    if text.dtype != np.float64:
        narrow = text.dtype == np.float32 and text.min() - top > _LEAST_EXPONENT
        text = text.astype(np.float32 if narrow else np.float64, copy=False)
    text -= text.dtype.type(top)
    np.exp(text, out=text)
    sums = _sums(text, lexicon.root())
    return Shares(text, sums, stop, math.log(float(sums.sum()) + stop))


def _first(shares: Shares, steps: Steps) -> Float[np.ndarray, " symbols"]:
    found = np.zeros(SYMBOLS)
    found[steps.symbols] = shares.sums
    found[END] = shares.stop
    return found / math.exp(shares.log_total)


def _sums(p: Float[np.ndarray, " tokens"], steps: Steps) -> Float[np.ndarray, " parts"]:
    """Sums over the parts, in float64."""
    return np.add.reduceat(p, steps.starts, dtype=np.float64)


def masses(
    branches: tuple[Branch, ...], *, scale: float
) -> Float[np.ndarray, " symbols"]:
    """The mass of every symbol that may come next, [257], divided by exp(scale)."""
    found = np.zeros(SYMBOLS)
    for branch in branches:
        weight = math.exp(branch.log_weight - scale)
        found[branch.steps.symbols] += weight * branch.sums
        found[END] += weight * branch.stop
    return found


def narrowed(
    branches: tuple[Branch, ...], lexicon: Lexicon, symbol: int
) -> tuple[tuple[Branch, ...], tuple[Candidate, ...]]:
    """After one byte more: the branches that go on, and the tokens that end with it."""
    kept: list[Branch] = []
    ended: list[Candidate] = []
    for branch in branches:
        child = branch.steps.children.get(symbol)
        if child is None:
            continue
        ended += _ending(branch, lexicon.ids, child)
        if child.longer < child.end:
            deeper = _deeper(branch, child, lexicon)
            if deeper.sums.any():
                kept.append(deeper)
    return tuple(kept), tuple(ended)


def _ending(
    branch: Branch, ids: Int[np.ndarray, " tokens"], child: Child
) -> Iterator[Candidate]:
    for place in range(child.begin, child.longer):
        p = float(branch.p[place - branch.begin])
        if p > 0.0:
            yield Candidate(
                branch.context,
                Spelled.of(branch.tokens, int(ids[place])),
                branch.log_weight + math.log(p),
                branch.first,
            )


def _deeper(branch: Branch, child: Child, lexicon: Lexicon) -> Branch:
    p = branch.p[child.longer - branch.begin : child.end - branch.begin]
    depth = branch.depth + 1
    steps = lexicon.steps(child.longer, child.end, depth)
    return Branch(
        branch.context,
        branch.tokens,
        branch.log_weight,
        child.longer,
        child.end,
        depth,
        p if branch.depth else p.copy(),  # a slice would keep the whole row
        steps,
        _sums(p, steps),
        0.0,
        branch.log_total,
        branch.first,
    )
