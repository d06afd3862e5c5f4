"""The map of questions by samples, and the list of questions that goes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from nescio.consistency.answers import Answers
from nescio.evaluation.consistency_found import QuestionsFound
from nescio.plot.cells import NOTHING, RANKS, vote_map
from nescio.report.consistency_texts import called, says_no_more, short
from nescio.report.estimates_html import safe
from nescio.report.trace_data import json_island

__all__ = ["LARGEST_DATA", "MOST_QUESTIONS", "map_section", "sorted_places"]

MOST_QUESTIONS = 20_000
"""How many questions a page lists."""
LARGEST_DATA = 4_000_000
"""Characters of texts a page holds at most; more are cut shorter."""
_DRAWN = 3_000
_TRIED = 200
_NAMES = (
    "the leading answer",
    "the second",
    "the third",
    "all others",
    "no valid answer",
)
_ABSENT = len(RANKS) - 1


@dataclass(frozen=True)
class _Lengths:
    """How much of each question is told: characters of texts, and sets."""

    name: int
    question: int
    key: int
    text: int
    sets: int


_TOLD = (
    _Lengths(80, 300, 120, 500, 20),
    _Lengths(80, 200, 80, 200, 12),
    _Lengths(60, 120, 60, 80, 8),
    _Lengths(60, 80, 40, 0, 5),
    _Lengths(30, 30, 20, 0, 3),
    _Lengths(12, 0, 6, 0, 2),
)
"""From much to little; the first that fits is taken."""


def map_section(found: QuestionsFound) -> str:
    """All questions as one picture, the surest first, beside a list to choose from."""
    order = sorted_places(found)[:MOST_QUESTIONS]
    ranked = [_ranked(found, place) for place in order]
    data, lengths = _fitting(found, order, ranked)
    caption = _caption(found, lengths)
    return f"""<section class="part questions">
