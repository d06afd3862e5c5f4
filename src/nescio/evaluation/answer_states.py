"""What a frozen model has in mind when it answers: hidden states beside its answers.

The hidden state of a question is what the model's head is given at the last position
of the prompt, where the answer begins: the last layer's row, normed. Of running text
there is one for every token, that from which the token was predicted. Calibrators that
learn (`nescio.evaluation.thermometer`, `nescio.evaluation.adaptive_temperature`) read a
temperature off them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float32

from nescio.errors import InvalidInput
from nescio.evaluation.answer_texts import TextStates
from nescio.outcome import Outcomes, Predictions

__all__ = ["AnswerStates"]


@dataclass(frozen=True, eq=False)
class AnswerStates:
    """The answers of one model to one task, and its hidden states where they begin.

    Args:
        task: its name.
        predictions: one row a question (or a token), with the right answer.
        states: hidden states, [n, width].
        origin: where they come from: an `Origin` as JSON values. Calibrators refuse
            those of another model, tokenizer or precision.
        ids: of the questions, [n].
        cluster: what was drawn together, [n]; None: all rows stand alone.
        settings: the prompt's recipe; JSON values.
        texts: the states of the tokens before the answers, for a head that reads them
            (``Learning(head="transformer")``); None: they were not kept.

    Raises:
        InvalidInput: other numbers of rows, a state that is not finite (names its
            row), states of no width, texts whose states are others.

    Example:
        >>> from nescio.trace import Origin
        >>> rows = Predictions.of([[1.0, 0.0], [0.0, 1.0]], [0, 0], "logit")
        >>> states = np.zeros((2, 3), dtype=np.float32)
        >>> origin = Origin("made", "digest", "digest", "none", "f32").to_dict()
        >>> AnswerStates("sums", rows, states, origin, ids=("a", "b"))
        AnswerStates('sums', n=2, width=3, model='made')
    """

    task: str
    predictions: Predictions
    states: Float32[np.ndarray, "n width"]
    origin: Mapping[str, Any]
    ids: tuple[str, ...]
    cluster: tuple[str, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    texts: TextStates | None = None

    def __post_init__(self) -> None:
        rows = len(self.predictions)
        counts = {"states": len(self.states), "ids": len(self.ids)}
        if self.cluster is not None:
            counts["cluster"] = len(self.cluster)
        for name, count in counts.items():
            if count != rows:
                raise InvalidInput(f"{count} {name} for {rows} answers: one each")
        if self.states.shape[1] < 1:
            raise InvalidInput("hidden states of width 0 say nothing")
        odd = np.flatnonzero(~np.isfinite(self.states).all(axis=1))
        if len(odd):
            raise InvalidInput(
                f"the hidden state of row {odd[0]} ({self.ids[odd[0]]!r:.60}) holds "
                "NaN or infinity: read it again in a wider precision"
            )
        if not isinstance(self.origin.get("model_digest"), str):
            raise InvalidInput("origin names no model_digest; give Origin.to_dict()")
        if self.texts is not None:
            _check_texts(self.states, self.texts)
        frozen = np.array(self.states)
        frozen.setflags(write=False)
        object.__setattr__(self, "states", frozen)

    def __len__(self) -> int:
        return len(self.predictions)

    @property
    def width(self) -> int:
        """Of a hidden state."""
        return self.states.shape[1]

    def outcomes(self, predictions: Predictions | None = None) -> Outcomes:
        """The top answers, of these predictions or of recalibrated ones."""
        found = (predictions or self.predictions).outcomes()
        return replace(found, ids=self.ids, cluster=self.cluster)

    def __repr__(self) -> str:
        return (
            f"AnswerStates({self.task!r}, n={len(self)}, width={self.width}, "
            f"model={self.origin.get('model')!r})"
        )


def _check_texts(states: np.ndarray, texts: TextStates) -> None:
    if len(texts.rows) != len(states) or texts.states.shape[1] != states.shape[1]:
        raise InvalidInput(
            f"texts hold {len(texts.rows)} answers of width {texts.states.shape[1]}, "
            f"states {len(states)} of width {states.shape[1]}"
        )
    other = (texts.states[texts.rows] != states).any(axis=1)
    if other.any():
        raise InvalidInput(
            f"the state of row {np.flatnonzero(other)[0]} is another in its text"
        )
