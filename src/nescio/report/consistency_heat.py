"""The heat map of a question: how alike every two samples are, set by set."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from nescio.consistency.answers import INVALID, Answers
from nescio.evaluation.consistency_found import QuestionFound
from nescio.plot.cells import similarity_map, similarity_scale
from nescio.report.consistency_texts import Rows, rows_by_set, set_name, short
from nescio.report.estimates_html import safe
from nescio.report.trace_data import json_island

__all__ = ["MOST_ROWS", "HeatRows", "heat_rows", "heat_section"]

MOST_ROWS = 120
"""How many rows a heat map has; with more samples, equal texts are one row."""
_SIMILARITIES = 8


@dataclass(frozen=True)
class HeatRows:
    """The rows of a heat map.

    Args:
        samples: the first sample of each row.
        counts: how many samples with this very text each stands for.
        sets: which set, in the order of `QuestionFound.sets`, and its number of rows.
        texts: how many different texts there are, if equal ones are one row; else 0.
    """

    samples: tuple[int, ...]
    counts: tuple[int, ...]
    sets: tuple[tuple[int, int], ...]
    texts: int


def heat_rows(found: QuestionFound) -> HeatRows:
    """What is drawn: samples, or different texts, or an even choice of these."""
    rows = rows_by_set(found)
    if len(rows.order) <= MOST_ROWS:
        return _chosen([(sample, 1) for sample in rows.order], rows, 0)
    firsts = list(_different(found.answers, rows.order))
    return _chosen(list(_even(firsts, rows)), rows, len(firsts))


def heat_section(found: QuestionFound, *, prefix: str) -> str:
    """The map with a switch of similarity, and the two texts of the cell pointed at.

    Args:
        found: with at least one similarity; else this is empty.
        prefix: of the ids of the samples' elements, and of this one's.
    """
    if not found.similarities:
        return ""
    names = list(found.similarities)[:_SIMILARITIES]
    rows = heat_rows(found)
    matrices = [_part(found, name, rows) for name in names]
    label = f"how alike {len(rows.samples)} rows are, two by two"
    tags = [(_tag(found, place), count) for place, count in rows.sets]
    svg = similarity_map(matrices, sets=tags, label=label)
    data = json_island(_data(found, rows, names, matrices))
    switch, buttons = _switch(names, f"{prefix}by")
    return f"""<section class="part heat" data-prefix="{prefix}">
<h2>How alike are they?</h2>
<p>{safe(_caption(found, rows))}</p>
{buttons}
<div class="plot" tabindex="0" role="group" aria-label="How alike every two samples \
are. Arrow keys move from cell to cell.">{svg}</div>
<div class="beside">{switch}{similarity_scale()}
<div class="pair" aria-live="polite"><p class="hint">Point at a cell, or use the arrow \
keys in the map, to read the two samples.</p></div></div>
<script type="application/json">{data}</script>
</section>"""


def _chosen(picked: Sequence[tuple[int, int]], rows: Rows, texts: int) -> HeatRows:
    samples = tuple(sample for sample, _ in picked)
    counted = groupby(samples, key=lambda sample: rows.place[sample])
    return HeatRows(
        samples,
        tuple(count for _, count in picked),
        tuple((place, len(list(group))) for place, group in counted),
        texts,
    )


def _different(answers: Answers, order: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Of each text the first sample, and how many samples it is.

    Samples without a valid answer are like nothing, not even each other.
    """
    first: dict[tuple[int, str], int] = {}
    counts: dict[int, int] = {}
    for sample in order:
        label = int(answers.labels[sample])
        alone = (
            (-2 - sample, "") if label == INVALID else (label, answers.texts[sample])
        )
        stands = first.setdefault(alone, sample)
        counts[stands] = counts.get(stands, 0) + 1
    yield from counts.items()


def _even(firsts: Sequence[tuple[int, int]], rows: Rows) -> Iterator[tuple[int, int]]:
    """At most `MOST_ROWS` of them: of each set its part, evenly, at least one."""
    left, total = MOST_ROWS, len(firsts)
    for _, group in groupby(firsts, key=lambda pair: rows.place[pair[0]]):
        of_set = list(group)
        wanted = len(of_set) * MOST_ROWS // total if total > MOST_ROWS else len(of_set)
        take = min(max(1, wanted), left, len(of_set))
        left -= take
        yield from (of_set[k * len(of_set) // take] for k in range(take))


def _part(found: QuestionFound, name: str, rows: HeatRows) -> np.ndarray:
    one = found.similarities[name]
    items = one.item[np.array(rows.samples, dtype=np.int64)]
    part = one.matrix[np.ix_(items, items)].astype(np.float64)
    return np.clip(part, 0.0, 1.0)


def _data(
    found: QuestionFound,
    rows: HeatRows,
    names: Sequence[str],
    matrices: Sequence[np.ndarray],
) -> Mapping[str, object]:
    """What the script reads: rows, and per cent of the upper triangle, a byte each."""
    upper = np.triu_indices(len(rows.samples))
    per_cent = (np.rint(100 * one[upper]).astype(np.uint8) for one in matrices)
    return {
        "samples": rows.samples,
        "counts": rows.counts,
        "sets": [set_name(found, place) for place, n in rows.sets for _ in range(n)],
        "names": [short(name, 60) for name in names],
        "values": [base64.b64encode(one.tobytes()).decode() for one in per_cent],
    }


def _switch(names: Sequence[str], group: str) -> tuple[str, str]:
    """Labels and their buttons; the style sheet lets them choose without scripts."""
    labels, buttons = [], []
    for number, name in enumerate(names):
        shown, named = safe(short(name, 60)), f"{group}-{number}"
        checked = " checked" if number == 0 else ""
        labels.append(f'<label for="{named}">{shown}</label>')
        buttons.append(
            f'<input type="radio" name="{group}" id="{named}" value="{number}" '
            f'aria-label="similarity {shown}"{checked}>'
        )
    return f'<div class="switch">{"".join(labels)}</div>', "".join(buttons)


def _tag(found: QuestionFound, place: int) -> str:
    return set_name(found, place).removeprefix("set ").replace("no answer", "none")


def _caption(found: QuestionFound, rows: HeatRows) -> str:
    words = (
        "A row and a column for each sample, set by set; the frames are the sets. "
        "Strong colour outside the frames: samples that are alike and yet in "
        "different sets."
    )
    if rows.texts:
        words = words.replace("for each sample", "for each different text")
        words += f" {len(found.answers):,} samples are {rows.texts:,} different texts"
        words += " (samples without an answer each by itself)"
        left = rows.texts - len(rows.samples)
        words += f"; {left:,} of them are left out, evenly." if left else "."
    if len(found.similarities) > _SIMILARITIES:
        words += f" The first {_SIMILARITIES} similarities are shown."
    return words
