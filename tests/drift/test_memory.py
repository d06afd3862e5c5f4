"""Memory curves: bounds on own text, gains on people's, never one for the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nescio
from nescio.drift.curves import Limits
from nescio.drift.exact import exact_memory
from nescio.drift.memory import Truncation, context_gain, memory_curve
from nescio.errors import CapabilityError, InvalidInput, NotEnoughData
from tests.drift.tables import (
    ends,
    entropy_of,
    make_table,
    random_table,
    stationary_table,
    texts_of,
)

HOW = nescio.Detail(top=0)


def own_texts(model, *, texts: int, tokens: int, prompt: str = ""):
    how = nescio.Decoding(tokens, detail=HOW, batch=200)
    drawn = nescio.sample(model, prompt, n=texts, decoding=how, seed=1, chat=False)
    return [one.trace for one in drawn.answers]


@pytest.fixture(scope="module")
def model():
    return stationary_table(3)


@pytest.fixture(scope="module")
def own(model):
    return own_texts(model, texts=160, tokens=40)


def test_where_truncated_contexts_are_predicted_best_the_bound_is_the_memory(
    model, own
) -> None:
    """The table's beginnings are its long run's conditionals, so nothing is lost."""
    lags = (0, 1, 2, 4)
    found = memory_curve(
        model,
        own,
        truncation=Truncation(lags, 36),
        limits=Limits(0.999, 0, 20_000, "simultaneous"),
    )
    exact = exact_memory(model, lags)
    assert exact[0] > 0.1
    assert exact[1] > 0.01
    low, _, high = ends(found)
    assert (low <= exact).all()
    assert (exact <= high).all()
    assert (high - low).max() < 0.4
    assert found.place.tolist() == [0.0, 1.0, 2.0, 4.0]
    assert found.documents.tolist() == [160] * 4


def test_taking_off_surprisals_finds_the_same_with_less_noise_far_back(
    model, own
) -> None:
    chosen, exact = Truncation((1, 2), 36), exact_memory(model, [1, 2])
    by = {
        less: memory_curve(
            model, own, truncation=chosen, less=less, limits=Limits(0.99)
        )
        for less in ("entropy", "surprisal")
    }
    low, _, high = ends(by["surprisal"])
    assert (low - 1e-6 <= exact).all()
    assert (exact <= high + 1e-6).all()
    outer_low, _, outer_high = ends(by["entropy"])
    assert (high - low)[1] < 0.1 * (outer_high - outer_low)[1]
    assert by["surprisal"].recipe.settings["less"].startswith("surprisal")


def test_elsewhere_it_is_above_the_memory() -> None:
    model = random_table(8, tokens="abc", order=2)  # beginnings are anything
    texts = own_texts(model, texts=80, tokens=60)
    found = memory_curve(model, texts, truncation=Truncation((1,), 50))
    assert ends(found)[0][0] > exact_memory(model, [1])[0] + 0.01
    assert "upper bound" in found.population


def test_the_sum_is_over_every_position_that_was_chosen(model, own) -> None:
    traces, lags = own[:6], (1, 3)
    found = memory_curve(model, traces, truncation=Truncation(lags, 10_000))
    for place, back in enumerate(lags):
        total, count = 0.0, 0
        for trace in traces:
            ids = trace.token_ids.tolist()
            for at in range(3, len(ids)):
                total -= model.row(ids[at - back : at])[ids[at]]
                total -= entropy_of(np.exp(model.row(ids[:at])))
                count += 1
        assert found.value[place] == pytest.approx(total / count, abs=1e-6)
    assert found.recipe.settings["texts"] == 6


def test_how_batches_are_laid_changes_nothing(model, own) -> None:
    one, other = (
        memory_curve(
            model, own[:8], truncation=Truncation((0, 2, 5), 7, tokens), limits=Limits()
        )
        for tokens in (1, 100_000)
    )
    np.testing.assert_array_equal(one.value, other.value)
    np.testing.assert_array_equal(one.low, other.low)


def test_positions_do_not_depend_on_where_a_text_ended() -> None:
    """Else the end token would be predicted too often, and the bound would be off."""
    rows = {(): [0.45, 0.45, 0.1], (0,): [0.7, 0.2, 0.1], (1,): [0.3, 0.6, 0.1]}
    model = make_table("abe", rows, ends=True)
    texts = own_texts(model, texts=300, tokens=20, prompt="a")
    ended = [trace for trace in texts if trace.stop == "eos"]
    assert len(ended) > 100
    found = memory_curve(
        model, texts, truncation=Truncation((2,), 3), limits=Limits(0.99)
    )
    low, _, high = ends(found)
    assert low[0] <= 0.0 <= high[0]  # one token is all the table sees
    assert found.recipe.settings["texts_too_short"] > 0


def test_context_gain_is_the_difference_of_losses_and_may_be_below_0() -> None:
    model = random_table(44, tokens="abc", order=2)
    source = random_table(45, tokens="abc", order=1)
    texts = list(texts_of(source, texts=40, length=30).values())
    traces = nescio.score_texts(model, texts)
    found = context_gain(model, traces, truncation=Truncation((1, 2, 3), 10_000))
    total = 0.0
    for trace in traces:
        ids = trace.token_ids.tolist()
        for at in range(3, 30):
            total -= model.row(ids[at - 1 : at])[ids[at]]
            total += model.row(ids[:at])[ids[at]]
    assert found.value[0] == pytest.approx(total / (40 * 27), abs=1e-6)
    np.testing.assert_allclose(found.value[1:], 0.0, atol=1e-6)
    assert found.value[0] < 0.0
    assert found.name == "context_gain"
    assert found.recipe.settings["less"] == "log loss of the whole prediction"


def test_own_and_human_text_are_never_taken_for_each_other(model, own) -> None:
    scored = nescio.score_texts(model, ["abababab"] * 5)
    with pytest.raises(InvalidInput, match=r"text 0 .*plain sampling.*context_gain"):
        memory_curve(model, scored)
    with pytest.raises(InvalidInput, match="generated, not scored"):
        context_gain(model, own[:5])


@pytest.mark.parametrize(
    "sampling",
    [
        nescio.Sampling(temperature=0.9),
        nescio.Sampling(temperature=0),
        nescio.Sampling(top_k=2),
        nescio.Sampling(top_p=0.9),
        nescio.Sampling(min_p=0.1),
        nescio.Sampling(typical_p=0.9),
    ],
)
def test_text_that_was_not_drawn_plainly_is_not_the_models_own(model, sampling) -> None:
    how = nescio.Decoding(40, sampling)
    trace = nescio.generate(model, "a", decoding=how)
    with pytest.raises(InvalidInput, match="plain sampling"):
        memory_curve(model, [trace])


def test_text_of_other_models_and_text_that_is_too_short_are_refused(
    model, own
) -> None:
    other = stationary_table(4)
    with pytest.raises(InvalidInput, match="model_digest"):
        memory_curve(other, own[:5])
    mixed = [own[0], *own_texts(other, texts=1, tokens=40)]
    with pytest.raises(InvalidInput, match="differ in model_digest"):
        memory_curve(model, mixed)
    with pytest.raises(NotEnoughData, match="none of 5 texts has a token behind 128"):
        memory_curve(model, own[:5])
    with pytest.raises(InvalidInput, match="no texts"):
        memory_curve(model, [])
    with pytest.raises(CapabilityError, match="Scoring"):
        memory_curve(object(), own[:5])
    for wrong in ((), (3, 1), (2, 2), (-1, 2)):
        with pytest.raises(InvalidInput, match="rising"):
            Truncation(wrong)
    with pytest.raises(InvalidInput, match="positions"):
        Truncation(positions=0)


def test_an_impossible_truncated_prediction_is_no_bound() -> None:
    model = make_table(
        "ab", {(): [1.0, 0.0], (0,): [1.0, 0.0], (0, 0): [0.5, 0.5], (1,): [1.0, 0.0]}
    )
    texts = own_texts(model, texts=8, tokens=20)
    with pytest.raises(InvalidInput, match="impossible given only 1 tokens"):
        memory_curve(model, texts, truncation=Truncation((1, 4)))


def test_a_context_that_slid_away_is_not_counted_as_whole() -> None:
    model = random_table(8, tokens="abc", order=1)
    text = next(iter(texts_of(model, texts=1, length=60).values()))
    whole = nescio.score(model, text)
    slid = replace(whole, context_used=np.minimum(whole.context_used, 10))
    with pytest.raises(NotEnoughData, match="saw all before it"):
        context_gain(model, [slid], truncation=Truncation((20,)))
    assert len(context_gain(model, [whole], truncation=Truncation((20,)))) == 1


def test_progress_counts_predictions(model, own) -> None:
    seen = []
    memory_curve(
        model,
        own[:5],
        truncation=Truncation((1, 2), 3),
        progress=lambda *done: seen.append(done),
    )
    assert seen[-1] == (30, 30)
