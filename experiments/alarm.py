"""Alarms on a real model: how often healthy answers set them off, and what they find.

smollm2 continues openings of wikitext-2's paragraphs. Some answers fit alarm A, fresh
ones tell at what rate healthy answers set it off; in others something changes half-way:
the temperature, the context, or the text itself. Alarm B, and river's detectors at
their defaults, watch the same streams. Writes ``results/alarm_runs.json`` and
``docs/drift-alarms.svg``.

    python experiments/alarm.py [--work DIR] [--quick] [--peers PYTHON] [--out FILE]
        [--figure FILE] [--redraw]

``DIR`` keeps what is finished: the same command goes on where it was stopped, and one
with other settings begins anew. PYTHON is an interpreter that has river (``pip install
river``); without one its detectors are left out. The reference data are beside the
checkout (``shared/data``) or where ``NESCIO_DATA`` says.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _alarm_streams import (
    CHANGES,
    FULL,
    QUICK,
    SEED,
    UNCHANGED,
    Size,
    Table,
    changed,
    healthy,
    table_of,
    tokens_of,
)
from _alarm_telling import (
    LEVEL,
    First,
    chance_of,
    clopper_pearson,
    dealt_again,
    detection,
    expected_count,
)
from _calibration_telling import PROJECT, all_told, write
from _parts import Parts
from _precision import usual_precision

import nescio
from nescio.drift.alarm import AlarmPlan, fit
from nescio.drift.alarm_files import Alarm
from nescio.drift.channels import CHANNELS, ChannelPlan, run_statistics
from nescio.drift.conformal_alarm import ConformalAlarm
from nescio.drift.martingale import MartingaleAlarm
from nescio.errors import NotEnoughData
from nescio.plot.colours import LINES, MUTED
from nescio.plot.curve import Curve, curve_chart
from nescio.plot.panel import straight_axis

MODEL, PRECISION = "smollm2", usual_precision()
RESULT = "alarm_runs.json"
RATE, SMALL_RATE = 0.05, 0.01
POPULATION = "openings of paragraphs of wikitext-2"
FRESH = "fresh"
MAIN = "alarm A"
DEALT = 2000
STYLES = (
    [  # a look without colour, and of two lines that share it blue and ochre
        (colour, look)
        for colour in LINES[:2]
        for look in (False, "dashes", "dots", "dash-dot")
    ]
    + [(MUTED, "long dashes")]
)
BANDS = (UNCHANGED, "greedy", "shuffled context")
"""Curves with a band; all of them would hide one another."""
Watching = Callable[[Table], First]


@dataclass(frozen=True, eq=False)
class Healthy:
    """The healthy answers, dealt."""

    reference: list[Any]
    fitted: list[Any]
    fresh: list[Any]
    changed: list[Any]

    @staticmethod
    def of(traces: Sequence[Any], size: Size) -> Healthy:
        ends = np.cumsum([size.reference, size.fitted, size.fresh]).tolist()
        parts = np.split(np.arange(len(traces)), ends)
        return Healthy(*([traces[i] for i in part] for part in parts))


def alarms(parts: Healthy, size: Size) -> dict[str, Alarm]:
    """Every alarm that is fitted, by what it is called in the result."""

    def fitted(plan: AlarmPlan, rate: float) -> ConformalAlarm:
        return fit(
            parts.fitted,
            horizon=size.horizon,
            alarm_rate=rate,
            population=POPULATION,
            reference=parts.reference,
            plan=plan,
        )

    usual = AlarmPlan()
    found: dict[str, Alarm] = {MAIN: fitted(usual, RATE)}
    wanted = {
        "alarm A, 1 %": (usual, SMALL_RATE),
        "alarm A, rate split": (AlarmPlan(combine="split"), RATE),
    } | {
        f"alarm A, {name} alone": (AlarmPlan(ChannelPlan((name,))), RATE)
        for name in CHANNELS
    }
    for name, (plan, rate) in wanted.items():
        try:
            found[name] = fitted(plan, rate)
        except NotEnoughData as error:
            print(f"  left out: {name}: {error}", flush=True)
    return found | {"alarm B": MartingaleAlarm(RATE)}


def watched(alarm: Alarm, stream: Table) -> tuple[First, str | None]:
    """Which token first sets an alarm off, and through which channel."""
    watch = alarm.start(None)
    for token in tokens_of(stream):
        alert = watch.update(token)
        if alert is not None:
            return alert.index, alert.channel
    return None, None


def peers(
    streams: Mapping[str, Sequence[Table]], python: str, folder: Path
) -> tuple[dict[str, dict[str, list[First]]], dict[str, Any]]:
    """River's detectors on entropy and on surprisal, in an environment of their own."""
    asked, told = folder / "peers.npz", folder / "peers.json"
    columns = {
        f"{quantity}|{name}|{number}": sign * stream[:, place]
        for quantity, place, sign in (("entropy", 2, 1.0), ("surprisal", 1, -1.0))
        for name, some in streams.items()
        for number, stream in enumerate(some)
    }
    np.savez(asked, **columns)
    script = Path(__file__).with_name("_alarm_peers.py")
    command = [python, str(script), str(asked), str(told)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(f"river is left out ({said}): pip install river, and give its python")
        return {}, {"left out": said}
    answer = json.loads(told.read_text("utf-8"))
    found: dict[str, dict[str, list[First]]] = {}
    for detector, places in answer["found"].items():
        for key, at in places.items():
            quantity, name, _ = key.split("|")
            by_kind = found.setdefault(f"river {detector} on {quantity}", {})
            by_kind.setdefault(name, []).append(at)
    about = {name: answer[name] for name in ("river", "settings")}
    return found, about


def told_of(
    firsts: Mapping[str, Sequence[First]], size: Size, channels: Mapping[str, Any]
) -> dict[str, Any]:
    """What is written of one detector."""
    fresh = firsts[FRESH]
    fired = sum(at is not None for at in fresh)
    found: dict[str, Any] = {"false alarms": clopper_pearson(fired, len(fresh))}
    found["changes"] = {
        name: detection(some, size.onset, size.horizon)
        for name, some in firsts.items()
        if name != FRESH
    }
    for name, counts in channels.items():
        if name != FRESH:
            found["changes"][name]["channels"] = counts
    return found


def guarantee(alarm: ConformalAlarm, fired: int, fresh: int) -> dict[str, Any]:
    """What the guarantee says of this alarm, beside what came."""
    found: dict[str, Any] = {"rates": all_told(alarm.rates(level=LEVEL))}
    if alarm.combine != "split":
        found["expected among fresh"] = expected_count(alarm.runs, alarm.rank, fresh)
        found["p"] = chance_of(fired, alarm.runs, alarm.rank, fresh)
    return found


def watch_all(
    parts: Healthy, streams: Mapping[str, Sequence[Table]], size: Size
) -> dict[str, Any]:
    """Every alarm of nescio on every stream."""
    found: dict[str, Any] = {}
    for name, alarm in alarms(parts, size).items():
        firsts: dict[str, list[First]] = {}
        channels: dict[str, dict[str, int]] = {}
        for kind, some in streams.items():
            pairs = [watched(alarm, stream) for stream in some]
            firsts[kind] = [at for at, _ in pairs]
            late = [c for at, c in pairs if c is not None and (at or 0) >= size.onset]
            channels[kind] = {c: late.count(c) for c in sorted(set(late))}
        found[name] = told_of(firsts, size, channels)
        fired = sum(at is not None for at in firsts[FRESH])
        if isinstance(alarm, ConformalAlarm):
            found[name] |= guarantee(alarm, fired, len(firsts[FRESH]))
        if name == MAIN:
            found[name]["alarm"] = alarm.to_dict()
            found[name]["dealt again"] = again(alarm, parts, size)
        print(f"  {name}: {_percent(found[name])}", flush=True)
    return found


def again(alarm: Alarm, parts: Healthy, size: Size) -> dict[str, Any]:
    """Fitted and fresh answers mixed and dealt anew; the reference stays."""
    if not isinstance(alarm, ConformalAlarm):
        raise AssertionError("only alarm A is fitted")
    standards = {rule.channel: rule.standard for rule in alarm.rules}
    middle = np.array([rule.middle for rule in alarm.rules])
    spread = np.array([rule.spread for rule in alarm.rules])
    largest = [
        run_statistics(trace, alarm.plan, standards, horizon=size.horizon).max(axis=0)
        for trace in [*parts.fitted, *parts.fresh]
    ]
    scaled = ((np.array(largest) - middle) / spread).max(axis=1)
    return dealt_again(scaled, len(parts.fitted), RATE, times=DEALT, seed=SEED)


def _percent(found: dict[str, Any]) -> str:
    false, changes = found["false alarms"], found["changes"]
    words = [f"false {100 * false['value']:.1f} %"]
    for name, one in changes.items():
        value = one["found"]["value"]
        words.append(f"{name} {'–' if value is None else f'{100 * value:.0f} %'}")
    return ", ".join(words)


def about(streams: Mapping[str, Sequence[Table]]) -> dict[str, Any]:
    """How many streams of each kind, how long, how unsure."""
    return {
        name: {
            "streams": len(some),
            "mean tokens": float(np.mean([len(one) for one in some])),
            "mean entropy": float(np.concatenate(some)[:, 2].mean()),
            "mean surprisal": float(-np.concatenate(some)[:, 1].mean()),
        }
        for name, some in streams.items()
    }


def figure(found: Mapping[str, Any], size: Size, path: Path) -> None:
    """The share that alarm A has found, by tokens since the change."""
    changes, curves = found[MAIN]["changes"], []
    for place, name in enumerate([*CHANGES, UNCHANGED]):
        one = changes[name]
        x, y, low, high = (
            np.array(one["by"][key], dtype=np.float64)
            for key in ("tokens", "value", "low", "high")
        )
        colour, dashed = STYLES[place]
        band = (low, high) if name in BANDS else ()
        curves.append(Curve(name, x, y, *band, colour=colour, dashed=dashed))
    last = size.horizon - size.onset
    x_axis = straight_axis("tokens since the change", 0, last)
    svg = curve_chart(curves, x=x_axis, y="share found", size=(720, 400))
    path.write_text(svg + "\n", encoding="utf-8")


def run(size: Size, work: Path, python: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Everything; also the result."""
    model = nescio.load(f"{MODEL},precision={PRECISION}")
    origin = model.origin.to_dict()
    settings = {"size": asdict(size), "origin": origin, "seed": SEED}
    folder = Parts(work, "streams", settings).folder
    parts = Healthy.of(healthy(model, size, folder), size)
    streams: dict[str, Sequence[Table]] = {FRESH: [table_of(t) for t in parts.fresh]}
    streams |= changed(model, parts.changed, size, folder)
    found = watch_all(parts, streams, size)
    others, river = peers(streams, python, folder)
    for name, firsts in others.items():
        found[name] = told_of(firsts, size, {})
        print(f"  {name}: {_percent(found[name])}", flush=True)
    ended = sum(trace.stop == "eos" for trace in parts.fresh)
    result = {
        "detectors": found,
        "streams": about(streams),
        "fresh that ended before the horizon": ended,
        "changes": {name: says for name, (says, _) in CHANGES.items()},
    }
    return result, {"origin": origin, "river": river}


def main() -> None:
    """Read the options, run, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--work", type=Path, default=PROJECT / "build" / "alarm_runs")
    parser.add_argument("--quick", action="store_true", help="a few streams only")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--out", type=Path, default=PROJECT / "results" / RESULT)
    parser.add_argument(
        "--redraw", action="store_true", help="the figure only, from the result"
    )
    parser.add_argument(
        "--figure", type=Path, default=PROJECT / "docs" / "drift-alarms.svg"
    )
    given = parser.parse_args()
    if given.redraw:
        there = json.loads(given.out.read_text("utf-8"))
        size = Size(**there["recipe"]["size"])
        figure(there["result"]["detectors"], size, given.figure)
        return
    size = QUICK if given.quick else FULL
    result, recipe = run(size, given.work, given.peers)
    given.figure.parent.mkdir(parents=True, exist_ok=True)
    figure(result["detectors"], size, given.figure)
    write(
        given.out,
        result,
        **recipe,
        population=POPULATION,
        rate=RATE,
        level=LEVEL,
        intervals="Clopper-Pearson of shares, order statistics of delays",
        seed=SEED,
        size=asdict(size),
        threads=os.environ.get("OMP_NUM_THREADS", "as the machine has"),
    )


if __name__ == "__main__":
    main()
