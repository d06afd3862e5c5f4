"""What every member says of every byte of some texts: one pass, and all rules follow.

Rules, weights and powers change how members are joined and not what they say. So their
distributions are read once, [bytes, members, 257], and every rule is scored on them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.ensemble.branches import END, SYMBOLS
from nescio.ensemble.byte_view import START, ByteView
from nescio.ensemble.rules import rule_named
from nescio.errors import InvalidInput, InvalidText, SchemaError

__all__ = [
    "MemberScores",
    "load_scores",
    "member_scores",
    "rule_logp",
    "save_scores",
]

Own = Float[np.ndarray, "bytes members"]
_ROWS = 4096  # joined at once


@dataclass(frozen=True, eq=False)
class MemberScores:
    """Log-probabilities of the members, byte for byte, of some documents.

    Args:
        logp: of every symbol that might come, [bytes, members, 257], nats; float32 as
            they are stored.
        symbols: what came, [bytes].
        document: the number of the text each stands in, [bytes], ascending.
        missing: for each document and member an estimate of the share of its
            probability that was not followed, [documents, members].

    Raises:
        InvalidInput: lengths or symbols that do not fit.
    """

    logp: Float[np.ndarray, "bytes members symbols"]
    symbols: Int[np.ndarray, " bytes"]
    document: Int[np.ndarray, " bytes"]
    missing: Float[np.ndarray, "documents members"]

    def __post_init__(self) -> None:
        rows = len(self.logp)
        if not rows or self.logp.shape[2] != SYMBOLS:
            raise InvalidInput(
                f"log-probabilities of shape {self.logp.shape}: [bytes, members, 257]"
            )
        if len(self.symbols) != rows or len(self.document) != rows:
            raise InvalidInput(
                f"{rows} rows, {len(self.symbols)} symbols and {len(self.document)} "
                "documents: one of each a byte"
            )
        if self.symbols.min() < 0 or self.symbols.max() > END:
            raise InvalidInput("a symbol is a byte or the end, 256")
        if (np.diff(self.document) < 0).any():
            raise InvalidInput("the bytes of a document stand together, in order")

    @property
    def members(self) -> int:
        """How many there are."""
        return self.logp.shape[1]

    @cached_property
    def own(self) -> Own:
        """Log-probability of what came, [bytes, members], nats, float64."""
        rows = np.arange(len(self.symbols))
        return self.logp[rows, :, self.symbols].astype(np.float64)

    @property
    def bits_per_byte(self) -> tuple[float, ...]:
        """What all of it cost each member, bits a symbol; inf: it cannot write it."""
        return tuple((-self.own.mean(axis=0) / math.log(2)).tolist())

    @cached_property
    def starts(self) -> Int[np.ndarray, " documents"]:
        """Where each document begins."""
        return np.flatnonzero(np.diff(self.document, prepend=self.document[0] - 1))

    def by_document(self, values: Float[np.ndarray, "bytes ..."]) -> np.ndarray:
        """Sums over each document."""
        return np.add.reduceat(values, self.starts, axis=0)

    def only(self, mask: np.ndarray) -> MemberScores:
        """Some of the bytes."""
        numbers, document = np.unique(self.document[mask], return_inverse=True)
        return MemberScores(
            self.logp[mask], self.symbols[mask], document, self.missing[numbers]
        )

    def behind(self, count: int) -> MemberScores:
        """Without the first bytes of each document, which were its prompt."""
        lengths = np.diff(np.append(self.starts, len(self.symbols)))
        place = np.arange(len(self.symbols)) - np.repeat(self.starts, lengths)
        return self.only(place >= count)


def member_scores(
    views: Sequence[ByteView],
    texts: Sequence[bytes],
    *,
    ended: bool = False,
) -> MemberScores:
    """Read every text with every member, the texts side by side.

    Args:
        views: the members.
        texts: documents, each with at least one byte.
        ended: whether the end of each text counts as a symbol of it.

    Raises:
        InvalidInput: no member, no text, an empty one.
        InvalidText: bytes a member cannot write.

    Example:
        >>> from nescio.models.table import read_table
        >>> view = ByteView(read_table("coin"))
        >>> scores = member_scores([view, view], [b"HT", b"T"])
        >>> (scores.own / np.log(2)).round(6).tolist(), scores.document.tolist()
        ([[-1.0, -1.0], [-1.0, -1.0], [-1.0, -1.0]], [0, 0, 1])
    """
    if not views or not texts or not all(texts):
        raise InvalidInput("members and texts are needed, and no text is empty")
    runs = [[*text, *([END] if ended else [])] for text in texts]
    columns = [_rows_of(view, runs) for view in views]
    return MemberScores(
        np.stack([rows for rows, _ in columns], axis=1),
        np.concatenate([np.array(run, dtype=np.int64) for run in runs]),
        np.repeat(np.arange(len(runs)), list(map(len, runs))),
        np.stack([missing for _, missing in columns], axis=1),
    )


def _rows_of(
    view: ByteView, runs: Sequence[Sequence[int]]
) -> tuple[Float[np.ndarray, "bytes symbols"], Float[np.ndarray, " documents"]]:
    """What one member says before each symbol, document after document."""
    told = [np.empty((len(run), SYMBOLS), dtype=np.float32) for run in runs]
    now: list[Any] = [view.open()] * len(runs)
    missing = np.zeros(len(runs))
    for step in range(max(map(len, runs))):
        places = [place for place, run in enumerate(runs) if step < len(run)]
        symbols = [runs[place][step - 1] if step else START for place in places]
        read, rows = view.extend(
            [now[place] for place in places],
            [np.array([symbol], dtype=np.int64) for symbol in symbols],
        )
        for place, context, row in zip(places, read, rows, strict=True):
            now[place] = context
            told[place][step] = row[:SYMBOLS]
            missing[place] = context.missing
    return np.concatenate(told), missing


def rule_logp(
    scores: MemberScores,
    rule: str,
    weights: Sequence[float | int],
    *,
    lead: Float[np.ndarray, "documents members"] | None = None,
) -> Float[np.ndarray, " bytes"]:
    """Log-probability of what came under a rule, nats.

    Args:
        scores: of the members.
        rule: as in `nescio.ensemble.joining.Ensemble`.
        weights: of the members, at least 0; scaled to sum to 1.
        lead: for each document what the members gave the text before its first byte,
            [documents, members], which the posterior rule begins with; None: nothing.

    Raises:
        InvalidInput: an unknown rule, weights for another number of members.
        InvalidText: for the posterior, bytes that every member gave no probability.
    """
    given = np.array(weights, dtype=np.float64)
    if len(given) != scores.members or (given < 0).any() or not given.sum() > 0:
        raise InvalidInput(f"weights {list(weights)} for {scores.members} members")
    shares = given / given.sum()
    joined = rule_named(rule)
    each = _posterior(scores, shares, lead) if rule == "posterior" else None
    found = np.empty(len(scores.symbols))
    for begin in range(0, len(found), _ROWS):
        part = slice(begin, min(begin + _ROWS, len(found)))
        logp = scores.logp[part].astype(np.float64)
        rows = len(logp)
        here = np.tile(shares, (rows, 1)) if each is None else each[part]
        row = joined(logp, here)
        found[part] = row[np.arange(rows), scores.symbols[part]]
    return found


def _posterior(
    scores: MemberScores,
    shares: Float[np.ndarray, " members"],
    lead: Float[np.ndarray, "documents members"] | None,
) -> Own:
    """The members' weights before each byte: times what they gave the text so far."""
    before = np.cumsum(scores.own, axis=0) - scores.own
    lengths = np.diff(np.append(scores.starts, len(before)))
    before -= np.repeat(before[scores.starts], lengths, axis=0)
    if lead is not None:
        before += np.repeat(lead, lengths, axis=0)
    with np.errstate(divide="ignore"):
        logs = before + np.log(shares)
    top = logs.max(axis=1, keepdims=True)
    if (top == -np.inf).any():
        place = int(np.flatnonzero(top == -np.inf)[0])
        raise InvalidText(
            f"every member gives what stands before symbol {place} no probability: "
            "the posterior has no weights there; use the mean, or leave the text out"
        )
    logs -= top
    return np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)


def save_scores(path: str | Path, scores: MemberScores) -> None:
    """Write them to a file, whole or not at all."""
    target = Path(path)
    beside = target.with_name(f".{target.name}.part.npz")
    np.savez(
        beside,
        logp=scores.logp,
        symbols=scores.symbols,
        document=scores.document,
        missing=scores.missing,
    )
    beside.replace(target)


def load_scores(path: str | Path) -> MemberScores:
    """What `save_scores` wrote.

    Raises:
        SchemaError: the file holds something else.
    """
    try:
        with np.load(Path(path), allow_pickle=False) as found:
            fields: Mapping[str, np.ndarray] = {name: found[name] for name in found}
            return MemberScores(**fields)
    except (OSError, ValueError, TypeError, EOFError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise SchemaError(f"{Path(path).name} holds no scores: {error}") from error
