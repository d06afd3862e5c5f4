"""Diverse beam search: groups of beams, each kept from what those before it say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from nescio.decoding.beam import (
    Beam,
    Search,
    begun,
    opened,
    read_on,
    samples_of,
)
from nescio.decoding.generation import Asked
from nescio.decoding.rules import Decoding
from nescio.errors import InvalidInput
from nescio.models.protocol import Model
from nescio.trace import Samples

__all__ = ["DiverseBeam", "diverse_beam_search"]


@dataclass(frozen=True)
class DiverseBeam:
    """How groups of answers are searched for.

    Args:
        groups: how many.
        width: of each group; the answers are ``groups`` times ``width`` together.
        strength: nats taken from a token's score for each answer of the groups before
            that put the same token at the same place (Hamming diversity); 0 repeats
            the same group.
        length_power: as for `nescio.decoding.beam.Beam`.

    Raises:
        InvalidInput: fewer than one group, a strength below 0 or not finite; as Beam.
    """

    groups: int = 4
    width: int = 1
    strength: float | int = 0.5
    length_power: float | int = 0.0

    def __post_init__(self) -> None:
        if self.groups < 1:
            raise InvalidInput(f"groups is {self.groups}: at least one is needed")
        if not 0 <= self.strength < np.inf:
            raise InvalidInput(f"strength is {self.strength}: give 0 or more, in nats")
        self.beam  # noqa: B018

    @property
    def beam(self) -> Beam:
        """The beam of each group."""
        return Beam(self.width, self.length_power)


def diverse_beam_search(
    model: Model,
    prompt: Asked,
    *,
    beam: DiverseBeam | None = None,
    decoding: Decoding | None = None,
    chat: bool | None = None,
) -> Samples:
    """Answers of several groups of beams that avoid each other's tokens.

    At each place the groups choose one after another. A token's score is its
    log-probability behind the answer so far, less ``strength`` for each answer of an
    earlier group that put the same token there. The penalty counts in choosing who
    goes on at this place only: what is added up and returned is the model's own
    log-probability. One group is plain beam search.

    Args:
        model, prompt, decoding, chat: as for `nescio.beam_search`.
        beam: groups, their width and how far they are kept apart.

    Returns:
        The answers of the first group, the best first, then of the second, and so on;
        the group is in the recipe of the trace. Two groups may find the same answer.

    Raises:
        InvalidInput, CapabilityError, ContextOverflow: as `nescio.beam_search`.

    Example:
        >>> import nescio
        >>> found = diverse_beam_search(nescio.load("table:coin"), "H",
        ...     beam=DiverseBeam(2, strength=0.5), decoding=nescio.Decoding(3))
        >>> found.texts
        ('HHH', 'TTT')

    Source: Vijayakumar et al. (2016), Diverse Beam Search, algorithm 1.
    """
    how, chosen = beam or DiverseBeam(), decoding or Decoding()
    asked = begun(model, prompt, chosen, chat)
    first, logits = opened(model, asked, how.beam, chosen)
    searches = [first, *(_like(first) for _ in range(how.groups - 1))]
    ready: list[tuple[Sequence[Any], Any]] = [
        ([h.context for h in search.going], logits) for search in searches
    ]
    while True:
        _place(searches, ready, how.strength)
        unfinished = [search for search in searches if not search.done]
        if not unfinished:
            break
        ready = _read(model, searches)
    settings = {"kind": "diverse_beam", "beam": asdict(how)}
    parts = [
        samples_of(
            model,
            asked,
            search.finished,
            chosen,
            settings={**settings, "group": group},
            first=group * how.width,
        )
        for group, search in enumerate(searches)
    ]
    answers = tuple(answer for part in parts for answer in part.answers)
    return replace(parts[0], answers=answers)


def _like(search: Search) -> Search:
    return replace(search, going=list(search.going), finished=[])


def _place(
    searches: Sequence[Search],
    ready: Sequence[tuple[Sequence[Any], Any]],
    strength: float | int,
) -> None:
    """One token in every group that is not done, the groups in their order."""
    taken = np.zeros(searches[0].model.vocabulary.size)
    for search, (contexts, logits) in zip(searches, ready, strict=True):
        if search.done:
            continue
        chosen = search.step(contexts, logits, strength * taken)
        np.add.at(taken, chosen, 1.0)


def _read(model: Any, searches: Sequence[Search]) -> list[tuple[Sequence[Any], Any]]:
    """Read on in all groups that are not done, as one batch."""
    going = [[] if search.done else search.going for search in searches]
    contexts, logits = read_on(model, [h for group in going for h in group])
    parts, begin = [], 0
    for group in going:
        end = begin + len(group)
        parts.append((contexts[begin:end], logits[begin:end]))
        begin = end
    return parts
