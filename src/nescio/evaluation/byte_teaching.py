"""What a loaded model teaches a student that has another vocabulary, byte by byte.

The teacher reads a text once. Where one of its tokens and one of the student's end at
the same byte, its rows over the next byte are kept, and the log-probability of each of
its tokens; the losses of `nescio.training` take them::

    ids, edges = spelled(student_model, text)
    lesson = taught(nescio.load("gemma3-270m"), text, edges)
    symbols = byte_symbols(student_model.vocabulary)
    ...                                            # logits of a network, in a loop
    rows = next_byte_logp(logits[lesson.alignment.student_rows], symbols)
    loss = distillation_loss(rows, lesson.next_bytes, lesson.following)

A teacher of tokens is read in its own spelling of the text: its rows are given that
spelling, and that a token ends there. `nescio.ensemble.byte_view.ByteView` of it, or an
ensemble, is a teacher of bytes: given the bytes alone, over all spellings, at every
boundary of the student, and many times as slow.

Torch is imported with this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from nescio.errors import CapabilityError, InvalidInput
from nescio.models.protocol import Model, Scoring, Tokenized, require
from nescio.models.vocabulary import Vocabulary
from nescio.training import (
    NEXT_SYMBOLS,
    Alignment,
    ByteSymbols,
    align,
    next_byte_logp,
    token_logp,
)

__all__ = ["Taught", "byte_symbols", "spelled", "taught"]


@dataclass(frozen=True, eq=False)
class Taught:
    """What a teacher thinks of one text, at the boundaries it shares with a student.

    Args:
        alignment: of the student's tokens with the teacher's.
        teacher_logp: of each of the teacher's tokens, nats, [teacher tokens].
        next_bytes: log-probabilities of the next byte or the end where each span
            begins, nats, [spans, 257].
        following: the byte that came there, [spans].
    """

    alignment: Alignment
    teacher_logp: Float[Tensor, " tokens"]
    next_bytes: Float[Tensor, "spans symbols"]
    following: Int[Tensor, " spans"]


def byte_symbols(vocabulary: Vocabulary, *, size: int | None = None) -> ByteSymbols:
    """What each id of a vocabulary begins with.

    Args:
        vocabulary: of a model.
        size: of its head, where that is padded.

    Raises:
        InvalidInput: a size below the vocabulary's.

    Example:
        >>> from nescio.models.table import read_table
        >>> byte_symbols(read_table("coin").vocabulary).first.tolist()
        [72, 84, -1]
    """
    tokens = [vocabulary.token(token) for token in range(vocabulary.size)]
    return ByteSymbols.of(tokens, end=vocabulary.end, size=size)


def spelled(
    model: Any, text: bytes
) -> tuple[Int[np.ndarray, " tokens"], Int[np.ndarray, " edges"]]:
    """A text in a model's tokens, and the byte offsets where they begin and it ends.

    Raises:
        CapabilityError: the model's vocabulary is not known.
        InvalidInput: an empty text.
        InvalidText: not UTF-8, or not writable in this vocabulary.

    Example:
        >>> from nescio.models.table import read_table
        >>> ids, edges = spelled(read_table("pieces"), b"aab")
        >>> ids.tolist(), edges.tolist()
        ([0, 2], [0, 1, 3])
    """
    require(model, Model, Tokenized, purpose="an alignment by bytes")
    if not text:
        raise InvalidInput("the text is empty; leave empty completions out")
    ids = model.encode(text)
    return ids, model.vocabulary.edges(ids)


def taught(teacher: Any, text: bytes, edges: Int[np.ndarray, " edges"]) -> Taught:
    """Read a text with a teacher and keep what a student is to learn of it.

    Args:
        teacher: a model that scores and whose vocabulary is known.
        text: that the student reads too.
        edges: byte offsets of the student's tokens and of the end, [tokens + 1]; of a
            student of bytes ``np.arange(len(text) + 1)``.

    Returns:
        Log-probabilities without control tokens that end nothing, the rest scaled to
        1: compare with a student's ``token_logp(..., vocabulary=symbols.first >= 0)``.

    Raises:
        CapabilityError: the teacher cannot score, or nothing predicts its first token.
        InvalidInput: edges of another text, or a text longer than the teacher reads.
        InvalidText: a text that the teacher cannot spell.
        InvalidDistribution: a text to which it gives no probability.

    Example:
        >>> from nescio.models.table import read_table
        >>> lesson = taught(read_table("pieces"), b"aab", np.arange(4))
        >>> lesson.alignment.boundaries.tolist(), lesson.following.tolist()
        ([0, 1, 3], [97, 97])
        >>> [round(p, 4) for p in lesson.next_bytes[0, [97, 98, 256]].exp().tolist()]
        [0.5, 0.2, 0.1]
    """
    require(teacher, Model, Scoring, Tokenized, purpose="teaching by bytes")
    start = len(teacher.start)
    if not start:
        raise CapabilityError(
            f"{teacher.name} has no document start, so nothing predicts the first "
            "token of a text; choose another model"
        )
    ids, its_edges = spelled(teacher, text)
    _check_length(teacher, start + len(ids))
    alignment = align(
        torch.from_numpy(np.asarray(edges, dtype=np.int64)), torch.from_numpy(its_edges)
    )
    begins = alignment.boundaries[:-1].numpy()
    following = np.frombuffer(text, dtype=np.uint8)[begins].astype(np.int64)
    logp, rows = _read(teacher, ids, alignment)
    return Taught(alignment, logp, rows, torch.from_numpy(following))


def _read(
    teacher: Any, ids: Int[np.ndarray, " tokens"], alignment: Alignment
) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the tokens, and rows over the next byte, of one reading."""
    start = np.array(teacher.start, dtype=np.int64)
    targets = torch.from_numpy(np.asarray(ids, dtype=np.int64))
    span = torch.full((len(ids),), -1, dtype=torch.int64)
    span[alignment.teacher_rows] = torch.arange(len(alignment))
    logp = torch.empty(len(ids), dtype=torch.float64)
    rows = torch.empty(len(alignment), NEXT_SYMBOLS, dtype=torch.float64)
    symbols: ByteSymbols | None = None
    sequence = np.concatenate([start, np.asarray(ids, dtype=np.int64)])
    for block in teacher.logit_blocks([sequence], skip=[len(start) - 1]):
        logits = torch.from_numpy(np.array(block.logits))  # the engine reuses its own
        which = torch.from_numpy(np.asarray(block.position)).long() + 1 - len(start)
        if symbols is None:
            symbols = byte_symbols(teacher.vocabulary, size=logits.shape[-1])
        text = symbols.first >= 0
        logp[which] = token_logp(logits, targets[which], vocabulary=text).double()
        here = span[which] >= 0
        if bool(here.any()):
            rows[span[which][here]] = next_byte_logp(logits[here], symbols).double()
    return logp, rows


def _check_length(teacher: Any, tokens: int) -> None:
    limit = teacher.context_length
    if limit is not None and tokens > limit:
        raise InvalidInput(
            f"the text is {tokens} tokens of {teacher.name}, which reads {limit}: give "
            "it in parts"
        )
