"""The two optimisations behind learned weights, with a bound on what is left.

A mixture's mean log-likelihood L is concave in its weights. With g_i the mean of
p_i / Σ w p, no weights do better than L + log max g (Jensen): the bound EM stops at.
The loss of a product is convex; over weights that sum to 1 no others do better than the
loss less ∇·w - min ∇ (Frank & Wolfe).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from nescio.ensemble.member_scores import MemberScores

__all__ = ["DocumentSteps", "ProductLoss", "climbed", "least_loss"]

Weights = Float[np.ndarray, " members"]
_SMALL = 1e-10  # nats a unit: EM stops
_MOST = 5000
_NEWTON = 60
_ROWS = 2048  # of log-probabilities held at once as float64


def climbed(
    own: Float[np.ndarray, "units members"],
    counts: Float[np.ndarray, " units"],
    start: Weights,
    *,
    within: float = _SMALL,
) -> tuple[Weights, tuple[float, ...], float]:
    """EM for a mixture whose parts are known.

    Args:
        own: log-probability of each unit under each part, nats.
        counts: how often each unit counts.
        start: weights above 0.
        within: nats a unit that may be left.

    Returns:
        The weights, the mean log-likelihood before and after each iteration, and by how
        much it could at most still rise.
    """
    top = own.max(axis=1, keepdims=True)
    p = np.exp(own - top)
    shares = counts / counts.sum()
    base = float(shares @ top[:, 0])
    weights, history = start / start.sum(), []
    while True:
        mixed = p @ weights
        history.append(base + float(shares @ np.log(mixed)))
        slopes = (shares / mixed) @ p
        gap = float(np.log(slopes.max()))
        if gap <= within or len(history) > _MOST:
            return weights, tuple(history), max(0.0, gap)
        weights = weights * slopes  # they sum to 1 again
        weights = weights / weights.sum()


@dataclass(frozen=True, eq=False)
class ProductLoss:
    """The log-loss of a product of members, convex in its weights.

    Args:
        scores: of the members, each of which can write every byte of the texts.
    """

    scores: MemberScores

    def losses(self, weights: Weights) -> Float[np.ndarray, " bytes"]:
        """-log q of every byte, nats."""
        found = [part.divided(weights)[1] - part.own @ weights for part in self._parts]
        return np.concatenate(found)

    def slopes(
        self, weights: Weights
    ) -> tuple[
        Float[np.ndarray, "bytes members"], Float[np.ndarray, "bytes members members"]
    ]:
        """Of every byte's loss the gradient and the curvature in the weights."""
        found = [part.slopes(weights) for part in self._parts]
        return (
            np.concatenate([first for first, _ in found]),
            np.concatenate([second for _, second in found]),
        )

    def of(self, weights: Weights) -> float:
        """The mean loss, nats."""
        return float(self.losses(weights).mean())

    def by_document(self, weights: Weights) -> DocumentSteps:
        """Gradient and curvature of every document's loss at some weights."""
        first, second = self.slopes(weights)
        both = self.scores.by_document
        return DocumentSteps(both(first), both(second))

    @cached_property
    def _parts(self) -> tuple[_Part, ...]:
        """Rows with what all members allow, and 0 for what some do not."""
        found = []
        for begin in range(0, len(self.scores.symbols), _ROWS):
            part = slice(begin, begin + _ROWS)
            logp = self.scores.logp[part].astype(np.float64)
            allowed = np.asarray((logp > -np.inf).all(axis=1))
            logp = np.where(allowed[:, None, :], logp, 0.0)
            found.append(_Part(logp, allowed, self.scores.own[part]))
        return tuple(found)


@dataclass(frozen=True, eq=False)
class _Part:
    """Some rows of what members say.

    Args:
        logp: of every symbol, 0 where some member forbids it.
        allowed: where none does.
        own: of the symbol that came.
    """

    logp: Float[np.ndarray, "rows members symbols"]
    allowed: Bool[np.ndarray, "rows symbols"]
    own: Float[np.ndarray, "rows members"]

    def divided(
        self, weights: Weights
    ) -> tuple[Float[np.ndarray, "rows symbols"], Float[np.ndarray, " rows"]]:
        """The product, and the log of what it was divided by."""
        raised = np.where(self.allowed, weights @ self.logp, -np.inf)
        top = raised.max(axis=1, keepdims=True)
        q = np.exp(raised - top)
        total = q.sum(axis=1, keepdims=True)
        return q / total, (top + np.log(total))[:, 0]

    def slopes(
        self, weights: Weights
    ) -> tuple[
        Float[np.ndarray, "rows members"], Float[np.ndarray, "rows members members"]
    ]:
        """Of each row's loss the gradient and the curvature."""
        q, _ = self.divided(weights)
        mean = (self.logp @ q[:, :, None])[:, :, 0]
        apart = self.logp - mean[:, :, None]
        second = (apart * q[:, None, :]) @ apart.transpose(0, 2, 1)
        return mean - self.own, second


