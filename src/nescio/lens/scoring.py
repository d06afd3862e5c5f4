"""The lens on a text that is already there: windows and batches as in scoring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int

from nescio.decoding.recording import labels_of
from nescio.decoding.windows import Job, Window, batches, jobs
from nescio.errors import InvalidInput, InvalidText
from nescio.lens.reading import LayerReading, reading_of
from nescio.lens.statistics import LayerStatistics, layer_statistics
from nescio.models.protocol import LayerBlock, Layered, Model, Tokenized, require
from nescio.trace import Trace
from nescio.trace.trace import SEGMENTS

__all__ = ["TILE", "layer_entropies", "layer_entropies_of_texts", "tile_rows"]

Progress = Callable[[int, int], None]

TILE = 64
"""Rows of logits a buffer holds: a layer's and the last layer's are there at once."""
_BATCH_TOKENS = 1024
"""At most so many run at once: each layer's rows of them are held."""
_TILE_ELEMENTS = 2**24
_COMPLETION = SEGMENTS.index("completion")


def layer_entropies(
    model: Model,
    text: str | bytes,
    *,
    window: Window | None = None,
    tile: int | None = None,
    progress: Progress | None = None,
) -> LayerReading:
    """What each layer would predict of a text: entropy, top token, KL to the last.

    The text is laid as `nescio.score` lays it: behind the document start, long ones in
    sliding windows, never through the chat template. The last row of the result is the
    model itself. One pass of the network reads a window; the head is then applied to a
    few rows of one layer at a time, so that [layers x tokens x vocabulary] never is.

    Args:
        model: Tokenized and Layered: one of the ``transformers`` engine.
        text: the text.
        window: how it is laid and batched.
        tile: rows of logits a buffer holds, of which there are two; decides memory
            and speed. None: 64, fewer for a large vocabulary.
        progress: called with (tokens done, tokens in all).

    Raises:
        CapabilityError: the model has no layers to read (another engine), or its
            architecture has no lens; says why.
        InvalidText: an empty text, or bytes that are not UTF-8.
        ContextOverflow: longer than the context, windowing off.

    Example:
        >>> import nescio
        >>> layer_entropies(nescio.load("table:coin"), "HT")
        Traceback (most recent call last):
        ...
        nescio.errors.CapabilityError: the layer lens needs a model that is Layered;
        table:coin is not. Choose another model or engine

    Source: nostalgebraist (2020), the logit lens; Ali et al. (2025), Entropy-Lens.
    """
    (found,) = layer_entropies_of_texts(
        model, [text], window=window, tile=tile, progress=progress
    )
    return found


def layer_entropies_of_texts(
    model: Model,
    texts: Sequence[str | bytes],
    *,
    window: Window | None = None,
    tile: int | None = None,
    progress: Progress | None = None,
) -> tuple[LayerReading, ...]:
    """The same of several texts, read in batches of similar length.

    Args:
        model, window, tile, progress: as `layer_entropies`.
        texts: the texts.

    Raises:
        InvalidInput: one text instead of a list, and as `layer_entropies`.
    """
    require(model, Tokenized, Layered, purpose="the layer lens")
    if isinstance(texts, str | bytes):
        raise InvalidInput("texts is one text; give a list, or use layer_entropies")
    able: Any = model
    rows, laid = tile_rows(able, tile), window or Window()
    ids = [able.encode(_as_bytes(text)) for text in texts]
    todo = [
        job
        for number, one in enumerate(ids)
        for job in jobs(able, number, one, window=laid)
    ]
    budget = min(laid.batch_tokens, _BATCH_TOKENS)
    found = _read(able, todo, ids, budget=budget, tile=rows, progress=progress)
    settings = {"kind": "score", "chat": False, **laid.settings(able)}
    return tuple(
        _reading(able, one, numbers, settings=settings)
        for one, numbers in zip(ids, found, strict=True)
    )


def tile_rows(model: Any, asked: int | None) -> int:
    """How many rows of logits a buffer holds.

    Raises:
        InvalidInput: below 1.
    """
    if asked is None:
        return max(4, min(TILE, _TILE_ELEMENTS // model.vocabulary.size))
    if asked < 1:
        raise InvalidInput(f"tile is {asked}: a buffer holds at least 1 row")
    return asked


Found = tuple[LayerStatistics, Int[np.ndarray, " n"]]
"""The numbers of each token of a text, and how much context it had: 0 is unscored."""


def _read(
    model: Any,
    todo: Sequence[Job],
    ids: Sequence[Int[np.ndarray, " _"]],
    *,
    budget: int,
    tile: int,
    progress: Progress | None,
) -> list[Found]:
    layers = model.layer_count()
    found = [
        (LayerStatistics.blank(layers, len(one)), np.zeros(len(one), dtype=np.int32))
        for one in ids
    ]
    total, done = sum(len(job.ids) - job.skip - 1 for job in todo), 0
    for batch in batches(todo, budget=budget):
        skip = [job.skip for job in batch]
        for block in model.layer_blocks([j.ids for j in batch], skip=skip, rows=tile):
            _take(model, block, batch, found, tile=tile)
            done += len(block.position)
            if progress is not None:
                progress(done, total)
    return found


def _take(
    model: Any,
    block: LayerBlock,
    batch: Sequence[Job],
    found: Sequence[Found],
    *,
    tile: int,
) -> None:
    targets = np.array(
        [
            batch[sequence].ids[position + 1]
            for sequence, position in zip(
                block.sequence.tolist(), block.position.tolist(), strict=True
            )
        ],
        dtype=np.int64,
    )
    numbers = layer_statistics(model, block.rows, targets, tile=tile)
    for number in np.unique(block.sequence).tolist():
        job, mine = batch[number], np.flatnonzero(block.sequence == number)
        tokens = block.position[mine] + job.first + 1 - job.start
        statistics, context = found[job.text]
        statistics.put(tokens, numbers.at(mine))
        context[tokens] = block.position[mine] + 1


def _reading(
    model: Any,
    ids: Int[np.ndarray, " n"],
    numbers: Found,
    *,
    settings: dict[str, Any],
) -> LayerReading:
    vocabulary, (found, context) = model.vocabulary, numbers
    before = "".join(vocabulary.label(token) or "" for token in model.start)
    origin = replace(model.origin, conditioned_on=before or None, decoding=settings)
    scored = context > 0
    trace = Trace(
        buffer=vocabulary.spell(ids),
        offsets=vocabulary.edges(ids),
        token_ids=ids,
        segment=np.full(len(ids), _COMPLETION, dtype=np.int8),
        scored=scored,
        context_used=context,
        logp=-found.surprisal[-1],
        origin=origin,
        entropy=found.entropy[-1],
        rank=found.rank[-1],
        labels=labels_of(ids, vocabulary),
    )
    columns = np.flatnonzero(scored)
    return reading_of(model, trace, found.at(columns), settings=settings)


def _as_bytes(text: str | bytes) -> bytes:
    if not text:
        raise InvalidText("the text is empty: there is nothing to read")
    if isinstance(text, str):
        try:
            return text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidText(
                f"the text holds a lone surrogate at character {error.start}: it has "
                "no UTF-8 bytes; remove it"
            ) from error
    return text
