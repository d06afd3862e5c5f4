"""A model that looks one token ahead: it is scored, sampled and traced as any other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.drift.lookahead import LookAhead
from nescio.drift.lookahead_rows import look_ahead, tilted
from nescio.errors import InvalidInput
from nescio.models.protocol import Context, LogitBlock, Stepping, Tokenized, require
from nescio.models.reading import check_blocks
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin

__all__ = ["LookingAhead", "looking_ahead"]

_SHARED = ("model_digest", "tokenizer_digest", "engine", "precision")


@dataclass(frozen=True, eq=False)
class LookingAhead:
    """A model whose predictions are those of another, tilted by a fitted look-ahead.

    Tokenized, Stepping and Scoring, so that every decoder and measure runs on it. Each
    prediction costs one step for each candidate; scoring steps too.

    Args:
        base: the model that was fitted.
        fitted: the look-ahead.
        batch: how many candidates step side by side.
    """

    base: Any
    fitted: LookAhead
    batch: int = 64

    @property
    def name(self) -> str:
        """The base's, with the parameter."""
        return f"{self.base.name} with look-ahead {self.fitted.a:.6g}"

    @property
    def origin(self) -> Origin:
        """The base's, with a digest of its own."""
        origin = self.base.origin
        whole = (origin.model_digest, self.fitted.a, self.fitted.candidates)
        digest = hashlib.sha256(repr(whole).encode()).hexdigest()
        return replace(origin, model=self.name, model_digest=digest)

    @property
    def vocabulary(self) -> Vocabulary:
        """The bytes of every id."""
        return self.base.vocabulary

    @property
    def context_length(self) -> int | None:
        """One less than the base's, which reads a candidate more."""
        limit = self.base.context_length
        return None if limit is None else limit - 1

    @property
    def start(self) -> tuple[int, ...]:
        """The document-start tokens a text is conditioned on."""
        return self.base.start

    def encode(self, text: bytes) -> Int[np.ndarray, " n"]:
        """Token ids that spell exactly this text."""
        return self.base.encode(text)

    def open(self) -> Context:
        """The context before anything was read."""
        return self.base.open()

    def extend(
        self,
        contexts: Sequence[Context],
        tokens: Sequence[Int[np.ndarray, " _"]],
    ) -> tuple[tuple[Context, ...], Float[np.ndarray, "contexts vocab"]]:
        """Read tokens into each context; tilted log-probabilities of what follows."""
        longer, logits = self.base.extend(contexts, tokens)
        logits = logits.copy()  # an engine may reuse its buffer
        ahead = look_ahead(
            self.base,
            longer,
            logits,
            candidates=self.fitted.candidates,
            batch=self.batch,
        )
        return longer, tilted(logits, ahead, self.fitted.a)

    def logit_blocks(
        self,
        sequences: Sequence[Int[np.ndarray, " _"]],
        *,
        skip: Sequence[int],
        rows: int = 128,
    ) -> Iterator[LogitBlock]:
        """Log-probabilities after each position from ``skip`` on, step by step."""
        check_blocks(sequences, skip, rows)
        for first in range(0, len(sequences), rows):
            yield from self._blocks(sequences, skip, range(first, first + rows))

    def _blocks(
        self,
        sequences: Sequence[Int[np.ndarray, " _"]],
        skip: Sequence[int],
        some: range,
    ) -> Iterator[LogitBlock]:
        """Some sequences side by side."""
        position = {
            n: int(skip[n])
            for n in some
            if n < len(sequences) and skip[n] < len(sequences[n]) - 1
        }
        contexts = {n: self.open() for n in position}
        while position:
            going = list(position)
            runs = [sequences[n][contexts[n].length : position[n] + 1] for n in going]
            read, logits = self.extend([contexts[n] for n in going], runs)
            contexts |= dict(zip(going, read, strict=True))
            where = np.array([position[n] for n in going])
            yield LogitBlock(np.array(going), where, logits)
            position = {
                n: at + 1
                for n, at in position.items()
                if at + 1 < len(sequences[n]) - 1
            }


def looking_ahead(model: Any, fitted: LookAhead, *, batch: int = 64) -> LookingAhead:
    """The model with a fitted look-ahead applied to each of its predictions.

    Args:
        model: the model the look-ahead was fitted on; Tokenized and Stepping.
        fitted: the look-ahead.
        batch: how many candidates step side by side, at least 1.

    Raises:
        InvalidInput: it was fitted on another model, vocabulary, engine or precision.
        CapabilityError: the model cannot step.

    Example:
        >>> import nescio
        >>> from nescio.drift.lookahead import fit_look_ahead
        >>> from nescio.drift.lookahead_rows import look_ahead_rows
        >>> model = nescio.load("table:topics")
        >>> fitted = fit_look_ahead(look_ahead_rows(model, ["abababcd", "abacab"]))
        >>> trace = nescio.generate(looking_ahead(model, fitted), "a",
        ...                         decoding=nescio.Decoding(3))
        >>> len(trace)
        4
    """
    require(model, Tokenized, Stepping, purpose="looking ahead")
    if batch < 1:
        raise InvalidInput(f"batch is {batch}: at least one candidate at a time")
    for name in _SHARED:
        there, here = fitted.settings.get(name), getattr(model.origin, name)
        if there != here:
            raise InvalidInput(
                f"the look-ahead was fitted with {name} {there!r:.60}; {model.name} "
                f"has {here!r:.60}: fit one on this model"
            )
    return LookingAhead(model, fitted, batch)
