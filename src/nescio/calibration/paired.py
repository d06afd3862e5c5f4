"""Is one better than the other? Two sets of outcomes of the same items, compared.

Items that are hard for one model are mostly hard for the other: what differs is far
better known than each number alone. So the items (or their clusters) are resampled for
both together.

- Accuracy: Tango's score interval, which has a width also where no item differs, and
  the test that swaps the two within items.
- Brier score and log loss: Student's t of the differences after Hall's transformation,
  and the same test.
- Smooth measures of rank (AUROC and others): what each row contributes to one less what
  it contributes to the other, by Student's t; for AUROC this is DeLong's paired test.
- The ECE in bins of equal width: test inversion over the gaps of both (noise lifts an
  error that is near 0 and not one that is large, so it does not cancel), and the test
  of the bootstrap.
- Anything else, e.g. other calibration errors: both are computed anew on every
  resample, which takes its time; the limits are reflected, and the test is the
  bootstrap's. Reflection takes out part of what noise adds: where one of two errors is
  near 0, such limits lie too near to each other. Swapping would test something else: a
  mixture of an over- and an under-confident model is calibrated.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.calibration.influence import (
    JACKKNIFE,
    Deviation,
    Influence,
    cluster_of_rows,
    deviation_of,
    two_sided_p_value,
    weights_of,
    within_student,
)
from nescio.calibration.inversion import INVERSION
from nescio.calibration.measuring import (
    How,
    Measured,
    estimated,
    limits_of,
    units_of,
)
from nescio.calibration.paired_errors import binned_difference
from nescio.calibration.ranking import (
    RANKINGS,
    auprc_influence,
    auroc_deviation,
    auroc_influence,
    rejection_influence,
)
from nescio.calibration.recalibration import only_outcomes
from nescio.calibration.risk_coverage import area_influence, excess_area_influence
from nescio.calibration.scoring import (
    SCORES,
    counted,
    interval_of_losses,
    log_losses,
    mean_of_losses,
    squared_errors,
)
from nescio.calibration.selective import SELECTIVE
from nescio.calibration.shares import paired_share_interval
from nescio.calibration.swapping import swapped_p_value
from nescio.errors import InvalidInput, NotEnoughData
from nescio.outcome import Estimate, Outcomes
from nescio.uncertainty import MINIMUM_UNITS, Interval
from nescio.uncertainty.resampling import drawn_counts

__all__ = ["paired_difference"]

_PAIRED = ("Efron & Tibshirani (1993), chapters 8 and 16",)
_SWAPPED = ("Fisher (1935), randomisation of paired items",)
_DELONG = ("DeLong, DeLong & Clarke-Pearson (1988)",)
_COUNTS = 2**21  # held at once
_ROUNDING = 1e-12
_QUICK = {"level": 0.05, "resamples": 11}  # of a measure whose interval is not read
_ASKED = ("level", "resamples", "seed")


def _accuracies(outcomes: Outcomes) -> Float[np.ndarray, " n"]:
    return outcomes.correct.astype(np.float64)


_MEANS: dict[str, tuple[Callable[..., np.ndarray], str]] = {
    "accuracy": (_accuracies, "1"),
    "brier_score": (squared_errors, "1"),
    "log_loss": (log_losses, "nats"),
}
_SMOOTH: dict[str, Callable[..., Influence]] = {
    "auroc": auroc_influence,
    "auprc": auprc_influence,
    "prediction_rejection_ratio": rejection_influence,
    "area_under_risk_coverage": area_influence,
    "excess_area_under_risk_coverage": excess_area_influence,
}
_PUBLIC: dict[str, Callable[..., Estimate]] = {**SCORES, **RANKINGS, **SELECTIVE}


def paired_difference(
    measure: str | Callable[..., Any],
    first: Outcomes,
    second: Outcomes,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """The measure of ``first`` less that of ``second``, both on the same items.

    Two models, or one before and after recalibration. The p-value is two-sided, of
    "both have the same value".

    Args:
        measure: a name (``"accuracy"``, ``"brier_score"``, ``"log_loss"``, ``"auroc"``,
            ``"auprc"``, ``"prediction_rejection_ratio"``,
            ``"area_under_risk_coverage"`` or ``"excess_area_under_risk_coverage"``), or
            any function of outcomes that gives an Estimate or a number;
            ``functools.partial`` sets its options.
        first, second: outcomes in the same order of items; ids, clusters and weights,
            where both have them, have to be the same.
        level: the coverage the interval aims at.
        resamples: of the bootstrap, and of the swaps.
        seed: of both.

    Returns:
        Negative where ``first`` is lower. Both values are in the recipe.

    Raises:
        InvalidInput: items that are not the same, an unknown name, a difference of two
            infinities, a measure that gives no number.

    Example:
        >>> sure = Outcomes.of([0.99, 0.98, 0.97, 0.99, 0.98, 0.99], [1, 0, 1, 0, 1, 1])
        >>> wary = Outcomes.of([0.7, 0.6, 0.7, 0.6, 0.7, 0.7], [1, 0, 1, 0, 1, 1])
        >>> found = paired_difference("brier_score", sure, wary)
        >>> round(found.value, 4), round(found.p_value, 2)
        (0.1437, 0.5)

    Source: DeLong, DeLong & Clarke-Pearson (1988) for AUROC; Efron & Tibshirani (1993),
    chapters 8 and 16.
    """
    _check_same_items(first, second)
    how, asked = How(level, resamples, seed), _resolved(measure)
    if asked.name in _MEANS and asked.known:
        return _of_means(asked, first, second, how)
    if asked.name in _SMOOTH and asked.known:
        return _of_influences(asked, first, second, how)
    return _of_resamples(asked, first, second, how)


@dataclass(frozen=True)
class _Asked:
    """A measure: a function with its options; ``known`` if there is a shorter way."""

    name: str
    function: Callable[..., Any]
    options: dict[str, Any] = field(default_factory=dict)
    known: bool = False


def _resolved(measure: str | Callable[..., Any]) -> _Asked:
    if isinstance(measure, str):
        if measure == "accuracy":
            return _Asked(measure, _accuracies, known=True)
        if measure not in _PUBLIC:
            names = ", ".join(["accuracy", *_PUBLIC])
            raise InvalidInput(
                f"measure {measure!r} is none of {names}; pass the function itself"
            )
        return _Asked(measure, _PUBLIC[measure], known=True)
    function, options = measure, {}
    while isinstance(function, partial):
        if function.args:
            raise InvalidInput("set the options of a measure by name, not by place")
        options = {**function.keywords, **options}
        function = function.func
    options = {name: value for name, value in options.items() if name not in _ASKED}
    _check_options(function, options)
    name = getattr(function, "__name__", type(function).__name__)
    return _Asked(name, function, options, _PUBLIC.get(name) is function)


def _check_options(function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuse an option that a measure of nescio does not have for outcomes."""
    if _PUBLIC.get(getattr(function, "__name__", "")) is not function:
        return
    known = [*inspect.signature(function).parameters][1:]
    known = [name for name in known if name not in (*_ASKED, "cluster")]
    unknown = sorted({*options} - {*known})
    if unknown:
        raise InvalidInput(
            f"{function.__name__} has no option {unknown[0]!r} for outcomes: it has "
            f"{known or 'none'}"
        )


