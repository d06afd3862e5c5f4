"""Generation: exact distributions on the table, stops, seeds, chat."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import nescio
from nescio import Decoding, Sampling
from nescio.errors import CapabilityError, ContextOverflow, InvalidInput
from tests.models.tiny import tiny_model


@pytest.fixture(scope="module")
def pieces() -> Any:
    """A table with overlapping tokens and an end."""
    return nescio.load("table:pieces")


def test_samples_follow_the_tables_exact_distribution(pieces: Any) -> None:
    n, decoding = 1500, Decoding(2)
    samples = nescio.sample(pieces, "", n=n, decoding=decoding, seed=5)
    drawn = Counter(
        tuple(s.trace.token_ids[s.trace.scored].tolist()) for s in samples.answers
    )
    exact = dict(pieces.enumerate(2))
    assert set(drawn) <= set(exact)
    statistic = sum((drawn[t] - n * p) ** 2 / (n * p) for t, p in exact.items())
    freedom = len(exact) - 1
    assert statistic < freedom + 4 * np.sqrt(2 * freedom)


def test_a_seed_fixes_the_answer_and_another_changes_it(pieces: Any) -> None:
    one, same, other = (nescio.generate(pieces, "a", seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_a_draw_does_not_depend_on_how_many_are_drawn(pieces: Any) -> None:
    few = nescio.sample(pieces, "a", n=2, seed=3)
    many = nescio.sample(pieces, "a", n=7, seed=3)
    assert few.texts == many.texts[:2]
    assert few.texts[0] == nescio.generate(pieces, "a", seed=3).completion


def test_statistics_of_an_answer_are_those_of_scoring_it() -> None:
    model = tiny_model("gemma3")
    decoding = Decoding(30, Sampling(temperature=0.7))
    drawn = nescio.generate(model, "Once", decoding=decoding, seed=4)
    mine = drawn.scored
    ids = np.concatenate([model.start, drawn.token_ids])
    blocks = model.logit_blocks([ids], skip=[4])
    logits = np.concatenate([block.logits.copy() for block in blocks])
    found = nescio.row_statistics(logits, drawn.token_ids[mine].astype(np.int64))
    np.testing.assert_allclose(drawn.logp[mine], found.logp, atol=2e-4)
    np.testing.assert_allclose(drawn.entropy[mine], found.entropy, atol=2e-4)


def test_processed_log_probabilities_belong_to_what_was_sampled(pieces: Any) -> None:
    greedy = nescio.generate(pieces, "", decoding=Decoding(4, Sampling(temperature=0)))
    assert greedy.logp_processed.tolist() == [0.0] * 4
    assert greedy.rank.tolist() == [1] * 4
    hot = nescio.generate(pieces, "", decoding=Decoding(1, Sampling(temperature=2.0)))
    row = np.sqrt([0.3, 0.2, 0.2, 0.1, 0.05, 0.05, 0.1])
    expected = np.log(row / row.sum())[hot.token_ids[0]]
    assert hot.logp_processed[0] == pytest.approx(expected, rel=1e-5)
    assert hot.origin.decoding["sampling"]["temperature"] == 2.0


def test_the_end_token_ends_and_is_counted(pieces: Any) -> None:
    trace = nescio.generate(pieces, "", decoding=Decoding(500), seed=0)
    assert trace.stop == "eos"
    assert trace.labels == {len(trace) - 1: "<end>"}
    assert trace.byte_counts[-1] == 0
    assert trace.scored[-1]


def test_a_stop_text_ends_even_across_tokens(pieces: Any) -> None:
    for seed in range(20):
        decoding = Decoding(400, stop=("bba",))
        trace = nescio.generate(pieces, "", decoding=decoding, seed=seed)
        if trace.stop == "stop_string":
            assert b"bba" in trace.buffer
            assert b"bba" not in b"".join(
                trace.token_bytes(i) for i in range(len(trace) - 1)
            )
            break
    else:
        pytest.fail("no seed in twenty met the stop text")


def test_length_ends_and_the_context_does_too() -> None:
    model = tiny_model("llama")
    assert len(nescio.generate(model, "abc", decoding=Decoding(5))) == 8
    full = nescio.generate(model, "abc", decoding=Decoding(1000), seed=1)
    assert full.stop in ("length", "eos")
    assert len(full) + 1 <= 96
    with pytest.raises(ContextOverflow, match="leaves no room"):
        nescio.generate(model, "x" * 95)


def test_a_stream_can_be_left_and_keeps_what_it_has(pieces: Any) -> None:
    tokens = nescio.stream(pieces, "a", decoding=Decoding(50), seed=9)
    for event in tokens:
        if event.index == 2:
            break
    assert tokens.trace.stop == "cancelled"
    assert tokens.trace.scored.sum() == 3


def test_prompt_tokens_are_shown_and_not_scored(pieces: Any) -> None:
    trace = nescio.generate(pieces, "ab", decoding=Decoding(3))
    assert trace.segment.tolist()[:2] == [0, 1]
    assert not trace.scored[0]
    assert trace.completion == trace.text[2:]


def test_a_model_without_a_template_refuses_to_chat() -> None:
    model = tiny_model("llama")
    messages = [nescio.Message("user", "hello")]
    for asked in ({"prompt": "hello", "chat": True}, {"prompt": messages}):
        with pytest.raises(CapabilityError, match="no chat template"):
            nescio.generate(model, **asked)


def test_nothing_to_continue_is_refused() -> None:
    model = replace(tiny_model("llama"), start=())
    with pytest.raises(InvalidInput, match="nothing to continue"):
        nescio.generate(model, "")


@pytest.mark.parametrize(
    "bad", [{"max_tokens": 0}, {"stop": ("",)}, {"max_tokens": -3}]
)
def test_decoding_that_makes_no_sense_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Decoding(**bad)


def test_zero_samples_are_refused(pieces: Any) -> None:
    with pytest.raises(InvalidInput, match="at least one"):
        nescio.sample(pieces, "a", n=0)