@dataclass(frozen=True, eq=False)
class DocumentSteps:
    """What a Newton step needs of each document.

    Args:
        first: gradients of their losses, [documents, members].
        second: curvatures, [documents, members, members].
    """

    first: Float[np.ndarray, "documents members"]
    second: Float[np.ndarray, "documents members members"]

    def stepped(
        self, weights: Weights, *, free: bool
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Documents' counts to the weights after one Newton step."""

        def again(counts: np.ndarray) -> np.ndarray:
            slope = counts @ self.first
            bend = np.einsum("d,dmn->mn", counts.astype(np.float64), self.second)
            here = weights > 0.0
            step = np.zeros(len(weights))
            step[here] = _newton(slope[here], bend[np.ix_(here, here)], free=free)
            moved = np.maximum(weights + step, 0.0)
            return moved if free or not moved.sum() > 0.0 else moved / moved.sum()

        return again


def least_loss(
    loss: ProductLoss, start: Weights, *, free: bool
) -> tuple[Weights, int, float]:
    """The weights, at least 0, of the least loss; they sum to 1 unless free.

    Newton steps among the weights that are above 0 or should be.

    Returns:
        The weights, the iterations, and by how much the loss could at most still fall
        (free: the largest slope that is left).
    """
    weights, value = start, loss.of(start)
    iterations = 0
    while True:
        first, second = loss.slopes(weights)
        slope, bend = first.mean(axis=0), second.mean(axis=0)
        left = _left(slope, weights, free=free)
        if left <= _SMALL or iterations == _NEWTON:
            break
        step = _step(weights, slope, bend, free=free)
        longer = _shortened(loss, weights, value, slope=slope, step=step)
        if longer is None:
            break
        weights, value = longer
        iterations += 1
    return weights, iterations, left


def _left(slope: Weights, weights: Weights, *, free: bool) -> float:
    if free:
        off = np.where(weights > 0.0, np.abs(slope), np.maximum(-slope, 0.0))
        return float(off.max())
    return max(0.0, float(slope @ weights - slope.min()))


def _step(weights: Weights, slope: Weights, bend: np.ndarray, *, free: bool) -> Weights:
    """Where the parabola is least, weights at 0 not going below."""
    level = 0.0 if free else float(slope @ weights)
    here = (weights > 0.0) | (slope < level)
    while True:
        step = np.zeros(len(weights))
        step[here] = _newton(slope[here], bend[np.ix_(here, here)], free=free)
        below = here & (weights <= 0.0) & (step < 0.0)
        if not below.any():
            return step
        here &= ~below


def _shortened(
    loss: ProductLoss, weights: Weights, value: float, *, slope: Weights, step: Weights
) -> tuple[Weights, float] | None:
    """The step, as far as weights stay above 0 and the loss falls; None: nowhere."""
    falls = step < 0.0
    room = weights[falls] / -step[falls]
    length = min(1.0, float(room.min(initial=1.0)))
    for _ in range(40):
        moved = weights + length * step
        moved[moved < 1e-12] = 0.0
        there = loss.of(moved)
        if there <= value + 1e-4 * length * float(slope @ step):
            return moved, there
        length /= 2.0
    return None


def _newton(
    slope: Float[np.ndarray, " n"], bend: Float[np.ndarray, "n n"], *, free: bool
) -> Float[np.ndarray, " n"]:
    """The step to the least of a parabola; the weights' sum stays unless free."""
    count = len(slope)
    if free:
        return np.linalg.lstsq(bend, -slope, rcond=None)[0]
    system = np.zeros((count + 1, count + 1))
    system[:count, :count] = bend
    system[count, :count] = system[:count, count] = 1.0
    return np.linalg.lstsq(system, np.append(-slope, 0.0), rcond=None)[0][:count]
