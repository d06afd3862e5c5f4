"""How alike the words of the samples are.

Each measure takes one question and gives an `Estimate` whose interval is over redraws
(see `nescio.consistency.pairwise`); `LEXICAL_MEASURES` has them for many questions at
once. No probability of the model is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from nescio.consistency.pairwise import (
    Given,
    PairMeasure,
    estimated,
    measured_by_name,
)
from nescio.consistency.similarity import Similarities, Similarity
from nescio.errors import InvalidInput
from nescio.outcome import Estimate

__all__ = [
    "LEXICAL_MEASURES",
    "lexical_similarity",
    "of_words",
    "soft_nearest_neighbour_entropy",
]

_FOMICHEVA = "Fomicheva et al. (2020), Unsupervised Quality Estimation, TACL 8"
_NGUYEN = "Nguyen, Payani & Mirzasoleiman (2025), Beyond Semantic Entropy, ACL Findings"

_Matrices = Float[np.ndarray, "questions items items"]
_Counts = Float[np.ndarray, "questions items"]
_Numbers = Float[np.ndarray, " questions"]


def lexical_similarity(
    samples: Given,
    *,
    similarity: str | Similarity = "rouge_l",
    level: float = 0.95,
    resamples: int = 400,
    seed: int = 0,
) -> Estimate:
    """Lexical similarity: the mean of a similarity over all pairs of samples.

    A consistency: larger where samples agree. Samples without a valid answer are like
    nothing.

    Args:
        samples: of one question, at least 2; or their `Similarities`.
        similarity: how they are compared, see `similarities_of`.
        level: the coverage the interval aims at, in (0, 1).
        resamples, seed: of the interval.

    Returns:
        In [0, 1]; 1: all alike.

    Raises:
        NotEnoughData: one sample.
        InvalidInput: no samples, an unknown similarity, a level that is none.

    Example:
        >>> samples = ["the cat sat", "the cat ran", "a dog"]
        >>> round(lexical_similarity(samples).value, 6)   # (2/3 + 0 + 0) / 3
        0.222222

    Source: Fomicheva et al. (2020), section 3.2 (with METEOR); with ROUGE-L as Kuhn et
    al. (2023) have it.
    """
    draws = (level, resamples, seed)
    return estimated(_named("lexical_similarity"), samples, similarity, draws=draws)


def soft_nearest_neighbour_entropy(
    samples: Given,
    *,
    similarity: str | Similarity = "rouge_l",
    temperature: float | int = 1.0,
    level: float = 0.95,
    resamples: int = 400,
    seed: int = 0,
) -> Estimate:
    """SNNE: minus the mean over samples i of log Σⱼ exp(similarity(i, j)/temperature).

    The sum includes j = i. An uncertainty, and an entropy by name only: it is negative,
    and it falls with the number of samples, so compare it at equal n.

    Args:
        samples, similarity, level, resamples, seed: as for `lexical_similarity`.
        temperature: above 0; the smaller, the more the nearest neighbours count.

    Returns:
        In nats, from -log n - 1/temperature (all alike) to
        -log(exp(1/temperature) + n - 1).

    Raises:
        NotEnoughData, InvalidInput: as `lexical_similarity`; a temperature not above 0.

    Example:
        >>> round(soft_nearest_neighbour_entropy(["a", "a"]).value, 6)   # -1 - log 2
        -1.693147

    Source: Nguyen, Payani & Mirzasoleiman (2025), section 4, unweighted.
    """
    if not 1e-2 <= temperature < np.inf:
        raise InvalidInput(f"temperature is {temperature}: at least 0.01 and finite")
    return estimated(
        _named("soft_nearest_neighbour_entropy"),
        samples,
        similarity,
        options={"temperature": temperature},
        settings={"variant": "SNNE, unweighted"},
        draws=(level, resamples, seed),
    )


def of_words(
    name: str, questions: Sequence[Similarities]
) -> Float[np.ndarray, " questions"]:
    """A measure of `LEXICAL_MEASURES` for many questions.

    Example:
        >>> from nescio.consistency.answers import answers_of
        >>> from nescio.consistency.similarity import similarities_of_all
        >>> questions = [answers_of(["a", "a"]), answers_of(["a", "b"])]
        >>> of_words("lexical_similarity", similarities_of_all(questions)).tolist()
        [1.0, 0.0]
    """
    return measured_by_name(name, LEXICAL_MEASURES, questions)


def _named(name: str) -> tuple[str, PairMeasure]:
    return name, LEXICAL_MEASURES[name]


def _lexical_similarity(
    matrices: _Matrices, counts: _Counts, alone: _Numbers
) -> _Numbers:
    size = counts.sum(axis=-1) + alone
    alike = np.einsum("qi,qij,qj->q", counts, matrices, counts, optimize=True)
    return np.clip((alike + alone - size) / (size * (size - 1.0)), 0.0, 1.0)


def _soft_nearest_neighbour_entropy(
    matrices: _Matrices,
    counts: _Counts,
    alone: _Numbers,
    temperature: float | int = 1.0,
) -> _Numbers:
    # Each sample has the similarity 1 to itself, so no exponent below is above 0.
    near, far = np.exp((matrices - 1.0) / temperature), np.exp(-1.0 / temperature)
    sums = (near @ counts[..., None])[..., 0] + far * alone[..., None]
    logs = np.log(sums, out=np.zeros_like(sums), where=counts > 0.0)
    size = counts.sum(axis=-1) + alone
    of_alone = np.log1p((size - 1.0) * far)
    mean = ((counts * logs).sum(axis=-1) + alone * of_alone) / size
    return -(mean + 1.0 / temperature)


LEXICAL_MEASURES: Mapping[str, PairMeasure] = {
    "lexical_similarity": PairMeasure(
        _lexical_similarity, "1", "consistency", (_FOMICHEVA,)
    ),
    "soft_nearest_neighbour_entropy": PairMeasure(
        _soft_nearest_neighbour_entropy, "nats", "uncertainty", (_NGUYEN,)
    ),
}
"""The family, by the names of the public functions."""
