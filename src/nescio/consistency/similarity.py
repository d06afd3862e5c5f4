"""How alike the samples of a question are, two by two, in [0, 1].

`SIMILARITIES` has the model-free ones by name. They compare texts after normalisation
(`nescio.strings.normalised`), each different text once, so that repeats cost nothing,
and many questions at a time. A function of two texts or an embedding of each sample
serves as well. A sample without a valid answer is like nothing but itself, whatever its
text: samples that all say nothing do not agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from nescio.consistency.answers import INVALID, Answers, Sorting, answers_of
from nescio.consistency.comparisons import SIMILARITIES
from nescio.errors import InvalidInput, NotEnoughData
from nescio.strings import normalised
from nescio.trace import Samples

__all__ = [
    "SIMILARITIES",
    "OfMany",
    "Similarities",
    "Similarity",
    "cosine_similarities",
    "similarities_from",
    "similarities_of",
    "similarities_of_all",
]

Similarity = Callable[[str, str], float | int]
"""How alike two texts are: symmetric, in [0, 1], 1 for the same text."""
_SLACK = 1e-6  # of a given matrix: rounding of single precision
_CACHED = 400  # characters of a text whose normal form is kept for the next question


@runtime_checkable
class OfMany(Protocol):
    """A `Similarity` that compares many texts faster at a time than two by two."""

    def __call__(self, one: str, other: str) -> float | int:
        """How alike the two are."""
        ...

    def matrix(self, texts: Sequence[str]) -> Float[np.ndarray, "n n"]:
        """How alike every two of some texts are, in [0, 1], 1 on the diagonal."""
        ...


@dataclass(frozen=True, eq=False)
class Similarities:
    """How alike the samples of one question are, each different one once. Frozen.

    Args:
        matrix: of different items, symmetric, 1 on the diagonal, [items, items].
        counts: how many samples each item is, at least 1, [items].
        item: the item of each sample, [n].
        recipe: how it was obtained.
        id: of the question, or empty.
        invalid: how many samples have no valid answer.

    Raises:
        NotEnoughData: one sample, which is like nothing.
        InvalidInput: a matrix that is none of similarities.
    """

    matrix: Float[np.ndarray, "items items"]
    counts: Int[np.ndarray, " items"]
    item: Int[np.ndarray, " n"]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    invalid: int = 0

    def __post_init__(self) -> None:
        if len(self.item) < 2:
            name = self.id or "a question"
            raise NotEnoughData(
                f"{name} has one sample, which is like nothing: draw at least 2"
            )
        _check_matrix(self.matrix)
        if not np.array_equal(
            np.bincount(self.item, minlength=len(self.matrix)), self.counts
        ):
            raise InvalidInput("counts are not those of the items of the samples")

    def __len__(self) -> int:
        return len(self.item)

    @property
    def full(self) -> Float[np.ndarray, "n n"]:
        """Of every two samples, in the order they were drawn."""
        return self.matrix[np.ix_(self.item, self.item)]


def similarities_of(
    samples: Answers | Samples | Sequence[str], *, by: str | Similarity = "rouge_l"
) -> Similarities:
    """How alike the samples of one question are.

    Args:
        samples: of one question, at least 2.
        by: a name of `SIMILARITIES`, or a function of two whole texts, which is asked
            once for every two different texts, in one of the two orders; or, if it is
            `OfMany`, once of all of them.

    Raises:
        NotEnoughData: one sample.
        InvalidInput: no such similarity, or one outside [0, 1].

    Example:
        >>> found = similarities_of(["the cat sat", "the cat ran", "The cat sat."])
        >>> found.full.round(2).tolist()
        [[1.0, 0.67, 1.0], [0.67, 1.0, 0.67], [1.0, 0.67, 1.0]]
    """
    answers = samples if isinstance(samples, Answers) else answers_of(samples)
    return similarities_of_all([answers], by=by)[0]


def similarities_of_all(
    questions: Sequence[Answers], *, by: str | Similarity = "rouge_l"
) -> list[Similarities]:
    """`similarities_of` for each of some questions, much faster than one by one."""
    if isinstance(by, str) and by not in SIMILARITIES:
        raise InvalidInput(f"unknown similarity {by!r}: one of {sorted(SIMILARITIES)}")
    sets, items = [], []
    for answers in questions:
        of_set, of_sample = _items(answers, by)
        sets.append(of_set)
        items.append(of_sample)
    if isinstance(by, str):
        matrices, name = SIMILARITIES[by](sets), by
    else:
        matrices = [_by_function(texts, by) for texts in sets]
        name = getattr(by, "__qualname__", type(by).__qualname__)
    return [
        _similarities(answers, matrix, item, name)
        for answers, matrix, item in zip(questions, matrices, items, strict=True)
    ]


def similarities_from(
    samples: Answers | Samples | Sequence[str],
    matrix: Float[np.ndarray, "n n"],
    *,
    name: str,
) -> Similarities:
    """Similarities that were computed elsewhere: by a judge, an encoder, a person.

    Args:
        samples: of one question, at least 2.
        matrix: of every two samples, in [0, 1], symmetric, 1 on the diagonal. One that
            depends on the order (entailment) is made symmetric by the caller. Rows of
            samples without a valid answer are not used.
        name: what it is, for the recipe.

    Raises:
        NotEnoughData: one sample.
        InvalidInput: another number of samples, or no similarities.

    Example:
        >>> similarities_from(["a", "b"], np.array([[1, .5], [.5, 1]]), name="me").full
        array([[1. , 0.5],
               [0.5, 1. ]])
    """
    answers = samples if isinstance(samples, Answers) else answers_of(samples)
    size = len(answers)
    if matrix.shape != (size, size):
        raise InvalidInput(f"a matrix of shape {matrix.shape} for {size} samples")
    found = matrix.astype(np.float64)
    _check_matrix(found)
    found = np.clip((found + found.T) / 2.0, 0.0, 1.0)
    void = answers.labels == INVALID
    found[void] = 0.0
    found[:, void] = 0.0
    np.fill_diagonal(found, 1.0)
    return Similarities(
        found,
        np.ones(size, np.int64),
        np.arange(size),
        _recipe(answers, name),
        answers.id,
        answers.invalid,
    )


def cosine_similarities(
    samples: Answers | Samples | Sequence[str],
    vectors: Float[np.ndarray, "n dimensions"],
    *,
    name: str = "embedding",
) -> Similarities:
    """(1 + cos)/2 of an embedding of each sample; positive semi-definite.

    Args:
        samples: of one question, at least 2.
        vectors: the embedding of each, none of them zero.
        name: of the encoder, for the recipe.

    Raises:
        NotEnoughData: one sample.
        InvalidInput: another number of samples, a vector that is zero or not finite.

    Example:
        >>> cosine_similarities(["a", "b"], np.array([[2.0, 0.0], [0.0, 1.0]])).full
        array([[1. , 0.5],
               [0.5, 1. ]])
    """
    exact = vectors.astype(np.float64)
    sizes = np.abs(exact).max(axis=1, initial=0.0)
    wrong = np.flatnonzero(~(np.isfinite(sizes) & (sizes > 0.0)))
    if len(wrong):
        raise InvalidInput(
            f"the embedding of sample {wrong[0]} is zero or not finite: it has no "
            "direction"
        )
    exact = exact / sizes[:, None]  # first, lest squares underflow
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    return similarities_from(
        samples,
        np.clip((1.0 + exact @ exact.T) / 2.0, 0.0, 1.0),
        name=f"(1 + cos)/2 of {name}",
    )


def _by_function(texts: Sequence[str], by: Similarity) -> np.ndarray:
    matrix = np.eye(len(texts))
    if isinstance(by, OfMany) and len(texts) > 1:
        matrix = by.matrix(texts).astype(np.float64)
        _check_matrix(matrix)
        return np.clip((matrix + matrix.T) / 2.0, 0.0, 1.0)
    for one, first in enumerate(texts):
        for other in range(one):
            value = float(by(texts[other], first))
            if not 0.0 <= value <= 1.0:
                raise InvalidInput(f"a similarity is {value}; it has to be in [0, 1]")
            matrix[one, other] = matrix[other, one] = value
    return matrix


def _items(
    answers: Answers, by: str | Similarity
) -> tuple[Sequence[str], Int[np.ndarray, " n"]]:
    """The different valid texts, and which each sample is (`INVALID` for none)."""
    # Sorted by whole normalised texts, the sets' keys are the texts to compare.
    if by == "exact" or (isinstance(by, str) and answers.recipe == Sorting().recipe):
        return answers.keys, answers.labels
    number: dict[str, int] = {}
    item = np.full(len(answers), INVALID, dtype=np.int64)
    for place in np.flatnonzero(answers.labels != INVALID).tolist():
        text = answers.texts[place]
        compared = _normal(text) if isinstance(by, str) else text
        item[place] = number.setdefault(compared, len(number))
    return tuple(number), item


def _similarities(
    answers: Answers, valid: np.ndarray, of_sample: np.ndarray, name: str
) -> Similarities:
    """With every sample that has no valid answer as an item of its own."""
    void = np.flatnonzero(of_sample == INVALID)
    matrix, item = valid, of_sample
    if len(void):
        matrix = np.eye(len(valid) + len(void))
        matrix[: len(valid), : len(valid)] = valid
        item = of_sample.copy()
        item[void] = len(valid) + np.arange(len(void))
    counts = np.bincount(item, minlength=len(matrix)).astype(np.int64)
    recipe = _recipe(answers, name)
    return Similarities(matrix, counts, item, recipe, answers.id, len(void))


def _recipe(answers: Answers, name: str) -> Mapping[str, Any]:
    return {**answers.recipe, "similarity": name, "invalid": answers.invalid}


def _normal(text: str) -> str:
    return _kept(text) if len(text) <= _CACHED else normalised(text)


@lru_cache(maxsize=2**15)
def _kept(text: str) -> str:
    return normalised(text)


def _check_matrix(matrix: Float[np.ndarray, "n n"]) -> None:
    if not ((matrix >= -_SLACK) & (matrix <= 1.0 + _SLACK)).all():
        raise InvalidInput(
            f"similarities have to be in [0, 1]; they are from {matrix.min()} to "
            f"{matrix.max()}"
        )
    if np.abs(matrix - matrix.T).max(initial=0.0) > _SLACK:
        raise InvalidInput(
            "the similarity of two samples depends on their order; give the mean of "
            "both orders"
        )
    if np.abs(np.diagonal(matrix) - 1.0).max(initial=0.0) > _SLACK:
        raise InvalidInput("a sample is not like itself: the diagonal has to be 1")
