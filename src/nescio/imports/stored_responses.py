"""Bodies of responses as they came: of hosted APIs, of vLLM, of llama.cpp's server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nescio.errors import NescioError, SchemaError
from nescio.imports.answering import Asked, Place, Reading, answers_in
from nescio.imports.entries import Entries
from nescio.imports.fields import item_id, settings_in
from nescio.imports.imported import Fact, Skipped
from nescio.trace import Prompt

__all__ = ["is_llama", "is_vllm", "read_responses"]


def read_responses(
    entries: Entries, reading: Reading, requests: Path | None = None
) -> Iterator[Fact]:
    """The answers of response bodies, an item a body.

    Raises:
        SchemaError: requests were given; a body has no name to join them by.
    """
    if requests is not None:
        raise SchemaError(
            "requests go with OpenAI batches only: responses do not say which request "
            "they answer"
        )
    seen: dict[str, str] = {}
    for where, entry in entries:
        if isinstance(entry, str):
            yield Skipped(where, entry)
            continue
        try:
            item = where if entry.get("id") is None else item_id(entry["id"])
            if item in seen:
                raise SchemaError(f"the id {item!r} stands on {seen[item]} too")
            seen[item] = where
            yield from answers_in(entry, Place(item, where), _asked(entry), reading)
        except NescioError as error:
            yield Skipped(where, str(error))


def _asked(body: Mapping[str, Any]) -> Asked:
    """What llama.cpp's own server repeats of the request; the others repeat nothing."""
    inner = body.get("__verbose")
    holder = inner if isinstance(inner, Mapping) else body
    settings = settings_in(holder.get("generation_settings"))
    prompt = holder.get("prompt")
    return Asked(Prompt(text=prompt) if isinstance(prompt, str) else None, settings)


def is_llama(body: Mapping[str, Any]) -> bool:
    """Whether a body is llama.cpp's: by its own shape, its clock or its build."""
    if "content" in body and ("generation_settings" in body or "stop" in body):
        return True
    build = body.get("system_fingerprint")
    numbered = isinstance(build, str) and build[:1] == "b" and build[1:2].isdigit()
    return "choices" in body and ("timings" in body or numbered)


def is_vllm(body: Mapping[str, Any]) -> bool:
    """Whether a body has the fields that only vLLM adds."""
    return "choices" in body and (
        "prompt_logprobs" in body or "kv_transfer_params" in body
    )
