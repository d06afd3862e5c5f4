"""Chat templates: a conversation as the model was taught to read it, and who said what.

A template is a program that writes its own text around what the messages say. The
contents are put in between marks that nobody else uses, so that afterwards every
character has an owner: control tokens are read in the template's text only, and each
token is known to belong to a message or to the template.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Int

from nescio.errors import CapabilityError, InvalidInput, InvalidText
from nescio.models.protocol import Rendered
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Message

__all__ = ["Template", "render_chat", "template_of"]

_PRIVATE = range(0xF0000, 0x10FFFE)
"""Where marks are taken from: the private-use planes and what lies between them."""

_CHANGES: tuple[Callable[[str], str], ...] = (str, str.strip, str.lstrip, str.rstrip)
"""What templates do to contents; anything else is refused."""


@dataclass(frozen=True, eq=False)
class Template:
    """A model's chat template.

    Args:
        source: the Jinja program.
        apply: runs it, sandboxed, on roles and contents; the answer is opened.
        controls: the strings that are control tokens, and the id of each.
        pattern: finds them in a text, whitespace included where they swallow it.
    """

    source: str
    apply: Callable[[Sequence[Mapping[str, str]]], str]
    controls: Mapping[str, int]
    pattern: re.Pattern[str]

    @property
    def digest(self) -> str:
        """SHA-256 over the source."""
        return hashlib.sha256(self.source.encode()).hexdigest()


def template_of(hf_tokenizer: Any, vocabulary: Vocabulary) -> Template | None:
    """The chat template of a fast tokenizer of Hugging Face; None if it has none."""
    if not hf_tokenizer.chat_template:
        return None
    source = hf_tokenizer.get_chat_template()

    def apply(messages: Sequence[Mapping[str, str]]) -> str:
        return hf_tokenizer.apply_chat_template(
            list(messages),
            chat_template=source,
            tokenize=False,
            add_generation_prompt=True,
        )

    added = hf_tokenizer.added_tokens_decoder
    controls = {
        added[token].content: token
        for token in added
        if token < vocabulary.size and vocabulary.control[token]
    }
    longest_first = sorted(controls, key=len, reverse=True)
    pattern = "|".join(_pattern(added[controls[c]]) for c in longest_first)
    return Template(source, apply, controls, re.compile(pattern or r"(?!)"))


def _pattern(added: Any) -> str:
    before = r"\s*" if added.lstrip else ""
    after = r"\s*" if added.rstrip else ""
    return f"{before}{re.escape(added.content)}{after}"


def render_chat(
    messages: Sequence[Message],
    template: Template,
    encode: Callable[[bytes], Int[np.ndarray, " n"]],
    vocabulary: Vocabulary,
) -> Rendered:
    """A conversation as tokens; what a message says never becomes a control token.

    Between two control tokens, text of the template and of messages is encoded in one
    go, as the tokenizer itself does. A token that holds bytes of a message belongs to
    it (to the first one, if to several), every other token to the template (-1).

    A template may leave out whitespace around what a message says; then the tokens
    spell the message without it.

    Raises:
        InvalidInput: the template refuses the conversation.
        InvalidText: a message has a character that the vocabulary cannot write.
        CapabilityError: the template does something else to what a message says, so
            that its own text and the message cannot be told apart.
    """
    pieces = _owned(messages, template)
    ids: list[np.ndarray] = []
    owners: list[np.ndarray] = []
    for control, run in _between_controls(pieces, template):
        tokens = _encoded(run, encode)
        ids.append(tokens)
        owners.append(_owners(run, vocabulary.edges(tokens)))
        if control is not None:
            ids.append(np.array([control], dtype=np.int32))
            owners.append(np.array([-1], dtype=np.int32))
    return Rendered(np.concatenate(ids), np.concatenate(owners), template.digest)


def _between_controls(
    pieces: Sequence[tuple[str, int]], template: Template
) -> Iterator[tuple[int | None, list[tuple[str, int]]]]:
    """Runs of owned text, each with the control token after it; None at the end."""
    run: list[tuple[str, int]] = []
    for text, owner in pieces:
        begin = 0
        for found in template.pattern.finditer(text) if owner < 0 else ():
            run.append((text[begin : found.start()], owner))
            yield template.controls[_named(found[0], template)], run
            run, begin = [], found.end()
        run.append((text[begin:], owner))
    yield None, run


def _encoded(
    run: Sequence[tuple[str, int]], encode: Callable[[bytes], Int[np.ndarray, " n"]]
) -> Int[np.ndarray, " n"]:
    try:
        return encode("".join(text for text, _ in run).encode())
    except InvalidText:
        for text, owner in run:
            try:
                encode(text.encode())
            except InvalidText as error:
                raise InvalidText(f"message {owner + 1}: {error}") from error
        raise


def _named(found: str, template: Template) -> str:
    return found if found in template.controls else found.strip()


def _owners(
    run: Sequence[tuple[str, int]], edges: Int[np.ndarray, " n_and_end"]
) -> Int[np.ndarray, " n"]:
    """The message whose bytes each token holds; -1: none."""
    owners = np.full(len(edges) - 1, -1, dtype=np.int32)
    begin = 0
    for text, owner in run:
        end = begin + len(text.encode())
        touched = (edges[:-1] < end) & (edges[1:] > begin) & (owners < 0)
        owners[touched] = owner
        begin = end
    return owners


def _owned(messages: Sequence[Message], template: Template) -> list[tuple[str, int]]:
    """The rendered conversation in pieces, each with the message it comes from."""
    conversation = _Conversation.of(messages, template)
    kept = conversation.kept()
    pieces = conversation.explained(kept)
    if pieces is None:
        raise _untraceable("treats the messages together")
    owners = {owner for text, owner in pieces if text}
    for number, content in enumerate(kept):
        if content and number not in owners:
            raise _untraceable(f"leaves out message {number + 1}")
    hollow = conversation.read([""] * len(kept), mark=[bool(text) for text in kept])
    if hollow is None or _outside(hollow) != _outside(pieces):
        raise _untraceable("decides by what messages say what to write around them")
    return pieces


def _outside(pieces: Sequence[tuple[str, int]]) -> list[str | int]:
    return [owner if owner >= 0 else text for text, owner in pieces]


@dataclass(frozen=True)
class _Conversation:
    """Messages, what the template makes of them, and marks that occur nowhere."""

    messages: Sequence[Message]
    template: Template
    plain: str
    opening: str
    closing: str

    @staticmethod
    def of(messages: Sequence[Message], template: Template) -> _Conversation:
        """The conversation as it stands, with marks that are free."""
        plain = _applied(messages, [m.content for m in messages], template)
        used = set(plain).union(template.source, *(m.content for m in messages))
        free = (chr(code) for code in _PRIVATE if chr(code) not in used)
        marks = "".join(islice(free, len(messages) + 1))
        if len(marks) <= len(messages):
            raise InvalidText(
                "the messages use every character of Unicode's private planes; "
                "some must be free to tell the messages from the template"
            )
        return _Conversation(messages, template, plain, marks[1:], marks[0])

    def read(
        self, contents: Sequence[str], *, mark: Sequence[bool]
    ) -> list[tuple[str, int]] | None:
        """The rendering of other contents in pieces; None: they make no sense in it."""
        marked = [
            f"{opening}{content}{self.closing}" if wanted else content
            for content, opening, wanted in zip(
                contents, self.opening, mark, strict=True
            )
        ]
        owner = -1
        pieces: list[tuple[str, int]] = []
        try:
            rendered = _applied(self.messages, marked, self.template)
        except InvalidInput:  # it read something in the contents that is not there now
            return None
        for part in re.split(f"([{self.closing}{self.opening}])", rendered):
            if part == self.closing or (part and part in self.opening):
                opens = part != self.closing
                if opens == (owner >= 0):
                    return None
                owner = self.opening.index(part) if opens else -1
            else:
                pieces.append((part, owner))
        return pieces if owner < 0 else None

    def explained(
        self, contents: Sequence[str], *, only: int | None = None
    ) -> list[tuple[str, int]] | None:
        """The pieces, if these contents are what the template really shows."""
        mark = [
            bool(content) and only in (None, number)
            for number, content in enumerate(contents)
        ]
        pieces = self.read(contents, mark=mark)
        if pieces is None or "".join(text for text, _ in pieces) != self.plain:
            return None
        return pieces

    def kept(self) -> list[str]:
        """What the template shows of each content: all, or all but outer space."""
        said = [message.content for message in self.messages]
        for change in _CHANGES:
            changed = [change(content) for content in said]
            if self.explained(changed) is not None:
                return changed
        return [self._kept(said, number) for number in range(len(said))]

    def _kept(self, said: Sequence[str], number: int) -> str:
        for change in _CHANGES:
            content = change(said[number])
            trial = [*said[:number], content, *said[number + 1 :]]
            if self.explained(trial, only=number) is not None:
                return content
        raise _untraceable(f"rewrites message {number + 1}")


def _applied(
    messages: Sequence[Message], contents: Sequence[str], template: Template
) -> str:
    from jinja2.exceptions import TemplateError

    conversation = [
        {"role": message.role, "content": content}
        for message, content in zip(messages, contents, strict=True)
    ]
    try:
        return template.apply(conversation)
    except (
        TemplateError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise InvalidInput(
            f"the model's chat template refuses this conversation: {error}"
        ) from error


def _untraceable(reason: str) -> CapabilityError:
    return CapabilityError(
        f"this model's chat template {reason}, so its own text and what people say "
        "cannot be told apart; reword the message, or give the prompt as a plain text"
    )
