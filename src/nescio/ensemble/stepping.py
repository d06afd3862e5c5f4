"""One symbol more in a view as bytes: what is followed, what is lost, what is asked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from nescio.ensemble.branches import (
    END,
    Branch,
    Candidate,
    Spelled,
    Wanted,
    narrowed,
    shares_of,
)
from nescio.ensemble.canonical import that_may_be_canonical
from nescio.ensemble.reviving import (
    Waiting,
    aged,
    log_sum,
    set_aside,
    since_boundary,
)
from nescio.errors import ContextOverflow, InvalidInput, InvalidText

__all__ = [
    "KEPT_NUMBERS",
    "Past",
    "fits",
    "followed",
    "given_up",
    "grown",
    "impossible",
    "no_room",
    "spelled_rightly",
    "tokens_of",
]

KEPT_NUMBERS = ("log_gone", "log_followed_gone", "log_said")
"""What a rewind sets back to what it was."""

_TOGETHER = 64
"""How many contexts are asked in one pass: bounds the memory of their rows."""


@dataclass(frozen=True, eq=False)
class Past:
    """What a context was before its last symbol, as far as a rewind needs it.

    Args:
        before: one symbol earlier; None: at the document start or a prompt's.
        born: branches that began there, and how many bytes before.
        aside: those that waited there: how many bytes, log of their share, and
            whether it counts.
        numbers: of the context then: `KEPT_NUMBERS` by name.
    """

    before: Past | None
    born: tuple[tuple[Candidate, int], ...]
    aside: tuple[tuple[Candidate, int, float, bool], ...]
    numbers: Mapping[str, Any]

    @staticmethod
    def of(
        context: Any,
        before: Past | None,
        born: Sequence[tuple[Candidate, int]],
    ) -> Past:
        """What is to be remembered of a context: no memory of a model."""
        numbers = {name: getattr(context, name) for name in KEPT_NUMBERS}
        return Past(
            before,
            tuple((replace(one, context=None), depth) for one, depth in born),
            tuple(
                (one.wanted.candidate, one.age, one.log_share, one.counted)
                for one in context.waiting
            ),
            numbers,
        )


def followed(context: Any, symbol: int) -> tuple[Any, tuple[Candidate, ...]]:
    """The context without its fresh branches after a symbol, and these to be asked.

    Raises:
        InvalidInput: it is no symbol, or stands after the end.
        InvalidText: the model gives it no probability.
        ContextOverflow: no room for another token.
    """
    _check(context, symbol)
    total = float(context.log_masses[symbol])
    if total == -math.inf and not context.waiting:
        raise InvalidText(impossible(context, symbol))
    total += context.prompt.log_weight
    read = (*context.symbols, symbol)
    said = context.log_said + float(context.logp[symbol])
    if symbol == END:
        return _ended(context, read, total, said), ()
    view = context.view
    kept, ended = narrowed(context.branches, view.lexicon, symbol)
    ended = spelled_rightly(context, ended)
    if view.spelling == "canonical" and not (kept or ended or context.waiting):
        raise InvalidText(_not_its_own(context, symbol))
    chosen = _chosen(context, ended, total, alone=not kept)
    aside = set_aside(chosen.aside, age=0, total=total)
    since = 0 if chosen.worth else since_boundary(kept)
    waiting, gone = aged(context.waiting, aside, bytes_more=1, since=since)
    longer = replace(
        context, symbols=read, branches=kept, log_said=said, waiting=waiting
    )
    longer = given_up(longer, [*gone, *set_aside(chosen.lost, age=0, total=total)])
    born = [(candidate, 0) for candidate in chosen.worth]
    past = Past.of(longer, context.past, born)
    return replace(longer, past=past), chosen.worth


def given_up(context: Any, gone: Sequence[Waiting]) -> Any:
    """The context when some that waited are not remembered any more."""
    if not gone:
        return context
    lost = log_sum([one.log_weight for one in gone]) - context.prompt.log_weight
    return replace(
        context,
        log_gone=float(np.logaddexp(context.log_gone, lost)),
        log_followed_gone=context.log_followed_gone
        + math.fsum(one.log_left for one in gone),
    )


def spelled_rightly(
    context: Any, ended: tuple[Candidate, ...]
) -> tuple[Candidate, ...]:
    """Those tokens that a view follows: all, or the tokenizer's own."""
    if context.view.spelling == "all":
        return ended
    prompt = context.prompt.token_ids
    return that_may_be_canonical(context.view.model, ended, prompt=prompt)


def _check(context: Any, symbol: int) -> None:
    if context.symbols and context.symbols[-1] == END:
        raise InvalidInput("the text has ended: nothing can be read after its end")
    if not context.symbols:
        raise InvalidInput("a text begins with <start>: read that symbol first")
    if not 0 <= symbol <= END:
        raise InvalidInput(f"symbol {symbol} is no byte and no end")


