"""Texts and answers whose layers are looked at by the run of lens.py."""

from __future__ import annotations

import random
import sysconfig
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from _calibration_tasks import detokenised, sampled, whole_sentences
from _calibration_telling import SEED, data_folder

from nescio import Decoding, Detail, Sample, Sampling
from nescio.evaluation import Task, arithmetic, capitals, read_task, with_examples
from nescio.evaluation.articles import stretches, wikitext_articles
from nescio.evaluation.generated import judged
from nescio.evaluation.replies import reply_of
from nescio.evaluation.tasks import asked
from nescio.lens import generated_layer_entropies

EXAMPLES = 4
TASKS = {"arithmetic": arithmetic, "capitals": capitals}
LINE = Decoding(12, Sampling(temperature=0), stop=("\n",), detail=Detail(0))
CODE = (
    "argparse",
    "ast",
    "csv",
    "difflib",
    "heapq",
    "inspect",
    "pathlib",
    "random",
    "shutil",
    "statistics",
    "tarfile",
    "textwrap",
    "threading",
    "zipfile",
)
"""Modules of Python's own library."""


@dataclass(frozen=True)
class Size:
    """How much is run."""

    documents: int
    characters: int
    questions: int
    texts: int
    permutations: int


FULL = Size(documents=16, characters=600, questions=120, texts=32, permutations=999)
QUICK = Size(documents=6, characters=300, questions=40, texts=12, permutations=99)


def documents(size: Size) -> dict[str, dict[str, str]]:
    """The beginnings of documents, by the name of their collection."""
    folder = data_folder() / "text"
    articles = wikitext_articles((folder / "wikitext-2.test.txt").read_text("utf-8"))
    plays = (folder / "tinyshakespeare.txt").read_text("utf-8")
    scenes = stretches(plays, max(1, len(plays) // size.documents))
    cut = {"wikitext-2 test": articles, "shakespeare": scenes}
    return {
        name: {
            title: body[: size.characters]
            for title, body in list(some.items())[: size.documents]
        }
        for name, some in cut.items()
    }


def answered(model: Any, name: str, size: Size) -> tuple[list[Any], list[bool]]:
    """The lens on greedy answers to a task, and whether each is right."""
    task = with_examples(TASKS[name](seed=SEED), EXAMPLES, seed=SEED)
    task = replace(task, questions=task.questions[: size.questions])
    readings = [_greedy(model, task, question) for question in task.questions]
    said = [
        reply_of(Sample(one.trace.completion, model.name, trace=one.trace), LINE.stop)
        for one in readings
    ]
    right = [one.correct for one in judged(task, said).answers]
    print(f"    {sum(right)} of {len(right)} right", flush=True)
    return readings, right


def kinds_of_questions(model: Any, size: Size) -> tuple[list[Any], list[str]]:
    """The lens on greedy answers to questions of four kinds."""
    folder = data_folder() / "question_sets"
    tasks = {
        "sum": arithmetic(seed=SEED),
        "capital": capitals(seed=SEED),
        "yes or no": read_task(
            folder / "SPORT.jsonl",
            kind="yes-no",
            framing='Is the following sentence plausible? "{question}"',
        ),
        "word problem": read_task(folder / "SVAMP.jsonl", kind="number"),
    }
    readings, kinds = [], []
    for kind, task in tasks.items():
        shown = with_examples(sampled(task, size.texts + EXAMPLES), EXAMPLES, seed=SEED)
        for question in shown.questions[: size.texts]:
            readings.append(_greedy(model, shown, question))
            kinds.append(kind)
    return readings, kinds


def _greedy(model: Any, task: Task, question: Any) -> Any:
    prompt = asked(task, question)
    return generated_layer_entropies(model, prompt, decoding=LINE, chat=False)


def kinds_of_texts(size: Size) -> tuple[list[str], list[str], list[str]]:
    """Texts of about one length, their kinds, and the document each is of."""
    folder = data_folder()
    prose = (folder / "text" / "wikitext-2.test.txt").read_text("utf-8")
    articles = {
        title: " ".join(detokenised(whole_sentences(s)) for s in body.split("\n") if s)
        for title, body in wikitext_articles(prose).items()
    }
    plays = (folder / "text" / "tinyshakespeare.txt").read_text("utf-8")
    scenes = stretches(plays, max(1, len(plays) // 40))
    problems = read_task(folder / "question_sets" / "SVAMP.jsonl", kind="number")
    solved = {q.id: f"{q.text} {q.gold[0]}" for q in problems.questions}
    library = Path(sysconfig.get_paths()["stdlib"])
    modules = {name: (library / f"{name}.py").read_text("utf-8") for name in CODE}
    sources = {"prose": articles, "play": scenes, "code": modules, "problem": solved}
    texts, kinds, groups = [], [], []
    for kind, source in sources.items():
        for group, text in _cut(source, size):
            texts.append(text)
            kinds.append(kind)
            groups.append(f"{kind}: {group}")
    return texts, kinds, groups


def _cut(source: dict[str, str] | Any, size: Size) -> list[tuple[str, str]]:
    """Some stretches of documents drawn at random, each with its document's name."""
    draw = random.Random(SEED)
    names = sorted(source)
    found = []
    for number in range(size.texts):
        name = names[number % len(names)]
        body = source[name]
        begin = draw.randrange(max(1, len(body) - size.characters // 3))
        found.append((name, body[begin : begin + size.characters // 3]))
    return [(name, text) for name, text in found if text.strip()]
