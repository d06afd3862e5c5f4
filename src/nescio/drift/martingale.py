"""Alarm B: is this text what the model says it would write? No calibration needed.

Under q, what a token x is drawn from, exp(λ s(x)) / Σ q^(1-λ) with s = -log q(x) has
mean 1 for every λ. Its running product is a martingale, and so is a mixture of several
fixed beforehand; by Ville's inequality it reaches 1/α with probability at most α, at
any time. λ > 0 finds text more surprising than the model expects (foreign text, a
higher temperature), λ < 0 text less surprising (greedy decoding, truncation).

It can not find degradation of what the model honestly samples: that is what the model
says it would write. `nescio.drift.alarm` is for that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.decoding.watching import Alert, TokenStatistics
from nescio.drift.channels import tokens_of
from nescio.errors import InvalidInput, SchemaError
from nescio.outcome.fields import floats, listed, object_of
from nescio.trace import Origin, Trace

__all__ = [
    "ORDERS",
    "MartingaleAlarm",
    "MartingaleWatch",
    "log_factors",
    "log_martingale",
    "log_martingale_of",
]

ORDERS = (-1.0, -0.5, -0.25, -0.1, 0.1, 0.25, 0.5)
"""The λ of the mixture, each with the same weight, unless others are chosen."""

_SOURCES = ("Ville (1939)", "Ramdas et al. (2023), game-theoretic statistics")


def log_factors(
    surprisal: Float[np.ndarray, " n"],
    log_renyi: Float[np.ndarray, "n orders"],
    orders: tuple[float | int, ...] = ORDERS,
) -> Float[np.ndarray, "n orders"]:
    """λ s - log Σ q^(1-λ) of every token and every λ, nats.

    Args:
        surprisal: -log q of each token, nats; +inf if q forbids it.
        log_renyi: log Σ q^(1-λ), a column an order, nats.
        orders: the λ; finite, none 0.

    Raises:
        InvalidInput: an order that is 0 or not finite, NaN.

    Example:
        >>> q = np.array([0.9, 0.1])
        >>> sums = np.log([[(q**0.5).sum(), (q**2.0).sum()]] * 2)
        >>> log_factors(-np.log(q), sums, (0.5, -1.0)).round(6).tolist()
        [[-0.182322, 0.09309], [0.916291, -2.104134]]

    Source: the martingale of exponential tilting; Ramdas et al. (2023).
    """
    tilts = np.array(_checked(orders))
    if np.isnan(surprisal).any() or not np.isfinite(log_renyi).all():
        raise InvalidInput("a surprisal or a Rényi sum is not a number")
    return surprisal.astype(np.float64)[:, None] * tilts - log_renyi


def log_martingale(
    surprisal: Float[np.ndarray, " n"],
    log_renyi: Float[np.ndarray, "n orders"],
    orders: tuple[float | int, ...] = ORDERS,
) -> Float[np.ndarray, " n"]:
    """The logarithm of the mixture after every token; -inf and +inf may stand there.

    Args:
        surprisal, log_renyi, orders: as for `log_factors`.

    Example:
        >>> fair = np.full(3, np.log(2.0))
        >>> sums = np.log([[2.0**0.5, 2.0**-1.0]] * 3)      # of q = (1/2, 1/2)
        >>> log_martingale(fair, sums, (0.5, -1.0)).round(9).tolist()
        [0.0, 0.0, 0.0]
    """
    sums = np.cumsum(log_factors(surprisal, log_renyi, orders), axis=0)
    with np.errstate(divide="ignore"):
        return np.logaddexp.reduce(sums, axis=1) - math.log(len(orders))


def log_martingale_of(
    trace: Trace, *, orders: tuple[float | int, ...] = ORDERS
) -> Float[np.ndarray, " n"]:
    """The same for the answer of a trace that has the Rényi sums.

    Raises:
        InvalidInput: it lacks them; says how to get them.

    Example:
        >>> import nescio
        >>> detail = nescio.Detail(renyi=ORDERS)
        >>> trace = nescio.score(nescio.load("table:coin"), "HTHH", detail=detail)
        >>> bool(np.abs(log_martingale_of(trace)).max() < 1e-6)
        True
    """
    tokens = list(tokens_of(trace, orders=orders))
    surprisal = np.array([_surprisal(token) for token in tokens])
    sums = np.array([token.log_renyi for token in tokens])
    return log_martingale(surprisal, sums, orders)


@dataclass(frozen=True)
class MartingaleAlarm:
    """Alarm B: goes off where the evidence against q reaches 1/rate. Frozen.

    Under what the tokens are said to be drawn from it goes off with probability at
    most ``alarm_rate``, however long the text and for any model and prompt.

    Args:
        alarm_rate: in (0, 1).
        orders: the λ of the mixture, of both signs.

    Raises:
        InvalidInput: a rate outside (0, 1); an order that is 0 or not finite.

    Example:
        >>> import nescio
        >>> detail = nescio.Detail(renyi=ORDERS)
        >>> trace = nescio.score(nescio.load("table:coin"), "H" * 99, detail=detail)
        >>> MartingaleAlarm(0.05).start(trace.origin).alert is None
        True

    Source: Ville (1939).
    """

    alarm_rate: float = 0.05
    orders: tuple[float | int, ...] = ORDERS

    def __post_init__(self) -> None:
        if not 0 < self.alarm_rate < 1:
            raise InvalidInput(
                f"alarm_rate is {self.alarm_rate}: give a share in (0, 1)"
            )
        object.__setattr__(self, "orders", _checked(self.orders))

    @property
    def renyi_orders(self) -> tuple[float, ...]:
        """The λ of the mixture."""
        return tuple(float(order) for order in self.orders)

    def start(self, origin: Origin | None = None) -> MartingaleWatch:  # noqa: ARG002
        """The watch over a new answer, of whatever origin."""
        return MartingaleWatch(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "alarm": "martingale",
            "alarm_rate": self.alarm_rate,
            "orders": list(self.orders),
        }

    @staticmethod
    def from_dict(fields: Any) -> MartingaleAlarm:
        """The alarm that `to_dict` wrote.

        Raises:
            SchemaError: a field is missing or is not what it should be.
        """
        given = object_of(fields, ("alarm", "alarm_rate", "orders"), "alarms")
        (rate,) = floats([given["alarm_rate"]], "alarm_rate")
        orders = floats(listed(given["orders"], "orders"), "orders")
        try:
            return MartingaleAlarm(rate, tuple(orders))
        except InvalidInput as error:
            raise SchemaError(str(error)) from error


class MartingaleWatch:
    """The watch over one answer: one number for each λ.

    ``alert`` is what set the alarm off, None so far; ``tokens`` how many came;
    ``log_evidence`` the logarithm of the mixture, nats.
    """

    def __init__(self, alarm: MartingaleAlarm) -> None:
        self._alarm = alarm
        self._sums = [0.0] * len(alarm.orders)
        self.alert: Alert | None = None
        self.tokens = 0
        self.log_evidence = 0.0

    def update(self, token: TokenStatistics) -> Alert | None:
        """Take the next token; the alert if it sets the alarm off, once an answer.

        Raises:
            InvalidInput: the token comes without its Rényi sums.
        """
        orders = self._alarm.orders
        if len(token.log_renyi) != len(orders):
            raise InvalidInput(
                f"{len(token.log_renyi)} Rényi sums for the {len(orders)} orders of "
                "the alarm: ask for its renyi_orders"
            )
        surprisal = _surprisal(token)
        for place, (order, total) in enumerate(
            zip(orders, token.log_renyi, strict=True)
        ):
            if math.isfinite(self._sums[place]):
                self._sums[place] += order * surprisal - total
        self.tokens += 1
        largest = max(self._sums)
        if math.isfinite(largest):
            largest += math.log(sum(math.exp(s - largest) for s in self._sums))
        self.log_evidence = largest - math.log(len(orders))
        limit = -math.log(self._alarm.alarm_rate)
        if self.alert is not None or self.log_evidence < limit:
            return None
        self.alert = self._alert(limit)
        return self.alert

    @property
    def claim(self) -> str:
        """What may be said of this answer, in words."""
        return (
            f"at most {100 * self._alarm.alarm_rate:g} % of texts that are drawn as "
            "is said set it off, however long"
        )

    def _alert(self, limit: float) -> Alert:
        leading = self._alarm.orders[int(np.argmax(self._sums))]
        how = "more" if leading > 0 else "less"
        reason = (
            f"not what the model would write: {how} surprising than it expects "
            f"(evidence e^{self.log_evidence:.3g} ≥ e^{limit:.3g})"
        )
        channel = "surprisal_up" if leading > 0 else "surprisal_down"
        return Alert(self.tokens - 1, channel, self.log_evidence, limit, reason)


def _surprisal(token: TokenStatistics) -> float:
    if token.logp_processed is None or math.isnan(token.logp_processed):
        raise InvalidInput(
            "a token comes without its probability under what it was drawn from"
        )
    return 0.0 - token.logp_processed


def _checked(orders: tuple[float | int, ...]) -> tuple[float, ...]:
    found = tuple(float(order) for order in orders)
    if not found or len(set(found)) < len(found):
        raise InvalidInput(f"orders are {orders}: one or more, each once")
    if not all(math.isfinite(order) and order != 0 for order in found):
        raise InvalidInput(f"orders are {orders}: finite, none of them 0")
    return found
