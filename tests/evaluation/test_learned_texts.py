"""Heads that read the text before an answer: fits, files, states of texts, refusals."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nescio.calibration.scoring import log_losses
from nescio.errors import InvalidInput, SchemaError
from nescio.evaluation import adaptive_temperature, thermometer
from nescio.evaluation.answer_state_files import read_states, write_states
from nescio.evaluation.answer_state_reading import answer_states, token_states
from nescio.evaluation.answer_states import AnswerStates
from nescio.evaluation.answer_texts import TextStates
from nescio.evaluation.learned_rows import data_of, drawn_texts
from nescio.evaluation.learned_temperature import LearnedTemperature, Learning
from nescio.evaluation.learned_temperature_files import (
    read_learned_temperature,
    write_learned_temperature,
)
from nescio.outcome import Predictions
from nescio.training.temperature_block import block_inverse
from nescio.training.temperature_losses import answer_losses
from tests.evaluation.test_learned_temperature import ANIMALS, ORIGIN, made

BLOCK = Learning("transformer", hidden=8, heads=2, steps=20, batch=16, every=10)


def task_of(
    name: str,
    count: int = 60,
    *,
    own: bool = False,
    width: int = 6,
    answers: int = 4,
    seed: int = 0,
    before: int | None = None,
) -> AnswerStates:
    """Texts of 3 to 7 states; one says that logits are 5 times what they should be.

    It is one of those before the answer's own, or, with ``own``, that itself.
    """
    draw = np.random.default_rng([seed, len(name)])
    lengths = draw.integers(3, 8, count)
    offsets = np.concatenate([[0], lengths.cumsum()])
    states = 0.3 * draw.standard_normal((offsets[-1], width))
    sure = draw.random(count) < 0.5
    marked = lengths - 1 if own else draw.integers(0, lengths - 1)
    states[offsets[:-1] + marked, 0] += np.where(sure, 2.0, -2.0)
    logits = 2.0 * draw.standard_normal((count, answers))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (chances.cumsum(1) < draw.random((count, 1))).sum(1)
    rows = Predictions.of(logits * np.where(sure, 5.0, 1.0)[:, None], labels, "logit")
    texts = TextStates(states.astype(np.float32), offsets, offsets[1:] - 1, before)
    ids = tuple(f"{name} {row}" for row in range(count))
    own_states = texts.states[texts.rows]
    return AnswerStates(name, rows, own_states, ORIGIN, ids=ids, texts=texts)


def running(name: str, *, seed: int = 0) -> AnswerStates:
    """Three texts, an answer at each of their states."""
    draw = np.random.default_rng(seed)
    offsets = np.array([0, 4, 5, 11])
    states = draw.standard_normal((11, 6)).astype(np.float32)
    texts = TextStates(states, offsets, np.arange(11))
    rows = Predictions.of(
        draw.standard_normal((11, 3)), draw.integers(0, 3, 11), "logit"
    )
    cluster = tuple("abc"[text] for text in texts.text)
    ids = tuple(map(str, range(11)))
    return AnswerStates(
        name, rows, states, ORIGIN, ids=ids, cluster=cluster, texts=texts
    )


def plain_losses(fitted: LearnedTemperature, task: AnswerStates) -> np.ndarray:
    """What the fit makes small, row by row."""
    logits = torch.tensor(task.predictions.scores.reshape(len(task), -1))
    inverse = torch.tensor(fitted.inverse_temperatures(task))
    found = answer_losses(logits, torch.tensor(task.predictions.labels), inverse)
    return torch.where(found.right, found.cross_entropy, found.uniform).numpy() / 2


@pytest.mark.parametrize("own", [False, True], ids=["earlier", "own"])
def test_a_block_finds_what_an_earlier_token_says(own: bool) -> None:
    train = [task_of(name, 400, own=own) for name in ("one", "three")]
    unseen = task_of("unseen", 1000, own=own, seed=7)
    found = []
    for head in ("linear", "transformer"):
        how = {"hidden": 16, "heads": 2, "steps": 200, "batch": 64}
        learning = Learning(head, **how, learning_rate=0.01)
        fitted = adaptive_temperature.fit(train, weighting="plain", learning=learning)
        losses = plain_losses(fitted, unseen), log_losses(fitted.apply(unseen))
        found.append(np.stack(losses))
    gap = found[1] - found[0]
    mean, half = gap.mean(1), 1.96 * gap.std(1) / math.sqrt(len(unseen))
    if own:  # both can read it: the block is no worse, to within the noise
        assert mean[0] - half[0] < 0.0
        assert mean[0] < 0.01
    else:
        assert (mean + half < -0.02).all()


@pytest.mark.parametrize("standardised", [False, True])
def test_numpy_applies_the_block_that_torch_trained(standardised: bool) -> None:
    learning = replace(BLOCK, standardised=standardised)
    for task in (task_of("one"), running("texts")):
        fitted = adaptive_temperature.fit([task], learning=learning)
        w = {n: torch.tensor(one).double() for n, one in fitted.weights.items()}
        assert bool(w["joined"].abs().max() > 0)
        texts = task.texts
        assert texts is not None
        states = torch.tensor(texts.states).double()
        if standardised:
            states = (states - w["centre"]) / w["spread"]
        ends, rows = (torch.tensor(one) for one in (texts.offsets, texts.rows))
        expected = block_inverse(w, states, ends, rows=rows).numpy()
        assert fitted.inverse_temperatures(task) == pytest.approx(expected, rel=1e-9)
        assert fitted.width == 6


def test_a_later_state_or_another_text_changes_no_answer() -> None:
    task = running("texts")
    fitted = adaptive_temperature.fit([task], learning=BLOCK)
    found = fitted.inverse_temperatures(task)
    for place in range(11):
        states = task.states.copy()
        states[place] += 1.0
        texts = replace(task.texts, states=states)
        other = replace(task, states=states, texts=texts)
        changed = fitted.inverse_temperatures(other) != found
        end = 4 if place < 4 else 5 if place < 5 else 11
        assert np.flatnonzero(changed).tolist() == list(range(place, end))


def test_long_texts_are_read_in_parts() -> None:
    draw = np.random.default_rng(3)
    states = draw.standard_normal((700, 6)).astype(np.float32)
    texts = TextStates(states, np.array([0, 700]), np.arange(700)[::-1].copy())
    rows = Predictions.of([[1.0, 0.0]] * 700, [0] * 700, "logit")
    ids = tuple(map(str, range(700)))
    long = AnswerStates("long", rows, states[::-1].copy(), ORIGIN, ids=ids, texts=texts)
    fitted = adaptive_temperature.fit([task_of("one")], learning=BLOCK)
    found = fitted.inverse_temperatures(long)
    w = {n: torch.tensor(one).double() for n, one in fitted.weights.items()}
    wide, order = torch.tensor(states).double(), torch.arange(700).flip(0)
    expected = block_inverse(w, wide, torch.tensor([0, 700]), rows=order)
    assert found == pytest.approx(expected.numpy(), rel=1e-9)


def test_a_fit_is_the_same_for_the_same_seed_only() -> None:
    tasks = [task_of("one"), task_of("three")]
    first, again = (adaptive_temperature.fit(tasks, learning=BLOCK) for _ in range(2))
    other = adaptive_temperature.fit(tasks, learning=replace(BLOCK, seed=1))
    for name, one in first.weights.items():
        assert np.array_equal(one, again.weights[name])
    assert not np.array_equal(first.weights["query"], other.weights["query"])
    assert first.report == again.report
    assert (first.settings["head"], first.settings["before"]) == ("transformer", None)
    linear = adaptive_temperature.fit(tasks, learning=replace(BLOCK, head="linear"))
    assert {"hidden", "heads", "before"}.isdisjoint(linear.settings)


def test_a_step_takes_whole_texts_as_long_as_there_is_room() -> None:
    tasks = [running("one"), running("two", seed=1)]
    data = data_of(tasks, replace(BLOCK, validation=0))
    assert data.texts is not None
    assert data.texts.offsets.tolist() == [0, 4, 5, 11, 15, 16, 22]
    rng, seen = np.random.default_rng(0), set()
    for _ in range(40):
        rows = drawn_texts(data.fit, 5, texts=data.texts, rng=rng)
        assert len(set(rows.own.tolist())) == 5
        text, counts = np.unique(data.texts.text_of(rows.own), return_counts=True)
        whole = np.diff(data.texts.offsets)[text]
        assert (counts < whole).sum() <= 1  # the last one is cut
        seen |= set(text.tolist())
        for which, states, offsets, own in data.texts.chunks(rows.own):
            assert len(which) == len(own) == 5
            assert torch.equal(states[own], rows.states[which])
            assert int(offsets[-1]) == len(states)
    assert seen == set(range(6))


def test_many_texts_go_through_in_chunks(monkeypatch) -> None:
    from nescio.evaluation import learned_rows

    task = task_of("one", 30)
    whole = adaptive_temperature.fit([task], learning=BLOCK)
    monkeypatch.setattr(learned_rows, "_TOKENS", 9)
    parts = adaptive_temperature.fit([task], learning=BLOCK)
    for name, one in whole.weights.items():
        assert parts.weights[name] == pytest.approx(one, abs=1e-5)


def test_files_give_the_same_to_the_last_bit(tmp_path: Path) -> None:
    path, learning = tmp_path / "one.safetensors", replace(BLOCK, standardised=True)
    for task in (task_of("one", before=7), running("texts")):
        write_states(path, task)
        back = read_states(path)
        assert back.texts is not None
        assert task.texts is not None
        assert back.texts.before == task.texts.before
        for name in ("states", "offsets", "rows"):
            one, other = (getattr(t.texts, name) for t in (task, back))
            assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes())
        fitted = adaptive_temperature.fit([task], learning=learning)
        write_learned_temperature(path, fitted)
        read = read_learned_temperature(path)
        assert dict(read.settings) == dict(fitted.settings)
        for name, one in fitted.weights.items():
            other = read.weights[name]
            assert (one.shape, one.tobytes()) == (other.shape, other.tobytes())
        assert read.apply(back) == fitted.apply(task)


def test_files_whose_texts_are_none_are_refused(tmp_path: Path) -> None:
    from nescio.evaluation.answer_state_files import read_tensors, write_tensors

    path, task = tmp_path / "one.safetensors", task_of("one")
    write_states(path, task)
    names = ("task", "scale", "origin", "ids", "cluster", "settings", "texts")
    fields, tensors = read_tensors(path, "answer states", names, None)
    rows = tensors["text_rows"]
    for wrong, given in (
        (fields | {"texts": None}, tensors),
        (fields | {"texts": {}}, tensors),
        (fields, {n: one for n, one in tensors.items() if n != "text_rows"}),
        (fields, tensors | {"text_rows": rows[::-1].copy()}),
        (fields, tensors | {"text_rows": rows + 1}),
        (fields, tensors | {"text_states": tensors["text_states"].astype(np.float64)}),
    ):
        write_tensors(path, "answer states", wrong, given)
        with pytest.raises(SchemaError, match=r"one\.safetensors"):
            read_states(path)


@pytest.mark.parametrize("before", [0, 3, None])
def test_the_states_before_an_answer_are_kept_as_asked(tmp_path: Path, before) -> None:
    model = made(tmp_path)
    found = answer_states(model, ANIMALS, before=before, cache=tmp_path / "cache")
    alone = answer_states(model, ANIMALS)
    assert found.states.tobytes() == alone.states.tobytes()
    assert found.predictions == alone.predictions
    if before == 0:
        assert found.texts is None
        return
    assert found.texts is not None
    sizes = [int(size) for size in alone.states[:, 0]]  # how many tokens were read
    begins = [1 if before is None else size - before for size in sizes]
    expected = [
        [n, -1.0] for b, s in zip(begins, sizes, strict=True) for n in range(b, s + 1)
    ]
    assert found.texts.states.tolist() == expected
    assert found.texts.before == before
    again = answer_states(model, ANIMALS, before=before, cache=tmp_path / "cache")
    assert again.texts is not None
    assert again.texts.states.tobytes() == found.texts.states.tobytes()


def test_every_token_of_a_text_is_kept_with_those_before_it(tmp_path: Path) -> None:
    found = token_states(made(tmp_path), {"one": "cat", "two": "horse"}, most=4)
    assert found.texts is not None
    assert found.texts.offsets.tolist() == [0, 3, 7]
    assert found.texts.place.tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert found.texts.states.tobytes() == found.states.tobytes()
    fitted = adaptive_temperature.fit([found], learning=BLOCK)
    assert isinstance(fitted, LearnedTemperature)
    assert fitted.apply(found).labels.tolist() == found.predictions.labels.tolist()


def test_what_cannot_be_read_or_fitted_is_refused(tmp_path: Path) -> None:
    task = task_of("one")
    texts = task.texts
    assert texts is not None
    bare = replace(task, texts=None)
    cut = task_of("three", before=2)
    wrong = {
        "own states only": lambda: adaptive_temperature.fit([bare], learning=BLOCK),
        "keeps 2 tokens before": lambda: adaptive_temperature.fit(
            [task, cut], learning=BLOCK
        ),
        "'mlp'": lambda: thermometer.fit([task], learning=BLOCK),
        "twice the heads": lambda: Learning("transformer", hidden=6, heads=2),
        "heads is 0": lambda: Learning(heads=0),
        "cover": lambda: replace(texts, offsets=texts.offsets[:-1]),
        "order": lambda: replace(texts, offsets=texts.offsets[[0, 0, -1]]),
        "not one of": lambda: replace(texts, rows=texts.rows + 1),
        "NaN": lambda: replace(texts, states=texts.states * np.float32("nan")),
        "before is -1": lambda: replace(texts, before=-1),
        "another in its text": lambda: replace(
            task, states=task.states + np.float32(1)
        ),
        "answers of width": lambda: replace(
            task, texts=replace(texts, rows=texts.rows[1:])
        ),
    }
    for words, call in wrong.items():
        with pytest.raises(InvalidInput, match=words):
            call()
    odd = Learning()
    object.__setattr__(odd, "head", "conv")  # past the check of the types
    with pytest.raises(InvalidInput, match="head is 'conv'"):
        odd.__post_init__()
    with pytest.raises(InvalidInput, match="before is -2"):
        answer_states(made(tmp_path), ANIMALS, before=-2)
    fitted = adaptive_temperature.fit([task], learning=BLOCK)
    for words, other in (("own states only", bare), ("keeps 2 tokens", cut)):
        with pytest.raises(InvalidInput, match=words):
            fitted.apply(other)
    with pytest.raises(InvalidInput, match="width 9; this head reads 6"):
        fitted.apply(task_of("one", width=9))
    for weights in (
        {**fitted.weights, "query": fitted.weights["query"][:1]},
        {**fitted.weights, "wide": fitted.weights["wide"][:4]},
        {n: w for n, w in fitted.weights.items() if n != "joined"},
    ):
        with pytest.raises(InvalidInput, match=r"weights|heads"):
            replace(fitted, weights=weights)
