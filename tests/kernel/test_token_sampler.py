"""The sampler against hand numbers, enumerated uniforms and transformers' warpers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation import logits_process as warpers

from nescio.errors import InvalidDistribution, InvalidInput
from nescio.kernel import Sampling, draw, log_softmax, process

LAST = 1.0 - 2.0**-53  # the largest float64 below 1

SETTINGS = [
    Sampling(),
    Sampling(temperature=0.7),
    Sampling(temperature=2),
    Sampling(top_k=7),
    Sampling(top_p=0.9),
    Sampling(top_p=0.05),
    Sampling(min_p=0.1),
    Sampling(typical_p=0.6),
    Sampling(typical_p=0.05),
    Sampling(temperature=0.8, top_k=20, top_p=0.8),
    Sampling(temperature=1.5, top_p=0.95, min_p=0.02),
    Sampling(temperature=1.3, top_k=25, top_p=0.9, min_p=0.03, typical_p=0.8),
]


def by_transformers(logits, sampling):
    """The same settings through transformers' own classes, in float64."""
    steps = warpers.LogitsProcessorList()
    if sampling.temperature != 1:
        steps.append(warpers.TemperatureLogitsWarper(float(sampling.temperature)))
    if sampling.top_k is not None:
        steps.append(warpers.TopKLogitsWarper(sampling.top_k))
    if sampling.top_p is not None:
        steps.append(warpers.TopPLogitsWarper(sampling.top_p))
    if sampling.min_p is not None:
        steps.append(warpers.MinPLogitsWarper(sampling.min_p))
    if sampling.typical_p is not None:
        steps.append(warpers.TypicalLogitsWarper(sampling.typical_p))
    scores = steps(torch.zeros((len(logits), 1), dtype=torch.long), logits)
    return torch.log_softmax(scores, dim=1).numpy()


@pytest.mark.parametrize("sampling", SETTINGS, ids=str)
@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_processed_rows_are_those_of_transformers(sampling, scale):
    logits = np.random.default_rng(0).normal(size=(40, 60)) * scale
    found = process(logits, sampling)
    wanted = by_transformers(torch.from_numpy(logits), sampling)
    np.testing.assert_array_equal(found > -np.inf, wanted > -np.inf)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_nothing_asked_is_the_log_softmax():
    logits = np.random.default_rng(1).normal(size=(3, 9000)) * 3
    off = Sampling(top_k=9000, top_p=1, min_p=0, typical_p=1)
    np.testing.assert_allclose(process(logits, Sampling()), log_softmax(logits))
    np.testing.assert_array_equal(process(logits, off), process(logits, Sampling()))


def kept(p, sampling):
    logp = process(np.log([p]), sampling)[0]
    return np.flatnonzero(logp > -np.inf).tolist()


def test_each_step_sees_the_renormalised_rest_of_the_one_before():
    p = [0.5, 0.3, 0.2]
    # Of the two left by top-k the first has .625 >= .6; alone it would have .5 < .6.
    assert kept(p, Sampling(top_p=0.6)) == [0, 1]
    assert kept(p, Sampling(top_k=2, top_p=0.6)) == [0]


def test_truncated_rows_are_renormalised():
    found = np.exp(process(np.log([[0.5, 0.3, 0.2]]), Sampling(top_k=2)))
    np.testing.assert_allclose(found, [[0.625, 0.375, 0.0]], rtol=1e-15)


def test_top_k_keeps_exactly_k_and_of_equal_tokens_the_lower_ids():
    assert kept([0.2, 0.2, 0.2, 0.2, 0.2], Sampling(top_k=3)) == [0, 1, 2]
    assert kept([0.1, 0.3, 0.3, 0.3], Sampling(top_k=2)) == [1, 2]
    assert kept([0.1, 0.9], Sampling(top_k=50)) == [0, 1]


