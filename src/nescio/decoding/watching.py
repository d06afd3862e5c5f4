"""What watches an answer while it is drawn, and may end it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from nescio.trace import Origin

__all__ = ["Alert", "TokenStatistics", "Watch", "Watcher"]


@dataclass(frozen=True)
class Alert:
    """An alarm that went off.

    Args:
        index: of the token that set it off, from 0.
        channel: what crossed its threshold.
        statistic, threshold: both in the units of the channel.
        reason: the same in words.
    """

    index: int
    channel: str
    statistic: float
    threshold: float
    reason: str


@dataclass(frozen=True)
class TokenStatistics:
    """What is known of one token that was drawn; nats.

    Args:
        token: its id, or its bytes where a source gives no ids.
        logp: its log-probability under the model.
        entropy: of the model's prediction, or the lower bound of it; None: unknown.
        logp_processed: its log-probability under what it was drawn from.
        log_renyi: log sum q^(1-l) of what it was drawn from, for each of the orders
            its watcher asks for.
    """

    token: int | bytes
    logp: float
    entropy: float | None = None
    logp_processed: float | None = None
    log_renyi: tuple[float, ...] = ()


@runtime_checkable
class Watch(Protocol):
    """The watch over one answer."""

    def update(self, token: TokenStatistics) -> Alert | None:
        """Take the next token; the alert if the alarm goes off with it."""
        ...


@runtime_checkable
class Watcher(Protocol):
    """An alarm: it starts a watch over each answer."""

    @property
    def renyi_orders(self) -> tuple[float, ...]:
        """Orders of the Rényi sums it needs of what tokens are drawn from."""
        ...

    def start(self, origin: Origin | None) -> Watch:
        """The watch over a new answer of this origin.

        Raises:
            InvalidInput: the alarm is not made for such answers.
        """
        ...
