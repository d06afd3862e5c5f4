"""Sampling many: the batch decides speed and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nescio
from nescio import Decoding, Detail, Draws
from nescio.decoding.batch import Request, drawn_tokens
from nescio.errors import InvalidInput, InvalidText, NescioError
from nescio.kernel import log_softmax
from tests.models.tiny import tiny_model

PROMPTS = ["ab", "", "abbab", "b", "baab"]


class Counting:
    """A model that counts what it is asked to read."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.rows: list[int] = []
        self.runs: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def open(self) -> Any:
        return self.model.open()

    def extend(self, contexts: Any, tokens: Any) -> Any:
        self.rows.append(len(tokens))
        self.runs += [len(run) for run in tokens]
        return self.model.extend(contexts, tokens)


@pytest.fixture(scope="module")
def pieces() -> Any:
    """A table with overlapping tokens and an end."""
    return nescio.load("table:pieces")


def drawn(model: Any, draws: Draws, decoding: Decoding) -> dict[Any, Any]:
    found = nescio.sample_stream(model, PROMPTS, draws, decoding=decoding)
    answers = [((number, answer.draw), answer) for number, answer in found]
    assert len(dict(answers)) == len(answers), "an answer was drawn twice"
    return dict(answers)


def as_drawn(answers: dict[Any, Any]) -> dict[Any, Any]:
    """What was drawn, without how many stepped together."""
    return {
        key: (
            a.trace.token_ids.tolist(),
            a.trace.stop,
            a.text,
            a.trace.logp.tolist()[-1],
        )
        for key, a in answers.items()
    }


@pytest.fixture(scope="module")
def alone(pieces: Any) -> dict[Any, Any]:
    """Seven answers to each prompt, no two of them together."""
    return as_drawn(drawn(pieces, Draws(7, seed=2), Decoding(30, batch=1)))


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 31, 32, 500])
def test_the_batch_changes_no_answer(
    pieces: Any, alone: dict[Any, Any], batch: int
) -> None:
    assert len({stop for _, stop, *_ in alone.values()}) > 1
    draws = Draws(7, seed=2)
    together = as_drawn(drawn(pieces, draws, Decoding(30, batch=batch)))
    assert set(alone) == {(p, d) for p in range(5) for d in range(7)}
    assert together == alone


def one_by_one(
    model: Any, prompt: str, spawned: tuple[int, ...], decoding: Decoding
) -> tuple[list[int], str]:
    """One answer drawn alone by the definition: no batch, no sharing."""
    rng = np.random.default_rng(np.random.SeedSequence(8, spawn_key=spawned))
    ids = np.array([*model.start, *model.encode(prompt.encode())], dtype=np.int32)
    (context,), logits = model.extend([model.open()], [ids])
    answer: list[int] = []
    while True:
        ends = np.cumsum(np.exp(logits[0]) / np.exp(logits[0]).sum())
        answer.append(int(np.searchsorted(ends, rng.random(), side="right")))
        if answer[-1] in model.vocabulary.end:
            return answer, "eos"
        spelled = model.vocabulary.spell(answer)
        if any(text.encode() in spelled for text in decoding.stop):
            return answer, "stop_string"
        if len(answer) == decoding.max_tokens:
            return answer, "length"
        (context,), logits = model.extend([context], [np.array(answer[-1:])])


@settings(deadline=None, max_examples=30)
@given(
    prompts=st.lists(st.text("ab", max_size=3), max_size=6),
    n=st.integers(1, 7),
    batch=st.integers(1, 12),
    longest=st.integers(1, 12),
    stop=st.lists(st.text("abé", min_size=1, max_size=4), max_size=2),
    done=st.sets(st.tuples(st.integers(0, 5), st.integers(0, 6)), max_size=8),
)
def test_every_answer_is_drawn_once_and_as_if_alone(
    prompts: list[str],
    n: int,
    batch: int,
    longest: int,
    stop: list[str],
    done: set[tuple[int, int]],
) -> None:
    model = nescio.load("table:pieces")
    decoding = Decoding(longest, stop=tuple(stop), batch=batch)
    found: dict[tuple[int, int], tuple[list[int], Any]] = {}
    draws = Draws(n, seed=8, done=done)
    for number, answer in nescio.sample_stream(
        model, prompts, draws, decoding=decoding
    ):
        key, trace = (number, answer.draw), answer.trace
        assert trace is not None
        assert key not in found, "an answer was drawn twice"
        assert trace.token_ids is not None
        found[key] = trace.token_ids[trace.scored].tolist(), trace.stop
    wanted = [(p, d) for p in range(len(prompts)) for d in range(n)]
    assert found == {
        (p, d): one_by_one(model, prompts[p], (d, p) if p else (d,), decoding)
        for p, d in wanted
        if (p, d) not in done
    }


