"""One function for every format: which one it is, and what it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from nescio.errors import InvalidInput, SchemaError
from nescio.imports.answering import Reading
from nescio.imports.assembling import assembled
from nescio.imports.entries import Entries, Entry, entries_of
from nescio.imports.imported import Fact, Imported, Note, OutcomesFrom, Skipped
from nescio.imports.inspect_log import is_log, read_inspect
from nescio.imports.lm_eval import read_lm_eval
from nescio.imports.openai_batch import read_batch
from nescio.imports.stored_responses import is_llama, is_vllm, read_responses

__all__ = ["FORMATS", "format_of_entry", "import_file"]

FORMATS: Mapping[str, Callable[..., Iterator[Fact]]] = {
    "openai-batch": read_batch,
    "openai-responses": read_responses,
    "vllm": read_responses,
    "llama.cpp": read_responses,
    "lm-eval": read_lm_eval,
    "inspect": read_inspect,
}
"""How each format is read."""

_LOOKED_AT = 100
_PLAIN = OutcomesFrom()


def import_file(
    path: str | Path,
    *,
    format: str | None = None,
    vocabulary_size: int | None = None,
    rounding: float = 2e-4,
    requests: str | Path | None = None,
    outcomes: OutcomesFrom = _PLAIN,
) -> Imported:
    r"""What another program stored: samples, traces, scored texts, outcomes.

    Nothing is made up. Entropies are bounds, since such files hold a few candidates a
    token at most. A prompt that is not stored is stated as unknown. Outcomes need a
    confidence and a verdict that are both in the file. What cannot be read is listed in
    ``skipped``; a file of which nothing can be read is refused.

    Args:
        path: an OpenAI batch's output, responses as they came (one JSON object or one a
            line), lm-eval's ``samples_*.jsonl``, or an Inspect log.
        format: one of `FORMATS`; None: by what the file holds.
        vocabulary_size: of the model; without it entropies have no upper bound.
        rounding: by how much the sum of printed probabilities may be off.
        requests: the input of an OpenAI batch, for its prompts and settings.
        outcomes: what confidence and correctness are read from.

    Raises:
        SchemaError: a file that is none of these, or of which nothing can be read.
        InvalidInput: no such file or format; a metric that the file does not have; a
            vocabulary or a rounding that cannot be.

    Example:
        >>> import json, pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "answer.json"
        >>> choice = {"text": " 12", "logprobs": {"tokens": [" 12"],
        ...     "token_logprobs": [-0.5], "top_logprobs": [{" 12": -0.5, " 13": -1.5}]}}
        >>> _ = path.write_text(json.dumps({"id": "a", "choices": [choice]}))
        >>> found = import_file(path, vocabulary_size=100)
        >>> found.format, found.samples[0][1].texts, found.without_prompt
        ('openai-responses', (' 12',), ('a',))
    """
    path, reading = Path(path), _reading(format, vocabulary_size, rounding)
    given = None if requests is None else Path(requests)
    try:
        entries = entries_of(path)
        if format is None:
            reading, entries = _recognised(entries, reading)
        reader = _reader(reading.format, outcomes)
        facts = list(reader(entries, reading, given))
        _check_something_read(reading.format, facts)
    except SchemaError as error:
        raise SchemaError(f"{path.name}: {error}") from error
    return assembled(facts, reading.format, outcomes)


def _reader(name: str, outcomes: OutcomesFrom) -> Callable[..., Iterator[Fact]]:
    if name == "lm-eval":
        return partial(FORMATS[name], normalise=outcomes.normalise)
    if outcomes.normalise != "none":
        raise InvalidInput(
            f"the format {name} has no options of a multiple choice: there is nothing "
            "to normalise"
        )
    return FORMATS[name]


def _reading(name: str | None, vocabulary_size: int | None, rounding: float) -> Reading:
    if name is not None and name not in FORMATS:
        raise InvalidInput(f"unknown format {name!r}: one of {', '.join(FORMATS)}")
    if vocabulary_size is not None and vocabulary_size < 1:
        raise InvalidInput(f"a vocabulary has 1 token at least, not {vocabulary_size}")
    if not 0.0 <= rounding < 1.0:
        raise InvalidInput(f"rounding is {rounding}: give a number in [0, 1)")
    return Reading(name or "", vocabulary_size, rounding)


def _recognised(entries: Entries, reading: Reading) -> tuple[Reading, Entries]:
    """The format of the first object that has one, and the entries from the start."""
    looked_at: list[Entry] = []
    for where, entry in entries:
        looked_at.append((where, entry))
        name = None if isinstance(entry, str) else format_of_entry(entry)
        if name is not None:
            return (
                Reading(name, reading.vocabulary_size, reading.rounding),
                chain(looked_at, entries),
            )
        if len(looked_at) == _LOOKED_AT:
            break
    raise SchemaError(_unknown(looked_at))


def _unknown(entries: list[Entry]) -> str:
    good = [(where, entry) for where, entry in entries if not isinstance(entry, str)]
    known = f"nothing that nescio reads ({', '.join(FORMATS)})"
    if good:
        where, entry = good[0]
        return f"{known}: {where} has the fields {sorted(entry)!r:.200}"
    if entries:
        return f"{known}: {entries[0][0]} is {entries[0][1]}"
    return "there is nothing in it"


def format_of_entry(entry: Mapping[str, Any]) -> str | None:
    """The format that an object belongs to, by its fields; None: none of them.

    Example:
        >>> format_of_entry({"doc_id": 0, "resps": [["a"]], "arguments": {}})
        'lm-eval'
    """
    if "custom_id" in entry:
        return "openai-batch"
    if "doc_id" in entry and "resps" in entry:
        return "lm-eval"
    if is_log(entry):
        return "inspect"
    if is_llama(entry):
        return "llama.cpp"
    if is_vllm(entry):
        return "vllm"
    return "openai-responses" if "choices" in entry else None


def _check_something_read(name: str, facts: list[Fact]) -> None:
    """Refuse a file of which nothing could be read, with the first reason."""
    if any(not isinstance(fact, Note | Skipped) for fact in facts):
        return
    skipped = [fact for fact in facts if isinstance(fact, Skipped)]
    if not skipped:
        raise SchemaError("there is nothing in it")
    first = skipped[0]
    raise SchemaError(
        f"nothing in it can be read as {name} ({len(skipped)} entries); "
        f"{first.where}: {first.reason}"
    )
