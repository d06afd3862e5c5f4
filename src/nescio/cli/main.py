"""The program: its commands, and how a refusal reaches a person."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from nescio.cli import (
    ask,
    calibrate,
    compare,
    consistency,
    demo,
    doctor,
    drift,
    ensemble,
    explain,
    import_file,
    lens,
    models,
    recalibrate,
    sample,
    score,
    trace,
)
from nescio.errors import NescioError
from nescio.visible import visible

__all__ = ["app", "main", "run"]

_INTERRUPTED = 130

app = typer.Typer(
    name="nescio",
    help="How sure is a language model, and is it right to be?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(name="trace", no_args_is_help=False)(trace.trace)
app.command(name="score")(score.score)
app.command(name="sample")(sample.sample)
app.command(name="ask")(ask.ask)
app.command(name="consistency")(consistency.consistency)
app.command(name="compare")(compare.compare)
app.command(name="ensemble")(ensemble.ensemble)
app.command(name="calibrate")(calibrate.calibrate)
app.add_typer(recalibrate.app, name="recalibrate")
app.command(name="import")(import_file.import_stored)
app.command(name="lens", no_args_is_help=False)(lens.lens)
app.add_typer(drift.app, name="drift")
app.add_typer(explain.app, name="explain")
app.command(name="demo")(demo.demo)
app.command(name="doctor")(doctor.doctor)
app.add_typer(models.app, name="models")


def _show_version(wanted: bool) -> bool:
    if wanted:
        from nescio.outcome.estimate import nescio_version

        typer.echo(f"nescio {nescio_version()}")
        raise typer.Exit
    return wanted


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Print the version.",
        ),
    ] = False,
) -> None:
    """How sure is a language model, and is it right to be?"""


def main(arguments: list[str] | None = None) -> None:
    """Run the program and exit: 0 done, 2 the user's mistake, 130 interrupted."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit code; a refusal is one line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(args=arguments)
    except NescioError as error:
        return _refused(str(error))
    except score.Stopped as stopped:
        typer.echo(f"nescio: {visible(str(stopped))}", err=True)
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has left; keep Python from flushing into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _refused(f"the output cannot be written: {error.strerror}")
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            typer.echo("nescio: interrupted; nothing was written", err=True)
        return ended.code if isinstance(ended.code, int) else 0
    return 0


def _refused(message: str) -> int:
    typer.echo(f"nescio: {visible(message)}", err=True)
    return 2
