"""Text that stands before: a re-opened boundary changes its own token and no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nescio

DETAIL = nescio.Detail(top=5, renyi=(0.5, -1.0))
MEASURES = ("logp", "entropy", "varentropy", "rank", "renyi", "context_used")


@pytest.fixture(scope="module")
def pieces() -> Any:
    """A table whose token ``ab`` can straddle a boundary after ``a``."""
    return nescio.load("table:pieces")


def candidates(trace: Any, token: int) -> list[tuple[int, float]]:
    """(id, log-probability) of the candidates of one token."""
    found = trace.candidates
    places = slice(found.offsets[token], found.offsets[token + 1])
    return list(
        zip(found.ids[places].tolist(), found.logp[places].tolist(), strict=True)
    )


def check_same(trace: Any, token: int, other: Any, place: int) -> None:
    """Every number of one trace's token is that of another trace's."""
    assert trace.token_ids[token] == other.token_ids[place]
    assert trace.token_bytes(token) == other.token_bytes(place)
    for name in MEASURES:
        one, two = getattr(trace, name)[token], getattr(other, name)[place]
        np.testing.assert_array_equal(one, two, err_msg=f"{name} of token {token}")
    assert candidates(trace, token) == candidates(other, place)
    assert trace.candidates.at(token) == other.candidates.at(place)


@pytest.mark.parametrize(
    ("given", "text", "boundary"),
    [
        ("a", "bbaéab", 0),
        ("bba", "bbabb", 2),
        ("éba", "bbbaéa", 2),
        ("abab" * 3 + "a", "bababbaé", 6),
    ],
)
@pytest.mark.parametrize("window", [None, nescio.Window(12, 3)])
def test_everything_but_the_boundary_token_is_as_without_reopening(
    pieces: Any, given: str, text: str, boundary: int, window: Any
) -> None:
    trace = nescio.score(pieces, text, given=given, detail=DETAIL, window=window)
    whole = nescio.score(pieces, given + text, detail=DETAIL, window=window)
    assert whole.token_bytes(boundary) == b"ab"
    assert len(trace) == len(whole) + 1 >= boundary + 5
    assert trace.buffer == whole.buffer
    assert trace.origin.decoding["reopened_bytes"] == b"a".hex()
    after = boundary + 1
    assert trace.scored.tolist() == [False] * after + [True] * (len(trace) - after)
    assert trace.completion == text
    for token in range(after + 1, len(trace)):
        for name in ("logp", "entropy", "varentropy", "rank"):
            assert getattr(trace, name)[token] == getattr(whole, name)[token - 1]
        if window is None:
            check_same(trace, token, whole, token - 1)
        else:
            assert candidates(trace, token) == candidates(whole, token - 1)


@pytest.mark.parametrize("given", ["a", "bba", "éba"])
def test_the_boundary_token_is_measured_among_those_that_fit(
    pieces: Any, given: str
) -> None:
    """After nothing or b: (.3 a, .2 ab); after é the same; by hand, renormalised."""
    trace = nescio.score(pieces, "bbab", given=given, detail=DETAIL)
    boundary = int(np.flatnonzero(trace.scored)[0])
    share = np.array([0.6, 0.4])
    assert [id_ for id_, _ in candidates(trace, boundary)] == [0, 2]
    shown = [logp for _, logp in candidates(trace, boundary)]
    np.testing.assert_allclose(shown, np.log(share), rtol=1e-6)
    assert trace.logp[boundary] == pytest.approx(np.log(0.4))
    assert trace.rank[boundary] == 2
    entropy = -(share * np.log(share)).sum()
    assert trace.entropy[boundary] == pytest.approx(entropy)
    variance = (share * np.log(share) ** 2).sum() - entropy**2
    assert trace.varentropy[boundary] == pytest.approx(variance, rel=1e-5)
    renyi = [np.log((share**0.5).sum()), np.log((share**2).sum())]
    np.testing.assert_allclose(trace.renyi[boundary], renyi, rtol=1e-5)
    for token in range(boundary):
        assert candidates(trace, token) == []
        assert trace.rank[token] == trace.context_used[token] == 0


@pytest.mark.parametrize("turned", [False, True])
def test_texts_that_reopen_and_texts_that_do_not_go_together(
    pieces: Any, turned: bool
) -> None:
    texts = ["bbab", "éba", "bébba", "aab"]
    texts = texts[::-1] if turned else texts
    reopened = {"bbab", "bébba"}
    traces = nescio.score_texts(pieces, texts, given="a", detail=DETAIL)
    for text, trace in zip(texts, traces, strict=True):
        assert ("reopened_bytes" in trace.origin.decoding) == (text in reopened)
        assert trace == nescio.score(pieces, text, given="a", detail=DETAIL)
        assert trace.completion == text
        if text not in reopened:
            whole = nescio.score(pieces, f"a{text}", detail=DETAIL)
            assert len(trace) == len(whole)
            for token in range(1, len(whole)):
                check_same(trace, token, whole, token)


@pytest.mark.parametrize(
    ("given", "text"),
    [("a", "b"), ("a", "bb"), ("a", "bba"), ("ba", "ba"), ("aba", "bb"), ("bba", "bé")],
)
def test_the_joint_probability_is_that_of_enumerating_every_sequence(
    pieces: Any, given: str, text: str
) -> None:
    """P(text | given) = P(these tokens) / P(those before, then one that fits)."""
    trace = nescio.score(pieces, text, given=given)
    ids = tuple(pieces.encode((given + text).encode()).tolist())
    boundary = int(np.flatnonzero(trace.scored)[0]) - 1
    sequences = list(pieces.enumerate(len(ids)))
    assert sum(p for _, p in sequences) == pytest.approx(1.0)
    known = given.encode()[len(pieces.vocabulary.spell(ids[:boundary])) :]
    assert known == b"a"
    begun = [
        (tokens, p)
        for tokens, p in sequences
        if tokens[:boundary] == ids[:boundary]
        and pieces.vocabulary.spell(tokens[boundary : boundary + 1]).startswith(known)
    ]
    assert len(begun) > 1
    joint = dict(sequences)[ids] / sum(p for _, p in begun)
    assert trace.logp[trace.scored].sum() == pytest.approx(np.log(joint), rel=1e-5)
