"""What calibrators do on a task that they were not fitted on: one task left out.

Every task is held out once; calibrators are fitted on the others, of which those of the
same family (two kinds of sums, two kinds of word problems) are left out too, and judged
on its questions. Beside them stand no calibration at all, one temperature fitted on the
others' questions together, and, as what could be had with labels, a temperature fitted
on the task itself, by cross-validation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.calibration import temperature
from nescio.calibration.cross_validation import folds_of
from nescio.calibration.error import expected_calibration_error
from nescio.calibration.measuring import How, Measured, estimated, units_of
from nescio.calibration.paired import paired_difference
from nescio.calibration.scoring import (
    brier_score,
    interval_of_losses,
    log_loss,
    log_losses,
    squared_errors,
)
from nescio.calibration.swapping import swapped_p_value
from nescio.errors import InvalidInput, NescioError
from nescio.evaluation.answer_states import AnswerStates
from nescio.evaluation.learned_temperature import MOST_INVERSE, cooled_by
from nescio.evaluation.parts import part_of
from nescio.outcome import Estimate, Outcomes, Predictions, Recipe
from nescio.uncertainty import MINIMUM_UNITS, bootstrap_clusters

__all__ = [
    "BASELINES",
    "FitTasks",
    "OnUnseenTask",
    "mean_over_tasks",
    "pooled_temperature",
    "unseen_tasks",
]

FitTasks = Callable[[Sequence[AnswerStates]], Any]
"""Tasks to a fitted calibrator, whose ``apply`` takes `AnswerStates`."""

BASELINES = ("none", "temperature")
"""What differences are taken to."""

_ORACLE = "temperature of the task"
_FOLDS = 5
_PAIRED = ("Efron & Tibshirani (1993), chapters 8 and 16",)
_LOSSES: Mapping[str, tuple[Callable[[Predictions], np.ndarray], str]] = {
    "log_loss": (log_losses, "nats"),
    "brier_score": (squared_errors, "1"),
}


@dataclass(frozen=True)
class OnUnseenTask:
    """One line of the table: a calibrator on a task that was held out.

    Args:
        task: held out.
        family: of the task.
        calibrator: its name; ``"none"``, ``"temperature"`` (of the other tasks),
            ``"temperature of the task"`` (of its own labels, cross-validated), or one
            that was given.
        fitted_on: the tasks it was fitted on.
        estimates: ``expected_calibration_error`` of the top answers with its null
            level, ``log_loss`` and ``brier_score`` of the whole distributions.
        differences: by baseline, this less the baseline of the same three, on the same
            questions; negative is better. Of two infinite log losses there is none.
        mean_inverse_temperature: β, averaged over the questions; None where there is
            none.
    """

    task: str
    family: str
    calibrator: str
    fitted_on: tuple[str, ...]
    estimates: Mapping[str, Estimate]
    differences: Mapping[str, Mapping[str, Estimate]]
    mean_inverse_temperature: float | None


@dataclass(frozen=True)
class _Applied:
    """A calibrator's answers to the held-out task."""

    name: str
    fitted_on: tuple[str, ...]
    predictions: Predictions
    inverse: float | None


