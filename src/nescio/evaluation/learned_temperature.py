"""A temperature that is read off hidden states: fitted once, frozen, applied, saved.

What ``fit`` of `nescio.evaluation.thermometer` and of
`nescio.evaluation.adaptive_temperature` gives. Weights are arrays and are applied in
NumPy, in float64: torch is needed for the fit alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from nescio.calibration.softmax import log_softmax, logits_of, per_score, with_logp
from nescio.errors import InvalidInput, NotEnoughData
from nescio.evaluation.answer_states import AnswerStates
from nescio.outcome import Estimate, Predictions, Recipe
from nescio.uncertainty import (
    MINIMUM_UNITS,
    bootstrap_clusters,
    bootstrap_rows,
)

__all__ = [
    "SAME_ORIGIN",
    "Kind",
    "LearnedTemperature",
    "Learning",
    "LearningReport",
    "MOST_INVERSE",
    "check_same_origin",
    "cooled_by",
]

Kind = Literal["thermometer", "adaptive temperature"]

SAME_ORIGIN = ("model_digest", "tokenizer_digest", "precision")
"""What has to be equal for hidden states to mean the same."""

SOURCES: Mapping[str, tuple[str, ...]] = {
    "thermometer": ("Shen et al. (2024), Thermometer",),
    "adaptive temperature": ("Xie et al. (2024), Adaptive Temperature Scaling",),
}
MOST_INVERSE = 1e300
"""β of a temperature of 0; its reciprocal is that of an infinite one."""
_NAMES: Mapping[str, tuple[frozenset[str], ...]] = {
    "thermometer": (
        frozenset({"inner", "inner_bias", "outer", "outer_bias", "last", "last_bias"}),
    ),
    "adaptive temperature": (
        frozenset({"last", "last_bias"}),
        frozenset({"inner", "inner_bias", "last", "last_bias"}),
    ),
}
_SCALING = frozenset({"centre", "spread"})


@dataclass(frozen=True)
class Learning:
    """How a head is trained.

    Args:
        hidden: of the layer between; None: there is none (adaptive temperature only).
        steps: of AdamW.
        batch: rows a step, drawn without repetition.
        learning_rate, weight_decay: of AdamW.
        validation: the share of each task's questions (whole clusters) that no step
            sees and that decides which step's weights are kept; 0: the last one's.
        every: how many steps lie between two looks at them.
        standardised: whether each of the states' numbers is shifted and scaled to mean
            0 and deviation 1 over the rows of the fit. Published: they are not.
        seed: of weights, batches and split.

    Raises:
        InvalidInput: a number out of range.

    Example:
        >>> Learning(steps=0)
        Traceback (most recent call last):
        nescio.errors.InvalidInput: steps is 0: at least 1
    """

    hidden: int | None = 256
    steps: int = 2000
    batch: int = 128
    learning_rate: float | int = 1e-3
    weight_decay: float | int = 1e-4
    validation: float | int = 0.2
    every: int = 50
    standardised: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("hidden", "steps", "batch", "every"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise InvalidInput(f"{name} is {number}: at least 1")
        for name in ("learning_rate", "weight_decay"):
            number = getattr(self, name)
            if not 0.0 <= number < math.inf:
                raise InvalidInput(f"{name} is {number}: a finite number, not below 0")
        if not 0.0 <= self.validation < 1.0:
            raise InvalidInput(
                f"validation is {self.validation}: a share from 0 to below 1, e.g. 0.2"
            )
        if self.seed < 0:
            raise InvalidInput(f"seed is {self.seed}: at least 0")


@dataclass(frozen=True)
class LearningReport:
    """How a fit went.

    Args:
        tasks: it was trained on.
        n: rows that steps were taken on.
        n_validation: rows that decided which step is kept.
        rows_set_aside: of impossible right answers, which no temperature helps.
        log_loss_before, log_loss_after: on all rows of the training tasks, nats.
        kept_step: whose weights these are.
        history: (step, loss of the step, loss on the validation rows or None).
    """

    tasks: tuple[str, ...]
    n: int
    n_validation: int
    rows_set_aside: int
    log_loss_before: float
    log_loss_after: float
    kept_step: int
    history: tuple[tuple[int, float, float | None], ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        fields = asdict(self)
        return fields | {
            "tasks": list(self.tasks),
            "history": [list(one) for one in self.history],
        }

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> LearningReport:
        """The report that `to_dict` wrote."""
        history = tuple((int(s), a, b) for s, a, b in fields["history"])
        return LearningReport(
            **{**fields, "tasks": tuple(fields["tasks"]), "history": history}
        )


@dataclass(frozen=True, eq=False)
class LearnedTemperature:
    """A fitted head.

    Args:
        kind: ``"thermometer"``: one temperature for all questions of a task, from the
            mean of what the head says of each, without any answer being known.
            ``"adaptive temperature"``: one for every row.
        weights: by name, float32.
        origin: of the model whose hidden states it reads.
        settings: all that decided the fit; JSON values.
        report: of the fit.

    Raises:
        InvalidInput: an unknown kind, weights that are missing, of other shapes, or
            not finite.
    """

    kind: Kind
    weights: Mapping[str, np.ndarray] = field(repr=False)
    origin: Mapping[str, Any] = field(repr=False)
    settings: Mapping[str, Any] = field(repr=False)
    report: LearningReport = field(repr=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InvalidInput(f"kind is {self.kind!r:.60}; one of {get_args(Kind)}")
        _check_weights(self.kind, self.weights)
        frozen = {name: np.array(one) for name, one in self.weights.items()}
        for one in frozen.values():
            one.setflags(write=False)
        object.__setattr__(self, "weights", frozen)

    @property
    def width(self) -> int:
        """Of the hidden states it reads."""
        name = "inner" if "inner" in self.weights else "last"
        return self.weights[name].shape[-1]

    def inverse_temperatures(self, states: AnswerStates) -> Float[np.ndarray, " n"]:
        """β = 1/T of each row by itself, as the head gives it, above 0.

        Raises:
            InvalidInput: states of another model, precision or width.
        """
        self._check(states)
        most = self.settings.get("most")
        found = _inverse(self.kind, self.weights, states.states.astype(np.float64))
        return found if most is None else np.minimum(found, most)

    def apply(self, states: AnswerStates) -> Predictions:
        """The answers at the temperature read off the states.

        Right answers are not looked at. The most probable one stays so.

        Raises:
            InvalidInput: states of another model, precision or width.
        """
        inverse = self.inverse_temperatures(states)
        if self.kind == "thermometer":
            inverse = np.full_like(inverse, inverse.mean())
        return cooled_by(states.predictions, inverse)

    def temperature(
        self, states: AnswerStates, *, level: float = 0.95, seed: int = 0
    ) -> Estimate:
        """T = 1 / mean β over these rows; THERMOMETER's own, else a summary.

        The interval is that of other questions of the same kind, the head as it is.

        Args:
            states: of a task; whole clusters are resampled.
            level, seed: of the interval.
        """
        inverse = self.inverse_temperatures(states)
        units = len(set(states.cluster or states.ids))
        settings = {"kind": self.kind, "task": states.task, **self.settings}
        recipe = Recipe("temperature", settings, SOURCES[self.kind])
        estimate = Estimate(
            "temperature",
            float(1.0 / inverse.mean()),
            "1",
            len(states),
            "confidence",
            "questions like these, the head as it is",
            recipe,
            n_clusters=None if states.cluster is None else units,
        )
        try:
            found = _limits(inverse, states, units, level=level, seed=seed)
        except NotEnoughData as reason:
            words = f"{estimate.population}; no interval: {reason}"
            return replace(estimate, population=words)
        return replace(
            estimate,
            low=found.low,
            high=found.high,
            level=level,
            recipe=replace(recipe, settings={**settings, **found.settings}),
        )

    def _check(self, states: AnswerStates) -> None:
        check_same_origin(self.origin, states, "this head was trained on")
        if states.width != self.width:
            raise InvalidInput(
                f"hidden states of width {states.width}; this head reads {self.width}"
            )


def cooled_by(data: Predictions, inverse: Float[np.ndarray, " n"]) -> Predictions:
    """Every row's logits times its own β = 1/T, normalised; impossible answers stay so.

    Example:
        >>> rows = Predictions.of([[0.0, 1.0], [0.0, -np.inf]], [0, 0], "logit")
        >>> found = cooled_by(rows, np.array([0.0, 2.0]))
        >>> [np.exp(found.logp(row)).tolist() for row in (0, 1)]
        [[0.5, 0.5], [1.0, 0.0]]
    """
    inside = np.clip(inverse, 1.0 / MOST_INVERSE, MOST_INVERSE)
    with np.errstate(over="ignore"):
        cooled = logits_of(data) * per_score(inside, data.offsets)
    return with_logp(data, log_softmax(cooled, data.offsets))


def check_same_origin(
    origin: Mapping[str, Any], states: AnswerStates, words: str
) -> None:
    """Refuse hidden states that mean something else.

    Raises:
        InvalidInput: those of another model, tokenizer or precision; names both.
    """
    for name in SAME_ORIGIN:
        own, other = origin.get(name), states.origin.get(name)
        if own != other:
            raise InvalidInput(
                f"{states.task!r:.60}: {name} is {other!r:.80}, {words} {own!r:.80} "
                f"({origin.get('model')!r:.60}): hidden states of one model say "
                "nothing about another"
            )


def _limits(
    inverse: np.ndarray, states: AnswerStates, units: int, *, level: float, seed: int
) -> Any:
    if units < MINIMUM_UNITS:
        raise NotEnoughData(
            f"{units} questions or clusters, fewer than {MINIMUM_UNITS}"
        )
    how: dict[str, Any] = {"level": level, "seed": seed}
    if states.cluster is None:
        return bootstrap_rows(inverse[:, None], _reciprocal, **how)
    clusters = list(states.cluster)
    return bootstrap_clusters(inverse[:, None], _reciprocal, clusters=clusters, **how)


def _reciprocal(means: np.ndarray) -> np.ndarray:
    return 1.0 / means[:, 0]


def _inverse(
    kind: str, weights: Mapping[str, np.ndarray], states: np.ndarray
) -> Float[np.ndarray, " n"]:
    """What the heads of `nescio.training.temperature_heads` give, in float64."""
    w = {name: one.astype(np.float64) for name, one in weights.items()}
    if "centre" in w:
        states = (states - w["centre"]) / w["spread"]
    if kind == "thermometer":
        inner = np.einsum("bhw,rw->rbh", w["inner"], states, optimize=True)
        inner = np.maximum(inner + w["inner_bias"], 0.0)
        branches = (inner * w["outer"]).sum(-1) + w["outer_bias"]
        return np.logaddexp(0.0, branches @ w["last"] + w["last_bias"])
    if "inner" in w:
        states = np.maximum(states @ w["inner"].T + w["inner_bias"], 0.0)
    with np.errstate(over="ignore"):
        return np.exp(states @ w["last"] + w["last_bias"])


def _check_weights(kind: str, weights: Mapping[str, np.ndarray]) -> None:
    given = frozenset(weights)
    if given - _SCALING not in _NAMES[kind] or len(given & _SCALING) == 1:
        raise InvalidInput(f"a {kind} has no weights {sorted(given)}")
    for name, one in weights.items():
        if one.dtype != np.float32 or not np.isfinite(one).all():
            raise InvalidInput(f"weights {name!r} are not finite float32 numbers")
    shapes = {name: one.shape for name, one in weights.items()}
    if shapes != _shapes(kind, weights):
        raise InvalidInput(f"weights of a {kind} have shapes that disagree: {shapes}")
    if "spread" in weights and not (weights["spread"] > 0).all():
        raise InvalidInput("spread holds a number that is not above 0")


def _shapes(kind: str, weights: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """The shapes that all weights need to have, given the innermost."""
    if kind == "thermometer":
        branches, hidden, width = (*weights["inner"].shape, 0, 0, 0)[:3]
        found = {
            "inner": (3, hidden, width),
            "inner_bias": (3, hidden),
            "outer": (3, hidden),
            "outer_bias": (3,),
            "last": (branches,),
            "last_bias": (),
        }
    elif "inner" in weights:
        hidden, width = (*weights["inner"].shape, 0, 0)[:2]
        found = {
            "inner": (hidden, width),
            "inner_bias": (hidden,),
            "last": (hidden,),
            "last_bias": (),
        }
    else:
        width = (*weights["last"].shape, 0)[0]
        found = {"last": (width,), "last_bias": ()}
    if "centre" in weights:
        found |= {"centre": (width,), "spread": (width,)}
    return found
