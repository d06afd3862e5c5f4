"""A stream's numbers are those of the kernel, to the last bit, watched or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nescio
from nescio.decoding import Decoding
from nescio.decoding.answers import Draw, random_source
from nescio.decoding.batch import Request, drawn_tokens
from nescio.drift.alarm import fit
from nescio.drift.channels import run_statistics
from nescio.drift.martingale import ORDERS, MartingaleAlarm, log_martingale
from nescio.kernel import LEVELS, Sampling, draw, process, row_statistics

SETTINGS = [
    Sampling(),
    Sampling(temperature=0.7),
    Sampling(temperature=0.7, top_p=0.9),
    Sampling(temperature=0),
]
TOKENS = 30


def by_hand(model: Any, prompt: bytes, sampling: Sampling) -> list[tuple[Any, ...]]:
    """Token by token: read, draw, look at the row once more for everything."""
    seed = random_source(Draw(5))
    own = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, 0, 0, 0))
    first, levels = np.random.default_rng(seed), np.random.default_rng(own)
    prompt_ids = np.concatenate([model.start, model.encode(prompt)]).astype(np.int32)
    contexts, logits = model.extend([model.open()], [prompt_ids])
    found = []
    for _ in range(TOKENS):
        uniforms = np.array([[first.random(), *levels.random(LEVELS - 1)]])
        ids, logp = draw(logits, sampling, uniforms)
        numbers = row_statistics(logits, ids, top=10)
        drawn_from = process(logits, sampling)
        sums = row_statistics(drawn_from, renyi=ORDERS).log_renyi[0]
        found.append(
            (
                int(ids[0]),
                float(numbers.logp[0]),
                float(numbers.entropy[0]),
                float(numbers.varentropy[0]),
                int(numbers.rank[0]),
                float(logp[0]),
                sums,
            )
        )
        contexts, logits = model.extend(contexts, [ids.astype(np.int32)])
    return found


@pytest.mark.parametrize("sampling", SETTINGS, ids=str)
def test_a_stream_says_what_the_kernel_says(sampling: Sampling) -> None:
    model = nescio.load("table:topics")
    how = Decoding(TOKENS, sampling)
    wanted = by_hand(model, b"a", sampling)
    drawn = nescio.sample(model, "a", n=12, decoding=how)
    traces = [sample.trace for sample in drawn.answers]
    healthy = fit(traces, horizon=TOKENS, alarm_rate=0.4)
    for alarm in (None, healthy, MartingaleAlarm(1e-9)):
        stream = nescio.stream(model, "a", decoding=how, seed=5, alarm=alarm)
        events = list(stream)
        told = [
            (e.token_id, e.logp, e.entropy, e.varentropy, e.rank, e.logp_processed)
            for e in events
        ]
        assert told == [one[:6] for one in wanted[: len(told)]]
        if isinstance(alarm, MartingaleAlarm):
            surprisal = np.array([-one[5] for one in wanted[: len(told)]])
            sums = np.array([one[6] for one in wanted[: len(told)]])
            evidence = log_martingale(surprisal, sums)
            assert stream.watch.log_evidence == pytest.approx(
                evidence[-1], rel=1e-12, abs=1e-12
            )
        elif alarm is not None:
            standards = {rule.channel: rule.standard for rule in healthy.rules}
            ran = run_statistics(stream.trace, healthy.plan, standards)
            assert stream.watch.statistics == ran[-1].tolist()


def test_what_is_drawn_from_is_summed_only_if_it_is_asked_for() -> None:
    model = nescio.load("table:coin")
    request = Request(np.zeros(1, np.int32), np.random.SeedSequence(1))
    plain = list(drawn_tokens(model, [request], Decoding(2)))
    assert all(step.log_renyi is None for step in plain)