<h2>Question by question</h2>
<p>{safe(caption)}</p>
{_key(found)}
<div class="browser">
<div class="overview"><small>surest, by {safe(called(found.reference))}</small>
<div class="plot" tabindex="0" role="group" aria-label="All questions, the surest \
first. Up and down move from question to question, Enter opens one.">\
{_picture(found, order, ranked)}</div>
<small>least sure</small></div>
<div class="list"><noscript><p>The list of questions needs scripts.</p></noscript></div>
</div>
<script type="application/json" id="questions-data">{data}</script>
</section>"""


def sorted_places(found: QuestionsFound) -> list[int]:
    """The questions by the reference measure, falling; of equal ones by their votes."""
    column = found.columns.get(found.reference)
    uncertainty = False
    if found.reference in found.measures:
        uncertainty = found.measures[found.reference].rises_with == "uncertainty"
    keys = []
    for place, answers in enumerate(found.questions):
        votes = np.sort(answers.votes)[::-1] / len(answers)
        value = float(votes[0]) if column is None and len(votes) else 0.0
        if column is not None:
            value = float(column[place])
        keys.append((value if uncertainty else -value, tuple((-votes).tolist()), place))
    return [place for _, _, place in sorted(keys)]


def _ranked(found: QuestionsFound, place: int) -> list[int]:
    """The sets of a question: the leading one, then by votes, then as they came."""
    answers = found.questions[place]
    votes, leader = answers.votes.tolist(), int(found.leaders.labels[place])
    return sorted(range(len(votes)), key=lambda k: (k != leader, -votes[k], k))


def _picture(
    found: QuestionsFound, order: Sequence[int], ranked: Sequence[Sequence[int]]
) -> str:
    step = -(-len(order) // _DRAWN)
    places, sets = order[::step], ranked[::step]
    widest = max(len(found.questions[place]) for place in places)
    cells = np.full((len(places), widest), NOTHING, dtype=np.int64)
    for row, (place, ranks) in enumerate(zip(places, sets, strict=True)):
        _fill(cells[row], found.questions[place], ranks)
    wrong = None
    if found.right is not None:
        wrong = ~found.right[np.array(places, dtype=np.int64)].astype(np.bool_)
    label = f"the answers of {len(places):,} questions, a row a question"
    return vote_map(cells, wrong=wrong, label=label)


def _fill(row: Int[np.ndarray, " _"], answers: Answers, ranks: Sequence[int]) -> None:
    begin = 0
    for rank, label in enumerate(ranks):
        end = begin + int(answers.votes[label])
        row[begin:end] = min(rank, _ABSENT - 1)
        begin = end
    row[begin : begin + answers.invalid] = _ABSENT


def _fitting(
    found: QuestionsFound, order: Sequence[int], ranked: Sequence[Sequence[int]]
) -> tuple[str, _Lengths]:
    """The data of the list, as long as it may be.

    How long it will be is first seen on some of the questions.
    """
    written, lengths = "", _TOLD[-1]
    step = max(1, len(order) // _TRIED)
    for lengths in _TOLD:
        some = _written(found, order[::step], ranked[::step], lengths)
        if lengths is not _TOLD[-1] and len(some) * step > 1.05 * LARGEST_DATA:
            continue
        written = some if step == 1 else _written(found, order, ranked, lengths)
        if len(written) <= LARGEST_DATA:
            break
    return written, lengths


def _written(
    found: QuestionsFound,
    order: Sequence[int],
    ranked: Sequence[Sequence[int]],
    lengths: _Lengths,
) -> str:
    details = {name: number for number, name in enumerate(found.details)}
    rows = [
        _row(found, place, sets, lengths=lengths, details=details)
        for place, sets in zip(order, ranked, strict=True)
    ]
    samples = max(map(len, found.questions))
    head = {"rows": rows, "samples": samples, "gold": found.right is not None}
    return json_island(head)


def _row(
    found: QuestionsFound,
    place: int,
    ranks: Sequence[int],
    *,
    lengths: _Lengths,
    details: Mapping[str, int],
) -> list[Any]:
    """What the list has of a question, in the order in which the script reads it.

    Place, id, question, votes, keys, texts, sets and votes left out, samples without
    an answer, right (1, 0, or null), tied, probability, detail.
    """
    answers, shown = found.questions[place], ranks[: lengths.sets]
    hidden = ranks[lengths.sets :]
    told = [_told(answers, label) for label in shown]
    chance = found.probabilities
    return [
        place,
        short(answers.id, lengths.name),
        short(answers.question, lengths.question) if lengths.question else "",
        [int(answers.votes[label]) for label in shown],
        [short(head, lengths.key) for head, _ in told],
        [short(text, lengths.text) if lengths.text else "" for _, text in told],
        [len(hidden), sum(int(answers.votes[label]) for label in hidden)],
        answers.invalid,
        None if found.right is None else int(found.right[place]),
        int(found.leaders.tied[place]),
        None if chance is None else round(float(chance[place]), 3),
        details.get(answers.id),
    ]


def _told(answers: Answers, label: int) -> tuple[str, str]:
    """What a set says, and its first sample in full unless that says no more."""
    key = answers.keys[label]
    text = answers.texts[int((answers.labels == label).argmax())]
    return (text.strip(), "") if says_no_more(text, key) else (key, text)


def _key(found: QuestionsFound) -> str:
    rows = [
        f'<li><i class="swatch" style="background:var(--r{k})"></i> {name}</li>'
        for k, name in enumerate(_NAMES)
    ]
    if found.right is not None:
        rows.append(
            '<li><i class="swatch wrong"></i> the leading answer is wrong '
            "(beside the map)</li>"
        )
    return f'<ul class="key ranks">{"".join(rows)}</ul>'


def _caption(found: QuestionsFound, lengths: _Lengths) -> str:
    words = (
        f"A row of the map is a question, sorted by {called(found.reference)}; its "
        "cells are the samples, coloured by how many others gave the same answer."
    )
    left = len(found.questions) - MOST_QUESTIONS
    if left > 0:
        words += f" The {left:,} least sure questions are left out."
    step = -(-min(len(found.questions), MOST_QUESTIONS) // _DRAWN)
    if step > 1:
        words += f" One question in {step} is drawn; the list has the others too."
    if lengths is not _TOLD[0]:
        words += (
            " To keep the file small the list holds of each question at most "
            f"{lengths.sets} sets, and of a sample "
        )
        words += f"{lengths.text} characters." if lengths.text else "only its answer."
    return words
