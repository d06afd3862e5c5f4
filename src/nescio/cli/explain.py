"""``nescio explain``: a measure with its numbers in the formula, step by step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from nescio.cli.options import AsJson, Unit, UnitChoice, print_json
from nescio.errors import InvalidInput
from nescio.visible import visible

if TYPE_CHECKING:
    from nescio.report.explanation import Explanation

__all__ = ["app"]

_LISTS = ("--p", "--q", "--counts")
_SEVERAL = "several numbers or fractions, apart or with commas"


class _Several(TyperCommand):
    """A command whose lists may be written with spaces: ``--p .9 .1``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Join the numbers after an option of several into one value."""
        return super().parse_args(ctx, list(_joined(args)))


app = typer.Typer(
    help="Entropy, KL, perplexity, likelihood: the formula with your numbers in it.",
    no_args_is_help=True,
)

P = Annotated[
    str, typer.Option("--p", metavar="P…", help=f"Probabilities: {_SEVERAL}.")
]
Q = Annotated[
    str, typer.Option("--q", metavar="Q…", help="Those of the guess, as many.")
]


@app.command(cls=_Several)
def entropy(p: P, unit: UnitChoice = Unit.bits, as_json: AsJson = False) -> None:
    """How unsure a distribution leaves you.

    Example: nescio explain entropy --p .9 .1
    """
    from nescio.report.explanation import explain_entropy

    _show(explain_entropy(_numbers("--p", p), unit=unit.value), as_json)


@app.command(name="cross-entropy", cls=_Several)
def cross_entropy(
    p: P, q: Q, unit: UnitChoice = Unit.bits, as_json: AsJson = False
) -> None:
    """What a guess q is surprised by, on average, while p draws.

    Example: nescio explain cross-entropy --p 1 0 0 --q .7 .2 .1
    """
    from nescio.report.explanation import explain_cross_entropy

    ones, others = _numbers("--p", p), _numbers("--q", q)
    _show(explain_cross_entropy(ones, others, unit=unit.value), as_json)


@app.command(cls=_Several)
def kl(p: P, q: Q, unit: UnitChoice = Unit.bits, as_json: AsJson = False) -> None:
    """What believing q costs beyond p (Kullback-Leibler divergence).

    Example: nescio explain kl --p .5 .5 --q .9 .1
    """
    from nescio.report.explanation import explain_kl

    ones, others = _numbers("--p", p), _numbers("--q", q)
    _show(explain_kl(ones, others, unit=unit.value), as_json)


@app.command(cls=_Several)
def perplexity(
    p: Annotated[
        str,
        typer.Option(
            "--p",
            metavar="P…",
            help=f"What each token that came was given: {_SEVERAL}.",
        ),
    ],
    unit: UnitChoice = Unit.bits,
    as_json: AsJson = False,
) -> None:
    """How many equally likely tokens a text's surprisals amount to.

    Example: nescio explain perplexity --p .8 .2 .5
    """
    from nescio.report.explanation import explain_perplexity

    _show(explain_perplexity(_numbers("--p", p), unit=unit.value), as_json)


@app.command(cls=_Several)
def likelihood(
    counts: Annotated[
        str,
        typer.Option(
            "--counts", metavar="N…", help=f"How often each outcome came: {_SEVERAL}."
        ),
    ],
    p: Annotated[
        str | None,
        typer.Option(
            "--p", metavar="P…", help="A model to hold against it; default: equal."
        ),
    ] = None,
    unit: UnitChoice = Unit.bits,
    as_json: AsJson = False,
) -> None:
    """Which die makes these throws most probable, and why no other does.

    Example: nescio explain likelihood --counts 3 5 2 4 4 2
    """
    from nescio.report.explanation import explain_likelihood

    model = None if p is None else _numbers("--p", p)
    found = explain_likelihood(_numbers("--counts", counts), p=model, unit=unit.value)
    _show(found, as_json)


def _show(explanation: Explanation, as_json: bool) -> None:
    from nescio.report.explanation import explanation_text

    if as_json:
        print_json(explanation.to_dict())
        return
    typer.echo(visible(explanation_text(explanation), keep="\n"))


def _joined(arguments: list[str]) -> Iterator[str]:
    """Arguments with the numbers after an option of several as one."""
    numbers: list[str] = []
    taking = False
    for argument in arguments:
        option, _, value = argument.partition("=")
        if taking and _is_numbers(argument):
            numbers.append(argument)
            continue
        if numbers:
            yield ",".join(numbers)
            numbers = []
        taking = option in _LISTS
        if taking and value:
            yield option
            numbers = [value]
        else:
            yield argument
    if numbers:
        yield ",".join(numbers)


def _is_numbers(argument: str) -> bool:
    try:
        _parsed(argument)
    except ValueError:
        return False
    return True


def _numbers(option: str, value: str) -> list[float]:
    """The numbers of a list.

    Raises:
        InvalidInput: one that is none.
    """
    try:
        return _parsed(value)
    except ValueError as error:
        raise InvalidInput(
            f"{option} {value}: give numbers such as .9 .1, or fractions such as 1/6"
        ) from error


def _parsed(value: str) -> list[float]:
    numbers = [_number(part) for part in value.replace(",", " ").split()]
    if not numbers or not all(map(math.isfinite, numbers)):
        raise ValueError(value)
    return numbers


def _number(part: str) -> float:
    above, divided, below = part.partition("/")
    if divided and float(below) == 0.0:
        raise ValueError(part)
    return float(above) / float(below) if divided else float(part)
