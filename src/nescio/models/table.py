"""The exact model: a Markov table one can enumerate. The oracle of everything else.

A table file is JSON: ``tokens`` (text, ``{"hex": "c3"}`` for bytes, or
``{"control": "<end>"}``), ``rows`` of probabilities ``p`` over the tokens ``after`` a
list of tokens, and optionally ``end``, the control tokens that end a text. The row of
the longest matching ``after`` counts, so the row after nothing has to be there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import (
    InvalidDistribution,
    InvalidInput,
    SchemaError,
    UnknownModel,
)
from nescio.models.protocol import LogitBlock
from nescio.models.spelling import fewest_tokens
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Origin

__all__ = ["Table", "TableContext", "read_table"]

_START = "<start>"
_SUM_TOLERANCE = 1e-9


@dataclass(frozen=True)
class TableContext:
    """The tokens read so far; nothing else is kept."""

    tokens: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        """How many tokens were read."""
        return len(self.tokens)

    def rewind(self, length: int) -> TableContext:
        """The context as it was after its first ``length`` tokens."""
        if not 0 <= length <= self.length:
            raise InvalidInput(
                f"a context of {self.length} tokens cannot be rewound to {length}"
            )
        return TableContext(self.tokens[:length])


@dataclass(frozen=True, eq=False)
class Table:
    """A Markov model of bounded memory, exact in float64.

    It has one more token than its file: the control token ``<start>``, which is
    never predicted and stands before every text.

    Args:
        name: the specification it was loaded from.
        vocabulary: the file's tokens and ``<start>``.
        rows: log-probabilities [vocabulary] after each listed context.
        digest: of the file's content.

    Example:
        >>> coin = read_table("coin")
        >>> float(round(coin.entropy_rate() / np.log(2), 6))    # bits a token
        1.0
        >>> [(text, p) for text, p in coin.enumerate(2)][:2]
        [((0, 0), 0.25), ((0, 1), 0.25)]
    """

    name: str
    vocabulary: Vocabulary
    rows: Mapping[tuple[int, ...], Float[np.ndarray, " vocab"]]
    digest: str

    @property
    def context_length(self) -> int | None:
        """None: a table sees as far as it wants."""
        return None

    @property
    def start(self) -> tuple[int, ...]:
        """The one ``<start>`` token."""
        return (self.vocabulary.size - 1,)

    @cached_property
    def order(self) -> int:
        """How many tokens back a row can look."""
        return max(map(len, self.rows))

    @cached_property
    def origin(self) -> Origin:
        """Digests, engine and precision."""
        return Origin(self.name, self.digest, self.vocabulary.digest, "table", "f64")

    def encode(self, text: bytes) -> Int[np.ndarray, " n"]:
        """The spelling of a text with the fewest tokens, longer tokens first.

        Raises:
            InvalidText: a byte that no sequence of tokens spells.
        """
        return fewest_tokens(text, self.vocabulary)

    def row(self, tokens: Sequence[int]) -> Float[np.ndarray, " vocab"]:
        """Log P(next token | tokens), nats, exact."""
        start = self.vocabulary.size - 1
        recent = tuple(t for t in tokens[-self.order - 1 :] if t != start)
        for begin in range(max(0, len(recent) - self.order), len(recent) + 1):
            found = self.rows.get(recent[begin:])
            if found is not None:
                return found
        raise AssertionError("the row after nothing is checked when a table is read")

    def open(self) -> TableContext:
        """The context before anything was read."""
        return TableContext()

    def extend(
        self,
        contexts: Sequence[TableContext],
        tokens: Sequence[Int[np.ndarray, " _"]],
    ) -> tuple[tuple[TableContext, ...], Float[np.ndarray, "contexts vocab"]]:
        """Read tokens into each context; exact log-probabilities of what comes next."""
        longer = tuple(
            TableContext((*context.tokens, *map(int, run)))
            for context, run in zip(contexts, tokens, strict=True)
        )
        rows = [self.row(context.tokens) for context in longer]
        return longer, np.stack(rows) if rows else np.empty((0, self.vocabulary.size))

    def logit_blocks(
        self,
        sequences: Sequence[Int[np.ndarray, " _"]],
        *,
        skip: Sequence[int],
        rows: int = 128,
    ) -> Iterator[LogitBlock]:
        """Exact log-probabilities after each position, in blocks."""
        if not sequences:
            return
        order = self.order
        padding = np.full(order, self.start[0], dtype=np.int32)  # rows ignore it
        flat = np.concatenate([part for ids in sequences for part in (padding, ids)])
        lengths = np.array([len(ids) for ids in sequences], dtype=np.int64)
        skipped = np.array(skip, dtype=np.int64)
        begins = np.cumsum(lengths + order) - lengths - order
        ends = np.cumsum(np.maximum(lengths - 1 - skipped, 0))
        for begin in range(0, int(ends[-1]), rows):
            row = np.arange(begin, min(begin + rows, int(ends[-1])))
            owner = np.searchsorted(ends, row, side="right")
            position = row - ends[owner] + lengths[owner] - 1
            first = begins[owner] + position
            recent = flat[first[:, None] + np.arange(order + 1)]
            known, which = np.unique(recent, axis=0, return_inverse=True)
            logits = np.stack([self.row(tokens) for tokens in known.tolist()])
            yield LogitBlock(owner, position, logits[which])

    def enumerate(self, length: int) -> Iterator[tuple[tuple[int, ...], float]]:
        """Every sequence of ``length`` tokens, or shorter and ended, that is possible.

        Yields:
            Token ids and their exact probability; these sum to 1.
        """
        ends = frozenset(self.vocabulary.end)
        pending: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
        while pending:
            tokens, logp = pending.pop()
            if len(tokens) == length or (tokens and tokens[-1] in ends):
                yield tokens, float(np.exp(logp))
                continue
            row = self.row(tokens)
            pending += [
                ((*tokens, token), logp + float(row[token]))
                for token in np.flatnonzero(row > -np.inf)[::-1].tolist()
            ]

    def stationary(
        self,
    ) -> tuple[tuple[tuple[int, ...], ...], Float[np.ndarray, " states"]]:
        """The long-run share of each state, the last ``order`` tokens.

        Raises:
            InvalidDistribution: the table can end, or has more than one long run.
        """
        states, moves = self._chain()
        balance = np.vstack([moves.T - np.eye(len(states)), np.ones(len(states))])
        target = np.concatenate([np.zeros(len(states)), [1.0]])
        share, _, rank, _ = np.linalg.lstsq(balance, target, rcond=None)
        if rank < len(states):
            raise InvalidDistribution(
                f"{self.name} settles in more than one way: no single long run"
            )
        return states, np.clip(share, 0.0, None) / np.clip(share, 0.0, None).sum()

    def entropy_rate(self) -> float:
        """The exact entropy rate of the stationary source, nats a token.

        Raises:
            InvalidDistribution: as `stationary`.

        Source: Shannon (1948), section 7.
        """
        states, share = self.stationary()
        entropies = [_row_entropy(self.row(state)) for state in states]
        return float(share @ np.array(entropies))

    def simulate(
        self, rng: np.random.Generator, *, texts: int, length: int
    ) -> Int[np.ndarray, "texts length"]:
        """Independent texts of the stationary source, [texts, length] token ids."""
        states, share = self.stationary()
        _, moves = self._chain()
        cumulative = moves.cumsum(axis=1)
        cumulative[:, -1] = 1.0
        last = np.array([state[-1] if state else 0 for state in states])
        now = rng.choice(len(states), size=texts, p=share)
        drawn = np.empty((texts, length), dtype=np.int64)
        for position in range(length):
            uniform = rng.random((texts, 1))
            now = (uniform >= cumulative[now]).sum(axis=1)
            drawn[:, position] = last[now]
        return drawn

    def _chain(
        self,
    ) -> tuple[tuple[tuple[int, ...], ...], Float[np.ndarray, "states states"]]:
        if self.vocabulary.end and self._can_end:
            raise InvalidDistribution(
                f"{self.name} can end, so it has no stationary source"
            )
        order = max(1, self.order)
        states = tuple(tokens for tokens, _ in self.enumerate(order))
        number = {state: index for index, state in enumerate(states)}
        moves = np.zeros((len(states), len(states)))
        for index, state in enumerate(states):
            row = self.row(state)
            for token in np.flatnonzero(row > -np.inf).tolist():
                follower = (*state, token)[-order:]
                if follower not in number:
                    raise InvalidDistribution(
                        f"{self.name}: no text of {order} tokens is {follower}, but it "
                        "comes later; list rows that allow it from the start"
                    )
                moves[index, number[follower]] += np.exp(row[token])
        return states, moves

    @property
    def _can_end(self) -> bool:
        ends = list(self.vocabulary.end)
        return any((row[ends] > -np.inf).any() for row in self.rows.values())


def read_table(source: str | Path) -> Table:
    """A table from a JSON file, or bundled: ``coin``, ``topics``, ``pieces``.

    Raises:
        UnknownModel: there is no such file or bundled table.
        SchemaError: the file is not a table; says where.
        InvalidDistribution: a row that does not sum to 1.
    """
    bundled = resources.files("nescio.models") / "tables" / f"{source}.json"
    if str(source).isidentifier() and bundled.is_file():
        return _parsed(bundled.read_bytes(), f"table:{source}")
    path = Path(source)
    if not _is_file(path):
        raise UnknownModel(
            f"table:{source} is neither a file nor one of the bundled tables "
            "(coin, topics, pieces)"
        )
    return _parsed(path.read_bytes(), f"table:{path.name}")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for any file
        return False


def _parsed(raw: bytes, name: str) -> Table:
    try:
        fields = json.loads(raw.decode("utf-8"))
        tokens = [_token(token) for token in fields["tokens"]]
        rows, ends = fields["rows"], fields.get("end", [])
        lists = (fields["tokens"], rows, ends)
        if not all(isinstance(value, list) for value in lists):
            raise TypeError("tokens, rows and end are lists")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SchemaError(f"{name} is not a table: {error!r}") from error
    keys = [control or spelled for spelled, control in tokens]
    if len(set(keys)) != len(keys) or not keys:
        raise SchemaError(f"{name}: tokens have to be there, and each only once")
    control = {i: label for i, (_, label) in enumerate(tokens) if label}
    control[len(tokens)] = _START
    number = {_key(token): index for index, token in enumerate(fields["tokens"])}
    vocabulary = Vocabulary.of(
        [spelled for spelled, _ in tokens] + [b""],
        control=control,
        end=[_numbered(number, end, name) for end in ends],
    )
    table = {}
    for index, row in enumerate(rows):
        after, logp = _row(row, number, f"{name} row {index}")
        table[after] = logp
    if () not in table or len(table) != len(rows):
        raise SchemaError(f"{name}: one row after nothing ([]), and each context once")
    return Table(name, vocabulary, table, hashlib.sha256(raw).hexdigest())


def _token(token: Any) -> tuple[bytes, str]:
    if isinstance(token, str) and token:
        return token.encode("utf-8"), ""
    if isinstance(token, Mapping) and token.get("hex"):
        return bytes.fromhex(token["hex"]), ""
    if isinstance(token, Mapping) and token.get("control"):
        return b"", str(token["control"])
    raise TypeError(f"a token is text, {{'hex': …}} or {{'control': …}}, not {token!r}")


def _key(token: Any) -> str:
    """A name of its own for each token; a control token may be named by its label."""
    if isinstance(token, str):
        return token
    kind, name = next(iter(token.items()))
    return f"hex {name}" if kind == "hex" else str(name)


def _numbered(number: Mapping[str, int], token: Any, name: str) -> int:
    if not isinstance(token, str | Mapping) or not token or _key(token) not in number:
        raise SchemaError(f"{name}: {token!r} is not one of its tokens")
    return number[_key(token)]


def _row(
    row: Any, number: Mapping[str, int], name: str
) -> tuple[tuple[int, ...], np.ndarray]:
    try:
        if not isinstance(row["after"], list) or not isinstance(row["p"], list):
            raise TypeError("'after' and 'p' are lists")
        if any(isinstance(x, bool | str) for x in row["p"]):
            raise TypeError("'p' holds numbers")
        after = tuple(_numbered(number, token, name) for token in row["after"])
        p = np.array([float(x) for x in row["p"]])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, SchemaError):
            raise
        raise SchemaError(f"{name}: needs 'after' and 'p': {error!r}") from error
    if len(p) != len(number):
        raise SchemaError(f"{name}: {len(p)} probabilities for {len(number)} tokens")
    if not (p >= 0).all() or abs(p.sum() - 1) > _SUM_TOLERANCE:
        raise InvalidDistribution(
            f"{name}: probabilities are at least 0 and sum to 1, not {p.sum():.12g}"
        )
    with np.errstate(divide="ignore"):
        return after, np.append(np.log(p / p.sum()), -np.inf)


def _row_entropy(logp: Float[np.ndarray, " vocab"]) -> float:
    possible = logp[logp > -np.inf]
    return float(-(np.exp(possible) * possible).sum())
