"""Tables made by hand, and models that behave like engines with a will of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nescio.models.protocol import LogitBlock
from nescio.models.table import Table, read_table

LETTERS = ("a", "b", "c")
ONE = {(): (0.5, 0.3, 0.2), ("a",): (0.8, 0.1, 0.1), ("b",): (0.2, 0.6, 0.2)}
TWO = {(): (0.4, 0.4, 0.2), ("a",): (0.6, 0.3, 0.1), ("b",): (0.3, 0.4, 0.3)}
STRICT = {(): (0.5, 0.5, 0.0), ("a",): (0.9, 0.1, 0.0), ("b",): (0.5, 0.25, 0.25)}


def make_table(
    folder: Path,
    name: str,
    rows: dict[tuple[str, ...], tuple[float, ...]],
    tokens: Sequence[str] = LETTERS,
) -> Table:
    """A table of these rows in a file of its own."""
    path = folder / f"{name}.json"
    listed = [{"after": list(after), "p": list(p)} for after, p in rows.items()]
    path.write_text(json.dumps({"tokens": list(tokens), "rows": listed}))
    return read_table(path)


@dataclass(frozen=True, eq=False)
class Engine:
    """A table as an engine might run it: its own blocks, start and context.

    It fills one buffer again and again, and puts rubbish there when it is asked for
    the next block.
    """

    table: Any
    rows: int = 128
    start: tuple[int, ...] | None = None
    context_length: int | None = None
    order: int = 1
    lost: int = 0

    def __getattribute__(self, name: str) -> Any:
        if name == "start":
            own = object.__getattribute__(self, "start")
            return self.table.start if own is None else own
        return object.__getattribute__(self, name)

    @property
    def name(self) -> str:
        return f"engine {self.rows}"

    @property
    def origin(self) -> Any:
        return self.table.origin

    @property
    def vocabulary(self) -> Any:
        return self.table.vocabulary

    def encode(self, text: bytes) -> np.ndarray:
        return self.table.encode(text)

    def logit_blocks(
        self, sequences: Sequence[Any], *, skip: Sequence[int], rows: int = 128
    ) -> Iterator[LogitBlock]:
        limit = self.context_length
        assert rows >= 8
        assert limit is None or all(len(ids) <= limit for ids in sequences)
        buffer = np.empty((self.rows, self.vocabulary.size))
        blocks = list(self.table.logit_blocks(sequences, skip=skip, rows=self.rows))
        for block in blocks[:: self.order][: len(blocks) - self.lost]:
            buffer[:] = np.nan
            buffer[: len(block.logits)] = block.logits
            yield LogitBlock(
                block.sequence, block.position, buffer[: len(block.logits)]
            )


def row_kl(p: np.ndarray, q: np.ndarray) -> float:
    """KL(p || q) of two rows of log-probabilities, in nats."""
    there = p > -np.inf
    return float(np.sum(np.exp(p[there]) * (p[there] - q[there])))


def exact_kl_rate(one: Table, other: Table) -> float:
    """Sum over states of their long-run share under ``one`` times the row's KL."""
    states, share = one.stationary()
    rows = [row_kl(one.row(state), other.row(state)) for state in states]
    return float(share @ np.array(rows))


def simulated(table: Table, *, length: int, seed: int) -> str:
    """A text of the table's stationary source."""
    rng = np.random.default_rng(seed)
    ids = table.simulate(rng, texts=1, length=length)[0]
    return table.vocabulary.spell(ids).decode()
