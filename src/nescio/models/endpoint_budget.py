"""How many requests and tokens an endpoint may still be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nescio.errors import BudgetExhausted

__all__ = ["Budget", "Spending"]


class Spending:
    """What one attempt may cost, and in the end did.

    Until it is `settled` the attempt counts with all the tokens it might have
    generated: after a broken connection nobody knows better.
    """

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def settled(self, tokens: int) -> None:
        """The attempt generated that many."""
        self.tokens = tokens


@dataclass
class Budget:
    """Requests and generated tokens, counted; of one event loop, so without locks.

    Args:
        max_requests: attempts in all, repeated ones too; None: no limit.
        max_tokens: generated in all; None: no limit.
        requests, tokens: used so far; tokens of attempts under way count as they may
            come.
    """

    max_requests: int | None = None
    max_tokens: int | None = None
    requests: int = 0
    tokens: int = 0

    @contextmanager
    def attempt(self, tokens: int) -> Iterator[Spending]:
        """One request that may generate up to ``tokens``.

        Raises:
            BudgetExhausted: it is not allowed any more; nothing is sent.
        """
        if self.max_requests is not None and self.requests >= self.max_requests:
            raise BudgetExhausted(
                f"the {self.max_requests} requests allowed are used up; what came is "
                "kept (allow more: --max-requests)"
            )
        if self.max_tokens is not None and self.tokens + tokens > self.max_tokens:
            raise BudgetExhausted(
                f"{self.tokens} of the {self.max_tokens} tokens allowed are generated "
                f"or under way, and the next answer may take {tokens}; what came is "
                "kept (allow more: --max-tokens-total, or ask for shorter answers)"
            )
        self.requests += 1
        self.tokens += tokens
        spending = Spending(tokens)
        try:
            yield spending
        finally:
            self.tokens += spending.tokens - tokens
