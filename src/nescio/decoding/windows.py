"""Texts longer than the context: a sliding window, laid out before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from nescio.errors import ContextOverflow, InvalidInput
from nescio.models.protocol import Tokenized

__all__ = ["Job", "Window", "batches", "jobs"]

_PADDING = 0.1


@dataclass(frozen=True)
class Window:
    """How a long text is laid under a short context.

    The first window reads from the beginning. Each later one starts ``stride`` tokens
    further on, behind the document start again, and scores only tokens that no
    window before it scored; a token then saw at least size - stride tokens.

    Args:
        size: tokens a window holds, document start included; None: the model's
            context length.
        stride: how far the next window starts; None: half of ``size``.
        sliding: False refuses a text that does not fit.
        batch_tokens: padded tokens that run at once; decides speed and memory, and
            results no further than rounding.

    Raises:
        InvalidInput: a size below 2, a stride that is not in 1 … size - 1.
    """

    size: int | None = None
    stride: int | None = None
    sliding: bool = True
    batch_tokens: int = 8192

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 2:
            raise InvalidInput(f"a window of {self.size} tokens predicts nothing")
        if self.batch_tokens < 1:
            raise InvalidInput(f"batch_tokens is {self.batch_tokens}; at least 1")
        if self.stride is not None and self.stride < 1:
            raise InvalidInput(f"a stride of {self.stride} never moves on; at least 1")

    def within(self, model: Tokenized) -> tuple[int | None, int]:
        """The size and stride for a model.

        Raises:
            InvalidInput: a window larger than the context, or no wider than its
                stride.
        """
        limit, start = model.context_length, len(model.start)
        if self.size is not None and limit is not None and self.size > limit:
            raise InvalidInput(
                f"a window of {self.size} tokens does not fit the context of {limit}"
            )
        size = self.size if self.size is not None else limit
        if size is None:
            return None, 0
        stride = self.stride if self.stride is not None else max(1, size // 2)
        if stride >= size - start:
            raise InvalidInput(
                f"a stride of {stride} leaves no context in a window of {size} tokens "
                f"that begins with {start} for the document start"
            )
        return size, stride

    def settings(self, model: Tokenized) -> dict[str, Any]:
        """What goes into the recipe."""
        size, stride = self.within(model)
        return {"window": size, "stride": stride if self.sliding and size else None}


@dataclass(frozen=True)
class Job:
    """One window to run: ids, the first position whose logits count, and whose it is.

    The logits after position p predict token ``first + p + 1 - start`` of the text.
    """

    text: int
    ids: Int[np.ndarray, " n"]
    skip: int
    first: int
    start: int


def jobs(
    model: Tokenized,
    text: int,
    ids: Int[np.ndarray, " n"],
    *,
    window: Window,
    begin: int = 0,
) -> Iterator[Job]:
    """The windows of text number ``text``; tokens before ``begin`` are only read.

    Raises:
        ContextOverflow: the text does not fit and the window does not slide.
    """
    size, stride = window.within(model)
    start = np.array(model.start, dtype=np.int32)
    room = len(ids) if size is None else size - len(start)
    if not window.sliding and len(ids) > room:
        raise ContextOverflow(
            f"the text has {len(ids)} tokens, {len(start)} more stand before it, and "
            f"the window holds {size}; allow windowing or shorten the text"
        )
    done = begin
    for first in range(0, len(ids), stride or len(ids)):
        end = min(len(ids), first + room)
        if end > done:
            part = np.concatenate([start, ids[first:end]])
            skip = max(0, done - first + len(start) - 1)
            yield Job(text, part, skip, first, len(start))
            done = end
        if end == len(ids):
            return


def batches(work: Sequence[Job], *, budget: int) -> Iterator[list[Job]]:
    """Jobs of similar length together, padded tokens of a batch within the budget.

    A tenth of a batch may be padding: engines that pad compute it like tokens.
    """
    ordered = sorted(work, key=lambda job: (-len(job.ids), job.text, job.first))
    batch: list[Job] = []
    tokens = 0
    for job in ordered:
        padded = len(batch[0].ids) * (len(batch) + 1) if batch else 0
        if padded > min(budget, (1.0 + _PADDING) * (tokens + len(job.ids))):
            yield batch
            batch, tokens = [], 0
        batch.append(job)
        tokens += len(job.ids)
    if batch:
        yield batch
