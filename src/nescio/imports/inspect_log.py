"""Logs of Inspect: ``.eval``, a zip of JSON, and the older ``.json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from reprlib import repr as short
from typing import Any

from nescio.errors import NescioError, SchemaError
from nescio.imports.answering import Asked, Reading, sample_of, source_of
from nescio.imports.entries import Entries
from nescio.imports.fields import (
    conversation,
    item_id,
    settings_in,
    text_of,
    whole_number,
)
from nescio.imports.imported import Answers, Fact, Mark, Note, Skipped
from nescio.responses import Source, read_chat
from nescio.responses.tokens import listed_tokens
from nescio.trace import Prompt, Sample

__all__ = ["is_log", "read_inspect"]

_ENDED = {
    "stop": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "content_filter",
}
_TRUTHS = {"C": True, "I": False, "N": False}
"""Inspect's letters: correct, incorrect, no answer. P, partly, is neither."""


@dataclass
class _Log:
    """What the header says, and how many answers an item has so far."""

    asked: Asked
    reading: Reading
    model: str
    draws: Counter[str] = field(default_factory=Counter)
    seen: dict[tuple[str, int], str] = field(default_factory=dict)


def is_log(entry: Mapping[str, Any]) -> bool:
    """Whether an object is the header of a log, or a whole one."""
    return isinstance(entry.get("eval"), Mapping) and "version" in entry


def read_inspect(
    entries: Entries, reading: Reading, requests: Path | None = None
) -> Iterator[Fact]:
    """Answers and verdicts: an item a sample, its epochs are draws.

    Raises:
        SchemaError: no log; requests were given, which a log holds itself.
    """
    if requests is not None:
        raise SchemaError("requests go with OpenAI batches only; a log holds them")
    where, header = next(entries, ("the file", "there is nothing in it"))
    if isinstance(header, str) or not is_log(header):
        reason = header if isinstance(header, str) else "no header of a log"
        raise SchemaError(f"{where}: {reason}")
    log = _log(header, reading)
    yield from _status(header)
    for place, entry in _listed(header):
        yield from _sample(log, place, entry)
    for place, entry in entries:
        yield from _sample(log, place, entry)


def _log(header: Mapping[str, Any], reading: Reading) -> _Log:
    told = header["eval"]
    plan = header.get("plan")
    config = plan.get("config") if isinstance(plan, Mapping) else None
    settings = settings_in(told.get("model_generate_config")) | settings_in(config)
    model = told.get("model")
    return _Log(Asked(None, settings), reading, model if isinstance(model, str) else "")


def _status(header: Mapping[str, Any]) -> Iterator[Fact]:
    status = header.get("status")
    if status != "success":
        yield Note(f"the evaluation did not end well; its status is {short(status)}")


