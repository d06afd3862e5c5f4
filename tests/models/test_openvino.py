"""OpenVINO beside torch: contexts are values, memory is shared, precision is said."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nescio
from nescio.errors import (
    ContextOverflow,
    InvalidInput,
)
from nescio.kernel import log_softmax, pair_statistics
from nescio.models import openvino_network
from tests.models.tiny import VOCABULARY, needs_bf16, tiny_model, tiny_on_openvino

TOLERANCE = 1e-4
"""Of a log-probability, in float32; random tiny models reach below e^-20."""


@pytest.fixture(params=["llama", "gemma3"])
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A model on OpenVINO and on torch: full attention, and a window of 8 tokens."""
    return tiny_on_openvino(request.param), tiny_model(request.param)


@pytest.fixture
def ids() -> np.ndarray:
    """Random tokens, as many as the tiny models can see: three blocks of memory."""
    return np.random.default_rng(5).integers(0, 256, 96).astype(np.int32)


def plain(model: Any, ids: Any) -> np.ndarray:
    """transformers' own log-probabilities, one forward pass, no cache, no tiles."""
    tokens = torch.as_tensor(np.asarray(ids)).long()[None]
    with torch.inference_mode():
        logits = model.network(input_ids=tokens, use_cache=False).logits[0]
    return torch.log_softmax(logits.double(), dim=-1).numpy()


