"""Samples as a graph whose edges are their similarities W: how many things are said.

Each measure takes one question and gives an `Estimate` whose interval is over redraws
(see `nescio.consistency.pairwise`); `GRAPH_MEASURES` has them for many questions at
once. All are uncertainties: larger where samples say more different things. No
probability of the model is needed.

Every sample counts, and a sample drawn m times is m equal rows of W. The spectra are
those of the whole [n, n] matrix, though only one row of each kind is ever used.
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
from nescio.information.spectra import effective_number, entropy_terms
from nescio.outcome import Estimate

__all__ = [
    "GRAPH_MEASURES",
    "degree_uncertainty",
    "eccentricity",
    "eigenvalue_uncertainty",
    "kernel_language_entropy",
    "of_graph",
    "vendi_score",
]

_LIN = "Lin, Trivedi & Sun (2023), Generating with Confidence, section 4"
_NIKITIN = "Nikitin et al. (2024), Kernel Language Entropy, NeurIPS"
_VENDI = "Friedman & Dieng (2023), The Vendi Score, TMLR"
_THRESHOLD = 0.9  # below it an eigenvalue of the Laplacian belongs to a cluster
_TIME = 0.3  # of the heat kernel
_TIE = 1e-9

_Matrices = Float[np.ndarray, "questions items items"]
_Counts = Float[np.ndarray, "questions items"]
_Numbers = Float[np.ndarray, " questions"]


def eigenvalue_uncertainty(
    samples: Given,
    *,
    similarity: str | Similarity = "rouge_l",
    level: float = 0.95,
    resamples: int = 400,
    seed: int = 0,
) -> Estimate:
    """EigV: the sum of max(0, 1 - λ) over the normalised Laplacian's eigenvalues λ.

    The Laplacian is I - D^(-1/2) W D^(-1/2), D the row sums of W. On clusters that are
    alike within and unlike between it is the number of clusters. It is never below the
    sum of 1/d over samples, and equal to it where W is positive semi-definite.

    Args:
        samples: of one question, at least 2; or their `Similarities`.
        similarity: how they are compared, see `similarities_of`.
        level: the coverage the interval aims at, in (0, 1).
        resamples, seed: of the interval.

    Returns:
        In [1, n]; 1 where all samples are alike.

    Raises:
        NotEnoughData: one sample.
        InvalidInput: no samples, an unknown similarity, a level that is none.

    Example:
        >>> samples = ["12"] * 7 + ["13"] * 2 + ["7"]
        >>> round(eigenvalue_uncertainty(samples).value, 6)
        3.0

    Source: Lin, Trivedi & Sun (2023), section 4.2.
    """
    draws = (level, resamples, seed)
    return estimated(_named("eigenvalue_uncertainty"), samples, similarity, draws=draws)


def degree_uncertainty(
    samples: Given,
    *,
    similarity: str | Similarity = "rouge_l",
    level: float = 0.95,
    resamples: int = 400,
    seed: int = 0,
) -> Estimate:
    """Deg: 1 - ΣW/n², the mean distance of two samples, each also with itself.

    Args:
        samples, similarity, level, resamples, seed: as for `eigenvalue_uncertainty`.

    Returns:
        In [0, 1 - 1/n]; 0 where all samples are alike.

    Raises:
        NotEnoughData, InvalidInput: as `eigenvalue_uncertainty`.

    Example:
        >>> round(degree_uncertainty(["12"] * 7 + ["13"] * 2 + ["7"]).value, 6)
        0.46

    Source: Lin, Trivedi & Sun (2023), section 4.2.
    """
    draws = (level, resamples, seed)
    return estimated(_named("degree_uncertainty"), samples, similarity, draws=draws)


def eccentricity(
    samples: Given,
    *,
    similarity: str | Similarity = "rouge_l",
    level: float = 0.95,
    resamples: int = 400,
    seed: int = 0,
) -> Estimate:
    """Ecc: how far samples lie from their centre in the Laplacian's low eigenspace.

    Of the k eigenvectors u with eigenvalues below 0.9 each sample's entries are its
    place; Ecc is the root of the summed squared distances to the mean place. That is
    √(k - Σ(Σu)²/n), which is the same for every basis of that space: equal eigenvalues
    below 0.9 do no harm. An eigenvalue at 0.9 within 1e-9 is not counted; one near it
    makes the number jump. On clusters alike within and unlike between: √(clusters - 1).

    Args:
        samples, similarity, level, resamples, seed: as for `eigenvalue_uncertainty`.

    Returns:
        In [0, √(n - 1)]; 0 where all samples are alike.

    Raises:
        NotEnoughData, InvalidInput: as `eigenvalue_uncertainty`.

    Example:
        >>> round(eccentricity(["12"] * 7 + ["13"] * 2 + ["7"]).value ** 2, 6)
        2.0

    Source: Lin, Trivedi & Sun (2023), section 4.2.
    """
    return estimated(
        _named("eccentricity"),
        samples,
        similarity,
        settings={"threshold": _THRESHOLD},
        draws=(level, resamples, seed),
    )


def kernel_language_entropy(
    samples: Given,
    *,
    similarity: str | Similarity = "rouge_l",
    time: float | int = _TIME,
    level: float = 0.95,
    resamples: int = 400,
    seed: int = 0,
) -> Estimate:
    """Kernel language entropy: von Neumann's, of the graph's heat kernel.

    K = exp(-time (D - W)), scaled to 1/n on its diagonal; the entropy is that of its
    eigenvalues. **It is not 0 for identical answers**: heat has only gone part of the
    way from sample to sample, and the rest counts as doubt (20 identical answers: .316
    at time 0.3), the more so the fewer samples. Compare it at equal n.

    Args:
        samples, similarity, level, resamples, seed: as for `eigenvalue_uncertainty`.
        time: for which heat flows, above 0.

    Returns:
        In nats, in (0, log n]; log n where no two samples have anything in common.

    Raises:
        NotEnoughData, InvalidInput: as `eigenvalue_uncertainty`; a time not above 0.

    Example:
        >>> round(float(kernel_language_entropy(["a", "b"]).value / np.log(2)), 6)
        1.0

    Source: Nikitin et al. (2024), heat kernel over the plain Laplacian; the weights are
    those of ``similarity`` here, of entailment there.
    """
    if not 0.0 < time < np.inf:
        raise InvalidInput(f"time is {time}: heat flows for a time above 0")
    return estimated(
        _named("kernel_language_entropy"),
        samples,
        similarity,
        options={"time": time},
        settings={"kernel": "heat", "laplacian": "D - W"},
        draws=(level, resamples, seed),
    )


def vendi_score(
    samples: Given,
    *,
    similarity: str | Similarity = "jaccard",
    level: float = 0.95,
    resamples: int = 400,
    seed: int = 0,
) -> Estimate:
    """Vendi score: how many different samples there are in effect.

    The exponential of the entropy of the eigenvalues of W/n, where W has to be positive
    semi-definite: ``exact``, ``jaccard`` and cosines are, 1 - normalised edit distance
    and ROUGE-L need not be, and what is clearly not is refused.

    Args:
        samples, similarity, level, resamples, seed: as for `eigenvalue_uncertainty`.

    Returns:
        In [1, n]; 1 where all samples are alike.

    Raises:
        NotEnoughData: one sample.
        InvalidInput: as `eigenvalue_uncertainty`; similarities that are no kernel.

    Example:
        >>> round(vendi_score(["12"] * 7 + ["13"] * 2 + ["7"]).value, 6)
        2.229592

    Source: Friedman & Dieng (2023), definition 3.1.
    """
    draws = (level, resamples, seed)
    return estimated(_named("vendi_score"), samples, similarity, draws=draws)


def of_graph(
    name: str, questions: Sequence[Similarities]
) -> Float[np.ndarray, " questions"]:
    """A measure of `GRAPH_MEASURES` for many questions.

    Example:
        >>> from nescio.consistency.answers import answers_of
        >>> from nescio.consistency.similarity import similarities_of_all
        >>> questions = [answers_of(["a", "a"]), answers_of(["a", "b"])]
        >>> of_graph("degree_uncertainty", similarities_of_all(questions)).tolist()
        [0.0, 0.5]
    """
    return measured_by_name(name, GRAPH_MEASURES, questions)


def _named(name: str) -> tuple[str, PairMeasure]:
    return name, GRAPH_MEASURES[name]


def _affinity(matrices: _Matrices, counts: _Counts) -> _Matrices:
    """D^(-1/2) W D^(-1/2), with the root of the counts on both sides.

    Its spectrum is that of the whole matrix but for zeros: equal rows of W span one
    direction, in which a unit vector has the root of the count in front.
    """
    degrees = (matrices @ counts[..., None])[..., 0]
    scale = np.sqrt(
        np.divide(counts, degrees, out=np.zeros_like(degrees), where=counts > 0.0)
    )
    return matrices * scale[..., :, None] * scale[..., None, :]


def _eigenvalue_uncertainty(
    matrices: _Matrices, counts: _Counts, alone: _Numbers
) -> _Numbers:
    """A sample that is like nothing is a cluster: one eigenvalue more."""
    values = np.linalg.eigvalsh(_affinity(matrices, counts))
    clusters = np.maximum(values, 0.0).sum(axis=-1) + alone
    return np.clip(clusters, 1.0, counts.sum(axis=-1) + alone)


def _degree_uncertainty(
    matrices: _Matrices, counts: _Counts, alone: _Numbers
) -> _Numbers:
    alike = np.einsum("qi,qij,qj->q", counts, matrices, counts, optimize=True)
    size = counts.sum(axis=-1) + alone
    return np.clip(1.0 - (alike + alone) / size**2, 0.0, 1.0 - 1.0 / size)


def _eccentricity(matrices: _Matrices, counts: _Counts, alone: _Numbers) -> _Numbers:
    """Of a sample that is like nothing the eigenvector is 1 there and 0 elsewhere."""
    values, vectors = np.linalg.eigh(_affinity(matrices, counts))
    low = values > 1.0 - _THRESHOLD + _TIE
    # Each of the m copies has the entry v/√m: together they sum to √m v.
    sums = (vectors * np.sqrt(counts)[..., None]).sum(axis=-2)
    size = counts.sum(axis=-1) + alone
    squares = (low * sums**2).sum(axis=-1) + alone
    squared = low.sum(axis=-1) + alone - squares / size
    return np.sqrt(np.clip(squared, 0.0, size - 1.0))


def _kernel_language_entropy(
    matrices: _Matrices,
    counts: _Counts,
    alone: _Numbers,
    time: float | int = _TIME,
) -> _Numbers:
    """Of m copies the differences are eigenvectors too, m - 1 times exp(-time d).

    From a sample that is like nothing no heat flows: its eigenvalue is 1/n.
    """
    drawn = counts > 0.0
    roots = np.sqrt(counts)
    degrees = (matrices @ counts[..., None])[..., 0] * drawn
    between = -matrices * roots[..., :, None] * roots[..., None, :]
    places = np.arange(matrices.shape[-1])
    between[..., places, places] += degrees
    values, vectors = np.linalg.eigh(between)
    cooled = np.exp(-time * np.maximum(values, 0.0))
    kernel = (vectors * cooled[..., None, :]) @ vectors.swapaxes(-1, -2)
    apart = np.exp(-time * degrees)
    once = np.maximum(counts, 1.0)
    ends = kernel[..., places, places] / once + apart * (1.0 - 1.0 / once)
    size = counts.sum(axis=-1) + alone
    weights = drawn / (ends * size[..., None])
    scale = np.sqrt(weights)
    inner = np.linalg.eigvalsh(kernel * scale[..., :, None] * scale[..., None, :])
    entropy = entropy_terms(inner).sum(axis=-1)
    entropy += ((counts - drawn) * entropy_terms(apart * weights)).sum(axis=-1)
    return np.clip(entropy + alone * np.log(size) / size, 0.0, np.log(size))


def _vendi_score(matrices: _Matrices, counts: _Counts, alone: _Numbers) -> _Numbers:
    """Of W/n: the others' eigenvalues by their share, and 1/n for each alone."""
    others = counts.sum(axis=-1)
    size = others + alone
    # Where only such samples were drawn the others have no share; one stands in.
    there = counts.copy()
    there[others == 0.0, 0] = 1.0
    inner = np.log(effective_number(matrices, there))
    share = others / size
    entropy = share * inner + entropy_terms(share) + alone * np.log(size) / size
    return np.clip(np.exp(entropy), 1.0, size)


GRAPH_MEASURES: Mapping[str, PairMeasure] = {
    "eigenvalue_uncertainty": PairMeasure(
        _eigenvalue_uncertainty, "1", "uncertainty", (_LIN,), spectral=True
    ),
    "degree_uncertainty": PairMeasure(_degree_uncertainty, "1", "uncertainty", (_LIN,)),
    "eccentricity": PairMeasure(
        _eccentricity, "1", "uncertainty", (_LIN,), spectral=True
    ),
    "kernel_language_entropy": PairMeasure(
        _kernel_language_entropy, "nats", "uncertainty", (_NIKITIN,), spectral=True
    ),
    "vendi_score": PairMeasure(
        _vendi_score, "1", "uncertainty", (_VENDI,), spectral=True
    ),
}
"""The family, by the names of the public functions."""
