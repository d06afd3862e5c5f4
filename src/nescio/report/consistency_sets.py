"""The sets of a question as bars with intervals, and every sample as it was drawn."""

from __future__ import annotations

from collections.abc import Sequence

from nescio.consistency.answers import INVALID
from nescio.evaluation.consistency_found import AnswerSet, QuestionFound
from nescio.plot.svg import number
from nescio.report.consistency_texts import (
    answer_of,
    key_of,
    quoted,
    rows_by_set,
    set_name,
    worded,
)
from nescio.report.estimates_html import safe
from nescio.report.trace_page import STOPS
from nescio.units import convert_factor

__all__ = ["LISTED", "samples_section", "sets_section"]

LISTED = 1000
"""How many samples a page lists."""
_SETS = 60
_LONGEST, _SHORTEST, _TEXTS = 8_000, 200, 300_000
_REPRESENTATIVE = 400
_WIDE = 400


def sets_section(found: QuestionFound) -> str:
    """Each set with its representative and its share, with the share's interval."""
    shown = found.sets[:_SETS]
    items = "".join(_set(found, place) for place in range(len(shown)))
    hidden = found.sets[_SETS:]
    left_out = ""
    if hidden:
        votes = sum(one.votes for one in hidden)
        left_out = f"<p>{len(hidden):,} smaller sets with {votes:,} samples are not "
        left_out += "shown here; their samples are in the list.</p>"
    return f"""<section class="part sets-part">
<h2>What do they say?</h2>
<p>Samples that give the same answer are one set. The bar is the set's share of all \
samples, the line on it the interval: how the share would vary if as many were drawn \
again.</p>
<ol class="sets">{items}</ol>{left_out}
</section>"""


def samples_section(
    found: QuestionFound, *, prefix: str, unit: str, stops: Sequence[str | None]
) -> str:
    """Every sample with its set, log-probability and end, by set.

    Args:
        found: the question.
        prefix: of the elements' ids: sample 3 is ``<prefix>3``.
        unit: of log-probabilities, ``"bits"`` or ``"nats"``.
        stops: why each sample ended; empty: not known.
    """
    rows = rows_by_set(found)
    listed = rows.order[:LISTED]
    most = max(_SHORTEST, min(_LONGEST, _TEXTS // len(listed)))
    items = []
    for sample in listed:
        place = rows.place[sample]
        told = _facts(found, sample, place, unit=unit, stops=stops)
        text = quoted(found.answers.texts[sample], most)
        items.append(
            f'<li id="{prefix}{sample}"{_void(found, place)}>'
            f"<div>{told}</div>{text}</li>"
        )
    count = len(found.answers)
    open_ = " open" if count <= 40 else ""
    left_out = ""
    if count > LISTED:
        left_out = f"<p>{count - LISTED:,} of {count:,} samples are left out.</p>"
    return f"""<section class="part">
<h2>All samples</h2>
<details{open_}><summary>{count:,} samples, set by set, each as it was drawn</summary>
<ol class="samples">{"".join(items)}</ol>{left_out}</details>
</section>"""


def _set(found: QuestionFound, place: int) -> str:
    one = found.sets[place]
    invalid = one.label == INVALID
    votes = f"{one.votes:,} of {len(found.answers):,}"
    mark = ""
    if not invalid and one.right is not None:
        mark = _GOLD if one.right else _NOT_GOLD
    if invalid:
        mark = '<span class="mark">no valid answer: counted for no set</span>'
    classes = "invalid" if invalid else ("right" if one.right else "")
    return (
        f'<li class="{classes}"><div class="said"><b class="tag">'
        f"{safe(set_name(found, place))}</b>{_texts(found, one)}{mark}</div>"
        f'<div class="held">{_bar(one)}<span>{safe(votes)}: share '
        f"{safe(worded(one.share))}</span></div></li>"
    )


_GOLD = '<span class="mark gold">✓ the right answer</span>'
_NOT_GOLD = '<span class="mark">✗ not the right answer</span>'


def _texts(found: QuestionFound, one: AnswerSet) -> str:
    """The answer, and below it the sample that stands for the set, if it says more."""
    text, said = found.answers.texts[one.representative], answer_of(found, one)
    first = quoted(said, _REPRESENTATIVE, style="answer")
    if said == text.strip() or not key_of(found.answers, one):
        return first
    more = quoted(text, _REPRESENTATIVE, style="more")
    return f"{first}<small>as in sample {one.representative + 1}</small>{more}"


def _bar(one: AnswerSet) -> str:
    """The share from 0 to 1, and its interval as a line with ends."""
    share = one.share.value
    drawn = f'<rect class="track" x="0" y="3" width="{_WIDE}" height="12"/>'
    if share is not None:
        wide = number(share * _WIDE)
        drawn += f'<rect class="bar" x="0" y="3" width="{wide}" height="12"/>'
    if one.share.low is not None and one.share.high is not None:
        low, high = (number(x * _WIDE) for x in (one.share.low, one.share.high))
        drawn += (
            f'<path class="range" d="M{low} 9H{high}M{low} 4v10M{high} 4v10" '
            f'fill="none"/>'
        )
    return (
        f'<svg class="share" viewBox="0 0 {_WIDE} 18" preserveAspectRatio="none" '
        f'role="img" aria-label="share {safe(worded(one.share))}">{drawn}</svg>'
    )


def _void(found: QuestionFound, place: int) -> str:
    invalid = place < len(found.sets) and found.sets[place].label == INVALID
    return ' class="invalid"' if invalid else ""


def _facts(
    found: QuestionFound,
    sample: int,
    place: int,
    *,
    unit: str,
    stops: Sequence[str | None],
) -> str:
    answers = found.answers
    facts = [f"<b>#{sample + 1}</b>", safe(set_name(found, place))]
    if answers.total_logp is not None:
        logp = float(answers.total_logp[sample]) * convert_factor("nats", to=unit)
        written = "−∞" if logp == float("-inf") else f"{logp:.2f}".replace("-", "−")
        facts.append(f"log-probability {written} {unit}")
    if answers.token_count is not None:
        facts.append(f"{int(answers.token_count[sample]):,} tokens")
    stop = stops[sample] if sample < len(stops) else None
    if stop is not None:
        facts.append(safe(STOPS.get(stop, stop)))
    return " · ".join(facts)
