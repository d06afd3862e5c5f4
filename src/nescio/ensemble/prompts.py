"""A prompt in one pass: as the tokenizer writes it, its last tokens open again.

Every spelling of a long prompt would cost a pass a byte. So all but the last tokens of
the tokenizer's own spelling are read as they are, and only the bytes of those last ones
in every way; the word that a prompt breaks off in may then still become any other. What
other spellings of the earlier part would say is not asked, and in no bound.

After a prompt everything counts from its end: the probability of what follows, and the
ledger. A chat goes through the model's own template, as it was trained; its end is not
opened again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int

from nescio.decoding.prompting import opening
from nescio.errors import InvalidInput, InvalidText
from nescio.models.protocol import Templated
from nescio.trace import Message, Prompt

__all__ = ["Asked", "PromptRead", "begun"]

Asked = bytes | str | Prompt | Sequence[Any]
"""A text, messages, or a prompt; bytes may end within a character."""


@dataclass(frozen=True, eq=False)
class PromptRead:
    """How a prompt was read.

    Args:
        token_ids: read in one pass, document start included.
        again: the bytes behind them, read in every spelling.
        reopened: how many tokens these were.
        chat: whether it went through the chat template, and its digest.
        log_weight: log-probability of ``again`` behind the tokens, what was kept, nats.
        log_lost: the same of what was not followed, beside what was kept; -inf: none.
    """

    token_ids: Int[np.ndarray, " n"]
    again: bytes = b""
    reopened: int = 0
    chat: bool = False
    template_digest: str | None = None
    log_weight: float = 0.0
    log_lost: float = -math.inf


def begun(view: Any, asked: Asked, *, chat: bool | None, system: str | None) -> Any:
    """The context of a view at the end of a prompt: `ByteView.begin`."""
    model = view.model
    prompt, half = _prompt_of(asked, system)
    if half and (_templated(model) if chat is None else chat):
        raise InvalidText(f"a message ends within a character, with {half!r}")
    opened = opening(model, prompt, chat=chat)
    ids, count = opened.token_ids.astype(np.int64), len(opened.shown)
    again = 0 if opened.chat else min(view.reopen, count)
    while True:
        kept = len(ids) - again
        open_bytes = model.vocabulary.spell(ids[kept:]) + half
        digest = opened.template_digest
        read = PromptRead(ids[:kept], open_bytes, again, opened.chat, digest)
        try:
            return _read_again(view, read)
        except InvalidText:
            if opened.chat or again == count:
                raise
        again = count  # what it never writes so, it may write in another way


def _read_again(view: Any, read: PromptRead) -> Any:
    """After a prompt's tokens and the bytes behind them, counted from here."""
    context = view.rooted(replace(read, again=b""))
    symbols = context.symbols
    for byte in read.again:
        (context,) = view.read([context], [byte])
    weight = context.log_kept
    lost = context.log_lost - weight
    context = replace(
        context,
        symbols=symbols,
        log_gone=context.log_gone - weight,
        log_followed_gone=0.0,
        log_said=0.0,
        waiting=tuple(replace(w, counted=False) for w in context.waiting),
        prompt=replace(read, log_weight=weight, log_lost=lost),
    )
    past = context.past
    past = past.of(context, past.before, past.born)
    return replace(context, past=past)


def _prompt_of(asked: Asked, system: str | None) -> tuple[Prompt, bytes]:
    """The prompt, and the bytes of a last character that is not whole."""
    half = b""
    if isinstance(asked, bytes):
        asked, half = _decoded(asked)
    prompt = Prompt.of(asked)
    if system is None:
        return prompt, half
    if prompt.text is None:
        raise InvalidInput(
            "a system message goes with a text; put it among the messages"
        )
    said = (Message("system", system), Message("user", prompt.text))
    return Prompt(messages=said), half


def _templated(model: Any) -> bool:
    return isinstance(model, Templated) and model.has_template


def _decoded(text: bytes) -> tuple[str, bytes]:
    """The characters, and a beginning of one that may follow them."""
    try:
        return text.decode("utf-8"), b""
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return text[: error.start].decode("utf-8"), text[error.start :]
        raise InvalidText(
            f"byte {error.start} of the prompt, {text[error.start]:#04x}, is not "
            "UTF-8; decode the file in its own encoding first"
        ) from error