def unseen_tasks(
    tasks: Sequence[AnswerStates],
    calibrators: Mapping[str, FitTasks],
    *,
    families: Mapping[str, str] | None = None,
    bins: int = 15,
    how: How | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[OnUnseenTask, ...]:
    """Hold out every task once, fit on the others, judge on it.

    Args:
        tasks: at least two, of one model, each by its own name.
        calibrators: by name: functions of the other tasks that give something with
            ``apply``, such as ``nescio.evaluation.thermometer.fit``.
        families: of tasks, by name; none of the held-out task's own is fitted on.
            None: each task is a family.
        bins: of equal width, for the calibration error.
        how: level, resamples and seed of the intervals.
        progress: called with the task that is done.

    Raises:
        InvalidInput: fewer than two families, names that stand twice; a fit that is
            refused, with the names of calibrator and task.
    """
    how = how or How()
    known = _families(tasks, families)
    clash = {"none", "temperature", _ORACLE} & set(calibrators)
    if clash:
        raise InvalidInput(f"{min(clash)!r} is the name of a baseline")
    found: list[OnUnseenTask] = []
    for target in tasks:
        others = [t for t in tasks if known[t.task] != known[target.task]]
        applied = _baselines(target, others, how.seed)
        applied += [_applied(n, fit, target, others) for n, fit in calibrators.items()]
        found += _lines(target, known[target.task], applied, bins=bins, how=how)
        if progress is not None:
            progress(target.task)
    return tuple(found)


def pooled_temperature(tasks: Sequence[AnswerStates]) -> temperature.Temperature:
    """One temperature fitted on the questions of all tasks together.

    Example:
        >>> from nescio.trace import Origin
        >>> origin = Origin("made", "digest", "digest", "none", "f32").to_dict()
        >>> rows = Predictions.of([[1.0, 0.0]] * 4, [0, 0, 0, 1], "logit")
        >>> states, names = np.ones((4, 2), dtype=np.float32), tuple("abcd")
        >>> one = AnswerStates("one", rows, states, origin, ids=names)
        >>> round(1 / pooled_temperature([one]).temperature, 4)    # log 3
        1.0986
    """
    parts = [task.predictions for task in tasks]
    widths = np.concatenate([np.diff(part.offsets) for part in parts])
    together = Predictions(
        np.concatenate([part.scores.astype(np.float64) for part in parts]),
        np.concatenate([[0], np.cumsum(widths)]),
        np.concatenate([part.labels for part in parts]),
        parts[0].scale,
    )
    names = [f"{t.task}: {unit}" for t in tasks for unit in t.cluster or t.ids]
    return temperature.fit(together, cluster=names)


def mean_over_tasks(
    lines: Sequence[OnUnseenTask],
    calibrator: str,
    *,
    baseline: str = "temperature",
    measure: str = "log_loss",
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The mean over tasks of a difference, with an interval for other tasks like these.

    Families of tasks are resampled, and every task counts alike.

    Args:
        lines: of `unseen_tasks`.
        calibrator: whose.
        baseline: ``"temperature"`` or ``"none"``.
        measure: ``"log_loss"``, ``"brier_score"`` or ``"expected_calibration_error"``.
        level, seed: of the interval.

    Raises:
        InvalidInput: there is no such difference in the lines.
    """
    own = [line for line in lines if line.calibrator == calibrator]
    known = [line.differences.get(baseline, {}).get(measure) for line in own]
    pairs = [
        (line.family, one.value)
        for line, one in zip(own, known, strict=True)
        if one is not None and one.value is not None and np.isfinite(one.value)
    ]
    if not pairs:
        raise InvalidInput(
            f"no differences of {measure!r:.40} between {calibrator!r:.40} and "
            f"{baseline!r:.40} in these lines"
        )
    names, values = [pair[0] for pair in pairs], np.array([[pair[1]] for pair in pairs])
    settings: dict[str, Any] = {"measure": measure, "of": calibrator}
    settings |= {"less": baseline, "tasks": [line.task for line in own]}
    limits, units = {}, len(set(names))
    population = "families of tasks like these"
    if units < MINIMUM_UNITS:
        population += f"; no interval: {units} families, fewer than {MINIMUM_UNITS}"
    else:
        found = bootstrap_clusters(values, clusters=names, level=level, seed=seed)
        limits = {"low": found.low, "high": found.high, "level": level}
        settings |= dict(found.settings)
    return Estimate(
        f"mean_{measure}_difference",
        float(values.mean()),
        "nats" if measure == "log_loss" else "1",
        len(values),
        "confidence",
        population,
        Recipe("mean_over_tasks", settings, _PAIRED),
        n_clusters=units,
        **limits,
    )


def _families(
    tasks: Sequence[AnswerStates], families: Mapping[str, str] | None
) -> dict[str, str]:
    names = [task.task for task in tasks]
    if len(set(names)) < len(names):
        raise InvalidInput(f"tasks of the same name: {names}")
    missing = [name for name in names if families is not None and name not in families]
    if missing:
        raise InvalidInput(f"no family is named for {missing[0]!r:.60}")
    known = {name: name if families is None else families[name] for name in names}
    if len(set(known.values())) < 2:
        raise InvalidInput(
            f"{len(set(known.values()))} families of tasks: at least 2 are needed, one "
            "to hold out and one to fit on"
        )
    return known


def _baselines(
    target: AnswerStates, others: Sequence[AnswerStates], seed: int
) -> list[_Applied]:
    """As it is; one temperature of the others; the task's own, cross-validated."""
    data, fitted = target.predictions, pooled_temperature(others)
    inverse = np.full(len(target), _inverse(fitted))
    names = tuple(task.task for task in others)
    found = [
        _Applied("none", (), data, 1.0),
        _Applied("temperature", names, cooled_by(data, inverse), float(inverse[0])),
    ]
    outcomes = target.outcomes()
    folds = min(_FOLDS, units_of(outcomes))
    if folds < 2:
        return found
    fold = folds_of(outcomes, folds, seed)
    for number in range(folds):
        kept = part_of(data, np.flatnonzero(fold != number))
        inverse[fold == number] = _inverse(temperature.fit(kept))
    own = _Applied(
        _ORACLE, (target.task,), cooled_by(data, inverse), float(inverse.mean())
    )
    return [*found, own]


def _inverse(fitted: temperature.Temperature) -> float:
    """1/T, at the bounds the farthest number that can be reckoned with."""
    return min(MOST_INVERSE, 1.0 / max(fitted.temperature, 1.0 / MOST_INVERSE))


def _applied(
    name: str, fit: FitTasks, target: AnswerStates, others: Sequence[AnswerStates]
) -> _Applied:
    try:
        fitted = fit(others)
    except NescioError as error:
        raise type(error)(f"{name}, without {target.task}: {error}") from error
    inverse = getattr(fitted, "inverse_temperatures", None)
    mean = None if inverse is None else float(inverse(target).mean())
    names = tuple(task.task for task in others)
    return _Applied(name, names, fitted.apply(target), mean)


def _lines(
    target: AnswerStates,
    family: str,
    applied: Sequence[_Applied],
    *,
    bins: int,
    how: How,
) -> list[OnUnseenTask]:
    """Everything that was applied to one task, judged."""
    by_name = {one.name: one for one in applied}
    found = []
    for one in applied:
        baselines = [by_name[name] for name in BASELINES if name != one.name]
        differences = {
            base.name: _differences(target, one, base, bins=bins, how=how)
            for base in baselines
        }
        estimates = _estimates(target, one.predictions, bins, how)
        line = (target.task, family, one.name, one.fitted_on)
        found.append(OnUnseenTask(*line, estimates, differences, one.inverse))
    return found


def _estimates(
    target: AnswerStates, data: Predictions, bins: int, how: How
) -> dict[str, Estimate]:
    outcomes, limits = target.outcomes(data), _limits(how)
    losses: dict[str, Any] = {**limits, "cluster": target.cluster}
    return {
        "expected_calibration_error": expected_calibration_error(
            outcomes, bins=bins, **limits
        ),
        "log_loss": log_loss(data, **losses),
        "brier_score": brier_score(data, **losses),
    }


def _differences(
    target: AnswerStates, one: _Applied, base: _Applied, *, bins: int, how: How
) -> dict[str, Estimate]:
    """One calibrator less another, on the same questions."""
    first, second = (target.outcomes(side.predictions) for side in (one, base))
    error = partial(expected_calibration_error, bins=bins)
    found = {
        "expected_calibration_error": paired_difference(
            error, first, second, **_limits(how)
        )
    }
    for name, (losses, unit) in _LOSSES.items():
        columns = losses(one.predictions), losses(base.predictions)
        if all(np.isfinite(column).all() for column in columns):
            gap = columns[0] - columns[1]
            found[name] = _mean_gap(name, unit, gap, outcomes=first, how=how)
    return found


def _mean_gap(
    measure: str,
    unit: str,
    gap: Float[np.ndarray, " n"],
    *,
    outcomes: Outcomes,
    how: How,
) -> Estimate:
    """The mean of differences row by row, and the test that swaps within rows."""
    settings = {"measure": measure, "form": "multiclass", "swaps": how.resamples}
    settings |= {"test": "swapping the two within items", "swap_seed": how.seed}
    measured = Measured(
        "paired_difference", float(gap.mean()), settings, _PAIRED, unit, least=-np.inf
    )
    found = interval_of_losses(gap, outcomes, how)
    p_value = swapped_p_value(gap, outcomes, how)
    return estimated(measured, outcomes, found, p_value=p_value)


def _limits(how: How) -> dict[str, Any]:
    return {"level": how.level, "resamples": how.resamples, "seed": how.seed}
