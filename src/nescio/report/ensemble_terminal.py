"""A text on a terminal as members of an ensemble write it: who pulled where."""

from __future__ import annotations

import codecs
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.segment import Segment, Segments
from rich.style import Style

from nescio.visible import visible

__all__ = ["PULLED_NATS", "Puller"]

PULLED_NATS = 0.05 * math.log(2.0)
"""Below this disagreement nobody is said to have pulled."""
_INK = "rgb(28,36,41)"
_TINTS = ("176,208,230", "240,190,130", "190,214,168", "214,190,230")
"""Blue, ochre, green, violet: they differ in hue, and look for look in the marks."""
_LOOKS = ("", " underline", " bold", " underline bold")


@dataclass(frozen=True)
class _Held:
    """A byte that is held back until its character is whole."""

    disagreement: float
    nearest: int


class Puller:
    """Paints an answer byte by byte; a byte that is part of a character waits for it.

    A character has the look of the member whose prediction the common one is nearest
    to, where members disagree by `PULLED_NATS` or more; of several bytes that counts
    where they disagree most. Controls are shown, never sent. Where there is no terminal
    or no colour is wanted, the text is all there is; half a character is never shown.

    Args:
        console: of rich.
        names: of the members.

    Example:
        >>> puller = Puller(Console(no_color=True), ["one", "other"])
        >>> for byte in "a雨".encode()[:3]:
        ...     puller.byte(bytes([byte]), 0.5, 1)
        a
        >>> puller.close()
        <BLANKLINE>
    """

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        self.console, self.names = console, list(names)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held: list[_Held] = []
        self._at_line_start = True
        self.pulled = [0] * len(self.names)

    def byte(
        self, raw: bytes, disagreement: float | int = 0.0, nearest: int = 0
    ) -> None:
        """Paint one byte, or hold it back.

        Args:
            raw: the byte; nothing where a control token ends the answer.
            disagreement: of the members there, nats.
            nearest: the member the common prediction is nearest to, from 0.
        """
        if not raw:
            return
        self._held.append(_Held(float(disagreement), nearest))
        text = self._decoder.decode(raw)
        if not text:
            return
        widest = max(self._held, key=lambda held: held.disagreement)
        apart = widest.disagreement >= PULLED_NATS and len(self.names) > 1
        self._held = []
        if apart:
            self.pulled[widest.nearest] += 1
        self._paint(text, widest.nearest if apart else None)

    def close(self) -> None:
        """End the line."""
        if not self._at_line_start:
            self._write([Segment("\n")])

    def legend(self) -> None:
        """Say which look is whose, where there are any."""
        if len(self.names) < 2 or not self._coloured:
            return
        cells = [
            part
            for number, name in enumerate(self.names)
            for part in (
                Segment(f" {number + 1} ", _look(number)),
                Segment(f" {visible(name)}  "),
            )
        ]
        bits = PULLED_NATS / math.log(2.0)
        plain = Segment(f"unmarked: they agree to {bits:g} bits\n")
        self.console.print(Segments([*cells, plain]), soft_wrap=True, end="")

    def _paint(self, text: str, member: int | None) -> None:
        style = None if member is None or not self._coloured else _look(member)
        segments: list[Segment] = []
        for number, line in enumerate(text.split("\n")):
            if number:
                segments.append(Segment("\n"))
            if line:
                segments.append(Segment(visible(line), style))
        self._write(segments)

    def _write(self, segments: list[Segment]) -> None:
        if segments:
            self.console.print(Segments(segments), soft_wrap=True, end="")
            self._at_line_start = segments[-1].text == "\n"

    @property
    def _coloured(self) -> bool:
        console = self.console
        return (
            console.is_terminal
            and not console.is_dumb_terminal
            and not console.no_color
            and console.color_system is not None
        )


def _look(member: int) -> Style:
    tint, mark = _TINTS[member % 4], _LOOKS[member % 4]
    return Style.parse(f"{_INK} on rgb({tint}){mark}")
