"""A teacher of one vocabulary read for a student of another: exact on tables."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nescio.ensemble.byte_view import START, ByteView
from nescio.errors import InvalidInput
from nescio.evaluation.byte_teaching import byte_symbols, spelled, taught
from nescio.models.table import read_table
from nescio.training import next_byte_logp, span_logp, span_losses

TEXT = "aabbé".encode()


def test_rows_and_tokens_are_the_tables_own() -> None:
    table = read_table("pieces")
    ids, edges = spelled(table, TEXT)
    lesson = taught(table, TEXT, edges)  # a student with the same tokenizer
    assert lesson.alignment.boundaries.tolist() == edges.tolist()
    # a, ab, b, é: the rows of the file after nothing, "a", nothing, "ab" and "b".
    assert lesson.teacher_logp.exp().tolist() == pytest.approx([0.3, 0.2, 0.2, 0.1])
    assert bytes(lesson.following.tolist()) == b"aab\xc3"
    its_first_byte = [0.15, 0.15, 0.15, 0.1]
    assert lesson.next_bytes[:, 0xC3].exp().tolist() == pytest.approx(its_first_byte)
    end = [0.1, 0.1, 0.1, 0.2]
    assert lesson.next_bytes[:, 256].exp().tolist() == pytest.approx(end)
    assert ids.tolist() == [0, 2, 1, 3]


def test_a_student_of_bytes_gets_a_row_where_the_teachers_tokens_end() -> None:
    lesson = taught(read_table("pieces"), TEXT, np.arange(len(TEXT) + 1))
    assert lesson.alignment.boundaries.tolist() == [0, 1, 3, 4, 6]
    assert lesson.alignment.student_rows.tolist() == [0, 1, 3, 4]


def test_the_byte_view_teaches_at_every_boundary_of_the_student() -> None:
    view = ByteView(read_table("pieces"))
    lesson = taught(view, TEXT, np.arange(len(TEXT) + 1))
    assert lesson.alignment.boundaries.tolist() == list(range(len(TEXT) + 1))
    context = view.open()
    for place, symbol in enumerate([START, *TEXT][:-1]):
        (context,), rows = view.extend([context], [np.array([symbol])])
        row = lesson.next_bytes[place].numpy()
        assert np.exp(row) == pytest.approx(np.exp(rows[0, :257]), abs=1e-14)
    total = float(lesson.teacher_logp.sum())
    assert total <= 0
    own = taught(read_table("pieces"), TEXT, np.arange(len(TEXT) + 1))
    assert total > float(own.teacher_logp.sum())  # other spellings add


def test_a_student_that_is_the_teacher_has_nothing_to_learn() -> None:
    table = read_table("pieces")
    ids, edges = spelled(table, TEXT)
    lesson = taught(table, TEXT, edges)
    rows = np.stack([table.row(tuple(ids[:n].tolist())) for n in range(len(ids))])
    logits = torch.from_numpy(rows)
    ours = next_byte_logp(logits, byte_symbols(table.vocabulary))
    assert torch.allclose(ours.exp(), lesson.next_bytes.exp(), rtol=0, atol=1e-14)
    logp = logits.gather(1, torch.from_numpy(ids).long()[:, None])[:, 0]
    assert torch.allclose(
        span_logp(logp, lesson.alignment.student),
        lesson.teacher_logp,
        rtol=0,
        atol=1e-14,
    )
    for loss in ("binary", "squared"):
        found = span_losses(logp, lesson.teacher_logp, lesson.alignment, loss=loss)
        assert found.abs().max() < 1e-13


def test_texts_that_cannot_be_taught_are_refused() -> None:
    table = read_table("pieces")
    with pytest.raises(InvalidInput, match="empty"):
        spelled(table, b"")
    with pytest.raises(InvalidInput, match=r"bytes 0 to 4.*0 to 6"):
        taught(table, TEXT, np.arange(5))
    coin = read_table("coin")
    assert byte_symbols(coin.vocabulary, size=5).first.tolist() == [72, 84, -1, -1, -1]
