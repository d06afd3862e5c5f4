"""Which questions a model is asked, and what it says: greedily, and in samples.

The questions of each task are dealt into three parts, whole clusters on one side: those
shown as examples, a few to find how many examples help and whether the task is neither
too easy nor too hard, and those that everything is told of. Nothing is chosen on the
last. Every reply is kept in a file as soon as it has ended.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from _calibration_tasks import detokenised, whole_sentences
from _calibration_telling import SEED, data_folder

from nescio import Decoding
from nescio.decoding import Detail, Draws, sample_stream
from nescio.evaluation import (
    Question,
    Task,
    arithmetic,
    asked,
    last_words,
    read_task,
)
from nescio.evaluation.extraction import extraction
from nescio.evaluation.generated import Generated, generated
from nescio.evaluation.journal import Journal, digest_of
from nescio.evaluation.replies import Reply, reply_of

RANGE = (0.2, 0.8)
SHOWN, TRIED = 8, 40
LINE = Decoding(max_tokens=12, stop=("\n",), detail=Detail(top=0), batch=40)
WORD = replace(LINE, max_tokens=6)
STEPS = replace(LINE, max_tokens=64)
WORKED = (
    (
        "Tom had 3 apples and bought 5 more. He gave 2 to Ann. How many has he now?",
        "He had 3 + 5 = 8 apples. He gave away 2, so 8 - 2 = 6. The answer is 6.",
    ),
    (
        "A box holds 6 pens. Mary has 4 boxes and 3 pens. How many pens does she have?",
        "The boxes hold 4 * 6 = 24 pens. In all 24 + 3 = 27. The answer is 27.",
    ),
    (
        "Of 40 birds in a tree 12 flew away. How many more stayed than flew away?",
        "There stayed 40 - 12 = 28 birds. That is 28 - 12 = 16 more. The answer is 16.",
    ),
    (
        "Sam shares 30 sweets among 5 friends. How many sweets does each get?",
        "Each friend gets 30 / 5 = 6 sweets. The answer is 6.",
    ),
)


@dataclass(frozen=True)
class Candidate:
    """A task that may be asked.

    Args:
        task: without examples, or with those it is always shown with.
        decoding: where answers end.
        shots: how many examples are tried.
        questions: how many are told of.
    """

    task: Task
    decoding: Decoding
    shots: tuple[int, ...]
    questions: int


@dataclass(frozen=True)
class Asked:
    """A task as one model was asked it.

    Args:
        task: its questions are those that are told of.
        trials: accuracy on the tried questions by number of examples.
        greedy: the greedy replies, judged; None: the task was not chosen.
        samples: of each question, in the order they were drawn.
        decoding: of both.
    """

    task: Task
    trials: dict[int, float]
    decoding: Decoding
    greedy: Generated | None = None
    samples: tuple[tuple[Reply, ...], ...] = ()


def candidates(questions: int) -> dict[str, Candidate]:
    """The tasks, those with short answers first."""
    folder = data_folder()
    sets = folder / "question_sets"
    prose = (folder / "text" / "wikitext-2.valid.txt").read_text("utf-8")
    plain = "\n".join(detokenised(whole_sentences(line)) for line in prose.split("\n"))
    sport = read_task(
        sets / "SPORT.jsonl",
        kind="yes-no",
        framing='Is the following sentence plausible? "{question}"',
    )
    dates = read_task(
        sets / "DATE.jsonl", kind="date", story=extraction("regex:^(.*)What is the da")
    )
    many, words = (
        read_task(sets / f"{name}.jsonl", kind="number")
        for name in ("MULTIARITH", "SVAMP")
    )
    two = arithmetic(1000, digits=2, operations=("+", "-"), seed=SEED)
    return {
        "arithmetic": Candidate(arithmetic(seed=SEED), LINE, (1, 4, 8), questions),
        "two-digit sums": Candidate(two, LINE, (1, 4, 8), questions),
        "last words": Candidate(
            last_words(plain, words=(12, 40), seed=SEED), WORD, (0,), questions
        ),
        "sport": Candidate(sport, LINE, (1, 4, 8), questions),
        "dates": Candidate(dates, LINE, (4, 8), questions),
        "SVAMP": Candidate(words, LINE, (4, 8), questions),
        "MultiArith in steps": Candidate(in_steps(many), STEPS, (4,), questions),
        "SVAMP in steps": Candidate(in_steps(words), STEPS, (4,), questions),
    }


def in_steps(task: Task) -> Task:
    """The task with worked examples."""
    examples = tuple(
        Question(f"worked {place}", text, (worked,))
        for place, (text, worked) in enumerate(WORKED)
    )
    found = extraction(
        "first-line > regex:(?i)answer is(.*) > first-number | first-line > last-number"
    )
    return replace(task, examples=examples, extraction=found)


def dealt(
    task: Task, questions: int, *, tried: int = TRIED
) -> tuple[tuple[Question, ...], ...]:
    """Questions to show, to try and to tell of, whole clusters on one side."""
    clusters: dict[str, list[Question]] = {}
    for question in task.questions:
        clusters.setdefault(question.cluster or f"id {question.id}", []).append(
            question
        )
    names = sorted(clusters)
    random.Random(SEED).shuffle(names)
    parts: list[list[Question]] = [[], [], []]
    for name in names:
        full = [len(parts[0]) >= SHOWN, len(parts[1]) >= tried]
        parts[full.index(False) if False in full else 2] += clusters[name]
    return tuple(parts[0]), tuple(parts[1][:tried]), tuple(parts[2][:questions])


Say = Callable[[str], None]


@dataclass(frozen=True)
class Sampler:
    """A model, how often it is asked, and where its replies are kept."""

    name: str
    model: Any
    n: int
    folder: Path
    say: Say

    def asked(self, name: str, candidate: Candidate, *, tried: int = TRIED) -> Asked:
        """Try the task; ask all of it in the best form that is not too easy or hard."""
        shown, trial, told = dealt(candidate.task, candidate.questions, tried=tried)
        forms: dict[int, Task] = {}
        trials: dict[int, float] = {}
        for count in candidate.shots:
            examples = candidate.task.examples or shown[:count]
            forms[count] = replace(candidate.task, questions=trial, examples=examples)
            said = self.greedy(f"{name}, trial {count}", forms[count], candidate)
            trials[count] = float(said.outcomes().correct.mean())
        fit = [n for n, right in trials.items() if RANGE[0] <= right <= RANGE[1]]
        if not fit:
            return Asked(candidate.task, trials, candidate.decoding)
        best = max(fit, key=lambda count: trials[count])
        task = replace(forms[best], questions=told)
        greedy = self.greedy(f"{name}, greedy", task, candidate)
        samples = self.samples(f"{name}, samples", task, candidate.decoding)
        return Asked(task, trials, candidate.decoding, greedy, samples)

    def greedy(self, what: str, task: Task, candidate: Candidate) -> Generated:
        return generated(
            self.model,
            task,
            decoding=candidate.decoding,
            chat=False,
            journal=self.path(what),
        )

    def samples(
        self, what: str, task: Task, how: Decoding
    ) -> tuple[tuple[Reply, ...], ...]:
        """n samples of every question, going on where a run was stopped."""
        prompts = [asked(task, question) for question in task.questions]
        heading = {
            "kind": "samples",
            "model": self.model.origin.to_dict(),
            "prompts": digest_of([prompt.to_dict() for prompt in prompts]),
            "max_tokens": how.max_tokens,
            "stop": list(how.stop),
            "temperature": how.sampling.temperature,
            "n": self.n,
            "seed": SEED,
        }
        kept = Journal(self.path(what), heading)
        found = {place: Reply.from_dict(one) for place, one in kept.read().items()}
        done = {divmod(place, self.n) for place in found}
        total = len(prompts) * self.n
        if len(done) < total:
            draws = Draws(self.n, SEED, done)
            drawn = sample_stream(self.model, prompts, draws, decoding=how, chat=False)
            for prompt, sample in self._told(what, drawn, len(done), total):
                place = prompt * self.n + sample.draw
                found[place] = reply_of(sample, how.stop)
                kept.append(place, found[place].to_dict())
        return tuple(
            tuple(found[row * self.n + draw] for draw in range(self.n))
            for row in range(len(prompts))
        )

    def path(self, what: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"{self.name}, {what}".replace(", ", "-").replace(" ", "_")
        return self.folder / f"{name}.jsonl"

    def _told(
        self, what: str, drawn: Iterable[Any], done: int, total: int
    ) -> Iterator[Any]:
        """The same, saying every tenth how far it is."""
        step = max(1, total // 10)
        for one in drawn:
            done += 1
            if done % step == 0 or done == total:
                self.say(f"  {self.name}, {what}: {done} of {total}")
            yield one
