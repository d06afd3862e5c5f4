"""The two means that calibration compares: how often right, how sure."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from nescio.calibration.influence import weights_of
from nescio.calibration.measuring import How, Measured, estimated, interval_of_means
from nescio.calibration.recalibration import only_outcomes
from nescio.calibration.shares import share_interval
from nescio.outcome import Estimate, Outcomes
from nescio.uncertainty import ratio_of_means

__all__ = ["accuracy", "mean_confidence"]


def accuracy(
    outcomes: Outcomes,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """The share of answers that are right, in [0, 1]; weights count.

    Wilson's interval, for the number of independent answers that would know the share
    as well where there are clusters or weights. It has a width where all are right.

    Args:
        outcomes: answers.
        level: of the interval.
        resamples, seed: nothing is resampled; they are checked as elsewhere.

    Example:
        >>> accuracy(Outcomes.of([0.9, 0.6], [1, 0])).value
        0.5

    Source: Wilson (1927); Korn & Graubard (1998) and Dean & Pagano (2015) for the
    effective number.
    """
    how = How(level, resamples, seed)
    right = only_outcomes(outcomes, "accuracy").correct.astype(float)
    measured = _measured("accuracy", right, outcomes)
    return estimated(measured, outcomes, share_interval(right, outcomes, how))


def mean_confidence(
    outcomes: Outcomes,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """The mean of the confidences, in [0, 1]; weights count.

    Args:
        outcomes: answers.
        level, resamples, seed: of the interval.

    Example:
        >>> mean_confidence(Outcomes.of([0.9, 0.6], [1, 0])).value
        0.75
    """
    how = How(level, resamples, seed)
    stated = only_outcomes(outcomes, "mean_confidence").confidence
    weight = weights_of(outcomes)
    columns = np.stack([stated * weight, weight], axis=1)
    return estimated(
        _measured("mean_confidence", stated, outcomes),
        outcomes,
        interval_of_means(columns, ratio_of_means, outcomes, how),
    )


def _measured(name: str, column: Float[np.ndarray, " n"], rows: Outcomes) -> Measured:
    weight = weights_of(rows)
    value = float((column * weight).sum() / weight.sum())
    return Measured(name, value, {"weighted": rows.weight is not None}, most=1.0)
