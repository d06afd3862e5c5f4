"""Rows of a file of samples, taken as exactly what they should be or refused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from reprlib import repr as short
from typing import TYPE_CHECKING, Any

from nescio.errors import InvalidInput, SchemaError
from nescio.strings import well_formed

if TYPE_CHECKING:
    from nescio.trace import Sample, Samples

__all__ = [
    "Fields",
    "ReadQuestion",
    "field_of",
    "labels_of",
    "name_of",
    "nested_question",
    "question_of",
    "sample_of",
    "wide_question",
]

_LOGP = ("logprob", "total_logp", "log_probability")
_TOKENS = ("tokens", "token_count")
_MOST_TOKENS = 2**53


@dataclass(frozen=True)
class Fields:
    """Which field of a row is what; one inside another by its path, "meta.subject".

    Args:
        id: the name of a question; None: ``id`` where there is one, else its place.
        samples: a list of samples; None: ``samples``.
        text: of one sample, where a row is a sample; None: ``text`` where there is one.
        prompt: what was asked; None: ``prompt`` where there is one.
        gold: the right answer, or a list of right ones; None: ``gold`` where there is
            one; empty: gold is left aside.
        group, cluster: None: there is none.
        columns: where a row is a question, and each of these one sample.
    """

    id: str | None = None
    samples: str | None = None
    text: str | None = None
    prompt: str | None = None
    gold: str | None = None
    group: str | None = None
    cluster: str | None = None
    columns: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """The fields that were named, and so have to be there."""
        single = (self.id, self.samples, self.text, self.prompt, self.gold)
        names = (*single, self.group, self.cluster, *self.columns)
        return tuple(dict.fromkeys(name for name in names if name))


@dataclass(frozen=True, eq=False)
class ReadQuestion:
    """A question as it was read.

    Args:
        id: its name.
        samples: of it.
        gold: its right answers; empty: none stands there.
        group, cluster: or None.
    """

    id: str
    samples: Samples
    gold: tuple[str, ...] = ()
    group: str | None = None
    cluster: str | None = None


def field_of(row: Mapping[str, Any], name: str) -> Any:
    """A field by its name, or by its path; None where it is not there.

    Example:
        >>> field_of({"a.b": 1, "c": {"d": 2}}, "a.b"), field_of({"c": {"d": 2}}, "c.d")
        (1, 2)
    """
    if name in row:
        return row[name]
    found: Any = row
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def name_of(value: Any, what: str) -> str:
    """A name: a text or a whole number.

    Raises:
        SchemaError: anything else, and an empty one.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise SchemaError(f"{what} is {short(value)}: a text or a whole number")
    return well_formed(value)


def nested_question(row: Mapping[str, Any], fields: Fields, place: str) -> ReadQuestion:
    """A question whose samples stand in one list.

    Raises:
        SchemaError: no list of samples, or what is none.
    """
    name = fields.samples or "samples"
    listed = field_of(row, name)
    if isinstance(listed, str) and listed.lstrip().startswith("["):
        listed = _json_list(listed, name)
    if not isinstance(listed, list | tuple):
        there = "is missing" if listed is None else f"is {short(listed)}"
        raise SchemaError(f"{name!r} {there}: a list of samples is needed")
    if not listed:
        raise SchemaError(f"{name!r} is empty: at least 2 samples are needed")
    answers = [sample_of(value, draw) for draw, value in enumerate(listed)]
    return question_of(answers, row, fields, place)


def wide_question(row: Mapping[str, Any], fields: Fields, place: str) -> ReadQuestion:
    """A question each of whose samples is a column.

    Raises:
        SchemaError: a column that holds no text.
    """
    answers = []
    for draw, name in enumerate(fields.columns):
        value = field_of(row, name)
        if isinstance(value, bool) or (value is not None and not _is_plain(value)):
            raise SchemaError(f"{name!r} is {short(value)}: a text is needed")
        answers.append(sample_of("" if value is None else _written(value), draw))
    return question_of(answers, row, fields, place)


