"""Where samples part: hand numbers, any order, tokens, characters, what is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nescio.consistency.answers import answers_of
from nescio.consistency.divergence import Divergence, divergence
from nescio.errors import InvalidInput, NotEnoughData
from nescio.trace import Prompt, Sample, Samples, Trace
from tests.consistency.numbers import number
from tests.traces import make_trace


def path(found: Divergence) -> list[tuple[str, int, dict[str, int]]]:
    return [(step.text, step.samples, dict(step.branches)) for step in found.steps]


def traced(traces: Sequence[Trace]) -> Samples:
    answers = (
        Sample(one.completion, draw=i, trace=one) for i, one in enumerate(traces)
    )
    return Samples(Prompt(text="?"), tuple(answers))


def test_words_part_where_a_hand_says_they_do():
    found = divergence(["the cat sat", "the cat ran", "the dog sat", "the cat sat"])
    assert found.unit == "word"
    assert path(found) == [
        ("the", 4, {"the": 4}),
        ("cat", 4, {"cat": 3, "dog": 1}),
        ("sat", 3, {"sat": 2, "ran": 1}),
        ("", 2, {"": 2}),
    ]
    assert found.shown == 4
    entropies = [number(step.entropy.value) for step in found.steps]
    assert entropies == pytest.approx(
        [
            0.0,
            -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)),
            -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3)),
            0.0,
        ]
    )
    assert all(step.model_entropy is None for step in found.steps)


def test_five_and_five_part_over_log_two():
    found = divergence(["yes"] * 5 + ["no"] * 5)
    assert number(found.steps[0].entropy.value) == pytest.approx(math.log(2))
    assert found.steps[0].text == "no"  # of equals the first by code point
    assert found.steps[0].entropy.n == 10


def test_it_stops_where_one_sample_is_left():
    found = divergence(["a b c d", "x", "y", "z"])
    assert [step.samples for step in found.steps] == [4]
    assert number(found.steps[0].entropy.value) == pytest.approx(math.log(4))


def test_an_end_is_a_way_to_part_and_of_equals_the_path_goes_on():
    found = divergence(["it is", "it is so"])
    assert path(found)[-1] == ("so", 2, {"so": 1, "": 1})
    assert number(found.steps[-1].entropy.value) == pytest.approx(math.log(2))


def test_where_as_many_end_as_go_on_the_path_goes_on():
    found = divergence(["a", "a b", "a", "a b"])
    assert path(found)[1:] == [("b", 4, {"b": 2, "": 2}), ("", 2, {"": 2})]


def test_samples_that_say_nothing_end_at_once():
    found = divergence(["", "  ", "\n"])
    assert path(found) == [("", 3, {"": 3})]
    assert number(found.steps[0].entropy.value) == 0.0


def test_the_interval_holds_the_value_and_is_open_upwards_where_all_agree():
    found = divergence(["a b", "a c", "a b", "a d", "a b", "a b"])
    first, second = found.steps[:2]
    assert first.entropy.value == 0.0
    assert first.entropy.low == 0.0
    assert number(first.entropy.high) > 0.1  # something else might have been said
    low, high = number(second.entropy.low), number(second.entropy.high)
    assert low < number(second.entropy.value) < high
    assert low < 0.5
    assert high > 1.0
    assert "4 samples" in divergence(["a b", "a c"] * 2).steps[0].entropy.population


@settings(max_examples=40)
@given(st.lists(st.text("ab ", max_size=8), min_size=2, max_size=7), st.randoms())
def test_the_order_of_the_samples_does_not_matter(texts, random):
    again = list(texts)
    random.shuffle(again)
    first, second = divergence(texts, resamples=200), divergence(again, resamples=200)
    assert path(first) == path(second)
    for one, other in zip(first.steps, second.steps, strict=True):
        assert one.entropy == other.entropy


@settings(max_examples=40)
@given(st.lists(st.text("ab ", max_size=6), min_size=2, max_size=6))
def test_steps_count_down_and_branches_sum_to_the_samples(texts):
    found = divergence(texts, resamples=200)
    together = [step.samples for step in found.steps]
    assert together == sorted(together, reverse=True)
    assert together[0] == len(texts)
    for step in found.steps:
        assert sum(step.branches.values()) == step.samples >= 2
        assert step.branches[step.text] == max(step.branches.values())
        assert 0.0 <= number(step.entropy.value) <= math.log(step.samples) + 1e-12


def test_scripts_without_spaces_part_by_characters():
    found = divergence(["東京です", "東京だ", "大阪です", "東京です"])
    assert found.unit == "character"
    assert [step.text for step in found.steps] == ["東", "京", "で", "す", ""]
    assert divergence(["สวัสดีครับ", "สวัสดีค่ะ"]).unit == "character"
    assert divergence(["Привет мир", "Привет"]).unit == "word"
    asked = divergence(["cat", "car"], unit="character")
    assert [step.text for step in asked.steps][:2] == ["c", "a"]


def test_tokens_are_the_unit_where_every_sample_has_a_trace():
    one = make_trace(["It", " is", " 12"], -0.1, entropy=[0.5, 0.25, 1.0])
    two = make_trace(["It", " was"], -0.1, entropy=[0.5, 0.75])
    found = divergence(traced([one, one, two]))
    assert found.unit == "token"
    assert path(found)[:2] == [
        ("It", 3, {"It": 3}),
        (" is", 3, {" is": 2, " was": 1}),
    ]
    assert number(found.steps[0].model_entropy) == pytest.approx(0.5)
    assert number(found.steps[1].model_entropy) == pytest.approx(
        (0.25 + 0.25 + 0.75) / 3
    )
    assert found.steps[-1].text == ""
    assert found.steps[-1].model_entropy is None
    assert divergence(traced([one, one, two]), unit="word").unit == "word"


def test_the_token_that_ends_an_answer_is_the_end_with_the_models_own_entropy():
    ended = make_trace(
        ["12", ""], -0.1, entropy=[0.5, 0.125], labels={1: "<eos>"}, stop="eos"
    )
    further = make_trace(["12", " 13", ""], -0.1, entropy=[0.5, 0.125, 0.0],
                         labels={2: "<eos>"}, stop="eos")  # fmt: skip
    found = divergence(traced([ended, ended, further]))
    assert path(found) == [("12", 3, {"12": 3}), ("", 3, {"": 2, " 13": 1})]
    assert number(found.steps[1].model_entropy) == pytest.approx(0.125)


def test_a_sample_that_was_cut_off_is_no_end():
    cut = make_trace(["a", "b"], -0.1, stop="length")
    further = make_trace(["a", "b", "c"], -0.1, stop="length")
    found = divergence(traced([cut, further, further]))
    assert path(found)[-1] == ("c", 2, {"c": 2})
    assert all("" not in step.branches for step in found.steps)


def test_prompt_tokens_are_no_part_of_an_answer():
    one = make_trace(["Q", "a"], -0.1, segment=[0, 1], unscored=[0])
    two = make_trace(["Q", "b"], -0.1, segment=[0, 1], unscored=[0])
    found = divergence(traced([one, two]))
    assert path(found) == [("a", 2, {"a": 1, "b": 1})]


def test_half_a_character_is_shown_in_hexadecimal():
    half = make_trace([b"\xe6", b"\x97\xa5"], -0.1)
    found = divergence(traced([half, half]))
    assert [step.text for step in found.steps] == ["⟨e6⟩", "⟨97⟩⟨a5⟩", ""]


def test_only_so_many_steps_are_looked_at_and_all_are_counted():
    found = divergence(["a " * 50] * 3, most=5)
    assert len(found.steps) == 5
    assert found.shown == 51


def test_sorted_answers_and_samples_serve_as_well_as_texts():
    texts = ["a b", "a c", ""]
    plain = path(divergence(texts))
    assert path(divergence(answers_of(texts))) == plain
    assert path(divergence(Samples.of("?", texts))) == plain


def test_what_cannot_be_is_refused_by_name():
    with pytest.raises(NotEnoughData, match="one sample"):
        divergence(["a"])
    with pytest.raises(NotEnoughData, match="no samples"):
        divergence([])
    with pytest.raises(InvalidInput, match="one text"):
        divergence("ab")
    with pytest.raises(InvalidInput, match="not every sample has a trace"):
        divergence(["a", "b"], unit="token")
    with pytest.raises(InvalidInput, match="at least 1"):
        divergence(["a", "b"], most=0)
    with pytest.raises(InvalidInput, match="level"):
        divergence(["a", "b"], level=1.0)


def test_the_interval_is_narrower_with_more_samples():
    few, many = (divergence(["a", "b"] * n).steps[0].entropy for n in (5, 200))
    widths = [number(one.high) - number(one.low) for one in (few, many)]
    assert widths[1] < widths[0] / 3
    assert np.isclose(number(few.value), number(many.value))


def test_the_recipe_says_how_the_interval_was_found():
    step = divergence(["a b", "a c"]).steps[0]
    settings = step.entropy.recipe.settings
    assert "Good and Turing" in settings["interval"]
    assert settings["redraws"] == 8
    assert any("Good (1953)" in line for line in step.entropy.recipe.sources)
