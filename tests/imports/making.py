"""Small stored files, as other programs would have written them."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FILES = Path(__file__).parent / "files"


def write_lines(path: Path, *entries: Any) -> Path:
    """JSON lines; a text is written as it is."""
    lines = [e if isinstance(e, str) else json.dumps(e) for e in entries]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def completion(
    text: str = " 12", *, top: Mapping[str, float] | None = None, **more: Any
) -> dict[str, Any]:
    """A body of /v1/completions with one token, which spells the answer."""
    chances = {text: 0.5, " 13": 0.2} if top is None else top
    named = {token: math.log(p) for token, p in chances.items()}
    logprobs = {
        "tokens": [text],
        "token_logprobs": [named[text]],
        "top_logprobs": [named],
    }
    choice = {
        "index": 0,
        "text": text,
        "logprobs": logprobs,
        "finish_reason": "length",
    }
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "model": "toy",
        "choices": [choice],
        **more,
    }


def chat(*answers: str, **more: Any) -> dict[str, Any]:
    """A body of /v1/chat/completions, without log-probabilities."""
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text},
            "logprobs": None,
            "finish_reason": "stop",
        }
        for index, text in enumerate(answers)
    ]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "toy",
        "choices": choices,
        **more,
    }


def answered(custom_id: Any, body: Mapping[str, Any], status: int = 200) -> dict:
    """A line of a batch's output."""
    response = {"status_code": status, "request_id": "r", "body": body}
    return {"id": "b", "custom_id": custom_id, "response": response, "error": None}


def request(custom_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """A line of a batch's input."""
    url = "/v1/chat/completions" if "messages" in body else "/v1/completions"
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


def question(
    doc_id: Any,
    logps: Sequence[float | str],
    target: str,
    *,
    options: Sequence[str] = (" Paris", " Lyon", " Nice"),
    **more: Any,
) -> dict[str, Any]:
    """A row of lm-eval for a multiple choice, as it writes one."""
    used = options[: len(logps)]
    return {
        "doc_id": doc_id,
        "doc": {},
        "target": target,
        "arguments": {
            f"gen_args_{i}": {"arg_0": "The capital of France is", "arg_1": option}
            for i, option in enumerate(used)
        },
        "resps": [[[str(logp), "False"]] for logp in logps],
        "filtered_resps": [[str(logp), "False"] for logp in logps],
        "filter": "none",
        "metrics": ["acc"],
        **more,
    }


def generated(doc_id: int, *texts: str, **more: Any) -> dict[str, Any]:
    """A row of lm-eval for generated answers."""
    return {
        "doc_id": doc_id,
        "doc": {},
        "target": "Paris",
        "arguments": {
            "gen_args_0": {"arg_0": "The capital?", "arg_1": {"until": ["\n"]}}
        },
        "resps": [list(texts)],
        "filtered_resps": [texts[0]],
        "filter": "none",
        "metrics": ["exact_match"],
        **more,
    }


def rolled(doc_id: int, text: str, logp: float | str) -> dict[str, Any]:
    """A row of lm-eval for a document scored as a whole."""
    return {
        "doc_id": doc_id,
        "doc": {"text": text},
        "target": text,
        "arguments": {"gen_args_0": {"arg_0": text}},
        "resps": [[str(logp)]],
        "filtered_resps": [str(logp)],
        "filter": "none",
        "metrics": ["bits_per_byte"],
    }


def header(**more: Any) -> dict[str, Any]:
    """The header of an Inspect log."""
    told = {"model": "mock/model", "model_generate_config": {"temperature": 1.0}}
    return {"version": 2, "status": "success", "eval": told, **more}


def evaluated(
    name: str | int, epoch: int, text: str, value: Any, **more: Any
) -> dict[str, Any]:
    """A sample of an Inspect log, with one token that spells the answer."""
    told = {"token": text, "logprob": math.log(0.5), "bytes": list(text.encode())}
    choice = {
        "message": {"role": "assistant", "content": text},
        "stop_reason": "stop",
        "logprobs": {"content": [told | {"top_logprobs": [told]}]},
    }
    return {
        "id": name,
        "epoch": epoch,
        "input": "What is it?",
        "target": "x",
        "messages": [
            {"role": "user", "content": "What is it?"},
            {"role": "assistant", "content": text},
        ],
        "output": {"model": "mock/model", "choices": [choice]},
        "scores": {"match": {"value": value}},
        **more,
    }


def write_log(
    path: Path,
    samples: Sequence[Mapping[str, Any]],
    *,
    packing: int = zipfile.ZIP_DEFLATED,
    first: Mapping[str, Any] | None = None,
) -> Path:
    """An Inspect log, as a zip."""
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("header.json", json.dumps(first or header()))
        for one in samples:
            name = f"samples/{one['id']}_epoch_{one['epoch']}.json"
            archive.writestr(name, json.dumps(one))
    return path
