"""The runs of alarms, memory and quality: they work, and what their results say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOUND = ("temperature 1.5", "temperature 1.2", "greedy", "phrase repeated")


def ran(project: Path, script: str, data: Path, *options: str) -> None:
    command = [sys.executable, str(project / "experiments" / script), "--quick"]
    environment = os.environ | {"NESCIO_DATA": str(data)}
    subprocess.run([*command, *options], check=True, env=environment)


def content(project: Path, name: str) -> Any:
    path = project / "results" / f"{name}_runs.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.verify
@pytest.mark.local_model
@pytest.mark.reference_data
def test_a_small_run_of_alarms_goes_on_where_it_was_stopped(
    project: Path, reference_data: Path, tmp_path: Path
) -> None:
    out, figure = tmp_path / "out.json", tmp_path / "figure.svg"
    options = ("--work", str(tmp_path), "--out", str(out), "--figure", str(figure))
    ran(project, "alarm.py", reference_data, *options)
    first = json.loads(out.read_text("utf-8"))["result"]
    (folder,) = tmp_path.glob("streams-*")
    healthy = (folder / "healthy-0000.parquet").stat().st_mtime_ns
    (folder / "changed-greedy.npz").unlink()
    ran(project, "alarm.py", reference_data, *options)
    assert json.loads(out.read_text("utf-8"))["result"] == first
    assert (folder / "healthy-0000.parquet").stat().st_mtime_ns == healthy
    assert first["detectors"]["alarm A"]["alarm"]["runs"] == 24
    assert figure.read_text("utf-8").startswith("<svg")


@pytest.mark.verify
@pytest.mark.reference_data
def test_a_small_run_of_memory_goes_on_where_it_was_stopped(
    project: Path, reference_data: Path, tmp_path: Path
) -> None:
    out, figure = tmp_path / "out.json", tmp_path / "figure.svg"
    options = ("--work", str(tmp_path), "--out", str(out), "--figure", str(figure))
    ran(project, "memory.py", reference_data, *options)
    first = json.loads(out.read_text("utf-8"))["result"]
    (folder,) = tmp_path.glob("networks-*")
    (folder / "LSTM-1.json").unlink()
    ran(project, "memory.py", reference_data, *options)
    again = json.loads(out.read_text("utf-8"))["result"]
    assert again["compared"] == first["compared"]
    sizes = {k: one[0]["parameters"] for k, one in first["networks"].items()}
    assert 0.98 < sizes["LSTM"] / sizes["transformer"] < 1.02


@pytest.mark.verify
def test_alarm_a_keeps_its_rate_on_fresh_answers_and_finds_what_the_page_says(
    project: Path,
) -> None:
    detectors = content(project, "alarm")["result"]["detectors"]
    alarm = detectors["alarm A"]
    false, rates = alarm["false alarms"], alarm["rates"]["alarm_rate"]
    assert false["of"] >= 400
    assert alarm["alarm"]["runs"] >= 200
    assert false["low"] <= 0.05 <= false["high"]
    assert rates["low"] <= false["value"] <= rates["high"]
    assert alarm["p"] > 0.01
    again = alarm["dealt again"]
    off = abs(again["mean"] - alarm["expected among fresh"]["mean"])
    assert off < 4 * again["standard_error"]
    for name in FOUND:
        found = alarm["changes"][name]["found"]
        assert found["of"] >= 60
        assert found["low"] >= 0.9
    assert alarm["changes"]["another language"]["found"]["high"] < 0.2


@pytest.mark.verify
def test_every_other_detector_goes_off_more_often_on_healthy_answers(
    project: Path,
) -> None:
    detectors = content(project, "alarm")["result"]["detectors"]
    others = [one for name, one in detectors.items() if name.startswith("river")]
    assert len(others) == 6
    assert min(one["false alarms"]["low"] for one in others) > 0.05
    assert detectors["alarm B"]["false alarms"]["low"] <= 0.05


@pytest.mark.verify
def test_the_share_found_never_falls_with_time(project: Path) -> None:
    for one in content(project, "alarm")["result"]["detectors"].values():
        for change in one["changes"].values():
            by = change["by"]["value"]
            assert by == sorted(by)
            assert by[-1] <= change["found"]["value"] + 1e-12


@pytest.mark.verify
def test_both_networks_are_of_one_size_and_their_memory_falls(project: Path) -> None:
    result = content(project, "memory")["result"]
    sizes = {k: one[0]["parameters"] for k, one in result["networks"].items()}
    assert 0.98 < sizes["LSTM"] / sizes["transformer"] < 1.02
    assert min(len(one) for one in result["networks"].values()) >= 3
    for kind in sizes:
        means = [at["value"] for at in result["compared"]["memory"][kind]["at"]]
        assert means[0] > 10 * abs(means[-1])
        assert means[0] > means[2] > means[-1]


@pytest.mark.verify
def test_probability_tells_right_sums_better_than_typicality(project: Path) -> None:
    for tasks in content(project, "quality")["result"].values():
        found = tasks["arithmetic"]["estimates"]
        by_probability = found["rating_by_probability_within"]
        by_typicality = found["rating_by_typicality_within"]
        assert by_probability["low"] > by_typicality["high"]
