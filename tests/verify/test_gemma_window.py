"""Gemma past its sliding window of 512 tokens: scoring, stepping, rewinding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nescio
from nescio.kernel import log_softmax

TEXT = (Path(__file__).resolve().parents[1] / "texts" / "bank.txt").read_text("utf-8")
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def reference() -> Any:
    """Gemma in float32 on torch."""
    return nescio.load("gemma3-270m", engine="transformers")


@pytest.fixture(scope="module", params=["transformers", "openvino"])
def model(request: pytest.FixtureRequest, reference: Any) -> Any:
    """Gemma in float32 on either engine."""
    if request.param == "transformers":
        return reference
    return nescio.load("gemma3-270m", engine=request.param)


@pytest.fixture(scope="module")
def ids(reference: Any) -> np.ndarray:
    """700 tokens of a real text behind the document start."""
    text = (TEXT * 4).encode()
    return np.concatenate([reference.start, reference.encode(text)])[:700]


@pytest.fixture(scope="module")
def plain(reference: Any, ids: np.ndarray) -> np.ndarray:
    """transformers' own log-probabilities in one forward pass."""
    with torch.inference_mode():
        logits = reference.network(torch.as_tensor(ids)[None].long()).logits[0]
    return torch.log_softmax(logits.double(), dim=-1).numpy()


def next_row(model: Any, context: Any, run: np.ndarray) -> np.ndarray:
    """Log-probabilities after reading a run into a context."""
    return log_softmax(model.extend([context], [run])[1])[0]


def close(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal wherever a token is not negligible."""
    likely = expected > -20
    np.testing.assert_allclose(found[likely], expected[likely], rtol=0, atol=TOLERANCE)


@pytest.mark.verify
def test_scoring_past_the_window(
    model: Any, ids: np.ndarray, plain: np.ndarray
) -> None:
    for block in model.logit_blocks([ids], skip=[500]):
        for logp, position in zip(
            log_softmax(block.logits), block.position, strict=True
        ):
            close(logp, plain[position])


@pytest.mark.verify
def test_stepping_rewinding_and_forking_past_the_window(
    model: Any, ids: np.ndarray, plain: np.ndarray
) -> None:
    (context,), _ = model.extend([model.open()], [ids[:640]])
    close(next_row(model, context, ids[640:641]), plain[640])
    for kept in (600, 530, 512, 511, 300):
        close(
            next_row(model, context.rewind(kept), ids[kept : kept + 2]), plain[kept + 1]
        )
    other, _ = model.extend([model.open()], [ids[:20]])
    _, logits = model.extend([context, other[0], context.rewind(513)],
                             [ids[640:643], ids[20:25], ids[513:514]])  # fmt: skip
    for row, position in zip(log_softmax(logits), (642, 24, 513), strict=True):
        close(row, plain[position])
