"""What is told of a text that several models wrote agrees with what they say apart."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

import nescio
from nescio.decoding.joined import Together
from nescio.ensemble.byte_view import START, ByteView
from nescio.ensemble.joining import Ensemble
from nescio.ensemble.telling import Telling, retold, together_estimates
from nescio.errors import InvalidInput
from nescio.information import jensen_shannon_divergence
from nescio.models.table import read_table
from nescio.trace import Trace

PAIR = "ensemble:table:pieces+table:topics,rule=mean,weights=.7+.3,prune=0"
DECODING = nescio.Decoding(40)


@pytest.fixture(scope="module")
def pair() -> Ensemble:
    found = nescio.load(PAIR)
    assert isinstance(found, Ensemble)
    return found


@pytest.fixture(scope="module")
def told(pair: Ensemble) -> Telling:
    return retold(pair, "ab", b"abab", stop="eos")


def alone(name: str, text: bytes) -> np.ndarray:
    """What one member says after the prompt and each further byte, [n + 1, 257]."""
    view = ByteView(read_table(name))
    rows, context = [], view.begin("ab")
    for byte in text:
        rows.append(context.log_masses - context.log_kept)
        (context,), _ = view.extend([context], [np.array([byte])])
    return np.stack([*rows, context.log_masses - context.log_kept])


def test_the_columns_are_what_members_say_apart(told: Telling) -> None:
    trace = told.trace
    scored, symbols = trace.scored, [*b"abab", 256]
    columns = {name: column.values[scored] for name, column in trace.columns.items()}
    rows = [alone(name, b"abab") for name in ("pieces", "topics")]
    for number, row in enumerate(rows, start=1):
        expected = row[np.arange(5), symbols]
        np.testing.assert_allclose(columns[f"logp[{number}]"], expected, rtol=1e-5)
    np.testing.assert_allclose(columns["weight[1]"], 0.7, rtol=1e-6)
    with np.errstate(divide="ignore"):
        mixture = np.log(0.7 * np.exp(rows[0]) + 0.3 * np.exp(rows[1]))
    np.testing.assert_allclose(
        trace.logp[scored], mixture[np.arange(5), symbols], rtol=1e-5
    )
    apart = [jensen_shannon_divergence(row, mixture) for row in rows]
    expected = np.where(apart[0] <= apart[1], 1.0, 2.0)
    np.testing.assert_array_equal(columns["nearest"], expected)
    same = rows[0].argmax(axis=1) == rows[1].argmax(axis=1)
    np.testing.assert_array_equal(columns["same_top"], same)
    assert trace.columns["disagreement"].unit == "nats"
    assert np.isnan(trace.columns["disagreement"].values[~scored]).all()


def test_an_answer_that_was_drawn_is_told_the_same_again(pair: Ensemble) -> None:
    drawn = nescio.generate(pair, "ab", decoding=DECODING, seed=3)
    answer = drawn.completion.encode()
    again = retold(pair, "ab", answer, stop=drawn.stop).trace
    assert again.text == drawn.text
    np.testing.assert_allclose(again.logp, drawn.logp, rtol=1e-6)
    for name, column in drawn.columns.items():
        np.testing.assert_allclose(
            again.columns[name].values, column.values, atol=1e-6, err_msg=name
        )
    assert again.stop == drawn.stop


def test_scoring_a_text_has_the_columns_too_and_parquet_keeps_them(
    pair: Ensemble, tmp_path: Path
) -> None:
    trace = nescio.score(pair, "abab", given="ab")
    np.testing.assert_allclose(
        trace.columns["logp[1]"].values[2:], alone_from_start("pieces")[2:], rtol=1e-5
    )
    assert trace.origin.decoding["rule"] == "mean"
    path = tmp_path / "t.parquet"
    nescio.write_traces(path, [trace])
    assert next(nescio.read_traces(path)) == trace


def alone_from_start(name: str) -> np.ndarray:
    view = ByteView(read_table(name))
    symbols = [START, *b"ababab"]
    found, context = [], view.open()
    for symbol, following in itertools.pairwise(symbols):
        (context,), logp = view.extend([context], [np.array([symbol])])
        found.append(logp[0, following])
    return np.array(found)


def test_rates_are_sums_over_the_bytes_of_the_answer(told: Telling) -> None:
    found = together_estimates([told.trace])
    columns, scored = told.trace.columns, told.trace.scored
    bits = -columns["logp[1]"].values[scored].astype(float).sum() / math.log(2) / 4
    assert found["member_bits_per_byte_1"].value == pytest.approx(bits)
    assert found["member_bits_per_byte_2"].value == math.inf  # topics never end
    apart = columns["disagreement"].values[scored].mean() / math.log(2)
    assert found["mean_disagreement"].value == pytest.approx(apart)
    assert found["mean_disagreement"].unit == "bits/byte"
    bound = found["total_variation_bound"]
    assert (bound.kind, bound.low, bound.high) == ("bound", 0.0, 0.0)
    assert found["missing_share"].value == 0.0
    assert "no interval" in found["missing_share"].population


def test_a_long_answer_has_intervals() -> None:
    both = nescio.load("ensemble:table:topics+table:topics,rule=product")
    trace = nescio.score(both, "abababcdefabcdabab" * 10)
    found = together_estimates([trace])
    rate = found["member_bits_per_byte_1"]
    low, value, high = (float(x or 0.0) for x in (rate.low, rate.value, rate.high))
    assert 0.0 < low < value < high
    assert rate.value == pytest.approx(found["bits_per_byte"].value, rel=1e-6)
    assert found["mean_disagreement"].value == pytest.approx(0.0, abs=1e-9)
    share = found["agreement_share"]
    assert (share.value, share.high) == (1.0, 1.0)


def test_one_model_read_byte_by_byte_has_no_members_to_tell_apart() -> None:
    view = nescio.load("bytes:table:pieces")
    trace = retold(view, "ab", "é".encode(), stop="length").trace
    assert set(trace.columns) == {"branches", "doubt", "missing"}
    found = together_estimates([trace])
    assert "mean_disagreement" not in found
    assert (found["branches_per_byte"].value or 0.0) >= 1.0


def test_a_member_that_left_could_never_have_written_the_rest() -> None:
    both = nescio.load("ensemble:table:pieces+table:topics")
    trace = retold(both, "ab", "éa".encode(), stop="length").trace
    values = trace.columns["logp[2]"].values[trace.scored]
    assert values[0] == -math.inf
    assert np.isnan(values[1:]).all()
    assert (trace.columns["weight[1]"].values[trace.scored][1:] == 1.0).all()
    assert together_estimates([trace])["member_bits_per_byte_2"].value == math.inf
    absent = retold(both, "é", b"ab", stop="length").trace  # not even the prompt
    assert np.isnan(absent.columns["logp[2]"].values).all()
    assert together_estimates([absent])["member_bits_per_byte_2"].value == math.inf


def test_where_tokens_are_bytes_nothing_is_called_per_token(pair: Ensemble) -> None:
    from nescio.information import summary

    found = summary(nescio.score(pair, "abab"))
    assert not {"perplexity", "bits_per_token"} & set(found)
    assert found["entropy_rate"].unit == "bits/byte"
    assert {"perplexity", "bits_per_token"} <= set(summary(a_trace()))


def a_trace() -> Trace:
    return nescio.score(read_table("coin"), "HTHH")


def test_what_has_no_members_is_refused(pair: Ensemble) -> None:
    with pytest.raises(InvalidInput, match="nothing of members"):
        together_estimates([a_trace()])
    with pytest.raises(InvalidInput, match="nothing is told"):
        retold(pair, "ab", b"", stop="length")


def test_the_nearest_member_is_the_first_of_equals() -> None:
    rows = np.zeros((1, 2))
    one = Together(
        *(rows, rows, rows[0, :1], np.array([[0.2, 0.2]])),
        *(rows.astype(int), rows, rows, rows.astype(int), np.array([True])),
        *(np.zeros((1, 2, 1), int), np.zeros((1, 2, 1))),
    )
    assert one.nearest.tolist() == [0]
    assert len(one) == 1


def test_a_beam_and_samples_are_told_of_as_well(pair: Ensemble) -> None:
    found = nescio.beam_search(pair, "ab", decoding=nescio.Decoding(4))
    best = found.answers[0].trace
    assert "disagreement" in best.columns
    total = float(best.logp[best.scored].astype(float).sum())
    assert found.answers[0].total_logp == pytest.approx(total, rel=1e-5)
    samples = nescio.sample(pair, "ab", n=2, decoding=nescio.Decoding(4), seed=1)
    one = nescio.generate(pair, "ab", decoding=nescio.Decoding(4), seed=1)
    assert samples.answers[0].text == one.completion
