"""Fewer samples: the curve by their number, the bias of agreement, stopping early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from _calibration_telling import LIMITS, SEED, in_table
from _consistency_compared import MAIN, Compared, share_of
from _consistency_measures import all_brief, compared, cut

from nescio import Outcomes
from nescio.calibration.measuring import How
from nescio.calibration.paired import paired_difference
from nescio.consistency.adaptive import AdaptiveRule, adaptive_answers
from nescio.consistency.answers import Answers
from nescio.evaluation.sample_curve import sample_curve

RULE = 0.95
REDRAWS = 200


def by_number(one: Compared) -> list[dict[str, Any]]:
    """Fewer samples: accuracy, agreement, the bias of agreement, and its AUROC.

    The subsets of a question count once; questions of one cluster are taken to be
    independent in these intervals, unlike in all others.
    """
    how = How(resamples=LIMITS["resamples"], seed=SEED)
    found = []
    for point in sample_curve(one.questions, one.gold, how=how):
        simulated, bias = simulated_bias(one.questions, point.samples)
        first = first_samples(one, point.samples)
        less = compared(first, one.greedy[MAIN], "auroc")
        found.append(
            {
                "samples": point.samples,
                "subsets": point.subsamples,
                "estimates": in_table(point.estimates),
                "agreement simulated": simulated,
                "bias simulated": bias,
                "of the first samples, less sequence": all_brief(less),
            }
        )
    return found


def first_samples(one: Compared, count: int) -> Outcomes:
    """Agreement of the first samples of each question, on their leading answer."""
    parts = [cut(answers, count) for answers in one.questions]
    leaders = [None if q.leader is None else q.keys[q.leader] for q in parts]
    sure = [share_of(q, key) for q, key in zip(parts, leaders, strict=True)]
    right = [key == gold for key, gold in zip(leaders, one.gold, strict=True)]
    return replace(
        one.own, confidence=np.array(sure), correct=np.array(right, dtype=np.bool_)
    )


def simulated_bias(
    questions: Sequence[Answers], count: int, *, redraws: int = REDRAWS
) -> tuple[float, float]:
    """Mean v1/n of so many samples drawn from the shares seen, and less max share.

    A source with the shares that were seen in all samples: its largest share is known,
    so how far v1/n lies above it is too. An invalid sample is a vote of its own.
    """
    rng = np.random.default_rng(SEED)
    drawn, largest = [], []
    for answers in questions:
        votes = np.append(answers.votes, answers.invalid)
        redrawn = rng.multinomial(count, votes / votes.sum(), size=redraws)
        valid = redrawn[:, :-1].max(axis=1, initial=0)
        own = (redrawn[:, -1] > 0) & (redrawn[:, -1] < count)
        drawn.append(float(np.maximum(valid, own).mean()) / count)
        largest.append(float(votes[:-1].max(initial=0)) / len(answers))
    return float(np.mean(drawn)), float(np.mean(drawn) - np.mean(largest))


def adaptive_told(one: Compared) -> dict[str, Any]:
    """Stopping early against all samples, and against as many for every question."""
    most = len(one.questions[0])
    rule = AdaptiveRule(confidence=RULE, most=most)
    stopped = adaptive_answers(one.questions, rule, **LIMITS)
    right = np.array(
        [key == gold for key, gold in zip(stopped.leaders, one.gold, strict=True)]
    )
    early = replace(one.own, correct=right)
    fixed = max(2, round(float(stopped.used.mean())))
    same_cost = first_samples(one, fixed)
    return {
        "rule": rule.settings,
        "mean samples": float(stopped.used.mean()),
        "fixed": fixed,
        "estimates": all_brief(
            {
                "samples_saved": stopped.saved,
                "leader_changed": stopped.changed,
                "accuracy less that of all": paired_difference(
                    "accuracy", early, one.own, **LIMITS
                ),
                "accuracy less that of as many for each": paired_difference(
                    "accuracy", early, same_cost, **LIMITS
                ),
            }
        ),
    }
