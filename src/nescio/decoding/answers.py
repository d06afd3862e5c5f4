"""From drawn tokens to the trace of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from nescio.decoding.batch import Drawn
from nescio.decoding.joined import columns_of
from nescio.decoding.prompting import Opening
from nescio.decoding.recording import (
    Measures,
    candidates_of,
    labels_of,
    renyi_column,
)
from nescio.decoding.rules import Decoding
from nescio.errors import InvalidInput
from nescio.trace import Column, Trace
from nescio.trace.trace import SEGMENTS

__all__ = ["Draw", "answer_trace", "random_source"]

Row = tuple[Drawn, int]
"""One token of an answer: a step, and the answer's row in it."""


@dataclass(frozen=True)
class Draw:
    """Which answer it is: a seed, the number of its prompt, and of the draw."""

    seed: int
    prompt: int = 0
    number: int = 0


def random_source(draw: Draw) -> np.random.SeedSequence:
    """The random numbers of one draw; they depend on nothing else.

    Raises:
        InvalidInput: a negative seed.
    """
    if draw.seed < 0:
        raise InvalidInput(f"seed is {draw.seed}: a seed is at least 0")
    of_prompt = (draw.prompt,) if draw.prompt else ()
    return np.random.SeedSequence(int(draw.seed), spawn_key=(draw.number, *of_prompt))


def answer_trace(
    model: Any,
    asked: Opening,
    rows: Sequence[Row],
    *,
    decoding: Decoding,
    draw: Draw,
) -> Trace:
    """The trace of an answer so far: its prompt, then every token drawn."""
    before, n = len(asked.shown), len(rows)
    drawn = np.array([int(step.token_ids[row]) for step, row in rows], dtype=np.int32)
    ids = np.concatenate([asked.shown, drawn])
    measures, processed = _measures(before, rows, decoding, model.vocabulary.size)
    completion = np.full(n, SEGMENTS.index("completion"), dtype=np.int8)
    settings = (
        model.origin.decoding
        | asdict(decoding)
        | {
            "kind": "generate",
            "chat": asked.chat,
            "prompt_number": draw.prompt,
            "draw": draw.number,
        }
    )
    ended = rows[-1][0].stops[rows[-1][1]] if rows else None
    return Trace(
        buffer=model.vocabulary.spell(ids),
        offsets=model.vocabulary.edges(ids),
        token_ids=ids,
        segment=np.concatenate([asked.segment, completion]),
        role=np.concatenate([asked.role, np.zeros(n, dtype=np.int8)]),
        scored=measures.scored,
        context_used=measures.context_used,
        logp=measures.logp,
        logp_processed=processed,
        origin=replace(
            model.origin,
            template_digest=asked.template_digest,
            conditioned_on=asked.conditioned_on,
            decoding=settings,
            seed=draw.seed,
        ),
        entropy=measures.entropy,
        varentropy=measures.varentropy,
        rank=measures.rank,
        candidates=candidates_of(measures, model.vocabulary),
        renyi=measures.renyi if decoding.detail.renyi else None,
        renyi_orders=decoding.detail.renyi,
        columns=_columns(before, rows, decoding),
        labels=labels_of(ids, model.vocabulary),
        stop=ended or "cancelled",
    )


def _measures(
    before: int, rows: Sequence[Row], decoding: Decoding, vocabulary_size: int
) -> tuple[Measures, np.ndarray]:
    measures = Measures.blank(
        before + len(rows), decoding.detail, vocabulary_size=vocabulary_size
    )
    processed = np.full(before + len(rows), np.nan, dtype=np.float32)
    if not rows:
        return measures, processed
    found = [(step.statistics, row) for step, row in rows]
    names = ["logp", "entropy", "varentropy", "rank", "top_ids", "top_logp"]
    for name in [*names, *(["log_renyi"] if decoding.detail.renyi else [])]:
        values = [getattr(statistics, name)[row] for statistics, row in found]
        getattr(measures, name.removeprefix("log_"))[before:] = values
    measures.context_used[before:] = [step.context_used[row] for step, row in rows]
    processed[before:] = [step.logp_processed[row] for step, row in rows]
    return measures, processed


def _columns(before: int, rows: Sequence[Row], decoding: Decoding) -> dict[str, Column]:
    """What members of an ensemble said; Rényi sums of what was drawn from, by order."""
    found = columns_of([(step.together, row) for step, row in rows], before=before)
    for place, order in enumerate(decoding.detail.renyi_processed):
        values = np.full(before + len(rows), np.nan, dtype=np.float32)
        for token, (step, row) in enumerate(rows):
            if step.log_renyi is not None:
                values[before + token] = step.log_renyi[row, place]
        found[renyi_column(order)] = Column(values, "nats")
    return found
