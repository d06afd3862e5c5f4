"""A real server's rows beside the same model in process: containment and divergence.

Writes results/endpoint.json. What a server gives at each position of its own answers is
compared with the prediction in process of the same tokens: the share of positions whose
entropy (in process) lies between the bounds from the server's 20 most probable tokens,
the divergence between the rows, and, exactly, the share for the server's own row.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import nescio
from nescio.information import entropy_bounds
from nescio.models.protocol import Drawing, Question
from nescio.trace import Prompt
from tests.endpoint.test_real_server import SIZE, url
from tests.results import write_result

__all__ = ["url"]

pytestmark = [pytest.mark.verify, pytest.mark.real_server]

PROMPTS = (
    "The strangest thing about the sea at night is that",
    "In the year 1850, the population of London",
    "def fibonacci(n):",
    "Das Wetter in Hamburg ist heute",
    "She opened the letter, and the first thing she saw was",
    "7 + 5 = 12. 8 + 6 =",
    "The recipe calls for two cups of",
    "According to the contract, the tenant shall",
)
TOKENS = 8
TOPS = (5, 20, 100, 1000)


@pytest.fixture(scope="module")
def served(url):
    model = nescio.load(url)
    yield model
    model.close()


def test_rows_of_the_server_beside_those_in_process(served):
    inside = nescio.load("smollm2")
    questions = [
        Question(Prompt(text=text), seed=number, chat=False)
        for number, text in enumerate(PROMPTS)
    ]
    rows = {k: {"own": 0, "in_process": 0} for k in TOPS}
    divergence: dict[int, list[float]] = {}
    within: dict[int, list[bool]] = {}
    positions = 0
    for number, answer, source in served.answers(
        questions, Drawing(TOKENS, nescio.Sampling(), top=SIZE)
    ):
        ids = [token.token_id for token in answer.tokens]
        mine = in_process(inside, PROMPTS[number], ids)
        for token, logp in zip(answer.tokens, mine, strict=True):
            positions += 1
            theirs = np.full(SIZE, -np.inf)
            theirs[[c.token_id for c in token.candidates]] = [
                c.logp for c in token.candidates
            ]
            p, q = np.exp(theirs), np.exp(logp)
            apart = math.fsum(q * (logp - theirs))
            divergence.setdefault(number, []).append(apart)
            own, entropy = -math.fsum(p * theirs), -math.fsum(q * logp)
            listed = np.array([c.logp for c in token.candidates])
            for k in TOPS:
                drawn = token.logp if token.logp < listed[k - 1] else math.nan
                low, high = entropy_bounds(
                    listed[None, :k],
                    drawn=np.array([drawn]),
                    vocabulary_size=SIZE,
                    rounding=source.rounding,
                )
                rows[k]["own"] += bool(low[0] <= own <= high[0])
                rows[k]["in_process"] += bool(low[0] <= entropy <= high[0])
                if k == 20:
                    is_within = bool(low[0] <= entropy <= high[0])
                    within.setdefault(number, []).append(is_within)
    for k in TOPS:
        assert rows[k]["own"] == positions, k
    by_prompt = np.array(
        [[np.mean(within[n]), np.mean(divergence[n])] for n in sorted(within)]
    )
    share = nescio.bootstrap_rows(by_prompt[:, :1])
    mean = nescio.bootstrap_rows(by_prompt[:, 1:])
    write_result(
        "endpoint",
        {
            "positions": positions,
            "share_contained": {
                str(k): {name: n / positions for name, n in row.items()}
                for k, row in rows.items()
            },
            "in_process_within_top_20": {
                "value": float(by_prompt[:, 0].mean()),
                "low": share.low,
                "high": min(1.0, share.high),
            },
            "divergence_nats": {
                "value": float(by_prompt[:, 1].mean()),
                "low": mean.low,
                "high": mean.high,
                "largest": max(map(max, divergence.values())),
            },
        },
        intervals="bootstrap over prompts, 95 %",
        divergence="KL(in process || server), whole rows",
        server={**served.report.to_dict(), "url": "loopback", "model": "smollm2"},
        in_process=inside.origin.to_dict(),
        prompts=PROMPTS,
        tokens=TOKENS,
    )
    assert by_prompt[:, 0].mean() > 0.8
    assert by_prompt[:, 1].mean() < 0.05


def in_process(model, prompt: str, ids: list[int]) -> np.ndarray:
    """Log-probabilities of the prediction before each of these tokens, float64."""
    before = model.encode(prompt.encode())
    # llama.cpp puts no document start before SmolLM2's texts.
    sequence = np.array([*before, *ids], dtype=np.int32)
    blocks = model.logit_blocks([sequence], skip=[len(before) - 1])
    rows = [nescio.log_softmax(block.logits.astype(np.float64)) for block in blocks]
    return np.concatenate(rows)
