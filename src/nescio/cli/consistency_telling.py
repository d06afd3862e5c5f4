"""What is known of questions as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nescio.units import convert_factor

if TYPE_CHECKING:
    from nescio.calibration.risk_coverage import RiskCoverage
    from nescio.cli.consistency_running import Found
    from nescio.consistency.divergence import Divergence
    from nescio.evaluation.consistency_found import (
        MeasureFound,
        QuestionFound,
        QuestionsFound,
        RiskBand,
    )
    from nescio.evaluation.consistency_risk import LeastRisks
    from nescio.outcome import Estimate

__all__ = ["question_told", "questions_told", "told"]


def told(found: Found, unit: str) -> dict[str, Any]:
    """The object that ``--json`` prints, of one question or of all.

    Args:
        found: what is shown.
        unit: of information, ``bits`` or ``nats``.
    """
    beside: dict[str, Any] = {
        "source": found.source,
        "settings": found.settings or {},
    }
    if found.verdicts:
        beside["verdicts"] = {
            name: [vars(verdict) for verdict in log]
            for name, log in found.verdicts.items()
        }
    if found.one is not None:
        value = question_told(found.one, unit)
        beside["notes"] = [*found.notes, *found.one.notes]
        if found.risk is not None:
            beside["least_expected_loss"] = _risk_of_one(found.risk)
        return value | _plain(beside)
    if found.all is None:
        return _plain(beside)
    beside["notes"] = [*found.notes, *found.all.notes]
    return questions_told(found.all, unit, risk=found.risk) | _plain(beside)


def question_told(found: QuestionFound, unit: str) -> dict[str, Any]:
    """One question: estimates, counts, its samples as items, its sets as groups.

    Example:
        >>> from nescio.consistency.answers import answers_of
        >>> from nescio.evaluation.consistency_survey import Asked, survey_question
        >>> how = Asked(measures=("agreement",))
        >>> one = survey_question(answers_of(["a", "a"]), how)
        >>> question_told(one, "bits")["items"][0]
        {'text': 'a', 'set': 0}
    """
    from nescio.report import estimates_json
    from nescio.report.compare_numbers import in_unit

    answers = found.answers
    estimates = in_unit(found.estimates, unit)
    if found.probability is not None:
        estimates = {**estimates, "probability_right": found.probability}
    counts = {
        "samples": len(answers),
        "sets": len(answers.keys),
        "invalid": answers.invalid,
    }
    items = [
        {"text": text, "set": label}
        for text, label in zip(answers.texts, answers.labels.tolist(), strict=True)
    ]
    groups = {
        str(one.label): {
            "estimates": {"answer_share": one.share},
            "counts": {"votes": one.votes},
            "representative": one.representative,
            "right": one.right,
        }
        for one in found.sets
    }
    leader = answers.leader
    beside = {
        "id": answers.id,
        "prompt": answers.question,
        "answer": None if leader is None else answers.keys[leader],
        "right": found.right,
        "gold": list(found.gold),
        "similarities": {
            name: one.full.round(6) for name, one in found.similarities.items()
        },
        "triples": None
        if found.triples is None
        else {
            "broken": found.triples.broken,
            "linked": found.triples.linked,
            "total": found.triples.total,
        },
        "divergence": None
        if found.divergence is None
        else _divergence(found.divergence, unit),
        "stop": None if found.stop is None else vars(found.stop),
    }
    return estimates_json(estimates, counts, items, groups) | _plain(beside)


def questions_told(
    found: QuestionsFound, unit: str, *, risk: LeastRisks | None = None
) -> dict[str, Any]:
    """A set of questions: means, counts, a question an item, groups, every measure."""
    from nescio.report import estimates_json
    from nescio.report.compare_numbers import in_unit

    estimates: dict[str, Estimate] = dict(in_unit(found.means, unit))
    if found.accuracy is not None:
        estimates["accuracy"] = found.accuracy
    if found.adaptive is not None:
        estimates["samples_saved"] = found.adaptive.saved
        estimates["leader_changed"] = found.adaptive.changed
    if found.saved is not None:
        estimates["samples_saved"] = found.saved
    if risk is not None and risk.accuracy is not None and risk.difference is not None:
        estimates["least_expected_loss_accuracy"] = risk.accuracy
        estimates["least_expected_loss_gain"] = risk.difference
    groups = {
        name: {"estimates": one, "counts": {"questions": one[found.reference].n}}
        for name, one in found.groups.items()
    }
    beside = {
        "reference": found.reference,
        "measures": {name: _measure(one, unit) for name, one in found.measures.items()},
        "calibrated": None
        if found.calibrated is None
        else {
            side: in_unit(getattr(found.calibrated, side), unit)
            for side in ("before", "after", "differences")
        },
        "curves": {
            "samples": [
                {"samples": one.samples, "estimates": one.estimates}
                for one in found.curve
            ],
            "votes": [
                {"votes": one.votes, "questions": one.questions, "right": one.accuracy}
                for one in found.votes
            ],
        },
        "details": {
            name: question_told(one, unit) for name, one in found.details.items()
        },
        "stops": {name: vars(stop) for name, stop in found.stops.items()},
    }
    counted = _counts(found)
    items = _items(found, unit, risk)
    return estimates_json(estimates, counted, items, groups) | _plain(beside)


def _counts(found: QuestionsFound) -> dict[str, int]:
    counts = {
        "questions": len(found.questions),
        "samples": sum(map(len, found.questions)),
        "invalid": sum(one.invalid for one in found.questions),
        "all_invalid": sum(one.leader is None for one in found.questions),
        "tied": int((found.leaders.tied > 1).sum()),
    }
    if found.right is not None:
        counts["right"] = int(found.right.sum())
    return counts


def _items(
    found: QuestionsFound, unit: str, risk: LeastRisks | None
) -> list[dict[str, Any]]:
    columns = {
        name: (column * _factor(found.means[name], unit)).tolist()
        for name, column in found.columns.items()
    }
    items = []
    for place, answers in enumerate(found.questions):
        item: dict[str, Any] = {
            "id": answers.id,
            "answer": found.leaders.keys[place],
            "votes": int(found.leaders.votes[place]),
            "tied": int(found.leaders.tied[place]),
            "samples": len(answers),
            "invalid": answers.invalid,
            "right": None if found.right is None else bool(found.right[place]),
            "measures": {name: column[place] for name, column in columns.items()},
        }
        if found.probabilities is not None:
            item["probability_right"] = float(found.probabilities[place])
        if found.adaptive is not None:
            item["stops_after"] = int(found.adaptive.used[place])
        least = None if risk is None else risk.found[place]
        if risk is not None:
            item["least_expected_loss"] = None if least is None else least.text
        items.append(item)
    return items


def _factor(estimate: Estimate, unit: str) -> float:
    information = "nats" in estimate.unit
    return convert_factor("nats", to=unit) if information else 1.0


def _measure(found: MeasureFound, unit: str) -> dict[str, Any]:
    from nescio.report.calibration_numbers import bins_told
    from nescio.report.compare_numbers import in_unit

    return {
        "rises_with": found.rises_with,
        "estimates": in_unit(found.estimates, unit),
        "auroc_difference": found.difference,
        "reliability": None if found.diagram is None else bins_told(found.diagram),
        "risk_coverage": None
        if found.coverage is None
        else _coverage(found.coverage, found.band),
    }


def _coverage(found: RiskCoverage, band: RiskBand | None) -> dict[str, Any]:
    told = {"coverage": found.coverage, "risk": found.risk, "value": found.confidence}
    if band is None:
        return told
    return {**told, "low": band.low, "high": band.high, "level": band.level}


def _divergence(found: Divergence, unit: str) -> dict[str, Any]:
    factor = convert_factor("nats", to=unit)
    return {
        "unit": found.unit,
        "steps_in_all": found.shown,
        "steps": [
            {
                "text": step.text,
                "samples": step.samples,
                "branches": dict(step.branches),
                "entropy": step.entropy.to(unit),
                "model_entropy": None
                if step.model_entropy is None
                else step.model_entropy * factor,
            }
            for step in found.steps
        ],
    }


def _risk_of_one(found: LeastRisks) -> dict[str, Any] | None:
    one = found.found[0]
    if one is None:
        return None
    return {
        "loss": found.loss,
        "text": one.text,
        "expected_loss": one.expected_loss,
        "tied": list(one.tied),
    }


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Estimates, arrays and mappings in any depth as JSON values."""
    from nescio.report import estimates_json

    return estimates_json({}, {}, groups=value)["groups"]
