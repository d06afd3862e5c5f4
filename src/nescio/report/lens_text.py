"""The layer lens on a terminal: bars of block characters above the text itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float
from rich.cells import cell_len, set_cell_size

from nescio.errors import InvalidInput
from nescio.lens import LayerReading
from nescio.palette import FULL_SCALE_NATS
from nescio.plot.layer_map import KL_SCALE_NATS
from nescio.units import INFORMATION_UNITS, convert_factor

__all__ = ["lens_lines"]

_BARS = " ▁▂▃▄▅▆▇█"
_TOP = {"entropy": FULL_SCALE_NATS, "kl": KL_SCALE_NATS}
_WIDEST, _NAME = 14, 7
_MOST_ROWS, _MOST_BANDS = 11, 3


def lens_lines(
    reading: LayerReading,
    *,
    width: int,
    unit: str = "bits",
    by: str = "entropy",
    bands: int = _MOST_BANDS,
) -> list[str]:
    """A picture in text: a row a layer, the last one on top, a column a token.

    Below each column stands the token, and in tenths of the network's depth where its
    top candidate settles. Deep networks show some of their layers, first and last
    included. Text is made visible, never obeyed.

    Args:
        reading: of one text.
        width: columns of the terminal, at least 20.
        unit: of the scale, ``"bits"`` or ``"nats"``.
        by: ``"entropy"``, or ``"kl"``: KL to the last layer.
        bands: so many lines of text are shown at most.

    Raises:
        InvalidInput: another unit or quantity, too narrow a terminal.
    """
    if unit not in INFORMATION_UNITS or by not in ("entropy", "kl"):
        raise InvalidInput(f"unit {unit!r}, by {by!r}: bits or nats, entropy or kl")
    if width < 20:
        raise InvalidInput(f"a width of {width} has no room for a picture: 20 at least")
    values = (reading.entropy if by == "entropy" else reading.kl_to_last) / _TOP[by]
    labels = [_label(reading.trace.token_text(token)) for token in reading.tokens]
    laid = list(_bands([cell_len(label) for label in labels], width - _NAME - 1))
    lines = []
    for columns in laid[:bands]:
        lines += _band(reading, values, labels, columns)
    left_out = len(labels) - sum(len(columns) for columns in laid[:bands])
    if left_out:
        lines.append(f"… and {left_out:,} more tokens")
    return [*lines, *_key(reading, unit, by)]


def _label(text: str) -> str:
    shown = text or "∅"
    if cell_len(shown) > _WIDEST:
        shown = set_cell_size(shown, _WIDEST - 1).rstrip() + "…"
    return shown


def _bands(widths: Sequence[int], room: int) -> Iterator[range]:
    """Which tokens stand side by side."""
    begin = used = 0
    for column, width in enumerate(widths):
        if used and used + width > room:
            yield range(begin, column)
            begin, used = column, 0
        used += width
    yield range(begin, len(widths))


def _band(
    reading: LayerReading,
    values: Float[np.ndarray, "layers tokens"],
    labels: Sequence[str],
    columns: range,
) -> list[str]:
    widths = [cell_len(labels[column]) for column in columns]
    part = slice(columns.start, columns.stop)
    lines = []
    for layer in _shown_layers(reading.layers)[::-1]:
        share = np.clip(values[layer, part], 0.0, 1.0)
        bars = [_BARS[step] for step in np.rint(share * 8).astype(int).tolist()]
        drawn = "".join(bar * width for bar, width in zip(bars, widths, strict=True))
        lines.append(f"{layer:>{_NAME}} {drawn}".rstrip())
    lines.append(f"{'':>{_NAME}} {''.join(labels[column] for column in columns)}")
    depth = 10.0 * reading.settled[part] / (reading.layers - 1)
    tenths = np.minimum(9, np.floor(depth)).astype(int).tolist()
    settled = "".join(
        str(tenth).ljust(width) for tenth, width in zip(tenths, widths, strict=True)
    )
    return [*lines, f"{'settles':>{_NAME}} {settled}".rstrip(), ""]


def _shown_layers(layers: int) -> list[int]:
    rows = min(layers, _MOST_ROWS)
    return np.unique(np.rint(np.linspace(0, layers - 1, rows)).astype(int)).tolist()


def _key(reading: LayerReading, unit: str, by: str) -> list[str]:
    top = _TOP[by] * convert_factor("nats", to=unit)
    what = "entropy" if by == "entropy" else "KL to the last layer"
    layers = f"0 the embedding, {reading.layers - 1} the model"
    return [
        f"{what} by layer, {layers}; █ {top:.3g} {unit} and up",
        "settles: from which tenth of the depth on the top candidate is the model's",
    ]
