"""From what was revealed to a trace: bounds, ranks, prompts, texts that disagree."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nescio.errors import ResponseError
from nescio.responses import Candidate, Response, Revealed, Source, trace_of
from nescio.responses.tokens import named_tokens
from nescio.trace import Message, Origin, Prompt

ORIGIN = Origin("m", "d", "t", "by hand", "f32")
HALF, FIFTH = math.log(0.5), math.log(0.2)
# DEFINITIONS: p = (.5, .2), V = 10
LOW, HIGH = 1.220607, 1.653485


def source(**changed: object) -> Source:
    return Source(ORIGIN, **{"vocabulary_size": 10, "asked": 2, **changed})


def one(logp: float, *candidates: tuple[bytes, float], name: bytes = b"a") -> Response:
    found = tuple(Candidate(spelled, x) for spelled, x in candidates)
    return Response(name.decode(), (Revealed(name, logp, found),), "length")


def bounds(response: Response, **changed: object) -> tuple[float, float]:
    trace = trace_of(response, None, source(**changed))
    return float(trace.entropy_low[0]), float(trace.entropy_high[0])


def test_a_token_among_the_candidates_adds_nothing_to_them():
    found = bounds(one(HALF, (b"a", HALF), (b"b", FIFTH)))
    assert found == pytest.approx((LOW, HIGH), abs=1e-6)


def test_a_token_beyond_the_candidates_is_one_more_known_atom():
    outer = bounds(one(HALF, (b"a", HALF), (b"b", FIFTH)))
    inner = bounds(one(math.log(0.1), (b"b", HALF), (b"c", FIFTH)))
    assert outer[0] <= inner[0] < inner[1] < outer[1]


def test_a_token_put_behind_the_candidates_does_not_bound_the_others():
    """Some servers append the token itself: top 2 asked, three listed."""
    appended = one(
        math.log(0.001), (b"b", HALF), (b"c", FIFTH), (b"a", math.log(0.001))
    )
    apart = one(math.log(0.001), (b"b", HALF), (b"c", FIFTH))
    assert bounds(appended) == pytest.approx(bounds(apart))
    assert bounds(appended, asked=None) == pytest.approx(bounds(apart))


def test_names_that_may_stand_for_several_tokens_bound_nothing():
    """Parts of characters all go by one name, so a candidate may be missing."""
    collided = one(HALF, (b"a", HALF), ("\ufffd".encode(), math.log(0.4)))
    whole = one(HALF, (b"a", HALF), (b"b", math.log(0.4)))
    low, high = bounds(collided, asked=3)
    assert (low, high) == pytest.approx(bounds(one(HALF), asked=3))
    assert low < bounds(whole, asked=2)[0]


def test_without_a_vocabulary_there_is_no_upper_bound():
    low, high = bounds(one(HALF, (b"a", HALF), (b"b", FIFTH)), vocabulary_size=None)
    assert high == math.inf
    assert low == pytest.approx(LOW, abs=1e-6)


def test_without_candidates_the_token_alone_is_known():
    low, _ = bounds(one(HALF), asked=0)
    assert low == pytest.approx(math.log(2), abs=1e-6)


def ranks(response: Response, **changed: object) -> list[int] | None:
    rank = trace_of(response, None, source(**changed)).rank
    return None if rank is None else rank.tolist()


def test_ranks_are_there_if_every_token_is_among_its_candidates():
    known = one(FIFTH, (b"b", HALF), (b"a", FIFTH), (b"c", math.log(0.1)))
    assert ranks(known) == [2]
    assert ranks(one(FIFTH, (b"b", HALF))) is None


def test_the_rank_of_a_last_token_is_known_if_no_other_can_be_above_it():
    """It may stand there in the place of a more probable one (vLLM does so)."""
    certain = one(FIFTH, (b"b", math.log(0.7)), (b"a", FIFTH))
    assert ranks(certain) == [2]
    assert ranks(one(FIFTH, (b"b", HALF), (b"a", FIFTH))) is None
    assert ranks(one(math.log(0.01), (b"a", math.log(0.01)))) is None


def test_the_token_itself_alone_in_its_list_is_not_taken_for_the_most_probable():
    """vLLM's chat API with one candidate lists the drawn token, whatever it is."""
    rare = math.log(0.01)
    low, high = bounds(one(rare, (b"a", rare)), asked=1)
    assert low == pytest.approx(-0.01 * rare - 0.99 * math.log(0.99), abs=1e-6)
    assert (low, high) == pytest.approx(bounds(one(rare), asked=0))


def test_of_two_candidates_of_one_spelling_the_token_is_the_one_as_probable():
    """Without ids: the drawn token stands last, another of its text stands first."""
    rare = math.log(0.001)
    twins = one(rare, (b"a", HALF), (b"b", FIFTH), (b"a", rare))
    apart = one(rare, (b"c", HALF), (b"b", FIFTH))
    assert bounds(twins, asked=3) == pytest.approx(bounds(apart))
    drawn_first = one(HALF, (b"a", HALF), (b"b", FIFTH), (b"a", math.log(0.1)))
    usual = one(HALF, (b"a", HALF), (b"b", FIFTH), (b"c", math.log(0.1)))
    assert bounds(drawn_first, asked=3) == pytest.approx(bounds(usual, asked=3))


def named(logp: float, candidates: dict[str, float]) -> Response:
    tokens = named_tokens(
        {"tokens": ["a"], "token_logprobs": [logp], "top_logprobs": [candidates]}
    )
    return Response("a", tokens, "length")


