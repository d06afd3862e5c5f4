"""Every measure of one question as an estimate with its interval over redraws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from nescio.consistency.agreement import (
    agreement,
    consistency_entropy,
    consistency_entropy_by_samples,
    first_second_distance,
)
from nescio.consistency.answers import Answers
from nescio.consistency.graph import (
    degree_uncertainty,
    eccentricity,
    eigenvalue_uncertainty,
    kernel_language_entropy,
    vendi_score,
)
from nescio.consistency.lexical import (
    lexical_similarity,
    soft_nearest_neighbour_entropy,
)
from nescio.consistency.likelihood_weighted import (
    answer_log_probability,
    answer_perplexity,
    cocoa,
    length_normalised_predictive_entropy,
    predictive_entropy,
    semantic_density,
    sentence_sar,
)
from nescio.consistency.semantic_entropy import semantic_entropy
from nescio.consistency.similarity import Similarities
from nescio.consistency.uncertainties import corrected_semantic_entropy, number_of_sets
from nescio.errors import InvalidInput
from nescio.evaluation.consistency_asked import Asked
from nescio.evaluation.consistency_measures import (
    kind_of_measure,
    similarity_of_measure,
)
from nescio.evaluation.consistency_tokens import (
    mean_deep_confidence,
    mean_self_certainty,
)
from nescio.outcome import Estimate
from nescio.trace import Samples

__all__ = ["question_estimates"]

_MANY = 200  # samples, above which redraws are no more than the level needs
_VOTES: Mapping[str, Callable[..., Estimate]] = {
    "agreement": agreement,
    "first_second_distance": first_second_distance,
    "consistency_entropy": consistency_entropy,
    "consistency_entropy_by_samples": consistency_entropy_by_samples,
    "number_of_sets": number_of_sets,
    **{
        f"semantic_entropy_{name}": partial(semantic_entropy, variant=name)
        for name in (
            "discrete",
            "unique",
            "length_normalised",
            "monte_carlo",
            "rao",
        )
    },
    **{
        f"semantic_entropy_{name}": partial(corrected_semantic_entropy, estimator=name)
        for name in ("miller_madow", "chao_shen")
    },
}
_PAIRS: Mapping[str, Callable[..., Estimate]] = {
    "lexical_similarity": lexical_similarity,
    "soft_nearest_neighbour_entropy": soft_nearest_neighbour_entropy,
    "eigenvalue_uncertainty": eigenvalue_uncertainty,
    "degree_uncertainty": degree_uncertainty,
    "eccentricity": eccentricity,
    "kernel_language_entropy": kernel_language_entropy,
    "vendi_score": vendi_score,
}
_TEXTS: Mapping[str, Callable[..., Estimate]] = {
    "answer_log_probability": answer_log_probability,
    "answer_perplexity": answer_perplexity,
}
_DRAWS: Mapping[str, Callable[..., Estimate]] = {
    "predictive_entropy": predictive_entropy,
    "length_normalised_predictive_entropy": length_normalised_predictive_entropy,
}
_COMPARED: Mapping[str, Callable[..., Estimate]] = {
    "cocoa": cocoa,
    "cocoa_per_token": partial(cocoa, per_token=True),
    "sentence_sar": sentence_sar,
    "semantic_density": semantic_density,
}


def question_estimates(
    answers: Answers,
    names: Sequence[str],
    asked: Asked,
    *,
    alike: Mapping[str, Similarities],
    traces: Samples | None = None,
) -> tuple[dict[str, Estimate], tuple[str, ...]]:
    """Every measure of one question, and why some could not be taken.

    Where no sample has a valid answer, measures of likelihoods and tokens are left out:
    the texts they would speak of are no answers.

    Args:
        answers: at least 2 samples.
        names: of `nescio.evaluation.consistency_measures.MEASURES`.
        asked: how.
        alike: by the name of the similarity, for the measures that compare.
        traces: of the samples, for measures of tokens.

    Raises:
        InvalidInput, NotEnoughData: of a measure that was asked for by name.
    """
    found: dict[str, Estimate] = {}
    notes: list[str] = []
    void = answers.leader is None
    for name in names:
        kind = kind_of_measure(name)
        try:
            if void and kind.needs:
                raise InvalidInput("no sample has a valid answer")
            near = alike[similarity_of_measure(name, asked)] if kind.compares else None
            found[name] = _estimate(name, answers, asked, near=near, traces=traces)
        except InvalidInput as error:
            if asked.measures is not None:
                raise
            notes.append(f"no {name}: {error}")
    return found, tuple(notes)


def _estimate(
    name: str,
    answers: Answers,
    asked: Asked,
    *,
    near: Similarities | None,
    traces: Samples | None,
) -> Estimate:
    plain = name.partition("@")[0]
    if plain in _VOTES:
        limits = asked.limits if len(answers) <= _MANY else asked.fewest
        return _VOTES[plain](answers, convention=asked.convention, **limits)
    if plain in _PAIRS:
        return _PAIRS[plain](near, **asked.fewest)
    if plain in _TEXTS:
        return _TEXTS[plain](answers)
    if plain in _DRAWS:
        return _DRAWS[plain](answers, **asked.limits)
    if plain in _COMPARED:
        how = {"similarity": near, "level": asked.level, "seed": asked.seed}
        return _COMPARED[plain](answers, **how)
    if traces is None:
        raise InvalidInput(f"{plain} needs a trace of every sample")
    if plain == "deep_confidence":
        return mean_deep_confidence(traces, **asked.limits)
    if asked.vocabulary_size is None:
        raise InvalidInput(f"{plain} needs the size of the model's vocabulary")
    return mean_self_certainty(traces, vocabulary_size=asked.vocabulary_size)
