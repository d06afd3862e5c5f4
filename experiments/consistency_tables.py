"""What agreement is worth on answers that others published: three sets, every measure.

- ``zeroeval``: answers of 44 models to GSM8K; the ten weakest stand for ten samples.
- ``openai_gsm``: four systems' answers to GSM8K.
- ``conformal_llm_mmlu``: LLaMA-13B under ten prompts, 2,886 questions of MMLU. The
  model is drawn to the same option whatever the prompt: its agreement is no confidence.

Accuracy by votes, every measure that votes and texts allow (AUROC; Brier score, log
loss and ECE with its null level; before and after cross-validated calibration; paired
with agreement), fewer samples, stopping early, and what a calibrator fitted on one set
says of another. Writes ``results/consistency_tables.json`` and
``docs/consistency-tables.svg``.

    python experiments/consistency_tables.py [--out FILE] [--figure FILE]

The reference data are beside the checkout (``shared/data``) or where ``NESCIO_DATA``
says.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
from _calibration_telling import LIMITS, PROJECT, SEED, data_folder, told, write
from _consistency_figures import reliability_figure
from _consistency_measures import (
    FIRST,
    all_brief,
    columns_of,
    compared,
    cut,
    judged,
    measured,
    rows_of,
)

from nescio import Outcomes
from nescio.calibration.bins import UniqueValues
from nescio.calibration.error import expected_calibration_error
from nescio.calibration.measuring import How
from nescio.calibration.paired import paired_difference
from nescio.calibration.reliability import reliability_diagram
from nescio.consistency.adaptive import AdaptiveRule, adaptive_answers
from nescio.consistency.answers import INVALID, Answers, answers_of
from nescio.evaluation.agreement_probability import fit_calibrator
from nescio.evaluation.meter import Meter
from nescio.evaluation.sample_curve import accuracy_by_votes, sample_curve

WEAKEST, AMONG, TENS = 10, 14, 10


@dataclass(frozen=True, eq=False)
class Table:
    """A set: questions with as many answers each, and what is right.

    Args:
        questions: sorted into sets, in the order of the columns.
        gold: the key of the right answer.
        answers: as they stand in the file, [question][column].
        columns: who gave them.
    """

    questions: list[Answers]
    gold: list[str]
    answers: list[list[str]]
    columns: tuple[str, ...]


def sorted_table(
    answers: Sequence[Sequence[str]], gold: Sequence[str], columns: Sequence[str]
) -> Table:
    rows = [list(row) for row in answers]
    questions = [answers_of(row, id=str(place)) for place, row in enumerate(rows)]
    return Table(questions, list(gold), rows, tuple(columns))


def zeroeval(folder: Path) -> tuple[Table, list[dict[str, str]]]:
    """The ten models that are least often right, the least first; and the file."""
    rows = _rows(folder / "zeroeval" / "gsm8k_answers_by_model.csv")
    models = [name for name in rows[0] if name not in ("id", "gold")]
    right = {m: sum(row[m] == row["gold"] for row in rows) for m in models}
    weakest = sorted(models, key=right.__getitem__)[:WEAKEST]
    gold = [answers_of([row["gold"]]).keys[0] for row in rows]
    return sorted_table(
        [[row[m] for m in weakest] for row in rows], gold, weakest
    ), rows


def openai_gsm(folder: Path) -> Table:
    """Four systems, in the order of the file's columns; right is what it says is."""
    rows = _rows(folder / "openai_gsm" / "gsm8k_4solutions.csv")
    columns = [name for name in rows[0] if name.endswith("_answer")]
    gold = []
    for row in rows:
        said = [
            answers_of([row[name]]).keys
            for name in columns
            if row[name.replace("_answer", "_correct")] == "1"
        ]
        gold.append(said[0][0] if said and said[0] else "no right answer")
    answers = [[row[name] for name in columns] for row in rows]
    return sorted_table(answers, gold, [c.removesuffix("_answer") for c in columns])


def mmlu_prompts(folder: Path) -> tuple[Table, Outcomes, list[str]]:
    """Ten prompts' top options; the mean of their probabilities; the subjects."""
    file = folder / "conformal_llm_mmlu" / "llama13b_mmlu16_10prompts.npz"
    answers, gold, subjects, means = [], [], [], []
    with np.load(file) as table:
        for name in sorted(key for key in table.files if key.endswith("__scores")):
            scores = table[name]
            targets = table[name.replace("__scores", "__targets")].astype(int)
            answers += [["abcd"[i] for i in row] for row in scores.argmax(2).T.tolist()]
            gold += ["abcd"[i] for i in targets.tolist()]
            subjects += [name.removesuffix("__scores")] * len(targets)
            means.append(scores.mean(axis=0))
    mean = np.concatenate(means)
    correct = mean.argmax(axis=1) == ["abcd".index(key) for key in gold]
    ids = list(map(str, range(len(gold))))
    sure = Outcomes.of(np.clip(mean.max(axis=1), 0, 1), correct, ids=ids)
    prompts = [f"prompt {number}" for number in range(10)]
    return sorted_table(answers, gold, prompts), sure, subjects


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def set_told(table: Table) -> dict[str, Any]:
    """Everything of one set."""
    questions, gold = table.questions, table.gold
    columns, refused = columns_of(questions)
    rows = rows_of(questions, gold, columns[FIRST].values)
    curve = sample_curve(questions, gold, how=How(resamples=LIMITS["resamples"]))
    return {
        "columns": list(table.columns),
        "questions": len(questions),
        "invalid samples": sum(q.invalid for q in questions),
        "accuracy by votes": [
            {"votes": r.votes, "questions": r.questions, "accuracy": told(r.accuracy)}
            for r in accuracy_by_votes(questions, gold)
        ],
        "accuracy by votes, ties at random": random_ties(questions, gold),
        "measures": measured(questions, gold, columns),
        "refused": refused,
        "reliability of agreement": reliability_diagram(
            rows, bins=UniqueValues(), **LIMITS
        ).to_dict(),
        "by number of samples": [
            {"samples": point.samples, "estimates": all_brief(point.estimates)}
            for point in curve
        ],
        "adaptive": adaptive_told(table),
    }