def close(logits: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(log_softmax(logits), expected, rtol=0, atol=TOLERANCE)


def scored(model: Any, sequences: list[np.ndarray], rows: int = 7) -> list[np.ndarray]:
    found = [np.empty((len(s) - 1, VOCABULARY)) for s in sequences]
    for block in model.logit_blocks(sequences, skip=[0] * len(sequences), rows=rows):
        for which, where, row in zip(
            block.sequence, block.position, block.logits, strict=True
        ):
            found[which][where] = log_softmax(row[None])[0]
    return found


def test_every_position_of_a_long_text_equals_torch(
    pair: tuple[Any, Any], ids: np.ndarray
) -> None:
    fast, slow = pair
    (found,) = scored(fast, [ids])
    np.testing.assert_allclose(found, plain(slow, ids)[:-1], rtol=0, atol=TOLERANCE)


def test_texts_cut_into_chunks_equal_torch(
    pair: tuple[Any, Any], ids: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast, slow = pair
    monkeypatch.setattr(openvino_network, "_CHUNK_TOKENS", 19)
    texts = [ids[:50], ids[3:5], ids[10:96]]
    for found, text in zip(scored(fast, texts), texts, strict=True):
        expected = plain(slow, text)[:-1]
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    contexts, logits = fast.extend([fast.open()] * 3, texts)
    close(logits, np.stack([plain(slow, text)[-1] for text in texts]))
    _, logits = fast.extend(contexts[:1], [ids[50:90]])
    close(logits, plain(slow, ids[:90])[-1:])


@given(st.data())
@settings(max_examples=15)
def test_whatever_is_done_with_contexts_each_is_the_tokens_it_read(
    data: st.DataObject,
) -> None:
    """Forks, rewinds, joins, subsets, repeats, in any order, across blocks."""
    fast, slow = tiny_on_openvino("gemma3"), tiny_model("gemma3")
    token = st.integers(0, 255)
    known: list[tuple[Any, list[int]]] = [(fast.open(), [])]
    for _ in range(data.draw(st.integers(1, 5))):
        chosen = data.draw(
            st.lists(st.integers(0, len(known) - 1), min_size=1, max_size=4)
        )
        contexts, tokens, runs = [], [], []
        for number in chosen:
            context, read = known[number]
            kept = data.draw(st.integers(0, len(read)))
            most = min(40, 96 - kept)
            run = data.draw(st.lists(token, min_size=1, max_size=max(1, most)))
            if kept + len(run) > 96:
                kept, run = 0, run[:96]
            contexts.append(context.rewind(kept))
            tokens.append(read[:kept] + run)
            runs.append(np.array(run, dtype=np.int32))
        longer, logits = fast.extend(contexts, runs)
        close(logits, np.stack([plain(slow, read)[-1] for read in tokens]))
        assert [context.length for context in longer] == list(map(len, tokens))
        known += zip(longer, tokens, strict=True)


def test_samples_that_end_and_samples_that_join_late_are_exact(
    pair: tuple[Any, Any], ids: np.ndarray
) -> None:
    fast, slow = pair
    prompt = ids[:30]
    (read,), _ = fast.extend([fast.open()], [prompt])
    rows = [(read, list(prompt)) for _ in range(4)]
    rng = np.random.default_rng(0)
    for step in range(40):
        if step % 5 == 2:
            rows.append((read, list(prompt)))  # joins
        if step % 7 == 6:
            rows.pop(int(rng.integers(len(rows))))  # ended
        drawn = rng.integers(0, 256, len(rows)).astype(np.int32)
        contexts, logits = fast.extend(
            [context for context, _ in rows], [np.array([t]) for t in drawn]
        )
        rows = [
            (context, [*read_, int(t)])
            for context, (_, read_), t in zip(contexts, rows, drawn, strict=True)
        ]
        if step % 8 == 0:
            close(logits, np.stack([plain(slow, read_)[-1] for _, read_ in rows]))


def test_two_streams_in_turns_do_not_disturb_each_other(
    pair: tuple[Any, Any], ids: np.ndarray
) -> None:
    fast, slow = pair
    texts = [ids[:60], np.concatenate([ids[:20], ids[60:90]])]
    expected = [plain(slow, text) for text in texts]
    contexts = [fast.open(), fast.open()]
    for at in range(50):
        for number, text in enumerate(texts):
            (contexts[number],), logits = fast.extend(
                [contexts[number]], [text[at : at + 1]]
            )
            close(logits, expected[number][at : at + 1])


def test_stepping_between_the_blocks_of_a_scored_text_does_not_disturb_it(
    pair: tuple[Any, Any], ids: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast, slow = pair
    monkeypatch.setattr(openvino_network, "_CHUNK_TOKENS", 16)
    context, expected = fast.open(), plain(slow, ids)
    for block in fast.logit_blocks([ids], skip=[0], rows=8):
        at = context.length
        (context,), logits = fast.extend([context], [ids[at : at + 1]])
        close(logits, expected[at : at + 1])
        close(block.logits, expected[block.position])


def test_several_threads_take_turns(pair: tuple[Any, Any], ids: np.ndarray) -> None:
    fast, slow = pair
    found: dict[int, np.ndarray] = {}

    def step(first: int) -> None:
        context = fast.open()
        for token in ids[first : first + 30]:
            (context,), found[first] = fast.extend([context], [np.array([token])])

    threads = [threading.Thread(target=step, args=(n,)) for n in (0, 20, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for first, logits in found.items():
        close(logits, plain(slow, ids[first : first + 30])[-1:])


def test_equal_calls_give_equal_bits(pair: tuple[Any, Any], ids: np.ndarray) -> None:
    fast, _ = pair

    def once() -> list[np.ndarray]:
        (read,), first = fast.extend([fast.open()], [ids[:40]])
        forks, second = fast.extend([read] * 3, [ids[40:41], ids[50:51], ids[60:61]])
        _, third = fast.extend(forks[1:], [ids[70:71]] * 2)
        return [first, second, third]

    before = once()
    held = fast.extend([fast.open()] * 5, [ids[n:] for n in range(5)])
    for one, other in zip(before, once(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(held[0]) == 5


def test_logits_that_were_returned_are_never_changed(
    pair: tuple[Any, Any], ids: np.ndarray
) -> None:
    fast, _ = pair
    (context,), first = fast.extend([fast.open()], [ids[:3]])
    kept = first.copy()
    fast.extend([context], [ids[3:4]])
    np.testing.assert_array_equal(first, kept)


def test_memory_is_free_again_when_no_context_holds_it(ids: np.ndarray) -> None:
    model = tiny_on_openvino("llama")
    memory = model.network.memory
    gc.collect()
    before = memory.blocks_held
    contexts, _ = model.extend([model.open()] * 60, [ids[:70]] * 60)
    assert memory.blocks_held == before + 60 * 3
    forks, _ = model.extend([contexts[0]] * 8, [ids[70:71]] * 8)
    assert (
        memory.blocks_held == before + 60 * 3 + 7
    )  # one block copied for each but one
    kept = forks[3].rewind(33)
    del contexts, forks
    assert memory.blocks_held == before + 2
    for _ in model.logit_blocks([ids] * 30, skip=[0] * 30):
        pass
    del kept
    assert memory.blocks_held == before
    grown = memory.capacity
    model.extend([model.open()], [ids[:1]])
    assert memory.capacity < grown


def test_a_context_of_another_model_is_refused(ids: np.ndarray) -> None:
    one, other = tiny_on_openvino("llama"), tiny_on_openvino("gemma3")
    (context,), _ = one.extend([one.open()], [ids[:4]])
    with pytest.raises(InvalidInput, match="another model"):
        other.extend([context], [ids[4:5]])


@pytest.mark.parametrize("run", [[], [-1], [VOCABULARY]])
def test_token_runs_that_cannot_be_read_are_refused(run: list[int]) -> None:
    model = tiny_on_openvino("llama")
    with pytest.raises(InvalidInput, match=r"empty token run|outside the vocab"):
        model.extend([model.open()], [np.array(run, dtype=np.int32)])


def test_more_tokens_than_the_context_are_refused() -> None:
    model = tiny_on_openvino("llama")
    full = np.zeros(96, dtype=np.int32)
    (context,), _ = model.extend([model.open()], [full])
    with pytest.raises(ContextOverflow, match="97 tokens are more than the 96"):
        model.extend([context], [full[:1]])


@needs_bf16
@pytest.mark.parametrize(
    "architecture", [pytest.param("llama", marks=pytest.mark.verify), "gemma3"]
)
def test_bf16_is_near_f32_and_the_same_scored_and_stepped(
    architecture: str, ids: np.ndarray
) -> None:
    exact, rounded = (tiny_on_openvino(architecture, p) for p in ("f32", "bf16"))
    (expected,), (score,) = scored(exact, [ids]), scored(rounded, [ids])
    context, steps = rounded.open(), []
    for token in ids[:-1]:
        (context,), logits = rounded.extend([context], [np.array([token])])
        steps.append(log_softmax(logits)[0])
    assert 1e-9 < mean_kl(expected, score) < 0.02  # random weights are rough
    assert mean_kl(score, np.stack(steps)) < 0.004


def mean_kl(p: np.ndarray, q: np.ndarray) -> float:
    return float(pair_statistics(p, q).kl_forward.mean())


def real_text(project: Any) -> str:
    return (project / "README.md").read_text("utf-8")


@needs_bf16
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("smollm2", marks=pytest.mark.verify),
        pytest.param("gemma3-270m", marks=pytest.mark.verify),
    ],
)
def test_a_real_text_equals_torch_and_bf16_is_near(name: str, project: Any) -> None:
    slow = nescio.load(name, engine="transformers")
    fast = nescio.load(name, engine="openvino")
    text = real_text(project).encode()[:1200]
    ids = np.concatenate([slow.start, slow.encode(text)]).astype(np.int32)
    rounded = nescio.load(f"{name},precision=bf16", engine="openvino")
    apart, kl, rounded_kl = [], [], []
    for one, other, third in zip(
        slow.logit_blocks([ids], skip=[0], rows=32),
        fast.logit_blocks([ids], skip=[0], rows=32),
        rounded.logit_blocks([ids], skip=[0], rows=32),
        strict=True,
    ):
        expected, found = log_softmax(one.logits), log_softmax(other.logits)
        likely = expected > -8
        apart.append(np.abs(found - expected)[likely].max())
        kl.append(pair_statistics(one.logits, other.logits).kl_forward)
        rounded_kl.append(pair_statistics(one.logits, third.logits).kl_forward)
    assert max(apart) < 1e-3
    assert np.concatenate(kl).mean() < 1e-8
    assert np.concatenate(rounded_kl).mean() < 0.004
