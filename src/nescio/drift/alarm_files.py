"""Alarms as JSON files, and what they do on traces that are there already."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nescio.decoding.watching import Alert
from nescio.drift.channels import tokens_of
from nescio.drift.conformal_alarm import ConformalAlarm
from nescio.drift.martingale import MartingaleAlarm
from nescio.errors import InvalidInput, SchemaError
from nescio.outcome import Estimate, Recipe
from nescio.outcome.fields import once
from nescio.trace import Trace
from nescio.uncertainty import wilson_interval

__all__ = ["Alarm", "alarm_share", "alert_of", "read_alarm", "write_alarm"]

Alarm = ConformalAlarm | MartingaleAlarm

_READERS = {
    "conformal": ConformalAlarm.from_dict,
    "martingale": MartingaleAlarm.from_dict,
}


def write_alarm(path: str | Path, alarm: Alarm) -> None:
    """Write an alarm as JSON; the file is replaced only when it is whole.

    Raises:
        OSError: the file cannot be written.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "alarm.json"
        >>> write_alarm(path, MartingaleAlarm(0.01))
        >>> read_alarm(path) == MartingaleAlarm(0.01)
        True
    """
    text = json.dumps(alarm.to_dict(), ensure_ascii=False, allow_nan=False, indent=1)
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text + "\n", encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_alarm(path: str | Path) -> Alarm:
    """The alarm that was written, the same to the last bit.

    Nothing in the file is run; every field is checked.

    Raises:
        InvalidInput: there is no such file.
        SchemaError: it is not what `write_alarm` wrote.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file")
    try:
        fields = json.loads(
            path.read_text(encoding="utf-8"),
            parse_constant=_refused,
            parse_float=_finite,
            object_pairs_hook=once,
        )
        kind = fields.get("alarm") if isinstance(fields, dict) else None
        if not isinstance(kind, str) or kind not in _READERS:
            raise SchemaError(f"alarm is {kind!r:.40}, not one of {list(_READERS)}")
        return _READERS[kind](fields)
    except (OSError, RecursionError, ValueError) as error:
        raise SchemaError(f"{path.name}: {error}") from error


def alert_of(trace: Trace, alarm: Alarm) -> Alert | None:
    """What would have set an alarm off in an answer that is there already.

    Raises:
        InvalidInput: the alarm is not made for it, or needs what the trace lacks.

    Example:
        >>> import nescio
        >>> from nescio.drift.martingale import ORDERS
        >>> detail = nescio.Detail(renyi=ORDERS)
        >>> table = nescio.load("table:topics")
        >>> trace = nescio.score(table, "abab", detail=detail)
        >>> alert_of(trace, MartingaleAlarm(0.05)) is None
        True
    """
    watch = alarm.start(trace.origin)
    for token in tokens_of(trace, orders=alarm.renyi_orders):
        if (alert := watch.update(token)) is not None:
            return alert
    return None


def alarm_share(
    traces: Sequence[Trace], alarm: Alarm, *, level: float = 0.95
) -> Estimate:
    """The share of answers that set an alarm off.

    Args:
        traces: answers, each of another prompt; healthy ones give the false alarms,
            others the alarm's power.
        alarm: either kind.
        level: of the interval, Wilson's, in (0, 1).

    Returns:
        In [0, 1]; ``null_level`` is the alarm's own rate.

    Raises:
        InvalidInput: no traces; as `alert_of`, with the number of the trace.
    """
    if not traces:
        raise InvalidInput("no traces: there is nothing to watch")
    fired = 0
    for number, trace in enumerate(traces):
        try:
            fired += alert_of(trace, alarm) is not None
        except InvalidInput as error:
            raise type(error)(f"trace {number}: {error}") from error
    interval = wilson_interval(fired, len(traces), level=level)
    settings = {"alarm": alarm.to_dict(), "interval": "Wilson score"}
    return Estimate(
        "alarm_share",
        fired / len(traces),
        "1",
        len(traces),
        "confidence",
        "answers like these",
        Recipe("alarm_share", settings, ("Wilson (1927)",)),
        interval.low,
        interval.high,
        level,
        null_level=alarm.alarm_rate,
    )


def _refused(name: str) -> Any:
    raise SchemaError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise SchemaError(f"{digits:.60} is too large for a float")
    return number