def test_top_p_keeps_the_fewest_of_the_stable_order_that_reach_the_mass():
    quarters = [0.25, 0.25, 0.25, 0.25]
    assert kept(quarters, Sampling(top_p=0.5)) == [0, 1]
    assert kept(quarters, Sampling(top_p=0.51)) == [0, 1, 2]
    assert kept([0.1, 0.2, 0.7], Sampling(top_p=0.8)) == [1, 2]
    assert kept([0.1, 0.2, 0.7], Sampling(top_p=1e-9)) == [2]


def test_min_p_keeps_the_tokens_of_a_share_of_the_largest():
    assert kept([0.6, 0.25, 0.15], Sampling(min_p=0.3)) == [0, 1]
    assert kept([0.4, 0.4, 0.2], Sampling(min_p=1)) == [0, 1]


def test_typical_keeps_the_tokens_of_surprisal_nearest_the_entropy():
    # H = .898 nats; distances of the surprisals: .387, .306, .711.
    assert kept([0.6, 0.3, 0.1], Sampling(typical_p=0.2)) == [1]
    assert kept([0.6, 0.3, 0.1], Sampling(typical_p=0.5)) == [0, 1]


def sorted_whole(p, mass):
    order = np.argsort(-p, kind="stable")
    reached = np.cumsum(p[order])
    return np.sort(order[: np.searchsorted(reached, mass * p.sum()) + 1])


@pytest.mark.parametrize("mass", [0.02, 0.3, 0.9, 0.999999])
def test_a_long_nucleus_is_the_one_of_the_whole_sort(mass):
    p = np.exp(np.random.default_rng(2).normal(size=30_000) * 0.3)
    p[5000:5500] = p[0]  # ties
    assert kept(p, Sampling(top_p=mass)) == sorted_whole(p, mass).tolist()


def test_a_long_typical_set_has_the_mass_and_the_nearest_surprisals():
    logits = np.random.default_rng(3).normal(size=(1, 30_000))
    logp = log_softmax(logits)[0]
    distance = np.abs(-logp + (np.exp(logp) * logp).sum())
    inside = process(logits, Sampling(typical_p=0.7))[0] > -np.inf
    mass = np.exp(logp)[inside]
    assert distance[inside].max() < distance[~inside].min()
    farthest = np.exp(logp)[inside][distance[inside].argmax()]
    assert mass.sum() >= 0.7 > mass.sum() - farthest


def test_temperature_zero_is_the_lowest_of_the_largest_with_certainty():
    logits = np.array([[1.0, 5.0, 5.0], [2.0, -np.inf, 2.0]])
    ids, logp = draw(logits, Sampling(temperature=0), np.array([LAST, 0.5]))
    assert ids.tolist() == [1, 0]
    assert logp.tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(
        process(logits, Sampling(temperature=0)),
        [[-np.inf, 0.0, -np.inf], [0.0, -np.inf, -np.inf]],
    )


@pytest.mark.parametrize("temperature", [1e-6, 1e-300, 5e-324])
def test_a_tiny_temperature_shares_the_mass_among_the_largest(temperature):
    logits = np.array([[1e4, -1e4, 1e4, 9999.0, -np.inf]])
    with np.errstate(all="raise"):
        found = process(logits, Sampling(temperature=temperature))
    np.testing.assert_allclose(np.exp(found), [[0.5, 0.0, 0.5, 0.0, 0.0]])


def test_a_huge_temperature_is_uniform_over_what_is_possible():
    found = process(np.array([[3.0, -40.0, -np.inf]]), Sampling(temperature=1e308))
    np.testing.assert_allclose(np.exp(found), [[0.5, 0.5, 0.0]])


@pytest.mark.parametrize("sampling", SETTINGS, ids=str)
@pytest.mark.parametrize("vocab", [5, 600])
def test_enumerated_uniforms_draw_every_token_its_share_of_times(sampling, vocab):
    count = 400
    row = np.random.default_rng(4).normal(size=vocab) * 2
    row[1] = -np.inf
    logits = np.broadcast_to(row, (count, vocab))
    uniforms = (np.arange(count) + 0.5) / count
    ids, _ = draw(logits, sampling, uniforms)
    share = np.exp(process(row[None], sampling)[0]) * count
    assert np.all(np.diff(ids) >= 0)
    assert np.abs(np.bincount(ids, minlength=vocab) - share).max() <= 1.0
    assert share[ids].min() > 0.0


