"""``nescio drift`` and the alarm of ``nescio trace`` as a person uses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import nescio
from nescio.cli.main import run
from nescio.decoding import Decoding
from nescio.trace import read_traces, write_traces

HORIZON = 24


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = nescio.load("table:topics")
    drawn = nescio.sample(model, "a", n=60, decoding=Decoding(HORIZON), seed=1)
    path = tmp_path_factory.mktemp("healthy") / "healthy.parquet"
    write_traces(path, [answer.trace for answer in drawn.answers])
    return path


def fitted(healthy: Path, folder: Path, *more: str) -> Path:
    out = folder / "alarm.json"
    asked = ["drift", "fit", str(healthy), "--horizon", str(HORIZON)]
    assert run([*asked, "--out", str(out), *more]) == 0
    return out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run([*arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    return json.loads(out, parse_constant=pytest.fail)


def test_an_alarm_is_fitted_written_and_explained(
    capsys: pytest.CaptureFixture[str], healthy: Path, tmp_path: Path
) -> None:
    out = fitted(healthy, tmp_path, "--population", "one letter")
    said, told = capsys.readouterr()
    assert "alarm_rate" in said
    assert "at most 5 % of healthy answers" in said
    assert "one letter" in said
    assert "written" in told
    alarm = json.loads(out.read_text())
    assert (alarm["runs"], alarm["horizon"]) == (48, HORIZON)


def test_the_report_says_which_answers_set_it_off(
    capsys: pytest.CaptureFixture[str], healthy: Path, tmp_path: Path
) -> None:
    alarm = fitted(healthy, tmp_path, "--memory", "8")
    capsys.readouterr()
    report = ["drift", "report", str(healthy), "--alarm", str(alarm)]
    found = as_json(capsys, *report)
    share = found["estimates"]["alarm_share"]
    assert share["n"] == found["counts"]["traces"] == len(found["items"]) == 60
    fired = [item for item in found["items"] if item["alert"]]
    assert len(fired) == found["counts"]["alarms"] == round(60 * share["value"])
    assert share["null_level"] == 0.05
    assert run(report) == 0
    said, _ = capsys.readouterr()
    assert said.count("token ") >= len(fired)


def test_a_trace_is_watched_while_it_is_drawn(
    capsys: pytest.CaptureFixture[str], healthy: Path, tmp_path: Path
) -> None:
    alarm = fitted(healthy, tmp_path, "--memory", "4", "--alarm-rate", "0.5")
    capsys.readouterr()
    drawn = ["trace", "--generate", "a", "--model", "table:topics", "--alarm"]
    drawn += [str(alarm), "--max-tokens", str(HORIZON)]
    stops = {}
    for seed in range(8):
        found = as_json(capsys, *drawn, "--seed", str(seed))
        assert (found["stop"] == "alarm") == (found["alarm"]["alert"] is not None)
        stops[found["stop"]] = seed
    assert set(stops) == {"alarm", "length"}
    page = tmp_path / "answer.html"
    assert run([*drawn, "--seed", str(stops["alarm"]), "--html", str(page)]) == 0
    assert "where healthy answers stay" in page.read_text(encoding="utf-8")
    said, _ = capsys.readouterr()
    assert "alarm at token" in said
    assert "smoothed entropy" in said
    assert run([*drawn, "--seed", str(stops["length"])]) == 0
    said, _ = capsys.readouterr()
    assert "no alarm: at most 50 %" in said


def test_a_martingale_alarm_needs_no_traces(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out, kept = tmp_path / "b.json", tmp_path / "t.parquet"
    assert run(["drift", "fit", "--kind", "martingale", "--out", str(out)]) == 0
    capsys.readouterr()
    drawn = ["trace", "--generate", "a", "--model", "table:topics", "--max-tokens"]
    drawn += ["30", "--alarm", str(out), "--out", str(kept)]
    found = as_json(capsys, *drawn)
    assert "however long" in found["alarm"]["claim"]
    assert "log_renyi_processed[0.5]" in next(read_traces(kept)).columns
    report = as_json(capsys, "drift", "report", str(kept), "--alarm", str(out))
    assert report["counts"]["traces"] == 1


def test_what_is_wrong_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], healthy: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "a.json")
    fit = ("drift", "fit", str(healthy))
    assert "--horizon" in refused(capsys, *fit, "--out", out)
    assert "--out" in refused(capsys, *fit, "--horizon", "9")
    needed = refused(
        capsys, *fit, "--out", out, "--horizon", "9", "--alarm-rate", "0.001"
    )
    assert "999 are needed" in needed
    cut = refused(capsys, *fit, "--out", out, "--horizon", "999")
    assert "before the horizon" in cut
    wrong = refused(capsys, *fit, "--out", out, "--horizon", "9", "--channel", "x")
    assert "entropy_up" in wrong
    assert "no traces" in refused(
        capsys, "drift", "fit", "--out", out, "--horizon", "9"
    )
    martingale = refused(capsys, *fit, "--kind", "martingale", "--out", out)
    assert "is not fitted" in martingale
    assert "--alarm" in refused(capsys, "drift", "report", str(healthy))
    assert not Path(out).exists()
    alarm = str(fitted(healthy, tmp_path))
    capsys.readouterr()
    other = ["trace", "--generate", "H", "--model", "table:coin", "--alarm", alarm]
    assert "model_digest" in refused(capsys, *other)
    hotter = ["trace", "--generate", "a", "--model", "table:topics", "--alarm", alarm]
    assert "sampling" in refused(capsys, *hotter, "--temperature", "0.7")
    scored = ("trace", "abab", "--model", "table:topics", "--alarm", alarm)
    assert "--generate only" in refused(capsys, *scored)
    none = ("trace", "--generate", "a", "--model", "table:topics", "--alarm", "no.json")
    assert "no such file" in refused(capsys, *none)
