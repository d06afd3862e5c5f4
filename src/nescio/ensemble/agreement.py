"""Agreement-based beam search (ABE): models that write one text, each in its tokens.

Every hypothesis is a text for each member, and all of them begin the longest. The
members that are behind take a token each; where all are level, all do. What the tokens
spell has to agree again. A hypothesis is scored by the members' log-probabilities, and
finished ones are ranked by the weighted sum of them.

As published, with three differences that lose no better text: cells that disagree are
not visited (:mod:`nescio.ensemble.grid`); a member that is ahead is not run, and reads
its token once it is asked again; and a cell whose sum is below that of a finished
hypothesis, which it cannot reach any more, is passed over, where the published search
ends its step at the first one.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import repeat
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from nescio.decoding.generation import Asked
from nescio.decoding.prompting import opening
from nescio.ensemble.agreed import Agreed, Agreement, Opened
from nescio.ensemble.grid import Cell, Footing, Member, cells
from nescio.errors import InvalidDistribution, InvalidInput
from nescio.models.protocol import Model, Stepping, Tokenized, require
from nescio.trace import Prompt

__all__ = ["agreement_beam", "agreement_search", "agreement_searches"]


def agreement_beam(
    models: Sequence[Any],
    prompts: str | Prompt | Sequence[Asked],
    *,
    plan: Agreement | None = None,
    chat: bool | None = None,
) -> tuple[Agreed, ...]:
    """Texts that several models agree on as an answer, the best first.

    Args:
        models: Stepping and Tokenized; their vocabularies may differ.
        prompts: one for all of them, or one for each.
        plan: how the search goes.
        chat: whether a text goes through a model's chat template; None: if it has one.

    Raises:
        InvalidInput: prompts or weights for another number of models.
        InvalidDistribution: there is no text they agree on.
        CapabilityError, ContextOverflow: as `nescio.generate`.

    Example:
        >>> from nescio.models.table import read_table
        >>> coins = [read_table("coin"), read_table("coin")]
        >>> best, *_ = agreement_beam(coins, "H", plan=Agreement(2, max_tokens=2))
        >>> len(best.buffer), round(float(best.total / np.log(2)), 6), best.stop
        (2, -2.0, 'length')

    Source: Wicks et al. (2025), Token-level Ensembling of Models with Different
    Vocabularies.
    """
    for model in models:
        require(model, Model, Tokenized, Stepping, purpose="agreement-based search")
    one = isinstance(prompts, str | Prompt)
    asked = list(repeat(prompts, len(models)) if one else prompts)
    if len(asked) != len(models):
        raise InvalidInput(f"{len(asked)} prompts for {len(models)} models")
    starts = []
    for model, prompt in zip(models, asked, strict=True):
        tokens = opening(model, prompt, chat=chat).token_ids
        (context,), logits = model.extend([model.open()], [tokens])
        starts.append(Opened(context, logits[0].copy()))
    return agreement_search(models, starts, plan=plan)


def agreement_search(
    models: Sequence[Any],
    starts: Sequence[Opened],
    *,
    plan: Agreement | None = None,
) -> tuple[Agreed, ...]:
    """The same from contexts that were opened already, one a model.

    Raises:
        InvalidInput: starts or weights for another number of models, written bytes
            that do not agree.
        InvalidDistribution: there is no text the models agree on.

    Example:
        >>> from nescio.models.table import read_table
        >>> coin = read_table("coin")
        >>> (context,), logits = coin.extend([coin.open()], [np.array(coin.start)])
        >>> ahead, behind = Opened(context, logits[0], b"H"), Opened(context, logits[0])
        >>> plan = Agreement(1, max_tokens=3)
        >>> (best,) = agreement_search([coin, coin], [ahead, behind], plan=plan)
        >>> best.stalled[0], best.buffer[:1]
        ((True, False), b'H')
    """
    return agreement_searches(models, [starts], plan=plan)[0]


def agreement_searches(
    models: Sequence[Any],
    starts: Sequence[Sequence[Opened]],
    *,
    plan: Agreement | None = None,
) -> tuple[tuple[Agreed, ...], ...]:
    """Several searches side by side, each step one batch a model.

    Args:
        models: that write together.
        starts: for each search where each model begins.
        plan: of all searches.

    Raises:
        InvalidInput, InvalidDistribution: as `agreement_search`.
    """
    chosen = plan or Agreement()
    shares = chosen.shares(len(models))
    present = tuple(place for place, share in enumerate(shares) if share > 0.0)
    members = tuple(Member(models[place], shares[place]) for place in present)
    searches = []
    for own in starts:
        if len(own) != len(models):
            raise InvalidInput(f"{len(own)} starts for {len(models)} models")
        searches.append(_begun(members, [own[place] for place in present], chosen))
    while going := [search for search in searches if not search.done]:
        _read(members, [h for search in going for h in search.going])
        for search in going:
            search.step()
    return tuple(
        tuple(replace(agreed, members=present) for agreed in search.result())
        for search in searches
    )


@dataclass(eq=False)
class _Reading:
    """A token a member took; what follows is asked once, when it is needed.

    Hypotheses that come from one share it, and what was read after it.
    """

    context: Any
    token: int = -1
    logp: Float[np.ndarray, " vocab"] | None = None
    followers: dict[int, _Reading] = field(default_factory=dict)

    def after(self, token: int) -> _Reading:
        """The same and a token more."""
        if token not in self.followers:
            self.followers[token] = _Reading(self.context, token)
        return self.followers[token]


@dataclass(frozen=True, eq=False)
class _Hypothesis:
    """What every member has written; what it said of it, and which waited when."""

    readings: tuple[_Reading, ...]
    texts: tuple[bytes, ...]
    tokens: tuple[tuple[int, ...], ...]
    logp: tuple[float, ...]
    stalled: tuple[tuple[bool, ...], ...] = ()

    @cached_property
    def longest(self) -> bytes:
        """The text that all others begin."""
        return max(self.texts, key=len)

    @cached_property
    def waits(self) -> tuple[bool, ...]:
        """The longest, unless all are."""
        ahead = tuple(len(text) == len(self.longest) for text in self.texts)
        return (False,) * len(ahead) if all(ahead) else ahead


def _begun(
    members: tuple[Member, ...], starts: Sequence[Opened], plan: Agreement
) -> _Search:
    """A search before its first step."""
    longest = max((start.written for start in starts), key=len)
    for start in starts:
        if not longest.startswith(start.written):
            raise InvalidInput(
                f"one member has written {longest!r} and another {start.written!r}: "
                "one has to begin the other"
            )
    readings = tuple(
        _Reading(start.context, logp=_log_shares(start.logits, member))
        for member, start in zip(members, starts, strict=True)
    )
    texts = tuple(start.written for start in starts)
    nothing = _Hypothesis(readings, texts, ((),) * len(texts), (0.0,) * len(texts))
    return _Search(members, plan, [nothing])


def _read(members: tuple[Member, ...], going: Sequence[_Hypothesis]) -> None:
    """What follows for every member that runs, one batch a member."""
    for place, member in enumerate(members):
        readings = [h.readings[place] for h in going if not h.waits[place]]
        asked = [r for r in dict.fromkeys(readings) if r.logp is None]
        if not asked:
            continue
        runs = [np.array([reading.token], dtype=np.int64) for reading in asked]
        contexts, logits = member.model.extend([r.context for r in asked], runs)
        for reading, context, row in zip(asked, contexts, logits, strict=True):
            reading.context, reading.logp = context, _log_shares(row, member)


def _log_shares(
    logits: Float[np.ndarray, " vocab"], member: Member
) -> Float[np.ndarray, " vocab"]:
    """Log-probabilities of text tokens and ends, which sum to 1."""
    row = np.where(member.allowed, logits[: len(member.allowed)], -np.inf)
    top = row.max()
    if not np.isfinite(top):
        raise InvalidInput(
            f"{member.model.name} gives no token any probability: its largest logit "
            f"is {top}"
        )
    total = np.exp(row - top, dtype=np.float64).sum()
    return row - row.dtype.type(top + np.log(total))


@dataclass(eq=False)
class _Search:
    """One search: what goes on, what has finished."""

    members: tuple[Member, ...]
    plan: Agreement
    going: list[_Hypothesis]
    finished: list[Agreed] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether enough have finished, or none goes on."""
        return not self.going or len(self.finished) >= self.plan.width

    def step(self) -> None:
        """One token more for the members that run."""
        going: list[_Hypothesis] = []
        for parent, cell in self._ranked():
            longer = self._extended(parent, cell)
            stop = self._stop(parent, longer, cell)
            if stop is None:
                going.append(longer)
            else:
                self.finished.append(_agreed(longer, cell, stop))
            if len(going) == self.plan.width or self.done:
                break
        self.going = going

    def _ranked(self) -> Iterator[tuple[_Hypothesis, Cell]]:
        """The cells of all that go on, best first.

        Where one has finished, so that fewer of the others count, these are looked for
        anew: to pass over all the rest one by one would take long.
        """
        given: set[tuple[int, tuple[int | None, ...]]] = set()
        least = math.nan
        while least != self._least:
            least = self._least
            grids = [
                zip(repeat(number), self._cells(h), strict=False)
                for number, h in enumerate(self.going)
            ]
            for number, cell in heapq.merge(*grids, key=lambda pair: -pair[1].score):
                if (number, cell.tokens) in given:
                    continue
                given.add((number, cell.tokens))
                yield self.going[number], cell
                if self._least > least:
                    break

    def result(self) -> tuple[Agreed, ...]:
        """What has finished, the best first."""
        if not self.finished:
            names = ", ".join(member.model.name for member in self.members)
            raise InvalidDistribution(
                f"{names} agree on no text here: nothing that one may write may be "
                "written by all"
            )
        return tuple(sorted(self.finished, key=self._rank, reverse=True))

    def _rank(self, agreed: Agreed) -> float:
        return agreed.total if self.plan.ranked == "sum" else agreed.score

    @property
    def _least(self) -> float:
        """A sum only falls: one below this comes before no finished one any more."""
        if self.plan.ranked != "sum" or not self.plan.early:
            return -math.inf
        return max((agreed.total for agreed in self.finished), default=-math.inf)

    def _cells(self, hypothesis: _Hypothesis) -> Iterator[Cell]:
        footings = []
        for place, member in enumerate(self.members):
            own = len(hypothesis.tokens[place]) + 1
            waits = hypothesis.waits[place]
            footings.append(
                Footing(
                    member,
                    hypothesis.longest[len(hypothesis.texts[place]) :],
                    None if waits else hypothesis.readings[place].logp,
                    hypothesis.logp[place],
                    member.weight / (own if self.plan.scored == "mean" else 1),
                )
            )
        return cells(footings, least=self._least)

    def _extended(self, hypothesis: _Hypothesis, cell: Cell) -> _Hypothesis:
        """The hypothesis with the tokens of a cell."""
        readings, texts = list(hypothesis.readings), list(hypothesis.texts)
        tokens, logp = list(hypothesis.tokens), list(hypothesis.logp)
        for place, token in enumerate(cell.tokens):
            row = readings[place].logp
            if token is None or row is None:
                continue
            logp[place] += float(row[token])
            texts[place] += self.members[place].model.vocabulary.token(token)
            tokens[place] = (*tokens[place], token)
            readings[place] = readings[place].after(token)
        stalled = (*hypothesis.stalled, hypothesis.waits)
        return _Hypothesis(
            tuple(readings), tuple(texts), tuple(tokens), tuple(logp), stalled
        )

    def _stop(
        self, parent: _Hypothesis, longer: _Hypothesis, cell: Cell
    ) -> Literal["eos", "length"] | None:
        if cell.ended:
            return "eos"
        for place, member in enumerate(self.members):
            if len(longer.tokens[place]) >= self.plan.max_tokens:
                return "length"
            limit = member.model.context_length
            if cell.tokens[place] is None or limit is None:
                continue
            if parent.readings[place].context.length + 1 >= limit:
                return "length"
        return None


def _agreed(found: _Hypothesis, cell: Cell, stop: Literal["eos", "length"]) -> Agreed:
    return Agreed(
        (),
        found.texts,
        found.tokens,
        found.logp,
        cell.score,
        cell.total,
        found.stalled,
        stop,
    )
