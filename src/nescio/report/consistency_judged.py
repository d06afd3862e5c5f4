"""How well measures tell right answers from wrong ones: tables, diagrams, means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nescio.evaluation.consistency_found import MeasureFound, QuestionsFound
from nescio.outcome import Estimate
from nescio.plot.multiples import reliability_multiples
from nescio.report.calibration_html import Table, number_text, table_html
from nescio.report.calibration_numbers import drawn_bins
from nescio.report.calibration_text import p_text
from nescio.report.compare_numbers import in_unit
from nescio.report.consistency_texts import called, short
from nescio.report.estimates_html import estimates_table, safe
from nescio.report.numbers import interval_text, kind_text, value_text

__all__ = [
    "by_ranking",
    "calibrated_section",
    "cell",
    "means_section",
    "measures_section",
    "reliability_section",
    "shown_estimates",
]

_DIAGRAMS, _SIDE = 24, 230
_ERROR, _BRIER, _AUROC = "expected_calibration_error", "brier_score", "auroc"
_HEADS = {
    _AUROC: "AUROC",
    _ERROR: "calibration error",
    _BRIER: "Brier score",
    "log_loss": "log loss",
    "area_under_risk_coverage": "share wrong, over all coverages",
}


def cell(estimate: Estimate | None) -> str:
    """Value and interval for a table; a dash where there is none.

    Example:
        >>> cell(None)
        '–'
    """
    if estimate is None:
        return "–"
    limits = interval_text(estimate)
    if limits == "–":
        return f"{value_text(estimate)} ({kind_text(estimate)})"
    return f"{value_text(estimate)} ({limits})"


def by_ranking(measures: Mapping[str, MeasureFound], *, reference: str) -> list[str]:
    """Names of measures: the reference, then the others by their AUROC, falling."""

    def ranks(name: str) -> tuple[bool, float, str]:
        estimate = measures[name].estimates.get(_AUROC)
        value = -1.0 if estimate is None or estimate.value is None else estimate.value
        return name != reference, -value, name

    return sorted(measures, key=ranks)


def measures_section(found: QuestionsFound, unit: str) -> str:
    """A row a measure, compared with the reference on the same questions."""
    if not found.measures:
        return ""
    names = by_ranking(found.measures, reference=found.reference)
    shown = [name for name in _HEADS if _anywhere(found, name)]
    reference = safe(called(found.reference))
    table = _measures_table(found, names, shown, unit)
    return f"""<section class="part">
<h2>Which measure knows what is right?</h2>
<p>For each measure how well it ranks right leading answers above wrong ones (AUROC; ½ \
is chance), how far that lies from {reference} on the same questions (paired), and, \
for those that are confidences, how far they are from probabilities. In brackets \
{safe(_levels(found))} intervals over questions; p-values are not corrected for the \
number of measures.</p>
{table_html(table)}
</section>"""


def reliability_section(found: QuestionsFound) -> str:
    """Little reliability diagrams of the confidences, side by side."""
    names = [
        name
        for name in by_ranking(found.measures, reference=found.reference)
        if found.measures[name].diagram is not None
    ]
    if not names:
        return ""
    diagrams = {name: found.measures[name].diagram for name in names[:_DIAGRAMS]}
    drawn = reliability_multiples(
        {called(name): drawn_bins(one) for name, one in diagrams.items() if one},
        side=_SIDE,
    )
    items = "".join(
        f"<li>{svg}<b>{safe(shown)}</b>{_error(found.measures[name])}</li>"
        for name, (shown, svg) in zip(diagrams, drawn.items(), strict=True)
    )
    level = next(100 * one.level for one in diagrams.values() if one)
    left = len(names) - len(diagrams)
    more = f" {left:,} more are not shown." if left else ""
    return f"""<section class="part groups">
<h2>Right as often as sure?</h2>
<p>For each confidence the share of right answers (up, 0 to 1) at each level of \
confidence (across, 0 to 1), with {level:g} % intervals. The shaded steps are where \
the dots of a calibrated confidence would lie.{more}</p>
<ul class="multiples wide">{items}</ul>
</section>"""


def calibrated_section(found: QuestionsFound, unit: str) -> str:
    """The reference measure before and after a calibrator, cross-validated."""
    judged = found.calibrated
    if judged is None:
        return ""
    before, after, change = (
        in_unit(part, unit)
        for part in (judged.before, judged.after, judged.differences)
    )
    rows = []
    for name, one in before.items():
        difference = change.get(name)
        p_value = None if difference is None else difference.p_value
        p = "–" if p_value is None else p_text(p_value)
        rows.append(
            (called(name), cell(one), cell(after.get(name)), cell(difference), p)
        )
        if one.null_level is not None:
            nulls = (one.null_level, after[name].null_level if name in after else None)
            chance = (f"{number_text(null, 3)} (expected)" for null in nulls)
            rows.append((f"{called(name)}, if calibrated", *chance, "–", "–"))
    heads = ("measure", "before", "after", "difference", "p")
    return f"""<section class="part">
