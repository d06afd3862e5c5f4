"""The ``samples_*.jsonl`` of the LM Evaluation Harness (lm-eval 0.4)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import repr as short
from typing import Any

from nescio.errors import NescioError, SchemaError
from nescio.imports.answering import Reading
from nescio.imports.entries import Entries
from nescio.imports.fields import conversation, item_id
from nescio.imports.imported import (
    Answers,
    Choice,
    Fact,
    Mark,
    Normalise,
    Scored,
    Skipped,
)
from nescio.imports.multiple_choice import Option, choice_of, conditional
from nescio.responses.parsing import utf8
from nescio.responses.revealed import checked_logp
from nescio.trace import Prompt, Sample

__all__ = ["VERDICTS", "read_lm_eval"]

VERDICTS = ("acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match")
"""The metrics that say of one item whether it is right."""


@dataclass(frozen=True)
class _Row:
    """A row: an item under one filter."""

    item: str
    filter: str
    arguments: Sequence[Sequence[Any]]
    responses: Sequence[Sequence[Any]]
    fields: Mapping[str, Any]


@dataclass
class _Seen:
    """Which items stood before, so that other filters add verdicts alone."""

    rows: dict[tuple[str, str], str] = field(default_factory=dict)
    responses: dict[str, Any] = field(default_factory=dict)


def read_lm_eval(
    entries: Entries,
    reading: Reading,  # noqa: ARG001
    requests: Path | None = None,
    *,
    normalise: Normalise = "none",
) -> Iterator[Fact]:
    """Answers, scored texts, choices and verdicts; an item a ``doc_id``.

    A document stands once a filter; its responses are taken from the first.

    Raises:
        SchemaError: requests were given; the harness stores them itself.
    """
    if requests is not None:
        raise SchemaError("requests go with OpenAI batches only; lm-eval stores them")
    seen = _Seen()
    for where, entry in entries:
        if isinstance(entry, str):
            yield Skipped(where, entry)
            continue
        try:
            row = _row(entry)
            place = f"{where} (doc_id {row.item})"
            before = seen.rows.setdefault((row.item, row.filter), where)
            if before != where:
                raise SchemaError(
                    f"doc_id {row.item!r}, filter {row.filter!r} is on {before} too"
                )
            if seen.responses.setdefault(row.item, row.responses) is row.responses:
                yield from list(_contents(row, normalise))
            elif seen.responses[row.item] != row.responses:
                raise SchemaError("other responses than under the filter before")
            yield from _verdicts(row, place)
        except NescioError as error:
            yield Skipped(where, str(error))


def _row(entry: Mapping[str, Any]) -> _Row:
    responses = entry.get("resps")
    if not isinstance(responses, list) or not all(
        isinstance(one, list) and one for one in responses
    ):
        raise SchemaError(f"resps are {short(responses)}, no array of arrays")
    arguments = _arguments(entry.get("arguments"))
    if len(arguments) != len(responses) or not responses:
        raise SchemaError(f"{len(arguments)} arguments for {len(responses)} responses")
    name = entry.get("filter", "none")
    if not isinstance(name, str):
        raise SchemaError(f"its filter is {short(name)}, no text")
    return _Row(item_id(entry.get("doc_id")), name, arguments, responses, entry)


def _arguments(given: Any) -> list[list[Any]]:
    """The arguments of every request, in both ways that the harness wrote them."""
    if isinstance(given, Mapping):
        found = [given.get(f"gen_args_{place}") for place in range(len(given))]
        given = [
            [one.get(f"arg_{place}") for place in range(len(one))]
            if isinstance(one, Mapping)
            else one
            for one in found
        ]
    if not isinstance(given, list) or not all(
        isinstance(one, list) and one for one in given
    ):
        raise SchemaError(f"arguments are {short(given)}, nothing that lm-eval writes")
    return given


def _contents(row: _Row, normalise: Normalise) -> Iterator[Fact]:
    first = row.arguments[0]
    if len(first) == 1:
        yield _rolling(row)
    elif isinstance(first[1], Mapping):
        yield _generated(row)
    else:
        options = [_option(row, place) for place in range(len(row.arguments))]
        for option in options:
            logp, greedy = option.logp, option.greedy
            yield Scored(row.item, option.context, option.text, logp, greedy)
        if len(options) > 1:
            given = conditional(options)
            labels, correct = choice_of(given, row.fields, normalise)
            scores = tuple(option.score(normalise) for option in given)
            yield Choice(row.item, scores, labels, correct)


def _option(row: _Row, place: int) -> Option:
    if len(row.arguments[place]) != 2:
        raise SchemaError(f"a request has {len(row.arguments[place])} arguments, not 2")
    context, text = (_text(one) for one in row.arguments[place])
    response = row.responses[place][0]
    if not isinstance(response, list) or len(response) != 2:
        raise SchemaError(
            f"a response is {short(response)}, no log-likelihood and no greedy or not"
        )
    greedy = {"True": True, "False": False}.get(str(response[1]))
    return Option(context, text, _logp(response[0], text), greedy)


def _rolling(row: _Row) -> Scored:
    text = _text(row.arguments[0][0])
    if len(row.responses) != 1:
        raise SchemaError(f"{len(row.responses)} responses for one document")
    return Scored(row.item, None, text, _logp(row.responses[0][0], text))


def _generated(row: _Row) -> Answers:
    if len(row.responses) != 1:
        raise SchemaError(f"{len(row.responses)} requests to generate for one document")
    answers = [
        Sample(_text(text), draw=draw) for draw, text in enumerate(row.responses[0])
    ]
    return Answers(row.item, _prompt(row.arguments[0][0]), tuple(answers))


def _prompt(given: Any) -> Prompt:
    """A text, or messages as the harness wraps them for chat APIs."""
    if not isinstance(given, list):
        return Prompt(text=_text(given))
    if len(given) != 1 or not isinstance(given[0], str):
        raise SchemaError(f"its prompt is {short(given)}, no text and no messages")
    try:
        return conversation(json.loads(given[0]))
    except (RecursionError, ValueError) as error:
        raise SchemaError(f"its messages cannot be read: {error}") from error


def _verdicts(row: _Row, where: str) -> Iterator[Fact]:
    generated = len(row.arguments[0]) > 1 and isinstance(row.arguments[0][1], Mapping)
    draw = 0 if generated and len(row.responses[0]) == 1 else None
    for metric in VERDICTS:
        value = row.fields.get(metric)
        if value is None:
            continue
        name = f"{metric},{row.filter}"
        if isinstance(value, bool | int | float) and value in (0, 1):
            yield Mark(row.item, draw, name, bool(value))
        else:
            reason = f"{metric} is {short(value)}: neither right (1) nor wrong (0)"
            yield Skipped(f"{where}, {name}", reason)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise SchemaError(f"{short(value)} stands where a text should")
    utf8(value)
    return value


def _logp(value: Any, text: str) -> float:
    """A log-likelihood, which the harness writes as a text or as a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise SchemaError(f"the log-likelihood is {short(value)}, no number")
    try:
        number = float(value)
    except (OverflowError, ValueError) as error:
        raise SchemaError(f"the log-likelihood is {short(value)}, no number") from error
    if math.isnan(number):
        raise SchemaError(f"the log-likelihood of {short(text)} is NaN")
    return checked_logp(number, text.encode())
