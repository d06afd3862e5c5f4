"""Text to tokens, exactly: they spell every byte of the text, or it is refused.

A tokenizer of Hugging Face splits the text. Where its own rules would change the text
(a normaliser, a literal ``▁``, a control token spelled out) only the characters
concerned are written another way, if need be byte by byte.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from nescio.errors import (
    CapabilityError,
    InvalidInput,
    InvalidText,
    MissingDependency,
    SchemaError,
)
from nescio.models.pieces import vocabulary_of
from nescio.models.protocol import Rendered
from nescio.models.template import Template, render_chat, template_of
from nescio.models.vocabulary import Vocabulary
from nescio.trace import Prompt
from nescio.visible import visible

__all__ = ["Tokenizer", "read_tokenizer", "tokenizer_of"]

_PROBES = ("a", "1", "\n", "あ")


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """How a model's text is split. Use `tokenizer_of`.

    Args:
        vocabulary: the bytes of every id.
        splitting: SHA-256 over everything that decides how a text is split.
        backend: a ``tokenizers.Tokenizer`` of its own, never changed.
        template: the model's chat template, if it has one.
    """

    vocabulary: Vocabulary = field(repr=False)
    splitting: str
    backend: Any = field(repr=False)
    template: Template | None = field(default=None, repr=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the vocabulary and how a text is split."""
        both = f"{self.vocabulary.digest} {self.splitting}"
        return hashlib.sha256(both.encode()).hexdigest()

    @property
    def has_template(self) -> bool:
        """Whether the model has a chat template."""
        return self.template is not None

    def encode(self, text: bytes) -> Int[np.ndarray, " n"]:
        """Token ids that spell exactly this text; never a control token.

        Nothing is added before or after. A text without characters that the
        tokenizer would change is split as the tokenizer splits it.

        Args:
            text: UTF-8; empty gives no ids.

        Raises:
            InvalidText: bytes that are not UTF-8, or a character that this
                vocabulary cannot write; the message says which and where.
        """
        try:
            decoded = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidText(
                f"byte {error.start} of the text, {text[error.start]:#04x}, is not "
                "UTF-8; decode the file in its own encoding first"
            ) from error
        return np.array(_ids(decoded, self), dtype=np.int32)

    def render(self, prompt: Prompt) -> Rendered:
        """The conversation through the model's own chat template, answer opened.

        Args:
            prompt: messages.

        Raises:
            CapabilityError: the model has no chat template, or its template mixes a
                message with its own text so that they cannot be told apart.
            InvalidInput: the prompt has no messages, or the template refuses them.
            InvalidText: a message has a character that the vocabulary cannot write.
        """
        if self.template is None:
            raise CapabilityError(
                "this model has no chat template; give the prompt as a plain text"
            )
        if not prompt.messages:
            raise InvalidInput(
                f"a chat template reads messages; this prompt is a {prompt.kind}"
            )
        return render_chat(prompt.messages, self.template, self.encode, self.vocabulary)


def tokenizer_of(hf_tokenizer: Any, size: int, *, end: Iterable[int] = ()) -> Tokenizer:
    """A tokenizer from a fast tokenizer object of Hugging Face, which stays as it is.

    Tokenizers that put a space before every text (Llama 2's, ALBERT's, RoBERTa's) are
    refused: their first token spells a byte that is not in the text.

    Args:
        hf_tokenizer: what ``AutoTokenizer.from_pretrained`` returns.
        size: how many rows the model's head has; rows that the tokenizer does not
            use become control tokens called ``<pad:ID>``.
        end: ids that end a generation, besides the tokenizer's own end token.

    Raises:
        CapabilityError: not a fast tokenizer, a head smaller than the tokenizer, or
            a family whose bytes are not known exactly.

    Example:
        >>> from tokenizers import Tokenizer as Backend, decoders, models
        >>> from transformers import PreTrainedTokenizerFast
        >>> backend = Backend(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
        >>> backend.decoder = decoders.ByteLevel()
        >>> fast = PreTrainedTokenizerFast(tokenizer_object=backend)
        >>> tokenizer_of(fast, 4).encode(b"aab").tolist()
        [0, 2]
    """
    shared = getattr(hf_tokenizer, "backend_tokenizer", None)
    if shared is None:
        raise CapabilityError(
            f"{type(hf_tokenizer).__name__} is not a fast tokenizer: "
            "how it splits a text cannot be read"
        )
    backend, splitting = _own(shared)
    own_end = hf_tokenizer.eos_token_id
    ends = {*end, *([] if own_end is None else [own_end])}
    vocabulary = vocabulary_of(backend, size, end=sorted(ends))
    _check_no_prefix(backend, vocabulary)
    template = template_of(hf_tokenizer, vocabulary)
    return Tokenizer(vocabulary, splitting, backend, template)


