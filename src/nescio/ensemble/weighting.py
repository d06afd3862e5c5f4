"""Weights of an ensemble: from the bits a prompt costs, or learned from texts.

For ``mean`` and ``posterior`` the ensemble is a mixture, of bytes or of whole texts:
its likelihood is concave in the weights and EM climbs to its maximum. For ``product``
the log-loss is convex in the weights, also without the condition that they sum to 1:
the sum is then a power of the whole, which sharpens it above 1 and flattens it below.
How far the result is from the best is bounded, not guessed (``gap``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.ensemble.member_scores import MemberScores, rule_logp
from nescio.ensemble.mixing import ProductLoss, climbed, least_loss
from nescio.errors import InvalidInput, InvalidText, NotEnoughData
from nescio.outcome import Estimate, Recipe
from nescio.uncertainty.bootstrap import (
    MINIMUM_UNITS,
    bootstrap_rows,
    ratio_of_means,
)
from nescio.uncertainty.interval import check_request
from nescio.uncertainty.resampling import drawn_counts, percentile_limits

__all__ = ["LEARNED", "Weighting", "fit_weights", "prompt_weights"]

LEARNED = ("mean", "posterior", "product")
"""The rules whose weights are learned."""

_TOLERANCE = 1e-7  # nats a unit that may be left
_NEAR = 1e-6  # the same, of a resample
_FOLDS = 10
_POPULATION = "documents like these"
_SOURCES = {
    "mean": ("Dempster, Laird & Rubin (1977), the EM algorithm",),
    "posterior": ("Dempster, Laird & Rubin (1977), the EM algorithm",),
    "product": ("Heskes (1998), Selecting weighting factors in logarithmic pools",),
}


@dataclass(frozen=True, eq=False)
class Weighting:
    """Learned weights, and how the fit went.

    Args:
        rule: what they are for.
        weights: of the members; they sum to 1 unless the power of the whole is free.
        converged: whether ``gap`` is below 1e-7.
        iterations: of EM, or of the minimisation.
        gap: by how much the log-loss could at most still fall: nats a byte, a document
            for ``posterior``; with a free power the largest slope that is left.
        before, after: bits a byte with equal weights and with these, on the texts they
            were learned on.
        history: for a mixture the mean log-likelihood after each iteration.
        limits: for each weight an interval over documents.
        saved: bits a byte saved over equal weights on documents that were left out of
            the fit; None: too few documents.
    """

    rule: str
    weights: tuple[float, ...]
    converged: bool
    iterations: int
    gap: float
    before: float
    after: float
    history: tuple[float, ...] = ()
    limits: tuple[Estimate, ...] = ()
    saved: Estimate | None = None

    @property
    def power(self) -> float:
        """What the weights sum to."""
        return math.fsum(self.weights)


def prompt_weights(
    bits_per_byte: Sequence[float | int], *, temperature: float | int = 1.0
) -> tuple[float, ...]:
    """Weights from what a prompt costs each member: softmax(-bits / temperature).

    By bytes, which are the same for all; bits a token would favour long tokens.

    Args:
        bits_per_byte: of each member, on the same text
            (`MemberScores.bits_per_byte`).
        temperature: in bits a byte; large: equal weights, small: the best one alone.

    Raises:
        InvalidInput: no member, bits or a temperature that are none.

    Example:
        >>> [round(w, 2) for w in prompt_weights([1.0, 2.0], temperature=0.5)]
        [0.88, 0.12]
    """
    bits = np.array(bits_per_byte, dtype=np.float64)
    if not len(bits) or np.isnan(bits).any() or (bits < 0).any():
        raise InvalidInput(
            f"bits a byte {list(bits_per_byte)}: one a member, 0 or more"
        )
    if not 0.0 < temperature < math.inf:
        raise InvalidInput(f"temperature is {temperature}: above 0, in bits a byte")
    if not np.isfinite(bits).any():
        raise InvalidInput("no member can write the prompt: there is nothing to weigh")
    logs = -(bits - bits.min()) / temperature
    shares = np.exp(logs)
    return tuple((shares / shares.sum()).tolist())


def fit_weights(
    scores: MemberScores,
    rule: str = "mean",
    *,
    tempered: bool = False,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
) -> Weighting:
    """Learn the weights under which texts cost least.

    Args:
        scores: of the members on texts to learn from.
        rule: ``mean``, ``posterior`` or ``product``.
        tempered: whether the sum of the weights is free; for ``product``.
        level, resamples, seed: of the intervals, documents resampled: mixtures are
            fitted again, for ``product`` a Newton step is made from the whole fit.

    Raises:
        InvalidInput: another rule, a power for a mixture.
        InvalidText: a byte that no member can write, or for ``product`` any of them.

    Example:
        >>> logp = np.full((4, 2, 257), -20.0)
        >>> logp[:, 0, 65], logp[:, 1, 66] = np.log(0.9), np.log(0.9)
        >>> seen = np.array([65, 65, 65, 66])
        >>> apart = MemberScores(logp, seen, np.arange(4), np.zeros((4, 2)))
        >>> [round(w, 3) for w in fit_weights(apart).weights]
        [0.75, 0.25]

    Source: Dempster, Laird & Rubin (1977); Heskes (1998).
    """
    check_request(level, resamples, seed)
    _check(scores, rule, tempered)
    found = _fitted(scores, rule, tempered, None)
    documents = len(scores.starts)
    if documents < MINIMUM_UNITS:
        return found
    recipe = Recipe(
        "fit_weights",
        {"rule": rule, "tempered": tempered, "resamples": resamples, "seed": seed},
        _SOURCES[rule],
    )
    resampled = _resampled(
        scores, found, tempered=tempered, resamples=resamples, seed=seed
    )
    limits = []
    for number, weight in enumerate(found.weights):
        column = resampled[:, number]
        low, high = percentile_limits(column, level=level, units=documents)
        limits.append(
            Estimate(
                f"weight of member {number}",
                weight,
                "1",
                documents,
                "confidence",
                _POPULATION,
                recipe,
                min(low, weight),
                max(high, weight),
                level,
            )
        )
    saved = _saved(scores, found, tempered, level=level, seed=seed)
    return replace(found, limits=tuple(limits), saved=saved)


def _check(scores: MemberScores, rule: str, tempered: bool) -> None:
    if rule not in LEARNED:
        raise InvalidInput(
            f"weights of the rule {rule!r} are not learned: choose one of {LEARNED}"
        )
    if tempered and rule != "product":
        raise InvalidInput(f"{rule} has no power: only product is tempered")
    possible = scores.own > -np.inf
    able = possible.all(axis=1) if rule == "product" else possible.any(axis=1)
    if not able.all():
        place = int(np.flatnonzero(~able)[0])
        who = "some member" if rule == "product" else "every member"
        raise InvalidText(
            f"symbol {int(scores.symbols[place])} at {place} is impossible for {who}: "
            "leave that text or that member out"
        )


def _fitted(
    scores: MemberScores,
    rule: str,
    tempered: bool,
    start: Float[np.ndarray, " members"] | None,
) -> Weighting:
    count = scores.members
    first = np.full(count, 1.0 / count) if start is None else start
    history: tuple[float, ...] = ()
    if rule == "product":
        loss = ProductLoss(scores)
        weights, iterations, gap = least_loss(loss, first, free=tempered)
    else:
        own = scores.own if rule == "mean" else scores.by_document(scores.own)
        weights, history, gap = climbed(own, np.ones(len(own)), first)
        iterations = len(history) - 1
    equal = [1.0] * count
    return Weighting(
        rule,
        tuple(weights.tolist()),
        gap <= _TOLERANCE,
        iterations,
        gap,
        float(-_logp(scores, rule, equal, None).mean() / math.log(2)),
        float(-_logp(scores, rule, weights.tolist(), tempered).mean() / math.log(2)),
        history,
    )


def _logp(
    scores: MemberScores, rule: str, weights: Sequence[float], tempered: bool | None
) -> Float[np.ndarray, " bytes"]:
    """Log-probability of what came; with a free power not of weights scaled to 1."""
    if not tempered:
        return rule_logp(scores, rule, weights)
    return -ProductLoss(scores).losses(np.array(weights))


def _resampled(
    scores: MemberScores,
    found: Weighting,
    *,
    tempered: bool,
    resamples: int,
    seed: int,
) -> Float[np.ndarray, "resamples members"]:
    """Weights learned from documents that were drawn anew."""
    documents = len(scores.starts)
    rng = np.random.default_rng(seed)
    (counts,) = drawn_counts(rng, documents, resamples, chunk=resamples)
    if found.rule == "product":
        steps = ProductLoss(scores).by_document(np.array(found.weights))
        again = steps.stepped(np.array(found.weights), free=tempered)
    else:
        again = _mixed_again(scores, found)
    return np.stack([again(drawn) for drawn in counts])


def _mixed_again(
    scores: MemberScores, found: Weighting
) -> Callable[[np.ndarray], np.ndarray]:
    """Documents' counts to the weights of a mixture that is fitted to them."""
    per_byte = found.rule == "mean"
    own = scores.own if per_byte else scores.by_document(scores.own)
    lengths = np.diff(np.append(scores.starts, len(scores.symbols)))
    start = _inside(found)

    def again(drawn: np.ndarray) -> np.ndarray:
        each = np.repeat(drawn, lengths) if per_byte else drawn
        return climbed(own, each.astype(np.float64), start, within=_NEAR)[0]

    return again


