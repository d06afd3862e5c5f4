"""Channels: running statistics of an answer, in memory that does not grow with it.

Every token gives each channel one number; the number is standardised, and a channel is
the exponentially weighted mean of those, begun at 0, that is at what is usual. What
centres and scales them is fixed beforehand, or fitted on other runs than those that
set an alarm's threshold.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from nescio.decoding.recording import renyi_column
from nescio.decoding.watching import TokenStatistics
from nescio.drift.settings import is_plain
from nescio.errors import InvalidInput, NotEnoughData
from nescio.trace import Trace
from nescio.trace.trace import SEGMENTS

__all__ = [
    "CHANNELS",
    "Channel",
    "ChannelPlan",
    "Running",
    "Standard",
    "repeated_tokens",
    "run_statistics",
    "standards_of",
    "tokens_of",
]

_LEAST_TOKENS = 2


@dataclass(frozen=True)
class Channel:
    """One thing to watch.

    Args:
        value: the number of a token, from its statistics and whether it repeats.
        side: 1 watches for large means, -1 for small ones, 0 for both.
        unit: of the number.
        says: what it means if it is unusual.
    """

    value: Callable[[TokenStatistics, bool], float]
    side: int
    unit: str
    says: str


def _entropy(token: TokenStatistics, _: bool) -> float:
    if token.entropy is None:
        raise InvalidInput(
            "the entropy of a token is not known; watch an answer of a model that "
            "gives its predictions, or the channel repetition alone"
        )
    return float(np.float32(token.entropy))  # as traces keep it


def _gap(token: TokenStatistics, _: bool) -> float:
    return -float(np.float32(token.logp)) - _entropy(token, _)


def _repeats(_: TokenStatistics, repeats: bool) -> float:
    return float(repeats)


CHANNELS: Mapping[str, Channel] = {
    "entropy_up": Channel(_entropy, 1, "nats", "entropy is higher"),
    "entropy_down": Channel(_entropy, -1, "nats", "entropy is lower"),
    "repetition": Channel(_repeats, 1, "1", "more is repeated"),
    "surprisal_gap": Channel(
        _gap, 0, "nats", "surprisal and entropy are further apart"
    ),
}
"""What an alarm may watch, by name."""


@dataclass(frozen=True)
class ChannelPlan:
    """Which channels are watched and how they run.

    Args:
        names: of `CHANNELS`.
        memory: tokens an exponentially weighted mean reaches back to.
        ngram: how many tokens in a row have to come again to count as repeated.
        window: how many tokens back they are looked for.

    Raises:
        InvalidInput: an unknown channel or one named twice, a memory or window that
            is none.

    Example:
        >>> ChannelPlan(("repetition",)).window
        256
    """

    names: tuple[str, ...] = tuple(CHANNELS)
    memory: int = 64
    ngram: int = 4
    window: int = 256

    def __post_init__(self) -> None:
        unknown = [name for name in self.names if name not in CHANNELS]
        if unknown or not self.names:
            raise InvalidInput(f"channels {unknown}: one or more of {list(CHANNELS)}")
        if len(set(self.names)) < len(self.names):
            raise InvalidInput(f"a channel is named twice: {list(self.names)}")
        for name in ("memory", "ngram", "window"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; at least 1")
        if self.window < self.ngram:
            raise InvalidInput(
                f"a window of {self.window} tokens holds no {self.ngram} in a row"
            )


@dataclass(frozen=True)
class Standard:
    """What is usual for the number of a token: its centre and its scale.

    Raises:
        InvalidInput: a scale that is not above 0, or a number that is not finite.
    """

    centre: float | int
    scale: float | int

    def __post_init__(self) -> None:
        finite = np.isfinite([self.centre, self.scale]).all()
        if not finite or self.scale <= 0:
            raise InvalidInput(
                f"a centre of {self.centre} and a scale of {self.scale}: both are "
                "finite, and the scale is above 0"
            )


class _Repetition:
    """Whether the last tokens stood in the window before; bounded memory."""

    def __init__(self, ngram: int, window: int) -> None:
        self._last: deque[int | bytes] = deque(maxlen=ngram)
        self._order: deque[tuple[int | bytes, ...]] = deque()
        self._seen: Counter[tuple[int | bytes, ...]] = Counter()
        self._ngram, self._window = ngram, window

    def update(self, token: int | bytes) -> bool:
        self._last.append(token)
        if len(self._last) < self._ngram:
            return False
        now = tuple(self._last)
        repeats = self._seen[now] > 0
        self._order.append(now)
        self._seen[now] += 1
        if len(self._order) > self._window - self._ngram + 1:
            old = self._order.popleft()
            self._seen[old] -= 1
            if not self._seen[old]:
                del self._seen[old]
        return repeats


class Running:
    """The channels of one answer so far.

    Args:
        plan: which, and how they run.
        standards: what is usual, by channel.

    Example:
        >>> plan = ChannelPlan(("entropy_up",), memory=2)
        >>> running = Running(plan, {"entropy_up": Standard(1.0, 0.5)})
        >>> running.update(TokenStatistics(7, -1.0, 2.0))        # (2 - 1)/.5/2
        [1.0]
        >>> running.update(TokenStatistics(7, -1.0, 1.0))
        [0.5]
    """

    def __init__(self, plan: ChannelPlan, standards: Mapping[str, Standard]) -> None:
        missing = [name for name in plan.names if name not in standards]
        if missing:
            raise InvalidInput(f"no centre and scale for {missing}")
        self._repetition = _Repetition(plan.ngram, plan.window)
        self._parts = [(CHANNELS[name], standards[name]) for name in plan.names]
        self._weight = 1.0 / plan.memory
        self.means = [0.0] * len(plan.names)

    def update(self, token: TokenStatistics) -> list[float]:
        """Take the next token; the statistic of every channel, larger is worse."""
        repeats = self._repetition.update(token.token)
        found = []
        for place, (channel, standard) in enumerate(self._parts):
            value = (channel.value(token, repeats) - standard.centre) / standard.scale
            mean = self.means[place]
            mean += self._weight * (value - mean) if math.isfinite(mean) else 0.0
            self.means[place] = mean
            found.append(channel.side * mean if channel.side else abs(mean))
        return found


def tokens_of(
    trace: Trace, *, orders: Sequence[float | int] = ()
) -> Iterator[TokenStatistics]:
    """The answer's tokens of a trace, as they came.

    Args:
        trace: of an answer or a scored text. Entropies known by bounds count with
            the lower one.
        orders: of Rényi sums of what was drawn from.

    Raises:
        InvalidInput: nothing of it is scored; it has no such sums.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:coin"), "HT")
        >>> [round(token.entropy, 4) for token in tokens_of(trace)]
        [0.6931, 0.6931]
    """
    mine = trace.scored & (trace.segment == SEGMENTS.index("completion"))
    places = np.flatnonzero(mine)
    if not len(places):
        raise InvalidInput("no token of an answer is scored: there is nothing to watch")
    entropy = trace.entropy if trace.entropy is not None else trace.entropy_low
    drawn_from, sums = _drawn_from(trace, orders)
    for place in places.tolist():
        yield TokenStatistics(
            trace.token_bytes(place)
            if trace.token_ids is None
            else int(trace.token_ids[place]),
            float(trace.logp[place]),
            None if entropy is None else float(entropy[place]),
            None if drawn_from is None else float(drawn_from[place]),
            tuple(float(column[place]) for column in sums),
        )


def _drawn_from(
    trace: Trace, orders: Sequence[float | int]
) -> tuple[np.ndarray | None, list[np.ndarray]]:
    """Log-probabilities under what was drawn from, and its Rényi sums."""
    if not orders:
        return trace.logp_processed, []
    names = [renyi_column(order) for order in orders]
    if all(name in trace.columns for name in names):
        return trace.logp_processed, [trace.columns[name].values for name in names]
    own = list(trace.renyi_orders)
    as_it_is = trace.origin.decoding.get("kind") == "score" or is_plain(trace.origin)
    if trace.renyi is not None and set(orders) <= set(own) and as_it_is:
        return trace.logp, [trace.renyi[:, own.index(order)] for order in orders]
    raise InvalidInput(
        "the trace lacks the Rényi sums of what its tokens were drawn from: generate "
        f"with Detail(renyi_processed={tuple(orders)}), or score the text with "
        f"Detail(renyi={tuple(orders)})"
    )


def repeated_tokens(
    trace: Trace, plan: ChannelPlan | None = None
) -> Bool[np.ndarray, " n"]:
    """Which tokens of an answer stand in a run that came in the window before.

    Args:
        trace: of an answer or a scored text.
        plan: how long a run is, and the window; None: the usual ones.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:coin"), "HTTTHTTT")
        >>> repeated_tokens(trace).astype(int).tolist()
        [0, 0, 0, 0, 1, 1, 1, 1]
    """
    how = plan or ChannelPlan()
    repetition = _Repetition(how.ngram, how.window)
    mine = trace.scored & (trace.segment == SEGMENTS.index("completion"))
    places = np.flatnonzero(mine)
    found = np.zeros(len(trace), dtype=np.bool_)
    for index, place in enumerate(places.tolist()):
        token: int | bytes = (
            trace.token_bytes(place)
            if trace.token_ids is None
            else int(trace.token_ids[place])
        )
        if repetition.update(token):
            found[places[index - how.ngram + 1 : index + 1]] = True
    return found


def run_statistics(
    trace: Trace,
    plan: ChannelPlan,
    standards: Mapping[str, Standard],
    *,
    horizon: int | None = None,
) -> Float[np.ndarray, "n channels"]:
    """Every channel after every token of an answer, up to a horizon."""
    running = Running(plan, standards)
    rows = []
    for index, token in enumerate(tokens_of(trace)):
        if index == horizon:
            break
        rows.append(running.update(token))
    return np.array(rows, dtype=np.float64)


def standards_of(
    traces: Sequence[Trace], plan: ChannelPlan, *, horizon: int | None = None
) -> dict[str, Standard]:
    """Mean and standard deviation of each channel's numbers over all tokens of runs.

    A channel that never varies has the scale 1.

    Raises:
        NotEnoughData: fewer than 2 tokens.
        InvalidInput: a token the model held impossible; it has no mean.
    """
    numbers: list[list[float]] = []
    for trace in traces:
        repetition = _Repetition(plan.ngram, plan.window)
        for index, token in enumerate(tokens_of(trace)):
            if index == horizon:
                break
            repeats = repetition.update(token.token)
            numbers.append([CHANNELS[n].value(token, repeats) for n in plan.names])
    if len(numbers) < _LEAST_TOKENS:
        raise NotEnoughData(f"{len(numbers)} tokens show no scale: give more runs")
    table = np.array(numbers)
    if not np.isfinite(table).all():
        raise InvalidInput("a token is impossible under the model: no healthy answer")
    means, spreads = table.mean(axis=0), table.std(axis=0)
    return {
        name: Standard(float(mean), float(spread) if spread > 0 else 1.0)
        for name, mean, spread in zip(plan.names, means, spreads, strict=True)
    }
