"""Scoring: against the exact table, by hand, and laid in windows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nescio
from nescio.errors import ContextOverflow, InvalidInput, InvalidText
from tests.models.tiny import tiny_model


@pytest.fixture
def short() -> Any:
    """A random model that sees 96 tokens."""
    return tiny_model("llama")


TEXT = "It was a bright cold day in April, and the clocks were striking thirteen. " * 4


def test_a_table_scores_its_own_probabilities() -> None:
    trace = nescio.score(nescio.load("table:pieces"), "aba")
    assert [trace.token_bytes(i) for i in range(2)] == [b"ab", b"a"]
    np.testing.assert_allclose(trace.logp, np.log([0.2, 0.3]), rtol=1e-6)
    assert trace.rank.tolist() == [2, 1]
    row = np.array([0.3, 0.2, 0.2, 0.1, 0.05, 0.05, 0.1])
    assert trace.entropy[0] == pytest.approx(-(row * np.log(row)).sum(), rel=1e-6)
    variance = (row * np.log(row) ** 2).sum() - (row * np.log(row)).sum() ** 2
    assert trace.varentropy[0] == pytest.approx(variance, rel=1e-5)


def test_several_texts_are_scored_as_each_alone(short: Any) -> None:
    texts = ["one", "a somewhat longer second text", "三"]
    for text, trace in zip(texts, nescio.score_texts(short, texts), strict=True):
        alone = nescio.score(short, text)
        assert trace.buffer == alone.buffer == text.encode()
        np.testing.assert_allclose(trace.logp, alone.logp, atol=1e-4)


def test_given_text_is_read_and_not_scored() -> None:
    model = nescio.load("table:topics")
    trace = nescio.score(model, "cd", given="ab")
    assert trace.scored.tolist() == [False, False, True, True]
    np.testing.assert_allclose(trace.logp[2:], np.log([0.005, 0.245]), rtol=1e-6)
    assert np.isnan(trace.logp[:2]).all()


def test_a_token_across_the_boundary_is_scored_by_its_new_bytes() -> None:
    """P(ab | begins with a) = .2 / (.3 + .2): by hand from the table's first row."""
    trace = nescio.score(nescio.load("table:pieces"), "b", given="a")
    assert [trace.token_bytes(i) for i in range(2)] == [b"a", b"b"]
    assert trace.scored.tolist() == [False, True]
    assert trace.token_ids.tolist() == [-1, 2]
    assert trace.logp[1] == pytest.approx(np.log(0.4))
    share = np.array([0.6, 0.4])
    assert trace.entropy[1] == pytest.approx(-(share * np.log(share)).sum())
    assert trace.origin.decoding["reopened_bytes"] == b"a".hex()


def test_a_split_character_at_the_boundary_keeps_the_bytes_apart() -> None:
    trace = nescio.score(nescio.load("table:pieces"), "éa", given="é")
    assert trace.buffer == "ééa".encode()
    assert trace.scored.tolist() == [False, True, True]


def test_context_used_counts_what_a_token_could_see(short: Any) -> None:
    trace = nescio.score(short, "abc")
    assert trace.context_used.tolist() == [1, 2, 3]
    assert trace.origin.conditioned_on == "<s>"


def test_without_a_document_start_the_first_token_is_unscored(short: Any) -> None:
    from dataclasses import replace

    trace = nescio.score(replace(short, start=()), "abc")
    assert trace.scored.tolist() == [False, True, True]
    assert trace.origin.conditioned_on is None


@pytest.mark.parametrize(("size", "stride"), [(96, None), (40, 10), (40, 38), (20, 1)])
def test_windows_score_every_token_once_with_the_context_they_promise(
    short: Any, size: int, stride: int | None
) -> None:
    trace = nescio.score(short, TEXT, window=nescio.Window(size, stride))
    assert trace.scored.all()
    moved = stride or size // 2
    assert trace.context_used.max() <= size - 1
    assert trace.context_used[size:].min() >= size - moved
    assert trace.origin.decoding["window"] == size
    assert trace.origin.decoding["stride"] == moved


def test_a_windowed_token_has_the_probability_of_its_window(short: Any) -> None:
    trace = nescio.score(short, TEXT, window=nescio.Window(40, 10))
    token = 120
    seen = int(trace.context_used[token]) - 1
    head = trace.buffer[trace.offsets[token - seen] : trace.offsets[token]]
    alone = nescio.score(short, trace.token_bytes(token), given=head)
    assert alone.logp[-1] == pytest.approx(float(trace.logp[token]), abs=1e-4)


def test_a_text_too_long_is_refused_with_windowing_off(short: Any) -> None:
    with pytest.raises(ContextOverflow, match=r"296 tokens.*window holds 96"):
        nescio.score(short, TEXT, window=nescio.Window(sliding=False))


@pytest.mark.parametrize(
    ("size", "stride", "words"),
    [(97, None, "does not fit"), (1, None, "predicts nothing"), (40, 0, "never moves"),
     (40, 39, "no context")],
)  # fmt: skip
def test_windows_that_make_no_sense_are_refused(
    short: Any, size: int, stride: int | None, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        nescio.score(short, TEXT, window=nescio.Window(size, stride))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        (b"caf\xe9", "not valid UTF-8 at byte 3"),
        ("bad \ud800", "lone surrogate"),
    ],
)
def test_text_that_cannot_be_measured_is_refused(text: Any, words: str) -> None:
    with pytest.raises(InvalidText, match=words):
        nescio.score(nescio.load("table:coin"), text)


def test_one_text_where_a_list_is_needed_is_refused(short: Any) -> None:
    with pytest.raises(InvalidInput, match="use score"):
        nescio.score_texts(short, "abc")


def test_text_a_model_cannot_write_is_refused() -> None:
    with pytest.raises(InvalidText, match="cannot write"):
        nescio.score(nescio.load("table:coin"), "HTX")


def test_detail_decides_what_is_kept() -> None:
    model = nescio.load("table:topics")
    detail = nescio.Detail(top=2, renyi=(0.5, -1.0))
    trace = nescio.score(model, "abc", detail=detail)
    assert len(trace.candidates.at(1)) == 2
    row = np.array([0.049, 0.931, 0.005, 0.005, 0.005, 0.005])
    expected = [np.log((row**0.5).sum()), np.log((row**2).sum())]
    np.testing.assert_allclose(trace.renyi[1], expected, rtol=1e-5)
    assert nescio.score(model, "a", detail=nescio.Detail(top=0)).candidates.at(0) == []


def test_progress_ends_at_the_total(short: Any) -> None:
    seen: list[tuple[int, int]] = []
    window = nescio.Window(40, 10, batch_tokens=80)
    nescio.score(
        short,
        TEXT,
        window=window,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert len(seen) > 2
    assert seen[-1][0] == seen[-1][1]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_an_impossible_token_is_infinitely_surprising(tmp_path: Path) -> None:
    table = {"tokens": ["a", "b"], "rows": [{"after": [], "p": [1.0, 0.0]}]}
    path = tmp_path / "certain.json"
    path.write_text(json.dumps(table))
    trace = nescio.score(nescio.load(f"table:{path}"), "ab")
    assert trace.surprisal.tolist() == [0.0, np.inf]
    assert trace.entropy.tolist() == [0.0, 0.0]
