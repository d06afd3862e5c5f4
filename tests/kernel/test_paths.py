"""Which implementation answers, and that all of them answer alike."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nescio.kernel import Sampling, draw, kernel_path, process, row_statistics
from nescio.kernel import pair_statistics as pairs
from nescio.kernel.native import reads

ELEMENTS = ("float64", "float32", "float16", "bfloat16")


def stored(logits, element):
    """Logits in that type's memory, its name for the kernel, and as float64."""
    if element != "bfloat16":
        there = logits.astype(element)
        return there, None, there.astype(np.float64)
    bits = (logits.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return bits, "bfloat16", (bits.astype(np.uint32) << 16).view(np.float32) * 1.0


def by_the_twin(monkeypatch, function):
    with monkeypatch.context() as patched:
        patched.setenv("NESCIO_KERNEL", "numpy")
        return function()


def test_the_kernel_says_which_implementation_answers(path):
    said = kernel_path()
    assert said.split(" (")[0] == ("numpy" if path == "numpy" else f"native {path}")
    assert ("(" in said) == (path != "numpy")


def test_numbers_in_the_byte_order_of_another_processor_are_left_to_the_twin(path):
    logits = np.zeros((1, 2))
    assert reads(logits) == (path != "numpy")
    assert not reads(logits, logits.astype(logits.dtype.newbyteorder()))


def bits_of(found):
    return [None if part is None else part.tobytes() for part in vars(found).values()]


@pytest.mark.parametrize("element", ELEMENTS)
def test_the_number_of_threads_changes_no_bit(monkeypatch, element):
    rng = np.random.default_rng(0)
    logits, dtype, _ = stored(rng.normal(size=(37, 40_000)) * 3, element)
    targets, uniforms = rng.integers(0, 40_000, 37), rng.random(37)

    def everything():
        return [
            *bits_of(row_statistics(logits, targets, top=9, dtype=dtype)),
            *bits_of(
                pairs(logits, logits[::-1], targets, p_dtype=dtype, q_dtype=dtype)
            ),
            *(
                part.tobytes()
                for part in draw(logits, Sampling(), uniforms, dtype=dtype)
            ),
        ]

    monkeypatch.setenv("NESCIO_THREADS", "1")
    alone = everything()
    for threads in ("2", "5"):
        monkeypatch.setenv("NESCIO_THREADS", threads)
        assert everything() == alone


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("vocab", [1, 63, 64, 1025, 5000])
def test_alignment_and_strides_change_no_bit(path, element, vocab):
    rng = np.random.default_rng(vocab)
    logits, dtype, _ = stored(rng.normal(size=(3, vocab)) * 3, element)
    targets = rng.integers(0, vocab, 3)
    wanted = bits_of(row_statistics(logits, targets, top=5, renyi=(0.5,), dtype=dtype))
    record = np.zeros((3, vocab), [("odd", "u1"), ("x", logits.dtype), ("y", "u2")])
    record["x"] = logits
    memory = np.zeros(logits.nbytes + 1, np.uint8)
    odd = memory[1:].view(logits.dtype).reshape(3, vocab)
    odd[:] = logits
    views = [record["x"], odd, np.asfortranarray(logits)]
    views.append(logits[::-1, ::-1].copy()[::-1, ::-1])
    for view in views:
        found = row_statistics(view, targets, top=5, renyi=(0.5,), dtype=dtype)
        if path == "numpy":  # sums in another order for another layout
            np.testing.assert_array_equal(found.top_ids.tobytes(), wanted[5])
        else:
            assert bits_of(found) == wanted


shapes = st.tuples(
    st.integers(0, 4),
    st.one_of(
        st.integers(1, 70),
        st.integers(1000, 1100),
        st.integers(2000, 2100),
        st.sampled_from([8192, 20_011]),
    ),
)


def some_logits(seed, shape, kind):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=shape) * 3
    if kind == "ties":
        logits = np.round(logits)
    if kind == "masked":
        logits[rng.random(shape) < 0.6] = -np.inf
        logits[:, rng.integers(0, shape[1])] = 0.5
    if kind == "leading block":
        logits[:, : shape[1] - 1] = -np.inf
    if kind == "huge":
        logits *= 3000
    return logits


def strided(array, step, backwards):
    rows, vocab = array.shape
    whole = np.zeros((rows, vocab * step), array.dtype)
    view = whole[::-1, ::-step] if backwards else whole[:, ::step]
    view[:] = array
    return view


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    shape=shapes,
    element=st.sampled_from(ELEMENTS),
    kind=st.sampled_from(["plain", "ties", "masked", "leading block", "huge"]),
    layout=st.tuples(st.integers(1, 3), st.booleans()),
    top=st.sampled_from([0, 1, 20, 300, 10**5]),
)
def test_every_statistic_is_that_of_the_twin(seed, shape, element, kind, layout, top):
    logits, dtype, values = stored(some_logits(seed, shape, kind), element)
    targets = np.random.default_rng(seed).integers(0, shape[1], shape[0])
    view = strided(logits, *layout)
    renyi = (0.5, 1.5, -1)
    found = row_statistics(view, targets, top=top, renyi=renyi, dtype=dtype)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("NESCIO_KERNEL", "numpy")
        wanted = row_statistics(values, targets, top=top, renyi=renyi)
    tolerance = 1e-12 if element == "float64" else 1e-6
    for name in ("logsumexp", "entropy", "logp", "top_logp", "log_renyi"):
        close(getattr(found, name), getattr(wanted, name), tolerance)
    scale = np.maximum(1.0, wanted.entropy**2)
    close(found.varentropy / scale, wanted.varentropy / scale, 10 * tolerance)
    np.testing.assert_array_equal(found.rank, wanted.rank)
    np.testing.assert_array_equal(found.top_ids, wanted.top_ids)
    assert np.all((found.entropy >= 0) & (found.entropy <= math.log(shape[1])))
    assert np.all(np.asarray(found.logp) <= 0)


