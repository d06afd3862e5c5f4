"""The terminal: text painted as it comes, a scale, a status, a table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from string import ascii_lowercase
from typing import get_args

from rich.console import Console, Group
from rich.segment import Segment, Segments
from rich.style import Style
from rich.table import Table
from rich.text import Text

from nescio.errors import InvalidInput
from nescio.outcome import Estimate
from nescio.outcome.outward import outward
from nescio.palette import FULL_SCALE_NATS, shade
from nescio.plot.scale import tick_labels, ticks
from nescio.report.numbers import interval_text, kind_text, unit_text, value_text
from nescio.report.trace_chart import By
from nescio.trace.symbols import Symbol
from nescio.units import INFORMATION_UNITS, NATS_PER, convert_factor
from nescio.visible import visible, visible_bytes

__all__ = ["Painter", "running", "scale", "summary_table"]


class Painter:
    """Paints tokens on a terminal as they come, shaded by how unexpected they were.

    A token may be half a character: bytes are held back until they are whole, and
    the tokens that share a character are painted as one, with the sum of their
    surprisals, or the mean of their entropies. Controls are shown, never sent.
    Where there is no terminal or no colour is wanted, the text is all there is.

    Args:
        console: of rich.
        unit: of the scale that `legend` prints, ``"bits"`` or ``"nats"``.
        by: which quantity the values are.

    Raises:
        InvalidInput: another unit or quantity.

    Example:
        >>> painter = Painter(Console(no_color=True))
        >>> painter.token("a雨".encode()[:2], 0.5)   # half a character: held back
        >>> painter.token("雨".encode()[1:], 0.5)
        a雨
        >>> painter.close()
        <BLANKLINE>
    """

    def __init__(
        self, console: Console, unit: str = "bits", by: str = "surprisal"
    ) -> None:
        if by not in get_args(By):
            raise InvalidInput(f"by is {by!r}: choose one of {get_args(By)}")
        _check_unit(unit)
        self.console, self.unit, self.by = console, unit, by
        self._held: list[tuple[bytes, float]] = []
        self._at_line_start = True

    def token(
        self, text: bytes, value: float | int | None, *, label: str | None = None
    ) -> None:
        """Paint one token, or hold it back until its last character is whole.

        Args:
            text: the bytes it spells.
            value: its surprisal or entropy in nats; None or NaN where unscored.
            label: how a control token is called, which spells nothing.
        """
        number = math.nan if value is None else float(value)
        if label:
            self._release(everything=True)
            self._paint([visible(label)], number)
            return
        self._held.append((text, number))
        self._release(everything=False)

    def legend(self, *, least: bool = False) -> None:
        """Print the line that says which shade means how much.

        Args:
            least: whether entropies were painted by their lower bounds.
        """
        scale(self.console, self.unit, by=self.by, least=least)

    def close(self) -> None:
        """Paint what was held back, half characters in hexadecimal; end the line."""
        self._release(everything=True)
        if not self._at_line_start:
            self._write([Segment("\n")])

    def _release(self, *, everything: bool) -> None:
        raw = b"".join(text for text, _ in self._held)
        whole = len(raw) if everything else len(raw) - _cut_bytes(raw)
        starts = _character_starts(raw)
        edges, position = [0], 0
        for count, (text, _) in enumerate(self._held, start=1):
            position += len(text)
            if position in starts and position <= whole:
                edges.append(count)
        for first, last in pairwise(edges):
            unit = self._held[first:last]
            lines = b"".join(text for text, _ in unit).split(b"\n")
            self._paint([visible_bytes(line) for line in lines], self._value(unit))
        del self._held[: edges[-1]]

    def _value(self, unit: list[tuple[bytes, float]]) -> float:
        total = math.fsum(value for _, value in unit)
        return total if self.by == "surprisal" else total / len(unit)

    def _paint(self, lines: list[str], value: float) -> None:
        coloured = _is_coloured(self.console)
        style = None
        if coloured and not math.isnan(value):
            style = Style.parse(shade(value).ansi)
        mark = "↵" if coloured else ""
        segments = [Segment(lines[0], style)]
        for before, line in pairwise(lines):
            segments[-1] = Segment(before + mark, style)
            segments += [Segment("\n"), Segment(line, style)]
        self._write([segment for segment in segments if segment.text])

    def _write(self, segments: list[Segment]) -> None:
        if segments:
            self.console.print(Segments(segments), soft_wrap=True, end="")
            self._at_line_start = segments[-1].text == "\n"


def scale(
    console: Console, unit: str = "bits", *, by: str = "surprisal", least: bool = False
) -> None:
    """Print one line of shaded cells with numbers; nothing where nothing is shaded.

    Args:
        console: of rich.
        unit: ``"bits"`` or ``"nats"``.
        by: what is shaded.
        least: whether entropies are known by their bounds and shaded by the lower one;
            the line then says so.

    Raises:
        InvalidInput: a unit that is neither bits nor nats.
    """
    _check_unit(unit)
    if not _is_coloured(console):
        return
    top = FULL_SCALE_NATS / NATS_PER[unit]
    values = ticks(0.0, top, count=6)
    labels = list(tick_labels(values))
    labels[-1] += "+" if values[-1] > top - 1e-9 else ""
    cells = [
        Segment(f" {label} ", Style.parse(shade(value * NATS_PER[unit]).ansi))
        for value, label in zip(values, labels, strict=True)
    ]
    name = "entropy, at least" if least and by == "entropy" else by
    line = [Segment(f"{name} "), *cells, Segment(f" {unit}"), Segment("\n")]
    console.print(Segments(line), soft_wrap=True, end="")


def running(
    mean: float | int | None,
    *,
    tokens: int,
    unit: str = "bits",
    high: float | int | None = None,
    symbol: Symbol = "token",
) -> str:
    """The status while text is generated: the entropy rate so far.

    Args:
        mean: of the entropies so far in nats; None before there is one.
        tokens: over how many.
        unit: ``"bits"`` or ``"nats"``.
        high: where only bounds are known, the mean of the upper ones (inf: there is
            none); ``mean`` is then that of the lower ones.
        symbol: what a token is.

    Raises:
        InvalidInput: another unit.

    Example:
        >>> running(1.5, tokens=1200)
        'entropy rate 2.16 bits/token over 1,200 tokens'
        >>> running(1.5, high=2.0, tokens=1200)
        'entropy rate between 2.16 and 2.89 bits/token over 1,200 tokens'
    """
    factor = convert_factor("nats", to=unit)
    if mean is None:
        shown = "–"
    elif high is None:
        shown = f"{mean * factor:.2f}"
    else:
        shown = _between(mean * factor, high * factor)
    word = symbol if tokens == 1 else f"{symbol}s"
    return f"entropy rate {shown} {unit}/{symbol} over {tokens:,} {word}"


def _between(low: float | int, high: float | int) -> str:
    below = outward(low, 2, up=False)
    if math.isinf(high):
        return f"at least {below}"
    return f"between {below} and {outward(high, 2, up=True)}"


def summary_table(estimates: Mapping[str, Estimate]) -> Group:
    """A table for the terminal; below it, what each number generalises to.

    Example:
        >>> from nescio.outcome import Recipe
        >>> coin = Estimate("perplexity", 2.0, "1", 6, "exact", "this text",
        ...                 Recipe("perplexity"))
        >>> Console(width=60).print(summary_table({"perplexity": coin}))
        quantity    value   interval  about
        perplexity  2.0000  exact     a
        a: this text
    """
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="")
    for head in ("quantity", "value", "interval", "about"):
        table.add_column(head, overflow="fold")
    populations = list(dict.fromkeys(e.population for e in estimates.values()))
    for name, estimate in estimates.items():
        value = value_text(estimate)
        unit = unit_text(estimate)
        if unit and estimate.value is not None:
            value += f" {unit}"
        limits, kind = interval_text(estimate), kind_text(estimate)
        if unit and estimate.value is None:
            limits += f" {unit}"
        interval = kind if limits == "–" else f"{limits} ({kind})"
        mark = ascii_lowercase[populations.index(estimate.population) % 26]
        cells = (name, value, interval, mark)
        table.add_row(*(Text(visible(cell)) for cell in cells))
    notes = [
        Text(f"{ascii_lowercase[number % 26]}: {visible(population)}")
        for number, population in enumerate(populations)
    ]
    return Group(table, *notes)


def _check_unit(unit: str) -> None:
    if unit not in INFORMATION_UNITS:
        raise InvalidInput(f"unit is {unit!r}: choose one of {INFORMATION_UNITS}")


def _is_coloured(console: Console) -> bool:
    return (
        console.is_terminal
        and not console.is_dumb_terminal
        and not console.no_color
        and console.color_system is not None
    )


def _cut_bytes(raw: bytes) -> int:
    """How many bytes at the end may be the beginning of a longer character."""
    for count in (1, 2, 3):
        tail = raw[-count:]
        if len(tail) == count and tail[0] >= 0xC2:
            try:
                tail.decode("utf-8")
            except UnicodeDecodeError as error:
                return count if error.reason == "unexpected end of data" else 0
            return 0
    return 0


def _character_starts(raw: bytes) -> frozenset[int]:
    """Where characters begin or end; each byte that is not UTF-8 is one."""
    starts, position = [0], 0
    for character in raw.decode("utf-8", errors="surrogateescape"):
        position += len(character.encode("utf-8", errors="surrogateescape"))
        starts.append(position)
    return frozenset(starts)