def test_a_list_by_names_that_lost_one_does_not_bound_the_others():
    """p = (.4, .3, .2, .1); the first goes by the name of the second."""
    p = (0.4, 0.3, 0.2, 0.1)
    entropy = -sum(x * math.log(x) for x in p)
    lost = named(math.log(0.3), {"a": math.log(0.3), "c": FIFTH, "d": math.log(0.1)})
    low, high = bounds(lost, asked=4)
    assert low <= entropy <= high
    assert ranks(lost, asked=4) is None


def test_how_many_names_were_asked_for_is_seen_in_the_other_tokens():
    full = {"a": math.log(0.3), "b": math.log(0.25), "c": FIFTH, "d": math.log(0.1)}
    short = {"a": math.log(0.3), "c": FIFTH, "d": math.log(0.1)}
    tokens = named_tokens(
        {
            "tokens": ["a", "a"],
            "token_logprobs": [math.log(0.3)] * 2,
            "top_logprobs": [full, short],
        }
    )
    trace = trace_of(Response("aa", tokens, "length"), None, source(asked=None))
    alone = bounds(one(math.log(0.3)), asked=0)
    assert (trace.entropy_low[1], trace.entropy_high[1]) == pytest.approx(alone)
    assert trace.entropy_low[0] > alone[0] + 0.5


def test_a_token_that_is_listed_twice_counts_once_or_not_at_all():
    p = (0.4, 0.3, 0.2, 0.1)
    entropy = -sum(x * math.log(x) for x in p)
    others = ((b"b", math.log(0.4)), (b"c", math.log(0.3)))
    twice = one(FIFTH, *others, (b"a", FIFTH), (b"a", FIFTH))
    low, high = bounds(twice, asked=4)
    assert low <= entropy <= high
    ids = [Candidate(b"b", math.log(0.4), 7)] * 2
    found = Response("a", (Revealed(b"a", FIFTH, tuple(ids), 3),), "length")
    low, high = bounds(found, asked=2)
    assert low <= entropy <= high


def test_a_part_of_a_character_is_not_counted_beside_its_stand_in():
    """The token says its bytes, the candidate that is the same token does not."""
    raw = "é".encode()[:1]
    third = math.log(0.3)
    unknown = "\ufffd".encode()
    found = (Candidate(b"b", math.log(0.4)), Candidate(unknown, third))
    response = Response("", (Revealed(raw, third, found),), "length")
    low, high = bounds(response, asked=2)
    entropy = -sum(x * math.log(x) for x in (0.4, 0.3, 0.3))
    assert low <= entropy <= high
    assert low <= bounds(one(third, (b"b", math.log(0.4)), (b"a", third)))[0]


def test_an_answer_whose_first_token_is_not_revealed_has_no_trace():
    tokens = (Revealed(b"a", None), Revealed(b"b", HALF))
    with pytest.raises(ResponseError, match="1 of 2 tokens"):
        trace_of(Response("ab", tokens, "eos"), None, source())
    assert trace_of(Response("ab", tokens), None, source(), hidden=1).scored[1]


def test_a_scored_prompt_with_a_gap_is_refused():
    prompt = (Revealed(b"x", None), Revealed(b"y", None), Revealed(b"z", HALF))
    response = Response("a", (Revealed(b"a", HALF),), "eos", prompt)
    with pytest.raises(ResponseError, match="does not reveal"):
        trace_of(response, Prompt(text="xyz"), source())


def test_a_prompt_stands_in_the_trace_unscored_a_piece_a_message():
    messages = (Message("system", "Be kind."), Message("user", "Hé"))
    trace = trace_of(one(HALF), Prompt(messages=messages), source(asked=0), context=7)
    assert trace.token_text(1) == "Hé"
    assert trace.scored.tolist() == [False, False, True]
    assert trace.role.tolist() == [1, 2, 0]
    assert trace.context_used.tolist() == [0, 0, 7]
    assert np.isnan(trace.logp[:2]).all()
    assert trace.completion == "a"


def test_a_scored_prompt_is_traced_token_by_token():
    prompt = (Revealed(b"x", None), Revealed(b"y", -1.0))
    response = Response("a", (Revealed(b"a", HALF),), "eos", prompt)
    trace = trace_of(response, Prompt(text="xy"), source())
    assert trace.scored.tolist() == [False, True, True]
    assert trace.segment.tolist() == [0, 0, 1]


def test_tokens_of_another_text_are_refused():
    with pytest.raises(ResponseError, match="another text"):
        trace_of(Response("b", (Revealed(b"a", HALF),)), None, source())


def test_a_stop_text_that_was_cut_off_stays_in_the_trace():
    tokens = (Revealed(b"a", HALF), Revealed(b" END", HALF))
    trace = trace_of(Response("a", tokens, "stop_string"), None, source())
    assert trace.completion == "a END"


def test_a_character_that_was_cut_off_is_no_other_text():
    tokens = (Revealed(b"a", HALF), Revealed("é".encode()[:1], HALF))
    trace = trace_of(Response("a\ufffd", tokens, "length"), None, source())
    assert trace.buffer == b"a\xc3"


def test_without_log_probabilities_there_is_no_trace():
    with pytest.raises(ResponseError, match="no log-probabilities"):
        trace_of(Response("a"), None, source())


def test_an_impossible_token_is_one():
    trace = trace_of(one(-math.inf, (b"b", 0.0)), None, source(asked=1))
    assert trace.surprisal[0] == math.inf
    assert trace.entropy_high[0] == pytest.approx(0.0, abs=1e-6)


def test_masses_above_1_are_refused_with_the_sum():
    with pytest.raises(ResponseError, match=r"1\.3"):
        trace_of(one(HALF, (b"b", math.log(0.8)), (b"a", HALF)), None, source())
