"""Loading a model for a command: what is fetched first is seen to be fetched."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from nescio.visible import visible

if TYPE_CHECKING:
    from nescio.models.fetching import Report

__all__ = ["fetching", "interrupts", "loaded"]


def loaded(
    name: str, *, engine: str | None = None, accept_license: bool = False
) -> Any:
    """The model of a specification, fetched and converted first where it has to be."""
    from nescio.specification import load

    with fetching() as report:
        return load(name, engine=engine, accept_license=accept_license, report=report)


@contextmanager
def fetching() -> Iterator[Report]:
    """A bar on a terminal; elsewhere one line for each thing begun."""
    with interrupts() as pressed, _bar() if sys.stderr.isatty() else _lines() as show:

        def report(stage: str, share: float | None) -> None:
            if pressed.is_set():
                raise KeyboardInterrupt
            show(stage, share)

        yield report
        if pressed.is_set():
            raise KeyboardInterrupt


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """Remember Ctrl-C: Python drops an interrupt that strikes inside a destructor."""
    pressed = threading.Event()
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler or (
        threading.current_thread() is not threading.main_thread()
    ):
        yield pressed
        return

    def remember(number: int, frame: FrameType | None) -> None:
        pressed.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, remember)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def _bar() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    # The stream itself: while a model is converted sys.stderr is put aside.
    own = Console(file=sys.stderr, markup=False, emoji=False, highlight=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=own, transient=True) as bars:

        def report(stage: str, share: float | None) -> None:
            if not bars.tasks or bars.tasks[-1].description != stage:
                for begun in bars.task_ids:
                    bars.remove_task(begun)
                bars.add_task(stage, total=None)
            total = None if share is None else 1.0
            bars.update(bars.task_ids[-1], total=total, completed=share or 0.0)

        yield report


@contextmanager
def _lines() -> Iterator[Report]:
    last = ""

    def report(stage: str, share: float | None) -> None:  # noqa: ARG001
        nonlocal last
        if stage != last:
            typer.echo(visible(f"nescio: {stage}"), err=True)
        last = stage

    yield report
