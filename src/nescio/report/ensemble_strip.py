"""Who pulled where, and the weights, as one strip along a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from nescio.plot.colours import GRID, INK_HEX, MUTED
from nescio.plot.svg import SANS, document, element
from nescio.report.ensemble_style import TINTS, look_of

__all__ = ["pull_strip", "weight_strip"]

_WIDTH, _LEFT, _LANE = 560, 22, 14


def pull_strip(who: np.ndarray, members: int) -> str:
    """A lane for each member, filled where it pulled: place says whose as hue does.

    Args:
        who: the member that pulled each byte, from 0; -1: nobody, [n].
        members: how many there are.
    """
    across = (_WIDTH - _LEFT) / max(1, len(who))
    drawn = []
    for member in range(members):
        top = member * (_LANE + 4)
        drawn.append(_lane(member, top))
        drawn += [
            _cell(
                member, (_LEFT + begin * across, top), ((end - begin) * across, _LANE)
            )
            for begin, end in _runs(who == member)
        ]
    height = members * (_LANE + 4) + 18
    return _strip("".join(drawn) + _axis(len(who), height), height, "who pulled")


def weight_strip(weights: Sequence[np.ndarray]) -> str:
    """The weights of the members, on one another, along the text.

    Args:
        weights: of each member at every byte, [n] each.
    """
    n = len(weights[0])
    across = (_WIDTH - _LEFT) / max(1, n)
    rows = np.stack([np.nan_to_num(one, nan=0.0) for one in weights], axis=1)
    height = 2 * _LANE
    drawn = []
    begin = 0
    for _, run in groupby(map(tuple, rows.round(3).tolist())):
        shares = list(run)
        x, width, low = _LEFT + begin * across, len(shares) * across, 0.0
        for member, share in enumerate(shares[0]):
            drawn.append(_cell(member, (x, low * height), (width, share * height)))
            low += share
        begin += len(shares)
    return _strip("".join(drawn) + _axis(n, height + 18), height + 18, "weights")


def _runs(there: np.ndarray) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(there.astype(int), prepend=0, append=0))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _lane(member: int, top: float | int) -> str:
    name = element(
        "text",
        f"{member + 1}",
        x=2,
        y=top + 11.5,
        fill=INK_HEX,
        class_="ink",
        font_weight=600,
    )
    rail = element(
        "path",
        d=f"M{_LEFT} {top + _LANE / 2}H{_WIDTH}",
        stroke=GRID,
        class_="grid",
    )
    return name + rail


def _cell(
    member: int, place: tuple[float | int, ...], size: tuple[float | int, ...]
) -> str:
    look = look_of(member)
    return element(
        "rect",
        x=place[0],
        y=place[1],
        width=max(size[0], 0.6),
        height=size[1],
        fill=TINTS[look - 1],
        class_=f"t{look}",
    )


def _axis(n: int, height: float | int) -> str:
    ends = ((_LEFT, "start", "0"), (_WIDTH, "end", f"{n:,} bytes"))
    return "".join(
        element(
            "text",
            label,
            x=x,
            y=height - 3,
            text_anchor=where,
            fill=MUTED,
            class_="muted",
        )
        for x, where, label in ends
    )


def _strip(drawn: str, height: float | int, label: str) -> str:
    return document(
        drawn,
        width=_WIDTH,
        height=height,
        label=f"{label} along the text",
        font_family=SANS,
        font_size=13,
    )
