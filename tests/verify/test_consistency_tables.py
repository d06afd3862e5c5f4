"""Published answers as samples: the tables, and which choices their numbers hang on."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nescio.consistency.answers import answers_of
from nescio.evaluation.sample_curve import accuracy_by_votes

pytestmark = pytest.mark.reference_data
Load = Callable[[str], Any]


@pytest.fixture
def tables(project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(project / "experiments"))
    return importlib.import_module("consistency_tables")


@pytest.fixture(scope="module")
def results(project: Path) -> Any:
    """What the last run wrote."""
    path = project / "results" / "consistency_tables.json"
    return json.loads(path.read_text(encoding="utf-8"))["result"]


def right_by_votes(table: Any) -> dict[int, tuple[int, float | None]]:
    return {
        row.votes: (row.questions, row.accuracy.value)
        for row in accuracy_by_votes(table.questions, table.gold)
    }


def test_the_ten_weakest_models_are_right_in_39_5_percent_at_two_votes(
    tables: Any, reference_data: Path
) -> None:
    table, rows = tables.zeroeval(reference_data)
    assert table.columns[0] == "gemini-1.5-flash-exp-0827"
    assert right_by_votes(table)[2] == (38, pytest.approx(15 / 38))
    assert right_by_votes(table)[10] == (161, 1.0)
    assert len(rows) == 1319


def test_no_ten_models_in_a_row_give_21_percent_and_few_other_tens_do(
    tables: Any, reference_data: Path
) -> None:
    _, rows = tables.zeroeval(reference_data)
    found = tables.zeroeval_choices(rows)
    assert found["the weakest, the weakest first"] == [38, 15]
    assert found["the weakest, as in the file"] == [38, 14]
    for questions, hits in found["ten in a row by accuracy, as in the file"].values():
        assert not 0.205 <= hits / questions < 0.215
    (many,) = (found[name] for name in found if name.startswith("choices of"))
    assert many["choices"] == 1001
    assert many["least"] < 0.21 < many["median"]
    assert 0 < many["between .205 and .215"] < 100


def test_one_vote_of_four_is_right_in_1_4_percent_only_in_the_order_of_the_file(
    tables: Any, reference_data: Path
) -> None:
    table = tables.openai_gsm(reference_data)
    assert {k: v for k, (_, v) in right_by_votes(table).items()} == pytest.approx(
        {1: 0.014, 2: 0.512, 3: 0.837, 4: 0.957}, abs=5e-4
    )
    found = tables.gsm_orders(table)
    assert found["order of the file"] == pytest.approx(0.014, abs=5e-4)
    assert found["least"] == found["order of the file"]
    assert found["most"] > 5 * found["least"]
    for low, high in found["by the first column"].values():
        assert high - low < 0.003  # the first leads, unless it has no answer


def test_the_matrix_of_votes_is_what_the_votes_are(
    tables: Any, reference_data: Path
) -> None:
    table, rows = tables.zeroeval(reference_data)
    codes = tables.coded(rows, ["gold", *table.columns])
    same = tables.equal_pairs(codes)
    for votes, (questions, share) in right_by_votes(table).items():
        if votes:
            chosen = range(1, 1 + len(table.columns))
            hits = tables.right_at(codes, same, chosen, votes=votes)
            assert hits == [questions, round((share or 0.0) * questions)]


def test_ties_at_random_are_between_the_least_and_the_most(tables: Any) -> None:
    questions = [answers_of(["a", "b"], id="1"), answers_of(["a", "a"], id="2")]
    found = tables.random_ties(questions, ["b", "a"])
    assert found == {
        "1": {"questions": 1, "accuracy": 0.5},
        "2": {"questions": 1, "accuracy": 1.0},
    }


def test_the_mean_of_ten_prompts_is_calibrated_and_their_agreement_is_not(
    tables: Any, reference_data: Path
) -> None:
    table, mean, subjects = tables.mmlu_prompts(reference_data)
    measures = importlib.import_module("_consistency_measures")
    assert (len(table.questions), len(set(subjects))) == (2886, 16)
    assert float(mean.correct.mean()) == pytest.approx(0.4210, abs=5e-5)
    found = measures.judged(mean)["expected_calibration_error"]
    assert found.value == pytest.approx(0.0338, abs=5e-5)
    agreed = measures.columns_of(table.questions, similarities=())[0]["agreement"]
    rows = measures.rows_of(table.questions, table.gold, agreed.values)
    error = measures.judged(rows)["expected_calibration_error"]
    assert error.value == pytest.approx(0.426, abs=2e-3)
    assert error.low > 10 * error.null_level


@pytest.mark.verify
@pytest.mark.parametrize("name", ["zeroeval", "openai_gsm", "conformal_llm_mmlu"])
def test_every_measure_is_judged_and_compared_with_agreement(
    results: Any, name: str
) -> None:
    found = results[name]["measures"]
    assert len(found) > 20
    for measure, one in found.items():
        if measure == "accuracy":
            continue
        assert one["before"]["auroc"]["low"] <= one["before"]["auroc"]["high"], measure
        error = one["calibrated"]["expected_calibration_error"]
        assert error["null_level"] > 0, measure
        if measure != "agreement":
            assert "auroc" in one["less agreement"], measure


@pytest.mark.verify
@pytest.mark.parametrize("name", ["zeroeval", "openai_gsm"])
def test_calibration_lowers_the_brier_score_of_agreement(
    results: Any, name: str
) -> None:
    one = results[name]["measures"]["agreement"]["calibrated less before"]
    assert one["brier_score"]["high"] <= 1e-3


@pytest.mark.verify
def test_agreement_across_prompts_is_no_confidence(results: Any) -> None:
    found = results["conformal_llm_mmlu"]["no confidence"]
    agreement = found["agreement"]
    assert agreement["mean_confidence"]["value"] == pytest.approx(0.836, abs=1e-3)
    error = agreement["expected_calibration_error"]
    assert error["low"] > 0.4
    carried = found["calibrator of zeroeval applied"]["expected_calibration_error"]
    assert carried["low"] > 0.2
    apart = found["agreement less mean probability"]
    assert apart["expected_calibration_error"]["low"] > 0.3
    assert np.isclose(sum(found["right options"].values()), 2886)
