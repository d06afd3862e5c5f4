"""When enough samples were drawn: stop early, at a stated risk of another answer.

After some samples the leading answer has v₁ votes and the next v₂. With a uniform
prior over the shares of the two, the probability that the leader is the more frequent
one is P(p₁ > p₂) = 1 - I_½(v₁ + 1, v₂ + 1). Sampling stops when it reaches a level, or
at the most samples. What that costs is in `nescio.consistency.adaptive_error`; sampling
itself in `nescio.consistency.adaptive_sampling`; here the rule, and what it does to
samples one already has.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from nescio.consistency.adaptive_saved import changed_share, saved_share
from nescio.consistency.answers import INVALID, Answers
from nescio.errors import InvalidInput
from nescio.outcome import Estimate

__all__ = [
    "AdaptiveAnswers",
    "AdaptiveRule",
    "StoppingPoint",
    "adaptive_answers",
    "fewest_more",
    "lead_confidence",
    "stopping_point",
]

Reason = Literal["lead", "most", "ended"]
"""Why it stopped: the lead sufficed, no more are allowed, no more were there."""

_MOST = 1000


@dataclass(frozen=True)
class AdaptiveRule:
    """When to stop drawing samples of a question.

    Args:
        confidence: stop when P(p₁ > p₂) reaches this, in (0.5, 1).
        most: never more samples than these.
        least: never fewer.
        certain: stop only when the lead exceeds the samples that are left, so that no
            later sample can change the leader; ``confidence`` then decides nothing.

    Raises:
        InvalidInput: a confidence outside (0.5, 1), ``most`` not in [2, 1000],
            ``least`` not in [2, most].

    Example:
        >>> rule = AdaptiveRule()
        >>> rule.stops(3, 0, drawn=3), rule.stops(4, 0, drawn=4)
        (False, True)
    """

    confidence: float | int = 0.95
    most: int = 40
    least: int = 2
    certain: bool = False

    def __post_init__(self) -> None:
        if not 0.5 < self.confidence < 1.0:
            raise InvalidInput(
                f"confidence is {self.confidence}: a level above 0.5 and below 1, such "
                "as 0.95; for no error at all, certain=True"
            )
        if not 2 <= self.most <= _MOST:
            raise InvalidInput(f"most is {self.most}: from 2 to {_MOST} samples")
        if not 2 <= self.least <= self.most:
            raise InvalidInput(
                f"least is {self.least}: from 2 to {self.most}, the most samples"
            )

    def stops(self, first: int, second: int, *, drawn: int) -> bool:
        """Whether the lead suffices.

        Args:
            first, second: votes of the leading answer and of the next.
            drawn: samples so far, invalid ones too.
        """
        if drawn < self.least or first <= second:
            return False
        if self.certain:
            return first - second > self.most - drawn
        needed = self.needed
        return second < len(needed) and first >= needed[second]

    @property
    def needed(self) -> tuple[int, ...]:
        """For each number of second votes the fewest first ones that suffice.

        It ends where even the most samples cannot give so many; with ``certain`` the
        samples that are left decide, and this is not used.
        """
        return _needed(self.confidence, self.most)

    @property
    def settings(self) -> dict[str, Any]:
        """The rule as JSON values."""
        return {
            "rule": "lead exceeds what is left" if self.certain else "P(p1 > p2)",
            "confidence": None if self.certain else float(self.confidence),
            "most": self.most,
            "least": self.least,
        }


@dataclass(frozen=True)
class StoppingPoint:
    """Where a rule stops in the samples of a question.

    Args:
        used: how many samples it takes.
        leader: the set that leads them; None: none of them is valid.
        lead_confidence: P(p₁ > p₂) there, in [0.5, 1].
        reason: ``lead`` (enough of it), ``most`` (no more allowed) or ``ended`` (no
            more were there, and the rule would have gone on).
    """

    used: int
    leader: int | None
    lead_confidence: float
    reason: Reason


@dataclass(frozen=True, eq=False)
class AdaptiveAnswers:
    """What a rule does to the samples of some questions.

    Args:
        rule: when to stop.
        stops: of each question.
        used: how many samples it takes of each, [questions].
        leaders: the key of the answer that leads them, or None.
        saved: the share of the samples allowed (no more than there are) that it leaves
            undrawn, with an interval over questions.
        changed: the share of questions whose leader is another than that of all
            samples allowed, with Wilson's interval over questions.
    """

    rule: AdaptiveRule
    stops: tuple[StoppingPoint, ...]
    used: Int[np.ndarray, " questions"]
    leaders: tuple[str | None, ...]
    saved: Estimate
    changed: Estimate


def lead_confidence(first: int, second: int) -> float:
    """P(p₁ > p₂) after v₁ and v₂ votes: 1 - I_½(v₁ + 1, v₂ + 1), in (0, 1).

    I_½ of whole numbers is a sum of binomial probabilities: the value is the
    probability of at most v₁ heads in v₁ + v₂ + 1 throws of a fair coin.

    Raises:
        InvalidInput: a negative number of votes.

    Example:
        >>> lead_confidence(3, 0), lead_confidence(4, 0), lead_confidence(2, 2)
        (0.9375, 0.96875, 0.5)

    Source: Aggarwal et al. (2023), equation 4, the beta criterion.
    """
    if first < 0 or second < 0:
        raise InvalidInput(f"{first} and {second} votes: neither is below 0")
    throws = first + second + 1
    # The smaller tail is summed: it keeps its digits where the other is nearly 1.
    low = min(first, second)
    tail = sum(math.comb(throws, heads) for heads in range(low + 1)) / 2**throws
    return 1.0 - tail if first > second else tail


def stopping_point(
    labels: Sequence[int] | Int[np.ndarray, " n"], rule: AdaptiveRule
) -> StoppingPoint:
    """Where the rule stops, going through samples in the order they were drawn.

    A sample without a valid answer is a vote of its own: it never leads, but one valid
    and one invalid sample are 1 to 1. Of tied answers that which came first leads.

    Args:
        labels: the set of each sample, -1 for no valid answer; `Answers.labels`.
        rule: when to stop.

    Raises:
        InvalidInput: no samples.

    Example:
        >>> found = stopping_point([0, 0, 1, 0, 0, 0, 0], AdaptiveRule())
        >>> found.used, found.leader, round(found.lead_confidence, 4), found.reason
        (7, 0, 0.9648, 'lead')
    """
    if not len(labels):
        raise InvalidInput("no samples: there is nothing to stop")
    votes: dict[int, int] = {}
    used, invalid = 0, False
    first = second = 0
    for label in map(int, labels[: rule.most]):
        used += 1
        if label == INVALID:
            invalid = True
        else:
            votes[label] = votes.get(label, 0) + 1
        first, second = _leading_two(votes, invalid=invalid)
        if rule.stops(first, second, drawn=used):
            reason: Reason = "lead"
            break
    else:
        reason = "most" if used == rule.most else "ended"
    sure = lead_confidence(max(first, second), second)
    return StoppingPoint(used, _leader(votes), sure, reason)


def adaptive_answers(
    questions: Sequence[Answers],
    rule: AdaptiveRule,
    *,
    cluster: Sequence[str] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> AdaptiveAnswers:
    """What the rule would have saved on samples that are there, and what it changes.

    Args:
        questions: each with at least one sample, in the order they were drawn (sorted
            ones say nothing); those after the rule's most are not looked at, as if
            they had not been drawn.
        rule: when to stop.
        cluster: of each question, what was drawn together; None: independent. How many
            leaders change is then told as of so many questions as there are clusters.
        level, resamples, seed: of the intervals.

    Raises:
        InvalidInput: no questions, clusters of others.

    Example:
        >>> from nescio.consistency.answers import answers_of
        >>> found = adaptive_answers([answers_of(["12"] * 20)], AdaptiveRule(most=20))
        >>> found.used.tolist(), found.leaders, found.saved.value, found.changed.value
        ([4], ('12',), 0.8, 0.0)
    """
    if not questions:
        raise InvalidInput("no questions: there is nothing to stop")
    if cluster is not None and len(cluster) != len(questions):
        raise InvalidInput(f"{len(cluster)} clusters for {len(questions)} questions")
    stops = tuple(stopping_point(answers.labels, rule) for answers in questions)
    used = np.array([stop.used for stop in stops], dtype=np.int64)
    there = np.array([min(len(answers), rule.most) for answers in questions])
    others = [
        stop.leader != _leader(_votes(answers.labels[: rule.most].tolist()))
        for stop, answers in zip(stops, questions, strict=True)
    ]
    leaders = tuple(
        None if stop.leader is None else answers.keys[stop.leader]
        for stop, answers in zip(stops, questions, strict=True)
    )
    how: dict[str, Any] = {"settings": rule.settings}
    how |= {"cluster": cluster, "level": level}
    saved = saved_share(used, there, **how, resamples=resamples, seed=seed)
    changed = changed_share(sum(others), len(used), **how)
    return AdaptiveAnswers(rule, stops, used, leaders, saved, changed)


def fewest_more(labels: Sequence[int], rule: AdaptiveRule) -> int:
    """The fewest further samples after which the rule may stop; 0: it has.

    Args:
        labels: of the samples so far, in the order they were drawn; there may be none.
        rule: when to stop.

    Example:
        >>> fewest_more([], AdaptiveRule()), fewest_more([0, 0, 1], AdaptiveRule())
        (4, 4)
    """
    drawn = len(labels)
    if drawn >= rule.most or (drawn and stopping_point(labels, rule).reason != "ended"):
        return 0
    first, second = _leading_two(_votes(labels), invalid=INVALID in labels)
    for more in range(1, rule.most - drawn):
        if rule.stops(first + more, second, drawn=drawn + more):
            return more
    return rule.most - drawn


def _votes(labels: Sequence[int]) -> dict[int, int]:
    """The votes of each set, in the order in which they appear."""
    return Counter(label for label in labels if label != INVALID)


def _leading_two(votes: dict[int, int], *, invalid: bool) -> tuple[int, int]:
    first = second = 0
    for count in votes.values():
        if count > first:
            first, second = count, first
        elif count > second:
            second = count
    return first, max(second, int(invalid))


def _leader(votes: dict[int, int]) -> int | None:
    """Of equal ones that which appeared first: dicts keep that order."""
    return max(votes, key=votes.__getitem__) if votes else None


@lru_cache(maxsize=64)
def _needed(confidence: float, most: int) -> tuple[int, ...]:
    """For each number of second votes the fewest first ones that suffice."""
    found, first = [], 0
    for second in range(most // 2 + 1):
        first = max(first, second + 1)
        while first + second <= most and lead_confidence(first, second) < confidence:
            first += 1
        if first + second > most:
            break
        found.append(first)
    return tuple(found)