@pytest.mark.parametrize("vocab", [5, 600, 20_011])
def test_a_draw_inverts_the_distribution_function(vocab):
    rng = np.random.default_rng(5)
    logits, uniforms = rng.normal(size=(50, vocab)) * 3, rng.random(50)
    ids, _ = draw(logits, Sampling(), uniforms)
    edges = np.cumsum(np.exp(log_softmax(logits)), axis=1)
    at = np.arange(50)
    below = np.where(ids > 0, edges[at, ids - 1], 0.0)
    assert np.all(below <= uniforms + 1e-12)
    assert np.all(uniforms < edges[at, ids] + 1e-12)


@pytest.mark.parametrize("sampling", SETTINGS, ids=str)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-6)]
)
def test_the_returned_logp_is_that_of_the_processed_row(sampling, dtype, tolerance):
    rng = np.random.default_rng(6)
    logits, uniforms = rng.normal(size=(30, 600)).astype(dtype), rng.random(30)
    ids, logp = draw(logits, sampling, uniforms)
    wanted = process(logits, sampling)[np.arange(30), ids]
    np.testing.assert_allclose(logp, wanted, rtol=tolerance, atol=1e-14)
    assert np.all(logp > -np.inf)


@pytest.mark.parametrize("sampling", SETTINGS, ids=str)
def test_a_draw_does_not_depend_on_the_rest_of_the_batch(sampling):
    rng = np.random.default_rng(7)
    logits, uniforms = rng.normal(size=(9, 9001)).astype(np.float32), rng.random(9)
    together = draw(logits, sampling, uniforms)
    order = rng.permutation(9)
    shuffled = draw(logits[order], sampling, uniforms[order])
    alone = [draw(logits[[row]], sampling, uniforms[[row]]) for row in range(9)]
    for part in range(2):
        np.testing.assert_array_equal(shuffled[part], together[part][order])
        np.testing.assert_array_equal([one[part][0] for one in alone], together[part])


@pytest.mark.parametrize("uniform", [0.0, 5e-324, 0.5, LAST])
@pytest.mark.parametrize("possible", [[0], [999], [300, 301], [0, 999], [255, 256]])
def test_impossible_tokens_are_never_drawn(uniform, possible):
    logits = np.full((1, 1000), -np.inf)
    logits[0, possible] = 3.0
    ids, logp = draw(logits, Sampling(), np.array([uniform]))
    assert ids[0] == (possible[-1] if uniform >= 0.5 else possible[0])
    assert logp[0] == pytest.approx(-math.log(len(possible)), abs=1e-15)


def test_a_uniform_within_rounding_of_a_sum_draws_no_impossible_token():
    rng = np.random.default_rng(8)
    logits = rng.normal(size=(400, 600))
    logits[:, 256] = -np.inf  # the first token after 256 summed apart
    p = np.exp(logits)
    edge = p[:, :256].sum(axis=1) / (p[:, :256].sum(axis=1) + p[:, 256:].sum(axis=1))
    for steps in range(-2, 3):
        ids, logp = draw(logits, Sampling(), edge + steps * np.spacing(edge))
        assert set(ids.tolist()) <= {255, 257}
        assert np.all(logp > -np.inf)


@settings(max_examples=50)
@given(
    seed=st.integers(0, 10**6),
    vocab=st.integers(1, 700),
    scale=st.sampled_from([0.0, 0.1, 3.0, 300.0]),
)
def test_the_largest_uniform_draws_the_last_token_of_any_mass(seed, vocab, scale):
    logits = np.random.default_rng(seed).normal(size=(1, vocab)) * scale
    ids, logp = draw(logits, Sampling(), np.array([LAST]))
    above = np.exp(log_softmax(logits))[0, ids[0] + 1 :].sum()
    assert logp[0] > -np.inf
    assert above <= 1e-13


