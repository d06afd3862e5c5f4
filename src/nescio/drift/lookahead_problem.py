"""The loss of a look-ahead as a convex function of its one parameter."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from nescio.drift.lookahead_rows import LookAheadRows
from nescio.errors import InvalidInput
from nescio.uncertainty import MINIMUM_UNITS

__all__ = ["Problem", "searched", "standard_error"]

_STEPS = 200
_NOTHING = 1e-12


@dataclass(frozen=True, eq=False)
class Problem:
    """The mean loss as a function of a, the rest being one more candidate.

    Args:
        logp, ahead: [n, candidates + 1].
        target_logp, target_ahead, shares: [n].
    """

    logp: np.ndarray
    ahead: np.ndarray
    target_logp: np.ndarray
    target_ahead: np.ndarray
    shares: np.ndarray

    @staticmethod
    def of(rows: LookAheadRows, *, needed: bool = True) -> Problem:
        """The problem of these rows; refuses, if needed, one without a minimum."""
        problem = Problem(
            np.concatenate([rows.logp, rows.rest_logp[:, None]], axis=1),
            np.concatenate([rows.entropy, rows.rest_entropy[:, None]], axis=1),
            rows.target_logp,
            rows.target_entropy,
            rows.shares,
        )
        if needed:
            problem._check()
        return problem

    def losses(self, a: float) -> Float[np.ndarray, " n"]:
        """-log Q_a of what came, [n], nats."""
        tilt = self.logp - a * self.ahead
        return (
            np.logaddexp.reduce(tilt, axis=1)
            - self.target_logp
            + (a * self.target_ahead)
        )

    def loss(self, a: float) -> float:
        """The mean loss."""
        return float(self.shares @ self.losses(a))

    def moments(self, a: float) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the look-ahead under Q_a, [n] each."""
        tilt = self.logp - a * self.ahead
        p = np.exp(tilt - np.logaddexp.reduce(tilt, axis=1, keepdims=True))
        mean = np.vecdot(p, self.ahead)
        return mean, np.vecdot(p, (self.ahead - mean[:, None]) ** 2)

    def slope(self, a: float) -> float:
        """The derivative: 0 is the first-order condition."""
        return float(self.shares @ (self.target_ahead - self.moments(a)[0]))

    def curvature(self, a: float) -> float:
        """The second derivative, at least 0."""
        return float(self.shares @ self.moments(a)[1])

    def bracket(self) -> tuple[float, float]:
        """Two parameters with the minimum between them."""
        reach = 1.0
        while self.slope(-reach) > 0.0 or self.slope(reach) < 0.0:
            reach *= 2.0
            if reach > 2.0**40:
                raise InvalidInput(
                    "no parameter below 10^12 is best: what came has nearly always the "
                    "least (or the largest) look-ahead; fit on more text"
                )
        return -reach, reach

    def _check(self) -> None:
        possible = self.logp > -np.inf
        least = np.where(possible, self.ahead, np.inf).min(axis=1)
        most = np.where(possible, self.ahead, -np.inf).max(axis=1)
        room = _NOTHING * max(1.0, float(np.abs(self.ahead).max()))
        if float(self.shares @ (most - least)) <= room:
            raise InvalidInput(
                "every candidate leaves the model equally unsure: any parameter gives "
                "the same predictions, so none can be fitted"
            )
        for end, name in ((least, "least"), (most, "largest")):
            if float(self.shares @ np.abs(self.target_ahead - end)) <= room:
                raise InvalidInput(
                    f"what came has always the {name} look-ahead of all candidates: no "
                    "finite parameter is best; fit on more text"
                )


def searched(problem: Problem, low: float, high: float) -> tuple[float, int, bool]:
    """The root of the slope in a bracket: Newton, halved where it would leave it."""
    a = 0.0
    for step in range(1, _STEPS + 1):
        slope = problem.slope(a)
        if slope == 0.0:
            return a, step, True
        low, high = (a, high) if slope < 0.0 else (low, a)
        bend = problem.curvature(a)
        following = a - slope / bend if bend > 0.0 else math.inf
        if not low < following < high:
            following = (low + high) / 2.0
        if abs(following - a) <= 4e-16 * max(1.0, abs(a)):
            return following, step, True
        a = following
    return a, _STEPS, high - low <= 1e-9 * max(1.0, abs(a))


def standard_error(problem: Problem, rows: LookAheadRows, a: float) -> float | None:
    """The sandwich: scores summed by document over the curvature."""
    names, owner = np.unique(rows.document, return_inverse=True)
    bend = problem.curvature(a)
    if len(names) < MINIMUM_UNITS or bend <= 0.0:
        return None
    scores = problem.shares * (problem.target_ahead - problem.moments(a)[0])
    summed = np.bincount(owner, scores, len(names))
    variance = float(summed @ summed) * len(names) / (len(names) - 1)
    return math.sqrt(variance) / bend