def _inside(found: Weighting) -> Float[np.ndarray, " members"]:
    """Near the weights and above 0, where every iteration can go anywhere."""
    return 0.99 * np.array(found.weights) + 0.01 / len(found.weights)


def _saved(
    scores: MemberScores,
    found: Weighting,
    tempered: bool,
    *,
    level: float,
    seed: int,
) -> Estimate | None:
    """Bits a byte saved over equal weights, each document left out of the fit once."""
    documents = len(scores.starts)
    owner = np.repeat(
        np.arange(documents), np.diff(np.append(scores.starts, len(scores.symbols)))
    )
    parts = np.random.default_rng(seed).permutation(documents) % min(_FOLDS, documents)
    gain = np.zeros((documents, 2))
    for part in range(parts.max() + 1):
        out = parts[owner] == part
        rest, left = scores.only(~out), scores.only(out)
        weights = _fitted(rest, found.rule, tempered, _inside(found)).weights
        learned = _logp(left, found.rule, weights, tempered)
        equal = _logp(left, found.rule, [1.0] * scores.members, None)
        numbers = np.flatnonzero(parts == part)
        gain[numbers, 0] = left.by_document(learned - equal) / math.log(2)
        gain[numbers, 1] = left.by_document(np.ones(len(left.symbols)))
    settings: dict[str, Any] = {
        "rule": found.rule,
        "tempered": tempered,
        "folds": int(parts.max() + 1),
        "against": "equal weights",
    }
    try:
        interval = bootstrap_rows(gain, ratio_of_means, level=level, seed=seed)
    except NotEnoughData:
        return None
    value = float(gain[:, 0].sum() / gain[:, 1].sum())
    return Estimate(
        "bits_saved",
        value,
        "bits/byte",
        documents,
        "confidence",
        _POPULATION,
        Recipe("fit_weights", settings | dict(interval.settings), _SOURCES[found.rule]),
        min(interval.low, value),
        max(interval.high, value),
        level,
    )
