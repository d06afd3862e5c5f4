"""Which spellings a tokenizer would choose itself, while the text still goes on.

How a text is split may depend on what follows: of two line breaks before a letter many
tokenizers make two tokens, of the same two at a text's end one. So tokens whose own
text would be spelled otherwise may yet be those of a longer one. They count until the
text has shown that they are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Int

from nescio.ensemble.branches import Branch, Candidate, Spelled
from nescio.errors import InvalidText

__all__ = ["ended_rightly", "that_may_be_canonical"]

_LOOKED_AT, _COMPARED = 48, 32
"""Tokens at the end of a text that are spelled anew, and those that have to agree."""

_NOTHING = ""
_FOLLOWERS = (_NOTHING, "a", "1", ".", " ", "\n", "s", "ܐ", "߀", "܀")
"""What may follow, one of each kind that the rules of splitting look ahead for: a
letter, a digit, a mark, space, a line break, the end of ``'s``; and a letter, a digit
and a mark so rare that no token joins them to a space in front."""

_Ids = Int[np.ndarray, " n"]


def that_may_be_canonical(
    model: Any, ended: Sequence[Candidate], *, prompt: _Ids
) -> tuple[Candidate, ...]:
    """Those whose tokens are the tokenizer's own of some text that begins so.

    Judged by the last 48 tokens and what may follow them; how a text is split that ends
    with a letter or a digit is taken to be settled. Tokens after which a character is
    not whole are let pass: the next one decides.

    Args:
        model: with its tokenizer.
        ended: tokens that end at one byte.
        prompt: the ids that were read before them.
    """
    judge = _Judge(model, prompt)
    return tuple(
        one
        for one in ended
        if one.tokens is not None and judge.agrees(one.tokens, before=_FOLLOWERS)
    )


def ended_rightly(
    model: Any, branches: Sequence[Branch], *, prompt: _Ids
) -> tuple[Branch, ...]:
    """The branches, with an end only where the tokenizer spells a whole text so."""
    judge = _Judge(model, prompt)
    return tuple(
        branch
        if branch.tokens is None
        or branch.stop == 0.0
        or judge.agrees(branch.tokens, before=(_NOTHING,))
        else replace(branch, stop=0.0)
        for branch in branches
    )


@dataclass(frozen=True, eq=False)
class _Judge:
    """Compares tokens with the tokenizer's own, each text spelled once.

    Args:
        model: with its tokenizer.
        prompt: the ids that were read before all tokens.
        spelled: the tokenizer's own ids of texts; None: it cannot, or not yet.
    """

    model: Any
    prompt: _Ids
    spelled: dict[bytes, list[int] | None] = field(default_factory=dict)

    def agrees(self, tokens: Spelled, *, before: Sequence[str]) -> bool:
        """Whether they are the tokenizer's own before any of these texts."""
        recent, whole = self._recent(tokens)
        text = self.model.vocabulary.spell(recent)
        for follower in before:
            ids = self._own(text + follower.encode())
            if ids is None and follower == _NOTHING:
                return True
            if ids is None:  # no text of this model goes on so
                continue
            ids = ids[: self._count(ids, len(text))]
            if ids == recent if whole else ids[-_COMPARED:] == recent[-_COMPARED:]:
                return True
            if text.decode()[-1:].isalnum():
                return False
        return False

    def _own(self, text: bytes) -> list[int] | None:
        if text not in self.spelled:
            try:
                self.spelled[text] = self.model.encode(text).tolist()
            except InvalidText:
                self.spelled[text] = None
        return self.spelled[text]

    def _count(self, ids: Sequence[int], size: int) -> int:
        """How many of the tokens make up the first ``size`` bytes; 0: none do."""
        for number, token in enumerate(ids, start=1):
            size -= len(self.model.vocabulary.token(token))
            if size <= 0:
                return number if size == 0 else 0
        return 0

    def _recent(self, tokens: Spelled) -> tuple[list[int], bool]:
        """The last ones from a character's beginning on, and whether that is all.

        All are those since a document start or another control token.
        """
        vocabulary, found = self.model.vocabulary, list[int]()
        for token in self._backwards(tokens):
            if vocabulary.control[token]:
                break
            found.append(token)
            within = vocabulary.token(token)[:1] >= b"\x80"
            within &= vocabulary.token(token)[:1] < b"\xc0"
            if len(found) >= _LOOKED_AT and not within:
                return found[::-1], False
        return found[::-1], True

    def _backwards(self, tokens: Spelled | None) -> Iterator[int]:
        while tokens is not None:
            yield tokens.token
            tokens = tokens.before
        yield from self.prompt[::-1].tolist()
