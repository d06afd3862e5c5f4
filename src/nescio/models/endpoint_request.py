"""What is sent to an endpoint to get answers drawn in a stated way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nescio.errors import CapabilityError, InvalidInput
from nescio.models.endpoint_connection import CHAT, COMPLETIONS
from nescio.models.endpoint_report import CapabilityReport
from nescio.models.protocol import Drawing
from nescio.trace import Prompt

__all__ = ["checked", "request_body", "route"]

_NEUTRAL: Mapping[str, Any] = {
    "top_k": 0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "repeat_penalty": 1.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""Servers have defaults of their own that change what is drawn; these undo them."""


def route(report: CapabilityReport, prompt: Prompt, *, chat: bool | None) -> str:
    """Which of the two APIs answers a prompt.

    Raises:
        CapabilityError: the one that is needed is not there; a source to translate.
        InvalidInput: messages as plain text.
    """
    if prompt.kind == "source":
        raise CapabilityError(f"{report.url} continues text; it does not translate")
    wanted = report.chat if chat is None else chat
    if prompt.kind == "messages":
        if chat is False:
            raise InvalidInput("messages need the chat API; give a text prompt instead")
        wanted = True
    if wanted and not report.chat:
        raise CapabilityError(
            f"{report.url} has no chat API for {report.model}; give a plain "
            "text (--raw)"
        )
    if not wanted and not report.completions:
        raise CapabilityError(
            f"{report.url} answers messages only (no {COMPLETIONS}); leave out --raw"
        )
    return CHAT if wanted else COMPLETIONS


def checked(report: CapabilityReport, path: str, drawing: Drawing) -> Drawing:
    """The drawing with as many candidates as there are to be had.

    Raises:
        CapabilityError: the server lacks what the drawing needs, by name.
    """
    drawn = drawing.sampling
    wanted = {
        "top_k": drawn.top_k is not None,
        "top_p": drawn.top_p not in (None, 1),
        "min_p": drawn.min_p not in (None, 0),
        "typical_p": drawn.typical_p not in (None, 1),
    }
    lacking = [n for n, is_wanted in wanted.items() if is_wanted]
    lacking = [name for name in lacking if name not in report.honours]
    if lacking:
        able = ", ".join(report.honours) or "none of them"
        raise CapabilityError(
            f"{report.url} was not seen to obey {' or '.join(lacking)} (it obeys "
            f"{able}); leave it out, or use another server"
        )
    most = report.chat_logprobs if path == CHAT else report.completion_logprobs
    changed = drawn.temperature != 1.0 or any(wanted.values())
    if most and changed and report.before_sampling is not True:
        raise CapabilityError(
            f"{report.url} gives probabilities after temperature and truncation, not "
            "the model's own; draw at temperature 1 from the whole distribution, or "
            "ask for none (--top 0)"
        )
    return replace(drawing, top=min(drawing.top, most))


def request_body(
    report: CapabilityReport,
    path: str,
    prompt: Prompt,
    drawing: Drawing,
    *,
    seed: int | None = None,
    stream: bool = False,
) -> dict[str, Any]:
    """The body of one request."""
    drawn = drawing.sampling
    body: dict[str, Any] = {
        "model": report.model,
        report.length_name if path == CHAT else "max_tokens": drawing.max_tokens,
        "temperature": drawn.temperature,
        "top_p": 1.0 if drawn.top_p is None else drawn.top_p,
    }
    if path == CHAT:
        body["messages"] = _messages(prompt)
    else:
        body["prompt"] = prompt.text
    if seed is not None:
        body["seed"] = seed
    if drawing.stop:
        body["stop"] = list(drawing.stop)
    if drawing.top:
        asked = {"logprobs": True, "top_logprobs": drawing.top}
        body |= asked if path == CHAT else {"logprobs": drawing.top}
    if report.extensions:
        body |= _NEUTRAL
        body |= {
            name: getattr(drawn, name)
            for name in ("top_k", "min_p", "typical_p")
            if getattr(drawn, name) is not None
        }
    if stream:
        body["stream"] = True
    return body


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    if prompt.kind == "text":
        return [{"role": "user", "content": prompt.text or ""}]
    return [{"role": m.role, "content": m.content} for m in prompt.messages]
