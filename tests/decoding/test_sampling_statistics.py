"""Sampled answers: the numbers of each are those of scoring it alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nescio
from nescio import Decoding, Detail, Message, Sampling
from nescio.errors import InvalidInput
from nescio.models.tokenizer import tokenizer_of
from nescio.trace.encoding import from_dict, to_dict
from nescio.trace.trace import ROLES, SEGMENTS
from tests.models.tiny import VOCABULARY, tiny_model, tiny_tokenizer

DETAIL = Detail(top=4, renyi=(0.5, -1.0))
TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}:{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant:{% endif %}"
)
STOPS = tuple("aeiouABCDE0123")


@pytest.fixture(scope="module")
def llama() -> Any:
    """A random model of 96 tokens, one byte each."""
    return tiny_model("llama")


@pytest.fixture(scope="module")
def chatting(llama: Any) -> Any:
    """The same with a chat template."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = TEMPLATE
    return replace(llama, tokenizer=tokenizer_of(tokenizer, VOCABULARY))


def check_alone(model: Any, trace: Any, asked: int) -> None:
    """Every number of an answer is that of its row when it is scored alone."""
    start = np.array(model.start, dtype=np.int32)
    ids = np.concatenate([start, trace.token_ids])
    first = len(start) + asked
    blocks = list(model.logit_blocks([ids], skip=[first - 1], rows=3))
    logits = np.concatenate([block.logits.copy() for block in blocks])
    places = np.concatenate([block.position for block in blocks])
    found = nescio.row_statistics(
        logits, ids[first:].astype(np.int64), top=DETAIL.top, renyi=DETAIL.renyi
    )
    mine = slice(asked, None)
    assert trace.scored.tolist() == [False] * asked + [True] * (len(trace) - asked)
    for name in ("logp", "entropy", "varentropy"):
        numbers, expected = getattr(trace, name)[mine], getattr(found, name)
        np.testing.assert_allclose(numbers, expected, rtol=0, atol=5e-4, err_msg=name)
    np.testing.assert_allclose(trace.renyi[mine], found.log_renyi, rtol=0, atol=5e-4)
    np.testing.assert_array_equal(trace.rank[mine], found.rank)
    np.testing.assert_array_equal(trace.context_used[mine], places + 1)
    for row, token in enumerate(range(asked, len(trace))):
        shown = trace.candidates
        kept = slice(shown.offsets[token], shown.offsets[token + 1])
        possible = found.top_logp[row] > -np.inf
        np.testing.assert_array_equal(shown.ids[kept], found.top_ids[row][possible])
        np.testing.assert_allclose(
            shown.logp[kept], found.top_logp[row][possible], rtol=0, atol=5e-4
        )


def check_answers(model: Any, samples: Any, asked: int) -> None:
    assert len({len(answer.trace) for answer in samples.answers}) > 2
    for number, answer in enumerate(samples.answers):
        trace = answer.trace
        check_alone(model, trace, asked)
        assert answer.draw == number
        assert answer.token_count == len(trace) - asked
        total = trace.logp[asked:].astype(np.float64).sum()
        assert answer.total_logp == pytest.approx(total, rel=1e-6)
        assert answer.text == trace.completion


def check_stops(samples: Any, stop: tuple[str, ...]) -> None:
    """An answer ends at the first token with which it holds a stop text itself."""
    for answer in samples.answers:
        trace = answer.trace
        mine = [trace.token_bytes(token) for token in np.flatnonzero(trace.scored)]
        held = [
            any(text.encode() in b"".join(part) for text in stop)
            for part in (mine[:-1], mine)
        ]
        assert held == [False, trace.stop == "stop_string"]


@pytest.mark.parametrize(
    ("name", "prompt", "stop"), [("pieces", "ab", ()), ("topics", "abc", ("de", "ff"))]
)
def test_answers_of_a_table_that_end_apart_are_as_scored_alone(
    name: str, prompt: str, stop: tuple[str, ...]
) -> None:
    model = nescio.load(f"table:{name}")
    decoding = Decoding(40, stop=stop, detail=DETAIL)
    samples = nescio.sample(model, prompt, n=12, decoding=decoding, seed=2)
    check_answers(model, samples, len(model.encode(prompt.encode())))
    check_stops(samples, stop)
    expected = "stop_string" if stop else "eos"
    assert [answer.trace.stop for answer in samples.answers].count(expected) >= 3


def test_answers_of_a_network_that_end_apart_are_as_scored_alone(llama: Any) -> None:
    hot = Sampling(temperature=1.3, top_p=0.95)
    decoding = Decoding(40, hot, stop=STOPS, detail=DETAIL)
    samples = nescio.sample(llama, "Once upon", n=6, decoding=decoding, seed=1)
    check_answers(llama, samples, 9)
    check_stops(samples, STOPS)
    stops = {answer.trace.stop for answer in samples.answers}
    assert "stop_string" in stops


def test_the_draw_is_recorded_and_the_first_is_that_of_generate() -> None:
    model = nescio.load("table:pieces")
    samples = nescio.sample(model, "ab", n=6, seed=11)
    for number, answer in enumerate(samples.answers):
        assert answer.trace.origin.seed == 11
        assert answer.trace.origin.decoding["draw"] == number
    assert nescio.generate(model, "ab", seed=11) == samples.answers[0].trace
    assert len(set(samples.texts)) > 1


