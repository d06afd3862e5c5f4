"""The family of measures of likelihoods: from log-probabilities to one number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from nescio.consistency.likelihoods import Likelihoods
from nescio.consistency.similarity import Similarities
from nescio.errors import InvalidInput
from nescio.uncertainty.bootstrap import Statistic

__all__ = [
    "LIKELIHOOD_MEASURES",
    "TEMPERATURE",
    "LikelihoodMeasure",
    "Redrawn",
    "cocoa_of",
    "density_of",
    "drawn_once",
    "mean_of",
    "sar_of",
]

_LARGEST = 709.0  # exp of more is no float
TEMPERATURE = 1e-3
"""By which sentence SAR divides what other samples lend a sample."""
OfLikelihoods = Callable[[Likelihoods, Similarities | None, int], float]
Redrawn = tuple[int, Statistic]
"""How many units are drawn, and a statistic of how often each was."""

_MALININ = "Malinin & Gales (2021), Uncertainty Estimation in Autoregressive Prediction"
_VASHURIN = "Vashurin et al. (2025), CoCoA: A Minimum Bayes Risk Framework"
_QIU = "Qiu & Miikkulainen (2024), Semantic Density, NeurIPS"
_DUAN = "Duan et al. (2024), Shifting Attention to Relevance, ACL"
_SHANNON = "Shannon (1948)"


@dataclass(frozen=True)
class LikelihoodMeasure:
    """A measure of samples with log-probabilities.

    Args:
        of: from likelihoods, similarities and the sample measured to a number.
        unit: of its numbers.
        rises_with: what it is larger for: ``uncertainty`` or ``confidence``.
        sources: where it comes from.
        tokens: whether it needs the number of tokens.
        compares: whether it needs similarities.
        most: samples above which there is no bootstrap, for its cost.
    """

    of: OfLikelihoods
    unit: str
    rises_with: Literal["uncertainty", "confidence"]
    sources: tuple[str, ...]
    tokens: bool = False
    compares: bool = False
    most: int = 1_000_000


def mean_of(numbers: Float[np.ndarray, " units"]) -> Redrawn:
    """The mean of a number of each unit."""
    return len(numbers), lambda drawn: drawn @ numbers / len(numbers)


def cocoa_of(
    surprisals: Float[np.ndarray, " n"], alike: Similarities | None, place: int
) -> Redrawn:
    """A sample's surprisal times its mean distance from the others, the units."""
    near = _needed(alike).full[place]
    return mean_of(surprisals[place] * np.delete(1.0 - near, place))


def density_of(logs: Likelihoods, alike: Similarities | None, place: int) -> Redrawn:
    """Over the different texts that were drawn; one that was not is not there."""
    number: dict[str, int] = {}
    owner = np.array([number.setdefault(text, len(number)) for text in logs.texts])
    best = np.full(len(number), -np.inf)
    np.maximum.at(best, owner, logs.per_token)
    weights = np.exp(best - best.max())
    near = np.zeros(len(number))
    np.maximum.at(near, owner, _needed(alike).full[place])
    is_text = np.eye(len(number))[owner]

    def statistic(drawn: np.ndarray) -> np.ndarray:
        weighted = ((drawn @ is_text) > 0.0) * weights
        # Weights may all underflow beside the best text, which a redraw may lack.
        total = np.maximum(weighted.sum(axis=1), np.finfo(np.float64).tiny)
        return np.clip((weighted @ near) / total, 0.0, 1.0)

    return len(owner), statistic


def sar_of(
    logs: Likelihoods, alike: Similarities | None, temperature: float | int
) -> Redrawn:
    """The mean over the samples of -log(p + Σ similarity p / temperature)."""
    whole, heat = _needed(alike).full, float(np.log(temperature))
    near = np.log(whole, out=np.full_like(whole, -np.inf), where=whole > 0.0)
    others = near + logs.logp - heat  # row: whose; column: the other sample
    own = np.eye(len(whole), dtype=np.bool_)

    def of_counts(counts: np.ndarray) -> float:
        kept = np.flatnonzero(counts)
        times = counts[kept].astype(np.float64)
        terms = others[np.ix_(kept, kept)] + np.log(times)
        # Of a sample drawn m times each copy has m - 1 others like itself.
        terms[own[np.ix_(kept, kept)]] = logs.logp[kept] + np.log1p(
            (times - 1.0) / temperature
        )
        return float(-(times @ np.logaddexp.reduce(terms, axis=1)) / times.sum())

    return len(whole), lambda drawn: np.array([of_counts(row) for row in drawn])


def _perplexity(per_token: float) -> float:
    if per_token < -_LARGEST:
        raise InvalidInput(
            f"the perplexity at {per_token:.4g} nats a token is above all numbers"
        )
    return float(np.exp(-per_token))


def _needed(alike: Similarities | None) -> Similarities:
    if alike is None:
        raise InvalidInput("this measure compares samples: similarities are needed")
    return alike


def drawn_once(redrawn: Redrawn) -> float:
    """The statistic of the units themselves, each drawn once."""
    units, statistic = redrawn
    return float(statistic(np.ones((1, units), dtype=np.int64))[0])


LIKELIHOOD_MEASURES: Mapping[str, LikelihoodMeasure] = {
    "answer_log_probability": LikelihoodMeasure(
        lambda logs, _, place: float(logs.logp[place]),
        "nats",
        "confidence",
        (_SHANNON,),
    ),
    "answer_perplexity": LikelihoodMeasure(
        lambda logs, _, place: _perplexity(float(logs.per_token[place])),
        "1",
        "uncertainty",
        (_SHANNON,),
        tokens=True,
    ),
    "predictive_entropy": LikelihoodMeasure(
        lambda logs, *_: drawn_once(mean_of(-logs.logp)),
        "nats",
        "uncertainty",
        (_MALININ,),
    ),
    "length_normalised_predictive_entropy": LikelihoodMeasure(
        lambda logs, *_: drawn_once(mean_of(-logs.per_token)),
        "nats/token",
        "uncertainty",
        (_MALININ,),
        tokens=True,
    ),
    "cocoa": LikelihoodMeasure(
        lambda logs, alike, place: drawn_once(cocoa_of(-logs.logp, alike, place)),
        "nats",
        "uncertainty",
        (_VASHURIN,),
        compares=True,
    ),
    "cocoa_per_token": LikelihoodMeasure(
        lambda logs, alike, place: drawn_once(cocoa_of(-logs.per_token, alike, place)),
        "nats/token",
        "uncertainty",
        (_VASHURIN,),
        tokens=True,
        compares=True,
    ),
    "sentence_sar": LikelihoodMeasure(
        lambda logs, alike, _: drawn_once(sar_of(logs, alike, TEMPERATURE)),
        "nats",
        "uncertainty",
        (_DUAN,),
        compares=True,
        most=100,
    ),
    "semantic_density": LikelihoodMeasure(
        lambda logs, alike, place: drawn_once(density_of(logs, alike, place)),
        "1",
        "confidence",
        (_QIU,),
        tokens=True,
        compares=True,
    ),
}
"""The family, by the names of the public functions; `cocoa` is in it twice."""
