"""All that is told of a model's tasks, and the mean over them of what is compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from _calibration_telling import LIMITS, in_table
from _consistency_compared import CLIP, MAIN, Compared, compared_of, comparisons
from _consistency_fewer import adaptive_told, by_number
from _consistency_measures import all_brief, calibrated, columns_of, compared, judged
from _consistency_sampling import Asked

from nescio import Estimate
from nescio.calibration.means import accuracy
from nescio.calibration.paired import paired_difference
from nescio.calibration.ranking import auroc
from nescio.calibration.reliability import reliability_diagram
from nescio.outcome import Recipe


def task_told(one: Compared) -> dict[str, Any]:
    """All numbers of one task."""
    clip = 0.5 / len(one.questions[0])
    rows = {"agreement": one.own, "share of the greedy answer": one.share, **one.greedy}
    table = {}
    for name, outcomes in rows.items():
        after = calibrated(outcomes, CLIP if name in one.greedy else clip)
        table[name] = {
            "accuracy": all_brief({"accuracy": accuracy(outcomes, **LIMITS)}),
            "before": all_brief(judged(outcomes)),
            "calibrated": all_brief(judged(after)),
            "calibrated less before": all_brief(
                compared(after, outcomes, "brier_score", "log_loss")
            ),
        }
    found: dict[str, Any] = {}
    for judged_on, name, differences in comparisons(one):
        found.setdefault(judged_on, {})[name] = all_brief(differences)
    change = paired_difference("accuracy", one.own, one.greedy[MAIN], **LIMITS)
    return {
        "confidences": table,
        "agreement less the greedy answer's probability": found,
        "leading answer less greedy answer": all_brief({"accuracy": change}),
        "leading answer is the greedy one": float(one.same.mean()),
        "samples without an answer": sum(q.invalid for q in one.questions),
        "auroc of every measure": every_auroc(one),
        "reliability of agreement": reliability_diagram(one.own, **LIMITS).to_dict(),
        "by number of samples": by_number(one),
        "adaptive": adaptive_told(one),
    }


def every_auroc(one: Compared) -> dict[str, Any]:
    """How well each measure ranks right leading answers above wrong ones."""
    columns, _ = columns_of(one.questions)
    rows = {
        name: replace(one.own, confidence=column.values)
        for name, column in columns.items()
    }
    return in_table({name: auroc(some, **LIMITS) for name, some in rows.items()})


def mean_over_tasks(name: str, estimates: Mapping[str, Estimate]) -> Estimate:
    """The mean of differences on different questions; these tasks, other questions."""
    values = [one.value for one in estimates.values()]
    reach = [
        (one.high - one.low) / 2
        for one in estimates.values()
        if one.low is not None and one.high is not None
    ]
    if len(reach) < len(values) or None in values:
        raise ValueError(f"{name}: a difference without an interval")
    value = float(np.mean([v for v in values if v is not None]))
    half = float(np.sqrt(np.sum(np.square(reach)))) / len(reach)
    settings = {
        "tasks": list(estimates),
        "interval": "root of the sum of the squares of the tasks' half widths, over "
        "their number",
    }
    return Estimate(
        name,
        value,
        next(iter(estimates.values())).unit,
        sum(one.n for one in estimates.values()),
        "confidence",
        "other questions of these tasks",
        Recipe("mean_over_tasks", settings),
        low=value - half,
        high=value + half,
        level=0.95,
    )


def told_of(found: Mapping[str, Asked], say: Callable[[str], None]) -> dict[str, Any]:
    """All tasks of one model, and the mean of what is compared over its tasks."""
    result: dict[str, Any] = {}
    kept: dict[str, dict[str, dict[str, Estimate]]] = {}
    tests = 0
    for name, asked in found.items():
        trials = {str(count): right for count, right in asked.trials.items()}
        result[name] = {"trials": trials, "chosen": asked.greedy is not None}
        if asked.greedy is None:
            continue
        one = compared_of(asked.task, asked.greedy, asked.samples)
        result[name] |= {
            "questions": len(one.questions),
            "recipe": dict(asked.greedy.settings),
            **task_told(one),
            "examples": examples(asked),
        }
        for judged_on, which, differences in comparisons(one):
            tests += len(differences)
            if which == MAIN:
                for measure, value in differences.items():
                    kept.setdefault(judged_on, {}).setdefault(measure, {})[name] = value
        say(f"  {name}: done")
    overall = {
        judged_on: all_brief(
            {m: mean_over_tasks(m, by_task) for m, by_task in measures.items()}
        )
        for judged_on, measures in kept.items()
    }
    return {"by task": result, "mean over tasks": overall, "tests": tests}


def examples(asked: Asked) -> list[dict[str, Any]]:
    """The first questions, with what was said."""
    if asked.greedy is None:
        return []
    return [
        {
            "question": answer.question.text,
            "gold": answer.question.gold[0],
            "greedy": answer.reply.text,
            "samples": [reply.text for reply in replies[:5]],
        }
        for answer, replies in zip(
            asked.greedy.answers[:2], asked.samples[:2], strict=True
        )
    ]


def panels_of(result: Mapping[str, Any]) -> dict[str, list[tuple[str, Any]]]:
    """What the figure shows: the three differences, a line a model and task."""
    titles = {
        "auroc": "AUROC",
        "brier_score, calibrated": "Brier score, calibrated",
        "log_loss, calibrated": "log loss, calibrated",
    }
    panels: dict[str, list[tuple[str, Any]]] = {}
    for measure, title in titles.items():
        for model, one in result.items():
            for name, task in one["tasks"]["by task"].items():
                if not task["chosen"]:
                    continue
                differences = task["agreement less the greedy answer's probability"]
                for judged_on, by_name in differences.items():
                    if measure not in by_name[MAIN]:
                        continue
                    if "mean of both" in judged_on:
                        continue
                    letter = "own" if judged_on.startswith("each") else "greedy"
                    panels.setdefault(title, []).append(
                        (f"{model}, {name} ({letter})", by_name[MAIN][measure])
                    )
    return panels
