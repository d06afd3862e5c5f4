"""The runs on losses: that they work from end to end, and what their results say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUNS = ("policy", "preference", "distillation")


def results(project: Path, name: str) -> Any:
    """What the last full run found."""
    path = project / "results" / f"{name}_runs.json"
    return json.loads(path.read_text(encoding="utf-8"))["result"]


@pytest.mark.verify
@pytest.mark.local_model
@pytest.mark.reference_data
@pytest.mark.parametrize("name", RUNS)
def test_a_small_run_goes_from_end_to_end_and_is_taken_up_again(
    name: str, project: Path, reference_data: Path, tmp_path: Path
) -> None:
    script = project / "experiments" / f"{name}.py"
    command = [sys.executable, script, "--quick", "--work", tmp_path]
    where = os.environ | {"NESCIO_DATA": str(reference_data)}
    found = []
    for _ in range(2):
        run = subprocess.run(
            command, check=True, env=where, capture_output=True, text=True
        )
        content = json.loads((tmp_path / f"{name}_runs.json").read_text("utf-8"))
        found.append((run.stdout, content["result"]))
    assert "seed 1" in found[0][0].replace("_", " ")
    assert "seed" not in found[1][0]
    assert found[0][1] == found[1][1]
    assert "<svg" in (tmp_path / f"losses-{name}.svg").read_text("utf-8")


@pytest.mark.verify
def test_without_a_penalty_the_policy_runs_away_and_with_one_it_does_not(
    project: Path,
) -> None:
    found = results(project, "policy")
    ends = {name: one["end"]["kl"] for name, one in found.items()}
    for name in ("k1 in the reward", "k2 as a loss", "k3 as a loss", "exact"):
        assert ends[name]["high"] < ends["none"]["low"], name
        assert found[name]["less none"]["kl"]["high"] < 0, name
    assert found["none"]["end"]["reward"]["value"] > 0.9


@pytest.mark.verify
def test_preferring_raises_the_gap_of_pairs_apart(project: Path) -> None:
    found = results(project, "preference")
    for beta in ("0.03", "0.1", "0.3", "1.0"):
        assert found[beta]["change"]["mean_gap"]["low"] > 0, beta


@pytest.mark.verify
def test_a_taught_student_is_nearer_its_teacher_than_hard_labels_bring_it(
    project: Path,
) -> None:
    found = results(project, "distillation")["arms"]
    assert found["1"]["less hard labels"]["kl_from_teacher"]["high"] < 0
