"""From what was revealed to a trace: bounds, ranks, prompts, texts that disagree."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nescio.errors import ResponseError
from nescio.responses import Candidate, Response, Revealed, Source, trace_of
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


def test_ranks_are_there_if_every_token_is_among_its_candidates():
    known = trace_of(one(FIFTH, (b"b", HALF), (b"a", FIFTH)), None, source())
    assert known.rank.tolist() == [2]
    assert trace_of(one(FIFTH, (b"b", HALF)), None, source()).rank is None


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