settings_drawn = st.builds(
    Sampling,
    temperature=st.sampled_from([1e-6, 0.3, 1.0, 5.0]),
    top_k=st.one_of(st.none(), st.integers(1, 40)),
    top_p=st.one_of(st.none(), st.floats(1e-6, 1.0)),
    min_p=st.one_of(st.none(), st.floats(0.0, 1.0)),
    typical_p=st.one_of(st.none(), st.floats(1e-6, 1.0)),
)
rows_drawn = st.lists(
    st.one_of(st.floats(-60, 60), st.just(-math.inf)), min_size=1, max_size=30
).filter(lambda row: max(row) > -math.inf)


@settings(max_examples=50)
@given(row=rows_drawn, sampling=settings_drawn, uniform=st.floats(0, LAST))
def test_whatever_is_asked_the_rest_is_a_distribution_and_is_drawn_from(
    row, sampling, uniform
):
    logits = np.array([row])
    logp = process(logits, sampling)[0]
    assert np.exp(logp).sum() == pytest.approx(1.0, abs=1e-12)
    assert logp.max() <= 0.0
    assert np.all(logits[0, logp > -np.inf] > -np.inf)
    ids, drawn = draw(logits, sampling, np.array([uniform]))
    assert drawn[0] == pytest.approx(logp[ids[0]], abs=1e-12)
    assert np.exp(logp[ids[0]]) > 0.0


def test_bfloat16_is_sampled_like_its_float64_values():
    tensor = torch.randn((4, 50), generator=torch.Generator().manual_seed(0))
    tensor = tensor.to(torch.bfloat16)
    bits, values = tensor.view(torch.uint16).numpy(), tensor.double().numpy()
    uniforms, sampling = np.array([0.1, 0.4, 0.6, 0.9]), Sampling(top_p=0.8)
    np.testing.assert_array_equal(
        process(bits, sampling, dtype="bfloat16"), process(values, sampling)
    )
    for one, other in zip(
        draw(bits, sampling, uniforms, dtype="bfloat16"),
        draw(values, sampling, uniforms),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_no_rows_are_drawn_from_no_rows():
    ids, logp = draw(np.zeros((0, 4)), Sampling(), np.zeros(0))
    assert ids.shape == logp.shape == (0,)
    assert process(np.zeros((0, 4)), Sampling()).shape == (0, 4)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("temperature", -0.1, "temperature is -0.1"),
        ("temperature", math.nan, "temperature is nan"),
        ("temperature", math.inf, "temperature is inf"),
        ("top_k", 0, "top_k is 0"),
        ("top_k", -3, "top_k is -3"),
        ("top_p", 0.0, r"top_p is 0.0.*\(0, 1\]"),
        ("top_p", 1.1, "top_p is 1.1"),
        ("top_p", math.nan, "top_p is nan"),
        ("min_p", -0.1, "min_p is -0.1"),
        ("min_p", 1.5, "min_p is 1.5"),
        ("min_p", math.nan, "min_p is nan"),
        ("typical_p", 0, "typical_p is 0"),
        ("typical_p", 2, "typical_p is 2"),
        ("typical_p", math.nan, "typical_p is nan"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value, message):
    with pytest.raises(InvalidInput, match=message):
        Sampling(**{field: value})


@pytest.mark.parametrize("uniform", [-1e-9, 1.0, math.nan, math.inf])
def test_a_uniform_number_outside_its_range_is_refused(uniform):
    with pytest.raises(InvalidInput, match=r"row 1 is .* in \[0, 1\)"):
        draw(np.zeros((2, 3)), Sampling(), np.array([0.5, uniform]))


@pytest.mark.parametrize("temperature", [0, 1.0])
def test_nan_is_refused_by_row_and_column_whatever_the_temperature(temperature):
    logits = np.zeros((9, 5))
    logits[8, 2] = np.nan
    sampling = Sampling(temperature=temperature)
    with pytest.raises(InvalidDistribution, match=r"row 8 .* NaN in column 2"):
        draw(logits, sampling, np.zeros(9))
    with pytest.raises(InvalidDistribution, match=r"row 8 .* NaN in column 2"):
        process(logits, sampling)
