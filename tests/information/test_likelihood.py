"""Bits per byte and its family: hand-made traces, laws, and what has no interval."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nescio
from nescio.errors import InvalidInput
from nescio.information import (
    LIKELIHOOD_MEASURES,
    bits_per_byte,
    bits_per_character,
    bits_per_token,
    entropy_rate,
    perplexity,
    summary,
    total_surprisal,
)
from nescio.outcome import Estimate
from nescio.uncertainty import bootstrap_blocks
from tests.traces import ORIGIN, make_trace

HALF = math.log(0.5)
RATES = (bits_per_byte, bits_per_character, bits_per_token, perplexity)


def value(estimate: Estimate) -> float:
    """The value, which has to be there."""
    assert estimate.value is not None
    return estimate.value


def limits(estimate: Estimate) -> tuple[float, float, float]:
    """Low, value and high, which have to be there."""
    low, value, high = estimate.low, estimate.value, estimate.high
    assert low is not None
    assert value is not None
    assert high is not None
    return low, value, high


def random_trace(n, seed, *, entropy=True):
    """n words of 1 to 6 letters with exponential surprisal."""
    rng = np.random.default_rng(seed)
    words = ["abcdef"[: rng.integers(1, 7)] for _ in range(n)]
    fields = {"entropy": rng.exponential(size=n)} if entropy else {}
    return make_trace(words, -rng.exponential(size=n), **fields)


@pytest.mark.parametrize(("q", "expected"), [(0.8, 1.25), (0.2, 5.0), (1.0, 1.0)])
def test_perplexity_of_the_same_probability_everywhere_is_its_inverse(q, expected):
    trace = make_trace(["x"] * 7, math.log(q))
    assert perplexity(trace).value == pytest.approx(expected, rel=1e-6)


def test_perplexity_is_no_arithmetic_mean_of_inverse_probabilities():
    trace = make_trace(["x", "y"], [math.log(0.8), math.log(0.2)])
    assert perplexity(trace).value == pytest.approx(1 / math.sqrt(0.16), rel=1e-6)
    assert value(perplexity(trace)) < (1.25 + 5) / 2


def test_bits_are_counted_over_what_each_rate_is_per():
    trace = make_trace(["日本", "a", "é"], [4 * HALF, HALF, HALF])
    assert total_surprisal(trace).value == pytest.approx(6.0, rel=1e-6)
    assert bits_per_byte(trace).value == pytest.approx(6 / 9, rel=1e-6)
    assert bits_per_character(trace).value == pytest.approx(6 / 4, rel=1e-6)
    assert bits_per_token(trace).value == pytest.approx(6 / 3, rel=1e-6)


def test_several_texts_are_pooled_and_not_averaged():
    sure = make_trace(["a"] * 8, math.log(0.8))
    unsure = make_trace(["b"] * 2, math.log(0.2))
    pooled = math.exp(-(8 * math.log(0.8) + 2 * math.log(0.2)) / 10)
    found = value(perplexity([sure, unsure]))
    assert found == pytest.approx(pooled, rel=1e-6)
    mean_of_perplexities = (value(perplexity(sure)) + value(perplexity(unsure))) / 2
    assert mean_of_perplexities == pytest.approx(3.125, rel=1e-6)
    assert found < 2


def test_the_bytes_of_an_unscored_first_token_leave_with_its_bits():
    trace = make_trace(
        ["long first token", "ab", "c"], [0, 3 * HALF, 3 * HALF], unscored=[0]
    )
    assert bits_per_byte(trace).value == pytest.approx(6 / 3, rel=1e-6)
    assert bits_per_character(trace).value == pytest.approx(6 / 3, rel=1e-6)
    assert bits_per_byte(trace).n == 2
    assert bits_per_byte(trace).recipe.settings["bytes"] == 3


def test_prompts_and_templates_count_only_when_asked_for():
    trace = make_trace(
        ["ask", "<|x|>", "ok"], [HALF, 2 * HALF, 4 * HALF], segment=[0, 2, 1]
    )
    assert total_surprisal(trace).value == pytest.approx(4.0, rel=1e-6)
    both = total_surprisal(trace, segments=("prompt", "completion"))
    assert both.value == pytest.approx(5.0, rel=1e-6)
    assert both.recipe.settings["segments"] == ["prompt", "completion"]
    assert bits_per_token(trace, segments=("template",)).value == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("tokens", "characters"),
    [
        ([b"\xe6\x97", b"\xa5", b"x"], [2 / 3, 1 / 3, 1]),
        ([b"a", b"\xe6\x97"], [1, 2 / 3]),  # cut off at the end
        ([b"\xf0\x9f", b"\x99\x82"], [1 / 2, 1 / 2]),
        ([b"\xf0\x9f\x99", b"a"], [3 / 4, 1]),
        ([b"\xc3", b"\xc3\xa9"], [1 / 2, 1]),
        ([b"\x80", b"a\x80"], [1, 2]),  # bytes of no character
        ([b"\xe6\x97", b"z\x97"], [2 / 3, 2]),
        (["e\u0301", "\U0001f468\u200d\U0001f469"], [2, 3]),  # code points
        ([b"", b"\xc3\xa9", b""], [0, 1, 0]),
    ],
)
def test_a_character_counts_by_its_bytes(tokens, characters):
    trace = make_trace(tokens, HALF)
    found = bits_per_character(trace).value
    assert found == pytest.approx(len(tokens) / sum(characters), rel=1e-6)
    for token, expected in enumerate(characters):
        others = [i for i in range(len(tokens)) if i != token]
        alone = make_trace(tokens, HALF, unscored=others)
        if expected:
            assert bits_per_character(alone).value == pytest.approx(1 / expected)


@given(st.lists(st.text(max_size=4), min_size=1, max_size=20), st.data())
def test_whole_text_has_as_many_characters_as_python_says_however_it_is_cut(
    words, data
):
    raw = "".join(words).encode("utf-8", errors="ignore")
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=12).map(sorted))
    edges = [0, *cuts, len(raw)]
    tokens = [raw[a:b] for a, b in pairwise(edges)]
    trace = make_trace(tokens, HALF)
    characters = len(raw.decode("utf-8"))
    if characters == 0:
        with pytest.raises(InvalidInput, match="spell nothing"):
            bits_per_character(trace)
    else:
        expected = pytest.approx(len(tokens) / characters, rel=1e-6)
        assert bits_per_character(trace).value == expected


def test_the_exact_model_and_the_measures_agree():
    model = nescio.load("table:topics")
    text = "ababcdef" * 30
    ids = model.encode(text.encode())
    nats = -sum(model.row(ids[:i].tolist())[ids[i]] for i in range(len(ids)))
    trace = nescio.score(model, text)
    assert total_surprisal(trace).to("nats").value == pytest.approx(nats, rel=1e-6)
    assert bits_per_token(trace).to("nats").value == pytest.approx(nats / 240, rel=1e-6)
    assert perplexity(trace).value == pytest.approx(math.exp(nats / 240), rel=1e-6)


def test_surprisal_of_own_text_nears_the_exact_entropy_rate():
    model = nescio.load("table:topics")
    ids = model.simulate(np.random.default_rng(1), texts=1, length=3000)[0]
    text = model.vocabulary.spell(ids)
    estimate = entropy_rate(nescio.score(model, text))
    truth = model.entropy_rate() / math.log(2)
    low, _, high = limits(estimate)
    assert low < truth < high


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 30), st.integers(1, 30))
def test_totals_add_and_rates_are_means_weighted_by_their_length(seed, one, other):
    first, second = random_trace(one, seed), random_trace(other, seed + 1)
    both = [first, second]
    totals = [value(total_surprisal(t)) for t in (first, second, both)]
    assert totals[0] + totals[1] == pytest.approx(totals[2], rel=1e-9)
    sizes = [len(first.buffer), len(second.buffer)]
    rates = [bits_per_byte(t).value for t in both]
    pooled = bits_per_byte(both).value
    assert pooled == pytest.approx(np.average(rates, weights=sizes), rel=1e-9)
    joined = make_trace(
        [t.token_bytes(i) for t in both for i in range(len(t))],
        np.concatenate([first.logp, second.logp]),
    )
    assert bits_per_byte(joined).value == pytest.approx(pooled, rel=1e-9)


@pytest.mark.parametrize("measure", RATES[:3])
def test_nats_are_bits_times_log_two(measure):
    bits = measure(random_trace(200, 3))
    nats = bits.to("nats")
    for name in ("value", "low", "high"):
        assert getattr(nats, name) == pytest.approx(getattr(bits, name) * math.log(2))
    assert nats.unit.startswith("nats/")


def test_a_token_that_was_impossible_makes_the_rate_infinite_without_interval():
    logp = np.full(300, HALF)
    logp[5] = -np.inf
    trace = make_trace(["x"] * 300, logp, entropy=1.0)
    for measure in RATES:
        estimate = measure(trace)
        assert estimate.value == math.inf
        assert (estimate.low, estimate.high) == (None, None)
        assert "impossible" in estimate.population
        json.dumps(estimate.to_dict(), allow_nan=False)
    assert total_surprisal(trace).value == math.inf
    assert entropy_rate(trace).value == pytest.approx(1 / math.log(2))
    low, _, high = limits(entropy_rate(trace))
    assert low == high == pytest.approx(1 / math.log(2))  # every entropy is the same
    several = bits_per_byte([trace, *(random_trace(30, s) for s in range(6))])
    assert (several.value, several.low) == (math.inf, None)


def test_a_surprisal_too_large_to_be_raised_is_infinite_and_no_error():
    assert perplexity(make_trace(["x"], -1e6)).value == math.inf


def test_one_long_text_has_an_interval_by_blocks_for_its_source():
    estimate = bits_per_byte(random_trace(600, 4), seed=11, level=0.9, resamples=500)
    assert estimate.kind == "confidence"
    low, value, high = limits(estimate)
    assert low < value < high
    assert estimate.population.startswith("text from the source of this one")
    assert (estimate.n, estimate.n_clusters, estimate.level) == (600, None, 0.9)
    used = estimate.recipe.settings
    assert used["interval"] == "studentised stationary bootstrap"
    assert (used["seed"], used["resamples"]) == (11, 500)
    assert used["block_length"] >= 3
    assert "Politis" in estimate.cite()


def test_the_interval_of_perplexity_is_that_of_the_mean_raised():
    trace = random_trace(400, 5)
    mean = bits_per_token(trace).to("nats")
    found = perplexity(trace)
    assert found.low == pytest.approx(math.exp(mean.low), rel=1e-9)
    assert found.high == pytest.approx(math.exp(mean.high), rel=1e-9)


def test_several_texts_have_an_interval_by_document():
    documents = [random_trace(20 + s, s) for s in range(12)]
    estimate = bits_per_byte(documents, seed=2)
    low, value, high = limits(estimate)
    assert low < value < high
    assert estimate.population == "documents like these"
    assert estimate.n_clusters == 12
    assert estimate.n == sum(map(len, documents))
    assert estimate.recipe.settings["resampled"] == "rows"
    assert "Hesterberg" in estimate.cite()


def test_ten_copies_of_a_document_are_not_ten_documents_worth_of_tokens():
    documents = [random_trace(50, s) for s in range(10)]
    once = bits_per_token(documents)
    alone = bits_per_token(
        make_trace(["x"] * 500, np.concatenate([d.logp for d in documents]))
    )
    assert once.value == pytest.approx(alone.value, rel=1e-9)
    assert once.recipe.settings["texts"] == 10


@pytest.mark.parametrize("number", [2, 4])
def test_few_documents_have_no_interval_and_say_so(number):
    estimate = bits_per_byte([random_trace(300, s) for s in range(number)])
    assert (estimate.low, estimate.high, estimate.level) == (None, None, None)
    assert f"{number} documents are too few" in estimate.population
    assert "no interval" in str(estimate)


def test_a_short_text_has_no_interval_and_says_so():
    estimate = bits_per_byte(random_trace(60, 1))
    assert (estimate.low, estimate.high) == (None, None)
    assert "60 tokens are too few" in estimate.population


def test_a_text_of_long_runs_says_how_few_stretches_it_holds():
    runs = np.repeat([0.2, 4.0] * 5, 60) + np.random.default_rng(0).normal(
        scale=0.1, size=600
    )
    estimate = bits_per_token(make_trace(["x"] * 600, -np.abs(runs)))
    low, value, high = limits(estimate)
    assert low < value < high
    assert "nearly independent stretches" in estimate.population


def test_an_interval_never_leaves_what_a_rate_can_be():
    turn = np.repeat([0.0, 1.0], 60)
    assert bootstrap_blocks(turn).low < 0
    low, _, _ = limits(bits_per_token(make_trace(["x"] * 120, -turn)))
    assert low == 0.0
    low, _, _ = limits(perplexity(make_trace(["x"] * 120, -turn)))
    assert low == 1.0


def test_one_text_in_a_list_is_that_text():
    trace = random_trace(300, 6)
    assert bits_per_byte([trace]) == bits_per_byte(trace)
    assert summary((trace,)) == summary(trace)


def test_texts_without_scored_tokens_are_counted_and_left_out():
    scored = [random_trace(30, s) for s in range(6)]
    empty = make_trace(["only"], HALF, unscored=[0], entropy=1.0)
    estimate = bits_per_byte([*scored, empty])
    assert estimate.value == bits_per_byte(scored).value
    assert estimate.n_clusters == 6
    assert estimate.recipe.settings["texts_without_scored_tokens"] == 1


def test_entropy_rate_is_the_mean_entropy_of_scored_tokens():
    trace = make_trace(["a", "b", "c"], HALF, entropy=[9.0, 1.0, 2.0], unscored=[0])
    estimate = entropy_rate(trace)
    assert estimate.value == pytest.approx(1.5 / math.log(2), rel=1e-6)
    assert estimate.unit == "bits/token"


def test_entropy_bounds_give_a_bound_and_no_value():
    trace = make_trace(
        ["a", "b", "c"],
        HALF,
        entropy_low=[9.0, 1.0, 2.0],
        entropy_high=[9.0, 3.0, 2.5],
        unscored=[0],
    )
    estimate = entropy_rate(trace).to("nats")
    assert (estimate.kind, estimate.value) == ("bound", None)
    assert estimate.low == pytest.approx(1.5, rel=1e-6)
    assert estimate.high == pytest.approx(2.75, rel=1e-6)
    exact = make_trace(["d"], HALF, entropy=1.5)
    mixed = entropy_rate([trace, exact]).to("nats")
    assert mixed.low == pytest.approx(1.5, rel=1e-6)
    assert mixed.high == pytest.approx(7 / 3, rel=1e-6)


def test_an_entropy_that_is_not_bounded_above_has_no_upper_limit():
    trace = make_trace(["a", "b"], HALF, entropy_low=1.0, entropy_high=[2.0, np.inf])
    estimate = entropy_rate(trace)
    assert estimate.high is None
    assert estimate.low == pytest.approx(1 / math.log(2), rel=1e-6)


def bounded_trace(n, seed, *, unbounded=()):
    rng = np.random.default_rng(seed)
    low = rng.exponential(size=n)
    high = low + rng.exponential(size=n)
    high[list(unbounded)] = np.inf
    return make_trace(["x"] * n, HALF, entropy_low=low, entropy_high=high)


def as_if_known(trace, end):
    """The trace as if its entropies were the lower or the upper ends."""
    found = getattr(trace, end)
    return replace(trace, entropy=found, entropy_low=None, entropy_high=None)


@pytest.mark.parametrize("documents", [1, 9])
def test_bounds_of_the_source_are_the_outer_limits_of_both_ends(documents):
    traces = [bounded_trace(400, seed) for seed in range(documents)]
    found = entropy_rate(traces, level=0.9, seed=3)
    below, above = (
        entropy_rate([as_if_known(t, end) for t in traces], level=0.9, seed=3)
        for end in ("entropy_low", "entropy_high")
    )
    assert (found.kind, found.value, found.level) == ("bound", None, 0.9)
    assert (found.low, found.high) == (below.low, above.high)
    low, _, _ = limits(below)
    _, _, high = limits(above)
    assert low < value(below) < value(above) < high
    settings = found.recipe.settings
    assert settings["certain_bits/token"] == [below.value, above.value]
    intervals = settings["intervals"]
    assert intervals["lower_ends"]["seed"] == 3
    assert set(intervals) == {"lower_ends", "upper_ends"}
    text = "this text" if documents == 1 else "these 9 texts"
    assert found.population == f"{below.population}; certain for {text}"
    assert found.n_clusters == below.n_clusters
    assert "Imbens" in found.cite()
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.to("nats").low == pytest.approx(low * math.log(2))


def test_bounds_of_the_source_are_open_where_one_entropy_is():
    trace = bounded_trace(400, 1, unbounded=[7])
    found = entropy_rate(trace)
    below = entropy_rate(as_if_known(trace, "entropy_low"))
    assert (found.low, found.high, found.level) == (below.low, None, 0.95)
    assert set(found.recipe.settings["intervals"]) == {"lower_ends"}
    assert "no interval" not in found.population
    assert str(found).startswith("entropy_rate at least 1.")


def test_bounds_of_a_few_tokens_or_texts_are_certain_for_these():
    for traces in (bounded_trace(60, 1), [bounded_trace(300, s) for s in range(3)]):
        found = entropy_rate(traces)
        assert found.level is None
        assert found.population in ("this text", "these 3 texts")
        assert str(found).endswith(f"bits/token (certain for {found.population})")


def test_a_text_of_which_nothing_counts_does_not_decide_what_is_known():
    nothing = make_trace(["only"], HALF, unscored=[0])
    known = [random_trace(30, seed) for seed in range(6)]
    found = entropy_rate([*known, nothing])
    assert found.value == entropy_rate(known).value
    assert summary([*known, nothing])["entropy_rate"] == found


def test_a_trace_without_entropies_has_no_entropy_rate():
    trace = random_trace(10, 1, entropy=False)
    with pytest.raises(InvalidInput, match="neither entropies nor bounds"):
        entropy_rate(trace)
    assert set(summary(trace)) == set(LIKELIHOOD_MEASURES) - {"entropy_rate"}


def test_control_tokens_alone_spell_nothing_to_divide_by():
    trace = make_trace([b"", b""], HALF, entropy=1.0, labels={0: "<a>", 1: "<b>"})
    with pytest.raises(InvalidInput, match="bits_per_byte: the 2 tokens"):
        bits_per_byte(trace)
    with pytest.raises(InvalidInput, match="bits_per_character"):
        bits_per_character(trace)
    assert bits_per_token(trace).value == pytest.approx(1.0, rel=1e-6)
    assert set(summary(trace)) == set(LIKELIHOOD_MEASURES) - {
        "bits_per_byte",
        "bits_per_character",
    }


@pytest.mark.parametrize("measure", LIKELIHOOD_MEASURES.values())
def test_nothing_to_measure_is_refused(measure):
    with pytest.raises(InvalidInput, match="no traces"):
        measure([])
    nothing = make_trace(["a", "b"], HALF, entropy=1.0, unscored=[0, 1])
    with pytest.raises(InvalidInput, match="no token of segment completion was scored"):
        measure(nothing)
    with pytest.raises(InvalidInput, match="choose some of"):
        measure(random_trace(3, 1), segments=("answer",))


@pytest.mark.parametrize("name", ["model", "model_digest", "precision", "engine"])
def test_traces_of_several_models_are_not_pooled(name):
    other = replace(random_trace(5, 1), origin=replace(ORIGIN, **{name: "other"}))
    with pytest.raises(InvalidInput, match=f"differ in {name}"):
        summary([random_trace(5, 1), other])


def test_the_recipe_holds_all_that_another_person_needs():
    origin = replace(ORIGIN, conditioned_on="<s>", decoding={"window": 512}, seed=3)
    trace = replace(random_trace(200, 1), origin=origin)
    used = bits_per_byte(trace, seed=7).recipe.settings
    for name in ("model", "model_digest", "tokenizer_digest", "engine", "precision"):
        assert used[name] == getattr(ORIGIN, name)
    assert used["conditioned_on"] == "<s>"
    assert used["decoding"] == {"window": 512}
    assert (used["generation_seed"], used["seed"]) == (3, 7)
    other = replace(trace, origin=replace(origin, seed=4))
    pooled = bits_per_byte([trace, other]).recipe.settings
    assert pooled["generation_seed"] == "differs from text to text"


def test_the_summary_is_the_family_and_survives_json():
    trace = random_trace(300, 8)
    found = summary(trace, seed=1, resamples=400)
    assert list(found) == list(LIKELIHOOD_MEASURES)
    for name, estimate in found.items():
        assert estimate.name == estimate.recipe.estimator == name
        written = json.loads(json.dumps(estimate.to_dict(), allow_nan=False))
        assert Estimate.from_dict(name, written) == estimate


def test_logarithms_stored_in_single_precision_are_summed_in_double():
    many = make_trace(["x"] * 200_000, math.log(0.9), entropy=1.0)
    exact = -float(np.float32(math.log(0.9))) / math.log(2)
    assert bits_per_token(many).value == pytest.approx(exact, rel=1e-12)
