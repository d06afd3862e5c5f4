"""What is said of an alarm that watched an answer."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from nescio.cli.options import Unit, console
from nescio.units import convert_factor
from nescio.visible import visible

__all__ = ["AlarmFile", "alarm_from", "alarm_json", "say_alarm", "seen_by"]

AlarmFile = Annotated[
    Path | None,
    typer.Option(
        "--alarm",
        metavar="FILE",
        help="End an answer when this alarm of drift fit goes off.",
    ),
]


def alarm_from(path: Path | None) -> Any:
    """The alarm of a file, or None.

    Raises:
        InvalidInput: no such file, or something else in it.
    """
    if path is None:
        return None
    from nescio.drift.alarm_files import read_alarm

    return read_alarm(path)


def seen_by(alarm: Any, found: Any, page: Path | None) -> Any:
    """What an alarm saw of an answer, if a page is to show it."""
    if alarm is None or page is None:
        return None
    from nescio.drift.watched import watched

    return watched(found, alarm)


def alarm_json(tokens: Any) -> dict[str, Any]:
    """What the watch over a stream knows, as JSON values under ``alarm``."""
    watch = tokens.watch
    if watch is None:
        return {}
    alert = None if watch.alert is None else asdict(watch.alert)
    return {"alarm": {"alert": alert, "claim": watch.claim, "tokens": watch.tokens}}


def say_alarm(tokens: Any, alarm: Any, unit: Unit) -> None:
    """Print why an alarm went off, or that it did not, and the healthy band."""
    watch = tokens.watch
    if watch is None:
        return
    if watch.alert is None:
        console().print(visible(f"no alarm: {watch.claim}"))
    else:
        where = f"alarm at token {watch.alert.index}"
        console().print(visible(f"{where}: {watch.alert.reason}"), style="bold")
        console().print(visible(watch.claim))
    smoothed = getattr(watch, "smoothed_entropy", None)
    if smoothed is None:
        return
    factor = convert_factor("nats", to=unit.value)
    low, high = alarm.band
    ends = ["-∞" if low is None else f"{low * factor:.3g}"]
    ends.append("∞" if high is None else f"{high * factor:.3g}")
    console().print(
        f"smoothed entropy {smoothed * factor:.3g} {unit.value}, healthy from "
        f"{ends[0]} to {ends[1]}"
    )