def test_the_first_draw_of_a_network_is_that_of_generate(llama: Any) -> None:
    decoding = Decoding(20)
    first = nescio.sample(llama, "Once", n=3, decoding=decoding, seed=4).answers[0]
    alone = nescio.generate(llama, "Once", decoding=decoding, seed=4)
    assert first.trace.token_ids.tolist() == alone.token_ids.tolist()
    np.testing.assert_allclose(first.trace.logp, alone.logp, rtol=0, atol=2e-4)
    assert first.trace.origin == alone.origin


def test_a_later_draw_is_not_the_first_of_a_greater_seed(llama: Any) -> None:
    """A seed of more than 32 bits is not a seed and a draw set side by side."""
    decoding = Decoding(40)
    later = nescio.sample(llama, "a", n=2, decoding=decoding, seed=5).answers[1].trace
    greater = nescio.generate(llama, "a", decoding=decoding, seed=5 + 2**32)
    assert later.token_ids.tolist() != greater.token_ids.tolist()


@pytest.mark.parametrize("seed", [-1, -(2**40)])
def test_a_negative_seed_is_refused(seed: int) -> None:
    model = nescio.load("table:coin")
    decoding = Decoding(2)
    with pytest.raises(InvalidInput, match=str(seed)):
        nescio.generate(model, "H", decoding=decoding, seed=seed)
    with pytest.raises(InvalidInput, match=str(seed)):
        nescio.sample(model, "H", n=2, decoding=decoding, seed=seed)
    with pytest.raises(InvalidInput, match=str(seed)):
        list(nescio.stream(model, "H", decoding=decoding, seed=seed))


def check_round_trip(trace: Any, path: Path) -> None:
    nescio.write_traces(path, [trace])
    assert list(nescio.read_traces(path)) == [trace]
    assert from_dict(json.loads(json.dumps(to_dict(trace)))) == trace


@pytest.mark.parametrize("seed", range(3))
def test_a_generated_trace_is_read_as_it_was_written(tmp_path: Path, seed: int) -> None:
    sampling = Sampling(temperature=0.8, top_k=3, top_p=0.99, min_p=0.01)
    decoding = Decoding(30, sampling, stop=("bba", "éé"), detail=DETAIL)
    model = nescio.load("table:pieces")
    trace = nescio.generate(model, "ab", decoding=decoding, seed=seed)
    check_round_trip(trace, tmp_path / "one.parquet")
    for answer in nescio.sample(model, "ab", n=2, seed=seed).answers:
        check_round_trip(answer.trace, tmp_path / f"{answer.draw}.parquet")


def test_a_chat_is_recorded_with_its_template_and_roles(
    chatting: Any, tmp_path: Path
) -> None:
    messages = [Message("system", "Be terse."), Message("user", "Why?")]
    decoding = Decoding(6, detail=DETAIL)
    trace = nescio.generate(chatting, messages, decoding=decoding, seed=1)
    asked = "system:Be terse.user:Why?assistant:"
    assert trace.buffer.startswith(asked.encode())
    assert trace.origin.template_digest == chatting.tokenizer.template.digest
    assert trace.origin.decoding["chat"] is True
    assert trace.origin.conditioned_on is None
    owners = {
        (SEGMENTS[segment], ROLES[role]): b"".join(
            trace.token_bytes(token)
            for token in np.flatnonzero(
                (trace.segment == segment) & (trace.role == role)
            )
        )
        for segment, role in zip(trace.segment, trace.role, strict=True)
    }
    answer = trace.buffer[len(asked) :]
    assert owners == {
        ("template", "none"): b"system:user:assistant:",
        ("prompt", "system"): b"Be terse.",
        ("prompt", "user"): b"Why?",
        ("completion", "none"): answer,
    }
    shown = int(trace.scored.argmax())
    controls = [label for place, label in trace.labels.items() if place < shown]
    assert controls == ["<s>", "</s>", "<s>", "</s>", "<s>"]
    assert shown == len(asked) + len(controls)
    check_alone(replace(chatting, start=()), trace, shown)
    check_round_trip(trace, tmp_path / "chat.parquet")


def test_a_plain_prompt_has_no_template_even_where_there_is_one(chatting: Any) -> None:
    decoding = Decoding(3)
    raw = nescio.generate(chatting, "Why?", decoding=decoding, chat=False)
    assert raw.origin.template_digest is None
    assert raw.origin.decoding["chat"] is False
    assert raw.origin.conditioned_on == "<s>"
    assert set(raw.role.tolist()) == {0}
    chat = nescio.generate(chatting, "Why?", decoding=decoding)
    assert chat.buffer.startswith(b"user:Why?assistant:")
    assert chat.origin.template_digest


def test_every_end_token_ends_an_answer(tmp_path: Path) -> None:
    table = {
        "tokens": ["a", "b", {"control": "<end>"}, {"control": "<turn>"}],
        "end": ["<end>", "<turn>"],
        "rows": [{"after": [], "p": [0.4, 0.3, 0.15, 0.15]}],
    }
    path = tmp_path / "ends.json"
    path.write_text(json.dumps(table))
    model = nescio.load(f"table:{path}")
    samples = nescio.sample(model, "ab", n=40, decoding=Decoding(100), seed=0)
    for answer in samples.answers:
        trace = answer.trace
        assert trace.stop == "eos"
        assert np.isin(trace.token_ids, (2, 3)).sum() == 1
        assert list(trace.labels) == [len(trace) - 1]
    assert {a.trace.labels[len(a.trace) - 1] for a in samples.answers} == {
        "<end>",
        "<turn>",
    }
