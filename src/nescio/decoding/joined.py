"""What is told of predictions that several models made together, byte by byte.

A context of an ensemble holds what every member said, and its weight; one of a view as
bytes how many spellings it follows, and how much it gave up. A trace keeps these as
columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from nescio.information import jensen_shannon_divergence
from nescio.models.protocol import LogitBlock
from nescio.trace import Column

__all__ = [
    "JoinedContext",
    "SpelledContext",
    "Together",
    "blocks_told",
    "expected_after",
    "prompts_read",
    "columns_of",
    "is_told",
    "tells_more",
    "together",
    "tokens_seen",
]

TOP = 8
"""How many symbols are kept of what each member expected."""


@runtime_checkable
class SpelledContext(Protocol):
    """A context that follows several spellings of one text.

    Once something was read its ``doubt`` is the largest total variation of the
    prediction, for spellings that were given up.
    """

    @property
    def branches(self) -> Sequence[Any]:
        """The spellings that are followed."""
        ...

    @property
    def log_lost(self) -> float:
        """Log of the probability that was not followed, nats."""
        ...


@runtime_checkable
class JoinedContext(Protocol):
    """A context of several models that predict together.

    Once something was read its ``disagreement`` is the Jensen-Shannon divergence of the
    members, nats.
    """

    @property
    def members(self) -> Sequence[SpelledContext | None]:
        """Their contexts; None for one that has left."""
        ...

    @property
    def logp(self) -> Float[np.ndarray, "members symbols"]:
        """What each expects, nats; -inf all along for one that has left."""
        ...

    @property
    def weights(self) -> Float[np.ndarray, " members"]:
        """Of the members here; 0 for one that has left."""
        ...

    @property
    def joined(self) -> Float[np.ndarray, " symbols"]:
        """What they expect together, nats."""
        ...


@dataclass(frozen=True, eq=False)
class Together:
    """What the members of an ensemble said of some symbols, a row each.

    A view of one model has one member, which agrees with itself.

    Args:
        logp: log-probability of the symbol by each member, nats; NaN where it has left,
            -inf where it cannot write the symbol, [rows, members].
        weights: of the members, [rows, members].
        disagreement: their Jensen-Shannon divergence, nats, [rows].
        divergence: the same of each member and what they say together, nats; NaN where
            it has left, [rows, members].
        branches: how many spellings each follows, [rows, members].
        doubt: total variation of each member's prediction at most, [rows, members].
        missing: the share of the text's probability that each is estimated to have
            given up, [rows, members].
        used: how many tokens of its own the likeliest spelling has, [rows, members].
        same_top: whether all that are there expect the same symbol most, [rows].
        top_ids, top_logp: the symbols each expected most, [rows, members, top]; nats,
            -inf where it expected fewer.
    """

    logp: Float[np.ndarray, "rows members"]
    weights: Float[np.ndarray, "rows members"]
    disagreement: Float[np.ndarray, " rows"]
    divergence: Float[np.ndarray, "rows members"]
    branches: Int[np.ndarray, "rows members"]
    doubt: Float[np.ndarray, "rows members"]
    missing: Float[np.ndarray, "rows members"]
    used: Int[np.ndarray, "rows members"]
    same_top: Bool[np.ndarray, " rows"]
    top_ids: Int[np.ndarray, "rows members top"]
    top_logp: Float[np.ndarray, "rows members top"]

    def __len__(self) -> int:
        return len(self.disagreement)

    @property
    def nearest(self) -> Int[np.ndarray, " rows"]:
        """The member whose prediction is nearest to the common one, from 0."""
        known = np.where(np.isnan(self.divergence), np.inf, self.divergence)
        return known.round(12).argmin(axis=1)

    @property
    def tokens_used(self) -> Int[np.ndarray, " rows"]:
        """How many tokens the likeliest spelling has, of the member that has most."""
        return self.used.max(axis=1)

    def columns(self) -> dict[str, tuple[Float[np.ndarray, " rows"], str]]:
        """What a trace keeps: name to values and their unit."""
        found = {
            "branches": (self.branches.sum(axis=1).astype(np.float64), "1"),
            "doubt": (self.doubt.max(axis=1), "1"),
            "missing": (self.missing.max(axis=1), "1"),
        }
        if self.weights.shape[1] < 2:
            return found
        found["disagreement"] = (self.disagreement, "nats")
        found["nearest"] = (self.nearest + 1.0, "1")
        found["same_top"] = (self.same_top.astype(np.float64), "1")
        for member in range(self.weights.shape[1]):
            number = f"[{member + 1}]"
            found[f"weight{number}"] = (self.weights[:, member], "1")
            found[f"logp{number}"] = (self.logp[:, member], "nats")
        return found


def expected_after(context: Any) -> Float[np.ndarray, " vocab"]:
    """What a context expects next, nats; the last symbol, the start, is impossible."""
    if isinstance(context, JoinedContext):
        row = context.joined
    else:
        row = context.log_masses - context.log_kept
    return np.append(row, -np.inf)


def prompts_read(context: Any) -> list[Any]:
    """How the prompt was read: by the model, or by each member that is there."""
    return [member.prompt for member in _members(context) if member is not None]


def _members(context: Any) -> Sequence[Any]:
    """The contexts of all members; None for one that has left."""
    return context.members if _is_joined(context) else (context,)


def _is_joined(context: Any) -> bool:
    return isinstance(context, JoinedContext)


def tokens_seen(context: Any) -> int:
    """How many tokens a model saw.

    Where it is read byte by byte, those of the likeliest spelling, of the member for
    which they are most.
    """
    if not tells_more(context):
        return context.length
    there = (member for member in _members(context) if member is not None)
    return max(map(_used, there), default=0)


def _used(context: Any) -> int:
    first = max(context.branches, key=lambda branch: branch.log_weight)
    own = 0 if first.tokens is None else first.tokens.length
    return own + len(context.prompt.token_ids)


def is_told(model: Any) -> bool:
    """Whether contexts of a model say more than what comes next."""
    return hasattr(model, "open") and tells_more(model.open())


def tells_more(context: Any) -> bool:
    """Whether a context says more than what comes next; looking takes a while."""
    return isinstance(context, JoinedContext | SpelledContext)


def together(
    contexts: Sequence[Any],
    logits: Float[np.ndarray, "rows vocab"],
    symbols: Int[np.ndarray, " rows"],
) -> Together | None:
    """What members said of the symbols that follow some contexts; None if none are.

    Args:
        contexts: before the symbols.
        logits: what the model expects there.
        symbols: that follow.
    """
    if not contexts or not tells_more(contexts[0]):
        return None
    rows = [
        _row(context, expected, int(symbol))
        for context, expected, symbol in zip(contexts, logits, symbols, strict=True)
    ]
    return Together(*(np.stack(parts) for parts in zip(*rows, strict=True)))


def _row(context: Any, expected: np.ndarray, symbol: int) -> tuple[np.ndarray, ...]:
    """One row of every field of `Together`."""
    members = _members(context)
    if _is_joined(context):
        logp, weights, joined = context.logp, context.weights, context.joined
        apart = context.disagreement
    else:
        joined = expected[: _symbols(expected)].astype(np.float64)
        logp, weights, apart = joined[None], np.ones(1), 0.0
    there = np.array([member is not None for member in members])
    said = np.where(there, logp[:, symbol], np.nan)
    divergence = np.full(len(members), np.nan)
    if len(members) > 1:
        divergence[there] = jensen_shannon_divergence(logp[there], joined)
    else:
        divergence[there] = 0.0
    branches = [0 if m is None else len(m.branches) for m in members]
    doubt = [0.0 if m is None else float(m.doubt) for m in members]
    missing = [0.0 if m is None else float(m.missing) + 0.0 for m in members]
    used = [0 if m is None else _used(m) for m in members]
    ids = np.argsort(-logp, axis=1, kind="stable")[:, :TOP]
    return (
        said,
        np.asarray(weights, dtype=np.float64),
        np.asarray(apart, dtype=np.float64),
        divergence,
        np.array(branches, dtype=np.int64),
        np.array(doubt),
        np.array(missing),
        np.array(used, dtype=np.int64),
        np.array(len(set(ids[there, 0].tolist())) == 1),
        ids,
        np.take_along_axis(logp, ids, axis=1),
    )


def _symbols(expected: np.ndarray) -> int:
    """The symbols that can be predicted: the last one stands before texts only."""
    return len(expected) - 1


def columns_of(
    told: Sequence[tuple[Together | None, int]], *, before: int
) -> dict[str, Column]:
    """The columns of a trace from rows of what was told, behind ``before`` others."""
    found: dict[str, Column] = {}
    known = [(place, part, row) for place, (part, row) in enumerate(told) if part]
    if not known:
        return found
    parts = {id(part): part.columns() for _, part, _ in known}
    for name, (_, unit) in parts[id(known[0][1])].items():
        values = np.full(before + len(told), np.nan, dtype=np.float32)
        for place, part, row in known:
            values[before + place] = parts[id(part)][name][0][row]
        found[name] = Column(values, unit)
    return found


def blocks_told(
    model: Any, sequences: Sequence[Int[np.ndarray, " _"]], skip: Sequence[int]
) -> Iterator[tuple[LogitBlock, list[Any]]]:
    """What `Scoring.logit_blocks` gives, and the context behind every row.

    The sequences are read side by side, symbol by symbol.
    """
    now = [model.open() for _ in sequences]
    for position in range(max(map(len, sequences), default=1) - 1):
        owners = [i for i, run in enumerate(sequences) if position < len(run) - 1]
        runs = [sequences[i][position : position + 1] for i in owners]
        contexts, logits = model.extend([now[i] for i in owners], runs)
        for i, context in zip(owners, contexts, strict=True):
            now[i] = context
        told = [row for row, i in enumerate(owners) if position >= skip[i]]
        if told:
            yield (
                LogitBlock(
                    np.array([owners[row] for row in told]),
                    np.full(len(told), position),
                    logits[told],
                ),
                [contexts[row] for row in told],
            )
