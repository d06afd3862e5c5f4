"""A model that is told what text will probably come, and reads ahead when it is asked.

Asked for what follows some token, it also reads, in the same pass, the tokens by which
the tokenizer would go on with the expected text: a row for each place, of 1, 2, 3 ...
tokens, since a pass tells what follows the last token of a row alone. Where reading the
weights takes the time, as in stepping, these rows cost little more than one. What was
read is remembered; whoever asks gets the same numbers as without, up to the engine's
rounding of a batch, whatever comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.ensemble.lexicon import known_lexicon
from nescio.errors import InvalidText
from nescio.models.delegating import Delegating

__all__ = ["Foresight", "Passes", "Seen"]


@dataclass
class Passes:
    """What a model had to do.

    Args:
        calls: passes, of one or more rows.
        rows: contexts in them, those read ahead included.
        tokens: read in them.
        asked: how often it was asked for what follows something.
        remembered: how often that had been read already.
    """

    calls: int = 0
    rows: int = 0
    tokens: int = 0
    asked: int = 0
    remembered: int = 0


@dataclass(frozen=True, eq=False)
class Seen:
    """A context of the model, and the bytes it has read."""

    context: Any
    text: bytes

    @property
    def length(self) -> int:
        """How many tokens were read."""
        return self.context.length

    def rewind(self, length: int) -> Seen:
        """The context as it was after its first ``length`` tokens.

        What it has read is then not known any more, so nothing is read ahead of it.
        """
        return Seen(self.context.rewind(length), b"\xff" * 9)


_Key = tuple[int, tuple[int, ...]]  # a context's identity, what was read into it
_Known = tuple[Seen, Seen, Float[np.ndarray, " vocab"]]  # before, after, what follows


@dataclass(eq=False)
class Foresight(Delegating):
    """A model that remembers and reads ahead.

    Args:
        model: Stepping and Tokenized.
        ahead: how many tokens at most behind the one that was asked for.
    """

    model: Any
    ahead: int = 8
    expected: bytes = b""
    passes: Passes = field(default_factory=Passes)
    _known: dict[_Key, _Known] = field(default_factory=dict, repr=False)

    def open(self) -> Seen:
        """The context before anything was read."""
        return Seen(self.model.open(), b"")

    def expect(self, text: bytes) -> None:
        """What will probably be read, from the first text token on; forget the rest."""
        self.expected = text
        self._known.clear()

    def extend(
        self, contexts: Sequence[Seen], tokens: Sequence[Int[np.ndarray, " _"]]
    ) -> tuple[tuple[Seen, ...], Float[np.ndarray, "contexts vocab"]]:
        """As the model, from memory where that was read already."""
        runs = [tuple(int(token) for token in run) for run in tokens]
        keys = [(id(c), run) for c, run in zip(contexts, runs, strict=True)]
        missing = {
            key: context
            for key, context in zip(keys, contexts, strict=True)
            if key not in self._known
        }
        self.passes.asked += len(keys)
        self.passes.remembered += len(keys) - len(missing)
        if missing:
            self._read([(context, run) for (_, run), context in missing.items()])
        found = [self._known[key] for key in keys]
        rows = np.array([row for _, _, row in found])
        if not found:
            rows = np.empty((0, self.vocabulary.size))
        return tuple(after for _, after, _ in found), rows

    def _read(self, asked: Sequence[tuple[Seen, tuple[int, ...]]]) -> None:
        """Read what was asked for, and what is expected in its place, in one pass."""
        chains: dict[int, tuple[Seen, list[tuple[int, ...]]]] = {}
        for context, run in asked:
            _, known = chains.setdefault(id(context), (context, self._spine(context)))
            if run not in known:
                known.append(run)
        rows = [(context, run) for context, runs in chains.values() for run in runs]
        contexts, logits = self.model.extend(
            [context.context for context, _ in rows],
            [np.array(run, dtype=np.int64) for _, run in rows],
        )
        self.passes.calls += 1
        self.passes.rows += len(rows)
        self.passes.tokens += sum(len(run) for _, run in rows)
        for (before, run), after, row in zip(rows, contexts, logits, strict=True):
            self._remember(before, run, Seen(after, self._after(before, run)), row)

    def _remember(
        self, before: Seen, run: tuple[int, ...], after: Seen, row: np.ndarray
    ) -> None:
        """Under the whole run, and under its last token behind the others."""
        known = (before, after, row.copy())  # an engine may reuse its buffer
        self._known[id(before), run] = known
        parent = self._known.get((id(before), run[:-1]))
        if parent is not None:
            self._known.setdefault((id(parent[1]), run[-1:]), known)

    def _spine(self, context: Seen) -> list[tuple[int, ...]]:
        """What is expected, by the tokenizer: the first token, the first two ..."""
        rest = self.expected[len(context.text) :]
        begun = context.length > 0 and self.expected.startswith(context.text)
        if not rest or not begun:
            return []
        own = self._own(rest)
        room = self.ahead
        if self.context_length is not None:
            room = min(room, self.context_length - context.length)
        runs = [tuple(own[:count]) for count in range(1, min(room, len(own)) + 1)]
        return [run for run in runs if (id(context), run) not in self._known]

    def _own(self, text: bytes) -> list[int]:
        """The tokenizer's tokens; what breaks off anywhere in the longest that fit."""
        try:
            return self.encode(text).tolist()
        except InvalidText:
            found, known = [], self.vocabulary.ids_by_bytes
        while text and len(found) < self.ahead:
            cuts = range(min(len(text), known_lexicon(self.vocabulary).longest), 0, -1)
            fit = next((cut for cut in cuts if text[:cut] in known), 0)
            if not fit:
                break
            found.append(known[text[:fit]][0])
            text = text[fit:]
        return found

    def _after(self, context: Seen, run: tuple[int, ...]) -> bytes:
        return context.text + self.vocabulary.spell(run)
