"""What the lens saw of one text: frozen arrays, a row a layer, a column a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import SchemaError
from nescio.lens.statistics import LayerStatistics
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Trace
from nescio.visible import visible, visible_bytes

__all__ = ["LayerReading", "reading_of"]

_NUMBERS = ("entropy", "surprisal", "kl_to_last", "top_logp")
_PLACES = ("rank", "top_ids")


@dataclass(frozen=True, eq=False)
class LayerReading:
    """Every layer's prediction of every scored token of one text, in nats.

    Row 0 is the embedding, row l the residual stream after block l, each through what
    stands between the last block and the head; the last row is the model itself, so it
    says what ``trace`` says. Columns are the scored tokens of ``trace``.

    Args:
        trace: the text and the model's own numbers.
        entropy: of the layer's prediction, 0 to log(vocabulary).
        surprisal: of the token, under that prediction; +inf where it is impossible.
        kl_to_last: KL(last || layer): the nats a token costs more, on average over the
            model's own prediction, if the layer predicts; at least 0.
        rank: of the token, 1 + how many were strictly more probable.
        top_ids, top_logp: the layer's most probable token.
        spelled: the bytes of every such token, by id.
        labels: how those that are control tokens are called, by id.
        possible: how many tokens can be predicted at all.
        settings: how the lens was taken; JSON values.

    Raises:
        SchemaError: shapes that disagree with the trace, NaN, or a token without
            bytes.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:coin"), "HT")
        >>> some, tops = np.full((3, 2), 0.5), np.array([[0, 0], [1, 0], [0, 0]])
        >>> spelled = {0: b"H", 1: b"T"}
        >>> found = LayerReading(trace, some, some, some, tops, tops, -some, spelled,
        ...                      {}, 2)
        >>> found.settled.tolist(), found.top_text(1, 0)
        ([2, 0], 'T')
    """

    trace: Trace
    entropy: Float[np.ndarray, "layers tokens"]
    surprisal: Float[np.ndarray, "layers tokens"]
    kl_to_last: Float[np.ndarray, "layers tokens"]
    rank: Int[np.ndarray, "layers tokens"]
    top_ids: Int[np.ndarray, "layers tokens"]
    top_logp: Float[np.ndarray, "layers tokens"]
    spelled: Mapping[int, bytes]
    labels: Mapping[int, str]
    possible: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.entropy), int(self.trace.scored.sum()))
        for name in (*_NUMBERS, *_PLACES):
            array = getattr(self, name)
            if array.shape != shape:
                raise SchemaError(
                    f"{name} is {array.shape}: {shape[0]} layers of {shape[1]} scored "
                    "tokens are needed"
                )
            if np.isnan(array).any():
                raise SchemaError(f"{name} holds NaN: every scored token has a number")
            array.flags.writeable = False
        if set(np.unique(self.top_ids).tolist()) - set(self.spelled):
            raise SchemaError("some most probable tokens have no bytes")

    @property
    def layers(self) -> int:
        """How many rows there are: the embedding and one a block."""
        return len(self.entropy)

    @cached_property
    def tokens(self) -> Int[np.ndarray, " tokens"]:
        """The place in the trace of each column."""
        return np.flatnonzero(self.trace.scored)

    @cached_property
    def settled(self) -> Int[np.ndarray, " tokens"]:
        """The layer from which on the most probable token is the last layer's.

        0: already the embedding's; the last layer: no other says the same.
        """
        differs = self.top_ids != self.top_ids[-1]
        from_above = np.argmax(differs[::-1], axis=0)
        return np.where(differs.any(axis=0), self.layers - from_above, 0)

    def top_text(self, layer: int, column: int) -> str:
        """How a layer's most probable token is shown."""
        token = int(self.top_ids[layer, column])
        label = self.labels.get(token)
        return visible(label) if label else visible_bytes(self.spelled[token])

    def __repr__(self) -> str:
        return (
            f"LayerReading({self.layers} layers, {self.entropy.shape[1]} tokens, "
            f"model={self.trace.origin.model!r})"
        )


def reading_of(
    model: Any, trace: Trace, found: LayerStatistics, *, settings: Mapping[str, Any]
) -> LayerReading:
    """A reading with the bytes of the tokens it names."""
    vocabulary: Vocabulary = model.vocabulary
    tops = np.unique(found.top_ids).tolist()
    named = {token: vocabulary.label(token) for token in tops}
    padded = getattr(model, "padded", np.zeros(0, dtype=np.bool_))
    return LayerReading(
        trace,
        **vars(found),
        spelled={token: vocabulary.token(token) for token in tops},
        labels={token: label for token, label in named.items() if label},
        possible=vocabulary.size - int(padded.sum()),
        settings={"layers": len(found.entropy), **model.layer_settings(), **settings},
    )