@pytest.mark.parametrize("stop", ["bba", "bbb", "aaa", "abab", "béa", "bbbb"])
def test_a_stop_text_over_several_tokens_is_found_wherever_it_begins(
    pieces: Any, stop: str
) -> None:
    decoding = Decoding(12, stop=(stop,), batch=16)
    answers = nescio.sample_stream(pieces, ["b"], Draws(150, 8), decoding=decoding)
    found = {
        answer.draw: (answer.trace.token_ids[answer.trace.scored].tolist(), how)
        for _, answer in answers
        if answer.trace is not None and (how := answer.trace.stop)
    }
    assert found == {
        draw: one_by_one(pieces, "b", (draw,), decoding) for draw in range(150)
    }
    assert any(how == "stop_string" for _, how in found.values())


def test_the_batch_changes_no_answer_of_a_network() -> None:
    model = tiny_model("gemma3")
    draws = Draws(3, seed=3)
    one, many = (
        drawn(model, draws, Decoding(25, batch=batch, stop=("e", "th")))
        for batch in (1, 9)
    )
    assert len({len(a.trace) for a in many.values()}) > 3
    for key, alone in one.items():
        other = many[key]
        assert other.trace.token_ids.tolist() == alone.trace.token_ids.tolist()
        np.testing.assert_allclose(
            other.trace.logp, alone.trace.logp, rtol=0, atol=5e-4
        )
        assert other.total_logp == pytest.approx(alone.total_logp, abs=5e-3)


@pytest.fixture(scope="module")
def whole(pieces: Any) -> dict[Any, Any]:
    """Four answers to each prompt, of which none was there."""
    return as_drawn(drawn(pieces, Draws(4, seed=8), Decoding(12)))


@settings(deadline=None, max_examples=25)
@given(
    done=st.sets(st.tuples(st.integers(0, 4), st.integers(0, 3))),
    batch=st.integers(1, 20),
)
def test_what_is_done_is_not_drawn_again_and_changes_nothing(
    pieces: Any, whole: dict[Any, Any], done: set[tuple[int, int]], batch: int
) -> None:
    draws = Draws(4, seed=8, done=done)
    rest = as_drawn(drawn(pieces, draws, Decoding(12, batch=batch)))
    assert rest == {key: value for key, value in whole.items() if key not in done}


def test_the_first_prompt_is_that_of_sample_and_generate(pieces: Any) -> None:
    many = drawn(pieces, Draws(3, seed=5), Decoding(20))
    one = nescio.sample(pieces, PROMPTS[0], n=3, seed=5, decoding=Decoding(20))
    assert [many[0, draw].trace for draw in range(3)] == [a.trace for a in one.answers]
    assert nescio.generate(pieces, PROMPTS[0], seed=5, decoding=Decoding(20)) == (
        one.answers[0].trace
    )


def test_the_same_prompt_twice_is_drawn_independently(pieces: Any) -> None:
    """Common random numbers would make a question agree with itself."""
    found = nescio.sample_stream(
        pieces, ["ab", "ab"], Draws(200, seed=1), decoding=Decoding(3)
    )
    first: dict[int, dict[int, int]] = {0: {}, 1: {}}
    for number, answer in found:
        ids = answer.trace.token_ids[answer.trace.scored]
        first[number][answer.draw] = int(ids[0])
    same = sum(first[0][d] == first[1][d] for d in range(200))
    shares = Counter(first[0].values())
    chance = sum((count / 200) ** 2 for count in shares.values())
    assert abs(same - 200 * chance) < 5 * np.sqrt(200 * chance * (1 - chance))


def test_a_prompt_is_read_once_for_all_its_answers(pieces: Any) -> None:
    model = Counting(pieces)
    answers = drawn(model, Draws(10, seed=1), Decoding(6, batch=4))
    read = [len(pieces.start) + len(pieces.encode(p.encode())) for p in PROMPTS]
    stepped = sum(a.token_count - 1 for a in answers.values())
    assert sum(model.runs) == sum(read) + stepped
    assert max(model.rows) == 4


@pytest.mark.parametrize("architecture", ["llama", "gemma3"])
def test_what_prompts_begin_with_is_read_once(architecture: str) -> None:
    """Gemma3 looks back over 8 tokens: what had left the window is there again."""
    model = Counting(tiny_model(architecture))
    shown = "Question: one and two? Answer: three\n" * 2
    texts = [shown + "four?", shown + "fourteen?", shown, "six and seven", "six"]
    prompts = [model.encode(text.encode()) for text in texts]
    requests = [
        Request(prompt, np.random.SeedSequence(number))
        for number, prompt in enumerate(prompts)
    ]
    firsts: dict[int, tuple[int, float]] = {}
    for step in drawn_tokens(model, requests, Decoding(3, batch=2)):
        found = zip(step.requests, step.token_ids, step.statistics.logp, strict=True)
        for request, token, logp in found:
            firsts.setdefault(request, (int(token), float(logp)))
    # A byte is a token. "four" is shared too, and a prompt's last token is always read;
    # two words of which the first is short are read again.
    read = [run for run in model.runs if run != 1]
    assert read == [len(texts[0]), len("teen?"), len("six and seven"), len("six")]
    for number, prompt in enumerate(prompts):
        token, logp = firsts[number]
        _, (logits,) = model.model.extend([model.open()], [prompt])
        assert logp == pytest.approx(log_softmax(logits[None])[0, token], abs=1e-4)


