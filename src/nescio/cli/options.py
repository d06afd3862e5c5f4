"""Options that several commands share, and where their results go."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nescio.errors import InvalidInput

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "AcceptLicense",
    "AsJson",
    "EngineName",
    "MaxRequests",
    "MaxTokensTotal",
    "ModelName",
    "Quantity",
    "Unit",
    "UnitChoice",
    "check_writable",
    "console",
    "limited",
    "print_json",
    "progress",
    "write_atomically",
]


_NARROWEST = 40


class Unit(StrEnum):
    """The units people may read information in."""

    bits = "bits"
    nats = "nats"


class Quantity(StrEnum):
    """What shades a text."""

    surprisal = "surprisal"
    entropy = "entropy"


ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="A catalogue name, hf:DIRECTORY-OR-ID, table:FILE, a server, "
        "http://HOST/v1#NAME, or models joined byte by byte, ensemble:A+B,rule=product "
        "(bytes:A: one by itself), with options: smollm2,precision=bf16; those of a "
        "member in brackets: ensemble:[A,precision=bf16]+B.",
    ),
]
EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="The backend: openvino, transformers, table or endpoint; default: the "
        "fastest.",
    ),
]
MaxRequests = Annotated[
    int | None,
    typer.Option(help="Of a server: send no more requests, probing included."),
]
MaxTokensTotal = Annotated[
    int | None,
    typer.Option(help="Of a server: let it generate no more tokens in all."),
]
AcceptLicense = Annotated[
    bool,
    typer.Option("--accept-license", help="Agree to a model's terms."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object and nothing else.")
]
UnitChoice = Annotated[
    Unit, typer.Option("--unit", help="The unit information is shown in.")
]


def limited(model: str, max_requests: int | None, max_tokens_total: int | None) -> str:
    """The specification of a server with limits; others have none.

    Raises:
        InvalidInput: a limit for a model that is no server.
    """
    given = {"max_requests": max_requests, "max_tokens_total": max_tokens_total}
    limits = {name: limit for name, limit in given.items() if limit is not None}
    if limits and not model.startswith(("http://", "https://")):
        raise InvalidInput(
            "--max-requests and --max-tokens-total go with a server (http://…) only"
        )
    return "".join([model, *(f",{name}={limit}" for name, limit in limits.items())])


def console(*, stderr: bool = False) -> Console:
    """A rich console that interprets nothing in what it prints."""
    from rich.console import Console

    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    made.width = max(made.width, _NARROWEST)
    return made


def print_json(value: Mapping[str, Any]) -> None:
    """One strict JSON object on standard output, in ASCII whatever the locale."""
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")


def check_writable(*paths: Path | None, source: Path | None = None) -> None:
    """Refuse, before any work, a place nothing can be written to.

    Raises:
        InvalidInput: a directory, a device or a pipe, a directory that is missing or
            read-only, the same file twice, or the file that is read.
    """
    taken = set() if source is None else {source.resolve()}
    for path in paths:
        if path is None:
            continue
        try:
            _check_place(path)
            real = path.resolve()
        except (OSError, RuntimeError, UnicodeError) as error:  # a loop of links
            raise InvalidInput(f"{path} cannot be written: {error}") from error
        if real in taken:
            raise InvalidInput(f"{path} is named twice; it would be overwritten")
        taken.add(real)


def _check_place(path: Path) -> None:
    os.fsencode(path).decode("utf-8")
    if path.is_dir():
        raise InvalidInput(f"{path} is a directory; name a file in it")
    if path.exists() and not (path.is_file() and os.access(path, os.W_OK)):
        raise InvalidInput(f"{path} is there and is no file one can write to")
    parent = path.resolve().parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise InvalidInput(f"{parent} is no directory one can write to")


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a file beside ``path``; put it in place when it is whole.

    A link stays a link, and a file keeps its permissions.
    """
    real = path.resolve()
    partial = None
    try:
        mode = real.stat().st_mode & 0o777 if real.exists() else 0o666 & ~_umask()
        handle, name = tempfile.mkstemp(dir=real.parent, prefix=".nescio-")
        os.close(handle)
        partial = Path(name)
        write(partial)
        partial.chmod(mode)
        partial.replace(real)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def progress(what: str, *, of: str = "tokens") -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, where that is a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(f"{{task.completed}}/{{task.total}} {of}"),
        TimeRemainingColumn(),
        console=console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bars:
        task = bars.add_task(what, total=None, visible=False)

        def report(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total, visible=True)

        yield report