def question_of(
    answers: Sequence[Sample], row: Mapping[str, Any], fields: Fields, place: str
) -> ReadQuestion:
    """A question of these samples, with what else its row says.

    Raises:
        SchemaError: an id, a gold answer or a label that is none.
    """
    from nescio.trace import Samples

    given = field_of(row, fields.id or "id")
    if given is None and fields.id is not None:
        raise SchemaError(f"{fields.id!r} is missing or null: it names the question")
    name = place if given is None else name_of(given, fields.id or "id")
    group, cluster = labels_of(row, fields)
    samples = Samples(_prompt(row, fields), tuple(answers))
    return ReadQuestion(name, samples, _gold(row, fields), group, cluster)


def labels_of(row: Mapping[str, Any], fields: Fields) -> tuple[str | None, str | None]:
    """The group and the cluster of a row.

    Raises:
        SchemaError: a label that was named and is not there.
    """
    found = []
    for name in (fields.group, fields.cluster):
        value = None if name is None else field_of(row, name)
        if name is not None and value is None:
            raise SchemaError(f"{name!r} is missing or null")
        found.append(None if name is None else name_of(value, repr(name)))
    return found[0], found[1]


def sample_of(value: Any, draw: int) -> Sample:
    """A sample: a text, or an object with ``text``, ``logprob`` and ``tokens``.

    Raises:
        SchemaError: neither, or numbers that are none of a sample.
    """
    from nescio.trace import Sample

    if isinstance(value, str):
        return Sample(value, draw=draw)
    if not isinstance(value, Mapping):
        raise SchemaError(
            f"sample {draw} is {short(value)}: a text is needed, or an object with "
            "text, logprob and tokens; an empty text says nothing"
        )
    text = value.get("text")
    if not isinstance(text, str):
        raise SchemaError(f"sample {draw}: its text is {short(text)}, no text")
    try:
        return Sample(
            text,
            draw=draw,
            total_logp=_logp(value, draw),
            token_count=_tokens(value, draw),
        )
    except InvalidInput as error:
        raise SchemaError(str(error)) from error


def _logp(value: Mapping[str, Any], draw: int) -> float | None:
    found = next((value[n] for n in _LOGP if value.get(n) is not None), None)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise SchemaError(f"sample {draw}: its logprob is {short(found)}, no number")
    try:
        number = float(found)
    except OverflowError:  # a whole number of hundreds of digits
        number = math.inf
    if not math.isfinite(number):
        raise SchemaError(f"sample {draw}: its logprob is {short(found)}, not finite")
    return number


def _tokens(value: Mapping[str, Any], draw: int) -> int | None:
    found = next((value[n] for n in _TOKENS if value.get(n) is not None), None)
    if isinstance(found, list | tuple):
        return len(found)
    if found is None:
        return None
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, bool):
        found = str(found)
    if isinstance(found, int) and 0 <= found < _MOST_TOKENS:
        return found
    raise SchemaError(
        f"sample {draw}: its tokens are {short(found)}, no number of tokens"
    )


def _prompt(row: Mapping[str, Any], fields: Fields) -> Any:
    from nescio.trace import Prompt

    value = field_of(row, fields.prompt or "prompt")
    if fields.prompt is not None and value is None:
        raise SchemaError(f"{fields.prompt!r} is missing or null")
    if value is None:
        return Prompt(text="")
    if isinstance(value, str):
        return Prompt(text=well_formed(value))
    return Prompt(text=well_formed(json.dumps(value, ensure_ascii=False, default=str)))


def _gold(row: Mapping[str, Any], fields: Fields) -> tuple[str, ...]:
    if fields.gold == "":
        return ()
    value = field_of(row, fields.gold or "gold")
    if value is None:
        return ()
    given = value if isinstance(value, list | tuple) else [value]
    for one in given:
        if not isinstance(one, bool) and not _is_plain(one):
            raise SchemaError(f"gold is {short(one)}: a text or a number is needed")
    return tuple(_written(one) for one in given)


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _json_list(text: str, name: str) -> Any:
    """A list that a cell of CSV holds as JSON."""
    try:
        return json.loads(text)
    except (RecursionError, ValueError) as error:
        raise SchemaError(f"{name!r} begins as a JSON list and is none") from error
