"""Rows to train a learned temperature on, as tensors, split and scaled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from nescio.calibration.scoring import log_losses
from nescio.calibration.softmax import logits_of
from nescio.errors import InvalidInput
from nescio.evaluation.answer_states import AnswerStates
from nescio.evaluation.learned_temperature import (
    Learning,
    check_same_origin,
    texts_of,
)
from nescio.evaluation.parts import part_of

__all__ = ["Data", "Rows", "Texts", "data_of", "drawn", "drawn_texts", "together"]

_TOKENS = 16_384  # of texts that go through a block side by side


@dataclass(frozen=True, eq=False)
class Texts:
    """The states of all texts of a fit, one after the other.

    Args:
        states: [tokens, width].
        offsets: where texts begin, and the end.
    """

    states: Tensor
    offsets: Int64[np.ndarray, " ends"]

    def text_of(self, own: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """The texts that some states stand in."""
        return np.searchsorted(self.offsets, own, side="right") - 1

    def chunks(
        self, own: Int64[np.ndarray, " n"]
    ) -> Iterator[tuple[np.ndarray, Tensor, Tensor, Tensor]]:
        """Some answers at a time: which, states up to them, offsets, rows.

        A text is cut behind the last answer that is asked for.
        """
        numbers, of = np.unique(self.text_of(own), return_inverse=True)
        begins, lengths = self.offsets[numbers], np.zeros(len(numbers), dtype=np.int64)
        np.maximum.at(lengths, of, own - begins[of] + 1)
        block = (lengths.cumsum() - lengths) // _TOKENS
        for number in np.unique(block):
            texts, which = block == number, np.flatnonzero(block[of] == number)
            spans = zip(begins[texts], lengths[texts], strict=True)
            index = np.concatenate([np.arange(b, b + n) for b, n in spans])
            offsets = np.concatenate([[0], lengths[texts].cumsum()])
            local = of[which] - np.flatnonzero(texts)[0]
            rows = own[which] - begins[of[which]] + offsets[local]
            ends = torch.as_tensor(offsets)
            yield (
                which,
                self.states[torch.as_tensor(index)],
                ends,
                torch.as_tensor(rows),
            )


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a task as tensors; answers padded with -inf.

    ``own``: where a row's state is in the texts of the fit; all 0 without texts.
    """

    states: Tensor
    logits: Tensor
    targets: Tensor
    own: Int64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.targets)

    def some(self, rows: np.ndarray) -> Rows:
        """Those rows."""
        w = torch.as_tensor(rows)
        return Rows(self.states[w], self.logits[w], self.targets[w], self.own[rows])


@dataclass(frozen=True, eq=False)
class Data:
    """Rows to learn from and rows to choose by, task by task."""

    fit: list[Rows]
    validation: list[Rows]
    scaling: Mapping[str, np.ndarray]
    set_aside: int
    texts: Texts | None
    before: int | None


def data_of(tasks: Sequence[AnswerStates], learning: Learning) -> Data:
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
    block = learning.head == "transformer"
    before = _cut(tasks) if block else None
    scaling = _scaling(fit, block) if learning.standardised else {}
    texts, begins = _texts(tasks, scaling) if block else (None, {})
    return Data(
        [_tensors(task, rows, scaling, begins) for task, rows in fit],
        [_tensors(task, rows, scaling, begins) for task, rows in validation],
        scaling,
        aside,
        texts,
        before,
    )


def _cut(tasks: Sequence[AnswerStates]) -> int | None:
    """How much of the texts was kept, of all tasks alike."""
    first = tasks[0].texts
    before = None if first is None else first.before
    for task in tasks:
        texts_of(task, before)
    return before


