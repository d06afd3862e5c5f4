"""The run of agreement on real models: that it works, and what its results say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

MODELS = ("smollm2", "gemma3-270m")
COMPARED = "agreement less the greedy answer's probability"
VOTES = ("each on its own answer", "both on the greedy answer")
GREEDY = ("sequence", "closed_sequence", "token_mean")
MEASURES = ("auroc", "brier_score, calibrated", "log_loss, calibrated")


@pytest.fixture(scope="module")
def content(project: Path) -> Any:
    """What the last full run found."""
    path = project / "results" / "consistency_runs.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def results(content: Any) -> Any:
    return content["result"]


def chosen(results: Any, model: str) -> dict[str, Any]:
    tasks = results[model]["tasks"]["by task"]
    return {name: one for name, one in tasks.items() if one["chosen"]}


@pytest.mark.verify
@pytest.mark.local_model
@pytest.mark.reference_data
def test_a_small_run_goes_from_end_to_end_and_again_from_its_files(
    project: Path, reference_data: Path, tmp_path: Path
) -> None:
    out, kept, figure = tmp_path / "r.json", tmp_path / "samples", tmp_path / "f.svg"
    options = ["--quick", "--model", "smollm2", "--task", "arithmetic"]
    options += ["--samples", str(kept), "--out", str(out), "--figure", str(figure)]
    command = [sys.executable, str(project / "experiments" / "consistency.py")]
    environment = os.environ | {"NESCIO_DATA": str(reference_data)}
    subprocess.run(command + options, check=True, env=environment)
    first = out.read_bytes()
    (samples,) = kept.glob("*samples*")
    lines = samples.read_bytes().splitlines(keepends=True)
    samples.write_bytes(b"".join(lines[: len(lines) // 2]))
    subprocess.run(command + options, check=True, env=environment)
    again = json.loads(out.read_bytes())
    assert again["recipe"]["samples"] == 6
    assert figure.read_text(encoding="utf-8").lstrip().startswith("<?xml")
    (task,) = chosen(again["result"], "smollm2").values()
    (before,) = chosen(json.loads(first)["result"], "smollm2").values()
    accuracy = task["confidences"]["sequence"]["accuracy"]
    assert accuracy == before["confidences"]["sequence"]["accuracy"]


@pytest.mark.verify
@pytest.mark.parametrize("model", MODELS)
def test_two_tasks_of_200_questions_are_neither_too_easy_nor_too_hard(
    results: Any, model: str
) -> None:
    right = [
        one["confidences"]["sequence"]["accuracy"]["accuracy"]["value"]
        for one in chosen(results, model).values()
        if one["questions"] >= 200
    ]
    assert sum(0.2 <= value <= 0.8 for value in right) >= 2


@pytest.mark.verify
@pytest.mark.parametrize("model", MODELS)
def test_a_task_was_chosen_by_other_questions_where_it_was_in_range(
    results: Any, model: str
) -> None:
    for name, one in results[model]["tasks"]["by task"].items():
        assert one["chosen"] == any(0.2 <= r <= 0.8 for r in one["trials"].values()), (
            name
        )


@pytest.mark.verify
@pytest.mark.parametrize("model", MODELS)
def test_everything_that_was_asked_is_answered_with_an_interval(
    results: Any, model: str
) -> None:
    tests = 0
    for one in chosen(results, model).values():
        for votes in VOTES:
            for greedy in GREEDY:
                found = one[COMPARED][votes][greedy]
                assert set(MEASURES) == set(found)
                tests += len(found)
        tests += 2  # of the mean of both
        for estimate in estimates(one):
            assert estimate["low"] <= estimate["high"]
            # The error that is seen may lie above what the true one can be: noise.
            noise = estimate["null_level"] or 0.0
            assert estimate["low"] <= estimate["value"] <= estimate["high"] + noise
    assert results[model]["tasks"]["tests"] == tests


def estimates(found: Any) -> Iterator[dict[str, Any]]:
    """Every estimate with a value and limits, however deep."""
    if isinstance(found, dict):
        if {"value", "low", "recipe"} <= set(found):
            if isinstance(found["value"], float) and found["low"] is not None:
                yield found
            return
        for inner in found.values():
            yield from estimates(inner)
    elif isinstance(found, list):
        for inner in found:
            yield from estimates(inner)


@pytest.mark.verify
@pytest.mark.parametrize("model", MODELS)
def test_calibration_takes_the_error_of_what_was_badly_calibrated(
    results: Any, model: str
) -> None:
    for name, one in chosen(results, model).items():
        for told in one["confidences"].values():
            before = told["before"]["expected_calibration_error"]
            after = told["calibrated"]["expected_calibration_error"]
            if before["value"] > 0.25:
                assert after["value"] < before["value"], name


@pytest.mark.verify
@pytest.mark.parametrize("model", MODELS)
def test_fewer_samples_agree_more(results: Any, model: str) -> None:
    for name, one in chosen(results, model).items():
        points = one["by number of samples"]
        agreement = [p["estimates"]["mean_confidence"]["value"] for p in points]
        bias = [p["bias simulated"] for p in points]
        assert [p["samples"] for p in points] == [2, 3, 5, 10, 20]
        for column in (agreement, bias):  # up to the noise of the simulation
            pairs = pairwise(column)
            assert all(less >= more - 0.003 for less, more in pairs), name
        assert bias[0] > bias[-1] > -0.003, name


@pytest.mark.verify
@pytest.mark.parametrize("model", MODELS)
def test_stopping_early_saves_samples_and_hardly_changes_an_answer(
    results: Any, model: str
) -> None:
    for name, one in chosen(results, model).items():
        found = one["adaptive"]["estimates"]
        assert found["samples_saved"]["low"] > 0, name
        assert found["leader_changed"]["value"] <= 0.06, name
        change = found["accuracy less that of all"]
        assert change["low"] > -0.05, name
