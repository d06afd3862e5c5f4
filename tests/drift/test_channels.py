"""Channels by hand: what each says of a token, and that memory does not grow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nescio.decoding import TokenStatistics
from nescio.drift.channels import (
    CHANNELS,
    ChannelPlan,
    Running,
    Standard,
    run_statistics,
    standards_of,
    tokens_of,
)
from nescio.errors import InvalidInput, NotEnoughData
from tests.traces import make_trace

PLAIN = {name: Standard(0.0, 1.0) for name in CHANNELS}


def token(
    number: int = 0, logp: float = -1.0, entropy: float | None = 1.0
) -> TokenStatistics:
    return TokenStatistics(number, logp, entropy)


def test_each_channel_says_what_its_name_says() -> None:
    running = Running(ChannelPlan(memory=1), PLAIN)
    found = running.update(token(logp=-3.0, entropy=2.0))
    assert found == [2.0, -2.0, 0.0, 1.0]
    assert running.update(token(logp=-0.5, entropy=2.0))[3] == 1.5  # both sides


def test_a_mean_begins_at_what_is_usual_and_forgets_exponentially() -> None:
    plan = ChannelPlan(("entropy_up",), memory=4)
    running = Running(plan, {"entropy_up": Standard(3.0, 2.0)})
    values = [running.update(token(entropy=5.0))[0] for _ in range(3)]
    assert values == pytest.approx([0.25, 0.4375, 0.578125], abs=1e-12)


@pytest.mark.parametrize("period", [1, 2, 5, 12])
def test_a_loop_is_seen_from_its_second_round_on(period: int) -> None:
    plan = ChannelPlan(("repetition",), memory=1, ngram=4, window=32)
    running = Running(plan, PLAIN)
    found = [running.update(token(i % period))[0] for i in range(40)]
    first = period + 3  # the fourth token of the second round
    assert found[:first] == [0.0] * first
    assert found[first:] == [1.0] * (40 - first)


def test_a_repetition_further_back_than_the_window_is_not_seen() -> None:
    plan = ChannelPlan(("repetition",), memory=1, ngram=2, window=10)
    running = Running(plan, PLAIN)
    found = [running.update(token(i))[0] for i in [*range(10), 0, 1]]
    assert sum(found) == 0.0
    running = Running(plan, PLAIN)
    found = [running.update(token(i))[0] for i in [*range(9), 0, 1]]
    assert found[-1] == 1.0


def test_memory_is_bounded() -> None:
    running = Running(ChannelPlan(("repetition",), window=16), PLAIN)
    for i in range(500):
        running.update(token(i))
    kept = running._repetition
    assert len(kept._seen) == len(kept._order) == 16 - 4 + 1


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_repeats_are_those_a_search_of_the_window_finds(ids: list[int]) -> None:
    plan = ChannelPlan(("repetition",), memory=1, ngram=3, window=12)
    running = Running(plan, PLAIN)
    for place, number in enumerate(ids):
        begin = max(0, place - 12)
        earlier = [ids[i : i + 3] for i in range(begin, place - 2)]
        expected = place >= 2 and ids[place - 2 : place + 1] in earlier
        assert running.update(token(number))[0] == float(expected)


def test_an_impossible_token_is_infinitely_far_and_stays_so() -> None:
    running = Running(ChannelPlan(("surprisal_gap",)), PLAIN)
    assert running.update(token(logp=-math.inf))[0] == math.inf
    assert running.update(token(logp=-1.0))[0] == math.inf


def test_live_and_replayed_statistics_are_the_same_bits() -> None:
    rng = np.random.default_rng(3)
    entropy, logp = rng.exponential(2.0, 50), -rng.exponential(2.0, 50)
    trace = make_trace([b"x"] * 50, logp.tolist(), entropy=entropy.tolist())
    plan = ChannelPlan()
    live = Running(plan, PLAIN)
    rows = [live.update(token(i, logp[i], entropy[i])) for i in range(50)]
    assert np.array_equal(run_statistics(trace, plan, PLAIN), np.array(rows))


def test_standards_are_mean_and_deviation_over_all_tokens_of_all_runs() -> None:
    one = make_trace(["a", "b"], [-1.0, -2.0], entropy=[1.0, 3.0])
    other = make_trace(["c"], [-4.0], entropy=[5.0])
    found = standards_of([one, other], ChannelPlan(("entropy_up", "surprisal_gap")))
    assert found["entropy_up"] == Standard(3.0, float(np.std([1.0, 3.0, 5.0])))
    assert found["surprisal_gap"].centre == pytest.approx(-2.0 / 3.0)
    assert standards_of([one, other], ChannelPlan(("repetition",)))[
        "repetition"
    ] == Standard(0.0, 1.0)


def test_prompt_tokens_are_not_watched() -> None:
    trace = make_trace(
        ["a", "b", "c"], -1.0, entropy=2.0, unscored=[0], segment=[0, 1, 1]
    )
    assert [t.token for t in tokens_of(trace)] == [1, 2]
    with pytest.raises(InvalidInput, match="nothing to watch"):
        list(tokens_of(make_trace(["a"], -1.0, entropy=1.0, unscored=[0])))


def test_entropies_known_by_bounds_count_with_the_lower_one() -> None:
    trace = make_trace(["a"], -1.0, entropy_low=[0.5], entropy_high=[2.0])
    assert next(tokens_of(trace)).entropy == 0.5
    with pytest.raises(InvalidInput, match="entropy of a token is not known"):
        Running(ChannelPlan(), PLAIN).update(token(entropy=None))
    quiet = Running(ChannelPlan(("repetition",)), PLAIN)
    assert quiet.update(token(entropy=None)) == [0.0]


def test_what_cannot_be_watched_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'loudness'"):
        ChannelPlan(("loudness",))
    with pytest.raises(InvalidInput, match="one or more"):
        ChannelPlan(())
    with pytest.raises(InvalidInput, match="twice"):
        ChannelPlan(("repetition", "repetition"))
    with pytest.raises(InvalidInput, match="memory is 0"):
        ChannelPlan(memory=0)
    with pytest.raises(InvalidInput, match="holds no 9"):
        ChannelPlan(ngram=9, window=8)
    with pytest.raises(InvalidInput, match="above 0"):
        Standard(0.0, 0.0)
    with pytest.raises(InvalidInput, match=r"no centre.*repetition"):
        Running(ChannelPlan(("repetition",)), {})
    with pytest.raises(NotEnoughData, match="1 tokens"):
        standards_of([make_trace(["a"], -1.0, entropy=1.0)], ChannelPlan())
    impossible = make_trace(["a", "b"], [-1.0, -math.inf], entropy=1.0)
    with pytest.raises(InvalidInput, match="impossible"):
        standards_of([impossible], ChannelPlan())
