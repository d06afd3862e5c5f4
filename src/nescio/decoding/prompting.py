"""From a prompt to the tokens a model reads before it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from nescio.decoding.joined import prompts_read
from nescio.errors import CapabilityError, ContextOverflow, InvalidInput
from nescio.models.protocol import Beginning, Templated
from nescio.trace import Message, Prompt
from nescio.trace.trace import ROLES, SEGMENTS

__all__ = ["Opening", "opening"]


@dataclass(frozen=True, eq=False)
class Opening:
    """What is read before the first answer token, and how a trace shows it.

    Args:
        prompt: what was asked.
        token_ids: everything the model reads, document start included.
        shown: the part of it that stands in the trace.
        segment, role: of each shown token.
        chat: whether the chat template was used, and its digest.
        conditioned_on: the document start, where it is not shown.
        context: of a model that reads prompts itself, at the end of it.
    """

    prompt: Prompt
    token_ids: Int[np.ndarray, " n"]
    shown: Int[np.ndarray, " shown"]
    segment: Int[np.ndarray, " shown"]
    role: Int[np.ndarray, " shown"]
    chat: bool
    template_digest: str | None
    conditioned_on: str | None
    context: Any = None


def opening(
    model: Any, prompt: Prompt | str | Sequence[Any], *, chat: bool | None
) -> Opening:
    """The tokens of a prompt, through the chat template or as plain text.

    Raises:
        CapabilityError: a chat template is asked for and there is none.
        ContextOverflow: the prompt leaves no room to answer.
        InvalidInput: nothing at all to read.
    """
    asked = Prompt.of(prompt)
    if asked.kind == "source":
        raise CapabilityError(f"{model.name} continues text; it does not translate")
    if isinstance(model, Beginning):
        return _begun(model, asked, chat)
    templated = _has_template(model)
    wanted = templated if chat is None else chat
    if asked.kind == "messages" and chat is None:
        wanted = True
    if wanted and not templated:
        raise CapabilityError(
            f"{model.name} has no chat template; give a plain text prompt (--raw)"
        )
    if asked.kind == "messages" and not wanted:
        raise InvalidInput(
            "messages need the chat template; give a text prompt instead"
        )
    opened = _rendered(model, asked) if wanted else _plain(model, asked)
    limit = model.context_length
    if limit is not None and len(opened.token_ids) >= limit:
        raise ContextOverflow(
            f"the prompt has {len(opened.token_ids)} tokens and leaves no room to "
            f"answer in a context of {limit}; shorten it"
        )
    return opened


def _begun(model: Any, asked: Prompt, chat: bool | None) -> Opening:
    """The prompt as a model reads it that is read byte by byte; what was said is shown.

    Every member of an ensemble has read it through a template of its own, or as text.
    """
    context = model.begin(asked, chat=chat)
    read = prompts_read(context)
    digests = sorted({r.template_digest for r in read if r.template_digest})
    said = [(m.content, ROLES.index(m.role)) for m in asked.messages]
    parts = [model.encode(text.encode()) for text, _ in said or [(asked.text or "", 0)]]
    shown = np.concatenate(parts).astype(np.int32)
    chatted = any(r.chat for r in read)
    roles = [role for _, role in said] or [ROLES.index("user") if chatted else 0]
    start = "".join(model.vocabulary.label(token) or "" for token in model.start)
    return Opening(
        asked,
        np.concatenate([np.array(model.start, dtype=np.int32), shown]),
        shown,
        np.full(len(shown), SEGMENTS.index("prompt"), dtype=np.int8),
        np.repeat(np.array(roles, dtype=np.int8), [len(part) for part in parts]),
        chatted,
        " ".join(digests) or None,
        None if chatted else start,
        context,
    )


def _has_template(model: Any) -> bool:
    return isinstance(model, Templated) and model.has_template


def _plain(model: Any, asked: Prompt) -> Opening:
    shown = model.encode((asked.text or "").encode("utf-8"))
    ids = np.concatenate([np.array(model.start, dtype=np.int32), shown])
    if not len(ids):
        raise InvalidInput(
            f"the prompt is empty and {model.name} has no document start: "
            "there is nothing to continue"
        )
    start = "".join(model.vocabulary.label(token) or "" for token in model.start)
    segment = np.full(len(shown), SEGMENTS.index("prompt"), dtype=np.int8)
    role = np.zeros(len(shown), dtype=np.int8)
    return Opening(asked, ids, shown, segment, role, False, None, start or None)


def _rendered(model: Any, asked: Prompt) -> Opening:
    if asked.kind == "text":
        asked = Prompt(messages=(Message("user", asked.text or ""),))
    rendered = model.render(asked)
    message = rendered.message
    roles = np.array([ROLES.index(m.role) for m in asked.messages], dtype=np.int8)
    inside = message >= 0
    segment = np.where(inside, SEGMENTS.index("prompt"), SEGMENTS.index("template"))
    role = np.where(inside, roles[np.maximum(message, 0)], 0)
    ids = rendered.token_ids.astype(np.int32)
    return Opening(
        asked,
        ids,
        ids,
        segment.astype(np.int8),
        role.astype(np.int8),
        True,
        rendered.template_digest,
        None,
    )
