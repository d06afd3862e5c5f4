"""The fast engine on a processor: any model that OpenVINO can run, exported once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from nescio.models.openvino_memory import PagedContext
from nescio.models.openvino_network import PagedNetwork
from nescio.models.protocol import LogitBlock, Rendered
from nescio.models.reading import check_blocks, check_runs, padded_rows
from nescio.models.tokenizer import Tokenizer
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin, Prompt

__all__ = ["OpenVinoModel"]


@dataclass(frozen=True, eq=False)
class OpenVinoModel:
    """A causal language model compiled by OpenVINO, with its tokenizer. Use ``load``.

    It may be used from several threads; they take turns.

    Args:
        name: the specification it was loaded from.
        origin: digests, engine and precision.
        tokenizer: the bytes of every id, exact encoding, the chat template.
        start: document-start tokens a text is conditioned on.
        context_length: how many tokens it can see, document start included.
        network: what was compiled.
    """

    name: str
    origin: Origin
    tokenizer: Tokenizer
    start: tuple[int, ...]
    context_length: int | None
    network: PagedNetwork = field(repr=False)

    @property
    def vocabulary(self) -> Vocabulary:
        """The bytes of every id."""
        return self.tokenizer.vocabulary

    @cached_property
    def padded(self) -> Bool[np.ndarray, " vocab"]:
        """Rows of the head that are no token; they are given probability 0."""
        return padded_rows(self.vocabulary)

    @cached_property
    def _hidden_columns(self) -> Int[np.ndarray, " n"]:
        return np.flatnonzero(self.padded)

    def encode(self, text: bytes) -> Int[np.ndarray, " n"]:
        """Token ids that spell exactly this text; never a control token."""
        return self.tokenizer.encode(text)

    @property
    def has_template(self) -> bool:
        """Whether the model has a chat template."""
        return self.tokenizer.has_template

    def render(self, prompt: Prompt) -> Rendered:
        """The conversation through the model's chat template."""
        return self.tokenizer.render(prompt)

    def open(self) -> PagedContext:
        """The context before anything was read."""
        return PagedContext()

    def extend(
        self,
        contexts: Sequence[PagedContext],
        tokens: Sequence[Int[np.ndarray, " _"]],
    ) -> tuple[tuple[PagedContext, ...], Float[np.ndarray, "contexts vocab"]]:
        """Read tokens into each context in one batch; logits of what comes next."""
        check_runs(self, contexts, tokens)
        longer, logits = self.network.read(contexts, tokens)
        return longer, self._masked(logits)

    def logit_blocks(
        self,
        sequences: Sequence[Int[np.ndarray, " _"]],
        *,
        skip: Sequence[int],
        rows: int = 128,
    ) -> Iterator[LogitBlock]:
        """Logits after each position from ``skip`` on, but the last, in blocks."""
        check_blocks(sequences, skip, rows)
        check_runs(self, [self.open()] * len(sequences), sequences)
        begins = np.asarray(skip, dtype=np.int64)
        ends = np.array([len(ids) - 1 for ids in sequences])
        buffer = np.empty((rows, self.vocabulary.size), dtype=np.float32)
        for which, where, hidden in self.network.hidden_rows(sequences):
            wanted = np.flatnonzero((where >= begins[which]) & (where < ends[which]))
            for first in range(0, len(wanted), rows):
                some = wanted[first : first + rows]
                logits = self.network.logits(hidden[some], buffer[: len(some)])
                yield LogitBlock(which[some], where[some], self._masked(logits))

    def _masked(
        self, logits: Float[np.ndarray, "rows vocab"]
    ) -> Float[np.ndarray, "rows vocab"]:
        if len(self._hidden_columns):
            logits[:, self._hidden_columns] = -np.inf
        return logits