def _check_same_items(first: Outcomes, second: Outcomes) -> None:
    for side in (first, second):
        only_outcomes(side, "paired_difference")
    if len(first) != len(second):
        raise InvalidInput(
            f"{len(first)} and {len(second)} rows are not of the same items: give both "
            "of the items that both have"
        )
    for name in ("ids", "cluster"):
        one, other = getattr(first, name), getattr(second, name)
        if name == "cluster" and (one is None) != (other is None):
            raise InvalidInput("only one of the two has clusters: give both the same")
        if one is None or other is None or one == other:
            continue
        row = next(i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
        raise InvalidInput(
            f"{name}[{row}] is {one[row]!r} in the first and {other[row]!r} in the "
            "second: both have to be of the same items in the same order"
        )
    if not np.array_equal(weights_of(first), weights_of(second)):
        raise InvalidInput("the two have different weights; items weigh the same")


def _of_means(asked: _Asked, first: Outcomes, second: Outcomes, how: How) -> Estimate:
    rows, unit = _MEANS[asked.name]
    columns = [counted(rows(o, **asked.options), o) for o in (first, second)]
    values = [mean_of_losses(column, first) for column in columns]
    if math.isinf(values[0]) or math.isinf(values[1]):
        return _infinite(asked, values, first)
    gap = columns[0] - columns[1]
    limits = paired_share_interval if asked.name == "accuracy" else interval_of_losses
    found = limits(gap, first, how)
    p_value = swapped_p_value(gap * weights_of(first), first, how)
    test = {
        "test": "swapping the two within items",
        "swaps": how.resamples,
        "swap_seed": how.seed,
    }
    sources = (*_PAIRED, *_SWAPPED)
    measured = _measured(asked, values, test, sources=sources, unit=unit)
    return estimated(measured, first, found, p_value=p_value)


def _infinite(asked: _Asked, values: list[float], first: Outcomes) -> Estimate:
    if math.isinf(values[0]) and math.isinf(values[1]):
        raise InvalidInput(
            f"{asked.name} is infinite for both, so they have no difference; set clip="
        )
    which = "first" if math.isinf(values[0]) else "second"
    measured = _measured(asked, values, {}, unit=_MEANS[asked.name][1])
    return estimated(measured, first, f"{asked.name} of the {which} is infinite")


def _of_influences(
    asked: _Asked, first: Outcomes, second: Outcomes, how: How
) -> Estimate:
    one, other = (_SMOOTH[asked.name](o, **asked.options) for o in (first, second))
    rows = one.rows - other.rows
    deviation, settings = deviation_of(rows, first), {"error": JACKKNIFE[0]}
    sources = (*_PAIRED, *JACKKNIFE)
    if asked.name == "auroc" and np.array_equal(first.correct, second.correct):
        sources = (*_PAIRED, *_DELONG)
        settings = {"error": "DeLong, paired"}
        found = auroc_deviation(rows, first)
        if isinstance(found, str):
            measured = _measured(asked, [one.value, other.value], {}, sources=sources)
            return estimated(measured, first, found)
        deviation = found
    values = [one.value, other.value]
    measured = _measured(asked, values, {"test": "Student's t"}, sources=sources)
    if not np.abs(rows).max() > _ROUNDING and values[0] == values[1]:
        same = Interval(0.0, 0.0, how.level, len(first), None, settings)
        return estimated(measured, first, same, p_value=1.0)
    return _by_student(measured, deviation, first=first, how=how, settings=settings)


def _by_student(
    measured: Measured,
    deviation: Deviation,
    *,
    first: Outcomes,
    how: How,
    settings: dict[str, Any],
) -> Estimate:
    found = within_student(
        measured.value, deviation, first, how, scale="plain", settings=settings
    )
    if isinstance(found, str):
        return estimated(measured, first, found)
    p_value = two_sided_p_value(measured.value, deviation)
    return estimated(measured, first, found, p_value=p_value)


def _of_resamples(
    asked: _Asked, first: Outcomes, second: Outcomes, how: How
) -> Estimate:
    values = [_number(asked, one) for one in (first, second)]
    if math.isinf(values[0]) or math.isinf(values[1]):
        raise InvalidInput(
            f"{asked.name} is infinite ({values[0]} and {values[1]}): give a measure "
            "that is finite on both, e.g. with an option set by functools.partial"
        )
    units = units_of(first)
    if units < MINIMUM_UNITS:
        what = "rows" if first.cluster is None else "clusters"
        measured = _measured(asked, values, {})
        return estimated(measured, first, f"{units} {what}, fewer than {MINIMUM_UNITS}")
    gap, sources = values[0] - values[1], _PAIRED
    known = binned_difference((asked.function, asked.options), first, second, how)
    try:
        drawn = known[1] if known else _differences(asked, first, second, how)
    except NotEnoughData as error:
        measured = _measured(asked, values, {})
        return estimated(measured, first, f"not measurable on a resample: {error}")
    far = np.abs(drawn - gap) >= abs(gap) * (1.0 - _ROUNDING)
    p_value = (1.0 + float(far.sum())) / (how.resamples + 1.0)
    test = {"test": "bootstrap, centred on the difference"}
    found = limits_of(drawn, first, how, reflected_at=gap)
    if known:
        found, sources = known[0], (*_PAIRED, *INVERSION)
    measured = _measured(asked, values, test, sources=sources)
    return estimated(measured, first, found, p_value=p_value)


def _differences(
    asked: _Asked, first: Outcomes, second: Outcomes, how: How
) -> Float[np.ndarray, " resamples"]:
    """The difference on each resample of the items."""
    owner, units = cluster_of_rows(first)
    rng, place, values = np.random.default_rng(how.seed), np.arange(len(first)), []
    chunk = max(1, _COUNTS // units)
    for counts in drawn_counts(rng, units, how.resamples, chunk=chunk):
        for count in counts:
            rows = np.repeat(place, count[owner])
            one, other = (_number(asked, _drawn(o, rows)) for o in (first, second))
            values.append(one - other)
    return np.array(values)


def _drawn(outcomes: Outcomes, rows: np.ndarray) -> Outcomes:
    weight = None if outcomes.weight is None else outcomes.weight[rows]
    return Outcomes(outcomes.confidence[rows], outcomes.correct[rows], weight=weight)


def _number(asked: _Asked, outcomes: Outcomes) -> float:
    """The measure's value alone; the interval it would come with is not needed."""
    options = dict(asked.options)
    if "resamples" in inspect.signature(asked.function).parameters:
        options |= _QUICK
    found = asked.function(outcomes, **options)
    value = found.value if isinstance(found, Estimate) else found
    if not isinstance(value, int | float | np.number) or math.isnan(value):
        raise InvalidInput(f"{asked.name} gave {value!r:.60}, which is no number")
    return float(value)


def _measured(
    asked: _Asked,
    values: list[float],
    test: dict[str, Any],
    *,
    sources: tuple[str, ...] = _PAIRED,
    unit: str = "1",
) -> Measured:
    options = {name: _written(value) for name, value in asked.options.items()}
    settings = {"measure": asked.name, "options": options}
    settings |= {"first": _written(values[0]), "second": _written(values[1])} | test
    return Measured(
        "paired_difference",
        values[0] - values[1],
        settings,
        sources,
        unit,
        least=-math.inf,
    )


def _written(option: Any) -> Any:
    """An option as a JSON value."""
    if isinstance(option, float) and math.isinf(option):
        return "Infinity" if option > 0 else "-Infinity"
    if option is None or isinstance(option, bool | int | float | str):
        return option
    return getattr(option, "settings", None) or repr(option)