def _listed(header: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The samples of a log that is one JSON object."""
    samples = header.get("samples")
    for number, entry in enumerate(samples if isinstance(samples, list) else (), 1):
        yield f"sample {number}", entry


def _sample(log: _Log, where: str, entry: Any) -> Iterator[Fact]:
    if isinstance(entry, str):
        yield Skipped(where, entry)
        return
    try:
        if not isinstance(entry, Mapping):
            raise SchemaError(f"{short(entry)} is no object")
        yield from list(_facts(log, where, entry))
    except NescioError as error:
        yield Skipped(where, str(error))


def _facts(log: _Log, where: str, entry: Mapping[str, Any]) -> Iterator[Fact]:
    item, epoch = (
        item_id(entry.get("id")),
        whole_number(entry.get("epoch"), "its epoch"),
    )
    place = f"{where} (id {item}, epoch {epoch})"
    if (item, epoch) in log.seen:
        raise SchemaError(f"id {item!r}, epoch {epoch} is {log.seen[item, epoch]} too")
    log.seen[item, epoch] = where
    _check_valid(entry)
    try:
        prompt = _prompt(entry)
    except NescioError as error:
        prompt = None
        yield Note(f"{place}: the prompt is unknown: {error}")
    answers, attachments = [], _attachments(entry)
    asked, source = replace(log.asked, prompt=prompt), _source(log, entry)
    for choice in _choices(entry):
        draw = log.draws[item] + len(answers)
        answer, problem = _answer(choice, asked, source, attachments)
        answers.append(replace(answer, draw=draw))
        if problem:
            yield Skipped(f"{place}, answer {draw}, log-probabilities", problem)
    yield Answers(item, prompt, tuple(answers))
    yield from _verdicts(entry, item, log.draws[item], place)
    log.draws[item] += len(answers)


def _check_valid(entry: Mapping[str, Any]) -> None:
    error = entry.get("error")
    if error is not None:
        message = error.get("message") if isinstance(error, Mapping) else error
        raise SchemaError(f"the sample failed: {short(message)}")
    if entry.get("invalidation") is not None:
        raise SchemaError("the sample was declared invalid")


def _prompt(entry: Mapping[str, Any]) -> Prompt:
    """What the model saw before its last answer."""
    attachments = _attachments(entry)
    messages = entry.get("messages")
    if isinstance(messages, list) and messages:
        last = messages[-1]
        answered = isinstance(last, Mapping) and last.get("role") == "assistant"
        return conversation(messages[:-1] if answered else messages, attachments)
    given = entry.get("input")
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    return conversation(given, attachments)


def _attachments(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    found = entry.get("attachments")
    return found if isinstance(found, Mapping) else {}


def _choices(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    output = entry.get("output")
    choices = output.get("choices") if isinstance(output, Mapping) else None
    if not isinstance(choices, list) or not choices:
        raise SchemaError("the sample has no answer (output.choices)")
    for choice in choices:
        if not isinstance(choice, Mapping) or not isinstance(
            choice.get("message"), Mapping
        ):
            raise SchemaError(f"a choice is {short(choice)}, no object with a message")
    return choices


def _answer(
    choice: Mapping[str, Any],
    asked: Asked,
    source: Source,
    attachments: Mapping[str, Any],
) -> tuple[Sample, str | None]:
    """An answer with its trace, or without it and why."""
    text = text_of(choice["message"].get("content"), attachments)
    reason = _ENDED.get(str(choice.get("stop_reason")))
    body = {"message": {"content": text}, "finish_reason": reason}
    try:
        told = body | {"logprobs": choice.get("logprobs")}
        (response,) = read_chat({"choices": [told]}, stop=asked.stop)
        response = replace(response, prompt_tokens=_scored_prompt(choice))
        return sample_of(response, asked.prompt, source, 0), None
    except NescioError as error:
        (bare,) = read_chat({"choices": [body]})
        return sample_of(bare, asked.prompt, source, 0), str(error)


def _source(log: _Log, entry: Mapping[str, Any]) -> Source:
    """The model as the header calls it, else as the answer does."""
    output = entry.get("output")
    named = log.model or (output.get("model") if isinstance(output, Mapping) else None)
    return source_of({"model": named}, log.asked, log.reading)


def _scored_prompt(choice: Mapping[str, Any]) -> Any:
    """The prompt's tokens, where vLLM scored them."""
    scored = choice.get("prompt_logprobs")
    if not isinstance(scored, Mapping) or not isinstance(scored.get("content"), list):
        return None
    return listed_tokens(scored["content"])


def _verdicts(
    entry: Mapping[str, Any], item: str, draw: int, where: str
) -> Iterator[Fact]:
    """What scorers say of the first answer of a sample."""
    scores = entry.get("scores")
    for name, score in (scores if isinstance(scores, Mapping) else {}).items():
        value = score.get("value") if isinstance(score, Mapping) else None
        parts = value.items() if isinstance(value, Mapping) else [(None, value)]
        for part, one in parts:
            called = str(name) if part is None else f"{name}/{part}"
            verdict = _truth(one)
            if verdict is None:
                reason = f"its value is {short(one)}: neither right nor wrong"
                yield Skipped(f"{where}, score {called}", reason)
            else:
                yield Mark(item, draw, called, verdict)


def _truth(value: Any) -> bool | None:
    if isinstance(value, str):
        return _TRUTHS.get(value)
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    return None
