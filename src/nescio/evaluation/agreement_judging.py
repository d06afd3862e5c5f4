"""What turning agreement into a probability does to questions it was not fitted on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from nescio.calibration.cross_validation import cross_validated
from nescio.calibration.error import expected_calibration_error
from nescio.calibration.measuring import How
from nescio.calibration.ranking import auroc
from nescio.calibration.scoring import brier_score, log_loss
from nescio.errors import InvalidInput
from nescio.evaluation.agreement_probability import AgreementCalibrator, kind_of
from nescio.evaluation.meter import Meter
from nescio.evaluation.transfer import alignment_differences
from nescio.outcome import Estimate, Outcomes

__all__ = ["Judged", "cross_judged", "judged"]


@dataclass(frozen=True)
class Judged:
    """What calibration does to questions that it was not fitted on.

    Args:
        before, after: ``expected_calibration_error`` (with its null level),
            ``brier_score``, ``log_loss``, and ``auroc`` unless all are right or wrong.
        differences: after less before on the same questions, paired; negative is
            better, but for ``auroc``.
    """

    before: Mapping[str, Estimate]
    after: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]


def judged(
    calibrator: AgreementCalibrator,
    outcomes: Outcomes,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Judged:
    """What a calibrator does to other questions with gold.

    Args:
        calibrator: fitted on none of them.
        outcomes: their `Meter.outcomes`.
        level, resamples, seed: of the intervals.
    """
    how = How(level, resamples, seed)
    return _judged(outcomes, calibrator.apply(outcomes), how)


def cross_judged(  # noqa: PLR0913 - what is fitted to what, and the intervals
    meter: Meter,
    outcomes: Outcomes,
    *,
    recalibrator: str = "beta",
    folds: int = 5,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Judged:
    """The same by cross-validation: each question by a fit to the others' folds.

    Args:
        meter, outcomes, recalibrator: as for `fit_calibrator`.
        folds: how many; what shares a cluster stays together.
        level, resamples: of the intervals.
        seed: of the deal and the resamples.

    Raises:
        InvalidInput, NotEnoughData: as `fit_calibrator` and `cross_validated`.
    """
    kind = kind_of(recalibrator)
    fit = partial(kind.module.fit, **kind.options(meter.samples))
    family = _Family(fit, recalibrator)
    after = cross_validated(family, outcomes, folds=folds, seed=seed).data
    if not isinstance(after, Outcomes):
        raise InvalidInput("the recalibrator gave no outcomes")
    return _judged(outcomes, after, How(level, resamples, seed))


@dataclass(frozen=True)
class _Family:
    """A recalibrator with its options, as `cross_validated` wants it."""

    fit: Callable[..., Any]
    __name__: str


def _judged(before: Outcomes, after: Outcomes, how: How) -> Judged:
    if before.ids is None:
        ids = tuple(map(str, range(len(before))))
        before, after = replace(before, ids=ids), replace(after, ids=ids)
    limits = {"level": how.level, "resamples": how.resamples, "seed": how.seed}
    differences = alignment_differences(before, after, **limits)
    sides = [_measures(side, limits) for side in (before, after)]
    kept = {name: one for name, one in differences.items() if name in sides[0]}
    return Judged(sides[0], sides[1], kept)


def _measures(outcomes: Outcomes, limits: Mapping[str, Any]) -> dict[str, Estimate]:
    found = {
        "expected_calibration_error": expected_calibration_error(outcomes, **limits),
        "brier_score": brier_score(outcomes, **limits),
        "log_loss": log_loss(outcomes, **limits),
    }
    if 0 < outcomes.correct.sum() < len(outcomes):
        found["auroc"] = auroc(outcomes, level=limits["level"])
    return found
