"""Are typical answers the right ones? Probability and quality on sets of questions.

smollm2 and gemma3-270m answered each question of three tasks 20 times at temperature 1
(the samples of consistency.py; what is missing is drawn). I(y) = -log p(y) of an answer
is held against H, the mean over the other answers to the question, and both |I(y) - H|
and p(y) against whether the answer is right. Writes ``results/quality_runs.json`` and
``docs/drift-quality.svg``.

    python experiments/quality.py [--quick] [--samples FOLDER] [--out FILE]
        [--figure FILE]

The reference data are beside the checkout (``shared/data``) or where ``NESCIO_DATA``
says.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from _calibration_telling import PROJECT, SEED, all_told, told, write
from _consistency_sampling import Asked, Sampler, candidates
from consistency import (
    MODELS,
    PRECISION,
    QUESTIONS,
    QUICK_QUESTIONS,
    QUICK_SAMPLES,
    QUICK_TRIED,
    SAMPLES,
    TRIED,
    say,
)

import nescio
from nescio.drift.curves import Limits, Named, resampled_number
from nescio.drift.quality import probability_quality, typicality
from nescio.evaluation.generated import judged
from nescio.evaluation.replies import Reply
from nescio.plot.colours import LINES
from nescio.plot.curve import Curve, curve_chart
from nescio.plot.panel import straight_axis
from nescio.trace import Prompt, Sample, Samples

RESULT = "quality_runs.json"
TASKS = ("arithmetic", "last words", "sport")
BINS = (-np.inf, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0, np.inf)
"""Of I(y) - H, nats: below 0 stand the answers more probable than is typical."""
SHOWN = 8
"""The figure goes so far to either side."""


def samples_of(replies: Sequence[Reply], model: str) -> Samples:
    """The answers to one question, with the probability that they end where they do."""
    answers = (
        Sample(
            reply.text,
            model,
            draw=number,
            total_logp=min(0.0, sum(reply.logp) + (reply.closing or 0.0)),
            token_count=len(reply.logp),
        )
        for number, reply in enumerate(replies)
    )
    return Samples(Prompt.of("question"), tuple(answers))


def rights(asked: Asked) -> list[list[int]]:
    """Whether each answer to each question is right."""
    draws = [
        judged(asked.task, [replies[number] for replies in asked.samples])
        for number in range(len(asked.samples[0]))
    ]
    return [
        [int(draw.answers[place].correct) for draw in draws]
        for place in range(len(asked.samples))
    ]


def binned(questions: Sequence[Samples], right: np.ndarray) -> list[dict[str, Any]]:
    """The share of right answers by I(y) - H, questions resampled."""
    apart = np.array(
        [[one.information - one.entropy for one in typicality(q)] for q in questions]
    )
    found = []
    for low, high in pairwise(BINS):
        inside = (apart >= low) & (apart < high)
        if not inside.any():
            continue
        columns = np.stack([(inside * right).sum(axis=1), inside.sum(axis=1)], axis=1)
        share = resampled_number(
            columns.astype(np.float64),
            lambda means: means[..., 0] / means[..., 1],
            named=Named("share_right", "1", "questions like these"),
            limits=Limits(seed=SEED),
        )
        middle = float(np.median(apart[inside]))
        count = int(inside.sum())
        found.append({"apart": middle, "answers": count, "right": told(share)})
    return found


def told_of(asked: Asked, model: str) -> dict[str, Any]:
    """Everything about one task."""
    if not asked.samples:
        return {"left out": "too easy or too hard", "trials": dict(asked.trials)}
    questions = [samples_of(replies, model) for replies in asked.samples]
    ratings = rights(asked)
    found = probability_quality(questions, ratings=ratings, resamples=1000, seed=SEED)
    cut = [reply.closing is None for replies in asked.samples for reply in replies]
    for name in ("rating_by_typicality_within", "rating_by_probability_within"):
        if name in found:
            say(f"    {found[name]}")
    return {
        "questions": len(questions),
        "answers": len(cut),
        "share right": float(np.mean(ratings)),
        "share cut off": float(np.mean(cut)),
        "longest": asked.decoding.max_tokens,
        "estimates": all_told(found),
        "by distance": binned(questions, np.array(ratings)),
    }


def figure(found: Mapping[str, Any], path: Path) -> None:
    """The share of right answers by how far from typical, a curve a task and model."""
    curves = []
    for dashed, (model, tasks) in enumerate(found.items()):
        for place, (task, one) in enumerate(tasks.items()):
            if "by distance" not in one:
                continue
            rows = one["by distance"]
            x = np.array([row["apart"] for row in rows])
            y, low, high = (
                np.array([row["right"][end] for row in rows], dtype=np.float64)
                for end in ("value", "low", "high")
            )
            curves.append(
                Curve(
                    f"{task}, {model}",
                    x,
                    y,
                    low,
                    high,
                    colour=LINES[place],
                    dashed=bool(dashed),
                    dots=True,
                )
            )
    if not curves:
        return
    svg = curve_chart(
        curves,
        x=straight_axis("I(y) − H, nats: 0 is typical", -SHOWN, SHOWN),
        y="share right",
        size=(720, 400),
    )
    path.write_text(svg + "\n", encoding="utf-8")


def main() -> None:
    """Read the options, run, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument(
        "--samples", type=Path, default=PROJECT / "build" / "consistency_runs"
    )
    parser.add_argument("--out", type=Path, default=PROJECT / "results" / RESULT)
    parser.add_argument(
        "--figure", type=Path, default=PROJECT / "docs" / "drift-quality.svg"
    )
    given = parser.parse_args()
    n, tried = (QUICK_SAMPLES, QUICK_TRIED) if given.quick else (SAMPLES, TRIED)
    tasks = candidates(QUICK_QUESTIONS if given.quick else QUESTIONS)
    found: dict[str, Any] = {}
    origins = {}
    for name in MODELS[:1] if given.quick else MODELS:
        model = nescio.load(f"{name},precision={PRECISION}")
        sampler = Sampler(name, model, n, given.samples, say)
        origins[name], found[name] = model.origin.to_dict(), {}
        for task in TASKS:
            say(f"  {name}, {task}")
            one = sampler.asked(task, tasks[task], tried=tried)
            found[name][task] = told_of(one, name)
    given.figure.parent.mkdir(parents=True, exist_ok=True)
    figure(found, given.figure)
    write(
        given.out,
        found,
        origins=origins,
        precision=PRECISION,
        samples=n,
        bins=[float(edge) for edge in BINS[1:-1]],
        seed=SEED,
    )


if __name__ == "__main__":
    main()
