"""The reference engine: any causal model of Hugging Face transformers, on torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from nescio.models.cache import CachedContext, Store, aligned
from nescio.models.head import raw_logits
from nescio.models.layered import Layers, found_layers, layer_blocks, wanted_rows
from nescio.models.protocol import LayerBlock, LogitBlock, Rendered
from nescio.models.reading import check_blocks, check_runs, padded_rows
from nescio.models.self_test import check_reading
from nescio.models.tokenizer import Tokenizer
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin, Prompt

if TYPE_CHECKING:
    import torch

__all__ = ["TransformersModel"]

_CHUNK_COLUMNS = 1024
"""How many columns are read at once: bounds the activations of a long text."""
_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")


@dataclass(frozen=True, eq=False)
class TransformersModel:
    """A causal language model of transformers, with its tokenizer. Use ``load``.

    Args:
        name: the specification it was loaded from.
        origin: digests, engine and precision.
        tokenizer: the bytes of every id, exact encoding, the chat template.
        start: document-start tokens a text is conditioned on.
        network: the torch module.
    """

    name: str
    origin: Origin
    tokenizer: Tokenizer
    start: tuple[int, ...]
    network: Any = field(repr=False)

    @property
    def vocabulary(self) -> Vocabulary:
        """The bytes of every id."""
        return self.tokenizer.vocabulary

    @property
    def context_length(self) -> int | None:
        """How many tokens the model was made to see, document start included.

        With rotations that change beyond a length (longrope), that length: past it a
        text's numbers would depend on what else is in the batch.
        """
        config = self.network.config.get_text_config()
        found = [getattr(config, name, None) for name in _LENGTHS]
        rope = getattr(config, "rope_parameters", None) or {}
        if rope.get("rope_type") == "longrope":
            found.append(rope.get("original_max_position_embeddings"))
            found.append(getattr(config, "original_max_position_embeddings", None))
        return min((n for n in found if isinstance(n, int) and n > 0), default=None)

    @cached_property
    def padded(self) -> Bool[np.ndarray, " vocab"]:
        """Rows of the head that are no token; they are given probability 0."""
        return padded_rows(self.vocabulary)

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

    def open(self) -> CachedContext:
        """The context before anything was read."""
        return CachedContext()

    def extend(
        self,
        contexts: Sequence[CachedContext],
        tokens: Sequence[Int[np.ndarray, " _"]],
    ) -> tuple[tuple[CachedContext, ...], Float[np.ndarray, "contexts vocab"]]:
        """Read tokens into each context in one batch; logits of what comes next."""
        import torch

        check_runs(self, contexts, tokens)
        store = aligned(contexts)
        past = store.columns if store else 0
        with torch.inference_mode():
            store, last = self._read(store, contexts, tokens)
            logits = self._head(last).float().numpy()
        longer = tuple(
            CachedContext(store, row, past - c.length, c.length + len(run))
            for row, (c, run) in enumerate(zip(contexts, tokens, strict=True))
        )
        return longer, logits

    def logit_blocks(
        self,
        sequences: Sequence[Int[np.ndarray, " _"]],
        *,
        skip: Sequence[int],
        rows: int = 128,
    ) -> Iterator[LogitBlock]:
        """Logits after each position from ``skip`` on, but the last, in blocks."""
        import torch

        contexts = [self.open()] * len(sequences)
        check_blocks(sequences, skip, rows)
        check_runs(self, contexts, sequences)
        lengths = [len(ids) for ids in sequences]
        with torch.inference_mode():
            for begin, hidden in self._chunks(None, contexts, sequences):
                wanted = wanted_rows(lengths, skip, begin, begin + hidden.shape[1])
                for first in range(0, len(wanted), rows):
                    where = wanted[first : first + rows]
                    picked = hidden[where[:, 0], where[:, 1] - begin]
                    logits = self._head(picked).float().numpy()
                    yield LogitBlock(where[:, 0], where[:, 1], logits)

    @cached_property
    def layers(self) -> Layers:
        """Where its residual stream is; found and tested when first asked for."""
        return found_layers(self)

    def layer_count(self) -> int:
        """How many rows a position has: one for the embedding and one a block."""
        return self.layers.count

    def layer_settings(self) -> dict[str, Any]:
        """What goes into the recipe: the architecture, and what stands at its end."""
        layers = self.layers
        return {"architecture": layers.architecture, "before_head": list(layers.names)}

    def layer_blocks(
        self,
        sequences: Sequence[Int[np.ndarray, " _"]],
        *,
        skip: Sequence[int],
        rows: int = 128,
    ) -> Iterator[LayerBlock]:
        """The head's input after each position, for every layer, in blocks."""
        check_blocks(sequences, skip, rows)
        check_runs(self, [self.open()] * len(sequences), sequences)
        lengths, chunks = [len(ids) for ids in sequences], self.chunks(sequences)
        return layer_blocks(self.layers, chunks, lengths, skip=skip, rows=rows)

    def extend_layers(
        self,
        contexts: Sequence[CachedContext],
        tokens: Sequence[Int[np.ndarray, " _"]],
    ) -> tuple[
        tuple[CachedContext, ...],
        Float[np.ndarray, "contexts vocab"],
        Float[np.ndarray, "layers contexts width"],
    ]:
        """What `extend` gives, and the rows its logits came from; one pass."""
        import torch

        last: dict[int, torch.Tensor] = {}

        def keep(number: int, states: Sequence[torch.Tensor]) -> None:
            for row, run in enumerate(tokens):
                chunk, column = divmod(len(run) - 1, _CHUNK_COLUMNS)
                if chunk == number:
                    last[row] = torch.stack([state[row, column] for state in states])

        layers = self.layers
        with layers.recording(keep):
            longer, logits = self.extend(contexts, tokens)
        with torch.inference_mode():
            picked = torch.stack([last[row] for row in range(len(tokens))], dim=1)
            return longer, logits, layers.normed(picked).float().numpy()

    def head(
        self, rows: Float[np.ndarray, "rows width"]
    ) -> Float[np.ndarray, "rows vocab"]:
        """Normed rows of any layer to logits."""
        import torch

        with torch.inference_mode():
            given = torch.tensor(rows, dtype=self.network.dtype)
            return self._head(given).float().numpy()

    def chunks(
        self, sequences: Sequence[Int[np.ndarray, " _"]]
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """The passes that read whole sequences, run as they are asked for."""
        return self._chunks(None, [self.open()] * len(sequences), sequences)

    def self_test(self) -> None:
        """Check every way of reading against one plain forward pass.

        Raises:
            CapabilityError: this architecture cannot be measured here.
        """
        check_reading(self)

    def _body(self) -> Any:
        return self.network.get_decoder()

    def _head(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden rows to logits, with what some architectures put after the head."""
        config, head = self.network.config, self.network.get_output_embeddings()
        logits = raw_logits(config, head, hidden)
        if self.padded.any():
            logits[..., self.padded] = -float("inf")
        return logits

    def _read(
        self,
        store: Store | None,
        contexts: Sequence[CachedContext],
        tokens: Sequence[Int[np.ndarray, " _"]],
    ) -> tuple[Store, torch.Tensor]:
        """Read everything; the store afterwards and each row's last hidden state."""
        import torch

        last: list[torch.Tensor | None] = [None] * len(tokens)
        chunks = self._chunks(store, contexts, tokens, keep=(kept := []))
        for begin, hidden in chunks:
            for row, run in enumerate(tokens):
                if begin <= len(run) - 1 < begin + hidden.shape[1]:
                    last[row] = hidden[row, len(run) - 1 - begin]
        return kept[-1], torch.stack([row for row in last if row is not None])

    def _chunks(
        self,
        store: Store | None,
        contexts: Sequence[CachedContext],
        tokens: Sequence[Int[np.ndarray, " _"]],
        keep: list[Store] | None = None,
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Hidden rows [batch, columns, width], some columns at a time.

        Past columns end where the new ones begin, so that every row is contiguous:
        a sliding window's distance in columns is its distance in tokens. New runs
        are padded on the right, where nothing of a row can see.
        """
        import torch
        from transformers.cache_utils import DynamicCache

        past = store.columns if store else 0
        width = max(len(run) for run in tokens)
        ids = torch.zeros((len(tokens), width), dtype=torch.long)
        mask = torch.zeros((len(tokens), past + width), dtype=torch.long)
        positions = torch.zeros((len(tokens), width), dtype=torch.long)
        for row, (context, run) in enumerate(zip(contexts, tokens, strict=True)):
            ids[row, : len(run)] = torch.as_tensor(np.asarray(run, dtype=np.int64))
            mask[row, past - context.length : past + len(run)] = 1
            positions[row] = torch.arange(context.length, context.length + width)
        if (limit := self.context_length) is not None:
            positions.clamp_(max=limit - 1)
        cache = store.cache if store else DynamicCache()
        body = self._body()
        for begin in range(0, width, _CHUNK_COLUMNS):
            end = min(width, begin + _CHUNK_COLUMNS)
            output = body(
                input_ids=ids[:, begin:end],
                attention_mask=mask[:, : past + end],
                position_ids=positions[:, begin:end],
                past_key_values=cache,
                use_cache=True,
            )
            yield begin, output.last_hidden_state
        if keep is not None:
            if store is None:
                store = Store(cache, len(tokens), 0)
            store.columns = past + width
            keep.append(store)
