"""Attacks on the OpenVINO backend: random programs, damaged exports, odd networks."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf

import nescio
from nescio.errors import CapabilityError
from nescio.kernel import log_softmax
from nescio.models import openvino_cache, openvino_export, openvino_loading
from nescio.models.openvino_export import exported
from nescio.models.openvino_loading import converted
from tests.models.test_hugging_face import saved
from tests.models.test_openvino_export import SHAPE
from tests.models.tiny import (
    VOCABULARY,
    tiny_model,
    tiny_on_openvino,
    tiny_tokenizer,
)

LONGEST = 96


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's directory, and an empty cache."""
    monkeypatch.setenv("NESCIO_CACHE", str(tmp_path / "cache"))
    return saved(tmp_path / "model")


def load(directory: Path, engine: str | None = "openvino") -> Any:
    return nescio.load(f"hf:{directory}", engine=engine)


def random_network(make: Any) -> Any:
    torch.manual_seed(3)
    network = make().eval()
    with torch.no_grad():
        for weights in network.parameters():
            if weights.dim() > 1:
                weights.normal_(0, 0.25)
    return network


def mixtral() -> Any:
    return hf.MixtralForCausalLM(hf.MixtralConfig(**SHAPE, num_local_experts=4))


def test_an_operation_openvino_does_not_know_is_a_refusal() -> None:
    model = replace(tiny_model("llama"), network=random_network(mixtral))
    with pytest.raises(CapabilityError, match=r"MixtralForCausalLM cannot be exported"):
        exported(model)


def test_an_operation_openvino_does_not_know_leaves_the_model_to_transformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NESCIO_CACHE", str(tmp_path / "cache"))
    random_network(mixtral).save_pretrained(tmp_path / "model")
    tiny_tokenizer().save_pretrained(tmp_path / "model")
    model = load(tmp_path / "model", engine=None)
    assert "not openvino: " in model.origin.engine
    assert "\n" not in model.origin.engine


@pytest.mark.parametrize("reverse", [False, True])
def test_another_tokenizers_end_is_not_taken_from_a_kept_export(
    directory: Path, tmp_path: Path, reverse: bool
) -> None:
    """What ends a text is asked of the tokenizer too, which is no weight."""
    other = saved(tmp_path / "other")
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = "<s>"
    tokenizer.save_pretrained(other)
    ends = {directory: (VOCABULARY - 1,), other: (VOCABULARY - 2, VOCABULARY - 1)}
    for place in sorted(ends, reverse=reverse):
        assert load(place).vocabulary.end == ends[place]


@pytest.mark.parametrize(
    ("old", "new"), [(f'"rows": {VOCABULARY}', '"rows": 999'), ("96", "97")]
)
def test_a_changed_digit_in_the_description_is_seen(
    directory: Path, old: str, new: str
) -> None:
    load(directory)
    (place,) = openvino_cache.kept()
    path = place / "export.json"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert openvino_cache.Place(place).facts() is None
    assert load(directory).context_length == LONGEST


def test_an_export_under_the_name_of_another_is_not_believed(
    directory: Path, tmp_path: Path
) -> None:
    other = saved(tmp_path / "other", seed=8)
    load(directory)
    (mine,) = openvino_cache.kept()
    expected = nescio.score(load(other), "a text").logp
    (theirs,) = set(openvino_cache.kept()) - {mine}
    for file in mine.iterdir():
        (theirs / file.name).write_bytes(file.read_bytes())
    np.testing.assert_array_equal(nescio.score(load(other), "a text").logp, expected)


def test_a_description_without_a_graph_is_not_believed(directory: Path) -> None:
    load(directory)
    (place,) = openvino_cache.kept()
    path = place / "export.json"
    fields = json.loads(path.read_text("utf-8")) | {"files": {}}
    path.write_text(json.dumps(fields), encoding="utf-8")
    (place / "graph.bin").unlink()
    assert load(directory).context_length == LONGEST