def read_tokenizer(directory: Path) -> Tokenizer:
    """The tokenizer of a model in a directory of Hugging Face's layout.

    ``config.json`` beside it says how many rows the head has (else: as many as the
    tokenizer has ids) and, with ``generation_config.json``, which tokens end a text.

    Raises:
        SchemaError: no tokenizer there, or one that cannot be read.
        MissingDependency: transformers is not installed.
        CapabilityError: as `tokenizer_of`.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise MissingDependency(
            f"tokenizers need {error.name}: pip install 'nescio[local]'"
        ) from error
    if not (directory / "tokenizer.json").is_file():
        raise SchemaError(f"{directory} holds no tokenizer.json")
    config = _fields(directory / "config.json")
    try:
        hf_tokenizer = AutoTokenizer.from_pretrained(
            str(directory), local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise SchemaError(f"{directory}: unreadable tokenizer: {reason}") from error
    inner = config.get("text_config", config)
    size = inner.get("vocab_size") or _highest(hf_tokenizer) + 1
    generation = _fields(directory / "generation_config.json")
    ends = [fields.get("eos_token_id") for fields in (inner, generation)]
    return tokenizer_of(hf_tokenizer, size, end=_flat(ends))


def _fields(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        fields = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise SchemaError(f"{path} is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise SchemaError(f"{path} is not a JSON object")
    return fields


def _highest(hf_tokenizer: Any) -> int:
    return max(hf_tokenizer.get_vocab().values(), default=-1)


def _flat(found: Iterable[Any]) -> Iterator[int]:
    for item in found:
        if isinstance(item, int):
            yield item
        elif item is not None:
            yield from map(int, item)


def _own(shared: Any) -> tuple[Any, str]:
    """A copy of the backend that only splits, and the digest of how it does.

    Calling the original switches its padding, its truncation and how it reads control
    tokens; a copy keeps ``encode`` right from several threads.
    """
    from tokenizers import Tokenizer as Backend

    backend = Backend.from_str(shared.to_str())
    backend.no_padding()
    backend.no_truncation()
    backend.post_processor = None
    for chance in ("dropout", "alpha"):
        if getattr(backend.model, chance, None):
            setattr(backend.model, chance, None)
    splitting = hashlib.sha256(backend.to_str().encode()).hexdigest()
    backend.encode_special_tokens = True
    return backend, splitting


def _check_no_prefix(backend: Any, vocabulary: Vocabulary) -> None:
    for probe in _PROBES:
        ids = backend.encode(probe, add_special_tokens=False).ids
        if vocabulary.spell(ids) == b" " + probe.encode():
            raise CapabilityError(
                "this tokenizer puts a space before every text, so its first token "
                "spells a byte that is not there; choose a model without a prefix space"
            )


def _ids(text: str, tokenizer: Tokenizer, *, before: int = 0) -> list[int]:
    """Ids that spell the text, which ``before`` bytes of a longer one precede."""
    encoding = tokenizer.backend.encode(text, add_special_tokens=False)
    if _spells(encoding.ids, text, tokenizer.vocabulary):
        return encoding.ids
    stretches = [
        (first, last, _spells(ids, text[first:last], tokenizer.vocabulary), ids)
        for first, last, ids in _stretches(encoding, len(text))
    ]
    wrong = [text[first:last] for first, last, right, _ in stretches if not right]
    letters = {
        character: _letter(character, tokenizer) for character in {*"".join(wrong)}
    }
    if foreign := {c: letter.ids for c, letter in letters.items() if letter.foreign}:
        return list(_around(text, foreign, tokenizer, before=before))
    return [
        token
        for first, last, right, ids in stretches
        for token in (ids if right else _anew(text[first:last], letters, tokenizer))
    ]


def _spells(ids: Sequence[int], text: str, vocabulary: Vocabulary) -> bool:
    if len(ids) and bool(vocabulary.control[ids].any()):
        return False
    return vocabulary.spell(ids) == text.encode()


def _stretches(encoding: Any, length: int) -> Iterator[tuple[int, int, list[int]]]:
    """The text cut wherever no token reaches across, with the tokens of each part."""
    begin, end, ids = 0, 0, list[int]()
    for token, (first, last) in zip(encoding.ids, encoding.offsets, strict=True):
        if first >= end and (ids or first > end):
            if ids:
                yield begin, end, ids
            if first > end:
                yield end, first, []
            begin, end, ids = first, first, []
        end = max(end, last)
        ids.append(token)
    if ids:
        yield begin, end, ids
    if length > end:
        yield end, length, []


@dataclass(frozen=True)
class _Letter:
    """How one character is written; foreign: not as the tokenizer would."""

    ids: list[int]
    foreign: bool


def _letter(character: str, tokenizer: Tokenizer) -> _Letter:
    """One character by itself: as the tokenizer writes it, else byte by byte."""
    ids = tokenizer.backend.encode(character, add_special_tokens=False).ids
    if _spells(ids, character, tokenizer.vocabulary):
        return _Letter(ids, foreign=False)
    known = tokenizer.vocabulary.ids_by_bytes
    found = [known.get(bytes([byte]), ()) for byte in character.encode()]
    return _Letter([ids[0] for ids in found] if all(found) else [], foreign=True)


def _around(
    text: str, foreign: Mapping[str, list[int]], tokenizer: Tokenizer, *, before: int
) -> Iterator[int]:
    """What stands between foreign characters by itself, and these in single bytes."""
    for part in re.split(f"([{re.escape(''.join(foreign))}])", text):
        if part not in foreign:
            yield from _ids(part, tokenizer, before=before)
        elif foreign[part]:
            yield from foreign[part]
        else:
            raise InvalidText(_unwritable(part, tokenizer.vocabulary, before))
        before += len(part.encode())


def _anew(
    text: str, letters: Mapping[str, _Letter], tokenizer: Tokenizer
) -> Iterator[int]:
    """A stretch that is changed as a whole: combining marks apart, else letters."""
    for _, group in groupby(text, lambda c: unicodedata.combining(c) > 0):
        part = "".join(group)
        ids = tokenizer.backend.encode(part, add_special_tokens=False).ids
        if _spells(ids, part, tokenizer.vocabulary):
            yield from ids
        else:
            yield from (token for c in part for token in letters[c].ids)


def _unwritable(character: str, vocabulary: Vocabulary, place: int) -> str:
    single = (bytes([byte]) for byte in character.encode())
    lacking = next(byte for byte in single if byte not in vocabulary.ids_by_bytes)
    return (
        f"this vocabulary cannot write {visible(character)!r} "
        f"(U+{ord(character):04X}) at byte {place} of the text: it has no token for "
        f"the byte 0x{lacking.hex()}; remove the character or choose another model"
    )
