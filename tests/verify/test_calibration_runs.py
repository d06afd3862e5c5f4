"""The run on real models: that it works from end to end, and what its results say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MODELS = ("smollm2", "gemma3-270m")
TASKS = ("arithmetic", "capitals", "last words", "sport")
TEXTS = ("wikitext-2 test", "shakespeare")


@pytest.fixture(scope="module")
def results(project: Path) -> Any:
    """What the last full run found."""
    path = project / "results" / "calibration_runs.json"
    return json.loads(path.read_text(encoding="utf-8"))["result"]


@pytest.mark.verify
@pytest.mark.local_model
@pytest.mark.reference_data
def test_a_small_run_goes_from_end_to_end(
    project: Path, reference_data: Path, tmp_path: Path
) -> None:
    out, kept = tmp_path / "runs.json", tmp_path / "outcomes"
    script = project / "experiments" / "calibration.py"
    options = ["--quick", "--model", "smollm2", "--out", out, "--outcomes", kept]
    subprocess.run(
        [sys.executable, script, *options],
        check=True,
        env=os.environ | {"NESCIO_DATA": str(reference_data)},
    )
    content = json.loads(out.read_text(encoding="utf-8"))
    (found,) = content["result"].values()
    assert set(TASKS) < set(found["tasks"])
    assert set(TEXTS) < set(found["next tokens"])
    assert len(list(kept.iterdir())) == len(TASKS) + len(TEXTS)
    assert content["recipe"]["precision"] in ("bf16", "f32")


@pytest.mark.verify
@pytest.mark.parametrize("model", MODELS)
def test_two_tasks_at_least_are_neither_too_easy_nor_too_hard(
    results: Any, model: str
) -> None:
    tasks = results[model]["tasks"]
    right = {name: tasks[name]["estimates"]["accuracy"]["value"] for name in TASKS}
    assert sum(0.2 <= value <= 0.8 for value in right.values()) >= 2


@pytest.mark.verify
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("text", TEXTS)
def test_next_tokens_are_many_and_clustered_by_document(
    results: Any, model: str, text: str
) -> None:
    found = results[model]["next tokens"][text]
    assert found["tokens"] > 50_000
    assert found["documents"] >= 58
    for estimate in found["estimates"].values():
        assert estimate["low"] < estimate["high"]
        assert estimate["n_clusters"] == found["documents"]


@pytest.mark.verify
@pytest.mark.parametrize("model", MODELS)
def test_a_temperature_fitted_in_domain_does_not_raise_the_log_loss(
    results: Any, model: str
) -> None:
    rows = results[model]["next tokens"]["temperature, judged on the other half"]
    for text in TEXTS:
        losses = {
            row["fitted_on"]: row["estimates"]["log_loss"]["value"]
            for row in rows
            if row["judged_on"] == text
        }
        assert losses[text] <= losses[None] + 1e-3
