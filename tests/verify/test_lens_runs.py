"""The run of the lens: it goes on where it was stopped, and what its result says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MODELS = {"smollm2": 31, "gemma3-270m": 19}
"""By name: how many states the lens reads, the embedding among them."""


def ran(project: Path, data: Path, folder: Path) -> dict[str, Any]:
    out, figure = folder / "out.json", folder / "figure.svg"
    command = [sys.executable, str(project / "experiments" / "lens.py"), "--quick"]
    command += ["--model", "smollm2", "--work", str(folder)]
    command += ["--out", str(out), "--figure", str(figure)]
    environment = os.environ | {"NESCIO_DATA": str(data)}
    subprocess.run(command, check=True, env=environment)
    assert figure.read_text("utf-8").startswith(("<?xml", "<svg"))
    return json.loads(out.read_text("utf-8"))["result"]


def told_of(project: Path, name: str) -> Any:
    """What the committed run says of one model."""
    content = json.loads((project / "results" / "lens_runs.json").read_text("utf-8"))
    return content["result"][name]


@pytest.mark.verify
@pytest.mark.local_model
@pytest.mark.reference_data
def test_a_small_run_goes_on_where_it_was_stopped(
    project: Path, reference_data: Path, tmp_path: Path
) -> None:
    first = ran(project, reference_data, tmp_path)
    (kept,) = tmp_path.glob("smollm2-*/kinds of texts.json")
    other = kept.with_name("by layer.json")
    when = other.stat().st_mtime_ns
    kept.unlink()
    assert ran(project, reference_data, tmp_path) == first
    assert kept.is_file()
    assert other.stat().st_mtime_ns == when


@pytest.mark.verify
@pytest.mark.parametrize("name", MODELS)
def test_the_last_layer_is_the_model_and_others_are_told_with_limits(
    project: Path, name: str
) -> None:
    for collection in told_of(project, name)["by layer"].values():
        layers = collection["layers"]
        assert {len(rows) for rows in layers.values()} == {MODELS[name]}
        last = {measure: rows[-1] for measure, rows in layers.items()}
        assert last["kl_to_last_layer"]["value"] == 0.0
        assert last["settled_share"]["value"] == 1.0
        rate = collection["estimates"]["entropy_rate"]["value"]
        assert last["layer_entropy"]["value"] == pytest.approx(rate, abs=1e-6)
        for row in layers["layer_entropy"][:-1]:
            assert 0.0 <= row["low"] < row["value"] < row["high"]
        settled = [row["value"] for row in layers["settled_share"]]
        assert settled == sorted(settled)


@pytest.mark.verify
@pytest.mark.parametrize("name", MODELS)
def test_kinds_are_told_apart_beside_a_dummy_and_beside_the_last_layer(
    project: Path, name: str
) -> None:
    apart = told_of(project, name)["told apart"]
    texts = apart["kinds of texts"]
    every, last = (
        texts[how]["accuracy"] for how in ("all layers", "the last layer alone")
    )
    dummy = texts["all layers"]["dummy_accuracy"]["value"]
    assert dummy < last["low"]
    assert last["high"] < every["low"]
    for task in apart.values():
        for how in ("all layers", "the last layer alone"):
            found = task[how]["accuracy"]
            assert found["low"] <= found["value"] <= found["high"] <= 1.0
            assert 0.0 < found["p_value"] <= 1.0


@pytest.mark.verify
@pytest.mark.parametrize("name", MODELS)
def test_what_all_layers_gain_has_an_interval_of_its_own(
    project: Path, name: str
) -> None:
    apart = told_of(project, name)["told apart"]
    for task in apart.values():
        gain = task["all layers less the last"]
        every, last = (
            task[how]["accuracy"]["value"]
            for how in ("all layers", "the last layer alone")
        )
        assert gain["value"] == pytest.approx(every - last)
        assert gain["low"] < gain["value"] < gain["high"]
    assert apart["kinds of texts"]["all layers less the last"]["low"] > 0.0
