"""What traces say of a question, token by token: the mean over its samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from nescio.consistency.answers import Answers
from nescio.consistency.token_level import deep_confidence, self_certainty
from nescio.errors import InvalidInput
from nescio.evaluation.consistency_asked import Asked
from nescio.outcome import Estimate, Recipe
from nescio.trace import Samples, Trace
from nescio.uncertainty import MINIMUM_UNITS, bootstrap_rows

__all__ = ["mean_deep_confidence", "mean_self_certainty", "token_columns", "traces_of"]


def traces_of(samples: Samples, name: str) -> tuple[Trace, ...]:
    """The trace of every sample.

    Raises:
        InvalidInput: a sample has none; names it and the measure.
    """
    found = [sample.trace for sample in samples.answers]
    if None in found:
        raise InvalidInput(f"{name}: sample {found.index(None)} has no trace")
    return tuple(one for one in found if one is not None)


def mean_deep_confidence(
    samples: Samples, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Estimate:
    """DeepConf of a question: the mean over its samples of their `deep_confidence`.

    Each sample's is the mean over its tokens, of as many candidates as every token of
    every sample has.

    Args:
        samples: with traces that have candidates.
        level, resamples, seed: of the bootstrap of samples; none below 5.

    Raises:
        InvalidInput: as `deep_confidence`; a sample without a trace.

    Source: Fu et al. (2025), section 3, averaged over samples.
    """
    each, recipe = _deep(samples)
    settings = {**recipe.settings, "over": "mean over samples"}
    population = f"redraws of {len(each)} samples from this model"
    estimate = Estimate(
        "deep_confidence",
        float(each.mean()),
        "nats",
        len(each),
        "confidence",
        population,
        Recipe("deep_confidence", settings, recipe.sources),
    )
    if len(each) < MINIMUM_UNITS:
        words = f"{population}; no interval below {MINIMUM_UNITS} samples"
        return replace(estimate, population=words)
    limits = {"level": level, "resamples": resamples, "seed": seed}
    found = bootstrap_rows(each[:, None], **limits)
    return replace(
        estimate,
        low=min(found.low, float(each.mean())),
        high=max(found.high, float(each.mean())),
        level=level,
        recipe=Recipe(
            "deep_confidence", {**settings, **found.settings}, recipe.sources
        ),
    )


def mean_self_certainty(samples: Samples, *, vocabulary_size: int) -> Estimate:
    """Limits of the mean over samples of their `self_certainty`; certain, for these.

    Args:
        samples: with traces.
        vocabulary_size: how many tokens the model can give.

    Raises:
        InvalidInput: as `self_certainty`; a sample without a trace.

    Source: Kang, Zhao & Song (2025), equation 9, averaged over samples.
    """
    found = [
        self_certainty(trace, vocabulary_size=vocabulary_size)
        for trace in traces_of(samples, "self_certainty")
    ]
    lows = [0.0 if one.low is None else one.low for one in found]
    highs = [one.high for one in found if one.high is not None]
    recipe = found[0].recipe
    settings = {**recipe.settings, "over": "mean over samples"}
    return Estimate(
        "self_certainty",
        None,
        "nats/token",
        len(found),
        "bound",
        "these samples",
        Recipe("self_certainty", settings, recipe.sources),
        low=float(np.mean(lows)),
        high=float(np.mean(highs)) if len(highs) == len(found) else None,
    )


def token_columns(
    name: str,
    questions: Sequence[Answers],
    traces: Mapping[str, Samples] | None,
    asked: Asked,
) -> Float[np.ndarray, " _"]:
    """A measure of tokens for each question; of bounds the lower one.

    Raises:
        InvalidInput: a question without traces, or what they lack; names the question.
    """
    values = []
    for place, answers in enumerate(questions):
        samples = (traces or {}).get(answers.id)
        if samples is None:
            raise InvalidInput(f"{answers.id or f'question {place}'} has no traces")
        values.append(_OF_SAMPLES[name](samples, asked))
    return np.array(values, dtype=np.float64)


def _deep(samples: Samples) -> tuple[Float[np.ndarray, " samples"], Recipe]:
    traces = traces_of(samples, "deep_confidence")
    first = [deep_confidence(trace) for trace in traces]
    top = min(int(one.recipe.settings["top"]) for one in first)
    found = [deep_confidence(trace, top=top) for trace in traces]
    values = [one.value for one in found if one.value is not None]
    return np.array(values, dtype=np.float64), found[0].recipe


def _deep_value(samples: Samples, asked: Asked) -> float:  # noqa: ARG001
    return float(_deep(samples)[0].mean())


def _certainty_low(samples: Samples, asked: Asked) -> float:
    if asked.vocabulary_size is None:
        raise InvalidInput("self_certainty needs the size of the vocabulary")
    found = mean_self_certainty(samples, vocabulary_size=asked.vocabulary_size)
    return 0.0 if found.low is None else found.low


_OF_SAMPLES: Mapping[str, Callable[[Samples, Asked], float]] = {
    "deep_confidence": _deep_value,
    "self_certainty": _certainty_low,
}
