"""What a text is step by step: values, bytes, and their sums over stretches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from nescio.errors import InvalidInput, NotEnoughData
from nescio.trace import Trace
from nescio.trace.trace import SEGMENTS

__all__ = ["Along", "Series", "series_of", "stretches"]

Along = Literal["entropy", "surprisal"]


@dataclass(frozen=True, eq=False)
class Series:
    """The tokens of a text that count, step by step.

    Args:
        values: of each, nats, [n].
        sizes: how many bytes each spells, [n].
        token: its place in the trace, [n].
    """

    values: Float[np.ndarray, " n"]
    sizes: Float[np.ndarray, " n"]
    token: Int[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.values)


def series_of(
    trace: Trace,
    of: Along,
    *,
    segments: tuple[str, ...] = ("completion",),
    every: bool = False,
) -> Series:
    """The entropies or surprisals of the tokens that count, in nats.

    Args:
        trace: of a scored or generated text.
        of: ``"entropy"`` or ``"surprisal"``.
        segments: which tokens count, if they are scored.
        every: all tokens instead, NaN where unscored.

    Raises:
        InvalidInput: no entropies, an impossible token, nothing that counts.
    """
    if of not in get_args(Along):
        raise InvalidInput(f"{of!r} is none of {get_args(Along)}")
    known = trace.surprisal if of == "surprisal" else trace.entropy
    if known is None:
        raise InvalidInput(
            "a trace has no entropies, at most bounds of them; drift needs whole "
            "predictions: use a local model"
        )
    place = np.arange(len(trace))
    if not every:
        if not segments or set(segments) - set(SEGMENTS):
            raise InvalidInput(f"segments {segments!r}: choose some of {SEGMENTS}")
        numbers = [SEGMENTS.index(segment) for segment in segments]
        place = np.flatnonzero(trace.scored & np.isin(trace.segment, numbers))
        if not len(place):
            raise InvalidInput(
                f"no token of segment {' or '.join(segments)} was scored: there is "
                "nothing to follow"
            )
    values = known[place].astype(np.float64)
    if np.isposinf(values).any():
        lost = int(place[np.flatnonzero(np.isposinf(values))[0]])
        raise InvalidInput(
            f"token {lost}, {trace.token_text(lost)!r}, was impossible under the "
            "model: its surprisal is infinite, and so is every mean with it; leave "
            "that text out and say so"
        )
    return Series(values, trace.byte_counts[place].astype(np.float64), place)


def stretches(
    texts: Sequence[tuple[Series, ...]], width: int
) -> tuple[
    Float[np.ndarray, "texts parts places"],
    Float[np.ndarray, " places"],
]:
    """Sums over stretches of ``width`` steps, each text's own row.

    A text may have several series (its own and people's); it goes on as long as the
    shortest of them does, and only those steps are summed. The last stretch, shorter
    than the others, is left out unless it is the only one.

    Args:
        texts: one tuple a text, all of one length.
        width: at least 1.

    Returns:
        [texts, parts, stretches], the parts being values and bytes of each series in
        turn, then the number of steps; and the middle of each stretch, steps counted
        from 1.

    Raises:
        InvalidInput: a width below 1.
        NotEnoughData: no steps at all.
    """
    if width < 1:
        raise InvalidInput(f"a width of {width} steps; at least 1")
    lengths = [min(map(len, series)) for series in texts]
    longest = max(lengths, default=0)
    if longest == 0:
        raise NotEnoughData("no text has a step: there is nothing to follow")
    places = max(1, longest // width)
    parts = np.zeros((len(texts), 2 * len(texts[0]) + 1, places))
    for row, (series, length) in enumerate(zip(texts, lengths, strict=True)):
        used = min(length, places * width)
        owner = np.arange(used) // width
        columns = [c[:used] for one in series for c in (one.values, one.sizes)]
        for part, column in enumerate([*columns, np.ones(used)]):
            parts[row, part] = np.bincount(owner, column, minlength=places)
    middle = np.arange(places) * width + (1.0 + min(width, longest)) / 2.0
    return parts, middle