def _texts(
    tasks: Sequence[AnswerStates], scaling: Mapping[str, np.ndarray]
) -> tuple[Texts, dict[str, int]]:
    """All texts in one, and where each task's begin in it."""
    parts = [task.texts for task in tasks if task.texts is not None]
    sizes = np.array([len(part.states) for part in parts])
    starts = np.cumsum(sizes) - sizes
    ends = [part.offsets[1:] + start for part, start in zip(parts, starts, strict=True)]
    states = np.concatenate([part.states for part in parts])
    if scaling:
        states -= scaling["centre"]
        states /= scaling["spread"]
    begins = {task.task: int(one) for task, one in zip(tasks, starts, strict=True)}
    return Texts(torch.from_numpy(states), np.concatenate([[0], *ends])), begins


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
    parts: Sequence[tuple[AnswerStates, np.ndarray]], block: bool
) -> dict[str, np.ndarray]:
    """Of the answers' own states; for a block, of all states of their texts."""
    read = _text_rows if block else _own_rows
    states = np.concatenate([read(task, rows) for task, rows in parts])
    wide = states.astype(np.float64)
    spread = wide.std(axis=0)
    return {
        "centre": wide.mean(axis=0).astype(np.float32),
        "spread": np.where(spread > 1e-6, spread, 1.0).astype(np.float32),
    }


def _own_rows(task: AnswerStates, rows: np.ndarray) -> np.ndarray:
    return task.states[rows]


def _text_rows(task: AnswerStates, rows: np.ndarray) -> np.ndarray:
    texts = task.texts
    if texts is None:
        raise AssertionError("a task without texts got past the check")
    used = np.zeros(len(texts.offsets) - 1, dtype=bool)
    used[texts.text[rows]] = True
    return texts.states[np.repeat(used, np.diff(texts.offsets))]


def _tensors(
    task: AnswerStates,
    rows: np.ndarray,
    scaling: Mapping[str, np.ndarray],
    begins: Mapping[str, int],
) -> Rows:
    data = part_of(task.predictions, rows)
    widths = np.diff(data.offsets)
    logits = np.full((len(rows), int(widths.max())), -np.inf, dtype=np.float32)
    logits[np.arange(logits.shape[1]) < widths[:, None]] = logits_of(data)
    states = task.states[rows]
    if scaling:
        states = (states - scaling["centre"]) / scaling["spread"]
    own = np.zeros(len(rows), dtype=np.int64)
    if task.task in begins and task.texts is not None:
        own = task.texts.rows[rows] + begins[task.task]
    labels = torch.tensor(data.labels).long()
    return Rows(torch.tensor(states), torch.tensor(logits), labels, own)


def together(parts: Sequence[Rows]) -> Rows:
    """Rows of several tasks as one, answers padded further."""
    width = max(part.logits.shape[1] for part in parts)
    padded = [
        torch.nn.functional.pad(
            part.logits, (0, width - part.logits.shape[1]), value=-np.inf
        )
        for part in parts
    ]
    return Rows(
        torch.cat([part.states for part in parts]),
        torch.cat(padded),
        torch.cat([part.targets for part in parts]),
        np.concatenate([part.own for part in parts]),
    )


def drawn(parts: Sequence[Rows], batch: int, rng: np.random.Generator) -> Rows:
    """Some rows of them all."""
    count = sum(map(len, parts))
    return _picked(parts, rng.permutation(count)[:batch])


def drawn_texts(
    parts: Sequence[Rows], batch: int, *, texts: Texts, rng: np.random.Generator
) -> Rows:
    """As many rows, of as few texts as hold them: a block reads a text once for all."""
    own = np.concatenate([part.own for part in parts])
    numbers, of = np.unique(texts.text_of(own), return_inverse=True)
    rank = rng.permutation(len(numbers))[of]
    return _picked(parts, np.lexsort((rng.random(len(own)), rank))[:batch])


def _picked(parts: Sequence[Rows], rows: np.ndarray) -> Rows:
    """Those rows, counted through all parts."""
    if len(parts) == 1:
        return parts[0].some(rows)
    sizes = np.array([len(part) for part in parts])
    begins = np.cumsum(sizes) - sizes
    picked = [
        part.some(rows[(rows >= begin) & (rows < begin + len(part))] - begin)
        for part, begin in zip(parts, begins, strict=True)
    ]
    return together([part for part in picked if len(part)])
