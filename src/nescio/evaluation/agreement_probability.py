"""From how samples agree to the probability that their answer is right.

How far samples agree is no probability: ten samples of a model that always errs the
same way agree fully. On questions with known answers one sees how often the leading
answer is right where they agree so far, and reads new questions by that. What was
fitted holds for the same number of samples, the same way of sorting them into sets, and
questions like those of the fit: the first two are checked here, the third cannot be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from nescio.calibration import beta, histogram, isotonic, platt, venn_abers
from nescio.calibration.influence import cluster_of_rows
from nescio.calibration.measuring import How
from nescio.consistency.answers import Answers
from nescio.errors import InvalidInput, NotEnoughData, SchemaError
from nescio.evaluation.meter import Meter
from nescio.evaluation.parts import part_of
from nescio.outcome import Estimate, Outcomes, Recipe
from nescio.outcome.fields import floats, object_of, whole
from nescio.uncertainty import MINIMUM_UNITS
from nescio.uncertainty.resampling import expanded_tail

__all__ = [
    "RECALIBRATORS",
    "AgreementCalibrator",
    "Band",
    "Kind",
    "fit_calibrator",
    "from_dict",
    "kind_of",
]

FORMAT_VERSION = 1
_GRID = 401
_FEWEST_RESAMPLES = 40
_SOURCES = (
    "Lyu et al. (2024), Calibrating Large Language Models with Sample Consistency",
    "Efron & Tibshirani (1993), An Introduction to the Bootstrap",
)
_VENN = ("Vovk & Petej (2014), Venn-Abers predictors",)


@dataclass(frozen=True)
class Kind:
    """A family of recalibrators as it is used here."""

    module: Any
    options: Callable[[int], dict[str, Any]]


def _clipped(samples: int) -> dict[str, Any]:
    """Full agreement of n samples is no more than 1 - 1/2n."""
    return {"clip": 0.5 / samples}


def _smoothed(samples: int) -> dict[str, Any]:
    del samples
    return {"smoothing": 1.0}


def _plain(samples: int) -> dict[str, Any]:
    del samples
    return {}


RECALIBRATORS: Mapping[str, Kind] = {
    "beta": Kind(beta, _clipped),
    "platt": Kind(platt, _clipped),
    "isotonic": Kind(isotonic, _smoothed),
    "histogram": Kind(histogram, _smoothed),
    "venn_abers": Kind(venn_abers, _plain),
}
"""By name. None of them makes full agreement certain: `beta` and `platt` move 0 and 1
inwards by half a sample, `isotonic` and `histogram` add one right and one wrong answer
to each block, `venn_abers` is never certain."""


@dataclass(frozen=True, eq=False)
class Band:
    """How far the fitted probability may be off, by confidence.

    Args:
        confidence: rising, from 0 to 1, [k].
        low, high: limits of the probability at each, [k].
        level: the coverage aimed at.
        resamples, seed: of the bootstrap over questions.
        units: questions, or clusters of them, that were resampled.
    """

    confidence: Float[np.ndarray, " k"]
    low: Float[np.ndarray, " k"]
    high: Float[np.ndarray, " k"]
    level: float
    resamples: int
    seed: int
    units: int

    def at(
        self, confidence: Float[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """The limits; between two places, the outer ones of both."""
        last = len(self.confidence) - 1
        above = np.searchsorted(self.confidence, confidence - 1e-12).clip(0, last)
        below = np.searchsorted(self.confidence, confidence + 1e-12, side="right") - 1
        below = below.clip(0, last)
        return (
            np.minimum(self.low[below], self.low[above]),
            np.maximum(self.high[below], self.high[above]),
        )


@dataclass(frozen=True, eq=False)
class AgreementCalibrator:
    """From the samples of a question to the probability that their answer is right.

    Args:
        meter: what is measured, and of which samples.
        recalibrator: from the measure to the probability.
        band: limits of it.
        questions: how many it was fitted on.
    """

    meter: Meter
    recalibrator: Any
    band: Band
    questions: int

    def probability(self, samples: Answers) -> Estimate:
        """The probability that the leading answer of a question is right.

        The interval is over other questions to fit on, of the same kind; with
        `venn_abers` it holds the two probabilities as well.

        Raises:
            InvalidInput: another number of samples, or another way of sorting.
        """
        value, low, high = (column[0] for column in self.probabilities([samples]))
        settings = {
            **self.meter.settings,
            "confidence": float(self.meter.confidences([samples])[0]),
            "recalibrator": self.recalibrator.to_dict()["recalibrator"],
            "fitted_on": self.questions,
            "interval": "expanded percentiles of fits to resampled questions",
            "resamples": self.band.resamples,
            "seed": self.band.seed,
        }
        sources = _SOURCES
        if isinstance(self.recalibrator, venn_abers.VennAbers):
            p0, p1 = self.recalibrator.probabilities(_alone(settings["confidence"]))
            settings |= {"p0": float(p0[0]), "p1": float(p1[0])}
            sources = (*sources, *_VENN)
        return Estimate(
            "probability_right",
            float(value),
            "1",
            self.questions,
            "confidence",
            "questions like those of the fit with this agreement",
            Recipe("probability_right", settings, sources),
            low=float(low),
            high=float(high),
            level=self.band.level,
        )

    def probabilities(
        self, questions: Sequence[Answers]
    ) -> tuple[
        Float[np.ndarray, " questions"],
        Float[np.ndarray, " questions"],
        Float[np.ndarray, " questions"],
    ]:
        """The probability of each question and its two limits.

        A question without any valid answer has probability 0.

        Raises:
            InvalidInput: another number of samples, or another way of sorting.
        """
        confidence = self.meter.confidences(questions)
        value, low, high = self.of_confidences(confidence)
        void = np.array([answers.leader is None for answers in questions])
        value, low, high = (np.where(void, 0.0, one) for one in (value, low, high))
        return value, low, high

    def of_confidences(
        self, confidence: Float[np.ndarray, " n"]
    ) -> tuple[
        Float[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]
    ]:
        """The same for values of the measure, in [0, 1], of the meter's samples.

        Raises:
            InvalidInput: values outside [0, 1].
        """
        rows = Outcomes(confidence, np.zeros(len(confidence), dtype=np.bool_))
        value = self.recalibrator.apply(rows).confidence
        low, high = self.band.at(confidence)
        if isinstance(self.recalibrator, venn_abers.VennAbers):
            p0, p1 = self.recalibrator.probabilities(rows)
            low, high = np.minimum(low, p0), np.maximum(high, p1)
        return value, np.minimum(low, value), np.maximum(high, value)

    def apply(self, outcomes: Outcomes) -> Outcomes:
        """The same rows with the probability for the confidence."""
        return self.recalibrator.apply(outcomes)

    def to_dict(self) -> dict[str, Any]:
        """JSON values that `from_dict` reads, the same to the last bit."""
        band = self.band
        return {
            "calibrator": "agreement",
            "version": FORMAT_VERSION,
            "meter": self.meter.settings,
            "recalibrator": self.recalibrator.to_dict(),
            "band": {
                **{name: getattr(band, name).tolist() for name in _COLUMNS},
                **{name: getattr(band, name) for name in _NUMBERS},
            },
            "questions": self.questions,
        }


_COLUMNS = ("confidence", "low", "high")
_NUMBERS = ("level", "resamples", "seed", "units")


def fit_calibrator(
    meter: Meter,
    outcomes: Outcomes,
    *,
    recalibrator: str = "beta",
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
) -> AgreementCalibrator:
    """Fit the probability of being right to questions with known answers.

    Args:
        meter: what was measured.
        outcomes: of questions with gold, `Meter.outcomes`; clusters, where they are
            named, are resampled whole.
        recalibrator: a name of `RECALIBRATORS`.
        level: of the interval.
        resamples: fits to resampled questions, for the interval.
        seed: of those.

    Raises:
        InvalidInput: an unknown recalibrator, too few resamples.
        NotEnoughData: few questions, or all of them right or all wrong.

    Example:
        >>> from nescio.consistency.answers import answers_of
        >>> asked = [answers_of(["a"] * k + ["b"] * (5 - k), id=f"{k}.{i}")
        ...          for k in (3, 4, 5) for i in range(20)]
        >>> correct = ([1, 0] * 10) + ([1, 1, 1, 0] * 5) + ([1] * 19 + [0])
        >>> meter = Meter.of(asked)
        >>> fitted = fit_calibrator(meter, meter.outcomes(asked, correct))
        >>> found = fitted.probability(asked[-1])
        >>> found.low < 0.95 < found.high, 0.9 < found.value < 1
        (True, True)

    Source: Lyu et al. (2024); Efron & Tibshirani (1993) for the interval.
    """
    how = How(level, resamples, seed)
    kind = kind_of(recalibrator)
    owner, units = cluster_of_rows(outcomes)
    if units < max(MINIMUM_UNITS, 2):
        raise NotEnoughData(f"{units} questions are too few to fit a probability on")
    if outcomes.correct.all() or not outcomes.correct.any():
        which = "right" if outcomes.correct.all() else "wrong"
        raise NotEnoughData(
            f"all {len(outcomes)} answers of the fit are {which}: nothing tells how "
            "often they are not; add other questions"
        )
    fit = partial(kind.module.fit, **kind.options(meter.samples))
    places = np.unique(
        [*np.linspace(0.0, 1.0, _GRID), *np.arange(meter.samples + 1) / meter.samples]
    )
    rows = Outcomes(places, np.zeros(len(places), dtype=np.bool_))
    rng, curves = np.random.default_rng(seed), []
    for _ in range(how.resamples):
        count = np.bincount(rng.integers(0, units, units), minlength=units)
        drawn = np.repeat(np.arange(len(outcomes)), count[owner])
        curves.append(fit(part_of(outcomes, drawn)).apply(rows).confidence)
    tail = expanded_tail(level, units)
    low, high = np.quantile(np.array(curves), [tail, 1.0 - tail], axis=0)
    band = Band(places, low, high, level, resamples, seed, units)
    return AgreementCalibrator(meter, fit(outcomes), band, len(outcomes))


def from_dict(fields: Any) -> AgreementCalibrator:
    """The calibrator that ``to_dict`` wrote, the same to the last bit.

    Raises:
        SchemaError: anything else; the message names the field.
    """
    names = ("calibrator", "version", "meter", "recalibrator", "band", "questions")
    given = object_of(fields, names, "agreement calibrators")
    if given["calibrator"] != "agreement" or given["version"] != FORMAT_VERSION:
        raise SchemaError(
            f"an agreement calibrator of version {FORMAT_VERSION} was expected, not "
            f"{given['calibrator']!r:.40} of {given['version']!r:.40}"
        )
    names = ("measure", "samples", "sorting", "convention")
    measured = object_of(given["meter"], names, "meters")
    band = object_of(given["band"], (*_COLUMNS, *_NUMBERS), "bands")
    columns = {name: np.array(floats(band[name], name)) for name in _COLUMNS}
    inner = given["recalibrator"]
    name = inner.get("recalibrator") if isinstance(inner, Mapping) else None
    if not isinstance(name, str) or name not in RECALIBRATORS:
        raise SchemaError(f"recalibrator is {name!r:.40}: {', '.join(RECALIBRATORS)}")
    _check_columns(columns)
    numbers = {**band, **measured, "questions": given["questions"]}
    counts = ("resamples", "seed", "units", "samples", "questions")
    whole([numbers[count] for count in counts], "a number of a calibrator")
    if min(numbers["units"], numbers["questions"]) < 1:
        raise SchemaError("a calibrator was fitted to at least one question")
    if not isinstance(measured["sorting"], Mapping):
        raise SchemaError(f"sorting is {measured['sorting']!r:.40}: a recipe is needed")
    try:
        meter = Meter(**measured)
        how = How(band["level"], band["resamples"], band["seed"])
    except (TypeError, ValueError) as error:
        raise SchemaError(f"not an agreement calibrator: {error}") from error
    limits = Band(
        **columns,
        level=how.level,
        resamples=how.resamples,
        seed=how.seed,
        units=band["units"],
    )
    fitted = RECALIBRATORS[name].module.from_dict(inner)
    return AgreementCalibrator(meter, fitted, limits, given["questions"])


def _check_columns(columns: Mapping[str, np.ndarray]) -> None:
    confidence, low, high = (columns[name] for name in _COLUMNS)
    if len({len(column) for column in columns.values()}) > 1 or len(confidence) < 2:
        raise SchemaError("the columns of a band are equally long, at least 2 rows")
    if not (np.diff(confidence) > 0).all() or confidence[0] or confidence[-1] != 1.0:
        raise SchemaError("the confidence of a band rises from 0 to 1")
    if not ((low >= 0) & (low <= high) & (high <= 1)).all():
        raise SchemaError("the limits of a band are in [0, 1], low below high")


def kind_of(recalibrator: str) -> Kind:
    """The family of that name.

    Raises:
        InvalidInput: naming those there are.
    """
    if recalibrator not in RECALIBRATORS:
        raise InvalidInput(
            f"recalibrator {recalibrator!r} is none of {', '.join(RECALIBRATORS)}"
        )
    return RECALIBRATORS[recalibrator]


def _alone(confidence: float) -> Outcomes:
    return Outcomes(np.array([confidence]), np.zeros(1, dtype=np.bool_))
