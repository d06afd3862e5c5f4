"""Byte-speculative decoding of an ensemble: one member drafts, all of them judge.

The drafting member draws some bytes from its own view. Each is then kept with
probability min(1, p/q), p the ensemble's and q the drafter's; the first that is not
kept is drawn anew from what p has more than q, and where all are kept one more comes
from p. So every text has exactly the probability the ensemble gives it.

What is saved: the drafter reads its own draft once, as a member has to. Each other
member knows what bytes will probably come, and reads their tokens in one pass instead
of one pass a token (:mod:`nescio.ensemble.foresight`). What is wasted: what it read
behind a byte that was not kept. Off the tokenizer's own spelling nothing is saved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from nescio.ensemble.branches import END
from nescio.ensemble.byte_view import ByteContext, ByteView
from nescio.ensemble.foresight import Foresight, Passes
from nescio.ensemble.joining import Ensemble, EnsembleContext
from nescio.ensemble.prompts import Asked
from nescio.errors import InvalidInput, NotEnoughData
from nescio.kernel import Sampling, process
from nescio.outcome import Estimate, Recipe
from nescio.uncertainty.blocks import bootstrap_blocks

__all__ = ["Chance", "Drafting", "Random", "Speculated", "speculate"]

P = Float[np.ndarray, " symbols"]
_SOURCES = ("Leviathan et al. (2023), Fast Inference via Speculative Decoding",)


@runtime_checkable
class Chance(Protocol):
    """Where chance comes from."""

    def pick(self, p: Float[np.ndarray, " n"]) -> int:
        """One of n, with these probabilities."""
        ...


class Random:
    """Chance from a seed."""

    def __init__(self, seed: int) -> None:
        if seed < 0:
            raise InvalidInput(f"seed is {seed}: a whole number from 0 on")
        self._rng = np.random.default_rng(seed)

    def pick(self, p: Float[np.ndarray, " n"]) -> int:
        """One of n, with these probabilities."""
        reached = np.cumsum(p)
        place = np.searchsorted(reached, self._rng.random() * reached[-1], "right")
        return int(min(place, np.flatnonzero(p)[-1]))


@dataclass(frozen=True)
class Drafting:
    """How bytes are drafted and drawn.

    Args:
        drafter: the number of the member that drafts, the fastest one.
        ahead: how many bytes are drafted at a time; 0: none, plain decoding.
        max_bytes: the longest answer.
        sampling: how bytes are drawn; draft and ensemble are processed alike.

    Raises:
        InvalidInput: a negative number, no byte at all.
    """

    drafter: int = 0
    ahead: int = 8
    max_bytes: int = 256
    sampling: Sampling = field(default_factory=Sampling)

    def __post_init__(self) -> None:
        if self.drafter < 0 or self.ahead < 0:
            raise InvalidInput(
                f"drafter {self.drafter}, ahead {self.ahead}: numbers from 0 on"
            )
        if self.max_bytes < 1:
            raise InvalidInput(f"max_bytes is {self.max_bytes}: at least 1")


@dataclass(frozen=True, eq=False)
class Speculated:
    """An answer, and what it took.

    Args:
        buffer: its bytes.
        logp: log-probability of each byte, and of the end if it ended, under what it
            was drawn from, nats.
        stop: ``eos`` or ``length``.
        drafted: how many symbols were drafted.
        kept: how many of them were kept.
        rounds: how many drafts there were.
        overlap: Σ min(p, q) at every drafted symbol that was judged: the probability
            that it is kept.
        passes: what each member's model had to do after the prompt.
    """

    buffer: bytes
    logp: Float[np.ndarray, " symbols"]
    stop: Literal["eos", "length"]
    drafted: int
    kept: int
    rounds: int
    overlap: Float[np.ndarray, " judged"]
    passes: tuple[Passes, ...]

    @property
    def text(self) -> str:
        """The answer; what is no UTF-8 becomes a replacement character."""
        return self.buffer.decode("utf-8", "replace")

    @cached_property
    def acceptance_rate(self) -> Estimate:
        """The probability that a drafted byte that is judged is kept, in [0, 1].

        Raises:
            NotEnoughData: nothing was drafted.
        """
        judged = len(self.overlap)
        if not judged:
            raise NotEnoughData("nothing was drafted, so nothing was accepted")
        low = high = level = None
        settings: dict[str, Any] = {"drafted": self.drafted, "kept": self.kept}
        try:
            interval = bootstrap_blocks(self.overlap)
        except NotEnoughData as error:
            settings["no_interval"] = str(error)
        else:
            low, high, level = interval.low, interval.high, interval.level
            settings |= interval.settings
        return Estimate(
            "acceptance_rate",
            float(self.overlap.mean()),
            "1",
            judged,
            "confidence",
            "texts that go on like this one",
            Recipe("acceptance_rate", settings, _SOURCES),
            low,
            high,
            level,
        )


def speculate(
    ensemble: Ensemble,
    prompt: Asked = "",
    *,
    drafting: Drafting | None = None,
    seed: int = 0,
    chat: bool | None = None,
    chance: Chance | None = None,
) -> Speculated:
    """Draw one answer of an ensemble, in fewer passes of its slower members.

    Args:
        ensemble: of two or more members, by any rule.
        prompt: as `Ensemble.begin`.
        drafting: who drafts, and how much.
        seed: of the draw.
        chat: as `Ensemble.begin`.
        chance: in place of the seed.

    Raises:
        InvalidInput: a drafter that is no member.
        CapabilityError, ContextOverflow, InvalidText: as `Ensemble.begin`.

    Example:
        >>> from nescio.models.table import read_table
        >>> both = Ensemble((read_table("coin"), read_table("coin")))
        >>> answer = speculate(both, "H", drafting=Drafting(ahead=3, max_bytes=8))
        >>> len(answer.buffer), answer.kept, answer.acceptance_rate.value
        (8, 6, 1.0)
    """
    how = drafting or Drafting()
    if how.drafter >= len(ensemble.members):
        raise InvalidInput(
            f"member {how.drafter} of {len(ensemble.members)} is to draft: there is "
            "no such member of some weight"
        )
    models = [Foresight(view.model) for view in ensemble.members]
    views = [
        replace(view, model=model)
        for view, model in zip(ensemble.members, models, strict=True)
    ]
    judge = _Judge(replace(ensemble, members=views), how, chance or Random(seed))
    context = judge.ensemble.begin(prompt, chat=chat)
    for model in models:
        model.passes = Passes()
    symbols, logp, overlap = [], [], []
    drafted = kept = rounds = 0
    for one in judge.rounds(context):
        rounds += one.drafted > 0
        drafted, kept = drafted + one.drafted, kept + one.kept
        overlap += one.overlap
        symbols += one.symbols
        logp += one.logp
    ended = symbols[-1] == END
    return Speculated(
        bytes(symbols[:-1] if ended else symbols),
        np.array(logp),
        "eos" if ended else "length",
        drafted,
        kept,
        rounds,
        np.array(overlap),
        tuple(model.passes for model in models),
    )


@dataclass(eq=False)
class _Round:
    """What came of one draft: symbols with their log-probabilities."""

    drafted: int
    symbols: list[int]
    logp: list[float]
    overlap: list[float]
    kept: int = 0


@dataclass(frozen=True, eq=False)
class _Judge:
    """An ensemble whose members read ahead, and the chance that decides."""

    ensemble: Ensemble
    how: Drafting
    chance: Chance

    def rounds(self, context: EnsembleContext) -> Iterator[_Round]:
        """Drafts and what became of them, until the answer ends."""
        left = self.how.max_bytes
        while left:
            found, context = self._round(context, left)
            yield found
            left -= len(found.symbols)
            if found.symbols[-1] == END:
                return

    def _round(
        self, context: EnsembleContext, left: int
    ) -> tuple[_Round, EnsembleContext]:
        self.ensemble.members[self.how.drafter].model.expect(b"")
        draft = self._draft(context, min(self.how.ahead, left))
        self._tell(context, [symbol for symbol, _ in draft])
        found = _Round(len(draft), [], [], [])
        for symbol, q in draft:
            p = self._processed(context.joined)
            found.overlap.append(float(np.minimum(p, q).sum()))
            excess = np.maximum(p - q, 0.0)
            share = 1.0 if not excess.any() else min(1.0, p[symbol] / q[symbol])
            stays = self.chance.pick(np.array([share, 1.0 - share])) == 0
            taken = symbol if stays else self.chance.pick(excess / excess.sum())
            found.kept += stays
            context = self._take(context, found, taken, p)
            if not stays or taken == END:
                return found, context
        if len(found.symbols) < left:
            p = self._processed(context.joined)
            context = self._take(context, found, self.chance.pick(p), p)
        return found, context

    def _take(
        self, context: EnsembleContext, found: _Round, symbol: int, p: P
    ) -> EnsembleContext:
        found.symbols.append(symbol)
        found.logp.append(float(np.log(p[symbol])))
        (longer,), _ = self.ensemble.extend([context], [np.array([symbol])])
        return longer

    def _draft(self, context: EnsembleContext, most: int) -> list[tuple[int, P]]:
        """Symbols from the drafter's own view, each with what it was drawn from."""
        now = context.members[self.how.drafter]
        if now is None:  # it cannot write what was drawn so far
            return []
        view: ByteView = self.ensemble.members[self.how.drafter]
        found: list[tuple[int, P]] = []
        while len(found) < most:
            q = self._processed(now.log_masses)
            symbol = self.chance.pick(q)
            found.append((symbol, q))
            if symbol == END or len(found) == most:
                break
            (now,), _ = view.extend([now], [np.array([symbol])])
        return found

    def _tell(self, context: EnsembleContext, draft: list[int]) -> None:
        """What will probably be read, to the members that did not draft it."""
        told = bytes(symbol for symbol in draft if symbol < END)
        for number, member in enumerate(context.members):
            model: Foresight = self.ensemble.members[number].model
            if number == self.how.drafter or member is None:
                continue
            model.expect(_read_so_far(member, model) + told)

    def _processed(self, logp: Float[np.ndarray, " symbols"]) -> P:
        p = np.exp(process(logp[None], self.how.sampling)[0])
        return p / p.sum()


def _read_so_far(member: ByteContext, model: Foresight) -> bytes:
    """All bytes of a context, those of the prompt included."""
    since = bytes(symbol for symbol in member.symbols[1:] if symbol < END)
    if member.prompt is None:
        return since
    return model.vocabulary.spell(member.prompt.token_ids) + member.prompt.again + since
