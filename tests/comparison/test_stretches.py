"""Two vocabularies on one text: sums between shared edges, by hand and on tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from nescio.comparison import Stretches, compare
from nescio.errors import InvalidInput
from tests.comparison.making import Engine, make_table
from tests.traces import make_trace

WIDE = ("a", "b", "ab", "ba")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Letters one by one, and letters with two pairs of them."""
    folder = tmp_path_factory.mktemp("tables")
    letters = make_table(folder, "letters", {(): (0.75, 0.25)}, ("a", "b"))
    wide = make_table(folder, "wide", {(): (0.25, 0.125, 0.5, 0.125)}, WIDE)
    return letters, wide


def test_sums_stand_between_the_edges_that_both_share() -> None:
    one = make_trace(["ab", "c", "de", "f"], [-1.0, -2.0, -3.0, -4.0])
    other = make_trace(["a", "bc", "def"], [-0.5, -0.25, -0.125])
    cut = Stretches.of(one, other)
    assert cut.offsets.tolist() == [0, 3, 6]
    assert cut.surprisal_reference.tolist() == [3.0, 7.0]
    assert cut.surprisal_other.tolist() == [0.75, 0.125]
    assert cut.difference.tolist() == [-2.25, -6.875]
    assert cut.trace("other").token_bytes(1) == b"def"


def test_tokens_that_spell_nothing_belong_to_the_stretch_they_begin() -> None:
    one = make_trace(["", "ab", "", "c"], [-1.0, -2.0, -4.0, -8.0])
    other = make_trace(["ab", "c", ""], [-16.0, -32.0, -64.0])
    cut = Stretches.of(one, other)
    assert cut.offsets.tolist() == [0, 2, 3]
    assert cut.surprisal_reference.tolist() == [3.0, 12.0]
    assert cut.surprisal_other.tolist() == [16.0, 96.0]


def test_what_one_model_did_not_score_drops_out_of_both() -> None:
    one = make_trace(["ab", "c", "d"], [-1.0, -2.0, -3.0], unscored=[0])
    other = make_trace(["a", "b", "c", "d"], [-1.0, -1.0, -5.0, -7.0])
    cut = Stretches.of(one, other)
    assert cut.scored.tolist() == [False, True, True]
    assert math.isnan(cut.surprisal_other[0])
    assert cut.surprisal_other[1:].tolist() == [5.0, 7.0]


@given(some.lists(some.booleans(), max_size=30), some.lists(some.booleans()))
def test_nothing_is_lost_or_counted_twice(
    first: list[bool], second: list[bool]
) -> None:
    n = max(len(first), len(second)) + 1
    traces = []
    for number, breaks in enumerate((first, second)):
        edges = [i + 1 for i, there in enumerate(breaks) if there]
        pieces = np.diff([0, *edges, n])
        logp = -np.arange(1.0, len(pieces) + 1) * (number + 1)
        traces.append(make_trace(["x" * size for size in pieces], logp.tolist()))
    cut = Stretches.of(traces[0], traces[1])
    shared = set(traces[0].offsets.tolist()) & set(traces[1].offsets.tolist())
    assert set(cut.offsets.tolist()) == shared
    for trace, sums in zip(
        traces, (cut.surprisal_reference, cut.surprisal_other), strict=True
    ):
        assert sums.sum() == pytest.approx(float(trace.surprisal.sum()))


def test_the_difference_is_that_of_the_bits_of_the_whole_text(pair: Any) -> None:
    letters, wide = pair
    text = "abba" * 40 + "b" * 20
    found = compare(letters, wide, text)
    assert not found.same_vocabulary
    assert set(found.estimates) == {
        "bits_per_byte_reference",
        "bits_per_byte_other",
        "bits_per_byte_difference",
    }
    # ab|ba 40 times, then b 20 times: by hand.
    bits_letters = 80 * math.log2(4 / 3) + 100 * 2.0
    bits_wide = 40 * (1.0 + 3.0) + 20 * 3.0
    one, other, apart = (
        found.estimates[f"bits_per_byte_{name}"]
        for name in ("reference", "other", "difference")
    )
    assert one.value == pytest.approx(bits_letters / 180, rel=1e-6)
    assert other.value == pytest.approx(bits_wide / 180, rel=1e-6)
    assert apart.value == pytest.approx((bits_wide - bits_letters) / 180, rel=1e-6)
    assert apart.low is not None
    assert found.counts["stretches"] == found.counts["tokens_other"] == 100
    back = compare(wide, letters, text).estimates["bits_per_byte_difference"]
    assert back.value == pytest.approx(-(apart.value or 0.0))


def test_a_first_token_nobody_predicts_takes_its_bytes_with_it(pair: Any) -> None:
    letters, wide = pair
    found = compare(letters, Engine(wide, start=()), "abba" * 40)
    assert found.counts["scored_bytes"] == 158
    one = found.estimates["bits_per_byte_reference"]
    assert one.value == pytest.approx(
        (79 * math.log2(4 / 3) + 79 * 2.0) / 158, rel=1e-6
    )
    with pytest.raises(InvalidInput, match="nothing of the text is scored by both"):
        compare(letters, Engine(wide, start=()), "ab")


def test_what_is_impossible_is_counted_and_has_no_difference(
    pair: Any, tmp_path: Path
) -> None:
    never = make_table(tmp_path, "never", {(): (0.5, 0.0, 0.5, 0.0)}, WIDE)
    found = compare(pair[0], never, "abbab" * 30)
    assert found.counts["impossible_other"] > 0
    assert found.counts["impossible_reference"] == 0
    assert found.estimates["bits_per_byte_other"].value == math.inf
    assert "bits_per_byte_difference" not in found.estimates


def test_several_texts_are_documents(pair: Any) -> None:
    letters, wide = pair
    texts = ["ab" * n + "a" * (5 * n % 7) for n in range(5, 15)]
    apart = compare(letters, wide, texts).estimates["bits_per_byte_difference"]
    assert apart.n_clusters == 10
    assert apart.low is not None


def test_equal_spellings_with_other_ids_are_other_vocabularies(
    pair: Any, tmp_path: Path
) -> None:
    turned = make_table(tmp_path, "turned", {(): (0.25, 0.75)}, ("b", "a"))
    found = compare(pair[0], turned, "abba" * 30)
    assert not found.same_vocabulary
    difference = found.estimates["bits_per_byte_difference"].value
    assert difference == pytest.approx(0.0, abs=1e-9)
