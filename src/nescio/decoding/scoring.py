"""Scoring: what a model thinks of every token of a text that is already there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nescio.decoding.answering import scored_text
from nescio.decoding.joined import blocks_told, is_told, together
from nescio.decoding.recording import Detail, Measures, candidates_of, labels_of
from nescio.decoding.windows import Job, Window, batches, jobs
from nescio.errors import CapabilityError, InvalidInput, InvalidText
from nescio.kernel import row_statistics
from nescio.models.protocol import (
    Answering,
    LogitBlock,
    Model,
    Scoring,
    Tokenized,
    require,
)
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Column, Trace
from nescio.trace.trace import SEGMENTS

__all__ = ["score", "score_texts"]

Progress = Callable[[int, int], None]
_BLOCK_ELEMENTS = 2**25
_COMPLETION, _PROMPT = SEGMENTS.index("completion"), SEGMENTS.index("prompt")


@dataclass(frozen=True, eq=False)
class _Text:
    """A text as tokens, with where scoring begins and the bytes already given."""

    ids: Int[np.ndarray, " n"]
    begin: int
    reopened: bytes


def score(
    model: Model,
    text: str | bytes,
    *,
    given: str | bytes | None = None,
    window: Window | None = None,
    detail: Detail | None = None,
    progress: Progress | None = None,
) -> Trace:
    """The surprisal and entropy of every token of a text, in nats.

    The text stands behind the model's document start, so that its first token is
    scored too; a model without one leaves the first token unscored. The chat template
    is never used. Texts longer than the context are read by a sliding window; each
    token says how much context it had (``context_used``).

    Args:
        model: a model that is Tokenized and Scoring, or an endpoint that scores
            prompts (most do not, and say so).
        text: the text.
        given: text that stands before and is not scored. The two are read as one
            text. A token that straddles the boundary is scored by its new bytes,
            given those already there: its probability among all tokens that begin
            with them (``origin.decoding["reopened_bytes"]``).
        window: how texts are laid and batched; None slides by half the context.
        detail: what to keep of each prediction; None keeps ten candidates.
        progress: called with (tokens done, tokens in all).

    Raises:
        InvalidText: an empty text, or bytes that are not UTF-8.
        ContextOverflow: longer than the context, windowing off.
        CapabilityError: the model cannot score.
        InvalidDistribution: the model gave NaN, +inf or an all -inf row.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:coin"), "HTTH")
        >>> [round(float(h), 4) for h in trace.entropy]
        [0.6931, 0.6931, 0.6931, 0.6931]
    """
    if isinstance(model, Answering):
        if given is not None or window is not None:
            raise CapabilityError(
                "an endpoint scores a text as one piece from its start: without given "
                "and without windows; use a local model"
            )
        return _scored_elsewhere(model, text, detail or Detail())
    (trace,) = score_texts(
        model, [text], given=given, window=window, detail=detail, progress=progress
    )
    return trace


def score_texts(
    model: Model,
    texts: Sequence[str | bytes],
    *,
    given: str | bytes | None = None,
    window: Window | None = None,
    detail: Detail | None = None,
    progress: Progress | None = None,
) -> tuple[Trace, ...]:
    """The traces of several texts, scored in batches of similar length.

    Args:
        model: a model that is Tokenized and Scoring.
        texts: the texts.
        given: text that stands before each, as `score`.
        window: how texts are laid and batched.
        detail: what to keep of each prediction.
        progress: called with (tokens done, tokens in all).

    Raises:
        InvalidInput: one text instead of a list, and as `score`.

    Example:
        >>> import nescio
        >>> traces = score_texts(nescio.load("table:coin"), ["HT", "T"])
        >>> [len(trace) for trace in traces]
        [2, 1]
    """
    require(model, Tokenized, Scoring, purpose="scoring a text")
    if isinstance(texts, str | bytes):
        raise InvalidInput("texts is one text; give a list, or use score")
    prepared = [_prepared(model, text, given) for text in texts]
    return _scored(
        model, _Work(prepared, window or Window(), detail or Detail()), progress
    )


def _scored_elsewhere(model: Answering, text: str | bytes, detail: Detail) -> Trace:
    """The text as a source scores it by itself.

    Raises:
        CapabilityError: it does not.
        InvalidText: bytes that are not UTF-8, no text.
    """
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidText(f"the text is not UTF-8 at byte {error.start}") from error
    return scored_text(model, whole, top=detail.top)


@dataclass(frozen=True, eq=False)
class _Work:
    """Texts to score, how they are laid, and what is kept."""

    texts: Sequence[_Text]
    window: Window
    detail: Detail


def _scored(model: Any, work: _Work, progress: Progress | None) -> tuple[Trace, ...]:
    size = model.vocabulary.size
    measures = [
        Measures.blank(len(text.ids), work.detail, vocabulary_size=size)
        for text in work.texts
    ]
    todo = [
        job
        for number, text in enumerate(work.texts)
        for job in jobs(model, number, text.ids, window=work.window, begin=text.begin)
    ]
    total, done = sum(len(job.ids) - job.skip for job in todo), 0
    rows = max(8, min(128, _BLOCK_ELEMENTS // size))
    for batch in batches(todo, budget=work.window.batch_tokens):
        skip = [job.skip for job in batch]
        ids = [job.ids for job in batch]
        for block, contexts in _blocks(model, ids, skip, rows):
            _take(
                block,
                contexts,
                batch,
                work,
                measures=measures,
                vocabulary=model.vocabulary,
            )
        done += sum(len(job.ids) - job.skip for job in batch)
        if progress is not None:
            progress(done, total)
    return tuple(
        _trace(model, text, found, work)
        for text, found in zip(work.texts, measures, strict=True)
    )


def _blocks(
    model: Any, sequences: list[np.ndarray], skip: list[int], rows: int
) -> Iterator[tuple[LogitBlock, Sequence[Any]]]:
    """Blocks of logits, with the contexts behind them where these say more."""
    if is_told(model):
        yield from blocks_told(model, sequences, skip)
        return
    for block in model.logit_blocks(sequences, skip=skip, rows=rows):
        yield block, ()


def _prepared(model: Any, text: str | bytes, given: str | bytes | None) -> _Text:
    mine = _as_bytes(text, "the text")
    before = b"" if given is None else _as_bytes(given, "the given text")
    if not mine:
        raise InvalidText("the text is empty: there is nothing to score")
    ids = model.encode(before + mine)
    edges = model.vocabulary.edges(ids)
    begin = int(np.searchsorted(edges[1:], len(before), side="right"))
    return _Text(ids, begin, before[edges[begin] :])


def _as_bytes(text: str | bytes, name: str) -> bytes:
    if isinstance(text, str):
        try:
            return text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidText(
                f"{name} holds a lone surrogate at character {error.start}: it has no "
                "UTF-8 bytes; remove it"
            ) from error
    if not isinstance(text, bytes):
        raise InvalidInput(f"{name} is {type(text).__name__}, not text")
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidText(
            f"{name} is not valid UTF-8 at byte {error.start} "
            f"(0x{text[error.start]:02x}); convert it to UTF-8 first"
        ) from error
    return text


def _take(
    block: LogitBlock,
    contexts: Sequence[Any],
    batch: Sequence[Job],
    work: _Work,
    *,
    measures: Sequence[Measures],
    vocabulary: Vocabulary,
) -> None:
    shift = np.array([job.first + 1 - job.start for job in batch])
    tokens = block.position + shift[block.sequence]
    owner = np.array([job.text for job in batch])[block.sequence]
    targets = np.empty(len(tokens), dtype=np.int64)
    logits = block.logits
    for number in np.unique(owner).tolist():
        rows, text = np.flatnonzero(owner == number), work.texts[number]
        targets[rows] = text.ids[tokens[rows]]
        if text.reopened:
            for row in rows[tokens[rows] == text.begin].tolist():
                logits = _reopened(logits, row, text.reopened, vocabulary)
    detail = work.detail
    statistics = row_statistics(logits, targets, top=detail.top, renyi=detail.renyi)
    told = together(contexts, logits, targets)
    for number in np.unique(owner).tolist():
        rows = np.flatnonzero(owner == number)
        context = (block.position[rows] + 1).astype(np.int32)
        measures[number].put(tokens[rows], statistics, rows, context)
        if told is not None:
            measures[number].put_columns(tokens[rows], told.columns(), rows)


def _reopened(
    logits: Float[np.ndarray, "rows vocab"],
    row: int,
    known: bytes,
    vocabulary: Vocabulary,
) -> Float[np.ndarray, "rows vocab"]:
    """The logits with every token forbidden that does not begin with known bytes."""
    allowed = np.zeros(vocabulary.size, dtype=np.bool_)
    for spelled, ids in vocabulary.ids_by_bytes.items():
        if spelled.startswith(known):
            allowed[list(ids)] = True
    masked = logits.copy()
    masked[row, ~allowed] = -np.inf
    return masked


def _trace(model: Any, text: _Text, measures: Measures, work: _Work) -> Trace:
    vocabulary, ids = model.vocabulary, text.ids
    segment = np.full(len(ids), _COMPLETION, dtype=np.int8)
    segment[: text.begin] = _PROMPT
    conditioned = "".join(vocabulary.label(token) or "" for token in model.start)
    decoding = dict(model.origin.decoding)
    decoding |= {"kind": "score", "chat": False, **work.window.settings(model)}
    if text.reopened:
        decoding["reopened_bytes"] = text.reopened.hex()
    trace = Trace(
        buffer=vocabulary.spell(ids),
        offsets=vocabulary.edges(ids),
        token_ids=ids,
        segment=segment,
        scored=measures.scored,
        context_used=measures.context_used,
        logp=measures.logp,
        origin=replace(
            model.origin, conditioned_on=conditioned or None, decoding=decoding
        ),
        entropy=measures.entropy,
        varentropy=measures.varentropy,
        rank=measures.rank,
        candidates=candidates_of(measures, vocabulary),
        renyi=measures.renyi if work.detail.renyi else None,
        renyi_orders=work.detail.renyi,
        columns=measures.columns,
        labels=labels_of(ids, vocabulary),
    )
    return _split(trace, text) if text.reopened else trace


def _split(trace: Trace, text: _Text) -> Trace:
    """Give the known bytes of a straddling token to a row of their own, unscored.

    That row has token id -1: no token of the vocabulary, only bytes known before.
    """
    at = text.begin
    edge = int(trace.offsets[at]) + len(text.reopened)

    def widened(array: np.ndarray, value: Any) -> np.ndarray:
        return np.insert(array, at, value, axis=0)

    candidates = trace.candidates
    return replace(
        trace,
        offsets=np.insert(trace.offsets, at + 1, edge),
        token_ids=widened(trace.token_ids, -1),  # pyright: ignore[reportArgumentType]
        segment=widened(trace.segment, _PROMPT),
        scored=widened(trace.scored, False),
        context_used=widened(trace.context_used, 0),
        logp=widened(trace.logp, np.nan),
        entropy=widened(trace.entropy, np.nan),  # pyright: ignore[reportArgumentType]
        varentropy=widened(trace.varentropy, np.nan),  # pyright: ignore[reportArgumentType]
        rank=widened(trace.rank, 0),  # pyright: ignore[reportArgumentType]
        renyi=None if trace.renyi is None else widened(trace.renyi, np.nan),
        candidates=None
        if candidates is None
        else replace(
            candidates,
            offsets=np.insert(candidates.offsets, at, candidates.offsets[at]),
        ),
        columns={
            name: Column(widened(column.values, np.nan), column.unit)
            for name, column in trace.columns.items()
        },
        labels={i + (i >= at): label for i, label in trace.labels.items()},
    )
