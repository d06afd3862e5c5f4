"""A trace as one picture for papers and pages of others: text, scale, chart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nescio.errors import InvalidInput
from nescio.palette import Shade, shade
from nescio.plot import scale_bar
from nescio.plot.colours import INK_HEX, MUTED, PAPER_HEX
from nescio.plot.svg import SANS, SERIF, document, element, escape, text_width
from nescio.report.trace_chart import By, has_entropy, trace_chart
from nescio.report.trace_text import is_control, shown_text, unit_entropy
from nescio.trace import Trace, units
from nescio.units import INFORMATION_UNITS

__all__ = ["trace_picture"]

_MARGIN, _LINE, _SIZE, _LABEL_SIZE = 28, 31, 18, 13
_CHART_HEIGHT, _MOST_LINES, _NARROWEST, _ONE_ROW = 260, 60, 320, 600
_MONO = "ui-monospace,Menlo,Consolas,'Noto Sans Mono',monospace"


@dataclass(frozen=True)
class _Piece:
    """What is drawn without a break: a unit, or a part of it between line breaks."""

    text: str
    token: int
    shade: Shade | None
    control: bool
    ends_line: bool
    width: float | int


def trace_picture(
    trace: Trace, *, by: By = "surprisal", unit: str = "bits", width: float | int = 760
) -> str:
    """An SVG picture: the shaded text with its scale, and the chart below.

    Made for short texts: after 60 lines the picture says how many tokens it leaves
    out of the text; the chart has them all.

    Args:
        trace: with its numbers.
        by: ``"surprisal"`` or ``"entropy"``.
        unit: ``"bits"`` or ``"nats"``.
        width: in pixels, at least 320.

    Raises:
        InvalidInput: another unit, a narrower picture, or a trace without entropies
            to shade by.

    Example:
        >>> import nescio
        >>> trace = nescio.score(nescio.load("table:coin"), "HTHH")
        >>> trace_picture(trace).startswith("<svg")
        True
    """
    if unit not in INFORMATION_UNITS:
        raise InvalidInput(f"unit is {unit!r}: choose one of {INFORMATION_UNITS}")
    if by == "entropy" and not has_entropy(trace):
        raise InvalidInput("this trace has no entropies; draw it by='surprisal'")
    if not width >= _NARROWEST:
        raise InvalidInput(f"width is {width}; make it at least {_NARROWEST}")
    inner = width - 2 * _MARGIN
    top = 88 if width >= _ONE_ROW else 134
    lines = _lines(list(_pieces(trace, by)), inner)
    left_out = sum(len(line) for line in lines[_MOST_LINES:])
    bottom = top + (min(len(lines), _MOST_LINES) + bool(left_out)) * _LINE
    drawn = _text(lines[:_MOST_LINES], top)
    if left_out:
        more = f"… and {left_out:,} more"
        drawn += _words(more, x=_MARGIN, y=bottom - _LINE, font_size=13, fill=MUTED)
    chart = trace_chart(trace, unit=unit, width=inner, height=_CHART_HEIGHT, raw=(by,))
    if chart is not None:
        drawn += _placed(chart, _MARGIN, bottom)
        bottom += _CHART_HEIGHT
    return document(
        element("rect", width=width, height=bottom + 12, rx=8, fill=PAPER_HEX)
        + _head(trace, by, unit, width)
        + drawn,
        width=width,
        height=bottom + 12,
        label=f"{by} of each {trace.origin.symbol}, {trace.origin.model}",
        font_family=SANS,
    )


def _pieces(trace: Trace, by: By) -> Iterator[_Piece]:
    for unit in units(trace):
        value = unit.surprisal if by == "surprisal" else unit_entropy(trace, unit)
        colour = None if value is None else shade(value)
        control = is_control(trace, unit)
        parts = shown_text(trace, unit).split("\n")
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            if part or not last:
                yield _Piece(
                    part, unit.first, colour, control, not last, _width(part, control)
                )


def _width(text: str, control: bool) -> float:
    if control:
        return 0.62 * _LABEL_SIZE * len(text) + 12
    return text_width(text, size=_SIZE)


def _lines(pieces: Sequence[_Piece], inner: float | int) -> list[list[_Piece]]:
    """Broken where a text may be broken: before a space, or between wide letters."""
    lines: list[list[_Piece]] = [[]]
    used = 0.0
    for word in _words_of(pieces):
        wanted = sum(piece.width for piece in word)
        for place, piece in enumerate(word):
            needed = wanted if place == 0 else piece.width
            fitted = piece
            if lines[-1] and used + needed > inner:
                lines.append([])
                used = 0.0
                fitted = _at_line_start(piece)
            lines[-1].append(fitted)
            used += fitted.width
            if piece.ends_line:
                lines.append([])
                used = 0.0
    return lines if lines[-1] else lines[:-1]


def _at_line_start(piece: _Piece) -> _Piece:
    """Without the space at which the line was broken."""
    text = piece.text.removeprefix(" ")
    return replace(piece, text=text, width=_width(text, piece.control))


def _words_of(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    word: list[_Piece] = []
    for piece in pieces:
        breakable = not piece.text[:1].isascii() or piece.text[:1] in (" ", "")
        if word and (breakable or piece.control or word[-1].ends_line):
            yield word
            word = []
        word.append(piece)
    if word:
        yield word


def _text(lines: Sequence[Sequence[_Piece]], top: float | int) -> str:
    """All shades below all letters; what they share is said once."""
    shades, letters, labels = [], [], []
    for row, line in enumerate(lines):
        x, y = float(_MARGIN), top + row * _LINE
        for piece in line:
            if piece.control:
                labels.append(_label(piece, x, y))
            else:
                shades.append(_shaded(piece, x, y))
                letters.append(_letters(piece, x, y))
            x += piece.width
    return (
        element("g", "".join(shades), class_="shades")
        + element("g", "".join(letters), font_size=_SIZE, font_family=SERIF)
        + element("g", "".join(labels), font_size=_LABEL_SIZE, font_family=_MONO)
    )


def _shaded(piece: _Piece, x: float | int, y: float | int) -> str:
    if piece.shade is None:
        return ""
    place = {"x": x, "y": y - 20, "width": piece.width, "height": 27, "rx": 2}
    return element("rect", fill=_hex(piece.shade), **place)


def _letters(piece: _Piece, x: float | int, y: float | int) -> str:
    if not piece.text.strip():
        return ""
    fill = MUTED if piece.shade is None else INK_HEX
    return _words(piece.text, x=x, y=y, textLength=piece.width, fill=fill)


def _label(piece: _Piece, x: float | int, y: float | int) -> str:
    place = {"x": x + 2, "y": y - 16, "width": piece.width - 4, "height": 21, "rx": 4}
    fill = "none" if piece.shade is None else _hex(piece.shade)
    frame = element("rect", fill=fill, stroke=MUTED, **place)
    ink = MUTED if piece.shade is None else INK_HEX
    return frame + _words(piece.text, x=x + 6, y=y - 1, fill=ink)


def _hex(colour: Shade) -> str:
    return colour.css.removeprefix("background:")


def _words(text: str, **attributes: str | float | int) -> str:
    """Text whose spaces stay, at the ends too."""
    return element("text", escape(text).replace(" ", "\u00a0"), **attributes)


def _head(trace: Trace, by: By, unit: str, width: float | int) -> str:
    """The model's name, what is shown, and the scale: beside them, or below."""
    name = {"font_weight": "600", "font_size": 15, "fill": INK_HEX}
    least = " at least" if by == "entropy" and trace.entropy is None else ""
    what = f"{by}{least}, {unit} per {trace.origin.symbol}"
    bar = scale_bar(unit=unit, width=300)
    place = (width - 314, 20) if width >= _ONE_ROW else (_MARGIN - 8, 64)
    return (
        _words(trace.origin.model, x=_MARGIN, y=34, **name)
        + _words(what, x=_MARGIN, y=53, font_size=13, fill=MUTED)
        + _placed(bar, *place)
    )


def _placed(picture: str, x: float | int, y: float | int) -> str:
    return element("g", picture, transform=f"translate({x:.0f} {y:.0f})")
