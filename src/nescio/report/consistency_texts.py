"""Texts of samples on a page: cut at a length that is said, and never markup."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass

from nescio.consistency.answers import INVALID, Answers
from nescio.evaluation.consistency_found import AnswerSet, QuestionFound
from nescio.outcome import Estimate
from nescio.report.numbers import interval_text, kind_text, unit_text, value_text
from nescio.strings import normalised
from nescio.visible import visible

__all__ = [
    "Rows",
    "answer_of",
    "called",
    "cut",
    "key_of",
    "quoted",
    "rows_by_set",
    "says_no_more",
    "set_name",
    "short",
    "worded",
]

_LONG_KEY = 200  # characters; a longer key is a whole text again
_SCROLLS = 500  # characters from which a text has its own scroll bar


def cut(text: str, most: int) -> str:
    r"""At most so many characters, made visible, and how many there are in all.

    Example:
        >>> cut("abcdef\x00", 3)
        'abc… (cut: 7 characters in all)'
    """
    shown = visible(text[:most], keep="\n")
    if len(text) <= most:
        return shown
    return f"{shown}… (cut: {len(text):,} characters in all)"


def short(text: str, most: int = 200) -> str:
    r"""At most so many characters in one line, for names.

    Example:
        >>> short("two\nlines", 4)
        'two␊…'
    """
    return visible(text[:most]) + "…" * (len(text) > most)


def called(name: str, most: int = 60) -> str:
    """A measure's name in words, which may be broken between lines.

    Example:
        >>> called("number_of_sets")
        'number of sets'
    """
    return short(name, most).replace("_", " ")


def quoted(text: str, most: int, *, style: str = "") -> str:
    """A text as an element of its own, whose direction touches nothing around it."""
    shown = html.escape(cut(text, most))
    if not text:
        shown = "<i>empty</i>"
    named = f' class="{style}"' if style else ""
    scrolls = ' tabindex="0"' if len(text) > _SCROLLS < most else ""
    return f'<q dir="auto"{named}{scrolls}>{shown}</q>'


def worded(estimate: Estimate) -> str:
    """Value, unit and interval in a line: never a number alone.

    Example:
        >>> from nescio.outcome import Recipe
        >>> worded(Estimate("agreement", 0.6, "1", 20, "confidence", "redraws",
        ...                 Recipe("agreement"), 0.36, 0.81, 0.95))
        '0.60 (0.36 to 0.81, 95 % confidence)'
    """
    unit = unit_text(estimate)
    number = f"{value_text(estimate)} {unit}".strip()
    limits = interval_text(estimate)
    kind = kind_text(estimate)
    return f"{number} ({kind})" if limits == "–" else f"{number} ({limits}, {kind})"


@dataclass(frozen=True)
class Rows:
    """The samples by set: those of the first set first, each set as they were drawn.

    Args:
        order: places of samples, [n].
        place: which of the sets each is in, in the order of `QuestionFound.sets`.
    """

    order: tuple[int, ...]
    place: tuple[int, ...]


def rows_by_set(found: QuestionFound) -> Rows:
    """The samples in the order of the sets; of a set that is not listed, last."""
    places: Mapping[int, int] = {one.label: k for k, one in enumerate(found.sets)}
    of_sample = [
        places.get(label, len(found.sets)) for label in found.answers.labels.tolist()
    ]
    order = sorted(
        range(len(of_sample)), key=lambda sample: (of_sample[sample], sample)
    )
    return Rows(tuple(order), tuple(of_sample))


def set_name(found: QuestionFound, place: int) -> str:
    """How a set is called: by its place, or that it holds no valid answer."""
    if place < len(found.sets) and found.sets[place].label == INVALID:
        return "no answer"
    return f"set {place + 1}"


def answer_of(found: QuestionFound, one: AnswerSet) -> str:
    """What a set says, as short as it is known: the answer, its key, or the text."""
    text, key = found.answers.texts[one.representative], key_of(found.answers, one)
    if found.said and key:
        return found.said[one.representative].strip()
    if not key or len(key) > _LONG_KEY:
        return text.strip()
    return text.strip() if says_no_more(text, key) else key


def says_no_more(text: str, key: str) -> bool:
    """Whether a text is its canonical form but for case, spaces and the like.

    Example:
        >>> says_no_more(" Sea.", "sea"), says_no_more("It is the sea.", "sea")
        (True, False)
    """
    return len(text) <= _LONG_KEY and normalised(text) == key


def key_of(answers: Answers, one: AnswerSet) -> str:
    """The canonical form of a set; empty for samples without a valid answer."""
    return "" if one.label == INVALID else answers.keys[one.label]