def _ended(context: Any, read: tuple[int, ...], total: float, said: float) -> Any:
    nothing = tuple(replace(one, log_weight=total) for one in context.branches[:1])
    if total == -math.inf:
        nothing = ()
    longer = replace(context, symbols=read, branches=nothing, log_said=said)
    return replace(longer, past=Past.of(longer, context.past, ()))


def grown(view: Any, wanted: Sequence[Wanted]) -> list[Branch]:
    """Branches from what the model says after some tokens, asked together."""
    found: list[Branch] = []
    end = np.array(view.model.vocabulary.end, dtype=np.int64)
    steps = view.lexicon.root()
    for begin in range(0, len(wanted), _TOGETHER):
        some = wanted[begin : begin + _TOGETHER]
        contexts, logits = view.model.extend(
            [one.context for one in some], [one.run for one in some]
        )
        for one, context, row in zip(some, contexts, logits, strict=True):
            try:
                shares = shares_of(row, view.lexicon, end)
            except InvalidInput as error:
                raise InvalidInput(f"{view.model.name}: {error}") from error
            found.append(Branch.at(one.candidate, context, shares=shares, steps=steps))
    return found


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Tokens that end here: worth a pass, set aside, or without room in the model."""

    worth: tuple[Candidate, ...]
    aside: tuple[Candidate, ...]
    lost: tuple[Candidate, ...]


def _chosen(
    context: Any, ended: tuple[Candidate, ...], total: float, *, alone: bool
) -> _Chosen:
    view = context.view
    worth = list(ended)
    if view.prune > 0.0:
        least = total + math.log(view.prune)
        worth = [c for c in ended if c.log_weight >= least]
        if not worth and alone and ended:
            worth = [max(ended, key=lambda c: c.log_weight)]
    if view.most is not None and len(worth) > view.most:
        worth.sort(key=lambda c: -c.log_weight)
        del worth[view.most :]
    here = {id(c) for c in worth}
    others = [c for c in ended if id(c) not in here]
    fit = _that_fit(context, worth, total, alone=alone)
    here = {id(c) for c in fit}
    return _Chosen(
        tuple(fit),
        tuple(c for c in others if fits(context, c)),
        (
            *(c for c in others if not fits(context, c)),
            *(c for c in worth if id(c) not in here),
        ),
    )


def fits(context: Any, candidate: Candidate) -> bool:
    """Whether the model has room for its tokens."""
    limit, tokens = context.view.model.context_length, candidate.tokens
    if limit is None or tokens is None:
        return True
    return len(context.prompt.token_ids) + tokens.length <= limit


def _that_fit(
    context: Any, worth: list[Candidate], total: float, *, alone: bool
) -> list[Candidate]:
    """Those for which the model has room; the others are lost, if they are few."""
    fit = [c for c in worth if fits(context, c)]
    here = {id(c) for c in fit}
    left = log_sum([c.log_weight for c in worth if id(c) not in here])
    if left > total - math.log(2.0) or (left > -math.inf and alone and not fit):
        raise no_room(context)
    return fit


def no_room(context: Any) -> ContextOverflow:
    """The model sees no more than the likeliest spelling has."""
    model = context.view.model
    return ContextOverflow(
        f"the context of {model.name} is full: after {context.length} symbols the "
        f"likeliest spelling has {model.context_length} tokens, all that it can "
        "see; shorten the prompt or the text"
    )


def _backwards(tokens: Spelled | None) -> Iterator[int]:
    while tokens is not None:
        yield tokens.token
        tokens = tokens.before


def tokens_of(tokens: Spelled | None, *, last: int | None = None) -> list[int]:
    """The ids, in order; only the last few if asked."""
    return list(islice(_backwards(tokens), last))[::-1]


def _not_its_own(context: Any, symbol: int) -> str:
    return (
        f"{context.view.model.name} has no spelling of its own that goes on with byte "
        f"0x{symbol:02x} here: follow all spellings (spelling='all')"
    )


def impossible(context: Any, symbol: int) -> str:
    """What is said of a symbol that no spelling writes."""
    name = context.view.model.name
    what = "the end" if symbol == END else f"byte 0x{symbol:02x}"
    read = bytes(s for s in context.symbols[-20:] if s < END)
    if context.log_gone > -math.inf:
        return (
            f"no spelling of {name} that is still followed writes {what} after "
            f"{read!r}: it cannot write that, or only in a way that was given up; "
            f"give up less (prune is {context.view.prune:g}, most {context.view.most})"
        )
    return f"{name} gives {what} no probability after {read!r}: it cannot write that"
