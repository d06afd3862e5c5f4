"""Nine tasks with options, and how many are asked, for learned_calibrators.py."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from _calibration_tasks import detokenised, sampled, whole_sentences
from _calibration_telling import SEED, data_folder

from nescio.evaluation import (
    Question,
    Task,
    arithmetic,
    capitals,
    last_words,
    read_task,
    with_examples,
)
from nescio.evaluation.extraction import extraction

EXAMPLES = 2
OPTIONS = 4
FAMILIES = {
    "one-digit sums": "sums",
    "two-digit sums": "sums",
    "capitals": "capitals",
    "last words": "last words",
    "dates": "dates",
    "plausible sports": "yes or no",
    "strategy questions": "yes or no",
    "word problems, one step": "word problems",
    "word problems, several steps": "word problems",
}
"""What is much alike is never fitted on for the other."""
Wrong = Callable[[Question, random.Random], Sequence[str]]


@dataclass(frozen=True)
class Size:
    """How much is run."""

    questions: int
    steps: int
    block_steps: int
    resamples: int


FULL = Size(questions=200, steps=2000, block_steps=500, resamples=1000)
QUICK = Size(questions=20, steps=60, block_steps=30, resamples=200)


def tasks(size: Size) -> tuple[Task, ...]:
    """Every task with two examples, each of its questions with options."""
    folder = data_folder()
    sets = folder / "question_sets"
    prose = (folder / "text" / "wikitext-2.valid.txt").read_text("utf-8")
    plain = "\n".join(detokenised(whole_sentences(line)) for line in prose.split("\n"))
    enough = size.questions + 8 * EXAMPLES
    one, two = (arithmetic(enough, digits=digits, seed=SEED) for digits in (1, 2))
    words = last_words(plain, enough, words=(12, 40), seed=SEED)
    dates = read_task(
        sets / "DATE.jsonl", kind="date", story=extraction(r"regex:^(.*?)What is")
    )
    sport = read_task(
        sets / "SPORT.jsonl",
        kind="yes-no",
        framing='Is the following sentence plausible? "{question}"',
    )
    strategy = read_task(sets / "STRATEGYQA.jsonl", kind="yes-no")
    svamp, several = (
        read_task(sets / f"{name}.jsonl", kind="number")
        for name in ("SVAMP", "MULTIARITH")
    )
    cities = capitals(seed=SEED)
    made: Mapping[str, tuple[Task, Wrong]] = {
        "one-digit sums": (one, near_numbers),
        "two-digit sums": (two, near_numbers),
        "capitals": (cities, partial(others, golds(cities))),
        "last words": (words, partial(others, golds(words))),
        "dates": (sampled(dates, enough), partial(others, golds(dates))),
        "plausible sports": (sampled(sport, enough), yes_or_no),
        "strategy questions": (sampled(strategy, enough), yes_or_no),
        "word problems, one step": (sampled(svamp, enough), near_numbers),
        "word problems, several steps": (sampled(several, enough), near_numbers),
    }
    return tuple(
        _asked(replace(with_options(task, wrong), name=name), size)
        for name, (task, wrong) in made.items()
    )


def _asked(task: Task, size: Size) -> Task:
    shown = with_examples(task, EXAMPLES, seed=SEED)
    return replace(shown, questions=shown.questions[: size.questions])


def with_options(task: Task, wrong: Wrong) -> Task:
    """The right answer among wrong ones, in random order; yes before no."""
    draw = random.Random(SEED)

    def widened(question: Question) -> Question:
        right = question.gold[0]
        options = [right, *wrong(question, draw)]
        draw.shuffle(options)
        if set(options) == {"yes", "no"}:
            options = ["yes", "no"]
        return replace(question, gold=(right,), options=tuple(options))

    settings: dict[str, Any] = {"options": OPTIONS, "options_seed": SEED}
    return replace(
        task,
        questions=tuple(map(widened, task.questions)),
        provenance=task.provenance | settings,
    )


def golds(task: Task) -> list[str]:
    return sorted({question.gold[0] for question in task.questions})


def others(among: Sequence[str], question: Question, draw: random.Random) -> list[str]:
    """Right answers of other questions."""
    return draw.sample([o for o in among if o not in question.gold], OPTIONS - 1)


def near_numbers(question: Question, draw: random.Random) -> list[str]:
    """Numbers near the right one."""
    right = float(question.gold[0].replace(",", ""))
    whole = [right + step for step in (-10, -2, -1, 1, 2, 10)]
    near = {f"{number:.12g}" for number in whole if number >= 0} - {question.gold[0]}
    return draw.sample(sorted(near), OPTIONS - 1)


def yes_or_no(question: Question, _: random.Random) -> list[str]:
    """The other of the two."""
    return ["no" if question.gold[0] == "yes" else "yes"]
