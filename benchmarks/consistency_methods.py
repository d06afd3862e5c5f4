"""Ways to measure how samples agree: nescio and two peers, on the same texts.

Each takes a task, makes its texts, and returns a Prepared whose run gives what was
found. Values are means over the questions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from measuring import Prepared

Answer = dict[str, Any]
Texts = list[list[str]]
_WORDS = 3000
_SYLLABLES = ("ba", "co", "di", "fe", "gu", "ka", "lo", "mi", "ne", "pu", "ra", "so")


def prepare(task: dict[str, Any]) -> Prepared:
    """The method that a task names, with its texts made."""
    run = METHODS[task["name"]](task)
    return Prepared(run, lambda: run() and {})


def texts_of(task: dict[str, Any]) -> Texts:
    """Samples as a model gives them: some answers again and again, in a few wordings.

    Each question has answers of 4 to 14 words, drawn by a rule that falls fast; half
    the draws end in a full stop, a tenth begin with a capital. With ``distinct`` every
    sample ends in a number of its own, so that no two are the same. With ``normalised``
    they come without what does not count.
    """
    rng = np.random.default_rng(task["seed"])
    syllables = rng.integers(0, len(_SYLLABLES), (_WORDS, 3))
    words = ["".join(_SYLLABLES[k] for k in row) for row in syllables]
    texts: Texts = []
    for _ in range(task["questions"]):
        topic = rng.integers(0, _WORDS, 20)
        answers = [
            " ".join(words[k] for k in rng.choice(topic, rng.integers(4, 15)))
            for _ in range(8)
        ]
        shares = rng.dirichlet(1.5 ** -np.arange(8.0) * 2.0)
        drawn = rng.choice(8, task["samples"], p=shares)
        ends, heads = rng.random(task["samples"]), rng.random(task["samples"])
        texts.append([])
        for number, which in enumerate(drawn.tolist()):
            own = f" {number}" if task.get("distinct") else ""
            said = (
                answers[which].capitalize() if heads[number] < 0.1 else answers[which]
            )
            texts[-1].append(f"{said}{own}{'.' if ends[number] < 0.5 else ''}")
    if task.get("normalised"):
        from nescio.strings import normalised

        return [[normalised(text) for text in several] for several in texts]
    return texts


def nescio_all(task: dict[str, Any]) -> Callable[[], Answer]:
    """From texts to every measure that needs no model, a column each."""
    from nescio.consistency.answers import answers_of
    from nescio.consistency.similarity import similarities_of_all
    from nescio.evaluation.consistency_asked import Asked
    from nescio.evaluation.consistency_measures import chosen_measures, columns_of

    texts, asked = texts_of(task), Asked()

    def run() -> Answer:
        questions = [answers_of(one, id=str(row)) for row, one in enumerate(texts)]
        names = chosen_measures(questions, asked, traces=False)
        alike = {
            by: similarities_of_all(questions, by=by) for by in ("rouge_l", "jaccard")
        }
        columns, notes = columns_of(questions, names, asked, alike=alike)
        if notes:
            raise AssertionError(notes)
        return {
            "measures": len(columns),
            "value": float(columns["agreement"].mean()),
            "sets": float(columns["number_of_sets"].mean()),
        }

    return run


def nescio_sorting(task: dict[str, Any]) -> Callable[[], Answer]:
    """From texts to sets of the same answer."""
    from nescio.consistency.answers import answers_of

    texts = texts_of(task)

    def run() -> Answer:
        found = [answers_of(one) for one in texts]
        return {"sets": float(np.mean([len(one.keys) for one in found]))}

    return run


def nescio_pairs(task: dict[str, Any]) -> Callable[[], Answer]:
    """From texts to one measure of pairs."""
    from nescio.consistency.answers import answers_of
    from nescio.consistency.graph import GRAPH_MEASURES
    from nescio.consistency.lexical import LEXICAL_MEASURES
    from nescio.consistency.pairwise import measured
    from nescio.consistency.similarity import similarities_of_all

    texts = texts_of(task)
    measure = {**GRAPH_MEASURES, **LEXICAL_MEASURES}[task["measure"]]

    def run() -> Answer:
        questions = [answers_of(one) for one in texts]
        alike = similarities_of_all(questions, by=task["similarity"])
        return _value(measured(measure, alike))

    return run


def nescio_match(task: dict[str, Any]) -> Callable[[], Answer]:
    """The share of the other samples that are the same as the first, to the letter."""
    from nescio.consistency.answers import Sorting, answers_of

    texts = texts_of(task)
    exact = Sorting(key=str, recipe={"answer": "whole text", "equivalence": "exact"})

    def run() -> Answer:
        found = [answers_of(one, exact) for one in texts]
        shares = [
            (int(one.votes[one.labels[0]]) - 1) / (len(one) - 1)  # itself is no other
            for one in found
        ]
        return _value(shares)

    return run


def alone(name: str, *packages: str) -> Any:
    """A module of packages of which nothing else is imported.

    The packages import all they have at once, which needs dozens of libraries that
    these measures do not.

    Args:
        name: of the module.
        packages: further ones that it reads single modules of.
    """
    for package in (name.rpartition(".")[0], *packages):
        parts = package.split(".")
        spec = find_spec(parts[0])
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError(f"no module {parts[0]}", name=parts[0])
        folder = Path(next(iter(spec.submodule_search_locations)))
        for depth in range(1, len(parts) + 1):
            bare = ModuleType(".".join(parts[:depth]))
            bare.__path__ = [str(folder.joinpath(*parts[1:depth]))]
            bare.__spec__ = ModuleSpec(bare.__name__, None, is_package=True)
            bare.__spec__.submodule_search_locations = bare.__path__
            sys.modules.setdefault(bare.__name__, bare)
    return import_module(name)


def polygraph(task: dict[str, Any]) -> Callable[[], Answer]:
    """lm-polygraph's estimator of the same measure."""
    stats = {"sample_texts": texts_of(task)}
    name, options = task["estimator"], task.get("options", {})
    module = alone(f"lm_polygraph.estimators.{task['module']}", "lm_polygraph.utils")
    estimator = getattr(module, name)(**options)
    if task.get("stemmer") is False:
        from rouge_score.rouge_scorer import (  # pyright: ignore[reportMissingImports]
            RougeScorer,
        )

        estimator.scorer = RougeScorer([estimator.metric], use_stemmer=False)
    sign = -1.0 if name == "LexicalSimilarity" else 1.0
    return lambda: _value(sign * np.real(np.asarray(estimator(stats))))


def uqlm(task: dict[str, Any]) -> Callable[[], Answer]:
    """uqlm's exact match of the first sample with the others."""
    scorer: Any = alone("uqlm.black_box.match").MatchScorer()
    texts = texts_of(task)
    first, others = [one[0] for one in texts], [one[1:] for one in texts]

    def run() -> Answer:
        found = scorer.evaluate(
            responses=first, sampled_responses=others, progress_bar=False
        )
        return _value(found)

    return run


def _value(numbers: Sequence[float] | np.ndarray) -> Answer:
    return {"value": float(np.mean(np.asarray(numbers, dtype=np.float64)))}


METHODS: dict[str, Callable[[dict[str, Any]], Callable[[], Answer]]] = {
    "nescio all": nescio_all,
    "nescio sorting": nescio_sorting,
    "nescio pairs": nescio_pairs,
    "nescio match": nescio_match,
    "lm-polygraph": polygraph,
    "uqlm": uqlm,
}