def test_a_kept_refusal_names_no_other_model(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(model: Any, _reference: Any) -> None:
        raise CapabilityError(f"{model.name}: other numbers")

    other = saved(tmp_path / "other")
    monkeypatch.setattr(openvino_loading, "check_export", fails)
    load(directory, engine=None)
    assert "other numbers" in load(other, engine=None).origin.engine
    assert str(directory) not in load(other, engine=None).origin.engine


def test_a_window_that_nearly_fills_the_context_is_tested_beyond_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One token too many, in a window longer than the other tests reach."""
    whole = openvino_export._paged_attention

    class Longer:
        def __init__(self, context: Any) -> None:
            self.context = context

        def __getattr__(self, name: str) -> Any:
            return getattr(self.context, name)

        def get_values_from_const_input(self, place: int) -> Any:
            found = self.context.get_values_from_const_input(place)
            return found + 1 if place == 11 and found else found

    shape = SHAPE | {"max_position_embeddings": 200}
    network = random_network(
        lambda: hf.MistralForCausalLM(hf.MistralConfig(**shape, sliding_window=150))
    )
    model = replace(tiny_model("llama"), network=network)
    monkeypatch.setattr(
        openvino_export, "_paged_attention", lambda context: whole(Longer(context))
    )
    with pytest.raises(CapabilityError, match="beyond its window"):
        converted(model)


Read = tuple[Any, np.ndarray]
"""A context, and the tokens that were read into it."""


def expected(slow: Any, ids: np.ndarray) -> np.ndarray:
    """Log-probabilities after these tokens, of one fresh pass on torch."""
    with torch.inference_mode():
        logits = slow.network(
            input_ids=torch.as_tensor(ids.astype(np.int64))[None], use_cache=False
        ).logits[0, -1:]
    return log_softmax(logits.float().numpy())[0]


def close(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-3)


def extended(fast: Any, slow: Any, rng: Any, live: list[Read]) -> list[Read]:
    """Some contexts, perhaps the same more than once, each with a run of its own."""
    chosen = [live[n] for n in rng.integers(0, len(live), rng.integers(1, 9))]
    chosen = [(context, ids) for context, ids in chosen if len(ids) < LONGEST]
    if not chosen:
        return []
    counts = rng.choice([1, 2, 31, 32, 33, 70], len(chosen))
    runs = [
        rng.integers(0, VOCABULARY, min(count, LONGEST - len(ids))).astype(np.int32)
        for count, (_, ids) in zip(counts, chosen, strict=True)
    ]
    longer, logits = fast.extend([context for context, _ in chosen], runs)
    read = [np.append(ids, run) for (_, ids), run in zip(chosen, runs, strict=True)]
    for row, context, ids in zip(log_softmax(logits), longer, read, strict=True):
        assert context.length == len(ids)
        close(row, expected(slow, ids))
    return list(zip(longer, read, strict=True))


def rewound(rng: Any, live: list[Read]) -> Read:
    context, ids = live[rng.integers(0, len(live))]
    length = min(len(ids), int(rng.choice([0, 1, 31, 32, 33, 64, 70])))
    return context.rewind(length), ids[:length]


def scored_in_part(fast: Any, slow: Any, rng: Any) -> Iterator[None]:
    """A scoring that is gone on with now and then, or never to its end."""
    texts = [rng.integers(0, VOCABULARY, 90).astype(np.int32) for _ in range(14)]
    for block in fast.logit_blocks(texts, skip=[60] * 14, rows=29):
        place = int(rng.integers(0, len(block.position)))
        text = texts[block.sequence[place]][: block.position[place] + 1]
        close(log_softmax(block.logits[place : place + 1])[0], expected(slow, text))
        yield


def random_program(fast: Any, slow: Any, seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    empty = (fast.open(), np.zeros(0, dtype=np.int32))
    live, scoring = [empty], scored_in_part(fast, slow, rng)
    for _ in range(steps):
        match int(rng.integers(0, 6)):
            case 0:
                live.append(rewound(rng, live))
            case 1:
                kept = rng.permutation(len(live))[: 1 + len(live) // 2]
                live = [live[n] for n in kept]
                gc.collect()
            case 2:
                if next(scoring, "over") == "over" or rng.random() < 0.3:
                    scoring = scored_in_part(fast, slow, rng)
            case _:
                live += extended(fast, slow, rng, live)


@pytest.mark.parametrize("architecture", ["llama", "gemma3"])
def test_random_programs_give_the_numbers_of_fresh_passes(architecture: str) -> None:
    fast, slow = tiny_on_openvino(architecture), tiny_model(architecture)
    gc.collect()
    before = fast.network.memory.blocks_held
    for seed in range(2):
        random_program(fast, slow, seed, steps=20)
    gc.collect()
    assert fast.network.memory.blocks_held == before


def test_two_threads_run_random_programs_on_one_model() -> None:
    fast, slow = tiny_on_openvino("gemma3"), tiny_model("gemma3")
    failures: list[BaseException] = []

    def run(seed: int) -> None:
        try:
            random_program(fast, slow, seed, steps=20)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in (11, 12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
