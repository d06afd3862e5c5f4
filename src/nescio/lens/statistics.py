"""From the rows of every layer to numbers, a few positions at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.kernel import pair_statistics, row_statistics

__all__ = ["LayerStatistics", "layer_statistics"]


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """What each layer predicts at each position; nats.

    Args:
        entropy: of the layer's prediction, between 0 and log(vocabulary).
        surprisal: of the token that stands there, under that prediction.
        kl_to_last: KL(last layer || layer), at least 0; 0 in the last layer.
        rank: of that token, 1 + how many were strictly more probable.
        top_ids: the most probable token.
        top_logp: its log-probability.
    """

    entropy: Float[np.ndarray, "layers tokens"]
    surprisal: Float[np.ndarray, "layers tokens"]
    kl_to_last: Float[np.ndarray, "layers tokens"]
    rank: Int[np.ndarray, "layers tokens"]
    top_ids: Int[np.ndarray, "layers tokens"]
    top_logp: Float[np.ndarray, "layers tokens"]

    @staticmethod
    def blank(layers: int, tokens: int) -> LayerStatistics:
        """Room for so many numbers, nothing measured yet."""
        shape = (layers, tokens)

        def absent() -> np.ndarray:
            return np.full(shape, np.nan, dtype=np.float32)

        return LayerStatistics(
            absent(),
            absent(),
            absent(),
            np.zeros(shape, dtype=np.int32),
            np.zeros(shape, dtype=np.int32),
            absent(),
        )

    def put(
        self, columns: Int[np.ndarray, " some"] | slice, found: LayerStatistics
    ) -> None:
        """Take what was found as the numbers of some columns."""
        for name, array in vars(self).items():
            array[:, columns] = getattr(found, name)

    def at(self, columns: Int[np.ndarray, " some"]) -> LayerStatistics:
        """Some of the columns."""
        return LayerStatistics(**{n: array[:, columns] for n, array in self._items()})

    def _items(self) -> list[tuple[str, np.ndarray]]:
        return list(vars(self).items())


def layer_statistics(
    model: Any,
    rows: Float[np.ndarray, "layers tokens width"],
    targets: Int[np.ndarray, " tokens"],
    *,
    tile: int,
) -> LayerStatistics:
    """The statistics of every layer's rows, two tiles of logits held at once.

    Args:
        model: a `Layered` model.
        rows: what its head takes.
        targets: the tokens that stand there.
        tile: how many rows of logits a buffer holds.
    """
    layers, tokens = rows.shape[:2]
    found = LayerStatistics.blank(layers, tokens)
    for begin in range(0, tokens, tile):
        part = slice(begin, min(tokens, begin + tile))
        found.put(part, _of_tile(model, rows[:, part], targets[part]))
    return found


def _of_tile(
    model: Any,
    rows: Float[np.ndarray, "layers tokens width"],
    targets: Int[np.ndarray, " tokens"],
) -> LayerStatistics:
    last = model.head(rows[-1])
    found = LayerStatistics.blank(*rows.shape[:2])
    for layer in range(len(rows)):
        is_last = layer == len(rows) - 1
        logits = last if is_last else model.head(rows[layer])
        one = row_statistics(logits, targets, top=1)
        if one.logp is None or one.rank is None:
            raise AssertionError("row statistics with targets have their numbers")
        found.entropy[layer], found.surprisal[layer] = one.entropy, -one.logp
        found.rank[layer] = one.rank
        found.top_ids[layer], found.top_logp[layer] = (
            one.top_ids.T[0],
            one.top_logp.T[0],
        )
        found.kl_to_last[layer] = (
            0.0 if is_last else pair_statistics(last, logits).kl_forward
        )
    return found
