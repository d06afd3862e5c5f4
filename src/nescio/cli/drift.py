"""``nescio drift``: alarms fitted on healthy answers, and what they say of others."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nescio.cli.options import (
    AsJson,
    check_writable,
    console,
    print_json,
    write_atomically,
)
from nescio.errors import InvalidInput
from nescio.visible import visible

if TYPE_CHECKING:
    from nescio.drift.alarm_files import Alarm
    from nescio.trace import Trace

__all__ = ["app"]

app = typer.Typer(
    help="Alarms on generation: fit on healthy answers, report on others.",
    no_args_is_help=True,
    add_completion=False,
)


class Combine(Enum):
    """How channels share the alarm rate."""

    maximum = "maximum"
    split = "split"


class Kind(StrEnum):
    """What an alarm rests on."""

    conformal = "conformal"
    martingale = "martingale"


Traces = Annotated[
    list[Path] | None,
    typer.Argument(metavar="TRACES…", help="Parquet files of nescio trace --out."),
]
Rate = Annotated[
    float, typer.Option(help="At most so many healthy answers set it off.")
]


Out = Annotated[
    Path | None, typer.Option(metavar="ALARM.json", help="Where to write it.")
]
Horizon = Annotated[
    int | None, typer.Option(help="Tokens of an answer that are watched.")
]
KindChoice = Annotated[
    Kind,
    typer.Option(
        help="conformal: unlike healthy answers. martingale: not what the model would "
        "write; needs no traces."
    ),
]
Population = Annotated[
    str | None, typer.Option(metavar="WORDS", help="Which prompts these answer.")
]
Reference = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="Other healthy traces, which centre and scale the channels; default: a "
        "fifth of TRACES is set aside.",
    ),
]
Channels = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="entropy_up, entropy_down, repetition or surprisal_gap; may be repeated; "
        "default: all four.",
    ),
]
CombineChoice = Annotated[
    Combine, typer.Option(help="One threshold for all channels, or the rate split.")
]


@app.command(name="fit")
def fit_alarm(
    traces: Traces = None,
    out: Out = None,
    horizon: Horizon = None,
    alarm_rate: Rate = 0.05,
    kind: KindChoice = Kind.conformal,
    population: Population = None,
    reference: Reference = None,
    channel: Channels = None,
    combine: CombineChoice = Combine.maximum,
    memory: Annotated[
        int, typer.Option(help="Tokens that running means reach back to.")
    ] = 64,
    seed: Annotated[int, typer.Option(help="Of what is set aside.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Fit an alarm on healthy answers, one a prompt, and write it.

    Example: nescio drift fit healthy.parquet --horizon 256 --out alarm.json
    """
    from nescio.drift.alarm_files import write_alarm

    if out is None:
        raise InvalidInput("nowhere to write the alarm: give --out ALARM.json")
    check_writable(out)
    if kind is Kind.martingale:
        _refuse_for_martingale(traces, horizon, population, reference, channel)
        alarm: Alarm = _martingale(alarm_rate)
    else:
        from nescio.drift.alarm import AlarmPlan, fit
        from nescio.drift.channels import CHANNELS, ChannelPlan

        if horizon is None:
            raise InvalidInput("how many tokens are watched? give --horizon")
        channels = ChannelPlan(tuple(channel or CHANNELS), memory=memory)
        words = {} if population is None else {"population": population}
        alarm = fit(
            _read(traces),
            horizon=horizon,
            alarm_rate=alarm_rate,
            reference=_read(reference) if reference else None,
            plan=AlarmPlan(channels, combine.value, seed),
            **words,
        )
    write_atomically(out, lambda path: write_alarm(path, alarm))
    _show_fitted(alarm, out, as_json=as_json)


@app.command(name="report")
def report_alarms(
    traces: Traces = None,
    alarm: Annotated[
        Path | None,
        typer.Option(metavar="ALARM.json", help="What nescio drift fit wrote."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Which answers set an alarm off, where, and why; and how many do.

    Example: nescio drift report answers.parquet --alarm alarm.json
    """
    from nescio.drift.alarm_files import alarm_share, alert_of, read_alarm

    if alarm is None:
        raise InvalidInput("which alarm? give --alarm ALARM.json")
    read = read_alarm(alarm)
    found = _read(traces)
    estimates = {"alarm_share": alarm_share(found, read)}
    items = [_item(trace, alert_of(trace, read)) for trace in found]
    fired = [item for item in items if item["alert"] is not None]
    counts = {"traces": len(found), "alarms": len(fired)}
    _show(estimates, counts, items, as_json=as_json)
    if as_json:
        return
    for number, item in enumerate(items):
        if (alert := item["alert"]) is not None:
            where = f"trace {number}, token {alert['index']} of {item['tokens']}"
            console().print(visible(f"{where}: {alert['reason']}"))


def _item(trace: Trace, alert: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "tokens": int(trace.scored.sum()),
        "stop": trace.stop,
        "alert": None if alert is None else asdict(alert),
    }


def _martingale(alarm_rate: float) -> Alarm:
    from nescio.drift.martingale import MartingaleAlarm

    return MartingaleAlarm(alarm_rate)


def _refuse_for_martingale(*given: Any) -> None:
    if any(given):
        raise InvalidInput(
            "a martingale alarm is not fitted: TRACES, --horizon, --population, "
            "--reference and --channel go with a conformal one"
        )


def _read(paths: list[Path] | None) -> list[Trace]:
    from nescio.trace import read_traces

    if not paths:
        raise InvalidInput("no traces: give Parquet files of nescio trace --out")
    return [trace for path in paths for trace in read_traces(path)]


def _show_fitted(alarm: Alarm, out: Path, *, as_json: bool) -> None:
    from nescio.drift.conformal_alarm import ConformalAlarm

    estimates: Mapping[str, Any] = {}
    counts: dict[str, Any] = {}
    if isinstance(alarm, ConformalAlarm):
        estimates, counts = alarm.rates(), {"runs": alarm.runs, "rank": alarm.rank}
    _show(estimates, counts, [alarm.to_dict()], as_json=as_json)
    if not as_json:
        console().print(visible(alarm.start(None).claim))
        console(stderr=True).print(visible(f"written: {out}"))


def _show(
    estimates: Mapping[str, Any],
    counts: Mapping[str, Any],
    items: list[Any],
    *,
    as_json: bool,
) -> None:
    from nescio.report import estimates_json, summary_table

    if as_json:
        print_json(estimates_json(estimates, counts, items))
    elif estimates:
        console().print(summary_table(estimates))
