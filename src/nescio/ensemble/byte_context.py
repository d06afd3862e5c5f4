"""What a view as bytes has read, and what it says of the next byte."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.ensemble.branches import END, SYMBOLS, Branch, masses
from nescio.ensemble.canonical import ended_rightly
from nescio.ensemble.prompts import PromptRead
from nescio.ensemble.reviving import (
    Waiting,
    thought_of_waiting,
    weight_of,
)
from nescio.ensemble.rewinding import rewound
from nescio.ensemble.stepping import Past
from nescio.errors import InvalidInput

__all__ = ["ByteContext"]


@dataclass(frozen=True, eq=False)
class ByteContext:
    """Bytes that were read, and every way the model may have written them.

    Args:
        view: whose context it is.
        symbols: what was read, ``<start>`` included; after a prompt, what came since.
        branches: the spellings that were kept.
        log_gone: log of the probability of spellings that were given up, nats; -inf:
            none.
        log_followed_gone: log of the share of the text's probability that would be
            there, had they gone on like the others, nats.
        log_said: log-probability of the text by the predictions `logp`, nats.
        waiting: spellings that were set aside and may yet be followed.
        prompt: what was read in one pass before the first symbol; None: nothing yet.
        past: what a rewind needs.
    """

    view: Any
    symbols: tuple[int, ...] = ()
    branches: tuple[Branch, ...] = field(default=(), repr=False)
    log_gone: float = -math.inf
    log_followed_gone: float = 0.0
    log_said: float = 0.0
    waiting: tuple[Waiting, ...] = field(default=(), repr=False)
    prompt: PromptRead | None = field(default=None, repr=False)
    past: Past | None = field(default=None, repr=False)

    @property
    def length(self) -> int:
        """How many symbols were read."""
        return len(self.symbols)

    @property
    def text(self) -> bytes:
        """The bytes read; behind a prompt with those of it that were opened again."""
        again = self.prompt.again if self.prompt else b""
        return again + bytes(symbol for symbol in self.symbols if symbol < END)

    @property
    def _log_prompt(self) -> float:
        return self.prompt.log_weight if self.prompt else 0.0

    @cached_property
    def log_masses(self) -> Float[np.ndarray, " symbols"]:
        """Log-probability of the text with each symbol after it, kept ones, [257].

        After a prompt, that of what came since, given how the prompt was read.
        """
        if not self.branches or self.symbols[-1] == END:
            return np.full(SYMBOLS, -np.inf)
        scale = max(branch.log_weight for branch in self.branches)
        branches, prompt = self.branches, self.prompt
        if prompt is not None and self.view.spelling == "canonical":
            ids = prompt.token_ids
            branches = ended_rightly(self.view.model, branches, prompt=ids)
        found = masses(branches, scale=scale)
        with np.errstate(divide="ignore"):
            return np.log(found) + (scale - self._log_prompt)

    @cached_property
    def logp(self) -> Float[np.ndarray, " symbols"]:
        """Log-probabilities of what comes next, [257]; after an end, the end again.

        Before ``<start>`` was read nothing is predicted: all are -inf.

        What was set aside at the last byte is thought to begin its next token as it
        was itself expected to begin, and a little with any symbol alike: with pruning,
        no symbol is impossible that may only wait for a spelling set aside. What waits
        for longer is thought to go on like the others.
        """
        if self.symbols and self.symbols[-1] == END:
            row = np.full(SYMBOLS, -np.inf)
            row[END] = 0.0
            return row
        logs = self.log_masses
        if not self.branches:
            return logs
        if self.waiting:
            logs = np.logaddexp(logs, thought_of_waiting(self))
        return logs - _log_sum(logs)

    @cached_property
    def log_kept(self) -> float:
        """Log-probability that a text begins so, by the spellings kept, nats."""
        if self.symbols and self.symbols[-1] == END:
            return self.branches[0].log_weight - self._log_prompt
        return _log_sum(self.log_masses)

    @cached_property
    def log_lost(self) -> float:
        """Log of the probability that is not followed, nats; -inf: none.

        Of what was given up, and of what waits.
        """
        return float(np.logaddexp(self.log_gone, weight_of(self, rate=0.0)))

    @property
    def log_followed(self) -> float:
        """Log of the share of the text's probability that would be there, nats.

        Had the spellings that are not followed gone on like the others.
        """
        waiting = math.fsum(one.log_left for one in self.waiting)
        return self.log_followed_gone + waiting

    @property
    def bounds(self) -> tuple[float, float]:
        """What the log-probability that a text begins so lies between, nats.

        After a prompt: given the tokens of it that were read in one pass.
        """
        before = self.prompt.log_lost if self.prompt else -math.inf
        low = self.log_kept - float(np.logaddexp(0.0, before))
        return low, float(np.logaddexp(self.log_kept, self.log_lost))

    @property
    def doubt(self) -> float:
        """The largest total variation of the next symbol's distribution, in [0, 1].

        A bound: what was not followed may have said anything. It grows with the text,
        soon to 1; `missing` says what is likely.
        """
        return min(1.0, math.exp(self.log_lost - self.bounds[1]))

    @property
    def missing(self) -> float:
        """The share of the text's probability that is missing, if all go on alike.

        An estimate in [0, 1], no bound: it takes the spellings that were not followed
        to be as likely to go on with the text as those that were.
        """
        return -math.expm1(self.log_followed)

    def rewind(self, length: int) -> ByteContext:
        """The context as it was after its first ``length`` symbols.

        One pass over the last tokens of the spellings that were alive then. After a
        prompt the first symbol is the prompt's end; 0 is before it.

        Raises:
            InvalidInput: more than were read.
        """
        if not 0 <= length <= self.length:
            raise InvalidInput(
                f"a context of {self.length} symbols cannot be rewound to {length}"
            )
        if length == self.length:
            return self
        return rewound(self, length) if length else self.view.open()


def _log_sum(logs: Float[np.ndarray, " _"]) -> float:
    top = logs.max(initial=-np.inf)
    if top == -np.inf:
        return -math.inf
    return float(top + np.log(np.exp(logs - top).sum()))
