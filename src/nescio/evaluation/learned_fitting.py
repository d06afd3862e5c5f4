"""Training of heads that read a temperature off hidden states. Torch from here on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nescio.calibration.scoring import log_losses
from nescio.errors import InvalidInput
from nescio.evaluation.answer_states import AnswerStates
from nescio.evaluation.learned_rows import (
    Data,
    Rows,
    data_of,
    drawn,
    drawn_texts,
    together,
)
from nescio.evaluation.learned_temperature import (
    Kind,
    LearnedTemperature,
    Learning,
    LearningReport,
)
from nescio.training.temperature_block import block_inverse, block_parameters
from nescio.training.temperature_heads import (
    adaptive_inverse,
    adaptive_parameters,
    thermometer_inverse,
    thermometer_parameters,
)
from nescio.training.temperature_losses import (
    GammaPrior,
    adaptive_temperature_loss,
    cooled_logp,
    thermometer_loss,
)

__all__ = ["fit_adaptive", "fit_thermometer"]

Weights = dict[str, Tensor]


@dataclass(eq=False)
class _Descent:
    """The best weights so far, and how they were come by."""

    weights: Weights
    step: int = 0
    least: float = np.inf
    history: list[tuple[int, float, float | None]] = field(default_factory=list)


def fit_thermometer(
    tasks: Sequence[AnswerStates], learning: Learning, prior: GammaPrior
) -> LearnedTemperature:
    """A random task a step, its rows' mean β; chosen by the tasks' mean log loss."""
    if learning.head != "mlp":
        raise InvalidInput(
            f"head is {learning.head!r}: THERMOMETER's branches are 'mlp', with a "
            "layer between"
        )
    data = data_of(tasks, learning)
    rng = np.random.default_rng(learning.seed)
    start = thermometer_parameters(tasks[0].width, learning.hidden, seed=learning.seed)

    def loss(weights: Weights) -> Tensor:
        rows = data.fit[int(rng.integers(len(data.fit)))]
        rows = drawn([rows], learning.batch, rng)
        inverse = thermometer_inverse(weights, rows.states)
        return thermometer_loss(rows.logits, rows.targets, inverse, prior=prior)

    def judged(weights: Weights) -> float:
        each = [_loss_of_task(weights, rows) for rows in data.validation]
        return float(np.mean(each))

    descent = _descended(start, learning, loss, judged if data.validation else None)
    settings = {"prior": vars(prior)}
    how = {**learning.told(), **settings, "optimiser": "AdamW"}
    return _frozen("thermometer", tasks, data, how=how, descent=descent)


def fit_adaptive(
    tasks: Sequence[AnswerStates], learning: Learning, settings: Mapping[str, Any]
) -> LearnedTemperature:
    """Batches of all tasks' rows; chosen by the same loss on the validation rows."""
    data = data_of(tasks, learning)
    rng = np.random.default_rng(learning.seed)
    start, inverse_of = _head(data, learning, tasks[0].width, settings["most"])
    weighed = {name: settings[name] for name in ("alpha", "weighting")}
    every = together(data.validation) if data.validation else None

    def of_rows(weights: Weights, rows: Rows) -> Tensor:
        inverse = inverse_of(weights, rows)
        return adaptive_temperature_loss(rows.logits, rows.targets, inverse, **weighed)

    def loss(weights: Weights) -> Tensor:
        if data.texts is None:
            return of_rows(weights, drawn(data.fit, learning.batch, rng))
        rows = drawn_texts(data.fit, learning.batch, texts=data.texts, rng=rng)
        return of_rows(weights, rows)

    def judged(weights: Weights) -> float:
        with torch.no_grad():
            return float("nan") if every is None else of_rows(weights, every).item()

    descent = _descended(start, learning, loss, judged if every else None)
    how = {**learning.told(), **settings, "optimiser": "AdamW"}
    if data.texts is not None:
        how["before"] = data.before
    return _frozen("adaptive temperature", tasks, data, how=how, descent=descent)


def _head(
    data: Data, learning: Learning, width: int, most: float
) -> tuple[Weights, Callable[[Weights, Rows], Tensor]]:
    """Weights to begin with, and what gives β of rows from weights."""
    if (texts := data.texts) is not None:
        size = {"heads": learning.heads, "seed": learning.seed}

        def of_texts(weights: Weights, rows: Rows) -> Tensor:
            found = torch.zeros(len(rows))
            for which, states, offsets, own in texts.chunks(rows.own):
                part = block_inverse(weights, states, offsets, rows=own, most=most)
                found = found.index_put((torch.as_tensor(which),), part)
            return found

        return block_parameters(width, learning.hidden, **size), of_texts

    hidden = None if learning.head == "linear" else learning.hidden

    def of_states(weights: Weights, rows: Rows) -> Tensor:
        return adaptive_inverse(weights, rows.states, most=most)

    return adaptive_parameters(width, hidden, seed=learning.seed), of_states


def _descended(
    start: Weights,
    learning: Learning,
    loss: Callable[[Weights], Tensor],
    judged: Callable[[Weights], float] | None,
) -> _Descent:
    """AdamW; the weights of the step that is judged best, or of the last one."""
    weights = {name: one.clone().requires_grad_() for name, one in start.items()}
    optimiser = torch.optim.AdamW(
        weights.values(),
        lr=float(learning.learning_rate),
        weight_decay=float(learning.weight_decay),
    )
    best = _Descent({})
    for step in range(1, learning.steps + 1):
        optimiser.zero_grad()
        value = loss(weights)
        value.backward()
        optimiser.step()
        if step % learning.every and step < learning.steps:
            continue
        found = None if judged is None else judged(weights)
        best.history.append((step, value.item(), found))
        if found is None or found < best.least:
            best.least = np.inf if found is None else found
            best.weights = {n: one.detach().clone() for n, one in weights.items()}
            best.step = step
    if not best.weights or not all(bool(w.isfinite().all()) for w in _all(best)):
        raise InvalidInput(
            f"training went astray with learning_rate {learning.learning_rate}: its "
            "weights are not finite; set a smaller one, or standardised=True"
        )
    return best


def _all(best: _Descent) -> list[Tensor]:
    return list(best.weights.values())


def _loss_of_task(weights: Weights, rows: Rows) -> float:
    with torch.no_grad():
        mean = thermometer_inverse(weights, rows.states).mean()
        logp = cooled_logp(rows.logits, mean)
        return -logp[torch.arange(len(rows)), rows.targets].mean().item()


def _frozen(
    kind: Kind,
    tasks: Sequence[AnswerStates],
    data: Data,
    *,
    how: Mapping[str, Any],
    descent: _Descent,
) -> LearnedTemperature:
    """The fitted head with its report."""
    weights = {name: one.numpy() for name, one in descent.weights.items()}
    report = LearningReport(
        tuple(task.task for task in tasks),
        sum(map(len, data.fit)),
        sum(map(len, data.validation)),
        data.set_aside,
        0.0,
        0.0,
        descent.step,
        tuple(descent.history),
    )
    origin = dict(tasks[0].origin)
    fitted = LearnedTemperature(kind, weights | dict(data.scaling), origin, how, report)
    before = np.concatenate([log_losses(task.predictions) for task in tasks])
    after = np.concatenate([log_losses(fitted.apply(task)) for task in tasks])
    usable = np.isfinite(before) & np.isfinite(after)
    losses = {
        "log_loss_before": float(before[usable].mean()),
        "log_loss_after": float(after[usable].mean()),
    }
    report = LearningReport(**{**vars(report), **losses})
    return LearnedTemperature(kind, fitted.weights, origin, how, report)
