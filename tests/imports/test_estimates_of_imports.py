"""Numbers of imported files: by hand, and pooled as the rest of nescio pools."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

import nescio
from nescio.errors import InvalidInput
from nescio.imports import Imported, Mark, Scored, accuracy, estimates_of, import_file
from nescio.uncertainty import (
    bootstrap_rows,
    ratio_of_means,
    wilson_interval,
)
from nescio.uncertainty.wilson import wilson_limits
from tests.imports.making import chat, completion, rolled, write_lines

LN2 = math.log(2.0)


def marks(*rights: bool, draws: int = 1, name: str = "match") -> tuple[Mark, ...]:
    return tuple(
        Mark(str(place // draws), place % draws, name, right)
        for place, right in enumerate(rights)
    )


def test_accuracy_is_a_share_with_wilsons_interval() -> None:
    found = accuracy(marks(*[True] * 8, *[False] * 2))
    expected = wilson_interval(8, 10)
    assert (found.value, found.low, found.high) == (0.8, expected.low, expected.high)
    assert found.n_clusters is None
    assert found.recipe.settings["scorer"] == "match"


def test_draws_of_one_question_that_agree_count_once() -> None:
    rights = [place % 3 != 0 for place in range(12) for _ in range(2)]
    found: Any = accuracy(marks(*rights, draws=2))
    n = 11 * (norm.ppf(0.975) / student.ppf(0.975, 11)) ** 2
    assert found.value == pytest.approx(8 / 12)
    assert (found.low, found.high) == pytest.approx(wilson_limits(8 / 12, n))
    assert (found.n, found.n_clusters) == (24, 12)
    every: Any = accuracy(marks(*[True] * 24, draws=2))
    assert every.low == pytest.approx(wilson_limits(1.0, 12)[0])


def test_too_few_questions_give_no_interval_and_say_so() -> None:
    found = accuracy(marks(True, False, True, True, draws=2))
    assert (found.value, found.low, found.high) == (0.75, None, None)
    assert "2 questions are too few" in found.population
    with pytest.raises(InvalidInput, match="one metric or scorer"):
        accuracy([*marks(True), *marks(True, name="judge")])


def test_bits_per_byte_of_documents_is_the_sum_over_the_sum() -> None:
    texts = ["12345678", "é" * 4, "abc", "x", "yy", "z"]
    bits = [8.0, 24.0, 3.0, 1.0, 2.0, 1.0]
    scored = tuple(
        Scored(str(i), None, text, -b * LN2)
        for i, (text, b) in enumerate(zip(texts, bits, strict=True))
    )
    whole, groups = estimates_of(Imported("lm-eval", scored=scored), seed=5)
    found = whole["bits_per_byte"]
    assert found.value == pytest.approx(39 / 23, rel=1e-12)
    rows = np.array([[b, len(t.encode())] for b, t in zip(bits, texts, strict=True)])
    expected = bootstrap_rows(rows, ratio_of_means, seed=5)
    assert found.low == pytest.approx(expected.low, rel=1e-12)
    assert found.high == pytest.approx(expected.high, rel=1e-12)
    assert found.recipe.settings["bytes"] == 23
    assert groups == {}


def test_an_impossible_document_and_too_few_have_no_interval() -> None:
    none = tuple(Scored(str(i), None, "ab", -math.inf) for i in range(6))
    found = estimates_of(Imported("lm-eval", scored=none))[0]["bits_per_byte"]
    assert found.value == math.inf
    assert "impossible" in found.population
    few = (Scored("a", None, "ab", -LN2),)
    found = estimates_of(Imported("lm-eval", scored=few))[0]["bits_per_byte"]
    assert (found.value, found.low) == (pytest.approx(0.5), None)


def test_given_continuations_are_no_documents() -> None:
    scored = (Scored("a", "The sun", " rises", -1.0, True),)
    assert estimates_of(Imported("lm-eval", scored=scored)) == ({}, {})


def test_traces_are_pooled_as_traces_of_any_source(tmp_path: Path) -> None:
    lines = [completion(id=str(i)) for i in range(6)]
    found = import_file(write_lines(tmp_path / "s.jsonl", *lines), vocabulary_size=10)
    whole, groups = estimates_of(found)
    assert groups == {}
    assert whole["bits_per_token"].value == pytest.approx(1.0, abs=1e-6)
    assert whole["bits_per_token"] == nescio.bits_per_token(found.traces)
    assert whole["entropy_rate"].value is None


def test_draws_of_an_item_are_resampled_together(tmp_path: Path) -> None:
    lines = []
    for place in range(6):
        body = completion(top={" 12": 2.0 ** -(1 + place % 3)}, id=str(place))
        body["choices"].append(body["choices"][0] | {"index": 1})
        lines.append(body)
    found = import_file(write_lines(tmp_path / "s.jsonl", *lines), vocabulary_size=10)
    estimate = estimates_of(found, seed=4)[0]["bits_per_token"]
    rows = np.array([[2.0 * (1 + place % 3), 2.0] for place in range(6)])
    expected = bootstrap_rows(rows, ratio_of_means, seed=4)
    assert (estimate.n, estimate.n_clusters) == (12, 6)
    assert estimate.value == pytest.approx(2.0, abs=1e-6)
    assert estimate.low == pytest.approx(expected.low, abs=1e-5)
    assert estimate.high == pytest.approx(expected.high, abs=1e-5)
    alone = nescio.bits_per_token(found.traces, seed=4)
    assert alone.n_clusters == 12
    assert (alone.low, alone.high) != (estimate.low, estimate.high)


def test_draws_of_the_only_item_are_resampled_themselves(tmp_path: Path) -> None:
    body = completion()
    body["choices"] = [body["choices"][0] | {"index": i} for i in range(6)]
    found = import_file(write_lines(tmp_path / "s.jsonl", body))
    estimate = estimates_of(found)[0]["bits_per_token"]
    assert (estimate.n, estimate.n_clusters) == (6, 6)


def test_models_are_kept_apart(tmp_path: Path) -> None:
    lines = [completion(id=str(i), model=f"toy {i % 2}") for i in range(4)]
    found = import_file(write_lines(tmp_path / "s.jsonl", *lines))
    whole, groups = estimates_of(found)
    assert whole == {}
    assert set(groups["model"]) == {"toy 0", "toy 1"}
    assert groups["model"]["toy 0"]["bits_per_token"].n == 2


def test_a_scored_prompt_counts_once_however_many_answers_it_has(
    tmp_path: Path,
) -> None:
    scored = [
        None,
        {"7": {"logprob": -LN2, "rank": 1, "decoded_token": " sea"}},
        {"8": {"logprob": -3 * LN2, "rank": 2, "decoded_token": " is"}},
    ]
    lines = [chat("a", "b", "c", id="x", prompt_logprobs=scored)]
    found = import_file(write_lines(tmp_path / "s.jsonl", *lines))
    assert len(found.traces) == 3
    whole, groups = estimates_of(found)
    assert whole["bits_per_token"].value == pytest.approx(2.0, abs=1e-6)
    assert whole["bits_per_token"].n == 2
    assert whole["bits_per_byte"].value == pytest.approx(4 / 7, abs=1e-6)
    assert groups == {}


def test_prompts_beside_answers_are_a_group(tmp_path: Path) -> None:
    scored = [{"7": {"logprob": -LN2, "rank": 1, "decoded_token": " sea"}}]
    lines = [completion(prompt_logprobs=scored)]
    found = import_file(write_lines(tmp_path / "s.jsonl", *lines))
    whole, groups = estimates_of(found)
    assert whole["bits_per_byte"].value == pytest.approx(1 / 3, abs=1e-6)
    prompt = groups["segment"]["prompt"]
    assert prompt["bits_per_byte"].value == pytest.approx(1 / 4, abs=1e-6)


def test_documents_that_lm_eval_scored_are_estimated(tmp_path: Path) -> None:
    rows = [rolled(i, "12345678", -8 * LN2 * (i + 1)) for i in range(6)]
    found = import_file(write_lines(tmp_path / "s.jsonl", *rows))
    assert estimates_of(found)[0]["bits_per_byte"].value == pytest.approx(3.5)