<h2>Can it be made a probability?</h2>
<p>The {safe(called(found.reference))} as it is, and turned into a probability by a \
calibrator that was fitted on other questions (cross-validated), on the same \
questions. A difference below 0 is better, but for AUROC.</p>
{table_html(Table(heads, rows, named=True))}
</section>"""


def means_section(found: QuestionsFound, unit: str) -> str:
    """The mean of every measure over the questions."""
    means = _means(found, unit)
    if not means:
        return ""
    return (
        '<section class="part"><h2>Means over the questions</h2>'
        f"{estimates_table(means)}</section>"
    )


def shown_estimates(found: QuestionsFound, unit: str) -> Mapping[str, Estimate]:
    """Every estimate on the page, by what it is called in its recipes."""
    every = dict(_means(found, unit))
    for name, measure in found.measures.items():
        every |= {f"{one} of {name}": e for one, e in measure.estimates.items()}
        if measure.difference is not None:
            every[f"auroc of {name} less that of {found.reference}"] = (
                measure.difference
            )
    if found.calibrated is not None:
        every |= {f"{k} before": e for k, e in found.calibrated.before.items()}
        every |= {f"{k} after": e for k, e in found.calibrated.after.items()}
        every |= {f"{k} difference": e for k, e in found.calibrated.differences.items()}
    for point in found.curve:
        words = f"at {point.samples} samples"
        every |= {f"{name} {words}": e for name, e in point.estimates.items()}
    every |= {f"accuracy at {one.votes} votes": one.accuracy for one in found.votes}
    if found.adaptive is not None:
        every["samples saved"] = found.adaptive.saved
        every["leading answers changed"] = found.adaptive.changed
    for group, estimates in found.groups.items():
        every |= {f"{name} of {group}": one for name, one in estimates.items()}
    return in_unit({short(name): one for name, one in every.items()}, unit)


def _means(found: QuestionsFound, unit: str) -> Mapping[str, Estimate]:
    first = {} if found.accuracy is None else {"accuracy": found.accuracy}
    return in_unit({**first, **found.means}, unit)


def _anywhere(found: QuestionsFound, name: str) -> bool:
    return any(name in one.estimates for one in found.measures.values())


def _levels(found: QuestionsFound) -> str:
    kinds = (
        kind_text(one)
        for measure in found.measures.values()
        for one in measure.estimates.values()
    )
    return next((kind for kind in kinds if kind != "no interval"), "")


def _measures_table(
    found: QuestionsFound, names: list[str], shown: list[str], unit: str
) -> Table:
    heads = ["measure", "is a"]
    for name in shown:
        heads.append(_HEADS[name] + (f", {unit}" if name == "log_loss" else ""))
        if name == _AUROC:
            heads += [f"less that of {called(found.reference, 40)}", "p"]
        if name == _ERROR:
            heads += ["if calibrated", "p"]
    rows = [tuple(_row(name, found.measures[name], shown, unit)) for name in names]
    return Table(tuple(heads), rows, named=True)


def _row(
    name: str, measure: MeasureFound, shown: list[str], unit: str
) -> Iterator[str]:
    yield called(name)
    yield measure.rises_with
    estimates = in_unit(measure.estimates, unit)
    for what in shown:
        one = estimates.get(what)
        yield cell(one)
        if what == _AUROC:
            yield cell(measure.difference)
            yield _p(measure.difference)
        if what == _ERROR:
            yield "–" if one is None else number_text(one.null_level, 3)
            yield _p(one)


def _p(estimate: Estimate | None) -> str:
    if estimate is None or estimate.p_value is None:
        return "–"
    return p_text(estimate.p_value)


def _error(measure: MeasureFound) -> str:
    error = measure.estimates.get(_ERROR)
    if error is None:
        return ""
    null = number_text(error.null_level, 2)
    return f"<small>error {safe(cell(error))}; {null} if calibrated</small>"
