"""How sentences are translated side by side: by one member, or by several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from _translation_members import Started

from nescio.ensemble.agreed import Agreement
from nescio.ensemble.agreement import agreement_searches
from nescio.ensemble.branches import END
from nescio.ensemble.byte_view import START
from nescio.ensemble.joining import Ensemble, EnsembleContext
from nescio.ensemble.rejoining import Rejoining

WIDTH = 3


def greedy(member: Started, limits: Sequence[int]) -> list[str]:
    """The likeliest token after the other, at most ``limits`` bytes."""
    vocabulary = member.model.vocabulary
    ends = set(vocabulary.end)
    contexts = [opened.context for opened in member.opened]
    rows = [opened.logits for opened in member.opened]
    texts = [b""] * len(rows)
    going = list(range(len(rows)))
    while going:
        chosen = {place: int(rows[place].argmax()) for place in going}
        for place, token in chosen.items():
            texts[place] += b"" if token in ends else vocabulary.token(token)
        going = [
            place
            for place in going
            if chosen[place] not in ends and len(texts[place]) < limits[place]
        ]
        if going:
            longer, logits = member.model.extend(
                [contexts[place] for place in going],
                [np.array([chosen[place]]) for place in going],
            )
            for place, context, row in zip(going, longer, logits, strict=True):
                contexts[place], rows[place] = context, row
    return [text.decode("utf-8", "replace") for text in texts]


def agreed(
    members: Sequence[Started], limits: Sequence[int], weights: Sequence[float] | None
) -> list[list[str]]:
    """Agreement-based beam search; what it found of each, best first.

    Of one member it is a beam search.
    """
    plan = Agreement(
        WIDTH,
        weights=None if weights is None else tuple(weights),
        max_tokens=max(8, max(limits) // 2),
    )
    starts = list(zip(*(member.opened for member in members), strict=True))
    searches = agreement_searches([m.model for m in members], starts, plan=plan)
    return [[one.text for one in found] for found in searches]


def started(
    members: Sequence[Started], rule: str, weights: Sequence[float] | None
) -> tuple[Ensemble, list[EnsembleContext]]:
    """The ensemble, and it at the beginning of each translation."""
    ensemble = Ensemble([m.view for m in members], rule=rule, weights=weights)
    firsts = zip(*(m.views for m in members), strict=True)
    return ensemble, [ensemble.joined((START,), tuple(first)) for first in firsts]


def joined(
    members: Sequence[Started],
    limits: Sequence[int],
    rule: str,
    weights: Sequence[float] | None,
) -> list[str]:
    """The likeliest byte after the other, of a rule over the members."""
    return _decoded(*started(members, rule, weights), limits)[0]


def rejoined(
    members: Sequence[Started],
    limits: Sequence[int],
    rule: str,
    weights: Sequence[float] | None,
) -> tuple[list[str], int]:
    """The same with members that come back, and in how many texts one was silent."""
    ensemble, contexts = started(members, rule, weights)
    back = Rejoining(ensemble)
    silent: set[int] = set()
    texts, _ = _decoded(
        back,
        [back.over(context) for context in contexts],
        limits,
        told=lambda place, now: silent.add(place) if any(now.silent) else None,
    )
    return texts, len(silent)


def escaped(
    members: Sequence[Started],
    limits: Sequence[int],
    rule: str,
    weights: Sequence[float] | None,
) -> tuple[list[str], int]:
    """The same, the first member one that escapes; in how many texts it did."""
    texts, contexts = _decoded(*started(members, rule, weights), limits)
    first = [context.members[0] for context in contexts]
    acted = sum(
        one is not None and one.branches[0].context.escaped > 0 for one in first
    )
    return texts, acted


def _decoded(
    model: Any,
    contexts: Sequence[Any],
    limits: Sequence[int],
    told: Callable[[int, Any], None] | None = None,
) -> tuple[list[str], list[Any]]:
    """The likeliest byte after the other; texts, and the contexts at their ends."""
    now = list(contexts)
    going = list(range(len(now)))
    while going:
        best = {place: int(now[place].joined.argmax()) for place in going}
        going = [
            place
            for place in going
            if best[place] != END and now[place].length <= limits[place]
        ]
        if going:
            longer, _ = model.extend(
                [now[place] for place in going],
                [np.array([best[place]]) for place in going],
            )
            for place, context in zip(going, longer, strict=True):
                now[place] = context
                if told is not None:
                    told(place, context)
    spelled = [bytes(s for s in context.symbols if s < END) for context in now]
    return [text.decode("utf-8", "replace") for text in spelled], now


def byte_rows(members: Sequence[Started], texts: Sequence[str]) -> list[dict[str, Any]]:
    """What each member says of every byte of some texts, and of their ends.

    Returns:
        For each text ``logp`` [bytes + 1, members, 257] and ``symbols`` [bytes + 1]. A
        member that has left says nothing: -inf everywhere.
    """
    ensemble, contexts = started(members, "mean", None)
    symbols = [[*text.encode(), END] for text in texts]
    rows: list[list[np.ndarray]] = [[] for _ in texts]
    for step in range(max(map(len, symbols))):
        here = [place for place, text in enumerate(symbols) if step < len(text)]
        for place in here:
            rows[place].append(contexts[place].logp.astype(np.float32))
        further = [place for place in here if step + 1 < len(symbols[place])]
        if further:
            longer, _ = ensemble.extend(
                [contexts[place] for place in further],
                [np.array([symbols[place][step]]) for place in further],
            )
            for place, context in zip(further, longer, strict=True):
                contexts[place] = context
    return [
        {"logp": np.stack(found), "symbols": np.array(text)}
        for found, text in zip(rows, symbols, strict=True)
    ]
