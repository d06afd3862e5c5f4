"""Look-ahead rows: each prediction's candidates, and how unsure each leaves the model.

For every candidate the model reads one token more, in a batch of forks. What lies
outside the candidates is given the mean look-ahead of those inside, weighted by their
probability, both where the parameter is fitted and where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import InvalidInput, NescioError, NotEnoughData
from nescio.kernel import log_softmax, row_statistics
from nescio.models.protocol import Context, Stepping, Tokenized, require

__all__ = [
    "Ahead",
    "LookAheadRows",
    "Reading",
    "check_candidates",
    "look_ahead",
    "look_ahead_rows",
    "tilted",
]

Progress = Callable[[int, int], None]
_SIDE_BY_SIDE = 16  # documents


@dataclass(frozen=True, eq=False)
class Ahead:
    """What each candidate of some predictions leads to.

    Args:
        ids: the most probable tokens, most probable first, [rows, candidates].
        logp: their log-probabilities, nats; -inf: impossible.
        entropy: of the prediction after each, nats; 0 after an end, and where
            impossible.
        rest: their mean, weighted by probability: that of all other tokens, [rows].
    """

    ids: Int[np.ndarray, "rows candidates"]
    logp: Float[np.ndarray, "rows candidates"]
    entropy: Float[np.ndarray, "rows candidates"]
    rest: Float[np.ndarray, " rows"]


@dataclass(frozen=True)
class Reading:
    """How text is read to fit or judge a look-ahead.

    Args:
        candidates: how many tokens are looked at, at least 2; None: all of them.
        tokens: the most tokens of a document that are read.
        every: every how many tokens a prediction is taken, at least 1.
        batch: how many forks step side by side.

    Raises:
        InvalidInput: a number below these.
    """

    candidates: int | None = None
    tokens: int = 256
    every: int = 1
    batch: int = 64

    def __post_init__(self) -> None:
        check_candidates(self.candidates)
        for name in ("tokens", "every", "batch"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}: at least 1")


@dataclass(frozen=True, eq=False)
class LookAheadRows:
    """Predictions of a text with their candidates' look-ahead; all that a fit needs.

    Args:
        logp: log-probabilities of the candidates, nats, [n, candidates]; -inf: none.
        entropy: of the prediction after each, nats, [n, candidates].
        rest_logp: log of what is left for all other tokens, [n]; -inf: nothing.
        rest_entropy: the look-ahead they are given, [n].
        target_logp: log-probability of the token that came, [n].
        target_entropy: its look-ahead, or that of the rest, [n].
        document: which document each is of, [n].
        weight: how often each counts, [n]; None: once.
        settings: where they come from, for the recipe.

    Raises:
        InvalidInput: lengths disagree, numbers that are not finite, an impossible
            target, a negative weight.
    """

    logp: Float[np.ndarray, "n candidates"]
    entropy: Float[np.ndarray, "n candidates"]
    rest_logp: Float[np.ndarray, " n"]
    rest_entropy: Float[np.ndarray, " n"]
    target_logp: Float[np.ndarray, " n"]
    target_entropy: Float[np.ndarray, " n"]
    document: Int[np.ndarray, " n"]
    weight: Float[np.ndarray, " n"] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.logp)
        for name in ("entropy", "rest_logp", "target_logp", "document"):
            if len(getattr(self, name)) != n:
                raise InvalidInput(
                    f"{name} has {len(getattr(self, name))} rows, not {n}"
                )
        if not n:
            raise InvalidInput("no predictions: there is nothing to fit")
        for name in ("entropy", "rest_entropy", "target_entropy", "target_logp"):
            values = getattr(self, name)
            if not np.isfinite(values).all():
                place = np.argwhere(~np.isfinite(values))[0].tolist()
                raise InvalidInput(
                    f"{name}{place} is {values[tuple(place)]}: finite numbers are "
                    "needed, and a token that came is not impossible"
                )
        if self.weight is not None and not (
            np.isfinite(self.weight).all() and self.weight.min() >= 0.0
            and self.weight.sum() > 0.0
        ):  # fmt: skip
            raise InvalidInput("weights are finite, at least 0, and not all 0")

    def __len__(self) -> int:
        return len(self.logp)

    @property
    def shares(self) -> Float[np.ndarray, " n"]:
        """The weights, with sum 1."""
        weight = np.ones(len(self)) if self.weight is None else self.weight
        return weight / weight.sum()


def check_candidates(candidates: int | None) -> None:
    """Refuse fewer than 2.

    Raises:
        InvalidInput: naming the number.
    """
    if candidates is not None and candidates < 2:
        raise InvalidInput(
            f"candidates is {candidates}: at least 2, or nothing differs; None for all"
        )


def look_ahead(
    model: Any,
    contexts: Sequence[Context],
    logits: Float[np.ndarray, "rows vocab"],
    *,
    candidates: int | None,
    batch: int = 64,
) -> Ahead:
    """How unsure the model will be after each candidate.

    Args:
        model: Tokenized and Stepping.
        contexts: what was read, [rows].
        logits: what the model predicts there.
        candidates: how many of the most probable tokens; None: all.
        batch: how many forks step side by side.

    Example:
        >>> import nescio
        >>> model = nescio.load("table:topics")
        >>> (context,), row = model.extend([model.open()], [np.array([0])])
        >>> found = look_ahead(model, [context], row, candidates=2)
        >>> found.ids.tolist(), found.entropy.round(3).tolist()
        ([[1, 0]], [[0.32, 0.32]])
    """
    top = logits.shape[1] if candidates is None else min(candidates, logits.shape[1])
    found = row_statistics(logits, top=top)
    ids, logp = found.top_ids.astype(np.int64), found.top_logp
    entropy = np.zeros(ids.shape)
    goes_on = (logp > -np.inf) & ~np.isin(ids, list(model.vocabulary.end))
    places = np.argwhere(goes_on)
    for first in range(0, len(places), batch):
        some = places[first : first + batch]
        _, after = model.extend(
            [contexts[row] for row, _ in some.tolist()],
            [ids[row, column : column + 1].astype(np.int32) for row, column in some],
        )
        entropy[some[:, 0], some[:, 1]] = row_statistics(after).entropy
    p = np.exp(logp)
    rest = np.vecdot(p, entropy) / p.sum(axis=1)
    return Ahead(ids, logp, entropy, rest)


def tilted(
    logits: Float[np.ndarray, "rows vocab"], ahead: Ahead, a: float
) -> Float[np.ndarray, "rows vocab"]:
    """The predictions Q_a: each token's log-probability less a times its look-ahead.

    Returns:
        Normalised log-probabilities in float64, nats.
    """
    before = log_softmax(logits)
    after = before - a * ahead.rest[:, None]
    rows = np.arange(len(before))[:, None]
    after[rows, ahead.ids] = before[rows, ahead.ids] - a * ahead.entropy
    return log_softmax(after)


def look_ahead_rows(
    model: Any,
    documents: Mapping[str, str] | Sequence[str],
    *,
    reading: Reading | None = None,
    progress: Progress | None = None,
) -> LookAheadRows:
    """Read people's text and look one token ahead at every prediction.

    Args:
        model: a model that is Tokenized and Stepping.
        documents: texts, or texts by name.
        reading: how many candidates, how much of each document.
        progress: called with (predictions done, in all).

    Raises:
        NotEnoughData: no document has a token that is predicted.
        InvalidInput: one text instead of several; a token that is impossible.
        CapabilityError: the model cannot step.

    Example:
        >>> import nescio
        >>> rows = look_ahead_rows(nescio.load("table:topics"), ["abab", "cd"])
        >>> len(rows), rows.document.tolist()
        (6, [0, 0, 0, 0, 1, 1])
    """
    require(model, Tokenized, Stepping, purpose="looking ahead")
    how = reading or Reading()
    sequences = _sequences(model, documents, how)
    total = sum(len(_stops(model, ids, how)) for ids in sequences)
    if not total:
        raise NotEnoughData(
            f"{len(sequences)} documents hold no token that is predicted: give texts"
        )
    done, parts = 0, []
    for first in range(0, len(sequences), _SIDE_BY_SIDE):
        some = sequences[first : first + _SIDE_BY_SIDE]
        for owner, target, contexts, logits in _predictions(model, some, how):
            found = _part(model, contexts, logits, target=target, how=how)
            parts.append((first + owner, found))
            done += len(target)
            if progress is not None:
                progress(done, total)
    return _joined(model, parts, how)


def _sequences(
    model: Any, documents: Mapping[str, str] | Sequence[str], how: Reading
) -> list[Int[np.ndarray, " _"]]:
    if isinstance(documents, str):
        raise InvalidInput("documents is one text; give a list, or texts by name")
    named = (
        documents.items() if isinstance(documents, Mapping) else enumerate(documents)
    )
    start = np.array(model.start, dtype=np.int32)
    room = how.tokens
    if model.context_length is not None:  # the last fork reads one more
        room = min(room, model.context_length - len(start) - 1)
    found = []
    for name, text in named:
        if not isinstance(text, str):
            raise InvalidInput(f"document {name!r} is {type(text).__name__}, not text")
        try:
            ids = model.encode(text.encode("utf-8", "surrogatepass"))
        except NescioError as error:
            raise type(error)(f"document {name!r}: {error}") from error
        found.append(np.concatenate([start, ids[:room].astype(np.int32)]))
    return found


def _stops(model: Any, ids: Int[np.ndarray, " n"], how: Reading) -> range:
    """How many tokens have been read where a prediction is taken."""
    return range(max(1, len(model.start)), len(ids), how.every)


def _predictions(
    model: Any, sequences: Sequence[Int[np.ndarray, " _"]], how: Reading
) -> Iterator[tuple[np.ndarray, np.ndarray, list[Context], np.ndarray]]:
    """Whose predictions, what came, what was read, the logits; side by side."""
    contexts = {number: model.open() for number in range(len(sequences))}
    stops = [_stops(model, ids, how) for ids in sequences]
    for step in range(max(map(len, stops))):
        going = [n for n, found in enumerate(stops) if step < len(found)]
        until = [stops[n][step] for n in going]
        runs = [
            sequences[n][contexts[n].length : stop]
            for n, stop in zip(going, until, strict=True)
        ]
        read, logits = model.extend([contexts[n] for n in going], runs)
        contexts |= dict(zip(going, read, strict=True))
        target = [int(sequences[n][s]) for n, s in zip(going, until, strict=True)]
        yield np.array(going), np.array(target), list(read), logits.copy()


def _part(
    model: Any,
    contexts: Sequence[Context],
    logits: np.ndarray,
    *,
    target: np.ndarray,
    how: Reading,
) -> tuple[Ahead, np.ndarray, np.ndarray]:
    """The candidates, and log-probability and look-ahead of what came."""
    ahead = look_ahead(
        model, contexts, logits, candidates=how.candidates, batch=how.batch
    )
    logp = row_statistics(logits, target).logp
    if logp is None:
        raise AssertionError("row statistics with targets have log-probabilities")
    came = ahead.ids == target[:, None]
    inside = came.any(axis=1)
    found = np.where(inside, np.where(came, ahead.entropy, 0.0).sum(axis=1), ahead.rest)
    return ahead, logp, found


def _joined(
    model: Any,
    parts: Sequence[tuple[np.ndarray, tuple[Ahead, np.ndarray, np.ndarray]]],
    how: Reading,
) -> LookAheadRows:
    owner = np.concatenate([numbers for numbers, _ in parts])
    order = np.argsort(owner, kind="stable")
    logp = np.concatenate([ahead.logp for _, (ahead, _, _) in parts])
    target = np.concatenate([came for _, (_, came, _) in parts])
    size = model.vocabulary.size
    with np.errstate(divide="ignore"):
        left = np.log1p(-np.minimum(1.0, np.exp(logp).sum(axis=1)))
    if logp.shape[1] >= size:
        left = np.full(len(logp), -np.inf)
    rest = np.concatenate([ahead.rest for _, (ahead, _, _) in parts])
    entropy = np.concatenate([ahead.entropy for _, (ahead, _, _) in parts])
    found = np.concatenate([inside for _, (_, _, inside) in parts])
    origin = model.origin
    return LookAheadRows(
        logp[order],
        entropy[order],
        left[order],
        rest[order],
        target[order],
        found[order],
        owner[order],
        settings={
            "model": origin.model,
            "model_digest": origin.model_digest,
            "tokenizer_digest": origin.tokenizer_digest,
            "engine": origin.engine,
            "precision": origin.precision,
            "candidates": how.candidates,
            "rest": "the candidates' mean look-ahead, weighted by probability",
            "every": how.every,
            "tokens_per_document": how.tokens,
            "documents": len(np.unique(owner)),
        },
    )
