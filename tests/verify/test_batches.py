"""The same seed gives the same answers at any batch and after a resume."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pytest

import nescio
from nescio import Decoding, Draws
from tests.results import write_result

PROMPTS = [
    "The capital of France is",
    "7 + 5 =",
    "Once upon a time",
    "def fibonacci(n):",
]
N, TOKENS, SEED = 8, 48, 11
FOUND: dict[str, Any] = {}
Key = tuple[int, int]


def drawn(model: Any, batch: int, done: Collection[Key] = ()) -> dict[Key, Any]:
    decoding = Decoding(TOKENS, batch=batch)
    draws = Draws(N, SEED, done)
    found = nescio.sample_stream(model, PROMPTS, draws, decoding=decoding, chat=False)
    return {(number, answer.draw): answer.trace for number, answer in found}


def differing(one: dict[Key, Any], other: dict[Key, Any]) -> int:
    return sum(
        one[key].token_ids.tolist() != other[key].token_ids.tolist() for key in other
    )


@pytest.mark.verify
@pytest.mark.parametrize("engine", ["openvino", "transformers"])
@pytest.mark.parametrize("name", ["smollm2", "gemma3-270m"])
def test_neither_batch_nor_resume_changes_an_answer(name: str, engine: str) -> None:
    model = nescio.load(f"{name},precision=f32", engine=engine)
    reference = drawn(model, 32)
    assert len(reference) == len(PROMPTS) * N
    assert len({trace.completion for trace in reference.values()}) > 25
    half = dict(list(reference.items())[::2])
    others = {
        "batch 4": drawn(model, 4),
        "batch 1, every 4th prompt's draws": drawn(
            model, 1, {key for key in reference if key[1] % 4}
        ),
        "resumed after half": half | drawn(model, 32, set(half)),
    }
    assert set(others["resumed after half"]) == set(reference)
    worst = max(
        float(np.nanmax(np.abs(trace.logp - reference[key].logp)))
        for traces in others.values()
        for key, trace in traces.items()
        if trace.token_ids.tolist() == reference[key].token_ids.tolist()
    )
    FOUND[f"{name}, {engine}"] = {
        "answers": len(reference),
        "tokens": sum(int(trace.scored.sum()) for trace in reference.values()),
        "answers_that_differ": {
            how: differing(reference, traces) for how, traces in others.items()
        },
        "answers_compared": {how: len(traces) for how, traces in others.items()},
        "largest_difference_of_a_log_probability": worst,
    }
    write_result(
        "batches",
        FOUND,
        precision="f32",
        seed=SEED,
        prompts=PROMPTS,
        draws=N,
        max_tokens=TOKENS,
        reference="batch 32",
    )
    assert set(FOUND[f"{name}, {engine}"]["answers_that_differ"].values()) == {0}
    assert worst < 1e-3
