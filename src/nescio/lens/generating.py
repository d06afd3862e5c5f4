"""The lens on an answer while it is drawn: one pass a token, the prompt read once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.decoding.generation import Asked, Stream, TokenEvent, stream
from nescio.decoding.rules import Decoding
from nescio.errors import InvalidInput
from nescio.lens.reading import LayerReading, reading_of
from nescio.lens.scoring import tile_rows
from nescio.lens.statistics import LayerStatistics, layer_statistics
from nescio.models.delegating import Delegating
from nescio.models.protocol import (
    Layered,
    Model,
    Stepping,
    Tokenized,
    require,
)

__all__ = ["LayerStream", "generated_layer_entropies", "stream_layers"]


@dataclass(frozen=True, eq=False)
class _Watched(Delegating):
    """A model that steps as before and keeps the rows its predictions came from."""

    model: Any
    rows: list[Float[np.ndarray, "layers one width"]] = field(default_factory=list)

    def extend(
        self, contexts: Sequence[Any], tokens: Sequence[Int[np.ndarray, " _"]]
    ) -> tuple[tuple[Any, ...], Float[np.ndarray, "contexts vocab"]]:
        longer, logits, rows = self.model.extend_layers(contexts, tokens)
        self.rows.append(rows)
        return longer, logits


class LayerStream:
    """The tokens of one answer as they are drawn; iterate over it.

    ``reading`` may be read at any time: it holds the tokens drawn so far. Rows wait
    until a tile of them is full, so memory beyond the result does not grow.
    """

    def __init__(self, watched: _Watched, tokens: Stream, *, tile: int) -> None:
        self._watched, self._tokens, self._tile = watched, tokens, tile
        self._targets: list[int] = []
        self._found: list[LayerStatistics] = []

    def __iter__(self) -> Iterator[TokenEvent]:
        for event in self._tokens:
            self._targets.append(event.token_id)
            if len(self._targets) >= self._tile:
                self._measure()
            yield event

    @property
    def reading(self) -> LayerReading:
        """Everything so far.

        Raises:
            InvalidInput: nothing was drawn yet.
        """
        self._measure()
        if not self._found:
            raise InvalidInput("no token was drawn yet: iterate over the stream first")
        trace = self._tokens.trace
        together = LayerStatistics(
            **{
                name: np.concatenate([getattr(f, name) for f in self._found], axis=1)
                for name in vars(self._found[0])
            }
        )
        settings = dict(trace.origin.decoding)
        return reading_of(self._watched.model, trace, together, settings=settings)

    def _measure(self) -> None:
        if self._targets:
            rows = np.concatenate(self._watched.rows[: len(self._targets)], axis=1)
            targets = np.array(self._targets, dtype=np.int64)
            model = self._watched.model
            self._found.append(layer_statistics(model, rows, targets, tile=self._tile))
            del self._watched.rows[: len(self._targets)]
            self._targets.clear()


def stream_layers(
    model: Model,
    prompt: Asked,
    *,
    decoding: Decoding | None = None,
    seed: int = 0,
    chat: bool | None = None,
    tile: int | None = None,
) -> LayerStream:
    """Draw an answer token by token and keep what every layer predicted.

    Args:
        model: Tokenized, Stepping and Layered: one of the ``transformers`` engine.
        prompt, decoding, seed, chat: as `nescio.stream`.
        tile: as `layer_entropies`.

    Raises:
        CapabilityError: the model has no layers to read, or no lens; says why.
        ContextOverflow: the prompt fills the context.
    """
    require(model, Tokenized, Stepping, Layered, purpose="the layer lens")
    watched: Any = _Watched(model)
    tokens = stream(watched, prompt, decoding=decoding, seed=seed, chat=chat)
    if not isinstance(tokens, Stream):
        raise AssertionError("a model that steps is drawn from here")
    return LayerStream(watched, tokens, tile=tile_rows(model, tile))


def generated_layer_entropies(
    model: Model,
    prompt: Asked,
    *,
    decoding: Decoding | None = None,
    seed: int = 0,
    chat: bool | None = None,
    tile: int | None = None,
) -> LayerReading:
    """Draw one answer; what every layer predicted of each of its tokens.

    Each token costs one pass of the network, with its memory of what went before; the
    prompt is read once. The same draw as `nescio.generate` with the same arguments.

    Args:
        model, prompt, decoding, seed, chat, tile: as `stream_layers`.

    Raises:
        CapabilityError, ContextOverflow: as `stream_layers`.
    """
    tokens = stream_layers(
        model, prompt, decoding=decoding, seed=seed, chat=chat, tile=tile
    )
    for _ in tokens:
        pass
    return tokens.reading