def close(found, wanted, tolerance):
    impossible = wanted == -np.inf
    np.testing.assert_array_equal(found == -np.inf, impossible)
    gap = np.abs(np.where(impossible, 0, found) - np.where(impossible, 0, wanted))
    assert np.all(gap <= tolerance * np.maximum(1, np.abs(wanted)))


@pytest.mark.parametrize("element", ELEMENTS)
def test_three_hundred_thousand_columns_are_those_of_the_twin(monkeypatch, element):
    rng = np.random.default_rng(1)
    logits, dtype, _ = stored(rng.normal(size=(2, 300_001)) * 2.5, element)
    targets = np.array([300_000, 5])

    def measure():
        return row_statistics(logits, targets, top=50, dtype=dtype)

    found, wanted = measure(), by_the_twin(monkeypatch, measure)
    for name in ("logsumexp", "entropy", "varentropy", "logp", "top_logp"):
        close(getattr(found, name), getattr(wanted, name), 1e-6)
    np.testing.assert_array_equal(found.rank, wanted.rank)
    np.testing.assert_array_equal(found.top_ids, wanted.top_ids)


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_sorted_rows_have_their_head_as_top_k(order):
    row = np.arange(20_000, dtype=np.float32)
    wanted = np.arange(19_999, 19_899, -1)
    if order == "descending":
        row, wanted = row[::-1], 19_999 - wanted
    found = row_statistics(row[None], top=100)
    np.testing.assert_array_equal(found.top_ids[0], wanted)


STEPS = [
    Sampling(),
    Sampling(temperature=0.7),
    Sampling(temperature=1e-8),
    Sampling(temperature=1e8),
    Sampling(temperature=0.7, top_p=0.9),
    Sampling(top_k=50),
    Sampling(top_k=50, top_p=0.8, min_p=0.01, typical_p=0.9),
    Sampling(min_p=0.05),
    Sampling(min_p=0.05, typical_p=0.5),
    Sampling(typical_p=0.95),
]


@pytest.mark.parametrize("sampling", STEPS, ids=str)
@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("vocab", [3, 1030, 20_011])
def test_a_draw_lies_in_its_tokens_interval_of_the_twins_distribution(
    monkeypatch, sampling, element, vocab
):
    rng = np.random.default_rng(vocab)
    logits, dtype, values = stored(rng.normal(size=(5, vocab)) * 2.5, element)
    uniforms = np.array([0.0, 1e-9, 0.3, 0.97, 1 - 2.0**-53])
    ids, logp = draw(logits, sampling, uniforms, dtype=dtype)
    exact = by_the_twin(monkeypatch, lambda: process(values, sampling))
    np.testing.assert_allclose(
        np.exp(process(logits, sampling, dtype=dtype)), np.exp(exact), rtol=1e-9
    )
    edges = np.cumsum(np.exp(exact), axis=1)
    at = np.arange(5)
    below = np.where(ids > 0, edges[at, ids - 1], 0.0)
    assert np.all(below <= uniforms + 1e-6)
    assert np.all(uniforms <= edges[at, ids] + 1e-6)
    close(logp, exact[at, ids], 1e-6)
    again = draw(logits, sampling, uniforms, dtype=dtype)
    np.testing.assert_array_equal(ids, again[0])


def test_a_constant_row_is_cut_to_the_lowest_ids():
    logits = np.zeros((1, 100_000), np.float32)
    for sampling in (Sampling(top_p=0.3), Sampling(typical_p=0.3)):
        kept = np.flatnonzero(process(logits, sampling)[0] > -np.inf)
        np.testing.assert_array_equal(kept, np.arange(30_000))


def test_a_wrong_row_is_refused_as_the_twin_refuses_it(monkeypatch):
    p, q = np.zeros((2, 40, 9000), np.float32)
    p[6, 3], q[5, 2] = np.nan, np.inf  # one tile: the first model is looked at first
    q[33] = -np.inf

    def refusal(call):
        with pytest.raises(Exception, match="row") as refused:
            call()
        return type(refused.value), str(refused.value)

    calls = [
        lambda: pairs(p, q),
        lambda: pairs(q, p),
        lambda: pairs(q[6:], q[6:]),
        lambda: row_statistics(q[::-1], top=3),
        lambda: draw(p, Sampling(top_p=0.5), np.zeros(40)),
        lambda: draw(p, Sampling(), np.zeros(40)),
        lambda: process(p, Sampling(top_k=3)),
        lambda: process(p, Sampling(temperature=0)),
    ]
    for call in calls:
        assert refusal(call) == by_the_twin(
            monkeypatch, lambda call=call: refusal(call)
        )
