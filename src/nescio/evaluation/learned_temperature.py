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
from nescio.evaluation.answer_texts import TextStates
from nescio.evaluation.learned_heads import (
    block_inverse,
    check_weights,
    inverse,
    is_block,
    width_of,
)
from nescio.outcome import Estimate, Predictions, Recipe
from nescio.uncertainty import (
    MINIMUM_UNITS,
    bootstrap_clusters,
    bootstrap_rows,
)

__all__ = [
    "SAME_ORIGIN",
    "Head",
    "Kind",
    "LearnedTemperature",
    "Learning",
    "LearningReport",
    "MOST_INVERSE",
    "check_same_origin",
    "cooled_by",
    "texts_of",
]

Kind = Literal["thermometer", "adaptive temperature"]

SAME_ORIGIN = ("model_digest", "tokenizer_digest", "precision")
"""What has to be equal for hidden states to mean the same."""

SOURCES: Mapping[str, tuple[str, ...]] = {
    "thermometer": ("Shen et al. (2024), Thermometer",),
    "adaptive temperature": ("Xie et al. (2024), Adaptive Temperature Scaling",),
}
MOST_INVERSE = 1e100  # its square is a number too: intervals need that
"""β of a temperature of 0; its reciprocal is that of an infinite one."""
Head = Literal["linear", "mlp", "transformer"]
"""One layer; two; a block over the text (`nescio.training.temperature_block`)."""


@dataclass(frozen=True)
class Learning:
    """How a head is trained.

    Args:
        head: ``"linear"`` (one layer), ``"mlp"`` (two), or ``"transformer"``: one block
            over the text up to the answer, which needs `AnswerStates.texts`.
            THERMOMETER's branches are ``"mlp"`` and nothing else.
        hidden: width of the layer between, or of the block; a linear head has none.
        heads: of the block's attention; ``hidden`` is a multiple of twice as many.
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

    head: Head = "mlp"
    hidden: int = 256
    heads: int = 4
    steps: int = 2000
    batch: int = 128
    learning_rate: float | int = 1e-3
    weight_decay: float | int = 1e-4
    validation: float | int = 0.2
    every: int = 50
    standardised: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.head not in get_args(Head):
            raise InvalidInput(f"head is {self.head!r:.60}; one of {get_args(Head)}")
        for name in ("hidden", "heads", "steps", "batch", "every"):
            number = getattr(self, name)
            if number < 1:
                raise InvalidInput(f"{name} is {number}: at least 1")
        if self.head == "transformer" and self.hidden % (2 * self.heads):
            raise InvalidInput(
                f"hidden is {self.hidden} and heads {self.heads}: hidden has to be a "
                "multiple of twice the heads, e.g. 64 with 4"
            )
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

    def told(self) -> dict[str, Any]:
        """JSON values; without what the head has not."""
        absent = {"linear": ("hidden", "heads"), "mlp": ("heads",), "transformer": ()}
        fields = asdict(self)
        return {n: one for n, one in fields.items() if n not in absent[self.head]}


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
        check_weights(self.kind, self.weights)
        frozen = {name: np.array(one) for name, one in self.weights.items()}
        for one in frozen.values():
            one.setflags(write=False)
        object.__setattr__(self, "weights", frozen)

    @property
    def width(self) -> int:
        """Of the hidden states it reads."""
        return width_of(self.weights)

    def inverse_temperatures(self, states: AnswerStates) -> Float[np.ndarray, " n"]:
        """β = 1/T of each row by itself, as the head gives it, above 0.

        Raises:
            InvalidInput: states of another model, precision or width; for a head that
                reads texts, states without them.
        """
        self._check(states)
        most = self.settings.get("most")
        if is_block(self.weights):
            texts = texts_of(states, self.settings.get("before"))
            found = block_inverse(self.weights, texts)
        else:
            found = inverse(self.kind, self.weights, states.states)
        return found if most is None else np.minimum(found, most)

    def apply(self, states: AnswerStates) -> Predictions:
        """The answers at the temperature read off the states.

        Right answers are not looked at. The most probable one stays so.

        Raises:
            InvalidInput: as `inverse_temperatures`.
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


def texts_of(states: AnswerStates, before: int | None) -> TextStates:
    """The texts of the answers, cut as a head needs them.

    Raises:
        InvalidInput: states without texts, or with texts of another cut.
    """
    kept = states.texts
    if kept is None:
        raise InvalidInput(
            f"{states.task!r:.60} holds the answers' own states only; this head reads "
            "those of the text before too: answer_states(..., before=None)"
        )
    if kept.before != before:
        raise InvalidInput(
            f"{states.task!r:.60} keeps {_told(kept.before)} before an answer, this "
            f"head reads {_told(before)}: read it with before={before}"
        )
    return kept


def _told(before: int | None) -> str:
    return "all tokens" if before is None else f"{before} tokens"


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
