"""Training of heads that read a temperature off hidden states. Torch from here on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from nescio.calibration.scoring import log_losses
from nescio.calibration.softmax import logits_of
from nescio.errors import InvalidInput
from nescio.evaluation.answer_states import AnswerStates
from nescio.evaluation.learned_temperature import (
    Kind,
    LearnedTemperature,
    Learning,
    LearningReport,
    check_same_origin,
)
from nescio.evaluation.parts import part_of
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


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of a task as tensors; answers padded with -inf."""

    states: Tensor
    logits: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def some(self, rows: np.ndarray) -> _Rows:
        which = torch.as_tensor(rows)
        return _Rows(self.states[which], self.logits[which], self.targets[which])


@dataclass(frozen=True, eq=False)
class _Data:
    """Rows to learn from and rows to choose by, task by task."""

    fit: list[_Rows]
    validation: list[_Rows]
    scaling: Mapping[str, np.ndarray]
    set_aside: int


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
    if learning.hidden is None:
        raise InvalidInput(
            "hidden is None: THERMOMETER's branches have a layer between"
        )
    data = _data(tasks, learning)
    rng = np.random.default_rng(learning.seed)
    start = thermometer_parameters(tasks[0].width, learning.hidden, seed=learning.seed)

    def loss(weights: Weights) -> Tensor:
        rows = data.fit[int(rng.integers(len(data.fit)))]
        rows = _drawn([rows], learning.batch, rng)
        inverse = thermometer_inverse(weights, rows.states)
        return thermometer_loss(rows.logits, rows.targets, inverse, prior=prior)

    def judged(weights: Weights) -> float:
        each = [_loss_of_task(weights, rows) for rows in data.validation]
        return float(np.mean(each))

    descent = _descended(start, learning, loss, judged if data.validation else None)
    settings = {"prior": vars(prior)}
    how = {**vars(learning), **settings, "optimiser": "AdamW"}
    return _frozen("thermometer", tasks, data, how=how, descent=descent)


def fit_adaptive(
    tasks: Sequence[AnswerStates], learning: Learning, settings: Mapping[str, Any]
) -> LearnedTemperature:
    """Batches of all tasks' rows; chosen by the same loss on the validation rows."""
    data = _data(tasks, learning)
    rng = np.random.default_rng(learning.seed)
    start = adaptive_parameters(tasks[0].width, learning.hidden, seed=learning.seed)
    weighed = {name: settings[name] for name in ("alpha", "weighting")}
    every = _together(data.validation) if data.validation else None

    def of_rows(weights: Weights, rows: _Rows) -> Tensor:
        inverse = adaptive_inverse(weights, rows.states, most=settings["most"])
        return adaptive_temperature_loss(rows.logits, rows.targets, inverse, **weighed)

    def loss(weights: Weights) -> Tensor:
        return of_rows(weights, _drawn(data.fit, learning.batch, rng))

    def judged(weights: Weights) -> float:
        with torch.no_grad():
            return float("nan") if every is None else of_rows(weights, every).item()

    descent = _descended(start, learning, loss, judged if every else None)
    how = {**vars(learning), **settings, "optimiser": "AdamW"}
    return _frozen("adaptive temperature", tasks, data, how=how, descent=descent)


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


def _loss_of_task(weights: Weights, rows: _Rows) -> float:
    with torch.no_grad():
        mean = thermometer_inverse(weights, rows.states).mean()
        logp = cooled_logp(rows.logits, mean)
        return -logp[torch.arange(len(rows)), rows.targets].mean().item()


def _frozen(
    kind: Kind,
    tasks: Sequence[AnswerStates],
    data: _Data,
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


def _data(tasks: Sequence[AnswerStates], learning: Learning) -> _Data:
    """Rows of all tasks, split, scaled and as tensors."""
    _check(tasks)
    rng = np.random.default_rng([learning.seed, 1])
    fit, validation, aside = [], [], 0
    for task in tasks:
        usable = np.isfinite(log_losses(task.predictions))
        held = _held_out(task, float(learning.validation), rng)
        aside += int((~usable).sum())
        for kept, rows in ((fit, usable & ~held), (validation, usable & held)):
            if rows.any():
                kept.append((task, np.flatnonzero(rows)))
    if not fit:
        raise InvalidInput("every right answer is impossible: nothing to learn from")
    scaling = _scaling(fit) if learning.standardised else {}
    return _Data(
        [_tensors(task, rows, scaling) for task, rows in fit],
        [_tensors(task, rows, scaling) for task, rows in validation],
        scaling,
        aside,
    )


def _check(tasks: Sequence[AnswerStates]) -> None:
    if not tasks:
        raise InvalidInput("no tasks to learn from")
    names = [task.task for task in tasks]
    if len(set(names)) < len(names):
        raise InvalidInput(f"tasks of the same name: {names}")
    for task in tasks[1:]:
        check_same_origin(tasks[0].origin, task, f"that of {tasks[0].task!r:.60}")
        if task.width != tasks[0].width:
            raise InvalidInput(f"states of widths {tasks[0].width} and {task.width}")


def _held_out(
    task: AnswerStates, share: float, rng: np.random.Generator
) -> Bool[np.ndarray, " n"]:
    """Whole clusters, about the share of them; never all."""
    names = task.cluster or task.ids
    units = sorted(set(names))
    count = min(round(share * len(units)), len(units) - 1)
    chosen = {units[row] for row in rng.permutation(len(units))[:count].tolist()}
    return np.array([name in chosen for name in names])


def _scaling(
    parts: Sequence[tuple[AnswerStates, np.ndarray]],
) -> dict[str, np.ndarray]:
    states = np.concatenate([task.states[rows] for task, rows in parts])
    wide = states.astype(np.float64)
    spread = wide.std(axis=0)
    return {
        "centre": wide.mean(axis=0).astype(np.float32),
        "spread": np.where(spread > 1e-6, spread, 1.0).astype(np.float32),
    }


def _tensors(
    task: AnswerStates, rows: np.ndarray, scaling: Mapping[str, np.ndarray]
) -> _Rows:
    data = part_of(task.predictions, rows)
    widths = np.diff(data.offsets)
    logits = np.full((len(rows), int(widths.max())), -np.inf, dtype=np.float32)
    logits[np.arange(logits.shape[1]) < widths[:, None]] = logits_of(data)
    states = task.states[rows]
    if scaling:
        states = (states - scaling["centre"]) / scaling["spread"]
    return _Rows(
        torch.tensor(states), torch.tensor(logits), torch.tensor(data.labels).long()
    )


def _together(parts: Sequence[_Rows]) -> _Rows:
    width = max(part.logits.shape[1] for part in parts)
    padded = [
        torch.nn.functional.pad(
            part.logits, (0, width - part.logits.shape[1]), value=-np.inf
        )
        for part in parts
    ]
    return _Rows(
        torch.cat([part.states for part in parts]),
        torch.cat(padded),
        torch.cat([part.targets for part in parts]),
    )


def _drawn(parts: Sequence[_Rows], batch: int, rng: np.random.Generator) -> _Rows:
    """Some rows of them all."""
    sizes = np.array([len(part) for part in parts])
    rows = rng.permutation(int(sizes.sum()))[:batch]
    if len(parts) == 1:
        return parts[0].some(rows)
    begins = np.cumsum(sizes) - sizes
    picked = [
        part.some(rows[(rows >= begin) & (rows < begin + len(part))] - begin)
        for part, begin in zip(parts, begins, strict=True)
    ]
    return _together([part for part in picked if len(part)])
