"""Surprisal by word and character: whole tokens, nothing split, nothing lost."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nescio.errors import InvalidInput
from nescio.trace import spans, units
from tests.traces import make_trace


def shown(found):
    return [(s.text, s.surprisal) for s in found]


def test_words_take_the_space_before_them():
    trace = make_trace(["The", " cat", " sat", ".", "\n"], [-1, -2, -3, -4, -5])
    assert shown(spans(trace)) == [("The", 1), (" cat", 2), (" sat.", 7), ("\n", 5)]


def test_a_word_of_several_tokens_is_their_sum():
    trace = make_trace([" nes", "ci", "o", " x"], [-1, -2, -4, -8])
    assert shown(spans(trace)) == [(" nescio", 7), (" x", 8)]


def test_a_token_that_straddles_two_words_makes_them_one():
    trace = make_trace(["a", " b c", "d"], [-1, -2, -4])
    found = spans(trace)
    assert shown(found) == [("a", 1), (" b cd", 6)]
    assert [s.widened for s in found] == [False, False]
    (match,) = spans(trace, by="c")
    assert (match.text, match.surprisal, match.widened) == (" b c", 2, True)
    assert (match.first, match.last, match.start, match.end) == (1, 2, 1, 5)


def test_japanese_characters_split_over_tokens_are_not_torn():
    # 日本語 as tokens of 2, 3 and 4 bytes.
    raw = "日本語".encode()
    trace = make_trace([raw[:2], raw[2:5], raw[5:]], [-1, -2, -4])
    assert shown(spans(trace, by="char")) == [("日本語", 7)]
    assert shown(units(trace)) == [("日本語", 7)]
    trace = make_trace([raw[:2], raw[2:3], raw[3:8], raw[8:]], [-1, -2, -4, -8])
    assert shown(spans(trace, by="char")) == [("日", 3), ("本語", 12)]
    assert shown(units(trace)) == [("日", 3), ("本語", 12)]
    assert shown(spans(trace, by="語")) == [("本語", 12)]


def test_a_character_cut_off_at_the_end_is_there():
    trace = make_trace(["a", b"\xe6\x97"], [-1, -2])
    found = units(trace)
    assert [(s.start, s.end, s.surprisal) for s in found] == [(0, 1, 1), (1, 3, 2)]
    assert found[1].text == "\N{REPLACEMENT CHARACTER}"


def test_control_tokens_are_units_of_their_own_and_of_no_word():
    trace = make_trace([b"", "ab", b"", "c"], [-1, -2, -4, -8])
    assert [s.surprisal for s in units(trace)] == [1, 2, 4, 8]
    assert shown(spans(trace, by="ab")) == [("ab", 2)]
    assert shown(spans(trace, by="b|c")) == [("ab", 2), ("c", 8)]


def test_a_control_token_inside_a_character_does_not_tear_it():
    trace = make_trace([b"\xc3", b"", b"\xa9", b""], [-1, -2, -4, -8])
    assert shown(units(trace)) == [("é", 7), ("", 8)]


def test_a_span_with_an_unscored_token_has_no_surprisal():
    trace = make_trace(["a", "b", " c"], [-1, -2, -4], unscored=[0])
    assert shown(spans(trace)) == [("ab", None), (" c", 4)]


def test_an_impossible_token_makes_its_span_infinite():
    trace = make_trace(["a", "b"], [-np.inf, -1])
    assert shown(spans(trace)) == [("ab", np.inf)]


def test_text_that_nothing_matches_belongs_to_no_span():
    trace = make_trace(["1", "x", "2"], [-1, -2, -4])
    assert shown(spans(trace, by=r"\d")) == [("1", 1), ("2", 4)]
    assert spans(trace, by="z") == ()


@pytest.mark.parametrize("by", ["(", "[", "*"])
def test_what_is_no_pattern_is_refused(by):
    with pytest.raises(InvalidInput, match="nor a regular expression"):
        spans(make_trace(["a"], -1), by=by)


@pytest.mark.parametrize("by", ["", "x*", "a?", "^"])
def test_a_pattern_that_matches_nothing_at_all_is_refused(by):
    with pytest.raises(InvalidInput, match="empty text"):
        spans(make_trace(["a"], -1), by=by)


@st.composite
def cut_texts(draw):
    """Any text, cut anywhere, also inside characters; some tokens spell nothing."""
    raw = draw(st.text(max_size=20)).encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=15)))
    return [raw[a:b] for a, b in pairwise([0, *cuts, len(raw)])]


def weighed(tokens):
    """A trace whose surprisals are powers of two, which add without rounding."""
    return make_trace(tokens, [-(2.0 ** (i % 20)) for i in range(len(tokens))])


@given(cut_texts())
def test_units_tile_every_text_and_their_sums_are_exact(tokens):
    trace = weighed(tokens)
    found = units(trace)
    assert sum(s.surprisal for s in found) == trace.surprisal.astype(float).sum()
    assert [s.first for s in found[1:]] == [s.last for s in found[:-1]]
    assert (found[0].first, found[-1].last) == (0, len(trace))
    assert "".join(s.text for s in found) == trace.text


@given(cut_texts(), st.sampled_from(["word", "char"]))
def test_spans_are_disjoint_and_hold_every_token_that_spells_something(tokens, by):
    trace = weighed(tokens)
    found = spans(trace, by=by)
    assert all(one.last <= other.first for one, other in pairwise(found))
    held = np.zeros(len(trace), dtype=bool)
    for span in found:
        held[span.first : span.last] = True
    assert (held | (trace.byte_counts == 0)).all()
    inside = trace.surprisal.astype(float)[held].sum()
    assert sum(s.surprisal for s in found) == inside
    assert "".join(s.text for s in found) == trace.text


@given(cut_texts())
def test_words_are_unions_of_characters(tokens):
    trace = weighed(tokens)
    starts = {s.first for s in spans(trace, by="char")}
    assert {s.first for s in spans(trace, by="word")} <= starts


@given(cut_texts(), st.sampled_from([r"[aeiou]+", r"\w+", r"\s", "."]))
def test_every_match_lies_inside_one_span(tokens, pattern):
    trace = weighed(tokens)
    text, found = trace.text, spans(trace, by=pattern)
    for match in re.finditer(pattern, text):
        start, end = (len(text[:at].encode()) for at in match.span())
        assert sum(s.start <= start and end <= s.end for s in found) == 1


def test_a_unit_that_does_not_exist_is_refused_instead_of_finding_nothing():
    for by in ("sentence", "token", "characters"):
        with pytest.raises(InvalidInput, match="neither 'word' nor 'char'"):
            spans(make_trace(["a", "b"], -1.0), by=by)