def test_ended_answers_leave_and_others_take_their_place(pieces: Any) -> None:
    model = Counting(pieces)
    answers = drawn(model, Draws(40, seed=1), Decoding(60, batch=8))
    stepped = [rows for rows in model.rows if rows > 1]
    busy = np.mean(stepped[: len(stepped) * 3 // 4])
    assert len({a.token_count for a in answers.values()}) > 10
    assert busy > 0.75 * 8


def test_new_answers_join_when_a_quarter_of_the_batch_is_free(pieces: Any) -> None:
    prompt = np.array([*pieces.start, *pieces.encode(b"ab")], dtype=np.int32)
    requests = [Request(prompt, np.random.SeedSequence(seed)) for seed in range(80)]
    seen: set[int] = set()
    going: set[int] = set()
    free: list[int] = []
    for step in drawn_tokens(pieces, requests, Decoding(60, batch=8)):
        if not seen.issuperset(step.requests):
            free.append(8 - len(going))
        seen |= set(step.requests)
        going |= set(step.requests)
        ends = zip(step.requests, step.stops, strict=True)
        going -= {number for number, stop in ends if stop is not None}
    assert seen == set(range(80))
    assert min(free) == 2


def test_prompts_are_read_only_as_there_is_room(pieces: Any) -> None:
    taken: list[int] = []

    def prompts() -> Iterator[str]:
        for number in range(1000):
            taken.append(number)
            yield "ab"

    found = nescio.sample_stream(
        pieces, prompts(), Draws(2), decoding=Decoding(5, batch=6)
    )
    for _ in range(10):
        next(found)
    assert len(taken) < 20


def test_an_answer_is_given_as_soon_as_it_has_ended(pieces: Any) -> None:
    found = nescio.sample_stream(pieces, ["ab"], Draws(20, seed=2))
    lengths = [answer.token_count for _, answer in found]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 3


@pytest.mark.parametrize(
    ("prompts", "message"),
    [(["a", "b\ud800"], r"prompt 1: .*surrogate"), (["a", "a", "zz"], "prompt 2: ")],
)
def test_a_bad_prompt_is_named_by_its_number(
    pieces: Any, prompts: list[str], message: str
) -> None:
    with pytest.raises(InvalidText, match=message):
        list(nescio.sample_stream(pieces, prompts, Draws(1), decoding=Decoding(2)))


def test_no_prompts_give_no_answers(pieces: Any) -> None:
    assert list(nescio.sample_stream(pieces, [], Draws(3))) == []


def test_one_text_for_prompts_is_refused(pieces: Any) -> None:
    with pytest.raises(InvalidInput, match="one text"):
        nescio.sample_stream(pieces, "ab", Draws(3))


@pytest.mark.parametrize("bad", [{"n": 0}, {"n": -1}, {"n": 2, "seed": -1}])
def test_draws_that_make_no_sense_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(InvalidInput):
        Draws(**bad)


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(InvalidInput, match="batch is 0"):
        Decoding(batch=0)


def test_statistics_that_are_not_wanted_are_not_there(pieces: Any) -> None:
    decoding = Decoding(4, detail=Detail(top=0))
    ((_, answer),) = nescio.sample_stream(pieces, ["a"], Draws(1), decoding=decoding)
    assert len(answer.trace.candidates.ids) == 0
    assert np.isfinite(answer.trace.entropy[answer.trace.scored]).all()


def test_a_model_that_fails_half_way_has_given_what_had_ended(pieces: Any) -> None:
    class Failing(Counting):
        def extend(self, contexts: Any, tokens: Any) -> Any:
            if len(self.rows) == 9:
                raise NescioError("the engine is gone")
            return super().extend(contexts, tokens)

    found = nescio.sample_stream(Failing(pieces), ["ab"], Draws(20, seed=2))
    kept = []
    with pytest.raises(NescioError, match="is gone"):
        kept.extend(answer.draw for _, answer in found)
    whole = nescio.sample(pieces, "ab", n=20, seed=2)
    assert kept
    assert all(whole.answers[draw].token_count <= 9 for draw in kept)