def random_ties(
    questions: Sequence[Answers], gold: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Accuracy by votes where one of the tied answers is taken at random: its mean."""
    found: dict[int, list[float]] = {}
    for answers, key in zip(questions, gold, strict=True):
        votes = int(answers.votes.max()) if len(answers.keys) else 0
        leaders = [
            answers.keys[place] for place in np.flatnonzero(answers.votes == votes)
        ]
        chance = leaders.count(key) / len(leaders) if leaders else 0.0
        found.setdefault(votes, []).append(chance)
    return {
        str(votes): {"questions": len(some), "accuracy": float(np.mean(some))}
        for votes, some in sorted(found.items())
    }


def adaptive_told(table: Table) -> dict[str, Any]:
    """Stopping early among the columns, each question's in an order of its own.

    Columns are other systems, so their order is shuffled: only then are they like
    samples that come one after another.
    """
    n, found = len(table.columns), {}
    rng = np.random.default_rng(SEED)
    shuffled = [
        answers_of([row[i] for i in rng.permutation(n)], id=str(place))
        for place, row in enumerate(table.answers)
    ]
    for confidence in (0.8, 0.9, 0.95):
        rule = AdaptiveRule(confidence=confidence, most=n)
        stopped = adaptive_answers(shuffled, rule, **LIMITS)
        parts = [
            cut(answers, used)
            for answers, used in zip(shuffled, stopped.used.tolist(), strict=True)
        ]
        early, late = (
            rows_of(some, table.gold, np.zeros(len(some))) for some in (parts, shuffled)
        )
        change = paired_difference("accuracy", early, late, **LIMITS)
        found[str(confidence)] = all_brief(
            {
                "samples_saved": stopped.saved,
                "leader_changed": stopped.changed,
                "accuracy less that of all": change,
            }
        )
    return found


def zeroeval_choices(rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """How much the share right at 2 votes of 10 depends on which ten models vote.

    Each time questions with 2 votes for the leader, and how many of them it has right.
    Of tied answers the one in the first column leads.
    """
    models = [name for name in rows[0] if name not in ("id", "gold")]
    right = {m: sum(row[m] == row["gold"] for row in rows) for m in models}
    order = sorted(models, key=right.__getitem__)
    few = [name for name in models if name in order[: WEAKEST + TENS - 1]]
    codes = coded(rows, ["gold", *few])
    same = equal_pairs(codes)

    def at_two(chosen: Sequence[str]) -> list[int]:
        return right_at(codes, same, [1 + few.index(name) for name in chosen], votes=2)

    def in_file(chosen: Sequence[str]) -> list[int]:
        return at_two(sorted(chosen, key=models.index))

    found: dict[str, Any] = {
        "the weakest, the weakest first": at_two(order[:WEAKEST]),
        "the weakest, as in the file": in_file(order[:WEAKEST]),
        "ten in a row by accuracy, as in the file": {
            f"{first + 1} to {first + WEAKEST}": in_file(order[first : first + WEAKEST])
            for first in range(TENS)
        },
    }
    counts = [in_file(chosen) for chosen in combinations(order[:AMONG], WEAKEST)]
    shares = np.array([hits / questions for questions, hits in counts])
    found[f"choices of {WEAKEST} among the {AMONG} weakest, as in the file"] = {
        "choices": len(shares),
        "least": float(shares.min()),
        "median": float(np.median(shares)),
        "most": float(shares.max()),
        "between .205 and .215": int(((shares >= 0.205) & (shares < 0.215)).sum()),
    }
    return found


def coded(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> np.ndarray:
    """Answers of each row as numbers, equal where they are the same; -1 for none."""
    texts = {row[name] for row in rows for name in columns}
    keys = {text: answers_of([text]).keys for text in texts}
    number = {key: place for place, key in enumerate(sorted({*keys.values()} - {()}))}
    return np.array(
        [[number.get(keys[row[name]], INVALID) for name in columns] for row in rows]
    )


def equal_pairs(codes: np.ndarray) -> np.ndarray:
    """Which columns of each row have the same answer, [rows, columns, columns]."""
    same = (codes[:, :, None] == codes[:, None, :]) & (codes[:, :, None] != INVALID)
    return same.astype(np.float32)


def right_at(
    codes: np.ndarray, same: np.ndarray, chosen: Sequence[int], *, votes: int
) -> list[int]:
    """Rows whose leader has so many of the chosen columns' votes; how many are right.

    The first column of all is gold; of tied answers that of the first chosen leads.
    """
    vote = np.zeros(codes.shape[1], dtype=np.float32)
    vote[list(chosen)] = 1.0
    count = (same @ vote)[:, list(chosen)]
    leader = codes[np.arange(len(codes)), np.array(chosen)[count.argmax(axis=1)]]
    there = count.max(axis=1) == votes
    return [int(there.sum()), int((leader[there] == codes[there, 0]).sum())]


def gsm_orders(table: Table) -> dict[str, Any]:
    """Accuracy at one vote, all four different, by which column leads such ties."""
    alone = [
        ([answers_of([said]).keys for said in row], key)
        for row, key, answers in zip(
            table.answers, table.gold, table.questions, strict=True
        )
        if len(answers.keys) and answers.votes.max() == 1
    ]
    found = {}
    for order in permutations(range(len(table.columns))):
        leaders = [next(filter(None, (keys[i] for i in order))) for keys, _ in alone]
        hits = sum(
            leader == (key,) for leader, (_, key) in zip(leaders, alone, strict=True)
        )
        found[" > ".join(table.columns[i] for i in order)] = hits / len(alone)
    by_first: dict[str, list[float]] = {}
    for order, share in found.items():
        by_first.setdefault(order.split(" > ")[0], []).append(share)
    return {
        "questions": len(alone),
        "order of the file": next(iter(found.values())),
        "least": min(found.values()),
        "most": max(found.values()),
        "by the first column": {
            name: [min(shares), max(shares)] for name, shares in by_first.items()
        },
    }


def prompts_told(
    table: Table, mean: Outcomes, subjects: Sequence[str], honest: Table
) -> dict[str, Any]:
    """Why agreement across prompts is no confidence, beside what is one."""
    meter = Meter.of(table.questions)
    agreed = rows_of(table.questions, table.gold, meter.confidences(table.questions))
    other = rows_of(honest.questions, honest.gold, meter.confidences(honest.questions))
    fitted = fit_calibrator(meter, other, seed=SEED)
    carried = fitted.apply(agreed)
    error = paired_difference(expected_calibration_error, agreed, mean, **LIMITS)
    by_subject = {}
    for subject in dict.fromkeys(subjects):
        places = [i for i, name in enumerate(subjects) if name == subject]
        part = Outcomes(agreed.confidence[places], agreed.correct[places])
        by_subject[subject] = {
            "questions": len(part),
            "agreement": float(part.confidence.mean()),
            "accuracy": float(part.correct.mean()),
        }
    letters = [q.keys[q.leader] for q in table.questions if q.leader is not None]
    return {
        "agreement": all_brief(judged(agreed)),
        "mean probability of the ten prompts": {
            "accuracy": float(mean.correct.mean()),
            **all_brief(judged(mean)),
        },
        "agreement less mean probability": all_brief(
            {
                **compared(agreed, mean, "auroc", "brier_score"),
                "expected_calibration_error": error,
            }
        ),
        "calibrator of zeroeval applied": all_brief(judged(carried)),
        "calibrator of zeroeval applied, less before": all_brief(
            compared(carried, agreed, "brier_score")
        ),
        "leading options": {x: letters.count(x) for x in "abcd"},
        "right options": {x: table.gold.count(x) for x in "abcd"},
        "by subject": by_subject,
    }


def run() -> dict[str, Any]:
    """All three sets."""
    folder = data_folder()
    weakest, rows = zeroeval(folder)
    systems = openai_gsm(folder)
    prompts, mean, subjects = mmlu_prompts(folder)
    found: dict[str, Any] = {}
    for name, table in (
        ("zeroeval", weakest),
        ("openai_gsm", systems),
        ("conformal_llm_mmlu", prompts),
    ):
        begin = time.perf_counter()
        found[name] = set_told(table)
        print(f"{name}: {time.perf_counter() - begin:.0f} s", flush=True)
    found["zeroeval"]["which ten"] = zeroeval_choices(rows)
    found["openai_gsm"]["order of columns"] = gsm_orders(systems)
    found["conformal_llm_mmlu"]["no confidence"] = prompts_told(
        prompts, mean, subjects, weakest
    )
    return found


def main() -> None:
    """Read the options, run, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--out", type=Path, default=PROJECT / "results" / "consistency_tables.json"
    )
    parser.add_argument(
        "--figure", type=Path, default=PROJECT / "docs" / "consistency-tables.svg"
    )
    given = parser.parse_args()
    found = run()
    write(given.out, found, seed=SEED, limits=LIMITS)
    reliability_figure(
        {name: one["reliability of agreement"] for name, one in found.items()},
        given.figure,
    )


if __name__ == "__main__":
    main()
