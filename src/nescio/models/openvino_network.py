"""A compiled network and its memory: reads tokens into contexts, rows into logits."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import InvalidInput
from nescio.models.openvino_memory import Memory, PagedContext
from nescio.models.openvino_runtime import Compiled, openvino

__all__ = ["PagedNetwork"]

_CHUNK_TOKENS = 1024
"""How many tokens are read at once: bounds the activations of a long text."""

Runs = Sequence[Int[np.ndarray, " _"]]


class PagedNetwork:
    """Both parts of a compiled model, and the memory its contexts live in.

    One call runs at a time; others wait.

    Args:
        compiled: the parts.
    """

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self._body = compiled.body.create_infer_request()
        self._head = compiled.head.create_infer_request()
        self._given: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()
        self._tensor = openvino().Tensor
        self.memory = Memory(
            compiled.layers, block_size=compiled.block_size, kind=compiled.memory
        )
        self.vocabulary_size: int = (
            compiled.head.output("logits").get_partial_shape()[1].get_length()
        )

    def read(
        self, contexts: Sequence[PagedContext], runs: Runs
    ) -> tuple[tuple[PagedContext, ...], Float[np.ndarray, "contexts vocab"]]:
        """Read a run into each context, all in one batch; logits of what comes next."""
        with self._lock:
            self.memory.settle(sum(map(len, runs)))
            longer, last = list(contexts), []
            if sum(map(len, runs)) <= _CHUNK_TOKENS:
                longer, hidden = self._advanced(contexts, runs)
                if len(hidden) > len(runs):
                    hidden = hidden[np.cumsum([len(run) for run in runs]) - 1]
                return tuple(longer), self._logits(hidden)
            for which, parts in _chunks(runs):
                read, hidden = self._advanced([longer[row] for row in which], parts)
                ends = np.cumsum([len(part) for part in parts]) - 1
                for place, row in enumerate(which):
                    longer[row] = read[place]
                    if longer[row].length == contexts[row].length + len(runs[row]):
                        last.append(hidden[ends[place]].copy())
            return tuple(longer), self._logits(np.stack(last))

    def hidden_rows(
        self, sequences: Runs
    ) -> Iterator[
        tuple[
            Int[np.ndarray, " rows"],
            Int[np.ndarray, " rows"],
            Float[np.ndarray, "rows width"],
        ]
    ]:
        """Every position of whole sequences: which, where, and its hidden row."""
        reading: dict[int, PagedContext] = {}
        for which, parts in _chunks(sequences):
            with self._lock:
                if not reading:
                    self.memory.settle(sum(map(len, parts)))
                contexts = [reading.pop(row, PagedContext()) for row in which]
                begins = [context.length for context in contexts]
                read, hidden = self._advanced(contexts, parts)
                hidden = hidden.copy()
            reading |= {
                row: context
                for row, context in zip(which, read, strict=True)
                if context.length < len(sequences[row])
            }
            del contexts, read  # what was read to its end need not be kept
            counts = [len(part) for part in parts]
            positions = [
                np.arange(begin, begin + count)
                for begin, count in zip(begins, counts, strict=True)
            ]
            yield np.repeat(which, counts), np.concatenate(positions), hidden

    def logits(
        self,
        hidden: Float[np.ndarray, "rows width"],
        out: Float[np.ndarray, "rows vocab"] | None = None,
    ) -> Float[np.ndarray, "rows vocab"]:
        """The head on some hidden rows, into a buffer if one is given."""
        with self._lock:
            return self._logits(hidden, out)

    def _logits(
        self,
        hidden: Float[np.ndarray, "rows width"],
        out: Float[np.ndarray, "rows vocab"] | None = None,
    ) -> Float[np.ndarray, "rows vocab"]:
        if out is None:
            out = np.empty((len(hidden), self.vocabulary_size), dtype=np.float32)
        rows = np.ascontiguousarray(hidden)
        self._head.set_input_tensor(self._tensor(rows, shared_memory=True))
        self._head.set_output_tensor(self._tensor(out, shared_memory=True))
        self._head.infer()
        return out

    def _advanced(
        self, contexts: Sequence[PagedContext], runs: Runs
    ) -> tuple[list[PagedContext], Float[np.ndarray, "tokens width"]]:
        """One pass of the body; its rows are valid until the next."""
        if not {context.memory for context in contexts} <= {None, self.memory}:
            raise InvalidInput("a context of another model; read it anew with this")
        past = np.array([context.length for context in contexts], dtype=np.int32)
        counts = [len(run) for run in runs]
        longer = [
            self.memory.reserve(context, count)
            for context, count in zip(contexts, counts, strict=True)
        ]
        self.memory.bind(self._body)
        starts = np.cumsum([0, *counts], dtype=np.int32)
        positions = np.arange(starts[-1]) + np.repeat(past - starts[:-1], counts)
        held = [len(context.blocks) for context in longer]
        given = {
            "input_ids": np.concatenate(runs).astype(np.int64)[None],
            "position_ids": positions[None],
            "past_lens": past,
            "subsequence_begins": starts,
            "block_indices": np.concatenate([context.indices for context in longer]),
            "block_indices_begins": np.cumsum([0, *held], dtype=np.int32),
            "max_context_len": np.array(
                max(context.length for context in longer), dtype=np.int32
            ),
        }
        for name, array in given.items():
            self._give(name, array)
        self._body.infer()
        return longer, self._body.get_output_tensor(0).data

    def _give(self, name: str, array: np.ndarray) -> None:
        """Set an input: into the array that is set already, if it fits."""
        there = self._given.get(name)
        if there is not None and there.shape == array.shape:
            there[...] = array
        else:
            self._given[name] = array
            self._body.set_tensor(name, self._tensor(array, shared_memory=True))


def _chunks(runs: Runs) -> Iterator[tuple[list[int], list[Int[np.ndarray, " _"]]]]:
    """Runs one behind the other, cut into pieces of some tokens: whose, and which."""
    which: list[int] = []
    parts: list[Int[np.ndarray, " _"]] = []
    left = _CHUNK_TOKENS
    for row, run in enumerate(runs):
        begin = 0
        while begin < len(run):
            part = run[begin : begin + left]
            which.append(row)
            parts.append(part)
            begin, left = begin + len(part), left - len(part)
            if left == 0:
                yield which, parts
                which, parts, left = [], [], _CHUNK_TOKENS
    if which:
        yield which, parts
